"""How wrong losses are taken apart: their equations, and what is said about them."""

import random
from typing import Any

import pytest
import torch
from checking import judge, load, wrong
from torch import Tensor, nn
from torch.nn import functional as F

from labhelpers.checks.exercises import EXERCISES
from labhelpers.checks.explanations.batches import Answer, Call, tensors_of
from labhelpers.checks.explanations.equations import Part, Term, Weight, column
from labhelpers.checks.explanations.losses import GENERATOR_OF_PAIR, equation_of
from labhelpers.checks.runner import run_cases

CALLS = [
    Call("D", ("fake_t2", "real_t1")),
    Call("D", ("real_t2", "real_t1")),
    Call("D", ("real_t1", "fake_t2")),
    Call("D", ("real_t2", "real_t1"), "of the next subject"),
]
OF_CALL = [
    ("bce", 1.0),
    ("bce", 0.0),
    ("bce", 0.85),
    ("square", 0.9),
    ("twice", 1.0),
    ("logit", None),
    ("hinge", 0.0),
    ("distance", 1.0),
    ("square of probability", 1.0),
    ("averaged", 0.0),
    ("penalty", None),
]
PAIRS = {
    ("fake_t2", "real_t2"): ["absolute", "squared", "absolute mean", "difference", "root", "huber"],
    ("real_t1", "fake_t2"): ["absolute", "squared"],
}
POWERS = [(0, 0), (1, 0), (0, 1), (1, 1), (2, 0)]
NUMBERS = [1.0, 0.5, -1.0, 10.0, 2 / 3]


def random_equation(seed: int) -> list[Part]:
    """Return one to four terms, each of another call or pair of images."""
    choose = random.Random(seed)
    terms = [Term(kind, (call.name,), x) for call in CALLS for kind, x in [choose.choice(OF_CALL)]]
    terms += [Term(choose.choice(kinds), pair) for pair, kinds in PAIRS.items()]
    parts = []
    for term in choose.sample(terms, choose.randint(1, 4)):
        sizes = choose.choice([(0, 0), (1, 0 if term.of[0].startswith("D") else 1)])
        weight = (choose.choice(NUMBERS), choose.choice(POWERS))
        parts.append(Part(term, Weight((weight,), *sizes)))
    return parts


def answer_of(equation: list[Part]) -> Any:
    """Return a loss that adds up the parts of an equation."""

    def loss(
        discriminator: nn.Module,
        real_t1: Tensor,
        real_t2: Tensor,
        fake_t2: Tensor,
        lambda_gan: float = 1.0,
        lambda_pixel: float = 1.0,
    ) -> Tensor:
        images = {"real_t1": real_t1, "real_t2": real_t2, "fake_t2": fake_t2}
        images = {name: image[None] for name, image in images.items()}
        used = [call for call in CALLS if any(call.name in part.term.of for part in equation)]
        tensors = tensors_of(images, {"D": discriminator}, used)
        for call in used:
            image, condition = (x[0].detach() for x in call.take(images))
            image.requires_grad_()
            logits = discriminator(image, condition).sum()
            (gradient,) = torch.autograd.grad(logits, image, create_graph=True)
            tensors[f"∇{call.name}"] = gradient.square().sum((1, 2, 3))[None]
        lambdas = (lambda_gan, lambda_pixel)
        terms = [
            part.weight.value(lambdas, len(real_t1)) * column(part.term, tensors)[0]
            for part in equation
        ]
        return sum(terms)

    return loss


@pytest.mark.parametrize("seed", range(6))
def test_the_equation_of_any_few_terms_is_found(seed: int) -> None:
    equation = random_equation(seed)
    answer = Answer(answer_of(equation), GENERATOR_OF_PAIR)
    found = equation_of(GENERATOR_OF_PAIR, answer, CALLS, torch.float64)
    names = GENERATOR_OF_PAIR.symbols
    assert found is not None, [part.text(names) for part in equation]
    texts = {part.text(names) for part in found}
    assert texts == {part.text(names) for part in equation}


def notes_of(exercise: str, answer: object) -> list[list[str]]:
    runs = run_cases(exercise, answer, explains=False)["runs"]
    explanation = EXERCISES[exercise].explain(answer, runs)
    assert explanation is not None
    return explanation["notes"]


def sentences(exercise: str, name: str) -> list[str]:
    return [text for word, text in notes_of(exercise, wrong(exercise, name)) if word == "wrong"]


ADVICE = "F.binary_cross_entropy_with_logits, on the logits themselves, is right for all."
WITH_TENSORS = (
    "Compute with tensors throughout: item, float(), numpy and torch.tensor(…) cut off, too."
)
THERE, BACK = "T1-w → T2-w → T1-w", "T2-w → T1-w → T2-w"


