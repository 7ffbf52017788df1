"""Read the source notebooks: the solutions, and the code that they rely on."""

from __future__ import annotations

import ast
import json
import linecache
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labhelpers.methods import METHODS

__all__ = [
    "NOTEBOOKS",
    "TRAINING_FUNCTIONS",
    "TRAINING_NOTEBOOKS",
    "Solution",
    "given_source",
    "read_solutions",
    "run_source",
]

#: The source notebooks of this repository, when installed with `pip install -e`.
NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"

#: The trained methods, each with the notebook that trains it.
TRAINING_NOTEBOOKS = {
    method.id: method.notebook for method in METHODS.values() if method.kind == "trained"
}

#: The function of its notebook that trains each of these methods by a recipe.
TRAINING_FUNCTIONS = {
    "generator": "train_by_recipe",
    "cgan": "train_cgan",
    "cyclegan": "train_cyclegan",
}


@dataclass(frozen=True)
class Solution:
    """A solution cell.

    Attributes:
        id: Its `grade_id`, such as `"generator-step"`.
        notebook: The file it was found in.
        source: The cell.
        preamble: The imports, given definitions and solutions that stand before it, as one program.
    """

    id: str
    notebook: Path
    source: str
    preamble: str = ""


def read_solutions(folder: Path = NOTEBOOKS) -> dict[str, Solution]:
    """Return the solution cells of all notebooks in `folder/*/*.ipynb` by id, in teaching order.

    Raises:
        FileNotFoundError: If there are no notebooks.
    """
    paths = sorted(folder.glob("*/*.ipynb"))
    if not paths:
        raise FileNotFoundError(
            f"No notebooks in {folder}. Expected <assignment>/<assignment>.ipynb. "
            "Run this in a clone of the repository, installed with `pip install -e '.[dev]'`."
        )
    return {solution.id: solution for path in paths for solution in _solutions_of(path)}


def _solutions_of(path: Path) -> Iterator[Solution]:
    before: list[str] = []
    for source, role in _code_cells(path):
        if role.get("solution"):
            yield Solution(role["grade_id"], path, source, "\n".join(before))
        if role.get("solution") or _only_defines(source):
            before.append(source)
        else:
            before += _imports(source)


def _code_cells(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the source of the code cells that are no tests, with their role for nbgrader."""
    # Not by nbformat, which takes seconds to import: many processes read solutions.
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        role = cell["metadata"].get("nbgrader", {})
        if cell["cell_type"] == "code" and not role.get("grade"):
            yield "".join(cell["source"]), role


def given_source(name: str) -> str:
    """Return what a notebook defines: its imports, given cells and solutions, as one program.

    Nothing in it trains, draws or reads data.

    Args:
        name: Name of the notebook, such as `2-generator`.
    """
    parts = []
    for source, role in _code_cells(NOTEBOOKS / name / f"{name}.ipynb"):
        parts += _imports(source)
        is_kept = role.get("solution") or role.get("locked") or _only_defines(source)
        if is_kept and _statements(source):
            parts.append(source)
    return "\n".join(parts)


def _statements(source: str) -> list[ast.stmt]:
    """Parse a cell; one with a magic command has no statements."""
    try:
        return ast.parse(source).body
    except SyntaxError:
        return []


def _only_defines(source: str) -> bool:
    """Return True if a cell has functions, classes and imports, and nothing else."""
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    return all(isinstance(statement, kinds) for statement in _statements(source))


def _imports(source: str) -> list[str]:
    """List the import statements of a cell."""
    return [
        ast.unparse(statement)
        for statement in _statements(source)
        if isinstance(statement, (ast.Import, ast.ImportFrom))
    ]


def run_source(source: str, preamble: str = "", name: str = "answer") -> dict[str, Any]:
    """Run a cell after its preamble and return the names that there are then.

    Args:
        source: Code of the cell, as it is or changed.
        preamble: Code to run before.
        name: What errors call the cell.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for part, text in ((f"<{name}: before>", preamble), (f"<{name}>", source)):
        linecache.cache[part] = (len(text), None, text.splitlines(keepends=True), part)
        exec(compile(text, part, "exec"), namespace)
    return namespace
