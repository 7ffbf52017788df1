"""Make what a student's notebook shows harmless, short, and free of this machine's paths."""

from __future__ import annotations

import html
import os
import re
import sys
import tempfile

import bleach
from bleach.css_sanitizer import CSSSanitizer
from jinja2 import pass_context
from jinja2.runtime import Context
from nbconvert.exporters.exporter import ResourcesDict
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import is_grade, is_solution
from traitlets import List

from labhelpers.instructor.sources import NOTEBOOKS

__all__ = [
    "CleanForReaders",
    "CleanOutputs",
    "clean_html",
    "hide_paths",
    "markdown_to_html",
]

Notebook = tuple[NotebookNode, ResourcesDict]

# How much of a notebook is shown. Lengths in characters; an image counts as base64.
_MOST_TEXT = 12_000  # of one output
_MOST_HTML = 60_000  # without images
_MOST_IMAGE = 6_000_000
_MOST_SHOWN = 24_000_000  # of a notebook's images; text and HTML count
_TEXT_COUNTS = 20  # times as much
_MOST_OUTPUTS = 60  # of a cell
_MOST_SOURCE = 100_000  # of a cell
_DEEPEST = 100  # elements within elements; the time to clean them grows with the square
_MOST_STYLE = 500  # of an element; tinycss2 recurses into brackets
_MOST_BRACKETS = 20  # of a style
_MOST_MATH = 200  # environments of a text; the time to find their ends grows with the square
_MOST_CHUNKS = 100  # of either end of a traceback
_MOST_TRACEBACK = 48_000  # colours count
_MOST_PATH = 1_000

_TAGS = re.findall(
    r"\w+",
    """a abbr b blockquote br caption center code col colgroup dd del details div dl dt em
    figcaption figure h1 h2 h3 h4 h5 h6 hr i img ins kbd li ol p pre s samp small span strong sub
    summary sup table tbody td tfoot th thead tr u ul var""",
)
_STYLES = re.findall(
    r"[\w-]+",
    """background-color border border-bottom border-collapse border-left border-right border-top
    color font-family font-style font-weight height margin margin-bottom margin-left margin-right
    margin-top max-width padding padding-bottom padding-left padding-right padding-top text-align
    text-decoration vertical-align white-space width""",
)
# In an `img` no SVG runs scripts or loads anything.
_IMAGE = re.compile(r"data:image/(png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=\s]*")
_LINK = re.compile(r"(https?://|mailto:)[^\s]*", re.IGNORECASE)
# Classes of highlighted code and of pandas' tables; the formgrader's script looks for others.
_CLASSES = re.compile(r"(highlight|dataframe|[a-z][a-z0-9]{0,2})( [a-z][a-z0-9]{0,2})*")

# A whole element that bleach would leave as text, and text that a browser can only read as one of
# the elements and attributes that `clean_html` leaves.
_INVISIBLE = re.compile(
    r"<(script|style)\b[^>]{0,999}>.{0,20000}?</\1\s*>", re.IGNORECASE | re.DOTALL
)
_NO_IMAGE = re.compile(r"<img(?![^<>]* src=)[^<>]*>")
_HARMLESS = re.compile(
    rf"</?(?:{'|'.join(sorted(_TAGS, key=len, reverse=True))})"
    r'(?:\s+(?:alt|title|width|height)="[^"<>]*"'
    r'|\s+style="text-align:\s*(?:left|right|center)"'
    r'|\s+class="(?:highlight|[a-z][a-z0-9]{0,2})"'
    r'|\s+href="(?:https?://|mailto:)[^"<>\s]*"'
    r'|\s+src="data:image/(?:png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=\s]*")*\s*/?>'
)

_TEXTS = ("text/plain", "text/latex")
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")
_IMAGES = ("image/png", "image/jpeg", "image/svg+xml")

_ANSI = re.compile(r"\x1b\[[\d;]*m")
_FOREIGN_FRAME = re.compile(
    r"\s*(?:File )?(?!<ipython-input|\S*ipykernel_\d)"  # these are cells
    r"(?P<path>[~/<][^\n]*?|[A-Za-z]:\\[^\n]*?|[\w./\\-]+\.py)"
    r"(?::\d+|,? line \d+)?,? in (?P<function>[\w.<>]+)"
)
_LIBRARY = re.compile(
    r"(?:.*[/\\](?:site-packages|dist-packages|python3[\d.]*)|.*(?=[/\\]labhelpers))[/\\](?P<name>\w+)"
)

