from pathlib import Path

from labhelpers.instructor.experiments.mutations import mutants, summary, try_all
from labhelpers.instructor.sources import read_solutions

SOURCE = '''def f(a, b=2):
    """Add."""
    ### BEGIN SOLUTION
    total = a + b
    total.detach().sum(dim=1)
    return total
    ### END SOLUTION
'''


def changes(source: str) -> set[str]:
    return {mutant.change for mutant in mutants("mean-image", source)}


def test_constants_names_operations_statements_and_calls_are_changed() -> None:
    found = changes(SOURCE)
    assert "- total = a + b\n+ total = a - b" in found
    assert "- total = a + b\n+ total = b + b" in found
    assert "- total.detach().sum(dim=1)\n+ total.sum(dim=1)" in found
    assert "- total.detach().sum(dim=1)\n+ total.detach().sum()" in found
    assert "- total.detach().sum(dim=1)\n+ total.detach().sum(dim=2)" in found
    assert "- total.detach().sum(dim=1)\n+ pass" in found


def test_what_is_given_stays_as_it_is() -> None:
    assert not any("def f" in change or "Add" in change for change in changes(SOURCE))


def test_each_change_is_another_program() -> None:
    for exercise, solution in read_solutions().items():
        sources = [mutant.source for mutant in mutants(exercise, solution.source)]
        assert len({*sources}) == len(sources) > 10, exercise


def test_trials_are_kept_and_counted(tmp_path: Path) -> None:
    file = tmp_path / "mutations.jsonl"
    shown: list[str] = []
    rows = try_all(["mean-image"], file, show=shown.append)
    again = try_all(["mean-image"], file, show=shown.append)
    assert again == rows
    assert shown[-1].endswith(" 0 of them not tried yet.")
    (row,) = summary(rows)
    assert (
        row["changes"]
        == row["tried"]
        == len(rows)
        == row["refused"] + row["same"] + row["different"]
    )
    assert row["same"] == row["different"] == 0  # nothing in this line may be changed
    assert row["named"] > 0
    few = try_all(["mean-image"], file, most=3)
    assert len(few) == 3 and all(one in rows for one in few)
