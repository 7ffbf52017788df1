"""Bring the folder of IXI slices to this machine, verified, or the simulated slices in its place.

The slices come from the IXI dataset (https://brain-development.org/ixi-dataset), licence
Creative Commons CC BY-SA 3.0; the 64 x 64 versions were prepared in the GitHub repository
``Easternwen/IXI-dataset``. Any figure or copy made from them must say so.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import shutil
import sys
import tarfile
import tempfile
import time
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import pooch
import requests
from tqdm import tqdm

from labhelpers.session import has_reader

__all__ = ["DataError", "fetch_ixi", "folder_digest", "parse_slice_name"]


class DataError(ValueError):
    """The slices cannot be used; the message says why, what was expected and what to do next."""


@dataclass(frozen=True)
class Source:
    """A public archive, zip or tar, that holds the slices at some depth."""

    name: str
    url: str


# Tried from top to bottom. The archives themselves are packed on demand by their servers, so only
# the unpacked files have a digest that stays the same.
SOURCES = (
    Source(
        "GitHub",
        "https://github.com/Easternwen/IXI-dataset/archive/"
        "0c17fb18e60ccefb73d96a79fe01a280eb71b96a.zip",
    ),
    Source(
        "ARAMIS lab server",
        "https://aramislab.paris.inria.fr/files/data/databases/DL4MI/IXI-dataset.tar.gz",
    ),
)
DIGEST = "ffdf6f2f23600cb28e09a795d58facf96064f4c3a5271e06afd46979c43ec7c5"
N_FILES = 1154
PHANTOM_FOLDER = "phantom-64"
ATTRIBUTION = (
    "IXI dataset (https://brain-development.org/ixi-dataset), licence CC BY-SA 3.0; "
    "slices prepared by github.com/Easternwen/IXI-dataset."
)

_TIMEOUT = (4, 20)  # seconds to connect, then between two pieces: offline, nobody waits for long
_MAX_SLICE_BYTES = 1_000_000  # a slice has 33 kB: anything far above is not one
_SLICE_NAME = re.compile(r"(sub-[A-Za-z0-9]+) - (T1|T2)\.pt")

# Caches for which no source could be reached: the same process does not wait for them twice.
_unreachable: set[Path] = set()


def fetch_ixi(cache: Path | str | None = None) -> Path:
    """Return a folder of slices, ready for ``IXIDataset``.

    The first of these that works:

    1. the folder named by the environment variable ``LABHELPERS_DATA``, as it is;
    2. the copy in the cache, checked against its digest at every call (0.05 s);
    3. a download from ``SOURCES``, checked after unpacking and only then moved into the cache, so
       that an interrupted one leaves nothing behind and calling again starts afresh;
    4. without any of them, the phantom: simulated slices in the same format, and a message that
       says so. The next process tries the download again.

    All messages go to standard output. Used in the set-up of all four notebooks.

    Args:
        cache: folder to keep the slices in; the user's cache folder if not given.

    Returns:
        The folder, with 1154 files such as ``sub-IXI002 - T1.pt`` (each ``(64, 64)``, float64,
        range ``[-1, 1]``), or the slices that ``LABHELPERS_DATA`` holds.

    Raises:
        DataError: ``LABHELPERS_DATA`` is no folder, or the cache cannot be written.
    """
    given = os.environ.get("LABHELPERS_DATA")
    if given:
        return _given_folder(given)
    cache = Path(cache).expanduser() if cache else pooch.os_cache("labhelpers")
    folder = cache / "ixi-64"
    if _is_sound(folder):
        return folder
    if folder.exists():
        print(f"The slices in {folder} are damaged or incomplete: getting them again.")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        if _download(cache, folder):
            return folder
        return _phantom_folder(cache)
    except OSError as error:
        raise DataError(
            f"Cannot write the slices to {cache} ({error}). Expected a folder with write access "
            "and 100 MB free. Name another one: fetch_ixi(cache='some/folder')."
        ) from None


def folder_digest(folder: Path | str) -> str:
    """Return the SHA-256 that stands for all slices of a folder.

    It is taken over ``name + NUL + hexadecimal SHA-256 of the file + newline`` for each slice in
    the order of the names. Files that are not named like a slice do not count, since file managers
    leave some of their own (``.DS_Store``).

    Raises:
        OSError: the folder or one of its slices cannot be read.
    """
    digest = hashlib.sha256()
    for name in sorted(filter(parse_slice_name, os.listdir(folder))):
        file_digest = hashlib.sha256(Path(folder, name).read_bytes()).hexdigest()
        digest.update(f"{name}\0{file_digest}\n".encode())
    return digest.hexdigest()


def parse_slice_name(name: str) -> tuple[str, str] | None:
    """Split ``"sub-IXI002 - T1.pt"`` into ``("sub-IXI002", "T1")``; ``None`` for another name."""
    match = _SLICE_NAME.fullmatch(name)
    return (match[1], match[2]) if match else None


def _given_folder(given: str) -> Path:
    folder = Path(given).expanduser()
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist"
        raise DataError(
            f"The environment variable LABHELPERS_DATA names {folder}, which {found}. Expected a "
            "folder of slices such as 'sub-IXI002 - T1.pt'. Correct the variable, or unset it and "
            "call fetch_ixi() again to download the slices."
        )
    # As it is, but never a smaller set without a word.
    n_slices = sum(parse_slice_name(name) is not None for name in os.listdir(folder))
    if n_slices != N_FILES:
        print(f"LABHELPERS_DATA: {folder} holds {n_slices} slices (the whole IXI set: {N_FILES}).")
    return folder


def _is_sound(folder: Path) -> bool:
    try:
        return folder.is_dir() and folder_digest(folder) == DIGEST
    except OSError:
        return False


def _download(cache: Path, folder: Path) -> bool:
    """Fill ``folder`` from the first source that works; report the failures if none does."""
    if cache in _unreachable:
        print("No source of the IXI slices could be reached when this kernel last tried.")
        return False
    _remove_leftovers(cache)
    errors: list[Exception] = []
    for source in SOURCES:
        print(f"Downloading the IXI slices from {source.name} ...")
        try:
            # Beside the target, because only a move within one file system is atomic.
            with tempfile.TemporaryDirectory(
                dir=cache, prefix=_LEFTOVER, ignore_cleanup_errors=True
            ) as work:
                _download_from(source, Path(work), folder)
        except Exception as error:  # whatever it is, the next source may work
            errors.append(error)
        else:
            print(f"{N_FILES} slices verified, kept in {folder}.\n{ATTRIBUTION}")
            return True
    print("The IXI slices could not be downloaded:")
    for source, error in zip(SOURCES, errors, strict=True):
        print(f"  - {source.name} ({source.url}): {_reason(error)}")
    if all(isinstance(error, requests.ConnectionError | requests.Timeout) for error in errors):
        _unreachable.add(cache)
    return False


def _download_from(source: Source, work: Path, folder: Path) -> None:
    """Download, unpack and verify one source in ``work``, then move it to ``folder``."""
    with _silent_pooch():
        archive = pooch.retrieve(
            source.url, known_hash=None, fname="archive", path=work, downloader=_save_url
        )
    fresh = work / "slices"
    fresh.mkdir()
    _unpack(Path(archive), fresh)
    if (digest := folder_digest(fresh)) != DIGEST:
        raise DataError(
            f"the {len(os.listdir(fresh))} slices in its archive are not the expected {N_FILES}: "
            f"digest {digest[:12]}..., expected {DIGEST[:12]}..."
        )
    if _is_sound(folder):  # another process was faster
        return
    if folder.exists():
        os.replace(folder, work / "damaged")
    try:
        os.replace(fresh, folder)
    except OSError:
        if not _is_sound(folder):
            raise


def _save_url(url: str, output_file: str, _: object) -> None:
    """Save what a URL gives, with a progress bar: a downloader as pooch wants them.

    Unlike pooch's own one, it closes the connection after a failure too, and its bar moves on
    standard output, also when the server does not say the size.
    """
    with (
        requests.get(url, stream=True, timeout=_TIMEOUT) as response,
        open(output_file, "wb") as target,
        tqdm(
            unit="B", unit_scale=True, leave=False, file=sys.stdout, disable=not has_reader()
        ) as bar,
    ):
        response.raise_for_status()
        bar.reset(total=int(response.headers.get("Content-Length", 0)) or None)
        for chunk in response.iter_content(chunk_size=65536):
            target.write(chunk)
            bar.update(len(chunk))


def _unpack(archive: Path, folder: Path) -> None:
    """Write the slices of an archive, and nothing else of it, to ``folder``."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            sizes = {i.filename: i.file_size for i in opened.infolist()}
            for member in _slice_members(sizes):
                with opened.open(member) as stream:
                    _write_slice(stream, sizes[member], folder / PurePosixPath(member).name)
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as opened:
            sizes = {i.name: i.size for i in opened.getmembers() if i.isfile()}
            for member in _slice_members(sizes):
                with opened.extractfile(member) as stream:  # a file, so never None
                    _write_slice(stream, sizes[member], folder / PurePosixPath(member).name)
    else:
        raise DataError("what it sent is neither a zip nor a tar archive")


