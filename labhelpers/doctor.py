"""Look at the losses and the slices of a training for signs that something went wrong."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from torch import Tensor

__all__ = ["Finding", "Findings", "doctor"]

_DISCRIMINATORS = {"discriminator": 1, "discriminators": 2}  # how many losses each column adds up
_TRAINED = ("generator", "generators", "training")  # losses that a training makes smaller
_SMOOTH = 3  # epochs that are averaged before curves are compared
_ENOUGH = 2 * _SMOOTH  # epochs for a comparison of two parts of a curve

# Limits. Chosen on one seed of planted faults and healthy trainings, reported on others:
# `labhelpers experiments doctor`.
_NEAR_CHANCE = 0.02  # relative distance from ln 2
_STILL = 0.05  # relative change of a loss in all epochs
_STUCK = 0.015  # the same in the second half of them
_RISE = 0.03  # relative rise of the validation loss above its lowest value
_INVERTED = -0.2  # correlation with the true slice inside the head
_LIKE_T1 = 0.5  # correlation with the T1-w slice inside the head
_OWN = 0.15  # correlation of what sets generated and true slices apart from their mean slices
_AIR = -0.9  # below it a voxel of a T1-w slice counts as air


class Finding(NamedTuple):
    """Something conspicuous.

    Attributes:
        name: What it is called.
        seen: What was seen, with its number.
        meaning: What it can mean.
        advice: What to try.
    """

    name: str
    seen: str
    meaning: str
    advice: str


class Findings(list[Finding]):
    """A list of findings that shows itself as text, with how much was looked at if it is empty."""

    def __init__(self, findings: Iterable[Finding], n_epochs: int, n_subjects: int) -> None:
        super().__init__(findings)
        self._looked_at = n_epochs, n_subjects

    def __repr__(self) -> str:
        """Return the findings as paragraphs."""
        if not self:
            n_epochs, n_subjects = self._looked_at
            epochs = f"{n_epochs} epoch{'s' * (n_epochs != 1)}"
            few = f" {epochs} say little about losses: it takes {_ENOUGH}."
            return (
                f"Doctor: nothing conspicuous in the losses of {epochs} and in the slices of "
                f"{n_subjects} subject{'s' * (n_subjects != 1)}.{few * (n_epochs < _ENOUGH)}"
            )
        return "\n\n".join(
            f"Doctor: {name}\n  Seen: {seen}\n  It can mean: {meaning}\n  Try: {advice}"
            for name, seen, meaning, advice in self
        )

    def _repr_html_(self) -> str:
        if not self:
            return f"<p>{self!r}</p>"
        return "".join(
            f"<p><b>Doctor: {html.escape(name)}</b><br>"
            + "<br>".join(
                f"{label}: {html.escape(text)}"
                for label, text in zip(("Seen", "It can mean", "Try"), texts, strict=True)
            )
            + "</p>"
            for name, *texts in self
        )


def doctor(history: pd.DataFrame, samples: Mapping[str, Tensor]) -> Findings:
    """Return what is conspicuous about a training; nothing if all looks healthy.

    A healthy look proves nothing: test subjects in the training set, for example, show nowhere in
    these numbers but in a validation loss that is too good.

    Args:
        history: One row per epoch, as `training.load_history` returns it. What is looked at are the
            columns `generator`, `generators`, `training`, `discriminator`, `discriminators` and
            `validation`, those of them that there are.
        samples: `real_t1`, `fake_t2` and `real_t2` of some test subjects, each `(N, 1, H, W)`, as
            `metrics.generate` returns them.
    """
    findings = [*_of_losses(history), *_of_slices(samples)]
    return Findings(findings, len(history), len(samples["fake_t2"]))


def _of_losses(history: pd.DataFrame) -> Iterator[Finding]:
    for name, number in _DISCRIMINATORS.items():
        yield from _of_discriminators(_curve(history, name), number)
    for name in _TRAINED:
        yield from _of_trained(name, _curve(history, name))
    yield from _of_validation(_curve(history, "validation"))


def _curve(history: pd.DataFrame, name: str) -> np.ndarray:
    """Return the finite values of a column, none if there is no such column."""
    if name not in history:
        return np.empty(0)
    values = pd.to_numeric(history[name], errors="coerce").to_numpy(float)
    return values[np.isfinite(values)]


def _of_discriminators(losses: np.ndarray, number: int) -> Iterator[Finding]:
    if len(losses) < _SMOOTH:
        return
    relative = losses / (number * math.log(2))
    last = losses[-(len(losses) // 3 + 1) :].mean()
    if abs(last / (number * math.log(2)) - 1) > _NEAR_CHANCE:
        return
    chance = "ln 2" if number == 1 else "2 ln 2"
    farthest = losses[np.abs(relative - 1).argmax()]
    left = abs(farthest / (number * math.log(2)) - 1) > 5 * _NEAR_CHANCE
    story = (
        f"it was away from it before ({farthest:.3f})"
        if left
        else f"it never was far from it (farthest: {farthest:.3f})"
    )
    likelier = "beaten" if left else "blind"
    yield Finding(
        "discriminator at ln 2",
        f"the loss of the discriminator{'s' * (number > 1)} is {last:.3f} at the end, {chance} is "
        f"{number * math.log(2):.3f}; {story}",
        "the discriminator is blind (it does not see what differs, or does not learn), or it is "
        f"beaten (there is nothing left to tell). From the curve, {likelier} is likelier.",
        "train the discriminator alone against fixed, bad slices such as the mean image: if it "
        "stays at ln 2, it is blind. Draw the gradient of its answer with respect to the image.",
    )


def _of_trained(name: str, losses: np.ndarray) -> Iterator[Finding]:
    if len(losses) < _SMOOTH:
        return
    later = losses[-(len(losses) // 2) :]
    still = _change(losses) < _STILL
    if not still and (len(losses) < _ENOUGH or _change(later) > _STUCK):
        return
    losses = losses if still else later
    yield Finding(
        "a loss that does not move",
        f"the loss {name!r} stays between {losses.min():.3f} and {losses.max():.3f} in "
        f"the last {len(losses)} epochs",
        "the weights do not change (the optimizer holds another network, makes no step, or the "
        "gradients are cleared before it), or the outputs are stuck at -1 or 1 (a learning rate "
        "that is far too high).",
        "compare a weight before and after one step; then train on one single batch: its loss has "
        "to fall.",
    )


def _change(losses: np.ndarray) -> float:
    """Return the distance between the largest and the smallest loss, relative to their mean."""
    return float((losses.max() - losses.min()) / max(abs(losses.mean()), 1e-12))


def _of_validation(losses: np.ndarray) -> Iterator[Finding]:
    if len(losses) < _ENOUGH:
        return
    smooth = np.convolve(losses, np.ones(_SMOOTH) / _SMOOTH, "valid")
    lowest = int(smooth.argmin())
    rise = smooth[-1] / max(smooth[lowest], 1e-12) - 1
    if rise < _RISE:
        return
    yield Finding(
        "a validation loss that rises",
        f"the validation loss is {smooth[-1]:.4f} at the end, {rise:.0%} above its lowest value "
        f"of {smooth[lowest]:.4f} near epoch {lowest + 1 + _SMOOTH // 2}",
        "the network learns its training subjects by heart, or the learning rate is so high that "
        "the training falls apart.",
        "keep the weights of the best epoch, train for fewer epochs, mirror the slices, or take "
        "more subjects; look at the training loss: if it rises, too, lower the learning rate.",
    )


def _of_slices(samples: Mapping[str, Tensor]) -> Iterator[Finding]:
    t1, fake, true = (
        samples[name].detach().cpu().float().flatten(1).numpy()
        for name in ("real_t1", "fake_t2", "real_t2")
    )
    if len(fake) == 0:
        yield Finding(
            "no slices to look at",
            "there are slices of 0 subjects",
            "the loader holds no subjects.",
            "generate slices of some test subjects.",
        )
        return
    if not np.isfinite(fake).all():
        yield Finding(
            "slices that hold no numbers",
            f"{1 - np.isfinite(fake).mean():.0%} of the voxels are not finite",
            "a weight became infinite or nan during the training.",
            "lower the learning rate; look for the first loss that is not finite.",
        )
        return
    heads = t1 > _AIR
    like_t2, like_t1 = (
        float(np.median([_correlation(a[m], b[m]) for a, b, m in zip(fake, x, heads, strict=True)]))
        for x in (true, t1)
    )
    if like_t2 < _INVERTED or like_t1 > max(_LIKE_T1, like_t2):
        yield Finding(
            "inverted contrast",
            f"inside the head, generated slices have a correlation of {like_t2:.2f} with the true "
            f"ones and of {like_t1:.2f} with the T1-w slices (median subject)",
            "what should be bright is dark: slices were scaled upside down, input and target were "
            "exchanged, or nothing tells the generator which tissue is bright.",
            "show a training slice beside what the dataset gives for it; look for a sign in the "
            "scaling; without pairs, ask what fixes the contrast.",
        )
    elif len(fake) >= _SMOOTH:
        own = _correlation((fake - fake.mean(axis=0)).ravel(), (true - true.mean(axis=0)).ravel())
        if own < _OWN:
            yield Finding(
                "collapse to the mean",
                "what sets a subject's generated slice apart from the mean has a correlation of "
                f"{own:.2f} with what sets the true one apart",
                "the slices do not follow the subject: the pairs were mixed up, the target is "
                "another person's slice, or the training has hardly begun.",
                "look whether T1-w and T2-w of a batch are of one person; compare with the mean "
                "image; train longer.",
            )


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return the correlation of two samples, 0 where one of them does not vary."""
    if one.size < 2 or one.std() < 1e-6 or other.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
