"""Notebooks that harm their kernel come back with what came before."""

import json
import os

import nbformat
import psutil
import pytest
from checking import HIDDEN, solutions
from nbformat import v4

from labhelpers.checks.cases import public_part
from labhelpers.checks.handover import MIME_TYPE
from labhelpers.instructor.grading.kernels.execute import Job, execute, has_run
from labhelpers.instructor.grading.kernels.sandbox import Limits
from labhelpers.instructor.grading.verdicts import score_cell

SERIES, TOLD = HIDDEN, public_part(HIDDEN)
STEP = "def generator_step(generator, optimizer, criterion, real_t1, real_t2):\n    {}"
WORKS = "print('works')"


def run(*sources: str, **limits: float):
    """Execute cells; the second last one is an exercise and the last one its check."""
    sandboxed = os.environ.get("LABHELPERS_SANDBOX") != "off"
    job = Job("ann", "toy", with_check(*sources), SERIES, sandboxed, limits=Limits(**limits))
    executed = execute(job)
    return executed, nbformat.reads(executed.notebook, as_version=4).cells


def with_check(*sources: str, check: str = "check-generator-step") -> str:
    """A notebook of some cells and a check, as JSON."""
    cells = [v4.new_code_cell(source, id=f"c{k}") for k, source in enumerate(sources)]
    cells.append(v4.new_code_cell("0 / 0", id="check"))
    cells[-1].metadata["nbgrader"] = {
        "grade_id": check, "grade": True, "solution": False, "locked": True,
        "points": 4, "schema_version": 3, "task": False,
    }  # fmt: skip
    kernel = {"name": "python3", "display_name": "Python 3"}
    return nbformat.writes(v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}))


def records(cell):
    return [o.data[MIME_TYPE] for o in cell.outputs if MIME_TYPE in o.get("data", {})]


def test_a_check_hands_over_one_record_and_no_verdict():
    executed, cells = run(STEP.format("return (generator(real_t1) - real_t2).abs().mean()"))
    (record,) = records(cells[-1])
    assert record["exercise"] == "generator-step" and record["series"] == TOLD
    assert record["cell"] == "check-generator-step"
    assert record["visible"]["series"] == 0 and record["hidden"]["series"] == TOLD
    assert cells[-1].source == "0 / 0"  # what the notebook says there is not what runs
    shown = json.dumps(cells[-1].outputs)
    assert "points" not in shown and str(SERIES) not in shown
    assert executed.events == executed.flags == ()


@pytest.mark.parametrize(
    "before",
    [
        "from torch import *\nfrom numpy import *",
        "checks = labhelpers = score = min = float = print = display = None",
        "import io, sys\nsys.stdout = sys.stderr = io.StringIO()",
        "import sys\nsys.stderr.write('a warning')\nraise KeyError('own')",
        "import threading, time, sys\n"
        "def chat():\n    while True:\n        print('x', file=sys.stderr); time.sleep(0.01)\n"
        "threading.Thread(target=chat, daemon=True).start()",
    ],
)
def test_careless_cells_cost_nothing(before):
    executed, cells = run(before, STEP.format("return criterion(generator(real_t1), real_t2)"))
    (record,) = records(cells[-1])
    assert record["hidden"]["runs"][0]["observed"]["loss"]
    assert executed.flags == ()


def test_an_answer_that_is_missing_is_what_the_record_tells():
    _, cells = run("raise SystemExit")
    (record,) = records(cells[-1])
    (error, *_) = record["hidden"]["runs"][0]["errors"].values()
    assert error["message"].startswith("name 'generator_step' is not defined. The cell of the")
    assert error["line"] == ""  # else it would be the line that holds the series


@pytest.mark.parametrize(
    ("harm", "limits", "reason"),
    [
        ("import os; os._exit(3)", {}, 'ended in the cell number 2 ("import os; os._exit(3)"):'),
        ("import os; os.kill(os.getpid(), 9)", {}, "ended in the cell number 2"),
        ("import ctypes; ctypes.string_at(0)", {}, "ended in the cell number 2"),
        ("while True: print('x' * 10_000)", {"output_mb": 1}, "more than 1 MB of output"),
        ("print('x' * 5_000_000)", {"output_mb": 1}, "more than 1 MB of output"),
        (
            "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
            {"cell_seconds": 2},
            "did not stop when it was asked to",
        ),
    ],
)
def test_a_lost_kernel_costs_the_cells_from_there_on(harm, limits, reason):
    executed, cells = run(WORKS, harm, STEP.format("pass"), **limits)
    assert cells[0].outputs[0].text == "works\n"
    assert [has_run(cell) for cell in cells] == [True, False, False, False]
    assert cells[-1].outputs == []
    assert any(reason in flag for flag in executed.flags)


