"""Measure the lab against plainer ways of doing the same: `labhelpers experiments benchmark`."""

from __future__ import annotations

import json
import platform
import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from labhelpers.checks.exercises import EXERCISES
from labhelpers.checks.runner import run_cases
from labhelpers.checks.verdict import VISIBLE_FILE, judge, read_json
from labhelpers.data import IXIDataset, list_slices, parse_slice_name, split_subjects
from labhelpers.download import fetch_ixi
from labhelpers.instructor.authoring.edits import edited, read_mistakes, run_answer
from labhelpers.instructor.course.nbgrader import copy_course, open_course
from labhelpers.instructor.course.release import build_student
from labhelpers.instructor.course.samples import MODEL, hand_in
from labhelpers.instructor.experiments.measure import in_new_process, peak_growth, seconds
from labhelpers.instructor.experiments.published import FilesDataset
from labhelpers.instructor.experiments.training_speed import benchmark_training
from labhelpers.instructor.grading.autograde import autograde
from labhelpers.instructor.sources import TRAINING_NOTEBOOKS, read_solutions
from labhelpers.recipes import BATCH_SIZE

__all__ = ["benchmark_all", "benchmark_checks", "benchmark_data", "benchmark_grading"]

CHECK_LIMIT = 2.0  # seconds that a student waits for a check without minding
WAYS = ("memory", "files")  # to hold the data set


