"""The vocabulary of the probes: a setting, the cases of an exercise, what they write down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["CLUE", "ERROR", "Case", "Observer", "Probe", "Setting", "unpacked"]

#: Observations that no item looks at, which help to recognise a mistake: the error that stopped a
#: case, and all whose name begins with `CLUE`, in which right answers may differ from each other.
ERROR = "error"
CLUE = "clue-"

#: `observer(item, value)` writes down what an item of the report looks at.
Observer = Callable[[str, Any], None]


@dataclass(frozen=True)
class Setting:
    """How the probes of one run differ.

    Attributes:
        hidden: Whether to use other seeds, sizes and channel counts than the visible check.
        dtype: Type of inputs and weights.
        own_losses: Whether a step calls the student's own losses instead of stand-ins.
    """

    hidden: bool = False
    dtype: torch.dtype = torch.float64
    own_losses: bool = False

    def pick(self, visible: Any, hidden: Any) -> Any:
        """Choose between the value of the visible check and the hidden one's."""
        return hidden if self.hidden else visible

    def seed(self, number: int) -> int:
        """Return a seed that the other variant does not use."""
        return number + self.pick(0, 5_000)


@dataclass(frozen=True)
class Case:
    """One situation in which the answer is tried.

    Attributes:
        label: What is special about it, as the report says it.
        act: Tries the answer and tells an observer what it did. Every look at what the answer
            returned belongs in here, where an evil object can do no harm.
    """

    label: str
    act: Callable[[Observer], object]


@dataclass(frozen=True)
class Probe:
    """The probe of one exercise.

    Attributes:
        cases: Makes the cases for an answer and a setting.
        calls_losses: Whether the exercise may call losses written in earlier cells. Such an answer
            is run twice, with stand-ins for these losses and without.
    """

    cases: Callable[[Any, Setting], Iterable[Case]]
    calls_losses: bool = False


def unpacked(returned: Any, *names: str) -> Sequence[Any]:
    """Return the parts of what an answer returned.

    Raises:
        TypeError: If it is not a tuple or list of as many parts as there are names.
    """
    if not isinstance(returned, (tuple, list)) or len(returned) != len(names):
        is_series = isinstance(returned, (tuple, list))
        got = f"{len(returned)} values" if is_series else f"a {type(returned).__name__}"
        raise TypeError(
            f"Expected {len(names)} values to be returned ({', '.join(names)}), got {got}."
        )
    return returned
