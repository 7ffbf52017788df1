"""Explain a wrong loss: its equation beside the one asked for, and where its gradient flows."""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from labhelpers.checks.explanations.batches import (
    Answer,
    AnswerError,
    Asked,
    Call,
    Loss,
    PairJudge,
    Scene,
    SingleJudge,
    Watch,
    tensors_of,
)
from labhelpers.checks.explanations.cuts import what_cuts
from labhelpers.checks.explanations.equations import (
    CONSTANT,
    LOGITS,
    Block,
    Part,
    Sample,
    Term,
    Weight,
    column,
    find_terms,
    find_weights,
    holds,
    number,
    plain_blocks,
    rich_blocks,
    split,
)
from labhelpers.checks.explanations.large_logits import large_logits
from labhelpers.checks.explanations.variants import RIGHT_FOR_ONE, picked, unlike, variants
from labhelpers.checks.explanations.words import capitalised, enumerated
from labhelpers.checks.fixtures import SmallGenerator
from labhelpers.checks.records import Explanation, Run

__all__ = [
    "ELSEWHERE",
    "GENERATOR_OF_PAIR",
    "cgan_discriminator_loss",
    "cgan_generator_loss",
    "cyclegan_generator_loss",
    "equation_of",
]

_BATCH = 3  # three images tell a rotation from an exchange
_SPARE = 12  # batches more than there are unknown weights
_EXACT = 1e-9
# What an epsilon in a logarithm may cost, or float32: relative to the smallest part of a loss.
_LOOSE = {torch.float64: 2e-5, torch.float32: 1e-4}
# With the first pair of λ the terms are found, with all four their weights; the last pair is kept
# for the proof.
_LAMBDAS = ((0.7, 4.3), (1.9, 4.3), (0.7, 1.3), (1.9, 1.3))
_FRESH_LAMBDAS = (2.6, 0.45)
_MOST_SENTENCES = 6
_UNKNOWN = "Your loss has none of the forms that this check can take apart."
ELSEWHERE = (
    "On other slices that were tried, your loss is as asked for. Compare its numbers in the case "
    "below."
)
_CHANGING = (
    "The loss has another value each time it is called with the same inputs: something is drawn at "
    "random, or kept from one call to the next."
)

# Names that are seldom in a loss for anything else.
_CUTS = {"data", "detach", "detach_", "inference_mode", "item", "no_grad", "numpy", "tolist"}
_WITH_TENSORS = (
    "Compute with tensors throughout: item, float(), numpy and torch.tensor(…) cut off, too."
)

_HALF = Weight(((0.5, ()),))
_FIRST, _SECOND = (Weight(((1.0, powers),)) for powers in ((1, 0), (0, 1)))


def _bce(call: Call, label: float, weight: Weight) -> Part:
    return Part(Term("bce", (call.name,), label), weight)


def _error(one: str, other: str) -> Part:
    return Part(Term("absolute", (one, other)), _SECOND)


def _steep(seed: int, dtype: torch.dtype) -> nn.Module:
    """Return a generator whose slices come close to -1 and 1."""
    return SmallGenerator(seed, dtype, gain=3.0)


_D_REAL, _D_FAKE = Call("D", ("real_t2", "real_t1")), Call("D", ("fake_t2", "real_t1"))
_PAIR = ("D", "real_t1", "real_t2", "fake_t2")
GENERATOR_OF_PAIR = Loss(
    arguments=_PAIR,
    networks={"D": PairJudge},
    lambdas=("lambda_gan", "lambda_pixel"),
    calls=(_D_FAKE,),
    asked=(
        Asked(_bce(_D_FAKE, 1.0, _FIRST), "the adversarial term"),
        Asked(_error("fake_t2", "real_t2"), "the voxel-wise term"),
    ),
    groups={(0, 1): "both terms"},
    trains={"the generator": "fake_t2"},
    spares={},
)
_DISCRIMINATOR_OF_PAIR = Loss(
    arguments=_PAIR,
    networks={"D": PairJudge},
    lambdas=(),
    calls=(_D_REAL, _D_FAKE),
    asked=(
        Asked(_bce(_D_REAL, 1.0, _HALF), "the term of the true slices"),
        Asked(_bce(_D_FAKE, 0.0, _HALF), "the term of the generated slices"),
    ),
    groups={(0, 1): "both terms"},
    trains={"the discriminator": "D"},
    spares={"the generator": "fake_t2"},
)
_G_T1, _H_T2 = Call("G", ("real_t1",)), Call("H", ("real_t2",))
_HG, _GH = Call("H", (_G_T1.name,)), Call("G", (_H_T2.name,))
_D_T2, _D_T1 = Call("D_T2", (_G_T1.name,)), Call("D_T1", (_H_T2.name,))
_THERE, _BACK = "T1-w → T2-w → T1-w", "T2-w → T1-w → T2-w"
_GENERATORS_OF_CYCLE = Loss(
    arguments=("G", "H", "D_T1", "D_T2", "real_t1", "real_t2"),
    networks={"G": _steep, "H": _steep, "D_T1": SingleJudge, "D_T2": SingleJudge},
    lambdas=("lambda_gan", "lambda_cycle"),
    calls=(_G_T1, _H_T2, _HG, _GH, _D_T2, _D_T1),
    asked=(
        Asked(_bce(_D_T2, 1.0, _FIRST), "the adversarial term of the generated T2-w slice"),
        Asked(_error(_HG.name, "real_t1"), f"the cycle term {_THERE}"),
        Asked(_bce(_D_T1, 1.0, _FIRST), "the adversarial term of the generated T1-w slice"),
        Asked(_error(_GH.name, "real_t2"), f"the cycle term {_BACK}"),
    ),
    groups={
        (0, 1, 2, 3): "all four terms",
        (0, 2): "both adversarial terms",
        (1, 3): "both cycle terms",
        (0, 1): f"both terms of {_THERE}",
        (2, 3): f"both terms of {_BACK}",
    },
    trains={"generator G": "G", "generator H": "H"},
    spares={},
    returns=(_H_T2.name, _G_T1.name),
    mixed_up=(
        ("G and H are exchanged.", {"G": "H", "H": "G"}),
        ("D_T1 and D_T2 are exchanged.", {"D_T1": "D_T2", "D_T2": "D_T1"}),
        (
            "The generators get each other's input: G gets real_t2, and H gets real_t1.",
            {"G(real_t2)": "G(real_t1)", "H(real_t1)": "H(real_t2)"},
        ),
        ("G gets real_t2, asked for real_t1.", {"G(real_t2)": "G(real_t1)"}),
        ("H gets real_t1, asked for real_t2.", {"H(real_t1)": "H(real_t2)"}),
    ),
)


