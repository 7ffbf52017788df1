"""Recognise which assignment a notebook is of by what it holds, whatever it is called."""

import codecs
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Recognised", "Traits", "recognise", "traits_of"]

# Patterns of a notebook's text, so that a damaged one is recognised, too. In JSON the source of a
# cell is one string or one for each line, with line ends written \n and quotes written \".
_PATTERNS = {
    "grade ids": re.compile(r'"grade_id"\s*:\s*"([^"\\]+)"'),
    "names of its functions and classes": re.compile(r'(?:"|\\n|\n) *(?:def|class) +([^\W_]\w*)'),
    "headings": re.compile(r'(?:"|\\n|\n)#+ +([^"\\\n]+)'),
}

#: By kind of pattern, what the notebook of an assignment holds and no other one does.
Traits = dict[str, set[str]]


@dataclass(frozen=True)
class Recognised:
    """What a file was recognised as.

    Attributes:
        assignment: Name of the assignment, None if it is not known.
        doubt: Why this is not certain, "" if it is.
        readable: Whether the file is JSON.
    """

    assignment: str | None
    doubt: str
    readable: bool


def traits_of(released: Mapping[str, str]) -> dict[str, Traits]:
    """Return by which words each notebook can be recognised.

    Args:
        released: The student versions as JSON, by assignment.
    """
    traits = {
        name: _words(json.dumps(json.loads(text), ensure_ascii=False))
        for name, text in released.items()
    }
    for kind in _PATTERNS:
        count = Counter(word for one in traits.values() for word in one[kind])
        for one in traits.values():
            one[kind] = {word for word in one[kind] if count[word] == 1}
    return traits


def recognise(content: bytes, traits: dict[str, Traits]) -> Recognised:
    """Return which assignment a notebook is of.

    Args:
        content: The file.
        traits: What `traits_of` returned.
    """
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = content.decode("utf-16" if utf16 else "utf-8-sig", errors="replace")
    try:
        readable = isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        readable = False
    words = _words(text)
    for kind in _PATTERNS:
        votes = Counter({name: len(words[kind] & one[kind]) for name, one in traits.items()})
        (first, most), *others = votes.most_common(2)
        if most and not (others and others[0][1] == most):
            doubt = "" if kind == "grade ids" else f"recognised by the {kind} only"
            return Recognised(first, doubt if readable else "cannot be read as JSON", readable)
    doubt = "is no notebook of this course" if readable else "cannot be read as JSON"
    return Recognised(None, doubt, readable)


def _words(text: str) -> Traits:
    return {kind: {*pattern.findall(text)} for kind, pattern in _PATTERNS.items()}
