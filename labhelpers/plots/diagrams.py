"""Draw the networks, layer by layer, and the methods as diagrams."""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Ellipse, FancyArrowPatch, FancyBboxPatch, Rectangle
from torch import Tensor, nn

from labhelpers.blocks import (
    FinalLayer,
    PatchDiscriminator,
    UNetDown,
    UNetUp,
    discriminator_block,
)
from labhelpers.phantom import simulate_pair
from labhelpers.plots.figure import AccessibleFigure, canvas, styled

__all__ = [
    "cycle_diagram",
    "discriminator_diagrams",
    "pairs_and_piles",
    "three_methods",
    "unet_diagram",
]

_SIZE = 64  # height and width of a slice in voxels; maps are drawn with one pixel per position

_INK, _GREY = "#222222", "#5a5a5a"
_BLUE, _VERMILLION, _GREEN, _PURPLE = "#0072B2", "#C24E00", "#00795A", "#9A4283"
_PALE = {_BLUE: "#d3e7f4", _VERMILLION: "#fbe3d0", _GREEN: "#d2efe6", _PURPLE: "#f1dcec"}
_PALE[_GREY] = "#eeeeee"

_TIMES, _ARROW = "\N{MULTIPLICATION SIGN}", " \N{RIGHTWARDS ARROW} "

# The blocks of the generator: channels that come from the block before, channels made, skip.
_BLOCKS = {
    "down1": (1, 64, None),
    "down2": (64, 128, None),
    "down3": (128, 256, None),
    "down4": (256, 512, None),
    "down5": (512, 512, None),
    "up1": (512, 512, None),
    "up2": (512, 256, "down4"),
    "up3": (256, 128, "down3"),
    "up4": (128, 64, "down2"),
    "final": (64, 1, "down1"),
}

Point = tuple[float, float]


class _Map(NamedTuple):
    """The size of a map of features."""

    channels: int
    height: int
    width: int

    def __str__(self) -> str:
        return f" {_TIMES} ".join(map(str, self))


# --- networks -----------------------------------------------------------------------------------


@styled
def unet_diagram() -> AccessibleFigure:
    """Draw the generator of notebook 2: its blocks, its skip connections and all sizes."""
    blocks, maps = _unet()
    title = "GeneratorUNet: from a T1-w slice to a T2-w slice"
    figure, axes = canvas(940, 570, title)
    heights = [100.0, 190, 258, 316, 370, 424]  # of the rows, one for each size of a map
    down = [name for name in blocks if name.startswith("down")]
    up = [name for name in blocks if name.startswith("up")]

    place = {name: (150.0 + 62 * row, heights[row]) for row, name in enumerate(["input", *down])}
    place["down5"] = (474, heights[5])
    place |= {name: (562.0 + 60 * row, heights[4 - row]) for row, name in enumerate(up)}
    place["final"] = (802, heights[0])
    maps["input"] = _Map(1, _SIZE, _SIZE)

    _head(axes, place["input"], _SIZE, "T1")
    _head(axes, place["final"], _SIZE, "T2")
    _label(axes, (150, 56), "T1-w slice", bold=True)
    _label(axes, (802, 56), "generated T2-w slice", bold=True)
    for name in down:
        _draw_map(axes, place[name], maps[name], _BLUE)
    for name in up:
        _draw_map(axes, place[name], maps[name], _VERMILLION)
    for before, name in itertools.pairwise(["input", *blocks]):
        colour = _BLUE if name in down else _VERMILLION if name in up else _GREEN
        (x, y), (to_x, to_y) = place[before], place[name]
        y += _below(maps[before]) if to_y > y else -_above(maps[before])
        to_y += -_above(maps[name]) if to_y > y else _below(maps[name])
        _arrow(axes, (x, y), (to_x, to_y))
        _tag(axes, ((x + to_x) / 2, (y + to_y) / 2), name, colour)

    for name in ["input", *down]:
        x, y = place[name]
        _label(axes, (x - _below(maps[name]) - 5, y), str(maps[name]), align="right")
    for name, skip in zip(up, reversed(down[:-1]), strict=True):
        x, y = place[name]
        channels, height, width = maps[name]
        copy = x - _extent(maps[name]) - _depth(maps[name]) - 3
        _draw_map(axes, (copy, y), maps[skip], _BLUE)
        start, end = place[skip][0] + _above(maps[skip]) + 1, copy - _below(maps[skip])
        _arrow(axes, (start, y), (end, y), _BLUE, linestyle=(0, (4, 3)))
        text = f"({channels} + {maps[skip].channels}) {_TIMES} {height} {_TIMES} {width}"
        _label(axes, (x + _above(maps[name]) + 5, y), text, align="left")
    _label(axes, (474, heights[0] + 76), "skip connections", colour=_GREY)
    x, y = place["final"]
    _label(axes, (x + 40, y), str(maps["final"]), align="left")

    joined = "concatenation with the skip"
    legend = {
        "down": (_BLUE, _layers_in_words(blocks["down1"])),
        "up": (_VERMILLION, f"{joined} (not up1){_ARROW}{_layers_in_words(blocks['up2'])}"),
        "final": (_GREEN, f"{joined}{_ARROW}{_layers_in_words(blocks['final'])}"),
    }
    for row, (name, (colour, words)) in enumerate(legend.items()):
        _tag(axes, (52, 474 + 26 * row), name, colour)
        _label(axes, (84, 474 + 26 * row), words, align="left")
    note = (
        f"Sizes: channels {_TIMES} height {_TIMES} width; the squares are drawn to scale. In "
        "brackets: channels from the block before + from the skip connection."
    )
    _label(axes, (30, 556), note, align="left", colour=_GREY)
    alt = (
        f"Diagram of a U-Net. A T1-w slice, {maps['input']}, goes down through "
        + ", ".join(f"{name} to {maps[name]}" for name in down)
        + "; then up through "
        + ", ".join(f"{name} to {maps[name]}" for name in [*up, "final"])
        + ". Skip connections: "
        + ", ".join(f"{skip} to {name}" for name, (_, _, skip) in _BLOCKS.items() if skip)
        + ". "
        + " ".join(f"{name}: {words}." for name, (_, words) in legend.items())
    )
    return AccessibleFigure(figure, alt, vector=True)


