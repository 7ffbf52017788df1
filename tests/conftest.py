import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import postgres
import pytest
import torch
from checking import HIDDEN
from filelock import FileLock
from submissions import write_small_course
from toy import fork_kernels, write_toy_course
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from labhelpers import data
from labhelpers.checks.records import Numbers
from labhelpers.instructor.course.nbgrader import assignments, copy_course, open_course
from labhelpers.instructor.course.release import build_student
from labhelpers.instructor.grading import ledger, verdicts
from labhelpers.instructor.grading.numbers import numbers_for

# Several test processes share the processor; the kernels that they start inherit the variable.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all-answers", action="store_true", help="grade all right answers, not only a sample"
    )
    parser.addoption(
        "--all-submissions",
        action="store_true",
        help="grade all hostile and damaged submissions, not every second and third",
    )
    parser.addoption(
        "--kills", type=int, default=3, help="how many times a process of a grading run is killed"
    )


#: Large files whose tests share nothing that takes long to make: each test goes where a process is
#: free, and they come last. The tests of any other file stay together.
_ONE_BY_ONE = [
    "test_checks",
    "test_checks_explanations_data",
    "test_checks_loops",
    "test_damaged",
    "test_execute",
    "test_explained_losses",
    "test_grading_run",
    "test_hostile",
    "test_validate",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests come first, so that at the end no processor waits for another one."""

    def place(item: pytest.Item) -> tuple[bool, bool]:
        return not item.get_closest_marker("slow"), item.path.stem in _ONE_BY_ONE

    items.sort(key=place)


class ByFile(LoadScopeScheduling):
    """Gives a file to a process, or a test where they need not stay together."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return nodeid if Path(file).stem in _ONE_BY_ONE else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    config.option.loadscopereorder = False  # the order above counts
    return ByFile(config, log)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: now and then a test waits, for a browser or a limit."""
    return (os.cpu_count() or 1) + 1


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give tests of a submission or an attack what their module lists, or a sample of it."""
    for name in {"submission", "attack"}.intersection(metafunc.fixturenames):
        listed, step = getattr(metafunc.module, f"{name.upper()}S")
        step = 1 if metafunc.config.getoption("--all-submissions") else step
        metafunc.parametrize(name, listed[::step], ids=str)


@pytest.fixture(scope="session", autouse=True)
def no_public_repository() -> Iterator[None]:
    """Continuous integration tells the notebooks where they come from; here nothing does."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("LAB_REPOSITORY", "LAB_REF", "GITHUB_ACTIONS"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(autouse=True)
def nothing_simulated_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process remembers that it opened simulated slices; here each test begins anew."""
    monkeypatch.setattr(data, "_simulated_opened", False)


@pytest.fixture(scope="session")
def once(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str, Callable[[Path], object]], Path]:
    """Return a folder by its name; the first test process that asks for it fills it for all.

    Tests only read it, or change a copy.
    """
    common = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        common = common.parent

    def folder(name: str, fill: Callable[[Path], object]) -> Path:
        path, filled = common / name, common / f"{name}.filled"
        with FileLock(common / f"{name}.lock"):
            if not filled.exists():
                shutil.rmtree(path, ignore_errors=True)
                path.mkdir()
                fill(path)
                filled.touch()
        return path

    return folder


@contextmanager
def one_series() -> Iterator[None]:
    """Let courses be graded on the same series: its right numbers are worked out once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "draw_series", lambda: HIDDEN)
        yield


def _write_course(root: Path) -> None:
    fork_kernels(copy_course(root))
    build_student(root)
    with one_series():
        for assignment in assignments():
            ledger.begin_run(open_course(root).coursedir.db_url, assignment)


def _write_toy_course(root: Path) -> None:
    write_toy_course(root)
    build_student(root)


def _write_small_course(root: Path) -> None:
    with one_series():
        write_small_course(root)


@pytest.fixture(scope="session")
def course(once, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the course outside the working tree, with its student version."""
    return shutil.copytree(
        once("course", _write_course), tmp_path_factory.mktemp("course") / "course"
    )


@pytest.fixture(params=assignments())
def name(request: pytest.FixtureRequest) -> str:
    """Each assignment in turn."""
    return request.param


@pytest.fixture(scope="session")
def toy_template(once) -> Path:
    return once("toy-course", _write_toy_course)


@pytest.fixture
def toy_course(toy_template: Path, tmp_path: Path) -> Path:
    """A course of one small notebook, `toy`, with its student version, to be changed at will."""
    return shutil.copytree(toy_template, tmp_path / "course")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[postgres.Server]:
    server = postgres.Server()
    yield server
    server.close()


@pytest.fixture
def postgresql(postgresql_server: postgres.Server) -> str:
    """The URL of an empty PostgreSQL database."""
    return postgresql_server.create_database()


@pytest.fixture(scope="session")
def _small_course(once, tmp_path_factory: pytest.TempPathFactory) -> Path:
    template = once("small-course", _write_small_course)
    return shutil.copytree(template, tmp_path_factory.mktemp("small") / "course")


@pytest.fixture
def without_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Known mistakes are not worked out: that takes minutes, and no score depends on it."""

    def right_numbers(exercise_id: str, series: int, mistakes: bool) -> Numbers:
        return numbers_for(exercise_id, series)

    monkeypatch.setattr(verdicts, "numbers_for", right_numbers)


@pytest.fixture
def small_course(_small_course: Path, without_mistakes: None) -> Path:
    """A course of two small notebooks with real exercises, to be handed in to."""
    return _small_course
