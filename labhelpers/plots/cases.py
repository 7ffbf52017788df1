"""Draw a training of the clinic: curves beside those of a healthy one, and slices with errors."""

from __future__ import annotations

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from labhelpers.plots.figure import AccessibleFigure, draw_images, finish, new_chart, styled

__all__ = ["case_curves", "case_samples"]

# Colours of Okabe and Ito, which the colour-blind can tell apart; markers differ, too.
_LINES = (
    {"color": "#0072B2", "marker": "o"},
    {"color": "#D55E00", "marker": "s"},
    {"color": "#009E73", "marker": "^"},
)
_LARGEST_ERROR = 0.5  # drawn white, as in `error_maps`


@styled
def case_curves(
    history: pd.DataFrame,
    healthy: pd.DataFrame | None,
    title: str,
    reference: float,
    reference_label: str,
) -> AccessibleFigure:
    """Draw the losses of a training on the left and its errors on the right.

    Args:
        history: One row per epoch; columns that end in `error` are drawn on the right, the others
            on the left, at most three on each side.
        healthy: The same of a training without a fault, drawn dotted; None for none.
        title: Title of the figure.
        reference: Height of a horizontal line among the losses, such as ln 2.
        reference_label: What that line means.
    """
    figure, panels = new_chart(9.4, 3.6, panels=2)
    errors = [name for name in history.columns if name.endswith("error")]
    losses = [name for name in history.columns if name not in errors]
    alt = [f"Curves of {title}, by epoch."]
    for axes, names in zip(panels, (losses, errors), strict=True):
        for name, line in zip(names, _LINES, strict=False):
            axes.plot(history.index, history[name], label=name, markersize=3, **line)
            alt.append(_in_words(name, history[name], healthy))
            if healthy is not None:
                look = {"color": line["color"], "linestyle": ":", "linewidth": 1.4}
                axes.plot(healthy.index, healthy[name], **look)
        # What comes after the first epochs is what matters: the start may leave the frame.
        shown = [*history[names].iloc[len(history) // 6 :].max()]
        if healthy is not None:
            shown += [*healthy[names].iloc[len(healthy) // 6 :].max()]
        axes.set(xlabel="epoch", ylim=(0, 1.1 * max(*shown, reference if names is losses else 0)))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    panels[0].axhline(reference, color="black", linewidth=1, linestyle=(0, (4, 2)))
    panels[0].lines[-1].set_label(f"{reference_label} ({reference:.3f})")
    panels[0].set_ylabel("loss (no unit)")
    panels[1].set_ylabel("mean absolute error (no unit)")
    for axes in panels:
        _legend(axes, healthy is not None)
    alt.append(f"A dashed line among the losses marks {reference_label}, {reference:.3f}.")
    return finish(figure, title, " ".join(alt))


def _in_words(name: str, values: pd.Series, healthy: pd.DataFrame | None) -> str:
    places = sorted({0, len(values) // 2, len(values) - 1})
    points = ", ".join(f"{values.iloc[i]:.3f} at epoch {values.index[i]}" for i in places)
    beside = "" if healthy is None else f"; healthy: {healthy[name].iloc[-1]:.3f} at the end"
    return f"{name}: {points}{beside}."


def _legend(axes: Axes, has_healthy: bool) -> None:
    if has_healthy:
        axes.plot([], [], color="black", linestyle=":", linewidth=1.4, label="healthy training")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, fontsize=9)


def case_samples(
    real_t1: torch.Tensor, fake_t2: torch.Tensor, real_t2: torch.Tensor, title: str
) -> AccessibleFigure:
    """Show T1-w, generated and true T2-w slices and the error, one column per subject.

    Args:
        real_t1: T1-w slices `(N, 1, H, W)` in [-1, 1].
        fake_t2: What the generator made of them, same shape.
        real_t2: The true T2-w slices, same shape.
        title: Title of the figure.
    """
    error = (fake_t2 - real_t2).abs()
    rows = {
        "T1-w (input)": real_t1,
        "T2-w generated": fake_t2,
        "T2-w true": real_t2,
        f"error (black: 0, white: {_LARGEST_ERROR} or more)": error / _LARGEST_ERROR * 2 - 1,
    }
    slices = {name: images[:, 0].clamp(-1, 1).numpy() for name, images in rows.items()}
    alt = (
        f"{title}: slices of {len(real_t1)} test subjects, one per column; from top to bottom the "
        "T1-w input, the generated T2-w, the true T2-w and the absolute error. Mean absolute error "
        f"of the generated slices: {error.mean():.3f}. The generated slices differ from each other "
        f"by {_spread(fake_t2):.3f} on average, the true ones by {_spread(real_t2):.3f}."
    )
    return draw_images(
        slices,
        [f"subject {i + 1}" for i in range(len(real_t1))],
        f"{title}: slices of test subjects",
        alt,
    )


def _spread(slices: torch.Tensor) -> float:
    """Return the mean absolute difference of slices from their mean slice."""
    return (slices - slices.mean(dim=0)).abs().mean().item()
