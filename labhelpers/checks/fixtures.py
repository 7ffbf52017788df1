"""Small data sets, networks and losses, with known numbers, on which answers are tried.

Data sets in which subjects differ, networks whose logits are sizeable, losses unlike any of the
lab: mistakes that hardly show on the real ones show here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from labhelpers.checks.fingerprint import fill, hashed
from labhelpers.data import IXIDataset, split_subjects, write_pair

__all__ = [
    "ALONE",
    "EMPTY",
    "Criterion",
    "PairDiscriminator",
    "SingleDiscriminator",
    "SmallGenerator",
    "cgan_discriminator_loss",
    "cgan_generator_loss",
    "codes_of",
    "cyclegan_discriminator_loss",
    "cyclegan_generator_loss",
    "generator_step",
    "images",
    "make_dataset",
    "split_numbers",
    "steepen",
    "subject_codes",
    "subject_slices",
    "write_folder",
]

# Voxels take values -1 + 2 m / GRID. As the grid is a prime, no voxel lies on an inner edge of any
# number of equal bins by chance.
GRID = 1_009
# Some voxels lie on edges of 32 or 64 equal bins, in parts of the range: powers of two, which every
# sound formula meets exactly. The odd ones are no edges of 10, 20 or 100 bins, which it may miss.
_EDGES = [part / 32 for part in range(1, 32, 2) if part != 21]  # 21 lies in the part left empty
_SUBJECT = "sub-IXI{:03d}"
# One T1-w voxel lies in this part of the range (0 is -1, 1 is 1), alone in its bin: the other bins
# there are empty.
EMPTY = (0.6, 0.7)
ALONE = 0.645
_SHIFT = 404 / GRID  # moves voxels out of that part: wider than it, and a multiple of the grid


def images(batch: int, seed: int, dtype: torch.dtype) -> Tensor:
    """Return images `(batch, 1, 64, 64)`, values in (-1, 1)."""
    return hashed((batch, 1, 64, 64), seed, dtype)


def make_dataset(
    n_subjects: int, seed: int, dtype: torch.dtype, extremes: bool = True
) -> IXIDataset:
    """Return subjects that differ much in range and mean.

    Args:
        n_subjects: Number of subjects.
        seed: Another one gives other images.
        dtype: Type of the images.
        extremes: Whether T1 and T2 reach exactly -1 and 1, else they stay well within.
    """
    size = (n_subjects, 1, 64, 64)
    place = torch.arange(n_subjects, dtype=torch.float64).add_(1).div_(n_subjects)
    place = place.reshape(-1, 1, 1, 1)
    # Large samples of hashed numbers are much alike: what is the same in all subjects of a data set
    # differs from seed to seed as well.
    bend1, bend2, low1, low2, high1, high2, first, last = hashed((8,), seed + 2_000).tolist()
    # Subject by subject, T1 leans more to the left and T2 more to the right of their range.
    u1 = hashed(size, seed).abs() ** (1 + 2 * place + 0.3 * abs(bend1))
    u2 = 1 - hashed(size, seed + 1).abs() ** (3 * place + 0.3 * abs(bend2)) * (0.4 + 0.6 * u1)
    if not extremes:  # each subject has a smallest and a largest value of its own
        start, width = 0.3 - 0.2 * place, 0.15 + 0.45 * place
        u1 = start + 0.05 * low1 + (width + 0.05 * high1) * u1
        u2 = start + 0.05 * low2 + (width + 0.05 * high2) * u2
    t1, t2 = (_on_grid(u) for u in (u1, u2))
    low, high = (2 * end - 1 for end in EMPTY)
    t1 = torch.where((t1 > low) & (t1 < high), t1 - _SHIFT, t1)
    if extremes:  # in two corners, each with T2 of its own
        t1[:, :, :6, :6], t2[:, :, :6, :6] = -1, 0.8 + 0.2 * first
        t1[:, :, -6:, -6:], t2[:, :, -6:, -6:] = 1, -0.8 + 0.2 * last
        t2[:, :, 0, 0], t2[:, :, -1, -1] = 1, -1
        t1[:, :, 30:33, 10 : 10 + len(_EDGES)] = 2 * torch.tensor(_EDGES, dtype=t1.dtype) - 1
        t2[:, :, 30:33, 10 : 10 + len(_EDGES)] = 0.5 + 0.3 * last
    t1[-1, :, 40, 40] = _on_grid(torch.tensor(ALONE))
    return IXIDataset.from_tensors(t1.to(dtype), t2.to(dtype))


def _on_grid(u: Tensor) -> Tensor:
    """Round numbers in (0, 1) to the grid of voxel values."""
    return (u.mul(GRID).floor().clamp(1, GRID - 1) * 2 - GRID) / GRID


def write_folder(folder: Path, n_subjects: int, seed: int) -> None:
    """Write pairs of files as the lab's data set has them; the images carry a code of the subject.

    See `subject_codes` for the codes, `codes_of` for reading them again.
    """
    for number, code in enumerate(subject_codes(n_subjects, seed)):
        write_pair(folder, _SUBJECT.format(number), *subject_slices(number, code, seed))


def subject_slices(number: int, code: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return the two slices `(64, 64)` of a subject of a written folder."""
    # Clones: else each file would hold all the numbers of which a tensor is a part.
    t1, t2 = (hashed((64, 64), seed + 2 * number + k).clone() for k in range(2))
    for image in (t1, t2):
        image[0, :2] = torch.tensor([-1.0, 1.0])
        image[5, 7] = (2 * code + 1 - GRID) / GRID
    return t1, t2


