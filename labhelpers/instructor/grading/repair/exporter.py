"""Repair each submission as nbgrader reads it."""

from pathlib import Path
from typing import Any

from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader.converters import Autograde

from labhelpers.instructor.grading.repair.authority import read_release
from labhelpers.repair.repair import repair_file

__all__ = ["RepairingExporter"]


class RepairingExporter(NotebookExporter):
    """For `Autograde.exporter_class`: in the first of its two passes it repairs what it reads.

    What was repaired goes to the notebook's metadata under `labhelpers`, as lists `repairs` and
    `flags`; there the second pass, the feedback and the reports find it. It goes to
    `resources["labhelpers"]`, too.
    """

    parent: Autograde

    def from_filename(
        self, filename: str, resources: dict[str, Any] | None = None, **kw: Any
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Convert a notebook: a submission in the first pass, our own in the second.

        A submission is not opened before it is known to be a file: a pipe would have no end.
        """
        if not self.parent._sanitizing:
            return super().from_filename(filename, resources, **kw)
        path = Path(filename)
        resources = {} if resources is None else resources
        resources.setdefault("metadata", {}).update(name=path.stem, path=str(path.parent))
        release = read_release(self.parent, resources["nbgrader"]["assignment"])
        repaired = repair_file(path, release)
        found = {"repairs": [*repaired.repairs], "flags": [*repaired.flags]}
        resources["labhelpers"] = found
        repaired.notebook.metadata["labhelpers"] = found
        return self.from_notebook_node(repaired.notebook, resources, **kw)
