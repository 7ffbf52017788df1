"""What happens to notebooks between the student and the grader, as functions of JSON and a seed.

Each function changes a notebook (a dict as in the file) in place, or returns other ones; none of
them loses an answer. `FILE_DAMAGES` change the bytes of the file.
"""

import copy
import json
import random
import re
from collections.abc import Callable

Notebook = dict
Damage = Callable[[Notebook, random.Random], None]

DAMAGES: dict[str, Damage] = {}
FILE_DAMAGES: dict[str, Callable[[Notebook], bytes]] = {}


def damage(function: Damage) -> Damage:
    DAMAGES[function.__name__] = function
    return function


def file_damage(function: Callable[[Notebook], bytes]) -> Callable[[Notebook], bytes]:
    FILE_DAMAGES[function.__name__] = function
    return function


def settings(cell: dict) -> dict:
    found = cell.get("metadata", {}).get("nbgrader")
    return found if isinstance(found, dict) else {}


def text(cell: dict) -> str:
    return "".join(cell["source"])


def named(notebook: Notebook, kind: str = "") -> list[dict]:
    """The cells of a kind: answer, check, given, written; all that have a name by default."""
    kinds = {
        "answer": lambda one, cell: one.get("solution") and not one.get("grade"),
        "written": lambda one, cell: one.get("solution") and one.get("grade"),
        "check": lambda one, cell: one.get("grade") and not one.get("solution"),
        "given": lambda one, cell: one.get("locked") and not one.get("grade"),
        "": lambda one, cell: True,
    }
    return [
        cell
        for cell in notebook["cells"]
        if settings(cell).get("grade_id") and kinds[kind](settings(cell), cell)
    ]


def pick(notebook: Notebook, rng: random.Random, kind: str = "") -> dict | None:
    cells = named(notebook, kind)
    return rng.choice(cells) if cells else None


def imports(notebook: Notebook) -> dict | None:
    found = [cell for cell in notebook["cells"] if cell.get("id") == "imports"]
    return found[0] if found else None


def place(notebook: Notebook, cell: dict) -> int:
    return next(index for index, one in enumerate(notebook["cells"]) if one is cell)


def remove(notebook: Notebook, cell: dict | None) -> None:
    if cell is not None:
        del notebook["cells"][place(notebook, cell)]


def move(notebook: Notebook, cell: dict | None, to: int) -> None:
    if cell is not None:
        remove(notebook, cell)
        notebook["cells"].insert(to, cell)


def code(source: str, **metadata: object) -> dict:
    return {
        "cell_type": "code",
        "source": source,
        "metadata": metadata,
        "outputs": [],
        "execution_count": None,
    }


def whole_answer(notebook: Notebook, rng: random.Random) -> dict | None:
    """An answer that is in one cell."""
    cell = pick(notebook, rng, "answer")
    names = [settings(one)["grade_id"] for one in named(notebook)]
    whole = cell and text(cell).strip() and names.count(settings(cell)["grade_id"]) == 1
    return cell if whole and "not written yet" not in text(cell) else None


# Cells that are gone, doubled or in pieces.


@damage
def delete_a_check(notebook, rng):
    remove(notebook, pick(notebook, rng, "check"))


@damage
def delete_all_checks(notebook, rng):
    for cell in named(notebook, "check"):
        remove(notebook, cell)


@damage
def delete_a_given_cell(notebook, rng):
    remove(notebook, pick(notebook, rng, "given"))


@damage
def delete_the_imports(notebook, rng):
    remove(notebook, imports(notebook))


@damage
def delete_texts(notebook, rng):
    notebook["cells"] = [
        cell
        for cell in notebook["cells"]
        if settings(cell) or cell["cell_type"] != "markdown" or rng.random() < 0.5
    ]


@damage
def empty_a_locked_cell(notebook, rng):
    cell = pick(notebook, rng, rng.choice(["check", "given"]))
    if cell:
        cell["source"] = []


