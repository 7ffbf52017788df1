"""Run an answer on the cases of its exercise and write down what it did, as plain JSON values."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from labhelpers.checks import sandbox
from labhelpers.checks.cases import ERROR, TRACE, Case, Setting
from labhelpers.checks.comparison import Comparison
from labhelpers.checks.exercises import EXERCISES, Exercise, Losses
from labhelpers.checks.explanations import slips
from labhelpers.checks.explanations.functions import namespace_of
from labhelpers.checks.fingerprint import observe
from labhelpers.checks.probes.losses import PRECISION
from labhelpers.checks.records import (
    MOST_LAYERS,
    TOLERANCES,
    ErrorRecord,
    Explanation,
    Record,
    Run,
    explained,
)
from labhelpers.checks.verdict import (
    VISIBLE_FILE,
    best_comparison,
    read_json,
    read_runs,
    told_by_items,
)
from labhelpers.fast import plain_layers

__all__ = ["run_cases"]

TIME_LIMIT = 20.0  # seconds for each case; the slowest right answer needs about one
_SIGNATURE_LENGTH = 150  # characters of an error message that are compared
_TOLERANCE = dict(zip((torch.float64, torch.float32), TOLERANCES, strict=True))
_ABSENT = object()


def run_cases(
    exercise_id: str,
    answer: object,
    series: int = 0,
    time_limit: float = TIME_LIMIT,
    dtype: torch.dtype = torch.float64,
    folder: Path | None = None,
    explains: bool = True,
) -> Record:
    """Run an answer and return the record of what it did.

    The record survives JSON, so that the verdict can be made from it elsewhere.

    Args:
        exercise_id: Id of the exercise, such as `"generator-step"`.
        answer: The student's function or class.
        series: Which series of cases to use; 0 is the visible check's.
        time_limit: Seconds after which the student's code is stopped, in each case.
        dtype: Type of the inputs and weights. Code that fails in float64 is tried in float32, too.
        folder: The files that the answer reads, None to make them (see `cases.Setting`).
        explains: Whether to try a wrong answer further on the visible cases, to say what is wrong.
    """
    exercise = EXERCISES[exercise_id]
    setting = Setting(series, dtype, folder)
    runs: list[Run] = []
    printed = ""
    warnings: list[str] = []
    for losses in [exercise.losses, {}] if exercise.losses else [{}]:
        outcome, run = _run(exercise, answer, losses, setting, time_limit)
        kinds = {error["kind"] for error in run["errors"].values()}
        is_single = {*run["observed"].get(PRECISION, {}).values()} == {str(torch.float32)}
        if (kinds == {"exception"} or is_single) and dtype is not torch.float32:
            # Code that computes in float32 only is right, too: that is what the lab's data have. It
            # comes first, so that a complaint about float64 is not what the student reads.
            in_float32 = dataclasses.replace(setting, dtype=torch.float32)
            runs.append(_run(exercise, answer, losses, in_float32, time_limit)[1])
        runs.append(run)
        printed = printed or outcome.printed
        warnings = warnings or outcome.warnings
        if "too long" in kinds:
            break
    record = Record(
        exercise=exercise_id,
        series=series,
        runs=runs,
        printed=printed,
        warnings=warnings,
        explanation=None,
    )
    if explains and not series:
        record["explanation"] = _explanation(exercise, answer, record, time_limit)
    return record


def _explanation(
    exercise: Exercise, answer: object, record: Record, time_limit: float
) -> Explanation | None:
    """Return what is wrong with an answer; if trying it anew fails, what its code tells."""
    runs = record["runs"]
    kinds = [{error["kind"] for error in run["errors"].values()} for run in runs]
    worth = _share(record)
    if worth == 1:
        return None
    # With fixtures in place of losses that the student has not written, the answer itself may be.
    is_unwritten = all("not written" in kind for kind in kinds)
    found: list[Explanation | None] = []

    def share(other: object) -> float:
        return _share(run_cases(exercise.id, other, time_limit=time_limit, explains=False))

    def rest(other: object) -> Explanation | None:
        tried = run_cases(exercise.id, other, time_limit=time_limit, explains=False)
        with suppress(Exception):  # another answer may fail where the first one did not
            if _share(tried) < 1:
                return exercise.explain(other, tried["runs"]) or explained(_told(tried))
        return None

    def act() -> None:
        with plain_layers(), _replaced(answer, exercise.losses):
            slip = slips.explain(exercise, answer, worth, share, rest)
            if slip or is_unwritten:
                found.append(slip)
            else:
                found.append(slips.with_facts(exercise.explain(answer, runs), answer))

    def tell() -> None:
        found.append(slips.with_facts(None, answer))

    if not any("too long" in kind for kind in kinds):
        sandbox.run(act, time_limit)
    if not found:
        sandbox.run(tell, time_limit)
    return found[0] if found else None


def _share(record: Record) -> float:
    """Return the share of the points that an answer is worth on the visible cases."""
    return _best(record).share()


def _told(record: Record) -> list[str]:
    """Return what the items say of an answer that is not explained further."""
    best = _best(record)
    return [*told_by_items(best.items, best, ()).values()]


def _best(record: Record) -> Comparison:
    numbers = read_json(VISIBLE_FILE)[record["exercise"]]
    return best_comparison(record["exercise"], read_runs(record), numbers)


def _run(
    exercise: Exercise,
    answer: object,
    losses: Losses,
    setting: Setting,
    time_limit: float,
) -> tuple[sandbox.Outcome, Run]:
    """Try all cases in one setting; one that fails does not hide the others."""
    run = Run(observed={}, errors={}, traces={}, tolerance=_TOLERANCE[setting.dtype])
    total = sandbox.Outcome()
    for number, case in enumerate(exercise.cases(answer, setting)):
        act = functools.partial(_act, case, run, answer, losses)
        # An answer that changes something at random, now and then, does so in one of the cases.
        outcome = sandbox.run(act, time_limit, seed=number)
        total.printed = total.printed or outcome.printed
        total.warnings = total.warnings or outcome.warnings
        if outcome.error:
            run["errors"][case.label] = outcome.error
            _log(run, case.label, ERROR, _signature(outcome.error))
            if outcome.error["kind"] != "exception":
                break
    return total, run


def _act(case: Case, run: Run, answer: object, losses: Losses) -> None:
    # The fast layers have PyTorch's numbers, but a trace would not show them as layers.
    with plain_layers(), _replaced(answer, losses):
        case.act(functools.partial(_log, run, case.label))


def _log(run: Run, label: str, item: str, value: Any) -> None:
    if item == TRACE:
        run["traces"][label] = list(value[:MOST_LAYERS])
    else:
        run["observed"].setdefault(item, {})[label] = observe(value)


def _signature(error: ErrorRecord) -> str:
    """Return the kind of an error in words that do not depend on the names in the code."""
    message = re.sub(r"'[^']*'|\"[^\"]*\"", "…", error["message"])
    return f"{error['type']}: {message[:_SIGNATURE_LENGTH]}"


@contextmanager
def _replaced(answer: object, losses: Losses) -> Iterator[None]:
    """Replace losses among the global names that an answer sees, for a while."""
    namespace = namespace_of(answer)
    before = {name: namespace.get(name, _ABSENT) for name in losses}
    namespace.update(losses)
    try:
        yield
    finally:
        for name, function in before.items():
            if function is _ABSENT:
                namespace.pop(name, None)
            else:
                namespace[name] = function
