"""Tests of `labhelpers.plots`: what each figure says, shows, leaves behind and refuses."""

import base64
import io
import math
from html.parser import HTMLParser

import matplotlib.image
import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from matplotlib import pyplot as plt
from matplotlib import style
from matplotlib.text import Text
from PIL import Image

from labhelpers import blocks, plots, results
from labhelpers.data import IXIDataset
from labhelpers.fast import plain_layers
from labhelpers.instructor.sources import NOTEBOOKS
from labhelpers.plots import diagrams, figure

STAMP, CREDIT = "Simulated data (phantom)", "IXI dataset, CC BY-SA 3.0"


def batch(count=3, size=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 1, size, size, generator=generator) * 2 - 1


def dataset(count=4):
    names = [f"sub-IXI{i:03d}" for i in range(count)]
    return IXIDataset.from_tensors(batch(count), batch(count, seed=1), names)


def metrics():
    """Two rows of the results table."""
    return pd.DataFrame(
        {
            ("MAE", "Training set"): [0.0734, 0.0398],
            ("MAE", "Test set"): [0.0731, 0.0492],
            ("PSNR", "Test set"): [16.66, 20.19],
            ("SSIM", "Test set"): [0.924, 0.968],
            ("source", ""): ["measured here on IXI, no training", "stored, seed 0, 20 epochs, IXI"],
        },
        index=["Mean T2-w image", "Generator"],
    )


def signals():
    return pd.DataFrame({"T1-w": [0.2, 0.6], "T2-w": [1.0, 0.3]}, index=["CSF", "white matter"])


def progress():
    """Two finished epochs of a GAN, and some batches, the last ones of the third."""
    parts = history(3).set_axis(pd.Index([0.5, 1.5, 2.5], name="place"))
    samples = {"PSNR": [12.0, 15.0], "true": [0.6, 0.7], "generated": [0.4, 0.3]}
    return history(2)[["generator", "discriminator"]], parts, pd.DataFrame(samples, index=[1, 2])


def history(epochs=3):
    return pd.DataFrame(
        {"generator": np.linspace(0.9, 0.3, epochs), "discriminator": math.log(2)},
        index=pd.RangeIndex(1, epochs + 1, name="epoch"),
    )


def subjects():
    """Metrics of the three slices of `batch()`: the second is the best, the first the worst."""
    return pd.DataFrame({"MAE": [0.3, 0.1, 0.2], "PSNR": [10.0, 20.0, 15.0]})


def ablation():
    rows = {"PSNR": [23.4, 20.4, 22.9], "sharpness": [0.91, 0.99, 0.97]}
    return pd.DataFrame(rows, index=["alone", "lambda 1", "lambda 0.01"])


PROBABILITIES = {"true": torch.tensor([0.2, 0.6, 0.8, 1.0]), "generated": torch.tensor([0.1])}
AREAS = torch.tensor([100.0, 200, 300]), torch.tensor([110.0, 200, 330])
SLICES = {"real_t1": batch(), "real_t2": batch(seed=1), "fake_t2": batch(seed=3)}
PREDICTIONS = {"Generator": batch(seed=3), "cGAN": batch(seed=4)}
PICTURES = {
    "pairs": lambda: plots.show_pairs(dataset(), subjects=3),
    "images": lambda: plots.show_images({"mean": batch()[0], "T2": batch()[0, 0]}),
    "narrow": lambda: plots.show_images({"mean": batch()[0]}, "The mean image of the training set"),
    "samples": lambda: plots.sample_grid(batch(), batch(seed=3), batch(seed=1), "cGAN"),
    "extremes": lambda: plots.extreme_subjects(SLICES, subjects()),
    "methods": lambda: plots.compare_methods(batch(), batch(seed=1), PREDICTIONS),
}
MAPS = {
    "errors": lambda: plots.error_maps(batch(seed=1), PREDICTIONS),
    "sensitivity": lambda: plots.sensitivity_maps(batch()[0], {"corner": batch()[1].abs()}),
}
CHARTS = {
    "histograms": lambda: plots.intensity_histograms(dataset()),
    "joint": lambda: plots.joint_histogram(dataset()),
    "joint-lookup": lambda: plots.joint_histogram(dataset(), torch.linspace(-1, 1, 7)),
    "progress": lambda: plots.training_progress(*progress(), 5),
    "curves": lambda: plots.training_curves(history(), "Losses", math.log(2), "chance"),
    "metrics": lambda: plots.metric_bars(metrics()),
    "contrast": lambda: plots.contrast_bars(signals()),
    "probabilities": lambda: plots.probability_histograms(PROBABILITIES),
    "perception": lambda: plots.perception_distortion(ablation()),
    "agreement": lambda: plots.bland_altman(*AREAS, "Area of the ventricles", "mm"),
}
DIAGRAMS = {
    "unet": plots.unet_diagram,
    "discriminators": plots.discriminator_diagrams,
    "discriminator": lambda: plots.discriminator_diagrams("DiscriminatorCycle"),
    "cycle": plots.cycle_diagram,
    "methods": plots.three_methods,
    "pairs": plots.pairs_and_piles,
}
FIGURES = PICTURES | MAPS | CHARTS


