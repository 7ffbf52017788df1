"""Probes of training loops: what a small generator went through, and the history beside it.

The generator keeps a diary of its calls. From it the probe knows which subjects were learnt from
and which were only measured, in which mode, with which losses, and how the weights moved. The
history that an answer returns is compared with this, so that whatever is sound is right: any way to
write the step, any betas of Adam, any way to take a mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, product
from numbers import Real
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from labhelpers.checks.cases import PROOF, Case, Log, Setting
from labhelpers.checks.probes.diary import BACKWARDS, TRAINING, VALIDATION, Call, Course
from labhelpers.checks.probes.steps import IN_TRAINING

__all__ = ["train_generator"]

_USUAL_BETAS = ((0.9, 0.999), (0.5, 0.999))  # for an Adam that is not PyTorch's
_USUAL_LIMITS = (0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0)  # of gradients that are clipped
_TOLERANCE = {torch.float64: 1e-5, torch.float32: 1e-4}  # of losses, relative to the largest
_MOVEMENT = 2e-3  # tolerance of a movement, relative to the learning rate
_FACTORS = {2: "", 0.5: "", 100: "", 64 * 64: ", the number of voxels of a slice"}  # of losses
_MOST_DIGITS = 6  # after the point, of a loss that is rounded
_FEWEST_DIGITS = 3  # by which one wrong way to take a loss is told from the others
_MOST_LISTED = 4
_NEVER_CALLED = "the generator is never called"
_NO_MORE_STEPS = "steps in the first epoch only"
_STEEP = 1_000.0  # the gain of a generator whose gradients are longer than is usually allowed
_RISING = 14  # epochs with a validation loss that rises: more than stopping early often waits for


def train_generator(answer: Any, setting: Setting) -> Iterator[Case]:
    """Train a small generator for three epochs of several batches, for two of one, and for one.

    In one of these the generator comes in evaluation mode. In one more case each epoch makes the
    validation loss worse: to stop, to take back weights or to slow down for that is nowhere asked
    for. In another one gradients are so long that to clip them shows.
    """
    few, many = setting.choose((5, 7), (4, 8))

    def act(
        log: Log,
        batch_size: int,
        num_epoch: int,
        lr: float,
        seed: int,
        setting: Setting = setting,
        training: bool = True,
    ) -> None:
        course = Course(setting, setting.seed(seed), few if batch_size > many else many)
        course.network.train(training)
        returned = course.run(answer, batch_size, num_epoch, lr)
        story = _Story(course, lr, num_epoch)
        story.log(log, training)
        _log_history(returned, story, log)
        if batch_size > many and story.epochs:  # here no choice of the answer has changed anything
            first = story.epochs[0][0]
            log(f"{PROOF}errors", course.calls[first].errors.sort().values)
            log(f"{PROOF}weights", story.after[first])

    def rising(log: Log) -> None:
        course = Course(setting, setting.seed(90), few, rises=True)
        try:
            course.run(answer, 40, _RISING, lr / 4)
        finally:
            _Story(course, lr / 4, _RISING).log_end(log)

    def steep(log: Log) -> None:
        course = Course(setting, setting.seed(100), many, gain=_STEEP)
        course.run(answer, 3, 3, lr / 2)
        _Story(course, lr / 2, 3).log_updates(log, "whole-gradients")

    lr = setting.choose(0.02, 0.015)
    once, twice, several = (
        partial(act, batch_size=size, num_epoch=n, lr=rate, seed=seed)
        for size, n, rate, seed in ((40, 1, lr, 60), (40, 2, lr / 4, 70), (3, 3, lr / 2, 80))
    )
    # The one that shows most comes first: a report quotes the first case that fails.
    yield Case(f"3 epochs, {-(-many // 3)} batches each, the last one smaller", several)
    # With slices of the lab's own type: code that makes others of them fails there, too.
    yield Case(
        "2 epochs, 1 batch each, 32-bit numbers, a generator that comes in evaluation mode",
        partial(twice, setting=replace(setting, dtype=torch.float32), training=False),
    )
    yield Case("1 epoch, 1 batch", once)
    yield Case(f"{_RISING} epochs, 1 batch each, with a validation loss that rises", rising)
    yield Case(f"3 epochs, {-(-many // 3)} batches each, with long gradients", steep)


# --- What happened -------------------------------------------------------------------------------


@dataclass
class _Story:
    """What the diary of a training tells.

    Attributes:
        course: The training.
        lr: Its learning rate.
        num_epoch: How many epochs it was to have.
        after: The weights after each call.
        epochs: The calls by which the training subjects were learnt from, epoch by epoch.
        rounds: The calls by which the validation subjects were measured, round by round.
        again: The calls by which training subjects were shown and not learnt from, likewise.
        restored: The call at which the network had the weights that it was given back after the
            last call, None if that did not happen.
    """

    course: Course
    lr: float
    num_epoch: int
    after: list[Tensor] = field(init=False)
    epochs: list[list[int]] = field(init=False)
    rounds: list[list[int]] = field(init=False)
    again: list[list[int]] = field(init=False)
    restored: int | None = field(init=False)

    def __post_init__(self) -> None:
        calls = self.course.calls
        end = self.course.last.weights()
        self.restored = _place_of(end, [call.weights for call in calls])
        if self.restored is not None:  # that is no step of the last call
            end = calls[-1].weights
        self.after = [call.weights for call in calls[1:]] + [end]
        shown, measured = (
            [i for i, call in enumerate(calls) if call.part == part]
            for part in (TRAINING, VALIDATION)
        )
        learnt = [i for i in shown if self.moved(i)] or [i for i in shown if calls[i].graph]
        self.epochs = self._in_epochs(learnt)
        if not self.epochs:  # who is learnt from in place of the training subjects, is not measured
            measured = [i for i in measured if not self.moved(i)]
        steps = [i for i, call in enumerate(calls) if call.part != VALIDATION and self.moved(i)]
        self.rounds = _in_rounds(measured, steps or learnt)
        self.again = _in_rounds([i for i in shown if i not in learnt], learnt)
        if (
            self.epochs
            and len(self.rounds) == len(self.epochs) + 1
            and self._is_after(self.rounds[1:])
        ):
            del self.rounds[0]  # a look at the generator before it has learnt anything

    def _in_epochs(self, learnt: list[int]) -> list[list[int]]:
        """Begin an epoch with each pass over the loader, and where a subject comes again."""
        epochs: list[list[int]] = []
        seen: set[int] = set()
        before: Call | None = None
        for i in learnt:
            call = self.course.calls[i]
            again = before is not None and call.subjects == before.subjects  # the same batch twice
            comes_again = not again and not seen.isdisjoint(call.subjects)
            if before is None or comes_again or call.number > before.number:
                epochs.append([])
                seen = set()
            epochs[-1].append(i)
            seen.update(call.subjects)
            before = call
        return epochs

    def rounds_without_steps(self) -> list[list[int]]:
        """Return a round for each epoch asked for where only the first one has steps.

        Nothing is returned if there are other rounds, or more than one pass over the loader.
        """
        if not (self.course.passes == len(self.epochs) == 1 < self.num_epoch):
            return []
        after = [i for part in self.rounds for i in part if i > self.epochs[0][-1]]
        length = len(after) // self.num_epoch
        rounds = [after[k * length : (k + 1) * length] for k in range(self.num_epoch)]
        everyone = list(range(len(self.course.sets[VALIDATION])))
        shown = [sorted(s for i in part for s in self.course.calls[i].subjects) for part in rounds]
        is_whole = len(after) == length * self.num_epoch
        return rounds if is_whole and all(part == everyone for part in shown) else []

    def movement(self, i: int) -> Tensor:
        """Return how far the weights moved after a call."""
        return self.after[i] - self.course.calls[i].weights

    def moved(self, i: int) -> bool:
        """Return True if the weights moved after a call."""
        return bool(self.movement(i).abs().max() > 0)

    def _is_back(self, i: int) -> bool:
        """Return True if the weights moved after a call to where they had been before."""
        before = [call.weights for call in self.course.calls[:i]]
        return self.moved(i) and any(torch.equal(self.after[i], weights) for weights in before)

    def log(self, log: Log, training: bool) -> None:
        """Log in words what happened to a network that came in training mode, or not."""
        calls = self.course.calls
        log("steps", self._steps())
        if self.epochs:
            modes = [{calls[i].training for i in epoch} for epoch in self.epochs]
            mode = _mode_of_steps(modes)
            depends = mode != IN_TRAINING and not training
            log("training-mode", mode + ", if it comes in evaluation mode" * depends)
            if self.log_updates(log, "updates"):
                log("in-place", self._in_place())
            log("validation", self._validation())
            if self.rounds:
                log("order", self._order())
        if self.rounds:
            validated = [calls[i] for part in self.rounds for i in part]
            log("evaluation-mode", _mode({call.training for call in validated}))
            graphs = {call.graph for call in validated}
            log("no-gradients", _one_of(graphs, "with gradients", "without gradients"))
            learnt = {self.moved(i) and not self._is_back(i) for part in self.rounds for i in part}
            log("not-learnt", _one_of(learnt, "the weights move", "the weights stay as they are"))

    def log_end(self, log: Log) -> None:
        """Log in words how a training ended, and whether its steps stayed the same."""
        n_epochs = len(self.epochs)
        is_all = n_epochs == self.num_epoch
        log("to-the-end", "all epochs" if is_all else f"{n_epochs} of {self.num_epoch} epochs")
        if n_epochs:
            log("last-weights", self._last_weights())
        self.log_updates(log, "updates")

    def log_updates(self, log: Log, item: str) -> bool:
        """Log in words how the weights moved, and return whether they did."""
        has_moved = any(map(self.moved, chain(*self.epochs)))
        if has_moved:
            log(item, self._updates())
        return has_moved

    def _steps(self) -> str:
        if not self.course.calls:
            return _NEVER_CALLED
        if not self.epochs:
            parts = {call.part for call in self.course.calls}
            if BACKWARDS[TRAINING] in parts:
                return "the generator is shown T2-w slices"
            if not parts <= {*self.course.sets, *BACKWARDS.values()}:
                return "the generator is shown slices that no loader gives as they are"
            if not any(map(self.moved, range(len(self.course.calls)))):
                return "no training subjects"
            others = ", training subjects are measured" if self.again else ""
            return f"validation subjects are learnt from{others}"
        if self.rounds_without_steps():
            return _NO_MORE_STEPS
        n_subjects = len(self.course.sets[TRAINING])
        steps = [sum(map(self.moved, epoch)) for epoch in self.epochs]
        shown = [[s for i in epoch for s in self.course.calls[i].subjects] for epoch in self.epochs]
        who = _who(shown, n_subjects, "training")
        n_learnt, n_batches = (sum(map(len, parts)) for parts in (self.epochs, self.batches()))
        if n_batches > n_learnt and any(steps):
            who = f"after {n_learnt} of {n_batches} batches"
        text = f"{_count(len(steps), 'epoch')}, {_count_of_each(steps, 'step')}, {who}"
        if not any(steps) and self.course.makers:
            text += "; the optimizer makes steps, with gradients that are zero or missing"
        orders = set(map(tuple, shown))
        repeats = n_subjects > 1 and len(shown) > 1 and len(orders) == 1
        return f"{text}, always in the same order" if repeats else text

    def batches(self) -> list[list[int]]:
        """Return the calls of each epoch by which training subjects were learnt from, or might be.

        Where not all of them were learnt from, these are also calls with gradients that no step
        follows.
        """
        calls, n_subjects = self.course.calls, len(self.course.sets[TRAINING])
        learnt = [i for epoch in self.epochs for i in epoch]
        if len({s for i in learnt for s in calls[i].subjects}) == n_subjects * len(self.epochs):
            return self.epochs
        return [
            [i for i, call in enumerate(calls)
             if i in epoch
             or (call.part == TRAINING and call.graph and call.number == calls[epoch[0]].number)]
            for epoch in self.epochs
        ]  # fmt: skip

    def _in_place(self) -> str:
        is_same = torch.equal(self.course.network.weights(), self.course.start)
        return "it has not changed" if is_same else "it has learnt"

    def _last_weights(self) -> str:
        if self.restored is None:
            return "those of its last step"
        done = sum(epoch[-1] < self.restored for epoch in self.epochs)
        if torch.equal(self.course.calls[self.restored].weights, self.course.start):
            return "those that it had at the start"
        if not done:
            return "those that it had in the first epoch"
        if len(self.rounds) == len(self.epochs):
            calls = self.course.calls
            losses = [torch.cat([calls[i].errors for i in part]).mean() for part in self.rounds]
            if losses[done - 1] == min(losses):
                return f"those of the epoch with the lowest validation loss, here epoch {done}"
        return f"those that it had after epoch {done}"

    def _validation(self) -> str:
        if not self.rounds:
            parts = {call.part for call in self.course.calls if not call.graph}
            if BACKWARDS[VALIDATION] in parts:
                return "the generator is shown their T2-w slices"
            if not parts <= set(self.course.sets):
                return "the generator is shown slices that no loader gives as they are"
            return "training subjects are measured instead" if parts else "never measured"
        n_subjects = len(self.course.sets[VALIDATION])
        shown, in_epochs = (
            [sorted({s for i in part for s in self.course.calls[i].subjects}) for part in parts]
            for parts in (self.rounds, self.measured_in_epochs())
        )
        who = _who(shown, n_subjects, VALIDATION)
        often = f"{_count(len(shown), 'time')} in {_count(len(self.epochs), 'epoch')}"
        if len(shown) == len(self.epochs):
            often = "once in each epoch"
        elif len(shown) == sum(map(len, self.epochs)):
            often = "with every step"
            if all(len(part) < n_subjects for part in shown):
                who = f"{_who(in_epochs, n_subjects, VALIDATION)}, a part of them"
        return f"{who}{', ' if often[0] != 'w' else ' '}{often}"

    def _order(self) -> str:
        if self._is_after(self.rounds):
            return "after the steps of each epoch"
        if any(e[0] < i < e[-1] for e in self.epochs for part in self.rounds for i in part):
            return "between the steps of an epoch"
        if all(part[0] < epoch[0] for part, epoch in zip(self.rounds, self.epochs, strict=False)):
            return "before the steps of each epoch"
        return "after some of the epochs"

    def _is_after(self, rounds: list[list[int]]) -> bool:
        if not rounds or len(rounds) != len(self.epochs):
            return False
        ends = [epoch[0] for epoch in self.epochs[1:]] + [len(self.course.calls)]
        return all(
            epoch[-1] < part[0] and part[-1] < end
            for epoch, part, end in zip(self.epochs, rounds, ends, strict=True)
        )

    def measured(self) -> list[list[int]]:
        """Return the calls that the validation loss of each epoch is made of.

        They are the round after the steps of the epoch. If no subject is measured twice in an
        epoch, they are all rounds of it; if an epoch has none, all rounds one by one.
        """
        if rounds := self.rounds_without_steps():
            return rounds
        calls = self.course.calls
        whole = self.measured_in_epochs()
        shown = [[s for i in part for s in calls[i].subjects] for part in whole]
        if len(self.rounds) > len(whole) and all(len(x) == len(set(x)) > 0 for x in shown):
            return whole
        ends = [epoch[0] for epoch in self.epochs[1:]] + [len(calls)]
        found = [
            next((part for part in self.rounds if epoch[-1] < part[0] and part[-1] < end), None)
            for epoch, end in zip(self.epochs, ends, strict=True)
        ]
        return [part for part in found if part] if all(found) else self.rounds

    def measured_in_epochs(self) -> list[list[int]]:
        """Return all calls of each epoch by which validation subjects were measured."""
        calls = self.course.calls
        numbers = [calls[epoch[0]].number for epoch in self.epochs]
        measured = [i for part in self.rounds for i in part]
        return [[i for i in measured if calls[i].number == number] for number in numbers]

    def measured_after_steps(self) -> list[list[int]]:
        """Return the calls of each epoch that show a batch again right after its step.

        Nothing is returned if that is not done after all steps.
        """
        calls = self.course.calls
        again = set(chain(*self.again))
        after = [
            [i + 1 for i in epoch if i + 1 in again and calls[i + 1].subjects == calls[i].subjects]
            for epoch in self.epochs
        ]
        return after if list(map(len, after)) == list(map(len, self.epochs)) else []

    # How the weights moved

    def _updates(self) -> str:
        steps = [i for i in range(len(self.course.calls)) if self.moved(i)]
        if not steps:
            return "no weight moves"
        moved = torch.stack([self.movement(i) for i in steps]).double()
        if not moved.isfinite().all():
            return "the weights are no longer numbers"
        for k, i in enumerate(steps):
            if self._is_back(i):
                return f"back to where they were before, after step {k}"
        ways = self._ways_of_steps(steps, lr_seen=float(moved[0].abs().max()))
        first = next(ways)  # the others are worked out only where the steps are not right
        for words, way in chain([first], ways):
            size = max(float(way.abs().max()), 1e-12)
            if bool(((moved - way).abs() <= _MOVEMENT * size).all()):
                return words
        right = first[1]
        away = (moved - right).abs().amax(dim=1) > _MOVEMENT * float(right.abs().max())
        k = int(away.nonzero()[0])
        # How many times the right length each step has, if it has the right direction.
        factors = (moved * right).sum(dim=1) / right.square().sum(dim=1).clamp(min=1e-24)
        if ((moved - factors[:, None] * right).abs().amax(dim=1) <= _MOVEMENT * self.lr).all() and (
            factors > 0
        ).all():
            return f"as Adam does, with another learning rate from step {k + 1} on"
        return f"in another way, from step {k + 1} on"

    def _ways_of_steps(self, steps: list[int], lr_seen: float) -> Iterator[tuple[str, Tensor]]:
        """Yield ways to make steps, in words and as movements: the right one, then slips.

        Args:
            steps: The calls after which the weights moved.
            lr_seen: How far the first step moved; Adam moves by its learning rate then.
        """
        errors = {"": nn.L1Loss(), "with the squared error": nn.MSELoss()}
        gradients = {
            words: torch.stack([self._gradient(i, criterion) for i in steps])
            for words, criterion in errors.items()
        }
        sizes = torch.tensor([len(self.course.calls[i].subjects) for i in steps])
        lengths = gradients[""].norm(dim=1, keepdim=True).clamp(min=1e-12)
        batches = sorted(i for epoch in self.batches() for i in epoch)
        if len(batches) > len(steps):
            since = [
                [i for i in batches if before < i <= step]
                for before, step in zip([-1, *steps], steps, strict=False)
            ]
            gradients["with the gradients of all batches since the step before added"] = (
                torch.stack([
                    torch.stack([self._gradient(i, nn.L1Loss()) for i in part]).sum(dim=0)
                    for part in since
                ])
            )  # fmt: skip
        gradients["with gradients that are cut to one length"] = gradients[""] / lengths
        gradients["with errors that are summed over the batch"] = gradients[""] * sizes[:, None]
        first = {epoch[0] for epoch in self.epochs}
        number = torch.tensor([i in first for i in steps]).cumsum(dim=0)  # of the epoch
        earlier = torch.ones(len(steps), len(steps)).tril()
        sums = {
            "": torch.eye(len(steps)),
            "with gradients of earlier batches added": earlier,
            "with gradients of earlier batches of the epoch added": earlier
            * (number[:, None] == number[None]),
        }
        rates = {"": self.lr, f"with the learning rate {lr_seen:.3g}": lr_seen}
        lives = {
            "": None,
            "if it is made anew in every epoch": [i in first for i in steps],
            "if it is made anew in every step": [True] * len(steps),
        }
        if len(self.course.makers) == 1:
            lives = {"": None}  # it was seen to be the same all the time
        combined = list(product(gradients, sums, rates, lives))
        for options in self._options():
            for slips in sorted(combined, key=lambda slips: sum(map(bool, slips))):
                error, added, rate, life = slips
                gradient = sums[added].to(gradients[error].dtype) @ gradients[error]
                words = ", ".join(filter(None, slips)) or "with the gradient of each batch"
                way = _adam(list(gradient), rates[rate], lives[life], **options)
                yield f"as Adam does {words}", way
            plain = _adam(list(gradients[""]), self.lr, **options)
            decay = 0.01 * self.lr * torch.stack([self.course.calls[i].weights for i in steps])
            yield "as Adam does uphill", -plain
            yield "as Adam does with weight decay", plain - decay
            signs = _adam(list(gradients[""].sign()), self.lr, **options)
            yield "as Adam does with gradients whose values are all cut to one size", signs
            for limit in _USUAL_LIMITS:  # which of them shows where not all is cut
                shorter = gradients[""] * (limit / (lengths + 1e-6)).clamp(max=1)  # as PyTorch does
                values = gradients[""].clamp(-limit, limit)
                for words, cut in (("that are", shorter), ("whose values are", values)):
                    way = _adam(list(cut), self.lr, **options)
                    yield f"as Adam does with gradients {words} cut to {limit:g}", way
        yield "as gradient descent does, without Adam", -self.lr * gradients[""]

    def _options(self) -> list[dict[str, Any]]:
        seen = [options for options in self.course.optimizers if "betas" in options]
        return [*seen[:1], *({"betas": betas} for betas in _USUAL_BETAS)]

    def _gradient(self, i: int, criterion: nn.Module) -> Tensor:
        """Return the gradient of a call's loss, `nan` where its subjects are unknown."""
        call = self.course.calls[i]
        if call.part not in self.course.sets:
            return torch.full_like(call.weights, torch.nan).double()
        network = self.course.spare.train(call.training)
        start = 0
        with torch.no_grad():
            for weight in network.parameters():
                weight.copy_(call.weights[start : start + weight.numel()].view_as(weight))
                start += weight.numel()
        data = self.course.sets[call.part]
        error = criterion(network.image_of(data.t1[call.subjects]), data.t2[call.subjects])
        found = torch.autograd.grad(error, list(network.parameters()))
        return torch.cat([part.flatten() for part in found]).double()


