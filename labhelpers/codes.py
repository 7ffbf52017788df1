"""Walk through the code of a function, with what is defined within."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from types import CodeType

__all__ = ["code_within", "instructions_of"]


def code_within(code: CodeType) -> Iterator[CodeType]:
    """Yield the code of a function, and of what is defined in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from code_within(constant)


def instructions_of(code: CodeType) -> Iterator[dis.Instruction]:
    """Yield the instructions of a function, and of what is defined in it."""
    for part in code_within(code):
        yield from dis.get_instructions(part)
