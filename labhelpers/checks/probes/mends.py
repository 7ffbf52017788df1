"""What a mended function of the clinic does: numbers to compare, and a sentence for the reader."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD

from labhelpers.checks.cases import Setting
from labhelpers.checks.fingerprint import hashed
from labhelpers.checks.fixtures import PairDiscriminator, SmallGenerator, images
from labhelpers.checks.probes.losses import value_of

__all__ = ["FUNCTION_OF", "RIGHT", "job_of", "tell"]

RIGHT = "It does what its docstring says."

Outcome = tuple[list[Any], str]  # numbers, and a sentence that is empty if all is right


class Job(NamedTuple):
    """What one of the functions of the clinic is there for.

    Attributes:
        arguments: Their names, as in the cell.
        tried: Returns the numbers that the function gives, and what it does wrong in a sentence.
        fits: Returns True if a function gives a result of the kind that this job asks for.
    """

    arguments: str
    tried: Callable[[Any, Setting], Outcome]
    fits: Callable[[Any], bool] = lambda function: True


def tell(function: Any, job: str, setting: Setting) -> tuple[list[Any], str]:
    """Return numbers that a function gives, and in a sentence whether it does its job.

    Args:
        function: What a student returned.
        job: Name of the function in the cell.
        setting: Of the check.
    """
    numbers, wrong = _JOBS[job].tried(function, setting)
    return numbers, wrong or RIGHT


def job_of(function: Any, expected: str, names: Sequence[str]) -> str:
    """Return which of the functions of the cell this one is, however it is written.

    Args:
        function: What a student returned.
        expected: The answer where several are possible, or none; may be empty.
        names: The functions of the cell.

    Raises:
        TypeError: If it is none of them and none is expected.
    """
    candidates = [expected] * (expected in names) + [name for name in names if name != expected]
    for name in candidates:
        if _takes(function, _JOBS[name].arguments) and _JOBS[name].fits(function):
            return name
    if expected in names:
        return expected
    raise TypeError(f"This function does the job of none of these: {', '.join(names)}.")


def _takes(function: Any, arguments: str) -> bool:
    try:
        inspect.signature(function).bind(*arguments.split(", "))
    except (TypeError, ValueError):  # the second: Python cannot tell
        return False
    return True


def _gives(kind: Callable[[Any], bool], *arguments: Any) -> Callable[[Any], bool]:
    """Return a function that returns True if another one gives this kind of result."""

    def fits(function: Any) -> bool:
        try:
            return kind(function(*deepcopy(arguments)))
        except Exception:  # a student's code may raise anything
            return False

    return fits


def _is_pair(of: type | tuple[type, ...]) -> Callable[[Any], bool]:
    def fits(returned: Any) -> bool:
        is_pair = isinstance(returned, (tuple, list)) and len(returned) == 2
        return is_pair and all(isinstance(part, of) for part in returned)

    return fits


def _is_one_number(returned: Any) -> bool:
    return isinstance(returned, float) or (isinstance(returned, Tensor) and returned.numel() == 1)


def _alike(got: Sequence[Tensor], expected: Sequence[Tensor]) -> bool:
    return all(
        one.shape == other.shape and torch.allclose(one, other, rtol=1e-3, atol=1e-5)
        for one, other in zip(got, expected, strict=True)
    )


def _first_alike(
    got: Sequence[Tensor], candidates: Mapping[str, Sequence[Tensor]], otherwise: str
) -> str:
    """Return the sentence beside the candidate that gives the same."""
    return next((told for told, one in candidates.items() if _alike(got, one)), otherwise)


# The frame


def _try_frame(black_frame: Any, setting: Setting) -> Outcome:
    slices = {
        name: images(3, setting.seed(100 + k), setting.dtype) for k, name in enumerate(_NAMES)
    }
    numbers: list[Any] = []
    wrong: dict[str, list[str]] = {}
    for width in (2, setting.choose(3, 5)):
        others = () if width == 2 else (width,)
        returned = black_frame(*(image.clone() for image in slices.values()), *others)
        if not _is_pair(Tensor)(returned):
            return [], f"It returns a {type(returned).__name__} where two slices are expected."
        numbers += returned
        for (name, before), after in zip(slices.items(), returned, strict=True):
            told = _after_framing(before, after, width)
            if told and not any(name in names for names in wrong.values()):
                wrong.setdefault(told, []).append(name)
    return numbers, " ".join(
        f"The {' and the '.join(names)} slices {told}." for told, names in wrong.items()
    )


_NAMES = ("T1-w", "T2-w")
_FARTHEST = 8  # voxels that a slice may be moved by and is still recognised


def _framed(image: Tensor, width: int) -> Tensor:
    inside = slice(width, -width)
    return F.pad(image[..., inside, inside], [width] * 4, value=-1.0)


def _after_framing(before: Tensor, after: Tensor, width: int) -> str:
    """Return what happened to slices, "" if they got their frame and stayed as they were."""
    if after.shape != before.shape:
        return f"come back with the shape {tuple(after.shape)}, not {tuple(before.shape)}"
    if _alike([after], [_framed(before, width)]):
        return ""
    if _alike([after], [before]):
        return "get no frame"
    for other in range(1, _FARTHEST):
        if _alike([after], [_framed(before, other)]):
            return f"get a frame of {other} voxels for a `width` of {width}"
    rim = slice(width + _FARTHEST, -width - _FARTHEST)
    steps = range(-_FARTHEST, _FARTHEST + 1)
    for x, y in ((x, y) for x in steps for y in steps):
        if _alike([after[..., rim, rim]], [before.roll((x, y), (-2, -1))[..., rim, rim]]):
            if not x and not y:
                inside = slice(width, -width)
                if _alike([after[..., inside, inside]], [before[..., inside, inside]]):
                    frame = after[_framed(torch.full_like(before, 2), width) == -1]
                    if _alike([frame], [frame[:1].expand_as(frame)]):
                        what = f"of the value {float(frame[0]):.3g}, not black (-1)"
                    else:
                        what = "that is not black (-1) everywhere"
                    return f"get a frame {what}, {width} voxels wide"
                return "change further inside than the frame"
            moved = [f"{abs(by)} voxels along {axis}" for by, axis in ((x, "x"), (y, "y")) if by]
            return f"are moved by {' and '.join(moved)}"
    return "change inside of the frame, too"


# The split


def _try_split(split: Any, setting: Setting) -> Outcome:
    numbers = []
    wrong: list[str] = []
    for n_subjects, n_test in setting.choose(((11, 3), (8, 5)), ((9, 4), (13, 5))):
        values = hashed((n_subjects,), setting.seed(110 + n_test))
        number = {f"sub-{k:03d}": value for k, value in enumerate(values.tolist())}
        returned = split(list(number), n_test)
        if not _is_pair((list, tuple, set))(returned):
            return [], f"It returns a {type(returned).__name__} where two lists are expected."
        train, test = (list(part) for part in returned)
        both, neither = {*train} & {*test}, {*number} - {*train} - {*test}
        everybody = sum(number[subject] for subject in number.keys() & {*train, *test})
        sizes = len(train), len(test), len(both)
        # Whole numbers and sums: they are the same whichever subjects are tested.
        numbers.append(torch.tensor([*sizes, everybody], dtype=torch.float64))
        wrong = wrong or _after_splitting(sizes, len(neither), n_subjects, n_test)
    return numbers, " ".join(wrong)


def _after_splitting(
    sizes: tuple[int, int, int], n_lost: int, n_subjects: int, n_test: int
) -> list[str]:
    n_train, n_tested, n_both = sizes
    asked = f"Of {n_subjects} subjects, {n_test} of them to test,"
    wrong = [f"{asked} {n_both} {'is' if n_both == 1 else 'are'} in both parts."] if n_both else []
    wrong += [f"{asked} {n_lost} are in neither part."] if n_lost else []
    if (n_train, n_tested) == (n_test, n_subjects - n_test) and n_test != n_tested:
        wrong.append("The test subjects are returned first and the training subjects second.")
    elif n_tested != n_test:
        wrong.append(f"{asked} {n_tested} are in the test part.")
    elif not wrong and n_train != n_subjects - n_test:
        wrong.append("The parts hold somebody twice, or somebody who was not in the list.")
    return wrong


# The discriminator's loss


def _cross_entropy(logits: Tensor, label: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def _try_loss(discriminator_loss: Any, setting: Setting) -> Outcome:
    shape = (setting.choose(4, 5), 1, 1, 1)
    real, fake = (
        (3 * hashed(shape, setting.seed(120 + k), setting.dtype)).requires_grad_() for k in (0, 1)
    )
    loss = discriminator_loss(real, fake)
    if not _is_one_number(loss):
        return [], "It does not return one number."
    if not isinstance(loss, Tensor) or not loss.requires_grad:
        return [value_of(loss)], "It returns a number without a gradient: nobody can learn from it."

    def numbers_of(loss: Tensor) -> list[Tensor]:
        return [loss.detach().reshape(()), *_gradients(loss, [real, fake])]

    (real0, real1), (fake0, fake1) = (
        [_cross_entropy(logits, label) for label in (0.0, 1.0)] for logits in (real, fake)
    )
    exchanged = (real0 + fake1) / 2
    candidates = {
        "": (real1 + fake0) / 2,
        "It still asks for label 0 on true slices and 1 on generated ones.": exchanged,
        "It asks for label 1 on generated slices, too: all are to be called real.": (
            (real1 + fake1) / 2
        ),
        "It asks for label 0 on true slices, too: all are to be called generated.": (
            (real0 + fake0) / 2
        ),
        "It is the sum of the two parts. It was their mean, and that was no fault.": real1 + fake0,
        "It is the faulty loss with a minus sign, which falls without limit.": -exchanged,
        "Generated slices no longer count in it.": real1 / 2,
        "Generated slices do not count in it.": real1,
        "True slices no longer count in it.": fake0 / 2,
        "True slices do not count in it.": fake0,
    }
    numbers = numbers_of(loss)
    at = [torch.full(shape, value, dtype=setting.dtype) for value in (2.0, -1.0)]
    value, best = (
        float(torch.as_tensor(one(*at)).detach()) for one in (discriminator_loss, _right_loss)
    )
    otherwise = (
        f"For a logit of 2 on true slices and of -1 on generated ones it gives {value:.3f}; the "
        f"labels 1 and 0 give {best:.3f}."
    )
    if abs(value - best) < 1e-3:
        otherwise = "Its value or its gradient is not that of a loss with the labels 1 and 0."
    return numbers, _first_alike(
        numbers, {told: numbers_of(one) for told, one in candidates.items()}, otherwise
    )


def _right_loss(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    return (_cross_entropy(logits_real, 1.0) + _cross_entropy(logits_fake, 0.0)) / 2


def _gradients(loss: Tensor, variables: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradients of a loss, zeros for variables that it does not depend on."""
    found = torch.autograd.grad(loss.reshape(()), variables, retain_graph=True, allow_unused=True)
    return [
        torch.zeros_like(variable) if gradient is None else gradient
        for variable, gradient in zip(variables, found, strict=True)
    ]


