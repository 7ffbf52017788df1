"""Measure the lab's way of training against the plain one, side by side in one run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from itertools import chain, product, repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import Mock, patch

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from torch.utils.flop_counter import FlopCounterMode

from labhelpers.captured import captured
from labhelpers.data import IXIDataset
from labhelpers.fast import Accelerated, gains_from_bfloat16
from labhelpers.instructor.experiments.measure import (
    busy_seconds,
    device_name,
    in_new_process,
    median_seconds,
    peak_growth,
    seconds,
)
from labhelpers.instructor.experiments.published import FilesDataset, Step, plain_step
from labhelpers.instructor.experiments.trials import training_loader, working_folder
from labhelpers.instructor.experiments.variants import keep_nothing
from labhelpers.instructor.sources import (
    TRAINING_FUNCTIONS,
    TRAINING_NOTEBOOKS,
    given_source,
    run_source,
)
from labhelpers.recipes import find_recipe
from labhelpers.training import to_device

__all__ = ["benchmark_training"]

PLAIN, FLOAT32, BFLOAT16 = "plain", "lab, float32", "lab, bfloat16"
CAPTURED = "lab, captured"  # on a GPU only, in the faster precision

_RECIPES = "reference", "recommended"
_UNTIL_CAPTURED = 5  # steps
_AT_ONCE = {"cpu": 1, "cuda": 20}  # steps that are timed together: a GPU is not waited for in each


def benchmark_training(root: Path, repeats: int = 5) -> dict[str, Any]:
    """Time steps of each method, their batch included, with the variants taking turns.

    Networks, losses, batch size and number of steps are the same in all variants. The batches are
    those of the reference recipe; on a GPU, whose work starts late on small ones, those of the
    recommended recipe are measured, too.

    Args:
        root: Folder of slices.
        repeats: Steps of each variant; the medians are reported.

    Returns:
        `device`; `peaks`, the largest speed of a matrix product by variant (GFLOP/s); and `steps`,
        one row per method, batch size and variant: `seconds`, `share_of_peak`, `memory_mb` that a
        process took for a few steps, and on a GPU `busy`, the part of the time in which it works.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    on_gpu = device.type == "cuda"
    peaks = {FLOAT32: _peak_speed(torch.float32, device)}
    if gains_from_bfloat16(device):
        peaks[BFLOAT16] = _peak_speed(torch.bfloat16, device)
    variants = [PLAIN, *peaks, *([CAPTURED] if on_gpu else [])]
    peaks_of = dict(
        zip(variants, [peaks[FLOAT32], *peaks.values(), [*peaks.values()][-1]], strict=False)
    )
    # The GPU's memory is counted; memory of this process that was given back would hide some.
    measure_memory = _memory if on_gpu else partial(in_new_process, _memory)
    rows = []
    for method, recipe in product(TRAINING_NOTEBOOKS, _RECIPES if on_gpu else _RECIPES[:1]):
        steps = {
            variant: _step_with_batch(method, variant, recipe, root, device) for variant in variants
        }
        gflop = {}
        for variant, step in steps.items():
            with FlopCounterMode(display=False) as counter:
                step()
            gflop[variant] = counter.get_total_flops() / 1e9
        if on_gpu:
            for _ in range(_UNTIL_CAPTURED):
                steps[CAPTURED]()
        tasks = {variant: partial(_repeat, step, device) for variant, step in steps.items()}
        for variant, seconds_at_once in median_seconds(tasks, repeats, device).items():
            seconds_per_step = seconds_at_once / _AT_ONCE[device.type]
            row = {
                "method": method,
                "batch": find_recipe(method, recipe).batch_size,
                "variant": variant,
                "seconds": seconds_per_step,
                "share_of_peak": gflop[variant] / seconds_per_step / peaks_of[variant],
                "memory_mb": round(measure_memory(method, variant, recipe, root, device)),
            }
            if on_gpu:
                row["busy"] = busy_seconds(tasks[variant]) / seconds_at_once
            rows.append(row)
    return {"device": device_name(), "peaks": peaks, "steps": rows}


def _repeat(step: Callable[[], None], device: torch.device) -> None:
    for _ in range(_AT_ONCE[device.type]):
        step()


def _step_with_batch(
    method: str, variant: str, recipe_name: str, root: Path, device: torch.device
) -> Callable[[], None]:
    """Return a function that takes the next batch and makes one step on it."""
    names = run_source(given_source(TRAINING_NOTEBOOKS[method]))
    dataset: Any = IXIDataset(root)
    recipe = find_recipe(method, recipe_name)
    n_batches = len(dataset) // recipe.batch_size
    whole = range(n_batches * recipe.batch_size)  # so that all steps have the same work
    if variant == PLAIN:
        loader = recipe.loader(Subset(FilesDataset(root, dataset.subjects), whole))
        step = plain_step(method, names, device)
        move: Callable[[Tensor, torch.device], Tensor] = Tensor.to
    else:
        loader = training_loader(method, names, Subset(dataset, whole), recipe)
        rounds = {FLOAT32: False, BFLOAT16: True, CAPTURED: None}[variant]
        wrap = partial(captured, device=device) if variant == CAPTURED else None
        step = _lab_step(method, names, loader, rounds, wrap)
        move = to_device
    batches = chain.from_iterable(repeat(loader))  # without end

    def run() -> None:
        batch = next(batches)
        step(move(batch["T1"], device), move(batch["T2"], device))

    return run


def _lab_step(
    method: str,
    names: dict[str, Any],
    loader: DataLoader,
    use_bfloat16: bool | None,
    wrap: Callable[[Step], Step] | None = None,
) -> Step:
    """Return the notebook's own step, wrapped, with what its training function hands to it."""
    own_step = names[f"{method}_step"]
    if wrap:
        own_step = wrap(own_step)
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
        keep_nothing(names)
        names[TRAINING_FUNCTIONS[method]](loader, loader, num_epoch=1)
    (*trained, _, _), options = first_step.call_args  # the last two are the slices
    return lambda t1, t2: own_step(*trained, t1, t2, **options)


def _peak_speed(dtype: torch.dtype, device: torch.device) -> float:
    """Return the largest speed of a square matrix product (GFLOP/s) among a few."""
    size = 2048 if device.type == "cpu" else 8192
    matrix = torch.randn(size, size, device=device).to(dtype)
    fastest = min(seconds(lambda: matrix @ matrix, device) for _ in range(7))
    return 2 * size**3 / fastest / 1e9


def _memory(method: str, variant: str, recipe_name: str, root: Path, device: torch.device) -> float:
    """Measure the memory (MB) that networks, optimizers and some steps take."""

    def train() -> None:
        step = _step_with_batch(method, variant, recipe_name, root, device)
        for _ in range(_UNTIL_CAPTURED if variant == CAPTURED else 3):
            step()

    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        train()
        return (torch.cuda.max_memory_allocated(device) - before) / 1e6
    return peak_growth(train)