@pytest.fixture
def simulated_data():
    IXIDataset.from_tensors(batch(1), batch(1), ["sub-SIM000"])


def texts(shown):
    return [text.get_text() for text in shown.figure.findobj(Text)]


def columns(shown):
    return [label.get_text() for label in shown.figure.axes[0].get_xticklabels()]


def rows(shown):
    return [label.get_text() for label in shown.figure.axes[0].get_yticklabels()]


def image_tag(shown):
    """Return the attributes of the one HTML element that shows the figure."""
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append((tag, dict(attributes)))
    parser.feed(shown._repr_html_())
    ((tag, attributes),) = found
    assert tag == "img"
    return attributes


# --- what every figure has in common ------------------------------------------------------------


@pytest.fixture(params=FIGURES.values(), ids=FIGURES)
def draw(request):
    return request.param


def test_figure_has_title_labels_and_alternative_text_and_no_stamp(draw):
    plt.close("all")
    shown = draw()
    main = shown.figure.axes[0]
    assert shown.figure.get_suptitle() or main.get_title()
    assert len(shown.alt) > 40
    assert main.get_xlabel()
    assert main.get_ylabel() or main.images  # rows of slices carry their names instead
    assert STAMP not in texts(shown)
    assert plt.get_fignums() == [], "nothing is left open in pyplot"


def test_alternative_text_reaches_the_notebook(draw):
    shown = draw()
    data, _ = DisplayFormatter().format(shown)
    assert set(data) == {"text/plain", "text/html"}
    assert data["text/plain"] == shown.alt
    attributes = image_tag(shown)
    assert attributes["alt"] == shown.alt
    kind = "svg+xml;base64,PD94" if shown.vector else "png;base64,iVBORw0KGgo"
    assert attributes["src"].startswith(f"data:image/{kind}")
    assert len(attributes["src"]) < 500_000
    if not shown.vector:
        picture = base64.b64decode(attributes["src"].partition(",")[2])
        pixels = matplotlib.image.imread(io.BytesIO(picture)).shape[1]
        assert abs(pixels - 2 * int(attributes["width"])) <= 2, "sharp on a dense screen"


def test_a_saved_figure_is_shown_with_alternative_text(tmp_path):
    path = PICTURES["samples"]().save(tmp_path / "epoch-1.png")
    shown = plots.SavedFigure(path, alt='slices "after" epoch 1')
    data, _ = DisplayFormatter().format(shown)
    assert data["text/plain"] == 'slices "after" epoch 1'
    attributes = image_tag(shown)
    assert attributes["alt"] == shown.alt
    assert base64.b64decode(attributes["src"].partition(",")[2]) == path.read_bytes()


def test_alternative_text_is_escaped():
    shown = plots.training_curves(history(), 'a "title" with <tags> & more')
    assert image_tag(shown)["alt"].startswith('a "title" with <tags> & more.')


@pytest.mark.parametrize("draw", (PICTURES | MAPS).values(), ids=PICTURES | MAPS)
def test_figures_that_show_real_slices_credit_them(draw):
    shown = draw()
    assert CREDIT in texts(shown)
    assert CREDIT in shown.alt


