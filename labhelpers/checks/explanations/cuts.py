"""Tell what cuts off the answer of a discriminator from the loss that is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from labhelpers.checks.explanations.batches import Answer, Call, Scene
from labhelpers.checks.explanations.own_losses import graph_of
from labhelpers.checks.explanations.words import enumerated

__all__ = ["what_cuts"]

# What gives numbers without a graph, by what PyTorch calls it.
_CUTS = {name: name for name in ("detach", "detach_", "item", "numpy", "tolist")} | {
    "__float__": "float",
    "__array__": "numpy",
    "tensor": "torch.tensor",
}
_SWITCHES = ("no_grad", "set_grad_enabled")


class _Cuts(TorchFunctionMode):
    """Takes down what is cut off from its graph: by what, and the nodes of that graph."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, set[Any]]] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        name = _CUTS.get(getattr(func, "__name__", ""), "")
        if getattr(func, "__self__", None) is Tensor.data:
            name = "data"
        if name and args and isinstance(args[0], Tensor) and args[0].requires_grad:
            self.seen.append((name, graph_of(args[0])))
        return func(*args, **(kwargs or {}))


def what_cuts(answer: Answer, scene: Scene, lambdas: Sequence[float]) -> dict[str, str]:
    """Return why a call of a discriminator sends no gradient back, where it was seen.

    Args:
        answer: The student's loss.
        scene: Networks and images; the first batch is used.
        lambdas: Weights of the loss.

    Returns:
        Name of the call -> reason, as a part of a sentence.
    """
    images = {name: image[0] for name, image in scene.images.items()}
    outputs: dict[str, Tensor] = {}
    found: dict[str, str] = {}

    def called(symbol: str, _: nn.Module, args: tuple, kwargs: dict, output: Tensor) -> None:
        given = [*args, *kwargs.values()]
        names = [name for x in given for name, image in images.items() if torch.equal(x, image)]
        call = Call(symbol, tuple(names)).name if len(names) == len(given) else ""
        if not call:
            return
        if torch.is_grad_enabled():
            outputs[call] = output
            return
        used = [name for name in _SWITCHES if name in answer.names]
        if torch.is_inference_mode_enabled():
            used = ["inference_mode"]
        by = f", by `{used[0]}`" if len(used) == 1 else ""
        found[call] = f"{symbol} is called while gradients are switched off{by}"

    judges = {name: network for name, network in scene.networks.items() if name.startswith("D")}
    handles = [network.register_forward_hook(partial(called, symbol), with_kwargs=True)
               for symbol, network in judges.items()]  # fmt: skip
    try:
        with _Cuts() as cuts:
            answer.on(scene, 0, lambdas)
    finally:
        for handle in handles:
            handle.remove()
    for call, output in outputs.items():
        names = dict.fromkeys(f"`{name}`" for name, nodes in cuts.seen if output.grad_fn in nodes)
        if names:
            found[call] = f"what {call[0]} answers is cut off by {enumerated(names, 'or')}"
    return found
