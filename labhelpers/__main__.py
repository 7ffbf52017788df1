"""The `labhelpers` command: what students need; the rest is in the instructor's part of a clone."""

import argparse
import sys
from pathlib import Path

__all__ = ["main"]

_ABOUT = "Look at a notebook before it is handed in, or repair it."


def main() -> None:
    """Run the command line; Ctrl-C ends it without a traceback, also while it is being loaded."""
    try:
        _run_command()
    except KeyboardInterrupt:
        sys.exit("Aborted!")


def _run_command() -> None:
    if sys.argv[1:2] in (["preflight"], ["repair"]):
        sys.exit(_student_command(sys.argv[1:]))
    try:
        from labhelpers.instructor.cli import main as run
    except ModuleNotFoundError as error:
        if sys.argv[1:2] in ([], ["-h"], ["--help"]):
            _student_command(["--help"])
        sys.exit(
            f"This command of labhelpers is for instructors and maintainers ({error}). It is in a "
            "clone of the repository, installed with: pip install -e '.[dev]'. Students have "
            "`labhelpers preflight NOTEBOOK` and `labhelpers repair NOTEBOOK`."
        )
    run()


def _student_command(arguments: list[str]) -> int:
    """Look at a notebook or repair it; return the exit status: 1 if there is something to do."""
    from labhelpers.preflight import examine, repair_notebook
    from labhelpers.repair.locate import LocateError, find_assignment, find_releases

    parser = argparse.ArgumentParser(prog="labhelpers", description=_ABOUT)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("preflight", "Show what is to do before a notebook is handed in; nothing is changed."),
        ("repair", "Write a repaired copy of a notebook beside it; answers stay as they are."),
    ):
        subparser = commands.add_parser(name, help=text, description=text)
        subparser.add_argument("notebook", type=Path)
    given = parser.parse_args(arguments)
    try:
        releases = find_releases()
        assignment = find_assignment(given.notebook, releases)
    except LocateError as error:
        print(error, file=sys.stderr)
        return 2
    if given.command == "repair":
        repair_notebook(assignment, given.notebook)
        return 0
    repair = f'labhelpers repair "{given.notebook}"'
    found = examine(given.notebook, releases[assignment], command=repair)
    print(found.text)
    return int(found.status == "repair")


if __name__ == "__main__":
    main()
