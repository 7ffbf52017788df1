"""The rules of an audit: when each problem is named, as asked for and as it is often written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations, permutations, product
from operator import mul
from typing import Any, NamedTuple

import torch
from torch import Tensor

from labhelpers.checks.explanations.audit_sets import Axes, Sets, Slices

__all__ = ["RULES", "Rule"]

_ANY = (-torch.inf, torch.inf)
_INF = torch.inf


class Measure(NamedTuple):
    """What is compared with a threshold.

    Attributes:
        of: It as a function, or as whatever the score of its rule takes.
        limits: Between which thresholds right ones lie; all are right if the sentence of the
            measure says enough.
        remark: A sentence for another threshold, with `{}` for where it lies.
        sign: What the threshold is multiplied by in the sentence.
    """

    of: Any
    limits: tuple[float, float] = _ANY
    remark: str = ""
    sign: int = 1


class Rule(NamedTuple):
    """When a problem is named: where its score is below a threshold.

    Attributes:
        factors: What makes up the score. Each factor has values by the sentence that tells them,
            `""` for the value that is asked for. The first one is of measures.
        score: The score of a pair of data sets, given a value of each factor.
        also: Other measures that are right.
        unit: The number of the factor without whose right value the limits mean nothing, or None.
    """

    factors: tuple[Mapping[str, Any], ...]
    score: Callable[..., float]
    also: tuple[Measure, ...] = ()
    unit: int | None = None

    def ways(self, n: int) -> Iterator[tuple[list[str], list[Any]]]:
        """Yield sentences and values of all ways with `n` factors that differ from those asked."""
        for changed in combinations(range(len(self.factors)), n):
            values = [
                [(text, value) for text, value in factor.items() if bool(text) == (k in changed)]
                for k, factor in enumerate(self.factors)
            ]
            if 0 not in changed:
                values[0] += [("", measure) for measure in self.also]
            for chosen in product(*values):
                yield [text for text, _ in chosen if text], [value for _, value in chosen]

    def measured(self, values: list[Any]) -> list[Any]:
        """Return what is compared with a threshold, in its unit."""
        return [values[0], *([] if self.unit is None else [values[self.unit]])]

    def remark(self, values: list[Any], low: float, high: float) -> str:
        """Return a sentence if all thresholds between two numbers are wrong, else ""."""
        measure = values[0]
        comparable = self.unit is None or values[self.unit] is self.factors[self.unit][""]
        if not comparable or (low < measure.limits[1] and high > measure.limits[0]):
            return ""
        low, high = sorted((measure.sign * low, measure.sign * high))
        if low == -_INF:
            return measure.remark.format(f"below {high:.3g}")
        digits = next((k for k in range(3, 9) if f"{low:.{k}g}" != f"{high:.{k}g}"), 9)
        where = (
            f"between {low:.{digits}g} and {high:.{digits}g}" if high < _INF else f"above {low:.3g}"
        )
        return measure.remark.format(where)


# --- What the rules have in common ----------------------------------------------------------------

_SIDES: dict[str, Callable[[list[float]], float]] = {
    "": min,
    "Only the training set is searched. Asked for: both sets.": lambda scores: scores[0],
    "Only the test set is searched. Asked for: both sets.": lambda scores: scores[1],
    "It is named only if both sets have it. Asked for: also if one of them has it.": max,
}
_ITEMS: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda x: x.amin(0),
    "Only the first item of each set is looked at. Asked for: every item.": lambda x: x[0],
    "Only the last item of each set is looked at. Asked for: every item.": lambda x: x[-1],
    "The first item of each set is left out. Asked for: every item.": (
        lambda x: x[1:].amin(0) if len(x) > 1 else torch.full_like(x[0], _INF)
    ),
    "The last item of each set is left out. Asked for: every item.": (
        lambda x: x[:-1].amin(0) if len(x) > 1 else torch.full_like(x[0], _INF)
    ),
    "It is named only where all items of a set have it. Asked for: one item is enough.": (
        lambda x: x.amax(0)
    ),
}
_CONTRASTS: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda x: x.amin(-1),
    "Only the T1-w slices are looked at. Asked for: both slices of each item.": lambda x: x[..., 0],
    "Only the T2-w slices are looked at. Asked for: both slices of each item.": lambda x: x[..., 1],
    "It is named only where both slices of an item have it. Asked for: one slice is enough.": (
        lambda x: x.amax(-1)
    ),
}


# --- Another scale --------------------------------------------------------------------------------

_SCALE_MEASURES = {
    text: Measure(
        measure,
        (-0.0505, -0.035),
        "The limit for how far an end of the range may be off lies {}. Asked for: 0.05.",
        -1,
    )
    for text, measure in {
        "": lambda low, high: torch.maximum((low + 1).abs(), (high - 1).abs()),
        "Only the smallest value of a slice is compared. Asked for: the largest one, too.": (
            lambda low, high: (low + 1).abs()
        ),
        "Only the largest value of a slice is compared. Asked for: the smallest one, too.": (
            lambda low, high: (high - 1).abs()
        ),
        "Only values outside of the range from -1 to 1 count. Asked for: a slice that uses only a "
        "part of this range, such as 0 to 1, is on another scale, too.": (
            lambda low, high: torch.maximum(-1 - low, high - 1)
        ),
        "Only values above 1 count. Asked for: the smallest value differs from -1, or the largest "
        "one from 1, in either direction.": lambda low, high: high - 1,
        "Only values below -1 count. Asked for: the smallest value differs from -1, or the largest "
        "one from 1, in either direction.": lambda low, high: -1 - low,
        "Only ranges that are too small count. Asked for: values below -1 or above 1 are another "
        "scale, too.": lambda low, high: torch.maximum(low + 1, 1 - high),
        "Only a smallest value above -1 counts. Asked for: both ends, in either direction.": (
            lambda low, high: low + 1
        ),
        "Only a largest value below 1 counts. Asked for: both ends, in either direction.": (
            lambda low, high: 1 - high
        ),
        "Only the largest absolute value of a slice is compared with 1. Asked for: the smallest "
        "value with -1, and the largest one with 1.": (
            lambda low, high: (torch.maximum(-low, high) - 1).abs()
        ),
        "Only the width of the range is compared with 2, so that 0 to 2 is not found. Asked for: "
        "the smallest value with -1, and the largest one with 1.": (
            lambda low, high: (high - low - 2).abs()
        ),
        "Only a range that is too wide counts. Asked for: the smallest value is compared with -1, "
        "and the largest one with 1, in either direction.": lambda low, high: high - low - 2,
        "Only a range that is too narrow counts. Asked for: the smallest value is compared with "
        "-1, and the largest one with 1, in either direction.": lambda low, high: 2 - high + low,
        "It is named only where both ends of the range are wrong. Asked for: one wrong end is "
        "enough, `or` and not `and`.": (
            lambda low, high: torch.minimum((low + 1).abs(), (high - 1).abs())
        ),
        "Only the middle between the two ends is compared with 0, so that -0.5 to 0.5 is not "
        "found. Asked for: each end for itself.": lambda low, high: (low + high).abs(),
        "The smallest value is compared with 0 in place of -1.": (
            lambda low, high: torch.maximum(low.abs(), (high - 1).abs())
        ),
    }.items()
}
_SCALE_VALUES: dict[str, Callable[[Slices], Tensor]] = {
    "": lambda s: s.ends_of_finite,
    "Infinite values take part in the smallest and the largest value. Asked for: those of the "
    "finite values, `image[image.isfinite()]`.": lambda s: s.ends_but_nan,
    "Values that are not finite take part: a slice with NaN is never named, and one with infinity "
    "always is. Asked for: the smallest and the largest of the finite values, "
    "`image[image.isfinite()]`.": lambda s: s.ends_of_all,
    "Values that are not finite take part: a slice with NaN or infinity is always named. Asked "
    "for: the smallest and the largest of the finite values, `image[image.isfinite()]`.": (
        lambda s: torch.where(s.has_nan, 99.0, s.ends_but_nan)
    ),
    "A slice that holds NaN is always named. Asked for: the smallest and the largest of the "
    "finite values, `image[image.isfinite()]`.": lambda s: torch.where(
        s.has_nan, 99.0, s.ends_of_finite
    ),
    "A slice that holds a value that is not finite is never named. Asked for: its finite values "
    "are compared.": lambda s: s.ends_without_bad_slices,
    "A slice that holds NaN is never named. Asked for: its finite values are compared.": (
        lambda s: torch.where(s.has_nan, torch.nan, s.ends_of_finite)
    ),
    "Of an item that holds a value that is not finite, no slice is named. Asked for: its finite "
    "values are compared.": lambda s: torch.where(
        s.finite.all(2).all(1)[:, None], s.ends_of_finite, torch.nan
    ),
}


def _extremes(ends: Tensor, dims: tuple[int, ...]) -> Tensor:
    low = ends[0].nan_to_num(_INF, _INF, -_INF).amin(dims, keepdim=True)
    high = ends[1].nan_to_num(-_INF, _INF, -_INF).amax(dims, keepdim=True)
    return torch.stack((low, high)).expand_as(ends)


_SCALE_GROUPS: dict[str, Callable[[Tensor], Tensor] | None] = {
    "": lambda ends: ends,
    "The two slices of an item are looked at together, where one with a smaller range does not "
    "show. Asked for: slice by slice.": lambda ends: _extremes(ends, (1,)),
    "All slices of a contrast in a set are looked at together, where one with a smaller range does "
    "not show. Asked for: slice by slice.": lambda ends: _extremes(ends, (0,)),
    "All slices of a set are looked at together, where one with a smaller range does not show. "
    "Asked for: slice by slice.": lambda ends: _extremes(ends, (0, 1)),
    "The means over a set of the smallest and of the largest values are compared. Asked for: slice "
    "by slice.": lambda ends: ends.mean(1, keepdim=True).expand_as(ends),
    "All slices of both sets are looked at together, where one with a smaller range does not show. "
    "Asked for: slice by slice.": None,
}


def _scale(
    sets: Sets, measure: Any, values: Any, group: Any, contrasts: Any, items: Any, sides: Any
) -> float:
    ends = [values(slices) for slices in sets.slices]
    if group:
        ends = [group(part) for part in ends]
    else:
        whole = _extremes(torch.cat(ends, 1), (0, 1))
        ends = [*whole.split([part.shape[1] for part in ends], 1)]
    scores = []
    for part in ends:
        found = -measure.of(*part)
        scores.append(float(items(contrasts(found.nan_to_num(_INF, _INF, -_INF)))))
    return sides(scores)


# --- Values not finite ----------------------------------------------------------------------------

_NOT_FINITE = {
    text: Measure(measure)
    for text, measure in {
        "": lambda s: s.has_nan | s.has_inf | s.has_minus_inf,
        "Only NaN is looked for. Asked for: NaN and infinite values, of either sign.": (
            lambda s: s.has_nan
        ),
        "Only infinite values are looked for. Asked for: NaN, too.": (
            lambda s: s.has_inf | s.has_minus_inf
        ),
        "Of the infinite values, those below zero are not looked for. Asked for: NaN, inf and "
        "-inf.": lambda s: s.has_nan | s.has_inf,
        "Of the infinite values, those above zero are not looked for. Asked for: NaN, inf and "
        "-inf.": lambda s: s.has_nan | s.has_minus_inf,
        "Only inf is looked for. Asked for: NaN, inf and -inf.": lambda s: s.has_inf,
        "Only -inf is looked for. Asked for: NaN, inf and -inf.": lambda s: s.has_minus_inf,
        "It is named only where NaN and an infinite value are in one slice. Asked for: one value "
        "of either kind is enough.": lambda s: s.has_nan & (s.has_inf | s.has_minus_inf),
        "It is named only where no value of a slice is finite. Asked for: one value is enough.": (
            lambda s: ~s.finite.any(2)
        ),
    }.items()
}


def _finite(sets: Sets, measure: Any, contrasts: Any, items: Any, sides: Any) -> float:
    return sides([
        float(items(contrasts(-measure.of(slices).double()))) for slices in sets.slices
    ])  # fmt: skip


# --- Modalities exchanged -------------------------------------------------------------------------

_GREY = "Asked for: a measure that does not depend on the scale, such as `middle_grey`."
_BRIGHTNESS: dict[str, Callable[[Slices], Tensor]] = {
    "": lambda s: s.greys,
    "The mean of each whole slice is compared, which does not tell T1-w from T2-w in every item. "
    f"{_GREY}": lambda s: s.means,
    "The mean of the finite values of each slice is compared, which does not tell T1-w from T2-w "
    f"in every item. {_GREY}": lambda s: s.means_of_finite,
    "The mean of each slice, brought to the range from 0 to 1, is compared, which does not tell "
    "T1-w from T2-w in every item. Asked for: a measure that does, such as `middle_grey`.": (
        lambda s: s.scaled_means
    ),
    "The medians of the slices are compared, which do not tell T1-w from T2-w in every item. "
    f"{_GREY}": lambda s: s.medians,
    "The standard deviations of the slices are compared, which do not tell T1-w from T2-w in every "
    f"item. {_GREY}": lambda s: s.deviations,
    "The means of the middle of the slices are compared as they are, and a slice on another scale "
    f"is misjudged. {_GREY}": lambda s: s.middle_means,
    "The means of the middle of the slices are compared as they are, with NaN and infinity, and a "
    f"slice on another scale is misjudged. {_GREY}": (
        lambda s: s.x[:, :, 20:44, 20:44].flatten(2).mean(2)
    ),
    "The medians of the middle of the slices are compared as they are, and a slice on another "
    f"scale is misjudged. {_GREY}": lambda s: s.middle_medians,
    "The largest values of the slices are compared, which do not tell T1-w from T2-w. "
    f"{_GREY}": lambda s: s.ends_of_finite[1],
    "The means of the middle of the slices, brought to the range from 0 to 1, are compared, which "
    "do not tell T1-w from T2-w in every item. Asked for: a measure that does, such as "
    "`middle_grey`.": lambda s: s.scaled_middle_means,
}
_GREYS = "Asked for: the two slices of an item compared, or a threshold between 0.51, the largest "
_GREYS += "`middle_grey` of a T2-w slice, and 0.66, the smallest one of a T1-w slice."
_COMPARED = {
    "": Measure(
        lambda m: m[:, 0] - m[:, 1],
        (-0.14, 0.14),
        'The limit for the grey under "T1" minus the grey under "T2" lies {}. Asked for: 0, or '
        "near it.",
    ),
    "The comparison is the wrong way round: T1-w has the larger grey of the middle.": Measure(
        lambda m: m[:, 1] - m[:, 0]
    ),
}
_ONE_GREY = (
    Measure(
        lambda m: m[:, 0],
        (0.51, 0.66),
        f'The threshold for the grey of the slice under "T1" lies {{}}. {_GREYS}',
    ),
    Measure(
        lambda m: -m[:, 1],
        (-0.66, -0.51),
        f'The threshold for the grey of the slice under "T2" lies {{}}. {_GREYS}',
        -1,
    ),
)


def _modalities(sets: Sets, compared: Any, brightness: Any, items: Any, sides: Any) -> float:
    scores = []
    for slices in sets.slices:
        found = compared.of(brightness(slices)).nan_to_num(_INF, _INF, -_INF)
        scores.append(float(items(found)))
    return sides(scores)


_ITEMS_OF_CONTRAST = _ITEMS | {
    "The means over a whole set are compared, where one exchanged item does not show. Asked for: "
    "item by item.": lambda x: x.mean(0),
    "It is named only where about half of the items of a set have it, or more. Asked for: one item "
    "is enough.": lambda x: x.median(0).values,
}


# --- Pairs exchanged ------------------------------------------------------------------------------

_MEAN_ASKED = (
    "Asked for: the mean overlap of a set, with a threshold between those of the table, 0.965 for "
    "right and 0.945 for wrong pairs."
)
_OVERLAPS = {
    "": Measure(
        lambda s: s.own.mean(),
        (0.9471, 0.9629),
        "The threshold for the mean overlap of a set lies {}. Asked for: one between the means of "
        "the table, 0.945 for wrong pairs and 0.965 for right ones.",
    ),
    "The smallest overlap of a set is compared, and right pairs may agree badly. "
    f"{_MEAN_ASKED}": Measure(lambda s: s.own.min()),
    f"The largest overlap of a set is compared. {_MEAN_ASKED}": Measure(lambda s: s.own.max()),
    f"The median overlap of a set is compared. {_MEAN_ASKED}": Measure(lambda s: s.own.median()),
    f"The overlap of the first item of a set alone is compared. {_MEAN_ASKED}": Measure(
        lambda s: s.own[0]
    ),
    f"The overlap of the last item of a set alone is compared. {_MEAN_ASKED}": Measure(
        lambda s: s.own[-1]
    ),
    "The comparison is the wrong way round: a large mean overlap is named. Right pairs overlap "
    "more than wrong ones.": Measure(lambda s: -s.own.mean()),
    "One item whose overlap with the next item's T2-w slice is larger than its own is enough. "
    f"{_MEAN_ASKED}": Measure(lambda s: (s.own - s.neighbours(-1)).min()),
    "One item whose own overlap is not the largest is enough; two heads may agree by chance. "
    f"{_MEAN_ASKED}": Measure(lambda s: (s.own - s.overlaps.amax(1)).min()),
    **{
        f"The overlaps are compared item by item with those of {whose}: it is named where enough "
        "own ones are smaller. With wrong pairs, chance decides each comparison, and only the mean "
        f"over a set tells. {_MEAN_ASKED}": Measure(
            lambda s, other=other: -(s.own < other(s)).double().mean()
        )
        for whose, other in {
            "the next items' T2-w slices": lambda s: s.neighbours(-1),
            "the T2-w slices of the items before": lambda s: s.neighbours(1),
            "all other T2-w slices, on average": lambda s: _others(s),
        }.items()
    },
} | {
    f"The overlaps below {limit:g} are counted. {_MEAN_ASKED}": Measure(
        lambda s, limit=limit: -(s.own < limit).double().mean()
    )
    for limit in (0.8, 0.85, 0.9, 0.92, 0.93, 0.94, 0.945, 0.95, 0.955, 0.96)
}


def _gap(s: Slices, n: int, sign: int) -> Tensor:
    others = [s.neighbours(sign * shift) for shift in range(1, n + 1)]
    return s.own.mean() - torch.stack(others).mean()


_MARGINS = tuple(
    Measure(
        gap,
        (0.0062, 0.0189),
        "The margin between the mean overlap of a set and that of its T1-w slices with "
        f"{whose} T2-w slices lies {{}}. Asked for: about 0.01.",
    )
    for whose, gap in [
        ("the next items'", lambda s: s.own.mean() - s.neighbours(-1).mean()),
        ("the items' before", lambda s: s.own.mean() - s.neighbours(1).mean()),
        ("all other items'", lambda s: s.own.mean() - _others(s).mean()),
        *(
            (f"{number} neighbours'", partial(_gap, n=n, sign=sign))
            for n, number in ((2, "two"), (3, "three"), (4, "four"))
            for sign in (-1, 1)
        ),
    ]
)


def _others(s: Slices) -> Tensor:
    n = len(s.own)
    return (s.overlaps.sum(1) - s.own) / max(n - 1, 1)


_SIDES_OF_PAIRS: dict[str, Any] = _SIDES | {
    "Both data sets are looked at together, where wrong pairs of the small one do not show. Asked "
    "for: each set for itself.": None,
    "The mean over the items of both data sets is compared, where wrong pairs of the small one do "
    "not show. Asked for: each set for itself.": "mean",
}


def _pairs(sets: Sets, measure: Any, sides: Any) -> float:
    parts = (sets.both,) if sides is None else sets.slices
    scores = [float(measure.of(slices).nan_to_num(_INF)) for slices in parts]
    if sides == "mean":  # the neighbours are those of the own set
        sizes = [len(slices.own) for slices in parts]
        return sum(map(mul, sizes, scores)) / sum(sizes)
    return sides(scores) if sides else scores[0]


# --- Copies ---------------------------------------------------------------------------------------

_DISTANCES = {
    "": Measure(
        "largest difference",
        (-1e-4, 0.0089),
        "Items that are only alike count as copies: the largest difference that is let pass lies "
        "{}. Asked for: the slices agree value for value.",
    ),
    "The mean difference of two items is compared, to which a spot that differs adds little. Asked "
    "for: the slices agree value for value.": Measure("mean difference"),
    "Items are compared by the sums or means of their slices, which a mirrored copy shares. Asked "
    "for: the slices agree value for value.": Measure("difference of means"),
    "Items are compared by the correlation of their slices, which does not change where all values "
    "do. Asked for: the slices agree value for value.": Measure("correlation"),
}
_SLICES_OF_COPY: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda d: d.amax(0),
    "Only the T1-w slices are compared. Asked for: both slices of an item agree.": lambda d: d[0],
    "Only the T2-w slices are compared. Asked for: both slices of an item agree.": lambda d: d[1],
    "One slice that agrees is enough. Asked for: both slices of an item agree.": (
        lambda d: d.amin(0)
    ),
}


def _only(kept: Callable[[Tensor], Tensor], d: Tensor) -> Tensor:
    return torch.where(kept(torch.ones_like(d)) > 0, d, _INF)


_WITH: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda d: d,
    "Items are compared at the same place of the two sets only. Asked for: each item with every "
    "item of the other set.": lambda d: d.diagonal().reshape(-1, 1),
    **{
        f"Each training item is compared only with the test items {where}. Asked for: with every "
        "item of the test set.": partial(_only, kept)
        for where, kept in {
            "at its own place in the set and behind it": lambda x: x.triu(),
            "behind its own place in the set": lambda x: x.triu(1),
            "at its own place in the set and before it": lambda x: x.tril(),
            "before its own place in the set": lambda x: x.tril(-1),
        }.items()
    },
    "Only the first item of the training set is compared. Asked for: every item.": lambda d: d[:1],
    "Only the first item of the test set is compared. Asked for: every item.": lambda d: d[:, :1],
    "Only as many items of the training set as the test set has are compared. Asked for: every "
    "item.": lambda d: d[: d.shape[1]],
    "The last item of the training set is left out. Asked for: every item.": lambda d: d[:-1],
    "The last item of the test set is left out. Asked for: every item.": lambda d: d[:, :-1],
    "The last item of each set is left out. Asked for: every item.": lambda d: d[:-1, :-1],
    "The first item of each set is left out. Asked for: every item.": lambda d: d[1:, 1:],
}
_WITHIN: dict[str, tuple[tuple[int, int], ...]] = {
    "": ((0, 1),),
    "Copies inside one set are named, too. Asked for: one item in each of the two sets.": (
        (0, 1), (0, 0), (1, 1),
    ),
    "Copies inside the training set are named, too. Asked for: one item in each of the two sets.": (
        (0, 1), (0, 0),
    ),
    "Copies inside the test set are named, too. Asked for: one item in each of the two sets.": (
        (0, 1), (1, 1),
    ),
    "The training set is compared with itself, not with the test set. Asked for: one item in each "
    "of the two sets.": ((0, 0),),
    "The test set is compared with itself, not with the training set. Asked for: one item in each "
    "of the two sets.": ((1, 1),),
    "Copies inside one set are named, and not those in the other set. Asked for: one item in each "
    "of the two sets.": ((0, 0), (1, 1)),
}  # fmt: skip
_LEFT_RIGHT = (
    "Asked for: left and right exchanged, which lie along x, the first of the two image axes: axis "
    "1 of a slice (1, 64, 64)."
)
_AS_IS: Axes = ()
_MIRRORED: Axes = (1,)
_OVER: Axes = (2,)
_HALF_TURN: Axes = (1, 2)
_UNLIKE = {
    f"Items of which the T1-w slice is {of_t1} and the T2-w slice {of_t2} are named": (t1, t2)
    for (of_t1, t1), (of_t2, t2) in permutations(
        {"as it is": _AS_IS, "mirrored": _MIRRORED, "upside down": _OVER}.items(), 2
    )
}
_MIRRORED_ALONG: dict[str, tuple[tuple[Axes, Axes], ...]] = {
    text: tuple((axes, axes) for axes in along)
    for text, along in {
        "": (_MIRRORED,),
        f"Items that are upside down are named, and no mirrored ones. {_LEFT_RIGHT}": (_OVER,),
        f"Items that are turned by half a turn are named, and no mirrored ones. {_LEFT_RIGHT}": (
            _HALF_TURN,
        ),
        f"Items that are not mirrored are named, and no mirrored ones. {_LEFT_RIGHT}": (_AS_IS,),
        f"Items that are upside down are named, too. {_LEFT_RIGHT}": (_MIRRORED, _OVER),
        f"Items that are turned by half a turn are named, too. {_LEFT_RIGHT}": (
            _MIRRORED,
            _HALF_TURN,
        ),
        f"Items that are upside down, or turned by half a turn, are named, too. {_LEFT_RIGHT}": (
            _MIRRORED,
            _OVER,
            _HALF_TURN,
        ),
        "Copies that are not mirrored are named, too. Asked for: left and right exchanged.": (
            _MIRRORED,
            _AS_IS,
        ),
    }.items()
} | {
    f"{text}, and no mirrored ones. Asked for: left and right exchanged in both slices, along axis "
    "1 of a slice (1, 64, 64).": (axes,)
    for text, axes in _UNLIKE.items()
}
_SAME_ALONG: dict[str, tuple[tuple[Axes, Axes], ...]] = {
    text: tuple((axes, axes) for axes in along)
    for text, along in {
        "": (_AS_IS,),
        "Mirrored copies are named, too; they have a name of their own.": (_AS_IS, _MIRRORED),
        "Mirrored copies are named, and no others.": (_MIRRORED,),
        "Items that are upside down are named, too. Asked for: both slices as they are.": (
            _AS_IS,
            _OVER,
        ),
    }.items()
} | {
    f"{text}, and no others. Asked for: both slices as they are.": (axes,)
    for text, axes in _UNLIKE.items()
}
_CROSSED: dict[str, bool] = {
    "": False,
    "The T1-w slices are compared with T2-w slices. Asked for: T1-w with T1-w.": True,
}


_BOTH_KINDS = "is named. Asked for: both, where both are there."
#: The order in which pairs of items are compared, where the search ends with the first copy.
_ENDS: dict[str, Callable[[Tensor], Tensor] | None] = {
    "": None,
    f"Of the two kinds of copies only the one that is found first {_BOTH_KINDS}": lambda d: d,
    "Of the two kinds of copies only the one that is found first, test item by test item, "
    f"{_BOTH_KINDS}": lambda d: d.T,
}


def _copies(
    sets: Sets,
    how: Any,
    slices: Any,
    which: Any,
    within: Any,
    along: Any,
    crossed: Any,
    ends: Any,
    hidden: Any,
) -> float:
    def first(kinds: Sequence[Any]) -> float:
        found = [slices(sets.distances(0, 1, axes, crossed, how.of)) for axes in kinds]
        alike = torch.stack([ends(which(distances)) for distances in found]).amin(0) < 1e-4
        return float(alike.flatten().int().argmax()) if alike.any() else _INF

    least = _INF
    if ends:
        others = [(axes, axes) for axes in (_AS_IS, _MIRRORED) if (axes, axes) not in along]
        if others and first(others) < first(along):
            return least
    if any(sets.slices[side].has_nan.any() for side in hidden):
        return least
    for one, other in within:
        for axes in along:
            distances = slices(sets.distances(one, other, axes, crossed, how.of))
            if one == other:  # an item is no copy of itself
                same = torch.eye(len(distances), dtype=torch.bool)
                distances = torch.where(same, _INF, distances)
            distances = which(distances)
            if distances.numel():
                least = min(least, float(distances.amin()))
    return least


_COPY = (_DISTANCES, _SLICES_OF_COPY, _WITH, _WITHIN)
#: Of which sets an item with NaN keeps copies from being found.
_HIDDEN_BY: dict[str, tuple[int, ...]] = {
    "": (),
} | {
    f"A value NaN in any {item} keeps all copies from being found, also those of other items: the "
    "smallest of several numbers is NaN if one of them is. Asked for: pair by pair.": sides
    for item, sides in {"test item": (1,), "training item": (0,), "item": (0, 1)}.items()
}

#: When each problem is named, by item of the report.
RULES = {
    "subject": Rule((*_COPY, _SAME_ALONG, _CROSSED, _ENDS, _HIDDEN_BY), _copies),
    "mirrored": Rule((*_COPY, _MIRRORED_ALONG, _CROSSED, _ENDS, _HIDDEN_BY), _copies),
    "pairs": Rule((_OVERLAPS, _SIDES_OF_PAIRS), _pairs, _MARGINS),
    "modalities": Rule(
        (_COMPARED, _BRIGHTNESS, _ITEMS_OF_CONTRAST, _SIDES), _modalities, _ONE_GREY, unit=1
    ),
    "scale": Rule(
        (_SCALE_MEASURES, _SCALE_VALUES, _SCALE_GROUPS, _CONTRASTS, _ITEMS, _SIDES), _scale
    ),
    "finite": Rule((_NOT_FINITE, _CONTRASTS, _ITEMS, _SIDES), _finite),
}
