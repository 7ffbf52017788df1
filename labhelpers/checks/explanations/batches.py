"""Compute a loss on many small batches, and find out which calls of networks it makes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from labhelpers.checks.explanations.equations import ORDERS, Part, Sample
from labhelpers.checks.explanations.functions import names_read
from labhelpers.checks.fingerprint import hashed
from labhelpers.checks.fixtures import PairDiscriminator, SingleDiscriminator
from labhelpers.checks.probes.losses import graph_kept

__all__ = [
    "Answer",
    "AnswerError",
    "Asked",
    "Call",
    "Loss",
    "PairJudge",
    "Scene",
    "SingleJudge",
    "Watch",
    "tensors_of",
]

_PARTS = {"first": slice(0, 1), "last": slice(-1, None)}
_SIDE = 64  # of an image, in voxels
# Rows of images that are air, or as bright as can be, and some that come close to that. No two
# images have the same value there.
_DARK, _BRIGHT = torch.linspace(-0.999, -0.4, _SIDE), torch.linspace(0.9, 0.9995, _SIDE)
_EXTREMES: dict[str, tuple[tuple[slice, float | Tensor], ...]] = {
    "real_t1": ((slice(0, 8), -1.0), (slice(10, 12), _DARK)),
    "real_t2": ((slice(56, 64), -1.0), (slice(52, 54), _DARK), (slice(20, 22), 1.0)),
    "fake_t2": (
        (slice(30, 32), -1.0),
        (slice(34, 36), 1.0),
        (slice(20, 22), -0.95),
        (slice(40, 42), _BRIGHT),
        (slice(44, 46), -_BRIGHT),
        (slice(48, 50), _DARK),
    ),
}
# What draws a tensor, and what makes zeros with the same arguments.
_DRAW: dict[str, Callable[..., Tensor]] = {
    "rand": torch.zeros,
    "rand_like": torch.zeros_like,
    "randn": torch.zeros,
    "randn_like": torch.zeros_like,
}
_DIRECTION = hashed((_SIDE**2,), 77)


class Call(NamedTuple):
    """A call of a network.

    Attributes:
        network: Its symbol; that of a discriminator begins with D.
        inputs: Names of the images.
        order: How the subjects of the first image are mixed, or which subject alone is looked at.
    """

    network: str
    inputs: tuple[str, ...]
    order: str = ""

    @property
    def name(self) -> str:
        """The call in the notation of the notebooks."""
        first, *rest = self.inputs
        first = f"{self.order} {first}" if self.order in _PARTS else f"{first} {self.order}".strip()
        return f"{self.network}({', '.join((first, *rest))})"

    @property
    def is_judge(self) -> bool:
        """Whether a discriminator is called."""
        return self.network.startswith("D")

    def take(self, tensors: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the images of the call, out of all tensors by name."""
        inputs = [tensors[name] for name in self.inputs]
        if self.order in _PARTS:
            return [x[:, _PARTS[self.order]] for x in inputs]
        return [ORDERS[self.order](inputs[0]), *inputs[1:]]


class Asked(NamedTuple):
    """A part of the equation that is asked for, and what it is called."""

    part: Part
    name: str


@dataclass(frozen=True)
class Loss:
    """A loss that is asked for.

    Attributes:
        arguments: Symbols of networks and names of images, as the function takes them.
        networks: What stands for the network of each symbol.
        lambdas: Names of its weights.
        calls: The calls that it needs, each after those that make its images.
        asked: Its terms.
        groups: What several terms are called together, by their positions.
        trains: Who gets a gradient: name -> symbol of a network, or image.
        spares: Who gets none, likewise.
        returns: Names of the images that are returned after the loss.
        mixed_up: What students may mix up throughout: a sentence, and for each text in names what
            was meant.
    """

    arguments: tuple[str, ...]
    networks: dict[str, Callable[[int, torch.dtype], nn.Module]]
    lambdas: tuple[str, ...]
    calls: tuple[Call, ...]
    asked: tuple[Asked, ...]
    groups: dict[tuple[int, ...], str]
    trains: dict[str, str]
    spares: dict[str, str]
    returns: tuple[str, ...] = ()
    mixed_up: tuple[tuple[str, dict[str, str]], ...] = ()

    @property
    def symbols(self) -> list[str]:
        """Names of the weights in the notation of the notebooks."""
        return [name.replace("lambda", "λ") for name in self.lambdas]

    def of_weight(self, k: int) -> Loss:
        """Return what is left if all λ but one are 0."""
        places = [j for j, x in enumerate(self.asked) if x.part.weight.factors[0][1][k]]
        return replace(
            self,
            asked=tuple(self.asked[j] for j in places),
            groups={
                tuple(places.index(j) for j in group): name
                for group, name in self.groups.items()
                if set(group) <= set(places)
            },
        )


