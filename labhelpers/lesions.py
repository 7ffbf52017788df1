"""Paint small lesions into true slices, and measure what a generated slice makes of the anatomy.

The lesions are those of white matter in multiple sclerosis, by the constants of the BrainWeb
simulator (sources in `labhelpers.contrast`). They are discs within the slice, with partial volume
at their rim (each voxel gets as much of the lesion as the disc covers) and none through the slice;
real ones have other shapes, blurred rims and swelling around them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from labhelpers.contrast import (
    T1_WEIGHTED,
    T2_WEIGHTED,
    TISSUES,
    Tissue,
    gradient_echo_signal,
    spin_echo_signal,
)
from labhelpers.data import VOXEL_MM

__all__ = [
    "LESION",
    "Lesions",
    "dice",
    "invented_structures",
    "mask_areas",
    "on_the_way",
    "paint_lesions",
    "ventricle_masks",
]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LESION = Tissue(t1=752, t2=237, t2_star=204, pd=0.76)
"""A lesion of multiple sclerosis at 1.5 T: times in ms, proton density relative to water."""

# Where brain and ventricles are: heads are aligned, mid-head is between voxels 31 and 32.
_X, _Y = np.meshgrid(np.arange(64) - 31.5, np.arange(64) - 31.5, indexing="ij")
_BRAIN = np.hypot(_X / 13.5, _Y / 18) < 1  # inside the cortex
_MIDDLE = np.hypot(_X / 9.5, (_Y - 1) / 11) < 1  # around the lateral ventricles
_INNER = np.hypot(_X / 9.5, (_Y - 1) / 7) < 1  # where each part of them reaches

_NEAR = np.arange(-3, 4)  # voxels around the one where a disc is placed
_FINE = 8  # points per voxel side that tell how much of it a disc covers


@dataclass(frozen=True)
class Lesions:
    """Slices with one lesion each.

    Attributes:
        t1: T1-w slices with the lesion, `(N, 1, 64, 64)` in [-1, 1].
        t2: T2-w slices of the same subjects with the same lesion, same shape.
        lesion_masks: True in the lesion (voxels that it covers by half or more), bool, same shape.
        surround_masks: True in the white matter around it, none of which it covers.
    """

    t1: Tensor
    t2: Tensor
    lesion_masks: Tensor
    surround_masks: Tensor


def paint_lesions(t1: Tensor, t2: Tensor, size: int, seed: int = 0) -> Lesions:
    """Paint one lesion into the white matter of each subject, in both contrasts.

    The signal equations say how far a lesion is on the way from white matter to CSF; the slice
    itself says how grey these two are:

        value = value of the voxel + covered part · f · (CSF - white matter)
        f = (S(lesion) - S(white matter)) / (S(CSF) - S(white matter))

    with f = 0.30 in T1-w and 0.70 in T2-w. The place is drawn at random where white matter covers
    the whole disc; it depends on the seed and on the place of the subject in the batch.

    Args:
        t1: True T1-w slices `(N, 1, 64, 64)` in [-1, 1].
        t2: True T2-w slices of the same subjects, same shape.
        size: Diameter in voxels, 1 to 4: 3.75 to 15 mm.
        seed: Seed of the places.

    Raises:
        ValueError: If the size is not 1 to 4.
    """
    if size not in (1, 2, 3, 4):
        raise ValueError(f"size is {size!r}: expected a diameter of 1, 2, 3 or 4 voxels.")
    painted_t1, painted_t2 = t1.clone(), t2.clone()
    lesion_masks, surround_masks = torch.zeros(2, *t1.shape, dtype=torch.bool)
    for k, (one_t1, one_t2) in enumerate(zip(_arrays(t1), _arrays(t2), strict=True)):
        tissues = _Tissues.of(one_t1, one_t2)
        covered, distance = _disc(tissues.white_matter, size, np.random.default_rng([seed, k]))
        for painted, change in zip((painted_t1, painted_t2), tissues.lesion_changes(), strict=True):
            added = torch.from_numpy(covered * change).to(painted)
            painted[k, 0] = (painted[k, 0] + added).clamp(-1, 1)
        ring = (distance > size / 2 + 1) & (distance < size / 2 + 2.6) & (covered == 0)
        lesion_masks[k, 0] = torch.from_numpy(covered >= 0.5)
        surround_masks[k, 0] = torch.from_numpy(ring & tissues.white_matter)
    return Lesions(painted_t1, painted_t2, lesion_masks, surround_masks)


def invented_structures(
    fake_t2: Tensor, real_t2: Tensor, real_t1: Tensor, least: float = 0.5
) -> Tensor:
    """Count the bright spots in the white matter of generated slices that the true ones lack.

    A spot is as large as a lesion of 2 voxels or more: the mean of 2 x 2 voxels exceeds that of the
    white matter around them by `least` of what a lesion adds there. In the true slice the same
    place has less than half of that. White matter is that of the true slices. Spots that touch
    count once; smaller ones cannot be told from noise.

    Args:
        fake_t2: Generated T2-w slices `(N, 1, 64, 64)` in [-1, 1].
        real_t2: True T2-w slices, same shape.
        real_t1: True T1-w slices, same shape: they show where the white matter is.
        least: Smallest contrast that counts, as a part of a lesion's.

    Returns:
        Number of spots in each slice, `(N,)`, integers.
    """
    counts = []
    for fake, real, t1 in zip(*map(_arrays, (fake_t2, real_t2, real_t1)), strict=True):
        tissues = _Tissues.of(t1, real)
        _, lesion = tissues.lesion_changes()
        fake_contrast, real_contrast = (
            _spot_contrast(image, tissues.white_matter) / lesion for image in (fake, real)
        )
        spots = (fake_contrast > least) & (real_contrast < least / 2)
        spots &= _whole_squares(tissues.white_matter)
        counts.append(ndimage.label(spots, np.ones((3, 3)))[1])
    return torch.tensor(counts)


def ventricle_masks(t2: Tensor) -> Tensor:
    """Return where the lateral ventricles are, from the slice alone, true or generated.

    The bright class of the middle of the brain, by the threshold that separates two classes best
    (Otsu, IEEE Trans. Systems, Man, and Cybernetics 9(1), 1979), less what lies in front or behind.

    Args:
        t2: T2-w slices `(N, 1, 64, 64)` in [-1, 1].

    Returns:
        Masks, bool, same shape.
    """
    masks = np.stack([_ventricles(image) for image in _arrays(t2)])
    return torch.from_numpy(masks)[:, None]


def dice(masks_a: Tensor, masks_b: Tensor) -> Tensor:
    """Return the Dice coefficient of each pair of masks, 2 |A and B| / (|A| + |B|).

    Args:
        masks_a: Masks `(N, 1, H, W)`, bool.
        masks_b: Masks of the same shape.

    Returns:
        Coefficients `(N,)` in [0, 1]; 1 where both masks are empty.
    """
    both = (masks_a & masks_b).flatten(1).sum(1)
    total = masks_a.flatten(1).sum(1) + masks_b.flatten(1).sum(1)
    return torch.where(total > 0, 2 * both / total.clamp(min=1), 1.0)


def mask_areas(masks: Tensor) -> Tensor:
    """Return the area of each mask in mm², `(N,)`.

    Args:
        masks: Masks `(N, 1, H, W)`, bool.
    """
    return masks.flatten(1).sum(1) * VOXEL_MM**2


@dataclass(frozen=True)
class _Tissues:
    """What of one subject's slices is white matter, and how grey white matter and CSF are.

    Attributes:
        white_matter: Where it is, `(64, 64)`.
        grey: Grey values (white matter, CSF) in T1-w and in T2-w.
    """

    white_matter: Mask
    grey: tuple[tuple[float, float], tuple[float, float]]

    @classmethod
    def of(cls, t1: Array, t2: Array) -> _Tissues:
        """Find them in a pair of true slices, each `(64, 64)` in [-1, 1]."""
        ventricles = _ventricles(t2)
        # The extremes, because most voxels of narrow ventricles hold some tissue, too.
        csf_t1, csf_t2 = np.quantile(t1[ventricles], 0.05), np.quantile(t2[ventricles], 0.95)
        around = _BRAIN & ~ndimage.binary_dilation(ventricles)
        wm_t1 = np.quantile(t1[around], 0.75)  # about half of it is white matter, the brighter one
        grey_matter = on_the_way(TISSUES["grey matter"])[0]
        white = around & (t1 > wm_t1 + grey_matter / 2 * (csf_t1 - wm_t1))
        wm_t2 = np.median(t2[white])
        white &= t2 < wm_t2 + 0.2 * (csf_t2 - wm_t2)  # above it are sulci, vessels and real lesions
        return cls(white, ((wm_t1, csf_t1), (wm_t2, csf_t2)))

    def lesion_changes(self) -> list[float]:
        """Return what a lesion adds to white matter in T1-w and in T2-w, in grey values."""
        parts = on_the_way(LESION)
        return [part * (csf - white) for part, (white, csf) in zip(parts, self.grey, strict=True)]


def on_the_way(tissue: Tissue) -> tuple[float, float]:
    """Return how far a tissue's signal is on the way from white matter to CSF, T1-w and T2-w."""
    parts = []
    for signal, sequence in ((gradient_echo_signal, T1_WEIGHTED), (spin_echo_signal, T2_WEIGHTED)):
        white, csf = (signal(TISSUES[name], **sequence) for name in ("white matter", "CSF"))
        parts.append(float((signal(tissue, **sequence) - white) / (csf - white)))
    return parts[0], parts[1]


