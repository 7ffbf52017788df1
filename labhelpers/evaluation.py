"""Evaluate a method subject by subject: both definitions of the metrics, intervals, sharpness."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import torch
from scipy.stats import bootstrap
from torch import Tensor, nn

from labhelpers.metrics import (
    evaluating,
    mean_absolute_error,
    peak_signal_to_noise_ratio,
    standard_metrics,
    structural_similarity_index,
)

__all__ = [
    "best_median_worst",
    "generate",
    "sharpness",
    "subject_metrics",
    "with_intervals",
]

_N_RESAMPLES = 2000


def generate(generator: nn.Module, loader: Iterable) -> dict[str, Tensor]:
    """Return all slices of a loader together with what a generator makes of them.

    The generator's mode (training or evaluation) and device are left as they were.

    Used in the section "Evaluation" of notebooks 2 to 4.

    Args:
        generator: Maps T1-w slices `(N, 1, 64, 64)` to T2-w slices of the same shape.
        loader: Batches `{"T1": ..., "T2": ...}`, at least one.

    Returns:
        `real_t1`, `real_t2` and `fake_t2`, each `(N, 1, 64, 64)`, float32, on the CPU.
    """
    with evaluating(generator) as device:
        rows = [
            (batch["T1"], batch["T2"], generator(batch["T1"].to(device)).float().cpu())
            for batch in loader
        ]
    real_t1, real_t2, fake_t2 = (torch.cat(slices) for slices in zip(*rows, strict=True))
    return {"real_t1": real_t1, "real_t2": real_t2, "fake_t2": fake_t2}


def subject_metrics(real_t2: Tensor, fake_t2: Tensor) -> pd.DataFrame:
    """Return the metrics of each subject, by the historical and by the standard definition.

    The historical ones are those of `metrics`, here of one slice at a time, where the course's
    tables take a batch for one image; so their mean over the subjects differs a little.

    Used in the section "Evaluation" of notebooks 2 to 4.

    Args:
        real_t2: True slices `(N, 1, H, W)`, values in [-1, 1].
        fake_t2: Generated slices, same shape.

    Returns:
        One row per subject; columns `MAE`, `PSNR`, `SSIM`, `PSNR standard`, `SSIM standard` (the
        MAE is the same in both).

    Raises:
        ValueError: If the shapes differ or are not `(N, C, H, W)`.
    """
    standard = standard_metrics(real_t2, fake_t2)
    historical = {
        "MAE": mean_absolute_error,
        "PSNR": peak_signal_to_noise_ratio,
        "SSIM": structural_similarity_index,
    }
    table = pd.DataFrame(
        {
            name: [metric(real, fake) for real, fake in zip(real_t2, fake_t2, strict=True)]
            for name, metric in historical.items()
        }
    )
    for name in ("PSNR", "SSIM"):
        table[f"{name} standard"] = standard[name]
    return table


def with_intervals(subjects: pd.DataFrame, confidence: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """Return mean and confidence interval of each column, by bootstrap over the subjects.

    The interval says how far the mean would move with other subjects of the same kind (Efron and
    Tibshirani, "An introduction to the bootstrap", 1993; bias-corrected and accelerated). It knows
    nothing of another training, another scanner or patients.

    Used in the section "Evaluation" of notebooks 2 to 4.

    Args:
        subjects: One row per subject, as `subject_metrics` returns it; at least two.
        confidence: Probability that the interval holds the true mean.
        seed: Seed of the resampling.

    Returns:
        One row per metric, columns `mean`, `low`, `high`.
    """
    interval = bootstrap(
        (subjects.to_numpy(),),
        np.mean,
        n_resamples=_N_RESAMPLES,
        axis=0,
        confidence_level=confidence,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    columns = {"mean": subjects.mean(), "low": interval.low, "high": interval.high}
    return pd.DataFrame(columns, index=subjects.columns)


def best_median_worst(subjects: pd.DataFrame, metric: str = "PSNR") -> dict[str, int]:
    """Return the rows of the subjects with the best, the median and the worst value of a metric.

    Used in the section "Evaluation" of notebooks 2 to 4.

    Args:
        subjects: One row per subject, as `subject_metrics` returns it.
        metric: Name of a column.
    """
    order = subjects[metric].to_numpy().argsort()
    if metric != "MAE":  # the others are better when larger
        order = order[::-1]
    return {"best": int(order[0]), "median": int(order[len(order) // 2]), "worst": int(order[-1])}


def sharpness(real_t2: Tensor, fake_t2: Tensor) -> float:
    """Return how much neighbouring voxels differ, compared with the true slices: 1 is as sharp.

    The mean absolute difference of neighbours in the generated slices, divided by that in the true
    ones (the total variation of Rudin, Osher and Fatemi, 1992). Noise counts as sharp, too: read it
    beside an error and look at the images.

    Used in notebook 3, section "A discriminator that looks everywhere".

    Args:
        real_t2: True slices `(N, 1, H, W)`.
        fake_t2: Generated slices, same shape.
    """
    return (_variation(fake_t2) / _variation(real_t2)).item()


def _variation(slices: Tensor) -> Tensor:
    return slices.diff(dim=-1).abs().mean() + slices.diff(dim=-2).abs().mean()
