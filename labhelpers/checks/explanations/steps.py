"""Tell what is wrong with a training step, event by event, beside what was asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from functools import partial
from itertools import chain, groupby, product, zip_longest
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from labhelpers.checks import fixtures
from labhelpers.checks.cases import Setting
from labhelpers.checks.explanations import losses
from labhelpers.checks.explanations.own_generator import loss_of_cgan_step, loss_of_cyclegan_step
from labhelpers.checks.explanations.story import (
    BEFORE,
    CUT,
    Content,
    Event,
    Loss,
    Made,
    Plan,
    Story,
    WatchedSGD,
    capitalised,
    is_first,
    is_number,
)
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

_CLOSE = 1e-6  # relative difference of numbers that are the same
_MOST_SENTENCES = 5
_MOST_ROWS = 40
_MOST_DECIMALS = 6  # of a loss that is rounded
_OWNERS = {
    "step": "an optimizer",
    "zero_grad": "an optimizer or a network",
    "backward": "a loss that is still a tensor",
}
_COUNT = "the number of images"
_FACTORS = {0.5: "half of", -1.0: "the negative of", 2.0: "twice", -0.5: "minus half of"}


class _ReadStory(Story):
    """What happened in the last call of a step, and what is wrong with it, in sentences."""

    def sentences(self) -> list[str]:
        """Return what differs from what was asked for, a sentence for each."""
        if self.bad_call:
            return [self.bad_call]
        is_tuple = "'tuple' object" in str(self.error) and len(self.plan.losses) == 3
        if is_tuple and not any(made.wrong for made in self.made):
            return [
                f"`{self.plan.losses[0].function}` returns three values, the loss and the two "
                "generated images, and they are used as if they were one."
            ]
        if in_parts := self._in_parts():
            return in_parts
        self._tell_exchanged()
        found = self._misnamed() or self._losses_missing()
        if not any("computed twice" in sentence for sentence in found):  # all else follows
            found += [sentence for made in self._first_made for sentence in made.wrong]
            found += self.wrong_roots
        if not any(made.wrong for made in self._first_made):
            found += self._losses_without_graph()
        found += self.told_of_order()
        exchanged = self._steps_exchanged()
        found += exchanged
        for trained in self.players.optimizers if not exchanged else ():
            found += self._moves(trained)
        if any(event.kind == "step" and not event.who for event in self.events):
            found.insert(0, "A step is made by another optimizer than those that are passed in.")
        elif self.moved_by_hand:
            names = " and ".join(f"the {name}" for name in self.moved_by_hand)
            found.append(f"Weights of {names} are changed by something else than the optimizer.")
        for trained, rate in zip(self.players.optimizers, self.rates, strict=True):
            now = self.players.optimizers[trained][0].param_groups[0]["lr"]
            if now != rate:
                found.append(
                    f"The learning rate of {_owned(trained)} optimizer is changed to {now:g}."
                )
        if self.error is None:
            found += self._results()
        return [sentence for sentence in dict.fromkeys(found) if sentence]

    def steps_of(self, trained: str) -> list[int]:
        """Return the places of the steps of an optimizer among the events."""
        return [i for i, e in enumerate(self.events) if (e.kind, e.who) == ("step", trained)]

    @property
    def own_losses(self) -> list[str]:
        """Names of what was differentiated and is none of the losses, in no form that is known."""
        return [made.name for made in self.made if made.asked is None and made.own is None]

    def _is_missing(self, loss: Loss) -> bool:
        """Return True if a loss is neither computed by its function nor written out."""
        return not any(loss in (made.asked, made.own) for made in self.made)

    @property
    def _first_made(self) -> list[Made]:
        """The losses without those that are computed once more after their update."""
        return [
            made
            for place, made in enumerate(self.made)
            if made.asked is None
            or made.asked.trains not in made.after
            or not any(other.asked == made.asked for other in self.made[:place])
        ]

    @property
    def takes_apart(self) -> list[Made]:
        """The losses where each is computed for one part of the batch at a time, else none."""
        calls = [
            made
            for made in self.made
            if made.asked and any("a part of" in words for words in made.given.values())
        ]
        is_so = len(calls) == len(self.made) and len(calls) >= 2 * len({x.name for x in calls})
        return calls if is_so else []

    def _in_parts(self) -> list[str]:
        """Return what is wrong where each loss is computed for one part of the batch at a time."""
        calls = self.takes_apart
        times = len(calls) // len({call.name for call in calls}) if calls else 0
        if not times:
            return []
        is_each = sum(event.kind == "step" for event in self.events) >= times
        is_one = len(self.players.optimizers) == 1
        end = f", and one step{'' if is_one else ' of each optimizer'}." if is_each else "."
        return [
            f"The step takes the batch apart: `{self.plan.losses[0].function}` is called {times} "
            "times, each time with a part of the slices"
            + (", and a step of the weights follows each time. " if is_each else ". ")
            + f"Asked for: {'one loss' if len(self.plan.losses) == 1 else 'each loss once'}, of "
            "the whole batch" + end,
            *self._forms(),
        ]

    def _forms(self) -> list[str]:
        """Return what is wrong with the shape of a single loss that is returned."""
        value = self.returned
        if len(self.plan.losses) > 1 or not isinstance(value, Tensor) or value.numel() < 2:
            return []
        return [
            f"What is returned has the shape {tuple(value.shape)}. Asked for: a tensor without "
            "dimensions."
        ]

    def _tell_exchanged(self) -> None:
        """Tell once what the losses of two discriminators got of each other."""
        calls = [made for made in self._first_made if made.asked and not is_first(made.asked)]
        if len(calls) != 2 or not all(call.wrong for call in calls):
            return
        if all(self._is_reversed(call) for call in calls):
            calls[0].wrong = [
                "The losses of both discriminators get the real and the generated slices in the "
                "other order."
            ]
            calls[1].wrong = []
            return
        numbers = [[words.strip("`")[-1] for words in call.given.values()] for call in calls]
        kinds = [[words.strip("`")[:-1] for words in call.given.values()] for call in calls]
        is_pair = all(sorted(pair) == ["1", "2"] for pair in zip(*numbers, strict=True))
        if not is_pair or any(kind != ["the discriminator of T", "real_t", "the generated T"]
                              for kind in kinds):  # fmt: skip
            return
        judge, real, fake = numbers[0]
        first = next((made for made in self.made if made.asked and is_first(made.asked)), None)
        exchanged = first is not None and first.given.get("discriminator_t1", "")[-1:] == "2"
        is_other = (judge != real) != exchanged  # beside what the generators' loss got
        found = [
            "The two discriminators are exchanged in both parts of the step: the first of the pair "
            "judges T1-w slices."
        ] * exchanged
        if is_other and fake == real:
            found.append(
                "The losses of the discriminators get them in the other order: each gets the "
                "slices of the other contrast."
            )
        elif is_other:
            found.append("The losses of the discriminators get `real_t1` and `real_t2` exchanged.")
        elif fake != real:
            found.append(
                "The losses of the discriminators get the generated T1 and the generated T2 "
                "exchanged: the generated T2 goes with `real_t1`."
            )
        if exchanged and first:
            first.wrong = [x for x in first.wrong if "the discriminator of T2 in the" not in x]
        calls[0].wrong, calls[1].wrong = found, []

    @staticmethod
    def _is_reversed(call: Made) -> bool:
        """Return True if a discriminator's loss gets its real and generated slices exchanged."""
        wanted = call.asked.arguments if call.asked else {}
        return call.given == {**wanted, "real": wanted.get("fake"), "fake": wanted.get("real")}

    def _misnamed(self) -> list[str]:
        """Return which method was asked of an object that does not have it."""
        if isinstance(self.error, AttributeError) and self.error.name in _OWNERS:
            owner = self.described(self.error.obj)
            return [
                f"`{self.error.name}` is called on {owner}. It belongs to "
                f"{_OWNERS[self.error.name]}."
            ]
        return []

    def _losses_missing(self) -> list[str]:
        computed = [made.asked for made in self.made]
        missing = [
            loss
            for loss in self.plan.losses
            if self._is_missing(loss) and not (self.error and loss.function in self.names)
        ]
        twice = [loss for loss in self.plan.losses if computed.count(loss) > 1]
        if twice and missing:
            return [
                f"{capitalised(twice[0].name)} is computed twice, and {missing[0].name} never is."
            ]
        if self.error is not None:
            return []
        found = []
        for loss in self.plan.losses:
            is_written = any(x.own and x.own.trains == loss.trains for x in self.made)
            is_own = is_written or (self.own_losses and self.plan.fixtures)
            if self._is_missing(loss) and not is_own:
                of = f", for {loss.name}" if loss.function in [x.function for x in computed if x] \
                    else ""  # fmt: skip
                found.append(f"`{loss.function}` is never called{of}.")
        return found

    def _losses_without_graph(self) -> list[str]:
        found = []
        for made in self._first_made:
            if made.asked and made.value is not None and not made.has_graph:
                names = self.players.optimizers[made.asked.trains][1]
                judge = made.asked.arguments.get("discriminator", "")
                if not is_first(made.asked):
                    names = [name for name in names if judge == f"the {name}"]
                frozen = [
                    name
                    for name in names
                    if not any(p.requires_grad for p in self.players.networks[name].parameters())
                ]
                if not made.with_gradients:
                    why = "it is computed while gradients are switched off (no_grad)"
                elif frozen:
                    why = f"the weights of the {frozen[0]} are frozen"
                else:
                    why = "what it is computed from is cut off"
                found.append(f"{capitalised(made.name)} cannot be differentiated: {why}.")
        return found

    def told_of_order(self) -> list[str]:
        """Return what is wrong with the order of the two updates."""
        first, *others = self.players.optimizers
        steps = [i for i, e in enumerate(self.events) if e.kind == "step" and e.who in others]
        names = [loss.name for loss in self.plan.losses if loss.trains == first]
        passes = [i for i, e in enumerate(self.events) if e.kind == "backward"
                  and any(name in e.who for name in names)]  # fmt: skip
        if not steps or self.own_losses or any(i < steps[0] for i in passes):
            return []
        if not passes and not self.error:
            return []  # there is no such pass at all
        comes = "come" if first.endswith("s") else "comes"
        return [
            f"The {others[0]} {_is(others[0])} updated before the backward pass of {names[0]}: the "
            f"{first} {comes} first."
        ]

    def _steps_exchanged(self) -> list[str]:
        """Tell once that each of two optimizers steps where the other one is asked for."""
        if len(self.players.optimizers) != 2:
            return []
        one, other = self.players.optimizers
        trains = {loss.name: loss.trains for loss in self.plan.losses}
        made = [
            (e.kind, who)
            for e in self.events
            for who in sorted({trains.get(name, "") for name in e.of} or {e.who})
            if e.kind in ("backward", "step")
        ]
        made = [one for one, _ in groupby(made)]
        asked = [("backward", one), ("step", other), ("backward", other), ("step", one)]
        if made not in (asked, asked[2:] + asked[:2]):
            return []
        clears = [i for i, e in enumerate(self.events) if e.kind == "clear"]
        steps = [i for i, e in enumerate(self.events) if e.kind == "step"]
        is_so_cleared = (
            [self.events[i].who for i in clears] == [self.events[i].who for i in steps]
            and clears[0] < steps[0] < clears[-1] < steps[-1]
        )  # fmt: skip
        return [
            "The optimizers are exchanged: after the backward pass of "
            f"{_owned(one)} loss the step is made by {_owned(other)} optimizer, and after that of "
            f"{_owned(other)} loss by {_owned(one)} optimizer"
            + (". Their `zero_grad` is exchanged in the same way." if is_so_cleared else ".")
        ]

    def _moves(self, trained: str) -> list[str]:
        """Return what is wrong with the steps of an optimizer and the gradients that it uses."""
        steps = self.steps_of(trained)
        owner = f"{capitalised(_owned(trained))} optimizer"
        if not steps:
            return [] if self.error else [f"{owner} makes no step.", *self.never(trained)]
        found = []
        if len(steps) > 1:
            times = "twice" if len(steps) == 2 else f"{len(steps)} times"
            found.append(f"{owner} steps {times}.")
        event = self.events[steps[0]]
        by_network: list[list[str]] = []
        own = [loss for loss in self.plan.losses if loss.trains == trained]
        for name, content in event.content.items():
            wanted = [x.name for x in own if len(own) == 1
                      or x.arguments.get("discriminator") == f"the {name}"]  # fmt: skip
            by_network.append(self._content(trained, name, steps[0], content, wanted))
        found += self._together(trained, list(event.content), own, by_network)
        names = [trained] if len(event.changed) == len(event.content) else event.changed
        for name in names:
            found.append(
                f"The gradient of the {name} is changed between the backward pass and the step: "
                "clipped, scaled or written over."
            )
        return found

    def _together(
        self, trained: str, names: list[str], own: list[Loss], found: list[list[str]]
    ) -> list[str]:
        """Return the sentences of several networks, in one for all where they say the same."""
        if len(names) > 1:
            general = [
                [
                    text.replace(f"the loss of the {name}", f"{_owned(trained)} loss").replace(
                        f"the {name}", f"the {trained}"
                    )
                    for text in texts
                ]
                for name, texts in zip(names, found, strict=True)
            ]
            if all(texts == general[0] for texts in general):
                return general[0]
        return [text for texts in found for text in texts]

    def _content(
        self, trained: str, name: str, at: int, content: Content, wanted: list[str]
    ) -> list[str]:
        """Return what is wrong with the gradient that a network holds when it is moved."""
        is_own = bool(self.own_losses) and not any(w in content for w in wanted)
        if is_own:  # losses written out: those that count are the ones since the other one moved
            return self._content_of_own(trained, name, at, content)
        found = []
        if BEFORE in content:
            found.append(self._not_cleared(trained, BEFORE, at, name))
        # Where a loss is never computed, the gradients of its networks are others for that reason.
        is_known = not any(self._is_missing(x) for x in self.plan.losses if x.trains == trained)
        foreign = [key for key in content if key not in (*wanted, BEFORE)]
        for key in foreign:
            if any(w in content for w in wanted):
                found.append(self._not_cleared(trained, key, at, name))
            elif is_known:
                found.append(
                    f"{capitalised(_owned(trained))} optimizer steps with the gradient of {key}."
                )
        for key in wanted:
            factor = content.get(key, 0.0)
            if abs(factor - 1) < _CLOSE or (not factor and foreign):
                continue
            if factor and not is_known:
                continue
            if factor:
                times = self._times(factor, key)
                found.append(f"The gradient that moves the {name} is that of {times}.")
                continue
            found.append(self._no_gradient(trained, name, at, key))
        return found

    def _content_of_own(self, trained: str, name: str, at: int, content: Content) -> list[str]:
        if BEFORE in content:
            return [self._not_cleared(trained, BEFORE, at, name)]
        if not content:
            return [self._no_gradient(trained, name, at, "")]
        moved = [i for i, e in enumerate(self.events[:at]) if e.kind == "step"
                 and e.who not in ("", trained)]  # fmt: skip
        if not moved:
            return []
        other = self.events[moved[0]]
        used = {key for part in other.content.values() for key in part}
        return [
            self._not_cleared(trained, "the loss that moved the " + other.who, at, name)
            for key in content
            if key in used
        ][:1]

    def _not_cleared(self, trained: str, key: str, at: int, name: str) -> str:
        clears = [i for i, e in enumerate(self.events) if (e.kind, e.who) == ("clear", trained)]
        what = "gradients of the step before" if key == BEFORE else f"the gradient of {key}"
        is_ = "are" if key == BEFORE else "is"
        own = [x.name for x in self.plan.losses if x.trains == trained]
        both = [e for e in self.events if e.kind == "backward" and key in e.who
                and any(x in e.who for x in own)]  # fmt: skip
        if both:
            return (
                f"{capitalised(key)} and {_owned(trained)} loss are differentiated together, in "
                f"one backward pass: the {trained} {'get' if trained.endswith('s') else 'gets'} "
                "the gradient of both."
            )
        if self.is_leak(key, name):
            return self.not_detached(key)
        if not clears:
            its = "their" if trained.endswith("s") else "its"
            why = (
                f"nothing clears the gradients of the {trained} (`zero_grad` is never called on "
                f"the {trained} or {its} optimizer)"
            )
        elif clears[0] > at:
            why = f"the gradients of the {trained} are cleared only after the step"
            if key != BEFORE:
                why += ", not between the two backward passes"
        elif key == BEFORE:
            why = "they are not cleared"
        else:
            its = "their" if trained.endswith("s") else "its"
            why = f"{its} gradients are cleared before the backward pass of {key}, not after it"
        return f"When {_owned(trained)} optimizer steps, {what} {is_} still in the {name}: {why}."

    def _no_gradient(self, trained: str, name: str, at: int, key: str) -> str:
        owner = f"{capitalised(_owned(trained))} optimizer"
        passes = [i for i, e in enumerate(self.events) if e.kind == "backward" and key in e.who]
        if not passes:
            losses = [made for made in self.made if made.name == key]
            if any(made.asked and not made.has_graph for made in losses):
                return ""  # that is the reason, and it is told
            what = f"`backward` is never called on {key}" if key else "there is no backward pass"
            if any(x.own and x.own.trains == trained for x in self.made):
                what = "no backward pass comes there"
            return f"{owner} steps without a gradient of the {name}: {what}."
        if passes[0] > at:
            return f"{owner} steps before the backward pass of {key or 'the loss'}."
        clears = [e for e in self.events[passes[0] : at] if (e.kind, e.who) == ("clear", trained)]
        if self.events[passes[0]].is_returned:
            return (
                "`torch.autograd.grad` returns gradients and writes none of them to where "
                f"{_owned(trained)} optimizer looks for them, `.grad` of each weight: call "
                f"`backward` on {key or 'the loss'}."
            )
        if clears:
            return (
                f"The gradients of the {trained} are cleared between the backward pass of "
                f"{key or 'the loss'} and the step."
            )
        if any(made.wrong for made in self.made if made.name == key):
            return ""  # what the loss was given is the reason
        return f"{capitalised(key or 'the loss')} gives the {name} no gradient."

    def never(self, trained: str, is_sure: bool = False) -> list[str]:
        """Return which losses of an optimizer are never differentiated, all where that is sure."""
        passes = [event.who for event in self.events if event.kind == "backward"]
        losses = [loss.name for loss in self.plan.losses if loss.trains == trained
                  and not self._is_missing(loss)]  # fmt: skip
        return [
            f"`backward` is never called on {name}."
            for name in losses
            if is_sure or (not self.own_losses and not any(name in who for who in passes))
        ]

    def _results(self) -> list[str]:
        """Return what is wrong with the losses that are returned."""
        if self.own_losses:
            return []
        wanted: list[tuple[str, Tensor | None]] = []
        for trained in self.players.optimizers:
            losses = [loss for loss in self.plan.losses if loss.trains == trained]
            makers = [
                next(
                    (m for m in self.made if loss in (m.asked, m.own) and m.value is not None), None
                )
                for loss in losses
            ]
            known = [m.value for m in makers if m and m.value is not None]
            is_own = any(loss is m.own for loss in losses for m in self.made)
            if len(known) < len(makers) and not is_own:
                return []
            one = f"{_owned(trained)} loss" if len(self.players.optimizers) > 1 else "the loss"
            is_sure = len(known) == len(makers) and not (is_own and any(m.wrong for m in self.made))
            wanted.append((one, torch.stack(known).sum() if is_sure else None))
        got = self.returned if isinstance(self.returned, (tuple, list)) else [self.returned]
        if len(got) != len(wanted):
            return []
        found = []
        forms = [_form(value) for value in got]
        if len(forms) == 2 and forms[0] == forms[1] != "":
            found.append(f"Of both values returned, each {forms[0]}")
            forms = ["", ""]
        for number, (value, (name, right)) in enumerate(zip(got, wanted, strict=True)):
            place = "What is returned" if len(wanted) == 1 else (
                f"The {('first', 'second')[number]} value returned"
            )  # fmt: skip
            if forms[number]:
                found.append(f"{place} {forms[number]}")
            if right is None or is_number(value, right):
                continue
            found.append(f"{place} is {self._value_in_words(value, name, right, wanted)}.")
        return found

    @property
    def n_images(self) -> int:
        """The size of the batch."""
        return len(self.images["real_t1"])

    def _times(self, factor: float, loss: str) -> str:
        """Return a multiple of a loss in words."""
        n = self.n_images
        if n > 2 and abs(factor * n - 1) < _CLOSE:
            return f"{loss}, divided by {_COUNT}"
        if n > 2 and abs(factor - n) < _CLOSE:
            return f"{loss}, multiplied by {_COUNT}"
        return f"{_FACTORS.get(round(factor, 6), f'{factor:.3g} times')} {loss}"

    def _value_in_words(
        self, value: Any, name: str, right: Tensor, wanted: list[tuple[str, Tensor | None]]
    ) -> str:
        last = {m.name: m.value for m in self.made if m.asked and m.value is not None}
        again = [
            (
                one,
                torch.stack([last[x.name] for x in self.plan.losses if x.trains == trained]).sum(),
            )
            for (one, _), trained in zip(wanted, self.players.optimizers, strict=True)
            if all(x.name in last for x in self.plan.losses if x.trains == trained)
        ]
        computed = [(m.name, m.value) for m in self.made if m.value is not None]
        others = [*((x, number) for x, number in wanted if number is not None), *again, *computed]
        for other, number in others:
            if is_number(value, number):
                late = ", computed once more after the update" if other == name else ""
                return f"{other}{late}, not {name}" if not late else f"{other}{late}"
        digits = _digits_kept(value, float(right))
        if digits is not None:
            return f"{name}, rounded to {digits} decimal{'' if digits == 1 else 's'}"
        for factor in (1 / self.n_images, self.n_images, *_FACTORS):
            if is_number(value, right * factor):
                return self._times(factor, name)
        if isinstance(value, Tensor) and value.numel() > 1:
            return f"{self.described(value).removesuffix(CUT)}, not {name}"
        got = float(value.detach()) if isinstance(value, Tensor) else value
        digits = next(n for n in (4, 6, 8, 17) if f"{got:.{n}g}" != f"{right:.{n}g}" or n == 17)
        return f"{got:.{digits}g}, and {name} was {float(right):.{digits}g}"


