"""Tests of `labhelpers.widgets` in a browser: what a student moves, sees and reads."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browsing import open_browser
from playwright.sync_api import Browser, Locator, Page
from test_widgets import an_explorer, sample_images

from labhelpers.contrast import TISSUES
from labhelpers.widgets import Widget, contrast_simulator, epoch_slider
from labhelpers.widgets.contrast import SEQUENCES, SIGNALS
from labhelpers.widgets.widget import script

pytestmark = pytest.mark.browser

TEXT = {"light": "rgb(20, 20, 20)", "dark": "rgb(240, 240, 240)"}
BACKGROUND = {"light": "#fff", "dark": "#111"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page as wide as the column of a notebook on a small screen; it has no network."""
    context = browser.new_context(viewport={"width": 600, "height": 900}, offline=True)
    context.set_default_timeout(10_000)
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(error.message))
    page.on("console", lambda message: errors.append(message.text))
    yield page
    assert errors == []
    context.close()


def show(page: Page, *widgets: Widget, theme: str = "light") -> list[Locator]:
    """Show widgets below each other, as outputs of a notebook, and wait until they can be moved."""
    outputs = "".join(f"<div>{widget._repr_html_()}</div>" for widget in widgets)
    style = f"background: {BACKGROUND[theme]}; --jp-content-font-color1: {TEXT[theme]}"
    page.set_content(f'<body style="{style}">{outputs}</body>')
    hosts = page.locator("[data-labhelpers-widget]").all()
    for host in hosts:
        host.get_by_role("slider").first.wait_for()
    return hosts


def seen(part: Locator) -> bytes:
    return part.screenshot()


def changes(part: Locator, move: Callable[[], object]) -> bool:
    """Whether a part of the page looks otherwise, soon after a move."""
    before = seen(part)
    move()
    for _ in range(10):  # an image may need a moment to be decoded
        if seen(part) != before:
            return True
        part.page.wait_for_timeout(50)
    return False


def drag(slider: Locator, share: float) -> None:
    """Click on a slider, at a share of its length."""
    box = slider.bounding_box()
    slider.click(position={"x": share * box["width"], "y": box["height"] / 2})


# --- All of them ----------------------------------------------------------------------------------


@pytest.fixture
def everything(tmp_path: Path) -> list[Widget]:
    return [contrast_simulator(), an_explorer(), epoch_slider(sample_images(tmp_path), "demo")]


def test_each_control_has_a_name_and_is_moved_by_keyboard_and_by_mouse(page, everything):
    for host in show(page, *everything):
        sliders = [one for one in host.get_by_role("slider").all() if one.is_visible()]
        assert sliders
        for slider in sliders:
            name = slider.evaluate("input => input.labels[0].textContent")
            assert name == slider.evaluate("input => input.labels[0].firstChild.data") + (
                slider.get_attribute("aria-valuetext")
            )
            for keys in ("ArrowRight", "ArrowLeft"):
                slider.focus()
                before = slider.input_value()
                page.keyboard.press(keys)
                if slider.input_value() != before:
                    break
            assert slider.input_value() != before, name
            before = slider.input_value()
            drag(slider, 0.1 if float(before) > 0.5 * float(slider.get_attribute("max")) else 0.9)
            assert slider.input_value() != before, name


def test_nothing_is_wider_than_the_column(page, everything):
    show(page, *everything)
    assert page.evaluate("document.documentElement.scrollWidth") <= 600


@pytest.mark.parametrize("theme", TEXT)
def test_texts_have_the_colour_of_the_theme(page, everything, theme):
    for host in show(page, *everything, theme=theme):
        colours = host.evaluate(
            """host => [...host.shadowRoot.querySelectorAll("label, p, button, select, text, div")]
            .map(e => getComputedStyle(e)[e.tagName == "text" ? "fill" : "color"])"""
        )
        assert set(colours) == {TEXT[theme]}


def test_a_cell_that_is_run_twice_gives_two_widgets_of_their_own(page, everything):
    first, second = show(page, everything[0], everything[0])
    picture = second.locator("canvas").first
    press = first.get_by_role("button", name="T2-w").click
    assert not changes(picture, press)
    assert second.get_by_role("button", name="T1-w", exact=True).get_attribute("aria-pressed")
    assert page.evaluate("Object.keys(window).filter(k => /slider|chart|signal/.test(k))") == []


def test_the_still_picture_stays_where_scripts_do_not_run(browser, everything):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_content("".join(widget._repr_html_() for widget in everything))
    images = page.get_by_role("img").all()
    assert len(images) == 4 and all(image.is_visible() for image in images)
    assert all(len(image.get_attribute("alt")) > 40 for image in images)
    assert page.get_by_text("run this cell").count() == 3
    assert "const" not in page.inner_text("body")
    context.close()


# --- Contrast simulator ---------------------------------------------------------------------------


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_signals_are_those_of_the_lesson(page, sequence):
    limits = SEQUENCES[sequence]
    settings = [
        dict(zip(limits, values, strict=True))
        for values in itertools.product(
            *((low, low + 4 * step, high) for low, high, step in limits.values())
        )
    ]
    code = script("contrast").removesuffix("})();") + "return signal;})()"
    got = page.evaluate(
        f"([tissues, sequence, settings]) => {{ const signal = {code};"
        "return tissues.map((tissue) => settings.map((one) => signal(tissue, sequence, one))); }",
        [[vars(tissue) for tissue in TISSUES.values()], sequence, settings],
    )
    for tissue, values in zip(TISSUES.values(), got, strict=True):
        expected = [float(SIGNALS[sequence](tissue, **one)) for one in settings]
        assert values == pytest.approx(expected, rel=1e-12)


