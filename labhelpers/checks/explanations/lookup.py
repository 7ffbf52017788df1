"""Tell how a lookup table was made: of which voxels, in which bins, by which statistic."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor

from labhelpers.checks.explanations.fits import (
    is_close,
    setting_of,
)
from labhelpers.checks.fixtures import make_dataset
from labhelpers.checks.probes import data as probes
from labhelpers.checks.records import Explanation, Run, explained
from labhelpers.data import IXIDataset

__all__ = ["intensity_lookup"]

_SUMMED_UP = 2e-4  # relative error of sums of many numbers in float32, at worst
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
    setting = setting_of(runs)
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
    return explained(sentences, ["shape", "inner-bins", "end-bins", "empty-bins"])


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
        return is_close(table[filled], wanted[filled], _SUMMED_UP)

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
        found.append({words for words, wanted in rules.items() if is_close(got, wanted)})
        value = f"{float(got[0]):.4g}"
    if found and not set.intersection(*found):
        yield f"Bins without a voxel hold {value}, say. Asked for: 0."
    elif found and "0" not in (common := set.intersection(*found)):
        yield f"Bins without a voxel hold {min(common, key=len)}. Asked for: 0."
