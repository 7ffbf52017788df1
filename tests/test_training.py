"""A training run that is watched, recorded under its name, saved and stopped."""

import math
from dataclasses import replace
from unittest.mock import Mock

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from labhelpers import plots, training
from labhelpers.batches import CountedLoader
from labhelpers.data import IXIDataset, limit_subjects
from labhelpers.recipes import GeneratorRecipe
from labhelpers.session import seed_everything
from labhelpers.training import (
    NotTrainedYet,
    TrainingRun,
    describe_run,
    load_history,
    load_record,
    mirrored,
    show_losses,
    show_samples,
)


@pytest.fixture
def loaders(tmp_path, monkeypatch):
    """Loaders of ten small pairs; the working folder is a temporary one."""
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    monkeypatch.chdir(tmp_path)
    images = torch.linspace(-1, 1, 10 * 16 * 16).reshape(10, 1, 16, 16)
    dataset = IXIDataset.from_tensors(images, -images)
    return DataLoader(dataset, batch_size=4, shuffle=True), DataLoader(dataset, batch_size=5)


def train(loaders, num_epoch=2, losses=None, name="demo", recipe=None):
    """Run a training loop that only logs; three batches are an epoch."""
    generator = nn.Conv2d(1, 1, 1)
    losses = iter(losses or [])
    with TrainingRun(name, *loaders, num_epoch, "cpu", recipe or GeneratorRecipe()) as run:
        for _ in run.epochs():
            for batch in run.batches():
                loss = next(losses, 1.0)
                if loss == "stop":
                    raise KeyboardInterrupt
                run.log(generator=loss, size=torch.tensor(float(len(batch["T1"]))))
            run.save_samples(generator)
    return run


def images_of(folder):
    return sorted(path.name for path in folder.glob("*.png"))


def test_limit_subjects_keeps_batches_and_order(loaders):
    train_loader, test_loader = loaders
    limited = limit_subjects(train_loader, 6)
    assert [len(batch["T1"]) for batch in limited] == [4, 2]
    assert isinstance(limited.sampler, torch.utils.data.RandomSampler)
    in_order = torch.cat([batch["T1"] for batch in limit_subjects(test_loader, 7)])
    torch.testing.assert_close(in_order, test_loader.dataset.t1[:7])
    assert limit_subjects(train_loader, None) is train_loader


def test_each_epoch_has_its_mean_losses_and_samples(loaders, tmp_path, capsys):
    train(loaders, losses=[1, 2, 3, 4, 5, 6])
    assert images_of(tmp_path / "images" / "demo") == ["epoch-1.png", "epoch-2.png"]
    assert load_history("demo")["generator"].tolist() == [2, 5]
    assert load_history("demo").index.tolist() == [1, 2]
    captured = capsys.readouterr()
    assert "Epoch 2/2: generator loss 5.0000, size loss" in captured.out
    assert captured.err == ""


def test_record_says_which_step_could_not_be_captured(loaders, monkeypatch):
    def give_up(step, device, remark):
        remark("it reads or prints a value: print(loss)")
        return step

    def some_step(x):
        return x

    monkeypatch.setattr(training, "captured", give_up)
    with TrainingRun("demo", *loaders, 1, "cpu", GeneratorRecipe()) as run:
        step = run.captured(some_step)
        for _ in run.epochs():
            run.log(generator=step(1.0))
    assert load_record("demo")["not_captured"] == {
        "some_step": "it reads or prints a value: print(loss)"
    }


def test_slices_go_to_a_gpu_from_pinned_memory():
    class Slices:
        is_cuda = False

        def pin_memory(self):
            return Mock(to=lambda device, non_blocking=False: (device.type, non_blocking))

        def to(self, device):
            return device.type

    assert training.to_device(Slices(), torch.device("cuda")) == ("cuda", True)
    assert training.to_device(Slices(), torch.device("mps")) == "mps"


def test_shorter_training_replaces_a_longer_one(loaders, tmp_path):
    train(loaders, num_epoch=3, losses=[5] * 9)
    train(loaders, num_epoch=1)
    assert images_of(tmp_path / "images" / "demo") == ["epoch-1.png"]
    assert load_history("demo")["generator"].tolist() == [1]
    assert describe_run("demo") == "reference, 1 epoch"


