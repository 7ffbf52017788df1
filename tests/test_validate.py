import subprocess
import sys

import pytest
from toy import toy_notebook, write_source

from labhelpers.instructor.course.validate import EXPECTED_OUTPUTS

pytestmark = pytest.mark.slow

RUN = "import sys; from pathlib import Path; "
RUN += "from labhelpers.instructor.course.validate import validate; "


def validate(root, update=False):
    """Return whether the course is valid, and what was printed: nbval has pytest for itself."""
    call = f"sys.exit(not validate(update={update}, root=Path(sys.argv[1]))[0])"
    command = [sys.executable, "-W", "ignore", "-c", RUN + call, str(root)]
    result = subprocess.run(command, capture_output=True, text=True)
    return result.returncode == 0, result.stdout + result.stderr


def changed(index, old, new):
    notebook = toy_notebook()
    assert old in notebook.cells[index].source
    notebook.cells[index].source = notebook.cells[index].source.replace(old, new)
    return notebook


def test_outputs_are_stored_once_and_compared_ever_after(toy_course):
    good, text = validate(toy_course)
    assert not good and "has no output for cell 'use' of toy" in text
    assert validate(toy_course, update=True)[0]
    good, text = validate(toy_course)
    assert good, text

    stored = toy_course / EXPECTED_OUTPUTS
    stored.write_text(stored.read_text().replace("42", "43"))
    good, text = validate(toy_course)
    assert not good and "'43\\n' == '42\\n'" in text


def test_a_wrong_reference_solution_is_found(toy_course):
    write_source(toy_course, changed(2, "2 * x", "3 * x"))
    good, text = validate(toy_course, update=True)
    assert not good and "The reference solution gets 0.0 of 2 points" in text


def test_an_impolite_check_is_found(toy_course):
    write_source(toy_course, changed(3, "not attempted yet", "wrong"))
    good, text = validate(toy_course, update=True)
    assert not good and "does not say 'not attempted'" in text


def test_a_cell_that_fails_without_its_answer_is_found(toy_course):
    notebook = toy_notebook()
    notebook.cells[5].metadata = {}
    write_source(toy_course, notebook)
    good, text = validate(toy_course, update=True)
    assert not good and "untouched/toy.ipynb::Cell 4" in text
