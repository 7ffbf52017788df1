"""Run a network once and take down what it did: its layers, where they are kept, its changes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from labhelpers.checks.cases import Setting
from labhelpers.checks.explanations.flow import Flow, FlowTrace, Joined, Step
from labhelpers.checks.fingerprint import fill
from labhelpers.checks.probes import networks as probes

__all__ = ["Memory", "Seen", "watch"]

_SETTING = Setting()
_ABSENT = object()
_OF_TORCH = vars(nn.Module()).keys()
_CONTAINERS = {"list": "nn.ModuleList", "tuple": "nn.ModuleList", "dict": "nn.ModuleDict"}


@dataclass
class Seen:
    """What a network did.

    Attributes:
        steps: Its layers in the order in which they ran; the last one may have failed.
        tensors: Its inputs by name, as they were given, and `"output"` if there is one.
        changed: Names of the inputs that it works on in place.
        is_complete: Whether it ran to its end.
        output: Where its output comes from, None if that is no tensor.
        unused: Names of its layers that did not run.
        entered: The block or operation that was to run next when an error came up, with where its
            inputs come from.
        homes: Where the layers are kept that do not belong to the network, as a sentence.
    """

    steps: list[Step]
    tensors: dict[str, Tensor]
    changed: Sequence[str] = ()
    is_complete: bool = False
    output: Flow | None = None
    unused: Sequence[str] = ()
    entered: tuple[str, Flow] | None = None
    homes: str = ""


class Memory:
    """What a network keeps of a call, beside its weights, that changes what the next one returns.

    Args:
        network: A network that has not been called yet. It is called here.
        channels: The channels of each input.

    Attributes:
        names: The names of the attributes that hold it.
    """

    def __init__(self, network: nn.Module, channels: Sequence[int]) -> None:
        self._network = network
        found = {
            (owner, name): value
            for (owner, name), value in _attributes(network).items()
            if not isinstance(owner, type) or _holds_tensors(value)
        }
        self._at_first = {  # what a class holds may come from another network
            (owner, name): _emptied(value) if isinstance(owner, type) else value
            for (owner, name), value in found.items()
        }
        self.names: list[str] = []
        with torch.random.fork_rng([]), torch.no_grad(), suppress(Exception):
            self._find(*(probes.inputs(1, channels, Setting(k, torch.float32)) for k in (0, 1)))
        if not self.names:
            self._at_first = found
        self.empty()

    def empty(self, *_: Any) -> None:
        """Forget what was kept."""
        for (owner, name), value in self._at_first.items():
            if value is not _ABSENT:
                setattr(owner, name, copy(value))
            elif name in vars(owner):
                delattr(owner, name)

    def _find(self, one: list[Tensor], other: list[Tensor]) -> None:
        """Call the network with one input and then with another, with and without what it kept."""
        self.empty()
        self._returned(one)
        kept = {key: x for key, x in _attributes(self._network).items() if _holds_tensors(x)}
        self._at_first = {key: self._at_first.get(key, _ABSENT) for key in kept}
        self.empty()
        alone = self._returned(other) if kept else None
        for owner, name in kept:
            self.empty()
            if alone is None or not torch.equal(self._returned(other), alone):
                return  # it depends on something else
            self.empty()
            setattr(owner, name, kept[owner, name])
            if not torch.allclose(self._returned(other), alone, rtol=1e-3, atol=1e-5):
                self.names.append(name)

    def _returned(self, given: list[Tensor]) -> Tensor:
        torch.manual_seed(0)
        return self._network(*given)


def _attributes(network: nn.Module) -> dict[tuple[Any, str], Any]:
    """Return the attributes of all modules, and of their classes, by who has them."""
    return {
        (owner, name): copy(value) if isinstance(value, (list, dict, deque)) else value
        for module in network.modules()
        for owner in (module, *type(module).__mro__)
        if owner not in nn.Module.__mro__
        for name, value in vars(owner).items()
        if name not in _OF_TORCH
    }


def _emptied(value: Any) -> Any:
    return None if isinstance(value, Tensor) else type(value)()


def _holds_tensors(value: Any) -> bool:
    if isinstance(value, (list, tuple, dict, deque)):
        return any(map(_holds_tensors, value.values() if isinstance(value, dict) else value))
    return isinstance(value, Tensor)


def watch(
    network: nn.Module,
    channels: dict[str, int],
    gain: float | None = None,
    setting: Setting = _SETTING,
) -> Seen:
    """Run a network once and return what it did.

    Args:
        network: The network.
        channels: The channels of each input by name.
        gain: What its last layer is multiplied by, with fixed weights; None to leave the weights
            as they are.
        setting: Seeds and number type.
    """
    network.to(setting.dtype)
    # Two images where weights are fixed: what mixes the images of a batch shows.
    given = probes.inputs(1 if gain is None else 2, [*channels.values()], setting)
    if gain is not None:
        with FlowTrace(network, {}) as trace, suppress(Exception):
            network(*given)
        fill(trace.parameters, setting.seed(300))
        with torch.no_grad():
            for parameter in probes.last_layer(trace.parameters):
                parameter.mul_(gain)
    tensors = {name: x.clone() for name, x in zip(channels, given, strict=True)}
    versions = [x._version for x in given]
    trace = FlowTrace(network, dict(zip(channels, given, strict=True)))

    def changed() -> list[str]:
        states = zip(channels, given, versions, strict=True)
        return [name for name, x, version in states if x._version != version]

    try:
        with trace:
            output = network(*given)
    except Exception:
        if trace.steps and not trace.steps[-1].is_registered and setting.dtype != torch.float32:
            # Weights that are not the network's keep their own type.
            return watch(network, channels, gain, replace(setting, dtype=torch.float32))
        entered = _entered(trace)
        _shorten_names(trace.steps, network)
        return Seen(trace.steps, tensors, changed(), entered=entered)
    _shorten_names(trace.steps, network)
    if not isinstance(output, Tensor):
        return Seen(trace.steps, tensors, changed(), is_complete=True)
    used = {id(parameter) for parameter in trace.parameters}
    parameters = network.named_parameters()
    unused = {name.split(".")[0] for name, parameter in parameters if id(parameter) not in used}
    unused -= {step.name.split(".")[0] for step in trace.steps}
    flow = trace.flow_of(output) or Flow("?")
    in_place = changed()
    homes = ""
    if not all(step.is_registered for step in trace.steps):
        homes = _homes(network, trace.parameters) or _made_anew(network, given, trace.parameters)
    tensors |= {"output": output}
    return Seen(trace.steps, tensors, in_place, True, flow, sorted(unused), homes=homes)


def _homes(network: nn.Module, used: list[nn.Parameter]) -> str:
    """Return which plain lists or dictionaries of a network hold layers that it uses."""
    own = {id(parameter) for parameter in network.parameters()}
    foreign = {id(parameter) for parameter in used} - own
    kinds: dict[str, list[str]] = {}
    for name, value in vars(network).items():
        if name.startswith("_") or not isinstance(value, (list, tuple, dict)):
            continue
        held = value.values() if isinstance(value, dict) else value
        modules = [module for module in held if isinstance(module, nn.Module)]
        if any(id(p) in foreign for module in modules for p in module.parameters()):
            kinds.setdefault(type(value).__name__, []).append(f"`{name}`")
    sentences = [
        f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} plain Python: a {kind} does "
        f"not register the layers in it, and PyTorch's `{_CONTAINERS[kind]}` does"
        f"{', with texts as keys' * (kind == 'dict')}."
        for kind, names in kinds.items()
        if kind in _CONTAINERS
    ]
    return " ".join(sentences)


def _made_anew(network: nn.Module, given: list[Tensor], used: list[nn.Parameter]) -> str:
    """Return that layers are made in every call, if another call uses others."""
    with FlowTrace(network, {}) as trace, suppress(Exception):
        network(*given)
    kept = {id(parameter) for parameter in network.parameters()}
    before = {id(parameter) for parameter in used} - kept
    if before & {id(parameter) for parameter in trace.parameters}:
        return ""
    return (
        "Layers are made inside `forward`, with new weights in every call: make them in "
        "`__init__`, once."
    )


def _entered(trace: FlowTrace) -> tuple[str, Flow] | None:
    """Return what was to run next, unless a layer failed or a layer of the block has run."""
    if trace.steps and trace.steps[-1].y is None:
        return None
    if trace.failed:
        return "", trace.failed
    if not trace.open:
        return None
    name, _, flows = trace.open[0]
    if not flows or any(f"{step.name}.".startswith(f"{name}.") for step in trace.steps):
        return None
    return name, flows[0] if len(flows) == 1 else Flow(Joined("axis 1", tuple(flows)))


def _shorten_names(steps: list[Step], network: nn.Module) -> None:
    """Shorten the paths of layers as far as they stay different: `down1.model.0` to `down1`."""
    paths = {f"{name.rpartition('.')[0]}." for name, _ in network.named_parameters()}
    paths |= {f"{step.name}." for step in steps}
    for step in steps:
        parts = step.name.split(".")
        shorter = [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
        step.name = next(
            (x for x in shorter if sum(path.startswith(f"{x}.") for path in paths) == 1), step.name
        )
