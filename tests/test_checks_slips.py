import inspect
import re

import pytest
import torch
from checking import answers, judge, load, solutions

from labhelpers import checks
from labhelpers.checks.exercises import EXERCISES
from labhelpers.checks.report import Report

# What the last statement of an answer is replaced by, and what the report says of the result.
KINDS = {
    "None": ("print('done')", "returned nothing, so that the caller gets None"),
    "text": ("return 'done'", "a text, 'done'"),
    "generator": ("yield torch.zeros(())", "returned a generator"),
    "tuple": ("return 1.0, 2.0, 3.0, 4.0", "returned a tuple of 4 values"),
    "function": ("return torch.mean", "the function `mean` itself"),
    "name": ("return loss_of_nobody", "There is nothing of the name `loss_of_nobody`"),
}
ANY_CONTAINER = ("audit-split", "train-generator", "clinic-cgan", "clinic-cyclegan")


def answer_that(exercise: str, statement: str) -> str:
    """Return an answer that takes the arguments of the exercise and does one thing."""
    reference = load(exercise)
    if inspect.isclass(reference):
        arguments = [str(inspect.signature(f)) for f in (reference.__init__, reference.forward)]
        return (
            f"class {reference.__name__}(nn.Module):\n"
            f"    def __init__{arguments[0]}:\n        super().__init__()\n"
            f"        self.layer = nn.Conv2d(1, 1, 1)\n"
            f"    def forward{arguments[1]}:\n        {statement}\n"
        )
    return f"def {reference.__name__}{inspect.signature(reference)}:\n    {statement}\n"


def told(exercise: str, source: str) -> tuple[str, Report]:
    """Return what a report says is wrong, as one line, and the report."""
    report = judge(exercise, load(exercise, source))
    texts = [text for word, text in report.notes if word in ("wrong", "next")]
    return " ".join(texts), report


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exercise", EXERCISES)
def test_a_result_of_the_wrong_kind_is_the_one_thing_told(exercise: str, kind: str) -> None:
    statement, words = KINDS[kind]
    if kind == "tuple" and exercise in ANY_CONTAINER:
        return
    text, report = told(exercise, answer_that(exercise, statement))
    assert words in text
    assert report.status in ("wrong", "partly")
    assert not report.mistakes
    assert {item.outcome for item in report.items} <= {"open", "right"}
    if kind != "generator":
        assert re.search(rf"line \d+: `{re.escape(statement)}`", text)


def test_loaders_that_can_be_read_once_are_told_why_not() -> None:
    text, _ = told(
        "make-dataloaders",
        """
from torch.utils.data import DataLoader
from labhelpers.data import IXIDataset

def make_dataloaders(root, batch_size=40):
    def batches(mode, size):
        yield from DataLoader(IXIDataset(root, mode), size, shuffle=mode == "train")
    return batches("train", batch_size), batches("test", 5)
""",
    )
    assert "the training loader is a generator" in text
    assert "An iterator can be read only once, and every epoch needs a new pass" in text


