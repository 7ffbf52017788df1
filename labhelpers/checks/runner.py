"""Run an answer on the probes of its exercise and write down what it did, as plain JSON values."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import torch

from labhelpers.checks import sandbox
from labhelpers.checks.cases import ERROR, Case, Observer, Probe, Setting
from labhelpers.checks.exercises import PROBES
from labhelpers.checks.fingerprint import observe

__all__ = ["probe"]

TIME_LIMIT = 20.0
_SIGNATURE_LENGTH = 150


def probe(
    exercise: str,
    answer: object,
    variant: str = "visible",
    time_limit: float = TIME_LIMIT,
    dtype: torch.dtype = torch.float64,
) -> dict[str, Any]:
    """Run an answer and return the record of what it did.

    The record holds nothing but strings, numbers, truth values, lists and dictionaries, so that it
    survives JSON and the verdict can be made from it elsewhere:
    `{"exercise", "variant", "runs": [{"observed": {item: {label: observation}}, "errors": {label:
    error}, "traces": {label: [entry of a layer]}, "tolerance"}], "printed", "warnings"}`.

    Args:
        exercise: Its id, such as `"generator-step"`.
        answer: The student's function or class.
        variant: `"visible"`, or `"hidden"` for the probes used when grading.
        time_limit: Seconds after which the student's code is stopped, in each case.
        dtype: Type of the inputs and weights. Code that fails in float64 is tried in float32, too.
    """
    if variant not in ("visible", "hidden"):
        raise ValueError(f"variant is {variant!r}. Expected 'visible' or 'hidden'.")
    the_probe = PROBES[exercise]
    settings = [Setting(hidden=variant == "hidden", dtype=dtype)]
    if the_probe.calls_losses:
        settings.append(replace(settings[0], own_losses=True))

    runs, printed, warned = [], "", []
    for setting in settings:
        outcome, run = _run(the_probe, answer, setting, time_limit)
        kinds = {error["kind"] for error in run["errors"].values()}
        if kinds == {"exception"} and dtype is not torch.float32:
            # Code that works in float32 only is right, too: that is what the lab's data have. It
            # comes first, so that a complaint about float64 is not what the student reads.
            runs.append(
                _run(the_probe, answer, replace(setting, dtype=torch.float32), time_limit)[1]
            )
        runs.append(run)
        printed = printed or outcome.printed
        warned = warned or outcome.warnings
        if "too long" in kinds:
            break
    return {
        "exercise": exercise,
        "variant": variant,
        "runs": runs,
        "printed": printed,
        "warnings": warned,
    }


def _run(
    the_probe: Probe, answer: object, setting: Setting, time_limit: float
) -> tuple[sandbox.Outcome, dict[str, Any]]:
    """Try all cases in one setting; one that fails does not hide the others."""
    observed: dict[str, dict[str, Any]] = {}
    errors: dict[str, dict[str, str]] = {}
    traces: dict[str, list[Any]] = {}
    total = sandbox.Outcome()
    for case in the_probe.cases(answer, setting):

        def observer(item: str, value: Any, label: str = case.label) -> None:
            if item == "trace":
                traces[label] = list(value)
            else:
                observed.setdefault(item, {})[label] = observe(value)

        def act(case: Case = case, observer: Observer = observer) -> None:
            case.act(observer)

        outcome = sandbox.run(act, time_limit)
        total.printed = total.printed or outcome.printed
        total.warnings = total.warnings or outcome.warnings
        if outcome.error:
            errors[case.label] = outcome.error
            observer(ERROR, _signature(outcome.error))
            if outcome.error["kind"] != "exception":
                break
    return total, {
        "observed": observed,
        "errors": errors,
        "traces": traces,
        "tolerance": 1e-4 if setting.dtype is torch.float64 else 1e-3,
    }


def _signature(error: dict[str, str]) -> str:
    """Say what kind of error it is, in words that do not depend on the names in the code."""
    message = re.sub(r"'[^']*'|\"[^\"]*\"", "…", error["message"])
    return f"{error['type']}: {message[:_SIGNATURE_LENGTH]}"
