"""What unpaired slices share: one brightness, and a mean pair that is deformed alike."""

import pytest
import torch

from labhelpers.unpaired import MeanPair, standardise_brightness


@pytest.fixture
def slices():
    generator = torch.Generator().manual_seed(0)
    slices = torch.rand(6, 1, 64, 64, generator=generator) - 1  # in [-1, 0]
    slices[..., :8, :] = -1  # air
    return slices


def test_brightness_becomes_that_of_the_pile(slices):
    factors = torch.linspace(0.5, 1.5, 6).reshape(-1, 1, 1, 1)
    changed = (slices + 1) * factors - 1
    result = standardise_brightness(changed)
    torch.testing.assert_close(
        result.mean(dim=(1, 2, 3)), changed.mean().expand(6), atol=1e-4, rtol=0
    )
    assert (result[..., :8, :] == -1).all()
    # What a factor did to one subject is undone: only one common factor is left.
    ratio = (result + 1)[..., 8:, :].sum((1, 2, 3)) / (slices + 1)[..., 8:, :].sum((1, 2, 3))
    assert ratio.std() / ratio.mean() < 0.01


def test_brightness_stays_in_range(slices):
    slices[0] = -0.999
    slices[0, 0, 32, 32] = 1
    assert standardise_brightness(slices).max() <= 1


def test_without_deformation_the_mean_pair_is_the_two_means(slices):
    t1, t2 = MeanPair(slices, -slices, strength=0).sample(2)
    torch.testing.assert_close(t1, slices.mean(0).expand(2, -1, -1, -1), atol=1e-5, rtol=0)
    torch.testing.assert_close(t2, -slices.mean(0).expand(2, -1, -1, -1), atol=1e-5, rtol=0)


def test_both_means_are_deformed_in_the_same_way(slices):
    torch.manual_seed(0)
    slices = slices.sigmoid()  # no air: what comes in from outside would differ
    t1, t2 = MeanPair(slices, slices).sample(3)
    torch.testing.assert_close(t1, t2)
    assert t1.shape == (3, 1, 64, 64)
    assert not torch.allclose(t1[0], t1[1], atol=1e-2)


def test_piles_may_differ_in_size(slices):
    t1, t2 = MeanPair(slices, slices[:2]).sample(1)
    assert t1.shape == t2.shape == (1, 1, 64, 64)


def test_deformation_is_moderate(slices):
    torch.manual_seed(0)
    rows = torch.linspace(-1, 1, 64).reshape(1, 1, 64, 1).expand(1, 1, 64, 64)
    columns = rows.transpose(-1, -2)
    moved_rows, moved_columns = MeanPair(rows, columns).sample(50)
    inner = (..., slice(16, 48), slice(16, 48))
    shift = torch.stack((moved_rows - rows, moved_columns - columns))[inner].abs()
    assert 0.02 < shift.mean() < 0.15  # of half the image
