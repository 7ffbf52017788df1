"""Steps of our own in nbgrader's conversions: student version and published solution."""

import os
import re
from pathlib import Path

import nbformat
from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Unicode

from labhelpers.instructor.course.wheel import add_notebooks, student_wheel

__all__ = [
    "ASSISTANTS_NOTE",
    "AddFiles",
    "FillInSetup",
    "LeaveOutPreflight",
    "PrepareForStudents",
    "RemoveMarkers",
    "RunElsewhere",
    "assistants_note",
    "remove_markers",
]

_MARKER = re.compile(r"(BEGIN|END) (SOLUTION|HIDDEN TESTS|MARK SCHEME)")
ASSISTANTS_NOTE = "AGENTS.md"
"""The name under which programming assistants look for instructions."""

_COLAB = "https://colab.research.google.com"
_RAW = "https://raw.githubusercontent.com"

# The first code cell of a released notebook. It changes nothing where nbgrader grades or where the
# instructor's part is installed.
_SETUP_CELL = """\
# @title Installs the helpers of this lab, in this notebook's version.
import os
import subprocess
import sys
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

NEEDED, WHEEL = "<VERSION>", "<WHEEL>"
loaded = sys.modules.get("labhelpers")
installed = (package.version for package in distributions(name="labhelpers"))
found = loaded.__version__ if loaded else next(installed, "none")
spec = find_spec("labhelpers")
keep = spec and Path(spec.submodule_search_locations[0], "instructor").exists()
if found != NEEDED and not keep and "NBGRADER_EXECUTION" not in os.environ:
    print(f"Installing labhelpers {NEEDED} (found: {found}); the first time this takes minutes.")
    source = WHEEL if Path(WHEEL).exists() else "<FOLDER>" + WHEEL
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", source]
    pip = subprocess.run(command, capture_output=True, text=True)
    if pip.returncode == 0:
        if loaded or not find_spec("labhelpers"):
            raise RuntimeError("Restart the kernel to use it, then run this cell again.")
    elif found.split(".")[:2] == NEEDED.split(".")[:2]:
        print(f"No network, or no {WHEEL} here: going on with labhelpers {found}.")
    else:
        reason = "".join(pip.stderr.strip().splitlines()[-1:])
        raise RuntimeError(
            f"labhelpers could not be installed: put {WHEEL} beside this notebook, start Jupyter "
            f"in that folder, and run this cell again with a network connection. ({reason})"
        )

import labhelpers.printing
import labhelpers.waiting

labhelpers.printing.print_in_full()
labhelpers.waiting.wait_quietly()  # a cell that needs an answer says so in one line
print(f"labhelpers {labhelpers.__version__}")"""

Notebook = tuple[NotebookNode, ResourcesDict]


class FillInSetup(NbGraderPreprocessor):
    """Fills in the set-up cell, which installs the wheel.

    To run before nbgrader computes checksums, so that the locked cell counts as unchanged.
    """

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> Notebook:
        """Change the notebook in place and return it."""
        name, _ = student_wheel()
        repository, reference = _published_at() or ("", "")
        folder = f"{_RAW}/{repository}/{reference}/" if repository else "./"
        values = {"<VERSION>": name.split("-")[1], "<WHEEL>": name, "<FOLDER>": folder}
        for cell in nb.cells:
            if cell.metadata.get("nbgrader", {}).get("grade_id") == "setup":
                cell.source = _SETUP_CELL
                # Folded in JupyterLab and in Colab: nobody has to read it.
                cell.metadata.update(jupyter={"source_hidden": True}, cellView="form")
                for placeholder, value in values.items():
                    cell.source = cell.source.replace(placeholder, value)
        return nb, resources


class AddFiles(NbGraderPreprocessor):
    """Puts beside the notebook what belongs to it: the wheel, and the note for assistants.

    The wheel holds all that is released. To run last, since it takes the notebook as it is.
    """

    folder = Unicode(help="Where the release is, relative to the course").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> Notebook:
        """Leave the notebook as it is and return it."""
        paths = sorted(Path(self.folder).glob("*/*.ipynb"))
        released = {path.stem: path.read_text(encoding="utf-8") for path in paths}
        released[resources["nbgrader"]["notebook"]] = nbformat.writes(nb)
        name, content = student_wheel()
        files = {name: add_notebooks(content, released), ASSISTANTS_NOTE: assistants_note()}
        resources.setdefault("outputs", {}).update(files)  # nbconvert writes them
        return nb, resources


def assistants_note() -> bytes:
    """Return what programming assistants are asked to read beside the notebooks."""
    return Path(__file__).with_name("students-AGENTS.md").read_bytes()


def _published_at() -> tuple[str, str] | None:
    """Return the public repository `owner/name` and the reference that holds the student version.

    `LAB_REPOSITORY` and `LAB_REF` name them. GitHub's own variables count in a workflow on a tag
    only: elsewhere, as in Codespaces, nothing is published under them.
    """
    repository, reference = os.environ.get("LAB_REPOSITORY"), os.environ.get("LAB_REF")
    if os.environ.get("GITHUB_ACTIONS") and os.environ.get("GITHUB_REF_TYPE") == "tag":
        repository = repository or os.environ["GITHUB_REPOSITORY"]
        reference = reference or f"student-{os.environ['GITHUB_REF_NAME']}"
    return (repository, reference) if repository and reference else None


class PrepareForStudents(NbGraderPreprocessor):
    """Adds the Colab badge, and lets cells that need an answer fail without stopping a run."""

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> Notebook:
        """Change the notebook in place and return it."""
        if published := _published_at():
            repository, reference = published
            notebook = f"{resources['nbgrader']['notebook']}.ipynb"
            target = f"{_COLAB}/github/{repository}/blob/{reference}/{notebook}"
            badge = f"[![Open in Colab]({_COLAB}/assets/colab-badge.svg)]({target})"
            nb.cells[0].source = f"{badge}\n\n{nb.cells[0].source}"
        for cell in nb.cells:
            tags = cell.metadata.get("tags", [])
            if "needs-answer" in tags and "raises-exception" not in tags:
                cell.metadata["tags"] = [*tags, "raises-exception"]
        return nb, resources


class LeaveOutPreflight(NbGraderPreprocessor):
    """Leaves out the look before handing in: a solution is not handed in."""

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> Notebook:
        """Change the notebook in place and return it."""
        nb.cells = [cell for cell in nb.cells if cell.id not in ("about-preflight", "preflight")]
        return nb, resources


class RunElsewhere(NbGraderPreprocessor):
    """Makes the notebook run in a folder of its own, so that no figure lands beside the source.

    To run before `Execute`.
    """

    folder = Unicode(help="Where the notebook runs, relative to the course").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> Notebook:
        """Create the folder and leave the notebook as it is."""
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        resources["metadata"]["path"] = self.folder
        return nb, resources


class RemoveMarkers(NbGraderPreprocessor):
    """Removes the lines `### BEGIN SOLUTION` and the like from a solution fit to publish."""

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> Notebook:
        """Change the notebook in place and return it."""
        for cell in nb.cells:
            cell.source = remove_markers(cell.source)
        return nb, resources


def remove_markers(source: str) -> str:
    """Return `source` without nbgrader's marker lines; what is between them stays."""
    return "\n".join(line for line in source.split("\n") if not _MARKER.search(line))
