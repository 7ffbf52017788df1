"""Show the events of a step beside a right order of them, what differs marked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from itertools import chain, product, zip_longest
from types import MappingProxyType

from labhelpers.checks.explanations.reading import COUNT, ReadStory, owned
from labhelpers.checks.explanations.story import BEFORE, CLOSE, Event, Plan
from labhelpers.checks.records import TableRecord

__all__ = ["step_table"]

_MOST_ROWS = 40


def step_table(story: ReadStory, which: str, sentences: list[str]) -> TableRecord | None:
    """Return what happened beside what was asked for.

    The first difference is marked, and each loss that was computed from other inputs.
    """
    plan, own = story.plan, _roles(story)
    right = [f"clear the gradients of the {trained}" for trained in _moved_right(story)]
    n = story.n_images if any(COUNT in sentence for sentence in sentences) else 0
    yours = [_text(event, plan, own, n) for event in story.events]
    asked = max(
        ([_text(event, plan) for event in events] for events in _orders(story)),
        key=lambda texts: SequenceMatcher(None, texts, yours, autojunk=False).ratio(),
    )
    rows: list[list[str]] = []
    marked = False
    harmless = set() if story.takes_apart else {"loss"}  # once more than needed
    if not any("are cleared between" in sentence for sentence in sentences):
        harmless.add("clear")
    opcodes = SequenceMatcher(None, yours, asked, autojunk=False).get_opcodes()
    for kind, i, i_end, k, k_end in opcodes:
        events = story.events[i:i_end]
        for event, left, asked_for in zip_longest(events, yours[i:i_end], asked[k:k_end]):
            is_needless = kind == "delete" and event.kind in harmless
            is_done = kind == "insert" and asked_for in right  # the gradient was right without
            is_misfed = event is not None and event.is_misfed
            is_other = kind != "equal" and not is_needless and not is_done
            remark = "<-- first difference" if is_other and not marked else ""
            remark = "<-- other inputs" if is_misfed else remark
            marked |= bool(remark)
            rows.append([left or "", asked_for or "", remark])
    if story.error:
        rows.append(["stopped by an error", "", ""])
    elif not marked:
        return None
    return TableRecord(
        name=f"what your step does, beside one right order{which}",
        header=["yours", "asked for", ""],
        rows=rows[:_MOST_ROWS],
        note=f"N is {COUNT}." if any("N × " in row[0] for row in rows) else "",
    )


def _text(
    event: Event, plan: Plan, own: Mapping[str, str] = MappingProxyType({}), n: int = 0
) -> str:
    """Return an event in the words of the table.

    Args:
        event: What happened.
        plan: What is asked for.
        own: What losses of the answer's own are.
        n: The number of images if losses are multiples of it, else 0.
    """
    if event.kind == "loss":
        return f"compute {event.who}"
    if event.kind == "clear":
        return f"clear the gradients of the {event.who}"
    if event.kind == "step":
        return f"step of {owned(event.who) if event.who else 'another'} optimizer"
    of = event.of
    for trained in dict.fromkeys(loss.trains for loss in plan.losses):
        names = [loss.name for loss in plan.losses if loss.trains == trained]
        if len(names) > 1 and len({of.get(name) for name in names}) == 1 and names[0] in of:
            of = {k: v for k, v in of.items() if k not in names} | {
                f"{owned(trained)} loss": of[names[0]]
            }
    terms = []
    for name, factor in sorted(of.items(), reverse=True):
        term = own.get(name, name)
        if (parts := event.parts.get(name, 1)) > 1:
            factor /= parts
            term = f"the sum of {parts} losses" if term == "the loss" else f"{term}, {parts} times"
        multiples = {1.0: "", **({float(n): "N × ", 1 / n: "1/N × "} if n else {})}
        known = (text for x, text in multiples.items() if abs(factor - x) < CLOSE)
        terms.append(next(known, f"{factor:.3g} × ") + term)
    if event.is_returned:
        return f"torch.autograd.grad of {' + '.join(terms)}"
    return f"backward from {' + '.join(terms)}"


def _roles(story: ReadStory) -> dict[str, str]:
    """Return what losses of the answer's own are, by the optimizer that moves by them."""
    roles: dict[str, str] = {}
    for event in story.events:
        for content in event.content.values():
            for name in content:
                if name in story.own_losses:
                    roles.setdefault(name, f"{owned(event.who)} loss")
    return roles


def _moved_right(story: ReadStory) -> set[str]:
    """Return the optimizers that step in time: nothing is wrong with what they use but a leak."""
    if story.told_of_order():
        return set()
    return {
        event.who
        for event in story.events
        if event.kind == "step"
        and event.content
        and all(
            len([key for key in part if not story.is_leak(key, name)]) == 1 and BEFORE not in part
            for name, part in event.content.items()
        )
    }


def _orders(story: ReadStory) -> Iterator[list[Event]]:
    """Yield right orders of the events, those of the statement first."""
    plan, right = story.plan, _moved_right(story)
    written = [made.name for made in story.made if made.own]
    if story.own_losses and plan.fixtures:
        written = [loss.name for loss in plan.losses]
    orders: list[list[list[Event]]] = []
    for trained in story.players.optimizers:
        names = [loss.name for loss in plan.losses if loss.trains == trained]
        parts = [([] if x in written else [Event("loss", x)], [Event("backward", "", {x: 1.0})])
                 for x in names]  # fmt: skip
        ways: list[tuple[list[Event], list[Event]]] = []
        for pairs in [parts, parts[::-1]][: len(names)]:  # which one of two comes first is free
            losses, each = ([event for pair in pairs for event in pair[k]] for k in (0, 1))
            ways.append((losses, [Event("backward", "", dict.fromkeys(names, 1.0))]))
            if len(names) > 1:
                ways += [
                    (losses, each),
                    ([], [event for pair in pairs for x in pair for event in x]),
                ]
        orders.append([])
        for way, place in product(ways, (1, 0, 3)):
            order = [*way, [Event("step", trained)]]
            order.insert(place, [Event("clear", trained)])
            orders[-1].append(list(chain(*order)))
    for both in product(*orders):
        yield list(chain(*both))
        if len(both) == 2:
            yield from _other_orders(both[0], both[1], right, _begins_with_losses(story))


def _begins_with_losses(story: ReadStory) -> bool:
    kinds = [event.kind for event in story.events if event.kind in ("loss", "backward")]
    return "loss" not in kinds[kinds.index("backward") if "backward" in kinds else 0 :]


def _other_orders(
    first: list[Event], second: list[Event], right: set[str], losses_first: bool
) -> Iterator[list[Event]]:
    """Yield orders of two parts that are as right: all losses at the start, a right step later."""
    losses = [event for event in second if event.kind == "loss"]
    rest = [event for event in second if event.kind != "loss"]
    n = sum(event.kind == "loss" for event in first)
    if losses_first:
        first, second = first[:n] + losses + first[n:], rest
        yield first + second
    if first[-1].who in right:
        yield [*first[:-1], *second, first[-1]]
        yield [*first[:-1], *second[:-1], first[-1], second[-1]]