_PART = r"[\w.+@~-]"
_IN_LIBRARY = re.compile(
    rf"(?<![\w.+@~:/-])(?:~?(?:/{_PART}+)*|[A-Za-z]:(?:[\\/]{_PART}+)*)[\\/]"
    r"(?:(?:site|dist)-packages|lib/python3[\d.]*)[\\/]"
)
_HERE = {  # folders of this machine
    sys.prefix,
    sys.base_prefix,
    str(NOTEBOOKS.parent),
    tempfile.gettempdir(),
    os.path.expanduser("~"),
}
_ROOTS = [
    *(re.escape(folder) for folder in _HERE if len(folder) > 2),
    r"/(?:home|root|Users|tmp|var|opt|srv|mnt|media|usr|work|private|data|run)",
    r"[A-Za-z]:(?=\\)",
]
_ABSOLUTE = re.compile(rf"(?<![\w.+@~:/-])(?:{'|'.join(_ROOTS)})(?![\w.-])(?:[\\/]{_PART}+)*[\\/]?")


class CleanOutputs(NbGraderPreprocessor):
    """Cleans the outputs, and the written answers that hold scripts, of a graded notebook.

    A browser runs nothing of what is left, whatever shows the notebook: scripts, widgets, foreign
    elements and attributes are gone, tracebacks hold the student's own lines only, long outputs are
    cut. To run after `SaveAutoGrades`, which compares the answers with the released ones.
    """

    display_data_priority: List = List().tag(config=True)  # nbconvert warns where it cannot set it

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> Notebook:
        """Change the notebook in place and return it."""
        nb.metadata.pop("widgets", None)  # without outputs of widgets it is a burden only
        room = _MOST_SHOWN
        for cell in nb.cells:
            if cell.cell_type == "code":
                room = _clean_cell(cell, room)
            elif is_solution(cell) or not cell.metadata.get("nbgrader"):
                cell.source = _without_scripts(cell)
        return nb, resources


class CleanForReaders(CleanOutputs):
    """Cleans a notebook for a page: as `CleanOutputs`, and very long cells are cut.

    For `HTMLExporter.preprocessors`, so that notebooks that were graded before are clean, too.
    """

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> Notebook:
        """Change the notebook in place and return it."""
        for cell in nb.cells:
            cell.source = _cut(cell.source, _MOST_SOURCE)
        nb.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
        return super().preprocess(nb, resources)


# --- HTML and Markdown --------------------------------------------------------------------------


def clean_html(text: str) -> str:
    """Return HTML of which a browser runs nothing and loads nothing.

    Left are text, tables, lists, images that the text itself holds, links to other sites, and
    styles that move nothing over its surroundings.

    Args:
        text: HTML from anywhere.
    """
    without_images = _IMAGE.sub("", str(text))
    as_text = f"<pre>{html.escape(_cut(without_images, _MOST_TEXT))}</pre>"
    if len(without_images) > _MOST_HTML or _depth(without_images) > _DEEPEST:
        return as_text
    try:
        cleaned = bleach.clean(
            _INVISIBLE.sub("", str(text)),
            tags=_TAGS,
            attributes=_allows,
            protocols={"http", "https", "mailto", "data"},  # `_allows` knows where
            strip=True,
            css_sanitizer=_Styles(allowed_css_properties=_STYLES),
        )
    except Exception:  # one output that cannot be cleaned must not stop the grading
        return as_text
    return _NO_IMAGE.sub("", cleaned)


class _Styles(CSSSanitizer):
    """Drops styles that could lay an element over others, or are too much for tinycss2."""

    def sanitize_css(self, style: str) -> str:
        if len(style) > _MOST_STYLE or len(re.findall(r"[(\[{]", style)) > _MOST_BRACKETS:
            return ""
        clean = super().sanitize_css(style)
        return "" if re.search(r"-\s*[\d.]|\\|(?<!rgb)(?<!rgba)\(", clean) else clean


def _allows(tag: str, name: str, value: str) -> bool:
    """Return True if an element may keep an attribute."""
    if name in ("style", "title"):
        return True
    if name == "class":
        return bool(_CLASSES.fullmatch(value))
    if tag == "a":
        return name == "href" and bool(_LINK.fullmatch(value))
    if tag == "img" and name == "src":
        return bool(_IMAGE.fullmatch(value))
    if tag == "img" and name == "alt":
        return True
    numbers = {"img": ("width", "height"), "td": ("colspan", "rowspan"), "table": ("border",)}
    numbers["th"] = numbers["td"]
    return name in numbers.get(tag, ()) and bool(re.fullmatch(r"\d{1,4}%?", value))


