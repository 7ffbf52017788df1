"""What slices of different people share: a brightness, and an average head."""

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["MeanPair", "standardise_brightness"]

_BLACK = -1.0  # the value of air
_COARSE, _FINE = 5, 10  # points across the image at which a deformation is drawn


def standardise_brightness(slices: Tensor) -> Tensor:
    """Scale every slice so that all have the same mean brightness; air stays black.

    Each slice was scaled to its own darkest and brightest voxel, so one very bright voxel makes all
    others dark. That factor has nothing to do with the anatomy, and no translation can know it.

    Used in notebook 4, section "Unpaired batches".

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

    In aligned heads the mean of one pile and the mean of the other show the same average head, so
    they are a true pair although nobody's slices are paired. Deformed anew each time, they teach
    which grey belongs to which tissue, wherever it lies.

    Used in notebook 4, section "Training".

    Args:
        t1: T1-w slices `(N, 1, H, W)`, aligned, values in [-1, 1].
        t2: T2-w slices `(M, 1, H, W)` of the same or of other people.
        strength: Typical displacement, as a part of half the image.
    """

    def __init__(self, t1: Tensor, t2: Tensor, strength: float = 0.06) -> None:
        self.means = torch.cat((t1.mean(dim=0), t2.mean(dim=0)))  # (2, H, W)
        self.strength = strength

    def sample(self, batch_size: int) -> tuple[Tensor, Tensor]:
        """Return T1-w and T2-w slices `(batch_size, 1, H, W)` of as many deformed mean heads."""
        height, width = self.means.shape[-2:]
        places = self._places(batch_size, height, width).to(self.means.device)
        signal = (self.means - _BLACK).expand(batch_size, -1, -1, -1)
        deformed = F.grid_sample(signal, places, align_corners=True) + _BLACK
        return deformed[:, :1], deformed[:, 1:]

    def _places(self, batch_size: int, height: int, width: int) -> Tensor:
        """Draw for each voxel the place it comes from, `(N, H, W, 2)`, in [-1, 1] across."""
        eye = torch.eye(2, 3).expand(batch_size, -1, -1)
        turn = torch.randn(batch_size, 2, 3) * torch.tensor([0.8, 0.8, 0.5]) * self.strength
        places = F.affine_grid(eye + turn, [batch_size, 1, height, width], align_corners=True)
        for points, part in ((_COARSE, 1.0), (_FINE, 0.4)):
            field = torch.randn(batch_size, 2, points, points) * part * self.strength
            smooth = F.interpolate(field, (height, width), mode="bicubic", align_corners=True)
            places = places + smooth.permute(0, 2, 3, 1)
        return places
