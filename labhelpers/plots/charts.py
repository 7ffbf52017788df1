"""Draw charts: histograms, training curves, metrics and their agreement, tissue signals."""

from __future__ import annotations

import itertools
import math
import re
import textwrap
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from labhelpers.plots.figure import (
    INTENSITY,
    AccessibleFigure,
    finish,
    listed,
    new_chart,
    styled,
)

if TYPE_CHECKING:
    from labhelpers.data import IXIDataset

__all__ = [
    "bland_altman",
    "contrast_bars",
    "intensity_histograms",
    "joint_histogram",
    "metric_bars",
    "perception_distortion",
    "probability_histograms",
    "training_curves",
    "training_progress",
]

_BINS = 100

# Colours of Okabe and Ito, which the colour-blind can tell apart; dashes and markers differ, too.
_BLUE, _VERMILLION, _GREEN, _PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
_GREY, _ORANGE = "#BBBBBB", "#E69F00"
_LINES: tuple[dict[str, Any], ...] = (
    {"color": _BLUE, "linestyle": "-", "marker": "o"},
    {"color": _VERMILLION, "linestyle": "--", "marker": "s"},
    {"color": _GREEN, "linestyle": "-.", "marker": "^"},
    {"color": _PURPLE, "linestyle": ":", "marker": "D"},
)
_METRICS = {
    "MAE": ("MAE (no unit), lower is better", "{:.3f}"),
    "PSNR": ("PSNR (dB), higher is better", "{:.2f}"),
    "SSIM": ("SSIM (no unit), higher is better", "{:.3f}"),
}


@styled
def intensity_histograms(dataset: IXIDataset) -> AccessibleFigure:
    """Draw the histograms of all T1-w and of all T2-w voxels of a split, with log counts.

    Args:
        dataset: The training or the test set, values in `[-1, 1]`.
    """
    figure, (axes,) = new_chart(8, 3.8)
    edges = np.linspace(-1, 1, _BINS + 1)
    slices = {"T1-w": dataset.t1.numpy(), "T2-w": dataset.t2.numpy()}
    for (name, voxels), line in zip(slices.items(), _LINES, strict=False):
        counts, _ = np.histogram(voxels, edges)
        style = {"color": line["color"], "linestyle": line["linestyle"], "linewidth": 1.6}
        axes.stairs(counts, edges, baseline=None, label=name, **style)
    axes.set(yscale="log", xlim=(-1, 1), xlabel=INTENSITY, ylabel="voxels per bin (log scale)")
    _legend_above(axes)
    alt = (
        f"Histograms of the T1-w and T2-w intensities of {len(dataset)} subjects, in {_BINS} bins "
        "from -1 to 1, with counts on a logarithmic scale. "
        + " ".join(
            f"{name}: median {np.median(voxels):.2f}, nine voxels in ten below "
            f"{np.quantile(voxels, 0.9):.2f}."
            for name, voxels in slices.items()
        )
    )
    return finish(figure, "How often each intensity occurs", alt)


@styled
def joint_histogram(dataset: IXIDataset, lookup: torch.Tensor | None = None) -> AccessibleFigure:
    """Draw how often each pair of T1-w and T2-w intensities meets in a voxel.

    Args:
        dataset: The training or the test set, values in `[-1, 1]`.
        lookup: T2-w value `(n_bins,)` of each of the equal T1-w bins over `[-1, 1]`, drawn over
            the histogram as steps.

    Raises:
        ValueError: If `lookup` has not exactly one axis.
    """
    t1, t2 = dataset.t1.flatten().numpy(), dataset.t2.flatten().numpy()
    figure, (axes,) = new_chart(7, 5.4)
    edges = np.linspace(-1, 1, _BINS + 1)
    counts, _, _ = np.histogram2d(t1, t2, (edges, edges))
    mesh = axes.pcolormesh(
        edges, edges, np.ma.masked_equal(counts.T, 0), norm=LogNorm(), cmap="viridis"
    )
    figure.colorbar(mesh, ax=axes, label="voxels per bin (log scale)", pad=0.03)
    alt = (
        f"Joint histogram of the T1-w and T2-w intensities of {t1.size:,} voxels. "
        f"{_spread_in_words(counts, edges)}"
    )
    if lookup is not None:
        values = _lookup_values(lookup)
        steps = np.linspace(-1, 1, len(values) + 1)
        for colour, width in (("white", 4.5), (_VERMILLION, 2)):  # a halo keeps it readable
            line = axes.stairs(values, steps, baseline=None, color=colour, linewidth=width)
        line.set_label("intensity lookup")
        axes.legend(loc="upper right", frameon=True)
        alt += f" The lookup curve runs from {values.min():.2f} to {values.max():.2f}."
    axes.set(
        xlabel=f"T1-w {INTENSITY}", ylabel=f"T2-w {INTENSITY}", aspect="equal",
        xlim=(-1, 1), ylim=(-1, 1),
    )  # fmt: skip
    title = "Which T2-w intensity goes with which T1-w intensity"
    return finish(figure, title, alt, vector=False)


