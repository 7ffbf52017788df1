"""Tell which subjects the loaders show, in which batches, and in which order."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain, islice, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from labhelpers.checks import sandbox
from labhelpers.checks.cases import Setting, unpacked
from labhelpers.checks.explanations.fits import (
    ORIENTATIONS,
    VOXELS,
    fitted,
)
from labhelpers.checks.explanations.words import capitalised, enumerated
from labhelpers.checks.fixtures import codes_of, split_numbers
from labhelpers.checks.probes import data as probes
from labhelpers.checks.records import Explanation, Run, explained
from labhelpers.data import IXIDataset

__all__ = ["make_dataloaders"]


class _Loaders(NamedTuple):
    """What two loaders showed: subjects by number, batch by batch, in each of some epochs.

    Attributes:
        train: What the training loader showed.
        test: What the test loader showed.
        stops: The size of the batches of each of them that is no size, and stops the answer.
    """

    train: list[list[list[int]]]
    test: list[list[list[int]]]
    stops: tuple[object, object] = (None, None)


def make_dataloaders(answer: Any, runs: list[Run]) -> Explanation | None:
    """Tell which subjects the loaders show, in which batches and in which order."""
    setting = Setting()
    parts = dict(zip(_PARTS, split_numbers(probes.n_subjects(setting)), strict=True))
    seen = {}
    odd: dict[str, list[str]] = {}  # part -> what is wrong with its batches
    changed: dict[str, str] = {}  # part -> what was done to its slices
    with tempfile.TemporaryDirectory() as folder:
        probes.write_slices(Path(folder), setting)
        files = _read_files(Path(folder))
        for size in (8, 40, 3):
            options = {} if size == 40 else {"batch_size": size}
            odd_sizes: list[tuple[DataLoader, object]] = []
            shown: list[list[list[list[int]]]] = []
            stops: list[object] = []
            with suppress(Exception):
                with _any_size(odd_sizes):
                    returned = answer(Path(folder), **options)
                loaders = unpacked(returned, "training loader", "test loader")
                for part, loader in zip(parts, loaders, strict=True):
                    try:
                        if part not in odd and (texts := _odd_batch(loader)):
                            odd[part] = texts
                        epochs = [_epoch(loader) for _ in range(3)]
                    except Exception as error:
                        text = f"{type(error).__name__}: {error}"
                        is_known = any(words in text for words in _OF_WORKERS)
                        if not is_known and not sandbox.own_frames(error):
                            odd.setdefault(
                                part, [f"{{which}} stops while it is read ({_braced(text)})."]
                            )
                        raise
                    if not all(epoch is not None for epoch in epochs):
                        return _odd(odd)
                    if part not in changed and (words := _images_in_words(epochs[0] or [], files)):
                        changed[part] = words
                    known = {} if part in changed else probes.numbers_of_codes(setting)
                    shown.append([_subjects(epoch or [], known, files, parts) for epoch in epochs])
                    stops.append(next((n for x, n in odd_sizes if x is loader), None))
                seen[size] = _Loaders(shown[0], shown[1], (stops[0], stops[1]))
    if not seen:
        return _odd(odd)
    sentences = _all_in_words(seen, parts, changed)
    turned = {size: _Loaders(two.test, two.train, two.stops[::-1]) for size, two in seen.items()}
    names = dict(zip(_PARTS, reversed(_PARTS), strict=True))
    others = _all_in_words(turned, parts, {names[part]: text for part, text in changed.items()})
    if len(others) < len(sentences) - 1:
        text = (
            "The loaders are returned in the other order. Asked for: (train_loader, test_loader)."
        )
        sentences = [text, *others]
    first = _odd(odd)
    if not first:
        return explained(sentences, _LOADER_ITEMS)
    notes = [note for note in first["notes"] if note[0] == "wrong"]
    notes += [["wrong", text] for text in sentences]
    notes += [note for note in first["notes"] if note[0] != "wrong"]
    return Explanation(notes=notes, items=[], alone=True, table=None)


_PARTS = ("training", "test")
_MOST_BATCHES = 200  # of a loader without an end
_OF_WORKERS = ("DataLoader worker", "__main__")  # in errors that the list of errors has words for
_LOADER_ITEMS = [
    *("train-batches", "train-subjects", "train-shuffled", "test-batches", "test-order", "images"),
]
_N_IMAGES = 8  # of a batch that are looked at


@contextmanager
def _any_size(odd_sizes: list[tuple[DataLoader, object]]) -> Iterator[None]:
    """Let loaders be made with sizes of batches that are none: they get 1, and are taken down."""
    make = DataLoader.__init__

    def init(
        self: DataLoader, dataset: Any, batch_size: Any = 1, *args: Any, **options: Any
    ) -> None:
        is_odd = isinstance(batch_size, float) or (isinstance(batch_size, int) and batch_size < 1)
        make(self, dataset, max(1, int(batch_size)) if is_odd else batch_size, *args, **options)
        if is_odd:
            odd_sizes.append((self, batch_size))

    DataLoader.__init__ = init  # type: ignore[method-assign]
    try:
        yield
    finally:
        DataLoader.__init__ = make  # type: ignore[method-assign]


def _braced(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _all_in_words(
    seen: dict[int, _Loaders], parts: dict[str, list[int]], changed: dict[str, str]
) -> list[str]:
    """Return a sentence for each thing that is wrong with the loaders, in this order."""
    sentences = [text.format(part=part) for part, text in changed.items()]
    return sentences + [text for part in parts for text in _part_in_words(part, seen, parts)]


def _odd(odd: dict[str, list[str]]) -> Explanation | None:
    """Return what is wrong with the batches themselves, None if nothing is."""
    if not odd:
        return None
    (part, (first, *more)), *others = odd.items()
    which = "both loaders" if others and others[0][1][0] == first else f"your {part} loader"
    made_by = which if others and others[0][1] == odd[part] else f"your {part} loader"
    wrong = [capitalised(first.format(which=which))]
    wrong += [
        capitalised(text.format(which=f"your {p} loader"))
        for p, (text, *_) in others
        if text != first
    ]
    notes = [["wrong", text] for text in wrong] + [
        ["next", text.format(which=made_by)] for text in more
    ]
    return Explanation(notes=notes, items=[], alone=True, table=None)


def _epoch(loader: Any) -> list[tuple[Tensor, Tensor]] | None:
    """Return T1 and T2 `(N, 1, 64, 64)` of each batch, None if that is not in them."""
    batches = [_pair(batch) for batch in islice(iter(loader), _MOST_BATCHES)]
    return None if None in batches else [pair for pair in batches if pair]


def _pair(batch: Any) -> tuple[Tensor, Tensor] | None:
    """Return T1 and T2 of a batch, None if that is not in it."""
    if isinstance(batch, Mapping):
        by_name = {str(name).upper(): value for name, value in batch.items()}
        values = [by_name.get(name) for name in ("T1", "T2")]
    else:
        values = list(batch) if isinstance(batch, (tuple, list)) and len(batch) == 2 else []
    if len(values) != 2 or not all(isinstance(x, (Tensor, np.ndarray)) for x in values):
        return None
    t1, t2 = (probes.as_tensor(x).double() for x in values)
    size = VOXELS[0] * VOXELS[1]
    if not t1.numel() or t1.numel() != t2.numel() or t1.numel() % size:
        return None
    return t1.reshape(-1, 1, *VOXELS), t2.reshape(-1, 1, *VOXELS)


def _subjects(
    epoch: list[tuple[Tensor, Tensor]],
    known: Mapping[int, int],
    files: dict[str, Tensor],
    parts: dict[str, list[int]],
) -> list[list[int]]:
    """Return the number of the subject of each pair of slices, batch by batch.

    Args:
        epoch: T1 and T2 of each batch.
        known: The number of each subject by its code; empty if the slices have been changed.
        files: The slices in the files.
        parts: The numbers of the subjects of each part, in the order of the files.
    """
    if known:
        raw = [[*map(list, zip(*map(codes_of, pair), strict=True))] for pair in epoch]
        return probes.decoded(raw, known) or []
    numbers = torch.tensor([*chain(*parts.values()), probes.STRANGE])
    batches = []
    for pair in epoch:
        t1, t2 = (numbers[_nearest(images, files)].tolist() for images in pair)
        batches.append([
            probes.STRANGE if probes.STRANGE in (a, b) else a if a == b else probes.MIXED
            for a, b in zip(t1, t2, strict=True)
        ])  # fmt: skip
    return batches


def _nearest(images: Tensor, files: dict[str, Tensor]) -> Tensor:
    """Return the place in the files of the slice that each image was made from, -1 for none."""
    slices = _standardised(torch.cat((files["t1"], files["t2"])))
    ways = [torch.stack([turn(x[0]) for x in images]) for turn in ORIENTATIONS.values()]
    likeness = torch.stack([(_standardised(x.flatten(1)) @ slices.T).abs() for x in ways]).amax(0)
    best = likeness.max(dim=1)
    return torch.where(best.values > 0.99, best.indices % len(files["t1"]), -1)


def _standardised(x: Tensor) -> Tensor:
    x = x - x.mean(dim=1, keepdim=True)
    return x / x.norm(dim=1, keepdim=True).clamp(min=1e-12)


def _odd_batch(loader: Any) -> list[str]:
    """Return what a batch is if it is no dictionary of T1 and T2, and what makes it so.

    The first sentence has `{which}` for the loader.
    """
    if isinstance(getattr(loader, "dataset", None), (str, Path)):
        return [
            "{which} is given a folder, not a data set. Asked for: an `IXIDataset` of that folder."
        ]
    batch = next(iter(loader), None)
    if batch is None:
        return []
    if getattr(loader, "batch_size", 0) is getattr(loader, "batch_sampler", 0) is None:
        shape = tuple(getattr(batch["T1"], "shape", ())) if isinstance(batch, Mapping) else ()
        if len(shape) == 3:
            return [
                "{which} hands over samples one by one, not in batches, as `batch_size=None` asks "
                "for. Asked for: batches of tensors (N, 1, 64, 64)."
            ]
    if isinstance(batch, Mapping) and {"T1", "T2"} <= batch.keys():
        return _odd_shape(batch)
    if isinstance(batch, Mapping):
        kind = f"a dictionary with {', '.join(map(repr, batch))}"
    elif isinstance(batch, (list, tuple)):
        kinds = {type(value).__name__ for value in batch}
        kind = f"a {type(batch).__name__} of {len(batch)} values of the type {' or '.join(kinds)}"
    else:
        kind = f"an object of the type {type(batch).__name__}"
    sentences = [
        f'A batch of {{which}} is {kind}. Asked for: a dictionary {{{{"T1": ..., "T2": '
        "...}} of two tensors (N, 1, 64, 64)."
    ]
    if isinstance(loader, DataLoader):
        collate, dataset = loader.collate_fn, type(loader.dataset).__name__
        if collate is not default_collate:
            code = getattr(collate, "__code__", None)
            where = f" in line {code.co_firstlineno}" if code else ""
            name = getattr(collate, "__name__", type(collate).__name__)
            name = "a lambda" if name == "<lambda>" else f"`{name}`"
            sentences.append(
                f"The batches of {{which}} are made by your `collate_fn`, {name}{where}. Without "
                "one, a DataLoader puts dictionaries together to a dictionary."
            )
        elif dataset != "IXIDataset":
            sentences.append(
                f"The loader was given a `{dataset}`, whose items it puts together as they are. "
                "The items of an `IXIDataset` are dictionaries."
            )
    return sentences


def _odd_shape(batch: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the shape of the images of a batch."""
    values = [batch[name] for name in ("T1", "T2")]
    for name, value in zip(("T1", "T2"), values, strict=True):
        shape = tuple(getattr(value, "shape", ()))
        if len(shape) == 4 and shape[1:] == (1, *VOXELS):
            continue
        sizes = ["N" if len(shape) == 3 and not k else str(n) for k, n in enumerate(shape)]
        what = f"the shape ({', '.join(sizes)})" if shape else f"the type {type(value).__name__}"
        sentences = [
            f'In a batch of {{which}}, batch["{name}"] has {what}. Asked for: a tensor '
            "(N, 1, 64, 64)."
        ]
        if len(shape) == 3:
            sentences.append(
                "A sample of an `IXIDataset` has the shape (1, 64, 64). `torch.stack` makes a new "
                "axis of N samples, `torch.cat` and `squeeze` use up the axis of the channel."
            )
        return sentences
    return []


