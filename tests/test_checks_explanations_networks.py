"""What a student reads of a network that differs from the one that is asked for."""

import pytest
from checking import judge, load, solutions

LAST = "nn.Conv2d(512, 1, kernel_size=1, stride=4)"
CAT = "torch.cat((image, condition), dim=1)"


def wrong(exercise: str, *edits: tuple[str, str]) -> list[str]:
    """Return the sentences that name what is wrong with an edited solution."""
    source = solutions()[exercise].source
    for old, new in edits:
        assert old in source
        source = source.replace(old, new)
    report = judge(exercise, load(exercise, source))
    assert report.status in ("wrong", "partly")
    return [text for word, text in report.notes if word == "wrong"]


@pytest.mark.parametrize(
    ("edits", "sentences"),
    [
        (
            [(LAST, LAST[:-1] + ", bias=False)")],
            ["Step 5 (`layers.4`) has no bias. Asked for: a bias."],
        ),
        (
            [(LAST, f"nn.utils.spectral_norm({LAST})")],
            ["Step 5 (`layers.4`) has spectrally normalised weights. Asked for: plain weights."],
        ),
        (
            [(CAT, "torch.cat((condition, image), dim=1)"), (f"{LAST},", f"{LAST}, nn.Sigmoid()")],
            [
                "Step 1 (`layers.0`) reads `condition`, then `image`. "
                "Asked for: `image`, then `condition`.",
                "After step 5 (`layers.4`): sigmoid. Asked for: nothing.",
            ],
        ),
        (
            [(CAT, "torch.cat((image, condition), dim=0)"), ("2 * in_channels", "in_channels")],
            [
                "Step 1 (`layers.0`) reads `image`, then `condition`, along axis 0. "
                "Asked for: `image`, then `condition`, along axis 1 (the channels), with 2 input "
                "channels.",
            ],
        ),
        (
            [("            discriminator_block(128, 256),\n", ""), ("(256, 512)", "(128, 512)")],
            ["A layer is missing: `block 3` (Conv2d 128→256, 3×3)."],
        ),
        (
            [
                (
                    f"self.layers({CAT})",
                    "self.layers(torch.stack((condition, image), dim=1).flatten(1, 2))",
                )
            ],
            [
                "Step 1 (`layers.0`) reads `condition`, then `image`. "
                "Asked for: `image`, then `condition`.",
            ],
        ),
        (
            [
                (
                    f"self.layers({CAT})",
                    "self.layers(torch.cat((image.add_(1).div_(2), condition), dim=1))",
                )
            ],
            [
                "After `image`: addition, division. Asked for: nothing.",
                "`forward` works in place on `image`, which its caller still needs: make a new "
                "tensor, without operators such as += and functions whose names end in _.",
            ],
        ),
        (
            [
                (
                    f"self.layers({CAT})",
                    "self.layers(torch.cat((image / image.std(), condition), 1))",
                )
            ],
            [
                "Step 1 (`layers.0`) reads `image` divided by the std of `image`, then "
                "`condition`. Asked for: `image`, then `condition`.",
            ],
        ),
        (
            [("2 * in_channels", "2")],
            [
                "With in_channels=2: step 1 (`layers.0`) has 2 input channels. "
                "Asked for: 4 input channels."
            ],
        ),
        (
            [
                (
                    "self.layers(torch.cat((image, condition), dim=1))",
                    "self.layers(torch.cat((image, condition), dim=1)) > 0",
                )
            ],
            ["After step 5 (`layers.4`): a comparison (>). Asked for: nothing."],
        ),
        (
            [
                (
                    "self.layers(torch.cat((image, condition), dim=1))",
                    "self.layers(torch.cat((image, condition), dim=1)).clamp(-5, 5)",
                )
            ],
            ["After step 5 (`layers.4`): clamp. Asked for: nothing."],
        ),
        (
            [(f"{LAST},", f"{LAST}, nn.LeakyReLU(0.2)")],
            ["After step 5 (`layers.4`): leaky ReLU 0.2. Asked for: nothing."],
        ),
        (
            [
                ("discriminator_block(128, 256)", "(again := discriminator_block(128, 128))"),
                ("discriminator_block(256, 512)", "again"),
                ("nn.Conv2d(512", "nn.Conv2d(128"),
            ],
            ["Steps 3 and 4 are one layer, `layers.2`, which runs 2 times. Asked for: once."],
        ),
        (
            [(LAST, "nn.Flatten(), nn.Linear(512 * 4 * 4, 1)")],
            [
                "Step 5 (`layers.5`) is Linear 8192→1. Asked for: Conv2d 512→1, 1×1.",
                "After step 4 (`layers.3`): leaky ReLU 0.2, flatten. Asked for: leaky ReLU 0.2.",
            ],
        ),
        (
            [
                (f"self.layers({CAT})", "self.after_first(image, condition)"),
                (
                    "    def forward(",
                    "    def after_first(self, image, condition):\n"
                    "        with torch.no_grad():\n"
                    f"            x = self.layers[0]({CAT})\n"
                    "        return self.layers[1:](x)\n\n"
                    "    def forward(",
                ),
            ],
            ["Step 1 (`layers.0`) has gradients switched off. Asked for: gradients recorded."],
        ),
        (
            [("super().__init__()", "super().__init__(); self.extra = nn.Linear(2, 2)")],
            ["`extra` is made and never used."],
        ),
        (
            [("    def forward(", "        self.requires_grad_(False)\n\n    def forward(")],
            [
                "The weights of steps 1 to 5 (`layers`) are frozen: their `requires_grad` is "
                "False. Asked for: all weights are trained."
            ],
        ),
    ],
)
def test_a_discriminator(edits: list[tuple[str, str]], sentences: list[str]) -> None:
    assert wrong("discriminator", *edits) == sentences


