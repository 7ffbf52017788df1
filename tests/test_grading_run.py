import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa
from loopback import dask_cluster, free_port
from nbgrader.api import Gradebook
from toy import TEST, toy_notebook, write_source

from labhelpers.instructor.authoring.edits import BuildError
from labhelpers.instructor.course.nbgrader import CourseError, open_course
from labhelpers.instructor.course.release import build_student
from labhelpers.instructor.course.samples import hand_in
from labhelpers.instructor.grading import run
from labhelpers.instructor.grading.autograde import autograde, read_scores
from labhelpers.instructor.grading.dry_run import copy_gradebook, rehearse
from labhelpers.instructor.grading.ledger import begin_run, read_traces

# Where there is no sandbox, everything but the sandbox can be tested all the same.
SANDBOXED = os.environ.get("LABHELPERS_SANDBOX") != "off"
MEANS = run.Means(sandboxed=SANDBOXED)


def grade(students, root, regrade=False, **means):
    return run.grade("toy", students, root, replace(MEANS, **means), regrade=regrade)


CLASS = {
    "dies": "import os; os._exit(1)",
    "right": "def double(x):\n    return 2 * x",
    "slow": "import time; time.sleep(0.5)\ndef double(x):\n    return x + x",
    "wrong": "def double(x):\n    return 6",
}


def hand_in_class(root: Path) -> None:
    for student, source in CLASS.items():
        hand_in(student, "toy", (), root, {"double": source})
    hand_in("untouched", "toy", (), root)
    damaged = hand_in("damaged", "toy", None, root)
    notebook = json.loads(damaged.read_text(encoding="utf-8"))
    notebook["cells"].append(notebook["cells"][4])  # the check twice
    damaged.write_text("\ufeff" + json.dumps(notebook), encoding="utf-8")
    hand_in("empty", "toy", (), root).write_text("")


def db_url(root: Path) -> str:
    return open_course(root).coursedir.db_url


def rows(url: str) -> dict[str, list[str]]:
    """All that nbgrader's tables hold; a random id is replaced by what the row with it says."""
    engine = sa.create_engine(url)
    tables = sa.MetaData()
    tables.reflect(engine)
    names: dict[str, str] = {}
    found = {}
    with engine.connect() as connection:
        for table in tables.sorted_tables:  # those that others refer to come first
            if table.name.startswith("labhelpers"):
                continue
            found[table.name] = []
            for row in connection.execute(sa.select(table)):
                content = {key: names.get(value, value) for key, value in row._asdict().items()}
                if re.fullmatch("[0-9a-f]{32}", str(content.get("id"))):
                    random_id = content.pop("id")
                    names[random_id] = str(content)
                found[table.name].append(str(content))
            found[table.name].sort()
    engine.dispose()
    return found


def verdicts(url: str) -> dict[str, list]:
    """What the traces say, apart from series and times."""
    what = ("repairs", "events", "flags", "cells")
    return {trace["student"]: [trace[key] for key in what] for trace in read_traces(url, "toy")}


@pytest.fixture(scope="session")
def class_course(toy_template, once):
    """A course where a class has handed in, not graded."""

    def hand_in_all(root):
        copy_course(toy_template, root)
        hand_in_class(root)

    return once("class", hand_in_all)


def copy_course(source: Path, target: Path) -> Path:
    """Copy a course with its gradebook, whose path the copied configuration works out."""
    return shutil.copytree(source, target, dirs_exist_ok=True)


@pytest.fixture(scope="session")
def graded(class_course, once):
    """The same class graded by plain nbgrader and with 1 and 2 workers."""

    def grade_all(folder):
        course = open_course(copy_course(class_course, folder / "plain"))
        for student in sorted((folder / "plain" / "build" / "submitted").iterdir()):
            autograde(course, student.name, "toy")
        for workers in (1, 2):
            root = copy_course(class_course, folder / str(workers))
            outcome = grade((), root, workers=workers)
            assert len(outcome.graded) == len(CLASS) + 3 and not outcome.failed

    folder = once("graded-class", grade_all)
    return {"plain": folder / "plain", 1: folder / "1", 2: folder / "2"}


def test_one_or_two_workers_and_plain_nbgrader_give_the_same_gradebook(graded):
    expected = rows(db_url(graded["plain"]))
    scores = read_scores(open_course(graded["plain"]))["score"].xs("check-double", level="cell")
    assert scores.droplevel("assignment").to_dict() == {
        "damaged": 2, "dies": 0, "empty": 0, "right": 2, "slow": 2, "untouched": 0, "wrong": 0,
    }  # fmt: skip
    assert rows(db_url(graded[1])) == expected
    assert rows(db_url(graded[2])) == expected
    traced = verdicts(db_url(graded["plain"]))
    assert verdicts(db_url(graded[1])) == verdicts(db_url(graded[2])) == traced
    notebooks = [
        {
            path.relative_to(root): path.read_text(encoding="utf-8")
            for path in sorted((root / "build" / "autograded").rglob("*.ipynb"))
            if "dies" not in path.parts  # whether its last cell got a number is a matter of luck
        }
        for root in graded.values()
    ]
    assert notebooks[0] == notebooks[1] == notebooks[2]