def _read_files(folder: Path) -> dict[str, Tensor]:
    """Return all slices in a folder, `(N, 64 * 64)` for each contrast."""
    parts = [IXIDataset(folder, mode) for mode in ("train", "test")]
    return {
        name: torch.cat([getattr(part, name) for part in parts]).flatten(1).double()
        for name in ("t1", "t2")
    }


def _images_in_words(epoch: list[tuple[Tensor, Tensor]], files: dict[str, Tensor]) -> str:
    """Return in a sentence what was done to the slices of the files, "" if they are there.

    The sentence has `{part}` for the part of the data.
    """
    found: dict[str, list[str | None]] = {}
    for place, name in enumerate(("t1", "t2") if epoch else ()):
        # All of the first batch, and one of each of the others.
        images = [pair[place] for pair in epoch[:_N_IMAGES]]
        images = [*images[0][:_N_IMAGES], *(batch[0] for batch in images[1:])]
        ways = [_way(name, image.double().reshape(-1, *VOXELS)[0], files) for image in images]
        if any(way != "" for way in ways):
            found[f'batch["{name.upper()}"]'] = ways
    names, sentences = [*found], []
    if len({*map(tuple, found.values())}) == 1:  # the same with both slices of each item
        found = {" and ".join(names): found[names[0]]}
    for which, ways in found.items():
        odd = [way for way in ways if way != ""]
        words = None if None in odd else Counter(odd).most_common(1)[0][0]
        told = [way for way in odd if way == words]
        some = "The" if len(told) == len(ways) else f"{len(told)} of {len(ways)}"
        if words is None:
            words = "not in the folder `root`, also not mirrored, turned or on another scale"
        sentences.append(f"{some} slices of {which} of the {{part}} loader are {words}.")
    asked = " Asked for: the slices as they are in the files."
    return " ".join(sentences) + asked * bool(sentences)


