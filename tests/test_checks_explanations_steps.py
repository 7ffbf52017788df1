"""What a student reads of a training step that differs from the one that is asked for."""

import pytest
from checking import judge, load, solutions, untouched

from labhelpers.checks.report import Report

CLEAR = "    optimizer_generator.zero_grad()\n"
STEP = "    optimizer_generator.step()\n"
BACK = "    loss_generator.backward()\n"
D_CLEAR, D_STEP, D_BACK = (
    line.replace("generator", "discriminator") for line in (CLEAR, STEP, BACK)
)
G_LOSS = (
    "    loss_generator = cgan_generator_loss(\n"
    "        discriminator, real_t1, real_t2, fake_t2, lambda_gan, lambda_pixel\n    )\n"
)
D_LOSS = "cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2)"
RETURN = "loss_generator.detach(), loss_discriminator.detach()"
NEVER = (
    "When the discriminator's optimizer steps, the gradient of the generator's loss is still in "
    "the discriminator: nothing clears the gradients of the discriminator (`zero_grad` is never "
    "called on the discriminator or its optimizer)."
)
OTHER_ORDER = "The two losses are returned in the other order:"
NEVER_IN_GENERATOR = (
    "When the generator's optimizer steps, gradients of the step before are still in the "
    "generator: nothing clears the gradients of the generator (`zero_grad` is never called on the "
    "generator or its optimizer)."
)


def tried(exercise: str, *edits: tuple[str, str]) -> Report:
    """Return the report of an edited solution."""
    source = solutions()[exercise].source
    for old, new in edits:
        assert old in source, old
        source = source.replace(old, new)
    return judge(exercise, load(exercise, source))


def sentences(report: Report) -> list[str]:
    return [text for word, text in report.notes if word == "wrong"]


