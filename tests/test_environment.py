"""Tell when nbgrader runs a notebook, and when nobody watches."""

from labhelpers.environment import has_reader, is_graded


def test_no_progress_bar_while_nbgrader_runs(monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert is_graded()
    assert not has_reader()
    monkeypatch.delenv("NBGRADER_EXECUTION")
    assert not is_graded()
    assert has_reader()


def test_nobody_reads_a_file(monkeypatch):
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    assert not has_reader()
