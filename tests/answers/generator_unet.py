import itertools
from collections import OrderedDict

import torch
from torch import Tensor, nn
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


# %% right: ModuleLists, a loop, skips taken in reverse
class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super(GeneratorUNet, self).__init__()
        widths = [in_channels, 64, 128, 256, 512, 512]
        self.encoder = nn.ModuleList(UNetDown(a, b) for a, b in zip(widths[:-1], widths[1:]))
        self.decoder = nn.ModuleList(
            [UNetUp(512, 512), UNetUp(1024, 256), UNetUp(512, 128), UNetUp(256, 64)]
        )
        self.last = FinalLayer(128, out_channels)

    def forward(self, x):
        skips = []
        for block in self.encoder:
            x = block(x)
            skips.append(x)
        skips = [None] + skips[-2::-1]
        for block, skip in zip(self.decoder, skips):
            x = block(x, skip)
        return self.last(x, skips[-1])


# %% right: everything written by hand from torch.nn layers
class Down(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 3, 2, 1)
        self.norm = nn.InstanceNorm2d(cout)
        self.act = nn.LeakyReLU(negative_slope=0.2)

    def forward(self, x):
        return self.act(self.norm(self.conv(x)))


class Up(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.conv = nn.ConvTranspose2d(cin, cout, 4, 2, 1)
        self.norm = nn.InstanceNorm2d(cout)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x, skip=None):
        if skip is not None:
            x = torch.cat([x, skip], 1)
        return self.act(self.norm(self.conv(x)))


class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()
        self.outc = nn.Sequential(
            nn.Upsample(scale_factor=2), nn.Conv2d(64 + 64, out_channels, 3, 1, 1), nn.Tanh()
        )
        self.u4 = Up(128 + 128, 64)
        self.u3 = Up(256 + 256, 128)
        self.u2 = Up(512 + 512, 256)
        self.u1 = Up(512, 512)
        self.d5 = Down(512, 512)
        self.d4 = Down(256, 512)
        self.d3 = Down(128, 256)
        self.d2 = Down(64, 128)
        self.d1 = Down(in_channels, 64)

    def forward(self, x):
        x1 = self.d1(x)
        x2 = self.d2(x1)
        x3 = self.d3(x2)
        x4 = self.d4(x3)
        y = self.u1(self.d5(x4))
        y = self.u2(y, x4)
        y = self.u3(y, x3)
        y = self.u4(y, x2)
        return self.outc(torch.cat([y, x1], dim=1))


# %% right: nested levels, each one holds the next (pix2pix repository style)
class Level(nn.Module):
    def __init__(self, down, inside, up):
        super().__init__()
        self.down, self.inside, self.up = down, inside, up

    def forward(self, x):
        skip = self.down(x)
        if self.inside is None:
            return self.up(skip)
        return self.up(self.inside(skip), skip)


class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()
        net = Level(UNetDown(512, 512), None, UNetUp(512, 512))
        net = Level(UNetDown(256, 512), net, UNetUp(1024, 256))
        net = Level(UNetDown(128, 256), net, UNetUp(512, 128))
        net = Level(UNetDown(64, 128), net, UNetUp(256, 64))
        self.net = Level(UNetDown(in_channels, 64), net, FinalLayer(128, out_channels))

    def forward(self, x):
        return self.net(x)


# %% right: raw nn.Parameter and torch.nn.functional only
class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()

        def weight(*shape):
            w = torch.empty(*shape)
            nn.init.xavier_uniform_(w)
            return nn.Parameter(w)

        channels = (in_channels, 64, 128, 256, 512, 512)
        self.down_w = nn.ParameterList()
        self.down_b = nn.ParameterList()
        for i in range(5):
            self.down_w.append(weight(channels[i + 1], channels[i], 3, 3))
            self.down_b.append(nn.Parameter(torch.zeros(channels[i + 1])))
        self.up_w = nn.ParameterList()
        self.up_b = nn.ParameterList()
        for cin, cout in ((512, 512), (1024, 256), (512, 128), (256, 64)):
            self.up_w.append(weight(cin, cout, 4, 4))
            self.up_b.append(nn.Parameter(torch.zeros(cout)))
        self.final_w = weight(out_channels, 128, 3, 3)
        self.final_b = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x):
        stack = []
        for w, b in zip(self.down_w, self.down_b):
            x = F.conv2d(x, w, b, stride=2, padding=1)
            x = F.leaky_relu(F.instance_norm(x), 0.2)
            stack.append(x)
        stack.pop()
        first = True
        for w, b in zip(self.up_w, self.up_b):
            if not first:
                x = torch.cat((x, stack.pop()), dim=1)
            first = False
            x = F.conv_transpose2d(x, w, b, stride=2, padding=1)
            x = F.relu(F.instance_norm(x))
        x = torch.cat((x, stack.pop()), dim=1)
        x = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        return torch.tanh(F.conv2d(x, self.final_w, self.final_b, padding=1))


