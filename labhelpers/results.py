"""Results: saved on this machine, or stored of the lab's own trainings."""

from __future__ import annotations

import html
import json
import pickle
import re
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from labhelpers.data import MODALITIES, IXIDataset, simulated_data_opened, subjects_of
from labhelpers.folders import shared_folder
from labhelpers.lesions import paint_lesions
from labhelpers.methods import METHODS, Method, title
from labhelpers.metrics import generate
from labhelpers.recipes import RECIPES
from labhelpers.runs import describe_run, load_record
from labhelpers.session import PRESETS, is_graded
from labhelpers.stored import SUBJECTS, VALUES, read_sheet

__all__ = [
    "ABLATION_COLUMNS",
    "ablation",
    "generated_slices",
    "load_generator",
    "results_table",
    "save_result",
]

# By default pandas cuts a text after 50 characters: here the end of how a method was trained.
pd.set_option("display.max_colwidth", None)

_COLUMNS = pd.MultiIndex.from_product([("MAE", "PSNR", "SSIM"), ("Training set", "Test set")])
_DECIMALS = {"MAE": 4, "PSNR": 2, "SSIM": 3}

ABLATION_COLUMNS = ("PSNR", "SSIM", "MAE", "sharpness", "discriminator")
"""What `ablation` shows of each training."""

_STORED = "the lab's own training (seed 0, 20 epochs, all training subjects)"


# --- what the notebooks save ----------------------------------------------------------------------


def save_result(
    method: str, metrics: pd.DataFrame, run: str | None, generator: nn.Module | None = None
) -> None:
    """Save the metrics of a method and recipe, and its network, for the notebooks that follow.

    They go to the folder `results`, as `<method>-<recipe>.csv` and `.pt`. Where it cannot be
    written this says so, and the lesson goes on. During grading and validation nothing of the
    student's is touched. A training that is shorter than the preset `full`, be it a rehearsal or
    stopped, has a row of its own, `Generator (recommended, short)`: it replaces no full one.

    Args:
        method: Id of the method, such as `mean-image` or `generator`.
        metrics: What `metrics.evaluate_generator` returned.
        run: Name of the training run, whose record says recipe and epochs; None for a baseline.
        generator: The trained network, if a later notebook may show its images.

    Raises:
        ValueError: If the method is unknown.
        NotTrainedYet: If there is no such run in this folder, or the last one of that name failed.
    """
    if method not in METHODS:
        raise ValueError(f"Unknown method {method!r}: choose one of {', '.join(METHODS)}.")
    recipe = _recipe_of(run) if run else ""
    row = {f"{metric} {split}": metrics.loc[metric, split] for metric, split in _COLUMNS}
    row |= {
        "data": "phantom" if simulated_data_opened() else "IXI",
        "recipe": recipe,
        "run": describe_run(run) if run else "no training",
    }
    if generator is not None:
        row["parameters"] = sum(weights.numel() for weights in generator.parameters())
    path = _path(method, recipe, "csv")
    try:
        path.parent.mkdir(exist_ok=True)
        pd.DataFrame([row]).to_csv(path, index=False)
        if generator is not None and not is_graded():  # 54 MB for each notebook of a class
            torch.save(generator.state_dict(), path.with_suffix(".pt"))
    except (OSError, RuntimeError) as error:  # a RuntimeError of torch if the disk is full
        print(
            f"The result of {method!r} could not be saved in {path.parent.absolute()} ({error}): "
            "later tables do not show it. Make room or allow writing there, and run this cell "
            "again."
        )


def load_generator(
    method: str, generator: nn.Module, recipe: str = "recommended"
) -> nn.Module | None:
    """Fill `generator` with the weights that `save_result` saved, or return None without any.

    Args:
        method: Id of the method whose network to load.
        generator: A network of the same architecture.
        recipe: Name of the recipe by which it was trained.
    """
    path = _path(method, recipe, "pt")
    if not path.exists():
        return None
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        names = saved if saved.keys() == generator.state_dict().keys() else generator.state_dict()
        # A student may have called the layers otherwise: then weights are taken in their order.
        generator.load_state_dict(dict(zip(names, saved.values(), strict=True)))
    except (
        OSError, EOFError, AttributeError, RuntimeError, ValueError, pickle.UnpicklingError
    ):  # fmt: skip
        print(
            f"{path.absolute()} does not hold weights that fit this network, which is left out. "
            f"Train {method!r} again to save them anew."
        )
        return None
    return generator.eval()