def _depth(text: str) -> int:
    """Return how many elements are open at once at most, roughly."""
    depth = deepest = 0
    for end, _ in re.findall(r"<(/?)(?!br|img|hr|col\b|p\b|li\b|t[rdh]\b)([a-zA-Z])", text):
        depth = max(depth + (-1 if end else 1), 0)
        deepest = max(depth, deepest)
    return deepest


def _render(source: str, attachments: dict[str, dict[str, str]]) -> str | None:
    """Return the HTML of a Markdown text of bounded length, None if it cannot be rendered."""
    if source.count("\\begin") > _MOST_MATH:
        return None
    renderer = IPythonRenderer(escape=False, attachments=attachments, exclude_anchor_links=True)
    try:
        return MarkdownWithMath(renderer=renderer).render(source)
    except Exception:  # an attachment is missing, lists nest too deeply
        return None


def _clean_markdown(source: str, attachments: dict[str, dict[str, str]]) -> str:
    """Return the HTML of a Markdown text, cleaned; the text as it is if it cannot be rendered."""
    rendered = _render(source, attachments)
    return clean_html(f"<pre>{html.escape(source)}</pre>" if rendered is None else rendered)


@pass_context
def markdown_to_html(context: Context, source: str) -> str:
    """Return the HTML of a Markdown text, cleaned.

    For `HTMLExporter.filters`, in place of nbconvert's `markdown2html`.

    Args:
        context: Of the template, with the `cell`.
        source: Text in Markdown.
    """
    cell = context.get("cell", {})
    return _clean_markdown(_cut(source, _MOST_SOURCE), cell.get("attachments", {}))


def _without_scripts(cell: NotebookNode) -> str:
    """Return the text of a cell; one that holds more than plain HTML is quoted as code."""
    if cell.cell_type == "raw":
        return html.escape(cell.source, quote=False) if "<" in cell.source else cell.source
    source = _cut(cell.source, _MOST_SOURCE)
    rendered = _render(source, cell.get("attachments", {}))
    if rendered is None:  # somebody else may render it all the same
        rendered = source
    if "<" not in _HARMLESS.sub("", rendered):
        return source
    fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", source)), default=0))
    return (
        "*This text holds HTML that is not shown here; it reads as follows.*\n\n"
        f"{fence}text\n{source}\n{fence}"
    )


# --- outputs ------------------------------------------------------------------------------------


def _clean_cell(cell: NotebookNode, room: int) -> int:
    """Clean the outputs of a code cell.

    Args:
        cell: The cell, changed in place.
        room: How much the notebook may still show, in characters of images.

    Returns:
        What is left of it.
    """
    outputs = cell.outputs
    left_out = len(outputs) - _MOST_OUTPUTS
    if left_out > 0:
        half = _MOST_OUTPUTS // 2
        note = f"… {left_out:,} outputs are not shown …\n"
        outputs[half:-half] = [new_output("stream", name="stdout", text=note)]
    for place, output in enumerate(outputs):
        cost = 0 if is_grade(cell) else _cost(output)  # a report is always shown
        if cost > room:
            note = "[An output is not shown here: this notebook shows too much already.]\n"
            outputs[place] = new_output("stream", name="stdout", text=note)
            continue
        room -= cost
        if output.output_type == "stream":
            output.text = _clean_text(output.text)
        elif output.output_type == "error":
            output.ename, output.evalue = output.ename[:200], _clean_text(output.evalue)
            output.traceback = _clean_traceback(output, hide=is_grade(cell))
        else:
            output.data = _clean_data(output.data)
            output.metadata = NotebookNode(
                {kind: _sizes(value) for kind, value in output.metadata.items() if kind in _IMAGES}
                | {name: value for name, value in output.metadata.items() if name == "labhelpers"}
            )
    return room


def _cost(output: NotebookNode) -> int:
    """Return how much an output shows, in characters of images."""
    if output.output_type == "stream":
        return _TEXT_COUNTS * min(len(output.text), _MOST_TEXT)
    if output.output_type == "error":
        return _TEXT_COUNTS * _MOST_TEXT
    cost = 0
    for kind, value in output.data.items():
        if _is_image(kind, value):
            cost += len(value)
        elif isinstance(value, str):
            text = len(_IMAGE.sub("", value))
            most = _MOST_HTML if kind == "text/html" else _MOST_TEXT
            cost += len(value) - text + _TEXT_COUNTS * min(text, most)
    return cost


