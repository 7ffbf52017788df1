"""What tests start on 127.0.0.1: a web server, with small archives for it, and a Dask cluster."""

import io
import socket
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer

FILES = {
    f"sub-IXI{number:03d} - {modality}.pt": f"{number} {modality} ".encode() * 3000
    for number in range(3)
    for modality in ("T1", "T2")
}


def make_zip(files=FILES, folder="IXI-dataset-0c17/size64/"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in reversed(files):  # archives need not be sorted
            archive.writestr(folder + name, files[name])
    return buffer.getvalue()


def make_tar(files=FILES, folder="./some/where/IXI-dataset/size64/", link=None):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(folder + name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        if link:
            member = tarfile.TarInfo(folder + link)
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/hostname"
            archive.addfile(member)
    return buffer.getvalue()


class Server:
    """Answers from a table: bytes are served whole with their size.

    `("cut", bytes)` is served by half, `("without size", bytes)` whole.
    """

    def __init__(self):
        self.answers, self.requests = {}, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append(self.path)
                answer = outer.answers.get(self.path)
                if answer is None:
                    self.send_error(404, "Not Found")
                    return
                how, body = answer if isinstance(answer, tuple) else ("with size", answer)
                self.send_response(200)
                if how != "without size":
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if how == "cut" else body)

            def log_message(self, *_):
                pass

        # Not an HTTPServer, which asks the name server for its own name: seconds on some machines.
        self.http = ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@contextmanager
def dask_cluster(folder: Path) -> Iterator[str]:
    """Start a Dask scheduler and two worker processes in a folder; yield the address."""
    address = f"tcp://127.0.0.1:{free_port()}"
    host, port = address.removeprefix("tcp://").split(":")
    scheduler = ["scheduler", "--host", host, "--port", port, "--no-dashboard"]
    worker = ["worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    processes = [
        subprocess.Popen([sys.executable, "-m", "dask", *command], **pipes)
        for command in (scheduler, worker, worker)
    ]
    try:
        yield address
    finally:
        for process in processes:
            process.kill()
            process.wait()
