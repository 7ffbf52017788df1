"""Steps of our own in nbgrader's conversions: student version, published solution, feedback."""

import os
import re
from pathlib import Path

from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Unicode

import labhelpers

__all__ = [
    "STUDENT_BRANCH",
    "FillInSource",
    "HideTracebacks",
    "PrepareForStudents",
    "RemoveMarkers",
    "RunElsewhere",
    "remove_markers",
    "wheel_name",
]

STUDENT_BRANCH = "student"
"""Branch of the public repository that holds the student version; the Colab badges open it."""

_SOURCE_PLACEHOLDER = "{{LABHELPERS_SOURCE}}"
_MARKER = re.compile(r"(BEGIN|END) (SOLUTION|HIDDEN TESTS|MARK SCHEME)")
_COLAB = "https://colab.research.google.com"

Notebook = tuple[NotebookNode, ResourcesDict]


class FillInSource(NbGraderPreprocessor):
    """Fills in the set-up cell where a fresh machine gets `labhelpers` from.

    To run before nbgrader computes checksums, so that the locked set-up cell counts as unchanged.
    """

    def preprocess_cell(
        self, cell: NotebookNode, resources: ResourcesDict, cell_index: int
    ) -> Notebook:
        """Change the cell in place and return it."""
        line = rf"%pip install .*{re.escape(_SOURCE_PLACEHOLDER)}.*"
        cell.source = re.sub(line, _install_line(), cell.source)
        return cell, resources


class PrepareForStudents(NbGraderPreprocessor):
    """Adds the Colab badge, and lets cells that need an answer fail without stopping a run."""

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> Notebook:
        """Change the notebook in place and return it."""
        if repository := _repository():
            notebook = f"{resources['nbgrader']['notebook']}.ipynb"
            target = f"{_COLAB}/github/{repository}/blob/{STUDENT_BRANCH}/{notebook}"
            badge = f"[![Open in Colab]({_COLAB}/assets/colab-badge.svg)]({target})"
            nb.cells[0].source = f"{badge}\n\n{nb.cells[0].source}"
        return super().preprocess(nb, resources)

    def preprocess_cell(
        self, cell: NotebookNode, resources: ResourcesDict, cell_index: int
    ) -> Notebook:
        """Tag the cell in place and return it."""
        tags = cell.metadata.get("tags", [])
        if "needs-answer" in tags and "raises-exception" not in tags:
            cell.metadata["tags"] = [*tags, "raises-exception"]
        return cell, resources


def _repository() -> str | None:
    """Return `owner/name` of the public repository, if the environment says what it is."""
    return os.environ.get("LAB_REPOSITORY") or os.environ.get("GITHUB_REPOSITORY")


def _install_line() -> str:
    """Return the `%pip` command by which a fresh machine gets `labhelpers`.

    From the repository at the released reference where the environment names both
    (`LAB_REPOSITORY` and `LAB_REF`, or those that GitHub's workflows set), else from the wheel
    that lies beside the notebooks.
    """
    reference = os.environ.get("LAB_REF") or os.environ.get("GITHUB_REF_NAME")
    if (repository := _repository()) and reference:
        return f"%pip install --quiet git+https://github.com/{repository}@{reference}"
    return f"%pip install --quiet ./{wheel_name()}"


def wheel_name() -> str:
    """Return the file name of the wheel that goes with the student version."""
    return f"labhelpers-{labhelpers.__version__}-py3-none-any.whl"


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

    def preprocess_cell(
        self, cell: NotebookNode, resources: ResourcesDict, cell_index: int
    ) -> Notebook:
        """Change the cell in place and return it."""
        cell.source = remove_markers(cell.source)
        return cell, resources


def remove_markers(source: str) -> str:
    """Return `source` without nbgrader's marker lines; what is between them stays."""
    return "\n".join(line for line in source.split("\n") if not _MARKER.search(line))


class HideTracebacks(NbGraderPreprocessor):
    """Shortens errors of test cells in the feedback: a traceback quotes the hidden tests."""

    def preprocess_cell(
        self, cell: NotebookNode, resources: ResourcesDict, cell_index: int
    ) -> Notebook:
        """Change the cell's outputs in place and return it."""
        if utils.is_grade(cell) and cell.cell_type == "code":
            for output in cell.outputs:
                if output.output_type == "error":
                    output.traceback = [f"{output.ename}: {output.evalue}"]
        return cell, resources
