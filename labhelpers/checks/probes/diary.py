"""A small generator that keeps a diary of its training: who was shown, how, with which weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.data import DataLoader, Dataset, Sampler

from labhelpers.checks.cases import Setting
from labhelpers.checks.fingerprint import fill, hashed
from labhelpers.checks.fixtures import make_dataset

__all__ = ["BACKWARDS", "TRAINING", "VALIDATION", "Call", "Course"]

TRAINING, VALIDATION = "training", "validation"
BACKWARDS = {TRAINING: "T2-w of training", VALIDATION: "T2-w of validation"}
_UNKNOWN = "other"
_MOST_CALLS = 2_000  # of the generator; more of them end a loop that never ends


@dataclass
class Call:
    """One call of the generator.

    Attributes:
        part: The set whose subjects were shown.
        subjects: Their numbers in the set.
        training: Whether the generator was in training mode.
        graph: Whether a gradient could flow back.
        errors: Mean absolute error of each subject `(n,)`.
        squares: Mean squared error of each subject `(n,)`.
        from_t1: Mean absolute difference from T1-w of each subject `(n,)`.
        weights: The weights before.
        number: How many passes over the training loader had begun.
    """

    part: str
    subjects: list[int]
    training: bool
    graph: bool
    errors: Tensor
    squares: Tensor
    from_t1: Tensor
    weights: Tensor
    number: int


class Course:
    """Data, loaders and the diary of one training.

    Args:
        setting: Seeds and number type.
        seed: Another one gives other data and weights.
        n_training: How many training subjects there are.
        rises: Whether the T2-w slices of validation are what the network makes at its start, so
            that the validation loss rises from epoch to epoch.
        gain: By what the network multiplies its images: a large one makes its gradients large.

    Attributes:
        sets: The slices of the training and of the validation subjects.
        calls: What the generator was called with, in order.
        optimizers: Options of each step of PyTorch's optimizers, in order.
        makers: The optimizers that made them, each once.
        passes: How many passes over the training loader have begun.
        last: The network that was called last; it may be a copy.
        network: The network that the answer was given.
        start: Its weights at the start.
        spare: A network to compute gradients with.
    """

    def __init__(
        self,
        setting: Setting,
        seed: int,
        n_training: int,
        rises: bool = False,
        gain: float = 1.0,
    ) -> None:
        n_subjects = {TRAINING: n_training, VALIDATION: 5}
        self.setting, self.seed, self.gain = setting, seed, gain
        self.sets = {
            name: make_dataset(n, seed + 3 * k, setting.dtype)
            for k, (name, n) in enumerate(n_subjects.items())
        }
        self.calls: list[Call] = []
        self.optimizers: list[dict[str, Any]] = []
        self.makers: list[Optimizer] = []
        self.passes = 0
        kept = hashed((64, 64), seed + 2) > 0
        self.kept = 2.0 * kept.to(setting.dtype)
        self.network = self.last = self._new_network()
        self.start = self.network.weights()
        if rises:
            validation = self.sets[VALIDATION]
            with torch.no_grad():
                validation.t2.copy_(self.network.eval().image_of(validation.t1))
            self.network.train()
        self.spare = self._new_network()

    def __deepcopy__(self, memo: Any) -> Course:
        return self  # a copy of the network writes into the same diary

    def _new_network(self) -> _Generator:
        return _Generator(self)

    def run(self, answer: Any, batch_size: int, num_epoch: int, lr: float) -> Any:
        """Call the answer and return what it returns."""
        loaders = (
            _loader(self, self.sets[TRAINING], batch_size, moves=True),
            _loader(self, self.sets[VALIDATION], 3, moves=False),
        )
        hook = register_optimizer_step_pre_hook(self._note_optimizer)
        try:
            return answer(self.network, *loaders, num_epoch, lr)
        finally:
            hook.remove()

    def _note_optimizer(self, optimizer: Optimizer, *_: Any) -> None:
        if not any(optimizer is maker for maker in self.makers):
            self.makers.append(optimizer)
        group = optimizer.param_groups[0]
        names = ("betas", "eps", "amsgrad")
        options: dict[str, Any] = {name: group[name] for name in names if name in group}
        self.optimizers.append(options)

    def note(self, network: _Generator, x: Tensor, output: Tensor) -> None:
        """Write a call of the network down."""
        if len(self.calls) >= _MOST_CALLS:
            raise RuntimeError(f"The generator was called more than {_MOST_CALLS:,} times.")
        part, subjects = self._who(x)
        unknown = torch.full_like(x, torch.nan)
        data = self.sets.get(part)
        t1, t2 = (data.t1[subjects], data.t2[subjects]) if data else (unknown, unknown)
        output_seen = output.detach().cpu()
        difference = output_seen.to(t2.dtype) - t2.cpu()
        self.calls.append(
            Call(
                part,
                subjects,
                network.training,
                output.requires_grad,
                difference.abs().mean(dim=(1, 2, 3)),
                difference.square().mean(dim=(1, 2, 3)),
                (output_seen.to(t1.dtype) - t1.cpu()).abs().mean(dim=(1, 2, 3)),
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
                    return BACKWARDS[name], []
        return _UNKNOWN, []


class _Generator(nn.Module):
    """One convolution, a tanh and, in training mode, a fixed pattern of voxels that are dropped."""

    kept: Tensor

    def __init__(self, course: Course) -> None:
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
        image = self.course.gain * torch.tanh(self.layer(x))
        return image * self.kept if self.training else image

    def weights(self) -> Tensor:
        with torch.no_grad():
            return torch.cat([weight.detach().cpu().flatten() for weight in self.parameters()])


def _loader(
    course: Course, dataset: Dataset[dict[str, Tensor]], batch_size: int, moves: bool
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
