"""Tables and networks that one notebook saves and the next one finds."""

import pandas as pd
import pytest
import torch
from torch import nn

from labhelpers.results import REFERENCE, load_generator, results_table, save_result

METRICS = pd.DataFrame(
    {"Training set": [0.1, 20.0, 0.9], "Test set": [0.2, 18.0, 0.8]}, index=["MAE", "PSNR", "SSIM"]
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An assignment's folder, as nbgrader and the student version lay it out."""
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    here = tmp_path / "2-generator"
    here.mkdir()
    (here / "2-generator.ipynb").touch()
    monkeypatch.chdir(here)
    return here


def test_reference_shown_until_measured(folder):
    table = results_table()
    assert table.loc["CycleGAN", ("PSNR", "Test set")] == 14.87
    assert "published" in table.loc["CycleGAN", ("source", "")]
    assert table.loc["Mean T2-w image", ("MAE", "Test set")] == pytest.approx(
        REFERENCE.loc["mean-image", ("MAE", "Test set")]
    )


def test_measured_replaces_published(folder):
    save_result("generator", METRICS, recipe="2 epochs")
    table = results_table()
    assert table.loc["Generator", ("PSNR", "Test set")] == 18.0
    assert table.loc["Generator", ("source", "")] == "measured here on IXI, 2 epochs"
    assert table.loc["cGAN", ("MAE", "Training set")] == 0.0367


def test_shared_by_the_notebooks(folder, monkeypatch):
    save_result("generator", METRICS, recipe="2 epochs")
    other = folder.parent / "3-cgan"
    other.mkdir()
    (other / "3-cgan.ipynb").touch()
    monkeypatch.chdir(other)
    assert results_table().loc["Generator", ("SSIM", "Test set")] == 0.8


def test_grading_stays_in_its_folder(folder, monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    save_result("generator", METRICS, "2 epochs", nn.Conv2d(1, 1, 3))
    saved = [path.name for path in (folder / "results").iterdir()]
    assert saved == ["generator.csv"], "weights of a whole class would fill the disk"


def test_network_comes_back(folder):
    network = nn.Conv2d(1, 1, 3)
    assert load_generator("cgan", nn.Conv2d(1, 1, 3)) is None
    save_result("cgan", METRICS, "2 epochs", network)
    loaded = load_generator("cgan", nn.Conv2d(1, 1, 3))
    torch.testing.assert_close(loaded.weight, network.weight)
    assert not loaded.training


def test_unknown_method(folder):
    with pytest.raises(ValueError, match="choose one of t1-unchanged"):
        save_result("diffusion", METRICS, recipe="")
