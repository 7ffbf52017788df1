"""Show which grades a run would change, and why, on a copy of the gradebook."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from pathlib import Path

import pandas as pd
import sqlalchemy as sa
from nbgrader.api import Base, Gradebook
from nbgrader.apps import NbGraderAPI

from labhelpers.instructor.course.nbgrader import REPOSITORY, open_course
from labhelpers.instructor.grading import ledger
from labhelpers.instructor.grading.autograde import read_scores
from labhelpers.instructor.grading.keys import same_submission
from labhelpers.instructor.grading.ledger import Trace
from labhelpers.instructor.grading.run import Means, Outcome, carry_out, plan

__all__ = ["copy_gradebook", "rehearse"]


def rehearse(
    assignment: str,
    students: Collection[str] = (),
    root: Path = REPOSITORY,
    means: Means = Means(),
    *,
    regrade: bool = False,
) -> tuple[Outcome, pd.DataFrame]:
    """Do what `run.grade` does, with the same arguments, on a copy of the gradebook.

    Neither the gradebook nor the graded notebooks change.

    Returns:
        What came of it, and a row for each score that would change: student and cell (the index),
        columns `old`, `new` and `why`. `old` is NaN where there is no score.
    """
    course = open_course(root)
    folders = course.coursedir
    with tempfile.TemporaryDirectory() as folder:
        copy = f"sqlite:///{Path(folder).as_posix()}/gradebook.db"
        copy_gradebook(folders.db_url, copy)
        folders.db_url = copy
        scores = _scores(course, assignment)
        traces = ledger.read_traces(copy, assignment)
        todo = plan(course, assignment, students, regrade)
        folders.autograded_directory = str(Path(folder, "autograded"))
        outcome = carry_out(todo, means)
        new_scores = _scores(course, assignment)
        new_traces = ledger.read_traces(copy, assignment)
    return outcome, _grade_changes(scores, traces, new_scores, new_traces)


def _scores(course: NbGraderAPI, assignment: str) -> pd.Series:
    scores = read_scores(course)["score"]
    of_assignment = scores.index.get_level_values("assignment") == assignment
    return scores[of_assignment].droplevel("assignment")


def copy_gradebook(db_url: str, copy: str) -> None:
    """Copy a gradebook, with our tables, from any database that nbgrader can use to a new one."""
    Gradebook(copy).close()
    source, target = sa.create_engine(db_url), sa.create_engine(copy)
    tables = [*Base.metadata.sorted_tables, *ledger.TABLES]
    ledger.create_tables(target)
    present = set(sa.inspect(source).get_table_names())
    with source.connect() as reading, target.begin() as writing:
        for table in tables:
            writing.execute(table.delete())
            if table.name in present:
                rows = [row._asdict() for row in reading.execute(sa.select(table))]
                if rows:
                    writing.execute(table.insert(), rows)
    source.dispose()
    target.dispose()


def _grade_changes(
    old_scores: pd.Series, old: list[Trace], new_scores: pd.Series, new: list[Trace]
) -> pd.DataFrame:
    """Return a row for each score that differs; see `rehearse`.

    Args:
        old_scores: Scores by student and cell, before.
        old: Traces, before.
        new_scores: Scores by student and cell, after.
        new: Traces, after.
    """
    before = {trace["student"]: trace for trace in old}
    after = {trace["student"]: trace for trace in new}
    scores = pd.DataFrame({"old": old_scores, "new": new_scores}, dtype=float)
    changed = scores[scores["old"].sub(scores["new"]).fillna(1).ne(0)].copy()
    changed["why"] = [
        _why(cell, before.get(student), after.get(student)) for student, cell in changed.index
    ]
    return changed.sort_index()


def _why(cell: str, old: Trace | None, new: Trace | None) -> str:
    if old is None or new is None:
        return "graded for the first time"
    reasons = []
    if not same_submission(old["key"], new["key"]):
        reasons.append("another submission")
    before, after = ({c["cell"]: c for c in trace["cells"]}.get(cell, {}) for trace in (old, new))
    for what in ("points", "status", "mistakes", "failed"):
        was, is_now = before.get(what), after.get(what)
        if was != is_now:
            reasons.append(f"{what}: {_in_words(was)}, now {_in_words(is_now)}")
    if old["repairs"] != new["repairs"]:
        reasons.append(f"repaired differently: {_in_words(new['repairs'])}")
    return "; ".join(reasons) or f"labhelpers {new['version']}, was {old['version']}"


def _in_words(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
