"""Work out the numbers that the checks compare with: `python -m labhelpers.instructor.expected`.

The reference solutions come from the source notebooks, other accepted answers and known mistakes
from tables of changes to them. All are run on the probes; what is stored is what the probes saw.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

from labhelpers.checks.exercises import WRITTEN_AS
from labhelpers.checks.judging import EXPECTED_FILE, Observed
from labhelpers.checks.numbers import same
from labhelpers.checks.probing import probe
from labhelpers.instructor.notebooks import NOTEBOOKS, Exercise, read_exercises, run_source

__all__ = ["BuildError", "build", "differences", "main", "rewritten"]

TABLES = Path(__file__).with_name("tables")
VARIANTS = ("visible", "hidden")

Change = dict[str, Any]  # an entry of accepted.yaml or mistakes.yaml


class BuildError(Exception):
    """The notebooks or the tables do not fit together; the message says where."""


def build(folder: Path = NOTEBOOKS) -> dict[str, Any]:
    """Return what `expected.json` should hold for the notebooks in `folder`.

    Raises:
        BuildError: If an exercise is missing, a reference solution fails on a probe, or a change
            does not fit its solution or changes nothing.
    """
    items, accepted, mistakes = (
        yaml.safe_load((TABLES / f"{name}.yaml").read_text(encoding="utf-8"))
        for name in ("items", "accepted", "mistakes")
    )
    exercises = read_exercises(folder)
    missing = WRITTEN_AS.keys() - exercises.keys()
    if missing:
        raise BuildError(f"{folder} has no solution cell for {', '.join(sorted(missing))}.")
    return {
        id_: _entry(exercises[id_], items[id_], accepted.get(id_, {}), mistakes.get(id_, {}))
        for id_ in WRITTEN_AS
    }


def _entry(
    exercise: Exercise,
    items: dict[str, Any],
    accepted: dict[str, Change],
    mistakes: dict[str, Change],
) -> dict[str, Any]:
    texts = {
        name: {key: change[key] for key in ("nudge", "hint", "concept")}
        for name, change in mistakes.items()
    }
    entry: dict[str, Any] = {"items": items, "mistakes": texts}
    for variant in VARIANTS:
        reference = _observe(exercise, [], variant, items)
        forgotten = [name for name in items if name not in reference]
        if forgotten:
            raise BuildError(
                f"The reference solution of {exercise.id} does not get to {', '.join(forgotten)}. "
                "Run its check in the notebook to see why."
            )
        entry[variant] = {
            "reference": reference,
            "accepted": {
                " + ".join(names): _changes(
                    reference, _observe(exercise, [accepted[n] for n in names], variant, items)
                )
                for names in _combinations(list(accepted))
            },
            "mistakes": {
                name: _changes(reference, _observe(exercise, [change], variant, items))
                for name, change in mistakes.items()
            },
        }
        _tell_apart(exercise.id, entry[variant]["mistakes"])
    return entry


def _combinations(names: list[str]) -> Iterator[tuple[str, ...]]:
    for size in range(1, len(names) + 1):
        yield from combinations(names, size)


def _observe(
    exercise: Exercise, changes: list[Change], variant: str, items: dict[str, Any]
) -> Observed:
    """Run a solution on the probes; return what the items look at."""
    source, before = rewritten(exercise, changes)
    namespace = run_source(source, f"{exercise.preamble}\n{before}", exercise.id)
    run = probe(exercise.id, namespace[WRITTEN_AS[exercise.id]], variant)["runs"][0]
    if not changes and run["errors"]:
        error = next(iter(run["errors"].values()))
        raise BuildError(
            f"The reference solution of {exercise.id} fails on its probe: {error['type']}: "
            f"{error['message']} ({error['line']})"
        )
    return {name: run["observed"][name] for name in items if name in run["observed"]}


def rewritten(exercise: Exercise, changes: list[Change]) -> tuple[str, str]:
    """Apply changes to a solution; return its new source and the code to run before it.

    Raises:
        BuildError: If a text to replace does not occur exactly once.
    """
    source = exercise.source
    for change in changes:
        for old, new in change.get("replace", ()):
            if source.count(old) != 1:
                raise BuildError(
                    f"{exercise.id}: {old!r} occurs {source.count(old)} times in the solution "
                    f"in {exercise.notebook.name}. Expected exactly once. Mend the table."
                )
            source = source.replace(old, new)
    return source, "\n".join(change.get("before", "") for change in changes)


def _changes(reference: Observed, observed: Observed) -> Observed:
    """Keep what differs from the reference; None stands for what was not seen at all."""
    changes: Observed = {}
    for item, cases in reference.items():
        for label, expected in cases.items():
            seen = observed.get(item, {}).get(label)
            if not same(seen, expected, tolerance=1e-7):
                changes.setdefault(item, {})[label] = seen
    return changes


def _tell_apart(exercise: str, mistakes: dict[str, Observed]) -> None:
    """Make sure that each mistake shows, and in its own way."""
    for name, changes in mistakes.items():
        if not changes:
            raise BuildError(f"{exercise}: the mistake {name!r} makes no difference to the probe.")
    for one, other in combinations(mistakes, 2):
        if not differences(mistakes[one], mistakes[other]):
            raise BuildError(f"{exercise}: no probe tells {one!r} and {other!r} apart.")


def differences(old: Any, new: Any, path: str = "", tolerance: float = 1e-6) -> list[str]:
    """List the places where two files of expected numbers differ by more than rounding."""
    if isinstance(old, dict) and isinstance(new, dict) and "numbers" not in old:
        return [
            place
            for key in sorted(old.keys() | new.keys())
            for place in differences(old.get(key), new.get(key), f"{path}/{key}", tolerance)
        ]
    return [] if same(old, new, tolerance) else [path or "/"]


def _dump(content: Any, depth: int = 5) -> str:
    """Write JSON with one line per item, so that a change is easy to see."""
    if depth == 0 or not isinstance(content, dict) or not content:
        return json.dumps(content, ensure_ascii=False, allow_nan=False)
    lines = [f"{json.dumps(key)}: {_dump(value, depth - 1)}" for key, value in content.items()]
    return "{\n" + ",\n".join(lines) + "\n}"


def main(arguments: list[str] | None = None) -> int:
    """Write the file, or with `--check` tell whether it is up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, fail if it is stale")
    parser.add_argument("--notebooks", type=Path, default=NOTEBOOKS, help="folder of the notebooks")
    options = parser.parse_args(arguments)
    content = build(options.notebooks)
    if not options.check:
        EXPECTED_FILE.write_text(_dump(content) + "\n", encoding="utf-8")
        print(f"Wrote {EXPECTED_FILE.name}, {EXPECTED_FILE.stat().st_size / 1000:.0f} kB.")
        return 0
    stored = json.loads(EXPECTED_FILE.read_text(encoding="utf-8")) if EXPECTED_FILE.exists() else {}
    stale = differences(stored, content)
    for place in stale[:20]:
        print(f"out of date: {place}")
    if stale:
        print("Run `python -m labhelpers.instructor.expected` and commit the file.")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
