"""Honest submissions that are damaged or careless: what happened to each, and what it deserves."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat import NotebookNode, v4

from submissions import ALL_POINTS, ASSIGNMENT, LOOKUP, MEAN, OTHER, Submission, change_cell, find

__all__ = ["DAMAGED"]

_ONLY_MEAN, _ONLY_LOOKUP = {MEAN: 2.0}, {LOOKUP: 2.0}

_MEAN = """\
def mean_t2_image(dataset):
    return torch.stack([sample["T2"] for sample in dataset]).mean(dim=0)
"""


def _careless(name: str, does: str, before: str = "", after: str = "", **expected: object):
    """Return right answers; the first one's cell holds more code before or after the function."""
    expected = {"points": ALL_POINTS} | expected
    return Submission(name, does, {"mean-image": f"{before}\n{_MEAN}{after}".strip()}, **expected)


def _edited(name: str, does: str, edit: Callable[[NotebookNode], object], **expected: object):
    """Return right answers in a notebook that was changed."""
    return Submission(name, does, edit=edit, **({"points": ALL_POINTS} | expected))


def _file(name: str, does: str, files: Callable[[Path, Path], object], **expected: object):
    """Return right answers in files that were changed."""
    return Submission(name, does, files=files, **({"points": ALL_POINTS} | expected))


def _index(notebook: NotebookNode, name: str) -> int:
    return notebook.cells.index(find(notebook, name))


def _own_cell(source: str, before: str = MEAN) -> Callable[[NotebookNode], None]:
    """Return an edit that adds a cell without a name before a named one."""

    def edit(notebook: NotebookNode) -> None:
        notebook.cells.insert(_index(notebook, before), v4.new_code_cell(source))

    return edit


# Careless code ------------------------------------------------------------------------------------

