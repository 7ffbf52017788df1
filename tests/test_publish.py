"""The steps of the workflow that publishes: what it refuses, and what it pushes."""

import os
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml

from labhelpers.instructor.course.nbgrader import REPOSITORY

pytestmark = pytest.mark.slow  # they need bash and git, as on the machine that publishes


def run_step(name: str, workspace: Path, tag: str) -> subprocess.CompletedProcess:
    workflow = yaml.safe_load((REPOSITORY / ".github/workflows/publish.yml").read_text())
    (step,) = [s for s in workflow["jobs"]["publish"]["steps"] if s.get("name") == name]
    settings = {"GITHUB_WORKSPACE": str(workspace), "GITHUB_REF_NAME": tag, "GITHUB_ACTOR": "me"}
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=workspace / step.get("working-directory", "."),
        env=os.environ | settings | {"TOKEN": "secret", "EMAIL": "me@example.org"},
        capture_output=True, text=True,
    )  # fmt: skip


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A clone with one commit, whose student version holds one notebook and a wheel."""
    path = tmp_path / "workspace"
    git(tmp_path, "init", "--quiet", "--bare", "origin.git")
    git(tmp_path, "clone", "--quiet", "origin.git", "workspace")
    (path / ".gitignore").write_text("/build/\n")
    git(path, "add", "--all")
    git(path, "commit", "--quiet", "--message", "Sources")
    (path / "build" / "student").mkdir(parents=True)
    (path / "build" / "student" / "1.ipynb").write_text("first")
    write_wheel(path, "1.2", "labhelpers/checks/expected/visible.json")
    return path


def write_wheel(workspace: Path, version: str, *names: str) -> None:
    name = f"labhelpers-{version}-py3-none-any.whl"
    with zipfile.ZipFile(workspace / "build" / "student" / name, "w") as archive:
        for inside in names:
            archive.writestr(inside, "")


def test_the_students_wheel_of_the_tag_passes(workspace):
    assert run_step("Check the wheel", workspace, "v1.2").returncode == 0


def test_another_version_than_the_tag_is_not_published(workspace):
    result = run_step("Check the wheel", workspace, "v1.3")
    assert result.returncode == 1 and "The tag is v1.3" in result.stdout


@pytest.mark.parametrize(
    "name", ["labhelpers/instructor/cli.py", "labhelpers/hidden.json", "labhelpers/items.yaml"]
)
def test_a_wheel_with_more_than_the_students_part_is_not_published(workspace, name):
    write_wheel(workspace, "1.2", "labhelpers/__init__.py", name)
    result = run_step("Check the wheel", workspace, "v1.2")
    assert result.returncode == 1 and "must not have" in result.stdout


def test_each_student_version_goes_on_top_of_the_one_before(workspace, tmp_path):
    origin = tmp_path / "origin.git"
    for tag, content in [("v1.2", "first"), ("v1.3", "second")]:
        (workspace / "build" / "student" / "1.ipynb").write_text(content)
        result = run_step("Push the student version", workspace, tag)
        assert result.returncode == 0, result.stderr
        assert git(origin, "show", "student:1.ipynb") == content
        git(workspace, "fetch", "--quiet")
    assert git(origin, "show", "student-v1.2:1.ipynb") == "first"
    assert git(origin, "log", "--format=%an: %s", "student").splitlines() == [
        "me: Student version of v1.3",
        "me: Student version of v1.2",
    ]
    files = git(origin, "ls-tree", "--name-only", "-r", "student").split()
    assert files == ["1.ipynb", "labhelpers-1.2-py3-none-any.whl"]


def test_what_others_pushed_meanwhile_is_not_overwritten(workspace, tmp_path):
    git(workspace, "push", "--quiet", "origin", "HEAD:refs/heads/student")
    git(workspace, "update-ref", "-d", "refs/remotes/origin/student")  # as if pushed after checkout
    assert run_step("Push the student version", workspace, "v1.2").returncode != 0
    assert git(tmp_path / "origin.git", "log", "--format=%s", "student") == "Sources\n"
