"""The class report: what a class did in an assignment, and what a person should look at."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import nbformat
import pandas as pd
from nbgrader.apps import NbGraderAPI
from nbgrader.utils import is_solution

from labhelpers.checks.verdict import TEXTS_FILE, read_json
from labhelpers.instructor.authoring.edits import read_concepts
from labhelpers.instructor.course.nbgrader import (
    REPOSITORY,
    CourseError,
    grade_id,
    open_course,
    refuse_unknown,
)
from labhelpers.instructor.course.preprocessors import remove_markers
from labhelpers.instructor.course.samples import SAMPLES
from labhelpers.instructor.grading.autograde import read_scores
from labhelpers.instructor.grading.intake.ids import whose
from labhelpers.instructor.grading.ledger import Trace, read_traces
from labhelpers.instructor.grading.pages.similar import Alike, alike_answers, anonymous, vocabulary

__all__ = ["class_facts", "render", "write_class_report"]

_STATUSES = ("right", "partly", "wrong", "not attempted", "not run", "void")
_ENOUGH = 3  # students who share a mistake before one's answer is shown
_MOST_MISTAKES = 15
_BINS = 10

Answers = Mapping[str, Mapping[str, str]]
"""Code by exercise and student."""


def write_class_report(assignment: str, root: Path = REPOSITORY) -> Path:
    """Write the report of an assignment to `build/report/<assignment>.html`.

    Args:
        assignment: Name of the assignment.
        root: Folder of the course.

    Returns:
        The file.

    Raises:
        CourseError: If there is no such assignment, or nothing of it was graded.
    """
    course = open_course(root)
    refuse_unknown(assignment, root)
    traces = [
        trace
        for trace in read_traces(course.coursedir.db_url, assignment)
        if trace["student"] not in SAMPLES
    ]
    if not traces:
        raise CourseError(
            f"Nothing of {assignment!r} was graded yet. Run `labhelpers grade {assignment}` first."
        )
    submitted = root / course.coursedir.submitted_directory
    handed_in = {path.parent.name for path in submitted.glob(f"*/{assignment}")}
    scores = read_scores(course).xs(assignment, level="assignment")
    solutions, lesson = _sources(root / "notebooks" / assignment / f"{assignment}.ipynb")
    facts = class_facts(
        assignment,
        traces,
        scores,
        _answers(course, assignment, [trace["student"] for trace in traces]),
        solutions,
        vocabulary([*solutions.values(), *lesson]),
        handed_in - SAMPLES,
    )
    path = root / "build" / "report" / f"{assignment}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(facts), encoding="utf-8")
    return path


def render(facts: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        facts: What `class_facts` returned.
    """
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template("class-report.html.jinja").render(facts)


def class_facts(
    assignment: str,
    traces: Sequence[Trace],
    scores: pd.DataFrame,
    answers: Answers,
    solutions: Mapping[str, str],
    known: frozenset[str],
    handed_in: set[str],
) -> dict[str, Any]:
    """Return what the page shows.

    Args:
        assignment: Name of the assignment.
        traces: How the points of each submission came about.
        scores: What `read_scores` returned, of this assignment: by student and cell.
        answers: Code by exercise and student.
        solutions: Reference solutions by exercise.
        known: What `vocabulary` returned.
        handed_in: Students who handed in.
    """
    students = [trace["student"] for trace in traces]
    scores = scores[scores.index.get_level_values("student").isin(students)]
    alike = [
        group
        for exercise, by_student in answers.items()
        if exercise in solutions
        for group in alike_answers(exercise, by_student, solutions[exercise], known)
    ]
    totals = scores.groupby(level="student")["score"].sum()
    most = float(scores.groupby(level="student")["max_score"].sum().max())
    return {
        "assignment": assignment,
        "submissions": len(traces),
        "not_graded": sorted(handed_in - {*students}),
        "graded_at": max(trace["graded_at"] for trace in traces),
        "versions": sorted({trace["version"] for trace in traces}),
        "waiting": int(scores.groupby(level="student")["needs_manual_grade"].any().sum()),
        "unsandboxed": [trace["student"] for trace in traces if not trace["sandboxed"]],
        "most": most,
        "mean": totals.mean(),
        "median": totals.median(),
        "points": _histogram(totals.tolist(), most),
        "statuses": _STATUSES,
        "exercises": _exercises(traces),
        "written": _written(scores),
        "mistakes": _mistakes(traces, answers, known),
        "items": _items(traces),
        "times": _times(traces),
        "eye": _for_a_human_eye(assignment, traces, alike),
    }


