"""Layers that run sooner give PyTorch's numbers, forwards and backwards."""

from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn

from labhelpers.checks import kernels
from labhelpers.checks.trace import LayerTrace


def outcome(layer: nn.Module, x: Tensor, traced: bool) -> list[Tensor]:
    given = x.clone().requires_grad_()
    if traced:
        with LayerTrace():
            output = layer(given)
    else:
        output = layer(given)
    (output * output.detach().cos()).sum().backward()
    gradients = [parameter.grad.clone() for parameter in layer.parameters()]
    layer.zero_grad()
    return [output.detach(), given.grad, *gradients]


@pytest.mark.parametrize(
    ("layer", "size"),
    [
        (nn.ConvTranspose2d(6, 3, 4, stride=2, padding=1), 2),
        (nn.ConvTranspose2d(6, 3, 4, stride=2, padding=1), 8),
        (nn.Conv2d(6, 3, 3, padding=1), 9),
    ],
)
def test_layers_that_run_sooner(layer: nn.Module, size: int) -> None:
    layer.double()
    x = torch.randn(2, 6, size, size, dtype=torch.float64)
    plain = outcome(layer, x, traced=False)
    with patch.object(kernels.F, "fold", wraps=kernels.F.fold) as fold:
        sooner = outcome(layer, x, traced=True)
    assert fold.called
    for one, other in zip(plain, sooner, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    "layer",
    [
        nn.ConvTranspose2d(6, 3, 4, stride=2, padding=0),
        nn.ConvTranspose2d(6, 3, 2, stride=2, padding=1),
        nn.ConvTranspose2d(6, 4, 4, stride=2, padding=1, groups=2),
        nn.ConvTranspose2d(6, 3, 4, stride=2, padding=1, bias=False),
        nn.Conv2d(6, 3, 3, padding=1, padding_mode="circular"),
        nn.Conv2d(6, 3, 5, padding=1),
        nn.Conv2d(6, 3, 3, padding="same"),
        nn.Conv2d(6, 3, 3, padding=(1, 0)),
    ],
)
def test_other_layers(layer: nn.Module) -> None:
    layer.double()
    x = torch.randn(2, 6, 4, 4, dtype=torch.float64)
    for one, other in zip(outcome(layer, x, False), outcome(layer, x, True), strict=True):
        assert torch.equal(one, other)


def test_an_error_is_that_of_pytorch() -> None:
    layer = nn.ConvTranspose2d(6, 3, 4, stride=2, padding=1).double()
    with LayerTrace(), pytest.raises(RuntimeError, match="to have 6 channels"):
        layer(torch.randn(2, 5, 4, 4, dtype=torch.float64))
