import copy
import json
import random
import re
import time
from collections.abc import Callable

import damages
import nbformat
import pytest
from damages import DAMAGES, FILE_DAMAGES, code, move, named, place, remove, retype, settings, text
from nbgrader.nbgraderformat import MetadataValidator

from labhelpers.instructor.course.nbgrader import assignments, grade_id, open_course
from labhelpers.instructor.course.samples import hand_in
from labhelpers.instructor.grading.repair.authority import read_release
from labhelpers.repair.repair import repair

NAMES = assignments()
SEEDS = 10
"""Random damages for each notebook; the more, the longer."""


@pytest.fixture(scope="module")
def released(course):
    """What was released of each assignment, and the model answer as in its file."""
    api = open_course(course)
    found = {}
    for name in NAMES:
        path = hand_in("model", name, root=course)
        found[name] = read_release(api, name), json.loads(path.read_text(encoding="utf-8"))
        for cell in found[name][0].cells:
            if cell.solution:
                damages.TEMPLATES[cell.grade_id] = cell.source
    return found


def solutions(model: dict) -> dict[str, str]:
    return {
        settings(cell)["grade_id"]: damages.text(cell)
        for kind in ("answer", "written")
        for cell in named(model, kind)
    }


def dense(source: str) -> str:
    return "\n".join(line.rstrip() for line in source.split("\n") if line.strip())


def assert_sound(repaired, release, answers, told=""):
    """The named cells are those of the release, once each, and no answer is lost."""
    notebook = repaired.notebook
    nbformat.validate(notebook)
    MetadataValidator().validate_nb(notebook)
    names = [name for cell in notebook.cells if (name := grade_id(cell))]
    assert sorted(names) == sorted(cell.grade_id for cell in release.cells), told
    places = {grade_id(cell): place for place, cell in enumerate(notebook.cells)}
    for cell in release.cells:
        found = notebook.cells[places[cell.grade_id]]
        assert found.cell_type == cell.cell_type, told
        if cell.locked and not cell.solution:
            assert found.source == cell.source, told
        if cell.grade:
            assert found.metadata.nbgrader.points == cell.points, told
    for check in [cell for cell in release.cells if cell.grade and not cell.solution]:
        needed = release.cells[: release.cells.index(check)]
        needed = [cell for cell in needed if cell.cell_type == "code" and not cell.grade]
        assert all(places[cell.grade_id] < places[check.grade_id] for cell in needed), told
    for name, answer in answers.items():
        if f"check-{name}" not in places:  # written
            found = notebook.cells[places[name]].source
            assert sorted(found.split()) == sorted(answer.split()), (told, name, found)
            continue
        before = dense(
            "\n".join(
                cell.source
                for cell in notebook.cells[: places[f"check-{name}"]]
                if cell.cell_type == "code"
            )
        )
        start = before.rfind(dense(answer))
        assert start >= 0, (told, name)
        rest = before[start + len(dense(answer)) :]
        defined = re.findall(r"^(?:def|class) \w+", answer, re.MULTILINE)
        assert not any(f"{one}(" in rest or f"{one}:" in rest for one in defined), (told, name)


def assert_repeatable(repaired, release):
    again = repair(nbformat.writes(repaired.notebook).encode(), release)
    assert again.notebook == repaired.notebook
    assert again.repairs == () and again.flags == ()


@pytest.mark.parametrize("name", NAMES)
def test_random_damages_lose_no_answer(released, name):
    release, model = released[name]
    answers = solutions(model)
    for seed in range(SEEDS):
        rng = random.Random(seed)
        notebook = copy.deepcopy(model)
        done = []
        for _ in range(rng.randrange(1, 5)):
            done.append(rng.choice([*DAMAGES]))
            DAMAGES[done[-1]](notebook, rng)
        done.append(rng.choice([*FILE_DAMAGES]))
        repaired = repair(FILE_DAMAGES[done[-1]](notebook), release)
        told = f"{name}, seed {seed}: {done}; {repaired.repairs} {repaired.flags}"
        assert_sound(repaired, release, answers, told)
        assert_repeatable(repaired, release)


