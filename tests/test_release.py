import ast
import os
import re
import zipfile
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode
from nbgrader.utils import is_grade, is_locked, is_solution
from toy import change_solution

from labhelpers.instructor.course import release
from labhelpers.instructor.course.nbgrader import CourseError
from labhelpers.instructor.course.release import build_solution, build_student
from labhelpers.instructor.course.wheel import student_wheel

MARKER = re.compile(r"(BEGIN|END) (SOLUTION|HIDDEN TESTS)")


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def source(root: Path, name: str) -> NotebookNode:
    return read(root / "notebooks" / name / f"{name}.ipynb")


def student(root: Path, name: str) -> NotebookNode:
    return read(root / "build" / "student" / f"{name}.ipynb")


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def secret_lines(notebook: NotebookNode) -> set[str]:
    """All lines of solution regions, without their indentation.

    Lines without any letter or digit, such as a closing bracket, tell nothing. Nor do those that
    stand in the same cell as given code, such as the functions to mend in the clinic.
    """
    secret = set()
    for cell in notebook.cells:
        lines: dict[bool, set[str]] = {True: set(), False: set()}
        inside = False
        for line in cell.source.split("\n"):
            if MARKER.search(line):
                inside = "BEGIN" in line
            elif re.search(r"\w", line):
                lines[inside].add(line.strip())
        assert not inside
        secret |= lines[True] - lines[False]
    return secret


def lines_of(notebook: NotebookNode) -> set[str]:
    return {line.strip() for cell in notebook.cells for line in cell.source.split("\n")}


def test_no_line_of_a_solution_or_hidden_test_reaches_the_students(course, name):
    secrets = secret_lines(source(course, name))
    assert len(secrets) > 20
    assert not secrets & lines_of(student(course, name))


def test_every_code_cell_parses(course, name):
    for cell in code_cells(student(course, name)):
        ast.parse(TransformerManager().transform_cell(cell.source))


def test_student_version_has_stubs_and_no_outputs(course, name):
    cells = code_cells(student(course, name))
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)
    stubs = [cell for cell in cells if is_solution(cell)]
    assert len(stubs) >= 2
    for cell in stubs:
        assert 'raise NotImplementedError("not written yet")' in cell.source


def test_cells_that_need_an_answer_may_fail(course, name):
    for cell in code_cells(student(course, name)):
        tags = cell.metadata.get("tags", [])
        assert ("needs-answer" in tags) == ("raises-exception" in tags)
        assert not (is_grade(cell) and tags), "a check never raises"


def test_student_version_keeps_every_cell(course, name):
    assert [cell.id for cell in student(course, name).cells] == [
        cell.id for cell in source(course, name).cells
    ]


def test_notebooks_that_train_ask_colab_for_a_gpu_and_report_it_at_once(course, name):
    notebook = student(course, name)
    _, imports, *_ = (cell.source for cell in code_cells(notebook))
    trains = "TrainingRun" in imports
    assert notebook.metadata.get("accelerator") == ("GPU" if trains else None)
    assert notebook.metadata.get("colab") == ({"gpuType": "T4"} if trains else None)
    assert ("choose_device();" in imports) == trains


def test_released_notebooks_install_the_wheel_that_lies_beside_them(course, name):
    setup = code_cells(student(course, name))[0]
    assert is_locked(setup) and len(setup.source.splitlines()) < 39
    assert setup.metadata.jupyter.source_hidden and setup.metadata.cellView == "form", "folded"
    wheel, _ = student_wheel()
    assert f'NEEDED, WHEEL = "{wheel.split("-")[1]}", "{wheel}"' in setup.source
    assert 'else "./" + WHEEL' in setup.source
    content = (course / "build" / "student" / wheel).read_bytes()  # ours, and what nbgrader gives
    assert (course / "build" / "release" / name / wheel).read_bytes() == content
    with zipfile.ZipFile(course / "build" / "student" / wheel) as archive:
        released = archive.read(f"labhelpers/released/{name}.ipynb")
    assert released == (course / "build" / "student" / f"{name}.ipynb").read_bytes()
    assert "colab.research.google.com" not in student(course, name).cells[0].source


