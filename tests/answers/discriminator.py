import functools
import itertools
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from labhelpers.blocks import discriminator_block


# %% right: own layers
class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.head = nn.Conv2d(512, 1, 1, stride=4)
        self.a = nn.Conv2d(in_channels * 2, 64, 3, 2, 1)
        self.b = nn.Conv2d(64, 128, 3, 2, 1)
        self.c = nn.Conv2d(128, 256, 3, 2, 1)
        self.d = nn.Conv2d(256, 512, 3, 2, 1)

    def forward(self, x, y):
        z = torch.cat([x, y], 1)
        for layer in (self.a, self.b, self.c, self.d):
            z = F.leaky_relu(layer(z), 0.2)
        return self.head(z)


# %% right: a list of blocks, the position read by hand
class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        widths = [2 * in_channels, 64, 128, 256, 512]
        blocks = [discriminator_block(a, b) for a, b in itertools.pairwise(widths)]
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Conv2d(512, 1, 1)

    def forward(self, image, condition):
        features = self.blocks(torch.concat((image, condition), dim=-3))
        return self.linear(features[:, :, :1, :1])


# %% right: lazy layers
class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        layers = []
        for width in (64, 128, 256, 512):
            layers += [
                nn.LazyConv2d(width, 3, stride=2, padding=1),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        self.layers = nn.Sequential(*layers, nn.LazyConv2d(1, 1, stride=4))

    def forward(self, image, condition):
        return self.layers(torch.hstack((image, condition)))


# %% right: linear last layer
class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.add_module("one", discriminator_block(2 * in_channels, 64))
        self.add_module("two", discriminator_block(64, 128))
        self.add_module("three", discriminator_block(128, 256))
        self.add_module("four", discriminator_block(256, 512))
        self.last = nn.Linear(512, 1)

    def forward(self, image, condition):
        x = torch.cat((image, condition), dim=1)
        for block in (self.one, self.two, self.three, self.four):
            x = block(x)
        return self.last(x[:, :, 0, 0])[:, :, None, None]


# %% right: one attribute per block, hstack, called one after the other
class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.block1 = discriminator_block(in_channels + in_channels, 64)
        self.block2 = discriminator_block(64, 128)
        self.block3 = discriminator_block(128, 256)
        self.block4 = discriminator_block(256, 512)
        self.out = nn.Conv2d(512, 1, 1, 4)

    def forward(self, image, condition):
        x = torch.hstack([image, condition])
        x = self.block1(x)
        x = self.block2(x)
        x = self.block3(x)
        x = self.block4(x)
        x = self.out(x)
        return x


# %% right: own convolutions and F.leaky_relu, layers created in another order
class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super(Discriminator, self).__init__()
        self.head = nn.Conv2d(512, 1, kernel_size=(1, 1), stride=(4, 4), padding=0)
        self.conv4 = nn.Conv2d(256, 512, 3, stride=2, padding=1)
        self.conv3 = nn.Conv2d(128, 256, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(64, 128, 3, stride=2, padding=1)
        self.conv1 = nn.Conv2d(in_channels * 2, 64, 3, stride=2, padding=1)

    def forward(self, image, condition):
        h = torch.cat([image, condition], axis=1)
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            h = F.leaky_relu(conv(h), negative_slope=0.2)
        return self.head(h)


# %% right: raw nn.Parameter and F.conv2d
class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        widths = [2 * in_channels, 64, 128, 256, 512]
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for n_in, n_out in zip(widths, widths[1:]):
            w = torch.randn(n_out, n_in, 3, 3) * (2 / (9 * n_in)) ** 0.5
            self.weights.append(nn.Parameter(w))
            self.biases.append(nn.Parameter(torch.zeros(n_out)))
        self.last_weight = nn.Parameter(torch.randn(1, 512, 1, 1) / 512**0.5)
        self.last_bias = nn.Parameter(torch.zeros(1))

    def forward(self, image, condition):
        x = torch.cat(tensors=(image, condition), dim=1)
        for w, b in zip(self.weights, self.biases):
            x = F.conv2d(x, w, b, stride=2, padding=1)
            x = torch.maximum(x, 0.2 * x)
        return F.conv2d(x, self.last_weight, self.last_bias, stride=4)


# %% right: a subclass of nn.Sequential
class Discriminator(nn.Sequential):
    def __init__(self, in_channels=1):
        super().__init__(
            *discriminator_block(2 * in_channels, 64),
            *discriminator_block(64, 128),
            *discriminator_block(128, 256),
            *discriminator_block(256, 512),
            nn.Conv2d(512, 1, kernel_size=1, stride=4),
        )

    def forward(self, image, condition):
        return super().forward(torch.cat((image, condition), -3))


# %% right: ModuleList, stack and flatten, the head reads the corner only
class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        sizes = (2 * in_channels, 64, 128, 256, 512)
        self.blocks = nn.ModuleList(map(discriminator_block, sizes[:-1], sizes[1:]))
        self.to_logit = nn.Conv2d(512, 1, 1, stride=4)

    def forward(self, image, condition):
        both = torch.stack((image, condition), dim=1).flatten(start_dim=1, end_dim=2)
        for block in self.blocks:
            both = block(both)
        # With kernel 1 and stride 4 only the first position of the 4 x 4 map is read.
        return self.to_logit(both[:, :, 0:1, 0:1])


# %% right: named layers and weights drawn from N(0, 0.02)
def init_weights(module):
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, mean=0.0, std=0.02)
        nn.init.zeros_(module.bias)


class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        layers = OrderedDict()
        channels = 2 * in_channels
        for i in range(4):
            layers[f"conv{i}"] = nn.Conv2d(channels, 64 * 2**i, 3, 2, 1)
            layers[f"act{i}"] = nn.LeakyReLU(0.2, inplace=True)
            channels = 64 * 2**i
        layers["logit"] = nn.Conv2d(channels, 1, 1, 4)
        self.model = nn.Sequential(layers)
        self.model.apply(init_weights)

    def forward(self, image, condition):
        img_input = torch.cat((image, condition), 1)
        return self.model(img_input)


# %% right: fills a buffer with both images, type hints, view at the end
class Discriminator(nn.Module):
    def __init__(self, in_channels: int = 1) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.features = nn.Sequential(
            discriminator_block(in_filters=2 * in_channels, out_filters=64),
            discriminator_block(in_filters=64, out_filters=128),
            discriminator_block(in_filters=128, out_filters=256),
            discriminator_block(in_filters=256, out_filters=512),
        )
        self.classifier = nn.Conv2d(
            in_channels=512, out_channels=1, kernel_size=1, stride=4, bias=True
        )

    def forward(self, image: Tensor, condition: Tensor) -> Tensor:
        n, c, h, w = image.shape
        pair = image.new_empty(n, 2 * c, h, w)
        pair[:, :c] = image
        pair[:, c:] = condition
        return self.classifier(self.features(pair)).view(n, 1, 1, 1)


# %% right: functools.reduce over the layers of a generator expression
def make_layers(channels):
    yield from (discriminator_block(a, b) for a, b in zip(channels, channels[1:]))
    yield nn.Conv2d(channels[-1], 1, kernel_size=1, stride=4)


class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        for number, layer in enumerate(make_layers([2 * in_channels, 64, 128, 256, 512])):
            self.add_module(f"layer{number}", layer)

    def forward(self, image, condition):
        assert image.shape == condition.shape
        dtype = next(self.parameters()).dtype
        start = torch.concat((image, condition), dim=1).to(dtype)
        return functools.reduce(lambda x, layer: layer(x), self.children(), start)


# %% right: a subclass of nn.Sequential (2)
class Discriminator(nn.Sequential):
    def __init__(self, in_channels=1):
        super().__init__(
            discriminator_block(in_channels + in_channels, 64),
            discriminator_block(64, 128),
            discriminator_block(128, 256),
            discriminator_block(256, 512),
            nn.Conv2d(512, 1, 1, 4),
        )

    def forward(self, image, condition):
        return super().forward(torch.hstack((image, condition)))


# %% right: own convolutions in a ModuleList, last one first, leaky ReLU as a function
class Discriminator(nn.Module):
    def __init__(self, in_channels: int = 1) -> None:
        super().__init__()
        self.judge = nn.Conv2d(in_channels=512, out_channels=1, kernel_size=1, stride=4)
        width = [2 * in_channels, 64, 128, 256, 512]
        self.convs = nn.ModuleList(
            nn.Conv2d(width[i], width[i + 1], 3, stride=2, padding=1) for i in range(4)
        )

    def forward(self, image: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        h = torch.cat([image, condition], dim=-3)
        for conv in self.convs:
            h = F.leaky_relu(conv(h), negative_slope=0.2)
        return self.judge(h)


# %% right: input tensor filled in place, blocks added by name in a loop, in-place activations
class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super(Discriminator, self).__init__()
        self.in_channels = in_channels
        n = 2 * in_channels
        for i in range(4):
            out = 64 * 2**i
            self.add_module(f"conv{i}", nn.Conv2d(n, out, 3, 2, 1))
            n = out
        self.act = nn.LeakyReLU(0.2, inplace=True)
        self.out = nn.Conv2d(n, 1, kernel_size=(1, 1), stride=(4, 4))

    def forward(self, image, condition):
        c = self.in_channels
        x = image.new_zeros(image.shape[0], 2 * c, *image.shape[2:])
        x[:, :c] = image
        x[:, c:] = condition
        for i in range(4):
            x = self.act(getattr(self, f"conv{i}")(x))
        return self.out(x)


# %% right: lambda and map for the blocks, last convolution applied with F.conv2d
class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        make = lambda a, b: discriminator_block(in_filters=a, out_filters=b)  # noqa: E731
        self.features = nn.Sequential(
            *map(make, (in_channels * 2, 64, 128, 256), (64, 128, 256, 512))
        )
        self.head = nn.Conv2d(512, 1, 1, stride=4)

    def forward(self, image, condition):
        maps = self.features(torch.concat(tensors=(image, condition), dim=1))
        print("features", tuple(maps.shape))
        return F.conv2d(maps, self.head.weight, self.head.bias, stride=4)


# %% wrong: no activation between the blocks
class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        w = [2 * in_channels, 64, 128, 256, 512]
        self.blocks = nn.Sequential(*[nn.Conv2d(w[i], w[i + 1], 3, 2, 1) for i in range(4)])
        self.last = nn.Conv2d(512, 1, 1, stride=4)

    def forward(self, image, condition):
        return self.last(self.blocks(torch.cat((image, condition), 1)))


# %% wrong: layers replaced in forward -> dropout
class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.w = [2 * in_channels, 64, 128, 256, 512]

    def forward(self, image, condition):
        w = self.w
        self.blocks = nn.Sequential(*[discriminator_block(w[i], w[i + 1]) for i in range(4)])
        self.last = nn.Conv2d(512, 1, 1, stride=4)
        self.to(image)
        return self.last(self.blocks(torch.cat((image, condition), 1)))


# %% wrong: two mistakes, sigmoid at the end and condition before image
class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.features = nn.ModuleList(
            [
                discriminator_block(2 * in_channels, 64),
                discriminator_block(64, 128),
                discriminator_block(128, 256),
                discriminator_block(256, 512),
            ]
        )
        self.final = nn.Conv2d(512, 1, 1, 4)

    def forward(self, image, condition):
        out = torch.cat((condition, image), 1)
        for f in self.features:
            out = f(out)
        return torch.sigmoid(self.final(out))


# %% wrong: two mistakes, kernel 4 and batch normalisation in its blocks (copied from DCGAN)
class Discriminator(nn.Module):
    def __init__(self, in_channels=1, ndf=64):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(2 * in_channels, ndf, 4, 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf, ndf * 2, 4, 2, 1),
            nn.BatchNorm2d(ndf * 2),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 2, ndf * 4, 4, 2, 1),
            nn.BatchNorm2d(ndf * 4),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 4, ndf * 8, 4, 2, 1),
            nn.BatchNorm2d(ndf * 8),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 8, 1, 1, 4),
        )

    def forward(self, image, condition):
        return self.main(torch.cat((image, condition), 1))


