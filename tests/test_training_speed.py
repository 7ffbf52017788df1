"""The benchmark compares like with like: same networks, same losses, both learn."""

import pytest
import torch

from labhelpers.data import IXIDataset
from labhelpers.instructor.experiments import training_speed
from labhelpers.instructor.experiments.published import plain_step
from labhelpers.instructor.experiments.trials import training_loader
from labhelpers.instructor.sources import TRAINING_NOTEBOOKS, given_source, run_source
from labhelpers.phantom import write_phantom
from labhelpers.recipes import GeneratorRecipe, find_recipe

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def names():
    return {
        method: run_source(given_source(notebook))
        for method, notebook in TRAINING_NOTEBOOKS.items()
    }


def losses_of(make, t1, monkeypatch):
    """Return all losses that three steps differentiate."""
    torch.manual_seed(0)
    step, seen, backward = make(), [], torch.Tensor.backward

    def watched(loss):
        seen.append(loss.item())
        backward(loss)

    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "backward", watched)
        for _ in range(3):
            step(t1, -t1)
    return seen


@pytest.mark.parametrize("method", TRAINING_NOTEBOOKS)
def test_both_ways_make_the_same_first_steps(method, names, monkeypatch):
    """The losses of three steps on one batch agree, so the work is the same."""
    t1 = torch.rand(3, 1, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    dataset = IXIDataset.from_tensors(t1, -t1)
    loader = training_loader(method, names[method], dataset, find_recipe(method, "reference"))
    ways = {
        "plain": lambda: plain_step(method, names[method], CPU),
        "lab": lambda: training_speed._lab_step(method, names[method], loader, False),
    }
    losses = {way: losses_of(make, t1, monkeypatch) for way, make in ways.items()}
    assert losses["lab"][0] == pytest.approx(losses["plain"][0], abs=1e-3)
    # From then on the discriminators see slices made before the generator's step, or after it.
    assert losses["lab"] == pytest.approx(losses["plain"], abs=0.1)
    assert len(losses["lab"]) == len(losses["plain"])


def test_table_of_one_method(tmp_path, monkeypatch):
    root = write_phantom(tmp_path, 8)
    recipe = GeneratorRecipe(batch_size=3)
    monkeypatch.setattr(training_speed, "find_recipe", lambda method, name: recipe)
    monkeypatch.setattr(training_speed, "TRAINING_NOTEBOOKS", {"generator": "2-generator"})
    monkeypatch.setattr(training_speed, "gains_from_bfloat16", lambda device: True)
    monkeypatch.setattr(training_speed, "in_new_process", lambda *arguments: 1.0)
    result = training_speed.benchmark_training(root, repeats=1)
    rows = result["steps"]
    variants = [training_speed.PLAIN, training_speed.FLOAT32, training_speed.BFLOAT16]
    assert [row["variant"] for row in rows] == variants
    assert result["peaks"].keys() == {*variants[1:]}
    for row in rows:
        assert 0 < row["share_of_peak"] < 1.2
        # Three passes, of 0.57 GFLOP a slice each; rearranging the layers does not change the work.
        peak = result["peaks"].get(row["variant"], result["peaks"][training_speed.FLOAT32])
        gflop = row["share_of_peak"] * peak * row["seconds"]
        assert gflop == pytest.approx(3 * 3 * 0.575, rel=0.02)