def test_two_runs_of_a_method_are_kept_apart(loaders, tmp_path):
    train(loaders, num_epoch=2, losses=[5] * 6, name="cgan")
    train(loaders, num_epoch=1, losses=[3] * 3, name="cgan-recommended")
    assert load_history("cgan")["generator"].tolist() == [5, 5]
    assert load_history("cgan-recommended")["generator"].tolist() == [3]
    assert len(images_of(tmp_path / "images" / "cgan")) == 2


def test_stop_in_a_later_epoch_keeps_what_was_finished(loaders, tmp_path, capsys):
    train(loaders, num_epoch=3)
    run = train(loaders, num_epoch=20, losses=[1, 2, 3, 4, "stop"])
    assert run.interrupted
    assert load_history("demo")["generator"].tolist() == [2]
    assert "Training stopped in epoch 2 of 20" in capsys.readouterr().out
    assert describe_run("demo") == "reference, stopped in epoch 2 of 20"
    assert images_of(tmp_path / "images" / "demo") == ["epoch-1.png"]


@pytest.mark.parametrize("losses", [["stop"], [1, 2, "stop"]])
def test_stop_in_the_first_epoch_leaves_nothing_of_an_earlier_run(
    losses, loaders, tmp_path, capsys
):
    train(loaders, num_epoch=3)
    run = train(loaders, num_epoch=20, losses=losses)
    assert run.interrupted
    assert load_history("demo").empty
    assert images_of(tmp_path / "images" / "demo") == []
    assert describe_run("demo") == "reference, stopped in epoch 1 of 20"
    capsys.readouterr()
    figure = show_losses("demo", "generator", title="Losses")
    show_samples("demo")
    printed = capsys.readouterr()
    said = "'demo' (reference, stopped in epoch 1 of 20)"
    if losses == ["stop"]:
        assert figure is None
        assert printed.out.count(said) == 2
    else:  # two of three batches
        assert "generator: 1.500 at epoch 0.666667" in figure.alt
        assert printed.out.count(said) == 1
    assert printed.err == ""


@pytest.mark.parametrize("before", [False, True])
def test_stop_in_the_first_epoch_leaves_a_network_an_image_and_a_figure(before, loaders, capsys):
    if before:
        train(loaders, num_epoch=2)
    generator = nn.Conv2d(1, 1, 1)
    with TrainingRun("demo", *loaders, 5, "cpu", GeneratorRecipe()) as run:
        run.keep(generator)
        for _ in run.epochs():
            for number, _ in enumerate(run.batches()):
                run.log(generator=1.0)
                if number == 1:
                    raise KeyboardInterrupt
    assert run.interrupted
    assert show_losses("demo").alt.endswith("generator: 1.000 at epoch 0.333333.")
    capsys.readouterr()
    show_samples("demo")
    assert "T1-w, generated and true T2-w slices" in capsys.readouterr().out


def test_losses_and_samples_are_shown(loaders, capsys):
    train(loaders, num_epoch=3, losses=[1, 2, 3])
    figure = show_losses("demo", "generator", title="Losses")
    assert "2.000 at epoch 1" in figure.alt
    assert "size" not in figure.alt
    assert "size" in show_losses("demo").alt
    show_samples("demo")
    shown = capsys.readouterr().out
    assert "in epoch 1" in shown
    assert "in epoch 3" in shown
    assert "in epoch 2" not in shown


def test_losses_that_begin_later_are_drawn_from_there(loaders, capsys):
    with TrainingRun("demo", *loaders, 2, "cpu", GeneratorRecipe()) as run:
        for epoch in run.epochs():
            run.log(mean_pair=1.0, **({"game": 2.0} if epoch == 2 else {}))
    assert "game: 2.000 at epoch 2." in show_losses("demo", "game").alt
    capsys.readouterr()
    assert show_losses("demo", "another") is None
    assert "its losses are mean_pair, game" in capsys.readouterr().out


