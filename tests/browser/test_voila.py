"""Voilà serves the clicking notebook to users who see no cells."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from playwright.sync_api import Browser

from tests.browser.clicking import ClickerPage
from tests.browser.conftest import new_context, screenshot

NOTEBOOK = "04_click.ipynb"


@pytest.fixture(scope="module")
def voila(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address at which Voilà serves the notebook."""
    home = tmp_path_factory.mktemp("voila")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    isolated = {"HOME": str(home), "JUPYTER_CONFIG_DIR": str(home), "IPYTHONDIR": str(home)}
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "voila", str(repository / "notebooks" / NOTEBOOK)),
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


def test_voila_serves_the_lesson_and_it_is_clicked(browser: Browser, voila: str) -> None:
    context = new_context(browser)
    page = context.new_page()
    page.goto(voila)
    clicker = ClickerPage(SimpleNamespace(page=page))
    clicker.wait_for_photo()
    clicker.canvas.scroll_into_view_if_needed()
    screenshot(page, "clicker-voila")
    width, height = clicker.size()
    clicker.click(width // 2, height // 2)
    screenshot(page, "clicker-voila-clicked")
    context.close()