def _adam(
    gradients: Sequence[Tensor],
    lr: float,
    anew: Sequence[bool] | None = None,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    amsgrad: bool = False,
) -> Tensor:
    """Return how Adam (Kingma and Ba, 2015) moves the weights, step by step.

    Args:
        gradients: The gradient of each step.
        lr: Learning rate.
        anew: Whether the optimizer is a new one at each step; never without.
        betas: Decays of the running means.
        eps: What is added to the root.
        amsgrad: Whether the largest second moment so far is taken.
    """
    first, second = betas
    movements = []
    for k, gradient in enumerate(gradients):
        if k == 0 or (anew and anew[k]):
            mean = square = largest = torch.zeros_like(gradient)
            n = 0
        n += 1
        mean = first * mean + (1 - first) * gradient
        square = second * square + (1 - second) * gradient**2
        largest = torch.maximum(largest, square)
        root = ((largest if amsgrad else square) / (1 - second**n)).sqrt() + eps
        movements.append(-lr * mean / (1 - first**n) / root)
    return torch.stack(movements)


# --- The history beside it -----------------------------------------------------------------------


def _place_of(weights: Tensor, seen: Sequence[Tensor]) -> int | None:
    """Return the last place at which weights were seen before others, None if there is none."""
    if not seen or torch.equal(weights, seen[-1]):
        return None
    places = [i for i, one in enumerate(seen) if torch.equal(weights, one)]
    return places[-1] if places else None


