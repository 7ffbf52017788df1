"""Start the kernel of a submission: in a process of its own, or as a fork of a prepared one.

This file is a program. It is started by its path, in isolated mode (`python -I forkserver.py ...`),
never imported, so that a kernel holds nothing of `labhelpers.instructor`. Its first argument:

- `serve`: import the large packages, run no student's code, and fork a kernel into a sandbox for
  each request that comes through the socket on standard input;
- `confined`: this process is alone in a fresh sandbox; become the kernel that standard input asks
  for;
- `plain`: become a kernel without a sandbox; the rest are arguments of ipykernel.

The second argument is the folder to import `labhelpers` from.
A request is JSON: `connection` (of Jupyter's connection file), `arguments` (of ipykernel),
`environment`, `working_folder`, `limits` (see `confine`), `user` (see `confine`) and, for `serve`,
`enter` (a process of the sandbox).
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import struct
import sys
import tempfile
import traceback
from typing import Any

__all__ = ["main"]

PRELOADED = [
    "ipykernel.kernelapp",
    "IPython.core.completer",
    "matplotlib.pyplot",
    "nbformat",
    "numpy",
    "pandas",
    "scipy",
    "torch",
    "torch.utils.data",
    "torchinfo",
    "torchmetrics",
    "labhelpers.checks.handover",
]
"""Packages that a kernel needs in any case and that know nothing of the kernel they are in."""

ASK_FOR_SHELL = ("tqdm.auto", "tqdm.autonotebook", "matplotlib_inline.backend_inline")
"""Modules that look, when they are imported, for the shell that they are in."""

SOCKETS = "/run/kernel"
"""Where, in the sandbox, the kernel's sockets are: `/run/kernel-1` to `/run/kernel-5`."""


def main() -> None:
    """Do what the arguments ask for."""
    _, mode, folder, *arguments = sys.argv
    if folder not in sys.path:
        sys.path.append(folder)
    if mode == "serve":
        serve()
    elif mode == "confined":
        sys.stdout.buffer.write(sys.stdin.buffer.readline())  # tells that the sandbox is ready
        sys.stdout.buffer.flush()
        become_kernel(json.loads(sys.stdin.buffer.readline()))
    else:
        run_kernel(arguments)


def run_kernel(arguments: list[str]) -> None:
    """Run ipykernel as `python -m ipykernel_launcher` does, but drop no output.

    What the grader has not read yet waits in the kernel, within the kernel's own memory.
    """
    from ipykernel.kernelapp import IPKernelApp

    class KernelApp(IPKernelApp):
        def _bind_socket(self, s: Any, port: int) -> int:
            s.sndhwm = 0
            return super()._bind_socket(s, port)

    launcher = importlib.util.find_spec("ipykernel_launcher")
    sys.argv = [str(launcher and launcher.origin), *arguments]
    KernelApp.launch_instance()


# The prepared process.


def serve() -> None:
    """Import the large packages; fork a kernel for each request until the socket is closed."""
    for name in PRELOADED:
        importlib.import_module(name)
    for name in ASK_FOR_SHELL:
        sys.modules.pop(name, None)
    gc.collect()
    gc.freeze()  # the collector leaves the pages shared that the forks do not write to
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    requests = socket.socket(fileno=0)
    requests.send(b"{}")
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, 1 << 17, 1)
        if not message:  # the worker has ended, perhaps without warning
            shutil.rmtree(os.environ["HOME"], ignore_errors=True)
            return
        if os.fork() == 0:
            _fork_into_sandbox(json.loads(message), requests)
        for descriptor in descriptors:
            os.close(descriptor)


def _fork_into_sandbox(request: dict, requests: socket.socket) -> None:
    """Enter the sandbox, fork the kernel there, answer, and wait for the kernel's end.

    The descriptor that came with the request is the only writing end of a pipe that the sandbox's
    own process reads: it is closed with this process, and then the sandbox ends.
    """
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        enter_namespaces(request["enter"])
        kernel = os.fork()  # a process enters a pid namespace by being born there
        if kernel == 0:
            become_kernel(request)
        requests.send(json.dumps({"process": os.getpid()}).encode())
        requests.close()
        os.waitpid(kernel, 0)
        status = 0
    except BaseException as error:
        with contextlib.suppress(OSError):
            requests.send(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode())
    finally:
        os._exit(status)


