"""Tables and networks that one notebook saves and the next one finds."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from labhelpers import plots, session
from labhelpers.data import IXIDataset, limit_subjects
from labhelpers.lesions import paint_lesions
from labhelpers.metrics import generate
from labhelpers.phantom import simulate_pair
from labhelpers.results import (
    ablation,
    generated_slices,
    load_generator,
    results_table,
    save_result,
)
from labhelpers.stored import SUBJECTS, read_sheet, write_sheet

STORED = "stored, seed 0, 20 epochs, IXI"
METRICS = pd.DataFrame(
    {"Training set": [0.1, 20.0, 0.9], "Test set": [0.2, 18.0, 0.8]}, index=["MAE", "PSNR", "SSIM"]
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An assignment's folder, as nbgrader and the student version lay it out."""
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    session.temporary_folder.cache_clear()
    here = tmp_path / "2-generator"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


def train(name="generator", recipe="recommended", epochs=20, finished=None):
    """Leave the record of a training."""
    losses = [{"epoch": epoch + 1} for epoch in range(epochs if finished is None else finished)]
    record = {"recipe": recipe, "num_epoch": epochs, "losses": losses, "failed_in_epoch": None}
    run = session.temporary_folder() if session.is_graded() else Path("images")
    (run / name).mkdir(parents=True, exist_ok=True)
    (run / name / "run.json").write_text(json.dumps(record))
    return name


@pytest.fixture
def saved_results(folder):
    """The folder that the notebooks share, with a measured generator."""
    save_result("generator", METRICS, train(), nn.Conv2d(1, 1, 3))
    return folder.parent / "results"


def test_loader(n_subjects=None):
    """Test subjects with the names of IXI's and other images."""
    images = torch.zeros(len(SUBJECTS), 1, 64, 64)
    dataset = IXIDataset.from_tensors(images, images, list(SUBJECTS))
    return limit_subjects(DataLoader(dataset, batch_size=5), n_subjects)


test_loader.__test__ = False


# --- tables -------------------------------------------------------------------------------------


def test_stored_shown_until_measured(folder):
    table = results_table()
    assert table.loc["CycleGAN (reference)", ("PSNR", "Test set")] == 14.87
    earlier = "earlier version of this lab, 20 epochs, IXI"
    assert table.loc["CycleGAN (reference)", ("source", "")] == earlier
    assert table.loc["Mean T2-w image", ("MAE", "Test set")] == 0.0731
    assert table.loc["Mean T2-w image", ("source", "")] == "measured for this lab, no training, IXI"
    assert table.loc["Generator (recommended)", ("source", "")] == STORED


def test_table_shows_to_the_end_how_a_method_was_trained(folder):
    changed = "recommended, lr discriminator 0.001"
    save_result("cgan", METRICS, train("cgan", changed, epochs=20, finished=2))
    assert f"{changed}, stopped in epoch 3 of 20" in results_table()._repr_html_()


def test_table_shows_sources_under_names_and_the_best_in_bold(saved_results):
    shown = results_table()._repr_html_()
    assert re.search("<th>Generator [(]recommended[)]<br><small.*?>measured here on IXI", shown)
    assert re.findall("<b>(.*?)</b>", shown)[0].startswith("0.0")
    best = results_table()[("PSNR", "Test set")].max()
    assert f"<b>{best:.2f}</b>" in shown
    assert shown.count("<b>") >= 6
    assert "best of a column" not in results_table().head(2)._repr_html_()


def test_measured_replaces_stored_of_the_same_recipe_only(saved_results):
    table = results_table()
    assert table.loc["Generator (recommended)", ("PSNR", "Test set")] == 18.0
    source = "measured here on IXI, recommended, 20 epochs"
    assert table.loc["Generator (recommended)", ("source", "")] == source
    assert table.loc["Generator (reference)", ("PSNR", "Test set")] == 20.19


