"""Say what a fault would have shown in the curves and slices of a case, and what they show."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from labhelpers.clinic import CASES, case_marks, load_case

__all__ = ["missing_sign", "telling_sign"]

_NEAR = 0.2  # relative difference of two curves that end alike
_SMALL = 0.2  # up to here three decimals are told
_RIM = 6  # voxels that a slice may be moved by and is still recognised
_CORNER = 3  # voxels: air in every head


class _Case:
    """The curves and slices of a case, with what they are compared with."""

    def __init__(self, letter: str) -> None:
        (self.method,) = (method for method, letters in CASES.items() if letter in letters)
        self.curves, self.slices = load_case(letter)
        self.healthy = load_case(f"healthy {self.method}")[0]
        self.marks = case_marks(self.method)
        self.is_pair = self.method == "cgan"
        self.guess = math.log(2) * (1 if self.is_pair else 2)

    @property
    def judge(self) -> pd.Series:
        """The loss of the discriminator or discriminators."""
        return self.curves.iloc[:, 0]

    def last(self, place: int) -> float:
        """Where a curve ends: the adversarial losses come first, the test error last."""
        return float(self.curves.iloc[-1, place])

    def change(self, place: int) -> float:
        """How many times as high as in the healthy training a curve ends."""
        return self.last(place) / float(self.healthy.iloc[-1, place])

    def is_healthy(self, *places: int) -> bool:
        """Return True if curves end near the dotted ones."""
        return all(abs(self.change(place) - 1) < _NEAR for place in places)

    def ends(self, *places: int) -> str:
        """Say where curves end, and where the dotted ones do."""
        names = " and ".join(f'"{self.curves.columns[place]}"' for place in places)
        yours, dotted = (
            " and ".join(_number(frame.iloc[-1, place]) for place in places)
            for frame in (self.curves, self.healthy)
        )
        many = len(places) > 1
        return (
            f"Here {names} {'end' if many else 'ends'} at {yours}, the dotted "
            f"{'curves' if many else 'curve'} at {dotted}."
        )

    def differs(self) -> str:
        """Say where the curve ends that is farthest from its dotted one."""
        places = range(len(self.curves.columns))
        return self.ends(max(places, key=lambda place: abs(math.log(self.change(place)))))

    def loss_in(self, epoch: int) -> str:
        """Say how large the discriminators' loss is in an epoch."""
        return f"Here it is {self.judge[epoch]:.2f} in epoch {epoch}."

    @property
    def farthest(self) -> int:
        """The epoch in which the discriminators' loss is farthest from guessing."""
        return int((self.judge - self.guess).abs().idxmax())

    @property
    def moved(self) -> bool:
        """Whether the edges of the generated slices lie beside those of the true ones."""
        made, true = self.slices["fake_t2"], self.slices["real_t2"]
        steps = range(1 - _RIM, _RIM)
        fits = {
            (y, x): _likeness(made, true.roll((y, x), (-2, -1))) for y, x in product(steps, steps)
        }
        return max(fits, key=lambda step: fits[step]) != (0, 0)

    @property
    def air(self) -> float:
        """The mean value of the air around the generated heads."""
        return self.air_in("fake_t2")

    def air_in(self, name: str) -> float:
        """Return the mean value of the air around the heads of some slices."""
        return float(self.slices[name][..., :_CORNER, :_CORNER].mean())


class _Sign(NamedTuple):
    """What a fault shows.

    Attributes:
        text: What it is, as a sentence.
        shows: Whether a case has it.
        instead: What the case has, where it is not that.
    """

    text: Callable[[_Case], str]
    shows: Callable[[_Case], bool]
    instead: Callable[[_Case], str]


class _Apart(NamedTuple):
    """What sets a training apart from the healthy one.

    Attributes:
        holds: Whether it is so in a case.
        text: Which question of the lesson asks for it, and what is seen, as sentences.
    """

    holds: Callable[[_Case], bool]
    text: Callable[[_Case], str]


def _likeness(one: Tensor, other: Tensor) -> float:
    """Return how closely the inner parts of slices follow each other, or each other's negative."""
    inside = slice(_RIM, -_RIM)
    parts = torch.stack([x[..., inside, inside].flatten() for x in (one, other)])
    return float(torch.corrcoef(parts)[0, 1].abs())


