"""Hand over to the grader what an answer did, without a word on whether it is right."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from IPython.display import publish_display_data

from labhelpers.checks.runner import run_cases

__all__ = ["MIME_TYPE", "MOST_CHARACTERS", "hand_over"]

#: Type of the output that carries a record; no front end shows it.
MIME_TYPE = "application/vnd.labhelpers.record+json"
#: Size of the largest record that the grader reads; the largest of an honest answer has a tenth.
MOST_CHARACTERS = 2_000_000

_WHY = "The cell of the exercise stopped with an error, or is missing: look at what it shows."


def hand_over(
    exercise_id: str, find: Callable[[], object], series: int, folder: str, cell: str
) -> None:
    """Run an answer on the visible cases and on those of a series, and display the record.

    The grader calls this in the place of a check: the verdict is made elsewhere, in a process that
    runs no student's code and has the right numbers for the series.

    Args:
        exercise_id: Id of the exercise, such as `"cgan-step"`.
        find: Returns the answer. If it raises, as where the answer's own cell has failed, the
            record tells that there is none.
        series: The public part of the series of cases that the grader has drawn.
        folder: Where the files of that series are which answers read, in a folder for each
            exercise.
        cell: Grade id of the check.
    """
    try:
        answer = find()
    except Exception as error:
        answer = _missing(f"{error}. {_WHY}")
    record = {
        "cell": cell,
        "exercise": exercise_id,
        "series": series,
        "visible": run_cases(exercise_id, answer),
        "hidden": run_cases(exercise_id, answer, series, folder=Path(folder, exercise_id)),
    }
    if len(json.dumps(record)) > MOST_CHARACTERS:
        raise ValueError(f"The record of {exercise_id} has more than {MOST_CHARACTERS} characters.")
    publish_display_data({MIME_TYPE: record, "text/plain": "record"})


def _missing(message: str) -> Callable[..., object]:
    def answer(*_: object, **__: object) -> object:
        raise NameError(message)  # in this module: no line of the grader's own cell is told

    return answer