@styled
def training_curves(
    history: pd.DataFrame,
    title: str = "Losses during training",
    reference: float | None = None,
    reference_label: str = "reference",
) -> AccessibleFigure:
    """Draw one curve per loss.

    Args:
        history: One column per loss (at most 4); the index is the epoch, or what its name says. If
            the columns have a name, it says what they are in place of losses.
        title: Title of the figure.
        reference: Height of a horizontal line, such as ln 2 for a discriminator at chance.
        reference_label: What that line means.

    Raises:
        ValueError: If the history is empty or has more than 4 columns.
    """
    if history.empty or len(history.columns) > len(_LINES):
        raise ValueError(
            f"history has {len(history)} epochs and {len(history.columns)} losses: expected at "
            f"least 1 epoch and 1 to {len(_LINES)} losses. Train first, or select columns."
        )
    figure, (axes,) = new_chart(8, 3.8)
    step, what = history.index.name or "epoch", history.columns.name or "loss"
    every = len(history) // 20 + 1  # more markers would hide the line
    for name, line in zip(history.columns, _LINES, strict=False):
        axes.plot(history.index, history[name], label=name, markersize=4, markevery=every, **line)
    ends = sorted({0, len(history) - 1})
    alt = f"{title}. {str(what).capitalize()} by {step}. " + " ".join(
        f"{name}: "
        + ", ".join(f"{values.iloc[i]:.3f} at {step} {history.index[i]:g}" for i in ends)
        + "."
        for name, values in history.items()
    )
    if reference is not None:
        axes.axhline(reference, color="black", linewidth=1, linestyle=(0, (1, 2)))
        axes.lines[-1].set_label(f"{reference_label} ({reference:.3f})")
        alt += f" A dotted line marks {reference_label}, {reference:.3f}."
    axes.set(xlabel=step, ylabel=f"{what} (no unit)")
    if history.min(axis=None) >= 0:  # from 0, else a loss that hardly moves would look steep
        axes.set_ylim(0, 1.08 * max(history.max(axis=None), reference or 0) or 1)
    axes.set_xlim(history.index[0] - 0.5, history.index[-1] + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _legend_above(axes)
    return finish(figure, title, alt)


@styled
def training_progress(
    epochs: pd.DataFrame,
    parts: pd.DataFrame,
    samples: pd.DataFrame,
    num_epoch: int,
    title: str = "Training",
) -> AccessibleFigure:
    """Draw a training that is under way: losses, the discriminators' game, error on some slices.

    A loss whose name begins with `discriminator` has a panel of its own, with the line of one that
    cannot tell (ln 2, or twice that for two discriminators together).

    Args:
        epochs: Mean losses of the finished epochs, at most 4 columns; the index is the epoch.
        parts: Mean losses of some batches; the index tells where, counted in epochs from 0.
        samples: By finished epoch: `PSNR` (dB) on the sample slices, and the probabilities `true`
            and `generated` that a discriminator gives to them, as far as there are any.
        num_epoch: Epochs in all.
        title: Title of the figure.
    """
    names = list(dict.fromkeys([*epochs.columns, *parts.columns]))[: len(_LINES)]
    judges = [name for name in names if str(name).startswith("discriminator")]
    learners = [name for name in names if name not in judges]
    panels = [bool(learners), bool(judges), "PSNR" in samples and len(samples) > 0]
    width, height = 9.4, 3.85 if judges else 3.2
    margins = {
        "left": 0.65 / width, "right": 1 - 0.1 / width, "bottom": 0.65 / height,
        "top": 1 - (1.15 if judges else 0.7) / height, "wspace": 0.3,
    }  # fmt: skip
    figure, axes_left = new_chart(width, height, max(1, sum(panels)), margins)
    alt = [f"{title}, {len(epochs)} of {num_epoch} epochs."]
    if learners:
        axes = axes_left.pop(0)
        alt += _draw_losses(axes, epochs, parts, learners)
        axes.set(ylabel="loss (no unit)")
        _from_zero(axes)
    if judges:
        axes = axes_left.pop(0)
        alt += _draw_losses(axes, epochs, parts, judges, first_line=1)
        for name, line in zip(("true", "generated"), _LINES[2:], strict=False):
            if name in samples and len(samples):
                label = f"P(true), {name} slices"
                axes.plot(samples.index, samples[name], label=label, markersize=3, **line)
                alt.append(f"{label}: {samples[name].iloc[-1]:.2f}.")
        chance, label = math.log(2), "ln 2"
        if judges[0] != "discriminator":
            chance, label = 2 * chance, "2 ln 2"
        axes.axhline(chance, color="black", linewidth=1, linestyle=(0, (1, 2)))
        axes.lines[-1].set_label(f"{label}: cannot tell")
        axes.set(ylabel="loss, probability (no unit)")
        _from_zero(axes, least=1.0)
    if panels[-1]:
        axes = axes_left.pop(0)
        axes.plot(samples.index, samples["PSNR"], color="#333333", marker="o", markersize=3)
        axes.set(ylabel="PSNR, slices below (dB)")
        alt.append(f"PSNR of the sample slices: {samples['PSNR'].iloc[-1]:.2f} dB.")
    for axes in figure.axes:
        axes.set(xlabel="epoch", xlim=(0, num_epoch + 0.02 * num_epoch))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if axes.get_legend_handles_labels()[1]:
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), fontsize=8)
    return finish(figure, title, " ".join(alt))


