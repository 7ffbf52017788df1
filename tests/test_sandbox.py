"""Kernels in the real sandbox: what an attack gets, what honest code needs, how kernels end."""

import ast
import contextlib
import os
import re
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError

import labhelpers
from labhelpers.instructor.course.nbgrader import REPOSITORY
from labhelpers.instructor.grading.kernels import sandbox
from labhelpers.instructor.grading.kernels.sandbox import (
    Limits,
    SandboxedKernelManager,
    sandbox_problem,
)

SECRET = "secret-of-the-grader"
AMPLE = Limits(memory_mb=100_000, processes=10_000, disk_mb=10_000)
ORDINARY = pytest.param({"forked": False}, id="ordinary")
FORKED = pytest.param({"forked": True}, id="forked")


def run(*cells: str, **traits: Any) -> tuple[list[str], SandboxedKernelManager]:
    """Execute cells in a kernel of its own; return the text that each gave, and the manager."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    manager = SandboxedKernelManager(**traits)
    client = NotebookClient(notebook, km=manager, timeout=100, allow_errors=True)
    with contextlib.suppress(DeadKernelError):
        client.execute(cleanup_kc=True)
    return ["".join(map(_text, cell.outputs)) for cell in notebook.cells], manager


def _text(output: nbformat.NotebookNode) -> str:
    if output.output_type == "error":
        return f"{output.ename}: {output.evalue}"
    return output.get("text") or str(output.data)


@pytest.fixture(params=[ORDINARY, FORKED])
def mode(request: pytest.FixtureRequest) -> dict[str, bool]:
    return request.param


# What must succeed without the sandbox and fail in it. Each prints GOT where it succeeds.
ATTACKS = {
    "network": """
        import socket
        answer = socket.create_connection(("127.0.0.1", {port}), 5).recv(100).decode()
        print("GOT" if answer == {secret!r} else answer)""",
    "gradebook": """
        print("GOT", open({gradebook!r}).read())""",
    "gradebook by number": """
        import os
        for number in range(100):
            try:
                if os.path.exists(f"/proc/{{number}}/root{gradebook}"):
                    print("GOT")
            except OSError:
                pass
        print("GOT" if os.path.exists("/proc/self/root{gradebook}") else "")""",
    "other notebooks": """
        from pathlib import Path
        print(*("GOT" for path in Path({repository!r}).glob("notebooks/*/*.ipynb")))""",
    "working tree": """
        import os
        visible = set(os.listdir({repository!r})) - {{"labhelpers", ".venv"}}
        print("GOT" if visible else "")""",
    "home": """
        import os
        hidden = set(os.listdir({home!r})) - set({python!r}.split(os.sep))
        print("GOT" if hidden else "")""",
    "instructor's package": """
        import labhelpers.instructor
        print("GOT")""",
    "instructor's files": """
        import labhelpers, pathlib
        print(*("GOT" for path in pathlib.Path(labhelpers.__file__).parent.rglob("cli.py")))""",
    "environment": """
        import os
        print("GOT" if {secret!r} in os.environ.values() else "")""",
    "environment of processes": """
        import glob
        for path in glob.glob("/proc/[0-9]*/environ"):
            try:
                found = {secret!r} in open(path).read()
            except OSError:
                continue
            print("GOT" if found else "")""",
    "grader's process": """
        import os
        os.kill({process}, 0)
        print("GOT")""",
    "parent's memory": """
        import ctypes, os
        child = os.fork()
        if child == 0:
            os._exit(ctypes.CDLL(None).ptrace(0, 0, 0, 0) & 255)
        print("GOT" if os.waitpid(child, 0)[1] == 0 else "")""",
    "memory of no process": """
        import os
        descriptor = os.memfd_create("hog")
        print("GOT", os.write(descriptor, b"x" * 1000))""",
    "shared memory of no process": """
        import ctypes
        print("GOT" if ctypes.CDLL(None).shmget(0, 1 << 20, 0o1600) >= 0 else "")""",
    "namespace of one's own": """
        import os
        child = os.fork()
        if child == 0:
            import ctypes
            os._exit(ctypes.CDLL(None).unshare(0x10000000) & 255)
        print("GOT" if os.waitpid(child, 0)[1] == 0 else "")""",
    "namespace of a clone": """
        import ctypes, os, signal
        child = os.fork()  # without the threads of the kernel, whose locks a clone would keep
        if child == 0:
            inner = ctypes.PyDLL(None).syscall({clone}, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)
            os._exit(os.waitpid(inner, 0)[1] != 0 if inner > 0 else inner & 255)
        print("GOT" if os.waitpid(child, 0)[1] == 0 else "")""",
    "many processes": """
        import os, signal, time
        children = []
        try:
            for _ in range(300):
                child = os.fork()
                if child == 0:
                    time.sleep(60)
                    os._exit(0)
                children.append(child)
            print("GOT")
        finally:
            for child in children:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)""",
    "large file": """
        import os
        for folder in ("/tmp", "/dev/shm", "/run", ".", os.environ["HOME"]):
            path = os.path.join(folder, "labhelpers-test-hog")
            try:
                with open(path, "wb") as file:
                    for _ in range(40):
                        file.write(bytes(1 << 20))
                print("GOT")
            except OSError as error:
                print(error)
            finally:
                if os.path.exists(path):
                    os.remove(path)""",
    "many large files": """
        import os, tempfile
        files = [tempfile.TemporaryFile() for _ in range(4)]
        for file in files:
            file.write(bytes(10 << 20))
            file.flush()
        print("GOT")""",
    "much memory": """
        print("GOT", len(bytes(3000 << 20)))""",
    "machine's processes": """
        import os
        others = [name for name in os.listdir("/proc") if name.isdigit()]
        print("GOT" if len(others) > 8 else "")""",
}
SMALL = Limits(memory_mb=2048, processes=64, disk_mb=32)


@contextlib.contextmanager
def _service() -> Iterator[int]:
    """A service on this machine that tells the secret; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.sendall(SECRET.encode())

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def _try_all(folder: Path, **traits: Any) -> dict[str, str]:
    """Try all attacks, each in a cell of one kernel; return what each printed."""
    gradebook = folder / "gradebook.db"
    gradebook.write_text(SECRET)
    with _service() as port, pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADER_TOKEN", SECRET)
        facts = {
            "secret": SECRET,
            "gradebook": str(gradebook),
            "port": port,
            "repository": str(REPOSITORY),
            "home": str(Path.home()),
            "python": sys.base_prefix,
            "process": os.getpid(),
            "clone": 56 if os.uname().machine == "x86_64" else 220,
        }
        codes = [textwrap.dedent(code).format(**facts) for code in ATTACKS.values()]
        *texts, end = run(*codes, "print('alive')", **traits)[0]
    assert end == "alive\n"  # else the attacks after a death would count as failed
    return dict(zip(ATTACKS, texts, strict=True))


