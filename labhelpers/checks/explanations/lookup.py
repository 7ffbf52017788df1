"""Tell how a lookup table was made: of which voxels, in which bins, by which statistic."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, product
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from labhelpers.checks.cases import Setting
from labhelpers.checks.explanations.fits import (
    FIRST_SUBJECTS,
    SOME_SUBJECTS,
    VOXELS,
    changes,
    is_close,
    repeated,
    result_of,
    setting_of,
    stretched,
)
from labhelpers.checks.fixtures import make_dataset
from labhelpers.checks.records import Explanation, Run, explained
from labhelpers.data import IXIDataset

__all__ = ["intensity_lookup"]

_SUMMED_UP = 2e-4  # relative error of sums of many numbers in float32, at worst
_OWN = "1 falls into a bin of its own, after the last one"
_Bins = Callable[[Tensor, int], Tensor]
#: Ways to get the number of a bin from a value in [-1, 1] (`u`: in [0, 1]) and the number of bins.
_BINNINGS: dict[str, _Bins] = {
    "": lambda t, n: ((t + 1) / 2 * n).floor().clamp(max=n - 1),
    _OWN: lambda t, n: ((t + 1) / 2 * n).floor(),
    "they are closed on the right, only the first one is closed on both sides": lambda t, n: (
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
    "there are n_bins - 1 bins, closed on the right, and the first entry is for -1 alone": (
        lambda t, n: ((t + 1) / 2 * (n - 1)).ceil()
    ),
    "there are n_bins - 1 bins, all shifted by one to the right": lambda t, n: (
        ((t + 1) / 2 * (n - 1)).floor() + 1
    ),
    "they are closed on the right, and all are shifted by one bin to the right": lambda t, n: (
        (t + 1) / 2 * n
    ).ceil(),
    "there are n_bins + 1 bins": lambda t, n: ((t + 1) / 2 * (n + 1)).floor().clamp(max=n),
    "all are shifted by one bin to the right": lambda t, n: (
        ((t + 1) / 2 * n).floor().clamp(max=n - 1) + 1
    ),
    "all are shifted by one bin to the left": lambda t, n: (
        ((t + 1) / 2 * n).floor().clamp(max=n - 1) - 1
    ),
    "the bins cut the range from 0 to 1": lambda t, n: (t * n).floor(),
    "the bins cut the range from 0 to 1, decimals cut off towards 0": lambda t, n: (t * n).trunc(),
    "their width is 0.02 whatever n_bins is": lambda t, n: ((t + 1) / 0.02).floor(),
    "their number is 100 whatever n_bins is": lambda t, n: (
        ((t + 1) / 2 * 100).floor().clamp(max=99)
    ),
    "the number of a value is (T1 + 1) / 2 without a factor": lambda t, n: ((t + 1) / 2).floor(),
    "the range of length 2 is not halved": lambda t, n: ((t + 1) * n).floor(),
    "the bins cut the range from the smallest to the largest T1": lambda t, n: (
        ((t - t.min()) / (t.max() - t.min()) * n).floor().clamp(max=n - 1)
    ),
    "n_bins - 1 bins cut the range from the smallest to the largest T1, which has the last entry": (
        lambda t, n: ((t - t.min()) / (t.max() - t.min()) * (n - 1)).floor()
    ),
    # The same by NumPy's edges: a value on one of them may fall elsewhere.
    "their edges go from the smallest to the largest T1": lambda t, n: torch.from_numpy(
        np.searchsorted(np.histogram_bin_edges(t[t.isfinite()], n)[1:-1], t, side="right")
    ),
    "decimals are cut off before the range is shifted": lambda t, n: (t * n / 2).trunc() + n // 2,
    "the order of the bins is reversed": lambda t, n: (
        n - 1 - ((t + 1) / 2 * n).floor().clamp(max=n - 1)
    ),
    "the bins hold equal numbers of voxels, not equal widths": lambda t, n: torch.bucketize(
        t, t.quantile(torch.linspace(0, 1, n + 1).to(t))[1:-1], right=True
    ),
}
_ROUND = "what falls outside goes round to the other end"
_OUTSIDE: dict[str, Callable[[Tensor, int], tuple[Tensor, Tensor]]] = {
    "": lambda bins, n: (bins, (bins >= 0) & (bins <= n)),
    "what falls outside goes into the first and the last bin": lambda bins, n: (
        bins.clamp(0, n - 1),
        bins >= bins,
    ),
    _ROUND: lambda bins, n: (bins % n, bins >= bins),
}
_LEFT_OUT: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda t: t >= -1,
    "voxels of exactly 1 are left out": lambda t: t < 1,
    "voxels of exactly -1 are left out": lambda t: t > -1,
    "voxels of exactly -1 and 1 are left out": lambda t: t.abs() < 1,
    # Seen by themselves, whatever the bins are.
    "The voxels with the smallest T1 of each subject, its background, are left out.": (
        lambda t: t > t.amin(dim=1, keepdim=True)
    ),
    "The voxels with the smallest T1 of all subjects are left out.": lambda t: t > t.min(),
    "The voxels with the largest T1 of each subject are left out.": (
        lambda t: t < t.amax(dim=1, keepdim=True)
    ),
}
_PEOPLE: dict[str, Callable[[int], slice]] = (
    {"": lambda n: slice(None)}
    | SOME_SUBJECTS
    | {"the first half of the subjects": lambda n: slice(n // 2)}
    | FIRST_SUBJECTS
)
_Pair = tuple[Tensor, Tensor]
_NO_PAIRS = "not paired by place"


def _in_order_of_size(t1: Tensor, t2: Tensor, contrasts: str, of: str) -> _Pair:
    """Return the values of one contrast or both, sorted without those of the other one."""

    def in_order(x: Tensor) -> Tensor:
        return (x.flatten() if of == "all voxels" else x).sort().values.reshape(x.shape)

    return (
        in_order(t1) if "T1-w" in contrasts else t1,
        in_order(t2) if "T2-w" in contrasts else t2,
    )


#: What is sorted into bins and what is averaged there, of T1-w and T2-w, `(N, voxels)` each.
_VALUES: dict[str, Callable[[Tensor, Tensor], _Pair]] = {
    "": lambda t1, t2: (t1, t2),
    "sorted by T2-w, and T1-w is averaged": lambda t1, t2: (t2, t1),
    "sorted by T1-w, and T1-w is averaged": lambda t1, t2: (t1, t1),
    "sorted by T2-w, and T2-w is averaged": lambda t1, t2: (t2, t2),
    "sorted by T1-w, and the absolute value of T2-w is averaged": lambda t1, t2: (t1, t2.abs()),
    "sorted by T1-w, and the square of T2-w is averaged": lambda t1, t2: (t1, t2.square()),
    "sorted by T1-w, and the difference T2-w - T1-w is averaged": lambda t1, t2: (t1, t2 - t1),
    "sorted by T1-w, and the difference T1-w - T2-w is averaged": lambda t1, t2: (t1, t1 - t2),
    "sorted by T1-w, and the sum T1-w + T2-w is averaged": lambda t1, t2: (t1, t1 + t2),
    "sorted by T1-w, and the product T1-w · T2-w is averaged": lambda t1, t2: (t1, t1 * t2),
    "sorted by the absolute value of T1-w": lambda t1, t2: (t1.abs(), t2),
    "sorted by T1-w, but for those with T2 = -1, which are left out": lambda t1, t2: (
        t1.where(t2 > -1, torch.nan),
        t2,
    ),
    "sorted by -T1-w": lambda t1, t2: (-t1, t2),
    "those of two mean images: the subjects are averaged first, place by place": (
        lambda t1, t2: (t1.mean(dim=0, keepdim=True), t2.mean(dim=0, keepdim=True))
    ),
    "sorted by T1-w after each slice was stretched to its own range": (
        lambda t1, t2: (2 * stretched(t1) - 1, t2)
    ),
} | {
    f"{_NO_PAIRS}: the {words} values of {of} are put in order of size by themselves": (
        functools.partial(_in_order_of_size, contrasts=words, of=of)
    )
    for words in ("T1-w", "T2-w", "T1-w and the T2-w")
    for of in ("all voxels", "each slice")
}


_Limits = tuple[float, float]
_NO_LIMITS: _Limits = (-torch.inf, torch.inf)
_BOTH = "the bins are closed on both sides, so that a value on an edge counts twice"


class _Way(NamedTuple):
    """How a table was made: each choice in words, empty where it is right."""

    values: str = ""
    people: str = ""
    binning: str = ""
    outside: str = ""
    left_out: str = ""
    statistic: str = ""
    divisor: str = ""
    after: str = ""
    limits: _Limits = _NO_LIMITS  # of T1, outside of which voxels are left out

    @property
    def n_changes(self) -> int:
        """Number of choices that are other than asked for."""
        return (
            sum(map(bool, (self.values, self.people, self.binning or self.left_out)))
            + (self.limits != _NO_LIMITS)
            + bool(self.statistic or self.divisor)
            + bool(self.after)
        )


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
    for size, n_bins in ((2, 32), (3, 20), (83, 64)):
        dataset = make_dataset(size, setting.seed(40 + size), setting.dtype, extremes=size != 3)
        table = result_of(answer, dataset, n_bins=n_bins)
        cases.append(_Case(table.reshape(-1), dataset, n_bins))
    items = ["shape", "inner-bins", "end-bins", "empty-bins", "untouched"]
    if unlike := [*_unlike(answer, cases[0], setting)]:
        return explained([" ".join(unlike)], items)
    changed, sentences = [*changes(answer, cases[0].dataset)], []
    sizes = [len(case.table) for case in cases]
    given = cases
    if sizes[0] == sizes[1] == sizes[2]:
        sentences.append(f"The table has {sizes[0]} entries whatever n_bins is.")
        cases = [case._replace(n_bins=sizes[0]) for case in cases]
    elif sizes[1] < sizes[0] == sizes[2] > cases[2].n_bins:  # longer by the largest number of a bin
        replaced = [case._replace(n_bins=sizes[0]) for case in cases]
        if _fits(_Way(), replaced[0]) or _confirmed(replaced):
            sentences.append(
                f"There are {sizes[0]} bins whatever n_bins is. Asked for: n_bins entries. Yours "
                f"are {_sizes_in_words(cases)}."
            )
            cases = replaced
    elif all(len(case.table) == len(_filled(case)) < case.n_bins for case in cases):
        sentences.append(
            f"The table holds the bins with a voxel only: {_sizes_in_words(cases)}. Asked for: "
            "n_bins entries, 0 for a bin without a voxel."
        )
        cases = [
            case._replace(
                table=torch.zeros(case.n_bins).double().index_put((_filled(case),), case.table)
            )
            for case in cases
        ]
    ways = [_Way()]
    if not all(_fits(_Way(), case) for case in cases):
        ways = _confirmed(cases, [*_limits(answer, setting)])
    readings = [_table_in_words(way, cases) for way in ways]
    if readings:
        sentences += min(readings, key=lambda sentences: sum(map(len, sentences)))
    return explained([*changed, *(sentences or _one_bin_in_words(given))], items)


def _unlike(answer: Any, case: _Case, setting: Setting) -> Iterator[str]:
    """Yield sentences if one data set gives several tables, or two data sets the same."""
    first = make_dataset(7, setting.seed(20), setting.dtype)  # of the check
    pair = [make_dataset(_SOME, setting.seed(seed), setting.dtype) for seed in (50, 51)]
    unlike = repeated(
        answer,
        "table",
        pair,
        lambda table: any(
            _fits(_Way(), _Case(table.reshape(-1), dataset, len(table)))
            for dataset in (first, case.dataset, pair[0])
        ),
        n_bins=case.n_bins,
    )
    if not unlike:
        return
    yield unlike
    crossed = IXIDataset.from_tensors(case.dataset.t1, case.dataset.t2.flip(0))
    kinds = set()
    for seed in range(_MOST_CALLS):
        torch.manual_seed(seed)
        table = result_of(answer, case.dataset, n_bins=case.n_bins).reshape(-1)
        pairings = (case._replace(table=table, dataset=x) for x in (case.dataset, crossed))
        kinds.add(tuple(_fits(_Way(), pairing) for pairing in pairings))
    if kinds == {(True, False), (False, True)}:
        yield (
            "With two subjects, it is the right table in some calls, and in others the T1-w slice "
            "of each subject is paired with the T2-w slice of the other one."
        )
    yield "Asked for: the mean T2-w value of the voxels in each bin, of the data set passed in."


def _one_bin_in_words(cases: Sequence[_Case]) -> Iterator[str]:
    """Yield what one bin of a table holds, and what it has to hold."""
    for case in cases:
        if len(case.table) != case.n_bins:
            yield f"The table has another number of entries than n_bins: {_sizes_in_words(cases)}."
            return
        chosen = _Binned(_Way(), case).of("")
        right = (chosen.sums / chosen.counts.clamp(min=1))[: case.n_bins]
        wrong = ~torch.isclose(case.table, right, rtol=0, atol=_SUMMED_UP)
        if not wrong.any():
            continue
        # The bin with the fewest voxels, but more than one if there is such a bin.
        places = wrong.nonzero()[:, 0].tolist()
        place = min(places, key=lambda k: (chosen.counts[k] < 2, chosen.counts[k]))
        edges = [2 * k / case.n_bins - 1 for k in (place, place + 1)]
        values = chosen.binned.values[chosen.binned.bins == place]
        some = ", ".join(f"{value:.4g}" for value in values[:_MOST_TOLD].tolist())
        more = ", …" if len(values) > _MOST_TOLD else ""
        held = f"{len(values)} voxel{'s' * (len(values) != 1)} with T2 = {some}{more}"
        yield (
            f"{len(places)} of {case.n_bins} entries are wrong with {len(case.dataset)} subjects "
            f"and n_bins={case.n_bins}. One of them: entry {place}, for T1 from {edges[0]:.4g} to "
            f"{edges[1]:.4g}. That bin holds {held if len(values) else 'no voxel'}, so that "
            f"{right[place]:.4g} is right. Yours is {case.table[place]:.4g}."
        )
        return


def _interpolated(table: Tensor, filled: Tensor) -> Tensor:
    """Return a table whose entries of empty bins lie on lines between those of filled ones."""
    places = filled.nonzero()[:, 0].numpy()
    lines = np.interp(np.arange(len(table)), places, table[places].numpy())
    return torch.from_numpy(lines)


_MOST_TOLD = 5  # values of a bin
_SOME = 11  # subjects, of whom two random orders are hardly ever the same
_MOST_CALLS = 16  # that show how subjects are paired
_MOST_TRIED = 60  # ways with the same number of changes
_N_BINS = 512  # for limits of T1, each with as many voxels
_SHIFT = 1e-7  # of a limit, by which it is left out or not
_LEAST_FILLED = 4  # bins, of which a table tells something


def _filled(case: _Case) -> Tensor:
    """Return the numbers of the bins that hold a voxel."""
    return _Binned(_Way(), case).of("").counts.nonzero()[:, 0]


def _limits(answer: Any, setting: Setting) -> Iterator[_Limits]:
    """Yield limits of T1 outside of which an answer may leave out voxels, those of few digits."""
    n = VOXELS[0] * VOXELS[1]
    t1 = ((torch.arange(n) + 0.5) * 2 / n - 1).to(setting.dtype).reshape(1, 1, *VOXELS)
    dataset = IXIDataset.from_tensors(t1, torch.full_like(t1, 0.5), ["sub-000"])
    table = torch.zeros(0)
    with suppress(Exception):
        table = result_of(answer, dataset, n_bins=_N_BINS).reshape(-1)
    filled = table[table.isfinite() & (table != 0)]
    if not len(filled):
        return
    # All bins hold as many voxels, of the same T2.
    whole = torch.isclose(table, filled.median()).nonzero()[:, 0].tolist()
    ends = (whole[0], len(table) - 1 - whole[-1])
    digits = 2 if all(ends) else 3
    found = []
    for end, sign in zip(ends, (1, -1), strict=True):
        edges = [2 * k / len(table) - 1 for k in (end - 1, end + 1)]
        numbers = {
            round(k / 10**places, places)
            for places in range(1, digits + 1)
            for k in range(math.ceil(edges[0] * 10**places), int(edges[1] * 10**places // 1) + 1)
        }
        # What is a limit itself may be left out or not.
        near = [sign * (k + shift) for k in sorted(numbers) for shift in (-_SHIFT, _SHIFT)]
        found.append(near if end else [-sign * torch.inf])
    if any(ends):
        yield from product(*found)


def _confirmed(cases: Sequence[_Case], limits: Sequence[_Limits] = ()) -> list[_Way]:
    """Return the ways with the fewest changes in which all tables can have been made.

    Args:
        cases: The tables.
        limits: Limits of T1 outside of which voxels may have been left out.
    """
    cases = sorted(cases, key=lambda case: _fits(_Way(), case))  # a right table tells little
    found: dict[int, list[_Way]] = {}
    for way in _ways(cases[0], limits):
        found.setdefault(way.n_changes, []).append(way)
    for n_changes in sorted(found):
        ways = found[n_changes][:_MOST_TRIED]
        for case in cases[1:]:
            ways = [way for way in ways if _fits(way, case)]
        if ways:
            return ways
    return []


def _ways(case: _Case, limits: Sequence[_Limits]) -> Iterator[_Way]:
    """Yield the ways in which a table can have been made."""
    n = len(case.dataset)
    people: dict[tuple[int, ...], list[str]] = {}  # those that are the same in this data set
    for words, choose in _PEOPLE.items():
        people.setdefault(tuple(range(n)[choose(n)]), []).append(words)
    for way in chain(_choices(), (_Way(limits=pair) for pair in limits)):
        binned = _Binned(way, case)
        if not len(binned.bins):
            continue
        for names in people.values():
            chosen = binned.of(names[0])
            changed = way._replace(people=names[0])
            for statistic, divisor, after in chosen.readings(changed.n_changes, case.table):
                found = changed._replace(statistic=statistic, divisor=divisor, after=after)
                yield from (found._replace(people=name) for name in names)


def _choices() -> Iterator[_Way]:
    """Yield what can be put into bins, and how."""
    for values in _VALUES:
        yield from (_Way(values, left_out=left_out) for left_out in _LEFT_OUT)
        for binning, outside in product([*_BINNINGS, _BOTH], _OUTSIDE):
            if binning and (not values or outside != _ROUND or binning == _OWN):
                yield _Way(values, binning=binning, outside=outside)


@functools.lru_cache(maxsize=4)
def _voxels(dataset: IXIDataset, values: str) -> _Pair:
    """Return what is sorted into bins and what is averaged there, `(N, voxels)` each."""
    slices = (image.double().flatten(1) for image in (dataset.t1, dataset.t2))
    return _VALUES[values](*slices)


class _Binned:
    """The voxels of a data set, put into bins in some way."""

    def __init__(self, way: _Way, case: _Case) -> None:
        key, value = _voxels(case.dataset, way.values)
        kept = _LEFT_OUT[way.left_out](key)
        kept &= (key > way.limits[0]) & (key < way.limits[1])
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
        self.n_bins, self.n_rows = case.n_bins, len(key)
        self.size = max(len(case.table), case.n_bins, case.n_bins + 2)
        self.counts, self.sums = self._sorted(self.bins, self.values)
        last = np.zeros(self.counts.numel())
        last[(self.subjects * self.size + self.bins).numpy()] = (
            self.values.numpy()
        )  # the last stays
        self.last = torch.from_numpy(last).reshape(self.counts.shape)

    def _sorted(self, bins: Tensor, values: Tensor) -> _Pair:
        """Return numbers of voxels and sums of values, for each subject and bin."""
        n = self.n_rows
        places = self.subjects * self.size + bins
        counts = torch.bincount(places, minlength=n * self.size)
        sums = torch.bincount(places, values, n * self.size)
        return counts.reshape(n, -1).double(), sums.reshape(n, -1)

    @functools.cached_property
    def in_order(self) -> tuple[Tensor, Tensor, Tensor]:
        """Bins, values and subjects of all voxels, by bins, and in a bin by values."""
        order = self.values.argsort()
        order = order[self.bins[order].argsort(stable=True)]
        return self.bins[order], self.values[order], self.subjects[order]

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

    def readings(self, n_changes: int, table: Tensor) -> Iterator[tuple[str, str, str]]:
        """Yield statistic, divisor, and what was done after, that give a table."""
        filled = self.filled(table)
        if filled is None:
            return
        some = filled.nonzero()[:, 0]
        # All but a few rules leave one value in all empty bins, or the value of another bin.
        rest = table[~filled].nan_to_num(1e9)
        if n_changes > 2 or len(some) < _LEAST_FILLED or (
            len(rest.unique()) > 1
            and not torch.isin(rest, table[some]).all()
            and not is_close(rest, _interpolated(table, filled)[~filled])
        ):  # fmt: skip
            return
        wanted = table[some]
        # To count the values that are averaged takes long.
        divisors = [*_DIVISORS] if not n_changes else [*_DIVISORS][:-1]
        below = torch.stack([_DIVISORS[x](self).expand_as(self.counts)[some] for x in divisors])
        known = below > 0  # where there is nothing to divide by, anything may stand
        divided = torch.stack([make(self)[some] for make in _SUMS.values()])[:, None] / below
        for after in _AFTER if n_changes < 2 else _QUICK_AFTER:
            made = _AFTER[after](divided)
            wrong = (made - wanted).abs() > _SUMMED_UP * wanted.abs().clamp(min=1)
            wrong |= made.isnan()
            fits = ~(wrong & known).any(dim=2) & (2 * known.sum(dim=1) >= len(some))
            for one, other in fits.nonzero().tolist():
                yield [*_SUMS][one], divisors[other], after
        if n_changes < 2:
            for after in _AFTER if not n_changes else [""]:
                for statistic in _IN_ORDER:
                    if self.agrees(statistic, "", after, table):
                        yield statistic, "", after
            for after in _SMOOTHED:
                if not (n_changes and after.startswith("filled")) and self.agrees(
                    "", "", after, table
                ):
                    yield "", "", after

    def filled(self, table: Tensor) -> Tensor | None:
        """Return which entries of a table stand for a filled bin, None if some are missing."""
        filled = self.counts > 0
        # What lies outside of a table of n_bins entries is lost, of a shorter one it is missing.
        if not filled.any() or filled[len(table) : self.binned.n_bins].any():
            return None
        return filled[: len(table)]

    def agrees(self, statistic: str, divisor: str, after: str, table: Tensor) -> bool:
        """Return True if a table holds a statistic in all bins that are not empty."""
        filled = self.filled(table)
        if filled is None:
            return False
        if statistic in _IN_ORDER:
            made, known = _IN_ORDER[statistic](self), filled
        else:
            below = _DIVISORS[divisor](self).expand_as(self.counts)
            made = _SUMS[statistic](self) / below
            known = filled & (below > 0)[: len(table)]
        if after in _SMOOTHED:
            made = _SMOOTHED[after](torch.where(self.counts > 0, made, 0.0)[: len(table)], filled)
        else:
            made = _AFTER[after](made)[: len(table)]
        # The sizes are those of the entries: a large one does not excuse a small one.
        error = (table - made).abs() / made.abs().clamp(min=1)
        return bool(2 * known.sum() >= filled.sum() and (error[known] <= _SUMMED_UP).all())

    @property
    def n_voxels(self) -> Tensor:
        """Number of all voxels."""
        return self.counts.sum()

    @property
    def means(self) -> Tensor:
        """The mean of each subject in each bin, 0 for an empty one."""
        return self.binned.sums[self.chosen] / self.binned.counts[self.chosen].clamp(min=1)

    @property
    def n_filled(self) -> Tensor:
        """Number of subjects with a voxel in each bin."""
        return (self.binned.counts[self.chosen] > 0).sum(dim=0)

    def in_order(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return values sorted bin by bin, and where each bin starts and how many it has."""
        _, values, subjects = self.binned.in_order
        if len(self.means) < self.binned.n_rows:
            mine = torch.isin(subjects, torch.arange(self.binned.n_rows)[self.chosen])
            values = values[mine]
        counts = self.counts.long()
        return values, counts.cumsum(0) - counts, counts


