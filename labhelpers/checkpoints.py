"""Keep a training on disk, so that a stopped one goes on and a finished one is not repeated."""

from __future__ import annotations

import copy
import errno
import glob
import os
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from filelock import FileLock, Timeout
from torch import nn

from labhelpers.folders import shared_folder

__all__ = ["Checkpoint", "Kept", "checkpoint_file", "forget_run"]

_COST = 30  # times as long as writing takes, a training goes on before it is written
_SPEED = 500e6  # bytes per second that the first writing is expected to reach
_SPARE = 50e6  # bytes that are left free on the disk

_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}  # of some network disks

_DIFFERENCES = {
    "code": "other code",
    "recipe": "another recipe",
    "data": "other subjects or batches",
    "machine": "another kind of device or another version of the libraries",
    "start": "other first weights, random numbers or arguments",
}
"""What makes two trainings different, in the order in which it is said."""


def checkpoint_file(name: str, num_epoch: int) -> Path:
    """Return the file in which a training of that name and length is kept; it may not exist.

    A short rehearsal has a file of its own, so that it does not replace the long training.
    """
    return shared_folder("checkpoints") / f"{name}-{num_epoch}-epochs.pt"


def forget_run(name: str) -> None:
    """Delete what is kept of a training, of any length; its images and results stay.

    Args:
        name: Name of the run, such as `cgan-reference`.
    """
    folder = shared_folder("checkpoints")
    paths = list(folder.glob(f"{glob.escape(name)}-[0-9]*-epochs.pt"))
    for path in paths:
        try:
            path.unlink()
        except OSError as error:
            print(f"{path} cannot be deleted ({error}). Allow writing there, or delete it by hand.")
            return
    if paths:
        print(f"{name!r} is forgotten: it starts anew when its cell runs again.")
    else:
        print(f"Nothing is kept of {name!r} in {folder}: it starts anew in any case.")


class Kept(NamedTuple):
    """What was kept of a training.

    Attributes:
        progress: What `Checkpoint.write` was given.
        is_finished: Whether it came to its end.
    """

    progress: dict[str, Any]
    is_finished: bool