# --- what the course holds ----------------------------------------------------------------------


def _sources(path: Path) -> tuple[dict[str, str], list[str]]:
    """Return the reference solutions by exercise, and the texts of all cells."""
    cells = nbformat.read(path, as_version=4).cells
    solutions = {
        name: remove_markers(cell.source)
        for cell in cells
        if cell.cell_type == "code" and is_solution(cell) and (name := grade_id(cell))
    }
    return solutions, [cell.source for cell in cells]


def _answers(course: NbGraderAPI, assignment: str, students: Sequence[str]) -> Answers:
    """Return the code of each answer, from the graded notebooks, by exercise and student."""
    answers: dict[str, dict[str, str]] = defaultdict(dict)
    folders = course.coursedir
    for student in students:
        folder = folders.format_path(folders.autograded_directory, student, assignment)
        path = Path(folders.root, folder, f"{assignment}.ipynb")
        if path.exists():
            for cell in nbformat.read(path, as_version=4).cells:
                if cell.cell_type == "code" and is_solution(cell) and (name := grade_id(cell)):
                    answers[name][student] = cell.source
    return answers


# --- numbers ------------------------------------------------------------------------------------


def _histogram(values: Sequence[float], most: float) -> list[dict[str, Any]]:
    """Return how many of the values lie in each tenth of the points; the last holds full marks."""
    width = most / _BINS or 1.0
    counts = Counter(min(int(value / width + 1e-9), _BINS - 1) for value in values)
    largest = max(counts.values(), default=1)
    return [
        {
            "label": f"{place * width:.3g} – {(place + 1) * width:.3g}",
            "count": counts[place],
            "share": counts[place] / largest,
        }
        for place in range(_BINS)
    ]


def _exercises(traces: Sequence[Trace]) -> list[dict[str, Any]]:
    """Return status and points of each exercise, in the order of the notebook."""
    rows: dict[str, dict[str, Any]] = {}
    for trace in traces:
        last = max(
            (
                place
                for place, cell in enumerate(trace["cells"])
                if cell["status"] not in ("not attempted", "not run")
            ),
            default=-1,
        )
        for place, cell in enumerate(trace["cells"]):
            row = rows.setdefault(
                cell["cell"],
                {
                    "name": cell["exercise"] or cell["cell"].removeprefix("check-"),
                    "most": cell["points"],
                    "counts": Counter(),
                    "points": [],
                    "stopped": 0,
                },
            )
            row["counts"][cell["status"]] += 1
            row["points"].append(cell["score"])
            row["stopped"] += place == last + 1
    for row in rows.values():
        row["mean"] = statistics.mean(row["points"])
        row["share"] = row["mean"] / row["most"] if row["most"] else 0.0
        total = sum(row["counts"].values())
        row["parts"] = [(one, row["counts"][one] / total) for one in _STATUSES]
    return list(rows.values())


