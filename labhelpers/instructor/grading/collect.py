"""Take in what students handed in, from where a course collects it."""

import csv
import hashlib
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from nbgrader.apps import NbGraderAPI

from labhelpers.instructor.course.nbgrader import REPOSITORY, CourseError, open_course
from labhelpers.instructor.grading.archives import File, read_files, zip_problem
from labhelpers.instructor.grading.ids import StudentIds
from labhelpers.instructor.grading.recognise import Recognised, Traits, read_traits, recognise
from labhelpers.instructor.grading.roster import Roster, read_roster
from labhelpers.instructor.grading.students import Layout, Owner, find_layout, find_owner
from labhelpers.instructor.grading.submitted import (
    TIMESTAMP,
    Line,
    keep,
    normalise_in_place,
    put,
    read_time,
    submission_folder,
    submission_time,
    visible,
)

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
    """

    lines: tuple[Line, ...]
    report: Path

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
        if not self.count("taken") and not self.count("replaced"):
            text.append("Nothing changed.")
        return "\n".join([*text, f"Report: {self.report}"])


@dataclass(frozen=True)
class _Attempt:
    """A notebook that may be somebody's submission; its content lies in the file `copy`."""

    file: File
    copy: Path
    digest: str
    recognised: Recognised
    owner: Owner
    handed_in: datetime | None  # as the system that collected it tells
    doubt: str  # why its path may not tell the truth, "" if it does

    def order(self, assignment: str) -> tuple[object, ...]:
        """What makes an attempt the one that counts: the greatest."""
        handed_in = self.owner.time.timestamp() if self.owner.time else 0.0
        written = self.file.modified.timestamp() if self.file.modified else 0.0
        return (
            self.doubt == "",
            handed_in,
            self.owner.upload,
            self.recognised.assignment is not None,
            self.recognised.readable,
            written,
            not self.recognised.doubt,
            self.file.parts[-1] == f"{assignment}.ipynb",
            self.file.path,
        )

    @property
    def submission(self) -> tuple[str, ...]:
        """What is the same for notebooks that were handed in together."""
        if self.owner.system in ("moodle", "canvas"):  # they give out the last attempt only
            return (self.owner.key,)
        return self.file.parts[: self.owner.depth]

    @property
    def time(self) -> datetime | None:
        """When it was handed in, else when it was written."""
        return self.handed_in or self.file.modified


@dataclass
class _Collection:
    """One run of `collect`."""

    course: NbGraderAPI
    assignment: str
    traits: dict[str, Traits]
    spool: Path
    lines: list[Line] = field(default_factory=list)
    left: list[tuple[Owner | None, str, str, str]] = field(default_factory=list)
    layout: Layout = field(default=Layout("file", 0))

    def say(self, kind: str, student: str, file: str, message: str = "") -> None:
        self.lines.append(Line(kind, student, file, message))

    def read(self, path: Path) -> list[_Attempt]:
        """Read all notebooks that are of the assignment, or may be."""
        found: list[tuple[File, Path, str, Recognised]] = []
        times: dict[tuple[str, ...], datetime | None] = {}
        for file in read_files(path, _wanted, lambda name, why: self.say("refused", "", name, why)):
            if file.content is None:
                self.say("extra", "", file.path)
            elif file.parts[-1] == TIMESTAMP:
                times[file.parts[:-1]] = read_time(file.content)
            else:
                recognised = recognise(file.content, self.traits)
                copy = self.spool / str(len(found))
                copy.write_bytes(file.content)
                digest = hashlib.sha256(file.content).hexdigest()
                bare = replace(file, content=None)
                found.append((bare, copy, digest, recognised))
        if not found:
            return []
        users = {file.user for file, *_ in found}
        self.layout = find_layout([file.parts for file, *_ in found], self.traits)
        return [
            attempt
            for file, copy, digest, recognised in found
            for attempt in self._attempt(file, copy, digest, recognised, times, users)
        ]

    def _attempt(
        self,
        file: File,
        copy: Path,
        digest: str,
        recognised: Recognised,
        times: dict[tuple[str, ...], datetime | None],
        users: set[int | None],
    ) -> Iterator[_Attempt]:
        owner = find_owner(file.parts, self.layout, self.traits)
        elsewhere = bool(owner and owner.assignment not in (None, self.assignment))
        if recognised.assignment not in (None, self.assignment):
            if not elsewhere:
                self.left.append((owner, "other", file.path, f"is {recognised.assignment}"))
            return
        if owner is None:
            message = f"is not named as {self.layout.system} names what was handed in; not taken"
            self.left.append((None, "doubtful", file.path, message))
            return
        name = file.parts[-1].casefold()
        others = any(one.casefold() in name for one in self.traits.keys() - {self.assignment})
        named = self.assignment.casefold() in name
        if recognised.assignment is None and (
            elsewhere or others or (recognised.readable and not named)
        ):
            message = f"{recognised.doubt}; not taken"
            self.left.append((owner, "doubtful", file.path, message))
            return
        handed_in = owner.time
        if owner.system == "nbgrader":
            handed_in = times.get(file.parts[: owner.depth])
        elif owner.system == "moodle":
            layers = [time for start, time in file.packed if start < owner.depth]
            handed_in = layers[-1] if layers else None
        doubt = f"was handed in for {owner.assignment}" if elsewhere else ""
        if owner.system == "exchange" and len(users) > 1 and file.user is not None:
            user = _user_name(file.user)
            if user not in (None, owner.name):
                doubt = f"was handed in by the user {user}, in the name of {owner.name}"
        yield _Attempt(file, copy, digest, recognised, owner, handed_in, doubt)


