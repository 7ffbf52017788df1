"""What all figures share: style, title, credit, alternative text, and pictures of slices."""

from __future__ import annotations

import base64
import functools
import html
import io
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, ParamSpec, TypeVar

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import ScaledTranslation
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from labhelpers.data import IMAGE_SHAPE, VOXEL_MM, simulated_data_opened

__all__ = [
    "INTENSITY",
    "AccessibleFigure",
    "Frame",
    "SavedFigure",
    "Scale",
    "canvas",
    "credit",
    "draw_images",
    "finish",
    "listed",
    "new_chart",
    "styled",
]

INTENSITY = "intensity (scaled to [-1, 1], no unit)"

_P = ParamSpec("_P")
_R = TypeVar("_R")

_DPI = 100
_DENSITY = 2  # times as many pixels where a notebook shows a figure: sharp on a dense screen
# Sizes of pictures, in pixels at this resolution.
_WIDTH = 944  # about what a notebook shows without shrinking
_COLOUR_BAR = 110  # room for the bar, its numbers and its label
_CHARACTER = 7.6  # mean width of a letter at 10 points
_LARGEST_SLICE, _LARGEST_HEIGHT = 204, 1060
_MARGIN = 6
_GAP = 2  # voxels between two slices
_BAR = 50  # mm, the length of the scale bar

_CREDIT = "IXI dataset, CC BY-SA 3.0"
_SIMULATED = "Simulated data (phantom)"
_GREY, _VERMILLION = "#555555", "#D55E00"
_TITLE: dict[str, Any] = {"fontsize": 12, "fontweight": "bold"}
_STYLE: list[Any] = [
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

    Make it the last value of a cell, or `display` it. JupyterLab shows the images that matplotlib
    sends without alternative text, so this one is sent as HTML.

    Attributes:
        figure: The matplotlib figure, unknown to pyplot, hence never shown a second time.
        alt: What the figure shows, for those who cannot see it.
        vector: Whether a notebook shows it as SVG, sharp at any size, instead of PNG.
    """

    figure: Figure
    alt: str
    vector: bool = False

    def __repr__(self) -> str:
        """Return the alternative text, which is what a text-only front end shows."""
        return self.alt

    def _repr_html_(self) -> str:
        width = f' width="{round(self.figure.get_figwidth() * _DPI)}"'
        if self.vector:
            return _image_tag(self._svg(), self.alt, width, "image/svg+xml")
        return _image_tag(self._png(_DPI * _DENSITY), self.alt, width)

    def save(self, path: str | Path) -> Path:
        """Write the figure, its alternative text included, to a PNG file and return the path.

        Raises:
            ValueError: If the name does not end in `.png`.
        """
        path = png_file(path)
        path.write_bytes(self._png(_DPI))
        return path

    def _png(self, dpi: int) -> bytes:
        buffer = io.BytesIO()
        metadata = {"Software": None, "Description": self.alt}
        with matplotlib.style.context(_STYLE):
            self.figure.savefig(buffer, format="png", dpi=dpi, metadata=metadata)
        return buffer.getvalue()

    def _svg(self) -> bytes:
        buffer = io.BytesIO()
        # A fixed salt for the ids in it: the same figure is the same file in every run.
        with matplotlib.style.context([*_STYLE, {"svg.hashsalt": "labhelpers"}]):
            self.figure.savefig(buffer, format="svg", metadata={"Date": None})
        return buffer.getvalue()


@dataclass(frozen=True)
class SavedFigure:
    """A saved PNG file that shows itself in a notebook with alternative text.

    `IPython.display.Image` has no alternative text in IPython 7, which Colab runs.

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


def png_file(path: str | Path) -> Path:
    """Return the path of a PNG file, after making the folder that it is to be in.

    Raises:
        ValueError: If the name does not end in `.png`.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"Cannot save {path.name!r}: figures are PNG, end the name in .png.")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _image_tag(image: bytes, alt: str, attributes: str = "", kind: str = "image/png") -> str:
    """Return an HTML element that holds the image itself."""
    data = base64.b64encode(image).decode("ascii")
    return (
        f'<img alt="{html.escape(alt)}"{attributes} '
        f'style="max-width: 100%; height: auto" src="data:{kind};base64,{data}">'
    )


def styled(draw: Callable[_P, _R]) -> Callable[_P, _R]:
    """Make a function ignore the user's matplotlib settings: a dark style would hide our text."""

    @functools.wraps(draw)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with matplotlib.style.context(_STYLE):
            return draw(*args, **kwargs)

    return wrapper


def new_chart(
    width: float,
    height: float,
    panels: int = 1,
    margins: Mapping[str, float] | None = None,
    **options: Any,
) -> tuple[Figure, list]:
    """Return a figure of `width` x `height` inches and its panels, from left to right.

    The room around the panels is found by a trial, which takes half of the time of drawing, or
    given as `margins`, parts of the figure as `Figure.subplots_adjust` takes them.
    """
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08, wspace=0.06) if not margins else None
    figure = Figure(figsize=(width, height), dpi=_DPI, layout=layout)
    if margins:
        figure.subplots_adjust(**margins)
    return figure, list(figure.subplots(1, panels, squeeze=False, **options)[0])


