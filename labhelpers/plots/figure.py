"""Build figures that look the same everywhere and carry alternative text to the reader."""

from __future__ import annotations

import base64
import functools
import html
import io
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

import matplotlib.style
import numpy as np
import torch
from matplotlib.figure import Figure

from labhelpers.data import simulated_data_opened

if TYPE_CHECKING:
    from labhelpers.data import IXIDataset

__all__ = [
    "INTENSITY",
    "AccessibleFigure",
    "SavedFigure",
    "Scale",
    "draw_images",
    "finish",
    "listed",
    "new_chart",
    "split_voxels",
    "styled",
]

INTENSITY = "intensity (scaled to [-1, 1], no unit)"

_P = ParamSpec("_P")
_R = TypeVar("_R")

_DPI = 100
_WIDTH = 944  # pixels: about what a notebook shows without shrinking
_CREDIT = "IXI dataset, CC BY-SA 3.0"
_SIMULATED = "Simulated data (phantom)"
_GREY, _VERMILLION = "#555555", "#D55E00"
_STYLE = [
    "default",
    {
        "font.size": 10,
        "axes.axisbelow": True,
        "axes.grid": True,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "grid.color": "#e4e4e4",
        "hatch.linewidth": 0.8,
        "legend.frameon": False,
    },
]


@dataclass(frozen=True, eq=False)
class AccessibleFigure:
    """A matplotlib figure that shows itself in a notebook as an image with alternative text.

    Used by every figure of the four notebooks: make it the last value of a cell, or `display` it.
    JupyterLab draws the images that matplotlib sends without alternative text, so this one is sent
    as HTML.

    Attributes:
        figure: The matplotlib figure, unknown to pyplot, hence never shown a second time.
        alt: What the figure shows, for those who cannot see it.
    """

    figure: Figure
    alt: str

    def __repr__(self) -> str:
        """Return the alternative text, which is what a text-only front end shows."""
        return self.alt

    def _repr_html_(self) -> str:
        width = round(self.figure.get_figwidth() * _DPI)
        return _image_tag(self._png(), self.alt, f' width="{width}"')

    def save(self, path: str | Path) -> Path:
        """Write the figure, its alternative text included, to a PNG file and return the path.

        Raises:
            ValueError: If the name does not end in `.png`.
        """
        path = Path(path)
        if path.suffix.lower() != ".png":
            raise ValueError(f"Cannot save {path.name!r}: figures are PNG, end the name in .png.")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self._png())
        return path

    def _png(self) -> bytes:
        buffer = io.BytesIO()
        with matplotlib.style.context(_STYLE):
            self.figure.savefig(
                buffer, format="png", dpi=_DPI, metadata={"Software": None, "Description": self.alt}
            )
        return buffer.getvalue()


@dataclass(frozen=True)
class SavedFigure:
    """A saved PNG file that shows itself in a notebook with alternative text.

    Used for the sample grids in notebooks 2 to 4: `IPython.display.Image` has no alternative text
    in IPython 7, which Colab runs.

    Attributes:
        path: The PNG file.
        alt: What it shows, for those who cannot see it.
    """

    path: str | Path
    alt: str

    def __repr__(self) -> str:
        """Return the alternative text, which is what a text-only front end shows."""
        return self.alt

    def _repr_html_(self) -> str:
        return _image_tag(Path(self.path).read_bytes(), self.alt)


def _image_tag(png: bytes, alt: str, attributes: str = "") -> str:
    """Return an HTML element that holds the image itself."""
    data = base64.b64encode(png).decode("ascii")
    return (
        f'<img alt="{html.escape(alt)}"{attributes} '
        f'style="max-width: 100%; height: auto" src="data:image/png;base64,{data}">'
    )


def styled(draw: Callable[_P, _R]) -> Callable[_P, _R]:
    """Make `draw` ignore the reader's matplotlib settings (a dark style would hide our text)."""

    @functools.wraps(draw)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with matplotlib.style.context(_STYLE):
            return draw(*args, **kwargs)

    return wrapper


def new_chart(width: float, height: float, panels: int = 1, **options: Any) -> tuple[Figure, list]:
    """Return a figure of `width` x `height` inches and its panels, from left to right."""
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08, wspace=0.06)
    return figure, list(figure.subplots(1, panels, squeeze=False, **options)[0])


def finish(figure: Figure, title: str, alt: str, credit: bool = False) -> AccessibleFigure:
    """Add the title, the stamp on simulated data and, if asked, the credit of the real data."""
    head = figure.suptitle(title, fontsize=12, fontweight="bold")
    x, y = 8 / _DPI / figure.get_size_inches()
    if simulated_data_opened():
        box = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": _VERMILLION}
        look = {"fontsize": 9, "color": _VERMILLION, "fontweight": "bold", "bbox": box}
        foot = figure.supxlabel(_SIMULATED, x=x, ha="left", **look)
        alt += f" {_SIMULATED}."
    else:
        foot = figure.supxlabel(_CREDIT if credit else "", x=x, ha="left", fontsize=8, color=_GREY)
        alt += f" Credit: {_CREDIT}." if credit else ""
    if figure.get_layout_engine() is None:  # else the engine finds room for both
        head.set_y(1 - y)
        foot.set_y(y)
    return AccessibleFigure(figure, alt)


