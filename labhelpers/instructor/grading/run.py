"""Grade a class: execute in parallel, write in one process, go on where a run was stopped."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import sqlalchemy as sa
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from nbgrader.converters import Autograde
from tqdm import tqdm

from labhelpers.instructor.authoring.edits import BuildError
from labhelpers.instructor.course.nbgrader import (
    REPOSITORY,
    CourseError,
    convert,
    open_course,
    refuse_unknown,
)
from labhelpers.instructor.grading import ledger
from labhelpers.instructor.grading.intake.ids import whose
from labhelpers.instructor.grading.intake.submitted import normalise_in_place
from labhelpers.instructor.grading.kernels.execute import Executed, Job, exercise_of
from labhelpers.instructor.grading.kernels.sandbox import Limits, sandbox_problem
from labhelpers.instructor.grading.keys import key_of, same_submission
from labhelpers.instructor.grading.numbers import numbers_for
from labhelpers.instructor.grading.repair.authority import read_release
from labhelpers.instructor.grading.workers import (
    AGAIN,
    DaskWorkers,
    LocalWorkers,
    Result,
    Workers,
    execute_all,
)

__all__ = ["AutogradeInHalves", "Means", "Outcome", "Plan", "carry_out", "grade", "plan"]


# Submissions of a run among which there will be wrong answers to most exercises.
_MANY = 8
# Submissions per worker from which on it pays to import the packages once and fork kernels.
_TO_FORK = 4
# Series to try before a reference solution counts as wrong.
_DRAWS = 3


@dataclass(frozen=True)
class Means:
    """By what means submissions are executed.

    Attributes:
        workers: Number of worker processes, None for one per processor.
        scheduler: Address of a Dask cluster that executes in their place.
        sandboxed: Whether submissions run in the sandbox.
        show: Gets a line on what there is to do and, where there is no terminal for a progress
            bar, one for each submission.
    """

    workers: int | None = None
    scheduler: str | None = None
    sandboxed: bool = True
    show: Callable[[str], None] = print

    def crew(self, number: int) -> Workers:
        """Return the workers for a number of submissions."""
        if self.scheduler:
            return DaskWorkers(self.scheduler, self.sandboxed)
        return LocalWorkers(min(self.workers or os.cpu_count() or 1, number))


@dataclass
class Plan:
    """What there is to do in an assignment.

    Attributes:
        course: The course.
        assignment: Name of the assignment.
        keys: The new key of each submission to grade, by student.
        afresh: Those of them that are new or changed, and get the series of this run.
        unchanged: Students whose submissions are graded already.
        failed: Why there is nothing to grade of a student.
        exercises: Ids of the exercises whose answers are judged by records.
        notices: What was mended in the folder of submissions, a sentence each.
    """

    course: NbGraderAPI
    assignment: str
    keys: dict[str, str] = field(default_factory=dict)
    afresh: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    exercises: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


@dataclass
class Outcome:
    """What came of a run.

    Attributes:
        graded: The scores in words, by student.
        unchanged: Students whose submissions were graded already.
        flags: Why a person should look, by student, of all that have been graded so far.
        failed: Why a submission could not be graded, by student.
        notices: What was mended in the folder of submissions, a sentence each.
        seconds: Time used.
    """

    graded: dict[str, str] = field(default_factory=dict)
    unchanged: list[str] = field(default_factory=list)
    flags: dict[str, list[str]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def in_words(self) -> str:
        """Return the summary for a terminal."""
        lines = [
            f"Graded: {len(self.graded)}. Skipped, as unchanged: {len(self.unchanged)}. "
            f"Could not be graded: {len(self.failed)}. Time: {self.seconds:.0f} s."
        ]
        for title, sentences in (
            ("Mended in the folder of submissions", self.notices),
            ("Not graded", [f"{student}: {why}" for student, why in self.failed.items()]),
            (
                "Need a human eye",
                [f"{student}: {why}" for student, flags in self.flags.items() for why in flags],
            ),
        ):
            if sentences:
                lines += [f"{title}:", *(f"  {sentence}" for sentence in sentences)]
        return "\n".join(lines)


def grade(
    assignment: str,
    students: Collection[str] = (),
    root: Path = REPOSITORY,
    means: Means = Means(),
    *,
    regrade: bool = False,
) -> Outcome:
    """Grade what is new or has changed, and go on after what cannot be graded.

    Args:
        assignment: Name of the assignment.
        students: Whose submissions; empty for all that are in the folder.
        root: Folder of the course.
        means: By what means they are executed.
        regrade: Whether to grade again what has not changed.

    Raises:
        CourseError: If there is no such assignment, nothing was handed in for it, there is no
            sandbox, or the run was stopped: by Ctrl-C, the gradebook or the disk.
    """
    todo = plan(open_course(root), assignment, students, regrade)
    return carry_out(todo, means)


def plan(
    course: NbGraderAPI, assignment: str, students: Collection[str] = (), regrade: bool = False
) -> Plan:
    """Return what there is to grade; see `grade`."""
    root = Path(course.coursedir.root)
    refuse_unknown(assignment, root)
    notices = [line.in_words() for line in normalise_in_place(course, assignment)]
    submitted = root / course.coursedir.submitted_directory
    students = dict.fromkeys(students) or sorted(
        path.parent.name for path in submitted.glob(f"*/{assignment}")
    )
    if not students:
        raise CourseError(
            f"Nothing was handed in for {assignment!r}. "
            f"Expected {submitted}/STUDENT/{assignment}/{assignment}.ipynb."
        )
    todo = Plan(course, assignment, notices=notices)
    with _stopping_in_words():
        release = read_release(course, assignment)
        if regrade:  # noted there, so that a run that is stopped goes on without the option
            ledger.outdate(course.coursedir.db_url, assignment, students)
        keys = ledger.read_keys(course.coursedir.db_url, assignment)
        present = _graded(course, assignment)
    checked = (exercise_of(cell.grade_id) for cell in release.cells if cell.grade)
    todo.exercises = [exercise for exercise in checked if exercise]
    for student in students:
        folder = submitted / student / assignment
        notebook = folder / f"{assignment}.ipynb"
        try:
            new = key_of(notebook, release, root / "nbgrader_config.py")
        except OSError:
            found = ", ".join(sorted(path.name for path in folder.glob("*"))) or "nothing"
            todo.failed[student] = f"There is no {notebook.name}; {folder} holds {found}."
            continue
        old = keys.get(student, "") if student in present else ""
        if new == old:
            todo.unchanged.append(student)
            continue
        todo.keys[student] = new
        if not same_submission(old, new):
            todo.afresh.append(student)
    return todo


def _graded(course: NbGraderAPI, assignment: str) -> set[str]:
    """Return the students who are in the gradebook and whose graded notebook is in its folder."""
    folders = course.coursedir
    with Gradebook(folders.db_url, folders.course_id) as gradebook:
        known = {one.student_id for one in gradebook.assignment_submissions(assignment)}
    return {
        student
        for student in known
        if Path(
            folders.format_path(folders.autograded_directory, student, assignment),
            f"{assignment}.ipynb",
        ).exists()
    }


def carry_out(todo: Plan, means: Means) -> Outcome:
    """Grade what is planned; see `grade`."""
    if means.sandboxed and not means.scheduler and (problem := sandbox_problem()):
        raise CourseError(
            f"{problem} Without a sandbox points are still protected: they come from numbers that "
            "no submission can see. Files and network of this machine are not: a submission can "
            "read, change and send what you can. Give --no-sandbox to grade nevertheless."
        )
    began = time.monotonic()
    outcome = Outcome(unchanged=todo.unchanged, failed=todo.failed, notices=todo.notices)
    try:
        with _stopping_in_words():
            if todo.keys:
                _grade_all(todo, outcome, means)
            _read_flags(todo, outcome)
    except KeyboardInterrupt:
        raise CourseError(
            f"Stopped. {len(outcome.graded)} of {len(todo.keys)} submissions are graded. {AGAIN}"
        ) from None
    outcome.seconds = time.monotonic() - began
    return outcome


def _grade_all(todo: Plan, outcome: Outcome, means: Means) -> None:
    db_url, assignment = todo.course.coursedir.db_url, todo.assignment
    crew = means.crew(len(todo.keys))
    where = means.scheduler or f"{crew.room} worker" + "s" * (crew.room > 1)
    means.show(_announcement(todo, where))
    progress = _Progress(len(todo.keys), outcome, means.show)
    numbers = ThreadPoolExecutor(1)
    try:
        known = None
        if todo.afresh:
            series = _begin(db_url, assignment, todo.exercises)
            ledger.set_series(db_url, assignment, todo.afresh, series)
            if len(todo.afresh) >= _MANY:
                known = numbers.submit(_work_out, todo.exercises, series)
        forked = len(todo.keys) >= _TO_FORK * crew.room
        jobs = _jobs(todo, outcome, progress, means.sandboxed, forked)
        results = execute_all(jobs, crew)
        for job, result in _held_back(results, known):
            student = job.student
            if isinstance(result, Executed):
                try:
                    with _uninterrupted():
                        _write(todo.course, job, result)
                        ledger.set_key(db_url, student, assignment, todo.keys[student])
                        outcome.graded[student] = _in_words(todo.course, student, assignment)
                except CourseError as error:
                    _stop_if_not_its_fault(error)
                    outcome.failed[student] = str(error)
            else:
                outcome.failed[student] = str(result)
            progress.advance(student)
    finally:
        progress.close()
        numbers.shutdown(wait=False, cancel_futures=True)
        crew.close()
    ledger.end_run(db_url, assignment)


def _read_flags(todo: Plan, outcome: Outcome) -> None:
    """Take in why a person should look at what is graded, now or before."""
    chosen = {*todo.keys, *todo.unchanged}
    for trace in ledger.read_traces(todo.course.coursedir.db_url, todo.assignment):
        if trace["flags"] and trace["student"] in chosen:
            outcome.flags[trace["student"]] = trace["flags"]
    for student in sorted(chosen):
        if why := whose(student):
            outcome.flags[student] = [*outcome.flags.get(student, []), *why]


def _announcement(todo: Plan, where: str) -> str:
    """Return what is about to be done, and what takes time before the first score is there."""
    text = f"{len(todo.keys)} to grade with {where}."
    if not (todo.exercises and todo.afresh):
        return text
    text += " First the right numbers of this run are worked out"
    if len(todo.afresh) >= _MANY:
        text += ", then, while submissions run, those of known mistakes; scores come after these"
    return f"{text}. This can take minutes."


def _begin(db_url: str, assignment: str, exercises: list[str]) -> int:
    """Return the series of the run: one on which the reference solutions work."""
    for _ in range(_DRAWS):
        series = ledger.begin_run(db_url, assignment)
        try:
            for exercise in exercises:
                numbers_for(exercise, series)
            return series
        except BuildError as error:
            ledger.end_run(db_url, assignment)
            problem = error
    raise problem


def _work_out(exercises: list[str], series: int) -> None:
    """Work out what known mistakes give, which takes a while, before the writer asks for it."""
    for exercise in exercises:
        numbers_for(exercise, series, mistakes=True)


def _held_back(
    results: Iterator[tuple[Job, Result]], until: Future[None] | None
) -> Iterator[tuple[Job, Result]]:
    """Yield results, none before `until` is done; meanwhile the workers go on."""
    waiting = []
    for result in results:
        waiting.append(result)
        if until is None or until.done():
            yield from waiting
            waiting.clear()
    if until:
        until.result()
    yield from waiting


class _Progress:
    """A bar on a terminal, elsewhere a line for each submission."""

    def __init__(self, total: int, outcome: Outcome, show: Callable[[str], None]) -> None:
        self._total, self._outcome, self._show = total, outcome, show
        self._done = self._failed = 0
        self._bar = tqdm(total=total, unit="submission", disable=not sys.stderr.isatty())

    def advance(self, student: str) -> None:
        self._done += 1
        line = self._outcome.graded.get(student)
        if line is None:
            self._failed += 1
            line = f"not graded: {self._outcome.failed[student]}"
        if self._bar.disable:
            self._show(f"[{self._done}/{self._total}] {student}: {line}")
        self._bar.set_postfix(failed=self._failed, refresh=False)
        self._bar.update()

    def close(self) -> None:
        self._bar.close()


def _jobs(
    todo: Plan, outcome: Outcome, progress: _Progress, sandboxed: bool, forked: bool
) -> Iterator[Job]:
    folders = todo.course.coursedir
    limits = todo.course.config.ExecuteSubmission.get("limits", Limits())
    for student in todo.keys:
        folders.assignment_id, folders.student_id = todo.assignment, student
        try:
            notebook = AutogradeInHalves(coursedir=folders, parent=todo.course).sanitised()
        except sa.exc.OperationalError:
            raise
        except Exception as error:  # whatever nbgrader raises on this one
            outcome.failed[student] = f"{type(error).__name__}: {error}"
            progress.advance(student)
            continue
        series = ledger.series_for(folders.db_url, todo.assignment, student)
        yield Job(student, todo.assignment, notebook, series, sandboxed, forked, limits)


class AutogradeInHalves(Autograde):
    """nbgrader's autograding, cut where a worker executes the notebook."""

    def sanitised(self) -> str:
        """Return the submitted notebook, repaired, with nbgrader's cells as released, as JSON."""
        self.init_notebooks()
        ((path,),) = self.assignments.values()
        self.exporter = self.exporter_class(parent=self, config=self.config)
        self._init_preprocessors()
        resources = self.init_single_notebook_resources(path)
        notebook, _ = self.exporter.from_filename(path, resources=resources)
        return notebook

    def convert_single_notebook(self, notebook_filename: str) -> None:
        """Autograde what the preprocessor `ExecuteSubmission` got as `executed`."""
        resources = self.init_single_notebook_resources(notebook_filename)
        executed = nbformat.reads(self.config.ExecuteSubmission.executed.notebook, as_version=4)
        self._sanitizing = False
        try:
            self._init_preprocessors()
            output, resources = self.exporter.from_notebook_node(executed, resources)
        finally:
            self._sanitizing = True
        self.write_single_notebook(output, resources)


