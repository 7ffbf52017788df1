"""Grade what was handed in through nbgrader, and read the scores of the gradebook."""

from pathlib import Path

import pandas as pd
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from nbgrader.converters import Autograde

from labhelpers.instructor.course.nbgrader import CourseError, convert

__all__ = ["autograde", "read_scores", "total_scores"]


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
    convert(course, Autograde, assignment, student)


def read_scores(course: NbGraderAPI) -> pd.DataFrame:
    """Return the gradebook's scores of all submissions.

    Returns:
        One row per student, assignment and graded cell (the index); columns `score`, `max_score`,
        `written` (whether a person grades the cell), `needs_manual_grade` and `manual_score` (what
        a person gave, NaN for nothing).
    """
    with Gradebook(course.coursedir.db_url, course.coursedir.course_id) as gradebook:
        scores = {
            (submission.student.id, assignment.name, grade.name): (
                grade.score,
                grade.max_score,
                grade.cell_type == "markdown",
                grade.needs_manual_grade,
                grade.manual_score,
            )
            for assignment in gradebook.assignments
            for submission in assignment.submissions
            for notebook in submission.notebooks
            for grade in notebook.grades
        }
    index = pd.MultiIndex.from_tuples(scores, names=["student", "assignment", "cell"])
    columns = ["score", "max_score", "written", "needs_manual_grade", "manual_score"]
    return pd.DataFrame([*scores.values()], index, columns).sort_index()


def total_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the sums over the automatically graded cells: `score` and `max_score`.

    Args:
        scores: What `read_scores` returned.

    Returns:
        One row per student and assignment (the index).
    """
    automatic = scores[~scores["written"]]
    return automatic.groupby(level=["student", "assignment"])[["score", "max_score"]].sum()
