"""A training that was stopped or killed goes on as if it had not been; a finished one is loaded."""

import errno
import os
import random
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from labhelpers import checkpoints, plots
from labhelpers.checkpoints import checkpoint_file, forget_run
from labhelpers.recipes import GeneratorRecipe
from labhelpers.runs import describe_run, load_history, sample_images
from labhelpers.session import seed_everything
from labhelpers.training import TrainingRun

RECIPE = GeneratorRecipe(batch_size=3, lr=0.01, schedule="one-cycle", flip=True, averaging=0.9)
N_EPOCHS = 6


class Unpaired(Dataset):
    """Ten slices, each with another one, drawn by Python's random numbers."""

    def __init__(self):
        self.slices = torch.linspace(-1, 1, 10 * 64).reshape(10, 1, 8, 8)

    def __len__(self):
        return len(self.slices)

    def __getitem__(self, index):
        return {"T1": self.slices[index], "T2": self.slices[random.randrange(10)]}


def step(network, optimizer, x, y):
    loss = (network(x) + 0.01 * torch.randn_like(x) - y).abs().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


def other_step(network, optimizer, x, y):
    loss = (network(x) - y).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


def train(num_epoch=N_EPOCHS, step=step, seed=0, recipe=RECIPE):
    """Train a network with dropout, all of whose random numbers count."""
    seed_everything(seed)
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Dropout(0.2), nn.Conv2d(4, 1, 1))
    optimizer = recipe.optimizer(network, (0.5, 0.999))
    loader = recipe.loader(Unpaired())
    test_loader = DataLoader([{"T1": x, "T2": -x} for x in Unpaired().slices], batch_size=5)
    run = TrainingRun("demo", loader, test_loader, num_epoch, "cpu", recipe)
    schedule, average = recipe.scheduler(optimizer, run.num_step), recipe.average(network)
    run.keep(network, optimizer, schedule, average)
    with run:
        for _ in run.epochs():
            for batch in run.batches():
                run.log(generator=step(network, optimizer, batch["T1"], batch["T2"]))
                schedule.step()
                average.update_parameters(network)
            run.save_samples(average.module)
    return average.module, network


@contextmanager
def disturbed(place, disturb):
    """Call `disturb` in a batch of an epoch, where the code of the training does not tell it."""
    log = TrainingRun.log

    def disturbed_log(run, **losses):
        if (run._epoch, run._batches.n_done + 1) == place:
            disturb()
        log(run, **losses)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingRun, "log", disturbed_log)
        yield


def press_stop():
    os.kill(os.getpid(), signal.SIGINT)


def fail():
    raise OSError("disk full")


def weights(networks):
    return torch.cat([one.detach().flatten() for net in networks for one in net.parameters()])


def save_quickly(path, *slices):
    path.write_bytes(b"")
    return path


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checkpoints, "_COST", 0)  # each epoch is written: they are so short here
    monkeypatch.setattr(plots, "save_sample_grid", save_quickly)
    return tmp_path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Weights, losses and random numbers after a training that nothing disturbed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("NBGRADER_EXECUTION", raising=False)
        patch.chdir(tmp_path_factory.mktemp("whole"))
        patch.setattr(plots, "save_sample_grid", save_quickly)
        found = weights(train())
        return found, load_history("demo"), torch.rand(3), random.random()


def assert_is_whole(networks, whole):
    assert torch.equal(weights(networks), whole[0])
    assert load_history("demo").equals(whole[1])
    assert torch.equal(torch.rand(3), whole[2])
    assert random.random() == whole[3]


@pytest.mark.parametrize("place", [(1, 1), (3, 2), (4, 4), (5, 1)])
def test_a_stopped_training_goes_on_in_the_same_epoch(place, whole, capsys):
    with disturbed(place, press_stop):
        train()
    assert describe_run("demo") == f"{RECIPE.label}, stopped in epoch {place[0]} of 6"
    assert "Run this cell again to go on." in capsys.readouterr().out
    assert_is_whole(train(), whole)
    printed = capsys.readouterr()
    assert f"'demo' goes on in epoch {place[0]}, after batch {place[1]}, of 6" in printed.out
    assert "run labhelpers.training.forget_run('demo') before" in printed.out
    assert printed.err == ""


def test_a_training_may_be_stopped_several_times(whole):
    for place in [(1, 2), (1, 4), (2, 1), (6, 4)]:
        with disturbed(place, press_stop):
            train()
    assert_is_whole(train(), whole)


