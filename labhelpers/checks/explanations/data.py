"""Read off which subjects, contrast, axis, scale or bins the answers of notebook 1 work with."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, combinations, product
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from labhelpers.checks.cases import Setting, unpacked
from labhelpers.checks.fixtures import make_dataset, split_numbers
from labhelpers.checks.probes import data as probes
from labhelpers.checks.records import TOLERANCES, Explanation, Run
from labhelpers.data import IXIDataset

__all__ = ["intensity_lookup", "make_dataloaders", "mean_image"]

_VOXELS = (64, 64)


def _explanation(sentences: Sequence[str], items: Sequence[str]) -> Explanation | None:
    notes = [["wrong", sentence] for sentence in sentences]
    if not notes:
        return None
    return Explanation(notes=notes, items=[*items], alone=False, table=None)


# --- The loaders --------------------------------------------------------------------------------


class _Loaders(NamedTuple):
    """What two loaders showed: subjects by number, batch by batch, in each of some epochs."""

    train: list[list[list[int]]]
    test: list[list[list[int]]]


def make_dataloaders(answer: Any, runs: list[Run]) -> Explanation | None:
    """Tell which subjects the loaders show, in which batches and in which order."""
    setting = Setting()
    n_subjects = probes.n_subjects(setting)
    parts = dict(zip(("training", "test"), split_numbers(n_subjects), strict=True))
    seen = {}
    with tempfile.TemporaryDirectory() as folder:
        probes.write_slices(Path(folder), setting)
        for size in (8, 40):
            options = {} if size == 40 else {"batch_size": size}
            loaders = unpacked(answer(Path(folder), **options), "training loader", "test loader")
            sentences = _images_in_words(next(iter(loaders[1])), Path(folder))
            if sentences:
                return _explanation(sentences, _LOADER_ITEMS)
            read = [[probes.read(loader) for _ in range(3)] for loader in loaders]
            numbers = probes.numbers_of_codes(setting)
            decoded = [[probes.decoded(epoch, numbers) for epoch in epochs] for epochs in read]
            train, test = ([epoch for epoch in epochs if epoch is not None] for epochs in decoded)
            if len(train) < 3 or len(test) < 3:
                return None
            seen[size] = _Loaders(train, test)
    if exchanged := _exchanged(seen, parts):
        return _explanation([exchanged], _LOADER_ITEMS)
    sentences = [*_part_in_words("training", seen, parts), *_part_in_words("test", seen, parts)]
    return _explanation(sentences, _LOADER_ITEMS)


_LOADER_ITEMS = [
    *("train-batches", "train-subjects", "train-shuffled", "test-batches", "test-order", "images"),
]


def _images_in_words(batch: dict[str, Tensor], folder: Path) -> list[str]:
    """Return in a sentence what was done to the slices of the files, nothing if they are there."""
    files = {
        name: torch.cat([getattr(IXIDataset(folder, mode), name) for mode in ("train", "test")])
        for name in ("t1", "t2")
    }
    for name in ("t1", "t2"):
        image = probes.as_tensor(batch[name.upper()])[0].reshape(-1, *_VOXELS)[0].double()
        ways = []
        for source, orientation in product(files, _ORIENTATIONS):
            turned = _ORIENTATIONS[orientation](image).reshape(1, -1)
            slices = files[source].reshape(len(files[source]), -1).double()
            likeness = torch.corrcoef(torch.cat((turned, slices)))[0, 1:].nan_to_num().abs()
            own = slices[likeness.argmax()]
            pair = _fit(torch.stack((own, torch.ones_like(own))), turned[0])
            if pair is not None and likeness.max() > 0.99:
                scale, offset = pair.tolist()
                is_same = abs(scale - 1) < 1e-4 and abs(offset) < 1e-4
                moved = (
                    ""
                    if is_same
                    else f"{scale:.4g} times the values in the files, plus {offset:.4g}"
                )
                from_other = f"taken from the {source.upper()} files" if source != name else ""
                ways.append([part for part in (from_other, orientation, moved) if part])
        if not ways:
            return ["The test loader shows slices that are not in the folder `root`."]
        shortest = min(ways, key=len)
        if words := ", ".join(shortest):
            asked = "Asked for: the slices as they are in the files."
            return [f'The slices of batch["{name.upper()}"] are {words}. {asked}']
    return []


def _flat(batches: Iterable[list[int]]) -> list[int]:
    return [*chain.from_iterable(batches)]


def _exchanged(seen: dict[int, _Loaders], parts: dict[str, list[int]]) -> str:
    """Return in a sentence that the loaders come in the other order, "" if they do not."""
    is_so = all(
        {*_flat(two.train[0])} == {*parts["test"]}
        and {*_flat(two.test[0])} == {*parts["training"]}
        and len(two.train[0][0]) == 5
        and two.train[0] == two.train[1]
        for two in seen.values()
    )
    text = "The loaders are returned in the other order. Asked for: (train_loader, test_loader)."
    return text if is_so else ""


def _part_in_words(
    part: str, seen: dict[int, _Loaders], parts: dict[str, list[int]]
) -> Iterator[str]:
    """Yield a sentence for each thing that is wrong with one of the loaders."""
    epochs = {size: two.train if part == "training" else two.test for size, two in seen.items()}
    subjects, other = parts[part], parts["test" if part == "training" else "training"]
    name = f"The {part} loader"
    if not epochs[8][1]:  # it can be read once only
        return
    yield from _batches_in_words(part, name, epochs, subjects)
    first = _flat(epochs[8][0])
    if probes.MIXED in first:
        yield f"{name} shows T1 and T2 of different subjects side by side."
        return
    asked = f"Asked for: each of the {len(subjects)} {part} subjects once"
    mine, theirs = {*first} & {*subjects}, {*first} & {*other}
    if theirs:
        who = "training" if part == "test" else "test"
        also = f"{len(mine)} of the {len(subjects)} {part} subjects and " if mine else ""
        yield f"{name} shows {also}{len(theirs)} of the {len(other)} {who} subjects. {asked}."
    elif len(first) > len({*first}):
        most = max(first.count(number) for number in first)
        yield (
            f"{name} shows {len(mine)} different subjects in an epoch, some of them up to {most} "
            f"times. {asked}."
        )
    elif len(mine) < len(subjects) and not _is_cut(epochs[8][0], subjects):
        order = [number for number in subjects if number in mine]
        which = f"{len(order)}"
        if len(epochs[8][0]) == 1:
            which += " (a single batch)"
        elif order == subjects[: len(order)]:
            which = f"the first {which}"
        elif order == subjects[-len(order) :]:
            which = f"the last {which}"
        elif order in (subjects[::2], subjects[1::2]):
            which += " (every second)"
        yield f"{name} shows {which} of the {len(subjects)} subjects. {asked}."
        return
    yield from _order_in_words(part, name, [_flat(epoch) for epoch in epochs[8]], subjects)


def _is_cut(batches: list[list[int]], subjects: list[int]) -> bool:
    """Return True if subjects are missing because the last, smaller batch is."""
    size, shown = len(batches[0]), _flat(batches)
    is_own = {*shown} <= {*subjects}
    return (
        is_own and len(batches) > 1 and len(shown) == len(subjects) // size * size < len(subjects)
    )


def _batches_in_words(
    part: str, name: str, epochs: dict[int, list[list[list[int]]]], subjects: list[int]
) -> Iterator[str]:
    sizes = {size: len(read[0][0]) for size, read in epochs.items()}
    wanted = {size: size if part == "training" else 5 for size in sizes}
    # A loader that shows fewer subjects has no larger batch.
    wanted = {size: min(most, len(_flat(epochs[size][0]))) for size, most in wanted.items()}
    asked = "batch_size, 40 by default" if part == "training" else "5, whatever batch_size is"
    if sizes != wanted:
        by_size = (
            f"{sizes[8]} for batch_size=8 and of {sizes[40]} by default"
            if sizes[8] != sizes[40]
            else f"{sizes[8]} in any case"
        )
        yield f"{name} makes batches of {by_size}. Asked for: {asked}."
    read = epochs[8][0]
    if _is_cut(read, subjects):
        missing = len(subjects) - sum(map(len, read))
        yield (
            f"{name} leaves out the last, smaller batch: {missing} of the {len(subjects)} subjects "
            "are missing. Asked for: no sample is dropped."
        )
    elif len({*map(len, read[:-1])}) > 1:
        yield f"{name} makes batches of different sizes: {', '.join(map(str, map(len, read)))}."


def _order_in_words(
    part: str, name: str, epochs: list[list[int]], subjects: list[int]
) -> Iterator[str]:
    places = {number: place for place, number in enumerate(subjects)}
    orders = [[places.get(number, -1) for number in epoch] for epoch in epochs]
    if -1 in orders[0]:
        return
    is_fixed = all(order == orders[0] for order in orders)
    if part == "training" and is_fixed:
        which = "in the order of the data set" if orders[0] == sorted(orders[0]) else "in one order"
        yield f"{name} shows them {which}, the same in every epoch. Asked for: shuffled anew."
    elif part == "test" and not is_fixed:
        yield f"{name} shuffles anew in every epoch. Asked for: the order of the data set."
    elif part == "test" and orders[0] != sorted(orders[0]):
        which = (
            "the reverse of the order" if orders[0] == sorted(orders[0])[::-1] else "another order"
        )
        yield (
            f"{name} keeps one order, {which} of the data set. "
            "Asked for: the order of the data set."
        )


# --- The mean image -----------------------------------------------------------------------------

_ORIENTATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda image: image,
    "with its two image axes exchanged": lambda image: image.T,
    "mirrored along its first axis": lambda image: image.flip(0),
    "mirrored along its second axis": lambda image: image.flip(1),
    "turned by half a turn": lambda image: image.flip(0, 1),
}
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
    setting = _setting(runs)
    # The two larger ones have more subjects than batches, the last one confirms the others.
    datasets = [
        make_dataset(size, setting.seed(30 + size), setting.dtype, extremes=size > 6)
        for size in (6, 83, 89)
    ]
    results = [probes.as_tensor(answer(dataset)).double() for dataset in datasets]
    shape = tuple(results[0].shape)
    found: list[_Image] = []
    for result, dataset in zip(results, datasets, strict=True):
        turns = [found[0].orientation] if found else [*_ORIENTATIONS]
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
    if shape != (1, *_VOXELS):
        words += f" Its shape is {shape} for {len(datasets[0])} subjects."
    asked = f"Asked for: the mean of the T2-w slices of all subjects, shape {(1, *_VOXELS)}."
    return _explanation([f"{words} {asked}"], ["values", "shape"])


def _setting(runs: list[Run]) -> Setting:
    """Return the setting of the visible check in the number type in which the answer works."""
    is_single = runs[0]["tolerance"] == TOLERANCES[1]
    return Setting(dtype=torch.float32 if is_single else torch.float64)


def _read_image(result: Tensor, dataset: IXIDataset, orientations: Sequence[str]) -> _Image | None:
    """Return how an image was made from a data set, None if that cannot be seen."""
    if result.numel() != 64 * 64:
        return None
    n = len(dataset)
    t1, t2 = (x.double().reshape(n, -1) for x in (dataset.t1, dataset.t2))
    one = torch.ones(1, t1.shape[1], dtype=torch.float64)
    for orientation in orientations:
        image = _ORIENTATIONS[orientation](result.reshape(_VOXELS)).reshape(-1)
        weights = _fit(torch.cat((t2, t1, one)), image)
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
            pair = _fit(torch.stack((compute(slices), one[0])), image)
            if pair is not None:
                scale, offset = pair.tolist()
                equal = torch.full((n,), 1 / n, dtype=torch.float64)
                return _Image(statistic, contrast, equal, scale, offset, orientation)
    return None


def _fit(parts: Tensor, target: Tensor) -> Tensor | None:
    """Return the weights with which the rows of `parts` add up to a target, None if they do not."""
    weights = torch.linalg.lstsq(parts.T, target[:, None]).solution[:, 0]
    return weights if _close(weights @ parts, target) else None


_SUMMED_UP = 2e-4  # relative error of sums of many numbers in float32, at worst


def _close(one: Tensor, other: Tensor, tolerance: float = 2e-5) -> bool:
    """Return True if two tensors are equal but for rounding, in float32 at worst."""
    if one.shape != other.shape:
        return False
    size = max(1.0, float(other[other.isfinite()].abs().max())) if other.isfinite().any() else 1.0
    return torch.allclose(one, other, rtol=0, atol=tolerance * size, equal_nan=True)


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
        if all(_close(one, other) for one, other in zip(weights, wanted, strict=True)):
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
        if all(_close(x.flatten(), y.flatten()) for x, y in zip(results, wanted, strict=True)):
            if not {*axes} - {1}:  # nothing happens over the channel axis, of length 1
                return f"Your result holds the {contrast} slices as they are: nothing is averaged."
            over = " and ".join(_AXES[axis] for axis in axes)
            return f"Your result is the {name} of the {contrast} slices over {over}."
    return ""


def _over(slices: Tensor, name: str, axes: tuple[int, ...]) -> Tensor:
    if not axes:
        return slices
    return slices.mean(dim=axes) if name == "mean" else slices.sum(dim=axes)


# --- The lookup table ---------------------------------------------------------------------------

_Bins = Callable[[Tensor, int], Tensor]
#: Ways to get the number of a bin from a value in [-1, 1] (`u`: in [0, 1]) and the number of bins.
_BINNINGS: dict[str, _Bins] = {
    "": lambda t, n: ((t + 1) / 2 * n).floor().clamp(max=n - 1),
    "1 falls into a bin of its own, after the last one": lambda t, n: ((t + 1) / 2 * n).floor(),
    "the bins are closed on the right and open on the left": lambda t, n: (
        ((t + 1) / 2 * n).ceil() - 1
    ).clamp(min=0),
    "the bins are closed on the right and open on the left, and -1 falls before the first": (
        lambda t, n: ((t + 1) / 2 * n).ceil() - 1
    ),
    "values are rounded to the nearest of n_bins numbers": lambda t, n: (
        (t + 1) / 2 * (n - 1)
    ).round(),
    "values are rounded to the nearest edge": lambda t, n: ((t + 1) / 2 * n).round(),
    "there are n_bins - 1 bins, and the last entry is for 1 alone": lambda t, n: (
        (t + 1) / 2 * (n - 1)
    ).floor(),
    "there are n_bins + 1 bins": lambda t, n: ((t + 1) / 2 * (n + 1)).floor().clamp(max=n),
    "all are shifted by one bin to the right": lambda t, n: (
        ((t + 1) / 2 * n).floor().clamp(max=n - 1) + 1
    ),
    "all are shifted by one bin to the left": lambda t, n: (
        ((t + 1) / 2 * n).floor().clamp(max=n - 1) - 1
    ),
    "the bins cut the range from 0 to 1": lambda t, n: (t * n).floor(),
    "the bins cut the range from 0 to 1, decimals cut off towards 0": lambda t, n: (t * n).trunc(),
    "the range of length 2 is not halved": lambda t, n: ((t + 1) * n).floor(),
    "the bins cut the range from the smallest to the largest T1": lambda t, n: (
        ((t - t.min()) / (t.max() - t.min()) * n).floor().clamp(max=n - 1)
    ),
    "decimals are cut off before the range is shifted": lambda t, n: (t * n / 2).trunc() + n // 2,
    "the order of the bins is reversed": lambda t, n: (
        n - 1 - ((t + 1) / 2 * n).floor().clamp(max=n - 1)
    ),
    "the bins hold equal numbers of voxels, not equal widths": lambda t, n: torch.bucketize(
        t, t.quantile(torch.linspace(0, 1, n + 1).to(t))[1:-1], right=True
    ),
}
_OUTSIDE: dict[str, Callable[[Tensor, int], tuple[Tensor, Tensor]]] = {
    "": lambda bins, n: (bins, (bins >= 0) & (bins <= n)),
    "what falls outside goes into the first and the last bin": lambda bins, n: (
        bins.clamp(0, n - 1),
        bins >= bins,
    ),
    "what falls outside goes round to the other end": lambda bins, n: (bins % n, bins >= bins),
}
_LEFT_OUT: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda t: t >= -1,
    "voxels of exactly 1 are left out": lambda t: t < 1,
    "voxels of exactly -1 are left out": lambda t: t > -1,
    "voxels of exactly -1 and 1 are left out": lambda t: t.abs() < 1,
}
_PEOPLE: dict[str, Callable[[int], slice]] = {
    "": lambda n: slice(None),
    "the first subject alone": lambda n: slice(1),
    "the last subject alone": lambda n: slice(n - 1, None),
    "all subjects but the last": lambda n: slice(n - 1),
    "all subjects but the first": lambda n: slice(1, None),
    "every second subject": lambda n: slice(0, None, 2),
    "the first half of the subjects": lambda n: slice(n // 2),
} | {
    f"the first {k} subjects": (lambda n, k=k: slice(k)) for k in (5, 8, 10, 16, 20, 32, 40, 50, 64)
}
_CONTRASTS = {
    "": ("t1", "t2"),
    "sorted by T2-w, and T1-w is averaged": ("t2", "t1"),
    "sorted by T1-w, and T1-w is averaged": ("t1", "t1"),
    "sorted by T2-w, and T2-w is averaged": ("t2", "t2"),
}


_BOTH = "the bins are closed on both sides, so that a value on an edge counts twice"


class _Way(NamedTuple):
    """How a table was made: each choice in words, empty where it is right."""

    contrast: str = ""
    people: str = ""
    binning: str = ""
    outside: str = ""
    left_out: str = ""
    statistic: str = ""


class _Case(NamedTuple):
    """A table that an answer made, with what it was made for."""

    table: Tensor
    dataset: IXIDataset
    n_bins: int


def intensity_lookup(answer: Any, runs: list[Run]) -> Explanation | None:
    """Tell which voxels a table was made of, into which bins they fell, and what was taken."""
    setting = _setting(runs)
    cases = []
    # In the second case no voxel is near the ends, the third has more subjects than a batch.
    for size, n_bins in ((4, 32), (3, 20), (83, 64)):
        dataset = make_dataset(size, setting.seed(40 + size), setting.dtype, extremes=size != 3)
        table = probes.as_tensor(answer(dataset, n_bins=n_bins)).double()
        cases.append(_Case(table.reshape(-1), dataset, n_bins))
    sentences = []
    sizes = [len(case.table) for case in cases]
    if sizes[0] == sizes[1] == sizes[2]:
        sentences.append(f"The table has {sizes[0]} entries whatever n_bins is.")
        cases = [case._replace(n_bins=sizes[0]) for case in cases]
    ways = [_Way()] if all(_fits(_Way(), case) for case in cases) else [*_ways(cases[0])]
    for case in cases[1:]:
        ways = [way for way in ways if _fits(way, case)]
    if not ways:
        return None
    readings = [_table_in_words(way, cases) for way in ways]
    shortest = min(readings, key=len)
    sentences += shortest
    return _explanation(sentences, ["shape", "inner-bins", "end-bins", "empty-bins"])


def _ways(case: _Case) -> Iterator[_Way]:
    """Yield the ways in which a table can have been made."""
    n = len(case.dataset)
    people: dict[tuple[int, ...], list[str]] = {}  # those that are the same in this data set
    for words, choose in _PEOPLE.items():
        people.setdefault(tuple(range(n)[choose(n)]), []).append(words)
    for way in _choices():
        binned = _Binned(way, case)
        for names in people.values():
            chosen = binned.of(names[0])
            is_usual = not (way.binning or way.left_out)
            n_others = bool(way.contrast) + bool(names[0]) + (not is_usual)
            statistics = [*_QUICK, *(_SLOW if is_usual else ())] if n_others < 2 else [""]
            for statistic in statistics:
                if chosen.agrees(statistic, case.table):
                    yield from (way._replace(people=x, statistic=statistic) for x in names)


def _choices() -> Iterator[_Way]:
    """Yield what can be put into bins, and how."""
    for contrast in _CONTRASTS:
        yield from (_Way(contrast, left_out=left_out) for left_out in _LEFT_OUT)
        for binning, outside in product([*_BINNINGS, _BOTH], _OUTSIDE):
            if binning:
                yield _Way(contrast, binning=binning, outside=outside)


class _Binned:
    """The voxels of a data set, put into bins in some way."""

    def __init__(self, way: _Way, case: _Case) -> None:
        names = _CONTRASTS[way.contrast]
        key, value = (getattr(case.dataset, name).double().flatten(1) for name in names)
        kept = _LEFT_OUT[way.left_out](key)
        rule = _BINNINGS["" if way.binning == _BOTH else way.binning]
        bins = rule(key.flatten(), case.n_bins).long().reshape(key.shape)
        bins, inside = _OUTSIDE[way.outside](bins, case.n_bins)
        kept &= inside
        subjects = torch.arange(len(key))[:, None].expand_as(bins)
        self.bins, self.values, self.subjects = bins[kept], value[kept], subjects[kept]
        if way.binning == _BOTH:
            place = (key + 1) / 2 * case.n_bins
            on_edge = (place == place.round()) & (key.abs() < 1)
            self.bins = torch.cat((self.bins, bins[on_edge] - 1))
            self.values = torch.cat((self.values, value[on_edge]))
            self.subjects = torch.cat((self.subjects, subjects[on_edge]))
        self.n_bins = case.n_bins
        self.size = max(len(case.table), case.n_bins, int(self.bins.max()) + 1)
        shape = (len(key), self.size)
        places = self.subjects * self.size + self.bins
        n_places = shape[0] * shape[1]
        self.counts = torch.bincount(places, minlength=n_places).reshape(shape).double()
        self.sums = torch.bincount(places, self.values, n_places).reshape(shape)

    def of(self, people: str) -> _Chosen:
        """Return the bins of some of the subjects."""
        chosen = _PEOPLE[people](len(self.counts))
        return _Chosen(self, chosen, self.sums[chosen].sum(dim=0), self.counts[chosen].sum(dim=0))


class _Chosen(NamedTuple):
    """The bins of some subjects: sums of values and numbers of voxels, one for each bin."""

    binned: _Binned
    chosen: slice
    sums: Tensor
    counts: Tensor

    def agrees(self, statistic: str, table: Tensor) -> bool:
        """Return True if a table holds a statistic in all bins that are not empty."""
        filled = self.counts > 0
        # What lies outside of a table of n_bins entries is lost, of a shorter one it is missing.
        if not filled.any() or filled[len(table) : self.binned.n_bins].any():
            return False
        wanted = (_QUICK | _SLOW)[statistic](self)[: len(table)]
        filled = filled[: len(table)]
        return _close(table[filled], wanted[filled], _SUMMED_UP)

    @property
    def n_voxels(self) -> float:
        """Number of all voxels."""
        return float(self.counts.sum())

    @property
    def means(self) -> Tensor:
        """The mean of each subject in each bin, 0 for an empty one."""
        return self.binned.sums[self.chosen] / self.binned.counts[self.chosen].clamp(min=1)

    def in_order(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return values sorted bin by bin, and where each bin starts and how many it has."""
        subjects = torch.arange(len(self.binned.counts))[self.chosen]
        mine = torch.isin(self.binned.subjects, subjects)
        bins, values = self.binned.bins[mine], self.binned.values[mine]
        order = values.argsort(stable=True)
        order = order[bins[order].argsort(stable=True)]
        counts = self.counts.long()
        return values[order], counts.cumsum(0) - counts, counts


