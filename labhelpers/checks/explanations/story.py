"""Record what happens in a training step: calls, gradients and moves, in their order."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from labhelpers.checks import fixtures
from labhelpers.checks.explanations import own_losses
from labhelpers.checks.explanations.functions import (
    code_of,
    names_read,
    namespace_of,
    values_given,
)
from labhelpers.checks.explanations.words import capitalised
from labhelpers.checks.probes.steps import Players

__all__ = [
    "BEFORE",
    "CLOSE",
    "CUT",
    "Content",
    "Event",
    "Loss",
    "Made",
    "Plan",
    "Story",
    "WatchedSGD",
    "is_first",
    "is_number",
]

CLOSE = 1e-6  # relative difference of numbers that are the same
BEFORE = "the step before"
CUT = ", cut off from its graph"
_IMAGES = {
    "what the generator makes of `real_t1`": "the generated T2",
    "what the generator from T1 to T2 makes of `real_t1`": "the generated T2",
    "what the generator from T2 to T1 makes of `real_t2`": "the generated T1",
}


@dataclass(frozen=True)
class Loss:
    """A loss that a step is to compute.

    Attributes:
        function: What the answer calls.
        name: What the loss is called in the report.
        trains: Name of the optimizer whose weights it moves.
        arguments: What each of its arguments should be, in the words of `Story.described`.
        judged: What the discriminator should judge, real and generated, in the same words.
    """

    function: str
    name: str
    trains: str
    arguments: Mapping[str, str]
    judged: tuple[tuple[str, ...], ...] = ()

    @property
    def judge(self) -> str:
        """Name of the discriminator that it is given, "" if it is given several or none."""
        return self.arguments.get("discriminator", "").removeprefix("the ")


@dataclass(frozen=True)
class Plan:
    """What is asked for in a step.

    Attributes:
        play: Makes the networks and optimizers.
        losses: The losses, in their order.
        fixtures: What takes the place of the loss functions, by name.
        options: The weights that the step is called with.
    """

    play: Callable[..., Players]
    losses: tuple[Loss, ...]
    fixtures: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    options: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Made:
    """A loss that was computed, or another value that was differentiated.

    Attributes:
        name: What it is called in the report.
        asked: The loss that it is, None for a value of the answer's own.
        value: Its value, None if computing it failed.
        has_graph: Whether it can be differentiated.
        with_gradients: Whether gradients were switched on.
        given: What it was given, in the words of `Story.described`, by argument.
        wrong: What is wrong with its arguments.
        after: The optimizers that had made a step before.
        node: Where it stands in the graph.
        event: What happened when it was computed, None where it is written out.
        own: The loss that is written out, where the answer calls no function for it.
        is_anew: Whether it was given an image of a generator that had moved before.
    """

    name: str
    asked: Loss | None = None
    value: Tensor | None = None
    has_graph: bool = True
    with_gradients: bool = True
    given: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    node: Any = None
    event: Event | None = None
    own: Loss | None = None
    is_anew: bool = False


#: How often each loss has been differentiated into a gradient, by the name of the loss.
Content = dict[str, float]


@dataclass
class Event:
    """Something that happened.

    Attributes:
        kind: What it was.
        who: The loss or losses, or the optimizer.
        of: How often a backward pass differentiated each loss.
        content: What the gradients of each network held when it was moved.
        changed: The networks whose gradients were changed by hand.
        parts: How many losses of each name a backward pass went through.
        is_returned: Whether gradients were returned, and not added to those of the weights.
        is_misfed: Whether a loss was computed from something else than asked for.
    """

    kind: str  # "loss", "clear", "backward", "step"
    who: str
    of: Content = field(default_factory=dict)
    content: dict[str, Content] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    parts: dict[str, int] = field(default_factory=dict)
    is_returned: bool = False
    is_misfed: bool = False


class WatchedSGD(SGD):
    """Plain SGD that tells a story when it makes a step."""

    story: Story | None = None

    def step(self, closure: Any = None) -> Any:
        """Move the weights, and tell."""
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

    def __init__(self, story: Story, criterion: fixtures.Criterion) -> None:
        super().__init__(criterion.level, criterion.scale)
        self.watched = partial(story.computed, "criterion", criterion.forward)

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        return self.watched(*args, **kwargs)


class Story:
    """What happens in calls of a step: losses, gradients and moves, in their order."""

    def __init__(self, plan: Plan, players: Players) -> None:
        arguments = tuple(
            _WatchedCriterion(self, x) if isinstance(x, fixtures.Criterion) else x
            for x in players.arguments
        )
        self.plan, self.players = plan, replace(players, arguments=arguments)
        self.events: list[Event] = []
        self.made: list[Made] = []
        self.error: Exception | None = None
        self.returned: Any = None
        self.images: dict[str, Tensor] = {}
        self.outputs: list[tuple[str, Tensor]] = []
        self.bad_call = ""
        self.anew: list[Tensor] = []  # images made by a generator that has moved
        self.wrong_roots: list[str] = []
        self.judgements: list[own_losses.Judgement] = []
        self.reached: dict[str, list[str]] = {}  # by losses that are written out
        self.roots: list[tuple[str, Tensor]] = []  # values of these, by what they train
        self._computing = False
        self._held: dict[str, list[Content]] = {name: [] for name in players.networks}
        self._changed: set[str] = set()
        self._seen: dict[str, Tensor | None] = dict.fromkeys(players.networks)
        self._touched: Content = {}
        self._parts: dict[str, int] = {}
        self._spent: list[tuple[Any, str]] = []  # roots of backward passes, and what made these
        self._by_hand: Content | None = None
        self._got: dict[int, Tensor] = {}  # gradients that were asked for, by what they are of
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
        self.judgements, self.reached, self._spent, self.roots = [], {}, [], []
        self.anew = []
        self.names, self.given = names_read(answer), values_given(answer)
        self.images = dict(zip(("real_t1", "real_t2"), batch, strict=True))
        for name, held in self._held.items():
            self._held[name] = [{BEFORE: 1.0}] if any(held) and self._gradient(name) else []
        with self._recording(answer):
            try:
                self.returned = self.players.step(answer, batch)
            except Exception as error:
                self.error = error
            self.look()
        for made in self.made:
            if made.event and self.is_measured(made):
                made.event.is_misfed = False

    def is_measured(self, made: Made) -> bool:
        """Return True for a loss without a graph beside the same one with it: nobody learns."""
        return not made.has_graph and any(
            other.has_graph and other.asked is made.asked for other in self.made
        )

    @contextmanager
    def _recording(self, answer: Any) -> Iterator[None]:
        namespace = namespace_of(answer)
        before = {name: namespace[name] for name in self.plan.fixtures if name in namespace}
        backward, grad = torch.autograd.backward, torch.autograd.grad
        clear, clear_all = nn.Module.zero_grad, Optimizer.zero_grad

        def recorded_backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
            roots = [tensors] if isinstance(tensors, Tensor) else list(tensors)
            self.look()
            self._touched, self._parts = {}, {}
            self._check_roots(roots)
            own = self._written_out(roots)
            if not own:
                self._check_addends(roots)
            try:
                backward(tensors, *args, **kwargs)
            except RuntimeError as error:
                self._failed_again()
                if "second time" in str(error) and not self.wrong_roots:
                    self._was_differentiated(roots, getattr(code_of(answer), "co_name", ""))
                self.wrong_roots += [
                    self.not_detached(name)
                    for name in own
                    for network in self.reached[name]
                    if self.is_leak(name, network)
                ]
                raise
            self._spent += [(root.grad_fn, _caller()) for root in roots]
            self._differentiated(own)

        def recorded_grad(outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            self.look()
            self._touched, self._parts = {}, {}
            inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
            result = grad(outputs, inputs, *args, **kwargs)
            self._got |= {id(x): g.clone() for x, g in zip(inputs, result, strict=True)
                          if g is not None}  # fmt: skip
            self._by_hand = self._touched or self._own_loss()
            who = " + ".join(self._by_hand)
            self.events.append(
                Event("backward", who, self._by_hand, parts=self._parts, is_returned=True)
            )
            return result

        def recorded_clear(module: nn.Module, *args: Any, **kwargs: Any) -> None:
            self._clear(module.parameters())
            clear(module, *args, **kwargs)
            self.look()

        def recorded_clear_all(optimizer: Optimizer, *args: Any, **kwargs: Any) -> None:
            self._clear(weight for group in optimizer.param_groups for weight in group["params"])
            clear_all(optimizer, *args, **kwargs)
            self.look()

        def foreign(optimizer: Optimizer, *_: Any) -> None:
            if not any(optimizer is own for own, _ in self.players.optimizers.values()):
                self.events.append(Event("step", ""))

        hook = register_optimizer_step_pre_hook(foreign)
        torch.autograd.backward, torch.autograd.grad = recorded_backward, recorded_grad
        nn.Module.zero_grad = recorded_clear  # type: ignore[method-assign, assignment]
        Optimizer.zero_grad = recorded_clear_all  # type: ignore[method-assign, assignment]
        for name, fixture in self.plan.fixtures.items():
            namespace[name] = partial(self.computed, name, fixture)
        try:
            yield
        finally:
            torch.autograd.backward, torch.autograd.grad = backward, grad
            nn.Module.zero_grad = clear  # type: ignore[method-assign]
            Optimizer.zero_grad = clear_all  # type: ignore[method-assign]
            hook.remove()
            namespace.update(before)

    def computed(self, name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Compute a loss, and note what it was given."""
        self.look()
        try:
            given = dict(inspect.signature(function).bind(*args, **kwargs).arguments)
        except TypeError as error:
            values = [*args, *kwargs.values()]
            asked = self._asked(name, dict(enumerate(values)))
            left_out = self._left_out(asked, values)
            reason = f"{left_out} is missing" if left_out else str(error)
            count = f"{len(values)} argument{'' if len(values) == 1 else 's'}"
            self.bad_call = f"`{name}` is called with {count}: {reason}."
            if not values:
                self.bad_call = f"`{name}` is called without arguments: {reason}."
            if pairs := self._pairs(asked, values):
                self.bad_call = pairs[0]
            raise
        asked = self._asked(name, given)
        steps = [event.who for event in self.events if event.kind == "step"]
        made = Made(asked.name, asked, after=steps, with_gradients=torch.is_grad_enabled())
        made.given = {key: self.described(x).removesuffix(CUT) for key, x in given.items()}
        made.wrong = self._wrong_arguments(asked, given)
        images = [x for x in given.values() if isinstance(x, Tensor)]
        made.is_anew = any(_is_same(image, x) for image in images for x in self.anew)
        self.made.append(made)
        is_misfed = bool(made.wrong) and asked.trains not in steps
        made.event = Event("loss", asked.name, is_misfed=is_misfed)
        self.events.append(made.event)
        self._computing = True
        try:
            result = function(*args, **kwargs)
        finally:
            self._computing = False
        loss = result[0] if isinstance(result, tuple) else result
        made.value, made.has_graph = loss.detach().clone(), loss.requires_grad
        made.node = loss.grad_fn
        if loss.requires_grad:
            loss.register_hook(partial(self._touch, asked.name))
        return result

    def _touch(self, name: str, gradient: Tensor) -> None:
        self._touched[name] = self._touched.get(name, 0.0) + float(gradient.sum())
        self._parts[name] = self._parts.get(name, 0) + 1

    def _forwarded(self, name: str, _: nn.Module, inputs: tuple, output: Tensor) -> None:
        images = [x for x in inputs if isinstance(x, Tensor)]
        given = ", ".join(self.described(x).removesuffix(CUT) for x in images)
        if name.startswith("disc") and not self._computing:
            words = tuple(self.described(x).removesuffix(CUT) for x in images)
            self.judgements.append(
                own_losses.Judgement(
                    name,
                    words,
                    tuple(x.detach().clone() for x in images),
                    output.grad_fn,
                    torch.is_grad_enabled(),
                )
            )
        trains = self.plan.losses[0].trains
        is_after = any((event.kind, event.who) == ("step", trains) for event in self.events)
        if is_after and name in self.players.optimizers[trains][1]:
            self.anew += [] if any(_is_same(output, x) for _, x in self.outputs) else [output]
        does = "answers" if name.startswith("disc") else f"makes of {given}"
        self.outputs.append((f"what the {name} {does}", output))

    def _pairs(self, asked: Loss, values: Iterable[Any]) -> list[str]:
        """Return which pairs a loss gets where it takes their members."""
        return [
            f"`{asked.function}` gets {self.described(value)} as one argument: hand its members on "
            "as two."
            for value in values
            if isinstance(value, tuple)
        ]

    def _left_out(self, asked: Loss, values: Iterable[Any]) -> str:
        """Return the first thing that a loss should be given and is not, "" if there is none."""
        words = [self.described(value).removesuffix(CUT) for value in values]
        needed = [x for name, x in asked.arguments.items() if name not in self.plan.options]
        return next((wanted for wanted in needed if wanted not in words), "")

    def _asked(self, function: str, given: Mapping[Any, Any]) -> Loss:
        """Return the loss that a call computes; of two alike, the one of the network given."""
        losses = [loss for loss in self.plan.losses if loss.function == function]
        words = {self.described(value) for value in given.values()}
        return next(
            (loss for loss in losses if loss.arguments.get("discriminator") in words), losses[0]
        )

    def _wrong_arguments(self, asked: Loss, given: Mapping[str, Any]) -> list[str]:
        if pairs := self._pairs(asked, given.values()):
            return pairs
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
            if got == f"{wanted}{CUT}":
                if is_first(asked) and torch.is_grad_enabled():
                    wrong.append(
                        f"{wanted[0].upper()}{wanted[1:]} is cut off from the generator (detached, "
                        f"or made without gradients) before it gets to `{asked.function}`."
                    )
                continue
            if not (wanted.startswith("the generated") and self._made_otherwise()):
                instead[wanted] = got.removesuffix(CUT)
        for wanted, got in instead.items():
            if instead.get(got) != wanted:
                wrong.append(f"`{asked.function}` gets {got} in the place of {wanted}.")
            elif list(instead).index(wanted) < list(instead).index(got):
                wrong.append(f"`{asked.function}` gets {wanted} and {got} in the other order.")
        return wrong

    def _made_otherwise(self) -> bool:
        """Return True if the generated images that the first loss gets or makes are others."""
        return any(
            (got := m.given.get(name, wanted)) != wanted
            and (
                any(x.startswith("generator") for x in m.asked.arguments)
                or (wanted.startswith("the generated") and not got.startswith("`real"))
            )
            for m in self.made
            if m.asked and is_first(m.asked)
            for name, wanted in m.asked.arguments.items()
            if name not in self.plan.options and not name.startswith("discriminator")
        )

    def described(self, value: Any) -> str:
        """Return what a value is in a step: an image, an output, a network, a weight."""
        for name, network in self.players.networks.items():
            if value is network:
                return f"the {name}"
        if isinstance(value, (int, float)):
            near = [k for k, v in self.plan.options.items() if abs(value - v) < CLOSE]
            return f"`{near[0]}`" if near else f"the number {value:g}"
        if isinstance(value, tuple):
            return f"the pair ({', '.join(map(self.described, value))})"
        if not isinstance(value, Tensor):
            return f"an object of the type {type(value).__name__}"
        for name, image in self.images.items():
            if _is_same(value, image):
                return f"`{name}`"
        for name, output in reversed(self.outputs):
            if _is_same(value, output):
                words = _IMAGES.get(name, name)
                return words if value.grad_fn else f"{words}{CUT}"
        known = [*self.images.items(), *((_IMAGES.get(k, k), v) for k, v in self.outputs)]
        for name, whole in known:
            words = f"`{name}`" if name in self.images else name
            if _is_part(value.detach(), whole.detach()):
                return f"a part of {words}"
            if operation := _operation_on(value, whole):
                return f"{words}, changed by `{operation}`"
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
                    self._held[name] = [
                        {k: v for k, v in self._by_hand.items() if self._reaches(k, name)}
                    ]
                    if any(
                        p.grad is not None
                        and id(p) in self._got
                        and not torch.equal(p.grad, self._got[id(p)])
                        for p in self.players.networks[name].parameters()
                    ):
                        self._changed.add(name)
                else:
                    self._changed.add(name)
            self._seen[name] = now

    def _clear(self, weights: Iterable[Tensor]) -> None:
        """Note that gradients are about to be cleared; those that are there are seen to go."""
        self.look()
        cleared = {id(weight) for weight in weights}
        for name, network in self.players.networks.items():
            if self._seen[name] is None and all(id(w) in cleared for w in network.parameters()):
                self._add_clear(name)

    def _add_clear(self, name: str) -> None:
        trained = next(key for key, (_, names) in self.players.optimizers.items() if name in names)
        if not (self.events and (self.events[-1].kind, self.events[-1].who) == ("clear", trained)):
            self.events.append(Event("clear", trained))

    def stepped(self, optimizer: Optimizer) -> None:
        """Note a step of an optimizer, and what the gradients hold that it uses."""
        self.look()
        trained, names = self._trained_by(optimizer)
        content = {
            name: {
                key: 1.0 if key in self.reached else factor  # in how many parts is not known
                for key, factor in _sum(self._held[name]).items()
            }
            for name in names
        }
        self.events.append(Event("step", trained, {}, content, sorted(self._changed & {*names})))

    def note_weights(self, optimizer: Optimizer) -> None:
        """Note the weights after a step of their optimizer."""
        for name in self._trained_by(optimizer)[1]:
            self._weights[name] = self._weights_of(name)

    def _optimizers(self) -> list[tuple[Optimizer, list[str]]]:
        return list(self.players.optimizers.values())

    def _weights_of(self, name: str) -> Tensor:
        weights = [p.detach().flatten() for p in self.players.networks[name].parameters()]
        return torch.cat(weights).clone()

    def _differentiated(self, own: Content) -> None:
        touched = {**self._touched, **own} or self._own_loss()
        self.events.append(Event("backward", " + ".join(touched), touched, parts=self._parts))
        for name in self.players.networks:
            now, before = self._gradient_of(name), self._seen[name]
            if now is not None and (before is None or not torch.equal(now, before)):
                self._held[name].append(
                    {k: v for k, v in touched.items() if self._reaches(k, name)}
                )
            self._seen[name] = now

    def _reaches(self, loss: str, network: str) -> bool:
        """Return False for a discriminator's loss and another network, which it cannot reach."""
        if loss in self.reached:
            return network in self.reached[loss]
        judges = [
            x.arguments["discriminator"]
            for x in self.plan.losses
            if x.name == loss and not is_first(x)
        ]
        return not judges or judges == [f"the {network}"]

    def _own_loss(self) -> Content:
        name = f"loss {1 + sum(made.asked is None for made in self.made)} of its own"
        self.made.append(Made(name))
        return {name: 1.0}

    def _written_out(self, roots: list[Any]) -> Content:
        """Return the losses that are written out and differentiated now, and note them."""
        found: Content = {}
        for root in roots:
            if not isinstance(root, Tensor) or root.numel() != 1 or root.grad_fn is None:
                continue
            nodes = own_losses.graph_of(root)
            reached = own_losses.reached_by(nodes, self.players.networks)
            losses = self._roles(nodes, reached)
            others = [x.judge for x in losses if not is_first(x)]
            if len({loss.trains for loss in losses}) == 1:
                self.roots.append((losses[0].trains, root.detach().clone()))
            texts = []
            for loss in losses:
                made = Made(loss.name, own=loss)
                texts.append("" if is_first(loss) else self._judge(made, loss, root))
                self.made.append(made)
                known = self.reached.setdefault(loss.name, [])
                known += [x for x in reached if x not in known and (x == loss.judge
                          or x not in others)]  # fmt: skip
                found[loss.name] = 1.0
            same = len(texts) > 1 and len(set(texts)) == 1
            for made, loss, text in zip(self.made[-len(losses) :], losses, texts, strict=False):
                who = "each discriminator" if same else f"the {loss.judge}"
                made.wrong = [text.format(who=who)] if text else []
        self._touched = {}
        return found

    def _roles(self, nodes: set[Any], reached: list[str]) -> list[Loss]:
        """Return which of the losses asked for are written out in a graph."""
        if not self.plan.fixtures:
            return []
        first, *others = self.plan.losses
        covered = [made.asked for made in self.made if made.node is not None
                   and made.node in nodes]  # fmt: skip
        real = {
            judgement.network
            for judgement in self.judgements
            if judgement.node in nodes and all(x.startswith("`real") for x in judgement.words)
        }
        is_known = any(made.asked is first for made in self.made) or any(
            (event.kind, event.who) == ("step", first.trains) for event in self.events
        )
        judges = real or ({*reached} if is_known and not covered else set())
        found = [x for x in others if x.judge in reached and x.judge in judges and x not in covered]
        if found or covered or not set(reached) & {*self.players.optimizers[first.trains][1]}:
            return found
        return [first]

    def _judge(self, made: Made, loss: Loss, root: Tensor) -> str:
        """Return how a discriminator's loss that is written out differs from the one asked for."""
        network = self.players.networks[loss.judge]
        real, *fakes = (
            own_losses.Judgement(loss.judge, words, inputs, None, True)
            for words in loss.judged
            for inputs in self._images_of(words)
        )
        if not fakes or len(real.inputs[0]) < own_losses.LEAST:
            return ""
        seen = [x for x in self.judgements if x.network == loss.judge]
        made.value = own_losses.value_asked(network, real.inputs, fakes[-1].inputs)
        return own_losses.difference(root, network, real, fakes, seen)

    def _images_of(self, words: tuple[str, ...]) -> list[tuple[Tensor, ...]]:
        """Return the images of these names; several where one was made several times."""
        known = {f"`{name}`": [image] for name, image in self.images.items()}
        for name, output in self.outputs:
            if name in _IMAGES:
                known.setdefault(_IMAGES[name], []).append(output)
        return [
            tuple(image.detach() for image in images)
            for images in product(*(known.get(word, []) for word in words))
        ]

    def is_leak(self, loss: str, network: str) -> bool:
        """Return True if a discriminator's loss that is written out went back into a generator."""
        own = [made.own for made in self.made if made.own and made.name == loss]
        return (
            bool(own)
            and not is_first(own[0])
            and (network in self.players.optimizers[self.plan.losses[0].trains][1])
        )

    def not_detached(self, loss: str) -> str:
        """Return what is wrong then."""
        trains = next(x.trains for x in self.plan.losses if x.name == loss)
        first = self.plan.losses[0].trains
        of = f"{trains}'" if trains.endswith("s") else f"{trains}'s"
        return (
            f"The {of} loss goes back into the {first}, because the generated slices are not "
            "detached."
        )

    def _failed_again(self) -> None:
        """Note a backward pass that failed because there was one of the same loss before."""
        for name in self._touched:
            passes = sum(name in event.of for event in self.events)
            computed = sum(made.name == name for made in self.made)
            if passes and passes == computed:
                self.wrong_roots.append(f"`backward` is called a second time on {name}.")
            elif passes:
                self.wrong_roots.append(
                    f"{capitalised(name)} is computed twice from the same image, and the first "
                    "backward pass has freed the graph of that image."
                )

    def _was_differentiated(self, roots: list[Any], step: str) -> None:
        """Note a backward pass that goes through the end of one that was before."""
        nodes = {node for root in roots for node in own_losses.graph_of(root)}
        for maker in [name for node, name in self._spent if node in nodes][:1]:
            where = f", in `{maker}`. A loss only computes: call `backward` once, in the step."
            self.wrong_roots.append(
                "`backward` is called on a loss, or on a sum with it, that was differentiated "
                f"before{where if maker != step else '. Call it once.'}"
            )

    def _check_roots(self, roots: list[Any]) -> None:
        for root in roots:
            if not isinstance(root, Tensor):
                continue
            words = self.described(root)
            if root.numel() > 1:
                first = self.plan.losses[0].function
                order = (
                    f" `{first}` returns the loss first, then the generated T1 and the generated "
                    "T2."
                ) * (len(self.plan.losses) == 3)  # fmt: skip
                self.wrong_roots.append(f"`backward` is called on {words}, not on a loss.{order}")
            elif not root.requires_grad or root.is_leaf:
                same = [
                    m.name
                    for m in self.made
                    if m.has_graph and m.value is not None and is_number(m.value, root)
                ]
                if same:
                    self.wrong_roots.append(
                        f"{capitalised(same[0])} is cut off from its graph (detached) before "
                        "`backward` is called on it."
                    )

    def _check_addends(self, roots: list[Any]) -> None:
        """Note what is differentiated together with a loss and depends on weights, too."""
        losses = {made.node: made.name for made in self.made if made.asked and made.node}
        for root in roots:
            if isinstance(root, Tensor) and (nodes := own_losses.graph_of(root) & losses.keys()):
                rest = own_losses.graph_of(root, losses)
                names = own_losses.reached_by(rest, self.players.networks)
                what = " and ".join(sorted({losses[node] for node in nodes}))
                if names:
                    networks = " and ".join(f"the {name}" for name in names)
                    self.wrong_roots.append(
                        f"`backward` is called on more than {what}: something is added to it that "
                        f"depends on {networks}, too."
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


def _caller() -> str:
    """Return the name of the function that runs, the last one that is not PyTorch's or ours."""
    frame = inspect.currentframe()
    while frame and frame.f_globals.get("__name__", "").split(".")[0] in ("torch", "labhelpers"):
        frame = frame.f_back
    return frame.f_code.co_name if frame else ""


def _is_same(value: Tensor, other: Tensor) -> bool:
    """Return True if two tensors hold the same numbers, which may be rounded to float32."""
    value, other = value.detach(), other.detach()
    if (value.dtype, other.dtype) == (torch.float32, torch.float64):
        other = other.float()
    return value.shape == other.shape and torch.equal(value, other)


def _is_part(value: Tensor, whole: Tensor) -> bool:
    """Return True if some slices of a batch, one after the other, are a tensor, or one of them."""
    value = value[None] if value.ndim == whole.ndim - 1 == 3 else value
    n = len(value) if value.ndim == whole.ndim == 4 else 0
    places = range(len(whole) - n + 1) if 0 < n < len(whole) else ()
    return any(torch.equal(value, whole[place : place + n]) for place in places)


def _operation_on(value: Tensor, whole: Tensor) -> str:
    """Return the one operation that made a tensor of another one, "" if it was none or more."""
    made, before = value.grad_fn, whole.grad_fn
    if made is None or before is None or [node for node, _ in made.next_functions] != [before]:
        return ""
    return re.sub(r"Backward\d*$", "", made.name()).lower()


def _sum(contents: list[Content]) -> Content:
    total: Content = {}
    for content in contents:
        for name, factor in content.items():
            total[name] = total.get(name, 0.0) + factor
    return total


def is_first(loss: Loss) -> bool:
    """Return True for the loss that trains generators: it comes first."""
    return loss.trains.startswith("generator")


def is_number(value: Any, other: Tensor) -> bool:
    """Return True if a value returned is this number."""
    if isinstance(value, Tensor):
        if value.numel() != 1:
            return False
        value = float(value.detach())
    return isinstance(value, (int, float)) and abs(value - float(other)) <= 1e-6 * max(
        1e-3, abs(float(other))
    )
