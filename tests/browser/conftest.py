"""A Chromium, and notebooks in it: opened in a real JupyterLab, run, looked at."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCREENSHOTS = Path(__file__).with_name("screenshots")
# A loaded machine with two cores needs seconds for most things: wait long, fail for real.
PATIENCE_MS = 120_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is a browser test."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


# Not for the session: Playwright holds an event loop meanwhile, which other tests may want.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium of the system; nothing is downloaded."""
    if CHROMIUM is None:
        pytest.skip("no chromium or google-chrome on PATH (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield chromium
        chromium.close()


class NotebookPage:
    """One notebook, open in JupyterLab."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def run_all(self) -> None:
        """Run all cells and wait for the last one."""
        self.page.evaluate(
            """() => {
                window.ranAll = false;
                jupyterapp.commands.execute("notebook:run-all-cells")
                    .finally(() => { window.ranAll = true; });
            }"""
        )
        self.page.wait_for_function("window.ranAll")

    def outputs(self) -> list[dict[str, Any]]:
        """The outputs of all cells as nbformat has them, each with its cell's number."""
        cells = json.loads(
            self.page.evaluate(
                "JSON.stringify(jupyterapp.shell.currentWidget.context.model.toJSON().cells)"
            )
        )
        return [
            {"cell": number, **output}
            for number, cell in enumerate(cells)
            for output in cell.get("outputs", ())
        ]

    def show_cell(self, number: int) -> None:
        """Scroll to a cell; JupyterLab does not draw those far outside the view."""
        self.page.evaluate(
            "number => jupyterapp.shell.currentWidget.content.scrollToItem(number, 'start')", number
        )

    def screenshot(self, name: str) -> None:
        """Keep what is seen in tests/browser/screenshots/, for a person to look at."""
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


@pytest.fixture
def open_notebook(browser: Browser, jupyter):
    """Opens a copy of a notebook, so that the original keeps its stripped outputs.

    The kernel is idle when the page comes back: before that, running a cell would open a
    dialog that asks for a kernel.
    """
    context = browser.new_context(viewport={"width": 1500, "height": 1250})
    context.set_default_timeout(PATIENCE_MS)

    def open_in_lab(notebook: Path) -> NotebookPage:
        shutil.copy(notebook, jupyter.root / notebook.name)
        page = context.new_page()
        page.goto(f"{jupyter.url}/lab/tree/{notebook.name}?reset&token={jupyter.token}")
        page.wait_for_function("window.jupyterapp && jupyterapp.restored.then(() => true)")
        page.wait_for_function(
            "jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
        )
        return NotebookPage(page)

    yield open_in_lab
    context.close()