def _form(value: Any) -> str:
    """Return what is wrong with the form of a loss that is returned, "" if nothing is."""
    if isinstance(value, (int, float)):
        return "is a Python number, not a tensor."
    if isinstance(value, Tensor) and value.numel() == 1 and value.ndim:
        return (
            f"has the shape {tuple(value.shape)}, like a list of one number. Asked for: a tensor "
            "without dimensions, as the loss is by itself."
        )
    return ""


def _digits_kept(value: Any, right: float) -> int | None:
    """Return to how many decimals a number was rounded, None if it is not a rounded one."""
    if isinstance(value, Tensor):
        value = float(value.detach()) if value.numel() == 1 else None
    if not isinstance(value, (int, float)) or not value:
        return None
    return next(
        (
            digits
            for digits in range(_MOST_DECIMALS + 1)
            if abs(value - round(right, digits)) < 1e-3 * 10.0**-digits + _CLOSE * abs(value)
        ),
        None,
    )


def _owned(name: str) -> str:
    return f"the {name}'" if name.endswith("s") else f"the {name}'s"


def _is(name: str) -> str:
    return "are" if name.endswith("s") else "is"


def _explain(plan: Plan, answer: Any, runs: list[Run]) -> Explanation | None:
    """Tell two steps with other weights than the default ones, then steps with other losses."""
    setting = Setting()
    sentences: list[str] = []
    table: TableRecord | None = None
    story = _ReadStory(plan, _players(plan, setting))
    stepped: list[dict[str, tuple[bool, str]]] = []
    for number in (1, 2):
        batch = batch_of(number, setting)
        play = partial(_players, plan, setting)
        left = left_by(story.players, batch, partial(uses_evaluation, answer, play, batch))
        story.tell(answer, batch)
        told = {_subject(sentence) for sentence in sentences}
        found = [x for x in story.sentences() if _subject(x) not in told]
        if number == 1:
            found += _left(left(), bool(story.error))
        if table is None or not story.error:  # what is cleared by hand shows in the second step
            which = ", second step" if number == 2 and not sentences else ""
            is_told = found or table or story.error
            table = _table(story, which, sentences + found) if is_told else None
        sentences += found
        stepped.append(_stepped(story))
        if story.error or "frozen" in " ".join(left()) or story.takes_apart:
            break
    still = [key for key in stepped[0] if not all(step[key][0] for step in stepped)]
    if not story.error and (not sentences or still):
        sentences = _conditions(plan, answer, setting, stepped, sentences)
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
        explanation["notes"] += notes
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


