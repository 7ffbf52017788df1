"""Probe of the audit of notebook 1: what is named, what is missed, and where."""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from labhelpers.checks.cases import ERROR, PROOF, Case, Log, Setting
from labhelpers.checks.probes.planted import PROBLEMS, Pair, planted_pairs
from labhelpers.checks.records import Observed
from labhelpers.data import IXIDataset

__all__ = ["Audited", "audit_split", "audited", "read_audit", "write_pairs"]

_ALL = "all pairs of data sets"
_RAW_NAMES, _RAW_KIND = "raw-names", "raw-kind"
_SEED = 311
_FILE = "pairs.pt"

_MOST_SIGNS = 3  # that are told of what was missed
_CHANCE = 0.12  # that what they have in common means nothing, at most
_MOST_NAMES = 20  # that are written down of an answer
_NAME_LENGTH = 60


def audit_split(answer: Any, setting: Setting) -> Iterator[Case]:
    """Audit pairs of data sets, among them sound ones."""

    def act(log: Log, sides: list[Tensor]) -> None:
        sets = []
        for first, part in zip((0, len(sides[0])), sides, strict=True):
            names = [f"sub-{first + index:03d}" for index in range(len(part))]
            t1, t2 = part.to(setting.dtype, copy=True).split(1, dim=1)
            sets.append(IXIDataset.from_tensors(t1, t2, names))
        found = answer(*sets)
        names_found = _names(found)
        log(_RAW_KIND, _kind(found, names_found))
        if names_found is not None:
            log(_RAW_NAMES, names_found)

    for number, sides in enumerate(_sides(setting)):
        yield Case(_label(number), partial(act, sides=sides))


def write_pairs(folder: Path, setting: Setting) -> None:
    """Write the pairs of data sets; only the whole series tells what is wrong with them."""
    pairs = planted_pairs(setting.secret_seed(_SEED))
    torch.save([[pair.train, pair.test] for pair in pairs], folder / _FILE)


def _sides(setting: Setting) -> list[list[Tensor]]:
    """Return training and test set of each pair."""
    if setting.folder:
        return torch.load(setting.folder / _FILE, weights_only=True)
    return [[pair.train, pair.test] for pair in planted_pairs(setting.secret_seed(_SEED))]


def _label(number: int) -> str:
    return f"data sets {number + 1}"


def _names(found: Any) -> list[str] | None:
    """Return the names in what an answer found, in a fixed order; None if it holds no names."""
    if not isinstance(found, (set, frozenset, list, tuple)):
        return None
    names = list(islice(found, _MOST_NAMES))
    if not all(isinstance(name, str) for name in names):
        return None
    return sorted(name[:_NAME_LENGTH] for name in names)


def _kind(found: Any, names: list[str] | None) -> str:
    """Return in words what an answer returned."""
    if found is None:
        return "nothing (None)"
    kind = "set" if isinstance(found, (set, frozenset)) else type(found).__name__
    article = "an" if kind[0] in "aeiouAEIOU" else "a"
    other = kind in ("set", "list", "tuple") and names is None
    return f"{article} {kind}" + (" that holds other things than names" if other else "")


# --- What was found and what was not -------------------------------------------------------------

_NAMED, _SILENT, _STOPPED, _OTHER_NAME = "N", "-", "!", "?"
_RIGHT = "named where it is, and nowhere else"
_THERE = {
    "subject": "a subject is on both sides",
    "mirrored": "a mirrored copy is on both sides",
    "pairs": "pairs are exchanged",
    "modalities": "modalities are exchanged",
    "scale": "a slice has another scale",
    "finite": "a value is not finite",
}


