"""Tell how a mean image was made: of which slices, over which axes, on which scale."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, combinations, product
from operator import ne
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from labhelpers.checks.cases import Setting
from labhelpers.checks.explanations.fits import (
    FIRST_SUBJECTS,
    ORIENTATIONS,
    SOME_SUBJECTS,
    VOXELS,
    changes,
    fitted,
    is_close,
    repeated,
    result_of,
    setting_of,
    stretched,
)
from labhelpers.checks.explanations.words import enumerated
from labhelpers.checks.fixtures import make_dataset
from labhelpers.checks.probes.data import add_extremes
from labhelpers.checks.records import Explanation, Run, explained
from labhelpers.data import IXIDataset

__all__ = ["mean_image"]


def _mean_without(slices: Tensor, left_out: float, otherwise: float) -> Tensor:
    """Return means over the values that are not a given one."""
    return _mean_of(slices, slices != left_out, otherwise)


def _mean_above(slices: Tensor, limit: float, otherwise: float) -> Tensor:
    """Return means over the values that are larger than a given one."""
    return _mean_of(slices, slices > limit, otherwise)


def _mean_of(slices: Tensor, kept: Tensor, otherwise: float) -> Tensor:
    mean = (slices * kept).sum(dim=0) / kept.sum(dim=0)
    return mean.where(kept.any(dim=0), otherwise)


def _in_greys(x: Tensor, whole: Callable[[Tensor], Tensor]) -> Tensor:
    """Return values in [-1, 1] as one of 256 greys each, the way to a whole number given."""
    return whole((x + 1) * 127.5) / 127.5 - 1


_STATISTICS: dict[str, Callable[[Tensor], Tensor]] = (
    {
        "mean": lambda slices: slices.mean(dim=0),
        "median": lambda slices: slices.median(dim=0).values,
        "median (the mean of the two values in the middle)": lambda slices: slices.quantile(
            0.5, dim=0
        ),
        "maximum": lambda slices: slices.max(dim=0).values,
        "minimum": lambda slices: slices.min(dim=0).values,
        "middle between minimum and maximum": (
            lambda slices: (slices.max(dim=0).values + slices.min(dim=0).values) / 2
        ),
        "standard deviation": lambda slices: slices.std(dim=0),
        "standard deviation, divided by n": lambda slices: slices.std(dim=0, correction=0),
        "sum": lambda slices: slices.sum(dim=0),
        "sum (divided by their number plus one)": lambda x: x.sum(dim=0) / (len(x) + 1),
        "sum (divided by their number less one)": lambda x: x.sum(dim=0) / (len(x) - 1),
        "mean over all voxels (one number everywhere)": lambda slices: slices.mean().expand(
            slices.shape[1]
        ),
    }
    | {
        f"mean of values other than {left_out:g} ({otherwise:g} where none is left)": (
            functools.partial(_mean_without, left_out=left_out, otherwise=otherwise)
        )
        for left_out in (-1.0, 0.0)
        for otherwise in (0.0, -1.0, math.nan)
    }
    | {
        f"mean of values above {limit:g} ({otherwise:g} where none is left)": functools.partial(
            _mean_above, limit=limit, otherwise=otherwise
        )
        for limit in (-0.99, -0.95, -0.9, -0.8, -0.5, 0.0)
        for otherwise in (0.0, -1.0)
    }
)


class _Image(NamedTuple):
    """How an image was made of slices with weights.

    Attributes:
        contrast: Of which slices, in words.
        weights: How much each subject counts, adding up to 1.
        scale: By what the mean is multiplied.
        offset: What is added then.
        orientation: What was done to the image axes, in words.
    """

    contrast: str
    weights: Tensor
    scale: float
    offset: float
    orientation: str


def mean_image(answer: Any, runs: list[Run]) -> Explanation | None:
    """Tell which slices were averaged, and how, from the numbers of the image."""
    setting = setting_of(runs)
    # The two larger ones have more subjects than batches, the last one confirms the others.
    tried = [_tried(answer, setting, size) for size in (6, 83, 89)]
    if tried[0] is None:  # where batches that are not full are left out, say
        tried = [*tried[1:], _tried(answer, setting, 97)]
    if None in tried:
        return None
    datasets, results = map(list, zip(*filter(None, tried), strict=True))
    n = len(datasets[0])
    earlier = [make_dataset(7, setting.seed(20), setting.dtype), datasets[0]]  # first of their size
    add_extremes(earlier[0])
    unlike = repeated(
        answer,
        "image",
        [datasets[0], make_dataset(n, setting.seed(31 + n), setting.dtype)],
        lambda image: any(_read_image(image, one, [*ORIENTATIONS]) for one in earlier),
    )
    if unlike:
        asked = "Asked for: the mean of all subjects of the data set that is passed in, each once."
        return explained([f"{unlike} {asked}"], ["values"])
    changed = [*changes(answer, datasets[0])]
    items = ["values", "shape", "untouched"]
    shape = tuple(results[0].shape)
    if shape == (1, *VOXELS) and not _one_voxel_in_words(results, datasets):
        many = make_dataset(_MANY, setting.seed(30), setting.dtype, extremes=True)
        rest = _one_voxel_in_words([result_of(answer, many)], [many])
        is_limited = (
            f"Your image is right for {len(datasets[-1])} subjects and wrong for {_MANY}: a number "
            "that is written down limits how many are read."
        )
        return explained([*changed, *([is_limited] if rest else [])], items)
    words = _weights_in_words(results, datasets)
    if not words or any(vague in words for vague in _VAGUE) or words == _NOTHING:
        known = "" if words == _NOTHING and shape == (1, *VOXELS) else words
        steps = _steps_in_words(results, datasets)
        words = steps or known or _axes_in_words(results[:2], datasets[:2])
        words = words or _mixed_in_words(results, datasets)
        if not words:
            return explained([*changed, _one_voxel_in_words(results, datasets)], items)
    if shape != (1, *VOXELS):
        words += f" Its shape is {shape} for {len(datasets[0])} subjects."
    asked = (
        "Asked for: at each voxel the mean of the T2-w slices of all subjects, shape "
        f"{(1, *VOXELS)}."
    )
    return explained([*changed, f"{words} {asked}"], items)


def _tried(answer: Any, setting: Setting, size: int) -> tuple[IXIDataset, Tensor] | None:
    """Return a data set and what an answer makes of it, None if that stops."""
    dataset = make_dataset(size, setting.seed(30 + size), setting.dtype, extremes=size > 6)
    if size > 6:
        add_extremes(dataset)
    with suppress(Exception):
        return dataset, result_of(answer, dataset)
    return None


def _weights_in_words(results: Sequence[Tensor], datasets: Sequence[IXIDataset]) -> str:
    """Return in words how much the slices count in an image, "" if it is no weighted sum."""
    found: list[_Image] = []
    for result, dataset in zip(results, datasets, strict=True):
        turns = [found[0].orientation] if found else [*ORIENTATIONS]
        image = _read_image(result, dataset, turns)
        if image is None:
            return ""
        found.append(image)
    ways = {(image.contrast, image.orientation) for image in found}
    return _image_in_words(found) if len(ways) == 1 else ""


# --- Steps that no weights of slices can tell -----------------------------------------------------

_Step = Callable[[Tensor], Tensor]


def _of_each(slices: Tensor, name: str) -> Tensor:
    """Return a number of each slice, `(N, 1)`."""
    return getattr(slices, name)(dim=1, keepdim=True)


#: What is done to each slice, `(N, voxels)`, before the statistic.
_BEFORE: dict[str, _Step] = {
    "": lambda x: x,
    "taking absolute values": lambda x: x.abs(),
    "squaring": lambda x: x.square(),
    "cutting off what is below 0": lambda x: x.clamp(min=0),
    "taking the mean off each": lambda x: x - _of_each(x, "mean"),
    "taking the mean off each and dividing by its standard deviation": (
        lambda x: (x - _of_each(x, "mean")) / _of_each(x, "std")
    ),
    "stretching each to the range from 0 to 1": stretched,
    "stretching each to the range from -1 to 1": lambda x: 2 * stretched(x) - 1,
    "dividing each by its largest value": lambda x: x / _of_each(x, "amax"),
    "cutting off their decimals": torch.trunc,
    "cutting each value down to one of 256 greys, as an image of whole numbers does": (
        lambda x: _in_greys(x, torch.floor)
    ),
    "rounding each value to one of 256 greys, as an image of whole numbers does": (
        lambda x: _in_greys(x, torch.round)
    ),
} | {
    f"setting values of {limit:g}{' and below' * (limit > -1)} to 0": (
        lambda x, limit=limit: x.where(x > limit, 0.0)
    )
    for limit in (-1, -0.99, -0.95, -0.9, -0.8, -0.5)
}


def _blurred(image: Tensor, width: int, counts_outside: bool) -> Tensor:
    return functional.avg_pool2d(
        image.reshape(1, 1, *VOXELS), width, 1, width // 2, count_include_pad=counts_outside
    ).reshape(-1)


def _with_copy(image: Tensor, turn: _Step) -> Tensor:
    return (image + turn(image.reshape(VOXELS)).reshape(-1)) / 2


#: What is done to the image, `(voxels,)`, after it.
_AFTER: dict[str, _Step] = (
    {
        "": lambda x: x,
        "whose square root is taken": lambda x: x.sqrt(),
        "made positive, as by `abs`": lambda x: x.abs(),
        "cut off below 0": lambda x: x.clamp(min=0),
        "moved to the range from 0 to 1": lambda x: (x + 1) / 2,
        "moved as if it went from 0 to 1": lambda x: 2 * x - 1,
        "stretched to the range from 0 to 1": lambda x: stretched(x[None])[0],
        "stretched to the range from -1 to 1": lambda x: 2 * stretched(x[None])[0] - 1,
        "minus its mean": lambda x: x - x.mean(),
        "minus its mean, divided by its standard deviation": lambda x: (x - x.mean()) / x.std(),
        "its decimals cut off": lambda x: x.trunc(),
        "cut down to 256 greys, as an image of whole numbers": (
            lambda x: _in_greys(x, torch.floor)
        ),
        "rounded to 256 greys, as an image of whole numbers": (lambda x: _in_greys(x, torch.round)),
        "rounded down to whole numbers, as by `//`": lambda x: x.floor(),
    }
    | {
        f"rounded to {places} decimal{'s' * (places != 1)}": functools.partial(
            torch.round, decimals=places
        )
        for places in range(4)
    }
    | {
        f"averaged over {width} x {width} voxels{', 0 beyond the border' * outside}": (
            functools.partial(_blurred, width=width, counts_outside=outside)
        )
        for width in (3, 5, 7)
        for outside in (False, True)
    }
    | {
        f"averaged with its copy {words}": functools.partial(_with_copy, turn=turn)
        for words, turn in ORIENTATIONS.items()
        if words
    }
)
_PEOPLE: dict[str, Callable[[int], slice]] = (
    {"all subjects": lambda n: slice(None)} | SOME_SUBJECTS | FIRST_SUBJECTS
)


class _Steps(NamedTuple):
    """Steps from a data set to an image, in words, in the order in which they are taken."""

    contrast: str
    people: str
    before: str
    statistic: str
    after: str
    orientation: str

    @property
    def n_changes(self) -> int:
        """Number of steps that are other than asked for."""
        return sum(map(ne, self, _ASKED)) - ((self.before, self.after) == _ROOT)


_ASKED = _Steps("T2-w", "all subjects", "", "mean", "", "")
_ROOT = ("squaring", "whose square root is taken")  # the one belongs to the other


def _steps_in_words(results: Sequence[Tensor], datasets: Sequence[IXIDataset]) -> str:
    """Return in words by which steps images were made, "" if that is not known."""
    found = [steps for steps in _steps(datasets[0], results[0]) if steps != _ASKED]
    for steps in sorted(found, key=lambda steps: (steps.n_changes, len(" ".join(steps)))):
        if all(_is_made(steps, *pair) for pair in zip(datasets, results, strict=True)):
            before = f", after {steps.before}" if steps.before else ""
            of = f"Your image is the {steps.statistic} of the {steps.contrast} slices"
            words = f"{of} of {steps.people}{before}"
            return words + "".join(f", {x}" for x in (steps.after, steps.orientation) if x) + "."
    return ""


def _is_made(steps: _Steps, dataset: IXIDataset, result: Tensor) -> bool:
    """Return True if steps make an image of a data set."""
    slices = _slices(dataset)[steps.contrast]
    slices = _BEFORE[steps.before](slices[_PEOPLE[steps.people](len(slices))])
    turned = ORIENTATIONS[steps.orientation](result.reshape(VOXELS)).reshape(-1)
    return _becomes(_STATISTICS[steps.statistic](slices), steps.after, turned)


def _becomes(image: Tensor, after: str, wanted: Tensor) -> bool:
    """Return True if the last step makes an image of another, both `(voxels,)`."""
    change = _AFTER[after]
    if is_close(change(image), wanted):
        return True
    # Where a step jumps, an error of float32 decides.
    low, high = (change(image + shift) for shift in (-1e-6, 1e-6))
    either = low.where((low - wanted).abs() < 1e-5, high)
    return after.startswith(("its decimals", "cut down", "rounded")) and is_close(either, wanted)


def _slices(dataset: IXIDataset) -> dict[str, Tensor]:
    return {
        "T2-w": dataset.t2.double().flatten(1),
        "T1-w": dataset.t1.double().flatten(1),
    }


def _steps(dataset: IXIDataset, result: Tensor) -> Iterator[_Steps]:
    """Yield steps, at most two of them other than asked for, that make an image of a data set."""
    if result.numel() != VOXELS[0] * VOXELS[1]:
        return
    turned = {
        words: turn(result.reshape(VOXELS)).reshape(-1) for words, turn in ORIENTATIONS.items()
    }
    for (contrast, slices), people, before in product(_slices(dataset).items(), _PEOPLE, _BEFORE):
        base = _Steps(contrast, people, before, *_ASKED[3:])
        if base.n_changes > 2:
            continue
        some = _BEFORE[before](slices[_PEOPLE[people](len(slices))])
        for statistic, compute in _STATISTICS.items():
            known = base._replace(statistic=statistic)
            if known.n_changes > 2:
                continue
            image = compute(some)
            for after, change in _AFTER.items():
                if known._replace(after=after).n_changes > 2:
                    continue
                made = change(image)
                for orientation, wanted in turned.items():
                    # One voxel in the middle of the way tells most apart.
                    steps = known._replace(after=after, orientation=orientation)
                    near = abs(float(made[_A_VOXEL] - wanted[_A_VOXEL])) < 1e-3
                    if steps.n_changes <= 2 and near and _becomes(image, after, wanted):
                        yield steps


_A_VOXEL = 1_300
_MANY = 503  # subjects, more than the lab has to train


def _one_voxel_in_words(results: Sequence[Tensor], datasets: Sequence[IXIDataset]) -> str:
    """Return what one voxel holds and what it has to hold, "" if all are right."""
    for result, dataset in zip(results, datasets, strict=True):
        slices = _slices(dataset)["T2-w"]
        right = slices.mean(dim=0)
        if result.numel() != right.numel():
            return f"Your result has the shape {tuple(result.shape)} for {len(slices)} subjects."
        error = (result.reshape(-1) - right).abs().nan_to_num(torch.inf)
        if error.max() > 1e-4:
            place = int(error.argmax())
            some = ", ".join(map(_number, slices[:6, place].tolist()))
            more = ", …" if len(slices) > 6 else ""
            n_wrong = int((error > 1e-4).sum())
            x, y = divmod(place, VOXELS[1])
            return (
                f"{n_wrong} of {error.numel()} voxels are wrong with {len(slices)} subjects. One "
                f"of them: at [0, {x}, {y}] the T2-w slices hold {some}{more}, whose mean is "
                f"{_number(right[place])}. Your image has {_number(result.reshape(-1)[place])} "
                "there."
            )
    return ""


def _number(value: float | Tensor) -> str:
    return f"{round(float(value), 6):.4g}"


# --- Weights of slices ----------------------------------------------------------------------------


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
                if abs(of_t2 + of_t1) < 1e-4:
                    more, less = ("T2-w", "T1-w") if of_t2 > 0 else ("T1-w", "T2-w")
                    contrast = f"differences {more} - {less} of the"
            return _Image(contrast, own / total, scale, float(weights[-1]), orientation)
    return None


def _image_in_words(images: Sequence[_Image]) -> str:
    """Return in words how the images of several data sets were made."""
    first = images[0]
    sizes = [len(image.weights) for image in images]
    who = _who([image.weights for image in images])
    scale = _scale(
        [(image.scale, image.offset) for image in images],
        sizes,
        [_n_terms(image.weights) for image in images],
    )
    is_sum = scale.startswith("divided") or scale == "not divided"
    words = (
        f"Your image is the {'sum' if is_sum else 'mean'} of the {first.contrast} slices of {who}"
    )
    return words + "".join(f", {part}" for part in (scale, first.orientation) if part) + "."


def _n_terms(weights: Tensor) -> int:
    """Return of how many slices a mean is: one that counts twice is two of them."""
    counted = weights[weights.abs() > 1e-4]
    terms = float(counted.sum() / counted.abs().min())
    return round(terms) if abs(terms - round(terms)) < 1e-3 else len(counted)


_EVERYBODY = "all subjects"
_NOTHING = f"Your image is the mean of the T2-w slices of {_EVERYBODY}."
_VAGUE = ("do not count the same", "which depends on the data set")


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
    small = ", ".join(f"{round(float(weight), 4):g}" for weight in weights[0])
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

    def divided(n: int) -> Tensor:
        shares = torch.tensor([float(n) ** (number - n) for number in range(n)]).double()
        return shares / shares.sum()

    yield "all subjects, divided by their number at each step, not once at the end", divided
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
        counted: Of how many slices the mean is.
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
    if fits(1 / n):
        return "divided twice by the number of subjects"
    starts = offsets * n
    if (factors - 1).abs().max() < 1e-4 and (starts / starts[0] - 1).abs().max() < 1e-3:
        return f"in a sum that starts with {starts[0]:.4g} and not with 0"
    divisor = float(m[0] / factors[0])
    if fits(m / divisor):
        return f"divided by {divisor:.6g}, whatever their number"
    if fits(float(factors[0]), float(offsets[0])):
        added = f", {offsets[0]:+.4g}" if offsets[0].abs() > 1e-4 else ""
        return f"multiplied by {factors[0]:.4g}{added}"
    divisors = m / factors
    if (divisors - divisors.round()).abs().max() < 1e-3 and offsets.abs().max() < 1e-4:
        by, of = (enumerated(f"{x:.0f}" for x in numbers) for numbers in (divisors, n))
        return f"divided by {by} for {of} subjects"
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
            over = enumerated(_AXES[axis] for axis in axes)
            return f"Your result is the {name} of the {contrast} slices over {over}."
    return ""


def _mixed_in_words(results: Sequence[Tensor], datasets: Sequence[IXIDataset]) -> str:
    """Return in words along which axis slices were stacked before they were mixed, "" if none."""
    for contrast, (axis, name) in product(("T2-w", "T1-w"), {2: "last but one", 3: "last"}.items()):
        slices = [getattr(dataset, contrast[:2].lower()).double() for dataset in datasets]
        made = [x[:, 0].movedim(0, axis - 1).reshape(-1, *VOXELS).mean(dim=0) for x in slices]
        if all(is_close(x.reshape(-1), y.reshape(-1)) for x, y in zip(results, made, strict=True)):
            return (
                f"Your image is the mean of the {contrast} slices, which were stacked along the "
                f"{name} axis and brought into the shape (N, 1, 64, 64) by `reshape` or `view`. "
                "That mixes voxels of different places; `movedim` and `permute` move axes."
            )
    return ""


def _over(slices: Tensor, name: str, axes: tuple[int, ...]) -> Tensor:
    if not axes:
        return slices
    return slices.mean(dim=axes) if name == "mean" else slices.sum(dim=axes)
