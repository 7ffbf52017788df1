"""Make the verdict on an answer from the record of its probe, without running any of its code."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import Any

from labhelpers.checks.cases import ERROR
from labhelpers.checks.comparison import Comparison, accepted_ways, first_difference
from labhelpers.checks.fingerprint import tell
from labhelpers.checks.mistakes import known_mistakes
from labhelpers.checks.report import Item, Report, Table
from labhelpers.checks.trace import layer_table

__all__ = ["NUMBERS_FILES", "TEXTS_FILE", "text_of", "verdict"]

#: What the build step made: the texts of the reports, and for either variant of the probes the
#: numbers of right answers and known mistakes.
TEXTS_FILE = Path(__file__).parent / "expected" / "texts.json"
NUMBERS_FILES = {
    "visible": Path(__file__).parent / "expected" / "visible.json",
    "hidden": Path(__file__).parents[1] / "instructor" / "grading" / "hidden.json",
}


def verdict(
    exercise: str,
    record: dict[str, Any],
    points: float = 1.0,
    nudged: Collection[str] = (),
) -> Report:
    """Judge an answer.

    Args:
        exercise: Its id.
        record: What `probe` returned, possibly after a passage through JSON.
        points: Points for a right answer.
        nudged: Mistakes that were recognised before; seen again, they get a clearer hint.
    """
    items = _read(TEXTS_FILE)["exercises"][exercise]["items"]
    variant = record["variant"]
    hidden = variant == "hidden"
    if _is_untouched(record):
        text = "Replace the raised error by your own code, run that cell, then this one again."
        notes = [("next", text)]
        return Report(exercise, "not attempted", 0.0, points, notes=notes, variant=variant)

    numbers = _read(NUMBERS_FILES[variant])[exercise]
    best = max(
        (
            Comparison(items, run, way)
            for run in record["runs"]
            for _, way in accepted_ways(numbers)
        ),
        key=Comparison.share,
    )
    right = best.is_right()
    score = float(points if right else min(round(points * best.share(), 2), points))
    status = "right" if right else "partly" if score > 0 else "wrong"
    matches = [] if right else known_mistakes(items, numbers, record["runs"])
    mistakes = tuple(match.mistake for match in matches)
    notes = [] if right else _errors(best, hidden, explain=not matches)
    notes += [_hint(text_of(exercise, name), hidden, name in nudged) for name in mistakes]
    notes += _remarks(record)
    # A recognised mistake has its own hint; guesses and tables beside it would only distract.
    looked_at = [
        _item(name, best, hidden, guess=not any(match.explains(name) for match in matches))
        for name in items
    ]
    table = None if right or hidden or matches else _first_layer_that_differs(best, numbers)
    return Report(exercise, status, score, points, looked_at, notes, table, mistakes, variant)


def text_of(exercise: str, mistake: str) -> dict[str, str]:
    """Return the `nudge`, the `hint` and the `concept` of a known mistake."""
    return _read(TEXTS_FILE)["exercises"][exercise]["mistakes"][mistake]


@lru_cache
def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _is_untouched(record: dict[str, Any]) -> bool:
    """Tell whether nothing ever happened but the error of the empty exercise."""
    return all(
        {error["kind"] for error in run["errors"].values()} == {"not written"}
        and set(run["observed"]) <= {ERROR}
        for run in record["runs"]
    )


def _item(name: str, best: Comparison, hidden: bool, guess: bool) -> Item:
    entry = best.items[name]
    label = best.case_to_explain(name)
    if label is None:
        failed = not all(best.passes(name, label) for label in best.expected[name])
        is_open = failed or best.credit(name) == 0
        return Item(name, entry["checks"], "open" if is_open else "right")
    details = []
    if not hidden:
        expected, got = first_difference(
            best.expected[name][label], best.observed(name, label), best.run["tolerance"]
        )
        details = [("tried", label), ("expected", _told(expected)), ("got", _told(got))]
    if guess:
        details.append(("likely", entry["likely"]))
    return Item(name, entry["checks"], "wrong", details)


def _told(observation: Any) -> str:
    try:
        return tell(observation)
    except (KeyError, TypeError, ValueError):  # a record that was tampered with
        return "something unreadable"


def _hint(known: dict[str, str], hidden: bool, clearer: bool) -> tuple[str, str]:
    if hidden:
        return "concept", known["concept"]
    return "hint", known["hint" if clearer else "nudge"]


def _first_layer_that_differs(best: Comparison, numbers: dict[str, Any]) -> Table | None:
    """Return the layers of a network down to the first that differs, in the first case that has."""
    for label, expected in numbers["traces"].items():
        trace = best.run["traces"].get(label)
        if trace and (table := layer_table(trace, expected, best.run["tolerance"])):
            return table
    return None


def _errors(best: Comparison, hidden: bool, explain: bool) -> list[tuple[str, str]]:
    """Tell what stopped the code, each thing once, and what such an error usually means."""
    errors = best.run["errors"].values()
    notes = [("stopped", text) for text in dict.fromkeys(_error_text(e, hidden) for e in errors)]
    if explain:
        notes += [("meaning", text) for text in dict.fromkeys(map(_meaning, errors)) if text]
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


def _meaning(error: dict[str, str]) -> str:
    """Say what an error usually means, "" if the table of errors does not know it."""
    if error["kind"] != "exception":
        return ""
    text = f"{error['type']}: {error['message']}"
    known = (
        entry["means"] for entry in _read(TEXTS_FILE)["errors"] if re.search(entry["match"], text)
    )
    return next(known, "")


def _remarks(record: dict[str, Any]) -> list[tuple[str, str]]:
    """Tell what the answer printed and warned of; neither costs points."""
    remarks = [("warning", warning) for warning in record["warnings"]]
    if record["printed"].strip():
        lines = record["printed"].strip().splitlines()
        more = ["…"] if len(lines) > 5 else []
        remarks.append(("printed", "\n".join([line[:200] for line in lines[:5]] + more)))
    return remarks
