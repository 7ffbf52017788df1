import copy
import json
import shutil
from pathlib import Path

import pytest
import torch

from labhelpers.checks.comparison import with_replacements
from labhelpers.checks.exercises import EXERCISES
from labhelpers.checks.fingerprint import describe, hashed, observe, same
from labhelpers.checks.verdict import TEXTS_FILE, VISIBLE_FILE
from labhelpers.instructor.authoring import expected
from labhelpers.instructor.authoring.edits import BuildError, UnfitError, edited
from labhelpers.instructor.authoring.expected import differences
from labhelpers.instructor.sources import NOTEBOOKS, Solution, read_solutions, run_source


def test_the_ways_that_an_exercise_names_are_in_the_table() -> None:
    stored = json.loads(VISIBLE_FILE.read_text(encoding="utf-8"))
    ways = {key: {*exercise.written_out} for key, exercise in EXERCISES.items()}
    assert {key for key, names in ways.items() if names} == {"cgan-step", "cyclegan-step"}
    assert all(names <= {*stored[key]["accepted"]} for key, names in ways.items())


@pytest.mark.slow
def test_the_stored_numbers_are_up_to_date() -> None:
    assert expected.stale(expected.build()) == []


def test_a_stale_number_or_text_a_changed_mistake_and_a_missing_item_are_found() -> None:
    texts = json.loads(TEXTS_FILE.read_text(encoding="utf-8"))
    stored = json.loads(VISIBLE_FILE.read_text(encoding="utf-8")) | {"texts": texts}
    assert differences(stored, copy.deepcopy(stored)) == []

    other = copy.deepcopy(stored)
    loss = other["generator-step"]["reference"]["loss"]
    label = next(iter(loss))
    loss[label]["numbers"][0] *= 1 + 1e-4
    other["generator-step"]["mistakes"]["two-steps-made"][""][0]["marks"] = {}
    del other["cgan-step"]["reference"]["form"]
    other["texts"]["exercises"]["generator-step"]["items"]["loss"]["likely"] = "something else"
    assert differences(stored, other) == [
        "/cgan-step/reference/form",
        "/generator-step/mistakes/two-steps-made/",
        f"/generator-step/reference/loss/{label}",
        "/texts/exercises/generator-step/items/loss/likely",
    ]


def test_the_files_are_small() -> None:
    for path in (TEXTS_FILE, VISIBLE_FILE):
        assert path.stat().st_size < 750_000


def test_a_change_must_fit_the_solution() -> None:
    solution = Solution("toy", Path("toy.ipynb"), "a = 1\nb = 1\n")
    edit = {"replace": [["a = 1", "a = c"]], "before": "c = 2"}
    assert edited(solution, [edit]) == "c = 2\na = c\nb = 1"
    for old in ("= 1", "c"):
        with pytest.raises(UnfitError, match=r"Expected exactly once"):
            edited(solution, [{"replace": [[old, "?"]]}])


def test_changes_add_replace_and_remove_observations() -> None:
    reference = {"loss": {"a": 1, "b": 2}, "form": {"a": "x"}}
    changes = {"loss": {"a": 5, "b": None}}
    assert with_replacements(reference, changes) == {"loss": {"a": 5}, "form": {"a": "x"}}
    assert reference == {"loss": {"a": 1, "b": 2}, "form": {"a": "x"}}


def test_a_mistake_that_no_probe_sees_is_refused() -> None:
    solution = read_solutions()["mean-image"]
    nothing = {"replace": [["dim=0", "dim=(0,)"]], "nudge": "", "hint": "", "concept": ""}
    items = {"values": {"checks": "", "weight": 1, "likely": ""}}
    with pytest.raises(BuildError, match="makes no difference"):
        expected._numbers(solution, 0, items, {}, {"same": nothing})


def test_solutions_bring_what_stands_before_them() -> None:
    step = read_solutions()["cgan-step"]
    assert "def cgan_generator_loss" in step.preamble
    assert "def cgan_step" not in step.preamble
    assert "labhelpers.instructor" not in step.preamble
    assert callable(run_source(step.source, step.preamble)["cgan_step"])


def test_a_missing_exercise_or_notebook_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="No notebooks in"):
        read_solutions(tmp_path)
    shutil.copytree(NOTEBOOKS / "2-generator", tmp_path / "2-generator")
    with pytest.raises(BuildError, match="no solution cell for audit-split"):
        expected.build(tmp_path)


def test_hashed_numbers_are_the_same_for_ever() -> None:
    numbers = hashed((3,), seed=1)
    torch.testing.assert_close(numbers, torch.tensor(FIRST, dtype=torch.float64), rtol=0, atol=0)
    many = hashed((300, 400), seed=5)
    assert many.abs().max() < 1
    assert abs(many.mean()) < 0.01
    assert abs(many.std() - 3**-0.5) < 0.01


FIRST = [-0.1193066459962202, -0.0020795224989702543, -0.026072151362718232]


@pytest.mark.parametrize("shape", [(), (4,), (3, 1, 20, 20)])
def test_observations_notice_one_changed_number_but_not_float32(shape: tuple[int, ...]) -> None:
    tensor = hashed(shape, seed=9)
    seen = observe(tensor)
    assert same(observe(tensor.float().double()), seen)
    other = tensor.clone()
    other.view(-1)[-1] += 0.5
    assert not same(observe(other), seen)
    assert not same(observe(tensor[None]), seen)
    assert not same(observe(tensor * float("nan")), seen)
    assert not same("text", seen)


def test_observations_in_words() -> None:
    assert describe(observe(torch.tensor(0.25))) == "0.25"
    assert describe(observe([1.5, float("inf")])) == "[1.5, inf]"
    assert describe(observe(torch.arange(6.0))) == "6 numbers: [0, 1, 2, 3, 4, 5]"
    some = torch.zeros(1_200).index_fill(0, torch.tensor([7]), float("nan"))
    assert describe(observe(some)) == "1,200 numbers, nan among them"
    assert describe(observe(torch.zeros(2, 40))) == "shape (2, 40), all 0"
    assert describe(observe(torch.zeros(1_200))) == "1,200 numbers, all 0"
    assert describe(observe(torch.zeros(2, 1))) == "[0, 0] of shape (2, 1)"
    assert describe(True) == "yes"
    assert describe(13_611_073) == "13,611,073"
    assert describe(list(range(20))).endswith("… (20 in all)]")
