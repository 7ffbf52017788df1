"""What notebook 3 shows of the lab's own trainings: read from the package, and made again."""

from dataclasses import replace

import pytest
import torch

from labhelpers.data import IXIDataset
from labhelpers.histories import stored_answers, stored_history
from labhelpers.instructor.experiments import histories, trials
from labhelpers.recipes import find_recipe


def test_each_training_has_its_epochs():
    for name, (_, num_epoch) in histories.TRAININGS.items():
        history = stored_history(name)
        assert history.index.tolist() == list(range(1, num_epoch + 1))
        assert history.index.name == "epoch"
    assert stored_history("written-second").index.name == "step"


@pytest.mark.parametrize("name", [*histories.TRAININGS, "written-second"])
def test_each_training_has_its_answers(name):
    answers = stored_answers(name)
    assert list(answers) == ["true", "generated", "mean image"]
    assert {len(values) for values in answers.values()} == {trials.N_VALIDATION}
    assert all(((values >= 0) & (values <= 1)).all() for values in answers.values())


def test_unknown_training():
    with pytest.raises(ValueError, match="choose one of corner, lambda-1, written"):
        stored_history("cgan")


def test_the_trainings_can_be_made_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(histories, "_SECOND_STEPS", 2)
    t1 = torch.rand(4, 1, 64, 64) * 2 - 1
    few = IXIDataset.from_tensors(t1, -t1)
    short = {"corner": (histories.TRAININGS["corner"][0], 1)}
    monkeypatch.setattr(histories, "TRAININGS", short)
    recipe = replace(find_recipe("cgan", "recommended"), batch_size=4)
    made = histories.train_histories(recipe, few, few)
    assert list(made) == [*short, "written-second"]
    for name in short:
        assert len(made[name]["losses"]["discriminator"]) == 1
        assert all(len(values) == 4 for values in made[name]["answers"].values())
    assert len(made["written-second"]["losses"]["discriminator"]) == 2
