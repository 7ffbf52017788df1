"""Find in the notebook's history which cell defined an answer last, and whether that cell ran."""

from __future__ import annotations

import ast

from IPython import get_ipython

from labhelpers.repair.slots import defined_names

__all__ = ["judged_version"]


def judged_version(name: str) -> tuple[str, str]:
    """Return the cell that defined an answer, and what stopped a later version of it from running.

    Args:
        name: Of the function or class.

    Returns:
        The text of the cell, and a sentence. Each is empty if there is none, or no history, as
        outside of a notebook.
    """
    shell = get_ipython()
    history = getattr(shell, "history_manager", None)
    problem = ""
    for source in reversed(history.input_hist_raw if history else []):
        if name not in defined_names(source):
            continue
        try:
            ast.parse(shell.transform_cell(source))
        except SyntaxError as error:
            problem = problem or f"{type(error).__name__} in line {error.lineno}: {error.msg}."
        else:
            return source, problem
    return "", problem
