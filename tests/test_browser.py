"""What students and graders see: the notebooks, the checks and the formgrader in a browser."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from browsing import (
    Lab,
    cell,
    lowest_contrast,
    open_browser,
    open_notebook,
    run_all,
    set_theme,
    type_and_run,
)
from nbconvert import HTMLExporter
from nbgrader.api import Gradebook
from playwright.sync_api import Browser, Page
from submissions import ASSIGNMENT, MEAN, grade

from labhelpers.instructor.course.nbgrader import open_course
from labhelpers.instructor.course.samples import hand_in
from labhelpers.instructor.course.validate import student_problem

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SMALL = f"build/student/{ASSIGNMENT}.ipynb"
THEMES = ("JupyterLab Dark", "JupyterLab Light")

FIRST_SUBJECT = """\
def mean_t2_image(dataset):
    return dataset[0]["T2"]"""
ALL_SUBJECTS = """\
def mean_t2_image(dataset):
    return torch.stack([sample["T2"] for sample in dataset]).mean(dim=0)"""

#: What a student would see, or not see, in the notebook that is open.
SURVEY = """panel => {
    const all = selector => [...panel.querySelectorAll(selector)]
    const start = e => e.textContent.trim().slice(0, 80)
    return {
        text: panel.innerText,
        errors: all('[data-mime-type$="jupyter.error"], [data-mime-type$="jupyter.stderr"]')
            .map(e => e.textContent),
        images: all('.jp-RenderedHTMLCommon img, .jp-RenderedImage img').map(e => e.alt),
        broken: all('img').filter(e => !e.complete || !e.naturalWidth).map(e => e.alt),
        formulas: all('mjx-container').length,
        wrong_formulas: all('mjx-merror').map(e => e.textContent),
        wide: all('.jp-RenderedHTMLCommon, .jp-RenderedText')
            .filter(e => e.scrollWidth > e.clientWidth + 1).map(start),
    }
}"""

SIMULATOR = """\
from labhelpers.widgets import contrast_simulator

