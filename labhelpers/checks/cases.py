"""The vocabulary of the probes: a setting, and the cases in which an answer is tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

__all__ = ["CLUE", "ERROR", "PROOF", "TRACE", "Case", "Log", "Setting", "public_part", "unpacked"]

#: Names that a probe logs and no item of the report looks at: the error that stopped a case, the
#: layers that a network ran through; beginning with `CLUE`, what helps to recognise a mistake
#: though right answers may differ in it; beginning with `PROOF`, what shows that an answer did some
#: of the work, see `Comparison.shows_work`.
ERROR = "error"
TRACE = "trace"
CLUE = "clue-"
PROOF = "proof-"

#: `log(item, value)` writes down what an item of the report looks at.
Log = Callable[[str, Any], None]

T = TypeVar("T")


def public_part(series: int) -> int:
    """Return what the kernel of a submission is told of a series, a number below 2³¹.

    The grader alone knows the rest, which decides what is in the files that answers read.
    """
    return series % 2**31


@dataclass(frozen=True)
class Setting:
    """What differs from one series of cases to another.

    Attributes:
        series: 0 for the visible check; each other number gives other seeds, sizes and weights.
        dtype: Type of inputs and weights.
        folder: The files that the answer reads, where somebody else has made them (see
            `exercises.Exercise.write_files`): who knows the public part of the series only cannot.
    """

    series: int = 0
    dtype: torch.dtype = torch.float64
    folder: Path | None = None

    def choose(self, *options: T) -> T:
        """Return one of the options: the first in the visible check, then each in turn."""
        return options[public_part(self.series) % len(options)]

    def seed(self, number: int) -> int:
        """Return a seed that no other series uses, for a number from 0 to 4999.

        Within an exercise, each tensor that is made has a number of its own.
        """
        return number + 5_000 * public_part(self.series)

    def secret_seed(self, number: int) -> int:
        """Return a seed, as `seed` does, that the public part of the series does not tell."""
        return number + 5_000 * self.series


@dataclass(frozen=True)
class Case:
    """One situation in which the answer is tried.

    Attributes:
        label: What is special about it, as the report says it.
        act: Calls the answer and logs what it did. All that touches what the answer returned
            belongs in here: it runs inside the sandbox.
    """

    label: str
    act: Callable[[Log], object]


def unpacked(returned: Any, *names: str) -> Sequence[Any]:
    """Return the parts of what an answer returned.

    Raises:
        TypeError: If it is not a tuple or list of as many parts as there are names.
    """
    is_series = isinstance(returned, (tuple, list))
    if not is_series or len(returned) != len(names):
        got = f"{len(returned)} values" if is_series else f"a {type(returned).__name__}"
        raise TypeError(
            f"Expected {len(names)} values to be returned ({', '.join(names)}), got {got}."
        )
    return returned
