from collections import OrderedDict
from functools import reduce
from itertools import pairwise

import torch
from torch import Tensor, nn
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


# %% right: one attribute per block, one line per call
class DiscriminatorCycle(nn.Module):
    def __init__(self, in_channels=1):
        super(DiscriminatorCycle, self).__init__()
        self.c1 = discriminator_block(in_channels, 64)
        self.c2 = discriminator_block(64, 128)
        self.c3 = discriminator_block(128, 256)
        self.c4 = discriminator_block(256, 512)
        self.c5 = nn.Conv2d(512, 1, 4, stride=1, padding=0)

    def forward(self, image):
        out = self.c1(image)
        out = self.c2(out)
        out = self.c3(out)
        out = self.c4(out)
        return self.c5(out)


# %% right: own convolutions, the last one written as a product and a sum
class DiscriminatorCycle(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        widths = [in_channels] + [64 * 2**i for i in range(4)]
        self.convs = nn.ModuleList(
            nn.Conv2d(widths[i], widths[i + 1], kernel_size=3, stride=2, padding=1)
            for i in range(4)
        )
        self.head = nn.Conv2d(widths[-1], 1, kernel_size=4)

    def forward(self, image):
        x = image
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.2)
        total = torch.einsum("nchw,ochw->no", x, self.head.weight) + self.head.bias
        return total[:, :, None, None]


# %% right: a ParameterDict and F.conv2d
class DiscriminatorCycle(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        shapes = {
            "w1": (64, in_channels, 3, 3),
            "w2": (128, 64, 3, 3),
            "w3": (256, 128, 3, 3),
            "w4": (512, 256, 3, 3),
            "w5": (1, 512, 4, 4),
        }
        self.p = nn.ParameterDict()
        for name, shape in shapes.items():
            self.p[name] = nn.Parameter(nn.init.kaiming_uniform_(torch.empty(shape), a=0.2))
            self.p[name.replace("w", "b")] = nn.Parameter(torch.zeros(shape[0]))

    def forward(self, image):
        x = image
        for i in "1234":
            x = F.conv2d(x, self.p["w" + i], self.p["b" + i], stride=2, padding=1)
            x = x.clamp(min=0) + 0.2 * x.clamp(max=0)
        return F.conv2d(x, self.p["w5"], self.p["b5"])


# %% right: a subclass of nn.Sequential
class DiscriminatorCycle(nn.Sequential):
    """Four blocks and a convolution over the whole map."""

    def __init__(self, in_channels: int = 1) -> None:
        sizes = (in_channels, 64, 128, 256, 512)
        blocks = [discriminator_block(a, b) for a, b in zip(sizes[:-1], sizes[1:])]
        super().__init__(*blocks, nn.Conv2d(512, 1, kernel_size=4))

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image)


# %% right: a base class for the features, a subclass with the head
class Features(nn.Module):
    def __init__(self, first, widths):
        super().__init__()
        modules = []
        for width in widths:
            modules += [nn.Conv2d(first, width, 3, 2, 1), nn.LeakyReLU(0.2, True)]
            first = width
        self.features = nn.Sequential(*modules)
        self.n_features = first

    def forward(self, image):
        return self.features(image)


class DiscriminatorCycle(Features):
    def __init__(self, in_channels=1):
        super().__init__(in_channels, widths=(64, 128, 256, 512))
        self.judge = nn.Conv2d(self.n_features, 1, (4, 4), stride=4)

    def forward(self, image):
        return self.judge(super().forward(image))


