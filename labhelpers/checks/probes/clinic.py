"""Probes of the clinic: a diagnosis of each case, beside a mended function that is tried."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD

from labhelpers.checks.cases import Case, Log, Setting, unpacked
from labhelpers.checks.fingerprint import hashed
from labhelpers.checks.fixtures import PairDiscriminator, SmallGenerator, images
from labhelpers.checks.probes.losses import value_of
from labhelpers.clinic import CASES, FAULTS

__all__ = ["clinic_cgan", "clinic_cyclegan"]


def clinic_cgan(answer: Any, setting: Setting) -> Iterator[Case]:
    """Try the answer on the cases of notebook 3."""
    yield from _cases(answer, setting, CASES["cgan"])


def clinic_cyclegan(answer: Any, setting: Setting) -> Iterator[Case]:
    """Try the answer on the cases of notebook 4."""
    yield from _cases(answer, setting, CASES["cyclegan"])


def _cases(answer: Any, setting: Setting, letters: tuple[str, ...]) -> Iterator[Case]:
    def act(log: Log, letter: str) -> None:
        fault, function = _entry(answer(), letter)
        log("diagnosis", _code(letter, fault))
        if fault in _PROBES:
            arguments, probe = _PROBES[fault]
            _require_arguments(function, arguments, fault)
            log("mended", probe(function, setting))

    for letter in letters:
        yield Case(f"case {letter}", partial(act, letter=letter))


def _entry(returned: Any, letter: str) -> tuple[str, Callable[..., Any]]:
    """Return the diagnosis and the function of one case."""
    if not isinstance(returned, dict):
        raise TypeError(f"Expected a dictionary by letter, got a {type(returned).__name__}.")
    if letter not in returned:
        raise KeyError(f"There is nothing under {letter!r}.")
    fault, function = unpacked(returned[letter], "fault", "mended function")
    if fault not in FAULTS:
        raise ValueError(f"{fault!r} is not in the list of faults.")
    if not callable(function):
        raise TypeError(f"Beside {fault!r} stands a {type(function).__name__}, not a function.")
    return fault, function


def _require_arguments(function: Callable[..., Any], arguments: str, fault: str) -> None:
    """Raise a TypeError if a function cannot be called with these arguments."""
    try:
        inspect.signature(function).bind(*arguments.split(", "))
    except TypeError:
        raise TypeError(
            f"{fault!r} is a fault of the function of ({arguments}): another one stands beside it."
        ) from None


def _code(letter: str, fault: str) -> str:
    """Return a diagnosis so that it can be compared, but not read."""
    digest = hashlib.sha256(f"{letter}: {fault}".encode()).hexdigest()
    return f"the diagnosis with the code {digest[:8]}"


def _tried_frame(black_frame: Any, setting: Setting) -> Any:
    t1, t2 = (images(3, setting.seed(100 + k), setting.dtype) for k in (0, 1))
    results = [black_frame(t1.clone(), t2.clone())]
    results.append(black_frame(t1.clone(), t2.clone(), setting.choose(3, 5)))
    return [image for pair in results for image in unpacked(pair, "T1", "T2")]


def _tried_split(split: Any, setting: Setting) -> Any:
    """Return whole numbers and sums, the same whichever subjects are tested."""
    results = []
    for n_subjects, n_test in setting.choose(((11, 3), (8, 5)), ((9, 4), (13, 5))):
        values = hashed((n_subjects,), setting.seed(110 + n_test))
        number = {f"sub-{k:03d}": value for k, value in enumerate(values.tolist())}
        train, test = (
            list(part) for part in unpacked(split(list(number), n_test), "train", "test")
        )
        everybody = sum(number[subject] for subject in {*train, *test})
        sizes = len(train), len(test), len({*train} & {*test})
        results.append(torch.tensor([*sizes, everybody], dtype=torch.float64))
    return results


def _tried_loss(discriminator_loss: Any, setting: Setting) -> Any:
    shape = (setting.choose(4, 5), 1, 1, 1)
    logits = [
        (3 * hashed(shape, setting.seed(120 + k), setting.dtype)).requires_grad_() for k in (0, 1)
    ]
    loss = discriminator_loss(*logits)
    return [value_of(loss), *torch.autograd.grad(loss.reshape(()), logits)]


def _loss_of_logits(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    return torch.cos(logits_real + 0.5).mean() + torch.sin(2 * logits_fake).mean()


def _tried_step(step_on_batch: Any, setting: Setting) -> Any:
    generator = SmallGenerator(setting.seed(130), setting.dtype)
    discriminator = PairDiscriminator(setting.seed(131), setting.dtype)
    optimizers = SGD(generator.parameters(), lr=0.4), SGD(discriminator.parameters(), lr=0.01)
    for k in (0, 2):
        t1, t2 = (images(3, setting.seed(132 + k + j), setting.dtype) for j in (0, 1))
        weight = setting.choose(0.7, 0.4)
        step_on_batch(generator, discriminator, optimizers, t1, t2, _loss_of_logits, weight)
    return [*generator.parameters(), *discriminator.parameters()]


def _tried_scaling(scaled: Any, setting: Setting) -> Any:
    slices = images(4, setting.seed(140), setting.dtype)
    sizes = torch.arange(1, 5, dtype=setting.dtype).reshape(-1, 1, 1, 1)
    return scaled(setting.choose(300.0, 70.0) * sizes * (slices + 1.5))


def _tried_cycle(cycle_loss: Any, setting: Setting) -> Any:
    networks = [SmallGenerator(setting.seed(k), setting.dtype) for k in (150, 151)]
    t1, t2 = (images(3, setting.seed(k), setting.dtype) for k in (152, 153))
    loss = cycle_loss(*networks, t1, t2)
    weights = list(chain.from_iterable(network.parameters() for network in networks))
    return [value_of(loss), *torch.autograd.grad(loss.reshape(()), weights)]


def _tried_update(update: Any, setting: Setting) -> Any:
    network = SmallGenerator(setting.seed(160), setting.dtype)
    optimizer = SGD(network.parameters(), lr=0.3)
    for k in (161, 162):
        for parameter in network.parameters():  # gradients that another loss left behind
            parameter.grad = torch.ones_like(parameter)
        update(optimizer, network(images(2, setting.seed(k), setting.dtype)).square().mean())
    return list(network.parameters())


# A fault is one of the function with these arguments; the other faults are of none.
_PROBES: dict[str, tuple[str, Callable[[Any, Setting], Any]]] = {
    "compared with another person": (
        "generator_t1_to_t2, generator_t2_to_t1, real_t1, real_t2",
        _tried_cycle,
    ),
    "contrast inverted": ("slices", _tried_scaling),
    "discriminator never learns": ("optimizer, loss", _tried_update),
    "generated slices not detached": (
        "generator, discriminator, optimizers, real_t1, real_t2, discriminator_loss, lambda_gan",
        _tried_step,
    ),
    "labels exchanged": ("logits_real, logits_fake", _tried_loss),
    "T2-w slices shifted": ("t1, t2", _tried_frame),
    "test subjects in the training set": ("subjects, n_test", _tried_split),
}
