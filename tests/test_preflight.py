import json
import os
import re
import subprocess
import sys
import types
import zipfile

import nbformat
import pytest
from damages import FILE_DAMAGES, place

from labhelpers import preflight as module
from labhelpers.__main__ import main
from labhelpers.checks import history
from labhelpers.checks.exercises import EXERCISES
from labhelpers.checks.report import Report
from labhelpers.instructor.course.samples import hand_in
from labhelpers.preflight import examine, preflight, repair_notebook
from labhelpers.repair import locate
from labhelpers.repair.locate import find_releases
from labhelpers.repair.release import checksum
from labhelpers.repair.slots import digest
from labhelpers.session import display_data

NAME = "2-generator"
UNET, STEP, LOOP, WRITTEN = "generator-unet", "generator-step", "train-generator", "written-metrics"
POINTS = {UNET: 4, STEP: 2, LOOP: 2}


@pytest.fixture(scope="module")
def releases(course):
    """What an installed wheel of this release finds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(locate, "__file__", str(course / "labhelpers" / "repair" / "locate.py"))
        return find_releases()


@pytest.fixture(autouse=True)
def installed(releases, monkeypatch):
    monkeypatch.setattr(module, "find_releases", lambda: releases)


@pytest.fixture(scope="module")
def solved(course):
    return hand_in("preflight", NAME, root=course).read_text(encoding="utf-8")


class Notebook:
    """A solved notebook as it is saved after all its cells ran; changed by its methods."""

    def __init__(self, folder, text, releases):
        self.path = folder / f"{NAME}.ipynb"
        self.json = json.loads(text)
        self._releases = releases
        for count, cell in enumerate(self.code, start=1):
            cell["execution_count"] = count
        for name, points in POINTS.items():
            self.check(name, Report(name, "f", "right", points, points, answer=self.digest(name)))

    @property
    def code(self):
        return [cell for cell in self.json["cells"] if cell["cell_type"] == "code"]

    def __getitem__(self, name):
        return next(cell for cell in self.json["cells"] if cell["id"] == name)

    def source(self, name):
        return "".join(self[name]["source"])

    def digest(self, name):
        return digest(self.source(name))

    def check(self, name, report):
        output = {"output_type": "display_data", **display_data(*report.output)}
        self[f"check-{name}"]["outputs"] = [output]

    def save(self):
        self.path.write_bytes(FILE_DAMAGES["as_it_is"](self.json))
        return self.path

    def examine(self, history=()):
        return examine(self.save(), self._releases[NAME], history, "repair it")

    def state(self, name):
        parts = [p for p in self.examine().parts if EXERCISES[name].name in p.title]
        return parts[0].points, parts[0].state


@pytest.fixture
def notebook(tmp_path, solved, releases):
    return Notebook(tmp_path, solved, releases)


def test_a_finished_notebook_is_ready(notebook):
    found = notebook.examine()
    assert found.headline == "2-generator.ipynb: ready to hand in"
    assert found.status == "ready" and found.steps == ()
    assert [(part.title, part.points, part.state) for part in found.parts] == [
        ("Exercise 1: GeneratorUNet", "4 of 4", "all right"),
        ("Exercise 2: generator_step", "2 of 2", "all right"),
        ("Exercise 3: train_generator", "2 of 2", "all right"),
        ("Written question", "2, by hand", "answered"),
    ]
    assert found.notes[0].startswith("Points in the checks so far: 8 of 8; 2 more are given by han")
    assert len(found.notes) == 2 and "as it was saved at " in found.notes[1]
    assert "Exercise 1: GeneratorUNet    4 of 4      all right" in found.text
    assert "<td" in found._repr_html_() and "color:" not in found._repr_html_().replace("solid", "")


def test_an_untouched_notebook_has_open_parts_and_nothing_to_repair(course, releases):
    found = examine(course / "build" / "student" / "3-cgan.ipynb", releases["3-cgan"])
    assert found.headline == "3-cgan.ipynb: nothing to repair, 6 of 6 parts open"
    assert [part.state for part in found.parts[:-1]] == 5 * ["not attempted yet"]
    assert found.parts[-1].state == "blank: write your answer into its cell"
    assert "In this file no cell has been run." in found.notes


def drop(name):
    def change(notebook):
        notebook.json["cells"].remove(notebook[name])

    return change


def put(name, source):
    def change(notebook):
        notebook[name]["source"] = source

    return change


def split(notebook):
    cell = notebook[UNET]
    lines = notebook.source(UNET).splitlines(keepends=True)
    cell["source"], rest = "".join(lines[:20]), "".join(lines[20:])
    below = {"cell_type": "code", "id": "below", "metadata": {}, "source": rest, "outputs": []}
    notebook.json["cells"].insert(place(notebook.json, cell) + 1, below)


def copy_check(notebook):
    twin = json.loads(json.dumps(notebook["check-generator-step"])) | {"id": "twin"}
    notebook.json["cells"].append(twin)


EXERCISE_2 = "Exercise 2: generator_step"
DAMAGES = {
    f"The check of {EXERCISE_2} has been deleted.": drop("check-generator-step"),
    f"The check of {EXERCISE_2} has been changed.": put("check-generator-step", "4.0"),
    f"The check of {EXERCISE_2} has been emptied.": put("check-generator-step", ""),
    f"The check of {EXERCISE_2} is there 2 times.": copy_check,
    "The given cell recap-make-dataloaders has been deleted.": drop("recap-make-dataloaders"),
    f"The answer cell of {EXERCISE_2} has been emptied.": put(STEP, ""),
    "The answer cell of Exercise 1: GeneratorUNet has been split.": split,
    "The answer cell of the written question has been emptied.": put(WRITTEN, "  "),
}


@pytest.mark.parametrize("finding", DAMAGES)
def test_damaged_cells_are_found_and_repaired_in_a_copy(notebook, finding, capsys):
    DAMAGES[finding](notebook)
    found = notebook.examine()
    assert found.findings == (finding,)
    assert found.headline == "2-generator.ipynb: 1 thing to do before you hand it in"
    assert found.steps == (finding,)
    advice = "To repair this in a copy, without touching answers, run:"
    assert f"- {finding}\n{advice}\n    repair it\n" in found.text
    assert f"{advice}<pre>repair it</pre>" in found._repr_html_()
    before = notebook.path.read_bytes()
    copy = repair_notebook(NAME, notebook.path)
    assert notebook.path.read_bytes() == before
    assert copy.name == "2-generator-repaired.ipynb"
    told = capsys.readouterr().out
    assert told.startswith("- The ") and "; " in told.splitlines()[0]
    assert "give it the name 2-generator.ipynb" in told
    repaired = nbformat.read(copy, as_version=4)
    nbformat.validate(repaired)
    again = examine(copy, found_release(notebook))
    assert not again.findings
    outputs = [cell for cell in repaired.cells if cell.get("outputs")]
    assert outputs, "what the cells put out is kept"
    assert repair_notebook(NAME, copy) is None


def found_release(notebook):
    return notebook._releases[NAME]


def test_a_copy_replaces_no_file(notebook):
    drop("check-generator-step")(notebook)
    notebook.save()
    names = [repair_notebook(NAME, notebook.path).name for _ in range(2)]
    assert names == ["2-generator-repaired.ipynb", "2-generator-repaired-2.ipynb"]


def test_an_answer_that_changed_after_its_check_is_found(notebook):
    notebook[STEP]["source"] = notebook.source(STEP) + "\n# another thought"
    again = "since its check: run its cell and its check again, save"
    assert notebook.state(STEP) == ("– of 2", f"changed {again}")
    assert notebook.examine().headline.endswith("nothing to repair, 1 of 4 parts open")
    assert "so far: 6 of 8" in notebook.examine().text


def test_an_answer_that_ran_again_after_its_check_is_found(notebook):
    notebook.check(
        STEP, Report(STEP, "generator_step", "right", 2, 2)
    )  # a check that knew no history
    notebook[STEP]["execution_count"] = 99
    assert notebook.state(STEP)[1].startswith("run again since its check")


@pytest.mark.parametrize(
    ("status", "score", "state"),
    [("partly", 1, "partly right"), ("wrong", 0, "not right yet")],
)
def test_a_check_tells_the_state_also_where_its_metadata_were_lost(notebook, status, score, state):
    notebook.check(
        STEP, Report(STEP, "generator_step", status, score, 2, answer=notebook.digest(STEP))
    )
    assert notebook.state(STEP) == (f"{score} of 2", state)
    ready = "2-generator.ipynb: ready to hand in, with 1 of 4 parts not all right"
    assert notebook.examine().headline == ready
    notebook["check-generator-step"]["outputs"][0]["metadata"] = {}
    assert notebook.state(STEP) == (f"{score} of 2", state)
    notebook["check-generator-step"]["outputs"] = []
    assert notebook.state(STEP) == ("– of 2", "not checked yet: run its check, save")


def test_outputs_that_are_no_outputs_are_left_out(notebook):
    notebook["check-generator-step"]["outputs"] = [7, {"output_type": "error"}]
    assert notebook.state(STEP)[1].startswith("not checked yet")


def test_the_order_of_running_is_told_as_far_as_it_is_known(notebook):
    count = notebook["training"]["execution_count"]
    notebook["data"]["execution_count"] = 99
    notebook["curves"]["execution_count"] = None
    notes = notebook.examine().notes
    assert "One given cell has not been run; it begins: show_losses" in " ".join(notes)
    assert any("[99] stands above" in note for note in notes) and count < 99
    assert notebook.examine().status == "ready", "grading runs it in order anyway"


def test_a_file_that_is_older_than_what_ran_asks_to_save_first(notebook):
    ran = ["", *("".join(cell["source"]) for cell in notebook.code)]
    assert notebook.examine(ran).status == "ready"
    again = [*ran, notebook.source("check-generator-step")]
    assert notebook.examine(again).first[0].startswith("The file does not hold what ran last: save")
    changed = [*ran, notebook.source(STEP) + "\n# another thought"]
    assert notebook.examine(changed).first[0].startswith("The file does not hold what ran last")
    notebook[STEP]["execution_count"] = len(changed)
    notebook["check-generator-step"]["execution_count"] = len(changed) + 1
    back = [*changed, notebook.source(STEP), notebook.source("check-generator-step")]
    assert notebook.examine(back).status == "ready", "the version of before runs once more"
    other_session = ["", "1 + 1", "def generator_steps(): pass"]
    assert notebook.examine(other_session).status == "ready"


def test_a_set_up_cell_of_another_release_is_no_damage(notebook):
    setup = notebook.source("setup")
    version = re.search('NEEDED, WHEEL = "([^"]+)"', setup)[1]
    released = notebook["setup"]
    released["source"] = setup.replace(version, "0.0.9")
    settings = released["metadata"]["nbgrader"]
    settings["checksum"] = checksum("code", released["source"], settings)
    found = notebook.examine()
    assert found.status == "ready"
    assert f"Version 0.0.9, compared with version {version}" in " ".join(found.notes)
    notebook["setup"]["source"] = setup.replace("print(", "# print(")
    assert notebook.examine().findings == ("The given cell setup has been changed.",)


def test_another_name_is_told(notebook, releases):
    other = notebook.save().with_name("2-generator (1).ipynb")
    notebook.path.rename(other)
    found = examine(other, releases[NAME])
    assert found.first == (
        "The file is called 2-generator (1).ipynb; it is handed in as 2-generator.ipynb. "
        "Rename it.",
    )
    notebook.save()
    assert "hand in only the one that counts" in examine(other, releases[NAME]).first[0]


@pytest.mark.parametrize("content", [b"", b"<html>", b'{"cells": []}'])
def test_a_file_that_is_no_notebook_is_told(tmp_path, releases, content):
    path = tmp_path / "2-generator.ipynb"
    path.write_bytes(content)
    found = examine(path, releases[NAME])
    assert found.status == "repair" and len(found.first) == 1 and found.parts == ()


# --- which file -----------------------------------------------------------------------------------


@pytest.fixture
def folder(notebook, monkeypatch):
    monkeypatch.chdir(notebook.path.parent)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    notebook.save()
    return notebook.path.parent


def test_the_only_file_that_holds_the_notebook_is_taken(folder, course, capsys):
    (folder / "1-data-exploration.ipynb").write_bytes(
        (course / "build" / "student" / "1-data-exploration.ipynb").read_bytes()
    )
    (folder / "damaged.ipynb").write_bytes(b"{")
    preflight(NAME)
    assert capsys.readouterr().out.startswith("2-generator.ipynb: ready to hand in\n")


@pytest.mark.parametrize("where", ["JPY_SESSION_NAME", "__vsc_ipynb_file__"])
def test_jupyter_and_vs_code_tell_which_file_it_is(folder, where, monkeypatch, capsys):
    other = folder / "mine.ipynb"
    other.write_bytes((folder / "2-generator.ipynb").read_bytes())
    shell = types.SimpleNamespace(
        user_ns={}, history_manager=types.SimpleNamespace(input_hist_raw=[""])
    )
    if where == "JPY_SESSION_NAME":
        monkeypatch.setenv(where, str(other))
    else:
        shell.user_ns[where] = str(other)
    monkeypatch.setattr(module, "get_ipython", lambda: shell)
    preflight(NAME)
    assert capsys.readouterr().out.startswith("mine.ipynb: 1 thing to do")


def test_several_files_are_listed(folder, capsys):
    (folder / "mine.ipynb").write_bytes((folder / "2-generator.ipynb").read_bytes())
    preflight(NAME)
    assert capsys.readouterr().out == (
        "Several files hold this notebook: 2-generator.ipynb, mine.ipynb. "
        'Name the one: preflight("2-generator", "2-generator.ipynb")\n'
    )


def test_no_file_is_told_with_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JPY_SESSION_NAME", "gone.ipynb")
    preflight(NAME)
    assert f"is not in {tmp_path}. Save it there, or name it: preflight(" in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    assert repair_notebook(NAME) is None
    assert "File > Download > Download .ipynb" in capsys.readouterr().out
    preflight(NAME, "lost.ipynb")
    assert capsys.readouterr().out.startswith("There is no file lost.ipynb.")


def test_grading_looks_at_nothing(folder, monkeypatch, capsys):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    preflight(NAME)
    assert capsys.readouterr().out == ""


def test_an_installation_without_released_notebooks_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(locate, "__file__", str(tmp_path / "labhelpers" / "repair" / "locate.py"))
    monkeypatch.setattr(module, "find_releases", find_releases)
    preflight(NAME)
    assert "does not hold the released notebooks" in capsys.readouterr().out


# --- the command of students ----------------------------------------------------------------------


def test_students_have_the_command(notebook, course, tmp_path):
    (wheel,) = (course / "build" / "student").glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "labhelpers", *arguments],
            capture_output=True, text=True, cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
        )  # fmt: skip

    drop("check-generator-step")(notebook)
    notebook.save().rename(tmp_path / "mine.ipynb")
    result = run("preflight", "mine.ipynb")
    assert result.returncode == 1 and result.stderr == ""
    assert result.stdout.startswith("mine.ipynb: 2 things to do before you hand it in\n")
    assert 'labhelpers repair "mine.ipynb"' in result.stdout
    assert run("repair", "mine.ipynb").returncode == 0
    (tmp_path / "mine-repaired.ipynb").rename(notebook.path)
    assert run("preflight", f"{NAME}.ipynb").returncode == 0
    lost = run("preflight", "lost.ipynb")
    assert lost.returncode == 2 and lost.stderr.startswith("There is no file lost.ipynb.")


def test_the_help_names_the_commands_of_students(monkeypatch, capsys):
    for instructors_part in (True, False):
        if not instructors_part:
            monkeypatch.setitem(sys.modules, "labhelpers.instructor.cli", None)
        monkeypatch.setattr(sys, "argv", ["labhelpers", "--help"])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        told = capsys.readouterr().out
        assert "preflight" in told and "repair" in told


# --- which version a check judged -----------------------------------------------------------------


@pytest.fixture
def cells(monkeypatch):
    """The history of a notebook, of which the checks are told."""
    ran = [""]
    manager = types.SimpleNamespace(input_hist_raw=ran)
    shell = types.SimpleNamespace(history_manager=manager, transform_cell=lambda source: source)
    monkeypatch.setattr(history, "get_ipython", lambda: shell)
    return ran


def test_a_syntax_error_after_the_judged_version_is_told(cells):
    cells += ["def f(x):\n    return x", "f(1)", "def f(x)\n    return 2 * x", "g = f"]
    source, problem = history.judged_version("f")
    assert source == cells[1] and problem.startswith("SyntaxError in line 1: expected ':'")
    cells.append("def f(x):\n  return 1\n return 2")
    assert history.judged_version("f")[1].startswith("IndentationError in line 3: ")
    cells.append("def f(x):\n    return 3")
    assert history.judged_version("f") == (cells[-1], "")
    assert history.judged_version("h") == ("", "")
