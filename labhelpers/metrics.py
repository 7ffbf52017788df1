"""Similarity of a generated image to the true one: historical and standard definitions."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pandas as pd
import torch
from torch import Tensor, nn
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

__all__ = [
    "evaluate_generator",
    "evaluating",
    "mean_absolute_error",
    "peak_signal_to_noise_ratio",
    "standard_metrics",
    "structural_similarity_index",
]


def _check_same_shape(real: Tensor, fake: Tensor) -> None:
    if real.shape != fake.shape:
        raise ValueError(
            f"The images to compare have different shapes: {tuple(real.shape)} and "
            f"{tuple(fake.shape)}. Broadcasting them would give a wrong figure without a word: "
            "give both the same shape, for instance with `expand_as`."
        )


def mean_absolute_error(real: Tensor, fake: Tensor) -> float:
    """Return the mean of |real - fake| over the whole tensor (0 is perfect).

    Used from notebook 1, section "Two baselines", on.

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

    This is the definition of the course's history: a peak of 1, although the images span
    [-1, 1]. With the actual range of 2 each figure would be 20 log10(2) = 6.02 dB higher,
    which is what `standard_metrics` gives.

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


def standard_metrics(real: Tensor, fake: Tensor) -> pd.DataFrame:
    """Return MAE, PSNR and windowed SSIM of each image, as the literature defines them.

    PSNR and SSIM come from torchmetrics, with the data range of 2 that images in [-1, 1] have
    and, for SSIM, the usual Gaussian window (sigma 1.5, 11 x 11 pixels). Used in notebook 2,
    section "What the metrics miss".

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
    psnr = peak_signal_noise_ratio(fake, real, data_range=2.0, dim=(1, 2, 3), reduction="none")
    ssim = structural_similarity_index_measure(fake, real, data_range=2.0, reduction="none")
    mae = (real - fake).abs().mean(dim=(1, 2, 3))
    columns = {"MAE": mae, "PSNR": psnr, "SSIM": ssim.reshape(-1)}
    # As float64: float32 would show 22.617998 in a table rounded to three digits.
    return pd.DataFrame({name: values.cpu().double().numpy() for name, values in columns.items()})


@contextmanager
def evaluating(generator: nn.Module) -> Iterator[torch.device]:
    """Run a generator without gradients, in evaluation mode; afterwards its mode is as it was.

    Args:
        generator: Any network, with or without weights.

    Yields:
        The device where the generator expects its images.
    """
    device = next((weight.device for weight in generator.parameters()), torch.device("cpu"))
    was_training = generator.training
    generator.eval()
    try:
        with torch.no_grad():
            yield device
    finally:
        generator.train(was_training)


def evaluate_generator(
    generator: nn.Module, train_loader: Iterable, test_loader: Iterable
) -> pd.DataFrame:
    """Return the historical metrics of a generator on both sets, averaged over the batches.

    A metric of a batch counts the whole batch as one image, so the figures depend (a little) on
    the batch size: compare them only at the default loaders, 40 for training and 5 for test.
    The generator's mode (training or evaluation) and device are left as they were.

    Used from notebook 1, section "Two baselines", on.

    Args:
        generator: Maps T1-w slices `(N, 1, 64, 64)` to T2-w slices of the same shape.
        train_loader: Batches `{"T1": ..., "T2": ...}` of training subjects.
        test_loader: The same for test subjects.

    Returns:
        Rows `MAE`, `PSNR`, `SSIM`; columns `Training set`, `Test set`.

    Raises:
        ValueError: If a loader is empty or the generator changes the shape.
    """
    with evaluating(generator) as device:
        columns = {
            name: _mean_over_batches(generator, loader, device, name)
            for name, loader in (("Training set", train_loader), ("Test set", test_loader))
        }
    return pd.DataFrame(columns)


def _mean_over_batches(
    generator: nn.Module, loader: Iterable, device: torch.device, name: str
) -> pd.Series:
    rows = []
    for batch in loader:
        real_t2 = batch["T2"].to(device)
        fake_t2 = generator(batch["T1"].to(device)).to(real_t2.dtype)
        rows.append(
            {
                "MAE": mean_absolute_error(real_t2, fake_t2),
                "PSNR": peak_signal_to_noise_ratio(real_t2, fake_t2),
                "SSIM": structural_similarity_index(real_t2, fake_t2),
            }
        )
    if not rows:
        raise ValueError(
            f"The loader of the {name.lower()} is empty: it must give a batch or more."
        )
    return pd.DataFrame(rows).mean()
