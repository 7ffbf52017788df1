"""Tests of `labhelpers.session`: preset, device, seed; graded or interactive."""

import re
import sys

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from labhelpers import session
from labhelpers.session import (
    choose_device,
    choose_preset,
    is_graded,
    is_interactive,
    seed_everything,
    show_source,
)


@pytest.fixture
def no_environment(monkeypatch):
    monkeypatch.delenv("LABHELPERS_PRESET", raising=False)
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)


def test_full_is_the_default(no_environment, capsys):
    assert choose_preset().num_epoch == 20
    assert capsys.readouterr().out == "Preset 'full': 20 epochs, all training subjects.\n"


@pytest.mark.parametrize(
    ("settings", "preset"),
    [
        ({"LABHELPERS_PRESET": "quick"}, "quick"),
        ({"NBGRADER_EXECUTION": "autograde"}, "short"),
        ({"NBGRADER_EXECUTION": "autograde", "LABHELPERS_PRESET": "full"}, "short"),
    ],
)
def test_grading_goes_before_environment_and_notebook(
    no_environment, monkeypatch, settings, preset
):
    for variable, value in settings.items():
        monkeypatch.setenv(variable, value)
    assert choose_preset().name == choose_preset("full").name == preset


def test_unknown_preset_lists_the_known(no_environment):
    with pytest.raises(ValueError, match="choose one of short, quick, full"):
        choose_preset("fast")


def test_device_report_says_where_a_gpu_is(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setitem(sys.modules, "google.colab", sys)
    assert choose_device() == torch.device("cpu")
    assert "Runtime > Change runtime type > T4 GPU" in capsys.readouterr().out


class OnlyCpuAllocates(TorchFunctionMode):
    """Devices that are there and have no memory left, as on virtual machines with an Apple GPU."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        device = (kwargs or {}).get("device")
        if device is not None and torch.device(device).type != "cpu":
            raise RuntimeError("MPS backend out of memory\nsecond line")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("backend", ["cuda", "mps"])
def test_device_that_cannot_allocate_is_passed_over(monkeypatch, capsys, backend):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: backend == "cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: backend == "mps")
    with OnlyCpuAllocates():
        assert choose_device() == torch.device("cpu")
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == (
        f"The {backend} device is there but does not work: MPS backend out of memory. Going on "
        "without it."
    )
    assert second.startswith("Device: CPU")


def test_same_seed_same_weights():
    seed_everything(3)
    first = nn.Linear(4, 4).weight.detach().clone()
    seed_everything(3)
    torch.testing.assert_close(nn.Linear(4, 4).weight.detach(), first)


def test_no_progress_bar_while_nbgrader_runs(monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert is_graded()
    assert not is_interactive()
    monkeypatch.delenv("NBGRADER_EXECUTION")
    assert not is_graded()
    assert is_interactive()


def test_output_to_a_file_is_not_interactive(monkeypatch):
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    assert not is_interactive()


class Shown:
    def method(self):
        """Compare.

        Returns:
            A comparison.
        """
        return "a < b"


def test_a_source_is_shown_from_its_margin_in_unbroken_lines(monkeypatch):
    shown = []
    monkeypatch.setattr(session, "display", lambda one: shown.append(one.data))
    show_source(Shown.method, Shown)
    assert len(shown) == 2 and all("white-space: pre; overflow-x: auto" in one for one in shown)
    method, whole = (re.sub("<style.*?</style>|<[^>]*>", "", one, flags=re.S) for one in shown)
    assert method.strip().startswith("def method") and "a &lt; b" in method
    assert whole.strip().startswith("class Shown") and "    def method" in whole
    lines = [line.strip() for line in method.strip().splitlines()]
    assert lines[1:] == ['"""Compare."""', 'return "a &lt; b"'], "the first line of what it says"
