"""Where images, results and trainings are kept, on Colab and elsewhere."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from labhelpers import folders
from labhelpers.folders import images_folder, keep_on_drive, shared_folder


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    monkeypatch.setattr(folders, "_on_drive", None)
    folder = tmp_path / "lab" / "2-generator"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def colab(tmp_path, monkeypatch):
    """Colab, whose Drive is a folder of the test."""
    place = tmp_path / "drive"
    package, drive = ModuleType("google.colab"), ModuleType("google.colab.drive")
    drive.mount = lambda folder: Path(folder, "MyDrive").mkdir(parents=True, exist_ok=True)
    package.drive = drive
    monkeypatch.setitem(sys.modules, "google.colab", package)
    monkeypatch.setitem(sys.modules, "google.colab.drive", drive)
    monkeypatch.setattr(folders, "_MOUNTED", place)
    return drive


def test_elsewhere_drive_is_not_needed(here, capsys):
    keep_on_drive()
    assert "Drive is not needed here: all is kept in" in capsys.readouterr().out
    assert shared_folder("results") == here.parent / "results"
    assert images_folder() == Path("images")


def test_nothing_is_said_or_done_unless_asked(colab, here, capsys):
    keep_on_drive(False)
    assert capsys.readouterr().out == ""
    assert shared_folder("checkpoints") == here.parent / "checkpoints"


def test_all_notebooks_share_a_folder_in_drive(colab, here, tmp_path, monkeypatch, capsys):
    keep_on_drive()
    assert "are kept in Google Drive, folder 'labhelpers'" in capsys.readouterr().out
    place = tmp_path / "drive" / "MyDrive" / "labhelpers"
    assert shared_folder("results") == place / "results"
    assert images_folder() == place / "images"
    monkeypatch.chdir(here.parent)
    assert shared_folder("results") == place / "results"
    keep_on_drive(False)
    assert shared_folder("results") == here.parent / "results"


def test_no_permission_is_said_and_the_lesson_goes_on(colab, here, capsys):
    def refuse(folder):
        raise ValueError("mount failed")

    colab.mount = refuse
    keep_on_drive()
    printed = capsys.readouterr()
    assert "Google Drive cannot be used (mount failed)" in printed.out
    assert printed.err == ""
    assert shared_folder("results") == here.parent / "results"


def test_grading_never_asks_for_drive(colab, monkeypatch, capsys):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    keep_on_drive()
    assert capsys.readouterr().out == ""
    assert folders._on_drive is None
