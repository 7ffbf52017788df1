"""Submissions as courses collect them: exchange, Moodle, Canvas, folders; and what is in them."""

import csv
import dataclasses
import io
import json
import os
import shutil
import stat
import zipfile
from datetime import datetime, timezone

import nbformat
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from nbformat import v4
from nbgrader.api import Gradebook
from toy import write_toy_course

from labhelpers.instructor.cli import commands
from labhelpers.instructor.course.nbgrader import CourseError, open_course
from labhelpers.instructor.course.release import build_student
from labhelpers.instructor.grading.intake import archives
from labhelpers.instructor.grading.intake.collect import collect
from labhelpers.instructor.grading.intake.roster import read_roster, safe_id
from labhelpers.instructor.grading.intake.students import Owner
from labhelpers.instructor.grading.intake.submitted import normalise_in_place, read_time

ROSTER = """id,first_name,last_name,email
s1,Ann,Smith,ann@uni.edu
s2,Jürgen,Müller,jm@uni.edu
s3,Eve,Doe,eve@uni.edu
"""
MOODLE_ROSTER = """Identifier,Full name,ID number,Email address
Participant 101,Ann Smith,s1,ann@uni.edu
Participant 102,Ann Smith,s2,ann2@uni.edu
Participant 103,Jürgen Müller,s3,jm@uni.edu
"""
CANVAS_ROSTER = """Student,ID,SIS User ID,SIS Login ID,Section
    Points Possible,,,,
"Smith, Ann",7001,4711,ann,A
"Müller, Jürgen",7002,4712,jm,A
"""


@pytest.fixture(scope="session")
def template(once):
    return once("two-notebooks", write_two_notebooks)


def write_two_notebooks(root):
    write_toy_course(root)
    other = root / "notebooks" / "other"
    other.mkdir()
    content = notebook(["# Other", "def triple(x):\n    pass"], ["triple"])
    (other / "other.ipynb").write_bytes(content)
    build_student(root)


@pytest.fixture
def course(template, tmp_path):
    """A course of two notebooks, `toy` and `other`, as released."""
    return shutil.copytree(template, tmp_path / "course")


def notebook(sources, ids=()):
    """A notebook as bytes; the last code cells have these grade ids."""
    cells = [
        v4.new_markdown_cell(source) if source.startswith("#") else v4.new_code_cell(source)
        for source in sources
    ]
    for i, cell in enumerate(cells):
        cell.id = f"cell-{i}"
    for cell, name in zip(reversed(cells), reversed(ids), strict=False):
        settings = {"grade": False, "solution": True, "locked": False, "task": False}
        cell.metadata["nbgrader"] = {"grade_id": name, "schema_version": 3} | settings
    return nbformat.writes(v4.new_notebook(cells=cells)).encode()


def answer(value=0):
    return notebook(["# Toy", f"def double(x):\n    return {value}"], ["double"])


OTHER = notebook(["def triple(x):\n    return 3 * x"], ["triple"])


