"""Build the wheel that students install: the lesson, the visible checks, what was released."""

import base64
import functools
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from labhelpers.instructor.course.nbgrader import REPOSITORY, CourseError

__all__ = ["add_notebooks", "student_wheel"]

# What pip does at last; on the way there it asks twice what the wheel needs.
_BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


@functools.cache
def student_wheel() -> tuple[str, bytes]:
    """Return the file name and the content of the wheel without notebooks, built once in a process.

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
        command = [sys.executable, "-c", _BUILD, scratch]
        result = subprocess.run(
            command, env=environment, cwd=REPOSITORY, capture_output=True, text=True
        )
        if result.returncode != 0:
            raise CourseError(f"The wheel of labhelpers could not be built:\n{result.stderr}")
        (wheel,) = Path(scratch).glob("*.whl")
        return wheel.name, wheel.read_bytes()


def add_notebooks(wheel: bytes, notebooks: Mapping[str, str]) -> bytes:
    """Return the content of a wheel with released notebooks in it.

    They are in `labhelpers/released`, where the students' `labhelpers.preflight` looks for them.

    Args:
        wheel: Content of the wheel without notebooks.
        notebooks: The student version of each as JSON, by assignment.
    """
    result = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(wheel)) as old,
        zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        (record,) = (info for info in old.infolist() if info.filename.endswith("/RECORD"))
        for info in old.infolist():
            if info is not record:
                new.writestr(info, old.read(info))
        lines = []
        for name, text in sorted(notebooks.items()):
            info = zipfile.ZipInfo(f"labhelpers/released/{name}.ipynb", record.date_time)
            info.external_attr = 0o100644 << 16  # the owner writes, everyone reads
            content = text.encode()
            new.writestr(info, content, zipfile.ZIP_DEFLATED)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            lines.append(f"{info.filename},sha256={digest.decode()},{len(content)}\n")
        new.writestr(record, old.read(record).decode() + "".join(lines))
    return result.getvalue()
