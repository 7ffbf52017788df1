"""Find answers that are more alike than answers of people who worked alone."""

from __future__ import annotations

import ast
import builtins
import io
import keyword
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
import torch

__all__ = ["Alike", "alike_answers", "anonymous", "vocabulary"]

_LIBRARIES = (builtins, np, torch, torch.nn, torch.nn.functional, torch.optim, torch.Tensor)
_OWN_WORDS = 6  # in the same order: names and words of comments that the lesson does not hold
_NODES = 90  # of the syntax tree; shorter answers are alike by themselves
_UNLIKE = 0.85  # similarity to the reference solution; above, a form is what the exercise asks for
_LONGEST = 30  # lines of an example


@dataclass(frozen=True)
class Alike:
    """Answers to look at.

    Attributes:
        exercise: Its id.
        students: Whose answers.
        reason: What they share, in a part of a sentence.
    """

    exercise: str
    students: tuple[str, ...]
    reason: str


def vocabulary(sources: Iterable[str]) -> frozenset[str]:
    """Return the names and words of some code, and those of Python and PyTorch, in lower case.

    Args:
        sources: Code of the lesson and of the reference solutions.
    """
    words = {word for source in sources for word in re.findall(r"[^\W\d]\w*", source.lower())}
    parts = {part for word in words for part in word.split("_")}
    libraries = {name.lower() for library in _LIBRARIES for name in dir(library)}
    return frozenset(words | parts | libraries | {word.lower() for word in keyword.kwlist})


def alike_answers(
    exercise: str, answers: Mapping[str, str], reference: str, known: frozenset[str]
) -> list[Alike]:
    """Return groups of answers that share what the exercise does not ask for.

    Two answers are alike if they hold the same own words in the same order (names, comments,
    texts; at least six that neither lesson nor reference solution holds), or if they have the same
    form, whatever the names, which is long, unlike the reference solution's, and rare in the class.
    Short and widely shared answers do not count.

    Args:
        exercise: Id of the exercise.
        answers: Code by student.
        reference: The reference solution.
        known: What `vocabulary` returned.
    """
    rare = max(3, len(answers) // 10)
    by_words, by_form = defaultdict(list), defaultdict(list)
    solved = _form(reference)
    for student, source in sorted(answers.items()):
        words = tuple(_own_words(source, known))
        if len(words) >= _OWN_WORDS:
            by_words[words].append(student)
        form = _form(source)
        if len(form) >= _NODES and form != solved:
            by_form[form].append(student)
    groups = {
        tuple(students): "the same names and comments of their own"
        for students in by_words.values()
        if 1 < len(students) <= rare
    }
    for form, students in by_form.items():
        if 1 < len(students) <= rare and _similarity(form, solved) < _UNLIKE:
            groups.setdefault(tuple(students), "the same unusual form under whatever names")
    return [Alike(exercise, students, reason) for students, reason in groups.items()]


def anonymous(source: str, known: frozenset[str]) -> str | None:
    """Return code without what could tell whose it is, None if it cannot be parsed.

    Comments and docstrings are gone, texts and long numbers replaced, names that the lesson does
    not hold are numbered.

    Args:
        source: A student's cell.
        known: What `vocabulary` returned.
    """
    tree = _parse(source)
    if tree is None:
        return None
    lines = ast.unparse(_Anonymous(known).visit(_without_docstrings(tree))).splitlines()
    more = ["…"] if len(lines) > _LONGEST else []
    return "\n".join(lines[:_LONGEST] + more)


def _parse(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            node.body = [
                part
                for part in node.body
                if not (
                    isinstance(part, ast.Expr)
                    and isinstance(part.value, ast.Constant)
                    and isinstance(part.value.value, str)
                )
            ] or [ast.Pass()]
    return tree


def _form(source: str) -> tuple[str, ...]:
    """Return the kinds of all parts of the code, with operators and numbers, without names."""
    tree = _parse(source)
    if tree is None:
        return ()
    return tuple(
        repr(node.value) if isinstance(node, ast.Constant) else type(node).__name__
        for node in ast.walk(_without_docstrings(tree))
        if not isinstance(node, ast.expr_context)
    )


def _similarity(form: tuple[str, ...], other: tuple[str, ...]) -> float:
    return SequenceMatcher(None, form, other, autojunk=False).ratio()


def _own_words(source: str, known: frozenset[str]) -> list[str]:
    """Return the names, and the words of comments and texts, that are the student's own."""
    words = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type in (tokenize.NAME, tokenize.COMMENT, tokenize.STRING):
                words += re.findall(r"[^\W\d]\w{2,}", token.string.lower())
    except (tokenize.TokenError, SyntaxError):
        pass
    return [word for word in words if word not in known]


class _Anonymous(ast.NodeTransformer):
    """Replaces what could tell whose code it is."""

    def __init__(self, known: frozenset[str]) -> None:
        self.known = known
        self.names: dict[str, str] = {}

    def _rename(self, name: str) -> str:
        if name.lower() in self.known or re.fullmatch(r"__\w+__|_|[a-z]", name):
            return name
        return self.names.setdefault(name, f"name_{len(self.names) + 1}")

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for field in ("name", "id", "arg", "attr", "asname", "rest", "module"):
            if isinstance(getattr(node, field, None), str):
                parts = getattr(node, field).split(".")
                setattr(node, field, ".".join(map(self._rename, parts)))
        if isinstance(node, ast.Global | ast.Nonlocal):
            node.names = [self._rename(name) for name in node.names]
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str | bytes):
                node.value = "…"
            elif isinstance(node.value, int) and node.value > 9999:
                node.value = 9999
        return super().generic_visit(node)