def _way(name: str, image: Tensor, files: dict[str, Tensor]) -> str | None:
    """Return what was done to a slice of the files, "" for nothing, None if it is not there."""
    ways: list[list[str]] = []
    for source, orientation in product([name, *(files.keys() - {name})], ORIENTATIONS):
        turned = ORIENTATIONS[orientation](image).reshape(1, -1)
        slices = files[source]
        likeness = torch.corrcoef(torch.cat((turned, slices)))[0, 1:].nan_to_num().abs()
        own = slices[likeness.argmax()]
        pair = fitted(torch.stack((own, torch.ones_like(own))), turned[0])
        if pair is not None and likeness.max() > 0.99:
            scale, offset = pair.tolist()
            is_scaled, is_moved = abs(scale - 1) > 1e-4, abs(offset) > 1e-4
            added = f", plus {offset:.4g}" if is_moved else ""
            moved = f"{scale:.4g} times the values in the files{added}"
            moved = moved if is_scaled or is_moved else ""
            from_other = f"taken from the {source.upper()} files" if source != name else ""
            ways.append([part for part in (from_other, orientation, moved) if part])
            if not ways[-1]:
                break
    if not ways:
        return None
    shortest = min(ways, key=len)
    return ", ".join(shortest)


def _flat(batches: Iterable[list[int]]) -> list[int]:
    return [*chain.from_iterable(batches)]