class Checkpoint:
    """Writes a training to its file from time to time, and reads it back.

    Whatever goes wrong with the file is said in one sentence, and the training goes on without it.

    Args:
        name: Name of the run.
        num_epoch: Its length.
        parts: All that changes in the training and has a `state_dict`.
        same: Digests by `code`, `recipe`, `data`, `machine` and `start`: only a training with the
            same ones goes on from what is kept.
    """

    def __init__(
        self, name: str, num_epoch: int, parts: Iterable[Any], same: Mapping[str, str]
    ) -> None:
        self.path = checkpoint_file(name, num_epoch)
        self._name, self._parts, self._same = name, list(parts), dict(same)
        self._lock = FileLock(f"{self.path}.lock", timeout=0)
        self._is_on = self._is_ours = False
        self._seconds = 0.0  # what writing took
        self._written = time.perf_counter()  # when it was, or the training began

    @property
    def is_kept(self) -> bool:
        """Whether the file holds this training as it is now, or a little earlier."""
        return self._is_on and self._is_ours

    @property
    def place(self) -> str:
        """The file as seen from the notebook, such as `checkpoints/generator-20-epochs.pt`."""
        try:
            seen = os.path.relpath(self.path)
        except ValueError:  # another drive of Windows
            return str(self.path)
        return str(self.path) if seen.startswith(os.path.join("..", "..")) else seen

    @property
    def size(self) -> str:
        """The size of the file, such as `109 MB`."""
        return f"{max(1, round(self.path.stat().st_size / 1e6))} MB"

    def open(self) -> Kept | None:
        """Reserve the file, and put what is kept of the same training into the parts.

        Returns:
            None if nothing is kept that this training could go on from.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            print(
                f"Another notebook is training {self._name!r} in this folder: this training goes "
                "on, and is not kept for later. Give it another `name` to keep both."
            )
            return None
        except NotImplementedError:
            pass  # a disk that knows no locks
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                self._give_up(str(error))
                return None
        try:
            return self._found()
        except BaseException:  # the stop button, too: an error that is shown would keep the lock
            self.close()
            raise

    def write(self, progress: dict[str, Any], is_finished: bool = False, now: bool = False) -> None:
        """Write the training, unless it was written a short while ago for the time that takes.

        Of a finished one only the networks are kept: optimizers are as large, and not needed again.

        Args:
            progress: Where the training is: numbers, texts, tensors, lists and dictionaries.
            is_finished: Whether it came to its end.
            now: Whether to write in any case.
        """
        start = time.perf_counter()
        states = [
            part.state_dict() if _is_network(part) or not is_finished else None
            for part in self._parts
        ]
        expected = self._seconds or _size(states) / _SPEED
        is_soon = start - self._written < _COST * expected
        if not self._is_on or (is_soon and not (now or is_finished)):
            return
        kept = {
            "same": self._same,
            "progress": progress,
            "is_finished": is_finished,
            "parts": states,
        }
        new = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        try:
            _require_room(self.path.parent, states)
            torch.save(kept, new)
            os.replace(new, self.path)  # complete, or not at all
            self._is_ours = True
        except OSError as error:
            self._give_up(str(error))
        except RuntimeError:  # of torch, and it says where in its code
            self._give_up("writing failed: is the disk full?")
        finally:
            if new.exists():
                new.unlink()
        self._written = time.perf_counter()
        self._seconds = self._written - start

    def close(self) -> None:
        """Let others use the file."""
        self._is_on = False
        self._lock.release()

    def _found(self) -> Kept | None:
        self._is_on = True
        for leftover in self.path.parent.glob(f"{self.path.name}.*.new"):
            leftover.unlink(missing_ok=True)  # of a process that was killed while it wrote
        return self._read() if self.path.exists() else None

    def _read(self) -> Kept | None:
        try:
            kept = torch.load(self.path, map_location="cpu", weights_only=True)
            different = [text for what, text in _DIFFERENCES.items() if self._is_other(kept, what)]
            states = kept["parts"]
            found = Kept(kept["progress"], kept["is_finished"])
        except Exception:  # what a damaged file raises depends on where it is damaged
            self._say_damaged()
            return None
        if different:
            print(
                f"What is kept of {self._name!r} is of {different[0]}: the training starts anew "
                "and takes its place."
            )
            return None
        before = copy.deepcopy([part.state_dict() for part in self._parts])
        try:
            _load(self._parts, states)
        except Exception:
            _load(self._parts, before)
            self._say_damaged()
            return None
        self._is_ours = True
        return found

    def _is_other(self, kept: dict[str, Any], what: str) -> bool:
        return kept["same"][what] != self._same[what]

    def _say_damaged(self) -> None:
        print(
            f"{self.place} is damaged and cannot be read: the training starts anew and takes its "
            "place."
        )

    def _give_up(self, reason: str) -> None:
        self._is_on = False
        print(
            f"The training cannot be kept in {self.path.parent.absolute()} "
            f"({reason}): it goes on, and could not be resumed after a stop. "
            "Make room or allow writing there, and run this cell again."
        )


def _load(parts: Iterable[Any], states: Iterable[dict[str, Any] | None]) -> None:
    for part, state in zip(parts, states, strict=True):
        if state is not None:
            part.load_state_dict(state)


def _is_network(part: Any) -> bool:
    """Return True for a network, or for the running average of one."""
    return isinstance(part, nn.Module) or isinstance(getattr(part, "module", None), nn.Module)


def _require_room(folder: Path, states: list[Any]) -> None:
    """Raise an OSError if the disk is too full: PyTorch, stopped half-way, writes to stderr."""
    needed, free = _size(states) + _SPARE, shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(f"{needed / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB are free")


def _size(value: Any) -> int:
    """Return the bytes of all tensors in nested dictionaries and lists."""
    if isinstance(value, torch.Tensor):
        return value.nbytes
    if isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return 0
    return sum(map(_size, value))
