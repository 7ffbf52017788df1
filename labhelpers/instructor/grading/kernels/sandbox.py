"""Run the kernel of a submission in bubblewrap, within limits, and report why it was killed."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import json
import logging
import os
import platform
import secrets
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

import psutil
import zmq.asyncio
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Bool, Instance, Type, Unicode, default

from labhelpers.instructor.grading.kernels.bubblewrap import (
    FIXED_ENVIRONMENT,
    INSIDE_PROGRAM,
    PACKAGE,
    PROGRAM,
    Limits,
    bubblewrap,
    is_root,
    isolated_python,
    kernel_environment,
    resource_limits,
    sandbox_problem,
)

__all__ = [
    "Limits",
    "SandboxedKernelManager",
    "make_folder",
    "sandbox_problem",
    "start_fork_server",
]

PORTS = {"shell_port": 1, "iopub_port": 2, "stdin_port": 3, "control_port": 4, "hb_port": 5}
MAX_FILES = 100_000
WATCH_INTERVAL = 0.2  # seconds
_UNREAD = 20  # times the output that a submission may have: what it can take in memory, unread
_GROWTH = 300  # MB by which the grader grows for reasons of its own
START_TIMEOUT = 120  # seconds
NEVER = 2**31 - 1  # milliseconds


def make_folder() -> Path:
    """Return a new temporary folder of this process; what killed processes left is removed."""
    own = f"labhelpers-{platform.node()}-"  # machines, and containers, may share the folder
    for left in Path(tempfile.gettempdir()).glob("labhelpers-*"):
        process = left.name.removeprefix(own).partition("-")[0]
        if process.isdecimal() and not psutil.pid_exists(int(process)):
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{own}{os.getpid()}-"))


class Sandbox:
    """A sandbox with one program in it."""

    def __init__(self, limits: Limits, files: Path | None, program: list[str]) -> None:
        """Start it, and wait until its program repeats a first line.

        Raises:
            RuntimeError: bubblewrap failed; the message says why.
        """
        info, theirs = os.pipe()
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            [*bubblewrap(limits, files), "--info-fd", str(theirs), *program],
            bufsize=0,
            env=kernel_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[theirs],
            start_new_session=True,
        )
        assert self.process.stdin and self.process.stdout
        self.input = self.process.stdin
        os.close(theirs)
        try:
            with open(info) as file:
                told = json.loads(file.read() or "{}")
            self.input.write(b"\n")
            if not select.select([self.process.stdout], [], [], START_TIMEOUT)[0]:
                raise OSError("no answer")
            if not self.process.stdout.read(1):
                raise OSError("it has ended")
            # The first process in its own pid namespace: all others there die with it.
            self.first = psutil.Process(told["child-pid"])
            self.program = self.first.children()[0].pid
            path = f"/proc/{self.program}/root/run"
            self.folder = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except (OSError, ValueError, LookupError, psutil.Error) as error:
            self.process.kill()
            self.process.wait()
            reason = self.message() or error
            self.let_go()
            raise RuntimeError(f"The sandbox did not start: {reason}.") from error

    def message(self) -> str:
        """Return what was written to standard error, once the sandbox has ended."""
        assert self.process.stderr
        return self.process.stderr.read().decode(errors="replace").strip()

    def let_go(self) -> None:
        """Close the pipes to the sandbox."""
        for pipe in (self.input, self.process.stdout, self.process.stderr):
            assert pipe
            pipe.close()

    def kill(self) -> None:
        """Kill all processes in the sandbox and wait for their end."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.first.kill()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def close(self) -> None:
        """Close the pipes, and the descriptor of the sandbox's `/run`."""
        self.let_go()
        if self.folder >= 0:
            os.close(self.folder)
        self.folder = -1

    def n_files(self) -> int:
        """Return the number of files in the sandbox's large writable folders."""
        total = 0
        for folder in ("tmp", "dev/shm"):
            with contextlib.suppress(OSError):
                found = os.statvfs(f"/proc/{self.program}/root/{folder}")
                total += found.f_files - found.f_ffree
        return total