def _part_in_words(
    part: str, seen: dict[int, _Loaders], parts: dict[str, list[int]]
) -> Iterator[str]:
    """Yield a sentence for each thing that is wrong with one of the loaders.

    Args:
        part: Which one.
        seen: What both showed.
        parts: The subjects of each part.
    """
    epochs = {size: two.train if part == "training" else two.test for size, two in seen.items()}
    subjects, other = parts[part], parts["test" if part == "training" else "training"]
    name = f"The {part} loader"
    epochs = {size: read for size, read in epochs.items() if read[0]}
    if 8 not in epochs or not epochs[8][1]:  # nothing to read, or once only
        return
    stops = {size: two.stops[_PARTS.index(part)] for size, two in seen.items()}
    yield from _batches_in_words(part, name, epochs, subjects, stops)
    first = _flat(epochs[8][0])
    if probes.STRANGE in first:  # nobody knows whose they are
        return
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
    elif len(mine) < len(subjects) and not _is_cut(epochs, subjects):
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
    yield from _order_in_words(part, name, [*epochs.values()], subjects)


def _is_cut(epochs: dict[int, list[list[list[int]]]], subjects: list[int]) -> bool:
    """Return True if subjects are missing because the last, smaller batch is."""
    for batches, *_ in epochs.values():
        size, shown = len(batches[0]), _flat(batches)
        if not {*shown} <= {*subjects} or len(shown) != len(subjects) // size * size:
            return False
    return len(epochs[8][0]) > 1 and len(_flat(epochs[8][0])) < len(subjects)


