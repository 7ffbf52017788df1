"""The list of methods; tables and networks that one notebook saves and the next one finds."""

import nbformat
import pandas as pd
import pytest
import torch
from torch import nn

from labhelpers import session
from labhelpers.instructor.sources import NOTEBOOKS, run_source
from labhelpers.results import METHODS, load_generator, results_table, save_result

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


@pytest.fixture
def saved_results(folder):
    """The folder that the notebooks share, with a measured generator."""
    save_result("generator", METRICS, "2 epochs", nn.Conv2d(1, 1, 3))
    return folder.parent / "results"


# --- the list of methods ------------------------------------------------------------------------


def test_methods_belong_to_the_notebooks():
    assert {method.notebook for method in METHODS.values()} == {
        path.parent.name for path in NOTEBOOKS.glob("*/*.ipynb")
    }


def test_notebooks_save_under_the_methods_they_measure():
    for method in METHODS.values():
        path = NOTEBOOKS / method.notebook / f"{method.notebook}.ipynb"
        cells = nbformat.read(path, as_version=4).cells
        saving = [cell.source for cell in cells if "save_result(" in cell.source]
        assert any(f'"{method.id}"' in source for source in saving), method.id


# --- tables -------------------------------------------------------------------------------------


def test_published_shown_until_measured(folder):
    table = results_table()
    assert table.loc["CycleGAN", ("PSNR", "Test set")] == 14.87
    assert table.loc["CycleGAN", ("source", "")] == "published on IXI, 20 epochs"
    assert table.loc["Mean T2-w image", ("MAE", "Test set")] == 0.0731
    assert table.loc["Mean T2-w image", ("source", "")] == "reference on IXI"


def test_table_shows_to_the_end_how_a_method_was_trained(folder):
    how = "recommended, lr discriminator 0.001, stopped in epoch 3 of 20"
    save_result("cgan", METRICS, how)
    assert how in results_table()._repr_html_()


def test_measured_replaces_published(saved_results):
    table = results_table()
    assert table.loc["Generator", ("PSNR", "Test set")] == 18.0
    assert table.loc["Generator", ("source", "")] == "measured here on IXI, 2 epochs"
    assert table.loc["cGAN", ("MAE", "Training set")] == 0.0367


def test_last_chart_says_what_was_not_measured_here(saved_results):
    notebook = nbformat.read(NOTEBOOKS / "4-cyclegan" / "4-cyclegan.ipynb", as_version=4)
    source = {cell.id: cell.source for cell in notebook.cells}
    imports = "from labhelpers import plots\nfrom labhelpers.results import results_table"
    chart = source["results-figure"].replace("plots.metric_bars", "chart = plots.metric_bars")
    names = run_source(chart, f"{imports}\n{source['results']}")
    labels = [label.get_text() for label in names["chart"].figure.axes[0].get_yticklabels()]
    assert labels == [
        "T1-w unchanged\n(reference)",
        "Intensity lookup\n(reference)",
        "Mean T2-w image\n(reference)",
        "Generator",
        "cGAN\n(published)",
        "CycleGAN\n(published)",
    ]


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("notebook", ["3-cgan", "4-cyclegan", "."])
def test_shared_by_the_notebooks_in_folders_or_in_one(notebook, saved_results, monkeypatch):
    other = saved_results.parent / notebook
    other.mkdir(exist_ok=True)
    monkeypatch.chdir(other)
    assert results_table().loc["Generator", ("SSIM", "Test set")] == 0.8


def test_number_of_parameters_is_saved(saved_results):
    assert pd.read_csv(saved_results / "generator.csv").loc[0, "parameters"] == 10


@pytest.mark.parametrize("layout", ["2-generator", "."])
def test_grading_leaves_the_students_results_alone(layout, saved_results, monkeypatch):
    monkeypatch.chdir(saved_results.parent / layout)
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")
    before = {path: path.read_bytes() for path in saved_results.parent.rglob("*.*")}
    save_result("generator", METRICS * 2, "quick", nn.Conv2d(1, 1, 3))
    assert results_table().loc["Generator", ("PSNR", "Test set")] == 36.0
    assert load_generator("generator", nn.Conv2d(1, 1, 3)) is None
    assert {path: path.read_bytes() for path in saved_results.parent.rglob("*.*")} == before


def test_network_comes_back(folder):
    network = nn.Conv2d(1, 1, 3)
    assert load_generator("cgan", nn.Conv2d(1, 1, 3)) is None
    save_result("cgan", METRICS, "2 epochs", network)
    loaded = load_generator("cgan", nn.Conv2d(1, 1, 3))
    torch.testing.assert_close(loaded.weight, network.weight)
    assert not loaded.training


def test_folder_that_cannot_be_written(folder, capsys):
    (folder.parent / "results").write_text("a file where the folder should be")
    save_result("generator", METRICS, "2 epochs")
    assert "The result of 'generator' could not be saved in" in capsys.readouterr().out
    assert results_table().loc["Generator", ("PSNR", "Test set")] == 20.19


@pytest.mark.parametrize("content", [b"", b"MAE\n0.1\n", b"\xff\xfe\x00", b'a,"b\n1\n'])
def test_damaged_table(content, saved_results, capsys):
    (saved_results / "generator.csv").write_bytes(content)
    assert results_table().loc["Generator", ("source", "")] == "published on IXI, 20 epochs"
    assert "generator.csv cannot be read" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 half of an archive"])
def test_damaged_network(content, saved_results, capsys):
    (saved_results / "generator.pt").write_bytes(content)
    assert load_generator("generator", nn.Conv2d(1, 1, 3)) is None
    assert "Train 'generator' again" in capsys.readouterr().out


def test_the_weights_fit_whatever_a_student_calls_the_layers(saved_results):
    names = {"first": nn.Conv2d(1, 1, 3), "second": nn.Conv2d(1, 2, 3)}
    network = nn.ModuleDict(names)
    save_result("generator", METRICS, "2 epochs", network)
    loaded = load_generator("generator", nn.Sequential(nn.Conv2d(1, 1, 3), nn.Conv2d(1, 2, 3)))
    torch.testing.assert_close(loaded[1].weight, names["second"].weight)
    assert load_generator("generator", nn.Sequential(*names.values(), nn.Conv2d(1, 1, 1))) is None


def test_network_of_another_architecture(saved_results, capsys):
    assert load_generator("generator", nn.Conv2d(2, 1, 3)) is None
    assert "does not hold weights that fit this network" in capsys.readouterr().out


def test_unknown_method(folder):
    with pytest.raises(ValueError, match="choose one of t1-unchanged"):
        save_result("diffusion", METRICS, recipe="")
