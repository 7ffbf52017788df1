"""Build the student version and the published solution: `labhelpers release`."""

import os
import shutil
import time
import zipfile
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.converters import GenerateAssignment, GenerateSolution

from labhelpers.instructor.course.nbgrader import (
    REPOSITORY,
    CourseError,
    assignments,
    convert,
    open_course,
)
from labhelpers.instructor.course.preprocessors import ASSISTANTS_NOTE, assistants_note
from labhelpers.instructor.course.wheel import add_notebooks, student_wheel

__all__ = ["build_solution", "build_student"]

_STUDENT_README = """\
# Brain MRI synthesis: from T1-w to T2-w

Four notebooks, in this order:

{notebooks}

On your own machine (Python 3.10 or newer), in this folder:

    python -m venv .venv
    .venv/bin/pip install jupyterlab ./{wheel}
    .venv/bin/jupyter lab

(on Windows `.venv\\Scripts\\` in place of `.venv/bin/`). In an environment that you have already,
start Jupyter in this folder: the first cell of each notebook installs the `.whl` file, which has to
lie beside the notebook. On Colab open a notebook by its badge; if it has none, upload both files.

Write your answers where a cell says `# Your code here`, and run the check below it. Keep all cells,
and do not copy or split the ones that hold an exercise. You may run all cells at any time: those
that need an answer wait for it.

Before you hand in, save the notebook and run its section "Before you hand in", or in a terminal

    .venv/bin/labhelpers preflight {first}.ipynb

It shows what is missing, what is open, and your points so far. If a cell was lost or damaged,
`labhelpers repair` in place of `labhelpers preflight` writes a repaired copy; your answers stay as
they are. Hand in the notebooks under the names they have.

Do you work with a programming assistant? `AGENTS.md` asks it to teach and not to solve; most
assistants read that file by themselves, to others you can give it.

The images come from the IXI dataset (https://brain-development.org/ixi-dataset), licence
CC BY-SA 3.0; they are downloaded by the first notebook.
"""

_ERROR_LIMIT = 3  # messages shown of a solution that does not run


def build_student(root: Path = REPOSITORY) -> Path:
    """Make `build/student/` and `build/student.zip`, what the students get.

    Beside the notebooks it holds the wheel of `labhelpers` that they install.

    Raises:
        CourseError: If nbgrader cannot convert a notebook.
    """
    course = open_course(root)
    names = assignments(root)
    folder = _empty_folder(root / "build" / "student")
    for name in names:
        convert(course, GenerateAssignment, name)
        shutil.copyfile(_notebook(root / "build" / "release", name), folder / f"{name}.ipynb")
    wheel, content = student_wheel()
    content = add_notebooks(
        content, {name: (folder / f"{name}.ipynb").read_text(encoding="utf-8") for name in names}
    )
    for place in (folder, *(root / "build" / "release" / name for name in names)):
        (place / wheel).write_bytes(content)
    text = _STUDENT_README.format(
        notebooks="\n".join(f"- `{name}.ipynb`" for name in names), wheel=wheel, first=names[0]
    )
    (folder / "README.md").write_text(text, encoding="utf-8")
    (folder / ASSISTANTS_NOTE).write_bytes(assistants_note())
    shutil.copyfile(REPOSITORY / "LICENSE", folder / "LICENSE")
    return _zip(folder)


def build_solution(root: Path = REPOSITORY, preset: str = "full") -> dict[str, float]:
    """Make `build/solution/` and `build/solution.zip`, executed and fit to publish.

    `build_student` comes first: nbgrader wants an assignment to be in its gradebook.

    Args:
        root: Folder of the course.
        preset: How long the notebooks train: `full`, as on the results page, or `quick`.

    Returns:
        Seconds that each notebook took.

    Raises:
        CourseError: If a cell of a solution fails.
    """
    course = open_course(root)
    os.environ["LABHELPERS_PRESET"] = preset  # the notebooks' kernels inherit it
    course.config.Execute.timeout = None  # our own cells take the time they take
    folder = _empty_folder(root / "build" / "solution")
    _empty_folder(root / "build" / "run")  # else results of an earlier run would be shown
    seconds = {}
    for name in assignments(root):
        start = time.perf_counter()
        convert(course, GenerateSolution, name)
        seconds[name] = time.perf_counter() - start
        notebook = nbformat.read(_notebook(root / "build" / "solved", name), as_version=4)
        _refuse_errors(name, notebook)
        nbformat.write(notebook, folder / f"{name}.ipynb")
    wheel, _ = student_wheel()
    shutil.copyfile(root / "build" / "student" / wheel, folder / wheel)
    _zip(folder)
    return seconds


def _refuse_errors(name: str, notebook: NotebookNode) -> None:
    """Raise if a cell of the executed notebook failed: nbgrader itself does not mind."""
    errors = [
        f"  cell {cell.id!r}: {output.ename}: {output.evalue}"
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]
    if errors:
        listed = "\n".join(errors[:_ERROR_LIMIT])
        raise CourseError(
            f"The solution of {name!r} fails in {len(errors)} cells:\n{listed}\n"
            f"Mend notebooks/{name}/{name}.ipynb and build again."
        )


def _notebook(step: Path, name: str) -> Path:
    return step / name / f"{name}.ipynb"


def _empty_folder(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _zip(folder: Path) -> Path:
    """Write the files of `folder` to a zip beside it: the same bytes from the same files.

    `shutil.make_archive` would write dates, permissions and the time zone of this machine.
    """
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            info = zipfile.ZipInfo(f"{folder.name}/{file.name}")  # dated 1 January 1980
            info.external_attr = 0o100644 << 16  # the owner writes, everyone reads
            archive.writestr(info, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return path
