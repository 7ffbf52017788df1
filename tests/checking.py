"""What the tests of the checks share: answers, and ways to run them."""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch

from labhelpers.checks import probe, verdict
from labhelpers.checks.exercises import WRITTEN_AS
from labhelpers.checks.report import Report
from labhelpers.instructor.authoring.edits import run_answer
from labhelpers.instructor.sources import Exercise, read_exercises

ANSWERS = Path(__file__).with_name("answers")
EXERCISES = list(WRITTEN_AS)
LIMIT = 120.0  # seconds; machines that run tests are crowded


class Answer(NamedTuple):
    exercise: str
    kind: str  # "right" or "wrong"
    name: str
    source: str

    def __str__(self) -> str:
        return f"{self.exercise}: {self.name}"


@cache
def exercises() -> dict[str, Exercise]:
    return read_exercises()


@cache
def answers(kind: str) -> list[Answer]:
    """Read tests/answers: a head of imports, then one answer under each `# %% kind: name`."""
    found = []
    for exercise in EXERCISES:
        text = (ANSWERS / f"{exercise.replace('-', '_')}.py").read_text(encoding="utf-8")
        head, *parts = re.split(r"^# %% ", text, flags=re.MULTILINE)
        for part in parts:
            title, source = part.split("\n", 1)
            this_kind, name = title.split(": ", 1)
            assert this_kind in ("right", "wrong"), title
            if this_kind == kind:
                found.append(Answer(exercise, kind, name, head + source))
    return found


def load(exercise: str, source: str | None = None):
    """Run a solution cell, or another answer, after the cells that it relies on."""
    reference = exercises()[exercise]
    return run_answer(reference, reference.source if source is None else source)


def untouched(exercise: str):
    """Return what a student finds in place of the solution."""
    stub = 'raise NotImplementedError("not written yet")'
    source = re.sub(
        r"^( *)### BEGIN SOLUTION.*?### END SOLUTION",
        rf"\1# Your code here\n\1{stub}",
        exercises()[exercise].source,
        flags=re.DOTALL | re.MULTILINE,
    )
    return load(exercise, source)


def judge(
    exercise: str,
    answer: object,
    variant: str = "visible",
    points: float = 3.0,
    time_limit: float = LIMIT,
    dtype: torch.dtype = torch.float64,
) -> Report:
    return verdict(exercise, probe(exercise, answer, variant, time_limit, dtype), points)
