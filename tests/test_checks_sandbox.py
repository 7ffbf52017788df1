import contextlib
import io
import logging
import os
import random
import re
import sys
import textwrap
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from checking import judge, load, solutions
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from labhelpers import checks
from labhelpers.checks import sandbox
from labhelpers.checks.report import Report
from labhelpers.session import show


class AlwaysEqual:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = object.__hash__

    def __len__(self) -> int:
        return 2

    def __getattr__(self, name: str) -> "AlwaysEqual":
        return self

    def __call__(self, *args: object, **kwargs: object) -> "AlwaysEqual":
        return self


def forever(dataset):
    while True:
        pass


def forever_without_exceptions(dataset):
    while True:
        with contextlib.suppress(Exception):
            dataset["T3"]


def deep(dataset):
    return deep(dataset)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda dataset: [1, 2][5], "IndexError: list index out of range"),
        (lambda dataset: sys.exit("bye"), "SystemExit: bye"),
        (deep, "RecursionError"),
        (None, "was handed None"),
        (3, "was handed an object of the type int"),
        (torch.zeros(1, 64, 64), "was handed a tensor"),
        (lambda: 0, "cannot be called with the arguments of the statement"),
        (lambda dataset: None, "returned nothing"),
        (lambda dataset: "image", "returned a text"),
        (lambda dataset: AlwaysEqual(), "stopped"),
        (AlwaysEqual(), "stopped"),
        (lambda dataset: torch.full((1, 64, 64), float("nan")), "nan"),
        (lambda dataset: torch.zeros(0), "has the shape (0,)"),
    ],
)
def test_any_failure_is_a_report(answer: object, told: str) -> None:
    report = judge("mean-image", answer)
    assert (report.status, report.score) == ("wrong", 0)
    assert told in report.text
    assert "labhelpers" not in report.text


@pytest.mark.parametrize(
    "exercise", ["make-dataloaders", "generator-unet", "generator-step", "cgan-step"]
)
@pytest.mark.parametrize("answer", [None, AlwaysEqual(), torch.nn.Identity(), 5])
def test_wrong_types_earn_nothing_in_any_exercise(exercise: str, answer: object) -> None:
    assert judge(exercise, answer).score == 0


def test_an_error_shows_the_students_line_only() -> None:
    source = "def mean_t2_image(dataset):\n    image = dataset[0]['T3']\n    return image\n"
    report = judge("mean-image", load("mean-image", source))
    assert "KeyError: 'T3'" in report.text
    assert "line 2 of mean_t2_image: image = dataset[0]['T3']" in report.text


def test_an_error_of_pytorch_is_not_that_of_the_empty_exercise() -> None:
    source = (
        "def lesion_contrast(images, lesion_masks, surround_masks):\n    return -lesion_masks\n"
    )
    # The negative of a boolean tensor is a RuntimeError or a NotImplementedError, by version.
    report = judge("lesion-contrast", load("lesion-contrast", source))
    assert report.status == "wrong", report.text
    raised = "def lesion_contrast(*slices):\n    raise NotImplementedError('later')\n"
    report = judge("lesion-contrast", load("lesion-contrast", raised))
    assert report.status == "not attempted", report.text


def test_a_network_that_stops_shows_its_layers() -> None:
    source = """
class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.first = nn.Conv2d(2 * in_channels, 64, 3, 2, 1)
        self.second = nn.Conv2d(128, 1, 3)

    def forward(self, image, condition):
        return self.second(self.first(torch.cat((image, condition), dim=1)))
"""
    report = judge("discriminator", load("discriminator", source))
    missing, other = (text for word, text in report.notes if word == "wrong")
    assert missing.startswith("3 layers are missing: ")
    assert other == (
        "Step 2 (`second`) has 1 output channel, stride 1, padding 0. Asked for: 256 output "
        "channels, stride 2, padding 1."
    )
    assert report.table is not None
    row = next(row for row in report.table.rows if row[0] == " 2")
    assert row[1:4] == ("second: Conv2d 128→1, 3×3", "1", "stops here")


