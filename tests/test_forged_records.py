"""Records that were not made by an answer: they earn nothing, and nothing breaks.

Code of a student runs in the process that makes the record, so it may hand over any JSON. What it
can know is the package of the students, with the numbers of the visible check, and the series.
"""

import copy
import json
import math
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from checking import HIDDEN, LIMIT, answers, load, numbers

from labhelpers.checks import verdict
from labhelpers.checks.cases import Setting, public_part
from labhelpers.checks.exercises import EXERCISES
from labhelpers.checks.fingerprint import n_fractions
from labhelpers.checks.fixtures import subject_codes
from labhelpers.checks.records import TOLERANCES, Numbers, Observed, Record, read_record
from labhelpers.checks.runner import run_cases

OTHER = 77_040  # of the other parity: other sizes and weights
PLAIN = [
    True,
    False,
    "a tensor without dimensions",
    "no gradient",
    "",
    0,
    1,
    13_611_073,
    [],
    {"shape": [], "numbers": [0.0]},
    {"shape": [2], "numbers": [-1.0, 1.0]},
    {"shape": [], "numbers": [0.6931471805599453]},
    {"shape": [], "numbers": ["nan"]},
]


def record_of(exercise: str, series: int, observed: Observed, traces: dict[str, Any]) -> Record:
    run = {"observed": observed, "errors": {}, "traces": traces, "tolerance": TOLERANCES[1]}
    return {
        "exercise": exercise,
        "series": series,
        "runs": [run],
        "printed": "",
        "warnings": [],
        "explanation": None,
    }


def renamed(visible: Observed, hidden: Observed) -> Observed:
    """Visible observations under the labels that the cases of another series have."""
    return {
        name: {
            label: value
            for label, value in zip(hidden.get(name, cases), cases.values(), strict=False)
            if value is not None
        }
        for name, cases in visible.items()
    }


def plain_ones_known(replayed: Observed, right: Observed) -> Observed:
    """Whatever is no number is as it should be: the package says what is expected."""
    result = copy.deepcopy(replayed)
    for name, cases in right.items():
        for label, value in cases.items():
            if not n_fractions(value) and not name.startswith("proof-"):
                result.setdefault(name, {})[label] = value
    return result


def forgeries(exercise: str, series: int) -> Iterator[Record]:
    visible, right = numbers(exercise, 0), numbers(exercise, series)
    traces = dict(zip(right["traces"], visible["traces"].values(), strict=True))
    reference = visible["reference"]
    replayed = renamed(reference, right["reference"])
    known = plain_ones_known(replayed, right["reference"])
    for observed in (reference, replayed, known):
        yield record_of(exercise, series, observed, traces)
        yield record_of(exercise, series, observed, visible["traces"])
    yield record_of(exercise, series, known, {})
    shapes = {
        label: [{key: value for key, value in layer.items() if key != "values"} for layer in layers]
        for label, layers in right["traces"].items()
    }
    yield record_of(exercise, series, known, shapes)
    for way in visible["accepted"].values():
        yield record_of(exercise, series, known | renamed(way, right["reference"]), traces)
    for ways in visible["mistakes"].values():
        for stored in ways.get("", ()):
            marks = renamed(stored["marks"], right["reference"])
            yield record_of(exercise, series, {**known, **marks}, traces)
    for value in PLAIN:
        observed = {name: dict.fromkeys(cases, value) for name, cases in replayed.items()}
        yield record_of(exercise, series, observed, traces)
        yield record_of(exercise, series, observed | {k: known[k] for k in [*known][::2]}, traces)


def with_ranges(value: Any) -> Any:
    """Stored numbers as an honest record has them: what stands for a large tensor has its range."""
    if isinstance(value, dict) and "numbers" in value:
        is_whole = len(value["numbers"]) == math.prod(value["shape"])
        return value if is_whole else value | {"range": [-1.0, 1.0]}
    if isinstance(value, dict):
        return {key: with_ranges(entry) for key, entry in value.items()}
    return [with_ranges(entry) for entry in value] if isinstance(value, list) else value


