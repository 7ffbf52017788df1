"""Let a GPU repeat a training step as one CUDA graph, where the step allows it."""

from __future__ import annotations

import gc
import linecache
import pickle
import random
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

__all__ = ["Captured", "Graphs", "captured"]

_FIRST_STEPS = 3  # of each kind that run as they are; PyTorch's libraries prepare in them
_MOST_KINDS = 8  # a step with more of them is another one every time

_SYNCHRONISES = "called a synchronizing CUDA operation"  # PyTorch's warning

_Function = Callable[[], Any]


def captured(
    step: Callable[..., Any],
    device: torch.device | str,
    remark: Callable[[str], object] = lambda reason: None,
) -> Callable[..., Any]:
    """Return a function that does what `step` does, on an NVIDIA GPU in less time.

    A step on small networks is some hundred short operations, and Python takes longer to start each
    of them than the GPU to do it. A CUDA graph starts all of them at once. On other devices it is
    `step` itself.

    Args:
        step: Trains networks on the batch that it is called with, and returns losses.
        device: Where the networks and the batches are.
        remark: Called with the reason, if the step cannot be captured.
    """
    device = torch.device(device)
    return Captured(step, _CUDAGraphs(device), remark) if device.type == "cuda" else step


class Graphs(Protocol):
    """What records functions and repeats them."""

    def run(self, function: _Function) -> Any:
        """Return what `function` returns, called in the way in which it is recorded later."""

    def watch(self, function: _Function) -> tuple[Any, str]:
        """Do the same, and return why the function cannot be recorded, else an empty text."""

    def record(self, function: _Function) -> tuple[Callable[[], object], Any]:
        """Record what `function` computes, without computing it.

        Returns:
            A function that computes it, and the tensors that it computes.
        """


class Captured:
    """A training step that is recorded after a few calls, and repeated from then on.

    There is one recording for each kind of call: other shapes, networks, optimizers or weights of
    losses, other layers in training or weights that need no gradient make another kind. The first
    calls of a kind run as they are. What the step does besides computing on the GPU is not
    repeated, so a step is not recorded that waits for the GPU (it reads or prints a value), that
    draws random numbers on the CPU, or that keeps tensors for later. It runs as it is, always.

    Learning rates may change between the calls: a recording reads them from the optimizers.

    Args:
        step: What to record.
        graphs: How to record it.
        remark: Called with the reason, if the step cannot be recorded.
    """

    def __init__(
        self, step: Callable[..., Any], graphs: Graphs, remark: Callable[[str], object]
    ) -> None:
        self._step, self._graphs, self._remark = step, graphs, remark
        self._calls: Counter[Any] = Counter()  # by kind
        self._recordings: dict[Any, _Recording] = {}
        self._runs_as_it_is = False

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Make one step; the losses are those that `step` returns."""

        def step() -> Any:
            return self._step(*arguments, **named)

        if self._runs_as_it_is:
            return step()
        kind = _kind((arguments, named))
        if kind not in self._recordings:
            self._calls[kind] += 1
            if len(self._calls) > _MOST_KINDS:
                return self._give_up("its arguments are others at every call", step())
            if self._calls[kind] < _FIRST_STEPS:
                return self._graphs.run(step)
            if self._calls[kind] == _FIRST_STEPS:
                losses, obstacle = self._graphs.watch(step)
                return self._give_up(obstacle, losses) if obstacle else losses
            try:
                self._recordings[kind] = _Recording(self._step, arguments, named, self._graphs)
            except Exception as error:  # the step went well before, so recording it is what failed
                reason = f"{type(error).__name__}: {error}".partition("\n")[0]
                return self._give_up(reason, step())
        return self._recordings[kind].replay(arguments, named)

    def _give_up(self, reason: str, losses: Any) -> Any:
        self._runs_as_it_is = True
        self._recordings.clear()
        self._remark(reason)
        return losses


class _Recording:
    """A step on tensors of its own, recorded once.

    Raises:
        Exception: If the step cannot be recorded; then nothing has changed.
    """

    def __init__(
        self,
        step: Callable[..., Any],
        arguments: tuple[Any, ...],
        named: dict[str, Any],
        graphs: Graphs,
    ) -> None:
        own = {
            place: value.detach().clone()
            for place, value in _places(arguments, named)
            if isinstance(value, Tensor)
        }
        parts = list(_flat((arguments, named)))
        weights = [weight for part in parts for weight in _weights(part)]
        # What the recording reads or writes has to stay where it is.
        self._kept = arguments, named, gradients = arguments, named, [w.grad for w in weights]
        self._own = own
        self._rates = [
            (group, torch.tensor(float(group["lr"]), device=group["params"][0].device))
            for part in parts
            if isinstance(part, Optimizer)
            for group in part.param_groups
            if not isinstance(group["lr"], Tensor)
        ]
        own_arguments = [own.get(place, value) for place, value in enumerate(arguments)]
        own_named = {name: own.get(name, value) for name, value in named.items()}
        try:
            with _rates_on_device(self._rates):
                self._replay, self._losses = graphs.record(
                    lambda: step(*own_arguments, **own_named)
                )
        except Exception:
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad = gradient
            raise

    def replay(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Make the step on other tensors of the same kind and return its losses."""
        for place, value in _places(arguments, named):
            if place in self._own:
                self._own[place].copy_(value)
        for group, rate in self._rates:
            rate.fill_(group["lr"])
        self._replay()
        return _copied(self._losses)


