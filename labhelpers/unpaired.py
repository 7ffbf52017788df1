"""Prepare unpaired training: slices of one brightness, and the pair of mean slices."""

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["MeanPair", "standardise_brightness"]

_BLACK = -1.0  # the value of air

# How a deformation is made up; sizes are parts of the typical displacement `strength`.
_STRETCH, _SHIFT = 0.8, 0.5  # of the affine part: its 2 x 2 matrix and its translation
_FIELDS = ((5, 1.0), (10, 0.4))  # of the smooth part: random points across the image, their size


def standardise_brightness(slices: Tensor) -> Tensor:
    """Scale every slice so that all have the same mean brightness; air stays black.

    The data were scaled slice by slice to the darkest and the brightest voxel, so one very bright
    voxel makes all others dark. That factor has nothing to do with the anatomy, and it cannot be
    predicted from the other modality. The mean depends on the anatomy, too, but less: large
    ventricles are bright in T2-w, so these slices become a little darker than they should be.

    Args:
        slices: `(N, 1, H, W)`, values in [-1, 1], none all black.

    Returns:
        Slices of the same shape, in [-1, 1]: what becomes too bright is cut off.
    """
    signal = slices - _BLACK
    factor = signal.mean() / signal.mean(dim=(1, 2, 3), keepdim=True)
    return (signal * factor + _BLACK).clamp(max=1)


class MeanPair:
    """The mean T1-w and the mean T2-w slice, deformed in the same way at random.

    All heads are aligned, so the mean of all T1-w slices and the mean of all T2-w slices show the
    same average head: a true pair, although no two slices are paired. Deformed anew each time, they
    teach which intensity belongs to which tissue, wherever it lies.

    Args:
        t1: T1-w slices `(N, 1, H, W)`, aligned, values in [-1, 1].
        t2: T2-w slices `(M, 1, H, W)` of the same or of other people.
        strength: Typical displacement, as a part of half the width of the image.
    """

    def __init__(self, t1: Tensor, t2: Tensor, strength: float = 0.06) -> None:
        self.means = torch.cat((t1.mean(dim=0), t2.mean(dim=0)))  # (2, H, W)
        self.strength = strength
        self._affine_sizes = self.means.new_tensor([_STRETCH, _STRETCH, _SHIFT])

    def sample(self, batch_size: int) -> tuple[Tensor, Tensor]:
        """Return T1-w and T2-w slices `(batch_size, 1, H, W)` of as many deformed mean heads."""
        height, width = self.means.shape[-2:]
        places = self._places(batch_size, height, width)
        # Outside the image `grid_sample` reads 0, which is to be black.
        signal = (self.means - _BLACK).expand(batch_size, -1, -1, -1)
        deformed = F.grid_sample(signal, places, align_corners=True) + _BLACK
        return deformed[:, :1], deformed[:, 1:]

    def _places(self, batch_size: int, height: int, width: int) -> Tensor:
        """Draw where each voxel comes from, `(batch_size, H, W, 2)`, in [-1, 1] across."""
        device = self.means.device
        affine = torch.randn(batch_size, 2, 3, device=device) * self._affine_sizes * self.strength
        affine = affine + torch.eye(2, 3, device=device)
        places = F.affine_grid(affine, [batch_size, 1, height, width], align_corners=True)
        for points, size in _FIELDS:
            field = torch.randn(batch_size, 2, points, points, device=device) * size * self.strength
            smooth = F.interpolate(field, (height, width), mode="bicubic", align_corners=True)
            places = places + smooth.permute(0, 2, 3, 1)
        return places
