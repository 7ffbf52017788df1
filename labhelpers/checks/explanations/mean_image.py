"""Tell how a mean image was made: of which slices, over which axes, on which scale."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, combinations, product
from typing import Any, NamedTuple

import torch
from torch import Tensor

from labhelpers.checks.explanations.fits import (
    ORIENTATIONS,
    VOXELS,
    fitted,
    is_close,
    setting_of,
)
from labhelpers.checks.fixtures import make_dataset
from labhelpers.checks.probes import data as probes
from labhelpers.checks.records import Explanation, Run, explained
from labhelpers.data import IXIDataset

__all__ = ["mean_image"]

_STATISTICS: dict[str, Callable[[Tensor], Tensor]] = {
    "median": lambda slices: slices.median(dim=0).values,
    "maximum": lambda slices: slices.max(dim=0).values,
    "minimum": lambda slices: slices.min(dim=0).values,
    "standard deviation": lambda slices: slices.std(dim=0),
}


class _Image(NamedTuple):
    """How an image was made.

    Attributes:
        statistic: `"mean"` for any weighted sum of slices, else another one.
        contrast: Of which slices, in words.
        weights: How much each subject counts, adding up to 1.
        scale: By what the statistic is multiplied.
        offset: What is added then.
        orientation: What was done to the image axes, in words.
    """

    statistic: str
    contrast: str
    weights: Tensor
    scale: float
    offset: float
    orientation: str


def mean_image(answer: Any, runs: list[Run]) -> Explanation | None:
    """Tell which slices were averaged, and how, from the numbers of the image."""
    setting = setting_of(runs)
    # The two larger ones have more subjects than batches, the last one confirms the others.
    datasets = [
        make_dataset(size, setting.seed(30 + size), setting.dtype, extremes=size > 6)
        for size in (6, 83, 89)
    ]
    results = [probes.as_tensor(answer(dataset)).double() for dataset in datasets]
    shape = tuple(results[0].shape)
    found: list[_Image] = []
    for result, dataset in zip(results, datasets, strict=True):
        turns = [found[0].orientation] if found else [*ORIENTATIONS]
        image = _read_image(result, dataset, turns)
        if image is None:
            break
        found.append(image)
    ways = {(image.statistic, image.contrast, image.orientation) for image in found}
    if len(found) == len(datasets) and len(ways) == 1:
        words = _image_in_words(found)
    else:
        words = _axes_in_words(results[:2], datasets[:2])
    if not words:
        return None
    if shape != (1, *VOXELS):
        words += f" Its shape is {shape} for {len(datasets[0])} subjects."
    asked = f"Asked for: the mean of the T2-w slices of all subjects, shape {(1, *VOXELS)}."
    return explained([f"{words} {asked}"], ["values", "shape"])


def _read_image(result: Tensor, dataset: IXIDataset, orientations: Sequence[str]) -> _Image | None:
    """Return how an image was made from a data set, None if that cannot be seen."""
    if result.numel() != 64 * 64:
        return None
    n = len(dataset)
    t1, t2 = (x.double().reshape(n, -1) for x in (dataset.t1, dataset.t2))
    one = torch.ones(1, t1.shape[1], dtype=torch.float64)
    for orientation in orientations:
        image = ORIENTATIONS[orientation](result.reshape(VOXELS)).reshape(-1)
        weights = fitted(torch.cat((t2, t1, one)), image)
        if weights is not None:
            of_t2, of_t1 = weights[:n].sum(), weights[n:-1].sum()
            own = weights[:n] if of_t2.abs() > of_t1.abs() else weights[n:-1]
            contrast = "T2-w" if of_t1.abs() < 1e-4 else "T1-w" if of_t2.abs() < 1e-4 else ""
            total = float(own.sum())
            if abs(total) < 1e-4:
                return None
            scale = total if contrast else 1.0
            if not contrast:
                contrast = f"{of_t1:.3g} · T1-w + {of_t2:.3g} · T2-w"
            return _Image("mean", contrast, own / total, scale, float(weights[-1]), orientation)
        for (statistic, compute), (contrast, slices) in product(
            _STATISTICS.items(), {"T2-w": t2, "T1-w": t1}.items()
        ):
            pair = fitted(torch.stack((compute(slices), one[0])), image)
            if pair is not None:
                scale, offset = pair.tolist()
                equal = torch.full((n,), 1 / n, dtype=torch.float64)
                return _Image(statistic, contrast, equal, scale, offset, orientation)
    return None


def _image_in_words(images: Sequence[_Image]) -> str:
    """Return in words how the images of several data sets were made."""
    first = images[0]
    sizes = [len(image.weights) for image in images]
    who = _who([image.weights for image in images])
    counted = [int((image.weights.abs() > 1e-4).sum()) for image in images]
    scale = _scale([(image.scale, image.offset) for image in images], sizes, counted)
    is_sum = scale.startswith("divided") or scale == "not divided"
    statistic = "sum" if is_sum and first.statistic == "mean" else first.statistic
    words = f"Your image is the {statistic} of the {first.contrast} slices of {who}"
    return words + "".join(f", {part}" for part in (scale, first.orientation) if part) + "."


_EVERYBODY = "all subjects"


def _who(weights: Sequence[Tensor]) -> str:
    """Return in words how much the subjects of several data sets count in a mean."""
    for words, rule in _rules(weights[1]):
        wanted = [rule(len(one)) for one in weights]
        if all(is_close(one, other) for one, other in zip(weights, wanted, strict=True)):
            return words
    counts = [int((one.abs() > 1e-4).sum()) for one in weights]
    largest = [float(one.abs().max()) for one in weights]
    if all(abs(one * m - 1) < 1e-4 for one, m in zip(largest, counts, strict=True)):
        some = ", ".join(f"{m} of {len(one)}" for one, m in zip(weights, counts, strict=True))
        return f"some subjects only ({some})"
    small = ", ".join(f"{float(weight):.3g}" for weight in weights[0])
    return f"{_EVERYBODY}, who do not count the same: of {len(weights[0])} subjects {small}"


def _rules(weights: Tensor) -> Iterator[tuple[str, Callable[[int], Tensor]]]:
    """Yield ways to choose and weigh subjects: words, and a function of their number."""

    def some(choose: Callable[[list[int]], list[int]]) -> Callable[[int], Tensor]:
        def rule(n: int) -> Tensor:
            chosen = choose([*range(n)])
            counts = torch.bincount(torch.tensor(chosen), minlength=n).double()
            return counts / counts.sum()

        return rule

    yield _EVERYBODY, some(lambda all_: all_)
    yield "the first subject alone", some(lambda all_: all_[:1])
    yield "the last subject alone", some(lambda all_: all_[-1:])
    yield "all subjects but the last", some(lambda all_: all_[:-1])
    yield "all subjects but the first", some(lambda all_: all_[1:])
    yield "all subjects but the first and the last", some(lambda all_: all_[1:-1])
    yield "every second subject", some(lambda all_: all_[::2])
    yield "every second subject, from the second on", some(lambda all_: all_[1::2])
    yield "the first half of the subjects", some(lambda all_: all_[: len(all_) // 2])
    yield "the second half of the subjects", some(lambda all_: all_[len(all_) // 2 :])
    yield "all subjects, the first counted twice", some(lambda all_: [0, *all_])
    yield "all subjects, the last counted twice", some(lambda all_: [*all_, all_[-1]])
    counted = int((weights.abs() > 1e-4).sum())
    yield f"the first {counted} subjects", some(lambda all_: all_[:counted])
    yield f"the last {counted} subjects", some(lambda all_: all_[-counted:])
    yield (
        f"all subjects but the last {len(weights) - counted}",
        some(lambda all_: all_[: counted - len(weights)] or all_),
    )

    def halved(n: int) -> Tensor:
        shares = [0.5 ** min(n - number, n - 1) for number in range(n)]
        return torch.tensor(shares, dtype=torch.float64)

    yield "all subjects, each new one with the weight one half", halved
    for size in range(2, len(weights)):

        def of_batches(n: int, size: int = size) -> Tensor:
            batches = [*torch.ones(n, dtype=torch.float64).split(size)]
            return torch.cat([batch / len(batch) / len(batches) for batch in batches])

        def of_full(all_: list[int], size: int = size) -> list[int]:
            return all_[: len(all_) // size * size] or all_

        def of_last(n: int, size: int = size) -> Tensor:
            last = (n - 1) // size * size
            return torch.cat((torch.zeros(last), torch.full((n - last,), 1 / (n - last)))).double()

        yield f"all subjects, as a mean of the means of batches of {size}", of_batches
        yield f"the last batch of {size}", of_last
        yield f"full batches of {size}, without the last, smaller batch", some(of_full)


def _scale(
    pairs: Sequence[tuple[float, float]], sizes: Sequence[int], counted: Sequence[int]
) -> str:
    """Return in words by what a mean was multiplied and what was added, "" if it was not.

    Args:
        pairs: Factor and what was added, for several data sets.
        sizes: Their numbers of subjects.
        counted: How many of these are in the mean.
    """
    factors = torch.tensor([factor for factor, _ in pairs], dtype=torch.float64)
    offsets = torch.tensor([offset for _, offset in pairs], dtype=torch.float64)
    n, m = (torch.tensor(numbers, dtype=torch.float64) for numbers in (sizes, counted))

    def fits(factor: Tensor | float, offset: float = 0.0) -> bool:
        wanted = torch.as_tensor(factor, dtype=torch.float64).expand_as(factors)
        return bool(
            (factors / wanted - 1).abs().max() < 1e-4 and (offsets - offset).abs().max() < 1e-4
        )

    if fits(1):
        return ""
    if fits(0.5, 0.5):
        return "moved to the range from 0 to 1"
    if fits(2, -1):
        return "moved as if it went from 0 to 1"
    if fits(m):
        return "not divided"
    if fits(m / n):
        return "divided by the number of all subjects"
    for less in (1, -1):
        for number, words in ((m, "their number"), (n, "the number of all subjects")):
            if fits(m / (number - less)):
                return f"divided by {words} {'less' if less > 0 else 'plus'} one"
    divisor = float(m[0] / factors[0])
    if fits(m / divisor):
        return f"divided by {divisor:.6g}, whatever their number"
    if fits(float(factors[0]), float(offsets[0])):
        added = f", {offsets[0]:+.4g}" if offsets[0].abs() > 1e-4 else ""
        return f"multiplied by {factors[0]:.4g}{added}"
    return "on another scale, which depends on the data set"


_AXES = ("the subjects", "the channel", "the first image axis", "the second image axis")


def _axes_in_words(results: Sequence[Tensor], datasets: Sequence[IXIDataset]) -> str:
    """Return in words over which axes the slices were averaged or added up, "" if over none."""
    sizes = range(len(_AXES) + 1)
    for contrast, (name, axes) in product(
        ("T2-w", "T1-w"),
        product(("mean", "sum"), chain.from_iterable(combinations(range(4), k) for k in sizes)),
    ):
        wanted = [_over(getattr(d, contrast[:2].lower()).double(), name, axes) for d in datasets]
        if all(is_close(x.flatten(), y.flatten()) for x, y in zip(results, wanted, strict=True)):
            if not {*axes} - {1}:  # nothing happens over the channel axis, of length 1
                return f"Your result holds the {contrast} slices as they are: nothing is averaged."
            over = " and ".join(_AXES[axis] for axis in axes)
            return f"Your result is the {name} of the {contrast} slices over {over}."
    return ""


def _over(slices: Tensor, name: str, axes: tuple[int, ...]) -> Tensor:
    if not axes:
        return slices
    return slices.mean(dim=axes) if name == "mean" else slices.sum(dim=axes)
