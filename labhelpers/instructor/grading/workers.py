"""Execute submissions in parallel: in processes of this machine, or on a Dask cluster."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from labhelpers.instructor.course.nbgrader import CourseError
from labhelpers.instructor.grading.kernels.execute import Executed, Job, execute
from labhelpers.instructor.grading.keys import code_digest

__all__ = ["AGAIN", "DaskWorkers", "LocalWorkers", "Result", "Workers", "execute_all"]

#: What comes of a job: an exception if the job is not to blame.
Result = Executed | Exception

_READY = Ellipsis  # what a worker process sends first: there is only one, in every process

# A job whose worker died this often was alone in it each time: it is the reason.
_TRIES = 3
# Seconds beyond its own limit after which a job counts as stuck.
_GRACE = 300
# Seconds to wait for a scheduler, and for workers to come back.
_PATIENCE = 60
#: What to do after a run was stopped.
AGAIN = "Run the same command again, without --regrade: it goes on where it stopped."


class Workers(Protocol):
    """Where jobs are executed."""

    @property
    def room(self) -> int:
        """How many jobs may be under way."""

    def submit(self, job: Job) -> None:
        """Start a job."""

    def wait(self) -> tuple[Job, Result]:
        """Return a job that has ended and what came of it, an exception if it is none of its own.

        A job that ends its worker time after time comes back as executed, without any output.
        """

    def close(self) -> None:
        """End everything that is under way."""


def execute_all(jobs: Iterator[Job], workers: Workers) -> Iterator[tuple[Job, Result]]:
    """Yield jobs with their results as they come, while the workers go on.

    Args:
        jobs: Are asked for one at a time, shortly before a worker is free.
        workers: Where they are executed.
    """
    under_way = 0
    ready = next(jobs, None)
    while ready or under_way:
        while ready and under_way < workers.room:
            workers.submit(ready)
            under_way += 1
            ready = next(jobs, None)
        done = workers.wait()
        under_way -= 1
        if ready:  # first: the caller takes a while with the result
            workers.submit(ready)
            under_way += 1
            ready = None
        yield done
        ready = ready or next(jobs, None)


def _unexecuted(job: Job, why: str) -> Executed:
    sentence = f"The notebook could not be executed: {why}."
    return Executed(job.notebook, job.series, job.sandboxed, (sentence,), (sentence,))


class LocalWorkers:
    """Processes of this machine, each with one job at a time, so that a death has one culprit."""

    def __init__(self, number: int, run: Callable[[Job], Executed] = execute) -> None:
        """Start the processes.

        Args:
            number: How many.
            run: What they do with a job.
        """
        self._run = run
        self._free = [_Process(run) for _ in range(number)]
        self._busy: list[_Process] = []
        self.room = number

    def submit(self, job: Job) -> None:
        """Give a job to a free process."""
        process = self._free.pop()
        process.start(job)
        self._busy.append(process)

    def wait(self) -> tuple[Job, Result]:
        """Return the next job that has ended; see `Workers`."""
        while True:
            first = min(process.deadline for process in self._busy)
            wait(
                [end for process in self._busy for end in process.ends],
                timeout=max(0, first - time.monotonic()),
            )
            for process in self._busy:
                if (result := process.result()) is not None:
                    self._busy.remove(process)
                    if not process.is_alive():
                        process = _Process(self._run)
                    self._free.append(process)
                    return result

    def close(self) -> None:
        """Kill the processes; their kernels end with them."""
        for process in (*self._free, *self._busy):
            process.kill()


class _Process:
    """A worker process, begun anew when it dies.

    Attributes:
        deadline: When the job under way counts as stuck, by `time.monotonic`.
    """

    def __init__(self, run: Callable[[Job], Executed]) -> None:
        self._run = run
        self._begin()

    def _begin(self) -> None:
        # Not forked: this process has threads and connections to the gradebook.
        method = "forkserver" if hasattr(os, "fork") else "spawn"
        context: Any = multiprocessing.get_context(method)
        context.set_forkserver_preload([__name__])  # what takes long to import is imported once
        self._is_ready = False
        self._connection, theirs = context.Pipe()
        arguments = (theirs, self._run, dict(os.environ))
        self._process = context.Process(target=_serve, args=arguments)
        self._process.start()
        theirs.close()

    def start(self, job: Job) -> None:
        self._job, self._deaths = job, 0
        self._send()

    def _send(self) -> None:
        self.deadline = time.monotonic() + self._job.limits.notebook_seconds + _GRACE
        with contextlib.suppress(OSError):  # it has died meanwhile, which `result` finds out
            self._connection.send(self._job)

    @property
    def ends(self) -> tuple[Connection, int]:
        """What `multiprocessing.connection.wait` waits for."""
        return self._connection, self._process.sentinel

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def result(self) -> tuple[Job, Result] | None:
        """Return the job with its result, None if it is still under way.

        Raises:
            CourseError: If the process dies time after time before it can begin.
        """
        try:
            while self._connection.poll():
                if (received := self._connection.recv()) is not _READY:
                    return self._job, received
                self._is_ready = True
        except (EOFError, OSError):
            self._process.join()
        is_stuck = time.monotonic() > self.deadline
        if self._process.is_alive() and not is_stuck:
            return None
        self.kill()
        self._deaths += 1
        if is_stuck:
            return self._job, _unexecuted(self._job, "its worker did not come to an end")
        if self._deaths == _TRIES and not self._is_ready:
            raise CourseError(
                "The worker processes end before they can begin "
                f"(exit code {self._process.exitcode}); what they say stands above. {AGAIN}"
            )
        if self._deaths == _TRIES:
            how = f"its worker process died {_TRIES} times (exit code {self._process.exitcode})"
            return self._job, _unexecuted(self._job, how)
        self._begin()
        self._send()
        return None

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self._connection.close()


def _serve(
    connection: Connection, run: Callable[[Job], Executed], environment: dict[str, str]
) -> None:
    """Do one job after the other, until the parent ends."""
    if hasattr(os, "setsid"):
        os.setsid()  # Ctrl-C is for the parent, which then ends this process
    os.environ.update(environment, OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")  # in the kernels
    threading.Thread(target=_end_with_parent, daemon=True).start()
    connection.send(_READY)
    while True:
        job = connection.recv()
        try:
            result: Result = run(job)
        except Exception as error:
            result = RuntimeError(f"{type(error).__name__}: {error}")
        connection.send(result)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


class DaskWorkers:
    """The workers of a Dask cluster; they need labhelpers and bubblewrap, jobs bring the rest."""

    def __init__(self, address: str, sandboxed: bool = True) -> None:
        """Connect to a scheduler.

        Args:
            address: Of the scheduler, `tcp://HOST:PORT`.
            sandboxed: Whether the workers need a sandbox.

        Raises:
            CourseError: If there is no cluster, or a worker lacks something.
        """
        try:
            import distributed
        except ImportError as error:
            raise CourseError(
                "A scheduler needs the package distributed: pip install 'labhelpers[cluster]'."
            ) from error
        self._dask: Any = distributed
        self._address = address
        try:
            self._client = distributed.Client(address, timeout=_PATIENCE)
        except (OSError, ValueError) as error:
            raise CourseError(f"No Dask scheduler answers at {address} ({error}).") from error
        self._jobs: dict[Any, Job] = {}
        self._seen = time.monotonic()  # when there last was a worker
        try:
            self._refuse_unfit(sandboxed)
        except BaseException:
            self._client.close()
            raise

    def _refuse_unfit(self, sandboxed: bool) -> None:
        try:
            self._client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError as error:
            raise CourseError(
                f"The scheduler at {self._address} has no worker. Start some there: "
                f"dask worker {self._address} --nworkers auto --nthreads 1"
            ) from error

        # Defined here so that Dask sends its code, not the name of a module that may be missing.
        def problem(digest: str) -> str | None:
            try:
                from labhelpers.instructor.grading.kernels.sandbox import sandbox_problem
                from labhelpers.instructor.grading.keys import code_digest
            except ImportError as error:
                return f"{error}. Install this repository there, with its dependencies."
            if code_digest() != digest:
                return "its labhelpers is not the one here. Install the same version."
            return sandbox_problem() if sandboxed else None

        for worker, reason in self._client.run(problem, code_digest()).items():
            if reason:
                raise CourseError(f"The Dask worker at {worker} cannot grade: {reason}")

    @property
    def room(self) -> int:
        """Two jobs for each thread, so that none waits for the next."""
        return 2 * sum(self._client.nthreads().values()) or 1

    def submit(self, job: Job) -> None:
        """Send a job; it is tried again elsewhere if its worker is lost."""
        future = self._client.submit(execute, job, pure=False, retries=_TRIES - 1)
        self._jobs[future] = job

    def wait(self) -> tuple[Job, Result]:
        """Return the next job that has ended; see `Workers`."""
        while True:
            try:
                self._dask.wait([*self._jobs], timeout=5, return_when="FIRST_COMPLETED")
            except TimeoutError:
                self._refuse_empty()
                continue
            future = next(future for future in self._jobs if future.done())
            job = self._jobs.pop(future)
            try:
                return job, future.result()
            except self._dask.scheduler.KilledWorker:
                return job, _unexecuted(job, "the Dask workers that tried it died")
            except (self._dask.client.FutureCancelledError, self._dask.CancelledError) as error:
                raise CourseError(
                    f"The scheduler at {self._address} is gone ({error}). {AGAIN}"
                ) from error
            except Exception as error:
                return job, RuntimeError(f"{type(error).__name__}: {error}")

    def _refuse_empty(self) -> None:
        if self._client.nthreads():
            self._seen = time.monotonic()
        elif time.monotonic() > self._seen + _PATIENCE:
            raise CourseError(f"All workers of {self._address} are gone. Start some. {AGAIN}")

    def close(self) -> None:
        """Give up what is under way, and leave the cluster to others."""
        self._client.cancel([*self._jobs])
        self._client.close()
