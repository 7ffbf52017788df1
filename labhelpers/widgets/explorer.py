"""The explorer of notebooks 1 to 4: any subject, all methods, their errors, and a profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import pandas as pd
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

_ROOM = 970_000  # characters for the slices of all subjects
_METRICS = {"MAE": 4, "PSNR": 2, "SSIM": 3}  # decimals
_IN_STILL = 4  # subjects


def explorer(
    test_loader: DataLoader,
    predictions: Mapping[str, Tensor],
    subjects: Sequence[int] | None = None,
) -> Widget:
    """Return a picture in which a student looks at every subject, as every method makes it.

    T1-w, true and generated T2-w slices share one window, which can be moved, and so can the row
    whose profile is drawn. Subjects come in the order of the loader, or worst first.

    Args:
        test_loader: Test subjects, in order.
        predictions: Method -> generated T2-w slices `(N, 1, 64, 64)` in [-1, 1] of all of them.
        subjects: Places of the subjects to show, from 0. By default all, or, where their slices
            would make the notebook too large (about 1.3 MB), as many of them as find room: those
            nearest to the best or the worst of a method.

    Raises:
        ValueError: If there is no prediction, shapes differ, or there is no such subject.
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
    chosen = (
        _chosen(subjects, len(t1)) if subjects is not None else _that_find_room(images, metrics)
    )
    names = subjects_of(test_loader)
    colours = matplotlib.colormaps[ERROR_SCALE.colours](np.linspace(0, 1, 256))
    data = {
        "sheets": {name: slice_sheet(slices[chosen]) for name, slices in images.items()},
        "subjects": [names[place] for place in chosen],
        "metrics": {
            name: {
                metric: table[metric].iloc[chosen].round(digits).tolist()
                for metric, digits in _METRICS.items()
            }
            for name, table in metrics.items()
        },
        "total": len(t1),
        "voxel": VOXEL_MM,
        "colours": (colours[:, :3] * 255).round().astype(int).tolist(),
        "largestError": ERROR_SCALE.high,
        "credit": credit(),
    }
    return Widget("explorer", data, [still])


def _brightness(slices: Tensor) -> NDArray[np.floating]:
    """Return slices `(N, 1, H, W)` in [-1, 1] as `(N, H, W)` in [0, 1]."""
    return (slices[:, 0].detach().cpu().float().numpy() + 1) / 2


def _chosen(subjects: Sequence[int], total: int) -> list[int]:
    """Return the places of the subjects that are asked for, or raise a ValueError."""
    if not subjects or min(subjects) < 0 or max(subjects) >= total:
        raise ValueError(
            f"subjects is {list(subjects)}: give one place or more, each from 0 to {total - 1}."
        )
    return list(subjects)


def _that_find_room(
    images: Mapping[str, NDArray[np.floating]], metrics: Mapping[str, pd.DataFrame]
) -> list[int]:
    """Return the places of the subjects whose slices find room: the best and the worst first."""
    total = len(next(iter(images.values())))
    size = sum(len(slice_sheet(slices)) for slices in images.values())
    ranks = pd.concat({name: table["MAE"].rank() for name, table in metrics.items()}, axis=1)
    from_the_ends = np.minimum(ranks - 1, total - ranks).min(axis=1)
    kept = from_the_ends.argsort(kind="stable")[: max(1, total * _ROOM // max(size, _ROOM))]
    return sorted(kept.tolist())
