"""Submissions that want points, data or harm: what each does, and the points that it deserves."""

from __future__ import annotations

import json
import os
from pathlib import Path

from nbformat import NotebookNode, v4

from submissions import ASSIGNMENT, LOOKUP, MEAN, Submission, find

__all__ = ["HOSTILE", "LEAKED", "RECORD"]

#: What an attack prints when it could reach what it must not; no source holds it in one piece.
LEAKED = "LEA" + "KED"
#: MIME type of the records that a check hands over.
RECORD = "application/vnd.labhelpers.record+json"

_WRONG = """
def mean_t2_image(dataset):
    return None
"""
_RIGHT = """
def mean_t2_image(dataset):
    return torch.stack([sample["T2"] for sample in dataset]).mean(dim=0)
"""

#: Imports of all that may take part in a check, and `patch`, which replaces a name in all of it.
_PATCH = """
import sys
from importlib import import_module

for part in ("checks.runner", "checks.handover", "checks.verdict", "checks.comparison",
             "checks.mistakes", "checks.fingerprint", "checks.report", "checks",
             "instructor.grading.hidden"):
    try:
        import_module("labhelpers." + part)
    except ImportError:
        pass

def patch(name, value):
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith("labhelpers") and hasattr(module, name):
            setattr(module, name, value)
"""

#: The numbers that can be found: `stored(series)`, as observations, and a record made of them.
_STORED = (
    _PATCH
    + """
import json
from pathlib import Path
import labhelpers.checks.exercises
from labhelpers.checks.cases import Setting

package = Path(labhelpers.checks.__file__).parents[1]

def stored(exercise, series):
    hidden = package / "instructor" / "grading" / "hidden.json"
    known = hidden if series and hidden.exists() else package / "checks/expected/visible.json"
    observed = json.loads(known.read_text())[exercise]["reference"]
    labels = [case.label for case in
              labhelpers.checks.exercises.EXERCISES[exercise].cases(None, Setting(series))]
    first = [case.label for case in
             labhelpers.checks.exercises.EXERCISES[exercise].cases(None, Setting(0))]
    other = dict(zip(first, labels))
    return {item: {other.get(label, label): value for label, value in cases.items()}
            for item, cases in observed.items()}

def record(exercise, series, **changes):
    run = {"observed": stored(exercise, series), "errors": {}, "traces": {}, "tolerance": 1e-4}
    run.update(changes)
    return {"exercise": exercise, "series": series, "runs": [run], "printed": "", "warnings": [],
            "explanation": None}

def series_of_stack(frame):
    while frame:
        found = frame.f_locals.get("series") or getattr(frame.f_locals.get("setting"), "series", 0)
        if isinstance(found, int) and found:
            return found
        frame = frame.f_back
    return 0
"""
)

#: `show(...)` displays a whole record of one's own, as a check does.
_SHOW = (
    _STORED
    + f"""
from IPython.display import display

def whole(exercise="mean-image", cell="check-mean-image", series=1, **changes):
    return {{"cell": cell, "exercise": exercise, "series": series,
            "visible": record(exercise, 0, **changes),
            "hidden": record(exercise, series, **changes)}}

def show(content):
    display({{"{RECORD}": content}}, raw=True)
"""
)

#: `instead(change)` hands over what `change` makes of a record.
_INSTEAD = (
    _SHOW
    + """
def instead(change):
    publisher = type(get_ipython().display_pub)

    def publish(self, data, *args, before=publisher.publish, **options):
        data = {kind: change(value) if "labhelpers" in kind else value
                for kind, value in data.items()}
        return before(self, data, *args, **options)

    publisher.publish = publish

def own(value, **changes):
    return whole(value["exercise"], value["cell"], value["series"], **changes)
"""
)

#: `during_the_check(action)` calls `action(series)` in a thread while a check's cell runs.
_DURING = (
    _SHOW
    + """
import threading, time

def during_the_check(action):
    main = threading.main_thread().ident

    def watch():
        for _ in range(30_000):
            time.sleep(0.001)
            frame, inside = sys._current_frames().get(main), False
            top = frame
            while frame:
                inside = inside or frame.f_code.co_name in ("hand_over", "run_cases")
                frame = frame.f_back
            if inside:
                action(series_of_stack(top))
                return

    threading.Thread(target=watch, daemon=True).start()
"""
)


def _attack(name: str, does: str, source: str, **expected: object) -> Submission:
    """Return an attack by the cell of the first exercise; the second one is untouched."""
    expected = {"solved": (), "points": {}} | expected
    return Submission(name, does, {"mean-image": source.lstrip("\n")}, **expected)


def _patching(name: str, does: str, source: str, **expected: object) -> Submission:
    return _attack(name, does, _PATCH + source + _WRONG, **expected)


