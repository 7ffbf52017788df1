"""Check the exercises: one function per exercise, each prints a report and returns the points.

Every check has two halves. `probe` runs the answer and writes down what it did, in plain values;
`verdict` compares these with the numbers that right answers give, which come from a data file. So
a clean process, which never saw the answer, can make the verdict, and no answer is stored here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from labhelpers.checks.exercises import WRITTEN_AS
from labhelpers.checks.report import Report, show
from labhelpers.checks.runner import probe
from labhelpers.checks.verdict import verdict

__all__ = [
    "Report",
    "cgan_discriminator_loss",
    "cgan_generator_loss",
    "cgan_step",
    "cyclegan_discriminator_loss",
    "cyclegan_generator_loss",
    "cyclegan_step",
    "discriminator",
    "discriminator_cycle",
    "generator_step",
    "generator_unet",
    "intensity_lookup",
    "intensity_statistics",
    "make_dataloaders",
    "mean_image",
    "probe",
    "verdict",
]

_nudged: dict[str, set[str]] = defaultdict(set)  # mistakes that were recognised before, by exercise


def _check(exercise: str) -> Callable[..., float]:
    """Make the check of one exercise."""

    def check(answer: object, points: float = 1.0, variant: str = "visible") -> float:
        record = probe(exercise, answer, variant)
        report = verdict(exercise, record, points, nudged=_nudged[exercise])
        _nudged[exercise].update(report.mistakes)
        show(report)
        return report.score

    check.__name__ = check.__qualname__ = exercise.replace("-", "_")
    check.__doc__ = f"""Check the exercise `{exercise}`, print a report and return the points.

    The answer may fail, print, warn or run for ever: the check tells so and never raises.

    Args:
        answer: Your `{WRITTEN_AS[exercise]}`, itself, not a call of it.
        points: Points for a right answer.
        variant: `"visible"`, or `"hidden"` for the probes used when grading.

    Returns:
        A plain float from 0 to `points`; a partly right answer earns a part of them.
    """
    return check


# Notebook 1
make_dataloaders = _check("make-dataloaders")
intensity_statistics = _check("intensity-statistics")
mean_image = _check("mean-image")
intensity_lookup = _check("intensity-lookup")
# Notebook 2
generator_unet = _check("generator-unet")
generator_step = _check("generator-step")
# Notebook 3
discriminator = _check("discriminator")
cgan_generator_loss = _check("cgan-generator-loss")
cgan_discriminator_loss = _check("cgan-discriminator-loss")
cgan_step = _check("cgan-step")
# Notebook 4
discriminator_cycle = _check("discriminator-cycle")
cyclegan_generator_loss = _check("cyclegan-generator-loss")
cyclegan_discriminator_loss = _check("cyclegan-discriminator-loss")
cyclegan_step = _check("cyclegan-step")