MEAN_IMAGE = {
    "a `return` that is not reached": (
        """
    if len(dataset) > 1_000:
        return torch.stack([sample["T2"] for sample in dataset]).mean(dim=0)
""",
        "There is a `return` in line 3, and the function came to its end without it",
    ),
    "a comma too many": (
        """
    return torch.stack([sample["T2"] for sample in dataset]).mean(dim=0),
""",
        "A comma at the end of a line makes a tuple of what stands before it.",
    ),
    "an array": (
        """
    return torch.stack([sample["T2"] for sample in dataset]).mean(dim=0).numpy()
""",
        "returned a NumPy array",
    ),
    "a missing import": (
        """
    return torch.tensor(np.mean([sample["T2"].numpy() for sample in dataset], axis=0))
""",
        "Add `import numpy as np` to the cell",
    ),
    "a typing error in a name": (
        """
    images = torch.stack([sample["T2"] for sample in dataset])
    return imagse.mean(dim=0)
""",
        "The nearest name that there is, is `images`.",
    ),
    "a typing error in a method": (
        """
    return torch.stack([sample["T2"] for sample in dataset]).maen(dim=0)
""",
        "A `Tensor` has nothing of the name `maen`",
    ),
    "a name without a value": (
        """
    for sample in dataset:
        total += sample["T2"]
    return total / len(dataset)
""",
        "`total` is read before it has a value (line 3: `total += sample[",
    ),
    "a variable that there is not": (
        """
    return torch.stack([sample["T2"] for sample in train_set]).mean(dim=0)
""",
        "reads `train_set` in the place of its argument `dataset`. Read the argument there: "
        "the answer is right then.",
    ),
    "a variable of the notebook, in a helper": (
        """
    return helper()

train_set = IXIDataset.from_tensors(torch.zeros(5, 1, 64, 64), torch.ones(5, 1, 64, 64))

def helper():
    return torch.stack([sample["T2"] for sample in train_set]).mean(dim=0)
""",
        "reads `train_set`, a variable of the notebook, in the place of its argument `dataset`. "
        "Read the argument there: the answer is right then.",
    ),
    "another kind of variable": (
        """
    return torch.stack([sample["T2"] for batch in train_loader for sample in batch]).mean(dim=0)

train_loader = DataLoader([{"T2": torch.ones(1, 64, 64)}] * 5, collate_fn=list)
""",
        "reads `train_loader`, a variable of the notebook, and never reads its argument `dataset`.",
    ),
    "the error of the empty exercise left": (
        """
    image = torch.stack([sample["T2"] for sample in dataset]).mean(dim=0)
    raise NotImplementedError("not written yet")
""",
        "Line 3 still raises the error that stood in the place of your code.",
    ),
}


@pytest.mark.parametrize("slip", MEAN_IMAGE)
def test_slips_are_told_alone(slip: str) -> None:
    body, words = MEAN_IMAGE[slip]
    text, report = told("mean-image", f"def mean_t2_image(dataset):{body}")
    assert words in text
    assert not report.mistakes
    assert "wrong" not in [item.outcome for item in report.items]


def test_a_network_of_its_own_is_told() -> None:
    source = solutions()["generator-step"].source.replace(
        "    optimizer.zero_grad()",
        "    generator = GeneratorUNet().double()\n    optimizer.zero_grad()",
    )
    text, _ = told("generator-step", source)
    words = "makes a `GeneratorUNet` of its own and never reads what is passed in as `generator`"
    assert words in text


@pytest.mark.parametrize(
    ("exercise", "old", "new"),
    [
        ("generator-step", "generator(real_t1)", "generator(real_t1.to(device))"),
        ("generator-step", "optimizer.zero_grad()", "optimizer.zero_grad(); generator.to(device)"),
        ("train-generator", "generator(real_t1)", "generator(real_t1.to(device))"),
        ("discriminator", "torch.cat((image,", "torch.cat((image.to(device),"),
    ],
)
def test_a_device_that_there_is_not_stands_for_no_argument(
    exercise: str, old: str, new: str
) -> None:
    text, report = told(exercise, solutions()[exercise].source.replace(old, new))
    assert "There is nothing of the name `device` (line " in text
    assert "Leave that out" in text
    assert "in the place of" not in text
    assert report.status in ("wrong", "partly")


def test_a_name_without_a_value_stands_for_no_argument_that_is_read() -> None:
    source = solutions()["train-generator"].source.replace('batch["T1"]', 'batch["T1"].to(where)')
    text, _ = told("train-generator", source.replace("lr=lr", "lr=0.1 * lr"))
    assert "There is nothing of the name `where`" in text
    assert "in the place of" not in text