def told(record: Record, stored: Numbers) -> verdict.Report:
    record = json.loads(json.dumps(with_ranges(record)))
    return verdict.judge(read_record(record), stored, 3.0)


@pytest.mark.parametrize(
    ("exercise", "series"),
    [(id_, HIDDEN) for id_ in EXERCISES] + [(id_, OTHER) for id_ in EXERCISES if "-loss" in id_],
)
def test_a_record_without_an_answer_earns_nothing(exercise: str, series: int) -> None:
    for record in forgeries(exercise, series):
        report = told(record, numbers(exercise, series))
        assert report.score == 0, report.text
        assert report.status == "wrong"


@pytest.mark.parametrize("exercise", ["cgan-discriminator-loss", "mean-image"])
def test_replayed_known_mistakes_earn_nothing(exercise: str) -> None:
    stored = numbers(exercise, HIDDEN, mistakes=True)
    for record in forgeries(exercise, HIDDEN):
        assert told(record, stored).score == 0


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_same_rule_holds_in_the_visible_check(exercise: str) -> None:
    """What is no number is right, every number is a little off: nothing was computed."""
    reference = numbers(exercise, 0)["reference"]
    observed = copy.deepcopy(reference)
    for name, cases in reference.items():
        for label, value in cases.items():
            if n_fractions(value) or name.startswith("proof-"):
                observed[name][label] = {"shape": [], "numbers": [0.123]}
    report = told(record_of(exercise, 0, observed, {}), numbers(exercise, 0))
    assert report.score == 0, report.text


def test_what_holds_and_does_not_count_is_shown_and_explained() -> None:
    reference = numbers("cgan-discriminator-loss", 0)["reference"]
    observed = {name: reference[name] for name in ("reaches", "fake-gradient")}
    report = told(
        record_of("cgan-discriminator-loss", 0, observed, {}), numbers("cgan-discriminator-loss", 0)
    )
    assert [item.name for item in report.items if item.outcome == "right"] == [*observed]
    assert "No points yet: none of your numbers can be judged" in report.text


def test_a_right_answer_is_worth_nothing_in_a_record_of_another_series() -> None:
    record = run_cases("generator-step", load("generator-step"), OTHER, LIMIT)
    assert told(record | {"series": HIDDEN}, numbers("generator-step", HIDDEN)).score == 0


@pytest.mark.parametrize("exercise", ["make-dataloaders", "audit-split"])
def test_answers_on_files_that_a_kernel_can_make_earn_nothing(exercise: str) -> None:
    """The solution's record on the files that follow from what a kernel knows of the series."""
    record = run_cases(exercise, load(exercise), public_part(HIDDEN), LIMIT)
    report = told(record | {"series": HIDDEN}, numbers(exercise, HIDDEN))
    assert report.score == 0, report.text


def test_a_few_guessed_codes_of_loaders_earn_nothing() -> None:
    setting = Setting(HIDDEN)
    codes = subject_codes(57, setting.secret_seed(100))[:4]
    pairs = [[[code, code] for code in codes]]
    observed = {"test-codes": {"default batch size": pairs}}
    read = EXERCISES["make-dataloaders"].read(observed, setting)
    assert read["test-batches"] == {
        "default batch size": [5, 5, 2]
    }  # the last batch may be smaller
    assert not any(True in cases.values() for cases in read.values())


@pytest.mark.parametrize("tolerance", [1e9, float("1e-2"), 0, True, "1e-4", None])
def test_a_record_does_not_choose_how_exact_it_is(tolerance: object) -> None:
    record = record_of("mean-image", HIDDEN, {}, {})
    record["runs"][0]["tolerance"] = tolerance
    with pytest.raises(ValueError, match="tolerance"):
        read_record(record)


