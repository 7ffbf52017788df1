"""Pairs of data sets with problems put in on purpose, and with what only looks like a problem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from random import Random
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from labhelpers.anatomy import BRIGHT, head_overlap, middle_grey, scaled
from labhelpers.checks.fingerprint import hashed
from labhelpers.phantom import simulate_pair

__all__ = ["PROBLEMS", "Pair", "Plant", "overlaps_of", "planted_pairs", "scaled_slices"]

#: What an audit may find: item of the report -> name of the problem, as the statement gives it.
PROBLEMS = {
    "subject": "subject on both sides",
    "mirrored": "mirrored copy on both sides",
    "pairs": "pairs exchanged",
    "modalities": "modalities exchanged",
    "scale": "another scale",
    "finite": "values not finite",
}
_SIDES = ("training", "test")
_N_TRAIN, _N_TEST = 10, 6
# What the slices of the lab have, as notebook 1 shows it: the overlaps of two outlines, on average
# over a set, are 0.965 for right pairs and 0.945 for wrong ones, and of the middle greys the lowest
# in T1-w is 0.66, the highest in T2-w 0.51.
_OWN = (0.953, 0.977)  # overlap of the two slices of a person
_RIGHT_MEAN = (0.963, 0.969)
_WRONG_MEAN = (0.938, 0.947)
_LEAST_GAP = 0.019  # from a mean overlap of right pairs to that with others' T2-w slices
_CLEAR_GAP, _MOST_SETS = 0.013, 20  # the same after a problem was put in; sets that are tried
# The same of wrong pairs: not 0, so that it takes a margin to tell them from right ones.
_WRONG_GAP = (0.0005, 0.006)
_GREYS = ((0, 0.675), (0, 0.69), (1, 0.5), (1, 0.48))  # contrast, and grey of one person each
_AIR = 0.1  # of the range: values below keep their grey, and so the outline is the same
_CLEAR_GREYS = (0.72, 0.48)  # of the other people: T1-w at least, T2-w at most
_AMONG = 24  # people, of whom those are taken whose overlaps are the most like the lab's
_POOL_MEANS = (0.966, 0.944)  # overlaps of right pairs and of all others
_NEARLY = 0.0005
# Share of the people whose own T2-w slice agrees better than half of the others' do.
_RIGHT_SHARE, _WRONG_SHARE = (0.85, 1), (0.3, 0.6)
_MOST_ORDERS = 1_000  # that are tried
_ALONE = tuple((item,) for item in PROBLEMS)
_TOGETHER = (
    ("subject", "mirrored"), ("subject", "scale"), ("subject", "finite"), ("mirrored", "scale"),
    ("mirrored", "finite"), ("mirrored", "modalities"), ("pairs", "modalities"), ("pairs", "scale"),
    ("pairs", "finite"), ("modalities", "scale"), ("scale", "modalities"), ("modalities", "finite"),
    ("scale", "finite"), ("pairs", "modalities"), ("mirrored", "scale"),
)  # fmt: skip
#: Those that are in the same item, and in the same slice if they can be: none excuses from another.
_BESIDE = (("scale", "modalities"), ("modalities", "finite"), ("scale", "finite"))

#: Where copies are: their places in the training set and in the test set.
_COPIES = ((3, 3), (9, 0), (0, 5), (7, 2), (1, 4))
#: Where a single slice is changed: set, place, contrast; what an audit may overlook takes turns.
_PLACES = (
    (1, -1, 0), (0, 0, 1), (0, -1, 0), (1, 0, 1), (0, 4, 0), (1, 2, 1),
)  # fmt: skip
_RANGES = (
    (0, 1), (-0.5, 0.5), (0, 255), (-1, 2.5), (-0.93, 1), (-1, 0.93), (-1.5, 1), (0, 2),
)  # fmt: skip
_NEAR = ((-0.97, 1.03), (-1.03, 0.97))  # ranges that are right as the statement defines it
_NOT_FINITE = ("nan", "inf", "-inf")
_MANY = 10  # times the usual training set, where the wrong pairs are in the test set only
_SETS_OF_PAIRS = ((0,), (1,), (0, 1))
_LITTLE = 0.0099  # by which all voxels of items that are only alike differ
_SPOT = (slice(14, 20), slice(36, 42))  # where slices that are only alike differ: not in the middle
_BAD = 0.9  # size of the T2-w slice of a pair whose outlines agree badly


class Plant(NamedTuple):
    """Something that was done to a pair of data sets.

    Attributes:
        item: The item of the report that it is a problem or a trap for.
        is_problem: Whether it is to be named.
        told: What was done, in words after "with".
        kinds: What holds of the two sets then, as clauses after "wherever".
        places: Where it is, as clauses after "wherever it is".
        is_beside: Whether it is in the item of the one before.
    """

    item: str
    is_problem: bool
    told: str
    kinds: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    is_beside: bool = False


class Pair(NamedTuple):
    """A training and a test set, `(N, 2, 64, 64)` each: T1-w and T2-w of each item.

    Attributes:
        train: The training set.
        test: The test set.
        plants: What was done to them.
    """

    train: Tensor
    test: Tensor
    plants: tuple[Plant, ...]

    @property
    def planted(self) -> set[str]:
        """The problems, as items of the report; empty if all is well."""
        return {plant.item for plant in self.plants if plant.is_problem}

    def told(self, item: str) -> str:
        """Return what was done to the two sets, first of all what concerns an item."""
        own = [plant.told for plant in self.plants if plant.item == item]
        others = [plant.told for plant in self.plants if plant.item != item]
        if own and item not in self.planted:
            others = []  # a trap is reason enough
        beside = ", in the same item" * any(plant.is_beside for plant in self.plants)
        told = f"with {' and '.join(own + others)}{beside}"
        return told if own + others else "to which nothing was done"


@lru_cache(maxsize=4)
def planted_pairs(seed: int) -> list[Pair]:
    """Return pairs of data sets: each problem alone, beside another one, and none; shuffled."""
    rng = Random(seed)
    people = _people(rng)
    flips = {item: _below(rng, 2) for item in PROBLEMS}
    turns: Counter[str] = Counter()
    pairs = []
    for plan in (*_ALONE, *_TOGETHER):
        pairs.append(_clear_pair(partial(_put, plan, flips, turns), people, rng))
        turns.update(plan)
    for traps in _TRAPS:
        pairs.append(_clear_pair(partial(_set_traps, traps), people, rng))
    return _shuffled(pairs, rng)


def _put(
    plan: Iterable[str], flips: dict[str, int], turns: Counter[str], sets: _Sets
) -> list[Plant]:
    """Put the problems of a plan into two sets."""
    plants: list[Plant] = []
    # Pairs first: it moves all items of a set.
    for item in sorted(plan, key=lambda item: item != "pairs"):
        is_beside = plan in _BESIDE and bool(plants)
        plants.append(sets.plant(item, turns[item], flips[item], is_beside))
    return plants


def _set_traps(traps: Iterable[Callable[[_Sets], Plant]], sets: _Sets) -> list[Plant]:
    return [trap(sets) for trap in traps]


def _clear_pair(put: Callable[[_Sets], list[Plant]], people: Tensor, rng: Random) -> Pair:
    """Return a pair of sets that something was put into, in which right pairs are clearly right.

    A copy beside other people changes how well the outlines agree: then other sets are tried.
    """
    for _ in range(_MOST_SETS):
        sets = _Sets(_sound(people, rng), rng)
        plants = put(sets)
        pair = Pair(sets.parts[0], sets.parts[1], tuple(plants))
        if "pairs" in pair.planted or min(map(_gap, sets.parts)) > _CLEAR_GAP:
            break
    return pair


class _Sets:
    """A training and a test set that something is done to.

    Attributes:
        parts: Training and test set, `(N, 2, 64, 64)` each.
        taken: Items of each set that something was done to.
        last: The slice of the last change that was made in one: set, place, contrast.
    """

    last: tuple[int, int, int]

    def __init__(self, parts: list[Tensor], rng: Random) -> None:
        self.parts, self.rng = parts, rng
        self.taken: tuple[set[int], set[int]] = (set(), set())

    def plant(self, item: str, turn: int, flip: int, is_beside: bool = False) -> Plant:
        """Put a problem into the sets.

        Args:
            item: Which problem.
            turn: How often it was put in before: it comes in several kinds.
            flip: 1 to exchange the two sets and the two contrasts, where it is in one slice.
            is_beside: Whether it is to be where the last change of a slice was.
        """
        if item in ("subject", "mirrored"):
            return self._copied(item, turn)
        if item == "pairs":
            sides = _SETS_OF_PAIRS[(turn + flip) % len(_SETS_OF_PAIRS)]
            return self._pairs_exchanged(sides, is_hidden=turn < len(_SETS_OF_PAIRS))
        if turn == 0 and item != "finite":
            return self._whole_set(item, flip)
        if is_beside:
            return self._in_one_item(item, turn, *self.last)._replace(is_beside=True)
        side, place, contrast = _PLACES[(turn - (item != "finite")) % len(_PLACES)]
        side, contrast = side ^ flip, contrast ^ flip
        self.last = side, self.free(side, place), contrast
        return self._in_one_item(item, turn, *self.last)

    def free(self, side: int, place: int) -> int:
        """Return a place of a set where nothing was done, the next one to the one that is asked."""
        n = len(self.parts[side])
        place = next(
            k % n for k in range(place % n, place % n + n) if k % n not in self.taken[side]
        )
        self.taken[side].add(place)
        return place

    def copy(self, turn: int, change: Callable[[Tensor], Tensor]) -> tuple[int, int]:
        """Put an item of the training set, changed, into the test set; return both places."""
        first, second = _COPIES[turn % len(_COPIES)]
        first, second = self.free(0, first), self.free(1, second)
        self.parts[1][second] = change(self.parts[0][first])
        return first, second

    def _copied(self, item: str, turn: int) -> Plant:
        first, second = self.copy(turn, _mirrored if item == "mirrored" else Tensor.clone)
        places = ["at the same place of both sets"]
        if first != second:
            places = ["at different places of the two sets"]
        if first >= _N_TEST:
            places.append("at a place of the training set that the test set does not have")
        if first == _N_TRAIN - 1 or second == _N_TEST - 1:
            places.append("in the last item of a set")
        told = (
            f"{'a mirrored copy of ' if item == 'mirrored' else ''}a training item in the test set"
        )
        return Plant(item, True, told, (), tuple(places))

    def _pairs_exchanged(self, sides: tuple[int, ...], is_hidden: bool) -> Plant:
        for side in sides:
            part = self.parts[side]
            part[:, 1] = part[_order_of_wrong_pairs(part, self.rng), 1]
        where = "both sets" if len(sides) == 2 else f"the {_SIDES[sides[0]]} set"
        told = f"the T2-w slices of other people in {where}"
        if is_hidden and sides == (1,):
            # So many right pairs that a mean over both sets hides the wrong ones.
            train = self.parts[0]
            noise = [hashed(train.shape, k, train.dtype).sign() for k in range(1, _MANY)]
            self.parts[0] = torch.cat([train, *(train + _LITTLE * one for one in noise)])
            told += ", which is far smaller"
        places = [f"in {where}", *["in one of the two sets only"] * (len(sides) == 1)]
        return Plant("pairs", True, told, (), tuple(places))

    def _whole_set(self, item: str, side: int) -> Plant:
        where = f"the {_SIDES[side]} set"
        part, places = self.parts[side], (f"in {where}", "in all items of a set")
        if item == "modalities":
            part.copy_(part.flip(1))
            return Plant(item, True, f"T1-w and T2-w exchanged in all items of {where}", (), places)
        low, high = _RANGES[0]
        part.copy_(_stretched(part, low, high))
        return Plant(
            item, True, f"values from {low:g} to {high:g} in all slices of {where}",
            _of_range(low, high), places,
        )  # fmt: skip

    def _in_one_item(self, item: str, turn: int, side: int, place: int, contrast: int) -> Plant:
        where, which = f"the {_SIDES[side]} set", f"a T{contrast + 1}-w slice"
        slices = self.parts[side][place]
        places = [f"in {where}"]
        if item != "modalities":
            places.append(f"in {which}")
        else:
            places.append("in one item only")
        if place > 0:
            places.append("not in the first item")
        if place == len(self.parts[side]) - 1:
            places.append("in the last item of a set")
        kinds: tuple[str, ...] = ()
        if item == "modalities":
            slices.copy_(slices.flip(0))
            told = f"T1-w and T2-w exchanged in an item of {where}"
        elif item == "scale":
            low, high = _RANGES[turn % len(_RANGES)]
            slices[contrast] = _stretched(slices[contrast], low, high)
            told = f"values from {low:g} to {high:g} in {which} of {where}"
            kinds = _of_range(low, high)
        else:
            kind = _NOT_FINITE[turn % len(_NOT_FINITE)]
            # The extremes stay: the scale is right.
            voxels = (slices[contrast].abs() < 0.9).nonzero().tolist()
            x, y = voxels[_below(self.rng, len(voxels))]
            slices[contrast, x, y] = float(kind)
            told = f"a value {kind} in {which} of {where}"
            kinds = (
                (f"a value is {kind}",)
                if kind == "nan"
                else ("a value is infinite", f"a value is {kind}")
            )
        return Plant(item, True, told, kinds, tuple(places))


def _of_range(low: float, high: float) -> tuple[str, ...]:
    """Return clauses about a range of values other than -1 to 1."""
    ends = (low != -1, high != 1)
    kinds = []
    if ends != (True, True):
        kinds.append(f"only the {'lower' if ends[0] else 'upper'} end is wrong")
    if low >= -1 and high <= 1:
        kinds.append("the range is too small")
    off = max(abs(low + 1), abs(high - 1))
    kinds += [f"no end is off by more than {size:g}" for size in (0.1, 0.5) if off <= size + 1e-6]
    return tuple(kinds)


# --- Traps: what may look like a problem and is none ----------------------------------------------


def _nearly(item: str, turn: int, differs: str) -> Callable[[_Sets], Plant]:
    """Return a trap: an item in both sets, as it is or mirrored, but for something that differs."""

    def trap(sets: _Sets) -> Plant:
        def change(image: Tensor) -> Tensor:
            image = _mirrored(image) if item == "mirrored" else image.clone()
            if differs == "everywhere":
                return image + _LITTLE * hashed(image.shape, turn, image.dtype).sign()
            if differs == "brightness":  # correlated in full
                return image + _LITTLE
            for contrast in range(2) if differs == "both" else [int(differs == "T2-w")]:
                spot = image[contrast][_SPOT]
                spot -= 0.3 * torch.where(spot > 0, 1.0, -1.0)
            return image

        sets.copy(turn, change)
        items = "two mirrored items" if item == "mirrored" else "two items"
        everywhere = ("that differ by 0.01 in all voxels", "both slices differ a little")
        told, kind = {
            "everywhere": everywhere,
            "brightness": everywhere,
            "both": ("that differ in a spot", "both slices differ a little"),
            "T2-w": ("of which only the T1-w slices agree", "one of the two slices agrees"),
            "T1-w": ("of which only the T2-w slices agree", "one of the two slices agrees"),
        }[differs]
        kinds = (f"{items} are much alike", f"{items} are much alike and {kind}")
        return Plant(item, False, f"{items} {told}", kinds)

    return trap


def _turned(axes: tuple[int, ...], told: str) -> Callable[[_Sets], Plant]:
    """Return a trap: an item in both sets, mirrored along other axes than from left to right."""

    def trap(sets: _Sets) -> Plant:
        sets.copy(1, lambda image: image.flip(axes))
        return Plant("mirrored", False, f"a training item {told} in the test set")

    return trap


def _within(item: str, side: int) -> Callable[[_Sets], Plant]:
    """Return a trap: an item that is twice in one set, as it is or mirrored."""

    def trap(sets: _Sets) -> Plant:
        part = sets.parts[side]
        first, second = sets.free(side, 2), sets.free(side, 4)
        part[second] = _mirrored(part[first]) if item == "mirrored" else part[first]
        told = f"a {_SIDES[side]} item {'mirrored ' * (item == 'mirrored')}once more in its own set"
        return Plant(item, False, told, ("the copy is in the same set",))

    return trap


def _near_scale(side: int, contrast: int) -> Callable[[_Sets], Plant]:
    """Return a trap: a slice whose ends are a little off, as is allowed."""

    def trap(sets: _Sets) -> Plant:
        (low, high), place = _NEAR[side], sets.free(side, 2)
        sets.parts[side][place, contrast] = _stretched(sets.parts[side][place, contrast], low, high)
        told = f"values from {low:g} to {high:g} in a slice of the {_SIDES[side]} set"
        return Plant("scale", False, told, ("the ends of a slice are off by no more than 0.03",))

    return trap


def _doubled(sets: _Sets) -> Plant:
    """Set a trap: all training items have a mirrored copy in the training set, and stay sound."""
    train = torch.cat((sets.parts[0], sets.parts[0].flip(2)))
    # So many pairs that a bad one hardly changes their mean; half of the set away are other people.
    noise = _LITTLE * hashed(train.shape, 0, train.dtype).sign()
    sets.parts[0] = torch.cat((train, (train + noise).roll(1, 0)))
    told = "mirrored copies of all training items in their own set"
    return Plant("mirrored", False, told, ("the copy is in the same set",))


def _bad_pair(sets: _Sets) -> Plant:
    """Set a trap: one right pair of many, the first one, has outlines that agree badly."""
    pair = sets.parts[0][sets.free(0, 0)]
    pair[1] = _resized(pair, _BAD)[1]
    overlap = f"{head_overlap(*pair):.2f}"
    return Plant("pairs", False, f"one right pair whose outlines overlap by {overlap} only")


_TRAPS: tuple[tuple[Callable[[_Sets], Plant], ...], ...] = (
    (),
    (_doubled, _bad_pair),
    (_within("subject", 0), _within("mirrored", 1)),
    (_within("subject", 1), _within("mirrored", 0)),
    (_nearly("subject", 0, "everywhere"), _nearly("mirrored", 1, "T2-w")),
    (_nearly("subject", 2, "T2-w"), _nearly("mirrored", 3, "T1-w"), _near_scale(0, 0)),
    (_nearly("subject", 4, "T1-w"), _nearly("mirrored", 0, "everywhere"), _near_scale(1, 1)),
    (
        _nearly("subject", 1, "both"),
        _nearly("mirrored", 3, "brightness"),
        _turned((2,), "upside down"),
    ),
    (_nearly("mirrored", 2, "both"), _turned((1, 2), "turned by 180 degrees")),
)


# --- Slices ---------------------------------------------------------------------------------------


def _mirrored(pair: Tensor) -> Tensor:
    return pair.flip(1)


def _stretched(image: Tensor, low: float, high: float) -> Tensor:
    return (image + 1) / 2 * (high - low) + low


def _sound(people: Tensor, rng: Random) -> list[Tensor]:
    """Return a training and a test set of different people, with the overlaps that the lab has."""
    overlaps = overlaps_of(people)

    def strain(order: list[int]) -> float:
        """Return how far two sets are from what is wanted of them, 0 if they are not."""
        train, test = order[:_N_TRAIN], order[_N_TRAIN:]
        if (0 in train) == (1 in train) or (2 in train) == (3 in train):
            return 1  # each set has both greys of `_GREYS`
        total = 0.0
        for places in (train, test):
            among = overlaps[places][:, places]
            own, *others = _means(among)
            total += _outside(own, *_RIGHT_MEAN)
            total += _outside(_better_than_half(among), *_RIGHT_SHARE)
            total += sum(_outside(own - other, _LEAST_GAP, 1) for other in others)
        return total

    order = _best((_shuffled(range(len(people)), rng) for _ in range(_MOST_ORDERS)), strain)
    return [people[order[:_N_TRAIN]].clone(), people[order[_N_TRAIN:]].clone()]


def _order_of_wrong_pairs(part: Tensor, rng: Random) -> list[int]:
    """Return the people whose T2-w slices come beside the T1-w slices of a set, nobody's own."""
    overlaps = overlaps_of(part)

    def strain(order: list[int]) -> float:
        own, *neighbours, _ = _means(overlaps[:, order])
        total = _outside(own, *_WRONG_MEAN)
        total += _outside(_better_than_half(overlaps[:, order]), *_WRONG_SHARE)
        total += sum(_outside(own - other, *_WRONG_GAP) for other in neighbours)
        return total + sum(place == number for place, number in enumerate(order))

    return _best((_shuffled(range(len(part)), rng) for _ in range(_MOST_ORDERS)), strain)


