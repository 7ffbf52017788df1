"""The clinic: its stored cases, how they are shown, and the programs that made them."""

import itertools
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from checking import judge, load, solutions
from torch.nn import functional as F

from labhelpers import clinic
from labhelpers.checks import verdict
from labhelpers.checks.probes.mends import FUNCTION_OF
from labhelpers.checks.probes.signs import missing_sign, telling_sign
from labhelpers.checks.runner import run_cases
from labhelpers.data import IXIDataset
from labhelpers.instructor.experiments import small
from labhelpers.instructor.experiments.clinic import PLANS, fault_of, faulty_part, marks, write_case
from labhelpers.instructor.experiments.small import Plan

NAMES = [
    *(letter for letters in clinic.CASES.values() for letter in letters),
    *(f"healthy {method}" for method in clinic.CASES),
]
TINY = Plan(num_epoch=2, n_train=4, n_test=3, batch_size=2, width=2)


@pytest.mark.parametrize("name", NAMES)
def test_a_case_has_curves_and_slices_of_small_size(name: str) -> None:
    history, slices = clinic.load_case(name)
    assert len(history) > 8 and history.notna().all(axis=None)
    assert history.columns[-1] == "test error"
    for images in slices.values():
        assert images.shape == (5, 1, 64, 64)
        assert -1 <= images.min() < -0.9 and 0.5 < images.max() <= 1
    files = Path(clinic.__file__).parent.glob(f"{name.replace(' ', '-')}.*")
    assert sum(path.stat().st_size for path in files) < 40_000


