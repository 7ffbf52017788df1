"""Tell whether an audit ends with the first problem that it finds."""

from __future__ import annotations

from typing import Any

from labhelpers.checks.cases import Setting
from labhelpers.checks.probes.audit import names_and_pairs
from labhelpers.checks.probes.planted import PROBLEMS
from labhelpers.checks.records import Explanation, Run, explained

__all__ = ["audit_split"]

_LEAST = 3  # pairs of data sets where one name hides another


def audit_split(answer: Any, runs: list[Run]) -> Explanation | None:
    """Tell whether one name is all that is ever returned, though two problems are there."""
    for run in runs:
        tried = names_and_pairs(run["observed"], Setting())
        if not tried or max(len(names) for names, _ in tried) != 1:
            continue
        known = {name for names, _ in tried for name in names}
        missed: dict[str, list[bool]] = {item: [] for item in PROBLEMS}  # beside another problem?
        for names, pair in tried:
            for item in pair.planted:
                if PROBLEMS[item] not in names:
                    others = {PROBLEMS[other] for other in pair.planted}
                    missed[item].append({*names} < others and len(names) == 1)
        hidden = [item for item, is_hidden in missed.items() if is_hidden and all(is_hidden)]
        hidden = [item for item in hidden if PROBLEMS[item] in known]
        if sum(len(missed[item]) for item in hidden) >= _LEAST:
            n_two = sum(len(pair.planted) > 1 for _, pair in tried)
            sentence = (
                "Your function never returns more than one name, also not for the "
                f"{n_two} pairs of data sets that have two problems. Asked for: the names of all "
                "problems that are there."
            )
            return explained([sentence], hidden)
    return None
