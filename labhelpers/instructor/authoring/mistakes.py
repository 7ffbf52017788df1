"""Grade every known mistake with nbgrader and lay out one table: `labhelpers mistakes`."""

import os
import re
import shutil
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from itertools import zip_longest
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import pandas as pd
from nbformat import NotebookNode
from nbgrader.converters import GenerateAssignment

from labhelpers.checks.verdict import mistake_texts
from labhelpers.instructor.authoring.edits import edited, read_mistakes
from labhelpers.instructor.course.nbgrader import REPOSITORY, convert, copy_course, open_course
from labhelpers.instructor.course.samples import hand_in
from labhelpers.instructor.grading.autograde import autograde, read_scores
from labhelpers.instructor.sources import read_solutions

__all__ = ["Answer", "all_mistakes", "grade_answers", "layout", "mistake_problems"]

FOLDER = Path("build") / "mistakes"

_NOT_NEEDED = {"needs-answer", "nbval-ignore-output"}  # tags of cells that train or draw


class Answer(NamedTuple):
    """A solution cell as somebody might hand it in.

    Attributes:
        exercise: The exercise that it answers.
        name: What it is called in the table; for a known mistake, its id.
        source: The code of the cell.
    """

    exercise: str
    name: str
    source: str


def all_mistakes() -> list[Answer]:
    """Return every known mistake, made in the reference solution."""
    solutions = read_solutions()
    return [
        Answer(exercise, name, edited(solutions[exercise], [mistake]))
        for exercise, mistakes in read_mistakes().items()
        for name, mistake in mistakes.items()
    ]


def grade_answers(answers: Iterable[Answer], folder: Path = REPOSITORY / FOLDER) -> pd.DataFrame:
    """Hand answers in and let nbgrader grade them, each in a notebook of its assignment.

    One submission holds one answer to each exercise of its notebook. The notebooks are released
    without the cells that train or draw: they take time, and no check depends on them.

    Args:
        answers: What to hand in; exercises without any stay untouched.
        folder: Where to make the courses, one per assignment; emptied first.

    Returns:
        One row per answer (the index: exercise, answer), columns `score` and `max_score` of the
        gradebook; `visible` and `hidden`, the records of the two reports; `text`, what the student
        reads in the notebook.

    Raises:
        CourseError: If nbgrader cannot grade a submission.
    """
    answers = list(answers)
    shutil.rmtree(folder, ignore_errors=True)
    solutions = read_solutions()
    by_assignment: dict[str, dict[str, list[Answer]]] = defaultdict(lambda: defaultdict(list))
    for answer in answers:
        assignment = solutions[answer.exercise].notebook.stem
        by_assignment[assignment][answer.exercise].append(answer)
    # A process and a gradebook for each assignment: they do not wait for each other.
    context = get_context("spawn")
    with ProcessPoolExecutor(min(os.cpu_count() or 1, 4), mp_context=context) as pool:
        futures = [
            pool.submit(_grade_assignment, name, dict(of_exercise), folder / name)
            for name, of_exercise in by_assignment.items()
        ]
        rows = [row for future in futures for row in future.result()]
    table = pd.DataFrame(rows).set_index(["exercise", "answer"])
    return table.loc[[(answer.exercise, answer.name) for answer in answers]]


def _grade_assignment(
    assignment: str, answers: dict[str, list[Answer]], root: Path
) -> list[dict[str, Any]]:
    os.environ["OMP_NUM_THREADS"] = "1"  # the kernels inherit it; processes share the processor
    _write_course(assignment, root)
    course = open_course(root)
    course.config.ExecuteSubmission.forked = True
    convert(course, GenerateAssignment, assignment)
    submissions = {
        f"student-{number:02}": [answer for answer in one_of_each if answer]
        for number, one_of_each in enumerate(zip_longest(*answers.values()), 1)
    }
    for student, handed_in in submissions.items():
        sources = {answer.exercise: answer.source for answer in handed_in}
        hand_in(student, assignment, (), root, sources)
        autograde(course, student, assignment)
    scores = read_scores(course)
    rows = []
    for student, handed_in in submissions.items():
        graded = root / "build" / "autograded" / student / assignment / f"{assignment}.ipynb"
        cells = nbformat.read(graded, as_version=4).cells
        for answer in handed_in:
            check = f"check-{answer.exercise}"
            row = {"exercise": answer.exercise, "answer": answer.name} | _reports(cells, check)
            row |= scores.loc[(student, assignment, check), ["score", "max_score"]].to_dict()
            rows.append(row)
    return rows


def _write_course(assignment: str, root: Path) -> None:
    copy_course(root, [assignment])
    path = root / "notebooks" / assignment / f"{assignment}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [c for c in notebook.cells if not _NOT_NEEDED & {*c.metadata.get("tags", [])}]
    nbformat.write(notebook, path)


def _reports(cells: list[NotebookNode], check: str) -> dict[str, Any]:
    """Return the records of the reports that a check's cell shows, and the text of the first."""
    (cell,) = (c for c in cells if c.metadata.get("nbgrader", {}).get("grade_id") == check)
    shown = [output for output in cell.outputs if "labhelpers" in output.get("metadata", {})]
    records = {output.metadata.labhelpers.hidden: output.metadata.labhelpers for output in shown}
    text = shown[0].data["text/plain"] if shown else ""
    return {"visible": records.get(False), "hidden": records.get(True), "text": text}


def mistake_problems(table: pd.DataFrame) -> list[str]:
    """Return what is wrong with the grades and reports of known mistakes, one sentence each.

    Args:
        table: What `grade_answers` returned for known mistakes.
    """
    problems = []
    for (exercise, name), row in table.iterrows():
        where = f"{exercise}, {name}"
        if not row["score"] < row["max_score"]:
            problems.append(f"{where}: nbgrader gives {row['score']:g} points, all there are.")
        for kind in ("visible", "hidden"):
            record = row[kind]
            if record is None or record["status"] not in ("wrong", "partly"):
                problems.append(f"{where}: the {kind} check does not reject it.")
            elif list(record["mistakes"]) != [name]:
                problems.append(f"{where}: the {kind} check takes it for {record['mistakes']}.")
        is_explained = re.search(r"^wrong ", row["text"], re.MULTILINE)
        if not is_explained and mistake_texts(exercise, name)["nudge"] not in " ".join(
            row["text"].split()
        ):
            problems.append(f"{where}: the report does not show the hint.")
    return problems


def layout(table: pd.DataFrame) -> str:
    """Return one line of text per mistake: where it is caught, what the student reads first.

    Args:
        table: What `grade_answers` returned for known mistakes.
    """
    rows = [
        {
            "exercise": exercise,
            "mistake": name,
            "in the notebook": row["visible"]["status"] if row["visible"] else "no report",
            "nbgrader": f"{row['score']:.2f} of {row['max_score']:g}",
            "what the student reads first": mistake_texts(exercise, name)["nudge"],
        }
        for (exercise, name), row in table.iterrows()
    ]
    lines = pd.DataFrame(rows)
    for column in lines.columns:
        lines[column] = lines[column].str.ljust(lines[column].str.len().max())
    return lines.to_string(index=False, justify="left", max_colwidth=None)
