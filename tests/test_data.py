"""Tests of `labhelpers.data`: files, the fixed split, the dataset, and errors of bad folders."""

import hashlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from labhelpers.data import (
    DataError,
    IXIDataset,
    is_simulated,
    limit_subjects,
    list_slices,
    parse_slice_name,
    replace_folder,
    simulated_data_opened,
    split_subjects,
    subjects_of,
    write_pair,
)

REPOSITORY = Path(__file__).resolve().parents[1]
NAMES_577 = [f"sub-IXI{number:03d}" for number in range(577)]
# SHA-256 of the 461 and the 116 names of NAMES_577, one a line. If these tests fail, the split has
# changed: networks saved by students would be tested on their own training subjects.
TRAIN_DIGEST = "67d8a9d535fe6242908bdfe497c7fda41af7a1511e3529bc68ef91e0031dd797"
TEST_DIGEST = "ecbc797509c30103d43bc69a18175adbdbc727613b6aad6eb87196ee10726daf"


def make_slice(number: int) -> torch.Tensor:
    image = torch.rand(64, 64, generator=torch.Generator().manual_seed(number)).double() * 2 - 1
    image[0, 0], image[-1, -1] = -1, 1
    return image


def write_folder(folder: Path, subjects: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, subject in enumerate(subjects):
        write_pair(folder, subject, make_slice(2 * number), make_slice(2 * number + 1))
    return folder


def digest(names: list[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def message_of(root: Path, mode: str = "train") -> str:
    with pytest.raises(DataError) as caught:
        IXIDataset(root, mode)
    return str(caught.value)


@pytest.fixture(autouse=True)
def no_given_folder(monkeypatch):
    monkeypatch.delenv("LABHELPERS_DATA", raising=False)


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "slices", NAMES_577[:10])


# --- Names ---


def test_slice_names():
    assert parse_slice_name("sub-IXI002 - T2.pt") == ("sub-IXI002", "T2")
    others = ["sub-IXI002-T1.pt", "sub-IXI002 - T3.pt", "sub-IXI002 - T1 (1).pt", ".DS_Store"]
    others += ["._sub-IXI002 - T1.pt", "../sub-IXI002 - T1.pt", "sub-IXI002 - T1.pt\n"]
    assert [name for name in others if parse_slice_name(name)] == []


def test_only_simulated_slices_are_called_simulated(tmp_path):
    assert not is_simulated(["sub-IXI002", "sub-IXI012 - T1.pt"])
    write_folder(tmp_path, ["sub-IXI002", "sub-SIM000"])
    assert is_simulated(list_slices(tmp_path))


def test_the_file_format_needs_neither_figures_nor_statistics_nor_a_network():
    heavy = {"matplotlib", "pandas", "scipy", "requests", "torchvision"}
    script = f"import labhelpers.data, sys; print({heavy} & set(sys.modules))"
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"


# --- Replacing a folder ---


def test_folder_is_replaced_complete_or_not_at_all(tmp_path):
    folder = tmp_path / "new" / "slices"
    with replace_folder(folder, Path.exists) as new:
        (new / "first").touch()
        assert not folder.exists()
    assert os.listdir(folder) == ["first"]
    with pytest.raises(KeyboardInterrupt), replace_folder(folder, lambda _: False) as new:
        (new / "second").touch()
        raise KeyboardInterrupt
    assert os.listdir(folder) == ["first"]
    assert os.listdir(folder.parent) == ["slices"]


def test_sound_folder_of_a_faster_process_is_kept(tmp_path):
    with replace_folder(tmp_path / "slices", Path.exists) as new:
        (new / "late").touch()
        write_folder(tmp_path / "slices", ["sub-IXI002"])
    assert len(list_slices(tmp_path / "slices")) == 2
    assert os.listdir(tmp_path) == ["slices"]


def test_leftovers_of_killed_processes_are_removed_after_a_day(tmp_path):
    old, recent = tmp_path / ".slices-old", tmp_path / ".slices-recent"
    for leftover in (old, recent):
        leftover.mkdir()
        (leftover / "archive").write_bytes(b"half")
    os.utime(old, (time.time() - 90_000,) * 2)
    with replace_folder(tmp_path / "slices", Path.exists):
        pass
    assert sorted(os.listdir(tmp_path)) == [".slices-recent", "slices"]


# --- The split ---


def test_split_is_pinned():
    train, test = split_subjects(NAMES_577)
    assert (len(train), len(test)) == (461, 116)
    assert sorted(train + test) == NAMES_577
    assert (digest(train), digest(test)) == (TRAIN_DIGEST, TEST_DIGEST)


def test_split_does_not_depend_on_order_or_repeats():
    shuffled = random.Random(3).sample(NAMES_577, 577)
    assert split_subjects(shuffled) == split_subjects(NAMES_577)
    assert split_subjects(NAMES_577 + NAMES_577[:50]) == split_subjects(NAMES_577)


@pytest.mark.parametrize(("n", "n_train"), [(2, 1), (3, 2), (4, 3), (5, 4), (9, 7), (10, 8)])
def test_split_rounds_down(n, n_train):
    train, test = split_subjects(NAMES_577[:n])
    assert (len(train), len(test)) == (n_train, n - n_train)


def test_split_does_not_depend_on_the_order_of_the_file_system(folder, monkeypatch):
    expected, held_out = split_subjects(NAMES_577[:10])
    assert IXIDataset(folder, "test").subjects == held_out
    plain_listdir = os.listdir
    orders = []

    def shuffled(path):
        orders.append(random.Random(len(orders)).sample(plain_listdir(path), 20))
        return orders[-1]

    monkeypatch.setattr(os, "listdir", shuffled)
    assert [IXIDataset(folder).subjects for _ in range(3)] == [expected] * 3
    assert orders[0] != orders[1]


# --- The dataset ---


def test_items_are_the_files_of_their_subject(folder):
    dataset = IXIDataset(str(folder), mode="test")
    assert (len(dataset), dataset.mode) == (2, "test")
    for index, subject in enumerate(dataset.subjects):
        number = NAMES_577.index(subject)
        item = dataset[index]
        assert list(item) == ["T1", "T2"]
        for image, seed in ((item["T1"], 2 * number), (item["T2"], 2 * number + 1)):
            assert image.dtype == torch.float32
            assert torch.equal(image, make_slice(seed).float().unsqueeze(0))
    with pytest.raises(IndexError):
        dataset[2]
    assert len(list(dataset)) == 2


def test_changing_an_item_in_place_leaves_the_dataset_alone(folder):
    dataset = IXIDataset(folder)
    before = dataset.t2.clone()
    total = dataset[0]["T2"]
    total += dataset[1]["T2"]
    assert torch.equal(dataset.t2, before)


def test_asking_for_a_modality_of_the_whole_dataset_is_explained(folder):
    with pytest.raises(TypeError, match=r"no 'T2'\. .*dataset\[0\]\['T2'\]"):
        IXIDataset(folder)["T2"]


def test_works_in_a_data_loader(folder):
    batches = list(DataLoader(IXIDataset(folder), batch_size=5))
    assert [tuple(batch["T1"].shape) for batch in batches] == [(5, 1, 64, 64), (3, 1, 64, 64)]


def test_hidden_files_are_left_aside(folder):
    (folder / ".DS_Store").write_text("x")
    (folder / "._sub-IXI001 - T1.pt").write_text("x")
    (folder / "README.md").write_text("x")
    assert len(IXIDataset(folder)) == 8


def test_repr_tells_what_is_inside_and_not_where(folder):
    dataset = IXIDataset(folder)
    assert repr(dataset) == (
        f"IXIDataset(train: 8 subjects from {dataset.subjects[0]} to {dataset.subjects[-1]}; "
        "T1 and T2 (8, 1, 64, 64) float32, 0.3 MB)"
    )


def test_simulated_subjects_are_remembered(folder, tmp_path):
    assert not IXIDataset(folder).simulated
    assert not simulated_data_opened()
    phantom = write_folder(tmp_path / "phantom", ["sub-SIM000", "sub-SIM001"])
    dataset = IXIDataset(phantom)
    assert dataset.simulated
    assert "SIMULATED" in repr(dataset)
    assert not IXIDataset(folder).simulated
    assert simulated_data_opened()


def test_from_tensors_keeps_type_size_and_order():
    t1, t2 = torch.zeros(3, 1, 8, 6, dtype=torch.float64), torch.ones(3, 1, 8, 6).double()
    dataset = IXIDataset.from_tensors(t1, t2)
    assert (len(dataset), dataset.mode) == (3, "train")
    assert dataset.subjects == ["sub-000", "sub-001", "sub-002"]
    assert dataset[2]["T2"].dtype == torch.float64
    assert dataset[2]["T2"].shape == (1, 8, 6)
    assert IXIDataset.from_tensors(t1, t2, ["sub-SIM1", "b", "c"]).simulated


# --- Bad folders ---


def test_missing_partner_is_left_out_with_a_warning(folder):
    (folder / "sub-IXI003 - T2.pt").unlink()
    (folder / "sub-IXI007 - T1.pt").unlink()
    with pytest.warns(UserWarning, match=r"sub-IXI003 \(no T2\), sub-IXI007 \(no T1\)") as caught:
        dataset = IXIDataset(folder)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="8 subjects remain"):
        test = IXIDataset(folder, "test")
    kept = [name for name in NAMES_577[:10] if name not in ("sub-IXI003", "sub-IXI007")]
    assert sorted(dataset.subjects + test.subjects) == kept


def test_wrong_mode(folder):
    assert "mode is 'validation'. Expected 'train' or 'test'" in message_of(folder, "validation")


def test_no_folder(tmp_path):
    message = message_of(tmp_path / "nowhere")
    assert f"{tmp_path / 'nowhere'} does not exist" in message
    assert "sub-IXI002 - T1.pt" in message
    assert "fetch_ixi() again" in message


def test_path_is_a_file(folder):
    assert "sub-IXI001 - T1.pt is a file" in message_of(folder / "sub-IXI001 - T1.pt")


def test_empty_folder(tmp_path):
    assert f"The folder {tmp_path} is empty" in message_of(tmp_path)
    (tmp_path / ".DS_Store").write_text("x")
    assert f"The folder {tmp_path} is empty" in message_of(tmp_path)


def test_folder_of_other_files(tmp_path):
    (tmp_path / "b.txt").write_text("x")
    (tmp_path / "a - T1.pt").write_text("x")
    message = message_of(tmp_path)
    assert "holds no slices: its first entry is 'a - T1.pt'" in message
    assert "a space on each side of the dash" in message


def test_slice_under_another_name_is_not_lost(folder):
    (folder / "sub-IXI004 - T1.pt").rename(folder / "sub-IXI004-T1.pt")
    message = message_of(folder)
    assert "'sub-IXI004-T1.pt' in" in message
    assert "rename it" in message


def test_no_subject_with_both_files(tmp_path):
    root = write_folder(tmp_path / "slices", NAMES_577[:3])
    for path in root.glob("* - T2.pt"):
        path.unlink()
    assert "No subject" in message_of(root)
    assert "the first is sub-IXI000 (no T2)" in message_of(root)


def test_one_subject_cannot_be_split(tmp_path):
    root = write_folder(tmp_path / "slices", NAMES_577[:1])
    assert "Only one subject" in message_of(root)
    assert "sub-IXI000" in message_of(root, "test")


def truncate(path):
    path.write_bytes(path.read_bytes()[:20_000])


def replace_by_folder(path):
    path.unlink()
    path.mkdir()


def write(content):
    return lambda path: path.write_bytes(content)


def save(make):
    return lambda path: torch.save(make(), path)


def with_value(value):
    image = make_slice(0)
    image[5, 7] = value
    return image


NOT_FINITE = "has values that are NaN or infinite (1 of 4096)"
BAD_FILES = {
    "truncated": (truncate, "cannot be read (it has 20000 bytes)"),
    "empty file": (write(b""), "cannot be read (it has 0 bytes)"),
    "web page": (write(b"<html>404</html>"), "cannot be read (it has 16 bytes)"),
    "folder": (replace_by_folder, "cannot be read (it has "),
    "unsafe pickle": (save(lambda: Path("x")), "cannot be read (it has "),
    "not a tensor": (save(lambda: {"image": make_slice(0)}), "holds a dict. Expected a tensor"),
    "shape": (save(lambda: torch.zeros(1, 64, 64).double()), "has shape (1, 64, 64). Expected"),
    "size": (save(lambda: torch.zeros(64, 63).double()), "has shape (64, 63). Expected"),
    "float32": (save(lambda: make_slice(0).float()), "has type torch.float32. Expected"),
    "integers": (save(lambda: make_slice(0).int()), "has type torch.int32. Expected"),
    "nan": (save(lambda: with_value(torch.nan)), NOT_FINITE),
    "infinite": (save(lambda: with_value(torch.inf)), NOT_FINITE),
    "too high": (save(lambda: with_value(1.5)), "has values from -1 to 1.5. Expected the range"),
    "too low": (save(lambda: with_value(-3)), "has values from -3 to 1. Expected the range"),
}


@pytest.mark.parametrize("case", BAD_FILES)
@pytest.mark.parametrize("mode", ["train", "test"])
def test_bad_file_is_named_whichever_part_is_opened(folder, case, mode):
    spoil, words = BAD_FILES[case]
    for name in ("sub-IXI002 - T2.pt", "sub-IXI005 - T1.pt"):
        spoil(folder / name)
    message = message_of(folder, mode)
    assert message.startswith(f"'sub-IXI002 - T2.pt' in {folder} {words}")
    assert "Call fetch_ixi() again" in message
    assert "weights_only" not in message


def test_way_out_names_the_variable_that_led_here(folder, monkeypatch):
    truncate(folder / "sub-IXI002 - T1.pt")
    monkeypatch.setenv("LABHELPERS_DATA", str(folder))
    assert "unset the variable" in message_of(folder)


def test_way_out_of_a_damaged_phantom(tmp_path):
    folder = write_folder(tmp_path / "phantom", ["sub-SIM000", "sub-SIM001"])
    truncate(folder / "sub-SIM001 - T1.pt")
    assert "Delete this folder and call fetch_ixi() again" in message_of(folder)


def test_a_loader_knows_its_subjects(tmp_path):
    loader = DataLoader(IXIDataset(write_folder(tmp_path, NAMES_577[:10]), "train"), batch_size=3)
    names = split_subjects(NAMES_577[:10])[0]
    assert subjects_of(loader) == names
    assert subjects_of(limit_subjects(loader, 5)) == names[:5]
