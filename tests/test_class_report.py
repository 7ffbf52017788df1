import random
import re

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from nbgrader.api import Gradebook

from labhelpers.instructor.authoring.edits import read_concepts
from labhelpers.instructor.course.nbgrader import CourseError, open_course
from labhelpers.instructor.grading.ledger import write_trace
from labhelpers.instructor.grading.pages import class_report
from labhelpers.instructor.grading.pages.class_report import class_facts, render, write_class_report
from labhelpers.instructor.grading.pages.similar import alike_answers, anonymous, vocabulary
from labhelpers.instructor.sources import read_solutions

EXERCISES = {"generator-unet": 5.0, "generator-step": 3.0}
SOLUTIONS = {name: read_solutions()[name].source for name in EXERCISES}
KNOWN = vocabulary(SOLUTIONS.values())
MISTAKE = "generator-unet", "no-skips"

OWN = '''
class GeneratorUNet(nn.Module):
    """Written by Ann Example, 4711."""

    def __init__(self):
        super().__init__()
        # Ann's stupidly long contracting staircase
        self.staircase_ann = nn.Sequential(nn.Conv2d(1, 64, 4), nn.ReLU())
        self.password = "correct horse"
        self.seed = 20261126

    def forward(self, x):
        return self.staircase_ann(x)
'''


def cell(exercise, status="right", mistakes=(), failed=(), flag=""):
    points = EXERCISES[exercise]
    score = {"right": points, "partly": points / 2}.get(status, 0.0)
    about = {"cell": f"check-{exercise}", "exercise": exercise, "points": points, "score": score}
    return about | {"status": status, "mistakes": mistakes, "failed": failed, "flag": flag}


def trace(student, cells, **changes):
    about = {"student": student, "assignment": "2-generator", "series": 1, "key": "k"}
    about |= {"graded_at": "2026-11-26T19:00:00+00:00", "version": "1.0", "sandboxed": True}
    about |= {"repairs": [], "events": [], "flags": [], "cells": cells}
    return about | {"seconds": {"start": 0.5, "cells": 3.0, "total": 4.0}} | changes


def scores_of(traces):
    rows = {}
    for one in traces:
        for entry in one["cells"]:
            rows[one["student"], entry["cell"]] = entry["score"], entry["points"], False, False
        rows[one["student"], "written"] = 0.0, 2.0, True, one["student"] != "ann"
    index = pd.MultiIndex.from_tuples(rows, names=["student", "cell"])
    columns = ["score", "max_score", "written", "needs_manual_grade"]
    return pd.DataFrame([*rows.values()], index, columns)


def a_class(size, seed=0):
    """Traces and answers of a class: most right, some wrong, some who stopped, some to look at."""
    chance = random.Random(seed)
    traces, answers = [], {name: {} for name in EXERCISES}
    for number in range(size):
        student = f"student-{number:02d}"
        first = chance.choice(["right"] * 5 + ["partly"] * 3 + ["wrong"] * 2)
        second = chance.choice(["right"] * 4 + ["wrong", "not attempted", "not attempted"])
        mistakes = [MISTAKE[1]] if first == "partly" else []
        failed = ["parameters"] if first == "wrong" else []
        cells = [cell("generator-unet", first, mistakes, failed), cell("generator-step", second)]
        seconds = {"start": 0.6, "cells": chance.uniform(2, 40), "total": 0}
        seconds["total"] = seconds["start"] + seconds["cells"]
        traces.append(trace(student, cells, seconds=seconds))
        answers["generator-unet"][student] = OWN.replace("staircase", f"staircase_{number}")
    return traces, answers


def facts_of(traces, answers=None, handed_in=()):
    return class_facts(
        "2-generator",
        traces,
        scores_of(traces),
        answers or {},
        SOLUTIONS,
        KNOWN,
        set(handed_in) or {one["student"] for one in traces},
    )


def page_of(*args, **options):
    page = render(facts_of(*args, **options))
    assert "<script" not in page
    return page


def test_points_and_where_students_stopped():
    full = [cell("generator-unet"), cell("generator-step")]
    stopped = [cell("generator-unet", "partly"), cell("generator-step", "not attempted")]
    nothing = [cell(name, "not attempted") for name in EXERCISES]
    died = [cell("generator-unet"), cell("generator-step", "not run")]
    traces = [trace(*one) for one in zip("abcd", (full, stopped, nothing, died), strict=True)]
    facts = facts_of(traces, handed_in={*"abcde"})
    assert facts["submissions"] == 4 and facts["not_graded"] == ["e"]
    assert facts["most"] == 10 and facts["mean"] == (8 + 2.5 + 0 + 5) / 4
    assert [bin["count"] for bin in facts["points"]] == [1, 0, 1, 0, 0, 1, 0, 0, 1, 0]
    unet, step = facts["exercises"]
    assert (unet["stopped"], step["stopped"]) == (1, 2)
    assert dict(unet["parts"])["right"] == 0.5 and step["counts"]["not run"] == 1
    assert facts["waiting"] == 4


def test_full_marks_are_in_the_last_bin():
    bins = class_report._histogram([0.0, 4.0, 4.0], 4.0)
    assert (bins[0]["count"], bins[-1]["count"]) == (1, 2)


