"""Batches of a training: counted, on the device, mirrored, after a stop in the order of before."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

__all__ = ["Batches", "CountedLoader", "mirrored", "to_device"]


class CountedLoader(DataLoader):
    """A loader that tells in one line how often it was passed through, while a loop runs."""

    _n_passes = 0

    def __iter__(self) -> Any:
        """Count a pass and begin it."""
        self._n_passes += 1
        print(f"\rPass {self._n_passes} through the training subjects", end="", flush=True)
        return super().__iter__()


class Batches:
    """The batches of a loader, epoch by epoch, which can go on where another process stopped.

    Args:
        loader: Batches `{"T1": ..., "T2": ...}`.
        device: Where the training runs, which may draw random numbers there.

    Attributes:
        n_done: Batches of this epoch that are done; whoever trains on them counts.
    """

    def __init__(self, loader: DataLoader, device: torch.device) -> None:
        self.n_done = 0
        self._loader = loader
        self._numbers = _RandomNumbers(device, loader)
        self._n_passes = 0  # in this epoch
        self._begin: dict[str, Any] = {}  # the random numbers when the epoch began
        self._here: dict[str, Any] = {}  # the same behind the batches that are done, after a stop

    @property
    def can_go_on(self) -> bool:
        """Whether `state` is enough to go on from: not after a second pass in one epoch."""
        return self._n_passes <= 1

    def one_pass(self) -> Iterator[dict[str, Tensor]]:
        """Yield the batches of one pass over the loader, without those that are done."""
        self._n_passes += 1
        n_before = self.n_done if self._here else 0
        if n_before:
            self._numbers.restore(self._begin)  # for the same order as then
        else:
            self._begin, self.n_done = self._numbers.state(), 0
        for number, batch in enumerate(self._loader, start=1):
            if number > n_before:
                yield batch
            elif number == n_before:
                self._numbers.restore(self._here)
        self._here = {}

    def next_epoch(self) -> None:
        """Begin an epoch."""
        self.n_done = self._n_passes = 0

    def state(self) -> dict[str, Any]:
        """Return where the training is, between two steps, random numbers included."""
        begin = self._begin if self.n_done else {}
        return {"n_done": self.n_done, "begin": begin, "here": self._numbers.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state` was called."""
        self.n_done, self._begin = state["n_done"], state["begin"]
        self._numbers.restore(state["here"])
        self._here = state["here"] if self.n_done else {}


class _RandomNumbers:
    """The random numbers that a training draws: those of Python, NumPy, PyTorch and its loaders.

    Args:
        device: Where the training runs.
        loader: Its batches.
    """

    def __init__(self, device: torch.device, loader: DataLoader) -> None:
        self._device = device
        sources = loader.generator, getattr(loader.sampler, "generator", None)
        self._own = [source for source in sources if source is not None]

    def state(self) -> dict[str, Any]:
        """Return where they are, in types that `torch.load` reads safely."""
        kind, keys, *rest = np.random.get_state(legacy=True)
        state = {
            "python": random.getstate(),
            "numpy": (kind, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
            "torch": torch.get_rng_state(),
            "own": [source.get_state() for source in self._own],
        }
        if self._device.type in ("cuda", "mps"):
            state["device"] = getattr(torch, self._device.type).get_rng_state()
        return state

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to where they were."""
        version, keys, gauss = state["python"]
        random.setstate((version, tuple(keys), gauss))
        kind, words, *rest = state["numpy"]
        np.random.set_state((kind, words.numpy().astype(np.uint32), *rest))
        torch.set_rng_state(state["torch"])
        for source, own in zip(self._own, state["own"], strict=True):
            source.set_state(own)
        if "device" in state:
            getattr(torch, self._device.type).set_rng_state(state["device"])


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
