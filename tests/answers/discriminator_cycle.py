# ruff: noqa: F811
import torch
from torch import nn
from torch.nn import functional as F

from labhelpers.blocks import discriminator_block


# %% right: own layers
class DiscriminatorCycle(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.out = nn.Conv2d(512, 1, 4)
        self.conv = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1)
            for a, b in ((in_channels, 64), (64, 128), (128, 256), (256, 512))
        )

    def forward(self, image):
        for layer in self.conv:
            image = F.leaky_relu_(layer(image), 0.2)
        return self.out(image)


# %% right: dictionary of layers
class DiscriminatorCycle(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.net = nn.ModuleDict(
            {
                "last": nn.Conv2d(512, 1, kernel_size=(4, 4), stride=4),
                "4": discriminator_block(256, 512),
                "1": discriminator_block(in_channels, 64),
                "2": discriminator_block(64, 128),
                "3": discriminator_block(128, 256),
            }
        )

    def forward(self, x):
        for name in ("1", "2", "3", "4", "last"):
            x = self.net[name](x)
        return x


# %% right: a linear last layer on the flat map
class DiscriminatorCycle(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        w = [in_channels, 64, 128, 256, 512]
        self.blocks = nn.Sequential(*[discriminator_block(w[i], w[i + 1]) for i in range(4)])
        self.last = nn.Linear(512 * 4 * 4, 1)

    def forward(self, image):
        return self.last(self.blocks(image).flatten(1)).view(-1, 1, 1, 1)


# %% right: subclass of a sequence
class DiscriminatorCycle(nn.Sequential):
    def __init__(self, in_channels=1):
        w = [in_channels, 64, 128, 256, 512]
        super().__init__(
            *[discriminator_block(w[i], w[i + 1]) for i in range(4)], nn.Conv2d(512, 1, 4)
        )


# %% wrong: one position
class DiscriminatorCycle(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        w = [in_channels, 64, 128, 256, 512]
        self.blocks = nn.Sequential(*[discriminator_block(w[i], w[i + 1]) for i in range(4)])
        self.last = nn.Conv2d(512, 1, kernel_size=1, stride=4)

    def forward(self, image):
        return self.last(self.blocks(image))


# %% wrong: flat output
class DiscriminatorCycle(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        w = [in_channels, 64, 128, 256, 512]
        self.blocks = nn.Sequential(*[discriminator_block(w[i], w[i + 1]) for i in range(4)])
        self.last = nn.Conv2d(512, 1, kernel_size=4)

    def forward(self, image):
        return self.last(self.blocks(image)).flatten(1)


# %% wrong: other slope
class DiscriminatorCycle(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        w = [in_channels, 64, 128, 256, 512]
        self.blocks = nn.ModuleList([nn.Conv2d(w[i], w[i + 1], 3, 2, 1) for i in range(4)])
        self.last = nn.Conv2d(512, 1, kernel_size=4)

    def forward(self, image):
        for block in self.blocks:
            image = F.leaky_relu(block(image))
        return self.last(image)


# %% wrong: normalised
class DiscriminatorCycle(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        w = [in_channels, 64, 128, 256, 512]
        self.blocks = nn.Sequential(*[discriminator_block(w[i], w[i + 1]) for i in range(4)])
        self.last = nn.Conv2d(512, 1, kernel_size=4)

    def forward(self, image):
        return self.last(F.instance_norm(self.blocks(image)))


# %% wrong: a block used twice
class DiscriminatorCycle(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.first = discriminator_block(in_channels, 512)
        self.again = discriminator_block(512, 512)
        self.last = nn.Conv2d(512, 1, kernel_size=4)

    def forward(self, image):
        x = self.first(image)
        for _ in range(3):
            x = self.again(x)
        return self.last(x)


# %% wrong: one layer of the right size, all else constant
class DiscriminatorCycle(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(1_558_017))

    def forward(self, image):
        return torch.ones(len(image), 1, 1, 1, dtype=image.dtype) * self.weights.sum() * 0


# %% wrong: forward not written
class DiscriminatorCycle(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        w = [in_channels, 64, 128, 256, 512]
        self.blocks = nn.Sequential(*[discriminator_block(w[i], w[i + 1]) for i in range(4)])
        self.last = nn.Conv2d(512, 1, kernel_size=4)

    def forward(self, image):
        raise NotImplementedError("not written yet")