def split_numbers(n_subjects: int) -> tuple[list[int], list[int]]:
    """Return the subject numbers of the training and of the test part of a written folder."""
    numbers = {_SUBJECT.format(number): number for number in range(n_subjects)}
    train, test = split_subjects(numbers)
    return [numbers[subject] for subject in train], [numbers[subject] for subject in test]


def subject_codes(n_subjects: int, seed: int) -> list[int]:
    """Return the codes of the subjects of a written folder, different ones for each seed."""
    return hashed((GRID,), seed + 1_000).argsort()[:n_subjects].tolist()


def codes_of(batch: Tensor) -> list[int]:
    """Read the codes of the subjects of a batch `(N, 1, 64, 64)` of a written folder."""
    codes = (batch[:, 0, 5, 7].double() * GRID + GRID - 1) / 2
    return [round(code) for code in codes.tolist()]


# `fill` would give logits of standard deviation 1 / sqrt(3) times the gain: here 3, where a sigmoid
# is far from its linear part.
_DISCRIMINATOR_GAIN = 3 * math.sqrt(3)


class SmallGenerator(nn.Module):
    """One convolution and a tanh: maps `(N, 1, H, W)` to `(N, 1, H, W)`.

    Args:
        seed: Another one gives other weights.
        dtype: Type of the weights.
        largest: The images lie between its negative and it. Beyond 1, a prediction that is cut to
            the range of the slices shows.
        gain: Size of the weights; a large one brings many voxels close to these ends.
    """

    def __init__(
        self, seed: int, dtype: torch.dtype, largest: float = 1.0, gain: float = 1.5
    ) -> None:
        super().__init__()
        self.largest = largest
        self.layer = nn.Conv2d(1, 1, kernel_size=3, padding=1, dtype=dtype)
        fill(self.parameters(), seed, gain)

    def forward(self, x: Tensor) -> Tensor:
        """Return the image made from `x`."""
        return self.largest * torch.tanh(self.layer(x))


