"""Neither names nor the order of independent statements change a verdict."""

from random import Random

import pytest
from checking import EXERCISES, exercises, judge, load
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rewriting import rewritten

from labhelpers.instructor.authoring.edits import read_mistakes, source_with

REPEATED = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
SLOW = {"generator-unet", "make-dataloaders"}
FEW, MANY = settings(REPEATED, max_examples=4), settings(REPEATED, max_examples=20)
SEEDS = st.integers(0, 2**32)
MISTAKES = read_mistakes()


@pytest.mark.parametrize("exercise", EXERCISES)
def test_a_right_answer_stays_right(exercise: str) -> None:
    @(FEW if exercise in SLOW else MANY)
    @given(seed=SEEDS)
    def check(seed: int) -> None:
        source = rewritten(exercises()[exercise].source, Random(seed))
        report = judge(exercise, load(exercise, source))
        assert report.status == "right", f"{source}\n{report.text}"

    check()


@pytest.mark.parametrize("exercise", EXERCISES)
def test_a_known_mistake_stays_the_same_mistake(exercise: str) -> None:
    @(FEW if exercise in SLOW else MANY)
    @given(name=st.sampled_from(sorted(MISTAKES[exercise])), seed=SEEDS)
    def check(name: str, seed: int) -> None:
        mistaken = source_with(exercises()[exercise], [MISTAKES[exercise][name]])
        source = rewritten(mistaken, Random(seed))
        report = judge(exercise, load(exercise, source))
        assert report.mistakes == (name,), f"{source}\n{report.text}"

    check()


def test_rewriting_changes_names_and_order() -> None:
    source = exercises()["generator-unet"].source
    versions = {rewritten(source, Random(seed)) for seed in range(5)}
    assert len(versions) == 5
    for version in versions:
        assert "down1" not in version
        assert "in_channels" in version


def test_rewriting_keeps_what_depends_on_each_other_in_order() -> None:
    source = exercises()["cgan-step"].source
    moved = 0
    for seed in range(10):
        version = rewritten(source, Random(seed))
        calls = [part.split("(")[0] for part in version.split(".")[1:]]
        steps = [call for call in calls if call in ("backward", "step")]
        assert steps == ["backward", "step", "backward", "step"]
        moved += version.index("zero_grad") < version.index("cgan_generator_loss")
    assert 0 < moved < 10
