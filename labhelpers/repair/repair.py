"""Restore a submitted notebook against the release, without touching answers."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from labhelpers.repair.matching import OTHER_RELEASE, Matching, was_released
from labhelpers.repair.reading import (
    Cell,
    NotANotebook,
    Submitted,
    read_submitted,
)
from labhelpers.repair.release import Release
from labhelpers.repair.slots import (
    Slot,
    build_notebook,
    defined_names,
    has_imports,
    normal,
    slots_of,
)

__all__ = ["Repaired", "repair", "repair_file"]

_LARGEST = 128 * 2**20  # bytes

# A cell that goes on within what the one above it began, behind empty lines.
_CONTINUED = re.compile(r"(?:[ \t]*\n)*(?:[ \t]+\S|[)\]}]|(?:elif|else|except|finally)\b)")


@dataclass(frozen=True)
class Repaired:
    """A notebook that is fit to be graded.

    Attributes:
        notebook: Its named cells are those of the release, once each.
        repairs: What was repaired, one sentence each, for student and instructor: what was found,
            a semicolon, what was done.
        flags: What a person should look at, one sentence each.
    """

    notebook: NotebookNode
    repairs: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


def repair(content: bytes, release: Release, outputs: bool = False) -> Repaired:
    """Return a submitted file as a notebook that is fit to be graded.

    Each cell of the release that has a name is there once, with the text of the release if it is
    locked and the student's if it is an answer; a check stands behind the answers that it needs.
    Other cells stay in place. Foreign metadata are left out.

    Args:
        content: The file.
        release: What was released.
        outputs: Whether to keep what the cells put out, as far as it is valid.

    Returns:
        The notebook; the untouched release with a flag if the file is no notebook of this
        assignment. Nothing in the file makes it raise.
    """
    try:
        readings = read_submitted(content)
    except NotANotebook as error:
        return _untouched_release(release, str(error))
    attempts = [_Repair(release, slots_of(release), reading, outputs) for reading in readings]
    return max(attempts, key=lambda attempt: attempt.answered).result


def repair_file(path: Path, release: Release, outputs: bool = False) -> Repaired:
    """Return a submitted file as a notebook that is fit to be graded, as `repair` does.

    A link is not followed, for it may lead to another's work, and a file of more than 128 MB is
    not read.
    """
    if path.is_symlink():
        return _untouched_release(release, f"{path.name} is a link, no file; it was not followed.")
    if not path.is_file():
        return _untouched_release(release, f"{path.name} is no file; it was not read.")
    if path.stat().st_size > _LARGEST:
        return _untouched_release(release, f"{path.name} has more than 128 MB; it was not read.")
    return repair(path.read_bytes(), release, outputs)


def _untouched_release(release: Release, flag: str) -> Repaired:
    return Repaired(build_notebook(release, slots_of(release), []), (), (flag,))


class _Repair(Matching):
    """One reading of a submission on its way to a repaired notebook."""

    def __init__(
        self, release: Release, slots: list[Slot], submitted: Submitted, outputs: bool
    ) -> None:
        super().__init__(release, slots, submitted)
        if self.cells:
            self._settle()
            self._order()
        self.result = Repaired(
            build_notebook(
                release, slots, [(cell, self.slot_of.get(cell)) for cell in self.cells], outputs
            ),
            tuple(dict.fromkeys(self.repairs)),
            tuple(dict.fromkeys(self.flags)),
        )
        self.answered = sum(
            slot.kind in ("answer", "written") and not slot.untouched_by(cell)
            for cell, slot in self.slot_of.items()
        )

    # What each released cell says.

    def _drop(self, cells: Iterable[Cell]) -> None:
        dropped = set(cells)
        self.cells = [cell for cell in self.cells if cell not in dropped]
        for cell in dropped:
            self.slot_of.pop(cell, None)

    def _settle(self) -> None:
        """Give each released cell its text and type, and leave one cell for it."""
        self.ranked: dict[Cell, Slot] = {}  # cells whose order matters
        self.hosts = {slot: hosts for slot in self.slots if (hosts := self._find_hosts(slot))}
        for slot, pieces in self.pieces().items():
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

    def _find_hosts(self, slot: Slot) -> list[Cell]:
        """Return the cells of other exercises that hold the answer to one whose cell does not."""
        if slot.kind != "answer" or any(
            one is slot and not slot.untouched_by(cell) for cell, one in self.slot_of.items()
        ):
            return []
        return [
            cell
            for cell in self.cells
            if (one := self.slot_of.get(cell)) is not slot
            and (one.kind == "answer" if one else cell.cell_type == "code")
            and slot in self.defined(cell)
            and not self.is_foreign(cell)
        ]

    def _settle_locked(self, slot: Slot, pieces: list[Cell]) -> None:
        exact = [piece for piece in pieces if normal(piece.source) in slot.texts]
        kept = exact or pieces[:1]
        for piece in pieces:
            text = normal(piece.source)
            if piece not in kept and any(text in whole for whole in slot.texts):
                self._drop([piece])  # a part of it
            elif piece not in kept:
                del self.slot_of[piece]  # a copy that was changed: an ordinary cell
        if not exact and was_released(kept[0]):
            self.repairs.append(OTHER_RELEASE)
        elif not exact:
            empty = not kept[0].source.strip()
            self.repairs.append(
                f"{slot.title} has been {'emptied' if empty else 'changed'}; "
                "it has the text of the release again."
            )
            self._keep_additions(slot, kept[0])
        elif kept[0].cell_type != slot.cell.cell_type:
            self.repairs.append(
                f"{slot.title} is not of type {slot.cell.cell_type}; it was changed back."
            )
        if len(pieces) > 1:
            self.repairs.append(f"{slot.title} is there {len(pieces)} times; one was kept.")
        for piece in kept:
            piece.cell_type, piece.source = slot.cell.cell_type, slot.cell.source
            self.ranked[piece] = slot

    def _keep_additions(self, slot: Slot, cell: Cell) -> None:
        """Keep what a student wrote above or below a locked text, or imports within it."""
        text = normal(cell.source)
        above, below = "", ""
        for whole in slot.texts:
            if whole in text:
                above, _, below = text.partition(whole)
                break
        else:
            lines = [line for line in text.split("\n") if has_imports(line)]
            given = {line for whole in slot.texts for line in whole.split("\n")}
            above = "\n".join(line for line in lines if line not in given)
        place = self.cells.index(cell)
        added = [Cell(cell.cell_type, one.strip("\n")) for one in (above, below)]
        self.cells[place : place + 1] = [
            one for one in (added[0], cell, added[1]) if one is cell or one.source.strip()
        ]
        if above.strip() or below.strip():
            self.repairs.append(f"{slot.title} holds other text, too; it is in a cell of its own.")

    def _settle_plain(self, slot: Slot, cell: Cell) -> None:
        if not slot.imports:
            if cell.cell_type != slot.cell.cell_type:
                if slot.untouched_by(cell):
                    cell.cell_type = slot.cell.cell_type
                else:
                    del self.slot_of[cell]
            return
        if not cell.source.strip():
            cell.source = slot.cell.source
            self.repairs.append(f"{slot.title} has been emptied; it was put back.")
        if cell.cell_type != "code":
            cell.cell_type = "code"
            self.repairs.append(f"{slot.title} is not of type code; it was changed back.")
        self.ranked[cell] = slot

    def _settle_answer(self, slot: Slot, pieces: list[Cell]) -> None:
        answers = [piece for piece in pieces if not slot.untouched_by(piece)]
        if not answers:
            self._keep_stub(slot, pieces)
            self.ranked[pieces[0]] = slot
            return
        for piece in answers:
            if piece.cell_type != "code":
                piece.cell_type = "code"
                self.repairs.append(f"{slot.title} is not of type code; it was changed back.")
        templates = [piece for piece in pieces if slot.untouched_by(piece)]
        self._drop(templates)
        n_cells = len(self.cells)
        whole = self._join(answers)
        if len(self.cells) < n_cells:
            self.repairs.append(f"{slot.title} has been split; its pieces were joined.")
        answers = whole
        if (times := self._copies(slot, [*templates, *answers])) > 1:
            self.repairs.append(f"{slot.title} is there {times} times; one carries its name.")
        defining = [
            piece for piece in answers if slot.defines & defined_names(piece.source)
        ] or answers
        if len({normal(piece.source) for piece in defining}) == 1:
            defining = defining[:1]
        names = [name for piece in defining for name in defined_names(piece.source)]
        if any(names.count(name) > 1 for name in slot.defines):
            self.flags.append(
                f"There are {len(defining)} different answers to {slot.name}; the last one before "
                "its check counts."
            )
        defining = self._before_check(slot, defining) or defining
        for piece in answers:
            del self.slot_of[piece]
        self.slot_of[defining[-1]] = slot
        self.ranked |= dict.fromkeys(defining, slot)

    def _copies(self, slot: Slot, pieces: list[Cell]) -> int:
        """Return how many cells carry the name of a released cell, or an unknown one."""
        return sum(
            bool(name) and self._named.get(name, slot) is slot
            for name in map(self.name_of.__getitem__, pieces)
        )

    def _before_check(self, slot: Slot, pieces: list[Cell]) -> list[Cell]:
        """Return the pieces before the check that comes next in the release."""
        check = next((one for one in self.slots[slot.rank :] if one.kind == "check"), None)
        place = {cell: index for index, cell in enumerate(self.cells)}
        checks = [place[cell] for cell, one in self.slot_of.items() if check and one is check]
        return [cell for cell in pieces if place[cell] < min(checks, default=len(place))]

    def _keep_stub(self, slot: Slot, pieces: list[Cell]) -> None:
        if not any(piece.source.strip() for piece in pieces):
            self.repairs.append(f"{slot.title} has been emptied; it holds its template again.")
        if len(pieces) > 1:
            self.repairs.append(f"{slot.title} is there {len(pieces)} times; one was kept.")
        self._drop(pieces[1:])
        pieces[0].source, pieces[0].cell_type = self._template(slot), slot.cell.cell_type

    def _template(self, slot: Slot) -> str:
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

    def _settle_written(self, slot: Slot, pieces: list[Cell]) -> None:
        answers = [piece for piece in pieces if not slot.untouched_by(piece)]
        if not answers:
            self._keep_stub(slot, pieces)
            return
        if len({normal(piece.source) for piece in answers}) > 1:
            self.repairs.append(f"{slot.title} is in {len(answers)} pieces; they were joined.")
        elif (times := self._copies(slot, pieces)) > 1:
            self.repairs.append(f"{slot.title} is there {times} times; one was kept.")
        if any(piece.cell_type != slot.cell.cell_type for piece in answers):
            self.repairs.append(f"{slot.title} is not of type markdown; it was changed back.")
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
        moved: dict[Slot, list[Cell]] = defaultdict(list)
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
                    f"{slot.title} stands before its answer; it was moved behind it."
                    if slot.kind == "check"
                    else f"{slot.title} stands at a wrong place; it was moved back."
                )
            elif slot not in there and (slot.name or slot.imports):
                cell = Cell(slot.cell.cell_type, self._template(slot))
                self.slot_of[cell] = slot
                if slot.ordered:
                    self.ranked[cell] = slot
                self._insert(slot, [cell])
                self.repairs.append(f"{slot.title} has been deleted; it was put back.")

    def _in_order(self, ranked: Sequence[Cell]) -> set[Cell]:
        """Return the heaviest choice of cells that stand in the order of the release.

        An answer weighs more than anything else, so that rather the cells around it are moved.
        """
        best: list[tuple[int, tuple[Any, ...] | None]] = [(0, None)] * (len(self.slots) + 1)
        for cell in ranked:
            slot = self.ranked[cell]
            weight = {"check": 1, "answer": 1000}.get(slot.kind, 10)
            if slot.kind == "answer" and slot.untouched_by(cell):
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

    def _insert(self, slot: Slot, cells: list[Cell]) -> None:
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