UNET, STEP, WRITTEN = "generator-unet", "generator-step", "written-metrics"
CHECK, RECAP = "check-generator-unet", "recap-make-dataloaders"

Change = Callable[[dict], object]
KINDS: dict[str, tuple[Change, list[str]]] = {}
"""Kinds of damage to notebook 2, and what is told of it; no answer is lost."""
LOSSES: dict[str, tuple[Change, list[str], list[str]]] = {}
"""Kinds of damage that leave less than a full answer, and what is told and flagged of it."""


def get(notebook: dict, name: str) -> dict:
    return next(cell for cell in notebook["cells"] if cell.get("id") == name)


def put(notebook: dict, name: str, source: object) -> None:
    get(notebook, name)["source"] = source


def twin(notebook: dict, name: str, source: object = None, at: int | None = None) -> dict:
    """Copy a cell as JupyterLab does, with its metadata, to below itself or to a place."""
    one = copy.deepcopy(get(notebook, name)) | {"id": "twin"}
    if source is not None:
        one["source"] = source
    below = place(notebook, get(notebook, name)) + 1
    notebook["cells"].insert(below if at is None else at, one)
    return one


def split(notebook: dict, name: str, line: int) -> None:
    lines = text(get(notebook, name)).splitlines(keepends=True)
    twin(notebook, name, lines[line:])
    put(notebook, name, lines[:line])


def answer_elsewhere(notebook: dict, at: int, metadata: dict | None = None) -> None:
    """Leave the template of `generator-unet`, and put the answer `at` cells below it."""
    cell = code(text(get(notebook, UNET)), **(metadata or {}))
    notebook["cells"].insert(place(notebook, get(notebook, UNET)) + at, cell)
    put(notebook, UNET, damages.TEMPLATES[UNET])


def answer_in_the_check(notebook: dict) -> None:
    put(notebook, CHECK, text(get(notebook, UNET)) + "\n" + text(get(notebook, CHECK)))
    put(notebook, UNET, damages.TEMPLATES[UNET])


def both_answers_in_the_second(notebook: dict) -> None:
    put(notebook, STEP, text(get(notebook, UNET)) + "\n\n" + text(get(notebook, STEP)))
    put(notebook, UNET, damages.TEMPLATES[UNET])


def both_answers_in_the_first(notebook: dict) -> None:
    put(notebook, UNET, text(get(notebook, UNET)) + "\n\n" + text(get(notebook, STEP)))
    remove(notebook, get(notebook, STEP))


def answer_and_check_in_one(notebook: dict) -> None:
    put(notebook, UNET, text(get(notebook, UNET)) + "\n\n" + text(get(notebook, CHECK)))
    remove(notebook, get(notebook, CHECK))


def written_answer_below(notebook: dict) -> None:
    twin(notebook, WRITTEN)["metadata"] = {}
    put(notebook, WRITTEN, "*Your answer here.*")


def merge_in_a_cell(notebook: dict) -> None:
    sides = damages.TEMPLATES[UNET], text(get(notebook, UNET))
    put(notebook, UNET, "<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> main".format(*sides))


def foreign(name: str) -> dict:
    return {"nbgrader": {"grade_id": name, "schema_version": 3, "solution": True}}


def kind(name: str, change: Change, *told: str) -> None:
    KINDS[name] = change, [*told]


def loss(name: str, change: Change, *told: str, flags: list[str]) -> None:
    LOSSES[name] = change, [*told], flags


