"""Tests of `labhelpers.instructor.experiments.lesion_table`: its intervals, on known slices."""

import pytest
import torch
import yaml

from labhelpers import stored
from labhelpers.data import IXIDataset
from labhelpers.instructor.experiments import lesion_table
from labhelpers.lesions import paint_lesions
from labhelpers.phantom import simulate_pair


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0, 3.689), (1, 0.0253, 5.572), (22, 13.787, 33.308)]
)
def test_count_interval(count, low, high):
    assert lesion_table.count_interval(count) == pytest.approx((low, high), abs=1e-3)


def test_what_is_known_of_a_mixture_of_true_slices_and_mean_image(monkeypatch):
    pairs = torch.stack([torch.stack(simulate_pair(number)) for number in range(6)]).float()
    people = IXIDataset.from_tensors(pairs[:, :1], pairs[:, 1:], [f"sub-IXI{k}" for k in range(6)])
    mean = people.t2.mean(dim=0).expand_as(people.t2)
    true = {size: paint_lesions(people.t1, people.t2, size).t2 for size in lesion_table.SIZES}
    true[0] = people.t2
    mixture = {size: 0.6 * t2 + 0.4 * mean for size, t2 in true.items()}
    slices = {lesion_table.MEAN_IMAGE: dict.fromkeys(true, mean), "cgan-recommended": mixture}
    monkeypatch.setattr(lesion_table, "fetch_ixi", lambda: None)
    monkeypatch.setattr(lesion_table, "IXIDataset", lambda *_: people)
    monkeypatch.setattr(lesion_table, "stored_slices", lambda *_: slices)
    monkeypatch.setattr(stored, "VALUES", {"cgan-recommended": {}})
    rows = lesion_table.measure_anatomy()
    assert yaml.safe_load(yaml.safe_dump(rows)) == rows  # plain numbers
    for row in rows["lesions"]:
        part, share = (0.6, 1) if row["name"] == "cgan-recommended" else (0, 0)
        assert row["mean"] == pytest.approx(part, abs=0.2), row
        assert row["seen"] == pytest.approx(share, abs=0.2), row
        assert row["low"] < row["mean"] < row["high"]
    for row in rows["invented"]:
        assert row["slices"] == (6 if row["lesions"] == "none" else 24)
        assert row["name"] != "moved" or row["count"] <= 1
    worse, better = rows["anatomy"]
    assert (worse["name"], better["name"]) == ("mean-image", "cgan-recommended")
    assert worse["dice"] < better["dice"] < 1
    assert worse["PSNR"] < better["PSNR"]
    assert better["lower"] < better["bias"] < better["upper"]
