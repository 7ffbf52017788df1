"""The course as nbgrader sees it: its configuration, its assignments, one call per conversion."""

import glob
import os
import re
import shutil
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager
from nbformat import NotebookNode
from nbgrader.apps import NbGraderAPI
from nbgrader.converters.base import BaseConverter
from nbgrader.coursedir import CourseDirectory
from nbgrader.utils import capture_log
from traitlets.config.loader import PyFileConfigLoader

from labhelpers.instructor.sources import NOTEBOOKS

__all__ = [
    "REPOSITORY",
    "CourseError",
    "assignments",
    "convert",
    "copy_course",
    "grade_id",
    "open_course",
    "refuse_unknown",
]

REPOSITORY = NOTEBOOKS.parent
"""The folder with `notebooks/` and `nbgrader_config.py`, when installed with `pip install -e`."""


# How nbgrader refuses cells that were added or removed once somebody has handed in.
_HANDED_IN = "submissions associated with it"
_WHAT_THEN = """
It protects the scores that it holds; `nbgrader db student list` tells whose. If there are only the
samples that `make lab` graded, remove these and try again:
    nbgrader db student remove --force model-answer
    nbgrader db student remove --force untouched
In a running course leave the cells as they are, or release the new notebook under another name."""

# How it stops at a timestamp.txt that is no date: by a slip of its own.
_NO_DATE = "'CourseDirectory' object has no attribute 'fail'"


class CourseError(Exception):
    """nbgrader could not do what was asked; the message says what, and how its log ends."""


def open_course(root: Path = REPOSITORY) -> NbGraderAPI:
    """Return nbgrader's programming interface for the course in the folder `root`.

    Raises:
        CourseError: If there is no `nbgrader_config.py` in it, nbgrader cannot find files in a
            folder of its name, or it would run notebooks in another environment.
    """
    if not (root / "nbgrader_config.py").exists():
        raise CourseError(
            f"{root} holds no nbgrader_config.py, so it is not the folder of a course. "
            "Run this in a clone of the repository, installed with `pip install -e '.[dev]'`."
        )
    if glob.glob(str(root.resolve())) != [str(root.resolve())]:
        raise CourseError(
            f"nbgrader cannot work in {root.resolve()}: it takes [ ] * ? in a path for a pattern. "
            "Rename or move the folder, so that no folder in its path has these signs."
        )
    _refuse_foreign_kernel()
    # nbgrader starts `alembic` by name when it creates a gradebook.
    scripts = str(Path(sys.executable).parent)
    if scripts not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = scripts + os.pathsep + os.environ["PATH"]
    config = PyFileConfigLoader("nbgrader_config.py", path=str(root)).load_config()
    return NbGraderAPI(CourseDirectory(config=config), config=config)


def _refuse_foreign_kernel() -> None:
    """Raise if the kernel `python3` that Jupyter finds first is not one of this environment."""
    kernel = KernelSpecManager().get_kernel_spec("python3")
    program = Path(kernel.argv[0])  # a bare name is started as this very program
    here = Path(sys.executable).parent
    if program.name != str(program) and program.parent.resolve() != here.resolve():
        raise CourseError(
            f"The Jupyter kernel 'python3' in {kernel.resource_dir} would start {program}, not "
            f"{sys.executable}, which has labhelpers. Unset JUPYTER_PATH and "
            "JUPYTER_PREFER_ENV_PATH, or remove that folder, and try again."
        )


def assignments(root: Path = REPOSITORY) -> list[str]:
    """Return the names of the assignments in teaching order, one per notebook."""
    return sorted(path.stem for path in (root / "notebooks").glob("*/*.ipynb"))


def refuse_unknown(assignment: str, root: Path) -> None:
    """Raise a `CourseError` that lists the assignments if there is none of this name."""
    if assignment not in (known := assignments(root)):
        raise CourseError(
            f"There is no assignment {assignment!r}: choose one of {', '.join(known)}."
        )


def copy_course(root: Path, names: Iterable[str] | None = None) -> Path:
    """Make a course of its own in the folder `root`, with a gradebook of its own.

    Args:
        root: The folder.
        names: Assignments whose sources to copy, None for all of this repository.

    Returns:
        The folder.
    """
    for name in assignments() if names is None else names:
        folder = root / "notebooks" / name
        folder.mkdir(parents=True)
        shutil.copyfile(REPOSITORY / "notebooks" / name / f"{name}.ipynb", folder / f"{name}.ipynb")
    shutil.copyfile(REPOSITORY / "nbgrader_config.py", root / "nbgrader_config.py")
    return root


def grade_id(cell: NotebookNode) -> str | None:
    """Return the name by which nbgrader knows a cell, None if it does not."""
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def convert(
    course: NbGraderAPI,
    converter: type[BaseConverter],
    assignment: str,
    student: str | None = None,
) -> None:
    """Run one of nbgrader's converters on an assignment, replacing what it made before.

    Args:
        course: What `open_course` returned.
        converter: `nbgrader.converters.GenerateAssignment`, `Autograde` and so on.
        assignment: Name of the assignment.
        student: Whose submission, where the converter works on submissions.

    Raises:
        CourseError: If nbgrader reports a failure, or would take the student's id for a pattern.
    """
    if student and glob.escape(student) != student:
        raise CourseError(
            f"nbgrader cannot work with the student id {student!r}: it takes [ * ? for a pattern. "
            "Rename the student's folder in build/submitted/; `labhelpers collect` gives such "
            "students another id."
        )
    course.coursedir.assignment_id = assignment
    course.coursedir.student_id = student or "*"
    app = converter(coursedir=course.coursedir, parent=course)
    app.force = True
    with warnings.catch_warnings():
        # nbgrader's own way with its database; nothing is lost.
        warnings.filterwarnings("ignore", message="Object of type <Submitted")
        result = capture_log(app)
    if not result["success"]:
        whose = f" of {student!r}" if student else ""
        reason = _reason(result.get("log", "")) or result["error"]
        if _HANDED_IN in reason:
            reason += _WHAT_THEN
        if _NO_DATE in reason:
            reason = _unreadable_time(course, student or "*", assignment)
        raise CourseError(
            f"nbgrader {converter.__name__} failed on {assignment!r}{whose}:\n{reason}"
        )


def _unreadable_time(course: NbGraderAPI, student: str, assignment: str) -> str:
    """Return which time stamp nbgrader could not read."""
    directory = course.coursedir.submitted_directory
    folder = course.coursedir.format_path(directory, student, assignment)
    path = Path(folder, "timestamp.txt")
    holds = f" ({path.read_bytes()[:80].decode(errors='replace')!r})" if path.exists() else ""
    return (
        f"{path} holds no date that nbgrader understands{holds}. Expected the time of handing in, "
        "such as 2026-11-20 10:00:00 UTC. `labhelpers grade` mends it where it can; or remove it."
    )


def _reason(log: str) -> str:
    """Return the last exception that nbgrader's log quotes, else what follows its first error."""
    exceptions = re.findall(r"^ {4}([\w.]+: .+)$", log, flags=re.MULTILINE)
    if exceptions:
        return exceptions[-1]
    return " ".join(log.partition("[ERROR] ")[2].split()) or log
