"""Opens notebooks in a real JupyterLab in Chromium, runs them and looks at them."""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.clicking import ClickerPage

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
    # A picture that moves; pages get it where a test allows them to.
    "--use-fake-device-for-media-stream",
)
SCREENSHOTS = Path(__file__).with_name("screenshots")
# A loaded machine with two cores needs seconds for most things: wait long, fail for real.
PATIENCE_MS = 120_000
expect.set_options(timeout=PATIENCE_MS)


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

    def run_code(self, source: str) -> None:
        """Put this into the first cell and run it; an exception in it is one here."""
        self.page.evaluate(
            """source => jupyterapp.shell.currentWidget.content.widgets[0]
                .model.sharedModel.setSource(source)""",
            source,
        )
        self.run_all()
        for output in self.outputs():
            assert output["output_type"] != "error", "\n".join(output["traceback"])

    def restart_kernel(self) -> None:
        """Forget all that was run, and every widget of it."""
        self.page.evaluate("jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
        wait_for_lab(self.page)

    def ask(self, expression: str) -> Any:
        """The value of an expression in the kernel, which must be one that `repr` gives back.

        No cell is run, so nothing on the page changes.
        """
        reply = self.page.evaluate(
            """async expression => {
                const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const content = {code: "", silent: true, user_expressions: {it: expression}};
                return (await kernel.requestExecute(content).done).content.user_expressions.it;
            }""",
            expression,
        )
        assert reply["status"] == "ok", f"{reply['ename']}: {reply['evalue']}"
        return ast.literal_eval(reply["data"]["text/plain"])

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
        screenshot(self.page, name)


def screenshot(page: Page, name: str) -> None:
    """Keep what is seen of any page in tests/browser/screenshots/."""
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def new_context(browser: Browser) -> BrowserContext:
    """A window as large as a notebook wants it, with nothing remembered."""
    context = browser.new_context(viewport={"width": 1500, "height": 1250})
    context.set_default_timeout(PATIENCE_MS)
    return context


def open_in_lab(page: Page, jupyter, name: str) -> NotebookPage:
    """Open a notebook of the server's folder.

    The kernel is idle when the page comes back: before that, running a cell would open a
    dialog that asks for a kernel.
    """
    page.goto(f"{jupyter.url}/lab/tree/{name}?reset&token={jupyter.token}")
    wait_for_lab(page)
    return NotebookPage(page)


def wait_for_lab(page: Page) -> None:
    """Wait until JupyterLab is ready and the kernel of its notebook idle."""
    page.wait_for_function("window.jupyterapp && jupyterapp.restored.then(() => true)")
    page.wait_for_function(
        "jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
    )


def one_cell(path: Path, source: str = "") -> None:
    """Write a notebook with one cell."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source, id="only")],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, path)


@pytest.fixture
def open_notebook(browser: Browser, jupyter):
    """Opens a copy of a notebook, so that the original keeps its stripped outputs."""
    context = new_context(browser)

    def open_copy(notebook: Path) -> NotebookPage:
        shutil.copy(notebook, jupyter.root / notebook.name)
        return open_in_lab(context.new_page(), jupyter, notebook.name)

    yield open_copy
    context.close()


@pytest.fixture(scope="module")
def lab(browser: Browser, jupyter) -> Iterator[NotebookPage]:
    """A notebook of one empty cell, for tests that bring their own code.

    JupyterLab keeps its kernel, which the tests of other files go on with.
    """
    one_cell(jupyter.root / "scratch.ipynb")
    context = new_context(browser)
    yield open_in_lab(context.new_page(), jupyter, "scratch.ipynb")
    context.close()


@pytest.fixture
def clicker(lab: NotebookPage) -> ClickerPage:
    """The clicker in that notebook; what it shows is up to the test."""
    return ClickerPage(lab)