def test_the_picture_and_the_charts_follow_each_setting(page):
    (host,) = show(page, contrast_simulator())
    picture, charts = host.locator("canvas"), host.locator("svg")
    assert charts.count() == 4
    for name in ("PD-w", "T2-w", "T1-w, gradient echo", "FLAIR"):
        button = host.get_by_role("button", name=name, exact=True)
        for part in (picture, charts.nth(0), charts.nth(3)):
            host.get_by_role("button", name="T1-w", exact=True).click()
            assert changes(part, button.click), name
        assert button.get_attribute("aria-pressed") == "true"
        for slider in host.get_by_role("slider").all():
            if slider.is_visible():
                slider.focus()
                assert changes(picture, lambda: page.keyboard.press("Home")), name
    host.get_by_role("combobox").select_option("gradient echo")
    assert host.get_by_role("slider", name="flip angle").is_visible()
    assert not host.get_by_role("slider", name="TI").is_visible()


def test_it_says_what_notebook_1_asks(page):
    (host,) = show(page, contrast_simulator())
    words = host.get_by_role("status")
    assert "CSF 0.26, grey matter 0.52, white matter 0.64." in words.inner_text()
    host.get_by_role("button", name="T2-w").click()
    assert "white matter 0.23, grey matter 0.34, CSF 1.00." in words.inner_text()
    assert "T1-w, 0.52: grey matter is now 0.34, muscle and skin 0.13." in words.inner_text()


def test_the_echo_comes_before_the_next_pulse(page):
    (host,) = show(page, contrast_simulator())
    host.get_by_role("button", name="gradient echo").click()
    host.get_by_role("slider", name="TE").press("End")
    host.get_by_role("slider", name="TR").press("Home")
    assert host.get_by_text("TE: 6 ms").is_visible() and host.get_by_text("TR: 8 ms").is_visible()


# --- Explorer -------------------------------------------------------------------------------------


def test_the_explorer_follows_each_control(page):
    (host,) = show(page, an_explorer())
    pictures = [
        one for one in host.get_by_role("img").all() if one.evaluate("e => e.localName") == "canvas"
    ]
    assert len(pictures) == 6  # four slices, two errors
    profile = host.get_by_role("img", name="grey along the line")
    subject = host.get_by_role("slider", name="subject")
    subject.focus()
    for part in (*(pictures[k] for k in (0, 1, 3, 4, 5)), profile):
        assert changes(part, lambda: page.keyboard.press("ArrowRight"))
        page.keyboard.press("ArrowLeft")
    black, white = (host.get_by_role("slider", name=name) for name in ("black", "white"))
    for slider, key in ((black, "End"), (white, "Home"), (white, "End")):
        assert changes(pictures[0], lambda slider=slider, key=key: slider.press(key))
    assert (black.input_value(), white.input_value()) == ("-1", "1")
    for move in (
        lambda: host.get_by_role("slider", name="line").press("ArrowUp"),
        lambda: pictures[1].click(position={"x": 20, "y": 20}),
        lambda: host.get_by_role("checkbox", name="T2-w true").click(),
    ):
        assert changes(profile, move)
    assert host.get_by_role("slider", name="line").get_attribute("aria-valuetext").endswith(" back")


def test_subjects_are_ordered_by_the_error_of_a_method(page):
    widget = an_explorer()
    errors = dict(zip(widget.data["metrics"]["T1"]["MAE"], widget.data["subjects"], strict=True))
    (host,) = show(page, widget)
    assert host.get_by_text("1 of 4, sub-IXI000").is_visible()
    host.get_by_role("combobox").select_option("largest error first: T1")
    subject = host.get_by_role("slider", name="subject")
    for place, (error, name) in enumerate(sorted(errors.items(), reverse=True), start=1):
        assert host.get_by_text(f"{place} of 4, {name}").is_visible()
        assert host.get_by_text(f"MAE {error:.4f}").is_visible()
        subject.press("ArrowRight")


def test_no_control_moves_when_a_text_gets_longer_and_all_is_in_view_together(page):
    page.set_viewport_size({"width": 960, "height": 600})
    (host,) = show(page, an_explorer(12))
    sliders = host.get_by_role("slider").all()
    before = [slider.bounding_box() for slider in sliders]
    host.get_by_role("slider", name="subject").press("End")
    assert host.get_by_text("12 of 12").is_visible()
    assert [slider.bounding_box() for slider in sliders] == before
    for part in (host.get_by_role("img", name="grey along"), host.get_by_text("MAE").last):
        box = part.bounding_box()
        assert box["y"] + box["height"] <= 600


# --- Watch it learn -------------------------------------------------------------------------------


def test_epochs_are_watched_one_by_one_and_played(page, tmp_path):
    (host,) = show(page, epoch_slider(sample_images(tmp_path, 4), "demo"))
    slider, picture = host.get_by_role("slider"), host.locator(".stack")
    assert host.get_by_text("4 of 4").is_visible()
    slider.focus()
    assert changes(picture, lambda: page.keyboard.press("Home"))
    assert host.get_by_role("img", name="in epoch 1").is_visible()
    assert changes(picture, lambda: drag(slider, 0.35))
    assert host.get_by_text("2 of 4").is_visible()
    host.get_by_role("button", name="Play").click()
    host.get_by_role("button", name="Pause").wait_for()
    host.get_by_text("4 of 4").wait_for()
    host.get_by_role("button", name="Play").wait_for()
