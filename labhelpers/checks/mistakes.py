"""Recognise known mistakes by the numbers that they give.

`labhelpers expected` makes each known mistake in the reference solution and stores what is observed
then, in three parts:

- `marks`: the items that fail for a reason of their own, and the errors. An answer that shows all
  marks of a mistake has made it, however it is written.
- `differs`: what else tells the mistake from those that have the same marks.
- `clues`: observations in which right answers may differ, such as the order of optimizer steps.
  They are asked for only if a mistake explains a part of what was seen: the same marks can then
  come from something else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from labhelpers.checks.cases import ERROR
from labhelpers.checks.comparison import Comparison, accepted_ways
from labhelpers.checks.fingerprint import n_fractions, same
from labhelpers.checks.records import ItemTexts, MistakeNumbers, Numbers, Observed, Run

__all__ = ["Match", "known_mistakes", "marks_of"]

_MOST = 2  # a student reads no more than that

_Place = tuple[str, str]  # item and case


class Match(NamedTuple):
    """A known mistake all of whose marks were seen.

    Attributes:
        mistake: Its id.
        places: Items and cases in which it shows.
        certain: Whether all of `differs` was seen.
        consistent: Whether all clues were seen.
        shows_work: Whether a mark is a number that nobody has without computing it.
    """

    mistake: str
    places: frozenset[_Place]
    certain: bool
    consistent: bool
    shows_work: bool

    def explains(self, item: str) -> bool:
        """Return True if the mistake is a reason for an item to fail."""
        return any(item == name for name, _ in self.places)


def known_mistakes(
    items: Mapping[str, ItemTexts], numbers: Numbers, runs: list[Run]
) -> list[Match]:
    """Return the known mistakes that an answer shows, at most two.

    Args:
        items: The items of the exercise, as in the table of items.
        numbers: What is stored for the exercise and series.
        runs: The runs of the record of a wrong answer.

    Returns:
        The one mistake that explains all that was seen, else mistakes that explain different parts
        of it, the one that explains most first; nothing if none does or if two explain the same.
    """
    best: list[Match] = []
    explained = 0.0
    for run in runs:
        for way, expected in accepted_ways(numbers):
            failed = frozenset(marks_of(items, run, expected))
            found = _explain(failed, _matches(numbers["mistakes"], way, run))
            share = len(frozenset().union(*(match.places for match in found))) / max(len(failed), 1)
            if share > explained:
                best, explained = found, share
    return best


def marks_of(items: Mapping[str, ItemTexts], run: Run, expected: Observed) -> dict[_Place, Any]:
    """Return what shows that a run is wrong: items that fail for a reason of their own, and errors.

    Args:
        items: The items of the exercise.
        run: A run of a record.
        expected: What an accepted way to answer gives.

    Returns:
        Item and case, and what was observed there; None if nothing was.
    """
    observed = run["observed"]
    failures = Comparison(items, run, expected).failures()
    marks = {(item, label): observed.get(item, {}).get(label) for item, label in failures}
    return marks | {(ERROR, label): seen for label, seen in observed.get(ERROR, {}).items()}


def _matches(
    mistakes: dict[str, dict[str, list[MistakeNumbers]]], way: str, run: Run
) -> Iterator[Match]:
    """Yield the mistakes all of whose marks were seen, as made in one accepted way to answer."""
    for name, by_way in mistakes.items():
        for stored in by_way.get(way, ()):
            marks = _places(stored["marks"])
            # A mark of None (not reached) is shared by all mistakes that raise: it identifies none.
            identifies = any(value is not None for value in marks.values())
            if identifies and _all_seen(marks, run):
                certain = _all_seen(_places(stored["differs"]), run)
                consistent = _all_seen(_places(stored["clues"]), run)
                shows_work = any(map(n_fractions, marks.values()))
                yield Match(name, frozenset(marks), certain, consistent, shows_work)


def _places(observed: Observed) -> dict[_Place, Any]:
    return {
        (item, label): value for item, cases in observed.items() for label, value in cases.items()
    }


def _all_seen(places: dict[_Place, Any], run: Run) -> bool:
    return all(
        same(run["observed"].get(item, {}).get(label), value, run["tolerance"])
        for (item, label), value in places.items()
    )


def _explain(failed: frozenset[_Place], matches: Iterable[Match]) -> list[Match]:
    """Choose the fewest mistakes that explain most, none of them a part of another."""
    chosen: list[Match] = []
    unexplained = failed
    matches = [match for match in matches if match.places == failed or match.consistent]
    while len(chosen) < _MOST:
        matches = [match for match in matches if match.places <= unexplained]
        if not matches:
            break
        places = max((match.places for match in matches), key=len)
        candidates = {m.mistake: m for m in matches if m.places == places and m.certain}
        if len(candidates) == 1:  # several explain the same: none is named
            chosen += candidates.values()
        unexplained -= places
    return chosen
