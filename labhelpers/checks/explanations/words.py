"""Put what the explanations found into sentences: lists of names, capitals at the start."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["capitalised", "enumerated"]


def capitalised(text: str) -> str:
    """Return a sentence with a capital at its start."""
    return text[:1].upper() + text[1:]


def enumerated(words: Iterable[str], word: str = "and") -> str:
    """Return words as a sentence lists them, such as `a, b and c`; "" if there are none."""
    *first, last = [*words] or [""]
    return f"{', '.join(first)} {word} {last}" if first else last
