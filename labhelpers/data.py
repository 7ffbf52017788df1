"""The slices of the lab: how they are named and stored, and the dataset with its fixed split.

A folder holds two files per subject, `sub-IXI002 - T1.pt` and `sub-IXI002 - T2.pt`. Each is one
float64 tensor `(64, 64)` with values in `[-1, 1]`; the first axis is x (left to right), the second
y (back to front). Simulated subjects (`labhelpers.phantom`) are named `sub-SIM000`, `sub-SIM001`
and so on.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler, Subset

__all__ = [
    "IMAGE_SHAPE",
    "MODALITIES",
    "VOXEL_MM",
    "DataError",
    "IXIDataset",
    "is_simulated",
    "limit_subjects",
    "list_slices",
    "parse_slice_name",
    "replace_folder",
    "simulated_data_opened",
    "simulated_subject",
    "slice_name",
    "split_subjects",
    "subjects_of",
    "write_pair",
]

MODALITIES = ("T1", "T2")
IMAGE_SHAPE = (64, 64)

VOXEL_MM = 3.75
"""Side of a voxel in mm."""

_SLICE_NAME = re.compile(r"(sub-[A-Za-z0-9]+) - (T1|T2)\.pt")
_SIMULATED_PREFIX = "sub-SIM"
_EXAMPLE = "'sub-IXI002 - T1.pt'"
_SPLIT_SEED = 0  # another seed is another split: results could not be compared
_DAY = 24 * 3600  # seconds


class DataError(ValueError):
    """The slices cannot be used; the message says why, what was expected and what to do next."""


# --- Files --------------------------------------------------------------------------------------


def slice_name(subject: str, modality: str) -> str:
    """Return the name of a file: `("sub-IXI002", "T1")` gives `"sub-IXI002 - T1.pt"`."""
    return f"{subject} - {modality}.pt"


def parse_slice_name(name: str) -> tuple[str, str] | None:
    """Return the subject and the modality in the name of a slice, or None for another name."""
    match = _SLICE_NAME.fullmatch(name)
    return (match[1], match[2]) if match else None


def list_slices(folder: Path | str) -> list[str]:
    """Return the names of the slices in a folder, sorted; other files do not count.

    Raises:
        OSError: The folder cannot be read.
    """
    return sorted(filter(parse_slice_name, os.listdir(folder)))


def simulated_subject(number: int) -> str:
    """Return the name of a simulated subject, `"sub-SIM000"` and so on."""
    return f"{_SIMULATED_PREFIX}{number:03d}"


def is_simulated(names: Iterable[str]) -> bool:
    """Return True if one of the names, of subjects or of slices, is that of a simulated subject.

    For a folder: `is_simulated(list_slices(folder))`.
    """
    return any(name.startswith(_SIMULATED_PREFIX) for name in names)


def write_pair(folder: Path, subject: str, t1: Tensor, t2: Tensor) -> None:
    """Write the two slices of a subject, float64 tensors `(64, 64)`, into an existing folder."""
    for modality, image in zip(MODALITIES, (t1, t2), strict=True):
        torch.save(image, folder / slice_name(subject, modality))


@contextlib.contextmanager
def replace_folder(folder: Path, is_sound: Callable[[Path], bool]) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `folder` at the end, complete or not at all.

    It is made beside `folder`, because only a move within one file system is atomic. Its parent is
    a scratch folder of this call, with room for other files. After an error nothing is left of
    either; what a killed process left is removed a day later.

    Args:
        folder: The folder to replace or to make. Its parent is made if need be.
        is_sound: Returns True for a folder that needs no replacement. It keeps what another
            process was faster to put there.

    Raises:
        OSError: There is no write access, or no space left.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{folder.name}-"
    for leftover in folder.parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            if time.time() - leftover.stat().st_mtime > _DAY:
                shutil.rmtree(leftover)
    with tempfile.TemporaryDirectory(
        dir=folder.parent, prefix=prefix, ignore_cleanup_errors=True
    ) as scratch:
        new = Path(scratch, "new")
        new.mkdir()
        yield new
        if is_sound(folder):
            return
        if folder.exists():
            os.replace(folder, Path(scratch, "old"))
        try:
            os.replace(new, folder)
        except OSError:
            if not is_sound(folder):
                raise


# --- Dataset ------------------------------------------------------------------------------------

# True from the moment when simulated slices are opened. Figures and saved results must say what
# they show, and they are given tensors, which do not know where they come from.
_simulated_opened = False


class IXIDataset(Dataset[dict[str, Tensor]]):
    """T1-w and T2-w slices of the same subjects, all in memory.

    An item is `{"T1": image, "T2": image}`, two float32 copies of shape `(1, 64, 64)` and range
    `[-1, 1]`: changing one in place leaves the dataset as it is.

    Attributes:
        mode: `"train"` or `"test"`.
        subjects: Names of the subjects, in the order of the items.
        t1: All T1-w slices, `(N, 1, 64, 64)`.
        t2: All T2-w slices, `(N, 1, 64, 64)`.
        simulated: Whether one of the subjects or more is simulated.
    """

    def __init__(self, root: Path | str, mode: str = "train") -> None:
        """Read one part of a folder of slices.

        Args:
            root: The folder, as `fetch_ixi()` returns it.
            mode: `"train"` for 80 % of the subjects, rounded down; `"test"` for the others.

        Raises:
            DataError: The folder is missing, empty or of another kind, too small to split, or one
                of its slices, in either part, is damaged, of another shape or type, or out of
                range.

        Warns:
            UserWarning: One of the two files of a subject is missing; the subject is left out.
        """
        if mode not in ("train", "test"):
            raise DataError(
                f"mode is {mode!r}. Expected 'train' or 'test'. Write IXIDataset(root, "
                "mode='train')."
            )
        root = Path(os.path.expanduser(root))
        paired = _paired_subjects(root)
        train, test = split_subjects(paired)
        subjects = train if mode == "train" else test
        t1, t2 = _read_slices(root, paired, subjects)
        self._hold(t1, t2, subjects, mode)

    @classmethod
    def from_tensors(cls, t1: Tensor, t2: Tensor, subjects: list[str] | None = None) -> IXIDataset:
        """Make a training set of any image size from two tensors `(N, 1, H, W)`; nothing is split.

        The tensors keep their type, and nothing about them is checked.

        Args:
            t1: T1-w images.
            t2: T2-w images of the same subjects, of the same shape and type.
            subjects: Names of the N subjects; numbered if not given.
        """
        dataset = cls.__new__(cls)
        names = subjects or [f"sub-{index:03d}" for index in range(len(t1))]
        dataset._hold(t1, t2, names, "train")
        return dataset

    def _hold(self, t1: Tensor, t2: Tensor, subjects: list[str], mode: str) -> None:
        global _simulated_opened
        self.t1, self.t2, self.subjects, self.mode = t1, t2, subjects, mode
        # One simulated subject is enough for a figure that must say so.
        self.simulated = is_simulated(subjects)
        _simulated_opened = _simulated_opened or self.simulated

    def __len__(self) -> int:
        """Return the number of subjects."""
        return len(self.subjects)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Return copies of the two images of one subject, `(1, 64, 64)` each.

        Raises:
            TypeError: The index is a word, such as `"T2"`.
        """
        if isinstance(index, str):
            raise TypeError(
                f"A dataset has no {index!r}. Expected the number of a subject. Take the image of "
                f"one subject with dataset[0][{index!r}], or loop over the subjects."
            )
        # Copies, because "total = dataset[0]['T2']; total += ..." must not change the data.
        return {"T1": self.t1[index].clone(), "T2": self.t2[index].clone()}

    def __repr__(self) -> str:
        """Describe the dataset in one line, without the path: saved notebooks show it."""
        megabytes = (self.t1.nbytes + self.t2.nbytes) / 1e6
        kind = "SIMULATED, " if self.simulated else ""
        return (
            f"IXIDataset({kind}{self.mode}: {len(self)} subjects from {self.subjects[0]} to "
            f"{self.subjects[-1]}; T1 and T2 {tuple(self.t1.shape)} "
            f"{str(self.t1.dtype).removeprefix('torch.')}, {megabytes:.1f} MB)"
        )


