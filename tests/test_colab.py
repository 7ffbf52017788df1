"""The student version on a machine with the versions of a Colab image, from the zip alone."""

import json
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbgrader.utils import is_grade

from labhelpers.instructor.course.nbgrader import REPOSITORY, assignments
from labhelpers.instructor.course.samples import hand_in
from labhelpers.phantom import write_phantom

VERSIONS = REPOSITORY / "tests" / "colab-2026-08.txt"
# What a fresh Colab does not have, and what students do not have.
ABSENT = r"labhelpers|__editable__|nbgrader|torchinfo|torchmetrics|lightning_utilities"

PRINT_VERSIONS = """
import json, sys
names = "IPython ipykernel ipywidgets labhelpers matplotlib numpy pandas traitlets".split()
print(json.dumps({name.lower(): sys.modules[name].__version__ for name in names}))"""


def pinned() -> dict[str, str]:
    lines = VERSIONS.read_text().splitlines()
    return dict(line.partition(";")[0].split("==") for line in lines if "==" in line)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with Colab's versions.

    All else, such as PyTorch, comes from links to this environment's packages: that folder is not
    part of the new environment, so that pip can replace nothing in it.
    """
    root = tmp_path_factory.mktemp("colab")
    venv.create(root / "environment")
    python = root / "environment" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    shared = root / "shared"
    shared.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if path.suffix != ".pth" and not re.match(ABSENT, path.name):
            (shared / path.name).symlink_to(path)
    (packages,) = (root / "environment").glob("[Ll]ib/**/site-packages")
    (packages / "shared.pth").write_text(str(shared))
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", VERSIONS], check=True)
    kernel = {
        "argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Colab",
        "env": {"PYTHONPATH": ""},
    }
    (root / "kernels" / "colab").mkdir(parents=True)
    (root / "kernels" / "colab" / "kernel.json").write_text(json.dumps(kernel))
    return python


def installed(python: Path) -> dict[str, str]:
    command = [python, "-m", "pip", "list", "--format", "json"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {package["name"]: package["version"] for package in json.loads(listed)}


def run(notebook: NotebookNode, folder: Path) -> None:
    settings = {"kernel_name": "colab", "timeout": 600, "resources": {"metadata": {"path": folder}}}
    NotebookClient(notebook, **settings).execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.get("name") != "stderr", (cell.id, output)
            if is_grade(cell) and output.output_type == "execute_result":
                assert float(output.data["text/plain"]) == cell.metadata.nbgrader.points, cell.id


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_notebooks_run_in_colab_and_leave_it_as_it_is(course, python, tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_PATH", str(python.parents[2]))
    monkeypatch.setenv("LABHELPERS_PRESET", "short")
    monkeypatch.setenv("LABHELPERS_DATA", str(write_phantom(tmp_path / "phantom", 40)))
    zipfile.ZipFile(course / "build" / "student.zip").extractall(tmp_path)
    folder = tmp_path / "student"
    (wheel,) = folder.glob("*.whl")
    before = installed(python)
    for name in assignments(course):
        notebook = nbformat.read(hand_in("model", name, root=course), as_version=4)
        notebook.cells.append(nbformat.v4.new_code_cell(PRINT_VERSIONS))
        run(notebook, folder)
        loaded = json.loads(notebook.cells[-1].outputs[0].text)
        assert loaded.pop("labhelpers") == wheel.name.split("-")[1]
        assert loaded.items() <= pinned().items()
    after = installed(python)
    new = {"labhelpers", "lightning-utilities", "torchinfo", "torchmetrics"}
    assert {name: after[name] for name in after.keys() - new} == before
