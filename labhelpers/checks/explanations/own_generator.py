"""Take a generator's loss that a step writes out out of the step, as a function of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD

__all__ = ["loss_of_cgan_step", "loss_of_cyclegan_step"]


class _Found(Exception):
    """Ends a step when its first loss is differentiated."""

    def __init__(self, loss: Any) -> None:
        super().__init__()
        self.loss = loss


class _Maker(nn.Module):
    """A generator that makes one image."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.image = image
        self.weight = nn.Parameter(torch.zeros(1, dtype=image.dtype))

    def forward(self, _: Tensor) -> Tensor:
        """Return the image."""
        return self.image


def loss_of_cgan_step(answer: Any) -> Callable[..., Any]:
    """Return the first loss of a step of notebook 3 as `cgan_generator_loss` has it."""

    def loss(
        discriminator: nn.Module,
        real_t1: Tensor,
        real_t2: Tensor,
        fake_t2: Tensor,
        **weights: float,
    ) -> Any:
        players = ([_Maker(fake_t2)], [discriminator])
        networks = (players[0][0], discriminator)
        return _first_loss(answer, networks, players, real_t1, real_t2, weights)

    return loss


def loss_of_cyclegan_step(answer: Any) -> Callable[..., Any]:
    """Return the first loss of a step of notebook 4 as `cyclegan_generator_loss` has it."""

    def loss(
        generator_t1_to_t2: nn.Module,
        generator_t2_to_t1: nn.Module,
        discriminator_t1: nn.Module,
        discriminator_t2: nn.Module,
        real_t1: Tensor,
        real_t2: Tensor,
        **weights: float,
    ) -> Any:
        pairs = (generator_t1_to_t2, generator_t2_to_t1), (discriminator_t1, discriminator_t2)
        found = _first_loss(answer, pairs, pairs, real_t1, real_t2, weights)
        return found, generator_t2_to_t1(real_t2), generator_t1_to_t2(real_t1)

    return loss


def _first_loss(
    answer: Any,
    networks: Any,
    players: Any,
    real_t1: Tensor,
    real_t2: Tensor,
    weights: dict[str, float],
) -> Any:
    """Make a step up to its first backward pass, and return what is differentiated there."""
    optimizers = [
        SGD([*chain(*(network.parameters() for network in one))], lr=0.0) for one in players
    ]
    with _ended_by_backward():
        try:
            answer(*networks, *optimizers, real_t1, real_t2, **weights)
        except _Found as found:
            return found.loss
    raise ValueError("This step has no backward pass.")


@contextmanager
def _ended_by_backward() -> Iterator[None]:
    backward, grad = torch.autograd.backward, torch.autograd.grad

    def found(*args: Any, **kwargs: Any) -> Any:
        roots = next(iter((*args, *kwargs.values())))
        raise _Found(roots if isinstance(roots, Tensor) else next(iter(roots)))

    torch.autograd.backward, torch.autograd.grad = found, found
    try:
        yield
    finally:
        torch.autograd.backward, torch.autograd.grad = backward, grad
