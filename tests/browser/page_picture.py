"""Makes the picture of the page that segments: a photo, clicked by a real mouse.

python -m pytest tests/browser/page_picture.py
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser

from sam2lab import settings
from sam2lab.web import write_page
from tests.browser.page_user import PageUser, served
from tests.browser.test_page import COFFEE, Chromium

SPOON, CUP = ((320, 230), (400, 330)), ((170, 15), (400, 250))


def test_picture(browser: Browser, repository: Path, tmp_path: Path) -> None:
    write_page(settings.nano_folder(), tmp_path / "site")
    window = {"width": 1240, "height": 872}
    page = browser.new_page(viewport=window, color_scheme="light")
    with served(tmp_path / "site") as url:
        page.goto(url)
        user = PageUser(Chromium(page))
        user.wait_until_said("ready")
        for name, box in {"spoon": SPOON, "cup": CUP}.items():
            user.press("new")
            user.drag(*box, COFFEE)
            field = page.locator(".object .name").last
            field.fill(name)
            field.press("Enter")
        page.locator("#tidy").check()
        user.wait_for_answer()
        page.mouse.move(5, 5)
        page.locator("h1").click()
        with Image.open(io.BytesIO(page.screenshot())) as picture:
            file = repository / "docs" / "page.webp"
            picture.convert("RGB").save(file, quality=88, method=6)
    page.close()