def cgan_generator_loss(answer: Any, runs: list[Run]) -> Explanation | None:
    """Explain the loss of the generator of notebook 3."""
    return _explain(GENERATOR_OF_PAIR, answer, runs)


def cgan_discriminator_loss(answer: Any, runs: list[Run]) -> Explanation | None:
    """Explain the loss of the discriminator of notebook 3."""
    return _explain(_DISCRIMINATOR_OF_PAIR, answer, runs)


def cyclegan_generator_loss(answer: Any, runs: list[Run]) -> Explanation | None:
    """Explain the loss of the generators of notebook 4."""
    return _explain(_GENERATORS_OF_CYCLE, answer, runs)


def _explain(loss: Loss, function: Any, runs: list[Run]) -> Explanation | None:
    if sentence := _made_and_called_at_once(runs):
        return Explanation(notes=[["wrong", sentence]], items=[], alone=True, table=None)
    sentences = list(_changes(runs))
    notes: list[list[str]] = []
    items = {"unchanged"} if sentences else set()
    answer = Answer(function, loss)
    for dtype in (torch.float64, torch.float32):
        with suppress(AnswerError):
            found, notes = _study(loss, answer, dtype)
            found += _defaults(loss, function)
            sentences += found
            if not sentences and not any(run["errors"] for run in runs):
                sentences = found = (
                    variants(loss, answer, dtype) or _at_rest(loss, answer, dtype) or [ELSEWHERE]
                )
            items |= {name for run in runs for name in run["observed"] if found}
            break
    if not sentences:
        return None
    wrong = [["wrong", sentence] for sentence in dict.fromkeys(sentences)]
    return Explanation(
        notes=wrong[:_MOST_SENTENCES] + notes, items=sorted(items), alone=False, table=None
    )


def _study(loss: Loss, answer: Answer, dtype: torch.dtype) -> tuple[list[str], list[list[str]]]:
    """Return what is wrong in sentences, and notes with both equations if they differ."""
    first = _LAMBDAS[0] if loss.lambdas else ()
    scene = Scene(loss, 1, _BATCH, 0, dtype)
    watch = Watch(loss, scene)
    returned = answer.on(scene, 0, first)[0]
    watch.stop()
    sentences = list(_forms(returned[0]))
    images = [watch.name_of(image) for image in returned[1:]]
    values = [answer.value(scene, 0, first) for _ in range(2)]
    if abs(values[0] - values[1]) > 1e-9 * abs(values[0]):
        sentences.append(_CHANGING)
        return [*sentences, *_uses(loss, watch), *_without_chance(loss, answer, dtype)], []
    equation = equation_of(loss, answer, watch.calls, dtype)
    if equation is None:
        told = picked(loss, answer, dtype) + _term_by_term(loss, answer, watch.calls, dtype)
        if not told and len(loss.lambdas) == 2:
            told = variants(loss, answer.exchanged(), dtype, is_whole=True)
            told = [f"{enumerated(loss.symbols)} are exchanged.", *told] if told else []
        if mixed := list(_mixed(watch)):  # which is why a single subject is judged rightly
            told = mixed + [text for text in told if RIGHT_FOR_ONE not in text]
        known = (
            told
            or [*_uses(loss, watch), *_unused(loss, answer, dtype)]
            or unlike(loss, answer, dtype)
            or [_UNKNOWN]
        )
        return [*sentences, *_returned(loss, images), *known], []
    ordered, names, differences = _compare(loss, equation, watch.calls)
    differences += _returned(loss, images)
    text = " ".join(part.term.text() for part in equation if part.term != CONSTANT)
    for sentence, meant in loss.mixed_up:
        if not all(re.search(_pattern([name]), text) for name in meant):
            continue
        parts = [Part(_renamed(part.term, meant), part.weight) for part in equation]
        calls = [_renamed(call, meant) for call in watch.calls]
        fewer = _compare(loss, parts, calls)[2] + list(_returned(loss, _renamed(images, meant)))
        if len(fewer) + 1 < len(differences):
            differences = [sentence, *fewer]
    sentences += differences
    sentences += _flows(loss, answer, ordered, names, watch.calls, dtype)
    beyond = _large(loss, answer, ordered, names, watch.calls, first)
    sentences += beyond
    with suppress(AnswerError):  # a loss may fail where a weight is 0, which the report quotes
        sentences += _zeros(loss, answer, equation, watch.calls, dtype)
    notes = []
    yours, asked = _text(ordered, loss), _text([x.part for x in loss.asked], loss)
    if yours != asked:
        limit = "\n(for logits that are not large)" if beyond else ""
        notes = [["yours", yours + limit], ["asked for", asked]]
    return sentences, notes


