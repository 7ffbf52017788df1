"""Keep the folder of submissions in order: put in, keep what is replaced, mend names and times."""

import os
import re
import shutil
import stat
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import count
from pathlib import Path

import dateutil.parser
from nbgrader.apps import NbGraderAPI
from nbgrader.utils import parse_utc

from labhelpers.instructor.grading.intake.archives import FILE_BYTES
from labhelpers.instructor.grading.intake.released import read_traits
from labhelpers.instructor.grading.safe_text import visible
from labhelpers.repair.recognise import Traits, recognise

__all__ = [
    "TIMESTAMP",
    "Line",
    "keep",
    "normalise_in_place",
    "put",
    "read_time",
    "submission_folder",
    "submission_time",
]

TIMESTAMP = "timestamp.txt"


@dataclass(frozen=True)
class Line:
    """A line of the report on what was handed in.

    Attributes:
        kind: One of `collect.KINDS`.
        student: Whose submission, "" if nobody's.
        file: The file, as it was found.
        message: What there is to know about it.
    """

    kind: str
    student: str
    file: str
    message: str

    def in_words(self) -> str:
        """Return the line for a terminal; control characters of a name are written out."""
        who = f"{self.student}: " if self.student else ""
        return visible(who + " ".join(filter(None, (self.file, self.message))))


def submission_folder(course: NbGraderAPI, student: str, assignment: str) -> Path:
    """Return where nbgrader expects a submission."""
    directory = course.coursedir.submitted_directory
    return Path(course.coursedir.format_path(directory, student, assignment))


def submission_time(notebook: Path) -> datetime:
    """Return when a submission was handed in (UTC), else when its notebook was written."""
    try:
        time = read_time((notebook.parent / TIMESTAMP).read_bytes())
    except OSError:
        time = None
    return time or datetime.fromtimestamp(notebook.lstat().st_mtime, timezone.utc)


def put(
    notebook: Path, content: bytes, written: datetime | None, handed_in: datetime | None
) -> None:
    """Write a submission: the notebook as a whole or not at all, then its time stamp."""
    notebook.parent.mkdir(parents=True, exist_ok=True)
    part = notebook.with_name(notebook.name + ".part")
    part.write_bytes(content)
    if written:
        os.utime(part, (written.timestamp(), written.timestamp()))
    os.replace(part, notebook)
    if handed_in:
        text = handed_in.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f UTC\n")
        (notebook.parent / TIMESTAMP).write_text(text)


def keep(course: NbGraderAPI, assignment: str, student: str, *paths: Path) -> Path:
    """Move files of a submission to `build/collected/`; nothing there is overwritten.

    Returns:
        The folder that holds them now.
    """
    above = Path(course.coursedir.root, "build", "collected", assignment, student)
    folder = next(one for n in count(1) if not (one := above / str(n)).exists())
    folder.mkdir(parents=True)
    for path in paths:
        if os.path.lexists(path):
            shutil.move(path, folder / path.name)
    return folder


def read_time(content: bytes) -> datetime | None:
    """Return the time (UTC) that a `timestamp.txt` holds, None if it holds none.

    Understood are nbgrader's and other usual forms, days before months (`21.11.2026`), seconds or
    milliseconds since 1970, and files with a byte-order mark. Without a zone it is UTC, as nbgrader
    has it.
    """
    utf16 = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    text = content.decode("utf-16" if utf16 else "utf-8-sig", errors="replace").strip()
    try:
        if re.fullmatch(r"\d{9,13}(\.\d*)?", text):
            seconds = float(text)
            time = datetime.fromtimestamp(seconds / (1000 if seconds > 1e11 else 1), timezone.utc)
        elif re.match(r"\d{1,2}\.\d{1,2}\.\d{4}", text):
            time = parse_utc(dateutil.parser.parse(text, dayfirst=True))
        elif re.search(r"\d{4}", text):
            time = parse_utc(text)
        else:
            return None
    except (ValueError, OverflowError, TypeError):
        return None
    return time.replace(tzinfo=timezone.utc) if 2000 <= time.year < 2100 else None


