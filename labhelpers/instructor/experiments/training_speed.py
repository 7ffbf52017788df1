"""Measure the lab's way of training against the plain one, side by side in one run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from itertools import chain, repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import Mock, patch

import torch
from torch.utils.data import DataLoader, Subset
from torch.utils.flop_counter import FlopCounterMode

from labhelpers.data import IXIDataset
from labhelpers.fast import Accelerated, gains_from_bfloat16
from labhelpers.instructor.experiments.measure import (
    in_new_process,
    median_seconds,
    peak_growth,
    seconds,
)
from labhelpers.instructor.experiments.published import FilesDataset, Step, plain_step
from labhelpers.instructor.experiments.trials import training_loader, working_folder
from labhelpers.instructor.sources import (
    TRAINING_FUNCTIONS,
    TRAINING_NOTEBOOKS,
    given_source,
    run_source,
)
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
        `device`; `peaks`, the largest speed of a matrix product by variant (GFLOP/s); and `steps`,
        one row per method and variant: `seconds`, `share_of_peak`, and `memory_mb` that a process
        took for a few steps.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    peaks = {FLOAT32: _peak_speed(torch.float32, device)}
    if gains_from_bfloat16(device):
        peaks[BFLOAT16] = _peak_speed(torch.bfloat16, device)
    rows = []
    for method in TRAINING_NOTEBOOKS:
        steps = {
            variant: _step_with_batch(method, variant, root, device) for variant in (PLAIN, *peaks)
        }
        gflop = {}
        for variant, step in steps.items():
            with FlopCounterMode(display=False) as counter:
                step()
            gflop[variant] = counter.get_total_flops() / 1e9
        for variant, seconds_per_step in median_seconds(steps, repeats, device).items():
            peak = peaks.get(variant, peaks[FLOAT32])
            row = {
                "method": method,
                "variant": variant,
                "seconds": seconds_per_step,
                "share_of_peak": gflop[variant] / seconds_per_step / peak,
                "memory_mb": round(in_new_process(_memory, method, variant, root, device)),
            }
            rows.append(row)
    cpu = f"CPU, {torch.get_num_threads()} threads"
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else cpu
    return {"device": name, "peaks": peaks, "steps": rows}


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
    batches = chain.from_iterable(repeat(loader))  # without end

    def run() -> None:
        batch = next(batches)
        step(batch["T1"].to(device), batch["T2"].to(device))

    return run


def _lab_step(method: str, names: dict[str, Any], loader: DataLoader, use_bfloat16: bool) -> Step:
    """Return the notebook's own step with what its training function hands to it."""
    own_step = names[f"{method}_step"]
    first_step = Mock(side_effect=KeyboardInterrupt)  # ends the training, as the stop button does
    others = {
        "Accelerated": partial(Accelerated, use_bfloat16=use_bfloat16),
        f"{method}_step": first_step,
    }
    with (
        patch.dict(names, others),
        TemporaryDirectory() as folder,
        working_folder(Path(folder)),
        redirect_stdout(StringIO()),
    ):
        names[TRAINING_FUNCTIONS[method]](loader, loader, num_epoch=1)
    (*trained, _, _), options = first_step.call_args  # the last two are the slices
    return lambda t1, t2: own_step(*trained, t1, t2, **options)


def _peak_speed(dtype: torch.dtype, device: torch.device) -> float:
    """Return the largest speed of a square matrix product (GFLOP/s) among a few."""
    size = 2048 if device.type == "cpu" else 8192
    matrix = torch.randn(size, size, device=device).to(dtype)
    fastest = min(seconds(lambda: matrix @ matrix, device) for _ in range(7))
    return 2 * size**3 / fastest / 1e9


def _memory(method: str, variant: str, root: Path, device: torch.device) -> float:
    """Measure the memory (MB) that networks, optimizers and three steps take."""

    def train() -> None:
        step = _step_with_batch(method, variant, root, device)
        for _ in range(3):
            step()

    if device.type == "cuda":
        train()
        return torch.cuda.max_memory_allocated(device) / 1e6
    return peak_growth(train)
