"""Give each student an id that is theirs alone, in this collection and in later ones."""

import json
import os
import shlex
from collections import Counter
from collections.abc import Callable
from itertools import chain, count
from pathlib import Path

from nbgrader.apps import NbGraderAPI

from labhelpers.instructor.grading.intake.roster import Roster, safe_id
from labhelpers.instructor.grading.intake.students import Owner
from labhelpers.instructor.grading.intake.submitted import keep, submission_folder

__all__ = ["Say", "StudentIds", "whose"]

#: Takes the kind, the student, the file and the message of a line of the report.
Say = Callable[[str, str, str, str], None]


# What the id begins with of a submission that nobody knows the student of.
_UNKNOWN = "unknown"


def whose(student: str) -> list[str]:
    """Return what to do about an id that collecting gave for want of a known one; else nothing."""
    if not student.startswith(f"{_UNKNOWN}-"):
        return []
    return [
        "Nobody knows whose this is. Rename the folder in build/submitted/ to the student's id, "
        "grade again, then take this one out of the gradebook: "
        f"`nbgrader db student remove --force {shlex.quote(student)}`."
    ]


class StudentIds:
    """Which owner has which id, in this run and in earlier ones."""

    def __init__(
        self, course: NbGraderAPI, assignment: str, roster: Roster | None, say: Say
    ) -> None:
        self._course = course
        self._assignment = assignment
        self._roster = roster
        self._say = say
        root = Path(course.coursedir.root)
        self._file = root / "build" / "collected" / assignment / "students.json"
        self._keys: dict[str, str] = {}  # by id
        if self._file.exists():
            self._keys = json.loads(self._file.read_text(encoding="utf-8"))
        if roster:
            for name, remark in roster.remarks:
                say("renamed" if name in roster.ids else "doubtful", name, "", remark)

    def of(self, owners: dict[str, Owner]) -> dict[str, str]:
        """Return the id for each owner's key."""
        matches = {}
        if self._roster:
            matches = {key: self._roster.find(owner) for key, owner in owners.items()}
        times = Counter(match.student for match in matches.values())
        ids = {}
        for key, owner in sorted(owners.items()):
            match = matches.get(key)
            # A file's name with a date looks like one of Canvas with a number.
            merged = match and match.by_key and owner.system != "canvas"
            if match and match.student and (merged or times[match.student] == 1):
                ids[key] = match.student
            elif match:
                reason = match.reason or f"{owner} is one of several that may be {match.student}"
                ids[key] = self._unknown(owner, reason)
            elif not owner.name:
                ids[key] = self._unknown(owner, "no name tells whose this is")
            else:
                ids[key] = self._free(safe_id(owner.name), owner)
                if ids[key] != owner.name:
                    self._say("renamed", ids[key], owner.name, "has signs that an id cannot have")
        return ids

    def _unknown(self, owner: Owner, reason: str) -> str:
        name = "-".join(filter(None, (_UNKNOWN, safe_id(owner.name), owner.number)))
        student = self._free(name, owner)
        self._say("doubtful", student, "", reason)
        return student

    def _free(self, wish: str, owner: Owner) -> str:
        """Return the id that an owner has, else the wish, with a number if it is another one's."""
        for student, key in self._keys.items():
            if key == owner.key and (student == wish or student.startswith(f"{wish}-")):
                return student
        taken = {student.casefold(): student for student in self._keys}
        student = wish
        if wish.casefold() in taken:
            numbers = (owner.number,) if owner.number else ()
            names = (f"{wish}-{n}" for n in chain(numbers, count(2)))
            student = next(name for name in names if name.casefold() not in taken)
            for one in (taken[wish.casefold()], student):
                self._say("doubtful", one, owner.name, f"two students would be called {wish!r}")
        self._keys[student] = owner.key
        return student

    def settle(self, student: str, owner: Owner) -> None:
        """Note an owner's id; a folder of another id that the owner had before is put aside."""
        for before in [s for s, key in self._keys.items() if key == owner.key and s != student]:
            folder = submission_folder(self._course, before, self._assignment)
            if folder.exists():
                kept = keep(self._course, self._assignment, before, folder)
                message = (
                    f"was {before} before, whose folder is now in {kept}; if that was graded, run "
                    f"`nbgrader db student remove --force {shlex.quote(before)}`"
                )
                self._say("renamed", student, "", message)
            del self._keys[before]
        self._keys[student] = owner.key

    def save(self) -> None:
        """Write the ids for the next run."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps(self._keys, indent=1, sort_keys=True) + "\n")
        os.replace(part, self._file)
