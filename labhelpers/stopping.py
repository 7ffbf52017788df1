"""Let the stop button wait until the training step that runs is done."""

from __future__ import annotations

import signal
import threading
from typing import Any

__all__ = ["PoliteStop"]


class PoliteStop:
    """Notes the stop button (or Ctrl-C) in its `with` block instead of ending what runs.

    Between two steps all weights belong together, so that a training can go on from there. Whoever
    presses twice is obeyed at once. In a thread, where Python has no signals, the button is left
    as it is.

    Attributes:
        is_wanted: Whether the button was pressed.
    """

    def __init__(self) -> None:
        self.is_wanted = False
        self._before: Any = None

    def __enter__(self) -> PoliteStop:
        self.is_wanted = False
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def _note(self, *_: object) -> None:
        if self.is_wanted:
            raise KeyboardInterrupt
        self.is_wanted = True
