"""Probes of notebook 1: loaders on a temporary folder, statistics on small data sets."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from labhelpers.checks.cases import Case, Log, Setting, unpacked
from labhelpers.checks.fixtures import (
    make_dataset,
    split_numbers,
    subject_numbers,
    write_folder,
)

__all__ = ["intensity_lookup", "intensity_statistics", "make_dataloaders", "mean_image"]

_MIXED = -1
_MOST_BATCHES = 200  # more than any loader of the folder has; ends a loader that never ends


def make_dataloaders(answer: Any, setting: Setting) -> Iterator[Case]:
    """Make loaders with a batch size and without, and read them to the end."""
    n_subjects = setting.choose(53, 57)  # 42 or 45 to train, 11 or 12 to test: no size divides them
    batch_size = setting.choose(8, 7)

    def act(log: Log, **options: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            write_folder(Path(folder), n_subjects, setting.seed(100))
            train, test = split_numbers(n_subjects)
            returned = answer(Path(folder), **options)
            train_loader, test_loader = unpacked(returned, "training loader", "test loader")
            _log_test(test_loader, train, test, log)
            _log_train(train_loader, train, test, log)

    yield Case(f"batch_size={batch_size}", partial(act, batch_size=batch_size))
    yield Case("default batch size", act)


def _log_train(
    loader: Iterable[dict[str, Tensor]], train: list[int], test: list[int], log: Log
) -> None:
    batches = _read(loader)
    epochs = [list(chain(*epoch)) for epoch in (batches, _read(loader), _read(loader))]
    first = epochs[0]
    log("train-batches", [len(batch) for batch in batches])
    log("train-subjects", [_who(epoch, train, test) for epoch in epochs])
    if len(set(map(tuple, epochs))) == len(epochs):
        order = "another order in every epoch"
    elif first in (train[: len(first)], test[: len(first)]):
        order = "the order of the data set in every epoch"
    else:
        order = "a shuffled order that comes back"
    log("train-shuffled", order)


def _log_test(
    loader: Iterable[dict[str, Tensor]], train: list[int], test: list[int], log: Log
) -> None:
    batches = _read(loader)
    subjects = list(chain(*batches))
    log("test-batches", [len(batch) for batch in batches])
    in_order = subjects in (train[: len(subjects)], test[: len(subjects)])
    order = "in the order of the data set" if in_order else "in another order"
    log("test-order", f"{_who(subjects, train, test)}, {order}")
    batch = next(iter(loader))
    log("images", [_as_tensor(batch[modality]).double() for modality in ("T1", "T2")])


def _who(subjects: list[int], train: list[int], test: list[int]) -> str:
    """Return in words which subjects a loader showed in an epoch, whatever the order."""
    if _MIXED in subjects:
        return "T1 and T2 of different subjects"
    parts = {"training subjects": train, "test subjects": test, "subjects": train + test}
    for name, part in parts.items():
        if set(subjects) <= set(part):
            if len(set(subjects)) < len(subjects):
                return f"{name}, some of them more than once"
            if len(subjects) == len(part):
                return f"all {name}, once each"
            return f"{len(subjects)} of the {len(part)} {name}, once each"
    return "subjects that are not in the folder"


def _read(loader: Iterable[dict[str, Tensor]]) -> list[list[int]]:
    """List the subjects of each batch; a pair of two different subjects counts as `_MIXED`."""
    batches = []
    for batch in islice(iter(loader), _MOST_BATCHES):
        t1, t2 = (_as_tensor(batch[modality]) for modality in ("T1", "T2"))
        if t1.ndim != 4 or t2.ndim != 4:
            raise TypeError(
                "Expected batches with T1 and T2 of shape (N, 1, 64, 64), "
                f"got {tuple(t1.shape)} and {tuple(t2.shape)}."
            )
        pairs = zip(subject_numbers(t1), subject_numbers(t2), strict=True)
        batches.append([a if a == b else _MIXED for a, b in pairs])
    return batches


def intensity_statistics(answer: Any, setting: Setting) -> Iterator[Case]:
    """Take the statistics of three data sets in which subjects differ."""

    def look(table: Any, log: Log) -> None:
        if not isinstance(table, pd.DataFrame):
            log("layout", f"a {type(table).__name__}")
            return
        columns = ("min", "max", "mean", "std")
        in_rows = set(columns) <= set(table.index) and not set(columns) <= set(table.columns)
        log("layout", "a DataFrame with the statistics as rows" if in_rows else "a DataFrame")
        if in_rows:
            table = table.T
        for column in columns:
            cells = [table.loc[modality, column] for modality in ("T1", "T2")]
            log(column, torch.tensor([float(cell) for cell in cells], dtype=torch.float64))

    yield from _on_datasets(answer, setting, look, larger=True)


def mean_image(answer: Any, setting: Setting) -> Iterator[Case]:
    """Average the T2-w slices of three data sets."""

    def look(image: Any, log: Log) -> None:
        log("shape", _kind(image))
        log("values", _as_tensor(image).reshape(-1).double())

    yield from _on_datasets(answer, setting, look, larger=True)


def intensity_lookup(answer: Any, setting: Setting) -> Iterator[Case]:
    """Fit lookups with the default number of bins and with another one."""
    other = setting.choose(10, 20)

    def look(lookup: Any, log: Log) -> None:
        log("shape", _kind(lookup))
        table = _as_tensor(lookup).reshape(-1).double()
        n_bins = len(table)
        # The data sets leave this part of the range of T1 empty, see fixtures.EMPTY.
        empty = slice(n_bins * 6 // 10, n_bins * 7 // 10)
        log("empty-bins", table[empty])
        log("inner-bins", torch.cat((table[1 : empty.start], table[empty.stop : -1])))
        log("end-bins", table[[0, -1]])

    yield from _on_datasets(answer, setting, look)
    for case in _on_datasets(answer, setting, look, n_bins=other):
        yield Case(f"{case.label}, n_bins={other}", case.act)


def _on_datasets(
    answer: Callable[..., Any],
    setting: Setting,
    look: Callable[[Any, Log], None],
    larger: bool = False,
    **options: int,
) -> Iterator[Case]:
    """Call the answer on three data sets, look at the result, then at the data set itself.

    Args:
        answer: Function of a data set.
        setting: Sizes, seeds and number type.
        look: Logs what the answer returned.
        larger: Take one data set of more subjects than two batches hold, so that a mean of the
            means of batches shows. Their number is a prime: no size of batches divides it.
        options: Further arguments of the answer.
    """
    few, many = setting.choose((7, 83), (5, 89))
    n_second = many if larger else 3

    def act(log: Log, n_subjects: int, seed: int, extremes: bool = True) -> None:
        dataset = make_dataset(n_subjects, setting.seed(seed), setting.dtype, extremes)
        before = dataset.t1.clone(), dataset.t2.clone()
        look(answer(dataset, **options), log)
        after = dataset.t1, dataset.t2
        log("untouched", all(map(torch.equal, before, after)))

    yield Case(f"{few} subjects", partial(act, n_subjects=few, seed=20))
    yield Case(f"{n_second} subjects", partial(act, n_subjects=n_second, seed=21))
    within = partial(act, n_subjects=4, seed=24, extremes=False)
    yield Case("no subject reaches -1 or 1", within)


def _kind(value: Any) -> str:
    shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
    name = "Tensor" if isinstance(value, Tensor) else type(value).__name__
    return f"a {name}{shape}"


def _as_tensor(value: Any) -> Tensor:
    """Return the numbers of a tensor or array as a tensor on the CPU, without a graph."""
    return torch.as_tensor(value).detach().cpu()
