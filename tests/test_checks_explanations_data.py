"""What a student reads of an answer of notebook 1 that works with other data than asked for."""

import math
import random
import re
from itertools import permutations

import pytest
from checking import HIDDEN, answers, judge, load, solutions

from labhelpers.checks.cases import Setting
from labhelpers.checks.probes import data

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
            "batches of 16, with the two image axes exchanged.",
        ),
        (
            'torch.stack([torch.where(s["T2"] > -0.95, s["T2"], 0.0) for s in dataset]).mean(dim=0)'
            ".flip(2)",
            "Your image is the mean of the T2-w slices of all subjects, after setting values of "
            "-0.95 and below to 0, mirrored along the second image axis.",
        ),
        (
            'torch.stack([s["T2"] * (s["T2"] > -1) for s in dataset]).mean(dim=0)',
            "Your image is the mean of the T2-w slices of all subjects, after setting values of -1 "
            "to 0.",
        ),
        (
            'torch.stack([s["T2"] - s["T1"] for s in dataset]).mean(dim=0)',
            "Your image is the mean of the differences T2-w - T1-w of the slices of all subjects.",
        ),
        (
            'torch.stack([sample["T2"] for sample in dataset]).mean(dim=-1)',
            "Your result is the mean of the T2-w slices over the second image axis. Its shape is "
            "(6, 1, 64) for 6 subjects.",
        ),
        (
            'torch.stack([sample["T1"] for sample in dataset]).mean(dim=0).round(decimals=2)',
            "Your image is the mean of the T1-w slices of all subjects, rounded to 2 decimals.",
        ),
        (
            'torch.nn.functional.avg_pool2d(torch.stack([s["T2"] for s in dataset]).mean(dim=0), '
            "3, 1, 1)",
            "Your image is the mean of the T2-w slices of all subjects, averaged over 3 x 3 "
            "voxels, 0 beyond the border.",
        ),
        (
            'torch.stack([s["T2"].square() for s in list(dataset)[:-1]]).mean(dim=0).sqrt()',
            "Your image is the mean of the T2-w slices of all subjects but the last, after "
            "squaring, whose square root is taken.",
        ),
        (
            "torch.stack([torch.where(s['T2'] > -1, s['T2'], torch.nan) for s in dataset])"
            ".nanmean(dim=0).nan_to_num(-1)",
            "Your image is the mean of values other than -1 (-1 where none is left) of the T2-w "
            "slices of all subjects.",
        ),
        (
            'torch.stack([((s["T2"] + 1) * 127.5).to(torch.uint8) for s in dataset]).double()'
            ".mean(0) / 127.5 - 1",
            "Your image is the mean of the T2-w slices of all subjects, after cutting each value "
            "down to one of 256 greys, as an image of whole numbers does.",
        ),
        (
            "(lambda x: 2 * (x - x.min()) / (x.max() - x.min()) - 1)(torch.stack("
            '[s["T2"].where(s["T2"] > -0.95, torch.nan) for s in dataset]).nanmean(0)'
            ".nan_to_num(-1))",
            "Your image is the mean of values above -0.95 (-1 where none is left) of the T2-w "
            "slices of all subjects, stretched to the range from -1 to 1.",
        ),
        (
            'torch.stack([(s["T2"] - s["T2"].mean()) / s["T2"].std() for s in dataset]).mean(0)',
            "Your image is the mean of the T2-w slices of all subjects, after taking the mean off "
            "each and dividing by its standard deviation.",
        ),
        (
            '(1 + torch.stack([s["T2"] for s in dataset]).sum(dim=0)) / len(dataset)',
            "Your image is the mean of the T2-w slices of all subjects, in a sum that starts with "
            "1 and not with 0.",
        ),
        (
            'torch.stack([s["T2"] for s in dataset]).mean().expand(1, 64, 64)',
            "Your image is the mean over all voxels (one number everywhere) of the T2-w slices of "
            "all subjects.",
        ),
        (
            'sum([s["T2"] for s in dataset], dataset[0]["T2"]) / len(dataset)',
            "Your image is the sum of the T2-w slices of all subjects, the first counted twice, "
            "divided by the number of all subjects.",
        ),
        (
            'sum(s["T2"] for s in dataset) / -(-len(dataset) // 40)',
            "Your image is the sum of the T2-w slices of all subjects, divided by 1, 3 and 3 for "
            "6, 83 and 89 subjects.",
        ),
        (
            '(sum(s["T2"] for s in dataset) / (len(dataset) + 1)).round(decimals=2)',
            "Your image is the sum (divided by their number plus one) of the T2-w slices of all "
            "subjects, rounded to 2 decimals.",
        ),
        (
            "torch.stack([dataset[k]['T2'] for k in range(len(dataset) // 16 * 16)]).mean(dim=0)",
            "Your image is the mean of the T2-w slices of full batches of 16, without the last, "
            "smaller batch.",
        ),
        (
            "dataset.t2[torch.randint(len(dataset), (len(dataset),))].mean(dim=0)",
            "Your image is another one in each call with the same data set: something in it is "
            "drawn at random.",
        ),
        (
            'sum(s["T2"] for s in dataset) // len(dataset)',
            "Your image is the mean of the T2-w slices of all subjects, rounded down to whole "
            "numbers, as by `//`.",
        ),
        (
            'torch.stack([x for s in dataset for x in (s["T2"], s["T2"].flip(1))]).mean(dim=0)',
            "Your image is the mean of the T2-w slices of all subjects, averaged with its copy "
            "mirrored along the first image axis.",
        ),
        (
            'torch.stack([s["T2"] for s in dataset], dim=-1).reshape(-1, 1, 64, 64).mean(dim=0)',
            "Your image is the mean of the T2-w slices, which were stacked along the last axis and "
            "brought into the shape (N, 1, 64, 64) by `reshape` or `view`. That mixes voxels of "
            "different places; `movedim` and `permute` move axes.",
        ),
    ],
)
def test_a_mean_image(code: str, text: str) -> None:
    assert wrong("mean-image", (LOOP, code)) == text