# Nothing to repair.
kind("nothing", lambda nb: None)
kind("own cell", lambda nb: nb["cells"].insert(5, code("x = 1")))
kind("own cell on top", lambda nb: nb["cells"].insert(0, code("!pip install einops")))
kind("colab", lambda nb: damages.colab(nb, None))
kind("vs code", lambda nb: damages.vs_code(nb, None))
kind("kernel", lambda nb: damages.another_kernel(nb, None))
kind("huge outputs", lambda nb: damages.huge_outputs(nb, None))
kind("a figure moved", lambda nb: move(nb, get(nb, "results"), 4))
kind("more imports", lambda nb: put(nb, "imports", "import math\n" + text(get(nb, "imports"))))
kind("magic", lambda nb: put(nb, STEP, "%%time\n" + text(get(nb, STEP))))
kind("smuggled", lambda nb: nb["metadata"].update(labhelpers={"repairs": ["mine"]}))
# Cells that are gone.
GONE = "has been deleted; it was put back."
kind("no check", lambda nb: remove(nb, get(nb, CHECK)), f"The check of {UNET} {GONE}")
kind("no recap", lambda nb: remove(nb, get(nb, RECAP)), f"The given cell {RECAP} {GONE}")
kind("no set-up", lambda nb: remove(nb, get(nb, "setup")), f"The given cell setup {GONE}")
kind("no imports", lambda nb: remove(nb, get(nb, "imports")), f"The cell imports {GONE}")
loss("no answer", lambda nb: remove(nb, get(nb, UNET)), f"The answer cell {UNET} {GONE}", flags=[])
loss(
    "no written answer",
    lambda nb: remove(nb, get(nb, WRITTEN)),
    f"The answer cell {WRITTEN} {GONE}",
    flags=[f"The answer cell {WRITTEN} is missing; see whether another cell holds the answer."],
)
# Cells without their text.
kind(
    "empty check",
    lambda nb: put(nb, CHECK, []),
    f"The check of {UNET} has been emptied; it has the text of the release again.",
)
kind(
    "empty imports",
    lambda nb: put(nb, "imports", ""),
    "The cell imports has been emptied; it was put back.",
)
loss(
    "empty answer",
    lambda nb: put(nb, UNET, " \n"),
    f"The answer cell {UNET} has been emptied; it holds its template again.",
    flags=[],
)
kind(
    "changed set-up",
    lambda nb: put(nb, "setup", "import labhelpers.waiting"),
    "The given cell setup has been changed; it has the text of the release again.",
)
kind(
    "changed check",
    lambda nb: put(nb, CHECK, "5.0"),
    f"The check of {UNET} has been changed; it has the text of the release again.",
)
OTHER = "holds other text, too; it is in a cell of its own."
for name, change in (
    ("above", lambda source: "import math\n" + source),
    ("below", lambda source: source + "\n\nimport math"),
    ("within", lambda source: source.replace("\nimport os", "\nimport os\nimport math", 1)),
):
    kind(
        f"import {name} set-up",
        lambda nb, change=change: put(nb, "setup", change(text(get(nb, "setup")))),
        "The given cell setup has been changed; it has the text of the release again.",
        f"The given cell setup {OTHER}",
    )
# Cells that are there twice.
TWICE = "is there 2 times; one was kept."
NAMED_TWICE = f"The answer cell {UNET} is there 2 times; one carries its name."
kind("copied answer", lambda nb: twin(nb, UNET), NAMED_TWICE)
kind("copied template", lambda nb: twin(nb, UNET, damages.TEMPLATES[UNET]), NAMED_TWICE)
kind("copy as notepad", lambda nb: twin(nb, UNET, "GeneratorUNet()"), NAMED_TWICE)
kind("copied check", lambda nb: twin(nb, CHECK), f"The check of {UNET} {TWICE}")
kind("copy of a check", lambda nb: twin(nb, CHECK, "print(1)"), f"The check of {UNET} {TWICE}")
kind("check at the end", lambda nb: twin(nb, CHECK, at=60), f"The check of {UNET} {TWICE}")
kind("copied recap", lambda nb: twin(nb, RECAP), f"The given cell {RECAP} {TWICE}")
kind("copied text", lambda nb: twin(nb, WRITTEN), f"The answer cell {WRITTEN} {TWICE}")
OTHERS = f"There are 2 different answers to {UNET}; the last one before its check counts."
for name, below in (("earlier attempt", 0), ("later attempt", 2)):
    loss(
        name,
        lambda nb, below=below: twin(
            nb, UNET, "class GeneratorUNet: pass", at=place(nb, get(nb, UNET)) + below
        ),
        NAMED_TWICE,
        flags=[OTHERS],
    )
