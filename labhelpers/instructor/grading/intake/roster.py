"""Read the roster of a class and find students in it."""

import csv
import io
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from labhelpers.instructor.course.nbgrader import CourseError
from labhelpers.instructor.grading.intake.students import Owner

__all__ = ["Match", "Roster", "read_roster", "safe_id"]

# Columns of a roster, in lower case: the ones that name a student, best first, and the others.
_ID_COLUMNS = {
    "id": "id",  # nbgrader; in Canvas's table `ID` is the number that its file names hold
    "id number": "id",
    "sis login id": "id",
    "sis user id": "id",
    "email": "email",
    "email address": "email",
}
_NUMBER_COLUMNS = ("identifier", "participant number")
_FULL_NAME_COLUMNS = ("full name", "student", "name")
_FIRST_NAME_COLUMNS = ("first_name", "first name")
_LAST_NAME_COLUMNS = ("last_name", "last name", "surname")
_EMAIL_COLUMNS = ("email", "email address")
# Letters that a column of the gradebook holds.
_WIDTH = 128


@dataclass(frozen=True)
class Match:
    """What a roster says of an owner.

    Attributes:
        student: The id, None if it is not certain.
        by_key: Whether a number, an id or an e-mail address tells, not only a name.
        reason: Why it is not certain.
    """

    student: str | None
    by_key: bool
    reason: str = ""


@dataclass(frozen=True)
class _Student:
    """A student of the roster; `about` is what the gradebook holds: names and e-mail address."""

    id: str
    keys: frozenset[str]
    names: frozenset[str]
    about: dict[str, str]

    def is_called(self, name: str) -> bool:
        """Return False if Moodle gives another name; it may begin with a group, or hide it."""
        ends = [name, *(name[i + 1 :] for i, letter in enumerate(name) if letter == "-")]
        hidden = name.startswith(("Participant", "Teilnehmer"))
        return hidden or not self.names or any(_aliases(end) & self.names for end in ends)


@dataclass(frozen=True)
class Roster:
    """The students of a class.

    Attributes:
        students: One for each row.
        remarks: What was changed or left out in reading it: name and sentence.
    """

    students: tuple[_Student, ...]
    remarks: tuple[tuple[str, str], ...] = ()

    @property
    def ids(self) -> list[str]:
        """The ids of all students, in the order of the file."""
        return [student.id for student in self.students]

    def find(self, owner: Owner) -> Match:
        """Return which student an owner is.

        A number, an id or an e-mail address decides, then the name if only one student has it.
        """
        key = f"{owner.system}:{owner.number}" if owner.number else _key(owner.name)
        by_key = [student for student in self.students if key in student.keys]
        names = _aliases(owner.name)
        found = by_key or [student for student in self.students if names & student.names]
        if owner.system == "moodle" and by_key and not by_key[0].is_called(owner.name):
            # Moodle numbers participants anew in each assignment.
            reason = f"{owner} has the number of {by_key[0].id} but another name"
            return Match(None, True, f"{reason}: is the roster that of this assignment?")
        if len(found) == 1:
            return Match(found[0].id, bool(by_key))
        if found:
            ids = " or ".join(student.id for student in found)
            return Match(None, bool(by_key), f"{owner} may be {ids} of the roster")
        return Match(None, False, f"{owner} is not in the roster")


