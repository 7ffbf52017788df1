"""The page of results, the README and the notebooks quote the files of figures."""

import itertools
import json
import math
import re
import shutil

import nbformat
import pytest
import torch

from labhelpers import stored
from labhelpers.instructor.experiments import report
from labhelpers.instructor.experiments.lesion_table import SIZES
from labhelpers.instructor.experiments.report import decimals, find, read_figures
from labhelpers.instructor.experiments.trials import read_ablation
from labhelpers.instructor.sources import NOTEBOOKS
from labhelpers.methods import METHODS

TRAININGS = read_figures()["trainings"]


def held_out(method, name, epochs=None):
    more = {"epochs": epochs} if epochs else {}
    return find(TRAININGS, part="validation", method=method, name=name, **more)


def published(method):
    return METHODS[method].published["Test set"]["PSNR"]


@pytest.fixture
def file(tmp_path):
    return shutil.copyfile(report.FIGURES, tmp_path / "results.yaml")


# --- what is generated --------------------------------------------------------------------------


def test_pages_hold_what_the_figures_say():
    for path, text in report.report_files().items():
        same = path.read_text(encoding="utf-8") == text
        assert same, "Run `labhelpers experiments report` and commit the files."


def test_another_figure_changes_both_pages(file):
    old = "PSNR: 23.39"
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, "PSNR: 24.56"), encoding="utf-8")
    pages = report.report_files(file)
    assert [path.name for path in pages] == ["RESULTS.md", "README.md", "ablation.json"]
    assert all("24.56" in page and "23.39" not in page for page in list(pages.values())[:2])


def test_measured_rows_say_how_they_were_measured():
    for row in TRAININGS:
        assert row["part"] in ("test", "validation", "phantom"), row
        assert row["source"] in ("measured", "published code run again"), row
        assert row["method"] in METHODS, row
        if row["source"] == "measured":
            assert row["subjects"] > 0, row
        if METHODS[row["method"]].kind == "trained":
            assert row["epochs"] > 0, row
            assert row["seeds"] > 0, row


def test_ablation_is_the_one_that_was_measured():
    trials = {(trial.method, trial.name) for trial in read_ablation()}
    measured = {
        (row["method"], row["name"])
        for row in TRAININGS
        if row["part"] == "validation"
        and METHODS[row["method"]].kind == "trained"
        and row["epochs"] == held_out(row["method"], "recommended")["epochs"]
    }
    assert trials == measured


def test_differences_of_the_ablation_fit_the_figures():
    for row in TRAININGS:
        if "difference" in row:
            unchanged = held_out(row["method"], "recommended", row["epochs"])
            difference = row["PSNR"] - unchanged["PSNR"]
            assert row["difference"] == pytest.approx(difference, abs=0.011), row


@pytest.mark.parametrize(
    ("value", "rounded"), [(2.05, "2.1"), (0.125, "0.1"), (-0.25, "-0.3"), (-0.04, "0.0")]
)
def test_halves_are_rounded_up(value, rounded):
    assert decimals(value, 1) == rounded


def test_the_anatomy_is_measured_in_every_stored_method():
    measured = read_figures()["stored"]
    names = ["mean-image", *stored.VALUES]
    assert [row["name"] for row in measured["anatomy"]] == names
    assert [(row["name"], row["size"]) for row in measured["lesions"]] == [
        (name, size) for name in names for size in SIZES
    ]
    assert {row["name"] for row in measured["invented"]} == {*names, "moved"}
    pairs = {(row["less"], row["name"]) for row in measured["differences"]}
    assert pairs == set(itertools.combinations(names[1:], 2))


def test_capture_changes_no_figure_beyond_what_other_seeds_do():
    for method in ("generator", "cgan", "cyclegan"):
        captured = find(GPU, method=method, name="recommended")
        as_it_is = find(GPU, method=method, name="recommended, not captured")
        assert captured["seeds"] == as_it_is["seeds"] == 3
        assert abs(captured["PSNR"] - as_it_is["PSNR"]) <= as_it_is["spread"]
        assert captured["seconds"] < as_it_is["seconds"] / 3


def test_rankings_go_from_the_best_to_the_worst():
    anatomy = [
        {"name": "a", "PSNR": 20, "dice": 0.5, "bias": -3},
        {"name": "b", "PSNR": 21, "dice": 0.4, "bias": 2},
    ]
    lesions = [{"name": "a", "mean": 0.3}, {"name": "b", "mean": 0.2}, {"name": "b", "mean": 0.2}]
    rankings = report._rankings({"anatomy": anatomy, "lesions": lesions})
    assert ["".join(order) for order in rankings.values()] == ["ba", "ba", "ab", "ba"]


# --- a new measurement --------------------------------------------------------------------------