@pytest.fixture
def done(graded, tmp_path):
    """A course whose class is graded, to be changed at will."""
    return copy_course(graded[2], tmp_path / "course")


def test_what_is_graded_and_unchanged_is_skipped(done):
    before = rows(db_url(done))
    lines = []
    outcome = grade((), done, show=lines.append)
    assert len(outcome.unchanged) == len(CLASS) + 3 and not outcome.graded and lines == []
    assert set(outcome.flags) == {"dies", "empty"}
    assert rows(db_url(done)) == before
    summary = outcome.in_words()
    assert "Graded: 0. Skipped, as unchanged: 7. Could not be graded: 0." in summary
    assert "  empty: The file is empty." in summary


def test_a_changed_submission_gets_a_new_series_and_a_changed_release_the_old(done):
    series = {trace["student"]: trace["series"] for trace in read_traces(db_url(done), "toy")}
    assert len({*series.values()}) == 1
    hand_in("wrong", "toy", None, done)
    lines = []
    outcome = grade(["wrong", "right", "wrong"], done, show=lines.append)
    assert lines == [
        "1 to grade with 1 worker.",
        "[1/1] wrong: 2 of 2 points (double 2/2), 1 to grade by hand",
    ]
    assert list(outcome.graded) == ["wrong"] and outcome.unchanged == ["right"]
    outcome = grade(["right"], done, regrade=True)
    assert list(outcome.graded) == ["right"]
    after = {trace["student"]: trace["series"] for trace in read_traces(db_url(done), "toy")}
    assert after.pop("wrong") != series.pop("wrong")
    assert after == series


def test_manual_scores_and_comments_stay_and_nothing_is_there_twice(done):
    def change(gradebook):
        gradebook.find_grade("written-double", "toy", "toy", "right").manual_score = 1.5
        gradebook.find_grade("check-double", "toy", "toy", "right").extra_credit = 0.5
        gradebook.find_comment("written-double", "toy", "toy", "right").manual_comment = "Good."

    with Gradebook(db_url(done)) as gradebook:
        change(gradebook)
        gradebook.db.commit()
    before = {table: len(found) for table, found in rows(db_url(done)).items()}
    grade(["right"], done, regrade=True)
    with Gradebook(db_url(done)) as gradebook:
        grade_of = gradebook.find_grade("written-double", "toy", "toy", "right")
        assert grade_of.score == 1.5 and grade_of.manual_score == 1.5
        assert gradebook.find_grade("check-double", "toy", "toy", "right").score == 2.5
        comment = gradebook.find_comment("written-double", "toy", "toy", "right")
        assert comment.comment == "Good."
    assert {table: len(found) for table, found in rows(db_url(done)).items()} == before


