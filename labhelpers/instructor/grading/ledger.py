"""What was graded with which series, in two tables of our own in the gradebook's database."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any, TypedDict

import sqlalchemy as sa
from nbgrader.api import Gradebook

from labhelpers.instructor.grading.numbers import draw_series

__all__ = [
    "TABLES",
    "Trace",
    "begin_run",
    "create_tables",
    "end_run",
    "now",
    "outdate",
    "read_keys",
    "read_traces",
    "series_for",
    "set_key",
    "set_series",
    "write_trace",
]

# nbgrader's commands know nothing of these tables; `nbgrader db upgrade` leaves them alone.
_metadata = sa.MetaData()
_runs = sa.Table(
    "labhelpers_run",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("assignment", sa.String(128), nullable=False),
    sa.Column("series", sa.BigInteger, nullable=False),
    sa.Column("began", sa.String(32), nullable=False),
    sa.Column("ended", sa.String(32)),
)
_traces = sa.Table(
    "labhelpers_trace",
    _metadata,
    sa.Column("assignment", sa.String(128), primary_key=True),
    sa.Column("student", sa.String(128), primary_key=True),
    sa.Column("series", sa.BigInteger, nullable=False),
    sa.Column("key", sa.String(160), nullable=False, default=""),
    sa.Column("trace", sa.Text),  # JSON; null between `set_series` and the first `write_trace`
)

#: Our tables, for those who copy a gradebook.
TABLES = (_runs, _traces)

# Seconds to wait while another program, such as the formgrader, writes to SQLite.
_PATIENCE = 30


class Trace(TypedDict):
    """How the points of one submission came about."""

    student: str
    assignment: str
    series: int
    """The random seed of the hidden probes, with the part that no kernel is told."""
    key: str
    """What was graded by what (see `set_key`), "" if it is to be graded again."""
    graded_at: str
    """UTC, in ISO format."""
    version: str
    """Of labhelpers."""
    sandboxed: bool
    repairs: list[str]
    """Sentences: what was repaired in the notebook."""
    events: list[str]
    """Sentences: what happened while it ran."""
    flags: list[str]
    """Sentences: why a person should look at it."""
    seconds: dict[str, float]
    """Time of each part."""
    cells: list[dict[str, Any]]
    """The fields of `verdicts.CellTrace`, one for each graded cell."""


@contextmanager
def _transaction(db_url: str) -> Iterator[sa.Connection]:
    """Yield a connection whose changes are written together, with both tables there."""
    patience = {"timeout": _PATIENCE} if db_url.startswith("sqlite") else {}
    engine = sa.create_engine(db_url, poolclass=sa.NullPool, connect_args=patience)
    if not sa.inspect(engine).get_table_names():
        # nbgrader notes its version only in a database without any table.
        Gradebook(db_url).close()
    create_tables(engine)
    with engine.begin() as connection:
        yield connection


def create_tables(engine: sa.Engine) -> None:
    """Create our tables where they are missing."""
    _metadata.create_all(engine)


def now() -> str:
    """Return the time now, UTC in ISO format."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _submission(assignment: str, student: str) -> sa.ColumnElement[bool]:
    return (_traces.c.assignment == assignment) & (_traces.c.student == student)


def _begin(connection: sa.Connection, assignment: str) -> int:
    of_open_run = (_runs.c.assignment == assignment) & _runs.c.ended.is_(None)
    series = connection.scalar(sa.select(_runs.c.series).where(of_open_run).order_by(_runs.c.id))
    if series is None:
        series = draw_series()
        row = {"assignment": assignment, "series": series, "began": now()}
        connection.execute(_runs.insert().values(row))
    return series


def begin_run(db_url: str, assignment: str) -> int:
    """Return the series of the open run of an assignment; without one, begin a run with a new one.

    Args:
        db_url: The gradebook's database, SQLite or PostgreSQL.
        assignment: Name of the assignment.
    """
    with _transaction(db_url) as connection:
        return _begin(connection, assignment)


def end_run(db_url: str, assignment: str) -> None:
    """End the open run of an assignment, if there is one: the next run draws a new series."""
    with _transaction(db_url) as connection:
        of_assignment = (_runs.c.assignment == assignment) & _runs.c.ended.is_(None)
        connection.execute(_runs.update().where(of_assignment).values(ended=now()))


def series_for(db_url: str, assignment: str, student: str) -> int:
    """Return the series to grade a submission with.

    It is the one that was set for the submission or that it was graded with, else that of the open
    run. Without either a run begins, so that a class graded by plain nbgrader shares one series.
    """
    with _transaction(db_url) as connection:
        had = connection.scalar(sa.select(_traces.c.series).where(_submission(assignment, student)))
        return _begin(connection, assignment) if had is None else had


def set_series(db_url: str, assignment: str, students: Iterable[str], series: int) -> None:
    """Let the submissions of some students be graded with this series from now on.

    A trace that is there stays, with its own series, until `write_trace` replaces it; its key is
    cleared.
    """
    with _transaction(db_url) as connection:
        for student in students:
            this = _submission(assignment, student)
            changed = connection.execute(
                _traces.update().where(this).values(series=series, key="")
            ).rowcount
            if not changed:
                row = {"assignment": assignment, "student": student, "series": series}
                connection.execute(_traces.insert().values(row))


def write_trace(db_url: str, trace: Trace) -> None:
    """Keep the trace of a submission in place of an earlier one."""
    with _transaction(db_url) as connection:
        this = _submission(trace["assignment"], trace["student"])
        connection.execute(_traces.delete().where(this))
        row = {
            "assignment": trace["assignment"],
            "student": trace["student"],
            "series": trace["series"],
            "key": trace["key"],
            "trace": json.dumps(trace),
        }
        connection.execute(_traces.insert().values(row))


def read_traces(db_url: str, assignment: str) -> list[Trace]:
    """Return the traces of all graded submissions, sorted by student."""
    graded = (_traces.c.assignment == assignment) & _traces.c.trace.is_not(None)
    query = sa.select(_traces.c.trace, _traces.c.key).where(graded).order_by(_traces.c.student)
    with _transaction(db_url) as connection:
        traces: list[Trace] = []
        for text, key in connection.execute(query):
            traces.append(json.loads(text))
            traces[-1]["key"] = key
        return traces


def read_keys(db_url: str, assignment: str) -> dict[str, str]:
    """Return the key of each submission that has a trace or a series, "" if it is to be graded."""
    query = sa.select(_traces.c.student, _traces.c.key).where(_traces.c.assignment == assignment)
    with _transaction(db_url) as connection:
        return {student: key for student, key in connection.execute(query)}


def set_key(db_url: str, student: str, assignment: str, key: str) -> None:
    """Note that a submission is graded: its key says what was graded by what.

    Args:
        db_url: The gradebook's database.
        student: Name in the gradebook.
        assignment: Name of the assignment.
        key: Two digests with a hyphen between them, of the submission and of what grades it.
    """
    with _transaction(db_url) as connection:
        this = _submission(assignment, student)
        connection.execute(_traces.update().where(this).values(key=key))


def outdate(db_url: str, assignment: str, students: Iterable[str]) -> None:
    """Let graded submissions be graded again, each with the series that it had."""
    with _transaction(db_url) as connection:
        for student in students:
            this = _submission(assignment, student)
            key = connection.scalar(sa.select(_traces.c.key).where(this))
            if key:
                new = key.partition("-")[0] + "-"
                connection.execute(_traces.update().where(this).values(key=new))
