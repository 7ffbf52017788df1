"""Read the cells of a submitted file, whatever happened to the file."""

import codecs
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

__all__ = ["VALID_ID", "Cell", "NotANotebook", "Submitted", "merge_sides", "read_submitted"]

VALID_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""What nbformat allows as id of a cell."""

_DEEPEST = 100  # levels of JSON; a notebook has about ten
_MOST_CELLS = 5000
_MOST_PARTS = 2_000_000  # JSON objects and lists: each takes up to 200 bytes of memory
_MOST_WORDS = 2_000_000  # of damaged JSON, read at some 300,000 a second
_LONGEST_INTEGER = 18  # digits; longer ones are no counters, and Python is slow to convert them
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class NotANotebook(Exception):
    """The file is no notebook; the message says what it is, in a sentence."""


@dataclass(eq=False)
class Cell:
    """A cell as it was handed in, all fields of the right type.

    Attributes:
        cell_type: `code`, `markdown` or `raw`.
        source: Its text, lines ending in LF.
        metadata: Its metadata.
        id: Its id, empty without.
        attachments: Images of a text cell.
        outputs: What a code cell has put out, in no way checked.
        execution_count: Its number in the order of running, None if it was not run.
    """

    cell_type: str
    source: str
    metadata: dict[str, Any] = field(default_factory=dict)
    id: str = ""
    attachments: dict[str, dict[str, str]] = field(default_factory=dict)
    outputs: list[Any] = field(default_factory=list)
    execution_count: int | None = None


@dataclass(frozen=True)
class Submitted:
    """The cells of a file, and what had to be mended to read them.

    Attributes:
        cells: The cells, in the order of the file.
        repairs: What was mended, a sentence each.
        flags: What a person should look at, a sentence each.
    """

    cells: list[Cell]
    repairs: list[str]
    flags: list[str]


def read_submitted(content: bytes) -> list[Submitted]:
    """Return what can be read of a submitted file.

    Returns:
        One reading; two if the file holds an unfinished merge, of the one side and of the other.

    Raises:
        NotANotebook: If the file holds no notebook.
    """
    if content.count(b"[") + content.count(b"{") > _MOST_PARTS:
        raise NotANotebook(f"The file has more than {_MOST_PARTS:,} brackets; it was not read.")
    text, repairs = _decode(content)
    sides = merge_sides(text)
    if not sides:
        return [_read(text, repairs)]
    readings = []
    for name, side in zip(("upper", "lower"), sides, strict=True):
        line = f"The file holds an unfinished merge; its {name} side was taken."
        try:
            readings.append(_read(side, [*repairs, line]))
        except NotANotebook:
            continue
    if not readings:
        raise NotANotebook("The file holds an unfinished merge, and no side of it is a notebook.")
    if len(readings) > 1 and sides[0] != sides[1]:
        for one in readings:
            one.flags.append("The file holds an unfinished merge; see which side counts.")
    return readings


def _decode(content: bytes) -> tuple[str, list[str]]:
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            text = content[len(mark) :].decode(encoding, errors="replace")
            if encoding == "utf-8":
                return text, ["The file begins with a byte-order mark; it was removed."]
            return text, [f"The file is in {encoding[:6].upper()}; it was converted to UTF-8."]
    beginning = content[:400]
    for encoding, zeros in (("utf-16-le", beginning[1::2]), ("utf-16-be", beginning[::2])):
        if zeros and zeros.count(0) > 0.8 * len(zeros):
            line = "The file is in UTF-16; it was converted to UTF-8."
            return content.decode(encoding, errors="replace"), [line]
    try:
        return content.decode("utf-8"), []
    except UnicodeDecodeError as error:
        if error.end >= len(content) - 3 and error.reason == "unexpected end of data":
            return content[: error.start].decode("utf-8"), []  # cut off: it is told below
        line = "The file is not all in UTF-8; the other letters were read as Windows-1252."
        return content.decode("utf-8", errors="labhelpers.cp1252"), [line]


def _as_cp1252(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("cp1252", errors="replace"), error.end


codecs.register_error("labhelpers.cp1252", _as_cp1252)


def merge_sides(text: str) -> tuple[str, str] | None:
    """Return the two sides of a text with merge markers at the beginning of lines, else None."""
    if not re.search(r"^<{7}(?:\s|$)", text, re.MULTILINE):
        return None
    upper: list[str] = []
    lower: list[str] = []
    where, complete = "both", False
    for line in text.splitlines(keepends=True):
        marker = line[:7] if line[7:8].strip() == "" else ""
        if marker == "<" * 7 and where == "both":
            where = "upper"
        elif marker == "|" * 7 and where == "upper":
            where = "base"
        elif marker == "=" * 7 and where in ("upper", "base"):
            where = "lower"
        elif marker == ">" * 7 and where == "lower":
            where, complete = "both", True
        else:
            if where in ("both", "upper"):
                upper.append(line)
            if where in ("both", "lower"):
                lower.append(line)
    return ("".join(upper), "".join(lower)) if complete else None


def _read(text: str, repairs: Iterable[str]) -> Submitted:
    repairs, flags = list(repairs), []
    text = text.strip("\0 \t\r\n\ufeff")
    if not text:
        raise NotANotebook("The file is empty.")
    try:
        root, end = _DECODER.raw_decode(text)
        if text[end:].strip():
            repairs.append("The file goes on after the end of the notebook; the rest was left out.")
    except (ValueError, RecursionError):
        root, complete = _parse_damaged(text)
        repairs.append("The file is damaged (no sound JSON); its cells were read one by one.")
        if not complete:
            flags.append("The file breaks off; cells at its end may be missing.")
    if isinstance(root, dict) and "cells" not in root and isinstance(root.get("content"), dict):
        root = root["content"]  # as Jupyter's server sends it
    if not isinstance(root, dict):
        raise NotANotebook(f"The file is no notebook: it begins with {text[:40]!r}.")
    if isinstance(root.get("worksheets"), list) and "cells" not in root:
        repairs.append("The notebook is in an old format (3 or older); it was converted.")
        sheets = [sheet for sheet in root["worksheets"] if isinstance(sheet, dict)]
        given = [cell for sheet in sheets for cell in _list(sheet.get("cells"))]
    elif isinstance(root.get("cells"), list):
        given = root["cells"]
    else:
        raise NotANotebook("The file is JSON without cells, so it is no notebook.")
    if not given:
        raise NotANotebook("The notebook holds no cells.")
    if len(given) > _MOST_CELLS:
        raise NotANotebook(f"The notebook has more than {_MOST_CELLS:,} cells; it was not read.")
    metadata = root.get("metadata")
    widgets = metadata.get("widgets") if isinstance(metadata, dict) else None
    if widgets is not None and not _sound_widgets(widgets):
        repairs.append("The saved state of widgets is incomplete; it was removed.")
    cells = [cell for one in given if (cell := _cell(one))]
    if len(cells) < len(given) or not all(map(_sound, given)):
        repairs.append("Parts that a cell must have are missing or wrong; they were completed.")
    ids = [cell["id"] for cell in given if isinstance(cell, dict) and "id" in cell]
    if any(not isinstance(one, str) or not VALID_ID.fullmatch(one) for one in ids) or len(
        set(ids)
    ) < len(ids):
        repairs.append("Cells have no valid id of their own; they have one now.")
    return Submitted(cells, repairs, flags)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _sound_widgets(widgets: object) -> bool:
    states = _dict(widgets).values()
    return isinstance(widgets, dict) and all("state" in _dict(state) for state in states)


def _sound(cell: dict[str, Any]) -> bool:
    """Return True if a cell that could be read has all that its format asks for."""
    source = cell.get("source", cell.get("input"))
    return (
        cell.get("cell_type") in ("code", "markdown", "raw", "heading")
        and isinstance(cell.get("metadata"), dict)
        and (
            isinstance(source, str)
            or (isinstance(source, list) and all(isinstance(line, str) for line in source))
        )
        and (cell["cell_type"] != "code" or isinstance(cell.get("outputs"), list))
    )


def _cell(given: object) -> Cell | None:
    if not isinstance(given, dict):
        return None
    source = _joined(given.get("source", given.get("input")))
    kind = given.get("cell_type")
    if kind == "heading":
        level = given.get("level")
        source = "#" * (level if isinstance(level, int) and 1 <= level <= 6 else 1) + " " + source
        kind = "markdown"
    elif kind not in ("code", "markdown", "raw"):
        kind = "code" if {"outputs", "execution_count", "input"} & given.keys() else "raw"
    metadata = _dict(given.get("metadata"))
    own_id = given.get("id", metadata.get("id"))  # Colab keeps it in the metadata
    attachments = {
        _writable(name): {_writable(mime): _joined(data) for mime, data in _dict(bundle).items()}
        for name, bundle in _dict(given.get("attachments")).items()
    }
    return Cell(
        kind,
        source.replace("\r\n", "\n").replace("\r", "\n"),
        metadata,
        own_id if isinstance(own_id, str) else "",
        attachments if kind != "code" else {},
        _list(given.get("outputs")),
        count if isinstance(count := given.get("execution_count"), int) else None,
    )


def _joined(lines: object) -> str:
    """Return a text that may be in one piece or in a list of lines."""
    if isinstance(lines, list):
        lines = "".join(line for line in lines if isinstance(line, str))
    return _writable(lines) if isinstance(lines, str) else ""


def _writable(text: str) -> str:
    """Return a text that UTF-8 can hold: JSON can name halves of letters."""
    return text.encode("utf-8", errors="replace").decode("utf-8")


def _integer(digits: str) -> int:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else 0


_DECODER = json.JSONDecoder(parse_int=_integer, parse_constant=lambda name: None, strict=False)
_WORD = re.compile(r"[^\s\[\]{}\",:]+")
_SPACE = re.compile(r"[\s,:]*")
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


def _word(word: str) -> object:
    """Return the value of a word outside quotes, None if it has none."""
    try:
        return _DECODER.decode(word)
    except ValueError:
        return None


def _parse_damaged(text: str) -> tuple[object, bool]:
    """Read JSON with missing or doubled commas, without an end, or nested too deeply.

    Returns:
        The value, and whether it was complete. What follows it is left out.
    """
    start = re.search(r"\{\s*\"", text)
    position = start.start() if start else len(text)
    root: object = None
    stack: list[tuple[Any, list[str]]] = []  # containers, and the key that waits for its value
    deeper = 0  # containers below the deepest level, which are left out

    def add(value: object) -> None:
        if deeper or not stack:
            return
        container, key = stack[-1]
        if isinstance(container, list):
            container.append(value)
        elif key:
            container[key.pop()] = value
        elif isinstance(value, str):
            key.append(value)

    for _ in range(_MOST_WORDS):
        position = _SPACE.match(text, position).end()  # type: ignore[union-attr]
        sign = text[position : position + 1]
        if sign == '"':
            try:
                value, position = scanstring(text, position + 1, False)
            except ValueError:
                found = _STRING.match(text, position)
                if not found:
                    break  # it does not end
                value, position = found.group()[1:-1], found.end()
            add(value)
        elif sign and sign in "{[":
            position += 1
            if deeper or len(stack) >= _DEEPEST:
                deeper += 1
                continue
            container: Any = {} if sign == "{" else []
            add(container)
            root = container if root is None else root
            stack.append((container, []))
        elif sign and sign in "]}":
            position += 1
            if deeper:
                deeper -= 1
                if not deeper:
                    add(None)
            elif stack:
                stack.pop()
                if not stack:
                    return root, True
        elif word := _WORD.match(text, position):
            position = word.end()
            if stack and isinstance(stack[-1][0], dict) and not stack[-1][1]:
                continue  # no key
            add(_word(word.group()))
        else:
            break  # the end
    return root, root is None
