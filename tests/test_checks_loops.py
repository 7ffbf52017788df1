"""What a report says of a training loop: each aspect by itself, in words that hold."""

import pytest
from checking import judge, load, solutions

STEP = "loss = generator_step(generator, optimizer, criterion, real_t1, real_t2)"
INLINE = "loss = criterion(generator(real_t1), real_t2)"
FRAME = 'pd.DataFrame(rows, index=pd.RangeIndex(1, num_epoch + 1, name="epoch"))'
TRAINED = "loss.item() * len(real_t1)\n            n_subjects += len(real_t1)\n        training"

GRAD = "with torch.no_grad():"
VALIDATED = "total += loss.item() * len(real_t1)\n                n_subjects += len(real_t1)"

#: Changes of the solution -> what the report says it got, by item.
SLIPS = {
    "gradients kept, another learning rate": (
        [(STEP, f"{INLINE}; loss.backward(); optimizer.step()"), ("lr=lr", "lr=0.001")],
        {
            "updates": "as Adam does with gradients of earlier batches added, "
            "with the learning rate 0.001"
        },
    ),
    "gradients cleared once in an epoch": (
        [
            (STEP, f"{INLINE}; loss.backward(); optimizer.step()"),
            ("generator.train()", "generator.train(); optimizer.zero_grad()"),
        ],
        {"updates": "as Adam does with gradients of earlier batches of the epoch added"},
    ),
    "gradients clipped, which is no new optimizer": (
        [
            (
                STEP,
                f"optimizer.zero_grad(); {INLINE}; loss.backward(); "
                "nn.utils.clip_grad_value_(generator.parameters(), 1e-6); optimizer.step()",
            )
        ],
        {"updates": "in another way, from step 1 on"},
    ),
    "gradients clipped as is usual": (
        [
            (
                STEP,
                f"optimizer.zero_grad(); {INLINE}; loss.backward(); "
                "nn.utils.clip_grad_norm_(generator.parameters(), 1.0); optimizer.step()",
            )
        ],
        {"whole-gradients": "as Adam does with gradients that are cut to one length"},
    ),
    "gradients clipped here and there": (
        [
            (
                STEP,
                f"optimizer.zero_grad(); {INLINE}; loss.backward(); "
                "nn.utils.clip_grad_norm_(generator.parameters(), 0.5); optimizer.step()",
            )
        ],
        {"updates": "as Adam does with gradients that are cut to"},
    ),
    "gradients clipped value by value": (
        [
            (
                STEP,
                f"optimizer.zero_grad(); {INLINE}; loss.backward(); "
                "nn.utils.clip_grad_value_(generator.parameters(), 1.0); optimizer.step()",
            )
        ],
        {"whole-gradients": "as Adam does with gradients whose values are cut to 1"},
    ),
    "gradients clipped to values that all exceed": (
        [
            (
                STEP,
                f"optimizer.zero_grad(); {INLINE}; loss.backward(); "
                "nn.utils.clip_grad_value_(generator.parameters(), 0.5); optimizer.step()",
            )
        ],
        {"whole-gradients": "as Adam does with gradients whose values are all cut to one size"},
    ),
    "training mode at the end of each epoch only": (
        [
            ("        generator.train()\n", ""),
            ("        rows.append(", "        generator.train()\n        rows.append("),
        ],
        {"training-mode": "in evaluation mode at first, in training mode later"},
    ),
    "no mode set": (
        [("generator.train()", "pass"), ("generator.eval()", "pass")],
        {"training-mode": "in evaluation mode", "evaluation-mode": "in training mode"},
    ),
    "measured again after each step": (
        [
            (
                STEP,
                f"{STEP.removeprefix('loss = ')}\n"
                "            with torch.no_grad():\n"
                f"                {INLINE}",
            ),
        ],
        {"training-loss": "the mean over the subjects, measured again after each step"},
    ),
    "measured again after each step, a mean of means": (
        [
            (
                STEP,
                f"{STEP.removeprefix('loss = ')}\n"
                "            with torch.no_grad():\n"
                f"                {INLINE}",
            ),
            (TRAINED, "loss.item()\n            n_subjects += 1\n        training"),
        ],
        {"training-loss": "the mean of the means of the batches, measured again after each step"},
    ),
    "a mean of means, rounded": (
        [
            (TRAINED, "loss.item()\n            n_subjects += 1\n        training"),
            ("training = total / n_subjects", "training = round(total / n_subjects, 4)"),
        ],
        {"training-loss": "the mean of the means of the batches, rounded to 4 decimals"},
    ),
    "the largest loss, and all losses in a tensor": (
        [
            ("        training = total / n_subjects", "        training = max(several)"),
            (
                "        total, n_subjects = 0.0, 0\n        for batch in train_",
                "        total, n_subjects, several = 0.0, 0, []\n        for batch in train_",
            ),
            (STEP, f"{STEP}; several.append(loss.item())"),
            ("validation = total / n_subjects", "validation = torch.tensor([total, n_subjects])"),
        ],
        {
            "training-loss": "the largest loss of a batch",
            "validation-loss": "no number",
            "plain-numbers": "tensors of several numbers each",
        },
    ),
    "weights taken back between epochs": (
        [
            ("    rows = []\n", "    rows, kept = [], None\n"),
            (
                "        rows.append(",
                "        if kept is None:\n            kept = "
                "[w.detach().clone() for w in generator.parameters()]\n"
                "        with torch.no_grad():\n"
                "            [w.copy_(x) for w, x in zip(generator.parameters(), kept)]\n"
                "        rows.append(",
            ),
        ],
        {
            "updates": "back to where they were before, after step ",
            "last-weights": "those that it had after epoch 1",
        },
    ),
    "gradients cleared before the step": (
        [(STEP, f"{INLINE}; loss.backward(); optimizer.zero_grad(); optimizer.step()")],
        {
            "steps": "3 epochs, 0 steps in each, all training subjects; the optimizer makes steps, "
            "with gradients that are zero or missing"
        },
    ),
    "errors that are summed": (
        [("nn.L1Loss()", 'nn.L1Loss(reduction="sum")')],
        {
            "updates": "as Adam does with errors that are summed over the batch",
            "training-loss": ", where the mean over the subjects is ",
            "validation-loss": ", where the mean over the subjects is ",
        },
    ),
    "T2-w slices measured": (
        [("generator(real_t1), real_t2)", "generator(real_t2), real_t1)")],
        {"validation": "the generator is shown their T2-w slices"},
    ),
    "one epoch too few, in training mode": (
        [
            ("range(num_epoch)", "range(num_epoch - 1)"),
            ("num_epoch + 1", "num_epoch"),
            ("generator.eval()", "pass"),
        ],
        {
            "steps": "2 epochs, 3 steps in each, all training subjects",
            "evaluation-mode": "in training mode",
        },
    ),
    "means of means of squared errors, in a dictionary": (
        [
            (TRAINED, "loss.item()\n            n_subjects += 1\n        training"),
            ("nn.L1Loss()", "nn.MSELoss()"),
            (FRAME, "{name: [row[name] for row in rows] for name in rows[0]}"),
        ],
        {
            "updates": "as Adam does with the squared error",
            "training-loss": "the mean of the means of the batches, of the squared error",
            "validation-loss": "the mean over the subjects, of the squared error",
            "layout": "a dictionary with the keys training and validation",
        },
    ),
    "an epoch as a column, texts": (
        [(FRAME, f"{FRAME}.reset_index().astype(str)")],
        {
            "layout": "a DataFrame with the columns epoch, training and validation",
            "plain-numbers": "texts",
        },
    ),
    "another thing beside the history": (
        [(FRAME, f"generator, {FRAME}")],
        {"layout": "a tuple of networks and DataFrames"},
    ),
    "other rows": (
        [(FRAME, "pd.DataFrame(rows, index=[7] * num_epoch)")],
        {"rows": "one for each epoch, with the index 7, 7, 7"},
    ),
    "a rounded loss": (
        [("training = total / n_subjects", "training = round(total / n_subjects, 2)")],
        {"training-loss": "the mean over the subjects, rounded to 2 decimals"},
    ),
    "a loss that is rounded a little": (
        [("validation = total / n_subjects", "validation = round(total / n_subjects, 4)")],
        {"validation-loss": "the mean over the subjects, rounded to 4 decimals"},
    ),
    "training mode for a generator that comes in it": (
        [
            ("    rows = []\n", "    rows, mode = [], generator.training\n    generator.train()\n"),
            ("        generator.train()\n", ""),
            ("        rows.append(", "        generator.train(mode)\n        rows.append("),
        ],
        {
            "training-mode": "in training mode at first, in evaluation mode later, if it comes in "
            "evaluation mode"
        },
    ),
    "weights of the best epoch given back": (
        [
            (
                "rows.append(",
                "state = {k: v.clone() for k, v in generator.state_dict().items()}\n"
                "        if all(validation < row['validation'] for row in rows):\n"
                "            kept = state\n"
                "        rows.append(",
            ),
            (f"return {FRAME}", f"generator.load_state_dict(kept)\n    return {FRAME}"),
        ],
        {"last-weights": "those of the epoch with the lowest validation loss, here epoch 1"},
    ),
    "weights of the first epoch given back": (
        [
            (
                "rows.append(",
                "state = {k: v.clone() for k, v in generator.state_dict().items()}\n"
                "        kept = kept if rows else state\n"
                "        rows.append(",
            ),
            (f"return {FRAME}", f"generator.load_state_dict(kept)\n    return {FRAME}"),
        ],
        {"last-weights": "those of the epoch with the lowest validation loss, here epoch 1"},
    ),
    "a schedule": (
        [
            (
                "    rows = []\n",
                "    rows = []\n    halved = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)\n",
            ),
            ("        generator.eval()", "        halved.step()\n        generator.eval()"),
        ],
        {"updates": "as Adam does, with another learning rate from step 4 on"},
    ),
    "the root of the squared error": (
        [(INLINE, "loss = nn.MSELoss()(generator(real_t1), real_t2).sqrt()")],
        {"validation-loss": "the mean over the subjects, of the root of the squared error"},
    ),
    "measured after every batch": (
        [
            (STEP, f"{STEP}; measured = measure(generator, validation_loader)"),
            ("        with torch.no_grad():", "        if True:"),
            ("for batch in validation_loader:", "for _ in range(0):"),
            ("validation = total / n_subjects", "validation = measured"),
            (
                "def train_generator(",
                "@torch.no_grad()\n"
                "def measure(generator, loader):\n"
                "    generator.eval()\n"
                "    errors = [\n"
                "        (generator(b['T1']) - b['T2']).abs().mean(dim=(1, 2, 3)) for b in loader\n"
                "    ]\n"
                "    generator.train()\n"
                "    return torch.cat(errors).mean().item()\n\n\n"
                "def train_generator(",
            ),
        ],
        {"validation": "all validation subjects with every step"},
    ),
    "a loss of something else": (
        [("training = total / n_subjects", "training = total / n_subjects + 1")],
        {"training-loss": "where the mean over the subjects is"},
    ),
    "stopped when the validation loss has not fallen once": (
        [
            (
                'rows.append({"training": training, "validation": validation})',
                'rows.append({"training": training, "validation": validation})\n'
                "        if validation > min(row['validation'] for row in rows):\n"
                "            break",
            ),
            ("pd.RangeIndex(1, num_epoch + 1,", "pd.RangeIndex(1, len(rows) + 1,"),
        ],
        {"to-the-end": "2 of 14 epochs"},
    ),
    "stopped early, with an index for all epochs": (
        [
            (
                'rows.append({"training": training, "validation": validation})',
                'rows.append({"training": training, "validation": validation})\n'
                "        if validation > min(row['validation'] for row in rows):\n"
                "            break",
            ),
        ],
        {"to-the-end": "2 of 14 epochs"},
    ),
    "a learning rate that falls while the validation loss does not": (
        [
            (
                "    rows = []\n",
                "    rows = []\n"
                "    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=2)\n",
            ),
            ("        rows.append(", "        plateau.step(validation)\n        rows.append("),
        ],
        {"updates": "as Adam does, with another learning rate from step 5 on"},
    ),
    "both loaders in one loop": (
        [
            (
                "for batch in train_loader:",
                "measured = []\n"
                "        for batch, other in zip(train_loader, validation_loader):\n"
                "            generator.eval()\n"
                "            with torch.no_grad():\n"
                '                errors = (generator(other["T1"]) - other["T2"]).abs()\n'
                "            measured.append(errors.mean(dim=(1, 2, 3)))\n"
                "            generator.train()",
            ),
            ("for batch in validation_loader:", "for batch in []:"),
            ("validation = total / n_subjects", "validation = torch.cat(measured).mean().item()"),
        ],
        {
            "steps": "3 epochs, 2 steps in each, 6, 6, 6 of 7 training subjects",
            "validation": "all validation subjects, a part of them with every step",
        },
    ),
    "all validation rounds of an epoch in one mean": (
        [
            (
                STEP,
                f"{STEP}\n"
                "            with torch.no_grad():\n"
                "                generator.eval()\n"
                "                found = [(generator(b['T1']) - b['T2']).abs().mean((1, 2, 3))\n"
                "                         for b in validation_loader]\n"
                "                generator.train()\n"
                "            rounds = [*(rounds if n_subjects else []), *found]",
            ),
            ("for batch in validation_loader:", "for batch in []:"),
            ("validation = total / n_subjects", "validation = torch.cat(rounds).mean().item()"),
        ],
        {
            "validation": "all validation subjects with every step",
            "validation-loss": "a mean over all times that they were measured in the epoch",
        },
    ),
    "one step for the gradients of an epoch": (
        [
            (STEP, f"{INLINE}; loss.backward()"),
            ("generator.train()", "generator.train(); optimizer.zero_grad()"),
            ("        training = total", "        optimizer.step()\n        training = total"),
        ],
        {
            "steps": "3 epochs, 1 step in each, after 3 of 9 batches",
            "updates": "as Adam does with the gradients of all batches since the step before",
        },
    ),
    "each batch counted as a full one": (
        [
            (TRAINED, TRAINED.replace("len(real_t1)", "train_loader.batch_size", 1)),
        ],
        {"training-loss": "the mean over the subjects with each batch counted as a full one"},
    ),
    "the number of batches of the other set": (
        [
            (TRAINED, TRAINED.replace(" * len(real_t1)", "")),
            ("total / n_subjects\n\n", "total / len(validation_loader)\n\n"),
        ],
        {"training-loss": "the sum over the batches, divided by the number of validation batches"},
    ),
    "the count of subjects goes on in the validation part": (
        [(f"total, n_subjects = 0.0, 0\n        {GRAD}", f"total = 0.0\n        {GRAD}")],
        {"validation-loss": "the sum over the subjects, divided by the number of subjects of both"},
    ),
    "nothing is set to zero for the validation part": (
        [(f"total, n_subjects = 0.0, 0\n        {GRAD}", GRAD)],
        {"validation-loss": "the mean over the subjects of both sets"},
    ),
    "the sum goes on in the validation part": (
        [(f"total, n_subjects = 0.0, 0\n        {GRAD}", f"n_subjects = 0\n        {GRAD}")],
        {
            "validation-loss": "the sum over the subjects of both sets, divided by the number of "
            "validation subjects"
        },
    ),
    "the median over subjects that are measured one by one": (
        [
            (f"total, n_subjects = 0.0, 0\n        {GRAD}", f"several = []\n        {GRAD}"),
            (
                "for batch in validation_loader:",
                "for batch in [{k: v[None] for k, v in one.items()}\n"
                "                          for one in validation_loader.dataset]:",
            ),
            (VALIDATED, "several.append(loss.item())"),
            ("validation = total / n_subjects", "validation = pd.Series(several).median()"),
        ],
        {"validation-loss": "the median over the subjects"},
    ),
    "no training": (
        [("for batch in train_loader:", "for batch in []:"), ("total / n_subjects", "1.0")],
        {"steps": "no training subjects"},
    ),
}


