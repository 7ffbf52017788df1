"""Record the layers that a network runs through, and compare them with the expected ones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile, zip_longest
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from labhelpers.checks.fingerprint import observe, same
from labhelpers.checks.kernels import compute
from labhelpers.checks.records import LayerRecord
from labhelpers.checks.report import Table

__all__ = ["LayerTrace", "layer_table", "matching_layers", "output_entry"]

_NAMES = {
    "conv2d": "Conv2d",
    "conv_transpose2d": "ConvTranspose2d",
    "linear": "Linear",
    "batch_norm": "BatchNorm",
    "instance_norm": "InstanceNorm",
}
_OUTPUT = "output"


class LayerTrace(TorchFunctionMode):
    """Records the functions that compute with parameters, whoever calls them.

    A layer is what computes with a parameter and another tensor: a module of PyTorch, a module of
    the student's own, or a functional call. What has no weights lies between two layers. Layers
    run sooner than by themselves, see `kernels`.

    Args:
        numbers: Whether to write down what arrives at each layer, too.

    Attributes:
        parameters: The parameters, in the order in which any function first computes with them.
        layers: One entry per layer, in the order of execution.
    """

    def __init__(self, numbers: bool = False) -> None:
        super().__init__()
        self.parameters: list[nn.Parameter] = []
        self.layers: list[LayerRecord] = []
        self._numbers = numbers
        self._seen: set[int] = set()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        tensors = [x for x in _flat((*args, *kwargs.values())) if isinstance(x, Tensor)]
        parameters = [x for x in tensors if isinstance(x, nn.Parameter) and not is_lazy(x)]
        parameters.sort(key=lambda p: -p.ndim)  # the weight before the bias, in whatever order
        others = [x for x in tensors if not isinstance(x, nn.Parameter)]
        if parameters and others:
            self._enter(_name(func, parameters[0]), others[0])
        result = compute(func, args, kwargs)
        is_tensor = isinstance(result, Tensor)
        if parameters and others:
            self._leave(result if is_tensor else None)
        if is_tensor:  # asking a parameter for its size is no computation
            for parameter in parameters:
                if id(parameter) not in self._seen:
                    self._seen.add(id(parameter))
                    self.parameters.append(parameter)
        return result

    def _enter(self, layer: str, input: Tensor) -> None:
        entry = LayerRecord(layer=layer, input=list(input.shape), output=None)
        if self._numbers:
            entry["values"] = observe(input)
        self.layers.append(entry)

    def _leave(self, result: Tensor | None) -> None:
        if result is None:
            self.layers.pop()
        else:
            self.layers[-1]["output"] = list(result.shape)


def output_entry(output: Tensor, numbers: bool = False) -> LayerRecord:
    """Return the entry that closes a trace: what the network puts out."""
    entry = LayerRecord(layer=_OUTPUT, input=list(output.shape), output=list(output.shape))
    if numbers:
        entry["values"] = observe(output)
    return entry


def _name(func: Any, weight: Tensor) -> str:
    """Name a function and the size of its weight as a table of layers does."""
    name = getattr(func, "__name__", "function")
    channels = list(weight.shape[:2])
    if name != "conv_transpose2d":  # all others have the output's channels first
        channels.reverse()
    kernel = ", " + "×".join(map(str, weight.shape[2:])) if weight.ndim > 2 else ""
    return f"{_NAMES.get(name, name)} {'→'.join(map(str, channels))}{kernel}"


def _flat(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _flat(value)
        else:
            yield value


def layer_table(
    trace: list[LayerRecord], expected: list[LayerRecord], tolerance: float
) -> Table | None:
    """Return the layers of a network beside the expected ones, down to the first difference.

    Args:
        trace: What a `LayerTrace` wrote down, possibly cut short by an error.
        expected: The same of the right network, for the same inputs and weights.
        tolerance: How far numbers may differ, see `fingerprint.same`.

    Returns:
        A table of step, layer and shapes with a remark, or None if there is no difference.
    """
    rows: list[tuple[str, ...]] = []
    for step, (got, wanted) in enumerate(zip_longest(trace, expected), start=1):
        number = f"{step:2}"
        if _agree(got, wanted, tolerance):
            rows.append((number, *_words(got), "as expected"))
            continue
        note = ""
        if _without_values(got) == _without_values(wanted):
            rows.append((number, *_words(got), "other numbers"))
            note = "Look at what comes before step 1."
            if step > 1:
                note = f"Look at what lies between steps {step - 1} and {step}."
        else:
            rows.append((number, *_words(got), "got"))
            rows.append(("", *_words(wanted), "expected"))
        return Table(
            "layers, down to the first difference",
            ("step", "layer", "input -> output", ""),
            rows,
            note,
        )
    return None


def matching_layers(trace: list[LayerRecord], expected: list[LayerRecord], tolerance: float) -> int:
    """Return the number of first layers at which the expected numbers arrive.

    An entry without numbers agrees with none that has them: shapes alone are easy to write down.
    """
    agree = (
        ("values" in got or "values" not in wanted) and _agree(got, wanted, tolerance)
        for got, wanted in zip(trace, expected, strict=False)
    )
    return sum(takewhile(bool, agree))


def _agree(got: LayerRecord | None, wanted: LayerRecord | None, tolerance: float) -> bool:
    if _without_values(got) != _without_values(wanted):
        return False
    values = [entry["values"] for entry in (got, wanted) if entry and "values" in entry]
    return len(values) < 2 or same(values[0], values[1], tolerance)


def _without_values(entry: LayerRecord | None) -> dict[str, Any]:
    return {key: value for key, value in (entry or {}).items() if key != "values"}


def _words(entry: LayerRecord | None) -> tuple[str, str]:
    if entry is None:
        return "nothing more", ""
    output = "stopped here" if entry["output"] is None else str(tuple(entry["output"]))
    if entry["layer"] == _OUTPUT:
        return "output of the network", output
    return entry["layer"], f"{tuple(entry['input'])} -> {output}"
