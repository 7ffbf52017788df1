"""Probes of notebook 1: loaders on a temporary folder, baselines on small data sets."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from labhelpers.checks.cases import ERROR, PROOF, Case, Log, Setting, unpacked
from labhelpers.checks.fingerprint import observe, same
from labhelpers.checks.fixtures import (
    ALONE,
    EMPTY,
    codes_of,
    make_dataset,
    split_numbers,
    subject_codes,
    subject_slices,
    write_folder,
)
from labhelpers.checks.records import TOLERANCES, Observed
from labhelpers.data import IXIDataset

__all__ = [
    "MIXED",
    "STRANGE",
    "add_extremes",
    "as_tensor",
    "decoded",
    "intensity_lookup",
    "keeps_batches",
    "kept_by_shuffling",
    "make_dataloaders",
    "mean_image",
    "n_subjects",
    "numbers_of_codes",
    "read",
    "read_dataloaders",
    "write_slices",
]

_TEST, _TRAIN = "test-codes", "train-codes"  # what is logged of the loaders
_TEST_IMAGES, _TRAIN_IMAGES = "test-images", "train-images"
_FOLDER_SEED = 100
MIXED, STRANGE = -1, -2
# More than any loader of the folder has; they end a loader that never ends.
_MOST_BATCHES = 200
_MOST_PAIRS = 500
# Different codes that show that the files were read: one code in 18 is a subject's.
_LEAST_CODES = 5
_TEST_BATCH = 5
_LOG_CHANCE = math.log(1e-12)  # that a right shuffle is taken for a partial one, at most


def make_dataloaders(answer: Any, setting: Setting) -> Iterator[Case]:
    """Make loaders with a batch size and without, and read them to the end."""

    def act(log: Log, **options: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            if setting.folder:  # a copy, so that the answer finds each case alike
                shutil.copytree(setting.folder, folder, dirs_exist_ok=True)
            else:
                write_slices(Path(folder), setting)
            returned = answer(Path(folder), **options)
            train_loader, test_loader = unpacked(returned, "training loader", "test loader")
            log(_TEST, read(test_loader))
            log(_TRAIN, [read(train_loader) for _ in range(3)])
            for name, loader in ((_TEST_IMAGES, test_loader), (_TRAIN_IMAGES, train_loader)):
                batch = next(iter(loader))
                pair = [as_tensor(batch[modality]).double() for modality in ("T1", "T2")]
                log(name, [[codes_of(images), images] for images in pair])

    for label, batch_size in _batch_sizes(setting).items():
        is_default = label == _DEFAULT
        yield Case(label, act if is_default else partial(act, batch_size=batch_size))


_DEFAULT = "default batch size"


def _batch_sizes(setting: Setting) -> dict[str, int]:
    """Return the batch size of each case by its label, the last smaller than those of tests."""
    small = setting.choose(3, 2)
    size = setting.choose(8, 7)
    return {f"batch_size={size}": size, _DEFAULT: 40, f"batch_size={small}": small}


def write_slices(folder: Path, setting: Setting) -> None:
    """Write the files that the loaders read; only the whole series tells what is in them."""
    write_folder(folder, n_subjects(setting), setting.secret_seed(_FOLDER_SEED))


def n_subjects(setting: Setting) -> int:
    """Return the number of subjects in the folder of a setting."""
    return setting.choose(53, 57)  # 42 or 45 to train, 11 or 12 to test: no size divides them


def numbers_of_codes(setting: Setting) -> dict[int, int]:
    """Return the number of each subject in the folder of a setting, by its code."""
    codes = subject_codes(n_subjects(setting), setting.secret_seed(_FOLDER_SEED))
    return {code: number for number, code in enumerate(codes)}


def read(loader: Iterable[dict[str, Tensor]]) -> list[list[list[int]]]:
    """List the codes of T1 and T2 of each pair of each batch."""
    batches: list[list[list[int]]] = []
    for batch in islice(iter(loader), _MOST_BATCHES):
        t1, t2 = (as_tensor(batch[modality]) for modality in ("T1", "T2"))
        if t1.ndim != 4 or t2.ndim != 4:
            raise TypeError(
                "Expected batches with T1 and T2 of shape (N, 1, 64, 64), "
                f"got {tuple(t1.shape)} and {tuple(t2.shape)}."
            )
        pairs = zip(codes_of(t1), codes_of(t2), strict=True)
        batches.append([[a, b] for a, b in islice(pairs, _MOST_PAIRS)])
        if sum(map(len, batches)) > _MOST_PAIRS:
            break
    return batches


def read_dataloaders(observed: Observed, setting: Setting) -> Observed:
    """Turn the codes that the loaders showed into words.

    The codes of a series are known to the verdict, and in grading to nobody else who has not read
    the files.
    """
    train, test = split_numbers(n_subjects(setting))
    numbers = numbers_of_codes(setting)
    result: Observed = {ERROR: observed[ERROR]} if ERROR in observed else {}

    def log(label: str, name: str, value: Any) -> None:
        result.setdefault(name, {})[label] = value

    for label, raw in observed.get(_TEST, {}).items():
        if (batches := decoded(raw, numbers)) is not None:
            log(label, "test-batches", _sizes(batches, _TEST_BATCH, test, train))
            subjects = list(chain(*batches))
            in_order = subjects in (train[: len(subjects)], test[: len(subjects)])
            order = ", in the order of the data set" if in_order else ", in another order"
            is_known = not {STRANGE, MIXED} & {*subjects}  # others have no order
            log(label, "test-order", _who(subjects, train, test) + order * is_known)
            log(label, f"{PROOF}test-codes", _are_real(subjects, raw))
    for label, raw in observed.get(_TRAIN, {}).items():
        tried = [decoded(epoch, numbers) for epoch in raw] if isinstance(raw, list) else []
        read = [batches for batches in tried if batches is not None]
        if len(tried) == len(read) == 3:
            epochs = [list(chain(*batches)) for batches in read]
            asked = _batch_sizes(setting).get(label, 0)
            log(label, "train-batches", _sizes(read[0], asked, train, test))
            log(label, "train-subjects", [_who(epoch, train, test) for epoch in epochs])
            log(label, "train-shuffled", _order(read, train, test))
            log(label, f"{PROOF}train-codes", all(map(_are_real, epochs, raw)))
    for label, test_images in observed.get(_TEST_IMAGES, {}).items():
        train_images = observed.get(_TRAIN_IMAGES, {}).get(label)
        changed = [
            f"of the {part} loader are not as they are in the files"
            for part, images in (("test", test_images), ("training", train_images))
            if not _are_as_in_files(images, setting)
        ]
        log(label, "images", f"slices {' and '.join(changed) or 'as they are in the files'}")
    return result


def _sizes(batches: list[list[int]], asked: int, part: list[int], other: list[int]) -> list[int]:
    """Return the sizes of batches, as they would be for so many subjects.

    Batches of other subjects, or of more or fewer, have the size that is asked for, too, where the
    last one is smaller and is kept, or would be if there were a rest. Which subjects these are is
    another item.
    """
    sizes = [len(batch) for batch in batches]
    full, rest = divmod(sum(sizes), asked) if asked else (0, 0)
    is_whole = {*chain(*batches)} in ({*other}, {*part, *other})  # nothing is dropped
    if not (rest or (full and is_whole)) or sizes != [asked] * full + [rest] * (rest > 0):
        return sizes
    full, rest = divmod(len(part), asked)
    return [asked] * full + [rest] * (rest > 0)


def _are_as_in_files(raw: Any, setting: Setting) -> bool:
    """Return True if images are those of the subjects whose codes they show."""
    numbers, seed = numbers_of_codes(setting), setting.secret_seed(_FOLDER_SEED)
    if not isinstance(raw, list) or len(raw) != 2:
        return False
    for contrast, part in enumerate(raw):
        codes, images = part if isinstance(part, list) and len(part) == 2 else ([], None)
        known = isinstance(codes, list) and 0 < len(codes) <= _MOST_PAIRS
        if not known or not all(type(code) is int and code in numbers for code in codes):
            return False
        slices = [subject_slices(numbers[code], code, seed)[contrast] for code in codes]
        if not same(images, observe(torch.stack(slices)[:, None]), TOLERANCES[0]):
            return False
    return True


def decoded(raw: Any, numbers: Mapping[int, int]) -> list[list[int]] | None:
    """Return the subjects of each batch, None if that is not what `_read` returns.

    A pair of two different subjects counts as `MIXED`, one without a code as `STRANGE`.
    """
    if not (isinstance(raw, list) and all(isinstance(batch, list) for batch in raw)):
        return None
    if not all(isinstance(pair, list) and len(pair) == 2 for batch in raw for pair in batch):
        return None
    return [[_subject(t1, t2, numbers) for t1, t2 in batch] for batch in raw]


def _subject(t1: Any, t2: Any, numbers: Mapping[int, int]) -> int:
    if not (type(t1) is type(t2) is int and {t1, t2} <= numbers.keys()):
        return STRANGE
    return numbers[t1] if t1 == t2 else MIXED


def _are_real(subjects: list[int], raw: Any) -> bool:
    """Return True if a loader showed images of the folder, no other, and more than are guessed."""
    return STRANGE not in subjects and len({*chain(*chain(*raw))}) >= _LEAST_CODES


def _order(read: list[list[list[int]]], train: list[int], test: list[int]) -> str:
    """Return in words how the order of the subjects changes from epoch to epoch."""
    if keeps_batches(read):
        return "the same subjects in a batch in every epoch"
    epochs = [list(chain(*batches)) for batches in read]
    first = epochs[0]
    if len(set(map(tuple, epochs))) == len(epochs):
        kept = kept_by_shuffling(epochs, train if first[0] in train else test)
        return f"in all {len(epochs)} epochs {kept}" if kept else "another order in every epoch"
    if first in (train[: len(first)], test[: len(first)]):
        return "the order of the data set in every epoch"
    return "a shuffled order that comes back"


def keeps_batches(epochs: list[list[list[int]]]) -> bool:
    """Return True if subjects change places, and each batch holds the same in every epoch."""
    orders = {str(batches) for batches in epochs}
    sets = {frozenset(map(frozenset, batches)) for batches in epochs}
    has_room = len(epochs[0]) > 1 and max(map(len, epochs[0])) > 1
    return has_room and len(orders) > 1 and len(sets) == 1


def kept_by_shuffling(epochs: list[list[int]], in_order: list[int]) -> str:
    """Return in words what a shuffle leaves as it is, "" if chance may have left as much.

    Args:
        epochs: The subjects in the order of each epoch.
        in_order: The subjects in the order of the data set.
    """
    n, n_epochs = len(in_order), len(epochs)
    if any(sorted(order) != sorted(in_order) for order in epochs):
        return ""
    rank = {subject: place for place, subject in enumerate(in_order)}
    for way, sign in (("before", 1), ("after", -1)):
        far = max(sign * (rank[x] - place) for order in epochs for place, x in enumerate(order))
        # In so many of the n! orders no subject moves further in this direction.
        log_orders = (n - far) * math.log(far + 1) + math.lgamma(far + 1)
        if n_epochs * (log_orders - math.lgamma(n + 1)) < _LOG_CHANCE:
            return f"no subject comes far {way} its place in the data set"
    follower = [dict(pairwise(order)) for order in epochs]
    kept = [sum(other[x] == y for x, y in follower[0].items() if x in other) for other in follower]
    # Of all orders, 1 / k! at most keep k neighbours.
    n_kept = sum(kept[1:])
    if n_kept * math.log(n_epochs - 1) - math.lgamma(n_kept + 1) < _LOG_CHANCE:
        return "most subjects have the same neighbours"
    return ""


def _who(subjects: list[int], train: list[int], test: list[int]) -> str:
    """Return in words which subjects a loader showed in an epoch, whatever the order."""
    if STRANGE in subjects:
        return "slices that are not in the files"
    if MIXED in subjects:
        return "T1 and T2 of different subjects"
    parts = {"training subjects": train, "test subjects": test, "subjects": train + test}
    for name, part in parts.items():
        if set(subjects) <= set(part):
            if len(set(subjects)) < len(subjects):
                return f"{name}, some of them more than once"
            if len(subjects) == len(part):
                return f"all {name}, once each"
            return f"{len(subjects)} of the {len(part)} {name}, once each"
    raise AssertionError("All subjects belong to one of the parts.")


def mean_image(answer: Any, setting: Setting) -> Iterator[Case]:
    """Average the T2-w slices of four data sets."""

    def look(image: Any, log: Log) -> None:
        log("shape", _kind(image))
        log("values", as_tensor(image).reshape(-1).double())

    n_many = setting.choose(503, 509)  # more than the lab has to train
    yield from _on_datasets(answer, setting, look, n_many, add_extremes, has_single=True)


def add_extremes(dataset: IXIDataset) -> None:
    """Let some T2-w voxels be -1, 0 or 1 in every second subject, as the background is."""
    for column, value in enumerate((-1, 0, 1)):
        dataset.t2[::2, :, 8:10, 8 + column] = value


def intensity_lookup(answer: Any, setting: Setting) -> Iterator[Case]:
    """Fit lookups with the default number of bins and with another one."""
    other = setting.choose(32, 64)  # some voxels lie on the edges of these bins

    def look(lookup: Any, log: Log) -> None:
        log("shape", _kind(lookup))
        table = as_tensor(lookup).reshape(-1).double()
        n_bins = len(table)
        # All bins that lie in this part of the range are empty but for one with a single voxel.
        start, stop = math.ceil(EMPTY[0] * n_bins), math.floor(EMPTY[1] * n_bins)
        alone = math.floor(ALONE * n_bins)
        log("empty-bins", torch.cat((table[start:alone], table[alone + 1 : stop])))
        parts = (table[1:start], table[alone : alone + 1], table[stop:-1])
        log("inner-bins", torch.cat(parts))
        log("end-bins", table[[0, -1]])

    yield from _on_datasets(answer, setting, look, setting.choose(131, 137))
    for case in _on_datasets(answer, setting, look, n_bins=other):
        yield Case(f"{case.label}, n_bins={other}", case.act)


def _on_datasets(
    answer: Callable[..., Any],
    setting: Setting,
    look: Callable[[Any, Log], None],
    n_many: int = 3,
    prepare: Callable[[IXIDataset], None] = lambda dataset: None,
    has_single: bool = False,
    **options: int,
) -> Iterator[Case]:
    """Call the answer on data sets, look at the result, then at the data set itself.

    Args:
        answer: Function of a data set.
        setting: Sizes, seeds and number type.
        look: Logs what the answer returned.
        n_many: Subjects of the second data set: many, so that a number that is written down shows,
            and a prime, which no size of batches divides.
        prepare: Changes a data set before it is handed over.
        has_single: Whether a data set of one subject comes last.
        options: Further arguments of the answer.
    """
    few = setting.choose(7, 5)

    def act(log: Log, n_subjects: int, seed: int, extremes: bool = True) -> None:
        dataset = make_dataset(n_subjects, setting.seed(seed), setting.dtype, extremes)
        prepare(dataset)
        before = dataset.t1.clone(), dataset.t2.clone()
        look(answer(dataset, **options), log)
        after = dataset.t1, dataset.t2
        log("untouched", all(map(torch.equal, before, after)))

    yield Case(f"{few} subjects", partial(act, n_subjects=few, seed=20))
    yield Case(f"{n_many} subjects", partial(act, n_subjects=n_many, seed=21))
    within = partial(act, n_subjects=4, seed=24, extremes=False)
    yield Case("no subject reaches -1 or 1", within)
    if has_single:
        yield Case("1 subject", partial(act, n_subjects=1, seed=26))


def _kind(value: Any) -> str:
    shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
    name = "Tensor" if isinstance(value, Tensor) else type(value).__name__
    return f"a {name}{shape}"


def as_tensor(value: Any) -> Tensor:
    """Return the numbers of a tensor or array as a tensor on the CPU, without a graph."""
    return torch.as_tensor(value).detach().cpu()
