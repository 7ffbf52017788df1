"""Read a discriminator's loss that a step writes out itself off the gradient that it gives."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import grad
from torch.nn import functional as F

__all__ = ["LEAST", "Judgement", "difference", "graph_of", "reached_by", "value_asked"]

_CLOSE = 1e-6  # relative difference of gradients that are the same

#: Images of a batch: with fewer, two labels give any gradient.
LEAST = 3

_HALVES = (0.5, 0.0, 0.0, 0.5)
_TIMES = {2.0: "twice", 0.5: "half of", 4.0: "four times", -1.0: "the negative of"}
_ASKED = "the mean of two terms, one of the real and one of the generated slices"


@dataclass(frozen=True)
class Judgement:
    """A call of a discriminator in a step.

    Attributes:
        network: Its name.
        words: What each of its inputs is.
        inputs: The inputs, detached.
        node: Where its output stands in the graph, None if it has no graph.
        with_gradients: Whether gradients were switched on.
    """

    network: str
    words: tuple[str, ...]
    inputs: tuple[Tensor, ...]
    node: Any
    with_gradients: bool


def graph_of(root: Tensor, but: Collection[Any] = ()) -> set[Any]:
    """Return all nodes of the graph behind a tensor, but for some and those behind them alone."""
    nodes: set[Any] = set()
    left = [root.grad_fn]
    while left:
        node = left.pop()
        if node is not None and node not in nodes and node not in but:
            nodes.add(node)
            left += [following for following, _ in node.next_functions]
    return nodes


def reached_by(nodes: Iterable[Any], networks: Mapping[str, nn.Module]) -> list[str]:
    """Return the names of the networks whose weights are among the nodes of a graph."""
    ends = {id(node.variable) for node in nodes if hasattr(node, "variable")}
    return [
        name
        for name, network in networks.items()
        if any(id(parameter) in ends for parameter in network.parameters())
    ]


def value_asked(network: nn.Module, real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Return the value of the loss that is asked for."""
    with torch.no_grad():
        terms = torch.stack(_terms(network, real, fake))
        return terms @ torch.tensor(_HALVES, dtype=terms.dtype)


def difference(
    root: Tensor,
    network: nn.Module,
    real: Judgement,
    fakes: Sequence[Judgement],
    seen: Sequence[Judgement],
) -> str:
    """Return how a loss differs from the one asked for, "" if it does not or cannot be judged.

    Args:
        root: The loss, with its graph.
        network: The discriminator that it trains.
        real: The real images as they should be judged.
        fakes: The generated images likewise; each way in which they may be made.
        seen: How the discriminator was called.

    Returns:
        A sentence with `{who}` in place of the discriminator.
    """
    weights = [p for p in network.parameters() if p.requires_grad]
    if not weights:
        return ""
    try:
        found = grad(root, weights, retain_graph=True, allow_unused=True)
    except RuntimeError:  # says more itself
        return ""
    got = torch.cat(
        [
            (torch.zeros_like(w) if g is None else g).flatten()
            for w, g in zip(weights, found, strict=True)
        ]
    )
    judged = [judgement.words for judgement in seen]
    sentences = []
    for fake in fakes:
        columns = torch.stack(
            [
                torch.cat([g.flatten() for g in grad(term, weights, retain_graph=True)])
                for term in _terms(network, real.inputs, fake.inputs)
            ],
            dim=1,
        ).detach()
        fitted = torch.linalg.lstsq(columns.double(), got.double()).solution
        error = (columns.double() @ fitted - got.double()).norm() / (got.norm() + 1e-300)
        if error < 10 * _CLOSE or not got.any():
            return _in_words([float(x) for x in fitted], fake, seen)
    others = [words for words in judged if words != real.words and words != fakes[0].words]
    for words, kind in ((real.words, "real"), (fakes[0].words, "generated")):
        if words not in judged and others:
            shown, asked = (" with ".join(x) for x in (others[0], words))
            return f"Your own loss shows {{who}} {shown}, and not {asked}."
        if words not in judged and not any("another tensor" in " ".join(x) for x in judged):
            sentences.append(f"Your own loss never shows {{who}} the {kind} slices.")
    return (sentences or [f"The gradient of your own loss in {{who}} is not that of {_ASKED}."])[0]


def _in_words(weights: list[float], fake: Judgement, seen: Sequence[Judgement]) -> str:
    """Return what the weights of the four terms say: real and generated, each as 1 and as 0."""
    real_1, real_0, fake_1, fake_0 = (0.0 if abs(w) < _CLOSE else w for w in weights)
    halves = [abs(w - half) < 1e-4 for w, half in zip(weights, _HALVES, strict=True)]
    if all(halves):
        return ""
    if not (real_0 or fake_1) and real_1 and abs(real_1 / fake_0 - 1 if fake_0 else 1) < 1e-4:
        factor = round(2 * real_1, 4)
        return (
            f"Your own loss of {{who}} is {_TIMES.get(factor, f'{factor:g} times')} the one asked "
            f"for, which is {_ASKED}."
        )
    if not (real_1 or fake_0) and real_0 and fake_1:
        return (
            "Your own loss of {who} exchanges the labels: the real slices are labelled 0, the "
            "generated ones 1."
        )
    for kind, one, zero in (("generated", fake_1, fake_0), ("real", real_1, real_0)):
        if not (one or zero):
            calls = [x for x in seen if (x.words == fake.words) == (kind == "generated")]
            off = bool(calls) and not any(x.with_gradients for x in calls)
            why = ": they are judged while gradients are switched off (no_grad)" if off else ""
            return f"The {kind} slices give {{who}} no gradient{why}."
    parts = [
        f"the {kind} slices have the label {one / (one + zero):.3g} and the weight {one + zero:.3g}"
        for kind, one, zero in (("real", real_1, real_0), ("generated", fake_1, fake_0))
        if one + zero
    ]
    return (
        f"In your own loss of {{who}} {' and '.join(parts)}; asked for are the labels 1 and 0, "
        "each with the weight 0.5."
    )


def _terms(network: nn.Module, real: Sequence[Tensor], fake: Sequence[Tensor]) -> list[Tensor]:
    """Return the cross-entropies of real and generated images, each as 1 and as 0."""
    terms = []
    for inputs in (real, fake):
        logits = network.forward(*inputs)  # past the hooks
        terms += [
            F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))
            for label in (1.0, 0.0)
        ]
    return terms
