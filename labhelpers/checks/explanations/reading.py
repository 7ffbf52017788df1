"""Read off what a step did what is wrong with it, in sentences."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from labhelpers.checks.explanations.functions import another_value
from labhelpers.checks.explanations.story import (
    BEFORE,
    CLOSE,
    CUT,
    Content,
    Loss,
    Made,
    Story,
    is_first,
    is_number,
)
from labhelpers.checks.explanations.words import capitalised

__all__ = ["COUNT", "ReadStory", "owned"]

COUNT = "the number of images"
_NONE = "nobody's"
_MOST_DECIMALS = 6  # of a loss that is rounded
_OWNERS = {
    "step": "an optimizer",
    "zero_grad": "an optimizer or a network",
    "backward": "a loss that is still a tensor",
}
_FACTORS = {0.5: "half of", -1.0: "the negative of", 2.0: "twice", -0.5: "minus half of"}


class ReadStory(Story):
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
                    f"The learning rate of {owned(trained)} optimizer is changed to {now:g}."
                )
        if self.error is None:
            found += self._results()
        return [sentence for sentence in dict.fromkeys(found) if sentence]

    def follows(self) -> list[str]:
        """Return that the second part of a step is right where the first part shows in it."""
        first, *others = self.players.optimizers
        calls = [made for made in self.made if made.asked and not is_first(made.asked)]
        is_complete = len(calls) == len(self.plan.losses) - 1 and not any(x.wrong for x in calls)
        if not others or self.error or not is_complete:
            return []
        if self._moves(others[0]) or self.told_of_order() or self._steps_exchanged():
            return []
        shows = any(
            call.is_anew
            or any(call.given.get(name) not in (wanted, None)
                   for name, wanted in call.asked.arguments.items())
            for call in calls if call.asked
        )  # fmt: skip
        if not shows:
            return []
        return [
            f"{capitalised(owned(others[0]))} part of the step was found "
            f"right: what fails of it below follows from what the {first} did."
        ]

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
        """The losses that are learnt from: without those computed once more, or to look at."""
        return [
            made
            for place, made in enumerate(self.made)
            if made.asked is None
            or (
                not self.is_measured(made)
                and (
                    made.asked.trains not in made.after
                    or not any(other.asked == made.asked for other in self.made[:place])
                )
            )
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
        given = [[*call.given.values()] for call in calls]
        turned = [words for words in given if [x[:5] for x in words[1:]] == ["the g", "`real"]]
        for words in turned:
            words[1:] = words[:0:-1]
        numbers = [[words.strip("`")[-1] for words in one] for one in given]
        kinds = [[words.strip("`")[:-1] for words in one] for one in given]
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
        if turned:
            whose = "losses of both discriminators get"
            if len(turned) == 1:
                whose = f"loss of {turned[0][0]} gets"
            found.append(f"The {whose} the real and the generated slices in the other order.")
        if exchanged and first:
            first.wrong = [x for x in first.wrong if "the discriminator of T2 in the" not in x]
        calls[0].wrong, calls[1].wrong = found, []

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
                found.append(self._never_called(loss.function, of))
        return found

    def _never_called(self, function: str, of: str) -> str:
        if line := self.given.get(function):
            whose = "the notebook has" if function in self.plan.fixtures else "is passed in"
            return (
                f"The `{function}` that {whose} is never called{of}, since {another_value([line])}."
            )
        return f"`{function}` is never called{of}."

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
            f"{owned(one)} loss the step is made by {owned(other)} optimizer, and after that of "
            f"{owned(other)} loss by {owned(one)} optimizer"
            + (". Their `zero_grad` is exchanged in the same way." if is_so_cleared else ".")
        ]

    def _moves(self, trained: str) -> list[str]:
        """Return what is wrong with the steps of an optimizer and the gradients that it uses."""
        steps = self.steps_of(trained)
        owner = f"{capitalised(owned(trained))} optimizer"
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
                    text.replace(f"the loss of the {name}", f"{owned(trained)} loss").replace(
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
                    f"{capitalised(owned(trained))} optimizer steps with the gradient of {key}."
                )
        for key in wanted:
            factor = content.get(key, 0.0)
            if abs(factor - 1) < CLOSE or (not factor and foreign):
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
                f"{capitalised(key)} and {owned(trained)} loss are differentiated together, in "
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
        return f"When {owned(trained)} optimizer steps, {what} {is_} still in the {name}: {why}."

    def _no_gradient(self, trained: str, name: str, at: int, key: str) -> str:
        owner = f"{capitalised(owned(trained))} optimizer"
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
                f"{owned(trained)} optimizer looks for them, `.grad` of each weight: call "
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
        wanted = [] if self.own_losses else self._wanted()
        got = self.returned if isinstance(self.returned, (tuple, list)) else [self.returned]
        if not wanted or len(got) != len(wanted):
            return []
        found = []
        forms = [_form(value) for value in got]
        if len(forms) == 2 and forms[0] == forms[1] != "":
            found.append(f"Of both values returned, each {forms[0]}")
            forms = ["", ""]
        places = ["What is returned"] if len(wanted) == 1 else [
            f"The {word} value returned" for word in ("first", "second")
        ]  # fmt: skip
        named = [
            (name, "") if right is not None and is_number(value, right)
            else self._named(value, name, right, wanted)
            for value, (name, right) in zip(got, wanted, strict=True)
        ]  # fmt: skip
        names = [name for name, _ in wanted]
        is_exchanged = len(named) == 2 and [whose for whose, _ in named] == names[::-1]
        for number, (whose, words) in enumerate(named):
            if forms[number]:
                found.append(f"{places[number]} {forms[number]}")
            name = names[number]
            if is_exchanged or words in ("", name) or (wanted[number][1] is None and not whose):
                continue
            isnt = "" if whose == _NONE or (whose == name and name in words) else f", not {name}"
            found.append(f"{places[number]} is {words}{isnt}.")
        if is_exchanged:
            first, second = (words for _, words in named)
            found.append(
                f"The two losses are returned in the other order: first {first}, then {second}."
            )
        return found

    def _wanted(self) -> list[tuple[str, Tensor | None]]:
        """Return what should be returned: each loss by name, and its value where that is sure."""
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
            is_sure = len(known) == len(makers) and not (is_own and any(m.wrong for m in self.made))
            wanted.append((self._loss_of(trained), torch.stack(known).sum() if is_sure else None))
        return wanted

    def _loss_of(self, trained: str) -> str:
        return f"{owned(trained)} loss" if len(self.players.optimizers) > 1 else "the loss"

    @property
    def n_images(self) -> int:
        """The size of the batch."""
        return len(self.images["real_t1"])

    def _times(self, factor: float, loss: str) -> str:
        """Return a multiple of a loss in words."""
        n = self.n_images
        if n > 2 and abs(factor * n - 1) < CLOSE:
            return f"{loss}, divided by {COUNT}"
        if n > 2 and abs(factor - n) < CLOSE:
            return f"{loss}, multiplied by {COUNT}"
        return f"{_FACTORS.get(round(factor, 6), f'{factor:.3g} times')} {loss}"

    def _named(
        self, value: Any, name: str, right: Tensor | None, wanted: list[tuple[str, Tensor | None]]
    ) -> tuple[str, str]:
        """Return whose loss a value is, `_NONE` for nobody's and "" if unknown, and it in words."""
        sure = [(one, number) for one, number in wanted if number is not None]
        last = {
            m.name: m.value
            for m in self.made
            if m.value is not None and m.asked and m.asked.trains in m.after
        }
        known = [(one, one, number) for one, number in sure]
        known += [(self._loss_of(trained), self._loss_of(trained), x) for trained, x in self.roots]
        for trained in self.players.optimizers:
            one = self._loss_of(trained)
            names = [loss.name for loss in self.plan.losses if loss.trains == trained]
            if all(x in last for x in names):
                late = torch.stack([last[x] for x in names]).sum()
                known.append((one, f"{one}, computed once more after the update", late))
        known += [
            (self._loss_of(loss.trains), m.name, m.value)
            for m in self.made
            if m.value is not None and (loss := m.asked or m.own)
        ]
        known.sort(key=lambda x: x[0] != name)
        for whose, words, number in known:
            if is_number(value, number):
                return whose, words
        if len(sure) == 2 and is_number(value, sure[0][1] + sure[1][1]):
            return "", "the sum of both losses"
        digits = None if right is None else _digits_kept(value, float(right))
        if digits is not None:
            return name, f"{name}, rounded to {digits} decimal{'' if digits == 1 else 's'}"
        for whose, words, number in known:
            for factor in (1 / self.n_images, self.n_images, *_FACTORS):
                if is_number(value, number * factor):
                    return whose, self._times(factor, words)
        if isinstance(value, Tensor) and value.numel() > 1:
            return "", self.described(value).removesuffix(CUT)
        if right is None:
            return "", ""
        # Its number would be another one than below, where the weights of the losses differ.
        others = ", nor any other loss of the step" * (len(self.plan.losses) > 1)
        return _NONE, f"not {name}{others}"


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
            if abs(value - round(right, digits)) < 1e-3 * 10.0**-digits + CLOSE * abs(value)
        ),
        None,
    )


def owned(name: str) -> str:
    """Return whose something is: `the generator's`, `the generators'`."""
    return f"the {name}'" if name.endswith("s") else f"the {name}'s"


def _is(name: str) -> str:
    return "are" if name.endswith("s") else "is"
