"""Find out whose a file is from the names that systems give to what was handed in."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import groupby

from nbgrader.utils import parse_utc

__all__ = ["Layout", "Owner", "find_layout", "find_owner"]

# How nbgrader's exchange, Moodle and Canvas name what was handed in. Canvas once wrote " LATE" for
# a late submission, with dashes for spaces, and now "_LATE".
_EXCHANGE = re.compile(
    r"(?P<id>.+)\+(?P<assignment>[^+]+)\+(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[^+]*)(\+[^+]*)?"
)
_MOODLE = re.compile(r"(?P<name>.+?)_(?P<number>\d+)_assignsubmission_file(_(?P<file>.*))?")
_CANVAS = re.compile(
    r"(?P<name>.+?)(?P<late>[-_]late)?_(?P<number>\d+)_(?P<upload>\d+)_(?P<file>.+)", re.IGNORECASE
)
_CONVENTIONS = {"exchange": _EXCHANGE, "moodle": _MOODLE, "canvas": _CANVAS}
_SYSTEMS = [*_CONVENTIONS, "nbgrader", "file"]
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
        return f"{self.system}:{self.number}:{unicodedata.normalize('NFC', self.name)}"

    def __str__(self) -> str:
        return f"{self.name!r}" + (f" ({self.number})" if self.number else "")


@dataclass(frozen=True)
class Layout:
    """How a collection of files tells whose they are.

    Attributes:
        system: One of the systems of `Owner`.
        depth: Which part of a path tells it, from 0.
    """

    system: str
    depth: int


def find_layout(
    paths: Collection[tuple[str, ...]], assignments: Collection[str], depth: int = 0
) -> Layout:
    """Return the layout that most submissions have.

    It is found once for all, so that a folder within a submission which is named like another
    student's does not count.

    Args:
        paths: The parts of all paths, at least one.
        assignments: Names of all assignments.
        depth: Which part to begin with.
    """
    votes: Counter[str] = Counter()
    for _, group in groupby(sorted(paths), key=lambda path: path[depth]):
        votes[min((_system(path, depth, assignments) for path in group), key=_SYSTEMS.index)] += 1
    system = max(votes, key=lambda name: (votes[name], -_SYSTEMS.index(name)))
    if system != "file" or any(len(path) <= depth + 1 for path in paths):
        return Layout(system, depth)
    # Folders that are nobody's: one around all, the assignments, or several zip files of a system.
    below = find_layout(paths, assignments, depth + 1)
    around = len({path[depth] for path in paths} - {*assignments}) < 2
    if below.system == "file":
        owners = [find_owner(path, below, assignments) for path in paths]
        several = len({owner.name for owner in owners if owner and owner.name}) > 1
        return below if around and several else Layout("file", depth)
    all_alike = all(_system(path, below.depth, assignments) == below.system for path in paths)
    return below if around or all_alike else Layout("file", depth)


def _system(path: Sequence[str], depth: int, assignments: Collection[str]) -> str:
    """Return which system names things as one part of a path and the next are named."""
    for system, pattern in _CONVENTIONS.items():
        if pattern.fullmatch(path[depth]):
            return system
    if len(path) > depth + 2 and path[depth + 1] in assignments:
        return "nbgrader"
    return "file"


def find_owner(path: Sequence[str], layout: Layout, assignments: Collection[str]) -> Owner | None:
    """Return who handed in a file, None if it does not lie as the layout has it.

    Args:
        path: The parts of its path.
        layout: What `find_layout` returned.
        assignments: Names of all assignments.
    """
    depth = layout.depth
    if len(path) <= depth:
        return None
    assignment = path[depth - 1] if depth and path[depth - 1] in assignments else None
    if pattern := _CONVENTIONS.get(layout.system):
        match = pattern.fullmatch(path[depth])
        return _OWNERS[layout.system](match, depth + 1) if match else None
    if layout.system == "nbgrader" and len(path) > depth + 2 and path[depth + 1] in assignments:
        return Owner("nbgrader", path[depth], depth=depth + 2, assignment=path[depth + 1])
    if len(path) > depth + 1:
        return Owner(layout.system, path[depth], depth=depth + 1, assignment=assignment)
    name = _name_in_file(path[depth], assignments)
    return Owner("file", name, depth=depth + 1, assignment=assignment)


def _exchange_owner(match: re.Match[str], depth: int) -> Owner | None:
    try:
        time = parse_utc(match["time"]).replace(tzinfo=timezone.utc)
    except (ValueError, OverflowError):
        return None
    return Owner("exchange", match["id"], "", depth, match["assignment"], time)


def _moodle_owner(match: re.Match[str], depth: int) -> Owner:
    return Owner("moodle", match["name"], match["number"], depth)


def _canvas_owner(match: re.Match[str], depth: int) -> Owner:
    upload, late = int(match["upload"]), bool(match["late"])
    return Owner("canvas", match["name"], match["number"], depth, None, None, upload, late)


_OWNERS: dict[str, Callable[[re.Match[str], int], Owner | None]] = {
    "exchange": _exchange_owner,
    "moodle": _moodle_owner,
    "canvas": _canvas_owner,
}


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
