"""What students install: the content of the wheel, and the set-up cell that installs it."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from test_release import code_cells, student

from labhelpers.instructor.course.nbgrader import REPOSITORY
from labhelpers.instructor.course.wheel import student_wheel

PACKAGE = REPOSITORY / "labhelpers"
NEEDED = "1.2.3"
WHEEL = f"labhelpers-{NEEDED}-py3-none-any.whl"


# --- the wheel ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    name, content = student_wheel()
    path = tmp_path_factory.mktemp("wheel") / name
    path.write_bytes(content)
    return path


def test_the_wheel_holds_the_lesson_and_the_visible_checks_only(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    packaged = {Path(name) for name in names if not Path(name).parts[0].endswith(".dist-info")}
    written = {
        path.relative_to(REPOSITORY)
        for kind in ("py", "json", "png", "LICENSE", "js", "css")
        for path in PACKAGE.rglob(f"*{kind}")
    }
    assert packaged == {path for path in written if path.parts[1] != "instructor"}
    stored = {path.name for path in packaged if path.parent.name == "stored"}
    assert stored >= {"LICENSE", "subjects.json", "generator-recommended.png"}
    assert {path.name for path in packaged if path.suffix == ".json"} >= {"visible.json"}
    assert not [name for name in names if "hidden" in name or name.endswith(".yaml")]


def test_students_modules_do_not_need_the_instructors_part(wheel, tmp_path):
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*command, "--target", str(tmp_path / "site"), str(wheel)], check=True)
    code = """
import importlib, pkgutil, sys, labhelpers.checks
slow = {"nbformat", "scipy.stats", "torch._dynamo", "torchmetrics", "torchvision"} & {*sys.modules}
assert not slow, f"seconds at the start of each kernel: the checks need no {slow}"
names = [module.name for module in pkgutil.walk_packages(labhelpers.__path__, "labhelpers.")]
for name in names:
    importlib.import_module(name)
print(labhelpers.__file__, labhelpers.__version__, *names)
"""
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True, text=True, cwd=tmp_path, env=environment, check=True,
    )  # fmt: skip
    file, version, *names = result.stdout.split()
    assert Path(file).is_relative_to(tmp_path)
    assert version == wheel.name.split("-")[1]
    assert {"labhelpers.checks.probes.steps", "labhelpers.metrics"} <= set(names)
    assert not [name for name in names if "instructor" in name]


# --- the set-up cell ------------------------------------------------------------------------------


class Machine:
    """A student's environment, and the folder where the kernel works, empty at first."""

    def __init__(self, environment: Path, folder: Path, cell: str) -> None:
        self.folder = folder
        self.cell = cell
        self._python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
        (self._packages,) = environment.glob("[Ll]ib/**/site-packages")

    def install(self, version: str, instructor: bool = False) -> None:
        wheel = write_wheel(self.folder.parent / "other", version, instructor=instructor)
        zipfile.ZipFile(wheel).extractall(self._packages)

    def run(self, before: str = "", **settings: str) -> tuple[list[str], str]:
        """Run the cell without any package index; return the lines printed and the error's text."""
        environment = {name: os.environ[name] for name in os.environ if name != "PYTHONPATH"}
        result = subprocess.run(
            [self._python, "-c", before + self.cell],
            capture_output=True, text=True, cwd=self.folder,
            env=environment | {"PIP_NO_INDEX": "1"} | settings,
        )  # fmt: skip
        return result.stdout.splitlines(), " ".join(result.stderr.split())

    def clear(self) -> None:
        for folder in self._packages.glob("labhelpers*"):
            shutil.rmtree(folder)


