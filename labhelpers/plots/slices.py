"""Draw brain slices: pairs, grids of samples, methods side by side and maps of their errors."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from labhelpers.metrics import best_median_worst
from labhelpers.plots.figure import (
    AccessibleFigure,
    Frame,
    Scale,
    credit,
    draw_images,
    listed,
)

if TYPE_CHECKING:
    from labhelpers.data import IXIDataset

__all__ = [
    "ERROR_SCALE",
    "compare_methods",
    "error_maps",
    "extreme_subjects",
    "sample_grid",
    "save_sample_grid",
    "sensitivity_maps",
    "show_images",
    "show_pairs",
]

_MAX_COLUMNS = 10

# Always the same, so that the maps of different notebooks can be compared; larger errors are few.
ERROR_SCALE = Scale(0.0, 0.5, "cividis", "absolute error (no unit)", extend="max")
_SENSITIVITY_SCALE = Scale(0.0, 1.0, "magma", "sensitivity (1 = the largest of its map)")


def show_pairs(dataset: IXIDataset, subjects: int = 6) -> AccessibleFigure:
    """Show the T1-w slices of the first subjects above their T2-w slices.

    Args:
        dataset: The training or the test set, values in `[-1, 1]`.
        subjects: How many subjects, at most 10; all of them if the set has fewer.

    Raises:
        ValueError: If `subjects` is not between 1 and 10.
    """
    if not 1 <= subjects <= _MAX_COLUMNS:
        raise ValueError(f"subjects is {subjects}: choose a number from 1 to {_MAX_COLUMNS}.")
    ids = dataset.subjects[:subjects]
    alt = (
        f"Axial brain slices of {len(ids)} subjects ({', '.join(ids)}): T1-w in the upper row, "
        "T2-w of the same person below it. Fluid is dark in T1-w and bright in T2-w."
    )
    rows = {"T1-w": _to_numpy(dataset.t1[: len(ids), 0])}
    rows["T2-w"] = _to_numpy(dataset.t2[: len(ids), 0])
    return draw_images(rows, ids, "The same slice of the same person, T1-w and T2-w", alt)


def show_images(
    images: Mapping[str, torch.Tensor], title: str = "Slices on one grey scale"
) -> AccessibleFigure:
    """Show slices in a row, each under its name.

    Args:
        images: Name -> slice `(1, H, W)` or `(H, W)` in `[-1, 1]`, all of one size; at most 10.
        title: Title of the figure.

    Raises:
        ValueError: If there is no image, there are more than 10, or shapes are wrong or differ.
    """
    if not 1 <= len(images) <= _MAX_COLUMNS:
        raise ValueError(
            f"images holds {len(images)} slices: pass from 1 to {_MAX_COLUMNS}, as {{name: slice}}."
        )
    slices = {name: _one_slice(f"images[{name!r}]", image) for name, image in images.items()}
    first = next(iter(slices))
    for name, image in slices.items():
        _check_shapes(f"images[{name!r}]", image, f"images[{first!r}]", slices[first])
    alt = f"{title}. Axial brain slices, from left to right: {', '.join(images)}."
    return draw_images({"": np.concatenate(list(slices.values()))}, list(images), title, alt)


def sample_grid(
    real_t1: torch.Tensor,
    fake_t2: torch.Tensor,
    real_t2: torch.Tensor,
    title: str = "Generated slices beside the true ones",
) -> AccessibleFigure:
    """Show T1-w, generated T2-w and true T2-w slices, one column per subject.

    Args:
        real_t1: T1-w slices `(N, 1, H, W)` in `[-1, 1]`; the first 10 are shown.
        fake_t2: What the generator made of them, same shape.
        real_t2: The true T2-w slices, same shape.
        title: Title of the figure.

    Raises:
        ValueError: If a shape is wrong or the three differ.
    """
    rows, alt = _samples(real_t1, fake_t2, real_t2, title)
    return draw_images(rows, _numbers(rows["T2-w true"]), title, alt)


def save_sample_grid(
    path: str | Path,
    real_t1: torch.Tensor,
    fake_t2: torch.Tensor,
    real_t2: torch.Tensor,
    title: str | None = None,
) -> Path:
    """Save `sample_grid` to a PNG file and return its path.

    A training does so after every epoch: all but the slices and the title is drawn only once.

    Args:
        path: Name of the file, ending in `.png`; missing folders are made.
        real_t1: T1-w slices `(N, 1, H, W)` in `[-1, 1]`; the first 10 are shown.
        fake_t2: What the generator made of them, same shape.
        real_t2: The true T2-w slices, same shape.
        title: Title of the figure; made of the names of folder and file if not given.

    Raises:
        ValueError: If a shape is wrong, the three differ, or the name does not end in `.png`.
    """
    path = Path(path)
    if title is None:
        title = f"{path.parent.name} {path.stem.replace('-', ' ')}".strip()
    rows, alt = _samples(real_t1, fake_t2, real_t2, title)
    as_wide = re.sub(r"\d", "0", title)
    frame = _frame(tuple(rows), rows["T2-w true"].shape, as_wide, credit())
    return frame.save(path, list(rows.values()), title, f"{alt} {credit()}.")


@functools.lru_cache(maxsize=1)
def _frame(rows: tuple[str, ...], shape: tuple[int, ...], title: str, credit: str) -> Frame:
    """Return what is around slices of one shape; `credit` is what stands under them."""
    empty = np.zeros(shape)
    return Frame(draw_images(dict.fromkeys(rows, empty), _numbers(empty), title, ""))


def _samples(
    real_t1: torch.Tensor, fake_t2: torch.Tensor, real_t2: torch.Tensor, title: str
) -> tuple[dict[str, np.ndarray], str]:
    """Return the rows of a grid of samples and its alternative text."""
    true = _slices("real_t2", real_t2)
    source = _slices("real_t1", real_t1, true)
    fake = _slices("fake_t2", fake_t2, true)
    alt = (
        f"{title}. Brain slices of {_count(true)}, one per column; from top to bottom the T1-w "
        "input, the generated T2-w and the true T2-w. Mean absolute error of the generated "
        f"slices: {np.abs(fake - true).mean():.3f}."
    )
    return {"T1-w (input)": source, "T2-w generated": fake, "T2-w true": true}, alt


def compare_methods(
    real_t1: torch.Tensor, real_t2: torch.Tensor, predictions: Mapping[str, torch.Tensor]
) -> AccessibleFigure:
    """Show what each method made of the same subjects, between the T1-w input and the truth.

    Args:
        real_t1: T1-w slices `(N, 1, H, W)` in `[-1, 1]`; the first 10 are shown.
        real_t2: The true T2-w slices, same shape.
        predictions: Method -> generated T2-w slices, same shape.

    Raises:
        ValueError: If there is no prediction, a shape is wrong or shapes differ.
    """
    true = _slices("real_t2", real_t2)
    methods = _by_method(predictions, true)
    rows = {"T1-w (input)": _slices("real_t1", real_t1, true), **methods, "T2-w true": true}
    alt = (
        f"T2-w slices of {_count(true)}, one per column, made by {len(methods)} methods; "
        f"rows from top to bottom: {', '.join(rows)}."
    )
    return draw_images(rows, _numbers(true), "The same slices made by every method", alt)


def extreme_subjects(
    slices: Mapping[str, torch.Tensor], subjects: pd.DataFrame, metric: str = "PSNR"
) -> AccessibleFigure:
    """Show the subjects for whom a method is best, middling and worst.

    Args:
        slices: What `metrics.generate` returned.
        subjects: What `metrics.subject_metrics` returned for them.
        metric: The column by which the subjects are ranked.
    """
    chosen = best_median_worst(subjects, metric)
    rows = list(chosen.values())
    images = {name: _slices(name, batch[rows]) for name, batch in slices.items()}
    places = {
        "T1-w (input)": images["real_t1"],
        "T2-w generated": images["fake_t2"],
        "T2-w true": images["real_t2"],
    }
    names = [f"{word}: {subjects[metric][row]:.4g}" for word, row in chosen.items()]
    title = f"The best, the median and the worst subject by {metric}"
    alt = (
        f"{title} ({', '.join(names)}), one per column; from top to bottom the T1-w input, the "
        "generated T2-w and the true T2-w slice."
    )
    return draw_images(places, names, title, alt)


def error_maps(real_t2: torch.Tensor, predictions: Mapping[str, torch.Tensor]) -> AccessibleFigure:
    """Show where each method is wrong: |true - generated|, one row per method.

    The colour scale runs from 0 to 0.5 in every notebook; larger errors share the last colour.

    Args:
        real_t2: The true T2-w slices `(N, 1, H, W)` in `[-1, 1]`; the first 10 are shown.
        predictions: Method -> generated T2-w slices, same shape.

    Raises:
        ValueError: If there is no prediction, a shape is wrong or shapes differ.
    """
    true = _slices("real_t2", real_t2)
    errors = {name: np.abs(fake - true) for name, fake in _by_method(predictions, true).items()}
    means = {name: f"{error.mean():.3f}" for name, error in errors.items()}
    alt = (
        f"Maps of the absolute error of {_count(true)}, one per column, one row per method. "
        f"Mean absolute error of the slices shown: {listed(means)}."
    )
    rows = {f"{name}\nmean {means[name]}": error for name, error in errors.items()}
    title = "Absolute error |true \N{MINUS SIGN} generated| of each voxel"
    return draw_images(rows, _numbers(true), title, alt, ERROR_SCALE)


def sensitivity_maps(
    image: torch.Tensor, maps: Mapping[str, torch.Tensor], title: str = "What the logit depends on"
) -> AccessibleFigure:
    """Show how strongly an output depends on each voxel, beside the slice itself.

    Each map is divided by its own largest value: maps show where, not how much.

    Args:
        image: A slice `(1, H, W)` or `(H, W)` in `[-1, 1]`.
        maps: Name -> sensitivity of each voxel, at least 0, such as the absolute gradient; shape
            as `image`; at most 9.
        title: Title of the figure.

    Raises:
        ValueError: If there is no map, there are more than 9, or shapes are wrong or differ.
    """
    if not 1 <= len(maps) < _MAX_COLUMNS:
        raise ValueError(
            f"maps holds {len(maps)} maps: pass from 1 to {_MAX_COLUMNS - 1}, as {{name: map}}."
        )
    first = _one_slice("image", image)
    columns, words = [first], []
    for name, sensitivity in maps.items():
        found = _one_slice(f"maps[{name!r}]", sensitivity)
        _check_shapes(f"maps[{name!r}]", found, "image", first)
        largest = np.abs(found).max()
        columns.append(np.abs(found) / largest if largest else found)
        share = (columns[-1] > 0.1).mean()
        words.append(f"{name}: above a tenth of its largest value in {share:.0%} of the voxels.")
    alt = f"{title}. A brain slice, and beside it maps of sensitivity. " + " ".join(words)
    names = ["the slice", *maps]
    return draw_images(
        {"": np.concatenate(columns)}, names, title, alt, _SENSITIVITY_SCALE, plain_columns=1
    )


def _slices(name: str, images: torch.Tensor, like: np.ndarray | None = None) -> np.ndarray:
    """Return the first slices of a batch `(N, 1, H, W)` as an array `(n, H, W)`, n at most 10.

    Raises:
        ValueError: If it is no such batch, or `like` is given and has another shape.
    """
    if images.ndim != 4 or images.shape[1] != 1 or len(images) == 0:
        raise ValueError(
            f"{name} has shape {tuple(images.shape)}: expected (N, 1, H, W), a batch of at least "
            "one slice with one channel. A single slice becomes a batch with slice[None]."
        )
    slices = _to_numpy(images[:_MAX_COLUMNS, 0])
    if like is not None:
        _check_shapes(name, slices, "real_t2", like)
    return slices


def _one_slice(name: str, image: torch.Tensor) -> np.ndarray:
    """Return a slice `(1, H, W)` or `(H, W)` as an array `(1, H, W)`, or raise a ValueError."""
    if image.ndim == 2:
        image = image[None]
    if image.ndim != 3 or len(image) != 1:
        raise ValueError(
            f"{name} has shape {tuple(image.shape)}: expected (1, H, W) or (H, W), one slice. "
            "Take one slice of a batch with batch[0]."
        )
    return _to_numpy(image)


def _by_method(predictions: Mapping[str, torch.Tensor], true: np.ndarray) -> dict[str, np.ndarray]:
    """Return the first generated slices of each method, checked against the true ones."""
    if not predictions:
        raise ValueError("predictions is empty: pass {method: generated slices}, one at least.")
    return {
        name: _slices(f"predictions[{name!r}]", fake, true) for name, fake in predictions.items()
    }


def _check_shapes(name: str, images: np.ndarray, other: str, like: np.ndarray) -> None:
    """Raise a ValueError that names both arrays if their shapes differ."""
    if images.shape != like.shape:
        raise ValueError(
            f"{name} and {other} do not match: {images.shape} and {like.shape} (slices, H, W). "
            "Pass slices of the same subjects and of the same size."
        )


def _to_numpy(images: torch.Tensor) -> np.ndarray:
    return torch.as_tensor(images).detach().cpu().float().numpy()


def _count(slices: np.ndarray) -> str:
    return "1 test subject" if len(slices) == 1 else f"{len(slices)} test subjects"


def _numbers(slices: np.ndarray) -> list[str]:
    return [f"subject {i + 1}" for i in range(len(slices))]
