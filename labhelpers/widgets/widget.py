"""A widget as HTML that needs no kernel: a still picture, data, and the script that draws them."""

from __future__ import annotations

import base64
import functools
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from labhelpers.plots import AccessibleFigure, SavedFigure
from labhelpers.session import is_graded

__all__ = ["Widget", "png_url", "slice_sheet"]

_FOLDER = Path(__file__).parent
_WITHOUT_SCRIPT = "A still picture: run this cell in a notebook to move it."


@dataclass(frozen=True, eq=False)
class Widget:
    """A picture that a student moves, in JupyterLab, Colab, VS Code and exported HTML alike.

    Python computes the data and JavaScript draws it, so that it follows at once, is there when a
    saved notebook is opened again, and needs no kernel. Where scripts do not run, as in a notebook
    that is not trusted, the still pictures stay; while nbgrader grades there is a line of text.

    Attributes:
        kind: Name of the script beside this module that draws it, such as `contrast`.
        data: What the script needs, as values of JSON.
        stills: What is shown without the script.
    """

    kind: str
    data: Mapping[str, Any]
    stills: Sequence[AccessibleFigure | SavedFigure]

    def __repr__(self) -> str:
        """Return the alternative text, which is what a text-only front end shows."""
        return "\n".join(still.alt for still in self.stills)

    def _repr_html_(self) -> str | None:
        if is_graded():
            return None
        stills = "".join(still._repr_html_() for still in self.stills)
        data = json.dumps(self.data, ensure_ascii=False, separators=(",", ":"))
        # JupyterLab keeps the keys of its commands, such as the arrows, away from such an element.
        return (
            f'<div data-labhelpers-widget="{self.kind}" data-lm-suppress-shortcuts="true">'
            f"{stills}<p><i>{_WITHOUT_SCRIPT}</i></p>"
            f'<script type="application/json">{data.replace("<", chr(92) + "u003c")}</script>'
            f"<script>{script(self.kind)}</script></div>"
        )


@functools.cache
def script(kind: str) -> str:
    """Return the script of a kind of widgets, with what all of them share."""
    style = json.dumps((_FOLDER / "widget.css").read_text(encoding="utf-8"))
    parts = [(_FOLDER / name).read_text(encoding="utf-8") for name in ("widget.js", f"{kind}.js")]
    return "\n".join(["(() => {", f"const STYLE = {style};", *parts, "})();"])


def slice_sheet(slices: NDArray[np.floating]) -> str:
    """Return slices as a grey PNG of 8 bits, one below the other, in a data URL.

    Args:
        slices: `(N, X, Y)` in [0, 1]; the first axis of a slice is x, the second goes upwards.
    """
    columns = np.concatenate([image.T[::-1] for image in slices])
    grey = np.clip(np.round(columns * 255), 0, 255).astype(np.uint8)
    return png_url(Image.fromarray(grey))


def png_url(image: Image.Image) -> str:
    """Return an image as a data URL that holds a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "png", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