def _without_chance(loss: Loss, answer: Answer, dtype: torch.dtype) -> list[str]:
    """Return what else is wrong with a loss that draws numbers, with zeros in their place."""
    calm, names = answer.without_chance()
    with suppress(AnswerError):
        found = _study(loss, calm, dtype)[0]
        if not names or _CHANGING in found:
            return []
        drawn = f"With zeros in place of what {enumerated(sorted(names))} draws"
        if not found:
            return [f"{drawn}, the loss is as asked for: leave that out."]
        return [f"{drawn}: {text[0].lower()}{text[1:]}" for text in found]
    return []


def _term_by_term(
    loss: Loss, answer: Answer, calls: Sequence[Call], dtype: torch.dtype
) -> list[str]:
    """Return what is wrong in the terms of each λ, where the loss as a whole has no equation."""
    sentences: list[str] = []
    unknown: dict[int, tuple[Loss, Answer]] = {}
    is_known = False
    scene = Scene(loss, 1, _BATCH, 0, dtype)
    for k in range(len(loss.lambdas)):
        part, alone = loss.of_weight(k), answer.with_weight(k)
        if not alone.value(scene, 0, _LAMBDAS[0]):  # the other λ weighs all that there is
            sentences += _bent_weight(loss, alone, scene, k)
            continue
        if (found := _of_equation(part, alone, calls, dtype)) is None:
            sentences += _bent_weight(loss, alone, scene, k)
            unknown[k] = part, alone
        else:
            sentences += found
            is_known = True
    with suppress(AnswerError):
        # What is left where all λ are 0 belongs to the equation that was found.
        if is_known and answer.value(scene, 0, [0.0] * len(loss.lambdas)):
            for k, (part, _) in list(unknown.items()):
                added = answer.with_weight(k, without_rest=True)
                if (found := _of_equation(part, added, calls, dtype)) is None:
                    unknown[k] = part, added
                else:
                    sentences += found
                    del unknown[k]
    whole: list[str] = []
    if not sentences and len(unknown) == len(loss.lambdas):
        whole = variants(loss, answer, dtype) + _large(loss, answer)
        sentences += whole
    rest = list(unknown.values())
    told = [variants(part, alone, dtype) + _large(part, alone) for part, alone in rest]
    if not (sentences or any(told)):
        return []
    for (part, alone), texts in zip(rest, told, strict=True):
        sentences += texts if not whole else []
        sentences += [] if texts else unlike(part, alone, dtype)
    return sentences


def _of_equation(
    loss: Loss, answer: Answer, calls: Sequence[Call], dtype: torch.dtype
) -> list[str] | None:
    """Return what is wrong with the equation of a part of a loss, None if it has none."""
    equation = equation_of(loss, answer, calls, dtype)
    if equation is None:
        return None
    ordered, names, differences = _compare(loss, equation, calls)
    return differences + _large(loss, answer, ordered, names, calls, _LAMBDAS[0])


def _bent_weight(loss: Loss, alone: Answer, scene: Scene, k: int) -> list[str]:
    """Return that a weight is no factor of what it adds to a loss, with an example."""
    weights = (0.5, 1.0, 2.0)

    def at(weight: float) -> float:
        return alone.value(scene, 0, [weight if j == k else 0.0 for j in range(len(loss.lambdas))])

    rest = at(0.0)
    added = [at(weight) - rest for weight in weights]
    if np.allclose([x / weight for x, weight in zip(added, weights, strict=True)], added[1], 1e-6):
        return []
    numbers = enumerated(f"{x:.4g}" for x in added)
    return [
        f"{loss.symbols[k]} is no factor: with {enumerated(f'{x:g}' for x in weights)} in its "
        f"place, it adds {numbers} to the loss; asked for are numbers in the ratio of the weights."
    ]


def _large(
    loss: Loss,
    answer: Answer,
    equation: Sequence[Part] = (),
    names: Sequence[str] = (),
    calls: Sequence[Call] = (),
    lambdas: Sequence[float] = (),
) -> list[str]:
    """Return what is wrong for large logits only; without an equation, in the terms asked for."""
    if not equation:
        equation, names = zip(*loss.asked, strict=True)
        calls, lambdas = loss.calls, (1.0, 0.0)[: len(loss.lambdas)]
    told: dict[str, list[str]] = {}
    with suppress(AnswerError, RuntimeError):  # whose graph is spoilt, which the report quotes
        for name, piece in large_logits(loss, answer, equation, names, calls, lambdas):
            told.setdefault(piece, []).append(name)
    return _sentences(loss, told)


