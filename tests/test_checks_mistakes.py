"""How known mistakes are recognised, where no answer of the tests shows it."""

from typing import Any

from labhelpers.checks.mistakes import known_mistakes

ITEMS = {
    "value": {"weight": 1},
    "gradient": {"weight": 1, "needs": ["value"]},
    "form": {"weight": 1},
}
REFERENCE = {"value": {"a": 1, "b": 2}, "gradient": {"a": 10}, "form": {"a": "tensor"}}


def stored(marks: dict, way: str = "") -> dict[str, Any]:
    return {way: [{"marks": marks, "differs": {}, "clues": {}}]}


def run(**observed: dict) -> dict[str, Any]:
    return {"observed": REFERENCE | observed, "errors": {}, "traces": {}, "tolerance": 1e-4}


def recognised(mistakes: dict[str, Any], *runs: dict, accepted: dict | None = None) -> list[str]:
    numbers = {"reference": REFERENCE, "accepted": accepted or {}, "mistakes": mistakes}
    return [match.mistake for match in known_mistakes(ITEMS, numbers, list(runs))]


DOUBLED = stored({"value": {"a": 2, "b": 4}})


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
