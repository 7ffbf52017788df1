"""Tell how contrasts of lesions were measured: of which values and voxels, divided by what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from labhelpers.checks.explanations.functions import listed
from labhelpers.checks.probes.lesions import painted
from labhelpers.checks.records import Explanation, Run, explained

__all__ = ["lesion_contrast"]

_SIZE = (11, 13)  # voxels
_LAB_SIZE = (64, 64)
_BATCHES = (4, 5, 3)  # the first one finds a way of measuring, the others prove it
_TOLERANCES = (1e-9, 1e-5)  # exact, or computed in float32
_MOST_DIFFERENCES = 3
_ASKED = "mean"
_NO_SURROUND, _NO_LESION = "The surround is not subtracted.", "The lesion is not used."
_NOT_COUNTED = " are not counted. "
_NO_ZERO = "{}: voxels that are exactly 0 are not counted. They may belong to the mask."
_NO_AIR = "{}: voxels of -1, the value of air, are not counted. They may belong to the mask."
_GOES_ON = ", and what follows may be computed from what is left"


_IS_0 = "its contrast is always 0"
_MOVED = "Each contrast is "


def _end(x: Tensor, end: Callable[..., Tensor]) -> Tensor:
    return end(x, dim=1, keepdim=True)


#: What may have been made of the grey values first.
_VALUES: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda x: x,
    "The absolute values of the voxels are averaged: take the values with their signs.": torch.abs,
    "Each contrast is halved, as it is if the slices are brought to the range from 0 to 1 first: "
    "take the values as they are.": lambda x: (x + 1) / 2,
    "Each contrast is multiplied by 127.5, as it is if the slices are brought to the range from 0 "
    "to 255 first: take the values as they are.": lambda x: (x + 1) * 127.5,
    "Each slice is scaled by its own darkest and brightest voxel first: take the values as they "
    "are.": lambda x: (x - _end(x, torch.amin)) / (_end(x, torch.amax) - _end(x, torch.amin)),
    "Each slice is brought to mean 0 and deviation 1 first: take the values as they are.": (
        lambda x: x / x.std(dim=1, keepdim=True)
    ),
    "Voxels below 0 are set to 0 first: take the values as they are.": lambda x: x.clamp(min=0),
    "The values are squared before they are averaged.": lambda x: x.square(),
} | {
    f"Each voxel is {how} one of 256 greys{scale}, as in an image of 8 bits: take the values as "
    "they are.": (lambda x, whole=whole, factor=factor: whole((x + 1) * 127.5) / factor)
    for how, whole in (("rounded to", torch.round), ("cut down to", torch.floor))
    for scale, factor in (("", 127.5), (", from 0 to 255", 1), (", from 0 to 1", 255))
}
#: What may have been taken for the surround, from the masks of lesion and surround.
_SURROUNDS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "": lambda lesion, surround: surround,
    "The lesion is compared with all the rest of the slice; the surround is what its mask says.": (
        lambda lesion, surround: ~lesion
    ),
    "The lesion is compared with the whole slice; the surround is what its mask says.": (
        lambda lesion, surround: torch.ones_like(lesion)
    ),
    "The voxels of the lesion are counted in its surround, too.": lambda lesion, surround: (
        lesion | surround
    ),
}


@dataclass(frozen=True)
class _Region:
    """Voxels `(N, V)` of slices, the mask of a region, and that of the other region."""

    x: Tensor
    mask: Tensor
    other: Tensor
    size: Sequence[int]  # height and width of the slices

    @property
    def box(self) -> Tensor:
        """The smallest upright rectangle that holds the mask, of each slice."""
        mask = self.mask.unflatten(1, self.size)
        sides = (mask.any(dim, keepdim=True).double() for dim in (2, 1))
        # Not before the first one, and not behind the last one.
        rows, columns = (
            (side.cumsum(dim) > 0) & (side.flip(dim).cumsum(dim).flip(dim) > 0)
            for side, dim in zip(sides, (1, 2), strict=True)
        )
        return (rows & columns).flatten(1)

    @property
    def whole(self) -> _Region:
        """The whole slices as a region."""
        return replace(self, mask=torch.ones_like(self.mask))

    @property
    def sums(self) -> Tensor:
        return (self.x * self.mask).sum(1)

    @property
    def counts(self) -> Tensor:
        return self.mask.sum(1)

    @property
    def of_batch(self) -> Tensor:
        return self.x[self.mask].mean().expand(len(self.x))

    @property
    def of_chunks(self) -> Tensor:
        return self.of_parts(self.x[self.mask].chunk(len(self.x)))

    def of_parts(self, chunks: Sequence[Tensor]) -> Tensor:
        """Return the mean of each part, NaN where there are fewer parts than slices."""
        means = [chunk.mean() for chunk in chunks]
        missing = [self.x.new_full((), torch.nan)] * (len(self.x) - len(means))
        return torch.stack([*means, *missing])

    def of_lines(self, dim: int) -> Tensor:
        """Return the mean of the means of the rows or columns of each mask, along an image axis."""
        x, mask = (tensor.unflatten(1, self.size) for tensor in (self.x, self.mask))
        return ((x * mask).sum(dim) / mask.sum(dim)).nanmean(1)

    def where(self, counts: Tensor) -> Tensor:
        """Return the mean of the voxels of each mask that count."""
        return self.over(self.mask & counts)

    def over(self, mask: Tensor) -> Tensor:
        """Return the mean of each slice over another mask."""
        return (self.x * mask).sum(-1) / mask.sum(-1)

    def of_each(self, statistic: Callable[[Tensor], Tensor]) -> Tensor:
        """Return a statistic of the voxels of each slice."""
        return torch.stack([statistic(x[m]) for x, m in zip(self.x, self.mask, strict=True)])


#: What may stand in the place of a mean; {} is a region, which comes first in the sentence.
_MEANS: dict[str, Callable[[_Region], Tensor]] = {
    _ASKED: lambda r: r.sums / r.counts,
    "{} counts with the sum of its voxels: divide it by their number.": lambda r: r.sums,
    "{}: one mean over the voxels of all slices of the batch. Each slice has its own.": (
        lambda r: r.of_batch
    ),
    "{}: the sum of each slice is divided by the number of masked voxels of the whole batch. "
    "Count slice by slice.": lambda r: r.sums / r.counts.sum(),
    "{}: the sum of each slice is divided by the mean number of masked voxels of the slices of the "
    "batch. Count slice by slice.": lambda r: r.sums / r.counts.double().mean(),
    "{}: the sum of each slice is divided by the number of voxels of the first slice's mask. Count "
    "slice by slice.": lambda r: r.sums / r.counts[:1],
    "{}: the sum of each slice is divided by the number of voxels of the last slice's mask. Count "
    "slice by slice.": lambda r: r.sums / r.counts[-1:],
    "{}: the sum of each slice is divided by the number of voxels of the largest mask of the "
    "batch. Count slice by slice.": lambda r: r.sums / r.counts.max(),
    "{}: the sum is divided by the number of all voxels of a slice. Count the mask.": (
        lambda r: r.sums / r.mask.shape[1]
    ),
    "{}: the sum is divided by the number of all voxels of the batch. Count the mask, slice by "
    "slice.": lambda r: r.sums / r.mask.numel(),
    "{}: the sum is divided by the number of voxels of the other mask.": (
        lambda r: r.sums / r.other.sum(1)
    ),
    "{}: the sum is divided by the number of voxels of both masks together.": (
        lambda r: r.sums / (r.counts + r.other.sum(1))
    ),
    _NO_ZERO: lambda r: r.where(r.x != 0),
    _NO_AIR: lambda r: r.where(r.x > -1),
    "{}: voxels of 1 are not counted. They may belong to the mask.": lambda r: r.where(r.x < 1),
    "{}: sum and number of voxels go on from slice to slice. Begin anew with each slice.": (
        lambda r: r.sums.cumsum(0) / r.counts.cumsum(0)
    ),
    "{}: the sum goes on from slice to slice. Begin anew with each slice.": (
        lambda r: r.sums.cumsum(0) / r.counts
    ),
    "{}: the number of voxels goes on from slice to slice. Begin anew with each slice.": (
        lambda r: r.sums / r.counts.cumsum(0)
    ),
    "{}: the voxels of all slices lie in one row, which is cut into parts of equal length. The "
    "masks differ in size, so voxels of one slice count in the mean of another.": (
        lambda r: r.of_chunks
    ),
    "{}: the voxels of all slices lie in one row, which is cut into as many equal parts as there "
    "are slices. The masks differ in size, so voxels of one slice count in the mean of another.": (
        lambda r: r.of_parts(r.x[r.mask].tensor_split(len(r.x)))
    ),
    "{}: the mean of the means of its rows, in which each row of the mask counts the same, "
    "whatever its number of voxels. Take one mean over all its voxels.": lambda r: r.of_lines(2),
    "{}: the mean of the means of its columns, in which each column of the mask counts the same, "
    "whatever its number of voxels. Take one mean over all its voxels.": lambda r: r.of_lines(1),
    "{}: the mask of the first slice is used for all.": (
        lambda r: r.over(r.mask[:1].expand_as(r.mask))
    ),
    "{}: the mean is taken over the whole rectangle around the mask. Count the voxels of the mask "
    "alone.": lambda r: r.over(r.box),
    "{}: the mean is rounded down to a whole number, as `//` does.": (
        lambda r: (r.sums / r.counts).floor()
    ),
    "{} counts with the root of the mean of its squares, asked for is its mean.": (
        lambda r: ((r.x.square() * r.mask).sum(1) / r.counts).sqrt()
    ),
    "{} counts with its median, asked for is its mean.": lambda r: r.of_each(torch.median),
    "{} counts with its largest value, asked for is its mean.": lambda r: r.of_each(torch.amax),
    "{} counts with its smallest value, asked for is its mean.": lambda r: r.of_each(torch.amin),
} | {
    f"{{}}: {extra:g} is added to the number of voxels, which changes the mean of a small mask.": (
        lambda r, extra=extra: r.sums / (r.counts + extra)
    )
    for extra in (1, -1, 0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6)
}


def _of_chosen(choice: Callable[[_Region], Tensor], empty: float, region: _Region) -> Tensor:
    return region.where(choice(region)).nan_to_num(nan=empty)


_CHOICES: dict[str, Callable[[_Region], Tensor]] = {
    "above 0": lambda r: r.x > 0,
    "below 0": lambda r: r.x < 0,
    "above their own mean": lambda r: r.x > (r.sums / r.counts)[:, None],
    "below their own mean": lambda r: r.x < (r.sums / r.counts)[:, None],
    "above the mean of the slice": lambda r: r.x > r.x.mean(1, keepdim=True),
    "below the mean of the slice": lambda r: r.x < r.x.mean(1, keepdim=True),
}
_MEANS |= {
    f"{{}}: only voxels {than} count{none}. All voxels of its mask belong to it.": (
        partial(_of_chosen, choice, empty)
    )
    for than, choice in _CHOICES.items()
    for none, empty in (("", torch.nan), (", and 0 is their mean where there are none", 0.0))
}


def _beyond(
    compare: Callable[[Tensor, Tensor], Tensor],
    empty: Callable[[Tensor], Tensor],
    region: _Region,
    value: Tensor,
) -> Tensor:
    mean = region.where(compare(region.x, value[..., None]))
    return torch.where(mean.isnan(), empty(value), mean)


#: What is put in the place of a mean of no voxels.
_EMPTY: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda value: torch.full_like(value, torch.nan),
    ", and the contrast is 0 where there are none": lambda value: value,
    ", and 0 is their mean where there are none": torch.zeros_like,
}
#: Means of the lesion `(M, N)` that depend on the values `(M, N)` that the surround counts with.
_CHOSEN: dict[str, Callable[[_Region, Tensor], Tensor]] = {
    f"{{}}: only voxels {word} than the value of the surround count{none}. All voxels of its mask "
    "belong to it.": partial(_beyond, compare, empty)
    for word, compare in (("brighter", torch.gt), ("darker", torch.lt))
    for none, empty in _EMPTY.items()
}
#: What may have been made of the means of lesion and surround, and of deviations: of the surround
#: and of the slice, each divided by n - 1 and by n.
_RESULTS: dict[str, Callable[[Tensor, Tensor, Sequence[Tensor]], Tensor]] = {
    "": lambda a, b, _: a - b,
    _NO_SURROUND: lambda a, b, _: a.expand_as(a - b),
    _NO_LESION: lambda a, b, _: b.expand_as(a - b),
    "The two are added; the contrast is their difference.": lambda a, b, _: a + b,
    "The two are divided by each other; the contrast is their difference.": lambda a, b, _: a / b,
    "The difference is divided by the surround; asked for is the difference itself.": (
        lambda a, b, _: (a - b) / b
    ),
    "The difference is divided by the absolute value of the surround; asked for is the difference "
    "itself.": lambda a, b, _: (a - b) / b.abs(),
    "The difference is divided by the lesion; asked for is the difference itself.": (
        lambda a, b, _: (a - b) / a
    ),
    "The difference is divided by the absolute value of the lesion; asked for is the difference "
    "itself.": lambda a, b, _: (a - b) / a.abs(),
    "The difference is divided by the sum of the absolute values of the two; asked for is the "
    "difference itself.": lambda a, b, _: (a - b) / (a.abs() + b.abs()),
    "The difference is divided by the sum of the two; asked for is the difference itself.": (
        lambda a, b, _: (a - b) / (a + b)
    ),
} | {
    f"The difference is divided by the standard deviation of the {what}{how}; asked for is the "
    "difference itself.": lambda a, b, deviations, k=k: (a - b) / deviations[k]
    for k, (what, how) in enumerate(product(("surround", "slice"), ("", " (divided by n)")))
}
#: What may have been made of the contrasts then.
_AFTERWARDS: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda c: c,
    "The difference is the other way round: the mean of the lesion comes first.": torch.neg,
    "The result has no sign: a lesion that is darker than its surround has a negative contrast.": (
        torch.abs
    ),
    "Contrasts below 0 become 0: a lesion may be darker than its surround.": (
        lambda c: c.clamp(min=0)
    ),
    "The contrasts are multiplied by 100: return them as they are.": lambda c: 100 * c,
    "The contrasts of the slices are averaged; each slice has its own.": (
        lambda c: c.mean(-1, keepdim=True).expand_as(c)
    ),
    "The result is the contrast of the first slice alone; each slice has its own.": (
        lambda c: c[..., :1].expand_as(c)
    ),
    "The result is the contrast of the last slice alone; each slice has its own.": (
        lambda c: c[..., -1:].expand_as(c)
    ),
} | {
    f"The contrasts are rounded to {digits} decimals: return them as they are.": (
        lambda c, digits=digits: c.round(decimals=digits)
    )
    for digits in (1, 2, 3, 4)
}


@dataclass(frozen=True)
class _Batch:
    """Slices and masks `(N, 1, H, W)`, what an answer leaves of them, and what it makes of them."""

    arguments: tuple[Tensor, Tensor, Tensor]
    left: tuple[Tensor, Tensor, Tensor]
    values: Tensor
    shape: tuple[int, ...]
    changed: list[str]

    @property
    def right(self) -> Tensor:
        """The contrasts that are asked for."""
        means = _MEANS[_ASKED]
        lesion, surround = _regions(self.arguments, _VALUES[""], _SURROUNDS[""])
        return means(lesion) - means(surround)


def lesion_contrast(answer: Any, runs: list[Run]) -> Explanation | None:
    """Explain the contrasts of lesions of notebook 4."""
    try:
        # Turned round: the first lesion of a batch is the smallest one else.
        batches = [_measured(answer, n, 140 + 10 * n, turned=n == 5) for n in (*_BATCHES, 1)]
    except Exception as error:
        return explained(_short(answer), ["values"]) or explained(_why_stopped(answer, error))
    names = ("images", "lesion_masks", "surround_masks")
    changed = [name for name in names if any(name in batch.changed for batch in batches)]
    is_odd = any(batch.values.numel() != len(batch.arguments[0]) for batch in batches)
    if is_odd and not changed:
        return explained(_short(answer), ["values"])
    if changed:
        right, found = not is_odd and _are_right(batches), list[str]()
        # What follows may be computed from what is left, rightly or not, or have been before.
        left = [replace(batch, arguments=batch.left) for batch in batches]
        if not (is_odd or right):
            # A change before all else is wrong in a copy, too.
            found, of_left = _way(batches), [] if _are_right(left) else _way(left)
            if of_left and not (found and len(found) <= len(of_left)):
                found = of_left
            known = {*_VALUES, *_SURROUNDS}
            if "images" not in changed:
                known |= {text for text in found if _NOT_COUNTED in text}
            if _are_right(left) and not {*found} <= known:
                found = []
        goes_on = _GOES_ON * (not right)
        sentences: list[str] = [
            f"Your function changes {listed(changed)}, which it was given{goes_on}. "
            "Make a new tensor: a method whose name ends in `_`, `+=` and an assignment to a part "
            "change the tensor itself, whatever name it goes by.",
            *found,
        ]
        items = ["untouched"] if right else ["untouched", "values"]
    else:
        sentences = _way(batches) or list(_where(answer, batches))
        items = ["values"] if sentences else []
    shape = [] if is_odd else list(_shapes(batches))
    return explained([*sentences, *shape], items + (["shape"] if shape else []))


def _are_right(batches: Sequence[_Batch]) -> bool:
    return all(torch.allclose(batch.values, batch.right) for batch in batches)


def _measured(
    answer: Any,
    n: int,
    seed: int,
    turned: bool = False,
    size: tuple[int, int] = _SIZE,
    alike: bool = False,
) -> _Batch:
    """Return what an answer makes of a batch.

    Args:
        answer: It.
        n: Number of slices.
        seed: Of the slices and their masks.
        turned: Whether the order of the slices is turned round.
        size: Of the slices.
        alike: Whether the masks of all slices have the same shape, at different places.
    """
    arguments = painted(n, size, seed, torch.float64)
    if alike:
        images, *masks = arguments
        moved = (torch.stack([x[-1].roll(k, -1) for k in range(n)]) for x in masks)
        arguments = (images, *moved)  # type: ignore[assignment]
    if turned:
        arguments = tuple(x.flip(0) for x in arguments)  # type: ignore[assignment]
    given = [x.clone() for x in arguments]
    result = torch.as_tensor(answer(*given)).detach()
    changed = [
        name
        for name, before, after in zip(
            ("images", "lesion_masks", "surround_masks"), arguments, given, strict=True
        )
        if not torch.equal(before, after)
    ]
    values = result.reshape(-1).double()
    values = values.expand(n) if values.numel() == 1 else values  # one number for the whole batch
    return _Batch(arguments, (given[0], given[1], given[2]), values, tuple(result.shape), changed)


def _why_stopped(answer: Any, error: Exception) -> Iterator[str]:
    """Yield a sentence if an answer stops because of the sizes of the slices or of the masks."""
    if not _stops(answer, *_BATCHES):
        if _stops(answer, 1):
            yield "Your function stops with one slice alone (N = 1), and not with several."
        return
    try:
        alike = [_measured(answer, n, 180, alike=True) for n in _BATCHES]
    except Exception:
        alike = []
    if alike and _are_right(alike):
        row = (
            " A Boolean index, such as `images[lesion_masks]`, puts the voxels of all slices in "
            "one row, which does not tell where the next slice begins."
        )
        yield (
            "Your function is right where the lesions of all slices have the same number of "
            "voxels, and their surrounds too. In the check the numbers differ, and it stops."
            f"{row * ('is invalid for input of size' in str(error))}"
        )
        return
    try:
        batch = _measured(answer, 4, 180, size=_LAB_SIZE)
    except Exception:
        return
    if torch.allclose(batch.values, batch.right):
        yield (
            "Your function works for slices of 64 × 64 voxels only. Slices are (N, 1, H, W), and "
            "the check tries other sizes: take H and W from the slices themselves."
        )


def _stops(answer: Any, *sizes: int) -> bool:
    """Return True if an answer stops with a batch of one of these sizes."""
    try:
        for n in sizes:
            _measured(answer, n, 180)
    except Exception:
        return True
    return False


def _regions(
    arguments: Sequence[Tensor],
    values: Callable[[Tensor], Tensor],
    surround_of: Callable[[Tensor, Tensor], Tensor],
) -> tuple[_Region, _Region]:
    size = arguments[0].shape[-2:]
    x, lesion, surround = (tensor.flatten(1) for tensor in arguments)
    x, surround = values(x), surround_of(lesion, surround)
    return _Region(x, lesion, surround, size), _Region(x, surround, lesion, size)


def _way(batches: Sequence[_Batch]) -> list[str]:
    """Return how the contrasts were measured, the fewest differences from what is asked for."""
    values = torch.cat([batch.values for batch in batches])
    if values.unique().numel() == 1 or values.isnan().all():
        return []  # one number for all, whatever it is
    kept, left_out = slice(None), list[str]()
    for name, index, rest in (("first", 0, slice(1, None)), ("last", -1, slice(-1))):
        if all(batch.values[index] == 0 for batch in batches):
            kept, left_out = rest, [f"The {name} slice of the batch is left out: {_IS_0}."]
    for tolerance in _TOLERANCES:
        found: list[list[str]] = []
        for value in _VALUES:
            for surround in _SURROUNDS:
                ways = _ways(batches, value, surround, tolerance, kept)
                found += [[*left_out, *way] for way in ways]
        if found:
            best = min(found, key=len)
            return best if len(best) <= _MOST_DIFFERENCES else []
    return []


def _short(answer: Any) -> Iterator[str]:
    """Yield what is wrong if the result has one value less than there are slices."""
    try:
        batches = [_measured(answer, n, 140 + 10 * n, turned=n == 5) for n in _BATCHES]
    except Exception:
        return
    if any(len(batch.values) != n - 1 for batch, n in zip(batches, _BATCHES, strict=True)):
        return
    for name, sides in (("first", (1, 0)), ("last", (0, 1))):
        filled = [replace(batch, values=F.pad(batch.values, sides)) for batch in batches]
        if way := _way(filled):
            n = _BATCHES[0]
            yield (
                f"The {name} slice of the batch is left out: for {n} slices the result has "
                f"{n - 1} values."
            )
            yield from way[1:]
            return


def _ways(
    batches: Sequence[_Batch], value: str, surround: str, tolerance: float, kept: slice
) -> Iterator[list[str]]:
    """Yield the sentences of each way that gives the contrasts of all batches."""
    means = []
    for batch in batches:
        regions = _regions(batch.arguments, _VALUES[value], _SURROUNDS[surround])
        both = [torch.stack([mean(r) for mean in _MEANS.values()]) for r in regions]
        deviations = [
            region.of_each(partial(torch.std, correction=less))
            for region in (regions[1], regions[1].whole)
            for less in (1, 0)
        ]
        chosen = torch.stack([mean(regions[0], both[1]) for mean in _CHOSEN.values()])
        of_lesion = torch.cat([both[0][:, None].expand(-1, len(both[1]), -1), chosen])
        means.append((of_lesion, both[1][None], deviations))
    names = [*_MEANS, *_CHOSEN]
    if value.startswith(_MOVED):  # 0 stands for air then
        names[names.index(_NO_ZERO)] = _NO_AIR
    for (text, result), (after, change) in product(_RESULTS.items(), _AFTERWARDS.items()):
        fits = torch.ones(len(names), len(_MEANS), dtype=torch.bool)
        for batch, parts in zip(batches, means, strict=True):
            got = batch.values[kept]
            contrasts = change(result(*parts))[..., kept]
            fitting = (contrasts - got).abs() <= tolerance * (1 + got.abs())
            if got.isnan().any():
                fitting |= contrasts.isnan() & got.isnan()
            fits &= fitting.all(2)
            if not fits.any():
                break
        for of_lesion, of_surround in fits.nonzero().tolist():
            sentences = [sentence for sentence in (value, surround) if sentence]
            if text not in (_NO_SURROUND, _NO_LESION):
                sentences += _means_in_words(names[of_lesion], names[of_surround])
            elif (names[of_lesion], names[of_surround]).count(_ASKED) < 2:
                continue  # what is not used can be anything
            yield [*sentences, *filter(None, (text, after))]


def _means_in_words(of_lesion: str, of_surround: str) -> list[str]:
    if of_lesion == of_surround:
        both = of_lesion.format("Of lesion and of surround") if ":" in of_lesion[:4] else (
            of_lesion.format("Each of lesion and surround")
        )  # fmt: skip
        return [] if of_lesion == _ASKED else [both]
    return [
        mean.format(f"Of the {region}" if ":" in mean[:4] else f"The {region}")
        for region, mean in (("lesion", of_lesion), ("surround", of_surround))
        if mean != _ASKED
    ]


def _where(answer: Any, batches: Sequence[_Batch]) -> Iterator[str]:
    """Yield in which slices the contrasts are wrong, where that follows a simple rule."""
    try:
        tried = [*batches, *(_measured(answer, n, 200 + n, turned=True) for n in _BATCHES)]
    except Exception:
        return
    got = torch.cat([batch.values for batch in tried])
    asked = torch.cat([batch.right for batch in tried])
    right = (got - asked).abs() <= _TOLERANCES[1] * (1 + asked.abs())
    if right.all():
        return
    if got.isnan().all():
        yield (
            "Every contrast is nan, not a number: something is divided by 0, or infinities are "
            "subtracted from each other."
        )
        return
    sizes = torch.cat([batch.arguments[1].flatten(1).sum(1) for batch in tried])
    first = torch.cat([torch.arange(len(batch.values)) == 0 for batch in tried])
    for is_so, what in (
        (sizes == 1, "whose lesion is a single voxel"),
        (asked < 0, "whose lesion is darker than its surround"),
        (first, "that stand first in their batch"),
    ):
        for mask, words in ((is_so, what), (~is_so, what.replace("that stand", "that do not stand")
                            if "stand" in what else what.replace("is", "is not", 1))):  # fmt: skip
            if torch.equal(got.isnan(), mask):
                yield f"The contrast is nan, not a number, exactly for slices {words}."
                return
            if torch.equal(~right, mask):
                yield f"In what was tried, the contrast is wrong exactly for slices {words}."
                return
    for is_so, what in (
        (asked < 0, "whose lesion is darker than its surround"),
        (asked > 0, "whose lesion is brighter than its surround"),
        (sizes == 1, "whose lesion is a single voxel"),
    ):
        if (got.isnan() & is_so).any() and not (got.isnan() & ~is_so).any():
            yield f"Some contrasts are nan, not a number, all of slices {what}."
            return
    if (got / asked).std() < _TOLERANCES[1]:
        yield f"All contrasts are {(got / asked).mean():.4g} times as large as they should be."


def _shapes(batches: Sequence[_Batch]) -> Iterator[str]:
    """Yield a sentence about the shape of the result, if it is another one."""
    for batch in batches:
        n = len(batch.values)
        if batch.shape != (n,):
            many = "slices" if n > 1 else "slice"
            yield f"For {n} {many} the result has the shape {batch.shape}, asked for ({n},)."
            return
