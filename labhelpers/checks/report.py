"""What a student reads after a check: plain text anywhere, HTML where there is a front end."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field
from html import escape
from typing import Any

from labhelpers.headline import headline

__all__ = ["Item", "Points", "Report", "Table"]

# White can be read on each of them. Texts have no colour of their own but that of the theme: what
# can be read in a light one cannot in a dark one.
_COLOURS = {
    "right": "#1b7837",
    "partly": "#9c5a14",
    "wrong": "#a50026",
    "not attempted": "#555555",
    "open": "#555555",
}
_SIGNS = {"right": "[ok]", "wrong": "[no]", "open": "[--]"}  # in plain text
_MARKS = {"right": ("✓", "right"), "wrong": ("✗", "wrong"), "open": ("–", "not judged yet")}
# The style of every cell: outside of JupyterLab, tables have no padding.
_CELL = "text-align:left;vertical-align:top;padding:0.15em 1em 0.15em 0"
_SUMMARY = "display:list-item;cursor:pointer"  # the formgrader's style hides the arrow to open it
_LEGEND = "[--] is judged once the rest is right"
_WIDTH = 92
_INDENT = " " * 6


@dataclass(frozen=True)
class Item:
    """One thing that was looked at.

    Attributes:
        name: Its key in the table of items.
        checks: What a right answer does, in a sentence.
        outcome: `"right"`, `"wrong"`, or `"open"`: not reached, or without meaning as long as
            something else is wrong.
        details: Pairs of a word and a text: where, expected, got, likely cause.
    """

    name: str
    checks: str
    outcome: str
    details: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Table:
    """A small table of text in a report.

    Attributes:
        name: What it shows, in a word.
        header: Titles of the columns; empty where a column needs none.
        rows: As many texts in each row as there are columns.
        note: What to look at, in a sentence; may be empty.
    """

    name: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    note: str = ""

    @property
    def lines(self) -> list[str]:
        """The table as lines of plain text, with aligned columns."""
        columns = zip(self.header, *self.rows, strict=True)
        widths = [max(map(len, column)) for column in columns]
        return [
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
            for row in (self.header, *self.rows)
        ]


@dataclass(frozen=True)
class Report:
    """The outcome of a check.

    Attributes:
        exercise: Its id.
        name: The function or class that the student writes.
        status: `"right"`, `"partly"`, `"wrong"` or `"not attempted"`.
        score: Points earned, from 0 to `points`.
        points: Points to earn.
        items: All that was looked at; empty if the exercise was not attempted.
        notes: Pairs of a word and a text about the whole: hints, errors, warnings, output.
        table: What the answer did beside what was expected, step by step, where this helps.
        mistakes: Ids of the known mistakes that were recognised.
        hidden: Whether other cases than the visible check's were tried.
        answer: Digest of the cell that was judged, by which it is known whether it changed since;
            empty if that is not known.
    """

    exercise: str
    name: str
    status: str
    score: float
    points: float
    items: list[Item] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    table: Table | None = None
    mistakes: tuple[str, ...] = ()
    hidden: bool = False
    answer: str = ""

    @property
    def headline(self) -> str:
        """What the student wrote, verdict and points in one line."""
        hidden = " (hidden tests)" if self.hidden else ""
        return headline(f"{self.name}{hidden}", self.status, self.score, self.points)

    @property
    def text(self) -> str:
        """The report as plain text."""
        lines = [self.headline]
        for word, text in self.notes:
            lines += _entry(word, text, indent="")
        for item in self.items:
            line = f"{_SIGNS[item.outcome]} {item.checks}"
            lines += textwrap.wrap(line, _WIDTH, subsequent_indent=" " * 5)
            for word, text in item.details:
                lines += _entry(word, text)
        if self.table:
            lines += [f"{self.table.name}:", *("  " + line for line in self.table.lines)]
            lines += [self.table.note] if self.table.note else []
        if any(item.outcome == "open" for item in self.items):
            lines.append(_LEGEND)
        return "\n".join(lines)

    def __str__(self) -> str:
        """Return the report as plain text."""
        return self.text

    def _repr_html_(self) -> str:
        """Return the report with what is wrong in view, and the rest to be opened."""
        is_folded = self.status != "right"
        shown = [item for item in self.items if item.outcome == "wrong" or not is_folded]
        rest = [item for item in self.items if item not in shown]
        return (
            f"<div style='border-left:0.4em solid {_COLOURS[self.status]};padding:0 0.8em'>"
            f"<div><b>{escape(self.headline)}</b></div>"
            f"{_definitions(self.notes)}{''.join(map(_item, shown))}{_as_html(self.table)}"
            f"{_folded(rest)}</div>"
        )

    @property
    def output(self) -> tuple[str, str, dict[str, Any]]:
        """Its text, its HTML and its record, as `session.show` takes them."""
        return self.text, self._repr_html_(), self.as_record()

    def as_record(self) -> dict[str, Any]:
        """Return what is worth counting over a class, as plain JSON values."""
        return {
            "exercise": self.exercise,
            "hidden": self.hidden,
            "status": self.status,
            "score": self.score,
            "points": self.points,
            "failed": [item.name for item in self.items if item.outcome != "right"],
            "mistakes": list(self.mistakes),
            "answer": self.answer,
        }


def _entry(word: str, text: str, indent: str = _INDENT) -> list[str]:
    """Lay out a word and its text, which keeps its own line breaks."""
    start = f"{indent}{word:<10}"
    lines: list[str] = []
    for line in text.splitlines() or [""]:
        first = start if not lines else " " * len(start)
        lines += textwrap.wrap(
            line, _WIDTH, initial_indent=first, subsequent_indent=" " * len(start)
        ) or [first.rstrip()]
    return lines


def _item(item: Item) -> str:
    return (
        f"<div style='margin:0.3em 0'>{_sign(item.outcome)} "
        f"{_inline(item.checks)}{_definitions(item.details)}</div>"
    )


def _folded(items: list[Item]) -> str:
    """Return items under one line that says how many they are, to be opened."""
    if not items:
        return ""
    n_open = sum(item.outcome == "open" for item in items)
    counts = [(len(items) - n_open, "right"), (n_open, "judged once the rest is right")]
    line = ", ".join(f"{n} {words}" for n, words in counts if n)
    return (
        f"<details style='margin:0.3em 0'>"
        f"<summary style='{_SUMMARY}'>Also looked at: {line}</summary>"
        f"{''.join(map(_item, items))}</details>"
    )


def _sign(outcome: str) -> str:
    mark, words = _MARKS[outcome]
    return (
        f"<b title='{words}' style='color:#ffffff;background-color:{_COLOURS[outcome]};"
        f"padding:0 0.4em'>{mark}</b>"
    )


def _inline(text: str) -> str:
    """Return a text with what stands between backticks as code."""
    return re.sub("`([^`\n]+)`", r"<code>\1</code>", escape(text))


def _definitions(entries: list[tuple[str, str]]) -> str:
    rows = "".join(
        f"<tr><td style='{_CELL};white-space:nowrap'><i>{escape(word)}</i></td>"
        f"<td style='{_CELL};white-space:pre-wrap'>{_inline(text)}</td></tr>"
        for word, text in entries
    )
    return f"<table style='margin-left:1em'>{rows}</table>" if rows else ""


def _as_html(table: Table | None) -> str:
    if table is None:
        return ""
    header, *lines = (
        "".join(
            f"<{cell} style='{_CELL};white-space:nowrap'>{escape(text)}</{cell}>" for text in row
        )
        for cell, row in [("th", table.header), *(("td", row) for row in table.rows)]
    )
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return (
        f"<div style='margin-top:0.5em'><i>{escape(table.name)}</i></div>"
        f"<table style='margin-left:1em'><tr>{header}</tr>{body}</table>"
        f"<div style='margin-left:1em'>{escape(table.note)}</div>"
    )


class Points(float):
    """Points as a check returns them: nbgrader reads the number, a student what it is for."""

    def _repr_html_(self) -> str:
        """Return the number with its use, in small print."""
        return f"<small>{float(self):g} point{'s' * (float(self) != 1)}, for nbgrader</small>"
