"""What is known of a function of a student: its code, its source, the names that it sees."""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from types import CodeType
from typing import Any

from labhelpers.checks.explanations.words import enumerated
from labhelpers.codes import code_within, instructions_of

__all__ = [
    "another_value",
    "bound",
    "code_of",
    "definition",
    "facts_of",
    "helpers_of",
    "listed",
    "names_read",
    "namespace_of",
    "never_reads",
    "returns_of",
    "unused_arguments",
    "values_given",
]

# Methods of a tensor that leave it as it is, and that nothing else has which works in place.
_MAKE_ANEW = (
    *("abs", "clamp", "clone", "contiguous", "detach", "div", "exp", "expand", "flatten", "flip"),
    *("mean", "mul", "neg", "permute", "repeat", "reshape", "roll", "sigmoid", "sqrt"),
    *("square", "squeeze", "sub", "sum", "tanh", "transpose", "unsqueeze", "view"),
)


def namespace_of(answer: Any) -> dict[str, Any]:
    """Return the global names that a function sees; a new dictionary if that is unknown."""
    return getattr(function_of(answer), "__globals__", {})


def names_read(answer: Any) -> set[str]:
    """Return the names of globals and attributes in a function, and in its helpers."""
    codes = [code for one in (answer, *helpers_of(answer)) for code in _codes(one)]
    return {name for code in codes for part in code_within(code) for name in part.co_names}


def helpers_of(answer: Any) -> list[Any]:
    """Return the functions and classes of the same cell that an answer uses, or its helpers do."""
    found: list[Any] = []
    left = [answer]
    while left:
        for function in _functions(left.pop()):
            code, namespace = code_of(function), namespace_of(function)
            names = [name for part in code_within(code) for name in part.co_names] if code else []
            for name in dict.fromkeys(names):
                value = namespace.get(name)
                if not (inspect.isfunction(value) or inspect.isclass(value)):
                    continue
                is_here = code and any(x.co_filename == code.co_filename for x in _codes(value))
                if is_here and not any(value is one for one in (answer, *found)):
                    found.append(value)
                    left.append(value)
    return found


def _functions(answer: Any) -> list[Any]:
    """Return a function, or the methods of a class."""
    return [*vars(answer).values()] if inspect.isclass(answer) else [answer]


def _codes(answer: Any) -> list[CodeType]:
    return [code for one in _functions(answer) if (code := code_of(one))]


def function_of(answer: Any) -> Any:
    """Return the function that is called when an answer is called."""
    while isinstance(answer, functools.partial):
        answer = answer.func
    function = inspect.unwrap(answer) if callable(answer) else answer
    if not hasattr(function, "__globals__"):  # an object with a method __call__
        function = inspect.getattr_static(type(function), "__call__", None)
    return function


def code_of(answer: Any) -> CodeType | None:
    """Return the code that runs when an answer is called, None if that is not Python's."""
    code = getattr(function_of(answer), "__code__", None)
    return code if isinstance(code, CodeType) else None


def bound(function: Any, args: tuple, kwargs: dict[str, Any]) -> dict[str, Any] | None:
    """Return the arguments of a call by name, None if the function does not take them."""
    try:
        given = inspect.signature(function).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return None
    given.apply_defaults()
    return given.arguments


def definition(answer: Any) -> ast.AST | None:
    """Return the definition of a function or class as a tree, None without its source."""
    if inspect.isclass(answer):
        methods = [x for x in vars(answer).values() if inspect.isfunction(x)]
        filename = methods[0].__code__.co_filename if methods else ""
        name, line = answer.__name__, None
    else:
        code = code_of(answer)
        filename = code.co_filename if code else ""
        name, line = (code.co_name, code.co_firstlineno) if code else ("", None)
    try:
        tree = ast.parse("".join(linecache.getlines(filename)))
    except SyntaxError:  # a magic command
        return None
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name:
            starts = {node.lineno, *(d.lineno for d in node.decorator_list)}
            if line is None or line in starts:
                return node
    return None


def returns_of(tree: ast.AST | None) -> list[ast.Return]:
    """Return the `return` statements with a value of a function itself."""
    found: list[ast.Return] = []
    left = list(ast.iter_child_nodes(tree)) if tree else []
    while left:
        node = left.pop()
        if isinstance(node, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            continue
        if isinstance(node, ast.Return) and node.value is not None:
            found.append(node)
        left += ast.iter_child_nodes(node)
    return sorted(found, key=lambda node: node.lineno)


def facts_of(answer: Any, called: Any, told: str = "", who: str = "Your function") -> list[str]:
    """Return what the code of a function tells, in sentences.

    Args:
        answer: A function or class.
        called: The function that the data go through.
        told: What was told before; arguments that are named there are not named again.
        who: What that function is called.
    """
    helpers = helpers_of(answer)
    facts = [fact for one in (answer, *helpers) for fact in _facts_of_lines(definition(one))]
    functions = [(called, who), *((one, f"`{one.__name__}`") for one in helpers)]
    for function, name in functions:
        if unused := [x for x in unused_arguments(function) if f"`{x}`" not in told]:
            facts.append(f"{name} {never_reads(function, unused)}.")
    return facts


def _facts_of_lines(tree: ast.AST | None) -> list[str]:
    """Return what single lines of a definition tell, in sentences."""
    facts = [
        f"Line {node.lineno} names `{ast.unparse(node.value)}` and does not call it: the brackets "
        "are missing."
        for node in ast.walk(tree or ast.Module([], []))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Attribute)
    ]
    facts += [
        f"Line {line} makes a new tensor, `{made}`, and keeps it nowhere: `{old}` stays as it was."
        for line, made, old in _thrown_away(tree)
    ]
    facts += [
        f"Line {line} never runs: it stands below a `{word}` of the same block."
        for line, word in _below_the_end(tree)
    ]
    facts += [
        f"The `return` of line {line} stands in the loop of line {loop}, which ends in its first "
        "pass."
        for loop, line in _returning_loops(tree)
    ]
    return facts


