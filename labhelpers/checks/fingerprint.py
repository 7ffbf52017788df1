"""Numbers that are the same on every machine, and how to describe and compare tensors by numbers.

Inputs and weights of the probes come from an integer hash: no random generator, whose stream may
change from one release to the next, is involved. What a probe sees is written down as an
*observation*: a plain value (string, integer, truth value, list of these) or, for tensors and
floats, a small dictionary of numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["PERIOD", "compact", "describe", "fill", "hashed", "n_fractions", "observe", "same"]

Observation = Any  # a plain value, or {"shape": [...], "numbers": [...], "range": [low, high]}

#: Seeds that differ by a multiple of it give the same numbers. It is a prime: repeats of the pool
#: never line up with the rows of a weight matrix.
PERIOD = 65_537

_WHOLE = 16  # tensors up to this size are written down whole, larger ones as a summary
_N_PROJECTIONS = 3
_VANISHING = 1e-9  # expected numbers that are all smaller are zero but for rounding:
_ABSOLUTE_TOLERANCE = 1e-6  # then numbers of this size agree with them
_MOST_ELEMENTS = 12  # of a list, in words
_COUNTED = 5  # more numbers than these are told with their number


@lru_cache(maxsize=1)
def _pool() -> Tensor:
    """Hash 0, 1, 2, … with SplitMix64 (Steele, Lea and Flood, 2014) to numbers in (-1, 1)."""
    x = np.arange(1, PERIOD + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    # 52 bits and a half: exact in float64, symmetric, and never 0 or 1 in size.
    return torch.from_numpy(((x >> np.uint64(12)).astype(np.float64) + 0.5) / 2**51 - 1)


def hashed(shape: Iterable[int], seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return a tensor of fixed numbers, spread evenly over (-1, 1).

    Args:
        shape: Shape of the tensor.
        seed: Any integer; another one gives other numbers, see `PERIOD`.
        dtype: Type of the result.
    """
    shape = tuple(shape)
    size = math.prod(shape)
    start = seed * 7_919 % PERIOD
    end = start + size
    if end <= PERIOD:
        return _pool()[start:end].to(dtype, copy=True).reshape(shape)
    return _pool().to(dtype).repeat(-(-end // PERIOD))[start:end].reshape(shape)


@torch.no_grad()
def fill(parameters: Iterable[Tensor], seed: int, gain: float = 1.5) -> None:
    """Give each parameter fixed numbers that depend on its position and shape only.

    Weights are scaled by the number of inputs they add up, so that a deep network neither dies
    out nor saturates; biases are spread over (-0.5, 0.5).
    """
    for position, parameter in enumerate(parameters):
        size = 0.5
        if parameter.ndim > 1:
            fan_in = parameter.numel() / parameter.shape[0]
            size = gain * math.sqrt(3 / fan_in)
        values = hashed(parameter.shape, seed + 31 * position, parameter.dtype)
        parameter.copy_(values.mul_(size))


def observe(value: Any) -> Observation:
    """Write a value down so that it survives JSON.

    Tensors of more than 16 elements become their mean, standard deviation and three fixed
    projections on hashed directions, in which any change shows; the range is for the reader only.
    """
    if isinstance(value, Tensor):
        return _observe_tensor(value.detach())
    if isinstance(value, float):
        return {"shape": [], "numbers": [_plain(value)]}
    if isinstance(value, (list, tuple)):
        return [observe(element) for element in value]
    return value


def _observe_tensor(tensor: Tensor) -> Observation:
    shape = list(tensor.shape)
    flat = tensor.to("cpu", torch.float64).flatten()
    if len(flat) <= _WHOLE:
        return {"shape": shape, "numbers": [_plain(x) for x in flat.tolist()]}
    spread = (flat - flat.mean()).square().mean().sqrt()
    projections = [flat @ _direction(len(flat), k) for k in range(1, _N_PROJECTIONS + 1)]
    return {
        "shape": shape,
        "numbers": [_plain(float(x)) for x in (flat.mean(), spread, *projections)],
        "range": [_plain(float(flat.min())), _plain(float(flat.max()))],
    }


def compact(observation: Observation) -> Observation:
    """Keep of an observation what comparing needs, with six digits; `describe` needs more."""
    if _is_numeric(observation):
        numbers = [x if isinstance(x, str) else float(f"{x:.6g}") for x in observation["numbers"]]
        return {"shape": observation["shape"], "numbers": numbers}
    if isinstance(observation, list):
        return [compact(element) for element in observation]
    return observation


def _direction(size: int, k: int) -> Tensor:
    # A product of two hashes: a single one would be parallel to inputs made with the same seed.
    return hashed((size,), k) * hashed((size,), 2 * k + 7) * (3 / math.sqrt(size))


def _plain(x: float) -> float | str:
    """Round to eight digits; JSON has no word for NaN and infinity, so they become strings."""
    return float(f"{x:.8g}") if math.isfinite(x) else str(x)


def same(observed: Observation, expected: Observation, tolerance: float = 1e-4) -> bool:
    """Return True if two observations agree.

    Numbers may differ by `tolerance` times the largest expected number. That is far more than
    float32 arithmetic costs, and far less than what a mistake changes. NaN agrees with NaN.
    """
    if _is_numeric(observed) and _is_numeric(expected):
        if observed["shape"] != expected["shape"]:
            return False
        if len(observed["numbers"]) != len(expected["numbers"]):
            return False
        pairs = [
            (float(x), float(y))
            for x, y in zip(observed["numbers"], expected["numbers"], strict=True)
        ]
        scale = max((abs(y) for _, y in pairs if math.isfinite(y)), default=0.0)
        allowed = tolerance * scale if scale > _VANISHING else _ABSOLUTE_TOLERANCE
        return all(abs(x - y) <= allowed or str(x) == str(y) for x, y in pairs)
    if isinstance(observed, list) and isinstance(expected, list):
        return len(observed) == len(expected) and all(
            same(x, y, tolerance) for x, y in zip(observed, expected, strict=True)
        )
    if isinstance(observed, dict) and isinstance(expected, dict):
        return observed.keys() == expected.keys() and all(
            same(observed[key], expected[key], tolerance) for key in expected
        )
    return type(observed) is type(expected) and observed == expected


def n_fractions(observation: Observation) -> int:
    """Return how many numbers of an observation are not whole.

    Whole numbers, words and truth values can be guessed: counts, zeros, the ends of a range.
    """
    if _is_numeric(observation):
        return sum(isinstance(x, float) and not x.is_integer() for x in observation["numbers"])
    return sum(map(n_fractions, observation)) if isinstance(observation, list) else 0


def describe(observation: Observation, digits: int = 4) -> str:
    """Return an observation in a few words, for a report, its numbers with so many digits."""
    if _is_numeric(observation):
        numbers = [_short(x, digits) for x in observation["numbers"]]
        if "range" in observation:
            low, high = (_short(x, digits) for x in observation["range"])
            shape = tuple(observation["shape"])
            size = f"{shape[0]:,} numbers" if len(shape) == 1 else f"shape {shape}"
            if low == high:
                return f"{size}, nan among them" if low == "nan" else f"{size}, all {low}"
            return f"{size}, mean {numbers[0]}, std {numbers[1]}, from {low} to {high}"
        shape = tuple(observation["shape"])
        values = numbers[0] if shape == () else f"[{', '.join(numbers)}]"
        if len(shape) == 1 and len(numbers) > _COUNTED:
            return f"{len(numbers)} numbers: {values}"
        return values if len(shape) < 2 else f"{values} of shape {shape}"
    if isinstance(observation, list):
        words = [describe(element, digits) for element in observation[:_MOST_ELEMENTS]]
        more = [f"… ({len(observation)} in all)"] if len(observation) > _MOST_ELEMENTS else []
        return "[" + ", ".join(words + more) + "]"
    if isinstance(observation, bool):
        return "yes" if observation else "no"
    if isinstance(observation, int):
        return f"{observation:,}"
    return str(observation)


def _short(x: float | str, digits: int) -> str:
    return str(x) if isinstance(x, str) else f"{x:.{digits}g}"


def _is_numeric(observation: Observation) -> bool:
    return isinstance(observation, dict) and "numbers" in observation
