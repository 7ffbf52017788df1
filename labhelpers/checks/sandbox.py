"""Run code of a student so that nothing it does harms the report or the next cells."""

from __future__ import annotations

import contextlib
import io
import linecache
import logging
import os
import random
import signal
import sys
import sysconfig
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch

from labhelpers.checks.records import MOST_WARNINGS, ErrorRecord

__all__ = ["Outcome", "own_frames", "run"]

_MESSAGE_LENGTH = 300
_PRINTED_LENGTH = 2_000
_CROWDED = 4  # times its limit that a process may take that is not given the processor
_TICK = 0.2  # seconds from one look at the time to the next


def _default_device() -> torch.device:
    """Return where new tensors go; older versions of `get_default_device` fail after a reset."""
    return torch.empty(0).device


def _working_folder() -> str:
    """Return the working folder, "" if it was removed."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def _go_to(folder: str) -> None:
    if folder:
        os.chdir(folder)


# Settings that code may change and that outlive it: how to read and how to write each.
_SETTINGS: list[tuple[Callable, Callable]] = [
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    *(
        (partial(getattr, torch.backends.cudnn, flag), partial(setattr, torch.backends.cudnn, flag))
        for flag in ("benchmark", "deterministic")
    ),
    (_default_device, torch.set_default_device),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    (np.geterr, lambda settings: np.seterr(**settings)),
    (_working_folder, _go_to),
]


@dataclass
class Outcome:
    """What happened while code of a student ran.

    Attributes:
        error: What was raised, None if nothing was.
        printed: What it wrote on stdout and stderr, shortened.
        warnings: The first few different warnings.
    """

    error: ErrorRecord | None = None
    printed: str = ""
    warnings: list[str] = field(default_factory=list)


class _TooLong(BaseException):
    """The time is over. Not an `Exception`, so that `except Exception` does not swallow it."""


def run(action: Callable[[], object], seconds: float, seed: int = 0) -> Outcome:
    """Call `action` and return what happened; nothing but KeyboardInterrupt escapes.

    Output and warnings are collected, the time is limited where the system allows it (in the main
    thread, not on Windows), and random states and global settings are put back afterwards.

    Args:
        action: Function without arguments.
        seconds: Time after which it is stopped, if it has been at work for half of it.
        seed: Of the random numbers that it draws.
    """
    outcome = Outcome()
    printed = io.StringIO()
    with (
        _settings_restored(seed),
        _descriptor_silenced(printed),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        # What later versions of packages change says nothing of an answer.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            _call_with_limit(action, seconds)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit included
            outcome.error = _describe(error, seconds)
    outcome.printed = printed.getvalue()[:_PRINTED_LENGTH]
    messages = dict.fromkeys(
        f"{w.category.__name__}: {w.message}"
        for w in caught
        if Path(__file__).parent not in Path(w.filename).parents  # the check's own lines
    )
    outcome.warnings = [_shortened(message) for message in messages][:MOST_WARNINGS]
    return outcome


@contextlib.contextmanager
def _settings_restored(seed: int) -> Iterator[None]:
    """Start from a fixed state, put the caller's state back at the end."""
    settings = [(read(), read, write) for read, write in _SETTINGS]
    python_state, numpy_state = random.getstate(), np.random.get_state()
    torch_state = torch.get_rng_state()
    cuda_states = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    logging_level = logging.root.manager.disable
    try:
        torch.set_grad_enabled(True)
        # Threads of small tensors wait for each other, on a busy machine for many times the work.
        torch.set_num_threads(1)
        if _default_device().type != "cpu":  # fixtures live on the CPU
            torch.set_default_device("cpu")
        torch.default_generator.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        # Handlers keep the stderr of the time when they were made, out of our reach.
        logging.disable(logging.CRITICAL)
        yield
    finally:
        for before, read, write in settings:
            if read() != before:
                write(before)
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        torch.set_rng_state(torch_state)
        if cuda_states:
            torch.cuda.set_rng_state_all(cuda_states)
        logging.disable(logging_level)


@contextlib.contextmanager
def _descriptor_silenced(printed: io.StringIO) -> Iterator[None]:
    """Collect what goes to descriptor 2 past `sys.stderr`: child processes, compiled code."""
    with contextlib.suppress(Exception):  # whatever stands there
        sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:  # there is none, as in a program without a console
        yield
        return
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            sink.seek(0)
            printed.write(sink.read(_PRINTED_LENGTH).decode(errors="replace"))


def _call_with_limit(action: Callable[[], object], seconds: float) -> None:
    """Call `action` and raise `_TooLong` in it once the time is over."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not (in_main_thread and hasattr(signal, "setitimer")):
        action()
        return

    started, worked_before = time.monotonic(), time.process_time()
    acting = True

    def stop(*_: object) -> None:
        worked = time.process_time() - worked_before
        is_over = worked > seconds / 2 or time.monotonic() - started > _CROWDED * seconds
        if acting and is_over:  # a last alarm must not hit our own code
            raise _TooLong

    handler = signal.signal(signal.SIGALRM, stop)
    other_alarm = signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.01), _TICK)
    try:
        try:
            action()
        finally:
            acting = False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if other_alarm[0]:  # another alarm was under way, of a test runner, say
            left = max(other_alarm[0] - (time.monotonic() - started), 0.01)
            signal.setitimer(signal.ITIMER_REAL, left, other_alarm[1])


def _describe(error: BaseException, seconds: float) -> ErrorRecord:
    frames = traceback.extract_tb(error.__traceback__)
    own = own_frames(error)
    # PyTorch raises NotImplementedErrors, too, in lines that do not say `raise`.
    raised_by_student = bool(own) and own[-1] == frames[-1] and "raise" in _line(own[-1])
    if isinstance(error, _TooLong):
        kind, message = "too long", f"It was stopped after {seconds:g} seconds."
    elif isinstance(error, NotImplementedError) and raised_by_student:
        kind, message = "not written", _message(error)
    else:
        kind, message = "exception", _message(error)
    name = "TimeoutError" if kind == "too long" else _shortened(type(error).__name__)
    line = _shortened(_line(own[-1])) if own else ""
    return ErrorRecord(kind=kind, type=name, message=message, line=line)


def own_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Return the student's own lines on the way to an error, the one that failed last."""
    frames = traceback.extract_tb(error.__traceback__)
    return [frame for frame in frames if not _is_library(frame.filename)]


def _message(error: BaseException) -> str:
    try:
        message = str(error)
    except Exception:  # an exception class of the student whose text fails
        return ""
    return _shortened(message)


def _shortened(text: str) -> str:
    """Return the whole words of a text that there is room for."""
    if len(text) <= _MESSAGE_LENGTH:
        return text
    return f"{text[:_MESSAGE_LENGTH].rsplit(maxsplit=1)[0]} …"


def _line(frame: traceback.FrameSummary) -> str:
    code = linecache.getline(frame.filename, frame.lineno or 0).strip()
    return f"line {frame.lineno} of {frame.name}" + (f": {code}" if code else "")


def _library_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders |= {str(Path(torch.__file__).parent), str(Path(__file__).parents[1])}
    return tuple(os.path.join(os.path.realpath(folder), "") for folder in folders)


_LIBRARY_FOLDERS = _library_folders()


def _is_library(filename: str) -> bool:
    """Return True for library code; a student's cells have made-up file names."""
    if filename.startswith("<frozen"):
        return True
    return os.path.realpath(filename).startswith(_LIBRARY_FOLDERS)
