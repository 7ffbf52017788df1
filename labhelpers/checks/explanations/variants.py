"""Recognise losses that are as asked for but for what they make of images, logits or voxels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from functools import lru_cache, partial
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from labhelpers.checks.explanations.batches import (
    Answer,
    AnswerError,
    Asked,
    Call,
    Loss,
    Scene,
    tensors_of,
)
from labhelpers.checks.explanations.equations import LOGITS, number
from labhelpers.checks.explanations.words import capitalised, enumerated

__all__ = ["RIGHT_FOR_ONE", "picked", "unlike", "variants"]

#: In a sentence on a loss that is wrong for several subjects only.
RIGHT_FOR_ONE = "right for a single subject"

_BATCHES = 4  # on which a variant is found, and as many others on which it must hold
_N = 3
# The largest logits of a scene: formulas with a logarithm are still exact at 12.
_USUAL, _LARGE, _SMALL = 6.0, 12.0, 0.3
_SAME = {torch.float64: 1e-6, torch.float32: 1e-4}  # relative difference of equal losses
_FRESH = (1.7, 0.6)  # λ on which what was found must hold


_Image = Callable[[Tensor, Mapping[str, Tensor]], Tensor]
_Voxels = Callable[[Tensor, Tensor, Mapping[str, Tensor]], Tensor]


class _Change(NamedTuple):
    """What a loss does besides what is asked for.

    Attributes:
        text: What it does, as a part of a sentence, with {} for the images; "" if that is right
            for usual logits: `large_logits` tells of the others.
        image: Changes an image, which may depend on those that are given; None if none is changed.
        images: Names of those that it changes.
        logits: Makes a loss of logits `(N,)` and a label.
        voxels: Makes a loss of two images, and of those that are given.
    """

    text: str
    image: _Image | None = None
    images: tuple[str, ...] = ()
    logits: Callable[[Tensor, float], Tensor] | None = None
    voxels: _Voxels | None = None


_ASKED = _Change("")


def variants(loss: Loss, answer: Answer, dtype: torch.dtype, is_whole: bool = False) -> list[str]:
    """Return sentences on the terms of a loss that are other than asked for.

    Each variant is found on some batches and holds on others, with other λ and another number of
    images. A term is looked at by itself where its λ allows it.

    Args:
        loss: The loss that is asked for.
        answer: The student's.
        dtype: Type of the numbers.
        is_whole: Whether to tell of terms only if that accounts for all of them.

    Returns:
        Sentences; none if nothing is known of any term, or if the answer fails.
    """
    with suppress(AnswerError):
        return list(_variants(loss, answer, dtype, is_whole))
    return []


def picked(loss: Loss, answer: Answer, dtype: torch.dtype) -> list[str]:
    """Return sentences on terms of which only the largest or the smallest one counts."""
    groups = [(_FRESH, tuple(range(len(loss.asked)))), *_groups(loss)]
    with suppress(AnswerError):
        return [
            text
            for lambdas, terms in groups[not loss.lambdas :]
            if len(terms) > 1
            for text in _picked(loss, answer, dtype, lambdas, terms)
        ]
    return []


def unlike(loss: Loss, answer: Answer, dtype: torch.dtype) -> list[str]:
    """Return which terms have other values than asked for, with an example, and which are right."""
    sentences: list[str] = []
    right: list[str] = []
    with suppress(AnswerError):
        groups = _groups(loss)
        if loss.lambdas and not _is_separable(loss, answer, dtype):
            groups = [(_FRESH, tuple(range(len(loss.asked))))]
            if any(not terms for _, terms in _groups(loss)):
                return []  # a part of a loss, to which more belongs than its own term
        for lambdas, terms in groups:
            if not terms:
                continue
            scenes = [_scene(loss, dtype, 14, _N, largest) for largest in (_USUAL, _LARGE)]
            pairs = [
                (answer.value(scene, p, lambdas), _value(loss, scene, p, lambdas, []))
                for scene in scenes
                for p in range(_BATCHES)
            ]
            of_terms = bool(lambdas) and lambdas != _FRESH
            name = capitalised(_called(loss, terms)) if of_terms else "Your loss"
            are, come = ("are", "they come") if of_terms and len(terms) > 1 else ("is", "it comes")
            wrong = [pair for pair in pairs if not _same(*pair, dtype)]
            if not wrong:
                right.append(f"{name} {are} as asked for.")
                continue
            got, asked = wrong[0]
            where = ""
            if lambdas == _FRESH:
                weights = zip(loss.symbols, lambdas, strict=True)
                where = f"with {enumerated(f'{symbol} = {x:g}' for symbol, x in weights)}, "
            digits = next(n for n in range(4, 18) if f"{got:.{n}g}" != f"{asked:.{n}g}")
            sentences.append(
                f"{name} {are} not as asked for: for {_N} slices that were made up, {where}{come} "
                f"to {got:.{digits}g}, asked for {asked:.{digits}g}."
            )
    return [" ".join([text, *right]) for text in sentences]


def _is_separable(loss: Loss, answer: Answer, dtype: torch.dtype) -> bool:
    """Return True for a loss to which each λ adds a term times itself, and nothing else is."""
    scene = _scene(loss, dtype, 14, _N, _USUAL)
    one, other = (answer.value(scene, 0, lambdas) for lambdas in ((1.0, 0.0), (0.0, 1.0)))
    sums = {pair: pair[0] * one + pair[1] * other for pair in ((0.0, 0.0), (0.5, 2.0), _FRESH)}
    return all(_same(answer.value(scene, 0, pair), x, dtype) for pair, x in sums.items())


def _picked(
    loss: Loss,
    answer: Answer,
    dtype: torch.dtype,
    lambdas: tuple[float, ...],
    terms: tuple[int, ...],
) -> Iterator[str]:
    first = [(_scene(loss, dtype, 11, _N, _USUAL), p) for p in range(_BATCHES)]

    def others() -> list[tuple[Scene, int]]:
        scenes = [
            _scene(loss, dtype, seed, _N, sign * size)
            for seed in (11, 12)
            for size in (_USUAL, _LARGE)
            for sign in (1, -1)
        ]
        return [(scene, p) for scene in scenes for p in range(_BATCHES)]

    def at(scene: Scene, p: int) -> tuple[float, list[float]]:
        row = [
            loss.asked[k].part.weight.value(lambdas, _N)
            * _term(loss, scene, p, loss.asked[k], _ASKED)
            for k in terms
        ]
        return answer.value(scene, p, lambdas), row

    picks: dict[str, Callable[[list[float]], float]] = {"largest": max, "smallest": min}
    few = [at(*place) for place in first]
    for which, pick in picks.items():
        factor = _simple(few[0][0], pick(few[0][1]))
        if not all(_same(factor * pick(row), value, dtype) for value, row in few):
            continue
        found = [at(*place) for place in others()]
        if len({row.index(pick(row)) for _, row in found}) == len(terms) and all(
            _same(factor * pick(row), value, dtype) for value, row in found
        ):
            word = which if len(terms) > 2 else {"largest": "larger", "smallest": "smaller"}[which]
            wanted = "their sum" if loss.lambdas else "½ of each, added up"
            yield f"Only the {word} of {_called(loss, terms)} counts, asked for {wanted}."


def _variants(loss: Loss, answer: Answer, dtype: torch.dtype, is_whole: bool) -> Iterator[str]:
    chosen: list[_Fit] = []
    told: dict[str, list[int]] = {}
    sentences: list[str] = []
    groups = _groups(loss)
    for lambdas, terms in groups:
        fit = _find(loss, answer, dtype, lambdas, terms)
        if fit is None:
            sentences += _where_right(loss, answer, dtype, lambdas, terms)
            continue
        chosen.append(fit)
        if fit.change.text:
            told.setdefault(fit.text(loss), []).extend(fit.terms)
        if fit.factor != 1:
            piece = f"there is a factor {number(fit.factor)} too many"
            told.setdefault(piece, []).extend(fit.terms)
    sentences += [f"In {_called(loss, terms)}, {text}." for text, terms in told.items()]
    fresh = _FRESH if loss.lambdas else ()
    if len(chosen) < len(groups):
        yield from () if is_whole else sentences
    elif _agree(loss, answer, dtype, 13, fresh, chosen):
        yield from sentences


class _Fit(NamedTuple):
    """A change that gives the values of some terms, in which of them, and times which number."""

    change: _Change
    terms: tuple[int, ...]
    factor: float = 1.0

    def text(self, loss: Loss) -> str:
        """Return the change in words, with those of its images that the terms are made of."""
        used = _images_of(loss, self.terms)
        names = [name for name in self.change.images if name in used]
        return self.change.text.format(enumerated(names))


def _images_of(loss: Loss, terms: Sequence[int]) -> set[str]:
    """Return the names of the images that some terms are made of, by way of networks or not."""
    inputs = {call.name: call.inputs for call in loss.calls}
    names = [name for k in terms for name in loss.asked[k].part.term.of]
    for name in names:  # which grows
        names += inputs.get(name, ())
    return set(names)


def _groups(loss: Loss) -> list[tuple[tuple[float, ...], tuple[int, ...]]]:
    """Return λ and the positions of the terms that are left with them: each λ by itself."""
    everything = tuple(range(len(loss.asked)))
    if not loss.lambdas:
        return [((), everything)]
    groups: list[tuple[tuple[float, ...], tuple[int, ...]]] = []
    for lambdas in ((1.0, 0.0), (0.0, 1.0)):
        weights = [part.weight.value(lambdas, 1) for part, _ in loss.asked]
        groups.append((lambdas, tuple(k for k in everything if weights[k])))
    return groups


def _called(loss: Loss, terms: Sequence[int]) -> str:
    names = [loss.asked[k].name for k in terms]
    return loss.groups.get(tuple(sorted(terms)), " and ".join(names))


def _scene(
    loss: Loss, dtype: torch.dtype, seed: int, n: int, largest: float, contrast: float = 1.0
) -> Scene:
    """Return a scene whose largest logit has a given size, about; its images can be dim."""
    scene = Scene(loss, _BATCHES, n, seed, dtype)
    scene.images = {name: image * contrast for name, image in scene.images.items()}
    with torch.no_grad():
        tensors = tensors_of(scene.images, scene.networks, loss.calls)
    size = max(float(tensors[call.name].abs().max()) for call in loss.calls if call.is_judge)
    scene.embolden(largest / size)
    return scene


def _find(
    loss: Loss,
    answer: Answer,
    dtype: torch.dtype,
    lambdas: tuple[float, ...],
    terms: tuple[int, ...],
) -> _Fit | None:
    """Return the first change that gives the values of some terms, on other batches, too."""
    scenes = [_scene(loss, dtype, 11, _N, largest) for largest in (_USUAL, _LARGE)]
    places = [(scene, p) for p in range(_BATCHES) for scene in scenes]
    values = [answer.value(scene, p, lambdas) for scene, p in places]
    for change in (_ASKED, *_changes(loss, terms)):
        for some in [terms] if change is _ASKED else dict.fromkeys([*((k,) for k in terms), terms]):
            fit = _Fit(change, some)
            first = _value(loss, *places[0], lambdas, [fit])
            if some == terms:  # a simple number may stand before the whole
                fit = fit._replace(factor=_simple(values[0], first))
            if all(
                _same(_value(loss, *place, lambdas, [fit]), value, dtype)
                for place, value in zip(places, values, strict=True)
            ) and _agree(loss, answer, dtype, 12, lambdas, [fit]):
                return fit
    return None


def _agree(
    loss: Loss,
    answer: Answer,
    dtype: torch.dtype,
    seed: int,
    lambdas: Sequence[float],
    fits: Sequence[_Fit],
) -> bool:
    """Return True if changes together give the loss on other batches."""
    return all(
        _same(_value(loss, scene, p, lambdas, fits), answer.value(scene, p, lambdas), dtype)
        for scene in (
            # Images without -1 and 1 tell what is made of these from a constant.
            _scene(loss, dtype, seed, _N + 1, _USUAL, contrast=0.6),
            _scene(loss, dtype, seed, _N + 1, _LARGE),
        )
        for p in range(_BATCHES)
    )


def _simple(value: float, of: float) -> float:
    """Return a simple number by which one value is another one, 1 if there is none."""
    ratio = value / of if of else math.nan
    return float(Fraction(ratio).limit_denominator(20)) or 1.0 if math.isfinite(ratio) else 1.0


def _same(one: float, other: float, dtype: torch.dtype) -> bool:
    return abs(one - other) <= _SAME[dtype] * max(abs(one), abs(other), 1e-12)


def _value(
    loss: Loss, scene: Scene, p: int, lambdas: Sequence[float], fits: Sequence[_Fit]
) -> float:
    """Return the loss that is asked for with some changes, on a batch."""
    total = 0.0
    for k, asked in enumerate(loss.asked):
        if weight := asked.part.weight.value(lambdas, scene.n):
            fit = next((fit for fit in fits if k in fit.terms), _Fit(_ASKED, ()))
            total += fit.factor * weight * _term(loss, scene, p, asked, fit.change)
    return total


@torch.no_grad()
def _term(loss: Loss, scene: Scene, p: int, asked: Asked, change: _Change) -> float:
    given, tensors = _tensors(scene, p, change.image, change.images)
    calls = {call.name: call for call in loss.calls}

    def tensor(name: str) -> Tensor:
        if name not in tensors:
            call: Call = calls[name]
            made = scene.networks[call.network](*map(tensor, call.inputs))
            is_changed = not call.is_judge and change.image and name in change.images
            tensors[name] = change.image(made, given) if is_changed and change.image else made
        return tensors[name]

    term = asked.part.term
    if term.kind in LOGITS:
        z = tensor(term.of[0]).flatten()
        label = float(term.label or 0.0)
        return float((change.logits or _cross_entropy)(z, label))
    one, other = map(tensor, term.of)
    return float((change.voxels or _absolute)(one, other, given | tensors))


@lru_cache(maxsize=16)
def _tensors(
    scene: Scene, p: int, image: _Image | None, images: tuple[str, ...]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the images of a batch, and these as they are changed: what is made of them is added.

    Many changes leave the images alone: networks need not run for each of these.
    """
    given = {name: image[p] for name, image in scene.images.items()}
    return given, {
        name: image(x, given) if image and name in images else x for name, x in given.items()
    }


