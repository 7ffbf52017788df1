"""Measure what it costs to watch a training and to keep it: `labhelpers experiments watching`."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
from torch.utils.data import DataLoader

from labhelpers import live
from labhelpers.data import IXIDataset
from labhelpers.instructor.experiments.trials import training_loader, working_folder
from labhelpers.instructor.experiments.variants import keep_nothing
from labhelpers.instructor.sources import (
    TRAINING_FUNCTIONS,
    TRAINING_NOTEBOOKS,
    given_source,
    run_source,
)
from labhelpers.recipes import find_recipe
from labhelpers.session import seed_everything

__all__ = ["WAYS", "cost_of_watching"]

WAYS = {"plain": (False, False), "watched": (True, False), "watched and kept": (True, True)}
"""Ways to train, by name: whether a front end shows it, and whether it is kept on disk."""


def cost_of_watching(
    method: str, dataset: IXIDataset, num_epoch: int, repeats: int = 3
) -> pd.DataFrame:
    """Train in each of these ways, in turns, by the notebook's function and recommended recipe.

    Args:
        method: `generator`, `cgan` or `cyclegan`.
        dataset: Subjects to train on; the first ones are shown, too.
        num_epoch: Epochs of each training.
        repeats: Trainings of each way.

    Returns:
        One row per way: medians of `seconds` and of `cpu_seconds` (the time that this process
        computed, which other work on the machine does not change), and both divided by those of
        the plain way.
    """
    times: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for _ in range(repeats):
        for way, (is_watched, is_kept) in WAYS.items():
            with tempfile.TemporaryDirectory() as folder, working_folder(Path(folder)):
                train = _training(method, dataset, num_epoch, is_kept)
                with _front_end(is_watched):
                    start = time.perf_counter(), time.process_time()
                    train()
                    end = time.perf_counter(), time.process_time()
                times[way].append((end[0] - start[0], end[1] - start[1]))
    table = pd.DataFrame(
        {way: map(statistics.median, zip(*values, strict=True)) for way, values in times.items()},
        index=["seconds", "cpu_seconds"],
    ).T
    return table.join((table / table.loc["plain"]).add_suffix("_ratio"))


def _training(
    method: str, dataset: IXIDataset, num_epoch: int, is_kept: bool
) -> Callable[[], object]:
    names = run_source(given_source(TRAINING_NOTEBOOKS[method]))
    if not is_kept:
        keep_nothing(names)
    recipe = find_recipe(method, "recommended")
    loader = training_loader(method, names, dataset, recipe)
    seed_everything(0)
    return lambda: names[TRAINING_FUNCTIONS[method]](
        loader, DataLoader(dataset, batch_size=5), num_epoch=num_epoch, recipe=recipe
    )


@contextmanager
def _front_end(is_there: bool) -> Iterator[None]:
    """Pretend that a front end is there, or none: what it would get is put into JSON."""

    class Place:
        def update(self, bundle: dict[str, Any], raw: bool) -> None:
            json.dumps(bundle)

    with (
        patch.object(live, "in_notebook", lambda: is_there),
        patch.object(live, "display", lambda bundle, raw, display_id: Place()),
        redirect_stdout(StringIO()),
    ):
        yield
