"""Workers with stand-ins for the execution, so that no kernel is needed."""

import os
import signal
import time
from pathlib import Path

import pytest

from labhelpers.instructor.course.nbgrader import CourseError
from labhelpers.instructor.grading import workers
from labhelpers.instructor.grading.kernels.execute import Executed, Job
from labhelpers.instructor.grading.kernels.sandbox import Limits
from labhelpers.instructor.grading.workers import LocalWorkers, execute_all


def stand_in(job):
    """Does what the assignment says, in a worker process."""
    match job.assignment.split():
        case ["die"]:
            os.kill(os.getpid(), signal.SIGKILL)
        case ["die-once", path]:
            if not Path(path).exists():
                Path(path).touch()
                os.kill(os.getpid(), signal.SIGKILL)
        case ["raise"]:
            raise OSError("no room")
        case ["hang"]:
            time.sleep(600)
    return Executed(f"{os.environ['OMP_NUM_THREADS']} thread", job.series, job.sandboxed)


def results(jobs, number=2):
    crew = LocalWorkers(number, stand_in)
    try:
        return {job.student: result for job, result in execute_all(iter(jobs), crew)}
    finally:
        crew.close()


def test_a_job_that_kills_its_workers_is_found_and_the_others_are_done(tmp_path):
    jobs = [Job("ann", "work", "{}", 7), Job("bob", "die", "{}", 7)]
    jobs += [Job("cat", f"die-once {tmp_path / 'died'}", "{}", 7), Job("dan", "work", "{}", 7)]
    found = results(jobs)
    whole = Executed("1 thread", 7, True)
    sentence = "The notebook could not be executed: its worker process died 3 times (exit code -9)."
    assert found.pop("bob") == Executed("{}", 7, True, (sentence,), (sentence,))
    assert found == {"ann": whole, "cat": whole, "dan": whole}


def test_a_failure_that_is_not_the_submissions_is_handed_back():
    found = results([Job("ann", "raise", "{}", 7)], 1)
    assert str(found["ann"]) == "OSError: no room"


def test_a_worker_that_does_not_come_to_an_end_is_killed(monkeypatch):
    monkeypatch.setattr(workers, "_GRACE", 0)
    found = results([Job("ann", "hang", "{}", 7, limits=Limits(notebook_seconds=2))], 1)
    assert "its worker did not come to an end" in found["ann"].flags[0]


@pytest.mark.parametrize("room", [1, 3])
def test_jobs_are_made_when_a_worker_is_about_to_be_free(room):
    made, done = [], []

    class Crew:
        def __init__(self):
            self.room, self.under_way = room, []

        def submit(self, job):
            self.under_way.append(job)
            assert len(self.under_way) <= room

        def wait(self):
            return self.under_way.pop(0), None

    jobs = (made.append(i) or Job(str(i), "work", "{}", 7) for i in range(9))
    for job, _ in execute_all(jobs, Crew()):
        done.append(job.student)
        assert len(made) <= len(done) + room + 1
    assert done == [*"012345678"]


class Ends:
    """Ends each process that it is sent to."""

    def __reduce__(self):
        return os._exit, (5,)


def test_workers_that_cannot_begin_are_no_fault_of_a_submission():
    crew = LocalWorkers(1, Ends())
    with pytest.raises(CourseError, match=r"end before they can begin \(exit code 5\)"):
        list(execute_all(iter([Job("ann", "work", "{}", 7)]), crew))
    crew.close()
