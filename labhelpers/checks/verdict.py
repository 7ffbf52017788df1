"""Score the record of an answer and write the report, without running any of the answer's code."""

from __future__ import annotations

import builtins
import json
import re
from collections.abc import Collection, Mapping
from copy import copy
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from labhelpers.checks.cases import ERROR, Setting
from labhelpers.checks.comparison import Comparison, accepted_ways, first_difference
from labhelpers.checks.exercises import EXERCISES
from labhelpers.checks.fingerprint import describe, n_fractions
from labhelpers.checks.mistakes import known_mistakes
from labhelpers.checks.records import ErrorRecord, ItemTexts, Numbers, Record, Run, TableRecord
from labhelpers.checks.report import Item, Report, Table
from labhelpers.checks.trace import layer_table

__all__ = [
    "TEXTS_FILE",
    "VISIBLE_FILE",
    "best_comparison",
    "judge",
    "mistake_texts",
    "read_json",
    "read_runs",
    "told_by_items",
]

#: What `labhelpers expected` writes: the texts of the reports, and for the visible checks the
#: numbers of right answers and known mistakes.
TEXTS_FILE = Path(__file__).parent / "expected" / "texts.json"
VISIBLE_FILE = Path(__file__).parent / "expected" / "visible.json"

_MOST_LINES = 5  # of what an answer printed
_LINE_LENGTH = 200
# What PyTorch adds to some messages, which leads astray here.
_ADVICE = re.compile(r"\s+(Specify retain_graph=True|Hint: enable anomaly detection).*", re.DOTALL)


def judge(
    record: Record,
    numbers: Numbers,
    points: float = 1.0,
    quotes_values: bool = True,
    seen: Collection[str] = (),
    concepts: Mapping[str, str] = MappingProxyType({}),
) -> Report:
    """Judge an answer.

    Nothing counts unless the record shows work, see `Comparison.shows_work` and
    `mistakes.Match.shows_work`: all else could have been written down without an answer.

    Args:
        record: What `run_cases` returned, possibly after a passage through JSON.
        numbers: What right answers and known mistakes give in this exercise and series.
        points: Points for a right answer.
        quotes_values: Whether the report may quote inputs, numbers and messages. If not, it holds
            the items, the concept behind a known mistake, and likely causes only.
        seen: Mistakes that were recognised before; they get a clearer hint now.
        concepts: What each known mistake shows a gap in, by its id; for reports that quote nothing.
    """
    exercise, hidden = record["exercise"], record["series"] != 0
    name = EXERCISES[exercise].name
    items = read_json(TEXTS_FILE)["exercises"][exercise]["items"]
    if _is_untouched(record) and record["explanation"] is None:
        text = "Replace the raised error by your own code, run that cell, then this one again."
        todo = [("next", text)]
        return Report(exercise, name, "not attempted", 0.0, points, notes=todo, hidden=hidden)

    runs = read_runs(record)
    explanation = record["explanation"]
    uncalled = explanation.get("uncalled", []) if explanation else []
    best = best_comparison(exercise, runs, numbers, uncalled)
    right = best.is_right()
    explanation = None if right or not quotes_values else explanation
    alone = explanation is not None and explanation["alone"]
    matches = [] if right or alone else known_mistakes(items, numbers, runs)
    mistakes = tuple(match.mistake for match in matches)
    earned = float(points if right else min(round(points * best.share(), 2), points))
    counts = right or best.shows_work() or any(match.shows_work for match in matches)
    score = earned if counts else 0.0
    status = "right" if right else "partly" if score > 0 else "wrong"
    notes: list[tuple[str, str]] = []
    if explanation:
        notes += [(word, text) for word, text in explanation["notes"]]
    if not (right or alone):
        notes += _error_notes(best, quotes_values, explain=not (matches or explanation))
    # What is explained needs no likely cause and no table of layers, which would distract.
    explained = {item for item in items if any(match.explains(item) for match in matches)}
    explained |= {*explanation["items"]} if explanation else set()
    if quotes_values and not alone:
        told_items = told_by_items(items, best, explained)
        notes += [("wrong", text) for text in told_items.values()]
        explained |= told_items.keys()
    if quotes_values:
        told = {*explanation["items"]} if explanation else set()
        for match in matches:
            mistake, texts = match.mistake, mistake_texts(exercise, match.mistake)
            # A question adds nothing to a sentence that says why these items fail.
            if mistake in seen or not {item for item, _ in match.places} <= told | {ERROR}:
                notes.append(("hint", texts["hint" if mistake in seen else "nudge"]))
        notes += _output_notes(record)
    else:
        notes += [("concept", concepts[key]) for key in mistakes if key in concepts]
    shown = [_item(item, best, quotes_values, item not in explained, alone) for item in items]
    if earned > score:
        notes.append(("points", _no_points(shown, best)))
    table = None
    if explanation and explanation["table"]:
        table = _as_table(explanation["table"])
    elif quotes_values and not (right or matches or explanation):
        table = _first_layer_that_differs(best, numbers)
    return Report(exercise, name, status, score, points, shown, notes, table, mistakes, hidden)


