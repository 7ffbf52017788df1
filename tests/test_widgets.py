"""Tests of `labhelpers.widgets` without a browser: what the HTML holds, says and costs."""

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from PIL import Image
from torch.utils.data import DataLoader

from labhelpers import plots
from labhelpers.contrast import TISSUES
from labhelpers.data import IXIDataset
from labhelpers.metrics import subject_metrics
from labhelpers.phantom import tissue_shares
from labhelpers.stored import read_sheet
from labhelpers.widgets import Widget, contrast_simulator, epoch_slider, explorer
from labhelpers.widgets import contrast as simulator
from labhelpers.widgets.widget import script

KINDS = ("contrast", "epochs", "explorer")
LARGEST = 2_200_000  # characters of one output


def slices(count: int = 4, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 1, 64, 64, generator=generator) * 2 - 1


def loader_of(count: int = 4) -> DataLoader:
    names = [f"sub-IXI{k:03d}" for k in range(count)]
    return DataLoader(IXIDataset.from_tensors(slices(count), slices(count, 1), names), batch_size=3)


def an_explorer(count: int = 4) -> Widget:
    return explorer(loader_of(count), {"mean": torch.zeros(count, 1, 64, 64), "T1": slices(count)})


def sample_images(folder: Path, epochs: int = 3) -> dict[int, Path]:
    return {
        epoch: plots.save_sample_grid(
            folder / "demo" / f"epoch-{epoch}.png", slices(2), slices(2, epoch), slices(2, 1)
        )
        for epoch in range(1, epochs + 1)
    }


@pytest.fixture
def widget(kind: str, tmp_path: Path) -> Widget:
    makers = {
        "contrast": contrast_simulator,
        "epochs": lambda: epoch_slider(sample_images(tmp_path), "demo"),
        "explorer": an_explorer,
    }
    return makers[kind]()


def data_in(html: str) -> dict:
    """The data of a widget, as a browser reads them."""
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', html)[1])


def pixels(url: str) -> np.ndarray:
    """What a browser makes of a data URL."""
    head, _, content = url.partition(",")
    assert head == "data:image/png;base64"
    return np.array(Image.open(io.BytesIO(base64.b64decode(content))))


