"""Tests of `labhelpers.printing`; what a printed page looks like is tested in a browser."""

import pytest

from labhelpers import session
from labhelpers.printing import print_in_full


class Shell:
    kernel = object()


@pytest.fixture
def shown(monkeypatch) -> list[dict]:
    shown: list[dict] = []
    monkeypatch.setattr(session, "display", lambda data, raw, metadata: shown.append(data))
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    return shown


def test_a_notebook_gets_a_style_for_printers_only(shown, monkeypatch):
    monkeypatch.setattr(session, "get_ipython", Shell)
    print_in_full()
    (data,) = shown
    assert data["text/plain"] == ""
    assert data["text/html"].startswith("<style>\n@media print {")


def test_nothing_is_sent_where_nobody_prints(shown, monkeypatch):
    print_in_full()  # no notebook
    monkeypatch.setattr(session, "get_ipython", Shell)
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    print_in_full()
    assert shown == []