def files(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_dry_run_tells_what_the_run_will_change_and_changes_nothing(done):
    notebook = toy_notebook()
    check = next(cell for cell in notebook.cells if cell.id == "check-double")
    check.source = TEST.replace(
        "double(secret_probe) != 8:\n    score = 0.0", "True:\n    score = 1.0"
    )
    write_source(done, notebook)
    build_student(done)
    chosen = ["right", "wrong", "untouched"]
    before = files(done / "build")
    outcome, changes = rehearse("toy", chosen, done, MEANS)
    assert files(done / "build") == before
    assert len(outcome.graded) == 3
    assert changes.to_dict("index") == {
        ("right", "check-double"): {"old": 2.0, "new": 1.0, "why": "status: right, now partly"},
        ("wrong", "check-double"): {"old": 0.0, "new": 1.0, "why": "status: wrong, now partly"},
    }
    old = read_scores(open_course(done))["score"]
    grade(chosen, done)
    new = read_scores(open_course(done))["score"]
    really = old[old != new].index.droplevel("assignment")
    assert [*really] == [*changes.index]


def test_a_missing_notebook_is_named_and_the_others_are_graded(toy_course):
    hand_in("ann", "toy", (), toy_course)
    hand_in("bob", "toy", (), toy_course).unlink()
    lines = []
    outcome = grade(["ann", "bob", "bob", "eve"], toy_course, show=lines.append)
    assert lines[1:] == ["[1/1] ann: 0 of 2 points (double 0/2)"]
    assert list(outcome.failed) == ["bob", "eve"]
    assert "There is no toy.ipynb" in outcome.failed["bob"]
    assert "  bob: There is no toy.ipynb" in outcome.in_words()


def test_nothing_handed_in_says_where_it_is_expected(toy_course):
    with pytest.raises(CourseError, match=r"Nothing was handed in for 'toy'. Expected .*STUDENT"):
        grade((), toy_course)


def test_without_a_sandbox_it_says_what_is_protected_and_stops(toy_course, monkeypatch):
    hand_in("ann", "toy", (), toy_course)
    monkeypatch.setattr(run, "sandbox_problem", lambda: "There is no bubblewrap.")
    with pytest.raises(CourseError, match=r"no bubblewrap\..* points .* Files .* --no-sandbox"):
        grade((), toy_course, sandboxed=True)
    grade((), toy_course, sandboxed=False)
    (trace,) = read_traces(db_url(toy_course), "toy")
    assert trace["sandboxed"] is False


def test_a_locked_gradebook_stops_the_run_in_words_and_a_rerun_goes_on(toy_course):
    hand_in("ann", "toy", (), toy_course)
    hand_in("bob", "toy", (), toy_course)
    connection = sqlite3.connect(toy_course / "build" / "gradebook.db", isolation_level=None)

    def lock(line: str) -> None:
        if line.startswith("[1/2]"):
            connection.execute("begin immediate")

    with pytest.raises(
        CourseError, match=r"Another program holds the gradebook.*without --regrade"
    ):
        grade((), toy_course, workers=1, show=lock)
    connection.rollback()
    connection.close()
    series = begin_run(db_url(toy_course), "toy")  # that of the run which was stopped
    outcome = grade((), toy_course)
    assert outcome.unchanged == ["ann"] and list(outcome.graded) == ["bob"]
    assert {trace["series"] for trace in read_traces(db_url(toy_course), "toy")} == {series}


def test_a_full_disk_stops_the_run_in_words(toy_course, monkeypatch):
    hand_in("ann", "toy", (), toy_course)

    def full(self, *_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run.AutogradeInHalves, "write_single_notebook", full)
    with pytest.raises(CourseError, match=r"The disk is full: make room\. Run the same command"):
        grade((), toy_course)
    monkeypatch.undo()
    assert list(grade((), toy_course).graded) == ["ann"]


def test_a_series_on_which_a_reference_solution_fails_is_not_used(toy_course, monkeypatch):
    url, tried = db_url(toy_course), []

    def numbers_for(exercise, series):
        tried.append((exercise, series))
        if len(tried) < 3:
            raise BuildError(f"The solution of {exercise} fails.")

    monkeypatch.setattr(run, "numbers_for", numbers_for)
    series = run._begin(url, "toy", ["double", "triple"])
    assert [exercise for exercise, _ in tried] == ["double", "double", "double", "triple"]
    assert tried[2][1] == tried[3][1] == series == begin_run(url, "toy")
    tried.clear()
    assert run._begin(url, "toy", []) == series
    monkeypatch.setattr(run, "_DRAWS", 2)
    with pytest.raises(BuildError, match="double fails"):
        run._begin(url, "toy", ["double"])


def test_it_says_first_what_takes_time():
    todo = run.Plan(None, "toy", dict.fromkeys("abcdefgh", "key"))
    assert run._announcement(todo, "2 workers") == "8 to grade with 2 workers."
    todo.exercises, todo.afresh = ["double"], ["a"]
    text = run._announcement(todo, "2 workers")
    assert "First the right numbers of this run are worked out" in text
    assert "mistakes" not in text
    todo.afresh = [*todo.keys]
    assert "known mistakes" in run._announcement(todo, "2 workers")


def test_work_that_is_nobodys_is_listed_each_time(toy_course):
    hand_in("unknown-Lena Fischer-4711012", "toy", (), toy_course)
    for _ in range(2):
        summary = grade((), toy_course).in_words()
        assert "  unknown-Lena Fischer-4711012: Nobody knows whose this is." in summary
        assert "student remove --force 'unknown-Lena Fischer-4711012'" in summary


def test_results_wait_for_the_numbers_while_the_workers_go_on():
    until, came = Future(), []

    def results():
        for number in range(4):
            came.append(number)
            if number == 2:
                until.set_result(None)
            yield number

    held = run._held_back(results(), until)
    assert next(held) == 0 and came == [0, 1, 2]
    assert [*held] == [1, 2, 3]
    failing = Future()
    failing.set_exception(BuildError("no"))
    with pytest.raises(BuildError):
        list(run._held_back(iter([1]), failing))


COMMAND = """\
import sys
from pathlib import Path
import click
from labhelpers.instructor.grading.run import Means, grade
from labhelpers.instructor.authoring.edits import BuildError
from labhelpers.instructor.course.nbgrader import CourseError
print("ready", flush=True)
try:
    root, sandboxed = Path(sys.argv[1]), bool(sys.argv[2])
    means = Means(workers=2, sandboxed=sandboxed, show=click.echo)  # at once, into a pipe, too
    print(grade("toy", (), root, means).in_words())
except CourseError as error:
    sys.exit(str(error))
"""


@contextlib.contextmanager
def grading(root: Path):
    """Grade in a process of its own, which has imported what it needs."""
    command = [sys.executable, "-c", COMMAND, str(root), "yes" * SANDBOXED]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert not alive


def victims(process: subprocess.Popen, kind: str) -> list[psutil.Process]:
    """The processes of a run: itself, its workers, or what these have started."""
    parent = psutil.Process(process.pid)
    if kind == "parent":
        return [parent]
    workers = [one for one in parent.children() if "spawn_main" in " ".join(one.cmdline())]
    if kind == "worker":
        return workers
    return [kernel for worker in workers for kernel in worker.children(recursive=True)]


@pytest.mark.timeout(3000)
def test_kills_at_any_moment_cost_nothing(class_course, graded, tmp_path, pytestconfig):
    kills = pytestconfig.getoption("--kills")
    chance = random.Random(kills)
    expected = rows(db_url(graded[2]))
    for number in range(kills):
        root = copy_course(class_course, tmp_path / f"{number}")
        kind = ["parent", "worker", "kernel"][number % 3]
        with grading(root) as process:
            time.sleep(chance.uniform(0.3, 9))
            everyone = psutil.Process(process.pid).children(recursive=True)
            with contextlib.suppress(IndexError, psutil.NoSuchProcess):  # it is over already
                chance.choice(victims(process, kind)).kill()
            _, errors = process.communicate(timeout=300)
            if kind == "parent":
                assert_gone(everyone)
            else:
                assert process.returncode == 0, errors
        outcome = grade((), root, workers=2)
        print(f"{kind}: {len(outcome.unchanged)} were graded, {len(outcome.graded)} after it")
        assert not outcome.failed
        assert rows(db_url(root)) == expected
        assert verdicts(db_url(root)) == verdicts(db_url(graded[2]))
        assert len({trace["series"] for trace in read_traces(db_url(root), "toy")}) == 1


def test_ctrl_c_stops_in_words_and_leaves_no_process(class_course, tmp_path):
    root = copy_course(class_course, tmp_path / "course")
    hand_in("zoe", "toy", (), root, {"double": "import time; time.sleep(600)"})  # never the end
    with grading(root) as process:
        assert process.stdout.readline() == "8 to grade with 2 workers.\n"
        assert process.stdout.readline().startswith("[1/8]")
        everyone = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1, errors
    assert "of 8 submissions are graded. Run the same command again" in errors
    assert "Traceback" not in errors
    assert_gone(everyone)


@pytest.mark.parametrize("moment", ["LocalWorkers", "whose"])
def test_ctrl_c_before_the_first_and_after_the_last_is_told_in_words(
    toy_course, monkeypatch, moment
):
    def interrupt(*_):
        raise KeyboardInterrupt

    hand_in("ann", "toy", (), toy_course)
    monkeypatch.setattr(run, "execute_all", lambda jobs, crew: iter(()))
    monkeypatch.setattr(run, moment, interrupt)
    with pytest.raises(
        CourseError, match=r"Stopped\. 0 of 1 submissions .* the same command again"
    ):
        grade((), toy_course)


@pytest.fixture
def cluster(tmp_path):
    with dask_cluster(tmp_path) as address:
        yield address


@pytest.mark.sandbox
def test_a_dask_cluster_with_postgresql_gives_the_same_gradebook(
    class_course, graded, cluster, postgresql, tmp_path, monkeypatch
):
    root = copy_course(class_course, tmp_path / "course")
    copy_gradebook(db_url(root), postgresql)
    monkeypatch.setenv("LABHELPERS_DB_URL", postgresql)
    assert db_url(root) == postgresql
    outcome = grade((), root, scheduler=cluster)
    assert len(outcome.graded) == 7 and not outcome.failed
    assert rows(postgresql) == rows(db_url(graded[2]))
    assert verdicts(postgresql) == verdicts(db_url(graded[2]))
    assert len(grade((), root, scheduler=cluster).unchanged) == 7
    copy = f"sqlite:///{tmp_path / 'copy.db'}"
    copy_gradebook(postgresql, copy)
    assert rows(copy) == rows(postgresql)
    assert read_traces(copy, "toy") == read_traces(postgresql, "toy")


def test_a_cluster_that_is_not_there_is_named(toy_course, monkeypatch):
    hand_in("ann", "toy", (), toy_course)
    monkeypatch.setattr("labhelpers.instructor.grading.workers._PATIENCE", 1)
    address = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(CourseError, match=f"No Dask scheduler answers at {address}"):
        grade((), toy_course, scheduler=address)
