"""The command line, and the guides that name its commands."""

import os
import re
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner
from test_project import project_files

from labhelpers import __main__
from labhelpers.data import DataError
from labhelpers.instructor.authoring.edits import BuildError
from labhelpers.instructor.cli import commands
from labhelpers.instructor.course.nbgrader import REPOSITORY, CourseError
from labhelpers.instructor.grading.run import Outcome


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
        (
            ["mistakes", "tea-making"],
            "no known mistakes for tea-making: choose from make-dataloaders, ",
        ),
        (["grade", "9-tea"], "There is no assignment '9-tea': choose one of 1-data-exploration"),
        (["experiments", "ablation", "--name", "tea"], "There is no such trial. Choose one of"),
    ],
)
def test_a_name_that_does_not_exist_is_answered_with_those_that_do(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 1
    assert message in result.stderr


def test_grading_prints_the_summary_and_fails_if_one_was_not_graded(monkeypatch):
    outcome = Outcome({"ann": "2 of 2 points"}, failed={"bob": "There is no toy.ipynb."})
    monkeypatch.setattr("labhelpers.instructor.grading.run.grade", lambda *_, **__: outcome)
    result = run("grade", "toy")
    assert result.exit_code == 1
    assert result.stdout == outcome.in_words() + "\n"
    assert "  bob: There is no toy.ipynb.\n" in result.stdout
    del outcome.failed["bob"]
    assert run("grade", "toy").exit_code == 0


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
        "sys.argv = ['labhelpers', 'grade']; from labhelpers.__main__ import main; main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1
    assert "in a clone of the repository" in result.stderr
    assert "pip install -e '.[dev]'" in result.stderr
    assert "Traceback" not in result.stderr


def test_ctrl_c_ends_the_command_of_students_in_a_word(monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["labhelpers", "preflight", "mine.ipynb"])
    monkeypatch.setattr(__main__, "_student_command", interrupt)
    with pytest.raises(SystemExit, match="Aborted!"):
        __main__.main()


# --- the guides ---------------------------------------------------------------------------------

GUIDES = [path for path in project_files() if path.suffix == ".md"]


def code_lines(guide):
    """The lines of code blocks, and the code between backticks."""
    text = guide.read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.M))
    return [line.strip() for part in [*blocks, *spans] for line in part.splitlines()]


def unknown_part(line):
    """What of `labhelpers ...` the command line does not know, if anything."""
    command, words = commands, line.partition("#")[0].split()[1:]
    if words[:1] in (["preflight"], ["repair"]):  # the students' commands have no options
        return next((word for word in words if word.startswith("-")), None)
    while words and isinstance(command, click.Group):
        if words[0].startswith("-") or words[0] == "COMMAND":
            break
        command = command.commands.get(words[0])
        if command is None:
            return words[0]
        words = words[1:]
    known = {name for option in command.params for name in option.opts} | {"--help"}
    return next((word for word in words if word.startswith("-") and word not in known), None)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_guides_name_commands_targets_and_files_that_exist(guide):
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for line in code_lines(guide):
        # Variables and the folder of an environment may stand before a command.
        line = re.sub(r"^([A-Z_]+=\S+ |\S+[/\\](?=labhelpers ))*", "", line)
        if line.startswith("labhelpers "):
            assert unknown_part(line) is None, line
        if target := re.match(r"make ([a-z]+)", line):
            assert f"\n{target[1]}:" in makefile, line
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", guide.read_text(encoding="utf-8")):
        assert (guide.parent / link).exists(), link


def test_a_wrong_command_in_a_guide_is_found():
    assert unknown_part("labhelpers release --student-only") is None
    assert unknown_part("labhelpers experiments ablation --method cgan") is None
    assert unknown_part("labhelpers experiments tea") == "tea"
    assert unknown_part("labhelpers release --tea") == "--tea"
