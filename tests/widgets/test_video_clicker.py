"""The video clicker does what its buttons, keys and strip say, without a browser."""

from __future__ import annotations

import asyncio
import base64
import json

import numpy as np
import pytest

import sam2lab
from sam2lab.runtime.segmenter import Segmenter
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
    clicker.screen.timeline.slider.value = 3
    assert rows(clicker)[0].startswith("absent here")
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


def test_a_click_on_the_strip_goes_to_its_frame(clicker: VideoClicker, robot: Robot) -> None:
    followed(robot)
    timeline = clicker.screen.timeline
    send(timeline.canvas, {"event": "client_ready"})
    width = timeline.canvas.width
    send(timeline.canvas, {"event": "mouse_down", "x": 2.5 * width / FRAMES, "y": 5})
    assert clicker.frame == 2
    assert timeline.slider.value == timeline.play.value == 2
    timeline.play.value = 5
    assert clicker.frame == 5


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
    fragile.breaks_in = "decode_objects"
    robot.click(30, 40)
    assert "the line is dead" in clicker.screen.message.value
    assert clicker.prompts == (Point(8, 8),)


def test_engines_are_switched_and_compared(clicker: VideoClicker, robot: Robot) -> None:
    robot.click(8, 8)
    panel = clicker.screen.engine
    panel.other.value = "bold"
    clicker.wait()
    assert "IoU" in panel.note.value
    panel.engine.value = "bold"
    clicker.wait()
    assert clicker.session.engine == "bold"
    assert panel.other.value == "nothing"
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
    assert clicker.screen.timeline.slider.max == 2


def test_it_opens_without_a_video_and_says_what_to_do() -> None:
    clicker = sam2lab.VideoClicker(Segmenter(FakeVideoEngine()))
    assert "Choose a video" in clicker.screen.message.value
    clicker.screen.toolbar.buttons["undo"].click()
    clicker.screen.timeline.follow[1].click()
    clicker.wait()
    assert "no video" in clicker.screen.message.value
