"""The clinic: curves and slices of trainings that went wrong, each with one hidden fault."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import torch
from IPython.display import display
from matplotlib.image import imread
from torch import Tensor

from labhelpers import plots

__all__ = ["CASES", "FAULTS", "load_case", "show_case"]

#: The cases of each method; `healthy` is a training without a fault, by the same program.
CASES = {"cgan": ("A", "B", "C", "D"), "cyclegan": ("E", "F", "G")}

#: The names of the faults, in alphabetical order. There are more of them than cases.
FAULTS = (
    "always the same T2-w slice",
    "compared with another person",
    "contrast inverted",
    "discriminator is blind",
    "discriminator never learns",
    "generated slices not detached",
    "labels exchanged",
    "pairs mixed up",
    "T2-w slices shifted",
    "test subjects in the training set",
)

_FOLDER = Path(__file__).parent
_SIZE = 64  # voxels along each side of a slice
_ROWS = ("real_t1", "fake_t2", "real_t2")


def show_case(name: str) -> None:
    """Show the curves and the sample slices of a training of the clinic.

    The dotted curves are those of the same program without any fault.

    Args:
        name: The letter of a case, or `healthy cgan` or `healthy cyclegan`.

    Raises:
        ValueError: If there is no such case.
    """
    method = _method(name)
    history, slices = load_case(name)
    healthy = None if name.startswith("healthy") else load_case(f"healthy {method}")[0]
    title = f"{name[0].upper()}{name[1:]}" if healthy is None else f"Case {name}"
    n_discriminators = 1 if method == "cgan" else 2
    display(
        plots.case_curves(
            history,
            healthy,
            title,
            reference=n_discriminators * math.log(2),
            reference_label="ln 2" if n_discriminators == 1 else "2 ln 2",
        )
    )
    display(plots.case_samples(**slices, title=title))


def load_case(name: str) -> tuple[pd.DataFrame, dict[str, Tensor]]:
    """Return the curves and the sample slices of a training of the clinic.

    Args:
        name: The letter of a case, or `healthy cgan` or `healthy cyclegan`.

    Returns:
        One row per epoch, losses first, then mean absolute errors; `real_t1`, `fake_t2` and
        `real_t2` of some test subjects, each `(N, 1, 64, 64)` in [-1, 1].

    Raises:
        ValueError: If there is no such case.
    """
    _method(name)
    path = _FOLDER / name.replace(" ", "-")
    curves = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    sheet = torch.from_numpy(imread(path.with_suffix(".png")).copy()) * 2 - 1  # 0 to 1 before
    rows = sheet.reshape(len(_ROWS), _SIZE, -1, _SIZE).permute(0, 2, 1, 3).unsqueeze(2)
    return pd.DataFrame(curves).set_index("epoch"), dict(zip(_ROWS, rows, strict=True))


def _method(name: str) -> str:
    for method, letters in CASES.items():
        if name in (*letters, f"healthy {method}"):
            return method
    known = [*(letter for letters in CASES.values() for letter in letters)]
    healthy = [f"healthy {method}" for method in CASES]
    raise ValueError(f"There is no case {name!r}: choose one of {', '.join([*known, *healthy])}.")
