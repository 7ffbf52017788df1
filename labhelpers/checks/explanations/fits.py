"""What the explanations of notebook 1 share: fits of images by slices, turned images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from torch import Tensor

from labhelpers.checks.cases import Setting
from labhelpers.checks.probes.data import as_tensor
from labhelpers.checks.records import TOLERANCES, Run
from labhelpers.data import IXIDataset
from labhelpers.session import seed_everything

__all__ = [
    "FIRST_SUBJECTS",
    "ORIENTATIONS",
    "SOME_SUBJECTS",
    "VOXELS",
    "changes",
    "fitted",
    "is_close",
    "repeated",
    "result_of",
    "setting_of",
    "stretched",
]

VOXELS = (64, 64)
ORIENTATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda image: image,
    "with the two image axes exchanged": lambda image: image.T,
    "mirrored along the first image axis": lambda image: image.flip(0),
    "mirrored along the second image axis": lambda image: image.flip(1),
    "turned by half a turn": lambda image: image.flip(0, 1),
}


def _first(k: int, n: int) -> slice:
    return slice(k)


#: Some of `n` subjects, in words, and the first of them up to numbers that are easily written down.
SOME_SUBJECTS: dict[str, Callable[[int], slice]] = {
    "the first subject alone": lambda n: slice(1),
    "the last subject alone": lambda n: slice(n - 1, None),
    "all subjects but the last": lambda n: slice(n - 1),
    "all subjects but the first": lambda n: slice(1, None),
    "every second subject": lambda n: slice(0, None, 2),
}
FIRST_SUBJECTS: dict[str, Callable[[int], slice]] = {
    f"the first {k} subjects": partial(_first, k) for k in (5, 8, 10, 16, 20, 32, 40, 50, 64)
}


def setting_of(runs: list[Run]) -> Setting:
    """Return the setting of the visible check in the number type in which the answer works."""
    is_single = runs[0]["tolerance"] == TOLERANCES[1]
    return Setting(dtype=torch.float32 if is_single else torch.float64)


def result_of(answer: Any, dataset: IXIDataset, **options: Any) -> Tensor:
    """Return what an answer makes of a copy of a data set."""
    return as_tensor(answer(deepcopy(dataset), **options)).double()


def repeated(
    answer: Any,
    name: str,
    pair: Sequence[IXIDataset],
    is_kept: Callable[[Tensor], bool],
    **options: Any,
) -> str:
    """Return in words if one data set gives several results, or two data sets the same, else "".

    Args:
        answer: Function of a data set, which has been called before.
        name: What it returns, in a word.
        pair: Two data sets of the same size.
        is_kept: Whether a result comes from an earlier call.
        options: Further arguments of the answer.
    """
    drawn: list[Tensor] = []
    for seed in (0, 1, 0):  # the caller puts random states back
        seed_everything(seed)
        drawn.append(result_of(answer, pair[0], **options))
    first, second, third = drawn
    if not (is_close(second, first) and is_close(third, first)):
        why = "something in it is drawn at random"
        if not is_close(third, first):  # or has a generator of its own
            why += (
                ", or kept from call to call, as in a global variable or in the default value of a "
                "parameter"
            )
        return f"Your {name} is another one in each call with the same data set: {why}."
    # A few numbers that come back may come of anything.
    n_values = len(first[first.isfinite()].unique())
    if n_values > 2 and is_close(result_of(answer, pair[1], **options), first):
        why = "your function returns what it has kept of an earlier call"
        if not is_kept(first):
            why = f"it does not depend on them, or {why}"
        return f"Your {name} is the same for two data sets with other slices: {why}."
    return ""


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


def stretched(slices: Tensor) -> Tensor:
    """Return slices `(N, voxels)`, each brought to the range from 0 to 1."""
    low, high = slices.amin(dim=1, keepdim=True), slices.amax(dim=1, keepdim=True)
    return (slices - low) / (high - low)


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