def benchmark_data(root: Path, repeats: int = 9) -> dict[str, float]:
    """Compare `IXIDataset` with a dataset that reads two files per item and epoch.

    The two take turns, epoch by epoch over the training part, so that a busy machine slows both.

    Args:
        root: Folder of slices.
        repeats: Epochs of each; the medians are reported.

    Returns:
        Load time (s), time per epoch (s) of both, their ratio, the epochs after which loading has
        paid for itself, and the growth of memory (MB) of both over one epoch from the start.
    """
    load_times = [seconds(lambda: IXIDataset(root)) for _ in range(max(3, repeats // 2))]
    dataset = IXIDataset(root)
    loaders = {
        "memory": _loader(dataset),
        "files": _loader(FilesDataset(root, dataset.subjects)),
    }
    epochs: dict[str, list[float]] = {way: [] for way in WAYS}
    for loader in loaders.values():  # one round to warm up: file cache, allocator
        _run_epoch(loader)
    for _ in range(repeats):
        for way, loader in loaders.items():
            epochs[way].append(seconds(partial(_run_epoch, loader)))
    load = statistics.median(load_times)
    memory, files = (statistics.median(epochs[way]) for way in WAYS)
    return {
        "subjects": len(dataset),
        "repeats": repeats,
        "load_s": load,
        "epoch_memory_s": memory,
        "epoch_files_s": files,
        "ratio": files / memory,
        "epochs_to_break_even": load / (files - memory) if files > memory else float("inf"),
        **{f"peak_{way}_mb": in_new_process(_peak_memory, root, way) for way in WAYS},
    }


def _loader(dataset: Dataset) -> DataLoader:
    return DataLoader(dataset, batch_size=BATCH_SIZE, shuffle=True)


def _run_epoch(loader: DataLoader) -> None:
    for batch in loader:
        batch["T1"], batch["T2"]


def _peak_memory(root: Path, way: str) -> float:
    """Measure the growth of this process (MB) while a dataset is opened and read once."""
    subjects, _ = split_subjects(
        found[0] for name in list_slices(root) if (found := parse_slice_name(name))
    )
    _run_epoch(_loader(FilesDataset(root, subjects[:BATCH_SIZE])))  # what reading itself needs
    make = {"memory": lambda: IXIDataset(root), "files": lambda: FilesDataset(root, subjects)}
    return peak_growth(lambda: _run_epoch(_loader(make[way]())))


def benchmark_checks(repeats: int = 5) -> dict[str, dict[str, float]]:
    """Time each check on the reference solution and, in turn, on a known mistake.

    Args:
        repeats: Runs of each; the medians are reported.

    Returns:
        By exercise, seconds for the `right` and the `wrong` answer, and their `ratio`.
    """
    solutions, mistakes = read_solutions(), read_mistakes()
    results = {}
    for id_ in EXERCISES:
        first_mistake = next(iter(mistakes[id_].values()))
        answers = {
            "right": run_answer(solutions[id_], solutions[id_].source),
            "wrong": run_answer(solutions[id_], edited(solutions[id_], [first_mistake])),
        }
        times: dict[str, list[float]] = {kind: [] for kind in answers}
        for repeat in range(repeats + 1):
            for kind, answer in answers.items():
                took = seconds(partial(_check, id_, answer))
                if repeat:  # the first round warms up
                    times[kind].append(took)
        right, wrong = (statistics.median(times[kind]) for kind in ("right", "wrong"))
        results[id_] = {"right_s": right, "wrong_s": wrong, "ratio": wrong / right}
    return results


def _check(exercise_id: str, answer: object) -> None:
    judge(run_cases(exercise_id, answer), read_json(VISIBLE_FILE)[exercise_id])


def _print_checks(results: dict[str, dict[str, float]]) -> None:
    print(f"\n{'Checks (seconds)':30}{'right':>8}{'wrong':>8}{'ratio':>8}")
    for exercise, times in results.items():
        print(f"{exercise:30}{times['right_s']:8.2f}{times['wrong_s']:8.2f}{times['ratio']:8.2f}")
    longest = max(max(times["right_s"], times["wrong_s"]) for times in results.values())
    print(f"The longest takes {longest / CHECK_LIMIT:.0%} of the {CHECK_LIMIT:g} s aimed at.")


def _print_data(result: dict[str, float]) -> None:
    print(f"\nData: training part, {result['subjects']} subjects, batches of {BATCH_SIZE}")
    print(f"{'':24}{'in memory':>12}{'from files':>12}{'ratio':>9}")
    print(
        f"{'one epoch (ms)':24}{result['epoch_memory_s'] * 1e3:12.1f}"
        f"{result['epoch_files_s'] * 1e3:12.1f}{result['ratio']:9.1f}"
    )
    print(f"{'opening (ms)':24}{result['load_s'] * 1e3:12.1f}{0:12.1f}")
    print(
        f"{'memory growth (MB)':24}{result['peak_memory_mb']:12.1f}{result['peak_files_mb']:12.1f}"
    )
    print(f"Opening pays for itself after {result['epochs_to_break_even']:.1f} epochs.")


def benchmark_grading(assignment: str = "2-generator", repeats: int = 3) -> dict[str, Any]:
    """Time nbgrader's grading of a model answer, from the submitted notebook to the gradebook.

    Args:
        assignment: Name of the assignment.
        repeats: Gradings; the median is reported.
    """
    with tempfile.TemporaryDirectory() as folder:  # never in the gradebook of the class
        root = Path(folder)
        build_student(copy_course(root, [assignment]))
        course = open_course(root)
        hand_in(MODEL, assignment, root=root)
        times = [seconds(lambda: autograde(course, MODEL, assignment)) for _ in range(repeats)]
    return {"assignment": assignment, "seconds": statistics.median(times)}


def _print_training(results: dict[str, Any]) -> None:
    peaks = ", ".join(f"{name} {speed:.0f}" for name, speed in results["peaks"].items())
    print(f"\nTraining, batches of {BATCH_SIZE}, on {results['device']}")
    print(f"Matrix product, GFLOP/s: {peaks}")
    heads = ("s/step", "steps/s", "ratio", "of peak", "memory MB")
    print(f"{'':30}" + "".join(f"{head:>11}" for head in heads))
    for method in TRAINING_NOTEBOOKS:
        for variant, row in results[method].items():
            print(
                f"{method + ', ' + variant:30}{row['seconds']:11.3f}{row['steps_per_s']:11.2f}"
                f"{row['ratio']:11.2f}{row['share_of_peak']:11.0%}{row['memory_mb']:11.0f}"
            )


def benchmark_all(repeats: int, output: Path) -> None:
    """Run the benchmarks, print their tables and save all figures as JSON.

    Args:
        repeats: Epochs and steps of each variant.
        output: The file to write.
    """
    root = fetch_ixi()
    machine = {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    training = benchmark_training(root, repeats)
    _print_training(training)
    data = benchmark_data(root, repeats)
    _print_data(data)
    checks = benchmark_checks()
    _print_checks(checks)
    grading = benchmark_grading()
    print(f"\nGrading {grading['assignment']} with nbgrader: {grading['seconds']:.1f} s")
    figures = {"training": training, "data": data, "checks": checks, "grading": grading}
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({"machine": machine, **figures}, indent=2) + "\n")
    print(f"Saved {output}")
