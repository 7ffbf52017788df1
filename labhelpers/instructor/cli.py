"""The command line of instructors and maintainers: `labhelpers COMMAND`."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import click

from labhelpers.instructor.experiments.commands import experiments

# Each command imports what it needs when it runs, so that --help answers at once.

__all__ = ["commands", "main"]

_EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)


def _preset_option(default: str) -> Any:
    return click.option(
        "--preset",
        type=click.Choice(["quick", "full"]),
        default=default,
        show_default=True,
        help="How long the notebooks train: 2 epochs on 80 subjects, or 20 epochs on everyone.",
    )


class _Commands(click.Group):
    """A group of commands whose foreseen errors are one message on stderr and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            from labhelpers.data import DataError
            from labhelpers.instructor.authoring.edits import BuildError
            from labhelpers.instructor.course.nbgrader import CourseError

            if isinstance(error, (BuildError, CourseError, DataError)):
                raise click.ClickException(str(error)) from error
            raise


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """Build, check and grade the lab "From T1-w to T2-w".

    What students have, too: `labhelpers preflight NOTEBOOK` shows what is to do before a notebook
    is handed in, `labhelpers repair NOTEBOOK` writes a repaired copy of it.

    The sources are the notebooks in notebooks/; all that is generated goes to build/. Run
    `labhelpers COMMAND --help` to read about one command.
    """


commands.add_command(experiments)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A console that cannot print a Greek letter prints a question mark.
            stream.reconfigure(errors="replace")
    commands(prog_name="labhelpers")


@commands.command()
def lab() -> None:
    """Build, run and grade everything once; print one table.

    Fetches the data, builds the student version and the executed solution, hands in a model answer
    and an untouched notebook of each assignment and grades them. Takes a few minutes.
    """
    from labhelpers.instructor.course.overview import lab_overview

    _fail_if(lab_overview())


@commands.command()
@_preset_option("full")
@click.option("--student-only", is_flag=True, help="Leave the solution out: nothing is executed.")
def release(preset: str, student_only: bool) -> None:
    """Build the student version and the executed solution.

    Both come as a folder and a zip file: build/student and build/solution. The solution shows full
    trainings, which take about a quarter of an hour on two CPU cores; with `--preset quick`, a
    rehearsal, its figures are not those of the results page.
    """
    from labhelpers.instructor.course.release import build_solution, build_student

    build_student()
    click.echo("Student version: build/student/ and build/student.zip")
    if not student_only:
        seconds = build_solution(preset=preset)
        click.echo("Solution:        build/solution/ and build/solution.zip")
        _print_seconds(seconds)


@commands.command()
@_preset_option("quick")
@click.option("--update", is_flag=True, help="Store the outputs instead of comparing them.")
def validate(preset: str, update: bool) -> None:
    """Run all notebooks and compare their outputs.

    Solved: no cell fails, every check gives full points, and the outputs of the cells tagged
    `nbval-check-output` are those of tests/expected_outputs.json. Untouched: no cell
    fails, none waits but those tagged `needs-answer`, and every check answers that nothing was
    attempted.
    """
    from labhelpers.instructor.course.validate import validate

    good, seconds = validate(preset, update)
    _print_seconds(seconds)
    if not good:
        sys.exit(1)


@commands.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.argument("assignment")
@click.option("--roster", type=_EXISTING, help="CSV file with the students of the class.")
def collect(path: Path, assignment: str, roster: Path | None) -> None:
    """Put what was handed in for ASSIGNMENT where it is graded.

    PATH is nbgrader's submitted/ folder or exchange (on a JupyterHub), a zip file from Moodle or
    Canvas, or a folder or zip file of notebooks, one for each student or in folders named after
    them. Notebooks are recognised by what they hold, whatever they are called. The newest attempt
    of each student goes to build/submitted/; what it replaces is kept in build/collected/. Nothing
    changes when the same is collected again.

    The time of handing in, for late penalties, is known from nbgrader's exchange, its timestamp.txt
    and Moodle's zip file (in the time zone of this computer), not from Canvas or plain files.

    The roster says which student has which id. Recognised columns: id, first_name, last_name, email
    (nbgrader); Full name, ID number, Email address, Identifier or Participant number (Moodle);
    Student, SIS Login ID, SIS User ID, ID (Canvas). The first of id, ID number, SIS Login ID, SIS
    User ID, e-mail address and Canvas's ID that a student has is the id. Who is not in it, or may
    be several, gets a folder unknown-NAME. The report names these, what was refused, and who handed
    in nothing. All students of the roster get into the gradebook, with their names and e-mail
    addresses.
    """
    from labhelpers.instructor.grading.intake.collect import collect

    click.echo(collect(path, assignment, roster).in_words())