def canvas(width: int, height: int, title: str) -> tuple[Figure, Axes]:
    """Return a figure of `width` x `height` pixels to draw on, in pixels from its upper left."""
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    axes.text(width / 2, 18, title, ha="center", va="center", **_TITLE)
    return figure, axes


def finish(figure: Figure, title: str, alt: str, vector: bool = True) -> AccessibleFigure:
    """Add the title to a chart and, if simulated data were opened, the note that says so.

    Args:
        figure: What `new_chart` returned, with all that is drawn in it.
        title: Title of the figure.
        alt: Alternative text.
        vector: Whether it is shown as SVG; not if thousands of shapes are drawn in it.
    """
    figure.suptitle(title, **_TITLE)
    note, look = _note(source="")
    figure.supxlabel(note, x=8 / _DPI / figure.get_figwidth(), ha="left", **look)
    return AccessibleFigure(figure, f"{alt} {note}." if note else alt, vector)


def credit() -> str:
    """Return what stands under slices: that they are simulated, or else whose they are."""
    return _SIMULATED if simulated_data_opened() else _CREDIT


def _note(source: str) -> tuple[str, dict[str, Any]]:
    """Return the note under a figure, on simulated data or else the source, and how it looks."""
    if not simulated_data_opened():
        return source, {"fontsize": 8, "color": _GREY}
    box = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": _VERMILLION}
    return _SIMULATED, {"fontsize": 9, "color": _VERMILLION, "fontweight": "bold", "bbox": box}


class Scale(NamedTuple):
    """How numbers become shades: the same for all images of a figure."""

    low: float = -1.0
    high: float = 1.0
    colours: str = "gray"
    label: str = INTENSITY
    extend: Literal["neither", "max", "both"] = "neither"


MR_SCALE = Scale()


