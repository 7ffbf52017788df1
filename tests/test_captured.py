"""A captured step trains as the step itself does; what cannot be captured runs as it is."""

import copy
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
        weights = list(self.network.parameters())
        found = [weight.grad for weight in weights]
        numbers += [gradient for gradient in found if gradient is not None]
        before = [number.detach().clone() for number in numbers]
        groups = [dict(group) for group in self.optimizer.param_groups]  # with the rates as tensors
        result = function()
        gradients = [weight.grad for weight in weights]
        with torch.no_grad():
            for number, old in zip(numbers, before, strict=True):
                number.copy_(old)
        if self.error:
            raise self.error

        def replay():
            self.did.append("replay")
            for weight, gradient in zip(weights, found, strict=True):
                weight.grad = gradient
            now = [dict(group) for group in self.optimizer.param_groups]
            for group, recorded in zip(self.optimizer.param_groups, groups, strict=True):
                group.update(recorded)
            for old, new in zip(result, function(), strict=True):
                old.copy_(new)
            for gradient, weight in zip(gradients, weights, strict=True):
                if gradient is not weight.grad:
                    gradient.copy_(weight.grad)
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


# The optimizer has no moments in the first call; the fourth one has another shape.
FIRST = ["run", "run", "run", "run"]


def test_training_is_the_same_and_most_steps_are_replays():
    plain, result = train(plainly), train(None)
    assert_same(result, plain)
    graphs, remarks = result[2:]
    assert graphs.did == [
        *FIRST, "watch", "record", "replay", "replay", "run",
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


def module_moved(network):
    """What `network.cpu()` and back does: the same weights in other memory."""
    for weight in network.parameters():
        weight.data = weight.data.clone()


def new_weight(network):
    network[2].weight = nn.Parameter(torch.ones(1, 4))


@pytest.mark.parametrize(
    "around",
    [
        lambda number, network: {"weight": 1.0 if number < 8 else 0.5},
        lambda number, network: network[0].requires_grad_(number >= 8) and {},
        lambda number, network: network.train(number >= 8) and {},
        lambda number, network: (number == 8 and module_moved(network)) or {},
        lambda number, network: (number == 8 and new_weight(network)) or {},
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
    assert result[2].did == [*FIRST, "watch"]
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
    assert result[2].did == [*FIRST, "watch", "record"]
    assert_same(result, train(plainly, step=step))
    if step is accumulating:
        assert gradients[6] is gradients[5]


def test_tensors_in_a_dictionary_are_those_of_each_call():
    def of_batch(network, optimizer, x, y):
        return step(network, optimizer, x["T1"][0], y)

    used = {"step": of_batch, "around": lambda number, network: {}}

    def with_batches(step, graphs, remarks):
        inner = Captured(step, graphs, remarks.append)
        return lambda network, optimizer, x, y: inner(network, optimizer, {"T1": [x]}, y=y)

    def plainly(step, graphs, remarks):
        return lambda network, optimizer, x, y: step(network, optimizer, {"T1": [x]}, y=y)

    plain, result = train(plainly, **used), train(with_batches, **used)
    assert_same(result, plain)
    assert "replay" in result[2].did


def changing(network, optimizer, x, y):
    x.mul_(2)
    return step(network, optimizer, x, y)


@pytest.mark.parametrize(
    ("step", "prepare", "reason"),
    [
        (changing, lambda x: x, "it changes a tensor that it is called with"),
        (step, lambda x: x.requires_grad_(), "a tensor that it is called with needs a gradient"),
    ],
)
def test_steps_with_an_effect_on_their_tensors_run_as_they_are(step, prepare, reason):
    remarks = []
    results = []
    for is_wrapped in (False, True):
        network, optimizer = make()
        used = Captured(step, StandIn(network, optimizer), remarks.append) if is_wrapped else step
        data = torch.Generator().manual_seed(1)
        tensors = [prepare(torch.randn(2, 3, generator=data)) for _ in range(8)]
        losses = [used(network, optimizer, x, torch.ones(2, 1)) for x in tensors]
        results.append((torch.tensor(losses), [x.detach() for x in tensors]))
    assert_same(*results)
    assert [remark.removeprefix("ValueError: ") for remark in remarks] == [reason]


def test_gradients_of_several_calls_add_up():
    """The loop, not the step, sets the gradients to zero, after every third call."""

    def around(number, network):
        if number % 3 == 0:
            network.zero_grad()
        return {}

    plain, result = (
        train(wrap, n_steps=24, step=accumulating, around=around) for wrap in (plainly, None)
    )
    assert_same(result, plain)


def test_gradients_are_seen_after_a_replay():
    gradients = {}
    for wrap in (plainly, None):
        seen = gradients.setdefault(wrap, [])

        def around(number, network, seen=seen):
            seen.append(None if network[0].weight.grad is None else network[0].weight.grad.clone())
            return {}

        train(wrap, around=around)
    torch.testing.assert_close(gradients[None][1:], gradients[plainly][1:])


def test_an_optimizer_that_was_loaded_is_noticed():
    def train_in_two_parts(is_captured):
        network, optimizer = make()
        graphs = StandIn(network, optimizer)
        used = Captured(step, graphs, print) if is_captured else step
        x, y = torch.ones(2, 3), torch.ones(2, 1)
        losses = [used(network, optimizer, x, y) for _ in range(7)]
        kept = copy.deepcopy(optimizer.state_dict())
        losses += [used(network, optimizer, x, y) for _ in range(3)]
        optimizer.load_state_dict(kept)
        losses += [used(network, optimizer, x, y) for _ in range(7)]
        return torch.tensor(losses), list(network.parameters()), graphs

    plain, result = train_in_two_parts(False), train_in_two_parts(True)
    assert_same(result, plain)
    assert result[2].did.count("record") == 2


@pytest.mark.parametrize("was_captured", [False, True])
def test_what_was_kept_goes_on_with_and_without_recordings(was_captured, tmp_path):
    """Kept after 9 of 16 steps, it goes on in the other way in a new process, with new objects."""

    def part(n_before, n_steps, is_captured, file=None):
        network, optimizer = make()
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 16)
        parts = network, optimizer, schedule
        if file and file.exists():
            for one, state in zip(parts, torch.load(file, weights_only=True), strict=True):
                one.load_state_dict(state)
        used = Captured(step, StandIn(network, optimizer), print) if is_captured else step
        data = torch.Generator().manual_seed(1)
        batches = [torch.randn(2, 4, generator=data) for _ in range(16)]
        losses = []
        for batch in batches[n_before : n_before + n_steps]:
            losses.append(used(network, optimizer, batch[:, :3], batch[:, 3:]))
            schedule.step()
        if file:
            torch.save([one.state_dict() for one in parts], file)
            (group,) = optimizer.param_groups
            assert isinstance(group["lr"], float)
            assert not group["capturable"]
        return torch.tensor(losses), list(network.parameters())

    whole = part(0, 16, False)
    first = part(0, 9, was_captured, tmp_path / "kept.pt")
    second = part(9, 7, not was_captured, tmp_path / "kept.pt")
    assert_same((torch.cat((first[0], second[0])), second[1]), whole)


def test_layers_that_get_their_weights_in_the_first_call():
    network, other = nn.Sequential(nn.LazyLinear(1)), nn.Linear(3, 1)
    graphs = StandIn(network, Adam(other.parameters()))
    used = Captured(lambda network, x: (network(x).sum(),), graphs, print)
    losses = [used(network, torch.ones(2, 3))[0].item() for _ in range(6)]
    assert losses == [losses[0]] * 6
    assert graphs.did == ["run", "run", "run", "watch", "record", "replay", "replay"]


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
