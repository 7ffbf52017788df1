"""Take in what students handed in, from where a course collects it."""

import csv
import os
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI

from labhelpers.instructor.course.nbgrader import REPOSITORY, CourseError, open_course
from labhelpers.instructor.grading.intake.archives import zip_problem
from labhelpers.instructor.grading.intake.attempts import Attempt, Intake
from labhelpers.instructor.grading.intake.ids import StudentIds
from labhelpers.instructor.grading.intake.released import read_traits
from labhelpers.instructor.grading.intake.roster import Roster, read_roster
from labhelpers.instructor.grading.intake.submitted import (
    TIMESTAMP,
    Line,
    keep,
    normalise_in_place,
    put,
    submission_folder,
    submission_time,
)
from labhelpers.instructor.grading.safe_text import harmless, visible

__all__ = ["Collected", "collect"]

#: What a line of the report can say, in the order of the report.
KINDS = {
    "taken": "taken",
    "replaced": "taken in place of an older one, which is kept",
    "unchanged": "here already",
    "renamed": "called otherwise than handed in",
    "older": "older, left",
    "other": "notebook of another assignment, left",
    "extra": "other file, left",
    "doubtful": "doubtful: please look",
    "refused": "refused",
    "missing": "handed in nothing",
}
_ATTENTION = ("renamed", "doubtful", "refused", "missing")


@dataclass(frozen=True)
class Collected:
    """What collecting did.

    Attributes:
        lines: What happened to each file and student.
        report: The file that holds the lines.
        changed: Whether anything in the folder of submissions is new.
    """

    lines: tuple[Line, ...]
    report: Path
    changed: bool

    def count(self, kind: str) -> int:
        """Return how many lines are of a kind."""
        return sum(line.kind == kind for line in self.lines)

    def in_words(self, at_most: int = 10) -> str:
        """Return a summary for the terminal, with what needs a human eye line by line."""
        parts = [f"{n} {text}" for kind, text in KINDS.items() if (n := self.count(kind))]
        text = ["; ".join(parts) + "."]
        for kind in _ATTENTION:
            lines = [line for line in self.lines if line.kind == kind]
            text += [f"  {kind}: {line.in_words()}" for line in lines[:at_most]]
            if len(lines) > at_most:
                text.append(f"  {kind}: and {len(lines) - at_most} more")
        if not self.changed:
            text.append("Nothing changed.")
        return "\n".join([*text, f"Report: {self.report}"])


def collect(
    path: Path, assignment: str, roster: Path | None = None, root: Path = REPOSITORY
) -> Collected:
    """Put the submissions of an assignment where nbgrader expects them.

    What is in `build/submitted/` is replaced only by a newer attempt, and kept in
    `build/collected/` then. A second run with the same input changes nothing. All students of the
    roster get into the gradebook, with names and e-mail addresses.

    Args:
        path: A folder or zip file: nbgrader's `submitted/`, its exchange, what Moodle or Canvas
            gives out, or notebooks.
        assignment: Name of the assignment.
        roster: CSV file with the students.
        root: Folder of the course.

    Raises:
        CourseError: If there is no such assignment, the roster cannot be read, there is no notebook
            at all, or the gradebook cannot be written.
    """
    course = open_course(root)
    traits = read_traits(course, assignment)
    people = read_roster(roster) if roster else None
    if path.is_file() and path.suffix.lower() == ".zip" and (problem := zip_problem(path)):
        raise CourseError(f"{path} is not a zip file that can be opened ({problem}).")
    here = Path(course.coursedir.root, course.coursedir.submitted_directory)
    path = _start(path, course.course_id)
    in_place = path.resolve() == here.resolve()
    with tempfile.TemporaryDirectory(prefix="collect-", dir=root / "build") as spool:
        run = Intake(course, assignment, traits, Path(spool))
        if in_place:
            run.lines += normalise_in_place(course, assignment)
        else:
            attempts = run.read(path)
            if not attempts and not run.lines and not run.left:
                raise CourseError(
                    f"{path} holds no notebook. Expected nbgrader's submitted/ folder, its "
                    "exchange, a zip file from Moodle or Canvas, or a folder of notebooks."
                )
            _take(run, attempts, people)
    order = [*KINDS]
    lines = tuple(sorted(run.lines, key=lambda line: (order.index(line.kind), line.student)))
    report = root / "build" / "report" / f"collect-{assignment}.csv"
    _write_report(report, lines)
    if people:
        _write_students(course, people)
    changes = ("taken", "replaced", "renamed") if in_place else ("taken", "replaced")
    return Collected(lines, report, any(line.kind in changes for line in lines))