def _in_rounds(measured: Iterable[int], learnt: Sequence[int]) -> list[list[int]]:
    """Put calls together between which nothing was learnt."""
    rounds: dict[int, list[int]] = {}
    for i in measured:
        rounds.setdefault(sum(j < i for j in learnt), []).append(i)
    return list(rounds.values())


def _log_history(returned: Any, story: _Story, log: Log) -> None:
    """Log whether what an answer returned is the history of what the generator went through."""
    table = _table_of(returned)
    n_epochs = len(story.epochs)
    if table is None or not table.empty or n_epochs:
        log("layout", _layout(returned))
    if table is None or table.empty or not n_epochs:
        return
    count = f"{_count(len(table), 'row')} for {_count(n_epochs, 'epoch')}"
    if len(table) in (n_epochs, len(story.rounds_without_steps())):
        count = "one for each epoch"
    log("rows", f"{count}, {_counted(list(table.index))}")
    cells = [cell for column in table.columns for cell in table[column]]
    log("plain-numbers", _kind_of(cells))
    if table.shape[1] < 2:
        return
    tolerance, calls = _TOLERANCE[story.course.setting.dtype], story.course.calls
    learnt, measured, again = (
        _ways(calls, parts) for parts in (story.batches(), story.measured(), story.again)
    )
    mean = next(iter(learnt))
    whole = story.measured_in_epochs()
    if all(whole):
        measured["a mean over all times that they were measured in the epoch"] = _ways(
            calls, whole
        )[mean]
    learnt["a loss that is measured after the epoch"] = again[mean]
    after_steps = story.measured_after_steps()
    if after_steps:
        ways = _ways(calls, after_steps)
        learnt |= {f"{words}, measured again after each step": way for words, way in ways.items()}
    if len(story.epochs) == len(story.rounds):
        both = [part for pair in zip(story.epochs, story.rounds, strict=True) for part in pair]
        so_far = _ways(calls, both)["a mean over all epochs so far"]
        learnt["a mean over both sets so far"] = so_far[::2]
        measured["a mean over both sets so far"] = so_far[1::2]
    epochs, rounds = story.batches(), story.measured()
    if len(epochs) == len(rounds) and all([*epochs, *rounds]):
        sizes = {
            "subjects": [[sum(len(calls[i].errors) for i in part) for part in parts]
                         for parts in (epochs, rounds)],
            "batches": [[*map(len, parts)] for parts in (epochs, rounds)],
        }  # fmt: skip
        turned = {noun: pair[::-1] for noun, pair in sizes.items()}
        mixed = _mixed(learnt, measured, (TRAINING, VALIDATION), sizes)
        measured |= _mixed(measured, learnt, (VALIDATION, TRAINING), turned)
        learnt |= mixed
    parts = {"training-loss": (0, learnt, measured, VALIDATION),
             "validation-loss": (1, measured, learnt, TRAINING)}  # fmt: skip
    first = []
    for item, (column, own, others, other) in parts.items():
        values = [_number(cell) for cell in table.iloc[:, column]]
        own = own | {f"the {other} loss": others[mean]}
        if not any(own[mean]):
            continue
        n_rows = len(own[mean]) if story.rounds_without_steps() else n_epochs
        if abs(len(values) - n_rows) <= 1 or len(values) == 1:  # else the rows are told
            log(item, _way_of(values, own, tolerance))
        if story.epochs and len(story.epochs[0]) == 1:
            log(f"{PROOF}{item}", values[0])
            first.append(values[0])
    if len(first) == 2:  # after one step these depend on no choice of the answer
        log("first-losses", torch.tensor(first, dtype=torch.float64))