OWN_LOSS = (
    "nn.functional.softplus(discriminator(fake_t2.detach(), real_t1)).mean() + "
    "nn.functional.softplus(-discriminator(real_t2, real_t1)).mean()"
)
CGAN = {
    "half the loss": (
        [("loss_discriminator.backward()", "(0.5 * loss_discriminator).backward()")],
        [
            "The gradient that moves the discriminator is that of half of the discriminator's "
            "loss."
        ],
    ),
    "nothing is cleared": ([(CLEAR, ""), (D_CLEAR, "")], [NEVER, NEVER_IN_GENERATOR]),
    "brackets are missing": (
        [(D_CLEAR, D_CLEAR.replace("()", ""))],
        [NEVER, "Line 38 names `optimizer_discriminator.zero_grad` and does not call it: the "
         "brackets are missing."],
    ),
    "cleared too early, by the network": (
        [(D_CLEAR, ""), (CLEAR, CLEAR + "    discriminator.zero_grad()\n")],
        [NEVER.split(":")[0] + ": its gradients are cleared before the backward pass of the "
         "generator's loss, not after it."],
    ),
    "cleared too early": (
        [(D_CLEAR, ""), (CLEAR, CLEAR + D_CLEAR)],
        [NEVER.split(":")[0] + ": its gradients are cleared before the backward pass of the "
         "generator's loss, not after it."],
    ),
    "two updates": ([(D_STEP, D_STEP + D_STEP)], ["The discriminator's optimizer steps twice."]),
    "the other loss": (
        [(D_LOSS, D_LOSS.replace("discriminator_loss", "generator_loss"))],
        ["The generator's loss is computed twice, and the discriminator's loss never is."],
    ),
    "an argument left out": (
        [("real_t2, fake_t2, lambda_gan", "real_t2, lambda_gan")],
        ["`cgan_generator_loss` is called without the generated T2."],
    ),
    "too few arguments": (
        [(D_LOSS, D_LOSS.replace("real_t1, ", ""))],
        ["`cgan_discriminator_loss` is called with 3 arguments: `real_t1` is missing."],
    ),
    "a loss detached": (
        [(BACK, "    loss_generator = loss_generator.detach()\n" + BACK)],
        [
            "The generator's loss is cut off from its graph (detached) before `backward` is "
            "called on it."
        ],
    ),
    "no gradients": (
        [(f"    loss_discriminator = {D_LOSS}",
          f"    with torch.no_grad():\n        loss_discriminator = {D_LOSS}")],
        [
            "The discriminator's loss cannot be differentiated: it is computed while gradients "
            "are switched off (no_grad)."
        ],
    ),
    "frozen": (
        [(CLEAR, "    discriminator.requires_grad_(False)\n" + CLEAR)],
        [
            "The discriminator's loss cannot be differentiated: the weights of the discriminator "
            "are frozen."
        ],
    ),
    "exchanged results and no step": (
        [(RETURN, "loss_discriminator.detach(), loss_generator.detach()"), (STEP, "")],
        [
            "The generator's optimizer makes no step.",
            f"{OTHER_ORDER} first the discriminator's loss, then the generator's loss.",
        ],
    ),
    "exchanged images and clipped": (
        [(D_LOSS, D_LOSS.replace("real_t1, real_t2", "real_t2, real_t1")),
         (STEP, "    nn.utils.clip_grad_norm_(generator.parameters(), 0.1)\n" + STEP)],
        [
            "`cgan_discriminator_loss` gets `real_t1` and `real_t2` in the other order.",
            "The gradient of the generator is changed between the backward pass and the step: "
            "clipped, scaled or written over.",
        ],
    ),
    "one backward pass": (
        [(CLEAR + BACK + STEP, ""),
         (D_BACK, CLEAR + "    (loss_generator + loss_discriminator).backward()\n" + STEP)],
        [
            "The generator's loss and the discriminator's loss are differentiated together, in "
            "one backward pass: the discriminator gets the gradient of both."
        ],
    ),
    "weights clipped": (
        [(D_STEP, D_STEP + "    for w in discriminator.parameters():\n"
          "        w.data.clamp_(-0.01, 0.01)\n")],
        ["Weights of the discriminator are changed by something else than the optimizer."],
    ),
    "a condition on the loss": (
        [(D_STEP, "    if loss_discriminator.item() > 0.3:\n    " + D_STEP)],
        ["The discriminator's optimizer makes a step in some cases only: none where the "
         "discriminator's loss is"],
    ),
    "evaluation mode": (
        [(CLEAR, "    generator.eval()\n" + CLEAR)],
        ["Afterwards the generator is in evaluation mode: leave it in training mode."],
    ),
    "what is learnt from is made in evaluation mode": (
        [("    fake_t2 = generator(real_t1)\n", "    generator.eval()\n    fake_t2 = "
          "generator(real_t1)\n    generator.train()\n")],
        ["The generator has run in evaluation mode, and the step uses what it gave: leave it in "
         "training mode."],
    ),
    "a penalty is added to a loss": (
        [("    loss_generator.backward()\n", "    (loss_generator + sum(w.square().sum() for w in "
          "generator.parameters())).backward()\n")],
        ["`backward` is called on more than the generator's loss: something is added to it that "
         "depends on the generator, too."],
    ),
    "the second image is made in evaluation mode": (
        [(D_STEP, D_STEP), ("    loss_discriminator = ", "    generator.eval()\n    fake_t2 = "
          "generator(real_t1).detach()\n    generator.train()\n    loss_discriminator = ")],
        ["The generator has run in evaluation mode, and the step uses what it gave: leave it in "
         "training mode."],
    ),
    "weights that stay small": (
        [(D_STEP, D_STEP + "    for w in discriminator.parameters():\n"
          "        w.data.clamp_(-0.5, 0.5)\n")],
        ["Where the generator's loss is -154 and the discriminator's loss is -161: Weights of the "
         "discriminator are changed by something else than the optimizer."],
    ),
    "only large gradients are clipped": (
        [(D_STEP, "    nn.utils.clip_grad_norm_(discriminator.parameters(), 500)\n" + D_STEP)],
        ["With large gradients: The gradient of the discriminator is changed between the backward "
         "pass and the step: clipped, scaled or written over."],
    ),
    "the second image is made in evaluation mode, for good": (
        [("    loss_discriminator = ", "    generator.eval()\n    fake_t2 = "
          "generator(real_t1).detach()\n    loss_discriminator = ")],
        ["The generator has run in evaluation mode, and the step uses what it gave, and it is "
         "still in that mode afterwards: leave it in training mode."],
    ),
    "an image asks for a gradient": (
        [(CLEAR, "    real_t1.requires_grad_()\n" + CLEAR)],
        ["Afterwards the T1 images ask for a gradient (`requires_grad`)."],
    ),
    "a generator's loss of its own": (
        [(G_LOSS, "    logits = discriminator(fake_t2, real_t1)\n    loss_generator = lambda_gan * "
          "nn.functional.softplus(logits).mean() + lambda_pixel * "
          "(fake_t2 - real_t2).abs().mean()\n"), (D_CLEAR, "")],
        [NEVER, "The generator's loss, which is written out in the step: In the adversarial term, "
         "the label is 0, asked for 1."],
    ),
    "exchanged results, one divided": (
        [(RETURN, "loss_discriminator.detach() / 2, loss_generator.detach()")],
        [f"{OTHER_ORDER} first half of the discriminator's loss, then the generator's loss."],
    ),
    "exchanged results, one measured again": (
        [(RETURN, f"{D_LOSS}.detach(), loss_generator.detach()")],
        [f"{OTHER_ORDER} first the discriminator's loss, computed once more after the update, then "
         "the generator's loss."],
    ),
    "exchanged results, one loss written out and not halved": (
        [(D_LOSS, OWN_LOSS), (RETURN, "loss_discriminator.detach(), loss_generator.detach()")],
        ["Your own loss of the discriminator is twice the one asked for, which is the mean of two "
         "terms, one of the real and one of the generated slices.",
         f"{OTHER_ORDER} first the discriminator's loss, then the generator's loss."],
    ),
    "a sum of both": (
        [(RETURN, "(loss_generator + loss_discriminator).detach(), loss_discriminator.detach()")],
        ["The first value returned is the sum of both losses, not the generator's loss."],
    ),
    "another number": (
        [("return loss_generator.detach()", "return loss_generator.detach().square()")],
        ["The first value returned is not the generator's loss, nor any other loss of the step."],
    ),
    "a second step behind a condition on both losses": (
        [(D_STEP, f"{D_STEP}    if loss_generator > loss_discriminator:\n    {STEP}")],
        ["The generator's optimizer makes more steps in some cases than in others: one where the "],
    ),
    "a second step of another gradient behind a condition": (
        [(D_STEP, f"{D_STEP}    if loss_discriminator > 0.8:\n    {D_CLEAR}        "
          f"{D_LOSS}.backward()\n    {D_STEP}")],
        ["The discriminator's optimizer makes more steps in some cases than in others: one where "
         "the discriminator's loss is 0.392, and two where the discriminator's loss is 160. Asked "
         "for: one step whatever the losses are."],
    ),
    "a loss of other weights is looked at": (
        [(D_CLEAR, ""),
         (CLEAR, "    with torch.no_grad():\n        cgan_generator_loss(discriminator, real_t1, "
          f"real_t2, fake_t2.detach(), 1.0, 1.0)\n{CLEAR}")],
        [NEVER],
    ),
    "no step with a batch of one": (
        [(D_STEP, f"    if len(real_t1) > 1:\n    {D_STEP}")],
        ["The discriminator's optimizer makes a step in some cases only: none where the batch "
         "holds 1 image, and one where the batch holds 3 images. Asked for: a step with a batch "
         "of any size."],
    ),
    "cleared only with a state": (
        [(CLEAR, f"    if optimizer_generator.state:\n    {CLEAR}")],
        [f"With an optimizer whose `state` stays empty, such as SGD without momentum: "
         f"{NEVER_IN_GENERATOR}"],
    ),
    "an image changed": (
        [(CLEAR, "    real_t2.clamp_(-0.5, 0.5)\n" + CLEAR)],
        ["Afterwards the T2 images are changed: `real_t1` and `real_t2` go into the networks"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CGAN)
def test_a_step_of_two_networks_is_told(name: str) -> None:
    edits, wanted = CGAN[name]
    report = tried("cgan-step", *edits)
    told = sentences(report)
    assert len(told) == len(wanted), told
    assert all(one.startswith(other) for one, other in zip(told, wanted, strict=True)), told
    assert report.status in ("wrong", "partly")


def test_the_first_difference_is_marked() -> None:
    table = tried("cgan-step", (D_CLEAR, "")).table
    (marked,) = (row for row in table.rows if row[2])
    assert marked[:2] == ("", "clear the gradients of the discriminator")


ADAM = "    optimizer = torch.optim.Adam(generator.parameters())\n"
G_CLEAR = "    optimizer.zero_grad()\n"


def test_what_is_asked_for_is_complete() -> None:
    after = "criterion(generator(real_t1), real_t2).detach()"
    rows = tried("generator-step", (G_CLEAR, ""), ("loss.detach()", after)).table.rows
    assert [row[1] for row in rows if row[1]] == [
        "compute the loss", "clear the gradients of the generator", "backward from the loss",
        "step of the generator's optimizer",
    ]  # fmt: skip


def test_an_own_optimizer_is_seen_to_clear() -> None:
    rows = tried("generator-step", (G_CLEAR, ADAM + G_CLEAR)).table.rows
    assert [row[0] for row in rows] == [
        "clear the gradients of the generator", "compute the loss", "backward from the loss",
        "step of another optimizer",
    ]  # fmt: skip
    assert [row[0] for row in rows if row[2]] == ["step of another optimizer"]


def test_the_generator_comes_first_in_what_is_asked_for() -> None:
    part = CLEAR + BACK + STEP
    table = tried("cgan-step", (part, ""), (D_STEP, D_STEP + part)).table
    asked = [row[1] for row in table.rows if row[1]]
    assert asked.index("step of the generator's optimizer") < asked.index(
        "clear the gradients of the discriminator"
    )


def test_a_leak_is_told_without_a_table_of_another_repair() -> None:
    own = "nn.functional.softplus(discriminator(fake_t2, real_t1)).mean() / 2 + " \
        "nn.functional.softplus(-discriminator(real_t2, real_t1)).mean() / 2"  # fmt: skip
    report = tried(
        "cgan-step", (D_LOSS, own), (BACK, BACK.replace("()", "(retain_graph=True)")), (STEP, ""),
        (D_STEP, STEP + D_STEP),
    )  # fmt: skip
    assert sentences(report)[0].endswith("because the generated slices are not detached.")
    assert report.table is None


PARTS = """def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    losses = []
    for one, other in zip(real_t1.split(1), real_t2.split(1)):
        optimizer.zero_grad()
        losses.append(criterion(generator(one), other))
        losses[-1].backward()
        optimizer.step()
    return torch.stack(losses).mean().detach()
"""
SUM = """def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    optimizer.zero_grad()
    parts = zip(real_t1.split(1), real_t2.split(1))
    loss = sum(criterion(generator(one), other) for one, other in parts)
    loss.backward()
    optimizer.step()
    return loss.detach()
"""


EACH = """def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    losses = []
    for image, target in zip(generator(real_t1), real_t2):
        optimizer.zero_grad()
        losses.append(criterion(image, target))
        losses[-1].backward(retain_graph=True)
    optimizer.step()
    return torch.stack(losses).mean().detach()
"""


@pytest.mark.parametrize("source", [PARTS, SUM, EACH])
def test_a_batch_that_is_taken_apart_is_told_once(source: str) -> None:
    (told,) = sentences(judge("generator-step", load("generator-step", source)))
    start = "The step takes the batch apart: `criterion` is called 3 times, each time with a part"
    assert told.startswith(start) and ("one step." in told) == (source == PARTS)


def test_numbers_stand_beside_those_of_a_loss_written_out() -> None:
    own = "nn.functional.softplus(discriminator(fake_t2.detach(), real_t1)).mean() + " \
        "nn.functional.softplus(-discriminator(real_t2, real_t1)).mean()"  # fmt: skip
    report = tried("cgan-step", (D_LOSS, own))
    (item,) = (item for item in report.items if item.name == "discriminator-loss")
    numbers = {word: float(text) for word, text in item.details if word != "tried"}
    assert numbers["got"] == pytest.approx(2 * numbers["expected"], rel=1e-3)


D_LOSSES = "".join(
    f"    loss_t{k} = cyclegan_discriminator_loss(discriminator_t{k}, real_t{k}, fake_t{k})\n"
    for k in (1, 2)
)


def test_no_number_of_a_loss_that_is_not_called_is_quoted() -> None:
    own = "".join(
        f"    loss_t{k} = (nn.functional.softplus(-discriminator_t{k}(real_t{k})).mean() + "
        f"nn.functional.softplus(discriminator_t{k}(fake_t{k}.detach())).mean())\n"
        for k in (1, 2)
    )
    right = tried("cyclegan-step", (D_LOSSES, own.replace("())\n", "()) / 2\n")))
    assert right.status == "right"
    returned = "loss_generators.detach(), loss_discriminators.detach()"
    exchanged = ", ".join(reversed(returned.split(", ")))
    report = tried("cyclegan-step", (D_LOSSES, own), (returned, exchanged))
    first, second = (
        {word: float(text) for word, text in item.details if word != "tried"}
        for item in report.items[:2]
    )
    assert first["expected"] == pytest.approx(second["got"], rel=1e-3)
    assert first["got"] == pytest.approx(2 * second["expected"], rel=1e-3)


def test_each_loss_of_other_inputs_is_marked() -> None:
    other = D_LOSSES.replace("fake_t1)", "fake_t)").replace("fake_t2)", "fake_t1)")
    report = tried(
        "cyclegan-step",
        (D_LOSSES, other.replace("fake_t)", "fake_t2)")),
        ("real_t2, lambda_gan, lambda_cycle\n", "real_t2, lambda_cycle, lambda_gan\n"),
    )
    marked = [row[0] for row in report.table.rows if row[2] == "<-- other inputs"]
    assert marked == ["compute the generators' loss"] + [
        f"compute the loss of the discriminator of T{k}" for k in (1, 2)
    ]


def test_an_order_that_is_allowed_is_not_marked() -> None:
    late = [(STEP, ""), (D_STEP, D_STEP + STEP)]
    early = [
        (f"    loss_discriminator = {D_LOSS}\n", ""),
        (CLEAR, f"    loss_discriminator = {D_LOSS}\n{CLEAR}"),
    ]
    for edits in (late, early):
        assert tried("cgan-step", *edits).status == "right"
        table = tried("cgan-step", *edits, (D_CLEAR, "")).table
        (marked,) = (row for row in table.rows if row[2])
        assert marked[:2] == ("", "clear the gradients of the discriminator")


@pytest.mark.parametrize("clears", [True, False])
def test_exchanged_optimizers_are_told_once(clears: bool) -> None:
    edits = [(STEP, "    swap\n"), (D_STEP, STEP), ("    swap\n", D_STEP)]
    if clears:
        edits += [(CLEAR, "    swap\n"), (D_CLEAR, CLEAR), ("    swap\n", D_CLEAR)]
    assert sentences(tried("cgan-step", *edits)) == [
        "The optimizers are exchanged: after the backward pass of the generator's loss the step "
        "is made by the discriminator's optimizer, and after that of the discriminator's loss by "
        "the generator's optimizer." + " Their `zero_grad` is exchanged in the same way." * clears
    ]


def test_losses_written_out_are_told_by_what_they_move() -> None:
    report = tried(
        "cgan-step",
        (D_LOSS, "discriminator(fake_t2.detach(), real_t1).square().mean()"),
        (G_LOSS, "    loss_generator = discriminator(fake_t2, real_t1).square().mean()\n"),
        (D_CLEAR, ""),
    )
    told = sentences(report)
    assert told[:2] == ["Your own loss never shows the discriminator the real slices.", NEVER]
    assert told[2].startswith("The generator's loss, which is written out in the step: In the")


GENERATOR = {
    "gradients asked for, and divided": (
        [("    loss.backward()\n", "    weights = list(generator.parameters())\n"
          "    for w, g in zip(weights, torch.autograd.grad(loss, weights)):\n"
          "        w.grad = g / 3\n")],
        ["The gradient of the generator is changed between the backward pass and the step: "
         "clipped, scaled or written over."],
    ),
    "another image is learnt from than looked at": (
        [("    fake_t2 = generator(real_t1)\n", "    with torch.no_grad():\n        "
          "first = criterion(generator(real_t1), real_t2)\n    fake_t2 = generator(real_t2)\n"),
         ("return loss.detach()", "return first")],
        ["`criterion` gets what the generator makes of `real_t2` in the place of the generated "
         "T2."],
    ),
    "a leaf that asks for a gradient": (
        [("criterion(fake_t2", "criterion(fake_t2.detach().requires_grad_()")],
        ["The generated T2 is cut off from the generator (detached, or made without gradients) "
         "before it gets to `criterion`."],
    ),
    "the image in the place of the prediction": (
        [("criterion(fake_t2, real_t2)", "criterion(real_t1, real_t2)")],
        ["`criterion` gets `real_t1` in the place of the generated T2."],
    ),
    "backward on the image": (
        [("loss.backward()", "fake_t2.backward()")],
        ["`backward` is called on the generated T2, not on a loss."],
    ),
    "two mistakes": (
        [("criterion(fake_t2, real_t2)", "criterion(real_t2.float(), fake_t2.float())"),
         ("    optimizer.zero_grad()\n", "")],
        ["`criterion` gets the generated T2 and `real_t2` in the other order.",
         NEVER_IN_GENERATOR],
    ),
    "a network of its own": (
        [("    fake_t2 = ", "    generator = nn.Conv2d(1, 1, 1).double()\n    fake_t2 = ")],
        ["`criterion` gets another tensor of shape (3, 1, 64, 64) in the place of the generated "
         "T2.", "Your function never reads what is passed in as `generator`, since line 17 gives "
         "the name another value."],
    ),
    "a second backward pass": (
        [("    loss.backward()\n", "    loss.backward()\n" * 2)],
        ["`backward` is called a second time on the loss."],
    ),
    "divided by the batch": (
        [("return loss.detach()", "return loss.detach() / len(real_t1)")],
        ["What is returned is the loss, divided by the number of images."],
    ),
    "a rounded loss": (
        [("return loss.detach()", "return torch.round(loss.detach(), decimals=2)")],
        ["What is returned is the loss, rounded to 2 decimals."],
    ),
    "a rounded loss in a list": (
        [("return loss.detach()", "return torch.tensor([round(loss.item(), 3)])")],
        ["What is returned has the shape (1,), like a list of one number. Asked for: a tensor "
         "without dimensions, as the loss is by itself.",
         "What is returned is the loss, rounded to 3 decimals."],
    ),
    "measured once more after the update": (
        [("return loss.detach()",
          "with torch.no_grad():\n        return criterion(generator(real_t1), real_t2)")],
        ["What is returned is the loss, computed once more after the update."],
    ),
    "the criterion is called twice": (
        [("criterion(fake_t2", "criterion()(fake_t2")],
        ["`criterion` is called without arguments: the generated T2 is missing."],
    ),
    "another prediction": (
        [("criterion(fake_t2", "criterion(torch.tanh(fake_t2)")],
        ["`criterion` gets the generated T2, changed by `tanh` in the place of the generated T2."],
    ),
    "a return above the step": (
        [("    optimizer.step()\n", "    return loss.detach()\n    optimizer.step()\n")],
        ["The generator's optimizer makes no step.",
         "Line 21 never runs: it stands below a `return` of the same block."],
    ),
    "gradient descent by hand": (
        [("optimizer.step()", "torch._foreach_sub_([w.data for w in generator.parameters()], "
          "[0.02 * w.grad for w in generator.parameters()])")],
        ["The generator's optimizer makes no step.",
         "Weights of the generator are changed by something else than the optimizer."],
    ),
    "gradients asked for, and kept nowhere": (
        [("    loss.backward()\n",
          "    torch.autograd.grad(loss, list(generator.parameters()))\n")],
        ["`torch.autograd.grad` returns gradients and writes none of them to where the "
         "generator's optimizer looks for them, `.grad` of each weight: call `backward` on the "
         "loss."],
    ),
    "cleared only with a state": (
        [("    optimizer.zero_grad()\n",
          "    if optimizer.state:\n        optimizer.zero_grad()\n")],
        ["With an optimizer whose `state` stays empty, such as SGD without momentum: "
         f"{NEVER_IN_GENERATOR}"],
    ),
    "cleared only without a state": (
        [("    optimizer.zero_grad()\n",
          "    if not optimizer.state:\n        optimizer.zero_grad()\n")],
        ["With an optimizer that fills its `state`, such as SGD with momentum: "
         f"{NEVER_IN_GENERATOR}"],
    ),
    "only positive losses": (
        [("    optimizer.step()", "    if loss > 0:\n        optimizer.step()")],
        ["The generator's optimizer makes a step in some cases only: none where the loss is -239, "
         "and one where the loss is 61. Asked for: a step whatever the losses are."],
    ),
    "the method of another object": (
        [("optimizer.step()", "generator.step()")],
        ["`step` is called on the generator. It belongs to an optimizer."],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GENERATOR)
def test_a_step_of_one_network_is_told(name: str) -> None:
    edits, wanted = GENERATOR[name]
    assert sentences(tried("generator-step", *edits))[: len(wanted)] == wanted


D_CLEARS = "    optimizer_discriminators.zero_grad()\n"
CYCLEGAN = {
    "nothing clears": (
        [(D_CLEARS, "")],
        ["When the discriminators' optimizer steps, the gradient of the generators' loss is still "
         "in the discriminators: nothing clears the gradients of the discriminators (`zero_grad` "
         "is never called on the discriminators or their optimizer)."],
    ),
    "real and generated exchanged": (
        [("real_t1, fake_t1)", "fake_t1, real_t1)"), ("real_t2, fake_t2)", "fake_t2, real_t2)")],
        ["The losses of both discriminators get the real and the generated slices in the other "
         "order."],
    ),
    "real and detached slices exchanged, numbers returned": (
        [("real_t1, fake_t1)", "fake_t1.detach(), real_t1)"),
         ("real_t2, fake_t2)", "fake_t2.detach(), real_t2)"),
         ("loss_generators.detach(), loss_discriminators.detach()",
          "loss_generators.item(), loss_discriminators.item()")],
        ["The losses of both discriminators get the real and the generated slices in the other "
         "order.", "Of both values returned, each is a Python number, not a tensor."],
    ),
    "averaged": (
        [("loss_t1 + loss_t2", "(loss_t1 + loss_t2) / 2")],
        ["The gradient that moves the discriminators is that of half of the discriminators' loss.",
         "The second value returned is half of the discriminators' loss."],
    ),
    "one left out and exchanged weights": (
        [("loss_t1 + loss_t2", "loss_t2"),
         ("real_t2, lambda_gan, lambda_cycle\n", "real_t2, lambda_cycle, lambda_gan\n")],
        ["`cyclegan_generator_loss` gets `lambda_gan` and `lambda_cycle` in the other order.",
         "The discriminators' optimizer steps without a gradient of the discriminator of T1: "
         "`backward` is never called on the loss of the discriminator of T1."],
    ),
    "one discriminator in both losses": (
        [("discriminator_t2, real_t2, fake_t2", "discriminator_t1, real_t2, fake_t2")],
        ["The loss of the discriminator of T1 is computed twice, and the loss of the discriminator "
         "of T2 never is."],
    ),
    "clipped": (
        [("    optimizer_generators.step()\n", "    weights = [w for g in generators for w in "
          "g.parameters()]\n    nn.utils.clip_grad_norm_(weights, 0.1)\n"
          "    optimizer_generators.step()\n")],
        ["The gradient of the generators is changed between the backward pass and the step: "
         "clipped, scaled or written over."],
    ),
    "cleared between two backward passes": (
        [("    loss_discriminators.backward()\n",
          "    loss_t1.backward()\n" + D_CLEARS + "    loss_t2.backward()\n")],
        ["The gradients of the discriminators are cleared between the backward pass of the loss "
         "of the discriminator of T1 and the step."],
    ),
    "the loss not unpacked": (
        [("loss_generators, fake_t1, fake_t2 =", "loss_generators =")],
        ["`cyclegan_generator_loss` returns three values, the loss and the two generated images, "
         "and they are used as if they were one."],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CYCLEGAN)
def test_a_step_of_four_networks_is_told(name: str) -> None:
    edits, wanted = CYCLEGAN[name]
    assert sentences(tried("cyclegan-step", *edits))[: len(wanted)] == wanted


FIRST, SECOND = "discriminator_t1, real_t1, fake_t1", "discriminator_t2, real_t2, fake_t2"
BOTH_DISCRIMINATORS = (
    "The two discriminators are exchanged in both parts of the step: the first of the pair judges "
    "T1-w slices."
)
BOTH_FAKES = (
    "The losses of the discriminators get the generated T1 and the generated T2 exchanged: "
    "the generated T2 goes with `real_t1`."
)
UNPACKED = ("loss_generators, fake_t1, fake_t2 =", "loss_generators, fake_t2, fake_t1 =")
OWN_OF = (
    "(nn.functional.softplus(-discriminator_t{k}(real_t{k})).mean() + "
    "nn.functional.softplus(discriminator_t{k}(fake_t{k}.detach())).mean()) / 2"
)
EXCHANGED = [
    ("discriminator_t1, discriminator_t2 = d", "discriminator_t2, discriminator_t1 = d"),
    ("*discriminators, real", "discriminator_t1, discriminator_t2, real"),
]
EXCHANGES = {
    "order of unpacking": ([UNPACKED], [BOTH_FAKES]),
    "order of unpacking, and of the weights": (
        [UNPACKED, ("lambda_gan, lambda_cycle\n", "lambda_cycle, lambda_gan\n")],
        ["`cyclegan_generator_loss` gets `lambda_gan` and `lambda_cycle` in the other order.",
         BOTH_FAKES],
    ),
    "order of unpacking, and of one loss": (
        [UNPACKED, (FIRST, FIRST.replace("real_t1, fake_t1", "fake_t1, real_t1"))],
        [BOTH_FAKES, "The loss of the discriminator of T1 gets the real and the generated slices "
         "in the other order."],
    ),
    "order of unpacking, and of both losses": (
        [UNPACKED, (FIRST, FIRST.replace("real_t1, fake_t1", "fake_t1, real_t1")),
         (SECOND, SECOND.replace("real_t2, fake_t2", "fake_t2, real_t2"))],
        [BOTH_FAKES, "The losses of both discriminators get the real and the generated slices in "
         "the other order."],
    ),
    "order of unpacking, the loss last": (
        [("loss_generators, fake_t1, fake_t2 =", "fake_t1, fake_t2, loss_generators =")],
        ["`backward` is called on the generated T2, not on a loss. `cyclegan_generator_loss` "
         "returns the loss first, then the generated T1 and the generated T2."],
    ),
    "order of unpacking, both losses written out": (
        [UNPACKED, *((f"cyclegan_discriminator_loss({one})", OWN_OF.format(k=k))
                     for k, one in ((1, FIRST), (2, SECOND)))],
        [f"Your own loss shows the discriminator of T{k} the generated T{3 - k}, and not the "
         f"generated T{k}." for k in (1, 2)],
    ),
    "discriminators": (EXCHANGED, [BOTH_DISCRIMINATORS]),
    "both": ([*EXCHANGED, UNPACKED], [BOTH_DISCRIMINATORS, BOTH_FAKES]),
    "discriminators in the second part": (
        EXCHANGED[:1],
        ["The losses of the discriminators get them in the other order: each gets the slices of "
         "the other contrast."],
    ),
    "discriminators in the first part": (
        [("*discriminators, real", "*discriminators[::-1], real")],
        ["`cyclegan_generator_loss` gets the discriminator of T1 and the discriminator of T2 in "
         "the other order."],
    ),
    "true slices": (
        [(FIRST, FIRST.replace("real_t1", "real_t2")),
         (SECOND, SECOND.replace("real_t2", "real_t1"))],
        ["The losses of the discriminators get `real_t1` and `real_t2` exchanged."],
    ),
    "one of them, made once more": (
        [(FIRST, FIRST.replace("fake_t1", "generators[1](fake_t2.detach())"))],
        ["`cyclegan_discriminator_loss` gets what the generator from T2 to T1 makes of the "
         "generated T2 in the place of the generated T1."],
    ),
    "one of them": (
        [(FIRST, FIRST.replace("fake_t1", "fake_t2"))],
        ["`cyclegan_discriminator_loss` gets the generated T2 in the place of the generated T1."],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXCHANGES)
def test_what_two_discriminators_get_of_each_other_is_told_once(name: str) -> None:
    edits, wanted = EXCHANGES[name]
    assert sentences(tried("cyclegan-step", *edits)) == wanted


OWN = """    to_t2, to_t1 = generators
    fake_t2, fake_t1 = to_t2(real_t1), to_t1(real_t2)
    answers = discriminators[0](fake_t1), discriminators[1](fake_t2)
    gan = sum(nn.functional.softplus(-z).mean() for z in answers)
    cycle = (to_t1(fake_t2) - real_t1).abs().mean() + (to_t2(fake_t1) - real_t2).abs().mean()
    loss_generators = lambda_gan * gan + lambda_cycle * cycle
"""
CALL = """    loss_generators, fake_t1, fake_t2 = cyclegan_generator_loss(
        *generators, *discriminators, real_t1, real_t2, lambda_gan, lambda_cycle
    )
"""


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("", "", []),
        ("softplus(-z)", "softplus(z)", ["In both adversarial terms, the label is 0, asked for "
                                         "1."]),
        ("+ lambda_cycle *", "+ 10 *", ["In both cycle terms, λ_cycle is not used; the weight is "
                                        "fixed to 10."]),
        ("to_t1(fake_t2) -", "to_t2(fake_t2) -", ["In the cycle term T1-w → T2-w → T1-w, "
                                                  "real_t1 is compared with G(G(real_t1)), asked "
                                                  "for H(G(real_t1))."]),
    ],
)  # fmt: skip
def test_a_generators_loss_that_is_written_out_is_taken_apart(
    old: str, new: str, wanted: list[str]
) -> None:
    report = tried("cyclegan-step", (CALL, OWN.replace(old, new) if old else OWN))
    told = [text.partition("in the step: ")[2] or text for text in sentences(report)]
    assert told[: len(wanted)] == wanted and (report.status == "right") == (not wanted)


def test_a_step_is_explained_also_where_its_losses_are_not_written() -> None:
    source = solutions()["cgan-step"].source.replace(D_CLEAR, "")
    step = load("cgan-step", source)
    for loss in ("cgan-generator-loss", "cgan-discriminator-loss"):
        step.__globals__[loss.replace("-", "_")] = untouched(loss)
    assert sentences(judge("cgan-step", step)) == [NEVER]


def test_the_table_of_a_batch_taken_apart_shows_the_same_batch() -> None:
    report = tried(
        "generator-step",
        (
            "    fake_t2 = generator(real_t1)\n",
            "    def each():\n"
            "        for a, b in zip(real_t1.split(1), real_t2.split(1)):\n"
            "            yield criterion(generator(a), b)\n\n",
        ),
        ("criterion(fake_t2, real_t2)", "torch.cat([x.reshape(1) for x in each()])"),
        ("loss.backward()", "loss.sum().backward()"),
    )
    told = sentences(report)
    assert "called 3 times" in told[0]
    assert told[1].startswith("What is returned has the shape (3,)")
    assert "backward from the sum of 3 losses" in [row[0] for row in report.table.rows]


def test_a_step_that_depends_on_its_loss_is_not_called_missing() -> None:
    report = tried(
        "cgan-step",
        (D_CLEAR + D_BACK + D_STEP, f"    if loss_discriminator > 0.6:\n    {D_BACK}    {D_STEP}"),
    )
    (told,) = sentences(report)
    assert told.startswith("The discriminator's optimizer makes a step in some cases only: none")


def test_the_order_of_two_discriminators_is_no_difference() -> None:
    first, second = (
        f"    loss_t{k} = cyclegan_discriminator_loss(discriminator_t{k}, real_t{k}, fake_t{k})\n"
        for k in (1, 2)
    )
    report = tried(
        "cyclegan-step",
        (first + second, second + first),
        ("real_t2, lambda_gan, lambda_cycle\n", "real_t2, lambda_cycle, lambda_gan\n"),
    )
    (marked,) = (row for row in report.table.rows if row[2])
    assert marked == ("compute the generators' loss",) * 2 + ("<-- other inputs",)


@pytest.mark.parametrize("clips", [True, False])
def test_a_second_part_that_fails_by_the_first_is_called_right(clips: bool) -> None:
    clip = "    nn.utils.clip_grad_norm_(generators[0].parameters(), 0.1)\n" * clips
    again = "    fake_t2, fake_t1 = generators[0](real_t1), generators[1](real_t2)\n"
    step = "    optimizer_generators.step()\n"
    report = tried("cyclegan-step", (step, clip + step + again * clips), *(
        [] if clips else [("*generators, *dis", "*generators[::-1], *dis")]
    ))  # fmt: skip
    assert ("next", "The discriminators' part of the step was found right: what fails of it below "
            "follows from what the generators did.") in report.notes  # fmt: skip
    assert len(sentences(report)) == 1


def test_a_note_on_the_second_part_needs_a_reason() -> None:
    report = tried("cgan-step", (STEP, STEP + STEP))
    assert sentences(report) == ["The generator's optimizer steps twice."]
    assert not [text for word, text in report.notes if word == "next"]


@pytest.mark.parametrize("code", [
    [("real_t1, real_t2, fake_t2, lambda", "real_t1, fake_t2, real_t2, lambda")],
    [("real_t1, real_t2, fake_t2, lambda", "real_t1, real_t2, real_t1, lambda")],
    [("real_t1, real_t2, fake_t2, lambda", "real_t1, fake_t2, real_t2, lambda"),
     (STEP, STEP + "    generator(real_t1)\n")],
])  # fmt: skip
def test_nothing_is_said_to_follow_where_nothing_fails(code: list[tuple[str, str]]) -> None:
    report = tried("cgan-step", *code)
    (item,) = (item for item in report.items if item.name == "discriminator-weights")
    assert item.outcome == "right"
    assert not [text for word, text in report.notes if word == "next"]


def test_what_both_losses_get_wrong_is_told_of_both() -> None:
    report = tried(
        "cgan-step",
        ("real_t1, real_t2, fake_t2, lambda", "real_t1, fake_t2, real_t2, lambda"),
        (D_LOSS, D_LOSS.replace("fake_t2", "real_t1")),
    )
    assert sentences(report) == [
        "`cgan_generator_loss` gets `real_t2` and the generated T2 in the other order.",
        "`cgan_discriminator_loss` gets `real_t1` in the place of the generated T2.",
    ]