@pytest.mark.parametrize(
    ("exercise", "name", "expected"),
    [
        (
            "cgan-discriminator-loss",
            "two mistakes, true pairs only and no half",
            [
                "In the term of the true slices, the weight is 1, asked for ½.",
                "The term of the generated slices is missing.",
            ],
        ),
        (
            "cgan-discriminator-loss",
            "a third pair of two subjects",
            ["Not asked for: ½ · BCE(D(real_t2 of the subject before, real_t1), 0)."],
        ),
        (
            "cgan-discriminator-loss",
            "a gradient penalty",
            ["Not asked for: 5 · mean‖∇D(real_t2, real_t1)‖²."],
        ),
        (
            "cgan-discriminator-loss",
            "two mistakes, image and condition exchanged and the fake not detached",
            [
                "In both terms, image and condition are exchanged.",
                "The loss sends a gradient to the generator: fake_t2 is not cut off.",
            ],
        ),
        (
            "cgan-discriminator-loss",
            "discriminator cut off in the real part",
            [
                "In the term of the true slices, no gradient flows back to the discriminator: what "
                "D answers is cut off by `detach`.",
                "Cut off fake_t2 alone, before D judges it: the discriminator must get a gradient "
                f"from every term, the generator from none. {WITH_TENSORS}",
            ],
        ),
        (
            "cgan-generator-loss",
            "the absolute value of the mean",
            [
                "In the voxel-wise term, you have the absolute value of the mean difference, "
                "asked for the mean absolute difference."
            ],
        ),
        (
            "cgan-generator-loss",
            "two mistakes, saturating loss of the first GAN paper and lambda_gan forgotten",
            [
                "In the adversarial term, you have -BCE(·, 0), asked for BCE(·, 1).",
                "In the adversarial term, λ_gan is not used.",
                "In the adversarial term, 1e-08 is added inside the logarithm: a logit of 22 with "
                "the label 0 gives -18.42, exact is -22. For all logits above it the term stops at "
                f"18.4, without a gradient. {ADVICE}",
            ],
        ),
        (
            "cgan-generator-loss",
            "other default",
            ["The default of lambda_pixel is 100, asked for 1."],
        ),
        ("cyclegan-generator-loss", "generators exchanged everywhere", ["G and H are exchanged."]),
        (
            "cyclegan-generator-loss",
            "cycles end at generated images",
            [
                f"In the cycle term {THERE}, H(G(real_t1)) is compared with H(real_t2), "
                "asked for real_t1.",
                f"In the cycle term {BACK}, G(H(real_t2)) is compared with G(real_t1), "
                "asked for real_t2.",
            ],
        ),
        (
            "cyclegan-generator-loss",
            "two mistakes, voxels added up and the sign of the cycles",
            [
                "In both cycle terms, the differences of all voxels of all slices are added up, "
                "asked for their mean.",
                "In both cycle terms, the sign is wrong.",
            ],
        ),
        (
            "cyclegan-generator-loss",
            "two mistakes, discriminator sees the back-translated slice and with label 0",
            [
                "In the adversarial term of the generated T2-w slice, D_T2 judges G(H(real_t2)), "
                "asked for G(real_t1).",
                "In both adversarial terms, the label is 0, asked for 1.",
                "In the adversarial term of the generated T1-w slice, D_T1 judges H(G(real_t1)), "
                "asked for H(real_t2).",
            ],
        ),
    ],
)
def test_each_mistake_gets_a_sentence(exercise: str, name: str, expected: list[str]) -> None:
    assert sentences(exercise, name) == expected


def test_both_equations_are_shown_where_they_differ() -> None:
    answer = wrong("cgan-discriminator-loss", "two mistakes, true pairs only and no half")
    assert notes_of("cgan-discriminator-loss", answer)[-2:] == [
        ["yours", "1 · BCE(D(real_t2, real_t1), 1)"],
        ["asked for", "½ · BCE(D(real_t2, real_t1), 1)\n+ ½ · BCE(D(fake_t2, real_t1), 0)"],
    ]
    answer = wrong("cgan-discriminator-loss", "discriminator cut off in the real part")
    words = {word for word, _ in notes_of("cgan-discriminator-loss", answer)}
    assert words == {"wrong"}


@pytest.mark.parametrize("exercise", [id_ for id_ in EXERCISES if id_.endswith("-loss")])
def test_nothing_is_said_against_right_losses(exercise: str) -> None:
    ((_, text),) = notes_of(exercise, load(exercise))
    assert text.startswith("On other slices that were tried, your loss is as asked for.")


CUT_AT_10 = (
    "logits are cut off at a size of 10: a logit of -22 with the label 1 gives 10, asked for 22. "
    f"For all logits below it the term stops at 10, without a gradient. {ADVICE}"
)


