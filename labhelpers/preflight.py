"""Look at a notebook before it is handed in: what to repair, what is open, the points so far."""

from __future__ import annotations

import itertools
import json
import re
import textwrap
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import nbformat
from IPython import get_ipython
from nbformat import NotebookNode

from labhelpers.headline import STATES, read_headline
from labhelpers.repair.locate import (
    LocateError,
    find_assignment,
    find_notebook,
    find_releases,
)
from labhelpers.repair.matching import OTHER_RELEASE
from labhelpers.repair.reading import Cell, NotANotebook, read_submitted
from labhelpers.repair.release import Release, ReleasedCell
from labhelpers.repair.repair import Repaired, repair_file
from labhelpers.repair.slots import defined_names, digest, normal
from labhelpers.session import is_graded, show

__all__ = ["Part", "Preflight", "examine", "preflight", "repair_notebook"]

_VERSION = re.compile(r'^NEEDED, WHEEL = "([^"]+)"', re.MULTILINE)
_OWN_CELL = "preflight"  # id of the cell that calls this
_COLOURS = {"repair": "#b2182b", "open": "#a6611a", "ready": "#1b7837"}
_WIDTH = 92


@dataclass(frozen=True)
class Part:
    """An exercise or a written question, as the file holds it.

    Attributes:
        title: Its heading.
        points: What there is to earn, and what its check gave, in words.
        state: How it stands, in words.
        score: Points that its check gave, 0 if that is not known.
        done: Whether it was attempted, and checked as it is now.
    """

    title: str
    points: str
    state: str
    score: float = 0.0
    done: bool = True


@dataclass(frozen=True)
class Preflight:
    """What a look at a notebook has found.

    Attributes:
        file: Name of the file.
        findings: What is wrong with its cells and is repaired by `repair_notebook`.
        first: What else is to do before it is handed in.
        parts: Its exercises and its written question.
        notes: What is worth knowing.
        command: What to run to repair the findings in a copy.
    """

    file: str
    findings: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    notes: tuple[str, ...] = ()
    command: str = ""

    @property
    def status(self) -> str:
        """`repair`, `open` if a part is not done, or `ready`."""
        if self.findings or self.first:
            return "repair"
        return "open" if not all(part.done for part in self.parts) else "ready"

    @property
    def headline(self) -> str:
        """The outcome in one line."""
        if self.status == "ready":
            faulty = {STATES["partly"], STATES["wrong"]}
            n_faulty = sum(part.state in faulty for part in self.parts)
            rest = f", with {n_faulty} of {len(self.parts)} parts not all right" if n_faulty else ""
            return f"{self.file}: ready to hand in{rest}"
        if self.status == "open":
            n_open = sum(not part.done for part in self.parts)
            return f"{self.file}: nothing to repair, {n_open} of {len(self.parts)} parts open"
        number = len(self.findings) + len(self.first)
        return f"{self.file}: {number} thing{'s' * (number > 1)} to do before you hand it in"

    @property
    def steps(self) -> tuple[str, ...]:
        """What is to do, in sentences."""
        return (*self.first, *self.findings)

    @property
    def advice(self) -> str:
        """How to repair the findings, to stand before the command."""
        if not (self.findings and self.command):
            return ""
        what = "the last" if self.first else "this" if len(self.findings) == 1 else "these"
        number = f" {len(self.findings)}" if what != "this" and len(self.findings) > 1 else ""
        return f"To repair {what}{number} in a copy, without touching answers, run:"

    @property
    def text(self) -> str:
        """All of it as plain text."""
        lines = [self.headline]
        for step in self.steps:
            lines += textwrap.wrap(f"- {step}", _WIDTH, subsequent_indent="  ")
        if self.advice:
            lines += [self.advice, *(f"    {line}" for line in self.command.splitlines())]
        rows = [("", "points", "state"), *((p.title, p.points, p.state) for p in self.parts)]
        widths = [max(len(row[column]) for row in rows) for column in range(2)]
        lines += [
            f"  {title:{widths[0]}}  {points:{widths[1]}}  {state}" for title, points, state in rows
        ]
        for note in self.notes:
            lines += textwrap.wrap(note, _WIDTH)
        return "\n".join(lines)

    def __str__(self) -> str:
        """Return all of it as plain text."""
        return self.text

    def _repr_html_(self) -> str:
        steps = "".join(f"<li>{escape(step)}</li>" for step in self.steps)
        repair = f"{escape(self.advice)}<pre>{escape(self.command)}</pre>" if self.advice else ""
        cell = "style='text-align:left;padding:0.2em 1em 0.2em 0'"
        rows = "".join(
            "<tr>"
            + "".join(f"<td {cell}>{escape(one)}</td>" for one in (p.title, p.points, p.state))
            + "</tr>"
            for p in self.parts
        )
        head = "".join(f"<th {cell}>{word}</th>" for word in ("part", "points", "state"))
        notes = "".join(f"<p style='margin:0.4em 0'>{escape(note)}</p>" for note in self.notes)
        return (
            f"<div style='border-left:0.3em solid {_COLOURS[self.status]};padding:0 0.8em'>"
            f"<b>{escape(self.headline)}</b>"
            f"{f'<ul>{steps}</ul>' if steps else ''}{repair}"
            f"<table style='margin:0.5em 0'><tr>{head}</tr>{rows}</table>{notes}</div>"
        )


