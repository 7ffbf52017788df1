"""Restore a submitted notebook against the release, without touching answers."""

import json
import re
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode, v4
from nbgrader.utils import compute_checksum

from labhelpers.instructor.course.nbgrader import grade_id
from labhelpers.instructor.grading.authority import Release, ReleasedCell
from labhelpers.instructor.grading.reading import (
    VALID_ID,
    Cell,
    NotANotebook,
    Submitted,
    merge_sides,
    read_submitted,
)

__all__ = ["Repaired", "repair", "repair_file"]

_LARGEST = 128 * 2**20  # bytes

_SKIPPED = "skip-execution"  # the tag of a cell that nbclient does not run
_DEFINED = re.compile(r"^(?:(?:async +)?def|class) +(\w+)|^(\w+) *=(?!=)", re.MULTILINE)
# A cell that goes on within what the one above it began, behind empty lines.
_CONTINUED = re.compile(r"(?:[ \t]*\n)*(?:[ \t]+\S|[)\]}]|(?:elif|else|except|finally)\b)")
_SETTINGS = ("grade", "solution", "locked", "task", "points")


@dataclass(frozen=True)
class Repaired:
    """A notebook that is fit to be graded.

    Attributes:
        notebook: Its named cells are those of the release, once each.
        repairs: What was repaired, one sentence each, for student and instructor.
        flags: What a person should look at, one sentence each.
    """

    notebook: NotebookNode
    repairs: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


def repair(content: bytes, release: Release) -> Repaired:
    """Return a submitted file as a notebook that is fit to be graded.

    Each cell of the release that has a name is there once, with the text of the release if it is
    locked and the student's if it is an answer; a check stands behind the answers that it needs.
    Other cells stay in place. Outputs and foreign metadata are left out.

    Args:
        content: The file.
        release: What was released.

    Returns:
        The notebook; the untouched release with a flag if the file is no notebook of this
        assignment. Nothing in the file makes it raise.
    """
    try:
        readings = read_submitted(content)
    except NotANotebook as error:
        return _untouched_release(release, str(error))
    attempts = [_Repair(release, _slots(release), reading) for reading in readings]
    return max(attempts, key=lambda attempt: attempt.answered).result


def repair_file(path: Path, release: Release) -> Repaired:
    """Return a submitted file as a notebook that is fit to be graded, as `repair` does.

    A link is not followed, for it may lead to another's work, and a file of more than 128 MB is
    not read.
    """
    if path.is_symlink():
        return _untouched_release(release, f"{path.name} is a link, no file; it was not followed.")
    if path.stat().st_size > _LARGEST:
        return _untouched_release(release, f"{path.name} has more than 128 MB; it was not read.")
    return repair(path.read_bytes(), release)


def _untouched_release(release: Release, flag: str) -> Repaired:
    return Repaired(_build(release, _slots(release), []), (), (flag,))


@dataclass(eq=False, frozen=True)
class _Slot:
    """The place of a cell in the release."""

    rank: int
    name: str  # its grade id, empty without
    kind: str  # check, given (locked, without points), answer (code), written (text), plain
    cell: NotebookNode  # as it goes into the repaired notebook
    texts: frozenset[str]  # its texts as released and as in the gradebook, normalised
    defines: frozenset[str]  # names of functions and classes, for an answer

    @property
    def ordered(self) -> bool:
        """Whether the order of running matters: all named code, and imports."""
        return self.cell.cell_type == "code" and (bool(self.name) or self.imports)

    @property
    def imports(self) -> bool:
        return self.kind == "plain" and self.cell.cell_type == "code" and _imports(self.cell.source)

    @property
    def elsewhere(self) -> str:
        """Text of an answer cell whose answer is in the cell of another exercise."""
        return f"# Written in another cell: {', '.join(sorted(self.defines))}"

    @property
    def title(self) -> str:
        """What sentences call it."""
        if self.kind == "check":
            return f"The check of {self.name.removeprefix('check-')}"
        if self.kind == "plain":
            return f"The cell {self.cell.id}"
        return f"The {'answer' if self.kind in ('answer', 'written') else 'given'} cell {self.name}"


def _imports(source: str) -> bool:
    return re.search(r"^(?:import|from) ", source, re.MULTILINE) is not None


def _defines(source: str) -> set[str]:
    """Return the functions, classes and variables that a cell defines."""
    return {name or other for name, other in _DEFINED.findall(source)}


