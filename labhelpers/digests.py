"""Tell whether two trainings are the same: digests of code, recipe, data, weights and numbers."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from types import CodeType, FrameType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from labhelpers.codes import instructions_of

__all__ = ["code_digest", "digest", "package_digest"]

_HERE = Path(__file__).resolve().parent
_LIBRARY_FOLDERS = {"site-packages", "dist-packages"}
_SIMPLE = (type(None), bool, int, float, complex, str, bytes, range, torch.device, torch.dtype)


def digest(*values: Any) -> str:
    """Return a short text that is the same, in any process, for values that are the same.

    Tensors count by their numbers, networks by their weights, settings and code, functions and
    classes by their code and by all that it reads: other functions, classes and values, and so on.
    Comments, line numbers and file names do not count. Functions of libraries count by their names.
    """
    writer = _Writer()
    writer.add(values)
    return writer.digest()


def code_digest(frame: FrameType) -> str:
    """Return the digest of a running function's code and of all that it reads, as `digest` does.

    Args:
        frame: That of the function, or of a cell of a notebook.
    """
    writer = _Writer()
    writer.add_code(frame.f_code, frame.f_globals)
    return writer.digest()


@functools.cache
def package_digest() -> str:
    """Return a digest of the modules of this package itself, without its subpackages."""
    files = sorted(_HERE.glob("*.py"))
    return digest([file.read_bytes().replace(b"\r\n", b"\n") for file in files])


class _Writer:
    """Feeds a hash with what values are."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self._numbers: dict[Any, int] = {}  # of what was written before: trainings share tensors
        self._alive: list[Any] = []  # what has a number: another object may not get its address

    def digest(self) -> str:
        return self._hash.hexdigest()

    def add(self, value: Any) -> None:
        """Write any value, each object once."""
        if isinstance(value, _SIMPLE):
            self._write(type(value).__name__, repr(value))
        elif isinstance(value, (tuple, torch.Size)):
            self._write("tuple", len(value))
            for part in value:
                self.add(part)
        elif isinstance(value, (set, frozenset)):
            self._write("set", *sorted(map(digest, value)))  # their order differs by process
        elif isinstance(value, CodeType):
            self._add_one_code(value)
        elif self._is_new(value):
            self._add_object(value)

    def add_code(self, code: CodeType, names: dict[str, Any]) -> None:
        """Write code and the values of the names that it reads in `names`."""
        self._add_one_code(code)
        for name in sorted(_names_read(code)):
            if name in names:
                self._write("name", name)
                self.add(names[name])

    def _add_one_code(self, code: CodeType) -> None:
        self._write("code", code.co_code.hex(), code.co_argcount, code.co_kwonlyargcount)
        self._write(*code.co_names, "|", *code.co_varnames, "|", *code.co_freevars)
        self.add(code.co_consts)

    def _is_new(self, value: Any) -> bool:
        # A network gives its weights as new tensors each time: their memory says which they are.
        key = (
            (value.data_ptr(), value.shape, value.stride(), value.dtype)
            if isinstance(value, Tensor)
            else id(value)
        )
        if key in self._numbers:
            self._write("seen", self._numbers[key])
            return False
        self._numbers[key] = len(self._numbers)
        self._alive.append(value)
        return True

    def _add_object(self, value: Any) -> None:
        if isinstance(value, Tensor):
            self._write("tensor", value.dtype, tuple(value.shape))
            numbers = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            self._hash.update(numbers.numpy().data)
        elif isinstance(value, np.ndarray):
            self._write("array", value.dtype, value.shape)
            self._hash.update(np.ascontiguousarray(value).tobytes())
        elif isinstance(value, list):
            self._write("list", len(value))
            for part in value:
                self.add(part)
        elif isinstance(value, dict):
            self._write("dict", len(value))
            for name, part in value.items():
                self.add(name)
                self.add(part)
        elif isinstance(value, ModuleType):
            self._add_module(value)
        elif isinstance(value, type):
            self._add_class(value)
        elif isinstance(value, FunctionType):
            self._add_function(value)
        elif isinstance(value, MethodType):
            self._write("method")
            self.add(value.__func__)
            self.add(value.__self__)
        elif isinstance(value, functools.partial):
            self._write("partial")
            self.add((value.func, value.args, value.keywords))
        else:
            self._add_instance(value)

    def _add_module(self, module: ModuleType) -> None:
        self._write("module", module.__name__)
        file = getattr(module, "__file__", None)
        if file and _is_own_file(file):
            self._hash.update(Path(file).read_bytes())

    def _add_class(self, one: type) -> None:
        self._write("class", one.__module__, one.__qualname__)
        if not _is_own(one.__module__):
            return
        self.add(one.__bases__)
        for name, value in sorted(vars(one).items()):
            if isinstance(value, property):
                value = value.fget, value.fset
            value = getattr(value, "__func__", value)
            if isinstance(value, FunctionType) or not name.startswith("__"):
                self._write("attribute", name)
                self.add(value)

    def _add_function(self, function: FunctionType) -> None:
        self._write("function", function.__qualname__)
        if not _is_own(function.__module__):
            self._write(function.__module__)
            return
        self.add((function.__defaults__, function.__kwdefaults__))
        for cell in function.__closure__ or ():
            try:
                self.add(cell.cell_contents)
            except ValueError:  # not assigned yet
                self._write("empty")
        self.add_code(function.__code__, function.__globals__)

    def _add_instance(self, value: Any) -> None:
        kind = type(value)
        self.add(kind)
        if isinstance(value, nn.Module):
            for layer in value.modules():
                self.add(type(layer))
                for name, part in sorted(vars(layer).items()):
                    if not name.startswith("_") and isinstance(part, (*_SIMPLE, tuple, list)):
                        self._write(name)
                        self.add(part)
            self.add(dict(value.state_dict()))
        elif isinstance(value, DataLoader):
            self.add((value.dataset, value.batch_size, value.drop_last, value.collate_fn))
            self.add((type(value.sampler), value.generator))
        elif isinstance(value, torch.Generator):
            self.add(value.get_state())
        elif (
            isinstance(value, Dataset)
            or dataclasses.is_dataclass(value)
            or _is_own(kind.__module__)
        ):
            self.add(dict(getattr(value, "__dict__", {})))
        elif callable(getattr(value, "state_dict", None)):  # an optimizer, a schedule, an average
            state = value.state_dict()
            self.add(dict(state) if isinstance(state, Mapping) else type(state))

    def _write(self, *texts: Any) -> None:
        for text in texts:
            data = str(text).encode()
            self._hash.update(b"%d:" % len(data) + data)


def _names_read(code: CodeType) -> set[str]:
    """Return the names that code, and what is defined within, reads outside of itself."""
    return {x.argval for x in instructions_of(code) if x.opname in ("LOAD_GLOBAL", "LOAD_NAME")}


def _is_own(module: str | None) -> bool:
    """Return True for what a student wrote: in a notebook, or in a file that is no library's."""
    if module in (None, "__main__"):
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is not None and _is_own_file(file)


def _is_own_file(file: str) -> bool:
    path = Path(file)
    return not (
        _LIBRARY_FOLDERS.intersection(path.parts)
        or path.is_relative_to(sysconfig.get_path("stdlib"))
        or path.is_relative_to(_HERE)
    )