@styled
def discriminator_diagrams(*names: str) -> AccessibleFigure:
    """Draw discriminators of notebooks 3 and 4, layer by layer, one below the other.

    Args:
        names: Which ones: `Discriminator`, `PatchDiscriminator`, `DiscriminatorCycle`; all of them
            without any.

    Raises:
        ValueError: If a name is none of these.
    """
    networks = _discriminators()
    for name in names:
        if name not in networks:
            raise ValueError(f"Unknown discriminator {name!r}: choose from {', '.join(networks)}.")
    names = names or tuple(networks)
    height = 176
    title = "Discriminators, layer by layer" if len(names) > 1 else f"{names[0]}, layer by layer"
    figure, axes = canvas(940, 44 + height * len(names) + 26, title)
    alts = []
    for row, name in enumerate(names):
        alts.append(_draw_discriminator(axes, 44 + height * row, name, networks[name]))
    note = f"Sizes: channels {_TIMES} height {_TIMES} width; the squares are drawn to scale."
    _label(axes, (30, 44 + height * len(names) + 10), note, align="left", colour=_GREY)
    return AccessibleFigure(figure, " ".join(alts), vector=True)


def _discriminators() -> dict[str, nn.Sequential]:
    """Return the discriminators by name, as sequences that read all channels at once."""
    channels = (64, 128, 256, 512)

    def blocks(in_channels: int) -> list[nn.Module]:
        return [discriminator_block(*pair) for pair in itertools.pairwise((in_channels, *channels))]

    with torch.device("meta"):
        return {
            "Discriminator": nn.Sequential(*blocks(2), nn.Conv2d(512, 1, kernel_size=1, stride=4)),
            "PatchDiscriminator": PatchDiscriminator(2).patches,
            "DiscriminatorCycle": nn.Sequential(*blocks(1), nn.Conv2d(512, 1, kernel_size=4)),
        }