class _CUDAGraphs:
    """Records on a stream of its own, as CUDA asks for, and watches what forbids it."""

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)
        self._device = device

    def run(self, function: _Function) -> Any:
        here = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(here)
        with torch.cuda.stream(self._stream):
            result = function()
        here.wait_stream(self._stream)
        return result

    def watch(self, function: _Function) -> tuple[Any, str]:
        states, memory = _random_states(), self._memory()
        mode = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                losses = _copied(self.run(function))  # if the step kept its own, these are more
            finally:
                torch.cuda.set_sync_debug_mode(mode)
        waits = [warning for warning in caught if _SYNCHRONISES in str(warning.message)]
        if waits:
            line = linecache.getline(waits[0].filename, waits[0].lineno).strip()
            is_own = not waits[0].filename.startswith(torch.__path__[0])
            return losses, "it reads or prints a value" + f": {line}" * is_own
        if states != _random_states():
            return losses, "it draws random numbers on the CPU"
        copies = sum(part.nbytes for part in _flat(losses) if isinstance(part, Tensor))
        return losses, "it keeps tensors" if self._memory() > memory + copies else ""

    def record(self, function: _Function) -> tuple[Callable[[], object], Any]:
        graph = torch.cuda.CUDAGraph()
        # A recording that fails would leave the GPU's random numbers unusable.
        numbers = torch.cuda.default_generators[self._stream.device_index]
        spare = numbers.clone_state()
        try:
            with torch.cuda.graph(graph, stream=self._stream):
                result = function()
        except BaseException:  # the stop button, too
            numbers.graphsafe_set_state(spare)
            raise
        return graph.replay, result

    def _memory(self) -> int:
        """Return the bytes that all tensors ask for."""
        gc.collect(1)  # what a step leaves behind is young
        return torch.cuda.memory_stats(self._device)["requested_bytes.all.current"]


def _random_states() -> bytes:
    """Return the states of the random numbers of the CPU."""
    return pickle.dumps((random.getstate(), np.random.get_state(), torch.get_rng_state().tolist()))


@contextmanager
def _rates_on_device(rates: list[tuple[dict[str, Any], Tensor]]) -> Iterator[None]:
    """Give the optimizers, for a while, learning rates that a recording can read."""
    before = [dict(group) for group, _ in rates]
    for group, rate in rates:
        group["lr"] = rate
        if "capturable" in group:
            group["capturable"] = True
    try:
        yield
    finally:
        for (group, _), old in zip(rates, before, strict=True):
            group.update(old)


def _places(arguments: tuple[Any, ...], named: dict[str, Any]) -> Iterator[tuple[int | str, Any]]:
    yield from enumerate(arguments)
    yield from named.items()


def _flat(value: Any) -> Iterator[Any]:
    """Yield what is in nested tuples, lists and dictionaries."""
    if isinstance(value, (tuple, list)):
        for part in value:
            yield from _flat(part)
    elif isinstance(value, dict):
        yield from _flat(list(value.values()))
    else:
        yield value


def _weights(part: Any) -> Iterator[Tensor]:
    if isinstance(part, nn.Module):
        yield from part.parameters()
    elif isinstance(part, Optimizer):
        for group in part.param_groups:
            yield from group["params"]


def _kind(value: Any) -> Any:
    """Return what has to be the same in two calls for one recording to serve both."""
    if isinstance(value, Tensor):
        return value.shape, value.dtype, value.device
    if isinstance(value, nn.Module):
        weights = tuple((id(weight), weight.requires_grad) for weight in value.parameters())
        return id(value), weights, tuple(layer.training for layer in value.modules())
    if isinstance(value, Optimizer):
        others = [
            {name: part for name, part in group.items() if name not in ("params", "lr")}
            for group in value.param_groups
        ]
        return id(value), repr(others)
    if isinstance(value, (tuple, list)):
        return tuple(map(_kind, value))
    if isinstance(value, dict):
        return tuple((name, _kind(part)) for name, part in value.items())
    return value if isinstance(value, (int, float, str)) else id(value)


def _copied(value: Any) -> Any:
    """Return losses that the next replay does not change."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, (tuple, list)):
        return type(value)(map(_copied, value))
    if isinstance(value, dict):
        return {name: _copied(part) for name, part in value.items()}
    return value
