"""Try recipes with the notebooks' own training functions: `labhelpers experiments`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from torch import nn
from torch.utils.data import DataLoader

from labhelpers.data import IXIDataset
from labhelpers.download import fetch_ixi
from labhelpers.instructor.authoring.edits import replace_texts
from labhelpers.instructor.sources import METHODS, given_source, run_source
from labhelpers.metrics import (
    evaluate_generator,
    generate,
    sharpness,
    subject_metrics,
    with_intervals,
)
from labhelpers.recipes import RECIPES, REFERENCE, Recipe
from labhelpers.session import seed_everything
from labhelpers.training import load_history

__all__ = [
    "Trial",
    "intervals",
    "read_ablation",
    "read_results",
    "run_all",
    "run_trial",
    "table",
]

N_VALIDATION = 92  # a fifth of the training subjects, the last ones of the fixed order


@dataclass(frozen=True)
class Trial:
    """One training to measure.

    Attributes:
        method: `generator`, `cgan` or `cyclegan`.
        name: What is special about it.
        recipe: How it is trained.
        replace: Texts of the notebook's source to replace, each with another one.
        before: Code to run before that source.
    """

    method: str
    name: str
    recipe: Recipe
    replace: tuple[tuple[str, str], ...] = ()
    before: str = ""


def _ablation() -> dict[str, Any]:
    path = Path(__file__).with_name("ablation.yaml")
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def read_ablation() -> list[Trial]:
    """Return the trials of `ablation.yaml`: each recommended recipe, then its changes."""
    trials = []
    for method, changes in _ablation().items():
        recommended = RECIPES[method]["recommended"]
        trials.append(Trial(method, "recommended", recommended))
        for name, change in changes.items():
            recipe = replace(recommended, name=name, **change.get("recipe", {}))
            texts = tuple((old, new) for old, new in change.get("replace", ()))
            trials.append(Trial(method, name, recipe, texts, change.get("before", "")))
    return trials


def read_results() -> list[Trial]:
    """Return the trials of the final figures: both recipes of each method.

    One more trains the generator without the lab's fast layers and in float32: its figures must
    not differ from those of the fast way by more than other seeds do.
    """
    plain = Trial(
        "generator",
        "reference, plain",
        REFERENCE,
        replace=(("Accelerated(generator)", "plain(generator)"),),
        before="from labhelpers.instructor.experiments.published import plain",
    )
    both = [
        Trial(method, name, recipe)
        for method, recipes in RECIPES.items()
        for name, recipe in recipes.items()
    ]
    return [*both, plain]


def _validation_split(root: Path) -> tuple[IXIDataset, IXIDataset]:
    """Split the training subjects into those to train on and those to choose recipes with."""
    everybody = IXIDataset(root, "train")
    n_train = len(everybody) - N_VALIDATION
    return tuple(
        IXIDataset.from_tensors(everybody.t1[part], everybody.t2[part], everybody.subjects[part])
        for part in (slice(None, n_train), slice(n_train, None))
    )


def run_trial(
    trial: Trial, train_set: IXIDataset, test_set: IXIDataset, num_epoch: int = 20, seed: int = 0
) -> dict[str, Any]:
    """Train by the notebook's function and measure; the figures, and those of each subject.

    The samples of every epoch go to `images/` in the working folder.

    Args:
        trial: What to train.
        train_set: Subjects to train on.
        test_set: Subjects to measure on.
        num_epoch: Passes over the training subjects.
        seed: Seed of weights and batches.
    """
    notebook = METHODS[trial.method]
    source = replace_texts(given_source(notebook), trial.replace, trial.name, notebook)
    names = run_source(source, trial.before, trial.name)

    recipe, test_loader = trial.recipe, DataLoader(test_set, batch_size=5)
    if trial.method == "cyclegan":
        train_loader = names["make_unpaired_loader"](train_set, recipe)
    else:
        train_loader = DataLoader(train_set, batch_size=recipe.batch_size, shuffle=True)
    seed_everything(seed)
    start = time.perf_counter()
    generator = names[f"train_{trial.method}"](
        train_loader, test_loader, num_epoch=num_epoch, lr=recipe.lr, recipe=recipe
    )
    seconds = time.perf_counter() - start
    return {"seconds": seconds, **_measure(generator, trial.method, train_set, test_loader)}


def _measure(
    generator: nn.Module, method: str, train_set: IXIDataset, test_loader: DataLoader
) -> dict[str, Any]:
    metrics = evaluate_generator(generator, DataLoader(train_set, batch_size=40), test_loader)
    slices = generate(generator, test_loader)
    real_t2, fake_t2 = slices["real_t2"], slices["fake_t2"]
    return {
        "train": metrics["Training set"].to_dict(),
        "test": metrics["Test set"].to_dict(),
        "sharpness": sharpness(real_t2, fake_t2),
        "losses": load_history(method).iloc[-1].to_dict(),
        "subjects": subject_metrics(real_t2, fake_t2).to_dict("list"),
    }


def run_all(
    trials: Iterable[Trial], seeds: Iterable[int], part: str, num_epoch: int, file: Path
) -> list[dict[str, Any]]:
    """Run what `file` does not hold yet, and add it there at once: a run can be resumed."""
    root = Path(fetch_ixi()).absolute()
    if part == "validation":
        train_set, test_set = _validation_split(root)
    else:
        train_set, test_set = IXIDataset(root, "train"), IXIDataset(root, "test")
    done = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    records = []
    os.chdir(file.parent)
    for trial in trials:
        for seed in seeds:
            key = {"part": part, "seed": seed, "epochs": num_epoch, **_key(trial)}
            record = next((old for old in done if key.items() <= old.items()), None)
            if record is None:
                print(f"{trial.method}, {trial.name}, seed {seed}", flush=True)
                record = key | run_trial(trial, train_set, test_set, num_epoch, seed)
                with file.open("a") as lines:
                    lines.write(json.dumps(record) + "\n")
            records.append(record)
    return records


def _key(trial: Trial) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(trial)))  # lists for tuples, as in what was saved


def _by_trial(
    records: list[dict[str, Any]], figures: Callable[[dict[str, Any]], Any]
) -> dict[tuple[str, str], list[Any]]:
    """Collect some figures of each record, one list over the seeds for each trial."""
    rows: dict[tuple[str, str], list[Any]] = {}
    for record in records:
        rows.setdefault((record["method"], record["name"]), []).append(figures(record))
    return rows


def table(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Return one row per trial: the means over the seeds, and the spread of the PSNR."""

    def row(record: dict[str, Any]) -> dict[str, Any]:
        losses = record["losses"].items()
        return {
            **record["test"],
            "sharpness": record["sharpness"],
            "seconds": record["seconds"],
            "discriminator": next((loss for name, loss in losses if name.startswith("disc")), None),
        }

    rows = {key: pd.DataFrame(seeds) for key, seeds in _by_trial(records, row).items()}
    return pd.DataFrame({key: seeds.mean() for key, seeds in rows.items()}).T.assign(
        spread={key: seeds["PSNR"].std() for key, seeds in rows.items()},
        seeds={key: len(seeds) for key, seeds in rows.items()},
    )


def intervals(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Return, for each trial, mean and interval over the subjects, each averaged over the seeds."""
    rows = _by_trial(records, lambda record: pd.DataFrame(record["subjects"]))
    return pd.concat({key: with_intervals(sum(seeds) / len(seeds)) for key, seeds in rows.items()})