def _draw_losses(
    axes: Axes, epochs: pd.DataFrame, parts: pd.DataFrame, names: Sequence[str], first_line: int = 0
) -> list[str]:
    """Draw losses by batches, thin, and by epochs; return what each is now, for the alt text."""
    texts = []
    for name, line in zip(names, _LINES[first_line:], strict=False):
        by_part, by_epoch = (
            table[name].dropna() if name in table else pd.Series(dtype=float)
            for table in (parts, epochs)
        )
        marker, colour = "." if len(by_part) < 20 else "", line["color"]
        thin = axes.plot(
            by_part.index, by_part, color=colour, linewidth=0.8, alpha=0.6, marker=marker
        )
        thick = axes.plot(by_epoch.index, by_epoch, markersize=3, **line)
        drawn, values = (thick, by_epoch) if len(by_epoch) else (thin, by_part)
        drawn[0].set_label(name)
        if len(values):
            texts.append(f"{name}: {values.iloc[-1]:.3f} at {values.index[-1]:.3g} epochs.")
    return texts


def _from_zero(axes: Axes, least: float = 0.0) -> None:
    """Start an axis at 0, if nothing is below: else a loss that hardly moves would look steep."""
    low, high = axes.dataLim.intervaly
    if low >= 0 and max(high, least) > 0:
        axes.set_ylim(0, 1.08 * max(high, least))