def _thrown_away(tree: ast.AST | None) -> list[tuple[int, str, str]]:
    """Return lines that only make a new tensor of another one: the line, the new, the old."""
    return [
        (node.lineno, ast.unparse(node.value), ast.unparse(node.value.func.value))
        for node in ast.walk(tree or ast.Module([], []))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        if isinstance(node.value.func, ast.Attribute) and node.value.func.attr in _MAKE_ANEW
        if ast.unparse(node.value.func.value) not in ("torch", "F", "np")
    ]


def _below_the_end(tree: ast.AST | None) -> list[tuple[int, str]]:
    """Return the first line of each block that cannot be reached, and what stands above it."""
    ends = {ast.Return: "return", ast.Raise: "raise", ast.Break: "break", ast.Continue: "continue"}
    return [
        (after.lineno, ends[type(statement)])
        for node in ast.walk(tree or ast.Module([], []))
        for block in (getattr(node, "body", None), getattr(node, "orelse", None))
        if isinstance(block, list)
        for statement, after in pairwise(block)
        if type(statement) in ends
    ]


def _returning_loops(tree: ast.AST | None) -> list[tuple[int, int]]:
    """Return the lines of loops whose first pass ends with a `return`, and the line of that."""
    return [
        (loop.lineno, loop.body[-1].lineno)
        for loop in ast.walk(tree or ast.Module([], []))
        if isinstance(loop, (ast.For, ast.While)) and isinstance(loop.body[-1], ast.Return)
        if not any(isinstance(node, ast.Continue) for node in ast.walk(loop))
    ]


def unused_arguments(answer: Any) -> list[str]:
    """Return the arguments that a function never reads, or surely replaces before it does."""
    code = code_of(answer)
    if code is None or inspect.isclass(answer):
        return []
    first: dict[str, str] = {}  # what happens first to each local name
    for instruction in instructions_of(code):
        name, operands = instruction.opname, instruction.argval
        if "FAST" in name or "DEREF" in name or "CLOSURE" in name:
            operands = operands if isinstance(operands, tuple) else (operands,)
            for operand, what in zip(operands, re.findall("LOAD|STORE|DELETE", name), strict=False):
                first.setdefault(operand, what)
    parameters = inspect.signature(answer).parameters.values()
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    unread = [x.name for x in parameters if x.kind in plain and first.get(x.name) != "LOAD"]
    given = values_given(answer)
    return [name for name in unread if name != "self" and (name not in first or name in given)]


def values_given(function: Any) -> dict[str, int]:
    """Return the names that each call of a function gives a value, with the first line of it."""
    lines: dict[str, int] = {}
    left = [*getattr(definition(function), "body", [])]
    no_name = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    perhaps = (ast.If, ast.IfExp, ast.BoolOp, ast.Try, ast.Match, ast.While)
    while left:
        node = left.pop(0)
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            lines.setdefault(node.name, node.lineno)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            lines.setdefault(node.id, node.lineno)
        elif not isinstance(node, (*no_name, *perhaps)):
            left = [*ast.iter_child_nodes(node), *left]
    return lines


def another_value(lines: Sequence[int]) -> str:
    """Return in which lines names get other values, one line for each, as words after "since"."""
    what = "the name another value" if len(lines) == 1 else "these names other values"
    where = sorted({*lines})
    if len(where) == 1:
        return f"line {where[0]} gives {what}"
    return f"lines {enumerated(map(str, where))} give {what}"


def never_reads(function: Any, names: Sequence[str]) -> str:
    """Return that a function never reads some of its arguments, as words after its name."""
    given = values_given(function)
    unread = [name for name in names if name not in given]
    replaced = [name for name in names if name in given]
    words = []
    if unread:
        words.append(f"its argument{'s' if len(unread) > 1 else ''} {listed(unread)}")
    if replaced:
        where = another_value([given[name] for name in replaced])
        words.append(f"what is passed in as {listed(replaced)}, since {where}")
    return f"never reads {', nor '.join(words)}"


def listed(names: Iterable[str]) -> str:
    """Return names as a report lists them: `a` and `b`."""
    return enumerated(f"`{name}`" for name in names)