def _written(scores: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the points of the answers that a person grades."""
    rows = []
    for cell, group in scores[scores["written"]].groupby(level="cell"):
        graded = group[~group["needs_manual_grade"]]
        mean = graded["score"].mean() if len(graded) else None
        rows.append(
            {
                "name": cell,
                "most": group["max_score"].max(),
                "mean": mean,
                "waiting": int(group["needs_manual_grade"].sum()),
            }
        )
    return rows


def _mistakes(
    traces: Sequence[Trace], answers: Answers, known: frozenset[str]
) -> list[dict[str, Any]]:
    """Return the most frequent known mistakes, with an example where enough students share one."""
    made: dict[tuple[str, str], list[str]] = defaultdict(list)
    for trace in traces:
        for cell in trace["cells"]:
            for mistake in cell["mistakes"]:
                made[cell["exercise"], mistake].append(trace["student"])
    rows = []
    for (exercise, mistake), students in sorted(made.items(), key=lambda one: -len(one[1])):
        examples = [
            code
            for student in students
            if len(students) >= _ENOUGH
            and (source := answers.get(exercise, {}).get(student))
            and (code := anonymous(source, known))
        ]
        rows.append(
            {
                "exercise": exercise,
                "concept": _concept(exercise, mistake),
                "count": len(students),
                "share": len(students) / len(traces),
                "example": min(examples, key=len, default=None),
            }
        )
    return rows[:_MOST_MISTAKES]


def _concept(exercise: str, mistake: str) -> str:
    """Return the concept behind a mistake; of one that is no longer in the table, its id."""
    return read_concepts(exercise).get(mistake, mistake.replace("-", " "))


def _items(traces: Sequence[Trace]) -> list[dict[str, Any]]:
    """Return what most often did not hold in answers without a known mistake."""
    failed = Counter(
        (cell["exercise"], item)
        for trace in traces
        for cell in trace["cells"]
        if cell["exercise"] and not cell["mistakes"]
        for item in cell["failed"]
    )
    texts = read_json(TEXTS_FILE)["exercises"]
    return [
        {"exercise": exercise, "checks": texts[exercise]["items"][item]["checks"], "count": count}
        for (exercise, item), count in failed.most_common(10)
        if item in texts.get(exercise, {}).get("items", {})
    ]


def _times(traces: Sequence[Trace]) -> list[dict[str, Any]]:
    """Return how long the parts of grading took per notebook, in seconds."""
    parts: dict[str, list[float]] = defaultdict(list)
    for trace in traces:
        for part, seconds in trace["seconds"].items():
            parts[part].append(seconds)
    return [
        {"part": part, "max": max(values)}
        | {
            name: pd.Series(values).quantile(share)
            for name, share in (("low", 0.1), ("median", 0.5), ("high", 0.9))
        }
        for part, values in parts.items()
    ]


def _for_a_human_eye(
    assignment: str, traces: Sequence[Trace], alike: Sequence[Alike]
) -> list[dict[str, Any]]:
    """Return what a person should look at: kinds of reasons, each with the submissions."""
    kinds: dict[str, tuple[str, dict[str, list[str]]]] = {
        "flags": ("Flagged while grading", defaultdict(list)),
        "void": ("Checks without a record that counts", defaultdict(list)),
        "events": ("The kernel died, or the notebook took too long", defaultdict(list)),
        "alike": ("Answers that are nearly identical", defaultdict(list)),
        "repairs": ("Repaired before grading", defaultdict(list)),
    }
    for trace in traces:
        void = [cell for cell in trace["cells"] if cell["status"] == "void"]
        reasons = {cell["flag"] for cell in void}
        found = {
            "flags": [
                *(flag for flag in trace["flags"] if flag not in reasons),
                *whose(trace["student"]),
            ],
            "void": [cell["flag"] or f"{cell['cell']}: no record" for cell in void],
            "events": trace["events"],
            "repairs": trace["repairs"],
        }
        for kind, sentences in found.items():
            if sentences:
                kinds[kind][1][trace["student"]] += sentences
    for group in alike:
        for student in group.students:
            others = ", ".join(one for one in group.students if one != student)
            text = f"{group.exercise}: {group.reason}, as {others}."
            kinds["alike"][1][student].append(text)
    return [
        {
            "id": kind,
            "title": title,
            "submissions": [
                {
                    "student": student,
                    "page": quote(f"../feedback/{student}/{assignment}/{assignment}.html"),
                    "sentences": sentences,
                }
                for student, sentences in sorted(by_student.items())
            ],
        }
        for kind, (title, by_student) in kinds.items()
    ]