@pytest.mark.parametrize(
    "code",
    [
        "_kept.setdefault(0, dataset.t2.mean(dim=0))\n_kept = {}",
        "_kept.setdefault(len(dataset), dataset.t1.mean(dim=0))\n_kept = {}",
        "_kept.setdefault(0, dataset.t1[1:].mean(dim=0))\n_kept = {}",
    ],
)
def test_an_image_that_is_kept_from_an_earlier_call_is_told(code: str) -> None:
    text = wrong("mean-image", (LOOP, code))
    assert text.startswith(
        "Your image is the same for two data sets with other slices: your function returns what it "
        "has kept of an earlier call."
    )


def test_an_image_of_its_own_may_have_been_kept() -> None:
    text = wrong("mean-image", (LOOP, "torch.linspace(-1, 1, 4096).reshape(1, 64, 64)"))
    assert text.startswith(
        "Your image is the same for two data sets with other slices: it does not depend on them, "
        "or your function returns what it has kept of an earlier call."
    )
    text = wrong(
        "mean-image", (LOOP, "torch.stack([s['T2'] for s in dataset]).mean(0) * float('nan')")
    )
    assert "same for two data sets" not in text


def test_slices_that_are_kept_from_earlier_calls_may_be_what_changes_an_image() -> None:
    code = "torch.stack(_kept.extend(s['T2'] for s in dataset) or _kept).mean(dim=0)\n_kept = []"
    assert wrong("mean-image", (LOOP, code)).startswith(
        "Your image is another one in each call with the same data set: something in it is "
        "drawn at random, or kept from call to call, as in a global variable or in the default "
        "value of a parameter."
    )


def test_an_image_of_no_known_kind_is_told_by_one_voxel() -> None:
    text = wrong("mean-image", (LOOP, 'torch.stack([s["T2"] ** 3 for s in dataset]).mean(dim=0)'))
    assert "of 4096 voxels are wrong with 6 subjects. One of them: at [0, " in text
    assert "likely" not in text


