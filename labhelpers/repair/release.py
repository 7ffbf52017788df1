"""What was released of a notebook: its named cells and their order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Release", "ReleasedCell", "checksum", "marks", "read_releases"]


@dataclass(frozen=True)
class ReleasedCell:
    """A cell that nbgrader knows by name.

    Attributes:
        grade_id: Its name.
        cell_type: `code` or `markdown`.
        source: Its text; in the gradebook a stub where it is a solution.
        grade: Whether it has points.
        solution: Whether students write in it.
        locked: Whether students may not change it.
        task: Whether it is a task of nbgrader's kind.
        points: The most points that it gives, 0 without.
        checksum: nbgrader's digest of it, by which an answer is known to be the template still.
    """

    grade_id: str
    cell_type: str
    source: str
    grade: bool
    solution: bool
    locked: bool
    task: bool
    points: float
    checksum: str = ""


@dataclass(frozen=True)
class Release:
    """A released notebook.

    Attributes:
        assignment: Its name.
        cells: The cells that nbgrader knows by name, in the notebook's order.
        notebook: The student version as JSON, with the cells that have no name.
        others: Names and texts of the named cells of each other assignment that are not in this.
    """

    assignment: str
    cells: tuple[ReleasedCell, ...]
    notebook: str
    others: Mapping[str, frozenset[str]] = field(default_factory=dict)


def read_releases(folder: Path) -> dict[str, Release]:
    """Return what was released, by assignment, from the student notebooks in a folder."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.ipynb"))}
    cells = {name: _named_cells(text) for name, text in texts.items()}
    found = {name: marks(one) for name, one in cells.items()}
    return {
        name: Release(
            name,
            tuple(cells[name]),
            text,
            {other: frozenset(found[other] - found[name]) for other in texts if other != name},
        )
        for name, text in texts.items()
    }


def _named_cells(notebook: str) -> list[ReleasedCell]:
    named = []
    for cell in json.loads(notebook)["cells"]:
        if settings := cell["metadata"].get("nbgrader"):
            values = {key: settings.get(key, False) for key in ("grade", "solution", "locked")}
            named.append(
                ReleasedCell(
                    settings["grade_id"],
                    cell["cell_type"],
                    "".join(cell["source"]),
                    **values,
                    task=settings.get("task", False),
                    points=float(settings.get("points", 0)),
                    checksum=settings.get("checksum", ""),
                )
            )
    return named


def checksum(cell_type: str, source: str, settings: Mapping[str, Any]) -> str:
    """Return the digest by which nbgrader knows that a cell is as it was released.

    Args:
        cell_type: `code` or `markdown`.
        source: Its text.
        settings: What nbgrader has in its metadata: `grade_id`, `grade`, `solution`, `locked` and,
            where there are any, `points`.
    """
    grade, solution = (bool(settings.get(key)) for key in ("grade", "solution"))
    locked = not solution and (grade or bool(settings.get("locked")))
    parts = [source, cell_type, str(grade), str(solution), str(locked), settings["grade_id"]]
    parts += [str(float(settings["points"]))] if grade else []
    return hashlib.md5("".join(parts).encode(), usedforsecurity=False).hexdigest()


def marks(cells: Sequence[ReleasedCell]) -> set[str]:
    """Return what tells notebooks apart: names of cells, and texts that are no usual stub."""
    return {cell.grade_id for cell in cells} | {
        cell.source.strip() for cell in cells if cell.cell_type == "code"
    }
