"""Presets, the device report, and a training run that is watched, saved and stopped."""

import math

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Subset

from labhelpers import plots
from labhelpers.data import IXIDataset, limit_subjects
from labhelpers.session import seed_everything
from labhelpers.training import TrainingRun, WeightAverage, load_history, strong_start


@pytest.fixture
def loaders(tmp_path, monkeypatch):
    """Loaders of ten small pairs; the working folder is a temporary one."""
    monkeypatch.chdir(tmp_path)
    images = torch.linspace(-1, 1, 10 * 16 * 16).reshape(10, 1, 16, 16)
    dataset = IXIDataset.from_tensors(images, -images)
    return DataLoader(dataset, batch_size=4, shuffle=True), DataLoader(dataset, batch_size=5)


def train(loaders, num_epoch=2, losses=None):
    """Run a training loop that only logs."""
    generator = nn.Conv2d(1, 1, 1)
    losses = iter(losses or [])
    with TrainingRun("demo", *loaders, num_epoch) as run:
        for _ in run.epochs():
            for batch in run.batches():
                loss = next(losses, 1.0)
                if loss == "stop":
                    raise KeyboardInterrupt
                run.log(generator=loss, size=torch.tensor(float(len(batch["T1"]))))
            run.save_samples(generator)
    return run


def test_limit_subjects_keeps_batches_and_order(loaders):
    train_loader, test_loader = loaders
    limited = limit_subjects(train_loader, 6)
    assert [len(batch["T1"]) for batch in limited] == [4, 2]
    assert isinstance(limited.sampler, torch.utils.data.RandomSampler)
    in_order = torch.cat([batch["T1"] for batch in limit_subjects(test_loader, 7)])
    torch.testing.assert_close(in_order, test_loader.dataset.t1[:7])
    assert limit_subjects(train_loader, None) is train_loader


def test_history_holds_the_mean_of_each_epoch(loaders, capsys):
    run = train(loaders, losses=[1, 2, 3, 4, 5, 6])
    assert run.history["generator"].tolist() == [2, 5]
    assert run.history.index.tolist() == [1, 2]
    assert load_history("demo")["generator"].tolist() == [2, 5]
    captured = capsys.readouterr()
    assert "Epoch 2/2: generator loss 5.0000, size loss" in captured.out
    assert captured.err == ""


def test_samples_of_every_epoch(loaders):
    run = train(loaders, num_epoch=3)
    assert sorted(path.name for path in run.folder.glob("*.png")) == [
        f"epoch-{epoch}.png" for epoch in (1, 2, 3)
    ]
    train(loaders, num_epoch=1)
    assert [path.name for path in run.folder.glob("*.png")] == ["epoch-1.png"]


def test_stop_button_keeps_the_network(loaders, capsys):
    run = train(loaders, losses=[1, 2, 3, 4, "stop"])
    assert run.interrupted
    assert run.history["generator"].tolist() == [2]
    assert "Training stopped in epoch 2 of 2" in capsys.readouterr().out


def test_other_errors_are_not_hidden(loaders):
    with pytest.raises(ZeroDivisionError), TrainingRun("demo", *loaders, 1):
        _ = 1 / 0


def test_loss_that_is_no_number_stops_with_advice(loaders):
    with pytest.raises(FloatingPointError, match="lower `lr`"):
        train(loaders, losses=[math.nan])


def test_no_epoch_is_an_error(loaders):
    with pytest.raises(ValueError, match="at least 1 epoch"):
        TrainingRun("demo", *loaders, 0)


def test_history_of_no_training(loaders):
    with pytest.raises(FileNotFoundError, match="train 'other' first"):
        load_history("other")


def batches(loader, test_loader, **options):
    """Return the batches of one epoch."""
    with TrainingRun("demo", loader, test_loader, 1, **options) as run:
        return [batch for _ in run.epochs() for batch in run.batches()]


class Halves(IXIDataset):
    """A dataset that makes its items when they are asked for."""

    def __getitem__(self, index):
        return {name: image / 2 for name, image in super().__getitem__(index).items()}


