"""Try recipes with the notebooks' own training functions: `labhelpers experiments`."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml
from torch.utils.data import DataLoader

from labhelpers.data import IXIDataset
from labhelpers.download import fetch_ixi
from labhelpers.instructor.experiments.measure import device_name
from labhelpers.instructor.experiments.variants import VARIANTS, keep_nothing
from labhelpers.instructor.sources import (
    TRAINING_FUNCTIONS,
    TRAINING_NOTEBOOKS,
    given_source,
    run_source,
)
from labhelpers.metrics import (
    evaluate_generator,
    generate,
    sharpness,
    subject_metrics,
    with_intervals,
)
from labhelpers.recipes import BATCH_SIZE, RECIPES, Recipe, find_recipe
from labhelpers.session import seed_everything
from labhelpers.training import load_history

__all__ = [
    "KEY",
    "NOT_CAPTURED",
    "Trial",
    "by_trial",
    "intervals",
    "network_file",
    "read_ablation",
    "read_results",
    "run_all",
    "run_trial",
    "table",
    "training_loader",
    "validation_split",
    "working_folder",
]

KEY = ["part", "method", "name", "epochs"]
"""What tells one trial from another in a file of records; its seeds have these in common."""

NOT_CAPTURED = "recommended, not captured"

N_VALIDATION = 92  # a fifth of the training subjects, the last ones of the fixed order


@dataclass(frozen=True)
class Trial:
    """One training to measure.

    Attributes:
        method: `generator`, `cgan` or `cyclegan`.
        name: What is special about it.
        recipe: How it is trained.
        variant: Which of `VARIANTS` changes the notebook's functions; none if empty.
    """

    method: str
    name: str
    recipe: Recipe
    variant: str = ""


def read_ablation() -> list[Trial]:
    """Return the trials of `ablation.yaml`: each recommended recipe, then its changes."""
    path = Path(__file__).with_name("ablation.yaml")
    trials = []
    for method, changes in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        recommended = find_recipe(method, "recommended")
        trials.append(Trial(method, "recommended", recommended))
        for name, change in changes.items():
            variant = change.pop("variant", "")
            trials.append(Trial(method, name, replace(recommended, name=name, **change), variant))
    return trials


def read_results() -> list[Trial]:
    """Return the trials of the final figures: both recipes of each method.

    Three more: the generator without the lab's fast layers and in float32, whose figures must not
    differ from those of the fast way by more than other seeds do; the fair partner of the
    recommended cGAN, by the same recipe with a weight of 0 for the adversarial loss; and the
    CycleGAN with the weights of its paper and without the mean pair, to be run for longer
    (`--epochs 40`): was the reference recipe too short, or does nothing in it fix the contrast?
    On a GPU also each recommended recipe without captured steps, with the same aim as the first.
    """
    both = [
        Trial(method, name, recipe)
        for method, recipes in RECIPES.items()
        for name, recipe in recipes.items()
    ]
    reference = find_recipe("generator", "reference")
    alone: dict[str, Any] = {"name": "lambda_gan 0", "lambda_gan": 0.0}
    no_mean_pair: dict[str, Any] = {
        "name": "no mean pair, lambda_gan 1, lambda_cycle 10",
        "mean_pair_alone": 0.0,
        "mean_pair_until": 0.0,
        "lambda_gan": 1.0,
        "lambda_cycle": 10.0,
    }
    one_by_one = [
        Trial(method, NOT_CAPTURED, find_recipe(method, "recommended"), "steps not captured")
        for method in RECIPES
    ]
    return [
        *both,
        *(one_by_one if torch.cuda.is_available() else []),
        Trial("generator", "reference, plain", reference, "plain layers"),
        Trial("cgan", "lambda_gan 0", replace(find_recipe("cgan", "recommended"), **alone)),
        Trial(
            "cyclegan",
            no_mean_pair["name"],
            replace(find_recipe("cyclegan", "recommended"), **no_mean_pair),
        ),
    ]


def training_loader(method: str, names: dict[str, Any], dataset: Any, recipe: Any) -> DataLoader:
    """Return the loader of a recipe as the notebook of the method makes it.

    Args:
        method: `generator`, `cgan` or `cyclegan`.
        names: What that notebook defines.
        dataset: Subjects to train on.
        recipe: How they are to be trained on.
    """
    if method == "cyclegan":
        return names["make_unpaired_loader"](dataset, recipe)
    return recipe.loader(dataset)


@contextmanager
def working_folder(folder: Path) -> Iterator[None]:
    """Work in another folder for a while, which is where trainings save their images."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def validation_split(root: Path) -> tuple[IXIDataset, IXIDataset]:
    """Split the training subjects into those to train on and those to choose recipes with."""
    everybody = IXIDataset(root, "train")
    n_train = len(everybody) - N_VALIDATION
    train, validation = (
        IXIDataset.from_tensors(everybody.t1[part], everybody.t2[part], everybody.subjects[part])
        for part in (slice(None, n_train), slice(n_train, None))
    )
    return train, validation


