"""Work out the numbers that the checks compare with: `labhelpers expected`.

The reference solutions come from the source notebooks, other accepted answers and known mistakes
from tables of edits. All are run on the probes; what is stored is what the probes observed.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, combinations
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from labhelpers.checks.cases import CLUE, PROOF
from labhelpers.checks.exercises import EXERCISES
from labhelpers.checks.fingerprint import compact, same
from labhelpers.checks.mistakes import marks_of
from labhelpers.checks.records import ItemTexts, MistakeNumbers, Numbers, Observed, Run
from labhelpers.checks.runner import run_cases
from labhelpers.checks.verdict import TEXTS_FILE, VISIBLE_FILE, read_runs
from labhelpers.instructor.authoring.edits import (
    BuildError,
    Edit,
    UnfitError,
    edited,
    read_mistakes,
    read_table,
    run_answer,
)
from labhelpers.instructor.sources import NOTEBOOKS, Solution, read_solutions

__all__ = ["build", "differences", "numbers_of", "stale", "write"]

_DISTINCT = 5e-3  # relative difference above which two mistakes count as distinguishable
_ROUNDING = 1e-7  # relative difference below which two runs in float64 gave the same
_OTHER_MACHINE = 1e-5  # the same, if they ran on different machines


def build(folder: Path = NOTEBOOKS) -> dict[Path, Any]:
    """Return what the files that the checks read should hold for the notebooks in `folder`.

    Raises:
        BuildError: If an exercise is missing, a reference solution fails on a case, or an edit
            does not fit its solution or makes no difference.
    """
    items, accepted = (read_table(f"{name}.yaml") for name in ("items", "accepted"))
    mistakes = read_mistakes()
    solutions = read_solutions(folder)
    missing = EXERCISES.keys() - solutions.keys()
    if missing:
        raise BuildError(f"{folder} has no solution cell for {', '.join(sorted(missing))}.")
    with ProcessPoolExecutor(min(os.cpu_count() or 1, 4), get_context("spawn")) as pool:
        tasks = {
            id_: pool.submit(
                _numbers,
                solutions[id_],
                0,
                items[id_],
                accepted.get(id_, {}),
                mistakes.get(id_, {}),
            )
            # The largest network takes longest, so it starts first.
            for id_ in sorted(EXERCISES, key=lambda id_: id_ != "generator-unet")
        }
    errors = [task.exception() for task in tasks.values()]
    problems = [str(error) for error in errors if isinstance(error, BuildError)]
    if problems:
        raise BuildError("\n".join(dict.fromkeys(problems)))
    texts = {
        id_: {
            "items": items[id_],
            "mistakes": {
                name: {key: mistake[key] for key in ("nudge", "hint")}
                for name, mistake in mistakes.get(id_, {}).items()
            },
        }
        for id_ in EXERCISES
    }
    return {
        TEXTS_FILE: {"exercises": texts, "errors": read_table("errors.yaml")},
        VISIBLE_FILE: {id_: tasks[id_].result() for id_ in EXERCISES},
    }


def numbers_of(exercise_id: str, series: int, mistakes: bool) -> Numbers:
    """Return what right answers give in one exercise and any series, and known mistakes if asked.

    Raises:
        BuildError: If the reference solution fails on a case.
    """
    items, accepted = (
        read_table(f"{name}.yaml").get(exercise_id, {}) for name in ("items", "accepted")
    )
    known = read_mistakes().get(exercise_id, {}) if mistakes else {}
    solution = read_solutions()[exercise_id]
    return _numbers(solution, series, items, accepted, known, refuses=False)


class _Made(NamedTuple):
    """A known mistake made in an accepted way to answer."""

    name: str
    run: Run
    marks: Observed


def _numbers(
    solution: Solution,
    series: int,
    items: dict[str, ItemTexts],
    accepted: dict[str, Edit],
    mistakes: dict[str, Edit],
    refuses: bool = True,
) -> Numbers:
    """Return what right answers and known mistakes give in one series of cases.

    Mistakes that no probe sees, or tells from another one, are refused or else left out.
    """
    sizes = range(len(accepted) + 1)
    choices = [*chain.from_iterable(combinations(accepted, size) for size in sizes)]
    ways = {" + ".join(names): [accepted[name] for name in names] for names in choices}
    runs = {way: _run(solution, edits, series) for way, edits in ways.items()}
    reference_run = runs[""]
    _refuse_failure(solution, reference_run, items)
    observed = {way: run["observed"] for way, run in runs.items()}
    stored: dict[str, dict[str, list[MistakeNumbers]]] = {name: {} for name in mistakes}
    problems: dict[str, str] = {}
    for way, names in zip(ways, choices, strict=True):
        if any(accepted[name].get("beside", name) not in names for name in names):
            continue  # a mistake is made in accepted ways without an unmet `beside` only
        made = [
            _Made(name, run, _marks(items, run, observed[way], mistake))
            for name, mistake in mistakes.items()
            for edit in (mistake, *mistake.get("also", ()))
            if (run := _run_where_it_fits(solution, ways[way], edit, series))
        ]
        for one in made:
            alike = [
                other
                for other in made
                if other.name != one.name and not _changed(one.marks, other.marks, _DISTINCT)
            ]
            differs = _differs(one.run, [other.run for other in alike])
            if not way and not one.marks:
                problems[one.name] = f"the mistake {one.name!r} makes no difference to the probe."
            elif not way and alike and not differs:
                others = ", ".join(repr(other.name) for other in alike)
                problems[one.name] = f"no probe tells {one.name!r} from {others}."
            stored[one.name].setdefault(way, []).append(
                MistakeNumbers(marks=one.marks, differs=differs, clues=_clues(one.run))
            )
    if problems and refuses:
        raise BuildError(f"{solution.id}: " + "\n  ".join(problems.values()))
    for name in problems:
        del stored[name]
    reference = observed.pop("")
    return Numbers(
        reference=reference,
        traces=reference_run["traces"],
        accepted={way: _changed(reference, seen, _ROUNDING) for way, seen in observed.items()},
        mistakes=stored,
    )


def _run(solution: Solution, edits: list[Edit], series: int) -> Run:
    """Run a solution with edits on the cases of its exercise."""
    answer = run_answer(solution, edited(solution, edits))
    return read_runs(run_cases(solution.id, answer, series, explains=False))[0]


def _clues(run: Run) -> Observed:
    return {name: cases for name, cases in run["observed"].items() if name.startswith(CLUE)}


def _refuse_failure(solution: Solution, run: Run, items: dict[str, ItemTexts]) -> None:
    for error in run["errors"].values():
        raise BuildError(
            f"The reference solution of {solution.id} fails on a case: {error['type']}: "
            f"{error['message']} ({error['line']})"
        )
    if forgotten := items.keys() - run["observed"].keys():
        raise BuildError(
            f"The reference solution of {solution.id} does not get to "
            f"{', '.join(sorted(forgotten))}. Run its check in the notebook to see why."
        )


def _run_where_it_fits(
    solution: Solution, way: list[Edit], mistake: Edit, series: int
) -> Run | None:
    """Run a solution with a mistake, None where the accepted way leaves no room for it."""
    try:
        return _run(solution, [*way, mistake], series)
    except UnfitError:
        if not way:
            raise
        return None


def _marks(items: dict[str, ItemTexts], run: Run, expected: Observed, mistake: Edit) -> Observed:
    """Return the marks of a mistake, those in the items that it `shows`."""
    marks: Observed = {}
    for (item, label), value in marks_of(items, run, expected).items():
        if item in mistake.get("shows", [item]):
            marks.setdefault(item, {})[label] = compact(value)
    return marks


def _differs(run: Run, others: list[Run]) -> Observed:
    """Return what tells a run from others that have the same marks."""
    differs: Observed = {}
    for other in others:
        for item, cases in _changed(other["observed"], run["observed"], _DISTINCT).items():
            if not item.startswith(PROOF):
                compacted = {label: compact(value) for label, value in cases.items()}
                differs.setdefault(item, {}).update(compacted)
    return differs


def _changed(reference: Observed, observed: Observed, tolerance: float) -> Observed:
    """Return the observations that differ from the reference; None for one that is not made."""
    changed: Observed = {}
    for item in dict.fromkeys([*reference, *observed]):
        expected, seen = reference.get(item, {}), observed.get(item, {})
        for label in dict.fromkeys([*expected, *seen]):
            if not same(seen.get(label), expected.get(label), tolerance):
                changed.setdefault(item, {})[label] = seen.get(label)
    return changed


def differences(old: Any, new: Any, path: str = "", tolerance: float = _OTHER_MACHINE) -> list[str]:
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


def _dump(content: Any) -> str:
    """Return JSON with one observation per line, so that a difference is easy to see."""
    if not isinstance(content, dict) or not content or "numbers" in content:
        return json.dumps(content, ensure_ascii=False, allow_nan=False)
    lines = [f"{json.dumps(key)}: {_dump(value)}" for key, value in content.items()]
    return "{\n" + ",\n".join(lines) + "\n}"
