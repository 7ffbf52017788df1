"""What a submission sees and may use: the command of bubblewrap, environment and limits."""

from __future__ import annotations

import functools
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pooch
import psutil

import labhelpers

__all__ = [
    "FIXED_ENVIRONMENT",
    "INSIDE_FILES",
    "INSIDE_PROGRAM",
    "PACKAGE",
    "PROGRAM",
    "Limits",
    "bubblewrap",
    "is_root",
    "isolated_python",
    "kernel_environment",
    "resource_limits",
    "sandbox_problem",
]

PACKAGE = Path(labhelpers.__file__).resolve().parent
PROGRAM = Path(__file__).resolve().with_name("forkserver.py")
INSIDE_PROGRAM = "/run/start.py"
INSIDE_DATA = "/data"
INSIDE_FILES = "/files"


@dataclass(frozen=True)
class Limits:
    """What a submission may use. Each is for the whole submission unless it says otherwise."""

    cell_seconds: float = 120
    """Time for one cell."""
    notebook_seconds: float = 600
    """Time for all cells together."""
    memory_mb: int = 4096
    """Memory of all processes together; pages that processes share count once. A kernel that has
    imported torch and its like needs 1,000."""
    cpu_seconds: int = 900
    """Processor time of all processes that run, together."""
    processes: int = 64
    """Processes and threads."""
    disk_mb: int = 256
    """Size of the files in `/tmp`, and as much again in `/dev/shm`."""
    output_mb: float = 10
    """Size of the output of all cells together."""