_CODE = [
    _careless("star-of-torch", "Imports all names of torch.", "from torch import *"),
    _careless("star-of-numpy", "Imports all names of numpy.", "from numpy import *"),
    _careless("star-of-math", "Imports all names of math.", "from math import *"),
    _careless("called-min", "Has a variable called min.", after="min = 3\nmax = 4\nsum = 7"),
    _careless("called-checks", "Has a variable called checks.", after="checks = 1"),
    _careless(
        "called-labhelpers", "Has a variable called labhelpers.", after="labhelpers = 'the package'"
    ),
    _careless("called-score", "Has a variable called score.", after="score = 17\nhidden = 0"),
    _careless("called-float", "Has a variable called float.", after="float = 1.5\nint = 2"),
    _careless("called-print", "Has a variable called print.", after="print = None"),
    _careless(
        "called-like-builtins",
        "Overwrites many names of Python.",
        after="list = dict = str = type = len = range = isinstance = all = any = open = None",
    ),
    _careless(
        "called-torch", "Uses the name of a module after its answer.", after="json = time = sys = 3"
    ),
    _careless(
        "thread-to-stderr",
        "A thread writes to stderr for a while.",
        after="""
import sys, threading, time

def talk():
    for _ in range(100):
        sys.stderr.write("still here\\n")
        sys.stderr.flush()
        time.sleep(0.02)

threading.Thread(target=talk, daemon=True).start()""",
    ),
    _careless(
        "program-to-stderr",
        "A program that goes on in the background writes to stderr.",
        after="import subprocess\n"
        "subprocess.Popen('for i in 1 2 3 4 5; do echo noise >&2; sleep 0.2; done', shell=True)",
    ),
    Submission(
        "warning-in-the-answer",
        "The answer warns when it is called.",
        {
            "mean-image": _MEAN.replace(
                "    return", "    import warnings\n    warnings.warn('careful')\n    return"
            )
        },
        points=ALL_POINTS,
    ),
    Submission(
        "logging-in-the-answer",
        "The answer logs to stderr when it is called.",
        {
            "mean-image": "import logging\nlogging.basicConfig(level=logging.DEBUG, force=True)\n"
            + _MEAN.replace("    return", "    logging.warning('averaging')\n    return")
        },
        points=ALL_POINTS,
    ),
    Submission(
        "bar-in-the-answer",
        "The answer shows a progress bar on stderr.",
        {
            "mean-image": "from tqdm import tqdm\n"
            + _MEAN.replace("in dataset]", "in tqdm(dataset)]")
        },
        points=ALL_POINTS,
    ),
    Submission(
        "prints-in-the-answer",
        "The answer prints a lot when it is called.",
        {"mean-image": _MEAN.replace("    return", "    print('x' * 200_000)\n    return")},
        points=ALL_POINTS,
    ),
    _careless(
        "warnings-are-errors",
        "Turns warnings into errors.",
        after="import warnings\nwarnings.simplefilter('error')",
    ),
    _careless("changed-folder", "Goes to another folder.", "%cd /"),
    _careless("os-chdir", "Goes to another folder, by Python.", "import os\nos.chdir('/tmp')"),
    _careless(
        "removed-folder",
        "Works in a folder that it removes.",
        "import os, tempfile\nwith tempfile.TemporaryDirectory() as folder:\n    os.chdir(folder)",
    ),
    _careless(
        "default-dtype", "Changes the default type.", after="torch.set_default_dtype(torch.float64)"
    ),
    _careless(
        "default-device", "Changes the default device.", after="torch.set_default_device('meta')"
    ),
    _careless("no-gradients", "Switches gradients off.", after="torch.set_grad_enabled(False)"),
    _careless(
        "deterministic",
        "Asks for deterministic algorithms.",
        after="torch.use_deterministic_algorithms(True)",
    ),
    _careless(
        "one-thread",
        "Sets the number of threads.",
        after="import os\nos.environ['OMP_NUM_THREADS'] = '7'\ntorch.set_num_threads(7)",
    ),
    _careless(
        "seeds",
        "Sets seeds.",
        "import random\nimport numpy as np\n"
        "random.seed(1)\nnp.random.seed(1)\ntorch.manual_seed(1)",
    ),
    _careless(
        "figures",
        "Chooses a window for figures.",
        "import matplotlib\nmatplotlib.use('agg')\nimport matplotlib.pyplot as plt\n"
        "plt.plot([1, 2])\nplt.show()",
    ),
    _careless(
        "figure-backend", "Asks for figures of a kind that is not there.", after="%matplotlib qt"
    ),
    _careless(
        "asks-a-question", "Asks for input after the answer.", after="name = input('Name? ')"
    ),
    _careless("shell-command", "Calls the shell.", "!echo installing"),
    _careless(
        "pip-install",
        "Installs a package that is there.",
        "!pip --disable-pip-version-check install --no-index torch",
    ),
    _careless(
        "magic-pip",
        "Installs a package that is nowhere.",
        "%pip install --no-index --quiet no-such-package-of-anybody",
    ),
    _careless(
        "stdout-replaced",
        "Replaces stdout and does not put it back.",
        after="import io, sys\nsys.stdout = io.StringIO()",
    ),
    _careless(
        "stdout-closed",
        "Closes stdout and stderr.",
        after="import sys\nsys.stdout.close()\nsys.stderr.close()",
    ),
    _careless(
        "descriptors-closed",
        "Closes the descriptors of stdout and stderr.",
        after="import os\nos.close(1)\nos.close(2)",
    ),
    Submission(
        "captured",
        "Captures the output of the answer's cell.",
        {"mean-image": "%%capture\n" + _MEAN},
        points=ALL_POINTS,
    ),
    Submission(
        "timed", "Times the answer's cell.", {"mean-image": "%%time\n" + _MEAN}, points=ALL_POINTS
    ),
    Submission(
        "python-2",
        "The first answer is in an old Python.",
        {"mean-image": "print 'hello'\n" + _MEAN},
        points=_ONLY_LOOKUP,
    ),
    Submission(
        "tabs",
        "Is indented by tabs.",
        {"mean-image": _MEAN.replace("    ", "\t")},
        points=ALL_POINTS,
    ),
    Submission(
        "line-ends",
        "Has the line ends of Windows.",
        {"mean-image": _MEAN.replace("\n", "\r\n")},
        points=ALL_POINTS,
    ),
    Submission(
        "stub-left-below",
        "Leaves the raised error under the answer.",
        {"mean-image": _MEAN + "    raise NotImplementedError('not written yet')\n"},
        points=ALL_POINTS,
    ),
    Submission(
        "quits",
        "Leaves `exit()` at the end of the second answer.",
        {"intensity-lookup": "exit()"},
        points=_ONLY_MEAN,
    ),
    Submission(
        "recursion",
        "Calls itself for ever.",
        {"mean-image": "def mean_t2_image(dataset):\n    return mean_t2_image(dataset)"},
        points=_ONLY_LOOKUP,
    ),
    _careless(
        "recursion-limit",
        "Sets a low limit for recursion.",
        after="import sys\nsys.setrecursionlimit(150)",
    ),
    _careless(
        "alarm",
        "Sets an alarm.",
        after="import signal\nsignal.signal(signal.SIGALRM, lambda *_: None)\nsignal.alarm(1)",
    ),
    _careless(
        "interrupts-ignored",
        "Ignores interrupts.",
        after="import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)",
    ),
    _careless(
        "no-collection", "Switches the garbage collection off.", after="import gc\ngc.disable()"
    ),
    _careless(
        "asyncio", "Awaits something at the top level.", "import asyncio\nawait asyncio.sleep(0.01)"
    ),
    _careless(
        "reset",
        "Empties the namespace before the answer, without asking.",
        "%reset -f\nimport torch",
    ),
    _careless(
        "autoreload", "Reloads modules by themselves.", "%load_ext autoreload\n%autoreload 2"
    ),
    _careless(
        "reloaded-package",
        "Reloads the checks.",
        after="import importlib, labhelpers.checks\nimportlib.reload(labhelpers.checks)",
    ),
    _careless(
        "deleted-modules",
        "Removes the package from the loaded modules.",
        after="import sys\nfor name in list(sys.modules):\n"
        "    if name.startswith('labhelpers'):\n        del sys.modules[name]",
    ),
]