@styled
def metric_bars(table: pd.DataFrame) -> AccessibleFigure:
    """Draw the three metrics of every method on the test set; baselines are hatched.

    Values that were not measured here are labelled, for instance `(stored)`; those of methods
    without training, which their source says, are hatched.

    Args:
        table: What `results.results_table` returns.

    Raises:
        ValueError: If the table has no row or lacks a metric of the test set or the column
            `source`.
    """
    columns = [*((metric, "Test set") for metric in _METRICS), ("source", "")]
    _require_columns(table, columns, "table")
    sources = table["source", ""]
    labels = [_label(title, source) for title, source in zip(table.index, sources, strict=True)]
    figure, panels = new_chart(9, 1.5 + 0.42 * len(table), panels=3, sharey=True)
    rows = np.arange(len(table))
    for axes, (metric, (label, form)) in zip(panels, _METRICS.items(), strict=True):
        values = table[metric, "Test set"]
        bars = axes.barh(rows, values, height=0.68, color=_BLUE, edgecolor="#333333")
        for bar, source in zip(bars, sources, strict=True):
            if "no training" in source:
                bar.set(facecolor=_GREY, hatch="///")
        axes.bar_label(bars, [form.format(value) for value in values], padding=3, fontsize=9)
        axes.set(title=metric, xlabel=label)
        axes.margins(x=0.25)  # room for the numbers
        axes.grid(False, axis="y")
    panels[0].set_yticks(rows, labels)
    panels[0].set_ylabel("method")
    panels[0].invert_yaxis()  # the first row of the table on top
    alt = "Bar charts of the metrics on the test set. " + " ".join(
        f"{label}: {listed({m: _METRICS[m][1].format(row[m, 'Test set']) for m in _METRICS})}."
        for label, (_, row) in zip(labels, table.iterrows(), strict=True)
    ).replace("\n", " ")
    return finish(figure, "Test set: trained networks (plain) and baselines (hatched)", alt)


@styled
def probability_histograms(probabilities: Mapping[str, torch.Tensor]) -> AccessibleFigure:
    """Draw how often a discriminator gives each probability that a slice is real.

    Args:
        probabilities: Name of a set of slices -> a probability in `[0, 1]` for each of them, such
            as `{"true": torch.sigmoid(logits)}`, in any shape; 1 to 4 sets.

    Raises:
        ValueError: If there are no sets or more than 4, a set is empty, or a value is no
            probability.
    """
    if not 1 <= len(probabilities) <= len(_LINES):
        raise ValueError(
            f"probabilities holds {len(probabilities)} sets: pass from 1 to {len(_LINES)}, as "
            "{name: probabilities}."
        )
    names = list(probabilities)
    figure, (axes,) = new_chart(8, 1.6 + 0.75 * len(names))
    edges = np.linspace(0, 1, 41)
    sentences = []
    for row, (name, given) in enumerate(probabilities.items()):
        values = _numbers(f"probabilities[{name!r}]", given)
        if values.min() < 0 or values.max() > 1:
            raise ValueError(
                f"probabilities[{name!r}] runs from {values.min():.3g} to {values.max():.3g}: "
                "expected values from 0 to 1. Logits become probabilities with torch.sigmoid."
            )
        counts, _ = np.histogram(values, edges)
        foot = len(names) - 1 - row  # the first set on top
        heights = foot + 0.8 * counts / counts.max()
        colour = _LINES[row]["color"]
        axes.stairs(heights, edges, baseline=foot, fill=True, color=colour, label=name)
        words = f"mean {values.mean():.2f}, {(values > 0.5).mean():.0%} above one half"
        left = values.mean() >= 0.5  # where the bars are not
        x, side = (0.01, "left") if left else (0.99, "right")
        axes.annotate(words, (x, foot + 0.9), ha=side, va="top", fontsize=9)
        axes.axhline(foot, color="#999999", linewidth=0.8)
        sentences.append(f"{name}: {len(values)} slices, {words}.")
    axes.axvline(0.5, color="black", linewidth=1, linestyle=(0, (1, 2)))
    axes.set_xlabel("probability that the slice is real, \u03c3(logit)")
    axes.set(xlim=(0, 1), ylim=(0, len(names)), ylabel="set of slices, each to its own scale")
    axes.set_yticks(np.arange(len(names)) + 0.4, names[::-1])
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    alt = "Histograms of a discriminator's probability that a slice is real. " + " ".join(sentences)
    return finish(figure, "What the discriminator answers", alt)


