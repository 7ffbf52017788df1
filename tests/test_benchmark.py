"""The benchmark prints its tables and saves what the page of results takes in."""

import json
import re
import shutil

import pytest
import torch

from labhelpers.instructor.experiments import benchmark, report
from labhelpers.instructor.sources import TRAINING_NOTEBOOKS
from labhelpers.phantom import write_phantom

TRAINING = {
    "device": "CPU, 2 threads",
    "peaks": {"lab, float32": 100.4},
    "steps": [
        {"method": method, "batch": 40, "variant": variant, "seconds": seconds,
         "share_of_peak": 0.5034, "memory_mb": 900}
        for method in TRAINING_NOTEBOOKS
        for variant, seconds in (("plain", 0.5), ("lab, float32", 0.2001))
    ],
}  # fmt: skip


def test_figures_are_printed_saved_and_taken_in(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LABHELPERS_DATA", str(write_phantom(tmp_path / "phantom", 10)))
    monkeypatch.setattr(benchmark, "EXERCISES", ["mean-image", "intensity-lookup"])
    # What takes long, or a process of its own, has tests elsewhere.
    monkeypatch.setattr(benchmark, "benchmark_training", lambda root, repeats: TRAINING)
    monkeypatch.setattr(
        benchmark, "benchmark_grading", lambda: {"assignment": "2-generator", "seconds": 15}
    )
    output = tmp_path / "build" / "benchmark.json"
    benchmark.benchmark_all(repeats=2, output=output)

    printed = capsys.readouterr().out
    for row in (
        "generator +40 +plain +0.5",
        "load_s +0.",
        "mean-image +0.",
        "intensity-lookup +0.",
    ):
        assert re.search(row, printed), row
    assert "Grading 2-generator with nbgrader: 15 s" in printed

    file = shutil.copyfile(report.FIGURES, tmp_path / "results.yaml")
    report.take_in_benchmark(output, file)
    speed = report.read_figures(file)["speed"]
    assert speed.keys() == report.read_figures()["speed"].keys()
    assert speed["data"]["epoch_memory_s"] < speed["data"]["epoch_files_s"]
    assert 0 < speed["checks"]["others_s"] <= speed["checks"]["longest_s"]

    page, *_ = report.report_files(file).values()
    assert re.search(r"On CPU, 2 threads \(.+\), PyTorch .+, medians of 2 steps", page)
    assert "| Generator, plain | 0.500 | 2.00 | 1 | 50 % | 900 |" in page
    assert "| Generator, lab, float32 | 0.200 | 5.00 | **2.50** | 50 % | 900 |" in page
    assert "in bfloat16 is" not in page, "this machine gains nothing from it"


@pytest.mark.parametrize("on_gpu", [False, True])
def test_quick_figures(on_gpu, tmp_path, monkeypatch, capsys):
    trained = []

    def run_all(trials, seeds, part, num_epoch, file):
        trained.extend((trial.method, trial.name) for trial in trials)
        assert file.parent.is_dir()
        measured = {"sharpness": 1.0, "seconds": 12.3, "losses": {}, "test": {"PSNR": 23.4}}
        key = {"part": part, "method": "generator", "name": "recommended", "epochs": num_epoch}
        return [key | measured]

    monkeypatch.setattr(benchmark, "fetch_ixi", lambda: tmp_path)
    monkeypatch.setattr(benchmark, "benchmark_training", lambda root, repeats: TRAINING)
    monkeypatch.setattr(benchmark, "run_all", run_all)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: on_gpu)
    benchmark.benchmark_quickly(tmp_path / "build")
    printed = capsys.readouterr().out
    assert re.search(r"generator +40 +plain +0.5", printed)
    assert ("12.3" in printed) == on_gpu
    ways = ("recommended", "recommended, not captured")
    assert sorted(trained) == sorted((m, w) for m in TRAINING_NOTEBOOKS for w in ways) * on_gpu


def test_figures_of_a_gpu_are_taken_in_beside_those_of_the_cpu(tmp_path):
    file = shutil.copyfile(report.FIGURES, tmp_path / "results.yaml")
    steps = [
        {"method": "generator", "batch": 2, "variant": variant, "seconds": seconds, "busy": busy,
         "share_of_peak": 0.1, "memory_mb": 90}
        for variant, seconds, busy in (("plain", 0.01, 0.1), ("lab, captured", 0.001, 0.9))
    ]  # fmt: skip
    measured = {
        "machine": {"description": "a GPU", "torch": "3"},
        "steps": steps,
        "peaks": {},
        "repeats": 9,
    }
    benchmark = tmp_path / "benchmark.json"
    benchmark.write_text(json.dumps(measured | {"data": {}, "checks": {}, "grading": {}}))
    report.take_in_benchmark(benchmark, file)
    before, speed = report.read_figures()["speed"], report.read_figures(file)["speed"]
    assert speed["gpu"] == before["gpu"] | measured
    assert speed | {"gpu": before["gpu"]} == before
    page, *_ = report.report_files(file).values()
    assert "| Generator, lab, captured | 2 | 1.00 | 10.00 | 90 % | 90 |" in page


def test_times_of_notebooks_are_taken_in(tmp_path):
    file = shutil.copyfile(report.FIGURES, tmp_path / "results.yaml")
    times = tmp_path / "seconds.json"
    for device in ("a GPU", "CPU, 2 threads"):
        measured = {"device": device, "preset": "full", "recorded": "2026-01-02"}
        times.write_text(json.dumps(measured | {"solved": {"2-generator": 33.4}}))
        report.take_in_notebooks(times, file)
    speed = report.read_figures(file)["speed"]
    row = {"notebook": "2-generator", "preset": "full", "seconds": 33, "recorded": "2026-01-02"}
    assert speed["gpu"]["notebooks"] == [row]
    assert row in speed["notebooks"]
    assert len(speed["notebooks"]) == 4