MEASURED = "criterion(generator(real_t1), real_t2)"
OTHER_SLICES = {
    "T2-w slices to measure": (
        MEASURED,
        MEASURED.translate({ord("1"): "2", ord("2"): "1"}),
        "To measure the validation subjects, the generator is shown their T2-w slices. "
        "Asked for: their T1-w slices.",
    ),
    "brighter slices to measure": (
        MEASURED,
        MEASURED.replace("real_t1", "real_t1 + 1"),
        "To measure the validation subjects, the generator is shown slices that no loader gives "
        "as they are. Asked for: their T1-w slices, as they are.",
    ),
    "brighter slices to learn": (
        STEP,
        STEP.replace("real_t1", "real_t1 + 1"),
        "the generator is shown slices that no loader gives as they are. Asked for: the T1-w "
        "slices of the training loader, as they are.",
    ),
}


@pytest.mark.parametrize("slip", OTHER_SLICES)
def test_other_slices_are_told_with_those_that_are_asked_for(slip: str) -> None:
    old, new, words = OTHER_SLICES[slip]
    source = solutions()["train-generator"].source
    assert old in source
    report = judge("train-generator", load("train-generator", source.replace(old, new)))
    told = [text for word, text in report.notes if word == "wrong"]
    assert any(words in text for text in told), told


