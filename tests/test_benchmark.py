"""The benchmark prints its tables and saves what the page of results takes in."""

import json
import shutil

from labhelpers.instructor.experiments import benchmark, report
from labhelpers.instructor.sources import TRAINING_NOTEBOOKS
from labhelpers.phantom import write_phantom

STEP = {"seconds": 0.5, "steps_per_s": 2.0, "ratio": 1.0, "gflop": 9.0, "share_of_peak": 0.5,
        "memory_mb": 900.0}  # fmt: skip
TRAINING = {
    "device": "CPU, 2 threads",
    "peaks": {"plain": 100.0, "lab, float32": 100.0},
    **{
        method: {"plain": STEP, "lab, float32": STEP | {"seconds": 0.2}}
        for method in TRAINING_NOTEBOOKS
    },
}


def test_figures_are_printed_saved_and_taken_in(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LABHELPERS_DATA", str(write_phantom(tmp_path / "phantom", 10)))
    monkeypatch.setattr(benchmark, "EXERCISES", ["mean-image", "intensity-lookup"])
    # What takes long, or a process of its own, has tests elsewhere.
    monkeypatch.setattr(benchmark, "benchmark_training", lambda root, repeats: TRAINING)
    monkeypatch.setattr(
        benchmark, "benchmark_grading", lambda: {"assignment": "2-generator", "seconds": 15.0}
    )
    monkeypatch.setattr(benchmark, "in_new_process", lambda function, *arguments: 1.0)
    output = tmp_path / "build" / "benchmark.json"
    benchmark.benchmark_all(repeats=2, output=output)

    figures = json.loads(output.read_text())
    assert figures["data"]["subjects"] == 8
    assert 0 < figures["data"]["epoch_memory_s"] < figures["data"]["epoch_files_s"]
    assert figures["checks"]["mean-image"].keys() == {"right_s", "wrong_s", "ratio"}
    printed = capsys.readouterr().out
    assert "generator, plain" in printed and "mean-image" in printed
    assert "Grading 2-generator with nbgrader: 15.0 s" in printed

    file = shutil.copyfile(report.FIGURES, tmp_path / "results.yaml")
    report.take_in_benchmark(output, file)
    page, _ = report.report_files(file).values()
    machine = figures["machine"]
    assert f"On CPU, 2 threads ({machine['platform']}), PyTorch {machine['torch']}, medians" in page
    assert "| Generator, lab, float32 | 0.200 | 5.00 | **2.50** | 50 % | 900 |" in page
    times = [max(check["right_s"], check["wrong_s"]) for check in figures["checks"].values()]
    longest, others = (report.decimals(round(time, 2), 2) for time in (max(times), min(times)))
    assert f"The longest check takes {longest} s, all others {others} s or less" in page
    assert "in bfloat16 is" not in page, "this machine gains nothing from it"