def write_wheel(folder: Path, version: str, requires: str = "", instructor: bool = False) -> Path:
    """Write a wheel of a `labhelpers` that has a version and nothing else."""
    folder.mkdir(exist_ok=True)
    path = folder / f"labhelpers-{version}-py3-none-any.whl"
    info = f"labhelpers-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: labhelpers\nVersion: {version}\n"
    metadata += f"Requires-Dist: {requires}\n" if requires else ""
    files = {
        "labhelpers/__init__.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files["labhelpers/waiting.py"] = "def wait_quietly():\n    pass\n"
    files["labhelpers/printing.py"] = "def print_in_full():\n    pass\n"
    if instructor:
        files["labhelpers/instructor/__init__.py"] = ""
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in (files | {f"{info}/RECORD": record}).items():
            archive.writestr(name, text)
    return path


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("environment")
    venv.create(path, with_pip=True)
    return path


@pytest.fixture
def machine(environment: Path, toy_course: Path, tmp_path: Path) -> Iterator[Machine]:
    name, _ = student_wheel()
    cell = code_cells(student(toy_course, "toy"))[0].source
    cell = cell.replace(name.split("-")[1], NEEDED)
    assert cell.count(WHEEL) == 1
    folder = tmp_path / "student"
    folder.mkdir()
    machine = Machine(environment, folder, cell)
    yield machine
    machine.clear()


def test_a_fresh_machine_gets_the_wheel_beside_the_notebook(machine):
    write_wheel(machine.folder, NEEDED)
    first = f"Installing labhelpers {NEEDED} (found: none); the first time this takes minutes."
    assert machine.run() == ([first, f"labhelpers {NEEDED}"], "")
    assert machine.run() == ([f"labhelpers {NEEDED}"], "")


def test_a_published_notebook_gets_the_wheel_from_its_address(machine):
    there = write_wheel(machine.folder.parent / "server", NEEDED).parent.as_uri()
    machine.cell = machine.cell.replace('"./" +', f'"{there}/" +')
    assert machine.run()[0][-1] == f"labhelpers {NEEDED}"


@pytest.mark.parametrize("version", ["1.2.2", "1.2.4", "0.9"])
def test_another_version_is_replaced(machine, version):
    machine.install(version)
    write_wheel(machine.folder, NEEDED)
    lines, error = machine.run()
    assert f"(found: {version})" in lines[0] and lines[1:] == [f"labhelpers {NEEDED}"]
    assert error == ""


def test_a_kernel_that_has_imported_the_old_version_must_be_restarted(machine):
    machine.install("1.1")
    write_wheel(machine.folder, NEEDED)
    advice = "RuntimeError: Restart the kernel to use it, then run this cell again."
    assert machine.run(before="import labhelpers\n")[1].endswith(advice)
    twice = f"import labhelpers\nlabhelpers.__version__ = '1.1'\nexec({machine.cell!r})\n"
    assert machine.run(before=twice)[1].endswith(advice)
    assert machine.run() == ([f"labhelpers {NEEDED}"], "")


def test_offline_goes_on_with_the_same_minor_version(machine):
    machine.install("1.2.0")
    lines, error = machine.run()
    assert lines[1] == f"No network, or no {WHEEL} here: going on with labhelpers 1.2.0."
    assert lines[2:] == ["labhelpers 1.2.0"] and error == ""


@pytest.mark.parametrize("installed", [None, "1.1.9", "2.2.3"])
def test_without_wheel_it_says_what_to_do(machine, installed):
    if installed:
        machine.install(installed)
    _, error = machine.run()
    assert f"put {WHEEL} beside this notebook, start Jupyter in that folder" in error
    assert "No such file or directory" in error or "not a valid wheel" in error


def test_without_network_it_says_what_is_missing(machine):
    write_wheel(machine.folder, NEEDED, requires="surely-not-installed>=1")
    _, error = machine.run()
    assert "run this cell again with a network connection" in error
    assert "No matching distribution found for surely-not-installed>=1" in error


def test_grading_installs_nothing(machine):
    machine.install("0.9")
    write_wheel(machine.folder, NEEDED)
    assert machine.run(NBGRADER_EXECUTION="autograde") == (["labhelpers 0.9"], "")


def test_an_install_with_the_instructors_part_stays(machine):
    machine.install("0.9", instructor=True)
    write_wheel(machine.folder, NEEDED)
    assert machine.run() == (["labhelpers 0.9"], "")


def test_source_notebooks_install_nothing(tmp_path):
    for path in (REPOSITORY / "notebooks").glob("*/*.ipynb"):
        setup = code_cells(nbformat.read(path, as_version=4))[0].source
        assert "install" in setup
        result = subprocess.run(
            [sys.executable, "-S", "-E", "-c", setup], capture_output=True, text=True, cwd=tmp_path
        )
        assert "ModuleNotFoundError: This is the source of a notebook" in result.stderr