@pytest.fixture(scope="module", params=[ORDINARY, FORKED])
def results(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    return _try_all(tmp_path_factory.mktemp("host"), limits=SMALL, **request.param)


@pytest.fixture(scope="module")
def results_without(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return _try_all(tmp_path_factory.mktemp("host"), limits=AMPLE, sandboxed=False)


@pytest.mark.sandbox
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_fails_in_the_sandbox(name: str, results: dict[str, str]) -> None:
    assert "GOT" not in results[name]


@pytest.mark.sandbox
@pytest.mark.parametrize("name", ATTACKS)
def test_the_attack_is_real(name: str, results_without: dict[str, str]) -> None:
    assert "GOT" in results_without[name]


@pytest.mark.sandbox
@pytest.mark.parametrize("code", ["while True: print('x' * 1000)", "print('x' * 20_000_000)"])
def test_a_flood_of_output_ends_the_kernel(code: str, mode: dict[str, bool]) -> None:
    before = psutil.Process().memory_info().rss
    texts, manager = run(code, "print('later')", limits=Limits(output_mb=10), **mode)
    assert manager.verdict == "more than 10 MB of output at once"
    assert texts[-1] == ""
    assert psutil.Process().memory_info().rss - before < 200e6


@pytest.mark.sandbox
def test_a_figure_is_shown(mode: dict[str, bool]) -> None:
    (text,), _ = run("import matplotlib.pyplot as plt\nplt.plot([1, 2]);", **mode)
    assert "image/png" in text


# Limits that end the kernel.

HOGS = {
    "more than 2,048 MB of memory": """
        import os, time
        for _ in range(6):
            if os.fork() == 0:
                hog = bytearray(os.urandom(1 << 20)) * 500
                time.sleep(60)
        time.sleep(60)""",
    "more than 3 s of processor time": """
        while True:
            pass""",
    "more than 100,000 files": """
        for number in range(200_000):
            open(f"/tmp/{number}", "w").close()
        import time; time.sleep(60)""",
}


@pytest.mark.sandbox
@pytest.mark.parametrize("verdict", HOGS)
def test_a_hog_ends_with_its_kernel(verdict: str, mode: dict[str, bool]) -> None:
    limits = Limits(memory_mb=2048, cpu_seconds=3 if "processor" in verdict else 100)
    _, manager = run(textwrap.dedent(HOGS[verdict]), limits=limits, **mode)
    assert manager.verdict == verdict


def test_limits_hold_without_the_sandbox() -> None:
    code = "import subprocess, sys\n" + "subprocess.Popen(['sleep', '60']);" * 6
    _, manager = run(
        f"{code}\nimport time; time.sleep(30)", sandboxed=False, limits=Limits(processes=5)
    )
    assert manager.verdict == "more than 5 processes"


# How kernels end.

LINGER = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv(sys.executable, [sys.executable, "-Ic", "import time; time.sleep(100)", "{mark}"])
    os._exit(0)
time.sleep(1)
print("started")
"""


def _find(mark: str) -> list[psutil.Process]:
    return [one for one in psutil.process_iter(["cmdline"]) if mark in (one.info["cmdline"] or ())]


@pytest.mark.sandbox
def test_no_process_stays_behind(mode: dict[str, bool]) -> None:
    (text,), _ = run(LINGER.format(mark="linger-1"), **mode)
    assert text == "started\n"
    assert not _find("linger-1")


@pytest.mark.sandbox
def test_without_the_sandbox_a_process_stays_behind() -> None:
    run(LINGER.format(mark="linger-2"), sandboxed=False)
    (left,) = _find("linger-2")
    left.kill()


@pytest.mark.sandbox
def test_no_process_keeps_the_sandbox_of_a_kernel_that_ended(mode: dict[str, bool]) -> None:
    code = """
        import glob, os, sys, time
        if os.fork() == 0:
            for path in glob.glob("/proc/[0-9]*/fd/*"):
                try:
                    os.set_inheritable(os.open(path, os.O_WRONLY | os.O_NONBLOCK), True)
                except OSError:
                    pass
            os.execv(sys.executable, [sys.executable, "-Ic", "import time; time.sleep(90)", "held"])
        time.sleep(2)
        os._exit(0)"""
    began = time.monotonic()
    run(textwrap.dedent(code), **mode)
    assert time.monotonic() - began < 60
    assert not _find("held")


@pytest.mark.sandbox
def test_a_signal_to_all_reaches_this_kernel_alone(mode: dict[str, bool]) -> None:
    code = "import os; os.kill(-1, 9)"
    texts, _ = run(code, "import os; os._exit(3)", "1 + 1", **mode)
    assert texts[1:] == ["", ""]
    for _ in range(2):
        assert run("1 + 1", **mode)[0] == ["{'text/plain': '2'}"]


@pytest.mark.sandbox
def test_nothing_survives_a_killed_worker(mode: dict[str, bool], tmp_path: Path) -> None:
    code = LINGER.format(mark="linger-3") + "\ntime.sleep(100)"
    program = tmp_path / "worker.py"
    program.write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        f"from test_sandbox import run; run({code!r}, **{mode})"
    )
    with subprocess.Popen([sys.executable, program], start_new_session=True) as worker:
        _wait_until(lambda: _find("linger-3"))
        family = psutil.Process(worker.pid).children(recursive=True)
        assert family
        worker.kill()
    _wait_until(lambda: not _find("linger-3") and not any(map(_runs, family)))


def test_folders_that_killed_processes_left_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    other = tmp_path / "labhelpers-another-machine-12345678-abc"
    other.mkdir()
    own = sandbox.make_folder()
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    left = own.rename(str(own).replace(f"-{os.getpid()}-", f"-{ended.pid}-"))
    (left / "files").mkdir()
    folders = {sandbox.make_folder(), sandbox.make_folder()}
    assert {*tmp_path.iterdir()} == {other, *folders}


def _runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _wait_until(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.sandbox
def test_a_kernel_is_killed_from_another_thread(mode: dict[str, bool]) -> None:
    managers: list[SandboxedKernelManager] = []

    class Manager(SandboxedKernelManager):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            managers.append(self)

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("while True: pass")])
    client = NotebookClient(notebook, kernel_manager_class=Manager)
    threading.Timer(3 if not mode["forked"] else 1, lambda: managers[0].kill_now("time")).start()
    with pytest.raises(DeadKernelError):
        client.execute()
    assert managers[0].verdict == "time"


# What honest code finds.


@pytest.mark.sandbox
def test_a_kernel_has_no_rights(mode: dict[str, bool]) -> None:
    code = """
        import os
        print(dict(line.split(":\\t") for line in open("/proc/self/status").read().splitlines()))
        print(os.getuid(), os.getresgid(), os.getgroups())
        print(sorted(os.environ))
        print([os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")[:-1]])"""
    (text,), _ = run(textwrap.dedent(code), **mode)
    status, ids, environment, files = text.splitlines()
    facts = ast.literal_eval(status)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(facts[name], 16) == 0, name
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
    assert not ids.startswith("0 ")
    assert {name for name in ast.literal_eval(environment) if "TOKEN" in name} == set()
    paths = [file for file in ast.literal_eval(files) if file.startswith("/")]
    assert all(path.startswith(("/dev/", "/tmp/")) for path in paths), paths


@pytest.mark.sandbox
def test_only_folders_of_limited_size_can_be_written(mode: dict[str, bool]) -> None:
    code = """
        import os
        for line in open("/proc/self/mountinfo"):
            folder = line.split()[4].replace("\\\\040", " ")
            for path in (folder, *os.scandir(folder)) if os.path.isdir(folder) else ():
                if os.path.isdir(path) and not folder.startswith("/proc"):
                    try:
                        open(os.path.join(path, "written"), "w").close()
                        print(os.fspath(path))
                    except OSError:
                        pass"""
    (text,), _ = run(textwrap.dedent(code), **mode)
    assert {path.split("/")[1] for path in text.splitlines()} == {"tmp", "run", "dev"}
    assert {path for path in text.splitlines() if path.startswith("/dev")} == {"/dev/shm"}


@pytest.mark.sandbox
def test_a_forked_kernel_is_like_a_new_one() -> None:
    code = """
        import random, sys, numpy, torch, tqdm.auto, IPython
        import labhelpers.data
        print(sys.argv[1:2], sys.argv[3:], __name__, sys.modules["__main__"].__dict__ is globals())
        print([name for name in sys.modules if "instructor" in name or "forkserver" in name])
        print(torch.get_num_threads(), tqdm.auto.tqdm.__module__)
        print(sys.path, sys.flags, __import__("os").getcwd(), __import__("os").environ)
        print(IPython.get_ipython().user_ns.keys())"""
    draw = "print(random.random(), numpy.random.rand(), torch.initial_seed())"
    modes = (False, False, True, True)
    kernels = [run(textwrap.dedent(code), draw, forked=forked)[0] for forked in modes]
    facts, draws = zip(*kernels, strict=True)
    assert [fact.splitlines() for fact in facts] == [facts[0].splitlines()] * 4
    for first, second, third, fourth in zip(*map(str.split, draws), strict=True):
        assert (first == second) == (third == fourth)  # older versions of torch: the same seed


@pytest.mark.sandbox
def test_honest_code_runs(mode: dict[str, bool]) -> None:
    code = """
        import pathlib, torch
        from labhelpers.download import fetch_ixi
        from torch.utils.data import DataLoader
        print(len(list(pathlib.Path(fetch_ixi()).glob("*.pt"))) > 0)
        print(len(list(DataLoader(list(range(10)), batch_size=5, num_workers=2))))
        layer = torch.nn.Conv2d(1, 64, 3)
        layer(torch.zeros(8, 1, 64, 64)).sum().backward()
        pathlib.Path("images").mkdir()
        torch.save(layer, "images/layer.pt")
        print(pathlib.Path("images/layer.pt").exists())"""
    texts, manager = run(textwrap.dedent(code), "!echo shell", **mode)
    assert texts[0].splitlines()[-3:] == ["True", "2", "True"]
    assert "shell" in texts[1]
    assert not manager.verdict


@pytest.mark.sandbox
def test_no_output_of_a_quick_cell_is_lost(mode: dict[str, bool]) -> None:
    notebook_code = "for i in range(3000): display(i)"
    (text,), manager = run(notebook_code, **mode)
    assert text.count("text/plain") == 3000
    assert not manager.verdict


def test_a_folder_beside_the_notebook_shadows_nothing(tmp_path: Path) -> None:
    for name in ("labhelpers", "ipykernel", "ipykernel_launcher", "json"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit")
        (tmp_path / f"{name}.py").write_text("raise SystemExit")
    code = "import labhelpers, json, os; print(labhelpers.__file__, os.getcwd())"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    manager = SandboxedKernelManager(sandboxed=False)
    client = NotebookClient(notebook, km=manager, resources={"metadata": {"path": str(tmp_path)}})
    client.execute(cleanup_kc=True)
    assert notebook.cells[0].outputs[0].text.split() == [labhelpers.__file__, str(tmp_path)]


# Where there is no sandbox.

BUBBLEWRAPS = {
    "`apt install bubblewrap`": None,
    "needs bubblewrap 0.7 or newer": "echo bubblewrap 0.6.1",
    "No permissions to create new namespace.*sysctl": """
        [ "$1" = --version ] && echo bubblewrap 0.8.0 && exit
        echo No permissions to create new namespace >&2
        exit 1""",
    "does not find ipykernel torch": """
        [ "$1" = --version ] && echo bubblewrap 0.8.0 || echo ipykernel torch""",
}


@pytest.mark.sandbox
@pytest.mark.parametrize("reason", BUBBLEWRAPS)
def test_what_is_missing_is_said(
    reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if script := BUBBLEWRAPS[reason]:
        program = tmp_path / "bwrap"
        program.write_text(f"#!/bin/sh\n{textwrap.dedent(script)}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert re.search(reason, sandbox_problem.__wrapped__(), re.DOTALL)


def test_another_system_has_no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    assert "The sandbox needs Linux" in sandbox_problem.__wrapped__()


@pytest.mark.sandbox
def test_there_is_a_sandbox_here() -> None:
    assert sandbox_problem() is None


def test_without_a_sandbox_no_kernel_starts_unless_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "sandbox_problem", lambda: "There is none.")
    with pytest.raises(RuntimeError, match="There is none"):
        run("1 + 1")
    assert run("1 + 1", sandboxed=False)[0] == ["{'text/plain': '2'}"]


@pytest.mark.sandbox
def test_where_forking_fails_kernels_start_one_by_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(1, "setns: Operation not permitted")

    monkeypatch.setattr(sandbox._ForkServer, "fork", refuse)
    for _ in range(2):
        assert run("1 + 1", forked=True)[0] == ["{'text/plain': '2'}"]
    assert caplog.text.count("setns: Operation not permitted") == 1


@pytest.mark.sandbox
def test_a_dead_fork_server_is_replaced() -> None:
    assert run("1 + 1", forked=True)[0] == ["{'text/plain': '2'}"]
    server = sandbox.start_fork_server()
    server._process.kill()
    server._process.wait()
    assert run("1 + 1", forked=True)[0] == ["{'text/plain': '2'}"]
    assert sandbox.start_fork_server() is not server
