"""Probes of notebook 1: loaders on a temporary folder, statistics on stand-in data sets."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from labhelpers.checks.probing import Case, Observer, Setting, unpacked
from labhelpers.checks.stand_ins import make_dataset, subject_numbers, write_folder

__all__ = ["intensity_lookup", "intensity_statistics", "make_dataloaders", "mean_image"]

_MOST_BATCHES = 200  # more than any loader of the folder has; ends a loader that never ends


def make_dataloaders(answer: Any, setting: Setting) -> Iterator[Case]:
    """Make loaders with a batch size and without, and read two epochs of each."""
    n_subjects = setting.pick(53, 57)  # 42 or 45 to train, 11 or 12 to test: no size divides them
    batch_size = setting.pick(8, 7)

    def try_with(observer: Observer, **options: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            write_folder(Path(folder), n_subjects, setting.seed(100))
            returned = answer(Path(folder), **options)
            train_loader, test_loader = unpacked(returned, "training loader", "test loader")
            _look_at_test(test_loader, observer)
            _look_at_train(train_loader, observer)

    def with_batch_size(observer: Observer) -> None:
        try_with(observer, batch_size=batch_size)

    yield Case(f"batch_size={batch_size}", with_batch_size)
    yield Case("default batch size", try_with)


def _look_at_train(loader: Iterable[dict[str, Tensor]], observer: Observer) -> None:
    first, second = _read(loader), _read(loader)
    observer("train-batches", [len(batch) for batch in first])
    observer("train-subjects", [sorted(chain(*epoch)) for epoch in (first, second)])
    # Reading in order of the data set is no shuffle either, but then both epochs are the same.
    observer("train-shuffled", list(chain(*first)) != list(chain(*second)))


def _look_at_test(loader: Iterable[dict[str, Tensor]], observer: Observer) -> None:
    batches = _read(loader)
    observer("test-batches", [len(batch) for batch in batches])
    observer("test-order", list(chain(*batches)))
    batch = next(iter(loader))
    observer("images", [_plain_tensor(batch[modality]).double() for modality in ("T1", "T2")])


def _read(loader: Iterable[dict[str, Tensor]]) -> list[list[int]]:
    """List the subjects of each batch; a pair of two different subjects counts as -1."""
    batches = []
    for batch in islice(iter(loader), _MOST_BATCHES):
        t1, t2 = (subject_numbers(_plain_tensor(batch[modality])) for modality in ("T1", "T2"))
        batches.append([a if a == b else -1 for a, b in zip(t1, t2, strict=True)])
    return batches


def intensity_statistics(answer: Any, setting: Setting) -> Iterator[Case]:
    """Take the statistics of two data sets in which subjects differ."""

    def look(table: Any, observer: Observer) -> None:
        if not isinstance(table, pd.DataFrame):
            observer("layout", f"a {type(table).__name__}")
            return
        columns = ("min", "max", "mean", "std")
        in_rows = set(columns) <= set(table.index) and not set(columns) <= set(table.columns)
        observer("layout", "a DataFrame with the statistics as rows" if in_rows else "a DataFrame")
        if in_rows:
            table = table.T
        for column in columns:
            cells = [table.loc[modality, column] for modality in ("T1", "T2")]
            observer(column, torch.tensor([float(cell) for cell in cells], dtype=torch.float64))

    yield from _on_datasets(answer, setting, look)


def mean_image(answer: Any, setting: Setting) -> Iterator[Case]:
    """Average the T2-w slices of two data sets."""

    def look(image: Any, observer: Observer) -> None:
        observer("shape", _kind(image))
        observer("values", _plain_tensor(image).reshape(-1).double())

    yield from _on_datasets(answer, setting, look)


def intensity_lookup(answer: Any, setting: Setting) -> Iterator[Case]:
    """Fit lookups with the default number of bins and with another one."""
    other = setting.pick(10, 20)

    def look(lookup: Any, observer: Observer) -> None:
        observer("shape", _kind(lookup))
        table = _plain_tensor(lookup).reshape(-1).double()
        n_bins = len(table)
        # The data sets leave this part of the range of T1 empty, see stand_ins.EMPTY.
        empty = slice(n_bins * 6 // 10, n_bins * 7 // 10)
        observer("empty-bins", table[empty])
        observer("inner-bins", torch.cat((table[1 : empty.start], table[empty.stop : -1])))
        observer("end-bins", table[[0, -1]])

    def with_bins(dataset: Any) -> Any:
        return answer(dataset, n_bins=other)

    yield from _on_datasets(answer, setting, look)
    for case in _on_datasets(with_bins, setting, look):
        yield Case(f"{case.label}, n_bins={other}", case.act)


def _on_datasets(
    answer: Callable[[Any], Any], setting: Setting, look: Callable[[Any, Observer], None]
) -> Iterator[Case]:
    """Call the answer on two data sets, look at the result, then at the data set itself."""
    for n_subjects, seed in setting.pick(((7, 20), (3, 21)), ((5, 22), (8, 23))):

        def act(observer: Observer, n_subjects: int = n_subjects, seed: int = seed) -> None:
            dataset = make_dataset(n_subjects, seed, setting.dtype)
            before = dataset.t1.clone(), dataset.t2.clone()
            look(answer(dataset), observer)
            after = dataset.t1, dataset.t2
            observer("untouched", all(map(torch.equal, before, after)))

        yield Case(f"{n_subjects} subjects", act)


def _kind(value: Any) -> str:
    shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
    name = "Tensor" if isinstance(value, Tensor) else type(value).__name__
    return f"a {name}{shape}"


def _plain_tensor(value: Any) -> Tensor:
    """Return the numbers of a tensor or array as a tensor that is no subclass."""
    with torch._C.DisableTorchFunctionSubclass():
        tensor = value if isinstance(value, Tensor) else torch.as_tensor(value)
        return tensor.detach().as_subclass(Tensor).cpu()
