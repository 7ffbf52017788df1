"""Measure the lab's way of training against the plain one, side by side in one run."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from torch.utils.flop_counter import FlopCounterMode

from labhelpers.data import IXIDataset
from labhelpers.fast import Accelerated, gains_from_bfloat16
from labhelpers.instructor.experiments.measure import in_new_process, peak_growth, seconds
from labhelpers.instructor.experiments.published import FilesDataset, Step, plain_step
from labhelpers.instructor.experiments.trials import training_loader, working_folder
from labhelpers.instructor.sources import TRAINING_NOTEBOOKS, given_source, run_source
from labhelpers.recipes import find_recipe

__all__ = ["benchmark_training"]

PLAIN, FLOAT32, BFLOAT16 = "plain", "lab, float32", "lab, bfloat16"


def benchmark_training(root: Path, repeats: int = 5) -> dict[str, Any]:
    """Time steps of each method, their batch included, with the variants taking turns.

    Networks, losses, batch size and number of steps are the same in all variants.

    Args:
        root: Folder of slices.
        repeats: Steps of each variant; the medians are reported.

    Returns:
        The largest speed of a matrix product by type (GFLOP/s), and by method and variant:
        `seconds` per step, `steps_per_s`, `ratio` to the plain variant, `gflop` per step,
        `share_of_peak`, and `memory_mb` that a process took for a few steps.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    variants = [PLAIN, FLOAT32, *([BFLOAT16] if gains_from_bfloat16(device) else [])]
    peaks = {variant: _peak_speed(_dtype(variant), device) for variant in variants[1:]}
    peaks[PLAIN] = peaks[FLOAT32]
    results: dict[str, Any] = {"device": _name(device), "peaks": peaks}
    for method in TRAINING_NOTEBOOKS:
        steps = {variant: _step_with_batch(method, variant, root, device) for variant in variants}
        work = {}
        for variant, step in steps.items():  # the first step warms up and is counted
            with FlopCounterMode(display=False) as counter:
                step()
            work[variant] = counter.get_total_flops() / 1e9
        times: dict[str, list[float]] = {variant: [] for variant in variants}
        for _ in range(repeats):
            for variant, step in steps.items():
                times[variant].append(seconds(step, device))
        medians = {variant: statistics.median(values) for variant, values in times.items()}
        results[method] = {
            variant: {
                "seconds": median,
                "steps_per_s": 1 / median,
                "ratio": medians[PLAIN] / median,
                "gflop": work[variant],
                "share_of_peak": work[variant] / median / peaks[variant],
                "memory_mb": in_new_process(_memory, method, variant, root),
            }
            for variant, median in medians.items()
        }
    return results


def _step_with_batch(
    method: str, variant: str, root: Path, device: torch.device
) -> Callable[[], None]:
    """Return a function that takes the next batch and makes one step on it."""
    names = run_source(given_source(TRAINING_NOTEBOOKS[method]))
    dataset: Any = IXIDataset(root)
    recipe = find_recipe(method, "reference")
    n_batches = len(dataset) // recipe.batch_size
    whole = range(n_batches * recipe.batch_size)  # so that all steps have the same work
    if variant == PLAIN:
        loader = recipe.loader(Subset(FilesDataset(root, dataset.subjects), whole))
        step = plain_step(method, names, device)
    else:
        loader = training_loader(method, names, Subset(dataset, whole), recipe)
        step = _lab_step(method, names, loader, use_bfloat16=variant == BFLOAT16)
    batches = _endless(loader)

    def run() -> None:
        batch = next(batches)
        step(batch["T1"].to(device), batch["T2"].to(device))

    return run


class _FirstStep(Exception):
    """Ends a training at its first step, with what the step was to be called with."""


def _lab_step(method: str, names: dict[str, Any], loader: DataLoader, use_bfloat16: bool) -> Step:
    """Return the notebook's own step with what its training function hands to it."""
    own_step = names[f"{method}_step"]

    def first_step(*arguments: Any, **options: Any) -> None:
        raise _FirstStep(arguments, options)

    others = {
        "Accelerated": partial(Accelerated, use_bfloat16=use_bfloat16),
        f"{method}_step": first_step,
    }
    with patch.dict(names, others), TemporaryDirectory() as folder, working_folder(Path(folder)):
        try:
            with redirect_stdout(StringIO()):
                names[f"train_{method}"](loader, loader, num_epoch=1)
        except _FirstStep as seen:
            arguments, options = seen.args
    *trained, _, _ = arguments  # the last two are the slices
    return lambda t1, t2: own_step(*trained, t1, t2, **options)


def _endless(loader: Iterable[dict[str, Tensor]]) -> Iterator[dict[str, Tensor]]:
    while True:
        yield from loader


def _dtype(variant: str) -> torch.dtype:
    return torch.bfloat16 if variant == BFLOAT16 else torch.float32


def _peak_speed(dtype: torch.dtype, device: torch.device) -> float:
    """Return the largest speed of a square matrix product (GFLOP/s) among a few."""
    size = 2048 if device.type == "cpu" else 8192
    matrix = torch.randn(size, size, device=device).to(dtype)
    fastest = min(seconds(lambda: matrix @ matrix, device) for _ in range(7))
    return 2 * size**3 / fastest / 1e9


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"


def _memory(method: str, variant: str, root: Path) -> float:
    """Measure the memory (MB) that networks, optimizers and three steps take."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def train() -> None:
        step = _step_with_batch(method, variant, root, device)
        for _ in range(3):
            step()

    if device.type == "cuda":
        train()
        return torch.cuda.max_memory_allocated(device) / 1e6
    return peak_growth(train)
