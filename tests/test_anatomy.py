import pytest
import torch

from labhelpers.anatomy import head_outline, head_overlap, middle_grey, scaled
from labhelpers.phantom import simulate_pair

X, Y = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")


def disc(radius: float, x: float = 32, y: float = 32) -> torch.Tensor:
    return ((X - x).square() + (Y - y).square() < radius**2)[None]


def test_finite_values_are_stretched_to_0_to_1():
    image = torch.tensor([[10.0, 20.0], [30.0, float("nan")]])
    assert scaled(image).tolist() == [[0, 0.5], [1, 0]]


def test_the_outline_has_no_holes():
    ring = disc(24) & ~disc(20)
    assert torch.equal(head_outline(2.0 * ring - 1), disc(24))


def test_outlines_agree_whatever_the_scale_and_the_contrast():
    bright, dark = 1.0 * disc(24), 100 + 0.2 * disc(24) + disc(6)
    assert head_overlap(bright, dark) == 1
    dark[0, 32, 40] = float("inf")
    assert head_overlap(bright, dark) == 1


def test_overlap_is_the_common_part_of_both_outlines():
    inner, outer = 1.0 * disc(15), 1.0 * disc(30)
    assert head_overlap(inner, outer) == pytest.approx(0.25, abs=0.01)
    assert head_overlap(disc(5, 10) * 1.0, disc(5, 50) * 1.0) == 0


@pytest.mark.parametrize("subject", range(3))
def test_the_grey_of_the_middle_tells_the_contrasts(subject: int):
    t1, t2 = simulate_pair(subject)
    assert middle_grey(t1) > 0.6 > middle_grey(t2)
    assert middle_grey(127.5 * (t1 + 1)) == pytest.approx(middle_grey(t1))
    t1[30, 30] = float("nan")
    assert middle_grey(t1) > 0.6