@pytest.mark.parametrize(
    ("training", "how"),
    [({"epochs": 2}, "2 epochs"), ({"finished": 3}, "stopped in epoch 4 of 20")],
)
def test_a_shorter_training_stands_beside_a_full_one(folder, training, how):
    save_result("generator", METRICS, train(**training), nn.Conv2d(1, 1, 3))
    table = results_table()
    assert table.loc["Generator (recommended)", ("source", "")] == STORED
    row = table.loc["Generator (recommended, short)"]
    assert row["source", ""] == f"measured here on IXI, recommended, {how}"
    assert row["PSNR", "Test set"] == 18.0
    assert load_generator("generator", nn.Conv2d(1, 1, 3)) is None, "no network of a full training"


def test_two_recipes_of_a_method_and_a_changed_one_stand_side_by_side(folder):
    for recipe in ("reference", "recommended", "recommended, flip False"):
        save_result("cgan", METRICS, train("a run", recipe))
    assert [title for title in results_table().index if title.startswith("cGAN")] == [
        "cGAN (reference)", "cGAN (recommended)", "cGAN (recommended, flip False)"
    ]  # fmt: skip


def test_the_chart_says_what_was_not_measured_here(saved_results):
    save_result("mean-image", METRICS, None)
    chart = plots.metric_bars(results_table()).figure.axes[0]
    labels = [label.get_text() for label in chart.get_yticklabels()]
    assert labels[1:5] == [
        "Intensity lookup\n(measured for this lab)",
        "Mean T2-w image",
        "Generator (reference)\n(earlier version of this lab)",
        "Generator (recommended)",
    ]
    assert [bool(bar.get_hatch()) for bar in chart.patches][:4] == [True, True, True, False]


@pytest.mark.parametrize("method", ["generator", "cgan", "cyclegan"])
def test_ablation(method):
    table = ablation(method)
    assert table.index[0] == "recommended recipe"
    assert table.index.name == "change"
    assert list(table) == ["PSNR", "SSIM", "MAE", "sharpness", "discriminator"]
    assert table["PSNR"].between(10, 30).all()
    assert table["discriminator"].isna().all() == (method == "generator")


# --- generated slices ---------------------------------------------------------------------------


def test_stored_slices_of_the_subjects_at_hand(folder):
    slices, source = generated_slices("generator", test_loader=test_loader())
    assert slices.shape == (116, 1, 64, 64)
    assert (slices.min(), slices.dtype) == (-1, torch.float32)
    assert "Generator (recommended): stored slices" in source
    few, _ = generated_slices("generator", test_loader=test_loader(20))
    torch.testing.assert_close(few, slices[:20])


@pytest.fixture
def simulated():
    """Two simulated people with the names of the first two test subjects."""
    pairs = torch.stack([torch.stack(simulate_pair(number)) for number in range(2)]).float()
    t1, t2 = pairs[:, :1], pairs[:, 1:]
    return DataLoader(IXIDataset.from_tensors(t1, t2, list(SUBJECTS[:2])), batch_size=1)


def test_slices_with_lesions_are_stored_for_each_size(folder, simulated):
    made = [
        generated_slices("generator", test_loader=simulated, lesion_size=size)[0]
        for size in (1, 2, 3, 4)
    ]
    without, _ = generated_slices("generator", test_loader=simulated)
    changed = [(slices - without).abs().mean() for slices in made]
    assert 0 < changed[0] < changed[1] < changed[3] < 0.02


def test_a_network_trained_here_gets_the_same_lesions(folder, simulated):
    slices = generate(nn.Identity(), simulated)
    painted = paint_lesions(slices["real_t1"], slices["real_t2"], 3)
    made, _ = generated_slices(
        "generator", network=nn.Identity(), test_loader=simulated, lesion_size=3
    )
    torch.testing.assert_close(made, painted.t1)


def test_a_network_trained_here_takes_their_place(folder):
    slices, source = generated_slices("generator", network=nn.Tanh(), test_loader=test_loader(7))
    torch.testing.assert_close(slices, torch.zeros(7, 1, 64, 64))
    assert source == "Generator (recommended): generated by a network here."


def test_nothing_is_stored_for_other_subjects_and_other_recipes(folder):
    images = torch.zeros(2, 1, 64, 64)
    simulated = DataLoader(IXIDataset.from_tensors(images, images, ["sub-A", SUBJECTS[0]]))
    slices, source = generated_slices("generator", test_loader=simulated)
    assert slices is None and "which these are not" in source
    slices, source = generated_slices("cgan", "reference", test_loader=test_loader())
    assert slices is None and "Train it first" in source


