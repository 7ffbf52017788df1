"""Metrics: how similar generated slices are to the true ones.

The historical definitions are those of the earlier version of this lab, kept so that results can be
compared with its own; the standard definitions are those of the literature.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from labhelpers.waiting import NotThereYet

__all__ = [
    "best_median_worst",
    "evaluate_generator",
    "evaluating",
    "generate",
    "mean_absolute_error",
    "paired_bootstrap",
    "peak_signal_to_noise_ratio",
    "sharpness",
    "standard_metrics",
    "structural_similarity_index",
    "subject_metrics",
    "with_intervals",
]

_N_RESAMPLES = 2000  # of the bootstrap

# --- Definitions ----------------------------------------------------------------------------------


def mean_absolute_error(real: Tensor, fake: Tensor) -> float:
    """Return the mean of |real - fake| over the whole tensor (0 is perfect).

    Args:
        real: True images, any shape, values in [-1, 1].
        fake: Generated images, same shape.

    Raises:
        ValueError: If the shapes differ.
    """
    _check_same_shape(real, fake)
    return (real - fake).abs().mean().item()


def peak_signal_to_noise_ratio(real: Tensor, fake: Tensor) -> float:
    """Return -10 log10 of the mean squared error, in dB (higher is better).

    This is the historical definition, with a peak of 1 although the images span [-1, 1]. With
    the actual range of 2, which `standard_metrics` takes, each value is 20 log10(2) = 6.02 dB
    higher.

    Args:
        real: True images, any shape, values in [-1, 1].
        fake: Generated images, same shape.

    Raises:
        ValueError: If the shapes differ.
    """
    _check_same_shape(real, fake)
    return (-10 * torch.log10((real - fake).square().mean())).item()


def structural_similarity_index(
    real: Tensor, fake: Tensor, C1: float = 0.01, C2: float = 0.03
) -> float:
    """Return the structural similarity over the whole tensor at once (1 is perfect).

    The formula of Wang et al., "Image quality assessment: from error visibility to structural
    similarity", IEEE Transactions on Image Processing 13(4), 2004, but with one mean, variance
    and covariance for all voxels in place of those of a sliding window, and with `C1`, `C2`
    taken as they are. Variances have the n - 1 divisor, the covariance the n divisor.

    Args:
        real: True images, any shape, values in [-1, 1].
        fake: Generated images, same shape.
        C1: Keeps the ratio of the means finite.
        C2: Keeps the ratio of the variances finite.

    Raises:
        ValueError: If the shapes differ.
    """
    _check_same_shape(real, fake)
    mean_real, mean_fake = real.mean(), fake.mean()
    covariance = ((real - mean_real) * (fake - mean_fake)).mean()
    luminance = (2 * mean_real * mean_fake + C1) / (mean_real**2 + mean_fake**2 + C1)
    structure = (2 * covariance + C2) / (real.var() + fake.var() + C2)
    return (luminance * structure).item()


def _historical(real: Tensor, fake: Tensor) -> dict[str, float]:
    """Return the three historical metrics of a whole tensor."""
    return {
        "MAE": mean_absolute_error(real, fake),
        "PSNR": peak_signal_to_noise_ratio(real, fake),
        "SSIM": structural_similarity_index(real, fake),
    }


def _check_same_shape(real: Tensor, fake: Tensor) -> None:
    """Raise a ValueError if the shapes differ."""
    if real.shape != fake.shape:
        raise ValueError(
            f"The images to compare have different shapes: {tuple(real.shape)} and "
            f"{tuple(fake.shape)}. Broadcasting them would give a wrong value without a warning: "
            "give both the same shape, for instance with `expand_as`."
        )


def standard_metrics(real: Tensor, fake: Tensor) -> pd.DataFrame:
    """Return MAE, PSNR and windowed SSIM of each image, as the literature defines them.

    PSNR and SSIM come from torchmetrics, with the data range of 2 that images in [-1, 1] have
    and, for SSIM, the usual Gaussian window (sigma 1.5, 11 x 11 pixels).

    Args:
        real: True images `(N, C, H, W)`, values in [-1, 1].
        fake: Generated images, same shape.

    Returns:
        One row per image, columns `MAE`, `PSNR`, `SSIM`; average them with `.mean()`.

    Raises:
        ValueError: If the shapes differ or are not `(N, C, H, W)`.
    """
    _check_same_shape(real, fake)
    if real.ndim != 4:
        raise ValueError(
            f"The standard metrics need images of shape (N, C, H, W), not {tuple(real.shape)}: "
            "add the missing axes with `unsqueeze`."
        )
    real, fake = real.float(), fake.float()
    # It takes seconds to import, and the checks do not need it.
    from torchmetrics.functional import image

    psnr = image.peak_signal_noise_ratio(
        fake, real, data_range=2.0, dim=(1, 2, 3), reduction="none"
    )
    ssim = image.structural_similarity_index_measure(fake, real, data_range=2.0, reduction="none")
    assert isinstance(ssim, Tensor)  # a tuple with `return_full_image` only
    mae = (real - fake).abs().mean(dim=(1, 2, 3))
    columns = {"MAE": mae, "PSNR": psnr, "SSIM": ssim.reshape(-1)}
    # As float64: float32 would show 22.617998 in a table rounded to three digits.
    return pd.DataFrame({name: values.cpu().double().numpy() for name, values in columns.items()})


def sharpness(real_t2: Tensor, fake_t2: Tensor) -> float:
    """Return how much neighbouring voxels differ, compared with the true slices: 1 is as sharp.

    The mean absolute difference of neighbours in the generated slices, divided by that in the true
    ones (the total variation of Rudin, Osher and Fatemi, 1992). Noise counts as sharp, too: read it
    beside an error and look at the images.

    Args:
        real_t2: True slices `(N, 1, H, W)`.
        fake_t2: Generated slices, same shape.
    """
    return (_variation(fake_t2) / _variation(real_t2)).item()


def _variation(slices: Tensor) -> Tensor:
    """Return the mean absolute difference of neighbours along x plus that along y."""
    return slices.diff(dim=-1).abs().mean() + slices.diff(dim=-2).abs().mean()


# --- Per subject ----------------------------------------------------------------------------------


def subject_metrics(real_t2: Tensor, fake_t2: Tensor) -> pd.DataFrame:
    """Return the metrics of each subject, by the historical and by the standard definition.

    Here every slice counts as one image. `evaluate_generator` counts a batch as one, so its
    historical values differ a little from the mean over the subjects.

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
    table = pd.DataFrame(map(_historical, real_t2, fake_t2))
    for name in ("PSNR", "SSIM"):
        table[f"{name} standard"] = standard[name]
    return table