def test_batches_are_those_of_the_loader(loaders):
    train_loader, test_loader = loaders
    for loader in (test_loader, limit_subjects(test_loader, 7)):
        for seen, expected in zip(batches(loader, test_loader), loader, strict=True):
            torch.testing.assert_close(seen, expected)
    shuffled = torch.cat([batch["T1"] for batch in batches(train_loader, test_loader)])
    order = shuffled.flatten(1).mean(1).argsort()
    torch.testing.assert_close(shuffled[order], train_loader.dataset.t1)


def test_loader_may_drop_subjects_and_collate_by_itself(loaders):
    dataset, test_loader = loaders[0].dataset, loaders[1]
    dropping = DataLoader(dataset, batch_size=4, drop_last=True)
    assert len(batches(dropping, test_loader)) == 2

    def first_only(items):
        return items[0]

    collating = DataLoader(dataset, batch_size=4, collate_fn=first_only)
    assert batches(collating, test_loader)[0]["T1"].shape == (1, 16, 16)


def test_dataset_that_makes_its_items_is_asked_each_time(loaders):
    dataset = loaders[0].dataset
    halves = Halves.from_tensors(dataset.t1, dataset.t2)
    for part in (halves, Subset(halves, range(10))):
        seen = torch.cat([b["T1"] for b in batches(DataLoader(part, batch_size=4), loaders[1])])
        torch.testing.assert_close(seen, dataset.t1 / 2)


def test_batches_come_on_the_device(loaders):
    loader = DataLoader(Halves.from_tensors(torch.ones(4, 1, 2, 2), torch.ones(4, 1, 2, 2)))
    for one in (loader, loaders[0]):
        assert all(batch["T1"].is_meta for batch in batches(one, loaders[1], device="meta"))


def test_half_of_the_subjects_are_mirrored_both_slices_alike(loaders):
    images = torch.arange(64.0).reshape(1, 1, 64, 1).expand(200, 1, 64, 2).contiguous()
    loader = DataLoader(IXIDataset.from_tensors(images, -images), batch_size=200)
    seed_everything(0)
    (batch,) = batches(loader, loaders[1], flip=True)
    torch.testing.assert_close(batch["T2"], -batch["T1"])
    mirrored = batch["T1"][:, 0, 0, 0] == 63  # left and right are the two ends of the first axis
    assert 70 < mirrored.sum() < 130
    torch.testing.assert_close(batch["T1"][mirrored], images[mirrored].flip(2))
    torch.testing.assert_close(batch["T1"][~mirrored], images[~mirrored])


def test_error_while_drawing_is_not_lost(loaders, monkeypatch):
    def fail(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr(plots, "save_sample_grid", fail)
    with pytest.raises(OSError, match="disk full"):
        train(loaders)


def test_average_follows_the_weights():
    network = nn.Linear(1, 1, bias=False)
    average = WeightAverage(network, decay=0.9)
    torch.nn.init.ones_(network.weight)
    start = average.network.weight.item()
    average.update()  # the first step counts almost fully
    assert average.network.weight.item() == pytest.approx(0.1 * start + 0.9)
    for _ in range(200):
        average.update()
    assert average.network.weight.item() == pytest.approx(1)
    torch.nn.init.zeros_(network.weight)
    average.update()
    assert average.network.weight.item() == pytest.approx(0.9)
    assert network.weight.item() == 0


def test_no_average_is_the_network_itself():
    network = nn.Linear(1, 1)
    average = WeightAverage(network, decay=0)
    average.update()
    assert average.network is network


def test_strong_start_keeps_the_strength_of_a_signal():
    def strength(network):
        return network(torch.randn(20, 8, 16, 16)).std().item()

    torch.manual_seed(0)
    layers = [nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.LeakyReLU(0.2)) for _ in range(5)]
    network = nn.Sequential(*layers)
    assert strength(network) < 0.2
    assert strong_start(network) is network
    assert 0.3 < strength(network) < 3
