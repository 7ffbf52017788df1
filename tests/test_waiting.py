"""Cells that wait for an exercise, in a real kernel."""

import pytest
from jupyter_client.manager import start_new_kernel

from labhelpers.waiting import is_written

SETUP = """
from labhelpers.waiting import wait_quietly

wait_quietly()
wait_quietly()  # a set-up cell may run again
started = []
"""

TEMPLATES = """
class Network:
    def __init__(self, size):
        self.size = size

    def forward(self, x):
        # Your code here
        raise NotImplementedError("not written yet")


def step(x):
    # Your code here
    raise NotImplementedError("not written yet")


def loss(x):
    # Your code here
    raise NotImplementedError("not written yet")
"""

TRAINING = """
def train(x):
    started.append(x)
    return [step(x) for _ in range(2)]
"""

STEP = "def step(x):\n    return loss(x)\n    raise NotImplementedError('not written yet')"
LOSS = "def loss(x):\n    return x"


class Kernel:
    """A kernel in which cells run one after another, as "Run All" does."""

    def __init__(self):
        self.manager, self.client = start_new_kernel(kernel_name="python3")

    def run(self, code):
        """Return what is shown, and whether the cell counts as run."""
        shown = []

        def collect(message):
            content = message["content"]
            kind = message["header"]["msg_type"]
            if kind in ("display_data", "execute_result"):
                shown.append(content["data"]["text/plain"])
                self.record = content["metadata"].get("labhelpers")
            elif kind == "stream":
                assert content["name"] == "stdout", content
                shown.append(content["text"].strip())
            elif kind == "error":
                shown.append(f"error {content['ename']}")

        reply = self.client.execute_interactive(code, output_hook=collect, timeout=120)
        return shown, reply["content"]["status"] == "ok"


@pytest.fixture(scope="module")
def kernel_process():
    kernel = Kernel()
    yield kernel
    kernel.client.stop_channels()
    kernel.manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel(kernel_process):
    kernel_process.run("%reset -f")
    for code in (SETUP, TEMPLATES, TRAINING):
        assert kernel_process.run(code) == ([], True)
    return kernel_process


def waits(*names):
    verb = "is" if len(names) == 1 else "are"
    return f"This cell waits for {' and '.join(names)}, which {verb} not written yet."


def test_a_training_is_not_started_before_all_that_it_calls_is_written(kernel):
    assert kernel.run("trained = train(1)") == ([waits("step")], True)
    assert kernel.record == {"waits": True}, "by which `labhelpers validate` knows it"
    kernel.run(STEP)
    assert kernel.run("trained = train(1)") == ([waits("loss")], True)
    assert kernel.run("started") == (["[]"], True)
    assert kernel.run("for one in trained:\n    print(one)") == ([waits("loss")], True)
    kernel.run(LOSS)
    assert kernel.run("trained = train(1)\ntrained") == (["[1, 1]"], True)
    assert kernel.run("for one in trained:\n    print(one)") == (["1\n1"], True)


def test_an_answer_that_still_raises_is_told_with_the_reason(kernel):
    kernel.run(LOSS)
    begun = STEP.replace("return loss(x)", "if x < 0:\n        return loss(x)")
    assert kernel.run(begun) == ([], True)
    line = waits("step")[:-1] + ": a line still raises NotImplementedError."
    assert kernel.run("train(1)") == ([line], True)
    assert kernel.run("step(-1)") == (["-1"], True)
    assert kernel.run("step(1)") == ([line], True)


def test_other_cells_run_as_far_as_they_get(kernel):
    assert kernel.run("network = Network(3)\nnetwork.size") == (["3"], True)
    assert kernel.run("print('first')\nresult = network.forward(1)") == (
        ["first", waits("Network")],
        True,
    )
    assert kernel.run("result + 1") == ([waits("Network")], True)
    assert kernel.run("def own(x):\n    return loss(x)\n\n\nvalue = [own(1)]") == (
        [waits("loss")],
        True,
    )
    assert kernel.run("1 + 1") == (["2"], True)


def test_what_needs_no_answer_is_not_held_back(kernel):
    """A check gets the answer as an argument; a definition calls nothing."""
    assert kernel.run("def check(answer):\n    return callable(answer)")[1]
    assert kernel.run("check(train)") == (["True"], True)
    assert kernel.run("def again():\n    return train(1)") == ([], True)


