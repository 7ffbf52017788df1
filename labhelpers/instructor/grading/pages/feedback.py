"""The feedback page of a student: nbgrader's, with repairs, events and the way to appeal."""

from __future__ import annotations

import copy
import html
from pathlib import Path
from typing import Any

import nbgrader
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.utils import is_grade, is_solution
from traitlets import Unicode
from traitlets.config import Config

from labhelpers.instructor.grading.kernels.execute import checked_exercise

__all__ = ["FeedbackExporter"]

_TEMPLATES = Path(__file__).with_name("templates")
_FORMGRADER = Path(nbgrader.__file__).parent / "server_extensions" / "formgrader"
_BOOTSTRAP = _FORMGRADER / "static" / "node_modules" / "bootstrap" / "dist" / "css"


class FeedbackExporter(HTMLExporter):
    """Writes the page; for `GenerateFeedback.exporter_class`."""

    appeal = Unicode("Write to your instructor.", help="How to appeal").tag(config=True)

    @property
    def default_config(self) -> Config:
        """The templates; and what to show of an output, set where it belongs.

        nbconvert sets it for all preprocessors, and those of nbgrader warn that they know no such
        option.
        """
        config = super().default_config
        priority = config.pop("NbConvertBase").display_data_priority
        config.WidgetsDataTypeFilter.display_data_priority = priority
        # A section of our own: GenerateFeedback sets that of HTMLExporter.
        ours = config.FeedbackExporter
        ours.template_name, ours.template_file = "feedback", "feedback.html.j2"
        ours.extra_template_basedirs = [str(_FORMGRADER / "templates")]
        ours.extra_template_paths = [str(_TEMPLATES), str(_BOOTSTRAP)]
        return config

    def from_notebook_node(  # type: ignore[override]
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **options: Any
    ) -> tuple[str, dict[str, Any]]:
        """Return the page; the template writes what `resources` says of appeals and waiting."""
        nb = copy.deepcopy(nb)
        resources = self._init_resources(resources)
        resources["appeal"] = self.appeal
        resources["waiting"] = _waits_for_a_person(resources["nbgrader"])
        checks = [cell for cell in nb.cells if is_grade(cell) and not is_solution(cell)]
        for cell in checks:
            if checked_exercise(cell):  # its outputs are ours
                cell.outputs = _without_repeats(cell.outputs)
        page, resources = super().from_notebook_node(nb, resources, **options)
        for cell in checks:  # nbgrader's list calls all of them by one name
            grade_id = cell.metadata.nbgrader.grade_id
            link = f'<a href="#{grade_id}">'
            name = html.escape(grade_id.removeprefix("check-"))
            page = page.replace(f"{link}Test cell</a>", f"{link}{name}</a>", 1)
        return page, resources


def _waits_for_a_person(names: dict[str, Any]) -> bool:
    """Return True if a written answer of the notebook is not graded yet.

    Args:
        names: nbgrader's, with the gradebook and what to look up in it.
    """
    with Gradebook(names["db_url"]) as gradebook:
        notebook = gradebook.find_submission_notebook(
            names["notebook"], names["assignment"], names["student"]
        )
        return any(
            grade.needs_manual_grade and grade.cell.cell_type == "markdown"
            for grade in notebook.grades
        )


def _without_repeats(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Return the outputs of a check without reports of hidden tests that say nothing new."""
    records = [output.get("metadata", {}).get("labhelpers", {}) for output in outputs]
    visible = [record for record in records if record.get("hidden") is False]
    return [
        output
        for output, record in zip(outputs, records, strict=True)
        if record.get("hidden") is not True or not any(_repeats(record, one) for one in visible)
    ]


def _repeats(hidden: dict[str, Any], visible: dict[str, Any]) -> bool:
    """Return True if a report of hidden tests says no more than that of the visible ones."""
    return all(hidden[name] == visible[name] for name in ("exercise", "score")) and all(
        set(hidden[name]) <= set(visible[name]) for name in ("failed", "mistakes")
    )