def _cross_entropy(z: Tensor, label: float) -> Tensor:
    return F.softplus(-_towards(z, label)).mean()


def _towards(z: Tensor, label: float) -> Tensor:
    """Return logits of which large ones agree with the label."""
    return z if label == 1 else -z


def _absolute(one: Tensor, other: Tensor, _: Mapping[str, Tensor]) -> Tensor:
    return (one - other).abs().mean()


# --- What students do -----------------------------------------------------------------------------


def _changes(loss: Loss, terms: Sequence[int]) -> Iterator[_Change]:
    """Yield what may be made of the images, logits and voxels of some terms."""
    kinds = {loss.asked[k].part.term.kind in LOGITS for k in terms}
    if True in kinds:
        for text, logits in _of_logits():
            yield _Change(text, logits=logits)
    if False in kinds:
        for text, voxels in _of_voxels(loss.arguments):
            yield _Change(text, voxels=voxels)
    made = [call.name for call in loss.calls if not call.is_judge]
    given = [name for name in loss.arguments if name not in loss.networks]
    sets: list[tuple[str, ...]] = [(name,) for name in given] + [("real_t2", "fake_t2")] * (
        "fake_t2" in given
    )
    first = [call.name for call in loss.calls if set(call.inputs) <= set(given)]
    sets += [tuple(given)]
    if made:
        sets += [tuple(name for name in made if name in first), tuple(made), (*given, *made)]
    for text, image in _of_images():
        for names in sets:
            yield _Change(text, image=image, images=names)