def test_an_error_goes_on_from_the_epoch_before(whole, capsys):
    with disturbed((4, 2), fail), pytest.raises(OSError, match="disk full"):
        train()
    assert_is_whole(train(), whole)
    assert "'demo' goes on after epoch 3 of 6" in capsys.readouterr().out


def test_a_finished_training_is_loaded(whole, capsys):
    train()
    said = capsys.readouterr().out
    assert "Trained: 6 epochs, in" in said and "demo-6-epochs.pt (1 MB)" in said

    image = Path("images/demo/epoch-6.png")
    before = image.stat().st_mtime_ns
    assert_is_whole(train(), whole)
    printed = capsys.readouterr().out
    assert "was trained before, with the same code, recipe, data and first weights" in printed
    assert "Epoch" not in printed
    assert image.stat().st_mtime_ns == before


def test_of_a_finished_training_only_the_networks_are_kept():
    train()
    kept = torch.load(checkpoint_file("demo", N_EPOCHS), weights_only=True)
    assert [part is None for part in kept["parts"]] == [False, True, True, False]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"step": other_step}, "other first weights"),
        ({"recipe": GeneratorRecipe(batch_size=3, averaging=0.9)}, "another recipe"),
        ({"seed": 1}, "other first weights, random numbers or arguments"),
    ],
)
def test_another_training_starts_anew_and_says_why(change, said, capsys):
    train(**change)
    alone = load_history("demo")
    forget_run("demo")
    train()
    capsys.readouterr()
    train(**change)
    assert load_history("demo").equals(alone)
    assert f"What is kept of 'demo' is of {said}" in capsys.readouterr().out


def test_a_rehearsal_does_not_replace_the_long_training(whole, capsys):
    train()
    train(num_epoch=2)
    assert list(sample_images(Path("images/demo"))) == [1, 2]
    capsys.readouterr()
    assert_is_whole(train(), whole)
    assert "'demo' was trained before" in capsys.readouterr().out
    assert list(sample_images(Path("images/demo"))) == [N_EPOCHS], "none of the rehearsal's"


def test_a_mended_function_starts_anew(monkeypatch, capsys):
    """The step is a name that the training function reads, as in the notebooks."""
    program = Path(__file__).read_text(encoding="utf-8").replace("step=step, ", "")
    first: dict = {"__name__": "__main__", "__file__": __file__}
    exec(compile(program, "<cell>", "exec"), first)
    first["train"]()
    second: dict = {"__name__": "__main__", "__file__": __file__}
    exec(compile(program.replace("- y).abs()", "- y).square()"), "<cell>", "exec"), second)
    capsys.readouterr()
    second["train"]()
    assert "What is kept of 'demo' is of other code" in capsys.readouterr().out
    second["train"]()
    assert "'demo' was trained before" in capsys.readouterr().out


def test_forgotten_means_anew(whole, capsys):
    train()
    forget_run("demo")
    capsys.readouterr()
    assert_is_whole(train(), whole)
    assert "Epoch 1/6" in capsys.readouterr().out
    forget_run("demo")
    forget_run("demo")
    assert "Nothing is kept of 'demo'" in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["empty", "cut", "other", "inside", "text"])
