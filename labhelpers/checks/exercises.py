"""The coding exercises: what each is called and which probe tries it."""

from __future__ import annotations

from labhelpers.checks import probe_data, probe_loss, probe_network, probe_step
from labhelpers.checks.probing import Probe

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
    "make-dataloaders": Probe(probe_data.make_dataloaders),
    "intensity-statistics": Probe(probe_data.intensity_statistics),
    "mean-image": Probe(probe_data.mean_image),
    "intensity-lookup": Probe(probe_data.intensity_lookup),
    "generator-unet": Probe(probe_network.generator_unet),
    "generator-step": Probe(probe_step.generator_step),
    "discriminator": Probe(probe_network.discriminator),
    "cgan-generator-loss": Probe(probe_loss.cgan_generator_loss),
    "cgan-discriminator-loss": Probe(probe_loss.cgan_discriminator_loss),
    "cgan-step": Probe(probe_step.cgan_step, calls_losses=True),
    "discriminator-cycle": Probe(probe_network.discriminator_cycle),
    "cyclegan-generator-loss": Probe(probe_loss.cyclegan_generator_loss),
    "cyclegan-discriminator-loss": Probe(probe_loss.cyclegan_discriminator_loss),
    "cyclegan-step": Probe(probe_step.cyclegan_step, calls_losses=True),
}