def _of_logits() -> Iterator[tuple[str, Callable[[Tensor, float], Tensor]]]:
    def cut(z: Tensor, label: float, size: float) -> Tensor:
        return _cross_entropy(z.clamp(-size, size), label)

    def with_epsilon(z: Tensor, label: float, size: float) -> Tensor:
        return -(_towards(z, label).sigmoid() + size).log().mean()

    def probability_cut(z: Tensor, label: float, size: float) -> Tensor:
        return -_towards(z, label).sigmoid().clamp(size, 1 - size).log().mean()

    def straight(z: Tensor, label: float, beyond: float) -> Tensor:
        return F.softplus(-_towards(z, label), threshold=beyond).mean()

    for size in range(1, 11):
        yield (
            f"softplus has the threshold {size}, which makes a straight line of all beyond {size}: "
            "leave out the threshold",
            partial(straight, beyond=size),
        )
    for size in (10, 5, 15, 8, 6, 4, 3, 2, 1):
        text = f"logits are cut off at -{size} and {size}: the term is right for small logits only"
        yield text if size < 6 else "", partial(cut, size=size)
    for power in range(1, 13):
        small = 10.0**-power
        what = "the term is right for small logits only"
        added = f"{small:g} is added inside the logarithm: {what}"
        yield added if power < 4 else "", partial(with_epsilon, size=small)
        cut_off = f"probabilities are cut off at {small:g} and 1 - {small:g}: {what}"
        yield cut_off if power < 3 else "", partial(probability_cut, size=small)
    yield (
        "the probability is rounded to 0 or 1 before the cross-entropy, which leaves no gradient",
        lambda z, label: 100 * (_towards(z, label) <= 0).to(z).mean(),
    )
    yield (
        "probabilities are averaged over the batch before the logarithm, asked for the mean of the "
        "cross-entropies",
        lambda z, label: -_towards(z, label).sigmoid().mean().log(),
    )
    yield (
        "the logits, cut off at 0 and 1, are taken for probabilities, which the sigmoid of a logit "
        "is",
        lambda z, label: F.binary_cross_entropy(z.clamp(0, 1), torch.full_like(z, label)),
    )
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "a ReLU": F.relu,
        "a leaky ReLU (0.2)": lambda z: F.leaky_relu(z, 0.2),
        "tanh": torch.tanh,
        "the absolute value": torch.abs,
        "the square": torch.square,
        "a half": lambda z: z / 2,
        "the double": lambda z: 2 * z,
    }

    def of_function(z: Tensor, label: float, function: Callable[[Tensor], Tensor]) -> Tensor:
        return _cross_entropy(function(z), label)

    for name, function in functions.items():
        yield (
            f"the cross-entropy gets {name} of the logits, asked for the logits themselves",
            partial(of_function, function=function),
        )
    picks: dict[str, Callable[[Tensor], Tensor]] = {
        "first": lambda x: x[0],
        "last": lambda x: x[-1],
        "worst": lambda x: x.max(),
        "best": lambda x: x.min(),
        "median": lambda x: x.median(),
    }

    def picked(z: Tensor, label: float, pick: Callable[[Tensor], Tensor]) -> Tensor:
        return pick(F.softplus(-_towards(z, label)))

    for which, pick in picks.items():
        yield (
            f"only the {which} subject of a batch counts, asked for the mean over the batch",
            partial(picked, pick=pick),
        )

    def counted(z: Tensor, label: float, sign: int, share: bool) -> Tensor:
        inside = sign * z > 0
        total = (F.softplus(-_towards(z, label)) * inside).sum()
        return total / (inside.sum() if share else len(z))

    for where, sign in (("greater", 1), ("less", -1)):
        for share in (False, True):
            yield (
                f"only logits {where} than 0 count, asked for all",
                partial(counted, sign=sign, share=share),
            )