def _zeros(
    loss: Loss, answer: Answer, equation: Sequence[Part], calls: Sequence[Call], dtype: torch.dtype
) -> Iterator[str]:
    """Yield which weights do not leave their term out where they are 0, as the equation does."""
    powers = [p for part in equation for _, each in part.weight.factors for p in each]
    if min(powers, default=0) < 0:
        return
    as_one: list[str] = []
    for k, name in enumerate(loss.lambdas):
        zero, one = (
            tuple(value if j == k else x for j, x in enumerate(_FRESH_LAMBDAS))
            for value in (0.0, 1.0)
        )
        sample = _sample(loss, answer, calls, dtype, True, 4, _BATCH, zero, 5)
        if (parts := [x for x in equation if x.weight.value(zero, _BATCH)]) and holds(
            parts, sample, 2 * _LOOSE[dtype]
        ):
            continue
        if holds(equation, sample._replace(lambdas=one), 2 * _LOOSE[dtype]):
            as_one.append(name)
        elif parts:
            yield (
                f"Where {name} is 0, the loss has another equation than for other weights. "
                "Asked for is the same one."
            )
    if as_one:
        yield (
            f"Where {enumerated(as_one, 'or')} is 0, the loss takes 1 in its place; asked for is "
            "0, which leaves the term out. (Python's `or` and `if` take a 0 for False.)"
        )


def _at_rest(loss: Loss, answer: Answer, dtype: torch.dtype) -> list[str]:
    """Return what is left of the differences of images where all images are the same."""
    places = [k for k, asked in enumerate(loss.asked) if asked.part.term.kind == "absolute"]
    if not places:
        return []
    scene = Scene(loss, 1, _BATCH, 6, dtype)
    scene.images |= {name: scene.images["real_t2"] for name in scene.images if name != "real_t1"}
    for symbol in scene.networks:
        if not symbol.startswith("D"):
            scene.networks[symbol] = nn.Identity()
    with suppress(AnswerError):
        if rest := answer.value(scene, 0, (0.0, 1.0)):
            name = loss.groups.get(tuple(places), loss.asked[places[0]].name)
            return [
                f"Where all images are the same, {name} should come to 0, and there is {rest:.2g}: "
                "something is added to the differences."
            ]
    return []