@pytest.mark.parametrize(
    ("exercise", "name", "expected"),
    [
        (
            "cgan-generator-loss",
            "the error where the true slice is no air",
            "In the voxel-wise term, only voxels where real_t2 is greater than -1 count, asked for "
            "all.",
        ),
        (
            "cgan-generator-loss",
            "the error where T1 is no air",
            "In the voxel-wise term, only voxels where real_t1 is greater than -1 count, asked for "
            "all.",
        ),
        (
            "cgan-generator-loss",
            "the generated slice cut off a little",
            "In both terms, you use fake_t2 cut off at -0.99 and 0.99.",
        ),
        (
            "cgan-generator-loss",
            "the generated slice cut off a little in the error",
            "In the voxel-wise term, you use fake_t2 cut off at -0.99 and 0.99.",
        ),
        (
            "cgan-generator-loss",
            "logits cut off",
            f"In the adversarial term, {CUT_AT_10}",
        ),
        (
            "cgan-generator-loss",
            "divided by the sum of the weights",
            "In both terms, the weight is divided by λ_gan + λ_pixel.",
        ),
        (
            "cgan-generator-loss",
            "the probability rounded",
            "In the adversarial term, the probability is rounded to 0 or 1 before the "
            "cross-entropy, which leaves no gradient.",
        ),
        (
            "cgan-generator-loss",
            "the border left out",
            "In the voxel-wise term, a border of 1 voxel is left out, asked for all voxels.",
        ),
        (
            "cgan-generator-loss",
            "large differences cut off",
            "In the voxel-wise term, differences larger than 1.5 are cut off.",
        ),
        (
            "cgan-generator-loss",
            "the median",
            "In the voxel-wise term, the median is taken, asked for the mean.",
        ),
        (
            "cgan-discriminator-loss",
            "air set to 0 in both slices",
            "In both terms, you use real_t2 and fake_t2 with 0 where real_t2 is -1.",
        ),
        (
            "cgan-discriminator-loss",
            "the generated slice cut off a little",
            "In the term of the generated slices, you use fake_t2 cut off at -0.99 and 0.99.",
        ),
        (
            "cgan-discriminator-loss",
            "logits cut off",
            f"In both terms, {CUT_AT_10}",
        ),
        (
            "cgan-discriminator-loss",
            "the first subject only",
            "In both terms, only the first subject of a batch counts, asked for the mean over the "
            "batch.",
        ),
        (
            "cyclegan-generator-loss",
            "both errors where the true slice is no air",
            "In both cycle terms, only voxels where the true slice is greater than -1 count, asked "
            "for all.",
        ),
        (
            "cyclegan-generator-loss",
            "logits of one discriminator cut off",
            f"In the adversarial term of the generated T1-w slice, {CUT_AT_10}",
        ),
        (
            "cyclegan-generator-loss",
            "divided by the sum of the weights",
            "In all four terms, the weight is divided by λ_gan + λ_cycle.",
        ),
    ],
)
def test_what_a_loss_makes_of_its_inputs_is_told(exercise: str, name: str, expected: str) -> None:
    assert sentences(exercise, name) == [expected]


NOT_KEPT = "a detached slice that is not kept"


