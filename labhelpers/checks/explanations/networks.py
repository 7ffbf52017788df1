"""Tell in a sentence how a network differs from the one that is asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import permutations
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from labhelpers.checks.explanations.asked_networks import (
    DOWN,
    JUDGE,
    UP,
    Wanted,
    pair_discriminator,
    unet,
)
from labhelpers.checks.explanations.flow import UNRECORDED, Flow, Joined, Step
from labhelpers.checks.explanations.network_runs import Memory, Seen, watch
from labhelpers.checks.explanations.words import capitalised, enumerated
from labhelpers.checks.probes import networks as probes
from labhelpers.checks.records import Explanation, Run, TableRecord

__all__ = ["discriminator", "generator_unet"]

_MOST = 3  # sentences; the table shows the rest
#: The operations without weights that the statements name.
_OPERATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "instance normalisation": F.instance_norm,
    "leaky ReLU 0.2": lambda x: F.leaky_relu(x, 0.2),
    "ReLU": F.relu,
    "tanh": torch.tanh,
    "upsampling ×2 (nearest)": lambda x: F.interpolate(x, scale_factor=2),
}
_KEEPS = ("it keeps tensors",)
_ITEMS = [
    *("registered", "gradients", "parameters", "repeatable", "shape", "range", "values"),
    *("evaluation", "input-gradient"),
]


def generator_unet(answer: Any, runs: list[Run]) -> Explanation | None:
    """Compare a generator with the drawing, for one channel and for several."""
    n_in, n_out = 2, 3
    return _explanation(
        [
            ("", answer, {}, {"x": 1}, unet(1, 1)),
            (
                f"With in_channels={n_in} and out_channels={n_out}",
                answer,
                {"in_channels": n_in, "out_channels": n_out},
                {"x": n_in},
                unet(n_in, n_out),
            ),
        ]
    )


def discriminator(answer: Any, runs: list[Run]) -> Explanation | None:
    """Compare a discriminator of an image and its condition with the statement."""
    n = 2
    return _explanation(
        [
            ("", answer, {}, {"image": 1, "condition": 1}, pair_discriminator(1)),
            (
                f"With in_channels={n}",
                answer,
                {"in_channels": n},
                {"image": n, "condition": n},
                pair_discriminator(n),
            ),
        ]
    )


# --- Differences --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Difference:
    """One thing that differs.

    Attributes:
        sentence: It in words, with `{}` for the steps.
        steps: The numbers of the steps that it concerns.
        yours: What the network has.
        asked: What is asked for instead.
        where: The steps in words, if not just by their names.
        remark: What the table says.
        several: The sentence for several steps at once, if it is another.
    """

    sentence: str
    steps: tuple[int, ...] = ()
    yours: str = ""
    asked: str = ""
    where: str = ""
    remark: str = ""
    several: str = ""

    @property
    def kind(self) -> tuple[str, ...]:
        """What is the same for networks that differ in their numbers of channels only."""
        sentence = re.sub(r"\d+→\d+", "→", self.sentence)
        return sentence, str(self.steps), self.where, re.sub(r"\d+|s\b", "", self.yours)


@dataclass
class _Comparison:
    """A network beside the one that is asked for.

    Attributes:
        seen: What the network did.
        wanted: What is asked for.
        differences: What differs.
        added: What is done on the way to a step after all that is asked for, by the number of the
            step and the root of the way.
    """

    seen: Seen
    wanted: Wanted
    differences: list[_Difference] = field(default_factory=list)
    added: dict[tuple[int, int | str], str] = field(default_factory=dict)

    @cached_property
    def pairs(self) -> list[tuple[int | None, int | None]]:
        """Numbers of steps that belong together; None where one has no partner."""
        pairs = _aligned(self.seen.steps, self.wanted.steps, self.seen.is_complete)
        last = len(self.seen.steps)
        following = max((wanted for step, wanted in pairs if step and wanted), default=0) + 1
        if (
            (last, None) in pairs
            and self.seen.steps[-1].y is None
            and following <= len(self.wanted.steps)
        ):
            # A layer that stopped the network is known by its place alone.
            pairs[pairs.index((last, None))] = (last, following)
        return pairs

    @cached_property
    def number_of(self) -> dict[int, int]:
        """The number of the step that stands for a wanted one."""
        return {wanted: step for step, wanted in self.pairs if step and wanted}

    @cached_property
    def repeated(self) -> list[tuple[int, ...]]:
        """The numbers of the steps of each layer that runs more than once."""
        groups: dict[int, list[int]] = {}
        for number, step in enumerate(self.seen.steps, 1):
            groups.setdefault(id(step.weight), []).append(number)
        return [tuple(group) for group in groups.values() if len(group) > 1]

    @property
    def after(self) -> int:
        """The number that stands for the output, or for what was to run next."""
        return len(self.seen.steps) + 1

    def name(self, root: int | str) -> str:
        """Return the name of a step or of an input."""
        if root == self.after:
            return "the output"
        if isinstance(root, int):
            name = self.seen.steps[root - 1].name
            return f"step {root} (`{name}`)" if name else f"step {root}"
        return f"`{root}`"

    def find(self) -> list[_Difference]:
        """Return what differs, layers first, then what happens between them."""
        add = self.differences.append
        for count in dict.fromkeys(map(len, self.repeated)):
            same = [group for group in self.repeated if len(group) == count]
            numbers = tuple(sorted(number for group in same for number in group))
            name = self.seen.steps[numbers[0] - 1].name
            who = f"one layer, `{name}`, which runs" if name else "one layer, which runs"
            if len(same) > 1:
                who = f"{len(same)} layers, each of which runs"
            sentence = f"{{}} are {who} {count} times. Asked for: once."
            remark = "the same layer" if len(same) == 1 else f"runs {count} times"
            add(_Difference(sentence, numbers, remark=remark))
        missing = [wanted for step, wanted in self.pairs if not step and wanted]
        if missing:
            steps = [self.wanted.steps[number - 1] for number in missing]
            layers = ", ".join(f"`{step.name}` ({_size(step)})" for step in steps)
            many = "A layer is" if len(missing) == 1 else f"{len(missing)} layers are"
            names = {step.name for step in steps}
            namesakes = [
                f" Your step {number} (`{self.seen.steps[number - 1].name}`) is in the place of "
                f"`{self.wanted.steps[place - 1].name}`."
                for number, place in self.pairs
                if number and place and self.seen.steps[number - 1].name in names
            ]
            instead = self._instead(missing[0]) if len(missing) == 1 else ""
            unused = [name for name in self.seen.unused if name in names]
            self.seen.unused = [name for name in self.seen.unused if name not in names]
            namesakes += [f" `{name}` is made and never used." for name in unused]
            add(_Difference(f"{many} missing: {layers}.{instead}{''.join(namesakes)}"))
        again = {number for group in self.repeated for number in group}
        for number, place in self.pairs:
            if number and not place and number not in again:
                size = _size(self.seen.steps[number - 1])
                sentence = f"{{}}, {size}, is a layer too many."
                add(_Difference(sentence, (number,), remark="not asked for"))
        between: dict[int | str, dict[int, tuple[str, str]]] = {}
        for number, place in self.pairs:
            if number and place:
                step, wanted = self.seen.steps[number - 1], self.wanted.steps[place - 1]
                n_in = wanted.fields["input channels"]
                follows = (
                    ""
                    if step.fields["input channels"] == n_in
                    else _sizes(wanted.fields, ["input channels"])
                )
                right = self._reads(
                    number, step.reads, wanted.reads, step.x, between, follows=follows
                )
                self._fields(number, step, wanted, right)
        n_done = len(self.number_of) + len(missing)
        if self.seen.output:
            output = self.seen.tensors["output"]
            self._reads(self.after, self.seen.output, self.wanted.output, output, between)
        elif self.seen.entered and n_done < len(self.wanted.steps):
            name, flow = self.seen.entered
            following = self.wanted.steps[n_done]
            where = f"step {self.after} ({f'`{name}`' if name else following.name})"
            self._reads(self.after, flow, following.reads, None, {}, where)
        self._between(between)
        self._frozen()
        if self.seen.homes:
            add(_Difference(self.seen.homes.replace("{", "{{").replace("}", "}}")))
        for name in self.seen.changed:
            sentence = (
                "`forward` works in place on {}, which its caller still needs: make a new tensor, "
                "without operators such as += and functions whose names end in _."
            )
            add(_Difference(sentence, where=f"`{name}`"))
        for name in self.seen.unused:
            add(_Difference(f"`{name}` is made and never used."))
        return self.differences

    def _instead(self, place: int) -> str:
        """Return what happens in the place of a missing step, "" if nothing does."""
        before = self._in_steps(self.wanted.steps[place - 1].reads or Flow("?"))
        ways = [
            (self.seen.steps[number - 1].reads, self.wanted.steps[other - 1].reads)
            for other, number in self.number_of.items()
        ]
        for got, asked in [*ways, (self.seen.output, self.wanted.output)]:
            for mine, part in zip(_parts(got), _parts(asked), strict=False):
                n = len(before.operations)
                if part.root != place or mine.root != before.root:
                    continue
                if mine.operations[:n] == before.operations:
                    done = _list(mine.operations[n:])
                    kept = _list(part.operations)
                    done = done.removesuffix(kept).removesuffix(", ")
                    return f" In its place: {done}." if done and done != "nothing" else ""
        return ""

    def _in_steps(self, flow: Flow) -> Flow:
        """Return a wanted flow in numbers of the steps that there are, 0 for a missing one."""
        if isinstance(flow.root, Joined):
            parts = tuple(map(self._in_steps, flow.root.parts))
            return Flow(Joined(flow.root.how, parts), flow.operations)
        if isinstance(flow.root, int):
            return Flow(self.number_of.get(flow.root, 0), flow.operations)
        return flow

    def _reads(
        self,
        number: int,
        got: Flow | None,
        asked: Flow | None,
        x: Tensor | None,
        between: dict[int | str, dict[int, tuple[str, str]]],
        where: str = "",
        follows: str = "",
    ) -> bool:
        """Compare what a step reads; return True if it reads what is asked for.

        Args:
            number: Number of the step.
            got: Where its input comes from.
            asked: Where it should come from.
            x: Its input, None if it is not known.
            between: Takes what is done on the way from each root to the step, and should be.
            where: The step in words, if it is not among those that ran.
            follows: The input channels that it should have, if it has others.
        """
        assert asked is not None
        asked = self._in_steps(asked)
        if got:  # that is told of the steps
            got = _recorded(got, [s.fields["gradients"] != "recorded" for s in self.seen.steps])
        added = {step for step, wanted in self.pairs if step and not wanted}
        got = self._by_value(got, asked, x)
        if got is None or _roots(got) & {"?", *added} or 0 in _roots(asked):
            return True  # unknown, or what follows from another difference
        got = self._as_concatenation(got, x)
        is_cut = any("detach" in word or "gradients" in word for word in _operations(got))
        is_right = x is not None and not is_cut and _close(x, self._value(asked))
        if not is_right and _tree(got) != _tree(asked):
            self.differences.append(self._other_input(number, got, asked, where, follows))
            return False
        if is_right:
            got = asked
        elif isinstance(asked.root, Joined) and got.operations == asked.operations:
            got, asked = Flow(got.root), Flow(asked.root)
        for (root, one), (_, other) in zip(got.paths(), asked.paths(), strict=True):
            between.setdefault(root, {})[number] = (_list(one), _list(other))
        return True

    def _by_value(self, got: Flow | None, asked: Flow, x: Tensor | None) -> Flow | None:
        """Return a flow that is unknown as the parts asked for, in the order that gives it."""
        if got != Flow("?") or x is None or not isinstance(asked.root, Joined):
            return got
        for parts in permutations(asked.root.parts):
            flow = Flow(Joined(asked.root.how, parts), asked.operations)
            if 0 not in _roots(flow) and _close(x, self._value(flow)):
                return flow
        return got

    def _as_concatenation(self, flow: Flow, x: Tensor | None) -> Flow:
        """Return a flow as a concatenation of its parts, if it gives what that would give."""
        if x is None or not isinstance(flow.root, Joined) or flow.root.how.startswith("axis"):
            return flow
        joined = Flow(Joined("axis 1", flow.root.parts))
        return joined if _close(x, self._value(joined)) else flow

    def _other_input(
        self, number: int, got: Flow, asked: Flow, where: str, follows: str
    ) -> _Difference:
        """Return that a step reads something else than asked for."""
        axes = {flow.root.how for flow in (got, asked) if isinstance(flow.root, Joined)}
        yours, other = (self._words(flow, len(axes) > 1) for flow in (got, asked))
        remark = "asked for: " + ", ".join(str(root) for root, _ in asked.paths())
        several = ""
        if isinstance(asked.root, Joined):
            mine, parts = _tree(got), _tree(asked)[1:]
            if mine == parts[0]:
                several = "{} read what comes from below alone, without a skip connection."
            elif mine == (asked.root.how, *parts[::-1]):
                several = (
                    "{} read the skip connection first. Asked for: what comes from below first."
                )
            elif isinstance(mine, tuple) and {*mine[1:]} == {*parts} and mine[0] != asked.root.how:
                several = (
                    f"{{}} read {_whole(mine[0])} what comes from below and the skip connection. "
                    "Asked for: the one beside the other, along axis 1 (the channels)."
                )
        if follows:
            other += f", with {follows}"
            several = several and f"{several} Their numbers of input channels follow from that."
        sentence = "{} reads {yours}. Asked for: {asked}."
        return _Difference(sentence, (number,), yours, other, where, remark, several)

    def _value(self, flow: Flow) -> Tensor | None:
        """Return what a flow gives, None if it cannot be computed."""
        if isinstance(flow.root, Joined):
            parts = [self._value(part) for part in flow.root.parts]
            if any(part is None for part in parts):
                return None
            try:
                value = torch.cat([part for part in parts if part is not None], dim=1)
            except RuntimeError:
                return None
        elif isinstance(flow.root, int):
            output = self.seen.steps[flow.root - 1].y
            if output is None:
                return None
            value = output
        else:
            value = self.seen.tensors[flow.root]
        for operation in flow.operations:
            if operation not in _OPERATIONS:
                return None
            value = _OPERATIONS[operation](value)
        return value

    def _fields(self, number: int, step: Step, wanted: Step, reads_right: bool) -> None:
        """Compare the sizes of a layer."""
        asked = _USUAL | wanted.fields
        keys = [key for key, value in step.fields.items() if asked.get(key, value) != value]
        if any(number in group for group in self.repeated):  # one layer has one size
            keys = [key for key in keys if "channels" not in key]
        if step.fits or not reads_right:  # else it follows from another difference
            keys = [key for key in keys if key != "input channels"]
        yours, other = _sizes(step.fields, keys), _sizes(asked, keys)
        if step.kind != wanted.kind:
            yours, other = _size(step), _size(wanted)
        if yours:
            verb = "has" if step.kind == wanted.kind else "is"
            sentence = f"{{}} {verb} {{yours}}. Asked for: {{asked}}."
            remark = f"asked for: {other}"
            several = ""
            if keys == ["output channels"] and step.kind == wanted.kind:
                factor = int(step.fields[keys[0]]) / int(wanted.fields[keys[0]])
                several = (
                    f"{{}} have {factor:.3g} times the output channels that are asked for: in the "
                    "first of them {yours} in place of {asked}."
                )
            elif step.kind != wanted.kind:
                several = (
                    f"{{}} are {step.kind} layers. Asked for: {wanted.kind} layers. The first of "
                    "them is {yours}, asked for {asked}."
                )
            self.differences.append(
                _Difference(sentence, (number,), yours, other, remark=remark, several=several)
            )
        if not step.is_registered:
            sentence = "The weights of {} do not belong to the network: no optimizer trains them."
            remark = "weights not in the network"
            self.differences.append(_Difference(sentence, (number,), remark=remark))

    def _frozen(self) -> None:
        """Add which layers cannot be trained, all of a kind at once."""
        for kind in ("weights", "biases"):
            numbers = [n for n, step in enumerate(self.seen.steps, 1) if step.frozen == kind]
            if not numbers:
                continue
            sentence = (
                f"The {kind} of {{}} are frozen: their `requires_grad` is False. "
                f"Asked for: all {kind} are trained."
            )
            where = _steps(numbers, self)
            blocks = {self.seen.steps[n - 1].name.split(".")[0] for n in numbers}
            if len(numbers) > 1 and len(blocks) == 1 and blocks != {""}:
                where += f" (`{blocks.pop()}`)"
            self.differences.append(
                _Difference(sentence, tuple(numbers), where=where, remark=f"{kind} frozen")
            )

    def _between(self, between: dict[int | str, dict[int, tuple[str, str]]]) -> None:
        """Add what differs between the steps, each once if it is so on all ways from a step."""
        for root, ways in between.items():
            for target, (yours, asked) in ways.items():
                if yours.startswith(f"{asked}, "):
                    self.added[target, root] = yours.removeprefix(f"{asked}, ")
        before = self._before(between)
        for target, done in before.items():
            sentence = "Before {}: {yours}. Asked for: nothing."
            self.differences.append(
                _Difference(sentence, (target,), done, remark=f"before it {done}")
            )
        for root, every in between.items():
            ways = {target: way for target, way in every.items() if target not in before}
            wrong = {target: way for target, way in ways.items() if way[0] != way[1]}
            is_step = isinstance(root, int)
            # An input has no row of its own.
            steps = (root,) if isinstance(root, int) else tuple(wrong)
            if len(wrong) == len(ways) and len({*wrong.values()}) == 1:
                sentence = "After {}: {yours}. Asked for: {asked}."
                where = "" if is_step else self.name(root)
                ((yours, asked),) = {*wrong.values()}
                remark = f"then {yours}" if is_step else f"{root} after {yours}"
                self.differences.append(_Difference(sentence, steps, yours, asked, where, remark))
                continue
            for target, (yours, asked) in wrong.items():
                sentence = "From {}: {yours}. Asked for: {asked}."
                where = f"{self.name(root)} to {self.name(target)}"
                to = "the output" if target == self.after else f"step {target}"
                remark = (
                    f"then, on the way to {to}, {yours}" if is_step else f"{root} after {yours}"
                )
                steps = (root,) if isinstance(root, int) else (target,)
                self.differences.append(_Difference(sentence, steps, yours, asked, where, remark))

    def _before(self, between: dict[int | str, dict[int, tuple[str, str]]]) -> dict[int, str]:
        """Return what is done to all that a step reads, if that is several, by its number."""
        done: dict[int, list[str]] = {}
        for root, ways in between.items():
            for target in ways:
                done.setdefault(target, []).append(self.added.get((target, root), ""))
        same = {target: each[0] for target, each in done.items() if {*each} == {each[0]} != {""}}
        several = {same[target] for target in same if len(done[target]) > 1}
        return {target: same[target] for target in sorted(same) if same[target] in several}

    def _words(self, flow: Flow, with_axis: bool) -> str:
        """Return what is read, in words."""
        if not isinstance(flow.root, Joined):
            return f"{self.name(flow.root)} alone"
        how = flow.root.how
        if not how.startswith("axis"):
            return self._formula(flow)
        parts = [self._words(part, with_axis).removesuffix(" alone") for part in flow.root.parts]
        along = f", along {how}{' (the channels)' if how == 'axis 1' else ''}"
        return ", then ".join(parts) + (along if with_axis else "")

    def _formula(self, flow: Flow, is_part: bool = False) -> str:
        """Return in words what is made of steps and inputs."""
        operations = flow.operations
        if isinstance(flow.root, Joined):
            how, parts = flow.root.how, [self._formula(part, True) for part in flow.root.parts]
            if how in _SIGNS or how.startswith("axis"):
                text = (f" {_SIGNS[how][0]} " if how in _SIGNS else ", then ").join(parts)
            else:
                text = f"{_whole(how)} {enumerated(parts)}"
            text = f"({text})" if is_part or operations else text
        else:
            text = self.name(flow.root)
            usual = [x for x in (DOWN, UP, JUDGE) if operations[: len(x)] == x]
            if usual and isinstance(flow.root, int):  # what belongs to the block
                operations = operations[len(usual[0]) :]
        for place, operation in enumerate(operations, 1):
            if operation in _SIGNS:
                text = f"{text} {_SIGNS[operation][0]} a number"
                text = f"({text})" if is_part or place < len(operations) else text
            else:
                text = f"the {operation.removeprefix('a ')} of {text}"
        return text


def _aligned(
    steps: list[Step], wanted: list[Step], is_complete: bool
) -> list[tuple[int | None, int | None]]:
    """Return pairs of numbers of steps that belong together; None where one has no partner.

    The pairs cost least: nothing for equal layers, 1 for each layer without a partner.

    Args:
        steps: The steps that there are.
        wanted: Those that are asked for.
        is_complete: Whether all steps ran; if not, the last ones that are asked for are left out.
    """
    n, m = len(steps), len(wanted)
    if n == m and all(map(_is_in_place, steps, wanted)):  # other widths
        return [(number, number) for number in range(1, n + 1)]
    costs = [[float(i + j) for j in range(m + 1)] for i in range(n + 1)]
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            together = costs[i - 1][j - 1] + _unlike(steps[i - 1], wanted[j - 1])
            costs[i][j] = min(together, costs[i - 1][j] + 1, costs[i][j - 1] + 1)
    i, j = n, m if is_complete else min(range(m + 1), key=lambda j: costs[n][j])
    pairs: list[tuple[int | None, int | None]] = []
    while i or j:
        if i and j and costs[i][j] == costs[i - 1][j - 1] + _unlike(steps[i - 1], wanted[j - 1]):
            pairs.append((i, j))
            i, j = i - 1, j - 1
        elif i and costs[i][j] == costs[i - 1][j] + 1:
            pairs.append((i, None))
            i -= 1
        else:
            pairs.append((None, j))
            j -= 1
    return pairs[::-1]


def _is_in_place(step: Step, wanted: Step) -> bool:
    """Return True for two layers that differ in their numbers of channels at most."""
    keys = ("kernel", "stride")
    return step.kind == wanted.kind and all(
        step.fields.get(key) == wanted.fields.get(key) for key in keys
    )


def _unlike(step: Step, wanted: Step) -> float:
    """Return 0 for two layers of the same size, more for others."""
    keys = ("input channels", "output channels", "kernel", "stride")
    unlike = sum(step.fields.get(key) != wanted.fields.get(key) for key in keys)
    return 0.375 * unlike + 0.75 * (step.kind != wanted.kind)


def _close(x: Tensor, y: Tensor | None) -> bool:
    if y is None or x.shape != y.shape or x.dtype != y.dtype:
        return False
    return torch.allclose(x, y, rtol=1e-4, atol=1e-6)


def _parts(flow: Flow | None) -> tuple[Flow, ...]:
    """Return the parts of a concatenation, and anything else as its only part."""
    if flow is None:
        return ()
    return flow.root.parts if isinstance(flow.root, Joined) else (flow,)


def _roots(flow: Flow) -> set[int | str]:
    return {root for root, _ in flow.paths()}


def _recorded(flow: Flow, is_off: list[bool]) -> Flow:
    """Return a flow as if gradients had been recorded behind the steps without."""
    root = flow.root
    if isinstance(root, Joined):
        root = Joined(root.how, tuple(_recorded(part, is_off) for part in root.parts))
    if all(is_off) or (isinstance(root, int) and is_off[root - 1]):
        return Flow(root, tuple(x.removesuffix(UNRECORDED) for x in flow.operations))
    return Flow(root, flow.operations)


def _operations(flow: Flow) -> set[str]:
    return {operation for _, operations in flow.paths() for operation in operations}


def _tree(flow: Flow) -> Any:
    """Return what a flow reads and how it is joined, whatever happens on the way."""
    if isinstance(flow.root, Joined):
        return (flow.root.how, *map(_tree, flow.root.parts))
    return flow.root


# --- Words --------------------------------------------------------------------------------------

_USUAL = {
    "bias": "yes",
    "dilation": "1",
    "groups": "1",
    "output_padding": "0",
    "weights": "its own",
    "gradients": "recorded",
}
_SIZES = {
    "bias": {"yes": "a bias", "no": "no bias"},
    "weights": {
        "its own": "plain weights",
        "spectrally normalised": "spectrally normalised weights",
        "computed from others": "weights that are computed from others",
    },
    "gradients": {"recorded": "gradients recorded", "switched off": "gradients switched off"},
}


def _sizes(fields: dict[str, str], keys: list[str]) -> str:
    words = []
    for key in keys:
        value = fields[key]
        if "channels" in key:
            words.append(f"{value} {key if value != '1' else key[:-1]}")
        else:
            words.append(_SIZES.get(key, {}).get(value) or f"{key.replace('_', ' ')} {value}")
    return ", ".join(words)


def _size(step: Step) -> str:
    fields = step.fields
    kernel = f", {fields['kernel']}" if "kernel" in fields else ""
    return f"{step.kind} {fields['input channels']}→{fields['output channels']}{kernel}"


#: How two tensors that were computed with each other are read, and written in the table.
_SIGNS = {
    "addition": ("plus", "+"),
    "subtraction": ("minus", "-"),
    "multiplication": ("times", "·"),
    "division": ("divided by", "/"),
}


def _list(operations: Sequence[str]) -> str:
    return ", ".join(operations) or "nothing"


def _explanation(
    cases: Sequence[tuple[str, Any, dict[str, int], dict[str, int], Wanted]],
) -> Explanation | None:
    """Return what differs in the first case, and in the others what does not in the first.

    Args:
        cases: Words, the student's class, its arguments, the channels of each input by name, and
            what is asked for.
    """
    sentences: list[str] = []
    known: set[tuple[str, ...]] = set()
    table: TableRecord | None = None
    for words, answer, options, channels, wanted in cases:
        try:
            network, other = answer(**options), answer(**options)
        except Exception:  # Python's own message tells why
            continue
        if not isinstance(network, nn.Module):
            return None
        memory = Memory(other, [*channels.values()])
        if memory.names:
            network = other
            network.register_forward_pre_hook(memory.empty)
        if memory.names and _KEEPS not in known:
            known.add(_KEEPS)
            names = enumerated(f"`self.{name}`" for name in memory.names)
            sentences.append(
                "What the network returns depends on earlier calls: it keeps tensors of a call in "
                f"{names} and uses them in the next one."
            )
        comparison, differences = _compared(network, channels, wanted)
        new = [d for d in differences if d.kind not in known]
        known |= {d.kind for d in differences}
        sentences += [_after(words, text) for text in _sentences(new, comparison)]
        if new and table is None:
            table = _table(comparison, new, words)
    if not sentences:
        return None
    notes = [["wrong", text] for text in sentences[:_MOST]]
    if len(sentences) > _MOST:
        notes.append(["also", f"{len(sentences) - _MOST} more: see the table below."])
    return Explanation(notes=notes, items=_ITEMS, alone=False, table=table)


def _compared(
    network: nn.Module, channels: dict[str, int], wanted: Wanted
) -> tuple[_Comparison, list[_Difference]]:
    """Return what differs: with the weights that a network has, else with large outputs.

    What is done to small logits may leave them almost as they were: large ones are tried always.
    """
    found: list[tuple[_Comparison, list[_Difference]]] = []
    for gain in (None, probes.LARGE, -probes.LARGE):
        comparison = _Comparison(watch(network, channels, gain), wanted)
        found.append((comparison, comparison.find()))
        if found[-1][1] and (wanted.output.operations or gain):
            break
    first, differences = next((x for x in found if x[1]), found[-1])
    places = {one.steps for one in differences}
    late = [one for one in found[-1][1] if one.steps and one.steps not in places]
    return first, [*differences, *late]


def _after(words: str, sentence: str) -> str:
    return f"{words}: {sentence[0].lower()}{sentence[1:]}" if words else sentence


def _sentences(differences: list[_Difference], comparison: _Comparison) -> list[str]:
    """Return a sentence for each difference, one for those that only differ in the step."""
    merged: dict[tuple[str, ...], list[_Difference]] = {}
    for one in differences:
        is_one_of_several = sum(one.several == other.several for other in differences) > 1
        key = (one.sentence, one.yours, one.asked)
        merged.setdefault((one.several,) if one.several and is_one_of_several else key, []).append(
            one
        )
    sentences = []
    for group in merged.values():
        first = group[0]
        steps = [number for one in group for number in one.steps]
        sentence = first.sentence
        if len(group) > 1:
            sentence = first.several or sentence.replace("{} has ", "{} have ")
            sentence = sentence.replace("{} is ", "{} are ")
        places = [one.where for one in group if one.where]
        where = enumerated(places) if len(places) == len(group) else _steps(steps, comparison)
        text = sentence.format(where, yours=first.yours, asked=first.asked)
        sentences.append(capitalised(text))
    return sentences


def _steps(numbers: list[int], comparison: _Comparison) -> str:
    if len(numbers) == 1:
        return comparison.name(numbers[0])
    if len(numbers) > 2 and numbers == [*range(numbers[0], numbers[-1] + 1)]:
        return f"steps {numbers[0]} to {numbers[-1]}"
    return f"steps {enumerated(map(str, numbers))}" if numbers else ""


def _table(comparison: _Comparison, differences: list[_Difference], words: str = "") -> TableRecord:
    """Return all steps, each with a remark where it differs from what is asked for."""
    remarks: dict[int, list[str]] = {}
    for one in differences:
        for number in one.steps:
            remarks.setdefault(number, []).append(one.remark)
    rows = []
    note = ""
    for number, step in enumerate(comparison.seen.steps, 1):
        name = f"{step.name}: " if step.name else ""
        stopped = "stopped here" if step.y is None else str(tuple(step.y.shape))
        if not step.fits:
            stopped = "stops here"
            note = "Behind a step that stops, the others are shown as if their inputs fitted."
        added = {root: done for (n, root), done in comparison.added.items() if n == number}
        rows.append([f"{number:2}", f"{name}{_size(step)}", _reads(step.reads, added), stopped])
    if comparison.seen.entered:
        name, flow = comparison.seen.entered
        rows.append([f"{comparison.after:2}", name, _reads(flow), "stopped here"])
    elif comparison.after in remarks and comparison.seen.output:
        shape = str(tuple(comparison.seen.tensors["output"].shape))
        rows.append(["", "the output", _reads(comparison.seen.output), shape])
    for number, row in enumerate(rows, 1):
        row.append("; ".join(remarks.get(number, ())))
    behind = len(rows)  # a layer that is missing has its row before that of the next one
    for step_of, place in reversed(comparison.pairs):
        if step_of:
            behind = step_of - 1
        elif place:
            wanted = comparison.wanted.steps[place - 1]
            rows.insert(behind, ["", f"{wanted.name}: {_size(wanted)}", "", "", "missing"])
    header = ["step", "layer", "reads", "output", ""]
    name = f"layers {words[0].lower()}{words[1:]}" if words else "layers"
    return TableRecord(name=name, header=header, rows=rows, note=note)


def _whole(how: str) -> str:
    """Return the words before what an operation takes."""
    along = how.removeprefix("axis ")
    return f"the {how} of" if along == how else f"along axis {along}"


def _reads(flow: Flow | None, added: Mapping[int | str, str] = MappingProxyType({})) -> str:
    """Return what a step reads, as a cell of the table.

    Args:
        flow: Where its input comes from.
        added: What is done on the way from each step besides what is asked for.
    """
    if flow is None:
        return ""
    if not isinstance(flow.root, Joined):
        is_input = isinstance(flow.root, str)
        done = ", ".join(flow.operations) if is_input else added.get(flow.root)
        return f"{flow.root} ({done})" if done else str(flow.root)
    how = flow.root.how
    parts = [_reads(part, added) for part in flow.root.parts]
    if how in _SIGNS:
        return f" {_SIGNS[how][1]} ".join(f"({x})" if " " in x else x for x in parts)
    text = ", ".join(parts)
    if how == "axis 1":
        return text
    return f"({text}) along {how}" if how.startswith("axis") else f"{how} of ({text})"
