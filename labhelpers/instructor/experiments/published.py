"""The published recipe in its plainest form, which the benchmark compares the lab with."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from labhelpers.data import slice_name
from labhelpers.fast import plain_layers

__all__ = ["FilesDataset", "Step", "plain_step"]

#: One optimisation step on the T1-w and T2-w slices of a batch.
Step = Callable[[Tensor, Tensor], None]


class FilesDataset(Dataset[dict[str, Tensor]]):
    """The plain way: read two files for every item, in every epoch."""

    def __init__(self, root: Path, subjects: list[str]) -> None:
        self.root, self.subjects = root, subjects

    def __len__(self) -> int:
        return len(self.subjects)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {modality: self._read(index, modality) for modality in ("T1", "T2")}

    def _read(self, index: int, modality: str) -> Tensor:
        path = self.root / slice_name(self.subjects[index], modality)
        return torch.load(path, weights_only=True).float().unsqueeze(0)  # (1, 64, 64)


def plain_step(method: str, names: dict[str, Any], device: torch.device) -> Step:
    """Return a step: PyTorch's layers and optimizer, float32, each fake generated twice.

    Args:
        method: `generator`, `cgan` or `cyclegan`.
        names: What the notebook of the method defines; its networks and losses are used.
        device: Where to compute.
    """
    return plain_layers()(_STEPS[method](names, device))


def _adam(*networks: nn.Module) -> torch.optim.Optimizer:
    """Return the published optimizer of some networks."""
    weights = chain.from_iterable(network.parameters() for network in networks)
    return torch.optim.Adam(weights, lr=2e-4, betas=(0.5, 0.999))


def _update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    loss.item()  # for the log


def _generator_step(names: dict[str, Any], device: torch.device) -> Step:
    generator = names["GeneratorUNet"]().to(device)
    optimizer = _adam(generator)
    return lambda t1, t2: _update(optimizer, F.l1_loss(generator(t1), t2))


def _cgan_step(names: dict[str, Any], device: torch.device) -> Step:
    generator = names["GeneratorUNet"]().to(device)
    discriminator = names["Discriminator"]().to(device)
    optimizer_generator, optimizer_discriminator = _adam(generator), _adam(discriminator)

    def step(t1: Tensor, t2: Tensor) -> None:
        loss = names["cgan_generator_loss"](discriminator, t1, t2, generator(t1))
        _update(optimizer_generator, loss)
        loss = names["cgan_discriminator_loss"](discriminator, t1, t2, generator(t1))
        _update(optimizer_discriminator, loss)

    return step


def _cyclegan_step(names: dict[str, Any], device: torch.device) -> Step:
    generators = [names["GeneratorUNet"]().to(device) for _ in range(2)]
    discriminators = [names["DiscriminatorCycle"]().to(device) for _ in range(2)]
    optimizer_generators, optimizer_discriminators = _adam(*generators), _adam(*discriminators)
    loss_of = names["cyclegan_discriminator_loss"]

    def step(t1: Tensor, t2: Tensor) -> None:
        loss, _, _ = names["cyclegan_generator_loss"](*generators, *discriminators, t1, t2)
        _update(optimizer_generators, loss)
        loss_t1 = loss_of(discriminators[0], t1, generators[1](t2))
        loss_t2 = loss_of(discriminators[1], t2, generators[0](t1))
        _update(optimizer_discriminators, loss_t1 + loss_t2)

    return step


_STEPS = {"generator": _generator_step, "cgan": _cgan_step, "cyclegan": _cyclegan_step}
