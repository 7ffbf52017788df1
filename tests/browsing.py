"""A JupyterLab with nbgrader and the browser that opens it, for tests."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, sync_playwright

#: Programs that Playwright can drive, in the order of preference.
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")

#: Settings of a student who has just installed JupyterLab, but for news and for cells that are
#: laid out only when they come into view.
_SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "doNotDisturbMode": True},
    "apputils-extension/themes": {"theme": "JupyterLab Light"},
    "notebook-extension/tracker": {"windowingMode": "none"},
}

#: Each text in an element with its colour and the backgrounds behind it, from the nearest on.
_TEXTS = """root => {
    const found = [], walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT)
    while (walker.nextNode()) {
        const text = walker.currentNode.data.trim()
        if (!text) continue
        const behind = []
        for (let e = walker.currentNode.parentElement; e; e = e.parentElement)
            behind.push(getComputedStyle(e).backgroundColor)
        found.push([text, getComputedStyle(walker.currentNode.parentElement).color, behind])
    }
    return found
}"""

Colour = tuple[float, float, float, float]


@contextlib.contextmanager
def open_browser() -> Iterator[Browser]:
    """Yield the system's Chromium, without a window."""
    programs = filter(None, map(shutil.which, _PROGRAMS))
    program = next(programs, None)
    assert program, (
        "The tests in a browser need Chromium: install it (apt-get install chromium), or leave "
        "them out with -m 'not browser'."
    )
    root = getattr(os, "geteuid", lambda: 1)() == 0  # to whom Chromium refuses its own sandbox
    options: dict[str, Any] = {"executable_path": program, "args": ["--no-sandbox"] * root}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**options)
        yield browser
        browser.close()


class Lab:
    """JupyterLab with nbgrader's extensions, in the folder of a course."""

    def __init__(self, course: Path, scratch: Path) -> None:
        """Start the server.

        Args:
            course: The folder of the course, which is what students and graders see.
            scratch: An empty folder, for the server's own files.
        """
        for name, values in _SETTINGS.items():
            path = scratch / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values))
        runtime = scratch / "runtime"
        command = [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
            *("--ServerApp.port=0", f"--ServerApp.root_dir={course}"),
            f"--LabApp.user_settings_dir={scratch / 'settings'}",
            f"--LabApp.workspaces_dir={scratch / 'workspaces'}",
            "--expose-app-in-browser",  # as `jupyterapp`, by which tests open and run notebooks
        ]
        environment = {
            "JUPYTER_CONFIG_DIR": str(scratch / "config"),
            "JUPYTER_DATA_DIR": str(scratch / "data"),
            "JUPYTER_RUNTIME_DIR": str(runtime),
            "LABHELPERS_PRESET": "quick",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        }
        self.course = course
        self._log = scratch / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=course, env=os.environ | environment, stdout=log, stderr=log
            )
        until = time.monotonic() + 60
        while not (found := [*runtime.glob("jpserver-*.json")]):
            assert self._process.poll() is None and time.monotonic() < until, self.log
            time.sleep(0.1)
        server = json.loads(found[0].read_text())
        self.url, self._token = server["url"].rstrip("/"), server["token"]

    @property
    def log(self) -> str:
        """What the server has written so far."""
        return self._log.read_text(errors="replace")

    def address(self, path: str) -> str:
        """Return the address that logs in and goes on to a page of the server."""
        return f"{self.url}/login?token={self._token}&next=/{path}"

    def close(self) -> None:
        """Stop the server and its kernels."""
        self._process.terminate()
        self._process.wait(30)


def open_notebook(page: Page, lab: Lab, path: str) -> Locator:
    """Open a notebook of the course, wait for its kernel, and return its panel."""
    page.goto(lab.address(f"lab/tree/{path}%3Freset"))  # without the notebooks open before
    page.wait_for_function(
        """path => {
            const context = window.jupyterapp?.shell.currentWidget?.context
            return context?.isReady && context.path == path
        }""",
        arg=path,
    )
    page.evaluate("jupyterapp.shell.currentWidget.context.sessionContext.ready")
    return page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")


def run_all(page: Page) -> None:
    """Run all cells of the notebook that is open, and wait until each has got its number."""
    page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(
        """jupyterapp.shell.currentWidget.content.widgets.every(
            cell => cell.model.type != 'code' || cell.model.executionCount
        )""",
        timeout=240_000,
    )


def set_theme(page: Page, theme: str) -> None:
    """Change the theme, such as `JupyterLab Dark`."""
    page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    page.wait_for_function("theme => document.body.dataset.jpThemeName == theme", arg=theme)


def cell(panel: Locator, source: str) -> Locator:
    """Return the first cell whose source holds a text now, whatever it will hold later."""
    cells = panel.locator(".jp-Cell")
    place = cells.evaluate_all(
        """(cells, text) => cells.findIndex(
            cell => cell.querySelector('.jp-InputArea')?.textContent.includes(text)
        )""",
        source,
    )
    assert place >= 0, source
    return cells.nth(place)


def type_and_run(target: Locator, source: str | None = None) -> None:
    """Run a cell by the keyboard; before that, paste a source into it unless it is None."""
    page = target.page
    target.locator(".cm-content").click()
    if source is not None:
        page.evaluate("text => navigator.clipboard.writeText(text)", source)
        page.keyboard.press("Control+A")
        page.keyboard.press("Control+V")
    page.keyboard.press("Control+Enter")


def lowest_contrast(element: Locator) -> tuple[float, str]:
    """Return the lowest contrast of a text in an element with what is behind it, and the text.

    It is the ratio of the Web Content Accessibility Guidelines, from 1 to 21.
    """
    ratios = []
    for text, colour, layers in element.evaluate(_TEXTS):
        behind: Colour = (255.0, 255.0, 255.0, 1.0)
        for layer in reversed(layers):
            behind = _over(_rgba(layer), behind)
        bright, dark = sorted(map(_luminance, (_over(_rgba(colour), behind), behind)), reverse=True)
        ratios.append(((bright + 0.05) / (dark + 0.05), text))
    return min(ratios)


def _rgba(colour: str) -> Colour:
    assert colour.startswith("rgb"), colour
    red, green, blue, *alpha = map(float, re.findall(r"[\d.]+", colour))
    return red, green, blue, *(alpha or [1.0])


def _over(top: Colour, bottom: Colour) -> Colour:
    share = top[3]
    red, green, blue = (a * share + b * (1 - share) for a, b in zip(top[:3], bottom, strict=False))
    return red, green, blue, 1.0


def _luminance(colour: Colour) -> float:
    linear = [
        c / 12.92 if (c := part / 255) <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for part in colour[:3]
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
