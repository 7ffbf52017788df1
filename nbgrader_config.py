"""nbgrader's configuration: one assignment per notebook, generated folders under build/."""

import os
from pathlib import Path

from nbconvert.preprocessors import CSSHTMLHeaderPreprocessor
from nbgrader import preprocessors

from labhelpers.instructor.course.preprocessors import (
    AddFiles,
    FillInSetup,
    LeaveOutPreflight,
    PrepareForStudents,
    RemoveMarkers,
    RunElsewhere,
)
from labhelpers.instructor.grading.pages.feedback import FeedbackExporter
from labhelpers.instructor.grading.pages.grades_csv import GradesCsv
from labhelpers.instructor.grading.pages.outputs import (
    CleanForReaders,
    CleanOutputs,
    clean_html,
    markdown_to_html,
)
from labhelpers.instructor.grading.preprocessors import (
    ExecuteSubmission,
    JudgeSubmission,
    WriteTrace,
)
from labhelpers.instructor.grading.repair.exporter import RepairingExporter

c = get_config()
root = Path(__file__).resolve().parent
# SQLite creates the gradebook but not its folder, nbgrader files in the exchange but not its root.
(root / "build" / "exchange").mkdir(parents=True, exist_ok=True)

# Folders. Slashes on every system: nbgrader uses these names in regular expressions, too.
c.CourseDirectory.course_id = "brain-mri-synthesis"
c.CourseDirectory.root = str(root)
# In an address `%` begins the number of a letter and `?` the options.
gradebook = str(root / "build" / "gradebook.db").replace("%", "%25").replace("?", "%3F")
c.CourseDirectory.db_url = os.environ.get("LABHELPERS_DB_URL") or f"sqlite:///{gradebook}"
c.CourseDirectory.source_directory = "notebooks"
c.CourseDirectory.source_with_tests_directory = "build/source_with_tests"
c.CourseDirectory.release_directory = "build/release"
c.CourseDirectory.solution_directory = "build/solved"
c.CourseDirectory.submitted_directory = "build/submitted"
c.CourseDirectory.autograded_directory = "build/autograded"
c.CourseDirectory.feedback_directory = "build/feedback"
# What a notebook makes when it runs is neither released nor part of the feedback.
c.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", "images", "results"]
c.ExportApp.plugin_class = GradesCsv
c.ExportPlugin.to = "build/grades.csv"
c.Exchange.root = str(root / "build" / "exchange")
c.Exchange.cache = str(root / "build" / "cache")

# What a student finds in place of the solution. The checks know the error by its type; `validate`
# knows the message, too.
c.ClearSolutions.code_stub = {
    "python": '# Your code here\nraise NotImplementedError("not written yet")'
}
c.ClearSolutions.text_stub = "*Your answer here.*"

# Running the solutions.
c.Execute.timeout = 300
c.Execute.startup_timeout = 120
c.Execute.extra_arguments = [
    "--IPKernelApp.log_level=40",  # errors only: the kernel's own notices are not for graders
]
c.Execute.record_timing = False  # else no two versions would be the same
c.RunElsewhere.folder = "build/run"

c.GenerateAssignment.preprocessors = [
    preprocessors.IncludeHeaderFooter,
    FillInSetup,
    PrepareForStudents,
    preprocessors.LockCells,
    preprocessors.ClearSolutions,
    preprocessors.ClearOutput,
    preprocessors.CheckCellMetadata,
    preprocessors.ComputeChecksums,
    preprocessors.SaveCells,
    preprocessors.ClearHiddenTests,
    preprocessors.ClearMarkScheme,
    preprocessors.ComputeChecksums,
    preprocessors.CheckCellMetadata,
    AddFiles,
]
c.AddFiles.folder = "build/release"
c.GenerateSolution.preprocessors = [
    preprocessors.IncludeHeaderFooter,
    preprocessors.ClearOutput,
    preprocessors.ClearHiddenTests,
    preprocessors.ClearMarkScheme,
    FillInSetup,
    LeaveOutPreflight,
    RunElsewhere,
    preprocessors.Execute,
    RemoveMarkers,
]
# Grading. Submissions run in the sandbox; verdicts are made here, where no student's code runs.
# Where bubblewrap does not work, LABHELPERS_SANDBOX=off lets formgrader and `nbgrader autograde`
# go on without it: points are protected, files and network are not.
c.ExecuteSubmission.sandboxed = os.environ.get("LABHELPERS_SANDBOX") != "off"
c.Autograde.exporter_class = RepairingExporter
c.Autograde.autograde_preprocessors = [
    ExecuteSubmission,
    JudgeSubmission,
    preprocessors.LimitOutput,
    preprocessors.SaveAutoGrades,
    preprocessors.AssignLatePenalties,
    preprocessors.CheckCellMetadata,
    CleanOutputs,
    WriteTrace,
]
c.GenerateFeedback.preprocessors = [
    preprocessors.GetGrades,
    preprocessors.ClearHiddenTests,
    CSSHTMLHeaderPreprocessor,
]

# Pages: the feedback and the formgrader's. Nothing of what students hand in runs in a browser.
c.HTMLExporter.preprocessors = [CleanForReaders]
c.HTMLExporter.filters = {"markdown2html": markdown_to_html, "clean_html": clean_html}
c.HTMLExporter.sanitize_html = True
c.GenerateFeedback.exporter_class = FeedbackExporter
c.FeedbackExporter.appeal = (
    "Do you think that a point is missing? Write to your instructor: name the exercise, and say "
    "what your answer does."
)