# Cells in pieces.
kind(
    "split answer",
    lambda nb: split(nb, UNET, 12),
    f"The answer cell {UNET} has been split; its pieces were joined.",
)
kind(
    "split check",
    lambda nb: split(nb, CHECK, 1),
    f"The check of {UNET} has been changed; it has the text of the release again.",
    f"The check of {UNET} {TWICE}",
)
loss(
    "split written answer",
    lambda nb: twin(nb, WRITTEN, "More."),
    f"The answer cell {WRITTEN} is in 2 pieces; they were joined.",
    flags=[],
)
# Cells of another type.
for name, wrong in (("text", "markdown"), ("raw", "raw")):
    kind(
        f"{name} answer",
        lambda nb, wrong=wrong: retype(get(nb, UNET), wrong),
        f"The answer cell {UNET} is not of type code; it was changed back.",
    )
kind(
    "text check",
    lambda nb: retype(get(nb, CHECK), "markdown"),
    f"The check of {UNET} is not of type code; it was changed back.",
)
kind(
    "text imports",
    lambda nb: retype(get(nb, "imports"), "markdown"),
    "The cell imports is not of type code; it was changed back.",
)
kind(
    "code for a written answer",
    lambda nb: retype(get(nb, WRITTEN), "code"),
    f"The answer cell {WRITTEN} is not of type markdown; it was changed back.",
)
COMPLETED = "Parts that a cell must have are missing or wrong; they were completed."
kind(
    "unknown type",
    lambda nb: retype(get(nb, UNET), "python"),
    COMPLETED,
    f"The answer cell {UNET} is not of type code; it was changed back.",
)
# Cells at another place.
EARLY = f"The check of {UNET} stands before its answer; it was moved behind it."
BACK = "stands at a wrong place; it was moved back."
kind("check first", lambda nb: move(nb, get(nb, CHECK), place(nb, get(nb, UNET))), EARLY)
kind("check on top", lambda nb: move(nb, get(nb, CHECK), 0), EARLY)
kind("answer at the end", lambda nb: move(nb, get(nb, UNET), 50), f"The answer cell {UNET} {BACK}")
kind("imports at the end", lambda nb: move(nb, get(nb, "imports"), 40), f"The cell imports {BACK}")
# Answers in other cells.
UNNAMED = "does not carry its name; it was recognised by its content."
kind(
    "answer in an own cell", lambda nb: answer_elsewhere(nb, 1), f"The answer cell {UNET} {UNNAMED}"
)
kind(
    "answer behind its check",
    lambda nb: answer_elsewhere(nb, 2),
    f"The answer cell {UNET} {UNNAMED}",
    EARLY,
)
kind(
    "answer in the check",
    answer_in_the_check,
    f"The answer cell {UNET} {UNNAMED}",
    f"The check of {UNET} {GONE}",
)
kind(
    "both answers in the second",
    both_answers_in_the_second,
    f"The answer to {UNET} is in the cell of another exercise.",
    EARLY,
)
kind(
    "both answers in the first",
    both_answers_in_the_first,
    f"The answer to {STEP} is in the cell of another exercise.",
    f"The answer cell {STEP} {GONE}",
)
kind(
    "answer and check in one",
    answer_and_check_in_one,
    f"The check of {UNET} {GONE}",
)
kind("written answer below", written_answer_below, f"The answer cell {WRITTEN} {UNNAMED}")
# Metadata.
ALL_LOST = (
    "The notebook has lost what nbgrader knows of its cells; they were recognised by their content."
)
kind("no nbgrader", lambda nb: damages.lose_all_metadata(nb, None), ALL_LOST)
kind("no nbgrader, no ids", lambda nb: damages.lose_all_metadata_and_ids(nb, None), ALL_LOST)
kind(
    "no metadata",
    lambda nb: [part.pop("metadata") for part in (nb, *nb["cells"])],
    COMPLETED,
    ALL_LOST,
)
kind(
    "no name",
    lambda nb: get(nb, UNET)["metadata"].clear(),
    f"The answer cell {UNET} {UNNAMED}",
)
kind(
    "empty nbgrader",
    lambda nb: get(nb, CHECK)["metadata"].update(nbgrader={}),
    f"The check of {UNET} {UNNAMED}",
)
kind(
    "metadata is text",
    lambda nb: get(nb, CHECK).update(metadata="text"),
    COMPLETED,
    f"The check of {UNET} {UNNAMED}",
)
for name in ("Generator-UNet", "mine", 7):
    kind(
        f"named {name}",
        lambda nb, name=name: settings(get(nb, UNET)).update(grade_id=name),
        f"The answer cell {UNET} {UNNAMED}",
    )
