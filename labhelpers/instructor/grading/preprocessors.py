"""Steps of our own in nbgrader's autograding: execute in the sandbox, judge, keep a trace."""

from __future__ import annotations

import nbformat
from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import is_grade, is_solution
from traitlets import Bool, Instance

import labhelpers
from labhelpers.instructor.course.nbgrader import CourseError
from labhelpers.instructor.grading import ledger
from labhelpers.instructor.grading.kernels.execute import Executed, Job, execute
from labhelpers.instructor.grading.kernels.sandbox import Limits, sandbox_problem
from labhelpers.instructor.grading.verdicts import CellTrace, score_cell

__all__ = ["ExecuteSubmission", "JudgeSubmission", "WriteTrace"]

Notebook = tuple[NotebookNode, ResourcesDict]


class ExecuteSubmission(NbGraderPreprocessor):
    """Executes the notebook in the sandbox, or takes in what a worker has executed."""

    executed = Instance(Executed, allow_none=True, help="What a worker has executed").tag(
        config=True
    )
    limits = Instance(Limits, (), help="What a notebook may use").tag(config=True)
    sandboxed = Bool(True, help="Run submissions in the sandbox").tag(config=True)
    forked = Bool(False, help="Fork kernels from one that has imported the packages").tag(
        config=True
    )

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> Notebook:
        """Return the notebook with outputs and records."""
        names = resources["nbgrader"]
        executed = self.executed
        if executed is None:
            if self.sandboxed and (problem := sandbox_problem()):
                raise CourseError(problem)
            series = ledger.series_for(names["db_url"], names["assignment"], names["student"])
            executed = execute(
                Job(
                    names["student"],
                    names["assignment"],
                    nbformat.writes(nb),
                    series,
                    self.sandboxed,
                    self.forked,
                    self.limits,
                )
            )
        resources["labhelpers"] = {"executed": executed}
        return nbformat.reads(executed.notebook, as_version=4), resources


class JudgeSubmission(NbGraderPreprocessor):
    """Gives each graded code cell its one score, in this process, which runs no student's code.

    To run after `ExecuteSubmission` and before `SaveAutoGrades`.
    """

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> Notebook:
        """Change outputs in place and return the notebook."""
        ours = resources["labhelpers"]
        ours["cells"] = [
            score_cell(cell, ours["executed"].series)
            for cell in nb.cells
            if cell.cell_type == "code" and is_grade(cell) and not is_solution(cell)
        ]
        for cell in nb.cells:
            cell.metadata.pop("labhelpers", None)
        nb.metadata.setdefault("labhelpers", {})["events"] = list(ours["executed"].events)
        return nb, resources


class WriteTrace(NbGraderPreprocessor):
    """Writes down how each point came about. To run last, when the scores are saved."""

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> Notebook:
        """Write the trace and return the notebook as it is."""
        names, ours = resources["nbgrader"], resources["labhelpers"]
        executed: Executed = ours["executed"]
        cells: list[CellTrace] = ours["cells"]
        repaired = nb.metadata.get("labhelpers", {})
        trace: ledger.Trace = {
            "student": names["student"],
            "assignment": names["assignment"],
            "series": executed.series,
            "key": "",
            "graded_at": ledger.now(),
            "version": labhelpers.__version__,
            "sandboxed": executed.sandboxed,
            "repairs": list(repaired.get("repairs", ())),
            "events": list(executed.events),
            "flags": [
                *repaired.get("flags", ()),
                *executed.flags,
                *(cell.flag for cell in cells if cell.flag),
            ],
            "seconds": executed.seconds,
            "cells": [cell.as_json() for cell in cells],
        }
        ledger.write_trace(names["db_url"], trace)
        return nb, resources
