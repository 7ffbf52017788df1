"""What honest submissions get that are damaged or careless: all points of what was answered."""

from submissions.damaged import DAMAGED


def test_there_are_many_kinds():
    assert len({submission.name for submission in DAMAGED}) == len(DAMAGED) >= 138
