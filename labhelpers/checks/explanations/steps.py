"""Tell what happened in a training step, event by event, beside what was asked for."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from functools import partial
from itertools import product, zip_longest
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from labhelpers.checks import fixtures
from labhelpers.checks.cases import Setting
from labhelpers.checks.explanations.functions import names_read, namespace_of
from labhelpers.checks.probes.steps import (
    UNCHANGED,
    Players,
    batch_of,
    cgan_players,
    cyclegan_players,
    generator_players,
    left_by,
)
from labhelpers.checks.records import Explanation, Run, TableRecord

__all__ = ["cgan_step", "cyclegan_step", "generator_step"]

_CLOSE = 1e-6  # relative difference of numbers that are the same
_MOST_SENTENCES = 5
_MOST_ROWS = 40
_BEFORE = "the step before"
_CUT = ", cut off from its graph"
_OWNERS = {
    "step": "an optimizer",
    "zero_grad": "an optimizer or a network",
    "backward": "a loss that is still a tensor",
}
_FACTORS = {0.5: "half of", -1.0: "the negative of", 2.0: "twice", -0.5: "minus half of"}


@dataclass(frozen=True)
class _Loss:
    """A loss that a step is to compute.

    Attributes:
        function: What the answer calls.
        name: What the loss is called in the report.
        trains: Name of the optimizer whose weights it moves.
        arguments: What each of its arguments should be, in the words of `_Story.described`.
    """

    function: str
    name: str
    trains: str
    arguments: Mapping[str, str]


@dataclass(frozen=True)
class _Plan:
    """What is asked for in a step.

    Attributes:
        play: Makes the networks and optimizers.
        losses: The losses, in their order.
        fixtures: What takes the place of the loss functions, by name.
        options: The weights that the step is called with.
    """

    play: Callable[..., Players]
    losses: tuple[_Loss, ...]
    fixtures: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    options: Mapping[str, float] = field(default_factory=dict)


@dataclass
class _Made:
    """A loss that was computed, or another value that was differentiated.

    Attributes:
        name: What it is called in the report.
        asked: The loss that it is, None for a value of the answer's own.
        value: Its value, None if computing it failed.
        has_graph: Whether it can be differentiated.
        with_gradients: Whether gradients were switched on.
        wrong: What is wrong with its arguments.
        after: The optimizers that had made a step before.
    """

    name: str
    asked: _Loss | None = None
    value: Tensor | None = None
    has_graph: bool = True
    with_gradients: bool = True
    wrong: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)


#: How often each loss has been differentiated into a gradient, by the name of the loss.
_Content = dict[str, float]


@dataclass
class _Event:
    """Something that happened.

    Attributes:
        kind: What it was.
        who: The loss or losses, or the optimizer.
        of: How often a backward pass differentiated each loss.
        content: What the gradients of each network held when it was moved.
        changed: The networks whose gradients were changed by hand.
    """

    kind: str  # "loss", "clear", "backward", "step"
    who: str
    of: _Content = field(default_factory=dict)
    content: dict[str, _Content] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)


class _WatchedSGD(SGD):
    """Plain SGD that tells a story when it clears gradients and when it makes a step."""

    story: _Story | None = None

    def zero_grad(self, set_to_none: bool = True) -> None:
        if self.story:
            self.story.look()
        super().zero_grad(set_to_none)
        if self.story:
            self.story.cleared(self)

    def step(self, closure: Any = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if self.story:
            self.story.stepped(self)
        super().step()
        if self.story:
            self.story.note_weights(self)
        return loss


class _WatchedCriterion(fixtures.Criterion):
    """A criterion that tells a story what it is called with."""

    def __init__(self, story: _Story, criterion: fixtures.Criterion) -> None:
        super().__init__(criterion.level)
        self.watched = partial(story.computed, "criterion", criterion.forward)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return self.watched(input, target)


class _Story:
    """What happens in calls of a step: losses, gradients and moves, in their order."""

    def __init__(self, plan: _Plan, players: Players) -> None:
        arguments = tuple(
            _WatchedCriterion(self, x) if isinstance(x, fixtures.Criterion) else x
            for x in players.arguments
        )
        self.plan, self.players = plan, replace(players, arguments=arguments)
        self.events: list[_Event] = []
        self.made: list[_Made] = []
        self.error: Exception | None = None
        self.returned: Any = None
        self.images: dict[str, Tensor] = {}
        self.outputs: list[tuple[str, Tensor]] = []
        self.bad_call = ""
        self.wrong_roots: list[str] = []
        self._held: dict[str, list[_Content]] = {name: [] for name in players.networks}
        self._changed: set[str] = set()
        self._seen: dict[str, Tensor | None] = dict.fromkeys(players.networks)
        self._touched: _Content = {}
        self._by_hand: _Content | None = None
        self._weights = {name: self._weights_of(name) for name in players.networks}
        self.moved_by_hand: list[str] = []
        self.rates = [optimizer.param_groups[0]["lr"] for optimizer, _ in self._optimizers()]
        for optimizer, _ in players.optimizers.values():
            optimizer.story = self  # type: ignore[attr-defined]
        for name, network in players.networks.items():
            network.register_forward_hook(partial(self._forwarded, name))

    # --- Recording --------------------------------------------------------------------------------

    def tell(self, answer: Any, batch: tuple[Tensor, Tensor]) -> None:
        """Make one more step, and forget what was told of the one before."""
        self.events, self.made, self.outputs, self.wrong_roots = [], [], [], []
        self.names = names_read(answer)
        self.images = dict(zip(("real_t1", "real_t2"), batch, strict=True))
        for name, held in self._held.items():
            self._held[name] = [{_BEFORE: 1.0}] if any(held) and self._gradient(name) else []
        with self._recording(answer):
            try:
                self.returned = self.players.step(answer, batch)
            except Exception as error:
                self.error = error
            self.look()

    @contextmanager
    def _recording(self, answer: Any) -> Iterator[None]:
        namespace = namespace_of(answer)
        before = {name: namespace[name] for name in self.plan.fixtures if name in namespace}
        backward, grad = torch.autograd.backward, torch.autograd.grad

        def recorded_backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
            roots = [tensors] if isinstance(tensors, Tensor) else list(tensors)
            self.look()
            self._touched = {}
            self._check_roots(roots)
            try:
                backward(tensors, *args, **kwargs)
            except RuntimeError:
                self._failed_again()
                raise
            self._differentiated()

        def recorded_grad(outputs: Any, *args: Any, **kwargs: Any) -> Any:
            self.look()
            self._touched = {}
            result = grad(outputs, *args, **kwargs)
            self._by_hand = self._touched or self._own_loss()
            self.events.append(_Event("backward", " + ".join(self._by_hand), self._by_hand))
            return result

        def foreign(optimizer: Optimizer, *_: Any) -> None:
            if not any(optimizer is own for own, _ in self.players.optimizers.values()):
                self.events.append(_Event("step", ""))

        hook = register_optimizer_step_pre_hook(foreign)
        torch.autograd.backward, torch.autograd.grad = recorded_backward, recorded_grad
        for name, fixture in self.plan.fixtures.items():
            namespace[name] = partial(self.computed, name, fixture)
        try:
            yield
        finally:
            torch.autograd.backward, torch.autograd.grad = backward, grad
            hook.remove()
            namespace.update(before)

    def computed(self, name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Compute a loss, and note what it was given."""
        self.look()
        try:
            given = dict(inspect.signature(function).bind(*args, **kwargs).arguments)
        except TypeError as error:
            values = [*args, *kwargs.values()]
            left_out = self._left_out(self._asked(name, dict(enumerate(values))), values)
            reason = f"{left_out} is missing" if left_out else str(error)
            count = f"{len(values)} argument{'' if len(values) == 1 else 's'}"
            self.bad_call = f"`{name}` is called with {count}: {reason}."
            raise
        asked = self._asked(name, given)
        steps = [event.who for event in self.events if event.kind == "step"]
        made = _Made(asked.name, asked, after=steps, with_gradients=torch.is_grad_enabled())
        made.wrong = self._wrong_arguments(asked, given)
        self.made.append(made)
        self.events.append(_Event("loss", asked.name))
        result = function(*args, **kwargs)
        loss = result[0] if isinstance(result, tuple) else result
        made.value, made.has_graph = loss.detach().clone(), loss.requires_grad
        if loss.requires_grad:
            loss.register_hook(partial(self._touch, asked.name))
        return result

    def _touch(self, name: str, gradient: Tensor) -> None:
        self._touched[name] = self._touched.get(name, 0.0) + float(gradient.sum())

    def _forwarded(self, name: str, _: nn.Module, inputs: tuple, output: Tensor) -> None:
        given = ", ".join(self.described(x) for x in inputs if isinstance(x, Tensor))
        does = "answers" if name.startswith("disc") else f"makes of {given}"
        self.outputs.append((f"what the {name} {does}", output))

    def _left_out(self, asked: _Loss, values: Iterable[Any]) -> str:
        """Return the first thing that a loss should be given and is not, "" if there is none."""
        words = [self.described(value).removesuffix(_CUT) for value in values]
        needed = [x for name, x in asked.arguments.items() if name not in self.plan.options]
        return next((wanted for wanted in needed if wanted not in words), "")

    def _asked(self, function: str, given: Mapping[Any, Any]) -> _Loss:
        """Return the loss that a call computes; of two alike, the one of the network given."""
        losses = [loss for loss in self.plan.losses if loss.function == function]
        words = {self.described(value) for value in given.values()}
        return next(
            (loss for loss in losses if loss.arguments.get("discriminator") in words), losses[0]
        )

    def _wrong_arguments(self, asked: _Loss, given: Mapping[str, Any]) -> list[str]:
        wrong = []
        instead: dict[str, str] = {}
        for name, wanted in asked.arguments.items():
            is_option = name in self.plan.options
            if name not in given:
                if is_option:
                    wrong.append(f"`{name}` is not handed on to `{asked.function}`.")
                continue
            got = self.described(given[name])
            if got == wanted:
                continue
            place = f"`{asked.function}` gets {got} in the place of {wanted}"
            if isinstance(given[name], (int, float)) and not is_option:
                if left_out := self._left_out(asked, given.values()):
                    return [f"`{asked.function}` is called without {left_out}."]
                return [f"{place}: an argument before it is missing."]
            if got == f"{wanted}{_CUT}":
                if _is_first(asked):
                    wrong.append(
                        f"{wanted[0].upper()}{wanted[1:]} is cut off from the generator (detached, "
                        f"or made without gradients) before it gets to `{asked.function}`."
                    )
                continue
            follows = any(m.wrong for m in self.made if m.asked and _is_first(m.asked))
            if not (wanted.startswith("the generated") and follows):
                instead[wanted] = got
        for wanted, got in instead.items():
            if instead.get(got) != wanted:
                wrong.append(f"`{asked.function}` gets {got} in the place of {wanted}.")
            elif list(instead).index(wanted) < list(instead).index(got):
                wrong.append(f"`{asked.function}` gets {wanted} and {got} in the other order.")
        return wrong

    def described(self, value: Any) -> str:
        """Return what a value is in a step: an image, an output, a network, a weight."""
        for name, network in self.players.networks.items():
            if value is network:
                return f"the {name}"
        if isinstance(value, (int, float)):
            near = [k for k, v in self.plan.options.items() if abs(value - v) < _CLOSE]
            return f"`{near[0]}`" if near else f"the number {value:g}"
        if isinstance(value, tuple):
            return f"the pair ({', '.join(map(self.described, value))})"
        if not isinstance(value, Tensor):
            return f"an object of the type {type(value).__name__}"
        for name, image in self.images.items():
            if value.shape == image.shape and torch.equal(value.detach(), image):
                return f"`{name}`"
        for name, output in reversed(self.outputs):
            if value.shape == output.shape and torch.equal(value.detach(), output.detach()):
                words = _IMAGES.get(name, name)
                return words if value.requires_grad else f"{words}{_CUT}"
        known = [*self.images.items(), *((_IMAGES.get(k, k), v) for k, v in self.outputs)]
        for name, whole in known:
            is_part = 0 < len(value) < len(whole) if value.ndim == whole.ndim == 4 else False
            if is_part and torch.equal(value.detach(), whole[: len(value)].detach()):
                return f"a part of {f'`{name}`' if name in self.images else name}"
        return f"another tensor of shape {tuple(value.shape)}"

    def look(self) -> None:
        """Note which gradients have been cleared or changed since the last event."""
        for name in self.players.networks:
            weights = self._weights_of(name)
            if not torch.equal(weights, self._weights[name]) and name not in self.moved_by_hand:
                self.moved_by_hand.append(name)
            self._weights[name] = weights
            now, before = self._gradient_of(name), self._seen[name]
            if now is None and before is not None:
                self._held[name] = []
                self._changed.discard(name)
                self._add_clear(name)
            elif now is not None and (before is None or not torch.equal(now, before)):
                if self._by_hand is not None:
                    self._held[name] = [self._by_hand]
                else:
                    self._changed.add(name)
            self._seen[name] = now

    def _add_clear(self, name: str) -> None:
        trained = next(key for key, (_, names) in self.players.optimizers.items() if name in names)
        if not (self.events and (self.events[-1].kind, self.events[-1].who) == ("clear", trained)):
            self.events.append(_Event("clear", trained))

    def cleared(self, optimizer: Optimizer) -> None:
        """Note that an optimizer was asked to clear its gradients."""
        trained, names = self._trained_by(optimizer)
        for name in names:
            self._held[name] = []
            self._changed.discard(name)
            self._seen[name] = self._gradient_of(name)
        self.events.append(_Event("clear", trained))

    def stepped(self, optimizer: Optimizer) -> None:
        """Note a step of an optimizer, and what the gradients hold that it uses."""
        self.look()
        trained, names = self._trained_by(optimizer)
        content = {name: _sum(self._held[name]) for name in names}
        self.events.append(_Event("step", trained, {}, content, sorted(self._changed & {*names})))

    def note_weights(self, optimizer: Optimizer) -> None:
        """Note the weights after a step of their optimizer."""
        for name in self._trained_by(optimizer)[1]:
            self._weights[name] = self._weights_of(name)

    def _optimizers(self) -> list[tuple[Optimizer, list[str]]]:
        return list(self.players.optimizers.values())

    def _weights_of(self, name: str) -> Tensor:
        weights = [p.detach().flatten() for p in self.players.networks[name].parameters()]
        return torch.cat(weights).clone()

    def _differentiated(self) -> None:
        touched = self._touched or self._own_loss()
        self.events.append(_Event("backward", " + ".join(touched), touched))
        for name in self.players.networks:
            now, before = self._gradient_of(name), self._seen[name]
            if now is not None and (before is None or not torch.equal(now, before)):
                self._held[name].append(
                    {k: v for k, v in touched.items() if self._reaches(k, name)}
                )
            self._seen[name] = now

    def _reaches(self, loss: str, network: str) -> bool:
        """Return False for a discriminator's loss and another network, which it cannot reach."""
        judges = [
            x.arguments["discriminator"]
            for x in self.plan.losses
            if x.name == loss and not _is_first(x)
        ]
        return not judges or judges == [f"the {network}"]

    def _own_loss(self) -> _Content:
        name = f"loss {1 + sum(made.asked is None for made in self.made)} of its own"
        self.made.append(_Made(name))
        return {name: 1.0}

    def _failed_again(self) -> None:
        """Note a backward pass that failed because there was one of the same loss before."""
        for name in self._touched:
            passes = sum(name in event.of for event in self.events)
            computed = sum(made.name == name for made in self.made)
            if passes and passes == computed:
                self.wrong_roots.append(f"`backward` is called a second time on {name}.")
            elif passes:
                self.wrong_roots.append(
                    f"{_capital(name)} is computed twice from the same image, and the first "
                    "backward pass has freed the graph of that image."
                )

    def _check_roots(self, roots: list[Any]) -> None:
        for root in roots:
            if not isinstance(root, Tensor):
                continue
            words = self.described(root)
            if root.numel() > 1:
                self.wrong_roots.append(f"`backward` is called on {words}, not on a loss.")
            elif not root.requires_grad or root.is_leaf:
                same = [m.name for m in self.made if m.value is not None and _same(m.value, root)
                        and m.has_graph]  # fmt: skip
                if same:
                    self.wrong_roots.append(
                        f"{_capital(same[0])} is cut off from its graph (detached) before "
                        "`backward` is called on it."
                    )

    def _trained_by(self, optimizer: Optimizer) -> tuple[str, list[str]]:
        return next(
            (trained, names)
            for trained, (own, names) in self.players.optimizers.items()
            if own is optimizer
        )

    def _gradient(self, name: str) -> bool:
        return self._gradient_of(name) is not None

    def _gradient_of(self, name: str) -> Tensor | None:
        """Return the gradient that a network holds, None if there is none or it is zero."""
        parts = [p.grad.flatten() for p in self.players.networks[name].parameters()
                 if p.grad is not None]  # fmt: skip
        whole = torch.cat(parts).clone() if parts else None
        return whole if whole is not None and whole.any() else None

    # --- Reading ----------------------------------------------------------------------------------

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
        found = self._misnamed() or self._losses_missing()
        if not any("computed twice" in sentence for sentence in found):  # all else follows
            found += [sentence for made in self.made for sentence in made.wrong]
            found += self.wrong_roots
        if not any(made.wrong for made in self.made):
            found += self._losses_without_graph()
        found += self._order()
        for trained in self.players.optimizers:
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
        if not found and self.own_losses and self.error is None and len(self.plan.losses) > 1:
            computed = {made.name for made in self.made}
            found = [
                f"`{x.function}` is not called for {x.name}: the step computes a loss of its own."
                for x in self.plan.losses
                if x.name not in computed
            ]
        return [sentence for sentence in dict.fromkeys(found) if sentence]

    def steps_of(self, trained: str) -> list[int]:
        """Return the places of the steps of an optimizer among the events."""
        return [i for i, e in enumerate(self.events) if (e.kind, e.who) == ("step", trained)]

    @property
    def own_losses(self) -> list[str]:
        return [made.name for made in self.made if made.asked is None]

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
            if loss not in computed and not (self.error and loss.function in self.names)
        ]
        twice = [loss for loss in self.plan.losses if computed.count(loss) > 1]
        if twice and missing:
            return [f"{_capital(twice[0].name)} is computed twice, and {missing[0].name} never is."]
        if self.error is not None:
            return []
        found = []
        for loss in self.plan.losses:
            if loss not in computed and not (self.own_losses and self.plan.fixtures):
                of = f", for {loss.name}" if loss.function in [x.function for x in computed if x] \
                    else ""  # fmt: skip
                found.append(f"`{loss.function}` is never called{of}.")
        return found

    def _losses_without_graph(self) -> list[str]:
        found = []
        for made in self.made:
            if made.asked and made.value is not None and not made.has_graph:
                names = self.players.optimizers[made.asked.trains][1]
                judge = made.asked.arguments.get("discriminator", "")
                if not _is_first(made.asked):
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
                found.append(f"{_capital(made.name)} cannot be differentiated: {why}.")
        return found

    def _order(self) -> list[str]:
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

    def _moves(self, trained: str) -> list[str]:
        """Return what is wrong with the steps of an optimizer and the gradients that it uses."""
        steps = self.steps_of(trained)
        owner = f"{_capital(_owned(trained))} optimizer"
        if not steps:
            return [] if self.error else [f"{owner} makes no step.", *self._never(trained)]
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
        for name in event.changed:
            found.append(
                f"The gradient of the {name} is changed between the backward pass and the step: "
                "clipped, scaled or written over."
            )
        return found

    def _together(
        self, trained: str, names: list[str], own: list[_Loss], found: list[list[str]]
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
        self, trained: str, name: str, at: int, content: _Content, wanted: list[str]
    ) -> list[str]:
        """Return what is wrong with the gradient that a network holds when it is moved."""
        is_own = bool(self.own_losses) and not any(w in content for w in wanted)
        if is_own:  # losses written out: those that count are the ones since the other one moved
            return self._content_of_own(trained, name, at, content)
        found = []
        if _BEFORE in content:
            found.append(self._not_cleared(trained, _BEFORE, at, name))
        foreign = [key for key in content if key not in (*wanted, _BEFORE)]
        for key in foreign:
            if any(w in content for w in wanted):
                found.append(self._not_cleared(trained, key, at, name))
            else:
                found.append(
                    f"{_capital(_owned(trained))} optimizer steps with the gradient of {key}."
                )
        for key in wanted:
            factor = content.get(key, 0.0)
            if abs(factor - 1) < _CLOSE or (not factor and foreign):
                continue
            if factor:
                times = self._times(factor, key)
                found.append(f"The gradient that moves the {name} is that of {times}.")
                continue
            found.append(self._no_gradient(trained, name, at, key))
        return found

    def _content_of_own(self, trained: str, name: str, at: int, content: _Content) -> list[str]:
        if _BEFORE in content:
            return [self._not_cleared(trained, _BEFORE, at, name)]
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
        what = "gradients of the step before" if key == _BEFORE else f"the gradient of {key}"
        is_ = "are" if key == _BEFORE else "is"
        own = [x.name for x in self.plan.losses if x.trains == trained]
        both = [e for e in self.events if e.kind == "backward" and key in e.who
                and any(x in e.who for x in own)]  # fmt: skip
        if both:
            return (
                f"{_capital(key)} and {_owned(trained)} loss are differentiated together, in one "
                f"backward pass: the {trained} {'get' if trained.endswith('s') else 'gets'} the "
                "gradient of both."
            )
        if not clears:
            why = f"nothing clears the gradients of the {trained} (`zero_grad` is never called)"
        elif clears[0] > at:
            why = f"the gradients of the {trained} are cleared only after the step"
        elif key == _BEFORE:
            why = "they are not cleared"
        else:
            why = f"the gradients of the {trained} are cleared before, not after, that one comes"
        return f"When {_owned(trained)} optimizer steps, {what} {is_} still in the {name}: {why}."

    def _no_gradient(self, trained: str, name: str, at: int, key: str) -> str:
        owner = f"{_capital(_owned(trained))} optimizer"
        passes = [i for i, e in enumerate(self.events) if e.kind == "backward" and key in e.who]
        if not passes:
            what = f"`backward` is never called on {key}" if key else "there is no backward pass"
            return f"{owner} steps without a gradient of the {name}: {what}."
        if passes[0] > at:
            return f"{owner} steps before the backward pass of {key or 'the loss'}."
        clears = [e for e in self.events[passes[0] : at] if (e.kind, e.who) == ("clear", trained)]
        if clears:
            return (
                f"The gradients of the {trained} are cleared between the backward pass of "
                f"{key or 'the loss'} and the step."
            )
        if any(made.wrong for made in self.made if made.name == key):
            return ""  # what the loss was given is the reason
        return f"{_capital(key or 'the loss')} gives the {name} no gradient."

    def _never(self, trained: str) -> list[str]:
        passes = [event.who for event in self.events if event.kind == "backward"]
        losses = [loss.name for loss in self.plan.losses if loss.trains == trained]
        return [
            f"`backward` is never called on {name}."
            for name in losses
            if not self.own_losses and not any(name in who for who in passes)
        ]

    def _results(self) -> list[str]:
        """Return what is wrong with the losses that are returned."""
        if self.own_losses:
            return []
        wanted: list[tuple[str, Tensor]] = []
        for trained in self.players.optimizers:
            values = [
                next((m.value for m in self.made if m.asked is loss and m.value is not None), None)
                for loss in self.plan.losses
                if loss.trains == trained
            ]
            known = [value for value in values if value is not None]
            if len(known) < len(values):
                return []
            one = f"{_owned(trained)} loss" if len(self.players.optimizers) > 1 else "the loss"
            wanted.append((one, torch.stack(known).sum()))
        got = self.returned if isinstance(self.returned, (tuple, list)) else [self.returned]
        if len(got) != len(wanted):
            return []
        found = []
        for number, (value, (name, right)) in enumerate(zip(got, wanted, strict=True)):
            place = "What is returned" if len(wanted) == 1 else (
                f"The {('first', 'second')[number]} value returned"
            )  # fmt: skip
            if isinstance(value, (int, float)):
                found.append(f"{place} is a Python number, not a tensor.")
            if _same(value, right):
                continue
            found.append(f"{place} is {self._value_in_words(value, name, right, wanted)}.")
        return found

    @property
    def _n_images(self) -> int:
        return len(self.images["real_t1"])

    def _times(self, factor: float, loss: str) -> str:
        """Return a multiple of a loss in words."""
        n = self._n_images
        if n > 2 and abs(factor * n - 1) < _CLOSE:
            return f"{loss}, divided by {n}, the number of images"
        if n > 2 and abs(factor - n) < _CLOSE:
            return f"{loss}, multiplied by {n}, the number of images"
        return f"{_FACTORS.get(round(factor, 6), f'{factor:.3g} times')} {loss}"

    def _value_in_words(
        self, value: Any, name: str, right: Tensor, wanted: list[tuple[str, Tensor]]
    ) -> str:
        last = {m.name: m.value for m in self.made if m.asked and m.value is not None}
        again = [
            (
                one,
                torch.stack([last[x.name] for x in self.plan.losses if x.trains == trained]).sum(),
            )
            for (one, _), trained in zip(wanted, self.players.optimizers, strict=True)
        ]
        computed = [(m.name, m.value) for m in self.made if m.value is not None]
        others = [*wanted, *again, *computed]
        for other, number in others:
            if _same(value, number):
                late = ", computed a second time after the update" if other == name else ""
                return f"{other}{late}, not {name}" if not late else f"{other}{late}"
        for factor in (1 / self._n_images, self._n_images, *_FACTORS):
            if _same(value, right * factor):
                return self._times(factor, name)
        if isinstance(value, Tensor) and value.numel() > 1:
            return f"{self.described(value).removesuffix(_CUT)}, not {name}"
        got = float(value.detach()) if isinstance(value, Tensor) else value
        return f"{got:.4g}, and {name} was {float(right):.4g}"


