"""Kernels in the real sandbox: what an attack gets, what honest code needs, how kernels end."""

import contextlib
import os
import socket
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError

from labhelpers.instructor.course.nbgrader import REPOSITORY
from labhelpers.instructor.grading.sandbox import Limits, SandboxedKernelManager

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
        child = ctypes.PyDLL(None).syscall({clone}, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)
        if child == 0:
            os._exit(0)
        print("GOT" if child > 0 and os.waitpid(child, 0)[1] == 0 else "")""",
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
    "kernel's log": """
        import ctypes
        print("GOT" if ctypes.CDLL(None).klogctl(10, None, 0) >= 0 else "")""",
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
