"""Accompany a training loop: batches, losses, progress, sample images, and the record of it all."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd
import torch
from IPython.display import display
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from labhelpers import plots
from labhelpers.captured import captured
from labhelpers.doctor import doctor
from labhelpers.metrics import evaluating
from labhelpers.plots import AccessibleFigure
from labhelpers.recipes import Recipe
from labhelpers.session import is_graded, is_interactive, temporary_folder
from labhelpers.waiting import NotThereYet
from labhelpers.widgets import epoch_slider

__all__ = [
    "NotTrainedYet",
    "TrainingRun",
    "describe_run",
    "doctor",
    "load_history",
    "load_record",
    "mirrored",
    "show_losses",
    "show_samples",
    "to_device",
]

_IMAGES = Path("images")
_RECORD = "run.json"  # in the folder of a run


class NotTrainedYet(NotThereYet):
    """There is no run of a name, or none that came to an end."""


class TrainingRun:
    """Accompanies a training loop: batches, progress, losses, sample images, safe interruption.

    Used in the training functions of notebooks 2 to 4:

        with TrainingRun(name, train_loader, test_loader, num_epoch, device, recipe) as run:
            step = run.captured(generator_step)
            for epoch in run.epochs():
                for batch in run.batches():
                    run.log(generator=step(...))
                run.save_samples(generator)

    The stop button (or Ctrl-C) ends the `with` block quietly: the network trained so far is kept.

    All that belongs to the run is in `images/<name>/`, and replaces what an earlier run of the same
    name left there. It is in a temporary folder instead while nbgrader grades or validates, so that
    these short trainings replace nothing of the student's, and where `images` cannot be written.

    Args:
        name: Name of the run: that of the method, or one of its own for a second training.
        train_loader: Batches to train on.
        test_loader: Its first batch is the one shown in the sample images.
        num_epoch: Passes over `train_loader`, at least 1.
        device: Where the batches are to be.
        recipe: Its `flip` says whether slices are mirrored; its label is recorded.

    Attributes:
        folder: Where images and the record of the run are.
        interrupted: Whether the student stopped the training.
        num_step: Batches in all.

    Raises:
        ValueError: If `num_epoch` is below 1 or the training set is empty.
    """

    def __init__(
        self,
        name: str,
        train_loader: DataLoader,
        test_loader: DataLoader,
        num_epoch: int,
        device: torch.device | str,
        recipe: Recipe,
    ) -> None:
        if num_epoch < 1:
            raise ValueError(f"num_epoch is {num_epoch}: training needs at least 1 epoch.")
        if len(train_loader) == 0:
            raise ValueError("The training set is empty: give a loader with at least one batch.")
        self.folder = _folder(name)
        self.interrupted = False
        self.num_step = num_epoch * len(train_loader)
        self._train_loader, self._recipe = train_loader, recipe
        self._device = torch.device(device)
        self._samples = next(iter(test_loader))
        self._num_epoch = num_epoch
        self._epoch = 1
        self._losses: dict[str, list[Tensor]] = {}
        self._rows: list[dict[str, float]] = []
        self._not_captured: dict[str, str] = {}  # step, why
        self._progress = tqdm(disable=True)

    def __enter__(self) -> TrainingRun:
        if not (is_graded() or _is_writable()):
            print(
                f"Images and losses cannot be kept in {_IMAGES.absolute()}: they are there only "
                "until this notebook is closed. Allow writing in that folder to keep them."
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        for image in self.folder.glob("epoch-*.png"):
            image.unlink()  # else those of an earlier, longer run would be taken for this one's
        self._save_record()
        self._progress = _progress_bar(self.num_step)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self.interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        if kind is not None and not self.interrupted:
            self._save_record(failed=True)
        self._progress.close()
        if self.interrupted:
            print(
                f"Training stopped in epoch {self._epoch} of {self._num_epoch}: "
                "the network trained so far is kept."
            )
        return self.interrupted

    def epochs(self) -> Iterator[int]:
        """Yield the epochs 1, 2, ..., and close each one: mean losses, one line of progress."""
        for epoch in range(1, self._num_epoch + 1):
            self._epoch, self._losses = epoch, {}
            yield epoch
            self._close_epoch()

    def batches(self) -> Iterator[dict[str, Tensor]]:
        """Yield the batches of one pass over the training set, on the device."""
        for batch in self._train_loader:
            if self._recipe.flip:
                batch = mirrored(batch)
            yield {name: to_device(slices, self._device) for name, slices in batch.items()}
            self._progress.update()

    def captured(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """Return `step`, to be repeated by a GPU without being started piece by piece.

        The record of the run says why, where a GPU cannot repeat it: see `labhelpers.captured`.
        """
        name = getattr(step, "__name__", repr(step))
        return captured(step, self._device, partial(self._not_captured.__setitem__, name))

    def log(self, **losses: Tensor | float) -> None:
        """Record the losses of one batch by name, for instance `run.log(generator=loss)`."""
        for name, loss in losses.items():
            # Kept as a tensor: reading its value here would make a GPU wait at every batch.
            value = loss.detach() if isinstance(loss, Tensor) else torch.tensor(float(loss))
            self._losses.setdefault(name, []).append(value)

    def save_samples(self, generator: nn.Module) -> Path:
        """Save `images/<name>/epoch-<n>.png`: T1-w, generated and true T2-w of test subjects."""
        path = self.folder / f"epoch-{self._epoch}.png"
        with evaluating(generator) as device:
            fake_t2 = generator(self._samples["T1"].to(device)).cpu()
        return plots.save_sample_grid(path, self._samples["T1"], fake_t2, self._samples["T2"])

    def _close_epoch(self) -> None:
        means = {
            name: torch.stack(values).float().mean().item() for name, values in self._losses.items()
        }
        if not all(math.isfinite(value) for value in means.values()):
            raise FloatingPointError(
                f"A loss is no longer a number in epoch {self._epoch}: {means}. "
                "The usual reasons are a learning rate that is too high or a loss that grows "
                "without limit; lower `lr` and look at your loss function."
            )
        self._rows.append({"epoch": self._epoch, **means})
        self._save_record()
        losses = ", ".join(f"{name} loss {value:.4f}" for name, value in means.items())
        width = len(str(self._num_epoch))
        self._progress.write(
            f"Epoch {self._epoch:>{width}}/{self._num_epoch}: {losses}", file=sys.stdout
        )

    def _save_record(self, failed: bool = False) -> None:
        # Written at the start and after every epoch: whatever ends the run, this is what it was.
        record = {
            "recipe": self._recipe.label,
            "num_epoch": self._num_epoch,
            "losses": self._rows,
            "not_captured": self._not_captured,
            "failed_in_epoch": self._epoch if failed else None,
        }
        (self.folder / _RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def load_history(name: str) -> pd.DataFrame:
    """Return the mean losses of a run, one row per finished epoch; without any, an empty table.

    Args:
        name: Name of the run, such as `cgan`.

    Raises:
        NotTrainedYet: If there is no run of that name in this folder yet.
    """
    rows = load_record(name)["losses"]
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
    history = load_history(name)
    history = history.reindex(columns=losses or history.columns).dropna()
    if history.empty:
        print(f"Run {name!r} ({describe_run(name)}): no finished epoch has these losses.")
        return None
    return plots.training_curves(history, **options)


def show_samples(name: str) -> None:
    """Show the sample images of a run's epochs under a slider, or print that there is none.

    Args:
        name: Name of the run, such as `cgan`.

    Raises:
        NotTrainedYet: If there is no run of that name in this folder yet.
    """
    images = {
        int(path.stem.removeprefix("epoch-")): path for path in _folder(name).glob("epoch-*.png")
    }
    if images:
        display(epoch_slider(images, name))
    else:
        print(
            f"Run {name!r} ({describe_run(name)}): no epoch was finished, so there is no sample "
            "image."
        )


def to_device(slices: Tensor, device: torch.device) -> Tensor:
    """Return slices on the device, without waiting for what a GPU has still to do."""
    if device.type == "cuda" and not slices.is_cuda:
        return slices.pin_memory().to(device, non_blocking=True)
    return slices.to(device)


def mirrored(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Mirror half of the subjects left to right, chosen at random, T1-w and T2-w alike.

    Heads are nearly symmetric, so the mirror image of one is as good as that of another person;
    turned upside down it would not be.
    """
    slices = batch["T1"]
    chosen = (torch.rand(len(slices), 1, 1, 1) < 0.5).to(slices.device)
    return {name: torch.where(chosen, x.flip(-2), x) for name, x in batch.items()}


