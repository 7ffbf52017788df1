"""Measures of a slice that do not depend on its scale: outline of the head, grey of its middle."""

import torch
from torch import Tensor

__all__ = ["BRIGHT", "head_outline", "head_overlap", "middle_grey", "scaled"]

BRIGHT = 0.05  # of the range of a slice: what is brighter is no air
_MIDDLE = slice(20, 44)  # voxels along x and y: brain without skull, 24 x 24 of 64 x 64


def scaled(image: Tensor) -> Tensor:
    """Return a slice with its finite values stretched to [0, 1]; NaN and infinity become 0.

    Args:
        image: A slice, any shape.
    """
    finite = image.isfinite()
    low = torch.where(finite, image, torch.inf).min()
    high = torch.where(finite, image, -torch.inf).max()
    return torch.where(finite, (image - low) / (high - low), 0.0)


def head_outline(image: Tensor) -> Tensor:
    """Return True for each voxel inside the outline of the head, a tensor of bool like the slice.

    A voxel is inside if, along x and along y, it lies between two voxels that are brighter than
    5 % of the range of the slice.

    Args:
        image: A slice, `(1, 64, 64)` or `(64, 64)`, on any scale.
    """
    bright = (scaled(image) > BRIGHT).byte()
    inside = torch.ones_like(bright)
    for axis in (-1, -2):
        inside &= bright.cummax(axis).values  # behind one that is bright
        inside &= bright.flip(axis).cummax(axis).values.flip(axis)  # before one
    return inside.bool()


def head_overlap(image: Tensor, other: Tensor) -> float:
    """Return which share of two heads the two slices have in common: 1 if their outlines agree.

    The number of voxels inside both outlines, divided by that of voxels inside at least one.

    Args:
        image: A slice, `(1, 64, 64)` or `(64, 64)`, on any scale.
        other: Another one, of the same shape.
    """
    one, two = head_outline(image), head_outline(other)
    return ((one & two).sum() / (one | two).sum()).item()


def middle_grey(image: Tensor) -> float:
    """Return how bright most of the middle of the head is, compared with its brightest part.

    The median of the middle 24 x 24 voxels, divided by their 99 % quantile: 1 if most of the middle
    is as bright as its brightest part, as white matter is in T1-w; less if a small part, such as
    the CSF in T2-w, is far brighter than the rest.

    Args:
        image: A slice, `(1, 64, 64)` or `(64, 64)`, on any scale.
    """
    middle = scaled(image)[..., _MIDDLE, _MIDDLE].flatten()
    return (middle.median() / middle.quantile(0.99)).item()