class _ForkServer:
    """The prepared process of this worker (see `forkserver.serve`)."""

    def __init__(self) -> None:
        """Start it; it imports while the caller goes on."""
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._ready = False
        self._home = make_folder()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(START_TIMEOUT)
        with theirs:
            self._process = subprocess.Popen(
                isolated_python(str(PROGRAM), "serve", str(PACKAGE.parent)),
                env=kernel_environment(str(self._home)),
                cwd="/",
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the worker
            )
        atexit.register(self.close)

    def fork(self, request: dict[str, Any], lifeline: int) -> int:
        """Start a kernel in the sandbox that the request names; return the process that waits.

        Raises:
            OSError: It did not work; the message says why.
        """
        with self._lock:
            if not self._ready:
                self._receive()
                self._ready = True
            try:
                socket.send_fds(self._socket, [json.dumps(request).encode()], [lifeline])
                return self._receive()["process"]
            except TimeoutError:
                self.close()  # else the next request would get this one's answer
                raise

    def is_alive(self) -> bool:
        """Return True if it runs and is this process's own."""
        return self._owner == os.getpid() and self._process.poll() is None

    def close(self) -> None:
        """End it, unless this process only inherited it."""
        self._socket.close()
        if self._owner == os.getpid():
            self._process.kill()
            self._process.wait()
            shutil.rmtree(self._home, ignore_errors=True)
        atexit.unregister(self.close)

    def _receive(self) -> dict[str, Any]:
        if not (message := self._socket.recv(1 << 16)):
            raise OSError("the process that forks kernels has ended")
        answer = json.loads(message)
        if "error" in answer:
            raise OSError(answer["error"])
        return answer


_fork_server: _ForkServer | None = None


def start_fork_server() -> _ForkServer:
    """Return this worker's prepared process; a new one imports while the caller goes on."""
    global _fork_server
    if _fork_server is None or not _fork_server.is_alive():
        _fork_server = _ForkServer()
    return _fork_server


class SandboxProvisioner(LocalProvisioner):
    """Starts, watches and kills the processes of a kernel, in a sandbox or without."""

    parent: SandboxedKernelManager
    process: subprocess.Popen[bytes] | None
    sandbox: Sandbox | None = None
    _waiting: int | None = None
    """The process that waits for a forked kernel."""

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Prepare the command and the environment of a kernel without a sandbox."""
        if self.parent.sandboxed:
            return {**kwargs, "cmd": []}
        kwargs["env"] = {**kwargs.get("env", os.environ), **FIXED_ENVIRONMENT}
        return await super().pre_launch(**kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Start the kernel and the watcher."""
        if self.parent.sandboxed:
            await self._launch_in_sandbox(kwargs.get("extra_arguments", []))
        else:
            self.connection_info = await super().launch_kernel(cmd, **kwargs)
        threading.Thread(target=self._watch, args=[self.process], daemon=True).start()
        return self.connection_info

    async def _launch_in_sandbox(self, extra_arguments: list[str]) -> None:
        manager = self.parent
        connection: dict[str, Any] = {**manager.get_connection_info(), **PORTS}
        connection |= {"transport": "ipc", "ip": "/run/kernel", "key": connection["key"].decode()}
        request = {
            "connection": connection,
            "arguments": [*manager.kernel_arguments, *extra_arguments],
            "environment": kernel_environment(),
            "working_folder": "/tmp/work",
            "limits": resource_limits(manager.limits),
            # One that nobody has, so that no other process counts or can be reached.
            "user": 61184 + secrets.randbelow(4336) if is_root() else None,
        }
        sandbox = self._fork(request) if manager.forked else None
        if sandbox is None:
            program = isolated_python(INSIDE_PROGRAM, "confined", str(PACKAGE.parent))
            sandbox = Sandbox(manager.limits, manager.files, program)
            sandbox.input.write(json.dumps(request).encode() + b"\n")
        sandbox.input.close()
        self.sandbox, self.process, self.pid = sandbox, sandbox.process, sandbox.process.pid
        manager.transport = "ipc"
        manager.ip = f"/proc/self/fd/{sandbox.folder}/kernel"
        for name, port in PORTS.items():
            setattr(manager, name, port)
        await self._wait_until_it_listens(sandbox)
        sandbox.let_go()
        self.connection_info = manager.get_connection_info()

    def _fork(self, request: dict[str, Any]) -> Sandbox | None:
        """Start the kernel as a fork in an idle sandbox; return None if that does not work."""
        sandbox = Sandbox(self.parent.limits, self.parent.files, ["cat"])
        try:
            enter = {**request, "enter": sandbox.program}
            self._waiting = start_fork_server().fork(enter, sandbox.input.fileno())
        except OSError as error:
            _warn_once(f"Kernels cannot be forked and so take some seconds to start ({error}).")
            sandbox.kill()
            sandbox.close()
            return None
        return sandbox

    async def _wait_until_it_listens(self, sandbox: Sandbox) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        for port in PORTS.values():
            while not _listens(f"{self.parent.ip}-{port}"):
                if sandbox.process.poll() is not None or time.monotonic() > deadline:
                    sandbox.kill()
                    reason = sandbox.message() or "no message"
                    raise RuntimeError(f"The kernel did not start: {reason}.")
                await asyncio.sleep(0.005)

    def kill_all(self) -> None:
        """Kill all processes of the kernel, at once and from any thread."""
        if self.sandbox is not None:
            self.sandbox.kill()
        elif self.process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                for process in self._processes(self.process):
                    process.kill()

    async def kill(self, restart: bool = False) -> None:
        """Kill all processes of the kernel."""
        self.kill_all()

    async def cleanup(self, restart: bool = False) -> None:
        """Close what belongs to the sandbox."""
        await super().cleanup(restart)
        if self.sandbox is not None:
            self.sandbox.close()

    def _watch(self, process: subprocess.Popen) -> None:
        """Kill the kernel as soon as it uses more than its limits, until it has ended."""
        limits = self.parent.limits
        grader = psutil.Process()
        # Of a message without end the sockets hold all that has come.
        most = grader.memory_info().rss + (_UNREAD * limits.output_mb + _GROWTH) * 1e6
        while process.poll() is None:
            try:
                processes = self._processes(process)
            except psutil.NoSuchProcess:  # the kernel has ended: nothing of it stays
                self.kill_all()
                break
            if grader.memory_info().rss > most:
                self.parent.kill_now(f"more than {limits.output_mb:g} MB of output")
            elif len(processes) > limits.processes:
                self.parent.kill_now(f"more than {limits.processes} processes")
            elif _memory(processes, limits.memory_mb << 20) > limits.memory_mb << 20:
                self.parent.kill_now(f"more than {limits.memory_mb:,} MB of memory")
            elif _processor_seconds(processes) > limits.cpu_seconds:
                self.parent.kill_now(f"more than {limits.cpu_seconds} s of processor time")
            elif self.sandbox and self.sandbox.n_files() > MAX_FILES:
                self.parent.kill_now(f"more than {MAX_FILES:,} files")
            time.sleep(WATCH_INTERVAL)

    def _processes(self, process: subprocess.Popen) -> list[psutil.Process]:
        """Return the processes of the kernel, without those of bubblewrap and of the fork server.

        Raises:
            psutil.NoSuchProcess: The first one has ended.
        """
        if self.sandbox is None:
            first = psutil.Process(process.pid)
            return [first, *first.children(recursive=True)]
        found = self.sandbox.first.children(recursive=True)
        if self._waiting is not None:
            found += psutil.Process(self._waiting).children(recursive=True)
        return found


