"""The command line: help for each command, one clear sentence for each foreseen error."""

import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from labhelpers.data import DataError
from labhelpers.instructor.authoring.edits import BuildError
from labhelpers.instructor.cli import commands
from labhelpers.instructor.course.nbgrader import CourseError


def run(*arguments):
    return CliRunner().invoke(commands, arguments)


def all_commands(group=commands, before=()):
    for name, command in group.commands.items():
        yield (*before, name), command
        if isinstance(command, click.Group):
            yield from all_commands(command, (*before, name))


@pytest.mark.parametrize("name", [" ".join(name) for name, _ in all_commands()])
def test_every_command_has_a_help_of_whole_sentences(name):
    result = run(*name.split(), "--help")
    assert result.exit_code == 0
    first = result.output.split("\n\n")[1].strip()
    assert first[0].isupper() and first[-1] in ".)"


@pytest.mark.parametrize("error", [CourseError, BuildError, DataError])
def test_a_foreseen_error_is_one_message_and_no_traceback(error, monkeypatch):
    def fail(*_):
        raise error("Nothing to build. Put notebooks into notebooks/.")

    monkeypatch.setattr("labhelpers.instructor.course.release.build_student", fail)
    result = run("release")
    assert result.exit_code == 1
    assert result.stderr == "Error: Nothing to build. Put notebooks into notebooks/.\n"
    assert result.stdout == ""


def test_another_error_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr("labhelpers.instructor.course.release.build_student", lambda: 1 / 0)
    assert isinstance(run("release").exception, ZeroDivisionError)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mistakes", "tea-making"], "no known mistakes for tea-making"),
        (["grade", "9-tea"], "There is no assignment '9-tea': choose one of 1-data-exploration"),
        (["experiments", "ablation", "--name", "tea"], "There is no such trial. Choose one of"),
    ],
)
def test_a_name_that_does_not_exist_is_answered_with_those_that_do(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 1
    assert message in result.stderr


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_console_without_greek_letters_loses_only_these(encoding):
    """On Windows `labhelpers experiments ablation > log` writes in cp1252."""
    code = (
        "import sys; from labhelpers.instructor import cli; "
        "cli.commands = lambda prog_name: (print('λ_gan'), cli.click.echo('λ', err=True)); "
        "cli.main()"
    )
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, env=environment, capture_output=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == [b"?_gan"]


def test_without_the_instructors_part_the_command_says_where_it_is():
    code = (
        "import sys; sys.modules['labhelpers.instructor'] = None; "
        "from labhelpers.__main__ import main; main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1
    assert "in a clone of the repository" in result.stderr
    assert "pip install -e '.[dev]'" in result.stderr
    assert "Traceback" not in result.stderr
