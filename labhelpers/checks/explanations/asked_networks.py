"""The networks as the statements describe them: their layers, and what lies between."""

from __future__ import annotations

from dataclasses import dataclass

from labhelpers.checks.explanations.flow import Flow, Joined, Step

__all__ = ["DOWN", "JUDGE", "UP", "Wanted", "pair_discriminator", "unet"]

#: What follows a layer on the way down and up in the U-Net, and in the discriminator.
DOWN = ("instance normalisation", "leaky ReLU 0.2")
UP = ("instance normalisation", "ReLU")
JUDGE = ("leaky ReLU 0.2",)


@dataclass(frozen=True)
class Wanted:
    """A network as the statement describes it: its steps, and where the output comes from."""

    steps: list[Step]
    output: Flow


def _layer(name: str, kind: str, channels: tuple[int, int], reads: Flow, **fields: str) -> Step:
    sizes = {"input channels": str(channels[0]), "output channels": str(channels[1])}
    return Step(name, kind, sizes | fields, reads)


def unet(in_channels: int, out_channels: int) -> Wanted:
    """Return the U-Net of the drawing."""
    half = {"kernel": "3×3", "stride": "2", "padding": "1"}
    double = {"kernel": "4×4", "stride": "2", "padding": "1"}
    whole = {"kernel": "3×3", "stride": "1", "padding": "1"}

    def beside(below: int, left: int) -> Joined:
        return Joined("axis 1", (Flow(below, UP), Flow(left, DOWN)))

    widths = [in_channels, 64, 128, 256, 512, 512]
    steps = [
        _layer(
            f"down{number}",
            "Conv2d",
            (widths[number - 1], widths[number]),
            Flow(number - 1, DOWN) if number > 1 else Flow("x"),
            **half,
        )
        for number in range(1, 6)
    ]
    up = ("ConvTranspose2d",)
    steps += [
        _layer("up1", *up, (512, 512), Flow(5, DOWN), **double),
        _layer("up2", *up, (1024, 256), Flow(beside(6, 4)), **double),
        _layer("up3", *up, (512, 128), Flow(beside(7, 3)), **double),
        _layer("up4", *up, (256, 64), Flow(beside(8, 2)), **double),
        _layer(
            "final",
            "Conv2d",
            (128, out_channels),
            Flow(beside(9, 1), ("upsampling ×2 (nearest)",)),
            **whole,
        ),
    ]
    return Wanted(steps, Flow(10, ("tanh",)))


def pair_discriminator(in_channels: int) -> Wanted:
    """Return the discriminator of an image and its condition."""
    block = {"kernel": "3×3", "stride": "2", "padding": "1"}
    widths = [2 * in_channels, 64, 128, 256, 512]
    both = Flow(Joined("axis 1", (Flow("image"), Flow("condition"))))
    steps = [
        _layer(
            f"block {number}",
            "Conv2d",
            (widths[number - 1], widths[number]),
            Flow(number - 1, JUDGE) if number > 1 else both,
            **block,
        )
        for number in range(1, 5)
    ]
    last = {"kernel": "1×1", "stride": "4", "padding": "0"}
    steps.append(_layer("last layer", "Conv2d", (512, 1), Flow(4, JUDGE), **last))
    return Wanted(steps, Flow(5))