def collect(
    path: Path, assignment: str, roster: Path | None = None, root: Path = REPOSITORY
) -> Collected:
    """Put the submissions of an assignment where nbgrader expects them.

    What is in `build/submitted/` is replaced only by a newer attempt, and kept in
    `build/collected/` then. A second run with the same input changes nothing.

    Args:
        path: A folder or zip file: nbgrader's `submitted/`, its exchange, what Moodle or Canvas
            gives out, or notebooks.
        assignment: Name of the assignment.
        roster: CSV file with the students.
        root: Folder of the course.

    Raises:
        CourseError: If there is no such assignment, the roster cannot be read, or there is no
            notebook at all.
    """
    course = open_course(root)
    traits = read_traits(course, assignment)
    people = read_roster(roster) if roster else None
    if path.is_file() and path.suffix.lower() == ".zip" and (problem := zip_problem(path)):
        raise CourseError(f"{path} is not a zip file that can be opened ({problem}).")
    here = Path(course.coursedir.root, course.coursedir.submitted_directory)
    path = _start(path)
    with tempfile.TemporaryDirectory(prefix="collect-", dir=root / "build") as spool:
        run = _Collection(course, assignment, traits, Path(spool))
        if path.resolve() == here.resolve():
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
    return Collected(lines, report)


def _take(run: _Collection, attempts: list[_Attempt], roster: Roster | None) -> None:
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
            left[student] = f"but {file} {message}"
        run.say(kind, student, file, message)
    for student in roster.ids if roster else ():
        if student not in groups:
            run.say("missing", student, "", left.get(student, ""))


def _place(run: _Collection, student: str, attempt: _Attempt) -> None:
    """Write an attempt to `build/submitted/`, unless what is there is newer."""
    folder = submission_folder(run.course, student, run.assignment)
    notebook = folder / f"{run.assignment}.ipynb"
    content, kind = attempt.copy.read_bytes(), "taken"
    if os.path.lexists(notebook):
        if not notebook.is_symlink() and notebook.read_bytes() == content:
            run.say("unchanged", student, attempt.file.path)
            if attempt.handed_in and not (folder / TIMESTAMP).exists():
                put(notebook, content, attempt.time, attempt.handed_in)
            return
        before = submission_time(notebook)
        if not attempt.time or attempt.time <= before:
            when = "not newer than" if attempt.time else "of unknown time; left because of"
            run.say("older", student, attempt.file.path, f"is {when} what is in {folder}")
            return
        kept, kind = (
            keep(run.course, run.assignment, student, notebook, folder / TIMESTAMP),
            "replaced",
        )
    put(notebook, content, attempt.time, attempt.handed_in)
    message = f"the one of {before:%Y-%m-%d %H:%M:%S} is in {kept}" if kind == "replaced" else ""
    run.say(kind, student, attempt.file.path, message)


def _user_name(number: int) -> str | None:
    """Return the name of a user of this computer, None if it is not known."""
    try:
        import pwd

        return pwd.getpwuid(number).pw_name
    except (ImportError, KeyError):  # Windows; a user of another computer
        return None


def _start(path: Path) -> Path:
    """Return the folder of submissions in a course or an exchange, else `path` itself."""
    found = [p for pattern in ("submitted", "inbound", "*/inbound") for p in path.glob(pattern)]
    return found[0] if len(found) == 1 and path.is_dir() else path


def _wanted(name: str) -> bool:
    """Return True for notebooks, also `lab.ipynb.txt` as some browsers save them, and times."""
    return ".ipynb" in name.lower() or name == TIMESTAMP


def _write_report(path: Path, lines: Sequence[Line]) -> None:
    """Write the lines as a CSV file in which a spreadsheet runs nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8-sig") as stream:
        table = csv.writer(stream)
        table.writerow(["kind", "student", "file", "message"])
        for line in lines:
            cells = (visible(cell) for cell in (line.kind, line.student, line.file, line.message))
            table.writerow("'" + cell if cell[:1] in "=+-@" and cell else cell for cell in cells)
