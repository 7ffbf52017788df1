"""A course of one small notebook, for tests of nbgrader's conversions that need no training."""

from pathlib import Path

import nbformat
from nbformat import NotebookNode, v4

from labhelpers.instructor.course.nbgrader import copy_course

SETUP = "import labhelpers"

EXERCISE = """\
def double(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION"""

CHECK = """\
def check(function):
    try:
        return 2.0 if function(3) == 6 else 0.0
    except NotImplementedError:
        print("not attempted yet")
        return 0.0"""

TEST = """\
score = check(double)
### BEGIN HIDDEN TESTS
secret_probe = 4 if score else None
if score and double(secret_probe) != 8:
    score = 0.0
### END HIDDEN TESTS
score"""

WRITTEN = """\
### BEGIN SOLUTION
One point for a reason.
### END SOLUTION"""


def toy_notebook() -> NotebookNode:
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    cells = [
        v4.new_markdown_cell("# Toy", id="title"),
        _code("setup", SETUP, _nbgrader("setup", locked=True)),
        _code("double", EXERCISE, _nbgrader("double", solution=True)),
        _code("check", CHECK, {}),
        _code("check-double", TEST, _nbgrader("check-double", grade=True, locked=True, points=2)),
        _code("use", "print(double(21))", {"tags": ["needs-answer", "nbval-check-output"]}),
        v4.new_markdown_cell(
            WRITTEN,
            id="written-double",
            metadata=_nbgrader("written-double", grade=True, solution=True, points=2),
        ),
    ]
    return v4.new_notebook(metadata={"kernelspec": kernel}, cells=cells)


def write_toy_course(root: Path) -> Path:
    write_source(root, toy_notebook())
    return fork_kernels(copy_course(root, []))


def fork_kernels(root: Path) -> Path:
    """Let nbgrader start kernels as the grading of a class does, which spares seconds for each."""
    with (root / "nbgrader_config.py").open("a", encoding="utf-8") as config:
        config.write("\nc.ExecuteSubmission.forked = True\n")
    return root


def write_source(root: Path, notebook: NotebookNode) -> None:
    folder = root / "notebooks" / "toy"
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, folder / "toy.ipynb")


def change_solution(root: Path, old: str, new: str) -> None:
    notebook = toy_notebook()
    notebook.cells[2].source = notebook.cells[2].source.replace(old, new)
    write_source(root, notebook)


def _code(cell_id: str, source: str, metadata: dict) -> NotebookNode:
    return v4.new_code_cell(source, id=cell_id, metadata=metadata)


def _nbgrader(grade_id: str, **settings: object) -> dict:
    defaults = {"grade": False, "solution": False, "locked": False, "task": False}
    return {"nbgrader": {"grade_id": grade_id, "schema_version": 3} | defaults | settings}
