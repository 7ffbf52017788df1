"""What hostile submissions get: the points that they deserve, no data, and always a score."""

import json
import socket
from collections.abc import Iterator

import nbformat
import psutil
import pytest
from nbgrader.preprocessors import Execute
from nbgrader.utils import determine_grade, is_grade
from submissions import (
    ALL_POINTS,
    ASSIGNMENT,
    Submission,
    grade,
    submit,
)
from submissions.hostile import HOSTILE, LEAKED, RECORD

SUBMISSIONS = (HOSTILE, 2)  # of which without `--all-submissions` every second is graded
BY_NAME = {submission.name: submission for submission in HOSTILE}

#: Attacks that get points where the verdict is made in the kernel of the student.
_ATTACKS = [
    "replaced-judge",
    "replaced-same",
    "replaced-tolerance",
    "image-with-the-stored-numbers",
    "display-hook",
    "formatter",
    "input-transformer",
    "replaced-run-cell",
    "skipped-checks",
    "record-from-the-stack",
]
ATTACKS = (_ATTACKS, 2)


@pytest.fixture
def port() -> Iterator[int]:
    """A port of this machine that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_there_are_many_kinds():
    assert len(BY_NAME) == len(HOSTILE) >= 74
    assert all(LEAKED not in text for one in HOSTILE for text in one.sources.values())


@pytest.mark.slow
def test_a_hostile_submission_gets_what_it_deserves(small_course, port, monkeypatch, submission):
    monkeypatch.setenv("LAB_SECRET", "of who grades")
    submit(submission, small_course, port=port)
    graded = grade(small_course, submission.name)
    assert graded.points == dict.fromkeys(ALL_POINTS, 0.0) | dict(submission.points)
    if submission.flag is not None:
        assert bool(graded.flags) is submission.flag, graded.flags
    shown = json.dumps([cell.get("outputs", []) for cell in graded.notebook.cells])
    assert LEAKED not in shown, shown[shown.index(LEAKED) :][:200]
    checks = [cell for cell in graded.notebook.cells if is_grade(cell)]
    assert RECORD not in json.dumps([cell.get("outputs", []) for cell in checks])
    assert len(shown) < 12_000_000
    left = [one for one in psutil.process_iter(["cmdline"]) if _left_by(submission, one)]
    for process in left:
        process.kill()
    assert not left


def _left_by(submission: Submission, process: psutil.Process) -> bool:
    return f"left-by-{submission.name}" in (process.info["cmdline"] or ())


@pytest.mark.slow
def test_the_attack_works_where_the_kernel_makes_the_verdict(small_course, tmp_path, attack):
    """nbgrader's own way: the check runs as it is written, its value is the score."""
    path = submit(BY_NAME[attack], small_course, mild=True) / f"{ASSIGNMENT}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    Execute(timeout=60).preprocess(notebook, resources)
    scores = [determine_grade(cell, None)[0] for cell in notebook.cells if is_grade(cell)]
    deserved = sum(BY_NAME[attack].points.values())
    assert sum(score or 0.0 for score in scores) > deserved
