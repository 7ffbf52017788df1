"""A captured step trains as the step itself does; what cannot be captured runs as it is."""

import random
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import Adam

from labhelpers import captured as module
from labhelpers.captured import Captured, captured


class StandIn:
    """Stands in for CUDA graphs: a recording computes nothing, a replay what was recorded."""

    def __init__(self, network, optimizer):
        self.network, self.optimizer = network, optimizer
        self.obstacle, self.error = "", None
        self.did = []

    def _moments(self):
        return [part for state in self.optimizer.state.values() for part in state.values()]

    def run(self, function):
        self.did.append("run")
        return function()

    def watch(self, function):
        self.did.append("watch")
        return function(), self.obstacle

    def record(self, function):
        self.did.append("record")
        numbers = [*self.network.parameters(), *self._moments()]
        before = [number.detach().clone() for number in numbers]
        groups = [dict(group) for group in self.optimizer.param_groups]  # with the rates as tensors
        result = function()
        with torch.no_grad():
            for number, old in zip(numbers, before, strict=True):
                number.copy_(old)
        if self.error:
            raise self.error

        def replay():
            self.did.append("replay")
            now = [dict(group) for group in self.optimizer.param_groups]
            for group, recorded in zip(self.optimizer.param_groups, groups, strict=True):
                group.update(recorded)
            for old, new in zip(result, function(), strict=True):
                old.copy_(new)
            for group, before in zip(self.optimizer.param_groups, now, strict=True):
                group.update(before)

        return replay, result


