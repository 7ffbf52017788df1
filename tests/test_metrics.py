"""Tests of `labhelpers.metrics`: historical ones by their formulas, standard ones by cases."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from labhelpers.data import IXIDataset
from labhelpers.metrics import (
    best_median_worst,
    evaluate_generator,
    evaluating,
    generate,
    mean_absolute_error,
    paired_bootstrap,
    peak_signal_to_noise_ratio,
    sharpness,
    standard_metrics,
    structural_similarity_index,
    subject_metrics,
    with_intervals,
)
from labhelpers.waiting import NotThereYet


@pytest.fixture(params=range(5))
def images(request):
    """A random pair of some shape, with some correlation and other means."""
    rng = np.random.default_rng(request.param)
    shape = [(4096,), (1, 64, 64), (5, 1, 64, 64), (7, 1, 9, 5), (2, 3, 16, 16)][request.param]
    real = rng.uniform(-1, 1, shape)
    fake = np.clip(0.6 * real + 0.3 * rng.normal(size=shape) + 0.2, -1, 1)
    return real, fake


def as_tensors(images):
    return [torch.from_numpy(image) for image in images]


def test_mean_absolute_error(images):
    real, fake = images
    assert mean_absolute_error(*as_tensors(images)) == pytest.approx(
        np.abs(real - fake).mean(), abs=1e-6
    )


def test_psnr(images):
    real, fake = images
    expected = -10 * math.log10(((real - fake) ** 2).mean())
    assert peak_signal_to_noise_ratio(*as_tensors(images)) == pytest.approx(expected, abs=1e-6)


def test_ssim_divisors(images):
    real, fake = (image.ravel() for image in images)
    mu_r, mu_f = real.mean(), fake.mean()
    cov = np.cov(real, fake, ddof=0)[0, 1]
    expected = (2 * mu_r * mu_f + 0.01) * (2 * cov + 0.03)
    expected /= (mu_r**2 + mu_f**2 + 0.01) * (real.var(ddof=1) + fake.var(ddof=1) + 0.03)
    assert structural_similarity_index(*as_tensors(images)) == pytest.approx(expected, abs=1e-6)


def test_ssim_constants():
    zeros, ones = torch.zeros(4), torch.ones(4)
    ssim = structural_similarity_index(zeros, ones, C1=1.0, C2=0.5)
    assert ssim == pytest.approx(1.0 / 2.0)


def test_float32_is_close_to_float64(images):
    for metric in (mean_absolute_error, peak_signal_to_noise_ratio, structural_similarity_index):
        real, fake = as_tensors(images)
        assert metric(real.float(), fake.float()) == pytest.approx(metric(real, fake), rel=1e-5)


@pytest.mark.parametrize(
    "metric", [mean_absolute_error, peak_signal_to_noise_ratio, structural_similarity_index]
)
def test_other_shape_is_not_broadcast(metric):
    with pytest.raises(ValueError, match="different shapes"):
        metric(torch.zeros(5, 1, 8, 8), torch.zeros(1, 8, 8))


def test_range_of_two_adds_six_decibels():
    rng = torch.Generator().manual_seed(0)
    real, fake = (torch.rand(1, 1, 32, 32, generator=rng) * 2 - 1 for _ in range(2))
    standard = standard_metrics(real, fake)["PSNR"].item()
    historical = peak_signal_to_noise_ratio(real, fake)
    assert standard - historical == pytest.approx(20 * math.log10(2), abs=1e-4)


def test_standard_metrics_give_a_row_per_image():
    real = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    fake = real.clone()
    fake[1] *= 0.5
    table = standard_metrics(real, fake)
    assert list(table.columns) == ["MAE", "PSNR", "SSIM"]
    assert table["MAE"].tolist() == pytest.approx([0, real[1].abs().mean().item() / 2, 0])
    assert table["SSIM"].tolist() == pytest.approx([1, table["SSIM"][1], 1])
    assert table["SSIM"][1] < 0.99
    assert set(table.dtypes.astype(str)) == {"float64"}  # rounded, float32 shows other digits
    single = standard_metrics(real[1:2], fake[1:2])
    pd.testing.assert_frame_equal(single, table.iloc[[1]].reset_index(drop=True), rtol=1e-5)


def test_standard_metrics_want_a_batch():
    with pytest.raises(ValueError, match=r"\(N, C, H, W\)"):
        standard_metrics(torch.zeros(32, 32), torch.zeros(32, 32))


class Halve(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(0.5))

    def forward(self, x):
        return self.factor * x


def loader(*means):
    return [{"T1": torch.full((2, 1, 4, 4), mean), "T2": torch.zeros(2, 1, 4, 4)} for mean in means]


def test_evaluate_generator_averages_the_batches():
    generator = Halve().train()
    table = evaluate_generator(generator, loader(1.0, 0.5), loader(0.2))
    assert generator.training
    assert generator.factor.grad is None
    assert list(table.index) == ["MAE", "PSNR", "SSIM"]
    assert list(table.columns) == ["Training set", "Test set"]
    assert table.loc["MAE", "Training set"] == pytest.approx((0.5 + 0.25) / 2)
    expected = (-10 * math.log10(0.5**2) - 10 * math.log10(0.25**2)) / 2
    assert table.loc["PSNR", "Training set"] == pytest.approx(expected)
    assert table.loc["MAE", "Test set"] == pytest.approx(0.1)


def test_mode_and_gradients_come_back_after_an_error():
    generator = Halve().train()
    with pytest.raises(ZeroDivisionError), evaluating(generator) as device:
        assert device.type == "cpu"
        assert not generator.training
        assert not generator(torch.ones(1)).requires_grad
        1 / 0  # noqa: B018
    assert generator.training
    assert torch.is_grad_enabled()


def test_evaluate_generator_without_weights():
    assert evaluate_generator(nn.Identity(), loader(1.0), loader(1.0)).loc["MAE"].tolist() == [1, 1]


def test_empty_loader_is_an_error():
    with pytest.raises(ValueError, match="loader of the test set is empty"):
        evaluate_generator(Halve(), loader(1.0), [])


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


def test_paired_differences_are_free_of_what_makes_a_subject_hard():
    rng = np.random.default_rng(0)
    hard = rng.normal(20, 3, size=100)
    a = pd.DataFrame({"PSNR": hard + rng.normal(0.5, 0.2, size=100)})
    b = pd.DataFrame({"PSNR": hard})
    row = paired_bootstrap(a, b).loc["PSNR"]
    assert row["difference"] == pytest.approx((a - b)["PSNR"].mean())
    assert 0.4 < row["low"] < row["difference"] < row["high"] < 0.6
    assert with_intervals(a).loc["PSNR", "low"] < with_intervals(b).loc["PSNR", "high"]
    pd.testing.assert_frame_equal(paired_bootstrap(a, b), paired_bootstrap(a, b))
    assert paired_bootstrap(b, a).loc["PSNR", "difference"] == pytest.approx(-row["difference"])
    assert (paired_bootstrap(a, a) == 0).all(axis=None)


def test_paired_interval_holds_the_true_difference_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    zeros = pd.DataFrame({"PSNR": np.zeros(40)})
    hits = 0
    for _ in range(100):
        differences = pd.DataFrame({"PSNR": rng.normal(0.5, 2, size=40)})
        row = paired_bootstrap(differences, zeros).loc["PSNR"]
        hits += row["low"] < 0.5 < row["high"]
    assert 88 <= hits <= 99


def test_differences_of_other_subjects_are_refused():
    subjects = pd.DataFrame({"MAE": [0.1, 0.2, 0.4]})
    with pytest.raises(ValueError, match="the same metrics of the same subjects"):
        paired_bootstrap(subjects, subjects[:2])


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


def test_a_network_that_was_not_trained_yet_is_waited_for():
    with pytest.raises(NotThereYet, match="run the cell that trains it"):
        generate(None, [])
