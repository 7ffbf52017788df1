"""Time and memory of a call are seen, also memory that it gives back before it ends."""

import time
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch

from labhelpers.instructor.experiments import measure
from labhelpers.instructor.experiments.measure import in_new_process, peak_growth, seconds


def take_and_give_back():
    for _ in range(20):
        np.ones(50_000_000, dtype=np.uint8).sum()


def test_memory_given_back_is_seen():
    # In a fresh process, as the benchmark does: this one may have room left from earlier tests.
    assert 40 < in_new_process(peak_growth, take_and_give_back) < 200


def test_seconds_counts_waiting():
    assert seconds(lambda: time.sleep(0.05)) >= 0.05


def test_work_of_a_gpu_is_counted_once_where_it_overlaps(monkeypatch):
    def event(start, end, device="CUDA", is_user_annotation=False):
        return SimpleNamespace(
            time_range=SimpleNamespace(start=start, end=end),
            device_type=f"DeviceType.{device}",
            is_user_annotation=is_user_annotation,
        )

    events = [
        event(50, 60), event(10, 30), event(20, 25), event(20, 40),
        event(0, 100, device="CPU"), event(0, 100, is_user_annotation=True),
    ]  # fmt: skip
    profile = MagicMock()
    profile.return_value.__enter__.return_value.events.return_value = events
    monkeypatch.setattr(measure, "profile", profile)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    assert measure.busy_seconds(lambda: None) == pytest.approx(40e-6)


def test_a_failing_call_fails():
    with pytest.raises(ZeroDivisionError):
        peak_growth(lambda: 1 / 0)
