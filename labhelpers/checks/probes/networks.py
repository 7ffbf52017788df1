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

from labhelpers.checks.cases import TRACE, Case, Log, Setting
from labhelpers.checks.fingerprint import fill, hashed
from labhelpers.checks.trace import LayerTrace, output_entry

__all__ = ["LARGE", "discriminator", "generator_unet", "inputs", "last_layer"]

#: What the last layer of a discriminator is multiplied by: the logits are about ±1 without.
LARGE = 100.0


def generator_unet(answer: Any, setting: Setting) -> Iterator[Case]:
    """Try the generator with one channel and with several."""
    in_channels, out_channels = setting.choose((2, 3), (3, 2))

    def default(log: Log) -> None:
        _try(answer(), [1], setting, log)

    def channels(log: Log) -> None:
        network = answer(in_channels=in_channels, out_channels=out_channels)
        _try(network, [in_channels], setting, log, brief=True)

    yield Case("default channels", default)
    yield Case(f"in_channels={in_channels}, out_channels={out_channels}", channels)


def discriminator(answer: Any, setting: Setting) -> Iterator[Case]:
    """Try the discriminator of an image and its condition."""
    in_channels = setting.choose(2, 3)

    def default(log: Log) -> None:
        _try(answer(), [1, 1], setting, log, negated=True)

    def channels(log: Log) -> None:
        network = answer(in_channels=in_channels)
        _try(network, [in_channels] * 2, setting, log, negated=True)

    yield Case("default channels", default)
    yield Case(f"in_channels={in_channels}", channels)


def _try(
    network: Any,
    channels: Sequence[int],
    setting: Setting,
    log: Log,
    brief: bool = False,
    negated: bool = False,
) -> None:
    """Look at what a new network computes, forwards and backwards.

    Args:
        network: What the student's class returned.
        channels: Number of channels of each input.
        setting: Seeds and number type.
        log: Takes what is observed.
        brief: Take one image, and leave out repetition, for a large network.
        negated: Make the last layer large, so that logits that are cut short show, and change its
            sign before evaluation mode: the few logits may all be positive, and now the first one
            is seen with either sign.
    """
    if not isinstance(network, nn.Module):
        raise TypeError(f"Expected a network (an nn.Module), got a {type(network).__name__}.")
    lazy = any(isinstance(parameter, UninitializedParameter) for parameter in network.parameters())
    if not lazy:
        log("parameters", _count(network))
    network.to(setting.dtype)
    batch = 1 if brief else setting.choose(2, 3)
    used = _traced(network, inputs(batch, channels, setting), log)[1]
    if lazy:  # lazy layers get their size from the first batch
        log("parameters", _count(network))

    own = list(network.parameters())
    own_ids = {id(parameter) for parameter in own}
    used_ids = {id(parameter) for parameter in used}
    log("registered", _belonging(len(used_ids & own_ids), len(used_ids)))
    unused = [parameter for parameter in own if id(parameter) not in used_ids]
    fill([p for p in used if id(p) in own_ids] + unused, setting.seed(300))
    with torch.no_grad():
        for parameter in last_layer(used) if negated else ():
            parameter.mul_(LARGE)

    given = [x.requires_grad_() for x in inputs(batch, channels, setting)]
    output, _ = _traced(network, given, log, numbers=True)
    if not brief:
        with torch.no_grad(), LayerTrace():  # which is sooner
            again = network(*given)
        same = torch.isclose(output, again, rtol=1e-3, atol=1e-5, equal_nan=True).all()
        log("repeatable", bool(same) if used else "no weight is used")
    log("shape", f"{tuple(output.shape)} from a batch of {batch}")
    log("range", bool(output.detach().abs().max() <= 1))
    log("values", output.reshape(-1))
    _log_gradients(network, given, output, log)
    with torch.no_grad(), LayerTrace():
        network.eval()
        one = [x[:1] for x in given] if negated else inputs(1, channels, setting)
        for parameter in last_layer(used) if negated else ():
            parameter.neg_()
        log("evaluation", network(*one).reshape(-1))


def last_layer(parameters: list[nn.Parameter]) -> list[nn.Parameter]:
    """Return the last weight, and the bias that follows it, of parameters in the order of use."""
    weights = [place for place, parameter in enumerate(parameters) if parameter.ndim > 1]
    return parameters[weights[-1] :] if weights else []


def _belonging(own: int, used: int) -> str:
    if used == 0:
        return "no weight is used"
    if own == 0:
        return "none of them"
    return "all of them" if own == used else "some of them"


def _log_gradients(network: nn.Module, inputs: list[Tensor], output: Tensor, log: Log) -> None:
    if not output.requires_grad:
        log("input-gradient", "none: the output is cut off from the inputs and the weights")
        log("gradients", "none of the weights gets a gradient")
        return
    network.zero_grad()
    (output * hashed(output.shape, 400, output.dtype)).sum().backward()
    nothing = "no gradient"
    log("input-gradient", [nothing if x.grad is None else x.grad for x in inputs])
    gradients = [parameter.grad for parameter in network.parameters()]
    without = sum(gradient is None for gradient in gradients)
    text = f"{without} weight tensors without a gradient"
    log("gradients", text if gradients else "there are no weights")


def inputs(batch: int, channels: Sequence[int], setting: Setting) -> list[Tensor]:
    """Return fixed images `(batch, channels, 64, 64)`, one tensor for each number of channels."""
    return [
        hashed((batch, n, 64, 64), setting.seed(500 + 40 * k + batch), setting.dtype)
        for k, n in enumerate(channels)
    ]


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _traced(
    network: nn.Module, inputs: list[Tensor], log: Log, numbers: bool = False
) -> tuple[Tensor, list[nn.Parameter]]:
    """Run a forward pass; return its output and the parameters in the order of their first use.

    What the layers did is written down as the trace, also if the pass stops half-way.

    Args:
        network: The network.
        inputs: What it is called with.
        log: Takes the trace.
        numbers: Whether to write down what arrives at each layer, too.
    """
    trace = LayerTrace(numbers)
    try:
        with trace:
            output = network(*inputs)
    finally:
        log(TRACE, trace.layers)
    if not isinstance(output, Tensor):
        name = type(output).__name__
        raise TypeError(f"Expected forward to return a tensor, got a {name}.")
    log(TRACE, [*trace.layers, output_entry(output, numbers)])
    return output, trace.parameters
