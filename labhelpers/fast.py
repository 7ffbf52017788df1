"""The same numbers sooner: layers that are faster on small maps, and mixed precision."""

import functools
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "Accelerated",
    "ConvTranspose2d",
    "Sequential",
    "doubled_map",
    "gains_from_bfloat16",
    "plain_layers",
    "upsampled_conv2d",
]

_WORTHWHILE = 1.3  # times faster; below, rounding would buy nothing
_SMALL_MAP = 16  # positions; on larger maps PyTorch's own kernel is the faster one

_plain = False  # whether plain_layers() is in use

# How the three rows of a kernel fall on the rows of the map before it was doubled, for the upper
# and the lower of the two pixels that one row becomes: (pixel, row of the map, row of the kernel).
_ROWS = ([[1, 0, 0], [0, 1, 1], [0, 0, 0]], [[0, 0, 0], [1, 1, 0], [0, 0, 1]])


class ConvTranspose2d(nn.ConvTranspose2d):
    """Transposed convolution with kernel 4, stride 2 and padding 1 that is fast on small maps.

    A map of 2 x 2 or 4 x 4 gives a convolution little to do and many weights to rearrange at every
    step. There the layer is one matrix product: each position is multiplied with all kernels, and
    what overlaps is added. On a CPU this takes half to a quarter of the time for batches of 4 to 8.

    Made like PyTorch's layer; with another kernel, stride or padding it is that layer.

    Shape:
        Input `(N, in_channels, H, W)`, output `(N, out_channels, 2 H, 2 W)`.
    """

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # always twice the size
        """Return the layer's output, in the same order of memory as PyTorch's layer."""
        is_usual = (self.kernel_size, self.stride, self.padding) == ((4, 4), (2, 2), (1, 1))
        is_small = x.shape[2] * x.shape[3] <= _SMALL_MAP
        if not (is_usual and is_small and _may_be_rearranged(x, self)):
            return super().forward(x)
        assert self.bias is not None
        return doubled_map(x, self.weight, self.bias)


def doubled_map(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the transposed convolution with kernel 4, stride 2 and padding 1 as one product."""
    n_images, in_size, height, width = x.shape
    patches = torch.matmul(weight.reshape(in_size, -1).T, x.reshape(n_images, in_size, -1))
    images = F.fold(patches, (2 * height, 2 * width), (4, 4), padding=1, stride=2)
    return images + bias.view(1, -1, 1, 1).to(images.dtype)


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
    rows = _rows(convolution.weight.device, convolution.weight.dtype)
    weight = torch.einsum("oiyx,ahy,bwx->oabihw", convolution.weight, rows, rows)
    assert convolution.bias is not None
    bias = convolution.bias.repeat_interleave(4)
    return F.pixel_shuffle(F.conv2d(x, weight.flatten(0, 2), bias, padding=1), 2)


@functools.cache  # made anew, it would have to be copied to a GPU, which waits for that
def _rows(device: torch.device, dtype: torch.dtype) -> Tensor:
    with torch.inference_mode(False):  # it has to serve in training, too
        return torch.tensor(_ROWS, device=device, dtype=dtype)


class Sequential(nn.Sequential):
    """Runs layers one after the other; doubling a map and a convolution are one step.

    The first two layers are a nearest-neighbour `nn.Upsample` by 2 and an `nn.Conv2d` with kernel
    3, stride 1 and padding 1, see `upsampled_conv2d`.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return what the last layer makes of `x`."""
        _, convolution, *others = self
        if _plain or not isinstance(convolution, nn.Conv2d):
            return super().forward(x)
        x = upsampled_conv2d(x, convolution)
        for layer in others:
            x = layer(x)
        return x


def _may_be_rearranged(x: Tensor, layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    # A wrong number of channels goes to PyTorch's layer, which raises a clear error.
    return not _plain and x.shape[1] == layer.in_channels


@contextmanager
def plain_layers() -> Iterator[None]:
    """Let the layers of this module run as PyTorch's own, for a while.

    The checks of the exercises use this: they compare a network layer by layer.
    """
    global _plain
    before, _plain = _plain, True
    try:
        yield
    finally:
        _plain = before


class Accelerated(nn.Module):
    """Runs a network in mixed precision, where that is faster; what comes out is float32.

    In bfloat16 a number keeps the range of float32 but only three of its seven digits. Products are
    computed in it, weights and losses stay in float32, so your loss functions need not know.

    Used in the training functions of notebooks 2 to 4.

    Args:
        network: A network on the device where it will run, with at least one weight.
        skip_weight_gradients: Whether gradients of the weights are left out when an input carries a
            graph. Set it for a discriminator: in the generator's part of a step, whose image
            carries a graph, they would be computed and thrown away.
        use_bfloat16: Whether products are computed in bfloat16; None for where that is faster.

    Shape:
        Inputs and output are those of `network`.
    """

    def __init__(
        self,
        network: nn.Module,
        skip_weight_gradients: bool = False,
        use_bfloat16: bool | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.skip_weight_gradients = skip_weight_gradients
        self.device = next(network.parameters()).device
        self.use_bfloat16 = (
            gains_from_bfloat16(self.device) if use_bfloat16 is None else use_bfloat16
        )

    def forward(self, *images: Tensor, **named: Tensor) -> Tensor:
        """Return the network's output for the images, in float32."""
        inputs = (*images, *named.values())
        skip = self.skip_weight_gradients and any(image.requires_grad for image in inputs)
        precision: AbstractContextManager[None] = nullcontext()
        if self.use_bfloat16:  # not every device knows autocast
            precision = torch.autocast(self.device.type, torch.bfloat16)
        with precision:
            if skip:
                weights = {
                    name: weight.detach() for name, weight in self.network.named_parameters()
                }
                return torch.func.functional_call(self.network, weights, images, named).float()
            return self.network(*images, **named).float()


@functools.cache
def gains_from_bfloat16(device: torch.device) -> bool:
    """Return True if networks run clearly faster on `device` in bfloat16 than in float32.

    GPUs are known by their generation: from NVIDIA's Ampere on they have units for it. CPUs are
    measured, in a tenth of a second: a few have such units, on all others it is slower.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.ones(512, 512, dtype=dtype)
        seconds[dtype] = min(_seconds_of_product(matrix) for _ in range(5))
    return seconds[torch.float32] > _WORTHWHILE * seconds[torch.bfloat16]


def _seconds_of_product(matrix: Tensor) -> float:
    start = time.perf_counter()
    matrix @ matrix
    return time.perf_counter() - start
