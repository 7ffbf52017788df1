"""Tell what is wrong with a training step, event by event, beside what was asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch.optim import SGD

from labhelpers.checks import fixtures
from labhelpers.checks.cases import Setting
from labhelpers.checks.explanations import losses
from labhelpers.checks.explanations.own_generator import loss_of_cgan_step, loss_of_cyclegan_step
from labhelpers.checks.explanations.reading import COUNT, ReadStory, owned
from labhelpers.checks.explanations.step_table import step_table
from labhelpers.checks.explanations.story import Loss, Plan, WatchedSGD, is_first
from labhelpers.checks.explanations.words import capitalised
from labhelpers.checks.probes.steps import (
    LEFT_IN_EVALUATION,
    RUN_IN_EVALUATION,
    STEEP,
    Players,
    batch_of,
    cgan_players,
    cyclegan_players,
    generator_players,
    left_by,
    uses_evaluation,
)
from labhelpers.checks.records import Explanation, Run, TableRecord, explained

__all__ = ["cgan_step", "cyclegan_step", "generator_step"]

_MOST_SENTENCES = 5
_NEVER_CLEARED = "(`zero_grad` is never called"
_WITHOUT_STATE = "With an optimizer whose `state` stays empty, such as SGD without momentum"
_WITH_STATE = "With an optimizer that fills its `state`, such as SGD with momentum"
_NUMBERS = {0: "none", 1: "one", 2: "two", 3: "three", 4: "four"}

_CRITERION = Loss(
    "criterion", "the loss", "generator", {"input": "the generated T2", "target": "`real_t2`"}
)
_WEIGHTS_OF_PAIR = {"lambda_gan": 18.0, "lambda_pixel": 90.0}
_WEIGHTS_OF_CYCLE = {"lambda_gan": 18.0, "lambda_cycle": 90.0}
_REAL = {"real_t1": "`real_t1`", "real_t2": "`real_t2`"}
_OF_PAIR = {"discriminator": "the discriminator", **_REAL, "fake_t2": "the generated T2"}
_OF_GENERATOR = Plan(generator_players, (_CRITERION,))
_OF_CGAN = Plan(
    cgan_players,
    (
        Loss(
            "cgan_generator_loss",
            "the generator's loss",
            "generator",
            _OF_PAIR | {name: f"`{name}`" for name in _WEIGHTS_OF_PAIR},
        ),
        Loss(
            "cgan_discriminator_loss",
            "the discriminator's loss",
            "discriminator",
            _OF_PAIR,
            (("`real_t2`", "`real_t1`"), ("the generated T2", "`real_t1`")),
        ),
    ),
    {
        "cgan_generator_loss": fixtures.cgan_generator_loss,
        "cgan_discriminator_loss": fixtures.cgan_discriminator_loss,
    },
    _WEIGHTS_OF_PAIR,
)
_OF_CYCLEGAN = Plan(
    cyclegan_players,
    (
        Loss(
            "cyclegan_generator_loss",
            "the generators' loss",
            "generators",
            {
                "generator_t1_to_t2": "the generator from T1 to T2",
                "generator_t2_to_t1": "the generator from T2 to T1",
                "discriminator_t1": "the discriminator of T1",
                "discriminator_t2": "the discriminator of T2",
                **_REAL,
                **{name: f"`{name}`" for name in _WEIGHTS_OF_CYCLE},
            },
        ),
        *(
            Loss(
                "cyclegan_discriminator_loss",
                f"the loss of the discriminator of T{k}",
                "discriminators",
                {
                    "discriminator": f"the discriminator of T{k}",
                    "real": f"`real_t{k}`",
                    "fake": f"the generated T{k}",
                },
                ((f"`real_t{k}`",), (f"the generated T{k}",)),
            )
            for k in (1, 2)
        ),
    ),
    {
        "cyclegan_generator_loss": fixtures.cyclegan_generator_loss,
        "cyclegan_discriminator_loss": fixtures.cyclegan_discriminator_loss,
    },
    _WEIGHTS_OF_CYCLE,
)


#: How a loss that is written out is taken apart, by the function that could be called instead.
_OWN = {
    "cgan_generator_loss": (losses.cgan_generator_loss, loss_of_cgan_step),
    "cyclegan_generator_loss": (losses.cyclegan_generator_loss, loss_of_cyclegan_step),
}


def generator_step(answer: Any, runs: list[Run]) -> Explanation | None:
    """Tell the step of notebook 2."""
    return _explain(_OF_GENERATOR, answer, runs)


def cgan_step(answer: Any, runs: list[Run]) -> Explanation | None:
    """Tell the step of notebook 3."""
    return _explain(_OF_CGAN, answer, runs)


def cyclegan_step(answer: Any, runs: list[Run]) -> Explanation | None:
    """Tell the step of notebook 4."""
    return _explain(_OF_CYCLEGAN, answer, runs)


def _explain(plan: Plan, answer: Any, runs: list[Run]) -> Explanation | None:
    """Tell two steps with other weights than the default ones, then steps with other losses."""
    setting = Setting()
    sentences: list[str] = []
    table: TableRecord | None = None
    story = ReadStory(plan, _players(plan, setting))
    stepped: list[_Stepped] = []
    for number in (1, 2):
        batch = batch_of(number, setting)
        play = partial(_players, plan, setting)
        left = left_by(story.players, batch, partial(uses_evaluation, answer, play, batch))
        story.tell(answer, batch)
        told = {_subject(sentence) for sentence in sentences}
        found = [x for x in story.sentences() if _subject(x) not in told]
        if number == 1:
            found += _left(left(), bool(story.error))
        # What is cleared by hand shows in the second step, and what is divided in the first alone.
        if table is None or not (story.error or COUNT in " ".join(sentences)):
            which = ", second step" if number == 2 and not sentences else ""
            is_told = found or table or story.error
            table = step_table(story, which, sentences + found) if is_told else None
        sentences += found
        stepped.append(_stepped(story))
        if story.error or "frozen" in " ".join(left()) or story.takes_apart:
            break
    is_regular = all(count == 1 for step in stepped for count in step.counts.values())
    if not story.error and not (sentences and is_regular):
        sentences = _conditions(plan, answer, setting, stepped, sentences)
    calls_it = "zero_grad" in story.names and _NEVER_CLEARED in " ".join(sentences)
    if not story.error and (not sentences or calls_it):
        sentences = _by_state(plan, answer, setting, sentences)
    written = [made.own for made in story.made if made.own and is_first(made.own)]
    notes: list[list[str]] = []
    if written and runs:
        sentences, notes = _of_own_loss(plan, answer, written[0], sentences)
    items = ["loss", "weights", "generator-loss", "discriminator-loss", "generator-weights",
             "discriminator-weights", "second-step", "left", "mode", "any-loss"]  # fmt: skip
    if any("tensor" in sentence for sentence in sentences):
        items.append("form")
    explanation = explained(sentences[:_MOST_SENTENCES], items, table)
    if explanation:
        others = re.compile(r"(The discriminator|Afterwards|.*returned)")
        if not any(others.match(sentence) for sentence in sentences):
            notes += [["next", text] for text in story.follows()]
        explanation["notes"] += notes
        called = {made.asked.function for made in story.made if made.asked}
        own = {made.own.function for made in story.made if made.own}
        if not story.error:
            uncalled = [name for name in plan.fixtures if name not in called
                        and (name in own or story.own_losses)]  # fmt: skip
            explanation |= {"uncalled": uncalled} if uncalled else {}
    return explanation


def _of_own_loss(
    plan: Plan, answer: Any, asked: Loss, sentences: list[str]
) -> tuple[list[str], list[list[str]]]:
    """Add what is wrong with a generator's loss that is written out, with further notes."""
    explain, loss_of = _OWN[asked.function]
    explanation = explain(loss_of(answer), [])
    told = explanation["notes"] if explanation else []
    found = [text for word, text in told if word == "wrong"]
    name = capitalised(asked.name)
    if found and losses.ELSEWHERE not in found:
        found[0] = f"{name}, which is written out in the step: {found[0]}"
        return sentences + found, [note for note in told if note[0] != "wrong"]
    if sentences:
        return sentences, []
    return [
        f"{name} is written out in the step, which is allowed. The rest of the step was found "
        f"right: compare that loss, and what you return of it, with `{asked.function}`."
    ], []


