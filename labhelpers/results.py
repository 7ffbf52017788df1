"""The list of methods, and the results that one notebook saves and a later one shows."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from torch import nn

from labhelpers.data import simulated_data_opened
from labhelpers.session import is_graded, temporary_folder

__all__ = ["METHODS", "Method", "load_generator", "results_table", "save_result"]

# By default pandas cuts a text after 50 characters: here the end of how a method was trained.
pd.set_option("display.max_colwidth", None)

_COLUMNS = pd.MultiIndex.from_product([("MAE", "PSNR", "SSIM"), ("Training set", "Test set")])


@dataclass(frozen=True)
class Method:
    """A way to make a T2-w slice from a T1-w slice.

    Attributes:
        id: Its name in code and in the names of files.
        title: Its name in tables and charts.
        kind: `baseline`, or `trained` for a network.
        notebook: Name of the notebook that measures it.
        published: Figures on IXI, shown until the method is measured: those of networks as
            published, those of baselines as measured for this lab. Keys `Training set` and
            `Test set`, each with `MAE`, `PSNR` (dB) and `SSIM`; and `source`.
    """

    id: str
    title: str
    kind: Literal["baseline", "trained"]
    notebook: str
    published: dict[str, Any]


_LIST = json.loads(Path(__file__).with_name("results.json").read_text(encoding="utf-8"))
METHODS: dict[str, Method] = {id_: Method(id_, **method) for id_, method in _LIST.items()}
"""All methods by their id, in the order of tables and charts."""


def save_result(
    method: str, metrics: pd.DataFrame, recipe: str, generator: nn.Module | None = None
) -> None:
    """Save the metrics of a method, and its network, for the notebooks that follow.

    They go to the folder `results`. Where it cannot be written this says so, and the lesson goes
    on. During grading and validation nothing of it is touched.

    Args:
        method: Id of the method, such as `mean-image` or `generator`.
        metrics: What `metrics.evaluate_generator` returned.
        recipe: How the figures came about, for instance `"20 epochs"`; shown beside them.
        generator: The trained network, if a later notebook may show its images.

    Raises:
        ValueError: If the method is unknown.
    """
    if method not in METHODS:
        raise ValueError(f"Unknown method {method!r}: choose one of {', '.join(METHODS)}.")
    row = {f"{metric} {split}": metrics.loc[metric, split] for metric, split in _COLUMNS}
    row |= {"data": "phantom" if simulated_data_opened() else "IXI", "recipe": recipe}
    if generator is not None:
        row["parameters"] = sum(weights.numel() for weights in generator.parameters())
    folder = _folder()
    try:
        folder.mkdir(exist_ok=True)
        pd.DataFrame([row]).to_csv(folder / f"{method}.csv", index=False)
        if generator is not None and not is_graded():  # 54 MB for each notebook of a class
            torch.save(generator.state_dict(), folder / f"{method}.pt")
    except (OSError, RuntimeError) as error:  # a RuntimeError of torch if the disk is full
        print(
            f"The result of {method!r} could not be saved in {folder.absolute()} ({error}): later "
            "tables do not show it. Make room or allow writing there, and run this cell again."
        )


def load_generator(method: str, generator: nn.Module) -> nn.Module | None:
    """Fill `generator` with the weights that `save_result` saved, or return None without any.

    Args:
        method: Id of the method whose network to load.
        generator: A network of the same architecture.
    """
    path = _folder() / f"{method}.pt"
    if not path.exists():
        return None
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        names = saved if saved.keys() == generator.state_dict().keys() else generator.state_dict()
        # A student may have called the layers otherwise: then weights are taken in their order.
        generator.load_state_dict(dict(zip(names, saved.values(), strict=True)))
    except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError):
        print(
            f"{path.absolute()} does not hold weights that fit this network, which is left out. "
            f"Train {method!r} again to save them anew."
        )
        return None
    return generator.eval()


def results_table() -> pd.DataFrame:
    """Return all methods' figures: measured here where saved, published elsewhere.

    Lower is better for MAE, higher for PSNR (in dB) and SSIM.

    Returns:
        One row per method, columns (metric, set) and (`source`, ``), which says where, on which
        data and with which recipe the figures were measured.
    """
    rows, sources = {}, {}
    for method in METHODS.values():
        known = method.published
        published = [known[split][metric] for metric, split in _COLUMNS], known["source"]
        rows[method.title], sources[method.title] = _saved_figures(method) or published
    table = pd.DataFrame.from_dict(rows, orient="index", columns=_COLUMNS).round(4)
    table[("source", "")] = pd.Series(sources)
    return table


def _saved_figures(method: Method) -> tuple[list[float], str] | None:
    """Return the figures saved last in the order of `_COLUMNS`, and their source; None if none."""
    path = _folder() / f"{method.id}.csv"
    try:
        saved = pd.read_csv(path).iloc[0]
        figures = [float(saved[f"{metric} {split}"]) for metric, split in _COLUMNS]
        return figures, f"measured here on {saved['data']}, {saved['recipe']}"
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, LookupError):  # pandas raises ValueErrors for what it cannot parse
        print(
            f"{path.absolute()} cannot be read: the published figures of {method.title} are shown. "
            f"Run notebook {method.notebook} again to write it anew."
        )
        return None


def _folder() -> Path:
    """Return the folder `results` that the four notebooks share.

    It stands beside the notebooks: in their own folder, or above it where each has a folder of
    its name, as nbgrader gives them out. Grading and validation get one of their own.
    """
    if is_graded():
        return temporary_folder()
    here = Path.cwd()
    has_own_folder = here.name in {method.notebook for method in METHODS.values()}
    return (here.parent if has_own_folder else here) / "results"