def _pattern(names: Iterable[str]) -> str:
    return "|".join(rf"\b{re.escape(name)}(?!\w)" for name in names)


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Replace names in all texts of a value."""
    if isinstance(value, str):
        return re.sub(_pattern(names), lambda match: names[match[0]], value)
    if isinstance(value, (list, tuple)):
        parts = [_renamed(part, names) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


def _text(equation: Sequence[Part], loss: Loss) -> str:
    return "\n+ ".join(part.text(loss.symbols) for part in equation).replace("+ -", "- ")


def equation_of(
    loss: Loss, answer: Answer, calls: Sequence[Call], dtype: torch.dtype
) -> list[Part] | None:
    """Return the equation of an answer, None if none of terms that are known is exact."""
    lambdas = _LAMBDAS if loss.lambdas else ((),)
    fresh = _FRESH_LAMBDAS if loss.lambdas else ()
    asked = [part.term for part, _ in loss.asked]
    judged = [call.name for call in calls if call.is_judge]
    images = [name for name in loss.arguments if name not in loss.networks]
    images += [call.name for call in calls if not call.is_judge]
    tried: list[tuple[list[Block], Sample, Callable[..., Sample]]] = []
    for tolerance in (_EXACT, _LOOSE[dtype]):
        for k, blocks_of in enumerate((plain_blocks, rich_blocks)):
            if k == len(tried):
                blocks = blocks_of(judged, images, asked)
                size = sum(len(block.basis) for block in blocks) + _SPARE
                compute = partial(_sample, loss, answer, calls, dtype, blocks_of is rich_blocks)
                tried.append((blocks, compute(size, _BATCH, lambdas[0]), compute))
            blocks, first, sample = tried[k]
            found = find_terms(blocks, first, tolerance)
            # A label of 0.9 may be one that depends on λ.
            for terms in (found, split(found)) if found else ():
                few = len(terms) + 4
                samples = [sample(few, _BATCH, values, 1) for values in lambdas]
                samples.append(sample(few, _BATCH - 1, lambdas[0], 1))
                equation = find_weights(terms, samples, tolerance)
                if equation and holds(equation, sample(few, _BATCH + 1, fresh, 2), 2 * tolerance):
                    dim = Scene(loss, 4, _BATCH, 7, dtype)
                    if _has_a_true_constant(answer, dim, calls, equation, fresh, 2 * tolerance):
                        return _with_distances(equation)
    return None


def _has_a_true_constant(
    answer: Answer,
    scene: Scene,
    calls: Sequence[Call],
    equation: Sequence[Part],
    lambdas: Sequence[float],
    tolerance: float,
) -> bool:
    """Return False if a constant is one only where the images reach from -1 to 1."""
    if all(part.term != CONSTANT for part in equation):
        return True
    scene.images = {name: 0.6 * image for name, image in scene.images.items()}
    return holds(equation, answer.sample(scene, calls, lambdas, True), tolerance)


def _with_distances(equation: list[Part]) -> list[Part]:
    """Return an equation with distances of probabilities from 1 in place of 1 minus these."""
    constants = [part for part in equation if part.term == CONSTANT]
    for part in equation:
        for constant in constants:
            if part.term.kind == "probability" and part.weight.negated == constant.weight:
                term = Term("distance of probability", part.term.of, 1.0)
                distance = Part(term, constant.weight)
                return [distance if x is part else x for x in equation if x is not constant]
    return equation


def _sample(
    loss: Loss,
    answer: Answer,
    calls: Sequence[Call],
    dtype: torch.dtype,
    rich: bool,
    batches: int,
    n: int,
    lambdas: Sequence[float],
    seed: int = 0,
) -> Sample:
    return answer.sample(Scene(loss, batches, n, seed, dtype), calls, lambdas, rich)


def _made_and_called_at_once(runs: Sequence[Run]) -> str:
    """Return a sentence if a loss class was called with tensors where its object should be."""
    for error in (error for run in runs for error in run["errors"].values()):
        name = re.search(r"\b(\w+Loss)\((?!\)|\w+=)", error["line"])
        if name and hasattr(nn, name[1]) and "Boolean value of Tensor" in error["message"]:
            return (
                f"{name[1]} is a class: make an object of it first, {name[1]}(), and call that "
                f"object with the two tensors.\n({error['line']})"
            )
    return ""


def _forms(loss: Any) -> Iterator[str]:
    """Yield what is wrong with the kind of object that a loss is."""
    if not isinstance(loss, Tensor):
        yield (
            f"You return a {type(loss).__name__}, a plain number without a graph. "
            "Return the tensor itself."
        )
    elif loss.ndim:
        yield (
            f"The loss of a batch of {_BATCH} slices is a tensor of shape {tuple(loss.shape)}; "
            "asked for is one without dimensions."
        )


def _returned(loss: Loss, images: Sequence[str]) -> Iterator[str]:
    """Yield which images stand in the wrong place of what is returned."""
    places = ("second", "third")
    for place, image, name in zip(places, images, loss.returns, strict=False):
        if image != name:
            yield f"The {place} value that you return is {image}, asked for {name}."


def _uses(loss: Loss, watch: Watch) -> Iterator[str]:
    """Yield which networks are not used, or not with the images that are at hand."""
    called = {call.network for call in watch.made} | set(watch.strangers)
    if missing := [symbol for symbol in loss.networks if symbol not in called]:
        yield f"The loss never calls {enumerated(missing)}, as given in its arguments."
    for symbol in watch.strangers:
        made = " or generated" if loss.returns else ""
        yield f"{symbol} is called with an image that is none of those given{made}."


def _mixed(watch: Watch) -> Iterator[str]:
    """Yield which images are judged beside those of other subjects, or of some subjects only."""
    texts = []
    for call, places in watch.mixed.items():
        image, condition = (
            f"{name} of the subjects {', '.join(str(place[k]) for place in places)}"
            for k, name in enumerate(call.inputs)
        )
        texts.append(f"{image} beside {condition}")
    if texts:
        network, names = next((call.network, call.inputs) for call in watch.mixed)
        yield (
            f"{network} judges images beside {names[1]} of other subjects: in a batch of {_BATCH}, "
            f"counted from 0, it gets {enumerated(texts)}. Asked for: each image beside "
            f"{names[1]} of its own subject."
        )
    for call, subjects in watch.partial.items():
        yield (
            f"{call.name} is computed for some subjects only: in a batch of {_BATCH}, counted from "
            f"0, for {enumerated(map(str, subjects))}."
        )


def _unused(loss: Loss, answer: Answer, dtype: torch.dtype) -> Iterator[str]:
    """Yield the arguments that make no difference to the value, whatever the others are."""
    # Small and large logits of both signs: a term may count in some of these cases only.
    scenes = [
        Scene(loss, 3, _BATCH, seed, dtype, sign * bold)
        for seed, bold in enumerate((1.0, 4.0, 20.0), 4)
        for sign in (1, -1)
    ]
    pairs = [(1.0, 1.0), (9.0, 0.1), (0.1, 9.0)] if loss.lambdas else [()]

    places = [(scene, p, pair) for p in range(3) for scene in scenes for pair in pairs]

    def value(place: int, factors: Sequence[float]) -> float:
        scene, p, pair = places[place]
        return answer.value(scene, p, [x * y for x, y in zip(pair, factors, strict=True)])

    same = [1.0] * len(loss.lambdas)
    before: list[float] = []

    def is_same(factors: Sequence[float]) -> bool:
        """Look at one place after the other, for as long as nothing has changed."""
        return all(np.isclose(value(k, factors), x, 1e-9) for k, x in enumerate(before))

    before += [value(k, same) for k in range(len(places))]
    unused = []
    for k, name in enumerate(loss.lambdas):
        if is_same([1.0 + (j == k) for j in range(len(same))]):
            unused.append(name)
    for name in scenes[0].images:
        images = [scene.images[name] for scene in scenes]
        for seed, scene in enumerate(scenes, 40):
            scene.images[name] = 0.6 * Scene(loss, 3, _BATCH, seed, dtype).images[name]
        if is_same(same):
            unused.append(name)
        for scene, image in zip(scenes, images, strict=True):
            scene.images[name] = image
    if unused:
        yield f"The loss does not depend on {enumerated(unused)}."


def _defaults(loss: Loss, function: Any) -> Iterator[str]:
    """Yield weights whose default is another number than 1."""
    parameters = inspect.signature(function).parameters
    for name in loss.lambdas:
        default = parameters[name].default if name in parameters else 1
        if isinstance(default, (int, float)) and default != 1:
            yield f"The default of {name} is {default:g}, asked for 1."


# Sentences about what a loss changes. The probe writes down "what of whom, what of whom, …".
_CHANGES = {
    "gradients": "Your loss calls backward, which adds to the gradients of {}. A loss only "
    "computes: the step calls backward itself, and that fails where the graph is used up already, "
    "or adds to what your loss has left there.",
    "cleared gradients": "Your loss clears the gradients of {}. That belongs to the step.",
    "weights": "Your loss changes the weights of {}. That belongs to the step.",
    "mode": "Your loss leaves {} in another mode than before (by eval or train). A loss neither "
    "needs eval nor train: it computes in the mode in which the networks come.",
    "for a while the mode": "For a while, your loss switches {} to another mode (by eval or "
    "train). A loss computes in the mode in which the networks come, and leaves it as it is.",
    "recording": "Your loss leaves gradients switched off in all of {} (set_grad_enabled), so that "
    "nothing that follows can be differentiated.",
    "requires_grad": "Your loss leaves weights of {} frozen (requires_grad is False), so that "
    "nothing can train them any more.",
    "values": "Your loss changes the values of {} in place, and the caller still needs them as "
    "they were: make a new tensor instead.",
    "graph": "Your loss works in place on {} (as detach_, requires_grad_, clamp_ and += do), and "
    "the caller still needs it as it was: make a new tensor instead.",
}


def _changes(runs: Sequence[Run]) -> Iterator[str]:
    """Yield what a loss changes, from what the probe wrote down."""
    seen = [words for run in runs for words in run["observed"].get("unchanged", {}).values()]
    changes = dict.fromkeys(change for words in seen for change in words.split(", "))
    for what, sentence in _CHANGES.items():
        whose = [x.removeprefix(f"{what} of ") for x in changes if x.startswith(f"{what} of ")]
        if what == "mode":  # told of those that only compute in another one
            whose = [x for x in whose if f"for a while the mode of {x}" not in changes]
        if what == "graph":
            whose = [x for x in whose if f"values of {x}" not in changes]
        if whose:
            yield sentence.format(enumerated(whose))


# Sentences about an equation beside the one that is asked for.
# As bad as so many differences within a term: that it is missing; that it is of another kind.
_MISSING, _UNLIKE = 1.6, 9.0


def _compare(
    loss: Loss, equation: Sequence[Part], calls: Sequence[Call]
) -> tuple[list[Part], list[str], list[str]]:
    """Return an equation in the order of the one asked for, names of its parts, and differences.

    The differences are sentences.
    """
    by_name = {call.name: call for call in (*loss.calls, *calls)}
    parts = [part for part in equation if part.term != CONSTANT]
    pieces = [[_pieces(loss, asked, part, by_name) for part in parts] for asked, _ in loss.asked]
    best: tuple[int | None, ...] = ()
    least = float("inf")
    places = [*range(len(parts)), *[None] * len(loss.asked)]
    for chosen in dict.fromkeys(itertools.permutations(places, len(loss.asked))):
        cost = _MISSING * len(set(range(len(parts))) - set(chosen))
        for (asked, _), row, k in zip(loss.asked, pieces, chosen, strict=True):
            found = None if k is None else row[k]
            cost += _MISSING if k is None else _UNLIKE if found is None else len(found)
            if k is not None:  # of equally good matches, the one with most in common
                cost += 0.1 * len(_names_in(asked, by_name) - _names_in(parts[k], by_name))
        if cost < least:
            best, least = chosen, cost
    told: dict[str, list[str]] = {}
    for (_, name), row, k in zip(loss.asked, pieces, best, strict=True):
        for piece in ["is missing"] if k is None else row[k] or ():
            told.setdefault(piece, []).append(name)
    rest = [part for k, part in enumerate(parts) if k not in best]
    rest += [part for part in equation if part.term == CONSTANT]
    texts = [part.text(loss.symbols) for part in rest]
    sentences = _sentences(loss, told) + ([f"Not asked for: {enumerated(texts)}."] if rest else [])
    if any(part.term.kind in LOGITS and len(part.term.of) > 1 for part in rest):
        sentences.append("Two logits are subtracted from each other, as in a relativistic GAN.")
    used = [parts[k] for k in best if k is not None]
    sentences += [text for part in rest for other in used for text in _as_label(loss, other, part)]
    matched = [
        (parts[k], name) for k, (_, name) in zip(best, loss.asked, strict=True) if k is not None
    ]
    ordered = [*(part for part, _ in matched), *rest]
    return ordered, [*(name for _, name in matched), *texts], sentences


def _as_label(loss: Loss, one: Part, other: Part) -> Iterator[str]:
    """Yield that two cross-entropies with weights λ and 1 - λ are one with the label λ."""
    lambdas = ([1.0 * (j == k) for j in range(len(loss.lambdas))] for k in range(len(loss.lambdas)))
    for symbol, unit in zip(loss.symbols, lambdas, strict=True):
        weights = ((1.0, tuple(unit)),), ((1.0, (0.0,) * len(unit)), (-1.0, tuple(unit)))
        terms = one.term._replace(label=1.0), one.term._replace(label=0.0)
        if one.term.kind == "bce" and (one, other) == tuple(map(Part, terms, map(Weight, weights))):
            call = f"BCE({one.term.of[0]}, {symbol})"
            yield f"With the term asked for, that is {call}: {symbol} is its label, and no weight."


def _names_in(part: Part, calls: Mapping[str, Call]) -> set[str]:
    """Return the networks and images that a part is made of."""
    names: set[str] = set()
    for name in part.term.of:
        call = calls.get(name)
        names |= {call.network, *call.inputs} if call and call.is_judge else {name}
    return names


def _sentences(loss: Loss, told: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a sentence for each thing that is told of some terms, which are given by name."""
    places = {name: k for k, (_, name) in enumerate(loss.asked)}
    sentences = []
    for piece, names in told.items():
        names = list(dict.fromkeys(names))
        group = loss.groups.get(tuple(sorted(places.get(name, -1) for name in names)))
        name = group or enumerated(names)
        if piece == "is missing":
            text = f"{name} {'are' if len(names) > 1 else 'is'} missing."
            sentences.append(capitalised(text))
        else:
            sentences.append(f"In {name}, {piece}.")
    return sentences


