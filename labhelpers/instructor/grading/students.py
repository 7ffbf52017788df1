"""Find out whose a file is from the names that systems give to what was handed in."""

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from nbgrader.utils import parse_utc

__all__ = ["Owner", "find_owner"]

# How nbgrader's exchange, Moodle and Canvas name what was handed in. Canvas once wrote " LATE" for
# a late submission, with dashes for spaces, and now "_LATE".
_EXCHANGE = re.compile(
    r"(?P<id>.+)\+(?P<assignment>[^+]+)\+(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[^+]*)(\+[^+]*)?"
)
_MOODLE = re.compile(r"(?P<name>.+?)_(?P<number>\d+)_assignsubmission_file(_(?P<file>.*))?")
_CANVAS = re.compile(
    r"(?P<name>.+?)(?P<late>[-_]late)?_(?P<number>\d+)_(?P<upload>\d+)_(?P<file>.+)", re.IGNORECASE
)
# What browsers and editors add to the name of a copy.
_COPY = re.compile(
    r"(^|[ _-]+)(\(\d+\)|copy ?\d*|final|solution|submission)$|\(\d+\)$", re.IGNORECASE
)


@dataclass(frozen=True)
class Owner:
    """Who handed a file in, as its path tells.

    Attributes:
        system: `exchange`, `moodle`, `canvas`, `nbgrader` (its `submitted/` tree) or `file`.
        name: Name of the student, or the id if the system files by it.
        number: Moodle's number of the participant, Canvas's of the user, else "".
        depth: How many parts of the path lead to the submission.
        assignment: The assignment that the path tells, None if it does not.
        time: When it was handed in, in UTC, where the name tells.
        upload: Canvas's number of the upload, which grows; 0 elsewhere.
        late: Whether Canvas calls it late.
    """

    system: str
    name: str
    number: str = ""
    depth: int = 1
    assignment: str | None = None
    time: datetime | None = None
    upload: int = 0
    late: bool = False

    @property
    def key(self) -> str:
        """What is the same for the same student and differs for another one."""
        return f"{self.system}:{self.number or unicodedata.normalize('NFC', self.name)}"

    def __str__(self) -> str:
        return f"{self.name!r}" + (f" ({self.number})" if self.number else "")


def find_owner(parts: Sequence[str], assignments: Collection[str], shared: int = 0) -> Owner:
    """Return who handed in a file.

    Args:
        parts: Its path.
        assignments: Names of all assignments.
        shared: How many leading folders say nothing, as all files lie in them.
    """
    for depth, part in enumerate(parts, start=1):
        if match := _EXCHANGE.fullmatch(part):
            try:
                time = parse_utc(match["time"]).replace(tzinfo=timezone.utc)
            except (ValueError, OverflowError):
                continue
            return Owner("exchange", match["id"], "", depth, match["assignment"], time)
        if match := _MOODLE.fullmatch(part):
            return Owner("moodle", match["name"], match["number"], depth)
        if match := _CANVAS.fullmatch(part):
            upload, late = int(match["upload"]), bool(match["late"])
            return Owner("canvas", match["name"], match["number"], depth, None, None, upload, late)
    for depth in range(2, len(parts)):
        if parts[depth - 1] in assignments:
            return Owner("nbgrader", parts[depth - 2], "", depth, parts[depth - 1])
    rest = parts[shared:]
    while len(rest) > 1 and rest[0] in assignments:
        rest = rest[1:]
    if len(rest) > 1:
        return Owner("file", rest[0], depth=len(parts) - len(rest) + 1)
    return Owner("file", _name_in_file(rest[-1], assignments), depth=len(parts))


def _name_in_file(file: str, assignments: Collection[str]) -> str:
    """Return what a file's name says besides the assignment, "" for nothing."""
    stem = re.split(r"\.ipynb", file, flags=re.IGNORECASE)[0]
    for assignment in sorted(assignments, key=len, reverse=True):
        words = [re.escape(word) for word in re.split(r"[ _-]+", assignment)]
        stem = re.sub("[ _-]*".join(words), "", stem, flags=re.IGNORECASE)
    while match := _COPY.search(stem):
        stem = stem[: match.start()]
    stem = stem.strip(" _-.")
    return "" if re.fullmatch(r"\d{1,2}", stem) else stem  # a number of a copy, not of a student