# %% right: an encoder and a decoder class, type hints
class Encoder(nn.Module):
    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.stages = nn.Sequential(
            UNetDown(in_channels, 64),
            UNetDown(64, 128),
            UNetDown(128, 256),
            UNetDown(256, 512),
            UNetDown(512, 512),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        outputs = []
        for stage in self.stages.children():
            outputs.append(stage(outputs[-1] if outputs else x))
        return tuple(outputs)


class Decoder(nn.Module):
    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.first = UNetUp(in_size=512, out_size=512)
        self.second = UNetUp(in_size=1024, out_size=256)
        self.third = UNetUp(in_size=512, out_size=128)
        self.fourth = UNetUp(in_size=256, out_size=64)
        self.image = FinalLayer(in_size=128, out_size=out_channels)

    def forward(self, d1: Tensor, d2: Tensor, d3: Tensor, d4: Tensor, d5: Tensor) -> Tensor:
        return self.image(
            self.fourth(
                self.third(self.second(self.first(d5), skip_input=d4), skip_input=d3),
                skip_input=d2,
            ),
            skip_input=d1,
        )


class GeneratorUNet(nn.Module):
    def __init__(self, in_channels: int = 1, out_channels: int = 1) -> None:
        super().__init__()
        self.encoder = Encoder(in_channels)
        self.decoder = Decoder(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(*self.encoder(x))


# %% right: weights drawn from N(0, 0.02) as in older GAN tutorials, layers in a ModuleDict
def weights_init_normal(m):
    classname = m.__class__.__name__
    if classname.find("Conv") != -1:
        torch.nn.init.normal_(m.weight.data, 0.0, 0.02)
        torch.nn.init.constant_(m.bias.data, 0.0)


class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()
        self.blocks = nn.ModuleDict(
            OrderedDict(
                down1=UNetDown(in_channels, 64),
                down2=UNetDown(64, 128),
                down3=UNetDown(128, 256),
                down4=UNetDown(256, 512),
                down5=UNetDown(512, 512),
                up1=UNetUp(512, 512),
                up2=UNetUp(1024, 256),
                up3=UNetUp(512, 128),
                up4=UNetUp(256, 64),
                final=FinalLayer(128, out_channels),
            )
        )
        self.apply(weights_init_normal)

    def forward(self, x):
        keep = {"down0": x}
        for i in range(1, 6):
            keep[f"down{i}"] = self.blocks[f"down{i}"](keep[f"down{i - 1}"])
        out = self.blocks["up1"](keep["down5"])
        for i in (2, 3, 4):
            out = self.blocks[f"up{i}"](out, keep[f"down{6 - i}"])
        return self.blocks["final"](out, keep["down1"])


# %% right: concatenates itself and calls the blocks without a skip, extra clamp
class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1, base=64):
        super().__init__()
        b = base
        self.down1 = UNetDown(in_channels, b)
        self.up4 = UNetUp(2 * 2 * b, b)
        self.down2 = UNetDown(b, 2 * b)
        self.up3 = UNetUp(2 * 4 * b, 2 * b)
        self.down3 = UNetDown(2 * b, 4 * b)
        self.up2 = UNetUp(2 * 8 * b, 4 * b)
        self.down4 = UNetDown(4 * b, 8 * b)
        self.up1 = UNetUp(8 * b, 8 * b)
        self.down5 = UNetDown(8 * b, 8 * b)
        self.final = FinalLayer(2 * b, out_channels)

    def forward(self, x, verbose=False):
        d1 = self.down1(x)
        d2 = self.down2(d1)
        d3 = self.down3(d2)
        d4 = self.down4(d3)
        d5 = self.down5(d4)
        if verbose:
            print("bottom of the U", d5.shape)
        cat = lambda a, b: torch.concat([a, b], axis=1)  # noqa: E731
        x = self.up1(d5)
        x = self.up2(cat(x, d4))
        x = self.up3(cat(x, d3))
        x = self.up4(cat(x, d2))
        x = self.final(cat(x, d1))
        return x.clamp(-1, 1)


# %% right: recursion over the depth, setattr and getattr, instance norm by hand
class GeneratorUNet(nn.Module):
    WIDTH = [None, 64, 128, 256, 512, 512]

    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()
        previous = in_channels
        for i, width in enumerate(self.WIDTH[1:], start=1):
            setattr(self, f"conv{i}", nn.Conv2d(previous, width, 3, stride=2, padding=1))
            previous = width
        for i in range(5, 1, -1):
            n_in = self.WIDTH[i] if i == 5 else 2 * self.WIDTH[i]
            deconv = nn.ConvTranspose2d(n_in, self.WIDTH[i - 1], 4, stride=2, padding=1)
            setattr(self, f"deconv{i}", deconv)
        self.to_image = nn.Conv2d(2 * self.WIDTH[1], out_channels, 3, padding=1)

    @staticmethod
    def normalise(z):
        mean = z.mean(dim=(2, 3), keepdim=True)
        var = ((z - mean) ** 2).mean(dim=(2, 3), keepdim=True)
        return (z - mean) / torch.sqrt(var + 1e-5)

    def inner(self, x, i):
        """Everything below level i, with the skip of level i attached."""
        z = self.normalise(getattr(self, f"conv{i}")(x))
        z = torch.where(z > 0, z, 0.2 * z)
        if i < 5:
            below = self.inner(z, i + 1)
            below = getattr(self, f"deconv{i + 1}")(below)
            below = torch.relu(self.normalise(below))
            z = torch.cat((below, z), dim=-3)
        return z

    def forward(self, x):
        z = F.interpolate(self.inner(x, 1), scale_factor=2, mode="nearest")
        return self.to_image(z).tanh()


# %% right: ModuleLists and a stack of skips
class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()
        sizes = [in_channels, 64, 128, 256, 512, 512]
        self.downs = nn.ModuleList(UNetDown(a, b) for a, b in zip(sizes[:-1], sizes[1:]))
        self.ups = nn.ModuleList(
            [UNetUp(512, 512), UNetUp(1024, 256), UNetUp(512, 128), UNetUp(256, 64)]
        )
        self.last = FinalLayer(128, out_channels)

    def forward(self, x):
        skips = []
        for down in self.downs:
            x = down(x)
            skips.append(x)
        skips.pop()
        x = self.ups[0](x)
        for up in self.ups[1:]:
            x = up(x, skip_input=skips.pop())
        return self.last(x, skip_input=skips.pop())


# %% right: own layers, norms and activations as functions
class GeneratorUNet(nn.Module):
    def __init__(self, in_channels: int = 1, out_channels: int = 1) -> None:
        super(GeneratorUNet, self).__init__()
        self.c1 = nn.Conv2d(in_channels, 64, 3, 2, 1)
        self.c2 = nn.Conv2d(64, 128, 3, 2, 1)
        self.c3 = nn.Conv2d(128, 256, 3, 2, 1)
        self.c4 = nn.Conv2d(256, 512, 3, 2, 1)
        self.c5 = nn.Conv2d(512, 512, 3, 2, 1)
        self.t1 = nn.ConvTranspose2d(512, 512, 4, 2, 1)
        self.t2 = nn.ConvTranspose2d(1024, 256, 4, 2, 1)
        self.t3 = nn.ConvTranspose2d(512, 128, 4, 2, 1)
        self.t4 = nn.ConvTranspose2d(256, 64, 4, 2, 1)
        self.out = nn.Conv2d(128, out_channels, 3, padding=1)

    @staticmethod
    def _enc(conv, x):
        return F.leaky_relu(F.instance_norm(conv(x)), 0.2)

    @staticmethod
    def _dec(conv, x, skip=None):
        if skip is not None:
            x = torch.cat([x, skip], 1)
        return F.relu(F.instance_norm(conv(x)))

    def forward(self, x):
        e1 = self._enc(self.c1, x)
        e2 = self._enc(self.c2, e1)
        e3 = self._enc(self.c3, e2)
        e4 = self._enc(self.c4, e3)
        e5 = self._enc(self.c5, e4)
        y = self._dec(self.t1, e5)
        y = self._dec(self.t2, y, e4)
        y = self._dec(self.t3, y, e3)
        y = self._dec(self.t4, y, e2)
        y = F.interpolate(torch.cat([y, e1], 1), scale_factor=2, mode="nearest")
        return torch.tanh(self.out(y))


# %% right: recursive U, every level holds the level below
class Level(nn.Module):
    def __init__(self, down, up, inner=None):
        super().__init__()
        self.up, self.inner, self.down = up, inner, down

    def forward(self, x, skip=None):
        y = self.down(x)
        if self.inner is None:
            return self.up(y)
        return self.up(self.inner(y), y)


class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()
        net = Level(UNetDown(512, 512), UNetUp(512, 512))
        net = Level(UNetDown(256, 512), UNetUp(1024, 256), net)
        net = Level(UNetDown(128, 256), UNetUp(512, 128), net)
        net = Level(UNetDown(64, 128), UNetUp(256, 64), net)
        self.net = Level(UNetDown(in_channels, 64), FinalLayer(128, out_channels), net)

    def forward(self, x):
        return self.net(x)


# %% right: decoder created before the encoder, skips concatenated by hand, extra prints
class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1, verbose=False):
        nn.Module.__init__(self)
        self.verbose = verbose
        self.blocks = nn.ModuleDict()
        self.blocks["final"] = FinalLayer(2 * 64, out_channels)
        for i, (a, b) in enumerate(
            [(512, 512), (2 * 512, 256), (2 * 256, 128), (2 * 128, 64)], start=1
        ):
            self.blocks[f"up{i}"] = UNetUp(a, b)
        width = in_channels
        for i, b in enumerate([64, 128, 256, 512, 512], start=1):
            self.blocks[f"down{i}"] = UNetDown(width, b)
            width = b

    def forward(self, x):
        d = {0: x}
        for i in range(1, 6):
            d[i] = self.blocks[f"down{i}"](d[i - 1])
            if self.verbose:
                print("down", i, tuple(d[i].shape))
        u = self.blocks["up1"](d[5])
        u = self.blocks["up2"](torch.cat((u, d[4]), dim=1))
        u = self.blocks["up3"](torch.cat((u, d[3]), dim=1))
        u = self.blocks["up4"](torch.cat((u, d[2]), dim=1))
        return self.blocks["final"](torch.cat((u, d[1]), dim=1))


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


