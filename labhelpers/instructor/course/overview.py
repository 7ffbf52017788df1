"""The whole course in one go: data, both versions, a run on the data, grading: `make lab`."""

from pathlib import Path

import pandas as pd

from labhelpers.data import is_simulated, list_slices
from labhelpers.download import fetch_ixi
from labhelpers.instructor.course.nbgrader import REPOSITORY, assignments
from labhelpers.instructor.course.release import build_solution, build_student
from labhelpers.instructor.course.samples import MODEL, UNTOUCHED, grade_samples
from labhelpers.instructor.grading.autograde import total_scores
from labhelpers.methods import METHODS

__all__ = ["lab_overview", "lab_table", "score_problems"]

_NEXT = """\
Where to go next
  make jupyter      the student version in JupyterLab, in a copy of your own (build/work/)
  make formgrader   grading in JupyterLab: menu Nbgrader > Formgrader; written answers wait there
  build/student.zip and build/solution.zip   to hand out before and after
  labhelpers validate --preset full          the full training, on a GPU if there is one
"""


def lab_table(seconds: dict[str, float], scores: pd.DataFrame, results: Path) -> pd.DataFrame:
    """Return one row per notebook: run time, scores of both sample submissions, key figures.

    Args:
        seconds: What `release.build_solution` returned.
        scores: What `samples.grade_samples` returned.
        results: The folder in which the solutions saved their results.
    """
    totals = total_scores(scores)
    to_read = scores["needs_manual_grade"].groupby(level=["student", "assignment"]).sum()
    rows = {}
    for name, duration in seconds.items():
        rows[name] = {
            "run time": f"{duration:.0f} s",
            "model answer": _points(totals.loc[(MODEL, name)]),
            "untouched": _points(totals.loc[(UNTOUCHED, name)]),
            "to grade by hand": int(to_read[(MODEL, name)]),
            "key figures": _key_figures(name, results),
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    figures = table["key figures"]
    table["key figures"] = figures.str.ljust(figures.str.len().max())
    return table


def _points(total: pd.Series) -> str:
    return f"{total['score']:g} of {total['max_score']:g}"


def _key_figures(notebook: str, results: Path) -> str:
    """Return what the last method of a notebook reached, as its solution saved it."""
    *_, method = (method for method in METHODS.values() if method.notebook == notebook)
    recipe = "" if method.kind == "baseline" else "-recommended"
    if not (saved := results / f"{method.id}{recipe}.csv").exists():
        return ""
    row = pd.read_csv(saved).iloc[0]
    figures = (
        f"{method.title}, test set: PSNR {row['PSNR Test set']:.2f} dB, "
        f"SSIM {row['SSIM Test set']:.3f}, MAE {row['MAE Test set']:.4f}"
    )
    return f"{figures}; {row['parameters']:,.0f} parameters" if "parameters" in row else figures


def score_problems(scores: pd.DataFrame) -> list[str]:
    """Return what is wrong with the sample submissions' scores, one sentence each.

    Args:
        scores: What `samples.grade_samples` returned.
    """
    problems = []
    for (student, assignment), total in total_scores(scores).iterrows():
        wanted = total["max_score"] if student == MODEL else 0.0
        if total["score"] != wanted:
            problems.append(
                f"{assignment}: the {student} submission gets {_points(total)} points, "
                f"not {wanted:g}."
            )
    written = scores[scores["written"]].loc[MODEL]
    for assignment, cell in written[~written["needs_manual_grade"]].index:
        problems.append(f"{assignment}: {cell} of the model answer does not wait for a person.")
    return problems


def lab_overview() -> list[str]:
    """Run everything, print the table, and return what is wrong, one sentence each.

    Raises:
        CourseError: If a notebook cannot be converted, run or graded.
        DataError: If there are no data.
    """
    data = fetch_ixi()
    simulated = is_simulated(list_slices(data))
    print("Building the student version ...", flush=True)
    build_student()
    print(f"Running {len(assignments())} solutions (preset quick) ...", flush=True)
    seconds = build_solution(preset="quick")
    print("Grading a model answer and an untouched notebook of each ...", flush=True)
    scores = grade_samples()
    table = lab_table(seconds, scores, REPOSITORY / "build" / "run" / "results")
    print(f"\nData: {'SIMULATED slices' if simulated else 'IXI slices'} in {data}\n")
    print(table.to_string(), end="\n\n")
    problems = score_problems(scores)
    if not problems:
        print(_NEXT)
    return problems