for key, value in (("points", 100), ("locked", False), ("solution", True), ("grade", None)):
    kind(
        f"{key} {value}",
        lambda nb, key=key, value=value: settings(get(nb, CHECK)).update({key: value}),
        f"The check of {UNET} has other settings; it has those of the release again.",
    )
for version in (1, 2, 9):
    kind(
        f"schema {version}",
        lambda nb, version=version: [
            settings(cell).update(schema_version=version) for cell in named(nb)
        ],
        "nbgrader's metadata are of another version; they were renewed.",
    )
TAG = "A cell has the tag skip-execution, which keeps it from running; it was removed."
kind("tag", lambda nb: get(nb, CHECK)["metadata"].update(tags=["skip-execution"]), TAG)
kind("own tag", lambda nb: nb["cells"].insert(3, code("1", tags=["skip-execution"])), TAG)
kind(
    "same ids",
    lambda nb: damages.same_ids(nb, None),
    "Cells have no valid id of their own; they have one now.",
)
for name, state in (("without state", {"application/x": {"0a": {}}}), ("list", [])):
    kind(
        f"widgets {name}",
        lambda nb, state=state: nb["metadata"].update(widgets=state),
        "The saved state of widgets is incomplete; it was removed.",
    )
kind("text for a cell", lambda nb: nb["cells"].append("cell"), COMPLETED)
loss(
    "number for a source",
    lambda nb: put(nb, UNET, 7),
    COMPLETED,
    f"The answer cell {UNET} has been emptied; it holds its template again.",
    flags=[],
)
# Other notebooks.
kind(
    "pasted cell",
    lambda nb: nb["cells"].insert(9, code("def cgan_step(): pass", **foreign("cgan-step"))),
    "A cell of another notebook is here (cgan-step); it became an ordinary cell.",
)
kind(
    "unknown cell",
    lambda nb: nb["cells"].insert(9, code("1", **foreign("mine"))),
    "A cell has the unknown name 'mine'; it became an ordinary cell.",
)
loss(
    "merge in a cell",
    merge_in_a_cell,
    f"The answer cell {UNET} holds an unfinished merge; one side of it was taken.",
    flags=[f"The answer cell {UNET} holds an unfinished merge; see which side counts."],
)


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_damage(released, kind):
    release, model = released["2-generator"]
    answers = solutions(model)
    change, told = KINDS[kind]
    notebook = copy.deepcopy(model)
    change(notebook)
    repaired = repair(FILE_DAMAGES["as_it_is"](notebook), release)
    assert [*repaired.repairs] == told
    assert repaired.flags == ()
    assert_sound(repaired, release, answers)
    assert_repeatable(repaired, release)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.startswith("import ")])