def _normal(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().split("\n"))


def _slots(release: Release) -> list[_Slot]:
    named = {cell.grade_id: cell for cell in release.cells}
    notebook = nbformat.reads(release.notebook, as_version=4)
    slots: list[_Slot] = []
    seen = set()
    for cell in notebook.cells:
        name = grade_id(cell) or ""
        if name in named:
            slots.append(_named_slot(len(slots), named[name], cell))
            seen.add(name)
        else:
            cell.metadata.pop("nbgrader", None)
            texts = frozenset({_normal(cell.source)})
            slots.append(_Slot(len(slots), "", "plain", _bare(cell), texts, frozenset()))
    for name, released in named.items():
        if name not in seen:  # the file is older than the gradebook
            slots.append(_named_slot(len(slots), released, v4.new_code_cell(id=name)))
    return slots


def _named_slot(rank: int, released: ReleasedCell, cell: NotebookNode) -> _Slot:
    texts = frozenset({_normal(released.source)} | ({_normal(cell.source)} - {""}))
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
    restored = make(released.source, id=cell.id, metadata={**metadata, "nbgrader": settings})
    restored.metadata.nbgrader.checksum = compute_checksum(restored)
    if released.task or (released.solution and released.cell_type == "markdown"):
        kind = "written"
    elif released.solution:
        kind = "answer"
    else:
        kind = "check" if released.grade else "given"
    defines = frozenset(_defines(released.source) if kind == "answer" else ())
    return _Slot(rank, released.grade_id, kind, restored, texts, defines)


def _bare(cell: NotebookNode) -> NotebookNode:
    if cell.cell_type == "code":
        cell.outputs, cell.execution_count = [], None
    return cell


