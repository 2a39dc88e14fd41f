"""The clicker as a user meets it: in a real JupyterLab, with a real mouse."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.clicking import ClickerPage


def test_a_click_gives_a_mask_and_a_drag_a_box(clicker: ClickerPage, repository: Path) -> None:
    # A photo of 600 x 400, shown with 1.2 canvas pixels for each of its own.
    photo = repository / "data" / "photos" / "coffee.jpg"
    clicker.show(f"clicker = sam2lab.Clicker(discs, {str(photo)!r})")
    assert clicker.size() == (720, 480)
    # The wood is brown, the cup's rim nearly white.
    red, green, blue = clicker.pixel(40, 400)
    assert red > green > blue
    assert min(clicker.pixel(230, 130)) > 170
    expect(clicker.message).to_contain_text("Click on something")
    clicker.lab.screenshot("clicker-first")

    before = clicker.pixel(340, 300)
    clicker.click(360, 300)
    assert clicker.prompts() == [(300, 250, True)]
    assert clicker.ask("int(clicker.masks[1].sum())") > 0
    # The mask's orange over the photo.
    assert clicker.pixel(340, 300) == pytest.approx(
        [(a + b) / 2 for a, b in zip(before, (230, 159, 0), strict=True)], abs=2
    )
    assert clicker.pixel(360, 300) == (255, 255, 255), "the plus of the point"
    clicker.lab.screenshot("clicker-left")
    clicker.press("undo")
    assert clicker.prompts() == []
    assert clicker.pixel(340, 300) == before

    page = clicker.page
    with clicker.changing():
        page.mouse.move(*clicker.on_page(180, 60))
        page.mouse.down()
        page.wait_for_timeout(150)
        page.mouse.move(*clicker.on_page(480, 360), steps=8)
    assert clicker.prompts() == [], "a box is asked about at its end"
    with clicker.changing():
        page.mouse.up()
    # The pixels of the photo that the box touches belong to it.
    assert clicker.prompts() == [(150, 50, 401, 301)]
    clicker.lab.screenshot("clicker-box")
