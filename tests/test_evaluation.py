"""Subject by subject: both definitions, intervals that mean something, sharpness."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from labhelpers.data import IXIDataset
from labhelpers.evaluation import (
    best_median_worst,
    generate,
    sharpness,
    subject_metrics,
    with_intervals,
)
from labhelpers.metrics import peak_signal_to_noise_ratio, standard_metrics


@pytest.fixture
def real_t2():
    return torch.rand(7, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_generate_keeps_order_and_mode(real_t2):
    loader = DataLoader(IXIDataset.from_tensors(real_t2, -real_t2), batch_size=3)
    network = nn.Conv2d(1, 1, 1).train()
    slices = generate(network, loader)
    assert network.training
    torch.testing.assert_close(slices["real_t1"], real_t2)
    torch.testing.assert_close(slices["real_t2"], -real_t2)
    torch.testing.assert_close(slices["fake_t2"], network(real_t2).detach())
    assert not slices["fake_t2"].requires_grad


def test_generate_works_without_weights(real_t2):
    loader = DataLoader(IXIDataset.from_tensors(real_t2, real_t2), batch_size=3)
    torch.testing.assert_close(generate(nn.Identity(), loader)["fake_t2"], real_t2)


def test_each_subject_by_both_definitions(real_t2):
    fake_t2 = real_t2 * torch.linspace(0.2, 0.8, 7).reshape(-1, 1, 1, 1)
    table = subject_metrics(real_t2, fake_t2)
    assert list(table) == ["MAE", "PSNR", "SSIM", "PSNR standard", "SSIM standard"]
    assert len(table) == 7
    assert table["PSNR"][3] == pytest.approx(peak_signal_to_noise_ratio(real_t2[3], fake_t2[3]))
    np.testing.assert_allclose(table["PSNR standard"] - table["PSNR"], 20 * np.log10(2), atol=1e-3)
    standard = standard_metrics(real_t2, fake_t2)
    np.testing.assert_allclose(table["MAE"], standard["MAE"], rtol=1e-5)
    np.testing.assert_allclose(table["SSIM standard"], standard["SSIM"])


def test_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(100):
        row = with_intervals(pd.DataFrame({"PSNR": rng.normal(20, 2, size=40)})).loc["PSNR"]
        hits += row["low"] < 20 < row["high"]
    assert 88 <= hits <= 99


def test_interval_is_the_same_at_every_call():
    subjects = pd.DataFrame({"MAE": [0.1, 0.2, 0.4], "PSNR": [20.0, 21.0, 25.0]})
    first, second = with_intervals(subjects), with_intervals(subjects)
    pd.testing.assert_frame_equal(first, second)
    assert (first["low"] < first["mean"]).all()
    assert (first["mean"] < first["high"]).all()


def test_more_confidence_is_a_wider_interval():
    subjects = pd.DataFrame({"MAE": np.random.default_rng(0).normal(size=50)})
    wide, narrow = with_intervals(subjects, 0.99), with_intervals(subjects, 0.5)
    assert (wide["low"] < narrow["low"]).all()
    assert (wide["high"] > narrow["high"]).all()


def test_best_median_and_worst():
    subjects = pd.DataFrame({"MAE": [0.3, 0.1, 0.2], "PSNR": [20.0, 30.0, 25.0]})
    expected = {"best": 1, "median": 2, "worst": 0}
    assert best_median_worst(subjects) == expected
    assert best_median_worst(subjects, "MAE") == expected


def test_sharpness(real_t2):
    blurred = F.avg_pool2d(real_t2, 3, stride=1, padding=1)
    assert sharpness(real_t2, real_t2) == pytest.approx(1)
    assert sharpness(real_t2, blurred) < 0.5
    assert sharpness(real_t2, real_t2 / 2) == pytest.approx(0.5)