def test_a_mistake_is_named_by_its_concept_with_an_example_of_three_or_more():
    wrong = [cell("generator-unet", "wrong", [MISTAKE[1]]), cell("generator-step")]
    traces = [trace(name, wrong) for name in ("ann", "bob", "eve")]
    answers = {"generator-unet": {name: OWN for name in ("ann", "bob", "eve")}}
    (row,) = facts_of(traces, answers)["mistakes"]
    assert row["count"] == 3 and row["concept"] == read_concepts(MISTAKE[0])[MISTAKE[1]]
    assert "class GeneratorUNet" in row["example"]
    wrong[0]["mistakes"] = ["no-longer-known"]
    (row,) = facts_of(traces[:2], answers)["mistakes"]
    assert row["concept"] == "no longer known"
    assert row["count"] == 2 and row["example"] is None


def test_an_example_names_nobody():
    code = anonymous(OWN, KNOWN)
    assert not re.search(r"ann|example|4711|stair|horse|password|2026", code, re.IGNORECASE)
    assert "nn.Sequential(nn.Conv2d(1, 64, 4), nn.ReLU())" in code
    assert "return self.name_" in code
    assert anonymous("def f(:", KNOWN) is None


def test_only_copied_answers_are_alike():
    def groups(answers):
        found = alike_answers("generator-unet", answers, SOLUTIONS["generator-unet"], KNOWN)
        return [(one.students, one.reason.split()[1]) for one in found]

    solution = SOLUTIONS["generator-unet"]
    assert groups({name: solution for name in "abc"}) == []
    assert groups({name: "def f(x):\n    return x + 1" for name in "abc"}) == []
    spaced = OWN.replace("    ", "  ").replace("nn.ReLU()", "nn.Tanh()")
    assert groups({"a": OWN, "b": spaced, "c": solution}) == [(("a", "b"), "same")]
    assert groups({name: OWN for name in "abcdefgh"}) == []  # handed out by somebody, it seems

    def unusual(name):
        body = "".join(
            f"    {name} = {name} * {n} - {name} ** {n} if x else [x]\n" for n in range(9)
        )
        return f"def f(x):\n    {name} = x\n{body}    return {name}"

    assert groups({"a": unusual("p"), "b": unusual("q"), "c": OWN}) == [(("a", "b"), "same")]


def test_what_a_person_should_look_at():
    void = [cell("generator-unet", "void", flag="check-generator-unet: no record")]
    traces = [
        trace("ann", void, flags=["check-generator-unet: no record", "Another notebook."]),
        trace("bob", [cell("generator-unet")], events=["The kernel died in cell 5."]),
        trace("<b>eve</b>", [cell("generator-unet")], repairs=["Cell 3 was there twice."]),
        trace("joe", [cell("generator-unet")], sandboxed=False),
        trace("unknown-Kim", [cell("generator-unet")]),
    ]
    page = page_of(traces, {"generator-unet": {"bob": OWN, "joe": OWN}}, handed_in={"zoe", "ann"})
    soup = BeautifulSoup(page, "html.parser")
    assert "without the sandbox: 1 of 5" in " ".join(soup.find(class_="warning").text.split())
    assert "Handed in, not graded: zoe" in soup.text
    sections = {h3["id"]: h3.find_next("ul").text.strip() for h3 in soup.find_all("h3")}
    flags, nobodys = sections["flags"].split("\n", 1)
    assert flags == "ann: Another notebook."
    assert nobodys.strip().startswith("unknown-Kim: Nobody knows whose this is.")
    assert sections == {
        "flags": sections["flags"],
        "void": "ann: check-generator-unet: no record",
        "events": "bob: The kernel died in cell 5.",
        "alike": sections["alike"],
        "repairs": "<b>eve</b>: Cell 3 was there twice.",
    }
    assert re.search(
        r"bob: generator-unet: the same names and comments .* as joe", sections["alike"]
    )
    link = soup.find("h3", id="repairs").find_next("a")["href"]
    assert link == "../feedback/%3Cb%3Eeve%3C/b%3E/2-generator/2-generator.html"


@pytest.mark.parametrize("size", [1, 3, 60])
def test_a_page_of_any_class(size):
    page = page_of(*a_class(size))
    assert f"{size} submission" in page
    assert not re.search(r"password|correct horse|4711", page)


@pytest.mark.filterwarnings("ignore:Object of type <Submitted")  # nbgrader's own
def test_the_page_is_written_from_what_was_graded(toy_course):
    with pytest.raises(CourseError, match="labhelpers grade toy"):
        write_class_report("toy", toy_course)
    url = open_course(toy_course).coursedir.db_url
    with Gradebook(url) as gradebook:
        gradebook.update_or_create_student("ann")
        gradebook.update_or_create_submission("toy", "ann")
    test = {"cell": "check-double", "exercise": None, "points": 2.0, "score": 0.0}
    test |= {"status": "wrong", "mistakes": [], "failed": [], "flag": ""}
    write_trace(url, trace("ann", [test], assignment="toy"))
    path = write_class_report("toy", toy_course)
    assert path == toy_course / "build" / "report" / "toy.html"
    page = path.read_text(encoding="utf-8")
    assert "double" in page and "1 submission graded" in page
    with pytest.raises(CourseError, match="choose one of toy"):
        write_class_report("nothing", toy_course)