def _sum(contents: list[_Content]) -> _Content:
    total: _Content = {}
    for content in contents:
        for name, factor in content.items():
            total[name] = total.get(name, 0.0) + factor
    return total


def _same(value: Any, other: Tensor) -> bool:
    if isinstance(value, Tensor):
        if value.numel() != 1:
            return False
        value = float(value.detach())
    return isinstance(value, (int, float)) and abs(value - float(other)) <= 1e-6 * max(
        1e-3, abs(float(other))
    )


def _is_first(loss: _Loss) -> bool:
    """Return True for the loss that trains generators: it comes first."""
    return loss.trains.startswith("generator")


def _owned(name: str) -> str:
    return f"the {name}'" if name.endswith("s") else f"the {name}'s"


def _is(name: str) -> str:
    return "are" if name.endswith("s") else "is"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# --- The explanation ------------------------------------------------------------------------------


def _explain(plan: _Plan, answer: Any) -> Explanation | None:
    """Tell two steps with other weights than the default ones, then steps with other losses."""
    setting = Setting()
    sentences: list[str] = []
    table: TableRecord | None = None
    story = _Story(plan, _players(plan, setting))
    for number in (1, 2):
        batch = batch_of(number, setting)
        left = left_by(story.players, batch)
        story.tell(answer, batch)
        told = {_subject(sentence) for sentence in sentences}
        found = [x for x in story.sentences() if _subject(x) not in told]
        if left() != UNCHANGED and number == 1 and ("images" in left() or not story.error):
            found.append(f"Afterwards {left()}.")
        if table is None and (found or story.error):
            table = _table(story, number, found)
        sentences += found
        if story.error or "frozen" in left():
            break
    still = [key for key in story.players.optimizers if not story.steps_of(key)]
    if not story.error and (not sentences or still):
        sentences = _conditions(plan, answer, setting, still) or sentences
    if not sentences:
        return None
    notes = [["wrong", sentence] for sentence in sentences[:_MOST_SENTENCES]]
    items = ["loss", "weights", "generator-loss", "discriminator-loss", "generator-weights",
             "discriminator-weights", "second-step", "left", "any-loss"]  # fmt: skip
    return Explanation(notes=notes, items=items, alone=False, table=table)


