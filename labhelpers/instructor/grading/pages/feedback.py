"""The feedback page of a student: nbgrader's, with repairs, events and the way to appeal."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import nbgrader
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from traitlets import Unicode
from traitlets.config import Config

from labhelpers.instructor.grading.kernels.execute import checked_exercise

__all__ = ["FeedbackExporter"]

_TEMPLATES = Path(__file__).with_name("templates")
_FORMGRADER = Path(nbgrader.__file__).parent / "server_extensions" / "formgrader"
_UNTOUCHED = "No response."  # nbgrader's comment on an answer that is as it was released
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
        resources = self._init_resources(resources)
        resources["appeal"] = self.appeal
        resources["waiting"] = _waiting_for_a_person(resources["nbgrader"])
        page, resources = super().from_notebook_node(nb, resources, **options)
        for cell in nb.cells:  # nbgrader's list calls all checks, and all comments, by one name
            grade_id = html.escape(cell.metadata.get("nbgrader", {}).get("grade_id", ""))
            name = grade_id.removeprefix("check-")
            for link, old, new in (
                (grade_id, "Test cell", name),
                (f"comment-{grade_id}", "Comment", f"{name}: comment"),
            ):
                before = f'<a href="#{link}">'
                page = page.replace(f"{before}{old}</a>", f"{before}{new}</a>", 1)
        for name in map(re.escape, map(html.escape, resources["waiting"])):
            for place in (f'<li><a href="#{name}">.*?', f'<a name="{name}"></a>.*?'):
                page = re.sub(
                    rf"({place})Score: [\d.]+ / ([\d.]+)",
                    r"\1not graded yet, \2 points",
                    page,
                    count=1,
                    flags=re.DOTALL,
                )
        return page, resources

    def _preprocess(
        self, nb: NotebookNode, resources: dict[str, Any]
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Return a copy with scores and comments, and without what would be said twice."""
        nb, resources = super()._preprocess(nb, resources)
        for cell in nb.cells:
            nbgraders = cell.metadata.get("nbgrader", {})
            if cell.cell_type == "code" and nbgraders.get("comment") == _UNTOUCHED:
                nbgraders.comment = None  # the check says it, too
            if checked_exercise(cell):  # its outputs are ours
                cell.outputs = _without_repeats(cell.outputs)
        return nb, resources


def _waiting_for_a_person(names: dict[str, Any]) -> list[str]:
    """Return the grade ids of the written answers that are not graded yet.

    Args:
        names: nbgrader's, with the gradebook and what to look up in it.
    """
    with Gradebook(names["db_url"]) as gradebook:
        notebook = gradebook.find_submission_notebook(
            names["notebook"], names["assignment"], names["student"]
        )
        return [
            grade.name
            for grade in notebook.grades
            if grade.needs_manual_grade and grade.cell.cell_type == "markdown"
        ]


def _without_repeats(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Return the outputs of a check without reports of hidden tests that say nothing new.

    The score is left out, too: the page shows it above.
    """
    outputs = [output for output in outputs if output.output_type != "execute_result"]
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