def simulated_data_opened() -> bool:
    """Return True if this process has opened simulated slices; figures and results then say so."""
    return _simulated_opened


def split_subjects(subjects: Iterable[str]) -> tuple[list[str], list[str]]:
    """Split subjects into train (80 %, rounded down) and test, always in the same way.

    The subjects are sorted, then permuted with a fixed seed, so the split depends on nothing but
    their names: not on the order of the files, the process or the machine.

    Returns:
        The two lists of subjects, each in the fixed order.
    """
    ordered = sorted(set(subjects))
    # PCG64 by name, not default_rng: its stream of bits is guaranteed. A test pins the split, so
    # that a NumPy which permutes in another way would be noticed.
    permutation = np.random.Generator(np.random.PCG64(_SPLIT_SEED)).permutation(len(ordered))
    ordered = [ordered[index] for index in permutation]
    n_train = len(ordered) * 4 // 5  # in integers: 0.8 has no exact binary form
    return ordered[:n_train], ordered[n_train:]


def limit_subjects(loader: DataLoader, n_subjects: int | None) -> DataLoader:
    """Return a loader over the first `n_subjects` of a loader's dataset; None for all of them.

    Batch size and order (shuffled or not) stay as they were.
    """
    dataset: Any = loader.dataset  # torch does not promise that a dataset has a length
    if n_subjects is None or n_subjects >= len(dataset):
        return loader
    subset = Subset(dataset, range(n_subjects))
    shuffled = isinstance(loader.sampler, RandomSampler)
    return DataLoader(subset, batch_size=loader.batch_size, shuffle=shuffled)