FLOAT32_ONLY = """
class GeneratorUNet(GeneratorUNet):
    def forward(self, x):
        return 0.9 * super().forward(x.float()){ending}
"""


@pytest.mark.parametrize("ending", ["", " + torch.zeros(3)"], ids=["other numbers", "stops"])
def test_the_table_of_layers_holds_in_float32(ending: str) -> None:
    source = solutions()["generator-unet"].source + FLOAT32_ONLY.format(ending=ending)
    report = judge("generator-unet", load("generator-unet", source))
    assert report.table, report.text
    layers = [row for row in report.table.rows if "Conv" in row[1]]
    assert len(layers) == 10
    assert {row[-1] for row in layers} == {"as expected"}


@pytest.mark.parametrize("answer", [forever, forever_without_exceptions])
def test_code_that_runs_for_ever_is_stopped(answer: object) -> None:
    report = judge("mean-image", answer, time_limit=0.3)
    assert "It was stopped after 0.3 seconds" in report.text
    assert report.score == 0


def test_a_sleeping_answer_is_stopped_as_well() -> None:
    started = time.monotonic()
    outcome = sandbox.run(lambda: time.sleep(60), seconds=0.2)
    assert outcome.error["kind"] == "too long"
    assert time.monotonic() - started < 30


def test_ctrl_c_is_not_swallowed() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sandbox.run(interrupted, seconds=60)


def test_output_and_warnings_are_told_and_cost_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    right = load("mean-image")

    def noisy(dataset):
        print("mean of", len(dataset), "subjects")
        print("to stderr", file=sys.stderr)
        os.write(2, b"to the descriptor\n")
        logging.getLogger("student").error("to the log")
        warnings.warn("shapes differ", UserWarning, stacklevel=1)
        warnings.warn("later otherwise", DeprecationWarning, stacklevel=1)
        return right(dataset)

    assert checks.mean_image(noisy, points=2) == 2.0
    out, err = capfd.readouterr()
    assert err == ""
    assert "printed   mean of 7 subjects" in out
    assert "to stderr" in out
    assert "UserWarning: shapes differ" in out


def test_what_the_check_itself_is_warned_of_is_not_told() -> None:
    def fixed(images, lesion_masks, surround_masks):
        value = np.zeros(len(images))
        value.flags.writeable = False
        warnings.warn("a word " * 100, UserWarning, stacklevel=1)
        return value

    torch.set_warn_always(True)
    try:
        report = judge("lesion-contrast", fixed)
    finally:
        torch.set_warn_always(False)
    (warning,) = [text for word, text in report.notes if word == "warning"]
    assert re.fullmatch("UserWarning:( a word)+( a)? …", warning)


def test_a_thread_that_writes_to_stderr_costs_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    right = load("mean-image")
    started, over = threading.Event(), threading.Event()

    def write() -> None:
        while not over.is_set():
            print("from a thread", file=sys.stderr)
            os.write(2, b"to the descriptor\n")
            started.set()
            time.sleep(0.001)

    thread = threading.Thread(target=write)
    thread.start()
    started.wait()
    try:
        assert checks.mean_image(right, points=2) == 2.0
    finally:
        over.set()
        thread.join()
    assert "all right, 2 of 2 points" in capfd.readouterr().out


def test_states_and_settings_survive_the_answer() -> None:
    def reckless(dataset):
        torch.manual_seed(99)
        np.random.seed(99)
        random.seed(99)
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        torch.use_deterministic_algorithms(True)
        torch.set_num_threads(3)
        torch.set_float32_matmul_precision("medium")
        np.seterr(all="ignore")
        os.chdir("/")
        return dataset.t2.mean(0)

    def state() -> list:
        return [
            torch.get_rng_state().tolist(),
            str(np.random.get_state()),
            random.getstate(),
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            torch.are_deterministic_algorithms_enabled(),
            torch.get_num_threads(),
            torch.get_default_device(),
            torch.get_float32_matmul_precision(),
            np.geterr(),
            os.getcwd(),
            logging.root.manager.disable,
        ]

    before = state()
    assert judge("mean-image", reckless).status == "right"
    assert state() == before