def test_a_data_set_that_is_changed_in_place_is_told_once() -> None:
    in_place = "Your function changes the T2-w slices of the data set, in place."
    code = 'sum((s["T2"] for s in list(dataset)[1:]), dataset.t2[0]) / len(dataset)'
    assert "changes" not in wrong("mean-image", (LOOP, code.replace("[1:]", "[2:]")))
    code = "(dataset.t2.div_(len(dataset))).sum(dim=0)"
    assert wrong("mean-image", (LOOP, code)).startswith(in_place)
    table = wrong("intensity-lookup", (COUNTED, "dataset.t2.neg_().sum() * 0 + totals / counts"))
    assert table.startswith(in_place) and "nan, which is 0 / 0" in table


def test_a_limit_of_subjects_is_told() -> None:
    code = 'torch.stack([s["T2"] for s in list(dataset)[:100]]).mean(dim=0)'
    text = wrong("mean-image", (LOOP, code))
    assert text.startswith("Your image is right for 89 subjects and wrong for 503")


COUNTED = "totals / counts.clamp(min=1)"
SUMS = "torch.zeros(n_bins, dtype=t2.dtype).index_add(0, bins, t2)"
ASSIGNED = (
    "the last one in the bin (an assignment such as `sums[bins] += values` writes each place once; "
    "`index_add` and `bincount` add up every voxel)"
)


@pytest.mark.parametrize(
    ("edits", "text"),
    [
        (
            [(SUMS, "torch.zeros(n_bins, dtype=t2.dtype); totals[bins] += t2")],
            f"The entries are values of one voxel, {ASSIGNED}, divided by the number of voxels in "
            "the bin.",
        ),
        (
            [
                (
                    SUMS,
                    "torch.zeros(n_bins, dtype=t2.dtype)\n"
                    "    for one, other in zip(bins.split(4096), t2.split(4096)):\n"
                    "        totals[one] += other",
                )
            ],
            f"The entries are sums with one voxel of each subject, {ASSIGNED}, divided by the "
            "number of voxels in the bin.",
        ),
        (
            [("bincount(bins,", "bincount(bins[-4096:],")],
            "The entries are sums, divided by the numbers of voxels of the last subject alone.",
        ),
        (
            [(COUNTED, "totals / len(dataset)")],
            "The entries are sums, divided by the number of subjects.",
        ),
        (
            [
                (
                    "torch.bincount(bins,",
                    "torch.bincount(((t2 + 1) / 2 * n_bins).long().clamp(max=n_bins - 1),",
                )
            ],
            "The entries are sums, divided by the number of T2-w values in the bin, where T1-w "
            "values are to be counted.",
        ),
        (
            [(COUNTED, "totals / totals.sum() / (2 / n_bins)")],
            "The entries are sums, divided by their total and the width of a bin, as "
            "`density=True` does.",
        ),
        (
            [("index_add(0, bins, t2)", "index_add(0, bins, t2.abs())")],
            "The voxels are sorted by T1-w, and the absolute value of T2-w is averaged.",
        ),
        (
            [
                ("index_add(0, bins, t2)", "index_add(0, bins, t2 - t1)"),
                (COUNTED, "totals / counts"),
            ],
            "The voxels are sorted by T1-w, and the difference T2-w - T1-w is averaged. "
            "Bins without a voxel hold nan, which is 0 / 0.",
        ),
        (
            [(COUNTED, f"torch.nn.functional.avg_pool1d(({COUNTED})[None], 3, 1, 1)[0]")],
            "The entries are averaged over 3 neighbouring bins (beyond the ends: 0) at the end.",
        ),
        (
            [
                (
                    COUNTED,
                    "torch.stack([(t2[bins == k].min() + t2[bins == k].max()) / 2 if counts[k] "
                    "else t2[0] * 0 for k in range(n_bins)])",
                )
            ],
            "The entries are middles between the smallest and the largest value.",
        ),
        (
            [
                (
                    "for sample in dataset])\n    t2",
                    "for sample in [{'T1': dataset.t1.mean(0)}]])\n    t2",
                ),
                (
                    "for sample in dataset])\n    bins",
                    "for sample in [{'T2': dataset.t2.mean(0)}]])\n    bins",
                ),
            ],
            "The voxels are those of two mean images: the subjects are averaged first, place by "
            "place.",
        ),
        (
            [(COUNTED, "(totals / counts)[counts > 0]")],
            "The table holds the bins with a voxel only: 31 for n_bins=32, 13 for n_bins=20, 60 "
            "for n_bins=64.",
        ),
        (
            [
                ("    bins =", "    t2, t1 = t2[t1 < 1], t1[t1 < 1]\n    bins ="),
                (
                    COUNTED,
                    "torch.stack([t2[bins == k].median() if counts[k] else t2[0] * 0 "
                    "for k in range(n_bins)])",
                ),
            ],
            "Your bins: voxels of exactly 1 are left out. The entries are medians.",
        ),
        (
            [
                ("(t1 + 1) / 2 * n_bins", "(t1 + 1) / 0.02"),
                (COUNTED, f"torch.where(counts > 0, {COUNTED}, -1)"),
            ],
            "Your bins: their width is 0.02 whatever n_bins is, what falls outside goes into the "
            "first and the last bin. Bins without a voxel hold -1.",
        ),
        (
            [
                (
                    SUMS,
                    "torch.zeros(n_bins)\n    import numpy as np\n"
                    "    totals = torch.tensor(np.histogram(t1, bins=n_bins, weights=t2)[0])",
                ),
                (
                    "torch.bincount(bins, minlength=n_bins)",
                    "torch.from_numpy(np.histogram(t1, bins=n_bins)[0])",
                ),
            ],
            "Your bins: their edges go from the smallest to the largest T1.",
        ),
    ],
)
def test_how_a_table_was_made(edits: list[tuple[str, str]], text: str) -> None:
    assert wrong("intensity-lookup", *edits) == text


