"""The recipes: chosen by one word, and the objects that they make."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from labhelpers.blocks import PatchDiscriminator
from labhelpers.methods import METHODS
from labhelpers.recipes import (
    RECIPES,
    CGANRecipe,
    CycleGANRecipe,
    GeneratorRecipe,
    adam,
    choose_recipe,
    find_recipe,
    he_initialised,
)

BETAS = (0.5, 0.999)


def rates(schedule, num_step=20):
    """Return the learning rate of each step."""
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    scheduler = GeneratorRecipe(schedule=schedule).scheduler(optimizer, num_step)
    seen = []
    for _ in range(num_step):
        optimizer.step()
        seen.append(optimizer.param_groups[0]["lr"])
        scheduler.step()
    return seen


def test_every_trained_method_has_both_recipes():
    trained = [method.id for method in METHODS.values() if method.kind == "trained"]
    assert {method: list(recipes) for method, recipes in RECIPES.items()} == {
        method: ["reference", "recommended"] for method in trained
    }
    for method, recipes in RECIPES.items():
        assert all(recipe.method == method for recipe in recipes.values())
        assert all(recipe.name == name == recipe.label for name, recipe in recipes.items())


@pytest.mark.parametrize("method", RECIPES)
def test_reference_is_the_published_recipe(method):
    """Adam at 2e-4, batches of 40, all weights of the losses 1."""
    recipe = find_recipe(method, "reference")
    assert (recipe.batch_size, recipe.lr, recipe.schedule) == (40, 2e-4, "constant")
    assert getattr(recipe, "lr_discriminator", 2e-4) == 2e-4
    for loss in ("gan", "pixel", "cycle"):
        assert getattr(recipe, f"lambda_{loss}", 1) == 1


def test_recipe_has_no_choice_of_another_method():
    assert not hasattr(GeneratorRecipe(), "lambda_gan")
    assert not hasattr(CGANRecipe(), "lambda_cycle")
    with pytest.raises(TypeError, match="lambda_pixel"):
        replace(CycleGANRecipe(), lambda_pixel=2.0)


def test_choice_is_printed(capsys):
    assert choose_recipe("generator", "reference") is find_recipe("generator", "reference")
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
    with pytest.raises(ValueError, match="choose one of graded, patch"):
        CGANRecipe(discriminator="pixel").make_discriminator(nn.Identity)


def test_loader_has_the_batch_size_of_the_recipe():
    loader = GeneratorRecipe(batch_size=3).loader(TensorDataset(torch.arange(10)))
    batches = [batch.tolist() for (batch,) in loader]
    assert [len(batch) for batch in batches] == [3, 3, 3, 1]
    assert sorted(number for batch in batches for number in batch) == list(range(10))


def test_learning_rate_that_is_given_comes_before_the_recipes():
    recipe = CGANRecipe(lr=1e-3, lr_discriminator=5e-4)
    assert recipe.with_lr(None) is recipe
    networks = [nn.Linear(1, 1)], [nn.Linear(1, 1)]
    generator, discriminator = recipe.with_lr(0.1).optimizers(*networks, betas=BETAS)
    assert (generator.defaults["lr"], discriminator.defaults["lr"]) == (0.1, 5e-4)
    optimizer = GeneratorRecipe(lr=1e-3).optimizer(nn.Linear(1, 1), betas=BETAS)
    assert (optimizer.defaults["lr"], optimizer.defaults["betas"]) == (1e-3, BETAS)


def test_optimizer_holds_the_weights_of_all_networks():
    networks = nn.Linear(2, 2), nn.Linear(2, 2)
    optimizer = adam(*networks, lr=0.1, betas=BETAS)
    held = {id(weight) for weight in optimizer.param_groups[0]["params"]}
    assert held == {id(weight) for network in networks for weight in network.parameters()}


@pytest.mark.parametrize(("device", "fused"), [("cpu", True), ("meta", False)])
def test_adam_is_fused_only_where_that_exists(device, fused):
    assert adam(nn.Linear(1, 1, device=device), lr=0.1, betas=BETAS).defaults["fused"] is fused


def test_discriminators_are_those_of_the_recipe():
    assert isinstance(CGANRecipe().make_discriminator(nn.Identity), nn.Identity)
    patch = CGANRecipe(discriminator="patch").make_discriminator(nn.Identity)
    slices = torch.zeros(1, 1, 64, 64)
    assert patch(slices, slices).shape == (1, 1, 1, 1)
    first, second = CycleGANRecipe(discriminator="patch").make_discriminators(nn.Identity)
    assert isinstance(first, PatchDiscriminator)
    assert first is not second


def test_discriminators_start_with_the_weights_of_he_if_the_recipe_says_so():
    def make():
        return nn.Conv2d(8, 8, 3)

    for he_initialisation in (False, True):
        recipe = CycleGANRecipe(he_initialisation=he_initialisation)
        pair = recipe.make_discriminators(make)
        assert all((network.bias == 0).all() == he_initialisation for network in pair)


@pytest.mark.parametrize(
    ("alone", "until", "epochs"),
    [(0, 0, (0, 0)), (0.2, 1, (4, 20)), (0.2, 0.2, (4, 4)), (1, 1, (20, 20)), (0.2, 0, (0, 0))],
)
def test_mean_pair_comes_first_and_never_without_being_shown(alone, until, epochs):
    recipe = CycleGANRecipe(mean_pair_alone=alone, mean_pair_until=until)
    assert recipe.mean_pair_epochs(20) == epochs


def test_average_follows_the_weights():
    network = nn.Linear(1, 1, bias=False)
    average = GeneratorRecipe(averaging=0.9).average(network)
    weights = []
    for weight in (1.0, 0.0, 0.0):
        torch.nn.init.constant_(network.weight, weight)
        average.update_parameters(network)
        weights.append(average.module.weight.item())
    assert weights == pytest.approx([1, 2 / 11, 2 / 11 * 3 / 12])  # little is kept at first
    for _ in range(200):
        average.update_parameters(network)
    torch.nn.init.ones_(network.weight)
    average.update_parameters(network)
    assert average.module.weight.item() == pytest.approx(0.1)


def test_average_copies_what_is_no_weight():
    network = nn.BatchNorm1d(2)
    average = GeneratorRecipe(averaging=0.9).average(network)
    network(torch.ones(3, 2))
    average.update_parameters(network)
    assert average.module.num_batches_tracked.item() == 1
    assert torch.equal(average.module.running_mean, network.running_mean)


def test_no_averaging_gives_the_last_weights():
    network = nn.Linear(3, 3)
    average = GeneratorRecipe().average(network)
    for _ in range(3):
        torch.nn.init.normal_(network.weight)
        average.update_parameters(network)
        assert torch.equal(average.module.weight, network.weight)


def test_he_initialisation_keeps_the_strength_of_a_signal():
    def strength(network):
        return network(torch.randn(20, 8, 16, 16)).std().item()

    torch.manual_seed(0)
    layers = [nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.LeakyReLU(0.2)) for _ in range(5)]
    network = nn.Sequential(*layers)
    assert strength(network) < 0.2
    assert he_initialised(network) is network
    assert 0.3 < strength(network) < 3


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
