"""Try all answers of the tests and all known mistakes on random series of cases.

`python tests/random_series.py 8 generator-step cgan-step` draws 8 series for two exercises; without
exercises it takes all, which needs some hours of one core. Not a part of `make test`.
"""

import sys
from collections import Counter
from collections.abc import Iterator

import torch
from checking import LIMIT, answers, load, solutions

from labhelpers.checks import verdict
from labhelpers.checks.exercises import EXERCISES
from labhelpers.checks.runner import run_cases
from labhelpers.instructor.authoring.edits import edited, read_mistakes
from labhelpers.instructor.authoring.expected import numbers_of
from labhelpers.instructor.grading.numbers import draw_series


def candidates(exercise: str) -> Iterator[tuple[bool, str, str]]:
    """Whether it is right, name and source of each answer to an exercise."""
    for kind in ("right", "wrong"):
        for answer in answers(kind):
            if answer.exercise == exercise:
                yield kind == "right", answer.name, answer.source
    for name, mistake in read_mistakes()[exercise].items():
        yield False, f"known mistake {name}", edited(solutions()[exercise], [mistake])


def failures(exercise: str, series: int, tried: Counter[str]) -> Iterator[str]:
    """Yield the right answers that are refused and the wrong ones that are not."""
    numbers = numbers_of(exercise, series, mistakes=False)
    for is_right, name, source in candidates(exercise):
        for dtype in (torch.float64, torch.float32):
            record = run_cases(exercise, load(exercise, source), series, LIMIT, dtype)
            report = verdict.judge(record, numbers, points=1.0)
            tried["right" if is_right else "wrong"] += 1
            if (report.status == "right") != is_right:
                yield f"{exercise}, series {series}, {dtype}: {name}: {report.text}"


def main(n_series: int, exercises: list[str]) -> None:
    torch.set_num_threads(1)
    for exercise in exercises or EXERCISES:
        tried: Counter[str] = Counter()
        found = 0
        for _ in range(n_series):
            for failure in failures(exercise, draw_series(), tried):
                found += 1
                print(failure, flush=True)
        print(f"{exercise}: {n_series} series, {dict(tried)}, {found} failures", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