def published(monkeypatch: pytest.MonkeyPatch, course: Path, **settings: str) -> tuple[str, str]:
    """The title and the set-up cell of the toy course, released with these settings."""
    for variable, value in settings.items():
        monkeypatch.setenv(variable, value)
    build_student(course)
    notebook = student(course, "toy")
    return notebook.cells[0].source, code_cells(notebook)[0].source


ON_TAG = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_REPOSITORY": "someone/some-lab",
    "GITHUB_REF_TYPE": "tag",
    "GITHUB_REF_NAME": "v1.2",
}


@pytest.mark.parametrize(
    "settings", [ON_TAG, {"LAB_REPOSITORY": "someone/some-lab", "LAB_REF": "student-v1.2"}]
)
def test_a_published_version_comes_from_the_student_files(toy_course, monkeypatch, settings):
    title, setup = published(monkeypatch, toy_course, **settings)
    place = "someone/some-lab/blob/student-v1.2/toy.ipynb"
    assert f"](https://colab.research.google.com/github/{place})" in title
    address = "https://raw.githubusercontent.com/someone/some-lab/student-v1.2/"
    assert f'else "{address}" + WHEEL' in setup
    assert "git+" not in setup


@pytest.mark.parametrize(
    "settings",
    [
        {"LAB_REPOSITORY": "someone/some-lab"},
        {"GITHUB_REPOSITORY": "teacher/private-course"},
        ON_TAG | {"GITHUB_ACTIONS": ""},
        ON_TAG | {"GITHUB_REF_TYPE": "branch", "GITHUB_REF_NAME": "7/merge"},
    ],
)
def test_nothing_points_to_a_place_where_nothing_is_published(toy_course, monkeypatch, settings):
    title, setup = published(monkeypatch, toy_course, **settings)
    assert "colab" not in title and "https" not in setup


def test_the_zip_holds_the_folder_and_is_the_same_every_time(toy_course):
    folder = toy_course / "build" / "student"
    first = (toy_course / "build" / "student.zip").read_bytes()
    with zipfile.ZipFile(toy_course / "build" / "student.zip") as archive:
        assert archive.namelist() == sorted(f"student/{path.name}" for path in folder.iterdir())
        assert archive.read("student/toy.ipynb") == (folder / "toy.ipynb").read_bytes()
    student_wheel.cache_clear()
    build_student(toy_course)
    assert (toy_course / "build" / "student.zip").read_bytes() == first


def test_the_solution_is_executed_and_free_of_markers_and_hidden_tests(toy_course):
    seconds = build_solution(toy_course, preset="quick")
    assert list(seconds) == ["toy"]
    notebook = read(toy_course / "build" / "solution" / "toy.ipynb")
    text = "\n".join(cell.source for cell in notebook.cells)
    assert "return 2 * x" in text and "One point for a reason." in text
    assert "secret_probe" not in text and not MARKER.search(text)
    assert "NEEDED, WHEEL = " in text
    (check,) = [cell for cell in notebook.cells if is_grade(cell) and cell.cell_type == "code"]
    assert check.outputs[0].data["text/plain"] == "2.0"
    assert (toy_course / "build" / "solution.zip").exists()
    made = {path.name for path in (toy_course / "notebooks" / "toy").iterdir()}
    assert made == {"toy.ipynb"}, "running the solution leaves the source folder alone"


def test_the_published_solution_is_the_full_run(toy_course, monkeypatch):
    monkeypatch.setattr(release, "convert", lambda *_: presets.append(os.environ[PRESET]))
    presets, PRESET = [], "LABHELPERS_PRESET"
    monkeypatch.setenv(PRESET, "quick")
    with pytest.raises(FileNotFoundError):  # nothing was executed
        build_solution(toy_course)
    assert presets == ["full"]


def test_a_solution_that_fails_is_not_published(toy_course):
    change_solution(toy_course, "2 * x", "1 / 0")
    with pytest.raises(CourseError, match=r"cell 'use': ZeroDivisionError"):
        build_solution(toy_course, preset="quick")
    assert not (toy_course / "build" / "solution.zip").exists()


def test_a_broken_source_is_named_with_the_reason(toy_course):
    change_solution(toy_course, "### END SOLUTION", "")
    with pytest.raises(CourseError, match=r"GenerateAssignment failed on 'toy':\n.*end solution"):
        build_student(toy_course)
