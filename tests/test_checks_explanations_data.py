"""What a student reads of an answer of notebook 1 that works with other data than asked for."""

import pytest
from checking import judge, load, solutions

LOOP = 'torch.stack([sample["T2"] for sample in dataset]).mean(dim=0)'


def wrong(exercise: str, *edits: tuple[str, str]) -> str:
    """Return what is named as wrong with an edited solution, without what is asked for."""
    source = solutions()[exercise].source
    for old, new in edits:
        assert old in source
        source = source.replace(old, new)
    report = judge(exercise, load(exercise, source))
    assert report.status in ("wrong", "partly")
    texts = [text for word, text in report.notes if word == "wrong"]
    return " ".join(text.partition(" Asked for:")[0] for text in texts)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (
            '(torch.stack([s["T1"] for s in list(dataset)[:40]]).mean(dim=0) + 1) / 2',
            "Your image is the mean of the T1-w slices of the first 40 subjects, moved to the "
            "range from 0 to 1.",
        ),
        (
            'torch.stack([s["T2"] for s in list(dataset)[:-1]]).sum(dim=0)[0] / len(dataset)',
            "Your image is the sum of the T2-w slices of all subjects but the last, divided by the "
            "number of all subjects. Its shape is (64, 64) for 6 subjects.",
        ),
        (
            'torch.stack([part.mean(dim=0) for part in torch.stack([s["T2"] for s in dataset])'
            ".split(16)]).mean(dim=0).transpose(1, 2)",
            "Your image is the mean of the T2-w slices of all subjects, as a mean of the means of "
            "batches of 16, with its two image axes exchanged.",
        ),
        (
            'torch.stack([sample["T2"] for sample in dataset]).mean(dim=-1)',
            "Your result is the mean of the T2-w slices over the second image axis. Its shape is "
            "(6, 1, 64) for 6 subjects.",
        ),
        ('torch.stack([sample["T2"] ** 3 for sample in dataset]).mean(dim=0)', ""),
    ],
)
def test_a_mean_image(code: str, text: str) -> None:
    assert wrong("mean-image", (LOOP, code)) == text


@pytest.mark.parametrize(
    ("edits", "text"),
    [
        (
            [
                (".long()", ".long().add(1)"),
                ("totals / counts.clamp(min=1)", "totals / counts"),
            ],
            "Your bins: all are shifted by one bin to the right, what falls outside goes into the "
            "first and the last bin. Bins without a voxel hold nan, which is 0 / 0.",
        ),
        (
            [
                ("for sample in dataset", "for sample in list(dataset)[:1]"),
                ("totals / counts.clamp(min=1)", "totals"),
            ],
            "The table is made of the first subject alone. The entries are sums, not divided by "
            "the number of voxels in the bin.",
        ),
        (
            [("    t1 = torch.cat", "    n_bins = 100\n    t1 = torch.cat")],
            "The table has 100 entries whatever n_bins is. "
            "Your function never reads its argument `n_bins`.",
        ),
    ],
)
def test_a_lookup(edits: list[tuple[str, str]], text: str) -> None:
    assert wrong("intensity-lookup", *edits) == text


@pytest.mark.parametrize(
    ("edits", "text"),
    [
        (
            [("shuffle=True", "shuffle=True, drop_last=True"), ("batch_size=5", "batch_size=2")],
            "The training loader leaves out the last, smaller batch: 2 of the 42 subjects are "
            "missing. The test loader makes batches of 2, whatever batch_size is.",
        ),
        (
            [
                (
                    "return train_loader, test_loader",
                    "return [next(iter(train_loader))], test_loader",
                )
            ],
            "The training loader shows 8 (a single batch) of the 42 subjects.",
        ),
        (
            [
                (
                    "    test_loader",
                    "    test_set = torch.utils.data.Subset(test_set, range(len(test_set))[::-1])\n"
                    "    test_loader",
                )
            ],
            "The test loader has the same order in every epoch, but the reverse of that of the "
            "data set.",
        ),
        (
            [('mode="test"', 'mode="train"')],
            "The test loader shows 42 of the 42 training subjects.",
        ),
    ],
)
def test_loaders(edits: list[tuple[str, str]], text: str) -> None:
    assert wrong("make-dataloaders", *edits) == text
