"""The hidden tests: the same checks on another series of cases, whose numbers students do not have.

A notebook's check calls `check` between nbgrader's `BEGIN HIDDEN TESTS` and `END HIDDEN TESTS`.
"""

from __future__ import annotations

from pathlib import Path

from labhelpers.checks.report import show
from labhelpers.checks.runner import run_cases
from labhelpers.checks.verdict import judge, read_json

__all__ = ["NUMBERS_FILE", "SERIES", "check"]

#: What `labhelpers expected` writes: the numbers of right answers and known mistakes in the series.
NUMBERS_FILE = Path(__file__).with_name("hidden.json")
SERIES = 1


def check(exercise_id: str, answer: object, visible_score: float, points: float = 1.0) -> float:
    """Run the hidden tests of an exercise, print a report and return the points.

    The report names items, concepts and likely causes, but quotes no number and no message.

    Args:
        exercise_id: Id of the exercise, such as `"cgan-step"`.
        answer: The student's function or class.
        visible_score: Points in the visible check.
        points: Points for a right answer.

    Returns:
        The smaller one of both scores, a plain float from 0 to `points`.
    """
    numbers = read_json(NUMBERS_FILE)[exercise_id]
    report = judge(run_cases(exercise_id, answer, SERIES), numbers, points, quotes_values=False)
    show(report)
    return min(float(visible_score), report.score)
