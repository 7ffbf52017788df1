"""Write the page of results and the README's table from the files of figures."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import torch
import yaml

from labhelpers.instructor.course.nbgrader import REPOSITORY
from labhelpers.instructor.sources import TRAINING_NOTEBOOKS
from labhelpers.results import METHODS

__all__ = [
    "decimals",
    "find",
    "outdated",
    "read_figures",
    "report_files",
    "take_in_benchmark",
    "take_in_trials",
    "write_report",
]

FIGURES = Path(__file__).with_name("results.yaml")
"""What was measured; the published figures and the baselines are in `labhelpers/results.json`."""

_TEMPLATE = Path(__file__).with_name("RESULTS.md.jinja")
_PAGE = _TEMPLATE.parents[1] / "RESULTS.md"
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

    A row of the same part, method, name and number of epochs is replaced.

    Args:
        trials: What they saved, such as `build/trials.jsonl`.
        file: File of figures.
    """
    from labhelpers.instructor.experiments.trials import intervals, table

    seeds: dict[tuple[str, int, str, str], list[dict[str, Any]]] = {}
    for line in trials.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        trial = record["part"], record["epochs"], record["method"], record["name"]
        seeds.setdefault(trial, []).append(record)

    figures = read_figures(file)
    for (part, epochs, method, name), records in seeds.items():
        key = {"part": part, "method": method, "name": name, "epochs": epochs}
        mean = table(records).iloc[0].dropna().to_dict()  # without what was not measured
        if part == "validation" and name != "recommended":
            same = seeds.get((part, epochs, method, "recommended"))
            unchanged = find(figures["trainings"], **key | {"name": "recommended"})
            psnr = table(same).iloc[0]["PSNR"] if same else unchanged["PSNR"]
            mean["difference"] = mean["PSNR"] - psnr
        about = {
            "source": "measured",
            "seeds": len(records),
            "subjects": len(records[0]["subjects"]["PSNR"]),
            "torch": str(torch.__version__),
            "recorded": datetime.date.today().isoformat(),
        }
        means = {
            metric: round(float(mean[metric]), places)
            for metric, places in _PLACES.items()
            if metric in mean
        }
        _put(figures["trainings"], key | about | means, key)
        if part == "test" and name == "recommended":
            for metric, interval in intervals(records).droplevel([0, 1]).iterrows():
                key = {"method": method, "name": name, "epochs": epochs, "metric": metric}
                places = _PLACES[str(metric).split()[0]]
                bounds = {bound: round(float(value), places) for bound, value in interval.items()}
                _put(figures["intervals"], key | about | bounds, key)
    _write_figures(figures, file)


def take_in_benchmark(benchmark: Path, file: Path = FIGURES) -> None:
    """Put what `labhelpers experiments benchmark` saved into the file of figures.

    Args:
        benchmark: What it saved, such as `build/benchmark.json`.
        file: File of figures.
    """
    measured = json.loads(benchmark.read_text(encoding="utf-8"))
    training, machine, checks = measured["training"], measured["machine"], measured["checks"]
    longest, *others = sorted(
        (max(times["right_s"], times["wrong_s"]) for times in checks.values()), reverse=True
    )
    figures = read_figures(file)
    figures["speed"] |= {
        "machine": {
            "description": f"{training['device']} ({machine['platform']})",
            "torch": machine["torch"],
            "recorded": datetime.date.today().isoformat(),
        },
        "steps": [
            {
                "method": method,
                "variant": variant,
                "seconds": round(row["seconds"], 3),
                "share_of_peak": round(row["share_of_peak"], 2),
                "memory_mb": round(row["memory_mb"]),
            }
            for method in METHODS
            for variant, row in training.get(method, {}).items()
        ],
        "peaks": {name: round(peak) for name, peak in training["peaks"].items()},
        "repeats": measured["data"]["repeats"],
        "data": {
            name: round(measured["data"][name], 3)
            for name in ("load_s", "epoch_memory_s", "epoch_files_s")
        },
        "checks": {"longest_s": round(longest, 2), "others_s": round(max(others, default=0), 2)},
        "grading": measured["grading"] | {"seconds": round(measured["grading"]["seconds"])},
    }
    _write_figures(figures, file)


