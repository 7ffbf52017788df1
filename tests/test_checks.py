import re
import warnings
from functools import partial

import pytest
import torch
from checking import (
    HIDDEN,
    SERIES,
    Answer,
    answers,
    judge,
    load,
    numbers,
    solutions,
    untouched,
    wrong,
)

from labhelpers import checks
from labhelpers.checks import verdict
from labhelpers.checks.cases import Setting
from labhelpers.checks.exercises import EXERCISES
from labhelpers.checks.report import Item, Report, Table
from labhelpers.checks.runner import run_cases
from labhelpers.instructor.authoring.edits import edited, read_concepts, read_mistakes
from labhelpers.instructor.course.nbgrader import REPOSITORY


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("exercise", EXERCISES)
def test_reference_solutions_earn_all_points(exercise: str, series: int) -> None:
    report = judge(exercise, load(exercise), series, points=3)
    assert (report.status, report.score) == ("right", 3), report.text
    assert not report.notes


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("exercise", EXERCISES)
def test_untouched_exercises_are_not_attempted(exercise: str, series: int) -> None:
    report = judge(exercise, untouched(exercise), series)
    assert (report.status, report.score) == ("not attempted", 0)
    tests = " (hidden tests)" if series else ""
    assert report.headline == f"{EXERCISES[exercise].name}{tests}: not attempted yet, 0 of 3 points"


def judge_both(answer: Answer) -> list[Report]:
    """Judge an answer in both series, in one of them in float32: rounding must not matter."""
    load_anew = partial(load, answer.exercise, answer.source)
    return [
        judge(answer.exercise, load_anew()),
        judge(answer.exercise, load_anew(), HIDDEN, dtype=torch.float32),
    ]


@pytest.mark.parametrize("answer", answers("right"), ids=str)
def test_right_answers_written_differently_earn_all_points(answer: Answer) -> None:
    for report in judge_both(answer):
        assert (report.status, report.score) == ("right", 3), report.text


@pytest.mark.parametrize("answer", answers("wrong"), ids=str)
def test_wrong_answers_lose_points_and_known_mistakes_are_named(answer: Answer) -> None:
    visible, hidden = judge_both(answer)
    for report in (visible, hidden):
        assert report.status in ("partly", "wrong"), report.text
        assert report.score < 3
    assert visible.mistakes == answer.mistakes, visible.text


@pytest.mark.parametrize("exercise", EXERCISES)
def test_verdicts_do_not_depend_on_the_default_type(exercise: str) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        report = judge(exercise, load(exercise))
    finally:
        torch.set_default_dtype(torch.float32)
    assert report.status == "right", report.text


@pytest.mark.parametrize(
    ("exercise", "name", "at_most"),
    [
        ("generator-unet", "constant of the right shape and number of weights", 0),
        ("generator-unet", "layers made in forward", 0),
        ("generator-unet", "layers in a plain list", 1.5),
        ("discriminator", "layers replaced in forward", 1.5),
        ("lesion-contrast", "zeros of the right shape", 0),
        ("mean-image", "zeros of the right shape", 0),
        ("cgan-generator-loss", "no graph", 1.5),
        ("cgan-discriminator-loss", "no graph", 1.5),
        ("cyclegan-generator-loss", "no graph", 1.5),
        ("cyclegan-step", "nothing trained", 1.5),
        ("generator-step", "no step", 1.5),
    ],
)
def test_answers_that_only_look_right_earn_little(exercise: str, name: str, at_most: float) -> None:
    assert judge(exercise, wrong(exercise, name)).score <= at_most


def test_most_of_a_right_answer_earns_most_of_the_points() -> None:
    report = judge("generator-step", wrong("generator-step", "returns a number"), points=10)
    assert report.status == "partly"
    assert 9 <= report.score < 10


def test_there_is_a_check_for_every_exercise(capsys: pytest.CaptureFixture[str]) -> None:
    names = [exercise.check_name for exercise in EXERCISES.values()]
    assert checks.__all__ == ["Report", *names]
    for exercise in EXERCISES.values():
        check = getattr(checks, exercise.check_name)
        assert check.__name__ == exercise.check_name
        assert f"`{exercise.name}`" in check.__doc__
    score = checks.mean_image(load("mean-image"), points=2)
    assert repr(score) == "2.0"  # what nbgrader reads
    assert "2 points" in score._repr_html_()
    assert capsys.readouterr().out.startswith("mean_t2_image: all right, 2 of 2 points\n[ok] ")


def test_students_cannot_ask_for_hidden_tests() -> None:
    with pytest.raises(TypeError):
        checks.mean_image(load("mean-image"), points=2, variant="hidden")


def test_a_hidden_report_names_the_concept_and_quotes_nothing() -> None:
    answer = wrong("generator-step", "gradients never cleared")
    record = run_cases("generator-step", answer, HIDDEN)
    report = verdict.judge(
        record,
        numbers("generator-step", HIDDEN, mistakes=True),
        quotes_values=False,
        concepts=read_concepts("generator-step"),
    )
    assert report.headline.startswith("generator_step (hidden tests): partly right")
    assert report.as_record()["hidden"] is True
    assert "Gradients accumulate" in report.text
    assert "expected" not in report.text
    assert str(HIDDEN) not in str(report.as_record())