def test_a_damaged_file_is_said_and_replaced(damage, whole, capsys):
    train()
    path = checkpoint_file("demo", N_EPOCHS)
    data = path.read_bytes()
    if damage == "other":
        torch.save({"weights": torch.ones(3)}, path)
    elif damage == "inside":  # all is there, but the tensors do not fit
        kept = torch.load(path, weights_only=True)
        kept["parts"][3]["module"] = {}
        torch.save(kept, path)
    else:
        damaged = {"empty": b"", "cut": data[: len(data) // 2], "text": b"no checkpoint"}
        path.write_bytes(damaged[damage])
    capsys.readouterr()
    assert_is_whole(train(), whole)
    printed = capsys.readouterr()
    assert printed.out.count("is damaged and cannot be read: the training starts anew") == 1
    assert printed.err == ""
    train()
    assert "'demo' was trained before" in capsys.readouterr().out


def test_a_folder_that_cannot_be_made_is_said(folder, whole, capsys):
    (folder / "checkpoints").write_text("in the way")
    assert_is_whole(train(), whole)
    assert capsys.readouterr().out.count("The training cannot be kept in") == 1


def test_a_full_disk_is_said_once_and_leaves_no_file(folder, whole, monkeypatch, capsys):
    monkeypatch.setattr(checkpoints.shutil, "disk_usage", lambda path: Mock(free=1e6))
    assert_is_whole(train(), whole)
    printed = capsys.readouterr()
    assert printed.out.count("MB are needed and 1 MB are free") == 1
    assert printed.err == ""
    assert [path.name for path in (folder / "checkpoints").glob("demo*.new")] == []


def test_a_disk_that_fills_up_while_writing(folder, whole, monkeypatch, capsys):
    def fail(kept, path):
        Path(path).write_bytes(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file\nmore")

    monkeypatch.setattr(checkpoints.torch, "save", fail)
    assert_is_whole(train(), whole)
    assert capsys.readouterr().out.count("(writing failed: is the disk full?)") == 1
    assert list((folder / "checkpoints").glob("demo*.new")) == []


def test_two_notebooks_at_once(whole, capsys):
    program = (
        "import sys, time; from filelock import FileLock\n"
        "with FileLock(sys.argv[1]): print('held', flush=True); time.sleep(60)"
    )
    Path("checkpoints").mkdir()
    command = [sys.executable, "-c", program, f"{checkpoint_file('demo', N_EPOCHS)}.lock"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        assert_is_whole(train(), whole)
        other.kill()
    assert "Another notebook is training 'demo' in this folder" in capsys.readouterr().out
    assert not checkpoint_file("demo", N_EPOCHS).exists()
    assert_is_whole(train(), whole)
    assert checkpoint_file("demo", N_EPOCHS).exists()


def test_a_stop_within_the_first_step_promises_nothing(capsys):
    """Python ends the step where it is: there is nothing that a training could go on from."""

    def stop():
        raise KeyboardInterrupt

    train(num_epoch=2)
    with disturbed((1, 2), stop):
        train()
    printed = capsys.readouterr().out
    assert "the network trained so far is kept." in printed
    assert "Run this cell again" not in printed


def test_what_has_no_digest_is_said_and_trained(whole, monkeypatch, capsys):
    monkeypatch.setattr(Unpaired, "odd", torch.ones(3, device="meta"), raising=False)
    assert_is_whole(train(), whole)
    assert capsys.readouterr().out.count("'demo' is not kept: it cannot be told from") == 1


def test_a_disk_that_knows_no_locks_keeps_trainings_all_the_same(monkeypatch, capsys):
    def refuse(lock):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(checkpoints.FileLock, "acquire", refuse)
    train(num_epoch=1)
    assert "Kept in checkpoints/demo-1-epochs.pt" in capsys.readouterr().out


def test_nothing_is_kept_while_nbgrader_grades(monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    train()
    assert not Path("checkpoints").exists()
    assert not checkpoint_file("demo", N_EPOCHS).exists()


@pytest.mark.parametrize(
    ("cost", "speed", "epochs"),
    [(1e6, 1e300, [2, 7]), (1e6, 1e3, [7]), (0, 1e3, [2, 3, 4, 5, 6, 7])],
)
def test_short_epochs_are_not_written_each(cost, speed, epochs, monkeypatch):
    """Nor is the first one, if writing is expected to take a good part of it."""
    monkeypatch.setattr(checkpoints, "_COST", cost)
    monkeypatch.setattr(checkpoints, "_SPEED", speed)
    written = []
    save = torch.save
    monkeypatch.setattr(
        checkpoints.torch, "save", lambda *what: (written.append(what[0]), save(*what))
    )
    train()
    assert [kept["progress"]["epoch"] for kept in written] == epochs


def test_a_killed_kernel_goes_on(folder):
    """Killed in epoch 7 of 20; the weights are those of a training that was not."""
    program = """if True:
        import os, signal, sys
        sys.path.insert(0, sys.argv[1])
        import test_checkpoints as here
        here.checkpoints._COST = 0
        here.plots.save_sample_grid = here.save_quickly
        place = int(sys.argv[2]), 2
        with here.disturbed(place, lambda: os.kill(os.getpid(), signal.SIGKILL)):
            here.torch.save(here.weights(here.train(20)), sys.argv[3])
        """

    def run(epoch, name):
        command = [sys.executable, "-c", program, str(Path(__file__).parent), str(epoch), name]
        return subprocess.run(command, capture_output=True, text=True, cwd=folder)

    assert run(7, "killed.pt").returncode == -signal.SIGKILL
    resumed = run(0, "resumed.pt")
    assert "'demo' goes on after epoch 6 of 20" in resumed.stdout
    assert resumed.stderr == ""
    forget_run("demo")
    assert torch.equal(torch.load(folder / "resumed.pt"), weights(train(20)))