def step(network, optimizer, x, y, weight=1.0):
    """Make one step and return two losses."""
    loss = weight * F.mse_loss(network(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach(), 2 * loss.detach()


def make():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    return network, Adam(network.parameters(), lr=0.01, betas=(0.5, 0.999), fused=True)


def train(wrap, n_steps=16, step=step, around=lambda number, network: {}):
    """Train on batches of 4, each fourth one of 2, with a learning rate that changes."""
    network, optimizer = make()
    graphs, remarks = StandIn(network, optimizer), []
    used = Captured(step, graphs, remarks.append) if wrap is None else wrap(step, graphs, remarks)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    data = torch.Generator().manual_seed(1)
    losses = []
    for number in range(n_steps):
        size = 2 if number % 4 == 3 else 4
        x, y = torch.randn(size, 3, generator=data), torch.randn(size, 1, generator=data)
        losses.append(used(network, optimizer, x, y=y, **around(number, network)))
        schedule.step()
    return torch.tensor(losses), list(network.parameters()), graphs, remarks


def plainly(step, graphs, remarks):
    return step


def assert_same(one, other):
    torch.testing.assert_close(one[0], other[0])
    torch.testing.assert_close(one[1], other[1])


def test_training_is_the_same_and_most_steps_are_replays():
    plain, result = train(plainly), train(None)
    assert_same(result, plain)
    graphs, remarks = result[2:]
    first = ["run", "run", "watch"]
    assert graphs.did == [
        *first, "run", "record", "replay", "replay", "replay", "run",
        "replay", "replay", "replay", "watch", "replay", "replay", "replay", "record", "replay",
    ]  # fmt: skip
    assert remarks == []


def test_optimizer_is_left_as_it_was():
    network, optimizer = make()
    before = {name: part for name, part in optimizer.param_groups[0].items() if name != "params"}
    used = Captured(step, StandIn(network, optimizer), print)
    for _ in range(6):
        used(network, optimizer, torch.ones(2, 3), torch.ones(2, 1))
    after = optimizer.param_groups[0]
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize(
    "around",
    [
        lambda number, network: {"weight": 1.0 if number < 8 else 0.5},
        lambda number, network: network[0].requires_grad_(number >= 8) and {},
        lambda number, network: network.train(number >= 8) and {},
    ],
)
def test_another_kind_of_call_is_not_answered_with_an_old_recording(around):
    around_it = {"n_steps": 24, "around": lambda number, network: around(number, network) or {}}
    plain, result = train(plainly, **around_it), train(None, **around_it)
    assert_same(result, plain)
    assert result[2].did.count("record") >= 2
    assert result[2].did[8 + 2 :].count("run") >= 2  # the new kind starts anew


def test_arguments_that_always_change_are_given_up():
    around = {"n_steps": 20, "around": lambda number, network: {"weight": 1.0 + number}}
    plain, result = train(plainly, **around), train(None, **around)
    assert_same(result, plain)
    assert result[2].did == ["run"] * 8
    assert result[3] == ["its arguments are others at every call"]


def test_obstacle_that_was_seen_ends_the_attempts():
    def with_obstacle(step, graphs, remarks):
        graphs.obstacle = "it reads or prints a value: print(loss)"
        return Captured(step, graphs, remarks.append)

    result = train(with_obstacle)
    assert_same(result, train(plainly))
    assert result[2].did == ["run", "run", "watch"]
    assert result[3] == ["it reads or prints a value: print(loss)"]


def accumulating(network, optimizer, x, y):
    """Make a step without `zero_grad`, whose gradients add up."""
    loss = F.mse_loss(network(x), y)
    loss.backward()
    optimizer.step()
    return loss.detach(), loss.detach()


@pytest.mark.parametrize("step", [step, accumulating])
def test_failed_recording_leaves_no_trace(step):
    def with_error(step, graphs, remarks):
        graphs.error = RuntimeError("operation not permitted\nwhen stream is capturing")
        return Captured(step, graphs, remarks.append)

    gradients = []

    def around(number, network):
        gradients.append(network[0].weight.grad)
        return {}

    result = train(with_error, step=step, around=around)
    assert result[3] == ["RuntimeError: operation not permitted"]
    assert result[2].did == ["run", "run", "watch", "run", "record"]
    if step is not accumulating:  # the stand-in computes while it records, and gradients add up
        assert_same(result, train(plainly, step=step))
    else:
        assert gradients[5] is gradients[4]


def test_elsewhere_it_is_the_step_itself():
    assert captured(step, "cpu") is step
    assert captured(step, torch.device("mps")) is step


def test_losses_keep_their_form():
    losses = {"a": torch.ones(()), "b": [torch.zeros(2)], "c": 3}
    copied = module._copied(losses)
    losses["a"].fill_(5)
    losses["b"][0].fill_(5)
    assert copied == {"a": torch.ones(()), "b": copied["b"], "c": 3}
    assert copied["b"][0].tolist() == [0, 0]


# --- what is seen before a recording --------------------------------------------------------------

KEPT = []


def waits():
    warnings.warn("called a synchronizing CUDA operation (function ...)", stacklevel=2)
    return torch.ones(1)


def print_values():
    code = "warnings.warn('called a synchronizing CUDA operation', stacklevel=1)"
    exec(compile(code, f"{torch.__path__[0]}/_tensor_str.py", "exec"), {"warnings": warnings})


@pytest.fixture
def graphs(monkeypatch):
    """The real thing, without its stream: what it asks CUDA for is answered here."""
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: None)
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: 0)
    modes = []
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    graphs = module._CUDAGraphs(torch.device("cuda"))
    monkeypatch.setattr(graphs, "run", lambda function: function())
    monkeypatch.setattr(graphs, "_memory", lambda: 100 + 8 * len(KEPT))
    KEPT.clear()
    yield graphs
    assert modes == ["warn", 0]


@pytest.mark.parametrize(
    ("function", "obstacle"),
    [
        (lambda: torch.ones(1), ""),
        (lambda: waits(), "it reads or prints a value: (lambda: waits(), "),
        (lambda: torch.rand(1), "it draws random numbers on the CPU"),
        (lambda: [random.random(), torch.ones(1)], "it draws random numbers on the CPU"),
        (lambda: [np.random.rand(), torch.ones(1)], "it draws random numbers on the CPU"),
        (lambda: KEPT.extend([torch.ones(1), torch.ones(1)]), "it keeps tensors"),
        (lambda: KEPT.append(torch.ones(1)) or KEPT[-1], "it keeps tensors"),
        (lambda: print_values(), "it reads or prints a value"),
    ],
)
def test_obstacles_are_seen(graphs, function, obstacle):
    _, seen = graphs.watch(function)
    assert seen.startswith(obstacle)
    assert bool(seen) == bool(obstacle)
