import base64
import copy
import os
import re
import sys
import tempfile
import time
import warnings

import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from nbconvert.exporters import HTMLExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, new_raw_cell
from nbgrader.api import Gradebook
from nbgrader.server_extensions.formgrader import handlers
from nbgrader.utils import is_grade
from sqlalchemy.exc import SAWarning
from toy import toy_notebook
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from labhelpers import plots
from labhelpers.checks.report import Item, Report, Table
from labhelpers.instructor.course.nbgrader import REPOSITORY
from labhelpers.instructor.grading.pages import outputs
from labhelpers.instructor.grading.pages.feedback import FeedbackExporter
from labhelpers.instructor.grading.pages.outputs import (
    CleanOutputs,
    clean_html,
    hide_paths,
)
from labhelpers.session import display_data

SIGNALS = pd.DataFrame({"T1-w": [0.2], "T2-w": [1.0]}, index=["CSF"])
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
    "AAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
RUN = "window.ran=(window.ran||0)+1"

#: Ways to run a script in the browser of whoever looks at a page. Each is tried as output, as
#: written answer, as Markdown output and as raw cell.
HOSTILE_HTML = {
    "script": f"<script>{RUN}</script>",
    "script-src": '<script src="https://evil.example/x.js"></script>',
    "onerror": f'<img src="x" onerror="{RUN}">',
    "onload": f'<body onload="{RUN}"><svg onload="{RUN}"></svg>',
    "svg-script": f"<svg><script>{RUN}</script></svg>",
    "javascript-link": f'<a href="javascript:{RUN}">results</a>',
    "encoded-link": f'<a href="jav&#x09;ascript:{RUN}">results</a>',
    "markdown-link": f"[results](javascript:{RUN})",
    "iframe": f'<iframe srcdoc="<script>parent.{RUN}</script>"></iframe>',
    "data-iframe": f'<iframe src="data:text/html,<script>{RUN}</script>"></iframe>',
    "data-link": f'<a href="data:text/html,<script>{RUN}</script>">results</a>',
    "object": f'<object data="javascript:{RUN}"></object><embed src="javascript:{RUN}">',
    "form": f'<form action="javascript:{RUN}"><button formaction="javascript:{RUN}">ok</button>',
    "meta": f'<meta http-equiv="refresh" content="0;url=javascript:{RUN}">',
    "base": '<base href="https://evil.example/">',
    "style": "<style>@import 'https://evil.example/x.css'; .score {display: none}</style>",
    "math": f'<math><mtext></p><img src=x onerror="{RUN}"></mtext></math>',
    "noscript": f'<noscript><p title="</noscript><img src=x onerror={RUN}>"></noscript>',
    "unclosed": f'<img src=x onerror="{RUN}"//',
    "comment": f"<!--><img src=x onerror={RUN}>-->",
    "details": f'<details open ontoggle="{RUN}">x</details>',
    "focus": f'<input autofocus onfocus="{RUN}"><video><source onerror="{RUN}"></video>',
    "overlay": '<div style="position:fixed;top:0;left:0;width:100%;height:100%">10 of 10</div>',
    "request": '<img src="/formgrader?path=/tmp/evil">',
    "svg-image": '<img src="data:image/svg+xml;base64,{}" onload="{}">'.format(
        base64.b64encode(
            f'<svg xmlns="http://www.w3.org/2000/svg" onload="{RUN}"/>'.encode()
        ).decode(),
        RUN,
    ),
    "widget": f'<script type="application/vnd.jupyter.widget-view+json">{{}}</script>{RUN}',
}