def _write(course: NbGraderAPI, job: Job, executed: Executed) -> None:
    """Let nbgrader write scores and the graded notebook."""
    course.config.ExecuteSubmission.executed = executed
    try:
        convert(course, AutogradeInHalves, job.assignment, job.student)
    finally:
        del course.config.ExecuteSubmission.executed


def _in_words(course: NbGraderAPI, student: str, assignment: str) -> str:
    folders = course.coursedir
    with Gradebook(folders.db_url, folders.course_id) as gradebook:
        grades = gradebook.find_submission_notebook(assignment, assignment, student).grades
        automatic = [grade for grade in grades if grade.cell_type == "code"]
        cells = ", ".join(
            f"{grade.name.removeprefix('check-')} {grade.score:g}/{grade.max_score:g}"
            for grade in automatic
        )
        score, points = (sum(getattr(g, n) for g in automatic) for n in ("score", "max_score"))
        waiting = sum(grade.needs_manual_grade for grade in grades)
    return f"{score:g} of {points:g} points ({cells})" + (
        f", {waiting} to grade by hand" if waiting else ""
    )


# What stops a run, by the words of the database or the system, and what to do about it.
_STOPS = {
    "database is locked": "Another program holds the gradebook: close the formgrader, or wait.",
    "database or disk is full": "The disk is full: make room.",
    "No space left on device": "The disk is full: make room.",
    "disk I/O error": "The disk that holds the gradebook fails.",
    "readonly database": "The gradebook may not be written: give yourself the right to.",
    "OperationalError": "The gradebook's database does not answer as it should.",
}


def _stop_if_not_its_fault(error: Exception) -> None:
    """Raise in words where it is the database or the disk that fails, not the submission."""
    text = f"{type(error).__name__}: {error}"
    for words, advice in _STOPS.items():
        if words in text:
            reason = text.strip().splitlines()[-1]
            raise CourseError(f"{advice} {AGAIN} ({reason})") from error


@contextmanager
def _stopping_in_words() -> Iterator[None]:
    try:
        yield
    except (sa.exc.OperationalError, OSError) as error:
        _stop_if_not_its_fault(error)
        raise


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait until a submission is written."""
    pressed = False

    def remember(*_: object) -> None:
        nonlocal pressed
        pressed = True

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if pressed:
            raise KeyboardInterrupt