def best_comparison(
    exercise: str, runs: list[Run], numbers: Numbers, uncalled: Collection[str] = ()
) -> Comparison:
    """Return the run of an answer that is worth most, beside the accepted way that it follows.

    Args:
        exercise: Id of the exercise.
        runs: What the answer did.
        numbers: What right answers give.
        uncalled: Functions that it is known to do without: of ways that are worth the same, the
            one that writes these out, and no others, is taken.
    """
    kind = EXERCISES[exercise]
    does_without = {way for name, way in zip(kind.losses, kind.written_out, strict=False)
                    if name in uncalled}  # fmt: skip
    items = read_json(TEXTS_FILE)["exercises"][exercise]["items"]
    comparisons = [
        (way, Comparison(items, run, expected, numbers["traces"]))
        for run in runs
        for way, expected in accepted_ways(numbers)
    ]

    def rank(way: str, one: Comparison) -> tuple[bool, float, int]:
        # What comes out the same without fixtures stands beside the numbers of losses written out.
        written = {*way.split(" + ")} & {*kind.written_out}
        fit = len(written) if one.fails_as(runs[0]) else 0
        return one.shows_work(), one.share(), -len(written ^ does_without) if uncalled else fit

    return max(comparisons, key=lambda pair: rank(*pair))[1]


def read_runs(record: Record) -> list[Run]:
    """Return the runs of a record, with what the items look at in place of what was observed."""
    exercise, setting = EXERCISES[record["exercise"]], Setting(record["series"])
    runs = [copy(run) for run in record["runs"]]
    for run in runs:
        run["observed"] = exercise.read(run["observed"], setting)
    return runs


def mistake_texts(exercise: str, mistake: str) -> dict[str, str]:
    """Return the `nudge` and the `hint` of a known mistake."""
    return read_json(TEXTS_FILE)["exercises"][exercise]["mistakes"][mistake]


@lru_cache
def read_json(path: Path) -> dict[str, Any]:
    """Read a file that `labhelpers expected` wrote, once."""
    return json.loads(path.read_text(encoding="utf-8"))


def _is_untouched(record: Record) -> bool:
    """Return True if nothing ever happened but the error of the empty exercise."""
    return all(
        {error["kind"] for error in run["errors"].values()} == {"not written"}
        and set(run["observed"]) <= {ERROR}
        for run in record["runs"]
    )


def told_by_items(
    items: Mapping[str, ItemTexts], best: Comparison, explained: Collection[str]
) -> dict[str, str]:
    """Return a sentence for each item that fails, has one, and is not explained by anything."""
    sentences = {}
    for name, texts in items.items():
        label = best.case_to_explain(name)
        if label is not None and "told" in texts and name not in explained:
            got = describe(best.observed(name, label))
            expected = describe(best.expected[name][label])
            pattern = texts.get("otherwise", {}).get(got, texts["told"])
            sentence = pattern.format(tried=label, got=got, expected=expected)
            if got.startswith(f"{expected}, "):  # all that was asked for, and something more
                sentence = f"{sentence.split(' Asked for: ')[0]} Asked for: {expected} as it is."
            sentences[name] = sentence
    return sentences


def _as_table(record: TableRecord) -> Table:
    rows = [tuple(row) for row in record["rows"]]
    return Table(record["name"], tuple(record["header"]), rows, record["note"])


def _item(name: str, best: Comparison, quotes_values: bool, likely: bool, alone: bool) -> Item:
    """Return an item of the report, with the case, the values and the likely cause if it fails.

    Where one explanation stands alone, what fails is open.
    """
    texts = best.items[name]
    label = best.case_to_explain(name)
    if label is None or alone:
        failed = not all(best.passes(name, label) for label in best.expected[name])
        counts = all(best.counts(name, label) for label in best.expected[name])
        is_open = failed or not counts
        return Item(name, texts["checks"], "open" if is_open else "right")
    if quotes_values and texts.get("each"):
        details = [(label, _case_in_words(name, label, best)) for label in best.expected[name]]
        return Item(name, texts["checks"], "wrong", details)
    details = []
    if quotes_values:
        expected, got = first_difference(
            best.expected[name][label], best.observed(name, label), best.run["tolerance"]
        )
        details = [("tried", label), *_told_apart(expected, got)]
    if likely and "likely" in texts:
        details.append(("likely", texts["likely"]))
    return Item(name, texts["checks"], "wrong", details)