def read_audit(observed: Observed, setting: Setting) -> Observed:
    """Turn the names that were found into words: which problem was missed, where, what is common.

    Which problems are in which data sets is known to the verdict, and in grading to nobody else who
    has not looked for them.
    """
    result: Observed = {ERROR: observed[ERROR]} if ERROR in observed else {}
    pairs = planted_pairs(setting.secret_seed(_SEED))
    raw_names, raw_kinds = (
        [observed.get(raw, {}).get(_label(number)) for number in range(len(pairs))]
        for raw in (_RAW_NAMES, _RAW_KIND)
    )
    if not any(isinstance(kind, str) for kind in raw_kinds):
        return result  # it was stopped each time
    # Whoever returns something else than names has named nothing; whoever was stopped, has no say.
    found = [
        [str(name)[:_NAME_LENGTH] for name in names if isinstance(name, str)]
        if isinstance(names, list)
        else None
        if kind is None
        else []
        for names, kind in zip(raw_names, raw_kinds, strict=True)
    ]
    result["result"] = {_ALL: _result(raw_kinds, found, pairs)}
    if not any(isinstance(names, list) for names in raw_names):
        return result
    n_right = n_named = n_true = 0
    for item, problem in PROBLEMS.items():
        codes = [_code(item, problem, *of_one) for of_one in zip(pairs, found, strict=True)]
        words = _explained(item, codes, pairs, found)
        result[item] = {_ALL: [words, "".join(codes)]}
        n_right += words == _RIGHT
        named = [pair for code, pair in zip(codes, pairs, strict=True) if code == _NAMED]
        n_named += len(named)
        n_true += sum(item in pair.planted for pair in named)
    # One problem can be right by luck among many wrong names: 1 guess in 680.
    result[f"{PROOF}found"] = {_ALL: n_right > 1 or (n_right == 1 and 2 * n_true > n_named)}
    return result


class Audited(NamedTuple):
    """What an answer made of a pair of data sets: the names, what kind of object holds them."""

    names: list[str]
    kind: str
    pair: Pair


def audited(observed: Observed, setting: Setting) -> list[Audited]:
    """Return what an answer made of each pair of data sets, without those that stopped it."""
    pairs = planted_pairs(setting.secret_seed(_SEED))
    names, kinds = (observed.get(raw, {}) for raw in (_RAW_NAMES, _RAW_KIND))
    return [
        Audited([str(name) for name in found], str(kinds.get(label, "a set")), pair)
        for label, pair in zip(map(_label, range(len(pairs))), pairs, strict=True)
        if isinstance(found := names.get(label), list)
    ]


def _code(item: str, problem: str, pair: Pair, names: list[str] | None) -> str:
    """Return what an answer made of a problem in a pair of data sets, as one character.

    An error counts for the problems that are there, and for all where there is none.
    """
    if names is None:
        return _STOPPED if item in pair.planted or not pair.planted else _SILENT
    if problem in names:
        return _NAMED
    return _OTHER_NAME if item in pair.planted and _unknown(names) else _SILENT


def _unknown(names: Iterable[str]) -> list[str]:
    """Return the names in an answer that no problem has."""
    return [name for name in names if name not in PROBLEMS.values()]


def _result(kinds: Sequence[Any], found: Iterable[list[str] | None], pairs: list[Pair]) -> str:
    """Return in words what was returned."""
    seen = Counter(kind[:_NAME_LENGTH] for kind in kinds if isinstance(kind, str))
    unknown = [name for names in found for name in _unknown(names or [])]
    listed = " and ".join(map(repr, dict.fromkeys(unknown)))
    named = f" with {listed}, which the table does not have" if unknown else ""
    (usual, _), *others = seen.most_common(2)
    if not others:
        return usual + named
    other = others[0][0]
    sound = {k for k, pair in enumerate(pairs) if not pair.planted}
    where = {k for k, kind in enumerate(kinds) if kind == other}
    when = "where nothing is wrong" if where == sound else f"in {len(where)} of {len(pairs)} cases"
    return f"{usual}{named}, but {other} {when}"


