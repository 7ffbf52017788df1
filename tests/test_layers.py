"""The fast layers: PyTorch's numbers and gradients, in every type, on every size of map."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from labhelpers.layers import ConvTranspose2d, upsampled_conv2d


def outcome(function, layer, x):
    """Return the output of `function(x)` and the gradients of a loss that weighs each voxel."""
    x = x.clone().requires_grad_()
    output = function(x)
    weights = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).reshape(output.shape)
    gradients = torch.autograd.grad((output * weights).sum(), [x, layer.weight, layer.bias])
    return [output, *gradients]


def assert_close(one, other):
    """Compare two outcomes; sums of many float32 numbers differ with their order."""
    exact = one[0].dtype == torch.float64
    tolerance = {} if exact else {"atol": 1e-4, "rtol": 1e-4}
    torch.testing.assert_close(one, other, **tolerance)


def features(size, dtype=torch.float32, n_channels=6):
    generator = torch.Generator().manual_seed(size)
    return torch.randn(3, n_channels, size, size, generator=generator, dtype=torch.float64).to(
        dtype
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1, 2, 4, 5, 8])
def test_transposed_convolution_has_the_numbers_of_pytorch(size, dtype):
    fast = ConvTranspose2d(6, 5).to(dtype)
    plain = nn.ConvTranspose2d(6, 5, kernel_size=4, stride=2, padding=1).to(dtype)
    plain.load_state_dict(fast.state_dict())
    x = features(size, dtype)
    assert_close(outcome(fast, fast, x), outcome(plain, plain, x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1, 2, 7])
@pytest.mark.parametrize("out_channels", [1, 3])
def test_upsampled_convolution_has_the_numbers_of_pytorch(size, out_channels, dtype):
    convolution = nn.Conv2d(6, out_channels, kernel_size=3, padding=1).to(dtype)

    def plain(x):
        return convolution(F.interpolate(x, scale_factor=2, mode="nearest"))

    def fast(x):
        return upsampled_conv2d(x, convolution)

    x = features(size, dtype)
    assert_close(outcome(fast, convolution, x), outcome(plain, convolution, x))


def test_small_maps_are_one_matrix_product(monkeypatch):
    layer = ConvTranspose2d(6, 5)
    monkeypatch.setattr(F, "conv_transpose2d", None)  # what PyTorch's layer calls
    assert layer(features(4)).shape == (3, 5, 8, 8)
    with pytest.raises(TypeError):
        layer(features(5))
    with pytest.raises(TypeError):
        layer(features(4).double())


def test_upsampled_map_is_never_made(monkeypatch):
    monkeypatch.setattr(F, "interpolate", None)
    assert upsampled_conv2d(features(4), nn.Conv2d(6, 1, 3, padding=1)).shape == (3, 1, 8, 8)


@pytest.mark.parametrize("size", [4, 8])
def test_mixed_precision_stays_close(size):
    layer, convolution = ConvTranspose2d(6, 5), nn.Conv2d(6, 1, 3, padding=1)
    x = features(size)
    exact = layer(x), upsampled_conv2d(x, convolution)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = layer(x), upsampled_conv2d(x, convolution)
    for one, other in zip(exact, rounded, strict=True):
        assert other.dtype == torch.bfloat16
        torch.testing.assert_close(other.float(), one, atol=0.05, rtol=0.05)


def test_wrong_number_of_channels_is_what_pytorch_says():
    with pytest.raises(RuntimeError, match=r"expected input\[3, 7, 4, 4\] to have 6 channels"):
        ConvTranspose2d(6, 5)(features(4, n_channels=7))
    with pytest.raises(RuntimeError, match=r"expected input\[3, 7, 8, 8\] to have 6 channels"):
        upsampled_conv2d(features(4, n_channels=7), nn.Conv2d(6, 1, 3, padding=1))
