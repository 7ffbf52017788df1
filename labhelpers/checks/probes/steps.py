"""Probes of the training steps: which weights change, by how much, in two steps of plain SGD.

The steps of notebooks 3 and 4 call loss functions written in earlier cells. While a step is tried,
stand-ins take the place of these functions, so that the step is judged by itself.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from labhelpers.checks import fixtures
from labhelpers.checks.cases import CLUE, Case, Observer, Setting, unpacked
from labhelpers.checks.fixtures import (
    Criterion,
    PairDiscriminator,
    SingleDiscriminator,
    SmallGenerator,
    images,
)
from labhelpers.checks.probes.losses import form_of, value_of

__all__ = ["cgan_step", "cyclegan_step", "generator_step"]

_ABSENT = object()


def generator_step(answer: Any, setting: Setting) -> Iterator[Case]:
    """Train a stand-in generator for two steps, with two learning rates."""
    for lr in setting.pick((0.02, 0.002), (0.01, 0.003)):

        def act(observer: Observer, lr: float = lr) -> None:
            generator = SmallGenerator(setting.seed(70), setting.dtype)
            optimizer = SGD(generator.parameters(), lr=lr)
            change, events = _watch(generator), _record_events("generator", generator, optimizer)

            loss = answer(generator, optimizer, Criterion(), *_batch(1, setting))
            observer(f"{CLUE}events", events())
            observer("loss", value_of(loss))
            observer("form", form_of(loss))
            observer("weights", change())

            loss = answer(generator, optimizer, Criterion(), *_batch(2, setting))
            observer("second-step", [value_of(loss), change()])

        yield Case(f"learning rate {lr:g}", act)


def cgan_step(answer: Any, setting: Setting) -> Iterator[Case]:
    """Train a stand-in generator and discriminator for two steps."""
    losses = {
        "cgan_generator_loss": fixtures.generator_loss_of_pair,
        "cgan_discriminator_loss": fixtures.discriminator_loss_of_pair,
    }

    def act(observer: Observer, lr: float, weights: dict[str, float]) -> None:
        generator = SmallGenerator(setting.seed(80), setting.dtype)
        discriminator = PairDiscriminator(setting.seed(81), setting.dtype)
        optimizers = SGD(generator.parameters(), lr=lr), SGD(discriminator.parameters(), lr=0.01)

        def step(number: int) -> Any:
            batch = _batch(number, setting)
            return answer(generator, discriminator, *optimizers, *batch, **weights)

        _look_at_two_steps(step, (generator,), (discriminator,), optimizers, observer)

    yield from _weighted_cases(act, answer, losses, setting, "lambda_pixel")


def cyclegan_step(answer: Any, setting: Setting) -> Iterator[Case]:
    """Train two stand-in generators and two discriminators for two steps."""
    losses = {
        "cyclegan_generator_loss": fixtures.generator_loss_of_cycle,
        "cyclegan_discriminator_loss": fixtures.discriminator_loss_of_one,
    }

    def act(observer: Observer, lr: float, weights: dict[str, float]) -> None:
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

        _look_at_two_steps(step, generators, discriminators, optimizers, observer)

    yield from _weighted_cases(act, answer, losses, setting, "lambda_cycle")


def _weighted_cases(
    act: Callable[[Observer, float, dict[str, float]], None],
    answer: Any,
    losses: dict[str, Callable],
    setting: Setting,
    name: str,
) -> Iterator[Case]:
    """Make a case for the default weights and one for others, with the losses replaced.

    The other weights are large, and the learning rate small: a gradient that is cut short shows.
    """
    large = {"lambda_gan": setting.pick(18.0, 34.0), name: setting.pick(90.0, 60.0)}
    for weights, lr in (({}, 0.4), (large, 0.01)):

        def case(observer: Observer, lr: float = lr, weights: dict[str, float] = weights) -> None:
            with _replaced(answer, {} if setting.own_losses else losses):
                act(observer, lr, weights)

        label = ", ".join(f"{key}={value:g}" for key, value in weights.items())
        yield Case(label or "default weights", case)


def _look_at_two_steps(
    step: Callable[[int], Any],
    generators: Sequence[nn.Module],
    discriminators: Sequence[nn.Module],
    optimizers: Sequence[Optimizer],
    observer: Observer,
) -> None:
    """Make two steps; look at what each returns and at how far the weights have moved."""
    players = zip(
        ("generator", "discriminator"), (generators, discriminators), optimizers, strict=True
    )
    events = [
        _record_events(name, network, optimizer)
        for name, networks, optimizer in players
        for network in networks
    ]
    generator_change, discriminator_change = _watch(*generators), _watch(*discriminators)
    names = "generator's loss", "discriminator's loss"
    returned = step(1)
    observer(f"{CLUE}events", [event() for event in events])
    loss_generator, loss_discriminator = unpacked(returned, *names)
    observer("generator-loss", value_of(loss_generator))
    observer("discriminator-loss", value_of(loss_discriminator))
    observer("form", [form_of(loss_generator), form_of(loss_discriminator)])
    observer("generator-weights", generator_change())
    observer("discriminator-weights", discriminator_change())

    losses = [value_of(loss) for loss in unpacked(step(2), *names)]
    observer("second-step", [*losses, *generator_change(), *discriminator_change()])


def _batch(number: int, setting: Setting) -> tuple[Tensor, Tensor]:
    """Return the T1-w and T2-w images of the first or second step, of different sizes."""
    size = setting.pick((3, 2), (2, 4))[number - 1]
    t1, t2 = (images(size, setting.seed(74 + 2 * number + k), setting.dtype) for k in (0, 1))
    return t1, t2


def _watch(*networks: nn.Module) -> Callable[[], list[Tensor]]:
    """Return a function that tells how far the weights of each network have moved since now."""

    def weights() -> list[Tensor]:
        return [
            torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
            for network in networks
        ]

    start = weights()
    return lambda: [now - before for now, before in zip(weights(), start, strict=True)]


def _record_events(name: str, network: nn.Module, optimizer: Optimizer) -> Callable[[], str]:
    """Return a function that tells when a gradient came and the optimizer stepped since now.

    Right answers differ in it, with a frozen discriminator for example; it tells wrong ones apart.
    """
    events: list[str] = []
    next(network.parameters()).register_hook(lambda gradient: events.append("gradient"))
    optimizer.register_step_post_hook(lambda *_: events.append("step"))
    return lambda: f"{name}: {', '.join(events)}"


@contextmanager
def _replaced(answer: Any, losses: dict[str, Callable]) -> Iterator[None]:
    """Put stand-ins in the place of the loss functions that the answer would call."""
    namespace = _namespace(answer)
    before = {name: namespace.get(name, _ABSENT) for name in losses}
    namespace.update(losses)
    try:
        yield
    finally:
        for name, function in before.items():
            if function is _ABSENT:
                namespace.pop(name, None)
            else:
                namespace[name] = function


def _namespace(answer: Any) -> dict[str, Any]:
    """Return the global names that a function sees; a new dictionary if that is unknown."""
    while isinstance(answer, functools.partial):
        answer = answer.func
    function = inspect.unwrap(answer) if callable(answer) else answer
    if not hasattr(function, "__globals__"):  # an object with a method __call__
        function = inspect.getattr_static(type(function), "__call__", None)
    return getattr(function, "__globals__", {})
