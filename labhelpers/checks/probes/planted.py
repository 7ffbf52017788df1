"""Pairs of data sets with problems put in on purpose, and with what only looks like a problem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache
from random import Random
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from labhelpers.anatomy import head_overlap, scaled
from labhelpers.checks.fingerprint import hashed
from labhelpers.phantom import simulate_pair

__all__ = ["PROBLEMS", "Pair", "Plant", "planted_pairs"]

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
_N_TRAIN, _N_TEST = 10, 6  # even: small heads and large ones take turns
_SMALL = 0.8  # size of a small head, compared with a large one
# Overlap of the outlines of a person's two slices, at least: 0.965 on average in the real data.
_AGREE = 0.968
_ALONE = tuple((item,) for item in PROBLEMS)
_TOGETHER = (
    ("subject", "mirrored"), ("subject", "scale"), ("subject", "finite"), ("mirrored", "scale"),
    ("mirrored", "finite"), ("mirrored", "modalities"), ("pairs", "modalities"), ("pairs", "scale"),
    ("pairs", "finite"), ("modalities", "scale"), ("modalities", "scale"), ("modalities", "finite"),
    ("scale", "finite"), ("pairs", "modalities"),
)  # fmt: skip

#: Where copies are: their places in the training set and in the test set.
_COPIES = ((3, 3), (9, 0), (0, 5), (7, 2), (1, 4))
#: Where a single slice is changed: set, place, contrast; what an audit may overlook takes turns.
_PLACES = (
    (1, -1, 0), (0, 0, 1), (0, -1, 0), (1, 0, 1), (0, 4, 0), (1, 2, 1),
)  # fmt: skip
_RANGES = ((0, 1), (-0.5, 0.5), (0, 255), (-1, 2.5), (-0.9, 1), (-1, 0.9), (-1.5, 1))
_NEAR = ((-0.97, 1.03), (-1.03, 0.97))  # ranges that are right as the statement defines it
_NOT_FINITE = ("nan", "inf", "-inf")
_MANY = 10  # times the usual training set, where the wrong pairs are in the test set only
_SETS_OF_PAIRS = ((0,), (1,), (0, 1))
_LITTLE = 0.0099  # by which all voxels of items that are only alike differ
_SPOT = (slice(22, 28), slice(36, 42))  # where slices that are only alike differ
_BAD = 0.85  # size of the T2-w slice of a pair whose outlines agree badly


class Plant(NamedTuple):
    """Something that was done to a pair of data sets.

    Attributes:
        item: The item of the report that it is a problem or a trap for.
        is_problem: Whether it is to be named.
        told: What was done, in words after "with".
        kinds: What holds of the two sets then, as clauses after "wherever".
        places: Where it is, as clauses after "wherever it is".
    """

    item: str
    is_problem: bool
    told: str
    kinds: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


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
        return f"with {' and '.join(own + others)}" if own + others else "to which nothing was done"


@lru_cache(maxsize=4)
def planted_pairs(seed: int) -> list[Pair]:
    """Return pairs of data sets: each problem alone, beside another one, and none; shuffled."""
    rng = Random(seed)
    heads = _heads(_below(rng, 1_000_000))
    flips = {item: _below(rng, 2) for item in PROBLEMS}
    turns: Counter[str] = Counter()
    pairs = []
    for plan in (*_ALONE, *_TOGETHER):
        sets = _Sets(_sound(heads, rng), rng)
        plants = []
        # Pairs first: it moves all items of a set.
        for item in sorted(plan, key=lambda item: item != "pairs"):
            flip = flips[item]
            if plan == ("scale", "finite"):  # in the same slice: neither excuses from the other
                sets.taken, flip = (set(), set()), flips["finite"]
            plants.append(sets.plant(item, turns[item], flip))
            turns[item] += 1
        pairs.append(Pair(sets.parts[0], sets.parts[1], tuple(plants)))
    for traps in _TRAPS:
        sets = _Sets(_sound(heads, rng), rng)
        plants = [trap(sets) for trap in traps]
        pairs.append(Pair(sets.parts[0], sets.parts[1], tuple(plants)))
    return _shuffled(pairs, rng)


class _Sets:
    """A training and a test set that something is done to.

    Attributes:
        parts: Training and test set, `(N, 2, 64, 64)` each.
        taken: Items of each set that something was done to.
    """

    def __init__(self, parts: list[Tensor], rng: Random) -> None:
        self.parts, self.rng = parts, rng
        self.taken: tuple[set[int], set[int]] = (set(), set())

    def plant(self, item: str, turn: int, flip: int) -> Plant:
        """Put a problem into the sets.

        Args:
            item: Which problem.
            turn: How often it was put in before: it comes in several kinds.
            flip: 1 to exchange the two sets and the two contrasts, where it is in one slice.
        """
        if item in ("subject", "mirrored"):
            return self._copied(item, turn)
        if item == "pairs":
            sides = _SETS_OF_PAIRS[(turn + flip) % len(_SETS_OF_PAIRS)]
            return self._pairs_exchanged(sides, is_hidden=turn < len(_SETS_OF_PAIRS))
        if turn == 0 and item != "finite":
            return self._whole_set(item, flip)
        side, place, contrast = _PLACES[(turn - (item != "finite")) % len(_PLACES)]
        return self._in_one_item(item, turn, side ^ flip, place, contrast ^ flip)

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
            # By an odd number of places: then each small head stands beside a large one.
            part = self.parts[side]
            shift = 2 * _below(self.rng, len(part) // 2) + 1
            part[:, 1] = part[:, 1].roll(shift, dims=0)
        where = "both sets" if len(sides) == 2 else f"the {_SIDES[sides[0]]} set"
        told = f"the T2-w slices of other people in {where}"
        if is_hidden and sides == (1,):
            # So many right pairs that a mean over both sets hides the wrong ones.
            train = self.parts[0]
            noise = [hashed(train.shape, k, train.dtype).sign() for k in range(1, _MANY)]
            self.parts[0] = torch.cat([train, *(train + _LITTLE * one for one in noise)])
            told += ", which is far smaller"
        return Plant("pairs", True, told, (), (f"in {where}",))

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
        place = self.free(side, place)
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
            for contrast in range(2) if differs == "both" else [int(differs == "T2-w")]:
                spot = image[contrast][_SPOT]
                spot -= 0.3 * torch.where(spot > 0, 1.0, -1.0)
            return image

        sets.copy(turn, change)
        items = "two mirrored items" if item == "mirrored" else "two items"
        told, kind = {
            "everywhere": ("that differ by 0.01 in all voxels", "both slices differ a little"),
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
        first, second = sets.free(side, 1), sets.free(side, 4)
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
    train = sets.parts[0]
    sets.parts[0] = torch.cat((train, train.flip(2)))
    told = "mirrored copies of all training items in their own set"
    return Plant("mirrored", False, told, ("the copy is in the same set",))


def _bad_pair(sets: _Sets) -> Plant:
    """Set a trap: one right pair of many has outlines that agree badly."""
    pair = sets.parts[0][sets.free(0, -1)]
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
    (_nearly("subject", 1, "both"), _turned((2,), "upside down")),
    (_nearly("mirrored", 2, "both"), _turned((1, 2), "turned by 180 degrees")),
)


# --- Slices ---------------------------------------------------------------------------------------


def _mirrored(pair: Tensor) -> Tensor:
    return pair.flip(1)


def _stretched(image: Tensor, low: float, high: float) -> Tensor:
    return (image + 1) / 2 * (high - low) + low


def _sound(heads: tuple[Tensor, Tensor], rng: Random) -> list[Tensor]:
    """Return a training and a test set of different people, small and large heads in turn."""
    small, large = (_shuffled(range(len(kind)), rng) for kind in heads)
    order = [
        heads[k][number] for pair in zip(small, large, strict=True) for k, number in enumerate(pair)
    ]
    everybody = torch.stack(order)
    return [everybody[:_N_TRAIN].clone(), everybody[_N_TRAIN : _N_TRAIN + _N_TEST].clone()]


def _heads(first: int) -> tuple[Tensor, Tensor]:
    """Return small heads and large ones, `(8, 2, 64, 64)` each, on the scale of the lab.

    Args:
        first: The first simulated person to try; those whose outlines hardly agree are left out.
    """
    found: tuple[list[Tensor], list[Tensor]] = ([], [])
    wanted = (_N_TRAIN + _N_TEST) // 2
    number = first
    while min(map(len, found)) < wanted:
        large = torch.stack(simulate_pair(number)).float()
        for heads, pair in zip(found, (_resized(large, _SMALL), large), strict=True):
            if len(heads) < wanted and head_overlap(*pair) > _AGREE:
                heads.append(pair)
        number += 1
    return torch.stack(found[0]), torch.stack(found[1])


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