def _slice_members(names: Iterable[str]) -> list[str]:
    """Choose the members of one archive folder: ``size64``, else the one with most slices.

    An archive may hold the same subjects in several sizes, under the same file names. A slice is
    written under its base name, so no member can land outside the target folder.
    """
    folders: dict[PurePosixPath, list[str]] = defaultdict(list)
    for name in names:
        path = PurePosixPath(name)
        if parse_slice_name(path.name):
            folders[path.parent].append(name)
    if not folders:
        raise DataError("its archive holds no slices such as 'sub-IXI002 - T1.pt'")
    best = max(folders, key=lambda folder: (folder.name == "size64", len(folders[folder])))
    return folders[best]


def _write_slice(stream: BinaryIO, size: int, path: Path) -> None:
    if size > _MAX_SLICE_BYTES:
        raise DataError(f"{path.name} in its archive has {size} bytes, expected about 33 kB")
    with path.open("wb") as target:
        shutil.copyfileobj(stream, target)


def _reason(error: Exception) -> str:
    """Say in a few words why a source failed."""
    if isinstance(error, DataError):
        return str(error)
    if isinstance(error, requests.HTTPError):
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.exceptions.SSLError):
        return "no secure connection (does a proxy or a wrong system clock stand in the way?)"
    if isinstance(error, requests.ConnectionError | requests.Timeout):
        return "no answer (no network, or the server is down)"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the download was cut before its end"
    return f"the archive could not be used ({type(error).__name__}: {error})"


