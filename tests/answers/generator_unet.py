# ruff: noqa: F811
import itertools

import torch
from torch import nn
from torch.nn import functional as F

from labhelpers.blocks import FinalLayer, UNetDown, UNetUp


# %% right: module lists in another order of definition
class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()
        self.last = FinalLayer(128, out_channels)
        sizes = [(512, 512), (1024, 256), (512, 128), (256, 64)]
        self.rising = nn.ModuleList([UNetUp(a, b) for a, b in sizes])
        widths = [in_channels, 64, 128, 256, 512, 512]
        pairs = list(itertools.pairwise(widths))
        self.falling = nn.ModuleList([UNetDown(a, b) for a, b in reversed(pairs)])

    def forward(self, image):
        levels = []
        for down in reversed(self.falling):
            image = down(image)
            levels.append(image)
        image = self.rising[0](levels.pop())
        for up in list(self.rising)[1:]:
            image = up(image, levels.pop())
        return self.last(image, levels.pop())


# %% right: own layers, skips concatenated by hand
class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()

        def down(a, b):
            return nn.Sequential(
                nn.Conv2d(a, b, 3, 2, 1), nn.InstanceNorm2d(b), nn.LeakyReLU(0.2, inplace=True)
            )

        def up(a, b):
            return nn.Sequential(
                nn.ConvTranspose2d(a, b, 4, 2, 1), nn.InstanceNorm2d(b), nn.ReLU(inplace=True)
            )

        self.d1, self.d2, self.d3 = down(in_channels, 64), down(64, 128), down(128, 256)
        self.d4, self.d5 = down(256, 512), down(512, 512)
        self.u1, self.u2, self.u3, self.u4 = up(512, 512), up(1024, 256), up(512, 128), up(256, 64)
        self.end = nn.Sequential(
            nn.Upsample(scale_factor=2), nn.Conv2d(128, out_channels, 3, padding=1), nn.Tanh()
        )

    def forward(self, x):
        a = self.d1(x)
        b = self.d2(a)
        c = self.d3(b)
        d = self.d4(c)
        y = self.u1(self.d5(d))
        y = self.u2(torch.cat([y, d], 1))
        y = self.u3(torch.cat([y, c], 1))
        y = self.u4(torch.cat([y, b], 1))
        return self.end(torch.cat([y, a], 1))


# %% right: functional
class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()
        w = [in_channels, 64, 128, 256, 512, 512]
        self.bias = nn.ParameterList([nn.Parameter(torch.zeros(n)) for n in w[1:]])
        self.weight = nn.ParameterList(
            [nn.Parameter(torch.randn(b, a, 3, 3) * 0.01) for a, b in itertools.pairwise(w)]
        )
        self.ups = nn.ModuleList(
            [
                nn.ConvTranspose2d(a, b, kernel_size=4, stride=2, padding=1)
                for a, b in [(512, 512), (1024, 256), (512, 128), (256, 64)]
            ]
        )
        self.out = nn.Conv2d(128, out_channels, kernel_size=3, padding="same")

    def forward(self, x):
        print("weights:", sum(p.numel() for p in self.parameters()))
        skips = []
        for weight, bias in zip(self.weight, self.bias, strict=True):
            x = F.conv2d(x, bias=bias, weight=weight, stride=2, padding=1)
            x = F.leaky_relu(F.instance_norm(x), negative_slope=0.2)
            skips.append(x)
        skips.pop()
        for up in self.ups:
            x = F.relu(F.instance_norm(up(x)))
            x = torch.cat((x, skips.pop()), dim=1)
        x = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        return torch.tanh(self.out(x))


# %% right: recursive, activations shared
class Level(nn.Module):
    def __init__(self, down, inner, up):
        super().__init__()
        self.up, self.inner, self.down = up, inner, down

    def forward(self, x):
        skip = self.down(x)
        return self.up(self.inner(skip), skip) if self.inner else self.up(skip)


class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()
        level = Level(UNetDown(512, 512), None, UNetUp(512, 512))
        level = Level(UNetDown(256, 512), level, UNetUp(1024, 256))
        level = Level(UNetDown(128, 256), level, UNetUp(512, 128))
        level = Level(UNetDown(64, 128), level, UNetUp(256, 64))
        self.net = Level(UNetDown(in_channels, 64), level, FinalLayer(128, out_channels))

    def forward(self, x):
        return self.net(x)


# %% right: own normalisation, float32 only
def normalise(x):
    mean = x.mean(dim=(2, 3), keepdim=True)
    return (x - mean) / torch.sqrt(x.var(dim=(2, 3), keepdim=True, unbiased=False) + 1e-5)