# Own cells ----------------------------------------------------------------------------------------

_CELLS_OF_ONES_OWN = [
    _edited(
        "own-cell-fails",
        "A cell of one's own raises.",
        _own_cell("1 / 0"),
    ),
    _edited("own-cell-unfinished", "A cell of one's own is no Python.", _own_cell("def f(:")),
    _edited(
        "own-cell-trains",
        "A cell of one's own runs longer than it may.",
        _own_cell("import time\nwhile True:\n    time.sleep(0.1)"),
    ),
    _edited(
        "own-cell-dies",
        "A cell of one's own ends the kernel before the second answer.",
        _own_cell("import os\nos._exit(1)", before="intensity-lookup"),
        points=_ONLY_MEAN,
        flag=True,
    ),
    _edited(
        "own-cell-other-language",
        "A cell of one's own is of another language.",
        _own_cell("%%bash\nexit 3"),
    ),
    _edited(
        "own-cell-no-magic",
        "A cell of one's own calls a magic that is not there.",
        _own_cell("%%nosuchmagic\nx"),
    ),
    _edited(
        "own-cell-large-output",
        "A cell of one's own prints one line of 30 MB.",
        _own_cell("print('x' * 30_000_000)", before="intensity-lookup"),
        points=_ONLY_MEAN,
        flag=True,
    ),
    _edited(
        "own-cell-many-lines",
        "A cell of one's own prints 100,000 lines.",
        _own_cell("for i in range(100_000):\n    print(i)"),
    ),
    _edited(
        "own-cell-widget",
        "A cell of one's own shows a widget.",
        _own_cell("import ipywidgets\nipywidgets.IntSlider()"),
    ),
    _edited(
        "own-cell-quits",
        "A cell of one's own says quit before the second answer.",
        _own_cell("quit()", before="intensity-lookup"),
    ),
    _edited(
        "raw-cell", "A raw cell.", lambda nb: nb.cells.insert(3, v4.new_raw_cell("--- notes ---"))
    ),
    _edited(
        "attachment",
        "A pasted picture in a written cell.",
        lambda nb: nb.cells.insert(
            3,
            v4.new_markdown_cell(
                "![a](attachment:a.png)", attachments={"a.png": {"image/png": "iVBORw0KGgo="}}
            ),
        ),
    ),
]

# Cells --------------------------------------------------------------------------------------------


