"""Small trainings of all three methods, seconds each, in which any part can be exchanged."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from labhelpers.blocks import FinalLayer, PatchDiscriminator, UNetDown, UNetUp
from labhelpers.data import IXIDataset
from labhelpers.fast import Accelerated
from labhelpers.recipes import Recipe, adam, he_initialised
from labhelpers.unpaired import MeanPair

__all__ = [
    "Plan",
    "SmallUNet",
    "binary_cross_entropy",
    "black_frame",
    "cycle_loss",
    "discriminator_loss",
    "scaled",
    "split",
    "step_on_batch",
    "train_pairs",
    "train_unpaired",
    "update",
]

Outcome = tuple[pd.DataFrame, dict[str, Tensor]]


@dataclass(frozen=True)
class Plan:
    """The size of a small training, and its recipe.

    Attributes:
        num_epoch: Passes over the training subjects.
        n_train: Training subjects; unpaired, as many again give the T2-w slices.
        n_test: Subjects that are only measured.
        batch_size: Subjects per step.
        lr: Largest learning rate of the generators, in one cycle.
        lr_discriminator: The same of the discriminators.
        lambda_gan: Weight of the adversarial loss.
        lambda_cycle: Weight of the cycle loss.
        mean_pair: Part of the epochs, the first ones, with the deformed mean pair.
        width: Channels of the generator's first block.
    """

    num_epoch: int = 18
    n_train: int = 48
    n_test: int = 24
    batch_size: int = 4
    lr: float = 1e-3
    lr_discriminator: float = 5e-4
    lambda_gan: float = 0.1
    lambda_cycle: float = 2.0
    mean_pair: float = 0.5
    width: int = 24


class SmallUNet(nn.Module):
    """The generator of the lab with a part of its channels.

    Args:
        width: Channels of the first block, 64 in the lab's generator.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        sizes = [1, *(width * factor for factor in (1, 2, 4, 8, 8))]
        self.downs = nn.ModuleList(UNetDown(*pair) for pair in itertools.pairwise(sizes))
        pairs = [(8, 8), (16, 4), (8, 2), (4, 1)]
        self.ups = nn.ModuleList(UNetUp(width * low, width * high) for low, high in pairs)
        self.final = FinalLayer(2 * width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map slices `(N, 1, 64, 64)` to slices of the same shape in [-1, 1]."""
        features = []
        for down in self.downs:
            x = down(x)
            features.append(x)
        x = self.ups[0](features.pop())
        for up in self.ups[1:]:
            x = up(x, features.pop())
        return self.final(x, features.pop())


# The parts of a training as they should be. The cells of the clinic hold them, too, for students
# to mend; a test keeps the two alike.


def binary_cross_entropy(logits: Tensor, label: float) -> Tensor:
    """Return the mean loss of logits that should all give one label."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def split(subjects: list[int], n_test: int) -> tuple[list[int], list[int]]:
    """Return the training and the test subjects; nobody is in both."""
    return subjects[n_test:], subjects[:n_test]


def black_frame(t1: Tensor, t2: Tensor, width: int = 2) -> tuple[Tensor, Tensor]:
    """Return both slices with a black frame of `width` voxels."""
    inside, frame = slice(width, -width), (width, width, width, width)
    t1 = F.pad(t1[..., inside, inside], frame, value=-1.0)
    t2 = F.pad(t2[..., inside, inside], frame, value=-1.0)
    return t1, t2


def discriminator_loss(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    """Return the loss of a discriminator."""
    loss_real = binary_cross_entropy(logits_real, 1.0)
    loss_fake = binary_cross_entropy(logits_fake, 0.0)
    return (loss_real + loss_fake) / 2


def step_on_batch(
    generator: nn.Module,
    discriminator: nn.Module,
    optimizers: tuple[Optimizer, Optimizer],
    real_t1: Tensor,
    real_t2: Tensor,
    discriminator_loss: Callable[[Tensor, Tensor], Tensor],
    lambda_gan: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the gradients of both networks from their weights as they are, then update both.

    Returns:
        The adversarial loss of the generator, its whole loss, and the discriminator's loss.
    """
    optimizer_generator, optimizer_discriminator = optimizers
    fake_t2 = generator(real_t1)
    loss_gan = binary_cross_entropy(discriminator(fake_t2, real_t1), 1.0)
    loss_generator = lambda_gan * loss_gan + F.l1_loss(fake_t2, real_t2)
    optimizer_generator.zero_grad()
    loss_generator.backward(retain_graph=True)

    logits_real = discriminator(real_t2, real_t1)
    logits_fake = discriminator(fake_t2.detach(), real_t1)
    loss_discriminator = discriminator_loss(logits_real, logits_fake)
    optimizer_discriminator.zero_grad()
    loss_discriminator.backward()

    optimizer_generator.step()
    optimizer_discriminator.step()
    return loss_gan.detach(), loss_generator.detach(), loss_discriminator.detach()


def scaled(slices: Tensor) -> Tensor:
    """Scale each slice so that its darkest voxel becomes -1 and its brightest 1."""
    low = slices.amin(dim=(1, 2, 3), keepdim=True)
    high = slices.amax(dim=(1, 2, 3), keepdim=True)
    return 2 * (slices - low) / (high - low) - 1


def cycle_loss(
    t1_to_t2: nn.Module, t2_to_t1: nn.Module, real_t1: Tensor, real_t2: Tensor
) -> Tensor:
    """Return how far slices are from themselves after the way there and back."""
    back_t1 = t2_to_t1(t1_to_t2(real_t1))
    back_t2 = t1_to_t2(t2_to_t1(real_t2))
    return F.l1_loss(back_t1, real_t1) + F.l1_loss(back_t2, real_t2)


def update(optimizer: Optimizer, loss: Tensor) -> None:
    """Make one step of the optimizer on the loss; gradients of before do not count."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


_PARTS_OF_PAIRS: dict[str, Callable[..., Any]] = {
    "split": split,
    "black_frame": black_frame,
    "discriminator_loss": discriminator_loss,
    "step_on_batch": step_on_batch,
}
_PARTS_OF_CYCLE: dict[str, Callable[..., Any]] = {
    "scaled": scaled,
    "cycle_loss": cycle_loss,
    "update": update,
}


def train_pairs(
    plan: Plan,
    dataset: IXIDataset,
    discriminator: nn.Module | None = None,
    trained: Callable[..., Any] | None = None,
    **parts: Callable[..., Any],
) -> Outcome:
    """Train a small conditional GAN.

    Args:
        plan: Its size and recipe.
        dataset: At least `n_train + n_test` subjects.
        discriminator: A new one that is called with an image and its condition.
        trained: Returns the network whose weights the generator's optimizer holds, if not the
            generator.
        parts: What takes the place of `split`, `black_frame`, `discriminator_loss` or
            `step_on_batch`.

    Returns:
        One row per epoch: losses, and the mean absolute error on training and test subjects;
        `real_t1`, `fake_t2` and `real_t2` of the test subjects.
    """
    parts = _PARTS_OF_PAIRS | parts
    subjects = list(range(plan.n_train + plan.n_test))
    train, test = parts["split"](subjects, plan.n_test)
    generator = SmallUNet(plan.width)
    discriminator = discriminator or PatchDiscriminator(2)
    optimizers = (
        adam(trained() if trained else generator, lr=plan.lr, betas=(0.5, 0.999)),
        adam(discriminator, lr=plan.lr_discriminator, betas=(0.5, 0.999)),
    )
    schedulers = [_one_cycle(optimizer, plan) for optimizer in optimizers]
    networks = Accelerated(generator), Accelerated(discriminator)
    pairs = parts["black_frame"](dataset.t1[train], dataset.t2[train])
    test_pairs = dataset.t1[test], dataset.t2[test]
    rows = []
    for epoch in range(1, plan.num_epoch + 1):
        losses = []
        for chosen in torch.randperm(len(train)).split(plan.batch_size):
            real_t1, real_t2 = (slices[chosen] for slices in pairs)
            losses.append(
                parts["step_on_batch"](
                    *networks,
                    optimizers,
                    real_t1,
                    real_t2,
                    parts["discriminator_loss"],
                    plan.lambda_gan,
                )
            )
            for scheduler in schedulers:
                scheduler.step()
        row = _means(("adversarial", "generator", "discriminator"), losses)
        row |= {"training": _error(networks[0], *pairs)}
        rows.append({"epoch": epoch} | row | {"validation": _error(networks[0], *test_pairs)})
    return _outcome(rows, networks[0], *test_pairs)


def train_unpaired(
    plan: Plan,
    dataset: IXIDataset,
    judged: Callable[[Tensor], Tensor] = lambda image: image,
    trained: Callable[..., Any] | None = None,
    **parts: Callable[..., Any],
) -> Outcome:
    """Train a small CycleGAN.

    Args:
        plan: Its size and recipe.
        dataset: At least `2 * n_train + n_test` subjects: T1-w slices of the first ones, T2-w
            slices of the next ones, the others to test.
        judged: What the discriminators see of an image.
        trained: Returns the network whose weights the generators' optimizer holds, if not the
            generators.
        parts: What takes the place of `scaled`, `cycle_loss` or `update`.

    Returns:
        As `train_pairs`.
    """
    parts = _PARTS_OF_CYCLE | parts
    first, second = slice(plan.n_train), slice(plan.n_train, 2 * plan.n_train)
    test = slice(second.stop, second.stop + plan.n_test)
    t1, t2 = dataset.t1[first], parts["scaled"](dataset.t2[second])
    test_pairs = dataset.t1[test], dataset.t2[test]
    mean_pair = MeanPair(t1, t2)
    generators = SmallUNet(plan.width), SmallUNet(plan.width)
    discriminators = he_initialised(PatchDiscriminator()), he_initialised(PatchDiscriminator())
    optimizers = (
        adam(*([trained()] if trained else generators), lr=plan.lr, betas=(0.5, 0.999)),
        adam(*discriminators, lr=plan.lr_discriminator, betas=(0.5, 0.999)),
    )
    schedulers = [_one_cycle(optimizer, plan) for optimizer in optimizers]
    t1_to_t2, t2_to_t1 = (Accelerated(network) for network in generators)
    judge_t1, judge_t2 = (
        Accelerated(network, skip_weight_gradients=True) for network in discriminators
    )
    rows = []
    for epoch in range(1, plan.num_epoch + 1):
        losses = []
        for chosen in torch.randperm(plan.n_train).split(plan.batch_size):
            real_t1, real_t2 = t1[chosen], t2[torch.randint(len(t2), (len(chosen),))]
            fake_t2, fake_t1 = t1_to_t2(real_t1), t2_to_t1(real_t2)
            adversarial = binary_cross_entropy(judge_t2(judged(fake_t2)), 1.0)
            adversarial = adversarial + binary_cross_entropy(judge_t1(judged(fake_t1)), 1.0)
            cycle = parts["cycle_loss"](t1_to_t2, t2_to_t1, real_t1, real_t2)
            loss = plan.lambda_gan * adversarial + plan.lambda_cycle * cycle
            whole = loss
            if epoch <= plan.mean_pair * plan.num_epoch:
                mean_t1, mean_t2 = mean_pair.sample(plan.batch_size // 2)
                there, back = t1_to_t2(mean_t1), t2_to_t1(mean_t2)
                whole = loss + 5 * (F.l1_loss(there, mean_t2) + F.l1_loss(back, mean_t1))
            update(optimizers[0], whole)
            fakes = fake_t1.detach(), fake_t2.detach()
            judges = discriminator_loss(judge_t1(judged(real_t1)), judge_t1(judged(fakes[0])))
            judges = judges + discriminator_loss(
                judge_t2(judged(real_t2)), judge_t2(judged(fakes[1]))
            )
            parts["update"](optimizers[1], judges)
            losses.append((adversarial.detach(), cycle.detach(), loss.detach(), judges.detach()))
            for scheduler in schedulers:
                scheduler.step()
        row = _means(("adversarial", "cycle", "generators", "discriminators"), losses)
        rows.append({"epoch": epoch} | row | {"validation": _error(t1_to_t2, *test_pairs)})
    return _outcome(rows, t1_to_t2, *test_pairs)


def _one_cycle(optimizer: Optimizer, plan: Plan) -> LRScheduler:
    num_step = plan.num_epoch * -(-plan.n_train // plan.batch_size)
    return Recipe(schedule="one-cycle").scheduler(optimizer, num_step)


def _means(names: tuple[str, ...], losses: Sequence[tuple[Tensor, ...]]) -> dict[str, float]:
    return dict(zip(names, torch.tensor(losses).mean(dim=0).tolist(), strict=True))


@torch.no_grad()
def _error(generator: nn.Module, real_t1: Tensor, real_t2: Tensor) -> float:
    return F.l1_loss(generator(real_t1), real_t2).item()


@torch.no_grad()
def _outcome(
    rows: list[dict[str, float]], generator: nn.Module, real_t1: Tensor, real_t2: Tensor
) -> Outcome:
    slices = {"real_t1": real_t1, "fake_t2": generator(real_t1), "real_t2": real_t2}
    return pd.DataFrame(rows).set_index("epoch"), slices
