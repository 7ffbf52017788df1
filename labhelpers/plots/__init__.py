"""Figures of the lesson, each with alternative text; grey-scale images share one window."""

from labhelpers.plots.charts import (
    contrast_bars,
    intensity_histograms,
    joint_histogram,
    metric_bars,
    training_curves,
)
from labhelpers.plots.figure import AccessibleFigure, SavedFigure
from labhelpers.plots.slices import (
    compare_methods,
    error_maps,
    extreme_subjects,
    sample_grid,
    save_sample_grid,
    show_images,
    show_pairs,
)

__all__ = [
    "AccessibleFigure",
    "SavedFigure",
    "compare_methods",
    "contrast_bars",
    "error_maps",
    "extreme_subjects",
    "intensity_histograms",
    "joint_histogram",
    "metric_bars",
    "sample_grid",
    "save_sample_grid",
    "show_images",
    "show_pairs",
    "training_curves",
]