contrast_simulator()"""

PIXELS = "canvas => canvas.toDataURL()"

#: What is wider than its place: a printer would cut it.
CUT = """() => [...document.querySelectorAll('pre, img, table, .jp-Editor')]
    .filter(e => e.scrollWidth > e.clientWidth + 1
        || e.getBoundingClientRect().right > document.documentElement.clientWidth)
    .map(e => e.textContent.trim().slice(0, 80))"""
A4 = {"width": 718, "height": 1047}  # in pixels of 1/96 inch, between margins of 1 cm


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def lab(course: Path, _small_course: Path, tmp_path_factory) -> Iterator[Lab]:
    """A server in the small course, with the student version of the whole lab in `student/`."""
    shutil.copytree(course / "build" / "student", _small_course / "student")
    lab = Lab(_small_course, tmp_path_factory.mktemp("jupyterlab"))
    yield lab
    lab.close()


@pytest.fixture
def page(browser: Browser, lab: Lab) -> Iterator[Page]:
    """A page of a small screen; it reaches the server, and nothing else."""
    context = browser.new_context(viewport={"width": 1024, "height": 768})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    context.route(lambda url: not url.startswith((lab.url, "data:", "blob:")), _abort)
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


def _abort(route):
    route.abort()


def test_a_new_student_runs_all_and_sees_nothing_broken(page, lab, name):
    panel = open_notebook(page, lab, f"student/{name}.ipynb")
    run_all(page)
    seen = panel.evaluate(SURVEY)
    assert seen["errors"] == []
    assert "Waits for" in seen["text"] or "waits for" in seen["text"]
    assert not re.search(r"model not found|Loading widget|Traceback|\$\$", seen["text"])
    assert len(seen["images"]) >= 3 and all(len(alt) > 20 for alt in seen["images"])
    assert seen["broken"] == []
    assert seen["formulas"] > 0 and seen["wrong_formulas"] == []
    assert seen["wide"] == []

    page.evaluate("jupyterapp.commands.execute('docmanager:save')")
    notebook = nbformat.read(lab.course / "student" / f"{name}.ipynb", as_version=4)
    code = [one for one in notebook.cells if one.cell_type == "code"]
    assert [told for one in code if (told := student_problem(one, one.outputs))] == []
    html, _ = HTMLExporter().from_notebook_node(notebook)
    page.emulate_media(media="print")
    page.set_viewport_size(A4)
    page.set_content(html)
    assert page.evaluate(CUT) == []
    hints = page.locator("details > :not(summary)")
    assert hints.count() > 5 and all(hint.is_visible() for hint in hints.all())


def test_a_student_reads_a_failing_check_and_then_a_passing_one(page, lab):
    panel = open_notebook(page, lab, SMALL)
    run_all(page)
    answer, check = cell(panel, "def mean_t2_image"), cell(panel, "checks.mean_image")
    report = check.locator(".jp-RenderedHTML").first
    assert "not attempted yet, 0 of 2 points" in report.inner_text()

    type_and_run(answer, FIRST_SUBJECT)
    type_and_run(check)
    report.get_by_title("wrong").first.wait_for()
    assert "mean of the T2-w slices of the first subject alone" in report.inner_text()
    for theme in THEMES:
        set_theme(page, theme)
        ratio, text = lowest_contrast(report)
        assert ratio >= 4.5, (theme, text)

    type_and_run(answer, ALL_SUBJECTS)
    type_and_run(check)
    report.get_by_text("all right, 2 of 2 points").wait_for()
    for theme in THEMES:
        set_theme(page, theme)
        ratio, text = lowest_contrast(report)
        assert ratio >= 4.5, (theme, text)


def test_a_student_moves_a_widget(page, lab):
    panel = open_notebook(page, lab, SMALL)
    target = cell(panel, "def mean_t2_image")
    type_and_run(target, SIMULATOR)
    picture, slider = target.locator("canvas").first, target.locator("input[type=range]").first
    slider.scroll_into_view_if_needed()
    cells = panel.locator(".jp-Cell").count()
    seen = {picture.evaluate(PIXELS)}
    slider.focus()
    page.keyboard.press("ArrowRight")
    seen.add(picture.evaluate(PIXELS))
    place = slider.bounding_box()
    page.mouse.click(place["x"] + 0.5 * place["width"], place["y"] + place["height"] / 2)
    seen.add(picture.evaluate(PIXELS))
    page.keyboard.press("ArrowLeft")  # the mouse leaves the focus on the slider
    seen.add(picture.evaluate(PIXELS))
    assert len(seen) == 4, "each of these moves changes the picture"
    assert panel.locator(".jp-Cell").count() == cells, "no key was taken for a command"


def test_a_student_validates(page, lab):
    panel = open_notebook(page, lab, SMALL)
    panel.get_by_role("button", name="Validate").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Validation").wait_for()
    assert "fit_intensity_lookup" in dialog.inner_text()


def test_a_grader_gives_points_and_a_comment(page, lab, small_course):
    hand_in("ada", ASSIGNMENT, root=small_course)
    assert grade(small_course, "ada").points[MEAN] == 2
    directory = open_course(small_course).coursedir
    where = (ASSIGNMENT, ASSIGNMENT, "ada")
    with Gradebook(directory.db_url, directory.course_id) as gradebook:
        submission = gradebook.find_submission_notebook(*where).id
    page.goto(lab.address(f"formgrader/gradebook/{ASSIGNMENT}/{ASSIGNMENT}"))
    page.locator(f"a[href$='/submissions/{submission}']").first.click()
    page.wait_for_load_state("networkidle")  # the page has got the grades, and listens
    points = page.locator("input.score#written-lookup")
    with page.expect_response(lambda response: "/api/grade/" in response.url):
        points.fill("1.5")
        points.press("Tab")
    comment = page.locator("textarea#written-lookup-comment")
    with page.expect_response(lambda response: "/api/comment/" in response.url):
        comment.fill("The scale is missing.")
        comment.press("Tab")
    with Gradebook(directory.db_url, directory.course_id) as gradebook:
        assert gradebook.find_grade("written-lookup", *where).manual_score == 1.5
        stored = gradebook.find_comment("written-lookup", *where)
        assert stored.manual_comment == "The scale is missing."
