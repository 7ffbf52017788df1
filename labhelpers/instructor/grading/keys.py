"""The key of a graded submission: it changes with what was handed in and with what grades it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import cache
from pathlib import Path

import labhelpers
from labhelpers.instructor.grading.numbers import DEPENDS_ON, digest_of_files
from labhelpers.repair.release import Release

__all__ = ["code_digest", "key_of", "same_submission"]

# The files of the repository that decide points.
_CODE = (
    *DEPENDS_ON,
    "labhelpers/checks/**/*.json",
    "labhelpers/repair/*.py",
    "labhelpers/instructor/course/preprocessors.py",
    "labhelpers/instructor/grading/repair/*.py",
    "labhelpers/instructor/grading/kernels/*.py",
    "labhelpers/instructor/grading/numbers.py",
    "labhelpers/instructor/grading/preprocessors.py",
    "labhelpers/instructor/grading/verdicts.py",
)


@cache
def code_digest() -> str:
    """Return a digest of the version and the files of labhelpers that decide points."""
    return digest_of_files(_CODE, labhelpers.__version__)


def key_of(notebook: Path, release: Release, configuration: Path) -> str:
    """Return the key of a submission.

    Args:
        notebook: The submitted file, beside its `timestamp.txt`.
        release: What was released.
        configuration: The course's `nbgrader_config.py`.

    Returns:
        Two digests with a hyphen between them: of what was handed in and when, and of release,
        version, code and configuration.
    """
    timestamp = notebook.with_name("timestamp.txt")
    submission = _digest(
        notebook.read_bytes(), timestamp.read_bytes() if timestamp.exists() else b""
    )
    grader = _digest(
        json.dumps([asdict(cell) for cell in release.cells]).encode(),
        release.notebook.encode(),
        code_digest().encode(),
        configuration.read_bytes(),
    )
    return f"{submission}-{grader}"


def same_submission(key: str, other: str) -> bool:
    """Return True if two keys are of the same submission, whatever graded it; "" is of none."""
    return bool(key) and key.partition("-")[0] == other.partition("-")[0]


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:40]
