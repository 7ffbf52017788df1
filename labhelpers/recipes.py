"""Recipes: the choices that make up a training, and the objects that they stand for."""

from __future__ import annotations

import copy
import math
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LRScheduler, OneCycleLR
from torch.utils.data import DataLoader, Dataset

from labhelpers.blocks import PatchDiscriminator

__all__ = [
    "BATCH_SIZE",
    "RECIPES",
    "CGANRecipe",
    "CycleGANRecipe",
    "GeneratorRecipe",
    "Recipe",
    "RunningAverage",
    "adam",
    "choose_recipe",
    "find_recipe",
    "he_initialised",
]

BATCH_SIZE = 40
"""Subjects per batch in the recipe `reference`, and for the metrics of the training set."""

_FUSED_ADAM = ("cpu", "cuda", "mps")  # kinds of device on which torch 2.5 has one kernel for it

_R = TypeVar("_R", bound="Recipe")


def adam(*networks: nn.Module, lr: float, betas: tuple[float, float]) -> Adam:
    """Return one Adam optimizer for the weights of all `networks`, each step one kernel if it can.

    Args:
        networks: Networks on the device where they are trained.
        lr: Learning rate.
        betas: Decays of the running means of the gradient and of its square.
    """
    weights = list(chain.from_iterable(network.parameters() for network in networks))
    return Adam(weights, lr=lr, betas=betas, fused=weights[0].device.type in _FUSED_ADAM)


