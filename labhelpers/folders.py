"""Where a notebook keeps images, results and trainings: beside it, or in Google Drive if asked."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from labhelpers.methods import METHODS
from labhelpers.session import is_graded, temporary_folder

__all__ = ["images_folder", "keep_on_drive", "shared_folder", "unwritable_images"]

_MOUNTED = Path("/content/drive")  # where Colab shows a student's Drive

_on_drive: Path | None = None  # the folder in Drive, once the notebook asked for it


def keep_on_drive(wanted: bool = True, folder: str = "labhelpers") -> None:
    """Keep images, results and trainings in Google Drive from now on, so that Colab loses nothing.

    Colab gives each notebook a machine of its own and deletes it later. A folder in Drive stays,
    and the four notebooks share it. Colab asks for permission first. Where Drive cannot be had,
    this says so, and the lesson goes on.

    Args:
        wanted: False for the machine's own disk.
        folder: Name of the folder in "My Drive"; it is made if need be.
    """
    global _on_drive
    _on_drive = None
    if is_graded() or not wanted:
        return
    if "google.colab" not in sys.modules:
        print(f"Drive is not needed here: all is kept in {Path.cwd()}, which stays.")
        return
    try:
        from google.colab import drive

        drive.mount(str(_MOUNTED))
        place = _MOUNTED / "MyDrive" / folder
        place.mkdir(parents=True, exist_ok=True)
    except Exception as error:  # Colab raises several kinds, for instance without permission
        print(
            f"Google Drive cannot be used ({error}). Images, results and trainings stay on this "
            "machine, which Colab deletes later. Run this cell again to try once more."
        )
        return
    _on_drive = place
    print(f"Images, results and trainings are kept in Google Drive, folder {folder!r}.")


def images_folder() -> Path:
    """Return the folder `images`, where each training has a folder of its name.

    It is a temporary one instead while nbgrader grades or validates, so that these short trainings
    replace nothing of the student's, and where `images` cannot be written.
    """
    return temporary_folder() if is_graded() or unwritable_images() else _images()


def unwritable_images() -> Path | None:
    """Return the folder `images` if it can neither be written nor made; None if all is well."""
    images = _images()
    is_free = os.access(images if images.exists() else images.parent, os.W_OK)
    return None if is_graded() or (is_free and not images.is_file()) else images


def _images() -> Path:
    return (_on_drive or Path()) / "images"


def shared_folder(name: str) -> Path:
    """Return the folder of that name that the four notebooks share; it may not exist yet.

    It stands beside the notebooks: in their own folder, or above it where each has a folder of
    its name, as nbgrader gives them out. Grading and validation get one of their own.

    Args:
        name: `results` or `checkpoints`.
    """
    if is_graded():
        return temporary_folder()
    here = Path.cwd()
    has_own_folder = here.name in {method.notebook for method in METHODS.values()}
    return (_on_drive or (here.parent if has_own_folder else here)) / name