class Scale(NamedTuple):
    """How numbers become shades: the same for all images of a figure."""

    low: float = -1.0
    high: float = 1.0
    colours: str = "gray"
    label: str = INTENSITY
    extend: str = "neither"


MR_SCALE = Scale()


@styled
def draw_images(
    rows: Mapping[str, np.ndarray],
    columns: Sequence[str],
    title: str,
    alt: str,
    scale: Scale = MR_SCALE,
) -> AccessibleFigure:
    """Draw rows of slices as one picture, with a colour bar.

    One picture rather than one per slice keeps this quick: training draws one after every epoch.

    Args:
        rows: Row label -> slices `(N, H, W)`, the first axis of a slice being x; top row first.
        columns: The N column labels.
        title: Title of the figure.
        alt: Alternative text.
        scale: Shared by all slices.
    """
    gap = 2
    canvas = _mosaic(list(rows.values()), gap)
    height, width = canvas.shape
    labels = [_wrapped(label, 16) for label in rows]
    left = 20 + 7.6 * max(len(line) for label in labels for line in label.split("\n"))
    right, top, bottom = 102, 56, 36
    zoom = _zoom(_WIDTH - left - right, canvas.shape, len(columns))
    cell = (width + gap) * zoom / len(columns)
    heads = [_wrapped(head, max(6, int(cell / 7.6))) for head in columns]
    top += 14 * max(head.count("\n") for head in heads)

    size = np.array([left + width * zoom + right, top + height * zoom + bottom])
    size[0] = max(size[0], 8.5 * len(title) + 20)
    figure = Figure(figsize=size / _DPI, dpi=_DPI)
    margin = (size[0] - (left + width * zoom + right)) / 2  # centres a narrow row under its title
    place = np.array([left + margin, bottom, width * zoom, height * zoom])
    axes = figure.add_axes(place / np.tile(size, 2))
    interpolation = "nearest" if zoom == int(zoom) else "antialiased"
    picture = axes.imshow(
        canvas, scale.colours, vmin=scale.low, vmax=scale.high, origin="lower",
        interpolation=interpolation, aspect="auto",
    )  # fmt: skip
    _label_cells(axes, heads, labels[::-1], canvas.shape, gap)
    length = min(height * zoom, 280)
    place = np.array([place[0] + place[2] + 10, bottom + height * zoom - length, 12, length])
    _add_colour_bar(figure, picture, place / np.tile(size, 2), scale)
    return finish(figure, title, alt, credit=True)


def _mosaic(rows: Sequence[np.ndarray], gap: int) -> np.ndarray:
    """Lay slices out for `origin="lower"`, first row on top, with empty gaps between them."""
    count, width, height = rows[0].shape
    canvas = np.full((len(rows) * (height + gap) - gap, count * (width + gap) - gap), np.nan)
    for i, row in enumerate(reversed(rows)):
        for j, image in enumerate(row):
            y, x = i * (height + gap), j * (width + gap)
            canvas[y : y + height, x : x + width] = image.T
    return canvas


def _wrapped(label: str, width: int) -> str:
    """Return the label on lines of `width` characters, keeping the line breaks it has."""
    return "\n".join(
        textwrap.fill(line, width, break_long_words=False) for line in label.split("\n")
    )


def _zoom(room: float, shape: tuple[int, int], columns: int) -> float:
    """Return screen pixels per voxel: a whole number where it can be, so that none is blurred."""
    height, width = shape
    zoom = min(room / width, 200 * columns / width, 1060 / height)
    return float(int(zoom)) if zoom >= 2 else zoom


def _label_cells(axes, heads, labels, shape, gap) -> None:
    """Write the column labels on top and the row labels (bottom row first) on the left."""
    height, width = shape
    step_x, step_y = (width + gap) / len(heads), (height + gap) / len(labels)
    axes.set_xticks([(i + 0.5) * step_x - gap / 2 - 0.5 for i in range(len(heads))], heads)
    axes.set_yticks([(i + 0.5) * step_y - gap / 2 - 0.5 for i in range(len(labels))], labels)
    axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("x (left\N{EN DASH}right)", fontsize=8, color=_GREY, labelpad=3)


def _add_colour_bar(figure, picture, place, scale) -> None:
    axes = figure.add_axes(place)
    bar = figure.colorbar(picture, cax=axes, extend=scale.extend)
    middle = (scale.low + scale.high) / 2
    bar.set_ticks([scale.low, middle, scale.high])
    bar.ax.tick_params(labelsize=9)
    bar.set_label(scale.label.replace(" (", "\n(", 1), fontsize=9)
    axes.grid(False)


def split_voxels(dataset: IXIDataset) -> tuple[np.ndarray, np.ndarray]:
    """Return all T1-w and all T2-w slices of a split, each `(n, H, W)`.

    Raises:
        ValueError: If the dataset is empty.
    """
    if len(dataset) == 0:
        raise ValueError("The dataset is empty: open one with at least one subject.")
    items = [dataset[i] for i in range(len(dataset))]
    t1, t2 = (torch.stack([item[key] for item in items])[:, 0].numpy() for key in ("T1", "T2"))
    return t1, t2


def listed(values: Mapping[str, str]) -> str:
    """Return `name value, name value` for an alternative text."""
    return ", ".join(f"{name} {value}" for name, value in values.items())
