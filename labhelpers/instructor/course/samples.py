"""Create sample submissions: the model answer, the untouched notebook, one with parts solved."""

from collections.abc import Collection, Mapping
from pathlib import Path

import nbformat
import pandas as pd
from nbgrader.utils import is_solution

from labhelpers.instructor.course.nbgrader import (
    REPOSITORY,
    CourseError,
    assignments,
    grade_id,
    open_course,
)
from labhelpers.instructor.course.preprocessors import remove_markers
from labhelpers.instructor.grading.autograde import autograde, read_scores
from labhelpers.instructor.grading.kernels.sandbox import sandbox_problem

__all__ = [
    "MODEL",
    "SAMPLES",
    "UNTOUCHED",
    "grade_samples",
    "hand_in",
]

MODEL = "model-answer"
UNTOUCHED = "untouched"
SAMPLES = frozenset({MODEL, UNTOUCHED})
"""Names of the samples in the gradebook; no page on a class counts them."""


def hand_in(
    student: str,
    assignment: str,
    solved: Collection[str] | None = None,
    root: Path = REPOSITORY,
    sources: Mapping[str, str] | None = None,
) -> Path:
    """Submit a released notebook, with some exercises replaced by the reference solution.

    Args:
        student: Name in the gradebook.
        assignment: Name of the assignment; its student version is there already.
        solved: Grade ids of the exercises to solve, None for all, written questions included.
        root: Folder of the course.
        sources: Other code to hand in, by grade id; it takes the place of the reference solution.

    Returns:
        The submitted notebook.

    Raises:
        CourseError: If the notebook has no exercise of such a name.
    """
    file = f"{assignment}.ipynb"
    source = nbformat.read(root / "notebooks" / assignment / file, as_version=4)
    notebook = nbformat.read(root / "build" / "release" / assignment / file, as_version=4)
    answers = {
        name: remove_markers(cell.source)
        for cell in source.cells
        if is_solution(cell) and (name := grade_id(cell))
    }
    sources = dict(sources or {})
    to_answer = {*answers} if solved is None else {*solved, *sources}
    if unknown := to_answer - answers.keys():
        raise CourseError(
            f"{assignment!r} has no exercise {', '.join(sorted(unknown))}; "
            f"it has {', '.join(answers)}."
        )
    answers |= sources
    for cell in notebook.cells:
        if is_solution(cell) and (exercise := grade_id(cell)) in to_answer:
            cell.source = answers[exercise]
    path = root / "build" / "submitted" / student / assignment / file
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def grade_samples(root: Path = REPOSITORY) -> pd.DataFrame:
    """Hand in the model answer and the untouched notebook of every assignment, and grade them.

    The student version is there already (`release.build_student`). The samples are our own: they
    are graded without a sandbox where there is none.

    Returns:
        What `read_scores` returns, for these two.

    Raises:
        CourseError: If nbgrader cannot grade one of them.
    """
    course = open_course(root)
    course.config.ExecuteSubmission.sandboxed = sandbox_problem() is None
    for assignment in assignments(root):
        for student, solved in ((MODEL, None), (UNTOUCHED, ())):
            hand_in(student, assignment, solved, root)
            autograde(course, student, assignment)
    return read_scores(course).loc[[MODEL, UNTOUCHED]]
