"""The doctor: what it sees in losses and slices."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from labhelpers.doctor import doctor
from labhelpers.instructor.experiments.doctor import RUNS, counts, read_results
from labhelpers.training import doctor as of_training

LN2 = math.log(2)


def slices(n: int = 8) -> dict[str, torch.Tensor]:
    """Heads in which people differ; what is dark in T1-w is bright in T2-w."""
    random = torch.Generator().manual_seed(1)
    brain = torch.rand(n, 1, 16, 16, generator=random)
    t1 = torch.full((n, 1, 32, 32), -1.0)
    t2 = t1.clone()
    t1[..., 8:24, 8:24], t2[..., 8:24, 8:24] = brain, 0.5 - brain
    fake = t2 + 0.1 * torch.randn(t2.shape, generator=random)
    return {"real_t1": t1, "fake_t2": fake, "real_t2": t2}


def names(history: dict | pd.DataFrame, samples: dict | None = None) -> list[str]:
    return [finding.name for finding in doctor(pd.DataFrame(history), samples or slices())]


def falling(n: int = 10) -> np.ndarray:
    return 0.05 + 0.5 * 0.7 ** np.arange(n)


def test_a_healthy_training_has_no_finding() -> None:
    history = {"generator": falling(), "validation": 0.06 + falling(), "discriminator": 0.5}
    found = doctor(pd.DataFrame(history), slices())
    assert found == []
    seen = "Doctor: nothing conspicuous in the losses of 10 epochs and in the slices of 8 subjects."
    assert repr(found) == seen
    assert found._repr_html_() == f"<p>{seen}</p>"


def test_little_to_look_at_is_no_health() -> None:
    few = doctor(pd.DataFrame({"generator": falling(2)}), slices())
    assert repr(few).endswith(" 2 epochs say little about losses: it takes 6.")
    (none,) = names({}, {name: x[:0] for name, x in slices().items()})
    (broken,) = names({}, slices() | {"fake_t2": slices()["fake_t2"] * math.nan})
    assert none == "no slices to look at"
    assert broken == "slices that hold no numbers"


def test_the_doctor_is_at_hand_where_trainings_are() -> None:
    assert of_training is doctor


@pytest.mark.parametrize(("column", "number"), [("discriminator", 1), ("discriminators", 2)])
def test_a_discriminator_at_chance_is_blind_or_beaten(column: str, number: int) -> None:
    blind = number * np.full(9, LN2 + 0.001)
    (finding,) = doctor(pd.DataFrame({column: blind}), slices())
    assert finding.name == "discriminator at ln 2"
    assert f"{number * LN2:.3f}" in finding.seen
    assert "blind" in finding.meaning and "beaten" in finding.meaning
    assert "blind is likelier" in finding.meaning
    beaten = number * np.concatenate((np.linspace(LN2, 0.4, 5), np.full(9, LN2)))
    (finding,) = doctor(pd.DataFrame({column: beaten}), slices())
    assert "beaten is likelier" in finding.meaning


def test_a_loss_that_does_not_move_is_found() -> None:
    assert names({"generator": 0.7 + 0.001 * np.arange(8)}) == ["a loss that does not move"]


def test_a_validation_loss_that_rises_is_found() -> None:
    rising = np.concatenate((falling(8), np.linspace(0.1, 0.2, 8)))
    assert names({"training": falling(16), "validation": rising}) == [
        "a validation loss that rises"
    ]


def test_inverted_contrast_is_found() -> None:
    inverted = slices() | {"fake_t2": -slices()["fake_t2"]}
    assert "inverted contrast" in names({"generator": falling()}, inverted)


def test_a_collapse_to_the_mean_is_found() -> None:
    mean = slices()["real_t2"].mean(dim=0, keepdim=True).expand(8, -1, -1, -1)
    found = names({"generator": falling()}, slices() | {"fake_t2": mean})
    assert found == ["collapse to the mean"]


def test_a_finding_says_what_was_seen_what_it_means_and_what_to_try() -> None:
    (finding,) = found = doctor(pd.DataFrame({"generator": np.full(5, 0.7)}), slices())
    assert "0.700" in finding.seen
    for text in finding:
        assert text in repr(found) and text.replace("'", "&#x27;") in found._repr_html_()


@pytest.mark.parametrize("n_epochs", [0, 1, 2, 3])
def test_short_and_stopped_trainings_raise_nothing(n_epochs: int) -> None:
    columns = ["generator", "generators", "discriminator", "discriminators", "validation"]
    history = pd.DataFrame({name: [0.6] * n_epochs for name in columns})
    doctor(history, slices())
    doctor(history.mask(history > 0), {name: x[:1] for name, x in slices().items()})
    doctor(pd.DataFrame(), {name: x[:0] for name, x in slices().items()})
    nan = slices() | {"fake_t2": torch.full((8, 1, 32, 32), math.nan)}
    doctor(pd.DataFrame({"generator": [None, "?"], "epoch": [1, 2]}), nan)


def test_the_stored_table_is_of_the_runs_that_there_are() -> None:
    records = read_results()
    assert len(RUNS) == 30 and sum(run.finding != "" for run in RUNS) == 20
    for _, of_seed in records.groupby("seed"):
        assert list(zip(of_seed["method"], of_seed["name"], of_seed["planted"], strict=True)) == [
            (run.method, run.name, run.finding) for run in RUNS
        ]
    total = counts(records)
    assert total["faults"] == 60 and total["healthy"] == 30
    assert total["found"] + total["missed"] == 60