def _of_voxels(names: Sequence[str]) -> Iterator[tuple[str, _Voxels]]:
    def masked(
        one: Tensor,
        other: Tensor,
        given: Mapping[str, Tensor],
        name: str,
        least: float,
        share: bool,
    ) -> Tensor:
        inside = given.get(name, other) > least
        total = ((one - other).abs() * inside).sum()
        return total / (inside.sum() if share else inside.numel())

    def of_one(one: Tensor, other: Tensor, _: Mapping[str, Tensor], k: int) -> Tensor:
        return (one[k] - other[k]).abs().mean()

    def cropped(one: Tensor, other: Tensor, _: Mapping[str, Tensor], width: int) -> Tensor:
        inside = slice(width, -width)
        return (one - other)[..., inside, inside].abs().mean()

    def cut(one: Tensor, other: Tensor, _: Mapping[str, Tensor], most: float) -> Tensor:
        return (one - other).abs().clamp(max=most).mean()

    def bent(
        one: Tensor, other: Tensor, _: Mapping[str, Tensor], size: float, height: float = 1.0
    ) -> Tensor:
        return height * F.huber_loss(one, other, delta=size)

    pair = ("real_t2", "real_t1", "fake_t2")
    for name in pair if "fake_t2" in names else ("the true slice",):
        for least in (-1.0, -0.99, -0.98, -0.95, -0.9, -0.8, -0.7, -0.6, -0.5, 0.0):
            for share in (True, False):
                text = f"only voxels where {name} is greater than {least:g} count, asked for all"
                yield text, partial(masked, name=name, least=least, share=share)
    for width in range(1, 17):
        plural = "s" if width > 1 else ""
        text = f"a border of {width} voxel{plural} is left out, asked for all voxels"
        yield text, partial(cropped, width=width)
    for most in (1.0, 1.5, 0.5, 0.1, 0.2, 0.25, 0.75, 1.2, 1.8):
        yield f"differences larger than {most:g} are cut off", partial(cut, most=most)
    for size in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 2.0):
        text = f"you have F.{{}}={size:g}, asked for the absolute difference"
        yield text.format("smooth_l1_loss with beta"), partial(bent, size=size, height=1 / size)
        yield text.format("huber_loss with delta"), partial(bent, size=size)

    def root(
        one: Tensor,
        other: Tensor,
        _: Mapping[str, Tensor],
        axes: tuple[int, ...],
        mean: bool,
        total: bool,
    ) -> Tensor:
        squares = (one - other).square()
        roots = (squares.mean(axes) if mean else squares.sum(axes)).sqrt()
        return roots.sum() if total else roots.mean()

    for what, axes in (("slice", (1, 2, 3)), ("row", (-1,)), ("column", (-2,))):
        kinds = (False, True) if what == "slice" else (False,)
        for mean, total in product(kinds, repeat=2):
            of = "mean square" if mean else "sum of squares"
            text = f"you have the root of the {of} of each {what}"
            text += ", added up over the batch" * total
            text += ", asked for the mean absolute difference"
            yield text, partial(root, axes=axes, mean=mean, total=total)
    yield (
        "the images are averaged over the batch before their difference is taken, asked for the "
        "mean of all differences",
        lambda a, b, _: (a.mean(0) - b.mean(0)).abs().mean(),
    )
    yield "the median is taken, asked for the mean", lambda a, b, _: (a - b).abs().median()
    yield "the largest difference is taken, asked for the mean", lambda a, b, _: (a - b).abs().max()
    yield (
        "the largest difference of each slice is taken, asked for the mean",
        lambda a, b, _: (a - b).abs().flatten(1).max(1).values.mean(),
    )
    for which, k in (("first", 0), ("last", -1)):
        yield (
            f"only the {which} subject of a batch counts, asked for the mean over the batch",
            partial(of_one, k=k),
        )