def _subject(sentence: str) -> str:
    """Return whom or what a sentence concerns: after it, a second step says nothing new of it."""
    if "never called" in sentence:
        return sentence.split(": ")[-1]
    about = re.search("(?i)the [a-z]+'s? optimizer|^.* returned|the gradients? .*? is", sentence)
    return about[0].lower() if about else re.sub(r"of shape \(.*?\)", "", sentence)


def _players(plan: _Plan, setting: Setting, **options: float) -> Players:
    if plan.play is generator_players:
        return generator_players(setting, make=_WatchedSGD, **options)
    return plan.play(setting, 0.01, plan.options, make=_WatchedSGD, **options)


def _conditions(plan: _Plan, answer: Any, setting: Setting, still: list[str]) -> list[str]:
    """Return what an answer does for some values of its losses only.

    Args:
        plan: What is asked for.
        answer: The step.
        setting: Seeds and number type.
        still: The optimizers that made no step with the losses tried so far.
    """
    is_one = plan.play is generator_players
    name, values = ("level", (-300.0, 500.0)) if is_one else ("logit", (4.0, -4.0))
    for value in values:
        story = _Story(plan, _players(plan, setting, **{name: value}))
        story.tell(answer, batch_of(1, setting))
        if story.error:
            continue
        losses = " and ".join(
            f"{made.name} is {float(made.value):.3g}"
            for made in story.made
            if made.asked and made.value is not None
        )
        for trained in story.players.optimizers:
            owner = f"{_capital(_owned(trained))} optimizer"
            if trained in still and story.steps_of(trained):
                return [f"{owner} makes a step for some values of the losses only."]
            if trained not in still and not story.steps_of(trained):
                return [
                    f"{owner} makes a step for some values of the losses only, and none where "
                    f"{losses}."
                ]
        if not still and (sentences := story.sentences()):
            return [f"Where {losses}: {sentences[0]}", *sentences[1:]]
    return []