def _bent(image: Tensor) -> Tensor:
    return image + image.square() / 2


class PairJudge(PairDiscriminator):
    """A discriminator that is not the sum of one of images and one of conditions."""

    def forward(self, image: Tensor, condition: Tensor) -> Tensor:
        """Return the logits `(N, 1, 1, 1)`."""
        return super().forward(_bent(image), condition * (1 + image))


class SingleJudge(SingleDiscriminator):
    """A discriminator of an image whose gradient differs from image to image."""

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits `(N, 1, 1, 1)`."""
        return super().forward(_bent(image))


class Scene:
    """Stand-ins for the networks, and images `(P, N, 1, 64, 64)` for P batches of N.

    Args:
        loss: The loss that is asked for.
        batches: Number of batches.
        n: Number of images in a batch.
        seed: Another one gives other weights and images.
        dtype: Type of both.
        bold: Factor of the logits.
    """

    def __init__(
        self,
        loss: Loss,
        batches: int,
        n: int,
        seed: int,
        dtype: torch.dtype,
        bold: float = 1.0,
    ) -> None:
        random = torch.Generator().manual_seed(seed)
        self.n = n
        self.networks = {
            symbol: make(100 * seed + k, dtype)
            for k, (symbol, make) in enumerate(loss.networks.items())
        }
        self.embolden(bold)
        self.images = {}
        for name in loss.arguments:
            if name not in self.networks:  # images that differ much in brightness and contrast
                size = (batches, n, 1, 1, 1)
                middle, spread = (torch.rand(size, generator=random) for _ in range(2))
                noise = torch.rand((batches, n, 1, _SIDE, _SIDE), generator=random)
                image = middle - 0.5 + (0.1 + 0.8 * spread) * (noise - 0.5)
                share = torch.rand(size, generator=random)  # of columns, so that batches differ
                for place, value in _EXTREMES[name]:
                    chosen = torch.rand((batches, n, 1, 1, _SIDE), generator=random) < share
                    image[..., place, :] = torch.where(chosen, value, image[..., place, :])
                self.images[name] = image.to(dtype)

    def embolden(self, factor: float) -> None:
        """Multiply all logits by a factor."""
        for symbol, network in self.networks.items():
            for parameter in network.parameters() if symbol.startswith("D") else ():
                parameter.data.mul_(factor)
        parameters = [p for network in self.networks.values() for p in network.parameters()]
        self._weights = [(p, p.detach().clone()) for p in parameters]

    def restore(self) -> None:
        """Take back what a loss has done to the networks and to PyTorch."""
        torch.set_grad_enabled(True)
        for network in self.networks.values():
            network.train()
        for parameter, weights in self._weights:
            parameter.requires_grad_(True)
            parameter.data.copy_(weights)  # past the graph, which must stay as it is


def tensors_of(
    images: Mapping[str, Tensor], networks: Mapping[str, nn.Module], calls: Sequence[Call]
) -> dict[str, Tensor]:
    """Return the images and what each call gives, by name: logits `(P, N)` or images.

    Args:
        images: The images that are given.
        networks: The networks by their symbols; one of its own for a call under the call's name.
        calls: The calls, each after those that make its images.
    """
    tensors = dict(images)
    for call in calls:
        inputs = call.take(tensors)
        network = networks.get(call.name, networks[call.network])
        result = network(*(x.flatten(0, 1) for x in inputs)).unflatten(0, inputs[0].shape[:2])
        tensors[call.name] = result.flatten(1) if call.is_judge else result
    return tensors


def _gradient_norms(
    tensors: Mapping[str, Tensor], networks: Mapping[str, nn.Module], calls: Sequence[Call]
) -> dict[str, Tensor]:
    """Return the squared norms `(P, N)` of the gradients of logits with respect to their image."""
    norms = {}
    for call in calls:
        if call.is_judge:
            image, *rest = (x.flatten(0, 1) for x in call.take(tensors))
            image = image.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(networks[call.network](image, *rest).sum(), image)
            norm = gradient.square().sum((1, 2, 3))
            norms[f"∇{call.name}"] = norm.unflatten(0, tensors[call.name].shape)
    return norms


class AnswerError(Exception):
    """A student's loss failed, or returned something that is no loss."""


