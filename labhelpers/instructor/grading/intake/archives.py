"""Read the files of a folder or a zip file that others filled, refusing what could do harm."""

import io
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import IO

__all__ = ["FILE_BYTES", "File", "read_files", "zip_problem"]

#: Largest file that is read, in bytes; nbgrader's own limit.
FILE_BYTES = 100_000_000
#: What one zip file may hold: files, and bytes that are unpacked.
ZIP_FILES, ZIP_BYTES = 200_000, 20_000_000_000
#: The same for a zip file inside another one, as one student hands it in.
INNER_FILES, INNER_BYTES = 5_000, 500_000_000
#: How deep folders are opened.
FOLDER_DEPTH = 50
#: How many zip files may lie one inside the other.
ZIP_DEPTH = 3
#: A large file that is packed this many times smaller is refused.
RATIO, RATIO_FROM_BYTES = 100, 50_000_000

_LITTER = ("__MACOSX", ".ipynb_checkpoints", "__pycache__", ".DS_Store", "Thumbs.db", ".git")
# Stands before each entry of the table of contents, which Python reads as a whole.
_MEMBER_RECORD = b"PK\x01\x02"
_BROKEN = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError)

#: Takes the path of a file and a sentence on why it is not read.
Refuse = Callable[[str, str], None]


@dataclass(frozen=True)
class File:
    """A file as it was found.

    Attributes:
        parts: Names of the folders and zip files that it lies in, without `.zip`, and its own.
        content: What it holds, None if nobody asked for it.
        modified: When it was written last, in UTC; None if unknown.
        user: Number of the user who owns the file, None in a zip file.
        packed: For each zip file that it lies in, from the outer one to the inner one: how many
            parts name the zip file itself, and the time (UTC) of its member that holds the file.
    """

    parts: tuple[str, ...]
    content: bytes | None
    modified: datetime | None
    packed: tuple[tuple[int, datetime | None], ...] = ()
    user: int | None = None

    @property
    def path(self) -> str:
        """The parts as one path."""
        return "/".join(self.parts)


@dataclass
class _Budget:
    """What a zip file, and those that it lies in, may still unpack."""

    files: int
    size: int
    outer: "_Budget | None" = None

    def spend(self, files: int, size: int) -> bool:
        """Return True if that much is left, and take it."""
        if files > self.files or size > self.size:
            return False
        if self.outer and not self.outer.spend(files, size):
            return False
        self.files -= files
        self.size -= size
        return True


