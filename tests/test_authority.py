import json
from dataclasses import replace

import nbformat
import pytest
from nbgrader.api import Gradebook
from nbgrader.utils import compute_checksum
from toy import CHECK, EXERCISE

from labhelpers.instructor.course.nbgrader import CourseError, grade_id, open_course
from labhelpers.instructor.course.samples import hand_in
from labhelpers.instructor.grading.repair.authority import read_release
from labhelpers.repair.matching import OTHER_RELEASE
from labhelpers.repair.repair import repair

NAMES = ["setup", "double", "check-double", "written-double"]


def test_the_release_is_that_of_the_gradebook_in_the_order_of_the_file(toy_course):
    release = read_release(open_course(toy_course), "toy")
    assert [cell.grade_id for cell in release.cells] == NAMES
    assert [cell.points for cell in release.cells] == [0, 0, 2, 2]
    assert [cell.locked for cell in release.cells] == [True, False, True, False]
    assert [cell.solution for cell in release.cells] == [False, True, False, True]
    texts = ["".join(cell["source"]) for cell in json.loads(release.notebook)["cells"]]
    assert CHECK in texts and EXERCISE not in texts


def test_without_the_file_the_gradebook_gives_all_named_cells(toy_course):
    (toy_course / "build" / "release" / "toy" / "toy.ipynb").unlink()
    release = read_release(open_course(toy_course), "toy")
    repaired = repair(b"", release)
    assert [grade_id(cell) for cell in repaired.notebook.cells] == NAMES


def test_restored_cells_have_the_checksums_of_the_gradebook(toy_course):
    """By them nbgrader sees that an answer is still the template."""
    course = open_course(toy_course)
    restored = repair(b"", read_release(course, "toy")).notebook
    with Gradebook(course.coursedir.db_url) as gradebook:
        for cell in restored.cells:
            if name := grade_id(cell):
                saved = gradebook.find_source_cell(name, "toy", "toy").checksum
                assert cell.metadata.nbgrader.checksum == saved == compute_checksum(cell)


def test_points_that_changed_in_the_gradebook_count(toy_course):
    course = open_course(toy_course)
    with Gradebook(course.coursedir.db_url) as gradebook:
        gradebook.find_grade_cell("check-double", "toy", "toy").max_score = 5
        gradebook.db.commit()
    release = read_release(course, "toy")
    assert release.cells[2].points == 5


def test_what_an_earlier_release_said_is_no_change_of_the_student(toy_course):
    """While the course runs, a check, a given cell and points change; one student meddled."""
    release = read_release(open_course(toy_course), "toy")
    handed_in = nbformat.read(hand_in("ann", "toy", root=toy_course), as_version=4)
    changes = {
        "setup": {"source": "import labhelpers\nimport torch"},
        "check-double": {"source": "check(double) * 2.5", "points": 5.0},
        "written-double": {"points": 1.0},
    }
    notebook = nbformat.reads(release.notebook, as_version=4)
    for cell in notebook.cells:
        cell.source = changes.get(cell.id, {}).get("source", cell.source)
    later = replace(
        release,
        cells=tuple(replace(one, **changes.get(one.grade_id, {})) for one in release.cells),
        notebook=nbformat.writes(notebook),
    )

    repaired = repair(nbformat.writes(handed_in).encode(), later)
    assert repaired.repairs == (OTHER_RELEASE,) and not repaired.flags
    cells = {grade_id(cell): cell for cell in repaired.notebook.cells}
    assert cells["check-double"].source == changes["check-double"]["source"]
    assert cells["check-double"].metadata.nbgrader.points == 5
    assert cells["written-double"].metadata.nbgrader.points == 1

    handed_in.cells[1].source = "import os"
    handed_in.cells[4].metadata.nbgrader.points = 100
    found = repair(nbformat.writes(handed_in).encode(), later).repairs
    assert "The check of double has other settings; it has those of the release again." in found
    assert "The given cell setup has been changed; it has the text of the release again." in found


def test_other_assignments_are_known_by_what_only_they_have(course):
    release = read_release(open_course(course), "3-cgan")
    assert [*release.others] == ["1-data-exploration", "2-generator", "4-cyclegan"]
    assert "generator-step" in release.others["2-generator"]
    assert not any("setup" in marks for marks in release.others.values())


def test_an_assignment_that_was_not_released_is_named(toy_course):
    with pytest.raises(CourseError, match="holds no notebook 'lost'"):
        read_release(open_course(toy_course), "lost")
