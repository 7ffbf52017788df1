import copy
import json
import random
import re

import damages
import nbformat
import pytest
from damages import DAMAGES, FILE_DAMAGES, named, settings
from nbgrader.nbgraderformat import MetadataValidator

from labhelpers.instructor.course.nbgrader import assignments, grade_id, open_course
from labhelpers.instructor.course.samples import hand_in
from labhelpers.instructor.grading.authority import read_release
from labhelpers.instructor.grading.repair import repair

NAMES = assignments()
SEEDS = 10
"""Random damages for each notebook; the more, the longer."""


@pytest.fixture(scope="module")
def released(course):
    """What was released of each assignment, and the model answer as in its file."""
    api = open_course(course)
    found = {}
    for name in NAMES:
        path = hand_in("model", name, root=course)
        found[name] = read_release(api, name), json.loads(path.read_text(encoding="utf-8"))
        for cell in found[name][0].cells:
            if cell.solution:
                damages.TEMPLATES[cell.grade_id] = cell.source
    return found


def solutions(model: dict) -> dict[str, str]:
    return {
        settings(cell)["grade_id"]: damages.text(cell)
        for kind in ("answer", "written")
        for cell in named(model, kind)
    }


def dense(source: str) -> str:
    return "\n".join(line.rstrip() for line in source.split("\n") if line.strip())


def assert_sound(repaired, release, answers, told=""):
    """The named cells are those of the release, once each, and no answer is lost."""
    notebook = repaired.notebook
    nbformat.validate(notebook)
    MetadataValidator().validate_nb(notebook)
    names = [name for cell in notebook.cells if (name := grade_id(cell))]
    assert sorted(names) == sorted(cell.grade_id for cell in release.cells), told
    places = {grade_id(cell): place for place, cell in enumerate(notebook.cells)}
    for cell in release.cells:
        found = notebook.cells[places[cell.grade_id]]
        assert found.cell_type == cell.cell_type, told
        if cell.locked and not cell.solution:
            assert found.source == cell.source, told
        if cell.grade:
            assert found.metadata.nbgrader.points == cell.points, told
    running = [cell for cell in release.cells if cell.cell_type == "code"]
    order = [places[cell.grade_id] for cell in running]
    assert order == sorted(order), told
    for name, answer in answers.items():
        if f"check-{name}" not in places:  # written
            text = notebook.cells[places[name]].source
            assert text.split() == answer.split(), (told, name, text)
            continue
        before = dense(
            "\n".join(
                cell.source
                for cell in notebook.cells[: places[f"check-{name}"]]
                if cell.cell_type == "code"
            )
        )
        start = before.rfind(dense(answer))
        assert start >= 0, (told, name)
        rest = before[start + len(dense(answer)) :]
        defined = re.findall(r"^(?:def|class) \w+", answer, re.MULTILINE)
        assert not any(f"{one}(" in rest or f"{one}:" in rest for one in defined), (told, name)


def assert_repeatable(repaired, release):
    again = repair(nbformat.writes(repaired.notebook).encode(), release)
    assert again.notebook == repaired.notebook
    assert again.repairs == () and again.flags == ()


@pytest.mark.parametrize("name", NAMES)
def test_random_damages_lose_no_answer(released, name):
    release, model = released[name]
    answers = solutions(model)
    for seed in range(SEEDS):
        rng = random.Random(seed)
        notebook = copy.deepcopy(model)
        done = []
        for _ in range(rng.randrange(1, 5)):
            done.append(rng.choice([*DAMAGES]))
            DAMAGES[done[-1]](notebook, rng)
        done.append(rng.choice([*FILE_DAMAGES]))
        repaired = repair(FILE_DAMAGES[done[-1]](notebook), release)
        told = f"{name}, seed {seed}: {done}; {repaired.repairs} {repaired.flags}"
        assert_sound(repaired, release, answers, told)
        assert_repeatable(repaired, release)
