"""Explain a loss that is right for usual logits and wrong for large ones, in float32."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from labhelpers.checks.explanations.batches import Answer, Call, Loss, Scene, tensors_of
from labhelpers.checks.explanations.equations import Part, column

__all__ = ["large_logits"]

_SMALL = (-3.0, -1.0, 2.0)  # here an equation must hold before anything is said of large logits
# Sizes of logits. Where students cut them off, at round numbers, rounding decides on the slope.
_TOLD = (22.0, 35.0, 55.0, 110.0, 120.0)
_PROOF = (18.0, 26.0, 28.0, 41.0, 61.0, 95.0, 150.0)
_BELOW_INFINITY = 55.0  # a logit whose exponential is finite in float32, and its square is not
_SAME, _STRIKING = 1e-3, 0.1  # relative differences
_OTHERS = 0.5  # the logit of all other calls
_ADVICE = "F.binary_cross_entropy_with_logits, on the logits themselves, is right for all"

_Form = Callable[[Tensor, float], Tensor]


class _Response(NamedTuple):
    """What a term makes of a logit: its value, and its slope (None if no graph is left)."""

    value: float
    slope: float | None


def large_logits(
    loss: Loss,
    answer: Answer,
    equation: Sequence[Part],
    names: Sequence[str],
    calls: Sequence[Call],
    lambdas: Sequence[float],
) -> Iterator[tuple[str, str]]:
    """Yield the names of the cross-entropies that large logits upset, and what is wrong in them.

    Args:
        loss: The loss that is asked for.
        answer: The student's.
        equation: The equation of the student's loss for usual logits.
        names: What its parts are called.
        calls: The calls of networks, see `equations.equation_of`.
        lambdas: The weights with which the loss is tried.
    """
    if any(part.term.kind == "penalty" for part in equation):
        return
    found: list[tuple[str, str, dict[str, str]]] = []
    for part, name in zip(equation, names, strict=True):
        if part.term.kind != "bce" or part.term.label not in (0.0, 1.0):
            continue
        weight = part.weight.value(lambdas, 1)
        if not weight:
            continue
        judged = _Judged(loss, answer, equation, calls, lambdas, part, weight)
        if any(not judged.is_right(z) for z in _SMALL):
            continue
        wrong = [z for size in _TOLD for z in (-size, size) if not judged.is_right(z)]
        if wrong:
            shown = next((z for z in wrong if not judged.is_right(z, _STRIKING)), wrong[0])
            found.append((name, _example(judged, shown), _reasons(judged, answer.names)))
    # What several terms may have in common is likelier than a reason for each of them.
    common = Counter(what for *_, reasons in found for what in reasons)
    told: dict[str, str] = {}
    for name, example, reasons in found:
        what = max(reasons, key=lambda what: common[what])
        told.setdefault(what, f"{what}: {example}. {reasons[what]}{_ADVICE}")
        yield name, told[what]


class _Judged:
    """A cross-entropy of a loss, tried with any logit while all other logits stay the same."""

    def __init__(
        self,
        loss: Loss,
        answer: Answer,
        equation: Sequence[Part],
        calls: Sequence[Call],
        lambdas: Sequence[float],
        part: Part,
        weight: float,
    ) -> None:
        self.label = float(part.term.label or 0.0)
        self.is_negative = weight < 0
        self._answer, self._lambdas, self._weight = answer, lambdas, weight
        self._scene = Scene(loss, 1, 1, 21, torch.float32)
        with torch.no_grad():
            tensors = tensors_of(self._scene.images, self._scene.networks, calls)
        asked = next(call for call in calls if call.name == part.term.of[0])
        self._seen: list[tuple[Tensor, Tensor]] = []
        self._logit = 0.0
        logits: dict[str, Tensor] = {}
        for symbol, network in self._scene.networks.items():
            own = [call for call in calls if call.is_judge and call.network == symbol]
            if own:
                at = torch.cat([tensors[call.name].flatten() for call in own])
                steer = self._steering(at, [call == asked for call in own])
                network.register_forward_hook(steer)
                logits |= {call.name: torch.tensor([[_OTHERS]]) for call in own}
        rest = [other for other in equation if other is not part]
        others = [
            other.weight.value(lambdas, 1) * column(other.term, tensors | logits) for other in rest
        ]
        self._others = float(sum(others, torch.zeros(1)))
        self._known: dict[float, _Response] = {}

    def _steering(self, at: Tensor, is_asked: Sequence[bool]) -> Callable[..., Tensor]:
        """Return a hook that gives the call asked for its logit, and other calls another one."""
        chosen = torch.tensor(is_asked)

        def steer(_: Any, __: Any, output: Tensor) -> Tensor:
            own = output.detach().flatten()
            places = (own[:, None] - at).abs().argmin(1)
            wanted = torch.where(chosen[places], self._logit, _OTHERS)
            output = output + (wanted - own).view_as(output)
            self._seen.append((output, chosen[places]))
            return output

        return steer

    def at(self, z: float) -> _Response:
        """Return what the term makes of a logit."""
        if z not in self._known:
            self._logit = z
            self._seen.clear()
            total = self._answer.on(self._scene, 0, self._lambdas)[0][0]
            value, slope = float(torch.as_tensor(total).detach().mean()), None
            if isinstance(total, Tensor) and total.requires_grad:
                outputs = [output for output, _ in self._seen]
                slopes = torch.autograd.grad(total.mean(), outputs, allow_unused=True)
                slope = sum(
                    float(gradient.flatten()[chosen].sum())
                    for gradient, (_, chosen) in zip(slopes, self._seen, strict=True)
                    if gradient is not None
                )
                slope /= self._weight
            self._known[z] = _Response((value - self._others) / self._weight, slope)
        return self._known[z]

    def asked(self, z: float) -> _Response:
        """Return what the term should make of a logit."""
        return _of_form(_stable, z, self.label)

    def is_right(self, z: float, tolerance: float = _SAME) -> bool:
        """Return True if the term makes of a logit what it should."""
        return _same(self.at(z), self.asked(z), tolerance)


def _stable(z: Tensor, label: float) -> Tensor:
    return F.softplus(-_towards(z, label))


def _of_form(form: _Form, z: float, label: float) -> _Response:
    logit = torch.tensor(z, requires_grad=True)
    value = form(logit, label)
    (slope,) = torch.autograd.grad(value, logit)
    return _Response(float(value.detach()), float(slope))


def _same(one: _Response, other: _Response, tolerance: float = _SAME) -> bool:
    pairs = [(one.value, other.value)]
    if one.slope is not None and other.slope is not None:
        pairs.append((one.slope, other.slope))
    return all(
        str(x) == str(y) or (math.isfinite(y) and abs(x - y) <= tolerance * max(1, abs(y)))
        for x, y in pairs
    )


def _example(judged: _Judged, z: float) -> str:
    """Return what the term makes of a logit, beside what it should make of it."""
    got, asked = judged.at(z), judged.asked(z)
    start = f"a logit of {z:g} with the label {judged.label:g}"
    sign, wanted = (-1, "exact is") if judged.is_negative else (1, "asked for")
    if _same(got._replace(slope=None), asked):
        slopes = [sign * (x.slope or 0.0) for x in (got, asked)]
        return f"{start} has the slope {slopes[0]:.2g}, {wanted} {slopes[1]:.2g}"
    return f"{start} gives {sign * got.value:.4g}, {wanted} {sign * asked.value:.4g}"


# --- Why ------------------------------------------------------------------------------------------


def _reasons(judged: _Judged, names: Collection[str]) -> dict[str, str]:
    """Return what is done to the logits, if it gives the values and slopes of other logits, too.

    Args:
        judged: The term.
        names: The names in the student's code, which tell apart what gives the same numbers.

    Returns:
        What may be done, as a part of a sentence, and why that fails, as a sentence.
    """
    away = -1.0 if judged.label else 1.0  # the sign of logits that disagree with the label
    sizes = [*_TOLD, *_PROOF]
    most = judged.at(away * sizes[-1]).value
    if 0 < most < sizes[-1] - 1:  # around the place where the term stops growing
        bend = most + math.log(-math.expm1(-most))
        sizes += [bend - 0.7, bend + 0.7]
    found: dict[str, str] = {}
    for what, why, form in _forms(judged, most, names):
        if what not in found and all(
            _same(judged.at(z), _of_form(form, z, judged.label))
            for size in sizes
            for z in (-size, size)
        ):
            found[what] = why
    slopes = [judged.at(z).slope for size in _TOLD for z in (-size, size)]
    of_both = "where" in names and any(slope is not None and slope != slope for slope in slopes)
    why = "torch.where takes the gradient of both branches, also of one that is infinite. "
    return found or {"large logits are not treated as asked for": why if of_both else ""}


def _forms(
    judged: _Judged, most: float, names: Collection[str]
) -> Iterator[tuple[str, str, _Form]]:
    """Yield what students do to logits, and why it fails; `most` is the largest value of a term."""
    square = any(not judged.is_right(z) for z in (-_BELOW_INFINITY, _BELOW_INFINITY))
    probability = (
        "you take the logarithm of a probability",
        "In float32 the probability is rounded to 0 where a logit is large. ",
    )
    exponential = (
        "you take the exponential of a logit",
        "In float32 that is infinite where the exponent is above 88"
        + (", and its square, which the gradient holds, above 44. " if square else ". "),
    )
    yield *probability, lambda z, label: -(1 - _towards(-z, label).sigmoid()).log()
    either = {"sigmoid": probability, "exp": exponential}
    known = [words for name, words in either.items() if name in names]
    words = (
        known[0]
        if len(known) == 1
        else (
            "you take the logarithm of a probability or of an exponential",
            "In float32 these are 0 or infinite where a logit is large. ",
        )
    )
    for form in (
        lambda z, label: -_towards(z, label).sigmoid().log(),
        lambda z, label: (1 + (-_towards(z, label)).exp()).log(),
        lambda z, label: (1 + z.exp()).log() - label * z,
        lambda z, label: (1 + (-z).exp()).log() + (1 - label) * z,
        lambda z, label: -(_towards(z, label).exp() / (1 + _towards(z, label).exp())).log(),
        lambda z, label: -(1 / (1 + (-_towards(z, label)).exp())).log(),
    ):
        yield *words, form
        yield *probability, form
    yield (
        "you take the cross-entropy of a probability",
        "The cross-entropy of probabilities (F.binary_cross_entropy, nn.BCELoss) stops at 100 and "
        "has hardly any gradient for a probability closer than about 1e-12 to 0 or 1. ",
        lambda z, label: F.binary_cross_entropy(z.sigmoid(), torch.full_like(z, label)),
    )
    if not math.isfinite(most) or most <= 0:
        return
    least, largest = math.exp(-most), most + math.log(-math.expm1(-most))
    # A probability is cut off at a round number, or at 1 minus that number, which is rounded.
    cut = f"logits are cut off at a size of {largest:.3g}"
    for size in (float(f"{k}e-{power}") for k in (1, 2, 5) for power in range(1, 41)):
        rest = float(1 - (1 - torch.tensor(size)))
        if any(abs(x - least) < 5e-3 * least for x in (size, rest)):
            cut = f"probabilities are cut off at {size:.2g}"
            break
    added = f"{least:.2g} is added inside the logarithm"
    beyond = "below" if judged.label else "above"
    stops = f"For all logits {beyond} it the term stops at {most:.3g}, without a gradient. "
    forms = [
        (added, lambda z, label: -(_probability(z, label) + least).log()),
        (added, lambda z, label: -(_towards(z, label).sigmoid() + least).log()),
        (cut, lambda z, label: _stable(z.clamp(-largest, largest), label)),
        (cut, lambda z, label: -_probability(z, label).clamp(min=least).log()),
    ]
    for what, form in reversed(forms) if {"clamp", "clip"} & {*names} else forms:
        yield what, stops, form


def _towards(z: Tensor, label: float) -> Tensor:
    """Return logits of which large ones agree with the label."""
    return z if label else -z


def _probability(z: Tensor, label: float) -> Tensor:
    """Return the probability of a label, as one writes it."""
    return z.sigmoid() if label else 1 - z.sigmoid()
