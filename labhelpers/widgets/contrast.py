"""The contrast simulator of notebook 1: a head whose grey values follow the scanner's settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labhelpers.contrast import (
    T1_WEIGHTED,
    T2_WEIGHTED,
    TISSUES,
    gradient_echo_signal,
    inversion_recovery_signal,
    spin_echo_signal,
)
from labhelpers.phantom import tissue_shares
from labhelpers.plots import AccessibleFigure
from labhelpers.plots.figure import finish, new_chart, styled
from labhelpers.widgets.widget import Widget, slice_sheet

__all__ = ["PRESETS", "SEQUENCES", "SIGNALS", "contrast_simulator"]

_SUBJECT = 3  # a simulated person with ventricles of middling size

SIGNALS: Mapping[str, Callable[..., NDArray[np.float64]]] = {
    "spin echo": spin_echo_signal,
    "gradient echo": gradient_echo_signal,
    "inversion recovery": inversion_recovery_signal,
}
"""The signal equation of each sequence."""

SEQUENCES: Mapping[str, Mapping[str, tuple[int, int, int]]] = {
    "spin echo": {"tr": (300, 6000, 20), "te": (5, 200, 1)},
    "gradient echo": {"tr": (8, 200, 1), "te": (2, 60, 1), "flip_angle": (1, 90, 1)},
    "inversion recovery": {"tr": (1000, 6000, 20), "te": (5, 200, 1), "ti": (20, 4000, 20)},
}
"""The lowest and the highest value of each setting, and its step; ms, degrees for the angle."""

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # With these times grey matter and muscle have one grey: no curve can tell them apart.
    "T1-w": {"sequence": "spin echo", "tr": 500, "te": 10},
    "PD-w": {"sequence": "spin echo", "tr": 5000, "te": 10},
    "T2-w": {"sequence": "spin echo", **T2_WEIGHTED},
    "T1-w, gradient echo": {"sequence": "gradient echo", **T1_WEIGHTED},
    # The time at which CSF passes through zero.
    "FLAIR": {"sequence": "inversion recovery", "tr": 6000, "te": 120, "ti": 1540},
}
"""Settings to start from; the first one is the contrast that the others are compared with."""

_PAIR = ("grey matter", "muscle and skin")  # one grey in the first preset


def contrast_simulator() -> Widget:
    """Return a simulated head whose contrast follows TR, TE, the flip angle and the sequence.

    Beside it: the signal of each tissue, how it comes back before a pulse and fades until the echo,
    and the grey of each voxel by its grey in T1-w. Notebook 1 asks what will happen first.
    """
    shares = tissue_shares(_SUBJECT)
    data = {
        "sheet": slice_sheet(shares),
        "tissues": {name: vars(tissue) for name, tissue in TISSUES.items()},
        "sequences": SEQUENCES,
        "presets": PRESETS,
        "pair": _PAIR,
    }
    return Widget("contrast", data, [_still(shares)])


@styled
def _still(shares: NDArray[np.float64]) -> AccessibleFigure:
    """Return the head in the first three presets."""
    names = list(PRESETS)[:3]
    figure, panels = new_chart(8, 3.2, panels=len(names))
    for axes, name in zip(panels, names, strict=True):
        sequence, *settings = PRESETS[name].values()
        signals = [SIGNALS[sequence](tissue, *settings) for tissue in TISSUES.values()]
        image = np.einsum("k,kxy->xy", np.divide(signals, np.max(signals)), shares)
        axes.imshow(image.T, origin="lower", cmap="gray", vmin=0, vmax=1)
        axes.set_title(f"{name}: TR {settings[0]:g} ms, TE {settings[1]:g} ms", fontsize=10)
        axes.set_axis_off()
    alt = (
        "Contrast simulator: one simulated head in T1-w, PD-w and T2-w. CSF is the darkest tissue "
        "of the brain in T1-w and the brightest one in T2-w. In a notebook that runs scripts, the "
        "contrast follows TR, TE, flip angle and sequence."
    )
    return finish(figure, "One simulated head in three contrasts", alt, vector=False)