def preflight(assignment: str, path: str | Path | None = None) -> None:
    """Show what is to do before the notebook that runs is handed in, and the points so far.

    It looks at the file as it was saved last: save before you call it. Nothing is changed.

    Args:
        assignment: Name of the notebook, such as `2-generator`.
        path: Its file, where it is not found from here.
    """
    if is_graded():
        return
    shell = get_ipython()
    try:
        releases = find_releases()
        file = Path(path) if path else find_notebook(assignment, releases, shell)
        if path:
            find_assignment(file, releases)
    except LocateError as error:
        print(error)
        return
    history = shell.history_manager.input_hist_raw if shell else []
    found = examine(file, releases[assignment], history, _call(assignment, file))
    show(found.text, found._repr_html_())


def repair_notebook(assignment: str, path: str | Path | None = None) -> Path | None:
    """Write a repaired copy of a notebook beside it, and print what was repaired.

    In the copy each cell that is graded is there once, at its place, with the text of the release
    where students do not write. Answers, cells of your own and outputs stay.

    Args:
        assignment: Name of the notebook, such as `2-generator`.
        path: Its file; without it, that of the notebook that runs.

    Returns:
        The copy, None if there was nothing to repair or the file could not be read.
    """
    try:
        releases = find_releases()
        file = Path(path) if path else find_notebook(assignment, releases, get_ipython())
    except LocateError as error:
        print(error)
        return None
    release = releases[assignment]
    repaired = repair_file(file, release, outputs=True)
    print("\n".join(f"- {line}" for line in (*repaired.repairs, *repaired.flags)))
    if not repaired.repairs:
        print(f"{file.name}: no copy was written, there is nothing that could be repaired.")
        return None
    copy = _new_name(file)
    nbformat.write(repaired.notebook, copy)
    print(
        f"Wrote {copy}. Open it and look through it; {file.name} is as it was. To hand in the "
        f"copy, give it the name {assignment}.ipynb, after giving the old file another one."
    )
    return copy


def examine(
    path: Path, release: Release, history: Sequence[str] = (), command: str = ""
) -> Preflight:
    """Return what there is to say of a notebook's file.

    Args:
        path: The file.
        release: What was released.
        history: The cells that the kernel of this notebook has run, by execution count; without
            it, it is not looked at whether the file is older than what ran.
        command: How to repair what is found.
    """
    repaired = repair_file(path, release, outputs=True)
    first = [*repaired.flags]
    cells = _read_cells(path)
    if not cells:
        return Preflight(path.name, first=tuple(first))
    titles = _titles(release)
    findings = [
        _with_titles(line.partition(";")[0].rstrip("."), titles) + "."
        for line in repaired.repairs
        if line != OTHER_RELEASE
    ]
    if _is_older(cells, repaired.notebook, history):
        first.insert(
            0,
            "The file does not hold what ran last: save the notebook (Ctrl+S, on a Mac Command+S), "
            "then run this cell again. What follows is about the file.",
        )
    if path.name != f"{release.assignment}.ipynb":
        taken = path.with_name(f"{release.assignment}.ipynb").exists()
        first.append(
            f"The file is called {path.name}; it is handed in as {release.assignment}.ipynb. "
            + (
                "There is another file of that name beside it: hand in only the one that counts."
                if taken
                else "Rename it."
            )
        )
    parts = tuple(_parts(release, repaired))
    saved = time.strftime("%H:%M:%S", time.localtime(path.stat().st_mtime))
    notes = [
        *_points(release, parts),
        *_other_release(cells, release, repaired),
        *_order(release, repaired.notebook),
        f"This is about the file {path.name} as it was saved at {saved}.",
    ]
    return Preflight(path.name, tuple(findings), tuple(first), parts, tuple(notes), command)