@pytest.mark.parametrize(
    ("contrast", "values", "text"),
    [
        ("T1", "t1.sort().values", "the T1-w values of all voxels are put in order of size"),
        ("T2", "t2.sort().values", "the T2-w values of all voxels are put in order of size"),
        ("T2", "t2.reshape(-1, 4096).sort().values.flatten()", "the T2-w values of each slice"),
    ],
)
def test_values_that_are_sorted_by_themselves_are_told(
    contrast: str, values: str, text: str
) -> None:
    name = contrast.lower()
    told = wrong("intensity-lookup", ("    bins =", f"    {name} = {values}\n    bins ="))
    assert told.startswith("The voxels are not paired by place: ")
    assert text in told


def test_both_contrasts_sorted_by_themselves_are_told() -> None:
    code = "    t1, t2 = t1.sort().values, t2.sort().values\n    bins ="
    told = wrong("intensity-lookup", ("    bins =", code))
    assert "by place: the T1-w and the T2-w values of all voxels are put in order of size" in told


def test_contrasts_that_are_shuffled_by_themselves_are_told() -> None:
    source = solutions()["intensity-lookup"].source
    for name in ("T1", "T2"):
        assert f'[sample["{name}"].flatten() for sample in dataset]' in source
    told = wrong(
        "intensity-lookup",
        ("for sample in dataset", "for sample in DataLoader(dataset, shuffle=True)"),
    )
    assert told == (
        "Your table is another one in each call with the same data set: something in it is drawn "
        "at random. With two subjects, it is the right table in some calls, and in others the "
        "T1-w slice of each subject is paired with the T2-w slice of the other one."
    )


def test_a_table_that_is_drawn_or_kept_is_told() -> None:
    told = wrong("intensity-lookup", (COUNTED, f"{COUNTED} + torch.rand(n_bins) / 9"))
    assert told == (
        "Your table is another one in each call with the same data set: something in it is drawn "
        "at random."
    )
    told = wrong(
        "intensity-lookup", (COUNTED, f"_kept.setdefault(n_bins, {COUNTED})\n_kept = {{}}")
    )
    assert told == (
        "Your table is the same for two data sets with other slices: your function returns what it "
        "has kept of an earlier call."
    )


