"""The right numbers for random series of cases."""

import json
import subprocess
from pathlib import Path

import pytest
from checking import load

from labhelpers.checks import verdict
from labhelpers.checks.cases import public_part
from labhelpers.checks.fingerprint import PERIOD
from labhelpers.checks.runner import run_cases
from labhelpers.instructor.authoring.edits import BuildError
from labhelpers.instructor.authoring.expected import differences
from labhelpers.instructor.grading import numbers
from labhelpers.instructor.grading.numbers import FOLDER, draw_series, numbers_for

SERIES = 1_203_456_789 + 2**31 * 1_618_033_988
DONE = subprocess.CompletedProcess([], 0, "", "")


def kept(root: Path) -> list[Path]:
    return sorted((root / FOLDER).iterdir())


def test_drawn_series_differ_and_are_never_the_visible_one(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {draw_series() for _ in range(100)}
    assert len(drawn) > 90
    assert all(2**31 < series < 2**62 and public_part(series) % PERIOD for series in drawn)
    public, secret = 42, 2**31
    refused = [PERIOD + secret, 2 * PERIOD, public, public + PERIOD * secret, 2**15 + secret]
    values = iter([*refused, public + secret])
    monkeypatch.setattr(numbers.secrets, "randbelow", lambda below: next(values) - 1)
    assert draw_series() == public + secret


def test_a_series_is_no_argument_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody who is on the machine sees these."""
    commands = []
    monkeypatch.setattr(
        numbers.subprocess, "run", lambda command, **_: commands.append(command) or DONE
    )
    with pytest.raises(OSError, match="cannot be read back"):
        numbers_for("generator-step", SERIES, root=tmp_path)
    (command,) = commands
    assert str(SERIES) not in command


def test_numbers_are_those_of_the_stored_series() -> None:
    got = numbers.expected.numbers_of("generator-step", 0, mistakes=True)
    stored = verdict.read_json(verdict.VISIBLE_FILE)["generator-step"]
    assert differences(got, stored) == []


def test_right_answers_are_quick_and_kept_apart_from_mistakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = numbers_for("generator-step", SERIES, root=tmp_path)
    assert right["mistakes"] == {}
    record = run_cases("generator-step", load("generator-step"), SERIES)
    assert verdict.judge(record, right, 3).score == 3
    complete = numbers_for("generator-step", SERIES, mistakes=True, root=tmp_path)
    assert complete["reference"] == right["reference"]
    assert "two-steps-made" in complete["mistakes"]
    levels = [path.stem.split("-")[-1] for path in kept(tmp_path)]
    assert sorted(levels) == ["mistakes", "right", "right", "right"]  # of its notebook

    monkeypatch.setattr(numbers, "_work_out", None)  # what is kept needs no process
    assert numbers_for("generator-step", SERIES, mistakes=True, root=tmp_path) == complete
    assert numbers_for("generator-step", SERIES, root=tmp_path) == complete


@pytest.mark.parametrize("content", ["", '{"reference": {', "[]", '{"reference": {}}', "\0\0"])
def test_a_damaged_file_is_written_anew(tmp_path: Path, content: str) -> None:
    def work_out(exercise_id: str, series: int, level: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = numbers._file(exercise_id, series, numbers._fingerprint(), level)
        (folder / name).write_text(json.dumps(whole), encoding="utf-8")

    whole = {"reference": {}, "traces": {}, "accepted": {}, "mistakes": {}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbers, "_work_out", work_out)
        numbers_for("generator-step", SERIES, root=tmp_path)
        (file,) = kept(tmp_path)
        file.write_text(content, encoding="utf-8")
        assert numbers_for("generator-step", SERIES, root=tmp_path) == whole
        assert json.loads(file.read_text(encoding="utf-8")) == whole


def test_a_change_of_code_or_notebooks_makes_new_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = numbers._fingerprint()
    assert numbers._fingerprint() == before
    monkeypatch.setattr(numbers, "NOTEBOOKS", tmp_path)
    assert numbers._fingerprint() != before


def test_a_reference_solution_that_fails_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise BuildError("The reference solution of generator-step fails on a case")

    monkeypatch.setattr(numbers.expected, "numbers_of", fail)
    with pytest.raises(SystemExit) as stopped:
        numbers._main("generator-step", 1, "right", tmp_path)
    assert stopped.value.code == numbers._REFUSED
    monkeypatch.undo()
    monkeypatch.setattr(numbers, "sys", type("_", (), {"executable": "false"}))
    with pytest.raises(RuntimeError, match="could not be worked out"):
        numbers_for("generator-step", 1, root=tmp_path)
