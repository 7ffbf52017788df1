"""What was released, as the gradebook holds it."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import nbformat
from nbformat import v4
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.api import Notebook as SavedNotebook
from nbgrader.apps import NbGraderAPI
from nbgrader.converters.base import BaseConverter

from labhelpers.instructor.course.nbgrader import CourseError, grade_id
from labhelpers.repair.release import Release, ReleasedCell, checksum, marks

__all__ = ["read_release"]


def read_release(course: NbGraderAPI | BaseConverter, assignment: str) -> Release:
    """Return what was released of an assignment.

    Names, texts and points are those of the gradebook. Order and cells without a name are those
    of the file that was released; without it they are the gradebook's.

    Raises:
        CourseError: If the gradebook knows no such assignment.
    """
    folders = course.coursedir
    with Gradebook(folders.db_url, folders.course_id) as gradebook:
        try:
            cells = _named_cells(gradebook.find_notebook(assignment, assignment))
        except MissingEntry as error:
            raise CourseError(
                f"The gradebook holds no notebook {assignment!r}. "
                "Run `labhelpers release` before grading."
            ) from error
        others = {
            other.name: _named_cells(notebook)
            for other in gradebook.assignments
            for notebook in other.notebooks
            if other.name != assignment
        }
    folder = Path(folders.format_path(folders.release_directory, ".", assignment))
    path = Path(folders.root) / folder / f"{assignment}.ipynb"
    notebook = nbformat.read(path, as_version=4) if path.exists() else _notebook_of(cells)
    order = {name: place for place, cell in enumerate(notebook.cells) if (name := grade_id(cell))}
    cells = sorted(cells, key=lambda cell: order.get(cell.grade_id, len(order)))
    own = marks(cells)
    return Release(
        assignment,
        tuple(cells),
        json.dumps(notebook),
        {name: frozenset(marks(others[name]) - own) for name in sorted(others)},
    )


def _named_cells(notebook: SavedNotebook) -> list[ReleasedCell]:
    points = {cell.name: cell.max_score for cell in [*notebook.grade_cells, *notebook.task_cells]}
    grades = {cell.name for cell in notebook.grade_cells}
    solutions = {cell.name for cell in notebook.solution_cells}
    tasks = {cell.name for cell in notebook.task_cells}
    cells = [
        ReleasedCell(
            cell.name,
            cell.cell_type,
            cell.source,
            cell.name in grades,
            cell.name in solutions,
            cell.locked,
            cell.name in tasks,
            points.get(cell.name, 0.0),
        )
        for cell in notebook.source_cells
    ]
    return [
        replace(cell, checksum=checksum(cell.cell_type, cell.source, asdict(cell)))
        for cell in cells
    ]


def _notebook_of(cells: list[ReleasedCell]) -> nbformat.NotebookNode:
    make = {"code": v4.new_code_cell, "markdown": v4.new_markdown_cell}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return v4.new_notebook(
        metadata={"kernelspec": kernel},
        cells=[
            make[cell.cell_type](
                cell.source, id=cell.grade_id, metadata={"nbgrader": {"grade_id": cell.grade_id}}
            )
            for cell in cells
        ],
    )