def _of_images() -> Iterator[tuple[str, _Image]]:
    def cut(image: Tensor, _: Mapping[str, Tensor], size: float) -> Tensor:
        return image.clamp(-size, size)

    def rounded(image: Tensor, _: Mapping[str, Tensor], steps: float) -> Tensor:
        return (image * steps).round() / steps

    def without_air(image: Tensor, given: Mapping[str, Tensor], name: str) -> Tensor:
        return image.where(given[name] != -1, 0)

    for size in (0.99, 0.9, 0.95, 0.98, 0.999, 0.8, 0.5):
        text = f"you use {{}} cut off at -{size:g} and {size:g}"
        yield text, partial(cut, size=size)
    for steps in (100, 10, 255, 127.5):
        text = f"you use {{}} rounded to steps of 1/{steps:g}"
        yield text, partial(rounded, steps=steps)
    yield "you use {} cut off at 0 and 1", lambda x, _: x.clamp(0, 1)
    yield "you use tanh of {}", lambda x, _: x.tanh()
    yield "you use a sigmoid of {}", lambda x, _: x.sigmoid()
    yield "you use {} brought to the range from 0 to 1", lambda x, _: (x + 1) / 2
    yield "you use {} divided by 2", lambda x, _: x / 2
    yield "you use {} mirrored, left for right", lambda x, _: x.flip(-1)
    yield "you use {} turned upside down", lambda x, _: x.flip(-2)
    yield "you use {} with rows and columns exchanged", lambda x, _: x.transpose(-1, -2)
    yield (
        "you use {} minus the mean of each slice",
        lambda x, _: x - x.mean((1, 2, 3), keepdim=True),
    )
    yield "you use {} with 0 in place of air, -1", lambda x, _: x.where(x != -1, 0)
    for name in ("real_t2", "real_t1"):
        yield (
            f"you use {{}} with 0 where {name} is -1",
            partial(without_air, name=name),
        )


