"""The plain JSON values that the checks write down of an answer and compare with each other."""

from __future__ import annotations

from typing import Any, TypedDict, cast

__all__ = [
    "ErrorRecord",
    "ItemTexts",
    "LayerRecord",
    "MistakeNumbers",
    "Numbers",
    "Observed",
    "Record",
    "Run",
    "read_record",
]

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


class Record(TypedDict):
    """What an answer did; the verdict needs nothing else of it.

    Keys:
        exercise: Id of the exercise.
        series: Which series of cases was used; 0 is the visible check's.
        runs: One run or more; the best one counts.
        printed: What the answer wrote on stdout and stderr, shortened.
        warnings: The first few different warnings.
    """

    exercise: str
    series: int
    runs: list[Run]
    printed: str
    warnings: list[str]


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
    likely: str


class ItemTexts(_ItemTexts, total=False):
    """An item of a report, as in the table `items.yaml`.

    Keys:
        checks: What a right answer does, in a sentence.
        weight: Its part of the points, relative to the other items.
        likely: The likely cause if it fails.
        needs: Items without which this one has no meaning; may be absent.
    """

    needs: list[str]


def read_record(value: object) -> Record:
    """Return what an answer did."""
    return cast(Record, value)