@pytest.mark.sandbox  # else no kernel is forked, and the check's imports take longer than the limit
def test_a_cell_without_end_is_stopped_and_the_next_one_runs():
    executed, cells = run("while True: pass", WORKS, STEP.format("pass"), cell_seconds=5)
    assert cells[1].outputs[0].text == "works\n"
    assert len(records(cells[-1])) == 1
    (event,) = executed.events
    assert 'number 1 ("while True: pass") was stopped' in event and executed.flags == ()


def test_the_time_of_the_whole_notebook_is_limited():
    executed, cells = run(*["import time; time.sleep(3)"] * 3, cell_seconds=60, notebook_seconds=4)
    assert records(cells[-1]) == []
    assert any("the time for the whole notebook was over" in flag for flag in executed.flags)


def test_many_short_cells_share_the_time_of_the_notebook():
    executed, cells = run(*["import time; time.sleep(0.8)"] * 12, notebook_seconds=3)
    assert sum(map(has_run, cells)) < 6
    assert any("the time for the whole notebook was over" in flag for flag in executed.flags)


FORGE = """
def send(kind, content):
    kernel = get_ipython().kernel
    kernel.session.send(kernel.iopub_socket, kind, content, parent=kernel.get_parent("shell"))
"""


@pytest.mark.parametrize(
    "message",
    [
        "send('execute_input', {'code': '1', 'execution_count': '<img src=x onerror=alert(1)>'})",
        "send('stream', {'name': 'stdout', 'text': 'a \\ud800 b'})",
        "send('stream', {'name': 'stdout', 'text': ['a', 5]})",
        "send('error', {'ename': 'E', 'evalue': 'e', 'traceback': 'abc'})",
        "send('display_data', {'data': [], 'metadata': {}})",
    ],
)
def test_forged_messages_leave_a_notebook_that_can_be_written(message, tmp_path):
    _, cells = run(FORGE + message, STEP.format("return criterion(generator(real_t1), real_t2)"))
    notebook = v4.new_notebook(cells=cells)
    nbformat.validate(notebook)
    nbformat.write(notebook, tmp_path / "graded.ipynb")
    assert len(records(cells[-1])) == 1


ENDLESS = """
import os, socket, struct
for number in range(3, 200):
    try:
        s = socket.socket(fileno=os.dup(number))
        if s.getsockname() == "/run/kernel-2" and s.getpeername() is not None:
            break
    except OSError:
        pass
s.setblocking(True)
frame = b"\\x03" + struct.pack(">Q", 1 << 20) + b"x" * (1 << 20)  # and more follows
for _ in range(2_000):
    s.sendall(frame)
"""


@pytest.mark.sandbox
def test_a_message_without_end_does_not_fill_the_grader():
    before = psutil.Process().memory_info().rss
    executed, _ = run(ENDLESS, WORKS, output_mb=5)
    assert psutil.Process().memory_info().rss - before < 1.2e9
    assert any("more than 5 MB of output" in flag for flag in executed.flags)


# The record that the solution gives on files of one's own: all that a kernel can know of them.
WITHOUT_THE_FILES = """
import labhelpers.checks.handover as handover

def run_cases(exercise, answer, series=0, *_, run=handover.run_cases, **__):
    return run(exercise, answer, series)

handover.run_cases = run_cases
"""
WAYS = [
    pytest.param({"forked": True}, id="forked", marks=pytest.mark.sandbox),
    pytest.param({"forked": False}, id="ordinary", marks=pytest.mark.sandbox),
    pytest.param({"sandboxed": False}, id="without a sandbox"),
]


def score_of(exercise: str, *sources: str, **way: bool):
    solution = solutions()[exercise]
    cells = (solution.preamble, solution.source, *sources)
    notebook = with_check(*cells, check=f"check-{exercise}")
    executed = execute(Job("ann", "toy", notebook, SERIES, **way))
    assert executed.events == ()
    cell = nbformat.reads(executed.notebook, as_version=4).cells[-1]
    assert str(SERIES) not in str(cell)
    return score_cell(cell, executed.series)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("without_mistakes")
def test_loaders_are_tried_on_files_that_only_the_grader_can_make(way):
    assert score_of("make-dataloaders", **way).score == 4
    assert score_of("make-dataloaders", WITHOUT_THE_FILES, **way).score == 0


@pytest.mark.sandbox
@pytest.mark.usefixtures("without_mistakes")
def test_audits_are_tried_on_files_that_only_the_grader_can_make():
    assert score_of("audit-split").score == 4
    assert score_of("audit-split", WITHOUT_THE_FILES).score == 0
