"""Read the tables that an instructor edits, and apply their edits to reference solutions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from labhelpers.checks.exercises import EXERCISES
from labhelpers.instructor.sources import Solution, run_source

__all__ = [
    "BuildError",
    "Edit",
    "UnfitError",
    "edited",
    "read_concepts",
    "read_mistakes",
    "read_table",
    "run_answer",
]

TABLES = Path(__file__).with_name("tables")

#: An entry of a table of accepted ways or of mistakes, see the README beside the tables.
Edit = dict[str, Any]


class BuildError(Exception):
    """The notebooks or the tables do not fit together; the message says where."""


class UnfitError(BuildError):
    """An edit does not fit the solution that it is to change."""


def read_table(name: str) -> Any:
    """Read one of the tables that an instructor can edit."""
    return yaml.safe_load((TABLES / name).read_text(encoding="utf-8"))


def read_mistakes() -> dict[str, dict[str, Edit]]:
    """Read the known mistakes of all exercises, by exercise and id.

    Raises:
        BuildError: If a mistake belongs to no exercise.
    """
    mistakes: dict[str, dict[str, Edit]] = {}
    for path in sorted((TABLES / "mistakes").glob("*.yaml")):
        mistakes |= read_table(f"mistakes/{path.name}")
    if unknown := mistakes.keys() - EXERCISES.keys():
        raise BuildError(f"There are mistakes for {', '.join(sorted(unknown))}: no such exercise.")
    return mistakes


@cache
def read_concepts(exercise_id: str) -> dict[str, str]:
    """Return what each known mistake of an exercise shows a gap in, by its id.

    Students do not get these texts before they handed in: they are in the hidden reports only.
    """
    mistakes = read_mistakes().get(exercise_id, {})
    return {name: mistake["concept"] for name, mistake in mistakes.items()}


def edited(solution: Solution, edits: Sequence[Edit]) -> str:
    """Return a solution with edits applied as one cell, what is to be run before it on top.

    Raises:
        UnfitError: If a text to replace does not occur exactly once.
    """
    source = solution.source
    for old, new in chain.from_iterable(edit.get("replace", ()) for edit in edits):
        if source.count(old) != 1:
            raise UnfitError(
                f"{solution.id}: {old!r} occurs {source.count(old)} times in the solution in "
                f"{solution.notebook.name}. Expected exactly once. Mend the table."
            )
        source = source.replace(old, new)
    before = "\n".join(edit.get("before", "") for edit in edits)
    return f"{before}\n{source}".strip()


def run_answer(solution: Solution, source: str) -> Any:
    """Run a cell in the place of a solution; return the function or class that it defines."""
    names = run_source(source, solution.preamble, solution.id)
    return names[EXERCISES[solution.id].name]
