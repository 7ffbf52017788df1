"""Grade a simulated class in several ways and compare: `python tests/simulated_class.py FOLDER`.

The class hands in notebook 1, whole: right answers, known mistakes, untouched, damaged and hostile
notebooks. It is graded with one worker, with two, by a Dask cluster of two worker processes with
PostgreSQL, and by nbgrader alone; the gradebooks must hold the same, and the points that each
submission deserves.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import postgres
import sqlalchemy as sa
from checking import answers, judge, load
from loopback import dask_cluster
from nbgrader.converters import Autograde
from submissions import ASSIGNMENT, Submission, submit
from submissions.damaged import DAMAGED
from submissions.hostile import HOSTILE

from labhelpers.checks.exercises import EXERCISES
from labhelpers.instructor.authoring.edits import edited, read_mistakes
from labhelpers.instructor.course.nbgrader import convert, copy_course, open_course
from labhelpers.instructor.course.release import build_student
from labhelpers.instructor.grading import ledger
from labhelpers.instructor.grading.dry_run import copy_gradebook
from labhelpers.instructor.grading.numbers import numbers_for
from labhelpers.instructor.grading.run import Means, grade
from labhelpers.instructor.sources import read_solutions

SERIES = 271_828_183 + 2**31 * 459_045_235
IDS = list(EXERCISES)[:4]  # those of notebook 1, two points each
EARLIER = {"check-make-dataloaders": 2.0, "check-audit-split": 2.0}
ALL = dict.fromkeys((f"check-{id_}" for id_ in IDS), 2.0)

#: Kinds that do on the whole notebook what they do on the small one of the tests.
KINDS = [
    "check-deleted",
    "check-duplicated",
    "answer-split",
    "answer-emptied",
    "all-metadata-lost",
    "byte-order-mark",
    "widget-state",
    "star-of-torch",
    "called-min",
    "check-before-answer",
    "replaced-judge",
    "replaced-run-cell",
    "exit",
    "many-lines",
    "record-doubled",
]

OF_TEN = ["model", *["other"] * 2, *["mistake"] * 4, "untouched", *["trouble"] * 2]


class Student(NamedTuple):
    """Who hands in, what, and the points that it deserves by check."""

    name: str
    submission: Submission
    points: dict[str, float]


def students() -> Iterator[Student]:
    """Yield the students of a class without end: of each ten, one kind each in turn."""
    solutions = read_solutions()
    mistakes = cycle(
        [(id_, name, edit) for id_ in IDS for name, edit in read_mistakes()[id_].items()][::3]
    )
    right = cycle([answer for id_ in IDS for answer in answers("right") if answer.exercise == id_])
    kinds = cycle(one for one in (*DAMAGED, *HOSTILE) if one.name in KINDS)
    for number in range(10_000):
        kind = OF_TEN[number % 10]
        name = f"{kind}-{number:04}"
        if kind == "model":
            yield Student(name, Submission(name, ""), ALL)
        elif kind == "other":
            answer = next(right)
            sources = {answer.exercise: answer.source}
            yield Student(name, Submission(name, "", sources), ALL)
        elif kind == "mistake":
            id_, _, edit = next(mistakes)
            source = edited(solutions[id_], [edit])
            reports = [
                judge(id_, load(id_, source), series, 2.0, mistakes=True) for series in (0, SERIES)
            ]
            score = min(report.score for report in reports)
            yield Student(name, Submission(name, "", {id_: source}), ALL | {f"check-{id_}": score})
        elif kind == "untouched":
            yield Student(name, Submission(name, "", solved=()), dict.fromkeys(ALL, 0.0))
        else:
            one = next(kinds)
            points = dict.fromkeys(ALL, 0.0) | (EARLIER if one.solved is None else {})
            yield Student(f"{one.name}-{number:04}", one, points | dict(one.points))


def write_class(root: Path, number: int) -> pd.Series:
    """Make the course and hand everything in; return the deserved points by student and check."""
    copy_course(root, [ASSIGNMENT])
    build_student(root)
    database = open_course(root).coursedir.db_url
    ledger.begin_run(database, ASSIGNMENT)
    with sa.create_engine(database).begin() as connection:  # a series that is known beforehand
        connection.execute(sa.text(f"UPDATE labhelpers_run SET series = {SERIES}"))
    expected = {}
    for student in islice(students(), number):
        folder = submit(student.submission, root)
        folder.parent.rename(folder.parents[1] / student.name)
        expected |= {(student.name, check): points for check, points in student.points.items()}
    return pd.Series(expected).sort_index()


def with_workers(number: int) -> Callable[[Path], None]:
    return lambda root: print(grade(ASSIGNMENT, root=root, means=Means(workers=number)).in_words())


def with_cluster(root: Path) -> None:
    """Grade with a Dask cluster and PostgreSQL, and copy the gradebook to where the others are."""
    file = open_course(root).coursedir.db_url
    server = postgres.Server()
    try:
        os.environ["LABHELPERS_DB_URL"] = database = server.create_database()
        copy_gradebook(file, database)
        with dask_cluster(root) as address:
            print(grade(ASSIGNMENT, root=root, means=Means(scheduler=address)).in_words())
        Path(file.removeprefix("sqlite:///")).unlink()
        copy_gradebook(database, file)
    finally:
        del os.environ["LABHELPERS_DB_URL"]
        server.close()


def with_nbgrader(root: Path) -> None:
    convert(open_course(root), Autograde, ASSIGNMENT)


WAYS = {
    "two workers": with_workers(2),
    "one worker": with_workers(1),
    "cluster": with_cluster,
    "nbgrader alone": with_nbgrader,
}


def points_in(root: Path) -> pd.Series:
    from labhelpers.instructor.grading.autograde import read_scores

    scores = read_scores(open_course(root)).xs(ASSIGNMENT, level="assignment")
    return scores[~scores["written"]]["score"].sort_index()


def dump(root: Path) -> dict[str, list[str]]:
    """Return all that the gradebook holds, without numbers of rows, times and keys."""
    engine = sa.create_engine(open_course(root).coursedir.db_url)
    left_out = {"id", "key", "trace", "timestamp", "began", "ended"}
    tables = {}
    for name in sa.inspect(engine).get_table_names():
        table = pd.read_sql_table(name, engine)
        columns = [c for c in table if c not in left_out and not c.endswith("_id")]
        tables[name] = sorted(map(str, table[columns].itertuples(index=False, name=None)))
    return tables


def main() -> None:
    """Grade the class and print what there is to compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--students", type=int, default=60)
    parser.add_argument("--ways", nargs="*", default=[*WAYS], choices=[*WAYS])
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    template = options.folder / "template"
    expected = write_class(template, options.students)
    start = time.perf_counter()
    for exercise in IDS:  # once, so that all ways find them there
        numbers_for(exercise, SERIES, mistakes=True)
    print(f"right numbers and known mistakes: {time.perf_counter() - start:.0f} s")
    ways = {way: WAYS[way] for way in options.ways}
    seconds, dumps = {}, {}
    for way, run in ways.items():
        root = shutil.copytree(template, options.folder / way.replace(" ", "-"))
        start = time.perf_counter()
        run(root)
        seconds[way] = time.perf_counter() - start
        dumps[way] = dump(root)
        wrong = points_in(root).compare(expected, result_names=("got", "deserved"))
        print(f"{way}: {seconds[way]:.0f} s, {len(wrong)} scores not as deserved")
        if len(wrong):
            print(wrong.to_string())
    (reference, first), *others = dumps.items()
    for way, tables in others:
        differ = [name for name in first if tables[name] != first[name]]
        print(f"{way} against {reference}: {differ or 'the same gradebook'}")
    for way in ways:
        print(
            f"{way}: {seconds[way] / options.students:.2f} s a submission, "
            f"{seconds[way] / seconds[reference]:.2f} times as long as {reference}"
        )
    traces = ledger.read_traces(
        open_course(options.folder / reference.replace(" ", "-")).coursedir.db_url, ASSIGNMENT
    )
    print(pd.DataFrame([trace["seconds"] for trace in traces]).describe().round(2).to_string())


if __name__ == "__main__":
    main()
