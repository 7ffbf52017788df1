"""The clinic: its stored cases, how they are shown, and the programs that made them."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from labhelpers import clinic
from labhelpers.checks import verdict
from labhelpers.data import IXIDataset
from labhelpers.instructor.experiments import small
from labhelpers.instructor.experiments.clinic import PARTS, PLANS, faulty_part, write_case
from labhelpers.instructor.experiments.small import Plan

NAMES = [
    *(letter for letters in clinic.CASES.values() for letter in letters),
    *(f"healthy {method}" for method in clinic.CASES),
]
TINY = Plan(num_epoch=2, n_train=4, n_test=3, batch_size=2, width=2)


@pytest.mark.parametrize("name", NAMES)
def test_a_case_has_curves_and_slices_of_small_size(name: str) -> None:
    history, slices = clinic.load_case(name)
    assert len(history) > 8 and history.notna().all(axis=None)
    assert history.columns[-1] == "test error"
    for images in slices.values():
        assert images.shape == (5, 1, 64, 64)
        assert -1 <= images.min() < -0.9 and 0.5 < images.max() <= 1
    files = Path(clinic.__file__).parent.glob(f"{name.replace(' ', '-')}.*")
    assert sum(path.stat().st_size for path in files) < 40_000


@pytest.mark.parametrize("name", NAMES)
def test_a_case_is_shown_with_its_numbers_in_words(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list = []
    monkeypatch.setattr(clinic, "display", shown.append)
    clinic.show_case(name)
    curves, slices = shown
    assert "ln 2" in curves.alt and "test error" in curves.alt
    assert ("healthy:" in curves.alt) == (not name.startswith("healthy"))
    assert "5 test subjects" in slices.alt and "CC BY-SA" in slices.alt
    for figure in shown:
        assert figure._repr_html_().startswith("<img alt=")


def test_an_unknown_case_is_refused_with_the_names() -> None:
    with pytest.raises(ValueError, match=r"no case 'H': choose one of A, B, .*healthy cyclegan"):
        clinic.show_case("H")


def test_nothing_that_students_install_says_which_case_has_which_fault() -> None:
    for path in Path(clinic.__file__).parent.glob("*.json"):
        assert not any(fault in path.read_text(encoding="utf-8") for fault in clinic.FAULTS)
    numbers = json.loads(verdict.VISIBLE_FILE.read_text(encoding="utf-8"))
    stored = json.dumps([numbers["clinic-cgan"], numbers["clinic-cyclegan"]])
    assert not any(fault in stored for fault in clinic.FAULTS)


def people(n: int) -> IXIDataset:
    slices = torch.rand(2, n, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    slices[..., 0, 0], slices[..., -1, -1] = -1, 1
    return IXIDataset.from_tensors(*slices)


@pytest.mark.parametrize("method", clinic.CASES)
def test_every_case_can_be_trained_again_with_the_faulty_function_of_its_cell(
    method: str, tmp_path: Path
) -> None:
    assert method in PLANS
    train = {"cgan": small.train_pairs, "cyclegan": small.train_unpaired}[method]
    outcomes = {}
    for letter in ("healthy", *clinic.CASES[method]):
        parts = {} if letter == "healthy" else faulty_part(method, letter)
        assert set(parts) <= set(PARTS.values())
        torch.manual_seed(0)
        history, slices = train(TINY, people(12), **parts)
        outcomes[letter] = history
        write_case(letter, method, history, slices, tmp_path)
        stored = pd.DataFrame(json.loads((tmp_path / f"{letter}.json").read_text()))
        assert stored["test error"].iloc[-1] == pytest.approx(history["validation"].iloc[-1], 1e-2)
    for letter, history in outcomes.items():
        assert letter == "healthy" or not history.equals(outcomes["healthy"])


def test_the_parts_of_a_training_do_their_job() -> None:
    train, test = small.split([1, 2, 3, 4, 5], 2)
    assert sorted(train + test) == [1, 2, 3, 4, 5] and len(test) == 2
    t1, t2 = small.black_frame(*torch.ones(2, 1, 1, 6, 6))
    assert t1.equal(t2) and t1.sum() == 4 - 32
    assert small.discriminator_loss(torch.full((2,), 9.0), torch.full((2,), -9.0)) < 1e-3
    assert small.scaled(torch.tensor([0.0, 5.0, 10.0]).reshape(1, 1, 1, 3)).flatten().tolist() == [
        -1,
        0,
        1,
    ]
    double, half = (lambda x: 2 * x), (lambda x: x / 2)
    assert small.cycle_loss(double, half, *torch.rand(2, 1, 1, 4, 4)) == 0
