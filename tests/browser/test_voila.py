"""Voilà serves notebooks with the clickers to users who see no cells."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.browser import test_video_clicker as video
from tests.browser.clicking import ClickerPage
from tests.browser.conftest import new_context, one_cell, screenshot

LESSON, VIDEO = "04_click.ipynb", "video.ipynb"


@pytest.fixture(scope="module")
def voila(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address at which Voilà serves the notebooks."""
    home = tmp_path_factory.mktemp("voila")
    served = home / "served"
    served.mkdir()
    shutil.copy(repository / "notebooks" / LESSON, served)
    one_cell(served / VIDEO, video.PREPARE)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    isolated = {"HOME": str(home), "JUPYTER_CONFIG_DIR": str(home), "IPYTHONDIR": str(home)}
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "voila", str(served)),
                *("--no-browser", f"--port={port}", "--Voila.ip=127.0.0.1"),
            ],
            env=os.environ | isolated,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _when_it_listens(server, f"http://127.0.0.1:{port}/", home / "log")
    finally:
        server.terminate()
        server.wait(30)


def _when_it_listens(server: subprocess.Popen[bytes], url: str, log: Path) -> str:
    give_up = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < give_up:
        try:
            urllib.request.urlopen(f"{url}static/", timeout=5)
        except urllib.error.HTTPError:
            return url
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"Voilà did not start:\n{log.read_text()}")


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = new_context(browser)
    yield context
    context.close()


def opened(context: BrowserContext, voila: str, notebook: str) -> ClickerPage:
    """The clicker of a notebook, which runs when its page is opened."""
    page = context.new_page()
    page.goto(f"{voila}voila/render/{notebook}")
    clicker = ClickerPage(SimpleNamespace(page=page))
    clicker.wait_for_photo()
    clicker.canvas.scroll_into_view_if_needed()
    return clicker


def test_voila_serves_the_lesson_and_it_is_clicked(context: BrowserContext, voila: str) -> None:
    clicker = opened(context, voila, LESSON)
    screenshot(clicker.page, "clicker-voila")
    width, height = clicker.size()
    clicker.click(width // 2, height // 2)
    screenshot(clicker.page, "clicker-voila-clicked")
    clicker.find("answers").locator("select").select_option("in the browser")
    expect(clicker.status).to_contain_text("answers in the browser")
    clicker.click(width // 3, height // 3)
    screenshot(clicker.page, "clicker-voila-near")


def test_voila_serves_the_video_clicker_and_an_object_is_followed(
    context: BrowserContext, voila: str
) -> None:
    clicker = opened(context, voila, VIDEO)
    clicker.click(8 * video.SCALE, 8 * video.SCALE)
    video.follow(clicker)
    expect(clicker.find("object-figures").first).to_contain_text("px")
    screenshot(clicker.page, "video-clicker-voila")
