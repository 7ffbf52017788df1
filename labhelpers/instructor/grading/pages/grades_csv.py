"""Write the grades as CSV: for people and spreadsheets, for Moodle, for Canvas."""

from __future__ import annotations

import csv
import glob
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from nbgrader.api import Gradebook, Student, SubmittedAssignment
from nbgrader.apps import NbGraderAPI
from nbgrader.plugins import ExportPlugin
from traitlets import Enum

from labhelpers.instructor.course.samples import SAMPLES
from labhelpers.instructor.grading.autograde import read_scores
from labhelpers.instructor.grading.ledger import Trace, read_traces
from labhelpers.instructor.grading.repair.authority import read_release
from labhelpers.instructor.grading.safe_text import harmless

__all__ = ["GradesCsv"]

Row = dict[str, Any]


class _Submission(NamedTuple):
    """What is known of one student and assignment."""

    assignment: str
    max_score: float
    student: str
    person: Student | None
    saved: Any  # SubmittedAssignment or None
    trace: Trace | None
    handed_in: bool


class GradesCsv(ExportPlugin):
    """Writes `grades.csv`; for `ExportApp.plugin_class`.

    `columns` chooses the columns:

    - `plain`: a row for each student and assignment, with totals, late penalty, what a person
      should look at, and a column for each exercise.
    - `moodle`: a row for each student, a column for each assignment. In Moodle's import map
      `ID number` (the id in the gradebook) or `Email address` to the user.
    - `canvas`: the same for Canvas, which finds students by the id in the gradebook (`SIS Login
      ID` or `SIS User ID`) or by the name, and assignments by their titles.

    What was not handed in, not graded, or waits for a person is empty, never 0: an import would
    publish it. Samples of `labhelpers lab` are left out. The file is UTF-8 with a byte-order mark,
    by which Excel knows it.
    """

    columns = Enum(["plain", "moodle", "canvas"], "plain", help="For whom").tag(config=True)

    def export(self, gradebook: Gradebook) -> None:
        """Write the file that `to` names."""
        course = self.parent
        scores = read_scores(course)
        submissions = _submissions(course, gradebook, self.assignment, self.student)
        if self.columns == "plain":
            rows = _plain_rows(course, submissions, scores)
        else:
            rows = _class_rows(submissions, canvas=self.columns == "canvas")
        to = Path(self.to or "grades.csv")
        to.parent.mkdir(parents=True, exist_ok=True)
        with to.open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.DictWriter(file, list(rows[0]) if rows else [])
            writer.writeheader()
            writer.writerows({name: harmless(value) for name, value in row.items()} for row in rows)
        self.log.info("Wrote %d rows to %s", len(rows), to)
        if waiting := sum(_status(one) not in ("graded", "not handed in") for one in submissions):
            self.log.warning("%d submissions have no final grade yet.", waiting)


def _submissions(
    course: NbGraderAPI, gradebook: Gradebook, assignments: list[str], students: list[str]
) -> list[_Submission]:
    """Return each student and assignment, in order.

    Empty lists choose all students, and the assignments that somebody handed in.
    """
    people = {one.id: one for one in gradebook.students}
    found = []
    for assignment in sorted(gradebook.assignments, key=lambda one: one.name):
        if assignments and assignment.name not in map(str, assignments):
            continue
        folder = course.coursedir.format_path(
            course.coursedir.submitted_directory, "*", glob.escape(assignment.name)
        )
        files = {Path(path).parent.name for path in glob.glob(folder)}
        saved = {one.student.id: one for one in assignment.submissions}
        if not assignments and not {*files, *saved} - SAMPLES:
            continue
        traces = {
            one["student"]: one for one in read_traces(course.coursedir.db_url, assignment.name)
        }
        for student in sorted(
            {*people, *files} - SAMPLES, key=lambda name: _name(name, people.get(name))
        ):
            if not students or student in map(str, students):
                found.append(
                    _Submission(
                        assignment.name,
                        assignment.max_score,
                        student,
                        people.get(student),
                        saved.get(student),
                        traces.get(student),
                        student in files,
                    )
                )
    return found


def _name(student: str, person: Student | None) -> tuple[str, str, str]:
    if person is None:
        return "", "", student
    return person.last_name or "", person.first_name or "", student


def _status(one: _Submission) -> str:
    if one.saved is None or not one.saved.notebooks:
        return "not graded" if one.handed_in else "not handed in"
    return "needs manual grade" if one.saved.needs_manual_grade else "graded"


def _final_score(saved: SubmittedAssignment) -> float:
    return max(0.0, saved.score - _penalty(saved))


def _penalty(saved: SubmittedAssignment) -> float:
    return saved.late_submission_penalty or 0.0


def _plain_rows(
    course: NbGraderAPI, submissions: list[_Submission], scores: pd.DataFrame
) -> list[Row]:
    cells = {
        name: [cell.grade_id for cell in read_release(course, name).cells if cell.points]
        for name in dict.fromkeys(one.assignment for one in submissions)
    }
    times = Counter(cell for names in cells.values() for cell in names)
    titles = {
        (name, cell): cell.removeprefix("check-") if times[cell] == 1 else f"{name}: {cell}"
        for name, names in cells.items()
        for cell in names
    }
    rows = []
    for one in submissions:
        last, first, _ = _name(one.student, one.person)
        status = _status(one)
        graded = status in ("graded", "needs manual grade")
        row: Row = {
            "assignment": one.assignment,
            "student_id": one.student,
            "last_name": last,
            "first_name": first,
            "email": (one.person and one.person.email) or "",
            "submitted": (one.saved and one.saved.timestamp) or "",
            "status": status,
            "score": _final_score(one.saved) if graded else "",
            "max_score": one.max_score,
            "raw_score": one.saved.score if graded else "",
            "late_penalty": _penalty(one.saved) if graded else "",
            "needs_manual_grade": ("yes" if status == "needs manual grade" else "no")
            if graded
            else "",
            "repaired": " ".join(one.trace["repairs"]) if one.trace else "",
            "flagged": " ".join(one.trace["flags"]) if one.trace else "",
        }
        for (name, cell), title in titles.items():
            row[title] = ""
            if graded and name == one.assignment and (one.student, name, cell) in scores.index:
                value = scores.loc[(one.student, name, cell)]
                waits = value["needs_manual_grade"] and pd.isna(value["manual_score"])
                row[title] = "" if waits else value["score"]
        rows.append(row)
    return rows


def _class_rows(submissions: list[_Submission], canvas: bool) -> list[Row]:
    names = list(dict.fromkeys(one.assignment for one in submissions))
    points = {one.assignment: one.max_score for one in submissions}
    rows: dict[str, Row] = {}
    if canvas:
        about = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
        rows[""] = dict.fromkeys(about, "") | points | {"Student": "    Points Possible"}
    for one in submissions:
        last, first, _ = _name(one.student, one.person)
        if canvas:
            full = ", ".join(part for part in (last, first) if part) or one.student
            ids = [full, "", one.student, one.student, ""]
            person = dict(zip(about, ids, strict=True))
        else:
            person = {
                "ID number": one.student,
                "Email address": (one.person and one.person.email) or "",
                "First name": first,
                "Last name": last,
            }
        row = rows.setdefault(f" {one.student}", person | dict.fromkeys(names, ""))
        if _status(one) == "graded":
            row[one.assignment] = round(_final_score(one.saved), 2)
    return list(rows.values())