def _fits(way: _Way, case: _Case) -> bool:
    chosen = _Binned(way, case).of(way.people)
    return chosen.agrees(way.statistic, way.divisor, way.after, case.table)


def _at(chosen: _Chosen, *places: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the mean of the values at places in the order of each bin, functions of its size."""
    values, starts, counts = chosen.in_order()
    found = [values[(starts + place(counts)).clamp(0, len(values) - 1)] for place in places]
    return torch.stack(found).mean(dim=0)


def _last_of(rows: Tensor, filled: Tensor) -> Tensor:
    """Return the last row that holds something, bin by bin."""
    order = torch.arange(1, len(rows) + 1)[:, None] * filled
    return rows.gather(0, order.argmax(dim=0)[None])[0]


def _spread(chosen: _Chosen, less: int) -> Tensor:
    """Return the standard deviation in each bin, 0 for a single voxel."""
    values, _, counts = chosen.in_order()
    bins = torch.arange(len(counts)).repeat_interleave(counts)
    mean = chosen.sums / chosen.counts
    squares = torch.zeros_like(mean).index_add(0, bins, (values - mean[bins]).square())
    return (squares / (counts - less).clamp(min=1)).sqrt()


_ASSIGNED = (
    "an assignment such as `sums[bins] += values` writes each place once; `index_add` and "
    "`bincount` add up every voxel"
)
#: What is divided.
_SUMS: dict[str, Callable[[_Chosen], Tensor]] = {
    "": lambda b: b.sums,
    f"sums with one voxel of each subject, the last one in the bin ({_ASSIGNED})": (
        lambda b: b.binned.last[b.chosen].sum(dim=0)
    ),
    f"values of one voxel, the last one in the bin ({_ASSIGNED})": (
        lambda b: _last_of(b.binned.last[b.chosen], b.binned.counts[b.chosen] > 0)
    ),
    "sums of the last subject alone": lambda b: b.binned.sums[b.chosen][-1],
    "sums of the first subject alone": lambda b: b.binned.sums[b.chosen][0],
    "sums over subjects of the mean of each": lambda b: b.means.sum(dim=0),
    "medians over subjects of the mean of each, 0 for one without a voxel there": (
        lambda b: b.means.median(dim=0).values
    ),
    "means in which each new subject has the weight one half": (
        lambda b: functools.reduce(lambda total, mean: (total + mean) / 2, b.means, 0 * b.sums)
    ),
    "numbers of voxels": lambda b: b.counts,
}
#: By what, in words after the sums.
_DIVISORS: dict[str, Callable[[_Chosen], Tensor]] = {
    "": lambda b: b.counts,
    "not divided by the number of voxels in the bin": lambda b: torch.ones_like(b.counts),
    "divided by the number of all voxels": lambda b: b.n_voxels,
    "divided by one more than the number of voxels in the bin": lambda b: b.counts + 1,
    "divided by one less than the number of voxels in the bin": lambda b: b.counts - 1,
    "divided by at least 2": lambda b: b.counts.clamp(min=2),
    "divided by the number of subjects": lambda b: torch.tensor(float(len(b.means))),
    "divided by the number of subjects with a voxel in the bin": lambda b: b.n_filled,
    "divided by n_bins": lambda b: torch.tensor(float(b.binned.n_bins)),
    "divided by the number of bins with a voxel": lambda b: (b.counts > 0).sum(),
    "divided by the numbers of voxels of the last subject alone": (
        lambda b: b.binned.counts[b.chosen][-1]
    ),
    "divided by the numbers of voxels of the first subject alone": (
        lambda b: b.binned.counts[b.chosen][0]
    ),
    "divided by densities, where numbers of voxels are asked for (`density=True`)": (
        lambda b: b.counts / b.n_voxels / (2 / b.binned.n_bins)
    ),
    "divided by their total and the width of a bin, as `density=True` does": (
        lambda b: b.sums.sum() * (2 / b.binned.n_bins)
    ),
    "divided by densities, both made with `density=True`": (
        lambda b: b.sums.sum() * b.counts / b.n_voxels
    ),
    "divided by sums": lambda b: b.sums,
    "divided by the largest number of voxels in a bin": lambda b: b.counts.max(),
    "divided by the square root of the number of voxels in the bin": lambda b: b.counts.sqrt(),
    "divided by the number of T2-w values in the bin, where T1-w values are to be counted": (
        lambda b: _own_counts(b)
    ),
}


def _own_counts(chosen: _Chosen) -> Tensor:
    """Return how many of the values that are averaged lie in each bin themselves."""
    binned = chosen.binned
    subjects = torch.arange(len(binned.counts))[chosen.chosen]
    values = binned.values[torch.isin(binned.subjects, subjects)]
    bins = _BINNINGS[""](values, binned.n_bins).long().clamp(min=0)
    return torch.bincount(bins, minlength=binned.size).double()


#: Other statistics, which need the values in their order.
_IN_ORDER: dict[str, Callable[[_Chosen], Tensor]] = {
    "medians": lambda b: _at(b, lambda counts: (counts - 1) // 2),
    "medians, of two values in the middle their mean": (
        lambda b: _at(b, lambda counts: (counts - 1) // 2, lambda counts: counts // 2)
    ),
    "largest values": lambda b: _at(b, lambda counts: counts - 1),
    "smallest values": lambda b: _at(b, lambda counts: counts * 0),
    "middles between the smallest and the largest value": (
        lambda b: _at(b, lambda counts: counts * 0, lambda counts: counts - 1)
    ),
    "standard deviations": lambda b: _spread(b, 1),
    "standard deviations, divided by n": lambda b: _spread(b, 0),
}
#: What is done to the entries at the end.
_AFTER: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda table: table,
    "moved to the range from 0 to 1": lambda table: (table + 1) / 2,
    "moved as if they went from 0 to 1": lambda table: 2 * table - 1,
    "taken with the other sign": lambda table: -table,
    "made positive, as by `abs`": lambda table: table.abs(),
    "replaced by their square root": lambda table: table.sqrt(),
    "cut off below 0": lambda table: table.clamp(min=0),
} | {
    f"rounded to {places} decimal{'s' * (places != 1)}": (
        lambda table, places=places: table.round(decimals=places)
    )
    for places in range(4)
}
_QUICK_AFTER = ["", "moved to the range from 0 to 1"]


def _over_neighbours(
    table: Tensor,
    filled: Tensor,
    width: int,
    padding: str,
    fill: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Return means over as many entries, those beyond the ends left out, as 0, or repeated."""
    ends = width // 2
    rows = fill(table, filled)[None, None]
    if padding == "repeated":
        rows = functional.pad(rows, (ends, ends), mode="replicate")
    size = 0 if padding == "repeated" else ends
    return functional.avg_pool1d(rows, width, 1, size, count_include_pad=padding == "0")[0, 0]


#: What is written into empty bins before neighbours are averaged.
_FILLS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "": lambda table, filled: table,
    "filled by interpolation where a bin is empty, and then ": _interpolated,
    "filled with the value of the bin before where a bin is empty, and then ": (
        lambda table, filled: table[
            torch.where(filled, torch.arange(len(table)), 0).cummax(dim=0).values
        ]
    ),
}
_SMOOTHED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    f"{first}averaged over {width} neighbouring bins (beyond the ends: {padding})": (
        functools.partial(_over_neighbours, width=width, padding=padding, fill=fill)
    )
    for first, fill in _FILLS.items()
    for width in (3, 5, 7)
    for padding in ("left out", "0", "repeated")
}
_MEANS_OF_SUBJECTS = {
    "divided by the number of subjects with a voxel in the bin": (
        "means over subjects of the mean of each"
    ),
    "divided by the number of subjects": (
        "means over subjects of the mean of each, 0 for one without a voxel there"
    ),
}


