"""Probes of the losses of notebooks 3 and 4: values, and the gradients that they send back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from labhelpers.checks.cases import CLUE, PROOF, Case, Log, Setting, unpacked
from labhelpers.checks.fingerprint import hashed
from labhelpers.checks.fixtures import (
    PairDiscriminator,
    SingleDiscriminator,
    SmallGenerator,
    images,
)

__all__ = [
    "PRECISION",
    "cgan_discriminator_loss",
    "cgan_generator_loss",
    "cyclegan_generator_loss",
    "form_of",
    "graph_kept",
    "value_of",
]

NO_GRADIENT = "no gradient"
#: Where it is noted that a loss has another type of numbers than what it was computed from.
PRECISION = f"{CLUE}precision"
# Rows in which T1 and T2 have the value of air, about as many as in the slices of the lab, and rows
# in which a generated slice is almost black or white, inside of the range, where no gradient of a
# right answer is cut off; none of them meet.
_AIR_T1, _AIR_T2 = slice(0, 14), slice(50, 64)
_BLACK, _WHITE = slice(20, 22), slice(24, 26)
_STEEP = 3.0  # gain of generators whose slices come close to -1 and 1
# Logits of images with the label 1, and the negative of those with the label 0. In float32 no
# probability tells the small ones from 0 or 1, and the large ones have no exponential.
_LARGE = (-120.0, -35.0, 120.0)
_BEYOND = "logits beyond ±30, in float32"
# Logits of the same kind, for which a cross-entropy is not yet a straight line.
_SURE = (-5.4, -6.4, 2.0, 3.0)


@dataclass(frozen=True)
class _Batch:
    """A batch on which a loss is tried.

    Attributes:
        size: Number of images.
        logits: See `_prepare`.
        training: Whether the networks come in training mode.
        is_large: Whether the logits are large, in float32: values and gradients are looked at, and
            nothing else.
    """

    size: int
    logits: Sequence[float] = ()
    training: bool = True
    is_large: bool = False

    def dtype(self, setting: Setting) -> torch.dtype:
        """Return the type of the numbers."""
        return torch.float32 if self.is_large else setting.dtype


_OF_LARGE_LOGITS = _Batch(len(_LARGE), _LARGE, is_large=True)


def cgan_generator_loss(answer: Any, setting: Setting) -> Iterator[Case]:
    """Weigh the two terms differently; the loss must lead back to the generator."""

    def act(log: Log, batch: _Batch, suffix: str, weights: dict[str, float]) -> None:
        dtype = batch.dtype(setting)
        discriminator = PairDiscriminator(setting.seed(10), dtype)
        generator = SmallGenerator(setting.seed(11), dtype, gain=_STEEP)
        t1, t2 = _slices(batch.size, setting, 12, dtype)
        fake = _with_extremes(generator(t1))
        given = fake.clone()  # work in place on it hides no gradient
        _prepare(discriminator, (fake, t1), (t2, t1), setting.seed(14), batch.logits)
        generator.train(batch.training)
        discriminator.train(batch.training)
        changes = _changes(
            {"the generator": generator, "the discriminator": discriminator},
            {"real_t1": t1, "real_t2": t2, "fake_t2": given},
        )
        with graph_kept():
            loss = answer(discriminator, t1, t2, given, **weights)
        log(f"value-{suffix}", value_of(loss))
        if batch.is_large:
            log(f"gradient-{suffix}", _gradients(loss, [fake]))
            return
        _log_form(log, loss, dtype)
        log("unchanged", changes())
        of_weights = _joined(_gradients(loss, list(generator.parameters())))
        log(f"gradient-{suffix}", [of_weights, *_gradients(loss, [fake])])
        through = _gradients(loss, list(discriminator.parameters()))
        log(f"{CLUE}discriminator", any(map(_arrives, through)))

    yield from _weightings(act, setting, "lambda_pixel")


def cyclegan_generator_loss(answer: Any, setting: Setting) -> Iterator[Case]:
    """Weigh the two terms differently; the loss must lead back to both generators."""

    def act(log: Log, batch: _Batch, suffix: str, weights: dict[str, float]) -> None:
        dtype = batch.dtype(setting)
        generators = [SmallGenerator(setting.seed(k), dtype, gain=_STEEP) for k in (30, 31)]
        discriminators = [SingleDiscriminator(setting.seed(k), dtype) for k in (32, 33)]
        t1, t2 = _slices(batch.size, setting, 34, dtype)
        fakes = generators[1](t2), generators[0](t1)
        for discriminator, real, fake in zip(discriminators, (t1, t2), fakes, strict=True):
            _prepare(discriminator, (fake,), (real,), setting.seed(36), batch.logits)
        for network in (*generators, *discriminators):
            network.train(batch.training)
        changes = _changes(
            {
                "the generators": nn.ModuleList(generators),
                "the discriminators": nn.ModuleList(discriminators),
            },
            {"real_t1": t1, "real_t2": t2},
        )
        with graph_kept():
            returned = answer(*generators, *discriminators, t1, t2, **weights)
        loss, fake_t1, fake_t2 = unpacked(returned, "loss", "generated T1", "generated T2")
        log(f"value-{suffix}", value_of(loss))
        if not batch.is_large:
            _log_form(log, loss, dtype)
            log("unchanged", changes())
            log("fakes", [fake_t1, fake_t2])
        for name, generator in zip(("t1-to-t2", "t2-to-t1"), generators, strict=True):
            log(f"gradient-{name}", _joined(_gradients(loss, list(generator.parameters()))))

    yield from _weightings(act, setting, "lambda_cycle")


def _weightings(act: Callable[..., None], setting: Setting, name: str) -> Iterator[Case]:
    """Make one case per weighting, each term alone, both, and the default weights; and one more.

    In that, discriminators are sure, rightly and wrongly: their logits are large. With the default
    weights, the networks come in evaluation mode.
    """
    cases = [
        ("gan", {"lambda_gan": 1.0, name: 0.0}),
        (name.removeprefix("lambda_"), {"lambda_gan": 0.0, name: 1.0}),
        ("sum", setting.choose({"lambda_gan": 0.7, name: 4.0}, {"lambda_gan": 2.5, name: 0.3})),
        ("sum", {}),
    ]
    sizes = setting.choose((3, 3, 2, 1), (4, 2, 3, 1))
    for size, (suffix, weights) in zip(sizes, cases, strict=True):
        label = ", ".join(f"{key}={value:g}" for key, value in weights.items())
        logits = _SURE[:size] if suffix == "gan" else ()
        batch = _Batch(size, logits, training=bool(weights))
        yield Case(
            label or "default weights, networks in evaluation mode",
            partial(act, batch=batch, suffix=suffix, weights=weights),
        )
    suffix, weights = cases[0]
    case = partial(act, batch=_OF_LARGE_LOGITS, suffix=suffix, weights=weights)
    yield Case(f"lambda_gan=1, {name}=0, {_BEYOND}", case)


def cgan_discriminator_loss(answer: Any, setting: Setting) -> Iterator[Case]:
    """Judge real and generated images, each with its condition."""

    def act(log: Log, batch: _Batch) -> None:
        dtype = batch.dtype(setting)
        discriminator = PairDiscriminator(setting.seed(50), dtype)
        generator = SmallGenerator(setting.seed(51), dtype, gain=_STEEP)
        t1, t2 = _slices(batch.size, setting, 52, dtype)
        fake = _with_extremes(generator(t1))
        given = fake.clone()  # work in place on it hides no gradient
        _prepare(discriminator, (t2, t1), (fake, t1), setting.seed(54), batch.logits)
        generator.train(batch.training)
        discriminator.train(batch.training)
        asked = {"real": (t2, t1), "fake": (fake, t1)}
        seen = _logits(discriminator, asked)
        changes = _changes(
            {"the generator": generator, "the discriminator": discriminator},
            {"real_t1": t1, "real_t2": t2, "fake_t2": given},
        )
        with graph_kept():
            loss = answer(discriminator, t1, t2, given)
        log("value", value_of(loss))
        if batch.is_large:
            log("gradient", _joined(_gradients(loss, list(discriminator.parameters()))))
            return
        for name, judged in seen().items():
            log(f"{PROOF}{name}-logits", judged)
        _log_form(log, loss, dtype)
        log("unchanged", changes())
        gradients = _gradients(loss, list(discriminator.parameters()))
        log("gradient", _joined(gradients))
        log("reaches", any(map(_arrives, gradients)))
        log("fake-gradient", any(map(_arrives, _gradients(loss, [fake]))))

    many, few = setting.choose((4, 1), (3, 2))
    yield Case(f"batch of {many}", partial(act, batch=_Batch(many, _SURE[:many])))
    yield Case(
        f"batch of {few}, networks in evaluation mode",
        partial(act, batch=_Batch(few, training=False)),
    )
    yield Case(_BEYOND, partial(act, batch=_OF_LARGE_LOGITS))


@torch.no_grad()
def _prepare(
    discriminator: PairDiscriminator | SingleDiscriminator,
    first: tuple[Tensor, ...],
    others: tuple[Tensor, ...],
    seed: int,
    logits: Sequence[float] = (),
) -> None:
    """Give real and generated images, with their conditions, logits that are known about.

    They differ from series to series: nobody knows them without asking the discriminator.

    Args:
        discriminator: Its weights are changed.
        first: What it is called with, real or generated images.
        others: What it is called with, the other ones.
        seed: Another one gives other logits.
        logits: The logits of the first images, and the negative of those of the others; none for
            logits of different size that are not large.
    """
    if logits:
        discriminator.give([*logits, *(-z for z in logits)], first, others)
    else:
        discriminator.settle(first, others)
    weight = discriminator.layer.weight
    weight.add_(0.005 * hashed(weight.shape, seed, weight.dtype))


def _slices(batch: int, setting: Setting, first: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return T1 and T2 of a batch, with air around them, made from two seeds."""
    t1, t2 = (images(batch, setting.seed(first + k), dtype) for k in range(2))
    t1[:, :, _AIR_T1], t2[:, :, _AIR_T2] = -1, -1
    return t1, t2