def test_changed_recipe_is_recorded_as_changed(loaders):
    train(loaders, recipe=replace(GeneratorRecipe(), flip=True).with_lr(0.01))
    assert describe_run("demo") == "reference, lr 0.01, flip True, 2 epochs"


def test_grading_replaces_nothing_of_the_student(loaders, monkeypatch, tmp_path):
    train(loaders, num_epoch=3)
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")
    train(loaders, num_epoch=1, losses=[7] * 3)
    assert load_history("demo")["generator"].tolist() == [7]
    monkeypatch.delenv("NBGRADER_EXECUTION")
    assert load_history("demo")["generator"].tolist() == [1, 1, 1]
    assert len(images_of(tmp_path / "images" / "demo")) == 3


def test_folder_that_cannot_be_written_is_said_and_training_goes_on(loaders, tmp_path, capsys):
    (tmp_path / "images").write_text("in the way")
    train(loaders, num_epoch=1)
    assert "Images and losses cannot be kept in" in capsys.readouterr().out
    assert len(load_history("demo")) == 1
    show_samples("demo")
    assert "in epoch 1" in capsys.readouterr().out


def test_loss_that_is_no_number_stops_with_advice(loaders):
    with pytest.raises(FloatingPointError, match="lower `lr`"):
        train(loaders, losses=[1, 1, 1, math.nan])
    with pytest.raises(NotTrainedYet, match="'demo' failed in epoch 2 of 2: it left no network"):
        describe_run("demo")  # else the figures of an older network would be saved as this run's
    assert len(load_history("demo")) == 1
    assert load_history("demo")["generator"].tolist() == [1]


def test_no_epoch_is_an_error(loaders):
    with pytest.raises(ValueError, match="at least 1 epoch"):
        TrainingRun("demo", *loaders, 0, "cpu", GeneratorRecipe())


def test_history_of_no_training(loaders):
    with pytest.raises(NotTrainedYet, match="The training 'other' is not there yet"):
        load_history("other")


def test_batches_are_those_of_the_loader_on_the_device(loaders):
    test_loader = loaders[1]
    for device in ("cpu", "meta"):
        with TrainingRun("demo", test_loader, test_loader, 1, device, GeneratorRecipe()) as run:
            batches = [batch for _ in run.epochs() for batch in run.batches()]
        for seen, expected in zip(batches, test_loader, strict=True):
            assert seen["T1"].device.type == device
            if device == "cpu":
                torch.testing.assert_close(seen, expected)


def test_half_of_the_subjects_are_mirrored_both_slices_alike():
    images = torch.arange(64.0).reshape(1, 1, 64, 1).expand(200, 1, 64, 2).contiguous()
    seed_everything(0)
    batch = mirrored({"T1": images, "T2": -images})
    torch.testing.assert_close(batch["T2"], -batch["T1"])
    changed = batch["T1"][:, 0, 0, 0] == 63  # left and right are the two ends of the first axis
    assert 70 < changed.sum() < 130
    torch.testing.assert_close(batch["T1"][changed], images[changed].flip(2))
    torch.testing.assert_close(batch["T1"][~changed], images[~changed])


def test_slices_are_mirrored_if_the_recipe_says_so(loaders):
    def seen(recipe):
        seed_everything(0)
        with TrainingRun("demo", *loaders, 1, "cpu", recipe) as run:
            return torch.cat([batch["T1"] for _ in run.epochs() for batch in run.batches()])

    assert not torch.equal(seen(GeneratorRecipe()), seen(GeneratorRecipe(flip=True)))


def test_error_while_drawing_is_not_lost(loaders, monkeypatch):
    def fail(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr(plots, "save_sample_grid", fail)
    with pytest.raises(OSError, match="disk full"):
        train(loaders)


def test_a_loader_tells_how_often_it_was_passed_through(capsys):
    loader = CountedLoader(range(4), batch_size=2)
    assert [batch.tolist() for _ in range(2) for batch in loader] == 2 * [[0, 1], [2, 3]]
    assert capsys.readouterr().out.split("\r")[1:] == [
        f"Pass {number} through the training subjects" for number in (1, 2)
    ]
