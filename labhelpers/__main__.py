"""The `labhelpers` command: its subcommands are in the instructor's part of a clone."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line, or explain why there is none in what students install."""
    try:
        from labhelpers.instructor.cli import main as run
    except ModuleNotFoundError as error:
        sys.exit(
            f"The commands of labhelpers are for instructors and maintainers ({error}). They are "
            "in a clone of the repository, installed with: pip install -e '.[dev]'"
        )
    run()


if __name__ == "__main__":
    main()
