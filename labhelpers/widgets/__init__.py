"""Pictures that a student moves: HTML with a little JavaScript in the output of a cell."""

from labhelpers.widgets.contrast import contrast_simulator
from labhelpers.widgets.epochs import epoch_slider
from labhelpers.widgets.explorer import explorer
from labhelpers.widgets.widget import Widget

__all__ = ["Widget", "contrast_simulator", "epoch_slider", "explorer"]