def test_a_table_of_no_known_kind_is_told_by_one_bin() -> None:
    text = wrong("intensity-lookup", (COUNTED, "totals.sign() * totals.abs() ** 0.7 / counts"))
    assert "entries are wrong with 2 subjects and n_bins=32. One of them: entry " in text


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
            "The entries are sums of the first subject alone, not divided by the number of voxels "
            "in the bin.",
        ),
        (
            [("    t1 = torch.cat", "    n_bins = 100\n    t1 = torch.cat")],
            "The table has 100 entries whatever n_bins is. "
            "Your function never reads what is passed in as `n_bins`, since line 13 gives the name "
            "another value.",
        ),
    ],
)
def test_a_lookup(edits: list[tuple[str, str]], text: str) -> None:
    assert wrong("intensity-lookup", *edits) == text


@pytest.mark.parametrize(
    ("bins", "text"),
    [
        (
            "torch.bucketize(t1, torch.linspace(-1, 1, n_bins).to(t1))",
            "Your bins: there are n_bins - 1 bins, closed on the right, and the first entry is for "
            "-1 alone.",
        ),
        (
            "((t1 - t1.min()) / (t1.max() - t1.min()) * (n_bins - 1)).long()",
            "Your bins: n_bins - 1 bins cut the range from the smallest to the largest T1, which "
            "has the last entry.",
        ),
        (
            "torch.bucketize(t1, torch.linspace(-1, 1, n_bins + 1).to(t1)).clamp(max=n_bins - 1)",
            "Your bins: they are closed on the right, and all are shifted by one bin to the right, "
            "what falls outside goes into the first and the last bin.",
        ),
        (
            "((t1[t2 > -1] + 1) / 2 * n_bins).long().clamp(max=n_bins - 1); t2 = t2[t2 > -1]",
            "The voxels are sorted by T1-w, but for those with T2 = -1, which are left out.",
        ),
    ],
)
def test_the_bins_of_a_lookup(bins: str, text: str) -> None:
    (line,) = re.findall("    bins = .*", solutions()["intensity-lookup"].source)
    assert wrong("intensity-lookup", (line, f"    bins = {bins}")) == text


LOOKUP = """
import numpy as np
import torch


def fit_intensity_lookup(dataset, n_bins=100):
    t1, t2 = (torch.cat([s[key].flatten() for s in dataset]) for key in ("T1", "T2"))
    bins = ((t1 + 1) / 2 * n_bins).long().clamp(0, n_bins - 1)
    counts = torch.bincount(bins, minlength=n_bins)
    table = torch.bincount(bins, t2.double(), n_bins) / counts.clamp(min=1)
    return table
"""