@styled
def draw_images(
    rows: Mapping[str, np.ndarray],
    columns: Sequence[str],
    title: str,
    alt: str,
    scale: Scale = MR_SCALE,
    plain_columns: int = 0,
    plain_rows: int = 0,
) -> AccessibleFigure:
    """Draw rows of slices as one picture, with a colour bar.

    One picture rather than one per slice takes a tenth of a second. Every voxel is a square of the
    same whole number of pixels, if the picture then fits a notebook.

    Args:
        rows: Row label -> slices `(N, H, W)`, the first axis of a slice being x; top row first.
        columns: The N column labels.
        title: Title of the figure.
        alt: Alternative text.
        scale: Shared by all slices but the plain ones.
        plain_columns: How many of the first columns are MR images, which keep the grey scale of
            those and have no colour bar.
        plain_rows: The same of the first rows.
    """
    mosaic = _mosaic(list(rows.values()))
    height, width = mosaic.shape
    labels = [_wrapped(label, 16) for label in rows]
    longest = max(len(line) for label in labels for line in label.split("\n"))
    zoom = _zoom(_WIDTH - _CHARACTER * longest - _COLOUR_BAR, mosaic.shape, len(columns))
    cell = width * zoom / len(columns)  # pixels
    heads = [_wrapped(head, max(6, int(cell / _CHARACTER))) for head in columns]

    figure = Figure(figsize=(width * zoom / _DPI, height * zoom / _DPI), dpi=_DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    smooth = "nearest" if zoom == int(zoom) else "antialiased"
    plain = np.arange(width) < plain_columns * width / len(columns)
    plain = plain | (np.arange(height)[:, None] < plain_rows * height / len(rows))
    for part, window in ((plain, MR_SCALE), (~plain, scale)):
        if part.any():
            picture = axes.imshow(
                np.where(part, mosaic, np.nan), window.colours, vmin=window.low, vmax=window.high,
                aspect="auto", interpolation=smooth,
            )  # fmt: skip
    axes.set_xticks((np.arange(len(heads)) + 0.5) * width / len(heads) - 0.5, heads)
    axes.set_yticks((np.arange(len(labels)) + 0.5) * height / len(labels) - 0.5, labels)
    axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("x (left\N{EN DASH}right)", fontsize=8, color=_GREY, labelpad=3)
    axes.set_title(title, pad=10, **_TITLE)
    _add_colour_bar(figure, axes, picture, scale, 1 - plain_rows / len(rows))
    note, look = _note(source=_CREDIT)
    look |= {"xycoords": "axes fraction", "textcoords": "offset points", "va": "top"}
    axes.annotate(note, (0, 0), (0, -20), **look)  # below the lower left corner
    _add_scale_bar(axes, width, len(columns))
    _make_room(figure, axes)
    return AccessibleFigure(figure, f"{alt} {note}.")


class Frame:
    """What is around the slices of a figure, drawn once and used for many: 10 times as fast.

    Args:
        figure: A figure of `draw_images` of MR images; it must not be used again.
    """

    def __init__(self, figure: AccessibleFigure) -> None:
        self._axes = figure.figure.axes[0]
        self._picture, self._title = self._axes.images[0], self._axes.title
        for part in (self._picture, self._title):
            part.set_animated(True)  # which leaves it out
        self._canvas = FigureCanvasAgg(figure.figure)
        with matplotlib.style.context(_STYLE):
            self._canvas.draw()
        self._around = self._canvas.copy_from_bbox(figure.figure.bbox)
        red, green, blue, _ = np.asarray(self._canvas.buffer_rgba()).T
        self._mode = "L" if (red == green).all() and (green == blue).all() else "RGB"

    @styled
    def save(self, path: str | Path, rows: Sequence[np.ndarray], title: str, alt: str) -> Path:
        """Write a figure of other slices, with a title as wide, to a PNG file and return its path.

        Args:
            path: Name of the file.
            rows: Slices as in `draw_images`.
            title: Title of the figure.
            alt: Alternative text.

        Raises:
            ValueError: If the name does not end in `.png`.
        """
        path = png_file(path)
        self._canvas.restore_region(self._around)
        self._title.set_text(title)
        self._axes.draw_artist(self._title)
        image = Image.fromarray(np.asarray(self._canvas.buffer_rgba())).convert(self._mode)

        mosaic = _mosaic(rows)
        shades = self._picture.to_rgba(mosaic, bytes=True)[..., 0]
        slices = Image.fromarray(np.where(np.isnan(mosaic), np.uint8(255), shades))
        left, bottom, right, top = (round(edge) for edge in self._axes.get_window_extent().extents)
        size = right - left, top - bottom
        is_whole = size[0] % slices.width == 0
        way = Image.Resampling.NEAREST if is_whole else Image.Resampling.BILINEAR
        image.paste(slices.resize(size, way), (left, image.height - top))

        text = PngInfo()
        text.add_text("Description", alt)
        image.save(path, dpi=(_DPI, _DPI), pnginfo=text, compress_level=1)  # the fastest one
        return path


def _mosaic(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Lay slices out as one image, first row on top, y upwards, with empty gaps between them."""
    gap = (0, _GAP)
    tiles = [
        [np.pad(image.T[::-1], (gap, gap), constant_values=np.nan) for image in row] for row in rows
    ]
    gap = (_GAP, 0)
    return np.pad(np.block(tiles), (gap, gap), constant_values=np.nan)


def _wrapped(label: str, width: int) -> str:
    """Return the label on lines of `width` characters, keeping the line breaks it has."""
    return "\n".join(
        textwrap.fill(line, width, break_long_words=False) for line in label.split("\n")
    )


def _zoom(room: float, shape: tuple[int, int], columns: int) -> float:
    """Return screen pixels per voxel: a whole number where it can be, so that none is blurred."""
    height, width = shape
    zoom = min(room / width, _LARGEST_SLICE * columns / width, _LARGEST_HEIGHT / height)
    return float(int(zoom)) if zoom >= 2 else zoom


def _add_scale_bar(axes: Axes, width: int, columns: int) -> None:
    """Draw a bar of 50 mm below the last slice, where it hides nothing.

    Args:
        axes: Those of the mosaic, whose units are voxels.
        width: Width of the mosaic in voxels.
        columns: How many slices stand side by side.
    """
    end = width - _GAP - 0.5  # the right edge of the last slice
    start = end - ((width - _GAP) / columns - _GAP) * _BAR / (IMAGE_SHAPE[0] * VOXEL_MM)
    down = ScaledTranslation(0, -7 / 72, axes.figure.dpi_scale_trans)  # inches
    below = axes.get_xaxis_transform() + down
    axes.plot(
        (start, end), (0, 0), color="#222222", linewidth=1.2, marker="|", clip_on=False,
        transform=below,
    )  # fmt: skip
    axes.annotate(
        f"{_BAR} mm", ((start + end) / 2, 0), (0, -4), xycoords=below, textcoords="offset points",
        ha="center", va="top", fontsize=8,
    )  # fmt: skip


def _add_colour_bar(
    figure: Figure, axes: Axes, picture: AxesImage, scale: Scale, height: float
) -> None:
    """Add a colour bar to the right of the picture, 10 pixels away and 12 wide.

    Args:
        figure: The figure.
        axes: Those of the picture.
        picture: What the bar explains.
        scale: Its numbers and colours.
        height: The lower part of the picture that has these colours, 1 for all of it.
    """
    width, _ = figure.get_size_inches() * _DPI
    beside = axes.inset_axes((1 + 10 / width, 0, 12 / width, height))
    bar = figure.colorbar(picture, cax=beside, extend=scale.extend)
    bar.set_ticks([scale.low, (scale.low + scale.high) / 2, scale.high])
    bar.ax.tick_params(labelsize=9)
    bar.set_label(scale.label.replace(" (", "\n(", 1), fontsize=9)
    bar.ax.grid(False)


def _make_room(figure: Figure, axes: Axes) -> None:
    """Enlarge a figure that is filled by its axes until all that is drawn around them is in it.

    The axes keep their size and start at a whole pixel, so that voxels stay squares.
    """
    size = figure.get_size_inches()
    drawn = figure.get_tightbbox()  # inches, from the lower left corner of the axes
    low = np.floor(np.array(drawn.min) * _DPI - _MARGIN) / _DPI
    high = np.ceil(np.array(drawn.max) * _DPI + _MARGIN) / _DPI
    figure.set_size_inches(high - low)
    # Before version 3.11, matplotlib rounds the size of an image up to whole pixels, also if it is
    # whole but for the last digits of a floating-point number. Hence a size just below.
    just_below = size * (1 - 1e-9)
    axes.set_position((*(-low / (high - low)), *(just_below / (high - low))))


def listed(values: Mapping[str, str]) -> str:
    """Return `name value, name value` for an alternative text."""
    return ", ".join(f"{name} {value}" for name, value in values.items())
