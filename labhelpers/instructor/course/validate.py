"""Run all notebooks with nbval, solved and untouched: `labhelpers validate`."""

from __future__ import annotations

import datetime
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from nbformat import NotebookNode
from nbgrader.utils import is_grade

from labhelpers.data import is_simulated, list_slices
from labhelpers.download import fetch_ixi
from labhelpers.instructor.course.nbgrader import REPOSITORY, CourseError, assignments
from labhelpers.instructor.course.release import build_student
from labhelpers.instructor.experiments.measure import device_name

if TYPE_CHECKING:
    from nbval.plugin import IPyNbCell  # pytest wants to be the first to import it

__all__ = ["EXPECTED_OUTPUTS", "student_problem", "validate"]

EXPECTED_OUTPUTS = Path("tests") / "expected_outputs.json"
"""What cells tagged `nbval-check-output` print: data, then notebook, then cell id, then text."""

_CELL_TIMEOUT = {"short": 1200, "quick": 1200, "full": 4 * 3600}  # seconds, also where many work


def validate(
    preset: str = "quick",
    update: bool = False,
    root: Path = REPOSITORY,
    versions: Sequence[str] = ("solved", "untouched"),
) -> tuple[bool, dict[str, float]]:
    """Run the solved and the untouched version of every notebook under nbval.

    Solved: no cell fails, every check gives full points, and the outputs that are the same on every
    machine are those of `tests/expected_outputs.json`. Untouched: no cell fails, none
    waits but those tagged `needs-answer`, and every check says that nothing was attempted. The
    times of the solved ones are saved in `build/validate/seconds.json`.

    Args:
        preset: How long the notebooks train, `short`, `quick` or `full`.
        update: Store the outputs instead of comparing them.
        root: Folder of the course.
        versions: Which of the two to run.

    Returns:
        Whether all is well, and the seconds that each notebook took.

    Raises:
        CourseError: If the student version cannot be built, or a notebook has no stored output.
    """
    folder = root / "build" / "validate"
    build_student(root)
    expected = root / EXPECTED_OUTPUTS
    stored = json.loads(expected.read_text(encoding="utf-8")) if expected.exists() else {}
    data = "phantom" if is_simulated(list_slices(fetch_ixi())) else "IXI"
    _lay_out(folder, root, data, None if update else stored.get(data, {}))

    os.environ["LABHELPERS_PRESET"] = preset  # the kernels inherit it
    arguments = [
        "--nbval-lax",
        "--nbval-current-env",
        f"--nbval-cell-timeout={_CELL_TIMEOUT[preset]}",
        f"-c{folder / 'pytest.ini'}",
        f"--rootdir={folder}",
        "-pno:cacheprovider",
        "--quiet",
        *(str(folder / version) for version in versions),
    ]
    rules = _Rules()
    status = pytest.main(arguments, plugins=[rules])
    _save_seconds(folder, preset, rules.seconds)
    if update and status == pytest.ExitCode.OK:
        stored[data] = rules.printed
        text = json.dumps(stored, indent=2, sort_keys=True, ensure_ascii=False)
        expected.parent.mkdir(exist_ok=True)
        expected.write_text(text + "\n", encoding="utf-8")
    return status == pytest.ExitCode.OK, rules.seconds