def _memory(processes: list[psutil.Process], limit: int) -> int:
    """Return the bytes of memory of some processes; more than they are, if that is below `limit`.

    What processes share is divided among all that share it, where the system can tell.
    """
    total = 0
    for detailed in (False, True):  # the second takes long
        total = 0
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                info = process.memory_info()
                if detailed:
                    with contextlib.suppress(psutil.AccessDenied):
                        info = process.memory_full_info()
                total += getattr(info, "pss", info.rss)
        if total <= limit:
            break
    return total


def _processor_seconds(processes: list[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:2])
    return total


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


@functools.cache
def _warn_once(message: str) -> None:
    logging.getLogger(__name__).warning(message)


def _limited_context(manager: SandboxedKernelManager) -> zmq.asyncio.Context:
    """Return a context whose sockets hold little of what a kernel sends and nobody has read."""
    context = zmq.asyncio.Context()
    context.rcvhwm = 8  # messages, at most as large as this:
    context.maxmsgsize = int(manager.limits.output_mb * (1 << 20))
    if manager.sandboxed:
        # A student's code could put a link to another socket in the place of the kernel's.
        context.reconnect_ivl = NEVER
    return context


class SandboxedKernelClient(AsyncKernelClient):
    """Takes no more from a kernel at a time than fits into the memory of the grader."""

    parent: SandboxedKernelManager

    def __init__(self, **kwargs: Any) -> None:
        self._breaking: list[asyncio.Future[None]] = []
        super().__init__(**kwargs)

    @default("context")
    def _limited_context(self) -> zmq.asyncio.Context:
        self._created_context = True
        return _limited_context(self.parent)

    def _create_connected_socket(self, channel: str, identity: bytes | None = None) -> Any:
        connected = super()._create_connected_socket(channel, identity)
        if channel in ("iopub", "shell"):
            monitor = connected.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            self._breaking.append(asyncio.ensure_future(self._kill_when_broken(monitor)))
        return connected

    async def _kill_when_broken(self, monitor: Any) -> None:
        """Kill the kernel when a connection breaks, as it does when a message is too large."""
        try:
            await monitor.recv_multipart()
        finally:
            monitor.close()
        await asyncio.sleep(0.5)  # for the process to end, if that is why
        if await self.is_alive():
            limit = self.parent.limits.output_mb
            self.parent.kill_now(f"more than {limit:g} MB of output at once")

    def stop_channels(self) -> None:
        """Close the connections."""
        for task in self._breaking:
            task.cancel()
        super().stop_channels()

    def start_channels(self, *args: Any, **kwargs: Any) -> None:
        """Start the channels, without the heartbeat: the manager knows whether the kernel lives."""
        super().start_channels(*args, **{**kwargs, "hb": False})

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel answers on both channels, and no longer.

        Raises:
            RuntimeError: It has died, or does not answer within `timeout` seconds.
        """
        timeout = timeout or START_TIMEOUT
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            request = self.kernel_info()
            with contextlib.suppress(Empty):
                while not _answers(reply := await self.get_shell_msg(timeout=1), request):
                    pass
                self._handle_kernel_info_reply(reply)
                while True:
                    message = await self.get_iopub_msg(timeout=0.1)
                    idle = message["content"].get("execution_state") == "idle"
                    if idle and _answers(message, request):
                        return
            if not await self.is_alive():
                raise RuntimeError("The kernel died before it was ready.")
        raise RuntimeError(f"The kernel did not answer within {timeout:g} seconds.")


def _answers(message: dict[str, Any], request: str) -> bool:
    return message["parent_header"].get("msg_id") == request


class SandboxedKernelManager(AsyncKernelManager):
    """Starts a kernel in bubblewrap, within limits; for nbclient's `kernel_manager_class`."""

    limits = Instance(Limits, ()).tag(config=True)
    files = Instance(Path, allow_none=True, help="A folder that the sandbox shows, read-only.")
    sandboxed = Bool(True, help="Run the kernel in bubblewrap.").tag(config=True)
    forked = Bool(True, help="Fork it from a process that has imported torch.").tag(config=True)
    verdict = Unicode(help="Why the kernel was killed, such as 'more than 4,096 MB of memory'.")
    client_factory = Type(SandboxedKernelClient, klass=AsyncKernelClient)
    provisioner: SandboxProvisioner | None

    kernel_arguments = (
        "--InteractiveShellApp.ignore_cwd=True",  # nothing beside a notebook shadows a package
        "--IPKernelApp.log_level=40",
    )

    @property
    def kernel_spec(self) -> KernelSpec:
        """This Python, whatever kernels are installed."""
        return KernelSpec(
            argv=[
                *isolated_python(str(PROGRAM), "plain", str(PACKAGE.parent)),
                *("-f", "{connection_file}", *self.kernel_arguments),
            ],
            display_name="Python 3",
            language="python",
            interrupt_mode="message",
        )

    @default("context")
    def _limited_context(self) -> zmq.asyncio.Context:
        self._created_context = True
        return _limited_context(self)

    def kill_now(self, reason: str = "") -> None:
        """Kill the kernel with all its processes, from any thread.

        Args:
            reason: Becomes the `verdict`, unless there is one.
        """
        self.verdict = self.verdict or reason
        if self.provisioner is not None:
            self.provisioner.kill_all()

    async def _async_interrupt_kernel(self) -> None:
        """Do not interrupt a kernel that is about to be killed (only that calls this method)."""

    async def _async_pre_start_kernel(self, **kwargs: Any) -> Any:
        if self.sandboxed and (problem := sandbox_problem()):
            raise RuntimeError(problem)
        self.kernel_id = self.kernel_id or str(uuid.uuid4())
        self.provisioner = SandboxProvisioner(
            kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self
        )
        return await super()._async_pre_start_kernel(**kwargs)

    async def _async_launch_kernel(self, kernel_cmd: list[str], **kwargs: Any) -> None:
        if self.sandboxed:  # without the connection file that Jupyter would write
            assert self.provisioner is not None
            await self.provisioner.launch_kernel(kernel_cmd, **kwargs)
        else:
            await super()._async_launch_kernel(kernel_cmd, **kwargs)
