"""The fast layers have PyTorch's numbers and gradients; mixed precision stays close."""

import contextlib

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from labhelpers import fast
from labhelpers.blocks import PatchDiscriminator
from labhelpers.checks.trace import LayerTrace
from labhelpers.fast import (
    Accelerated,
    ConvTranspose2d,
    gains_from_bfloat16,
    plain_layers,
    upsampled_conv2d,
)


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
    fast = ConvTranspose2d(6, 5, 4, 2, 1).to(dtype)
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


def test_a_layer_that_was_first_used_for_inference_can_be_trained():
    fast._rows.cache_clear()
    convolution = nn.Conv2d(6, 1, kernel_size=3, padding=1)
    with torch.inference_mode():
        upsampled_conv2d(features(4), convolution)
    upsampled_conv2d(features(4), convolution).sum().backward()
    assert convolution.weight.grad.abs().sum() > 0


def layers_of(function, x):
    """Return the layers that a trace shows while `function(x)` runs."""
    with LayerTrace() as trace:
        function(x)
    return [entry["layer"] for entry in trace.layers]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_small_maps_take_another_way_unless_plain_layers_are_asked_for(dtype):
    layer = ConvTranspose2d(6, 5, 4, 2, 1).to(dtype)
    plain = ["ConvTranspose2d 6→5, 4×4"]
    assert layers_of(layer, features(4, dtype)) != plain
    assert layers_of(layer, features(5, dtype)) == plain
    with plain_layers():
        assert layers_of(layer, features(4, dtype)) == plain
    assert layers_of(layer, features(4, dtype)) != plain


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_upsampled_map_is_only_made_if_plain_layers_are_asked_for(dtype):
    convolution = nn.Conv2d(6, 1, 3, padding=1).to(dtype)
    sizes = []
    convolution.register_forward_hook(lambda layer, inputs, output: sizes.append(inputs[0].shape))
    assert upsampled_conv2d(features(4, dtype), convolution).shape == (3, 1, 8, 8)
    assert sizes == []
    with plain_layers():
        upsampled_conv2d(features(4, dtype), convolution)
    assert sizes == [(3, 6, 8, 8)]


def test_plain_layers_end_after_an_error():
    with contextlib.suppress(ValueError), plain_layers():
        raise ValueError
    assert layers_of(ConvTranspose2d(6, 5, 4, 2, 1), features(4)) != ["ConvTranspose2d 6→5, 4×4"]


@pytest.mark.parametrize("size", [4, 8])
def test_mixed_precision_stays_close(size):
    layer, convolution = ConvTranspose2d(6, 5, 4, 2, 1), nn.Conv2d(6, 1, 3, padding=1)
    x = features(size)
    exact = layer(x), upsampled_conv2d(x, convolution)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = layer(x), upsampled_conv2d(x, convolution)
    for one, other in zip(exact, rounded, strict=True):
        assert other.dtype == torch.bfloat16
        torch.testing.assert_close(other.float(), one, atol=0.05, rtol=0.05)


def test_wrong_number_of_channels_is_what_pytorch_says():
    with pytest.raises(RuntimeError, match=r"expected input\[3, 7, 4, 4\] to have 6 channels"):
        ConvTranspose2d(6, 5, 4, 2, 1)(features(4, n_channels=7))
    with pytest.raises(RuntimeError, match=r"expected input\[3, 7, 8, 8\] to have 6 channels"):
        upsampled_conv2d(features(4, n_channels=7), nn.Conv2d(6, 1, 3, padding=1))


IMAGES = torch.linspace(-1, 1, 2 * 64 * 64).reshape(2, 1, 64, 64)


@pytest.fixture
def rounds(monkeypatch):
    """Make the machine one that gains from bfloat16, whatever it is."""
    monkeypatch.setattr(fast, "gains_from_bfloat16", lambda device: True)