def subjects_of(loader: DataLoader) -> list[str]:
    """Return the names of the subjects of a loader, in the order of its dataset."""
    dataset: Any = loader.dataset  # torch does not promise that a dataset has names
    if isinstance(dataset, Subset):
        names: Any = dataset.dataset
        return [names.subjects[index] for index in dataset.indices]
    return list(dataset.subjects)


def _paired_subjects(root: Path) -> list[str]:
    """Return the subjects of a folder who have both files; warn of those who have one."""
    found: dict[str, set[str]] = {}
    for subject, modality in filter(None, map(parse_slice_name, _checked_slices(root))):
        found.setdefault(subject, set()).add(modality)
    paired = sorted(subject for subject, modalities in found.items() if len(modalities) == 2)
    alone = [
        f"{subject} (no {'T2' if 'T1' in found[subject] else 'T1'})"
        for subject in sorted(found.keys() - set(paired))
    ]
    if not paired:
        raise DataError(
            f"No subject in {root} has both files; the first is {alone[0]}. Expected two files per "
            f"subject, such as {_EXAMPLE} and 'sub-IXI002 - T2.pt'. {_way_out(root)}"
        )
    if len(paired) < 2:
        raise DataError(
            f"Only one subject in {root} has both files: {paired[0]}. Expected at least two, one "
            f"to train and one to test (the whole set has 577). {_way_out(root)}"
        )
    if alone:
        warnings.warn(
            f"Left out, because one of the two files is missing in {root}: {', '.join(alone)}. "
            f"{len(paired)} subjects remain. {_way_out(root)}",
            stacklevel=3,
        )
    return paired


