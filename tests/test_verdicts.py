"""One score per graded cell, from the one record that counts."""

import copy
import math

import pytest
from checking import load
from nbformat import v4

from labhelpers.checks.handover import MIME_TYPE, MOST_CHARACTERS
from labhelpers.checks.runner import run_cases
from labhelpers.instructor.grading.verdicts import score_cell

SERIES = 1_000_003
ID, CELL = "generator-step", "check-generator-step"


@pytest.fixture(scope="module")
def right():
    """The record of the reference solution."""
    answer = load(ID)
    return {
        "cell": CELL,
        "exercise": ID,
        "series": SERIES,
        "visible": run_cases(ID, answer),
        "hidden": run_cases(ID, answer, SERIES),
    }


def graded_cell(*outputs, grade_id=CELL, ran=True, points=3):
    cell = v4.new_code_cell("anything", outputs=list(outputs))
    cell.metadata["nbgrader"] = {"grade_id": grade_id, "grade": True, "points": points}
    cell.metadata["labhelpers"] = {"ran": ran}
    return cell


def display(record):
    return v4.new_output("display_data", data={MIME_TYPE: record})


def value(text):
    return v4.new_output("execute_result", data={"text/plain": text})


def word(text, name="stdout"):
    return v4.new_output("stream", name=name, text=text)


ERROR = v4.new_output("error", ename="KeyError", evalue="'own'", traceback=["…"])


def results(cell):
    return [o.data["text/plain"] for o in cell.outputs if o.output_type == "execute_result"]


def test_a_right_record_earns_all_points_and_nothing_else_stays(right):
    noise = [word("200 points"), word("oh", "stderr"), value("200.0"), ERROR]
    cell = graded_cell(*noise, display(right), *noise)
    trace = score_cell(cell, SERIES)
    assert (trace.score, trace.status, trace.flag) == (3.0, "right", "")
    assert results(cell) == ["3.0"]
    assert [output.output_type for output in cell.outputs] == [
        "display_data",
        "display_data",
        "execute_result",
    ]
    assert str(SERIES) not in str(cell.outputs)


def changed(**changes):
    return lambda record: [{**record, **changes}]


def without(key):
    return lambda record: [{k: v for k, v in record.items() if k != key}]


def deep(record):
    record = copy.deepcopy(record)
    record["hidden"]["printed"] = "x" * (MOST_CHARACTERS + 1)
    return [record]


@pytest.mark.parametrize(
    ("handed_over", "reason"),
    [
        (lambda record: [], "handed over no record"),
        (lambda record: [record, record], "2 records in place of one"),
        (changed(cell="check-mean-image"), "of another cell"),
        (changed(exercise="mean-image"), "of another exercise"),
        (changed(series=SERIES + 1), "of another run"),
        (changed(series=float(SERIES)), "of another run"),
        (changed(series=True), "of another run"),
        (changed(points=200), "malformed"),
        (without("visible"), "malformed"),
        (lambda record: [[record]], "malformed"),
        (lambda record: ["right"], "malformed"),
        (deep, "too large"),
        (changed(hidden=math.nan), "no plain JSON"),
        (lambda record: [{**record, "hidden": record["visible"]}], "of another exercise or run"),
    ],
)
def test_a_record_that_does_not_count_earns_nothing_and_is_flagged(right, handed_over, reason):
    cell = graded_cell(value("3.0"), *map(display, handed_over(right)))
    trace = score_cell(cell, SERIES)
    assert (trace.score, trace.status) == (0.0, "void")
    assert reason in trace.flag and trace.flag.startswith(CELL) and trace.flag.endswith(".")
    assert results(cell) == ["0.0"]
    assert "No points" in cell.outputs[0].text


def test_a_check_that_the_kernel_did_not_reach_is_told_so():
    cell = graded_cell(ran=False)
    trace = score_cell(cell, SERIES)
    assert (trace.score, trace.status, trace.flag) == (0.0, "not run", "")
    assert results(cell) == ["0.0"] and "Not run" in cell.outputs[0].text


@pytest.mark.parametrize(
    ("outputs", "score", "flagged"),
    [
        ([value("2.0")], 2.0, False),
        ([value("1")], 1.0, False),
        ([], 3.0, False),  # a test that only asserts
        ([word("careful", "stderr"), value("2.0")], 2.0, False),
        ([ERROR], 0.0, False),
        ([value("2.0"), ERROR], 0.0, False),
        ([value("np.float64(0.0)")], 0.0, True),
        ([value("tensor(0.)")], 0.0, True),
        ([value("False")], 0.0, True),
        ([value("-1")], 0.0, True),
        ([value("nan")], 0.0, True),
        ([value("inf")], 0.0, True),
        ([value("200")], 0.0, True),
    ],
)
def test_a_test_cell_without_a_record_counts_by_its_value(outputs, score, flagged):
    cell = graded_cell(*copy.deepcopy(outputs), grade_id="own-test")
    trace = score_cell(cell, SERIES)
    assert trace.score == score and bool(trace.flag) == flagged
    assert results(cell) == [repr(score)]
    assert not [o for o in cell.outputs if o.output_type == "error" or o.get("name") == "stderr"]


def test_a_test_cell_that_was_not_run_earns_nothing():
    assert score_cell(graded_cell(grade_id="own-test", ran=False), SERIES).score == 0.0
