"""What the tests of the checks share: answers, and ways to run them."""

import json
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch

from labhelpers.checks import Report, verdict
from labhelpers.checks.exercises import EXERCISES
from labhelpers.checks.records import Numbers, read_record
from labhelpers.checks.runner import run_cases
from labhelpers.instructor.authoring.edits import run_answer
from labhelpers.instructor.authoring.expected import numbers_of
from labhelpers.instructor.sources import Solution, read_solutions

ANSWERS = Path(__file__).with_name("answers")
HIDDEN = 1_203_456_789 + 2**31 * 1_618_033_988  # a series as grading draws it
SERIES = [0, HIDDEN]
LIMIT = 120.0  # seconds; machines that run tests are crowded


class Answer(NamedTuple):
    exercise: str
    kind: str  # "right" or "wrong"
    name: str
    source: str
    mistakes: tuple[str, ...]  # those that the report of a wrong answer names

    def __str__(self) -> str:
        return f"{self.exercise}: {self.name}"


@cache
def solutions() -> dict[str, Solution]:
    return read_solutions()


@cache
def answers(kind: str) -> list[Answer]:
    """Read tests/answers: a head of imports, then one answer under each `# %% kind: name`.

    The known mistakes that a wrong answer makes follow its name, after an arrow.
    """
    found = []
    names = {exercise.check_name: exercise.id for exercise in EXERCISES.values()}
    for path in sorted(ANSWERS.glob("*.py")):
        exercise = names[path.stem]
        head, *parts = re.split(r"^# %% ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for part in parts:
            title, source = part.split("\n", 1)
            match = re.fullmatch(r"(right|wrong): (.+?)(?: -> (.+))?", title)
            assert match, title
            mistakes = tuple(match[3].split(", ")) if match[3] else ()
            if match[1] == kind:
                found.append(Answer(exercise, kind, match[2], head + source, mistakes))
    return found


def load(exercise: str, source: str | None = None):
    """Run a solution cell, or another answer, after the cells that it relies on."""
    reference = solutions()[exercise]
    return run_answer(reference, reference.source if source is None else source)


def wrong(exercise: str, name: str):
    """Return the wrong answer of a name."""
    (answer,) = (a for a in answers("wrong") if (a.exercise, a.name) == (exercise, name))
    return load(exercise, answer.source)


def untouched(exercise: str):
    """Return what a student finds in place of the solution."""
    stub = 'raise NotImplementedError("not written yet")'
    source = re.sub(
        r"^( *)### BEGIN SOLUTION.*?### END SOLUTION",
        rf"\1# Your code here\n\1{stub}",
        solutions()[exercise].source,
        flags=re.DOTALL | re.MULTILINE,
    )
    return load(exercise, source)


@cache
def numbers(exercise: str, series: int, mistakes: bool = False) -> Numbers:
    """Return the stored numbers of the visible check, or the right ones of another series."""
    if series:
        return numbers_of(exercise, series, mistakes)
    return verdict.read_json(verdict.VISIBLE_FILE)[exercise]


def judge(
    exercise: str,
    answer: object,
    series: int = 0,
    points: float = 3.0,
    time_limit: float = LIMIT,
    dtype: torch.dtype = torch.float64,
    mistakes: bool = False,
) -> Report:
    record = run_cases(exercise, answer, series, time_limit, dtype)
    received = json.loads(json.dumps(record, allow_nan=False))
    assert received == record  # the verdict needs nothing that JSON cannot hold
    return verdict.judge(
        read_record(received),
        numbers(exercise, series, mistakes),
        points,
        quotes_values=series == 0,
    )