@damage
def copy_a_cell_below(notebook, rng):
    if cell := pick(notebook, rng):
        notebook["cells"].insert(place(notebook, cell) + 1, copy.deepcopy(cell))


@damage
def copy_a_cell_to_the_end(notebook, rng):
    if cell := pick(notebook, rng):
        notebook["cells"].append(copy.deepcopy(cell))


@damage
def split_an_answer(notebook, rng):
    cell = pick(notebook, rng, "answer")
    lines = text(cell).splitlines(keepends=True) if cell else []
    if len(lines) > 2:
        at = rng.randrange(1, len(lines))
        second = copy.deepcopy(cell)
        second["id"] = f"split-{rng.random()}".replace(".", "")
        cell["source"], second["source"] = lines[:at], lines[at:]
        notebook["cells"].insert(place(notebook, cell) + 1, second)


@damage
def split_a_written_answer(notebook, rng):
    if cell := pick(notebook, rng, "written"):
        words = text(cell).split()
        second = copy.deepcopy(cell)
        second["id"] = f"split-{rng.random()}".replace(".", "")
        cell["source"] = [" ".join(words[: len(words) // 2])]
        second["source"] = [" ".join(words[len(words) // 2 :])]
        notebook["cells"].insert(place(notebook, cell) + 1, second)


@damage
def leave_the_template_and_answer_below(notebook, rng):
    if cell := whole_answer(notebook, rng):
        notebook["cells"].insert(place(notebook, cell) + 1, code(text(cell)))
        cell["source"] = template(cell)


@damage
def copy_the_template_below_the_answer(notebook, rng):
    if cell := whole_answer(notebook, rng):
        other = copy.deepcopy(cell)
        other["source"] = template(cell)
        notebook["cells"].insert(place(notebook, cell) + 1, other)


@damage
def delete_the_template_and_answer_elsewhere(notebook, rng):
    if cell := whole_answer(notebook, rng):
        remove(notebook, cell)
        notebook["cells"].insert(rng.randrange(len(notebook["cells"]) + 1), code(text(cell)))


@damage
def two_answers_in_one_cell(notebook, rng):
    one, other = whole_answer(notebook, rng), whole_answer(notebook, rng)
    if one and other and one is not other:
        one["source"] = f"{text(other)}\n\n\n{text(one)}"
        other["source"] = template(other)


# Cells that are of another type or at another place.


@damage
def answer_becomes_text(notebook, rng):
    if cell := pick(notebook, rng, "answer"):
        retype(cell, "markdown")


@damage
def answer_becomes_raw(notebook, rng):
    if cell := pick(notebook, rng, "answer"):
        retype(cell, "raw")


@damage
def written_answer_becomes_code(notebook, rng):
    if cell := pick(notebook, rng, "written"):
        retype(cell, "code")


@damage
def check_becomes_text(notebook, rng):
    if cell := pick(notebook, rng, "check"):
        retype(cell, "markdown")


@damage
def imports_become_text(notebook, rng):
    if cell := imports(notebook):
        retype(cell, "markdown")


@damage
def check_before_its_answer(notebook, rng):
    cell = pick(notebook, rng, "check")
    if cell and (at := place(notebook, cell)):
        move(notebook, cell, at - 1)


@damage
def check_to_the_top(notebook, rng):
    move(notebook, pick(notebook, rng, "check"), 0)


@damage
def answer_to_the_end(notebook, rng):
    move(notebook, pick(notebook, rng, "answer"), len(notebook["cells"]))


@damage
def answer_to_the_top(notebook, rng):
    move(notebook, pick(notebook, rng, "answer"), 0)


@damage
def imports_to_the_end(notebook, rng):
    move(notebook, imports(notebook), len(notebook["cells"]))


@damage
def move_any_cell(notebook, rng):
    move(notebook, rng.choice(notebook["cells"]), rng.randrange(len(notebook["cells"])))


@damage
def shuffle(notebook, rng):
    rng.shuffle(notebook["cells"])


@damage
def reverse(notebook, rng):
    notebook["cells"].reverse()


# Metadata.


@damage
def lose_all_metadata(notebook, rng):
    for cell in notebook["cells"]:
        cell["metadata"] = {}


@damage
def lose_all_metadata_and_ids(notebook, rng):
    lose_all_metadata(notebook, rng)
    lose_ids(notebook, rng)


@damage
def lose_ids(notebook, rng):
    for cell in notebook["cells"]:
        cell.pop("id", None)


@damage
def lose_metadata_of_a_cell(notebook, rng):
    if cell := pick(notebook, rng):
        del cell["metadata"]["nbgrader"]


@damage
def empty_metadata(notebook, rng):
    if cell := pick(notebook, rng):
        cell["metadata"]["nbgrader"] = {}


@damage
def change_a_name(notebook, rng):
    if cell := pick(notebook, rng):
        settings(cell)["grade_id"] = rng.choice(
            [settings(cell)["grade_id"].upper(), "another", "cell-3f2a", 7, None]
        )


@damage
def swap_names(notebook, rng):
    cells = named(notebook, "answer")
    if len(cells) > 1:
        one, other = rng.sample(cells, 2)
        one["metadata"], other["metadata"] = other["metadata"], one["metadata"]


@damage
def change_settings(notebook, rng):
    if cell := pick(notebook, rng):
        settings(cell).update(points=100, grade=True, locked=False)


@damage
def old_metadata(notebook, rng):
    for cell in named(notebook):
        settings(cell)["schema_version"] = rng.choice([1, 2])
        settings(cell).pop("task", None)


@damage
def change_a_locked_cell(notebook, rng):
    if cell := pick(notebook, rng, rng.choice(["check", "given"])):
        cell["source"] = text(cell) + "\nprint('changed')"


@damage
def skip_cells(notebook, rng):
    for cell in notebook["cells"]:
        cell["metadata"]["tags"] = ["skip-execution", "raises-exception", "mine"]


@damage
def same_ids(notebook, rng):
    for cell in notebook["cells"]:
        cell["id"] = "same"


@damage
def bad_ids(notebook, rng):
    for cell in notebook["cells"]:
        cell["id"] = rng.choice(["ä b", "", 7, None, "x" * 100])


@damage
def colab(notebook, rng):
    for number, cell in enumerate(notebook["cells"]):
        cell["metadata"] |= {
            "id": cell.pop("id", f"c{number}"),
            "outputId": "0a",
            "cellView": "form",
        }
        if cell["cell_type"] == "code":
            cell["metadata"]["executionInfo"] = {"status": "ok", "user": {"userId": "1"}}
            cell["execution_count"] = number
    notebook["nbformat_minor"] = 0
    notebook["metadata"] |= {"colab": {"provenance": []}, "accelerator": "GPU"}


@damage
def vs_code(notebook, rng):
    for cell in notebook["cells"]:
        language = "python" if cell["cell_type"] == "code" else "markdown"
        cell["metadata"]["vscode"] = {"languageId": language}
    notebook["metadata"] |= {"vscode": {"interpreter": {"hash": "0"}}, "orig_nbformat": 4}


@damage
def widgets_without_state(notebook, rng):
    model = {"model_module": "@jupyter-widgets/controls", "state": {}}
    notebook["metadata"]["widgets"] = {"application/vnd.jupyter.widget-state+json": {"0a": model}}


@damage
def another_kernel(notebook, rng):
    notebook["metadata"]["kernelspec"] = {"display_name": "R", "language": "R", "name": "ir"}


@damage
def huge_outputs(notebook, rng):
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * 10_000}]


@damage
def fields_are_missing(notebook, rng):
    for cell in notebook["cells"]:
        cell.pop(rng.choice(["outputs", "execution_count", "id"]), None)


@damage
def sources_as_text(notebook, rng):
    for cell in notebook["cells"]:
        cell["source"] = text(cell)


# Cells that were added.


@damage
def add_cells(notebook, rng):
    for number in range(3):
        cell = code(f"mine_{number} = {number}") | {"id": f"mine-{number}"}
        notebook["cells"].insert(rng.randrange(len(notebook["cells"]) + 1), cell)


@damage
def paste_a_cell_of_another_notebook(notebook, rng):
    foreign = {
        "grade_id": "another-exercise",
        "schema_version": 3,
        "solution": True,
        "grade": False,
        "locked": False,
        "task": False,
    }
    cell = code("def another_exercise():\n    return 1", nbgrader=foreign)
    notebook["cells"].insert(rng.randrange(len(notebook["cells"]) + 1), cell)


@damage
def merge_markers_in_an_answer(notebook, rng):
    cell = whole_answer(notebook, rng)
    if cell and "<<<<" not in text(cell):
        sides = [template(cell), text(cell)]
        rng.shuffle(sides)
        cell["source"] = "<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> main".format(*sides)


def retype(cell: dict, kind: str) -> None:
    cell["cell_type"] = kind
    for key in ("outputs", "execution_count"):
        cell.pop(key, None)
    if kind == "code":
        cell |= {"outputs": [], "execution_count": None}


TEMPLATES: dict[str, str] = {}
"""The released text of each answer by its name; the test fills it."""


def template(cell: dict) -> str:
    return TEMPLATES.get(settings(cell)["grade_id"], "")


# The file.


def dump(notebook: Notebook) -> str:
    return json.dumps(notebook, indent=1, ensure_ascii=False)


@file_damage
def as_it_is(notebook):
    return dump(notebook).encode()


@file_damage
def byte_order_mark(notebook):
    return b"\xef\xbb\xbf" + dump(notebook).encode()


@file_damage
def utf_16(notebook):
    return dump(notebook).encode("utf-16")


@file_damage
def utf_16_without_mark(notebook):
    return dump(notebook).encode("utf-16-le")


@file_damage
def crlf(notebook):
    return dump(notebook).replace("\n", "\r\n").encode()


@file_damage
def crlf_in_cells(notebook):
    return dump(notebook).replace("\\n", "\\r\\n").encode()


@file_damage
def one_line(notebook):
    return json.dumps(notebook, separators=(",", ":")).encode()


@file_damage
def trailing_garbage(notebook):
    return dump(notebook).encode() + b'\n}\n]} {"cells": []}\n\0\0'


@file_damage
def trailing_commas(notebook):
    return re.sub(r"\n( *[\]}])", r",\n\1", dump(notebook)).encode()


@file_damage
def not_a_number(notebook):
    notebook["metadata"]["ratio"] = float("nan")
    return dump(notebook).encode()


@file_damage
def merge_markers(notebook):
    lines = dump(notebook).split("\n")
    at = len(lines) // 2
    lines[at:at] = ["<<<<<<< HEAD", "=======", ">>>>>>> origin/main"]
    return "\n".join(lines).encode()


@file_damage
def format_3(notebook):
    cells = []
    for cell in notebook["cells"]:
        old = copy.deepcopy(cell)
        if cell["cell_type"] == "code":
            old |= {"input": old.pop("source"), "language": "python", "prompt_number": 1}
        cells.append(old)
    old_notebook = {
        "metadata": {"name": ""},
        "nbformat": 3,
        "nbformat_minor": 0,
        "worksheets": [{"cells": cells, "metadata": {}}],
    }
    return dump(old_notebook).encode()


@file_damage
def very_deep(notebook):
    notebook["metadata"]["deep"] = "DEEP"
    return dump(notebook).replace('"DEEP"', "[" * 100_000 + "]" * 100_000).encode()


@file_damage
def gigantic_integer(notebook):
    notebook["metadata"]["big"] = "BIG"
    return dump(notebook).replace('"BIG"', "9" * 100_000).encode()


@file_damage
def doubled_keys(notebook):
    return b'{"cells": [], "metadata": 3,' + dump(notebook).encode()[1:]


@file_damage
def half_letters(notebook):
    notebook["cells"].append(code("'HALF'"))
    return dump(notebook).replace("HALF", "\\ud800").encode()
