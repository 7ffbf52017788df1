"""The list of the coding exercises; everything else reads it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from labhelpers.checks import fixtures
from labhelpers.checks.cases import Case, Setting
from labhelpers.checks.explanations import audit as explained_audit
from labhelpers.checks.explanations import clinic as explained_clinic
from labhelpers.checks.explanations import lesions as explained_lesions
from labhelpers.checks.explanations import loaders, lookup, mean_image
from labhelpers.checks.explanations import losses as explained_losses
from labhelpers.checks.explanations import networks as explained_networks
from labhelpers.checks.explanations import steps as explained_steps
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
        written_out: The accepted ways, by their names in the table, that do without one of them.
        arguments: Names of the arguments of a function in their order, separated by spaces; empty
            for a class, or with one or none.
        returns: The values that an answer returns (a class: its `forward`), each in words, with
            `Tensor` where nothing else will do.
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
    written_out: Collection[str] = ()
    arguments: str = ""
    returns: Mapping[str, type] = field(default_factory=dict)
    read: Callable[[Observed, Setting], Observed] = _as_it_is
    explain: Callable[[Any, list[Run]], Explanation | None] = _unexplained
    write_files: Callable[[Path, Setting], None] = _no_files

    @property
    def check_name(self) -> str:
        """Name of its function in `labhelpers.checks`."""
        return self.id.replace("-", "_")


_STEP_OF_LOOP: Losses = {"generator_step": fixtures.generator_step}
_LOSSES_OF_PAIR: Losses = {
    "cgan_generator_loss": fixtures.cgan_generator_loss,
    "cgan_discriminator_loss": fixtures.cgan_discriminator_loss,
}
_LOSSES_OF_CYCLE: Losses = {
    "cyclegan_generator_loss": fixtures.cyclegan_generator_loss,
    "cyclegan_discriminator_loss": fixtures.cyclegan_discriminator_loss,
}
_WRITTEN_OUT = ("generator loss written out", "discriminator loss written out")
_LOSS = {"the loss, a tensor without dimensions": Tensor}
_DIAGNOSES = {"the dictionary of the diagnoses": object}

_IN_TEACHING_ORDER = [
    # Notebook 1
    Exercise(
        "make-dataloaders",
        "make_dataloaders",
        data.make_dataloaders,
        arguments="root batch_size",
        returns={"the training loader": object, "the test loader": object},
        read=data.read_dataloaders,
        explain=loaders.make_dataloaders,
        write_files=data.write_slices,
    ),
    Exercise(
        "audit-split",
        "audit_split",
        audit.audit_split,
        arguments="train_set test_set",
        returns={"the set of the problems": object},
        read=audit.read_audit,
        explain=explained_audit.audit_split,
        write_files=audit.write_pairs,
    ),
    Exercise(
        "mean-image",
        "mean_t2_image",
        data.mean_image,
        returns={"the average slice, a tensor (1, 64, 64)": Tensor},
        explain=mean_image.mean_image,
    ),
    Exercise(
        "intensity-lookup",
        "fit_intensity_lookup",
        data.intensity_lookup,
        arguments="dataset n_bins",
        returns={"the mean of each bin, a tensor (n_bins,)": Tensor},
        explain=lookup.intensity_lookup,
    ),
    # Notebook 2
    Exercise(
        "generator-unet",
        "GeneratorUNet",
        networks.generator_unet,
        returns={"the images, a tensor (N, out_channels, 64, 64)": Tensor},
        explain=explained_networks.generator_unet,
    ),
    Exercise(
        "generator-step",
        "generator_step",
        steps.generator_step,
        arguments="generator optimizer criterion real_t1 real_t2",
        returns=_LOSS,
        explain=explained_steps.generator_step,
    ),
    Exercise(
        "train-generator",
        "train_generator",
        loops.train_generator,
        _STEP_OF_LOOP,
        arguments="generator train_loader validation_loader num_epoch lr",
        returns={"the history, a pandas DataFrame": object},
    ),
    # Notebook 3
    Exercise(
        "discriminator",
        "Discriminator",
        networks.discriminator,
        returns={"the logits, a tensor (N, 1, 1, 1)": Tensor},
        explain=explained_networks.discriminator,
    ),
    Exercise(
        "cgan-generator-loss",
        "cgan_generator_loss",
        losses.cgan_generator_loss,
        arguments="discriminator real_t1 real_t2 fake_t2 lambda_gan lambda_pixel",
        returns=_LOSS,
        explain=explained_losses.cgan_generator_loss,
    ),
    Exercise(
        "cgan-discriminator-loss",
        "cgan_discriminator_loss",
        losses.cgan_discriminator_loss,
        arguments="discriminator real_t1 real_t2 fake_t2",
        returns=_LOSS,
        explain=explained_losses.cgan_discriminator_loss,
    ),
    Exercise(
        "cgan-step",
        "cgan_step",
        steps.cgan_step,
        _LOSSES_OF_PAIR,
        _WRITTEN_OUT,
        arguments="generator discriminator optimizer_generator "
        "optimizer_discriminator real_t1 real_t2 lambda_gan lambda_pixel",
        returns={"the generator's loss": Tensor, "the discriminator's loss": Tensor},
        explain=explained_steps.cgan_step,
    ),
    Exercise(
        "clinic-cgan",
        "clinic_cgan",
        clinic.clinic_cgan,
        returns=_DIAGNOSES,
        explain=explained_clinic.clinic,
    ),
    # Notebook 4
    Exercise(
        "cyclegan-generator-loss",
        "cyclegan_generator_loss",
        losses.cyclegan_generator_loss,
        arguments="generator_t1_to_t2 generator_t2_to_t1 discriminator_t1 "
        "discriminator_t2 real_t1 real_t2 lambda_gan lambda_cycle",
        returns={"the loss": Tensor, "the generated T1": Tensor, "the generated T2": Tensor},
        explain=explained_losses.cyclegan_generator_loss,
    ),
    Exercise(
        "cyclegan-step",
        "cyclegan_step",
        steps.cyclegan_step,
        _LOSSES_OF_CYCLE,
        _WRITTEN_OUT,
        arguments="generators discriminators optimizer_generators "
        "optimizer_discriminators real_t1 real_t2 lambda_gan lambda_cycle",
        returns={"the generators' loss": Tensor, "the discriminators' loss": Tensor},
        explain=explained_steps.cyclegan_step,
    ),
    Exercise(
        "lesion-contrast",
        "lesion_contrast",
        lesions.lesion_contrast,
        arguments="images lesion_masks surround_masks",
        returns={"the contrasts, a tensor (N,)": Tensor},
        explain=explained_lesions.lesion_contrast,
    ),
    Exercise(
        "clinic-cyclegan",
        "clinic_cyclegan",
        clinic.clinic_cyclegan,
        returns=_DIAGNOSES,
        explain=explained_clinic.clinic,
    ),
]

#: All exercises by id, in teaching order.
EXERCISES = {exercise.id: exercise for exercise in _IN_TEACHING_ORDER}
