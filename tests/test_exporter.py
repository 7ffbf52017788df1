import copy
import json
import os

import nbformat
import pytest
from nbgrader.converters import Autograde
from nbgrader.utils import capture_log

from labhelpers.instructor.course.nbgrader import open_course
from labhelpers.instructor.course.samples import hand_in

# nbgrader's own way with its database; nothing is lost.
pytestmark = pytest.mark.filterwarnings("ignore:Object of type <Submitted")


@pytest.fixture
def convert(toy_course):
    """Sanitise and export a submission as `nbgrader autograde` does, without running it."""

    def run():
        course = open_course(toy_course)
        course.config.Autograde.autograde_preprocessors = []
        course.coursedir.assignment_id, course.coursedir.student_id = "toy", "ann"
        app = Autograde(coursedir=course.coursedir, parent=course)
        app.force = True
        result = capture_log(app)
        assert result["success"], result
        path = toy_course / "build" / "autograded" / "ann" / "toy" / "toy.ipynb"
        return nbformat.read(path, as_version=4), result["log"]

    return run


@pytest.fixture
def submitted(toy_course):
    path = hand_in("ann", "toy", root=toy_course)
    return path, json.loads(path.read_text(encoding="utf-8"))


def test_an_undamaged_notebook_is_exported_without_a_word(convert, submitted):
    path, notebook = submitted
    notebook["metadata"]["labhelpers"] = {"repairs": ["smuggled"], "flags": ["smuggled"]}
    path.write_text(json.dumps(notebook))
    exported, log = convert()
    assert exported.metadata.labhelpers == {"repairs": [], "flags": []}
    assert "WARNING" not in log


def test_nbgrader_finds_nothing_wrong_with_what_was_repaired(convert, submitted):
    """Each of these stopped `nbgrader autograde`, or cost the grade."""
    path, notebook = submitted
    cells = notebook["cells"]
    cells.append(copy.deepcopy(cells[2]))
    cells[1]["metadata"]["nbgrader"] = {}
    cells[6]["metadata"]["nbgrader"]["schema_version"] = 1
    foreign = {"grade_id": "foreign", "solution": True}
    cells[4] = copy.deepcopy(cells[3]) | {"metadata": {"nbgrader": foreign}, "source": "1"}
    notebook["metadata"]["widgets"] = {"application/x": {"a": {}}}
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(notebook).encode())
    exported, log = convert()
    assert exported.metadata.labhelpers == {
        "repairs": [
            "The file begins with a byte-order mark; it was removed.",
            "The saved state of widgets is incomplete; it was removed.",
            "Cells have no valid id of their own; they have one now.",
            "The given cell setup does not carry its name; it was recognised by its content.",
            "A cell has the unknown name 'foreign'; it became an ordinary cell.",
            "nbgrader's metadata are of another version; they were renewed.",
            "The answer cell double is there 2 times; one carries its name.",
            "The check of double has been deleted; it was put back.",
        ],
        "flags": [],
    }
    assert "WARNING" not in log


def test_a_link_is_not_followed(convert, submitted, tmp_path):
    path, _ = submitted
    path.rename(tmp_path / "another.ipynb")
    path.symlink_to(tmp_path / "another.ipynb")
    exported, _ = convert()
    assert exported.metadata.labhelpers["flags"] == [
        "toy.ipynb is a link, no file; it was not followed."
    ]
    assert "return 2 * x" not in str(exported.cells)


def test_a_huge_file_is_not_read(convert, submitted):
    path, _ = submitted
    os.truncate(path, 200 * 2**20)
    exported, _ = convert()
    assert exported.metadata.labhelpers["flags"] == [
        "toy.ipynb has more than 128 MB; it was not read."
    ]
