"""Check the exercises: one function per exercise, each prints a report and returns the points.

A check runs the answer on small inputs and writes down what it did, in plain values (`runner`);
the verdict compares these with the numbers of right answers and known mistakes (`verdict`), which
come from a data file. No answer is stored here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from labhelpers.checks.exercises import EXERCISES, Exercise
from labhelpers.checks.history import judged_version
from labhelpers.checks.report import Points, Report
from labhelpers.checks.runner import run_cases
from labhelpers.checks.verdict import VISIBLE_FILE, judge, read_json
from labhelpers.repair.slots import digest
from labhelpers.session import show

if TYPE_CHECKING:

    def __getattr__(name: str) -> Callable[..., float]: ...


_recognised: dict[str, set[str]] = {id_: set() for id_ in EXERCISES}  # mistakes in earlier calls


def _make_check(exercise: Exercise) -> Callable[..., float]:
    def check(answer: object, points: float = 1.0) -> float:
        if not isinstance(points, (int, float)) or not 0 <= points < math.inf:
            print(
                f"points is a number, such as points=2. Here it is {points!r}: nothing is judged."
            )
            return Points(0)
        numbers = read_json(VISIBLE_FILE)[exercise.id]
        seen = _recognised[exercise.id]
        report = judge(run_cases(exercise.id, answer), numbers, points, seen=seen)
        seen.update(report.mistakes)
        source, problem = judged_version(exercise.name)
        report = replace(report, answer=digest(source) if source else "")
        if problem:
            late = f"Your last version did not run: {problem} This judges the version before it."
            report = replace(report, notes=[("attention", late), *report.notes])
        show(*report.output)
        return Points(report.score)

    check.__name__ = check.__qualname__ = exercise.check_name
    check.__doc__ = f"""Check the exercise `{exercise.id}`, print a report and return the points.

    The answer may fail, print, warn or run for ever: the report says so, nothing is raised.

    Args:
        answer: Your `{exercise.name}`, itself, not a call of it.
        points: Points for a right answer.

    Returns:
        A number from 0 to `points`; a partly right answer earns a part of them.
    """
    return check


_checks = {exercise.check_name: _make_check(exercise) for exercise in EXERCISES.values()}
globals().update(_checks)

__all__ = ["Report", *_checks]
