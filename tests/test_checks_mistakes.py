from typing import Any

from labhelpers.checks.mistakes import known_mistakes

ITEMS = {
    "value": {"weight": 1},
    "gradient": {"weight": 1, "needs": ["value"]},
    "form": {"weight": 1},
}
REFERENCE = {"value": {"a": 1, "b": 2}, "gradient": {"a": 10}, "form": {"a": "tensor"}}


def stored(
    marks: dict, differs: dict | None = None, clues: dict | None = None, way: str = ""
) -> dict[str, Any]:
    return {way: [{"marks": marks, "differs": differs or {}, "clues": clues or {}}]}


def run(**observed: dict) -> dict[str, Any]:
    return {"observed": REFERENCE | observed, "errors": {}, "traces": {}, "tolerance": 1e-4}


def recognised(mistakes: dict[str, Any], *runs: dict, accepted: dict | None = None) -> list[str]:
    numbers = {"reference": REFERENCE, "accepted": accepted or {}, "mistakes": mistakes}
    return [match.mistake for match in known_mistakes(ITEMS, numbers, list(runs))]


DOUBLED = stored({"value": {"a": 2, "b": 4}})
NUMBER = stored({"form": {"a": "float"}})


def test_what_a_mistake_changes_and_nothing_else_is_that_mistake() -> None:
    seen = run(value={"a": 2, "b": 4})
    assert recognised({"doubled": DOUBLED, "number": NUMBER}, seen) == ["doubled"]


def test_what_follows_from_a_failure_is_not_looked_at() -> None:
    seen = run(value={"a": 2, "b": 4}, gradient={"a": 77})
    assert recognised({"doubled": DOUBLED}, seen) == ["doubled"]


def test_another_value_is_not_recognised() -> None:
    assert recognised({"doubled": DOUBLED}, run(value={"a": 2, "b": 5})) == []
    assert recognised({"doubled": DOUBLED}, run(value={"a": 2})) == []


def test_two_mistakes_at_once_are_both_told_the_larger_one_first() -> None:
    seen = run(value={"a": 2, "b": 4}, form={"a": "float"})
    assert recognised({"number": NUMBER, "doubled": DOUBLED}, seen) == ["doubled", "number"]


def test_a_mistake_that_explains_all_is_preferred_to_its_parts() -> None:
    both = stored({"value": {"a": 2, "b": 4}, "form": {"a": "float"}})
    seen = run(value={"a": 2, "b": 4}, form={"a": "float"})
    assert recognised({"number": NUMBER, "doubled": DOUBLED, "both": both}, seen) == ["both"]


def test_mistakes_with_the_same_marks_are_told_apart_by_what_differs() -> None:
    mistakes = {
        name: stored({"value": {"a": 2, "b": 4}}, differs={"clue-order": {"a": name}})
        for name in ("first", "second")
    }
    same = {"value": {"a": 2, "b": 4}}
    assert recognised(mistakes, run(**same, **{"clue-order": {"a": "second"}})) == ["second"]
    assert recognised(mistakes, run(**same, **{"clue-order": {"a": "third"}})) == []


def test_a_part_is_explained_only_if_the_clues_agree() -> None:
    doubled = stored({"value": {"a": 2, "b": 4}}, clues={"clue-steps": {"a": "two"}})
    seen = {"value": {"a": 2, "b": 4}, "form": {"a": "list"}}
    assert recognised({"doubled": doubled}, run(**seen, **{"clue-steps": {"a": "two"}})) == [
        "doubled"
    ]
    assert recognised({"doubled": doubled}, run(**seen, **{"clue-steps": {"a": "one"}})) == []
    whole = run(value={"a": 2, "b": 4}, **{"clue-steps": {"a": "one"}})
    assert recognised({"doubled": doubled}, whole) == ["doubled"]


def test_an_error_is_a_mark_and_a_mere_absence_is_none() -> None:
    stopped = stored({"value": {"b": None}, "error": {"b": "RuntimeError: too wide"}})
    silent = stored({"value": {"b": None}})
    seen = run(value={"a": 1}, error={"b": "RuntimeError: too wide"})
    assert recognised({"silent": silent, "stopped": stopped}, seen) == ["stopped"]
    other = run(value={"a": 1}, error={"b": "TypeError: not a tensor"})
    assert recognised({"silent": silent, "stopped": stopped}, other) == []


def test_a_mistake_in_another_accepted_way_is_the_same_mistake() -> None:
    way = {"other": {"value": {"b": 3}}}
    doubled = DOUBLED | stored({"value": {"a": 2, "b": 6}}, way="other")
    assert recognised({"doubled": doubled}, run(value={"a": 2, "b": 6}), accepted=way) == [
        "doubled"
    ]


def test_the_run_that_explains_most_counts() -> None:
    unclear = run(value={"a": 5, "b": 5})
    clear = run(value={"a": 2, "b": 4})
    assert recognised({"doubled": DOUBLED}, unclear, clear) == ["doubled"]


def test_a_mistake_can_be_made_in_several_ways() -> None:
    doubled = {"": [*DOUBLED[""], *stored({"value": {"a": 3, "b": 3}})[""]]}
    assert recognised({"doubled": doubled}, run(value={"a": 3, "b": 3})) == ["doubled"]