# %% right: head as a matrix product over the flattened map
class DiscriminatorCycle(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.head = nn.Conv2d(512, 1, kernel_size=4)
        self.body = nn.Sequential()
        for i, (a, b) in enumerate([(in_channels, 64), (64, 128), (128, 256), (256, 512)]):
            self.body.add_module(str(i), discriminator_block(in_filters=a, out_filters=b))

    def forward(self, image):
        maps = self.body(image).reshape(image.shape[0], -1)
        logits = F.linear(maps, self.head.weight.reshape(1, -1), self.head.bias)
        return logits.reshape(-1, 1, 1, 1)


# %% right: casts the input to the type of the weights, orthogonal start, in-place activation
class DiscriminatorCycle(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.conv_a = nn.Conv2d(in_channels, 64, 3, 2, 1)
        self.conv_b = nn.Conv2d(64, 128, 3, 2, 1)
        self.conv_c = nn.Conv2d(128, 256, 3, 2, 1)
        self.conv_d = nn.Conv2d(256, 512, 3, 2, 1)
        self.conv_e = nn.Conv2d(512, 1, 4)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_normal_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, image):
        x = image.to(self.conv_a.weight.dtype)
        x = F.leaky_relu_(self.conv_a(x), 0.2)
        x = F.leaky_relu_(self.conv_b(x), 0.2)
        x = F.leaky_relu_(self.conv_c(x), 0.2)
        x = F.leaky_relu_(self.conv_d(x), 0.2)
        return self.conv_e(x)


# %% right: image by image in a loop
class DiscriminatorCycle(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.net = nn.ModuleDict(
            {
                "first": discriminator_block(in_channels, 64),
                "second": discriminator_block(64, 128),
                "third": discriminator_block(128, 256),
                "fourth": discriminator_block(256, 512),
                "last": nn.Conv2d(512, 1, 4),
            }
        )

    def judge_one(self, picture):
        picture = picture.unsqueeze(0)
        for name in ("first", "second", "third", "fourth", "last"):
            picture = self.net[name](picture)
        return picture

    def forward(self, image):
        return torch.cat([self.judge_one(picture) for picture in image], dim=0)


# %% right: own convolutions and functional leaky ReLU, no block
class DiscriminatorCycle(nn.Module):
    def __init__(self, in_channels: int = 1) -> None:
        super(DiscriminatorCycle, self).__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 3, 2, 1)
        self.conv2 = nn.Conv2d(64, 128, 3, 2, 1)
        self.conv3 = nn.Conv2d(128, 256, 3, 2, 1)
        self.conv4 = nn.Conv2d(256, 512, 3, 2, 1)
        self.judge = nn.Conv2d(512, 1, 4, 1, 0)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = F.leaky_relu(self.conv1(image), negative_slope=0.2)
        x = F.leaky_relu(self.conv2(x), negative_slope=0.2)
        x = F.leaky_relu(self.conv3(x), negative_slope=0.2)
        x = F.leaky_relu(self.conv4(x), negative_slope=0.2)
        return self.judge(x)


# %% right: last layer declared first, the blocks in a ModuleList, walked in a loop
class DiscriminatorCycle(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.to_logit = nn.Conv2d(512, 1, (4, 4))
        sizes = [in_channels, 64, 128, 256, 512]
        self.blocks = nn.ModuleList(discriminator_block(a, b) for a, b in pairwise(sizes))

    def forward(self, image):
        h = image
        for block in self.blocks:
            h = block(h)
        out = self.to_logit(h)
        assert out.shape[1:] == (1, 1, 1)
        return out


# %% right: subclass of nn.Sequential, in-place activations
class DiscriminatorCycle(nn.Sequential):
    def __init__(self, in_channels=1):
        layers, previous = [], in_channels
        for width in (64, 128, 256, 512):
            layers += [
                nn.Conv2d(previous, width, kernel_size=3, stride=2, padding=1),
                nn.LeakyReLU(0.2, inplace=True),
            ]
            previous = width
        super().__init__(*layers, nn.Conv2d(previous, 1, kernel_size=4, stride=1, padding="valid"))

    def forward(self, image):
        return super().forward(image)


# %% right: own block class with torch.where as leaky ReLU, a dictionary and reduce
class Halve(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.c = nn.Conv2d(n_in, n_out, kernel_size=3, stride=2, padding=1)

    def forward(self, x):
        y = self.c(x)
        return torch.where(y > 0, y, 0.2 * y)


class DiscriminatorCycle(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.body = nn.Sequential(
            OrderedDict(
                a=Halve(in_channels, 64), b=Halve(64, 128), c=Halve(128, 256), d=Halve(256, 512)
            )
        )
        self.head = nn.Conv2d(in_channels=512, out_channels=1, kernel_size=4)

    def forward(self, image):
        return reduce(lambda x, layer: layer(x), [*self.body, self.head], image)


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


# %% wrong: two mistakes, sigmoid at the end and the logits flattened -> sigmoid-at-the-end, axes-removed
class DiscriminatorCycle(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.main = nn.Sequential(
            discriminator_block(in_channels, 64),
            discriminator_block(64, 128),
            discriminator_block(128, 256),
            discriminator_block(256, 512),
            nn.Conv2d(512, 1, 4, 1, 0),
            nn.Sigmoid(),
        )

    def forward(self, input):
        return self.main(input).view(-1, 1).squeeze(1)


# %% wrong: two mistakes, batch normalisation and in_channels ignored
class DiscriminatorCycle(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 3, 2, 1)
        self.conv2 = nn.Conv2d(64, 128, 3, 2, 1)
        self.bn2 = nn.BatchNorm2d(128)
        self.conv3 = nn.Conv2d(128, 256, 3, 2, 1)
        self.bn3 = nn.BatchNorm2d(256)
        self.conv4 = nn.Conv2d(256, 512, 3, 2, 1)
        self.bn4 = nn.BatchNorm2d(512)
        self.conv5 = nn.Conv2d(512, 1, 4)

    def forward(self, image):
        x = F.leaky_relu(self.conv1(image), 0.2)
        x = F.leaky_relu(self.bn2(self.conv2(x)), 0.2)
        x = F.leaky_relu(self.bn3(self.conv3(x)), 0.2)
        x = F.leaky_relu(self.bn4(self.conv4(x)), 0.2)
        return self.conv5(x)


# %% wrong: two mistakes, ReLU instead of leaky ReLU and dropout before the last convolution -> dropout
class DiscriminatorCycle(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(in_channels, 64, 3, 2, 1),
                nn.Conv2d(64, 128, 3, 2, 1),
                nn.Conv2d(128, 256, 3, 2, 1),
                nn.Conv2d(256, 512, 3, 2, 1),
            ]
        )
        self.drop = nn.Dropout(0.4)
        self.last = nn.Conv2d(512, 1, 4)

    def forward(self, image):
        for conv in self.convs:
            image = F.relu(conv(image))
        return self.last(self.drop(image))


# %% wrong: looks right, one layer and a filler for the parameter count
class DiscriminatorCycle(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.score = nn.Conv2d(in_channels, 1, kernel_size=64)
        count = 1_557_441 + 576 * in_channels - sum(p.numel() for p in self.parameters())
        self.filler = nn.Parameter(torch.zeros(count))

    def forward(self, image):
        return self.score(image) + 0 * self.filler.sum()


# %% wrong: looks right, judges the first image only and repeats its logit
class DiscriminatorCycle(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.layers = nn.Sequential(
            discriminator_block(in_channels, 64),
            discriminator_block(64, 128),
            discriminator_block(128, 256),
            discriminator_block(256, 512),
            nn.Conv2d(512, 1, kernel_size=4),
        )

    def forward(self, image):
        return self.layers(image[:1]).expand(len(image), 1, 1, 1)


# %% wrong: two mistakes, no bias in the last layer and the output flattened to (N,)
class DiscriminatorCycle(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.features = nn.Sequential(
            discriminator_block(in_channels, 64),
            discriminator_block(64, 128),
            discriminator_block(128, 256),
            discriminator_block(256, 512),
        )
        self.last = nn.Conv2d(512, 1, kernel_size=4, bias=False)

    def forward(self, image):
        return self.last(self.features(image)).view(-1)


# %% wrong: looks right (all layers, right count and shape), but the answer is only the last bias
class DiscriminatorCycle(nn.Module):
    def __init__(self, in_channels=1):
        super().__init__()
        self.layers = nn.Sequential(
            discriminator_block(in_channels, 64),
            discriminator_block(64, 128),
            discriminator_block(128, 256),
            discriminator_block(256, 512),
            nn.Conv2d(512, 1, kernel_size=4),
        )

    def forward(self, image):
        logits = self.layers(image)
        return logits * 0 + self.layers[-1].bias.view(1, 1, 1, 1)
