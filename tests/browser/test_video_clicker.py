"""The video clicker in a real JupyterLab: click, follow, scrub, correct, undo."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.clicking import ClickerPage
from tests.conftest import REPOSITORY

# Squares of 12 pixels on frames of 64x48, which the canvas shows 11.25 times as large.
PREPARE = f"""
import sys
sys.path.insert(0, {str(REPOSITORY)!r})
import sam2lab
from tests.runtime.video.fake import FakeVideoEngine, clip
from tests.widgets.session.videos import Bold

engines = {{"plain": sam2lab.Segmenter(FakeVideoEngine()), "bold": sam2lab.Segmenter(Bold())}}
clicker = sam2lab.VideoClicker(engines, clip(20, hidden=range(6, 9)))
clicker
"""
SCALE = 11.25


def test_objects_are_clicked_followed_scrubbed_and_corrected(clicker: ClickerPage) -> None:
    clicker.lab.run_code(PREPARE)
    clicker.wait_for_photo()
    clicker.canvas.scroll_into_view_if_needed()
    clicker.click(8 * SCALE, 8 * SCALE)
    assert clicker.ask("int(clicker.masks[1].sum())") > 50
    clicker.find("next").click()
    clicker.click(8 * SCALE, 22 * SCALE)
    with clicker.changing():
        clicker.find("follow-all").click()
        expect(clicker.find("frame-label")).to_have_text("20 of 20")
    expect(clicker.find("progress")).to_be_hidden()
    strip = clicker.page.locator("canvas.sam2lab-strip")
    box = strip.bounding_box()
    assert box is not None
    with clicker.changing():
        clicker.page.mouse.click(box["x"] + 7.5 / 20 * box["width"], box["y"] + 6)
    assert clicker.ask("clicker.frame") == 7
    expect(clicker.find("object-figures").first).to_contain_text("absent here")
    with clicker.changing():
        clicker.find("step-on").click()
    assert clicker.ask("clicker.frame") == 8
    clicker.click(24 * SCALE, 8 * SCALE, button="right")
    assert clicker.ask("clicker.session.timeline().corrected[8].item()") is True
    clicker.lab.screenshot("video-clicker")
    clicker.press("undo")
    assert clicker.ask("clicker.session.timeline().corrected[8].item()") is False
    clicker.canvas.focus()
    with clicker.changing():
        clicker.page.keyboard.press(".")
    assert clicker.ask("clicker.frame") == 9
