"""A small course of real exercises, and the hand-in of submissions that make trouble in it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.api import Gradebook

from labhelpers.instructor.course.nbgrader import copy_course, grade_id, open_course
from labhelpers.instructor.course.release import build_student
from labhelpers.instructor.course.samples import hand_in
from labhelpers.instructor.grading import ledger
from labhelpers.instructor.grading.autograde import autograde
from labhelpers.instructor.grading.intake.collect import collect

__all__ = [
    "ALL_POINTS",
    "ASSIGNMENT",
    "LOOKUP",
    "MEAN",
    "OTHER",
    "Graded",
    "Submission",
    "change_cell",
    "find",
    "grade",
    "graded_points",
    "submit",
    "write_small_course",
]

ASSIGNMENT = "1-data-exploration"
OTHER = "3-cgan"
MEAN, LOOKUP = "check-mean-image", "check-intensity-lookup"
ALL_POINTS = {MEAN: 2.0, LOOKUP: 2.0}

#: The named cells that stay in the small notebooks; besides these the first imports do.
_KEPT = {
    ASSIGNMENT: ["setup", "mean-image", MEAN, "intensity-lookup", LOOKUP, "written-lookup"],
    OTHER: ["setup", "cgan-generator-loss", "check-cgan-generator-loss", "written-cgan"],
}
_IMPORTS = """\
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F"""

#: Whatever runs for ever does so for seconds.
_SHORT = """
from labhelpers.instructor.grading.kernels.sandbox import Limits

c.ExecuteSubmission.limits = Limits(
    cell_seconds=15, notebook_seconds=60, memory_mb=3000, disk_mb=64, processes=50, output_mb=5
)
c.ExecuteSubmission.forked = True
"""


@dataclass(frozen=True)
class Submission:
    """A submission to the small course.

    Attributes:
        name: What it is called, also the student's id.
        does: What it does, or what happened to it, in a sentence.
        sources: Code handed in, by grade id; other exercises hold what `solved` says.
        solved: Grade ids that hold the reference solution; None for all of them.
        points: Points that it deserves, by check; checks that are missing here deserve none.
        flag: Whether a person has to look at it; None where the tests claim nothing.
        edit: Changes the notebook before it is written, in place.
        files: Changes the handed-in files: called with the path of the notebook and the course.
        collected: Whether `labhelpers collect` takes the files in; else they lie in `submitted/`.
    """

    name: str
    does: str
    sources: Mapping[str, str] = field(default_factory=dict)
    solved: tuple[str, ...] | None = None
    points: Mapping[str, float] = field(default_factory=dict)
    flag: bool | None = None
    edit: Callable[[NotebookNode], object] | None = None
    files: Callable[[Path, Path], object] | None = None
    collected: bool = False

    def __str__(self) -> str:
        return self.name


def write_small_course(root: Path) -> Path:
    """Make a course of two notebooks that hold a few exercises each, and release it."""
    copy_course(root, _KEPT)
    config = root / "nbgrader_config.py"
    config.write_text(config.read_text(encoding="utf-8") + _SHORT, encoding="utf-8")
    for assignment, kept in _KEPT.items():
        path = root / "notebooks" / assignment / f"{assignment}.ipynb"
        notebook = nbformat.read(path, as_version=4)
        imports = next(cell for cell in notebook.cells if cell.source.startswith("import "))
        imports.source = _IMPORTS
        notebook.cells = [
            cell
            for cell in notebook.cells
            if cell is imports
            or grade_id(cell) in kept
            or (cell.cell_type == "markdown" and cell.source.startswith("#"))
        ]
        nbformat.write(notebook, path)
    build_student(root)
    # One series for all: its numbers are worked out once.
    ledger.begin_run(open_course(root).coursedir.db_url, ASSIGNMENT)
    # What a submission must not find: a solved notebook of somebody else.
    hand_in("somebody-else", ASSIGNMENT, root=root)
    return root


def submit(submission: Submission, root: Path, mild: bool = False, **values: object) -> Path:
    """Hand a submission in.

    Args:
        submission: What to hand in.
        root: Folder of the small course.
        mild: Use the smaller amounts that the sources name for a run without a sandbox.
        values: Take the place of `<name>` in the sources, as `<root>` and `<student>` do.

    Returns:
        The folder.
    """
    values = {"root": root, "student": submission.name} | values
    sources = {name: _filled(text, mild, values) for name, text in submission.sources.items()}
    solved = submission.solved
    if solved is not None:
        solved = [name for name in solved if name not in sources]
    folder = root / "build" / "submitted" / submission.name / ASSIGNMENT
    shutil.rmtree(folder.parent, ignore_errors=True)
    path = hand_in(submission.name, ASSIGNMENT, solved, root, sources)
    if submission.edit:
        notebook = nbformat.read(path, as_version=4)
        submission.edit(notebook)
        for cell in notebook.cells:
            cell.source = _filled(cell.source, mild, values)
        nbformat.write(notebook, path)
    if submission.files:
        submission.files(path, root)
    if submission.collected:
        inbox = root / "inbox" / submission.name
        shutil.rmtree(inbox, ignore_errors=True)
        shutil.move(folder.parent, inbox / submission.name)
        collect(inbox, ASSIGNMENT, root=root)
    return folder


def _filled(source: str, mild: bool, values: Mapping[str, object]) -> str:
    for name, value in values.items():
        source = source.replace(f"<{name}>", str(value))
    if mild:
        source = re.sub(r"= [\d_]+  # ([\d_]+) without a sandbox", r"= \1", source)
    return source


def find(notebook: NotebookNode, name: str) -> NotebookNode:
    """Return the cell of a grade id."""
    return next(cell for cell in notebook.cells if grade_id(cell) == name)


def change_cell(notebook: NotebookNode, name: str, old: str, new: str) -> None:
    """Replace a part of the source of a cell."""
    cell = find(notebook, name)
    assert old in cell.source, cell.source
    cell.source = cell.source.replace(old, new)


@dataclass(frozen=True)
class Graded:
    """What came of a submission.

    Attributes:
        points: The score of each check in the gradebook, as it counts.
        flags: Why a person has to look at it.
        repairs: What was repaired.
        notebook: The graded notebook.
    """

    points: Mapping[str, float]
    flags: list[str]
    repairs: list[str]
    notebook: NotebookNode


def grade(root: Path, student: str) -> Graded:
    """Grade a submission as nbgrader's own command does.

    Raises:
        CourseError: If it cannot be graded.
    """
    course = open_course(root)
    autograde(course, student, ASSIGNMENT)
    (trace,) = (
        trace
        for trace in ledger.read_traces(course.coursedir.db_url, ASSIGNMENT)
        if trace["student"] == student
    )
    path = root / "build" / "autograded" / student / ASSIGNMENT / f"{ASSIGNMENT}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    return Graded(graded_points(root, student), trace["flags"], trace["repairs"], notebook)


def graded_points(root: Path, student: str, assignment: str = ASSIGNMENT) -> dict[str, float]:
    """Return the score of each check in the gradebook, as it counts.

    Raises:
        MissingEntry: If the gradebook has no such submission.
    """
    course = open_course(root).coursedir
    with Gradebook(course.db_url, course.course_id) as gradebook:
        (notebook,) = gradebook.find_submission(assignment, student).notebooks
        return {
            grade.name: grade.score + (grade.extra_credit or 0)
            for grade in notebook.grades
            if grade.cell_type == "code" and not grade.needs_manual_grade
        }