def _table(story: _Story, number: int, sentences: list[str]) -> TableRecord | None:
    """Return what happened beside what was asked for, the first difference marked."""
    plan, own = story.plan, _roles(story)
    yours = [_text(event, plan, own) for event in story.events]
    asked = max(
        ([_text(event, plan) for event in events] for events in _orders(story)),
        key=lambda texts: SequenceMatcher(None, texts, yours, autojunk=False).ratio(),
    )
    rows: list[list[str]] = []
    marked, lost = False, any("are cleared between" in sentence for sentence in sentences)
    opcodes = SequenceMatcher(None, yours, asked, autojunk=False).get_opcodes()
    for kind, i, i_end, k, k_end in opcodes:
        for left, right in zip_longest(yours[i:i_end], asked[k:k_end], fillvalue=""):
            is_needless = kind == "delete" and left.startswith("clear") and not lost
            is_first = kind != "equal" and not marked and not is_needless
            marked |= is_first
            rows.append([left, right, "<-- first difference" if is_first else ""])
    if story.error:
        rows.append(["stopped by an error", "", ""])
    elif not marked:
        return None
    which = ", second step" if number == 2 else ""
    return TableRecord(
        name=f"what your step does, beside one right order{which}",
        header=["yours", "asked for", ""],
        rows=rows[:_MOST_ROWS],
        note="",
    )


