"""Read the notebooks of a collection as attempts: whose, of which assignment, of what time."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from nbgrader.apps import NbGraderAPI

from labhelpers.instructor.grading.intake.archives import File, read_files
from labhelpers.instructor.grading.intake.students import Layout, Owner, find_layout, find_owner
from labhelpers.instructor.grading.intake.submitted import TIMESTAMP, Line, read_time
from labhelpers.repair.recognise import Recognised, Traits, recognise

__all__ = ["Attempt", "Intake"]

_ARCHIVES = (".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz")
_UNPACK = "is an archive that is not read: unpack it and collect again"


@dataclass(frozen=True)
class Attempt:
    """A notebook that may be somebody's submission.

    Attributes:
        file: Where it was found.
        copy: The file that holds its content.
        digest: What tells its content from another one.
        recognised: Which assignment it is of.
        owner: Whose it is.
        handed_in: When it was handed in (UTC), as the system that collected it tells.
        doubt: Why its path may not tell the truth, "" if it does.
    """

    file: File
    copy: Path
    digest: str
    recognised: Recognised
    owner: Owner
    handed_in: datetime | None
    doubt: str

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
class Intake:
    """Reads what was handed in, and keeps the lines of the report.

    Attributes:
        course: The course.
        assignment: Name of the assignment.
        traits: By what its notebook is recognised, and those of the others.
        spool: A folder for copies of what is read.
        lines: The lines of the report.
        left: Files that are not taken: owner, kind of line, path and message.
        layout: How all files tell whose they are, once they are read.
    """

    course: NbGraderAPI
    assignment: str
    traits: dict[str, Traits]
    spool: Path
    lines: list[Line] = field(default_factory=list)
    left: list[tuple[Owner | None, str, str, str]] = field(default_factory=list)
    layout: Layout = field(default=Layout("file", 0))

    def say(self, kind: str, student: str, file: str, message: str = "") -> None:
        """Add a line to the report."""
        self.lines.append(Line(kind, student, file, message))

    def read(self, path: Path) -> list[Attempt]:
        """Read all notebooks that are of the assignment, or may be."""
        found: list[tuple[File, Path, str, Recognised]] = []
        times: dict[tuple[str, ...], datetime | None] = {}
        extra = []
        for file in read_files(path, _wanted, lambda name, why: self.say("refused", "", name, why)):
            if file.content is None:
                extra.append(file)
            elif file.parts[-1] == TIMESTAMP:
                times[file.parts[:-1]] = read_time(file.content)
            else:
                recognised = recognise(file.content, self.traits)
                copy = self.spool / str(len(found))
                copy.write_bytes(file.content)
                digest = hashlib.sha256(file.content).hexdigest()
                bare = replace(file, content=None)
                found.append((bare, copy, digest, recognised))
        paths = [file.parts for file, *_ in found] or [file.parts for file in extra]
        if not paths:
            return []
        self.layout = find_layout(paths, self.traits)
        for file in extra:
            archive = file.parts[-1].lower().endswith(_ARCHIVES)
            kind, message = ("doubtful", _UNPACK) if archive else ("extra", "is no notebook")
            owner = find_owner(file.parts, self.layout, self.traits)
            self.left.append((owner, kind, file.path, message))
        users = {file.user for file, *_ in found}
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
    ) -> Iterator[Attempt]:
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
        yield Attempt(file, copy, digest, recognised, owner, handed_in, doubt)


def _user_name(number: int) -> str | None:
    """Return the name of a user of this computer, None if it is not known."""
    try:
        import pwd

        return pwd.getpwuid(number).pw_name
    except (ImportError, KeyError):  # Windows; a user of another computer
        return None


def _wanted(name: str) -> bool:
    """Return True for notebooks, also `lab.ipynb.txt` as some browsers save them, and times."""
    return ".ipynb" in name.lower() or name == TIMESTAMP
