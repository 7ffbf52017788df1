import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from nbgrader import dbutil
from nbgrader.api import Gradebook

from labhelpers.instructor.grading.ledger import (
    begin_run,
    end_run,
    read_keys,
    read_traces,
    series_for,
    set_key,
    set_series,
    write_trace,
)


def trace(student: str, series: int, **changes: object) -> dict:
    return {
        "student": student,
        "assignment": "toy",
        "series": series,
        "key": "",
        "graded_at": "2026-01-02T03:04:05+00:00",
        "version": "1.0",
        "sandboxed": True,
        "repairs": ["The cell “double” was there twice; the second copy is ignored."],
        "events": [],
        "flags": [],
        "seconds": {"total": 1.5},
        "cells": [{"cell": "check-double", "score": 2.0}],
        **changes,
    }


# Where PostgreSQL is not a package of the system, it is left out.
@pytest.fixture(scope="module", params=["sqlite", *["postgresql"] * (sys.platform == "linux")])
def database(request, tmp_path_factory):
    """A gradebook that the ledger found empty."""
    url = f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'gradebook.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_server").create_database()
    with pytest.MonkeyPatch.context() as patch:
        # As `open_course` does: nbgrader starts `alembic` by name.
        patch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
        write_trace(url, trace("ann", 7))
        yield url


@pytest.fixture
def db_url(database):
    engine = sa.create_engine(database)
    with engine.begin() as connection:
        for table in ("labhelpers_run", "labhelpers_trace"):
            connection.execute(sa.text(f"delete from {table}"))
    engine.dispose()
    return database


def test_a_trace_replaces_the_one_before(db_url):
    assert read_traces(db_url, "toy") == []
    write_trace(db_url, trace("bob", 7))
    write_trace(db_url, trace("ann", 7, flags=["The record is missing.", "nul \x00, half \ud800"]))
    write_trace(db_url, trace("bob", 8))
    first, second = read_traces(db_url, "toy")
    assert first == trace("ann", 7, flags=["The record is missing.", "nul \x00, half \ud800"])
    assert second == trace("bob", 8)
    assert read_traces(db_url, "other") == []


def test_a_key_lasts_until_the_next_trace(db_url):
    write_trace(db_url, trace("ann", 7))
    set_key(db_url, "ann", "toy", "abc-def")
    assert read_keys(db_url, "toy") == {"ann": "abc-def"}
    assert read_traces(db_url, "toy")[0]["key"] == "abc-def"
    write_trace(db_url, trace("ann", 7))
    assert read_keys(db_url, "toy") == {"ann": ""}


def test_a_run_has_one_series_until_it_ends(db_url):
    series = begin_run(db_url, "toy")
    assert 2**31 < series < 2**62 and series % 65537
    assert begin_run(db_url, "toy") == series != begin_run(db_url, "other")
    end_run(db_url, "toy")
    assert begin_run(db_url, "toy") != series


def test_a_submission_keeps_its_series(db_url):
    series = series_for(db_url, "toy", "ann")
    assert series_for(db_url, "toy", "bob") == series  # plain nbgrader: one for the class
    write_trace(db_url, trace("ann", series))
    end_run(db_url, "toy")
    assert series_for(db_url, "toy", "ann") == series
    assert series_for(db_url, "toy", "bob") != series


def test_a_series_can_be_set_before_grading(db_url):
    write_trace(db_url, trace("ann", 7, key="abc-def"))
    set_series(db_url, "toy", ["ann", "bob"], 9)
    assert series_for(db_url, "toy", "ann") == series_for(db_url, "toy", "bob") == 9
    assert read_keys(db_url, "toy") == {"ann": "", "bob": ""}
    (only,) = read_traces(db_url, "toy")
    assert only == trace("ann", 7)  # what it was graded with


def test_nbgraders_own_tables_are_whole_and_can_be_upgraded(db_url):
    """nbgrader notes its version only in a database without tables; ours must not come first."""
    write_trace(db_url, trace("ann", 7))
    with Gradebook(db_url) as gradebook:
        gradebook.add_student("ann")
    dbutil.upgrade(db_url)  # what `nbgrader db upgrade` does
    assert read_traces(db_url, "toy") == [trace("ann", 7)]
    with Gradebook(db_url) as gradebook:
        assert [student.id for student in gradebook.students] == ["ann"]


def test_a_locked_database_is_waited_for(toy_course):
    path = toy_course / "build" / "gradebook.db"
    url = f"sqlite:///{path}"
    write_trace(url, trace("ann", 7))
    code = (
        "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1]); c.execute('begin exclusive');"
        "print('locked', flush=True); time.sleep(5.5); c.rollback()"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=-1, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        set_key(url, "ann", "toy", "abc-def")
    with sqlite3.connect(path) as connection:
        assert connection.execute("select key from labhelpers_trace").fetchall() == [("abc-def",)]
    connection.close()