@styled
def perception_distortion(table: pd.DataFrame) -> AccessibleFigure:
    """Draw each method by its fidelity (PSNR) and by the sharpness of its slices.

    Args:
        table: One row per method, its name as index; columns `PSNR` in dB and `sharpness`, 1 being
            that of the true slices. The first row has a mark of its own.

    Raises:
        ValueError: If the table has no row or lacks one of the columns.
    """
    _require_columns(table, ("PSNR", "sharpness"), "table")
    figure, (axes,) = new_chart(9, 5)
    axes.plot(table["PSNR"], table["sharpness"], "o", color=_BLUE, markersize=7)
    first = table.iloc[:1]
    axes.plot(first["PSNR"], first["sharpness"], "D", color=_VERMILLION, markersize=9, zorder=3)
    axes.lines[-1].set_label(str(table.index[0]))
    axes.axhline(1, color="black", linewidth=1, linestyle=(0, (1, 2)))
    axes.margins(x=0.2, y=0.18)
    axes.lines[-1].set_label("as sharp as the true slices")
    axes.set(xlabel="PSNR (dB), higher is closer to the true slice", ylabel="sharpness (no unit)")
    _legend_above(axes)
    alt = "Sharpness by PSNR, one point per method. " + " ".join(
        f"{name}: {row['PSNR']:.2f} dB, sharpness {row['sharpness']:.2f}."
        for name, row in table.iterrows()
    )
    shown = finish(figure, "Perception against distortion", alt)
    points = table[["PSNR", "sharpness"]].to_numpy()
    _name_points(shown, ["", *map(str, table.index[1:])], points)  # the legend names the first
    return shown


@styled
def bland_altman(
    true: torch.Tensor, generated: torch.Tensor, title: str, unit: str
) -> AccessibleFigure:
    """Draw the differences of two measurements of the same subjects against their means.

    After Bland and Altman, "Statistical methods for assessing agreement between two methods of
    clinical measurement", Lancet 1986. The dashed lines are the limits of agreement, mean
    difference +- 1.96 standard deviations: some 95 % of the differences lie between them.

    Args:
        true: What was measured on the true slices, one number per subject `(N,)`, at least 2.
        generated: The same, on the generated slices.
        title: Title of the figure; says what was measured.
        unit: Unit of the measurement, such as `mm\N{SUPERSCRIPT TWO}`.

    Raises:
        ValueError: If there are fewer than 2 subjects or the two differ in length.
    """
    first, second = _numbers("true", true), _numbers("generated", generated)
    if len(first) != len(second) or len(first) < 2:
        raise ValueError(
            f"true holds {len(first)} numbers and generated {len(second)}: expected one per "
            "subject, of the same subjects in the same order, at least 2."
        )
    differences = second - first
    bias, spread = differences.mean(), 1.96 * differences.std(ddof=1)
    figure, (axes,) = new_chart(8, 4.2)
    axes.plot((first + second) / 2, differences, "o", color=_BLUE, markersize=5, alpha=0.7)
    axes.axhline(0, color="#999999", linewidth=1)
    lines = {"mean": (bias, "-"), "mean + 1.96 SD": (bias + spread, "--")}
    lines["mean \N{MINUS SIGN} 1.96 SD"] = (bias - spread, "--")
    for name, (height, dashes) in lines.items():
        axes.axhline(height, color=_VERMILLION, linewidth=1.4, linestyle=dashes)
        axes.annotate(
            f"{name}\n{height:.3g}".replace("-", "\N{MINUS SIGN}"), (1.01, height), va="center",
            xycoords=("axes fraction", "data"), fontsize=9, annotation_clip=False,
        )  # fmt: skip
    axes.set_xlabel(f"mean of true and generated ({unit})")
    axes.set_ylabel(f"generated \N{MINUS SIGN} true ({unit})")
    alt = (
        f"{title}. Bland-Altman plot of {len(first)} subjects: generated minus true against their "
        f"mean. Mean difference {_short(bias)} {unit}, limits of agreement {_short(bias - spread)} "
        f"to {_short(bias + spread)} {unit}."
    )
    return finish(figure, title, alt)


