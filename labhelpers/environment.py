"""Tell under what circumstances the code runs: graded by nbgrader, watched by somebody."""

import os
import sys

__all__ = ["has_reader", "is_graded"]


def is_graded() -> bool:
    """Tell whether nbgrader grades or validates the notebook that runs."""
    return bool(os.environ.get("NBGRADER_EXECUTION"))


def has_reader() -> bool:
    """Tell whether somebody may watch a progress bar: in a terminal or a notebook."""
    if is_graded():
        return False
    ipython = sys.modules.get("IPython")
    in_notebook = ipython is not None and hasattr(ipython.get_ipython(), "kernel")
    return in_notebook or sys.stdout.isatty()