def _explained(
    item: str, codes: list[str], pairs: list[Pair], found: Sequence[list[str] | None]
) -> str:
    """Return in words where a problem was missed and where it was named wrongly."""
    there = [k for k, pair in enumerate(pairs) if item in pair.planted]
    elsewhere = [k for k in range(len(pairs)) if k not in there]
    parts = []
    for among, code, verb in (
        (there, _SILENT, "missed in"),
        (there, _OTHER_NAME, "missed in"),
        (there, _STOPPED, "the function stops with an error in"),
        (elsewhere, _NAMED, "named in"),
        (elsewhere, _STOPPED, "the function stops with an error in"),
    ):
        wrong = [k for k in among if codes[k] == code]
        if not wrong:
            continue
        which = "that have it" if among is there else "that do not have it"
        text = f"{verb} {len(wrong)} of the {len(among)} pairs of data sets {which}"
        if among is elsewhere and 2 * len(wrong) > len(among):
            untouched = any(not pairs[k].plants for k in wrong)
            text += ", also the one to which nothing was done" if untouched else ""
        elif len(wrong) < len(among):
            text += f": {_where(item, wrong, among, pairs)}"
        if code == _OTHER_NAME:
            held = Counter(name for k in wrong for name in _unknown(found[k] or []))
            most = max(held.values())
            # Beside another problem there may be another wrong name.
            names = [name for name, count in held.items() if count == most]
            other = max(names, key=lambda name: _likeness(name, PROBLEMS[item]))
            text += f"; there the result holds {other!r}"
        parts.append(text)
    return ".\n".join(parts) or _RIGHT


def _likeness(name: str, other: str) -> float:
    return difflib.SequenceMatcher(None, name, other).ratio()


def _signs(item: str, pair: Pair) -> list[str]:
    """Return clauses that hold of a pair of data sets, those of an item first."""
    own, others = (
        [plant for plant in pair.plants if (plant.item == item) == is_own]
        for is_own in (True, False)
    )
    signs = [f"it is {place}" for plant in own for place in plant.places]
    signs += [kind for plant in own for kind in plant.kinds]
    if own and item not in pair.planted:
        return signs  # a trap is reason enough
    signs += [_THERE[plant.item] for plant in others if plant.is_problem]
    signs += [kind for plant in others for kind in plant.kinds]
    return [*signs, "another problem is there, too"] if len(pair.planted) > 1 else signs


def _by_chance(n: int, n_wanted: int, n_all: int) -> float:
    """Return how likely it is that `n_wanted` of `n_all`, drawn by chance, hold `n` given ones."""
    return math.comb(n_all - n, n_wanted - n) / math.comb(n_all, n_wanted)


def _where(item: str, wanted: Sequence[int], among: Sequence[int], pairs: list[Pair]) -> str:
    """Return in words what some pairs of data sets have in common, and what was done to the rest.

    Args:
        item: The item of the report.
        wanted: The pairs of data sets in question.
        among: Those that they are told from.
        pairs: All.
    """
    signs = [_signs(item, pair) for pair in pairs]
    holds = {sign: {k for k in among if sign in signs[k]} for k in wanted for sign in signs[k]}
    # What holds of a single pair, or of a few of many that are wanted, may do so by chance.
    common = {
        sign: ks
        for sign, ks in holds.items()
        if len(ks) > 1
        and ks <= set(wanted)
        and (ks == set(wanted) or _by_chance(len(ks), len(wanted), len(among)) < _CHANCE)
    }
    left = set(wanted)
    parts: list[str] = []
    while common and len(parts) < _MOST_SIGNS:
        sign = max(common, key=lambda sign: len(common[sign] & left))
        if not common[sign] & left:
            break
        left -= common.pop(sign)
        parts.append(f"wherever {sign}")
    told = list(dict.fromkeys(pairs[k].told(item) for k in sorted(left)))
    shown = told[: 1 if parts else 2]
    more = f" and {len(told) - len(shown)} more" if len(told) > len(shown) else ""
    return "; ".join([*parts, *shown]) + more