def test_simulated_data_are_stamped_and_nothing_is_cut_off(draw, simulated_data):
    shown = draw()
    assert STAMP in texts(shown)
    assert STAMP in shown.alt
    assert CREDIT not in texts(shown)
    shown.figure.draw_without_rendering()
    tight = shown.figure.get_tightbbox()
    width, height = shown.figure.get_size_inches()
    assert 0 <= tight.x0 < tight.x1 <= width <= 9.5
    assert 0 <= tight.y0 < tight.y1 <= height


def test_a_dark_style_of_the_reader_changes_nothing():
    plain = plots.metric_bars(metrics())._repr_html_()
    with style.context("dark_background"):
        dark = plots.metric_bars(metrics())._repr_html_()
    assert dark == plain


# --- slices -------------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", PICTURES.values(), ids=PICTURES)
def test_all_slices_share_the_grey_window(draw):
    (image,) = draw().figure.axes[0].images
    assert image.get_clim() == (-1, 1)
    assert image.get_cmap().name == "gray"


def test_error_maps_share_one_scale_that_is_no_grey():
    first = plots.error_maps(batch(), {"close": batch() * 0.99}).figure.axes[0].images[0]
    second = plots.error_maps(batch(), {"far": -batch()}).figure.axes[0].images[0]
    assert first.get_clim() == second.get_clim() == (0, 0.5)
    assert first.get_cmap().name == "cividis"


def test_error_maps_show_the_absolute_error():
    true = torch.full((1, 1, 4, 4), 0.25)
    shown = plots.error_maps(true, {"high": true + 0.5, "low": true - 0.5})
    cells = shown.figure.axes[0].images[0].get_array()
    assert np.allclose(cells.compressed() if np.ma.isMA(cells) else cells, 0.5)
    assert "high 0.500, low 0.500" in shown.alt


def test_slices_stand_upright_with_the_first_row_on_top():
    marked = torch.full((1, 1, 8, 8), -1.0)
    marked[0, 0, 7, 0] = 1  # right end of x, lower end of y
    dark = torch.full((1, 1, 8, 8), -1.0)
    shown = plots.sample_grid(marked, dark, dark, "one bright voxel")
    axes = shown.figure.axes[0]
    ((row, column),) = np.argwhere(np.ma.filled(axes.images[0].get_array(), -1) == 1)
    x, y = axes.transData.transform((column, row))  # pixels, upwards
    assert rows(shown) == ["T1-w (input)", "T2-w generated", "T2-w true"]
    heights = [axes.transData.transform((0, tick))[1] for tick in axes.get_yticks()]
    assert heights == sorted(heights, reverse=True)
    assert heights[0] > y > (heights[0] + heights[1]) / 2
    assert x > axes.transData.transform((axes.get_xticks()[0], 0))[0]


@pytest.mark.parametrize("count", [1, 3, 5])
def test_voxels_are_squares_of_whole_pixels(count, tmp_path):
    shown = plots.sample_grid(*(batch(count, 64),) * 3)
    axes = shown.figure.axes[0]
    pixels = matplotlib.image.imread(shown.save(tmp_path / "grid.png"))[::-1, :, 0]
    left, bottom, right, top = (round(edge) for edge in axes.get_window_extent().extents)
    height, width = axes.images[0].get_array().shape
    zoom = (right - left) // width
    assert zoom >= 2
    squares = pixels[bottom:top, left:right].reshape(height, zoom, width, zoom)
    assert (squares == squares[:, :1, :, :1]).all()


@pytest.mark.parametrize("count", [1, 5])
def test_a_bar_of_50_mm_stands_below_the_last_slice(count):
    shown = plots.show_images({f"{k}": batch(1, 64)[0] for k in range(count)})
    axes = shown.figure.axes[0]
    (bar,) = axes.lines
    start, end = bar.get_xdata()
    assert end - start == pytest.approx(50 / 3.75), "a voxel is 3.75 mm wide"
    assert end == axes.images[0].get_array().shape[1] - 2 - 0.5
    assert bar.get_window_extent().y1 < axes.get_window_extent().y0
    assert "50 mm" in texts(shown)


def test_rows_and_columns_are_named_in_order():
    shown = plots.compare_methods(batch(), batch(seed=1), PREDICTIONS)
    assert rows(shown) == ["T1-w (input)", "Generator", "cGAN", "T2-w true"]
    assert columns(shown) == ["subject 1", "subject 2", "subject 3"]