_CHECKS_REPLACED = [
    _patching(
        "replaced-check",
        "Replaces the visible check and the hidden one by functions that return all points.",
        """
patch("mean_image", lambda *args, **options: 2.0)
patch("intensity_lookup", lambda *args, **options: 2.0)
patch("check", lambda *args, **options: 2.0)
patch("hand_over", lambda *args, **options: 2.0)
""",
    ),
    _patching(
        "replaced-judge",
        "Replaces the function that makes the verdict.",
        """
from labhelpers.checks.report import Report
patch("judge", lambda record, numbers, points=1.0, **options: Report(
    record["exercise"], "answer", "right", float(points), points))
""",
    ),
    _patching(
        "replaced-code-of-judge",
        "Leaves the function that makes the verdict in place and replaces its code.",
        """
import labhelpers.checks.verdict

def judge(record, numbers, points=1.0, quotes_values=True, seen=()):
    return Report(record["exercise"], "answer", "right", float(points), points)

labhelpers.checks.verdict.judge.__code__ = judge.__code__
""",
    ),
    _patching(
        "replaced-globals-of-judge",
        "Replaces the comparison among the global names of the verdict.",
        """
import labhelpers.checks.verdict

class Always(labhelpers.checks.verdict.Comparison):
    def passes(self, name, label):
        return True

labhelpers.checks.verdict.judge.__globals__["Comparison"] = Always
""",
    ),
    _patching(
        "replaced-method",
        "Replaces a method of the comparison's class.",
        """
import labhelpers.checks.comparison
labhelpers.checks.comparison.Comparison.passes = lambda self, name, label: True
""",
    ),
    _patching(
        "replaced-same",
        "Replaces the function that compares two observations.",
        'patch("same", lambda observed, expected, tolerance: True)',
    ),
    _patching(
        "replaced-report",
        "Makes each report say all points.",
        """
from labhelpers.checks.report import Report
before = Report.__getattribute__
Report.__getattribute__ = lambda self, name: before(self, "points" if name == "score" else name)
""",
    ),
    _attack(
        "replaced-run-cases",
        "Replaces the function that runs the answer by one that returns the stored numbers.",
        _STORED
        + 'patch("run_cases", lambda exercise, answer, series=0, *a, **o: record(exercise, series))'
        + _WRONG,
    ),
    _attack(
        "replaced-observe",
        "Replaces the function that writes observations down by one that knows the stored ones.",
        _STORED
        + """
import labhelpers.checks.runner

def log(run, label, item, value):
    series = series_of_stack(sys._getframe())
    run["observed"] = stored("mean-image", series)

patch("_log", log)
"""
        + _WRONG,
    ),
    _attack(
        "replaced-tolerance",
        "Makes each difference a permitted one.",
        _PATCH
        + """
import labhelpers.checks.runner
for dtype in labhelpers.checks.runner._TOLERANCE:
    labhelpers.checks.runner._TOLERANCE[dtype] = 1e9

def mean_t2_image(dataset):
    return torch.zeros(1, 64, 64, dtype=dataset[0]["T2"].dtype)
""",
    ),
    _attack(
        "replaced-numbers",
        "Makes the numbers of the wrong answer the expected ones, in the memory of the reader.",
        _PATCH
        + """
import labhelpers.checks.verdict
run_cases = labhelpers.checks.runner.run_cases

def changed(exercise, answer, *args, **options):
    made = run_cases(exercise, answer, *args, **options)
    for file in package.rglob("*.json"):
        if file.name in ("visible.json", "hidden.json"):
            numbers = labhelpers.checks.verdict.read_json(file)[exercise]
            numbers["reference"] = made["runs"][0]["observed"]
            numbers["accepted"].clear()
    return made

from pathlib import Path
package = Path(labhelpers.checks.__file__).parents[1]
patch("run_cases", changed)

def mean_t2_image(dataset):
    return torch.zeros(1, 64, 64)
""",
    ),
    _attack(
        "more-points",
        "Solves the exercise and asks its check for 200 points.",
        _PATCH
        + """
import labhelpers.checks
before = labhelpers.checks.mean_image
labhelpers.checks.mean_image = lambda answer, points=2: before(answer, points=200)
"""
        + _RIGHT,
        points={MEAN: 2.0},
    ),
    _patching(
        "replaced-builtins",
        "Replaces `all`, `min` and `float` wherever the checks call them.",
        """
import builtins

def replace(name, value):
    before = getattr(builtins, name)

    def function(*args, **options):
        if sys._getframe(1).f_code.co_name in ("passes", "is_right", "check"):
            return value
        return before(*args, **options)

    setattr(builtins, name, function)

replace("all", True)
replace("min", 2.0)
""",
    ),
    _patching(
        "replaced-import",
        "Replaces `__import__`, so that the check's cell gets another module.",
        """
import builtins, types
before = builtins.__import__
fake = types.ModuleType("checks")
fake.mean_image = fake.check = fake.intensity_lookup = lambda *args, **options: 2.0
fake.checks = fake.hidden = fake

def replaced(name, *args, **options):
    caller = sys._getframe(1).f_globals.get("__name__")
    if caller == "__main__" and name.startswith("labhelpers"):
        return fake
    return before(name, *args, **options)

builtins.__import__ = replaced
""",
    ),
    _patching(
        "replaced-modules",
        "Puts made-up modules into `sys.modules`.",
        """
import types
fake = types.ModuleType("fake")
fake.mean_image = fake.intensity_lookup = fake.check = lambda *args, **options: 2.0
fake.hand_over = fake.check
fake.hidden = fake.checks = fake.handover = fake.instructor = fake.grading = fake
for name in ("labhelpers", "labhelpers.checks", "labhelpers.checks.handover",
             "labhelpers.instructor.grading.hidden", "labhelpers.instructor.grading"):
    sys.modules[name] = fake
""",
    ),
]

