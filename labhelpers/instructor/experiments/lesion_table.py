"""Measure lesions, invented structures and ventricles in the stored slices."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pandas as pd
from scipy.stats import chi2
from torch import Tensor
from torch.utils.data import DataLoader

from labhelpers import stored
from labhelpers.data import IXIDataset
from labhelpers.download import fetch_ixi
from labhelpers.instructor.sources import read_solutions, run_source
from labhelpers.lesions import (
    dice,
    invented_structures,
    mask_areas,
    paint_lesions,
    ventricle_masks,
)
from labhelpers.metrics import paired_bootstrap, subject_metrics, with_intervals
from labhelpers.results import generated_slices

__all__ = ["MEAN_IMAGE", "SIZES", "count_interval", "measure_anatomy", "stored_slices"]

SIZES = (1, 2, 3, 4)
"""Diameters of the painted lesions in voxels."""

MEAN_IMAGE, _MOVED = "mean-image", "moved"
"""What the methods are compared with: the mean T2-w image of the training subjects, which knows
nothing of the person; and the true slices moved by half a voxel, in which nothing is invented."""

_LEAST = (0.5, 0.25)  # contrast from which an invented structure counts, as a part of a lesion's
_PLACES = {"MAE": 4, "PSNR": 2, "SSIM": 3}

_Slices = dict[int, Tensor]  # by the size of the lesion in the T1-w slice, 0 for none


def stored_slices(test_set: IXIDataset, train_set: IXIDataset) -> dict[str, _Slices]:
    """Return the generated slices of each stored method and of the mean image.

    Args:
        test_set: The test subjects.
        train_set: The training subjects.
    """
    loader = DataLoader(test_set, batch_size=5)
    mean_image = train_set.t2.mean(dim=0).expand_as(test_set.t2)
    everything = {MEAN_IMAGE: dict.fromkeys((0, *SIZES), mean_image)}
    for name in stored.VALUES:
        method, _, recipe = name.partition("-")
        everything[name] = {}
        for size in (0, *SIZES):
            slices, source = generated_slices(
                method, recipe, test_loader=loader, lesion_size=size or None
            )
            assert slices is not None, source
            everything[name][size] = slices
    return everything


def measure_anatomy() -> dict[str, list[dict[str, Any]]]:
    """Return what the stored slices keep, invent and change, as rows for the file of figures.

    `lesions`: by method and size, the part of a lesion's true contrast that the generated slice
    has, with its interval over the test subjects, and the share of lesions with half of it or more.
    `invented`: structures per slice that the true one lacks. `anatomy`: PSNR and ventricles.
    `differences`: of the metrics of each two methods on the same subjects.
    """
    root = fetch_ixi()
    test_set, train_set = IXIDataset(root, "test"), IXIDataset(root, "train")
    everything = stored_slices(test_set, train_set)
    painted = {size: paint_lesions(test_set.t1, test_set.t2, size) for size in SIZES}
    truth = {0: (test_set.t1, test_set.t2)}
    truth |= {size: (lesions.t1, lesions.t2) for size, lesions in painted.items()}
    rows: dict[str, list[dict[str, Any]]] = {
        "lesions": _kept(everything, painted),
        "invented": _invented(everything | {_MOVED: _moved(truth)}, truth),
        "anatomy": [
            {"name": name, **_ventricles(slices[0], test_set.t2)}
            for name, slices in everything.items()
        ],
        "differences": [],
    }
    subjects = {
        name: subject_metrics(test_set.t2, slices[0])[list(_PLACES)]
        for name, slices in everything.items()
    }
    for row in rows["anatomy"]:
        row["PSNR"] = round(float(subjects[row["name"]]["PSNR"].mean()), 2)
    for first, second in combinations(stored.VALUES, 2):
        for metric, row in paired_bootstrap(subjects[second], subjects[first]).iterrows():
            places = _PLACES[str(metric)]
            rows["differences"].append(
                {"name": second, "less": first, "metric": metric, **row.round(places).to_dict()}
            )
    return rows


def _kept(everything: dict[str, _Slices], painted: dict[int, Any]) -> list[dict[str, Any]]:
    """Return the rows of `lesions`."""
    solution = read_solutions()["lesion-contrast"]
    contrast = run_source(solution.source)["lesion_contrast"]
    rows = []
    for name, slices in everything.items():
        for size, lesions in painted.items():
            masks = lesions.lesion_masks, lesions.surround_masks
            kept = contrast(slices[size], *masks) / contrast(lesions.t2, *masks)
            interval = with_intervals(pd.DataFrame({"kept": kept.double()})).loc["kept"].round(3)
            seen = {"seen": round((kept >= 0.5).double().mean().item(), 3), "slices": len(kept)}
            rows.append({"name": name, "size": size, **interval.to_dict(), **seen})
    return rows


def _invented(
    everything: dict[str, _Slices], truth: dict[int, tuple[Tensor, Tensor]]
) -> list[dict[str, Any]]:
    """Return the rows of `invented`: without lesions, and with one of any size in each slice."""
    rows = []
    for name, slices in everything.items():
        for least in _LEAST:
            counts = {
                size: int(invented_structures(slices[size], t2, t1, least).sum())
                for size, (t1, t2) in truth.items()
            }
            for lesions, count, n_slices in (
                ("none", counts[0], len(slices[0])),
                ("painted", sum(counts[size] for size in SIZES), len(SIZES) * len(slices[0])),
            ):
                low, high = (round(bound / n_slices, 3) for bound in count_interval(count))
                rows.append(
                    {"name": name, "lesions": lesions, "least": least, "count": count,
                     "slices": n_slices, "low": low, "high": high}
                )  # fmt: skip
    return rows


def count_interval(count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a Poisson mean by the count that was seen (Garwood, 1936).

    A bootstrap of counts that are all 0 has no width; this interval has.
    """
    tail = (1 - confidence) / 2
    low = float(chi2.ppf(tail, 2 * count) / 2) if count else 0.0
    return low, float(chi2.ppf(1 - tail, 2 * count + 2) / 2)


def _ventricles(fake_t2: Tensor, real_t2: Tensor) -> dict[str, float]:
    """Return Dice with its interval; area (mm²), its bias and the limits of agreement."""
    fake, real = ventricle_masks(fake_t2), ventricle_masks(real_t2)
    overlap = with_intervals(pd.DataFrame({"dice": dice(fake, real).double()})).loc["dice"].round(3)
    difference = mask_areas(fake) - mask_areas(real)
    bias, spread = difference.mean().item(), 1.96 * difference.std().item()
    areas = {
        "area": mask_areas(real).mean().item(),
        "bias": bias,
        "lower": bias - spread,
        "upper": bias + spread,
    }
    return {
        "dice": float(overlap["mean"]),
        "low": float(overlap["low"]),
        "high": float(overlap["high"]),
        **{name: round(value) for name, value in areas.items()},
    }


def _moved(truth: dict[int, tuple[Tensor, Tensor]]) -> _Slices:
    """Return the true T2-w slices, moved by half a voxel along x (linear interpolation)."""
    return {size: (t2 + t2.roll(1, dims=-2)) / 2 for size, (_, t2) in truth.items()}
