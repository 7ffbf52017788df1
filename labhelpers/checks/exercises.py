"""The coding exercises: what each is called and which probe tries it."""

from __future__ import annotations

from labhelpers.checks.cases import Probe
from labhelpers.checks.probes import data, losses, networks, steps

__all__ = ["PROBES", "WRITTEN_AS"]

#: What the student writes under this name: a function or a class.
WRITTEN_AS = {
    "make-dataloaders": "make_dataloaders",
    "intensity-statistics": "intensity_statistics",
    "mean-image": "mean_t2_image",
    "intensity-lookup": "fit_intensity_lookup",
    "generator-unet": "GeneratorUNet",
    "generator-step": "generator_step",
    "discriminator": "Discriminator",
    "cgan-generator-loss": "cgan_generator_loss",
    "cgan-discriminator-loss": "cgan_discriminator_loss",
    "cgan-step": "cgan_step",
    "discriminator-cycle": "DiscriminatorCycle",
    "cyclegan-generator-loss": "cyclegan_generator_loss",
    "cyclegan-discriminator-loss": "cyclegan_discriminator_loss",
    "cyclegan-step": "cyclegan_step",
}

PROBES = {
    "make-dataloaders": Probe(data.make_dataloaders),
    "intensity-statistics": Probe(data.intensity_statistics),
    "mean-image": Probe(data.mean_image),
    "intensity-lookup": Probe(data.intensity_lookup),
    "generator-unet": Probe(networks.generator_unet),
    "generator-step": Probe(steps.generator_step),
    "discriminator": Probe(networks.discriminator),
    "cgan-generator-loss": Probe(losses.cgan_generator_loss),
    "cgan-discriminator-loss": Probe(losses.cgan_discriminator_loss),
    "cgan-step": Probe(steps.cgan_step, calls_losses=True),
    "discriminator-cycle": Probe(networks.discriminator_cycle),
    "cyclegan-generator-loss": Probe(losses.cyclegan_generator_loss),
    "cyclegan-discriminator-loss": Probe(losses.cyclegan_discriminator_loss),
    "cyclegan-step": Probe(steps.cyclegan_step, calls_losses=True),
}
