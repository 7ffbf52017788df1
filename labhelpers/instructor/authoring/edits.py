"""Read the tables that an instructor edits, and apply their changes to reference solutions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from labhelpers.checks.exercises import WRITTEN_AS
from labhelpers.instructor.sources import Exercise, run_source

__all__ = [
    "BuildError",
    "Change",
    "UnfitError",
    "load",
    "read_mistakes",
    "read_table",
    "replaced",
    "rewritten",
    "run_answer",
    "source_with",
]

TABLES = Path(__file__).with_name("tables")

#: An entry of a table of accepted ways or of mistakes, see the README beside the tables.
Change = dict[str, Any]


class BuildError(Exception):
    """The notebooks or the tables do not fit together; the message says where."""


class UnfitError(BuildError):
    """A change does not fit the solution that it is to change."""


def read_table(name: str) -> Any:
    """Read one of the tables that an instructor can edit."""
    return yaml.safe_load((TABLES / name).read_text(encoding="utf-8"))


def read_mistakes() -> dict[str, dict[str, Change]]:
    """Read the known mistakes of all exercises, by exercise and id.

    Raises:
        BuildError: If a mistake belongs to no exercise.
    """
    mistakes: dict[str, dict[str, Change]] = {}
    for path in sorted((TABLES / "mistakes").glob("*.yaml")):
        mistakes |= read_table(f"mistakes/{path.name}")
    if unknown := mistakes.keys() - WRITTEN_AS.keys():
        raise BuildError(f"There are mistakes for {', '.join(sorted(unknown))}: no such exercise.")
    return mistakes


def replaced(source: str, texts: Iterable[Sequence[str]], name: str, place: str) -> str:
    """Replace texts in a source, each by another one.

    Args:
        source: The code to change.
        texts: Pairs of an old and a new text.
        name: Whose entry in a table it is, for the message.
        place: What the source is, for the message.

    Raises:
        UnfitError: If a text to replace does not occur exactly once.
    """
    for old, new in texts:
        if source.count(old) != 1:
            raise UnfitError(
                f"{name}: {old!r} occurs {source.count(old)} times in {place}. "
                "Expected exactly once. Mend the table."
            )
        source = source.replace(old, new)
    return source


def rewritten(exercise: Exercise, changes: Sequence[Change]) -> tuple[str, str]:
    """Apply changes to a solution; return its new source and the code to run before it.

    Raises:
        UnfitError: If a text to replace does not occur exactly once.
    """
    source, place = exercise.source, f"the solution in {exercise.notebook.name}"
    for change in changes:
        source = replaced(source, change.get("replace", ()), exercise.id, place)
    return source, "\n".join(change.get("before", "") for change in changes)


def source_with(exercise: Exercise, changes: Sequence[Change]) -> str:
    """Return a solution with changes applied as one cell, what is to be run before it on top."""
    source, before = rewritten(exercise, changes)
    return f"{before}\n{source}".strip()


def run_answer(exercise: Exercise, source: str) -> Any:
    """Run a cell in the place of a solution; return the function or class that it defines."""
    namespace = run_source(source, exercise.preamble_of(source), exercise.id)
    return namespace[WRITTEN_AS[exercise.id]]


def load(exercise: Exercise, changes: Sequence[Change] = ()) -> Any:
    """Run a solution with changes applied; return the function or class that it defines.

    Raises:
        UnfitError: If a change does not fit.
    """
    return run_answer(exercise, source_with(exercise, changes))
