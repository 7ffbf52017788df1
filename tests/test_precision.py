"""Mixed precision: float32 outside, rounded inside, and no gradients that nobody uses."""

import pytest
import torch
from torch import nn

from labhelpers import precision
from labhelpers.blocks import PatchDiscriminator
from labhelpers.precision import Accelerated, gains_from_bfloat16

IMAGES = torch.linspace(-1, 1, 2 * 64 * 64).reshape(2, 1, 64, 64)


@pytest.fixture
def rounds(monkeypatch):
    """Make the machine one that gains from bfloat16, whatever it is."""
    monkeypatch.setattr(precision, "gains_from_bfloat16", lambda device: True)


@pytest.fixture
def does_not_round(monkeypatch):
    monkeypatch.setattr(precision, "gains_from_bfloat16", lambda device: False)


def test_output_is_float32_but_rounded(rounds):
    network = nn.Conv2d(1, 3, 3)
    output = Accelerated(network)(IMAGES)
    assert output.dtype == torch.float32
    assert torch.equal(output, output.bfloat16().float())
    torch.testing.assert_close(output, network(IMAGES), atol=0.02, rtol=0.02)


def test_same_numbers_where_nothing_is_gained(does_not_round):
    network = nn.Conv2d(1, 3, 3)
    assert torch.equal(Accelerated(network)(IMAGES), network(IMAGES))


def test_gradients_reach_the_weights_in_float32(rounds):
    network = nn.Conv2d(1, 3, 3)
    Accelerated(network)(IMAGES).mean().backward()
    assert network.weight.grad.dtype == torch.float32
    assert network.weight.grad.abs().sum() > 0


def test_autocast_ends_with_the_network(rounds):
    Accelerated(nn.Conv2d(1, 3, 3))(IMAGES)
    assert not torch.is_autocast_enabled("cpu")


def test_judging_an_image_with_a_graph_leaves_no_gradient_in_the_judge(does_not_round):
    judge = PatchDiscriminator()
    plain_gradient, gradient = (
        torch.autograd.grad(network(image).sum(), image)[0]
        for network in (judge, Accelerated(judge, judges=True))
        for image in [IMAGES.clone().requires_grad_()]
    )
    torch.testing.assert_close(gradient, plain_gradient)
    image = IMAGES.clone().requires_grad_()
    Accelerated(judge, judges=True)(image).sum().backward()
    assert all(parameter.grad is None for parameter in judge.parameters())


def test_judging_an_image_without_a_graph_trains_the_judge(does_not_round):
    judge = PatchDiscriminator()
    Accelerated(judge, judges=True)(IMAGES).sum().backward()
    assert all(parameter.grad is not None for parameter in judge.parameters())


def test_images_may_be_named(does_not_round):
    judge = PatchDiscriminator(2)
    fake = IMAGES.clone().requires_grad_()
    expected = judge(fake, IMAGES)
    fast = Accelerated(judge, judges=True)
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

    monkeypatch.setattr(precision, "_seconds_of_product", seconds)
    assert gains_from_bfloat16.__wrapped__(torch.device("cpu")) is gains