@pytest.mark.parametrize("name", NAMES)
def test_a_case_is_shown_with_its_numbers_in_words(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list = []
    monkeypatch.setattr(clinic, "display", shown.append)
    clinic.show_case(name)
    curves, slices = shown
    assert "ln 2" in curves.alt and "test error" in curves.alt
    assert ("healthy:" in curves.alt) == (not name.startswith("healthy"))
    assert "A line marks mean slice" in curves.alt
    unpaired = name in (*clinic.CASES["cyclegan"], "healthy cyclegan")
    assert ("two people" in curves.alt) == ("without mean pair" in curves.alt) == unpaired
    assert "5 test subjects" in slices.alt and "CC BY-SA" in slices.alt
    for figure in shown:
        assert figure._repr_html_().startswith("<img alt=")
    for axes in curves.figure.axes:
        low, high = axes.get_ylim()
        drawn = [line for line in axes.lines if len(line.get_xdata()) > 2]
        assert drawn and all(low <= min(line.get_ydata()) for line in drawn)
        assert all(max(line.get_ydata()) <= high for line in drawn)


def test_the_lines_are_measured_on_the_subjects_of_the_program() -> None:
    dataset = people(140)
    found = marks("cyclegan", dataset)
    between = [
        (a - b).abs().mean()
        for slices in (dataset.t1[:40], dataset.t2[40:80])
        for a, b in itertools.combinations(slices, 2)
    ]
    assert found["two_people"] == pytest.approx(2 * float(torch.stack(between).mean()), abs=1e-3)
    assert found["mean_pair_until"] == PLANS["cyclegan"].num_epoch // 2
    error = (dataset.t2[80:104] - dataset.t2[40:80].mean(dim=0)).abs().mean()
    assert found["mean_slice"] == pytest.approx(error.item(), abs=1e-4)
    assert marks("cgan", dataset)["mean_slice"] == pytest.approx(error.item(), abs=0.02)


def test_an_unknown_case_is_refused_with_the_names() -> None:
    with pytest.raises(ValueError, match=r"no case 'H': choose one of A, B, .*healthy cyclegan"):
        clinic.show_case("H")


def test_nothing_that_students_install_says_which_case_has_which_fault() -> None:
    for path in Path(clinic.__file__).parent.glob("*.json"):
        assert not any(fault in path.read_text(encoding="utf-8") for fault in clinic.FAULTS)
    numbers = json.loads(verdict.VISIBLE_FILE.read_text(encoding="utf-8"))
    stored = json.dumps([numbers["clinic-cgan"], numbers["clinic-cyclegan"]])
    assert not any(fault in stored for fault in clinic.FAULTS)


def people(n: int) -> IXIDataset:
    slices = torch.rand(2, n, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    slices[..., 0, 0], slices[..., -1, -1] = -1, 1
    return IXIDataset.from_tensors(*slices)


@pytest.mark.parametrize("method", clinic.CASES)
def test_every_case_can_be_trained_again_with_the_faulty_function_of_its_cell(
    method: str, tmp_path: Path
) -> None:
    assert method in PLANS
    train = {"cgan": small.train_pairs, "cyclegan": small.train_unpaired}[method]
    outcomes = {}
    for letter in ("healthy", *clinic.CASES[method]):
        parts = {} if letter == "healthy" else faulty_part(method, letter)
        assert set(parts) <= set(FUNCTION_OF.values())
        torch.manual_seed(0)
        history, slices = train(TINY, people(12), **parts)
        outcomes[letter] = history
        write_case(letter, method, history, slices, tmp_path)
        stored = json.loads((tmp_path / f"{letter}.json").read_text())
        if letter != "healthy":
            fault = clinic.fault_code(letter, fault_of(method, letter))
            assert stored.pop("fault") == fault == clinic.code_of_case(letter)
        stored = pd.DataFrame(stored)
        assert stored["test error"].iloc[-1] == pytest.approx(history["validation"].iloc[-1], 1e-2)
    for letter, history in outcomes.items():
        assert letter == "healthy" or not history.equals(outcomes["healthy"])


def test_the_parts_of_a_training_do_their_job() -> None:
    train, test = small.split([1, 2, 3, 4, 5], 2)
    assert sorted(train + test) == [1, 2, 3, 4, 5] and len(test) == 2
    t1, t2 = small.black_frame(*torch.ones(2, 1, 1, 6, 6))
    assert t1.equal(t2) and t1.sum() == 4 - 32
    assert small.discriminator_loss(torch.full((2,), 9.0), torch.full((2,), -9.0)) < 1e-3
    assert small.scaled(torch.tensor([0.0, 5.0, 10.0]).reshape(1, 1, 1, 3)).flatten().tolist() == [
        -1,
        0,
        1,
    ]
    double, half = (lambda x: 2 * x), (lambda x: x / 2)
    assert small.cycle_loss(double, half, *torch.rand(2, 1, 1, 4, 4)) == 0


# What a student reads. Each of these answers once got a text that was wrong or said nothing.

MISTAKEN_CODE = ("TypeError", "KeyError", "T1 and T2", "code", "stopped")


@cache
def right_answer(method: str) -> dict[str, Any]:
    return load(f"clinic-{method}")()


def report_of(method: str, change: Callable[[dict[str, Any]], Any]) -> str:
    """Return the report on the model answer with a change."""
    exercise, right = f"clinic-{method}", right_answer(method)
    numbers = verdict.read_json(verdict.VISIBLE_FILE)[exercise]
    return verdict.judge(run_cases(exercise, lambda: change(dict(right))), numbers).text


@pytest.mark.parametrize(
    ("method", "change", "told"),
    [
        (
            "cgan",
            lambda c: c | {"A": (c["A"][0], c["C"][1]), "C": (c["C"][0], c["A"][1])},
            [
                "case A    It is a function like `split`",
                "case C    It is a function like `black_frame`",
            ],
        ),
        (
            "cgan",
            lambda c: c | {"A": ("compared with another person", c["A"][1])},
            [
                "case A    This training had another fault. In this program no slice returns",
                'Here "test error" ends at 0.132, the dotted curve at 0.064. Questions 2',
                "[ok] Each function that is given does its job again",
            ],
        ),
        (
            "cyclegan",
            lambda c: c | {"E": ("labels exchanged", c["E"][1])},
            [
                "case E    This training had another fault. With exchanged labels",
                'Here "discriminators" and "generators, adversarial" end at 1.86 and 1.18',
                "[ok] Each function that is given does its job again",
            ],
        ),
        (
            "cgan",
            lambda c: {letter: c[letter] for letter in "AB"},
            ["case B    right", "case C    Nothing stands under 'C'. Keys of the dictionary: 'A'"],
        ),
        (
            "cgan",
            lambda c: {letter.lower(): entry for letter, entry in c.items()},
            ["case A    Nothing stands under 'A'. Keys of the dictionary: 'a', 'b', 'c', 'd'."],
        ),
        (
            "cyclegan",
            lambda c: list(c.values()),
            ["case E    What was returned is an object of the type list of 3, not a dictionary"],
        ),
        (
            "cgan",
            lambda c: c | {"B": c["B"][::-1], "C": c["C"][0], "D": ("label exchanged", c["D"][1])},
            [
                "case A    right",
                "case B    The name comes first: in its place stands an object of the type",
                "case C    Under 'C' stands an object of the type str, not a pair",
                "case D    'label exchanged' is not in the list of names.",
            ],
        ),
        (
            "cyclegan",
            lambda c: c | {"F": ("contrast inverted", "scaled")},
            ["case F    Beside the name stands an object of the type str, not a function."],
        ),
    ],
)
def test_a_wrong_answer_is_told_case_by_case_what_is_wrong_with_it(
    method: str, change: Callable[[dict[str, Any]], Any], told: list[str]
) -> None:
    text = " ".join(report_of(method, change).split())
    for sentence in told:
        assert " ".join(sentence.split()) in text
    assert not any(word in text for word in MISTAKEN_CODE)


@pytest.mark.parametrize(
    "letter", [letter for letters in clinic.CASES.values() for letter in letters]
)
def test_every_wrong_name_is_told_what_it_would_have_shown(letter: str) -> None:
    told = {fault: missing_sign(letter, fault) for fault in clinic.FAULTS}
    (right,) = (fault for fault, text in told.items() if not text)
    assert clinic.fault_code(letter, right) == clinic.code_of_case(letter)
    assert not any(right in text for text in told.values())
    assert all("Here " in text and len(text) < 300 for text in told.values() if text)


@pytest.mark.parametrize(
    ("letter", "told"),
    [
        ("A", 'only "test error" ends away from its dotted one, 2.1 times as high'),
        ("B", "both adversarial losses end near zero (0.010 and 0.010)"),
        ("C", "end at 0.045 and 0.045, in the healthy training at 0.044 and 0.064."),
        ("D", "loss ends at 0.136, far below its dotted curve, and the generator's"),
        ("E", "above the line 2 ln 2 = 1.39 in every epoch (1.54 at least)"),
        ("F", "has the mean value 0.98, that around the true ones -1.00."),
        ("G", '0.26 against 0.193. The line "two people" is at 0.27.'),
    ],
)
def test_what_decides_in_a_case_is_told_and_not_which_fault_it_was(letter: str, told: str) -> None:
    assert told in telling_sign(letter)
    assert not any(fault in telling_sign(letter) for fault in clinic.FAULTS)


def test_signs_are_told_with_the_numbers_that_the_curves_have() -> None:
    assert missing_sign("D", "always the same T2-w slice").endswith(
        'its dotted curve. Here "training error" ends at 0.118, the dotted curve at 0.044.'
    )
    assert missing_sign("E", "generated slices not detached").endswith(
        'Here "discriminators" and "generators, adversarial" end at 1.86 and 1.18, the dotted '
        "curves at 1.25 and 1.60."
    )
    assert missing_sign("G", "T2-w slices shifted").endswith(
        "Here their edges lie where those of the true ones do."
    )
    assert missing_sign("B", "discriminator is blind").endswith("Here it is 0.01 in epoch 18.")


def frame(t1, t2, width=2, moved=0, cut=True):
    inside = slice(width, -width)
    t2 = F.pad(t2.roll(moved, -1)[..., inside, inside], [width] * 4, value=-1.0) if cut else t2
    return F.pad(t1[..., inside, inside], [width] * 4, value=-1.0), t2


def step(
    g,
    d,
    optimizers,
    t1,
    t2,
    judge,
    weight,
    cut=lambda x: x.detach(),
    clears=(True, True),
    label=1.0,
    late=False,
    beside=lambda t1, t2: t1,
):
    fake = g(t1)
    logits = d(fake, t1)
    adversarial = F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))
    if clears[0]:
        optimizers[0].zero_grad()
    (weight * adversarial + F.l1_loss(fake, t2)).backward(retain_graph=True)
    if late:
        optimizers[0].step()
        fake = g(t1)
    if clears[1]:
        optimizers[1].zero_grad()
    judge(d(t2, t1), d(cut(fake), beside(t1, t2))).backward()
    if not late:
        optimizers[0].step()
    optimizers[1].step()


