"""Let a cell that needs an answer wait for it: one quiet line in place of a traceback."""

from __future__ import annotations

import ast
import dis
import json
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from html import escape
from types import CodeType, FunctionType
from typing import Any

from IPython import get_ipython

from labhelpers.codes import code_within
from labhelpers.repair.locate import LocateError, find_releases
from labhelpers.repair.slots import defined_names, normal
from labhelpers.session import is_graded, show

__all__ = ["NotThereYet", "is_written", "wait_quietly"]

# Names in the code of a template, that of a network's `__init__` included.
_UNTOUCHED = frozenset({"NotImplementedError", "super", "__init__"})


class NotThereYet(Exception):
    """Something that a cell needs was not made yet; the message is all that is shown of it."""


def wait_quietly() -> None:
    """From now on, say in one line what a cell waits for, where it needs an unwritten exercise.

    A cell that calls a given function, a training for instance, is not started as long as an
    exercise that the function calls is not written. Any other cell runs as far as it gets. Both
    count as run, so that "Run All" goes on to the cells that do not need the answer. Other errors
    are shown as ever; names that the failed cell would have made are waited for, too. So are those
    that a cell of the released notebook makes which did not run since the kernel started.

    Nothing changes while nbgrader grades or validates, and outside of a notebook.
    """
    shell = get_ipython()
    if shell is None or is_graded():
        return
    if any(isinstance(one, _Gate) for one in shell.ast_transformers):
        return  # the set-up cell runs again
    gate = _Gate(shell)
    shell.ast_transformers.append(gate)
    shell.events.register("post_run_cell", gate.after)
    show = shell.showtraceback

    def showtraceback(*args: Any, **options: Any) -> None:
        if not gate.explains(sys.exc_info()[1]):
            show(*args, **options)

    shell.showtraceback = showtraceback


def is_written(value: object) -> bool:
    """Return False if a function, or a method of a class, may still raise what its template does.

    What stands behind a `return` is not reached and does not count.
    """
    return not any(_is_template(code) for code in _codes(value))


