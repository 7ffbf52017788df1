import subprocess
import sys

import pytest
from nbformat.v4 import new_code_cell, new_output
from toy import toy_notebook, write_source

from labhelpers.instructor.course.nbgrader import REPOSITORY, CourseError
from labhelpers.instructor.course.validate import EXPECTED_OUTPUTS, student_problem, validate

pytestmark = pytest.mark.slow

RUN = "import sys; from pathlib import Path; "
RUN += "from labhelpers.instructor.course.validate import validate; "


def validated(root, **settings):
    """Return whether the course is valid, and what was printed: nbval has pytest for itself.

    The notebooks train for an epoch; `labhelpers validate` trains longer, before a release.
    """
    call = f"sys.exit(not validate('short', root=Path(sys.argv[1]), **{settings})[0])"
    command = [sys.executable, "-W", "ignore", "-c", RUN + call, str(root)]
    result = subprocess.run(command, capture_output=True, text=True)
    return result.returncode == 0, result.stdout + result.stderr


@pytest.mark.timeout(1800)
def test_the_notebooks_of_the_lab_run_solved():
    """Untouched they run in a browser: `test_browser`."""
    good, text = validated(REPOSITORY, versions=["solved"])
    assert good, text


def test_a_cell_that_waits_needs_its_tag():
    waiting = {"data": {"text/plain": "Later."}, "metadata": {"labhelpers": {"waits": True}}}
    outputs, cell = [new_output("display_data", **waiting)], new_code_cell("train()")
    assert "not tagged needs-answer, and says:\nLater." in student_problem(cell, outputs)
    cell.metadata.tags = ["needs-answer"]
    assert student_problem(cell, outputs) is None


def test_outputs_are_stored_once_and_compared_ever_after(toy_course):
    with pytest.raises(CourseError, match="has no output for cell 'use' of toy"):
        validate(root=toy_course)
    good, text = validated(toy_course, update=True, versions=["solved"])
    assert good, text

    stored = toy_course / EXPECTED_OUTPUTS
    stored.write_text(stored.read_text().replace("42", "43"))
    good, text = validated(toy_course, versions=["solved"])
    assert not good and "'43\\n' == '42\\n'" in text


def test_three_faults_of_a_notebook_are_found_in_one_run(toy_course):
    notebook = toy_notebook()
    solution, check, use = notebook.cells[2], notebook.cells[3], notebook.cells[5]
    solution.source = solution.source.replace("2 * x", "3 * x")
    check.source = check.source.replace("not attempted yet", "wrong")
    use.metadata = {}  # no longer tagged as a cell that needs an answer
    write_source(toy_course, notebook)
    good, text = validated(toy_course, update=True)
    assert not good
    assert "The reference solution gets 0.0 of 2 points" in text
    assert "does not say 'not attempted'" in text
    assert "untouched/toy.ipynb::Cell 4" in text
    assert not (toy_course / EXPECTED_OUTPUTS).exists(), "nothing is stored of a run that failed"
