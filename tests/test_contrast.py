"""Tests of `labhelpers.contrast`: the signal of each tissue."""

import numpy as np
import pytest

from labhelpers.contrast import (
    T1_WEIGHTED,
    T2_WEIGHTED,
    TISSUES,
    Tissue,
    gradient_echo_signal,
    inversion_recovery_signal,
    signal_table,
    spin_echo_signal,
)


def test_signal_equations_give_values_worked_out_by_hand():
    tissue = Tissue(t1=1000, t2=100, t2_star=50, pd=0.8)
    # One T1 of recovery and one T2 of decay.
    assert spin_echo_signal(tissue, 1000, 100) == pytest.approx(0.8 * 0.6321206 * 0.3678794)
    # After 90 degrees nothing is left along the field, so the gradient echo recovers likewise.
    assert gradient_echo_signal(tissue, 1000, 50, 90) == pytest.approx(0.8 * 0.6321206 * 0.3678794)
    # sin 60 (1 - 1/2) / (1 - 1/2 * 1/2) with E = 1/2.
    half_life = 1000 * np.log(2)
    expected = 0.8 * np.sqrt(3) / 2 * 0.5 / 0.75
    assert gradient_echo_signal(tissue, half_life, 0, 60) == pytest.approx(expected)


def test_inversion_recovery_silences_a_tissue_at_the_right_time():
    tissue = Tissue(t1=1000, t2=100, t2_star=50, pd=0.8)
    # Turned over and read at once, the magnetisation has its full size; after ln 2 of T1 it is 0.
    assert inversion_recovery_signal(tissue, 1e6, 0, 0) == pytest.approx(0.8)
    assert inversion_recovery_signal(tissue, 1e6, 0, 1000 * np.log(2)) == pytest.approx(0, abs=1e-9)
    # 1 - 2 exp(-2) + exp(-3) after two T1 of three, and one T2 of decay.
    expected = 0.8 * (1 - 2 * 0.1353353 + 0.0497871) * 0.3678794
    assert inversion_recovery_signal(tissue, 3000, 100, 2000) == pytest.approx(expected)


def test_signals_take_arrays_of_times():
    times = np.linspace(0, 200, 5)
    decay = spin_echo_signal(TISSUES["white matter"], 5000, times)
    assert decay.shape == (5,)
    assert np.all(np.diff(decay) < 0)


def test_csf_is_the_darkest_of_the_brain_in_t1w_and_the_brightest_in_t2w():
    order = ("CSF", "grey matter", "white matter")
    t1w = [gradient_echo_signal(TISSUES[name], **T1_WEIGHTED) for name in order]
    t2w = [spin_echo_signal(TISSUES[name], **T2_WEIGHTED) for name in order]
    assert t1w[0] < t1w[1] < t1w[2]
    assert t2w[0] > t2w[1] > t2w[2]


def test_signal_table_has_a_row_per_tissue_and_signals_relative_to_the_brightest():
    table = signal_table()
    assert list(table.index) == list(TISSUES)
    assert list(table.columns) == ["T1 (ms)", "T2 (ms)", "T2* (ms)", "PD", "T1-w", "T2-w"]
    assert table.loc["CSF", ["T1 (ms)", "T2 (ms)", "T2* (ms)", "PD"]].tolist() == [2569, 329, 58, 1]
    assert table["T1-w"].idxmax() == "fat"
    assert table["T2-w"].idxmax() == "CSF"
    assert table[["T1-w", "T2-w"]].max().tolist() == [1, 1]


def test_t2_star_is_never_above_t2():
    assert all(tissue.t2_star <= tissue.t2 for tissue in TISSUES.values())
