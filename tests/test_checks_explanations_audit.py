"""What a student reads of an audit that names problems by other rules than those asked for."""

import re

import pytest
import torch
from checking import judge, load

from labhelpers.anatomy import head_outline
from labhelpers.checks.cases import Setting
from labhelpers.checks.explanations.audit_rules import RULES
from labhelpers.checks.explanations.audit_sets import Sets
from labhelpers.checks.probes import audit, planted
from labhelpers.checks.probes.planted import planted_pairs

ANSWER = """
import torch

from labhelpers.anatomy import head_overlap, middle_grey


def audit_split(train_set, test_set):
    problems = set()
    sets = [[torch.cat((s["T1"], s["T2"])) for s in part] for part in (train_set, test_set)]
    for a in sets[0]:
        for b in sets[1]:
            if torch.equal(a, b):
                problems.add("subject on both sides")
            if torch.equal(a.flip(1), b):
                problems.add("mirrored copy on both sides")
    for part in sets:
        overlaps = [head_overlap(t1, t2) for t1, t2 in part]
        if sum(overlaps) / len(part) < 0.955:
            problems.add("pairs exchanged")
        for item in part:
            t1, t2 = item
            if middle_grey(t1) < middle_grey(t2):
                problems.add("modalities exchanged")
            for image in item:
                good = image.isfinite()
                if not good.all():
                    problems.add("values not finite")
                low, high = image[good].min(), image[good].max()
                if abs(low + 1) > 0.05 or abs(high - 1) > 0.05:
                    problems.add("another scale")
    return problems
"""


@pytest.mark.parametrize("item", RULES)
def test_the_rules_that_are_asked_for_name_what_is_planted(item: str) -> None:
    rule = RULES[item]
    pairs = planted_pairs(Setting().secret_seed(audit._SEED))
    for _, values in rule.ways(0):
        low, high = values[0].limits
        limit = (low + high) / 2 if abs(low) < 9 else -0.5
        for pair in pairs:
            is_named = rule.score(Sets(pair.train, pair.test), *values) < limit
            assert is_named == (item in pair.planted)


def test_all_outlines_at_once_are_those_of_the_slices() -> None:
    for pair in planted_pairs(Setting().secret_seed(audit._SEED)):
        for part in (pair.train, pair.test):
            wanted = [torch.stack([head_outline(image) for image in item]) for item in part]
            assert torch.equal(planted._outlines(part), torch.stack(wanted))


def test_no_rule_is_told_of_a_problem_that_is_hardly_ever_named() -> None:
    source = ANSWER.replace("middle_grey(t1) < middle_grey(t2)", "t1.std() < t2.median() + 0.9")
    notes = judge("audit-split", load("audit-split", source)).notes
    assert not [text for _, text in notes if text.startswith('"modalities exchanged"')]


