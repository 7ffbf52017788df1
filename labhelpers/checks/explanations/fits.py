"""What the explanations of notebook 1 share: fits of images by slices, turned images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from labhelpers.checks.cases import Setting
from labhelpers.checks.probes.data import as_tensor
from labhelpers.checks.records import TOLERANCES, Run
from labhelpers.data import IXIDataset

__all__ = ["ORIENTATIONS", "VOXELS", "changes", "fitted", "is_close", "result_of", "setting_of"]

VOXELS = (64, 64)
ORIENTATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda image: image,
    "with its two image axes exchanged": lambda image: image.T,
    "mirrored along its first axis": lambda image: image.flip(0),
    "mirrored along its second axis": lambda image: image.flip(1),
    "turned by half a turn": lambda image: image.flip(0, 1),
}


def setting_of(runs: list[Run]) -> Setting:
    """Return the setting of the visible check in the number type in which the answer works."""
    is_single = runs[0]["tolerance"] == TOLERANCES[1]
    return Setting(dtype=torch.float32 if is_single else torch.float64)


def result_of(answer: Any, dataset: IXIDataset, **options: Any) -> Tensor:
    """Return what an answer makes of a copy of a data set."""
    return as_tensor(answer(deepcopy(dataset), **options)).double()


def changes(answer: Any, dataset: IXIDataset) -> Iterator[str]:
    """Yield a sentence if an answer changes the data set that it is given."""
    given = deepcopy(dataset)
    answer(given)
    pairs = {"T1-w": (dataset.t1, given.t1), "T2-w": (dataset.t2, given.t2)}
    changed = [name for name, (before, after) in pairs.items() if not torch.equal(before, after)]
    if changed:
        yield (
            f"Your function changes the {' and '.join(changed)} slices of the data set, in place. "
            "Make new tensors: all that uses the data set afterwards would be wrong."
        )


def fitted(parts: Tensor, target: Tensor) -> Tensor | None:
    """Return the weights with which the rows of `parts` add up to a target, None if they do not."""
    if not (parts.isfinite().all() and target.isfinite().all()):
        return None
    weights = torch.linalg.lstsq(parts.T, target[:, None]).solution[:, 0]
    return weights if is_close(weights @ parts, target) else None


def is_close(one: Tensor, other: Tensor, tolerance: float = 2e-5) -> bool:
    """Return True if two tensors are equal but for rounding, in float32 at worst."""
    if one.shape != other.shape:
        return False
    size = max(1.0, float(other[other.isfinite()].abs().max())) if other.isfinite().any() else 1.0
    return torch.allclose(one, other, rtol=0, atol=tolerance * size, equal_nan=True)