def record(part, name, seed, psnr, losses):
    metrics = {"MAE": 0.0312345, "PSNR": psnr, "SSIM": 0.98765}
    subjects = {"MAE": [0.03, 0.05, 0.04], "PSNR": [psnr - 1, psnr + 1, psnr]}
    return {
        "part": part, "seed": seed, "epochs": 20, "method": "generator", "name": name,
        "seconds": 123.4, "train": metrics, "test": metrics, "sharpness": 0.912, "losses": losses,
        "subjects": subjects,
    }  # fmt: skip


def test_trainings_on_a_gpu_are_rows_of_their_own(file, tmp_path):
    on_gpu = {"device": "some GPU", "torch": "9.0"}
    records = [
        record("test", "recommended", seed, 24.0 + seed, {"generator": 0.5})
        | on_gpu
        | {"seconds": s}
        for seed, s in ((0, 12.34), (1, 20.0))
    ]
    trials = tmp_path / "trials.jsonl"
    trials.write_text("".join(json.dumps(record) + "\n" for record in records))
    report.take_in_trials(trials, file)
    figures, before = read_figures(file), read_figures()
    row = find(figures["speed"]["gpu"]["trainings"], device="some GPU")
    assert (row["PSNR"], row["seconds"], row["torch"]) == (24.5, 12.3, "9.0")
    assert figures["trainings"] == before["trainings"]
    assert figures["intervals"] == before["intervals"]


def test_trainings_are_taken_in(file, tmp_path):
    loss = {"generator": 0.5}
    records = [
        record("test", "recommended", 0, 24.0, loss),
        record("test", "recommended", 1, 25.0, loss),
        record("validation", "recommended", 0, 23.987, loss),
        record("validation", "batches of 8", 0, 23.5, loss),
        record("validation", "a new choice", 0, 24.5, loss),
    ]
    trials = tmp_path / "trials.jsonl"
    trials.write_text("".join(json.dumps(record) + "\n" for record in records))
    report.take_in_trials(trials, file)

    figures = read_figures(file)
    rows = figures["trainings"]
    assert len(rows) == len(TRAININGS) + 1
    row = find(rows, part="test", method="generator", name="recommended")
    assert (row["PSNR"], row["spread"], row["seeds"], row["subjects"]) == (24.5, 0.71, 2, 3)
    assert (row["MAE"], row["SSIM"], row["seconds"]) == (0.0312, 0.988, 123)
    assert row["torch"] == torch.__version__
    assert "discriminator" not in row
    part = {"part": "validation", "method": "generator"}
    assert find(rows, name="batches of 8", **part)["difference"] == -0.49
    assert find(rows, name="a new choice", **part)["difference"] == 0.51
    assert "spread" not in find(rows, name="a new choice", **part)
    interval = find(figures["intervals"], method="generator", metric="PSNR")
    assert interval["mean"] == 24.5
    assert len(figures["intervals"]) == len(read_figures()["intervals"])

    page, _, ablation = report.report_files(file).values()
    assert json.loads(ablation)["generator"][-1]["change"] == "a new choice"
    assert "| a new choice | 24.50 (+0.51) |" in page
    assert file.read_text(encoding="utf-8").startswith("# What was measured")


# --- what the notebooks' prose quotes -----------------------------------------------------------

CONSTANT_LAST = "learning rate constant at 2e-4, last weights"
BEGINNING = "mean pair only at the beginning"
NO_GAME = "lambda_gan 0, cycle and mean pair only"
FIRST_WEIGHTS = "PyTorch's first weights"


def on_test_set(method, name):
    return find(TRAININGS, part="test", method=method, name=name)


GENERATOR_REFERENCE = on_test_set("generator", "reference")
GENERATOR = on_test_set("generator", "recommended")
CGAN_REFERENCE = on_test_set("cgan", "reference")
CGAN = on_test_set("cgan", "recommended")
STEPS = read_figures()["speed"]["steps"]
STEP_COSTS = [
    find(STEPS, method="cyclegan", variant=variant)["seconds"]
    / find(STEPS, method="generator", variant=variant)["seconds"]
    for variant in ("plain", "lab, float32", "lab, bfloat16")
]
CYCLEGAN = find(TRAININGS, part="test", method="cyclegan", name="recommended, batches of 8")
CYCLEGAN_REFERENCE = on_test_set("cyclegan", "reference")
CYCLEGAN_LONG = on_test_set("cyclegan", "no mean pair, lambda_gan 1, lambda_cycle 10")


def rounded(figure, places=1):
    return decimals(round(figure, 6), places)


def lost(method, name):
    return rounded(-held_out(method, name)["difference"])


GPU = read_figures()["speed"]["gpu"]["trainings"]


def on_gpu(method):
    seconds = find(GPU, method=method, name="recommended")["seconds"]
    return f"took {decimals(seconds, 0)} seconds on a large GPU (NVIDIA H100)"