@pytest.mark.parametrize(
    ("exercise", "variable", "old", "new", "words"),
    [
        (
            "generator-unet",
            "features = torch.rand(2, 1, 64, 64)",
            "self.down1(x)",
            "self.down1(features)",
            "`forward` reads `features`, a variable of the notebook, in the place of its argument "
            "`x`. Read the argument there: the answer is right then.",
        ),
        (
            "discriminator",
            'batch = {"T1": torch.rand(2, 1, 64, 64)}',
            "(image, condition)",
            '(image, batch["T1"])',
            "`forward` reads `batch`, a variable of the notebook, and never reads its argument "
            "`condition`.",
        ),
    ],
)
def test_a_network_that_reads_a_variable_of_the_notebook(
    exercise: str, variable: str, old: str, new: str, words: str
) -> None:
    source = f"{variable}\n\n{solutions()[exercise].source.replace(old, new)}"
    text, _ = told(exercise, source)
    assert words in text


def test_what_else_is_wrong_is_told_beside_a_variable_of_the_notebook() -> None:
    source = solutions()["train-generator"].source.replace("lr=lr", "lr=rate")
    source = source.replace("loss.item() * len(real_t1)", "loss.item()", 1)
    source = source.replace("n_subjects += len(real_t1)", "n_subjects += 1", 1)
    text, _ = told("train-generator", f"rate = 0.1\n\n{source}")
    assert "reads `rate`, a variable of the notebook, in the place of its argument `lr`." in text
    assert "Your training loss of an epoch is the mean of the means of the batches." in text


def test_what_else_is_wrong_is_told_where_reading_the_argument_brings_no_points() -> None:
    source = """from labhelpers.data import IXIDataset
from labhelpers.download import fetch_ixi

train_set = IXIDataset(fetch_ixi(), mode="train")


def fit_intensity_lookup(dataset, n_bins=100):
    sums = torch.zeros(n_bins, dtype=torch.double)
    n_voxels = 0
    for index in range(len(train_set)):
        t1, t2 = (train_set[index][key].flatten() for key in ("T1", "T2"))
        bins = ((t1 + 1) / 2 * n_bins).long().clamp(max=n_bins - 1)
        sums.index_add_(0, bins, t2.double())
        n_voxels += len(t1)
    return (sums / n_voxels).float()
"""
    text, report = told("intensity-lookup", source)
    assert "reads `train_set`, a variable of the notebook, and never reads its argument" in text
    others = [text for word, text in report.notes if word == "wrong"][1:]
    assert any("the number of all voxels" in other for other in others), others


def test_a_forward_inside_of_the_constructor() -> None:
    head, body = solutions()["generator-unet"].source.split("    def forward")
    inner = "\n".join(f"    {line}" for line in f"    def forward{body}".splitlines())
    text, _ = told("generator-unet", head + inner)
    assert "has no method `forward`: the one in line" in text
    assert "stands inside of another function" in text


def test_other_arguments_are_told() -> None:
    text, _ = told("mean-image", "def mean_t2_image():\n    return torch.zeros(1, 64, 64)")
    assert "takes 0 positional arguments but 1 was given" in text


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_order_of_the_arguments_is_that_of_the_solutions(exercise: str) -> None:
    solution = load(exercise)
    names = [] if inspect.isclass(solution) else [*inspect.signature(solution).parameters]
    assert EXERCISES[exercise].arguments.split() == (names if len(names) > 1 else [])


ORDER = (
    "Your function takes its arguments in another order, `images`, `surround_masks` and "
    "`lesion_masks`, than asked for: `images`, `lesion_masks` and `surround_masks`."
)


def test_another_order_of_the_arguments_is_told() -> None:
    names = "images, lesion_masks, surround_masks"
    source = solutions()["lesion-contrast"].source
    source = source.replace(names, "images, surround_masks, lesion_masks")
    assert told("lesion-contrast", source)[0] == ORDER
    source = source.replace("mean_lesion - mean_surround", "(mean_lesion - mean_surround).numpy()")
    text, report = told("lesion-contrast", source)
    assert text.startswith(f"{ORDER} Your function returned a NumPy array")
    assert "other way round" not in text
    assert not [note for note in report.notes if note[0] == "warning"]


def test_arguments_in_another_order_with_right_results_cost_nothing() -> None:
    source = (
        "def lesion_contrast(images, surround_masks, lesion_masks):\n    return torch.stack([x[a]."
        "mean() - x[b].mean() for x, a, b in zip(images, surround_masks, lesion_masks)])\n"
    )
    assert told("lesion-contrast", source)[1].status == "right"