def test_a_report_can_be_read_on_every_background_and_without_styles_for_tables() -> None:
    items = [Item(sign, "What holds.", sign, [("hint", "A text")]) for sign in ("right", "wrong")]
    table = Table("layers", ("step", "got"), [("1", "Conv2d")])
    for status in ("right", "partly", "wrong", "not attempted"):
        html = Report(
            "a", "f", status, 1, 2, [*items, Item("c", "?", "open")], table=table
        )._repr_html_()
        styles = [
            dict(re.findall(r"([\w-]+):([^;]+)", s)) for s in re.findall("style='(.*?)'", html)
        ]
        for style in styles:
            if "color" in style:  # then its background does not depend on the theme either
                lighter, darker = map(luminance, (style["color"], style["background-color"]))
                assert (lighter + 0.05) / (darker + 0.05) >= 4.5
        assert sum("color" in style for style in styles) == 3
        for cell in re.findall("<t[dh] style='(.*?)'", html):
            assert "padding:0.15em 1em" in cell and "text-align:left" in cell
        in_view, _, folded = html.partition("<details")
        assert "✗" in in_view
        assert ("✓" in folded) == (status != "right")
        assert ("Also looked at: 1 right, 1 judged once" in folded) == (status != "right")


def luminance(colour: str) -> float:
    """Return the relative luminance of `#rrggbb`, as WCAG 2 defines it."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_a_hidden_report_quotes_nothing_that_a_student_wrote() -> None:
    class Size4(Exception):
        pass

    def talkative(*arguments: object) -> None:
        print("secret")
        warnings.warn("secret", UserWarning, stacklevel=1)
        raise Size4("secret")

    report = judge("generator-step", talkative, HIDDEN)
    assert report.notes == [("stopped", "an error")]
    assert "secret" in judge("generator-step", talkative).text


def test_an_error_that_comes_with_each_batch_is_told_once() -> None:
    answer = solutions()["generator-unet"].source.replace("UNetUp(1024, 256)", "UNetUp(512, 256)")
    notes = judge("generator-unet", load("generator-unet", answer)).notes
    assert [word for word, _ in notes].count("stopped") == 1


def test_an_activation_at_the_end_shows_where_all_logits_are_positive() -> None:
    mistake = read_mistakes()["discriminator"]["activation-at-the-end"]
    answer = load("discriminator", edited(solutions()["discriminator"], [mistake]))
    series = 767_981_032
    logits = numbers("discriminator", series)["reference"]["values"]["default channels"]
    assert min(logits["numbers"]) > 0
    assert judge("discriminator", answer, series).status == "partly"


def test_each_series_has_its_own_seeds_and_takes_the_options_in_turn() -> None:
    settings = [Setting(series) for series in range(4)]
    assert [setting.choose("a", "b") for setting in settings] == ["a", "b", "a", "b"]
    assert [setting.seed(7) for setting in settings] == [7, 5_007, 10_007, 15_007]


def test_a_known_mistake_gets_a_nudge_then_a_hint(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(checks._recognised, "clinic-cgan", set())
    name, mistake = next(iter(read_mistakes()["clinic-cgan"].items()))
    answer = load("clinic-cgan", edited(solutions()["clinic-cgan"], [mistake]))
    for key in ("nudge", "hint"):
        assert checks.clinic_cgan(answer, points=3) < 3
        said = " ".join(capsys.readouterr().out.split())
        assert verdict.mistake_texts("clinic-cgan", name)[key] in said


def test_what_an_explanation_says_is_not_asked_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(checks._recognised, "generator-step", set())
    step = wrong("generator-step", "gradients never cleared")
    said = []
    for _ in range(2):
        assert 0 < checks.generator_step(step, points=3) < 3
        said.append(" ".join(capsys.readouterr().out.split()))
    assert "gradients of the step before" in said[0] and "hint" not in said[0]
    assert "adds each new gradient" in said[1]


def test_a_nudge_goes_only_if_the_explanation_is_about_the_same_items() -> None:
    record = run_cases("generator-step", wrong("generator-step", "gradients never cleared"))
    known = numbers("generator-step", 0)
    assert record["explanation"]
    for items, is_asked in ((["second-step"], False), (["form"], True), ([], True)):
        record["explanation"]["items"] = items
        report = verdict.judge(record, known)
        assert ("hint" in dict(report.notes)) == is_asked


@pytest.mark.parametrize("exercise", ["intensity-lookup", "cgan-generator-loss", "cgan-step"])
def test_hidden_tests_do_not_show_their_numbers(exercise: str) -> None:
    for answer in answers("wrong"):
        if answer.exercise == exercise:
            report = judge(exercise, load(exercise, answer.source), HIDDEN)
            words = {word for item in report.items for word, _ in item.details}
            assert words <= {"likely"}
            assert report.table is None


def test_parameter_counts_are_those_of_the_lab() -> None:
    stored = verdict.read_json(verdict.VISIBLE_FILE)
    counts = {"generator-unet": 13_611_073, "discriminator": 1_550_913}
    for exercise, count in counts.items():
        assert stored[exercise]["reference"]["parameters"]["default channels"] == count


@pytest.mark.parametrize("exercise", ["cgan-step", "cyclegan-step"])
def test_a_step_leaves_the_losses_of_the_student_in_place(exercise: str) -> None:
    step = load(exercise)
    name = exercise.replace("-step", "_generator_loss")
    before = step.__globals__[name]
    judge(exercise, step)
    assert step.__globals__[name] is before
    del step.__globals__[name]  # a student who never ran that cell
    assert judge(exercise, step).status == "right"
    assert name not in step.__globals__


def test_no_line_of_a_solution_is_in_what_students_install() -> None:
    package = REPOSITORY / "labhelpers"
    shipped = "\n".join(
        path.read_text(encoding="utf-8")
        for path in package.rglob("*.*")
        if path.suffix in (".py", ".json") and path.relative_to(package).parts[0] != "instructor"
    )
    for exercise in EXERCISES:
        solution = solutions()[exercise].source
        for region in solution.split("### BEGIN SOLUTION")[1:]:
            for line in region.split("### END SOLUTION")[0].splitlines():
                if len(line.strip()) > 25:
                    assert line.strip() not in shipped
