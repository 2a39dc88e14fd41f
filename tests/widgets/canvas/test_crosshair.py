"""Arrow keys move a crosshair and other keys click with it, without a mouse."""

from __future__ import annotations

from typing import Any

import ipywidgets
import numpy as np
import pytest

from sam2lab.runtime.segmenter import Segmenter
from sam2lab.widgets.canvas import crosshair
from sam2lab.widgets.canvas.crosshair import LEAP, STEP_PX
from sam2lab.widgets.canvas.viewport import middle
from sam2lab.widgets.clicker import Clicker
from sam2lab.widgets.panels.toolbar import ACTIONS
from sam2lab.widgets.session.prompts import Box, Point
from sam2lab.widgets.testing import Robot
from tests.runtime.fakes import FakeEngine

# As large as the canvas: an arrow moves by STEP_PX of its pixels.
PHOTO = np.zeros((540, 720, 3), np.uint8)
STEP = round(STEP_PX)
MIDDLE = (360, 270)


@pytest.fixture
def robot() -> Robot:
    return opened(PHOTO)


def opened(photo: np.ndarray) -> Robot:
    robot = Robot(Clicker(Segmenter(FakeEngine((512, 512))), photo))
    robot.clicker.wait()
    return robot


def keys(robot: Robot, *pressed: str) -> None:
    """Press these; "Shift+" in front of one means that it is held."""
    for key in pressed:
        robot.key(key.removeprefix("Shift+"), shift=key.startswith("Shift+"))


def place(robot: Robot) -> tuple[int, int] | None:
    return robot.clicker.screen.stage.crosshair


def seen(robot: Robot) -> list[str]:
    """The kinds of marks on the canvas that are not prompts."""
    stage = robot.clicker.screen.stage
    return [mark.kind for mark in stage._guides.marks(stage.view)]


def said(robot: Robot) -> str:
    return robot.clicker.screen.message.value


@pytest.mark.parametrize("key", ["ArrowLeft", "Enter", " ", "Shift+Enter", "e"])
def test_the_first_key_shows_the_crosshair_and_points_at_nothing(robot: Robot, key: str) -> None:
    assert seen(robot) == []
    keys(robot, key)
    assert (place(robot), seen(robot)) == (MIDDLE, ["crosshair"])
    assert robot.clicker.prompts == ()
    assert 'role="status"' in said(robot)
    assert "Arrow keys" in said(robot)


@pytest.mark.parametrize(
    ("key", "across", "down"),
    [
        ("ArrowLeft", -STEP, 0),
        ("ArrowRight", STEP, 0),
        ("ArrowUp", 0, -STEP),
        ("ArrowDown", 0, STEP),
        ("Shift+ArrowRight", LEAP * STEP, 0),
        ("Shift+ArrowUp", 0, -LEAP * STEP),
    ],
)
def test_arrows_move_the_crosshair_and_shift_moves_it_far(
    robot: Robot, key: str, across: int, down: int
) -> None:
    keys(robot, "ArrowLeft", key)
    assert place(robot) == (MIDDLE[0] + across, MIDDLE[1] + down)
    assert f"{MIDDLE[0] + across}, {MIDDLE[1] + down}" in said(robot)


@pytest.mark.parametrize(
    ("key", "positive"),
    [("Enter", True), (" ", True), ("Shift+Enter", False), ("Shift+ ", False)],
)
def test_a_key_adds_a_point_there_and_shift_reverses_its_sign(
    robot: Robot, key: str, positive: bool
) -> None:
    keys(robot, "ArrowUp", "ArrowUp", key)
    assert robot.clicker.prompts == (Point(360, 270 - STEP, positive),)
    robot.clicker.screen.toolbar.tool.value = "negative"
    keys(robot, "Shift+ArrowLeft", key)
    assert robot.clicker.prompts[1].positive != positive


def test_the_answer_is_the_same_as_to_a_click_of_the_mouse(robot: Robot) -> None:
    keys(robot, "ArrowUp", "ArrowUp", "Enter")
    other = opened(PHOTO)
    other.click(360, 270 - STEP)
    np.testing.assert_array_equal(robot.clicker.masks[1], other.clicker.masks[1])
    keys(robot, "Enter")
    assert robot.clicker.prompts == (), "on a point that is there, as with the mouse"


@pytest.mark.parametrize("end", ["e", "Shift+E", "Enter"])
def test_two_corners_make_a_box(robot: Robot, end: str) -> None:
    keys(robot, "ArrowUp", "e")
    assert seen(robot) == ["corner", "crosshair"]
    assert "Escape" in said(robot)
    keys(robot, "Shift+ArrowLeft", "ArrowDown")
    assert seen(robot) == ["box", "crosshair"]
    keys(robot, end)
    assert robot.clicker.prompts == (Box(360 - LEAP * STEP, 270, 361, 270 + STEP + 1),)
    assert seen(robot) == ["crosshair"]