def _number(value: float) -> str:
    return f"{value:.2f}" if value > _SMALL else f"{value:.3f}"


def _line(case: _Case) -> str:
    return f"ln 2 = {case.guess:.2f}" if case.is_pair else f"2 ln 2 = {case.guess:.2f}"


_AS_HEALTHY = "Such a fault would leave all curves where the dotted ones are."

# The places of curves: 0 and 1 are the adversarial losses, 2 is the training error of pairs and the
# cycle error of a CycleGAN, -1 is the test error.
_OF_ALL: dict[str, list[_Sign]] = {
    "labels exchanged": [
        _Sign(
            lambda _: (
                "With exchanged labels the networks agree which slices to call what, and both "
                "adversarial losses go to zero."
            ),
            lambda case: max(case.last(0), case.last(1)) < 0.1,
            lambda case: case.ends(0, 1),
        )
    ],
    "discriminator is blind": [
        _Sign(
            lambda case: (
                "A discriminator that does not see the slice can only guess: its loss "
                f"would stay at the line {_line(case)}."
            ),
            lambda case: abs(case.judge[case.farthest] / case.guess - 1) < 0.05,
            lambda case: case.loss_in(case.farthest),
        )
    ],
    "discriminator never learns": [
        _Sign(
            lambda case: (
                "A discriminator that never learns does no better than guessing: its "
                f"loss would not fall far below the line {_line(case)}."
            ),
            lambda case: case.judge.min() > 0.95 * case.guess,
            lambda case: case.loss_in(int(case.judge.idxmin())),
        )
    ],
    "generated slices not detached": [
        _Sign(
            lambda _: (
                "The generator would help the discriminator against itself: the "
                "discriminator's loss would end far below its dotted curve, the generator's "
                "adversarial loss far above."
            ),
            lambda case: case.change(0) < 0.5 and case.change(1) > 1.5,
            lambda case: case.ends(0, 1),
        )
    ],
    "test subjects in the training set": [
        _Sign(
            lambda _: (
                "A generator that has learnt from the test subjects errs less on them than "
                "that of the healthy training."
            ),
            lambda case: case.change(-1) < 0.85,
            lambda case: case.ends(-1),
        )
    ],
    "contrast inverted": [
        _Sign(
            lambda _: (
                "With black and white exchanged, the air around the generated heads would be white."
            ),
            lambda case: case.air > 0,
            lambda _: "Here it is black, as in the true slices.",
        )
    ],
}
_OF_PAIRS: dict[str, list[_Sign]] = {
    "T2-w slices shifted": [
        _Sign(
            lambda _: (
                "A shift can be learnt: the training error falls as in the healthy training, "
                "and the error on test slices, which are in their place, does not."
            ),
            lambda case: case.is_healthy(2) and case.change(-1) > 1.5,
            lambda case: case.ends(2, -1),
        )
    ],
    "pairs mixed up": [
        _Sign(
            lambda case: (
                "A generator that never sees a slice beside its partner does not get far below "
                f"the error of the mean slice, {case.marks['mean_slice']:.3f}, in training either."
            ),
            lambda case: case.last(2) > 0.9 * case.marks["mean_slice"],
            lambda case: case.ends(2),
        ),
        _Sign(
            lambda _: "Mixed pairs leave the adversarial losses close to the dotted curves.",
            lambda case: case.is_healthy(0, 1),
            lambda case: case.ends(0, 1),
        ),
    ],
    "always the same T2-w slice": [
        _Sign(
            lambda _: (
                "One slice for all is soon known by heart: the training error would fall far "
                "below its dotted curve."
            ),
            lambda case: case.change(2) < 0.7,
            lambda case: case.ends(2),
        )
    ],
    "compared with another person": [
        _Sign(
            lambda _: (
                "In this program no slice returns: each generated slice is compared at once. "
                + _AS_HEALTHY
            ),
            lambda _: False,
            _Case.differs,
        )
    ],
}
_OF_CYCLES: dict[str, list[_Sign]] = {
    "always the same T2-w slice": [
        _Sign(
            lambda _: (
                "One slice for all is soon known by heart, so whatever differs from it is found "
                "out: the discriminators' loss would fall far below its dotted curve."
            ),
            lambda case: case.change(0) < 0.85,
            lambda case: case.ends(0),
        )
    ],
    "T2-w slices shifted": [
        _Sign(
            lambda _: "Generated slices would lie beside the true ones, all by the same step.",
            lambda case: case.moved,
            lambda _: "Here their edges lie where those of the true ones do.",
        )
    ],
    "pairs mixed up": [
        _Sign(
            lambda _: (
                "This program has no pairs: T1-w and T2-w slices are of different people in "
                "the healthy training, too. " + _AS_HEALTHY
            ),
            lambda _: False,
            _Case.differs,
        )
    ],
    "compared with another person": [
        _Sign(
            lambda case: (
                "Slices of two people never become equal: the cycle error would stay near "
                f'the line "two people", {case.marks["two_people"]:.2f}.'
            ),
            lambda case: case.last(2) > 0.9 * case.marks["two_people"],
            lambda case: case.ends(2),
        )
    ],
}