def _call(assignment: str, file: Path) -> str:
    here = file.resolve().parent == Path().resolve()
    name = file.name if here else str(file)
    return (
        "from labhelpers.preflight import repair_notebook\n\n"
        f'repair_notebook("{assignment}", {json.dumps(name)})'
    )


def _new_name(file: Path) -> Path:
    number = 1
    copy = file.with_name(f"{file.stem}-repaired.ipynb")
    while copy.exists():
        number += 1
        copy = file.with_name(f"{file.stem}-repaired-{number}.ipynb")
    return copy


def _read_cells(path: Path) -> list[Cell]:
    """Return the cells of a file that `repair_file` has read, none if it is no notebook."""
    try:
        return read_submitted(path.read_bytes())[0].cells
    except (OSError, NotANotebook):
        return []


def _other_release(cells: list[Cell], release: Release, repaired: Repaired) -> list[str]:
    """Return that a notebook is of another release than the one it is compared with, if it is."""
    if OTHER_RELEASE not in repaired.repairs:
        return []
    own, here = (_version(cell.source for cell in one) for one in (cells, release.cells))
    return [f"{OTHER_RELEASE} (Version {own}, compared with version {here}.)"]


def _version(sources: Iterable[str]) -> str:
    """Return which version the set-up cell of a notebook installs."""
    return next((found[1] for one in sources if (found := _VERSION.search(one))), "unknown")


def _is_older(cells: list[Cell], notebook: NotebookNode, history: Sequence[str]) -> bool:
    """Return True if the kernel ran another version of an answer or check than the file holds."""
    last = {normal(source): count for count, source in enumerate(history) if source.strip()}
    newest_first = sorted(last, key=last.__getitem__, reverse=True)
    counts: dict[str, set[int | None]] = {}
    for cell in cells:
        counts.setdefault(normal(cell.source), set()).add(cell.execution_count)
    for own in _named(notebook).values():
        settings = own.metadata.nbgrader
        if own.cell_type != "code" or not (settings.grade or settings.solution):
            continue
        text = normal(own.source)
        if text in last and last[text] not in counts.get(text, {last[text]}):
            return True
        names = defined_names(own.source) if settings.solution else set()
        for name in names:
            versions = [one for one in newest_first if name in defined_names(one)]
            if versions and versions[0] not in counts and text in counts:
                return True
    return False


def _named(notebook: NotebookNode) -> dict[str, NotebookNode]:
    cells = notebook.cells
    return {c.metadata.nbgrader.grade_id: c for c in cells if "nbgrader" in c.metadata}


def _with_titles(sentence: str, titles: dict[str, str]) -> str:
    """Call graded cells by their headings, which students see, in place of their names."""
    for start, link in (("The check of ", ""), ("The answer cell ", "of ")):
        name, _, rest = sentence.removeprefix(start).partition(" ")
        if sentence.startswith(start) and name in titles:
            title = titles[name].replace("Written question", "the written question")
            return f"{start}{link}{title} {rest}"
    return sentence


def _parts(release: Release, repaired: Repaired) -> Iterator[Part]:
    cells = _named(repaired.notebook)
    stubs = {cell.grade_id: normal(cell.source) for cell in _stubs(release)}
    titles = _titles(release)
    for cell in release.cells:
        if not cell.grade:
            continue
        title = titles[cell.grade_id]
        if cell.solution:
            blank = normal(cells[cell.grade_id].source) in ("", stubs[cell.grade_id])
            yield Part(
                title,
                f"{cell.points:g}, by hand",
                "blank: write your answer into its cell" if blank else "answered",
                done=not blank,
            )
        else:
            answer = cells.get(cell.grade_id.removeprefix("check-"))
            yield _exercise(title, cell.points, cells[cell.grade_id], answer, stubs)


