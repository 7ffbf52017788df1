"""Try the doctor on planted faults and healthy trainings: what it finds, misses and imagines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from labhelpers.blocks import PatchDiscriminator
from labhelpers.data import IXIDataset
from labhelpers.doctor import doctor
from labhelpers.download import fetch_ixi
from labhelpers.instructor.experiments import small
from labhelpers.instructor.experiments.small import Plan, train_pairs, train_unpaired
from labhelpers.instructor.sources import TRAINING_NOTEBOOKS, given_source, run_source
from labhelpers.session import seed_everything

__all__ = [
    "RUNS",
    "Patient",
    "counts",
    "examine",
    "read_results",
    "run_all",
    "summary",
    "train",
]

_RESULTS_FILE = Path(__file__).with_name("doctor.json")

STILL = "a loss that does not move"
INVERTED = "inverted contrast"
COLLAPSE = "collapse to the mean"
RISES = "a validation loss that rises"
CHANCE = "discriminator at ln 2"


@dataclass(frozen=True)
class Patient:
    """A small training, healthy or with a planted fault.

    Attributes:
        method: `generator`, `cgan` or `cyclegan`.
        name: What is special about it.
        plan: Its size and recipe.
        finding: What the doctor should find; nothing for a healthy one.
        options: Makes what `train_pairs` or `train_unpaired` gets beside the plan.
    """

    method: str
    name: str
    plan: Plan
    finding: str = ""
    options: Callable[[], dict[str, Any]] = field(default=dict)


def _alone(
    generator: nn.Module, _: Any, optimizers: Any, real_t1: Tensor, real_t2: Tensor, *__: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """A step of the generator alone."""
    loss = F.l1_loss(generator(real_t1), real_t2)
    small.update(optimizers[0], loss)
    return torch.zeros(()), loss.detach(), torch.zeros(())


def _cleared_too_early(
    generator: nn.Module, _: Any, optimizers: Any, real_t1: Tensor, real_t2: Tensor, *__: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """A step that clears the gradients before it uses them."""
    loss = F.l1_loss(generator(real_t1), real_t2)
    loss.backward()
    optimizers[0].zero_grad()
    optimizers[0].step()
    return torch.zeros(()), loss.detach(), torch.zeros(())


def _graded() -> dict[str, Any]:
    """Return the graded discriminator of notebook 3, which sees one corner of the slice."""
    names = run_source(given_source(TRAINING_NOTEBOOKS["cgan"]))
    return {"discriminator": names["Discriminator"]()}


class _Blind(nn.Module):
    """A discriminator that gets the condition in the place of the image, too."""

    def __init__(self) -> None:
        super().__init__()
        self.network = PatchDiscriminator(2)

    def forward(self, image: Tensor, condition: Tensor) -> Tensor:
        return self.network(condition + 0 * image, condition)


def _pairs(change: Callable[[Tensor], Tensor]) -> dict[str, Any]:
    """Change the targets."""
    return {"black_frame": lambda t1, t2: (t1, change(t2))}


def _mixed_up(t2: Tensor) -> Tensor:
    return t2.roll(1, dims=0)


def _one_for_all(t2: Tensor) -> Tensor:
    return t2[:1].expand_as(t2)


def _other_person(
    t1_to_t2: nn.Module, t2_to_t1: nn.Module, real_t1: Tensor, real_t2: Tensor
) -> Tensor:
    return F.l1_loss(t2_to_t1(real_t2), real_t1) + F.l1_loss(t1_to_t2(real_t1), real_t2)


_SHORT = Plan(num_epoch=8, n_train=32)
_BY_HEART = replace(_SHORT, num_epoch=60, n_train=6, batch_size=2, lr=2e-3)
_CYCLE = replace(_SHORT, lambda_gan=0.1)
_ALONE: dict[str, Any] = {"step_on_batch": _alone}


def _faults() -> Iterator[Patient]:
    another = partial(small.SmallUNet, _SHORT.width)
    alone = partial(Patient, "generator")
    yield alone(
        "optimizer of another network", _SHORT, STILL, lambda: _ALONE | {"trained": another}
    )
    yield alone(
        "gradients cleared before the step",
        _SHORT,
        STILL,
        lambda: {"step_on_batch": _cleared_too_early},
    )
    yield alone("learning rate of 0.3", replace(_SHORT, lr=0.3), STILL, lambda: _ALONE)
    yield alone("target inverted", _SHORT, INVERTED, lambda: _ALONE | _pairs(torch.neg))
    yield alone(
        "input as target",
        _SHORT,
        INVERTED,
        lambda: _ALONE | {"black_frame": lambda t1, t2: (t1, t1)},
    )
    yield alone("pairs mixed up", _SHORT, COLLAPSE, lambda: _ALONE | _pairs(_mixed_up))
    yield alone("one target for all", _SHORT, COLLAPSE, lambda: _ALONE | _pairs(_one_for_all))
    yield alone("six subjects by heart", _BY_HEART, RISES, lambda: _ALONE)

    cgan = partial(Patient, "cgan")
    yield cgan("blind discriminator", _SHORT, CHANCE, lambda: {"discriminator": _Blind()})
    yield cgan("discriminator of a corner", _SHORT, CHANCE, _graded)
    still = replace(_SHORT, lr_discriminator=1e-9)
    yield cgan("discriminator never updated", still, CHANCE)
    beaten = replace(_SHORT, lr_discriminator=2e-5, lambda_gan=1.0)
    yield cgan("discriminator beaten", beaten, CHANCE)
    yield cgan("target inverted", _SHORT, INVERTED, lambda: _pairs(torch.neg))
    yield cgan("pairs mixed up", _SHORT, COLLAPSE, lambda: _pairs(_mixed_up))
    yield cgan("six subjects by heart", _BY_HEART, RISES)

    cycle = partial(Patient, "cyclegan", plan=_CYCLE)
    yield cycle("T2-w set inverted", finding=INVERTED, options=lambda: {"scaled": torch.neg})
    yield cycle(
        "compared with another person",
        finding=COLLAPSE,
        options=lambda: {"cycle_loss": _other_person},
    )
    yield cycle(
        "always the same T2-w slice", finding=COLLAPSE, options=lambda: {"scaled": _one_for_all}
    )
    yield cycle("blind discriminators", finding=CHANCE, options=lambda: {"judged": lambda x: 0 * x})
    yield cycle("generators never updated", finding=STILL, options=lambda: {"trained": another})


def _healthy() -> Iterator[Patient]:
    alone = partial(Patient, "generator", options=lambda: _ALONE)
    yield alone("healthy, batches of 4", _SHORT)
    yield alone("healthy, batches of 2", replace(_SHORT, batch_size=2, num_epoch=5))
    yield alone("healthy, batches of 8, more subjects", replace(_SHORT, batch_size=8, n_train=96))
    yield alone("healthy, 20 epochs", replace(_SHORT, num_epoch=20))
    yield Patient("cgan", "healthy, weight 0.1", _SHORT)
    yield Patient("cgan", "healthy, weight 0.01", replace(_SHORT, lambda_gan=0.01))
    larger = replace(_SHORT, batch_size=8, n_train=80, num_epoch=10)
    yield Patient("cgan", "healthy, batches of 8, more subjects", larger)
    yield Patient("cyclegan", "healthy, weight 0.1", _CYCLE)
    constant = replace(_CYCLE, lambda_gan=0.02, mean_pair=1.0)
    yield Patient("cyclegan", "healthy, mean pair to the end", constant)
    longer = replace(constant, batch_size=8, n_train=48, num_epoch=12)
    yield Patient("cyclegan", "healthy, batches of 8, longer", longer)


RUNS = (*_faults(), *_healthy())
"""Planted faults, then healthy trainings."""


def train(
    patient: Patient, dataset: IXIDataset, seed: int
) -> tuple[pd.DataFrame, dict[str, Tensor]]:
    """Train a patient; return what the doctor looks at.

    Args:
        patient: What to train.
        dataset: The training subjects of the lab.
        seed: Seed of weights and batches, and of which subjects are taken.
    """
    chosen = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed))
    people = IXIDataset.from_tensors(dataset.t1[chosen], dataset.t2[chosen])
    seed_everything(seed)
    run = train_unpaired if patient.method == "cyclegan" else train_pairs
    history, slices = run(patient.plan, people, **patient.options())
    kept = {
        "generator": ["generator", "validation"],
        "cgan": ["generator", "discriminator", "validation"],
        "cyclegan": ["generators", "discriminators"],
    }
    return history[kept[patient.method]], slices


def examine(
    patient: Patient, seed: int, history: pd.DataFrame, slices: dict[str, Tensor]
) -> dict[str, Any]:
    """Return what the doctor found, as a record."""
    names = list(dict.fromkeys(finding.name for finding in doctor(history, slices)))
    return {
        "method": patient.method,
        "name": patient.name,
        "planted": patient.finding,
        "seed": seed,
        "found": names,
    }


def read_results() -> pd.DataFrame:
    """Return the stored records, one row per training."""
    return pd.DataFrame(json.loads(_RESULTS_FILE.read_text(encoding="utf-8")))


def counts(records: pd.DataFrame) -> dict[str, int]:
    """Return how many planted faults were found and missed, and how many healthy runs alarmed.

    Args:
        records: Rows as of `examine`.
    """
    planted = records[records["planted"] != ""]
    healthy = records[records["planted"] == ""]
    found = sum(row.planted in row.found for row in planted.itertuples())
    return {
        "faults": len(planted),
        "found": found,
        "missed": len(planted) - found,
        "healthy": len(healthy),
        "false alarms": sum(bool(row.found) for row in healthy.itertuples()),
    }


def run_all(seeds: Iterable[int]) -> None:
    """Train all patients with each seed and store what the doctor found."""
    dataset = IXIDataset(Path(fetch_ixi()), "train")
    records = []
    for seed in seeds:
        for patient in RUNS:
            records.append(examine(patient, seed, *train(patient, dataset, seed)))
            print(json.dumps(records[-1]), flush=True)
    write_results(records)


def summary() -> dict[str, Any]:
    """Return what the page of results shows: totals by seeds, and one row per planted fault."""
    records = read_results()
    parts = {"0": [0], "1 and 2": [1, 2]}
    totals = {name: counts(records[records["seed"].isin(part)]) for name, part in parts.items()}
    rows = []
    for (method, name, planted), group in records.groupby(
        ["method", "name", "planted"], sort=False
    ):
        if planted:
            found = ["yes" if planted in names else "no" for names in group["found"]]
            rows.append(
                {"method": method, "name": name, "planted": planted, "found": ", ".join(found)}
            )
    return {"totals": totals, "rows": rows}


def write_results(records: Iterable[dict[str, Any]]) -> None:
    """Store records, one per line."""
    lines = ",\n".join(json.dumps(record) for record in records)
    _RESULTS_FILE.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