def _batches_in_words(
    part: str,
    name: str,
    epochs: dict[int, list[list[list[int]]]],
    subjects: list[int],
    stops: Mapping[int, object],
) -> Iterator[str]:
    sizes = {size: max(map(len, read[0])) for size, read in epochs.items()}
    wanted = {size: size if part == "training" else 5 for size in sizes}
    # A loader that shows fewer subjects has no larger batch.
    wanted = {size: min(most, len(_flat(epochs[size][0]))) for size, most in wanted.items()}
    asked = "batch_size, 40 by default" if part == "training" else "5, whatever batch_size is"
    no_sizes = {size: number for size, number in stops.items() if number is not None}
    if no_sizes:
        numbers = [*dict.fromkeys(no_sizes.values())]
        given = enumerated(f"{number} {_tried(size)}" for size, number in no_sizes.items())
        if len(numbers) == 1 and len(no_sizes) == len(epochs):
            given = f"{numbers[0]}, whatever batch_size is"
        whole = " Sizes are whole numbers, as `//` gives them." * isinstance(numbers[0], float)
        yield (
            f"{name} is given batches of {given}, which stops your function. Asked for: batches of "
            f"{asked}.{whole}"
        )
    sizes, wanted = (
        {size: n for size, n in numbers.items() if size not in no_sizes}
        for numbers in (sizes, wanted)
    )
    if sizes != wanted:
        first, *more = [
            f"{n}{' (all subjects)' * (n == len(subjects))} {_tried(size)}"
            for size, n in sorted(sizes.items(), key=lambda item: [8, 3, 40].index(item[0]))
        ]
        by_size = enumerated([first, *(f"of {text}" for text in more)])
        if len(sizes) > 1 and len({*sizes.values()}) == 1:
            by_size = f"{sizes[8]}, whatever batch_size is"
        yield f"{name} makes batches of {by_size}. Asked for: {asked}."
    read = epochs[8][0]
    if _is_cut(epochs, subjects):
        missing = len(subjects) - sum(map(len, read))
        yield (
            f"{name} leaves out the last, smaller batch: {missing} of the {len(subjects)} subjects "
            f"{'is' if missing == 1 else 'are'} missing. Asked for: no sample is dropped."
        )
    elif len({*map(len, read[:-1])}) > 1 and not probes.keeps_batches(epochs[8]):
        yield f"{name} makes batches of different sizes: {', '.join(map(str, map(len, read)))}."


def _tried(batch_size: int) -> str:
    return "by default" if batch_size == 40 else f"for batch_size={batch_size}"


def _order_in_words(
    part: str, name: str, read: list[list[list[list[int]]]], subjects: list[int]
) -> Iterator[str]:
    epochs = [_flat(epoch) for epoch in read[0]]
    places = {number: place for place, number in enumerate(subjects)}
    orders = [[places.get(number, -1) for number in epoch] for epoch in epochs]
    if -1 in orders[0]:
        return
    is_fixed = all(order == orders[0] for order in orders)
    if part == "training" and is_fixed:
        is_sorted = orders[0] == sorted(orders[0])
        which = "the order of the data set" if is_sorted else "an order of its own"
        yield (
            f"{name} shows the subjects in {which}, the same in every epoch. Asked for: shuffled "
            "anew in every epoch."
        )
    elif part == "training":
        partial = next(filter(None, (_partial_shuffle(two, subjects) for two in read)), "")
        if partial:
            yield f"{name} {partial}. Asked for: an order drawn anew from all training subjects."
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


def _partial_shuffle(epochs: list[list[list[int]]], subjects: list[int]) -> str:
    """Return in words how a loader shuffles if not all subjects among each other, else ""."""
    if probes.keeps_batches(epochs):
        same_order = len({frozenset(map(tuple, batches)) for batches in epochs}) == 1
        same_batches = len({tuple(map(frozenset, batches)) for batches in epochs}) == 1
        if same_order:
            return (
                "shuffles the batches, not the subjects: each batch holds the same subjects, in "
                "the same order, in every epoch, and only the order of the batches changes"
            )
        where = "within a batch only" if same_batches else "the batches, and within each of them"
        return f"shuffles {where}: each batch holds the same subjects in every epoch"
    orders = [_flat(batches) for batches in epochs]
    if len({*map(tuple, orders)}) < len(orders):
        return ""
    kept = probes.kept_by_shuffling(orders, subjects)
    text = f"does not shuffle all subjects among each other: in all {len(orders)} epochs {kept}"
    return text if kept else ""
