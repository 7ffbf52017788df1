"""Write the page of results, the README's table and what the notebooks show of the figures."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import torch
import yaml

from labhelpers import stored
from labhelpers.contrast import TISSUES
from labhelpers.instructor.course.nbgrader import REPOSITORY
from labhelpers.instructor.experiments import doctor
from labhelpers.lesions import LESION, on_the_way
from labhelpers.methods import METHODS, title
from labhelpers.recipes import RECIPES
from labhelpers.results import ABLATION_COLUMNS

__all__ = [
    "decimals",
    "find",
    "read_figures",
    "report_files",
    "take_in_anatomy",
    "take_in_benchmark",
    "take_in_mutations",
    "take_in_notebooks",
    "take_in_trials",
    "write_report",
]

FIGURES = Path(__file__).with_name("results.yaml")
"""What was measured; the published figures and the baselines are in `labhelpers/methods.json`."""

_TEMPLATES = Path(__file__).parent
_PAGE = _TEMPLATES.parent / "RESULTS.md"
_ABLATION = REPOSITORY / "labhelpers" / "ablation.json"  # what `results.ablation` returns
_BEGIN, _END = "<!-- results:begin -->\n", "<!-- results:end -->"

_PLACES = {  # decimals of figures in the file and in tables
    "MAE": 4,
    "PSNR": 2,
    "spread": 2,
    "difference": 2,
    "SSIM": 3,
    "sharpness": 2,
    "discriminator": 3,
    "seconds": 0,
}


# --- the file of figures ------------------------------------------------------------------------


def read_figures(file: Path = FIGURES) -> dict[str, Any]:
    """Return what was measured; the head of the file explains its keys."""
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def find(rows: Iterable[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    """Return the first row with the given values.

    Raises:
        LookupError: If there is none.
    """
    for row in rows:
        if wanted.items() <= row.items():
            return row
    raise LookupError(f"There are no figures of {wanted}.")


def take_in_trials(trials: Path, file: Path = FIGURES) -> None:
    """Put the trainings that `labhelpers experiments ablation` and `results` saved into the file.

    A row of the same part, method, name and number of epochs is replaced. Trainings on a GPU are
    rows of their own, with the time of the fastest: others may have run beside it.

    Args:
        trials: What they saved, such as `build/trials.jsonl`.
        file: File of figures.
    """
    from labhelpers.instructor.experiments.trials import KEY, by_trial, intervals, table

    figures = read_figures(file)
    seeds = by_trial(map(json.loads, trials.read_text(encoding="utf-8").splitlines()))
    for trial, records in seeds.items():
        key = dict(zip(KEY, trial, strict=True))
        mean = table(records).iloc[0].dropna().to_dict()  # without what was not measured
        if key["part"] == "validation" and key["name"] != "recommended":
            recommended = key | {"name": "recommended"}
            same = seeds.get(tuple(recommended.values()))
            unchanged = table(same).iloc[0] if same else find(figures["trainings"], **recommended)
            mean["difference"] = mean["PSNR"] - float(unchanged["PSNR"])
        about = {
            "source": "measured",
            "seeds": len(records),
            "subjects": len(records[0]["subjects"]["PSNR"]),
            "torch": records[0].get("torch", str(torch.__version__)),
            "recorded": datetime.date.today().isoformat(),
        }
        shown = {
            name: round(mean[name], places) for name, places in _PLACES.items() if name in mean
        }
        device = records[0].get("device", "CPU")
        if not device.startswith("CPU"):
            shown["seconds"] = round(min(record["seconds"] for record in records), 1)
            rows = figures["speed"].setdefault("gpu", {}).setdefault("trainings", [])
            _put(rows, key | {"device": device}, about | shown)
            continue
        _put(figures["trainings"], key, about | shown)
        if key["part"] == "test" and key["name"] == "recommended":
            del key["part"]
            for metric, bounds in intervals(records).droplevel(KEY).iterrows():
                places = _PLACES[str(metric).split()[0]]
                _put(
                    figures["intervals"],
                    key | {"metric": metric},
                    about | bounds.round(places).to_dict(),
                )
    _write_figures(figures, file)


def take_in_benchmark(benchmark: Path, file: Path = FIGURES) -> None:
    """Put what `labhelpers experiments benchmark` saved into the file of figures.

    Args:
        benchmark: What it saved, such as `build/benchmark.json`.
        file: File of figures.
    """
    figures = read_figures(file)
    measured = json.loads(benchmark.read_text(encoding="utf-8"))
    if "busy" in measured["steps"][0]:  # on a GPU
        steps = {name: measured[name] for name in ("machine", "steps", "peaks", "repeats")}
        figures["speed"]["gpu"] = figures["speed"].get("gpu", {}) | steps
    else:
        figures["speed"] |= measured
    _write_figures(figures, file)


def take_in_notebooks(times: Path, file: Path = FIGURES) -> None:
    """Put the times that `labhelpers validate` saved into the file of figures.

    Args:
        times: What it saved, `build/validate/seconds.json`.
        file: File of figures.
    """
    figures = read_figures(file)
    measured = json.loads(times.read_text(encoding="utf-8"))
    on_cpu = measured["device"].startswith("CPU")
    speed = figures["speed"] if on_cpu else figures["speed"].setdefault("gpu", {})
    for name, seconds in measured["solved"].items():
        key = {"notebook": name, "preset": measured["preset"]}
        values = {"seconds": round(seconds), "recorded": measured["recorded"]}
        _put(speed.setdefault("notebooks", []), key, values)
    _write_figures(figures, file)


def take_in_anatomy(rows: dict[str, list[dict[str, Any]]], file: Path = FIGURES) -> None:
    """Put what `lesion_table.measure_anatomy` returned into the file of figures.

    Args:
        rows: By part of the file, its rows.
        file: File of figures.
    """
    figures = read_figures(file)
    figures["stored"] = {"recorded": datetime.date.today().isoformat(), **rows}
    _write_figures(figures, file)


def take_in_mutations(rows: list[dict[str, Any]], file: Path = FIGURES) -> None:
    """Put what `mutations.summary` returned into the file of figures, in place of older rows."""
    figures = read_figures(file)
    today = datetime.date.today().isoformat()
    for row in rows:
        _put(figures["mutations"], {"exercise": row["exercise"]}, row | {"recorded": today})
    _write_figures(figures, file)


def _put(rows: list[dict[str, Any]], key: dict[str, Any], values: dict[str, Any]) -> None:
    """Replace the row that has the values of `key`, or append a new one."""
    places = [place for place, old in enumerate(rows) if key.items() <= old.items()]
    place = places[0] if places else len(rows)
    rows[place : place + 1] = [key | values]


def _write_figures(figures: dict[str, Any], file: Path) -> None:
    head = file.read_text(encoding="utf-8").partition("\ntrainings:")[0]
    rows = yaml.safe_dump(
        figures, sort_keys=False, allow_unicode=True, width=1000, default_flow_style=None
    )  # one row on a line
    file.write_text(f"{head}\n{rows}", encoding="utf-8")


# --- the pages ----------------------------------------------------------------------------------


def report_files(file: Path = FIGURES) -> dict[Path, str]:
    """Return what the page of results, the README and the notebooks' ablation have to hold."""
    figures = read_figures(file)
    trainings = figures["trainings"]

    def of_part(part: str, method: str, name: str, **more: Any) -> dict[str, Any]:
        return find(trainings, part=part, method=method, name=name, **more)

    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters |= {"decimals": decimals, "minutes": lambda s: decimals(s / 60, 1)}
    templates.globals |= figures | {
        "methods": METHODS,
        "doctor": doctor.summary(),
        "find": find,
        "cell": _cell,
        "test": partial(of_part, "test"),
        "held_out": partial(of_part, "validation"),
        "phantom": partial(of_part, "phantom"),
        "titles": _TITLES | {name: title_of(name) for name in stored.VALUES},
        "rankings": _rankings(figures["stored"]),
        "signed": _signed,
        "same_people": lambda part: [
            row for row in trainings if row["part"] == part and "people" in row
        ],
        "measured_with": lambda method, figure: next(
            row[figure]
            for row in trainings
            if row["method"] == method and row["name"].startswith("recommended") and figure in row
        ),
        "sqrt": math.sqrt,
        "lesion_on_the_way": on_the_way(LESION),
        "grey_on_the_way": on_the_way(TISSUES["grey matter"]),
    }
    readme = REPOSITORY / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not end:
        raise ValueError(f"{readme} lacks the lines {_BEGIN.strip()} and {_END} for its table.")
    table = templates.get_template("README-table.md.jinja").render()
    return {
        _PAGE: templates.get_template("RESULTS.md.jinja").render(),
        readme: before + _BEGIN + table + end + after,
        _ABLATION: _ablation(trainings),
    }