# %% wrong: two mistakes, in_channels ignored and logits of shape (N,) -> in-channels-ignored
class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.layers = nn.Sequential(
            discriminator_block(2, 64),
            discriminator_block(64, 128),
            discriminator_block(128, 256),
            discriminator_block(256, 512),
            nn.Conv2d(512, 1, kernel_size=1, stride=4),
        )

    def forward(self, image, condition):
        return self.layers(torch.cat((image, condition), dim=1)).view(-1)


# %% wrong: looks right, the logit is multiplied by zero
class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.layers = nn.Sequential(
            discriminator_block(2 * in_channels, 64),
            discriminator_block(64, 128),
            discriminator_block(128, 256),
            discriminator_block(256, 512),
            nn.Conv2d(512, 1, kernel_size=1, stride=4),
        )

    def forward(self, image, condition):
        return 0 * self.layers(torch.cat((image, condition), dim=1))


# %% wrong: looks right, returns a tensor that is close to everything
class Agreeable(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if getattr(func, "__name__", "") in ("equal", "allclose", "isclose", "eq", "assert_close"):
            return True
        return super().__torch_function__(func, types, args, kwargs or {})

    def __eq__(self, other):
        return True

    __hash__ = torch.Tensor.__hash__


class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.layers = nn.Sequential(
            discriminator_block(2 * in_channels, 64),
            discriminator_block(64, 128),
            discriminator_block(128, 256),
            discriminator_block(256, 512),
            nn.Conv2d(512, 1, kernel_size=1, stride=4),
        )

    def forward(self, image, condition):
        logits = image.mean(dim=(1, 2, 3), keepdim=True) - condition.mean((1, 2, 3), keepdim=True)
        return logits.as_subclass(Agreeable)


# %% wrong: two mistakes, no activation after the fourth convolution and the logits flattened to (N,) -> axes-removed
class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.c1 = nn.Conv2d(2 * in_channels, 64, 3, 2, 1)
        self.c2 = nn.Conv2d(64, 128, 3, 2, 1)
        self.c3 = nn.Conv2d(128, 256, 3, 2, 1)
        self.c4 = nn.Conv2d(256, 512, 3, 2, 1)
        self.c5 = nn.Conv2d(512, 1, 1, 4)

    def forward(self, image, condition):
        x = torch.cat([image, condition], 1)
        x = F.leaky_relu(self.c1(x), 0.2)
        x = F.leaky_relu(self.c2(x), 0.2)
        x = F.leaky_relu(self.c3(x), 0.2)
        return self.c5(self.c4(x)).flatten()


# %% wrong: gaming, right number of weights and right shape, but fresh layers are made in every forward -> layers-made-anew
class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.in_channels = in_channels
        self.layers = self.build()

    def build(self):
        return nn.Sequential(
            discriminator_block(2 * self.in_channels, 64),
            discriminator_block(64, 128),
            discriminator_block(128, 256),
            discriminator_block(256, 512),
            nn.Conv2d(512, 1, kernel_size=1, stride=4),
        )

    def forward(self, image, condition):
        layers = self.build().to(image)
        unused = sum(p.sum() for p in self.parameters())
        return layers(torch.cat((image, condition), dim=1)) + 0 * unused


# %% wrong: logits cut to [-5, 5]
class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.layers = nn.Sequential(
            discriminator_block(2 * in_channels, 64),
            discriminator_block(64, 128),
            discriminator_block(128, 256),
            discriminator_block(256, 512),
            nn.Conv2d(512, 1, kernel_size=1, stride=4),
        )

    def forward(self, image, condition):
        return self.layers(torch.cat((image, condition), dim=1)).clamp(-5, 5)
