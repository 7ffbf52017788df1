"""Give a graded cell its one score: from the record of an answer, or from a test cell's value."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output

from labhelpers.checks.cases import public_part
from labhelpers.checks.handover import MIME_TYPE, MOST_CHARACTERS
from labhelpers.checks.records import Record, read_record
from labhelpers.checks.report import Report
from labhelpers.checks.verdict import VISIBLE_FILE, judge, read_json
from labhelpers.instructor.authoring.edits import read_concepts
from labhelpers.instructor.course.nbgrader import grade_id
from labhelpers.instructor.grading.kernels.execute import checked_exercise, has_run
from labhelpers.instructor.grading.numbers import numbers_for
from labhelpers.session import display_data

__all__ = ["CellTrace", "score_cell"]


@dataclass(frozen=True)
class CellTrace:
    """How a graded cell came to its points.

    Attributes:
        cell: Its grade id.
        exercise: Id of the exercise, None for a test cell without a record.
        points: Points to earn.
        score: Points earned, from 0 to `points`.
        status: `"right"`, `"partly"`, `"wrong"` or `"not attempted"`; `"void"` if there was no
            record that counts, `"not run"` if the kernel had ended before.
        mistakes: Ids of the known mistakes that were recognised.
        failed: Names of the items that did not hold.
        flag: Why a person should look, `""` if there is no reason.
    """

    cell: str
    exercise: str | None
    points: float
    score: float
    status: str
    mistakes: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    flag: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)


class _VoidError(Exception):
    """There is no record that counts; the message says why, in a part of a sentence."""


def score_cell(cell: NotebookNode, series: int) -> CellTrace:
    """Leave exactly one score in a graded code cell that was executed.

    A check loses all its outputs: the reports, made here from its record, and the points take their
    place. Another test cell keeps what it displayed; its value counts if it is a number from 0 to
    its points, as in nbgrader, but what it wrote on stderr costs nothing.

    Args:
        cell: The cell, changed in place.
        series: Which series of cases the answer was tried on.
    """
    points = float(cell.metadata.nbgrader.points)
    exercise = checked_exercise(cell)
    if exercise is None:
        trace = _score_test(cell, points)
    else:
        trace = _score_check(cell, exercise, series, points)
    result = {"text/plain": repr(trace.score)}
    count = cell.get("execution_count")
    cell.outputs.append(new_output("execute_result", data=result, execution_count=count))
    return trace


def _score_check(cell: NotebookNode, exercise: str, series: int, points: float) -> CellTrace:
    name = grade_id(cell) or ""
    outputs, cell.outputs = cell.outputs, []
    try:
        record = _record(outputs, name, exercise, series)
        seen = _part(record["visible"], exercise, 0)
        visible = judge(seen, read_json(VISIBLE_FILE)[exercise], points)
        hidden = _judge_hidden(_part(record["hidden"], exercise, series), series, points)
    except (_VoidError, ValueError) as error:
        if not has_run(cell):
            text = "Not run: the kernel had ended before, or this check took too long."
            trace = CellTrace(name, exercise, points, 0.0, "not run")
        else:
            text = f"No points: {error}. Ask your instructor to look at this."
            flag = f"{name}: {error}."
            trace = CellTrace(name, exercise, points, 0.0, "void", flag=flag)
        cell.outputs.append(new_output("stream", name="stdout", text=text))
        return trace
    cell.outputs += [
        new_output("display_data", **display_data(*report.output)) for report in (visible, hidden)
    ]
    worse = min(visible, hidden, key=lambda report: report.score)
    return CellTrace(
        name,
        exercise,
        points,
        min(max(float(worse.score), 0.0), points),
        worse.status,
        tuple(dict.fromkeys((*hidden.mistakes, *visible.mistakes))),
        tuple(item.name for item in worse.items if item.outcome != "right"),
    )


def _record(outputs: list[NotebookNode], cell: str, exercise: str, series: int) -> dict[str, Any]:
    """Return the one record among the outputs of a check.

    Raises:
        _VoidError: If there is none, or more than one, or it is not this check's.
    """
    records = [output.data[MIME_TYPE] for output in outputs if MIME_TYPE in output.get("data", {})]
    if not records:
        errors = [f" ({o.ename})" for o in outputs if o.output_type == "error"]
        raise _VoidError(f"the check handed over no record{''.join(errors[:1])}")
    if len(records) > 1:
        raise _VoidError(f"the check handed over {len(records)} records in place of one")
    (record,) = records
    try:
        size = len(json.dumps(record, allow_nan=False))
    except (ValueError, RecursionError):
        raise _VoidError("the record is no plain JSON") from None
    if size > MOST_CHARACTERS:
        raise _VoidError(f"the record is too large ({size:,} characters)")
    expected = {"cell": cell, "exercise": exercise, "series": public_part(series)}
    if not isinstance(record, dict) or record.keys() != {*expected, "visible", "hidden"}:
        raise _VoidError("the record is malformed")
    for key, value in expected.items():
        if type(record[key]) is not type(value) or record[key] != value:
            raise _VoidError(f"the record is of another {'run' if key == 'series' else key}")
    return record


def _part(value: object, exercise: str, series: int) -> Record:
    """Return what an answer did on one series of cases, of which it names the public part.

    Raises:
        ValueError: If it is no record, or one of another exercise or series.
    """
    record = read_record(value)
    if (record["exercise"], record["series"]) != (exercise, public_part(series)):
        raise ValueError("the record is of another exercise or run")
    record["series"] = series
    return record


def _judge_hidden(record: Record, series: int, points: float) -> Report:
    """Judge on the run's series; known mistakes are worked out only if there is one to name."""
    exercise = record["exercise"]
    for mistakes in (False, True):
        numbers = numbers_for(exercise, series, mistakes)
        concepts = read_concepts(exercise)
        report = judge(record, numbers, points, quotes_values=False, concepts=concepts)
        if report.status in ("right", "not attempted"):
            break
    return report


def _score_test(cell: NotebookNode, points: float) -> CellTrace:
    """Score a test cell without a record by its value, which stands for itself afterwards."""
    name = grade_id(cell) or ""
    values = [
        o.data.get("text/plain", "") for o in cell.outputs if o.output_type == "execute_result"
    ]
    failed = any(output.output_type == "error" for output in cell.outputs)
    cell.outputs = [o for o in cell.outputs if o.output_type not in ("execute_result", "error")] + [
        # nbgrader gives no points for an error; as a text it lets our score count.
        new_output("stream", name="stdout", text=f"{o.ename}: {o.evalue}\n")
        for o in cell.outputs
        if o.output_type == "error"
    ]
    for output in cell.outputs:
        if output.output_type == "stream":
            output.name = "stdout"  # nbgrader gives no points for a word on stderr
    if not has_run(cell):
        return CellTrace(name, None, points, 0.0, "not run")
    if failed:
        return CellTrace(name, None, points, 0.0, "wrong")
    if not values:  # a test that only asserts
        return CellTrace(name, None, points, points, "right")
    try:
        score = float(values[-1])
    except ValueError:
        score = math.nan
    if not 0 <= score <= points:
        flag = f"{name}: its value is {values[-1][:60]!r}, no number from 0 to {points:g}."
        return CellTrace(name, None, points, 0.0, "void", flag=flag)
    return CellTrace(
        name, None, points, score, "right" if score == points else "partly" if score else "wrong"
    )
