"""Change each reference solution in small ways, thousands of them, and try what the checks say.

A change that a check refuses is fine, best with its name. One that it accepts either computes the
same, or the check looks at too little: somebody has to read the list.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from difflib import unified_diff
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import torch

from labhelpers.checks import verdict
from labhelpers.checks.exercises import EXERCISES
from labhelpers.checks.records import Numbers
from labhelpers.checks.runner import run_cases
from labhelpers.instructor.authoring.edits import run_answer
from labhelpers.instructor.authoring.expected import numbers_of
from labhelpers.instructor.sources import read_solutions

__all__ = ["Mutant", "mutants", "summary", "try_all"]

#: Series on which accepted changes are compared with the reference, besides the visible one.
FURTHER_SERIES = (1_203_456_789, 907_654_321, 1_555_000_111, 314_159_265)
TIME_LIMIT = 10.0  # seconds for each case

_BEGIN, _END = "### BEGIN SOLUTION", "### END SOLUTION"
_COMPARISONS = [(ast.Lt, ast.LtE, ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot)]
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div)
# Functions, methods and texts that are easily taken for each other.
_RELATIVES = [
    ("mean", "sum", "median"),
    ("min", "max"),
    ("ones_like", "zeros_like"),
    ("l1_loss", "mse_loss"),
    ("binary_cross_entropy_with_logits", "binary_cross_entropy"),
    ("train", "eval"),
    ("T1", "T2"),
    ("floor", "ceil", "round"),
]


class Mutant(NamedTuple):
    """A changed solution.

    Attributes:
        exercise: Id of the exercise.
        operator: What kind of change it is, in words.
        change: The lines that differ, `- old` and `+ new`.
        source: The whole cell.
    """

    exercise: str
    operator: str
    change: str
    source: str


# --- Changes ------------------------------------------------------------------------------------


def mutants(exercise: str, source: str) -> Iterator[Mutant]:
    """Yield all small changes of a solution cell, each once; what is given stays as it is."""
    tree = ast.parse(source)
    original = ast.unparse(tree)
    inside = _solution_lines(source)
    seen = {original}
    for parent, names in _with_names(tree):
        for field, value in ast.iter_fields(parent):
            for operator, other in _other_values(field, value, names, inside):
                setattr(parent, field, other)
                changed = ast.unparse(ast.fix_missing_locations(tree))
                setattr(parent, field, value)
                if changed not in seen:
                    seen.add(changed)
                    yield Mutant(exercise, operator, _difference(original, changed), changed)


def _solution_lines(source: str) -> set[int]:
    lines: set[int] = set()
    is_inside = False
    for number, line in enumerate(source.splitlines(), 1):
        is_inside = (is_inside or _BEGIN in line) and _END not in line
        if is_inside:
            lines.add(number)
    return lines


def _difference(old: str, new: str) -> str:
    lines = [*unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm="")][2:]
    return "\n".join(" ".join(line.split()) for line in lines if line[0] in "+-")


_Names = tuple[set[str], set[str]]  # variables, and attributes of `self`


def _with_names(node: ast.AST, names: _Names = (set(), set())) -> Iterator[tuple[ast.AST, _Names]]:
    """Yield each node with the names that may stand in each other's place there."""
    variables, attributes = names
    if isinstance(node, (ast.FunctionDef, ast.Lambda)):
        variables = variables | {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)} - {"self"}
        variables |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and _is_stored(n)}
    elif isinstance(node, ast.ClassDef):
        attributes = {
            n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute) and _is_stored(n)
        }
    yield node, (variables, attributes)
    for child in ast.iter_child_nodes(node):
        yield from _with_names(child, (variables, attributes))


def _is_stored(node: ast.Name | ast.Attribute) -> bool:
    return isinstance(node.ctx, ast.Store)


def _other_values(
    field: str, value: Any, names: _Names, inside: set[int]
) -> Iterator[tuple[str, Any]]:
    """Yield what a field of a node may hold instead, with the kind of the change.

    Args:
        field: Name of the field.
        value: What it holds.
        names: Names that may stand in each other's place there.
        inside: The lines that may change.
    """
    if isinstance(value, ast.expr) and value.lineno in inside:
        yield from _other_expressions(value, names)
    if not isinstance(value, list):
        return
    for place, element in enumerate(value):
        if getattr(element, "lineno", 0) not in inside:
            continue
        before, after = value[:place], value[place + 1 :]
        if isinstance(element, ast.expr):
            for operator, other in _other_expressions(element, names):
                yield operator, [*before, other, *after]
        elif isinstance(element, ast.stmt):
            for operator, others in _other_statements(element, after[:1]):
                yield operator, [*before, *others, *after]
            if after and not isinstance(element, _DEFINITIONS):
                yield "statements exchanged", [*before, after[0], element, *after[1:]]
        if field == "ifs":
            yield "condition dropped", [*before, *after]