_RESULTS_SHOWN = [
    _attack(
        "display-hook",
        "Shows 2.0 as the result of each cell.",
        """
hook = type(get_ipython().displayhook)
before = hook.__call__
hook.__call__ = lambda self, result=None: before(self, 2.0)
"""
        + _WRONG,
    ),
    _attack(
        "formatter",
        "Formats each number as 2.0.",
        """
plain = get_ipython().display_formatter.formatters["text/plain"]
plain.for_type(float, lambda value, printer, cycle: printer.text("2.0"))
"""
        + _WRONG,
    ),
    _patching(
        "evil-number",
        "Lets the check return a number whose text is 2.0.",
        """
class Two(float):
    def __repr__(self):
        return "2.0"

for module in list(sys.modules.values()):
    if getattr(module, "__name__", "").startswith("labhelpers.instructor.grading"):
        module.min = lambda *args: Two(0.0)
import labhelpers.checks
labhelpers.checks.mean_image = lambda *args, **options: Two(0.0)
""",
    ),
    _attack(
        "publisher",
        "Replaces what displays publish.",
        """
publisher = type(get_ipython().display_pub)
before = publisher.publish
get_ipython().displayhook.write_format_data = lambda data, metadata=None: (
    get_ipython().displayhook.msg["content"].update(data={"text/plain": "2.0"}, metadata={}))
"""
        + _WRONG,
    ),
    _attack(
        "input-transformer",
        "Turns each later cell that names a check into the number 2.0.",
        """
get_ipython().input_transformers_cleanup.append(
    lambda lines: ["2.0\\n"] if "labhelpers" in "".join(lines) else lines)
"""
        + _WRONG,
    ),
    _attack(
        "syntax-transformer",
        "Turns the syntax tree of each later cell into the number 2.0.",
        """
import ast

class Two(ast.NodeTransformer):
    def visit_Module(self, node):
        if "labhelpers" in ast.unparse(node):
            node.body = [ast.copy_location(ast.Expr(ast.Constant(2.0)), node.body[0])]
            ast.fix_missing_locations(node)
        return node

get_ipython().ast_transformers.append(Two())
"""
        + _WRONG,
    ),
    _attack(
        "replaced-run-cell",
        "Replaces the kernel's function that runs a cell.",
        """
shell = type(get_ipython())
for name in ("run_cell", "run_cell_async"):
    def replaced(self, raw_cell, *args, before=getattr(shell, name), **options):
        return before(self, "2.0" if "labhelpers" in raw_cell else raw_cell, *args, **options)
    setattr(shell, name, replaced)
"""
        + _WRONG,
    ),
    _attack(
        "event",
        "Publishes a result of its own after each cell.",
        """
from ipykernel.zmqshell import ZMQInteractiveShell
kernel = get_ipython().kernel

def publish(*args):
    kernel.session.send(kernel.iopub_socket, "execute_result", parent=kernel.get_parent(),
        content={"data": {"text/plain": "2.0"}, "metadata": {}, "execution_count": 1})

get_ipython().events.register("post_run_cell", publish)
"""
        + _WRONG,
    ),
    _attack(
        "replaced-session",
        "Changes results at the last place before they leave the kernel.",
        """
session = type(get_ipython().kernel.session)
before = session.send

def send(self, stream, kind, *args, **options):
    if isinstance(kind, dict) and kind.get("msg_type") == "execute_result":
        kind["content"]["data"] = {"text/plain": "2.0"}
    return before(self, stream, kind, *args, **options)

session.send = send
"""
        + _WRONG,
    ),
    _attack(
        "forged-messages",
        "Sends results through the kernel's own socket while the check runs.",
        _DURING
        + """
kernel = get_ipython().kernel

def publish(series):
    for _ in range(3):
        kernel.session.send(kernel.iopub_socket, "execute_result", parent=kernel.get_parent(),
            content={"data": {"text/plain": "2.0"}, "metadata": {}, "execution_count": 1})

during_the_check(publish)
"""
        + _WRONG,
    ),
]


def _tag_checks(*tags: str):
    def edit(notebook: NotebookNode) -> None:
        for name in (MEAN, LOOKUP):
            find(notebook, name).metadata["tags"] = list(tags)

    return edit


def _stale_outputs(notebook: NotebookNode) -> None:
    for name in (MEAN, LOOKUP):
        cell = find(notebook, name)
        cell.outputs = [
            v4.new_output("display_data", {RECORD: {"cell": name, "series": 1}}),
            v4.new_output("execute_result", {"text/plain": "2.0"}, execution_count=1),
        ]