def _disc(white_matter: Mask, size: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return what a disc covers of each voxel, and the distance of each to its centre in voxels.

    The centre is that of a voxel where the diameter is odd, and a corner where it is even.
    """
    offset = 0.0 if size % 2 else 0.5
    near = np.hypot(*np.meshgrid(_NEAR - offset, _NEAR - offset, indexing="ij"))
    touched = near < size / 2 + 0.5
    room = ndimage.correlate(white_matter.astype(float), touched * 1.0, mode="constant")
    places = np.argwhere(room == room.max())  # where it is all white matter, or nearly so
    x, y = places[rng.integers(len(places))]
    points = (np.arange(_FINE * len(_NEAR)) + 0.5) / _FINE + _NEAR[0] - 0.5 - offset
    inside = np.hypot(*np.meshgrid(points, points, indexing="ij")) < size / 2
    covered = np.zeros_like(_X)
    covered[np.ix_(x + _NEAR, y + _NEAR)] = inside.reshape(7, _FINE, 7, _FINE).mean(axis=(1, 3))
    return covered, np.hypot(_X - _X[x, 0] - offset, _Y - _Y[0, y] - offset)


def _spot_contrast(t2: Array, white_matter: Mask) -> Array:
    """Return, for each square of 2 x 2 voxels, its mean less that of the white matter around it.

    The value stands at the voxel of the square with the lowest x and y.
    """
    reach = np.arange(-4, 6) - 0.5
    distance = np.hypot(*np.meshgrid(reach, reach, indexing="ij"))
    ring = (distance > 2) & (distance < 4)
    total, count = (
        ndimage.correlate(image, ring.astype(float), mode="constant", origin=-1)
        for image in (t2 * white_matter, white_matter.astype(float))
    )
    square = ndimage.correlate(t2, np.full((2, 2), 0.25), mode="constant", origin=-1)
    return square - total / np.maximum(count, 1)


def _whole_squares(mask: Mask) -> Mask:
    """Return where a square of 2 x 2 voxels is all in a mask, at its voxel with lowest x and y."""
    return ndimage.binary_erosion(mask, np.ones((2, 2)), origin=-1)


def _ventricles(t2: Array) -> Mask:
    """Return the ventricles of one slice, as `ventricle_masks` describes them."""
    bright = _MIDDLE & (t2 > _threshold(t2[_MIDDLE]))
    parts, _ = ndimage.label(bright)
    return bright & np.isin(parts, parts[bright & _INNER])


def _threshold(values: Array, n_bins: int = 64) -> float:
    """Return the edge of a histogram that separates two classes best, by Otsu's criterion.

    Values that are all the same are one class, below the threshold.
    """
    counts, edges = np.histogram(values, n_bins)
    below, sums = counts.cumsum()[:-1], (counts * (edges[1:] + edges[:-1]) / 2).cumsum()
    above = len(values) - below
    means = sums[:-1] / np.maximum(below, 1), (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    between = below * above * (means[0] - means[1]) ** 2
    return float(edges[1:-1][between.argmax()] if between.any() else values.max())


def _arrays(slices: Tensor) -> Array:
    """Return slices `(N, 1, 64, 64)` as float64 `(N, 64, 64)`."""
    return slices[:, 0].detach().cpu().double().numpy()