# The step of both networks


def _loss_of_logits(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    return torch.cos(logits_real + 0.5).mean() + torch.sin(2 * logits_fake).mean()


_LR = (0.4, 0.01)  # of the generator and of the discriminator


def _try_step(step_on_batch: Any, setting: Setting) -> Outcome:
    networks = (
        SmallGenerator(setting.seed(130), setting.dtype),
        PairDiscriminator(setting.seed(131), setting.dtype),
    )
    optimizers = tuple(SGD(net.parameters(), lr=lr) for net, lr in zip(networks, _LR, strict=True))
    told: dict[str, str] = {}  # network -> what is wrong with it, in the first step where it is
    for k in (0, 2):
        t1, t2 = (images(3, setting.seed(132 + k + j), setting.dtype) for j in (0, 1))
        weight = setting.choose(0.7, 0.4)
        before = deepcopy(networks)
        kept = [  # a copy of a network has no gradients
            [
                torch.zeros_like(w) if w.grad is None else w.grad.clone()
                for w in network.parameters()
            ]
            for network in networks
        ]
        step_on_batch(*networks, optimizers, t1, t2, _loss_of_logits, weight)
        for name, wrong in _after_step(before, networks, kept, t1, t2, weight).items():
            told[name] = told.get(name) or wrong
    weights = [*networks[0].parameters(), *networks[1].parameters()]
    return weights, " ".join(filter(None, told.values()))


def _after_step(
    before: tuple[nn.Module, nn.Module],
    after: tuple[nn.Module, nn.Module],
    kept: list[list[Tensor]],
    t1: Tensor,
    t2: Tensor,
    weight: float,
) -> dict[str, str]:
    """Return what is wrong with the way in which each network moved, "" if nothing is."""
    generator, discriminator = before
    fake = generator(t1)
    logits = discriminator(fake, t1)
    adversarial, distance = _cross_entropy(logits, 1.0), F.l1_loss(fake, t2)
    own = weight * adversarial + distance
    judged = discriminator(t2, t1)
    loss = _loss_of_logits(judged, logits)
    late = discriminator(after[0](t1).detach(), t1)  # of the generator after its update
    weights = [list(network.parameters()) for network in before]
    moved = [
        [(w - v).detach() / lr for w, v in zip(part, network.parameters(), strict=True)]
        for part, network, lr in zip(weights, after, _LR, strict=True)
    ]

    def follows(
        part: int,
        name: str,
        losses: Mapping[str, Tensor],
        more: Mapping[str, Sequence[Tensor]],
        otherwise: str,
    ) -> str:
        """Return the sentences beside the loss, and beside what is added, that give the same."""
        found = {told: _gradients(loss, weights[part]) for told, loss in losses.items()}
        candidates = {
            " ".join(filter(None, (told, also))): [a + b for a, b in zip(one, two, strict=True)]
            for also, two in more.items()
            for told, one in found.items()
        } | {f"The {name} does not learn any more.": nothing[part]}
        return _first_alike(moved[part], candidates, otherwise)

    of_loss, of_own = _gradients(loss, weights[0]), _gradients(own, weights[1])
    nothing = [[torch.zeros_like(one) for one in part] for part in weights]
    other_judged, other_logits = discriminator(t2, t2), discriminator(fake, t2)
    return {
        "generator": follows(
            0,
            "generator",
            {
                "": own,
                "The generator follows the discriminator's loss only.": loss,
                "Of its own loss, the generator follows the voxel-wise part only: nothing of the "
                "adversarial part reaches it.": distance,
                "The generator follows its adversarial loss without `lambda_gan`.": (
                    adversarial + distance
                ),
                "The generator learns to be recognised: its own loss asks for label 0.": (
                    weight * _cross_entropy(logits, 0.0) + distance
                ),
                "In the generator's own loss, the discriminator gets another condition than "
                "`real_t1` with the generated slices: `real_t2`.": (
                    weight * _cross_entropy(other_logits, 1.0) + distance
                ),
            },
            {
                "": nothing[0],
                "The generator still follows the discriminator's loss, too.": of_loss,
                "The generator's gradient of the step before is not cleared.": kept[0],
            },
            "The generator moves by another gradient than that of its own loss: `lambda_gan` times "
            "the adversarial loss with label 1, plus the voxel-wise loss.",
        ),
        "discriminator": follows(
            1,
            "discriminator",
            {
                "": loss,
                "The discriminator follows the generator's loss.": own,
                "The discriminator learns nothing from generated slices.": _loss_of_logits(
                    judged, logits.detach()
                ),
                "The discriminator learns nothing from true slices.": _loss_of_logits(
                    judged.detach(), logits
                ),
                "The discriminator judges slices of the generator after its update: both gradients "
                "are to come before both updates.": _loss_of_logits(judged, late),
                "The discriminator follows another loss than the `discriminator_loss` that the "
                "function gets.": _right_loss(judged, logits),
                "The discriminator takes true slices for generated ones, and the reverse.": (
                    _loss_of_logits(logits, judged)
                ),
                "For generated slices the discriminator gets another condition than `real_t1`: "
                "`real_t2`.": _loss_of_logits(judged, other_logits),
                "For true slices the discriminator gets another condition than `real_t1`: "
                "`real_t2`.": _loss_of_logits(other_judged, logits),
                "For true and for generated slices the discriminator gets another condition than "
                "`real_t1`: `real_t2`.": _loss_of_logits(other_judged, other_logits),
            },
            {
                "": nothing[1],
                "The discriminator also follows the gradient that the generator's loss left in "
                "it.": of_own,
                "The discriminator also follows gradients that were there before the step.": [
                    a + b for a, b in zip(of_own, kept[1], strict=True)
                ],
            },
            "The discriminator moves by another gradient than that of `discriminator_loss` for "
            "`real_t2` and the generated slices, each with `real_t1` as its condition.",
        ),
    }


# The scaling of slices

_CLOSE = 1e-4  # difference of grey values that are the same, as in the verdict


def _try_scaling(scaled: Any, setting: Setting) -> Outcome:
    sizes = torch.arange(1, 5, dtype=setting.dtype).reshape(-1, 1, 1, 1)
    slices = (
        setting.choose(300.0, 70.0) * sizes * (images(4, setting.seed(140), setting.dtype) + 1.5)
    )
    after = scaled(slices.clone())
    if not isinstance(after, Tensor) or after.shape != slices.shape:
        return [after], "It does not return slices of the shape that came in."
    flat, done = slices.flatten(1), after.detach().flatten(1)
    places = torch.stack((flat.argmin(dim=1), flat.argmax(dim=1)), dim=1)
    for axes, sides in (([3], "left and right"), ([2], "top and bottom"), ([2, 3], "both axes")):
        turned = slices.flip(axes).flatten(1)
        if any(_alike([done], [end * _to_range(turned)]) for end in (1, -1)):
            return [after], (
                f"It turns the slices round: {sides} are exchanged. The contrast is in the grey "
                "values, and the voxels stay where they are."
            )
    if torch.allclose(done, _to_range(flat), rtol=0, atol=_CLOSE):
        return [after], ""
    ends = done.gather(1, places)
    off = (ends - torch.tensor([-1.0, 1.0], dtype=done.dtype)).abs().amax(dim=1)
    if off.max() > _CLOSE:
        row = int((off > _CLOSE).nonzero()[0])
        low, high = (f"{x:.2f}" if off[row] > 0.01 else f"{x:.6g}" for x in ends[row].tolist())
        return [after], (
            f"In slice {row + 1} of {len(slices)} the darkest voxel becomes {low} and the "
            f"brightest {high}, not -1 and 1."
        )
    return [after], "Between the darkest and the brightest voxel the order or the steps change."


def _to_range(rows: Tensor) -> Tensor:
    """Scale rows of numbers to the range from -1 to 1."""
    low, high = rows.amin(dim=1, keepdim=True), rows.amax(dim=1, keepdim=True)
    return 2 * (rows - low) / (high - low) - 1


# The cycle loss


def _try_cycle(cycle_loss: Any, setting: Setting) -> Outcome:
    to_t2, to_t1 = (SmallGenerator(setting.seed(k), setting.dtype) for k in (150, 151))
    t1, t2 = (images(3, setting.seed(k), setting.dtype) for k in (152, 153))
    loss = cycle_loss(to_t2, to_t1, t1, t2)
    if not _is_one_number(loss):
        return [], "It does not return one number."
    weights = list(chain.from_iterable(net.parameters() for net in (to_t2, to_t1)))
    if not isinstance(loss, Tensor) or not loss.requires_grad:
        return [value_of(loss)], "It returns a number without a gradient: nobody can learn from it."

    def numbers_of(loss: Tensor) -> list[Tensor]:
        return [loss.detach().reshape(()), *_gradients(loss, weights)]

    there_t2 = to_t2(t1)
    there_t1 = to_t1(t2)
    back_t1, back_t2 = to_t1(there_t2), to_t2(there_t1)
    of_t1, of_t2 = F.l1_loss(back_t1, t1), F.l1_loss(back_t2, t2)
    other_t1, other_t2 = F.l1_loss(there_t1, t1), F.l1_loss(there_t2, t2)
    candidates = {
        "": of_t1 + of_t2,
        "It still compares a slice with that of another person, for T1-w and for T2-w.": (
            other_t1 + other_t2
        ),
        "It still compares T2-w slices with those of another person.": of_t1 + other_t2,
        "It still compares T1-w slices with those of another person.": other_t1 + of_t2,
        "The cycle of the T2-w slices is missing.": of_t1,
        "The cycle of the T1-w slices is missing.": of_t2,
        "It is the mean of the two cycles. It was their sum, and that was no fault.": (
            (of_t1 + of_t2) / 2
        ),
        "It is the mean square, not the mean absolute difference.": (
            F.mse_loss(back_t1, t1) + F.mse_loss(back_t2, t2)
        ),
        "A slice goes twice through the same generator.": (
            F.l1_loss(to_t2(there_t2), t1) + F.l1_loss(to_t1(there_t1), t2)
        ),
        "A slice goes through the generator of the other direction first.": (
            F.l1_loss(to_t2(to_t1(t1)), t1) + F.l1_loss(to_t1(to_t2(t2)), t2)
        ),
        "The T2-w slices meet the generators in the wrong order: that from T2-w to T1-w has "
        "to come first.": (of_t1 + F.l1_loss(to_t1(to_t2(t2)), t2)),
        "The T1-w slices meet the generators in the wrong order: that from T1-w to T2-w has "
        "to come first.": (F.l1_loss(to_t2(to_t1(t1)), t1) + of_t2),
        "A slice that came back is compared with the one of the other contrast.": (
            F.l1_loss(back_t1, t2) + F.l1_loss(back_t2, t1)
        ),
        "A slice that came back is compared with a generated one.": (
            F.l1_loss(back_t1, there_t1) + F.l1_loss(back_t2, there_t2)
        ),
        "No slice comes back: each is compared after one generator.": (
            F.l1_loss(there_t2, t1) + F.l1_loss(there_t1, t2)
        ),
        "No slice comes back: each goes through the generator of its own contrast.": (
            F.l1_loss(to_t1(t1), t1) + F.l1_loss(to_t2(t2), t2)
        ),
    }
    numbers = numbers_of(loss)
    if _alike(numbers[:1], numbers_of(candidates[""])[:1]):
        otherwise = "Its value is right, but a part of the way is detached: no gradient gets there."
    else:
        undone = float(cycle_loss(_Times(2.0), _Times(0.5), t1, t2).detach())
        otherwise = (
            f"For two generators that undo each other it gives {undone:.3f}; a cycle gives 0."
            if undone > 1e-4
            else "For two generators that do not undo each other its value is another one."
        )
    return numbers, _first_alike(
        numbers, {told: numbers_of(one) for told, one in candidates.items()}, otherwise
    )


class _Times(nn.Module):
    """A generator that multiplies."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


# The update of the discriminators


def _try_update(update: Any, setting: Setting) -> Outcome:
    network, lr = SmallGenerator(setting.seed(160), setting.dtype), 0.3
    optimizer = SGD(network.parameters(), lr=lr)
    told = ""
    for k in (161, 162):
        for parameter in network.parameters():  # gradients that another loss left behind
            parameter.grad = torch.ones_like(parameter)
        before = deepcopy(network)
        batch = images(2, setting.seed(k), setting.dtype)
        update(optimizer, network(batch).square().mean())
        own = _gradients(before(batch).square().mean(), list(before.parameters()))
        pairs = zip(before.parameters(), network.parameters(), strict=True)
        told = told or _first_alike(
            [(w - v).detach() / lr for w, v in pairs],
            {
                "": own,
                "The weights do not move: no gradient, or only zeros, when the step is made.": [
                    0 * one for one in own
                ],
                "Gradients that another loss left behind count, too.": [one + 1 for one in own],
                "The step uses gradients that another loss left behind, not those of `loss`.": [
                    torch.ones_like(one) for one in own
                ],
                "It makes two steps.": [2 * one for one in own],
                "It goes uphill: the loss grows.": [-one for one in own],
            },
            "The weights move, but not by one step along the gradient of `loss`.",
        )
    return list(network.parameters()), told


_SOME_SLICES = (torch.zeros(2, 1, 64, 64), torch.zeros(2, 1, 64, 64))
_SOME_LOGITS = (torch.zeros(3, 1, 1, 1), torch.zeros(3, 1, 1, 1))

_JOBS = {
    "black_frame": Job("t1, t2", _try_frame, _gives(_is_pair(Tensor), *_SOME_SLICES)),
    "cycle_loss": Job("generator_t1_to_t2, generator_t2_to_t1, real_t1, real_t2", _try_cycle),
    "discriminator_loss": Job(
        "logits_real, logits_fake", _try_loss, _gives(_is_one_number, *_SOME_LOGITS)
    ),
    "scaled": Job("slices", _try_scaling),
    "split": Job(
        "subjects, n_test",
        _try_split,
        _gives(_is_pair((list, tuple, set)), ["a", "b", "c"], 1),
    ),
    "step_on_batch": Job(
        "generator, discriminator, optimizers, real_t1, real_t2, discriminator_loss, lambda_gan",
        _try_step,
    ),
    "update": Job("optimizer, loss", _try_update),
}

#: The function that each fault is one of; the other faults are of none.
FUNCTION_OF = {
    "compared with another person": "cycle_loss",
    "contrast inverted": "scaled",
    "discriminator never learns": "update",
    "generated slices not detached": "step_on_batch",
    "labels exchanged": "discriminator_loss",
    "T2-w slices shifted": "black_frame",
    "test subjects in the training set": "split",
}
