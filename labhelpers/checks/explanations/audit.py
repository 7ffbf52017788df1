"""Tell by which rules an audit names the problems, where they are others than those asked for."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import permutations, product
from random import Random
from typing import Any, NamedTuple

import torch
from torch import Tensor

from labhelpers.checks.cases import Setting
from labhelpers.checks.explanations.audit_rules import RULES, Rule
from labhelpers.checks.explanations.audit_sets import Axes, Sets
from labhelpers.checks.explanations.words import enumerated
from labhelpers.checks.probes.audit import Audited, audited
from labhelpers.checks.probes.planted import PROBLEMS
from labhelpers.checks.records import Explanation, Run, explained
from labhelpers.data import IXIDataset

__all__ = ["audit_split"]

_LEAST = 3  # pairs of data sets that show a rule, or that one name hides another
_N_TRIALS = 40  # pairs of data sets on which a rule that was found is tried
_N_TRAIN, _N_TEST = 5, 4  # items of each
_MOST_DIFFERENCES = 2  # of one rule from what is asked for
_LIKE = 0.6  # how alike a name in a result and one of the table are, see `difflib`
_OFF = (0.03, 0.045, 0.056, 0.08, 0.12, 0.18, 0.3, 0.6, 1.2, 5)  # ends of ranges are off by so much
_GAMMAS = (0.3, 0.5, 0.7, 0.8, 1.2, 1.5, 2, 3)  # exponents that change the greys of a slice
_NEAR = (1e-6, 5e-4, 2e-3, 0.0095, 0.015, 0.03, 0.06)  # differences of items that are only alike
_BOTH, _ALL = (0, 1), slice(None)
#: Of which sets, which items and which contrasts have a problem, where it is in many of them.
_MANY = {
    "both": (_BOTH, _ALL, _ALL),
    "training": ((0,), _ALL, _ALL),
    "test": ((1,), _ALL, _ALL),
    "all but the first": (_BOTH, slice(1, None), _ALL),
    "all but the last": (_BOTH, slice(-1), _ALL),
    "T1": (_BOTH, _ALL, slice(1)),
    "T2": (_BOTH, _ALL, slice(1, None)),
    "most": ((0,), slice(3), _ALL),
    "few": ((0,), slice(2), _ALL),
}
_SETS = ("both", "training", "test")
_TURNS: tuple[Axes, ...] = ((), (1,), (2,))
#: Copies in pairs of data sets: training item, test item, how the copied slices are turned.
_COPIES: list[list[tuple[int, int, tuple[Axes, Axes]]]] = [
    *([(i, j, (turn, turn))] for i, j, turn in product((0, -1), (0, -1), _TURNS[:2])),
    *([(0, 1, turns)] for turns in permutations(_TURNS, 2)),
    *(  # two kinds: one comes first by its training item, by its test item, by both
        [(*first, (one, one)), (*second, (other, other))]
        for first, second in (((0, 1), (1, 0)), ((0, 0), (-1, -1)), ((2, 0), (2, 3)))
        for one, other in permutations(_TURNS[:2])
    ),
]
#: Wrong pairs: how many T1-w slices overlap less with their own T2-w slice than with a neighbour's,
#: and whether the mean difference is as large (1) or as small (-1) as it can be then.
_SMALLER = ((2, -1), (3, -1), (3, 1), (4, -1), (4, 1), (5, 1))
#: How the slices of each kind of copies are turned.
_KINDS: dict[str, Axes] = {"subject": (), "mirrored": (1,)}
_IN_ITEMS = ("modalities", "scale", "finite")  # problems that single items have
_LABELS = {name: item for item, name in PROBLEMS.items()}


class _Seen(NamedTuple):
    """A pair of data sets, and the problems that an answer named there, as items of the report.

    Attributes:
        sets: The pair.
        named: The problems.
        whole: The problem that all items of both sets have, "" if many items have one, else None.
        hides: Where a copy that is found stands beside an item with NaN: which kind of copy, and
            the set of that item.
    """

    sets: Sets
    named: set[str]
    whole: str | None = None
    hides: tuple[str, int] | None = None


def audit_split(answer: Any, runs: list[Run]) -> Explanation | None:
    """Tell by which rule each problem is named that is not named as it should be."""
    for run in runs:
        if not (found := audited(run["observed"], Setting())):
            continue
        names = {*_LABELS, *(name for one in found for name in one.names)}
        known = {name: item for name in names if (item := _item_of(name))}
        known |= _by_place(found, names - known.keys())
        seen = [
            _Seen(Sets(one.pair.train, one.pair.test), _items(one.names, known)) for one in found
        ]
        wrong = [
            item
            for item in RULES
            if any(
                (item in x.named) != (item in one.pair.planted)
                for x, one in zip(seen, found, strict=True)
            )
        ]
        hidden = _hidden(found)
        sentences = [*_result(found, known)]
        if hidden:
            n_two = sum(len(one.pair.planted) > 1 for one in found)
            sentences.append(
                "Your function never returns more than one name, also not for the "
                f"{n_two} pairs of data sets that have two problems. Asked for: the names of all "
                "problems that are there."
            )
        if not any(x.named for x in seen):
            return explained(sentences)  # nothing is looked for
        tried = list(_tried(answer, found, known, wrong, alone=bool(hidden))) if wrong else []
        ways = {item: _way(item, seen, tried, bool(hidden)) for item in wrong}
        about: dict[str, list[str]] = {}  # the names that a sentence is about
        for item, texts in ways.items():
            for text in texts:
                about.setdefault(text, []).append(PROBLEMS[item])
        sentences += [f"{_quoted(items)}: {text}" for text, items in about.items()]
        told = {*hidden, *(item for item, texts in ways.items() if texts)}
        return explained(sentences, [item for item in RULES if item in told])
    return None


def _item_of(name: str) -> str:
    """Return the item that a name in a result stands for, "" if that is none of the table."""
    near = difflib.get_close_matches(name, _LABELS, 1, _LIKE)
    return _LABELS[near[0]] if near else ""


def _by_place(found: list[Audited], names: set[str]) -> dict[str, str]:
    """Return the items of names that stand almost where a problem is that is never named."""
    named = {name for one in found for name in one.names}
    result = {}
    for name, (item, problem) in product(sorted(names), PROBLEMS.items()):
        here = {k for k, one in enumerate(found) if name in one.names}
        there = {k for k, one in enumerate(found) if item in one.pair.planted}
        if problem not in named and 4 * len(here & there) >= 3 * len(here | there):
            result[name] = item
    return result


def _items(names: Sequence[str], known: dict[str, str]) -> set[str]:
    return {known[name] for name in names if name in known}


def _result(found: list[Audited], known: dict[str, str]) -> Iterator[str]:
    """Yield what is wrong with the results themselves: no sets, or names that are not asked for."""
    kinds = list(dict.fromkeys(one.kind for one in found))
    odd = [kind for kind in kinds if kind != "a set"]
    if odd:
        where = "" if len(odd) == len(kinds) else " in some cases"
        yield f"Your function returns {odd[0]}{where}. Asked for: a set, in every case."
    for name, item in known.items():
        if name != PROBLEMS[item]:
            yield f'There is no "{name}" in the table. The name there is "{PROBLEMS[item]}".'


def _hidden(found: list[Audited]) -> list[str]:
    """Return the items that one name hides, where a result never holds more than one."""
    if max(len(one.names) for one in found) != 1:
        return []
    known = {name for one in found for name in one.names}
    missed: dict[str, list[bool]] = {item: [] for item in PROBLEMS}  # beside another problem?
    for names, _, pair in found:
        for item in pair.planted:
            if PROBLEMS[item] not in names:
                missed[item].append(len(names) == 1)
    hidden = [item for item, ways in missed.items() if any(ways) and PROBLEMS[item] in known]
    return hidden if sum(sum(missed[item]) for item in hidden) >= _LEAST else []


# --- Data sets that the rules were not found on ---------------------------------------------------


def _tried(
    answer: Any, found: list[Audited], known: dict[str, str], wrong: list[str], alone: bool
) -> Iterator[_Seen]:
    """Yield what an answer names in further pairs of data sets, without those that stop it.

    Args:
        answer: It.
        found: What it names in those of the check.
        known: The items of names.
        wrong: The items that it does not name as it should.
        alone: Whether only one thing is changed in each pair.
    """
    sound = next((one.pair for one in found if not one.pair.plants), None)
    if sound is None:
        return
    rng = Random(1)
    people = [part.flip(2) for part in (sound.train, sound.test)]  # upside down: other values

    def some() -> list[Tensor]:
        return [
            torch.stack(rng.sample(list(part), n))
            for part, n in zip(people, (_N_TRAIN, _N_TEST), strict=True)
        ]

    def seen(
        parts: list[Tensor], whole: str | None = None, hides: tuple[str, int] | None = None
    ) -> Iterator[_Seen]:
        sets = [
            IXIDataset.from_tensors(
                part[:, :1], part[:, 1:], [f"sub-{i:03d}" for i in range(len(part))]
            )
            for part in (part.clone() for part in parts)
        ]
        with suppress(Exception):
            names = [str(name) for name in answer(*sets)]
            yield _Seen(Sets(*parts), _items(names, known), whole, hides)

    for number in range(_N_TRIALS):
        _change(parts := some(), number, rng, alone)
        yield from seen(parts)
    for item, way in product(wrong, _MANY):
        if item in _IN_ITEMS or way in _SETS:
            _change_many(parts := some(), item, way, rng)
            is_whole = way == "both" or (way in ("T1", "T2") and item == "modalities")
            yield from seen(parts, item * is_whole)
    if "pairs" in wrong:
        for (n_smaller, sign), shift in product(_SMALLER, (-1, 1)):
            _exchange(parts := some(), n_smaller, sign, shift)
            yield from seen(parts)
    if not {*_KINDS} & {*wrong}:
        return
    places: dict[str, tuple[int, int]] = {}  # where a single copy of each kind is found
    for copies in _COPIES:
        _copy(parts := some(), copies)
        for one in seen(parts):
            for item, turn in _KINDS.items():
                if item in one.named and [turns for *_, turns in copies] == [(turn, turn)]:
                    places[item] = copies[0][:2]
            yield one
    for (item, place), side in product(places.items(), range(2)):
        if item in wrong:
            _copy(parts := some(), [(*place, (_KINDS[item], _KINDS[item]))])
            parts[side][1, :, 31, 30] = torch.nan  # copies are of the first or the last items
            yield from seen(parts, hides=(item, side))


def _copy(parts: list[Tensor], copies: list[tuple[int, int, tuple[Axes, Axes]]]) -> None:
    """Put copies of training items into the test set, see `_COPIES`."""
    for one, other, turns in copies:
        pairs = zip(parts[0][one], turns, strict=True)
        parts[1][other] = torch.stack([image.flip([k - 1 for k in t]) for image, t in pairs])


def _exchange(parts: list[Tensor], n_smaller: int, sign: int, shift: int) -> None:
    """Exchange all pairs of the training set, see `_SMALLER`, for neighbours at `shift`."""
    overlaps = Sets(*parts).slices[0].overlaps
    n = len(overlaps)
    orders = torch.tensor([
        order for order in permutations(range(n)) if all(k != own for k, own in enumerate(order))
    ])  # fmt: skip
    rows = torch.arange(n)
    gaps = overlaps[rows, orders] - overlaps[rows, orders.roll(shift, 1)]
    off = ((gaps < 0).sum(1) - n_smaller).abs().double()
    parts[0][:, 1] = parts[0][orders[(off - sign * gaps.mean(1)).argmin()], 1]


def _change(parts: list[Tensor], number: int, rng: Random, alone: bool) -> None:
    """Put problems, and what looks like one, into a training and a test set; one alone if asked."""
    several = [*(number % 3 == k for k in range(3)), True, number % 5 in (1, 3)]
    is_put = [number % 5 == k for k in range(5)] if alone else several
    side, contrast, way = rng.randrange(2), rng.randrange(2), rng.randrange(4)
    part = parts[side]
    first, second, third, fourth = rng.sample(range(len(part)), 4)
    # One item, several, all.
    ways: list[Any] = [first, number % 2 - 1, [first, second, third], slice(None)]
    if is_put[0]:  # a range of values
        off = _OFF[number // 3 % len(_OFF)]
        ends = [(-off, 0), (0, off), (-off, off), (off, off)]
        ends += [(off, 0), (0, -off), (off, -off)] if off < 0.9 else []
        low, high = rng.choice(ends)
        where = ways[way]
        part[where, contrast] = (part[where, contrast] + 1) / 2 * (2 + high - low) - 1 + low
    if is_put[1]:  # contrasts, and greys
        where = ways[way]
        # Items of many greys: a mean, a median and a count over them are three things.
        start, grey = rng.randrange(len(_GAMMAS)), [*range(len(part))] if way > 1 else [where]
        gammas = torch.tensor([_GAMMAS[(start + 3 * k) % len(_GAMMAS)] for k in range(len(grey))])
        gammas = gammas[:, None, None]
        part[grey, contrast] = 2 * ((part[grey, contrast] + 1) / 2).clamp(0, 1) ** gammas - 1
        if rng.random() < 0.75:
            part[where] = part[where].flip(-3)
    if is_put[2]:  # pairs
        if way == 0:
            part[first, 1] = part[first, 1].roll(rng.randint(2, 14), 0)
        elif way == 1:
            part[:, 1] = part[:, 1].roll(rng.randint(1, 8), 0)
        elif way == 2:
            part[:, 1] = part[:, 1].roll(1, 0)
        else:
            for both in parts:
                both[:, 1] = both[:, 1].roll(1, 0)
    if is_put[3] and number % 4 == 0:  # copies
        one, other = rng.randrange(_N_TRAIN), rng.randrange(_N_TEST)
        copy = parts[0][one].flip(rng.choice([(), (), (1,), (1,), (2,), (1, 2)])).clone()
        parts[1][other] = copy
    elif is_put[3] and number % 4 == 1:  # what is only alike
        one, other = rng.randrange(_N_TRAIN), rng.randrange(_N_TEST)
        copy = parts[0][one].flip(rng.choice([(), (1,)])).clone()
        if way == 0:
            copy += rng.choice(_NEAR) * torch.randn_like(copy).sign()
        elif way == 1:
            copy[contrast] = parts[1][other, contrast]
        elif way == 2:
            copy[contrast, 30:33, 30:33] += rng.choice((0.005, 0.05, 1.5))
        else:
            copy = copy.flip(0)
        parts[1][other] = copy
    elif is_put[3] and number % 4 == 2 and way < 2:  # a copy in its own set
        part[third] = part[fourth].flip((1,) if way else ())
    if is_put[4]:  # values that are not finite
        values = rng.choice([("nan",), ("inf",), ("-inf",), ("nan", "inf")])
        for place, value in enumerate(values):
            where = [third, 0, -1, fourth][way]
            part[where, contrast, 31 + place, 30] = float(value)


def _change_many(parts: list[Tensor], item: str, way: str, rng: Random) -> None:
    """Put a problem into many items, in one of the ways of `_MANY`."""
    sides, places, contrasts = _MANY[way]
    if item in _KINDS:
        copies = parts[0][:_N_TEST][places if len(sides) > 1 else slice(2)]
        parts[1][: len(copies)] = copies.flip(2) if item == "mirrored" else copies
    for whole in (parts[side] for side in sides):
        part = whole[places]
        if item == "scale":
            low, high = (-1, 2.5) if len(sides) == 1 else (0, 1)
            part[:, contrasts] = (part[:, contrasts] + 1) / 2 * (high - low) + low
        elif item == "finite":
            part[:, contrasts, 31, 30] = torch.nan
        elif item == "pairs":
            part[:, 1] = part[:, 1].roll(rng.randint(1, 2), 0)
        elif item == "modalities":
            # The less the greys of an item differ, the less does it weigh in a mean.
            weak = {"most": part, "few": whole[len(part) :]}.get(way, part[:1])
            weak.copy_(2 * ((weak + 1) / 2) ** torch.tensor([2, 0.5])[:, None, None] - 1)
            part.copy_(part.flip(1))


# --- The rule of a problem ------------------------------------------------------------------------


def _way(item: str, seen: list[_Seen], tried: list[_Seen], is_single: bool) -> list[str]:
    """Return how a problem is named otherwise than asked for; nothing if no rule is found.

    Args:
        item: The problem, as item of the report.
        seen: The pairs of data sets of the check.
        tried: Others, on which the rule has to hold as well.
        is_single: Whether results never hold more than one name, which hides others.
    """
    if is_single:
        seen, tried = ([x for x in xs if not x.named - {item}] for xs in (seen, tried))
    found = _rule_of(item, seen, tried)
    if found:
        return found
    for other in RULES:
        apart = [[x for x in xs if other not in x.named] for xs in (seen, tried)]
        n_together = len(seen) - len(apart[0])
        if other != item and n_together > 1 and all(
            item not in x.named for x in (*seen, *tried) if other in x.named
        ):  # fmt: skip
            text = (
                f'It is never named together with "{PROBLEMS[other]}". Asked for: each problem is '
                "judged for itself."
            )
            if _fits(
                RULES[item],
                [value[""] for value in RULES[item].factors],
                [*apart[0], *apart[1]],
                item,
            ):
                return [text]
    return []


def _rule_of(item: str, seen: list[_Seen], tried: list[_Seen]) -> list[str]:
    """Return the fewest differences from what is asked for that give what was named."""
    everything = [*seen, *tried]
    n_tried = len(everything)
    if not any(item in x.named for x in everything):
        return [f"It is not named in any of the {n_tried} pairs of data sets that were tried."]
    if all(x.whole == item for x in everything if item in x.named):
        is_copied = item in _KINDS
        all_items = "all test items are copies" if is_copied else "all items of both sets have it"
        return [f"It is named only where {all_items}. Asked for: one is enough."]
    if all(item in x.named for x in everything):
        return [f"It is named in all of the {n_tried} pairs of data sets that were tried."]
    # Where hardly ever named but with many items at once, one measure is like another.
    is_rare = sum(item in x.named for x in seen) < _LEAST and not any(
        item in x.named and x.whole is None for x in tried
    )
    rule = RULES[item]
    asked = rule.measured([factor[""] for factor in rule.factors])
    blamed: list[tuple[Any, list[str]]] = []  # another threshold, one difference more
    for n in range(_MOST_DIFFERENCES + 1):
        fits: list[tuple[Any, list[str]]] = []
        remarked: list[tuple[Any, list[str]]] = []
        for texts, values in rule.ways(n):
            measured = rule.measured(values)
            if is_rare and measured != asked:
                continue
            if (
                _fits(rule, values, seen, item)
                and (limits := _fits(rule, values, everything, item))
                and (item not in _KINDS or _is_shown(item, values[-1], tried))
            ):
                remark = rule.remark(values, *limits)
                found = (measured, [*texts, *filter(None, [remark])])
                (remarked if remark else fits).append(found)
        # The same measure may be compared with another threshold, or of other slices.
        for (measure, told), (other, blame) in product(fits, blamed):
            if measure == other:
                return [f"One of two things is so. Either: {' '.join(told)} Or: {' '.join(blame)}"]
        if blamed or fits:
            return (blamed or fits)[0][1]
        blamed = remarked
    return blamed[0][1] if blamed else []


def _is_shown(item: str, sides: Sequence[int], tried: list[_Seen]) -> bool:
    """Whether trials show that NaN in another item of some sets hides a copy found without it."""
    return all(any(x.hides == (item, k) and item not in x.named for x in tried) for k in sides)


def _fits(
    rule: Rule, values: list[Any], seen: list[_Seen], item: str
) -> tuple[float, float] | None:
    """Return between which thresholds a score gives what was named, None if there are none.

    Two pairs that no threshold tells apart come first in `seen` then: they are likely to settle the
    next way as well.
    """
    low, high = -torch.inf, torch.inf
    lowest = highest = 0  # where these are found
    for place, (sets, named, *_) in enumerate(seen):
        score = rule.score(sets, *values)
        score = torch.inf if score != score else score
        if item in named and score > low:
            low, lowest = score, place
        elif item not in named and score < high:
            high, highest = score, place
        if low >= high:
            first = [seen.pop(k) for k in sorted({lowest, highest}, reverse=True)]
            seen[:0] = first
            return None
    return low, high


def _quoted(names: Sequence[str]) -> str:
    return enumerated(f'"{name}"' for name in names)