def test_an_argument_that_is_never_read_is_told_beside_the_rest() -> None:
    source = solutions()["cgan-generator-loss"].source.replace("lambda_pixel *", "2.0 *")
    text, report = told("cgan-generator-loss", source)
    assert "Your function never reads its argument `lambda_pixel`." in text
    assert "wrong" in [item.outcome for item in report.items]


@pytest.mark.parametrize(
    ("exercise", "first", "words"),
    [
        (
            "generator-step",
            "criterion = nn.L1Loss(reduction='sum')",
            "The `criterion` that is passed in is never called, since line {} gives the name "
            "another value.",
        ),
        (
            "generator-step",
            "real_t1 = torch.zeros(2, 1, 64, 64, dtype=torch.float64)",
            "Your function never reads what is passed in as `real_t1`, since line {} gives the "
            "name another value.",
        ),
        (
            "train-generator",
            "lr = 0.1",
            "Your function never reads what is passed in as `lr`, since line {} gives the name "
            "another value.",
        ),
        (
            "train-generator",
            "generator = GeneratorUNet()",
            "makes a `GeneratorUNet` of its own and never reads what is passed in as `generator`, "
            "since line {} gives the name another value.",
        ),
        (
            "cgan-generator-loss",
            "lambda_pixel, rest = 2.0, 1.0",
            "Your function never reads what is passed in as `lambda_pixel`, since line {} gives "
            "the name another value.",
        ),
    ],
)
def test_an_argument_that_gets_another_value_is_told(exercise: str, first: str, words: str) -> None:
    mark = "### BEGIN SOLUTION"
    source = solutions()[exercise].source.replace(mark, first)
    if "GeneratorUNet" in first:
        layer = "self.layer = nn.Conv2d(1, 1, 1).double()"
        source = f"""class GeneratorUNet(nn.Module):
    def __init__(self):
        super().__init__()
        {layer}
    def forward(self, x):
        return self.layer(x.double())

{source}"""
    line = source[: source.index(f"    {first}")].count("\n") + 1
    text, _ = told(exercise, source)
    assert words.format(line) in text


def test_errors_of_pytorch_are_no_missing_answers() -> None:
    _, report = told(
        "mean-image",
        "def mean_t2_image(dataset):\n    return torch.tensor([1.0]).bincount()",
    )
    assert report.status == "wrong"


@pytest.mark.parametrize(
    ("exercise", "given", "words"),
    [
        ("mean-image", torch.zeros(1, 64, 64), "was handed a tensor of shape (1, 64, 64)"),
        ("make-dataloaders", ([], []), "was handed a tuple of 2 values"),
        ("discriminator", torch.nn.Conv2d(1, 1, 1), "an object of the class `Conv2d`"),
        ("mean-image", None, "was handed None"),
    ],
)
def test_a_result_in_the_place_of_the_function(exercise: str, given: object, words: str) -> None:
    report = judge(exercise, given)
    assert words in report.text.replace("\n          ", " ")
    name = EXERCISES[exercise].name
    assert f"`{name}`" in report.text
    assert report.score == 0


def test_another_answer_in_the_place_of_the_function() -> None:
    report = judge("mean-image", load("intensity-lookup"))
    assert "was handed `fit_intensity_lookup`" in report.text


