"""Probes of the training steps: which weights change, by how much, in two steps of plain SGD.

The steps of notebooks 3 and 4 call loss functions written in earlier cells. Fixtures take the place
of these functions, see `exercises.Exercise.losses`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from labhelpers.checks.cases import CLUE, Case, Log, Setting, unpacked
from labhelpers.checks.fixtures import (
    Criterion,
    PairDiscriminator,
    SingleDiscriminator,
    SmallGenerator,
    images,
)
from labhelpers.checks.probes.losses import form_of, value_of

__all__ = ["cgan_step", "cyclegan_step", "generator_step"]


_MOST_EVENTS = 20


def generator_step(answer: Any, setting: Setting) -> Iterator[Case]:
    """Train a small generator for two steps, with two learning rates."""

    def act(log: Log, lr: float) -> None:
        generator = SmallGenerator(setting.seed(70), setting.dtype)
        optimizer = SGD(generator.parameters(), lr=lr)
        moved, events = _movement(generator), _events("generator", generator, optimizer)

        loss = answer(generator, optimizer, Criterion(), *_batch(1, setting))
        log(f"{CLUE}events", events())
        log("loss", value_of(loss))
        log("form", form_of(loss))
        log("weights", moved())

        loss = answer(generator, optimizer, Criterion(), *_batch(2, setting))
        log("second-step", [value_of(loss), moved()])

    for lr in setting.choose((0.02, 0.002), (0.01, 0.003)):
        yield Case(f"learning rate {lr:g}", partial(act, lr=lr))


def cgan_step(answer: Any, setting: Setting) -> Iterator[Case]:
    """Train a small generator and discriminator for two steps."""

    def act(log: Log, lr: float, weights: dict[str, float]) -> None:
        generator = SmallGenerator(setting.seed(80), setting.dtype)
        discriminator = PairDiscriminator(setting.seed(81), setting.dtype)
        optimizers = SGD(generator.parameters(), lr=lr), SGD(discriminator.parameters(), lr=0.01)

        def step(number: int) -> Any:
            batch = _batch(number, setting)
            return answer(generator, discriminator, *optimizers, *batch, **weights)

        _log_two_steps(step, (generator,), (discriminator,), optimizers, log)

    yield from _weighted_cases(act, setting, "lambda_pixel")


def cyclegan_step(answer: Any, setting: Setting) -> Iterator[Case]:
    """Train two small generators and two discriminators for two steps."""

    def act(log: Log, lr: float, weights: dict[str, float]) -> None:
        generators = tuple(SmallGenerator(setting.seed(k), setting.dtype) for k in (90, 91))
        discriminators = tuple(
            SingleDiscriminator(setting.seed(k), setting.dtype) for k in (92, 93)
        )
        optimizers = [
            SGD(list(chain(*(network.parameters() for network in networks))), lr=lr)
            for networks, lr in ((generators, lr), (discriminators, 0.01))
        ]

        def step(number: int) -> Any:
            batch = _batch(number, setting)
            return answer(generators, discriminators, *optimizers, *batch, **weights)

        _log_two_steps(step, generators, discriminators, optimizers, log)

    yield from _weighted_cases(act, setting, "lambda_cycle")


def _weighted_cases(act: Callable[..., None], setting: Setting, name: str) -> Iterator[Case]:
    """Make a case for the default weights and one for others.

    The other weights are large, and the learning rate small: a gradient that is cut short shows.
    """
    large = {"lambda_gan": setting.choose(18.0, 34.0), name: setting.choose(90.0, 60.0)}
    yield Case("default weights", partial(act, lr=0.4, weights={}))
    label = ", ".join(f"{key}={value:g}" for key, value in large.items())
    yield Case(label, partial(act, lr=0.01, weights=large))


def _log_two_steps(
    step: Callable[[int], Any],
    generators: Sequence[nn.Module],
    discriminators: Sequence[nn.Module],
    optimizers: Sequence[Optimizer],
    log: Log,
) -> None:
    """Make two steps; look at what each returns and at how far the weights have moved."""
    players = zip(
        ("generator", "discriminator"), (generators, discriminators), optimizers, strict=True
    )
    events = [
        _events(name, network, optimizer)
        for name, networks, optimizer in players
        for network in networks
    ]
    generators_moved, discriminators_moved = _movement(*generators), _movement(*discriminators)
    names = "generator's loss", "discriminator's loss"
    returned = step(1)
    log(f"{CLUE}events", [event() for event in events])
    loss_generator, loss_discriminator = unpacked(returned, *names)
    log("generator-loss", value_of(loss_generator))
    log("discriminator-loss", value_of(loss_discriminator))
    log("form", [form_of(loss_generator), form_of(loss_discriminator)])
    log("generator-weights", generators_moved())
    log("discriminator-weights", discriminators_moved())

    losses = [value_of(loss) for loss in unpacked(step(2), *names)]
    log("second-step", [*losses, *generators_moved(), *discriminators_moved()])


def _batch(number: int, setting: Setting) -> tuple[Tensor, Tensor]:
    """Return the T1-w and T2-w images of the first or second step, of different sizes."""
    size = setting.choose((3, 2), (2, 4))[number - 1]
    t1, t2 = (images(size, setting.seed(74 + 2 * number + k), setting.dtype) for k in (0, 1))
    return t1, t2


def _movement(*networks: nn.Module) -> Callable[[], list[Tensor]]:
    """Return a function that returns how far the weights of each network have moved since now."""

    def weights() -> list[Tensor]:
        return [
            torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
            for network in networks
        ]

    start = weights()
    return lambda: [now - before for now, before in zip(weights(), start, strict=True)]


def _events(name: str, network: nn.Module, optimizer: Optimizer) -> Callable[[], str]:
    """Return a function that returns the order of gradients and optimizer steps since now.

    Right answers differ in it, with a frozen discriminator for example; it tells wrong ones apart.
    """
    events: list[str] = []
    next(network.parameters()).register_hook(lambda gradient: events.append("gradient"))
    optimizer.register_step_post_hook(lambda *_: events.append("step"))
    return lambda: f"{name}: {', '.join(events[:_MOST_EVENTS])}"