def network_file(folder: Path, method: str, name: str, seed: int) -> Path:
    """Return where `run_all` keeps the weights of the T1-w to T2-w generator of a training.

    Args:
        folder: Folder of the file of records.
        method: `generator`, `cgan` or `cyclegan`.
        name: Name of the trial.
        seed: Its seed.
    """
    return folder / "networks" / f"{method}, {name}, seed {seed}.pt"


def run_trial(
    trial: Trial,
    train_set: IXIDataset,
    test_set: IXIDataset,
    num_epoch: int = 20,
    seed: int = 0,
    keep: Path | None = None,
) -> dict[str, Any]:
    """Train by the notebook's function and measure; the figures, and those of each subject.

    The samples of every epoch go to `images/` in the working folder.

    Args:
        trial: What to train.
        train_set: Subjects to train on.
        test_set: Subjects to measure on.
        num_epoch: Passes over the training subjects.
        seed: Seed of weights and batches.
        keep: Where the weights of the T1-w to T2-w generator go.
    """
    names = run_source(given_source(TRAINING_NOTEBOOKS[trial.method]), name=trial.name)
    keep_nothing(names)
    if trial.variant:
        VARIANTS[trial.variant](names)
    train_loader = training_loader(trial.method, names, train_set, trial.recipe)
    test_loader = DataLoader(test_set, batch_size=5)
    seed_everything(seed)
    start = time.perf_counter()
    generator = names[TRAINING_FUNCTIONS[trial.method]](
        train_loader, test_loader, num_epoch=num_epoch, recipe=trial.recipe
    )
    seconds = time.perf_counter() - start
    if keep:
        keep.parent.mkdir(exist_ok=True)
        torch.save(generator.state_dict(), keep)
    everybody = DataLoader(train_set, batch_size=BATCH_SIZE)
    metrics = evaluate_generator(generator, everybody, test_loader)
    slices = generate(generator, test_loader)
    real_t2, fake_t2 = slices["real_t2"], slices["fake_t2"]
    return {
        "device": device_name(),
        "torch": str(torch.__version__),
        "seconds": seconds,
        "train": metrics["Training set"].to_dict(),
        "test": metrics["Test set"].to_dict(),
        "sharpness": sharpness(real_t2, fake_t2),
        "losses": load_history(trial.method).iloc[-1].to_dict(),
        "subjects": subject_metrics(real_t2, fake_t2).to_dict("list"),
    }


def run_all(
    trials: Iterable[Trial], seeds: Iterable[int], part: str, num_epoch: int, file: Path
) -> list[dict[str, Any]]:
    """Run what `file` does not hold yet, and add it there at once: a run can be resumed."""
    root = Path(fetch_ixi()).absolute()
    if part == "validation":
        train_set, test_set = validation_split(root)
    else:
        train_set, test_set = IXIDataset(root, "train"), IXIDataset(root, "test")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    done = [json.loads(line) for line in lines]
    records = []
    for trial in trials:
        for seed in seeds:
            key = {"part": part, "seed": seed, "epochs": num_epoch, **asdict(trial)}
            record = next((old for old in done if key.items() <= old.items()), None)
            if record is None:
                print(f"{trial.method}, {trial.name}, seed {seed}", flush=True)
                with working_folder(file.parent):
                    network = network_file(file.parent, trial.method, trial.name, seed)
                    keep = network if part == "test" else None
                    figures = run_trial(trial, train_set, test_set, num_epoch, seed, keep)
                    record = key | figures
                with file.open("a", encoding="utf-8") as records_file:
                    records_file.write(json.dumps(record) + "\n")
            records.append(record)
    return records


def by_trial(records: Iterable[dict[str, Any]]) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    """Collect the records of each trial, one for each seed, by the values of `KEY`."""
    trials: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for record in records:
        trials.setdefault(tuple(record[name] for name in KEY), []).append(record)
    return trials


def table(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Return one row per trial: the means over the seeds, and the spread of the PSNR."""
    rows = []
    for record in records:
        row = {name: record[name] for name in (*KEY, "sharpness", "seconds")} | record["test"]
        losses = record["losses"].items()  # two discriminators have one loss together
        row["discriminator"] = next(
            (loss for name, loss in losses if name.startswith("disc")), math.nan
        )
        rows.append(row)
    trials = pd.DataFrame(rows).groupby(KEY, sort=False)
    return trials.mean().assign(spread=trials["PSNR"].std(), seeds=trials.size())


def intervals(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Return, for each trial, mean and interval over the subjects, each averaged over the seeds."""
    tables = {}
    for trial, seeds in by_trial(records).items():
        subjects = [pd.DataFrame(record["subjects"]) for record in seeds]
        tables[trial] = with_intervals(sum(subjects) / len(seeds))
    return pd.concat(tables, names=KEY)
