"""Accompany a training loop: batches, losses, what is seen of it, sample images, what is kept."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from labhelpers import plots
from labhelpers.batches import Batches, mirrored, to_device
from labhelpers.captured import captured
from labhelpers.checkpoints import Checkpoint, Kept, forget_run
from labhelpers.digests import code_digest, digest, package_digest
from labhelpers.doctor import doctor
from labhelpers.folders import unwritable_images
from labhelpers.live import LiveView, duration
from labhelpers.metrics import evaluating, peak_signal_to_noise_ratio
from labhelpers.recipes import Recipe, RunningAverage
from labhelpers.runs import (
    NotTrainedYet,
    describe_run,
    load_history,
    load_record,
    run_folder,
    sample_images,
    save_record,
    show_losses,
    show_samples,
)
from labhelpers.session import is_graded
from labhelpers.stopping import PoliteStop

__all__ = [
    "NotTrainedYet",
    "TrainingRun",
    "describe_run",
    "doctor",
    "forget_run",
    "load_history",
    "load_record",
    "mirrored",
    "show_losses",
    "show_samples",
    "to_device",
]


class TrainingRun:
    """Accompanies a training loop: batches, progress, losses, samples, and nothing is lost.

    Used in the training functions of notebooks 2 to 4:

        run = TrainingRun(name, train_loader, test_loader, num_epoch, device, recipe)
        step = run.captured(generator_step)
        run.keep(generator, optimizer)
        with run:
            for epoch in run.epochs():
                for batch in run.batches():
                    run.log(generator=step(...))
                run.save_samples(generator)

    The stop button (or Ctrl-C) ends the `with` block quietly after the step that runs: the network
    trained so far is kept. With `keep`, the same training goes on from there when it is called
    again, and one that came to its end is loaded.

    Images and record of the run are in `images/<name>/`, and replace what an earlier run of the
    same name left there; `labhelpers.folders` says where that is.

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
        self.folder = run_folder(name)
        self.interrupted = False
        self.num_step = num_epoch * len(train_loader)
        self._name, self._train_loader, self._recipe = name, train_loader, recipe
        self._device = torch.device(device)
        self._samples = next(iter(test_loader))
        self._num_epoch = num_epoch
        self._epoch = 1
        self._losses: dict[str, list[Tensor]] = {}  # of the batches of this epoch
        self._of_batch: dict[str, Tensor] = {}
        self._rows: list[dict[str, float]] = []
        self._measures: list[dict[str, float]] = []  # of the samples, by epoch
        self._not_captured: dict[str, str] = {}  # step, why
        self._view = LiveView(name, num_epoch, len(train_loader))
        self._stop = PoliteStop()
        self._batches = Batches(train_loader, self._device)
        self._checkpoint: Checkpoint | None = None
        self._generator: nn.Module | None = None  # the one that `keep` was given
        self._is_between_steps = self._is_loaded = False
        self._since = ""  # where this call went on

    def keep(self, *parts: Any) -> None:
        """Keep these parts on disk, so that a stopped training goes on and a finished is loaded.

        That is done if the training is the same: code, recipe, data, first weights and random
        numbers. Call it before the `with` block; nothing is kept while nbgrader grades.

        Args:
            parts: All that changes while it trains: networks, optimizers, schedules, averages.
        """
        if is_graded():
            return
        frame = sys._getframe(1)
        names = frame.f_locals if frame.f_code.co_name != "<module>" else {}  # a cell has too many
        try:
            same = {
                "code": code_digest(frame),
                "recipe": digest(self._recipe),
                "data": digest(self._train_loader, self._samples),
                "machine": digest(self._device.type, str(torch.__version__), package_digest()),
                "start": digest(dict(names), parts, self._batches.state()),
            }
        except Exception as error:  # a student may have written anything
            print(f"{self._name!r} is not kept: it cannot be told from other trainings ({error}).")
            return
        self._checkpoint = Checkpoint(self._name, self._num_epoch, parts, same)
        averages = [part.module for part in parts if isinstance(part, RunningAverage)]
        networks = [part for part in parts if isinstance(part, nn.Module)]
        self._generator = next(iter([*averages, *networks]), None)

    def __enter__(self) -> TrainingRun:
        if folder := unwritable_images():
            print(
                f"Images and losses cannot be kept in {folder.absolute()}: they are there only "
                "until this notebook is closed. Allow writing in that folder to keep them."
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._checkpoint and (kept := self._checkpoint.open()):
            self._go_on(kept)
        n_own = self._epoch - 1 if self._is_recorded() else 0
        for epoch, image in sample_images(self.folder).items():
            if epoch > n_own:
                image.unlink()  # else those of another run would be taken for this one's
        self._save_record()
        self._view.begin(self._rows, self._measures)
        self._stop.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self._stop.__exit__(kind, error, traceback)
        self.interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        try:
            if self.interrupted:
                self._view.end(self._stopped(), self._last_image())
            elif kind is not None:
                self._save_record(failed=True)
                self._view.end(f"Training failed in epoch {self._epoch} of {self._num_epoch}.")
            else:
                self._view.end(self._finished(), self._last_image())
        finally:
            if self._checkpoint:
                self._checkpoint.close()
        return self.interrupted

    def epochs(self) -> Iterator[int]:
        """Yield the epochs 1, 2, ..., and close each one: mean losses, what is kept and shown."""
        for epoch in range(self._epoch, self._num_epoch + 1):  # from 1, or where it was stopped
            self._epoch = epoch
            yield epoch
            self._close_epoch()

    def batches(self) -> Iterator[dict[str, Tensor]]:
        """Yield the batches of one pass over the training set, on the device."""
        for batch in self._batches.one_pass():
            if self._recipe.flip:
                batch = mirrored(batch)
            yield {name: to_device(slices, self._device) for name, slices in batch.items()}
            self._close_batch()

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
            self._of_batch[name] = value

    def save_samples(
        self,
        generator: nn.Module,
        discriminator: nn.Module | None = None,
        conditional: bool = False,
    ) -> Path:
        """Save `images/<name>/epoch-<n>.png`: T1-w, generated and true T2-w of test subjects.

        Args:
            generator: Makes T2-w from T1-w slices.
            discriminator: Its answers to these true and generated T2-w slices are shown, too.
            conditional: Whether it is called with the T1-w slices as well.
        """
        real_t1, real_t2 = self._samples["T1"], self._samples["T2"]
        with evaluating(generator) as device:
            fake_t2 = generator(real_t1.to(device)).cpu()
        measures = {"PSNR": peak_signal_to_noise_ratio(real_t2, fake_t2)}
        if discriminator is not None:
            with evaluating(discriminator) as device:
                for name, images in (("true", real_t2), ("generated", fake_t2)):
                    inputs = (images, real_t1) if conditional else (images,)
                    logits = discriminator(*(one.to(device) for one in inputs))
                    measures[name] = logits.sigmoid().mean().item()
        epoch = min(self._epoch, self._num_epoch)
        if all(map(math.isfinite, measures.values())):
            others = [one for one in self._measures if one["epoch"] != epoch]
            self._measures = [*others, {"epoch": epoch, **measures}]
        title = f"Sample slices in epoch {epoch} of {self._num_epoch} (run {self._name})"
        path = self.folder / f"epoch-{epoch}.png"
        return plots.save_sample_grid(path, real_t1, fake_t2, real_t2, title)

    def _close_batch(self) -> None:
        self._batches.n_done += 1
        self._view.batch(self._epoch, self._batches.n_done, self._of_batch)
        self._of_batch = {}
        self._stop_if_wanted()

    def _close_epoch(self) -> None:
        means = self._means()
        if not all(math.isfinite(value) for value in means.values()):
            raise FloatingPointError(
                f"A loss is no longer a number in epoch {self._epoch}: {means}. "
                "The usual reasons are a learning rate that is too high or a loss that grows "
                "without limit; lower `lr` and look at your loss function."
            )
        self._rows.append({"epoch": self._epoch, **means})
        self._losses = {}
        self._batches.next_epoch()
        self._save_record()
        measures = self._measures[-1] if self._measures else {}
        is_new = measures.get("epoch") == self._epoch
        self._view.epoch(self._rows[-1], measures if is_new else {}, self._last_image())
        self._epoch += 1
        if self._checkpoint and self._epoch <= self._num_epoch:
            self._checkpoint.write(self._progress())
        self._stop_if_wanted()

    def _means(self) -> dict[str, float]:
        return {
            name: torch.stack(values).float().mean().item() for name, values in self._losses.items()
        }

    def _stop_if_wanted(self) -> None:
        if self._stop.is_wanted and self._epoch <= self._num_epoch:
            self._is_between_steps = True
            raise KeyboardInterrupt

    def _progress(self) -> dict[str, Any]:
        """Return where the run is, between two steps."""
        return {
            "epoch": self._epoch,
            "rows": self._rows,
            "measures": self._measures,
            "not_captured": self._not_captured,
            "losses": {name: torch.stack(values) for name, values in self._losses.items()},
            "batches": self._batches.state(),
        }

    def _go_on(self, kept: Kept) -> None:
        """Go on where an earlier call of the same training is, be it at its end."""
        progress = kept.progress
        self._epoch = progress["epoch"]
        self._rows, self._measures = progress["rows"], progress["measures"]
        self._not_captured |= progress["not_captured"]
        self._losses = {
            name: list(values.to(self._device)) for name, values in progress["losses"].items()
        }
        self._batches.restore(progress["batches"])
        assert self._checkpoint
        place, self._is_loaded = self._checkpoint.place, kept.is_finished
        anew = f"To start anew, run labhelpers.training.forget_run({self._name!r}) before."
        if self._is_loaded:
            print(
                f"{self._name!r} was trained before, with the same code, recipe, data and first "
                f"weights: loaded from {place} ({self._checkpoint.size}).\n{anew}"
            )
            return
        where = f"after epoch {self._epoch - 1}" if self._epoch > 1 else "in epoch 1"
        if n_done := self._batches.n_done:
            where = f"in epoch {self._epoch}, after batch {n_done},"
        self._since = " since it went on"
        print(f"{self._name!r} goes on {where} of {self._num_epoch}, from {place}.\n{anew}")

    def _stopped(self) -> str:
        """Keep a training that was stopped, and return what to say of it."""
        said = (
            f"Training stopped in epoch {self._epoch} of {self._num_epoch}: "
            "the network trained so far is kept."
        )
        if self._checkpoint:
            if self._is_between_steps and self._batches.can_go_on:
                self._checkpoint.write(self._progress(), now=True)
            if self._checkpoint.is_kept:
                said += " Run this cell again to go on."
        self._save_record()
        if self._generator is not None and not self._last_image():
            self.save_samples(self._generator)
        return said

    def _finished(self) -> str:
        """Keep a training that came to its end, and return what to say of it."""
        n_epochs = f"{len(self._rows)} epoch{'s' * (len(self._rows) != 1)}"
        if self._is_loaded:
            if self._generator is not None and not self._last_image():
                self.save_samples(self._generator)
            return f"Trained before: {n_epochs}."
        said = f"Trained: {n_epochs}, in {duration(self._view.seconds)}{self._since}."
        if self._checkpoint and self._epoch > self._num_epoch:
            self._checkpoint.write(self._progress(), is_finished=True)
            if self._checkpoint.is_kept:
                said += f" Kept in {self._checkpoint.place} ({self._checkpoint.size})."
        return said

    def _last_image(self) -> Path | None:
        return next(reversed(sample_images(self.folder).values()), None)

    def _is_recorded(self) -> bool:
        """Return True if the last run of this name had this recipe and length."""
        try:
            record = load_record(self._name)
        except (NotTrainedYet, ValueError):  # none, or a damaged one
            return False
        return (record["recipe"], record["num_epoch"]) == (self._recipe.label, self._num_epoch)

    def _save_record(self, failed: bool = False) -> None:
        # Written at the start and after every epoch: whatever ends the run, this is what it was.
        record: dict[str, Any] = {
            "recipe": self._recipe.label,
            "num_epoch": self._num_epoch,
            "losses": self._rows,
            "not_captured": self._not_captured,
            "failed_in_epoch": self._epoch if failed else None,
        }
        if self.interrupted and self._losses:
            done = self._epoch - 1 + self._batches.n_done / len(self._train_loader)
            record["unfinished"] = {"epoch": done, **self._means()}
        save_record(self.folder, record)