def enter_namespaces(process: int) -> None:
    """Enter all namespaces of a process; the pid namespace is that of the next child.

    Raises:
        OSError: The system forbids it.
    """
    names = ("mnt", "pid", "net", "ipc", "uts", "cgroup", "user")
    wanted = {}
    for name in names:
        descriptor = os.open(f"/proc/{process}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)
        if os.fstat(descriptor).st_ino != os.stat(f"/proc/self/ns/{name}").st_ino:
            wanted[name] = descriptor
    user = wanted.pop("user", None)
    if user is not None:
        # The other namespaces belong to the sandbox's outer user namespace: its final one may be
        # a child of that, in which no right over them is left.
        import fcntl

        outer = fcntl.ioctl(wanted["mnt"], 0xB701)  # NS_GET_USERNS
        _call("setns", outer, 0)
        if os.fstat(outer).st_ino == os.fstat(user).st_ino:
            user = None
    for name in ("pid", "net", "ipc", "uts", "cgroup", "mnt"):
        if name in wanted:
            _call("setns", wanted[name], 0)
    if user is not None:
        _call("setns", user, 0)


# The kernel.


def become_kernel(request: dict) -> None:
    """Turn this process, alone in its sandbox, into the kernel; does not return."""
    try:
        importlib.import_module("ipykernel.kernelapp")  # a failure is still told on stderr
        confine(request["limits"], request["user"])
        os.environ.clear()
        os.environ.update(request["environment"])
        tempfile.tempdir = None
        for folder in (os.environ["HOME"], request["working_folder"]):
            os.makedirs(folder, exist_ok=True)
        os.chdir(request["working_folder"])
        connection = f"{SOCKETS}.json"
        with open(os.open(connection, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            json.dump(request["connection"], file)
        _draw_seeds()
        _close_all()
        run_kernel(["-f", connection, *request["arguments"]])
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _draw_seeds() -> None:
    """Give a fork seeds of its own, as a new process has; Python's `random` does it itself."""
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()
    if torch := sys.modules.get("torch"):
        constant = 67280421310721  # the seed of each new process in older versions
        if torch.initial_seed() != constant:
            torch.default_generator.seed()


def _close_all() -> None:
    """Give this process a session of its own and nothing but /dev/null as open files."""
    with contextlib.suppress(OSError):
        os.setsid()
    sys.stdout.flush()
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.closerange(3, 65536)


def confine(limits: dict[str, int], user: int | None) -> None:
    """Give up all rights of this process for good.

    Args:
        limits: Of `resource`: its names without `RLIMIT_`, such as `{"NPROC": 64}`.
        user: User and group to become, where the grader is root; None leaves the user as it is.

    Raises:
        OSError: The system refused; no student's code may run then.
    """
    import resource

    for name, limit in limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (limit, limit))
    for capability in range(64):  # PR_CAPBSET_DROP; refused where there is none or no right to
        with contextlib.suppress(OSError):
            _call("prctl", 24, capability, 0, 0, 0)
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    _call("prctl", 47, 4, 0, 0, 0)  # PR_CAP_AMBIENT_CLEAR_ALL
    version_3 = ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0))
    _call("capset", version_3, ctypes.create_string_buffer(24))
    _call("prctl", 38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    _call("prctl", 4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: /proc/self belongs to this user
    _filter_calls()


DENIED_CALLS = {
    # name: number on x86_64, number on aarch64
    # Memory that belongs to no process and is in no limited folder.
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # Other processes, other namespaces, other mounts (a tmpfs of one's own has no limit).
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    # Large and rarely needed parts of the system, where its faults are found.
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "syslog": (103, 116),
}
MACHINES = {"x86_64": (0, 0xC000003E, 56), "aarch64": (1, 0xC00000B7, 220)}
"""Column of `DENIED_CALLS`, `AUDIT_ARCH` and the number of `clone`."""


def _filter_calls() -> None:
    """Let the calls of `DENIED_CALLS` and those that make namespaces fail, by a seccomp filter."""
    column, architecture, clone = MACHINES[os.uname().machine]
    refuse = 0x00050000 | 1  # SECCOMP_RET_ERRNO | EPERM
    absent = 0x00050000 | 38  # ENOSYS: the C library then uses `clone`, whose flags can be read
    load, equal, at_least, any_bit, result = 0x20, 0x15, 0x35, 0x45, 0x06
    rules = [
        (load, 0, 0, 4),  # the architecture
        (equal, 1, 0, architecture),
        (result, 0, 0, refuse),
        (load, 0, 0, 0),  # the call
        (at_least, 0, 1, 0x40000000),  # x86_64: another set of numbers
        (result, 0, 0, refuse),
        (equal, 0, 1, 435),  # clone3
        (result, 0, 0, absent),
    ]
    for numbers in DENIED_CALLS.values():
        rules += [(equal, 0, 1, numbers[column]), (result, 0, 0, refuse)]
    rules += [
        (equal, 0, 3, clone),
        (load, 0, 0, 16),  # its flags: CLONE_NEW...
        (any_bit, 0, 1, 0x7E020080),
        (result, 0, 0, refuse),
        (result, 0, 0, 0x7FFF0000),  # SECCOMP_RET_ALLOW
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
    program = ctypes.create_string_buffer(
        struct.pack("HxxxxxxQ", len(rules), ctypes.addressof(code))
    )
    _call("prctl", 22, 2, ctypes.addressof(program), 0, 0)  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


def _call(name: str, *arguments: object) -> None:
    """Call a function of the C library that returns 0 on success.

    Raises:
        OSError: It failed.
    """
    converted = [ctypes.c_ulong(one) if isinstance(one, int) else one for one in arguments]
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*converted):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


if __name__ == "__main__":
    main()
