"""Tell what the code of the clinic's mended functions shows: missing brackets, unread arguments."""

from __future__ import annotations

from typing import Any

from labhelpers.checks.explanations.functions import code_of, facts_of
from labhelpers.checks.probes.mends import RIGHT
from labhelpers.checks.records import Explanation, Run, explained

__all__ = ["clinic"]


def clinic(answer: Any, runs: list[Run]) -> Explanation | None:
    """Look at the code of the functions that do not do their job."""
    returned = answer()
    tried = runs[0]["observed"].get("function", {})
    facts: list[str] = []
    for letter, entry in returned.items() if isinstance(returned, dict) else ():
        told = tried.get(f"case {letter}", [RIGHT])
        if told == [RIGHT] or not isinstance(entry, (tuple, list)) or len(entry) != 2:
            continue
        if code := code_of(entry[1]):
            who = f"Case {letter}: `{code.co_name}`"
            facts += facts_of(entry[1], entry[1], who=who)
    return explained(facts)