def _means(overlaps: Tensor) -> list[float]:
    """Return the mean overlaps of T1-w slices with the T2-w slices beside them, and with others.

    The others are those before and after them, and those half of the set away.

    Args:
        overlaps: Those of each T1-w slice with each T2-w slice, in their order.
    """
    shifts = (0, 1, -1, len(overlaps) // 2)
    return [overlaps.roll(shift, dims=1).diagonal().mean().item() for shift in shifts]


def _gap(part: Tensor) -> float:
    """Return by how much the outlines of pairs agree better than those with other people's."""
    own, *others = _means(overlaps_of(part))
    return own - max(others)


def _better_than_half(overlaps: Tensor) -> float:
    """Return the share of T1-w slices that agree with the T2-w slice beside better than usual."""
    own, usual = overlaps.diagonal(), overlaps.median(dim=1).values
    return (own > usual).double().mean().item()


def _outside(value: float, low: float, high: float) -> float:
    """Return how far a value is outside of a range, 0 inside."""
    return max(low - value, value - high, 0.0)


def _best(orders: Iterable[list[int]], strain: Callable[[list[int]], float]) -> list[int]:
    """Return the first order without strain, the one with the least if there is none."""
    best, least = list[int](), float("inf")
    for order in orders:
        if (found := strain(order)) < least:
            best, least = order, found
        if not least:
            break
    return best


def overlaps_of(items: Tensor) -> Tensor:
    """Return the overlap of each T1-w slice with each T2-w slice, see `head_overlap`.

    Args:
        items: `(N, 2, 64, 64)`.

    Returns:
        A tensor `(N, N)`.
    """
    t1, t2 = _outlines(items).flatten(2).double().unbind(1)
    common = t1 @ t2.T
    return common / (t1.sum(dim=1)[:, None] + t2.sum(dim=1) - common)


def _outlines(items: Tensor) -> Tensor:
    """Return what `head_outline` gives of each slice `(N, 2, 64, 64)`, all at once."""
    bright = (scaled_slices(items) > BRIGHT).float()
    until = torch.ones(items.shape[-2:]).triu()
    # How many bright voxels lie before each voxel and behind it, along both axes.
    counts = [counts for way in (until, until.T) for counts in (bright @ way, way @ bright)]
    return (counts[0] * counts[1] * counts[2] * counts[3]) > 0


def scaled_slices(items: Tensor) -> Tensor:
    """Return what `anatomy.scaled` gives of each slice `(N, 2, 64, 64)`, all at once."""
    finite = items.abs() < torch.inf
    low = torch.where(finite, items, torch.inf).amin((2, 3), keepdim=True)
    high = torch.where(finite, items, -torch.inf).amax((2, 3), keepdim=True)
    return torch.where(finite, (items - low) / (high - low), 0.0)


def _people(rng: Random) -> Tensor:
    """Return slices of different people, `(16, 2, 64, 64)`, on the scale of the lab."""
    found: list[Tensor] = []
    number = _below(rng, 1_000_000)
    while len(found) < _AMONG:
        pair = torch.stack(simulate_pair(number)).float()
        greys = [middle_grey(image) for image in pair]
        is_clear = greys[0] > _CLEAR_GREYS[0] and greys[1] < _CLEAR_GREYS[1]
        if is_clear and not _outside(head_overlap(*pair), *_OWN):
            found.append(pair)
        number += 1
    overlaps = overlaps_of(torch.stack(found))
    n = _N_TRAIN + _N_TEST

    def strain(order: list[int]) -> float:
        among = overlaps[order[:n]][:, order[:n]]
        own = among.diagonal().mean().item()
        others = (among.sum().item() - n * own) / (n * (n - 1))
        distances = zip((own, others), _POOL_MEANS, strict=True)
        return sum(_outside(abs(mean - wanted), 0, _NEARLY) for mean, wanted in distances)

    order = _best((_shuffled(range(_AMONG), rng) for _ in range(_MOST_ORDERS)), strain)
    people = [found[k] for k in order[:n]]
    for pair, (contrast, grey) in zip(people, _GREYS, strict=False):
        pair[contrast] = _with_grey(pair[contrast], grey)
    return torch.stack(people)


def _with_grey(image: Tensor, grey: float) -> Tensor:
    """Return a slice `(64, 64)` in [-1, 1] with about this `middle_grey`, with the same outline."""
    share = ((image + 1) / 2 - _AIR).clamp(min=0) / (1 - _AIR)

    def bent(exponent: float) -> Tensor:
        bright = 2 * (_AIR + (1 - _AIR) * share**exponent) - 1
        return torch.where(share > 0, bright, image)

    exponents = [1.05**step for step in range(-40, 41)]
    return min(map(bent, exponents), key=lambda image: abs(middle_grey(image) - grey))


def _resized(images: Tensor, size: float) -> Tensor:
    """Return slices `(2, 64, 64)` with a head of another size, on the scale of the lab."""
    change = torch.tensor([[1 / size, 0, 0], [0, 1 / size, 0]], dtype=images.dtype)
    grid = affine_grid(change.expand(2, 2, 3), [2, 1, *images.shape[1:]], align_corners=False)
    moved = grid_sample(images[:, None], grid, padding_mode="border", align_corners=False)[:, 0]
    return torch.stack([2 * scaled(image) - 1 for image in moved])


def _below(rng: Random, n: int) -> int:
    """Return a whole number below `n`, the same in every version of Python."""
    return int(rng.random() * n)


def _shuffled(elements: Iterable[Any], rng: Random) -> list[Any]:
    """Return elements in another order, the same in every version of Python."""
    return sorted(elements, key=lambda _: rng.random())