def _draw_discriminator(axes: Axes, top: float, name: str, network: nn.Sequential) -> str:
    """Draw a discriminator in a row below `top` and return its alternative text."""
    steps: list[list[nn.Module]] = []  # a convolution with the layers after it
    for layer in _layers(network):
        if isinstance(layer, nn.Conv2d):
            steps.append([])
        steps[-1].append(layer)
    features = torch.empty(1, 1 if name == "DiscriminatorCycle" else 2, _SIZE, _SIZE, device="meta")
    sizes = [_Map(*features.shape[1:])]
    words = []
    for step in steps:
        features = nn.Sequential(*step)(features)
        sizes.append(_Map(*features.shape[1:]))
        words.append((_in_words(step[0]).split(", "), [_in_words(layer) for layer in step[1:]]))
    if sizes[-1].width > 1:
        sizes.append(_Map(1, 1, 1))
        words.append((["mean over all"], ["positions"]))
    weights = sum(parameter.numel() for parameter in network.parameters())
    conditional = sizes[0].channels == 2
    reads = "a T2-w slice and, as condition, the T1-w slice" if conditional else "one slice"
    _label(axes, (30, top + 8), f"{name}: reads {reads}; {weights:,} parameters", "left", bold=True)

    y, distance = top + 80, 810 / (len(sizes) - 1)
    if conditional:
        _head(axes, (60, y - 14), _SIZE, "T2")
        _head(axes, (76, y + 10), _SIZE, "T1")
    else:
        _head(axes, (70, y), _SIZE, "T2")
    _label(axes, (74, y + 52), str(sizes[0]))
    for place, (size, (above, below)) in enumerate(zip(sizes[1:], words, strict=True), 1):
        x, previous = 70 + place * distance, sizes[place - 1]
        last = place == len(sizes) - 1
        _draw_map(axes, (x, y), size, _VERMILLION if last else _BLUE)
        start = x - distance + _extent(previous) / 2 + max(_depth(previous), 8) + 5
        end = x - _extent(size) / 2 - 5
        _arrow(axes, (start, y), (end, y))
        for line, text in enumerate([*above, "", *below]):
            offset = 14 * (line - len(above)) + 1
            _label(axes, ((start + end) / 2 - 3, y + offset), text, size=8)
        _label(axes, (x, y + 52), f"logit: {size}" if last else str(size))
    layers = [
        ", ".join([*above, *below]) + f" to {size}"
        for size, (above, below) in zip(sizes[1:], words, strict=True)
    ]
    return f"Diagram of {name}, which reads {reads}, {sizes[0]}: {'; '.join(layers)}: the logit."


def _unet() -> tuple[dict[str, nn.Module], dict[str, _Map]]:
    """Return the generator's blocks by name, and the sizes of what they make of a slice."""
    blocks: dict[str, nn.Module] = {}
    made: dict[str, Tensor] = {}
    with torch.device("meta"):  # sizes without numbers: no random numbers are used up
        x = torch.empty(1, 1, _SIZE, _SIZE)
        for name, (in_size, out_size, skip) in _BLOCKS.items():
            if name.startswith("down"):
                blocks[name] = UNetDown(in_size, out_size)
                x = blocks[name](x)
            else:
                kind = FinalLayer if name == "final" else UNetUp
                blocks[name] = kind(in_size + (made[skip].shape[1] if skip else 0), out_size)
                x = blocks[name](x, made[skip] if skip else None)
            made[name] = x
    return blocks, {name: _Map(*features.shape[1:]) for name, features in made.items()}


def _layers_in_words(block: nn.Module) -> str:
    return _ARROW.join(_in_words(layer) for layer in _layers(block))


def _layers(network: nn.Module) -> list[nn.Module]:
    """Return the layers of a network in order, without the blocks that hold them."""
    return [layer for layer in network.modules() if not list(layer.children())]


def _in_words(layer: nn.Module) -> str:
    """Return the name of a layer with the numbers that matter."""
    match layer:
        case nn.Conv2d() | nn.ConvTranspose2d():
            name = "ConvTranspose2d" if isinstance(layer, nn.ConvTranspose2d) else "Conv2d"
            kernel, stride, padding = layer.kernel_size[0], layer.stride[0], layer.padding[0]
            return f"{name} {kernel} {_TIMES} {kernel}, stride {stride}, padding {padding}"
        case nn.Upsample():
            return f"Upsample {_TIMES} {layer.scale_factor:g} ({layer.mode})"
        case nn.LeakyReLU():
            return f"LeakyReLU {layer.negative_slope:g}"
    return type(layer).__name__


# --- shapes -------------------------------------------------------------------------------------


def _extent(size: _Map) -> float:
    """Return how many pixels wide a map is drawn."""
    return max(size.width, 5)


def _sheets(size: _Map) -> int:
    return 1 if size.channels < 4 else round(math.log2(size.channels)) - 3


def _depth(size: _Map) -> float:
    """Return how far the sheets behind the first one stand out."""
    return 2.5 * (_sheets(size) - 1)


