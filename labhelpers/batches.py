"""Give the batches of a loader on the device where the networks are."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset, default_collate

from labhelpers.data import IXIDataset

__all__ = ["DeviceBatches", "mirrored"]


class DeviceBatches:
    """The batches of a loader, on a device.

    Slices that an `IXIDataset` holds in memory are copied to the device once, and each batch is
    picked there. Any other dataset is asked for its items every time.

    Used in the training functions of notebooks 2 to 4.

    Args:
        loader: Batches `{"T1": ..., "T2": ...}`.
        device: Where they are to be.
    """

    def __init__(self, loader: DataLoader, device: torch.device | str) -> None:
        self._loader, self._device = loader, device
        self._slices = _held_slices(loader)
        if self._slices is not None:
            self._slices = {name: slices.to(device) for name, slices in self._slices.items()}

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        """Yield the batches of one pass, in the loader's order."""
        if self._slices is None:
            for batch in self._loader:
                yield {name: slices.to(self._device) for name, slices in batch.items()}
            return
        for indices in self._loader.batch_sampler:
            chosen = torch.tensor(indices, device=self._device)
            yield {name: slices[chosen] for name, slices in self._slices.items()}


def _held_slices(loader: DataLoader) -> dict[str, Tensor] | None:
    """Return the slices from which a loader only chooses, or None if its items are made."""
    dataset, chosen = loader.dataset, slice(None)
    if isinstance(dataset, Subset):
        dataset, chosen = dataset.dataset, list(dataset.indices)
    only_chooses = loader.batch_sampler is not None and loader.collate_fn is default_collate
    if not (type(dataset) is IXIDataset and only_chooses):
        return None
    return {"T1": dataset.t1[chosen], "T2": dataset.t2[chosen]}


def mirrored(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Mirror half of the subjects left to right, chosen at random, T1-w and T2-w alike.

    Heads are nearly symmetric, so the mirror image of one is as good as that of another person;
    turned upside down it would not be.
    """
    slices = batch["T1"]
    chosen = (torch.rand(len(slices), 1, 1, 1) < 0.5).to(slices.device)
    return {name: torch.where(chosen, x.flip(-2), x) for name, x in batch.items()}