@functools.cache
def sandbox_problem() -> str | None:
    """Return why submissions cannot run in bubblewrap on this machine; None if they can."""
    if platform.system() != "Linux" or platform.machine() not in ("x86_64", "aarch64"):
        return (
            f"The sandbox needs Linux on x86_64 or aarch64; this is {platform.system()} on "
            f"{platform.machine()}. Grade on a Linux machine, in a virtual machine or in WSL 2."
        )
    if not (program := shutil.which("bwrap")):
        return (
            "The sandbox needs bubblewrap, and there is no program `bwrap`. Install it: "
            "`apt install bubblewrap` (Debian, Ubuntu), `dnf install bubblewrap` (Fedora), or "
            "`conda install -c conda-forge bubblewrap`."
        )
    told = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    version = tuple(int(part) for part in re.findall(r"\d+", told)[:2])
    if version < (0, 7):
        return f"The sandbox needs bubblewrap 0.7 or newer; {program} is {told.strip()!r}."
    look = "import importlib.util as u; print(*[m for m in %r if not u.find_spec(m)])"
    try:
        found = subprocess.run(
            [*bubblewrap(Limits()), *isolated_python("-c", look % (("ipykernel", "torch"),))],
            env=kernel_environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
    except subprocess.TimeoutExpired:
        return "bubblewrap does not answer within a minute."
    if found.returncode:
        return (
            f"bubblewrap does not work here ({found.stderr.strip() or 'no message'}). Ask whoever "
            "administers the machine to allow unprivileged user namespaces "
            "(`sysctl kernel.unprivileged_userns_clone=1`, "
            "`sysctl kernel.apparmor_restrict_unprivileged_userns=0`, "
            "`sysctl user.max_user_namespaces=15000`); a container needs `--privileged` or "
            "`--security-opt seccomp=unconfined --security-opt apparmor=unconfined "
            "--security-opt systempaths=unconfined`."
        )
    if missing := found.stdout.strip():
        return (
            f"In the sandbox Python does not find {missing}: only {sys.prefix} is visible there. "
            "Install the lab into that environment, not into the user's own folder."
        )
    return None


def bubblewrap(limits: Limits, files: Path | None = None) -> list[str]:
    """Return the command, up to the program to run, that starts it in a sandbox.

    Args:
        limits: What the submission may use.
        files: A folder of this machine to show as `INSIDE_FILES`, read-only.
    """
    disk = str(limits.disk_mb << 20)
    command = [shutil.which("bwrap") or "bwrap", "--hostname", "sandbox"]
    command += ["--die-with-parent", "--new-session"]
    command += [f"--unshare-{name}" for name in ("pid", "net", "ipc", "uts", "cgroup-try")]
    if is_root():
        # What `forkserver.confine` needs to become another user.
        for name in ("SETUID", "SETGID", "SETPCAP"):
            command += ["--cap-add", f"CAP_{name}"]
    else:
        command += ["--unshare-user"]
    command += ["--proc", "/proc", "--dev", "/dev"]
    for folder, size in (("/dev/shm", disk), ("/tmp", disk), ("/run", "1048576")):
        command += ["--perms", "1777", "--size", size, "--tmpfs", folder]
    parents = {parent for path in _visible() for parent in path.parents}
    for parent in sorted(parents):  # else bubblewrap makes them, closed to other users
        command += ["--dir", str(parent)]
    for path in _visible():
        if path.is_symlink() and path.parent == Path("/"):  # /bin, /lib where they are in /usr
            command += ["--symlink", os.readlink(path), str(path)]
        elif path == PACKAGE:  # hides what of it is not listed after it
            command += ["--tmpfs", str(path)]
        else:
            command += ["--ro-bind", str(path), str(path)]
    command += ["--remount-ro", str(PACKAGE), "--ro-bind", str(PROGRAM), INSIDE_PROGRAM]
    if data := _data_folder():
        command += ["--ro-bind", str(data), INSIDE_DATA]
    if files:
        command += ["--ro-bind", str(files), INSIDE_FILES]
    return [*command, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"]


def _visible() -> list[Path]:
    """Return the files and folders of this machine that the sandbox shows, read-only."""
    system = "bin lib lib32 lib64 libx32 sbin usr/bin usr/lib usr/lib32 usr/lib64 usr/libexec"
    system += " usr/sbin usr/share usr/local/bin usr/local/lib usr/local/lib64"
    settings = "alternatives fonts ld.so.cache ld.so.conf ld.so.conf.d localtime"
    paths = {Path("/", name) for name in system.split()}
    paths |= {Path("/etc", name) for name in settings.split()}
    paths.add(Path("/sys/devices/system/cpu"))  # torch reads what the processor can do
    for prefix in _prefixes():
        paths |= {prefix / name for name in ("bin", "lib", "lib64", "pyvenv.cfg")}
    paths |= {PACKAGE, *(path for path in PACKAGE.iterdir() if path.name != "instructor")}
    return sorted(path for path in paths if path.exists())


def _prefixes() -> set[Path]:
    """Return the folders of this Python: of the environment, and of those that it is made from."""
    prefixes = {Path(sys.prefix), Path(sys.base_prefix)}
    program = Path(sys.executable)
    while True:
        prefixes.add(program.parent.parent)
        if not program.is_symlink():
            return prefixes
        program = Path(os.path.normpath(program.parent / os.readlink(program)))


def _data_folder() -> Path | None:
    """Return the folder of slices that `labhelpers.download.fetch_ixi` would use, if any."""
    if given := os.environ.get("LABHELPERS_DATA"):
        return Path(given).expanduser().resolve()
    cache = Path(pooch.os_cache("labhelpers"))
    folders = [cache / "ixi-64", cache / "phantom-64"]
    return next((folder for folder in folders if folder.is_dir()), None)


def isolated_python(*arguments: str) -> list[str]:
    """Return the command of this Python that heeds neither variables nor the working folder."""
    return [sys.executable, "-I", *arguments]


def is_root() -> bool:
    """Return True if the grader is root: a submission then runs as another user."""
    return os.geteuid() == 0


FIXED_ENVIRONMENT = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # as ipykernel sets it
    "NBGRADER_EXECUTION": "autograde",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    **{f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")},
}


def kernel_environment(home: str = "/tmp/home") -> dict[str, str]:
    """Return all environment variables of a kernel in the sandbox."""
    return {
        "PATH": f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": home,
        "USER": "student",
        "LOGNAME": "student",
        "LANG": "C.UTF-8",
        "MPLCONFIGDIR": f"{home}/.config/matplotlib",
        "JPY_PARENT_PID": "1",  # ipykernel then neither watches its parent nor prints a greeting
        **({"LABHELPERS_DATA": INSIDE_DATA} if _data_folder() else {}),
        **FIXED_ENVIRONMENT,
    }


def resource_limits(limits: Limits) -> dict[str, int]:
    """Return the limits that the system keeps for each process (see `forkserver.confine`)."""
    memory = limits.memory_mb << 20
    return {
        "DATA": memory,  # its own writable memory: an allocation beyond fails with MemoryError
        "AS": memory + (16 << 30),  # with what it maps and hardly uses: the libraries of torch
        "CPU": limits.cpu_seconds + 60,  # where the watcher fails, which counts all processes
        "FSIZE": limits.disk_mb << 20,
        "NPROC": limits.processes + _threads_that_count(),
        "NOFILE": 512,
        "CORE": 0,
        "MSGQUEUE": 0,
        "MEMLOCK": 0,
    }


def _threads_that_count() -> int:
    """Return the number of this user's threads outside a sandbox that its limit includes."""
    version = tuple(int(part) for part in re.findall(r"\d+", platform.release())[:2])
    if is_root() or version >= (5, 14):  # since then a user namespace counts its own
        return 0
    return sum(
        process.info["num_threads"]
        for process in psutil.process_iter(["uids", "num_threads"])
        if process.info["uids"] and process.info["uids"].real == os.getuid()
    )
