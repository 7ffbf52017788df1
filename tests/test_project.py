import ast
import builtins
import inspect
import re
import subprocess
import textwrap
from graphlib import TopologicalSorter
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat import NotebookNode
from nbgrader.utils import is_grade, is_locked, is_solution

from labhelpers.checks.exercises import EXERCISES
from labhelpers.instructor.course.nbgrader import REPOSITORY, assignments, grade_id
from labhelpers.instructor.course.preprocessors import remove_markers
from labhelpers.instructor.grading.numbers import DEPENDS_ON
from labhelpers.instructor.sources import (
    TRAINING_FUNCTIONS,
    TRAINING_NOTEBOOKS,
    given_source,
    run_source,
)

NAMES = assignments()
TAGS = {"needs-answer", "nbval-check-output", "nbval-ignore-output"}


@pytest.fixture
def notebook(name: str) -> NotebookNode:
    return source(name)


def source(name: str) -> NotebookNode:
    return nbformat.read(source_path(name), as_version=4)


def source_path(name: str) -> Path:
    return REPOSITORY / "notebooks" / name / f"{name}.ipynb"


def project_files() -> list[Path]:
    """Every file that is in the repository, or would be after `git add --all`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    names = [name for name in listed.stdout.split("\0") if name]
    assert len(names) > 20
    return [REPOSITORY / name for name in names if (REPOSITORY / name).is_file()]


def test_the_notebooks_are_those_of_the_course():
    found = {path.relative_to(REPOSITORY) for path in (REPOSITORY / "notebooks").glob("**/*.ipynb")}
    found = {path for path in found if ".ipynb_checkpoints" not in path.parts}
    assert found == {source_path(name).relative_to(REPOSITORY) for name in NAMES}


def test_source_notebooks_hold_no_outputs(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None
            assert "execution" not in cell.metadata


def test_source_notebooks_are_written_as_jupyter_writes_them(name):
    text = source_path(name).read_text(encoding="utf-8")
    assert text == nbformat.writes(nbformat.reads(text, as_version=4)) + "\n"


def test_the_notebooks_have_the_exercises_of_the_list():
    cells = [cell for name in NAMES for cell in source(name).cells]
    code = [cell for cell in cells if cell.cell_type == "code" and is_solution(cell)]
    assert [grade_id(cell) for cell in code] == list(EXERCISES)


def test_each_notebook_has_10_points_and_a_written_question(notebook):
    grades = [cell for cell in notebook.cells if is_grade(cell)]
    assert sum(cell.metadata.nbgrader.points for cell in grades) == 10
    written = [grade_id(cell) for cell in grades if cell.cell_type == "markdown"]
    assert len(written) == 1 and written[0].startswith("written-")


def test_the_lesson_states_the_points_of_the_cells(name):
    cells = source(name).cells
    points = {
        grade_id(cell).removeprefix("check-"): cell.metadata.nbgrader.points
        for cell in cells
        if is_grade(cell)
    }
    *coding, written = points
    stated = [(f"`{EXERCISES[one].name}`", points[one]) for one in coding]
    title = " · ".join(f"{word} {number}" for word, number in stated)
    assert f"| **Points** | {title} · written question {points[written]} |" in cells[0].source
    lines = [line for cell in cells for line in cell.source.splitlines()]
    titles = [line for line in lines if re.fullmatch(r"## .* points?\)", line)]
    assert titles == [
        *(
            f"## Exercise {k}: {word} ({n} point{'s' * (n != 1)})"
            for k, (word, n) in enumerate(stated, start=1)
        ),
        f"## Written question ({points[written]} points)",
    ]


def test_each_exercise_has_its_check_right_under_it(notebook):
    cells = notebook.cells
    solutions = [place for place, cell in enumerate(cells) if is_solution(cell)]
    assert len(solutions) > 2
    for place in solutions:
        exercise, below = cells[place], cells[place + 1]
        assert "### BEGIN SOLUTION" in exercise.source
        if exercise.cell_type == "markdown":
            assert is_grade(exercise)
            continue
        assert not is_grade(exercise) and not is_locked(exercise)
        assert grade_id(below) == f"check-{grade_id(exercise)}"
        assert is_locked(below) and not is_solution(below)
        assert below.source == check_of(EXERCISES[grade_id(exercise)], below)


def check_of(exercise, cell):
    """The cell that checks an exercise; it uses no name that the student can have overwritten."""
    name, points = exercise.name, cell.metadata.nbgrader.points
    check = f"labhelpers.checks.{exercise.check_name}({name}, points={points})"
    return f"import labhelpers.checks\n\n{check}"


def test_cells_are_well_formed(notebook):
    nbformat.validate(notebook)
    ids = [grade_id(cell) for cell in notebook.cells if grade_id(cell)]
    assert len(ids) == len(set(ids))
    for cell in notebook.cells:
        assert set(cell.metadata.get("tags", [])) <= TAGS
        if "nbgrader" in cell.metadata:
            assert cell.metadata.nbgrader.schema_version == 3
    first_code = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert grade_id(first_code) == "setup" and is_locked(first_code)
    assert "pip install -e" in first_code.source


def test_code_in_the_prose_uses_names_that_there_are(notebook):
    known = set(dir(builtins))
    for cell in notebook.cells:
        if cell.cell_type == "code":
            known |= names_made(cell.source)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    blocks = re.findall(r"^ *```python\n(.*?)```", text, re.DOTALL | re.MULTILINE)
    for code in map(textwrap.dedent, blocks):
        known |= names_made(code)
        used = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
        assert used <= known, code


def names_made(code: str) -> set[str]:
    """The names that a piece of code imports, defines or assigns."""
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.arg):
            names.add(node.arg)
    return names


@pytest.mark.parametrize("method", TRAINING_NOTEBOOKS)
def test_a_second_training_can_be_kept_under_a_name_of_its_own(method):
    train = run_source(given_source(TRAINING_NOTEBOOKS[method]))[TRAINING_FUNCTIONS[method]]
    assert inspect.signature(train).parameters["name"].default == method


def test_recap_cells_repeat_the_solutions():
    solutions = {
        grade_id(cell): remove_markers(cell.source)
        for name in NAMES
        for cell in source(name).cells
        if is_solution(cell)
    }
    recaps = [
        (name, grade_id(cell).removeprefix("recap-"), cell)
        for name in NAMES
        for cell in source(name).cells
        if (grade_id(cell) or "").startswith("recap-")
    ]
    assert {exercise for _, exercise, _ in recaps} >= {"make-dataloaders", "generator-unet"}
    for name, exercise, cell in recaps:
        assert cell.source == solutions[exercise], f"{cell.id} of {name} is not the solution"
        assert is_locked(cell)
        own = {grade_id(other) for other in source(name).cells if is_solution(other)}
        assert exercise not in own, "no notebook gives its own solution away"


def test_conda_environment_has_the_same_python_and_takes_the_rest_from_pyproject():
    environment = yaml.safe_load((REPOSITORY / "environment.yml").read_text())
    python, pip, packages = environment["dependencies"]
    assert python == f"python{metadata.metadata('labhelpers')['Requires-Python']}"
    assert (pip, packages) == ("pip", {"pip": ["-e .[dev]"]})


def test_every_dependency_has_a_lowest_version_for_the_job_that_tests_it():
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    (block,) = re.findall(r"^dependencies = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    for line in block.splitlines():
        assert re.fullmatch(r' {4}"[a-z]+>=[\d.]+",', line), line


def test_colab_is_imported_in_one_place_only():
    files = [path for path in project_files() if path.suffix in {".py", ".ipynb"}]
    pattern = re.compile(r"^\W*(import|from) google", re.MULTILINE)
    found = [path for path in files if pattern.search(path.read_text(encoding="utf-8"))]
    assert [path.relative_to(REPOSITORY).as_posix() for path in found] == ["labhelpers/folders.py"]


def test_nothing_generated_and_no_data_is_in_the_repository():
    for path in project_files():
        assert path.suffix not in {".pt", ".db", ".zip", ".whl", ".html"}, path
        assert path.relative_to(REPOSITORY).parts[0] not in {"build", ".venv"}, path
        assert not {"images", "results", "__pycache__"} & set(path.parts), path
        assert path.stat().st_size < 1_000_000, path


def test_every_module_lists_its_public_names():
    for path in (REPOSITORY / "labhelpers").rglob("*.py"):
        if path.name != "__init__.py":
            assert re.search(r"^__all__ = \[", path.read_text(encoding="utf-8"), re.M), path


def imports() -> dict[str, set[str]]:
    """The modules of labhelpers, each with those that it imports when it is imported."""
    found = {}
    for path in (REPOSITORY / "labhelpers").rglob("*.py"):
        parts = path.relative_to(REPOSITORY).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        statements = ast.parse(path.read_text(encoding="utf-8")).body
        found[name] = {
            f"{node.module}.{alias.name}"
            for node in statements
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }
    return {
        name: {max((m for m in found if f"{one}.".startswith(f"{m}.")), default="") for one in ones}
        - {"", name}
        for name, ones in found.items()
    }


def test_no_module_imports_one_of_a_room_for_other_readers():
    for name, imported in imports().items():
        above = ["labhelpers.instructor"]
        if not name.startswith(("labhelpers.checks", "labhelpers.instructor")):
            above.append("labhelpers.checks")
        if not name.startswith("labhelpers.instructor"):
            assert not [one for one in imported if one.startswith(tuple(above))], name


def test_no_imports_go_round_in_a_circle():
    TopologicalSorter(imports()).prepare()  # raises CycleError, which names them


def test_the_numbers_depend_on_all_that_the_checks_import_and_read():
    graph = imports()
    needed = {name for name in graph if name.startswith("labhelpers.checks")}
    while more := set().union(*map(graph.get, needed)) - needed:
        needed |= more
    drawn_or_read = ("labhelpers.plots", "labhelpers.repair", "labhelpers.stored")  # no numbers
    files = {file for pattern in DEPENDS_ON for file in REPOSITORY.glob(pattern)}
    for name in needed:
        if not name.startswith(drawn_or_read):
            path = REPOSITORY.joinpath(*name.split("."))
            assert files & {path.with_suffix(".py"), path / "__init__.py"}, name
    assert {*REPOSITORY.glob("labhelpers/clinic/*.json")} < files


def listed_files() -> dict[str, str]:
    """The tree in the contributor's guide: each file of labhelpers with what it says of it."""
    guide = (REPOSITORY / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found, folders = {}, []
    for line in re.search(r"```text\n(labhelpers/.*?)```", guide, re.DOTALL)[1].splitlines():
        name, _, text = line.strip().partition(" ")
        folders = folders[: (len(line) - len(line.lstrip())) // 2]
        if name.endswith("/"):
            folders.append(name)
        else:
            found["".join([*folders, name])] = text.strip()
    return found


def test_the_tree_in_the_guide_has_every_file_with_its_first_line():
    listed = listed_files()
    files = [path.relative_to(REPOSITORY) for path in project_files()]
    package = {path.as_posix() for path in files if path.parts[0] == "labhelpers"}
    assert listed.keys() == package, "mend the tree in .github/CONTRIBUTING.md"
    for name, text in listed.items():
        if name.endswith(".py"):
            documentation = ast.get_docstring(ast.parse((REPOSITORY / name).read_text("utf-8")))
            assert text == documentation.splitlines()[0], f"{name} in .github/CONTRIBUTING.md"


def test_no_repository_is_named_in_workflows_or_notebooks():
    places = [*(REPOSITORY / ".github").rglob("*.yml"), *map(source_path, NAMES)]
    assert len(places) > len(NAMES) + 3
    for path in places:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"git\+https|colab\.research\.google\.com/github", text), path