def test_extremes_are_named_and_in_order():
    by_psnr = plots.extreme_subjects(SLICES, subjects())
    assert columns(by_psnr) == ["best: 20", "median: 15", "worst: 10"]
    by_error = plots.extreme_subjects(SLICES, subjects(), "MAE")
    assert columns(by_error) == ["best: 0.1", "median: 0.2", "worst: 0.3"]


def test_pairs_carry_the_subjects_and_stop_at_the_end_of_the_split():
    shown = plots.show_pairs(dataset(2), subjects=6)
    assert columns(shown) == ["sub-IXI000", "sub-IXI001"]
    assert "sub-IXI000, sub-IXI001" in shown.alt


@pytest.mark.parametrize("count", [1, 10, 12])
def test_grids_of_few_and_many_subjects_fit_a_notebook(count):
    shown = plots.sample_grid(*(batch(count, 64),) * 3)
    width, height = shown.figure.get_size_inches()
    assert width <= 9.5
    assert height <= 9
    assert len(columns(shown)) == min(count, 10)


def test_tensors_of_a_network_are_accepted():
    fake = (batch().requires_grad_() * 0.5).half()
    assert plots.sample_grid(batch(), fake, batch()).alt


def test_sample_grid_is_saved_as_png_with_its_text(tmp_path):
    path = tmp_path / "images" / "cgan" / "epoch-3.png"
    assert plots.save_sample_grid(path, batch(), batch(seed=3), batch(seed=1)) == path
    pixels = matplotlib.image.imread(path)
    assert pixels.shape[0] > 200
    assert pixels.shape[1] > 200
    assert b"cgan epoch 3. Brain slices of 3 test subjects" in path.read_bytes()


@pytest.mark.parametrize("count", [1, 5, 12])
@pytest.mark.parametrize("is_simulated", [False, True])
def test_saved_grids_are_what_is_shown(count, is_simulated, tmp_path, monkeypatch):
    """Only slices and title are drawn anew, and the file looks as if all of it were."""
    monkeypatch.setattr(figure, "simulated_data_opened", lambda: is_simulated)
    for epoch in (8, 9, 10):
        slices = [batch(count, 64, seed=epoch + k) for k in range(3)]
        title = f"Sample slices in epoch {epoch} of 20"
        grid = plots.sample_grid(*slices, title)
        saved = plots.save_sample_grid(tmp_path / "new" / "saved.png", *slices, title)
        as_shown = grid.save(tmp_path / "shown.png")
        assert grid.alt == one_image(saved).text["Description"]
        difference = np.abs(pixels_of(saved) - pixels_of(as_shown))
        # Voxels of 1.4 pixels are interpolated by another library; here they are nothing but noise.
        assert difference.max() == 0 or (count == 12 and difference.mean() < 10)


def one_image(path):
    with Image.open(path) as image:
        image.load()
    return image


def pixels_of(path):
    return np.asarray(one_image(path).convert("RGB")).astype(int)


def test_saved_figures_must_be_png(tmp_path):
    with pytest.raises(ValueError, match=r"end the name in \.png"):
        plots.show_pairs(dataset()).save(tmp_path / "pairs.pdf")
    assert list(tmp_path.iterdir()) == []


# --- charts -------------------------------------------------------------------------------------


def test_histograms_count_every_voxel_on_a_log_scale():
    axes = plots.intensity_histograms(dataset()).figure.axes[0]
    assert axes.get_yscale() == "log"
    assert [patch.get_data().values.sum() for patch in axes.patches] == [4 * 16 * 16] * 2
    assert axes.patches[0].get_linestyle() != axes.patches[1].get_linestyle()


def test_joint_histogram_has_t1_on_the_horizontal_axis():
    t1, t2 = torch.full((1, 1, 4, 4), -0.995), torch.full((1, 1, 4, 4), 0.995)
    t1[0, 0, 0, 0] = 0.995
    shown = plots.joint_histogram(IXIDataset.from_tensors(t1, t2, ["sub-IXI000"]), None)
    counts = np.ma.filled(shown.figure.axes[0].collections[0].get_array(), 0)
    assert counts[99, 0] == 15
    assert counts[99, 99] == 1
    assert counts.sum() == 16