@pytest.mark.parametrize(
    ("edits", "sentences"),
    [
        (
            [("self.final(u4, d1)", "self.final(u4)")],
            [
                "Step 10 (`final`) reads step 9 (`up4`) alone. "
                "Asked for: step 9 (`up4`), then step 1 (`down1`)."
            ],
        ),
        (
            [("self.up1(d5)", "self.up1(d5, d4)")],
            [
                "Step 6 (`up1`) reads step 5 (`down5`), then step 4 (`down4`). "
                "Asked for: step 5 (`down5`) alone."
            ],
        ),
        (
            [
                (
                    "64)\n        self.down2 = UNetDown(64, 128",
                    "32)\n        self.down2 = UNetDown(32, 64",
                ),
                ("UNetDown(128, 256)", "UNetDown(64, 128)"),
                ("UNetDown(256, 512)", "UNetDown(128, 256)"),
                ("UNetDown(512, 512)", "UNetDown(256, 256)"),
                ("UNetUp(512, 512)", "UNetUp(256, 256)"),
                ("UNetUp(512, 128)", "UNetUp(256, 64)\n"),
                ("UNetUp(256, 64)\n        self.final", "UNetUp(128, 32)\n        self.final"),
                ("UNetUp(1024, 256)", "UNetUp(512, 128)"),
                ("FinalLayer(128", "FinalLayer(64"),
            ],
            [
                "Steps 1 to 9 have 0.5 times the output channels that are asked for: in the first "
                "of them 32 output channels in place of 64 output channels."
            ],
        ),
        (
            [
                ("UNetUp(1024, 256)", "UNetUp(512, 256)"),
                ("UNetUp(512, 128)", "UNetUp(256, 128)"),
                ("self.up2(u1, d4)", "self.up2(d4 + u1)"),
                ("self.up3(u2, d3)", "self.up3(u2 + d3)"),
            ],
            [
                "Steps 7 and 8 read the addition of what comes from below and the skip connection. "
                "Asked for: the one beside the other, along axis 1 (the channels). Their "
                "numbers of input channels follow from that."
            ],
        ),
        (
            [("    def forward", "    @torch.no_grad()\n    def forward")],
            ["Steps 1 to 10 have gradients switched off. Asked for: gradients recorded."],
        ),
        (
            [
                ("self.up1 =", "self.ups = [None];  self.ups[0] ="),
                ("self.up1(", "self.ups[0].to(d5)("),
            ],
            [
                "The weights of step 6 do not belong to the network: no optimizer trains them.",
                "`ups` is plain Python: a list does not register the layers in it, and PyTorch's "
                "`nn.ModuleList` does.",
            ],
        ),
        (
            [("self.final(u4, d1)", "FinalLayer(128, 1)(u4.float(), d1.float())")],
            [
                "The weights of step 10 do not belong to the network: no optimizer trains them.",
                "Layers are made inside `forward`, with new weights in every call: make them in "
                "`__init__`, once.",
                "`final` is made and never used.",
            ],
        ),
        (
            [
                (
                    "        d1 = self.down1(x)",
                    "        x = (x - x.mean()) / (x.std() + 1e-5)\n        d1 = self.down1(x)",
                )
            ],
            [
                "Step 1 (`down1`) reads (`x` minus the mean of `x`) divided by (the std of `x` "
                "plus a number). Asked for: `x` alone."
            ],
        ),
        (
            [
                (
                    "    def forward(",
                    "        self.down1.requires_grad_(False)\n"
                    "        self.up1.requires_grad_(False)\n\n    def forward(",
                )
            ],
            [
                "The weights of steps 1 and 6 are frozen: their `requires_grad` is False. "
                "Asked for: all weights are trained."
            ],
        ),
        (
            [("UNetUp(256, 64)", "UNetUp(192, 64)")],
            ["Step 9 (`up4`) has 192 input channels. Asked for: 256 input channels."],
        ),
        (
            [("(u2, d3)", "(u2, d3.detach())"), ("FinalLayer(128, out_", "FinalLayer(128, in_")],
            [
                "From step 3 (`down3`) to step 8 (`up3`): instance normalisation, leaky ReLU 0.2, "
                "detach. Asked for: instance normalisation, leaky ReLU 0.2.",
                "With in_channels=2 and out_channels=3: step 10 (`final`) has 2 output channels. "
                "Asked for: 3 output channels.",
            ],
        ),
    ],
)
def test_a_generator(edits: list[tuple[str, str]], sentences: list[str]) -> None:
    assert wrong("generator-unet", *edits) == sentences


