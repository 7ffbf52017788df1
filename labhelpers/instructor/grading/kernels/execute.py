"""Execute a submitted notebook in the sandbox and return its outputs and records."""

from __future__ import annotations

import json
import math
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any

import nbformat
from jupyter_core.utils import ensure_async, run_sync
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbgrader.utils import is_grade

from labhelpers.checks.cases import Setting, public_part
from labhelpers.checks.exercises import EXERCISES
from labhelpers.instructor.course.nbgrader import grade_id
from labhelpers.instructor.grading.kernels.bubblewrap import INSIDE_FILES
from labhelpers.instructor.grading.kernels.sandbox import (
    Limits,
    SandboxedKernelManager,
    make_folder,
)

__all__ = ["Executed", "Job", "checked_exercise", "execute", "exercise_of", "has_run"]

_CHECK = "check-"  # and the id of the exercise: the grade id of its check
# What the kernel runs in the place of a check. It binds every name that it uses: no variable of a
# student is in its way.
_PROBE = """\
import labhelpers.checks.handover

labhelpers.checks.handover.hand_over(
    {exercise!r}, lambda: {name}, series={series}, folder={folder!r}, cell={cell!r}
)"""
_GRACE = 10.0  # seconds that a kernel has to react to an interrupt
_LATE = 60  # seconds that outputs may arrive after a cell's end, as when a student printed a lot
_STARTUP = 120  # seconds that a kernel has to start


@dataclass(frozen=True)
class Job:
    """A submission to execute; it can be sent to another process or machine.

    Attributes:
        student: Name in the gradebook.
        assignment: Name of the assignment.
        notebook: The repaired notebook as JSON.
        series: Which series of cases the answers are tried on. The kernel is told its public part
            only, and gets the files that the rest decides (see `cases.public_part`).
        sandboxed: Whether the kernel runs in the sandbox.
        forked: Whether it may be forked from a process that has imported the packages.
        limits: What it may use.
    """

    student: str
    assignment: str
    notebook: str
    series: int
    sandboxed: bool = True
    forked: bool = True
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Executed:
    """What came of a job.

    Attributes:
        notebook: The notebook with outputs and records, as JSON.
        series: That of the job.
        sandboxed: Whether the kernel ran in the sandbox.
        events: What went wrong while it ran, a sentence each.
        flags: Those of the events that need a human eye.
        seconds: Time used: `start`, `cells` and `total`.
        died: Whether the kernel ended for no reason that we know.
    """

    notebook: str
    series: int
    sandboxed: bool
    events: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    died: bool = False


def checked_exercise(cell: NotebookNode) -> str | None:
    """Return the id of the exercise that a graded cell checks, None for any other cell."""
    exercise = exercise_of(grade_id(cell) or "")
    return exercise if is_grade(cell) and cell.cell_type == "code" else None


def exercise_of(name: str) -> str | None:
    """Return the id of the exercise whose check has this grade id, None for any other cell."""
    exercise = name.removeprefix(_CHECK)
    return exercise if name != exercise and exercise in EXERCISES else None


def has_run(cell: NotebookNode) -> bool:
    """Return True if `execute` got to the end of a cell, with an error or without."""
    return bool(cell.metadata.get("labhelpers", {}).get("ran"))


def execute(job: Job) -> Executed:
    """Execute a notebook from top to bottom.

    Whatever the submission does, a notebook comes back: a cell that fails or takes too long is left
    behind, and where the kernel dies, or fills the outputs, the cells from there on are not run.
    A kernel that dies may have been killed by somebody else, so everything is tried once more.

    Raises:
        RuntimeError: If no kernel could be started, which is not the submission's fault.
    """
    folder = make_folder()
    try:
        files = folder / "files"
        files.mkdir()
        _write_files(job, files)
        executed = run_sync(_execute)(job, files)
        return run_sync(_execute)(job, files) if executed.died else executed
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_files(job: Job, folder: Path) -> None:
    """Write the files that the answers read, for a user of the sandbox's own to read, too."""
    for cell in nbformat.reads(job.notebook, as_version=4).cells:
        if exercise := checked_exercise(cell):
            of_exercise = folder / exercise
            of_exercise.mkdir(exist_ok=True)
            EXERCISES[exercise].write_files(of_exercise, Setting(job.series))
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


async def _execute(job: Job, files: Path) -> Executed:
    began = time.monotonic()
    notebook = nbformat.reads(job.notebook, as_version=4)
    manager = SandboxedKernelManager(
        limits=job.limits,
        files=files,
        sandboxed=job.sandboxed,
        forked=job.forked,
        kernel_name="python3",
    )
    client = _Client(notebook, job, manager)
    try:
        async with client.async_setup_kernel():
            started = client.start_clock()
            for index, cell in enumerate(notebook.cells):
                if cell.cell_type == "code":
                    cell.metadata["labhelpers"] = {"ran": await client.run_cell(cell, index)}
            ended = time.monotonic()
            client.drop_what_is_no_output()
    except DeadKernelError as error:  # before the first cell
        raise RuntimeError(f"No kernel could be started: {manager.verdict or error}") from error
    seconds = {
        "start": started - began,
        "cells": ended - started,
        "total": time.monotonic() - began,
    }
    return Executed(
        nbformat.writes(notebook),
        job.series,
        job.sandboxed,
        tuple(client.events),
        tuple(client.flags),
        {name: round(value, 3) for name, value in seconds.items()},
        client.died,
    )


def _name_of(cell: NotebookNode, index: int) -> str:
    """Return the grade id of a cell, or its position and how its code begins."""
    first, _, _ = cell.source.strip().partition("\n")
    beginning = "".join(filter(str.isprintable, first[:40])) + "…" * (len(first) > 40)
    return grade_id(cell) or f'number {index + 1} ("{beginning}")'