def _put(rows: list[dict[str, Any]], row: dict[Any, Any], key: dict[str, Any]) -> None:
    """Replace the row that has the values of `key`, or append the new one."""
    places = [place for place, old in enumerate(rows) if key.items() <= old.items()]
    place = places[0] if places else len(rows)
    rows[place : place + 1] = [row]


def _write_figures(figures: dict[str, Any], file: Path) -> None:
    head = file.read_text(encoding="utf-8").partition("\ntrainings:")[0]
    rows = yaml.safe_dump(
        figures, sort_keys=False, allow_unicode=True, width=1000, default_flow_style=None
    )  # one row on a line
    file.write_text(f"{head}\n{rows}", encoding="utf-8")


# --- the pages ----------------------------------------------------------------------------------


def report_files(file: Path = FIGURES) -> dict[Path, str]:
    """Return what the page of results and the README have to hold."""
    figures = read_figures(file)
    readme = REPOSITORY / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not end:
        raise ValueError(f"{readme} lacks the lines {_BEGIN.strip()} and {_END} for its table.")
    return {_PAGE: _page(figures), readme: before + _BEGIN + _short_table(figures) + end + after}


def outdated() -> list[Path]:
    """Return the files that do not hold what the figures say."""
    return [
        path
        for path, text in report_files().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def write_report() -> None:
    """Write the page of results, `labhelpers/instructor/RESULTS.md`, and the README's table."""
    for path, text in report_files().items():
        path.write_text(text, encoding="utf-8")


def _page(figures: dict[str, Any]) -> str:
    trainings = figures["trainings"]

    def of_part(part: str) -> Callable[..., dict[str, Any]]:
        def row(method: str, name: str, epochs: int | None = None) -> dict[str, Any]:
            more = {"epochs": epochs} if epochs else {}
            return find(trainings, part=part, method=method, name=name, **more)

        return row

    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"decimals": decimals, "minutes": lambda s: decimals(s / 60, 1)}
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        figures={part: of_part(part) for part in ("test", "validation", "phantom")},
        epochs={
            method: of_part("validation")(method, "recommended")["epochs"]
            for method in TRAINING_NOTEBOOKS
        },
        speed=figures["speed"],
        results_table=_results_table(trainings),
        intervals_table=_intervals_table(figures["intervals"]),
        ablation_table=partial(_ablation_table, trainings),
        phantom_table=_phantom_table(trainings),
        speed_table=_speed_table(figures["speed"]["steps"]),
    )


def decimals(value: float, places: int) -> str:
    """Return a number with so many decimals, rounded half up as by hand."""
    return str(Decimal(str(value)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP))


def _metric(row: dict[str, Any], name: str) -> str:
    """Return a metric as tables show it; nothing if it was not measured."""
    return decimals(row[name], _PLACES[name]) if name in row else ""


def _markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _psnr(row: dict[str, Any]) -> str:
    spread = f" ± {decimals(row['spread'], 2)}" if "spread" in row else ""
    return _metric(row, "PSNR") + spread


def _results_table(trainings: list[dict[str, Any]]) -> str:
    rows = []
    for method in METHODS.values():
        measured = [row for row in trainings if (row["part"], row["method"]) == ("test", method.id)]
        published = method.published["Test set"] | {"name": "published"}
        if method.kind == "baseline":
            published["name"] = "no training"
        for row in (published, *sorted(measured, key=lambda row: row["source"] == "measured")):
            name = row["name"].replace("recommended", "**recommended**")
            cells = [_metric(row, metric) for metric in ("MAE", "SSIM", "sharpness")]
            rows.append(
                [method.title, name, _psnr(row), *cells, _metric(row, "discriminator"),
                 str(row.get("epochs", "")), str(row.get("seeds", ""))]
            )  # fmt: skip
    heads = ["method", "recipe", "PSNR (dB)", "MAE", "SSIM", "sharpness", "discriminator's loss",
             "epochs", "seeds"]  # fmt: skip
    return _markdown(heads, rows)


