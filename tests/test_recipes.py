"""The recipes: chosen by one word, and what their schedules do."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from labhelpers.recipes import RECIPES, REFERENCE, Recipe, choose_recipe


def rates(schedule, num_step=20):
    """Return the learning rate of each step."""
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    scheduler = replace(REFERENCE, schedule=schedule).scheduler(optimizer, num_step)
    seen = []
    for _ in range(num_step):
        optimizer.step()
        seen.append(optimizer.param_groups[0]["lr"])
        scheduler.step()
    return seen


def test_every_method_has_both_recipes():
    assert {method: list(recipes) for method, recipes in RECIPES.items()} == {
        method: ["reference", "recommended"] for method in ("generator", "cgan", "cyclegan")
    }
    assert all(name == recipe.name for both in RECIPES.values() for name, recipe in both.items())


def test_reference_is_the_published_recipe():
    published = Recipe(batch_size=40, lr=2e-4, lr_discriminator=2e-4, schedule="constant")
    assert all(recipes["reference"] == REFERENCE == published for recipes in RECIPES.values())


def test_choice_says_what_it_is(capsys):
    assert choose_recipe("generator", "reference") is REFERENCE
    assert capsys.readouterr().out == ("Recipe 'reference': batch size 40, learning rate 0.0002.\n")
    choose_recipe("cgan")
    assert "'recommended': batch size 4" in capsys.readouterr().out


def test_unknown_words_list_the_known():
    with pytest.raises(ValueError, match="choose one of generator, cgan, cyclegan"):
        choose_recipe("gan")
    with pytest.raises(ValueError, match="choose one of reference, recommended"):
        choose_recipe("cgan", "best")
    with pytest.raises(ValueError, match="choose one of constant, cosine, one-cycle"):
        rates("linear")


def test_constant_schedule():
    assert rates("constant") == [1.0] * 20


def test_cosine_schedule_falls_to_almost_nothing():
    seen = rates("cosine")
    assert seen[0] == 1.0
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] < 0.01


def test_one_cycle_rises_and_falls():
    seen = rates("one-cycle")
    top = seen.index(max(seen))
    assert 0.2 < top / len(seen) < 0.4
    assert seen[top] == pytest.approx(1.0, abs=0.02)
    assert seen[:top] == sorted(seen[:top])
    assert seen[top:] == sorted(seen[top:], reverse=True)
    assert seen[0] < 0.1
    assert seen[-1] < 0.02
