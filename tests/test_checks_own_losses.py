"""What a student reads of a step that writes a loss out itself."""

import pytest
from checking import Answer, answers, judge, load, wrong

from labhelpers.checks.exercises import EXERCISES
from labhelpers.checks.report import Report

HEAD = "import torch\nfrom torch import nn\nfrom torch.nn import functional as F\n\n"
STEP = """
def cyclegan_step(
    generators, discriminators, optimizer_generators, optimizer_discriminators, real_t1, real_t2,
    lambda_gan=1.0, lambda_cycle=1.0,
):
    def cross_entropy(logits, label):
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))

    def loss_of(d, real, fake):
        return {loss}

    optimizer_generators.zero_grad()
    loss_g, fake_t1, fake_t2 = cyclegan_generator_loss(
        *generators, *discriminators, real_t1, real_t2, lambda_gan, lambda_cycle
    )
    loss_g.backward({retain})
    {first}
    optimizer_discriminators.zero_grad()
    loss_d = loss_of(discriminators[0], real_t1, fake_t1)
    loss_d = loss_d + loss_of(discriminators[1], real_t2, fake_t2)
    {second}
    loss_d.backward()
    {third}
    optimizer_discriminators.step()
    return loss_g, loss_d
"""
RIGHT = "(cross_entropy(d(real), 1.0) + cross_entropy(d(fake.detach()), 0.0)) / 2"
MOVE = "optimizer_generators.step()"
NOT_DETACHED = (
    "The discriminators' loss goes back into the generators, because the generated slices are not "
    "detached."
)
OF = "Your own loss of each discriminator"


def tried(loss: str = RIGHT, first: str = MOVE, second: str = "", third: str = "") -> Report:
    retain = "retain_graph=True" if "detach" not in loss else ""
    source = STEP.format(loss=loss, retain=retain, first=first, second=second, third=third)
    return judge("cyclegan-step", load("cyclegan-step", HEAD + source))


def sentences(report: Report) -> list[str]:
    return [text for word, text in report.notes if word == "wrong"]


def test_a_right_loss_of_ones_own_is_right() -> None:
    assert tried().status == "right"


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (
            RIGHT.removesuffix(" / 2"),
            f"{OF} is twice the one asked for, which is the mean of two terms, one of the real and "
            "one of the generated slices.",
        ),
        (
            RIGHT.replace("1.0", "2.0").replace("0.0", "1.0").replace("2.0", "0.0"),
            f"{OF} exchanges the labels: the real slices are labelled 0, the generated ones 1.",
        ),
        (
            RIGHT.replace("1.0", "0.9"),
            "In your own loss of each discriminator the real slices have the label 0.9 and the "
            "weight 0.5 and the generated slices have the label 0 and the weight 0.5; asked for "
            "are the labels 1 and 0, each with the weight 0.5.",
        ),
        (
            RIGHT.replace("d(fake.detach())", "torch.no_grad()(d)(fake)"),
            "The generated slices give each discriminator no gradient: they are judged while "
            "gradients are switched off (no_grad).",
        ),
        (
            "(F.mse_loss(d(real), torch.ones(())) + d(fake.detach()).square().mean()) / 2",
            "The gradient of your own loss in each discriminator is not that of the mean of two "
            "terms, one of the real and one of the generated slices.",
        ),
    ],
)
def test_what_differs_is_read_off_the_gradient(loss: str, expected: str) -> None:
    found = sentences(tried(loss))
    assert found == [expected]


@pytest.mark.parametrize(
    "places",
    [{}, {"first": "", "third": MOVE}, {"first": "", "second": "", "third": MOVE}],
    ids=["an error", "the generators move last", "both losses first"],
)
def test_slices_that_are_not_detached_are_named(places: dict[str, str]) -> None:
    assert sentences(tried(RIGHT.replace(".detach()", ""), **places)) == [NOT_DETACHED]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            {"loss": f"(loss := {RIGHT}, loss.backward())[0]"},
            "`backward` is called on a loss, or on a sum with it, that was differentiated before, "
            "in `loss_of`. A loss only computes: call `backward` once, in the step.",
        ),
        (
            {"second": "loss_d.backward()"},
            "`backward` is called on a loss, or on a sum with it, that was differentiated before. "
            "Call it once.",
        ),
    ],
)
def test_a_loss_that_was_differentiated_before_is_named(
    answer: dict[str, str], expected: str
) -> None:
    report = tried(**answer)
    assert sentences(report) == [expected]
    assert not [text for word, text in report.notes if word == "meaning"]


def test_no_right_line_is_marked() -> None:
    report = tried(first=MOVE + "\n    optimizer_generators.step()")
    assert sentences(report) == ["The generators' optimizer steps twice."]
    assert report.table is not None
    marked = [row for row in report.table.rows if row[2]]
    assert [row[0] for row in marked] == ["step of the generators' optimizer"]


@pytest.mark.parametrize(
    "answer",
    [
        answer
        for answer in answers("right")
        if answer.exercise in ("cgan-step", "cyclegan-step") and "signature" not in answer.name
    ],
    ids=str,
)
def test_right_steps_are_not_called_wrong(answer: Answer) -> None:
    explained = EXERCISES[answer.exercise].explain(load(answer.exercise, answer.source), [])
    assert explained is None, explained


def test_the_loss_of_pairs_is_read_as_well() -> None:
    report = judge("cgan-step", wrong("cgan-step", "written out with exchanged labels"))
    assert sentences(report) == [
        "The generator's loss, which is written out in the step: In the adversarial term, the "
        "label is 0, asked for 1."
    ]
    name = (
        "gaming, generator honest, discriminator updated with the loss of the real slices only, "
        "right value returned"
    )
    found = sentences(judge("cgan-step", wrong("cgan-step", name)))
    assert found == ["The generated slices give the discriminator no gradient."]


PAIR = "the pair (the discriminator of T1, the discriminator of T2)"


def test_a_pair_in_the_place_of_its_members_is_named() -> None:
    source = STEP.replace("*discriminators, real", "discriminators, real")
    source = source.format(loss=RIGHT, retain="", first=MOVE, second="", third="")
    report = judge("cyclegan-step", load("cyclegan-step", HEAD + source))
    assert sentences(report) == [
        f"`cyclegan_generator_loss` gets {PAIR} as one argument: hand its members on as two."
    ]
