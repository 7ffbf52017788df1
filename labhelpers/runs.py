"""What is recorded of a training, and shown of it later: losses, samples, how it ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
from IPython.display import display

from labhelpers import plots
from labhelpers.folders import images_folder
from labhelpers.plots import AccessibleFigure
from labhelpers.waiting import NotThereYet
from labhelpers.widgets import epoch_slider

__all__ = [
    "NotTrainedYet",
    "describe_run",
    "load_history",
    "load_record",
    "run_folder",
    "sample_images",
    "save_record",
    "show_losses",
    "show_samples",
]

_RECORD = "run.json"  # in the folder of a run


class NotTrainedYet(NotThereYet):
    """There is no run of a name, or none that came to an end."""


def run_folder(name: str) -> Path:
    """Return the folder of a run's images and record; it may not exist."""
    return images_folder() / name


def save_record(folder: Path, record: dict[str, Any]) -> None:
    """Write the record of a run into its folder."""
    (folder / _RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def load_record(name: str) -> dict[str, Any]:
    """Return what was recorded of a run: recipe, epochs, losses and the epoch in which it failed.

    Of a run on a GPU also which steps it could not repeat, with the reason.

    Args:
        name: Name of the run, such as `cgan`.

    Raises:
        NotTrainedYet: If there is no run of that name in this folder yet.
    """
    path = run_folder(name) / _RECORD
    if not path.exists():
        raise NotTrainedYet(
            f"The training {name!r} is not there yet: run the cell that trains it. "
            f"({path.parent.as_posix()} was not made.)"
        )
    return json.loads(path.read_text(encoding="utf-8"))


def load_history(name: str, unfinished: bool = False) -> pd.DataFrame:
    """Return the mean losses of a run, one row per finished epoch; without any, an empty table.

    Args:
        name: Name of the run, such as `cgan`.
        unfinished: Whether the epoch in which the run was stopped has a row, too. Its index tells
            how far it came: 2.5 in the middle of epoch 3.

    Raises:
        NotTrainedYet: If there is no run of that name in this folder yet.
    """
    record = load_record(name)
    rows = record["losses"]
    if unfinished and "unfinished" in record:
        rows = [*rows, record["unfinished"]]
    return pd.DataFrame(rows, columns=None if rows else ["epoch"]).set_index("epoch")


def describe_run(name: str) -> str:
    """Return how a run was trained, such as `reference, 20 epochs`, to show beside its results.

    A run that did not come to its end says so: `reference, stopped in epoch 3 of 20`.

    Args:
        name: Name of the run, such as `cgan`.

    Raises:
        NotTrainedYet: If there is no run of that name in this folder yet, or the last one failed,
            so that there is no network to describe.
    """
    record = load_record(name)
    finished, num_epoch = len(record["losses"]), record["num_epoch"]
    if epoch := record["failed_in_epoch"]:
        raise NotTrainedYet(
            f"The last run of {name!r} failed in epoch {epoch} of {num_epoch}: it left no network. "
            "Mend what its error names and train again."
        )
    if finished < num_epoch:
        return f"{record['recipe']}, stopped in epoch {finished + 1} of {num_epoch}"
    return f"{record['recipe']}, {num_epoch} epoch{'s' * (num_epoch > 1)}"


def show_losses(name: str, *losses: str, **options: Any) -> AccessibleFigure | None:
    """Return the chart of some losses of a run, or print that no epoch of it has them.

    Args:
        name: Name of the run, such as `cgan`.
        losses: The losses to draw, by the names that they were logged with; all without any.
        options: Passed on to `plots.training_curves`.

    Raises:
        NotTrainedYet: If there is no run of that name in this folder yet.
    """
    history = load_history(name, unfinished=True)
    drawn = history.reindex(columns=losses or history.columns).dropna()
    if drawn.empty:
        logged = ", ".join(history.columns)
        reason = (
            f"its losses are {logged}"
            if logged
            else "no epoch has losses yet; run the cell that trains it to go on"
        )
        print(f"Run {name!r} ({describe_run(name)}): there is nothing to draw, {reason}.")
        return None
    return plots.training_curves(drawn, **options)


def show_samples(name: str) -> None:
    """Show the sample images of a run's epochs under a slider, or print that there is none.

    Args:
        name: Name of the run, such as `cgan`.

    Raises:
        NotTrainedYet: If there is no run of that name in this folder yet.
    """
    if images := sample_images(run_folder(name)):
        display(epoch_slider(images, name))
    else:
        print(
            f"Run {name!r} ({describe_run(name)}): no epoch was finished, so there is no sample "
            "image."
        )


def sample_images(folder: Path) -> dict[int, Path]:
    """Return the sample images of a run by epoch: `epoch-1.png`, `epoch-2.png`, ..."""
    images = {int(path.stem.removeprefix("epoch-")): path for path in folder.glob("epoch-*.png")}
    return dict(sorted(images.items()))
