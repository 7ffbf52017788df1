"""Probes of the networks: the same numbers go in, whatever the layers are called.

Fixed weights are given to the parameters in the order in which the forward pass first uses them.
So attribute names, the order of definition, given or own layers and functional calls make no
difference; only what is computed does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from labhelpers.checks.cases import Case, Observer, Setting
from labhelpers.checks.fingerprint import fill, hashed
from labhelpers.checks.trace import LayerWatch, output_entry

__all__ = ["discriminator", "discriminator_cycle", "generator_unet"]


def generator_unet(answer: Any, setting: Setting) -> Iterator[Case]:
    """Try the generator with one channel and with several."""
    in_channels, out_channels = setting.pick((2, 3), (3, 2))

    def default(observer: Observer) -> None:
        _try(answer(), [1], setting, observer)

    def channels(observer: Observer) -> None:
        network = answer(in_channels=in_channels, out_channels=out_channels)
        _try(network, [in_channels], setting, observer, brief=True)

    yield Case("default channels", default)
    yield Case(f"in_channels={in_channels}, out_channels={out_channels}", channels)


def discriminator(answer: Any, setting: Setting) -> Iterator[Case]:
    """Try the discriminator of an image and its condition."""
    yield from _discriminators(answer, setting, n_inputs=2)


def discriminator_cycle(answer: Any, setting: Setting) -> Iterator[Case]:
    """Try the discriminator of an image alone."""
    yield from _discriminators(answer, setting, n_inputs=1)


def _discriminators(answer: Any, setting: Setting, n_inputs: int) -> Iterator[Case]:
    in_channels = setting.pick(2, 3)

    def default(observer: Observer) -> None:
        _try(answer(), [1] * n_inputs, setting, observer)

    def channels(observer: Observer) -> None:
        _try(answer(in_channels=in_channels), [in_channels] * n_inputs, setting, observer)

    yield Case("default channels", default)
    yield Case(f"in_channels={in_channels}", channels)


def _try(
    network: Any, channels: Sequence[int], setting: Setting, observer: Observer, brief: bool = False
) -> None:
    """Look at what a new network computes, forwards and backwards.

    Args:
        network: What the student's class returned.
        channels: Number of channels of each input.
        setting: Seeds and number type.
        observer: Takes what was seen.
        brief: Take one image, and leave out repetition and evaluation mode, for a large network.
    """
    if not isinstance(network, nn.Module):
        raise TypeError(f"Expected a network (an nn.Module), got a {type(network).__name__}.")
    lazy = any(isinstance(parameter, UninitializedParameter) for parameter in network.parameters())
    if not lazy:
        observer("parameters", _count(network))
    network.to(setting.dtype)
    batch = 1 if brief else setting.pick(2, 3)
    used = _watched(network, _inputs(batch, channels, setting), observer)[1]
    if lazy:  # lazy layers get their size from the first batch
        observer("parameters", _count(network))

    own = list(network.parameters())
    own_ids = {id(parameter) for parameter in own}
    used_ids = {id(parameter) for parameter in used}
    observer("registered", _belonging(len(used_ids & own_ids), len(used_ids)))
    unused = [parameter for parameter in own if id(parameter) not in used_ids]
    fill([p for p in used if id(p) in own_ids] + unused, setting.seed(300))

    inputs = [x.requires_grad_() for x in _inputs(batch, channels, setting)]
    output, _ = _watched(network, inputs, observer, numbers=True)
    if not brief:
        with torch.no_grad():
            again = network(*inputs)
        same = torch.isclose(output, again, rtol=1e-3, atol=1e-5, equal_nan=True).all()
        observer("repeatable", bool(same) if used else "no weight is used")
    observer("shape", f"{tuple(output.shape)} from a batch of {batch}")
    observer("range", bool(output.detach().abs().max() <= 1))
    observer("values", output.reshape(-1))
    _look_at_gradients(network, inputs, output, observer)
    if not brief:
        with torch.no_grad():
            network.eval()
            observer("evaluation", network(*_inputs(1, channels, setting)).reshape(-1))


def _belonging(own: int, used: int) -> str:
    if used == 0:
        return "no weight is used"
    if own == 0:
        return "none of them"
    return "all of them" if own == used else "some of them"


def _look_at_gradients(
    network: nn.Module, inputs: list[Tensor], output: Tensor, observer: Observer
) -> None:
    if not output.requires_grad:
        observer("input-gradient", "none: the output is cut off from the inputs and the weights")
        observer("gradients", "none of the weights gets a gradient")
        return
    network.zero_grad()
    (output * hashed(output.shape, 400, output.dtype)).sum().backward()
    nothing = "no gradient"
    observer("input-gradient", [nothing if x.grad is None else x.grad for x in inputs])
    gradients = [parameter.grad for parameter in network.parameters()]
    without = sum(gradient is None for gradient in gradients)
    told = f"{without} weight tensors without a gradient"
    observer("gradients", told if gradients else "there are no weights")


def _inputs(batch: int, channels: Sequence[int], setting: Setting) -> list[Tensor]:
    return [
        hashed((batch, n, 64, 64), setting.seed(500 + 40 * k + batch), setting.dtype)
        for k, n in enumerate(channels)
    ]


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _watched(
    network: nn.Module, inputs: list[Tensor], observer: Observer, numbers: bool = False
) -> tuple[Tensor, list[nn.Parameter]]:
    """Run a forward pass; return its output and the parameters in the order of their first use.

    What the layers did is written down as the trace, also if the pass stops half-way.

    Args:
        network: The network.
        inputs: What it is called with.
        observer: Takes the trace.
        numbers: Whether to write down what arrives at each layer, too.
    """
    watch = LayerWatch(numbers)
    try:
        with watch:
            output = network(*inputs)
    finally:
        observer("trace", watch.trace)
    if not isinstance(output, Tensor):
        name = type(output).__name__
        raise TypeError(f"Expected forward to return a tensor, got a {name}.")
    observer("trace", [*watch.trace, output_entry(output, numbers)])
    return output, watch.parameters
