"""Probes of the training steps: which weights change, by how much, in two steps of an optimizer.

The steps of notebooks 3 and 4 call loss functions written in earlier cells. Fixtures take the place
of these functions, see `exercises.Exercise.losses`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
    steepen,
)
from labhelpers.checks.probes.losses import form_of, value_of

__all__ = [
    "IN_TRAINING",
    "LEFT_IN_EVALUATION",
    "RUN_IN_EVALUATION",
    "STEEP",
    "UNCHANGED",
    "Players",
    "batch_of",
    "cgan_players",
    "cgan_step",
    "cyclegan_players",
    "cyclegan_step",
    "generator_players",
    "generator_step",
    "left_by",
    "uses_evaluation",
]


def _momentum(weights: Iterable[nn.Parameter], lr: float, momentum: float = 0.9) -> SGD:
    """Return gradient descent with Nesterov's momentum, and a group for each tensor.

    Already the first step is another one than that of gradient descent, which an answer could make
    without the optimizer. Who clears the gradients of the first group alone keeps the others.
    """
    groups = [{"params": [tensor]} for tensor in weights]
    return SGD(groups, lr=lr, momentum=momentum, nesterov=momentum > 0)


#: Keeps nothing from step to step: who clears only where `optimizer.state` is filled never clears.
_stateless = partial(_momentum, momentum=0.0)


_LARGEST = 1.5  # of the generated images: a prediction that is cut to [-1, 1] shows

#: What is logged of a step that changes weights and gradients only, and of one that switches the
#: mode of a network, for a while or for good.
UNCHANGED = "all is as it was"
IN_TRAINING = "in training mode"
RUN_IN_EVALUATION = "has run in evaluation mode"
LEFT_IN_EVALUATION = "is in evaluation mode"
_MOST_EVENTS = 20


@dataclass(frozen=True)
class Players:
    """What a step is called with, besides the images.

    Attributes:
        networks: The networks by name.
        optimizers: Each optimizer by the name of what it trains, with the names of its networks.
        arguments: The arguments that stand before the images.
        options: The arguments that stand behind the images, by name.
    """

    networks: dict[str, nn.Module]
    optimizers: dict[str, tuple[Optimizer, list[str]]]
    arguments: tuple[Any, ...]
    options: Mapping[str, float] = field(default_factory=dict)

    def step(self, answer: Any, batch: tuple[Tensor, Tensor]) -> Any:
        """Make a step and return what it returns."""
        return answer(*self.arguments, *batch, **self.options)


def generator_players(
    setting: Setting,
    lr: float = 0.02,
    level: float = 0.0,
    scale: float = 1.0,
    make: Callable[..., SGD] = _momentum,
) -> Players:
    """Return what the step of notebook 2 is called with.

    Args:
        setting: Seeds and number type.
        lr: Learning rate.
        level: What the criterion adds to its value.
        scale: What the criterion multiplies its value by.
        make: Makes the optimizer.
    """
    generator = SmallGenerator(setting.seed(70), setting.dtype, _LARGEST)
    optimizer = make(generator.parameters(), lr=lr)
    return Players(
        {"generator": generator},
        {"generator": (optimizer, ["generator"])},
        (generator, optimizer, Criterion(level, scale)),
    )


def cgan_players(
    setting: Setting,
    lr: float,
    options: Mapping[str, float],
    logit: float = 0.0,
    scale: float = 1.0,
    make: Callable[..., SGD] = _momentum,
) -> Players:
    """Return what the step of notebook 3 is called with.

    Args:
        setting: Seeds and number type.
        lr: Learning rate of the generator.
        options: The weights of the loss.
        logit: What the discriminator answers to real images, about; 0 for what its seed gives.
        scale: What the gradients of the weights are multiplied by.
        make: Makes the optimizers.
    """
    generator = SmallGenerator(setting.seed(80), setting.dtype, _LARGEST)
    discriminator = PairDiscriminator(setting.seed(81), setting.dtype)
    if logit:
        t1, t2 = batch_of(1, setting)
        discriminator.learn(t2, generator(t1), logit)
        discriminator.level = -_LEVEL * logit
    steepen(scale, generator, discriminator)
    optimizers = make(generator.parameters(), lr=lr), make(discriminator.parameters(), lr=0.01)
    return Players(
        {"generator": generator, "discriminator": discriminator},
        {
            name: (optimizer, [name])
            for name, optimizer in zip(("generator", "discriminator"), optimizers, strict=True)
        },
        (generator, discriminator, *optimizers),
        options,
    )


def cyclegan_players(
    setting: Setting,
    lr: float,
    options: Mapping[str, float],
    logit: float = 0.0,
    scale: float = 1.0,
    make: Callable[..., SGD] = _momentum,
) -> Players:
    """Return what the step of notebook 4 is called with; arguments as for `cgan_players`."""
    generators = tuple(SmallGenerator(setting.seed(k), setting.dtype, _LARGEST) for k in (90, 91))
    discriminators = tuple(SingleDiscriminator(setting.seed(k), setting.dtype) for k in (92, 93))
    if logit:
        t1, t2 = batch_of(1, setting)
        pairs = zip(discriminators, (t1, t2), (generators[1](t2), generators[0](t1)), strict=True)
        for discriminator, real, fake in pairs:
            discriminator.learn(real, fake, logit)
            discriminator.level = -_LEVEL * logit
    steepen(scale, *generators, *discriminators)
    optimizers = [
        make(list(chain(*(network.parameters() for network in networks))), lr=lr)
        for networks, lr in ((generators, lr), (discriminators, 0.01))
    ]
    names = [
        ["generator from T1 to T2", "generator from T2 to T1"],
        ["discriminator of T1", "discriminator of T2"],
    ]
    return Players(
        dict(zip(chain(*names), (*generators, *discriminators), strict=True)),
        {
            "generators": (optimizers[0], names[0]),
            "discriminators": (optimizers[1], names[1]),
        },
        (generators, discriminators, *optimizers),
        options,
    )


# A loss of a fixture is moved by so much for each unit of the logit: a step that is made only where
# its loss is large, or positive, is left out where the discriminator errs, or where it does not.
_LEVEL = 40.0
_LEVELS = ("a loss below zero", "a large loss")
#: By so much gradients are multiplied where they are to be large: clipped ones show there, and
#: weights that are kept small after the step.
STEEP = 1e4
_STEEP_LABEL = "large gradients"
_LOGITS = ("a discriminator that is right", "a discriminator that is wrong")


def generator_step(answer: Any, setting: Setting) -> Iterator[Case]:
    """Train a small generator for two steps, with large losses and small ones; then with others.

    The small losses are such that a rounded one shows; the learning rate is large then, and the
    optimizer keeps nothing from step to step.
    """

    def act(log: Log, lr: float, scale: float, make: Callable[..., SGD] = _momentum) -> None:
        play = partial(generator_players, setting, lr, scale=scale, make=make)
        players = play()
        moved, events = _movement(players, "generator"), _events(players)
        batch = batch_of(1, setting)
        left = left_by(players, batch, partial(uses_evaluation, answer, play, batch))

        loss = players.step(answer, batch)
        log(f"{CLUE}events", events()[0])
        log("loss", value_of(loss))
        log("form", form_of(loss))
        log("weights", moved())
        _log_left(log, left())
        if scale == STEEP:  # so far away, a second step has no gradient
            return

        loss = players.step(answer, batch_of(2, setting))
        log("second-step", [value_of(loss), moved()])

    def act_on_any(log: Log, level: float) -> None:
        players = generator_players(setting, level=level)
        moved = _movement(players, "generator")
        loss = players.step(answer, batch_of(1, setting))
        log("any-loss", [value_of(loss), moved()])

    rates = setting.choose((0.02, 20), (0.01, 30))
    yield Case(f"learning rate {rates[0]:g}", partial(act, lr=rates[0], scale=1))
    label = f"learning rate {rates[1]:g}, a small loss, plain gradient descent"
    yield Case(label, partial(act, lr=rates[1], scale=1e-4, make=_stateless))
    yield Case(_STEEP_LABEL, partial(act, lr=0.02, scale=STEEP))
    for label, level in zip(_LEVELS, setting.choose((-300.0, 500.0), (-400.0, 600.0)), strict=True):
        yield Case(label, partial(act_on_any, level=level))


def cgan_step(answer: Any, setting: Setting) -> Iterator[Case]:
    """Train a small generator and discriminator for two steps; then with other losses."""
    yield from _cases(answer, setting, cgan_players, "lambda_pixel")


def cyclegan_step(answer: Any, setting: Setting) -> Iterator[Case]:
    """Train two small generators and two discriminators for two steps; then with other losses."""
    yield from _cases(answer, setting, cyclegan_players, "lambda_cycle")


def _cases(
    answer: Any, setting: Setting, play: Callable[..., Players], name: str
) -> Iterator[Case]:
    """Make a case for the default weights and one for others, and two with other losses.

    The other weights are large, and the learning rate small: a gradient that is cut short shows.
    The optimizers keep nothing from step to step there.
    """

    def act(log: Log, lr: float, options: dict[str, float], **how: Any) -> None:
        make = partial(play, setting, lr, options, **how)
        _log_steps(answer, make, setting, log, how.get("scale") != STEEP)

    def act_on_any(log: Log, logit: float) -> None:
        players = play(setting, 0.1, {}, logit)
        moved = [_movement(players, name) for name in players.optimizers]
        losses = unpacked(players.step(answer, batch_of(1, setting)), *_returned(players))
        values = [value_of(loss) for loss in losses]
        log("any-loss", [*values, *(one for movement in moved for one in movement())])

    large = {"lambda_gan": setting.choose(18.0, 34.0), name: setting.choose(90.0, 60.0)}
    yield Case("default weights", partial(act, lr=0.4, options={}))
    label = ", ".join(f"{key}={value:g}" for key, value in large.items())
    label += ", plain gradient descent"
    yield Case(label, partial(act, lr=0.01, options=large, make=_stateless))
    yield Case(_STEEP_LABEL, partial(act, lr=0.01, options={}, scale=STEEP))
    for label, logit in zip(_LOGITS, setting.choose((4.0, -4.0), (3.5, -3.5)), strict=True):
        yield Case(label, partial(act_on_any, logit=logit))


def _returned(players: Players) -> list[str]:
    return [f"{name}'{'' if name.endswith('s') else 's'} loss" for name in players.optimizers]


def _log_steps(
    answer: Any, play: Callable[[], Players], setting: Setting, log: Log, has_second: bool
) -> None:
    """Make one step or two; look at what each returns and at how far the weights have moved."""
    players = play()
    events, batch = _events(players), batch_of(1, setting)
    generators_moved, discriminators_moved = (
        _movement(players, name) for name in players.optimizers
    )
    left = left_by(players, batch, partial(uses_evaluation, answer, play, batch))
    returned = players.step(answer, batch)
    log(f"{CLUE}events", events())
    loss_generator, loss_discriminator = unpacked(returned, *_returned(players))
    log("generator-loss", value_of(loss_generator))
    log("discriminator-loss", value_of(loss_discriminator))
    log("form", [form_of(loss_generator), form_of(loss_discriminator)])
    log("generator-weights", generators_moved())
    log("discriminator-weights", discriminators_moved())
    _log_left(log, left())
    if not has_second:
        return
    returned = players.step(answer, batch_of(2, setting))
    losses = [value_of(loss) for loss in unpacked(returned, *_returned(players))]
    log("second-step", [*losses, *generators_moved(), *discriminators_moved()])


def batch_of(number: int, setting: Setting) -> tuple[Tensor, Tensor]:
    """Return the T1-w and T2-w images of the first or second step, of different sizes.

    In the visible check the second batch holds one image, as the last one of an epoch may.
    """
    size = setting.choose((3, 1), (2, 4))[number - 1]
    t1, t2 = (images(size, setting.seed(74 + 2 * number + k), setting.dtype) for k in (0, 1))
    return t1, t2


def _movement(players: Players, trained: str) -> Callable[[], list[Tensor]]:
    """Return a function that returns how far the weights of some networks have moved since now."""
    networks = [players.networks[name] for name in players.optimizers[trained][1]]

    def weights() -> list[Tensor]:
        return [
            torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
            for network in networks
        ]

    start = weights()
    return lambda: [now - before for now, before in zip(weights(), start, strict=True)]


def left_by(
    players: Players, batch: Sequence[Tensor], is_used: Callable[[str], bool]
) -> Callable[[], list[str]]:
    """Return a function that returns in words what else a step has changed.

    Args:
        players: What the step is called with.
        batch: The images.
        is_used: Returns whether what a network gave in evaluation mode is of any use.
    """
    before = [image.clone() for image in batch]
    evaluated: list[str] = []

    def note_mode(name: str, network: nn.Module, *_: Any) -> None:
        if not _is_training(network) and name not in evaluated:
            evaluated.append(name)

    for name, network in players.networks.items():
        for module in network.modules():
            module.register_forward_pre_hook(partial(note_mode, name, network))

    def words() -> list[str]:
        changed = []
        for name, image, copy in zip(("T1", "T2"), batch, before, strict=True):
            if not torch.equal(image, copy):
                changed.append(f"the {name} images are changed")
            if image.requires_grad:
                changed.append(f"the {name} images ask for a gradient (`requires_grad`)")
        for name, network in players.networks.items():
            if not all(parameter.requires_grad for parameter in network.parameters()):
                changed.append(f"weights of the {name} are frozen")
            if name in evaluated and is_used(name):
                changed.append(f"the {name} {RUN_IN_EVALUATION}")
            if not _is_training(network):
                changed.append(f"the {name} {LEFT_IN_EVALUATION}")
        return changed

    return words


def _log_left(log: Log, changed: list[str]) -> None:
    """Log what else a step has changed, the modes of the networks by themselves."""
    modes = [words for words in changed
             if words.endswith((RUN_IN_EVALUATION, LEFT_IN_EVALUATION))]  # fmt: skip
    log("left", ", ".join(words for words in changed if words not in modes) or UNCHANGED)
    log("mode", ", ".join(modes) or IN_TRAINING)


def _is_training(network: nn.Module) -> bool:
    return all(module.training for module in network.modules())


def uses_evaluation(
    answer: Any, play: Callable[[], Players], batch: Sequence[Tensor], name: str
) -> bool:
    """Return True if a step depends on what a network gives in evaluation mode.

    Args:
        answer: The step.
        play: Makes what it is called with.
        batch: The images.
        name: The network.
    """
    players, others = play(), play()
    network = others.networks[name]
    for module in network.modules():
        if not any(module.children()):
            module.register_forward_hook(
                lambda _, __, output: output if _is_training(network) else output * 0.5
            )
    outcomes = []
    for one in (players, others):
        returned = one.step(answer, (batch[0].clone(), batch[1].clone()))
        values = returned if isinstance(returned, (tuple, list)) else [returned]
        numbers = [torch.as_tensor(x).detach().double().flatten() for x in values]
        weights = [p.detach().double().flatten() for x in one.networks.values()
                   for p in x.parameters()]  # fmt: skip
        outcomes.append(torch.cat([*numbers, *weights]))
    return not torch.allclose(outcomes[0], outcomes[1], equal_nan=True)


def _events(players: Players) -> Callable[[], list[str]]:
    """Return a function that returns the order of gradients and optimizer steps since now.

    Right answers differ in it, with a frozen discriminator for example; it tells wrong ones apart.
    """
    seen: dict[str, list[str]] = {}
    for optimizer, names in players.optimizers.values():
        for name in names:
            events = seen.setdefault(name, [])
            weight = next(players.networks[name].parameters())
            weight.register_hook(lambda _, events=events: events.append("gradient"))
            optimizer.register_step_post_hook(lambda *_, events=events: events.append("step"))
    return lambda: [
        f"{name.split()[0]}: {', '.join(events[:_MOST_EVENTS])}" for name, events in seen.items()
    ]
