"""Sample submissions, graded by nbgrader: the model answer, the untouched notebook, parts."""

from collections.abc import Collection, Mapping
from pathlib import Path

import nbformat
import pandas as pd
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from nbgrader.converters import Autograde
from nbgrader.utils import is_solution

from labhelpers.instructor.course.nbgrader import (
    REPOSITORY,
    CourseError,
    assignments,
    convert,
    open_course,
)
from labhelpers.instructor.course.preprocessors import remove_markers

__all__ = [
    "MODEL",
    "UNTOUCHED",
    "autograde",
    "grade_samples",
    "hand_in",
    "read_scores",
    "total_scores",
]

MODEL = "model-answer"
UNTOUCHED = "untouched"


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
    name = f"{assignment}.ipynb"
    source = nbformat.read(root / "notebooks" / assignment / name, as_version=4)
    notebook = nbformat.read(root / "build" / "release" / assignment / name, as_version=4)
    answers = {
        _grade_id(cell): remove_markers(cell.source) for cell in source.cells if is_solution(cell)
    }
    sources = sources or {}
    solved = answers.keys() if solved is None else {*solved, *sources}
    if unknown := set(solved) - answers.keys():
        raise CourseError(
            f"{assignment!r} has no exercise {', '.join(sorted(unknown))}; "
            f"it has {', '.join(answers)}."
        )
    answers |= sources
    for cell in notebook.cells:
        if is_solution(cell) and _grade_id(cell) in solved:
            cell.source = answers[_grade_id(cell)]
    path = root / "build" / "submitted" / student / assignment / name
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def autograde(course: NbGraderAPI, student: str, assignment: str) -> None:
    """Grade one submission; what was graded of it before is replaced, manual scores stay.

    Raises:
        CourseError: If nbgrader cannot grade it; the message names the notebook and says why.
    """
    folder = Path(
        course.coursedir.format_path(course.coursedir.submitted_directory, student, assignment)
    )
    notebook = folder / f"{assignment}.ipynb"
    if not notebook.exists():
        found = ", ".join(sorted(path.name for path in folder.glob("*"))) or "nothing"
        raise CourseError(f"{student!r} handed in no {notebook.name}; {folder} holds {found}.")
    _refuse_unreadable(student, notebook)
    convert(course, Autograde, assignment, student)


def _refuse_unreadable(student: str, path: Path) -> None:
    """Raise with a plain reason where nbgrader would stop with a misleading one."""
    try:
        notebook = nbformat.read(path, as_version=4)
    except Exception as error:  # nbformat raises its own, JSON's, Unicode's and others
        raise CourseError(f"{student!r}: {path} is not a notebook ({error}).") from error
    ids = [_grade_id(cell) for cell in notebook.cells if _grade_id(cell)]
    if twice := sorted({grade_id for grade_id in ids if ids.count(grade_id) > 1}):
        raise CourseError(
            f"{student!r}: {path} holds more than one cell named {', '.join(twice)}, as happens "
            "when a graded cell is copied or split. Remove the copies and grade again."
        )


def _grade_id(cell: NotebookNode) -> str | None:
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def read_scores(course: NbGraderAPI) -> pd.DataFrame:
    """Return the gradebook's scores of all submissions.

    Returns:
        One row per student, assignment and graded cell (the index); columns `score`, `max_score`,
        `written` (whether a person grades the cell) and `needs_manual_grade`.
    """
    rows = []
    with Gradebook(course.coursedir.db_url, course.coursedir.course_id) as gradebook:
        for assignment in gradebook.assignments:
            for submission in assignment.submissions:
                for notebook in submission.notebooks:
                    rows += [
                        {
                            "student": submission.student.id,
                            "assignment": assignment.name,
                            "cell": grade.name,
                            "score": grade.score,
                            "max_score": grade.max_score,
                            "written": grade.cell_type == "markdown",
                            "needs_manual_grade": grade.needs_manual_grade,
                        }
                        for grade in notebook.grades
                    ]
    columns = ["student", "assignment", "cell", "score", "max_score", "written"]
    table = pd.DataFrame(rows, columns=[*columns, "needs_manual_grade"])
    return table.set_index(["student", "assignment", "cell"]).sort_index()


def total_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the sums over the automatically graded cells: `score` and `max_score`.

    Args:
        scores: What `read_scores` returned.

    Returns:
        One row per student and assignment (the index).
    """
    automatic = scores[~scores["written"]]
    return automatic.groupby(level=["student", "assignment"])[["score", "max_score"]].sum()


def grade_samples(root: Path = REPOSITORY) -> pd.DataFrame:
    """Hand in the model answer and the untouched notebook of every assignment, and grade them.

    The student version is there already (`release.build_student`).

    Returns:
        What `read_scores` returns, for these two.

    Raises:
        CourseError: If nbgrader cannot grade one of them.
    """
    course = open_course(root)
    for assignment in assignments(root):
        for student, solved in ((MODEL, None), (UNTOUCHED, ())):
            hand_in(student, assignment, solved, root)
            autograde(course, student, assignment)
    return read_scores(course).loc[[MODEL, UNTOUCHED]]