def _with_extremes(image: Tensor) -> Tensor:
    """Return a generated slice some voxels of which are almost -1 and others almost 1."""
    ends = torch.zeros_like(image)
    ends[:, :, _BLACK], ends[:, :, _WHITE] = -0.9995, 0.9995
    return torch.where(ends == 0, image, ends)


def _logits(
    discriminator: nn.Module, asked: Mapping[str, tuple[Tensor, Tensor]]
) -> Callable[[], dict[str, Tensor]]:
    """Return a function that returns which logits since now are those of the pairs asked for.

    They are sorted: the pairs may be judged in any order, together or one by one.
    """
    seen: list[Tensor] = []
    with torch.no_grad():
        wanted = {name: discriminator(*pair).double().flatten() for name, pair in asked.items()}
    discriminator.register_forward_hook(lambda _, __, output: seen.append(output.detach()))

    def found() -> dict[str, Tensor]:
        logits = torch.cat([torch.zeros(0), *(x.flatten() for x in seen)]).double()
        return {
            name: logits[torch.isclose(logits[:, None], values, rtol=1e-4).any(1)].sort().values
            for name, values in wanted.items()
        }

    return found


def value_of(loss: Any) -> Any:
    """Return the value of a loss, whatever its form; several numbers as they are."""
    if not isinstance(loss, Tensor):
        return float(loss)
    return loss.detach().reshape(()) if loss.numel() == 1 else loss


