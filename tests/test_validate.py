import subprocess
import sys

import pytest
from nbformat.v4 import new_code_cell, new_output
from toy import toy_notebook, write_source

from labhelpers.instructor.course.nbgrader import REPOSITORY
from labhelpers.instructor.course.validate import EXPECTED_OUTPUTS, student_problem

pytestmark = pytest.mark.slow

RUN = "import sys; from pathlib import Path; "
RUN += "from labhelpers.instructor.course.validate import validate; "


def validate(root, update=False):
    """Return whether the course is valid, and what was printed: nbval has pytest for itself.

    The notebooks train for an epoch; `labhelpers validate` trains longer, before a release.
    """
    call = f"sys.exit(not validate('short', update={update}, root=Path(sys.argv[1]))[0])"
    command = [sys.executable, "-W", "ignore", "-c", RUN + call, str(root)]
    result = subprocess.run(command, capture_output=True, text=True)
    return result.returncode == 0, result.stdout + result.stderr


@pytest.mark.timeout(1800)
def test_the_notebooks_of_the_lab_run_solved_and_untouched():
    good, text = validate(REPOSITORY)
    assert good, text


def test_a_cell_that_waits_needs_its_tag():
    waiting = {"data": {"text/plain": "Later."}, "metadata": {"labhelpers": {"waits": True}}}
    outputs, cell = [new_output("display_data", **waiting)], new_code_cell("train()")
    assert "not tagged needs-answer, and says:\nLater." in student_problem(cell, outputs)
    cell.metadata.tags = ["needs-answer"]
    assert student_problem(cell, outputs) is None


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


def test_three_faults_of_a_notebook_are_found_in_one_run(toy_course):
    notebook = toy_notebook()
    solution, check, use = notebook.cells[2], notebook.cells[3], notebook.cells[5]
    solution.source = solution.source.replace("2 * x", "3 * x")
    check.source = check.source.replace("not attempted yet", "wrong")
    use.metadata = {}  # no longer tagged as a cell that needs an answer
    write_source(toy_course, notebook)
    good, text = validate(toy_course, update=True)
    assert not good
    assert "The reference solution gets 0.0 of 2 points" in text
    assert "does not say 'not attempted'" in text
    assert "untouched/toy.ipynb::Cell 4" in text
    assert not (toy_course / EXPECTED_OUTPUTS).exists(), "nothing is stored of a run that failed"