def _left(changed: list[str], is_stopped: bool) -> list[str]:
    """Return in sentences what a step has changed that is not its own."""
    runs = [words for words in changed if RUN_IN_EVALUATION in words]
    ends = [words for words in changed if LEFT_IN_EVALUATION in words]
    rest = [words for words in changed if words not in (*runs, *ends)]
    if is_stopped:
        rest, ends = [words for words in rest if "images" in words], []
    found = [f"Afterwards {' and '.join(rest)}."] * bool(rest)
    if any("images are changed" in words for words in rest):
        found[0] = (
            f"{found[0][:-1]}: `real_t1` and `real_t2` go into the networks and the loss as they "
            "are."
        )
    for words in runs:
        end = words.replace(RUN_IN_EVALUATION, LEFT_IN_EVALUATION)
        also = ", and it is still in that mode afterwards" if end in ends else ""
        uses = f"{capitalised(words)}, and the step uses what it gave{also}"
        found.append(f"{uses}: leave it in training mode.")
        ends = [other for other in ends if other != end]
    if ends:
        found.append(f"Afterwards {' and '.join(ends)}: leave it in training mode.")
    return found


def _subject(sentence: str) -> str:
    """Return whom or what a sentence concerns: after it, a second step says nothing new of it."""
    if "takes the batch apart" in sentence:
        return "the batch"
    if "never called" in sentence:
        return sentence.split(": ")[-1]
    about = re.search("(?i)the [a-z]+'s? optimizer|^.* returned|the gradients? .*? is", sentence)
    return about[0].lower() if about else re.sub(r"of shape \(.*?\)", "", sentence)


