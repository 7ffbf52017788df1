"""Draw a training of the clinic: curves beside those of a healthy one, and slices with errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator

from labhelpers.plots.figure import (
    AccessibleFigure,
    Scale,
    draw_images,
    finish,
    new_chart,
    styled,
)

__all__ = ["CaseMarks", "case_curves", "case_samples"]

# Colours of Okabe and Ito, which the colour-blind can tell apart; markers differ, too.
_LINES = (
    {"color": "#0072B2", "marker": "o"},
    {"color": "#D55E00", "marker": "s"},
    {"color": "#009E73", "marker": "^"},
)
_HEALTHY: dict[str, Any] = {"linestyle": ":", "linewidth": 1.6}
_MARKS: tuple[dict[str, Any], ...] = (
    {"linewidth": 1, "linestyle": (0, (4, 2))},
    {"linewidth": 1, "linestyle": (0, (6, 2, 1, 2))},
)
_ERRORS = (0.03, 2)  # what the axis of the errors shows, in every case
# The middle is grey: white would melt into the page.
_SIGNED_ERROR = Scale(
    -0.5, 0.5, "coolwarm", "generated \N{MINUS SIGN} true (red: too bright)", extend="both"
)


@dataclass(frozen=True)
class CaseMarks:
    """Lines to compare the curves of a case with.

    Attributes:
        losses: Heights among the losses by what they mean, such as ln 2; at most two.
        errors: The same among the errors.
        change: The last epoch before something changed, and what did; None for nothing.
    """

    losses: dict[str, float]
    errors: dict[str, float]
    change: tuple[int, str] | None = None


@styled
def case_curves(
    history: pd.DataFrame,
    healthy: pd.DataFrame | None,
    title: str,
    marks: CaseMarks,
) -> AccessibleFigure:
    """Draw the losses of a training on the left and its errors on the right.

    Args:
        history: One row per epoch; columns that end in `error` are drawn on the right, the others
            on the left, at most three on each side.
        healthy: The same of a training without a fault, drawn dotted; None for none.
        title: Title of the figure.
        marks: The lines to compare the curves with.
    """
    figure, panels = new_chart(9.4, 4.2, panels=2)
    errors = [name for name in history.columns if name.endswith("error")]
    losses = [name for name in history.columns if name not in errors]
    alt = [f"Curves of {title}, by epoch."]
    for axes, names in zip(panels, (losses, errors), strict=True):
        for name, line in zip(names, _LINES, strict=False):
            axes.plot(history.index, history[name], label=name, markersize=3, **line)
            alt.append(_in_words(name, history[name], healthy))
            if healthy is not None:
                axes.plot(healthy.index, healthy[name], label="", color=line["color"], **_HEALTHY)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    panels[0].set(ylabel="loss (no unit)", ylim=(0, None))
    # The same in all cases, and nothing leaves the frame: errors fall to a tenth and less.
    panels[1].set(ylabel="mean absolute error (no unit)", yscale="log", ylim=_ERRORS)
    panels[1].yaxis.set_major_locator(FixedLocator([0.05, 0.1, 0.2, 0.5, 1, 2]))
    panels[1].yaxis.set_major_formatter("{x:g}")
    panels[1].minorticks_off()
    for axes, lines in zip(panels, (marks.losses, marks.errors), strict=True):
        for (meaning, height), style in zip(lines.items(), _MARKS, strict=False):
            axes.axhline(height, color="black", label=f"{meaning} ({height:.3f})", **style)
            alt.append(f"A line marks {meaning}, {height:.3f}.")
    if marks.change is not None:
        epoch, meaning = marks.change
        alt.append(f"After epoch {epoch}: {meaning}.")
        for axes in panels:
            axes.axvline(epoch + 0.5, color="#767676", linewidth=1)
            axes.annotate(
                meaning, (epoch + 0.5, 0), (3, 3), xycoords=("data", "axes fraction"),
                textcoords="offset points", fontsize=8,
            )  # fmt: skip
    for axes, names in zip(panels, (losses, errors), strict=True):
        _legend(
            axes, [line["color"] for line in _LINES[: len(names)]] if healthy is not None else []
        )
    return finish(figure, title, " ".join(alt))


def _in_words(name: str, values: pd.Series, healthy: pd.DataFrame | None) -> str:
    places = sorted({0, len(values) // 2, len(values) - 1})
    points = ", ".join(f"{values.iloc[i]:.3f} at epoch {values.index[i]}" for i in places)
    beside = "" if healthy is None else f"; healthy: {healthy[name].iloc[-1]:.3f} at the end"
    return f"{name}: {points}{beside}."


def _legend(axes: Axes, colours_of_healthy: list[str]) -> None:
    curves, labels = axes.get_legend_handles_labels()
    handles: list[Any] = [*curves]
    if colours_of_healthy:
        handles.append(tuple(Line2D([], [], color=c, **_HEALTHY) for c in colours_of_healthy))
        labels.append("without the fault")
    axes.legend(
        handles, labels, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, fontsize=9,
        handler_map={tuple: HandlerTuple(ndivide=None, pad=0.4)}, handlelength=2.6,
    )  # fmt: skip


def case_samples(
    real_t1: torch.Tensor, fake_t2: torch.Tensor, real_t2: torch.Tensor, title: str
) -> AccessibleFigure:
    """Show T1-w, generated and true T2-w slices and the signed error, one column per subject.

    Args:
        real_t1: T1-w slices `(N, 1, H, W)` in [-1, 1].
        fake_t2: What the generator made of them, same shape.
        real_t2: The true T2-w slices, same shape.
        title: Title of the figure.
    """
    error = fake_t2 - real_t2
    rows = {"T1-w (input)": real_t1, "T2-w generated": fake_t2, "T2-w true": real_t2}
    rows |= {"generated \N{MINUS SIGN} true": error}
    alt = (
        f"{title}: slices of {len(real_t1)} test subjects, one per column; from top to bottom the "
        "T1-w input, the generated T2-w, the true T2-w and generated minus true. The generated "
        f"slices are brighter than the true ones by {error.mean():.3f} on average; mean absolute "
        f"error: {error.abs().mean():.3f}. The generated slices differ from each other "
        f"by {_spread(fake_t2):.3f} on average, the true ones by {_spread(real_t2):.3f}."
    )
    return draw_images(
        {name: images[:, 0].numpy() for name, images in rows.items()},
        [f"subject {i + 1}" for i in range(len(real_t1))],
        f"{title}: slices of test subjects",
        alt,
        _SIGNED_ERROR,
        plain_rows=3,
    )


def _spread(slices: torch.Tensor) -> float:
    """Return the mean absolute difference of slices from their mean slice."""
    return (slices - slices.mean(dim=0)).abs().mean().item()
