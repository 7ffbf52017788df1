"""The plain JSON values that the checks write down of an answer and compare with each other."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any, TypedDict, cast

__all__ = [
    "MOST_LAYERS",
    "MOST_WARNINGS",
    "TOLERANCES",
    "ErrorRecord",
    "Explanation",
    "ItemTexts",
    "LayerRecord",
    "MistakeNumbers",
    "Numbers",
    "Observed",
    "Record",
    "Run",
    "TableRecord",
    "explained",
    "read_record",
]

#: Kinds of errors, see `ErrorRecord`.
_ERROR_KINDS = ("not written", "too long", "exception")
#: How far numbers may differ, in float64 and in float32: far more than rounding costs, far less
#: than a mistake changes.
TOLERANCES = (1e-4, 1e-3)
MOST_LAYERS = 200  # of a trace
MOST_WARNINGS = 3

# What honest records stay within by far.
_MOST_RUNS = 4  # with the student's losses and without, in float64 and in float32
_MOST_NAMES = 50  # items, cases, notes, columns
_MOST_ROWS = 200  # of a table
_MOST_ELEMENTS = 1_000  # of a list
_MOST_NUMBERS = 16
_MOST_AXES = 16
_DEPTH = 5  # of lists in lists
_NAME, _SHORT, _LONG = 100, 1_000, 3_000  # characters
_LARGEST = 2**63
_LARGEST_NUMBER = 1e300

_N_SUMMARY = 5  # numbers that stand for a large tensor, see `fingerprint.observe`
_NUMERIC = {"shape", "numbers", "range"}
_NO_TEXT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)
_ABSENT = object()

#: Item of the report -> label of the case -> observation, see `fingerprint.observe`.
Observed = dict[str, dict[str, Any]]


class ErrorRecord(TypedDict):
    """An error that stopped a case.

    Keys:
        kind: `"not written"` for an untouched exercise, `"too long"` for code that was stopped,
            `"exception"` for anything else.
        type: Name of the exception's class.
        message: Its text, shortened.
        line: The student's own line that failed (`"line 3 of f: …"`), `""` if there is none.
    """

    kind: str
    type: str
    message: str
    line: str


class _LayerRecord(TypedDict):
    layer: str
    input: list[int]
    output: list[int] | None


class LayerRecord(_LayerRecord, total=False):
    """A layer that a network ran through.

    Keys:
        layer: Kind and size, such as `"Conv2d 1→64, 4×4"`.
        input: Shape of what arrived.
        output: Shape of what left, None if the layer failed.
        values: What arrived, as an observation; absent if only shapes were written down.
    """

    values: Any


class Run(TypedDict):
    """What an answer did on all cases of its exercise.

    Keys:
        observed: What the items of the report look at.
        errors: The error of each case that was stopped, by label.
        traces: The layers of each case that has a network, by label.
        tolerance: How far numbers may differ from the expected ones, relative to the largest.
    """

    observed: Observed
    errors: dict[str, ErrorRecord]
    traces: dict[str, list[LayerRecord]]
    tolerance: float


class TableRecord(TypedDict):
    """A table of a report, see `report.Table`."""

    name: str
    header: list[str]
    rows: list[list[str]]
    note: str


class _Explanation(TypedDict):
    notes: list[list[str]]
    items: list[str]
    alone: bool
    table: TableRecord | None


class Explanation(_Explanation, total=False):
    """What is wrong with an answer, read off what it did; not a guess.

    Keys:
        notes: Pairs of a word and a text, in the order in which a student reads them.
        items: The items of the report that fail for this reason.
        alone: Whether nothing else is worth reading before this is mended.
        table: What the answer did beside what was asked for, None if words are enough.
        uncalled: Functions of earlier cells that the answer does without; absent if none.
    """

    uncalled: list[str]


def explained(
    sentences: Iterable[str], items: Iterable[str] = (), table: TableRecord | None = None
) -> Explanation | None:
    """Return the explanation that sentences make, None if there are none.

    Args:
        sentences: What is wrong.
        items: The items of the report that fail for this reason.
        table: What the answer did beside what was asked for.
    """
    notes = [["wrong", sentence] for sentence in sentences]
    if not notes:
        return None
    return Explanation(notes=notes, items=[*items], alone=False, table=table)


class Record(TypedDict):
    """What an answer did; the verdict needs nothing else of it.

    Keys:
        exercise: Id of the exercise.
        series: Which series of cases was used; 0 is the visible check's.
        runs: One run or more; the best one counts.
        printed: What the answer wrote on stdout and stderr, shortened.
        warnings: The first few different warnings.
        explanation: What is wrong with the answer, None if it is right, if that could not be read
            off, or in another series than the visible check's.
    """

    exercise: str
    series: int
    runs: list[Run]
    printed: str
    warnings: list[str]
    explanation: Explanation | None


class MistakeNumbers(TypedDict):
    """How a known mistake shows; `mistakes.py` explains the three words."""

    marks: Observed
    differs: Observed
    clues: Observed


class Numbers(TypedDict):
    """What right answers and known mistakes give in one exercise and series.

    Keys:
        reference: What the reference solution gives.
        traces: The layers that it runs through, by label of the case.
        accepted: What other right answers give where it differs, by name; None for an observation
            that they do not make.
        mistakes: Mistake -> accepted way in which it was made -> ways to make it.
    """

    reference: Observed
    traces: dict[str, list[LayerRecord]]
    accepted: dict[str, Observed]
    mistakes: dict[str, dict[str, list[MistakeNumbers]]]


class _ItemTexts(TypedDict):
    checks: str
    weight: float


class ItemTexts(_ItemTexts, total=False):
    """An item of a report, as in the table `items.yaml`.

    Keys:
        checks: What a right answer does, in a sentence.
        weight: Its part of the points, relative to the other items.
        likely: The likely cause if it fails; absent where what was seen says it.
        told: What was seen if it fails, in a sentence for the top of the report, with `{tried}`,
            `{got}` and `{expected}`; for items whose observations are words. May be absent.
        otherwise: Sentences in the place of `told`, by what was seen. May be absent.
        needs: Items without which this one has no meaning; may be absent.
        each: True if the report tells of all cases, and not only of the first that fails: then
            what is observed is a list that begins with a sentence for the reader. May be absent.
    """

    likely: str
    told: str
    otherwise: dict[str, str]
    needs: list[str]
    each: bool


def read_record(value: object) -> Record:
    """Return what an answer did, from what the process that ran it handed over.

    That process may hand over anything: nothing is taken for granted, and texts lose what is no
    text (control characters, halves of letters, marks that turn the direction of writing round).

    Args:
        value: What JSON was read to.

    Raises:
        ValueError: If it is no record of `runner.run_cases`; the message says what was expected.
    """
    fields = _fields(value, Record, "a record")
    series = fields["series"]
    if type(series) is not int or not 0 <= series < _LARGEST:
        raise ValueError("The series of a record is a whole number that is not negative.")
    runs = _list(fields["runs"], _MOST_RUNS, "the runs of a record")
    if not runs:
        raise ValueError("A record holds one run or more.")
    return Record(
        exercise=_text(fields["exercise"], _NAME, "the id of an exercise"),
        series=series,
        runs=[_read_run(run) for run in runs],
        printed=_text(fields["printed"], _LONG, "what an answer printed"),
        warnings=[
            _text(warning, _SHORT, "a warning")
            for warning in _list(fields["warnings"], MOST_WARNINGS, "the warnings")
        ],
        explanation=_read_explanation(fields["explanation"]),
    )


def _read_explanation(value: object) -> Explanation | None:
    if value is None:
        return None
    uncalled = value.get("uncalled", _ABSENT) if isinstance(value, dict) else _ABSENT
    rest = {k: v for k, v in value.items() if k != "uncalled"} if isinstance(value, dict) else value
    fields = _fields(rest, _Explanation, "an explanation")
    if type(fields["alone"]) is not bool:
        raise ValueError("Whether an explanation stands alone is true or false.")
    notes = [_texts(note, "a note") for note in _list(fields["notes"], _MOST_NAMES, "the notes")]
    if any(len(note) != 2 for note in notes):
        raise ValueError("A note is a pair of a word and a text.")
    items, table = _texts(fields["items"], "the items explained"), fields["table"]
    explanation = Explanation(
        notes=notes,
        items=items,
        alone=fields["alone"],
        table=None if table is None else _read_table(table),
    )
    if uncalled is not _ABSENT:
        explanation["uncalled"] = _texts(uncalled, "the functions that are not called")
    return explanation


def _read_table(value: object) -> TableRecord:
    fields = _fields(value, TableRecord, "a table")
    header = _texts(fields["header"], "the header of a table")
    rows = [
        _texts(row, "a row of a table")
        for row in _list(fields["rows"], _MOST_ROWS, "the rows of a table")
    ]
    if any(len(row) != len(header) for row in rows):
        raise ValueError("Each row of a table has as many columns as its header.")
    return TableRecord(
        name=_text(fields["name"], _NAME, "the name of a table"),
        header=header,
        rows=rows,
        note=_text(fields["note"], _SHORT, "the note of a table"),
    )


def _texts(value: object, what: str) -> list[str]:
    return [_text(text, _SHORT, what) for text in _list(value, _MOST_NAMES, what)]


def _read_run(value: object) -> Run:
    fields = _fields(value, Run, "a run")
    if type(fields["tolerance"]) is not float or fields["tolerance"] not in TOLERANCES:
        raise ValueError(f"The tolerance of a run is one of {', '.join(map(str, TOLERANCES))}.")
    observed = {
        name: {label: _read_observation(seen) for label, seen in _named(cases, "the cases")}
        for name, cases in _named(fields["observed"], "the observations")
    }
    errors = {label: _read_error(error) for label, error in _named(fields["errors"], "the errors")}
    traces = {
        label: [_read_layer(layer) for layer in _list(layers, MOST_LAYERS, "the layers of a case")]
        for label, layers in _named(fields["traces"], "the traces")
    }
    return Run(observed=observed, errors=errors, traces=traces, tolerance=fields["tolerance"])


def _read_error(value: object) -> ErrorRecord:
    fields = _fields(value, ErrorRecord, "an error")
    texts = {key: _text(text, _SHORT, f"the {key} of an error") for key, text in fields.items()}
    if texts["kind"] not in _ERROR_KINDS:
        raise ValueError(f"The kind of an error is one of {', '.join(_ERROR_KINDS)}.")
    return ErrorRecord(
        kind=texts["kind"], type=texts["type"], message=texts["message"], line=texts["line"]
    )


def _read_layer(value: object) -> LayerRecord:
    values = value.get("values", _ABSENT) if isinstance(value, dict) else _ABSENT
    rest = {k: v for k, v in value.items() if k != "values"} if isinstance(value, dict) else value
    fields = _fields(rest, _LayerRecord, "a layer")
    layer = LayerRecord(
        layer=_text(fields["layer"], _SHORT, "the name of a layer"),
        input=_shape(fields["input"]),
        output=None if fields["output"] is None else _shape(fields["output"]),
    )
    if values is not _ABSENT:
        layer["values"] = _read_observation(values)
    return layer


def _read_observation(value: object, depth: int = 0) -> Any:
    """Return what `fingerprint.observe` can have written down."""
    if isinstance(value, str):
        return _text(value, _SHORT, "an observation")
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return _number(value)
    if isinstance(value, list) and depth < _DEPTH:
        elements = _list(value, _MOST_ELEMENTS, "an observation")
        return [_read_observation(element, depth + 1) for element in elements]
    if isinstance(value, dict) and {"shape", "numbers"} <= value.keys() <= _NUMERIC:
        shape = _shape(value["shape"])
        numbers = [_number(x) for x in _list(value["numbers"], _MOST_NUMBERS, "the numbers")]
        ends = [_number(x) for x in _list(value.get("range", []), 2, "a range")]
        if len(numbers) != (_N_SUMMARY if ends else math.prod(shape)) or len(ends) == 1:
            raise ValueError("The numbers of an observation do not go with its shape.")
        return {"shape": shape, "numbers": numbers} | ({"range": ends} if ends else {})
    raise ValueError(
        "An observation is a text, a whole number, a truth value, a list of these, or numbers "
        f"with a shape; this one is a {type(value).__name__}."
    )


def _number(value: object) -> float | int | str:
    if value in ("nan", "inf", "-inf"):
        return value
    if type(value) in (int, float) and abs(cast(float, value)) < _LARGEST_NUMBER:
        return cast(float, value)
    raise ValueError("Expected a number of ordinary size, nan, inf or -inf.")


def _shape(value: object) -> list[int]:
    sizes = _list(value, _MOST_AXES, "a shape")
    if not all(type(size) is int and 0 <= size < _LARGEST for size in sizes):
        raise ValueError("A shape holds whole numbers that are not negative.")
    return sizes


def _fields(value: object, kind: type, what: str) -> dict[str, Any]:
    """Return the entries of a typed dictionary, none more and none less."""
    keys = kind.__annotations__.keys()
    if not isinstance(value, dict) or value.keys() != keys:
        raise ValueError(f"Expected {what} with the entries {', '.join(keys)}.")
    return value


def _named(value: object, what: str) -> Iterable[tuple[str, Any]]:
    """Return the entries of a dictionary by names that the probes can have given."""
    if not isinstance(value, dict) or len(value) > _MOST_NAMES:
        raise ValueError(f"Expected {what} by name, at most {_MOST_NAMES}.")
    return [(_text(name, _NAME, "a name"), entry) for name, entry in value.items()]


def _list(value: object, most: int, what: str) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(f"Expected {what} as a list of at most {most}.")
    return value


def _text(value: object, longest: int, what: str) -> str:
    if not isinstance(value, str) or len(value) > longest:
        raise ValueError(f"Expected {what} as a text of at most {longest} characters.")
    return _NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", value)