def _players(
    plan: Plan, setting: Setting, make: Callable[..., SGD] = WatchedSGD, **options: Any
) -> Players:
    if plan.play is generator_players:
        return generator_players(setting, make=make, **options)
    return plan.play(setting, 0.01, plan.options, make=make, **options)


def _by_state(plan: Plan, answer: Any, setting: Setting, sentences: list[str]) -> list[str]:
    """Return what is wrong, with the kind of optimizer where it is so with this kind alone."""
    story = ReadStory(plan, _players(plan, setting, partial(WatchedSGD, momentum=0.9)))
    found: list[str] = []
    for number in (1, 2):
        story.tell(answer, batch_of(number, setting))
        found += story.sentences()
    if not sentences:
        return [f"{_WITH_STATE}: {text}" for text in found[:1]]
    return [
        f"{_WITHOUT_STATE}: {text}" if _NEVER_CLEARED in text and text not in found else text
        for text in sentences
    ]


@dataclass(frozen=True)
class _Stepped:
    """How often each optimizer made a step, and the losses and images in that call."""

    counts: dict[str, int]
    losses: dict[str, float]
    n_images: int


def _stepped(story: ReadStory) -> _Stepped:
    losses: dict[str, float] = {}
    for made in story.made:
        if made.asked and made.value is not None:
            losses.setdefault(made.name, float(made.value))
    counts = {trained: len(story.steps_of(trained)) for trained in story.players.optimizers}
    return _Stepped(counts, losses, story.n_images)


def _conditions(
    plan: Plan, answer: Any, setting: Setting, stepped: list[_Stepped], sentences: list[str]
) -> list[str]:
    """Return sentences with what an answer does for some values of its losses only.

    Args:
        plan: What is asked for.
        answer: The step.
        setting: Seeds and number type.
        stepped: What `_stepped` returned of the steps so far.
        sentences: What is wrong with these.
    """
    is_one = plan.play is generator_players
    name, values = ("level", (-300.0, 500.0)) if is_one else ("logit", (4.0, -4.0))
    tried = [*stepped]
    others, depends = list[str](), list[str]()
    options: list[dict[str, Any]] = [*({name: value} for value in values), {"scale": STEEP}]
    for option in options:
        story = ReadStory(plan, _players(plan, setting, **option))
        story.tell(answer, batch_of(1, setting))
        if story.error:
            continue
        tried.append(_stepped(story))
        told = [] if sentences or others else story.sentences()
        if told:
            where = f"Where {_in_words(tried[-1].losses)}"
            others = [f"{'With large gradients' if 'scale' in option else where}: {told[0]}"]
            others += told[1:]
    for trained in story.players.optimizers:
        if text := _depends(plan, trained, tried):
            owner = f"{capitalised(owned(trained))} optimizer"
            follows = f"{owner} makes no step.", *story.never(trained, is_sure=True)
            sentences = [
                x for x in sentences if x not in follows and not x.startswith(f"{owner} steps t")
            ]
            depends.append(text)
    return [*sentences, *depends] or others


def _depends(plan: Plan, trained: str, tried: list[_Stepped]) -> str:
    """Return for which losses an optimizer makes more steps, "" if it is always as many."""
    counts = [step.counts[trained] for step in tried]
    few, many = min(counts), max(counts)
    if few == many:
        return ""
    groups = [[x for x in tried if x.counts[trained] == n] for n in (few, many)]
    low, high = ([x.losses for x in group] for group in groups)
    own = [loss.name for loss in plan.losses if loss.trains == trained]
    others = [loss.name for loss in plan.losses if loss.name not in own]
    names = next((x for x in (own, others) if _separates(x, low, high)), own + others)
    where = [
        _in_words({name: losses[0][name] for name in names if name in losses[0]})
        for losses in (low, high)
    ]
    whatever = "whatever the losses are"
    sizes = [{x.n_images for x in group} for group in groups]
    if names == own + others and not sizes[0] & sizes[1]:
        where = [f"the batch holds {min(x)} image{'s' * (min(x) > 1)}" for x in sizes]
        whatever = "with a batch of any size"
    how = "a step in some cases only" if not few else "more steps in some cases than in others"
    return (
        f"{capitalised(owned(trained))} optimizer makes {how}: {_NUMBERS.get(few, few)} where "
        f"{where[0]}, and {_NUMBERS.get(many, many)} where {where[1]}. Asked for: "
        f"{'a' if many == 1 else 'one'} step {whatever}."
    )


def _separates(names: list[str], low: list[dict[str, float]], high: list[dict[str, float]]) -> bool:
    """Return True if a bound on the sum of some losses tells two kinds of cases apart."""
    if not all(name in losses for losses in low + high for name in names):
        return False
    low_sums, high_sums = (
        [sum(losses[name] for name in names) for losses in x] for x in (low, high)
    )
    return max(low_sums) < min(high_sums) or max(high_sums) < min(low_sums)


def _in_words(losses: Mapping[str, float]) -> str:
    return " and ".join(f"{name} is {value:.3g}" for name, value in losses.items())
