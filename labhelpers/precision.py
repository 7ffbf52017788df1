"""Run a network in the number format in which this machine multiplies fastest."""

import functools
import time
from contextlib import nullcontext

import torch
from torch import Tensor, nn

__all__ = ["Accelerated", "gains_from_bfloat16"]

_WORTHWHILE = 1.3  # times faster; below, rounding would buy nothing


class Accelerated(nn.Module):
    """Runs a network in mixed precision, where that is faster; what comes out is float32.

    In bfloat16 a number keeps the range of float32 but only three of its seven digits. Products are
    computed in it, weights and losses stay in float32, so your loss functions need not know.

    A discriminator is asked twice in every step: by the generator, whose image carries a graph, and
    for its own update, about images without one. Only the second is meant to change its weights,
    so the first does not compute their gradients, which would be thrown away.

    Used in the training functions of notebooks 2 to 4.

    Args:
        network: A network on the device where it will run, with at least one weight.
        judges: Whether it is a discriminator.

    Shape:
        Inputs and output are those of `network`.
    """

    def __init__(self, network: nn.Module, judges: bool = False) -> None:
        super().__init__()
        self.network = network
        self.judges = judges
        self.device = next(network.parameters()).device
        self.rounds = gains_from_bfloat16(self.device)

    def forward(self, *images: Tensor, **named: Tensor) -> Tensor:
        """Return what the network makes of the images, in float32."""
        precision = nullcontext()
        if self.rounds:  # not every device knows autocast
            precision = torch.autocast(self.device.type, torch.bfloat16)
        with precision:
            if self.judges and any(image.requires_grad for image in (*images, *named.values())):
                weights = {
                    name: weight.detach() for name, weight in self.network.named_parameters()
                }
                return torch.func.functional_call(self.network, weights, images, named).float()
            return self.network(*images, **named).float()


@functools.cache
def gains_from_bfloat16(device: torch.device) -> bool:
    """Tell whether networks run clearly faster on `device` in bfloat16 than in float32.

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