def _remove(*names: str) -> Callable[[NotebookNode], None]:
    def edit(notebook: NotebookNode) -> None:
        notebook.cells = [
            cell
            for cell in notebook.cells
            if cell.metadata.get("nbgrader", {}).get("grade_id") not in names
        ]

    return edit


def _remove_imports(notebook: NotebookNode) -> None:
    notebook.cells = [c for c in notebook.cells if not c.source.startswith("import pandas")]


def _duplicate(
    name: str, changes: Callable[[NotebookNode], object] = lambda cell: None, at: int = 1
):
    def edit(notebook: NotebookNode) -> None:
        copied = copy.deepcopy(find(notebook, name))
        copied.id = f"copy-of-{name}"
        changes(copied)
        notebook.cells.insert(_index(notebook, name) + at, copied)

    return edit


def _split(name: str, line: int) -> Callable[[NotebookNode], None]:
    """Split a cell as JupyterLab does: both parts have its metadata."""

    def edit(notebook: NotebookNode) -> None:
        cell = find(notebook, name)
        lines = cell.source.splitlines()
        rest = copy.deepcopy(cell)
        rest.id = f"rest-of-{name}"
        cell.source, rest.source = "\n".join(lines[:line]), "\n".join(lines[line:])
        notebook.cells.insert(notebook.cells.index(cell) + 1, rest)

    return edit


def _merge(name: str, other: str) -> Callable[[NotebookNode], None]:
    """Merge a cell with a later one, as JupyterLab does: the metadata of the first one stays."""

    def edit(notebook: NotebookNode) -> None:
        cell, later = find(notebook, name), find(notebook, other)
        cell.source += "\n\n" + later.source
        notebook.cells.remove(later)

    return edit


def _move(name: str, before: str) -> Callable[[NotebookNode], None]:
    def edit(notebook: NotebookNode) -> None:
        cell = find(notebook, name)
        notebook.cells.remove(cell)
        notebook.cells.insert(_index(notebook, before), cell)

    return edit


def _set_source(name: str, source: str) -> Callable[[NotebookNode], None]:
    def edit(notebook: NotebookNode) -> None:
        find(notebook, name).source = source

    return edit


def _retype(name: str, kind: str) -> Callable[[NotebookNode], None]:
    def edit(notebook: NotebookNode) -> None:
        cell = find(notebook, name)
        cell.cell_type = kind
        for key in ("outputs", "execution_count"):
            if kind == "code":
                cell[key] = [] if key == "outputs" else None
            else:
                cell.pop(key, None)

    return edit


def _answer_in_own_cell(notebook: NotebookNode) -> None:
    """Write the answer in a cell of one's own below the untouched one."""
    cell = find(notebook, "mean-image")
    notebook.cells.insert(notebook.cells.index(cell) + 1, v4.new_code_cell(cell.source))
    cell.source = "def mean_t2_image(dataset):\n    raise NotImplementedError('not written yet')"


def _answers_together(notebook: NotebookNode) -> None:
    """Write both answers into the cell of the first."""
    first, second = find(notebook, "mean-image"), find(notebook, "intensity-lookup")
    first.source += "\n\n" + second.source
    second.source = ""


def _other_cells(notebook: NotebookNode) -> None:
    """Paste cells of another notebook with its metadata."""
    for name, grade in (("cgan-generator-loss", False), ("check-cgan-generator-loss", True)):
        details = {
            "grade_id": name,
            "grade": grade,
            "solution": not grade,
            "locked": grade,
            "task": False,
            "schema_version": 3,
            "cell_type": "code",
        }
        if grade:
            details["points"] = 2
        notebook.cells.insert(4, v4.new_code_cell("pasted = True", metadata={"nbgrader": details}))