def _take(run: Intake, attempts: list[Attempt], roster: Roster | None) -> None:
    """Put the newest attempt of each student in place."""
    ids = StudentIds(run.course, run.assignment, roster, run.say)
    students = ids.of({attempt.owner.key: attempt.owner for attempt in attempts})
    ids.save()
    groups = defaultdict(list)
    for attempt in attempts:
        groups[students[attempt.owner.key]].append(attempt)
    for student, own in sorted(groups.items()):
        *older, newest = sorted(own, key=lambda attempt: attempt.order(run.assignment))
        ids.settle(student, newest.owner)
        try:
            _place(run, student, newest)
        except OSError as error:
            message = f"cannot be written to build/submitted/ ({error.strerror})"
            run.say("refused", student, newest.file.path, message)
        others = [attempt for attempt in older if attempt.digest != newest.digest]
        for attempt in others:
            run.say("older", student, attempt.file.path)
        if any(attempt.submission == newest.submission for attempt in others):
            message = "is the newest of several notebooks that were handed in together"
            run.say("doubtful", student, newest.file.path, message)
        if newest.recognised.doubt:
            run.say("doubtful", student, newest.file.path, newest.recognised.doubt)
        if newest.doubt:
            run.say("doubtful", student, newest.file.path, newest.doubt)
        if newest.owner.late:
            message = "is late, says Canvas, but not when it was handed in: take off points by hand"
            run.say("doubtful", student, newest.file.path, message)
    ids.save()
    left = {}
    for owner, kind, file, message in run.left:
        student = owner.name if owner else ""
        if owner and roster and (found := roster.find(owner).student):
            student = found
            left[student] = (
                f"No notebook of {run.assignment} by this student is in the collection: "
                f"{file} {message}."
            )
        run.say(kind, student, file, message)
    for student in roster.ids if roster else ():
        if student not in groups:
            nothing = "Nothing of this student is in the collection."
            run.say("missing", student, "", left.get(student, nothing))


def _place(run: Intake, student: str, attempt: Attempt) -> None:
    """Write an attempt to `build/submitted/`, unless what is there is newer."""
    folder = submission_folder(run.course, student, run.assignment)
    notebook = folder / f"{run.assignment}.ipynb"
    content = attempt.copy.read_bytes()
    kind, message = "taken", ""
    if os.path.lexists(notebook):
        if not notebook.is_symlink() and notebook.read_bytes() == content:
            run.say("unchanged", student, attempt.file.path)
            if attempt.handed_in and not (folder / TIMESTAMP).exists():
                put(notebook, content, attempt.time, attempt.handed_in)
            return
        before = submission_time(notebook)
        if not attempt.time or abs(attempt.time - before) < timedelta(seconds=1):
            message = f"is not known to be newer than what is in {folder}, which differs; left"
            run.say("doubtful", student, attempt.file.path, message)
            return
        if attempt.time < before:
            run.say("older", student, attempt.file.path, f"is older than what is in {folder}")
            return
        kept = keep(run.course, run.assignment, student, notebook, folder / TIMESTAMP)
        kind, message = "replaced", f"the one of {before:%Y-%m-%d %H:%M:%S} is in {kept}"
    put(notebook, content, attempt.time, attempt.handed_in)
    run.say(kind, student, attempt.file.path, message)


def _write_students(course: NbGraderAPI, roster: Roster) -> None:
    """Write who the students are to the gradebook; what the roster does not say stays."""
    try:
        with Gradebook(course.coursedir.db_url, course.coursedir.course_id) as gradebook:
            for student in roster.students:
                gradebook.update_or_create_student(student.id, **student.about)
    except sa.exc.OperationalError as error:
        raise CourseError(
            f"The names of the roster could not be written to the gradebook ({error.orig}). "
            "The submissions are in place. Close the formgrader, then collect again."
        ) from error


def _start(path: Path, course_id: str) -> Path:
    """Return the folder of submissions in a course or an exchange, else `path` itself.

    An exchange has `inbound/` in the folder of every course. One such folder alone does not make an
    exchange: a student may have handed it in.

    Raises:
        CourseError: If it is the exchange of several courses, and none is this one.
    """
    if path.is_dir():
        for name in ("submitted", "inbound", f"{course_id}/inbound"):
            if (path / name).is_dir():
                return path / name
        courses = [one for one in sorted(path.iterdir()) if one.is_dir() and not one.is_symlink()]
        if courses and all((one / "inbound").is_dir() for one in courses):
            if len(courses) > 1:
                names = ", ".join(one.name for one in courses)
                raise CourseError(
                    f"{path} is the exchange of several courses ({names}), none of which is "
                    f"{course_id}. Name the folder of the one to collect."
                )
            return courses[0] / "inbound"
    return path


def _write_report(path: Path, lines: Sequence[Line]) -> None:
    """Write the lines as a CSV file in which a spreadsheet runs nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8-sig") as stream:
        table = csv.writer(stream)
        table.writerow(["kind", "student", "file", "message"])
        for line in lines:
            cells = (line.kind, line.student, line.file, line.message)
            table.writerow(harmless(visible(cell)) for cell in cells)