def _no_points(shown: Collection[Item], best: Comparison) -> str:
    """Return why what is right is worth nothing: no number shows the work, see `shows_work`."""
    numeric = {x for x, cases in best.expected.items() if any(map(n_fractions, cases.values()))}
    if all(item.outcome == "open" for item in shown if item.name in numeric):
        return "No points yet: none of your numbers can be judged before the rest is right."
    text = "No points yet: too few of your numbers are right."
    if any(item.outcome == "right" for item in shown):
        text += " What else is right below counts once more of them are."
    return text


def _told_apart(expected: Any, got: Any) -> list[tuple[str, str]]:
    """Return both observations in words, with as many digits as show that they differ."""
    texts: list[str] = []
    for digits in (4, 5, 6):
        texts = [describe(observation, digits) for observation in (expected, got)]
        if texts[0] != texts[1]:
            break
    return list(zip(("expected", "got"), texts, strict=True))


def _case_in_words(name: str, label: str, best: Comparison) -> str:
    if best.passes(name, label):
        return "right"
    observed = best.observed(name, label)
    return observed[0] if isinstance(observed, list) and observed else "not judged"


def _first_layer_that_differs(best: Comparison, numbers: Numbers) -> Table | None:
    """Return the layers of a network down to the first that differs, in the first case that has."""
    for label, expected in numbers["traces"].items():
        trace = best.run["traces"].get(label)
        if trace and (table := layer_table(trace, expected, best.run["tolerance"])):
            return table
    return None


def _error_notes(best: Comparison, quotes_values: bool, explain: bool) -> list[tuple[str, str]]:
    """Return what stopped the code, each thing once, and what such an error usually means."""
    errors = best.run["errors"].values()
    # The same line stops in each case, with other sizes in its message: the first one will do.
    first: dict[tuple[str, str, str], ErrorRecord] = {}
    for error in errors:
        first.setdefault((error["kind"], error["type"], error["line"] or error["message"]), error)
    texts = dict.fromkeys(_error_text(error, quotes_values) for error in first.values())
    notes = [("stopped", text) for text in texts]
    if explain:
        notes += [("meaning", text) for text in dict.fromkeys(map(_meaning, errors)) if text]
    return notes


def _error_text(error: ErrorRecord, quotes_values: bool) -> str:
    if error["kind"] == "not written":
        text = "A part of the exercise is not written yet."
    elif error["kind"] == "too long":
        text = error["message"] if quotes_values else "It was stopped after a long time."
    elif quotes_values:
        text = f"{error['type']}: {_ADVICE.sub('', error['message'])}"
    else:  # a message, a name or a line of the student's own may tell sizes and values
        text = error["type"] if error["type"] in vars(builtins) else "an error"
    if not quotes_values:
        return text
    if error["line"] or error["kind"] == "too long" or error["type"] == "NameError":
        return f"{text}\n{error['line']}".strip()
    if error["type"] in ("TypeError", "AttributeError"):
        return f"The answer, or what it returns, is not of the kind that is asked for.\n({text})"
    return (
        "An error came up outside of your lines, where the check uses your answer or what it "
        f"returned.\n({text})"
    )


def _meaning(error: ErrorRecord) -> str:
    """Return what an error usually means, "" if the table of errors does not know it."""
    if error["kind"] != "exception":
        return ""
    text = f"{error['type']}: {error['message']}"
    known = read_json(TEXTS_FILE)["errors"]
    return next((entry["means"] for entry in known if re.search(entry["match"], text)), "")


def _output_notes(record: Record) -> list[tuple[str, str]]:
    """Return what the answer printed and warned of; neither costs points."""
    notes = [("warning", warning) for warning in record["warnings"]]
    if record["printed"].strip():
        lines = record["printed"].strip().splitlines()
        more = ["…"] if len(lines) > _MOST_LINES else []
        printed = [line[:_LINE_LENGTH] for line in lines[:_MOST_LINES]]
        notes.append(("printed", "\n".join(printed + more)))
    return notes