def test_with_the_box_tool_enter_sets_a_corner(robot: Robot) -> None:
    robot.clicker.screen.toolbar.tool.value = "box"
    keys(robot, "ArrowUp", "Enter", "Shift+ArrowRight", "Shift+ArrowDown", "Enter")
    assert robot.clicker.prompts == (Box(360, 270, 361 + LEAP * STEP, 271 + LEAP * STEP),)


def test_escape_gives_up_a_box_first_and_then_leaves_the_photo(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[Any] = []
    monkeypatch.setattr(ipywidgets.DOMWidget, "blur", lambda self: left.append(self))
    keys(robot, "ArrowUp", "e", "Shift+ArrowLeft", "Escape")
    assert (seen(robot), left) == (["crosshair"], [])
    keys(robot, "Enter")
    assert robot.clicker.prompts == (Point(360 - LEAP * STEP, 270),)
    keys(robot, "Escape")
    assert (seen(robot), left) == ([], [robot.clicker.screen.stage.layers.canvas])


def test_the_mouse_takes_over_and_the_keys_go_on_where_it_clicked(robot: Robot) -> None:
    keys(robot, "ArrowUp")
    robot.hover(100, 100)
    assert seen(robot) == []
    assert robot.clicker.screen.stage.pointer.moves.watched_events == [], "as before"
    keys(robot, "ArrowUp")
    assert place(robot) == MIDDLE
    robot.hover(100, 100)
    robot.click(50, 60)
    keys(robot, "ArrowUp")
    assert place(robot) == (50, 60)


def test_previews_go_on_under_the_mouse_and_are_shown_under_the_crosshair(robot: Robot) -> None:
    clicker = robot.clicker
    clicker.screen.display.hover.value = True
    keys(robot, "ArrowUp")
    ((packed, _),) = clicker.screen.stage._drawing.active
    np.testing.assert_array_equal(packed.unpack(), clicker.session.preview(*MIDDLE))
    keys(robot, "e")
    assert clicker.screen.stage._drawing.active == (), "a corner of a box finds nothing yet"
    robot.hover(100, 100)
    assert clicker.screen.stage.pointer.moves.watched_events == ["mousemove"]


def test_the_crosshair_stops_at_the_edge_of_the_photo(robot: Robot) -> None:
    keys(robot, "ArrowUp", *["Shift+ArrowLeft"] * 20, *["Shift+ArrowDown"] * 20)
    assert place(robot) == (0, 539)
    keys(robot, "Enter")
    assert robot.clicker.prompts == (Point(0, 539),)


@pytest.mark.parametrize("size", [(20, 20), (1500, 40), (40, 1500), (1200, 1600)])
@pytest.mark.parametrize("key", ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"])
def test_zoomed_the_crosshair_stays_in_sight_and_the_photo_moves_along(
    size: tuple[int, int], key: str
) -> None:
    robot = opened(np.zeros((*size, 3), np.uint8))
    stage = robot.clicker.screen.stage
    keys(robot, key, *["+"] * 9)
    for _ in range(30):
        keys(robot, f"Shift+{key}")
        x, y = stage.view.to_canvas(*middle(place(robot)))
        height, width = stage.view.size
        assert 0 <= x <= width
        assert 0 <= y <= height
    keys(robot, "Enter")
    assert [(point.x, point.y) for point in robot.clicker.prompts] == [place(robot)]


def test_keys_zoom_at_the_crosshair_and_zoomed_an_arrow_goes_less_far(robot: Robot) -> None:
    keys(robot, "ArrowUp", "Shift+ArrowLeft", "Shift+ArrowUp")
    stage = robot.clicker.screen.stage
    here = middle(place(robot))
    before = stage.view.to_canvas(*here)
    keys(robot, "+")
    assert stage.view.to_canvas(*here) == pytest.approx(before)
    keys(robot, *["+"] * 9, "ArrowLeft")
    assert middle(place(robot)) == (here[0] - 1, here[1])


def test_the_crosshair_stays_in_sight_when_the_photo_is_moved(robot: Robot) -> None:
    keys(robot, "ArrowUp", "+", "+", "+")
    for _ in range(5):
        robot.press("pan-left")
    x0, y0, x1, y1 = robot.clicker.screen.stage.view.visible
    x, y = place(robot)
    assert x0 <= x < x1
    assert y0 <= y < y1
    assert place(robot) != MIDDLE


def test_another_photo_begins_without_the_crosshair(robot: Robot) -> None:
    keys(robot, "ArrowUp", "e")
    robot.clicker.session.open_image(PHOTO[:60, :90])
    robot.clicker.wait()
    assert seen(robot) == []
    keys(robot, "ArrowUp")
    assert place(robot) == (45, 30)


def test_without_a_photo_there_is_nothing_to_point_at() -> None:
    robot = Robot(Clicker(Segmenter(FakeEngine())))
    before = said(robot)
    keys(robot, "ArrowUp", "Enter", "e")
    assert robot.clicker.screen.stage.crosshair is None
    assert said(robot) == before


def test_no_key_of_the_crosshair_has_another_meaning() -> None:
    ours = {*crosshair.ARROWS, *crosshair.CLICKS, crosshair.CORNER, crosshair.CORNER.upper()}
    assert not ours & {key for action in ACTIONS for key in action.keys}