@pytest.mark.parametrize(
    ("edits", "texts"),
    [
        (
            {"t1, t2 =": "t2, t1 =", ".clamp(0, n_bins - 1)": " % n_bins"},
            [
                "The voxels are sorted by T2-w, and T1-w is averaged.",
                "Your bins: 1 falls into a bin of its own, after the last one, what falls outside "
                "goes round to the other end.",
            ],
        ),
        (
            {
                "/ 2 * n_bins).long().clamp(0, n_bins": "/ 2 * 100).long().clamp(0, 100",
                "    return table": "    full = counts.nonzero()[:, 0]\n"
                "    lines = np.interp(range(len(table)), full, table[full])\n"
                "    return torch.from_numpy(lines)",
            },
            [
                "There are 100 bins whatever n_bins is.",
                "Bins without a voxel hold values between those of the nearest filled bins, by "
                "interpolation.",
            ],
        ),
        (
            {
                "((t1 + 1) / 2 * n_bins).long().clamp(0, n_bins - 1)": (
                    "(torch.bucketize(t1, torch.linspace(-1, 1, n_bins + 1)) - 1).clamp(min=0)"
                )
            },
            [
                "Your bins: they are closed on the right, only the first one is closed on both "
                "sides."
            ],
        ),
        (
            {
                "    return table": "    full = counts.nonzero()[:, 0]\n"
                "    lines = np.pad(np.interp(range(len(table)), full, table[full]), 1, 'edge')\n"
                "    return torch.from_numpy(lines[:-2] + lines[1:-1] + lines[2:]) / 3",
            },
            [
                "The entries are filled by interpolation where a bin is empty, and then averaged "
                "over 3 neighbouring bins (beyond the ends: repeated) at the end.",
            ],
        ),
        (
            {
                "    bins =": "    kept = torch.cat([(s['T1'] > s['T1'].min()).flatten() for s in "
                "dataset])\n"
                "    t1, t2 = t1[kept], t2[kept]\n"
                "    bins ="
            },
            ["The voxels with the smallest T1 of each subject, its background, are left out."],
        ),
        (
            {"    bins =": "    t1, t2 = t1[t1 > -0.9], t2[t1 > -0.9]\n    bins ="},
            ["The voxels with T1 below -0.9 are left out."],
        ),
        (
            {"    bins =": "    t1, t2 = t1[t1 >= -0.875], t2[t1 >= -0.875]\n    bins ="},
            ["The voxels with T1 below -0.875 are left out."],
        ),
        (
            {"    bins =": "    t1, t2 = t1[t1 < 0.83], t2[t1 < 0.83]\n    bins ="},
            ["The voxels with T1 above 0.83 are left out."],
        ),
        (
            {
                "    bins =": "    t1, t2 = t1[t1 > -0.9], t2[t1 > -0.9]\n    bins =",
                "clamp(min=1)": "add(1)",
            },
            [
                "The voxels with T1 below -0.9 are left out.",
                "The entries are sums, divided by one more than the number of voxels in the bin.",
            ],
        ),
    ],
)
def test_what_is_wrong_with_a_table(edits: dict[str, str], texts: list[str]) -> None:
    source = LOOKUP
    for old, new in edits.items():
        assert old in source
        source = source.replace(old, new)
    notes = judge("intensity-lookup", load("intensity-lookup", source)).notes
    told = [text.partition(" Asked for:")[0] for word, text in notes if word == "wrong"]
    assert told == texts


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
            [("DataLoader(train_set", "DataLoader(torch.utils.data.Subset(train_set, range(40))")],
            "The training loader shows the first 40 of the 42 subjects.",
        ),
        (
            [
                ("shuffle=False", "shuffle=True"),
                (
                    "    train_loader",
                    "    train_set.t1 = train_set.t1.flip(2)\n    train_loader",
                ),
            ],
            'The slices of batch["T1"] of the training loader are mirrored along the first image '
            "axis. The test loader shuffles anew in every epoch.",
        ),
        (
            [
                (
                    "DataLoader(test_set",
                    "DataLoader(torch.utils.data.TensorDataset(test_set.t1, test_set.t2)",
                )
            ],
            "A batch of your test loader is a list of 2 values of the type Tensor.",
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
        (
            [
                ("return train_loader, test_loader", "return test_loader, train_loader"),
                ("shuffle=True", "shuffle=False"),
            ],
            "The loaders are returned in the other order. The training loader shows the subjects "
            "in the order of the data set, the same in every epoch.",
        ),
        (
            [
                ("    train_loader =", "    train_set.t1.squeeze_(1)\n    train_loader ="),
                ("shuffle=True", "shuffle=False"),
            ],
            'In a batch of your training loader, batch["T1"] has the shape (N, 64, 64). The '
            "training loader shows the subjects in the order of the data set, the same in every "
            "epoch.",
        ),
        (
            [
                ("    train_loader =", "    train_set.t1 = train_set.t1 / 2\n    train_loader ="),
                ("shuffle=True", "shuffle=False"),
            ],
            'The slices of batch["T1"] of the training loader are 0.5 times the values in the '
            "files. The training loader shows the subjects in the order of the data set, "
            "the same in every epoch.",
        ),
        (
            [
                (
                    "DataLoader(train_set",
                    "DataLoader(torch.utils.data.TensorDataset(train_set.t1, train_set.t2)",
                ),
                ("batch_size=5", "batch_size=batch_size"),
            ],
            "A batch of your training loader is a list of 2 values of the type Tensor. The test "
            "loader makes batches of 8 for batch_size=8, of 3 for batch_size=3 and of 11 (all "
            "subjects) by default.",
        ),
        (
            [("batch_size=5", "batch_size=batch_size // 5"), ("shuffle=True", "shuffle=False")],
            "The training loader shows the subjects in the order of the data set, the same in "
            "every epoch. The test loader is given batches of 0 for batch_size=3, which stops your "
            "function. The test loader makes batches of 1 for batch_size=8 and of 8 by default.",
        ),
        (
            [
                (
                    "    train_loader =",
                    "    for images in (train_set.t1, train_set.t2):\n"
                    "        images.copy_(images.flip(2))\n    train_loader =",
                )
            ],
            'The slices of batch["T1"] and batch["T2"] of the training loader are mirrored along '
            "the first image axis.",
        ),
        (
            [
                (
                    "    train_loader =",
                    "    train_set.t1.copy_(train_set.t1.flip(2))\n"
                    "    train_set.t2.copy_(train_set.t2 / 2)\n    train_loader =",
                )
            ],
            'The slices of batch["T1"] of the training loader are mirrored along the first image '
            'axis. The slices of batch["T2"] of the training loader are 0.5 times the values in '
            "the files.",
        ),
        (
            [("batch_size=5", "batch_size=0")],
            "The test loader is given batches of 0, whatever batch_size is, which stops your "
            "function.",
        ),
        (
            [("batch_size=batch_size", "batch_size=batch_size / 2")],
            "The training loader is given batches of 4.0 for batch_size=8, 20.0 by default and 1.5 "
            "for batch_size=3, which stops your function.",
        ),
        (
            [("DataLoader(test_set, batch_size=5", "DataLoader(root, batch_size=5")],
            "Your test loader is given a folder, not a data set.",
        ),
        (
            [("batch_size=5", "batch_size=5, sampler=range(30)"), ("shuffle=False", "")],
            "Your test loader stops while it is read (IndexError: index 11 is out of bounds for "
            "dimension 0 with size 11).",
        ),
        (
            [("batch_size=5", "batch_size=None")],
            "Your test loader hands over samples one by one, not in batches, as `batch_size=None` "
            "asks for. The test loader makes batches of 1, whatever batch_size is.",
        ),
    ],
)
def test_loaders(edits: list[tuple[str, str]], text: str) -> None:
    assert wrong("make-dataloaders", *edits) == text