def _below(size: _Map) -> float:
    """Return how far below its centre an arrow to or from a map ends."""
    return _extent(size) / 2 + 3


def _above(size: _Map) -> float:
    """Return how far above its centre an arrow to or from a map ends."""
    return _below(size) + _depth(size)


def _draw_map(axes: Axes, centre: Point, size: _Map, colour: str) -> None:
    """Draw a map as sheets, more of them for more channels."""
    side = _extent(size)
    for sheet in reversed(range(_sheets(size))):
        corner = (centre[0] - side / 2 + 2.5 * sheet, centre[1] - side / 2 - 2.5 * sheet)
        pale = _PALE[colour]
        axes.add_patch(Rectangle(corner, side, side, facecolor=pale, edgecolor=colour, lw=0.8))


def _label(
    axes: Axes, place: Point, text: str, align: str = "center", colour: str = _INK, size: float = 9,
    bold: bool = False,
) -> None:  # fmt: skip
    weight = "bold" if bold else "normal"
    axes.text(*place, text, ha=align, va="center", fontsize=size, color=colour, fontweight=weight)


def _tag(axes: Axes, centre: Point, text: str, colour: str) -> None:
    box = {"boxstyle": "round,pad=0.25", "facecolor": _PALE[colour], "edgecolor": colour}
    axes.text(*centre, text, ha="center", va="center", fontsize=9, color=_INK, bbox=box)


def _arrow(
    axes: Axes, start: Point, end: Point, colour: str = _INK, ends: str = "-|>", **look: Any
) -> None:
    look |= {"mutation_scale": 9, "shrinkA": 0, "shrinkB": 0, "linewidth": 1.1}
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle=ends, color=colour, **look))


def _head(axes: Axes, centre: Point, side: float, contrast: str) -> None:
    """Draw a small head: fluid is dark in T1-w and bright in T2-w."""
    x, y = centre
    scalp, fluid, grey, white = {
        "T1": ("#dddddd", "#333333", "#8c8c8c", "#b9b9b9"),
        "T2": ("#aaaaaa", "#fafafa", "#8f8f8f", "#5f5f5f"),
    }[contrast]
    axes.add_patch(Rectangle((x - side / 2, y - side / 2), side, side, color="black", linewidth=0))
    shapes = [
        ((0, 0), 0.72, 0.88, 0, scalp),
        ((0, 0), 0.66, 0.82, 0, "black"),
        ((0, 0), 0.60, 0.76, 0, fluid),
        ((0, 0), 0.56, 0.72, 0, grey),
        ((0, 0), 0.42, 0.58, 0, white),
        ((-0.07, 0.02), 0.08, 0.26, 12, fluid),
        ((0.07, 0.02), 0.08, 0.26, -12, fluid),
    ]
    for (dx, dy), width, height, angle, colour in shapes:
        place = (x + dx * side, y + dy * side)
        axes.add_patch(
            Ellipse(place, width * side, height * side, angle=angle, facecolor=colour, linewidth=0)
        )


# --- methods ------------------------------------------------------------------------------------


@styled
def cycle_diagram() -> AccessibleFigure:
    """Draw the two cycles of a CycleGAN (notebook 4): from T1-w to T2-w and back, and reversed."""
    figure, axes = canvas(940, 470, "CycleGAN: two generators, two discriminators, two cycles")
    there = (("T1", "G", "T2", "H"), ("T2", "H", "T1", "G"))
    for row, (kind, forth, other, back) in enumerate(there):
        y = 116 + 212 * row
        _head(axes, (110, y), 84, kind)
        _head(axes, (450, y), 84, other)
        _head(axes, (790, y), 84, kind)
        x = f"x_{{{kind}}}"
        _label(axes, (110, y + 54), f"true {kind}-w slice ${x}$")
        _label(axes, (450, y + 54), f"generated {other}-w slice ${forth}({x})$")
        _label(axes, (790, y + 54), f"back in {kind}-w: ${back}({forth}({x}))$")
        for start, name in ((152, forth), (492, back)):
            _arrow(axes, (start + 6, y), (start + 250, y))
            _tag(
                axes, (start + 126, y), f"generator ${name}$", _VERMILLION if name == "G" else _BLUE
            )
        _arrow(axes, (450, y + 64), (450, y + 80))
        _tag(
            axes,
            (450, y + 91),
            f"discriminator $D_{{{other}}}$: is it a true {other}-w slice?",
            _GREEN,
        )
        bow = "arc3,rad=-0.05"
        _arrow(axes, (120, y - 46), (780, y - 46), _PURPLE, "<|-|>", connectionstyle=bow)
        _tag(axes, (450, y - 64), "cycle loss: mean absolute difference", _PURPLE)
    note = "No loss compares a generated slice with the true one of the same person."
    _label(axes, (30, 452), note, align="left", colour=_GREY)
    alt = (
        "Diagram of a CycleGAN. Upper row: generator G makes a T2-w slice from a true T1-w slice, "
        "and generator H makes a T1-w slice from that; the cycle loss compares it with the true "
        "T1-w slice it began with. Discriminator D_T2 judges the generated T2-w slice. Lower row: "
        "the same the other way round, first H, then G, with discriminator D_T1. " + note
    )
    return AccessibleFigure(figure, alt, vector=True)