_CELLS = [
    _edited("check-deleted", "A check was deleted.", _remove(MEAN)),
    _edited("checks-deleted", "Both checks were deleted.", _remove(MEAN, LOOKUP)),
    _edited("setup-deleted", "The set-up cell was deleted.", _remove("setup")),
    _edited("imports-deleted", "The imports were deleted.", _remove_imports),
    _edited(
        "answer-deleted",
        "An answer's cell was deleted.",
        _remove("mean-image"),
        points=_ONLY_LOOKUP,
    ),
    _edited("all-deleted", "Everything was deleted.", lambda nb: nb.cells.clear(), points={}),
    _edited("check-duplicated", "A check was copied.", _duplicate(MEAN)),
    _edited("answer-duplicated", "An answer was copied.", _duplicate("mean-image")),
    _edited(
        "stub-duplicated",
        "The untouched exercise was copied above the answer.",
        _duplicate(
            "mean-image",
            lambda cell: cell.update(
                source="def mean_t2_image(dataset):\n    raise NotImplementedError"
            ),
            at=0,
        ),
    ),
    _edited("written-duplicated", "The written answer was copied.", _duplicate("written-lookup")),
    _edited("answer-split", "An answer was split above its function.", _split("mean-image", 0)),
    _edited("lookup-split", "An answer was split in its middle.", _split("intensity-lookup", 1)),
    _edited("check-split", "A check was split.", _split(MEAN, 1)),
    _edited(
        "merged-with-check", "An answer was merged with its check.", _merge("mean-image", MEAN)
    ),
    _edited("merged-answers", "Two answers were merged.", _merge("mean-image", "intensity-lookup")),
    _edited("answers-together", "Both answers stand in the first cell.", _answers_together),
    _edited("check-emptied", "A check was emptied.", _set_source(MEAN, "")),
    _edited(
        "check-changed",
        "A check was changed.",
        lambda nb: change_cell(nb, MEAN, "points=2", "points=1"),
    ),
    _edited(
        "answer-emptied",
        "An answer was emptied.",
        _set_source("mean-image", ""),
        points=_ONLY_LOOKUP,
    ),
    _edited("check-before-answer", "A check stands before its answer.", _move(MEAN, "mean-image")),
    _edited(
        "answer-after-check",
        "An answer was moved to the end.",
        _move("mean-image", "written-lookup"),
    ),
    _edited(
        "exercises-exchanged",
        "The second exercise stands before the first.",
        lambda nb: (_move("intensity-lookup", "mean-image")(nb), _move(LOOKUP, "mean-image")(nb)),
    ),
    _edited("upside-down", "All cells are in the opposite order.", lambda nb: nb.cells.reverse()),
    _edited("check-is-text", "A check was turned into text.", _retype(MEAN, "markdown")),
    _edited("check-is-raw", "A check was turned into a raw cell.", _retype(MEAN, "raw")),
    _edited("answer-is-text", "An answer was turned into text.", _retype("mean-image", "markdown")),
    _edited("answer-is-raw", "An answer was turned into a raw cell.", _retype("mean-image", "raw")),
    _edited(
        "written-is-code",
        "The written answer was turned into code.",
        _retype("written-lookup", "code"),
    ),
    _edited(
        "answer-in-own-cell",
        "The answer stands in a cell below the untouched one.",
        _answer_in_own_cell,
    ),
    _edited("other-cells", "Cells of another notebook were pasted in.", _other_cells),
]

# Metadata -----------------------------------------------------------------------------------------


def _forget(*names: str) -> Callable[[NotebookNode], None]:
    def edit(notebook: NotebookNode) -> None:
        for cell in notebook.cells:
            if not names or cell.metadata.get("nbgrader", {}).get("grade_id") in names:
                cell.metadata.pop("nbgrader", None)

    return edit


def _each(change: Callable[[dict], object]) -> Callable[[NotebookNode], None]:
    def edit(notebook: NotebookNode) -> None:
        for cell in notebook.cells:
            if "nbgrader" in cell.metadata:
                change(cell.metadata.nbgrader)

    return edit


def _schema_1(details: dict) -> None:
    for key in ("schema_version", "cell_type", "task"):
        details.pop(key, None)
    details["schema_version"] = 1


def _colab(notebook: NotebookNode) -> None:
    notebook.metadata = {
        "colab": {"provenance": [], "toc_visible": True},
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
        "language_info": {"name": "python"},
        "accelerator": "GPU",
    }
    for number, cell in enumerate(notebook.cells):
        cell.id = f"{number:012x}"
        cell.metadata |= {"id": cell.id, "outputId": "abc", "colab": {"base_uri": "https://x"}}


def _colab_forgets(notebook: NotebookNode) -> None:
    _colab(notebook)
    for number, cell in enumerate(notebook.cells):
        cell.metadata = {"id": f"{number:012x}"}