class _SmallDiscriminator(nn.Module):
    """One convolution as large as the image: `(N, 1, 1, 1)`, logits of about ±3.

    Attributes:
        level: What the losses below add to their value, so that it is small, large or negative.
    """

    level = 0.0

    def __init__(self, channels: int, seed: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.layer = nn.Conv2d(channels, 1, kernel_size=64, dtype=dtype)
        fill(self.parameters(), seed, gain=_DISCRIMINATOR_GAIN)

    @torch.no_grad()
    def settle(self, *inputs: tuple[Tensor, ...], largest: float = 4.0) -> None:
        """Give these inputs logits of mean 0, the largest of this size, whatever the images are."""
        weight, bias = self.layer.parameters()
        logits = torch.cat([self(*images).flatten() for images in inputs])
        scale = largest / (logits - logits.mean()).abs().max()
        bias.sub_(logits.mean()).mul_(scale)
        weight.mul_(scale)

    @torch.no_grad()
    def learn(self, real: Tensor, fake: Tensor, logit: float) -> None:
        """Give about this logit to real images and its negative to fake ones."""
        weight, bias = self.layer.parameters()
        one, other = real.mean(dim=0), fake.mean(dim=0)
        weight.zero_()
        weight[:, :1] = 2 * logit * (one - other) / (one - other).square().sum()
        bias.fill_(-(weight[:, :1] * (one + other) / 2).sum())

    @torch.no_grad()
    def give(self, logits: Sequence[float], *inputs: tuple[Tensor, ...]) -> None:
        """Give each image of these inputs its logit, with the smallest weights that do."""
        weight, bias = self.layer.parameters()
        rows = torch.cat([torch.cat(images, dim=1).flatten(1) for images in inputs]).double()
        solution = torch.linalg.pinv(rows) @ torch.tensor(logits, dtype=torch.float64)
        weight.copy_(solution.view_as(weight))
        bias.zero_()


class PairDiscriminator(_SmallDiscriminator):
    """A discriminator of an image and its condition, `(N, 1, 64, 64)` each."""

    def __init__(self, seed: int, dtype: torch.dtype) -> None:
        super().__init__(2, seed, dtype)

    def forward(self, image: Tensor, condition: Tensor) -> Tensor:
        """Return the logits `(N, 1, 1, 1)`."""
        return self.layer(torch.cat((image, condition), dim=1))


class SingleDiscriminator(_SmallDiscriminator):
    """A discriminator of an image `(N, 1, 64, 64)` alone."""

    def __init__(self, seed: int, dtype: torch.dtype) -> None:
        super().__init__(1, seed, dtype)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits `(N, 1, 1, 1)`."""
        return self.layer(image)


@torch.no_grad()
def steepen(factor: float, *networks: SmallGenerator | _SmallDiscriminator) -> None:
    """Make the gradients of the weights larger by a factor, and leave all outputs as they are."""
    for network in networks:
        network.layer.weight.div_(factor)
        network.layer.register_forward_pre_hook(lambda _, inputs: (inputs[0] * factor,))


class Criterion(nn.Module):
    """A steep and asymmetric loss: it changes if prediction and target are exchanged.

    Args:
        level: What is added to its value.
        scale: What it is multiplied by before.
    """

    def __init__(self, level: float = 0.0, scale: float = 1.0) -> None:
        super().__init__()
        self.level, self.scale = level, scale

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a tensor without dimensions."""
        error = 30 * (3 * (input - 0.4 * target).square() + input.pow(3) * target).mean()
        return self.scale * error + self.level


# Losses that take the place of the students' own while a step is checked: a wrong loss then costs
# its own points only. They have the signature of the exercise and nothing else in common with it.


def generator_step(
    generator: nn.Module,
    optimizer: Optimizer,
    criterion: nn.Module,
    real_t1: Tensor,
    real_t2: Tensor,
) -> Tensor:
    """Take the place of the step of notebook 2 in a loop: here nothing else than a step will do."""
    weights = list(generator.parameters())
    error = criterion(generator(real_t1), real_t2)
    for weight, gradient in zip(weights, torch.autograd.grad(error, weights), strict=True):
        weight.grad = gradient
    optimizer.step()
    return error.detach()


def cgan_generator_loss(
    discriminator: PairDiscriminator,
    real_t1: Tensor,
    real_t2: Tensor,
    fake_t2: Tensor,
    lambda_gan: float = 1.0,
    lambda_pixel: float = 1.0,
) -> Tensor:
    """Take the place of the generator loss of notebook 3."""
    score = discriminator(real_t1 - fake_t2, fake_t2 * real_t2)
    terms = lambda_gan * torch.sin(score).mean() + lambda_pixel * (fake_t2 * real_t2).mean()
    return terms + discriminator.level


def cgan_discriminator_loss(
    discriminator: PairDiscriminator, real_t1: Tensor, real_t2: Tensor, fake_t2: Tensor
) -> Tensor:
    """Take the place of the discriminator loss of notebook 3."""
    score = discriminator(real_t1 * fake_t2.detach(), real_t2 - real_t1)
    return torch.cos(score + 0.5).mean() + discriminator.level


def cyclegan_generator_loss(
    generator_t1_to_t2: nn.Module,
    generator_t2_to_t1: nn.Module,
    discriminator_t1: SingleDiscriminator,
    discriminator_t2: SingleDiscriminator,
    real_t1: Tensor,
    real_t2: Tensor,
    lambda_gan: float = 1.0,
    lambda_cycle: float = 1.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Take the place of the generator loss of notebook 4."""
    fake_t1, fake_t2 = generator_t2_to_t1(real_t2), generator_t1_to_t2(real_t1)
    scores = torch.sin(discriminator_t1(fake_t1)) + torch.cos(discriminator_t2(fake_t2))
    agreement = (fake_t1 * real_t1 - 2 * fake_t2 * real_t2.square()).mean()
    loss = lambda_gan * scores.mean() + lambda_cycle * agreement + discriminator_t1.level
    return loss, fake_t1, fake_t2


def cyclegan_discriminator_loss(
    discriminator: SingleDiscriminator, real: Tensor, fake: Tensor
) -> Tensor:
    """Take the place of the discriminator loss of notebook 4."""
    return torch.sin(discriminator(real - 0.5 * fake.detach())).mean() + discriminator.level