@commands.command()
@click.argument("assignment")
@click.argument("students", nargs=-1)
@click.option("--workers", type=click.IntRange(1), help="Processes; without it, one per processor.")
@click.option("--scheduler", metavar="URL", help="Execute on a Dask cluster: tcp://HOST:PORT.")
@click.option("--regrade", is_flag=True, help="Grade again what has not changed, too.")
@click.option("--dry-run", is_flag=True, help="Show which grades would change; write none.")
@click.option("--no-sandbox", is_flag=True, help="Let submissions see this machine's files.")
def grade(
    assignment: str, students: tuple[str, ...], regrade: bool, dry_run: bool, **options: Any
) -> None:
    """Grade what was handed in for ASSIGNMENT.

    Submissions are build/submitted/STUDENT/ASSIGNMENT/ASSIGNMENT.ipynb; without STUDENTS, all are
    graded that are new or changed, or were graded by another release or version. A run that was
    stopped goes on where it was. The scores go to the gradebook, build/gradebook.db; scores given
    by hand stay. Whatever a submission does to its kernel, it is graded; the summary names those
    that a person should look at.

    The workers of a Dask cluster (`dask scheduler`, `dask worker URL --nthreads 1`) need labhelpers
    as it is here, and a sandbox.
    """
    from labhelpers.instructor.grading.dry_run import rehearse
    from labhelpers.instructor.grading.run import Means, grade

    means = Means(sandboxed=not options.pop("no_sandbox"), show=click.echo, **options)
    if dry_run:
        outcome, changes = rehearse(assignment, students, means=means, regrade=regrade)
        what = f"{len(changes)} scores would change" if len(changes) else "No score would change"
        click.echo(f"{what}; nothing was written.")
        if len(changes):
            click.echo(changes.to_string())
    else:
        outcome = grade(assignment, students, means=means, regrade=regrade)
    click.echo(outcome.in_words())
    if outcome.failed:
        sys.exit(1)


@commands.command("report")
@click.argument("assignment")
def class_report(assignment: str) -> None:
    """Write the class report of ASSIGNMENT, one page: build/report/ASSIGNMENT.html.

    Points and frequent mistakes of each exercise, where students stopped, and which submissions a
    person should look at.
    """
    from labhelpers.instructor.grading.pages.class_report import write_class_report

    click.echo(f"Wrote {write_class_report(assignment)}.")


@commands.command()
@click.option("--check", is_flag=True, help="Change nothing; fail if the files are out of date.")
def expected(check: bool) -> None:
    """Compute anew the numbers that the checks compare with.

    Needed after a change of an exercise, its check, a hint or a mistake. Runs the reference
    solutions of the notebooks, other accepted answers and all known mistakes. Commit the files.
    """
    from labhelpers.instructor.authoring import expected as authoring

    files = authoring.build()
    if check:
        if places := authoring.stale(files):
            for place in places[:20]:
                click.echo(f"out of date: {place}")
            raise click.ClickException("Run `labhelpers expected` and commit the files.")
    else:
        authoring.write(files)
        for path in files:
            click.echo(f"Wrote {path.name}, {path.stat().st_size / 1000:.0f} kB.")


@commands.command()
@click.argument("exercises", nargs=-1)
def mistakes(exercises: tuple[str, ...]) -> None:
    """Grade every known mistake, print the hints.

    EXERCISES are ids such as generator-unet; without them, all. Fails if a mistake is not rejected,
    in the notebook or by nbgrader, or not called by its name.
    """
    from labhelpers.instructor.authoring.mistakes import (
        all_mistakes,
        grade_answers,
        layout,
        mistake_problems,
    )

    answers = all_mistakes()
    known = dict.fromkeys(answer.exercise for answer in answers)
    if unknown := {*exercises} - known.keys():
        raise click.ClickException(
            f"There are no known mistakes for {', '.join(sorted(unknown))}: choose from "
            f"{', '.join(known)}."
        )
    answers = [answer for answer in answers if answer.exercise in (exercises or known)]
    click.echo(f"Grading {len(answers)} known mistakes with nbgrader ...")
    table = grade_answers(answers)
    click.echo(layout(table))
    _fail_if(mistake_problems(table))
    click.echo(
        f"All {len(table)} mistakes in {table.index.get_level_values('exercise').nunique()} "
        "exercises are rejected in the notebook and by nbgrader, and each gets its own hint."
    )


def _print_seconds(seconds: dict[str, float]) -> None:
    for name, duration in seconds.items():
        click.echo(f"{name:<32} {duration:6.1f} s")


def _fail_if(problems: list[str]) -> None:
    if problems:
        raise click.ClickException("\n  ".join(["Something is wrong:", *problems]))
