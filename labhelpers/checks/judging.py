"""Make the verdict on an answer from the record of its probe, without running any of its code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from labhelpers.checks.numbers import same, tell
from labhelpers.checks.report import Item, Report

__all__ = ["EXPECTED_FILE", "Observed", "changed", "verdict"]

#: Items, and the numbers of right answers and known mistakes; made by the build step.
EXPECTED_FILE = Path(__file__).with_name("expected.json")

Observed = dict[str, dict[str, Any]]  # item -> case -> observation

_ABSENT = None  # what a list of changes says of an observation that is not made at all


def verdict(exercise: str, record: dict[str, Any], points: float = 1.0, attempt: int = 1) -> Report:
    """Judge an answer.

    Args:
        exercise: Its id.
        record: What `probe` returned, possibly after a passage through JSON.
        points: Points for a right answer.
        attempt: How often the answer has failed so far, this time included; known mistakes get a
            clearer hint from the second time on.
    """
    expected = _expected()[exercise]
    variant = record["variant"]
    hidden = variant == "hidden"
    if _is_untouched(record):
        text = "Replace the raised error by your own code, run that cell, then this one again."
        notes = [("next", text)]
        return Report(exercise, "not attempted", 0.0, points, notes=notes, variant=variant)

    numbers = expected[variant]
    best = max(
        (
            _Comparison(expected["items"], run, accepted)
            for run in record["runs"]
            for accepted in _accepted(numbers)
        ),
        key=_Comparison.share,
    )
    right = best.is_right()
    score = float(points if right else min(round(points * best.share(), 2), points))
    status = "right" if right else "partly" if score > 0 else "wrong"
    mistake = None if right else _known_mistake(numbers, record["runs"])
    notes = [] if right else _failure_notes(best, hidden)
    if mistake:
        notes.append(_hint(expected["mistakes"][mistake], hidden, attempt))
    notes += _remarks(record)
    # A recognised mistake has its own hint; guesses beside it would only distract.
    items = [_item(name, best, hidden, guess=mistake is None) for name in expected["items"]]
    return Report(exercise, status, score, points, items, notes, mistake, variant)


@lru_cache(maxsize=1)
def _expected() -> dict[str, Any]:
    return json.loads(EXPECTED_FILE.read_text(encoding="utf-8"))


def _is_untouched(record: dict[str, Any]) -> bool:
    """Tell whether nothing ever happened but the error of the empty exercise."""
    return all(
        not run["observed"]
        and {error["kind"] for error in run["errors"].values()} == {"not written"}
        for run in record["runs"]
    )


def _accepted(numbers: dict[str, Any]) -> Iterator[Observed]:
    """Yield what each accepted way to answer gives."""
    yield numbers["reference"]
    for changes in numbers["accepted"].values():
        yield changed(numbers["reference"], changes)


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
class _Comparison:
    """One run of an answer beside one accepted way to answer."""

    items: dict[str, Any]
    run: dict[str, Any]
    expected: Observed

    def observed(self, name: str, label: str) -> Any:
        return self.run["observed"].get(name, {}).get(label)

    def passes(self, name: str, label: str) -> bool:
        """Tell whether an item is right in a case, or in all if it has no such case."""
        cases = self.expected[name]
        labels = [label] if label in cases else list(cases)
        return all(
            _agrees(self.observed(name, one), cases[one], self.run["tolerance"]) for one in labels
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
        return all(self.passes(name, label) for name in self.items for label in self.expected[name])

    def case_to_explain(self, name: str) -> str | None:
        """Return the first case in which an item fails for a reason of its own."""
        for label in self.expected[name]:
            if self.passes(name, label) or self.observed(name, label) is None:
                continue
            needs = self.items[name].get("needs", ())
            failed_too = [x for x in needs if not self.passes(x, label)]
            if all(self.observed(x, label) is None for x in failed_too):
                return label
        return None


def _agrees(observed: Any, expected: Any, tolerance: float) -> bool:
    try:
        return same(observed, expected, tolerance)
    except (ArithmeticError, KeyError, TypeError, ValueError):  # a record that was tampered with
        return False


def _known_mistake(numbers: dict[str, Any], runs: list[dict[str, Any]]) -> str | None:
    """Return the known mistake that gives exactly what was observed."""
    for name, changes in numbers["mistakes"].items():
        expected = changed(numbers["reference"], changes)
        for run in runs:
            observed = {item: run["observed"].get(item, {}) for item in expected}
            if all(
                observed[item].keys() == cases.keys()
                and all(_agrees(observed[item][x], cases[x], run["tolerance"]) for x in cases)
                for item, cases in expected.items()
            ):
                return name
    return None


def _item(name: str, best: _Comparison, hidden: bool, guess: bool) -> Item:
    entry = best.items[name]
    label = best.case_to_explain(name)
    if label is None:
        failed = not all(best.passes(name, label) for label in best.expected[name])
        is_open = failed or best.credit(name) == 0
        return Item(name, entry["checks"], "open" if is_open else "right")
    details = []
    if not hidden:
        expected, got = _first_difference(
            best.expected[name][label], best.observed(name, label), best.run["tolerance"]
        )
        details = [("tried", label), ("expected", _told(expected)), ("got", _told(got))]
    if guess:
        details.append(("likely", entry["likely"]))
    return Item(name, entry["checks"], "wrong", details)


def _first_difference(expected: Any, got: Any, tolerance: float) -> tuple[Any, Any]:
    """Go down to the first tensor that differs, in lists of tensors."""
    both_lists = isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got)
    if both_lists and any(isinstance(element, (dict, list)) for element in expected):
        for one, other in zip(expected, got, strict=True):
            if not _agrees(other, one, tolerance):
                return _first_difference(one, other, tolerance)
    return expected, got


def _told(observation: Any) -> str:
    try:
        return tell(observation)
    except (KeyError, TypeError, ValueError):  # a record that was tampered with
        return "something unreadable"


def _hint(known: dict[str, str], hidden: bool, attempt: int) -> tuple[str, str]:
    if hidden:
        return "concept", known["concept"]
    return "hint", known["nudge"] if attempt < 2 else known["hint"]


def _failure_notes(best: _Comparison, hidden: bool) -> list[tuple[str, str]]:
    """Tell what stopped the code, each thing once, and how the shapes changed in a network."""
    errors = best.run["errors"].values()
    notes = [("stopped", text) for text in dict.fromkeys(_error_text(e, hidden) for e in errors)]
    wrong_shape = "shape" in best.items and best.case_to_explain("shape") is not None
    if best.run["trace"] and not hidden and (errors or wrong_shape):
        steps = [f"{number:2} {step}" for number, step in enumerate(best.run["trace"], start=1)]
        notes.append(("layers", "\n".join(steps)))
    return notes


def _error_text(error: dict[str, str], hidden: bool) -> str:
    if error["kind"] == "not written":
        text = "A part of the exercise is not written yet."
    elif error["kind"] == "too long":
        text = error["message"]
    else:
        # Messages quote sizes and values, which hidden probes keep to themselves.
        text = error["type"] if hidden else f"{error['type']}: {error['message']}"
    if error["line"] or error["kind"] == "too long":
        return f"{text}\n{error['line']}".strip()
    return f"The answer, or what it returns, is not of the kind that is asked for.\n({text})"


def _remarks(record: dict[str, Any]) -> list[tuple[str, str]]:
    """Tell what the answer printed and warned of; neither costs points."""
    remarks = [("warning", warning) for warning in record["warnings"]]
    if record["printed"].strip():
        lines = record["printed"].strip().splitlines()
        more = ["…"] if len(lines) > 5 else []
        remarks.append(("printed", "\n".join([line[:200] for line in lines[:5]] + more)))
    return remarks