def _number(cell: Any) -> float:
    try:
        return float(cell.detach() if isinstance(cell, Tensor) else cell)
    except (TypeError, ValueError, RuntimeError):
        return float("nan")


def _table_of(returned: Any) -> pd.DataFrame | None:
    """Return a history as a table with the epoch as index, None if it is none.

    What is no DataFrame is read as well, so that its losses can be judged: a list of dictionaries
    or pairs, or a dictionary of lists, is counted from 1.
    """
    if isinstance(returned, (list, tuple)):
        frames = [part for part in returned if isinstance(part, pd.DataFrame)]
        returned = frames[0] if len(frames) == 1 else returned
    if isinstance(returned, pd.DataFrame):
        table = returned.copy()
    elif isinstance(returned, (list, tuple, Mapping)) and len(returned) > 0:
        try:
            table = pd.DataFrame(returned)
        except (ValueError, TypeError):
            return None
        table.index = pd.RangeIndex(1, len(table) + 1)
        if list(table.columns) == [0, 1]:
            table.columns = pd.Index([TRAINING, VALIDATION])
        if list(table.columns) == [0, 1, 2]:
            table.columns = pd.Index(["epoch", TRAINING, VALIDATION])
    else:
        return None
    if "epoch" in table.columns:
        table.index = pd.Index([_number(epoch) for epoch in table.pop("epoch")])
    names = [name for name in (TRAINING, VALIDATION) if name in table.columns]
    return table[names] if len(names) == 2 else table


