"""Watch it learn: the sample images of a run's epochs, one after the other under a slider."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from labhelpers.plots import SavedFigure
from labhelpers.widgets.widget import Widget, png_url

__all__ = ["epoch_slider"]

_MOST = 20  # images, evenly spread over the epochs: about 1 MB


def epoch_slider(images: dict[int, Path], name: str) -> Widget:
    """Return the sample images of a run under a slider and a button that plays them.

    Args:
        images: Epoch -> PNG file, one or more, all of one size.
        name: Name of the run, for the alternative texts.
    """
    epochs = sorted(images)
    places = np.linspace(0, len(epochs) - 1, min(len(epochs), _MOST)).round().astype(int)
    epochs = [epochs[place] for place in places]
    stills = [
        SavedFigure(
            images[epoch], f"Run {name}: T1-w, generated and true T2-w slices in epoch {epoch}"
        )
        for epoch in sorted({epochs[0], epochs[-1]})
    ]
    last = Image.open(images[epochs[-1]])
    frames = [_changes(Image.open(images[epoch]), last) for epoch in epochs]
    return Widget("epochs", {"epochs": epochs, "frames": frames, "name": name}, stills)


def _changes(image: Image.Image, last: Image.Image) -> str:
    """Return a grey image, transparent where the last one is the same, as a data URL.

    Only the generated slices and the title change, so it takes a third of the room.
    """
    grey, base = (np.array(one.convert("L")) for one in (image, last))
    changed = grey != base if grey.shape == base.shape else np.full(grey.shape, True)
    alpha = np.where(changed, 255, 0).astype(np.uint8)
    return png_url(
        Image.merge(
            "LA",
            [Image.fromarray(np.where(changed, grey, 0).astype(np.uint8)), Image.fromarray(alpha)],
        )
    )