def test_a_loss_over_some_validation_subjects_is_not_called_that_of_all() -> None:
    old, new = "in validation_loader:", "in [next(iter(validation_loader))]:"
    source = solutions()["train-generator"].source
    assert old in source
    report = judge("train-generator", load("train-generator", source.replace(old, new)))
    outcomes = {item.name: item.outcome for item in report.items}
    assert (outcomes["validation"], outcomes["validation-loss"]) == ("wrong", "right")
    (checks,) = (item.checks for item in report.items if item.name == "validation-loss")
    assert "the validation subjects that are measured" in checks


#: One iterator over the training loader for all epochs: only the first one has steps.
USED_UP = (
    ("    rows = []\n", "    rows, batches = [], iter(train_loader)\n"),
    ("in train_loader:", "in batches:"),
    ("training = total / n_subjects", "training = total / max(n_subjects, 1)"),
)


def changed(*changes: tuple[str, str]):
    """Return the solution with changes."""
    source = solutions()["train-generator"].source
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    return load("train-generator", source)


def test_epochs_without_steps_are_told_as_such_and_not_as_a_return() -> None:
    report = judge("train-generator", changed(*USED_UP))
    ((word, text),) = report.notes
    assert word == "wrong"
    assert text.startswith("After the first epoch no step is made")
    outcomes = {item.name: item.outcome for item in report.items}
    assert (outcomes["rows"], outcomes["validation-loss"]) == ("right", "right")