def _ways(calls: Sequence[Call], parts: Iterable[Sequence[int]]) -> dict[str, list[float]]:
    """Return the loss of each epoch, taken in several ways, the right one first."""
    epochs = [[calls[i] for i in part] for part in parts]
    ways = _ways_of_errors([[call.errors for call in epoch] for epoch in epochs])
    squared = _ways_of_errors([[call.squares for call in epoch] for epoch in epochs])
    rooted = _ways_of_errors(
        [[x.squares.mean().sqrt().expand_as(x.squares) for x in epoch] for epoch in epochs]
    )
    each = _ways_of_errors([[x.squares.sqrt() for x in epoch] for epoch in epochs])
    from_t1 = _ways_of_errors([[x.from_t1 for x in epoch] for epoch in epochs])
    ways |= {f"{words}, of the squared error": way for words, way in squared.items()}
    ways |= {f"{words}, of the root of the squared error": x for words, x in rooted.items()}
    return (
        ways
        | {f"{words}, of the root of each subject's squared error": x for words, x in each.items()}
        | {f"from differences from T1-w, not T2-w: {words}": x for words, x in from_t1.items()}
    )


def _mixed(
    ways: Mapping[str, list[float]],
    others: Mapping[str, list[float]],
    sets: tuple[str, str],
    counts: Mapping[str, Sequence[Sequence[int]]],
) -> dict[str, list[float]]:
    """Return the loss of each epoch, taken with sums and sizes of both sets.

    Args:
        ways: The loss in several ways, over one set.
        others: Likewise over the other one.
        sets: The names of both.
        counts: The sizes of both in each epoch, by what is counted.
    """
    own, other = sets
    mixed: dict[str, list[float]] = {}
    for noun, sizes in counts.items():
        total = f"the sum over the {noun}"
        epochs = [*zip(ways[total], others[total], *sizes, strict=True)]
        mixed |= {
            f"{total}, divided by the number of {other} {noun}": [x / m for x, _, _, m in epochs],
            f"the mean over the {noun} of both sets": [(x + y) / (n + m) for x, y, n, m in epochs],
            f"{total}, divided by the number of {noun} of both sets": [
                x / (n + m) for x, _, n, m in epochs
            ],
            f"{total} of both sets, divided by the number of {own} {noun}": [
                (x + y) / n for x, y, n, _ in epochs
            ],
        }
    return mixed