def test_all_wrong_channel_counts_are_told_at_once() -> None:
    told = wrong(
        "generator-unet",
        ("UNetUp(1024, 256)", "UNetUp(512, 256)"),
        ("UNetUp(512, 128)", "UNetUp(256, 128)"),
        ("FinalLayer(128,", "FinalLayer(64,"),
    )
    assert told == [
        "Step 7 (`up2`) has 512 input channels. Asked for: 1024 input channels.",
        "Step 8 (`up3`) has 256 input channels. Asked for: 512 input channels.",
        "Step 10 (`final`) has 64 input channels. Asked for: 128 input channels.",
    ]


def test_layers_of_the_student_that_compute_the_same_are_not_blamed() -> None:
    own = (
        "def discriminator_block(a, b):\n"
        "    class Block(nn.Conv2d):\n"
        "        def forward(self, x):\n"
        "            x = super().forward(x)\n"
        "            return torch.where(x > 0, x, x / 5)\n"
        "    return Block(a, b, 3, 2, 1)\n\n\n"
    )
    edits = (("class Discriminator", own + "class Discriminator"), ("stride=4", "stride=3"))
    assert wrong("discriminator", *edits) == [
        "Step 5 (`layers.4`) has stride 3. Asked for: stride 4."
    ]


def test_a_layer_inside_of_a_module_with_weights_of_its_own() -> None:
    own = (
        "class Scaled(nn.Conv2d):\n"
        "    def __init__(self, a, b):\n"
        "        super().__init__(a, b, 3, 2, 1)\n"
        "        self.inner = nn.Conv2d(b, b, 1)\n\n"
        "    def forward(self, x):\n"
        "        return nn.functional.leaky_relu(self.inner(super().forward(x)), 0.2)\n\n\n"
    )
    edits = (
        ("class Discriminator", own + "class Discriminator"),
        ("discriminator_block(64, 128)", "Scaled(64, 128)"),
    )
    assert wrong("discriminator", *edits) == [
        "Step 3 (`layers.1.inner`), Conv2d 128→128, 1×1, is a layer too many."
    ]


def test_upsampling_in_place_of_transposed_convolutions() -> None:
    own = (
        "class Up(nn.Module):\n"
        "    def __init__(self, a, b):\n"
        "        super().__init__()\n"
        "        self.conv = nn.Conv2d(a, b, 3, padding=1)\n\n"
        "    def forward(self, *x):\n"
        "        x = nn.functional.interpolate(torch.cat(x, 1), scale_factor=2)\n"
        "        return nn.functional.relu(nn.functional.instance_norm(self.conv(x)))\n\n\n"
    )
    assert wrong(
        "generator-unet", ("UNetUp(", "Up("), ("class GeneratorUNet", own + "class GeneratorUNet")
    ) == [
        "Steps 6 to 9 are Conv2d layers. Asked for: ConvTranspose2d layers. The first of them is "
        "Conv2d 512→512, 3×3, asked for ConvTranspose2d 512→512, 4×4.",
        "Before steps 6 to 9: upsampling ×2 (nearest). Asked for: nothing.",
    ]


def test_what_stands_in_the_place_of_a_missing_layer_and_its_row() -> None:
    source = solutions()["generator-unet"].source.replace(
        "UNetUp(512, 512)", "nn.Upsample(None, 2)"
    )
    report = judge("generator-unet", load("generator-unet", source))
    missing = "`up1` (ConvTranspose2d 512→512, 4×4). In its place: upsampling ×2 (nearest)."
    assert ("wrong", f"A layer is missing: {missing}") in report.notes
    assert report.table is not None
    rows = [(row[0], row[1], row[-1]) for row in report.table.rows[4:7]]
    assert rows == [
        (" 5", "down5: Conv2d 512→512, 3×3", ""),
        ("", "up1: ConvTranspose2d 512→512, 4×4", "missing"),
        (" 6", "up2: ConvTranspose2d 1024→256, 4×4", ""),
    ]


