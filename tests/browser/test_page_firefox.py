"""The page that segments, in a real Firefox: from a server, and from disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sam2lab import settings
from sam2lab.web import write_page
from tests.browser.firefox import FIREFOX, Firefox
from tests.browser.page_user import PHOTOS, PageUser, expected, served, size_of


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    """A headless Firefox of the system; nothing is downloaded."""
    if FIREFOX is None:
        pytest.skip("no firefox on PATH (Debian: apt-get install firefox-esr)")
    firefox = Firefox(tmp_path_factory.mktemp("firefox"))
    firefox.resize(1280, 1000)
    yield firefox
    firefox.close()


def test_masks_are_those_of_sam2lab_on_every_photo(firefox: Firefox, tmp_path: Path) -> None:
    user = PageUser(firefox)
    write_page(settings.nano_folder(), tmp_path / "site")
    with served(tmp_path / "site") as url:
        firefox.requests.clear()
        firefox.open(url)
        user.wait_until_said("ready")
        for photo in sorted(PHOTOS.glob("*.jpg")):
            user.check_photo(photo)
    assert firefox.requests
    assert {each for each in firefox.requests if not each.startswith((url, "data:"))} == set()


def test_it_opens_from_disk(firefox: Firefox, tmp_path: Path) -> None:
    user = PageUser(firefox)
    page = write_page(settings.nano_folder(), tmp_path / "page.html", single_file=True)
    firefox.requests.clear()
    firefox.open(page.as_uri())
    user.wait_until_said("ready")
    user.click(300, 180, size_of("coffee.jpg"))
    user.wait_until_said("Decoded in")
    session = expected(PHOTOS / "coffee.jpg", ["a click"], (600, 400))
    assert f"score {round(100 * session.score)} %" in user.said()
    wanted = {page.as_uri()}
    assert {each for each in firefox.requests if not each.startswith("data:")} <= wanted
