"""Probes of training loops: what a small generator went through, and the history beside it.

The generator keeps a diary of its calls. From it the probe knows which subjects were learnt from
and which were only measured, in which mode, with which losses, and how the weights moved. The
history that an answer returns is compared with this, so that whatever is sound is right: any way to
write the step, any betas of Adam, any way to take a mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.data import DataLoader, Dataset, Sampler

from labhelpers.checks.cases import PROOF, Case, Log, Setting
from labhelpers.checks.fingerprint import fill, hashed
from labhelpers.checks.fixtures import make_dataset

__all__ = ["train_generator"]

_TRAINING, _VALIDATION = "training", "validation"
_BACKWARDS, _UNKNOWN = "T2-w", "other"
_MOST_CALLS = 2_000  # of the generator; more of them end a loop that never ends
_USUAL_BETAS = ((0.9, 0.999), (0.5, 0.999))  # for an Adam that is not PyTorch's
_TOLERANCE = {torch.float64: 1e-4, torch.float32: 1e-3}  # of losses, relative to the largest
_MOVEMENT = 2e-3  # tolerance of a movement, relative to the learning rate
_SOMETHING_ELSE = "something else"
_NEVER_CALLED = "the generator is never called"


def train_generator(answer: Any, setting: Setting) -> Iterator[Case]:
    """Train a small generator for one epoch of one batch, for two, and for three of several."""
    few, many = setting.choose((5, 7), (4, 8))

    def act(log: Log, batch_size: int, num_epoch: int, lr: float, seed: int) -> None:
        course = _Course(setting, setting.seed(seed), few if batch_size > many else many)
        returned = course.run(answer, batch_size, num_epoch, lr)
        story = _Story(course, lr)
        story.log(log)
        _log_history(returned, story, log)
        if batch_size > many and story.epochs:  # here no choice of the answer has changed anything
            first = story.epochs[0][0]
            log(f"{PROOF}errors", course.calls[first].errors.sort().values)
            log(f"{PROOF}weights", story.after[first])

    lr = setting.choose(0.02, 0.015)
    once, twice, several = (
        partial(act, batch_size=size, num_epoch=n, lr=rate, seed=seed)
        for size, n, rate, seed in ((40, 1, lr, 60), (40, 2, lr / 4, 70), (3, 3, lr / 2, 80))
    )
    yield Case("1 epoch, 1 batch", once)
    yield Case("2 epochs, 1 batch each", twice)
    yield Case(f"3 epochs, {-(-many // 3)} batches each, the last one smaller", several)


# --- What a generator is trained on, and what it writes down -------------------------------------


@dataclass
class _Call:
    """One call of the generator.

    Attributes:
        part: The set whose subjects were shown.
        subjects: Their numbers in the set.
        training: Whether the generator was in training mode.
        graph: Whether a gradient could flow back.
        errors: Mean absolute error of each subject `(n,)`.
        squares: Mean squared error of each subject `(n,)`.
        weights: The weights before.
        number: How many passes over the training loader had begun.
    """

    part: str
    subjects: list[int]
    training: bool
    graph: bool
    errors: Tensor
    squares: Tensor
    weights: Tensor
    number: int


class _Course:
    """Data, loaders and the diary of one training.

    Attributes:
        sets: The slices of the training and of the validation subjects.
        calls: What the generator was called with, in order.
        optimizers: Options of each step of PyTorch's optimizers, in order.
        passes: How many passes over the training loader have begun.
        last: The network that was called last; it may be a copy.
        network: The network that the answer was given.
        start: Its weights at the start.
        spare: A network to compute gradients with.
    """

    def __init__(self, setting: Setting, seed: int, n_training: int) -> None:
        n_subjects = {_TRAINING: n_training, _VALIDATION: 5}
        self.setting, self.seed = setting, seed
        self.sets = {
            name: make_dataset(n, seed + 3 * k, setting.dtype)
            for k, (name, n) in enumerate(n_subjects.items())
        }
        self.calls: list[_Call] = []
        self.optimizers: list[dict[str, Any]] = []
        self.passes = 0
        kept = hashed((64, 64), seed + 2) > 0
        self.kept = 2.0 * kept.to(setting.dtype)
        self.network = self.last = self.new_network()
        self.start = self.network.weights()
        self.spare = self.new_network()

    def __deepcopy__(self, memo: Any) -> _Course:
        return self  # a copy of the network writes into the same diary

    def new_network(self) -> _Generator:
        return _Generator(self)

    def run(self, answer: Any, batch_size: int, num_epoch: int, lr: float) -> Any:
        """Call the answer and return what it returns."""
        loaders = (
            _loader(self, self.sets[_TRAINING], batch_size, moves=True),
            _loader(self, self.sets[_VALIDATION], 2, moves=False),
        )
        hook = register_optimizer_step_pre_hook(self._note_optimizer)
        try:
            return answer(self.network, *loaders, num_epoch, lr)
        finally:
            hook.remove()

    def _note_optimizer(self, optimizer: Optimizer, *_: Any) -> None:
        group = optimizer.param_groups[0]
        names = ("betas", "eps", "amsgrad")
        options: dict[str, Any] = {name: group[name] for name in names if name in group}
        self.optimizers.append(options)

    def note(self, network: _Generator, x: Tensor, output: Tensor) -> None:
        """Write a call of the network down."""
        if len(self.calls) >= _MOST_CALLS:
            raise RuntimeError(f"The generator was called more than {_MOST_CALLS:,} times.")
        part, subjects = self._who(x)
        target = (
            self.sets[part].t2[subjects] if part in self.sets else torch.full_like(x, torch.nan)
        )
        difference = output.detach().cpu().to(target.dtype) - target.cpu()
        self.calls.append(
            _Call(
                part,
                subjects,
                network.training,
                output.requires_grad,
                difference.abs().mean(dim=(1, 2, 3)),
                difference.square().mean(dim=(1, 2, 3)),
                network.weights(),
                self.passes,
            )
        )
        self.last = network

    def _who(self, x: Tensor) -> tuple[str, list[int]]:
        """Return the set to which all slices of a batch belong, and the numbers of its subjects."""
        seen = x.detach().cpu().double()
        for name, dataset in self.sets.items():
            if seen.shape[1:] == dataset.t1.shape[1:]:
                distance = (seen[:, None] - dataset.t1[None].double()).abs().amax(dim=(2, 3, 4))
                if (distance.amin(dim=1) < 1e-5).all():
                    return name, distance.argmin(dim=1).tolist()
                if (
                    (seen[:, None] - dataset.t2[None].double()).abs().amax(dim=(2, 3, 4)) < 1e-5
                ).any():
                    return _BACKWARDS, []
        return _UNKNOWN, []


class _Generator(nn.Module):
    """One convolution, a tanh and, in training mode, a fixed pattern of voxels that are dropped."""

    kept: Tensor

    def __init__(self, course: _Course) -> None:
        super().__init__()
        dtype = course.setting.dtype
        self.course = course
        self.layer = nn.Conv2d(1, 1, kernel_size=3, padding=1, dtype=dtype)
        fill(self.parameters(), course.seed + 1)
        self.register_buffer("kept", course.kept, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        output = self.image_of(x)
        self.course.note(self, x, output)
        return output

    def image_of(self, x: Tensor) -> Tensor:
        image = torch.tanh(self.layer(x))
        return image * self.kept if self.training else image

    def weights(self) -> Tensor:
        with torch.no_grad():
            return torch.cat([weight.detach().cpu().flatten() for weight in self.parameters()])


def _loader(
    course: _Course, dataset: Dataset[dict[str, Tensor]], batch_size: int, moves: bool
) -> DataLoader:
    n_subjects = len(dataset)  # type: ignore[arg-type]

    class Order(Sampler[int]):
        """Begins each pass over the training set one subject later."""

        def __len__(self) -> int:
            return n_subjects

        def __iter__(self) -> Iterator[int]:
            start = course.passes if moves else 0
            course.passes += moves
            return iter([(start + k) % n_subjects for k in range(n_subjects)])

    return DataLoader(dataset, batch_size=batch_size, sampler=Order())


# --- What happened -------------------------------------------------------------------------------


@dataclass
class _Story:
    """What the diary of a training tells.

    Attributes:
        course: The training.
        lr: Its learning rate.
        after: The weights after each call.
        epochs: The calls by which the training subjects were learnt from, epoch by epoch.
        rounds: The calls by which the validation subjects were measured, round by round.
        again: The calls by which training subjects were shown and not learnt from, likewise.
    """

    course: _Course
    lr: float
    after: list[Tensor] = field(init=False)
    epochs: list[list[int]] = field(init=False)
    rounds: list[list[int]] = field(init=False)
    again: list[list[int]] = field(init=False)

    def __post_init__(self) -> None:
        calls = self.course.calls
        self.after = [call.weights for call in calls[1:]] + [self.course.last.weights()]
        shown, measured = (
            [i for i, call in enumerate(calls) if call.part == part]
            for part in (_TRAINING, _VALIDATION)
        )
        learnt = [i for i in shown if self.moved(i)] or [i for i in shown if calls[i].graph]
        self.epochs = self._in_epochs(learnt)
        steps = [i for i, call in enumerate(calls) if call.part != _VALIDATION and self.moved(i)]
        self.rounds = _in_rounds(measured, steps)
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
        before: _Call | None = None
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

    def movement(self, i: int) -> Tensor:
        """Return how far the weights moved after a call."""
        return self.after[i] - self.course.calls[i].weights

    def moved(self, i: int) -> bool:
        """Return True if the weights moved after a call."""
        return bool(self.movement(i).abs().max() > 0)

    def log(self, log: Log) -> None:
        """Log in words what happened."""
        calls = self.course.calls
        validated = [calls[i] for part in self.rounds for i in part]
        log("steps", self._steps())
        log("updates", self._updates())
        modes = [{calls[i].training for i in epoch} for epoch in self.epochs]
        log("training-mode", _mode_of_steps(modes))
        log("validation", self._validation())
        log("order", self._order())
        log("evaluation-mode", _mode({call.training for call in validated}))
        graphs = {call.graph for call in validated}
        log("no-gradients", _one_of(graphs, "with gradients", "without gradients"))
        learnt = {self.moved(i) for part in self.rounds for i in part}
        log("not-learnt", _one_of(learnt, "the weights move", "the weights stay as they are"))
        stays = torch.equal(self.course.network.weights(), self.course.start)
        log("in-place", "it has not changed" if stays else "it has learnt")

    def _steps(self) -> str:
        if not self.course.calls:
            return _NEVER_CALLED
        if not self.epochs:
            if any(call.part == _BACKWARDS for call in self.course.calls):
                return "the generator is shown T2-w slices"
            if not any(self.moved(i) for part in self.rounds for i in part):
                return "no training subjects"
            others = ", training subjects are measured" if self.again else ""
            return f"validation subjects are learnt from{others}"
        n_subjects = len(self.course.sets[_TRAINING])
        steps = [sum(map(self.moved, epoch)) for epoch in self.epochs]
        shown = [[s for i in epoch for s in self.course.calls[i].subjects] for epoch in self.epochs]
        who = _who(shown, n_subjects, "training")
        text = f"{_count(len(steps), 'epoch')}, {_count_of_each(steps, 'step')}, {who}"
        orders = set(map(tuple, shown))
        repeats = n_subjects > 1 and len(shown) > 1 and len(orders) == 1
        return f"{text}, always in the same order" if repeats else text

    def _validation(self) -> str:
        if not self.course.calls:
            return _NEVER_CALLED
        if not self.rounds:
            measured = [c for c in self.course.calls if c.part == _TRAINING and not c.graph]
            return "training subjects are measured instead" if measured else "never measured"
        shown = [[s for i in part for s in self.course.calls[i].subjects] for part in self.rounds]
        who = _who(
            [sorted(set(part)) for part in shown], len(self.course.sets[_VALIDATION]), _VALIDATION
        )
        n_epochs = len(self.epochs) or self.course.passes
        often = f"{_count(len(shown), 'time')} in {_count(n_epochs, 'epoch')}"
        if len(shown) == n_epochs:
            often = "once in each epoch"
        return f"{who}, {often}"

    def _order(self) -> str:
        if not self.rounds or not self.epochs:
            return "one of the two is missing"
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

    # How the weights moved

    def _updates(self) -> str:
        steps = [i for i in range(len(self.course.calls)) if self.moved(i)]
        if not steps:
            return "no weight moves"
        moved = torch.stack([self.movement(i) for i in steps]).double()
        if not moved.isfinite().all():
            return "the weights are no longer numbers"
        gradients = [self._gradient(i, nn.L1Loss()) for i in steps]
        squared = [self._gradient(i, nn.MSELoss()) for i in steps]
        kept = list(torch.stack(gradients).cumsum(dim=0))
        first = {epoch[0] for epoch in self.epochs}
        anew = [i in first for i in steps]
        always = [True] * len(steps)
        decay = 0.01 * self.lr * torch.stack([self.course.calls[i].weights for i in steps])
        other_lr = float(moved[0].abs().max())
        for options in self._options():
            adam: Callable[..., Tensor] = partial(_adam, **options)
            ways = {
                "as Adam does with the gradient of each batch": adam(gradients, self.lr),
                "as if gradients of earlier batches were added": adam(kept, self.lr),
                "as a new Adam does in every epoch": adam(gradients, self.lr, anew),
                "as a new Adam does in every step": adam(gradients, self.lr, always),
                "as Adam does with another learning rate": adam(gradients, other_lr),
                "as Adam does with the squared error": adam(squared, self.lr),
                "as Adam does uphill": adam(gradients, -self.lr),
                "as Adam does with weight decay": adam(gradients, self.lr) - decay,
                "as gradient descent does, without Adam": -self.lr * torch.stack(gradients),
            }
            for words, way in ways.items():
                size = max(float(way.abs().max()), 1e-12)
                if bool(((moved - way).abs() <= _MOVEMENT * size).all()):
                    return words
        return _SOMETHING_ELSE

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


def _in_rounds(measured: Iterable[int], learnt: Sequence[int]) -> list[list[int]]:
    """Put calls together between which nothing was learnt."""
    rounds: dict[int, list[int]] = {}
    for i in measured:
        rounds.setdefault(sum(j < i for j in learnt), []).append(i)
    return list(rounds.values())


def _log_history(returned: Any, story: _Story, log: Log) -> None:
    """Log whether what an answer returned is the history of what the generator went through."""
    table = _table_of(returned)
    if table is None:
        is_network = isinstance(returned, nn.Module)
        log("layout", "a network" if is_network else f"a {type(returned).__name__}")
        return
    log("layout", "columns " + " and ".join(map(str, table.columns)))
    n_epochs = len(story.epochs) or len(story.rounds)
    count = f"{_count(len(table), 'row')} for {_count(n_epochs, 'epoch')}"
    log("rows", f"{count}, counted from {table.index[0]}" if len(table) else count)
    cells = [cell for column in table.columns for cell in table[column]]
    attached = any(isinstance(cell, Tensor) and cell.requires_grad for cell in cells)
    log("plain-numbers", "tensors that hang on a graph" if attached else "numbers")
    if table.shape[1] < 2 or not n_epochs:
        return
    tolerance = _TOLERANCE[story.course.setting.dtype]
    learnt, measured, again = (
        _ways(story.course.calls, parts) for parts in (story.epochs, story.rounds, story.again)
    )
    mean = next(iter(learnt))
    learnt["a loss that is measured after the epoch"] = again[mean]
    if len(story.epochs) == len(story.rounds):
        both = [part for pair in zip(story.epochs, story.rounds, strict=True) for part in pair]
        so_far = _ways(story.course.calls, both)["a mean over all epochs so far"]
        learnt["a mean over both sets so far"] = so_far[::2]
        measured["a mean over both sets so far"] = so_far[1::2]
    parts = {"training-loss": (0, learnt, measured, _VALIDATION),
             "validation-loss": (1, measured, learnt, _TRAINING)}  # fmt: skip
    first = []
    for item, (column, own, others, other) in parts.items():
        values = [_number(cell) for cell in table.iloc[:, column]]
        own = own | {f"the {other} loss": others[mean]}
        log(item, _way_of(values, own, tolerance))
        if story.epochs and len(story.epochs[0]) == 1:
            log(f"{PROOF}{item}", values[0])
            first.append(values[0])
    if len(first) == 2:  # after one step these depend on no choice of the answer
        log("first-losses", torch.tensor(first, dtype=torch.float64))


def _number(cell: Any) -> float:
    return float(cell.detach() if isinstance(cell, Tensor) else cell)


def _table_of(returned: Any) -> pd.DataFrame | None:
    """Return a history as a table with the epoch as index, None if it is none.

    A list of dictionaries or pairs, or a dictionary of lists, is counted from 1.
    """
    if isinstance(returned, pd.DataFrame):
        table = returned.copy()
    elif isinstance(returned, (list, tuple, Mapping)) and len(returned) > 0:
        try:
            table = pd.DataFrame(returned)
        except (ValueError, TypeError):
            return None
        table.index = pd.RangeIndex(1, len(table) + 1)
        if list(table.columns) == [0, 1]:
            table.columns = pd.Index([_TRAINING, _VALIDATION])
        if list(table.columns) == [0, 1, 2]:
            table.columns = pd.Index(["epoch", _TRAINING, _VALIDATION])
    else:
        return None
    if "epoch" in table.columns:
        table = table.set_index("epoch")
    names = [name for name in (_TRAINING, _VALIDATION) if name in table.columns]
    return table[names] if len(names) == 2 else table


def _ways(calls: Sequence[_Call], parts: Iterable[Sequence[int]]) -> dict[str, list[float]]:
    """Return the loss of each epoch, taken in several ways, the right one first."""
    epochs = [[calls[i] for i in part] for part in parts]

    def of_each(way: Any) -> list[float]:
        return [float(way(epoch)) for epoch in epochs]

    def all_of(epoch: Sequence[_Call], what: str = "errors") -> Tensor:
        return torch.cat([getattr(call, what) for call in epoch])

    def batches(epoch: Sequence[_Call]) -> Tensor:
        return torch.stack([call.errors.mean() for call in epoch])

    sums = torch.tensor(of_each(lambda epoch: all_of(epoch).sum()))
    sizes = torch.tensor(of_each(lambda epoch: len(all_of(epoch))))
    batch_sums = torch.tensor(of_each(lambda epoch: batches(epoch).sum()))
    n_batches = torch.tensor(of_each(len))
    return {
        "the mean over the subjects": (sums / sizes).tolist(),
        "the mean of the means of the batches": (batch_sums / n_batches).tolist(),
        "the loss of the last batch": of_each(lambda epoch: batches(epoch)[-1]),
        "the loss of the first batch": of_each(lambda epoch: batches(epoch)[0]),
        "the sum over the batches": batch_sums.tolist(),
        "the sum over the subjects": sums.tolist(),
        "the sum over the batches, divided by the number of subjects": (
            batch_sums / sizes
        ).tolist(),
        "the sum over the subjects, divided by the number of batches": (sums / n_batches).tolist(),
        "a sum that goes on from epoch to epoch": (sums.cumsum(0) / sizes).tolist(),
        "a mean over all epochs so far": (sums.cumsum(0) / sizes.cumsum(0)).tolist(),
        "the mean squared error": of_each(lambda epoch: all_of(epoch, "squares").mean()),
    }


def _way_of(values: list[float], ways: Mapping[str, list[float]], tolerance: float) -> str:
    """Return in which way the losses of a history were taken.

    How many rows there are is the matter of another item: one more than there were epochs, or the
    last ones alone, will do here.
    """
    for words, way in ways.items():
        for seen in (values, values[1:], values[:-1]):
            wanted = way[-len(seen) :] if seen is values else way
            if seen and len(seen) == len(wanted) and _close(seen, wanted, tolerance):
                return words
    return _SOMETHING_ELSE


def _close(values: Sequence[float], expected: Sequence[float], tolerance: float) -> bool:
    scale = max(map(abs, expected))
    return all(abs(x - y) <= tolerance * scale for x, y in zip(values, expected, strict=True))


# --- In words ------------------------------------------------------------------------------------


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
    return _one_of(seen, "in training mode", "in evaluation mode")


def _mode_of_steps(modes: Sequence[set[bool]]) -> str:
    everything = set().union(*modes)
    if len(everything) == 2 and modes[0] == {True}:
        return "in training mode at first, in evaluation mode later"
    return _mode(everything)


def _one_of(seen: set[bool], yes: str, no: str) -> str:
    if not seen:
        return "never"
    return f"sometimes {yes}" if len(seen) == 2 else yes if True in seen else no
