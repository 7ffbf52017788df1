"""The right numbers for any series of cases, worked out from the reference solutions and kept.

They are worked out in a process of its own, which never runs code of students.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import cast

import labhelpers
from labhelpers.checks.cases import public_part
from labhelpers.checks.exercises import EXERCISES
from labhelpers.checks.fingerprint import PERIOD
from labhelpers.checks.records import Numbers
from labhelpers.instructor.authoring import expected
from labhelpers.instructor.authoring.edits import BuildError
from labhelpers.instructor.sources import NOTEBOOKS, read_solutions

__all__ = ["DEPENDS_ON", "FOLDER", "digest_of_files", "draw_series", "numbers_for"]

#: Where the numbers are kept, in the folder of the course.
FOLDER = Path("build") / "grading" / "numbers"

#: What the numbers depend on, in the repository: the cases, the tables and the solutions.
DEPENDS_ON = (
    "labhelpers/*.py",
    "labhelpers/checks/**/*.py",
    "labhelpers/clinic/*",
    "labhelpers/instructor/sources.py",
    "labhelpers/instructor/authoring/**/*.py",
    "labhelpers/instructor/authoring/**/*.yaml",
    "notebooks/*/*.ipynb",
)

_LARGEST = 2**62 - 1
_REFUSED = 3  # exit code of the process if the reference solution fails
_RIGHT, _MISTAKES = "right", "mistakes"  # what a file holds
_KEYS = Numbers.__annotations__.keys()


def draw_series() -> int:
    """Return a random series, from 1 to 2⁶² - 1, whose cases are not those of the visible check.

    Its files are neither those nor the ones that its public part alone would give.
    """
    while True:
        series = secrets.randbelow(_LARGEST) + 1
        public = public_part(series)
        if public % PERIOD and series % PERIOD and (series - public) % PERIOD:
            return series


def numbers_for(
    exercise_id: str, series: int, mistakes: bool = False, root: Path = NOTEBOOKS.parent
) -> Numbers:
    """Return what right answers, and known mistakes, give in one exercise and series.

    The first call takes some seconds and works out the right numbers of the whole notebook; with
    mistakes it takes up to a minute, for this exercise alone. Later ones read a file. Calls from
    several processes at the same time do no harm.

    Args:
        exercise_id: Id of the exercise, such as `"cgan-step"`.
        series: Which series of cases, see `checks.cases.Setting`.
        mistakes: Whether to work out known mistakes, too; they are needed for wrong answers only.
            One that makes no difference in this series, or that nothing tells from another, is
            left out.
        root: Folder of the course, where the numbers are kept.

    Raises:
        BuildError: If the reference solution fails on a case of the series.
    """
    folder = root / FOLDER
    fingerprint = _fingerprint()
    for level in (_MISTAKES,) if mistakes else (_MISTAKES, _RIGHT):
        kept = _read(folder / _file(exercise_id, series, fingerprint, level))
        if kept is not None:
            return kept
    level = _MISTAKES if mistakes else _RIGHT
    _work_out(exercise_id, series, level, folder)
    path = folder / _file(exercise_id, series, fingerprint, level)
    if (numbers := _read(path)) is None:
        raise OSError(f"{path} cannot be read back. Look at the disk, then try again.")
    return numbers


def _file(exercise_id: str, series: int, fingerprint: str, level: str) -> str:
    return f"{exercise_id}-{series}-{fingerprint}-{level}.json"


def _read(path: Path) -> Numbers | None:
    """Return the numbers in a file, None if there are none or it is damaged."""
    try:
        numbers = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = isinstance(numbers, dict) and numbers.keys() == _KEYS
    return cast(Numbers, numbers) if whole else None


def _fingerprint() -> str:
    return digest_of_files(DEPENDS_ON, version("torch"))[:16]


def digest_of_files(patterns: Iterable[str], beginning: str) -> str:
    """Return a digest of a text, and of names and contents of files of the repository.

    Args:
        patterns: Which files, as `Path.glob` takes them.
        beginning: The text.
    """
    root = NOTEBOOKS.parent
    digest = hashlib.sha256(beginning.encode())
    for path in sorted({path for pattern in patterns for path in root.glob(pattern)}):
        if path.is_file():
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _work_out(exercise_id: str, series: int, level: str, folder: Path) -> None:
    """Let a new process write the numbers to files."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", __name__, exercise_id, level]
    # Several of these, and kernels, may share the processor: more threads would only wait.
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(  # `-m` looks for modules in the working folder first
        [*command, str(folder.resolve())],
        cwd=Path(labhelpers.__file__).parents[1],
        env=environment,
        input=str(series),  # all users of a machine see the arguments of its processes
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode == _REFUSED:
        raise BuildError(done.stderr.strip())
    if done.returncode:
        raise RuntimeError(
            f"The numbers of {exercise_id} for series {series} could not be worked out "
            f"(exit code {done.returncode}):\n{done.stderr.strip()}"
        )


def _main(exercise_id: str, series: int, level: str, folder: Path) -> None:
    fingerprint = _fingerprint()
    for id_ in (exercise_id,) if level == _MISTAKES else _of_one_notebook(exercise_id):
        path = folder / _file(id_, series, fingerprint, level)
        try:
            if id_ == exercise_id or not path.exists():
                _write(path, expected.numbers_of(id_, series, mistakes=level == _MISTAKES))
        except BuildError as error:
            if id_ == exercise_id:
                print(error, file=sys.stderr)
                sys.exit(_REFUSED)


def _of_one_notebook(exercise_id: str) -> list[str]:
    """Return the exercises of the notebook in which an exercise is, that one first."""
    notebooks = {id_: s.notebook for id_, s in read_solutions().items() if id_ in EXERCISES}
    same = [id_ for id_, notebook in notebooks.items() if notebook == notebooks[exercise_id]]
    return sorted(same, key=lambda id_: id_ != exercise_id)


def _write(path: Path, numbers: Numbers) -> None:
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, suffix=".part", delete=False
    ) as file:
        json.dump(numbers, file)
    os.replace(file.name, path)  # another process reads the whole file or none


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.stdin.read()), sys.argv[2], Path(sys.argv[3]))