def normalise_in_place(course: NbGraderAPI, assignment: str) -> list[Line]:
    """Mend what nbgrader would stop at in the submissions of an assignment.

    A notebook of another name is copied to the name that nbgrader expects; a time stamp in another
    form is written anew, one that cannot be understood is put aside; links and the like are moved
    to `build/collected/`. Submissions are not read for anything else, and no link is followed.

    Args:
        course: What `open_course` returned.
        assignment: Name of the assignment.

    Returns:
        A line for each thing that was changed or needs a human eye.
    """
    traits = read_traits(course, assignment)
    lines: list[Line] = []
    for folder in sorted(submission_folder(course, "any", "any").parents[1].glob("*/*")):
        if folder.name != assignment:
            continue
        student = folder.parent.name
        try:
            if folder.is_symlink():
                kept = keep(course, assignment, student, folder)
                message = f"is a link; moved to {kept}"
                lines.append(Line("refused", student, str(folder), message))
            elif folder.is_dir():
                lines += _without_links(course, assignment, student, folder)
                lines += _with_readable_time(student, folder)
                lines += _with_expected_name(traits, assignment, student, folder)
        except OSError as error:
            message = f"cannot be put in order ({error.strerror})"
            lines.append(Line("refused", student, str(error.filename or folder), message))
    return lines


def _without_links(course: NbGraderAPI, assignment: str, student: str, folder: Path) -> list[Line]:
    lines = []
    for above, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(above, name)
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                lines.append(Line("extra", student, str(path), "is a folder, which is not graded"))
            elif not stat.S_ISREG(mode):
                what = "a link" if stat.S_ISLNK(mode) else "a device or a pipe"
                kept = keep(course, assignment, student, path)
                lines.append(Line("refused", student, str(path), f"is {what}; moved to {kept}"))
    return lines


def _with_readable_time(student: str, folder: Path) -> list[Line]:
    path = folder / TIMESTAMP
    if not path.is_file():
        return []
    with path.open("rb") as stream:
        content = stream.read(1000)
    if not content.strip():
        return []
    time = read_time(content)
    text = content.decode("utf-8", errors="replace").strip()[:80]
    if time is None:
        os.replace(path, path.with_name(f"{TIMESTAMP}.unreadable"))
        return [Line("doubtful", student, str(path), f"is no date ({text!r}); put aside")]
    try:
        understood = parse_utc(content.decode().strip()) == time.replace(tzinfo=None)
    except (ValueError, OverflowError, TypeError):
        understood = False
    if understood:
        return []
    path.write_text(time.strftime("%Y-%m-%d %H:%M:%S.%f UTC\n"))
    return [Line("renamed", student, str(path), f"said {text!r}, now {path.read_text().strip()}")]


def _with_expected_name(
    traits: dict[str, Traits], assignment: str, student: str, folder: Path
) -> list[Line]:
    expected = folder / f"{assignment}.ipynb"
    if expected.exists():
        return []
    lines, found = [], []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        if ".ipynb" not in path.name.lower() or ".ipynb_checkpoints" in inside:
            continue
        if not path.is_file() or path.stat().st_size > FILE_BYTES:
            continue
        recognised = recognise(path.read_bytes(), traits)
        if recognised.assignment == assignment:
            found.append((path.stat().st_mtime, path, recognised.doubt))
        elif recognised.assignment:
            message = f"is {recognised.assignment}"
            lines.append(Line("other", student, str(path), message))
        elif not recognised.readable:
            found.append((0.0, path, recognised.doubt))
    if not found:
        message = f"holds no notebook of {assignment}"
        return [*lines, Line("doubtful", student, str(folder), message)]
    *others, (_, newest, doubt) = sorted(found)
    shutil.copy2(newest, expected)
    lines.append(Line("renamed", student, str(newest), f"copied to {expected.name}"))
    if others or doubt:
        message = doubt or f"the newest of {len(found)} notebooks"
        lines.append(Line("doubtful", student, str(newest), message))
    return lines
