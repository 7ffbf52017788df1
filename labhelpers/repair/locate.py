"""Find the released notebooks of this installation, and the file of the notebook that runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from labhelpers.repair.recognise import recognise, traits_of
from labhelpers.repair.release import Release, read_releases

__all__ = ["LocateError", "find_assignment", "find_notebook", "find_releases"]

# Where Colab keeps the notebooks of who has connected the Drive.
_DRIVE = Path("/content/drive/MyDrive/Colab Notebooks")


class LocateError(Exception):
    """A file was not found or not recognised; the message says what to do."""


def find_releases() -> dict[str, Release]:
    """Return what was released, by assignment: from the package, in a clone from its last release.

    Raises:
        LocateError: If there is nothing.
    """
    package = Path(__file__).parents[1]
    for folder in (package / "released", package.parent / "build" / "student"):
        if releases := read_releases(folder):
            return releases
    raise LocateError(
        "This labhelpers does not hold the released notebooks, so there is nothing to compare "
        "with. Students install the .whl file that lies beside the notebooks; in a clone of the "
        "repository run `labhelpers release --student-only`."
    )


def find_assignment(path: Path, releases: dict[str, Release]) -> str:
    """Return which of the released notebooks a file is, by what it holds.

    Raises:
        LocateError: If the file is not there, or is none of them.
    """
    if not path.is_file():
        raise LocateError(f"There is no file {path}. Give the notebook's path and name.")
    traits = traits_of({name: release.notebook for name, release in releases.items()})
    if found := recognise(path.read_bytes(), traits).assignment:
        return found
    raise LocateError(
        f"{path.name} holds none of the notebooks of this lab, which are {', '.join(releases)}."
    )


def find_notebook(assignment: str, releases: dict[str, Release], shell: Any = None) -> Path:
    """Return the file of the notebook that runs.

    VS Code and Jupyter's server tell the kernel where it is. Elsewhere it is the only file in the
    working folder (on Colab also in the folder of the connected Drive) that holds this notebook.

    Args:
        assignment: Which notebook of the lab it is.
        releases: What `find_releases` returned.
        shell: IPython's shell, None outside of IPython.

    Raises:
        LocateError: If there is none, or more than one.
    """
    told = [
        shell.user_ns.get("__vsc_ipynb_file__") if shell else None,
        os.environ.get("JPY_SESSION_NAME"),
    ]
    for name in told:
        if not (name and name.endswith(".ipynb") and Path(name).is_file()):
            continue
        # A kernel that two notebooks share tells the name of the first.
        if _recognised(Path(name), releases) in (assignment, None):
            return Path(name)
    on_colab = "google.colab" in sys.modules
    folders = [Path(), _DRIVE] if on_colab else [Path()]
    found = [path for folder in folders for path in sorted(folder.glob("*.ipynb"))]
    found = [path for path in found if _recognised(path, releases) == assignment]
    if len(found) == 1:
        return found[0]
    call = f'preflight("{assignment}", "{found[0] if found else assignment + ".ipynb"}")'
    if found:
        names = ", ".join(str(path) for path in found)
        raise LocateError(f"Several files hold this notebook: {names}. Name the one: {call}")
    if on_colab:
        raise LocateError(
            "Colab does not tell where this notebook is. Choose File > Download > Download .ipynb, "
            "open the folder icon at the left, drag the file there, and run this cell again."
        )
    raise LocateError(
        f"The file of this notebook is not in {Path().absolute()}. Save it there, or name it: "
        f"{call}"
    )


def _recognised(path: Path, releases: dict[str, Release]) -> str | None:
    try:
        return find_assignment(path, releases)
    except (LocateError, OSError):
        return None