_DEFINITIONS = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)


def _other_statements(
    statement: ast.stmt, following: list[ast.stmt]
) -> Iterator[tuple[str, list[ast.stmt]]]:
    if isinstance(statement, _DEFINITIONS):
        return
    yield "statement dropped", [ast.Pass()]
    if isinstance(statement, (ast.Expr, ast.AugAssign)):
        yield "statement twice", [statement, statement]
    if isinstance(statement, (ast.For, ast.While)):
        first_only = _with(statement, body=[*statement.body, ast.Break()])
        yield "first round only", [first_only]
        if following:
            yield (
                "statement moved into a loop",
                [
                    _with(statement, body=[*statement.body, following[0]]),
                ],
            )
    if isinstance(statement, (ast.If, ast.While)):
        yield "condition negated", [_with(statement, test=_negated(statement.test))]


def _negated(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(op=ast.Not(), operand=test)


def _with(node: Any, **fields: Any) -> Any:
    return type(node)(**(dict(ast.iter_fields(node)) | fields))


def _other_expressions(node: ast.expr, names: _Names) -> Iterator[tuple[str, ast.expr]]:
    """Yield what may stand in the place of an expression, with the kind of the change."""
    if isinstance(node, ast.Constant):
        for value in _other_constants(node.value):
            yield "another constant", ast.Constant(value)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names[0]:
        for name in sorted(names[0] - {node.id}):
            yield "another name", _with(node, id=name)
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        of_self = isinstance(node.value, ast.Name) and node.value.id == "self"
        others = names[1] - {node.attr} if of_self and node.attr in names[1] else ()
        for name in (*sorted(others), *_relatives(node.attr)):
            yield "another name" if of_self else "another function", _with(node, attr=name)
    elif isinstance(node, ast.Compare):
        for group in _COMPARISONS:
            for kind in group:
                if isinstance(node.ops[0], group) and not isinstance(node.ops[0], kind):
                    yield "another comparison", _with(node, ops=[kind(), *node.ops[1:]])
    elif isinstance(node, ast.BinOp):
        for operation in _ARITHMETIC:
            if isinstance(node.op, _ARITHMETIC) and not isinstance(node.op, operation):
                yield "another operation", _with(node, op=operation())
        yield "a side dropped", node.left
        yield "a side dropped", node.right
        yield "sides exchanged", _with(node, left=node.right, right=node.left)
    elif isinstance(node, ast.UnaryOp):
        yield "sign dropped", node.operand
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "another connective", _with(node, op=other)
    elif isinstance(node, ast.IfExp):
        yield "condition negated", _with(node, test=_negated(node.test))
    elif isinstance(node, ast.Call):
        yield from _other_calls(node)
    elif isinstance(node, (ast.Tuple, ast.List)) and isinstance(node.ctx, ast.Load):
        for place in range(len(node.elts) - 1):
            yield "elements exchanged", _with(node, elts=_exchanged(node.elts, place))
        for place in range(len(node.elts)):
            yield "element dropped", _with(node, elts=[*node.elts[:place], *node.elts[place + 1 :]])
    elif isinstance(node, ast.Slice):
        for side in ("lower", "upper"):
            if getattr(node, side):
                yield "slice not cut", _with(node, **{side: None})


def _other_calls(node: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node.func, ast.Attribute):
        yield "call dropped", node.func.value
        yield "brackets dropped", node.func
    if node.args and not isinstance(node.args[0], ast.Starred):
        yield "call dropped", node.args[0]
    for place in range(len(node.args) - 1):
        yield "arguments exchanged", _with(node, args=_exchanged(node.args, place))
    for place in range(len(node.args)):
        shorter = [*node.args[:place], *node.args[place + 1 :]]
        yield "argument dropped", _with(node, args=shorter)
    for place in range(len(node.keywords)):
        others = [*node.keywords[:place], *node.keywords[place + 1 :]]
        yield "keyword dropped", _with(node, keywords=others)
    for place in range(len(node.keywords) - 1):
        one, other = node.keywords[place : place + 2]
        pair = [_with(one, value=other.value), _with(other, value=one.value)]
        keywords = [*node.keywords[:place], *pair, *node.keywords[place + 2 :]]
        yield "values of keywords exchanged", _with(node, keywords=keywords)


def _exchanged(elements: list[Any], place: int) -> list[Any]:
    one, other = elements[place : place + 2]
    return [*elements[:place], other, one, *elements[place + 2 :]]


def _other_constants(value: Any) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1, -value)
    elif isinstance(value, float):
        yield from (2 * value, 0.0, -value)
    elif isinstance(value, str):
        yield from _relatives(value)