@styled
def three_methods() -> AccessibleFigure:
    """Draw the three methods of the lab side by side: what each reads, makes and learns from."""
    figure, axes = canvas(940, 452, "Three ways to learn the step from T1-w to T2-w")
    pairs, no_pairs = "pairs: both slices of each person", "no pairs: slices of different people"
    columns = (
        ("Notebook 2: generator alone", pairs, "voxel-wise loss"),
        ("Notebook 3: conditional GAN", pairs, "voxel-wise loss, adversarial loss"),
        ("Notebook 4: CycleGAN", no_pairs, "adversarial losses, cycle loss"),
    )
    for column, (name, data, losses) in enumerate(columns):
        left, top, bottom = 20 + 306 * column, 156, 296
        t1, t2, middle = left + 58, left + 230, left + 144
        frame = FancyBboxPatch((left, 40), 288, 370, "round,pad=0,rounding_size=8")
        frame.set(facecolor="#f7f7f7", edgecolor="#bbbbbb")
        axes.add_patch(frame)
        _label(axes, (middle, 60), name, bold=True, size=10)
        _label(axes, (middle, 82), data, colour=_GREY)
        _label(axes, (middle, 388), losses, colour=_PURPLE)
        _label(axes, (t1, top - 47), "true T1-w")
        _head(axes, (t1, top), 72, "T1")
        _label(axes, (t2, top - 47), "generated T2-w")
        _head(axes, (t2, top), 72, "T2")
        _arrow(axes, (t1 + 40, top), (t2 - 40, top))
        _tag(axes, (middle, top), "generator" if column < 2 else "$G$", _VERMILLION)
        _head(axes, (t2, bottom), 72, "T2")
        _label(axes, (t2, bottom + 47), "true T2-w")
        between = (top + bottom) / 2
        if column < 2:
            _arrow(axes, (t2, top + 40), (t2, bottom - 40), _PURPLE, "<|-|>")
            _tag(axes, (t2, between), "voxel-wise loss", _PURPLE)
        if column == 1:
            judge = (t1, bottom - 14)
            _arrow(axes, (t1, top + 40), (t1, judge[1] - 28))
            _arrow(axes, (t2 - 40, top + 36), (t1 + 52, judge[1] - 14))
            _arrow(axes, (t2 - 40, bottom), (t1 + 52, judge[1] + 6))
            _tag(axes, judge, "discriminator:\ntrue or\ngenerated?", _GREEN)
        if column == 2:
            _head(axes, (t1, bottom), 72, "T1")
            _label(axes, (t1, bottom + 47), "generated T1-w")
            _arrow(axes, (t2 - 40, bottom), (t1 + 40, bottom))
            _tag(axes, (middle, bottom), "$H$", _BLUE)
            for x, kind in ((t1, "T1"), (t2, "T2")):
                _arrow(axes, (x, top + 40), (x, between - 12))
                _arrow(axes, (x, bottom - 40), (x, between + 12))
                _tag(axes, (x, between), f"$D_{{{kind}}}$", _GREEN)
            _label(axes, (middle, 366), "cycle: there and back again", colour=_GREY)
    note = (
        "The same generator network, the same test subjects and the same metrics for all three; "
        "notebook 1 adds the baselines."
    )
    _label(axes, (470, 430), note, colour=_GREY)
    alt = "Diagram of the three methods of the lab. " + " ".join(
        f"{name}: {data}; {losses}." for name, data, losses in columns
    )
    return AccessibleFigure(figure, f"{alt} {note}", vector=True)


