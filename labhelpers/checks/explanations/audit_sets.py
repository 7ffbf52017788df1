"""What the rules of an audit read of two data sets: ranges, greys, overlaps, distances of items."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from labhelpers.checks.probes.planted import overlaps_of, scaled_slices

__all__ = ["Axes", "Sets", "Slices"]

Axes = tuple[int, ...]
#: How far rows are apart, from the differences of their values.
_APART: dict[str, Callable[[Tensor], Tensor]] = {
    "largest difference": lambda d: d.abs().amax(2),
    "mean difference": lambda d: d.abs().mean(2),
    "difference of means": lambda d: d.abs().amax(2),
    "correlation": lambda d: d.norm(dim=2),
}


class Sets:
    """A training and a test set, `(N, 2, 64, 64)` each, and what the rules read of them."""

    def __init__(self, train: Tensor, test: Tensor) -> None:
        self.parts = (train, test)

    @cached_property
    def slices(self) -> tuple[Slices, Slices]:
        """The slices of each set."""
        return Slices(self.parts[0]), Slices(self.parts[1])

    @cached_property
    def both(self) -> Slices:
        """The slices of both sets together."""
        return Slices(torch.cat(self.parts))

    def distances(
        self, one: int, other: int, axes: tuple[Axes, Axes], crossed: bool, how: str
    ) -> Tensor:
        """Return how far the items of two sets are apart.

        Args:
            one: Number of the set whose items are mirrored.
            other: Number of the other one.
            axes: Image axes along which the T1-w slice is mirrored, and the T2-w slice.
            crossed: Whether each slice is compared with the other contrast.
            how: By their `largest difference`, `mean difference`, `difference of means` or
                `correlation` (the distance of the slices when each is centred, of length 1).

        Returns:
            A tensor `(2, N, M)`: T1-w or T2-w slice, two items.
        """
        key = (one, other, axes, crossed, how)
        if key not in self._distances:
            (first, bad), (second, other_bad) = self._clean[one], self._clean[other]
            turned = [x.flip(along) for x, along in zip(first, axes, strict=True)]
            first = torch.stack(turned).flatten(2)
            if crossed:
                second, other_bad = second.flip(0), other_bad.flip(0)
            clean = [first, second.flatten(2)]
            if how == "difference of means":
                clean = [x.double().mean(2, keepdim=True) for x in clean]
            if how == "correlation":
                clean = [normalize(x - x.mean(2, keepdim=True), dim=2) for x in clean]
            apart = torch.stack([_APART[how](clean[0] - x[:, None]) for x in clean[1].unbind(1)], 2)
            self._distances[key] = apart.masked_fill(
                bad[:, :, None] | other_bad[:, None], torch.inf
            )
        return self._distances[key]

    @cached_property
    def _clean(self) -> list[tuple[Tensor, Tensor]]:
        """T1-w and T2-w slices of each set, 0 for what is not finite, and which hold such."""
        parts = [part.transpose(0, 1) for part in self.parts]
        return [(x.nan_to_num(0, 0, 0), ~(x.abs() < torch.inf).flatten(2).all(2)) for x in parts]

    @cached_property
    def _distances(self) -> dict[tuple[Any, ...], Tensor]:
        return {}


class Slices:
    """What the rules read of the slices of a set; `(N, 2)` where nothing else is said."""

    def __init__(self, x: Tensor) -> None:
        self.x = x

    @cached_property
    def flat(self) -> Tensor:
        """The slices as rows of voxels, `(N, 2, V)`."""
        return self.x.flatten(2)

    @cached_property
    def finite(self) -> Tensor:
        """Which voxels are finite, `(N, 2, V)`."""
        return self.flat.abs() < torch.inf

    @cached_property
    def nan(self) -> Tensor:
        """Which voxels are NaN, `(N, 2, V)`."""
        return self.flat.isnan()

    @cached_property
    def has_nan(self) -> Tensor:
        """Which slices hold NaN."""
        return self.nan.any(2)

    @cached_property
    def has_inf(self) -> Tensor:
        """Which slices hold infinity."""
        return (self.flat == torch.inf).any(2)

    @cached_property
    def has_minus_inf(self) -> Tensor:
        """Which slices hold minus infinity."""
        return (self.flat == -torch.inf).any(2)

    def ends(self, counted: Tensor) -> Tensor:
        """Return the smallest and the largest of the values that count, `(2, N, 2)`."""
        low = torch.where(counted, self.flat, torch.inf).amin(2)
        high = torch.where(counted, self.flat, -torch.inf).amax(2)
        return torch.stack((low, high))

    @cached_property
    def ends_of_finite(self) -> Tensor:
        """The ends of the finite values, see `ends`."""
        return self.ends(self.finite)

    @cached_property
    def ends_but_nan(self) -> Tensor:
        """The ends of all values but NaN, see `ends`."""
        return self.ends(~self.nan)

    @cached_property
    def ends_of_all(self) -> Tensor:
        """The ends of all values, NaN where a slice holds NaN, see `ends`."""
        return torch.where(self.has_nan, torch.nan, self.ends_but_nan)

    @cached_property
    def ends_without_bad_slices(self) -> Tensor:
        """The ends of the values, NaN where one of a slice is not finite, see `ends`."""
        return torch.where(self.finite.all(2), self.ends_of_finite, torch.nan)

    @cached_property
    def scaled(self) -> Tensor:
        """What `anatomy.scaled` gives of each slice."""
        return scaled_slices(self.x)

    @cached_property
    def greys(self) -> Tensor:
        """What `middle_grey` gives."""
        middle = self.scaled[..., 20:44, 20:44].flatten(2)
        return middle.median(2).values / middle.quantile(0.99, dim=2)

    @cached_property
    def means(self) -> Tensor:
        """The mean of each slice."""
        return self.flat.mean(2)

    @cached_property
    def means_of_finite(self) -> Tensor:
        """The mean of the finite values of each slice."""
        return torch.where(self.finite, self.flat, torch.nan).nanmean(2)

    @cached_property
    def medians(self) -> Tensor:
        """The median of the finite values of each slice."""
        return torch.where(self.finite, self.flat, torch.nan).nanmedian(2).values

    @cached_property
    def deviations(self) -> Tensor:
        """The standard deviation of the finite values of each slice."""
        spread = torch.where(self.finite, self.flat - self.means_of_finite[..., None], torch.nan)
        return spread.square().nanmean(2).sqrt()

    @cached_property
    def _middle(self) -> Tensor:
        middle = self.x[:, :, 20:44, 20:44].flatten(2)
        return torch.where(middle.isfinite(), middle, torch.nan)

    @cached_property
    def middle_means(self) -> Tensor:
        """The mean of the finite values in the middle of each slice."""
        return self._middle.nanmean(2)

    @cached_property
    def middle_medians(self) -> Tensor:
        """The median of the finite values in the middle of each slice."""
        return self._middle.nanmedian(2).values

    @cached_property
    def scaled_means(self) -> Tensor:
        """The mean of each slice, scaled to [0, 1]."""
        return self.scaled.flatten(2).mean(2)

    @cached_property
    def scaled_middle_means(self) -> Tensor:
        """The mean of the middle of each slice, scaled to [0, 1]."""
        return self.scaled[..., 20:44, 20:44].flatten(2).mean(2)

    @cached_property
    def overlaps(self) -> Tensor:
        """The overlap of each T1-w slice with each T2-w slice, `(N, N)`."""
        return overlaps_of(self.x)

    @cached_property
    def own(self) -> Tensor:
        """The overlap of the two slices of each item, `(N,)`."""
        return self.overlaps.diagonal()

    def neighbours(self, shift: int) -> Tensor:
        """Return the overlap of each T1-w slice with the T2-w slice of a neighbour, `(N,)`."""
        return self.overlaps.roll(shift, dims=1).diagonal()
