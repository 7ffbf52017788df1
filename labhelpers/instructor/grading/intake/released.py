"""By what words the notebooks that the gradebook knows are recognised."""

from nbgrader.apps import NbGraderAPI

from labhelpers.instructor.course.nbgrader import CourseError
from labhelpers.instructor.grading.repair.authority import read_release
from labhelpers.repair.recognise import Traits, traits_of

__all__ = ["read_traits"]


def read_traits(course: NbGraderAPI, assignment: str) -> dict[str, Traits]:
    """Return by which words the notebook of each released assignment can be recognised.

    Raises:
        CourseError: If `assignment` is not among those that the gradebook holds.
    """
    with course.gradebook as gradebook:
        names = sorted(one.name for one in gradebook.assignments if one.notebooks)
    if assignment not in names:
        known = f"choose one of {', '.join(names)}" if names else "nothing was released yet"
        raise CourseError(
            f"There is no released assignment {assignment!r}: {known}. `labhelpers release` makes "
            "the student version, by which submissions are recognised."
        )
    return traits_of({name: read_release(course, name).notebook for name in names})