def _ways_of_errors(epochs: Sequence[Sequence[Tensor]]) -> dict[str, list[float]]:
    """Return the loss of each epoch, from the errors of the subjects in each of its batches."""
    sizes = torch.tensor([float(sum(map(len, epoch))) for epoch in epochs])
    means = [torch.stack([batch.mean() for batch in epoch]) for epoch in epochs]
    batch_sums = torch.tensor([float(epoch.sum()) for epoch in means])
    subjects = [torch.cat(list(epoch)) for epoch in epochs]
    sums = torch.tensor([float(errors.sum()) for errors in subjects])
    n_batches = torch.tensor([float(len(epoch)) for epoch in means])
    largest = torch.tensor([float(max(map(len, epoch))) for epoch in epochs])
    ways = {
        "the mean over the subjects": sums / sizes,
        "the mean of the means of the batches": batch_sums / n_batches,
        "the loss of the last batch": torch.tensor([float(epoch[-1]) for epoch in means]),
        "the loss of the first batch": torch.tensor([float(epoch[0]) for epoch in means]),
        "the largest loss of a batch": torch.tensor([float(max(epoch)) for epoch in means]),
        "the smallest loss of a batch": torch.tensor([float(min(epoch)) for epoch in means]),
        "the median over the subjects": torch.tensor([float(x.quantile(0.5)) for x in subjects]),
        "the median of the losses of the batches": torch.tensor(
            [float(x.quantile(0.5)) for x in means]
        ),
        "the sum over the batches": batch_sums,
        "the sum over the subjects": sums,
        "the sum over the batches, divided by the number of subjects": batch_sums / sizes,
        "the mean over the subjects with each batch counted as a full one": batch_sums
        * largest
        / sizes,
        "the sum over the subjects, divided by the number of batches": sums / n_batches,
        "the sum over the subjects, divided by as many as full batches would hold": sums
        / (n_batches * largest),
        "a sum that goes on from epoch to epoch": sums.cumsum(0) / sizes,
        "a mean over all epochs so far": sums.cumsum(0) / sizes.cumsum(0),
    }
    if all(len(epoch) > 1 for epoch in epochs):
        rest = torch.tensor([float(torch.cat(list(epoch[:-1])).mean()) for epoch in epochs])
        ways["the mean over the subjects without the last batch"] = rest
    return {words: way.tolist() for words, way in ways.items()}


