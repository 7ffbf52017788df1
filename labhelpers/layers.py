"""Two layers of the blocks that give PyTorch's numbers in less time."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ConvTranspose2d", "upsampled_conv2d"]

_SMALL_MAP = 16  # positions; on larger maps PyTorch's own kernel is the faster one

# How the three rows of a kernel fall on the rows of the map before it was doubled, for the upper
# and the lower of the two pixels that one row becomes: (pixel, row of the map, row of the kernel).
_ROWS = ([[1, 0, 0], [0, 1, 1], [0, 0, 0]], [[0, 0, 0], [1, 1, 0], [0, 0, 1]])


class ConvTranspose2d(nn.ConvTranspose2d):
    """Transposed convolution with kernel 4, stride 2 and padding 1 that is fast on small maps.

    A map of 2 x 2 or 4 x 4 gives a convolution little to do and many weights to rearrange at every
    step. There the layer is one matrix product: each position is multiplied with all kernels, and
    what overlaps is added. On a CPU this takes half to a quarter of the time for batches of 4 to 8.

    Args:
        in_size: Number of input channels.
        out_size: Number of output channels.

    Shape:
        Input `(N, in_size, H, W)`, output `(N, out_size, 2 H, 2 W)`.
    """

    def __init__(self, in_size: int, out_size: int) -> None:
        super().__init__(in_size, out_size, kernel_size=4, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output, in the same order of memory as PyTorch's layer."""
        n_images, in_size, height, width = x.shape
        if height * width > _SMALL_MAP or not _may_be_rearranged(x, self):
            return super().forward(x)
        patches = torch.matmul(self.weight.reshape(in_size, -1).T, x.reshape(n_images, in_size, -1))
        images = F.fold(patches, (2 * height, 2 * width), self.kernel_size, padding=1, stride=2)
        return images + self.bias.view(1, -1, 1, 1).to(images.dtype)


def upsampled_conv2d(x: Tensor, convolution: nn.Conv2d) -> Tensor:
    """Return `convolution(upsample(x))` without ever making the upsampled map.

    Nearest-neighbour upsampling repeats every value, so that a kernel of 3 x 3 meets at most 2 x 2
    different values. Adding up the weights that meet the same value gives four kernels, one for
    each of the four pixels that a value becomes: the sub-pixel convolution of Shi et al.,
    "Real-time single image and video super-resolution", CVPR 2016, here with no more freedom than
    upsampling and convolution have. The map that is read is a quarter as large.

    Args:
        x: Features `(N, in_channels, H, W)`.
        convolution: Layer with kernel 3, stride 1 and padding 1.

    Returns:
        The map `(N, out_channels, 2 H, 2 W)`.
    """
    if not _may_be_rearranged(x, convolution):
        return convolution(F.interpolate(x, scale_factor=2, mode="nearest"))
    rows = convolution.weight.new_tensor(_ROWS)
    weight = torch.einsum("oiyx,ahy,bwx->oabihw", convolution.weight, rows, rows)
    bias = convolution.bias.repeat_interleave(4)
    return F.pixel_shuffle(F.conv2d(x, weight.flatten(0, 2), bias, padding=1), 2)


def _may_be_rearranged(x: Tensor, layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    # Who computes in double precision compares layer by layer, as the checks of the exercises do:
    # there the layers run as they are written down. And PyTorch says best what is wrong with x.
    return x.dtype != torch.float64 and x.shape[1] == layer.in_channels
