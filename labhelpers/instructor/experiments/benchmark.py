"""Measure the lab against plainer ways of doing the same: `labhelpers experiments benchmark`."""

from __future__ import annotations

import datetime
import json
import platform
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch.utils.data import DataLoader, Dataset

from labhelpers.checks.exercises import EXERCISES
from labhelpers.checks.runner import run_cases
from labhelpers.checks.verdict import VISIBLE_FILE, judge, read_json
from labhelpers.data import IXIDataset
from labhelpers.download import fetch_ixi
from labhelpers.instructor.authoring.edits import edited, read_mistakes, run_answer
from labhelpers.instructor.course.nbgrader import copy_course, open_course
from labhelpers.instructor.course.release import build_student
from labhelpers.instructor.course.samples import MODEL, hand_in
from labhelpers.instructor.experiments.measure import median_seconds
from labhelpers.instructor.experiments.published import FilesDataset
from labhelpers.instructor.experiments.training_speed import benchmark_training
from labhelpers.instructor.experiments.trials import NOT_CAPTURED, read_results, run_all, table
from labhelpers.instructor.grading.autograde import autograde
from labhelpers.instructor.sources import read_solutions
from labhelpers.recipes import BATCH_SIZE

__all__ = ["benchmark_all", "benchmark_grading", "benchmark_quickly"]


def _benchmark_data(root: Path, repeats: int = 9) -> dict[str, float]:
    """Compare `IXIDataset` with a dataset that reads two files per item and epoch.

    Args:
        root: Folder of slices.
        repeats: Times to open the data and epochs of each; the medians are reported.

    Returns:
        Time to open the data (s), and time per epoch of the training part of both (s).
    """
    dataset = IXIDataset(root)
    tasks: dict[str, Callable[[], object]] = {
        "load_s": partial(IXIDataset, root),
        "epoch_memory_s": partial(_run_epoch, dataset),
        "epoch_files_s": partial(_run_epoch, FilesDataset(root, dataset.subjects)),
    }
    return {name: round(median, 3) for name, median in median_seconds(tasks, repeats).items()}


def _run_epoch(dataset: Dataset) -> None:
    for batch in DataLoader(dataset, batch_size=BATCH_SIZE, shuffle=True):
        batch["T1"], batch["T2"]


def _benchmark_checks(repeats: int = 5) -> pd.DataFrame:
    """Time each check on the reference solution and, in turn, on a known mistake.

    Args:
        repeats: Runs of each; the medians are reported.

    Returns:
        Seconds, one row per exercise, columns `right` and `wrong`.
    """
    solutions, mistakes = read_solutions(), read_mistakes()
    rows = {}
    for id_ in EXERCISES:
        first_mistake = next(iter(mistakes[id_].values()))
        sources = {
            "right": solutions[id_].source,
            "wrong": edited(solutions[id_], [first_mistake]),
        }
        tasks = {
            kind: partial(_check, id_, run_answer(solutions[id_], source))
            for kind, source in sources.items()
        }
        rows[id_] = median_seconds(tasks, repeats)
    return pd.DataFrame.from_dict(rows, orient="index")


def _check(exercise_id: str, answer: object) -> None:
    judge(run_cases(exercise_id, answer), read_json(VISIBLE_FILE)[exercise_id])


def benchmark_grading(assignment: str = "2-generator", repeats: int = 3) -> dict[str, Any]:
    """Time nbgrader's grading of a model answer, from the submitted notebook to the gradebook.

    Args:
        assignment: Name of the assignment.
        repeats: Gradings; the median is reported.
    """
    with tempfile.TemporaryDirectory() as folder:  # never in the gradebook of the class
        root = Path(folder)
        build_student(copy_course(root, [assignment]))
        hand_in(MODEL, assignment, root=root)
        task = partial(autograde, open_course(root), MODEL, assignment)
        times = median_seconds({"seconds": task}, repeats)
    return {"assignment": assignment, "seconds": round(times["seconds"])}


def benchmark_quickly(folder: Path) -> None:
    """Print the times of a few steps and, on a GPU, of one training by each recommended recipe.

    On a GPU each is trained with and without captured steps: `results` of the same command trains
    more of them. Nothing but these records, in the folder, is kept.

    Args:
        folder: Where the records of the trainings are added, as `results` does.
    """
    root = fetch_ixi()
    _print_steps(benchmark_training(root, repeats=3))
    if torch.cuda.is_available():
        chosen = [one for one in read_results() if one.name in ("recommended", NOT_CAPTURED)]
        folder.mkdir(parents=True, exist_ok=True)
        records = run_all(chosen, [0], "test", 20, (folder / "trials.jsonl").absolute())
        print(table(records).round(4).to_string())


def _print_steps(training: dict[str, Any]) -> pd.DataFrame:
    """Print what `benchmark_training` returned, and return its steps as a table."""
    steps = pd.DataFrame(training["steps"]).round({"seconds": 5, "share_of_peak": 3, "busy": 2})
    peaks = {name: round(peak) for name, peak in training["peaks"].items()}
    print(f"Training on {training['device']}")
    print(f"Matrix product, GFLOP/s: {peaks}")
    plain = steps.groupby(["method", "batch"])["seconds"].transform("first")
    print(steps.assign(ratio=(plain / steps["seconds"]).round(2)).to_string(index=False))
    return steps


def benchmark_all(repeats: int, output: Path) -> None:
    """Run the benchmarks, print their tables and save the figures as JSON.

    Args:
        repeats: Epochs and steps of each variant.
        output: The file to write, in the form of `speed` in `results.yaml`.
    """
    root = fetch_ixi()
    training = benchmark_training(root, repeats)
    steps = _print_steps(training)

    data = _benchmark_data(root, repeats)
    print(
        f"\nData, training part in batches of {BATCH_SIZE}", pd.Series(data).to_string(), sep="\n"
    )
    checks = _benchmark_checks()
    print("\nChecks (seconds)", checks.round(2).to_string(), sep="\n")
    longest, second = checks.max(axis="columns").round(2).nlargest(2)
    grading = benchmark_grading()
    print(f"\nGrading {grading['assignment']} with nbgrader: {grading['seconds']} s")
    figures = {
        "machine": {
            "description": f"{training['device']} ({platform.platform()})",
            "torch": torch.__version__,
            "recorded": datetime.date.today().isoformat(),
        },
        "steps": steps.to_dict("records"),
        "peaks": {name: round(peak) for name, peak in training["peaks"].items()},
        "repeats": repeats,
        "data": data,
        "checks": {"longest_s": longest, "others_s": second},
        "grading": grading,
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(figures, indent=2) + "\n")
    print(f"Saved {output}")