def test_an_answer_is_checked_in_a_folder_that_was_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert judge("mean-image", load("mean-image")).status == "right"


def test_an_answer_runs_on_one_thread() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        seen = []
        sandbox.run(lambda: seen.append(torch.get_num_threads()), seconds=60)
        assert seen == [1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_checks_work_where_gradients_are_switched_off() -> None:
    with torch.no_grad():
        assert judge("generator-step", load("generator-step")).status == "right"


@pytest.mark.parametrize("exercise", ["mean-image", "discriminator", "cgan-step"])
def test_checks_work_whatever_the_default_device_is(exercise: str) -> None:
    torch.set_default_device("meta")
    try:
        report = judge(exercise, load(exercise))
        assert torch.get_default_device().type == "meta"
    finally:
        torch.set_default_device(None)
    assert report.status == "right", report.text


def test_checks_do_not_disturb_the_random_numbers_of_the_notebook() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    judge("cgan-step", load("cgan-step"))
    assert torch.equal(torch.rand(3), expected)


def test_the_report_reaches_any_console() -> None:
    console = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    printed = [("printed", "ünïcode →")]
    report = Report("mean-image", "mean_t2_image", "partly", 0.5, 1, notes=printed)
    with contextlib.redirect_stdout(console):
        show(*report.output)
    console.flush()
    assert b"0.5 of 1 point" in console.buffer.getvalue()


def test_the_report_as_html_escapes_what_the_student_printed() -> None:
    report = Report("mean-image", "mean_t2_image", "wrong", 0.0, 1, notes=[("printed", "<script>")])
    assert "<script>" not in report._repr_html_()
    assert report.as_record()["status"] == "wrong"


@pytest.mark.slow
def test_a_kernel_gets_html_and_a_record_and_no_stderr() -> None:
    source = """
        import sys
        from labhelpers import checks
        def mean_t2_image(dataset):
            print("oops", file=sys.stderr)
            return dataset.t1.mean(0)
        checks.mean_image(mean_t2_image, points=2)
    """
    notebook = new_notebook(cells=[new_code_cell(textwrap.dedent(source))])
    (cell,) = NotebookClient(notebook, kernel_name="python3").execute().cells
    shown, score = cell.outputs
    assert shown.output_type == "display_data"
    assert shown.data["text/plain"].startswith("mean_t2_image: not right yet, 0 of 2 points")
    assert "<div" in shown.data["text/html"]
    assert shown.metadata["labhelpers"]["failed"] == ["shape", "values", "untouched"]
    assert score.data["text/plain"] == "0.0"


WORKERS = """
class Mine(IXIDataset):
    pass

def make_dataloaders(root, batch_size=40):
    loader = DataLoader(Mine(root), batch_size, num_workers=1, multiprocessing_context="spawn")
    return loader, loader
"""


@pytest.mark.slow
def test_workers_that_cannot_see_a_class_of_the_notebook_are_explained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = load("make-dataloaders", WORKERS)
    dataset = answer.__globals__["Mine"]
    # As in a notebook, where __main__ has the class in the kernel but not in a new process.
    monkeypatch.setattr(sys.modules["__main__"], "Mine", dataset, raising=False)
    text = " ".join(judge("make-dataloaders", answer).text.split())
    assert "meaning Workers of a loader are processes of their own" in text, text


def test_a_return_of_another_kind_is_told_with_what_is_expected() -> None:
    report = judge("cgan-step", lambda *args, **options: torch.zeros(()))
    text = " ".join(report.text.split())
    assert "returned a tensor of shape ()" in text
    assert "Asked for: 2 values, the generator's loss, the discriminator's loss." in text
