"""What hostile submissions get: the points that they deserve, no data, and always a score."""

import nbformat
import pytest
from nbgrader.preprocessors import Execute
from nbgrader.utils import determine_grade, is_grade
from submissions import (
    ASSIGNMENT,
    submit,
)
from submissions.hostile import HOSTILE, LEAKED

BY_NAME = {submission.name: submission for submission in HOSTILE}

#: Attacks that get points where the verdict is made in the kernel of the student.
REAL = [
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


def test_there_are_many_kinds():
    assert len(BY_NAME) == len(HOSTILE) >= 74
    assert all(LEAKED not in text for one in HOSTILE for text in one.sources.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_the_attack_works_where_the_kernel_makes_the_verdict(small_course, tmp_path, name):
    """nbgrader's own way: the check runs as it is written, its value is the score."""
    path = submit(BY_NAME[name], small_course, mild=True) / f"{ASSIGNMENT}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    Execute(timeout=60).preprocess(notebook, resources)
    scores = [determine_grade(cell, None)[0] for cell in notebook.cells if is_grade(cell)]
    deserved = sum(BY_NAME[name].points.values())
    assert sum(score or 0.0 for score in scores) > deserved