def _text(event: _Event, plan: _Plan, own: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return an event in the words of the table."""
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
    terms = [
        (f"{factor:.3g} × " if abs(factor - 1) > _CLOSE else "") + own.get(name, name)
        for name, factor in sorted(of.items(), reverse=True)
    ]
    return f"backward from {' + '.join(terms)}"


def _roles(story: _Story) -> dict[str, str]:
    """Return what losses of the answer's own are, by the optimizer that moves by them."""
    roles: dict[str, str] = {}
    for event in story.events:
        for content in event.content.values():
            for name in content:
                if name in story.own_losses:
                    roles.setdefault(name, f"{_owned(event.who)} loss")
    return roles


def _orders(story: _Story) -> Iterator[list[_Event]]:
    """Yield right orders of the events; a gradient that was right needs no clearing."""
    plan = story.plan
    groups = list(story.players.optimizers)
    cleared = {event.who for event in story.events if event.kind == "clear"}
    right = {
        event.who
        for event in story.events
        if event.kind == "step"
        and all(len(part) == 1 and _BEFORE not in part for part in event.content.values())
    }
    for places in product((1, 0, 3), repeat=len(groups)):
        for at_once in (True, False):
            events: list[_Event] = []
            for trained, place in zip(groups, places, strict=True):
                names = [loss.name for loss in plan.losses if loss.trains == trained]
                passes = [dict.fromkeys(names, 1.0)] if at_once else [{x: 1.0} for x in names]
                parts = [
                    []
                    if story.own_losses and plan.fixtures
                    else [_Event("loss", x) for x in names],
                    [_Event("backward", "", of) for of in passes],
                    [_Event("step", trained)],
                ]
                if trained not in right or trained in cleared:
                    parts.insert(place, [_Event("clear", trained)])
                events += [event for part in parts for event in part]
            yield events


_IMAGES = {
    "what the generator makes of `real_t1`": "the generated T2",
    "what the generator from T1 to T2 makes of `real_t1`": "the generated T2",
    "what the generator from T2 to T1 makes of `real_t2`": "the generated T1",
}
_CRITERION = _Loss(
    "criterion", "the loss", "generator", {"input": "the generated T2", "target": "`real_t2`"}
)
_WEIGHTS_OF_PAIR = {"lambda_gan": 18.0, "lambda_pixel": 90.0}
_WEIGHTS_OF_CYCLE = {"lambda_gan": 18.0, "lambda_cycle": 90.0}
_REAL = {"real_t1": "`real_t1`", "real_t2": "`real_t2`"}
_OF_PAIR = {"discriminator": "the discriminator", **_REAL, "fake_t2": "the generated T2"}
_OF_GENERATOR = _Plan(generator_players, (_CRITERION,))
_OF_CGAN = _Plan(
    cgan_players,
    (
        _Loss(
            "cgan_generator_loss",
            "the generator's loss",
            "generator",
            _OF_PAIR | {name: f"`{name}`" for name in _WEIGHTS_OF_PAIR},
        ),
        _Loss("cgan_discriminator_loss", "the discriminator's loss", "discriminator", _OF_PAIR),
    ),
    {
        "cgan_generator_loss": fixtures.cgan_generator_loss,
        "cgan_discriminator_loss": fixtures.cgan_discriminator_loss,
    },
    _WEIGHTS_OF_PAIR,
)
_OF_CYCLEGAN = _Plan(
    cyclegan_players,
    (
        _Loss(
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
            _Loss(
                "cyclegan_discriminator_loss",
                f"the loss of the discriminator of T{k}",
                "discriminators",
                {
                    "discriminator": f"the discriminator of T{k}",
                    "real": f"`real_t{k}`",
                    "fake": f"the generated T{k}",
                },
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


def generator_step(answer: Any, runs: list[Run]) -> Explanation | None:
    """Tell the step of notebook 2."""
    return _explain(_OF_GENERATOR, answer)


def cgan_step(answer: Any, runs: list[Run]) -> Explanation | None:
    """Tell the step of notebook 3."""
    return _explain(_OF_CGAN, answer)


def cyclegan_step(answer: Any, runs: list[Run]) -> Explanation | None:
    """Tell the step of notebook 4."""
    return _explain(_OF_CYCLEGAN, answer)