@pytest.mark.parametrize(
    ("edits", "texts"),
    [
        (
            {
                "sum(overlaps) / len(part) < 0.955": "min(overlaps) < 0.9",
                "return problems": "return list(problems)",
            },
            [
                "Your function returns a list.",
                '"pairs exchanged": The smallest overlap of a set is compared',
            ],
        ),
        (
            {"middle_grey(t1) < middle_grey(t2)": "t1.mean() < t2.mean()", "(1), b)": "(2), b)"},
            [
                '"mirrored copy on both sides": Items that are upside down are named',
                '"modalities exchanged": The mean of each whole slice is compared',
            ],
        ),
        (
            {
                "middle_grey(t1) < middle_grey(t2)": "middle_grey(t1) < 0.8",
                "abs(high - 1) > 0.05": "abs(high - 1) > 0.5",
                "abs(low + 1) > 0.05": "abs(low + 1) > 0.5",
            },
            [
                '"modalities exchanged": The threshold for the grey of the slice under "T1" lies',
                '"another scale": The limit for how far an end of the range may be off lies',
            ],
        ),
        (
            {
                "for part in sets:": "for part in sets[:1]:",
                "torch.equal(a, b)": "torch.equal(a[0], b[0])",
            },
            [
                '"subject on both sides": Only the T1-w slices are compared.',
                '"pairs exchanged", "modalities exchanged", "another scale" and "values not '
                'finite": Only the training set is searched.',
            ],
        ),
        (
            {
                "not good.all()": "image.isnan().any()",
                "not finite": "infinite",
                "abs(low + 1) > 0.05 or ": "",
            },
            [
                'There is no "values infinite" in the table.',
                '"another scale": Only the largest value of a slice is compared.',
                '"values not finite": Only NaN is looked for.',
            ],
        ),
        (
            {"torch.equal(a, b)": "(a - b).mean((1, 2)).abs().max() < 1e-6", "another ": ""},
            [
                'There is no "scale" in the table.',
                '"subject on both sides": Items are compared by the sums or means of their slices',
            ],
        ),
        (
            {
                "    for part in sets:\n": "    both = [*sets[0], *sets[1]]\n"
                "    moved = both[1:] + both[:1]\n"
                "    gaps = [head_overlap(*a) - head_overlap(a[0], b[1]) for a, b in "
                "zip(both, moved)]\n"
                "    for part in sets:\n",
                "sum(overlaps) / len(part) < 0.955": "sum(gaps) / len(gaps) < 0.01",
            },
            [
                '"pairs exchanged": Both data sets are looked at together, where wrong pairs of '
                "the small one do not show."
            ],
        ),
        (
            {
                "torch.equal(a.flip(1), b)": "torch.stack([(a.flip(1) - x).abs().mean() for x in "
                "sets[1]]).min() < 0.003"
            },
            [
                '"mirrored copy on both sides": The mean difference of two items is compared',
                '"mirrored copy on both sides": A value NaN in any test item keeps all copies from',
            ],
        ),
        (
            {
                "torch.equal(a.flip(1), b)": "min(torch.corrcoef(torch.stack((x, y)))[0, 1] for x, "
                "y in zip(a.flip(1).flatten(1), b.flatten(1))) > 0.9999"
            },
            ['"mirrored copy on both sides": Items are compared by the correlation'],
        ),
        (
            {"return problems": "return problems or None", "not good.all()": "image.isnan().any()"},
            [
                "Your function returned nothing, so that the caller gets None",
                '"values not finite": Only NaN is looked for.',
            ],
        ),
    ],
)
def test_two_mistakes_are_both_told(edits: dict[str, str], texts: list[str]) -> None:
    source = ANSWER
    for old, new in edits.items():
        assert old in source
        source = source.replace(old, new)
    notes = [
        text
        for word, text in judge("audit-split", load("audit-split", source)).notes
        if word == "wrong"
    ]
    assert len(notes) == len(texts)
    assert all(note.startswith(text) for note, text in zip(notes, texts, strict=True))


@pytest.mark.parametrize(
    ("decided", "text"),
    [
        ("sum(gaps) < 0", "The means over a whole set are compared"),
        ("max(gaps) < 0", "It is named only where all items of a set have it."),
    ],
)
def test_a_whole_set_judged_at_once_is_told_from_all_of_its_items(decided: str, text: str) -> None:
    one = """            if middle_grey(t1) < middle_grey(t2):
                problems.add("modalities exchanged")
"""
    assert one in ANSWER
    source = ANSWER.replace(one, "").replace(
        "        for item in part:\n",
        "        gaps = [middle_grey(t1) - middle_grey(t2) for t1, t2 in part]\n"
        f"        if {decided}:\n"
        '            problems.add("modalities exchanged")\n'
        "        for item in part:\n",
    )
    notes = judge("audit-split", load("audit-split", source)).notes
    (told,) = [note for word, note in notes if word == "wrong"]
    assert told.startswith('"modalities exchanged": ')
    assert text in told


_OF_ITEM = """            if middle_grey(t1) < middle_grey(t2):
                problems.add("modalities exchanged")
"""
_OF_SLICE = """                if abs(low + 1) > 0.05 or abs(high - 1) > 0.05:
                    problems.add("another scale")
"""
_COUNTED = {
    _OF_ITEM: "            n_exchanged += middle_grey(t1) < middle_grey(t2)\n",
    _OF_SLICE: "                n_scaled += bool(abs(low + 1) > 0.05 or abs(high - 1) > 0.05)\n",
}
_IN_SETS = {
    "    for part in sets:\n": "    for part in sets:\n        n_exchanged = n_scaled = 0\n"
}
_IN_BOTH = {"    for part in sets:\n": "    n_exchanged = n_scaled = 0\n    for part in sets:\n"}