def _ablation(trainings: list[dict[str, Any]]) -> str:
    """Return the ablation of each trained method, as `results.ablation` reads it."""
    tables = {}
    for method in RECIPES:
        key = {"part": "validation", "method": method}
        epochs = find(trainings, **key, name="recommended")["epochs"]
        rows = [row for row in trainings if (key | {"epochs": epochs}).items() <= row.items()]
        tables[method] = [
            {"change": "recommended recipe" if row["name"] == "recommended" else row["name"]}
            | {name: row[name] for name in ABLATION_COLUMNS if name in row}
            for row in rows
        ]
    lines = (
        f' "{method}": [\n  '
        + ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in rows)
        + "\n ]"
        for method, rows in tables.items()
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


_TITLES = {"mean-image": "Mean T2-w image", "moved": "True slices, moved by half a voxel"}


def title_of(name: str) -> str:
    """Return the title of stored slices, such as `cGAN (recommended)`."""
    method, _, recipe = name.partition("-")
    return title(METHODS[method], recipe)


def _rankings(measured: dict[str, Any]) -> dict[str, list[str]]:
    """Return the names of the stored methods from the best to the worst, by each measure."""
    anatomy = {row["name"]: row for row in measured["anatomy"]}
    kept = {
        name: sum(row["mean"] for row in measured["lesions"] if row["name"] == name)
        for name in anatomy
    }
    measures: dict[str, Callable[[str], float]] = {
        "PSNR": lambda name: -anatomy[name]["PSNR"],
        "kept contrast of lesions": lambda name: -kept[name],
        "Dice of the ventricles": lambda name: -anatomy[name]["dice"],
        "bias of the ventricles' area": lambda name: abs(anatomy[name]["bias"]),
    }
    return {measure: sorted(anatomy, key=worse) for measure, worse in measures.items()}


def _signed(value: float, places: int) -> str:
    """Return a difference with its sign."""
    shown = decimals(abs(value), places)
    return shown if float(shown) == 0 else f"{'−' if value < 0 else '+'}{shown}"


def write_report() -> None:
    """Write what `report_files` returns."""
    for path, text in report_files().items():
        path.write_text(text, encoding="utf-8")


def decimals(value: float, places: int) -> str:
    """Return a number with so many decimals, rounded half up as by hand; 0 without a sign."""
    rounded = Decimal(str(value)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    return str(rounded if rounded else abs(rounded))


def _cell(row: dict[str, Any], name: str) -> str:
    """Return a figure as tables show it; nothing if it was not measured."""
    return decimals(row[name], _PLACES[name]) if name in row else ""
