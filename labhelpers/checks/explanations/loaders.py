"""Tell which subjects the loaders show, in which batches, and in which order."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from itertools import chain, product
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from labhelpers.checks.cases import Setting, unpacked
from labhelpers.checks.explanations.fits import (
    ORIENTATIONS,
    VOXELS,
    fitted,
)
from labhelpers.checks.fixtures import split_numbers
from labhelpers.checks.probes import data as probes
from labhelpers.checks.records import Explanation, Run, explained
from labhelpers.data import IXIDataset

__all__ = ["make_dataloaders"]


class _Loaders(NamedTuple):
    """What two loaders showed: subjects by number, batch by batch, in each of some epochs."""

    train: list[list[list[int]]]
    test: list[list[list[int]]]


def make_dataloaders(answer: Any, runs: list[Run]) -> Explanation | None:
    """Tell which subjects the loaders show, in which batches and in which order."""
    setting = Setting()
    n_subjects = probes.n_subjects(setting)
    parts = dict(zip(("training", "test"), split_numbers(n_subjects), strict=True))
    seen = {}
    with tempfile.TemporaryDirectory() as folder:
        probes.write_slices(Path(folder), setting)
        for size in (8, 40, 3):
            options = {} if size == 40 else {"batch_size": size}
            loaders = unpacked(answer(Path(folder), **options), "training loader", "test loader")
            sentences = _images_in_words(next(iter(loaders[1])), Path(folder))
            if sentences:
                return explained(sentences, _LOADER_ITEMS)
            read = [[probes.read(loader) for _ in range(3)] for loader in loaders]
            numbers = probes.numbers_of_codes(setting)
            decoded = [[probes.decoded(epoch, numbers) for epoch in epochs] for epochs in read]
            train, test = ([epoch for epoch in epochs if epoch is not None] for epochs in decoded)
            if len(train) < 3 or len(test) < 3:
                return None
            seen[size] = _Loaders(train, test)
    if exchanged := _exchanged(seen, parts):
        return explained([exchanged], _LOADER_ITEMS)
    sentences = [*_part_in_words("training", seen, parts), *_part_in_words("test", seen, parts)]
    return explained(sentences, _LOADER_ITEMS)


_LOADER_ITEMS = [
    *("train-batches", "train-subjects", "train-shuffled", "test-batches", "test-order", "images"),
]


def _images_in_words(batch: dict[str, Tensor], folder: Path) -> list[str]:
    """Return in a sentence what was done to the slices of the files, nothing if they are there."""
    files = {
        name: torch.cat([getattr(IXIDataset(folder, mode), name) for mode in ("train", "test")])
        for name in ("t1", "t2")
    }
    for name in ("t1", "t2"):
        image = probes.as_tensor(batch[name.upper()])[0].reshape(-1, *VOXELS)[0].double()
        ways = []
        for source, orientation in product(files, ORIENTATIONS):
            turned = ORIENTATIONS[orientation](image).reshape(1, -1)
            slices = files[source].reshape(len(files[source]), -1).double()
            likeness = torch.corrcoef(torch.cat((turned, slices)))[0, 1:].nan_to_num().abs()
            own = slices[likeness.argmax()]
            pair = fitted(torch.stack((own, torch.ones_like(own))), turned[0])
            if pair is not None and likeness.max() > 0.99:
                scale, offset = pair.tolist()
                is_same = abs(scale - 1) < 1e-4 and abs(offset) < 1e-4
                moved = (
                    ""
                    if is_same
                    else f"{scale:.4g} times the values in the files, plus {offset:.4g}"
                )
                from_other = f"taken from the {source.upper()} files" if source != name else ""
                ways.append([part for part in (from_other, orientation, moved) if part])
        if not ways:
            return ["The test loader shows slices that are not in the folder `root`."]
        shortest = min(ways, key=len)
        if words := ", ".join(shortest):
            asked = "Asked for: the slices as they are in the files."
            return [f'The slices of batch["{name.upper()}"] are {words}. {asked}']
    return []


def _flat(batches: Iterable[list[int]]) -> list[int]:
    return [*chain.from_iterable(batches)]


def _exchanged(seen: dict[int, _Loaders], parts: dict[str, list[int]]) -> str:
    """Return in a sentence that the loaders come in the other order, "" if they do not."""
    is_so = all(
        {*_flat(two.train[0])} == {*parts["test"]}
        and {*_flat(two.test[0])} == {*parts["training"]}
        and len(two.train[0][0]) == 5
        and two.train[0] == two.train[1]
        for two in seen.values()
    )
    text = "The loaders are returned in the other order. Asked for: (train_loader, test_loader)."
    return text if is_so else ""


def _part_in_words(
    part: str, seen: dict[int, _Loaders], parts: dict[str, list[int]]
) -> Iterator[str]:
    """Yield a sentence for each thing that is wrong with one of the loaders."""
    epochs = {size: two.train if part == "training" else two.test for size, two in seen.items()}
    subjects, other = parts[part], parts["test" if part == "training" else "training"]
    name = f"The {part} loader"
    if not epochs[8][1]:  # it can be read once only
        return
    yield from _batches_in_words(part, name, epochs, subjects)
    first = _flat(epochs[8][0])
    if probes.MIXED in first:
        yield f"{name} shows T1-w and T2-w slices of different subjects side by side."
        return
    asked = f"Asked for: each of the {len(subjects)} {part} subjects once"
    mine, theirs = {*first} & {*subjects}, {*first} & {*other}
    if theirs:
        who = "training" if part == "test" else "test"
        also = f"{len(mine)} of the {len(subjects)} {part} subjects and " if mine else ""
        yield f"{name} shows {also}{len(theirs)} of the {len(other)} {who} subjects. {asked}."
    elif len(first) > len({*first}):
        most = max(first.count(number) for number in first)
        yield (
            f"{name} shows {len(mine)} different subjects in an epoch, some of them up to {most} "
            f"times. {asked}."
        )
    elif len(mine) < len(subjects) and not _is_cut(epochs[8][0], subjects):
        order = [number for number in subjects if number in mine]
        which = f"{len(order)}"
        if len(epochs[8][0]) == 1:
            which += " (a single batch)"
        elif order == subjects[: len(order)]:
            which = f"the first {which}"
        elif order == subjects[-len(order) :]:
            which = f"the last {which}"
        elif order in (subjects[::2], subjects[1::2]):
            which += " (every second)"
        yield f"{name} shows {which} of the {len(subjects)} subjects. {asked}."
        return
    yield from _order_in_words(part, name, epochs[8], subjects)


def _is_cut(batches: list[list[int]], subjects: list[int]) -> bool:
    """Return True if subjects are missing because the last, smaller batch is."""
    size, shown = len(batches[0]), _flat(batches)
    is_own = {*shown} <= {*subjects}
    return (
        is_own and len(batches) > 1 and len(shown) == len(subjects) // size * size < len(subjects)
    )


def _batches_in_words(
    part: str, name: str, epochs: dict[int, list[list[list[int]]]], subjects: list[int]
) -> Iterator[str]:
    sizes = {size: len(read[0][0]) for size, read in epochs.items()}
    wanted = {size: size if part == "training" else 5 for size in sizes}
    # A loader that shows fewer subjects has no larger batch.
    wanted = {size: min(most, len(_flat(epochs[size][0]))) for size, most in wanted.items()}
    asked = "batch_size, 40 by default" if part == "training" else "5, whatever batch_size is"
    if sizes != wanted:
        by_size = (
            f"{sizes[8]} for batch_size=8, of {sizes[3]} for batch_size=3 and of {sizes[40]} by "
            "default"
            if len({*sizes.values()}) > 1
            else f"{sizes[8]}, whatever batch_size is"
        )
        yield f"{name} makes batches of {by_size}. Asked for: {asked}."
    read = epochs[8][0]
    if _is_cut(read, subjects):
        missing = len(subjects) - sum(map(len, read))
        yield (
            f"{name} leaves out the last, smaller batch: {missing} of the {len(subjects)} subjects "
            "are missing. Asked for: no sample is dropped."
        )
    elif len({*map(len, read[:-1])}) > 1:
        yield f"{name} makes batches of different sizes: {', '.join(map(str, map(len, read)))}."


def _order_in_words(
    part: str, name: str, batches: list[list[list[int]]], subjects: list[int]
) -> Iterator[str]:
    epochs = [_flat(epoch) for epoch in batches]
    places = {number: place for place, number in enumerate(subjects)}
    orders = [[places.get(number, -1) for number in epoch] for epoch in epochs]
    if -1 in orders[0]:
        return
    is_fixed = all(order == orders[0] for order in orders)
    if part == "training" and is_fixed:
        which = (
            "in the order of the data set" if orders[0] == sorted(orders[0]) else "in another order"
        )
        yield f"{name} shows them {which}, the same in every epoch. Asked for: shuffled anew."
    elif part == "training" and probes.keeps_batches(batches):
        yield (
            f"{name} shuffles within a batch only: each batch holds the same subjects in every "
            "epoch. Asked for: an order drawn anew from all training subjects."
        )
    elif part == "test" and not is_fixed:
        yield f"{name} shuffles anew in every epoch. Asked for: the order of the data set."
    elif part == "test" and orders[0] != sorted(orders[0]):
        which = (
            "the reverse of that"
            if orders[0] == sorted(orders[0])[::-1]
            else "another one than that"
        )
        yield (
            f"{name} has the same order in every epoch, but {which} of the data set. "
            "Asked for: the order of the data set."
        )
