"""Tests of `labhelpers.blocks`: layers, shapes, skip connections."""

import pytest
import torch

from labhelpers.blocks import (
    FinalLayer,
    PatchDiscriminator,
    UNetDown,
    UNetUp,
    discriminator_block,
)


@pytest.fixture
def features():
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("block", "names", "size"),
    [
        (UNetDown(3, 5), ["Conv2d", "InstanceNorm2d", "LeakyReLU"], 4),
        (UNetUp(3, 5), ["ConvTranspose2d", "InstanceNorm2d", "ReLU"], 16),
        (FinalLayer(3, 5), ["Upsample", "Conv2d", "Tanh"], 16),
        (discriminator_block(3, 5), ["Conv2d", "LeakyReLU"], 4),
    ],
)
def test_layers_in_order_and_shapes(block, names, size, features):
    layers = [layer for layer in block.modules() if not list(layer.children())]
    assert [type(layer).__name__ for layer in layers] == names
    assert block(features).shape == (2, 5, size, size)


@pytest.mark.parametrize("block_class", [UNetUp, FinalLayer])
def test_skip_comes_second_on_the_channels(block_class, features):
    skip = features.flip(0) + 1
    block = block_class(6, 2)
    expected = block.model(torch.cat([features, skip], dim=1))
    torch.testing.assert_close(block(features, skip), expected)
    torch.testing.assert_close(block(features, skip_input=skip), expected)


def test_skip_of_another_size_is_explained(features):
    with pytest.raises(ValueError, match=r"\(4, 4\) pixels large, but the input is \(8, 8\)"):
        UNetUp(6, 2)(features, features[..., ::2, ::2])


def test_final_layer_is_an_image_in_range(features):
    image = FinalLayer(3, 1)(1000 * features)
    assert image.min() >= -1
    assert image.max() <= 1


def test_leaky_slope():
    block = discriminator_block(1, 1)
    assert block[1].negative_slope == pytest.approx(0.2)
    assert UNetDown(1, 1).model[2].negative_slope == pytest.approx(0.2)


def seen_by(discriminator, image, *others):
    """Return for each voxel whether the logit depends on it."""
    image = image.clone().requires_grad_()
    discriminator(image, *others).sum().backward()
    return image.grad.abs().sum(dim=(0, 1)) > 0


def test_patch_discriminator_sees_every_voxel_and_gives_one_logit():
    image = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    conditional = PatchDiscriminator(2)
    assert conditional(image, image).shape == (2, 1, 1, 1)
    assert seen_by(conditional, image, image).all()
