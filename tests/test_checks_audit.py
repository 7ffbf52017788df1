"""The pairs of data sets that audits are tried on: what is wrong with them is beyond doubt."""

from collections import Counter
from itertools import product

import pytest
import torch
from checking import HIDDEN

from labhelpers.anatomy import head_overlap, middle_grey
from labhelpers.checks.cases import Setting, public_part
from labhelpers.checks.explanations.audit import audit_split
from labhelpers.checks.probes import audit
from labhelpers.checks.probes.planted import PROBLEMS, Pair, planted_pairs
from labhelpers.checks.records import Run


def pairs(series: int) -> list[Pair]:
    return planted_pairs(Setting(series).secret_seed(audit._SEED))


def overlap(part: torch.Tensor) -> float:
    return sum(head_overlap(t1, t2) for t1, t2 in part) / len(part)


def test_each_problem_is_there_alone_and_beside_others_and_nine_pairs_are_sound():
    counts = Counter(item for pair in pairs(0) for item in pair.planted)
    assert counts == {
        "subject": 4, "mirrored": 6, "pairs": 5, "modalities": 7, "scale": 8, "finite": 6
    }  # fmt: skip
    assert Counter(len(pair.planted) for pair in pairs(0)) == {0: 9, 1: 6, 2: 15}


@pytest.mark.parametrize("series", [0, HIDDEN])
def test_problems_are_on_the_side_of_every_threshold_that_the_statement_gives(series: int):
    extreme_greys = 0
    for pair in pairs(series):
        parts = (pair.train, pair.test)
        others = product(pair.train, pair.test)
        assert any(torch.equal(a, b) for a, b in others) == ("subject" in pair.planted)
        others = product(pair.train, pair.test)
        mirrored = any(torch.equal(a.flip(1), b) for a, b in others)
        assert mirrored == ("mirrored" in pair.planted)
        # As the slices of IXI: 0.965 for right pairs, 0.945 for wrong ones.
        assert (min(map(overlap, parts)) < 0.95) == ("pairs" in pair.planted)
        assert "pairs" in pair.planted or 0.96 < min(map(overlap, parts)) < 0.972
        assert min(map(overlap, parts)) > 0.935
        greys = [middle_grey(t1) - middle_grey(t2) for part in parts for t1, t2 in part]
        assert (min(greys) < -0.15) == ("modalities" in pair.planted)
        assert min(abs(grey) for grey in greys) > 0.15
        if "modalities" not in pair.planted:
            t1, t2 = ([middle_grey(item[k]) for part in parts for item in part] for k in (0, 1))
            assert min(t1) > 0.64
            assert max(t2) < 0.53
            extreme_greys += min(t1) < 0.72 and max(t2) > 0.45
        both = torch.cat(parts).flatten(0, 1)
        assert both.isfinite().all() == ("finite" not in pair.planted)
        ends = [image[image.isfinite()].aminmax() for image in both]
        off = [max(abs(low + 1), abs(high - 1)) for low, high in ends]
        assert (max(off) > 0.065) == ("scale" in pair.planted)
        assert all(x < 0.035 or x > 0.065 for x in off)
    assert extreme_greys > 15


