"""The places of a released notebook: what stands there, and what a submission may have there."""

from __future__ import annotations

import copy
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labhelpers.repair.reading import VALID_ID, Cell
from labhelpers.repair.release import Release, ReleasedCell

if TYPE_CHECKING:  # nbformat takes seconds to import, and the checks need only what is of texts
    from nbformat import NotebookNode

__all__ = [
    "Slot",
    "build_notebook",
    "defined_names",
    "digest",
    "has_imports",
    "normal",
    "slots_of",
]

_DEFINED = re.compile(r"^(?:(?:async +)?def|class) +(\w+)|^(\w+) *=(?!=)", re.MULTILINE)


@dataclass(eq=False, frozen=True)
class Slot:
    """The place of a cell in the release.

    Attributes:
        rank: Its number in the order of the release.
        name: Its grade id, empty without.
        kind: `check`, `given` (locked, without points), `answer` (code), `written` (text) or
            `plain`.
        cell: As it goes into the repaired notebook.
        texts: Its texts as released and as in the gradebook, as `normal` returns them.
        defines: Names of functions and classes, for an answer.
    """

    rank: int
    name: str
    kind: str
    cell: NotebookNode
    texts: frozenset[str]
    defines: frozenset[str]

    @property
    def ordered(self) -> bool:
        """Whether the order of running matters: all named code, and imports."""
        return self.cell.cell_type == "code" and (bool(self.name) or self.imports)

    @property
    def imports(self) -> bool:
        """Whether it is a cell of imports that students may change."""
        return (
            self.kind == "plain" and self.cell.cell_type == "code" and has_imports(self.cell.source)
        )

    @property
    def elsewhere(self) -> str:
        """Text of an answer cell whose answer is in the cell of another exercise."""
        return f"# Written in another cell: {', '.join(sorted(self.defines))}"

    def untouched_by(self, cell: Cell) -> bool:
        """Return True if a cell says no more than the release: its text, or nothing."""
        text = normal(cell.source)
        return not text or text in self.texts or text == self.elsewhere

    @property
    def title(self) -> str:
        """What sentences call it."""
        if self.kind == "check":
            return f"The check of {self.name.removeprefix('check-')}"
        if self.kind == "plain":
            return f"The cell {self.cell.id}"
        return f"The {'answer' if self.kind in ('answer', 'written') else 'given'} cell {self.name}"


def has_imports(source: str) -> bool:
    """Return True if a line of a cell begins with an import."""
    return re.search(r"^(?:import|from) ", source, re.MULTILINE) is not None


def defined_names(source: str) -> set[str]:
    """Return the functions, classes and variables that a cell defines."""
    return {name or other for name, other in _DEFINED.findall(source)}


def normal(text: str) -> str:
    """Return a text without spaces at the ends of its lines and empty lines around it."""
    return "\n".join(line.rstrip() for line in text.strip().split("\n"))


def digest(text: str) -> str:
    """Return a short digest of a cell's text, the same for texts that `normal` makes the same."""
    return hashlib.sha256(normal(text).encode()).hexdigest()[:16]


def slots_of(release: Release) -> list[Slot]:
    """Return the places of a release in its order."""
    import nbformat

    named = {cell.grade_id: cell for cell in release.cells}
    notebook = nbformat.reads(release.notebook, as_version=4)
    slots: list[Slot] = []
    seen = set()
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if name in named:
            slots.append(_named_slot(len(slots), named[name], cell))
            seen.add(name)
        else:
            cell.metadata.pop("nbgrader", None)
            texts = frozenset({normal(cell.source)})
            slots.append(Slot(len(slots), "", "plain", _bare(cell), texts, frozenset()))
    for name, released in named.items():
        if name not in seen:  # the file is older than the gradebook
            slots.append(_named_slot(len(slots), released, nbformat.v4.new_code_cell(id=name)))
    return slots


def _named_slot(rank: int, released: ReleasedCell, cell: NotebookNode) -> Slot:
    from nbformat import v4

    texts = frozenset({normal(released.source)} | ({normal(cell.source)} - {""}))
    make = v4.new_code_cell if released.cell_type == "code" else v4.new_markdown_cell
    metadata = {key: value for key, value in cell.metadata.items() if key != "nbgrader"}
    settings: dict[str, Any] = {
        "cell_type": released.cell_type,
        "grade": released.grade,
        "grade_id": released.grade_id,
        "locked": released.locked,
        "schema_version": 3,
        "solution": released.solution,
        "task": released.task,
    }
    if released.grade or released.task:
        settings["points"] = released.points
    if released.checksum:
        settings["checksum"] = released.checksum
    restored = make(released.source, id=cell.id, metadata={**metadata, "nbgrader": settings})
    if released.task or (released.solution and released.cell_type == "markdown"):
        kind = "written"
    elif released.solution:
        kind = "answer"
    else:
        kind = "check" if released.grade else "given"
    defines = frozenset(defined_names(released.source) if kind == "answer" else ())
    return Slot(rank, released.grade_id, kind, restored, texts, defines)


def _bare(cell: NotebookNode) -> NotebookNode:
    if cell.cell_type == "code":
        cell.outputs, cell.execution_count = [], None
    return cell


def build_notebook(
    release: Release,
    slots: list[Slot],
    cells: list[tuple[Cell, Slot | None]],
    outputs: bool = False,
) -> NotebookNode:
    """Return the notebook of these cells, the release itself if there are none."""
    import nbformat
    from nbformat import v4

    notebook = nbformat.reads(release.notebook, as_version=4)
    if not cells:
        notebook.cells = [slot.cell for slot in slots]
        return notebook
    ids = {slot.cell.id for slot in slots}
    notebook.cells = []
    for cell, slot in cells:
        if slot:
            built = copy.deepcopy(slot.cell)
            if slot.kind != "check" and slot.kind != "given":
                built.source = cell.source
        else:
            make = {"code": v4.new_code_cell, "markdown": v4.new_markdown_cell}
            name = cell.id if VALID_ID.fullmatch(cell.id) and cell.id not in ids else ""
            number = len(notebook.cells)
            while not name or name in ids:
                name, number = f"added-{number}", number + 1
            ids.add(name)
            built = make.get(cell.cell_type, v4.new_raw_cell)(cell.source, id=name)
        if cell.attachments and built.cell_type != "code":
            built["attachments"] = nbformat.from_dict(cell.attachments)
        if outputs and built.cell_type == "code":
            built.execution_count = cell.execution_count
            built.outputs = _valid(cell.outputs)
        notebook.cells.append(built)
    return notebook


def _valid(outputs: list[Any]) -> list[NotebookNode]:
    """Return outputs of a code cell, none if there is something wrong with one."""
    import nbformat

    try:
        return nbformat.v4.new_code_cell(
            outputs=nbformat.from_dict(outputs)
        ).outputs  # it validates them
    except nbformat.ValidationError:
        return []