# --- Where it is right ----------------------------------------------------------------------------


def _where_right(
    loss: Loss,
    answer: Answer,
    dtype: torch.dtype,
    lambdas: tuple[float, ...],
    terms: tuple[int, ...],
) -> Iterator[str]:
    """Yield sentences on the slices that are judged otherwise, or on which inputs terms are right.

    Either tells where to look.
    """
    if found := list(_slice_by_slice(loss, answer, dtype, lambdas, terms)):
        yield from found
        return
    fit = _Fit(_ASKED, terms)

    def right(n: int, largest: float, contrast: float = 1.0) -> bool:
        return all(  # with logits of both signs
            _same(_value(loss, scene, p, lambdas, [fit]), answer.value(scene, p, lambdas), dtype)
            for seed in (14, 15)
            for sign in (1, -1)
            for scene in [_scene(loss, dtype, seed, n, sign * largest, contrast)]
            for p in range(_BATCHES)
        )

    name = _called(loss, terms)
    begin = "The loss" if not lambdas else capitalised(name)
    verb = "are" if len(terms) > 1 and lambdas else "is"
    if right(1, _LARGE):
        yield f"{begin} {verb} {RIGHT_FOR_ONE}, and not for a batch of several."
    elif right(_N, _SMALL):
        yield f"{begin} {verb} right for small logits, and not for large ones."
    elif right(_N, _SMALL, contrast=0.3):
        yield (
            f"{begin} {verb} right where all voxels are close to 0, and not where they come near "
            "-1 or 1."
        )


