"""Trials of recipes: the table fits the notebooks, a trial runs, a run can be resumed."""

import json

import pytest
import torch

from labhelpers.data import IXIDataset
from labhelpers.instructor.authoring.edits import BuildError
from labhelpers.instructor.experiments import trials
from labhelpers.instructor.experiments.trials import (
    Trial,
    intervals,
    read_ablation,
    run_trial,
    table,
)
from labhelpers.instructor.sources import METHODS, given_source
from labhelpers.phantom import write_phantom
from labhelpers.recipes import RECIPES, REFERENCE


@pytest.fixture
def few():
    """Eight subjects; at that size a training takes seconds."""
    generator = torch.Generator().manual_seed(0)
    t1 = torch.rand(8, 1, 64, 64, generator=generator) * 2 - 1
    return IXIDataset.from_tensors(t1, -t1)


def recommended(method, **changes):
    return Trial(method, "recommended", RECIPES[method]["recommended"], **changes)


def test_every_change_of_the_ablation_fits_its_notebook():
    seen = [(trial.method, trial.name) for trial in read_ablation()]
    assert len(set(seen)) == len(seen)
    assert {method for method, _ in seen} == set(METHODS)
    for trial in read_ablation():
        source = given_source(METHODS[trial.method])
        assert all(source.count(old) == 1 for old, _ in trial.replace), trial.name
        changes = trial.recipe != RECIPES[trial.method]["recommended"] or trial.replace
        assert changes or trial.name == "recommended"


def test_change_that_does_not_fit_is_named(few):
    trial = recommended("generator", replace=(("no such text", ""),))
    with pytest.raises(BuildError, match="'no such text' occurs 0 times in 2-generator"):
        run_trial(trial, few, few)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["reference", "recommended"])
def test_trial_trains_by_the_notebooks_function(method, name, few, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = run_trial(Trial(method, name, RECIPES[method][name]), few, few, num_epoch=2)
    assert set(record["test"]) == set(record["train"]) == {"MAE", "PSNR", "SSIM"}
    assert len(record["subjects"]["PSNR"]) == 8
    assert json.loads(json.dumps(record)) == record
    assert (tmp_path / "images" / method / "epoch-2.png").exists()


def test_run_is_resumed_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setenv("LABHELPERS_DATA", str(write_phantom(tmp_path / "data", 120)))
    monkeypatch.chdir(tmp_path)
    ran = []

    def instead(trial, train_set, test_set, num_epoch, seed):
        ran.append((trial.name, seed))
        assert (len(train_set), len(test_set)) == (4, 92)
        metrics = {"MAE": 0.1, "PSNR": 20.0 + seed, "SSIM": 0.9}
        subjects = {"PSNR": [19.0, 20.0, 22.0]}
        return {"seconds": 1.0, "test": metrics, "train": metrics, "sharpness": 0.9,
                "losses": {"discriminator": 0.6}, "subjects": subjects}  # fmt: skip

    monkeypatch.setattr(trials, "run_trial", instead)
    both = [recommended("generator"), Trial("generator", "reference", REFERENCE)]
    file = tmp_path / "trials.jsonl"
    trials.run_all(both[:1], [0, 1], "validation", 20, file)
    records = trials.run_all(both, [0, 1], "validation", 20, file)
    assert ran == [("recommended", 0), ("recommended", 1), ("reference", 0), ("reference", 1)]
    assert len(records) == len(file.read_text().splitlines()) == 4

    means = table(records)
    assert means.loc[("generator", "reference"), "PSNR"] == 20.5
    assert means.loc[("generator", "reference"), "seeds"] == 2
    row = intervals(records).loc[("generator", "reference", "PSNR")]
    assert row["low"] < row["mean"] < row["high"]