def _vscode(notebook: NotebookNode) -> None:
    notebook.metadata = {
        "kernelspec": {"name": ".venv", "display_name": ".venv (3.12.3)", "language": "python"},
        "language_info": {"name": "python", "version": "3.12.3"},
    }
    for cell in notebook.cells:
        cell.metadata["vscode"] = {"languageId": "python"}


_STATE = {
    "application/vnd.jupyter.widget-state+json": {
        "0a1b": {
            "model_module": "@jupyter-widgets/controls",
            "model_name": "HBoxModel",
            "state": {},
        }
    }
}

_METADATA = [
    _edited("all-names-lost", "All cells lost nbgrader's metadata.", _forget()),
    _edited("check-name-lost", "A check lost nbgrader's metadata.", _forget(MEAN)),
    _edited("answer-name-lost", "An answer lost nbgrader's metadata.", _forget("mean-image")),
    _edited(
        "all-metadata-lost",
        "All metadata was lost.",
        lambda nb: [nb.update(metadata={}), *(c.update(metadata={}) for c in nb.cells)],
    ),
    _edited(
        "names-emptied",
        "nbgrader's metadata is empty.",
        lambda nb: [c.metadata.nbgrader.clear() for c in nb.cells if "nbgrader" in c.metadata],
    ),
    _edited("old-schema", "The metadata is of an old version.", _each(_schema_1)),
    _edited(
        "no-schema",
        "The metadata names no version.",
        _each(lambda details: details.pop("schema_version")),
    ),
    _edited(
        "no-points",
        "The metadata names no points.",
        _each(lambda details: details.pop("points", None)),
    ),
    _edited(
        "renamed",
        "A check was given another name.",
        lambda nb: find(nb, MEAN).metadata.nbgrader.update(grade_id="my check"),
    ),
    _edited(
        "roles-lost",
        "All cells say that they are not graded.",
        _each(lambda details: details.update(grade=False, solution=False, locked=False)),
    ),
    _edited(
        "tags-lost",
        "Tags are a text, not a list.",
        lambda nb: find(nb, MEAN).metadata.update(tags="check"),
    ),
    _edited("colab", "Saved by Colab.", _colab),
    _edited("colab-without-names", "Saved by Colab, which dropped the metadata.", _colab_forgets),
    _edited("vscode", "Saved by VS Code, with a kernel of another name.", _vscode),
    _edited("no-kernel", "Names no kernel.", lambda nb: nb.metadata.clear()),
    _edited(
        "other-kernel",
        "Names a kernel that is not here.",
        lambda nb: nb.metadata.update(
            kernelspec={"name": "conda-env-lab-py", "display_name": "Python [lab]"}
        ),
    ),
    _edited(
        "other-language",
        "Says that it is in R.",
        lambda nb: nb.metadata.update(
            kernelspec={"name": "ir", "display_name": "R", "language": "R"}
        ),
    ),
    _edited(
        "widget-state",
        "Holds widgets without the level `state`.",
        lambda nb: nb.metadata.update(widgets=copy.deepcopy(_STATE)),
    ),
    _edited(
        "widgets-are-a-list", "Holds widgets as a list.", lambda nb: nb.metadata.update(widgets=[])
    ),
    _edited(
        "large-outputs",
        "Was handed in with 30 MB of outputs.",
        lambda nb: find(nb, "mean-image").update(
            outputs=[v4.new_output("stream", text="y" * 30_000_000)]
        ),
    ),
    _edited(
        "collapsed",
        "Cells are collapsed and have slide settings.",
        lambda nb: [
            c.metadata.update(collapsed=True, slideshow={"slide_type": "skip"}) for c in nb.cells
        ],
    ),
]

# Files --------------------------------------------------------------------------------------------


def _text(change: Callable[[str], str | bytes]) -> Callable[[Path, Path], None]:
    def files(path: Path, root: Path) -> None:
        changed = change(path.read_text(encoding="utf-8"))
        path.write_bytes(changed if isinstance(changed, bytes) else changed.encode())

    return files


def _json(change: Callable[[dict], object]) -> Callable[[Path, Path], None]:
    def files(path: Path, root: Path) -> None:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        change(notebook)
        path.write_text(json.dumps(notebook), encoding="utf-8")

    return files