def test_a_cut_of_unknown_size_is_told_by_where_the_loss_is_right() -> None:
    def cut(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
        logits = discriminator(fake_t2, real_t1).clamp(-2.9, 3.1)
        gan = nn.functional.softplus(-logits).mean()
        return lambda_gan * gan + lambda_pixel * (fake_t2 - real_t2).abs().mean()

    assert notes_of("cgan-generator-loss", cut) == [
        ["wrong", "The adversarial term is right for small logits, and not for large ones."]
    ]


def test_probabilities_averaged_before_the_logarithm_are_told_first() -> None:
    name = "probabilities averaged before the logarithm"
    first, second = sentences("cgan-discriminator-loss", name)
    assert first == (
        "In both terms, probabilities are averaged over the batch before the logarithm, asked for "
        "the mean of the cross-entropies."
    )
    assert second.startswith("In both terms, you take the logarithm of a probability: a logit of")


def generator_loss_of(cross_entropy):
    """Return the generator's loss of notebook 3 with a cross-entropy of a logit and the label 1."""

    def loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
        gan = cross_entropy(discriminator(fake_t2, real_t1))
        return lambda_gan * gan + lambda_pixel * (fake_t2 - real_t2).abs().mean()

    return loss


def discriminator_loss_of(cross_entropy):
    """Return the discriminator's loss of notebook 3 with a cross-entropy of logits and a label."""

    def loss(discriminator, real_t1, real_t2, fake_t2):
        one = cross_entropy(discriminator(real_t2, real_t1), 1)
        return (one + cross_entropy(discriminator(fake_t2.detach(), real_t1), 0)) / 2

    return loss


@pytest.mark.parametrize(
    ("cross_entropy", "expected"),
    [
        (
            lambda z, label: -torch.log(torch.sigmoid(z) if label else 1 - torch.sigmoid(z)).mean(),
            "you take the logarithm of a probability: a logit of -110 with the label 1 gives inf, "
            "asked for 110. In float32 the probability is rounded to 0 where a logit is large.",
        ),
        (
            lambda z, label: F.binary_cross_entropy(z.sigmoid(), torch.full_like(z, label)),
            "you take the cross-entropy of a probability: a logit of -35 with the label 1 has the "
            "slope -0.00063, asked for -1. The cross-entropy of probabilities "
            "(F.binary_cross_entropy, nn.BCELoss) stops at 100 and has hardly any gradient for a "
            "probability closer than about 1e-12 to 0 or 1.",
        ),
        (
            lambda z, label: (1 + (-z if label else z).exp()).log().mean(),
            "you take the logarithm of a probability or of an exponential: a logit of -110 with "
            "the label 1 gives inf, asked for 110. In float32 these are 0 or infinite where a "
            "logit is large.",
        ),
        (
            lambda z, label: F.softplus((-z if label else z).clamp(-17.3, 17.3)).mean(),
            "logits are cut off at a size of 17.3: a logit of -22 with the label 1 gives 17.3, "
            "asked for 22. For all logits below it the term stops at 17.3, without a gradient.",
        ),
        (
            lambda z, label: F.softplus((-z if label else z).clamp(-50, 50)).mean(),
            "logits are cut off at a size of 50: a logit of -55 with the label 1 gives 50, "
            "asked for 55. For all logits below it the term stops at 50, without a gradient.",
        ),
        (
            lambda z, label: -((z if label else -z).sigmoid() + 1e-10).log().mean(),
            "1e-10 is added inside the logarithm: a logit of -22 with the label 1 gives 21.69, "
            "asked for 22. For all logits below it the term stops at 23, without a gradient.",
        ),
        (
            lambda z, label: torch.nan_to_num(-(z if label else -z).sigmoid().log()).mean(),
            "large logits are not treated as asked for: a logit of -110 with the label 1 gives "
            "3.403e+38, asked for 110.",
        ),
    ],
)
def test_it_is_told_why_large_logits_go_wrong(cross_entropy: Any, expected: str) -> None:
    notes = notes_of("cgan-discriminator-loss", discriminator_loss_of(cross_entropy))
    assert notes == [["wrong", f"In both terms, {expected} {ADVICE}"]]
    one = generator_loss_of(lambda z: cross_entropy(z, 1))
    ((_, text),) = notes_of("cgan-generator-loss", one)
    assert text.startswith("In the adversarial term, ")
    assert text.endswith(ADVICE)


def test_a_tiny_number_in_a_logarithm_is_told_beside_another_mistake() -> None:
    def masked(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
        gan = -torch.log(discriminator(fake_t2, real_t1).sigmoid() + 1e-8).mean()
        error = (fake_t2 - real_t2).abs()[real_t2 > -0.9].mean()
        return lambda_gan * gan + lambda_pixel * error

    second, first = (text for _, text in notes_of("cgan-generator-loss", masked))
    assert first == (
        "In the voxel-wise term, only voxels where real_t2 is greater than -0.9 count, asked for "
        "all."
    )
    assert second.startswith("In the adversarial term, 1e-08 is added inside the logarithm: a lo")


def test_a_tiny_number_in_a_logarithm_is_told_beside_terms_too_many() -> None:
    def with_identity(g, h, d_t1, d_t2, real_t1, real_t2, lambda_gan=1.0, lambda_cycle=1.0):
        fake_t2, fake_t1 = g(real_t1), h(real_t2)
        gan = -torch.log(d_t1(fake_t1).sigmoid() + 1e-6).mean()
        gan = gan - torch.log(d_t2(fake_t2).sigmoid() + 1e-6).mean()
        cycle = F.l1_loss(h(fake_t2), real_t1) + F.l1_loss(g(fake_t1), real_t2)
        identity = F.l1_loss(g(real_t2), real_t2)
        return lambda_gan * gan + lambda_cycle * (cycle + identity), fake_t1, fake_t2

    first, second = (text for _, text in notes_of("cyclegan-generator-loss", with_identity))
    assert first == "Not asked for: λ_cycle · mean|real_t2 - G(real_t2)|."
    assert second.startswith("In both adversarial terms, 1e-06 is added inside the logarithm: a ")


def test_what_a_loss_does_besides_is_told() -> None:
    found = sentences("cgan-generator-loss", "a backward pass that keeps its graph")
    assert found[0].startswith("Your loss calls backward, which adds to the gradients of the gen")
    found = sentences("cgan-discriminator-loss", "the image itself cut off")
    assert found[0].startswith("Your loss works in place on fake_t2")
    found = sentences("cgan-discriminator-loss", "weights frozen by hand")
    assert found[0].startswith("Your loss leaves weights of the discriminator frozen")


def test_what_is_certain_is_told_without_an_equation() -> None:
    def rooted(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
        return lambda_gan * discriminator(fake_t2.exp(), real_t1).square().mean().sqrt()

    assert [text for _, text in notes_of("cgan-generator-loss", rooted)] == [
        "D is called with an image that is none of those given.",
        "The loss does not depend on lambda_pixel and real_t2.",
    ]


def test_mistakes_of_two_terms_are_told_where_the_loss_has_no_equation() -> None:
    def masked(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
        gan = F.softplus(discriminator(fake_t2, real_t1)).mean()
        return lambda_gan * gan + lambda_pixel * (fake_t2 - real_t2).abs()[real_t2 > -1].mean()

    def huber(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
        gan = -torch.log(discriminator(fake_t2, real_t1).sigmoid() + 1e-3).mean()
        return lambda_gan * gan + lambda_pixel * F.smooth_l1_loss(fake_t2, real_t2)

    assert [text for _, text in notes_of("cgan-generator-loss", masked)] == [
        "In the adversarial term, the label is 0, asked for 1.",
        "In the voxel-wise term, only voxels where real_t2 is greater than -1 count, asked for "
        "all.",
    ]
    assert [text for _, text in notes_of("cgan-generator-loss", huber)] == [
        "In the voxel-wise term, you have the Huber loss (smooth L1), asked for the mean absolute "
        "difference.",
        "In the adversarial term, 0.001 is added inside the logarithm: the term is right for small "
        "logits only.",
    ]


def test_a_factor_is_told_beside_what_a_loss_makes_of_its_inputs() -> None:
    def masked(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
        gan = F.softplus(-discriminator(fake_t2, real_t1)).mean()
        error = (fake_t2 - real_t2).abs()[real_t2 > -1].mean()
        return lambda_gan * gan + 100 * lambda_pixel * error

    assert [text for _, text in notes_of("cgan-generator-loss", masked)] == [
        "In the voxel-wise term, only voxels where real_t2 is greater than -1 count, asked for "
        "all.",
        "In the voxel-wise term, there is a factor 100 too many.",
    ]


def test_a_result_that_is_not_kept_is_named() -> None:
    report = judge("cgan-discriminator-loss", wrong("cgan-discriminator-loss", NOT_KEPT))
    assert [text for word, text in report.notes if word == "wrong"] == [
        "The loss sends a gradient to the generator: fake_t2 is not cut off.",
        "Line 10 makes a new tensor, `fake_t2.detach()`, and keeps it nowhere: `fake_t2` stays as "
        "it was.",
    ]


def test_a_claim_must_hold_on_many_batches() -> None:
    def larger(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
        gan = nn.functional.softplus(-discriminator(fake_t2, real_t1)).mean()
        return torch.maximum(lambda_gan * gan, lambda_pixel * (fake_t2 - real_t2).abs().mean())

    assert notes_of("cgan-generator-loss", larger) == [
        ["wrong", "Only the larger of both terms counts, asked for their sum."]
    ]


@pytest.mark.parametrize(("pick", "word"), [(torch.maximum, "larger"), (torch.minimum, "smaller")])
def test_the_one_of_two_terms_that_counts_is_told(pick: Any, word: str) -> None:
    def one(discriminator, real_t1, real_t2, fake_t2):
        real = F.softplus(-discriminator(real_t2, real_t1)).mean()
        return pick(real, F.softplus(discriminator(fake_t2.detach(), real_t1)).mean())

    assert notes_of("cgan-discriminator-loss", one) == [
        ["wrong", f"Only the {word} of both terms counts, asked for ½ of each, added up."]
    ]


def test_logits_of_one_sign_that_count_are_told() -> None:
    loss = discriminator_loss_of(
        lambda z, label: F.softplus(-z).mean() if label else (F.softplus(z) * (z > 0)).mean()
    )
    assert notes_of("cgan-discriminator-loss", loss) == [
        [
            "wrong",
            "In the term of the generated slices, only logits greater than 0 count, asked for all.",
        ]
    ]


def test_work_in_place_hides_no_gradient() -> None:
    def loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
        gan = F.softplus(-discriminator(fake_t2, real_t1)).mean()
        return lambda_gan * gan + lambda_pixel * (fake_t2.clamp_(-1, 1) - real_t2).abs().mean()

    ((_, text),) = notes_of("cgan-generator-loss", loss)
    assert text.startswith(
        "Your loss works in place on fake_t2 (as detach_, requires_grad_, clamp_"
    )


def test_images_averaged_before_their_difference() -> None:
    def loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
        gan = F.softplus(-discriminator(fake_t2, real_t1)).mean()
        return lambda_gan * gan + lambda_pixel * F.l1_loss(fake_t2.mean(0), real_t2.mean(0))

    ((_, text),) = notes_of("cgan-generator-loss", loss)
    assert text.startswith("In the voxel-wise term, the images are averaged over the batch before")


def test_both_branches_of_where_count_in_a_gradient() -> None:
    def loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
        z = discriminator(fake_t2, real_t1)
        stable = torch.where(z > 0, torch.log1p((-z).exp()), torch.log1p(z.exp()) - z)
        return lambda_gan * stable.mean() + lambda_pixel * (fake_t2 - real_t2).abs().mean()

    ((_, text),) = notes_of("cgan-generator-loss", loss)
    assert "a logit of -110 with the label 1 has the slope nan, asked for -1. torch.where" in text


def test_a_weight_of_0_that_is_taken_for_1_is_told() -> None:
    def loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
        gan = F.softplus(-discriminator(fake_t2, real_t1)).mean()
        return (lambda_gan or 1.0) * gan + lambda_pixel * (fake_t2 - real_t2).abs().mean()

    ((_, text),) = notes_of("cgan-generator-loss", loss)
    assert text.startswith("Where lambda_gan is 0, the loss takes 1 in its place; asked for is 0, ")


def test_probabilities_cut_off_on_both_sides_get_the_same_words() -> None:
    def clamped(z: Tensor, label: int) -> Tensor:
        p = z.sigmoid().clamp(1e-7, 1 - 1e-7)
        return -(p if label else 1 - p).log().mean()

    ((_, text),) = notes_of("cgan-discriminator-loss", discriminator_loss_of(clamped))
    assert text.startswith("In both terms, probabilities are cut off at 1e-07: a logit of -22 with")


def test_a_loss_class_that_is_called_with_tensors_is_named() -> None:
    (sentence,) = sentences("cgan-generator-loss", "a loss class called with tensors")
    assert sentence.startswith("L1Loss is a class: make an object of it first")


D_LOSS = (
    "def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):\n"
    "    fake_t2 = fake_t2.detach()\n"
)


def told_of(body: str) -> list[str]:
    answer = load("cgan-discriminator-loss", D_LOSS + body)
    notes = notes_of("cgan-discriminator-loss", answer)
    return [text for word, text in notes if word == "wrong"]


def test_it_is_told_whose_condition_goes_with_an_image() -> None:
    told = told_of(
        "    images = torch.cat([real_t2, fake_t2])\n"
        "    z = discriminator(images, real_t1.repeat_interleave(2, dim=0))\n"
        "    labels = torch.cat([torch.ones_like(z[:len(real_t1)]), "
        "torch.zeros_like(z[len(real_t1):])])\n"
        "    return F.binary_cross_entropy_with_logits(z, labels)\n"
    )
    assert told == [
        "D judges images beside real_t1 of other subjects: in a batch of 3, counted from 0, it "
        "gets real_t2 of the subjects 0, 1, 2 beside real_t1 of the subjects 0, 0, 1 and fake_t2 "
        "of the subjects 0, 1, 2 beside real_t1 of the subjects 1, 2, 2. Asked for: each image "
        "beside real_t1 of its own subject."
    ]


NOISY = (
    "    def term(image, label):\n"
    "        z = discriminator(image + 0.05 * torch.randn_like(image), real_t1)\n"
    "        {}\n"
    "    return 0.5 * (term(real_t2, 1) + term(fake_t2, 0))\n"
)
RIGHT_TERM = "return F.binary_cross_entropy_with_logits(z, torch.full_like(z, label))"


def test_what_is_wrong_beside_noise_is_told() -> None:
    told = told_of(NOISY.format("return (z - label).square().mean()"))
    drawn = "With zeros in place of what randn_like draws"
    assert any(text.startswith(f"{drawn}: in both terms, you have ") for text in told), told
    assert told_of(NOISY.format(RIGHT_TERM))[2:] == [
        f"{drawn}, the loss is as asked for: leave that out."
    ]


@pytest.mark.parametrize("call", ["loss.backward()", "torch.autograd.grad(loss, weights)"])
def test_a_loss_that_differentiates_itself_is_no_other_kind_of_answer(call: str) -> None:
    report = judge(
        "cgan-discriminator-loss",
        load(
            "cgan-discriminator-loss",
            D_LOSS + "    weights = list(discriminator.parameters())\n"
            "    z, y = discriminator(real_t2, real_t1), discriminator(fake_t2, real_t1)\n"
            f"    loss = (F.softplus(-z) + F.softplus(y)).mean() / 2\n    {call}\n"
            "    return loss\n",
        ),
    )
    assert not [text for word, text in report.notes if word == "stopped"]


IN_HELPERS = {
    "torch.where": (
        "torch.where(z > 0, (1 + (-z).exp()).log(), (1 + z.exp()).log() - z).mean()",
        "torch.where takes the gradient of both branches",
    ),
    "cut off": ("F.softplus(-z).mean().item()", " Your code uses `item`. "),
    "cut off twice": (
        "torch.tensor(np.log1p(np.exp(-z.detach().numpy())).mean())",
        " Your code uses `detach` and `numpy`. ",
    ),
    "an argument that is not read": (
        "F.binary_cross_entropy_with_logits(z, torch.zeros_like(z))",
        "`helper` never reads its argument `label`.",
    ),
}


@pytest.mark.parametrize("kind", IN_HELPERS)
def test_the_code_of_helpers_is_read_for_reasons(kind: str) -> None:
    formula, expected = IN_HELPERS[kind]
    source = (
        "import numpy as np\n\n"
        f"def helper(z, label):\n    return {formula}\n\n"
        "def cgan_generator_loss(D, real_t1, real_t2, fake_t2, lambda_gan=1, lambda_pixel=1):\n"
        "    gan = helper(D(fake_t2, real_t1), 1.0)\n"
        "    return lambda_gan * gan + lambda_pixel * (fake_t2 - real_t2).abs().mean()\n"
    )
    report = judge("cgan-generator-loss", load("cgan-generator-loss", source))
    assert expected in " ".join(text for word, text in report.notes if word == "wrong")


def in_code(gan: str, pixel: str, total: str = "lambda_gan * gan + lambda_pixel * pixel") -> str:
    """Return a loss of the generator with other terms."""
    return (
        "def cgan_generator_loss(D, real_t1, real_t2, fake_t2, lambda_gan=1, lambda_pixel=1):\n"
        "    z, d = D(fake_t2, real_t1), (fake_t2 - real_t2).abs()\n"
        f"    gan = {gan}\n    pixel = {pixel}\n    return {total}\n"
    )


GAN, PIXEL = "F.softplus(-z).mean()", "d.mean()"
EXCHANGED = "lambda_pixel * gan + lambda_gan * pixel"
MADE_UP = "for 3 slices that were made up, it comes to"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            in_code("F.softplus(-z)[-1].mean()", "d[-1].mean()", EXCHANGED),
            [
                "λ_gan and λ_pixel are exchanged.",
                "In both terms, only the last subject of a batch counts, asked for the mean over "
                "the batch.",
            ],
        ),
        (
            in_code("F.softplus(-z.relu()).mean()", "F.smooth_l1_loss(fake_t2, real_t2)"),
            [
                "In the voxel-wise term, you have the Huber loss (smooth L1), asked for the mean "
                "absolute difference.",
                "In the adversarial term, the cross-entropy gets a ReLU of the logits, asked for "
                "the logits themselves.",
            ],
        ),
        (
            in_code("F.softplus(-z.tanh()).mean()", "(d ** 2 + 1e-3).sqrt().mean()"),
            [
                "In the adversarial term, the cross-entropy gets tanh of the logits, asked for "
                "the logits themselves.",
                f"The voxel-wise term is not as asked for: {MADE_UP} 0.6504, asked for 0.6493.",
            ],
        ),
        (
            in_code(GAN, "d.amax((1, 2, 3)).mean()"),
            ["In the voxel-wise term, the largest difference of each slice is taken, asked for "
             "the mean."],
        ),
        (
            in_code(GAN, "1 - F.cosine_similarity(fake_t2.flatten(1), real_t2.flatten(1)).mean()"),
            [
                f"The voxel-wise term is not as asked for: {MADE_UP} 1.206, asked for 0.6493. The "
                "adversarial term is as asked for.",
            ],
        ),
        (
            in_code("(1 - z.sigmoid()).mean()", PIXEL),
            ["In the adversarial term, you have the absolute distance of the probability from its "
             "label, asked for the mean of the cross-entropies of all logits."],
        ),
        (
            in_code("F.binary_cross_entropy(z.clamp(0, 1), torch.ones_like(z))", PIXEL),
            ["In the adversarial term, the logits, cut off at 0 and 1, are taken for "
             "probabilities, which the sigmoid of a logit is."],
        ),
        (
            in_code(GAN, "(d ** 2).mean().sqrt()", "int(lambda_gan) * gan + lambda_pixel * pixel"),
            [
                "λ_gan is no factor: with 0.5, 1 and 2 in its place, it adds 0, 1.239 and 2.477 "
                "to the loss; asked for are numbers in the ratio of the weights.",
                "In the voxel-wise term, you have the root of the mean square, asked for the mean "
                "absolute difference.",
            ],
        ),
    ],
)  # fmt: skip
def test_where_a_loss_differs_is_told_of_each_term(source: str, expected: list[str]) -> None:
    notes = notes_of("cgan-generator-loss", load("cgan-generator-loss", source))
    assert [text for word, text in notes if word == "wrong"] == expected


def test_what_is_one_number_for_all_images_with_extremes_is_no_constant() -> None:
    source = in_code(GAN, "d.max()", "lambda_pixel * (gan + pixel)")
    notes = notes_of("cgan-generator-loss", load("cgan-generator-loss", source))
    assert notes == [["wrong", "The loss does not depend on lambda_gan."]]


@pytest.mark.parametrize(("pixel", "expected"), [
    ("d.square().mean((1, 2, 3)).sqrt().mean()", "the root of the mean square of each slice"),
    ("d.square().mean((1, 2, 3)).sqrt().sum()",
     "the root of the mean square of each slice, added up over the batch"),
    ("d.flatten(1).norm(dim=1).mean()", "the root of the sum of squares of each slice"),
    ("d.flatten(1).norm(dim=1).sum()",
     "the root of the sum of squares of each slice, added up over the batch"),
    ("d.norm(dim=-1).mean()", "the root of the sum of squares of each row"),
    ("d.norm(dim=-2).mean()", "the root of the sum of squares of each column"),
    ("d.square().mean().sqrt()", "the root of the mean square"),
    ("d.norm()", "the root of the mean square"),
])  # fmt: skip
def test_roots_of_squares_are_named(pixel: str, expected: str) -> None:
    source = in_code("0.5 * " + GAN, pixel)
    report = judge("cgan-generator-loss", load("cgan-generator-loss", source))
    told = [text for word, text in report.notes if word == "wrong"]
    you_have = f"In the voxel-wise term, you have {expected}, asked for the mean absolute "
    assert told[0] == "In the adversarial term, there is a factor ½ too many."
    assert told[1].startswith(you_have)


CUT_OFF = {
    "no_grad": (
        ("    y = D(fake_t2.detach(), real_t1)\n",
         "    with torch.no_grad():\n        y = D(fake_t2, real_t1)\n"),
        "In the term of the generated slices, no gradient flows back to the discriminator: D is "
        "called while gradients are switched off, by `no_grad`.",
    ),
    "inference_mode": (
        ("    y = D(fake_t2.detach(), real_t1)\n",
         "    with torch.inference_mode():\n        y = D(fake_t2, real_t1)\n    y = y.clone()\n"),
        "In the term of the generated slices, no gradient flows back to the discriminator: D is "
        "called while gradients are switched off, by `inference_mode`.",
    ),
    "detach": (
        ("D(real_t2, real_t1)", "D(real_t2, real_t1).detach()"),
        "In the term of the true slices, no gradient flows back to the discriminator: what D "
        "answers is cut off by `detach`.",
    ),
    "data": (
        ("F.softplus(-z)", "F.softplus(-z.data)"),
        "In the term of the true slices, no gradient flows back to the discriminator: what D "
        "answers is cut off by `data`.",
    ),
    "item": (
        ("F.softplus(y).mean()", "F.softplus(y).mean().item()"),
        "In the term of the generated slices, no gradient flows back to the discriminator: what "
        "D answers is cut off by `item`.",
    ),
    "float": (
        ("F.softplus(y).mean()", "float(F.softplus(y).mean())"),
        "In the term of the generated slices, no gradient flows back to the discriminator: what "
        "D answers is cut off by `float`.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CUT_OFF)
def test_what_cuts_off_a_judgement_is_named(kind: str) -> None:
    (old, new), expected = CUT_OFF[kind]
    source = (
        "def cgan_discriminator_loss(D, real_t1, real_t2, fake_t2):\n"
        "    z = D(real_t2, real_t1)\n    y = D(fake_t2.detach(), real_t1)\n"
        "    a, b = F.softplus(-z).mean(), F.softplus(y).mean()\n"
        "    return (a + b) / 2\n"
    )
    assert old in source
    answer = load("cgan-discriminator-loss", source.replace(old, new))
    report = judge("cgan-discriminator-loss", answer)
    assert next(text for word, text in report.notes if word == "wrong") == expected


RELATIVISTIC = "of the difference of two logits as in a relativistic GAN, asked for"
REAL, FAKE = "D(real_t2, real_t1)", "D(fake_t2, real_t1)"


def test_a_difference_of_logits_is_told_as_one_term() -> None:
    source = in_code("F.softplus(D(real_t2, real_t1) - z).mean()", "d[..., 2:-2, 2:-2].mean()")
    notes = notes_of("cgan-generator-loss", load("cgan-generator-loss", source))
    assert [text for _, text in notes] == [
        f"In the adversarial term, you have BCE({FAKE} - {REAL}, 1), {RELATIVISTIC} "
        f"BCE({FAKE}, 1).",
        "In the voxel-wise term, a border of 2 voxels is left out, asked for all voxels.",
    ]


@pytest.mark.parametrize(
    ("formula", "yours"),
    [
        ("F.softplus(y - z)", f"1 · BCE({REAL} - {FAKE}, 1)"),
        ("F.softplus(z - y)", f"1 · BCE({FAKE} - {REAL}, 1)"),
        (
            "(F.softplus(y - z) + F.softplus(z - y)) / 2",
            f"½ · BCE({REAL} - {FAKE}, 1)\n+ ½ · BCE({REAL} - {FAKE}, 0)",
        ),
    ],
)
def test_the_shortest_equation_of_a_difference_of_logits_is_shown(formula: str, yours: str) -> None:
    body = "    z, y = discriminator(real_t2, real_t1), discriminator(fake_t2, real_t1)\n"
    answer = load("cgan-discriminator-loss", f"{D_LOSS}{body}    return ({formula}).mean()\n")
    notes = notes_of("cgan-discriminator-loss", answer)
    assert [text for word, text in notes if word == "yours"] == [yours]


JOINED = (
    "    z = discriminator(torch.cat([real_t2, fake_t2]), torch.cat([real_t1, real_t1]))\n"
    "    labels = torch.zeros_like(z)\n"
)


def test_labels_that_differ_from_slice_to_slice_are_told() -> None:
    loss = "    return F.binary_cross_entropy_with_logits(z, labels)\n"
    assert told_of(f"{JOINED}    labels[::2] = 1\n{loss}") == [
        f"Labels differ from slice to slice: in a batch of 3 slices, in order, {REAL} has the "
        f"labels 1, 0 and 1, asked for 1; {FAKE} has the labels 0, 1 and 0, asked for 0."
    ]


def test_weights_that_differ_from_slice_to_slice_are_told() -> None:
    loss = (
        "    labels[:len(real_t1)] = 1\n"
        "    parts = F.binary_cross_entropy_with_logits(z, labels, reduction='none')\n"
        "    return {}\n"
    )
    begin = (
        "The slices of a batch do not weigh what is asked for: look at how their mean is taken. "
        "In a batch of 3 slices, in order, in the mean of the term of the true slices, they weigh "
    )
    running = (
        "torch.stack(parts.unbind()[:len(real_t1)]).cumsum(0)[-1].mean() / 2 / len(real_t1) "
        "+ (parts[-1] + parts[-len(real_t1):-1].mean()).mean() / 4"
    )
    assert told_of(JOINED + loss.format(running)) == [
        begin.replace("true", "generated") + "¼, ¼ and ½; asked for ⅓ each."
    ]
    first = "parts[:2].mean() / 2 + parts[len(real_t1):].mean() / 2"
    assert told_of(JOINED + loss.format(first)) == [begin + "½, ½ and 0; asked for ⅓ each."]


def test_nothing_is_said_of_the_mean_where_a_single_subject_is_right_for_another_reason() -> None:
    loss = discriminator_loss_of(
        lambda z, label: F.softplus(-z if label else z).square().mean().sqrt()
    )
    first = notes_of("cgan-discriminator-loss", loss)[0][1]
    assert first == "The loss is right for a single subject, and not for a batch of several."


LABEL = "F.binary_cross_entropy_with_logits(z, lambda_gan * torch.ones_like(z))"


def test_a_term_is_named_beside_a_rest_of_another_term() -> None:
    source = in_code(LABEL, "d.median()", "gan + lambda_pixel * pixel")
    notes = notes_of("cgan-generator-loss", load("cgan-generator-loss", source))
    assert [text for _, text in notes] == [
        f"Not asked for: (1 - λ_gan) · BCE({FAKE}, 0).",
        f"With the term asked for, that is BCE({FAKE}, λ_gan): λ_gan is its label, and no weight.",
        "In the voxel-wise term, the median is taken, asked for the mean.",
    ]


def test_the_value_of_a_term_is_quoted_without_a_rest_of_another_term() -> None:
    unknown = "1 - F.cosine_similarity(fake_t2.flatten(1), real_t2.flatten(1)).mean()"
    source = in_code(LABEL, unknown, "gan + lambda_pixel * pixel")
    notes = notes_of("cgan-generator-loss", load("cgan-generator-loss", source))
    assert notes[-1][1] == (
        f"The voxel-wise term is not as asked for: {MADE_UP} 1.206, asked for 0.6493."
    )


def test_no_value_of_a_term_is_quoted_where_terms_cannot_be_told_apart() -> None:
    unknown = "1 - F.cosine_similarity(fake_t2.flatten(1), real_t2.flatten(1)).mean()"
    source = in_code("F.softplus(-z ** 3).mean()", unknown, "(1 + lambda_gan * gan) * (1 + pixel)")
    told = [
        text for _, text in notes_of("cgan-generator-loss", load("cgan-generator-loss", source))
    ]
    assert told == ["The loss does not depend on lambda_pixel."]
    total = "(1 + lambda_gan * gan) * (1 + lambda_pixel * pixel)"
    source = in_code("F.softplus(-z ** 3).mean()", unknown, total)
    told = [
        text for _, text in notes_of("cgan-generator-loss", load("cgan-generator-loss", source))
    ]
    assert len(told) == 1
    assert told[0].startswith(
        "Your loss is not as asked for: for 3 slices that were made up, with λ_gan = 1.7 and "
        "λ_pixel = 0.6, it comes to "
    )
