"""Build the wheel that students install: the lesson and the visible checks."""

import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from labhelpers.instructor.course.nbgrader import REPOSITORY, CourseError

__all__ = ["student_wheel"]


@functools.cache
def student_wheel() -> tuple[str, bytes]:
    """Return the file name and the content of the wheel, built once in a process.

    `pyproject.toml` defines what it holds. The same files give the same bytes.

    Raises:
        CourseError: If it cannot be built.
    """
    with tempfile.TemporaryDirectory() as scratch:
        # setuptools packs whatever an earlier build left in its folders, so these are new ones.
        settings = Path(scratch) / "setup.cfg"
        settings.write_text(
            f"[build]\nbuild_base = {scratch}/build\n[egg_info]\negg_base = {scratch}\n"
        )
        environment = os.environ | {
            "DIST_EXTRA_CONFIG": str(settings),
            "SOURCE_DATE_EPOCH": "315532800",  # 1 January 1980, the first date of a zip
        }
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        command += ["--no-build-isolation", "--wheel-dir", scratch, str(REPOSITORY)]
        result = subprocess.run(command, env=environment, capture_output=True, text=True)
        if result.returncode != 0:
            raise CourseError(f"The wheel of labhelpers could not be built:\n{result.stderr}")
        (wheel,) = Path(scratch).glob("*.whl")
        return wheel.name, wheel.read_bytes()