def he_initialised(network: nn.Module) -> nn.Module:
    """Initialise all convolutions of `network` as He et al. do, in place, and return it.

    PyTorch's default weights shrink a signal at each convolution with a leaky ReLU; after five of
    them the output hardly depends on the input, and the network learns slowly at first. The weights
    of He et al., "Delving deep into rectifiers", ICCV 2015, keep the variance. Biases become 0.

    Args:
        network: A network with leaky ReLUs of slope 0.2, such as a discriminator.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, a=0.2)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network


@dataclass(frozen=True)
class Recipe:
    """The choices that all methods share; the defaults are those of the lab's earlier version.

    Architecture, number of epochs and data are not among them. A changed recipe is a new one:
    `dataclasses.replace(recipe, flip=False)`.

    Attributes:
        name: The word by which it is chosen.
        batch_size: Subjects per step.
        lr: Largest learning rate of the generators.
        schedule: How the learning rate changes: `constant`; `cosine`, from the largest down to 0;
            `one-cycle`, from a small one up to the largest and down to 0.
        flip: Whether slices are mirrored left to right at random, as heads are nearly symmetric.
        averaging: Decay per step of the running average of the generator's weights; 0 for the
            weights as they are.
    """

    method: ClassVar[str]

    name: str = "reference"
    batch_size: int = BATCH_SIZE
    lr: float = 2e-4
    schedule: str = "constant"
    flip: bool = False
    averaging: float = 0.0

    def __str__(self) -> str:
        """Return the name and the choices in which the recipe differs from `reference`."""
        shown = f"batch size {self.batch_size}", f"learning rate {self.lr:g}"
        others = self._differences(type(self)(batch_size=self.batch_size, lr=self.lr))
        return f"{self.name!r}: {', '.join((*shown, *others))}."

    @property
    def label(self) -> str:
        """The name, followed by what was changed in the recipe of that name, if anything was."""
        original = RECIPES[self.method].get(self.name, self)
        return ", ".join((self.name, *self._differences(original)))

    def _differences(self, other: Recipe) -> list[str]:
        return [
            f"{field.name.replace('_', ' ')} {getattr(self, field.name)}"
            for field in fields(self)
            if field.name != "name" and getattr(self, field.name) != getattr(other, field.name)
        ]

    def with_lr(self: _R, lr: float | None) -> _R:
        """Return this recipe with another learning rate of the generators; None keeps its own."""
        return self if lr is None else replace(self, lr=lr)

    def loader(self, dataset: Dataset[dict[str, Tensor]]) -> DataLoader:
        """Return the training loader: batches of `batch_size` subjects, in a new order each epoch.

        Args:
            dataset: Items `{"T1": ..., "T2": ...}`, each `(1, 64, 64)`.
        """
        return DataLoader(dataset, batch_size=self.batch_size, shuffle=True)

    def scheduler(self, optimizer: Optimizer, num_step: int) -> LRScheduler:
        """Return the schedule of an optimizer; call its `step()` after each of `num_step` steps.

        Raises:
            ValueError: If there is no such schedule.
        """
        return _chosen("schedule", self.schedule, _SCHEDULES)(optimizer, num_step)

    def average(self, network: nn.Module) -> RunningAverage:
        """Return the running average of a network's weights, by the recipe's `averaging`."""
        return RunningAverage(network, self.averaging)


class RunningAverage:
    """The running average of a network's weights (Polyak and Juditsky, 1992).

    The weights change in all directions from step to step, most of all in a GAN; their average
    often makes better images than the weights of any one step.

    Args:
        network: The network, with its first weights.
        decay: What is left of the average at each step. The first steps keep less, so that a short
            training forgets where it began. With 0 the average is the weights as they are.

    Attributes:
        module: A network of its own, with the averaged weights.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(network)
        self._weights: list[Tensor] = list(self.module.parameters())
        self._others = list(self.module.buffers())
        self._decay = decay
        self._n_steps = 0

    @torch.no_grad()
    def update_parameters(self, network: nn.Module) -> None:
        """Take in the weights of `network` after a step; other numbers in it are copied."""
        # A number of Python's: to read one of its own, a GPU would have to be waited for.
        decay = min(self._decay, (1 + self._n_steps) / (10 + self._n_steps)) if self._n_steps else 0
        self._n_steps += 1
        weights: list[Tensor] = list(network.parameters())
        torch._foreach_lerp_(self._weights, weights, 1.0 - decay)
        if self._others:
            torch._foreach_copy_(self._others, list(network.buffers()))

    def state_dict(self) -> dict[str, Any]:
        """Return the average as it is, for `load_state_dict`."""
        return {"module": self.module.state_dict(), "n_steps": self._n_steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from an average as `state_dict` returned it."""
        self.module.load_state_dict(state["module"])
        self._n_steps = state["n_steps"]


_SCHEDULES: dict[str, Callable[[Optimizer, int], LRScheduler]] = {
    "constant": lambda optimizer, num_step: ConstantLR(optimizer, factor=1.0),
    "cosine": CosineAnnealingLR,
    # One step more than there are, because the last learning rate is for a step after the last.
    "one-cycle": lambda optimizer, num_step: OneCycleLR(
        optimizer,
        max_lr=optimizer.param_groups[0]["lr"],
        total_steps=num_step + 1,
        cycle_momentum=False,
    ),
}


@dataclass(frozen=True)
class GeneratorRecipe(Recipe):
    """How the generator alone is trained (notebook 2)."""

    method = "generator"

    def optimizer(self, generator: nn.Module, betas: tuple[float, float]) -> Adam:
        """Return the optimizer of the generator."""
        return adam(generator, lr=self.lr, betas=betas)


@dataclass(frozen=True)
class _AdversarialRecipe(Recipe):
    """The choices that both adversarial methods add.

    Attributes:
        lr_discriminator: Largest learning rate of the discriminators.
        discriminator: `graded`, the one that the students write, or `patch`, which judges every
            part of the slice.
        lambda_gan: Weight of the adversarial loss.
    """

    lr_discriminator: float = 2e-4
    discriminator: str = "graded"
    lambda_gan: float = 1.0

    def optimizers(
        self,
        generators: Iterable[nn.Module],
        discriminators: Iterable[nn.Module],
        betas: tuple[float, float],
    ) -> tuple[Adam, Adam]:
        """Return one optimizer for all generators and one for all discriminators."""
        return (
            adam(*generators, lr=self.lr, betas=betas),
            adam(*discriminators, lr=self.lr_discriminator, betas=betas),
        )


@dataclass(frozen=True)
class CGANRecipe(_AdversarialRecipe):
    """How the conditional GAN is trained (notebook 3).

    Attributes:
        lambda_pixel: Weight of the mean absolute error.
    """

    method = "cgan"

    lambda_pixel: float = 1.0

    def make_discriminator(self, graded: Callable[[], nn.Module]) -> nn.Module:
        """Return the discriminator of the recipe; `graded` makes the one that students write.

        Raises:
            ValueError: If there is no such discriminator.
        """
        makers = {"graded": graded, "patch": lambda: PatchDiscriminator(2)}  # slice and condition
        return _chosen("discriminator", self.discriminator, makers)()


@dataclass(frozen=True)
class CycleGANRecipe(_AdversarialRecipe):
    """How the CycleGAN is trained (notebook 4).

    Attributes:
        he_initialisation: Whether the discriminators start with the weights of He et al.
        lambda_cycle: Weight of the cycle loss.
        standardise: Whether every slice is brought to the same mean brightness.
        mean_pair_alone: Part of the epochs, the first ones, that only see deformed mean slices.
        mean_pair_until: Part of the epochs, the first ones, that see them at all; 0 for never.
        lambda_mean_pair: Weight of the error on deformed mean slices.
    """

    method = "cyclegan"

    he_initialisation: bool = False
    lambda_cycle: float = 1.0
    standardise: bool = False
    mean_pair_alone: float = 0.0
    mean_pair_until: float = 0.0
    lambda_mean_pair: float = 10.0

    def make_discriminators(self, graded: Callable[[], nn.Module]) -> tuple[nn.Module, nn.Module]:
        """Return the discriminators of T1-w and of T2-w slices.

        Args:
            graded: Makes one like that which students write.

        Raises:
            ValueError: If there is no such discriminator.
        """
        makers = {"graded": graded, "patch": PatchDiscriminator}
        make = _chosen("discriminator", self.discriminator, makers)
        pair = make(), make()
        return (
            (he_initialised(pair[0]), he_initialised(pair[1])) if self.he_initialisation else pair
        )

    def mean_pair_epochs(self, num_epoch: int) -> tuple[int, int]:
        """Return up to which epoch there is only the mean pair, and up to which there is one."""
        until = math.ceil(self.mean_pair_until * num_epoch)
        return min(math.ceil(self.mean_pair_alone * num_epoch), until), until


RECIPES: dict[str, dict[str, Recipe]] = {
    "generator": {
        "reference": GeneratorRecipe(),
        "recommended": GeneratorRecipe(
            "recommended",
            batch_size=2,
            lr=1e-3,
            schedule="one-cycle",
            flip=True,
            averaging=0.998,
        ),
    },
    "cgan": {
        "reference": CGANRecipe(),
        "recommended": CGANRecipe(
            "recommended",
            batch_size=4,
            lr=1e-3,
            lr_discriminator=5e-4,
            schedule="one-cycle",
            flip=True,
            averaging=0.998,
            discriminator="patch",
            lambda_gan=0.01,
        ),
    },
    "cyclegan": {
        "reference": CycleGANRecipe(),
        "recommended": CycleGANRecipe(
            "recommended",
            batch_size=4,
            schedule="cosine",
            flip=True,
            averaging=0.998,
            he_initialisation=True,
            lambda_gan=0.02,
            lambda_cycle=5.0,
            standardise=True,
            mean_pair_alone=0.2,
            mean_pair_until=1.0,
        ),
    },
}
"""The recipes by method and name."""


def find_recipe(method: str, name: str) -> Recipe:
    """Return a recipe of a method.

    Args:
        method: `generator`, `cgan` or `cyclegan`.
        name: `recommended`, or `reference` for the recipe of the earlier version of this lab.

    Raises:
        ValueError: If there is no such method or recipe.
    """
    return _chosen(f"recipe for the {method}", name, _chosen("method", method, RECIPES))


def choose_recipe(method: str, name: str = "recommended") -> Recipe:
    """Return a recipe as `find_recipe` does, and print what it is."""
    recipe = find_recipe(method, name)
    print(textwrap.fill(f"Recipe {recipe}", 88))
    return recipe


def _chosen(kind: str, name: str, choices: Mapping[str, Any]) -> Any:
    """Return the choice of that name, or raise a ValueError that lists the names."""
    if name not in choices:
        raise ValueError(f"There is no {kind} {name!r}: choose one of {', '.join(choices)}.")
    return choices[name]