@styled
def pairs_and_piles() -> AccessibleFigure:
    """Draw pairs beside sets without pairs: slices, and paintings as in the CycleGAN paper.

    All heads are simulated ones, see `labhelpers.phantom`.
    """
    figure, axes = canvas(940, 356, "Pairs, and two sets without pairs")
    panels = (
        ("Pairs", "T1-w", "T2-w", "the same people above and below"),
        ("Two sets of slices", "T1-w", "T2-w", "other people above and below"),
        (
            "Paintings and photographs",
            "painted",
            "photographed",
            "nobody photographed what was painted",
        ),
    )
    people = [simulate_pair(subject) for subject in range(9)]
    for panel, (name, above, below, words) in enumerate(panels):
        left = 20 + 306 * panel
        frame = FancyBboxPatch((left, 40), 288, 278, "round,pad=0,rounding_size=8")
        frame.set(facecolor="#f7f7f7", edgecolor="#bbbbbb")
        axes.add_patch(frame)
        _label(axes, (left + 144, 60), name, bold=True, size=10)
        _label(axes, (left + 144, 300), words, colour=_GREY)
        for row, kind in enumerate((above, below)):
            y = 128 + 114 * row
            axes.text(left + 17, y, kind, rotation=90, ha="center", va="center", fontsize=9)
            for column in range(3):
                x = left + 70 + 84 * column
                t1, t2 = people[column if panel == 0 else column + 3 * row + 3 * (panel == 2)]
                if kind == "painted":
                    _painting(axes, (x, y), 78, t2)
                else:
                    image = t2 if kind in ("T2-w", "photographed") else t1
                    box = (x - 39, x + 39, y + 39, y - 39)
                    axes.imshow(
                        image.T.numpy(), "gray", origin="lower", extent=box, aspect="auto", zorder=2
                    )
                if panel == 0 and row == 1:
                    _arrow(axes, (x, y - 73), (x, y - 41), _PURPLE, "<|-|>")
    axes.set(xlim=(0, 940), ylim=(356, 0))  # `imshow` changes them
    note = (
        "Simulated heads. A CycleGAN learns from sets: it needs no pair, and cannot tell who "
        "belongs to whom."
    )
    _label(axes, (470, 338), note, colour=_GREY)
    alt = (
        "Three panels with heads of simulated people in two rows. Pairs: T1-w slices of three "
        "people above, T2-w slices of the same three below, joined by arrows. Two sets of slices: "
        "T1-w slices of three people above, T2-w slices of three others below, nothing joins them. "
        "Paintings and photographs: three heads in coloured strokes of a brush above, the slices "
        f"of three others below, nothing joins them. {note}"
    )
    return AccessibleFigure(figure, alt, vector=True)


def _painting(axes: Axes, centre: Point, side: float, image: Tensor) -> None:
    """Draw a slice `(64, 64)` in strokes of a brush, each along the edge that it lies on."""
    rng = np.random.default_rng(0)
    picture = image.numpy()
    across_x, across_y = np.gradient(picture)
    spots = rng.uniform(2, _SIZE - 2, (700, 2))
    in_air = picture[tuple(spots.astype(int).T)] < -0.85
    spots = spots[~in_air | (rng.uniform(size=len(spots)) < 0.1)]
    x, y = spots.astype(int).T
    angle = np.arctan2(across_x[x, y], -across_y[x, y]) + rng.normal(0, 0.3, len(spots))
    reach = np.stack((np.cos(angle), np.sin(angle)), axis=1) * 2.4  # voxels
    scale = side / _SIZE
    corner = np.array((centre[0] - side / 2, centre[1] + side / 2))
    ends = [corner + (spots + sign * reach) * (scale, -scale) for sign in (-1, 1)]
    grey = ((picture[x, y] + 1) / 2) ** 0.7 + rng.normal(0, 0.05, len(spots))
    colours = matplotlib.colormaps["YlGnBu_r"](grey.clip(0, 1))
    left, top = centre[0] - side / 2, centre[1] - side / 2
    ground = Rectangle((left, top), side, side, facecolor=colours.min(axis=0), linewidth=0)
    axes.add_patch(ground)
    strokes = LineCollection(list(np.stack(ends, axis=1)), colors=colours, linewidths=2.6)
    strokes.set_clip_path(ground)
    axes.add_collection(strokes)
