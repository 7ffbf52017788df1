"""The course as nbgrader sees it: where it lies, its gradebook, ids of students, time stamps."""

import shutil
import sqlite3

import pytest

from labhelpers.instructor.course.nbgrader import CourseError, open_course
from labhelpers.instructor.course.release import build_student
from labhelpers.instructor.course.samples import hand_in
from labhelpers.instructor.grading.autograde import autograde, read_scores, total_scores


def points(course, student):
    api = open_course(course)
    autograde(api, student, "toy")
    return total_scores(read_scores(api)).loc[(student, "toy"), "score"]


@pytest.mark.parametrize("name", ["My%20Course", "50% & c#sharp quest?ion"])
def test_the_gradebook_lies_in_the_course_whatever_its_name(toy_course, tmp_path, name):
    decoy = tmp_path / "My Course" / "build"
    decoy.mkdir(parents=True)
    course = shutil.move(toy_course, tmp_path / name)
    (course / "build" / "gradebook.db").unlink()
    build_student(course)
    hand_in("ann", "toy", root=course)
    assert points(course, "ann") == 2
    assert [*tmp_path.rglob("gradebook.db")] == [course / "build" / "gradebook.db"]
    with sqlite3.connect(course / "build" / "gradebook.db") as gradebook:
        assert gradebook.execute("select id from student").fetchall() == [("ann",)]
    assert {path.name for path in tmp_path.iterdir()} == {"My Course", name}


@pytest.mark.parametrize("name", ["[test] lab", "lab[1]"])
def test_a_path_that_nbgrader_cannot_search_is_named(toy_course, tmp_path, name):
    course = shutil.move(toy_course, tmp_path / name)
    with pytest.raises(CourseError, match=r"cannot work in .*lab.*: .*Rename or move the folder"):
        open_course(course)


def test_another_database_can_be_named(toy_course, monkeypatch):
    monkeypatch.setenv("LABHELPERS_DB_URL", "postgresql+psycopg://me@host/grades")
    assert open_course(toy_course).coursedir.db_url == "postgresql+psycopg://me@host/grades"
    monkeypatch.setenv("LABHELPERS_DB_URL", "")
    assert open_course(toy_course).coursedir.db_url.startswith("sqlite:///")


@pytest.mark.parametrize("student", ["Müller, Jürgen (123456)", "o'brien 50% {x}+y"])
def test_unusual_ids_are_graded(toy_course, student):
    hand_in(student, "toy", root=toy_course)
    assert points(toy_course, student) == 2


@pytest.mark.parametrize("student", ["[x]", "a*b", "a?b"])
def test_ids_that_nbgrader_takes_for_a_pattern_are_named(toy_course, student):
    """It would find the notebooks of others, or none."""
    hand_in("axb", "toy", (), root=toy_course)
    hand_in(student, "toy", root=toy_course)
    with pytest.raises(CourseError, match=r"cannot work with the student id .*Rename"):
        autograde(open_course(toy_course), student, "toy")


def test_a_time_stamp_that_is_no_date_is_named(toy_course):
    path = hand_in("ann", "toy", root=toy_course)
    path.with_name("timestamp.txt").write_text("yesterday")
    with pytest.raises(CourseError, match=r"timestamp\.txt.*'yesterday'.*labhelpers grade"):
        autograde(open_course(toy_course), "ann", "toy")