def test_lookup_is_drawn_as_equal_steps_over_the_range():
    lookup = torch.tensor([-0.5, 0.0, 0.25, 0.75])
    axes = plots.joint_histogram(dataset(), lookup).figure.axes[0]
    values, edges, _ = axes.patches[-1].get_data()
    assert values.tolist() == lookup.tolist()
    assert edges.tolist() == [-1, -0.5, 0, 0.5, 1]
    assert len(plots.joint_histogram(dataset()).figure.axes[0].patches) == 0


def test_a_training_under_way_has_a_panel_for_each_question():
    shown = plots.training_progress(*progress(), 5, "Training of 'cgan'")
    losses, judges, error = shown.figure.axes
    assert [axes.get_ylabel() for axes in (losses, judges, error)] == [
        "loss (no unit)",
        "loss, probability (no unit)",
        "PSNR, slices below (dB)",
    ]
    assert all(axes.get_xlim() == (0, 5.1) for axes in shown.figure.axes)
    labels = [text.get_text() for text in judges.get_legend().get_texts()]
    assert labels[-1] == "ln 2: cannot tell" and labels[1] == "P(true), true slices"
    assert "Training of 'cgan', 2 of 5 epochs." in shown.alt
    assert "P(true), generated slices: 0.30." in shown.alt
    assert "PSNR of the sample slices: 15.00 dB." in shown.alt


def test_a_training_that_has_just_begun_is_drawn_by_its_batches():
    epochs, parts, samples = progress()
    epochs, parts = (
        one.rename(columns={"discriminator": "discriminators"}) for one in (epochs[:0], parts[:1])
    )
    shown = plots.training_progress(epochs, parts, samples[:0], 5)
    assert len(shown.figure.axes) == 2
    assert "2 ln 2: cannot tell" in shown.figure.axes[1].get_legend_handles_labels()[1]
    assert "0 of 5 epochs. generator: 0.900 at 0.5 epochs." in shown.alt


def test_training_curves_differ_by_more_than_colour():
    axes = plots.training_curves(history(), "Losses").figure.axes[0]
    first, second = axes.lines
    assert first.get_linestyle() != second.get_linestyle()
    assert first.get_marker() != second.get_marker()
    assert first.get_xdata().tolist() == [1, 2, 3]


def test_reference_line_is_drawn_and_named_only_if_asked():
    shown = plots.training_curves(history(), "Losses", math.log(2), "chance")
    line = shown.figure.axes[0].lines[-1]
    assert line.get_ydata()[0] == pytest.approx(0.693, abs=1e-3)
    assert line.get_label() == "chance (0.693)"
    assert "chance, 0.693" in shown.alt
    assert len(plots.training_curves(history()).figure.axes[0].lines) == 2


def test_curves_of_something_else_than_losses_say_what_it_is():
    errors = history().rename_axis(index="noise", columns="cycle error")
    shown = plots.training_curves(errors, "Noise")
    assert shown.alt.startswith("Noise. Cycle error by noise.")
    axes = shown.figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("noise", "cycle error (no unit)")


def test_one_epoch_makes_a_curve_with_whole_epochs_on_the_axis():
    shown = plots.training_curves(history(1))
    shown.figure.draw_without_rendering()
    assert "1" in columns(shown)
    assert not any("." in label for label in columns(shown))
    assert shown.alt.count("at epoch 1") == 2


def test_only_baselines_are_hatched_and_values_are_written():
    shown = plots.metric_bars(metrics())
    assert [axes.get_title() for axes in shown.figure.axes] == ["MAE", "PSNR", "SSIM"]
    for axes in shown.figure.axes:
        baseline, network = axes.patches
        assert baseline.get_hatch()
        assert not network.get_hatch()
    written = [text.get_text() for axes in shown.figure.axes for text in axes.texts]
    assert written == ["0.073", "0.049", "16.66", "20.19", "0.924", "0.968"]


def test_metric_bars_label_what_was_not_measured_here():
    shown = plots.metric_bars(metrics())
    axes = shown.figure.axes[0]
    assert "Generator (stored): MAE 0.049, PSNR 20.19, SSIM 0.968." in shown.alt
    assert [bar.get_width() for bar in axes.patches] == [0.0731, 0.0492]
    assert rows(shown) == ["Mean T2-w image", "Generator\n(stored)"]