def _fits(way: _Way, case: _Case) -> bool:
    return _Binned(way, case).of(way.people).agrees(way.statistic, case.table)


def _at(chosen: _Chosen, place: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the value of each bin at a place in its order, a function of the number of values."""
    values, starts, counts = chosen.in_order()
    return values[(starts + place(counts)).clamp(0, len(values) - 1)]


_QUICK: dict[str, Callable[[_Chosen], Tensor]] = {
    "": lambda b: b.sums / b.counts,
    "sums, not divided by the number of voxels in the bin": lambda b: b.sums,
    "sums divided by the number of all voxels": lambda b: b.sums / b.n_voxels,
    "sums divided by one more than the number of voxels in the bin": (
        lambda b: b.sums / (b.counts + 1)
    ),
    "sums divided by at least 2": lambda b: b.sums / b.counts.clamp(min=2),
    "sums divided by the number of subjects": lambda b: b.sums / len(b.means),
    "sums divided by n_bins": lambda b: b.sums / b.binned.n_bins,
    "numbers of voxels": lambda b: b.counts,
    "shares of all voxels": lambda b: b.counts / b.n_voxels,
    "numbers of voxels divided by sums": lambda b: b.counts / b.sums,
    "means, moved to the range from 0 to 1": lambda b: (b.sums / b.counts + 1) / 2,
    "means over subjects of the mean of each": (
        lambda b: b.means.sum(dim=0) / (b.binned.counts[b.chosen] > 0).sum(dim=0)
    ),
    "means over subjects of the mean of each, 0 for one without a voxel there": (
        lambda b: b.means.mean(dim=0)
    ),
    "sums over subjects of the mean of each": lambda b: b.means.sum(dim=0),
}
_SLOW: dict[str, Callable[[_Chosen], Tensor]] = {
    "medians": lambda b: _at(b, lambda counts: (counts - 1) // 2),
    "largest values": lambda b: _at(b, lambda counts: counts - 1),
    "smallest values": lambda b: _at(b, lambda counts: counts * 0),
}


def _table_in_words(way: _Way, cases: Sequence[_Case]) -> list[str]:
    return [*_way_in_words(way), *_length_in_words(way, cases), *_empty_in_words(way, cases)]


def _way_in_words(way: _Way) -> Iterator[str]:
    """Yield a sentence for each choice that is not the one asked for."""
    if way.contrast:
        yield f"The voxels are {way.contrast}. Asked for: sorted by T1-w, T2-w averaged."
    if way.people:
        yield f"The table is made of {way.people}. Asked for: all subjects."
    if way.binning or way.left_out:
        parts = ", ".join(part for part in (way.binning, way.outside, way.left_out) if part)
        asked = "n_bins of equal width over [-1, 1], closed on the left, the last one on both sides"
        yield f"Your bins: {parts}. Asked for: {asked}."
    if way.statistic:
        yield f"The entries are {way.statistic}. Asked for: the mean of the voxels in each bin."


def _length_in_words(way: _Way, cases: Sequence[_Case]) -> Iterator[str]:
    """Yield a sentence if the tables have not n_bins entries."""
    sizes = [len(case.table) for case in cases]
    if all(size == case.n_bins for size, case in zip(sizes, cases, strict=True)):
        return
    filled = [_Binned(way, case).of(way.people).counts.nonzero() for case in cases]
    ends = [int(places.max()) + 1 for places in filled]
    pairs = zip(sizes, cases, strict=True)
    got = ", ".join(f"{size} for n_bins={case.n_bins}" for size, case in pairs)
    why = ": it ends with the last bin that holds a voxel" if sizes == ends else ""
    yield f"The number of entries is not n_bins but {got}{why}."


def _empty_in_words(way: _Way, cases: Sequence[_Case]) -> Iterator[str]:
    """Yield a sentence if bins without a voxel do not hold 0."""
    found: list[set[str]] = []
    for case in cases:
        chosen = _Binned(way, case).of(way.people)
        places = (chosen.counts[: len(case.table)] == 0).nonzero()[:, 0]
        places = places[places > int(chosen.counts.nonzero()[0])]  # the first have none before
        if not len(places):
            continue
        got = case.table[places]
        rules = {
            "0": torch.zeros_like(got),
            "nan, which is 0 / 0": torch.full_like(got, torch.nan),
            "-1": torch.full_like(got, -1),
            "the mean of all voxels": torch.full_like(
                got, float(chosen.sums.sum()) / chosen.n_voxels
            ),
            "the value of the bin before": case.table[places - 1],
            "the value of the bin after": case.table[(places + 1) % len(case.table)],
            "infinity": torch.full_like(got, torch.inf),
        }
        found.append({words for words, wanted in rules.items() if _close(got, wanted)})
        value = f"{float(got[0]):.4g}"
    if found and not set.intersection(*found):
        yield f"Bins without a voxel hold {value}, say. Asked for: 0."
    elif found and "0" not in (common := set.intersection(*found)):
        yield f"Bins without a voxel hold {min(common, key=len)}. Asked for: 0."
