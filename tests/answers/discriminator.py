# ruff: noqa: F811
import itertools

import torch
from torch import nn
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


# %% wrong: condition first
class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        w = [2 * in_channels, 64, 128, 256, 512]
        self.blocks = nn.Sequential(*[discriminator_block(w[i], w[i + 1]) for i in range(4)])
        self.last = nn.Conv2d(512, 1, 1, stride=4)

    def forward(self, image, condition):
        return self.last(self.blocks(torch.cat((condition, image), 1)))


# %% wrong: sigmoid
class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        w = [2 * in_channels, 64, 128, 256, 512]
        self.blocks = nn.Sequential(*[discriminator_block(w[i], w[i + 1]) for i in range(4)])
        self.last = nn.Conv2d(512, 1, 1, stride=4)

    def forward(self, image, condition):
        return torch.sigmoid(self.last(self.blocks(torch.cat((image, condition), 1))))


# %% wrong: whole map
class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        w = [2 * in_channels, 64, 128, 256, 512]
        self.blocks = nn.Sequential(*[discriminator_block(w[i], w[i + 1]) for i in range(4)])
        self.last = nn.Conv2d(512, 1, 4)

    def forward(self, image, condition):
        return self.last(self.blocks(torch.cat((image, condition), 1)))


# %% wrong: condition ignored
class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        w = [2 * in_channels, 64, 128, 256, 512]
        self.blocks = nn.Sequential(*[discriminator_block(w[i], w[i + 1]) for i in range(4)])
        self.last = nn.Conv2d(512, 1, 1, stride=4)

    def forward(self, image, condition):
        return self.last(self.blocks(torch.cat((image, image), 1)))


# %% wrong: no activation between the blocks
class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        w = [2 * in_channels, 64, 128, 256, 512]
        self.blocks = nn.Sequential(*[nn.Conv2d(w[i], w[i + 1], 3, 2, 1) for i in range(4)])
        self.last = nn.Conv2d(512, 1, 1, stride=4)

    def forward(self, image, condition):
        return self.last(self.blocks(torch.cat((image, condition), 1)))


# %% wrong: dropout
class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        w = [2 * in_channels, 64, 128, 256, 512]
        self.blocks = nn.Sequential(*[discriminator_block(w[i], w[i + 1]) for i in range(4)])
        self.last = nn.Conv2d(512, 1, 1, stride=4)

    def forward(self, image, condition):
        features = F.dropout(self.blocks(torch.cat((image, condition), 1)), training=self.training)
        return self.last(features)


# %% wrong: computed without gradients
class Discriminator(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        w = [2 * in_channels, 64, 128, 256, 512]
        self.blocks = nn.Sequential(*[discriminator_block(w[i], w[i + 1]) for i in range(4)])
        self.last = nn.Conv2d(512, 1, 1, stride=4)

    def forward(self, image, condition):
        with torch.no_grad():
            features = self.blocks(torch.cat((image, condition), 1))
        return self.last(features)


# %% wrong: layers replaced in forward
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