def _pieces(loss: Loss, asked: Part, yours: Part, calls: dict[str, Call]) -> list[str] | None:
    """Return how a part differs from another one, None if it has nothing to do with it."""
    is_logit = asked.term.kind in LOGITS
    if is_logit != (yours.term.kind in LOGITS) or yours.term.kind == "product":
        return None
    pieces = []
    if is_logit and len(yours.term.of) > 1:
        if asked.term.of[0] not in yours.term.of:
            return None
        pieces.append(
            f"you have {yours.term.text()}, of the difference of two logits as in a relativistic "
            f"GAN, asked for {asked.term.text()}"
        )
        return pieces + list(_weight_pieces(loss, asked, yours))
    if not is_logit:
        if set(yours.term.of) != set(asked.term.of):
            common = [name for name in asked.term.of if name in yours.term.of]
            one, other = sorted(yours.term.of, key=lambda name: name not in common)
            wanted = " with ".join(name for name in asked.term.of if name not in common)
            pieces.append(f"{one} is compared with {other}, asked for {wanted}")
    else:
        pieces += _call_pieces(calls[asked.term.of[0]], calls[yours.term.of[0]])
    minimax = (
        (yours.term.kind, asked.term.kind) == ("bce", "bce")
        and (asked.term.label, yours.term.label) in ((1.0, 0.0), (0.0, 1.0))
        and yours.weight.is_negative
    )
    if minimax:
        yours = yours._replace(weight=yours.weight.negated)
        pieces.append(
            f"you have -BCE(·, {yours.term.label:g}), asked for BCE(·, {asked.term.label:g})"
        )
    elif yours.term.kind != asked.term.kind:
        pieces.append(f"you have {yours.term.means}, asked for {asked.term.means}")
    both = (yours.term.label, asked.term.label)
    if None not in both and both[0] != both[1] and not minimax:
        pieces.append(f"the label is {both[0]:g}, asked for {both[1]:g}")
    return pieces + list(_weight_pieces(loss, asked, yours))


