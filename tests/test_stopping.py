"""The stop button waits for the step that runs; who presses twice is obeyed at once."""

import os
import signal
import threading

import pytest

from labhelpers.stopping import PoliteStop


def press():
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_press_is_noted():
    before = signal.getsignal(signal.SIGINT)
    with PoliteStop() as stop:
        assert not stop.is_wanted
        press()
        assert stop.is_wanted
    assert signal.getsignal(signal.SIGINT) == before


def test_the_second_press_ends_what_runs():
    with pytest.raises(KeyboardInterrupt), PoliteStop():
        press()
        press()
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


def test_a_thread_has_no_button():
    found = []

    def work():
        with PoliteStop() as stop:
            found.append(stop.is_wanted)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]