#: In the order of the questions of the lesson. None of them says which fault shows itself so.
_APART_OF_PAIRS = [
    _Apart(
        lambda case: max(case.last(0), case.last(1)) < 0.1,
        lambda case: (
            f"Question 1 decides: both adversarial losses end near zero ({_number(case.last(0))} "
            f"and {_number(case.last(1))}), and opponents cannot both win."
        ),
    ),
    _Apart(
        lambda case: case.change(0) < 0.5 and case.change(1) > 1.5,
        lambda case: (
            f"Question 1 decides: the discriminator's loss ends at {_number(case.last(0))}, far "
            "below its dotted curve, and the generator's adversarial loss at "
            f"{_number(case.last(1))}, far above. Whose aim does the generator serve?"
        ),
    ),
    _Apart(
        lambda case: case.is_healthy(0, 1, 2) and case.change(-1) > 1.5,
        lambda case: (
            'Questions 2 and 4 decide: of the four curves only "test error" ends away from '
            f"its dotted one, {case.change(-1):.1f} times as high. On which side of an edge are "
            "the errors of the slices red, on which blue?"
        ),
    ),
    _Apart(
        lambda case: case.is_healthy(0, 1, 2) and case.change(-1) < 0.85,
        lambda case: (
            f"Question 2 decides: training and test error end at {_number(case.last(2))} and "
            f"{_number(case.last(-1))}, in the healthy training at "
            f"{_number(case.healthy.iloc[-1, 2])} and {_number(case.healthy.iloc[-1, -1])}."
        ),
    ),
]
_APART_OF_CYCLES = [
    _Apart(
        lambda case: case.judge.min() > 1.05 * case.guess,
        lambda case: (
            "Question 1 decides: the discriminators' loss is above the line "
            f"{_line(case)} in every epoch ({case.judge.min():.2f} at least), worse than guessing."
        ),
    ),
    _Apart(
        lambda case: case.is_healthy(0, 1, -1) and case.change(2) > 1.2,
        lambda case: (
            f'Question 2 decides: of the four curves only "cycle error" ends away from its '
            f"dotted one, {_number(case.last(2))} against {_number(case.healthy.iloc[-1, 2])}. The "
            f'line "two people" is at {case.marks["two_people"]:.2f}.'
        ),
    ),
    _Apart(
        lambda case: case.is_healthy(0, 1, 2) and case.air > 0,
        lambda case: (
            "Question 4 decides: the losses end near their dotted curves, and the air around the "
            f"generated heads has the mean value {case.air:.2f}, that around the true ones "
            f"{case.air_in('real_t2'):.2f}."
        ),
    ),
]


@lru_cache
def telling_sign(letter: str) -> str:
    """Return what sets a case apart from the healthy training, "" if nothing that is known."""
    case = _Case(letter)
    apart = _APART_OF_PAIRS if case.is_pair else _APART_OF_CYCLES
    return next((one.text(case) for one in apart if one.holds(case)), "")


@lru_cache
def missing_sign(letter: str, fault: str) -> str:
    """Return what a fault would have shown and what a case shows instead, "" if it shows it all.

    Args:
        letter: The case.
        fault: A name of `labhelpers.clinic.FAULTS`.
    """
    case = _Case(letter)
    signs: Sequence[_Sign] = (_OF_ALL | (_OF_PAIRS if case.is_pair else _OF_CYCLES))[fault]
    return next(
        (f"{sign.text(case)} {sign.instead(case)}" for sign in signs if not sign.shows(case)), ""
    )