def test_errors_of_ones_own_are_shown_and_what_follows_from_them_is_not(kernel):
    assert kernel.run("made = 1 / 0") == (["error ZeroDivisionError"], False)
    line = "This cell waits for made: the cell that makes it failed (ZeroDivisionError)."
    assert kernel.run("made + 1") == ([line], True)
    assert kernel.run("def late(x)\n    return x")[0][-1].startswith("error SyntaxError")
    line = "This cell waits for late: the cell that makes it failed (SyntaxError)."
    assert kernel.run("late(1)") == ([line], True)
    assert kernel.run("mistyped") == (["error NameError"], False)
    assert kernel.run("raise NotImplementedError") == (["error NotImplementedError"], False)
    library = "import io\nio.RawIOBase().readinto(b'')"
    assert kernel.run(library)[1] is False


RELEASED = """
from pathlib import Path

import nbformat

from labhelpers import waiting
from labhelpers.repair.release import read_releases

for name, cells in {notebooks!r}.items():
    new = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(new, name + ".ipynb")
waiting.find_releases = lambda: read_releases(Path())
"""
IMPORTS = "import math\nfrom labhelpers import plots as figures"
TRAIN = "def train(x):\n    with TrainingRun('demo'):\n        network = x\n    return network"
TRAINED = "first = 1  # as big as ever\nnetwork = train(\n    first,\n)"
SHOWN = "network + first"


def test_after_a_restart_a_cell_says_which_cell_to_run(kernel, tmp_path):
    notebook = [SETUP, IMPORTS, TRAIN, TRAINED, SHOWN, "late = 1"]
    notebooks = {"a": [SETUP, IMPORTS, "network = 1"], "b": notebook}
    kernel.run(f"%cd -q {tmp_path}")
    assert kernel.run(RELEASED.format(notebooks=notebooks)) == ([], True)
    start = (
        "This cell waits for {}, which nothing has made since the kernel started: run the cell with"
    )
    end = ", or all cells above this one"
    loads = "; a training that is kept is loaded, not repeated."
    line = f"{start.format('network')} `network = train(`{end}{loads}"
    assert kernel.run(SHOWN) == ([line], True)
    assert kernel.run("own = [network for _ in range(2)]") == ([line], True)
    line = f"{start.format('figures')} `from labhelpers import plots as figures`{end}."
    assert kernel.run("figures.unet_diagram()") == ([line], True)
    wrong = "def answer():\n    return network\n\n\nanswer()"
    assert kernel.run(wrong) == (["error NameError"], False), "it is not the cell that lacks it"
    assert kernel.run("network = train_anew(1)") == (["error NameError"], False)
    assert kernel.run("if False:\n    own_name = 1\nown_name") == (["error NameError"], False)


def test_what_was_not_trained_is_told_in_its_words(kernel, tmp_path):
    kernel.run(f"%cd -q {tmp_path}")
    shown, counts_as_run = kernel.run(
        "from labhelpers.training import show_losses\n\nshow_losses('cgan')"
    )
    assert counts_as_run
    assert shown == [
        "The training 'cgan' is not there yet: run the cell that trains it. "
        "(images/cgan was not made.)"
    ]


MEAN = """
import labhelpers.checks
import torch


def mean_t2_image(dataset):
    return torch.stack([sample["T2"] for sample in dataset]).mean(dim=0)
""".strip()


def test_a_check_tells_that_the_last_version_did_not_run(kernel):
    check = "labhelpers.checks.mean_image(mean_t2_image, points=2)"
    assert kernel.run(MEAN) == ([], True)
    report, score = kernel.run(check)[0]
    assert score == "2.0" and "attention" not in report
    kernel.run(MEAN.replace("(dataset):", "(dataset)"))
    report, score = kernel.run(check)[0]
    assert score == "2.0"
    assert "Your last version did not run: SyntaxError in line 5: expected ':'" in report
    kernel.run(MEAN)
    assert "attention" not in kernel.run(check)[0][0]


def test_nothing_changes_in_grading(kernel_process):
    code = "import os\nos.environ['NBGRADER_EXECUTION'] = 'autograde'"
    kernel_process.run("%reset -f")
    kernel_process.run(code)
    kernel_process.run("from IPython import get_ipython\nget_ipython().ast_transformers.clear()")
    kernel_process.run(SETUP)
    assert kernel_process.run("get_ipython().ast_transformers") == (["[]"], True)
    kernel_process.run("del os.environ['NBGRADER_EXECUTION']")


def test_templates_are_told_from_answers():
    def template():
        raise NotImplementedError("not written yet")

    def answer(x):
        return x
        raise NotImplementedError("not written yet")

    class Half:
        def __init__(self):
            self.x = 1

        def forward(self):
            raise NotImplementedError("not written yet")

    class Whole:
        @staticmethod
        def forward():
            return 1

    assert not is_written(template) and not is_written(Half)
    assert is_written(answer) and is_written(Whole)
    assert is_written(7) and is_written(len)
