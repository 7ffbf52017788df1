"""Work out the numbers that the checks compare with: `labhelpers expected`.

The reference solutions come from the source notebooks, other accepted answers and known mistakes
from tables of changes to them. All are run on the probes; what is stored is what the probes saw.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from itertools import chain, combinations
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import torch

from labhelpers.checks.cases import CLUE
from labhelpers.checks.comparison import Observed
from labhelpers.checks.exercises import WRITTEN_AS
from labhelpers.checks.fingerprint import compact, same
from labhelpers.checks.mistakes import marks_of
from labhelpers.checks.runner import probe
from labhelpers.checks.verdict import NUMBERS_FILES, TEXTS_FILE
from labhelpers.instructor.authoring.edits import (
    BuildError,
    Change,
    UnfitError,
    load,
    read_mistakes,
    read_table,
)
from labhelpers.instructor.sources import NOTEBOOKS, Exercise, read_exercises

__all__ = ["build", "differences", "stale", "write"]

VARIANTS = tuple(NUMBERS_FILES)
_APART = 5e-3  # how far numbers differ that recognition tells apart, in float32 as well


def build(folder: Path = NOTEBOOKS) -> dict[Path, Any]:
    """Return what the files that the checks read should hold for the notebooks in `folder`.

    Raises:
        BuildError: If an exercise is missing, a reference solution fails on a probe, or a change
            does not fit its solution or changes nothing.
    """
    items, accepted = (read_table(f"{name}.yaml") for name in ("items", "accepted"))
    mistakes = read_mistakes()
    exercises = read_exercises(folder)
    missing = WRITTEN_AS.keys() - exercises.keys()
    if missing:
        raise BuildError(f"{folder} has no solution cell for {', '.join(sorted(missing))}.")
    context = get_context("spawn")
    with ProcessPoolExecutor(min(os.cpu_count() or 1, 4), context, _use_one_thread) as pool:
        tasks = {
            (id_, variant): pool.submit(
                _numbers,
                exercises[id_],
                variant,
                items[id_],
                accepted.get(id_, {}),
                mistakes.get(id_, {}),
            )
            # The largest network takes longest, so it starts first.
            for id_ in sorted(WRITTEN_AS, key=lambda id_: id_ != "generator-unet")
            for variant in VARIANTS
        }
        wait(tasks.values())
    problems = [str(task.exception()) for task in tasks.values() if _is_build_error(task)]
    if problems:
        raise BuildError("\n".join(dict.fromkeys(problems)))
    numbers = {key: task.result() for key, task in tasks.items()}
    texts = {
        id_: {
            "items": items[id_],
            "mistakes": {
                name: {key: mistake[key] for key in ("nudge", "hint", "concept")}
                for name, mistake in mistakes.get(id_, {}).items()
            },
        }
        for id_ in WRITTEN_AS
    }
    return {
        TEXTS_FILE: {"exercises": texts, "errors": read_table("errors.yaml")},
        **{
            NUMBERS_FILES[variant]: {id_: numbers[id_, variant] for id_ in WRITTEN_AS}
            for variant in VARIANTS
        },
    }


def _is_build_error(task: Future) -> bool:
    return isinstance(task.exception(), BuildError)


def _use_one_thread() -> None:
    torch.set_num_threads(1)  # processes that share a processor must not multiply their threads


class _Made(NamedTuple):
    """A known mistake made in an accepted way to answer."""

    name: str
    run: dict[str, Any]
    marks: Observed


def _numbers(
    exercise: Exercise,
    variant: str,
    items: dict[str, Any],
    accepted: dict[str, Change],
    mistakes: dict[str, Change],
) -> dict[str, Any]:
    """Return what right answers and known mistakes give on one variant of the probes."""
    ways = {_name(names): [accepted[name] for name in names] for names in _combinations(accepted)}
    runs = {way: _run(exercise, changes, variant) for way, changes in ways.items()}
    reference_run = runs[""]
    _refuse_failure(exercise, reference_run, items)
    observed = {way: _of_interest(run, items) for way, run in runs.items()}
    stored: dict[str, dict[str, list[Any]]] = {name: {} for name in mistakes}
    problems: list[str] = []
    for way in _ways_to_try(accepted):
        made = [
            _Made(name, run, _marks(items, run, observed[way], mistake))
            for name, mistake in mistakes.items()
            for change in (mistake, *mistake.get("also", ()))
            if (run := _run_where_it_fits(exercise, ways[way], change, variant))
        ]
        for one in made:
            alike = [x for x in made if x.name != one.name and not _differ(x.marks, one.marks)]
            differs = _differences(one.run, [x.run for x in alike])
            problems += _problems(one, alike, differs) if not way else []
            stored[one.name].setdefault(way, []).append(
                {"marks": one.marks, "differs": differs, "clues": _clues(one.run)}
            )
    if problems:
        raise BuildError(f"{exercise.id}: " + "\n  ".join(dict.fromkeys(problems)))
    reference = observed.pop("")
    return {
        "reference": reference,
        # Tables of layers are for the student; hidden tests show none.
        "traces": reference_run["traces"] if variant == "visible" else {},
        "accepted": {way: _changes(reference, seen) for way, seen in observed.items()},
        "mistakes": stored,
    }


def _ways_to_try(accepted: dict[str, Change]) -> list[str]:
    """List the accepted ways in which mistakes are tried, those without an unmet `beside`."""
    return [
        _name(names)
        for names in _combinations(accepted)
        if all(accepted[name].get("beside", name) in names for name in names)
    ]


def _name(choices: Iterable[str]) -> str:
    return " + ".join(choices)


def _combinations(names: Iterable[str]) -> Iterator[tuple[str, ...]]:
    names = list(names)
    return chain.from_iterable(combinations(names, size) for size in range(len(names) + 1))


def _run(exercise: Exercise, changes: list[Change], variant: str) -> dict[str, Any]:
    """Run a solution, changed, on the probes of its exercise."""
    return probe(exercise.id, load(exercise, changes), variant)["runs"][0]


def _of_interest(run: dict[str, Any], items: dict[str, Any]) -> Observed:
    return {
        name: seen
        for name, seen in run["observed"].items()
        if name in items or name.startswith(CLUE)
    }


def _refuse_failure(exercise: Exercise, run: dict[str, Any], items: dict[str, Any]) -> None:
    for error in run["errors"].values():
        raise BuildError(
            f"The reference solution of {exercise.id} fails on its probe: {error['type']}: "
            f"{error['message']} ({error['line']})"
        )
    if forgotten := items.keys() - run["observed"].keys():
        raise BuildError(
            f"The reference solution of {exercise.id} does not get to "
            f"{', '.join(sorted(forgotten))}. Run its check in the notebook to see why."
        )


def _run_where_it_fits(
    exercise: Exercise, way: list[Change], mistake: Change, variant: str
) -> dict[str, Any] | None:
    """Run a solution with a mistake, None where the accepted way leaves no room for it."""
    try:
        return _run(exercise, [*way, mistake], variant)
    except UnfitError:
        if not way:
            raise
        return None


def _marks(
    items: dict[str, Any], run: dict[str, Any], expected: Observed, mistake: Change
) -> Observed:
    """Return what shows a mistake."""
    marks: Observed = {}
    for (item, label), seen in marks_of(items, run, expected).items():
        if item in mistake.get("shows", [item]):
            marks.setdefault(item, {})[label] = compact(seen)
    return marks


def _clues(run: dict[str, Any]) -> Observed:
    return {item: seen for item, seen in run["observed"].items() if item.startswith(CLUE)}


def _differences(run: dict[str, Any], others: list[dict[str, Any]]) -> Observed:
    """Return what tells a run from others that have the same marks."""
    differences: Observed = {}
    for other in others:
        for item, cases in _changes(other["observed"], run["observed"], _APART).items():
            compacted = {label: compact(seen) for label, seen in cases.items()}
            differences.setdefault(item, {}).update(compacted)
    return differences


def _problems(one: _Made, alike: list[_Made], differs: Observed) -> list[str]:
    if not one.marks:
        return [f"the mistake {one.name!r} makes no difference to the probe."]
    if alike and not differs:
        others = ", ".join(repr(other.name) for other in alike)
        return [f"no probe tells {one.name!r} from {others}."]
    return []


def _changes(reference: Observed, observed: Observed, tolerance: float = 1e-7) -> Observed:
    """Keep what differs from the reference; None stands for what was not seen at all."""
    changes: Observed = {}
    for item in dict.fromkeys([*reference, *observed]):
        expected, seen = reference.get(item, {}), observed.get(item, {})
        for label in dict.fromkeys([*expected, *seen]):
            if not same(seen.get(label), expected.get(label), tolerance):
                changes.setdefault(item, {})[label] = seen.get(label)
    return changes


def _differ(one: Observed, other: Observed) -> bool:
    return bool(_changes(one, other, _APART))


def differences(old: Any, new: Any, path: str = "", tolerance: float = 1e-5) -> list[str]:
    """List the places where two files of expected numbers differ by more than rounding."""
    if isinstance(old, dict) and isinstance(new, dict) and "numbers" not in old:
        return [
            place
            for key in sorted(old.keys() | new.keys())
            for place in differences(old.get(key), new.get(key), f"{path}/{key}", tolerance)
        ]
    return [] if same(old, new, tolerance) else [path or "/"]


def stale(files: dict[Path, Any]) -> list[str]:
    """Return the places where the stored files differ from what `build` returned."""
    places = []
    for path, content in files.items():
        stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        places += differences(stored, content, path.stem)
    return places


def write(files: dict[Path, Any]) -> None:
    """Store what `build` returned where the checks read it."""
    for path, content in files.items():
        path.write_text(_dump(content) + "\n", encoding="utf-8")


def _dump(content: Any, depth: int = 7) -> str:
    """Write JSON with one line per item, so that a change is easy to see."""
    if depth == 0 or not isinstance(content, dict) or not content:
        return json.dumps(content, ensure_ascii=False, allow_nan=False)
    lines = [f"{json.dumps(key)}: {_dump(value, depth - 1)}" for key, value in content.items()]
    return "{\n" + ",\n".join(lines) + "\n}"