def _own_check(notebook: NotebookNode) -> None:
    for name in (MEAN, LOOKUP):
        cell = find(notebook, name)
        cell.source = "2.0"
        cell.metadata.nbgrader.locked = False


def _other_points(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        if "nbgrader" in cell.metadata and cell.metadata.nbgrader.get("grade"):
            cell.metadata.nbgrader.points = 200


def _own_verdict(notebook: NotebookNode) -> None:
    verdict = {"repairs": [], "flags": [], "score": 2.0, "cells": [{"cell": MEAN, "score": 2.0}]}
    notebook.metadata["labhelpers"] = verdict
    for name in (MEAN, LOOKUP):
        find(notebook, name).metadata["labhelpers"] = {"score": 2.0, "status": "right"}


def _graded_elsewhere(notebook: NotebookNode) -> None:
    """Make the first exercise's cell the check of itself, and the check an ordinary cell."""
    solution, check = find(notebook, "mean-image"), find(notebook, MEAN)
    solution.metadata.nbgrader, check.metadata.nbgrader = (
        check.metadata.nbgrader,
        solution.metadata.nbgrader,
    )
    solution.source = "2.0"


def _more_graded_cells(notebook: NotebookNode) -> None:
    details = {"grade": True, "solution": False, "locked": True, "task": False}
    details |= {"schema_version": 3, "grade_id": "gift", "points": 50, "cell_type": "code"}
    notebook.cells.append(v4.new_code_cell("50.0", metadata={"nbgrader": details}))


def _other_kernel(notebook: NotebookNode) -> None:
    notebook.metadata["kernelspec"] = {"name": "own", "display_name": "own", "language": "python"}


_METADATA = [
    _attack(
        "skipped-checks",
        "Tags the checks so that they are not run.",
        _WRONG,
        edit=_tag_checks("skip-execution", "remove-cell"),
    ),
    _attack(
        "checks-may-fail",
        "Tags the checks so that their errors count for nothing, and makes them fail.",
        _PATCH + 'patch("run_cases", None)' + _WRONG,
        edit=_tag_checks("raises-exception"),
    ),
    _attack("own-check", "Replaces the source of the checks.", _WRONG, edit=_own_check),
    _attack("other-points", "Makes each check worth 200 points.", _WRONG, edit=_other_points),
    _attack(
        "own-verdict",
        "Hands in a verdict in the metadata of the notebook.",
        _WRONG,
        edit=_own_verdict,
    ),
    _attack(
        "exchanged-roles",
        "Names the answer's cell like the check and the check like the answer.",
        _WRONG,
        edit=_graded_elsewhere,
    ),
    _attack(
        "more-graded-cells", "Adds a graded cell of 50 points.", _WRONG, edit=_more_graded_cells
    ),
    _attack(
        "stale-results",
        "Hands in results in checks that are not run.",
        _WRONG,
        edit=lambda notebook: (_stale_outputs(notebook), _tag_checks("skip-execution")(notebook)),
    ),
    _attack(
        "stale-results-dead-kernel",
        "Hands in results in checks that no kernel reaches.",
        "import os\nos._exit(1)" + _WRONG,
        edit=_stale_outputs,
        flag=True,
    ),
]

_RECORDS = [
    _attack(
        "record-from-the-answer",
        "Displays a record of its own in the answer's cell.",
        _SHOW + "show(whole())" + _WRONG,
    ),
    _attack(
        "record-from-a-thread",
        "Displays a record of its own while the check runs.",
        _DURING + "during_the_check(lambda series: show(whole(series=series)))" + _WRONG,
        flag=True,
    ),
    _attack(
        "record-doubled",
        "Displays each record twice.",
        _SHOW
        + """
publisher = type(get_ipython().display_pub)

def publish(self, data, *args, before=publisher.publish, **options):
    before(self, data, *args, **options)
    before(self, data, *args, **options)

publisher.publish = publish
"""
        + _RIGHT,
        flag=True,
    ),
    _attack(
        "record-replaced",
        "Replaces the record by one with the numbers of the visible check.",
        _INSTEAD + "instead(own)" + _WRONG,
    ),
    _attack(
        "record-with-its-own-tolerance",
        "Hands a record over that permits each difference.",
        _INSTEAD + "instead(lambda value: own(value, tolerance=1e300))" + _WRONG,
    ),
    _attack(
        "record-not-a-number",
        "Hands a record over whose numbers are all NaN.",
        _INSTEAD
        + """
def spoilt(value):
    if isinstance(value, dict):
        return {key: spoilt(part) for key, part in value.items()}
    if isinstance(value, list):
        return [spoilt(part) for part in value]
    return float("nan") if isinstance(value, float) else value

instead(lambda value: spoilt(own(value, tolerance=float("inf"))))
"""
        + _WRONG,
    ),
    _attack(
        "record-too-large",
        "Hands a record of 60 MB over.",
        _INSTEAD
        + """
def large(value):
    value = own(value)
    value["hidden"]["printed"] = "x" * 60_000_000
    return value

instead(large)
"""
        + _WRONG,
        flag=True,
    ),
    _attack(
        "record-of-another-exercise",
        "Hands the record of a solved exercise over for another one.",
        _INSTEAD
        + """
kept = {}
instead(lambda value: kept.setdefault("first", value) | {"cell": value["cell"]})
"""
        + _RIGHT,
        points={MEAN: 2.0},
        flag=True,
    ),
    _attack(
        "record-of-another-series",
        "Hands a record over that says it is of series 1.",
        _INSTEAD + "instead(lambda value: own(value | {'series': 1}))" + _WRONG,
        flag=True,
    ),
    _attack(
        "record-malformed",
        "Hands lists, texts and nested brackets over in place of a record.",
        _INSTEAD
        + """
deep = []
for _ in range(500):
    deep = [deep]

def broken(value):
    value = own(value)
    value["hidden"]["runs"] = [deep, None, "runs"]
    value["visible"] = deep
    return value

instead(broken)
"""
        + _WRONG,
        flag=True,
    ),
    _attack(
        "record-of-many-runs",
        "Hands a record over with 100,000 runs, of which the best counts.",
        _INSTEAD
        + """
def many(value):
    value = own(value)
    empty = {"observed": {}, "errors": {}, "traces": {}, "tolerance": 1e-4}
    value["hidden"]["runs"] = [empty] * 100_000
    return value

instead(many)
"""
        + _WRONG,
        flag=True,
    ),
    _attack(
        "record-from-the-stack",
        "The answer walks up the stack and writes into the record.",
        _STORED
        + """
import sys

def mean_t2_image(dataset):
    frame = sys._getframe()
    series = series_of_stack(frame)
    while frame:
        for value in list(frame.f_locals.values()):
            value = getattr(value, "args", (value,))
            for part in value if isinstance(value, tuple) else ():
                if isinstance(part, dict) and "observed" in part:
                    part["observed"].update(stored("mean-image", series))
                    part["tolerance"] = 1e9
        frame = frame.f_back
    return None
""",
    ),
    _attack(
        "record-from-the-collector",
        "The answer finds the record among all objects.",
        _STORED
        + """
import gc, sys

def mean_t2_image(dataset):
    series = series_of_stack(sys._getframe())
    for found in gc.get_objects():
        if isinstance(found, dict) and {"observed", "errors", "traces"} <= found.keys():
            found["observed"] = stored("mean-image", series)
            found["tolerance"] = 1e9
            found["errors"].clear()
    raise SystemExit
""",
    ),
    _attack(
        "image-with-the-stored-numbers",
        "The answer returns an image that is made to have the stored summary.",
        _STORED
        + """
import sys
from labhelpers.checks.fingerprint import _direction
count = {}

def mean_t2_image(dataset):
    series = series_of_stack(sys._getframe())
    place = count[series] = count.get(series, -1) + 1
    values = list(stored("mean-image", series)["values"].values())[place % 3]["numbers"]
    mean, spread, *projections = map(float, values)
    size = 64 * 64
    rows = torch.stack([torch.ones(size, dtype=torch.float64) / size,
                        *(_direction(size, k) for k in range(1, len(projections) + 1))])
    target = torch.tensor([mean, *projections], dtype=torch.float64)
    image = torch.linalg.lstsq(rows, target, driver="gelsd").solution
    noise = torch.sin(torch.arange(size, dtype=torch.float64) ** 2)
    noise = noise - rows.T @ torch.linalg.lstsq(rows.T, noise, driver="gelsd").solution
    missing = spread**2 - (image - mean).square().mean()
    image = image + noise * (missing.clamp(min=0) / noise.square().mean()).sqrt()
    return image.reshape(1, 64, 64).to(dataset[0]["T2"].dtype)
""",
    ),
]

_EXEC_SOLUTION = """
import json

def take(notebook):
    for cell in json.loads(notebook.read_text())["cells"]:
        source = "".join(cell["source"])
        if "def mean_t2_image" in source and "NotImplementedError" not in source:
            exec(source, globals())
            print("LEA" + "KED", notebook.name)
"""

_PRYING = [
    _attack(
        "solution-notebook",
        "Runs the solution from the course's sources.",
        _WRONG
        + _EXEC_SOLUTION
        + f"""
from pathlib import Path
for notebook in Path("<root>/notebooks").rglob("{ASSIGNMENT}.ipynb"):
    take(notebook)
""",
    ),
    _attack(
        "other-submission",
        "Runs the answer of somebody else.",
        _WRONG
        + _EXEC_SOLUTION
        + """
from pathlib import Path
for folder in (Path("<root>/build"), *Path.cwd().parents[:4]):
    for notebook in folder.glob("submitted/somebody-else/*/*.ipynb"):
        take(notebook)
""",
    ),
    _attack(
        "gradebook-read",
        "Reads the gradebook.",
        _WRONG
        + """
import sqlite3
from pathlib import Path
for folder in (Path("<root>/build"), *Path.cwd().parents[:4]):
    if (folder / "gradebook.db").exists():
        rows = sqlite3.connect(folder / "gradebook.db").execute("select id from student").fetchall()
        print("LEA" + "KED", len(rows), "students")
""",
    ),
    _attack(
        "gradebook-written",
        "Makes the gradebook give itself all points, by a trigger.",
        _WRONG
        + """
import sqlite3
from pathlib import Path
mine = '''(select submitted_notebook.id from submitted_notebook join submitted_assignment
    on submitted_notebook.assignment_id = submitted_assignment.id where student_id = '<student>')'''
for folder in (Path("<root>/build"), *Path.cwd().parents[:4]):
    if (folder / "gradebook.db").exists():
        database = sqlite3.connect(folder / "gradebook.db", timeout=5)
        database.execute(f'''create trigger gift after update on grade
            when new.notebook_id in {mine}
            begin update grade set manual_score = 2, needs_manual_grade = 0
            where id = new.id and manual_score is null; end''')
        database.commit()
        print("LEA" + "KED", "gradebook")
""",
    ),
    _attack(
        "home-read",
        "Reads the home of who grades.",
        _WRONG
        + """
import os, pwd
from pathlib import Path
for home in (pwd.getpwuid(os.getuid()).pw_dir, os.path.expanduser("~"), "/root"):
    try:
        found = [name for name in os.listdir(home) if name in (".bashrc", ".config", ".cache")]
    except OSError:
        continue
    if found:
        print("LEA" + "KED", home, found)
""",
    ),
    _attack(
        "environment-read",
        "Reads the environment of who grades.",
        _WRONG
        + """
import os
if "LAB_SECRET" in os.environ:
    print("LEA" + "KED", os.environ["LAB_SECRET"])
""",
    ),
    _attack(
        "processes-read",
        "Reads the environment and the command line of other processes.",
        _WRONG
        + """
import os
from pathlib import Path
for process in Path("/proc").glob("[0-9]*"):
    try:
        read = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
    except OSError:
        continue
    if int(process.name) != os.getpid() and (b"LAB_SECRET" in read or b"pytest" in read):
        print("LEA" + "KED", process)
        break
""",
    ),
    _attack(
        "network",
        "Connects to another machine's port.",
        _WRONG
        + """
import socket
try:
    socket.create_connection(("127.0.0.1", <port>), timeout=2).close()
    print("LEA" + "KED", "network")
except OSError:
    pass
""",
    ),
    _attack(
        "other-kernels",
        "Looks for the connection files of other kernels.",
        _WRONG
        + """
import glob, json
from ipykernel.connect import get_connection_file
from jupyter_core.paths import jupyter_runtime_dir
own = get_connection_file()
others = [name for folder in (jupyter_runtime_dir(), "/tmp", "/tmp/*", "/run/user/*/jupyter")
          for name in glob.glob(f"{folder}/kernel-*.json") if name != own]
if [name for name in others if "key" in json.load(open(name))]:
    print("LEA" + "KED", len(others), "kernels")
""",
    ),
    _attack(
        "instructor-package",
        "Imports the instructor's part of the package.",
        _WRONG
        + """
try:
    from labhelpers.instructor.sources import read_solutions
    exec(read_solutions()["mean-image"].source)
    print("LEA" + "KED", "solutions")
except Exception:
    pass
""",
    ),
]


def _link_notebook(target: str):
    def link(path: Path, root: Path) -> None:
        path.unlink()
        path.symlink_to(root / target)

    return link


def _link_beside(path: Path, root: Path) -> None:
    (path.parent / "notes.ipynb").symlink_to(root / "notebooks" / ASSIGNMENT / path.name)
    (path.parent / "folder").symlink_to(root / "notebooks")


def _beside(**texts: str):
    def write(path: Path, root: Path) -> None:
        for name, text in texts.items():
            file = path.parent / name.replace("__", "/").replace("_PY", ".py")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")

    return write


_PACKAGE = """
def mean_image(*args, **options):
    return 2.0
intensity_lookup = check = hand_over = mean_image
"""
#: Runs in a kernel that starts with it; the checks of that kernel give all points.
_STARTED = """
import sys, types
fake = types.ModuleType("labhelpers.checks")
fake.mean_image = fake.intensity_lookup = fake.check = lambda *args, **options: 2.0
sys.modules["labhelpers.checks"] = fake
sys.modules["labhelpers.instructor.grading.hidden"] = fake
"""


def _package(path: Path, root: Path) -> None:
    for name in ("checks", "instructor/grading"):
        (path.parent / "labhelpers" / name).mkdir(parents=True)
    (path.parent / "labhelpers/__init__.py").write_text("__version__ = '9'")
    (path.parent / "labhelpers/checks/__init__.py").write_text(_PACKAGE)
    (path.parent / "labhelpers/checks/handover.py").write_text(_PACKAGE)
    (path.parent / "labhelpers/instructor/__init__.py").write_text("")
    (path.parent / "labhelpers/instructor/grading/__init__.py").write_text("")
    (path.parent / "labhelpers/instructor/grading/hidden.py").write_text(_PACKAGE)


def _launcher(path: Path, root: Path) -> None:
    code = _STARTED + "import os\nsys.path[:] = [p for p in sys.path if p not in ('', os.getcwd())]"
    code += "\nfrom ipykernel import kernelapp\nkernelapp.launch_new_instance()"
    (path.parent / "ipykernel_launcher.py").write_text(code)


def _kernel(path: Path, root: Path) -> None:
    folder = path.parent / "kernels" / "own"
    folder.mkdir(parents=True)
    argv = ["/bin/sh", "-c", "exit 0", "{connection_file}"]
    text = json.dumps({"argv": argv, "display_name": "own", "language": "python"})
    (folder / "kernel.json").write_text(text)


def _profile(path: Path, root: Path) -> None:
    for folder in ("profile_default/startup", ".ipython/profile_default/startup"):
        (path.parent / folder).mkdir(parents=True)
        (path.parent / folder / "00-first.py").write_text(_STARTED)
    config = f"c.InteractiveShellApp.exec_lines = [{_STARTED!r}]"
    for name in ("ipython_config.py", "ipython_kernel_config.py", "jupyter_config.py"):
        (path.parent / name).write_text(config)


_FILES = [
    _attack(
        "notebook-is-a-link-to-the-solution",
        "Hands in a link to the course's source.",
        _WRONG,
        files=_link_notebook(f"notebooks/{ASSIGNMENT}/{ASSIGNMENT}.ipynb"),
        flag=True,
    ),
    _attack(
        "notebook-is-a-link-to-a-submission",
        "Hands in a link to somebody else's notebook.",
        _WRONG,
        files=_link_notebook(f"build/submitted/somebody-else/{ASSIGNMENT}/{ASSIGNMENT}.ipynb"),
        flag=True,
    ),
    _attack(
        "link-beside-the-notebook",
        "Hands in links to the solution and runs it.",
        _WRONG
        + _EXEC_SOLUTION
        + """
from pathlib import Path
for notebook in (*Path().glob("*.ipynb"), *Path().glob("folder/*/*.ipynb")):
    take(notebook)
""",
        files=_link_beside,
    ),
    _attack(
        "package-beside-the-notebook", "Hands in a package labhelpers.", _WRONG, files=_package
    ),
    _attack(
        "launcher-beside-the-notebook",
        "Hands in a program that starts the kernel.",
        _WRONG,
        files=_launcher,
    ),
    _attack(
        "torch-beside-the-notebook",
        "Hands in modules called torch, numpy and IPython.",
        _WRONG,
        files=_beside(torch_PY=_STARTED, numpy_PY=_STARTED, IPython_PY=_STARTED),
    ),
    _attack(
        "start-up-files",
        "Hands in sitecustomize and usercustomize.",
        _WRONG,
        files=_beside(sitecustomize_PY=_STARTED, usercustomize_PY=_STARTED),
    ),
    _attack(
        "profile", "Hands in a profile and a configuration of IPython.", _WRONG, files=_profile
    ),
    _attack(
        "own-kernel",
        "Hands in a kernel and asks for it in the metadata, with right answers.",
        _RIGHT,
        files=_kernel,
        edit=_other_kernel,
        points={MEAN: 2.0},
    ),
]

_HARM = [
    _attack("exit", "Ends the kernel in the second answer.", _RIGHT, points={MEAN: 2.0}, flag=True),
    _attack("kill", "Kills the kernel.", "import os\nos.kill(os.getpid(), 9)" + _RIGHT, flag=True),
    _attack(
        "segmentation-fault",
        "Reads memory that is not there.",
        "import ctypes\nctypes.string_at(0)" + _RIGHT,
        flag=True,
    ),
    _attack(
        "exit-in-the-check",
        "Ends the kernel when the check calls the answer.",
        "import os\ndef mean_t2_image(dataset):\n    os._exit(0)",
        flag=True,
    ),
    _attack(
        "system-exit",
        "Raises SystemExit in the answer and asks the kernel to stop.",
        "def mean_t2_image(dataset):\n    get_ipython().ask_exit()\n    raise SystemExit",
    ),
    _attack(
        "restart",
        "Asks the kernel for a restart through its control channel.",
        """
from ipykernel.connect import get_connection_file
from jupyter_client import BlockingKernelClient
client = BlockingKernelClient(connection_file=get_connection_file())
client.load_connection_file()
client.start_channels()
client.shutdown(restart=True)
"""
        + _WRONG,
    ),
    _attack(
        "endless-loop", "Never returns from the second answer's cell.", _RIGHT, points={MEAN: 2.0}
    ),
    _attack(
        "endless-loop-in-the-check",
        "Never returns when the check calls it.",
        "def mean_t2_image(dataset):\n    while True:\n        pass",
    ),
    _attack(
        "deaf-loop",
        "Never returns and ignores each interrupt.",
        _RIGHT,
        points={MEAN: 2.0},
        flag=True,
    ),
    _attack(
        "stopped",
        "Stops the kernel's process without ending it.",
        "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)" + _WRONG,
        flag=True,
    ),
    _attack(
        "memory",
        "Takes memory without end.",
        """
amount = 8_000  # 500 without a sandbox
blocks = []
for _ in range(amount // 50):
    blocks.append(bytearray(b"x") * 50_000_000)
"""
        + _RIGHT,
    ),
    _attack(
        "processes",
        "Starts many processes that start processes.",
        """
import os, time
amount = 400  # 60 without a sandbox
children = []
try:
    for _ in range(amount):
        child = os.fork()
        if child == 0:
            time.sleep(20)
            os._exit(0)
        children.append(child)
except OSError:
    pass
started = len(children)
for child in children:
    os.kill(child, 9)
    os.waitpid(child, 0)
if started > 300:
    print("LEA" + "KED", started, "processes")
"""
        + _RIGHT,
        points={MEAN: 2.0},
    ),
    _attack(
        "disk",
        "Fills the disk.",
        """
amount = 2_000  # 300 without a sandbox
try:
    for folder in (".", "/tmp"):
        with open(f"{folder}/large-<student>", "wb") as file:
            for _ in range(amount // 2):
                file.write(bytes(1_000_000))
    print("LEA" + "KED", "disk")
except OSError:
    pass
"""
        + _RIGHT,
        points={MEAN: 2.0},
    ),
    _attack(
        "many-lines",
        "Prints without end.",
        """
amount = 50_000_000  # 200_000 without a sandbox
for number in range(amount):
    print(number, "one line of many")
"""
        + _RIGHT,
    ),
    _attack(
        "one-long-line",
        "Prints one line of 200 MB.",
        """
amount = 200_000_000  # 30_000_000 without a sandbox
print("x" * amount)
"""
        + _RIGHT,
    ),
    _attack(
        "many-displays",
        "Displays a million objects.",
        """
from IPython.display import display
amount = 1_000_000  # 5_000 without a sandbox
for number in range(amount):
    display(number)
"""
        + _RIGHT,
    ),
    _attack(
        "many-messages",
        "Opens many channels to a front end.",
        """
from comm import create_comm
amount = 5_000
for number in range(amount):
    create_comm(target_name="many", data={"number": number})
"""
        + _RIGHT,
        points={MEAN: 2.0},
    ),
    _attack(
        "process-left-behind",
        "Leaves a process behind.",
        """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)", "left-by-<student>"],
                 start_new_session=True)
"""
        + _RIGHT,
        points={MEAN: 2.0},
    ),
    _attack(
        "script-in-outputs",
        "Displays scripts for who opens the feedback.",
        """
from IPython.display import HTML, Javascript, display
display(HTML("<script>document.title = 'scr' + 'ipt'</script><img src=x onerror=alert(1)>"))
display(Javascript("alert(1)"))
display({"image/svg+xml": "<svg onload=alert(1)></svg>", "text/plain": "a picture"}, raw=True)
"""
        + _RIGHT,
        points={MEAN: 2.0},
    ),
]

_SECOND_ANSWER = {  # what these hold in the cell of the second exercise
    "exit": "import os\nos._exit(0)",
    "endless-loop": "while True:\n    pass",
    "deaf-loop": """\
while True:
    try:
        while True:
            pass
    except KeyboardInterrupt:
        pass""",
}


def _deeply_nested(path: Path, root: Path) -> None:
    path.write_text('{"cells": ' + "[" * 100_000 + "]" * 100_000 + "}")


def _strange_numbers(path: Path, root: Path) -> None:
    text = (
        path.read_text()
        .replace('"points": 2', '"points": 1e999')
        .replace('nbformat": 4', 'nbformat": 4e400')
    )
    path.write_text(text)


def _large_file(path: Path, root: Path) -> None:
    notebook = json.loads(path.read_text())
    line = {"name": "stdout", "output_type": "stream", "text": "x" * 150_000_000}
    notebook["cells"][-1] = {
        "cell_type": "code",
        "execution_count": 1,
        "metadata": {},
        "id": "large",
        "outputs": [line],
        "source": "",
    }
    path.write_text(json.dumps(notebook))


def _pipe(path: Path, root: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _device(path: Path, root: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


_BROKEN_ON_PURPOSE = [
    _attack("deeply-nested", "Hands in 100,000 brackets.", _WRONG, files=_deeply_nested, flag=True),
    _attack("strange-numbers", "Hands in numbers without end.", _WRONG, files=_strange_numbers),
    _attack("large-file", "Hands in a notebook of 150 MB.", _WRONG, files=_large_file),
    _attack(
        "link-to-a-device",
        "Hands in a link to a file without end.",
        _WRONG,
        files=_device,
        flag=True,
    ),
    _attack("pipe", "Hands in a pipe that nobody writes to.", _WRONG, files=_pipe, flag=True),
]


def _with_second_answer(submission: Submission) -> Submission:
    if submission.name not in _SECOND_ANSWER:
        return submission
    sources = {**submission.sources, "intensity-lookup": _SECOND_ANSWER[submission.name]}
    return Submission(**{**submission.__dict__, "sources": sources})


HOSTILE = [
    _with_second_answer(submission)
    for group in (
        _CHECKS_REPLACED,
        _RESULTS_SHOWN,
        _METADATA,
        _RECORDS,
        _PRYING,
        _FILES,
        _HARM,
        _BROKEN_ON_PURPOSE,
    )
    for submission in group
]