@pytest.mark.parametrize("points", ["2", None, -1, float("nan")])
def test_points_that_are_none_are_told(points: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert checks.mean_image(load("mean-image"), points=points) == 0
    assert capsys.readouterr().out.startswith("points is a number, such as points=2")


@pytest.mark.parametrize("exercise_one", ["not run", "not written"])
def test_a_network_of_its_own_is_told_whatever_became_of_its_exercise(exercise_one: str) -> None:
    source = solutions()["generator-step"].source.replace(
        "    optimizer.zero_grad()", "    generator = GeneratorUNet()\n    optimizer.zero_grad()"
    )
    answer = load("generator-step", source)
    del answer.__globals__["GeneratorUNet"]
    if exercise_one == "not written":
        stub = "class GeneratorUNet:\n    def __init__(self):\n"
        stub += '        raise NotImplementedError("not written yet")\n'
        exec(compile(stub, "<another cell>", "exec"), answer.__globals__)
    text = " ".join(text for _, text in judge("generator-step", answer).notes)
    assert "never reads what is passed in as `generator`" in text
    assert "Run that cell first" not in text and "still raises the error" not in text


def test_a_name_that_is_only_like_another_by_chance_is_not_suggested() -> None:
    source = solutions()["cgan-generator-loss"].source.replace(
        "    logits =", "    fake_t2 = generator(real_t1)\n    logits ="
    )
    answer = load("cgan-generator-loss", source)
    answer.__globals__["generate"] = print
    text = " ".join(text for _, text in judge("cgan-generator-loss", answer).notes)
    assert "`generate`" not in text
    assert "Your function gets `discriminator`, `real_t1`, " in text


SLOW = """
import time
import torch
from labhelpers.data import IXIDataset

everybody = IXIDataset.from_tensors(torch.zeros(3, 1, 64, 64), torch.ones(3, 1, 64, 64))

def mean_t2_image(dataset):
    {wait}
    return torch.stack([sample["T2"] for sample in everybody]).mean(dim=0)
"""


def test_data_of_the_notebook_are_told_also_where_nothing_can_be_tried_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = "Your function reads `everybody`, a variable of the notebook."
    too_slow = judge(
        "mean-image", load("mean-image", SLOW.format(wait="time.sleep(5)")), time_limit=0.2
    )
    assert any(expected in text for _, text in too_slow.notes)

    def fail(*_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr("labhelpers.checks.explanations.slips.explain", fail)
    in_time = judge("mean-image", load("mean-image", SLOW.format(wait="")))
    assert any(expected in text for _, text in in_time.notes)


def test_a_return_in_a_loop_is_told() -> None:
    report = judge(
        "mean-image",
        load(
            "mean-image",
            """
def mean_t2_image(dataset):
    total = 0
    for sample in dataset:
        total = total + sample["T2"]
        return total / len(dataset)
""",
        ),
    )
    expected = "The `return` of line 6 stands in the loop of line 4, which ends in its first pass."
    assert ["wrong", expected] in [[*note] for note in report.notes]


def test_nested_lists_are_no_single_value_in_brackets() -> None:
    text, _ = told(
        "mean-image",
        """
import torch

def mean_t2_image(dataset):
    return torch.stack([sample["T2"] for sample in dataset]).mean(dim=0).tolist()
""",
    )
    assert "returned a list of 1 value" in text
    assert "Lists are no tensor" in text and "that one value" not in text


def test_a_number_that_ones_own_dictionary_does_not_have_is_told() -> None:
    report = judge(
        "intensity-lookup",
        load(
            "intensity-lookup",
            """
import torch

def fit_intensity_lookup(dataset, n_bins=100):
    table = {}
    for sample in dataset:
        for a, b in zip(sample["T1"].flatten().tolist(), sample["T2"].flatten().tolist()):
            table.setdefault(min(int((a + 1) / 2 * n_bins), n_bins - 1), []).append(b)
    return torch.tensor([sum(table[k]) / len(table[k]) for k in range(n_bins)])
""",
        ),
    )
    (meaning,) = [text for word, text in report.notes if word == "meaning"]
    assert "such as that of a bin without voxels" in meaning


def test_what_a_mended_function_throws_away_is_told_once() -> None:
    (answer,) = (
        x for x in answers("right")
        if (x.exercise, x.name) == ("clinic-cgan", "slices, softplus, last, detach")
    )  # fmt: skip
    call = "discriminator(fake_t2.detach(), real_t1)"
    head, tail = answer.source.rsplit(call, 1)
    source = f"{head}discriminator(fake_t2, real_t1); fake_t2.detach(){tail}"
    report = judge("clinic-cgan", load("clinic-cgan", source))
    told = [text for word, text in report.notes if word == "wrong"]
    assert len(told) == 1 and "keeps it nowhere" in told[0], told