N_DAMAGED = 200
HOSTILE = [
    None, True, -1, 2**70, 10**5000, 1e308, float("nan"), float("inf"), "", "x" * 200_000,
    "<script>alert(1)</script>", "\ud800", "\x1b[31m\0", "\u202egnp.exe", [], [[]] * 5_000, {},
    {"": {}}, {"numbers": 3}, {"numbers": [], "shape": []}, {"numbers": ["x"], "shape": [1]},
    {"shape": [1], "numbers": [1.0], "range": [0.0, 1.0]}, {"shape": "", "numbers": [0.5]},
]  # fmt: skip


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """The paths to all values in nested lists and dictionaries."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    found = [path]
    for key, entry in entries:
        if isinstance(entry, (dict, list)):
            found += places(entry, (*path, key))
        else:
            found.append((*path, key))
    return found


def damage(record: Any, random: Random) -> Any:
    """Change one thing in a record: replace, remove, repeat, nest or rename it."""
    record = copy.deepcopy(record)
    path = random.choice(places(record))
    if not path:
        return random.choice(HOSTILE)
    parent = record
    for key in path[:-1]:
        parent = parent[key]
    key = path[-1]
    kind = random.randrange(6)
    if kind == 0:
        del parent[key]
    elif kind == 1:
        parent[key] = [parent[key]] * random.choice([1, 2, 3_000])
    elif kind == 2:
        deep: Any = parent[key]
        for _ in range(random.choice([1, 4, 40])):
            deep = [deep]
        parent[key] = deep
    elif kind == 3 and isinstance(parent, dict):
        parent[random.choice(["<b>", "numbers", "", "values", "x" * 300])] = parent.pop(key)
    else:
        parent[key] = random.choice(HOSTILE)
    return record


@pytest.mark.parametrize("exercise", ["intensity-lookup", "discriminator", "cgan-step"])
def test_any_json_is_a_record_or_refused_in_a_sentence(exercise: str) -> None:
    random = Random(exercise)
    (wrong, *_) = [answer for answer in answers("wrong") if answer.exercise == exercise]
    honest = [
        run_cases(exercise, load(exercise), 0, LIMIT),
        run_cases(exercise, load(exercise, wrong.source), 0, LIMIT),
    ]
    refused = 0
    for _ in range(N_DAMAGED):
        record = random.choice(honest)
        for _ in range(random.choice([1, 1, 3])):
            record = damage(record, random)
            if not isinstance(record, (dict, list)):
                break
        try:
            record = read_record(record)
        except ValueError as error:
            refused += 1
            assert 10 < len(str(error)) < 300, error
            continue
        if record["exercise"] != exercise:  # the grader compares it with the cell
            continue
        for quotes_values in (True, False):
            report = verdict.judge(record, numbers(exercise, 0), 3.0, quotes_values)
            assert type(report.score) is float
            assert 0 <= report.score <= 3
            html = report._repr_html_()
            (html + report.text).encode()
            assert not {"<script", "<b>alert", "\x1b", "\0", "\u202e"} & {html, report.text}
            assert "<script" not in html
            assert "\x1b" not in report.text
            assert quotes_values or "alert" not in html
    assert N_DAMAGED / 4 < refused < N_DAMAGED


def test_what_is_no_dictionary_is_no_record() -> None:
    for value in HOSTILE:
        with pytest.raises(ValueError, match="Expected a record"):
            read_record(value)


def test_codes_of_loaders_may_be_anything() -> None:
    label = "default batch size"
    for value in HOSTILE:
        for raw in (value, [value], [[value]], [[[value, value]]], [[[[0, 1]], value]] * 3):
            observed = {"test-codes": {label: raw}, "train-codes": {label: raw}}
            read = EXERCISES["make-dataloaders"].read(observed, Setting(HIDDEN))
            assert not any(True in cases.values() for cases in read.values())
