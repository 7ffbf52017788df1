"""Building blocks of the generator and of the discriminators.

The layers of the module `fast` have the numbers of those of the same name in `torch.nn`.
"""

import torch
from torch import Tensor, nn

from labhelpers import fast

__all__ = ["FinalLayer", "PatchDiscriminator", "UNetDown", "UNetUp", "discriminator_block"]


def _with_skip(x: Tensor, skip_input: Tensor | None) -> Tensor:
    """Concatenate `x` and the skip connection, if there is one, on the channels."""
    if skip_input is None:
        return x
    if x.shape[-2:] != skip_input.shape[-2:]:
        raise ValueError(
            f"The skip connection is {tuple(skip_input.shape[-2:])} pixels large, but the input is "
            f"{tuple(x.shape[-2:])}. Both must have the same height and width: pass the output of "
            "the down block that has the same size."
        )
    return torch.cat((x, skip_input), dim=1)


class UNetDown(nn.Module):
    """Halve height and width: convolution, instance normalisation, leaky ReLU.

    Args:
        in_size: Number of input channels.
        out_size: Number of output channels.

    Shape:
        Input `(N, in_size, H, W)`, output `(N, out_size, H / 2, W / 2)`.
    """

    def __init__(self, in_size: int, out_size: int) -> None:
        super().__init__()
        self.model = nn.Sequential(
            nn.Conv2d(in_size, out_size, kernel_size=3, stride=2, padding=1),
            nn.InstanceNorm2d(out_size),
            nn.LeakyReLU(0.2),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of `x` at half its resolution."""
        return self.model(x)


class UNetUp(nn.Module):
    """Double height and width: transposed convolution, instance normalisation, ReLU.

    Args:
        in_size: Number of input channels, those of the skip connection included.
        out_size: Number of output channels.

    Shape:
        Input `(N, in_size, H, W)`, together with the skip connection;
        output `(N, out_size, 2 H, 2 W)`.
    """

    def __init__(self, in_size: int, out_size: int) -> None:
        super().__init__()
        self.model = nn.Sequential(
            fast.ConvTranspose2d(in_size, out_size, kernel_size=4, stride=2, padding=1),
            nn.InstanceNorm2d(out_size),
            nn.ReLU(),
        )

    def forward(self, x: Tensor, skip_input: Tensor | None = None) -> Tensor:
        """Return the features of `x` (and `skip_input`) at twice the resolution.

        Args:
            x: Features from the block below.
            skip_input: Features of the down block with the same height and width.

        Raises:
            ValueError: If the two differ in height or width.
        """
        return self.model(_with_skip(x, skip_input))


class FinalLayer(nn.Module):
    """Double height and width and make an image in [-1, 1]: upsampling, convolution, tanh.

    Args:
        in_size: Number of input channels, those of the skip connection included.
        out_size: Number of channels of the image.

    Shape:
        Input `(N, in_size, H, W)`, together with the skip connection;
        output `(N, out_size, 2 H, 2 W)`, values in [-1, 1].
    """

    def __init__(self, in_size: int, out_size: int) -> None:
        super().__init__()
        self.model = fast.Sequential(
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(in_size, out_size, kernel_size=3, padding=1),
            nn.Tanh(),
        )

    def forward(self, x: Tensor, skip_input: Tensor | None = None) -> Tensor:
        """Return the image made from `x` (and `skip_input`).

        Args:
            x: Features from the block below.
            skip_input: Features of the down block with the same height and width.

        Raises:
            ValueError: If the two differ in height or width.
        """
        return self.model(_with_skip(x, skip_input))


def discriminator_block(in_filters: int, out_filters: int) -> nn.Sequential:
    """Return a block that halves height and width: convolution, leaky ReLU.

    Args:
        in_filters: Number of input channels.
        out_filters: Number of output channels.

    Shape:
        Input `(N, in_filters, H, W)`, output `(N, out_filters, H / 2, W / 2)`.
    """
    return nn.Sequential(
        nn.Conv2d(in_filters, out_filters, kernel_size=3, stride=2, padding=1),
        nn.LeakyReLU(0.2),
    )


class PatchDiscriminator(nn.Module):
    """Discriminator that gives a logit for every patch of an image and returns their mean.

    PatchGAN of Isola et al., "Image-to-image translation with conditional adversarial networks",
    CVPR 2017. By its convolutions, each position of the last map sees a patch of 38 x 38 voxels;
    through the instance normalisations it depends a little on the whole slice, too. The mean counts
    all patches alike, so that a fault in one of them can be outweighed by the others.

    Args:
        in_channels: Channels of the image and, if it is to be called with one, the condition.

    Shape:
        Image and condition `(N, C, H, W)`; output `(N, 1, 1, 1)`, logits.
    """

    def __init__(self, in_channels: int = 1) -> None:
        super().__init__()
        self.patches = nn.Sequential(
            nn.Conv2d(in_channels, 64, kernel_size=4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(64, 128, kernel_size=4, stride=2, padding=1),
            nn.InstanceNorm2d(128),
            nn.LeakyReLU(0.2),
            nn.Conv2d(128, 256, kernel_size=4, stride=2, padding=1),
            nn.InstanceNorm2d(256),
            nn.LeakyReLU(0.2),
            nn.Conv2d(256, 1, kernel_size=3, padding=1),
        )

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return the logit of `image` being real, given `condition`, if there is one."""
        seen = image if condition is None else torch.cat((image, condition), dim=1)
        return self.patches(seen).mean(dim=(2, 3), keepdim=True)
