"""Write the stored slices and values from trained networks: `labhelpers experiments stored`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from labhelpers import stored
from labhelpers.data import IXIDataset
from labhelpers.download import fetch_ixi
from labhelpers.instructor.experiments.report import find
from labhelpers.instructor.experiments.trials import network_file
from labhelpers.instructor.sources import TRAINING_NOTEBOOKS, given_source, run_source
from labhelpers.results import generated_slices

__all__ = ["STORED", "write_stored"]

STORED = {
    ("generator", "recommended"): ("generator", "recommended"),
    ("generator", "as-cgan"): ("cgan", "lambda_gan 0"),
    ("cgan", "recommended"): ("cgan", "recommended"),
    ("cyclegan", "recommended"): ("cyclegan", "recommended"),
}
"""What is stored, by method and recipe as `results.generated_slices` calls them: method and name of
the trial that trained it (`trials.read_results`)."""

_PLACES = {"MAE": 4, "PSNR": 2, "SSIM": 3}


def _trained_networks(folder: Path) -> Iterator[tuple[str, nn.Module, dict[str, Any]]]:
    """Yield name, network and record of the stored trainings that are in a folder, seed 0 of each.

    Args:
        folder: Where `labhelpers experiments results` keeps `trials.jsonl` and `networks/`.
    """
    lines = (folder / "trials.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    for (method, recipe), (trainer, name) in STORED.items():
        path = network_file(folder, trainer, name, seed=0)
        if not path.exists():
            print(f"{path} is not there: what is stored of {method}-{recipe} stays as it is.")
            continue
        network = run_source(given_source(TRAINING_NOTEBOOKS[trainer]))["GeneratorUNet"]()
        network.load_state_dict(torch.load(path, weights_only=True))
        record = find(records, part="test", method=trainer, name=name, seed=0)
        yield f"{method}-{recipe}", network, record


def write_stored(folder: Path) -> None:
    """Write sheets of slices and `results.json` to `labhelpers/stored/`.

    Args:
        folder: As in `_trained_networks`.
    """
    test_loader = DataLoader(IXIDataset(fetch_ixi(), mode="test"), batch_size=5)
    values = dict(stored.VALUES)
    for name, network, record in _trained_networks(folder):
        method, _, recipe = name.partition("-")
        make = partial(generated_slices, method, recipe, network, test_loader=test_loader)
        stored.write_sheet(name, _slices(make()))
        with_lesions = [_slices(make(lesion_size=size)) for size in (1, 2, 3, 4)]
        stored.write_sheet(f"{name}-lesions", torch.cat(with_lesions))
        values[name] = {
            "source": f"stored, seed {record['seed']}, {record['epochs']} epochs, IXI",
            "Training set": _rounded(record["train"]),
            "Test set": _rounded(record["test"]),
        }
    text = json.dumps(values, indent=1)
    stored.VALUES_FILE.write_text(f"{text}\n", encoding="utf-8")


def _slices(generated: tuple[Tensor | None, str]) -> Tensor:
    assert generated[0] is not None  # there is a network
    return generated[0]


def _rounded(metrics: dict[str, float]) -> dict[str, float]:
    return {name: round(metrics[name], places) for name, places in _PLACES.items()}