def _folder(name: str) -> Path:
    """Return the folder of a run, as `TrainingRun` describes it."""
    return (temporary_folder() if is_graded() or not _is_writable() else _IMAGES) / name


def _is_writable() -> bool:
    """Return True if `images` can be written here, or made."""
    return os.access(_IMAGES if _IMAGES.exists() else Path(), os.W_OK) and not _IMAGES.is_file()


def load_record(name: str) -> dict[str, Any]:
    """Return what was recorded of a run: recipe, epochs, losses and the epoch in which it failed.

    Of a run on a GPU also which steps it could not repeat, with the reason.

    Args:
        name: Name of the run, such as `cgan`.

    Raises:
        NotTrainedYet: If there is no run of that name in this folder yet.
    """
    path = _folder(name) / _RECORD
    if not path.exists():
        raise NotTrainedYet(
            f"The training {name!r} is not there yet: {path.parent.as_posix()} was not made."
        )
    return json.loads(path.read_text(encoding="utf-8"))


def _progress_bar(total: int) -> tqdm:
    """Return a bar with the time left: a widget in a notebook, a line in a terminal, else none."""
    # Never stderr: a grader takes any text there for a failure.
    return tqdm(
        total=total, unit="batch", leave=False, file=sys.stdout, disable=not is_interactive()
    )
