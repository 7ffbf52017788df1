"""The list of the coding exercises; everything else reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labhelpers.checks import fixtures
from labhelpers.checks.cases import Case, Setting
from labhelpers.checks.explanations import losses as explained_losses
from labhelpers.checks.explanations import networks as explained_networks
from labhelpers.checks.probes import audit, clinic, data, lesions, loops, losses, networks, steps
from labhelpers.checks.records import Explanation, Observed, Run

__all__ = ["EXERCISES", "Exercise", "Losses"]

#: Loss functions by the name under which an answer calls them.
Losses = Mapping[str, Callable[..., Any]]


def _as_it_is(observed: Observed, setting: Setting) -> Observed:
    return observed


def _unexplained(answer: Any, runs: list[Run]) -> Explanation | None:
    return None


def _no_files(folder: Path, setting: Setting) -> None:
    pass


@dataclass(frozen=True)
class Exercise:
    """A coding exercise.

    Attributes:
        id: The `grade_id` of its cell. Its check is called the same, with underscores.
        name: The function or class that the student writes.
        cases: Makes the cases in which an answer is tried in a setting.
        losses: Functions of earlier cells that the answer may call, by name, each with the fixture
            that takes its place, so that a wrong loss or step costs its own points only. Such an
            answer is tried with the student's own, too.
        read: Turns what the probes observed into what the items look at; the verdict calls it.
        explain: Tries an answer further and returns what is wrong with it, None if it is right or
            if that cannot be read off. It gets what the answer did on the visible cases, and runs
            in the sandbox, for the visible check only: it may quote all that it sees.
        write_files: Writes the files that the cases read into an empty folder. The grader calls it
            outside the kernel of a submission, which is not told the seed.
    """

    id: str
    name: str
    cases: Callable[[Any, Setting], Iterable[Case]]
    losses: Losses = field(default_factory=dict)
    read: Callable[[Observed, Setting], Observed] = _as_it_is
    explain: Callable[[Any, list[Run]], Explanation | None] = _unexplained
    write_files: Callable[[Path, Setting], None] = _no_files

    @property
    def check_name(self) -> str:
        """Name of its function in `labhelpers.checks`."""
        return self.id.replace("-", "_")


_STEP_OF_LOOP: Losses = {"generator_step": fixtures.step_of_generator}
_LOSSES_OF_PAIR: Losses = {
    "cgan_generator_loss": fixtures.generator_loss_of_pair,
    "cgan_discriminator_loss": fixtures.discriminator_loss_of_pair,
}
_LOSSES_OF_CYCLE: Losses = {
    "cyclegan_generator_loss": fixtures.generator_loss_of_cycle,
    "cyclegan_discriminator_loss": fixtures.discriminator_loss_of_one,
}

_IN_TEACHING_ORDER = [
    # Notebook 1
    Exercise(
        "make-dataloaders",
        "make_dataloaders",
        data.make_dataloaders,
        read=data.read_dataloaders,
        write_files=data.write_slices,
    ),
    Exercise(
        "audit-split",
        "audit_split",
        audit.audit_split,
        read=audit.read_audit,
        write_files=audit.write_pairs,
    ),
    Exercise("mean-image", "mean_t2_image", data.mean_image),
    Exercise("intensity-lookup", "fit_intensity_lookup", data.intensity_lookup),
    # Notebook 2
    Exercise(
        "generator-unet",
        "GeneratorUNet",
        networks.generator_unet,
        explain=explained_networks.generator_unet,
    ),
    Exercise("generator-step", "generator_step", steps.generator_step),
    Exercise("train-generator", "train_generator", loops.train_generator, _STEP_OF_LOOP),
    # Notebook 3
    Exercise(
        "discriminator",
        "Discriminator",
        networks.discriminator,
        explain=explained_networks.discriminator,
    ),
    Exercise(
        "cgan-generator-loss",
        "cgan_generator_loss",
        losses.cgan_generator_loss,
        explain=explained_losses.cgan_generator_loss,
    ),
    Exercise(
        "cgan-discriminator-loss",
        "cgan_discriminator_loss",
        losses.cgan_discriminator_loss,
        explain=explained_losses.cgan_discriminator_loss,
    ),
    Exercise("cgan-step", "cgan_step", steps.cgan_step, _LOSSES_OF_PAIR),
    Exercise("clinic-cgan", "clinic_cgan", clinic.clinic_cgan),
    # Notebook 4
    Exercise(
        "cyclegan-generator-loss",
        "cyclegan_generator_loss",
        losses.cyclegan_generator_loss,
        explain=explained_losses.cyclegan_generator_loss,
    ),
    Exercise("cyclegan-step", "cyclegan_step", steps.cyclegan_step, _LOSSES_OF_CYCLE),
    Exercise("lesion-contrast", "lesion_contrast", lesions.lesion_contrast),
    Exercise("clinic-cyclegan", "clinic_cyclegan", clinic.clinic_cyclegan),
]

#: All exercises by id, in teaching order.
EXERCISES = {exercise.id: exercise for exercise in _IN_TEACHING_ORDER}