class _Results(pd.DataFrame):
    """The table of results, shown with the best value of each column in bold.

    What a notebook shows has the source of a row under its name, so that it fits a narrow window.
    """

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame  # a part of the table is no table of results

    def _repr_html_(self) -> str:
        small = "<small style='font-weight: normal'>"
        names = {
            name: f"{html.escape(name)}<br>{small}{html.escape(source)}</small>"
            for name, source in self[("source", "")].items()
        }
        formatters = {}
        for column in _COLUMNS:
            best = self[column].min() if column[0] == "MAE" else self[column].max()
            number = f"{{:.{_DECIMALS[column[0]]}f}}"
            bold = f"<b>{number}</b>"
            formatters[column] = lambda x, best=best, number=number, bold=bold: (
                bold if x == best else number
            ).format(x)
        figures = self[list(_COLUMNS)].rename(index=names)
        return (
            figures.to_html(formatters=formatters, escape=False, border=0)
            + "<p>Bold: the best of a column; lowest for MAE, highest for PSNR (dB) and SSIM.</p>"
        )


# --- what they show -------------------------------------------------------------------------------


def results_table() -> pd.DataFrame:
    """Return the values of all methods and recipes: measured here where saved, stored elsewhere.

    Lower is better for MAE, higher for PSNR (in dB) and SSIM.

    Returns:
        One row per method and recipe, such as `cGAN (reference)`; columns (metric, set) and
        (`source`, ``), which says where, on which data and how the values were measured.
    """
    rows, sources = {}, {}
    for method in METHODS.values():
        for recipe in _known_recipes(method):
            if figures := _saved_figures(method, recipe) or _figures_elsewhere(method, recipe):
                name = title(method, recipe)
                rows[name], sources[name] = figures
    table = pd.DataFrame.from_dict(rows, orient="index", columns=_COLUMNS)
    table = table.round({column: _DECIMALS[column[0]] for column in _COLUMNS})
    table[("source", "")] = pd.Series(sources)
    return _Results(table)


def generated_slices(
    method: str,
    recipe: str = "recommended",
    network: nn.Module | None = None,
    *,
    test_loader: DataLoader,
    lesion_size: int | None = None,
) -> tuple[Tensor | None, str]:
    """Return the T2-w slices that a method makes of the test subjects, and whose they are.

    Without a network they are those of the lab's own training, which travel with the package. So
    a notebook can compare all methods, wherever the earlier ones were run:

        network = load_generator("cgan", GeneratorUNet())  # None if it was not trained here
        fake_t2, source = generated_slices("cgan", network=network, test_loader=test_loader)

    Args:
        method: Id of the method, such as `generator`.
        recipe: Name of the recipe; the stored ones are `recommended` and, for the generator,
            `as-cgan`: trained as the recommended cGAN, with a weight of 0 for the adversarial loss.
        network: The network that was trained here by this recipe, if there is one.
        test_loader: Test subjects, in order.
        lesion_size: Diameter in voxels, 1 to 4, of a lesion that is in every T1-w slice, as
            `lesions.paint_lesions` paints them into these subjects; None for slices as they are.

    Returns:
        Slices `(N, 1, 64, 64)` in [-1, 1] in the order of the loader, and a sentence that says
        where they come from. None and a sentence where the subjects are not test subjects of IXI,
        or nothing is stored for this recipe.
    """
    name = title(METHODS[method], recipe)
    if network is not None:
        loader = _with_lesions(test_loader, lesion_size) if lesion_size else test_loader
        return generate(network, loader)["fake_t2"], f"{name}: generated by a network here."
    stored = read_sheet(f"{method}-{recipe}{'-lesions' if lesion_size else ''}")
    if stored is None:
        return None, f"{name}: not trained here, and nothing is stored. Train it first."
    places = _places_on_sheets(test_loader)
    if places is None:
        return None, (
            f"{name}: not trained here, and the stored slices are those of the test subjects of "
            "IXI, which these are not. Train it first."
        )
    if lesion_size:
        stored = stored[(lesion_size - 1) * len(SUBJECTS) :]
    return stored[places], f"{name}: stored slices of {_STORED};\nIXI dataset, CC BY-SA 3.0."