class _Gate(ast.NodeTransformer):
    """Looks at each cell: before it runs, at its error, and at the names that it did not make."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._reasons: dict[str, str] = {}  # by name that a cell did not make: what it waits for
        self._reason = ""  # what the cell that runs waits for
        self._explained: BaseException | None = None

    def visit(self, node: ast.AST) -> Any:
        """Empty a cell that calls a given function which needs an unwritten exercise."""
        if isinstance(node, ast.Module):
            for name in _called(node):
                if missing := self._unwritten(name):
                    self._say(self._not_written(*missing))
                    self._reasons |= dict.fromkeys(_stored(node), self._reason)
                    node.body = []
                    break
        return node

    def explains(self, error: BaseException | None) -> bool:
        """Say what the cell waits for and return True, if that is the reason for its error."""
        reason = ""
        if isinstance(error, NotThereYet):
            reason = str(error)
        elif type(error) is NameError:
            name = error.name or ""
            reason = self._reasons.get(name, "")
            if not reason and getattr(_raised_by(error), "co_name", "").startswith("<"):
                reason = self._not_made(name)
        elif isinstance(error, NotImplementedError):
            code = _raised_by(error)
            owner = [
                name
                for name, value in self._shell.user_ns.items()
                if _is_own(value) and code in [*_codes(value)]
            ]
            if owner and code and _is_template(code):
                reason = self._not_written(owner[0])
        if reason:
            self._explained = error
            self._say(reason)
        return bool(reason)

    def after(self, result: Any) -> None:
        """Remember what a failed cell did not make, and count one that waits as run."""
        if error := result.error_before_exec or result.error_in_exec:
            cell, kind = result.info.raw_cell, type(error).__name__
            try:
                names = _stored(self._parsed(cell))
            except SyntaxError:
                names = defined_names(cell)
            for name in names:
                failed = f"This cell waits for {name}: the cell that makes it failed ({kind})."
                self._reasons[name] = self._reason or failed
            if error is self._explained:
                result.error_in_exec = None
        self._reason, self._explained = "", None

    def _say(self, reason: str) -> None:
        self._reason = reason
        text = re.sub("`([^`]+)`", r"<code>\1</code>", escape(reason))
        show(reason, f"<div style='opacity:0.75'>{text}</div>", {"waits": True})

    def _not_written(self, *names: str) -> str:
        codes = [code for name in names for code in _codes(self._shell.user_ns[name])]
        begun = [code for code in codes if not _UNTOUCHED.issuperset(code.co_names)]
        verb = "is" if len(names) == 1 else "are"
        rest = ": a line still raises NotImplementedError" if any(map(_is_template, begun)) else ""
        return f"This cell waits for {' and '.join(names)}, which {verb} not written yet{rest}."

    def _not_made(self, name: str) -> str:
        """Say which cell of the released notebook makes a name; "" if none does, or if it ran."""
        ran = [normal(cell) for cell in self._shell.history_manager.input_hist_raw]
        sources = _notebook_of(ran)
        if ran[-1] in sources:
            sources = sources[: sources.index(ran[-1])]
        cells = [self._parsed(source) for source in sources]
        trainings = {
            node.name
            for cell in cells
            for node in cell.body
            if isinstance(node, ast.FunctionDef) and "TrainingRun" in ast.unparse(node)
        }
        for source, cell in zip(reversed(sources), reversed(cells), strict=True):
            lines = [one.lineno for one in cell.body if name in _stored(ast.Module([one], []))]
            if lines and source not in ran:
                line = textwrap.shorten(source.split("\n")[lines[0] - 1], 60, placeholder=" ...")
                is_training = not trainings.isdisjoint(_called(cell))
                loads = "; a training that is kept is loaded, not repeated" if is_training else ""
                return (
                    f"This cell waits for {name}, which nothing has made since the kernel started: "
                    f"run the cell with `{line}`, or all cells above this one{loads}."
                )
        return ""

    def _parsed(self, cell: str) -> ast.Module:
        return ast.parse(self._shell.transform_cell(cell))

    def _unwritten(self, function: str) -> list[str]:
        """Return the unwritten exercises that a function of the notebook calls, itself left out."""
        names = self._shell.user_ns
        if not isinstance(names.get(function), FunctionType) or not _is_own(names[function]):
            return []
        seen, waiting, missing = {function}, [function], []
        while waiting:
            for code in _codes(names[waiting.pop()]):
                for name in code.co_names:
                    if name not in seen and _is_own(names.get(name)):
                        seen.add(name)
                        waiting.append(name)
                        if not is_written(names[name]):
                            missing.append(name)
        return missing


def _called(cell: ast.Module) -> list[str]:
    """Return the names of functions that a cell itself calls, not those that it defines do."""
    names = []
    nodes: list[ast.AST] = [*cell.body]
    while nodes:
        node = nodes.pop(0)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            names.append(node.func.id)
        nodes += ast.iter_child_nodes(node)
    return names


def _stored(cell: ast.AST) -> set[str]:
    """Return the names that a cell imports, assigns or defines, without those within functions."""
    names = set()
    for node in ast.iter_child_nodes(cell):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif not isinstance(node, (ast.Lambda, ast.comprehension)):
            names |= _stored(node)
    return names


def _notebook_of(ran: Sequence[str]) -> list[str]:
    """Return the code cells of the released notebook that most of the cells that ran are of."""
    try:
        releases = find_releases().values()
    except LocateError:
        return []
    notebooks = [
        [
            normal("".join(cell["source"]))
            for cell in json.loads(release.notebook)["cells"]
            if cell["cell_type"] == "code"
        ]
        for release in releases
    ]
    return max(notebooks, key=lambda cells: len({*ran} & {*cells}))


def _is_own(value: object) -> bool:
    """Return True for a function or class of the notebook."""
    return isinstance(value, (FunctionType, type)) and value.__module__ == "__main__"


def _codes(value: object) -> Iterator[CodeType]:
    """Yield the code of a function, or of the methods of a class, with what is defined within."""
    if isinstance(value, type):
        for attribute in vars(value).values():
            yield from _codes(getattr(attribute, "__func__", attribute))
    elif isinstance(value, FunctionType):
        yield from code_within(value.__code__)


def _is_template(code: CodeType) -> bool:
    instructions = dis.get_instructions(code)
    return any(instruction.argval == "NotImplementedError" for instruction in instructions)


def _raised_by(error: BaseException) -> CodeType | None:
    """Return the code in which an error was raised."""
    traceback = error.__traceback__
    while traceback and traceback.tb_next:
        traceback = traceback.tb_next
    return traceback.tb_frame.f_code if traceback else None
