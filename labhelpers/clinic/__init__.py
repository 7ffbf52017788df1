"""The clinic: curves and slices of trainings that went wrong, each with one hidden fault."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from IPython.display import display
from matplotlib.image import imread
from torch import Tensor

from labhelpers import plots

__all__ = [
    "CASES",
    "FAULTS",
    "case_marks",
    "code_of_case",
    "fault_code",
    "load_case",
    "show_case",
]

#: The cases of each method; `healthy` is a training without a fault, by the same program.
CASES = {"cgan": ("A", "B", "C", "D"), "cyclegan": ("E", "F", "G")}

#: The names of the faults, in alphabetical order, and what each means. There are more than cases.
FAULTS = {
    "always the same T2-w slice": "every batch holds one and the same T2-w slice",
    "compared with another person": "a slice is compared with that of somebody else on its return",
    "contrast inverted": "black and white of the T2-w slices are exchanged before the training",
    "discriminator is blind": "it does not see the slice that it judges",
    "discriminator never learns": "its weights stay what they were before the training",
    "generated slices not detached": "the discriminator's loss changes the generator, too",
    "labels exchanged": "the discriminator learns to call true slices generated, and the reverse",
    "pairs mixed up": "in the training a T1-w slice has the T2-w slice of another person beside it",
    "T2-w slices shifted": "in the training the T2-w slices lie some voxels beside the T1-w slices",
    "test subjects in the training set": "the network learns from people whom it is tested on",
}

_FOLDER = Path(__file__).parent
_NAMES = {"cgan": "cGAN", "cyclegan": "CycleGAN"}
_SIZE = 64  # voxels along each side of a slice
_ROWS = ("real_t1", "fake_t2", "real_t2")


def show_case(name: str) -> None:
    """Show the curves and the sample slices of a training of the clinic.

    The dotted curves are those of the same program without any fault. Horizontal lines mark what
    the curves can be compared with, a vertical one the end of the mean pair.

    Args:
        name: The letter of a case, or `healthy cgan` or `healthy cyclegan`.

    Raises:
        ValueError: If there is no such case.
    """
    method = _method(name)
    history, slices = load_case(name)
    healthy = None if name.startswith("healthy") else load_case(f"healthy {method}")[0]
    title = f"Healthy {_NAMES[method]}" if healthy is None else f"Case {name}"
    display(plots.case_curves(history, healthy, title, _marks(method)))
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
    curves = _read(name)
    curves.pop("fault", None)
    sheet = (
        torch.from_numpy(imread(_path(name).with_suffix(".png")).copy()) * 2 - 1
    )  # 0 to 1 before
    rows = sheet.reshape(len(_ROWS), _SIZE, -1, _SIZE).permute(0, 2, 1, 3).unsqueeze(2)
    return pd.DataFrame(curves).set_index("epoch"), dict(zip(_ROWS, rows, strict=True))


def fault_code(letter: str, fault: str) -> str:
    """Return the name of the fault of a case in a form that can be compared, but not read."""
    return hashlib.sha256(f"{letter}: {fault}".encode()).hexdigest()[:8]


def code_of_case(letter: str) -> str:
    """Return what `fault_code` gives for the right diagnosis of a case."""
    return _read(letter)["fault"]


def case_marks(method: str) -> dict[str, float]:
    """Return what the curves of the cases of a method are compared with, by name."""
    return json.loads((_FOLDER / "marks.json").read_text(encoding="utf-8"))[method]


def _marks(method: str) -> plots.CaseMarks:
    marks = case_marks(method)
    errors = {"mean slice": marks["mean_slice"]}
    if method == "cgan":
        return plots.CaseMarks({"ln 2": math.log(2)}, errors)
    errors["two people"] = marks["two_people"]
    change = int(marks["mean_pair_until"]), "without mean pair"
    return plots.CaseMarks({"2 ln 2": 2 * math.log(2)}, errors, change)


def _read(name: str) -> dict[str, Any]:
    _method(name)
    return json.loads(_path(name).with_suffix(".json").read_text(encoding="utf-8"))


def _path(name: str) -> Path:
    return _FOLDER / name.replace(" ", "-")


def _method(name: str) -> str:
    for method, letters in CASES.items():
        if name in (*letters, f"healthy {method}"):
            return method
    known = [*(letter for letters in CASES.values() for letter in letters)]
    healthy = [f"healthy {method}" for method in CASES]
    raise ValueError(f"There is no case {name!r}: choose one of {', '.join([*known, *healthy])}.")
