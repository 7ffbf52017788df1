"""What makes two trainings the same, and what makes them different."""

import functools
import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Subset

from labhelpers.data import IXIDataset
from labhelpers.digests import code_digest, digest
from labhelpers.recipes import GeneratorRecipe

PROGRAM = """
    import sys
    import torch
    from torch import nn

    FACTOR = 2.0
    NAMES = {"a", "b", "c"}

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x):
            return self.layer(x)

    def loss_of(x, weight=1.0):
        return weight * FACTOR * x.abs().mean()

    def step(network, x):
        loss = loss_of(network(x))
        if "a" in {"a", "b", "c"}:
            loss.backward()
        return [loss, NAMES][0]

    def train():
        network = Network()
        average = step(network, torch.ones(1, 2))
        return sys._getframe()
"""


def names(program=PROGRAM, **changes):
    """Run a program, as a notebook does, with some of its text exchanged."""
    program = textwrap.dedent(program)
    for old, new in changes.values():
        assert old in program
        program = program.replace(old, new)
    space = {"__name__": "__main__"}
    exec(compile(program, "<cell>", "exec"), space)
    return space


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("FACTOR = 2.0", "FACTOR = 3.0"),
        ("weight=1.0", "weight=1.5"),
        ("x.abs()", "x.square()"),
        ("return self.layer(x)", "return self.layer(x).relu()"),
        ("loss.backward()", "loss.detach()"),
        ('NAMES = {"a",', 'NAMES = {"z",'),
        ("nn.Linear(2, 2)", "nn.Linear(2, 3)"),
        ("torch.ones(1, 2)", "torch.ones(3, 2)"),
        ("x.abs()", "x.neg().abs()"),
    ],
)
def test_code_is_followed_to_all_that_it_reads(old, new):
    assert code_digest(names()["train"]()) != code_digest(names(one=(old, new))["train"]())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    FACTOR", "\n\n\n    FACTOR"),
        ("FACTOR = 2.0", "FACTOR = 2.0  # a comment"),
        ("    def step", "    unread = 7\n\n    def step"),
    ],
)
def test_comments_lines_and_what_is_not_read_do_not_count(old, new):
    changed = names(PROGRAM.replace(old, new))
    assert code_digest(names()["train"]()) == code_digest(changed["train"]())


def test_digests_are_the_same_in_every_process():
    program = textwrap.dedent(PROGRAM) + textwrap.dedent(
        """
        from labhelpers.digests import code_digest, digest
        torch.manual_seed(0)
        print(code_digest(train()), digest(Network(), NAMES, torch.optim.Adam([torch.ones(2)])))
        """
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(runs) == 1


def test_networks_count_by_weights_settings_and_code():
    network = names()["Network"]()
    before = digest(network)
    assert digest(network) == before
    with torch.no_grad():
        network.layer.bias += 1e-7
    assert digest(network) != before
    assert digest(nn.L1Loss()) != digest(nn.L1Loss(reduction="sum"))
    assert digest(nn.LeakyReLU(0.1)) != digest(nn.LeakyReLU(0.2))


def test_data_count_by_their_values_and_batches():
    images = torch.linspace(-1, 1, 6 * 16).reshape(6, 1, 4, 4)
    dataset = IXIDataset.from_tensors(images, -images)
    loader = DataLoader(dataset, batch_size=2, shuffle=True)
    assert digest(loader) == digest(DataLoader(dataset, batch_size=2, shuffle=True))
    others = [
        DataLoader(dataset, batch_size=3, shuffle=True),
        DataLoader(dataset, batch_size=2),
        DataLoader(Subset(dataset, range(5)), batch_size=2, shuffle=True),
        DataLoader(IXIDataset.from_tensors(images, images), batch_size=2, shuffle=True),
    ]
    assert len({digest(loader), *map(digest, others)}) == 5


def test_recipes_and_bound_functions():
    assert digest(GeneratorRecipe()) == digest(GeneratorRecipe())
    assert digest(GeneratorRecipe()) != digest(GeneratorRecipe(flip=True))
    step = names()["step"]
    assert digest(functools.partial(step, x=1)) != digest(functools.partial(step, x=2))
    assert digest(lambda: step) != digest(lambda: names)


def test_what_holds_itself_has_a_digest():
    loop = []
    loop.append(loop)
    assert digest(loop) != digest([])