class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()
        w = [in_channels, 64, 128, 256, 512, 512]
        self.down = nn.ModuleList([nn.Conv2d(w[i], w[i + 1], 3, 2, 1) for i in range(5)])
        u = [(512, 512), (1024, 256), (512, 128), (256, 64)]
        self.up = nn.ModuleList([nn.ConvTranspose2d(a, b, 4, 2, 1) for a, b in u])
        self.final = nn.Conv2d(128, out_channels, 3, 1, 1)

    def forward(self, x):
        x = x.to(torch.float32)
        s = []
        for conv in self.down:
            x = normalise(conv(x))
            x = torch.where(x > 0, x, 0.2 * x)
            s.append(x)
        for conv, skip in zip(self.up, s[-2::-1], strict=True):
            x = torch.cat((normalise(conv(x)).clamp(min=0), skip), 1)
        return torch.tanh(self.final(F.interpolate(x, size=(64, 64))))


# %% wrong: a skip of zeros
class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()
        w = [in_channels, 64, 128, 256, 512, 512]
        self.down = nn.ModuleList([UNetDown(w[i], w[i + 1]) for i in range(5)])
        u = [(512, 512), (1024, 256), (512, 128), (256, 64)]
        self.up = nn.ModuleList([UNetUp(a, b) for a, b in u])
        self.final = FinalLayer(128, out_channels)

    def forward(self, x):
        s = []
        for block in self.down:
            x = block(x)
            s.append(x)
        x = self.up[0](s[4])
        x = self.up[1](x, torch.zeros_like(s[3]))
        x = self.up[2](x, s[2])
        x = self.up[3](x, s[1])
        return self.final(x, s[0])


# %% wrong: skip before the input
class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()
        w = [in_channels, 64, 128, 256, 512, 512]
        self.down = nn.ModuleList([UNetDown(w[i], w[i + 1]) for i in range(5)])
        u = [(512, 512), (1024, 256), (512, 128), (256, 64)]
        self.up = nn.ModuleList([UNetUp(a, b) for a, b in u])
        self.final = FinalLayer(128, out_channels)

    def forward(self, x):
        s = []
        for block in self.down:
            x = block(x)
            s.append(x)
        x = self.up[0](s[4])
        for up, skip in zip(list(self.up)[1:], s[3:0:-1], strict=True):
            x = up(skip, x)
        return self.final(x, s[0])


# %% wrong: detached bottleneck
class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()
        w = [in_channels, 64, 128, 256, 512, 512]
        self.down = nn.ModuleList([UNetDown(w[i], w[i + 1]) for i in range(5)])
        u = [(512, 512), (1024, 256), (512, 128), (256, 64)]
        self.up = nn.ModuleList([UNetUp(a, b) for a, b in u])
        self.final = FinalLayer(128, out_channels)

    def forward(self, x):
        s = []
        for block in self.down:
            x = block(x)
            s.append(x)
        x = self.up[0](s[4].detach())
        for up, skip in zip(list(self.up)[1:], s[3:0:-1], strict=True):
            x = up(x, skip)
        return self.final(x, s[0])


# %% wrong: constant of the right shape and number of weights
class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()
        self.out_channels = out_channels
        self.weights = nn.Parameter(torch.zeros(13_611_073))

    def forward(self, x):
        return torch.zeros(len(x), self.out_channels, 64, 64, dtype=x.dtype)


# %% wrong: layers made in forward
class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()
        self.out_channels = out_channels

    def forward(self, x):
        return torch.tanh(nn.Conv2d(x.shape[1], self.out_channels, 3, padding=1).to(x)(x))


# %% wrong: channels ignored
class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()
        w = [1, 64, 128, 256, 512, 512]
        self.down = nn.ModuleList([UNetDown(w[i], w[i + 1]) for i in range(5)])
        u = [(512, 512), (1024, 256), (512, 128), (256, 64)]
        self.up = nn.ModuleList([UNetUp(a, b) for a, b in u])
        self.final = FinalLayer(128, 1)

    def forward(self, x):
        s = []
        for block in self.down:
            x = block(x)
            s.append(x)
        x = self.up[0](s[4])
        for up, skip in zip(list(self.up)[1:], s[3:0:-1], strict=True):
            x = up(x, skip)
        return self.final(x, s[0])


# %% wrong: layers in a plain list
class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()
        w = [in_channels, 64, 128, 256, 512, 512]
        self.down = [UNetDown(w[i], w[i + 1]).double() for i in range(5)]
        u = [(512, 512), (1024, 256), (512, 128), (256, 64)]
        self.up = [UNetUp(a, b).double() for a, b in u]
        self.final = FinalLayer(128, out_channels)

    def forward(self, x):
        s = []
        for block in self.down:
            x = block(x)
            s.append(x)
        x = self.up[0](s[4])
        for up, skip in zip(list(self.up)[1:], s[3:0:-1], strict=True):
            x = up(x, skip)
        return self.final(x, s[0])