def test_slices_that_are_changed_in_several_ways_are_counted_way_by_way() -> None:
    change = (
        "    train_set.t1[::3] = train_set.t1[::3].flip(2)\n"
        "    train_set.t1[1::3] = train_set.t1[1::3].flip(3)\n    train_loader ="
    )
    text = wrong(
        "make-dataloaders", ("    train_loader =", change), ("shuffle=True", "shuffle=False")
    )
    counts = re.findall(r"(\d+) of 13 slices [^,]* mirrored along the (\w+) image axis", text)
    assert [(int(n), which) for n, which in counts] == [(5, "second")]


def test_batches_that_are_put_together_otherwise_are_told_by_name() -> None:
    source = solutions()["make-dataloaders"].source.replace(
        "shuffle=False", "shuffle=True, collate_fn=tuple"
    )
    notes = judge("make-dataloaders", load("make-dataloaders", source)).notes
    (told,) = [text for word, text in notes if "collate_fn" in text]
    assert told.startswith("The batches of your test loader are made by your `collate_fn`")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "shuffled within batches, each of which keeps its subjects",
            "shuffles within a batch only: each batch holds the same subjects in every epoch",
        ),
        (
            "batches whose order is shuffled, each of which keeps its subjects",
            "shuffles the batches, not the subjects: each batch holds the same subjects, in the "
            "same order, in every epoch, and only the order of the batches changes",
        ),
        (
            "shuffled within windows of 16 subjects",
            "does not shuffle all subjects among each other: in all 3 epochs no subject comes "
            r"far before its place in the data set",
        ),
    ],
)
def test_loaders_that_shuffle_in_part(name: str, text: str) -> None:
    (answer,) = (a for a in answers("wrong") if (a.exercise, a.name) == ("make-dataloaders", name))
    notes = judge("make-dataloaders", load("make-dataloaders", answer.source)).notes
    (told,) = (note for word, note in notes if word == "wrong")
    assert re.match(rf"The training loader {text}\. Asked for: an order drawn anew", told)


