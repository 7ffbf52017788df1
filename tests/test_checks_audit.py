"""The pairs of data sets that audits are tried on: what is wrong with them is beyond doubt."""

from collections import Counter
from itertools import product

import pytest
import torch
from checking import HIDDEN

from labhelpers.anatomy import head_overlap, middle_grey
from labhelpers.checks.cases import Setting, public_part
from labhelpers.checks.probes import audit


def pairs(series: int) -> list[audit._Pair]:
    return audit._pairs(Setting(series).secret_seed(audit._SEED))


def overlap(part: torch.Tensor) -> float:
    return sum(head_overlap(t1, t2) for t1, t2 in part) / len(part)


def test_each_problem_is_there_alone_and_beside_two_others_and_four_pairs_are_sound():
    counts = Counter(item for pair in pairs(0) for item in pair.planted)
    assert counts == {**dict.fromkeys(audit._PROBLEMS, 3), "scale": 4}
    assert Counter(len(pair.planted) for pair in pairs(0)) == {0: 4, 1: 7, 2: 6}


@pytest.mark.parametrize("series", [0, HIDDEN])
def test_problems_are_far_from_every_threshold(series: int):
    for pair in pairs(series):
        parts = (pair.train, pair.test)
        others = product(pair.train, pair.test)
        assert any(torch.equal(a, b) for a, b in others) == ("subject" in pair.planted), pair.told
        others = product(pair.train, pair.test)
        mirrored = any(torch.equal(a.flip(1), b) for a, b in others)
        assert mirrored == ("mirrored" in pair.planted), pair.told
        assert (min(map(overlap, parts)) < 0.8) == ("pairs" in pair.planted)
        assert "pairs" in pair.planted or min(map(overlap, parts)) > 0.955
        greys = [middle_grey(t1) - middle_grey(t2) for part in parts for t1, t2 in part]
        assert (min(greys) < -0.2) == ("modalities" in pair.planted)
        assert min(abs(grey) for grey in greys) > 0.2
        both = torch.cat(parts).flatten(0, 1)
        assert both.isfinite().all() == ("finite" not in pair.planted)
        ends = [image[image.isfinite()].aminmax() for image in both]
        off = [max(abs(low + 1), abs(high - 1)) for low, high in ends]
        assert (max(off) >= 0.5) == ("scale" in pair.planted)
        assert all(x == 0 or x >= 0.5 for x in off)


def test_only_the_whole_series_tells_where_the_problems_are():
    known, whole = pairs(public_part(HIDDEN)), pairs(HIDDEN)
    assert [pair.planted for pair in known] != [pair.planted for pair in whole]
    assert not torch.equal(known[0].train, whole[0].train)


def test_the_file_holds_the_data_sets_and_not_what_is_wrong(tmp_path):
    setting = Setting(HIDDEN)
    audit.write_pairs(tmp_path, setting)
    (file,) = tmp_path.iterdir()
    assert not any(name.encode() in file.read_bytes() for name in audit._PROBLEMS.values())
    read = audit._sides(Setting(public_part(HIDDEN), folder=tmp_path))
    for pair, (train, test) in zip(pairs(HIDDEN), read, strict=True):
        assert torch.allclose(pair.train, train, equal_nan=True)
        assert torch.allclose(pair.test, test, equal_nan=True)