# %% wrong: constant of the right shape and number of weights
class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()
        self.out_channels = out_channels
        self.weights = nn.Parameter(torch.zeros(13_611_073))

    def forward(self, x):
        return torch.zeros(len(x), self.out_channels, 64, 64, dtype=x.dtype)


# %% wrong: layers made in forward -> dropout
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


# %% wrong: layers in a plain list -> layers-in-a-plain-list
class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()
        w = [in_channels, 64, 128, 256, 512, 512]
        self.down = [UNetDown(w[i], w[i + 1]) for i in range(5)]
        u = [(512, 512), (1024, 256), (512, 128), (256, 64)]
        self.up = [UNetUp(a, b) for a, b in u]
        self.final = FinalLayer(128, out_channels)

    def forward(self, x):
        s = []
        for block in self.down:
            x = block.to(x)(x)
            s.append(x)
        x = self.up[0].to(x)(s[4])
        for up, skip in zip(list(self.up)[1:], s[3:0:-1], strict=True):
            x = up.to(x)(x, skip)
        return self.final(x, s[0])


# %% wrong: two mistakes, sigmoid instead of tanh and out_channels ignored
class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()
        self.down1 = UNetDown(in_channels, 64)
        self.down2 = UNetDown(64, 128)
        self.down3 = UNetDown(128, 256)
        self.down4 = UNetDown(256, 512)
        self.down5 = UNetDown(512, 512)
        self.up1 = UNetUp(512, 512)
        self.up2 = UNetUp(1024, 256)
        self.up3 = UNetUp(512, 128)
        self.up4 = UNetUp(256, 64)
        self.final = nn.Sequential(
            nn.Upsample(scale_factor=2),
            nn.Conv2d(128, 1, kernel_size=3, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, x):
        d1 = self.down1(x)
        d2 = self.down2(d1)
        d3 = self.down3(d2)
        d4 = self.down4(d3)
        d5 = self.down5(d4)
        u1 = self.up1(d5)
        u2 = self.up2(u1, d4)
        u3 = self.up3(u2, d3)
        u4 = self.up4(u3, d2)
        return self.final(torch.cat((u4, d1), 1))


# %% wrong: two mistakes, an autoencoder without skips and in_channels ignored
class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()
        self.encode = nn.Sequential(
            UNetDown(1, 64),
            UNetDown(64, 128),
            UNetDown(128, 256),
            UNetDown(256, 512),
            UNetDown(512, 512),
        )
        self.decode = nn.Sequential(
            UNetUp(512, 512),
            UNetUp(512, 256),
            UNetUp(256, 128),
            UNetUp(128, 64),
            FinalLayer(64, out_channels),
        )

    def forward(self, x):
        return self.decode(self.encode(x))


# %% wrong: two mistakes, kernel 4 on the way down and leaky ReLU on the way up
class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()

        def block(conv, i, o):
            return nn.Sequential(conv(i, o, 4, 2, 1), nn.InstanceNorm2d(o), nn.LeakyReLU(0.2))

        self.d1 = block(nn.Conv2d, in_channels, 64)
        self.d2 = block(nn.Conv2d, 64, 128)
        self.d3 = block(nn.Conv2d, 128, 256)
        self.d4 = block(nn.Conv2d, 256, 512)
        self.d5 = block(nn.Conv2d, 512, 512)
        self.u1 = block(nn.ConvTranspose2d, 512, 512)
        self.u2 = block(nn.ConvTranspose2d, 1024, 256)
        self.u3 = block(nn.ConvTranspose2d, 512, 128)
        self.u4 = block(nn.ConvTranspose2d, 256, 64)
        self.final = FinalLayer(128, out_channels)

    def forward(self, x):
        d1 = self.d1(x)
        d2 = self.d2(d1)
        d3 = self.d3(d2)
        d4 = self.d4(d3)
        u = self.u1(self.d5(d4))
        u = self.u2(torch.cat((u, d4), 1))
        u = self.u3(torch.cat((u, d3), 1))
        u = self.u4(torch.cat((u, d2), 1))
        return self.final(u, d1)


# %% wrong: looks right, all blocks exist but the answer is a constant image
class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()
        self.out_channels = out_channels
        self.down1 = UNetDown(in_channels, 64)
        self.down2 = UNetDown(64, 128)
        self.down3 = UNetDown(128, 256)
        self.down4 = UNetDown(256, 512)
        self.down5 = UNetDown(512, 512)
        self.up1 = UNetUp(512, 512)
        self.up2 = UNetUp(1024, 256)
        self.up3 = UNetUp(512, 128)
        self.up4 = UNetUp(256, 64)
        self.final = FinalLayer(128, out_channels)

    def forward(self, x):
        touch = sum(parameter.sum() for parameter in self.parameters()) * 0
        return touch - torch.ones(len(x), self.out_channels, *x.shape[2:]).to(x)


# %% wrong: looks right, a small network whose parameter count is filled up
class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()
        self.down = UNetDown(in_channels, 64)
        self.up = FinalLayer(64, out_channels)
        want = 13_609_344 + 576 * in_channels + 1153 * out_channels
        have = sum(p.numel() for p in self.parameters())
        self.extra = nn.Parameter(torch.zeros(want - have))

    def forward(self, x):
        return self.up(self.down(x))


# %% wrong: two mistakes, leaky slope left at 0.01 and a sigmoid at the end
class GeneratorUNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()
        chans = [in_channels, 64, 128, 256, 512, 512]
        self.enc = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.InstanceNorm2d(b), nn.LeakyReLU())
            for a, b in zip(chans, chans[1:])
        )
        self.dec = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(a, b, 4, 2, 1), nn.InstanceNorm2d(b), nn.ReLU())
            for a, b in [(512, 512), (1024, 256), (512, 128), (256, 64)]
        )
        self.head = nn.Sequential(
            nn.Upsample(scale_factor=2), nn.Conv2d(128, out_channels, 3, 1, 1), nn.Sigmoid()
        )

    def forward(self, x):
        skips = []
        for layer in self.enc:
            x = layer(x)
            skips.append(x)
        x = skips.pop()
        for layer in self.dec:
            x = torch.cat([layer(x), skips.pop()], dim=1)
        return self.head(x)
