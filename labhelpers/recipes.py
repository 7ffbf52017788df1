"""How each method is trained: the recipe of the reference figures, and a better one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LRScheduler, OneCycleLR

__all__ = ["RECIPES", "REFERENCE", "Recipe", "choose_recipe"]


@dataclass(frozen=True)
class Recipe:
    """The choices that make up a training; architecture, epochs and data are not among them.

    Attributes:
        name: The word by which it is chosen.
        batch_size: Subjects per step.
        lr: Largest learning rate of the generators.
        lr_discriminator: Largest learning rate of the discriminators.
        schedule: How the learning rate goes on: `constant`; `cosine`, from the largest down to 0;
            `one-cycle`, from a small one up to the largest and down to 0.
        flip: Whether slices are mirrored left to right at random, as heads are nearly symmetric.
        averaging: Decay per step of the running average of the generator's weights; 0 for the
            weights as they are.
        discriminator: `graded`, the one that the students write, or `patch`, which judges every
            part of the slice.
        strong_start: Whether the discriminators' first weights are drawn as by `strong_start`.
        lambda_gan: Weight of the adversarial loss.
        lambda_pixel: Weight of the mean absolute error (cGAN).
        lambda_cycle: Weight of the cycle loss (CycleGAN).
        standardise: Whether every slice is brought to the same mean brightness (CycleGAN).
        mean_pair_part: Part of the epochs, the first ones, that only see the deformed mean slices
            (CycleGAN).
        lambda_mean_pair: Weight of the error on deformed mean slices in all epochs (CycleGAN).
    """

    name: str = "reference"
    batch_size: int = 40
    lr: float = 2e-4
    lr_discriminator: float = 2e-4
    schedule: str = "constant"
    flip: bool = False
    averaging: float = 0.0
    discriminator: str = "graded"
    strong_start: bool = False
    lambda_gan: float = 1.0
    lambda_pixel: float = 1.0
    lambda_cycle: float = 1.0
    standardise: bool = False
    mean_pair_part: float = 0.0
    lambda_mean_pair: float = 0.0

    def __str__(self) -> str:
        """Name the recipe and the choices in which it differs from the published one."""
        choices = [f"batch size {self.batch_size}", f"learning rate {self.lr:g}"]
        choices += [
            f"{field.name.replace('_', ' ')} {getattr(self, field.name)}"
            for field in fields(self)
            if field.name not in ("name", "batch_size", "lr")
            and getattr(self, field.name) != field.default
        ]
        return f"{self.name!r}: {', '.join(choices)}."

    def scheduler(self, optimizer: Optimizer, num_step: int) -> LRScheduler:
        """Return the schedule of an optimizer; call its `step()` after each of `num_step` steps.

        Raises:
            ValueError: If there is no such schedule.
        """
        if self.schedule not in _SCHEDULES:
            raise ValueError(
                f"There is no schedule {self.schedule!r}: choose one of {', '.join(_SCHEDULES)}."
            )
        return _SCHEDULES[self.schedule](optimizer, num_step)


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

REFERENCE = Recipe()
"""The recipe of the published figures, the same for all methods."""

RECIPES = {
    "generator": {
        "reference": REFERENCE,
        "recommended": Recipe(
            "recommended",
            batch_size=2,
            lr=1e-3,
            schedule="one-cycle",
            flip=True,
            averaging=0.998,
        ),
    },
    "cgan": {
        "reference": REFERENCE,
        "recommended": Recipe(
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
        "reference": REFERENCE,
        "recommended": Recipe(
            "recommended",
            batch_size=8,
            schedule="cosine",
            flip=True,
            averaging=0.998,
            strong_start=True,
            lambda_gan=0.02,
            lambda_cycle=5.0,
            standardise=True,
            mean_pair_part=0.2,
            lambda_mean_pair=10.0,
        ),
    },
}
"""The recipes by method and name; `labhelpers experiments ablation` tells what each choice does."""


def choose_recipe(method: str, name: str = "recommended") -> Recipe:
    """Return a recipe of a method and say what it is.

    Used in the section "Set-up" of notebooks 2 to 4.

    Args:
        method: `generator`, `cgan` or `cyclegan`.
        name: `recommended`, or `reference` for the recipe of the published figures.

    Raises:
        ValueError: If there is no such method or recipe.
    """
    if method not in RECIPES:
        raise ValueError(f"There is no method {method!r}: choose one of {', '.join(RECIPES)}.")
    if name not in RECIPES[method]:
        names = ", ".join(RECIPES[method])
        raise ValueError(f"There is no recipe {name!r} for the {method}: choose one of {names}.")
    recipe = RECIPES[method][name]
    print(f"Recipe {recipe}")
    return recipe