@pytest.mark.parametrize(
    ("edits", "end", "texts"),
    [
        (
            _IN_SETS,
            "    if n_exchanged == len(part):\n            problems.add('modalities exchanged')\n"
            "        if n_scaled == 2 * len(part):\n            problems.add('another scale')\n"
            "    ",
            [
                '"modalities exchanged" and "another scale": It is named only where all items of a '
                "set have it.",
                '"another scale": It is named only where both slices of an item have it.',
            ],
        ),
        (
            _IN_SETS,
            "    if 2 * n_exchanged > len(part):\n"
            "            problems.add('modalities exchanged')\n"
            "        if n_scaled:\n            problems.add('another scale')\n    ",
            ['"modalities exchanged": It is named only where about half of the items of a set'],
        ),
        (
            _IN_BOTH,
            "n_all = len(sets[0]) + len(sets[1])\n    if n_exchanged == n_all:\n"
            "        problems.add('modalities exchanged')\n    if n_scaled == 2 * n_all:\n"
            "        problems.add('another scale')\n    ",
            [
                '"modalities exchanged" and "another scale": It is named only where all items of '
                "both sets have it."
            ],
        ),
    ],
)
def test_what_is_named_only_where_many_items_have_it(
    edits: dict[str, str], end: str, texts: list[str]
) -> None:
    source = ANSWER
    for old, new in {**_COUNTED, **edits, "return problems": f"{end}return problems"}.items():
        assert old in source
        source = source.replace(old, new)
    notes = judge("audit-split", load("audit-split", source)).notes
    told = [note for word, note in notes if word == "wrong"]
    assert len(told) == len(texts)
    assert {text for text in texts for note in told if note.startswith(text)} == {*texts}


def test_a_set_compared_with_itself_and_a_threshold_at_the_edge_are_told() -> None:
    source = ANSWER.replace("< 0.955", "< 0.965").replace(
        "    for part in sets:\n",
        "    for a in sets[0]:\n"
        "        if any(torch.equal(a.flip(1), b) for b in sets[0]):\n"
        '            problems.add("mirrored copy on both sides")\n'
        "    for part in sets:\n",
    )
    source = source.replace("if torch.equal(a.flip(1), b)", "if False")
    notes = judge("audit-split", load("audit-split", source)).notes
    mirrored, pairs = [note for word, note in notes if word == "wrong"]
    assert "The training set is compared with itself" in mirrored
    low, high = re.findall(r"0\.96\d+", pairs)[:2]
    assert float(low) <= 0.965 <= float(high) > float(low)


@pytest.mark.parametrize(("share", "shift"), [(0.9, 1), (0.55, 1), (0.7, -1)])
def test_overlaps_compared_item_by_item_are_told(share: float, shift: int) -> None:
    source = ANSWER.replace(
        "if sum(overlaps) / len(part) < 0.955",
        f"moved = part[{shift}:] + part[:{shift}]\n"
        "        smaller = [x < head_overlap(a[0], b[1]) for x, a, b in "
        "zip(overlaps, part, moved)]\n"
        f"        if sum(smaller) >= {share} * len(part)",
    )
    notes = judge("audit-split", load("audit-split", source)).notes
    (told,) = [note for word, note in notes if word == "wrong"]
    whose = "the next items' T2-w slices" if shift > 0 else "the T2-w slices of the items before"
    assert told.startswith(
        f'"pairs exchanged": The overlaps are compared item by item with those of {whose}: '
    )


@pytest.mark.parametrize("shifts", ["1, 2", "1, 2, 3, 4"])
def test_means_over_both_sets_beside_those_of_some_neighbours_are_told(shifts: str) -> None:
    overlaps = "head_overlap(x, p[(k - i) % len(p)][1]) for p in sets for k, (x, _) in enumerate(p)"
    source = ANSWER.replace(
        "sum(overlaps) / len(part) < 0.955",
        f"torch.tensor([{overlaps} for i in (0,)]).mean() < "
        f"torch.tensor([{overlaps} for i in ({shifts})]).mean() + 0.01",
    )
    notes = judge("audit-split", load("audit-split", source)).notes
    (told,) = [note for word, note in notes if word == "wrong"]
    assert told.startswith('"pairs exchanged": The mean over the items of both data sets is')


def test_slices_of_both_sets_looked_at_together_are_told() -> None:
    source = ANSWER.replace(_OF_SLICE, "").replace(
        "    for part in sets:\n",
        "    values = torch.stack([*sets[0], *sets[1]])\n"
        "    values = values[values.isfinite()]\n"
        "    if abs(values.min() + 1) > 0.05 or abs(values.max() - 1) > 0.05:\n"
        '        problems.add("another scale")\n'
        "    for part in sets:\n",
    )
    notes = judge("audit-split", load("audit-split", source)).notes
    (told,) = [note for word, note in notes if word == "wrong"]
    assert told.startswith('"another scale": All slices of both sets are looked at together')


