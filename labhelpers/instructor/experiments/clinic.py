"""Train the cases of the clinic, each with one fault, and keep their curves and slices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from labhelpers.checks.probes.mends import FUNCTION_OF
from labhelpers.clinic import CASES, fault_code
from labhelpers.data import IXIDataset
from labhelpers.download import fetch_ixi
from labhelpers.instructor.experiments.small import Plan, split, train_pairs, train_unpaired
from labhelpers.instructor.sources import read_solutions, run_source
from labhelpers.session import seed_everything

__all__ = ["PLANS", "fault_of", "faulty_part", "marks", "write_all", "write_case"]

FOLDER = Path(__file__).parents[2] / "clinic"

PLANS = {
    "cgan": Plan(num_epoch=18, n_train=48),
    "cyclegan": Plan(num_epoch=16, n_train=40, lambda_gan=0.5),
}

# What is kept of the curves, under the names that students read.
_CURVES = {
    "cgan": {
        "discriminator": "discriminator",
        "adversarial": "generator, adversarial",
        "training": "training error",
        "validation": "test error",
    },
    "cyclegan": {
        "discriminators": "discriminators",
        "adversarial": "generators, adversarial",
        "cycle": "cycle error",
        "validation": "test error",
    },
}
_N_SHOWN = 5  # test subjects


def faulty_part(method: str, letter: str) -> dict[str, Any]:
    """Return the function with the fault of a case, as the cell of the exercise has it.

    Args:
        method: `cgan` or `cyclegan`.
        letter: The case.
    """
    names = _names(method)
    part = FUNCTION_OF[names[f"clinic_{method}"]()[letter][0]]
    return {part: names[part]}


def fault_of(method: str, letter: str) -> str:
    """Return the name of the fault of a case, as the solution has it."""
    return _names(method)[f"clinic_{method}"]()[letter][0]


def _names(method: str) -> dict[str, Any]:
    solution = read_solutions()[f"clinic-{method}"]
    return run_source(solution.source, solution.preamble, solution.id)


def _train_case(
    method: str, parts: dict[str, Any], dataset: IXIDataset
) -> tuple[pd.DataFrame, dict[str, Tensor]]:
    """Train one case; without `parts` the healthy training.

    Args:
        method: `cgan` or `cyclegan`.
        parts: The faulty function by its name.
        dataset: The training subjects of the lab.
    """
    seed_everything(0)
    if method == "cgan":
        return train_pairs(PLANS[method], dataset, **parts)
    return train_unpaired(PLANS[method], dataset, **parts)


def write_case(
    name: str,
    method: str,
    history: pd.DataFrame,
    slices: dict[str, Tensor],
    folder: Path = FOLDER,
) -> None:
    """Write the curves and the slices of a case to a JSON and a PNG file.

    Args:
        name: Name of the case as `labhelpers.clinic.show_case` takes it.
        method: `cgan` or `cyclegan`.
        history: What `_train_case` returned.
        slices: What `_train_case` returned.
        folder: Where the files go.
    """
    path = folder / name.replace(" ", "-")
    curves = history[list(_CURVES[method])].rename(columns=_CURVES[method]).round(4)
    is_healthy = name.startswith("healthy")
    lines = [] if is_healthy else [f'"fault": "{fault_code(name, fault_of(method, name))}"']
    lines += [
        f"{json.dumps(column)}: {json.dumps(values)}"
        for column, values in curves.reset_index().to_dict("list").items()
    ]
    path.with_suffix(".json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    rows = torch.stack([slices[row][:_N_SHOWN] for row in ("real_t1", "fake_t2", "real_t2")])
    sheet = rows.float().squeeze(2).permute(0, 2, 1, 3).flatten(2).flatten(0, 1)
    grey = ((sheet.clamp(-1, 1) + 1) / 2 * 255).round().to(torch.uint8)
    Image.fromarray(grey.numpy()).save(path.with_suffix(".png"), optimize=True)


def marks(method: str, dataset: IXIDataset) -> dict[str, float]:
    """Return what the curves of the cases of a method can be compared with.

    Args:
        method: `cgan` or `cyclegan`.
        dataset: The training subjects of the lab.

    Returns:
        `mean_slice`: the mean absolute error of the mean T2-w slice of the training subjects, on
        the test subjects. Of `cyclegan` also `two_people`: the mean absolute difference between
        the T1-w slices of two training subjects, and between T2-w slices, added up; and
        `mean_pair_until`: the last epoch with the mean pair.
    """
    plan = PLANS[method]
    if method == "cgan":
        train, test = split(list(range(plan.n_train + plan.n_test)), plan.n_test)
        t2, test_t2 = dataset.t2[train], dataset.t2[test]
    else:
        t1, t2, test_t2 = (
            slices[start : start + n]
            for slices, start, n in (
                (dataset.t1, 0, plan.n_train),
                (dataset.t2, plan.n_train, plan.n_train),
                (dataset.t2, 2 * plan.n_train, plan.n_test),
            )
        )
    found = {"mean_slice": (test_t2 - t2.mean(dim=0)).abs().mean().item()}
    if method == "cyclegan":
        found["two_people"] = _between_people(t1) + _between_people(t2)
        found["mean_pair_until"] = int(plan.mean_pair * plan.num_epoch)
    return {name: round(value, 4) for name, value in found.items()}


def _between_people(slices: Tensor) -> float:
    """Return the mean absolute difference between the slices of two people."""
    flat = slices.flatten(1)
    n = len(flat)
    return (torch.cdist(flat, flat, p=1).sum() / (n * (n - 1) * flat.shape[1])).item()


def write_all(folder: Path = FOLDER) -> None:
    """Train all cases, and the two healthy trainings beside them, and write their files."""
    dataset = IXIDataset(Path(fetch_ixi()), "train")
    found = {method: marks(method, dataset) for method in CASES}
    (folder / "marks.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for method, letters in CASES.items():
        write_case(f"healthy {method}", method, *_train_case(method, {}, dataset), folder)
        for letter in letters:
            parts = faulty_part(method, letter)
            write_case(letter, method, *_train_case(method, parts, dataset), folder)
            print(f"case {letter}", flush=True)