@styled
def contrast_bars(signal_table: pd.DataFrame) -> AccessibleFigure:
    """Draw the signal of each tissue in T1-w and T2-w side by side.

    Args:
        signal_table: One row per tissue, columns `T1-w` and `T2-w`, as `contrast.signal_table`
            returns it.

    Raises:
        ValueError: If the table has no row or lacks one of the columns.
    """
    _require_columns(signal_table, ("T1-w", "T2-w"), "signal_table")
    figure, (axes,) = new_chart(8, 3.8)
    tissues = np.arange(len(signal_table))
    looks = ((-0.2, _BLUE, ""), (0.2, _ORANGE, "///"))
    for (shift, colour, hatch), name in zip(looks, ("T1-w", "T2-w"), strict=True):
        bars = axes.bar(
            tissues + shift, signal_table[name], 0.36, color=colour, hatch=hatch,
            edgecolor="#333333", label=name,
        )  # fmt: skip
        axes.bar_label(bars, fmt="%.2f", padding=2, fontsize=9)
    axes.set_xticks(tissues, [str(tissue) for tissue in signal_table.index])
    axes.set(xlabel="tissue", ylabel="signal (relative, no unit)")
    axes.grid(False, axis="x")
    axes.margins(y=0.12)
    _legend_above(axes)
    alt = "Bar chart of the signal of each tissue. " + " ".join(
        f"{tissue}: T1-w {row['T1-w']:.2f}, T2-w {row['T2-w']:.2f}."
        for tissue, row in signal_table.iterrows()
    )
    return finish(figure, "The same tissues in T1-w and in T2-w", alt)


def _legend_above(axes: Axes) -> None:
    """Put the legend between title and axes, where it hides no curve, in as few rows as fit."""
    _, labels = axes.get_legend_handles_labels()
    widths = [8 * (len(label) + 7) for label in labels]  # pixels, with the line beside it
    room = axes.figure.bbox.width
    columns = len(labels) if sum(widths) < room else max(1, int(room / max(widths)))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=columns)


def _name_points(shown: AccessibleFigure, names: Sequence[str], points: np.ndarray) -> None:
    """Write a name near each point of a finished chart, where it covers no point and no other name.

    Nor is a name crossed by the line that leads from a point to its name.

    Args:
        shown: The chart, with one panel.
        names: The n names; an empty one is not written.
        points: Their places `(n, 2)`, in the units of the axes.
    """
    axes = shown.figure.axes[0]
    shown.figure.draw_without_rendering()  # only then the axes have their size
    places = axes.transData.transform(points)
    marks = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in places]
    points_per_pixel = 72 / shown.figure.dpi  # pixels would be larger in an SVG
    notes = {
        k: axes.annotate(
            textwrap.fill(name, 24), points[k], (0, 0), textcoords="offset points", ha="center",
            va="center", fontsize=9,
            arrowprops={"arrowstyle": "-", "color": "#999999", "shrinkB": 5},
        )
        for k, name in enumerate(names)
        if name
    }  # fmt: skip
    sizes = {k: np.array(note.get_window_extent().size) for k, note in notes.items()}
    chosen: dict[int, tuple[Bbox, np.ndarray]] = {}  # each name with the line to its middle
    for k in [*notes] * 3:  # the first names may stand in the way of the last
        others = [one for other, one in chosen.items() if other != k]
        least = np.inf
        for distance, box, line in _around(places[k], sizes[k]):
            outside = not (axes.bbox.containsx(box.x0) and axes.bbox.containsx(box.x1))
            covered = [*marks, *(name for name, _ in others)]
            faults = 10 * (outside + sum(box.overlaps(other) for other in covered))
            faults += 5 * sum(_crosses(line, name) + _crosses(one, box) for name, one in others)
            faults += sum(_crosses(line, mark) for mark in marks if not mark.contains(*places[k]))
            if (cost := 1000 * faults + distance) < least:
                least, chosen[k] = cost, (box, line)
            if not faults:  # the nearest ones come first
                break
    for k, (_, line) in chosen.items():
        notes[k].xyann = (line[-1] - line[0]) * points_per_pixel


