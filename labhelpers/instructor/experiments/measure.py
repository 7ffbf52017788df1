"""Measure what a call takes: seconds, and memory while it runs."""

import multiprocessing
import statistics
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import psutil
import torch
from torch.profiler import ProfilerActivity, profile

__all__ = [
    "busy_seconds",
    "device_name",
    "in_new_process",
    "median_seconds",
    "peak_growth",
    "seconds",
]

_PAUSE = 0.002  # seconds between two looks


def device_name() -> str:
    """Return what trainings run on here."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, {torch.get_num_threads()} threads"


def seconds(function: Callable[[], object], device: torch.device | str = "cpu") -> float:
    """Call a function and return how long it took, the work it left to a GPU included."""
    wait = torch.cuda.synchronize if torch.device(device).type == "cuda" else lambda: None
    wait()
    start = time.perf_counter()
    function()
    wait()
    return time.perf_counter() - start


def median_seconds(
    functions: Mapping[str, Callable[[], object]], repeats: int, device: torch.device | str = "cpu"
) -> dict[str, float]:
    """Call each function `repeats` times and return the medians of the times.

    They take turns, so that a busy machine slows all of them. One more round comes first, to warm
    up: file cache, allocator.
    """
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats + 1):
        for name, function in functions.items():
            times[name].append(seconds(function, device))
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def busy_seconds(function: Callable[[], object]) -> float:
    """Call a function and return for how long a GPU computed or copied for it."""
    with profile(activities=[ProfilerActivity.CUDA], acc_events=True) as profiler:
        function()
        torch.cuda.synchronize()
    spans = sorted(
        (event.time_range.start, event.time_range.end)
        for event in profiler.events()
        if str(event.device_type).endswith("CUDA") and not event.is_user_annotation
    )
    busy, end = 0.0, 0.0
    for start, stop in spans:  # two streams may work at the same time
        busy += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return busy / 1e6


def in_new_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of a module in a process of its own and return what it returns.

    There, memory that an earlier call took and gave back cannot hide what this one takes.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def peak_growth(function: Callable[[], object]) -> float:
    """Call `function` and return by how many MB this process was larger, at most, than before.

    Memory that the process had and gave back hides what the call takes, so use a fresh process.
    """
    process = psutil.Process()
    start = peak = process.memory_info().rss
    stop = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not stop.wait(_PAUSE):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        function()
    finally:
        stop.set()
        watcher.join()
    return (max(peak, process.memory_info().rss) - start) / 1e6