def _table_in_words(way: _Way, cases: Sequence[_Case]) -> list[str]:
    return [*_way_in_words(way), *_length_in_words(way, cases), *_empty_in_words(way, cases)]


def _way_in_words(way: _Way) -> Iterator[str]:
    """Yield a sentence for each choice that is not the one asked for."""
    if way.values:
        asked = "sorted by T1-w, T2-w averaged"
        if way.values.startswith(_NO_PAIRS):
            asked = "for each T1-w value the T2-w value of the same voxel"
        yield f"The voxels are {way.values}. Asked for: {asked}."
    if way.people:
        yield f"The table is made of {way.people}. Asked for: all subjects."
    if way.limits != _NO_LIMITS:
        ends = zip(("below", "above"), way.limits, strict=True)
        where = " or ".join(f"{word} {end:.3g}" for word, end in ends if math.isfinite(end))
        yield f"The voxels with T1 {where} are left out. Asked for: all voxels."
    if way.left_out.endswith("."):
        yield f"{way.left_out} Asked for: all voxels."
    elif way.binning or way.left_out:
        parts = ", ".join(part for part in (way.binning, way.outside, way.left_out) if part)
        asked = "n_bins of equal width over [-1, 1], closed on the left, the last one on both sides"
        yield f"Your bins: {parts}. Asked for: {asked}."
    if way.statistic or way.divisor:
        asked = "the mean of the voxels in each bin"
        yield f"The entries are {_statistic_in_words(way)}. Asked for: {asked}."
    if way.after:
        empty = ", 0 for a bin without a voxel" * way.after.startswith("filled")
        yield f"The entries are {way.after} at the end. Asked for: the means as they are{empty}."