@pytest.fixture
def does_not_round(monkeypatch):
    monkeypatch.setattr(fast, "gains_from_bfloat16", lambda device: False)


@pytest.fixture
def network():
    return nn.Conv2d(1, 3, 3)


def test_output_is_float32_but_rounded(rounds, network):
    output = Accelerated(network)(IMAGES)
    assert output.dtype == torch.float32
    assert torch.equal(output, output.bfloat16().float())
    torch.testing.assert_close(output, network(IMAGES), atol=0.02, rtol=0.02)
    assert not torch.is_autocast_enabled("cpu")


def test_same_numbers_where_nothing_is_gained_unless_asked_for(does_not_round, network):
    assert torch.equal(Accelerated(network)(IMAGES), network(IMAGES))

    assert not torch.equal(Accelerated(network, use_bfloat16=True)(IMAGES), network(IMAGES))


def test_precision_that_is_asked_for_comes_before_what_is_faster(rounds, network):
    assert torch.equal(Accelerated(network, use_bfloat16=False)(IMAGES), network(IMAGES))


def test_gradients_reach_the_weights_in_float32(rounds, network):
    Accelerated(network)(IMAGES).mean().backward()
    assert network.weight.grad.dtype == torch.float32
    assert network.weight.grad.abs().sum() > 0


def test_judging_an_image_with_a_graph_leaves_no_gradient_in_the_judge(does_not_round):
    judge = PatchDiscriminator()
    plain_gradient, gradient = (
        torch.autograd.grad(network(image).sum(), image)[0]
        for network in (judge, Accelerated(judge, skip_weight_gradients=True))
        for image in [IMAGES.clone().requires_grad_()]
    )
    torch.testing.assert_close(gradient, plain_gradient)
    image = IMAGES.clone().requires_grad_()
    Accelerated(judge, skip_weight_gradients=True)(image).sum().backward()
    assert all(parameter.grad is None for parameter in judge.parameters())


def test_judging_an_image_without_a_graph_trains_the_judge(does_not_round):
    judge = PatchDiscriminator()
    Accelerated(judge, skip_weight_gradients=True)(IMAGES).sum().backward()
    assert all(parameter.grad is not None for parameter in judge.parameters())


def test_images_may_be_named(does_not_round):
    judge = PatchDiscriminator(2)
    fake = IMAGES.clone().requires_grad_()
    expected = judge(fake, IMAGES)
    fast = Accelerated(judge, skip_weight_gradients=True)
    torch.testing.assert_close(fast(fake, condition=IMAGES), expected)
    torch.testing.assert_close(fast(image=fake, condition=IMAGES), expected)
    fast(image=fake, condition=IMAGES).sum().backward()
    assert all(parameter.grad is None for parameter in judge.parameters())


def test_a_generator_behind_another_one_keeps_its_gradient(does_not_round):
    network = nn.Conv2d(1, 1, 1)
    Accelerated(network)(IMAGES.clone().requires_grad_()).sum().backward()
    assert network.weight.grad is not None


def test_old_gpus_and_other_devices_do_not_round(monkeypatch):
    gains_from_bfloat16.cache_clear()
    for capability, gains in (((7, 5), False), ((8, 0), True), ((9, 0), True)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, c=capability: c)
        assert gains_from_bfloat16.__wrapped__(torch.device("cuda")) is gains
    assert gains_from_bfloat16(torch.device("mps")) is False


@pytest.mark.parametrize(
    ("seconds_of_bfloat16", "gains"), [(0.5, True), (0.9, False), (3.0, False)]
)
def test_cpu_is_measured(monkeypatch, seconds_of_bfloat16, gains):
    def seconds(matrix):
        return seconds_of_bfloat16 if matrix.dtype == torch.bfloat16 else 1.0

    monkeypatch.setattr(fast, "_seconds_of_product", seconds)
    assert gains_from_bfloat16.__wrapped__(torch.device("cpu")) is gains
