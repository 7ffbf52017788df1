"""Probe of notebook 4: the contrast of lesions, on slices whose lesions differ in size and sign."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from labhelpers.checks.cases import Case, Log, Setting
from labhelpers.checks.fingerprint import hashed

__all__ = ["lesion_contrast", "painted"]

_SMALLEST_LESION = 1  # voxels; each next slice has some more
_MORE_VOXELS = 3


def lesion_contrast(answer: Any, setting: Setting) -> Iterator[Case]:
    """Measure lesions in several slices, in one slice, and in float32."""
    several, fewer = setting.choose((4, 2), (5, 3))
    shapes = setting.choose((12, 10), (9, 14))

    def act(log: Log, n_slices: int, seed: int, dtype: torch.dtype) -> None:
        arguments = painted(n_slices, shapes, setting.seed(seed), dtype)
        before = [tensor.clone() for tensor in arguments]
        contrast = answer(*arguments)
        log("shape", _kind(contrast))
        log("values", torch.as_tensor(contrast).detach().reshape(-1).double())
        log("untouched", all(map(torch.equal, before, arguments)))

    def case(label: str, n_slices: int, seed: int, dtype: torch.dtype = setting.dtype) -> Case:
        return Case(label, partial(act, n_slices=n_slices, seed=seed, dtype=dtype))

    yield case(f"{several} slices", several, 110)
    yield case("one slice", 1, 120)
    yield case(f"{fewer} slices in float32", fewer, 130, torch.float32)


def painted(
    n_slices: int, shape: tuple[int, int], seed: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Return slices, masks of their lesions and of what surrounds these, `(n_slices, 1, H, W)`.

    Lesions and surrounds have another size in each slice and are no connected regions. Half of the
    lesions are brighter than their surround, half are darker. Each surround has voxels of
    exactly -1 (the value of air), 1 and 0. Each lesion that is large enough has one of exactly 0,
    and one of 1 if it is bright or of -1 if it is dark.
    """
    height, width = shape
    n_voxels = height * width
    voxels = 0.3 * hashed((n_slices, n_voxels), seed)
    order = hashed((n_slices, n_voxels), seed + 1).argsort(dim=1)
    level, difference = hashed((2, n_slices), seed + 2).abs()
    lesions = torch.zeros(n_slices, n_voxels, dtype=torch.bool)
    surrounds = torch.zeros_like(lesions)
    for k in range(n_slices):
        n_lesion = _SMALLEST_LESION + _MORE_VOXELS * k
        lesion, rest = order[k, :n_lesion], order[k, n_lesion:]
        surround = rest[: 8 + 5 * k]
        lesions[k, lesion], surrounds[k, surround] = True, True
        voxels[k] += 0.3 * level[k] - 0.15
        voxels[k, lesion] += (0.15 + 0.4 * difference[k]) * (-1) ** k
        voxels[k, rest[-n_voxels // 4 :]] = -1
        voxels[k, surround[:3]] = voxels.new_tensor([-1, 1, 0])
        if n_lesion > _SMALLEST_LESION:
            voxels[k, lesion[:2]] = voxels.new_tensor([0, (-1) ** k])
    size = (n_slices, 1, height, width)
    return voxels.to(dtype).reshape(size), lesions.reshape(size), surrounds.reshape(size)


def _kind(value: Any) -> str:
    shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
    name = "Tensor" if isinstance(value, Tensor) else type(value).__name__
    return f"a {name}{shape}"