def hostile_notebook():
    notebook = toy_notebook()
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"a": {}}}
    written = notebook.cells.pop()
    for place, (name, code) in enumerate(HOSTILE_HTML.items()):
        data = [
            {"text/html": code},
            {"text/markdown": code},
            {"image/svg+xml": f'<svg xmlns="http://www.w3.org/2000/svg">{code}</svg>'},
            {"text/latex": f"$\\href{{javascript:{RUN}}}{{x}}$ {code}"},
            {"application/javascript": RUN, "text/plain": code},
            {"application/vnd.jupyter.widget-view+json": {"model_id": code}},
            {"text/vnd.mermaid": f"click a href javascript:{RUN}"},
            {"image/png": f'x" onerror="{RUN}'},
        ]
        outputs = [new_output("display_data", data=one) for one in data]
        injected = {"image/png": {"width": f"1 onerror={RUN}", "alt": '"><script>'}}
        outputs += [
            new_output("display_data", data={"image/png": PIXEL}, metadata=injected),
            new_output(
                "display_data", data={"text/html": code}, metadata={"text/html": {"isolated": True}}
            ),
            new_output("stream", name="stdout", text=code),
            new_output("error", ename=code, evalue=code, traceback=[code]),
        ]
        metadata = {"tags": [f'"><script>{RUN}</script>']}
        notebook.cells += [
            new_code_cell(f"# {name}", outputs=outputs, metadata=metadata),
            new_markdown_cell(f"{name}\n\n{code}", id=f"plain-{place}"),
            new_raw_cell(code, metadata={"raw_mimetype": "text/html"}),
        ]
    written.source = "\n\n".join(HOSTILE_HTML.values())
    notebook.cells.append(written)
    return notebook


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """The course's configuration, and a gradebook in which no answer waits for a person."""
    folder = tmp_path_factory.mktemp("course")
    (folder / "nbgrader_config.py").write_text((REPOSITORY / "nbgrader_config.py").read_text())
    config = PyFileConfigLoader("nbgrader_config.py", path=str(folder)).load_config()
    config.CourseDirectory.db_url = f"sqlite:///{folder / 'gradebook.db'}"
    with pytest.MonkeyPatch.context() as patch:  # nbgrader starts `alembic` by name
        patch.setenv("PATH", os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"])
        gradebook = Gradebook(config.CourseDirectory.db_url)
    with warnings.catch_warnings(), gradebook:
        warnings.simplefilter("ignore", SAWarning)  # of nbgrader's own
        gradebook.add_assignment("toy")
        gradebook.add_notebook("toy", "toy")
        gradebook.add_grade_cell("written-double", "toy", "toy", max_score=2, cell_type="markdown")
        gradebook.add_student("ann")
        gradebook.add_submission("toy", "ann").notebooks[0].grades[0].needs_manual_grade = False
        gradebook.db.commit()
    return config


def feedback_page(config, notebook):
    exporter = FeedbackExporter(config=config)
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if is_grade(cell):  # as GetGrades does
            cell.metadata.nbgrader["score"] = 1.0
    names = {"notebook": "toy", "score": 1.0, "max_score": 4.0, "late_penalty": 0}
    names |= {"assignment": "toy", "student": "ann", "db_url": config.CourseDirectory.db_url}
    return exporter.from_notebook_node(notebook, {"nbgrader": names})[0]


def formgrader_page(config, notebook):
    """The formgrader's page; its exporter has our configuration if it starts in the course."""
    config = config.copy()
    config.HTMLExporter.template_name = "formgrade"
    config.HTMLExporter.extra_template_basedirs = [handlers.template_path]
    exporter = HTMLExporter(config=config)
    resources = {"index": 0, "total": 1, "base_url": "", "submission_id": "0"}
    return exporter.from_notebook_node(notebook, resources)[0]


PLAIN_ELEMENTS = re.findall(
    r"\w+",
    "a b blockquote br code details div em h1 hr i img li ol p pre span strong sub summary sup "
    "table tbody td th thead tr ul "
    "button input textarea",  # the formgrader's own
)


def foreign(page):
    """What a browser could run in the part of a page that shows the notebook."""
    soup = BeautifulSoup(page, "html.parser").find("main")
    suspects = []
    for element in soup.find_all(True):
        if element.name not in PLAIN_ELEMENTS:
            suspects.append(element.name)
        for name, value in element.attrs.items():
            text = " ".join(value) if isinstance(value, list) else value
            if name.startswith("on") or name in ("srcdoc", "formaction", "action"):
                suspects.append(f"{element.name} {name}")
            if name in ("href", "src") and not re.match(r"https?://|mailto:|#|data:image/", text):
                suspects.append(f"{element.name} {name}={text[:40]}")
            if name == "style" and re.search(r"position|url|import|-\d", text):
                suspects.append(f"{element.name} {name}={text[:40]}")
    return suspects


def test_no_script_is_left_on_the_feedback_page(config):
    page = feedback_page(config, hostile_notebook())
    assert foreign(page) == []
    assert len(re.findall(r"<script", page)) == 2  # MathJax and its settings
    policy = BeautifulSoup(page, "html.parser").find("meta")["content"]
    assert "'unsafe-inline'" not in policy.partition("script-src")[2]


def test_no_script_is_left_in_the_formgrader(config):
    assert foreign(formgrader_page(config, hostile_notebook())) == []


def test_no_script_is_left_where_the_formgrader_lacks_our_configuration():
    """As when it was started elsewhere and opened with the path of the course."""
    notebook, _ = CleanOutputs().preprocess(hostile_notebook(), {})
    assert foreign(formgrader_page(Config(), notebook)) == []


def clean(*outputs, **metadata):
    """The outputs of a code cell after cleaning."""
    cell = new_code_cell("", outputs=list(outputs), metadata=metadata)
    notebook, _ = CleanOutputs().preprocess(new_notebook(cells=[cell]), {})
    return notebook.cells[0].outputs


def clean_text(text):
    (output,) = clean(new_output("stream", name="stdout", text=text))
    return output.text


def run_cells(*sources):
    """The error outputs of some cells, as a kernel's IPython writes them."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    errors = []
    shell._showtraceback = lambda kind, error, lines: errors.append(
        new_output("error", ename=kind.__name__, evalue=str(error), traceback=lines)
    )
    for source in sources:
        shell.run_cell(source, store_history=True)
    return errors


def test_our_reports_survive():
    report = Report(
        "generator-unet",
        "GeneratorUNet",
        "wrong",
        0.0,
        5.0,
        [Item("shape", "Has <the> shape", "wrong", [("got", "(1, 2)\n  3"), ("likely", "a & b")])],
        [("hint", "Look at the “stride”")],
        Table("layers", ("", "yours"), [("1", "Conv2d 1→64")], "a note"),
    )
    html = report._repr_html_()

    def parts(text):
        soup = BeautifulSoup(text, "html.parser")
        styles = [
            sorted(part.strip().replace(": ", ":") for part in element["style"].split(";") if part)
            for element in soup.find_all(style=True)
        ]
        names = [element.name for element in soup.find_all(True) if element.name != "tbody"]
        return names, styles, soup.get_text()

    assert parts(clean_html(html)) == parts(html)


@pytest.mark.parametrize("draw", [plots.cycle_diagram, lambda: plots.contrast_bars(SIGNALS)])
def test_figures_survive_with_their_text(draw):
    shown = draw()
    soup = BeautifulSoup(clean_html(shown._repr_html_()), "html.parser").img
    assert soup["src"] == BeautifulSoup(shown._repr_html_(), "html.parser").img["src"]
    assert (soup["alt"], soup["width"]) == (shown.alt, f"{shown.figure.get_figwidth() * 100:.0f}")


def test_tables_of_pandas_survive():
    table = pd.DataFrame({"PSNR": [20.1]}).to_html()
    soup = BeautifulSoup(clean_html(table), "html.parser")
    assert soup.table["class"] == ["dataframe"] and soup.td.text == "20.1"


def test_a_traceback_keeps_the_students_lines_only():
    define, call, nested = (
        "import torch\ndef f(x):\n    return torch.nn.Conv2d(1, 2, 3)(x)",
        "f(torch.zeros(3))",
        "import json\ntry:\n    json.loads('{')\nexcept Exception as e:\n  raise KeyError from e",
    )
    first, second = (clean(error)[0] for error in run_cells(define, call, nested))
    text = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(first.traceback))
    assert "return torch.nn.Conv2d(1, 2, 3)(x)" in text and "f(torch.zeros(3))" in text
    assert "… in torch: Conv2d._conv_forward" in text and text.count("… in") == 1
    assert "Expected 3D (unbatched)" in text
    assert "F.conv2d(" not in text and "site-packages" not in text and sys.prefix not in text
    text = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(second.traceback))
    assert "… in json: JSONDecoder.raw_decode" in text and "raise KeyError from e" in text
    assert "scan_once" not in text


def test_an_exercise_that_is_not_written_is_one_line():
    (error,) = run_cells("def f():\n    raise NotImplementedError('not written yet')\nf()")
    (output,) = clean(error)
    assert output.traceback == ["NotImplementedError: not written yet"]


def test_a_test_cell_shows_no_frame():
    (error,) = run_cells("secret = 4\n1 / (secret - 4)")
    graded = {"nbgrader": {"grade": True, "solution": False, "schema_version": 3}}
    (output,) = clean(error, **graded)
    assert output.traceback == ["ZeroDivisionError: division by zero"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"{sys.prefix}/lib/python3.11/site-packages/torch/x.py:3: UserWarning",
            "torch/x.py:3: UserWarning",
        ),
        ("/home/prof/course/notes.txt", "…/notes.txt"),
        (
            f"{tempfile.gettempdir()}/lab-x1/generator/run.json is not there",
            "…/run.json is not there",
        ),
        ("now in /srv/nbgrader/course", "now in …"),
        (f"{REPOSITORY}/labhelpers/blocks.py", "…/blocks.py"),
        ("C:\\Users\\Prof\\lab\\x.py", "…/x.py"),
        ("https://example.org/home/prof/x", "https://example.org/home/prof/x"),
        ("a: 1/2 and a/b, N/A, /data2", "a: 1/2 and a/b, N/A, /data2"),
    ],
)
def test_no_path_of_the_machine_is_shown(text, expected):
    assert hide_paths(text) == expected


def test_what_is_long_is_cut():
    flood = clean_text("x" * 30_000_000)
    assert len(flood) < 13_000 and "29,988,000 characters are not shown" in flood
    (html,) = clean(new_output("display_data", data={"text/html": "<p>x</p>" * 100_000}))
    assert len(html.data["text/html"]) < 40_000
    (deep,) = clean(new_output("display_data", data={"text/html": "<div>" * 20_000}))
    assert len(deep.data["text/html"]) < 80_000
    many = clean(*(new_output("stream", name="stdout", text=str(n)) for n in range(1000)))
    assert len(many) == 61 and many[30].text == "… 940 outputs are not shown …\n"
    big = base64.b64encode(b"x" * 4_000_000).decode()
    shown = clean(*(new_output("display_data", data={"image/png": big}) for _ in range(8)))
    assert ["image/png" in output.get("data", {}) for output in shown] == [True] * 4 + [False] * 4


def test_a_notebook_shows_so_much_and_its_reports():
    def flood(n):
        return new_code_cell(
            "", outputs=[new_output("stream", name="stdout", text="x" * 20_000) for _ in range(n)]
        )

    graded = {"nbgrader": {"grade": True, "solution": False, "schema_version": 3}}
    report = [new_output("display_data", data={"text/html": "<b>right</b>"})]
    cells = [flood(50) for _ in range(10)] + [new_code_cell("", outputs=report, metadata=graded)]
    notebook, _ = CleanOutputs().preprocess(new_notebook(cells=cells), {})
    assert len(nbformat.writes(notebook)) < 1_500_000
    assert "shows too much already" in notebook.cells[9].outputs[0].text
    assert notebook.cells[10].outputs[0].data["text/html"] == "<b>right</b>"


@pytest.mark.parametrize("code", ["</i><i>", "<b><i></b></i>", "<script>", "<p a=b ", "<a href=x>"])
def test_html_that_is_slow_to_clean_is_not(code):
    start = time.perf_counter()
    clean_html((code * 60_000)[:59_999])
    assert time.perf_counter() - start < 20  # the squares of 60,000 took minutes


@pytest.mark.parametrize(
    ("pattern", "code"),
    [(outputs._NO_IMAGE, "<img "), (outputs._NO_IMAGE, '<img alt="'), (outputs._ANSI, "\x1b[1;")],
)
def test_expressions_take_time_in_proportion_to_the_text(pattern, code):
    start = time.perf_counter()
    pattern.sub("", code * (400_000 // len(code)))
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("path", ["a" * 400_000, "/site-packages" * 30_000, "/python3." * 40_000])
def test_a_traceback_with_a_long_path_is_quick(path):
    start = time.perf_counter()
    chunks = [f"/{path} in f\nx", f"/{path}", f"/{path[:10_000]} in f\nx"] * 100
    (output,) = clean(new_output("error", ename="E", evalue="v", traceback=chunks))
    assert time.perf_counter() - start < 20  # one path took minutes
    assert sum(map(len, output.traceback)) < 50_000


@pytest.mark.parametrize(
    "code", ["\\begin{a}", "[", "![](", "*a ", "**a", "`` ` ", "<a ", "> ", "- \n", "$a$$"]
)
def test_markdown_that_is_slow_to_render_is_not(code):
    start = time.perf_counter()
    notebook = toy_notebook()
    notebook.cells[-1].source = code * (400_000 // len(code))
    CleanOutputs().preprocess(notebook, {})
    assert time.perf_counter() - start < 20


@pytest.mark.parametrize("style", ["rgb(" * 5000, "(" * 400, "[" * 400, "{" * 400])
def test_a_style_that_nests_deeply_is_dropped(config, style):
    code = f"<b style='color:{style}'>some words</b>"
    assert BeautifulSoup(clean_html(code), "html.parser").b.text == "some words"
    (output,) = clean(new_output("display_data", data={"text/html": code}))
    assert "some words" in output.data["text/html"]
    notebook = toy_notebook()
    notebook.cells[-1].source = code
    assert "some words" in feedback_page(config, notebook)


def test_html_that_bleach_cannot_clean_is_shown_as_text(monkeypatch):
    def fail(*args, **options):
        raise RecursionError

    monkeypatch.setattr(outputs.bleach, "clean", fail)
    assert clean_html("<b>x</b>") == "<pre>&lt;b&gt;x&lt;/b&gt;</pre>"


@pytest.mark.parametrize("filling", ["words " * 20_000, "\\begin{a}" * 300])
def test_an_answer_that_is_too_long_to_render_is_quoted_too(filling):
    notebook = toy_notebook()
    notebook.cells[-1].source = HOSTILE_HTML["script"] + filling
    cleaned, _ = CleanOutputs().preprocess(notebook, {})
    assert cleaned.cells[-1].source.startswith("*This text holds HTML")
    assert len(cleaned.cells[-1].source) < 101_000


def test_a_progress_bar_is_its_last_state():
    assert clean_text("1 %\r50 %\r100 %\ndone\r\n") == "100 %\ndone\n"


def test_the_page_names_repairs_events_and_the_way_to_appeal(config):
    notebook = toy_notebook()
    notebook.metadata["labhelpers"] = {
        "repairs": ["The cell <double> was there twice; the first one counts."],
        "events": ["The kernel died in cell 5."],
    }
    config = config.copy()
    config.FeedbackExporter.appeal = "Write to ann@example.org."
    page = feedback_page(config, notebook)
    text = BeautifulSoup(page, "html.parser").find(id="about-this-page").get_text("|", strip=True)
    assert text.split("|") == [
        "Repaired before grading",
        "The cell <double> was there twice; the first one counts.",
        "When your notebook ran",
        "The kernel died in cell 5.",
        "Write to ann@example.org.",
    ]


def reports_on_the_page(config, visible, hidden):
    """What the page shows of two reports of a check, as headlines."""
    notebook = toy_notebook()
    (check,) = (cell for cell in notebook.cells if cell.id == "check-double")
    check.metadata.nbgrader["grade_id"] = "check-generator-unet"
    check.outputs = [
        new_output("display_data", **display_data(*report.output)) for report in (visible, hidden)
    ]
    soup = BeautifulSoup(feedback_page(config, notebook), "html.parser")
    return [element.b.text for element in soup.find_all("div", style=re.compile("^border-left"))]


def test_hidden_tests_that_say_the_same_are_not_shown_twice(config):
    def report(hidden, *items, mistakes=(), score=1.0):
        items = [Item(name, name, "wrong") for name in items]
        return Report(
            "generator-unet",
            "GeneratorUNet",
            "partly",
            score,
            2.0,
            items,
            [],
            None,
            mistakes,
            hidden,
        )

    visible, of_hidden = "GeneratorUNet: partly right", "GeneratorUNet (hidden tests): partly"
    seen = report(False, "shape", "values")
    (only,) = reports_on_the_page(config, seen, report(True, "values"))
    assert only.startswith(visible)
    for other in (
        report(True, "values", "dtype"),
        report(True, "values", mistakes=("sign",)),
        report(True, "values", score=0.5),
    ):
        first, second = reports_on_the_page(config, seen, other)
        assert first.startswith(visible) and second.startswith(of_hidden)


def test_a_check_shows_its_points_once(config):
    notebook = toy_notebook()
    (check,) = (cell for cell in notebook.cells if cell.id == "check-double")
    check.metadata.nbgrader["grade_id"] = "check-generator-unet"
    check.outputs = [new_output("execute_result", data={"text/plain": "1.234"})]
    assert "1.234" not in feedback_page(config, notebook)


def test_the_list_on_top_names_the_exercises(config):
    notebook = toy_notebook()
    (answer,) = (cell for cell in notebook.cells if cell.id == "double")
    for comment, named in (("Well done.", ["double: comment"]), ("No response.", [])):
        answer.metadata.nbgrader["comment"] = comment
        contents = BeautifulSoup(feedback_page(config, notebook), "html.parser").find(id="toc")
        links = [link.text for link in contents.find_all("a")]
        assert links == [*named, "double", "Written response"]


def test_the_page_says_that_a_written_answer_waits(config):
    sentence = "A written answer is not graded yet: its points are missing in the sum."
    assert sentence not in feedback_page(config, toy_notebook())
    for waits in (True, False):
        with Gradebook(config.CourseDirectory.db_url) as gradebook:
            grade = gradebook.find_grade("written-double", "toy", "toy", "ann")
            grade.needs_manual_grade = waits
            gradebook.db.commit()
        page = BeautifulSoup(feedback_page(config, toy_notebook()), "html.parser")
        assert (sentence in page.text) is waits
        *_, in_list = page.find(id="toc").find_all("li")
        over_answer = page.find("a", attrs={"name": "written-double"}).find_next_sibling("div")
        for place in (in_list, over_answer):
            assert ("not graded yet" in place.text) is waits
            assert ("Score" in place.text) is not waits


def test_the_marks_of_what_can_be_unfolded_are_shown(config):
    """The style sheet of nbgrader's page hides them."""
    assert "summary { display: list-item" in feedback_page(config, toy_notebook())


def test_an_answer_whose_image_is_lost_is_shown_all_the_same(config):
    """Colab drops attachments; nbconvert raises then."""
    notebook = toy_notebook()
    notebook.cells[-1].source = "See ![this](attachment:gone.png), **please**"
    assert "See ![this](attachment:gone.png)" in feedback_page(config, notebook)


def test_formulas_and_plain_html_of_answers_stay(config):
    notebook = toy_notebook()
    answer = "If $a < b$, then x<sub>2</sub> &amp; `if a < b:`\n\n| a |\n|:-:|\n| 1 |\n"
    notebook.cells[-1].source = answer
    cleaned, _ = CleanOutputs().preprocess(copy.deepcopy(notebook), {})
    assert cleaned.cells[-1].source == answer
    page = feedback_page(config, notebook)
    assert "$a &lt; b$" in page and "x<sub>2</sub> &amp; <code>if a &lt; b:</code>" in page
    assert nbformat.validate(cleaned) is None