def _duplicate_ids(notebook: dict) -> None:
    for cell in notebook["cells"]:
        cell["id"] = "same"


def _bad_ids(notebook: dict) -> None:
    for number, cell in enumerate(notebook["cells"]):
        cell["id"] = f"cell {number} ü/" * 20


def _no_ids(notebook: dict) -> None:
    for cell in notebook["cells"]:
        cell.pop("id", None)


def _old_minor(notebook: dict) -> None:
    _no_ids(notebook)
    notebook["nbformat_minor"] = 0


def _future(notebook: dict) -> None:
    notebook["nbformat_minor"] = 9


def _version_3(path: Path, root: Path) -> None:
    notebook = nbformat.convert(nbformat.read(path, as_version=4), 3)
    path.write_text(nbformat.writes(notebook, version=3), encoding="utf-8")


def _no_outputs(notebook: dict) -> None:
    for cell in notebook["cells"]:
        cell.pop("outputs", None)
        cell.pop("execution_count", None)


def _markdown_with_outputs(notebook: dict) -> None:
    for cell in notebook["cells"]:
        cell |= {"outputs": [], "execution_count": 3}


def _merge_markers(text: str) -> str:
    """Leave what git writes where two versions of a notebook differ, in the list of the cells."""
    old = '"execution_count": null,'
    new = f'<<<<<<< HEAD\n   "execution_count": 1,\n=======\n   {old}\n>>>>>>> 0a1b2c3 (mine)'
    assert old in text
    return text.replace(old, new, 1)


def _renamed(name: str) -> Callable[[Path, Path], None]:
    def files(path: Path, root: Path) -> None:
        target = path.parent / name
        target.parent.mkdir(exist_ok=True)
        path.rename(target)

    return files


def _also(*names: str) -> Callable[[Path, Path], None]:
    def files(path: Path, root: Path) -> None:
        for name in names:
            (path.parent / name).parent.mkdir(parents=True, exist_ok=True)
            (path.parent / name).write_bytes(b"\x00\xff more")

    return files


def _also_notebooks(path: Path, root: Path) -> None:
    for name in (".ipynb_checkpoints/x-checkpoint.ipynb", "draft.ipynb", "Untitled.ipynb"):
        (path.parent / name).parent.mkdir(exist_ok=True)
        (path.parent / name).write_bytes(path.read_bytes())


def _other_notebook(path: Path, root: Path) -> None:
    other = root / "build" / "release" / OTHER / f"{OTHER}.ipynb"
    path.write_bytes(other.read_bytes())


def _time_stamp(content: bytes) -> Callable[[Path, Path], None]:
    return lambda path, root: (path.parent / "timestamp.txt").write_bytes(content)


def _broken_link(path: Path, root: Path) -> None:
    (path.parent / "data").symlink_to("/no/such/folder")