def test_metric_bars_say_that_a_training_was_stopped():
    table = metrics()
    table["source", ""] = "measured here on IXI, reference, stopped in epoch 3 of 20"
    assert rows(plots.metric_bars(table))[1] == "Generator\n(stopped in epoch 3 of 20)"


def test_contrast_bars_write_the_signals():
    shown = plots.contrast_bars(signals())
    written = [text.get_text() for text in shown.figure.axes[0].texts]
    assert written == ["0.20", "0.60", "1.00", "0.30"]
    assert columns(shown) == ["CSF", "white matter"]


def test_each_set_of_probabilities_has_a_row_of_its_own():
    shown = plots.probability_histograms(PROBABILITIES)
    axes = shown.figure.axes[0]
    true, generated = (patch.get_data() for patch in axes.patches)
    assert np.flatnonzero(true.values > 1).tolist() == [8, 24, 32, 39], "in fortieths"
    assert np.flatnonzero(generated.values).tolist() == [4]
    assert rows(shown) == ["generated", "true"], "from below"
    assert "true: 4 slices, mean 0.65, 75% above one half." in shown.alt


def test_a_long_legend_takes_several_rows():
    names = [f"discriminator number {k}, mean image" for k in range(4)]
    shown = plots.training_curves(pd.DataFrame([[0.5] * 4] * 3, columns=names), "Losses", 0.7)
    shown.figure.draw_without_rendering()
    axes = shown.figure.axes[0]
    assert axes.get_window_extent().width > 0.85 * shown.figure.bbox.width
    legend = axes.get_legend().get_window_extent()
    assert legend.x0 >= 0
    assert legend.x1 <= shown.figure.bbox.width


def test_methods_stand_at_their_fidelity_and_sharpness_under_their_names():
    shown = plots.perception_distortion(ablation())
    axes = shown.figure.axes[0]
    assert axes.lines[0].get_xdata().tolist() == [23.4, 20.4, 22.9]
    assert axes.lines[0].get_ydata().tolist() == [0.91, 0.99, 0.97]
    assert {"alone", "lambda 1", "lambda 0.01"} <= set(texts(shown))
    assert "lambda 1: 20.40 dB, sharpness 0.99." in shown.alt
    assert axes.lines[1].get_xdata().tolist() == [23.4], "the first one is told apart"
    assert axes.lines[1].get_label() == "alone"


@pytest.mark.parametrize("dpi", [72, 100], ids=["svg", "png"])
def test_names_of_many_methods_do_not_cover_each_other(dpi):
    shown = plots.perception_distortion(results.ablation("cyclegan"))
    shown.figure.set_dpi(dpi)
    shown.figure.draw_without_rendering()
    axes = shown.figure.axes[0]
    names = [Text.get_window_extent(note) for note in axes.texts]  # without the line to the point
    assert len(names) == len(axes.lines[0].get_xdata()) - 1 >= 12
    for place, box in enumerate(names):
        assert axes.bbox.x0 <= box.x0 < box.x1 <= axes.bbox.x1
        assert not any(other.overlaps(box) for other in names[:place])
    lines = [
        np.linspace(axes.transData.transform(note.xy), (box.min + box.max) / 2, 100)
        for note, box in zip(axes.texts, names, strict=True)
    ]
    for place, box in enumerate(names):
        for line in lines[:place] + lines[place + 1 :]:
            assert not ((line > box.min) & (line < box.max)).all(axis=1).any()


def test_agreement_shows_the_mean_difference_and_its_limits():
    shown = plots.bland_altman(*AREAS, "Area of the ventricles", "mm")
    points, zero, mean, upper, lower = shown.figure.axes[0].lines
    assert points.get_xdata().tolist() == [105, 200, 315]
    assert points.get_ydata().tolist() == [10, 0, 30]
    spread = 1.96 * np.std([10, 0, 30], ddof=1)
    heights = [line.get_ydata()[0] for line in (zero, mean, upper, lower)]
    assert heights == pytest.approx([0, 40 / 3, 40 / 3 + spread, 40 / 3 - spread])
    assert shown.figure.axes[0].get_ylabel() == "generated \N{MINUS SIGN} true (mm)"
    large = plots.bland_altman(AREAS[0] * 100, AREAS[1] * 100, "Area", "mm")
    assert "Mean difference 1333 mm, limits of agreement \N{MINUS SIGN}1661 to 4327 mm" in large.alt