def test_a_validation_loss_is_told_where_epochs_have_no_steps() -> None:
    summed = ("validation = total / n_subjects", "validation = total")
    report = judge("train-generator", changed(*USED_UP, summed))
    assert "validation loss of an epoch is the sum over the subjects." in str(report.notes)


@pytest.mark.parametrize("loader", ["validation_loader", "[*validation_loader] * 2"])
def test_an_epoch_that_is_the_only_one_is_not_told_as_epochs_without_steps(loader: str) -> None:
    answer = changed(("range(num_epoch)", "range(1)"), ("in validation_loader:", f"in {loader}:"))
    report = judge("train-generator", answer)
    assert "no step is made" not in report.notes[0][1]


def test_a_validation_loss_against_t1_is_told_with_t2() -> None:
    answer = changed((MEASURED, "criterion(generator(real_t1), real_t1)"))
    report = judge("train-generator", answer)
    assert report.notes == [
        (
            "wrong",
            "For your validation loss, the generated slices are compared with T1-w. Asked for: "
            "with T2-w.",
        )
    ]


@pytest.mark.parametrize("slip", SLIPS)
def test_each_aspect_is_told_by_itself(slip: str) -> None:
    changes, words = SLIPS[slip]
    source = solutions()["train-generator"].source
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    report = judge("train-generator", load("train-generator", source))
    got = {item.name: dict(item.details)["got"] for item in report.items if item.details}
    assert got.keys() == words.keys()
    for name, text in words.items():
        assert text in got[name]