_LEFTOVER = ".ixi-64-"


def _remove_leftovers(cache: Path) -> None:
    """Remove what killed downloads (a kernel restart) left, unless it may still be under way."""
    for leftover in cache.glob(f"{_LEFTOVER}*"):
        with contextlib.suppress(OSError):
            if time.time() - leftover.stat().st_mtime > 24 * 3600:
                shutil.rmtree(leftover, ignore_errors=True)


@contextlib.contextmanager
def _silent_pooch() -> Iterator[None]:
    """Keep pooch from logging to standard error, where nbgrader would take points for it."""
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _phantom_folder(cache: Path) -> Path:
    """Return the simulated slices in the cache, made first if need be, and say what they are."""
    # Imported here because only those without the real slices need the simulation.
    from labhelpers.phantom import write_phantom

    folder = cache / PHANTOM_FOLDER
    print(
        f"SIMULATED DATA: the slices in {folder} are used instead. A program draws them; they show "
        "no real person, and results on them say nothing about IXI. For the real slices, restart "
        "the kernel with a network connection, or set LABHELPERS_DATA to a folder that holds them."
    )
    if not folder.exists():
        print("They are being made now, once: this may take a few minutes.")
    return write_phantom(folder, n_subjects=N_FILES // 2)  # a sound one is kept
