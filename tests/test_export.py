import csv
import shutil

import pytest
from nbgrader.api import Gradebook
from nbgrader.apps.exportapp import ExportApp

from labhelpers.instructor.course.nbgrader import open_course
from labhelpers.instructor.grading.ledger import write_trace
from labhelpers.instructor.grading.safe_text import harmless


def enter(gradebook, student, score=None, written=None, penalty=0.0, **about):
    """A student, with a submission of `toy` if there is a score."""
    gradebook.update_or_create_student(student, **about)
    if score is None:
        return
    submission = gradebook.update_or_create_submission(
        "toy", student, timestamp="2026-11-26 12:00:00"
    )
    submission.notebooks[0].late_submission_penalty = penalty
    test = gradebook.find_grade("check-double", "toy", "toy", student)
    test.auto_score, test.needs_manual_grade = score, False
    answer = gradebook.find_grade("written-double", "toy", "toy", student)
    answer.manual_score, answer.needs_manual_grade = written, written is None
    gradebook.db.commit()


pytestmark = pytest.mark.filterwarnings("ignore:Object of type <Submitted")  # nbgrader's own


@pytest.fixture(scope="module")
def graded(toy_template, tmp_path_factory):
    """A course with a class whose names are what names can be."""
    root = shutil.copytree(toy_template, tmp_path_factory.mktemp("graded") / "course")
    course = open_course(root)
    url = course.coursedir.db_url
    with Gradebook(url) as gradebook:
        enter(gradebook, "ann", 2, 1.5, 0.5, last_name="Äpfel, Ann", email="ann@example.org")
        enter(gradebook, "Doe, John", 1, None, last_name='Doe "JD"', first_name="John")
        enter(gradebook, "=HYPERLINK(1)", 0, 0, last_name="+49", first_name="@x", email="-1")
        enter(gradebook, "zoe")
        enter(gradebook, "model-answer", 2)  # no student
        gradebook.update_or_create_assignment("later")  # nobody handed in anything
    (root / "build" / "submitted" / "late" / "toy").mkdir(parents=True)
    trace = {"student": "ann", "assignment": "toy", "series": 1, "key": "", "graded_at": ""}
    trace |= {"version": "", "sandboxed": True, "events": [], "seconds": {}, "cells": []}
    trace |= {"repairs": ["A cell was there twice."], "flags": ["=1+1: look at this"]}
    write_trace(url, trace)
    return root


def export(root, monkeypatch, *options):
    monkeypatch.chdir(root)
    app = ExportApp()
    app.initialize(["--log-level=ERROR", *options])
    app.start()
    raw = (root / "build" / "grades.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(raw.decode("utf-8-sig").splitlines()))


def test_each_student_and_assignment_has_a_row(graded, monkeypatch):
    rows = {row["student_id"]: row for row in export(graded, monkeypatch)}
    assert list(rows) == ["late", "zoe", "'=HYPERLINK(1)", "Doe, John", "ann"]
    assert rows["ann"] == {
        "assignment": "toy",
        "student_id": "ann",
        "last_name": "Äpfel, Ann",
        "first_name": "",
        "email": "ann@example.org",
        "submitted": "2026-11-26 12:00:00",
        "status": "graded",
        "score": "3.0",
        "max_score": "4.0",
        "raw_score": "3.5",
        "late_penalty": "0.5",
        "needs_manual_grade": "no",
        "repaired": "A cell was there twice.",
        "flagged": "'=1+1: look at this",
        "double": "2.0",
        "written-double": "1.5",
    }
    waiting = rows["Doe, John"]
    assert waiting["status"] == "needs manual grade" and waiting["needs_manual_grade"] == "yes"
    assert (waiting["score"], waiting["double"], waiting["written-double"]) == ("1.0", "1.0", "")
    assert waiting["last_name"] == 'Doe "JD"'
    hostile = rows["'=HYPERLINK(1)"]
    assert (hostile["last_name"], hostile["first_name"], hostile["email"]) == ("'+49", "'@x", "'-1")
    assert hostile["score"] == "0.0"
    for student, status in (("zoe", "not handed in"), ("late", "not graded")):
        row = rows[student]
        assert row["status"] == status
        assert {row[name] for name in ("score", "raw_score", "late_penalty", "double")} == {""}


def test_a_score_that_is_to_be_confirmed_is_shown(graded, tmp_path, monkeypatch):
    """As after grading again, when nbgrader asks for each written answer anew."""
    root = shutil.copytree(graded, tmp_path / "course")
    with Gradebook(open_course(root).coursedir.db_url) as gradebook:
        gradebook.find_grade("written-double", "toy", "toy", "ann").needs_manual_grade = True
        gradebook.db.commit()
    (row,) = export(root, monkeypatch, "--student=ann")
    assert row["status"] == "needs manual grade"
    assert (row["score"], row["written-double"]) == ("3.0", "1.5")


def test_moodle_gets_a_row_for_each_student(graded, monkeypatch):
    rows = export(graded, monkeypatch, "--GradesCsv.columns=moodle")
    assert list(rows[0]) == ["ID number", "Email address", "First name", "Last name", "toy"]
    assert {row["ID number"]: row["toy"] for row in rows} == {
        "late": "",
        "zoe": "",
        "'=HYPERLINK(1)": "0.0",
        "Doe, John": "",
        "ann": "3.0",
    }


def test_canvas_finds_students_and_points(graded, monkeypatch):
    rows = export(graded, monkeypatch, "--GradesCsv.columns=canvas")
    about = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    assert list(rows[0]) == [*about, "toy"]
    assert (rows[0]["Student"], rows[0]["toy"]) == ("    Points Possible", "4.0")
    by_login = {row["SIS Login ID"]: row for row in rows[1:]}
    assert by_login["ann"]["Student"] == "Äpfel, Ann" and by_login["ann"]["toy"] == "3.0"
    assert by_login["Doe, John"]["Student"] == 'Doe "JD", John'
    assert by_login["Doe, John"]["toy"] == by_login["zoe"]["toy"] == ""


def test_one_student_can_be_chosen(graded, monkeypatch):
    assert len(export(graded, monkeypatch, "--student=ann", "--assignment=toy")) == 1


def test_an_empty_class_gives_a_file(toy_course, monkeypatch):
    assert export(toy_course, monkeypatch) == []


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\tx", "\rx"])
def test_formulas_are_harmless(text):
    assert harmless(text) == f"'{text}"
    assert harmless(-1.0) == -1.0 and harmless("a=1") == "a=1"
