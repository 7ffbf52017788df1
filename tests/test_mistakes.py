"""The table of known mistakes, and what nbgrader makes of answers with and without them."""

import re
from collections import defaultdict
from pathlib import Path
from random import Random

import pandas as pd
import pytest
from checking import HIDDEN, LIMIT, answers, load, solutions

from labhelpers.checks import verdict
from labhelpers.checks.exercises import EXERCISES
from labhelpers.checks.runner import run_cases
from labhelpers.instructor.authoring import expected
from labhelpers.instructor.authoring.edits import BuildError, edited, read_mistakes
from labhelpers.instructor.authoring.mistakes import (
    Answer,
    all_mistakes,
    grade_answers,
    mistake_problems,
)

MISTAKES = read_mistakes()
# One of each notebook. The known mistakes of an exercise are worked out together, up to a minute:
# those of the others are graded with `pytest --all-answers` only, and by `labhelpers mistakes`.
QUICK = {"intensity-lookup", "generator-step", "cgan-discriminator-loss", "lesion-contrast"}
TEXTS = [
    (exercise, name, key, mistake[key])
    for exercise, of_exercise in MISTAKES.items()
    for name, mistake in of_exercise.items()
    for key in ("nudge", "hint", "concept")
]


def test_there_are_many_mistakes_and_some_of_every_exercise() -> None:
    assert sum(map(len, MISTAKES.values())) >= 120
    assert MISTAKES.keys() == EXERCISES.keys()
    assert all(MISTAKES.values())


def test_entries_have_all_parts_and_no_other() -> None:
    for of_exercise in MISTAKES.values():
        for name, mistake in of_exercise.items():
            assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+|[a-z]+", name)
            assert mistake.keys() >= {"nudge", "hint", "concept"}
            assert mistake.keys() & {"replace", "before"}
            known = {"replace", "before", "also", "shows", "nudge", "hint", "concept"}
            assert mistake.keys() <= known


def test_texts_are_sentences_without_code() -> None:
    for exercise, name, key, text in TEXTS:
        where = f"{exercise}, {name}, {key}: {text}"
        assert text[0].isupper() or text.startswith(("lambda_", "in_channels", "n bins")), where
        assert text.rstrip('"').endswith((".", "?")), where
        rest = re.sub(r"`\w+`", "it", text)  # a name is fine
        assert not re.search(r"\w\(|==|\w\.\w+\(|[`=]", rest), f"{where} looks like code"
        assert len(text) < 260, where


def test_every_mistake_of_an_exercise_has_a_nudge_and_a_hint_of_its_own() -> None:
    seen = defaultdict(set)
    for exercise, name, key, text in TEXTS:
        if key != "concept":
            assert text not in seen[exercise], f"{exercise}, {name}: {text}"
            seen[exercise].add(text)


def test_a_mistake_of_an_unknown_exercise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {"mistakes/1-data-exploration.yaml": {"tea-making": {}}}
    monkeypatch.setattr(
        "labhelpers.instructor.authoring.edits.read_table", lambda name: tables.get(name, {})
    )
    with pytest.raises(BuildError, match="tea-making: no such exercise"):
        read_mistakes()


def test_problems_are_told_in_sentences() -> None:
    rejected = {"status": "wrong", "mistakes": ["median"]}
    taken_for_another = {"status": "partly", "mistakes": ["one-number"]}
    accepted = {"status": "right", "mistakes": []}
    nudge = MISTAKES["mean-image"]["median"]["nudge"]
    good = {"score": 0.0, "max_score": 2.0, "visible": rejected, "hidden": rejected, "text": nudge}
    rows = [
        good,
        good | {"score": 2.0, "visible": accepted},
        good | {"hidden": taken_for_another, "text": ""},
    ]
    index = pd.MultiIndex.from_tuples([("mean-image", "median")] * 3, names=["exercise", "answer"])
    assert mistake_problems(pd.DataFrame(rows[:1], index=index[:1])) == []
    assert mistake_problems(pd.DataFrame(rows, index=index)) == [
        "mean-image, median: nbgrader gives 2 points, all there are.",
        "mean-image, median: the visible check does not reject it.",
        "mean-image, median: the hidden check takes it for ['one-number'].",
        "mean-image, median: the report does not show the hint.",
    ]


@pytest.mark.parametrize("exercise", EXERCISES)
def test_known_mistakes_are_named_in_a_hidden_series(
    exercise: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of each exercise, worked out without the others."""
    drawn = dict(Random(exercise).sample(sorted(MISTAKES[exercise].items()), 2))
    monkeypatch.setattr(expected, "read_mistakes", lambda: {exercise: drawn})
    hidden = expected.numbers_of(exercise, HIDDEN, mistakes=True)
    assert hidden["mistakes"].keys() == drawn.keys()
    for name, mistake in drawn.items():
        answer = load(exercise, edited(solutions()[exercise], [mistake]))
        record = run_cases(exercise, answer, HIDDEN, LIMIT, explains=False)
        report = verdict.judge(record, hidden, quotes_values=False)
        assert report.mistakes == (name,), name
        assert report.score < report.points, name


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_nbgrader_gives_all_points_to_right_answers_and_names_known_mistakes(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A right answer of each exercise, known mistakes of some; more with `pytest --all-answers`."""
    everything = request.config.getoption("--all-answers")
    drawn = []
    for exercise in EXERCISES:
        right = [
            Answer(exercise, f"right: {answer.name}", answer.source)
            for answer in answers("right")
            if answer.exercise == exercise
        ]
        wrong = [answer for answer in all_mistakes() if answer.exercise == exercise]
        random = Random(exercise)
        drawn += right if everything else random.sample(right, 1)
        if everything or exercise in QUICK:
            drawn += random.sample(wrong, 1)
    table = grade_answers(drawn, tmp_path / "courses")
    assert len(table) == len(drawn)

    is_right = table.index.get_level_values("answer").str.startswith("right: ")
    for name, row in table[is_right].iterrows():
        assert row["score"] == row["max_score"] == points(name[0]), name
        assert row["visible"]["status"] == row["hidden"]["status"] == "right", name
        assert row["visible"]["mistakes"] == [], name
    assert mistake_problems(table[~is_right]) == []


def points(exercise: str) -> float:
    """The points of an exercise, from its notebook."""
    text = solutions()[exercise].notebook.read_text(encoding="utf-8")
    return float(re.search(rf"{exercise.replace('-', '_')}\(\w+, points=(\d+)\)", text)[1])
