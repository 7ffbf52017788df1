"""Record which layers a network runs, what each of them reads, and what happens in between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, is_grad_enabled, nn
from torch.nn.utils import parametrize

from labhelpers.checks.trace import LayerTrace

__all__ = ["UNRECORDED", "Flow", "FlowTrace", "Joined", "Step"]


#: What stands behind an operation while gradients are switched off.
UNRECORDED = " without gradients"


@dataclass(frozen=True)
class Joined:
    """Tensors that an operation makes one of.

    Attributes:
        how: The operation, such as `"axis 1"` for a concatenation along this axis.
        parts: What it takes, in order.
    """

    how: str
    parts: tuple[Flow, ...]


@dataclass(frozen=True)
class Flow:
    """Where a tensor comes from.

    Attributes:
        root: The number of a step, the name of an input, or several tensors that were joined.
        operations: What was done since, in words and in order.
    """

    root: int | str | Joined
    operations: tuple[str, ...] = ()

    def paths(self) -> list[tuple[int | str, tuple[str, ...]]]:
        """Return the step or the input behind each part, and all that was done since."""
        if isinstance(self.root, Joined):
            return [
                (root, before + self.operations)
                for part in self.root.parts
                for root, before in part.paths()
            ]
        return [(self.root, self.operations)]


@dataclass
class Step:
    """A layer with weights, each time it runs.

    Attributes:
        name: What the network calls it, such as `"down1"`.
        kind: `"Conv2d"`, `"ConvTranspose2d"` or `"Linear"`.
        fields: Its sizes by name, in words.
        reads: Where its input comes from.
        is_registered: Whether its weights belong to the network.
        x: Its input.
        y: Its output, None if it failed.
        weight: Its weights.
        fits: Whether its input has as many channels as it takes.
        frozen: What of it has a `requires_grad` that is False: `"weights"`, `"biases"`, or `""`.
    """

    name: str
    kind: str
    fields: dict[str, str]
    reads: Flow | None
    is_registered: bool = True
    x: Tensor | None = None
    y: Tensor | None = None
    weight: Tensor | None = None
    fits: bool = True
    frozen: str = ""


#: Layers, with the names of their positional arguments and the defaults of those.
_LAYERS = {
    "conv2d": ("Conv2d", ("stride", "padding", "dilation", "groups")),
    "conv_transpose2d": (
        "ConvTranspose2d",
        ("stride", "padding", "output_padding", "groups", "dilation"),
    ),
    "linear": ("Linear", ()),
}
_DEFAULTS = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "output_padding": 0}
_WORDS = {
    "instance_norm": "instance normalisation",
    "batch_norm": "batch normalisation",
    "layer_norm": "layer normalisation",
    "group_norm": "group normalisation",
    "relu": "ReLU",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "add": "addition",
    "mul": "multiplication",
    "sub": "subtraction",
    "div": "division",
    "detach": "detach",
    "getitem": "a part of it by index",
    "gt": "a comparison (>)",
    "ge": "a comparison (>=)",
    "lt": "a comparison (<)",
    "le": "a comparison (<=)",
    "eq": "a comparison (==)",
}
_JOINING = {"cat", "concat", "concatenate", "hstack", "vstack"}
# What changes no number.
_SILENT = {"clone", "contiguous", "to", "double", "float", "type_as", "requires_grad_", "cpu"}


class FlowTrace(LayerTrace):
    """Records steps and flows besides what a `LayerTrace` records.

    A layer whose input has another number of channels than it takes gets the first ones, or these
    again, so that the layers behind it are seen as well.

    Args:
        network: The network that will run.
        inputs: Its inputs by name.

    Attributes:
        steps: The layers that ran.
        open: The modules of the network that were entered and not left, by name, the outermost
            first, each with where its inputs come from. Of interest after an error only.
        failed: Where the inputs of the operation come from that raised an error.
    """

    def __init__(self, network: nn.Module, inputs: dict[str, Tensor]) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self.open: list[tuple[str, nn.Module, list[Flow]]] = []
        self.failed: Flow | None = None
        self._flows = {id(tensor): Flow(name) for name, tensor in inputs.items()}
        self._alive: list[Any] = [*inputs.values()]  # so that no id is used twice
        named = [*network.named_parameters(remove_duplicate=False)]
        self._names = {id(p): name for name, p in reversed(named)}  # the first name of each
        self._hooks = [
            hook
            for name, module in network.named_modules()
            if name
            for hook in (
                module.register_forward_pre_hook(self._entering(name), with_kwargs=True),
                module.register_forward_hook(self._leaving),
            )
        ]

    def __exit__(self, *error: Any) -> None:
        for hook in self._hooks:
            hook.remove()
        return super().__exit__(*error)

    def flow_of(self, tensor: Any) -> Flow | None:
        """Return where a tensor comes from, None if that is unknown."""
        return self._flows.get(id(tensor))

    def _entering(self, name: str) -> Any:
        def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
            tensors = [x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)]
            flows = [flow for x in tensors if (flow := self.flow_of(x))]
            self.open.append((name, module, flows))

        return enter

    def _leaving(self, *_: Any) -> None:
        self.open.pop()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "function").removesuffix("_")
        if name in _LAYERS:
            self.steps.append(self._step(name, args, kwargs))
            flow: Flow | None = Flow(len(self.steps))
            self.failed = None
            args, kwargs = _fitted(self.steps[-1], args, kwargs)
        else:
            flow = self.failed = self._flow(name, args, kwargs)
        result = super().__torch_function__(func, types, args, kwargs)
        self.failed = None
        self._note_filling(getattr(func, "__name__", ""), args)
        if name in _LAYERS:
            self.steps[-1].y = result
        if isinstance(result, Tensor) and flow:
            self._alive.append(result)
            self._flows[id(result)] = flow
        return result

    def _note_filling(self, name: str, args: tuple) -> None:
        """Note that it is unknown what a tensor holds of which a part was changed in place."""
        target = args[0] if args and isinstance(args[0], Tensor) else None
        is_part = name == "__setitem__"
        if target is None or not (is_part or (name.endswith("_") and not name.endswith("__"))):
            return
        for filled in (target if is_part else None, target._base):
            if filled is not None:
                self._flows[id(filled)] = Flow("?")
                self._alive.append(filled)

    def _step(self, name: str, args: tuple, kwargs: dict[str, Any]) -> Step:
        kind, options = _LAYERS[name]
        given = dict(zip(("input", "weight", "bias", *options), args, strict=False)) | kwargs
        x, weight = given["input"], given["weight"]
        channels = [str(n) for n in weight.shape[:2]]
        if kind != "ConvTranspose2d":  # all others have the output's channels first
            channels.reverse()
        fields = {"input channels": channels[0], "output channels": channels[1]}
        if weight.ndim > 2:
            fields["kernel"] = "×".join(map(str, weight.shape[2:]))
        for option in options:
            value = given.get(option, _DEFAULTS[option])
            fields[option] = _size(value)
        fields["bias"] = "no" if given.get("bias") is None else "yes"
        path, is_registered = self._name(weight)
        fields["weights"] = self._weights(weight)
        fields["gradients"] = "recorded" if is_grad_enabled() else "switched off"
        named = {"weights": weight, "biases": given.get("bias")}
        frozen = (name for name, p in named.items()
                  if isinstance(p, nn.Parameter) and not p.requires_grad)  # fmt: skip
        return Step(
            *(path, kind, fields, self.flow_of(x), is_registered, x),
            weight=weight,
            frozen=next(frozen, ""),
        )

    def _name(self, weight: Tensor) -> tuple[str, bool]:
        """Return what the network calls the layer of a weight, and whether it is a part of it."""
        if id(weight) in self._names:
            return self._names[id(weight)].rpartition(".")[0], True
        innermost = self.open[-1][0] if self.open else ""
        return innermost, not isinstance(weight, nn.Parameter)

    def _weights(self, weight: Tensor) -> str:
        if isinstance(weight, nn.Parameter):
            return "its own"
        module = self.open[-1][1] if self.open else None
        if hasattr(module, "weight_u") or (module and "SpectralNorm" in _parametrizations(module)):
            return "spectrally normalised"
        return "computed from others"

    def _flow(self, name: str, args: tuple, kwargs: dict[str, Any]) -> Flow | None:
        """Return where the result of an operation comes from."""
        flows = [f for x in _tensors((*args, *kwargs.values())) if (f := self.flow_of(x))]
        if not flows:
            return None
        if len(flows) > 1:
            how = _WORDS.get(name, name)
            if name in _JOINING:
                default = {"hstack": 1}.get(name, 0)
                axis = kwargs.get("dim", args[1] if len(args) > 1 else default)
                first = next(_tensors(args), None)
                how = f"axis {axis % first.ndim if first is not None else axis}"
            return Flow(Joined(how, tuple(flows)))
        is_one = len([*_tensors((*args, *kwargs.values()))]) == 1
        word = "" if name in _JOINING and is_one else _operation(name, args, kwargs)
        if word and not is_grad_enabled():
            word += UNRECORDED
        return Flow(flows[0].root, (*flows[0].operations, word)) if word else flows[0]


def _fitted(step: Step, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    """Return the arguments of a layer, with as many channels of its input as it takes."""
    x, axis = step.x, 1 if step.kind != "Linear" else -1
    taken = int(step.fields["input channels"]) * int(step.fields.get("groups", "1"))
    if step.kind == "ConvTranspose2d":
        taken = int(step.fields["input channels"])
    if x is None or x.ndim < 2 or x.ndim != (2 if step.kind == "Linear" else 4):
        return args, kwargs
    n = x.shape[axis]
    if n in (0, taken):
        return args, kwargs
    step.fits = False
    x = x.index_select(axis, torch.arange(taken) % n)
    return ((x, *args[1:]), kwargs) if args else (args, kwargs | {"input": x})


def _operation(name: str, args: tuple, kwargs: dict[str, Any]) -> str:
    """Return what an operation on one tensor does, "" if it changes no number."""
    if name in _SILENT:
        return ""
    if name == "leaky_relu":
        slope = kwargs.get("negative_slope", args[1] if len(args) > 1 else 0.01)
        return f"leaky ReLU {slope:g}"
    if "dropout" in name:
        return "dropout" if kwargs.get("training", True) and kwargs.get("p", 0.5) else ""
    if name == "interpolate":
        scale, mode = kwargs.get("scale_factor"), kwargs.get("mode", "nearest")
        return f"upsampling{f' ×{scale:g}' if isinstance(scale, (int, float)) else ''} ({mode})"
    words = name.replace("_", " ").strip()
    return _WORDS.get(name) or _WORDS.get(words, words)


def _size(value: Any) -> str:
    sizes = {str(x) for x in value} if isinstance(value, (tuple, list)) else {str(value)}
    return sizes.pop() if len(sizes) == 1 else "×".join(map(str, value))


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _tensors(value)
        elif isinstance(value, Tensor):
            yield value


def _parametrizations(module: nn.Module) -> str:
    if not parametrize.is_parametrized(module):
        return ""
    return " ".join(
        type(p).__name__ for p in module.get_submodule("parametrizations.weight").children()
    )
