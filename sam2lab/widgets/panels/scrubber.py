"""Turns a press on a strip, and the movements after it, into places along it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ipyevents import Event
from ipywidgets import DOMWidget

from sam2lab.widgets.canvas.pointer import LEFT, MOVES_EVERY_MS


class Scrubber:
    """Calls `moved` with a place along `strip`: 0 is its left end, 1 its right one.

    While the mouse is pressed, it is followed over all of `around`, because a strip is low and a
    hand leaves it easily. A finger is followed wherever it goes.
    """

    def __init__(self, strip: DOMWidget, around: DOMWidget, moved: Callable[[float], None]) -> None:
        self._moved = moved
        self._left, self._width = 0.0, 1.0
        self.presses = Event(
            source=strip, watched_events=["mousedown"], prevent_default_action=True
        )
        self.moves = Event(source=around, watched_events=[], wait=MOVES_EVERY_MS)
        self.fingers = Event(
            source=strip, watched_events=["touchstart", "touchmove"], wait=MOVES_EVERY_MS
        )
        self.presses.on_dom_event(self._press)
        self.moves.on_dom_event(self._move)
        self.fingers.on_dom_event(self._touch)

    def _press(self, event: Mapping[str, Any]) -> None:
        if event["button"] == LEFT:
            self.moves.watched_events = ["mousemove", "mouseup"]
            self._begin(event)

    def _move(self, event: Mapping[str, Any]) -> None:
        if event["buttons"]:
            self._go(event["clientX"])
        else:
            # Released, here or outside; or the browser had no time to watch before the release.
            self.moves.watched_events = []

    def _touch(self, event: Mapping[str, Any]) -> None:
        if event["targetTouches"]:
            self._begin(event["targetTouches"][0])

    def _begin(self, event: Mapping[str, Any]) -> None:
        self._left = event["boundingRectLeft"]
        self._width = event["boundingRectWidth"] or 1.0
        self._go(event["clientX"])

    def _go(self, client_x: float) -> None:
        # Browsers round the pointer down to whole pixels.
        self._moved((client_x + 0.5 - self._left) / self._width)