def test_a_loss_that_hardly_moves_does_not_look_steep():
    slow = history().assign(generator=[0.693, 0.690, 0.687])
    low, high = plots.training_curves(slow, "Losses", math.log(2)).figure.axes[0].get_ylim()
    assert low == 0
    assert math.log(2) < high < 0.8


def test_sensitivity_has_a_colour_bar_of_its_own_and_the_slice_stays_grey():
    maps = {"weak": batch()[1].abs() / 100, "strong": batch()[2].abs()}
    shown = plots.sensitivity_maps(batch()[0], maps)
    grey, colour = shown.figure.axes[0].images
    assert (grey.get_clim(), grey.get_cmap().name) == ((-1, 1), "gray")
    assert (colour.get_clim(), colour.get_cmap().name) == ((0, 1), "magma")
    assert columns(shown) == ["the slice", "weak", "strong"]
    weak = np.ma.masked_invalid(colour.get_array())[2:18, 20:36]
    assert weak.max() == 1
    (bar,) = shown.figure.axes[0].child_axes
    assert "sensitivity" in bar.get_ylabel()
    assert "intensity" not in "".join(texts(shown))


# --- diagrams -----------------------------------------------------------------------------------


@pytest.fixture(params=DIAGRAMS.values(), ids=DIAGRAMS, scope="module")
def diagram(request):
    return request.param()


def test_a_diagram_is_shown_as_svg_with_alternative_text_the_same_in_every_run(diagram):
    attributes = image_tag(diagram)
    assert attributes["alt"] == diagram.alt
    assert attributes["width"] == "940"
    kind, _, data = attributes["src"].partition(";base64,")
    assert kind == "data:image/svg+xml"
    assert b"<svg" in base64.b64decode(data)
    assert diagram._repr_html_() == diagram._repr_html_()


def test_no_text_of_a_diagram_is_small_cut_off_or_over_another(diagram):
    figure = diagram.figure
    figure.draw_without_rendering()
    shown = [text for text in figure.findobj(Text) if text.get_text()]
    assert min(text.get_fontsize() for text in shown) >= 8
    boxes = {}
    for text in shown:
        box = text.get_window_extent()
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, text
        assert not [other for other, place in boxes.items() if box.overlaps(place)], text
        boxes[text] = box


def test_drawing_a_diagram_uses_up_no_random_numbers():
    before = torch.get_rng_state()
    plots.unet_diagram()
    plots.discriminator_diagrams()
    assert torch.equal(before, torch.get_rng_state())


