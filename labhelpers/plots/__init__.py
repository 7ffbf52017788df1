"""Figures of the lesson, each with alternative text; grey-scale images share one window."""

from labhelpers.plots.cases import CaseMarks, case_curves, case_samples
from labhelpers.plots.charts import (
    bland_altman,
    contrast_bars,
    intensity_histograms,
    joint_histogram,
    metric_bars,
    perception_distortion,
    probability_histograms,
    training_curves,
    training_progress,
)
from labhelpers.plots.diagrams import (
    cycle_diagram,
    discriminator_diagrams,
    pairs_and_piles,
    three_methods,
    unet_diagram,
)
from labhelpers.plots.figure import AccessibleFigure, SavedFigure
from labhelpers.plots.slices import (
    compare_methods,
    error_maps,
    extreme_subjects,
    sample_grid,
    save_sample_grid,
    sensitivity_maps,
    show_images,
    show_pairs,
)

__all__ = [
    "AccessibleFigure",
    "CaseMarks",
    "SavedFigure",
    "bland_altman",
    "case_curves",
    "case_samples",
    "compare_methods",
    "contrast_bars",
    "cycle_diagram",
    "discriminator_diagrams",
    "error_maps",
    "extreme_subjects",
    "intensity_histograms",
    "joint_histogram",
    "metric_bars",
    "pairs_and_piles",
    "perception_distortion",
    "probability_histograms",
    "sample_grid",
    "save_sample_grid",
    "sensitivity_maps",
    "show_images",
    "show_pairs",
    "three_methods",
    "training_curves",
    "training_progress",
    "unet_diagram",
]
