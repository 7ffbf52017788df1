"""Find the equation of a loss: which terms it adds up, and with which weights.

The dictionary of terms holds what students could have written: what a discriminator says to each
image that it was given, by any of the usual losses and with any label, and how any two images
differ. On more batches than there are terms, least squares gives the weight of each.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "CONSTANT",
    "LOGITS",
    "ORDERS",
    "Block",
    "Part",
    "Sample",
    "Term",
    "Weight",
    "column",
    "find_terms",
    "find_weights",
    "holds",
    "number",
    "plain_blocks",
    "rich_blocks",
    "split",
]

#: Orders in which students may mix the subjects of batches `(P, N, …)`.
ORDERS: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda x: x,
    "of the subject before": lambda x: x.roll(1, 1),
    "of the next subject": lambda x: x.roll(-1, 1),
    "in reversed order": lambda x: x.flip(1),
}
VOXELS = 64 * 64  # of an image
_MOST_TERMS = 8
_SHARES = (1e-7, 1e-4, 1e-2)  # of the loss: what weighs less is taken for rounding, in turn
_ROUNDING = 1e-6  # relative error of a weight that is taken for a simple fraction
_DEPENDENT = 1e-8  # share of a term that is left if all before it are taken away

Tensors = Mapping[str, Tensor]


class _Kind(NamedTuple):
    """A way to make a number of logits `(P, N)`, or of differences `(P, voxels)`, for P batches."""

    text: str
    means: str
    compute: Callable[[Tensor, Any], Tensor]
    labels: tuple[float | None, ...] = (None,)


def _cross_entropy(z: Tensor, label: float) -> Tensor:
    return (label * F.softplus(-z) + (1 - label) * F.softplus(z)).mean(1)


_SOFT = (1.0, 0.0, 0.9, 0.1, 0.8, 0.2, 0.95, 0.05, 0.7, 0.3)
#: What can be made of the logits of a call.
LOGITS = {
    "bce": _Kind(
        "BCE({}, {label})", "the mean of the cross-entropies of all logits", _cross_entropy, _SOFT
    ),
    "square": _Kind(
        "mean ({} - {label})²",
        "the squared distance of the logit from its label (a least-squares GAN)",
        lambda z, label: (z - label).square().mean(1),
        (*_SOFT, -1.0),
    ),
    "twice": _Kind(
        "BCE(σ({}), {label})",
        "a sigmoid before the cross-entropy, which has one inside",
        lambda z, label: _cross_entropy(z.sigmoid(), label),
        _SOFT,
    ),
    "logit": _Kind("mean {}", "the mean logit (a Wasserstein GAN)", lambda z, _: z.mean(1)),
    "probability": _Kind(
        "mean σ({})", "the mean probability, without a logarithm", lambda z, _: z.sigmoid().mean(1)
    ),
    "hinge": _Kind(
        "hinge({}, {label})",
        "the hinge loss",
        lambda z, label: F.relu(1 + (1 - 2 * label) * z).mean(1),
        (1.0, 0.0),
    ),
    "distance": _Kind(
        "mean|{} - {label}|",
        "the absolute distance of the logit from its label",
        lambda z, label: (z - label).abs().mean(1),
        (1.0, 0.0, -1.0),
    ),
    "square of probability": _Kind(
        "mean (σ({}) - {label})²",
        "the squared distance of the probability from its label",
        lambda z, label: (z.sigmoid() - label).square().mean(1),
        (1.0, 0.0, 0.9, 0.1),
    ),
    "distance of probability": _Kind(
        "mean|σ({}) - {label}|",
        "the absolute distance of the probability from its label",
        lambda z, label: (z.sigmoid() - label).abs().mean(1),
        (1.0,),
    ),
    "averaged": _Kind(
        "BCE(mean {}, {label})",
        "the cross-entropy of the mean of the logits",
        lambda z, label: _cross_entropy(z.mean(1, keepdim=True), label),
        (1.0, 0.0),
    ),
}
_IMAGES = {
    "absolute": _Kind("mean|{}|", "the mean absolute difference", lambda d, _: d.abs().mean(1)),
    "squared": _Kind(
        "mean ({})²", "the mean of the squared differences", lambda d, _: d.square().mean(1)
    ),
    "absolute mean": _Kind(
        "|mean({})|", "the absolute value of the mean difference", lambda d, _: d.mean(1).abs()
    ),
    "difference": _Kind(
        "mean({})", "the mean difference, without absolute values", lambda d, _: d.mean(1)
    ),
    "root": _Kind(
        "√mean ({})²", "the root of the mean square", lambda d, _: d.square().mean(1).sqrt()
    ),
    "huber": _Kind(
        "Huber({})",
        "the Huber loss (smooth L1)",
        lambda d, _: torch.where(d.abs() < 1, d.square() / 2, d.abs() - 0.5).mean(1),
    ),
}
_KINDS = {
    **LOGITS,
    **_IMAGES,
    "penalty": _Kind("mean‖∇{}‖²", "a gradient penalty", lambda norms, _: norms.mean(1)),
}
# Of these functions of a logit, which are independent of each other, all others are made.
_BASIS = [
    ("bce", 1.0),
    ("bce", 0.0),
    ("square", 0.0),
    ("twice", 1.0),
    ("twice", 0.0),
    ("distance", 1.0),
    ("distance", 0.0),
    ("distance", -1.0),
    ("square of probability", 0.0),
    ("averaged", 1.0),
]


class Term(NamedTuple):
    """A term that a loss can have.

    Attributes:
        kind: What is made of logits or images, `"product"` of two terms, or `"constant"`.
        of: The call of a discriminator, the two calls or images of which the difference is taken,
            or the terms that are multiplied.
        label: The label that the logits are to have, None if there is none.
    """

    kind: str
    of: tuple[Any, ...] = ()
    label: float | None = None

    @property
    def means(self) -> str:
        """What is computed, in words."""
        return _KINDS[self.kind].means if self.kind in _KINDS else f"a {self.kind}"

    def text(self, total: bool = False) -> str:
        """Return the term in the notation of the notebooks, with a sum instead of the mean."""
        if self.kind == "product":
            return " · ".join(term.text() for term in self.of)
        label = "" if self.label is None else f"{self.label:g}"
        text = _KINDS[self.kind].text.format(" - ".join(self.of), label=label)
        text = text.replace(" - -", " + ").replace(" - 0)", ")").replace(" - 0|", "|")
        if not total:
            return text
        return text.replace("mean", "sum", 1) if "mean" in text else f"sum {text}"


CONSTANT = Term("constant")


class Weight(NamedTuple):
    """The weight of a term: a polynomial in the λ, times powers of the sizes.

    Attributes:
        factors: Pairs of a number and the power of each λ.
        batch: Power of the number of images.
        voxels: Power of the number of voxels of an image.
        is_share: Whether it is divided by the sum of the λ.
    """

    factors: tuple[tuple[float, tuple[float, ...]], ...]
    batch: float = 0
    voxels: float = 0
    is_share: bool = False

    @property
    def sizes(self) -> tuple[float, float]:
        """The powers of the sizes."""
        return self.batch, self.voxels

    @property
    def is_negative(self) -> bool:
        """Whether the number before the first λ is negative."""
        return self.factors[0][0] < 0

    @property
    def negated(self) -> Weight:
        """The weight with the other sign."""
        return self._replace(factors=tuple((-factor, powers) for factor, powers in self.factors))

    def value(self, lambdas: Sequence[float], n: int) -> float:
        """Return the weight for values of λ and `n` images."""
        polynomial = sum(c * _monomial(lambdas, powers) for c, powers in self.factors)
        whole = sum(lambdas) if self.is_share else 1.0
        return n**self.batch * VOXELS**self.voxels * polynomial / whole

    def text(self, names: Sequence[str]) -> str:
        """Return the polynomial in words; `names` are those of the λ."""
        texts = []
        for factor, powers in self.factors:
            symbols = [_power(*x) for x in zip(names, powers, strict=True) if x[1]]
            size = [] if symbols and abs(factor) == 1 else [number(abs(factor))]
            texts.append("-" * (factor < 0) + " · ".join(size + symbols))
        text = texts[0] if len(texts) == 1 else f"({' + '.join(texts).replace('+ -', '- ')})"
        return f"{text} / ({' + '.join(names)})" if self.is_share else text


_POWERS: dict[float, str] = {1: "", 2: "²"}


def _power(name: str, power: float) -> str:
    return f"1/{name}" if power == -1 else name + _POWERS.get(power, f"^{power:g}")


def _monomial(lambdas: Sequence[float], powers: Sequence[float]) -> float:
    return math.prod(x**power for x, power in zip(lambdas, powers, strict=True))


class Part(NamedTuple):
    """A term of an equation with its weight."""

    term: Term
    weight: Weight

    @property
    def is_sum(self) -> bool:
        """Whether images, and voxels if there are any, are added up instead of averaged."""
        power = 0.5 if self.term.kind == "root" else 1
        return self.weight.sizes == ((1, 0) if self.term.kind in LOGITS else (power, power))

    def text(self, names: Sequence[str]) -> str:
        """Return the part as one writes it on paper; `names` are those of the λ."""
        sizes = (0, 0) if self.is_sum else self.weight.sizes
        powers = [_power(*x) for x in zip(("N", str(VOXELS)), sizes, strict=True) if x[1]]
        term = [] if self.term == CONSTANT else [self.term.text(self.is_sum)]
        return " · ".join([self.weight.text(names), *powers, *term])


_SYMBOLS = {(1, 2): "½", (1, 3): "⅓", (2, 3): "⅔", (1, 4): "¼", (3, 4): "¾", (1, 8): "⅛"}


def number(x: float) -> str:
    """Return a number as a student would write it."""
    fraction = Fraction(x).limit_denominator(100)
    return _SYMBOLS.get((fraction.numerator, fraction.denominator), f"{float(x):.4g}")


def column(term: Term, tensors: Tensors) -> Tensor:
    """Return a term on P batches `(P,)`.

    Args:
        term: The term.
        tensors: Logits `(P, N)` and images `(P, N, …)` by their names, see `Term.of`.
    """
    if term.kind == "product":
        return math.prod((column(factor, tensors) for factor in term.of), start=torch.ones(1))
    if term == CONSTANT:
        first = next(iter(tensors.values()))
        return torch.ones(len(first), dtype=first.dtype)
    if term.kind == "penalty":
        return tensors[f"∇{term.of[0]}"].mean(1)
    value, *others = (_tensor(name, tensors) for name in term.of)
    for other in others:
        value = value - other
    return _KINDS[term.kind].compute(value.flatten(1), term.label)


def _tensor(name: str, tensors: Tensors) -> Tensor:
    """Return a tensor by its name, which an order of the subjects may follow."""
    for order, mixed in ORDERS.items():
        if order and name.endswith(f" {order}"):
            return mixed(tensors[name.removesuffix(f" {order}")])
    return tensors[name]


class Block(NamedTuple):
    """Terms that are made of the same call or the same images.

    Attributes:
        basis: Terms that are independent of each other.
        terms: All terms, each a sum of those of the basis and a constant.
    """

    basis: list[Term]
    terms: list[Term]


def plain_blocks(calls: Sequence[str], images: Sequence[str], asked: Sequence[Term]) -> list[Block]:
    """Return the dictionary of the terms that are usual for some calls and images.

    Args:
        calls: Names of the calls of discriminators.
        images: Names of the images.
        asked: The terms that are asked for.
    """
    blocks = []
    for call in calls:
        terms = [Term("bce", (call,), label) for label in _SOFT]
        blocks.append(Block(terms[:2], [*terms, Term("logit", (call,))]))
    return blocks + [_block(pair, ["absolute"]) for pair in _pairs(images, asked)]


def rich_blocks(calls: Sequence[str], images: Sequence[str], asked: Sequence[Term]) -> list[Block]:
    """Return the dictionary of all terms, see `plain_blocks`."""
    blocks = []
    for call in calls:
        penalty = Term("penalty", (call,))
        basis = [Term(kind, (call,), label) for kind, label in _BASIS]
        terms = [Term(kind, (call,), x) for kind in LOGITS for x in LOGITS[kind].labels]
        blocks.append(Block([*basis, penalty], [*terms, penalty]))
    for both in itertools.combinations(sorted(calls, key=lambda call: "fake" in call), 2):
        blocks.append(Block([Term("bce", both, 1.0)], [Term("bce", both, 1.0)]))
    wanted = [term.of for term in asked if term.kind in _IMAGES]
    for pair in _pairs(images, asked):
        blocks.append(_block(pair, _IMAGES if pair in wanted else ["absolute", "squared"]))
    for one, other in wanted:
        blocks += [_block((one, f"{other} {order}"), ["absolute"]) for order in ORDERS if order]
    products = [Term("product", pair) for pair in itertools.combinations(asked, 2)]
    return blocks + [Block([product], [product]) for product in products]


def _block(pair: tuple[str, ...], kinds: Iterable[str]) -> Block:
    terms = [Term(kind, pair) for kind in kinds]
    return Block(terms, terms)


def _pairs(images: Sequence[str], asked: Sequence[Term]) -> list[tuple[str, ...]]:
    """Return all pairs of images, those that are asked for first and in their order."""
    first = [term.of for term in asked if term.kind in _IMAGES]
    known = {frozenset(pair) for pair in first}
    return first + [p for p in itertools.combinations(images, 2) if frozenset(p) not in known]


class Sample(NamedTuple):
    """A loss on some batches, beside all that it may be made of.

    Attributes:
        lambdas: The values of λ, none if it has no λ.
        n: Number of images in a batch.
        tensors: Logits and images by their names, see `column`.
        values: The loss on each batch.
    """

    lambdas: tuple[float, ...]
    n: int
    tensors: Tensors
    values: np.ndarray

    def columns(self, terms: Sequence[Term]) -> np.ndarray:
        """Return the terms on each batch `(P, terms)`."""
        with torch.no_grad():
            columns = [column(term, self.tensors).double() for term in terms]
        return torch.stack(columns, 1).numpy()


def find_terms(blocks: Sequence[Block], sample: Sample, tolerance: float) -> list[Term] | None:
    """Return the terms that a loss adds up; None if they are not of the dictionary, or many.

    Args:
        blocks: The dictionary.
        sample: The loss on more batches than there are independent terms.
        tolerance: Largest error, relative to the smallest of the parts.
    """
    found = _terms(blocks, sample, tolerance)
    pairs = [term.of for term in found or () if term.kind == "bce" and len(term.of) > 1]
    for pair in pairs:  # BCE(a - b, 1) is BCE(b - a, 1) + mean b - mean a: the shortest counts
        rest = [block for block in blocks if block.basis[0].of != pair]
        turned, both = Term("bce", pair[::-1], 1.0), [Term("bce", pair, x) for x in (1.0, 0.0)]
        for terms in ([turned], both):
            other = _terms([Block(terms, terms), *rest], sample, tolerance)
            if other and found and len(other) < len(found):
                found = other
    return found


def _terms(blocks: Sequence[Block], sample: Sample, tolerance: float) -> list[Term] | None:
    """Return the terms that a loss adds up, with the dictionary as it is; see `find_terms`."""
    basis = [(CONSTANT, -1), *((t, i) for i, block in enumerate(blocks) for t in block.basis)]
    x, y = sample.columns([term for term, _ in basis]), sample.values
    scale = np.linalg.norm(x, axis=0) + 1e-300
    left = np.abs(np.diag(np.linalg.qr(x / scale)[1]))
    kept = np.flatnonzero(left > _DEPENDENT)
    x, owners = x[:, kept], np.array([owner for _, owner in basis])[kept]
    weights = np.linalg.lstsq(x / scale[kept], y, rcond=None)[0]
    errors = np.abs((x / scale[kept]) @ weights - y)
    if errors.max() > tolerance * np.abs(y).max():
        return None
    weights = weights / scale[kept]
    shares = np.abs(weights) * scale[kept] / (np.linalg.norm(y) + 1e-300)
    for share in _SHARES:
        found: list[Term] = []
        for owner in sorted(set(owners[shares > share]) - {-1}):
            part = x[:, owners == owner] @ weights[owners == owner]
            found += _fewest(blocks[owner], part, sample, tolerance * np.abs(y).max())
        for terms in (found, [*found, CONSTANT]):
            few = 0 < len(terms) <= _MOST_TERMS
            if few and _adds_up(terms, _fit(terms, sample), sample, tolerance):
                return terms
    return None


def _fewest(block: Block, target: np.ndarray, sample: Sample, error: float) -> list[Term]:
    """Return the fewest terms of a block that make a part of a loss, up to a constant."""
    if len(block.terms) == 1:
        return block.terms
    basis = np.column_stack([sample.columns(block.basis), np.ones(len(target))])
    frame = np.linalg.qr(basis)[0]
    x, one = frame.T @ sample.columns(block.terms), frame.T @ np.ones((len(target), 1))
    target = frame.T @ target
    for size in (1, 2):
        chosen = np.array(list(itertools.combinations(range(len(block.terms)), size)))
        for constants in (0, 1):
            columns = np.moveaxis(x[:, chosen], 0, 1)  # (combinations, frame, size)
            more = np.broadcast_to(one, (len(chosen), *one.shape))[..., :constants]
            columns = np.concatenate([columns, more], axis=2)
            weights = np.linalg.pinv(columns) @ target
            errors = np.linalg.norm((columns @ weights[..., None])[..., 0] - target, axis=1)
            if errors.min() <= error * math.sqrt(len(basis)):
                # The first that fits: terms stand in the order in which they are likely.
                best = int(np.argmax(errors <= error * math.sqrt(len(basis))))
                return _with_label([block.terms[k] for k in chosen[best]], weights[best])
    return block.basis


def _with_label(terms: list[Term], weights: np.ndarray) -> list[Term]:
    """Put a cross-entropy with a soft label in place of those with both labels."""
    if [(term.kind, term.label) for term in terms] == [("bce", 1.0), ("bce", 0.0)]:
        label = round(float(weights[0] / (weights[0] + weights[1])), 4)
        # One half: the same image is judged with both labels.
        if label == -1 or (0 < label < 1 and label != 0.5):
            return [terms[0]._replace(label=label)]
    return terms


def split(terms: Sequence[Term]) -> list[Term]:
    """Return terms with both cross-entropies in place of one with a soft label."""
    parts = []
    for term in terms:
        soft = term.kind == "bce" and term.label not in (0, 1)
        parts += [term._replace(label=label) for label in (1.0, 0.0)] if soft else [term]
    return parts


def find_weights(
    terms: Sequence[Term], samples: Sequence[Sample], tolerance: float
) -> list[Part] | None:
    """Return an equation with the weights of its terms, None if no simple rule gives them.

    Args:
        terms: The terms of the loss.
        samples: With four pairs of λ, or without λ a single one; and a last one with the λ of the
            first and batches of another size.
        tolerance: As in `find_terms`.
    """
    rounding = max(_ROUNDING, 50 * tolerance)
    fits = np.array([_fit(terms, sample) for sample in samples])
    *rest, last = samples
    equation = []
    for term, weights in zip(terms, fits.T, strict=True):
        batch = _exponent(weights[0] / weights[-1], rest[0].n / last.n)
        if batch is None:
            return None
        lambdas = [sample.lambdas for sample in rest]
        factors, is_share = _factors(lambdas, weights[:-1] / rest[0].n ** batch)
        weight = _weight(factors, batch, rounding)
        equation.append(Part(term, weight._replace(is_share=is_share)))
    return equation


def _exponent(ratio: float, base: float) -> float | None:
    """Return the power of a base that a ratio is, None unless it is a simple one."""
    power = math.log(ratio) / math.log(base) if ratio > 0 else math.nan
    rounded = round(2 * power) / 2 if math.isfinite(power) else math.inf
    return rounded if abs(power - rounded) < 0.02 else None


def _factors(
    lambdas: Sequence[Sequence[float]], weights: np.ndarray
) -> tuple[list[tuple[float, tuple[float, ...]]], bool]:
    """Return the numbers and powers of λ that give the weights for four pairs of λ, or for none.

    Also return whether they are divided by the sum of the λ.
    """
    if not lambdas[0]:
        return [(float(weights[0]), ())], False
    for whole in (np.ones(len(lambdas)), np.array([sum(values) for values in lambdas])):
        shares = weights * whole
        ratios = [(shares[k] / shares[0], lambdas[k][k - 1] / lambdas[0][k - 1]) for k in (1, 2)]
        powers = tuple(x for x in (_exponent(*ratio) for ratio in ratios) if x is not None)
        if len(powers) == len(ratios):
            fitted = np.array([_monomial(values, powers) for values in lambdas])
            if np.allclose(shares[0] / fitted[0] * fitted, shares, rtol=1e-2):
                return [(float((shares / fitted).mean()), powers)], bool(whole[0] != 1)
    grid: list[tuple[float, ...]] = [(0, 0), (1, 0), (0, 1), (1, 1)]
    matrix = [[_monomial(values, power) for power in grid] for values in lambdas]
    factors = np.linalg.solve(np.array(matrix), weights)
    least = 1e-3 * np.abs(factors).max()
    kept = [(float(c), power) for c, power in zip(factors, grid, strict=True) if abs(c) > least]
    return kept, False


def _weight(
    factors: list[tuple[float, tuple[float, ...]]], batch: float, rounding: float
) -> Weight:
    """Return a weight whose factors are simple fractions, if they are for a power of voxels."""
    for voxels in (batch, 0, 1, 0.5, -1, -0.5):
        exact = [factor / VOXELS**voxels for factor, _ in factors]
        simple = [float(Fraction(x).limit_denominator(20)) for x in exact]
        if np.allclose(simple, exact, rtol=rounding) and max(map(abs, simple)) < VOXELS / 2:
            powers = (power for _, power in factors)
            return Weight(tuple(zip(simple, powers, strict=True)), batch, voxels)
    return Weight(tuple(factors), batch)


def holds(equation: Sequence[Part], sample: Sample, tolerance: float) -> bool:
    """Return True if an equation gives the loss on each batch, to a share of its smallest part."""
    weights = [part.weight.value(sample.lambdas, sample.n) for part in equation]
    return _adds_up([part.term for part in equation], np.array(weights), sample, tolerance)


def _fit(terms: Sequence[Term], sample: Sample) -> np.ndarray:
    x = sample.columns(terms)
    scale = np.linalg.norm(x, axis=0) + 1e-300
    return np.linalg.lstsq(x / scale, sample.values, rcond=None)[0] / scale


def _adds_up(terms: Sequence[Term], weights: np.ndarray, sample: Sample, tolerance: float) -> bool:
    parts = sample.columns(terms) * weights
    errors = np.abs(parts.sum(axis=1) - sample.values)
    return bool(errors.max() <= tolerance * np.abs(parts).max(axis=0).min())
