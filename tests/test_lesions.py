"""Tests of `labhelpers.lesions`: what is painted, what is found, what is measured."""

import math

import numpy as np
import pytest
import torch

from labhelpers import phantom
from labhelpers.contrast import (
    T1_WEIGHTED,
    T2_WEIGHTED,
    TISSUES,
    gradient_echo_signal,
    spin_echo_signal,
)
from labhelpers.data import VOXEL_MM
from labhelpers.lesions import (
    LESION,
    dice,
    invented_structures,
    mask_areas,
    paint_lesions,
    ventricle_masks,
)

SIZES = (1, 2, 3, 4)


@pytest.fixture(scope="module")
def slices():
    """Simulated pairs of ten people: T1-w, T2-w."""
    pairs = [phantom.simulate_pair(number) for number in range(10)]
    return tuple(torch.stack([pair[k] for pair in pairs])[:, None].float() for k in (0, 1))


def contrast(images, lesions):
    """Mean inside less mean of the surround, one per slice."""
    inside, around = (
        (images * mask).flatten(1).sum(1) / mask.flatten(1).sum(1)
        for mask in (lesions.lesion_masks, lesions.surround_masks)
    )
    return inside - around


def test_a_voxel_has_the_size_that_the_simulated_heads_have():
    assert VOXEL_MM == phantom._FIELD_OF_VIEW / 64


# --- painting -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_one_lesion_in_each_slice_in_both_contrasts(size, slices):
    t1, t2 = slices
    lesions = paint_lesions(t1, t2, size)
    for painted, before in ((lesions.t1, t1), (lesions.t2, t2)):
        assert painted.shape == before.shape and painted.dtype == before.dtype
        assert painted.abs().max() <= 1
        changed = (painted != before).flatten(1).sum(1)
        assert (changed >= lesions.lesion_masks.flatten(1).sum(1)).all()
        assert (changed <= (size + 1) ** 2).all()
    assert lesions.lesion_masks.dtype == lesions.surround_masks.dtype == torch.bool
    assert not (lesions.lesion_masks & lesions.surround_masks).any()
    assert (lesions.surround_masks.flatten(1).sum(1) >= 3).all()
    untouched = lesions.surround_masks
    torch.testing.assert_close(lesions.t2[untouched], t2[untouched])
    assert (contrast(lesions.t1, lesions) < 0).all() and (contrast(lesions.t2, lesions) > 0).all()


@pytest.mark.parametrize("size", SIZES)
def test_a_lesion_has_the_area_of_a_disc(size, slices):
    lesions = paint_lesions(*slices, size)
    added = (lesions.t2 - slices[1]).flatten(1)
    inner = added.max(1).values  # what is added where the disc covers all of a voxel
    whole = inner / (math.pi / 4 if size < 3 else 1)  # smaller discs cover that much of any voxel
    assert (added.sum(1) / whole).median() == pytest.approx(math.pi * size**2 / 4, rel=0.02)


def test_a_lesion_is_as_bright_as_the_signal_equations_say(slices):
    t1, t2 = slices
    lesions = paint_lesions(t1, t2, 4)
    ventricles = ventricle_masks(t2)
    for painted, before, signal, sequence, csf_level in (
        (lesions.t1, t1, gradient_echo_signal, T1_WEIGHTED, 0.05),
        (lesions.t2, t2, spin_echo_signal, T2_WEIGHTED, 0.95),
    ):
        white, csf, lesion = (
            float(signal(tissue, **sequence))
            for tissue in (TISSUES["white matter"], TISSUES["CSF"], LESION)
        )
        part = (lesion - white) / (csf - white)
        for k in range(len(t1)):
            change = (painted - before)[k]
            full = change.flatten()[change.abs().argmax()]
            around = before[k][lesions.surround_masks[k]].median()
            bright = torch.quantile(before[k][ventricles[k]], csf_level)
            assert full / (bright - around) == pytest.approx(part, rel=0.2)


def test_places_depend_on_the_seed_and_not_on_who_else_is_there(slices):
    t1, t2 = slices
    masks = paint_lesions(t1, t2, 2).lesion_masks
    torch.testing.assert_close(paint_lesions(t1[:3], t2[:3], 2).lesion_masks, masks[:3])
    assert (paint_lesions(t1, t2, 2, seed=1).lesion_masks != masks).any()
    assert len({tuple(mask.nonzero()[0].tolist()) for mask in masks}) > 5


@pytest.mark.parametrize("size", [0, 5, 1.5])
def test_other_sizes_are_refused(size, slices):
    with pytest.raises(ValueError, match="expected a diameter of 1, 2, 3 or 4 voxels"):
        paint_lesions(*slices, size)


# --- invented structures ------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 3, 4])
def test_painted_lesions_are_found_where_the_true_slice_has_none(size, slices):
    t1, t2 = slices
    lesions = paint_lesions(t1, t2, size)
    counts = invented_structures(lesions.t2, t2, t1)
    assert counts.shape == (10,) and not counts.is_floating_point()
    assert (counts == 1).float().mean() >= 0.9
    assert invented_structures(lesions.t2, lesions.t2, lesions.t1).sum() == 0


def test_neither_noise_nor_a_small_shift_counts(slices):
    t1, t2 = slices
    noise = 0.05 * torch.randn(t2.shape, generator=torch.Generator().manual_seed(0))
    moved = (t2 + t2.roll(1, dims=-2)) / 2  # by half a voxel
    assert invented_structures(t2 + noise, t2, t1).sum() == 0
    assert invented_structures(moved, t2, t1).sum() <= 1


def test_fainter_spots_count_if_asked_for(slices):
    t1, t2 = slices
    faint = t2 + 0.35 * (paint_lesions(t1, t2, 3).t2 - t2)
    assert invented_structures(faint, t2, t1).sum() == 0
    assert invented_structures(faint, t2, t1, least=0.25).sum() >= 8


# --- ventricles ---------------------------------------------------------------------------------


def test_ventricles_are_the_bright_middle(slices):
    _, t2 = slices
    masks = ventricle_masks(t2)
    assert masks.shape == t2.shape and masks.dtype == torch.bool
    for k in range(len(t2)):
        assert t2[k][masks[k]].mean() > t2[k].mean() + 0.8
        x, y = masks[k, 0].nonzero().double().mean(0) - 31.5
        assert abs(x) < 3 and abs(y) < 6
    assert (mask_areas(masks) > 200).all() and (mask_areas(masks) < 4000).all()


def test_ventricles_do_not_depend_on_the_scale_of_the_slice(slices):
    _, t2 = slices
    torch.testing.assert_close(ventricle_masks(t2), ventricle_masks(0.6 * t2 - 0.2))


def test_a_collapsed_generator_makes_no_ventricles():
    assert not ventricle_masks(torch.full((2, 1, 64, 64), 0.3)).any()


def test_dice_and_area_of_known_masks():
    a, b = torch.zeros(3, 1, 4, 4, dtype=bool), torch.zeros(3, 1, 4, 4, dtype=bool)
    a[0, 0, 0, :2] = b[0, 0, 0, 1:3] = True
    a[1, 0, 0, 0] = True
    np.testing.assert_allclose(dice(a, b), [0.5, 0, 1])
    np.testing.assert_allclose(mask_areas(a), [2 * 14.0625, 14.0625, 0])
