"""The memory that a call takes is seen, also what it gives back before it ends."""

import numpy as np
import pytest

from labhelpers.instructor.memory import peak_growth


def test_memory_given_back_is_seen():
    def take_and_give_back():
        for _ in range(20):
            np.ones(50_000_000, dtype=np.uint8).sum()

    assert 40 < peak_growth(take_and_give_back) < 200


def test_a_failing_call_fails():
    with pytest.raises(ZeroDivisionError):
        peak_growth(lambda: 1 / 0)
