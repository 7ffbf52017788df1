"""Probe of the audit of notebook 1: pairs of data sets, with problems put in on purpose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from labhelpers.anatomy import head_overlap, scaled
from labhelpers.checks.cases import ERROR, PROOF, Case, Log, Setting
from labhelpers.checks.records import Observed
from labhelpers.data import IXIDataset
from labhelpers.phantom import simulate_pair

__all__ = ["audit_split", "read_audit", "write_pairs"]

#: What an audit may find: item of the report -> name of the problem, as the statement gives it.
_PROBLEMS = {
    "subject": "subject on both sides",
    "mirrored": "mirrored copy on both sides",
    "pairs": "pairs exchanged",
    "modalities": "modalities exchanged",
    "scale": "another scale",
    "finite": "values not finite",
}
_TWICE, _MIRRORED_WITHIN = "twice", "mirrored within"  # once each, and no problem of a split
_ALL = "all pairs of data sets"
_RAW_NAMES, _RAW_KIND = "raw-names", "raw-kind"
_SEED = 300
_FILE = "pairs.pt"

_SIDES = ("training", "test")
_N_TRAIN, _N_TEST = 8, 6  # even: small heads and large ones take turns
_SMALL = 0.8  # size of a small head, compared with a large one
_AGREE = (
    0.96  # overlap of the outlines of T1-w and T2-w, at least: 0.965 on average in the real data
)
_RANGES = ((0.0, 1.0), (-1.0, 2.5), (-0.5, 0.5), (0.0, 255.0))
_NOT_FINITE = ("nan", "inf", "-inf")
_MOST_NAMES = 20  # that are written down of an answer
_NAME_LENGTH = 60


class _Pair(NamedTuple):
    """A training and a test set, `(N, 2, 64, 64)` each: T1-w and T2-w of each item.

    Attributes:
        train: The training set.
        test: The test set.
        planted: The problems, as items of the report; empty if all is well.
        told: What was done, in words.
    """

    train: Tensor
    test: Tensor
    planted: tuple[str, ...]
    told: str


def audit_split(answer: Any, setting: Setting) -> Iterator[Case]:
    """Audit pairs of data sets, among them sound ones."""

    def act(log: Log, sides: list[Tensor]) -> None:
        sets = []
        for first, part in zip((0, _N_TRAIN), sides, strict=True):
            names = [f"sub-{first + index:03d}" for index in range(len(part))]
            t1, t2 = part.to(setting.dtype, copy=True).split(1, dim=1)
            sets.append(IXIDataset.from_tensors(t1, t2, names))
        found = answer(*sets)
        log(_RAW_KIND, "set" if isinstance(found, (set, frozenset)) else type(found).__name__)
        log(_RAW_NAMES, _names(found))

    for number, sides in enumerate(_sides(setting)):
        yield Case(_label(number), partial(act, sides=sides))


def write_pairs(folder: Path, setting: Setting) -> None:
    """Write the pairs of data sets; only the whole series tells what is wrong with them."""
    pairs = _pairs(setting.secret_seed(_SEED))
    torch.save([[pair.train, pair.test] for pair in pairs], folder / _FILE)


def _sides(setting: Setting) -> list[list[Tensor]]:
    """Return training and test set of each pair."""
    if setting.folder:
        return torch.load(setting.folder / _FILE, weights_only=True)
    return [[pair.train, pair.test] for pair in _pairs(setting.secret_seed(_SEED))]


def _label(number: int) -> str:
    return f"data sets {number + 1}"


def _names(found: Any) -> list[str]:
    """Return the names in what an answer found, in a fixed order."""
    if isinstance(found, str) or not isinstance(found, Iterable):
        return []
    return sorted(str(name)[:_NAME_LENGTH] for name in islice(found, _MOST_NAMES))


def read_audit(observed: Observed, setting: Setting) -> Observed:
    """Turn the names that were found into words: which problem was named, and where.

    Which problems are in which data sets is known to the verdict, and in grading to nobody else who
    has not looked for them.
    """
    result: Observed = {ERROR: observed[ERROR]} if ERROR in observed else {}
    pairs = _pairs(setting.secret_seed(_SEED))
    found = observed.get(_RAW_NAMES, {})
    seen = [found.get(_label(number)) for number in range(len(pairs))]
    if all(names is None for names in seen):
        return result
    n_right = 0  # problems that are named where they are, and nowhere else
    named: list[bool] = []  # of each name, whether the problem is there
    for item, problem in _PROBLEMS.items():
        words = [
            _verdict(names, item, problem, pair.planted)
            for pair, names in zip(pairs, seen, strict=True)
        ]
        told = [f"data sets {number}, {pair.told}: " for number, pair in enumerate(pairs, start=1)]
        result[item] = {_ALL: [where + word for where, word in zip(told, words, strict=True)]}
        n_right += all(
            word == (_NAMED if item in pair.planted else _NOT_NAMED)
            for word, pair in zip(words, pairs, strict=True)
        )
        named += [
            item in pair.planted for word, pair in zip(words, pairs, strict=True) if word == _NAMED
        ]
    kinds = observed.get(_RAW_KIND, {}).values()
    other = next((kind for kind in kinds if kind != "set" and isinstance(kind, str)), "set")
    unknown = [name for names in seen if isinstance(names, list) for name in _unknown(names)]
    result["result"] = {_ALL: f"a {other}" + (f" with {unknown[0]!r}" if unknown else "")}
    # One problem can be right by luck among many wrong names: 1 guess in 680.
    result[f"{PROOF}found"] = {_ALL: n_right > 1 or (n_right == 1 and 2 * sum(named) > len(named))}
    return result


_NAMED, _NOT_NAMED, _STOPPED = "named", "not named", "stopped by an error"


def _verdict(names: Any, item: str, problem: str, planted: tuple[str, ...]) -> str:
    """Return in words whether an answer named a problem of a pair of data sets.

    An error counts for the problems that are there, and for all where there is none.
    """
    if not isinstance(names, list):
        return _STOPPED if item in planted or not planted else _NOT_NAMED
    if problem in names:
        return _NAMED
    return (
        f"{_NOT_NAMED}, but an unknown name is"
        if item in planted and _unknown(names)
        else _NOT_NAMED
    )


def _unknown(names: list[Any]) -> list[str]:
    """Return the names in an answer that no problem has."""
    return [str(name)[:_NAME_LENGTH] for name in names if name not in _PROBLEMS.values()]


# --- The data sets --------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def _pairs(seed: int) -> list[_Pair]:
    """Return pairs of data sets: each problem alone, each beside two others, and none; shuffled."""
    rng = Random(seed)
    heads = _heads(_below(rng, 1_000_000))
    items = list(_PROBLEMS)
    plans: list[tuple[str, ...]] = [(item,) for item in items]
    plans += list(zip(items, [*items[1:], items[0]], strict=True))
    plans += [("scale",), (), (), (_TWICE,), (_MIRRORED_WITHIN,)]
    start = {item: _below(rng, 2) for item in [*items, _TWICE, _MIRRORED_WITHIN]}
    turns = dict.fromkeys(start, 0)
    pairs = []
    for plan in plans:
        parts = _sound(heads, rng)
        free = [_shuffled(range(len(part)), rng) for part in parts]
        told = []
        # Pairs first: it moves all items of a set.
        for item in sorted(plan, key=lambda item: item != "pairs"):
            told.append(_plant(item, parts, free, turns[item], start[item], rng))
            turns[item] += 1
        planted = tuple(item for item in plan if item in _PROBLEMS)
        train, test = parts
        pairs.append(_Pair(train, test, planted, " and ".join(told) or "in which nothing is wrong"))
    return _shuffled(pairs, rng)


def _plant(
    item: str, parts: list[Tensor], free: list[list[int]], turn: int, start: int, rng: Random
) -> str:
    """Put a problem into one of two sets.

    Args:
        item: Which problem.
        parts: Training and test set, `(N, 2, 64, 64)` each; changed in place.
        free: Items of each set that nothing was done to, at random.
        turn: How often the problem was put in before: it comes in several kinds.
        start: Which of the two sets it is in at first, 0 for the training set; they take turns.
        rng: Decides the rest.

    Returns:
        What was done, in words.
    """
    side = (start + turn) % 2
    part, where = parts[side], f"the {_SIDES[side]} set"
    if item in ("subject", "mirrored", _TWICE, _MIRRORED_WITHIN):
        is_mirrored = item in ("mirrored", _MIRRORED_WITHIN)
        source_side = side if item in (_TWICE, _MIRRORED_WITHIN) else 1 - side
        # At the place of the original at first, then at another one.
        is_beside = turn == 0 and source_side != side
        at_both = [k for k in free[side] if k in free[source_side]]
        place = at_both[-1] if is_beside else free[side][-1]
        source = place if is_beside else next(k for k in free[source_side] if k != place)
        free[side].remove(place)
        free[source_side].remove(source)
        original = parts[source_side][source]
        part[place] = original.flip(1) if is_mirrored else original
        kind = "mirrored" if is_mirrored else "unchanged"
        return f"with an item of the {_SIDES[source_side]} set {kind} in {where} once more"
    if item == "pairs":
        # By an odd number of places: then each small head stands beside a large one.
        part[:, 1] = part[:, 1].roll(2 * _below(rng, len(part) // 2) + 1, dims=0)
        return f"with the T2-w slices of other people in {where}"
    # Both contrasts take turns, so that who looks at one of them misses something. The range to 255
    # is that of a T2-w slice, which is then brighter than its T1-w slice.
    modality = turn % 2
    place = free[side].pop()
    image, which = part[place, modality], f"a T{modality + 1}-w slice of {where}"
    if item == "modalities":
        target, name = (part, "all items") if turn == 0 else (part[place], "an item")
        target.copy_(target.flip(-3))
        return f"with T1-w and T2-w exchanged in {name} of {where}"
    if item == "scale":
        low, high = _RANGES[turn]
        target, name = (part, f"all slices of {where}") if turn == 0 else (image, which)
        target.copy_((target + 1) / 2 * (high - low) + low)
        return f"with values from {low:g} to {high:g} in {name}"
    voxels = ((image.abs() < 0.9).nonzero()).tolist()  # the extremes stay: the scale is right
    x, y = voxels[_below(rng, len(voxels))]
    image[x, y] = float(_NOT_FINITE[turn])
    return f"with a value {_NOT_FINITE[turn]} in {which}"


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
    wanted = (_N_TRAIN + _N_TEST) // 2 + 1
    number = first
    while min(map(len, found)) < wanted:
        size = number % 2
        if len(found[size]) < wanted:
            pair = torch.stack(simulate_pair(number))
            pair = _resized(pair, _SMALL) if size == 0 else pair
            if head_overlap(*pair) > _AGREE:
                found[size].append(pair.float())
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
