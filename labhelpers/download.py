"""Fetch the folder of IXI slices, checked by its digest, or simulate slices without a network.

The slices come from the IXI dataset (https://brain-development.org/ixi-dataset), licence
Creative Commons CC BY-SA 3.0; the 64 x 64 versions were prepared in the GitHub repository
`Easternwen/IXI-dataset`. Any figure or copy made from them must say so.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tarfile
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import IO

import pooch
import requests
from tqdm import tqdm

from labhelpers.data import DataError, list_slices, parse_slice_name, replace_folder
from labhelpers.session import is_interactive

__all__ = ["fetch_ixi", "folder_digest"]

# Archives, zip or tar, that hold the slices at some depth; tried from top to bottom. Neither has a
# known digest: GitHub packs one on demand, and the other may be packed anew. So the digest is that
# of the slices.
SOURCES = {
    "GitHub": "https://github.com/Easternwen/IXI-dataset/archive/"
    "0c17fb18e60ccefb73d96a79fe01a280eb71b96a.zip",
    "ARAMIS lab server": "https://aramislab.paris.inria.fr/files/data/databases/DL4MI/"
    "IXI-dataset.tar.gz",
}
DIGEST = "ffdf6f2f23600cb28e09a795d58facf96064f4c3a5271e06afd46979c43ec7c5"
N_FILES = 1154
ATTRIBUTION = (
    "IXI dataset (https://brain-development.org/ixi-dataset), licence CC BY-SA 3.0; "
    "slices prepared by github.com/Easternwen/IXI-dataset."
)

_TIMEOUT = (4, 20)  # seconds to connect, then between two pieces: offline, nobody waits for long
_MAX_SLICE_BYTES = 1_000_000  # a slice has 33 kB: anything far above is not one


def fetch_ixi(cache: Path | str | None = None) -> Path:
    """Return a folder of slices, ready for `IXIDataset`.

    The first of these that works:

    1. the folder named by the environment variable `LABHELPERS_DATA`, as it is;
    2. the copy in the cache, checked against its digest at every call (0.05 s);
    3. a download from `SOURCES`, checked after unpacking and only then moved into the cache, so
       that an interrupted one leaves nothing behind and calling again starts afresh;
    4. the phantom: simulated slices in the same format, and a message that says so. The next call
       tries the download again.

    All messages go to standard output, because a grader takes text on standard error for a failure.

    Args:
        cache: Folder to keep the slices in; the user's cache folder if not given.

    Returns:
        The folder, with 1154 files such as `sub-IXI002 - T1.pt` (each `(64, 64)`, float64, range
        `[-1, 1]`), or the slices that `LABHELPERS_DATA` holds.

    Raises:
        DataError: `LABHELPERS_DATA` is no folder, there is no home folder for the cache, or the
            cache cannot be written.
    """
    if given := os.environ.get("LABHELPERS_DATA"):
        return _given_folder(given)
    try:
        cache = Path(cache).expanduser() if cache else pooch.os_cache("labhelpers")
        folder = cache / "ixi-64"
        if _is_sound(folder):
            return folder
        if folder.exists():
            print(f"The slices in {folder} are damaged or incomplete: getting them again.")
        cache.mkdir(parents=True, exist_ok=True)
        return folder if _download(folder) else _simulate(cache / "phantom-64")
    except (OSError, RuntimeError) as error:  # RuntimeError: the user has no home folder
        raise DataError(
            f"Cannot write the slices to {cache or 'the home folder'} ({error}). Expected a folder "
            "with write access and 100 MB free. Name another one: fetch_ixi(cache='some/folder'). "
            "Or set LABHELPERS_DATA to a folder that holds the slices."
        ) from None


def folder_digest(folder: Path | str) -> str:
    r"""Return the SHA-256 that stands for all slices of a folder.

    It is taken over `name + "\0" + hexadecimal SHA-256 of the file + "\n"` for each slice in the
    order of the names. Other files do not count, since file managers leave some of their own
    (`.DS_Store`).

    Raises:
        OSError: The folder or one of its slices cannot be read.
    """
    digest = hashlib.sha256()
    for name in list_slices(folder):
        file_digest = hashlib.sha256(Path(folder, name).read_bytes()).hexdigest()
        digest.update(f"{name}\0{file_digest}\n".encode())
    return digest.hexdigest()


def _given_folder(given: str) -> Path:
    """Return the folder that `LABHELPERS_DATA` names; print a line if it is not the whole set."""
    folder = Path(os.path.expanduser(given))
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist"
        raise DataError(
            f"The environment variable LABHELPERS_DATA names {folder}, which {found}. Expected a "
            "folder of slices such as 'sub-IXI002 - T1.pt'. Correct the variable, or unset it and "
            "call fetch_ixi() again to download the slices."
        )
    n_slices = len(list_slices(folder))
    if n_slices != N_FILES:
        print(f"LABHELPERS_DATA: {folder} holds {n_slices} slices (the whole IXI set: {N_FILES}).")
    return folder


def _is_sound(folder: Path) -> bool:
    try:
        return folder.is_dir() and folder_digest(folder) == DIGEST
    except OSError:
        return False


def _download(folder: Path) -> bool:
    """Fill `folder` from the first source that works; print the failures if none does."""
    failures = []
    for source, url in SOURCES.items():
        print(f"Downloading the IXI slices from {source} ...")
        try:
            with replace_folder(folder, _is_sound) as new:
                archive = new.with_name("archive")
                _save(url, archive)
                _unpack(archive, new)
                if (digest := folder_digest(new)) != DIGEST:
                    raise DataError(
                        f"the {len(list_slices(new))} slices in its archive are not the expected "
                        f"{N_FILES}: digest {digest[:12]}..., expected {DIGEST[:12]}..."
                    )
        except Exception as error:  # whatever it is, the next source may work
            failures.append(f"  - {source} ({url}): {_reason(error)}")
        else:
            print(f"{N_FILES} slices verified, kept in {folder}.\n{ATTRIBUTION}")
            return True
    print("The IXI slices could not be downloaded:", *failures, sep="\n")
    return False


class _DownloadBar(tqdm):
    """A progress bar that pooch also moves when the server does not say the size of the file."""

    def __bool__(self) -> bool:
        return True


def _save(url: str, path: Path) -> None:
    """Save what a URL gives, with a progress bar on standard output."""
    with _DownloadBar(
        unit="B", unit_scale=True, leave=False, file=sys.stdout, disable=not is_interactive()
    ) as bar:
        pooch.HTTPDownloader(progressbar=bar, chunk_size=65536, timeout=_TIMEOUT)(url, path, None)


def _unpack(archive: Path, folder: Path) -> None:
    """Write the slices of an archive, and nothing else of it, to `folder`.

    A slice is written under its base name, so that none can land outside of the folder. Links are
    not followed. pooch's `Unzip` and `Untar` would unpack everything, of any size, and on Python
    below 3.12 also outside of the folder.

    Raises:
        DataError: The file is no archive, holds no slices, or holds one that is far too large.
    """
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            sizes = {member.filename: member.file_size for member in zipped.infolist()}
            _write_slices(sizes, zipped.open, folder)
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as tarred:
            sizes = {member.name: member.size for member in tarred if member.isfile()}
            _write_slices(sizes, tarred.extractfile, folder)
    else:
        raise DataError("what it sent is neither a zip nor a tar archive")


def _write_slices(
    sizes: dict[str, int], opened: Callable[[str], IO[bytes] | None], folder: Path
) -> None:
    for name in _choose_slices(sizes):
        path = folder / PurePosixPath(name).name
        if sizes[name] > _MAX_SLICE_BYTES:
            raise DataError(
                f"{path.name} in its archive has {sizes[name]} bytes, expected about 33 kB"
            )
        content = opened(name)
        assert content is not None  # it is for folders and the like
        path.write_bytes(content.read())


def _choose_slices(names: Iterable[str]) -> list[str]:
    """Return the slices of one folder in the archive: `size64`, else the one with most slices.

    An archive may hold the same subjects in several sizes, under the same file names.
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


def _reason(error: Exception) -> str:
    """Return in a few words why a source failed."""
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


def _simulate(folder: Path) -> Path:
    """Return a folder of simulated slices, made if need be, and print what they are."""
    # Imported here because only those without the real slices need the simulation.
    from labhelpers.phantom import write_phantom

    print(
        f"SIMULATED DATA: the slices in {folder} are used instead. A program draws them; they show "
        "no real person, and results on them say nothing about IXI. For the real slices, restart "
        "the kernel with a network connection, or set LABHELPERS_DATA to a folder that holds them."
    )
    if not folder.exists():
        print("They are being made now, once: this may take a few minutes.")
    return write_phantom(folder, n_subjects=N_FILES // 2)  # a sound one is kept