def _statistic_in_words(way: _Way) -> str:
    if way.statistic in _IN_ORDER:
        return way.statistic
    if way.statistic.startswith("sums over subjects") and way.divisor in _MEANS_OF_SUBJECTS:
        return _MEANS_OF_SUBJECTS[way.divisor]
    whole = way.statistic.startswith(("values", "means", "medians")) and way.divisor.startswith(
        "not"
    )
    divided = way.divisor or "divided by the number of voxels in the bin"
    return f"{way.statistic or 'sums'}{'' if whole else f', {divided}'}"


def _length_in_words(way: _Way, cases: Sequence[_Case]) -> Iterator[str]:
    """Yield a sentence if the tables have not n_bins entries."""
    sizes = [len(case.table) for case in cases]
    if len({case.n_bins for case in cases}) == 1 or all(
        size == case.n_bins for size, case in zip(sizes, cases, strict=True)
    ):  # told already, or right
        return
    filled = [_Binned(way, case).of(way.people).counts.nonzero() for case in cases]
    ends = [int(places.max()) + 1 for places in filled]
    why = ": it ends with the last bin that holds a voxel" if sizes == ends else ""
    yield f"The number of entries is not n_bins but {_sizes_in_words(cases)}{why}."


def _sizes_in_words(cases: Sequence[_Case]) -> str:
    return ", ".join(f"{len(case.table)} for n_bins={case.n_bins}" for case in cases)


