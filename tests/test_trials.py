"""Trials of recipes: the table fits the notebooks, a trial runs, a run can be resumed."""

import json
from pathlib import Path

import pytest
import torch

from labhelpers import fast
from labhelpers.data import IXIDataset
from labhelpers.instructor.experiments import trials
from labhelpers.instructor.experiments.trials import (
    Trial,
    intervals,
    read_ablation,
    read_results,
    run_trial,
    table,
)
from labhelpers.instructor.experiments.variants import VARIANTS
from labhelpers.instructor.sources import TRAINING_NOTEBOOKS, given_source, run_source
from labhelpers.phantom import write_phantom
from labhelpers.recipes import find_recipe


@pytest.fixture
def few():
    """Eight subjects; at that size a training takes seconds."""
    generator = torch.Generator().manual_seed(0)
    t1 = torch.rand(8, 1, 64, 64, generator=generator) * 2 - 1
    return IXIDataset.from_tensors(t1, -t1)


def test_every_entry_of_the_ablation_is_another_training():
    seen = [(trial.method, trial.name) for trial in read_ablation()]
    assert len(set(seen)) == len(seen)
    assert {method for method, _ in seen} == set(TRAINING_NOTEBOOKS)
    for trial in read_ablation():
        assert str(trial.recipe.label).isascii() and trial.name.isascii(), "cp1252 has no Greek"
        same = trial.recipe.label == "recommended" and not trial.variant
        assert same == (trial.name == "recommended")


def test_all_variants_are_tried(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # one of them is for a GPU only
    used = {trial.variant for trial in (*read_ablation(), *read_results())} - {""}
    assert used == set(VARIANTS)


@pytest.mark.parametrize("method", TRAINING_NOTEBOOKS)
@pytest.mark.parametrize("name", ["reference", "recommended"])
def test_trial_trains_by_the_notebooks_function(method, name, few, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = run_trial(Trial(method, name, find_recipe(method, name)), few, few, num_epoch=2)
    assert set(record["test"]) == set(record["train"]) == {"MAE", "PSNR", "SSIM"}
    assert len(record["subjects"]["PSNR"]) == 8
    assert json.loads(json.dumps(record)) == record
    assert (tmp_path / "images" / method / "epoch-2.png").exists()


# What each variant has instead, for logits, generated slices or errors that are all known.
SLICES = torch.full((3, 1, 4, 4), 0.5)


def notebook(method, variant):
    names = run_source(given_source(TRAINING_NOTEBOOKS[method]))
    VARIANTS[variant](names)
    return names


def discriminator(image, condition=None):
    return image.mean(dim=(1, 2, 3), keepdim=True)


def test_squared_error():
    names = notebook("generator", "squared error")
    network = torch.nn.Conv2d(1, 1, 1)
    torch.nn.init.zeros_(network.weight), torch.nn.init.zeros_(network.bias)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    loss = names["generator_step"](network, optimizer, torch.nn.L1Loss(), SLICES, SLICES)
    assert loss == pytest.approx(0.25)


def test_plain_layers():
    seen = []
    names = run_source(given_source(TRAINING_NOTEBOOKS["generator"]))
    names["train_by_recipe"] = lambda: seen.append(fast._plain)
    VARIANTS["plain layers"](names)
    names["train_by_recipe"]()
    assert seen == [True] and not fast._plain
    assert not names["Accelerated"](names["GeneratorUNet"]()).use_bfloat16


def test_steps_that_are_not_captured():
    names = notebook("generator", "steps not captured")
    assert names["TrainingRun"].captured(names["generator_step"]) is names["generator_step"]


def test_least_squares():
    names = notebook("cgan", "least squares")

    real, fake = SLICES, SLICES - 1  # logits 0.5 and -0.5
    loss = names["cgan_generator_loss"](discriminator, real, real, fake, 2.0, 3.0)
    assert loss == pytest.approx(2 * 1.5**2 + 3 * 1)
    loss = names["cgan_discriminator_loss"](discriminator, real, real, fake)
    assert loss == pytest.approx((0.5**2 + 0.5**2) / 2)


def test_identity_loss():
    cycle_only = run_source(given_source(TRAINING_NOTEBOOKS["cyclegan"]))["cyclegan_generator_loss"]
    with_identity = notebook("cyclegan", "identity loss")["cyclegan_generator_loss"]

    def halve(x):
        return x / 2

    arguments = (halve, halve, discriminator, discriminator, SLICES, SLICES, 1.0, 10.0)
    loss, *fakes = with_identity(*arguments)
    assert loss == pytest.approx(cycle_only(*arguments)[0] + 10 * (0.25 + 0.25) / 2)
    assert len(fakes) == 2


def test_buffer_of_old_fakes():
    names = notebook("cyclegan", "buffer of old fakes")
    seen = []

    def watched(image):
        seen.append(image.mean().item())
        return discriminator(image)

    for step in range(200):
        fake = torch.full((1, 1, 4, 4), step / 200)
        names["cyclegan_discriminator_loss"](watched, SLICES[:1], fake)
    fakes = torch.tensor(seen[1::2])
    new = torch.isclose(fakes, torch.arange(200) / 200)
    assert new[:50].all(), "the buffer is filled first"
    assert 0.3 < new[50:].float().mean() < 0.7


def test_run_is_resumed_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setenv("LABHELPERS_DATA", str(write_phantom(tmp_path / "data", 120)))
    monkeypatch.chdir(tmp_path)
    ran = []

    def instead(trial, train_set, test_set, num_epoch, seed, keep):
        ran.append((trial.name, seed))
        assert (len(train_set), len(test_set)) == (4, 92)
        assert Path.cwd() == file.parent
        metrics = {"MAE": 0.1, "PSNR": 20.0 + seed, "SSIM": 0.9}
        subjects = {"PSNR": [19.0, 20.0, 22.0]}
        return {"seconds": 1.0, "test": metrics, "train": metrics, "sharpness": 0.9,
                "losses": {"discriminator": 0.6}, "subjects": subjects}  # fmt: skip

    monkeypatch.setattr(trials, "run_trial", instead)
    names = ("recommended", "reference")
    both = [Trial("generator", name, find_recipe("generator", name)) for name in names]
    file = tmp_path / "build" / "trials.jsonl"
    file.parent.mkdir()
    trials.run_all(both[:1], [0, 1], "validation", 20, file)
    records = trials.run_all(both, [0, 1], "validation", 20, file)
    assert ran == [("recommended", 0), ("recommended", 1), ("reference", 0), ("reference", 1)]
    assert len(records) == len(file.read_text().splitlines()) == 4
    assert Path.cwd() == tmp_path

    trial = ("validation", "generator", "reference", 20)
    means = table(records).loc[trial]
    assert (means["PSNR"], means["seeds"]) == (20.5, 2)
    row = intervals(records).loc[(*trial, "PSNR")]
    assert row["low"] < row["mean"] < row["high"]
