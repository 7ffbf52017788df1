import copy
import html
import json
import re
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbgrader.api import Gradebook
from nbgrader.converters import GenerateFeedback
from nbgrader.utils import is_grade, is_solution
from toy import toy_notebook, write_source

from labhelpers.instructor.course.nbgrader import CourseError, assignments, convert, open_course
from labhelpers.instructor.course.overview import lab_table, score_problems
from labhelpers.instructor.course.release import build_student
from labhelpers.instructor.course.samples import (
    MODEL,
    UNTOUCHED,
    grade_samples,
    hand_in,
)
from labhelpers.instructor.grading.autograde import (
    autograde,
    read_scores,
    total_scores,
)
from labhelpers.phantom import write_phantom

NAMES = assignments()


def exercises(root: Path, name: str) -> list[tuple[str, float]]:
    """The code exercises of a notebook and their points, in order."""
    notebook = nbformat.read(root / "notebooks" / name / f"{name}.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    solutions = [cell.metadata.nbgrader.grade_id for cell in code if is_solution(cell)]
    points = [cell.metadata.nbgrader.points for cell in code if is_grade(cell)]
    return list(zip(solutions, points, strict=True))


def feedback(root: Path, student: str, assignment: str) -> str:
    """The text of the feedback page, as a student reads it."""
    convert(open_course(root), GenerateFeedback, assignment, student)
    page = root / "build" / "feedback" / student / assignment / f"{assignment}.html"
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def few_subjects(tmp_path_factory):
    """Kernels inherit the variable, so that the notebooks train for seconds."""
    with pytest.MonkeyPatch.context() as patch:
        folder = write_phantom(tmp_path_factory.mktemp("data") / "phantom", 40)
        patch.setenv("LABHELPERS_DATA", str(folder))
        yield


@pytest.fixture(scope="module")
def sample_scores(course, few_subjects):
    """The scores of a model answer and of an untouched notebook of every assignment."""
    return grade_samples(course)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_model_gets_all_points_and_untouched_none(course, sample_scores):
    scores = sample_scores
    totals = total_scores(scores)["score"]
    for name in NAMES:
        points = sum(points for _, points in exercises(course, name))
        assert totals[(MODEL, name)] == points
        assert totals[(UNTOUCHED, name)] == 0

    written = scores[scores["written"]]
    assert len(written) == 2 * len(NAMES)
    assert written.loc[MODEL, "needs_manual_grade"].all()
    # nbgrader gives an unchanged answer its zero; nobody has to read it.
    assert not written.loc[UNTOUCHED, "needs_manual_grade"].any()
    assert not scores[~scores["written"]]["needs_manual_grade"].any()
    assert score_problems(scores) == []

    api = open_course(course)
    for name in NAMES:  # what the formgrader lists
        assert api.get_submission(name, MODEL)["needs_manual_grade"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES[1:3])
@pytest.mark.usefixtures("few_subjects")
def test_every_second_exercise_solved_gets_just_its_points(course, name):
    """The unsolved ones between them spoil nothing."""
    solved = dict(exercises(course, name)[::2])
    hand_in("every-second", name, list(solved), course)
    api = open_course(course)
    autograde(api, "every-second", name)
    scores = read_scores(api).loc[("every-second", name), "score"]
    points = {f"check-{exercise}": points for exercise, points in solved.items()}
    assert scores[scores > 0].to_dict() == points


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_feedback_shows_the_report_but_no_hidden_test(course, sample_scores):
    text = feedback(course, UNTOUCHED, NAMES[0])
    assert "not attempted" in text.lower()
    assert "hidden.check" not in text
    assert "HIDDEN TESTS" not in text


def test_feedback_on_a_crash_quotes_no_hidden_test(toy_course):
    source = "def double(x):\n    return 6 if x == 3 else 1 / 0"
    hand_in("crash", "toy", root=toy_course, sources={"double": source})
    api = open_course(toy_course)
    autograde(api, "crash", "toy")
    assert read_scores(api).loc[("crash", "toy", "check-double"), "score"] == 0
    text = feedback(toy_course, "crash", "toy")
    assert "ZeroDivisionError: division by zero" in text
    assert "secret_probe" not in text


def test_a_folder_handed_in_does_not_shadow_labhelpers(toy_course):
    source = "import labhelpers\ndef double(x):\n"
    source += "    return 2 * x if hasattr(labhelpers, 'shadowed') else 0"
    path = hand_in("shadow", "toy", (), toy_course, sources={"double": source})
    (path.parent / "labhelpers").mkdir()
    (path.parent / "labhelpers" / "__init__.py").write_text("shadowed = True\n")
    api = open_course(toy_course)
    autograde(api, "shadow", "toy")
    assert total_scores(read_scores(api)).loc[("shadow", "toy"), "score"] == 0


def test_a_manual_score_survives_grading_again(toy_course):
    hand_in("reader", "toy", root=toy_course)
    api = open_course(toy_course)
    autograde(api, "reader", "toy")
    with Gradebook(api.coursedir.db_url) as gradebook:
        gradebook.find_grade("written-double", "toy", "toy", "reader").manual_score = 1.5
        gradebook.db.commit()
    autograde(api, "reader", "toy")
    scores = read_scores(api).loc[("reader", "toy"), "score"]
    assert scores["written-double"] == 1.5 and scores["check-double"] == 2


def test_a_cell_added_after_grading_says_what_to_do(toy_course):
    hand_in(MODEL, "toy", root=toy_course)
    api = open_course(toy_course)
    autograde(api, MODEL, "toy")
    notebook = toy_notebook()
    notebook.cells.append(copy.deepcopy(notebook.cells[1]))
    notebook.cells[-1].id = notebook.cells[-1].metadata.nbgrader.grade_id = "another"
    write_source(toy_course, notebook)
    with pytest.raises(CourseError, match=f"nbgrader db student remove --force {MODEL}"):
        build_student(toy_course)
    with Gradebook(api.coursedir.db_url) as gradebook:  # as that command does
        gradebook.remove_student(MODEL)
    build_student(toy_course)


def autograded(root: Path, student: str) -> nbformat.NotebookNode:
    path = root / "build" / "autograded" / student / "toy" / "toy.ipynb"
    return nbformat.read(path, as_version=4)


@pytest.mark.parametrize("text", ["", "<html></html>", "{}"])
def test_what_is_no_notebook_gets_no_points_and_a_flag(toy_course, text):
    hand_in("ann", "toy", root=toy_course).write_text(text)
    api = open_course(toy_course)
    autograde(api, "ann", "toy")
    scores = read_scores(api).loc[("ann", "toy")]
    assert list(scores["score"]) == [0, 0] and not scores["needs_manual_grade"].any()
    assert len(autograded(toy_course, "ann").metadata.labhelpers["flags"]) == 1


def test_a_renamed_notebook_is_named(toy_course):
    path = hand_in("ann", "toy", root=toy_course)
    path.rename(path.with_name("toy (1).ipynb"))
    with pytest.raises(CourseError, match=r"no toy\.ipynb; .* holds toy \(1\)\.ipynb"):
        autograde(open_course(toy_course), "ann", "toy")


def test_a_copied_cell_is_graded_once_and_told(toy_course):
    path = hand_in("ann", "toy", root=toy_course)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(copy.deepcopy(notebook.cells[2]))
    notebook.cells[-1].id = "another"
    notebook.metadata["labhelpers"] = {"repairs": ["smuggled"], "flags": ["smuggled"]}
    nbformat.write(notebook, path)
    api = open_course(toy_course)
    autograde(api, "ann", "toy")
    assert total_scores(read_scores(api)).loc[("ann", "toy"), "score"] == 2
    assert autograded(toy_course, "ann").metadata.labhelpers == {
        "repairs": ["The answer cell double is there 2 times; one carries its name."],
        "flags": [],
        "events": [],
    }


def test_an_unknown_exercise_is_refused(toy_course):
    with pytest.raises(CourseError, match=r"no exercise tripel; it has double, written-double"):
        hand_in("ann", "toy", ["tripel"], toy_course)


def test_wrong_sample_scores_are_reported(toy_course):
    scores = grade_samples(toy_course)
    assert score_problems(scores) == []
    scores.loc[(MODEL, "toy", "check-double"), "score"] = 1.0
    scores.loc[(UNTOUCHED, "toy", "check-double"), "score"] = 0.5
    scores.loc[(MODEL, "toy", "written-double"), "needs_manual_grade"] = False
    assert score_problems(scores) == [
        f"toy: the {MODEL} submission gets 1 of 2 points, not 2.",
        f"toy: the {UNTOUCHED} submission gets 0.5 of 2 points, not 0.",
        "toy: written-double of the model answer does not wait for a person.",
    ]


def test_the_overview_shows_points_and_what_the_solutions_reached(toy_course, tmp_path):
    scores = grade_samples(toy_course)
    scores = scores.rename(index={"toy": "2-generator"}, level="assignment")
    columns = [f"{metric} Test set" for metric in ("PSNR", "SSIM", "MAE")]
    saved = pd.DataFrame([[20.123, 0.9712, 0.04821, 13611073]], columns=[*columns, "parameters"])
    saved.to_csv(tmp_path / "generator-recommended.csv", index=False)
    row = lab_table({"2-generator": 12.3}, scores, tmp_path).loc["2-generator"]
    assert row.to_dict() == {
        "run time": "12 s",
        "model answer": "2 of 2",
        "untouched": "0 of 2",
        "to grade by hand": 1,
        "key figures": "Generator, test set: PSNR 20.12 dB, SSIM 0.971, MAE 0.0482; "
        "13,611,073 parameters",
    }
    (tmp_path / "generator-recommended.csv").unlink()
    row = lab_table({"2-generator": 12.3}, scores, tmp_path).loc["2-generator"]
    assert row["key figures"] == ""


def test_another_kernel_of_the_same_name_is_refused(toy_course, tmp_path, monkeypatch):
    """JUPYTER_PATH comes first, so nbgrader would run notebooks in another environment."""
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    argv = ["/elsewhere/bin/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Python 3", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    with pytest.raises(CourseError, match="would start /elsewhere/bin/python"):
        open_course(toy_course)


def test_a_folder_without_a_course_is_refused(tmp_path):
    with pytest.raises(CourseError, match=r"holds no nbgrader_config\.py"):
        open_course(tmp_path)