def _players(plan: Plan, setting: Setting, **options: float) -> Players:
    if plan.play is generator_players:
        return generator_players(setting, make=WatchedSGD, **options)
    return plan.play(setting, 0.01, plan.options, make=WatchedSGD, **options)


def _stepped(story: _ReadStory) -> dict[str, tuple[bool, str]]:
    """Return for each optimizer whether it made a step, and the losses of the step in words."""
    found = {}
    for trained in story.players.optimizers:
        made = [m for m in story.made if m.asked and m.value is not None]
        own = [m for m in made if m.asked and m.asked.trains == trained] or made
        words = " and ".join(
            f"{m.name} is {float(m.value):.3g}" for m in own if m.value is not None
        )
        found[trained] = (bool(story.steps_of(trained)), words)
    return found


def _conditions(
    plan: Plan,
    answer: Any,
    setting: Setting,
    stepped: list[dict[str, tuple[bool, str]]],
    sentences: list[str],
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
    for option in (*({name: value} for value in values), {"scale": STEEP}):
        story = _ReadStory(plan, _players(plan, setting, **option))
        story.tell(answer, batch_of(1, setting))
        if story.error:
            continue
        tried.append(_stepped(story))
        told = [] if sentences or others else story.sentences()
        if told:
            losses = " and ".join(dict.fromkeys(words for _, words in tried[-1].values()))
            where = "With large gradients" if "scale" in option else f"Where {losses}"
            others = [f"{where}: {told[0]}", *told[1:]]
    for trained in story.players.optimizers:
        made = [step[trained][1] for step in tried if step[trained][0]]
        not_made = [step[trained][1] for step in tried if not step[trained][0]]
        if made and not_made:
            owner = f"{capitalised(_owned(trained))} optimizer"
            never = {f"{owner} makes no step.", *story.never(trained, is_sure=True)}
            sentences = [text for text in sentences if text not in never]
            depends.append(
                f"{owner} makes a step in some cases only: none where {not_made[0]}, and one where "
                f"{made[0]}. Asked for: a step whatever the losses are."
            )
    return [*sentences, *depends] or others


def _table(story: _ReadStory, which: str, sentences: list[str]) -> TableRecord | None:
    """Return what happened beside what was asked for, the first difference marked."""
    plan, own = story.plan, _roles(story)
    right = [f"clear the gradients of the {trained}" for trained in _moved_right(story)]
    n = story.n_images if any(_COUNT in sentence for sentence in sentences) else 0
    yours = [_text(event, plan, own, n) for event in story.events]
    asked = max(
        ([_text(event, plan) for event in events] for events in _orders(story)),
        key=lambda texts: SequenceMatcher(None, texts, yours, autojunk=False).ratio(),
    )
    rows: list[list[str]] = []
    marked = False
    harmless = set() if story.takes_apart else {"loss"}  # once more than needed
    if not any("are cleared between" in sentence for sentence in sentences):
        harmless.add("clear")
    opcodes = SequenceMatcher(None, yours, asked, autojunk=False).get_opcodes()
    for kind, i, i_end, k, k_end in opcodes:
        events = story.events[i:i_end]
        for event, left, asked_for in zip_longest(events, yours[i:i_end], asked[k:k_end]):
            is_needless = kind == "delete" and event.kind in harmless
            is_done = kind == "insert" and asked_for in right  # the gradient was right without
            is_misfed = event is not None and event.is_misfed
            is_other = kind != "equal" and not is_needless and not is_done
            remark = "<-- other inputs" if is_misfed else "<-- first difference"
            is_first = not marked and (is_misfed or is_other)
            marked |= is_first
            rows.append([left or "", asked_for or "", remark if is_first else ""])
    if story.error:
        rows.append(["stopped by an error", "", ""])
    elif not marked:
        return None
    return TableRecord(
        name=f"what your step does, beside one right order{which}",
        header=["yours", "asked for", ""],
        rows=rows[:_MOST_ROWS],
        note=f"N is {_COUNT}." if any("N × " in row[0] for row in rows) else "",
    )


def _text(
    event: Event, plan: Plan, own: Mapping[str, str] = MappingProxyType({}), n: int = 0
) -> str:
    """Return an event in the words of the table.

    Args:
        event: What happened.
        plan: What is asked for.
        own: What losses of the answer's own are.
        n: The number of images if losses are multiples of it, else 0.
    """
    if event.kind == "loss":
        return f"compute {event.who}"
    if event.kind == "clear":
        return f"clear the gradients of the {event.who}"
    if event.kind == "step":
        return f"step of {_owned(event.who) if event.who else 'another'} optimizer"
    of = event.of
    for trained in dict.fromkeys(loss.trains for loss in plan.losses):
        names = [loss.name for loss in plan.losses if loss.trains == trained]
        if len(names) > 1 and len({of.get(name) for name in names}) == 1 and names[0] in of:
            of = {k: v for k, v in of.items() if k not in names} | {
                f"{_owned(trained)} loss": of[names[0]]
            }
    terms = []
    for name, factor in sorted(of.items(), reverse=True):
        term = own.get(name, name)
        if (parts := event.parts.get(name, 1)) > 1:
            factor /= parts
            term = f"the sum of {parts} losses" if term == "the loss" else f"{term}, {parts} times"
        multiples = {1.0: "", **({float(n): "N × ", 1 / n: "1/N × "} if n else {})}
        known = (text for x, text in multiples.items() if abs(factor - x) < _CLOSE)
        terms.append(next(known, f"{factor:.3g} × ") + term)
    if event.is_returned:
        return f"torch.autograd.grad of {' + '.join(terms)}"
    return f"backward from {' + '.join(terms)}"


def _roles(story: _ReadStory) -> dict[str, str]:
    """Return what losses of the answer's own are, by the optimizer that moves by them."""
    roles: dict[str, str] = {}
    for event in story.events:
        for content in event.content.values():
            for name in content:
                if name in story.own_losses:
                    roles.setdefault(name, f"{_owned(event.who)} loss")
    return roles


def _moved_right(story: _ReadStory) -> set[str]:
    """Return the optimizers that step in time: nothing is wrong with what they use but a leak."""
    if story.told_of_order():
        return set()
    return {
        event.who
        for event in story.events
        if event.kind == "step"
        and event.content
        and all(
            len([key for key in part if not story.is_leak(key, name)]) == 1 and BEFORE not in part
            for name, part in event.content.items()
        )
    }


def _orders(story: _ReadStory) -> Iterator[list[Event]]:
    """Yield right orders of the events, those of the statement first."""
    plan, right = story.plan, _moved_right(story)
    written = [made.name for made in story.made if made.own]
    if story.own_losses and plan.fixtures:
        written = [loss.name for loss in plan.losses]
    orders: list[list[list[Event]]] = []
    for trained in story.players.optimizers:
        names = [loss.name for loss in plan.losses if loss.trains == trained]
        parts = [([] if x in written else [Event("loss", x)], [Event("backward", "", {x: 1.0})])
                 for x in names]  # fmt: skip
        ways: list[tuple[list[Event], list[Event]]] = []
        for pairs in [parts, parts[::-1]][: len(names)]:  # which one of two comes first is free
            losses, each = ([event for pair in pairs for event in pair[k]] for k in (0, 1))
            ways.append((losses, [Event("backward", "", dict.fromkeys(names, 1.0))]))
            if len(names) > 1:
                ways += [
                    (losses, each),
                    ([], [event for pair in pairs for x in pair for event in x]),
                ]
        orders.append([])
        for way, place in product(ways, (1, 0, 3)):
            order = [*way, [Event("step", trained)]]
            order.insert(place, [Event("clear", trained)])
            orders[-1].append(list(chain(*order)))
    for both in product(*orders):
        yield list(chain(*both))
        if len(both) == 2:
            yield from _other_orders(both[0], both[1], right, _begins_with_losses(story))


def _begins_with_losses(story: _ReadStory) -> bool:
    kinds = [event.kind for event in story.events if event.kind in ("loss", "backward")]
    return "loss" not in kinds[kinds.index("backward") if "backward" in kinds else 0 :]


def _other_orders(
    first: list[Event], second: list[Event], right: set[str], losses_first: bool
) -> Iterator[list[Event]]:
    """Yield orders of two parts that are as right: all losses at the start, a right step later."""
    losses = [event for event in second if event.kind == "loss"]
    rest = [event for event in second if event.kind != "loss"]
    n = sum(event.kind == "loss" for event in first)
    if losses_first:
        first, second = first[:n] + losses + first[n:], rest
        yield first + second
    if first[-1].who in right:
        yield [*first[:-1], *second, first[-1]]
        yield [*first[:-1], *second[:-1], first[-1], second[-1]]


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