def _relatives(name: str) -> Iterator[str]:
    for group in _RELATIVES:
        if name in group:
            yield from (other for other in group if other != name)


# --- Trials -------------------------------------------------------------------------------------


def try_all(
    exercises: Iterable[str],
    file: Path,
    workers: int = 1,
    show: Callable[[str], object] = print,
    most: int | None = None,
) -> list[dict[str, Any]]:
    """Try changes of the solutions of some exercises; return a row for each of them.

    Args:
        exercises: Their ids.
        file: JSON lines; rows that it holds already are not tried again.
        workers: Number of processes.
        show: Takes a line of text now and then.
        most: So many changes of each exercise, drawn by their digests; all by default.
    """
    todo: dict[str, Mutant] = {}
    for exercise in exercises:
        found = _by_key(exercise)
        todo |= {key: found[key] for key in sorted(found)[:most]}
    rows = {row["key"]: row for row in _read(file) if row["key"] in todo}
    left = [mutant for key, mutant in todo.items() if key not in rows]
    show(f"{len(todo)} changes, {len(left)} of them not tried yet.")
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, context) as pool, file.open("a", encoding="utf-8") as lines:
        tasks = [pool.submit(_try, mutant) for mutant in left]
        for number, task in enumerate(as_completed(tasks), 1):
            row = task.result()
            rows[row["key"]] = row
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
            lines.flush()
            if number % 100 == 0:
                show(f"{number} of {len(left)} tried.")
    return [rows[key] for key in todo]


def _by_key(exercise: str) -> dict[str, Mutant]:
    """Return all changes of the solution of an exercise."""
    source = read_solutions_once()[exercise].source
    return {_key(mutant): mutant for mutant in mutants(exercise, source)}


def _key(mutant: Mutant) -> str:
    text = f"{mutant.exercise}\n{mutant.source}"
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def _read(file: Path) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _try(mutant: Mutant) -> dict[str, Any]:
    """Try one change on the visible check, and on further series if that accepts it."""
    torch.set_num_threads(1)
    row = {
        "key": _key(mutant),
        "exercise": mutant.exercise,
        "operator": mutant.operator,
        "change": mutant.change,
    }
    status, hints, is_explained = _judge(mutant, 0)
    refused_later = status == "right" and any(
        _judge(mutant, series)[0] != "right" for series in FURTHER_SERIES
    )
    return row | {
        "accepted": status == "right",
        "hints": hints,
        "explained": is_explained,
        "differs": refused_later,
    }


def _judge(mutant: Mutant, series: int) -> tuple[str, list[str], bool]:
    """Return the status, the known mistakes and whether there is an explanation."""
    try:
        answer = run_answer(read_solutions_once()[mutant.exercise], mutant.source)
    except Exception:  # the cell itself fails: the student reads Python's own message
        return "cell fails", [], True
    record = run_cases(mutant.exercise, answer, series, TIME_LIMIT)
    report = verdict.judge(record, _numbers(mutant.exercise, series), quotes_values=series == 0)
    return report.status, list(report.mistakes), record["explanation"] is not None


@cache
def read_solutions_once() -> dict[str, Any]:
    """Return the solutions, read once in each process."""
    return read_solutions()


@cache
def _numbers(exercise: str, series: int) -> Numbers:
    if series == 0:
        return verdict.read_json(verdict.VISIBLE_FILE)[exercise]
    return numbers_of(exercise, series, mistakes=False)


def summary(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the counts of each exercise, as the page of results shows them."""
    rows = list(rows)
    return [
        {
            "exercise": exercise,
            "changes": len(_by_key(exercise)),
            "tried": len(own),
            "refused": sum(not row["accepted"] for row in own),
            "named": sum(
                not row["accepted"] and bool(row["hints"] or row["explained"]) for row in own
            ),
            "same": sum(row["accepted"] and not row["differs"] for row in own),
            "different": sum(row["accepted"] and row["differs"] for row in own),
        }
        for exercise in EXERCISES
        if (own := [row for row in rows if row["exercise"] == exercise])
    ]
