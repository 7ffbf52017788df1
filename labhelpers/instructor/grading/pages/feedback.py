"""The feedback page of a student: nbgrader's, with repairs, events and the way to appeal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbgrader
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode
from traitlets import Unicode
from traitlets.config import Config

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
        """Return the page; the template writes the sentence about appeals."""
        resources = self._init_resources(resources)
        resources["appeal"] = self.appeal
        return super().from_notebook_node(nb, resources, **options)