def _stubs(release: Release) -> list[ReleasedCell]:
    return [cell for cell in release.cells if cell.solution]


def _exercise(
    title: str,
    points: float,
    check: NotebookNode,
    answer: NotebookNode | None,
    stubs: dict[str, str],
) -> Part:
    """Return how an exercise stands, from the output of its check."""
    unknown = f"– of {points:g}"
    if answer and normal(answer.source) == stubs[answer.metadata.nbgrader.grade_id]:
        return Part(title, f"0 of {points:g}", STATES["not attempted"], done=False)
    record = _record(check)
    if not record:
        return Part(title, unknown, "not checked yet: run its check, save", done=False)
    judged = record.get("answer")
    again = "since its check: run its cell and its check again, save"
    if answer and judged and judged != digest(answer.source):
        return Part(title, unknown, f"changed {again}", done=False)
    if answer and (answer.execution_count or 0) > (check.execution_count or 0):
        return Part(title, unknown, f"run again {again}", done=False)
    state, score = str(record["status"]), float(record["score"])
    earned = f"{score:g} of {points:g}"
    return Part(title, earned, STATES[state], score, done=state != "not attempted")


def _record(check: NotebookNode) -> dict[str, Any]:
    """Return what a check wrote down of its verdict; from its text where the rest was lost."""
    for output in check.outputs:
        if output.output_type == "display_data":
            record = output.metadata.get("labhelpers", {})
            if record.get("status") in STATES and isinstance(record.get("score"), (int, float)):
                return record
            if found := read_headline(str(output.data.get("text/plain", ""))):
                status, score = found
                return {"status": status, "score": score}
    return {}


def _titles(release: Release) -> dict[str, str]:
    """Return the heading above each named cell, without its points."""
    titles, title = {}, release.assignment
    for cell in nbformat.reads(release.notebook, as_version=4).cells:
        if cell.cell_type == "markdown":
            for line in re.findall(r"^#+ +(.+)$", cell.source, re.MULTILINE):
                title = re.sub(r" \(\d+ points?\)$", "", line).replace("`", "")
        if name := cell.metadata.get("nbgrader", {}).get("grade_id"):
            titles[name] = title
    return titles


def _points(release: Release, parts: Sequence[Part]) -> list[str]:
    by_check = sum(cell.points for cell in release.cells if cell.grade and not cell.solution)
    by_hand = sum(cell.points for cell in release.cells if cell.grade and cell.solution)
    if not by_check:
        return []
    score = sum(part.score for part in parts)
    return [
        f"Points in the checks so far: {score:g} of {by_check:g}"
        + (f"; {by_hand:g} more are given by hand" if by_hand else "")
        + ". Grading tries each answer on other inputs, too."
    ]


def _order(release: Release, notebook: NotebookNode) -> list[str]:
    """Return what the numbers of the cells tell about the order in which they ran."""
    given = {cell["id"] for cell in nbformat.reads(release.notebook, as_version=4).cells}
    graded = {cell.grade_id for cell in release.cells if cell.grade or cell.solution}
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.id != _OWN_CELL]
    ran = [cell.execution_count for cell in code if cell.execution_count]
    notes = []
    idle = [
        cell
        for cell in code
        if not cell.execution_count
        and cell.id in given
        and cell.metadata.get("nbgrader", {}).get("grade_id") not in graded
    ]
    if not ran:
        notes.append("In this file no cell has been run.")
    elif idle:
        first = idle[0].source.strip().partition("\n")[0]
        notes.append(
            f"{len(idle)} given cells have not been run, the first begins: {first}"
            if len(idle) > 1
            else f"One given cell has not been run; it begins: {first}"
        )
    for above, below in itertools.pairwise(ran):
        if above > below:
            notes.append(
                f"The numbers of the cells do not rise from top to bottom: [{above}] stands above "
                f"[{below}]. Grading runs them in the order in which they stand. To see what it "
                "sees, restart the kernel and run all cells."
            )
            break
    return notes
