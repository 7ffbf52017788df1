"""The commands `labhelpers experiments`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

# Each command imports what it needs when it runs, so that --help answers at once.

__all__ = ["experiments"]

_EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def experiments() -> None:
    """Train and measure: where the published figures come from."""


_TRIAL_OPTIONS = [
    click.Option(["--method"], help="Only this method."),
    click.Option(["--name"], help="Only the trials of this name."),
    click.Option(["--epochs"], type=int, default=20, show_default=True),
]


@experiments.command(params=[*_TRIAL_OPTIONS])
@click.option("--seeds", type=int, default=1, show_default=True, help="Trainings of each.")
def ablation(**options: Any) -> None:
    """Train with one choice changed at a time (hours).

    Finished trainings are kept in build/trials.jsonl; a run that was stopped goes on from there.
    Takes each recommended recipe, trains on four fifths of the training subjects and measures on
    the others.
    """
    from labhelpers.instructor.experiments.trials import read_ablation

    _run_trials(read_ablation(), "validation", **options)


@experiments.command(params=[*_TRIAL_OPTIONS])
@click.option("--seeds", type=int, default=3, show_default=True, help="Trainings of each.")
def results(**options: Any) -> None:
    """Train both recipes of each method (hours).

    Finished trainings are kept in build/trials.jsonl, their networks in build/networks; a run that
    was stopped goes on from there. Measures on the test set.
    """
    from labhelpers.instructor.experiments.trials import intervals, read_results

    records = _run_trials(read_results(), "test", **options)
    click.echo(intervals(records).round(4).to_string())


def _run_trials(
    trials: list[Any], part: str, method: str | None, name: str | None, epochs: int, seeds: int
) -> list[dict[str, Any]]:
    from labhelpers.instructor.experiments.trials import run_all, table

    chosen = [t for t in trials if method in (None, t.method) and name in (None, t.name)]
    if not chosen:
        known = ", ".join(f"{trial.method} '{trial.name}'" for trial in trials)
        raise click.ClickException(f"There is no such trial. Choose one of: {known}.")
    file = Path("build", "trials.jsonl").absolute()
    file.parent.mkdir(exist_ok=True)
    records = run_all(chosen, range(seeds), part, epochs, file)
    click.echo(table(records).round(4).to_string())
    return records


@experiments.command()
def stored() -> None:
    """Write what travels with the package of the lab's own trainings.

    Generated slices and values of the recommended recipes, seed 0, from the networks that
    `labhelpers experiments results` kept in build/networks.
    """
    from labhelpers.instructor.experiments.stored import write_stored

    write_stored(Path("build"))


@experiments.command()
def histories() -> None:
    """Train what notebook 3 shows of the lab's own trainings (ten minutes).

    Writes labhelpers/histories.json: losses, and what the discriminators answer to subjects who
    were left out. The recommended recipe with one choice changed at a time.
    """
    from labhelpers.download import fetch_ixi
    from labhelpers.instructor.experiments.histories import write_histories
    from labhelpers.recipes import CGANRecipe, find_recipe

    recommended = find_recipe("cgan", "recommended")
    assert isinstance(recommended, CGANRecipe)
    write_histories(Path(fetch_ixi()).absolute(), recommended)


@experiments.command()
def anatomy() -> None:
    """Measure lesions, invented structures and ventricles in the stored slices.

    Puts the figures into labhelpers/instructor/experiments/results.yaml; needs no network.
    """
    from labhelpers.instructor.experiments.lesion_table import measure_anatomy
    from labhelpers.instructor.experiments.report import take_in_anatomy

    take_in_anatomy(measure_anatomy())


@experiments.command()
def clinic() -> None:
    """Train the cases of the clinic again, each with its fault (minutes).

    Their curves and slices replace those in labhelpers/clinic.
    """
    from labhelpers.instructor.experiments.clinic import write_all

    write_all()


@experiments.command()
@click.option("--seeds", type=int, default=3, show_default=True, help="Trainings of each.")
def doctor(seeds: int) -> None:
    """Try the doctor on planted faults and on healthy trainings (a quarter of an hour).

    What it found goes to labhelpers/instructor/experiments/doctor.json and, with
    `labhelpers experiments report`, to the page of results.
    """
    from labhelpers.instructor.experiments.doctor import run_all

    run_all(range(seeds))


@experiments.command()
@click.argument("exercises", nargs=-1)
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True)
@click.option("--most", type=click.IntRange(1), help="Changes of each exercise, drawn at random.")
def mutations(exercises: tuple[str, ...], workers: int, most: int | None) -> None:
    """Change the solutions in thousands of small ways and try the checks on them (hours).

    EXERCISES are ids such as mean-image; without them, all. Finished tries are kept in
    build/mutations.jsonl; a run that was stopped goes on from there, so remove this file after a
    change of a check. Prints the changes that are accepted, which somebody should read: do they
    compute the same? The counts go to labhelpers/instructor/experiments/results.yaml.
    """
    from labhelpers.checks.exercises import EXERCISES
    from labhelpers.instructor.experiments.mutations import summary, try_all
    from labhelpers.instructor.experiments.report import take_in_mutations

    if unknown := {*exercises} - EXERCISES.keys():
        raise click.ClickException(f"There is no exercise {', '.join(sorted(unknown))}.")
    file = Path("build", "mutations.jsonl").absolute()
    file.parent.mkdir(exist_ok=True)
    rows = try_all(exercises or EXERCISES, file, workers, click.echo, most)
    for row in rows:
        if row["accepted"]:
            where = "another series refuses it" if row["differs"] else "accepted"
            click.echo(f"{row['exercise']}, {row['operator']}, {where}:\n{row['change']}")
    take_in_mutations(summary(rows))


@experiments.command()
@click.option("--repeats", type=int, default=9, show_default=True, help="Epochs and steps of each.")
@click.option("--quick", is_flag=True, help="Time a few steps and, on a GPU, six trainings.")
def benchmark(repeats: int, quick: bool) -> None:
    """Measure speed and memory.

    Compares the notebooks' own steps with the published recipe in its plainest form, and times
    data, checks and grading. Saves build/benchmark.json; with --quick nothing but the records of
    trainings on a GPU, by the recommended recipes with captured steps and without, in
    build/trials.jsonl.
    """
    from labhelpers.instructor.experiments.benchmark import benchmark_all, benchmark_quickly

    if quick:
        benchmark_quickly(Path("build"))
    else:
        benchmark_all(repeats, Path("build", "benchmark.json"))


@experiments.command()
@click.option("--method", default="generator", show_default=True)
@click.option("--epochs", type=int, default=20, show_default=True)
@click.option("--subjects", type=int, default=80, show_default=True)
@click.option("--repeats", type=int, default=3, show_default=True, help="Trainings of each way.")
def watching(method: str, epochs: int, subjects: int, repeats: int) -> None:
    """Measure what it costs to watch a training and to keep it (minutes).

    Trains the same network plainly, watched in a notebook, and watched and kept on disk, in turns,
    and prints the times and how many times as long they are.
    """
    from labhelpers.data import IXIDataset
    from labhelpers.download import fetch_ixi
    from labhelpers.instructor.experiments.watching import cost_of_watching

    everybody = IXIDataset(fetch_ixi())
    few = IXIDataset.from_tensors(everybody.t1[:subjects], everybody.t2[:subjects])
    click.echo(cost_of_watching(method, few, epochs, repeats).round(3).to_string())


@experiments.command()
@click.option("--trials", type=_EXISTING, help="Take in trainings: build/trials.jsonl, say.")
@click.option("--speed", type=_EXISTING, help="Take in a benchmark: build/benchmark.json, say.")
@click.option("--notebooks", type=_EXISTING, help="Take in times: build/validate/seconds.json.")
def report(trials: Path | None, speed: Path | None, notebooks: Path | None) -> None:
    """Write the page of results and the README's table.

    Both come from labhelpers/instructor/experiments/results.yaml. New figures get into this file by
    the options; without them the page is written from what it holds.
    """
    from labhelpers.instructor.experiments.report import (
        take_in_benchmark,
        take_in_notebooks,
        take_in_trials,
        write_report,
    )

    if trials:
        take_in_trials(trials)
    if speed:
        take_in_benchmark(speed)
    if notebooks:
        take_in_notebooks(notebooks)
    write_report()


@experiments.command()
def picture() -> None:
    """Draw the picture of the README from simulated heads."""
    from labhelpers.data import IXIDataset
    from labhelpers.instructor.course.nbgrader import REPOSITORY
    from labhelpers.phantom import write_phantom
    from labhelpers.plots import show_pairs

    pairs = IXIDataset(write_phantom(REPOSITORY / "build" / "phantom-30", 30))
    show_pairs(pairs, subjects=6).save(REPOSITORY / ".github" / "phantom-pairs.png")