def ablation(method: str) -> pd.DataFrame:
    """Return what one changed choice at a time does to the recommended recipe of a method.

    One training each, on four fifths of the training subjects, measured on the others.

    Args:
        method: `generator`, `cgan` or `cyclegan`.

    Returns:
        One row per change, the first one without any; columns `PSNR` (dB), `SSIM`, `MAE`,
        `sharpness` (1: as the true slices) and `discriminator` (its loss in the last epoch, of both
        together for the CycleGAN; NaN without one).
    """
    path = Path(__file__).with_name("ablation.json")
    rows = json.loads(path.read_text(encoding="utf-8"))[method]
    return pd.DataFrame(rows).set_index("change").reindex(columns=list(ABLATION_COLUMNS))


def _recipe_of(run: str) -> str:
    """Return the name under which the result of a training stands in tables."""
    record = load_record(run)
    is_short = len(record["losses"]) < PRESETS["full"].num_epoch
    return f"{record['recipe']}, short" if is_short else record["recipe"]


def _known_recipes(method: Method) -> list[str]:
    """Return the recipes of a method: of the lab, then others of which a result is saved here."""
    if method.kind == "baseline":
        return [""]
    known = [*RECIPES[method.id], *method.stored_recipes]
    found = [
        _read_saved(path).get("recipe")
        for path in shared_folder("results").glob(f"{method.id}-*.csv")
    ]
    return list(dict.fromkeys([*known, *sorted(recipe for recipe in found if recipe)]))


def _saved_figures(method: Method, recipe: str) -> tuple[list[float], str] | None:
    """Return the values saved last in the order of `_COLUMNS`, and their source; None if none."""
    path = _path(method.id, recipe, "csv")
    if not path.is_file():
        return None
    saved = _read_saved(path)
    if not saved:
        print(
            f"{path.absolute()} cannot be read: what is stored of {title(method, recipe)} is "
            f"shown. Run notebook {method.notebook} again to write it anew."
        )
        return None
    figures = [saved[f"{metric} {split}"] for metric, split in _COLUMNS]
    return figures, f"measured here on {saved['data']}, {saved['run']}"


def _read_saved(path: Path) -> dict[str, Any]:
    """Return the row that `save_result` wrote; an empty one if the file holds something else."""
    try:
        row = pd.read_csv(path, keep_default_na=False).iloc[0].to_dict()
        figures = {f"{metric} {split}" for metric, split in _COLUMNS}
        row |= {name: float(row[name]) for name in figures}
        return row | {name: str(row[name]) for name in ("data", "recipe", "run")}
    except (OSError, ValueError, LookupError):  # pandas raises ValueErrors for what it cannot parse
        return {}


def _figures_elsewhere(method: Method, recipe: str) -> tuple[list[float], str] | None:
    """Return the values measured elsewhere, and their source; None if there are none."""
    known = method.published if recipe in ("", "reference") else VALUES.get(f"{method.id}-{recipe}")
    if known is None:
        return None
    return [known[split][metric] for metric, split in _COLUMNS], known["source"]


def _with_lesions(test_loader: DataLoader, size: int) -> DataLoader:
    """Return a loader of the same subjects, with a lesion painted into each."""
    batches = list(test_loader)
    t1, t2 = (torch.cat([batch[name] for batch in batches]) for name in MODALITIES)
    painted = paint_lesions(t1, t2, size)
    return DataLoader(IXIDataset.from_tensors(painted.t1, painted.t2), test_loader.batch_size)


def _places_on_sheets(test_loader: DataLoader) -> list[int] | None:
    """Return where the subjects of a loader are on the stored sheets; None if they are not."""
    names = subjects_of(test_loader)
    place = {name: k for k, name in enumerate(SUBJECTS)}
    return [place[name] for name in names] if set(names) <= place.keys() else None


def _path(method: str, recipe: str, suffix: str) -> Path:
    """Return the file of a method and recipe."""
    name = f"{method}-{recipe}" if recipe else method
    return shared_folder("results") / f"{re.sub(r'[^a-z0-9.-]+', '-', name.lower())[:100]}.{suffix}"