class _Repair:
    """One reading of a submission on its way to a repaired notebook."""

    def __init__(self, release: Release, slots: list[_Slot], submitted: Submitted) -> None:
        self.repairs = [*submitted.repairs]
        self.flags = [*submitted.flags]
        self.slots = slots
        self.cells = submitted.cells
        self.named = {slot.name: slot for slot in slots if slot.name}
        self.slot_of: dict[Cell, _Slot] = {}  # which cells are (pieces of) which released cell
        self.name_of = {cell: _name(cell) for cell in self.cells}
        self.foreign = {name for names in release.others.values() for name in names}
        if other := self._other_notebook(release):
            self.flags.append(
                f"This is notebook {other}, handed in as {release.assignment}; "
                "nothing of it was graded."
            )
            self.cells = []
        else:
            self._match()
            self._settle()
            self._order()
        self.result = Repaired(
            _build(release, slots, [(cell, self.slot_of.get(cell)) for cell in self.cells]),
            tuple(dict.fromkeys(self.repairs)),
            tuple(dict.fromkeys(self.flags)),
        )
        self.answered = sum(
            slot.kind in ("answer", "written") and not self._untouched(cell)
            for cell, slot in self.slot_of.items()
        )

    # Which notebook, and which cell is which.

    def _other_notebook(self, release: Release) -> str | None:
        """Return the assignment whose notebook this is, None if it is the right one."""
        named = [slot for slot in self.slots if slot.name and slot.kind != "written"]
        graded = [slot for slot in named if slot.kind != "given"]

        def count(marks: Iterable[str]) -> int:
            marks = set(marks)
            return sum(
                name in marks or cell.source.strip() in marks for cell, name in self.name_of.items()
            )

        if count(text for slot in graded for text in (slot.name, *slot.texts)):
            return None
        counts = {name: count(marks) for name, marks in release.others.items()}
        other = max(counts, key=lambda name: counts[name], default=None)
        own = count(text for slot in named for text in (slot.name, *slot.texts))
        return other if other and counts[other] > own else None

    def _match(self) -> None:
        """Find the released cell of each submitted cell, where it has one."""
        by_text: dict[str, list[_Slot]] = defaultdict(list)
        for slot in self.slots:
            for text in slot.texts:
                by_text[text].append(slot)
        merged = [cell for cell in self.cells if self._end_merge(cell, by_text)]
        self._match_names(by_text)
        self._match_texts(by_text)
        self._match_definitions()
        self._match_ids()
        self._match_renamed()
        self._match_imports()
        self._match_written()
        self._report_names()
        for cell in merged:
            title = found.title if (found := self.slot_of.get(cell)) else "A cell"
            self.repairs.append(f"{title} held an unfinished merge; one side of it was taken.")
            self.flags.append(f"{title} held an unfinished merge; see which side counts.")

    def _end_merge(self, cell: Cell, released: Container[str]) -> bool:
        """Take one side of an unfinished merge within a cell, rather not that of the release."""
        sides = merge_sides(cell.source)
        if sides:
            cell.source = next((one for one in sides if _normal(one) not in released), sides[0])
        return sides is not None

    def _match_names(self, by_text: dict[str, list[_Slot]]) -> None:
        folded = {name.casefold(): slot for name, slot in self.named.items()}
        for cell, name in self.name_of.items():
            slot = self.named.get(name) or folded.get(name.strip().casefold())
            if not slot:
                continue
            text = _normal(cell.source)
            if text in slot.texts:
                self.slot_of[cell] = slot
                continue
            same = [one for one in by_text.get(text, ()) if one.name]
            defined = self._defined(cell)
            if len(same) == 1:  # the name of one cell on the text of another
                slot = same[0]
            elif slot.kind in ("check", "given") and defined:
                continue  # an answer that was written into a locked cell: see _match_definitions
            elif slot.kind == "answer" and defined and slot not in defined:
                slot = defined[0]
            self.slot_of[cell] = slot

    def _defined(self, cell: Cell) -> list[_Slot]:
        """Return the answers whose function or class a cell defines."""
        names = _defines(cell.source)
        return [slot for slot in self.slots if names & slot.defines] if names else []

    def _is_foreign(self, cell: Cell) -> bool:
        return self.name_of.get(cell) in self.foreign

    def _pieces(self) -> dict[_Slot, list[Cell]]:
        pieces: dict[_Slot, list[Cell]] = defaultdict(list)
        for cell in self.cells:
            if slot := self.slot_of.get(cell):
                pieces[slot].append(cell)
        return pieces

    def _match_texts(self, by_text: dict[str, list[_Slot]]) -> None:
        taken = set(self.slot_of.values())
        for cell in self.cells:
            if cell in self.slot_of:
                continue
            for slot in by_text.get(_normal(cell.source), ()):
                if slot not in taken and cell.source.strip():
                    self.slot_of[cell] = slot
                    taken.add(slot)
                    break

    def _match_definitions(self) -> None:
        pieces = self._pieces()
        for cell, name in self.name_of.items():
            if cell in self.slot_of:
                continue
            for slot in self._defined(cell):
                if any(not self._untouched(piece, slot) for piece in pieces.get(slot, ())):
                    continue
                if name in self.foreign:
                    self.flags.append(f"A cell of another notebook ({name}) defines {slot.name}.")
                    continue
                self.slot_of[cell] = slot
                break
        for cell, name in self.name_of.items():
            if cell not in self.slot_of and name in self.named:
                self.slot_of[cell] = self.named[name]  # a changed locked cell

    def _match_ids(self) -> None:
        taken = set(self.slot_of.values())
        by_id = {slot.cell.id: slot for slot in self.slots if slot.kind not in ("check", "given")}
        for cell, name in self.name_of.items():
            slot = by_id.get(cell.id)
            if cell in self.slot_of or not slot or slot in taken or name in self.foreign:
                continue
            if cell.source.strip() or slot.name or slot.imports:
                self.slot_of[cell] = slot
                taken.add(slot)

    def _match_renamed(self) -> None:
        """Recognise the other pieces of a cell whose name was changed."""
        renamed = {
            name: slot
            for cell, slot in self.slot_of.items()
            if (name := self.name_of[cell]) and slot.name and name not in self.named
        }
        for cell, name in self.name_of.items():
            if cell not in self.slot_of and name in renamed:
                self.slot_of[cell] = renamed[name]

    def _match_imports(self) -> None:
        """Recognise imports that were changed, by the lines that are still there."""
        taken = set(self.slot_of.values())
        for slot in self.slots:
            if not slot.imports or slot in taken:
                continue
            lines = {line for text in slot.texts for line in text.split("\n")}
            for cell in self.cells:
                if cell in self.slot_of or len(cell.source) > 100_000:
                    continue
                kept = lines & set(_normal(cell.source).split("\n"))
                if 2 * len(kept) >= len(lines):
                    self.slot_of[cell] = slot
                    break

    def _match_written(self) -> None:
        """Find written answers in cells without a name, by the cells around them."""
        for slot in self.slots:
            pieces = self._pieces()
            if slot.kind != "written" or any(
                not self._untouched(piece, slot) for piece in pieces.get(slot, ())
            ):
                continue
            place = {cell: index for index, cell in enumerate(self.cells)}
            before = [one for one in self.slots[: slot.rank] if one in pieces]
            behind = [one for one in self.slots[slot.rank + 1 :] if one in pieces]
            start = place[pieces[before[-1]][-1]] + 1 if before else 0
            stop = place[pieces[behind[0]][0]] if behind else len(self.cells)
            between = [
                cell
                for cell in self.cells[start:stop]
                if cell not in self.slot_of and cell.source.strip() and not self._is_foreign(cell)
            ]
            texts = [cell for cell in between if cell.cell_type != "code"]
            if not texts and slot not in pieces:
                # Code is an answer only where the question stands before it.
                texts = (before[-1:] == [self.slots[slot.rank - 1]] and between) or (
                    self._only_text()
                )
                if not texts:
                    self.flags.append(
                        f"{slot.title} is missing; see whether another cell holds the answer."
                    )
            for cell in texts:
                self.slot_of[cell] = slot

    def _only_text(self) -> list[Cell]:
        """Return the only cell with text that is not of the release, if there is just one."""
        own = [
            cell
            for cell in self.cells
            if cell.cell_type != "code" and cell not in self.slot_of and cell.source.strip()
        ]
        return own if len(own) == 1 else []

    def _report_names(self) -> None:
        lost = [
            slot
            for cell, name in self.name_of.items()
            if (slot := self.slot_of.get(cell)) and slot.name and slot.name != name
        ]
        if lost and len(lost) >= len(self.named) / 2 and not any(self.name_of.values()):
            self.repairs.append(
                "The notebook had lost what nbgrader knows of its cells; they were recognised by "
                "their content."
            )
        else:
            self.repairs += [
                f"{slot.title} did not carry its name; it was recognised by its content."
                for slot in lost
            ]
        old = False
        for cell, name in self.name_of.items():
            slot = self.slot_of.get(cell)
            settings = cell.metadata.get("nbgrader")
            if slot and slot.name and slot.name == name and isinstance(settings, dict):
                old |= settings.get("schema_version") != 3
                released = slot.cell.metadata.nbgrader
                if any(
                    settings.get(key, released.get(key)) != released.get(key) for key in _SETTINGS
                ):
                    self.repairs.append(
                        f"{slot.title} had other settings; it has those of the release again."
                    )
            elif name and not slot and _is_graded(settings):
                self.repairs.append(
                    f"A cell of another notebook ({name[:80]}) is an ordinary cell here."
                    if name in self.foreign
                    else f"A cell with the unknown name {name[:80]!r} is an ordinary cell here."
                )
        if any(_SKIPPED in _tags(cell) for cell in self.cells):
            self.repairs.append(
                f"The tag {_SKIPPED}, which keeps a cell from running, was removed."
            )
        if old:
            self.repairs.append("nbgrader's metadata were of another version; they were renewed.")

    # What each released cell says.

    def _untouched(self, cell: Cell, slot: _Slot | None = None) -> bool:
        """Return True if a cell says no more than the release: its text, or nothing."""
        slot = slot or self.slot_of[cell]
        text = _normal(cell.source)
        return not text or text in slot.texts or text == slot.elsewhere

    def _drop(self, cells: Iterable[Cell]) -> None:
        dropped = set(cells)
        self.cells = [cell for cell in self.cells if cell not in dropped]
        for cell in dropped:
            self.slot_of.pop(cell, None)

    def _settle(self) -> None:
        """Give each released cell its text and type, and leave one cell for it."""
        self.ranked: dict[Cell, _Slot] = {}  # cells whose order matters
        self.hosts = {slot: hosts for slot in self.slots if (hosts := self._find_hosts(slot))}
        for slot, pieces in self._pieces().items():
            if slot.kind in ("check", "given"):
                self._settle_locked(slot, pieces)
            elif slot.kind == "plain":
                self._settle_plain(slot, pieces[0])
            elif slot.kind == "answer":
                self._settle_answer(slot, pieces)
            else:
                self._settle_written(slot, pieces)
        for slot in reversed(self.slots):
            for cell in self.hosts.get(slot, ()):
                if cell not in self.ranked or self.ranked[cell].rank > slot.rank:
                    self.ranked[cell] = slot

    def _find_hosts(self, slot: _Slot) -> list[Cell]:
        """Return the cells of other exercises that hold the answer to one whose cell does not."""
        if slot.kind != "answer" or any(
            one is slot and not self._untouched(cell) for cell, one in self.slot_of.items()
        ):
            return []
        return [
            cell
            for cell in self.cells
            if (one := self.slot_of.get(cell)) is not slot
            and (one.kind == "answer" if one else cell.cell_type == "code")
            and slot in self._defined(cell)
            and not self._is_foreign(cell)
        ]

    def _settle_locked(self, slot: _Slot, pieces: list[Cell]) -> None:
        exact = [piece for piece in pieces if _normal(piece.source) in slot.texts]
        kept = exact or pieces[:1]
        for piece in pieces:
            text = _normal(piece.source)
            if piece not in kept and any(text in whole for whole in slot.texts):
                self._drop([piece])  # a part of it
            elif piece not in kept:
                del self.slot_of[piece]  # a copy that was changed: an ordinary cell
        if not exact:
            empty = not kept[0].source.strip()
            self.repairs.append(
                f"{slot.title} had been {'emptied' if empty else 'changed'}; "
                "it has the text of the release again."
            )
            self._keep_additions(slot, kept[0])
        elif kept[0].cell_type != slot.cell.cell_type:
            self.repairs.append(f"{slot.title} was not of type {slot.cell.cell_type}; it is again.")
        if len(pieces) > 1:
            self.repairs.append(f"{slot.title} was there {len(pieces)} times; one was kept.")
        for piece in kept:
            piece.cell_type, piece.source = slot.cell.cell_type, slot.cell.source
            self.ranked[piece] = slot

    def _keep_additions(self, slot: _Slot, cell: Cell) -> None:
        """Keep what a student wrote above or below a locked text, or imports within it."""
        text = _normal(cell.source)
        above, below = "", ""
        for whole in slot.texts:
            if whole in text:
                above, _, below = text.partition(whole)
                break
        else:
            lines = [line for line in text.split("\n") if _imports(line)]
            given = {line for whole in slot.texts for line in whole.split("\n")}
            above = "\n".join(line for line in lines if line not in given)
        place = self.cells.index(cell)
        added = [Cell(cell.cell_type, one.strip("\n")) for one in (above, below)]
        self.cells[place : place + 1] = [
            one for one in (added[0], cell, added[1]) if one is cell or one.source.strip()
        ]
        if above.strip() or below.strip():
            self.repairs.append(f"{slot.title} held other text, too; it is in a cell of its own.")

    def _settle_plain(self, slot: _Slot, cell: Cell) -> None:
        if not slot.imports:
            if cell.cell_type != slot.cell.cell_type:
                if self._untouched(cell, slot):
                    cell.cell_type = slot.cell.cell_type
                else:
                    del self.slot_of[cell]
            return
        if not cell.source.strip():
            cell.source = slot.cell.source
            self.repairs.append(f"{slot.title} had been emptied; it was put back.")
        if cell.cell_type != "code":
            cell.cell_type = "code"
            self.repairs.append(f"{slot.title} was not of type code; it is again.")
        self.ranked[cell] = slot

    def _settle_answer(self, slot: _Slot, pieces: list[Cell]) -> None:
        answers = [piece for piece in pieces if not self._untouched(piece, slot)]
        if not answers:
            self._keep_stub(slot, pieces)
            self.ranked[pieces[0]] = slot
            return
        for piece in answers:
            if piece.cell_type != "code":
                piece.cell_type = "code"
                self.repairs.append(f"{slot.title} was not of type code; it is again.")
        templates = [piece for piece in pieces if self._untouched(piece, slot)]
        self._drop(templates)
        whole = self._join(answers)
        if len(whole) < len(answers):
            self.repairs.append(f"{slot.title} had been split; its pieces were joined.")
        answers = whole
        if (times := self._copies(slot, [*templates, *answers])) > 1:
            self.repairs.append(f"{slot.title} was there {times} times; one carries its name.")
        defining = [piece for piece in answers if slot.defines & _defines(piece.source)] or answers
        if len({_normal(piece.source) for piece in defining}) == 1:
            defining = defining[:1]
        names = [name for piece in defining for name in _defines(piece.source)]
        if any(names.count(name) > 1 for name in slot.defines):
            self.flags.append(
                f"There were {len(defining)} different answers to {slot.name}; the last one before "
                "its check counts."
            )
        defining = self._before_check(slot, defining) or defining
        for piece in answers:
            del self.slot_of[piece]
        self.slot_of[defining[-1]] = slot
        self.ranked |= dict.fromkeys(defining, slot)

    def _copies(self, slot: _Slot, pieces: list[Cell]) -> int:
        """Return how many cells carry the name of a released cell, or an unknown one."""
        return sum(
            bool(name) and self.named.get(name, slot) is slot
            for name in map(self.name_of.__getitem__, pieces)
        )

    def _before_check(self, slot: _Slot, pieces: list[Cell]) -> list[Cell]:
        """Return the pieces before the check that comes next in the release."""
        check = next((one for one in self.slots[slot.rank :] if one.kind == "check"), None)
        place = {cell: index for index, cell in enumerate(self.cells)}
        checks = [place[cell] for cell, one in self.slot_of.items() if check and one is check]
        return [cell for cell in pieces if place[cell] < min(checks, default=len(place))]

    def _keep_stub(self, slot: _Slot, pieces: list[Cell]) -> None:
        if not any(piece.source.strip() for piece in pieces):
            self.repairs.append(f"{slot.title} had been emptied; it holds its template again.")
        if len(pieces) > 1:
            self.repairs.append(f"{slot.title} was there {len(pieces)} times; one was kept.")
        self._drop(pieces[1:])
        pieces[0].source, pieces[0].cell_type = self._template(slot), slot.cell.cell_type

    def _template(self, slot: _Slot) -> str:
        """Return the text of an untouched cell.

        It does not define again what the student wrote into the cell of another exercise.
        """
        if slot not in self.hosts:
            return slot.cell.source
        if slot.elsewhere not in [cell.source for cell in self.cells]:
            self.repairs.append(f"The answer to {slot.name} is in the cell of another exercise.")
        return slot.elsewhere

    def _join(self, pieces: list[Cell]) -> list[Cell]:
        """Join a piece that goes on within the definition of the one before it."""
        place = {cell: index for index, cell in enumerate(self.cells)}
        parts = set()
        for piece in pieces:
            index = place[piece] + 1
            while piece not in parts and index < len(self.cells):
                other = self.cells[index]
                if not (self.slot_of.get(other) is self.slot_of[piece] or self._is_own_code(other)):
                    break
                if not _CONTINUED.match(other.source):
                    break
                piece.source += "\n" + other.source
                parts.add(other)
                index += 1
        self._drop(parts)
        return [piece for piece in pieces if piece not in parts]

    def _settle_written(self, slot: _Slot, pieces: list[Cell]) -> None:
        answers = [piece for piece in pieces if not self._untouched(piece, slot)]
        if not answers:
            self._keep_stub(slot, pieces)
            return
        if len({_normal(piece.source) for piece in answers}) > 1:
            self.repairs.append(f"{slot.title} was in {len(answers)} pieces; they were joined.")
        elif (times := self._copies(slot, pieces)) > 1:
            self.repairs.append(f"{slot.title} was there {times} times; one was kept.")
        if any(piece.cell_type != slot.cell.cell_type for piece in answers):
            self.repairs.append(f"{slot.title} was not of type markdown; it is again.")
        first = answers[0]
        first.cell_type = slot.cell.cell_type
        first.source = "\n\n".join(dict.fromkeys(piece.source for piece in answers))
        for piece in answers:
            first.attachments = {**piece.attachments, **first.attachments}
        self._drop(piece for piece in pieces if piece is not first)

    # In which order.

    def _order(self) -> None:
        """Bring named code and imports into the order of the release, and put back what is gone."""
        ranked = [cell for cell in self.cells if cell in self.ranked]
        kept = self._in_order(ranked)
        moved: dict[_Slot, list[Cell]] = defaultdict(list)
        for cell in ranked:
            slot = self.ranked[cell]
            if cell in kept:
                continue
            if slot.kind in ("check", "given"):
                if any(self.ranked[other] is slot for other in kept) or moved[slot]:
                    self._drop([cell])  # a copy
                    continue
                moved[slot].append(cell)
            else:
                moved[slot] += [*self._helpers(cell), cell]
        for slot in {self.ranked[cell] for cell in kept}:
            if slot.kind in ("check", "given"):
                self._drop(
                    [cell for cell in ranked if cell in kept and self.ranked[cell] is slot][1:]
                )
        gone = {cell for cells in moved.values() for cell in cells}
        self.cells = [cell for cell in self.cells if cell not in gone]
        there = set(self.slot_of.values())
        for slot in self.slots:
            if moved[slot]:
                self._insert(slot, moved[slot])
                self.repairs.append(
                    f"{slot.title} stood before its answer; it was moved behind it."
                    if slot.kind == "check"
                    else f"{slot.title} stood at a wrong place; it was moved back."
                )
            elif slot not in there and (slot.name or slot.imports):
                cell = Cell(slot.cell.cell_type, self._template(slot))
                self.slot_of[cell] = slot
                if slot.ordered:
                    self.ranked[cell] = slot
                self._insert(slot, [cell])
                self.repairs.append(f"{slot.title} had been deleted; it was put back.")

    def _in_order(self, ranked: Sequence[Cell]) -> set[Cell]:
        """Return the heaviest choice of cells that stand in the order of the release.

        An answer weighs more than anything else, so that rather the cells around it are moved.
        """
        best: list[tuple[int, tuple[Any, ...] | None]] = [(0, None)] * (len(self.slots) + 1)
        for cell in ranked:
            slot = self.ranked[cell]
            weight = {"check": 1, "answer": 1000}.get(slot.kind, 10)
            if slot.kind == "answer" and self._untouched(cell, slot):
                weight = 5
            total, chain = max(best[: slot.rank + 1], key=lambda one: one[0])
            if total + weight > best[slot.rank][0]:
                best[slot.rank] = (total + weight, (cell, chain))
        kept = set()
        chain = max(best, key=lambda one: one[0])[1]
        while chain:
            kept.add(chain[0])
            chain = chain[1]
        return kept

    def _helpers(self, cell: Cell) -> list[Cell]:
        """Return the student's own code directly before an answer, which goes where it goes."""
        place = self.cells.index(cell)
        start = place
        while start and self._is_own_code(self.cells[start - 1]):
            start -= 1
        return self.cells[start:place]

    def _is_own_code(self, cell: Cell) -> bool:
        return cell.cell_type == "code" and cell not in self.slot_of and cell not in self.ranked

    def _insert(self, slot: _Slot, cells: list[Cell]) -> None:
        """Put cells where the release has them.

        What others need comes as early as possible; answers and checks as late as possible, so
        that they stand behind what the student added.
        """
        lower, upper = 0, len(self.cells)
        places: dict[int, int] = {}
        for index, cell in enumerate(self.cells):
            if slot.ordered and (other := self.ranked.get(cell)):
                if other.rank <= slot.rank:
                    lower = index + 1
                elif upper == len(self.cells):
                    upper = index
            if own := self.slot_of.get(cell):
                places[own.rank] = index
        if slot.kind in ("answer", "check"):
            later = (places.get(rank) for rank in range(slot.rank + 1, len(self.slots)))
            place = next((p for p in later if p is not None and lower <= p <= upper), upper)
        else:
            earlier = (places.get(rank) for rank in range(slot.rank - 1, -1, -1))
            place = next(
                (p + 1 for p in earlier if p is not None and lower <= p + 1 <= upper), lower
            )
        self.cells[place:place] = cells


def _name(cell: Cell) -> str:
    """Return a cell's grade id, empty without."""
    settings = cell.metadata.get("nbgrader")
    name = settings.get("grade_id") if isinstance(settings, dict) else None
    return name if isinstance(name, str) else ""


def _tags(cell: Cell) -> list[Any]:
    tags = cell.metadata.get("tags")
    return tags if isinstance(tags, list) else []


def _is_graded(settings: object) -> bool:
    return isinstance(settings, dict) and any(
        settings.get(key) for key in ("grade", "solution", "locked", "task")
    )


def _build(
    release: Release, slots: list[_Slot], cells: list[tuple[Cell, _Slot | None]]
) -> NotebookNode:
    """Return the notebook of these cells, the release itself if there are none."""
    notebook = nbformat.reads(release.notebook, as_version=4)
    if not cells:
        notebook.cells = [slot.cell for slot in slots]
        return notebook
    ids = {slot.cell.id for slot in slots}
    notebook.cells = []
    for cell, slot in cells:
        if slot:
            built = _copy(slot.cell)
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
        notebook.cells.append(built)
    return notebook


def _copy(cell: NotebookNode) -> NotebookNode:
    return nbformat.from_dict(json.loads(json.dumps(cell)))