@dataclass(frozen=True)
class _Walk:
    """Reads a tree: which files are wanted, and who hears of those that are refused."""

    wanted: Callable[[str], bool]
    refuse: Refuse
    packed: tuple[tuple[int, datetime | None], ...] = ()
    budget: _Budget = field(default_factory=lambda: _Budget(ZIP_FILES, ZIP_BYTES))

    def folder(self, path: Path, parts: tuple[str, ...]) -> Iterator[File]:
        if len(parts) > FOLDER_DEPTH:
            self.refuse("/".join(parts), f"lies more than {FOLDER_DEPTH} folders deep")
            return
        try:
            entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        except OSError as error:
            self.refuse("/".join(parts), f"cannot be opened ({error.strerror})")
            return
        for entry in entries:
            if _is_litter(entry.name):
                continue
            below = (*parts, entry.name)
            if entry.is_dir(follow_symlinks=False):
                yield from self.folder(Path(entry.path), below)
            else:
                yield from self.file(Path(entry.path), below)

    def file(self, path: Path, parts: tuple[str, ...]) -> Iterator[File]:
        """Read a file of the disk; a link is not followed, whoever exchanges the file meanwhile."""
        name = "/".join(parts)
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        try:
            if path.is_symlink():
                self.refuse(name, "is a link")
                return
            with open(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb") as stream:
                status = os.fstat(stream.fileno())
                if not stat.S_ISREG(status.st_mode):
                    self.refuse(name, "is a device or a pipe")
                    return
                modified = datetime.fromtimestamp(status.st_mtime, timezone.utc)
                if parts[-1].lower().endswith(".zip"):
                    yield from self.zip(stream, parts)
                    return
                content = None
                if self.wanted(parts[-1]):
                    content = stream.read(FILE_BYTES + 1)
        except OSError as error:
            self.refuse(name, f"cannot be opened ({error.strerror})")
            return
        yield from self._found(File(parts, content, modified, user=status.st_uid))

    def zip(self, stream: IO[bytes], parts: tuple[str, ...]) -> Iterator[File]:
        """Read the members of a zip file; each one that is refused leaves the others."""
        name = "/".join(parts)
        parts = (*parts[:-1], parts[-1][: -len(".zip")]) if parts else ()
        if len(self.packed) == ZIP_DEPTH:
            self.refuse(name, f"is the {ZIP_DEPTH + 1}th zip file one inside the other")
            return
        if self.packed:
            budget = _Budget(INNER_FILES, INNER_BYTES, self.budget)
        else:
            budget = _Budget(ZIP_FILES, ZIP_BYTES)
        try:
            with zipfile.ZipFile(stream) as archive:
                for member in archive.infolist():
                    if not member.is_dir() and not budget.spend(1, 0):
                        self.refuse(name, "holds too many files; the rest is left out")
                        return
                    yield from self._member(archive, member, parts, budget)
        except (*_BROKEN, NotImplementedError) as error:
            self.refuse(name, f"is not a whole zip file ({error})")

    def _member(
        self,
        archive: zipfile.ZipFile,
        member: zipfile.ZipInfo,
        parts: tuple[str, ...],
        budget: _Budget,
    ) -> Iterator[File]:
        inside = _member_parts(member)
        below = (*parts, *inside)
        if member.is_dir() or any(_is_litter(part) for part in inside):
            return
        time = _member_time(member)
        is_zip = below[-1].lower().endswith(".zip")
        problem, content = _member_problem(member), None
        if not problem and (is_zip or self.wanted(below[-1])):
            try:
                with archive.open(member) as stream:
                    content = stream.read(min(FILE_BYTES, budget.size) + 1)
            except (*_BROKEN, NotImplementedError) as error:
                problem = f"cannot be unpacked ({error})"
            else:
                if len(content) > FILE_BYTES:
                    problem = f"is larger than {FILE_BYTES / 1e6:.0f} MB"
                elif not budget.spend(0, len(content)):
                    problem = "is left out: the zip file unpacks to too much"
        packed = (*self.packed, (len(parts), time))
        if problem:
            self.refuse("/".join(below), problem)
        elif is_zip and (content or b"").count(_MEMBER_RECORD) > INNER_FILES:
            self.refuse("/".join(below), f"holds more than {INNER_FILES} files")
        elif is_zip:
            inner = _Walk(self.wanted, self.refuse, packed, budget)
            yield from inner.zip(io.BytesIO(content or b""), below)
        else:
            yield File(below, content, time, packed)

    def _found(self, file: File) -> Iterator[File]:
        if file.content is not None and len(file.content) > FILE_BYTES:
            self.refuse(file.path, f"is larger than {FILE_BYTES / 1e6:.0f} MB")
        else:
            yield file


def read_files(path: Path, wanted: Callable[[str], bool], refuse: Refuse) -> Iterator[File]:
    """Yield the files of a folder or a zip file, also those in zip files inside it.

    Links are not followed. Absolute paths, `..`, links, devices, encrypted members and those that
    unpack to too much are refused one by one.

    Args:
        path: The folder or file.
        wanted: Returns True if a file of that name is to be read; the others come without content.
        refuse: Called with the path of what is refused, and the reason.
    """
    walk = _Walk(wanted, refuse)
    if path.is_dir():
        yield from walk.folder(path, ())
    elif path.suffix.lower() == ".zip":
        with open(path, "rb") as stream:
            yield from walk.zip(stream, ())
    else:
        yield from walk.file(path, (path.name,))


def zip_problem(path: Path) -> str | None:
    """Return why a file is no zip file that can be opened, None if it is one."""
    try:
        with zipfile.ZipFile(path):
            return None
    except (*_BROKEN, NotImplementedError) as error:
        return str(error)


def _is_litter(name: str) -> bool:
    """Return True for what systems and editors leave behind."""
    return name in _LITTER or name.startswith("._")


def _member_parts(member: zipfile.ZipInfo) -> tuple[str, ...]:
    """Return the folders and the name of a member, as its author wrote them."""
    name = member.filename
    if not member.flag_bits & 0x800:  # the name is not marked as UTF-8, though it mostly is
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            name = member.filename
    return tuple(part for part in name.replace("\\", "/").split("/") if part) or ("",)


def _member_problem(member: zipfile.ZipInfo) -> str | None:
    """Return why a member is not unpacked, None if it may be."""
    name = member.filename.replace("\\", "/")
    mode = member.external_attr >> 16
    if name.startswith("/") or name[1:2] == ":" or ".." in PurePosixPath(name).parts:
        return "has a path that leads out of the zip file"
    if stat.S_ISLNK(mode):
        return "is a link"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "is a device or a pipe"
    if member.flag_bits & 0x1:
        return "is encrypted"
    if member.file_size > FILE_BYTES:
        return f"is larger than {FILE_BYTES / 1e6:.0f} MB"
    if member.file_size > max(RATIO_FROM_BYTES, RATIO * member.compress_size):
        return f"is packed more than {RATIO} times smaller, as no notebook is"
    return None


def _member_time(member: zipfile.ZipInfo) -> datetime | None:
    """Return the time of a member in UTC. A zip file has it in local time, 1980 for none."""
    try:
        local = datetime(*member.date_time)
    except ValueError:
        return None
    return local.astimezone(timezone.utc) if local.year > 1980 else None