def test_right_shuffles_are_taken_for_partial_ones_less_than_once_in_a_billion() -> None:
    n = 6
    for far in range(n):
        orders = [
            order
            for order in permutations(range(n))
            if all(number - place <= far for place, number in enumerate(order))
        ]
        log_orders = (n - far) * math.log(far + 1) + math.lgamma(far + 1)
        assert len(orders) == round(math.exp(log_orders))
    assert 9 * math.exp(data._LOG_CHANCE) < 1e-9  # three cases, three ways to be partial
    numbers = random.Random(1)
    for _ in range(200):
        epochs = [numbers.sample(range(42), 42) for _ in range(3)]
        assert not data.kept_by_shuffling(epochs, [*range(42)])


def test_images_are_right_whatever_their_order_and_number() -> None:
    source = solutions()["make-dataloaders"].source
    for old, new in (
        ("shuffle=False", "shuffle=True"),
        ("batch_size=5", "batch_size=1"),
        ('mode="test"', 'mode="train"'),
    ):
        report = judge("make-dataloaders", load("make-dataloaders", source.replace(old, new)))
        (images,) = (item for item in report.items if item.checks.startswith("A batch holds"))
        assert images.outcome == "right"


def test_no_order_is_told_of_slices_that_belong_to_no_subject() -> None:
    one, other, *_ = data.numbers_of_codes(Setting())
    for pair, words in (
        ([one, -1], "slices that are not in the files"),
        ([one, other], "T1 and T2 of different subjects"),
    ):
        read = data.read_dataloaders({"test-codes": {"batch_size=8": [[pair]]}}, Setting())
        assert read["test-order"] == {"batch_size=8": words}


@pytest.mark.parametrize(
    ("old", "new", "outcomes"),
    [
        ('mode="test"', 'mode="train"', ["right", "wrong"]),
        ("batch_size=5", "batch_size=6", ["wrong", "right"]),
        ("batch_size=5", "batch_size=5, drop_last=True", ["wrong", "wrong"]),
    ],
)
def test_sizes_of_batches_and_what_is_in_them_are_two_things(
    old: str, new: str, outcomes: list[str]
) -> None:
    source = solutions()["make-dataloaders"].source
    assert old in source
    report = judge("make-dataloaders", load("make-dataloaders", source.replace(old, new)))
    about_tests = [item for item in report.items if item.checks.startswith("The test loader")]
    assert [item.outcome for item in about_tests] == outcomes


def test_other_subjects_than_asked_for_make_batches_of_the_right_size_in_any_series() -> None:
    source = solutions()["make-dataloaders"].source.replace('mode="test"', 'mode="train"')
    for series in (0, HIDDEN):
        report = judge("make-dataloaders", load("make-dataloaders", source), series)
        assert {item.name for item in report.items if item.outcome != "right"} == {"test-order"}


def test_data_of_the_notebook_are_named() -> None:
    answer = load(
        "mean-image",
        "from labhelpers.checks.fixtures import make_dataset\n"
        "import torch\n"
        "train_loader = torch.utils.data.DataLoader(make_dataset(5, 1, torch.float64), 2)\n"
        "def mean_t2_image(dataset):\n"
        '    return sum(batch["T2"].sum(0) for batch in train_loader) / len(dataset)\n',
    )
    (note, *_) = judge("mean-image", answer).notes
    assert note[1].startswith("Your function reads `train_loader`, a variable of the notebook.")
