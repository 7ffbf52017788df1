"""Train what notebook 3 shows of the lab's own trainings: `labhelpers experiments histories`."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from labhelpers.blocks import PatchDiscriminator
from labhelpers.data import IXIDataset
from labhelpers.histories import FILE
from labhelpers.instructor.experiments.trials import validation_split, working_folder
from labhelpers.instructor.sources import TRAINING_NOTEBOOKS, given_source, run_source
from labhelpers.metrics import generate
from labhelpers.recipes import CGANRecipe
from labhelpers.session import seed_everything
from labhelpers.training import load_history

__all__ = ["TRAININGS", "train_histories", "write_histories"]

TRAININGS: dict[str, tuple[dict[str, Any], int]] = {
    "corner": ({"discriminator": "graded"}, 6),
    "lambda-1": ({"lambda_gan": 1.0}, 6),
    "written": ({"lr_discriminator": 5e-6}, 4),  # the evidence of the written question
}
"""By name: what is changed in the recommended recipe, and the number of epochs."""

_SECOND_STEPS, _SECOND_SUBJECTS = 150, 80  # of the second discriminator in the written question
_PLACES = 4  # decimals


def train_histories(
    recommended: CGANRecipe, train_set: IXIDataset, held_out: IXIDataset
) -> dict[str, Any]:
    """Return what `labhelpers.histories` reads: losses by name, and answers to held-out subjects.

    Samples go to `images/` in the working folder.

    Args:
        recommended: The recipe that is changed.
        train_set: Subjects to train on.
        held_out: Subjects whose slices the discriminators judge at the end.
    """
    names = run_source(given_source(TRAINING_NOTEBOOKS["cgan"]))
    loader = DataLoader(held_out, batch_size=5)
    mean_image = train_set.t2.mean(dim=0, keepdim=True).expand_as(held_out.t2)
    trainings: dict[str, Any] = {}

    def answers(discriminator: nn.Module, images: dict[str, Tensor]) -> dict[str, list[float]]:
        return {
            image: _rounded(names["probabilities"](discriminator, slices, held_out.t1))
            for image, slices in images.items()
        }

    for name, (changes, num_epoch) in TRAININGS.items():
        recipe = replace(recommended, **changes)
        seed_everything(0)
        discriminator = recipe.make_discriminator(names["Discriminator"])
        generator = names["train_cgan"](
            recipe.loader(train_set),
            loader,
            num_epoch,
            recipe=recipe,
            name=name,
            discriminator=discriminator,
        )
        fake_t2 = generate(generator, loader)["fake_t2"]
        images = {"true": held_out.t2, "generated": fake_t2, "mean image": mean_image}
        trainings[name] = {
            "index": "epoch",
            "losses": load_history(name).round(_PLACES).to_dict("list"),
            "answers": answers(discriminator, images),
        }
    # `generator` and `images` are those of the last training, the one of the written question.
    few = range(min(_SECOND_SUBJECTS, len(train_set)))
    pairs = generate(generator, DataLoader(Subset(train_set, few), batch_size=40))
    seed_everything(0)
    second = PatchDiscriminator(2)
    losses = names["train_alone"](
        second,
        {"T1": pairs["real_t1"], "T2": pairs["real_t2"]},
        pairs["fake_t2"],
        num_step=_SECOND_STEPS,
    )
    trainings["written-second"] = {
        "index": "step",
        "losses": {"discriminator": _rounded(torch.tensor(losses))},
        "answers": answers(second, images),
    }
    return trainings


def write_histories(root: Path, recommended: CGANRecipe, file: Path = FILE) -> None:
    """Train and write the file of the package (ten minutes on two CPU cores).

    Args:
        root: Folder of the IXI slices.
        recommended: The recipe that is changed.
        file: Where to write.
    """
    train_set, held_out = validation_split(root)
    with tempfile.TemporaryDirectory() as scratch, working_folder(Path(scratch)):
        trainings = train_histories(recommended, train_set, held_out)
    lines = (f' "{name}": {json.dumps(training)}' for name, training in trainings.items())
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _rounded(values: Tensor) -> list[float]:
    return [round(value, _PLACES) for value in values.tolist()]
