"""Tests of `labhelpers.phantom`: same pairs everywhere, right contrast, as hard as real data."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d

from labhelpers import phantom
from labhelpers.contrast import T2_WEIGHTED, TISSUES, spin_echo_signal
from labhelpers.phantom import simulate_pair, tissue_shares, write_phantom


@pytest.fixture(scope="module")
def population():
    """T1-w and T2-w slices of 60 subjects, each `(60, 64, 64)`."""
    t1, t2 = zip(*(simulate_pair(subject) for subject in range(60)), strict=True)
    return torch.stack(t1), torch.stack(t2)


def in_folder(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def assert_holds_two_pairs(folder: Path) -> None:
    images = {
        f"sub-SIM{subject:03d} - {modality}.pt": image
        for subject in range(2)
        for modality, image in zip(("T1", "T2"), simulate_pair(subject), strict=True)
    }
    assert in_folder(folder) == sorted(images)
    for name, image in images.items():
        assert torch.equal(torch.load(folder / name, weights_only=True), image)


# --- Pairs ----------------------------------------------------------------------------------------


def test_a_subject_is_the_same_every_time():
    torch.testing.assert_close(simulate_pair(7), simulate_pair(7), rtol=0, atol=0)


def test_subject_0_is_pinned():
    t1, t2 = simulate_pair(0)
    found = [float(x) for x in (t1.mean(), t1.std(), t2.mean(), t2.std())]
    expected = [-0.41697938, 0.72729865, -0.71623442, 0.40435619]
    assert found == pytest.approx(expected, abs=1e-6), (
        "The phantom has changed. If this is meant, or NumPy now draws other random numbers: put "
        "the new figures here, and run `labhelpers validate --update` without network and without "
        "LABHELPERS_DATA to store the new outputs of the notebooks. Else undo the change."
    )


def test_tissue_shares_are_those_of_the_pair():
    shares = tissue_shares(7)
    assert shares.shape == (len(TISSUES), 128, 128)
    assert shares.min() >= 0 and shares.sum(axis=0).max() <= 1 + 1e-9
    signals = [spin_echo_signal(tissue, **T2_WEIGHTED) for tissue in TISSUES.values()]
    image = avg_pool2d(torch.from_numpy(np.einsum("k,kxy->xy", signals, shares))[None], 2)[0]
    pair = torch.stack((image, simulate_pair(7)[1]))
    assert torch.corrcoef(pair.flatten(1))[0, 1] > 0.95  # apart from blur, coil and noise


def test_pairs_span_exactly_minus_one_to_one(population):
    for images in population:
        assert images.dtype == torch.float64
        assert images.shape == (60, 64, 64)
        assert torch.equal(images.amin((1, 2)), -torch.ones(60, dtype=torch.float64))
        assert torch.equal(images.amax((1, 2)), torch.ones(60, dtype=torch.float64))


def test_no_two_subjects_are_alike(population):
    for images in population:
        distances = torch.pdist(images.flatten(1), p=1) / 64**2
        assert distances.min() > 0.03


def test_ventricles_are_dark_in_t1w_and_bright_in_t2w_of_everyone(population):
    t1, t2 = population
    middle, white_matter = (slice(24, 40), slice(24, 44)), (slice(17, 23), slice(28, 38))
    for one_t1, one_t2 in zip(t1, t2, strict=True):
        ventricles = one_t2[middle] > 0.5
        assert ventricles.sum() >= 5
        assert one_t1[middle][ventricles].mean() < one_t1[white_matter].median() - 0.15
        assert one_t2[white_matter].median() < 0


def test_ventricles_come_in_all_sizes(population):
    sizes = (population[1][:, 24:40, 24:44] > 0.3).sum((1, 2)).double()
    assert torch.quantile(sizes, 0.95) > 2 * torch.quantile(sizes, 0.05)


def test_the_head_lies_as_in_the_real_slices(population):
    mean = population[0].mean(0)
    across, along = (mean > -0.5).any(1).nonzero(), (mean > -0.5).any(0).nonzero()
    # x is the first axis: the head is 42 voxels wide and 51 long.
    assert 39 <= across.max() - across.min() <= 44
    assert 48 <= along.max() - along.min() <= 53
    assert mean[:4].max() < -0.9


def test_baselines_rank_as_on_the_real_data(population):
    t1, t2 = population
    known, new = slice(0, 45), slice(45, 60)
    bins = ((t1 + 1) * 50).long().clamp(0, 99)
    total = torch.zeros(100, dtype=t2.dtype).index_add(0, bins[known].ravel(), t2[known].ravel())
    lookup = total / torch.bincount(bins[known].ravel(), minlength=100).clamp(min=1)
    guesses = {
        "mean image": t2[known].mean(0).expand_as(t2[new]),
        "lookup": lookup[bins[new]],
        "T1 unchanged": t1[new],
    }
    error = {name: (guess - t2[new]).abs().mean().item() for name, guess in guesses.items()}
    # On the real data: 0.073, 0.094 and 0.298.
    assert 0.06 < error["mean image"] < 0.09
    assert error["mean image"] + 0.01 < error["lookup"] < 0.13
    assert 0.25 < error["T1 unchanged"] < 0.35


# --- Files ----------------------------------------------------------------------------------------


def test_written_files_read_back_as_the_pairs(tmp_path):
    folder = write_phantom(tmp_path / "new" / "phantom", n_subjects=2)
    assert folder == tmp_path / "new" / "phantom"
    assert_holds_two_pairs(folder)
    assert in_folder(folder.parent) == ["phantom"]
    for path in folder.iterdir():
        assert path.stat().st_size < 40_000  # one image, not the storage of a larger array


def test_a_complete_folder_is_kept(tmp_path, monkeypatch):
    folder = write_phantom(tmp_path / "phantom", n_subjects=2)
    monkeypatch.setattr(torch, "save", lambda *_: pytest.fail("wrote again"))
    assert write_phantom(folder, n_subjects=2) == folder


def outdate(path):
    torch.save(torch.zeros(64, 64, dtype=torch.float64), path)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("sub-SIM001 - T2.pt", Path.unlink),
        ("sub-SIM001 - T1.pt", lambda path: path.write_bytes(path.read_bytes()[:1000])),
        ("sub-SIM000 - T1.pt", lambda path: path.write_bytes(bytes(40_000))),
        ("sub-SIM000 - T2.pt", outdate),
    ],
    ids=["missing", "cut short", "unreadable", "outdated"],
)
def test_a_damaged_or_outdated_folder_is_written_again(tmp_path, name, damage):
    folder = write_phantom(tmp_path / "phantom", n_subjects=2)
    (folder / ".DS_Store").touch()  # a file of the system does no harm
    damage(folder / name)
    write_phantom(folder, n_subjects=2)
    assert_holds_two_pairs(folder)
    assert in_folder(tmp_path) == ["phantom"]


def test_a_larger_population_replaces_a_smaller_one(tmp_path):
    folder = write_phantom(tmp_path / "phantom", n_subjects=1)
    assert len(in_folder(write_phantom(folder, n_subjects=2))) == 4


def test_an_interruption_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupted(subject):
        if subject == 1:
            raise KeyboardInterrupt
        return simulate_pair(subject)

    monkeypatch.setattr(phantom, "simulate_pair", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_phantom(tmp_path / "phantom", n_subjects=2)
    assert in_folder(tmp_path) == []


def test_files_of_others_are_left_alone(tmp_path):
    (tmp_path / "sub-IXI002 - T1.pt").write_text("precious")
    with pytest.raises(FileExistsError, match=r"sub-IXI002 - T1\.pt.*give a new folder"):
        write_phantom(tmp_path, n_subjects=1)
    assert in_folder(tmp_path) == ["sub-IXI002 - T1.pt"]
    assert (tmp_path / "sub-IXI002 - T1.pt").read_text() == "precious"