def test_what_is_done_on_the_way_to_a_layer_is_in_its_row() -> None:
    source = solutions()["generator-unet"].source.replace(
        "self.up1(d5)", "self.up1(nn.functional.interpolate(d5, scale_factor=2)[..., :2, :2])"
    )
    report = judge("generator-unet", load("generator-unet", source))
    assert report.table is not None
    assert report.table.rows[5][2] == "5 (upsampling ×2 (nearest), a part of it by index)"


def test_layers_that_run_twice_are_told_at_once() -> None:
    both = "self.layers(torch.cat((image, condition), dim=1))"
    told = wrong("discriminator", (both, f"{both} - {both.replace('image', 'condition')}"))
    assert told[0] == "Steps 1 to 10 are 5 layers, each of which runs 2 times. Asked for: once."


def test_a_layer_that_is_made_and_left_out_is_told_once() -> None:
    assert wrong("generator-unet", ("self.final(u4, d1)", "u4")) == [
        "A layer is missing: `final` (Conv2d 128→1, 3×3). `final` is made and never used.",
    ]


@pytest.mark.parametrize(
    "filled",
    [
        "x[:, c:], x[:, :c] = image, condition",
        "x[:, c:].copy_(image); x[:, :c].copy_(condition)",
    ],
)
def test_a_tensor_that_is_filled_in_place_is_read_by_its_values(filled: str) -> None:
    lines = f"n, c, h, w = image.shape; x = image.new_empty(n, 2 * c, h, w); {filled}; return"
    assert wrong("discriminator", (f"return self.layers({CAT})", f"{lines} self.layers(x)")) == [
        "Step 1 (`layers.0`) reads `condition`, then `image`. Asked for: `image`, then `condition`."
    ]


#: A generator that keeps its skips between calls, and what is true of it.
KEPT_SKIPS = [
    ("self.final = ", "self.skips = []\n        self.final = "),
    ("        d5 = ", "        self.skips += [d1, d2, d3, d4]\n        d5 = "),
    ("self.up2(u1, d4)", "self.up2(u1, self.skips[3])"),
]
KEEPS = (
    "What the network returns depends on earlier calls: it keeps tensors of a call in {} and uses "
    "them in the next one."
)


@pytest.mark.parametrize(
    ("exercise", "edits", "sentences"),
    [
        ("generator-unet", KEPT_SKIPS, [KEEPS.format("`self.skips`")]),
        (
            "generator-unet",
            [*KEPT_SKIPS, ("self.down1(x)", "self.down1(x).relu()")],
            [
                KEEPS.format("`self.skips`"),
                "After step 1 (`down1`): instance normalisation, leaky ReLU 0.2, ReLU. Asked for: "
                "instance normalisation, leaky ReLU 0.2.",
            ],
        ),
        (
            "discriminator",
            [
                ("super().__init__()", "super().__init__()\n        self.known = None"),
                ("return ", "self.known = self.known or [condition]\n        return "),
                (CAT, CAT.replace("condition", "self.known[0]")),
            ],
            [KEEPS.format("`self.known`")],
        ),
        (
            "discriminator",
            [
                ("    def __init__", "    seen = {}\n\n    def __init__"),
                (CAT, CAT.replace("condition", "self.seen.setdefault(1, condition)")),
            ],
            [KEEPS.format("`self.seen`")],
        ),
        (  # a constant
            "discriminator",
            [
                ("    def __init__", "    sign = torch.full((1,), -1.0)\n\n    def __init__"),
                (f"self.layers({CAT})", f"self.sign * self.layers({CAT})"),
            ],
            ["After step 5 (`layers.4`): multiplication. Asked for: nothing."],
        ),
        (  # to look at, and never read again
            "discriminator",
            [(f"return self.layers({CAT})", f"self.last = {CAT}\n        return "
              "-self.layers(self.last)")],
            ["After step 5 (`layers.4`): neg. Asked for: nothing."],
        ),
    ],
)  # fmt: skip
def test_a_network_that_keeps_tensors_between_calls(
    exercise: str, edits: list[tuple[str, str]], sentences: list[str]
) -> None:
    assert wrong(exercise, *edits) == sentences


def test_an_error_of_a_backward_pass_is_not_said_to_be_one_of_the_kind_of_answer() -> None:
    source = solutions()["generator-unet"].source
    for old, new in KEPT_SKIPS:
        source = source.replace(old, new)
    report = judge("generator-unet", load("generator-unet", source))
    (stopped,) = [text for word, text in report.notes if word == "stopped"]
    assert "RuntimeError" in stopped
    assert "kind" not in stopped
