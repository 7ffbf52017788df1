"""Trainings of the lab's own that notebook 3 shows: losses, and answers of the discriminators."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

__all__ = ["FILE", "stored_answers", "stored_history"]

FILE = Path(__file__).with_name("histories.json")
"""Written by `labhelpers experiments histories`."""


def stored_history(name: str) -> pd.DataFrame:
    """Return the losses of a stored training, one row per epoch or step, as its index says.

    Args:
        name: Name of the training, such as `corner`.

    Raises:
        ValueError: If there is no such training.
    """
    training = _training(name)
    losses = pd.DataFrame(training["losses"])
    losses.index = pd.RangeIndex(1, len(losses) + 1, name=training["index"])
    return losses


def stored_answers(name: str) -> dict[str, Tensor]:
    """Return what the discriminator of a stored training answers at its end to held-out subjects.

    Args:
        name: Name of the training, such as `corner`.

    Returns:
        The probabilities `(N,)` of being real of `true` and `generated` slices and of the
        `mean image` in place of the generated slice, for the same N subjects in the same order.

    Raises:
        ValueError: If there is no such training.
    """
    return {image: torch.tensor(values) for image, values in _training(name)["answers"].items()}


def _training(name: str) -> dict[str, Any]:
    trainings = json.loads(FILE.read_text(encoding="utf-8"))
    if name not in trainings:
        raise ValueError(f"There is no training {name!r}: choose one of {', '.join(trainings)}.")
    return trainings[name]
