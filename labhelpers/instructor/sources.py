"""Read the source notebooks: the exercises, their solutions and the code that these rely on."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from labhelpers import results

__all__ = ["METHODS", "NOTEBOOKS", "Exercise", "given_source", "read_exercises", "run_source"]

#: The source notebooks of this repository, when installed with `pip install -e`.
NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"

#: The trained methods, each with the notebook that trains it.
METHODS = {
    method.id: method.notebook for method in results.METHODS.values() if method.kind == "trained"
}


@dataclass(frozen=True)
class Exercise:
    """A solution cell.

    Attributes:
        id: Its `grade_id`, such as `"generator-step"`.
        notebook: The file it was found in.
        source: The cell, solution included.
        before: Import statements, one name each, and solution cells that stand before it.
    """

    id: str
    notebook: Path
    source: str
    before: tuple[str, ...] = ()

    @property
    def preamble(self) -> str:
        """Those imports and earlier solution cells that the cell relies on."""
        return self.preamble_of(self.source)

    def preamble_of(self, source: str) -> str:
        """Return the imports and earlier solution cells that another source in its place needs."""
        used = _names_used(source)
        needed: list[str] = []
        for unit in reversed(self.before):
            if _names_defined(unit) & used:
                needed.insert(0, unit)
                used |= _names_used(unit)
        return "\n".join(needed)


def read_exercises(folder: Path = NOTEBOOKS) -> dict[str, Exercise]:
    """Return the coding exercises of all notebooks in `folder/*/*.ipynb`, in teaching order.

    Raises:
        FileNotFoundError: If there are no notebooks.
    """
    paths = sorted(folder.glob("*/*.ipynb"))
    if not paths:
        raise FileNotFoundError(
            f"No notebooks in {folder}. Expected <assignment>/<assignment>.ipynb. "
            "Run this in a clone of the repository, installed with `pip install -e '.[dev]'`."
        )
    return {exercise.id: exercise for path in paths for exercise in _exercises_of(path)}


def _exercises_of(path: Path) -> Iterator[Exercise]:
    units: list[str] = []  # import statements and solution cells so far
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        role = cell.metadata.get("nbgrader", {})
        if role.get("solution"):
            yield Exercise(role["grade_id"], path, cell.source, tuple(units))
            units.append(cell.source)
        else:
            units += _imports(cell.source)


def given_source(name: str) -> str:
    """Return what a notebook defines: its imports, given cells and solutions, as one program.

    Nothing in it trains, draws or reads data.

    Args:
        name: Name of the notebook, such as `2-generator`.
    """
    parts = []
    for cell in nbformat.read(NOTEBOOKS / name / f"{name}.ipynb", as_version=4).cells:
        role = cell.metadata.get("nbgrader", {})
        if cell.cell_type != "code" or role.get("grade"):
            continue
        is_definition = role.get("solution") or role.get("locked")
        parts += _imports(cell.source)
        if is_definition and _statements(cell.source):
            parts.append(cell.source)
    return "\n".join(parts)


def _statements(source: str) -> list[ast.stmt]:
    """Parse a cell; one with a magic command has no statements."""
    try:
        return ast.parse(source).body
    except SyntaxError:
        return []


def _imports(source: str) -> list[str]:
    """List the import statements of a cell, one name each."""
    return [
        ast.unparse(type(statement)(**{**vars(statement), "names": [name]}))
        for statement in _statements(source)
        if isinstance(statement, (ast.Import, ast.ImportFrom))
        for name in statement.names
    ]


def _names_used(source: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}


def _names_defined(source: str) -> set[str]:
    names: set[str] = set()
    for statement in ast.parse(source).body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            names |= {(n.asname or n.name).partition(".")[0] for n in statement.names}
        elif isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            names.add(statement.name)
        elif isinstance(statement, ast.Assign):
            names |= {target.id for target in statement.targets if isinstance(target, ast.Name)}
    return names


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