def test_sheets_keep_the_slices(tmp_path):
    generator = torch.Generator().manual_seed(0)
    slices = torch.rand(116, 1, 64, 64, generator=generator) * 2 - 1
    write_sheet("noise", slices, tmp_path)
    torch.testing.assert_close(read_sheet("noise", tmp_path), slices, atol=1 / 254, rtol=0)


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("notebook", ["3-cgan", "4-cyclegan", "."])
def test_shared_by_the_notebooks_in_folders_or_in_one(notebook, saved_results, monkeypatch):
    other = saved_results.parent / notebook
    other.mkdir(exist_ok=True)
    monkeypatch.chdir(other)
    assert results_table().loc["Generator (recommended)", ("SSIM", "Test set")] == 0.8


def test_number_of_parameters_is_saved(saved_results):
    assert pd.read_csv(saved_results / "generator-recommended.csv").loc[0, "parameters"] == 10


@pytest.mark.parametrize("layout", ["2-generator", "."])
def test_grading_leaves_the_students_results_alone(layout, saved_results, monkeypatch):
    monkeypatch.chdir(saved_results.parent / layout)
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")
    before = {path: path.read_bytes() for path in saved_results.parent.rglob("*.*")}
    save_result("generator", METRICS * 2, train(), nn.Conv2d(1, 1, 3))
    assert results_table().loc["Generator (recommended)", ("PSNR", "Test set")] == 36.0
    assert load_generator("generator", nn.Conv2d(1, 1, 3)) is None
    assert {path: path.read_bytes() for path in saved_results.parent.rglob("*.*")} == before


def test_network_comes_back(folder):
    network = nn.Conv2d(1, 1, 3)
    assert load_generator("cgan", nn.Conv2d(1, 1, 3)) is None
    save_result("cgan", METRICS, train("cgan"), network)
    loaded = load_generator("cgan", nn.Conv2d(1, 1, 3))
    torch.testing.assert_close(loaded.weight, network.weight)
    assert not loaded.training


def test_folder_that_cannot_be_written(folder, capsys):
    (folder.parent / "results").write_text("a file where the folder should be")
    save_result("generator", METRICS, train())
    assert "The result of 'generator' could not be saved in" in capsys.readouterr().out
    assert results_table().loc["Generator (recommended)", ("source", "")] == STORED


@pytest.mark.parametrize("content", [b"", b"MAE\n0.1\n", b"\xff\xfe\x00", b'a,"b\n1\n'])
def test_damaged_table(content, saved_results, capsys):
    (saved_results / "generator-recommended.csv").write_bytes(content)
    assert results_table().loc["Generator (recommended)", ("source", "")] == STORED
    assert "generator-recommended.csv cannot be read" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 half of an archive"])
def test_damaged_network(content, saved_results, capsys):
    (saved_results / "generator-recommended.pt").write_bytes(content)
    assert load_generator("generator", nn.Conv2d(1, 1, 3)) is None
    assert "Train 'generator' again" in capsys.readouterr().out


def test_the_weights_fit_whatever_a_student_calls_the_layers(saved_results):
    names = {"first": nn.Conv2d(1, 1, 3), "second": nn.Conv2d(1, 2, 3)}
    network = nn.ModuleDict(names)
    save_result("generator", METRICS, train(), network)
    loaded = load_generator("generator", nn.Sequential(nn.Conv2d(1, 1, 3), nn.Conv2d(1, 2, 3)))
    torch.testing.assert_close(loaded[1].weight, names["second"].weight)
    assert load_generator("generator", nn.Sequential(*names.values(), nn.Conv2d(1, 1, 1))) is None


def test_network_of_another_architecture(saved_results, capsys):
    assert load_generator("generator", nn.Conv2d(2, 1, 3)) is None
    assert "does not hold weights that fit this network" in capsys.readouterr().out


def test_unknown_method(folder):
    with pytest.raises(ValueError, match="choose one of t1-unchanged"):
        save_result("diffusion", METRICS, None)
