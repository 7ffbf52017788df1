"""What honest submissions get that are damaged or careless: all points of what was answered."""

import pytest
from submissions import ALL_POINTS, grade, submit
from submissions.damaged import DAMAGED

SUBMISSIONS = (DAMAGED, 3)  # of which without `--all-submissions` every third is graded


def test_there_are_many_kinds():
    assert len({submission.name for submission in DAMAGED}) == len(DAMAGED) >= 138


@pytest.mark.slow
def test_a_damaged_submission_gets_what_it_deserves(small_course, submission):
    submit(submission, small_course)
    graded = grade(small_course, submission.name)
    assert graded.points == dict.fromkeys(ALL_POINTS, 0.0) | dict(submission.points)
    if submission.flag is not None:
        assert bool(graded.flags) is submission.flag, graded.flags