class _Client(NotebookClient):
    """A client that survives what a submission does to its kernel.

    Attributes:
        events: What went wrong, a sentence each.
        flags: Those that need a human eye.
        died: Whether the kernel ended for no reason that we know.
    """

    def __init__(self, nb: NotebookNode, job: Job, km: SandboxedKernelManager) -> None:
        super().__init__(
            nb,
            km,
            allow_errors=True,
            skip_cells_with_tag="",  # else a tag would spare a cell
            shutdown_kernel="immediate",
            startup_timeout=_STARTUP,
            iopub_timeout=_LATE,
            record_timing=False,  # else no two executions would be the same
            store_widget_state=False,
            timeout_func=self._seconds_left,
        )
        self._manager = km
        self.owns_km = True  # so that it shuts the kernel down
        self.comm_open_handlers.clear()  # no widget of a student redirects outputs
        self.events: list[str] = []
        self.flags: list[str] = []
        self.died = False
        self._job = job
        self._deadline = math.inf
        self._is_over = False
        self._size = 0

    def start_clock(self) -> float:
        """Start the time that the notebook has for its cells; return the time now."""
        now = time.monotonic()
        self._deadline = now + self._job.limits.notebook_seconds
        return now

    async def run_cell(self, cell: NotebookNode, index: int) -> bool:
        """Run a code cell, or the probe in the place of a check; return True if it came to an end.

        Args:
            cell: The cell, whose outputs are replaced.
            index: Its position in the notebook.
        """
        cell.outputs, cell.execution_count = [], None
        name = _name_of(cell, index)
        if time.monotonic() >= self._deadline:
            self._give_up(name, "the time for the whole notebook was over")
        if self._is_over:
            return False
        sent = cell
        if exercise := checked_exercise(cell):
            sent = NotebookNode(cell)
            sent.source = _PROBE.format(
                exercise=exercise,
                name=EXERCISES[exercise].name,
                series=public_part(self._job.series),
                folder=INSIDE_FILES if self._job.sandboxed else str(self._manager.files),
                cell=grade_id(cell),
            )
        try:
            await self.async_execute_cell(sent, index)
            return not self._is_over
        except CellTimeoutError:
            limit = self._seconds_left(cell)
            self._note(f"The cell {name} was stopped: it took longer than it may ({limit:.0f} s).")
            await self._interrupt(name)
            return False
        except Exception as error:  # the kernel died, or sent what is no message
            self.died = not (self._is_over or self._manager.verdict)
            reason = str(error).partition("\n")[0] or type(error).__name__
            self._give_up(name, self._manager.verdict or reason)
            return False
        finally:
            cell.outputs = sent.outputs
            self.nb.cells[index] = cell

    def _seconds_left(self, cell: NotebookNode) -> float:
        left = self._deadline - time.monotonic()
        return max(min(left, self._job.limits.cell_seconds), 1.0)

    def _note(self, event: str, needs_eye: bool = False) -> None:
        self.events.append(event)
        if needs_eye:
            self.flags.append(event)

    async def _interrupt(self, name: str) -> None:
        """Stop what the kernel does; kill it if it does not react, or if the time is over."""
        assert self.kc is not None
        if time.monotonic() < self._deadline:
            await ensure_async(self._manager.interrupt_kernel())
            message = self.kc.kernel_info()
            end = time.monotonic() + _GRACE
            while time.monotonic() < end and await ensure_async(self._manager.is_alive()):
                try:
                    reply = await ensure_async(self.kc.shell_channel.get_msg(timeout=1))
                except Empty:
                    continue
                if reply["parent_header"].get("msg_id") == message:
                    return
            self._give_up(name, self._manager.verdict or "it did not stop when it was asked to")
        else:
            self._give_up(name, "the time for the whole notebook was over")

    def _give_up(self, name: str, reason: str) -> None:
        if not self._is_over:
            self._is_over = True
            self._manager.kill_now()
            self._note(
                f"The kernel ended in the cell {name}: {reason}. The cells after it were not run.",
                needs_eye=True,
            )

    def process_message(
        self, msg: dict[str, Any], cell: NotebookNode, cell_index: int
    ) -> NotebookNode | None:
        """Take in a message of the kernel, unless it has sent too much."""
        if self._is_over:
            return None
        self._size += len(str(msg["content"]))
        if self._size > self._job.limits.output_mb * 1e6:
            name = _name_of(cell, cell_index)
            self._give_up(name, f"more than {self._job.limits.output_mb:g} MB of output")
            return None
        try:
            return super().process_message(msg, cell, cell_index)
        except CellControlSignal:
            raise
        except Exception:  # not what a kernel sends: a submission wrote it
            return None

    def drop_what_is_no_output(self) -> None:
        """Take away outputs that no notebook can hold: a submission has written them itself."""
        for index, cell in enumerate(self.nb.cells):
            if cell.cell_type != "code":
                continue
            try:
                nbformat.v4.new_notebook(cells=[cell])  # which validates them
                json.dumps(cell, allow_nan=False, ensure_ascii=False).encode()
            except (nbformat.ValidationError, ValueError, RecursionError):
                cell.outputs, cell.execution_count = [], None
                name = _name_of(cell, index)
                self._note(f"The cell {name} sent what is no output; it was dropped.", True)

    def handle_comm_msg(
        self, outs: list[NotebookNode], msg: dict[str, Any], cell_index: int
    ) -> None:
        """Leave widgets aside: there is no front end."""