def _way_of(values: list[float], ways: Mapping[str, list[float]], tolerance: float) -> str:
    """Return in which way the losses of a history were taken.

    How many rows there are is the matter of another item: one more than there were epochs, or the
    last ones alone, will do here.
    """
    (mean, right), *_ = ways.items()
    digits = _digits(values, right)
    if digits:
        return f"{mean}, rounded to {_count(digits, 'decimal')}"
    for words, way in ways.items():
        for seen in (values, values[1:], values[:-1]):
            wanted = way[-len(seen) :] if seen is values else way
            if seen and len(seen) == len(wanted) and _close(seen, wanted, tolerance):
                return words
    for factor, why in _FACTORS.items():
        for words, way in ways.items():
            if len(values) == len(way) and _close(values, [x * factor for x in way], tolerance):
                return f"{words}, times {factor:g}{why}"
    for words, way in ways.items():
        if (digits := _digits(values, way)) >= _FEWEST_DIGITS:
            return f"{words}, rounded to {digits} decimals"
    if any(value != value for value in values):
        return "no number"
    digits = next(n for n in (3, 5, 7, 17) if _listed(values, n) != _listed(right, n) or n == 17)
    return f"{_listed(values, digits)}, where {mean} is {_listed(right, digits)}"


def _digits(values: Sequence[float], losses: Sequence[float]) -> int:
    """Return to how many digits losses are rounded in a history, 0 if its values are not that."""
    for digits in range(1, _MOST_DIGITS + 1) if len(values) == len(losses) else ():
        if all(
            value and value == round(value, digits) and abs(value - loss) < 0.6 * 10.0**-digits
            for value, loss in zip(values, losses, strict=True)
        ):
            return digits
    return 0


