"""Compare what an answer did with what right answers do, item by item and case by case."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from labhelpers.checks.fingerprint import same

__all__ = ["Comparison", "Observed", "accepted_ways", "agrees", "changed", "first_difference"]

Observed = dict[str, dict[str, Any]]  # item -> case -> observation

_ABSENT = None  # what a list of changes says of an observation that is not made at all


def accepted_ways(numbers: dict[str, Any]) -> Iterator[tuple[str, Observed]]:
    """Yield the name of each accepted way to answer, "" for the reference, and what it gives."""
    yield "", numbers["reference"]
    for name, changes in numbers["accepted"].items():
        yield name, changed(numbers["reference"], changes)


def changed(reference: Observed, changes: Observed) -> Observed:
    """Apply a list of changes to observations; None takes one away."""
    result = {item: dict(cases) for item, cases in reference.items()}
    for item, cases in changes.items():
        result.setdefault(item, {}).update(cases)
    return {
        item: {label: seen for label, seen in cases.items() if seen is not _ABSENT}
        for item, cases in result.items()
    }


@dataclass(frozen=True)
class Comparison:
    """One run of an answer beside one accepted way to answer.

    Attributes:
        items: The items of the exercise, as in the table of items.
        run: One of the runs of the answer's record.
        expected: What the accepted way gives.
    """

    items: dict[str, Any]
    run: dict[str, Any]
    expected: Observed

    def observed(self, name: str, label: str) -> Any:
        """Return what was seen of an item in a case, None if nothing was."""
        return self.run["observed"].get(name, {}).get(label)

    def passes(self, name: str, label: str) -> bool:
        """Tell whether an item is right in a case, or in all if it has no such case."""
        cases = self.expected[name]
        labels = [label] if label in cases else list(cases)
        return all(
            agrees(self.observed(name, one), cases[one], self.run["tolerance"]) for one in labels
        )

    def counts(self, name: str, label: str) -> bool:
        """Tell whether all that an item needs is right in a case."""
        return all(self.passes(other, label) for other in self.items[name].get("needs", ()))

    def credit(self, name: str) -> float:
        """Return the share of its cases in which an item is right and counts."""
        labels = self.expected[name]
        return sum(self.passes(name, x) and self.counts(name, x) for x in labels) / len(labels)

    def share(self) -> float:
        """Return the share of the points that the run is worth."""
        weights = {name: entry["weight"] for name, entry in self.items.items()}
        earned = sum(weight * self.credit(name) for name, weight in weights.items())
        return earned / sum(weights.values())

    def is_right(self) -> bool:
        """Tell whether every item is right in every case."""
        return all(self.passes(name, label) for name in self.items for label in self.expected[name])

    def failures(self) -> list[tuple[str, str]]:
        """List items and cases that fail, without those that another failure explains."""
        return [
            (name, label)
            for name in self.items
            for label in self.expected[name]
            if self._fails_by_itself(name, label)
        ]

    def _fails_by_itself(self, name: str, label: str) -> bool:
        """Tell whether an item fails for a reason of its own.

        It does if all that it needs is right, or was not got to while the item itself was.
        """
        if self.passes(name, label):
            return False
        failed_too = [x for x in self.items[name].get("needs", ()) if not self.passes(x, label)]
        seen = self.observed(name, label) is not None
        return not failed_too or (seen and all(self.observed(x, label) is None for x in failed_too))

    def case_to_explain(self, name: str) -> str | None:
        """Return the first case in which an item was seen to fail for a reason of its own."""
        for label in self.expected[name]:
            if self.observed(name, label) is not None and self._fails_by_itself(name, label):
                return label
        return None


def agrees(observed: Any, expected: Any, tolerance: float) -> bool:
    """Tell whether an observation is the expected one, whatever kind of thing was observed."""
    try:
        return same(observed, expected, tolerance)
    except (ArithmeticError, KeyError, TypeError, ValueError):  # a record that was tampered with
        return False


def first_difference(expected: Any, got: Any, tolerance: float) -> tuple[Any, Any]:
    """Go down to the first element that differs, in lists of tensors and texts."""
    both_lists = isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got)
    if both_lists and any(isinstance(element, (dict, list, str)) for element in expected):
        for one, other in zip(expected, got, strict=True):
            if not agrees(other, one, tolerance):
                return first_difference(one, other, tolerance)
    return expected, got