def _clean_data(data: NotebookNode) -> NotebookNode:
    """Return what was displayed, cleaned."""
    clean = {}
    for kind, value in data.items():
        if not isinstance(value, str):
            continue
        if kind in _TEXTS:
            clean[kind] = _clean_text(value)
        elif kind == "text/html":
            clean[kind] = _hide_paths_in_html(clean_html(value))
        elif kind == "text/markdown" and "text/html" not in data:
            markdown = _clean_markdown(_cut(value, _MOST_TEXT), {})
            clean["text/html"] = _hide_paths_in_html(markdown)
        elif _is_image(kind, value):
            clean[kind] = value
    if not clean:
        kinds = _cut(", ".join(map(str, data)) or "nothing", 200)
        clean = {"text/plain": f"[An output is not shown here: {kinds}]"}
    return NotebookNode(clean)


def _is_image(kind: str, value: object) -> bool:
    """Return True for an image that is not too large and cannot end the attribute that holds it."""
    if kind not in _IMAGES or not isinstance(value, str) or len(value) > _MOST_IMAGE:
        return False
    # The template encodes SVG, in which nothing runs then.
    return kind == "image/svg+xml" or bool(_BASE64.fullmatch(value))


def _sizes(metadata: object) -> dict[str, int | str]:
    """Return width, height and alternative text; a template writes them into an element."""
    if not isinstance(metadata, dict):
        return {}
    sizes = {
        name: metadata[name] for name in ("width", "height") if type(metadata.get(name)) is int
    }
    return sizes | ({"alt": metadata["alt"]} if isinstance(metadata.get("alt"), str) else {})


def _clean_traceback(error: NotebookNode, hide: bool) -> list[str]:
    """Return the student's own frames of a traceback, with a line in place of all others.

    Args:
        error: The output, cleaned but for its traceback.
        hide: Whether no frame is to be shown, as where the cell is a test.
    """
    last = f"{error.ename}: {error.evalue}".rstrip(": ")
    if hide or error.ename == "NotImplementedError":
        return [last]
    lines: list[str] = []
    chunks = error.traceback
    for chunk in chunks[:_MOST_CHUNKS] + chunks[max(_MOST_CHUNKS, len(chunks) - _MOST_CHUNKS) :]:
        plain = _ANSI.sub("", chunk[:_MOST_TEXT])
        if "\n" in plain.strip() and (frame := _FOREIGN_FRAME.match(plain)):
            library = _LIBRARY.match(frame["path"][-_MOST_PATH:])
            where = library["name"] if library else "another file"
            line = f"… in {where}: {frame['function'][:200]}"
            if lines and lines[-1].startswith("… in "):
                lines.pop()
            lines.append(line)
        else:
            lines.append(_clean_text(chunk))
    lines = lines[:40] + lines[max(40, len(lines) - 20) :]
    whole = "\n".join(lines)
    return lines if len(whole) <= _MOST_TRACEBACK else [_cut(whole, _MOST_TRACEBACK)]


def _clean_text(text: str) -> str:
    """Return text as a terminal leaves it, cut, without paths of this machine."""
    text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return hide_paths(_cut(text, _MOST_TEXT))


def _cut(text: str, most: int) -> str:
    """Return the beginning and the end of a text that is too long."""
    if len(text) <= most:
        return text
    end = most // 6
    left_out = len(text) - most
    return f"{text[: most - end]}\n… {left_out:,} characters are not shown …\n{text[-end:]}"


def hide_paths(text: str) -> str:
    """Return a text without names of folders of the machine that ran a notebook.

    Paths to packages are shortened to what follows `site-packages/`, others to the file's name.

    Args:
        text: Plain text, not HTML that holds images.
    """
    if "/" not in text and "\\" not in text:
        return text
    text = _IN_LIBRARY.sub("", text)
    return _ABSOLUTE.sub(_shorten, text)


def _shorten(path: re.Match[str]) -> str:
    name = re.split(r"[/\\]", path[0])[-1]
    return f"…/{name}" if "." in name else "…"


def _hide_paths_in_html(text: str) -> str:
    parts = re.split(r"(data:image/[^\"']*)", text)
    return "".join(part if place % 2 else hide_paths(part) for place, part in enumerate(parts))