class Answer:
    """A student's loss, to be computed on the batches of a scene.

    Args:
        function: The student's function.
        loss: The loss that is asked for.

    Attributes:
        names: The names of globals and attributes in its code.
    """

    def __init__(self, function: Callable[..., Any], loss: Loss) -> None:
        self._function, self._loss = function, loss
        self.names = names_read(function)

    def with_weight(self, k: int, without_rest: bool = False) -> Answer:
        """Return the answer for which all λ but one are 0, whatever they are.

        Args:
            k: Position of this λ.
            without_rest: Whether to take away what is left of the loss where all λ are 0.
        """
        others = [name for j, name in enumerate(self._loss.lambdas) if j != k]

        def alone(*args: Any, **lambdas: float) -> Any:
            return self._function(*args, **(lambdas | dict.fromkeys(others, 0.0)))

        def added(*args: Any, **lambdas: float) -> Any:
            one, rest = alone(*args, **lambdas), alone(*args, **dict.fromkeys(lambdas, 0.0))
            is_one = not isinstance(one, (tuple, list))
            return one - rest if is_one else (one[0] - rest[0], *one[1:])

        return self._around(added if without_rest else alone)

    def exchanged(self) -> Answer:
        """Return the answer with its two λ in each other's place."""
        names = dict(zip(self._loss.lambdas, self._loss.lambdas[::-1], strict=True))

        def other(*args: Any, **lambdas: float) -> Any:
            return self._function(*args, **{names[name]: x for name, x in lambdas.items()})

        return self._around(other)

    def without_chance(self) -> tuple[Answer, set[str]]:
        """Return the answer with zeros in place of random tensors, and the names of what is drawn.

        The names are known once the answer has been called.
        """
        names: set[str] = set()

        def calm(*args: Any, **kwargs: Any) -> Any:
            with _zeros_drawn(names):
                return self._function(*args, **kwargs)

        return self._around(calm), names

    def _around(self, function: Callable[..., Any]) -> Answer:
        """Return a function around the student's as an answer with the names of its code."""
        answer = Answer(function, self._loss)
        answer.names = self.names
        return answer

    def on(
        self, scene: Scene, p: int = 0, lambdas: Sequence[float] | None = None
    ) -> tuple[list[Any], dict[str, Any]]:
        """Return the values that the function returns on a batch, and what it was made from.

        Raises:
            AnswerError: If it fails, or does not return a loss and the images asked for.
        """
        given: dict[str, Any] = {name: image[p].clone() for name, image in scene.images.items()}
        given |= scene.networks
        passed = dict(given)
        if "fake_t2" in given:  # as if a generator had made it, which what is done in place spares
            passed["fake_t2"] = given["fake_t2"].requires_grad_().clone()
        weights = {} if lambdas is None else dict(zip(self._loss.lambdas, lambdas, strict=True))
        try:
            with graph_kept():
                returned = self._function(*(passed[x] for x in self._loss.arguments), **weights)
        except Exception as error:
            raise AnswerError from error
        scene.restore()
        values = list(returned) if isinstance(returned, (tuple, list)) else [returned]
        kinds = [isinstance(value, Tensor) for value in values]
        if len(values) != 1 + len(self._loss.returns) or not (
            all(kinds[1:]) and (kinds[0] or isinstance(values[0], (int, float)))
        ):
            raise AnswerError
        return values, given

    def value(self, scene: Scene, p: int = 0, lambdas: Sequence[float] | None = None) -> float:
        """Return the loss on a batch; the mean, if it is several numbers."""
        loss = self.on(scene, p, lambdas)[0][0]
        return float(loss.detach().double().mean()) if isinstance(loss, Tensor) else float(loss)

    def sample(
        self, scene: Scene, calls: Sequence[Call], lambdas: Sequence[float], rich: bool
    ) -> Sample:
        """Return the loss on all batches of a scene, beside what may have made it."""
        batches = range(len(next(iter(scene.images.values()))))
        values = np.array([self.value(scene, p, lambdas) for p in batches])
        with torch.no_grad():
            tensors = tensors_of(scene.images, scene.networks, calls)
        if rich:
            tensors |= _gradient_norms(tensors, scene.networks, calls)
        return Sample(tuple(lambdas), scene.n, tensors, values)


