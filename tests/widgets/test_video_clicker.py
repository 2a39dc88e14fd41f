"""The video clicker does what its buttons, keys and strip say, without a browser."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time

import numpy as np
import pytest

import sam2lab
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.widgets.canvas.layers import Masks
from sam2lab.widgets.session import Point
from sam2lab.widgets.testing import Robot, send
from sam2lab.widgets.video_clicker import VideoClicker
from tests.runtime.video.fake import FakeVideoEngine
from tests.widgets.session.videos import CLIP, FRAMES, GREEN, RED, Bold, Fragile


@pytest.fixture
def fragile() -> Fragile:
    return Fragile()


@pytest.fixture
def clicker(fragile: Fragile) -> VideoClicker:
    return VideoClicker({"plain": Segmenter(fragile), "bold": Segmenter(Bold())}, CLIP)


@pytest.fixture
def robot(clicker: VideoClicker) -> Robot:
    return Robot(clicker)


def followed(robot: Robot) -> None:
    robot.click(*map(int, RED))
    robot.press("next")
    robot.click(*map(int, GREEN))
    robot.key("f")


def drawn(clicker: VideoClicker) -> Masks:
    """What is drawn of the active object."""
    drawing = clicker.screen.stage._drawing
    assert drawing is not None
    return drawing.active


def rows(clicker: VideoClicker) -> list[str]:
    return [row.figures.value for row in clicker.screen.objects.rows]


def test_a_click_gives_a_mask_on_its_frame(clicker: VideoClicker, robot: Robot) -> None:
    robot.click(8, 8)
    assert clicker.prompts == (Point(8, 8),)
    assert clicker.masks[1][8, 8]
    assert "px · score" in rows(clicker)[0]
    robot.key(".")
    assert (clicker.frame, clicker.prompts, len(clicker.masks)) == (1, (), 0)
    assert rows(clicker) == ["not followed to this frame"]
    robot.key(",")
    robot.click(8, 8)
    assert clicker.prompts == ()


def test_following_shows_all_frames_and_is_one_step_to_undo(
    clicker: VideoClicker, robot: Robot
) -> None:
    followed(robot)
    assert clicker.frame == FRAMES - 1
    assert set(clicker.masks) == {1, 2}
    clicker.screen.timeline.play.value = 3
    assert rows(clicker)[0].startswith("absent · there: 12%")
    assert clicker.screen.timeline.label.value == f"4 of {FRAMES}"
    robot.press("undo")
    assert len(clicker.masks) == 0
    robot.press("redo")
    assert set(clicker.masks) == {1, 2}


def test_following_goes_on_and_back_from_here(clicker: VideoClicker, robot: Robot) -> None:
    clicker.session.go_to(4)
    robot.click(16, 22)
    back, _, on = clicker.screen.timeline.follow
    on.click()
    clicker.wait()
    assert (clicker.session.timeline(1).presence >= 0).tolist() == [False] * 4 + [True] * 3
    clicker.session.go_to(4)
    back.click()
    clicker.wait()
    assert clicker.frame == 0
    assert (clicker.session.timeline(1).presence >= 0).all()


def test_mouse_and_finger_drag_along_the_strip(clicker: VideoClicker, robot: Robot) -> None:
    followed(robot)
    scrubber = clicker.screen.timeline.scrubber
    # The page shows the strip 140 pixels wide, 30 from the left.
    where = {"boundingRectLeft": 30, "boundingRectWidth": 140}
    assert scrubber.moves.watched_events == []
    send(scrubber.presses, {"type": "mousedown", "button": 0, "clientX": 80, **where})
    assert clicker.frame == 2
    for client_x, frame in ((100, 3), (300, 6), (0, 0)):
        send(scrubber.moves, {"type": "mousemove", "buttons": 1, "clientX": client_x})
        assert clicker.frame == frame
    send(scrubber.moves, {"type": "mouseup", "buttons": 0, "clientX": 60})
    assert clicker.frame == 0
    assert scrubber.moves.watched_events == []
    for kind, client_x, frame in (("touchstart", 140, 5), ("touchmove", 120, 4)):
        touch = {"clientX": client_x, **where}
        send(scrubber.fingers, {"type": kind, "targetTouches": [touch]})
        assert clicker.frame == frame


def test_playing_and_keys_go_to_frames(clicker: VideoClicker, robot: Robot) -> None:
    play = clicker.screen.timeline.play
    play.value = 5
    assert clicker.frame == 5
    for key, frame in ((".", 6), (".", 6), (",", 5), ("Home", 0), (",", 0), ("End", 6)):
        robot.key(key)
        assert clicker.frame == play.value == frame


def test_a_click_is_previewed_under_the_pointer(clicker: VideoClicker, robot: Robot) -> None:
    robot.hover(8, 8)
    assert drawn(clicker) == ()
    clicker.screen.display.hover.value = True
    # On a frame that was not followed, too.
    robot.key(".")
    robot.hover(10, 8)
    clicker.wait()
    ((preview, _),) = drawn(clicker)
    robot.leave()
    assert drawn(clicker) == ()
    assert not clicker.session.can_undo
    robot.click(10, 8)
    assert np.array_equal(preview.unpack(), clicker.masks[1])


def test_clicks_that_wait_are_made_on_the_frame_that_they_were_meant_for(
    clicker: VideoClicker, robot: Robot, fragile: Fragile
) -> None:
    fragile.gate.clear()

    async def in_a_notebook() -> None:
        clicker._controller.point(8, 8, False, 1)
        clicker._controller.point(9, 10, False, 1)
        for _ in range(3):
            clicker._controller.step(1)
        clicker._controller.point(14, 8, False, 1)
        clicker._controller.follow("on")
        assert clicker.frame == 0
        fragile.gate.set()
        while clicker._controller.work.count or clicker._controller.following.is_running:
            await asyncio.sleep(0.001)

    asyncio.run(in_a_notebook())
    (item,) = clicker.objects
    assert {frame: len(prompts) for frame, prompts in item.prompts.items()} == {0: 2, 3: 1}
    assert (clicker.session.timeline().presence[3:] >= 0).all()


def test_cells_and_messages_may_act_at_the_same_time(clicker: VideoClicker, robot: Robot) -> None:
    robot.click(8, 8)
    inside: list[int] = []
    clicker.observe(lambda _: inside.append(threading.get_ident()), "frame")
    clicker.observe(lambda _: time.sleep(0.002), "frame")
    clicker.observe(lambda _: inside.append(threading.get_ident()), "frame")

    def scrub(frames: range) -> None:
        for frame in frames:
            clicker.session.go_to(frame)

    threads = [threading.Thread(target=scrub, args=(range(7),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inside[::2] == inside[1::2]
    assert clicker.frame == clicker.session.frame == 6


def test_buttons_are_disabled_where_they_do_nothing(clicker: VideoClicker, robot: Robot) -> None:
    timeline = clicker.screen.timeline
    assert all(button.disabled for button in timeline.follow)
    assert timeline.back.disabled
    assert not timeline.on.disabled
    followed(robot)
    assert not any(button.disabled for button in timeline.follow)
    assert timeline.on.disabled


def test_progress_is_shown_until_it_is_done(clicker: VideoClicker, robot: Robot) -> None:
    robot.click(8, 8)
    progress = clicker.screen.progress
    assert progress.widget.layout.display == "none"
    clicker.screen.timeline.follow[1].click()
    assert progress.widget.layout.display == "flex"
    assert "plain follows" in progress.bar.value
    clicker.wait()
    assert progress.widget.layout.display == "none"


def test_what_was_followed_is_kept_when_stopped_and_each_frame_is_told_in_a_notebook(
    clicker: VideoClicker, robot: Robot
) -> None:
    robot.click(8, 8)
    seen: list[int] = []
    clicker.observe(lambda change: seen.append(change["new"]), "frame")

    async def in_a_notebook() -> None:
        clicker.screen.timeline.follow[1].click()
        while clicker.frame < 2 and clicker.session.is_propagating | (not seen):
            await asyncio.sleep(0.001)
        clicker.screen.progress.stop.click()
        while clicker.screen.progress.widget.layout.display != "none":
            await asyncio.sleep(0.001)

    asyncio.run(in_a_notebook())
    assert seen == sorted(seen)
    tracked = clicker.session.timeline(1).presence >= 0
    assert tracked[: clicker.frame + 1].all()
    assert clicker.session.can_undo


def test_an_engine_that_fails_is_reported(
    clicker: VideoClicker, robot: Robot, fragile: Fragile
) -> None:
    robot.click(8, 8)
    fragile.breaks_in = "condition"
    clicker.screen.timeline.follow[1].click()
    clicker.wait()
    assert "the line is dead" in clicker.screen.message.value
    assert "frames that were done are kept" in clicker.screen.message.value
    fragile.breaks_in = "decode_objects"
    robot.click(30, 40)
    assert "nothing was changed" in clicker.screen.message.value
    assert clicker.prompts == (Point(8, 8),)


def test_a_comparison_that_fails_is_given_up(clicker: VideoClicker, robot: Robot, fragile: Fragile):
    clicker.screen.engine.engine.value = "bold"
    clicker.wait()
    robot.click(8, 8)
    fragile.breaks_in = "encode"
    clicker.screen.engine.other.value = "plain"
    clicker.wait()
    assert "the line is dead" in clicker.screen.message.value
    assert clicker.screen.engine.other.value == "nothing"


def test_engines_are_switched_and_compared(clicker: VideoClicker, robot: Robot) -> None:
    robot.click(8, 8)
    panel = clicker.screen.engine
    panel.other.value = "bold"
    clicker.wait()
    assert "IoU" in panel.note.value
    robot.key("f")
    assert panel.note.value == "bold has no mask of this object here"
    panel.engine.value = "bold"
    clicker.wait()
    assert clicker.session.engine == "bold"
    assert panel.other.value == "nothing"
    robot.key("Home")
    assert clicker.masks[1].any()


def test_objects_are_hidden_renamed_and_deleted_in_their_rows(
    clicker: VideoClicker, robot: Robot
) -> None:
    followed(robot)
    row = clicker.screen.objects.rows[0]
    row.name.value = "red square"
    row.hide.click()
    clicker.wait()
    assert (clicker.objects[0].name, clicker.objects[0].hidden) == ("red square", True)
    row.delete.click()
    clicker.wait()
    assert [item.id for item in clicker.objects] == [2]


def test_files_are_offered_and_forgotten_when_masks_change(
    clicker: VideoClicker, robot: Robot
) -> None:
    followed(robot)
    panel = clicker.screen.take_away
    panel.format.value = "youtube_vis"
    panel.make.click()
    clicker.wait()
    data = panel.link.value.split("base64,")[1].split('"')[0]
    assert len(json.loads(base64.b64decode(data))["annotations"]) == 2
    clicker.session.go_to(2)
    assert panel.link.value
    robot.press("undo")
    assert panel.link.value == ""


def test_another_video_is_opened_from_a_path_and_a_wrong_one_is_refused(
    clicker: VideoClicker, robot: Robot, tmp_path
) -> None:
    from PIL import Image

    first, *others = map(Image.fromarray, CLIP[:3])
    first.save(tmp_path / "short.webp", save_all=True, append_images=others, lossless=True)
    panel = clicker.screen.video
    panel.path.value = str(tmp_path / "nowhere.mp4")
    assert "no file or folder" in clicker.screen.message.value
    assert f"{FRAMES} frames" in panel.about.value
    panel.path.value = str(tmp_path / "short.webp")
    assert "short.webp: 3 frames of 64 × 48" in panel.about.value
    assert np.array_equal(clicker.session.photo, CLIP[0])
    assert clicker.screen.timeline.play.max == 2


def test_it_opens_without_a_video_and_says_what_to_do() -> None:
    clicker = sam2lab.VideoClicker(Segmenter(FakeVideoEngine()))
    assert "Choose a video" in clicker.screen.message.value
    clicker.screen.toolbar.buttons["undo"].click()
    clicker.screen.timeline.follow[1].click()
    clicker.wait()
    assert "no video yet" in clicker.screen.message.value