# --- All of them ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_widget_is_html_with_alternative_text_and_the_same_as_plain_text(kind, widget, capfd):
    shown, _ = DisplayFormatter().format(widget)
    assert shown.keys() == {"text/plain", "text/html"}
    html = shown["text/html"]
    images = re.findall(r"<img [^>]*>", html.partition("<script")[0])
    assert images and all(re.search(r'alt="[^"]{40,}"', image) for image in images)
    assert shown["text/plain"].splitlines() == [still.alt for still in widget.stills]
    assert not re.search(r"\sid\s*=", html), "a page may hold several widgets"
    assert data_in(html) == json.loads(json.dumps(widget.data))
    assert len(html) < LARGEST
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", KINDS)
def test_there_is_a_line_of_text_and_no_script_while_nbgrader_grades(kind, widget, monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    shown, _ = DisplayFormatter().format(widget)
    assert shown.keys() == {"text/plain"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_script_fits_in_html_and_makes_no_global_name(kind):
    code = script(kind)
    assert code.startswith("(() => {") and code.endswith("})();")
    assert "</" not in code and "<!--" not in code
    assert not re.search(r"\b(window|globalThis)\.|getElementById", code)


def test_text_in_the_data_ends_no_script():
    widget = Widget("epochs", {"name": "</script><b>"}, [])
    assert "</script><b>" not in widget._repr_html_()
    assert data_in(widget._repr_html_()) == {"name": "</script><b>"}


def test_lines_can_be_told_from_light_and_dark_backgrounds():
    colours = re.search(r"const COLOURS = \[(.*?)\]", script("explorer"))[1]
    for colour in re.findall(r"#(\w{6})", colours):
        for background in ("ffffff", "111111", "1e1e1e", "383838"):
            low, high = sorted((luminance(colour), luminance(background)))
            assert (high + 0.05) / (low + 0.05) >= 2.9, (colour, background)


def luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


# --- Contrast simulator ---------------------------------------------------------------------------


def greys(preset: str) -> dict[str, float]:
    """The grey of each tissue, 1 for the brightest one."""
    sequence, *settings = simulator.PRESETS[preset].values()
    signals = [float(simulator.SIGNALS[sequence](one, *settings)) for one in TISSUES.values()]
    return dict(zip(TISSUES, np.divide(signals, max(signals)), strict=True))


def test_the_simulator_holds_the_tissue_map_and_the_constants():
    data = contrast_simulator().data
    assert data["tissues"]["CSF"] == {"t1": 2569, "t2": 329, "t2_star": 58, "pd": 1.0}
    sheet = pixels(data["sheet"]).reshape(len(TISSUES), 128, 128) / 255
    shares = tissue_shares(simulator._SUBJECT)
    assert np.abs(sheet - shares.swapaxes(1, 2)[:, ::-1]).max() <= 0.5 / 255 + 1e-9
    assert list(data["tissues"]) == list(TISSUES)


@pytest.mark.parametrize("preset", simulator.PRESETS.values(), ids=list(simulator.PRESETS))
def test_sliders_reach_the_presets(preset):
    sequence, *settings = preset.values()
    limits = simulator.SEQUENCES[sequence]
    assert list(limits) == list(preset)[1:]
    for value, (low, high, step) in zip(settings, limits.values(), strict=True):
        assert low <= value <= high and (value - low) % step == 0


def test_the_presets_show_what_notebook_1_says():
    t1w, t2w = greys("T1-w"), greys("T2-w")
    brain = ("CSF", "grey matter", "white matter")
    assert min(brain, key=t1w.get) == "CSF" == max(t2w, key=t2w.get)
    assert [round(t1w[name], 2) for name in simulator._PAIR] == [0.52, 0.52]
    assert [round(t2w[name], 2) for name in simulator._PAIR] == [0.34, 0.13]
    assert greys("FLAIR")["CSF"] < 0.02
    back = [1 - np.exp(-tr / TISSUES["CSF"].t1) for tr in (500, 5000)]
    assert np.round(back, 2).tolist() == [0.18, 0.86]
    left = [np.exp(-120 / TISSUES[name].t2) for name in brain]
    assert np.round(left, 2).tolist() == [0.69, 0.24, 0.18]


# --- Explorer -------------------------------------------------------------------------------------


def test_the_explorer_holds_slices_names_and_metrics():
    data = an_explorer().data
    assert list(data["sheets"]) == ["T1-w", "T2-w true", "mean", "T1"]
    sheet = pixels(data["sheets"]["T1-w"]).reshape(4, 64, 64)
    expected = (slices().numpy()[:, 0].swapaxes(1, 2)[:, ::-1] + 1) * 127.5
    assert np.abs(sheet - expected).max() <= 0.501
    assert data["subjects"] == ["sub-IXI000", "sub-IXI001", "sub-IXI002", "sub-IXI003"]
    expected = subject_metrics(slices(seed=1), slices())
    for metric, values in data["metrics"]["T1"].items():
        assert values == pytest.approx(expected[metric].tolist(), abs=0.006)
    assert data["credit"] == "IXI dataset, CC BY-SA 3.0"


def test_all_subjects_and_methods_of_the_lab_have_room():
    methods = [
        read_sheet(name)
        for name in (
            "generator-recommended",
            "generator-as-cgan",
            "cgan-recommended",
            "cyclegan-recommended",
        )
    ]
    count = len(methods[0])
    dataset = IXIDataset.from_tensors(methods[0], methods[1], [f"sub-{k}" for k in range(count)])
    widget = explorer(DataLoader(dataset), {f"method {k}": one for k, one in enumerate(methods)})
    assert len(widget.data["subjects"]) == count == 116
    assert all(len(pixels(url)) == count * 64 for url in widget.data["sheets"].values())
    assert len(widget._repr_html_()) < LARGEST


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ({}, "predictions is empty"),
        ({"one": slices(3)}, "different shapes|do not match"),
        ({"one": slices()[..., :32]}, "do not match"),
    ],
    ids=["no method", "too few", "another size"],
)
def test_the_explorer_says_what_is_wrong(predictions, message):
    with pytest.raises(ValueError, match=message):
        explorer(loader_of(), predictions)


# --- Watch it learn -------------------------------------------------------------------------------


def test_each_epoch_is_laid_over_the_last_one(tmp_path):
    images = sample_images(tmp_path, 4)
    widget = epoch_slider(images, "demo")
    assert widget.data["epochs"] == [1, 2, 3, 4]
    assert [still.path for still in widget.stills] == [images[1], images[4]]
    base = np.array(Image.open(images[4]).convert("L"))
    for path, frame in zip(images.values(), map(pixels, widget.data["frames"]), strict=True):
        grey, opaque = frame[..., 0], frame[..., 1] == 255
        whole = np.array(Image.open(path).convert("L"))
        assert np.array_equal(np.where(opaque, grey, base), whole)
    assert not opaque.any()
    assert len(widget.data["frames"][1]) < images[2].stat().st_size


def test_a_long_run_shows_epochs_spread_evenly(tmp_path):
    image = sample_images(tmp_path, 1)[1]
    data = epoch_slider({epoch: image for epoch in range(100, 0, -1)}, "demo").data
    assert len(data["frames"]) == len(data["epochs"]) == 20
    assert data["epochs"][0] == 1 and data["epochs"][-1] == 100
    assert set(np.diff(data["epochs"])) == {5, 6}


def test_a_run_of_one_epoch_has_one_picture(tmp_path):
    widget = epoch_slider(sample_images(tmp_path, 1), "demo")
    assert widget.data["epochs"] == [1] and len(widget.stills) == 1