@contextmanager
def _zeros_drawn(names: set[str]) -> Iterator[None]:
    """Let PyTorch draw zeros, and take down the names of the functions that are asked."""
    before = {name: getattr(torch, name) for name in _DRAW}

    def drawn(name: str, zeros: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        names.add(name)
        kwargs.pop("generator", None)
        return zeros(*args, **kwargs)

    for name, zeros in _DRAW.items():
        setattr(torch, name, partial(drawn, name, zeros))
    try:
        yield
    finally:
        for name, draw in before.items():
            setattr(torch, name, draw)


class Watch:
    """Finds out which networks a loss calls, and with which images.

    Attributes:
        made: The calls that were seen.
        strangers: Symbols of networks that were called with something else than known images.
        mixed: The subjects of the images of each call that puts those of different ones together.
        partial: The subjects that are judged, where others of the batch are not.
    """

    def __init__(self, loss: Loss, scene: Scene) -> None:
        self.made: dict[Call, None] = {}
        self.strangers: dict[str, None] = {}
        self.mixed: dict[Call, list[tuple[int, ...]]] = {}
        self.partial: dict[Call, list[int]] = {}
        self._asked, self._n = loss.calls, scene.n
        self._parts: dict[tuple[str, tuple[str, ...]], set[tuple[int, ...]]] = {}
        self._known = [
            (_mark(row), name, i)
            for name, image in scene.images.items()
            for i, row in enumerate(image[0])
        ]
        self._handles = [
            network.register_forward_hook(partial(self._called, symbol), with_kwargs=True)
            for symbol, network in scene.networks.items()
        ]

    @property
    def calls(self) -> list[Call]:
        """The calls, each after those that make its images, beginning with those asked for."""
        return list(dict.fromkeys((*self._asked, *self.made)))

    def stop(self) -> None:
        """Stop watching, and put together what was called subject by subject."""
        for handle in self._handles:
            handle.remove()
        for (symbol, names), places in self._parts.items():
            alone = {i for place in places for i in place}
            if self._take_down(symbol, names, places):
                continue
            if len(alone) == 1 and alone <= {0, self._n - 1}:
                self.made[Call(symbol, names, "first" if alone == {0} else "last")] = None
            elif any(len({*place}) > 1 for place in places):
                self.mixed[Call(symbol, names)] = sorted(places)
            else:
                self.partial[Call(symbol, names)] = sorted(alone)

    def name_of(self, image: Tensor) -> str:
        """Return the name of a batch of images."""
        rows = [self._find(row) for row in image]
        return " and ".join(sorted({row[0] if row else "something else" for row in rows}))

    def _find(self, row: Tensor) -> tuple[str, int] | None:
        """Return the name of the image that `row` is, and its place in the batch."""
        mark = _mark(row)
        for known, name, i in self._known:
            if abs(known - mark) <= 1e-5 * (1 + abs(mark)):
                return name, i
        return None

    def _called(
        self, symbol: str, network: nn.Module, args: tuple, kwargs: dict, output: Tensor
    ) -> None:
        order = list(inspect.signature(network.forward).parameters)
        images = [*args, *(kwargs[name] for name in sorted(kwargs, key=order.index))]
        found = [[self._find(row) for row in image] for image in images]
        rows = [[place for place in row if place] for row in found]
        if rows != found:
            self.strangers[symbol] = None
            return
        groups: dict[tuple[str, ...], set[tuple[int, ...]]] = {}
        for k, subject in enumerate(zip(*rows, strict=True)):
            call = Call(symbol, tuple(name for name, _ in subject))
            groups.setdefault(call.inputs, set()).add(tuple(place for _, place in subject))
            if not call.is_judge:
                self.made[call] = None
                self._known.append((_mark(output[k]), call.name, subject[0][1]))
        for names, places in groups.items() if symbol.startswith("D") else ():
            if not self._take_down(symbol, names, places):
                self._parts.setdefault((symbol, names), set()).update(places)

    def _take_down(self, symbol: str, names: tuple[str, ...], places: set) -> bool:
        """Take down a call of all subjects in an order that is known; return False if it is not."""
        for order, mixed in ORDERS.items():
            first = mixed(torch.arange(self._n)[None])[0].tolist()
            if places == set(zip(first, *[range(self._n)] * (len(names) - 1), strict=True)):
                self.made[Call(symbol, names, order)] = None
                return True
        return False


def _mark(row: Tensor) -> float:
    """Return a number by which an image is known again, NaN if it has another size."""
    flat = row.detach().double().flatten()
    return float(flat @ _DIRECTION) if len(flat) == len(_DIRECTION) else float("nan")