def with_intervals(subjects: pd.DataFrame, confidence: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """Return mean and confidence interval of each column, by bootstrap over the subjects.

    The interval says how far the mean would move with other subjects of the same kind (Efron and
    Tibshirani, "An introduction to the bootstrap", 1993; bias-corrected and accelerated). It knows
    nothing of another training, another scanner or patients.

    Args:
        subjects: One row per subject, as `subject_metrics` returns it; at least two.
        confidence: Probability that the interval holds the true mean.
        seed: Seed of the resampling.

    Returns:
        One row per metric, columns `mean`, `low`, `high`.
    """
    from scipy.stats import bootstrap  # it takes seconds to import, too

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


def paired_bootstrap(
    subjects_a: pd.DataFrame, subjects_b: pd.DataFrame, confidence: float = 0.95, seed: int = 0
) -> pd.DataFrame:
    """Return the mean differences of two methods on the same subjects, with confidence intervals.

    Some subjects are harder than others for every method. Two separate intervals hold this spread
    twice; the difference of each subject is free of it. An interval without 0 says that the order
    of the two would be the same with other subjects of the same kind. Like `with_intervals` it
    knows nothing of another training. Percentiles of the means of subjects drawn with replacement
    (Efron and Tibshirani, "An introduction to the bootstrap", 1993).

    Args:
        subjects_a: One row per subject, as `subject_metrics` returns it.
        subjects_b: The same of another method, on the same subjects in the same order.
        confidence: Probability that the interval holds the true mean difference.
        seed: Seed of the resampling.

    Returns:
        One row per metric, columns `difference` (mean of a - b), `low`, `high`.

    Raises:
        ValueError: If the two tables do not have the same rows and columns.
    """
    if not (
        subjects_a.index.equals(subjects_b.index) and subjects_a.columns.equals(subjects_b.columns)
    ):
        raise ValueError(
            f"The tables have the shapes {subjects_a.shape} and {subjects_b.shape}, or other names "
            "of rows or columns: paired differences need the same metrics of the same subjects. "
            "Make both with subject_metrics from the slices of one test set."
        )
    differences = subjects_a - subjects_b
    n_subjects = len(differences)
    draws = np.random.default_rng(seed).integers(n_subjects, size=(_N_RESAMPLES, n_subjects))
    means = differences.to_numpy()[draws].mean(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    columns = {"difference": differences.mean(), "low": low, "high": high}
    return pd.DataFrame(columns, index=differences.columns)


def best_median_worst(subjects: pd.DataFrame, metric: str = "PSNR") -> dict[str, int]:
    """Return the rows of the subjects with the best, the median and the worst value of a metric.

    Args:
        subjects: One row per subject, as `subject_metrics` returns it.
        metric: Name of a column.
    """
    order = subjects[metric].to_numpy().argsort()
    if metric != "MAE":  # the others are better when larger
        order = order[::-1]
    return {"best": int(order[0]), "median": int(order[len(order) // 2]), "worst": int(order[-1])}


# --- For a generator ------------------------------------------------------------------------------


@contextmanager
def evaluating(generator: nn.Module | None) -> Iterator[torch.device]:
    """Run a generator without gradients, in evaluation mode; afterwards its mode is as it was.

    Args:
        generator: Any network, with or without weights.

    Yields:
        The device where the generator expects its images.

    Raises:
        NotThereYet: If there is no network, since it was not trained yet.
    """
    if generator is None:
        raise NotThereYet("This cell waits for a trained network: run the cell that trains it.")
    device = next((weight.device for weight in generator.parameters()), torch.device("cpu"))
    was_training = generator.training
    generator.eval()
    try:
        with torch.no_grad():
            yield device
    finally:
        generator.train(was_training)


def generate(generator: nn.Module, loader: Iterable) -> dict[str, Tensor]:
    """Return all slices of a loader together with what a generator makes of them.

    The generator's mode (training or evaluation) and device are left as they were.

    Args:
        generator: Maps T1-w slices `(N, 1, 64, 64)` to T2-w slices of the same shape.
        loader: Batches `{"T1": ..., "T2": ...}`, at least one.

    Returns:
        `real_t1`, `real_t2` and `fake_t2`, each `(N, 1, 64, 64)`, on the CPU, all of the type of
        the true slices.

    Raises:
        ValueError: If the loader is empty.
    """
    batches = zip(*_run(generator, loader, "slices"), strict=True)
    real_t1, real_t2, fake_t2 = (torch.cat(slices) for slices in batches)
    return {"real_t1": real_t1, "real_t2": real_t2, "fake_t2": fake_t2}


def evaluate_generator(
    generator: nn.Module, train_loader: Iterable, test_loader: Iterable
) -> pd.DataFrame:
    """Return the historical metrics of a generator on both sets, averaged over the batches.

    A metric of a batch counts the whole batch as one image, so the values depend (a little) on
    the batch size: compare them only at the default loaders, 40 for training and 5 for test.
    The generator's mode (training or evaluation) and device are left as they were.

    Args:
        generator: Maps T1-w slices `(N, 1, 64, 64)` to T2-w slices of the same shape.
        train_loader: Batches `{"T1": ..., "T2": ...}` of training subjects.
        test_loader: The same for test subjects.

    Returns:
        Rows `MAE`, `PSNR`, `SSIM`; columns `Training set`, `Test set`.

    Raises:
        ValueError: If a loader is empty or the generator changes the shape.
    """
    loaders = {"Training set": train_loader, "Test set": test_loader}
    columns = {}
    for name, loader in loaders.items():
        batches = _run(generator, loader, name.lower())
        rows = [_historical(real_t2, fake_t2) for _, real_t2, fake_t2 in batches]
        columns[name] = pd.DataFrame(rows).mean()
    return pd.DataFrame(columns)


def _run(
    generator: nn.Module, loader: Iterable[dict[str, Tensor]], name: str
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return the T1-w, the true T2-w and the generated T2-w slices of every batch, on the CPU.

    Raises:
        ValueError: If the loader is empty; `name` says which one it is.
    """
    with evaluating(generator) as device:
        batches = [
            (batch["T1"], batch["T2"], generator(batch["T1"].to(device)).to(batch["T2"]))
            for batch in loader
        ]
    if not batches:
        raise ValueError(f"The loader of the {name} is empty: it must give a batch or more.")
    return batches