def _call_pieces(asked: Call, yours: Call) -> Iterator[str]:
    if yours.order in ("first", "last"):
        yield f"only the {yours.order} subject of a batch is judged"
    elif yours.order:
        yield "image and condition are not of the same subject"
    if yours.network == asked.network and len(asked.inputs) == 2:
        if yours.inputs == asked.inputs[::-1]:
            yield "image and condition are exchanged"
        else:
            for name, one, other in zip(
                ("image", "condition"), yours.inputs, asked.inputs, strict=True
            ):
                if one != other:
                    yield f"the {name} is {one}, asked for {other}"
    elif yours.inputs == asked.inputs and yours.network != asked.network:
        yield f"{yours.inputs[0]} is judged by {yours.network}, asked for {asked.network}"
    elif yours.network == asked.network and yours.inputs != asked.inputs:
        yield f"{yours.network} judges {yours.inputs[0]}, asked for {asked.inputs[0]}"
    elif yours.inputs != asked.inputs:
        yield f"{yours.name} is judged, asked for {asked.name}"


def _weight_pieces(loss: Loss, asked: Part, yours: Part) -> Iterator[str]:
    if yours.is_sum:
        numbers = "cross-entropies" if yours.term.kind == "bce" else "numbers"
        of = f"{numbers} of the slices of a batch"
        what = of if yours.term.kind in LOGITS else "differences of all voxels of all slices"
        yield f"the {what} are added up, asked for their mean"
    elif yours.weight.sizes == (0, 1) and yours.term.kind not in LOGITS:
        yield "the voxels of an image are added up, asked for their mean"
    elif any(yours.weight.sizes):
        sizes = Part(CONSTANT, yours.weight._replace(factors=((1, ()),), is_share=False)).text(())
        yield f"there is a factor {sizes.removeprefix('1 · ')} too many (N is the number of images)"
    (factor, powers), *more = yours.weight.factors
    ((wanted, right_powers),) = asked.weight.factors
    texts = [part.weight.text(loss.symbols) for part in (yours, asked)]
    if yours.weight.is_share and powers == right_powers and factor == wanted:
        yield f"the weight is divided by {' + '.join(loss.symbols)}"
        return
    if more or yours.weight.is_share or (any(powers) and powers != right_powers):
        yield f"the weight is {texts[0]}, asked for {texts[1]}"
        return
    if factor < 0 and (yours.term.label is None) == (asked.term.label is None):
        yield "the sign is wrong"
    if powers != right_powers:
        fixed = "" if abs(factor) == 1 else f"; the weight is fixed to {number(abs(factor))}"
        yield f"{texts[1]} is not used{fixed}"
    elif abs(factor) != wanted and loss.lambdas:
        yield f"there is a factor {number(abs(factor))} too many"
    elif abs(factor) != wanted:
        yield f"the weight is {number(abs(factor))}, asked for {texts[1]}"