def _log_form(log: Log, loss: Any, dtype: torch.dtype) -> None:
    log("form", form_of(loss))
    if isinstance(loss, Tensor) and loss.dtype != dtype:
        log(PRECISION, str(loss.dtype))


def form_of(loss: Any) -> str:
    """Return in words what kind of object a loss is."""
    if not isinstance(loss, Tensor):
        return f"a {type(loss).__name__}"
    if loss.ndim == 0:
        return "a tensor without dimensions"
    return f"a tensor of shape {tuple(loss.shape)}"


@contextmanager
def graph_kept() -> Iterator[None]:
    """Let a backward pass keep its graph: what the loss then gives can still be differentiated."""
    backward, grad = torch.autograd.backward, torch.autograd.grad

    def keep(
        tensors: Any, grad_tensors: Any = None, retain_graph: Any = None, *rest: Any, **others: Any
    ) -> None:
        backward(tensors, grad_tensors, True, *rest, **others)

    def keep_in_grad(
        outputs: Any,
        inputs: Any,
        grad_outputs: Any = None,
        retain_graph: Any = None,
        *rest: Any,
        **others: Any,
    ) -> Any:
        return grad(outputs, inputs, grad_outputs, True, *rest, **others)

    torch.autograd.backward, torch.autograd.grad = keep, keep_in_grad
    try:
        yield
    finally:
        torch.autograd.backward, torch.autograd.grad = backward, grad