def _around(place: np.ndarray, size: np.ndarray) -> Iterator[tuple[int, Bbox, np.ndarray]]:
    """Yield where a name could stand, the nearest first: distance, box, line from the point."""
    angles = np.deg2rad([30, 150, -30, -150, *range(0, 360, 15)])
    for distance, angle in itertools.product((8, 20, 35, 50, 70, 90), angles):
        middle = place + np.array((np.cos(angle), np.sin(angle))) * (distance + size / 2)
        box = Bbox.from_bounds(*(middle - size / 2), *size)
        yield distance, box, np.linspace(place, middle, 40)


def _crosses(line: np.ndarray, box: Bbox) -> bool:
    """Return True if a point of a line `(n, 2)` lies in a box."""
    return bool(((line > box.min) & (line < box.max)).all(axis=1).any())


def _short(number: float) -> str:
    """Return a number with three digits, or with all of those before the point."""
    text = f"{number:.0f}" if abs(number) >= 100 else f"{number:.3g}"
    return text.replace("-", "\N{MINUS SIGN}")


def _numbers(name: str, values: torch.Tensor) -> np.ndarray:
    """Return values of any shape as an array `(n,)`, or raise a ValueError if there are none."""
    numbers = torch.as_tensor(values).detach().cpu().double().flatten().numpy()
    if numbers.size == 0 or not np.isfinite(numbers).all():
        raise ValueError(f"{name} holds no numbers, or some that are not finite: look at it first.")
    return numbers


def _lookup_values(lookup: torch.Tensor) -> np.ndarray:
    """Return the values of an intensity lookup, `(n_bins,)`, or raise a ValueError."""
    if lookup.ndim != 1 or len(lookup) == 0:
        raise ValueError(
            f"lookup has shape {tuple(lookup.shape)}: expected (n_bins,), one T2-w value per "
            "T1-w bin, as fit_intensity_lookup returns it."
        )
    return lookup.detach().cpu().float().numpy()


def _spread_in_words(counts: np.ndarray, edges: np.ndarray) -> str:
    """Return a sentence on how widely T2-w varies among voxels of one T1-w intensity.

    Args:
        counts: Joint histogram `(n, n)`, the first axis being T1-w.
        edges: Edges `(n + 1,)` of the bins of both axes.
    """
    centres = (edges[:-1] + edges[1:]) / 2
    per_bin = np.maximum(counts.sum(1), 1)
    mean = counts @ centres / per_bin
    variance = np.maximum(counts @ centres**2 / per_bin - mean**2, 0)
    middle = slice(len(mean) // 4, 3 * len(mean) // 4)
    deviation = np.sqrt(np.average(variance[middle], weights=per_bin[middle]))
    return (
        "Voxels of one and the same middle T1-w intensity (-0.5 to 0.5) differ in T2-w, with a "
        f"standard deviation of {deviation:.2f} on average."
    )


def _require_columns(table: pd.DataFrame, columns: Sequence[Hashable], name: str) -> None:
    """Raise a ValueError if a table has no row or lacks a column."""
    missing = [column for column in columns if column not in table.columns]
    if missing or table.empty:
        raise ValueError(
            f"{name} has {len(table)} rows and columns {list(table.columns)}: expected at least "
            f"one row and the columns {list(columns)}."
        )


def _label(title: str, source: str) -> str:
    """Add to the title of a method what a reader must know of where its values come from."""
    where = source.partition(",")[0]
    if not where.startswith("measured here"):
        return f"{title}\n({where})"
    stopped = re.search(r"stopped in epoch \d+ of \d+", source)
    return f"{title}\n({stopped[0]})" if stopped else title