def _python_file(path: Path, root: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    path.write_text("\n\n".join(cell.source for cell in cells if cell.cell_type == "code"))


_FILES = [
    _file("byte-order-mark", "Begins with a byte-order mark.", _text(lambda text: "\ufeff" + text)),
    _file("utf-16", "Is in UTF-16.", _text(lambda text: text.encode("utf-16"))),
    _file(
        "latin-1",
        "Is in Latin-1, with umlauts.",
        _text(lambda text: text.replace("# ", "# Übung ", 1).encode("latin-1", "replace")),
    ),
    _file(
        "windows-lines",
        "Has the line ends of Windows.",
        _text(lambda text: text.replace("\n", "\r\n")),
    ),
    _file("merge-markers", "Holds the marks of a merge.", _text(_merge_markers)),
    _file("more-at-the-end", "Goes on after its end.", _text(lambda text: text + "\n}\n]}")),
    _file("twice-in-a-row", "Holds the whole notebook twice.", _text(lambda text: text + text)),
    _file(
        "cut-off", "Was cut off.", _text(lambda text: text[: len(text) // 2]), points={}, flag=True
    ),
    _file("empty", "Is empty.", _text(lambda text: ""), points={}, flag=True),
    _file(
        "web-page",
        "Is a web page.",
        _text(lambda text: "<!DOCTYPE html><html><body>Sign in</body></html>"),
        points={},
        flag=True,
    ),
    _file(
        "python-file",
        "Is a Python file under the notebook's name.",
        _python_file,
        points={},
        flag=True,
    ),
    _file(
        "zip-file",
        "Is an archive under the notebook's name.",
        _text(lambda text: b"PK\x03\x04" + bytes(200)),
        points={},
        flag=True,
    ),
    _file(
        "binary-zeros",
        "Consists of zeros, after a full disk.",
        _text(lambda text: bytes(5_000)),
        points={},
        flag=True,
    ),
    _file(
        "other-notebook",
        "Is the notebook of another assignment.",
        _other_notebook,
        points={},
        flag=True,
    ),
    _file("duplicate-ids", "All cells have the same id.", _json(_duplicate_ids)),
    _file("bad-ids", "Ids of cells are no valid ones.", _json(_bad_ids)),
    _file("no-ids", "Cells have no ids.", _json(_no_ids)),
    _file("version-4.0", "Is of version 4.0.", _json(_old_minor)),
    _file("version-4.9", "Is of a version to come.", _json(_future)),
    _file("version-3", "Is of version 3.", _version_3),
    _file("no-outputs", "Cells lack what each has to have.", _json(_no_outputs)),
    _file("outputs-everywhere", "Text has outputs.", _json(_markdown_with_outputs)),
    _file(
        "unknown-keys",
        "Has keys that nobody knows.",
        _json(lambda nb: nb.update(author="me", worksheets=[])),
    ),
    _file(
        "null-metadata",
        "Metadata is null.",
        _json(
            lambda nb: [
                nb.update(metadata=None),
                *(
                    c.update(metadata=None)
                    for c in nb["cells"]
                    if not c["metadata"].get("nbgrader")
                ),
            ]
        ),
    ),
    _file(
        "one-line",
        "Sources are texts, not lists.",
        _json(lambda nb: [c.update(source="".join(c["source"])) for c in nb["cells"]]),
    ),
    _file(
        "source-is-null", "A source is null.", _json(lambda nb: nb["cells"][0].update(source=None))
    ),
    _file(
        "browser-name",
        "Is called as a browser calls a second download.",
        _renamed(f"{ASSIGNMENT} (1).ipynb"),
        collected=True,
    ),
    _file(
        "wrong-case",
        "Is called with capital letters.",
        _renamed(f"{ASSIGNMENT.upper()}.ipynb"),
        collected=True,
    ),
    _file(
        "text-ending", "Has one ending more.", _renamed(f"{ASSIGNMENT}.ipynb.txt"), collected=True
    ),
    _file(
        "in-a-folder",
        "Lies in a folder of its own.",
        _renamed(f"my lab/{ASSIGNMENT}.ipynb"),
        collected=True,
    ),
    _file(
        "more-files", "More files lie beside it.", _also("notes.docx", "data/big.bin", ".DS_Store")
    ),
    _file("more-notebooks", "More notebooks lie beside it.", _also_notebooks),
    _file("broken-link", "A link to nothing lies beside it.", _broken_link, collected=True),
    _file(
        "time-stamp-words",
        "The time stamp is no date.",
        _time_stamp(b"yesterday evening"),
        collected=True,
    ),
    _file(
        "time-stamp-seconds",
        "The time stamp counts seconds.",
        _time_stamp(b"1795680000"),
        collected=True,
    ),
    _file(
        "time-stamp-mark",
        "The time stamp begins with a byte-order mark.",
        _time_stamp("\ufeff2026-11-21 10:00:00 UTC".encode()),
        collected=True,
    ),
    _file(
        "time-stamp-binary",
        "The time stamp is not text.",
        _time_stamp(b"\xff\xfe\x00"),
        collected=True,
    ),
    _file("time-stamp-empty", "The time stamp is empty.", _time_stamp(b"")),
    _file(
        "time-stamp-far",
        "The time stamp is in the year 9999.",
        _time_stamp(b"9999-12-31 23:59:59 UTC"),
    ),
]

DAMAGED = [*_CODE, *_CELLS_OF_ONES_OWN, *_CELLS, *_METADATA, *_FILES]