def test_what_was_added_to_a_locked_cell_still_runs(released, kind):
    release, model = released["2-generator"]
    notebook = copy.deepcopy(model)
    KINDS[kind][0](notebook)
    cells = repair(FILE_DAMAGES["as_it_is"](notebook), release).notebook.cells
    assert "import math" in [cell.source for cell in cells]


def test_a_notebook_typed_anew_is_graded(released):
    """Two answers in a new notebook, the second in two cells, and nothing of the release."""
    release, model = released["2-generator"]
    lines = text(get(model, STEP)).split("\n")
    cells = [
        code(text(get(model, UNET)).replace("class GeneratorUNet", "class Mine")),
        code("GeneratorUNet = Mine"),
        code("\n".join(lines[:-2])),
        code("\n".join(lines[-2:])),
    ]
    repaired = repair(json.dumps({"cells": cells, "nbformat": 4}).encode(), release)
    assert_sound(repaired, release, {STEP: text(get(model, STEP))})
    sources = [cell.source for cell in repaired.notebook.cells]
    assert sources.index("GeneratorUNet = Mine") == sources.index(cells[0]["source"]) + 1
    assert damages.TEMPLATES[UNET] not in sources


def test_all_cells_in_one_are_graded(released):
    release, model = released["2-generator"]
    parts = [cell for cell in model["cells"] if cell["cell_type"] == "code"]
    whole = get(model, "setup") | {"source": "\n\n".join(map(text, parts))}
    repaired = repair(json.dumps({"cells": [whole], "nbformat": 4}).encode(), release)
    answers = solutions(model)
    assert_sound(repaired, release, {UNET: answers[UNET], STEP: answers[STEP]})
    assert_repeatable(repaired, release)


def test_a_notebook_as_the_server_sends_it_is_read(released):
    release, model = released["2-generator"]
    content = {"name": "2-generator.ipynb", "type": "notebook", "content": model}
    assert_sound(repair(json.dumps(content).encode(), release), release, solutions(model))


@pytest.mark.parametrize("kind", LOSSES)
def test_kinds_of_damage_that_leave_less_than_a_full_answer(released, kind):
    release, model = released["2-generator"]
    change, told, flags = LOSSES[kind]
    notebook = copy.deepcopy(model)
    change(notebook)
    repaired = repair(FILE_DAMAGES["as_it_is"](notebook), release)
    assert [*repaired.repairs] == told
    assert [*repaired.flags] == flags
    assert_sound(repaired, release, {STEP: solutions(model)[STEP]})
    assert_repeatable(repaired, release)


# The file.


FILE_REPAIRS = {
    "byte_order_mark": ["The file begins with a byte-order mark; it was removed."],
    "utf_16": ["The file is in UTF-16; it was converted to UTF-8."],
    "utf_16_without_mark": ["The file is in UTF-16; it was converted to UTF-8."],
    "trailing_garbage": ["The file goes on after the end of the notebook; the rest was left out."],
    "trailing_commas": ["The file is damaged (no sound JSON); its cells were read one by one."],
    "merge_markers": ["The file holds an unfinished merge; its upper side was taken."],
    "format_3": ["The notebook is in an old format (3 or older); it was converted."],
    "very_deep": ["The file is damaged (no sound JSON); its cells were read one by one."],
}


@pytest.mark.parametrize("kind", FILE_DAMAGES)
def test_damaged_files(released, kind):
    release, model = released["2-generator"]
    repaired = repair(FILE_DAMAGES[kind](copy.deepcopy(model)), release)
    assert [*repaired.repairs] == FILE_REPAIRS.get(kind, [])
    assert repaired.flags == ()
    assert_sound(repaired, release, solutions(model))


