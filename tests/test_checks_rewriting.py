"""Neither names nor the order of independent statements change a verdict."""

from random import Random

import pytest
from checking import judge, load, solutions
from rewriting import rewritten

from labhelpers.checks.exercises import EXERCISES
from labhelpers.instructor.authoring.edits import edited, read_mistakes

SEEDS = range(3)
MISTAKES = read_mistakes()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("exercise", EXERCISES)
def test_a_right_answer_stays_right(exercise: str, seed: int) -> None:
    source = rewritten(solutions()[exercise].source, Random(seed))
    report = judge(exercise, load(exercise, source))
    assert report.status == "right", f"{source}\n{report.text}"


@pytest.mark.parametrize("exercise", EXERCISES)
def test_a_known_mistake_stays_the_same_mistake(exercise: str) -> None:
    random = Random(exercise)
    name = random.choice(sorted(MISTAKES[exercise]))
    source = rewritten(edited(solutions()[exercise], [MISTAKES[exercise][name]]), random)
    report = judge(exercise, load(exercise, source))
    assert report.mistakes == (name,), f"{source}\n{report.text}"


def test_rewriting_changes_names_and_order() -> None:
    source = solutions()["generator-unet"].source
    versions = {rewritten(source, Random(seed)) for seed in range(5)}
    assert len(versions) == 5
    for version in versions:
        assert "down1" not in version
        assert "in_channels" in version


def test_rewriting_keeps_what_depends_on_each_other_in_order() -> None:
    source = solutions()["cgan-step"].source
    moved = 0
    for seed in range(10):
        version = rewritten(source, Random(seed))
        calls = [part.split("(")[0] for part in version.split(".")[1:]]
        steps = [call for call in calls if call in ("backward", "step")]
        assert steps == ["backward", "step", "backward", "step"]
        moved += version.index("zero_grad") < version.index("cgan_generator_loss")
    assert 0 < moved < 10