def _changes(networks: Mapping[str, nn.Module], inputs: Mapping[str, Tensor]) -> Callable[[], str]:
    """Return a function that says what has changed since now, and gives back what was frozen.

    Each weight gets a gradient, so that clearing gradients shows as well.
    """
    parameters = {name: list(network.parameters()) for name, network in networks.items()}
    for parameter in (p for group in parameters.values() for p in group):
        parameter.grad = torch.ones_like(parameter)
    values = {name: [p.detach().clone() for p in group] for name, group in parameters.items()}
    images = {name: (image.detach().clone(), image.grad_fn) for name, image in inputs.items()}
    modules = {name: list(network.modules()) for name, network in networks.items()}
    modes = {name: [module.training for module in group] for name, group in modules.items()}
    switched: set[str] = set()

    def look(name: str, *_: Any) -> None:
        if [module.training for module in modules[name]] != modes[name]:
            switched.add(name)

    for name, module in ((name, x) for name, group in modules.items() for x in group):
        module.register_forward_pre_hook(partial(look, name))
    with_gradients = torch.is_grad_enabled()

    def changes() -> str:
        found = []
        for name, group in parameters.items():
            if all(p.grad is None or not bool(p.grad.any()) for p in group):
                found.append(f"cleared gradients of {name}")
            elif not all(p.grad is not None and bool((p.grad == 1).all()) for p in group):
                found.append(f"gradients of {name}")
            if not all(map(torch.equal, group, values[name])):
                found.append(f"weights of {name}")
            if [module.training for module in modules[name]] != modes[name]:
                found.append(f"mode of {name}")
            elif name in switched:
                found.append(f"for a while the mode of {name}")
            if not all(p.requires_grad for p in group):
                found.append(f"requires_grad of {name}")
            for p in group:  # else the gradients that are logged would fail for the same reason
                p.requires_grad_(True)
        for name, (before, made_by) in images.items():
            if not torch.equal(inputs[name], before):
                found.append(f"values of {name}")
            if inputs[name].grad_fn is not made_by or inputs[name].requires_grad != bool(made_by):
                found.append(f"graph of {name}")
        if torch.is_grad_enabled() != with_gradients:
            found.append("recording of PyTorch")
            torch.set_grad_enabled(with_gradients)  # for the same reason
        return ", ".join(found) or "nothing"

    return changes


def _joined(gradients: Sequence[Tensor | str]) -> Any:
    """Return gradients as one row of numbers, since that of a bias alone may be almost 0 by chance.

    In float32 it is inexact then, compared with itself.
    """
    found = [gradient.flatten() for gradient in gradients if isinstance(gradient, Tensor)]
    return torch.cat(found) if len(found) == len(gradients) else list(gradients)


def _arrives(gradient: Tensor | str) -> bool:
    return isinstance(gradient, Tensor) and bool(gradient.any())


def _gradients(loss: Any, targets: Sequence[Tensor]) -> list[Tensor | str]:
    """Return the gradients of a loss, whose graph is kept."""
    if not isinstance(loss, Tensor) or not loss.requires_grad or loss.numel() != 1:
        return [NO_GRADIENT] * len(targets)
    attached = [target for target in targets if target.requires_grad]
    found = iter(
        torch.autograd.grad(loss.reshape(()), attached, retain_graph=True, allow_unused=True)
        if attached
        else ()
    )
    gradients = [next(found) if target.requires_grad else None for target in targets]
    return [NO_GRADIENT if gradient is None else gradient for gradient in gradients]
