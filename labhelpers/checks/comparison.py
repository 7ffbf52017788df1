"""Compare what an answer did with what right answers do, item by item and case by case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from labhelpers.checks.cases import PROOF
from labhelpers.checks.fingerprint import n_fractions, same
from labhelpers.checks.records import ItemTexts, LayerRecord, Numbers, Observed, Run
from labhelpers.checks.trace import matching_layers

__all__ = ["Comparison", "accepted_ways", "first_difference", "with_replacements"]


def accepted_ways(numbers: Numbers) -> Iterator[tuple[str, Observed]]:
    """Yield the name of each accepted way to answer, "" for the reference, and what it gives."""
    yield "", numbers["reference"]
    for name, replacements in numbers["accepted"].items():
        yield name, with_replacements(numbers["reference"], replacements)


def with_replacements(reference: Observed, replacements: Observed) -> Observed:
    """Return observations with some replaced or added; None takes one away."""
    result = {item: dict(cases) for item, cases in reference.items()}
    for item, cases in replacements.items():
        result.setdefault(item, {}).update(cases)
    return {
        item: {label: value for label, value in cases.items() if value is not None}
        for item, cases in result.items()
    }


@dataclass(frozen=True)
class Comparison:
    """One run of an answer beside one accepted way to answer.

    Attributes:
        items: The items of the exercise, as in the table of items.
        run: One of the runs of the answer's record.
        expected: What the accepted way gives.
        traces: The layers that the reference solution runs through.
    """

    items: Mapping[str, ItemTexts]
    run: Run
    expected: Observed
    traces: Mapping[str, list[LayerRecord]] = field(default_factory=dict)

    def observed(self, name: str, label: str) -> Any:
        """Return the observation of an item in a case, None if there is none."""
        return self.run["observed"].get(name, {}).get(label)

    def passes(self, name: str, label: str) -> bool:
        """Return True if an item is right in a case, or in all if it has no such case."""
        cases = self.expected[name]
        labels = [label] if label in cases else list(cases)
        return all(
            same(self.observed(name, one), cases[one], self.run["tolerance"]) for one in labels
        )

    def counts(self, name: str, label: str) -> bool:
        """Return True if all that an item needs is right in a case."""
        return all(self.passes(other, label) for other in self.items[name].get("needs", ()))

    def credit(self, name: str) -> float:
        """Return the share of its cases in which an item is right and counts."""
        labels = self.expected[name]
        return sum(self.passes(name, x) and self.counts(name, x) for x in labels) / len(labels)

    def share(self) -> float:
        """Return the share of the points that the run is worth."""
        weights = {name: item["weight"] for name, item in self.items.items()}
        earned = sum(weight * self.credit(name) for name, weight in weights.items())
        return earned / sum(weights.values())

    def shows_work(self) -> bool:
        """Return True if the run holds something right that nobody has without computing it.

        That is two observations with numbers that are not whole, or one with three of them (one or
        two can be met by luck); a proof that a probe asks for; or what arrives at the first half of
        the layers of a network. All else that items look at, such as shapes, words and truth
        values, can be written down without an answer.
        """
        right = [
            (name, value)
            for name, cases in self.expected.items()
            for label, value in cases.items()
            if same(self.observed(name, label), value, self.run["tolerance"])
        ]
        sizes = [n for name, value in right if name in self.items and (n := n_fractions(value))]
        if len(sizes) > 1 or sum(sizes) > 2 or any(name.startswith(PROOF) for name, _ in right):
            return True
        return any(
            2 * matching_layers(self.run["traces"].get(label, []), layers, self.run["tolerance"])
            >= len(layers)
            for label, layers in self.traces.items()
        )

    def is_right(self) -> bool:
        """Return True if every item is right in every case."""
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
        """Return True if an item fails for a reason of its own.

        It does if all that it needs is right, or has this case, too, and was not observed in it
        while the item itself was.
        """
        if self.passes(name, label):
            return False
        failed_too = [x for x in self.items[name].get("needs", ()) if not self.passes(x, label)]
        seen = self.observed(name, label) is not None
        return not failed_too or (
            seen
            and all(
                label in self.expected[x] and self.observed(x, label) is None for x in failed_too
            )
        )

    def fails_as(self, other: Run) -> bool:
        """Return True if what fails came out the same in another run, with other losses."""
        seen = other["observed"]
        return self.run is not other and all(
            same(self.observed(name, label), seen.get(name, {}).get(label), self.run["tolerance"])
            for name, label in self.failures()
        )

    def case_to_explain(self, name: str) -> str | None:
        """Return the first case in which an item was seen to fail for a reason of its own."""
        for label in self.expected[name]:
            if self.observed(name, label) is not None and self._fails_by_itself(name, label):
                return label
        return None


def first_difference(expected: Any, got: Any, tolerance: float) -> tuple[Any, Any]:
    """Go down to the first element that differs, in lists of tensors and texts."""
    both_lists = isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got)
    if both_lists and any(isinstance(element, (dict, list, str)) for element in expected):
        for one, other in zip(expected, got, strict=True):
            if not same(other, one, tolerance):
                return first_difference(one, other, tolerance)
    return expected, got
