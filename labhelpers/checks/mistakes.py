"""Recognise known mistakes by the numbers that they give.

The build step has made each known mistake in the reference solution and stored how the
observations change. An answer, however it is written, that shows the same changes has the same
mistake. One that shows more than these has another mistake beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from labhelpers.checks.cases import ERROR
from labhelpers.checks.comparison import (
    Comparison,
    Observed,
    accepted_ways,
    agrees,
)

__all__ = ["Match", "known_mistakes", "marks_of"]

_MOST = 2  # a student reads no more than that

_Cell = tuple[str, str]  # item and case


class Match(NamedTuple):
    """A known mistake all of whose marks were seen.

    Attributes:
        mistake: Its id.
        cells: Items and cases in which it shows.
        certain: Whether all agrees that tells it from mistakes with the same marks.
        consistent: Whether all clues agree. If the mistake explains only a part of what was seen,
            its marks may have come about in another way, and then clues usually differ.
    """

    mistake: str
    cells: frozenset[_Cell]
    certain: bool
    consistent: bool

    def explains(self, item: str) -> bool:
        """Tell whether the mistake is a reason for an item to fail."""
        return any(item == name for name, _ in self.cells)


def known_mistakes(
    items: dict[str, Any], numbers: dict[str, Any], runs: list[dict[str, Any]]
) -> list[Match]:
    """Return the known mistakes that an answer shows, at most two.

    Args:
        items: The items of the exercise, as in the table of items.
        numbers: What the build step stored for the exercise and variant.
        runs: The runs of the record of a wrong answer.

    Returns:
        The one mistake that explains all that was seen, else mistakes that explain different parts
        of it, the one that explains most first; nothing if none does or if it is not sure which.
    """
    best: list[Match] = []
    explained = 0.0
    for run in runs:
        for way, expected in accepted_ways(numbers):
            failed = frozenset(marks_of(items, run, expected))
            found = _explain(failed, _matches(numbers["mistakes"], way, run))
            share = len(frozenset().union(*(match.cells for match in found))) / max(len(failed), 1)
            if share > explained:
                best, explained = found, share
    return best


def marks_of(items: dict[str, Any], run: dict[str, Any], expected: Observed) -> dict[_Cell, Any]:
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


def _matches(mistakes: dict[str, Any], way: str, run: dict[str, Any]) -> Iterator[Match]:
    for name, by_way in mistakes.items():
        for stored in by_way.get(way, ()):
            marks = _cells(stored["marks"])
            # Not having got to something is what all mistakes that stop the code have in common.
            tells = any(value is not None for value in marks.values())
            if tells and _all_seen(marks, run):
                certain, consistent = (
                    _all_seen(_cells(stored[key]), run) for key in ("differs", "clues")
                )
                yield Match(name, frozenset(marks), certain, consistent)


def _cells(observed: Observed) -> dict[_Cell, Any]:
    return {
        (item, label): value for item, cases in observed.items() for label, value in cases.items()
    }


def _all_seen(cells: dict[_Cell, Any], run: dict[str, Any]) -> bool:
    return all(
        agrees(run["observed"].get(item, {}).get(label), value, run["tolerance"])
        for (item, label), value in cells.items()
    )


def _explain(failed: frozenset[_Cell], matches: Iterable[Match]) -> list[Match]:
    """Choose the fewest mistakes that explain most, none of them a part of another."""
    chosen: list[Match] = []
    open_cells = failed
    matches = [match for match in matches if match.cells == failed or match.consistent]
    while len(chosen) < _MOST:
        matches = [match for match in matches if match.cells <= open_cells]
        if not matches:
            break
        cells = max((match.cells for match in matches), key=len)
        candidates = {m.mistake: m for m in matches if m.cells == cells and m.certain}
        if len(candidates) == 1:  # else nobody knows which it is
            chosen += candidates.values()
        open_cells -= cells
    return chosen
