"""Time and memory of a call are seen, also memory that it gives back before it ends."""

import time

import numpy as np
import pytest

from labhelpers.instructor.experiments.measure import in_new_process, peak_growth, seconds


def take_and_give_back():
    for _ in range(20):
        np.ones(50_000_000, dtype=np.uint8).sum()


def test_memory_given_back_is_seen():
    # In a fresh process, as the benchmark does: this one may have room left from earlier tests.
    assert 40 < in_new_process(peak_growth, take_and_give_back) < 200


def test_seconds_counts_waiting():
    assert seconds(lambda: time.sleep(0.05)) >= 0.05


def test_a_failing_call_fails():
    with pytest.raises(ZeroDivisionError):
        peak_growth(lambda: 1 / 0)
