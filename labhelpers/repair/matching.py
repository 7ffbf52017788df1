"""Find the released cell of each submitted cell, by name, text, definition, id or place."""

from collections import defaultdict
from collections.abc import Container, Iterable
from typing import Any

from labhelpers.repair.reading import Cell, Submitted, merge_sides
from labhelpers.repair.release import Release, checksum
from labhelpers.repair.slots import Slot, defined_names, normal

__all__ = ["OTHER_RELEASE", "Matching", "was_released"]

#: What is said of a notebook with cells of a release that is not the one it is compared with.
OTHER_RELEASE = (
    "The notebook is of another release; its given cells, checks and points are those of this one."
)

_SKIPPED = "skip-execution"  # the tag of a cell that nbclient does not run
_SETTINGS = ("grade", "solution", "locked", "task", "points")


class Matching:
    """Which submitted cells are which released cells.

    Attributes:
        repairs: What was repaired so far, in sentences.
        flags: What a person should look at, in sentences.
        slots: The released cells.
        cells: The submitted cells, none if they are those of another assignment.
        slot_of: The released cell of those that are one, or a piece of one.
        name_of: The grade id that each submitted cell carries, empty without.
    """

    def __init__(self, release: Release, slots: list[Slot], submitted: Submitted) -> None:
        self.repairs = [*submitted.repairs]
        self.flags = [*submitted.flags]
        self.slots = slots
        self.cells = submitted.cells
        self.slot_of: dict[Cell, Slot] = {}
        self.name_of = {cell: _name(cell) for cell in self.cells}
        self._named = {slot.name: slot for slot in slots if slot.name}
        self._foreign = {name for names in release.others.values() for name in names}
        if other := self._other_notebook(release):
            self.flags.append(
                f"This is notebook {other}, handed in as {release.assignment}; "
                "nothing of it was graded."
            )
            self.cells = []
        else:
            self._match()

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
        by_text: dict[str, list[Slot]] = defaultdict(list)
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
            self.repairs.append(f"{title} holds an unfinished merge; one side of it was taken.")
            self.flags.append(f"{title} holds an unfinished merge; see which side counts.")

    def _end_merge(self, cell: Cell, released: Container[str]) -> bool:
        """Take one side of an unfinished merge within a cell, rather not that of the release."""
        sides = merge_sides(cell.source)
        if sides:
            cell.source = next((one for one in sides if normal(one) not in released), sides[0])
        return sides is not None

    def _match_names(self, by_text: dict[str, list[Slot]]) -> None:
        folded = {name.casefold(): slot for name, slot in self._named.items()}
        for cell, name in self.name_of.items():
            slot = self._named.get(name) or folded.get(name.strip().casefold())
            if not slot:
                continue
            text = normal(cell.source)
            if text in slot.texts:
                self.slot_of[cell] = slot
                continue
            same = [one for one in by_text.get(text, ()) if one.name]
            defined = self.defined(cell)
            if len(same) == 1:  # the name of one cell on the text of another
                slot = same[0]
            elif slot.kind in ("check", "given") and defined:
                continue  # an answer that was written into a locked cell: see _match_definitions
            elif slot.kind == "answer" and defined and slot not in defined:
                slot = defined[0]
            self.slot_of[cell] = slot

    def defined(self, cell: Cell) -> list[Slot]:
        """Return the answers whose function or class a cell defines."""
        names = defined_names(cell.source)
        return [slot for slot in self.slots if names & slot.defines] if names else []

    def is_foreign(self, cell: Cell) -> bool:
        """Return True if a cell carries a name that only another notebook has."""
        return self.name_of.get(cell) in self._foreign

    def pieces(self) -> dict[Slot, list[Cell]]:
        """Return the submitted cells of each released cell that has any, in their order."""
        pieces: dict[Slot, list[Cell]] = defaultdict(list)
        for cell in self.cells:
            if slot := self.slot_of.get(cell):
                pieces[slot].append(cell)
        return pieces

    def _match_texts(self, by_text: dict[str, list[Slot]]) -> None:
        taken = set(self.slot_of.values())
        for cell in self.cells:
            if cell in self.slot_of:
                continue
            for slot in by_text.get(normal(cell.source), ()):
                if slot not in taken and cell.source.strip():
                    self.slot_of[cell] = slot
                    taken.add(slot)
                    break

    def _match_definitions(self) -> None:
        pieces = self.pieces()
        for cell, name in self.name_of.items():
            if cell in self.slot_of:
                continue
            for slot in self.defined(cell):
                if any(not slot.untouched_by(piece) for piece in pieces.get(slot, ())):
                    continue
                if name in self._foreign:
                    self.flags.append(f"A cell of another notebook ({name}) defines {slot.name}.")
                    continue
                self.slot_of[cell] = slot
                break
        for cell, name in self.name_of.items():
            if cell not in self.slot_of and name in self._named:
                self.slot_of[cell] = self._named[name]  # a changed locked cell

    def _match_ids(self) -> None:
        taken = set(self.slot_of.values())
        by_id = {slot.cell.id: slot for slot in self.slots if slot.kind not in ("check", "given")}
        for cell, name in self.name_of.items():
            slot = by_id.get(cell.id)
            if cell in self.slot_of or not slot or slot in taken or name in self._foreign:
                continue
            if cell.source.strip() or slot.name or slot.imports:
                self.slot_of[cell] = slot
                taken.add(slot)

    def _match_renamed(self) -> None:
        """Recognise the other pieces of a cell whose name was changed."""
        renamed = {
            name: slot
            for cell, slot in self.slot_of.items()
            if (name := self.name_of[cell]) and slot.name and name not in self._named
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
                kept = lines & set(normal(cell.source).split("\n"))
                if 2 * len(kept) >= len(lines):
                    self.slot_of[cell] = slot
                    break

    def _match_written(self) -> None:
        """Find written answers in cells without a name, by the cells around them."""
        for slot in self.slots:
            pieces = self.pieces()
            if slot.kind != "written" or any(
                not slot.untouched_by(piece) for piece in pieces.get(slot, ())
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
                if cell not in self.slot_of and cell.source.strip() and not self.is_foreign(cell)
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
        if lost and len(lost) >= len(self._named) / 2 and not any(self.name_of.values()):
            self.repairs.append(
                "The notebook has lost what nbgrader knows of its cells; they were recognised by "
                "their content."
            )
        else:
            self.repairs += [
                f"{slot.title} does not carry its name; it was recognised by its content."
                for slot in lost
            ]
        old = False
        for cell, name in self.name_of.items():
            slot = self.slot_of.get(cell)
            settings = cell.metadata.get("nbgrader")
            if slot and slot.name and slot.name == name and isinstance(settings, dict):
                old |= settings.get("schema_version") != 3
                released = slot.cell.metadata.nbgrader
                changed = [
                    key
                    for key in _SETTINGS
                    if settings.get(key, released.get(key)) != released.get(key)
                ]
                if changed:
                    self.repairs.append(
                        OTHER_RELEASE
                        if changed == ["points"] and was_released(cell, *slot.texts)
                        else f"{slot.title} has other settings; it has those of the release again."
                    )
            elif name and not slot and _is_graded(settings):
                self.repairs.append(
                    f"A cell of another notebook is here ({name[:80]}); it became an ordinary cell."
                    if name in self._foreign
                    else f"A cell has the unknown name {name[:80]!r}; it became an ordinary cell."
                )
        if any(_SKIPPED in _tags(cell) for cell in self.cells):
            self.repairs.append(
                f"A cell has the tag {_SKIPPED}, which keeps it from running; it was removed."
            )
        if old:
            self.repairs.append("nbgrader's metadata are of another version; they were renewed.")


def was_released(cell: Cell, *texts: str) -> bool:
    """Return True if nbgrader released a cell as it is, for the digest in its metadata fits.

    Args:
        cell: A submitted cell that carries a name.
        texts: What it may have said when it was released; its own text always counts.
    """
    settings = cell.metadata.get("nbgrader", {})
    try:
        return settings["checksum"] in [
            checksum(cell.cell_type, text, settings) for text in (cell.source, *texts)
        ]
    except (KeyError, TypeError, ValueError):  # anything may be in the metadata
        return False


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