def write_zip(path, members):
    """Members by name: content, or content and time (local)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            time = (2026, 11, 20, 10, 0, 0)
            if isinstance(content, tuple):
                content, time = content
            archive.writestr(zipfile.ZipInfo(name, time), content, zipfile.ZIP_DEFLATED)
    return path


def zipped(members):
    stream = io.BytesIO()
    write_zip(stream, members)
    return stream.getvalue()


def roster(tmp_path, text):
    path = tmp_path / "roster.csv"
    path.write_text(text, encoding="utf-8")
    return path


def write(path, content, time=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if time:
        seconds = time.timestamp()
        os.utime(path, (seconds, seconds))
    return path


def day(number):
    return datetime(2026, 11, number, 12, tzinfo=timezone.utc)


def taken(course, assignment="toy"):
    """The submissions of the course: content by student."""
    folders = (course / "build" / "submitted").glob(f"*/{assignment}/{assignment}.ipynb")
    return {path.parts[-3]: path.read_bytes() for path in folders}


def said(result, kind):
    return [line for line in result.lines if line.kind == kind]


def stamp(course, student):
    path = course / "build" / "submitted" / student / "toy" / "timestamp.txt"
    return read_time(path.read_bytes()) if path.exists() else None


# Where submissions come from


def test_a_submitted_tree(course, tmp_path):
    source = tmp_path / "elsewhere" / "submitted"
    write(source / "ann" / "toy" / "toy.ipynb", answer(1))
    write(source / "ann" / "toy" / "timestamp.txt", b"2026-11-20 09:00:00.000000 UTC")
    write(source / "bob" / "toy" / "toy (1).ipynb", answer(2))
    write(source / "bob" / "other" / "other.ipynb", OTHER)
    for path in (source, source.parent):
        collect(path, "toy", root=course)
        assert taken(course) == {"ann": answer(1), "bob": answer(2)}
        assert stamp(course, "ann") == datetime(2026, 11, 20, 9, tzinfo=timezone.utc)


def test_an_exchange_gives_the_newest_attempt_and_its_time(course, tmp_path):
    inbound = tmp_path / "exchange" / "course101" / "inbound"
    names = {
        "ann+toy+2026-11-20 10:00:00.123456 UTC+AbC-_123": answer(1),
        "ann+toy+2026-11-21 10:00:00.123456 UTC+xyz": answer(2),
        "ann+other+2026-11-22 10:00:00.123456 UTC+xyz": OTHER,
        "b+c+toy+2026-11-20 10:00:00 UTC": answer(3),
    }
    for name, content in names.items():
        kind = "other" if content == OTHER else "toy"
        write(inbound / name / f"{kind}.ipynb", content)
        write(inbound / name / "timestamp.txt", b"forged")
    write(tmp_path / "exchange" / "course101" / "outbound" / "toy" / "toy.ipynb", answer())
    for path in (tmp_path / "exchange", inbound.parent, inbound):
        result = collect(path, "toy", root=course)
        assert taken(course) == {"ann": answer(2), "b_c": answer(3)}
    assert stamp(course, "ann") == datetime(2026, 11, 21, 10, 0, 0, 123456, timezone.utc)
    (older,) = said(result, "older")
    assert older.student == "ann" and "2026-11-20" in older.file
    (renamed,) = said(result, "renamed")
    assert (renamed.student, renamed.file) == ("b_c", "b+c")


@pytest.mark.parametrize(
    "tail", ["_assignsubmission_file_/", "_assignsubmission_file/", "_assignsubmission_file_"]
)
def test_a_moodle_zip_with_a_roster(course, tmp_path, tail):
    path = write_zip(
        tmp_path / "moodle.zip",
        {
            f"Ann Smith_101{tail}lab (1).ipynb": answer(1),
            f"Ann Smith_102{tail}toy-final.ipynb": answer(2),
            f"Jürgen Müller_999{tail}toy.ipynb": (answer(3), (2026, 11, 21, 8, 30, 2)),
            f"Group A-Eve Doe_104{tail}toy.ipynb": answer(4),
            f"Ann Smith_101{tail}notes.pdf": b"",
        },
    )
    result = collect(path, "toy", roster(tmp_path, MOODLE_ROSTER), root=course)
    unknown = "unknown-Group A-Eve Doe-104"
    expected = {"s1": answer(1), "s2": answer(2), "s3": answer(3), unknown: answer(4)}
    assert taken(course) == expected
    local = datetime(2026, 11, 21, 8, 30, 2).astimezone(timezone.utc)
    assert stamp(course, "s3") == local
    (doubtful,) = said(result, "doubtful")
    assert doubtful.student == unknown and "is not in the roster" in doubtful.message
    (extra,) = said(result, "extra")
    assert extra.file.endswith("notes.pdf")


def test_two_students_of_one_name_are_never_one(course, tmp_path):
    """With and without a roster, and also when they are collected one after the other."""
    names = [f"Ann Smith_{number}_assignsubmission_file_/toy.ipynb" for number in (101, 102)]
    text = "id,first_name,last_name\ns1,Ann,Smith\n"
    both = write_zip(tmp_path / "both.zip", {names[0]: answer(1), names[1]: answer(2)})
    result = collect(both, "toy", roster(tmp_path, text), root=course)
    assert set(taken(course)) == {"unknown-Ann Smith-101", "unknown-Ann Smith-102"}
    assert len(said(result, "doubtful")) == 2
    assert [line.student for line in said(result, "missing")] == ["s1"]

    shutil.rmtree(course / "build" / "submitted")
    shutil.rmtree(course / "build" / "collected")
    for name, content in zip(names, (answer(1), answer(2)), strict=True):
        result = collect(write_zip(tmp_path / "one.zip", {name: content}), "toy", root=course)
    assert taken(course) == {"Ann Smith": answer(1), "Ann Smith-102": answer(2)}
    assert {line.student for line in said(result, "doubtful")} == {"Ann Smith", "Ann Smith-102"}
    collect(both, "toy", root=course)
    assert taken(course) == {"Ann Smith": answer(1), "Ann Smith-102": answer(2)}


def test_a_canvas_zip(course, tmp_path):
    path = write_zip(
        tmp_path / "submissions.zip",
        {
            "smithann_7001_90001_toy-1.ipynb": answer(1),
            "müllerjürgen_LATE_7002_90002_Untitled.ipynb": answer(2),
            "smithann_7001_90000_toy.ipynb": answer(0),
            "doe--eve-late_7003_90004_toy.ipynb": answer(3),
        },
    )
    result = collect(path, "toy", roster(tmp_path, CANVAS_ROSTER), root=course)
    unknown = "unknown-doe--eve-7003"
    assert taken(course) == {"ann": answer(1), "jm": answer(2), unknown: answer(3)}
    # Canvas writes the time of the download into its zip files.
    assert stamp(course, "ann") is None
    doubtful = {line.student: line.message for line in said(result, "doubtful")}
    assert "late, says Canvas" in doubtful["jm"]
    assert "several notebooks" in doubtful["ann"]


def test_files_with_a_date_are_not_one_student_of_canvas(course, tmp_path):
    for i, name in enumerate(["ann", "bob", "eve"]):
        write(tmp_path / "all" / f"{name}_2026_11_toy.ipynb", answer(i), day(20))
    collect(tmp_path / "all", "toy", root=course)
    assert set(taken(course).values()) == {answer(0), answer(1), answer(2)}
    assert all(student.startswith(("ann", "bob", "eve")) for student in taken(course))
    text = CANVAS_ROSTER.replace("7001", "2026")
    shutil.rmtree(course / "build" / "submitted")
    collect(tmp_path / "all", "toy", roster(tmp_path, text), root=course)
    assert set(taken(course).values()) == {answer(0), answer(1), answer(2)}
    assert "ann" not in taken(course)


def test_a_flat_folder_with_a_roster(course, tmp_path):
    folder = tmp_path / "mails"
    names = ["ann_smith_toy.ipynb", "toy-Müller Jürgen (1).ipynb", "toy (3).ipynb", "s3.IPYNB"]
    for i, name in enumerate([*names, "nobody-toy.ipynb"]):
        write(folder / name, answer(i), day(20))
    result = collect(folder, "toy", roster(tmp_path, ROSTER), root=course)
    found = taken(course)
    assert found["s1"] == answer(0) and found["s2"] == answer(1) and found["s3"] == answer(3)
    assert set(found) - {"s1", "s2", "s3"} == {"unknown-unnamed", "unknown-nobody"}
    assert {line.student for line in said(result, "doubtful")} == {
        "unknown-unnamed",
        "unknown-nobody",
    }


def test_folders_named_after_students_and_a_folder_around_them(course, tmp_path):
    members = {"class/ann/toy.ipynb": answer(1), "class/bob/work/lab.ipynb": answer(2)}
    collect(write_zip(tmp_path / "all.zip", members), "toy", root=course)
    assert taken(course) == {"ann": answer(1), "bob": answer(2)}


def test_zips_inside_a_zip_have_the_time_of_handing_in(course, tmp_path):
    """Not that of the student's clock; and a timestamp.txt in them is not nbgrader's."""
    inner = zipped(
        {
            "toy/toy.ipynb": (answer(1), (2026, 11, 1, 8, 0, 0)),
            "toy/timestamp.txt": b"2020-01-01 00:00:00 UTC",
            "__MACOSX/toy/._toy.ipynb": b"\0",
            "toy/.ipynb_checkpoints/toy-checkpoint.ipynb": answer(9),
        }
    )
    name = "Ann Smith_101_assignsubmission_file_/work.zip"
    path = write_zip(tmp_path / "moodle.zip", {name: (inner, (2026, 11, 25, 8, 0, 0))})
    result = collect(path, "toy", root=course)
    assert taken(course) == {"Ann Smith": answer(1)}
    assert stamp(course, "Ann Smith") == datetime(2026, 11, 25, 8).astimezone(timezone.utc)
    assert {line.kind for line in result.lines} == {"taken"}


def test_names_that_are_utf8_without_saying_so(course, tmp_path):
    path = tmp_path / "mac.zip"
    name = "Jürgen Müller_103_assignsubmission_file_/toy.ipynb"
    write_zip(path, {"X" * len(name.encode()): answer(1)})
    content = path.read_bytes().replace(b"X" * len(name.encode()), name.encode())
    path.write_bytes(content)
    collect(path, "toy", roster(tmp_path, MOODLE_ROSTER), root=course)
    assert set(taken(course)) == {"s3"}


# What must not get in


def test_dangerous_members_are_refused_one_by_one(course, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "RATIO_FROM_BYTES", 1_000_000)
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good_1_assignsubmission_file_/toy.ipynb", answer(1))
        archive.writestr("../../outside.ipynb", answer(2))
        archive.writestr("/etc/outside.ipynb", answer(2))
        archive.writestr("C:\\outside.ipynb", answer(2))
        for name, mode in (("link.ipynb", stat.S_IFLNK), ("device.ipynb", stat.S_IFBLK)):
            member = zipfile.ZipInfo(f"a_2_assignsubmission_file_/{name}")
            member.external_attr = (mode | 0o777) << 16
            archive.writestr(member, "/etc/passwd")
        archive.writestr("a_3_assignsubmission_file_/bomb.ipynb", b" " * 2_000_000)
        archive.writestr("a_4_assignsubmission_file_/broken.zip", b"PK no zip")
    result = collect(path, "toy", root=course)
    assert taken(course) == {"good": answer(1)}
    assert [line.message.split(" (")[0] for line in said(result, "refused")] == [
        "has a path that leads out of the zip file",
        "has a path that leads out of the zip file",
        "has a path that leads out of the zip file",
        "is a link",
        "is a device or a pipe",
        "is packed more than 100 times smaller, as no notebook is",
        "is not a whole zip file",
    ]
    assert not list(tmp_path.rglob("outside.ipynb"))


def test_an_encrypted_and_a_damaged_member_are_refused(course, tmp_path):
    path = write_zip(tmp_path / "a.zip", {"ann.ipynb": answer(1), "bob.ipynb": answer(2)})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the first entry is called encrypted
    path.write_bytes(content)
    result = collect(path, "toy", root=course)
    assert taken(course) == {"bob": answer(2)}
    assert [line.message for line in said(result, "refused")] == ["is encrypted"]
    at = content.index(b"bob.ipynb") + 20
    content[at : at + 9] = b"\xff" * 9
    path.write_bytes(content)
    shutil.rmtree(course / "build" / "submitted")
    result = collect(path, "toy", root=course)
    assert taken(course) == {} and len(said(result, "refused")) == 2


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("INNER_FILES", 2, "holds more than 2 files"),
        ("INNER_BYTES", 1000, "is left out: the zip file unpacks to too much"),
        ("FILE_BYTES", 10_000, "is larger than 0 MB"),
        ("ZIP_DEPTH", 1, "is the 2th zip file one inside the other"),
    ],
)
def test_what_unpacks_to_too_much_is_refused(course, tmp_path, monkeypatch, limit, value, message):
    monkeypatch.setattr(archives, limit, value)
    big = answer("'" + os.urandom(10_000).hex() + "'")
    inner = zipped({f"{i}/toy.ipynb": big for i in range(3)})
    members = {"a_1_assignsubmission_file_/w.zip": inner, "b.ipynb": answer(1)}
    result = collect(write_zip(tmp_path / "a.zip", members), "toy", root=course)
    assert taken(course)["b"] == answer(1)
    assert message in [line.message for line in said(result, "refused")]


def test_a_zip_in_a_zip_in_a_zip_has_an_end(course, tmp_path):
    content = zipped({"toy.ipynb": answer(1)})
    for _ in range(6):
        content = zipped({"w.zip": content})
    path = tmp_path / "deep.zip"
    path.write_bytes(content)
    result = collect(path, "toy", root=course)
    assert [line.message for line in said(result, "refused")] == [
        "is the 4th zip file one inside the other"
    ]


def test_links_and_pipes_in_a_folder_are_not_followed(course, tmp_path):
    folder = tmp_path / "exchange" / "c" / "inbound"
    secret = write(tmp_path / "secret.ipynb", answer(7))
    write(folder / "ann+toy+2026-11-20 10:00:00 UTC" / "mine.ipynb", answer(1))
    own = folder / "eve+toy+2026-11-20 10:00:00 UTC"
    own.mkdir()
    (own / "toy.ipynb").symlink_to(secret)
    (own / "folder").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(own / "pipe.ipynb")
    result = collect(folder, "toy", root=course)
    assert taken(course) == {"ann": answer(1)}
    assert len(said(result, "refused")) == 3


# Whose and which notebook


def test_notebooks_are_recognised_by_what_they_hold(course, tmp_path):
    folder = tmp_path / "all"
    plain = json.loads(answer(2))
    for cell in plain["cells"]:
        cell["metadata"] = {}
    old = b'{"worksheets": [{"cells": [{"metadata": {"nbgrader": {"grade_id": "double"}}}]}]}'
    files = {
        "ann/other.ipynb": answer(1),
        "bob/toy.ipynb": OTHER,
        "cat/toy.ipynb": json.dumps(plain).encode(),
        "dan/toy.ipynb": b"",
        "eve/toy.ipynb": answer(5)[:-20],
        "fay/toy.ipynb": b"\xef\xbb\xbf" + answer(6),
        "gus/toy.ipynb": answer(7).decode().encode("utf-16"),
        "hal/recipe.ipynb": notebook(["x = 1"]),
        "ida/toy.ipynb.txt": answer(8),
        "jon/toy.ipynb": old,
        "kim/other.ipynb": b"<<<<<<< HEAD",
    }
    for name, content in files.items():
        write(folder / name, content)
    result = collect(folder, "toy", root=course)
    assert set(taken(course)) == {"ann", "cat", "dan", "eve", "fay", "gus", "ida", "jon"}
    assert {(line.file, line.message) for line in said(result, "doubtful")} == {
        ("cat/toy.ipynb", "recognised by the names of its functions and classes only"),
        ("dan/toy.ipynb", "cannot be read as JSON"),
        ("eve/toy.ipynb", "cannot be read as JSON"),
        ("hal/recipe.ipynb", "is no notebook of this course; not taken"),
        ("kim/other.ipynb", "cannot be read as JSON; not taken"),
    }
    (other,) = said(result, "other")
    assert (other.file, other.message) == ("bob/toy.ipynb", "is other")


def test_a_notebook_handed_in_for_another_assignment_is_taken_only_if_there_is_no_other(
    course, tmp_path
):
    folder = tmp_path / "submitted"
    write(folder / "ann" / "other" / "toy.ipynb", answer(1), day(25))
    write(folder / "bob" / "other" / "toy.ipynb", answer(2), day(25))
    write(folder / "bob" / "toy" / "toy.ipynb", answer(3), day(20))
    result = collect(folder, "toy", root=course)
    assert taken(course) == {"ann": answer(1), "bob": answer(3)}
    (doubtful,) = said(result, "doubtful")
    assert (doubtful.student, doubtful.message) == ("ann", "was handed in for other")


def test_of_several_notebooks_the_newest_is_taken_and_said(course, tmp_path):
    folder = tmp_path / "submitted" / "ann" / "toy"
    write(folder / "toy.ipynb", answer(1), day(20))
    write(folder / "toy-Copy1.ipynb", answer(2), day(21))
    write(folder / "broken.ipynb", b"", day(22))
    result = collect(tmp_path / "submitted", "toy", root=course)
    assert taken(course) == {"ann": answer(2)}
    (doubtful,) = said(result, "doubtful")
    assert "newest of several" in doubtful.message


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ann", "ann"),
        ("Müller, Jürgen (123456)", "Müller_Jürgen_123456"),
        ("[x]", "x"),
        ("../../etc", ".._.._etc".lstrip(".")),
        (".hidden", "hidden"),
        ("a+b", "a_b"),
        ("a*b?", "a_b"),
        ("", "unnamed"),
        ("..", "unnamed"),
        ("ann@uni.edu", "ann@uni.edu"),
        ("=cmd|'/c calc'", "cmd_'_c calc'"),
        ("x" * 300, "x" * 100),
    ],
)
def test_ids_are_made_safe(name, expected):
    assert safe_id(name) == expected


def test_ids_that_become_the_same_are_numbered(course, tmp_path):
    for i, name in enumerate(["a,b", "a[b", "a_b"]):
        write(tmp_path / "submitted" / name / "toy" / "toy.ipynb", answer(i))
    result = collect(tmp_path / "submitted", "toy", root=course)
    found = taken(course)
    assert sorted(found) == ["a_b", "a_b-2", "a_b-3"]
    assert set(found.values()) == {answer(0), answer(1), answer(2)}
    assert {line.student for line in said(result, "doubtful")} == set(found)
    collect(tmp_path / "submitted", "toy", root=course)
    assert taken(course) == found


def test_a_roster_from_a_spreadsheet(tmp_path):
    path = tmp_path / "roster.csv"
    path.write_bytes("\ufeffID number;Surname;First name\r\n1;Müller;Jürgen\r\n".encode())
    assert read_roster(path).find(Owner("file", "Jurgen Muller")).student == "1"
    path.write_bytes("ID number;Surname;First name\n1;Müller;Jürgen\n".encode("cp1252"))
    assert read_roster(path).find(Owner("file", "Müller Jürgen")).student == "1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has the columns ; expected one that names students"),
        ("Name,Points\nAnn,3\n", "has the columns Name, Points; expected one that names"),
        ("id\nann\nAnn\n", r"has the id 'ann' more than once \(2 rows"),
    ],
)
def test_a_roster_that_cannot_serve_is_refused(tmp_path, text, message):
    with pytest.raises(CourseError, match=message):
        read_roster(roster(tmp_path, text))


def test_students_of_the_roster_who_handed_in_nothing_are_listed(course, tmp_path):
    write(tmp_path / "all" / "s1" / "toy.ipynb", answer(1))
    result = collect(tmp_path / "all", "toy", roster(tmp_path, ROSTER), root=course)
    assert [line.student for line in said(result, "missing")] == ["s2", "s3"]


NAMED = {
    "nbgrader": (ROSTER, {"s3": ("Eve", "Doe", "eve@uni.edu")}),
    "moodle": (MOODLE_ROSTER, {"s3": ("Jürgen", "Müller", "jm@uni.edu")}),
    "canvas": (CANVAS_ROSTER, {"ann": ("Ann", "Smith", None)}),
    "words": (
        "id,name\ns1,Ann Maria Smith\ns2,Plato\n",
        {"s1": ("Ann Maria", "Smith", None), "s2": ("", "Plato", "kept@uni.edu")},
    ),
}


@pytest.mark.parametrize("system", NAMED)
def test_all_students_of_the_roster_get_into_the_gradebook(course, tmp_path, system):
    text, expected = NAMED[system]
    write(tmp_path / "all" / "s1" / "toy.ipynb", answer(1))
    url = open_course(course).coursedir.db_url
    with Gradebook(url) as gradebook:
        gradebook.update_or_create_student("s2", email="kept@uni.edu")
    collect(tmp_path / "all", "toy", roster(tmp_path, text), root=course)
    with Gradebook(url) as gradebook:
        people = {one.id: (one.first_name, one.last_name, one.email) for one in gradebook.students}
    assert expected.items() <= people.items()


def test_a_locked_gradebook_is_told_in_words(course, tmp_path, monkeypatch):
    def locked(*_, **__):
        raise sa.exc.OperationalError("insert", {}, Exception("database is locked"))

    monkeypatch.setattr(Gradebook, "update_or_create_student", locked)
    write(tmp_path / "all" / "s1" / "toy.ipynb", answer(1))
    with pytest.raises(CourseError, match=r"names of the roster .* collect again"):
        collect(tmp_path / "all", "toy", roster(tmp_path, ROSTER), root=course)


EVIL = "ann+toy+2027-01-01 10:00:00 UTC", "Ann Smith_101_assignsubmission_file_", "ann_7001_9_x"


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize(
    "names",
    [
        ("ann", "eve"),
        ("ann/toy", "eve/toy"),
        ("ann+toy+2026-11-20 10:00:00 UTC", "eve+toy+2026-11-20 10:00:00 UTC"),
        ("Ann Smith_101_assignsubmission_file_", "Eve Doe_103_assignsubmission_file_"),
        ("smithann_7001_1_work", "doeeve_7003_2_work"),
    ],
)
@pytest.mark.parametrize("inside", ["", "toy/", "many"])
def test_nobody_hands_in_for_another_student(course, tmp_path, names, evil, inside):
    """By a folder of the student's own that is named as a system names another one's."""
    own, other = names
    folder = tmp_path / "all"
    write(folder / own / "toy.ipynb", answer(1), day(20))
    for i in range(5 if inside == "many" else 1):
        part = f"{i}/" if inside == "many" else inside
        write(folder / other / part / evil / "toy.ipynb", answer(2), day(25))
        write(folder / other / evil / f"{i}.ipynb", answer(2), day(25))
    collect(folder, "toy", root=course)
    found = taken(course)
    assert len(found) == 2
    (student,) = [student for student in found if "ann" in student.lower()]
    assert found[student] == answer(1)


@pytest.mark.parametrize("own", ["ann", "ann+toy+2026-11-20 10:00:00 UTC"])
def test_a_folder_called_inbound_within_a_submission_does_not_hide_the_others(
    course, tmp_path, own
):
    write(tmp_path / "all" / own / "toy.ipynb", answer(1))
    other = tmp_path / "all" / own.replace("ann", "eve")
    write(other / "toy.ipynb", answer(2))
    write(other / "inbound" / "ann+toy+2027-01-01 10:00:00 UTC" / "toy.ipynb", answer(3))
    collect(tmp_path / "all", "toy", root=course)
    assert taken(course)["ann"] == answer(1) and len(taken(course)) == 2


def test_of_an_exchange_of_several_courses_this_one_is_collected(course, tmp_path):
    for name in ("one", "two", "brain-mri-synthesis"):
        attempt = f"{name}+toy+2026-11-20 10:00:00 UTC"
        write(tmp_path / "exchange" / name / "inbound" / attempt / "toy.ipynb", answer(1))
    collect(tmp_path / "exchange", "toy", root=course)
    assert set(taken(course)) == {"brain-mri-synthesis"}
    shutil.rmtree(tmp_path / "exchange" / "brain-mri-synthesis")
    with pytest.raises(CourseError, match=r"several courses \(one, two\), none of which is brain"):
        collect(tmp_path / "exchange", "toy", root=course)


def test_a_folder_of_zip_files_of_a_system(course, tmp_path):
    for i, name in enumerate(["Ann Smith_101", "Jürgen Müller_103"]):
        members = {f"{name}_assignsubmission_file_/x.ipynb": answer(i)}
        (tmp_path / "all").mkdir(exist_ok=True)
        write_zip(tmp_path / "all" / f"part{i}.zip", members)
    collect(tmp_path / "all", "toy", roster(tmp_path, MOODLE_ROSTER), root=course)
    assert taken(course) == {"s1": answer(0), "s3": answer(1)}


def test_folders_named_after_assignments(course, tmp_path):
    write(tmp_path / "all" / "toy" / "ann" / "a.ipynb", answer(1))
    write(tmp_path / "all" / "toy" / "bob.ipynb", answer(2))
    write(tmp_path / "all" / "other" / "ann" / "other.ipynb", OTHER)
    result = collect(tmp_path / "all", "toy", root=course)
    assert taken(course) == {"ann": answer(1), "bob": answer(2)}
    assert {line.kind for line in result.lines} == {"taken"}


def test_a_roster_of_another_assignment_gives_nobody_the_work_of_others(course, tmp_path):
    """Moodle numbers participants anew in each assignment."""
    names = ["Eve Doe_101", "Group A-Jürgen Müller_103", "Participant_102"]
    members = {f"{name}_assignsubmission_file_/x.ipynb": answer(i) for i, name in enumerate(names)}
    path = write_zip(tmp_path / "a.zip", members)
    result = collect(path, "toy", roster(tmp_path, MOODLE_ROSTER), root=course)
    expected = {"unknown-Eve Doe-101": answer(0), "s3": answer(1), "s2": answer(2)}
    assert taken(course) == expected
    (doubtful,) = said(result, "doubtful")
    assert "has the number of s1 but another name" in doubtful.message


def test_a_file_that_no_system_named_is_not_taken(course, tmp_path):
    names = [f"{n}_{n}_assignsubmission_file_/x.ipynb" for n in (1, 2)]
    path = write_zip(tmp_path / "a.zip", {**dict.fromkeys(names, answer(1)), "x.ipynb": answer(2)})
    (doubtful,) = said(collect(path, "toy", root=course), "doubtful")
    assert doubtful.file == "x.ipynb" and "is not named as moodle names" in doubtful.message


def test_missing_says_what_was_handed_in_instead(course, tmp_path):
    write(tmp_path / "all" / "s1" / "toy.ipynb", OTHER)
    write(tmp_path / "all" / "s2" / "toy.ipynb", answer(2))
    result = collect(tmp_path / "all", "toy", roster(tmp_path, ROSTER), root=course)
    missing = {line.student: line.message for line in said(result, "missing")}
    assert missing == {
        "s1": "No notebook of toy by this student is in the collection: s1/toy.ipynb is other.",
        "s3": "Nothing of this student is in the collection.",
    }


def test_archives_that_are_not_read_and_other_files_are_told_of_who_is_missing(course, tmp_path):
    members = {
        "Ann Smith_1_assignsubmission_file_/work.rar": b"Rar!",
        "Müller Jürgen_2_assignsubmission_file_/work.pdf": b"",
    }
    path = write_zip(tmp_path / "a.zip", members)
    result = collect(path, "toy", roster(tmp_path, ROSTER), root=course)
    assert [(line.student, line.message) for line in said(result, "doubtful")] == [
        ("s1", "is an archive that is not read: unpack it and collect again")
    ]
    missing = {line.student: line.message for line in said(result, "missing")}
    assert ": Ann Smith_1_assignsubmission_file_/work.rar is an archive" in missing["s1"]
    assert missing["s2"].endswith(
        ": Müller Jürgen_2_assignsubmission_file_/work.pdf is no notebook."
    )
    assert missing["s3"] == "Nothing of this student is in the collection."


def test_of_two_attempts_the_newer_counts_even_if_it_cannot_be_read(course, tmp_path):
    write(tmp_path / "inbound" / "ann+toy+2026-11-20 10:00:00 UTC" / "toy.ipynb", answer(1))
    write(tmp_path / "inbound" / "ann+toy+2026-11-21 10:00:00 UTC" / "toy.ipynb", b"")
    result = collect(tmp_path / "inbound", "toy", root=course)
    assert taken(course) == {"ann": b""}
    assert [line.message for line in said(result, "doubtful")] == ["cannot be read as JSON"]


def test_in_an_exchange_with_users_a_file_of_another_user_does_not_count_first(
    course, tmp_path, monkeypatch
):
    users = {10: "ann", 11: "eve", 12: "eve"}  # by the hour of the attempt

    def as_written(*arguments):
        for file in archives.read_files(*arguments):
            hour = int(file.path.split(" ")[1][:2])
            yield dataclasses.replace(file, user=["ann", "eve"].index(users[hour]))

    monkeypatch.setattr("labhelpers.instructor.grading.intake.attempts.read_files", as_written)
    monkeypatch.setattr(
        "labhelpers.instructor.grading.intake.attempts._user_name",
        lambda number: ["ann", "eve"][number],
    )
    for hour, name in (10, "ann"), (11, "ann"), (12, "eve"):
        folder = tmp_path / "inbound" / f"{name}+toy+2026-11-20 {hour}:00:00 UTC"
        write(folder / "toy.ipynb", answer(hour))
    collect(tmp_path / "inbound", "toy", root=course)
    assert taken(course) == {"ann": answer(10), "eve": answer(12)}

    users[10] = "eve"  # all files are of one user, as in containers
    shutil.rmtree(course / "build" / "submitted")
    result = collect(tmp_path / "inbound", "toy", root=course)
    assert taken(course) == {"ann": answer(11), "eve": answer(12)}
    assert result.count("doubtful") == 0


def test_names_that_are_no_text_and_deep_folders_stop_nothing(course, tmp_path):
    folder = tmp_path / "all"
    odd = os.fsdecode(b"a\xff\n")
    write(folder / odd / "toy.ipynb", answer(1))
    write(folder / "bob" / "toy.ipynb", answer(2))
    write(folder.joinpath("eve", *60 * "d", "toy.ipynb"), answer(3))
    result = collect(folder, "toy", root=course)
    assert taken(course) == {"a": answer(1), "bob": answer(2)}
    assert ["50 folders deep" in line.message for line in said(result, "refused")] == [True]
    collect(folder, "toy", root=course).in_words().encode()


# Again, and again


def test_a_second_run_changes_nothing_and_a_newer_attempt_replaces(course, tmp_path):
    source = tmp_path / "inbound"
    write(source / "ann+toy+2026-11-20 10:00:00 UTC" / "toy.ipynb", answer(1))
    first = collect(source, "toy", root=course)
    before = {p: p.stat().st_mtime_ns for p in (course / "build" / "submitted").rglob("*")}
    again = collect(source, "toy", root=course)
    assert {p: p.stat().st_mtime_ns for p in (course / "build" / "submitted").rglob("*")} == before
    assert "Nothing changed." in again.in_words() and "Nothing changed" not in first.in_words()

    write(source / "ann+toy+2026-11-21 10:00:00 UTC" / "toy.ipynb", answer(2))
    result = collect(source, "toy", root=course)
    assert taken(course) == {"ann": answer(2)}
    (replaced,) = said(result, "replaced")
    kept = course / "build" / "collected" / "toy" / "ann" / "1"
    assert (kept / "toy.ipynb").read_bytes() == answer(1)
    assert "2026-11-20" in (kept / "timestamp.txt").read_text()
    assert str(kept) in replaced.message
    assert stamp(course, "ann") == datetime(2026, 11, 21, 10, tzinfo=timezone.utc)

    shutil.rmtree(source / "ann+toy+2026-11-21 10:00:00 UTC")
    result = collect(source, "toy", root=course)
    assert taken(course) == {"ann": answer(2)} and len(said(result, "older")) == 1


def test_what_the_instructor_mended_is_not_overwritten_by_the_same_attempt(course, tmp_path):
    folder = tmp_path / "inbound" / "ann+toy+2026-11-20 10:00:00 UTC"
    write(folder / "toy.ipynb", answer(1))
    collect(tmp_path / "inbound", "toy", root=course)
    write(course / "build" / "submitted" / "ann" / "toy" / "toy.ipynb", answer(2))
    result = collect(tmp_path / "inbound", "toy", root=course)
    assert taken(course) == {"ann": answer(2)} and not result.changed
    (doubtful,) = said(result, "doubtful")
    assert "is not known to be newer" in doubtful.message


def test_a_student_who_is_found_in_the_roster_later_moves(course, tmp_path):
    path = write_zip(
        tmp_path / "a.zip", {"Ann Smith_101_assignsubmission_file_/toy.ipynb": answer()}
    )
    collect(path, "toy", roster(tmp_path, "id,first_name,last_name\ns9,Eve,Doe\n"), root=course)
    assert set(taken(course)) == {"unknown-Ann Smith-101"}
    result = collect(path, "toy", roster(tmp_path, ROSTER), root=course)
    assert set(taken(course)) == {"s1"}
    (renamed,) = said(result, "renamed")
    assert "nbgrader db student remove --force 'unknown-Ann Smith-101'" in renamed.message


def test_the_report_is_harmless_in_a_terminal_and_a_spreadsheet(course, tmp_path):
    folder = tmp_path / "all"
    write(folder / "=1+1" / "\x1b[31mtoy.ipynb", answer())
    write(folder / "s1" / "toy.ipynb", b"")
    result = collect(folder, "toy", roster(tmp_path, ROSTER), root=course)
    text = result.in_words()
    assert text.splitlines()[0].startswith("2 taken; 2 doubtful: please look; 2 handed in nothing")
    assert "\x1b" not in text
    with result.report.open(encoding="utf-8-sig", newline="") as stream:
        table = list(csv.DictReader(stream))
    assert len(table) == len(result.lines)
    assert not any(cell.startswith("=") for row in table for cell in row.values())
    assert "\x1b" not in result.report.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["empty", "no.zip"])
def test_nothing_to_collect_is_an_error(course, tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "no.zip").write_bytes(b"<html>")
    with pytest.raises(CourseError, match=r"holds no notebook|is not a zip file"):
        collect(tmp_path / name, "toy", root=course)


def test_an_unknown_assignment_is_answered_with_those_released(course, tmp_path):
    with pytest.raises(CourseError, match="no released assignment 'tea': choose one of other, toy"):
        collect(tmp_path, "tea", root=course)


def test_the_command_line(course, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "labhelpers.instructor.grading.intake.collect.collect",
        lambda path, assignment, roster: collect(path, assignment, roster, root=course),
    )
    write(tmp_path / "all" / "s1" / "toy.ipynb", answer())
    arguments = ["collect", str(tmp_path / "all"), "toy", "--roster", str(roster(tmp_path, ROSTER))]
    result = CliRunner().invoke(commands, arguments)
    assert result.exit_code == 0, result.output
    assert result.output.startswith("1 taken; 2 handed in nothing.\n  missing: s2: Nothing of")


# What is there already


def submit(course, files):
    folder = course / "build" / "submitted" / "ann" / "toy"
    for name, content in files.items():
        write(folder / name, content)
    return folder


def normalise(course):
    return normalise_in_place(open_course(course), "toy")


@pytest.mark.parametrize("name", ["toy (1).ipynb", "final.ipynb", "toy/toy.ipynb", "toy.ipynb.txt"])
def test_a_notebook_of_another_name_is_copied_to_the_expected_one(course, name):
    folder = submit(course, {name: answer(1), "z.ipynb": OTHER})
    assert "renamed" in [line.kind for line in normalise(course)]
    assert (folder / "toy.ipynb").read_bytes() == answer(1)
    assert (folder / name).exists()
    assert "renamed" not in [line.kind for line in normalise(course)]


def test_without_a_notebook_of_the_assignment_nothing_is_guessed(course):
    folder = submit(course, {"toy (1).ipynb": OTHER})
    assert [line.kind for line in normalise(course)] == ["other", "doubtful"]
    assert not (folder / "toy.ipynb").exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"1795255200", datetime(2026, 11, 21, 10, tzinfo=timezone.utc)),
        (b"1795255200000", datetime(2026, 11, 21, 10, tzinfo=timezone.utc)),
        (
            b"\xef\xbb\xbf2026-11-21 10:00:00.5 UTC\r\n",
            datetime(2026, 11, 21, 10, 0, 0, 500000, timezone.utc),
        ),
        (b"2026-11-21T11:00:00+01:00", datetime(2026, 11, 21, 10, tzinfo=timezone.utc)),
        (b"21.11.2026", datetime(2026, 11, 21, tzinfo=timezone.utc)),
        (b"05.11.2026 10:00", datetime(2026, 11, 5, 10, tzinfo=timezone.utc)),
        ("2026-11-21 10:00".encode("utf-16"), datetime(2026, 11, 21, 10, tzinfo=timezone.utc)),
        (b"2026-11-21 10:00:00.000000 UTC", datetime(2026, 11, 21, 10, tzinfo=timezone.utc)),
        (b"yesterday", None),
        (b"10", None),
        (b"\xff\x00\xfe", None),
        (b"99999-99-99 2026", None),
        (b"2026-11-21 10:00:00 " + b"9" * 400, None),
    ],
)
def test_a_time_stamp_is_understood_or_put_aside(course, content, expected):
    folder = submit(course, {"toy.ipynb": answer(), "timestamp.txt": content})
    lines = normalise(course)
    nbgraders = open_course(course).coursedir.get_existing_timestamp(folder)
    if expected is None:
        assert [line.kind for line in lines] == ["doubtful"]
        assert (folder / "timestamp.txt.unreadable").read_bytes() == content
        assert nbgraders is None
    else:
        assert nbgraders == expected.replace(tzinfo=None)
    assert normalise(course) == []


def test_links_are_moved_away_and_folders_are_named(course, tmp_path):
    secret = write(tmp_path / "secret.ipynb", answer(7))
    folder = submit(course, {"toy-1.ipynb": answer(1), "labhelpers/__init__.py": b""})
    (folder / "toy.ipynb").symlink_to(secret)
    (folder / "labhelpers" / "data").symlink_to("/")
    (folder / "broken").symlink_to("/nowhere")
    (course / "build" / "submitted" / "eve").mkdir()
    (course / "build" / "submitted" / "eve" / "toy").symlink_to(tmp_path)
    lines = normalise(course)
    assert not (course / "build" / "submitted" / "eve" / "toy").exists()
    assert [line.kind for line in lines].count("refused") == 4
    assert [line.kind for line in lines].count("extra") == 1
    assert (folder / "toy.ipynb").read_bytes() == answer(1)
    assert secret.read_bytes() == answer(7)
    kept = (course / "build" / "collected" / "toy" / "ann").rglob("*")
    assert sum(path.is_symlink() for path in kept) == 3


def test_a_submission_that_cannot_be_opened_stops_no_other(course, tmp_path, monkeypatch):
    folder = submit(course, {"lab.ipynb": answer(1)})
    other = write(folder.parents[1] / "bob" / "toy" / "lab.ipynb", answer(2)).parent
    read = type(folder).read_bytes

    def read_bytes(path):
        if path.parent == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(type(folder), "read_bytes", read_bytes)
    refused = [line for line in normalise(course) if line.kind == "refused"]
    assert [line.student for line in refused] == ["ann"]
    assert (other / "toy.ipynb").exists()
    write(folder / "toy.ipynb", answer(3))
    write(tmp_path / "submitted" / "ann" / "toy" / "toy.ipynb", answer(4))
    write(tmp_path / "submitted" / "eve" / "toy" / "toy.ipynb", answer(5))
    result = collect(tmp_path / "submitted", "toy", root=course)
    assert [line.student for line in said(result, "refused")] == ["ann"]
    monkeypatch.undo()
    assert taken(course)["eve"] == answer(5) and taken(course)["ann"] == answer(3)


def test_collecting_the_folder_of_submissions_itself_puts_it_in_order(course):
    folder = submit(course, {"lab.ipynb": answer(1)})
    result = collect(course / "build" / "submitted", "toy", root=course)
    assert (folder / "toy.ipynb").exists() and said(result, "renamed") and result.changed
    assert not collect(course / "build" / "submitted", "toy", root=course).changed
