"""The video clicker in a real JupyterLab: click, follow, stop, scrub, correct, undo."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.clicking import ClickerPage
from tests.conftest import REPOSITORY

# Squares of 12 pixels on frames of 64x48, which the canvas shows 11.25 times as large.
FRAMES, SCALE = 20, 11.25
PREPARE = f"""
import sys, time
sys.path.insert(0, {str(REPOSITORY)!r})
import sam2lab
from tests.runtime.video.fake import FakeVideoEngine, clip
from tests.widgets.session.videos import Bold

class Slow(FakeVideoEngine):
    pause_s = 0.0

    def condition(self, features, memories):
        time.sleep(self.pause_s)
        return super().condition(features, memories)

slow = Slow()
engines = {{"plain": sam2lab.Segmenter(slow), "bold": sam2lab.Segmenter(Bold())}}
clicker = sam2lab.VideoClicker(engines, clip({FRAMES}, hidden=range(6, 9)))
clicker
"""


@pytest.fixture
def video(clicker: ClickerPage) -> ClickerPage:
    """Two squares, one of which is clicked; nothing is followed yet."""
    clicker.lab.run_code(PREPARE)
    clicker.wait_for_photo()
    clicker.canvas.scroll_into_view_if_needed()
    clicker.click(8 * SCALE, 8 * SCALE)
    assert clicker.ask("int(clicker.masks[1].sum())") > 50
    return clicker


def test_objects_are_followed_corrected_and_compared(video: ClickerPage) -> None:
    video.find("next").click()
    video.click(8 * SCALE, 22 * SCALE)
    follow(video)
    press(video, "u")
    expect(video.find("object-figures").first).to_have_text("not followed to this frame")
    press(video, "U")
    with video.changing():
        video.page.mouse.click(*on_strip(video, 7))
    assert video.ask("clicker.frame") == 7
    expect(video.find("object-figures").first).to_contain_text("absent")
    press(video, ".")
    assert video.ask("clicker.frame") == 8
    video.click(24 * SCALE, 8 * SCALE, button="right")
    assert video.ask("clicker.session.timeline().corrected[8].item()") is True
    video.lab.screenshot("video-clicker")
    with video.changing():
        video.find("follow-on").click()
    expect(video.find("frame-label")).to_have_text(f"{FRAMES} of {FRAMES}")
    with video.changing():
        video.find("engine").locator("select").select_option("bold")
    expect(video.find("object-figures").first).to_have_text("not followed to this frame")
    follow(video, "f")
    with video.changing():
        video.find("compare").locator("select").select_option("plain")
    expect(video.find("disagreement")).to_contain_text("IoU")


def test_following_shows_its_progress_and_stops_when_asked(video: ClickerPage) -> None:
    video.lab.ask("setattr(slow, 'pause_s', 0.5)")
    video.find("follow-all").click()
    expect(video.find("progress")).to_contain_text("plain follows: frame 3 of 20")
    video.lab.screenshot("video-clicker-follows")
    video.find("cancel").click()
    expect(video.find("progress")).to_be_hidden()
    video.wait_for_rest()
    followed = video.ask("int((clicker.session.timeline().presence >= 0).sum())")
    assert 3 <= followed < FRAMES
    press(video, "u")
    assert video.ask("int((clicker.session.timeline().presence >= 0).sum())") == 1


def test_mouse_and_finger_drag_along_the_strip_and_keys_step(video: ClickerPage) -> None:
    mouse = video.page.mouse
    mouse.move(*on_strip(video, 2))
    mouse.down()
    # The hand leaves the strip meanwhile.
    for frame, down in ((5, 0), (9, 25), (13, 25)):
        with video.changing():
            mouse.move(*on_strip(video, frame, down))
        assert video.ask("clicker.frame") == frame
    mouse.up()
    video.page.wait_for_timeout(100)
    mouse.move(*on_strip(video, 3))
    with video.changing():
        video.swipe([on_strip(video, 17), on_strip(video, 15), on_strip(video, 12)])
    assert video.ask("clicker.frame") == 12
    for key, frame in ((",", 11), ("Home", 0), ("End", 19)):
        press(video, key)
        assert video.ask("clicker.frame") == frame
    video.page.set_viewport_size({"width": 400, "height": 1250})
    video.page.evaluate("jupyterapp.shell.collapseLeft()")
    video.canvas.scroll_into_view_if_needed()
    with video.changing():
        video.swipe([on_strip(video, 6)])
    assert video.ask("clicker.frame") == 6
    video.lab.screenshot("video-clicker-narrow")
    video.page.set_viewport_size({"width": 1500, "height": 1250})


def follow(video: ClickerPage, key: str = "") -> None:
    """Follow everything from the first prompt, by the button or a key, and wait for the end."""
    with video.changing():
        if key:
            video.canvas.focus()
            video.page.keyboard.press(key)
        else:
            video.find("follow-all").click()
    expect(video.find("frame-label")).to_have_text(f"{FRAMES} of {FRAMES}")


def press(video: ClickerPage, key: str) -> None:
    """Press a key while the frame has the focus, and wait until the canvas has changed."""
    video.canvas.focus()
    with video.changing():
        video.page.keyboard.press(key)


def on_strip(video: ClickerPage, frame: int, down: int = 0) -> tuple[float, float]:
    """Where on the page a frame is on the strip, or so many pixels under it."""
    box = video.find("strip").bounding_box()
    assert box is not None
    return box["x"] + (frame + 0.5) / FRAMES * box["width"], box["y"] + 6 + down