def _short_table(figures: dict[str, Any]) -> str:
    """Return the README's table: two baselines, and the networks as published and as trained here.

    The lookup is left out.
    """
    rows = []
    for method in METHODS.values():
        published = method.published["Test set"]
        if method.kind == "baseline":
            cells = ["", _metric(published, "PSNR"), "", _metric(published, "SSIM")]
        else:
            key = {"part": "test", "method": method.id, "name": "recommended"}
            here = find(figures["trainings"], **key)
            cells = [
                cell
                for metric in ("PSNR", "SSIM")
                for cell in (_metric(published, metric), f"**{_metric(here, metric)}**")
            ]
        if method.id != "intensity-lookup":
            rows.append([method.title, *cells])
    heads = ["method", "PSNR (dB), published", "PSNR (dB), here", "SSIM, published", "SSIM, here"]
    return _markdown(heads, rows) + "\n"


def _intervals_table(intervals: list[dict[str, Any]]) -> str:
    heads = {
        "MAE": "MAE",
        "PSNR": "PSNR historical (dB)",
        "SSIM": "SSIM historical",
        "PSNR standard": "PSNR standard (dB)",
        "SSIM standard": "SSIM standard",
    }
    rows = []
    for method in dict.fromkeys(row["method"] for row in intervals):
        cells = []
        for metric in heads:
            row = find(intervals, method=method, metric=metric)
            places = _PLACES[metric.split()[0]]
            mean, low, high = (decimals(row[key], places) for key in ("mean", "low", "high"))
            cells.append(f"{mean} ({low} to {high})")
        rows.append([METHODS[method].title, *cells])
    return _markdown(["method", *heads.values()], rows)


def _ablation_table(trainings: list[dict[str, Any]], method: str) -> str:
    recommended = find(trainings, part="validation", method=method, name="recommended")
    key = ("part", "method", "epochs")
    rows = []
    for row in trainings:
        if all(row.get(name) == recommended[name] for name in key):
            changed = "**nothing**" if row is recommended else row["name"]
            difference = row.get("difference")
            cells = [changed, _metric(row, "PSNR")]
            if difference is not None:
                sign = "−" if difference < 0 else "+"
                cells[1] += f" ({sign}{decimals(abs(difference), 2)})"
            cells += [_metric(row, metric) for metric in ("SSIM", "MAE", "sharpness")]
            rows.append([*cells, _metric(row, "discriminator")])
    heads = ["changed", "PSNR (dB)", "SSIM", "MAE", "sharpness", "discriminator's loss"]
    return _markdown(heads, rows)


def _phantom_table(trainings: list[dict[str, Any]]) -> str:
    metrics = ("MAE", "PSNR", "SSIM")
    rows = [
        [
            METHODS[row["method"]].title,
            *(
                f"{decimals(row[f'{metric} train'], _PLACES[metric])} / {_metric(row, metric)}"
                for metric in metrics
            ),
        ]
        for row in trainings
        if row["part"] == "phantom"
    ]
    return _markdown(["method", "MAE", "PSNR (dB)", "SSIM"], rows)


def _speed_table(steps: list[dict[str, Any]]) -> str:
    rows = []
    for step in steps:
        seconds = step["seconds"]
        plain = find(steps, method=step["method"], variant="plain")["seconds"]
        rows.append(
            [
                f"{METHODS[step['method']].title}, {step['variant']}",
                decimals(seconds, 3),
                decimals(1 / seconds, 2),
                "1" if seconds == plain else f"**{decimals(plain / seconds, 2)}**",
                f"{decimals(100 * step['share_of_peak'], 0)} %",
                str(step["memory_mb"]),
            ]
        )
    heads = [
        "step",
        "s per step",
        "steps per s",
        "ratio",
        "of the matrix-product peak",
        "memory (MB)",
    ]
    return _markdown(heads, rows)