def _lay_out(
    folder: Path, root: Path, data: str, outputs: dict[str, dict[str, str]] | None
) -> None:
    """Write what nbval runs: both versions of each notebook.

    Args:
        folder: Where; emptied first.
        root: Folder of the course.
        data: Which data the notebooks run on, for messages.
        outputs: Those to compare with, by notebook and cell id; None to compare nothing.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "solved").mkdir(parents=True)
    (folder / "untouched").mkdir()
    # Kernels run in these folders, which must not see the settings of our own tests.
    (folder / "pytest.ini").write_text("[pytest]\n")
    for name in assignments(root):
        notebook = nbformat.read(root / "notebooks" / name / f"{name}.ipynb", as_version=4)
        if outputs is not None:
            _insert_outputs(notebook, outputs.get(name, {}), f"{name} on {data}")
        nbformat.write(notebook, folder / "solved" / f"{name}.ipynb")
        untouched = root / "build" / "student" / f"{name}.ipynb"
        shutil.copyfile(untouched, folder / "untouched" / f"{name}.ipynb")


def _save_seconds(folder: Path, preset: str, seconds: dict[str, float]) -> None:
    measured = {
        "device": device_name(),
        "preset": preset,
        "recorded": datetime.date.today().isoformat(),
        "solved": {
            Path(name).name: round(duration, 1)
            for name, duration in seconds.items()
            if name.startswith("solved/")
        },
    }
    (folder / "seconds.json").write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")


def _insert_outputs(notebook: NotebookNode, outputs: dict[str, str], where: str) -> None:
    """Give the checked cells the output that nbval compares with."""
    for cell in filter(_is_checked, notebook.cells):
        if cell.id not in outputs:
            raise CourseError(
                f"{EXPECTED_OUTPUTS.as_posix()} has no output for cell {cell.id!r} of {where}. "
                "Store it with `labhelpers validate --update` and "
                "read the difference before you commit it."
            )
        cell.execution_count = 1  # nbval compares nothing with a cell that was never run
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=outputs[cell.id])]


def _is_checked(cell: NotebookNode) -> bool:
    return "nbval-check-output" in cell.metadata.get("tags", [])


class _Rules:
    """A pytest plugin: what nbval leaves open about our cells, times, and printed outputs.

    Attributes:
        seconds: Run time by version and notebook, as in `solved/2-generator`.
        printed: What the checked cells of the solved notebooks printed, by notebook and cell id.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.printed: dict[str, dict[str, str]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: IPyNbCell) -> Iterator[None]:
        yield
        version = item.path.parent.name
        rule = {"solved": _solution_problem, "untouched": student_problem}[version]
        if problem := rule(item.cell, item.test_outputs):
            item.raise_cell_error(problem)
        if version == "solved" and _is_checked(item.cell):
            self.printed.setdefault(item.path.stem, {})[item.cell.id] = _printed(item.test_outputs)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        path = Path(report.nodeid.partition("::")[0])
        name = f"{path.parent.name}/{path.stem}"
        self.seconds[name] = self.seconds.get(name, 0.0) + report.duration


def _solution_problem(cell: NotebookNode, outputs: list[NotebookNode]) -> str | None:
    """Return what is wrong with the outputs of a cell of a solved notebook, or None."""
    if is_grade(cell) and _score(outputs) != (points := float(cell.metadata.nbgrader.points)):
        score = f"{_score(outputs)} of {points:g} points"
        return f"The reference solution gets {score}:\n{_printed(outputs)}"
    return None


def student_problem(cell: NotebookNode, outputs: list[NotebookNode]) -> str | None:
    """Return what would upset a student in a cell of an untouched notebook, or None.

    Args:
        cell: A code cell of the student version.
        outputs: What it put out when it ran.
    """
    for output in outputs:
        if output.output_type == "error":
            return f"An untouched notebook fails here: {output.ename}: {output.evalue}"
    if _waits(outputs) and "needs-answer" not in cell.metadata.get("tags", []):
        return f"The cell is not tagged needs-answer, and says:\n{_printed(outputs)}"
    if is_grade(cell):
        if _score(outputs) != 0.0:
            return f"An untouched exercise gets {_score(outputs)} points, not 0.0."
        if "not attempted" not in _printed(outputs).lower():
            return f"The check does not say 'not attempted', but:\n{_printed(outputs)}"
    return None


def _waits(outputs: list[NotebookNode]) -> bool:
    """Return True if a cell says what it waits for, as `labhelpers.waiting` lets it."""
    return any(one.get("metadata", {}).get("labhelpers", {}).get("waits") for one in outputs)


def _score(outputs: list[NotebookNode]) -> float | None:
    """Return the value of a check's cell, or None if it is no number."""
    values = [o.data["text/plain"] for o in outputs if o.output_type == "execute_result"]
    try:
        return float(values[0])
    except (LookupError, ValueError):
        return None


def _printed(outputs: list[NotebookNode]) -> str:
    """Return what a reader sees as text: printed lines, and displays in their plain form."""
    texts = []
    for output in outputs:
        if output.output_type == "stream":
            texts.append(output.text)
        elif output.output_type == "display_data":
            texts.append(output.data.get("text/plain", ""))
    return "".join(texts)