def _slice_by_slice(
    loss: Loss,
    answer: Answer,
    dtype: torch.dtype,
    lambdas: tuple[float, ...],
    terms: tuple[int, ...],
) -> Iterator[str]:
    """Yield which slices of a batch have another label than asked for, or another weight.

    The value of a batch is taken for a sum of what each slice gives with the label that is asked
    for, and with the other one. Slices of other scenes must bear that out.
    """

    def of_slice(z: Tensor, label: float, i: int) -> Tensor:
        return _cross_entropy(z[i : i + 1], label)

    def other_label(z: Tensor, label: float, i: int) -> Tensor:
        return of_slice(z, 1 - label, i)

    def difference(one: Tensor, other: Tensor, _: Mapping[str, Tensor], i: int) -> Tensor:
        return _absolute(one[i], other[i], _)

    columns: list[tuple[int, int, bool, _Change]] = []
    for k in terms:
        for i in range(_N):
            if loss.asked[k].part.term.kind in LOGITS:
                columns.append((k, i, True, _Change("", logits=partial(of_slice, i=i))))
                columns.append((k, i, False, _Change("", logits=partial(other_label, i=i))))
            else:
                columns.append((k, i, True, _Change("", voxels=partial(difference, i=i))))
    shares = torch.zeros(len(loss.asked), _N, 2, dtype=torch.float64)

    def rows(seeds: range, largest: float) -> tuple[Tensor, Tensor]:
        places = [
            (_scene(loss, dtype, seed, _N, largest), p) for seed in seeds for p in range(_BATCHES)
        ]
        x = [
            [
                loss.asked[k].part.weight.value(lambdas, _N)
                * _term(loss, scene, p, loss.asked[k], change)
                / _N
                for k, _, _, change in columns
            ]
            for scene, p in places
        ]
        y = [answer.value(scene, p, lambdas) for scene, p in places]
        return torch.tensor(x, dtype=torch.float64), torch.tensor(y, dtype=torch.float64)

    x, y = rows(range(20, 21 + len(columns) // _BATCHES + 1), 2.0)
    if not bool(y.isfinite().all()):
        return
    found = torch.linalg.lstsq(x, y[:, None], driver="gelsd").solution[:, 0]
    error = 100 * _SAME[dtype]
    found = torch.where((found - found.round()).abs() < error, found.round(), found)
    proof, value = rows(range(40, 42), _USUAL)
    if not torch.allclose(proof @ found, value, rtol=error / 10) or bool((found < 0).any()):
        return
    for (k, i, is_asked, _), share in zip(columns, found.tolist(), strict=True):
        shares[k, i, 0 if is_asked else 1] = share
    labels, weights = [], []
    differ = False
    for k in terms:
        part, name = loss.asked[k]
        total = shares[k].sum(1)
        if bool(((total - 1).abs() > error).any()):
            numbers = enumerated(number(share / _N) for share in total.tolist())
            weights.append(f"of {name}, they weigh {numbers}")
        if bool((shares[k, :, 1] > 0).any()):
            wanted = float(part.term.label or 0)
            given = (shares[k] @ torch.tensor([wanted, 1 - wanted]).double() / total).tolist()
            texts = enumerated("none" if math.isnan(x) else number(x) for x in given)
            labels.append(f"{part.term.of[0]} has the labels {texts}, asked for {wanted:g}")
            differ |= len({round(x, 4) for x in given if not math.isnan(x)}) > 1
    if labels:
        begin = "Labels differ from slice to slice" if differ else "Labels are not as asked for"
        yield f"{begin}: in a batch of {_N} slices, in order, {'; '.join(labels)}."
    if weights:
        yield (
            "The slices of a batch do not weigh what is asked for: look at how their mean is "
            f"taken. In a batch of {_N} slices, in order, in the mean {'; '.join(weights)}; asked "
            f"for {number(1 / _N)} each."
        )
