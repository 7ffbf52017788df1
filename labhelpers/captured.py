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
from itertools import chain
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
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
    losses, other layers in training, weights that need no gradient or that were moved, and an
    optimizer that was loaded make another kind. The first calls of a kind run as they are. What the
    step does besides computing on the GPU is not repeated, so a step is not recorded that waits for
    the GPU (it reads or prints a value), that draws random numbers on the CPU, that keeps tensors
    for later or that changes the tensors that it is called with. It runs as it is, always.

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
                given = _tensors((arguments, named))
                before = [_version(tensor) for tensor in given]
                losses, obstacle = self._graphs.watch(step)
                if before != [_version(tensor) for tensor in given]:
                    obstacle = "it changes a tensor that it is called with"
                return self._give_up(obstacle, losses) if obstacle else losses
            try:
                self._recordings[kind] = _Recording(self._step, arguments, named, self._graphs)
            except Exception as error:  # the step went well before, so recording it is what failed
                reason = f"{type(error).__name__}: {error}".partition("\n")[0]
                return self._give_up(reason, step())
        recording = self._recordings[kind]
        return recording.replay(arguments, named) if recording.fits() else self._graphs.run(step)

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
        parts = list(_flat((arguments, named)))
        if any(isinstance(part, Tensor) and part.requires_grad for part in parts):
            raise ValueError("a tensor that it is called with needs a gradient")
        own_arguments, own_named = _copied((arguments, named))
        self._own = _tensors((own_arguments, own_named))
        self._weights = list(dict.fromkeys(weight for part in parts for weight in _weights(part)))
        before = [weight.grad for weight in self._weights]
        # What the recording reads or writes has to stay where it is.
        self._kept = arguments, named, before, [_memory_of(part) for part in parts]
        self._rates = [
            (group, torch.tensor(float(group["lr"]), device=group["params"][0].device))
            for part in parts
            if isinstance(part, Optimizer)
            for group in part.param_groups
            if not isinstance(group["lr"], Tensor)
        ]
        try:
            with _rates_on_device(self._rates):
                self._replay, self._losses = graphs.record(
                    lambda: step(*own_arguments, **own_named)
                )
            self._gradients = [weight.grad for weight in self._weights]
        finally:
            self._set_gradients(before)
        # A step that makes new gradients for those that it finds needs none of them. One that adds
        # to them, or that found none, is another step where it finds others.
        self._needed = [
            (weight, old)
            for weight, old, new in zip(self._weights, before, self._gradients, strict=True)
            if new is not None and (old is None or old is new)
        ]

    def fits(self) -> bool:
        """Return False if the step would find other gradients than the recorded one."""
        return all(weight.grad is gradient for weight, gradient in self._needed)

    def replay(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Make the step on other tensors of the same kind and return its losses."""
        for own, value in zip(self._own, _tensors((arguments, named)), strict=True):
            own.copy_(value)
        for group, rate in self._rates:
            rate.fill_(group["lr"])
        self._replay()
        self._set_gradients(self._gradients)  # as the step does, for whoever looks at them
        return _copied(self._losses)

    def _set_gradients(self, gradients: list[Tensor | None]) -> None:
        for weight, gradient in zip(self._weights, gradients, strict=True):
            if weight.grad is not gradient:
                weight.grad = gradient


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


def _flat(value: Any) -> Iterator[Any]:
    """Yield what is in nested tuples, lists and dictionaries."""
    if isinstance(value, (tuple, list)):
        for part in value:
            yield from _flat(part)
    elif isinstance(value, dict):
        yield from _flat(list(value.values()))
    else:
        yield value


def _tensors(value: Any) -> list[Tensor]:
    return [part for part in _flat(value) if isinstance(part, Tensor)]


def _version(tensor: Tensor) -> int:
    """Return how often a tensor was changed in place."""
    return 0 if tensor.is_inference() else tensor._version


def _layers(network: nn.Module) -> list[nn.Module]:
    """Return all layers of a network, as its `modules` does in several times the time."""
    layers = [network]
    seen = {network}
    for layer in layers:  # which grows
        for part in layer._modules.values():
            if part is not None and part not in seen:
                seen.add(part)
                layers.append(part)
    return layers


def _weights(part: Any) -> Iterator[Tensor]:
    if isinstance(part, nn.Module):
        yield from part.parameters()
    elif isinstance(part, Optimizer):
        for group in part.param_groups:
            yield from group["params"]


def _memory_of(part: Any) -> list[Any]:
    """Return what keeps the memory of a network or of an optimizer, whatever becomes of them."""
    numbers = [*part.parameters(), *part.buffers()] if isinstance(part, nn.Module) else []
    kept: list[Any] = [number.detach() for number in numbers]
    if isinstance(part, Optimizer):
        kept += [*part.state.values(), *part.param_groups]
    return kept


def _kind(value: Any) -> Any:
    """Return what has to be the same in two calls for one recording to serve both.

    It is asked for at every step, which a GPU makes in a thousandth of a second.
    """
    if isinstance(value, Tensor):
        return value.shape, value.dtype, value.device, value.requires_grad
    if isinstance(value, nn.Module):
        kind: list[Any] = []
        for layer in _layers(value):
            kind += (id(layer), layer.training)
            for numbers in (layer._parameters, layer._buffers):
                for number in numbers.values():
                    if not (number is None or is_lazy(number)):
                        # Moved to another device and back it is the same one, in other memory.
                        kind += (id(number), number.data_ptr(), number.requires_grad)
        return tuple(kind)
    if isinstance(value, Optimizer):
        groups = [
            _kind({name: part for name, part in group.items() if name not in ("params", "lr")})
            for group in value.param_groups
        ]
        parts = (*value.state.values(), *value.param_groups)
        weights = chain.from_iterable(group["params"] for group in value.param_groups)
        rates = (group["lr"] for group in value.param_groups)
        used = (*parts, *weights, *(rate for rate in rates if isinstance(rate, Tensor)))
        return id(value), tuple(map(id, used)), tuple(groups)
    if isinstance(value, (tuple, list)):
        return tuple([_kind(part) for part in value])
    if isinstance(value, dict):
        return tuple([(name, _kind(part)) for name, part in value.items()])
    return value if isinstance(value, (int, float, str)) else id(value)


def _copied(value: Any) -> Any:
    """Return tensors that the next replay does not change, and all else as it is."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, tuple):
        parts = map(_copied, value)
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, list):
        return [_copied(part) for part in value]
    if isinstance(value, dict):
        return {name: _copied(part) for name, part in value.items()}
    return value
