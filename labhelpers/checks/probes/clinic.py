"""Probes of the clinic: a diagnosis of each case, beside a mended function that is tried."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from labhelpers.checks.cases import Case, Log, Setting
from labhelpers.checks.probes.mends import FUNCTION_OF, RIGHT, job_of, tell
from labhelpers.checks.probes.signs import missing_sign, telling_sign
from labhelpers.clinic import CASES, FAULTS, code_of_case, fault_code

__all__ = ["clinic_cgan", "clinic_cyclegan"]

_FUNCTIONS = {
    "cgan": ("split", "black_frame", "discriminator_loss", "step_on_batch"),
    "cyclegan": ("scaled", "cycle_loss", "update"),
}


def clinic_cgan(answer: Any, setting: Setting) -> Iterator[Case]:
    """Try the answer on the cases of notebook 3."""
    yield from _cases(answer, setting, "cgan")


def clinic_cyclegan(answer: Any, setting: Setting) -> Iterator[Case]:
    """Try the answer on the cases of notebook 4."""
    yield from _cases(answer, setting, "cyclegan")


def _cases(answer: Any, setting: Setting, method: str) -> Iterator[Case]:
    def act(log: Log, letter: str) -> None:
        fault, function, problem = _entry(answer(), letter)
        if problem:
            log("diagnosis", [problem])
            return
        code = fault_code(letter, fault)
        is_right = code == code_of_case(letter)
        # The code tells one wrong name from another, so that a known mistake is recognised.
        log("diagnosis", [_RIGHT_NAME if is_right else _wrong_name(letter, fault), code])
        if not callable(function):
            log("function", [f"Beside the name stands {_kind(function)}, not a function."])
            return
        if _is_wrapped(function):
            log("function", ["Beside the name stands a function that takes no arguments. Hand over "
                             "the mended function itself."])  # fmt: skip
            return
        expected = FUNCTION_OF.get(fault, "")
        try:
            job = job_of(function, expected, _FUNCTIONS[method])
            numbers, told = tell(function, job, setting)
        except Exception as error:
            log("function", [f"It stops with an error: {type(error).__name__}."])
            raise
        log("mended", numbers)
        if is_right and job != expected:
            told = f"It is a function like `{job}`, which cannot have the fault that is named."
            numbers = []
        log("function", [told] if told == RIGHT else [told, *numbers])

    for letter in CASES[method]:
        yield Case(f"case {letter}", partial(act, letter=letter))


def _is_wrapped(function: Callable[..., Any]) -> bool:
    """Return True if a function takes no arguments, as none of the clinic's does."""
    try:
        return not inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


_RIGHT_NAME = "This was the fault."


def _wrong_name(letter: str, fault: str) -> str:
    seen = missing_sign(letter, fault), telling_sign(letter)
    return " ".join(["This training had another fault.", *filter(None, seen)])


def _entry(returned: Any, letter: str) -> tuple[str, Callable[..., Any] | None, str]:
    """Return diagnosis and function of a case, and in a sentence what is wrong with their form."""
    problem = ""
    fault, function = "", None
    if not isinstance(returned, dict):
        problem = f"What was returned is {_kind(returned)}, not a dictionary by letter."
    elif letter not in returned:
        keys = ", ".join(repr(key) for key in list(returned)[:8]) or "none"
        problem = f"Nothing stands under {letter!r}. Keys of the dictionary: {keys}."
    elif not isinstance(returned[letter], (tuple, list)) or len(returned[letter]) != 2:
        kind = _kind(returned[letter])
        problem = f"Under {letter!r} stands {kind}, not a pair of name and function."
    else:
        fault, function = returned[letter]
        if not isinstance(fault, str):
            problem = f"The name comes first: in its place stands {_kind(fault)}."
        elif fault not in FAULTS:
            problem = f"{fault[:60]!r} is not in the list of names."
    return fault, function, problem


def _kind(thing: Any) -> str:
    size = f" of {len(thing)}" if isinstance(thing, (tuple, list)) else ""
    return f"an object of the type {type(thing).__name__}{size}"