def notebook_class(name):
    """Return a class that a cell of the source notebooks defines."""
    names = {"nn": torch.nn, "torch": torch, **vars(blocks)}
    for path in sorted(NOTEBOOKS.glob("*/*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code" and f"class {name}(" in cell.source:
                exec(cell.source, names)
                return names[name]
    raise AssertionError(f"no cell defines {name}")


def layers(network, *images):
    """Return what each layer of a network is and makes, in the order in which they run."""
    seen = []

    def note(layer, _, output):
        weights = [tuple(weight.shape) for weight in layer.parameters()]
        seen.append((type(layer).__name__, weights, tuple(output.shape)))

    for layer in network.modules():
        if not list(layer.children()):
            layer.register_forward_hook(note)
    with plain_layers(), torch.no_grad():
        network(*images)
    return seen


def test_the_diagram_of_the_u_net_shows_the_network_of_the_notebook():
    network = notebook_class("GeneratorUNet")()
    blocks_drawn, sizes = diagrams._unet()
    weights = [tuple(weight.shape) for weight in network.parameters()]
    assert weights == [
        tuple(w.shape) for block in blocks_drawn.values() for w in block.parameters()
    ]
    made = {}
    for name, block in network.named_children():
        block.register_forward_hook(lambda _, __, output, name=name: made.update({name: output}))
    network(torch.zeros(1, 1, 64, 64))
    assert {name: tuple(output.shape[1:]) for name, output in made.items()} == sizes
    alt = plots.unet_diagram().alt
    assert "down4 to up2, down3 to up3, down2 to up4, down1 to final" in alt
    assert "Conv2d 3 \N{MULTIPLICATION SIGN} 3, stride 2, padding 1" in alt


@pytest.mark.parametrize("name", ["Discriminator", "DiscriminatorCycle"])
def test_the_diagrams_of_the_discriminators_show_those_of_the_notebooks(name):
    network, drawn = notebook_class(name)(), diagrams._discriminators()[name]
    image = torch.zeros(1, 1, 64, 64)
    images = (image, image) if name == "Discriminator" else (image,)
    drawn = drawn.to_empty(device="cpu")
    assert layers(network, *images) == layers(drawn, torch.cat(images, dim=1))


# --- what is refused ----------------------------------------------------------------------------

REFUSED = {
    "no channel": (
        lambda: plots.sample_grid(batch()[:, 0], batch(), batch()),
        r"real_t1 has shape \(3, 16, 16\): expected \(N, 1, H, W\)",
    ),
    "two channels": (
        lambda: plots.error_maps(batch().repeat(1, 2, 1, 1), PREDICTIONS),
        r"real_t2 has shape \(3, 2, 16, 16\)",
    ),
    "other subjects": (
        lambda: plots.compare_methods(batch(), batch(), {"cGAN": batch(2)}),
        r"predictions\['cGAN'\] and real_t2 do not match",
    ),
    "other size": (
        lambda: plots.sample_grid(batch(), batch(size=8), batch()),
        "fake_t2 and real_t2 do not match",
    ),
    "no prediction": (lambda: plots.error_maps(batch(), {}), "predictions is empty"),
    "no image": (lambda: plots.show_images({}), "images holds 0 slices"),
    "a batch as image": (
        lambda: plots.show_images({"mean": batch()}),
        r"images\['mean'\] has shape \(3, 1, 16, 16\).*batch\[0\]",
    ),
    "images of two sizes": (
        lambda: plots.show_images({"a": batch()[0], "b": batch(size=8)[0]}),
        r"images\['b'\] and images\['a'\] do not match",
    ),
    "no subjects": (lambda: plots.show_pairs(dataset(), 0), "choose a number from 1 to 10"),
    "lookup with two axes": (
        lambda: plots.joint_histogram(dataset(), torch.zeros(10, 2)),
        r"lookup has shape \(10, 2\): expected \(n_bins,\)",
    ),
    "empty history": (lambda: plots.training_curves(history()[:0]), "history has 0 epochs"),
    "no metric": (lambda: plots.metric_bars(metrics()[["MAE"]]), "expected at least one row"),
    "no set": (lambda: plots.probability_histograms({}), "probabilities holds 0 sets"),
    "logits": (
        lambda: plots.probability_histograms({"true": torch.tensor([-1.0])}),
        r"runs from -1 to -1: expected values from 0 to 1.*torch\.sigmoid",
    ),
    "no number": (
        lambda: plots.probability_histograms({"true": torch.zeros(0)}),
        r"probabilities\['true'\] holds no numbers",
    ),
    "no sharpness": (lambda: plots.perception_distortion(metrics()), "columns"),
    "one subject": (
        lambda: plots.bland_altman(torch.ones(1), torch.ones(1), "Area", "mm"),
        "true holds 1 numbers and generated 1",
    ),
    "no map": (lambda: plots.sensitivity_maps(batch()[0], {}), "maps holds 0 maps"),
    "map of another size": (
        lambda: plots.sensitivity_maps(batch()[0], {"a": batch(size=8)[0]}),
        r"maps\['a'\] and image do not match",
    ),
    "unknown network": (
        lambda: plots.discriminator_diagrams("Critic"),
        "Unknown discriminator 'Critic': choose",
    ),
    "no signal": (lambda: plots.contrast_bars(signals()[["T1-w"]]), "signal_table has 2 rows"),
}


@pytest.mark.parametrize(("draw", "message"), REFUSED.values(), ids=REFUSED)
def test_wrong_input_is_refused_with_a_way_out(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