def _close(values: Sequence[float], expected: Sequence[float], tolerance: float) -> bool:
    scale = max(map(abs, expected))
    return all(abs(x - y) <= tolerance * scale for x, y in zip(values, expected, strict=True))


# --- In words ------------------------------------------------------------------------------------


def _layout(returned: Any) -> str:
    """Return in words what was returned in place of a history, or as one."""
    if isinstance(returned, pd.DataFrame):
        columns = [str(column) for column in returned.columns]
        if sorted(columns) == [TRAINING, VALIDATION]:
            columns = [TRAINING, VALIDATION]  # in any order
        return f"a DataFrame with the {_named('column', columns)}"
    if returned is None:
        return "nothing (None)"
    if isinstance(returned, nn.Module):
        return "a network"
    if isinstance(returned, Mapping):
        return f"a dictionary with the {_named('key', [str(key) for key in returned])}"
    if isinstance(returned, (list, tuple)):
        kinds = list(dict.fromkeys(map(_kind, returned)))
        return f"a {type(returned).__name__} of {' and '.join(kinds) or 'nothing'}"
    return f"an object of the type {type(returned).__name__}"


def _kind(value: Any) -> str:
    """Return the kind of a value, in the plural."""
    if isinstance(value, Tensor) and value.numel() != 1:
        return "tensors of several numbers each"
    if isinstance(value, Tensor):
        return "tensors that hang on a graph" if value.requires_grad else "tensors"
    kinds = {
        (bool,): "truth values", (Real,): "numbers", (str,): "texts", (Mapping,): "dictionaries",
        (list, tuple): "lists", (pd.DataFrame,): "DataFrames", (nn.Module,): "networks",
    }  # fmt: skip
    found = (words for types, words in kinds.items() if isinstance(value, types))
    return next(found, f"objects of the type {type(value).__name__}")


def _kind_of(cells: Iterable[Any]) -> str:
    """Return what the cells of a table are, the first kind that is not a number if there is one."""
    kinds = list(map(_kind, cells))
    return next((kind for kind in kinds if kind != "numbers"), "numbers")


def _named(noun: str, names: Sequence[str]) -> str:
    *most, last = [name[:30] for name in names[:6]] or ["(none)"]
    return f"{noun}{'s' if most else ''} {', '.join(most)}{' and ' * bool(most)}{last}"


def _counted(index: list[Any]) -> str:
    """Return in words how the rows of a table are counted."""
    first = index[0]
    if isinstance(first, Real) and index == [first + k for k in range(len(index))]:
        return f"counted from {first:g}"
    return f"with the index {', '.join(map(str, index[:5]))}"


def _listed(numbers: Sequence[float], digits: int) -> str:
    more = [", …"] if len(numbers) > _MOST_LISTED else []
    return ", ".join(f"{number:.{digits}g}" for number in numbers[:_MOST_LISTED]) + "".join(more)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _count_of_each(counts: Sequence[int], noun: str) -> str:
    if len(set(counts)) == 1:
        return f"{_count(counts[0], noun)} in each"
    return f"{', '.join(map(str, counts))} {noun}s"


def _who(shown: Sequence[Sequence[int]], n_subjects: int, name: str) -> str:
    """Return in words which subjects of a set were shown, time after time."""
    if any(len(set(part)) < len(part) for part in shown):
        return f"some {name} subjects more than once"
    if all(len(part) == n_subjects for part in shown):
        return f"all {name} subjects"
    return f"{', '.join(str(len(part)) for part in shown)} of {n_subjects} {name} subjects"


def _mode(seen: set[bool]) -> str:
    return _one_of(seen, IN_TRAINING, "in evaluation mode")


def _mode_of_steps(modes: Sequence[set[bool]]) -> str:
    everything = set().union(*modes)
    if len(everything) == 2 and modes[0] == {True}:
        return "in training mode at first, in evaluation mode later"
    if len(everything) == 2 and modes[0] == {False}:
        return "in evaluation mode at first, in training mode later"
    return _mode(everything)


def _one_of(seen: set[bool], yes: str, no: str) -> str:
    if not seen:
        return "never"
    return f"sometimes {yes}" if len(seen) == 2 else yes if True in seen else no