def read_roster(path: Path) -> Roster:
    """Read a CSV file with the students of a class, as nbgrader, Moodle or Canvas exports it.

    Raises:
        CourseError: If it has no column that names students, or two rows with the same id.
    """
    header, *rows = _read_table(path)
    columns = {title.strip().lower(): i for i, title in reversed([*enumerate(header)])}
    canvas = "student" in columns
    ids = [name for name in _ID_COLUMNS if name in columns and not (canvas and name == "id")]
    if not ids and not (canvas and "id" in columns):
        raise CourseError(
            f"The roster {path} has the columns {', '.join(header)}; expected one that names "
            "students: id (nbgrader), ID number or Email address (Moodle), SIS Login ID, SIS User "
            "ID or ID (Canvas)."
        )
    students, remarks = [], []
    for line, row in enumerate(rows, start=2):
        cell = {title: row[i].strip() for title, i in columns.items() if i < len(row)}
        number = cell.get("id", "") if canvas else ""
        if canvas and not number.isdigit():
            continue  # Canvas's rows of points and settings
        raw = next(filter(None, (cell.get(name) for name in ids)), number)
        if not raw:
            if any(cell.values()):
                remarks.append((" ".join(row), f"line {line} of the roster has no id"))
            continue
        student = safe_id(raw)
        if student != raw:
            remarks.append(
                (student, f"is {raw!r} in the roster, with signs that an id cannot have")
            )
        keys = {_key(value) for name in ids if (value := cell.get(name))} | {_key(student)}
        keys |= {f"canvas:{number}"} if number else set()
        for name in _NUMBER_COLUMNS:
            keys |= {f"moodle:{digits}" for digits in re.findall(r"\d+", cell.get(name, ""))}
        students.append(_Student(student, frozenset(keys), _names_of(cell), _about(cell)))
    count = Counter(student.id.casefold() for student in students)
    if twice := [student.id for student in students if count[student.id.casefold()] > 1]:
        raise CourseError(
            f"The roster {path} has the id {twice[0]!r} more than once ({len(twice)} rows share an "
            "id). Give each student an id of their own; capitals make no difference."
        )
    return Roster(tuple(students), tuple(remarks))


def _read_table(path: Path) -> list[list[str]]:
    """Read a CSV file as spreadsheets write them: other separators, byte-order mark, Windows."""
    content = path.read_bytes()
    try:
        text = content.decode(
            "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        )
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    table = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if row]
    return table or [[]]


def _first_of(cell: dict[str, str], titles: tuple[str, ...]) -> str:
    """Return what the first of several columns that is filled in holds, "" for nothing."""
    return next((cell[title] for title in titles if cell.get(title)), "")


def _about(cell: dict[str, str]) -> dict[str, str]:
    """Return a student's `first_name`, `last_name` and `email`, as far as the roster has them.

    A full name is split at its comma ("Last, First"), else before its last word.
    """
    first, last = _first_of(cell, _FIRST_NAME_COLUMNS), _first_of(cell, _LAST_NAME_COLUMNS)
    if not first and not last:
        full = _first_of(cell, _FULL_NAME_COLUMNS)
        last, comma, first = full.partition(",")
        if not comma:
            first, _, last = full.rpartition(" ")
    about = {"first_name": first.strip(), "last_name": last.strip()} if first or last else {}
    email = _first_of(cell, _EMAIL_COLUMNS)
    about |= {"email": email} if email else {}
    return {name: value[:_WIDTH] for name, value in about.items()}


def _names_of(cell: dict[str, str]) -> frozenset[str]:
    """Return the forms of a student's name, for comparison."""
    first, last = _first_of(cell, _FIRST_NAME_COLUMNS), _first_of(cell, _LAST_NAME_COLUMNS)
    full = [cell[name] for name in _FULL_NAME_COLUMNS if cell.get(name)]
    names = [f"{first} {last}", f"{last} {first}"] if first and last else []
    for name in full:
        last, comma, first = name.partition(",")
        names += [name, f"{first} {last}"] if comma else [name]
    return frozenset(alias for name in names for alias in _aliases(name))


def _aliases(name: str) -> frozenset[str]:
    """Return a name in forms that do not depend on accents, case, order and spaces."""
    words = _fold(name).split()
    return frozenset({" ".join(sorted(words)), "".join(words)} - {""})


def _fold(name: str) -> str:
    """Return the words of a name without accents, in lower case."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    letters = "".join(c for c in plain if not unicodedata.combining(c))
    return " ".join(re.findall(r"[^\W_]+", letters))


def _key(value: str) -> str:
    return "id:" + unicodedata.normalize("NFC", value.strip()).casefold()


def safe_id(name: str) -> str:
    """Return a student's id in a form that a folder's name, nbgrader and a CSV file can hold.

    Letters and digits of all languages, spaces and `_ - . @ '` stay; each run of others becomes
    one `_`. No dot or dash begins it; it has at most 100 characters (the gradebook holds 128).
    """
    name = unicodedata.normalize("NFC", name).strip()
    text = re.sub(r" *[^\w\-.@' ]+ *", "_", name)
    if text != name:
        text = text.strip("_")
    return text.lstrip(" .-")[:100].rstrip(" .") or "unnamed"
