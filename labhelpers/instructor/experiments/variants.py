"""Variants of the lesson that no recipe has: each puts other functions in a notebook's place."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from labhelpers.fast import Accelerated, plain_layers

__all__ = ["VARIANTS", "keep_nothing"]

_OLD_FAKES = 50  # slices in the buffer of each discriminator, as in the CycleGAN paper


def keep_nothing(names: dict[str, Any]) -> None:
    """Let the trainings of a notebook keep nothing, so that each one is measured from its start."""
    run = names["TrainingRun"]
    names["TrainingRun"] = type("Run", (run,), {"keep": lambda run, *parts: None})


def _plain_layers(names: dict[str, Any]) -> None:
    """PyTorch's own layers in float32, no faster ones."""
    names["Accelerated"] = partial(Accelerated, use_bfloat16=False)
    names["train_by_recipe"] = plain_layers()(names["train_by_recipe"])


def _not_captured(names: dict[str, Any]) -> None:
    """Every operation started on its own, on a GPU too."""
    run = names["TrainingRun"]
    names["TrainingRun"] = type("Run", (run,), {"captured": staticmethod(lambda step: step)})


def _squared_error(names: dict[str, Any]) -> None:
    """The mean squared error as the generator's loss."""
    step = names["generator_step"]
    names["generator_step"] = lambda generator, optimizer, criterion, real_t1, real_t2: step(
        generator, optimizer, F.mse_loss, real_t1, real_t2
    )


def _least_squares(names: dict[str, Any]) -> None:
    """The losses of a least-squares GAN (Mao et al., 2017) for the conditional GAN."""

    def generator_loss(*arguments: Any) -> Tensor:
        discriminator, real_t1, real_t2, fake_t2, lambda_gan, lambda_pixel = arguments
        logits = discriminator(fake_t2, real_t1)
        loss_gan = F.mse_loss(logits, torch.ones_like(logits))
        return lambda_gan * loss_gan + lambda_pixel * F.l1_loss(fake_t2, real_t2)

    def discriminator_loss(
        discriminator: nn.Module, real_t1: Tensor, real_t2: Tensor, fake_t2: Tensor
    ) -> Tensor:
        real, fake = discriminator(real_t2, real_t1), discriminator(fake_t2.detach(), real_t1)
        loss_real = F.mse_loss(real, torch.ones_like(real))
        return (loss_real + F.mse_loss(fake, torch.zeros_like(fake))) / 2

    names["cgan_generator_loss"] = generator_loss
    names["cgan_discriminator_loss"] = discriminator_loss


def _identity_loss(names: dict[str, Any]) -> None:
    """Half the weight of the cycle on leaving slices of the target contrast as they are."""
    loss_without = names["cyclegan_generator_loss"]

    def generator_loss(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
        t1_to_t2, t2_to_t1, _, _, real_t1, real_t2, _, lambda_cycle = arguments
        loss, fake_t1, fake_t2 = loss_without(*arguments)
        identity = F.l1_loss(t1_to_t2(real_t2), real_t2) + F.l1_loss(t2_to_t1(real_t1), real_t1)
        return loss + lambda_cycle * identity / 2, fake_t1, fake_t2

    names["cyclegan_generator_loss"] = generator_loss


def _old_fakes(names: dict[str, Any]) -> None:
    """Each discriminator sees, half of the time, a generated slice of an earlier step."""
    loss_of_new = names["cyclegan_discriminator_loss"]
    buffers: dict[nn.Module, list[Tensor]] = {}

    def discriminator_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        old, chosen = buffers.setdefault(discriminator, []), []
        for new in fake.detach():
            if len(old) < _OLD_FAKES:
                old.append(new)
            elif random.random() < 0.5:
                place = random.randrange(_OLD_FAKES)
                new, old[place] = old[place], new
            chosen.append(new)
        return loss_of_new(discriminator, real, torch.stack(chosen))

    names["cyclegan_discriminator_loss"] = discriminator_loss


VARIANTS: dict[str, Callable[[dict[str, Any]], None]] = {
    "plain layers": _plain_layers,
    "steps not captured": _not_captured,
    "squared error": _squared_error,
    "least squares": _least_squares,
    "identity loss": _identity_loss,
    "buffer of old fakes": _old_fakes,
}
"""By name: a function that changes the names which a notebook defines."""