def test_of_one_name_alone_both_readings_of_pairs_are_told_apart() -> None:
    overlaps = "overlaps = [head_overlap(t1, t2) for t1, t2 in part]"
    source = ANSWER.replace(
        overlaps, "overlaps = [head_overlap(t1, t2) for p in sets for t1, t2 in p]"
    ).replace("/ len(part) < 0.955", "/ len(overlaps) < 0.955")
    source = source.replace("return problems", "return set(sorted(problems)[:1])")
    notes = judge("audit-split", load("audit-split", source)).notes
    told = [note for word, note in notes if word == "wrong"]
    assert told[0].startswith("Your function never returns more than one name")
    assert told[1].startswith('"pairs exchanged": Both data sets are looked at together')
    assert len(told) == 2


_COPIES = """    for a in sets[0]:
        for b in sets[1]:
            if torch.equal(a, b):
                problems.add("subject on both sides")
            if torch.equal(a.flip(1), b):
                problems.add("mirrored copy on both sides")
"""
_EACH = "    for a in sets[0]:\n        for b in sets[1]:\n"
_PLACES = "Each training item is compared only with the test items"
_TWO_KINDS = "Of the two kinds of copies only the one that is found first is named."
_ONE_TURNED = "Items of which the T1-w slice is mirrored"


@pytest.mark.parametrize(
    ("copies", "text"),
    [
        (
            "    for a, b in ((a, b) for a in sets[0] for b in sets[1]):\n"
            "        if torch.equal(a, b) or torch.equal(a.flip(1), b):\n"
            "            mirrored = not torch.equal(a, b)\n"
            '            problems.add(("subject", "mirrored copy")[mirrored] + " on both sides")\n'
            "            break\n",
            _TWO_KINDS,
        ),
        *(
            (
                _COPIES.replace(
                    _EACH,
                    f"    for i, a in enumerate(sets[0]):\n        for b in sets[1][{of}]:\n",
                ),
                f"{_PLACES} {where}. Asked for:",
            )
            for of, where in {
                "i:": "at its own place in the set and behind it",
                "i + 1:": "behind its own place in the set",
                ": i + 1": "at its own place in the set and before it",
                ":i": "before its own place in the set",
            }.items()
        ),
        (_COPIES.replace("in sets[0]", "in sets[0][:-1]"), "The last item of the training set is"),
        (_COPIES.replace("a.flip(1), b", "a[0].flip(0), b[0]) and torch.equal(a[1], b[1]"),
         f"{_ONE_TURNED} and the T2-w slice as it is are named, and no mirrored ones."),
        (_COPIES.replace("a.flip(1), b", "a[0], b[0]) and torch.equal(a[1].flip(0), b[1]"),
         "Items of which the T1-w slice is as it is and the T2-w slice mirrored are named, and no "
         "mirrored ones."),
        (_COPIES.replace("a.flip(1), b", "a[0].flip(0), b[0]) and torch.equal(a[1].flip(1), b[1]"),
         f"{_ONE_TURNED} and the T2-w slice upside down are named, and no mirrored ones."),
        (_COPIES.replace("a, b)", "a[0], b[0]) and torch.equal(a[1].flip(0), b[1])"),
         "Items of which the T1-w slice is as it is and the T2-w slice mirrored are named, and no "
         "others."),
    ],
)  # fmt: skip
def test_copies_that_are_not_found(copies: str, text: str) -> None:
    assert _COPIES in ANSWER
    notes = judge("audit-split", load("audit-split", ANSWER.replace(_COPIES, copies))).notes
    told = [note.partition(": ")[2] for word, note in notes if word == "wrong"]
    assert told
    assert all(note.startswith(text) for note in told)


@pytest.mark.parametrize("is_shown", [True, False])
def test_that_nan_hides_copies_is_told_only_where_a_copy_shows_it(is_shown: bool) -> None:
    alike = "torch.stack([(a.flip(1) - x).abs().mean() for x in sets[1]]).min() < 0.003"
    source = ANSWER.replace("torch.equal(a.flip(1), b)", alike)
    if not is_shown:
        source = source.replace("    for a in", "    assert len(sets[1]) != 4\n    for a in")
    notes = judge("audit-split", load("audit-split", source)).notes
    assert is_shown == any("A value NaN in any test item" in text for _, text in notes)