# By notebook and cell: what it says, with the figures that stand behind the numbers.
QUOTED = {
    ("2-generator", "about-2-a-generator-on-its-own"): [
        f"On a large GPU (NVIDIA H100) the second training took "
        f"{decimals(find(GPU, method='generator', name='recommended')['seconds'], 0)} seconds;",
    ],
    ("3-cgan", "about-3-a-conditional-gan"): [on_gpu("cgan")],
    ("4-cyclegan", "about-4-cyclegan-without-pairs"): [on_gpu("cyclegan")],
    ("2-generator", "ablation-text"): [
        f"Measured on {held_out('generator', 'recommended')['subjects']} training subjects",
        f"{lost('generator', 'batches of 40')} dB lower: too little",
        f"{lost('generator', 'slices not mirrored')} dB lower: too few",
        f"without *both* {lost('generator', CONSTANT_LAST)} dB lower",
    ],
    ("3-cgan", "same-recipe-text"): [
        f"reaches {rounded(GENERATOR_REFERENCE['PSNR'], 2)} dB by the reference recipe, "
        f"the cGAN {rounded(CGAN_REFERENCE['PSNR'], 2)} dB",
    ],
    ("3-cgan", "corner-text"): [
        f"alone by {rounded(published('cgan') - published('generator'))} dB",
    ],
    ("3-cgan", "learns-text"): [
        f"$e^{{-{CGAN['discriminator']}}} = {rounded(math.exp(-CGAN['discriminator']), 2)}$",
    ],
    ("3-cgan", "paired-text"): [
        f"cGAN has a sharpness of {rounded(CGAN['sharpness'], 2)}, and",
        f"notebook 2 one of {rounded(GENERATOR['sharpness'], 2)}.",
        f"measured on {held_out('cgan', 'recommended')['subjects']} training subjects",
    ],
    ("4-cyclegan", "what-carries-it"): [
        f"trainings of {held_out('cyclegan', 'recommended')['epochs']} epochs",
        f"measured on {held_out('cyclegan', 'recommended')['subjects']} training subjects",
        f"had a standard deviation of {decimals(CYCLEGAN['spread'], 2)} dB",
        f"Without it the PSNR falls by {lost('cyclegan', 'no mean pair')} dB",
        f"only at the beginning it falls by {lost('cyclegan', BEGINNING)} dB",
        f"falls by {lost('cyclegan', 'only the mean pair')} dB and the sharpness to "
        f"{decimals(held_out('cyclegan', 'only the mean pair')['sharpness'], 2)}:",
        rf"With $\lambda_{{\text{{gan}}}} = 0$ the sharpness is "
        f"{decimals(held_out('cyclegan', NO_GAME)['sharpness'], 2)} in place of "
        f"{decimals(held_out('cyclegan', 'recommended')['sharpness'], 2)}; "
        f"the PSNR falls by {lost('cyclegan', NO_GAME)} dB",
        rf"With $\lambda_{{\text{{gan}}}} = 1$ it falls by "
        f"{lost('cyclegan', 'lambda_gan 1')} dB",
        f"The brightness ({lost('cyclegan', 'brightness as it is')} dB)",
        f"the first weights ({lost('cyclegan', FIRST_WEIGHTS)} dB)",
    ],
    ("4-cyclegan", "about-the-loop"): [
        f"{rounded(min(STEP_COSTS))} to {rounded(max(STEP_COSTS))} by the precision",
    ],
    ("4-cyclegan", "about-the-diagnosis"): [
        f"the loss of both together is {decimals(CYCLEGAN_REFERENCE['discriminator'], 3)}",
        f"The lab made one: {CYCLEGAN_LONG['epochs']} epochs",
        f"On the test set it has {decimals(CYCLEGAN_LONG['PSNR'], 2)} dB (one training), "
        f"in place of {decimals(CYCLEGAN_REFERENCE['PSNR'], 2)} dB",
        f"the mean image has {rounded(published('mean-image'), 2)} dB",
    ],
    ("4-cyclegan", "mean-image-text"): [
        f"the mean image wins: {rounded(published('mean-image'), 2)} dB",
        f"against {rounded(published('cyclegan'), 2)} dB",
        f"the same recipe gives {decimals(CYCLEGAN_REFERENCE['PSNR'], 2)} dB",
    ],
}
# Numbers with a unit that follow from a formula, or ask a question.
NOT_MEASURED = {
    ("1-data-exploration", "about-two-baselines"): ["20 dB"],
    ("1-data-exploration", "metrics-text"): ["20 dB"],
    ("1-data-exploration", "about-how-to-measure-similarity"): ["10 dB"],
    ("2-generator", "about-what-the-metrics-miss"): ["6.02"],
}


def prose():
    return {
        (path.stem, cell.id): cell.source
        for path in sorted(NOTEBOOKS.glob("*/*.ipynb"))
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "markdown"
    }


def test_prose_quotes_the_figures_and_no_other_decibel():
    for place, text in prose().items():
        for quote in QUOTED.get(place, []):
            assert quote in text, f"{place} does not say {quote!r}"
        for quote in [*QUOTED.get(place, []), *NOT_MEASURED.get(place, [])]:
            text = text.replace(quote, "")
        assert not re.findall(r"[\d.]+ ?\$? dB", text), place
    assert QUOTED.keys() <= prose().keys()
