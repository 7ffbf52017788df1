"""Start kernels for submissions; the sandbox around them follows."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass

from jupyter_client.manager import AsyncKernelManager
from traitlets import Bool, Instance, Unicode

__all__ = ["Limits", "SandboxedKernelManager", "sandbox_problem"]


@dataclass(frozen=True)
class Limits:
    """What a notebook may use."""

    cell_seconds: float = 120
    notebook_seconds: float = 600
    memory_mb: int = 4096
    cpu_seconds: int = 900
    processes: int = 64
    disk_mb: int = 256
    output_mb: float = 10


def sandbox_problem() -> str | None:
    """Return why there is no sandbox here, None if there is one."""
    return None


class SandboxedKernelManager(AsyncKernelManager):
    """A kernel manager for submissions."""

    limits = Instance(Limits, ())
    sandboxed = Bool(True)
    forked = Bool(True)
    verdict = Unicode("")

    def kill_now(self) -> None:
        """Kill the kernel at once."""
        with contextlib.suppress(OSError, AttributeError):
            os.kill(getattr(self.provisioner, "pid"), signal.SIGKILL)  # noqa: B009