def _empty_in_words(way: _Way, cases: Sequence[_Case]) -> Iterator[str]:
    """Yield a sentence if bins without a voxel do not hold 0, or what comes of it at the end."""
    if way.after in _SMOOTHED:
        return
    found: list[set[str]] = []
    for case in cases:
        chosen = _Binned(way, case).of(way.people)
        places = (chosen.counts[: len(case.table)] == 0).nonzero()[:, 0]
        places = places[places > int(chosen.counts.nonzero()[0])]  # the first have none before
        if not len(places):
            continue
        got = case.table[places]
        rules = {
            "0": _AFTER[way.after](torch.zeros_like(got)),
            "nan, which is 0 / 0": torch.full_like(got, torch.nan),
            "-1": torch.full_like(got, -1),
            "the mean of all voxels": torch.full_like(
                got, float(chosen.sums.sum() / chosen.n_voxels)
            ),
            "the value of the bin before": case.table[places - 1],
            "the value of the bin after": case.table[(places + 1) % len(case.table)],
            "infinity": torch.full_like(got, torch.inf),
            "values between those of the nearest filled bins, by interpolation": _interpolated(
                case.table, chosen.counts[: len(case.table)] > 0
            )[places],
        }
        found.append({words for words, wanted in rules.items() if is_close(got, wanted)})
        value = f"{float(got[0]):.4g}"
    if found and not set.intersection(*found):
        yield f"Bins without a voxel hold {value}, say. Asked for: 0."
    elif found and "0" not in (common := set.intersection(*found)):
        yield f"Bins without a voxel hold {min(common, key=len)}. Asked for: 0."
