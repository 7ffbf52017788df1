"""Stored results of the lab's own trainings: values, and generated slices of the test subjects."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

__all__ = ["SUBJECTS", "VALUES", "VALUES_FILE", "read_sheet", "write_sheet"]

_FOLDER = Path(__file__).parent
_COLUMNS = 12  # slices in a row of a sheet
_SIZE = 64  # voxels per side of a slice

VALUES_FILE = _FOLDER / "results.json"
VALUES: dict[str, dict[str, Any]] = json.loads(VALUES_FILE.read_text(encoding="utf-8"))
"""By method and recipe, such as `cgan-recommended`: `Training set` and `Test set`, each with `MAE`,
`PSNR` (dB) and `SSIM`; and `source`."""

SUBJECTS: Sequence[str] = json.loads((_FOLDER / "subjects.json").read_text(encoding="utf-8"))
"""Names of the test subjects of IXI, in the order of the slices on a sheet."""


def write_sheet(name: str, slices: Tensor, folder: Path = _FOLDER) -> Path:
    """Write slices side by side as one grey image of 8 bits, each as an anatomist looks at it.

    Args:
        name: Name of the sheet, such as `cgan-recommended`.
        slices: Slices `(N, 1, 64, 64)` in [-1, 1], one per subject of `SUBJECTS`, once or several
            times.
        folder: Where to write it.
    """
    n_rows = -(-len(slices) // _COLUMNS)
    sheet = np.zeros((n_rows * _SIZE, _COLUMNS * _SIZE), dtype=np.uint8)
    grey = ((slices[:, 0] + 1) / 2 * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    for place, image in zip(_places(len(slices)), grey, strict=True):
        sheet[place] = image.T[::-1]  # the first axis is x; y goes upwards
    path = folder / f"{name}.png"
    Image.fromarray(sheet).save(path, optimize=True)
    return path


def read_sheet(name: str, folder: Path = _FOLDER) -> Tensor | None:
    """Return the slices of a sheet; None if there is none.

    Args:
        name: Name of the sheet, such as `cgan-recommended`.
        folder: Where it is.

    Returns:
        Slices, float32 `(k * N, 1, 64, 64)` in [-1, 1]: those of the N `SUBJECTS`, k times.
    """
    path = folder / f"{name}.png"
    if not path.exists():
        return None
    with Image.open(path) as image:
        sheet = np.array(image)
    count = sheet.size // _SIZE**2
    count -= count % len(SUBJECTS)  # the rest of the last row is empty
    slices = np.stack([sheet[place][::-1].T for place in _places(count)])
    return torch.from_numpy(slices)[:, None].float() / 255 * 2 - 1


def _places(count: int) -> list[tuple[slice, slice]]:
    """Return rows and columns of each slice on a sheet."""
    corners = [(k // _COLUMNS * _SIZE, k % _COLUMNS * _SIZE) for k in range(count)]
    return [(slice(row, row + _SIZE), slice(column, column + _SIZE)) for row, column in corners]