def test_letters_of_windows_are_read(released):
    release, model = released["2-generator"]
    notebook = copy.deepcopy(model)
    put(notebook, WRITTEN, "Größe, “λ”")
    content = FILE_DAMAGES["as_it_is"](notebook)
    content = content.replace("ö".encode(), b"\xf6").replace("“".encode(), b"\x93")
    repaired = repair(content, release)
    assert_sound(repaired, release, {WRITTEN: "Größe, “λ”"})
    assert [*repaired.repairs] == [
        "The file is not all in UTF-8; the other letters were read as Windows-1252."
    ]


@pytest.mark.parametrize("mine", ["upper", "lower"])
def test_the_side_of_a_merge_with_more_answers_counts(released, mine):
    release, model = released["2-generator"]
    other = copy.deepcopy(model)
    put(other, UNET, damages.TEMPLATES[UNET].splitlines(keepends=True))
    one, two = (damages.dump(side).split("\n") for side in (model, other))
    same = next(number for number, line in enumerate(one) if line != two[number])
    end = next(n for n in range(1, len(two)) if one[-n] != two[-n]) - 1
    sides = one[same:-end], two[same:-end]
    upper, lower = sides if mine == "upper" else sides[::-1]
    lines = ["<<<<<<< HEAD", *upper, "||||||| base", *upper, "=======", *lower, ">>>>>>> main"]
    repaired = repair("\n".join([*one[:same], *lines, *one[-end:]]).encode(), release)
    assert [*repaired.repairs] == [
        f"The file holds an unfinished merge; its {mine} side was taken."
    ]
    assert [*repaired.flags] == ["The file holds an unfinished merge; see which side counts."]
    assert_sound(repaired, release, solutions(model))


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9, 0.999])
def test_what_is_left_of_a_cut_file_counts(released, part):
    release, model = released["2-generator"]
    content = FILE_DAMAGES["as_it_is"](copy.deepcopy(model))
    cut = int(part * len(content))
    whole = {
        name: source
        for name, source in solutions(model).items()
        if content.find(f'"grade_id": "check-{name}"'.encode()) < cut and name != WRITTEN
    }
    repaired = repair(content[:cut], release)
    assert len(whole) == {0.3: 1, 0.6: 3, 0.9: 3, 0.999: 3}[part]
    assert_sound(repaired, release, whole)
    assert repaired.repairs[0].startswith("The file is damaged")
    assert repaired.flags[0] == "The file breaks off; cells at its end may be missing."


@pytest.mark.parametrize(
    ("content", "flag"),
    [
        (b"", "The file is empty."),
        (b"\xef\xbb\xbf \n", "The file is empty."),
        (b"<html><body>Log in</body></html>", "The file is no notebook: it begins with '<html>"),
        (b"# %%\nd = {'a': 1}\nprint(d)", "The file is no notebook: it begins with"),
        (b"PK\x03\x04\x00\x00\xff\xfe" * 50, "The file is no notebook: it begins with 'PK"),
        (b"[1, 2]", "The file is no notebook"),
        (b"{}", "The file is JSON without cells"),
        (b'{"cells": {}}', "The file is JSON without cells"),
        (b'{"cells": []}', "The notebook holds no cells."),
        (b"<<<<<<< a\n=======\n>>>>>>> b\n", "The file holds an unfinished merge, and no side"),
        (b'{"cells": [' + b"[" * 3_000_000, "The file has more than 2,000,000 brackets"),
        (b'{"cells": [' + b"1," * 6_000 + b"1]}", "The notebook has more than 5,000 cells"),
    ],
)
def test_what_is_no_notebook_gives_the_untouched_release(released, content, flag):
    release, _ = released["2-generator"]
    repaired = repair(content, release)
    assert repaired.repairs == ()
    assert len(repaired.flags) == 1 and repaired.flags[0].startswith(flag)
    assert_sound(repaired, release, {})
    untouched = repair(nbformat.writes(nbformat.reads(release.notebook, 4)).encode(), release)
    assert repaired.notebook == untouched.notebook


