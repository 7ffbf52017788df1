"""Simulate pairs of T1-w and T2-w brain slices, for use where the real ones cannot be fetched.

A random anatomy (how much of which tissue is in each voxel) gets the signals of
`labhelpers.contrast`; the scanner adds blur, an uneven coil and Rician noise (Gudbjartsson and
Patz, Magn. Reson. Med. 34(6), 1995). Sizes and shares are chosen so that the mean image, the
intensity lookup and the unchanged T1-w slice are about as far from the T2-w slice as on real data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from labhelpers.contrast import (
    T1_WEIGHTED,
    T2_WEIGHTED,
    TISSUES,
    gradient_echo_signal,
    spin_echo_signal,
)
from labhelpers.data import (
    IMAGE_SHAPE,
    MODALITIES,
    is_simulated,
    parse_slice_name,
    replace_folder,
    simulated_subject,
    slice_name,
    write_pair,
)

__all__ = ["simulate_pair", "tissue_shares", "write_phantom"]

Array = NDArray[np.float64]

_SLICE_BYTES = 8 * math.prod(IMAGE_SHAPE)  # float64, without the header of the file

# --- Anatomy ------------------------------------------------------------------------------------
# An axial slice through the bodies of the lateral ventricles. Lengths are in mm, one voxel of
# 64 x 64 being 3.75 mm; x runs from left to right, y from back to front, (0, 0) is mid-head.

_SIZE = IMAGE_SHAPE[0]  # voxels per side
_FIELD_OF_VIEW = 240.0
_SUPERSAMPLING = 2  # points of the fine grid per voxel side; their average is the partial volume
_HALF_WIDTH, _HALF_LENGTH = 79.0, 95.5  # of the head

# From the skin inwards: tissues with their shares; thickness; its spread between people (standard
# deviation of the logarithm); its unevenness within a person (relative).
_LAYERS: tuple[tuple[dict[str, float], float, float, float], ...] = (
    ({"muscle and skin": 1.0}, 1.8, 0.15, 0.10),
    ({"fat": 0.85, "muscle and skin": 0.15}, 3.2, 0.25, 0.15),
    ({"bone": 0.9, "muscle and skin": 0.1}, 2.2, 0.15, 0.15),
    ({"bone": 0.6, "fat": 0.4}, 2.2, 0.35, 0.20),  # marrow between the two plates of the skull
    ({"bone": 0.95, "CSF": 0.05}, 2.6, 0.15, 0.15),
)

# T1, T2 and PD of a person are those of the tissue times a factor: mean and standard deviation of
# its logarithm. Fat is brighter in trains of refocusing pulses (Henkelman et al., J. Magn. Reson.
# Imaging 2(5), 1992) and near coils.
_VARIATION = {name: ((0.0, 0.0, 0.0), (0.04, 0.04, 0.02)) for name in TISSUES}
_VARIATION["fat"] = ((0.0, 0.2, -0.05), (0.04, 0.2, 0.12))

# Deep grey nuclei of one side, each a capsule: (x, y, half-width) of both ends, and the largest
# share of grey matter.
_NUCLEI = (
    ((11.0, 26.0, 3.0), (14.5, 15.0, 4.0), 0.90),  # head of the caudate
    ((14.5, 12.0, 3.0), (19.0, -8.0, 1.5), 0.75),  # body of the caudate
    ((11.0, -3.0, 6.0), (14.0, -12.0, 5.0), 0.60),  # thalamus
    ((27.0, 14.0, 4.0), (29.0, -3.0, 3.5), 0.60),  # putamen
)

# Centre line of one lateral ventricle, front to back: (x, y, half-width) of each node.
_FRONT_HORN = ((13.0, 32.0, 1.8), (8.0, 24.0, 4.4), (4.4, 12.0, 4.4))
_VENTRICLE = (*_FRONT_HORN, (5.2, 2.0, 4.0), (11.0, -10.0, 4.2), (19.5, -22.0, 2.4))


@dataclass(frozen=True)
class _Head:
    """One person's head on the fine grid.

    Attributes:
        x: Left to right in the head's own coordinates, `(n, n)`.
        y: Back to front in the head's own coordinates, `(n, n)`.
        axis: The scanner's coordinates, `(n,)`, for smooth random fields.
        age: In [0, 1]; opens the ventricles, the sulci and the space around the brain together.
        shares: Tissue shares `(6, n, n)` in the order of `TISSUES`; the rest is air.
    """

    x: Array
    y: Array
    axis: Array
    age: float
    shares: Array

    def paint(self, mixture: Mapping[str, float], distance: Array, opacity: ArrayLike = 1) -> None:
        """Cover the region where the signed distance is negative with a mixture of tissues."""
        cover = opacity * np.clip(0.5 - distance / (self.axis[1] - self.axis[0]), 0, 1)
        self.shares[:] *= 1 - cover
        for name, share in mixture.items():
            self.shares[list(TISSUES).index(name)] += share * cover


def _field(rng: Generator, axis: Array, length: float) -> Array:
    """Return a smooth random field of variance 1, `(n, n)`: four waves about `length` long."""
    angle, phase = rng.uniform(0, np.pi, 4), rng.uniform(0, 2 * np.pi, 4)
    k = 2 * np.pi / (length * rng.uniform(0.75, 1.5, 4))
    along_x = np.exp(1j * np.outer(k * np.cos(angle), axis))
    along_y = np.exp(1j * (np.outer(k * np.sin(angle), axis) + phase[:, None]))
    return np.einsum("ki,kj->ij", along_x, along_y).real / np.sqrt(2)


def _capsule(x: Array, y: Array, start: Sequence[float], end: Sequence[float]) -> Array:
    """Return the signed distance to a capsule from `start` to `end`, each (x, y, half-width)."""
    (x0, y0, r0), (x1, y1, r1) = start, end
    dx, dy = x1 - x0, y1 - y0
    t = np.clip(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy), 0, 1)
    return np.hypot(x - x0 - t * dx, y - y0 - t * dy) - r0 - t * (r1 - r0)


def _sulci(
    rng: Generator, along: Array, depth: Array, stretch: ArrayLike, spans: ArrayLike, width: float
) -> Array:
    """Return the signed distance to the nearest sulcus, a furrow that goes down from a surface.

    Args:
        rng: Source of the random shapes.
        along: Position of each point along the surface.
        depth: Depth of each point below the surface.
        stretch: Length of a unit of `along`, which shrinks with depth if the surface is round.
        spans: Parts of the surface with sulci, `(n, 2)`, ascending.
        width: Mean half-width of the sulci where they open.
    """
    spans = np.asarray(spans)
    rows = [start + np.cumsum(11 * rng.uniform(0.6, 1.4, 60)) for start, _ in spans]
    opens = np.concatenate([row[row < stop] for row, (_, stop) in zip(rows, spans, strict=True)])
    n = len(opens)
    deep, half_width = rng.lognormal(2.4, 0.4, n), width * rng.uniform(0.3, 1.7, n)
    slant, fork = rng.normal(0, 0.25, n), rng.uniform(0, 1.1, n) * (rng.random(n) < 0.5)
    nearest = np.searchsorted((opens[1:] + opens[:-1]) / 2, along)
    distance = np.full_like(along, np.inf)
    for neighbour in (-1, 0, 1):  # a slanting sulcus reaches under its neighbour
        i = np.clip(nearest + neighbour, 0, n - 1)
        aside = np.abs((along - opens[i]) * stretch - slant[i] * depth)
        aside = np.abs(aside - fork[i] * np.maximum(depth - 0.55 * deep[i], 0))
        taper = 1 - 0.75 * np.clip(depth / deep[i], 0, 1)
        below = np.maximum(depth - deep[i], 0)
        distance = np.minimum(distance, np.hypot(aside, below) - half_width[i] * taper)
    return distance


def _paint_scalp_and_skull(rng: Generator, head: _Head) -> Array:
    """Paint layer on layer from the skin to the CSF inside the skull.

    Returns:
        The depth of each point below the surface of the brain, `(n, n)`; negative outside.
    """
    v = head.y / _HALF_LENGTH
    u = head.x / (_HALF_WIDTH * (1 - 0.09 * v))  # narrower at the forehead
    radius = np.hypot(head.x, head.y)
    depth = radius / ((np.abs(u) ** 2.1 + np.abs(v) ** 2.1) ** (1 / 2.1)) - radius
    for mixture, thickness, spread, unevenness in _LAYERS:
        head.paint(mixture, -depth)
        uneven = np.clip(1 + unevenness * _field(rng, head.axis, 130), 0.5, 1.4)
        depth = depth - thickness * rng.lognormal(0, spread) * uneven
    head.paint({"CSF": 1.0}, -depth)
    room = np.clip(0.6 + 0.4 * v + 0.5 * _field(rng, head.axis, 110), 0.1, 2)  # most in front
    return depth - (0.3 + 3.0 * head.age) * room


def _paint_cortex(rng: Generator, head: _Head, depth: Array) -> None:
    """Paint a grey ribbon along the surface and down every sulcus, and white matter inside it."""
    x, y, axis = head.x, head.y, head.axis
    width = 0.45 + 1.7 * head.age
    wiggle = 2.2 * _field(rng, axis, 28)
    # Sulci of the outer surface; length along it is measured on a circle.
    circle = 65.0
    along, stretch = np.arctan2(x, y) * circle + wiggle, np.hypot(x, y) / circle
    pia = np.minimum(depth, _sulci(rng, along, depth, stretch, [(-circle * 3, circle * 3)], width))
    # The fissure between the hemispheres, in front of the corpus callosum and behind it, and the
    # sulci that open into it on either side.
    middle = x - 1.2 * _field(rng, axis, 60)
    front, back = rng.normal(42, 2.5), rng.normal(-30, 3)
    callosum = np.maximum(0, np.minimum(front - y, y - back))
    pia = np.minimum(pia, np.hypot(middle, callosum) - (0.2 + 0.9 * head.age))
    for side in (-1, 1):
        spans = [(-76, back - 3), (front, 78)]
        medial = _sulci(rng, y + wiggle, side * middle, 1.0, spans, 0.8 * width)
        pia = np.minimum(pia, np.where(side * middle > -1, medial, np.inf))
    cortex = 3.3 * rng.lognormal(0, 0.08) * (1 + 0.12 * _field(rng, axis, 50))
    head.paint({"grey matter": 1.0}, -pia)
    head.paint({"white matter": 1.0}, cortex - pia)
    grey = np.clip(0.08 + 0.09 * _field(rng, axis, 26), 0, 1)  # white matter is not all of a kind
    head.paint({"grey matter": 1.0}, cortex - pia, grey)


def _paint_deep_structures(rng: Generator, head: _Head) -> None:
    """Paint the deep grey nuclei, then the ventricles, which push them outwards as they grow."""
    opening = min(2.0, (0.5 + 1.2 * head.age) * rng.lognormal(0, 0.25))
    height = rng.beta(1.2, 2.0)  # the lower the slice, the more of the nuclei it holds
    bend, length = rng.normal(0, (0.8, 0, 0), np.shape(_VENTRICLE)), rng.normal(1, 0.07)
    for side in (-1, 1):
        size = opening * rng.lognormal(0, 0.08)
        spread = 0.75 + 0.25 * size
        x, y = side * head.x, head.y
        for start, end, grey in _NUCLEI:
            nucleus = _capsule(x - 2 - 6 * (spread - 1), y, start, end)
            head.paint({"grey matter": 1.0}, nucleus / 3, grey * height)  # / 3: a soft edge
        nodes = np.multiply(_VENTRICLE, (spread, length, size)) + bend
        ventricle = np.min([_capsule(x, y, *ends) for ends in pairwise(nodes)], axis=0)
        head.paint({"CSF": 1.0}, np.maximum(ventricle, 0.7 - x))  # 0.7: the septum between them


def _anatomy(rng: Generator) -> Array:
    """Return the tissue shares of one person, `(6, n, n)` on the fine grid."""
    n = _SIZE * _SUPERSAMPLING
    axis = ((np.arange(n) + 0.5) / n - 0.5) * _FIELD_OF_VIEW
    x, y = np.meshgrid(axis - rng.normal(0, 1.5), axis - rng.normal(0, 1.5), indexing="ij")
    turn = np.deg2rad(rng.normal(0, 1.3))
    x, y = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    x = x / rng.normal(1, 0.018) + 1.3 * _field(rng, axis, 130)  # the waves make it lopsided
    y = y / rng.normal(1, 0.012) + 1.3 * _field(rng, axis, 130)
    head = _Head(x, y, axis, rng.beta(1.3, 2.2), shares=np.zeros((len(TISSUES), n, n)))
    depth = _paint_scalp_and_skull(rng, head)
    _paint_cortex(rng, head, depth)
    _paint_deep_structures(rng, head)
    return head.shares


# --- Scanner ------------------------------------------------------------------------------------


def _acquire(rng: Generator, shares: Array, signals: Array, blur: float, coil: float) -> Tensor:
    """Return the image of a head, `(64, 64)`, scaled to [-1, 1].

    Args:
        rng: Source of the noise.
        shares: Tissue shares `(6, n, n)` on the fine grid.
        signals: Signal of each tissue, `(6,)`.
        blur: Standard deviation of the point spread function, in voxels.
        coil: How much the sensitivity of the coil changes towards the edge.
    """
    voxels, points = np.arange(_SIZE) + 0.5, np.arange(0.5, shares.shape[-1]) / _SUPERSAMPLING
    # One Gaussian per voxel: partial volume and blur, in one product along each axis. (einsum, not
    # @: a threaded BLAS is far slower on matrices as small as these.)
    voxel = np.exp(-np.minimum(((voxels[:, None] - points) / blur) ** 2 / 2, 30))
    voxel /= voxel.sum(axis=1, keepdims=True)
    rows = np.einsum("xi,ij->xj", voxel, np.einsum("k,kij->ij", signals, shares))
    image = np.einsum("xj,yj->xy", rows, voxel)
    axis = voxels / _SIZE - 0.5
    image = image * np.exp(0.06 * _field(rng, axis, 1.0) + coil * np.add.outer(axis**2, axis**2))
    sigma = rng.uniform(0.002, 0.005) * image.max()
    real, imaginary = rng.normal(0, sigma, (2, _SIZE, _SIZE))
    image = np.hypot(image + real, imaginary)  # a magnitude: the noise is Rician
    image = (image - image.min()) / (image.max() - image.min())
    return torch.from_numpy(2 * image - 1)


def tissue_shares(subject: int) -> Array:
    """Return how much of each tissue is where in the head of one simulated person.

    Args:
        subject: The person, 0 or more, as for `simulate_pair`.

    Returns:
        Shares in [0, 1], `(6, 128, 128)` in the order of `TISSUES`, on twice as many points along
        each axis as a slice has voxels; what is missing to 1 is air. The first axis of a map is x.
    """
    return _anatomy(np.random.default_rng([1, subject]))


def simulate_pair(subject: int) -> tuple[Tensor, Tensor]:
    """Return the T1-w and the T2-w slice of one simulated person.

    Args:
        subject: The person, 0 or more; the same number gives the same pair everywhere.

    Returns:
        T1-w and T2-w slice, each a float64 tensor `(64, 64)` that spans exactly `[-1, 1]`. The
        first axis is x (left to right), the second y (back to front): show with
        `imshow(t.T, origin="lower")`.
    """
    rng = np.random.default_rng([1, subject])  # another first number: another population
    shares = _anatomy(rng)
    tissues = []
    for name, tissue in TISSUES.items():
        t1, t2, pd = rng.lognormal(*_VARIATION[name])
        tissues.append(replace(tissue, t1=tissue.t1 * t1, t2=tissue.t2 * t2, pd=tissue.pd * pd))
    gradient_echo = {**T1_WEIGHTED, "flip_angle": rng.normal(T1_WEIGHTED["flip_angle"], 1.5)}
    spin_echo = {**T2_WEIGHTED, "te": rng.normal(T2_WEIGHTED["te"], 8)}
    t1w = np.array([gradient_echo_signal(tissue, **gradient_echo) for tissue in tissues])
    t2w = np.array([spin_echo_signal(tissue, **spin_echo) for tissue in tissues])
    return (
        _acquire(rng, shares, t1w, blur=rng.uniform(0.40, 0.50), coil=rng.normal(0.3, 0.5)),
        _acquire(rng, shares, t2w, blur=rng.uniform(0.42, 0.55), coil=rng.normal(0.0, 0.4)),
    )


# --- Files --------------------------------------------------------------------------------------


def write_phantom(folder: str | Path, n_subjects: int = 577) -> Path:
    """Write simulated pairs in the file format of the real data, which `labhelpers.data` describes.

    The folder appears complete or not at all; one that is already there and up to date is kept.

    Args:
        folder: Where to; its parent is made if need be.
        n_subjects: Number of pairs, by default as many as the real data has.

    Returns:
        The folder.

    Raises:
        FileExistsError: If the folder holds anything that is not a simulated slice.
    """
    folder = Path(folder)
    is_sound = partial(_is_up_to_date, n_subjects=n_subjects)
    if is_sound(folder):
        return folder
    names = _visible_files(folder)
    foreign = [name for name in names if not (parse_slice_name(name) and is_simulated([name]))]
    if foreign:
        raise FileExistsError(
            f"{folder} holds {foreign[0]!r}, expected nothing but simulated slices: give a new "
            "folder, or empty this one."
        )
    with replace_folder(folder, is_sound) as new:
        for number in range(n_subjects):
            write_pair(new, simulated_subject(number), *simulate_pair(number))
    return folder


def _visible_files(folder: Path) -> list[str]:
    """Return the names in a folder, without the hidden files that systems leave."""
    return sorted(path.name for path in folder.glob("[!.]*"))


def _is_up_to_date(folder: Path, n_subjects: int) -> bool:
    """Return True if the folder holds just these pairs as they are simulated now, none cut short.

    Only the first pair is compared: to simulate all of them takes minutes.
    """
    wanted = [
        slice_name(simulated_subject(number), modality)
        for number in range(n_subjects)
        for modality in MODALITIES
    ]
    if _visible_files(folder) != sorted(wanted):
        return False
    if any((folder / name).stat().st_size < _SLICE_BYTES for name in wanted):
        return False
    try:
        first = [torch.load(folder / name, weights_only=True) for name in wanted[:2]]
        return all(map(torch.allclose, first, simulate_pair(0)))
    except Exception:  # damaged, whatever the damage: write it again
        return False
