"""The list of methods, and the notebooks that measure them."""

import nbformat

from labhelpers.instructor.sources import NOTEBOOKS
from labhelpers.methods import METHODS


def test_methods_belong_to_the_notebooks():
    assert {method.notebook for method in METHODS.values()} == {
        path.parent.name for path in NOTEBOOKS.glob("*/*.ipynb")
    }


def test_notebooks_save_under_the_methods_they_measure():
    for method in METHODS.values():
        path = NOTEBOOKS / method.notebook / f"{method.notebook}.ipynb"
        cells = nbformat.read(path, as_version=4).cells
        sources = [cell.source for cell in cells if cell.cell_type == "code"]
        assert any("save_result(" in source for source in sources), method.notebook
        # Notebook 1 saves its baselines by a function of its own.
        saving = [source for source in sources if "save_result(" in source or "measure(" in source]
        assert any(f'"{method.id}"' in source for source in saving), method.id
