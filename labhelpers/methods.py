"""The list of methods: their names, notebooks and published figures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from labhelpers.stored import VALUES

__all__ = ["METHODS", "Method", "title"]

_TITLES = {"as-cgan": "cGAN's recipe"}  # of recipes whose name alone does not say what they are


@dataclass(frozen=True)
class Method:
    """A way to make a T2-w slice from a T1-w slice.

    Attributes:
        id: Its name in code and in the names of files.
        title: Its name in tables and charts.
        kind: `baseline`, or `trained` for a network.
        notebook: Name of the notebook that measures it.
        published: Values on IXI: those of networks by the `reference` recipe in the earlier version
            of this lab, those of baselines as measured for this one. Keys `Training set` and
            `Test set`, each with `MAE`, `PSNR` (dB) and `SSIM`; and `source`.
    """

    id: str
    title: str
    kind: Literal["baseline", "trained"]
    notebook: str
    published: dict[str, Any]

    @property
    def stored_recipes(self) -> list[str]:
        """The recipes of which slices and values of the lab's own training are stored."""
        names = (name.partition("-") for name in VALUES)
        return [recipe for method, _, recipe in names if method == self.id]


_LIST = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
METHODS: dict[str, Method] = {id_: Method(id_, **method) for id_, method in _LIST.items()}
"""All methods by their id, in the order of tables and charts."""


def title(method: Method, recipe: str) -> str:
    """Return the name of a method and recipe in tables and charts."""
    return f"{method.title} ({_TITLES.get(recipe, recipe)})" if recipe else method.title