def scaled(slices):
    low, high = (end(slices, dim=(1, 2, 3), keepdim=True) for end in (torch.amin, torch.amax))
    return 2 * (slices - low) / (high - low) - 1


def smooth(real, fake):
    return 0.5 * (
        F.binary_cross_entropy_with_logits(real, torch.full_like(real, 0.9))
        + F.binary_cross_entropy_with_logits(fake, torch.full_like(fake, 0.1))
    )


@pytest.mark.parametrize(
    ("method", "letter", "function", "told"),
    [
        ("cgan", "A", lambda a, b, w=2: frame(a, b, w, moved=3), "T2-w slices are moved by 3"),
        ("cgan", "A", lambda a, b, w=2: frame(a, b, w, cut=False), "T2-w slices get no frame"),
        ("cgan", "A", lambda a, b, w=2: frame(a, b), "a frame of 2 voxels for a `width` of 3"),
        (
            "cgan",
            "A",
            lambda a, b, w=2: [x + (x == -1) for x in frame(a, b, w)],
            "The T1-w and the T2-w slices get a frame of the value 0, not black (-1), 2 voxels",
        ),
        ("cgan", "A", lambda a, b, w=2: frame(a, b, w)[0], "It returns a Tensor where two slices"),
        ("cgan", "B", smooth, "2 on true slices and of -1 on generated ones it gives 0.370"),
        ("cgan", "B", lambda r, f: F.softplus(f).mean(), "True slices do not count"),
        ("cgan", "B", lambda r, f: (r - f).mean().item(), "a number without a gradient"),
        ("cgan", "C", lambda s, n: (s[:-1], s[-1:]), "1 are in the test part"),
        ("cgan", "C", lambda s, n: (s, s[:n]), "3 are in both parts"),
        ("cgan", "C", lambda s, n: (s[n:-n], s[:n]), "3 are in neither part"),
        ("cgan", "D", lambda *a: step(*a, cut=lambda x: x), "still follows the discriminator's"),
        ("cgan", "D", lambda *a: step(*a, label=0.0), "its own loss asks for label 0"),
        (
            "cgan",
            "D",
            lambda *a: step(*a, cut=lambda x: x, label=0.0),
            "asks for label 0. The generator still follows the discriminator's loss, too.",
        ),
        (
            "cgan",
            "D",
            lambda *a: step(*a, beside=lambda t1, t2: t2),
            "For generated slices the discriminator gets another condition than `real_t1`",
        ),
        (
            "cgan",
            "D",
            lambda *a: step(*a, beside=lambda t1, t2: 0 * t2),
            "The discriminator moves by another gradient than that of `discriminator_loss` for",
        ),
        ("cgan", "D", lambda *a: step(*a, late=True), "the generator after its update"),
        ("cgan", "D", lambda *a: step(*a, clears=(False, True)), "step before is not cleared"),
        ("cgan", "D", lambda *a: step(*a, clears=(True, False)), "loss left in it"),
        ("cyclegan", "E", lambda o, loss: None, "The weights do not move"),
        (
            "cyclegan",
            "E",
            lambda o, loss: (loss.backward(), o.zero_grad(set_to_none=False), o.step()),
            "no gradient, or only zeros, when the step is made.",
        ),
        ("cyclegan", "E", lambda o, loss: (loss.backward(), o.step()), "left behind count, too"),
        ("cyclegan", "F", lambda x: x / x.max(), "In slice 1 of 4 the darkest voxel becomes"),
        ("cyclegan", "F", lambda x: 0.9995 * scaled(x), "darkest voxel becomes -0.9995 and the"),
        ("cyclegan", "F", lambda x: scaled(x) ** 3, "the order or the steps change"),
        ("cyclegan", "F", lambda x: -scaled(x).flip(-1), "left and right are exchanged"),
        ("cyclegan", "F", lambda: scaled, "takes no arguments. Hand over the mended function"),
        ("cyclegan", "F", lambda x: x.flatten(1), "not return slices of the shape that came in"),
        (
            "cyclegan",
            "G",
            lambda g, h, x, y: F.l1_loss(h(g(x)), x),
            "of the T2-w slices is missing",
        ),
        (
            "cyclegan",
            "G",
            lambda g, h, x, y: F.l1_loss(h(g(x)), x) + F.l1_loss(g(x), y),
            "still compares T2-w slices with those of another person",
        ),
        (
            "cyclegan",
            "G",
            lambda g, h, x, y: F.l1_loss(g(h(x)), x) + F.l1_loss(h(g(y)), y),
            "the generator of the other direction first",
        ),
        (
            "cyclegan",
            "G",
            lambda g, h, x, y: F.l1_loss(h(g(x)), x) + F.l1_loss(h(g(y)), y),
            "T2-w slices meet the generators in the wrong order: that from T2-w to T1-w has",
        ),
        ("cyclegan", "G", lambda g, h, x, y: 0 * g(x).sum() + 1, "undo each other it gives 1.000"),
    ],
)
def test_a_wrong_mend_is_told_by_what_the_function_does(
    method: str, letter: str, function: Callable[..., Any], told: str
) -> None:
    text = " ".join(report_of(method, lambda c: c | {letter: (c[letter][0], function)}).split())
    assert told in text
    assert "[ok] The fault that is named" in text and "[no] Each function that is given" in text


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("optimizer.zero_grad()", "optimizer.zero_grad", "names `optimizer.zero_grad` and does"),
        (
            "there_t2, there_t1 =",
            "to_t1 = to_t2 = torch.nn.Conv2d(1, 1, 1)\n        there_t2, there_t1 =",
            "Case G: `loss_of_cycle` never reads what is passed in as `to_t2` and `to_t1`, since "
            "line 43 gives these names other values.",
        ),
    ],
)
def test_the_code_of_a_wrong_mend_is_read(old: str, new: str, told: str) -> None:
    source = solutions()["clinic-cyclegan"].source
    assert source.count(old) > 0
    report = judge("clinic-cyclegan", load("clinic-cyclegan", source.replace(old, new)))
    assert any(told in text for word, text in report.notes if word == "wrong"), report.text