# Sentences about gradients.
def _flows(
    loss: Loss,
    answer: Answer,
    equation: Sequence[Part],
    names: Sequence[str],
    calls: Sequence[Call],
    dtype: torch.dtype,
) -> Iterator[str]:
    """Yield which terms send no gradient where one is asked for, or send one where none is."""
    lambdas = _LAMBDAS[0] if loss.lambdas else ()
    targets = loss.trains | loss.spares
    observed: dict[str, list[Tensor]] = {name: [] for name in targets}
    columns: dict[str, dict[tuple[int, str], list[Tensor]]] = {name: {} for name in targets}
    scene = Scene(loss, 3, _BATCH, 3, dtype)
    for p in range(3):
        returned, given = answer.on(scene, p, lambdas)
        parts = _contributions(scene, p, equation, calls, lambdas)
        for name, symbol in targets.items():
            try:
                observed[name].append(_gradient(returned[0], _leaves(given[symbol])))
            except RuntimeError:  # the graph is spoilt, which the report quotes
                return
            for (k, source, whose), gradient in parts.items():
                if whose == symbol:
                    columns[name].setdefault((k, source), []).append(gradient)
    gradients = {name: torch.cat(seen).double() for name, seen in observed.items()}
    for name in loss.spares:
        if bool(gradients[name].any()):
            yield f"The loss sends a gradient to {name}: {targets[name]} is not cut off."
    cuts = what_cuts(answer, scene, lambdas) if loss.spares else {}
    if not any(bool(gradients[name].any()) for name in loss.trains):
        why = f": {next(iter(cuts.values()))}" if len({*cuts.values()}) == 1 else ""
        yield f"No gradient flows from the loss to {enumerated(loss.trains)}{why}."
        yield _to_be_cut_off(loss, answer)
        return
    shares: dict[int, dict[tuple[str, str], float]] = {}
    for name in loss.trains:
        if keys := list(columns[name]):
            x = torch.stack([torch.cat(columns[name][key]).double() for key in keys], 1)
            solution = torch.linalg.lstsq(x, gradients[name][:, None], driver="gelsd").solution[
                :, 0
            ]
            errors = (x @ solution - gradients[name]).abs()
            if bool((errors > 1e-3 * gradients[name].abs().max()).any()):
                return
            for (k, source), share in zip(keys, solution.tolist(), strict=True):
                shares.setdefault(k, {})[name, source] = round(share, 3)
    told: dict[str, list[str]] = {}
    for k, by_way in shares.items():
        whole = len(set(by_way.values())) == 1
        for (name, source), share in by_way.items():
            to = enumerated(dict.fromkeys(name for name, _ in by_way)) if whole else name
            way = "" if whole else f" by way of {source}"
            if share == 0:
                why = cuts.get(source, "it is cut off")
                piece = f"no gradient flows back to {to}{way}: {why}"
            elif share != 1:
                piece = f"the gradient{way} is {number(share)} times that of the value"
            else:
                continue
            told.setdefault(piece, []).append(names[k])
    yield from _sentences(loss, told)
    if any(0 in by_way.values() for by_way in shares.values()):
        yield _to_be_cut_off(loss, answer)


def _to_be_cut_off(loss: Loss, answer: Answer) -> str:
    """Return in a sentence who must get a gradient, and who none."""
    if not loss.spares:
        names = enumerated(f"`{name}`" for name in sorted(_CUTS & answer.names))
        yours = f" Your code uses {names}." if names else ""
        text = "Nothing is to be cut off in this loss, by detach, data or no_grad."
        return f"{text}{yours} {_WITH_TENSORS}"
    trained, spared = (enumerated(names) for names in (loss.trains, loss.spares))
    images = enumerated(loss.spares.values())
    return (
        f"Cut off {images} alone, before D judges it: {trained} must get a gradient from every "
        f"term, {spared} from none. {_WITH_TENSORS}"
    )


def _leaves(target: Any) -> list[Tensor]:
    return [target] if isinstance(target, Tensor) else list(target.parameters())


def _gradient(total: Any, leaves: Sequence[Tensor]) -> Tensor:
    """Return a gradient as one row of numbers, zeros where none arrives."""
    zeros = torch.cat([torch.zeros_like(leaf).flatten() for leaf in leaves])
    if not isinstance(total, Tensor) or not total.requires_grad:
        return zeros
    leaves = [leaf for leaf in leaves if leaf.requires_grad]
    if not leaves:
        return zeros
    found = torch.autograd.grad(
        total.mean(), leaves, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    return torch.cat([gradient.flatten() for gradient in found])


def _depends(value: Tensor, leaf: Tensor) -> bool:
    """Return True if a value was computed from a leaf."""
    gradients = torch.autograd.grad(value.mean(), [leaf], retain_graph=True, allow_unused=True)
    return value.requires_grad and gradients[0] is not None


def _contributions(
    scene: Scene,
    p: int,
    equation: Sequence[Part],
    calls: Sequence[Call],
    lambdas: Sequence[float],
) -> dict[tuple[int, str, str], Tensor]:
    """Return what each part of an equation adds to each gradient by way of each call.

    Returns:
        Position of the part, name of the call (or image), symbol of its network (or image) ->
        gradient; without those that the part does not depend on.
    """
    images = {name: image[p : p + 1] for name, image in scene.images.items()}
    leaves: dict[tuple[str, str], list[Tensor]] = {}
    if "fake_t2" in images:
        images["fake_t2"] = images["fake_t2"].clone().requires_grad_()
        leaves["fake_t2", "fake_t2"] = [images["fake_t2"]]
    networks = dict(scene.networks)  # a copy for each call tells the ways of a gradient apart
    for call in calls:
        networks[call.name] = deepcopy(scene.networks[call.network]).requires_grad_(True)
        leaves[call.name, call.network] = list(networks[call.name].parameters())
    tensors = tensors_of(images, networks, calls)
    found = {}
    for k, part in enumerate(equation):
        if part.term == CONSTANT or part.term.kind == "penalty":
            continue
        value = part.weight.value(lambdas, scene.n) * column(part.term, tensors)
        for (source, symbol), group in leaves.items():
            if _depends(value, group[0]):
                found[k, source, symbol] = _gradient(value, group)
    return found
