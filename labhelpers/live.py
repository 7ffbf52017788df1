"""Show a training while it runs: time left, curves that grow, the latest sample slices."""

from __future__ import annotations

import html
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from IPython.display import display
from torch import Tensor

from labhelpers import plots
from labhelpers.session import in_notebook, is_graded

__all__ = ["LiveView", "duration"]

_SHARE = 0.02  # of the time goes into pictures, the last one included
_FIRST_COST = 0.1  # seconds that the first picture is expected to take
_LEAST = 2.0  # seconds between two pictures, and between two points of a curve
_LINE = 0.5  # seconds between two texts
_MOST_POINTS = 300  # of a curve of batches; beyond, two neighbours become one


class LiveView:
    """What is seen of a training: in a notebook a text and a picture, elsewhere a line per epoch.

    Both are plain HTML that is replaced in its place, so a notebook that is saved and opened again
    shows the last picture. Where nobody watches there is one line of text for each epoch.

    Drawing takes a part of the time that is small by design: after a picture that took long to
    draw, the next one waits longer. A GPU is waited for when an epoch ends or a picture is due.

    Args:
        name: Name of the run.
        num_epoch: Epochs in all.
        n_batches: Batches of an epoch.
    """

    def __init__(self, name: str, num_epoch: int, n_batches: int) -> None:
        self._name, self._num_epoch, self._n_batches = name, num_epoch, n_batches
        self._rows: list[dict[str, float]] = []
        self._samples: list[dict[str, float]] = []
        self._parts: list[dict[str, float]] = []
        self._unread: dict[str, list[Tensor]] = {}  # losses since the last point of the curve
        self._image: Path | None = None
        self._lines: list[str] = []
        self._start = time.perf_counter()
        self._first: int | None = None  # batches that were done before
        self._text_due = self._point_due = self._drawn = 0.0
        self._spent, self._cost = 0.0, _FIRST_COST  # on all pictures, and on the latest one
        self._text: Any = None  # what IPython calls a display handle
        self._picture: Any = None
        self._is_live = in_notebook() and not is_graded()

    @property
    def seconds(self) -> float:
        """Time since the training began, or went on."""
        return time.perf_counter() - self._start

    def begin(
        self, rows: Sequence[Mapping[str, float]], samples: Sequence[Mapping[str, float]]
    ) -> None:
        """Start the clock; `rows` and `samples` are those of epochs that were trained before."""
        self._rows, self._samples = [dict(row) for row in rows], [dict(row) for row in samples]
        self._lines = [self._line(row) for row in self._rows]
        self._start = time.perf_counter()
        self._drawn, self._point_due = self._start, self._start + _LEAST
        if self._is_live:
            self._text = display(_text_bundle("Training begins."), raw=True, display_id=True)
            self._picture = display({"text/plain": "", "text/html": ""}, raw=True, display_id=True)

    def batch(self, epoch: int, number: int, losses: Mapping[str, Tensor]) -> None:
        """Take in the losses of a batch, the `number`-th of its epoch; draw if it is time to."""
        if not self._is_live:
            return
        for name, loss in losses.items():
            self._unread.setdefault(name, []).append(loss)
        done = (epoch - 1) * self._n_batches + number
        self._first = done - 1 if self._first is None else self._first
        now = time.perf_counter()
        if now >= self._point_due:
            self._point_due = now + _LEAST
            self._add_point(done / self._n_batches)
        if self._may_draw():
            self._draw()
        if now >= self._text_due:
            self._text_due = now + _LINE
            total = self._num_epoch * self._n_batches
            left = (now - self._start) / (done - self._first) * (total - done)
            status = (
                f"Epoch {epoch} of {self._num_epoch}, batch {number} of {self._n_batches}: "
                f"about {duration(left)} left"
            )
            self._say(status, done / total)

    def epoch(self, row: dict[str, float], samples: dict[str, float], image: Path | None) -> None:
        """Take in an epoch that is over: mean losses, measures of the samples, their image."""
        self._rows.append(row)
        if samples:
            self._samples.append(samples)
        self._image = image or self._image
        self._lines.append(self._line(row))
        if not self._is_live:
            print(self._lines[-1])
            return
        self._add_point(row["epoch"])
        if self._may_draw():
            self._draw()

    def end(self, status: str, image: Path | None = None) -> None:
        """Leave a still picture and say how the training ended."""
        self._image = image or self._image
        if not self._is_live:
            print(status)
            return
        if self._rows or self._parts:
            self._draw()
        self._say(status)

    def _line(self, row: Mapping[str, float]) -> str:
        losses = ", ".join(f"{name} loss {row[name]:.4f}" for name in row if name != "epoch")
        width = len(str(self._num_epoch))
        return f"Epoch {row['epoch']:>{width}}/{self._num_epoch}: {losses}"

    def _add_point(self, place: float) -> None:
        means = {name: torch.stack(losses).float().mean() for name, losses in self._unread.items()}
        self._unread = {}
        values = {name: mean.item() for name, mean in means.items()}
        if values and all(map(math.isfinite, values.values())):
            self._parts.append({"place": place, **values})
        if len(self._parts) > _MOST_POINTS:
            self._parts = pd.DataFrame(self._parts).pipe(_thinned).to_dict("records")

    def _say(self, status: str, part: float | None = None) -> None:
        if self._text is not None:
            self._text.update(_text_bundle(status, part, self._lines), raw=True)

    def _may_draw(self) -> bool:
        """Return True if there is time for this picture and for the last one."""
        now = time.perf_counter()
        allowed = _SHARE * (now - self._start)
        return now >= self._drawn + _LEAST and self._spent + 2 * self._cost <= allowed

    def _draw(self) -> None:
        """Replace the picture."""
        start = time.perf_counter()
        chart = plots.training_progress(
            _table(self._rows, "epoch"),
            _table(self._parts, "place"),
            _table(self._samples, "epoch"),
            self._num_epoch,
            f"Training of {self._name!r}",
        )
        pictures, texts = chart._repr_html_(), repr(chart)
        if self._image is not None and self._image.is_file():
            alt = f"Run {self._name}: T1-w, generated and true T2-w slices, {self._image.stem}"
            image = plots.SavedFigure(self._image, alt)
            pictures = f"<div>{pictures}</div><div>{image._repr_html_()}</div>"
            texts = f"{texts}\n{alt}"
        if self._picture is not None:
            self._picture.update({"text/plain": texts, "text/html": pictures}, raw=True)
        self._drawn = time.perf_counter()
        self._cost = self._drawn - start
        self._spent += self._cost


def duration(seconds: float) -> str:
    """Return a time as a person says it: `40 s`, `3 min 20 s`, `2 h 5 min`."""
    seconds = max(0, round(seconds))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def _text_bundle(
    status: str, part: float | None = None, lines: Sequence[str] = ()
) -> dict[str, str]:
    """Return a text as plain text and as HTML, with a bar for the part that is done."""
    bar = ""
    if part is not None:
        bar = (
            '<div style="height: 5px; max-width: 944px; border: 1px solid currentColor">'
            f'<div style="height: 100%; width: {part:.1%}; background: currentColor"></div></div>'
        )
    text = f'<div style="font-variant-numeric: tabular-nums">{html.escape(status)}</div>{bar}'
    return {"text/plain": "\n".join([*lines, status]), "text/html": text}


def _table(rows: Sequence[Mapping[str, float]], index: str) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=None if rows else [index]).set_index(index)


def _thinned(points: pd.DataFrame) -> pd.DataFrame:
    """Return half as many points, each the mean of two neighbours."""
    return points.groupby(points.index // 2).mean()
