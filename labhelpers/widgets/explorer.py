"""The explorer of notebooks 1 to 4: any subject, all methods, their errors, and a profile."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from labhelpers.data import MODALITIES, VOXEL_MM, subjects_of
from labhelpers.metrics import subject_metrics
from labhelpers.plots import compare_methods
from labhelpers.plots.figure import credit
from labhelpers.plots.slices import ERROR_SCALE
from labhelpers.widgets.widget import Widget, slice_sheet

__all__ = ["explorer"]

_METRICS = {"MAE": 4, "PSNR": 2, "SSIM": 3}  # decimals
_IN_STILL = 4  # subjects


def explorer(test_loader: DataLoader, predictions: Mapping[str, Tensor]) -> Widget:
    """Return a picture in which a student looks at every subject, as every method makes it.

    T1-w, true and generated T2-w slices share one window, which can be moved, and so can the row
    whose profile is drawn. Subjects come in the order of the loader, or worst first.

    Every slice is there in 256 greys, without loss: 116 subjects take 0.3 MB of the notebook for
    each modality and method.

    Args:
        test_loader: Test subjects, in order.
        predictions: Method -> generated T2-w slices `(N, 1, 64, 64)` in [-1, 1] of all of them.

    Raises:
        ValueError: If there is no prediction, or shapes differ.
    """
    batches = list(test_loader)
    t1, t2 = (torch.cat([batch[name] for batch in batches]) for name in MODALITIES)
    still = compare_methods(
        t1[:_IN_STILL],
        t2[:_IN_STILL],
        {name: fake[:_IN_STILL] for name, fake in predictions.items()},
    )
    metrics = {name: subject_metrics(t2, fake)[[*_METRICS]] for name, fake in predictions.items()}
    images = {"T1-w": _brightness(t1), "T2-w true": _brightness(t2)}
    images |= {name: _brightness(fake) for name, fake in predictions.items()}
    colours = matplotlib.colormaps[ERROR_SCALE.colours](np.linspace(0, 1, 256))
    data = {
        "sheets": {name: slice_sheet(slices) for name, slices in images.items()},
        "subjects": subjects_of(test_loader),
        "metrics": {
            name: {
                metric: table[metric].round(digits).tolist() for metric, digits in _METRICS.items()
            }
            for name, table in metrics.items()
        },
        "voxel": VOXEL_MM,
        "colours": (colours[:, :3] * 255).round().astype(int).tolist(),
        "largestError": ERROR_SCALE.high,
        "credit": credit(),
    }
    return Widget("explorer", data, [still])


def _brightness(slices: Tensor) -> NDArray[np.floating]:
    """Return slices `(N, 1, H, W)` in [-1, 1] as `(N, H, W)` in [0, 1]."""
    return (slices[:, 0].detach().cpu().float().numpy() + 1) / 2
