"""The gestures that the pointer recognises in events of the browser."""

from __future__ import annotations

from typing import Any

import pytest
from ipywidgets import Box

from sam2lab.widgets.canvas.pointer import LEFT, MIDDLE, RIGHT, Pointer
from sam2lab.widgets.testing import send


class Told:
    """Records every gesture."""

    def __init__(self) -> None:
        self.all: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **named: self.all.append((name, *args, *named.values()))

    def last(self, name: str) -> tuple[Any, ...]:
        return next(told for told in reversed(self.all) if told[0] == name)


class Mouse:
    """A mouse over a canvas of 400 x 300 pixels that the page shows at half its size."""

    def __init__(self) -> None:
        self.told = Told()
        self.pointer = Pointer(Box(), self.told)
        self.pointer.size = (300, 400)
        self.stamp = 0.0

    def __call__(self, kind: str, x: float, y: float, **about: Any) -> None:
        self.stamp += 1
        keys = dict.fromkeys(("altKey", "ctrlKey", "metaKey", "shiftKey"), False)
        rectangle = {
            "boundingRectLeft": 10,
            "boundingRectTop": 20,
            "boundingRectWidth": 200,
            "boundingRectHeight": 150,
            "clientX": 10 + x / 2 - 0.5,
            "clientY": 20 + y / 2 - 0.5,
        }
        said = {"type": kind, "timeStamp": self.stamp, "button": LEFT, "buttons": 1}
        event = {"mousemove": self.pointer.moves, "wheel": self.pointer.wheel}
        content = said | keys | rectangle | about
        send(event.get(kind, self.pointer.presses), content)


@pytest.fixture
def mouse() -> Mouse:
    return Mouse()


@pytest.mark.parametrize(
    ("about", "opposite"),
    [
        ({}, False),
        ({"button": RIGHT}, True),
        ({"shiftKey": True}, True),
        ({"ctrlKey": True}, True),
    ],
)
def test_a_click_is_reported_in_canvas_pixels_with_its_sign(
    mouse: Mouse, about: dict[str, Any], opposite: bool
) -> None:
    mouse("mousedown", 100, 60, **about)
    mouse("mouseup", 102, 61, **about)
    assert mouse.told.all == [("clicked", 100, 60, opposite)]


def test_a_drag_is_reported_on_the_way_and_at_the_end(mouse: Mouse) -> None:
    mouse("mousedown", 100, 60)
    mouse("mousemove", 103, 61)
    assert mouse.told.all == [], "a hand that shakes"
    mouse("mousemove", 200, 160)
    mouse("mouseup", 20, 10)
    assert mouse.told.all[0] == ("dragging", (100, 60), (200, 160))
    assert mouse.told.all[-1] == ("dragged", (100, 60), (20, 10))


def test_a_drag_without_a_reported_movement_is_a_drag(mouse: Mouse) -> None:
    mouse("mousedown", 100, 60)
    mouse("mouseup", 200, 160)
    assert mouse.told.all[-1] == ("dragged", (100, 60), (200, 160))


@pytest.mark.parametrize("about", [{"button": MIDDLE}, {"altKey": True}, {"metaKey": True}])
def test_with_a_key_or_the_middle_button_the_photo_is_moved(
    mouse: Mouse, about: dict[str, Any]
) -> None:
    mouse("mousedown", 100, 60, **about)
    mouse("mousemove", 130, 50, **about)
    mouse("mouseup", 140, 50, **about)
    assert mouse.told.all == [
        ("panned", 30, -10, False),
        ("panned", 10, 0, False),
        ("panned", 0, 0, True),
    ]


def test_a_box_that_leaves_the_canvas_ends_there(mouse: Mouse) -> None:
    mouse("mousedown", 100, 60)
    mouse("mousemove", 300, 200)
    mouse("mouseleave", 405, 210)
    assert mouse.told.last("dragged") == ("dragged", (100, 60), (405, 210))
    assert mouse.told.all[-1] == ("left",)


def test_a_press_that_leaves_without_having_moved_is_forgotten(mouse: Mouse) -> None:
    mouse("mousedown", 399, 60)
    mouse("mouseleave", 401, 60)
    mouse("mouseup", 399, 60)
    assert mouse.told.all == [("left",)]


def test_a_missed_release_is_noticed_at_the_next_movement(mouse: Mouse) -> None:
    mouse("mousedown", 100, 60)
    mouse("mousemove", 200, 160)
    mouse("mousemove", 210, 170, buttons=0)
    assert mouse.told.all[-1] == ("dragged", (100, 60), (210, 170))


def test_movements_are_watched_only_while_they_are_needed(mouse: Mouse) -> None:
    watched = mouse.pointer.moves
    assert watched.watched_events == []
    mouse("mousedown", 100, 60)
    assert watched.watched_events == ["mousemove"]
    mouse("mouseup", 100, 60)
    assert watched.watched_events == []
    mouse.pointer.watch_hovering(True)
    assert watched.watched_events == ["mousemove"]
    mouse("mousemove", 8, 6, buttons=0)
    assert mouse.told.all[-1] == ("hovered", 8, 6)


def test_the_wheel_is_watched_from_a_press_until_the_pointer_leaves(mouse: Mouse) -> None:
    assert mouse.pointer.wheel.watched_events == []
    mouse("mousedown", 100, 60)
    mouse("mouseup", 100, 60)
    assert mouse.pointer.wheel.watched_events == ["wheel"]
    mouse("wheel", 100, 60, deltaX=0, deltaY=-120, deltaMode=0, ctrlKey=True)
    assert mouse.told.all[-1] == ("wheeled", 100, 60, 0, -120, True)
    mouse("mouseleave", 405, 60)
    assert mouse.pointer.wheel.watched_events == []


def test_wheel_lines_are_converted_to_pixels(mouse: Mouse) -> None:
    mouse("wheel", 100, 60, deltaX=0, deltaY=3, deltaMode=1)
    assert mouse.told.all[-1][4] > 30


def test_an_event_that_comes_twice_counts_once(mouse: Mouse) -> None:
    mouse("mousedown", 100, 60)
    mouse("mouseup", 100, 60)
    mouse.stamp -= 1
    mouse("mouseup", 100, 60)
    assert len(mouse.told.all) == 1