def _checked_slices(root: Path) -> list[str]:
    """Return the names of the slices in a folder, or raise a DataError that says what is there."""
    if not root.is_dir():
        problem = "is a file" if root.exists() else "does not exist"
        raise DataError(
            f"The folder of slices {root} {problem}. Expected a folder with files such as "
            f"{_EXAMPLE}. {_way_out(root)}"
        )
    names = sorted(name for name in os.listdir(root) if not name.startswith("."))
    if not names:
        raise DataError(
            f"The folder {root} is empty. Expected files such as {_EXAMPLE}. {_way_out(root)}"
        )
    slices = list_slices(root)
    if not slices:
        raise DataError(
            f"The folder {root} holds no slices: its first entry is {names[0]!r}. Expected files "
            f"such as {_EXAMPLE}, with a space on each side of the dash. {_way_out(root)}"
        )
    # A slice under a name that does not fit would otherwise vanish from the dataset unnoticed.
    misnamed = [name for name in names if name.endswith(".pt") and name not in set(slices)]
    if misnamed:
        raise DataError(
            f"{misnamed[0]!r} in {root} is not named like a slice. Expected names such as "
            f"{_EXAMPLE} only. Move this file to another folder, or rename it if it is a slice."
        )
    return slices


def _read_slices(root: Path, paired: list[str], wanted: list[str]) -> tuple[Tensor, Tensor]:
    """Return the T1-w and the T2-w slices of the wanted subjects, each float32 `(N, 1, 64, 64)`.

    All paired subjects are read, so that a damaged file is found at once, whichever part is opened.
    """
    images = {modality: torch.empty(len(wanted), 1, *IMAGE_SHAPE) for modality in MODALITIES}
    row_of = {subject: row for row, subject in enumerate(wanted)}
    for subject in paired:
        for modality in MODALITIES:
            image = _read_slice(root / slice_name(subject, modality))
            if subject in row_of:
                images[modality][row_of[subject], 0] = image
    return images["T1"], images["T2"]


def _read_slice(path: Path) -> Tensor:
    """Return the slice in a file, float64 `(64, 64)`; a DataError names a file that holds none."""
    try:
        image = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # what a damaged file raises depends on where it is damaged
        # PyTorch's own message proposes to load it unsafely, which must not be followed here.
        raise _bad_file(
            path,
            f"cannot be read (it has {path.stat().st_size} bytes)",
            "a tensor saved by torch.save, about 33 kB",
        ) from None
    if not isinstance(image, Tensor):
        raise _bad_file(path, f"holds a {type(image).__name__}", "a tensor")
    if tuple(image.shape) != IMAGE_SHAPE:
        raise _bad_file(path, f"has shape {tuple(image.shape)}", f"shape {IMAGE_SHAPE}")
    if image.dtype != torch.float64:
        raise _bad_file(path, f"has type {image.dtype}", "torch.float64")
    image = image.detach()
    n_bad = int((~image.isfinite()).sum())
    if n_bad:
        problem = f"has values that are NaN or infinite ({n_bad} of {image.numel()})"
        raise _bad_file(path, problem, "finite values")
    low, high = image.min().item(), image.max().item()
    if low < -1 or high > 1:
        raise _bad_file(path, f"has values from {low:.4g} to {high:.4g}", "the range [-1, 1]")
    return image


def _bad_file(path: Path, problem: str, expected: str) -> DataError:
    """Return the error that names a file, what is wrong with it and what was expected."""
    return DataError(
        f"{path.name!r} in {path.parent} {problem}. Expected {expected}. {_way_out(path.parent)}"
    )


def _way_out(root: Path) -> str:
    """Return what to do next to get sound slices, which depends on where the folder came from."""
    given = os.environ.get("LABHELPERS_DATA")
    if given and Path(os.path.expanduser(given)).absolute() == root.absolute():
        return (
            "LABHELPERS_DATA names this folder: put a sound copy there, or unset the variable and "
            "call fetch_ixi() again."
        )
    if root.is_dir() and is_simulated(list_slices(root)):  # there is no digest to check it with
        return "Delete this folder and call fetch_ixi() again, which makes it anew."
    return (
        "Call fetch_ixi() again (it checks its copy and repairs it by a fresh download) and open "
        "the folder that it returns."
    )