@pytest.mark.parametrize("series", [0, HIDDEN])
def test_it_takes_a_margin_to_tell_wrong_pairs_from_right_ones(series: int):
    gaps: dict[bool, list[float]] = {True: [], False: []}
    for pair in pairs(series):
        of_parts = [
            overlap(part) - overlap(torch.stack((part[:, 0], part[:, 1].roll(-shift, 0)), dim=1))
            for part in (pair.train, pair.test)
            for shift in (1, len(part) // 2)
        ]
        gaps["pairs" in pair.planted].append(min(of_parts))
    assert min(gaps[False]) > 0.0115
    assert 0 < max(gaps[True]) < 0.0085


@pytest.mark.parametrize("series", [0, HIDDEN])
def test_what_looks_like_a_problem_is_there(series: int):
    sound = [pair for pair in pairs(series) if not pair.planted]
    first = [(a, b) for pair in sound for a, b in product(pair.train, pair.test)]
    for one in (first, [(a.flip(1), b) for a, b in first]):
        differences = [(a - b).abs() for a, b in one]
        assert any(0 < x.max() < 0.011 for x in differences)  # a little everywhere
        for contrast in (0, 1):
            assert any(x[contrast].max() == 0 and x.max() > 0.2 for x in differences)
        assert any(
            0 < x.mean() < 0.005 and min(x[0].max(), x[1].max()) > 0.2 and x[:, 32].max() == 0
            for x in differences
        )
    assert any(torch.equal(a.flip(2), b) for a, b in first)  # upside down
    assert any(torch.equal(a.flip((1, 2)), b) for a, b in first)
    overlaps = [head_overlap(t1, t2) for pair in sound for t1, t2 in pair.train]
    assert min(overlaps) < 0.85


def test_only_the_whole_series_tells_where_the_problems_are():
    known, whole = pairs(public_part(HIDDEN)), pairs(HIDDEN)
    assert [pair.planted for pair in known] != [pair.planted for pair in whole]
    assert not torch.equal(known[0].train, whole[0].train)


def test_the_file_holds_the_data_sets_and_not_what_is_wrong(tmp_path):
    setting = Setting(HIDDEN)
    audit.write_pairs(tmp_path, setting)
    (file,) = tmp_path.iterdir()
    assert not any(name.encode() in file.read_bytes() for name in PROBLEMS.values())
    read = audit._sides(Setting(public_part(HIDDEN), folder=tmp_path))
    for pair, (train, test) in zip(pairs(HIDDEN), read, strict=True):
        assert torch.allclose(pair.train, train, equal_nan=True)
        assert torch.allclose(pair.test, test, equal_nan=True)


def explained(item: str, names_pair) -> str:
    """Return what is told of an item if `names_pair` decides where it is named."""
    some = pairs(0)
    codes = [audit._NAMED if names_pair(pair) else audit._SILENT for pair in some]
    return audit._explained(item, codes, some, [[] for _ in some])


def told_of(pair: Pair) -> str:
    return " ".join(plant.told for plant in pair.plants)


def test_what_misses_have_in_common_is_told():
    assert explained("finite", lambda pair: "finite" in pair.planted) == audit._RIGHT
    only_nan = explained("finite", lambda pair: "value nan" in told_of(pair))
    assert only_nan == (
        "missed in 4 of the 6 pairs of data sets that have it: wherever a value is infinite"
    )
    training = explained(
        "modalities",
        lambda pair: any(
            p.item == "modalities" and "in the training set" in p.places for p in pair.plants
        ),
    )
    assert training.endswith("wherever it is in the test set")
    never = explained("scale", lambda pair: False)
    assert never == "missed in 8 of the 8 pairs of data sets that have it"


def test_what_false_alarms_have_in_common_is_told():
    nan = explained("scale", lambda pair: pair.planted & {"scale", "finite"})
    assert "that do not have it: wherever a value is not finite" in nan
    alike = explained(
        "subject",
        lambda pair: "subject" in pair.planted or "two items of which only" in told_of(pair),
    )
    assert alike == (
        "named in 2 of the 26 pairs of data sets that do not have it: wherever two items are much "
        "alike and one of the two slices agrees"
    )
    always = explained("pairs", lambda pair: True)
    assert always == (
        "named in 25 of the 25 pairs of data sets that do not have it, also the one to which "
        "nothing was done"
    )


def test_what_a_few_of_many_misses_share_is_not_told_as_a_reason():
    assert audit._by_chance(3, 3, 7) < audit._CHANCE < audit._by_chance(2, 3, 7)


def test_pairs_that_are_missed_in_one_set_only_are_told_by_that():
    both = explained("pairs", lambda pair: "in both sets" in str(pair.plants))
    assert both.endswith("wherever it is in one of the two sets only")


def test_each_wrong_name_is_told():
    some = pairs(0)
    wrong = {"subject": "same subject on both sides", "finite": "not finite"}
    found = [[wrong.get(item, PROBLEMS[item]) for item in sorted(pair.planted)] for pair in some]
    told = audit._result(["a set"] * len(some), found, some)
    assert all(repr(name) in told for name in wrong.values())
    for item, name in wrong.items():
        codes = [audit._code(item, PROBLEMS[item], *x) for x in zip(some, found, strict=True)]
        assert audit._explained(item, codes, some, found).endswith(f"the result holds {name!r}")


def test_an_audit_that_ends_with_the_first_problem_is_told_so():
    order = ("subject", "mirrored", "finite", "scale", "modalities", "pairs")

    def runs(n_names: int) -> list[Run]:
        names = [
            [PROBLEMS[item] for item in order if item in pair.planted][:n_names]
            for pair in pairs(0)
        ]
        observed = {audit._RAW_NAMES: {audit._label(k): found for k, found in enumerate(names)}}
        return [Run(observed=observed, errors={}, traces={}, tolerance=0.0)]

    told = audit_split(None, runs(1))
    assert told and told["notes"][0][1].startswith("Your function never returns more than one name")
    assert {*told["items"]} == {*PROBLEMS} - {order[0]}
    assert audit_split(None, runs(2)) is None
    assert audit_split(None, runs(0)) is None
