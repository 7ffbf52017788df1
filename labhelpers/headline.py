"""The first line of a report: how it says how an answer stands, and how that is read again."""

from __future__ import annotations

import re

__all__ = ["STATES", "headline", "read_headline"]

#: How an answer stands, in words.
STATES = {
    "right": "all right",
    "partly": "partly right",
    "wrong": "not right yet",
    "not attempted": "not attempted yet",
}
_FORM = re.compile(r"\S+: ({}), ([\d.]+) of [\d.]+ points?".format("|".join(STATES.values())))


def headline(name: str, status: str, score: float, points: float) -> str:
    """Return what the student wrote, verdict and points in one line."""
    return f"{name}: {STATES[status]}, {score:g} of {points:g} point{'s' * (points != 1)}"


def read_headline(text: str) -> tuple[str, float] | None:
    """Return the status and the score that the first line of a report names, None without one."""
    if not (found := _FORM.match(text)):
        return None
    (status,) = (status for status, words in STATES.items() if words == found[1])
    return status, float(found[2])