def test_another_notebook_is_named(released):
    release, _ = released["2-generator"]
    for name in ("1-data-exploration", "3-cgan", "4-cyclegan"):
        notebook = copy.deepcopy(released[name][1])
        for _ in range(2):
            repaired = repair(FILE_DAMAGES["as_it_is"](notebook), release)
            assert repaired.repairs == ()
            assert [*repaired.flags] == [
                f"This is notebook {name}, handed in as 2-generator; nothing of it was graded."
            ]
            assert_sound(repaired, release, {})
            damages.lose_all_metadata_and_ids(notebook, None)


def test_a_given_solution_of_another_notebook_is_no_answer(released):
    release, _ = released["2-generator"]
    recap = {"nbgrader": {"grade_id": "recap-generator-unet", "locked": True}}
    notebook = copy.deepcopy(released["2-generator"][1])
    answer_elsewhere(notebook, 2, recap)  # behind the check
    repaired = repair(FILE_DAMAGES["as_it_is"](notebook), release)
    assert [*repaired.repairs] == [
        "A cell of another notebook is here (recap-generator-unet); it became an ordinary cell."
    ]
    assert [*repaired.flags] == [
        "A cell of another notebook (recap-generator-unet) defines generator-unet."
    ]
    cells = {cell.id: cell for cell in repaired.notebook.cells}
    assert cells[UNET].source == damages.TEMPLATES[UNET]


HOSTILE = {
    "copies": lambda nb: nb["cells"].extend(copy.deepcopy(get(nb, UNET)) for _ in range(4900)),
    "checks": lambda nb: nb["cells"].extend(copy.deepcopy(get(nb, CHECK)) for _ in range(4900)),
    "pieces": lambda nb: nb["cells"].extend(
        copy.deepcopy(get(nb, UNET)) | {"source": f"    {i}"} for i in range(4900)
    ),
    "attempts": lambda nb: nb["cells"].extend(
        copy.deepcopy(get(nb, UNET)) | {"source": f"class GeneratorUNet: x = {i}"}
        for i in range(4900)
    ),
    "backwards": lambda nb: nb.update(cells=nb["cells"][::-1] * 100),
    "markers": lambda nb: put(nb, UNET, "<<<<<<<\n=======\n" * 300_000),
    "spaces": lambda nb: put(nb, UNET, " \n" * 1_000_000 + "class GeneratorUNet: pass"),
    "long": lambda nb: put(nb, UNET, "class GeneratorUNet: pass # " + "x" * 20_000_000),
    "names": lambda nb: [
        nb["cells"].append(code("1", **foreign("x" * 10_000 + str(i)))) for i in range(3000)
    ],
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_notebook_costs_seconds(released, kind):
    release, model = released["2-generator"]
    notebook = copy.deepcopy(model)
    HOSTILE[kind](notebook)
    content = FILE_DAMAGES["as_it_is"](notebook)
    start = time.process_time()
    repaired = repair(content, release)
    assert time.process_time() - start < 20
    assert_sound(repaired, release, {})


@pytest.mark.parametrize(
    "content",
    [
        b'{"cells": ' + b"[" * 1_900_000,
        b'{"cells": [' + b"1 " * 20_000_000,
        b'{"a": ' + b"-" * 10_000_000,
        b'{"a": "' + b"\\x" * 5_000_000,
        b'{"a": "' + b"\\\\" * 10_000_000,
        b"{" * 1_000_000 + b'"a"',
        b'{"a" ' * 1_000_000,
        b"<<<<<<< \n" * 2_000_000,
    ],
    ids=["deep", "words", "minus", "escapes", "backslashes", "braces", "keys", "merges"],
)
def test_a_hostile_file_costs_seconds(released, content):
    start = time.process_time()
    repaired = repair(content, released["2-generator"][0])
    assert time.process_time() - start < 20
    assert repaired.flags
