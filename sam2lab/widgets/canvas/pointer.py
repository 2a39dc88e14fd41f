"""Turns the browser's events of mouse and finger into gestures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ipyevents import Event
from ipywidgets import DOMWidget

from sam2lab.widgets.canvas.viewport import Place

# A hand shakes: a press that moves less than this many CSS pixels is a click.
STILL_PX = 4.0
# The browser reports movements at most once in this many milliseconds.
MOVES_EVERY_MS = 25

# Some browsers measure the wheel in lines of text: this many pixels each.
LINE_PX = 33.0

LEFT, MIDDLE, RIGHT = range(3)


class Gestures(Protocol):
    """The methods that the pointer calls. Places are (x, y) in canvas pixels, perhaps outside."""

    def clicked(self, x: float, y: float, opposite: bool) -> None:
        """A click or tap; `opposite` with the right button, Shift, or Control on a Mac."""

    def dragging(self, start: Place, end: Place) -> None:
        """A box is being drawn."""

    def dragged(self, start: Place, end: Place) -> None:
        """A box was drawn."""

    def panned(self, dx: float, dy: float, done: bool) -> None:
        """The photo is being moved, by this much since the last call, or that is `done`."""

    def wheeled(self, x: float, y: float, dx: float, dy: float, zooms: bool) -> None:
        """The wheel was turned; `zooms` if Control, Alt or Command is held."""

    def hovered(self, x: float, y: float) -> None:
        """The pointer moved without a button pressed."""

    def left(self) -> None:
        """The pointer left the canvas."""


class Pointer:
    """Watches `source`, which lies exactly over a canvas of `size` (height, width).

    While the size is zero it reports nothing. ipycanvas' own events know neither buttons nor
    modifiers, so the style sheet lets events pass through its canvas, and ipyevents listens
    around it. The wheel counts only from a press until the pointer leaves, so that a page that
    scrolls past the canvas goes on scrolling.
    """

    def __init__(self, source: DOMWidget, gestures: Gestures) -> None:
        self.size = (0, 0)
        self._gestures = gestures
        self._start: Place | None = None
        self._last: Place | None = None
        self._button = LEFT
        self._pans = False
        self._has_moved = False
        self._hovers = False
        self._latest: tuple[Any, Any] | None = None
        # The time stamp of the latest event, which the browser gave it.
        self.heard = 0.0
        self.presses = Event(
            source=source,
            watched_events=["mousedown", "mouseup", "mouseleave", "contextmenu"],
            prevent_default_action=True,
        )
        self.moves = Event(source=source, watched_events=[], wait=MOVES_EVERY_MS)
        self.wheel = Event(source=source, watched_events=[], wait=MOVES_EVERY_MS)
        for event in (self.presses, self.moves, self.wheel):
            event.on_dom_event(self._on_event)

    def watch_hovering(self, wanted: bool) -> None:
        """Report movements while no button is pressed, or no longer."""
        self._hovers = wanted
        self._watch_moves()

    def cancel(self) -> None:
        """Forget a press that is not released yet."""
        self._start = self._last = None
        self._watch_moves()

    def _on_event(self, event: Mapping[str, Any]) -> None:
        # ipyevents may listen twice to an element that was shown again.
        stamp = event.get("type"), event.get("timeStamp")
        if stamp == self._latest and stamp[1] is not None:
            return
        self._latest, self.heard = stamp, stamp[1] or 0.0
        handle = {
            "mousedown": self._press,
            "mousemove": self._move,
            "mouseup": self._release,
            "mouseleave": self._leave,
            "wheel": self._turn,
        }.get(str(event.get("type")))
        if handle is not None and all(self.size):
            handle(event, self._place(event))

    def _place(self, event: Mapping[str, Any]) -> Place:
        """Find the place on the canvas, which the page may show smaller or larger than it is."""
        height, width = self.size
        # Browsers round the pointer down to whole pixels, and the page puts the canvas at any
        # fraction of one. The middle of the pointer's pixel lies in the right canvas pixel.
        x = event["clientX"] + 0.5 - event["boundingRectLeft"]
        y = event["clientY"] + 0.5 - event["boundingRectTop"]
        across = x / (event["boundingRectWidth"] or 1)
        down = y / (event["boundingRectHeight"] or 1)
        return across * width, down * height

    def _press(self, event: Mapping[str, Any], place: Place) -> None:
        self._start = self._last = place
        self._has_moved = False
        self._button = event["button"]
        held = event["altKey"] or event["ctrlKey"] or event["metaKey"]
        self._pans = self._button == MIDDLE or (self._button == LEFT and held)
        self._watch_moves()
        self.wheel.watched_events = ["wheel"]

    def _move(self, event: Mapping[str, Any], place: Place) -> None:
        if self._start is None:
            self._gestures.hovered(*place)
            return
        if not event["buttons"]:
            # The button was released outside, where no event reached us.
            self._release(event, place)
            return
        self._follow(event, place)

    def _follow(self, event: Mapping[str, Any], place: Place) -> None:
        start, last = self._start, self._last
        if start is None or last is None:
            return
        per_css = self.size[1] / (event["boundingRectWidth"] or 1)
        far = max(abs(place[0] - start[0]), abs(place[1] - start[1])) / per_css
        self._has_moved = self._has_moved or far >= STILL_PX
        if not self._has_moved:
            return
        self._last = place
        if self._pans:
            self._gestures.panned(place[0] - last[0], place[1] - last[1], done=False)
        elif self._button == LEFT:
            self._gestures.dragging(start, place)

    def _release(self, event: Mapping[str, Any], place: Place) -> None:
        start = self._start
        if start is None:
            return
        self._follow(event, place)
        self._start = self._last = None
        self._watch_moves()
        if not self._has_moved:
            if self._button != MIDDLE:
                is_right = self._button == RIGHT or event["ctrlKey"]
                self._gestures.clicked(*start, opposite=bool(is_right or event["shiftKey"]))
        elif self._pans:
            self._gestures.panned(0.0, 0.0, done=True)
        elif self._button == LEFT:
            self._gestures.dragged(start, place)

    def _leave(self, event: Mapping[str, Any], place: Place) -> None:
        # The release will not reach us, so a box ends at the edge.
        if self._start is not None and self._has_moved:
            self._release(event, place)
        self.cancel()
        self.wheel.watched_events = []
        self._gestures.left()

    def _turn(self, event: Mapping[str, Any], place: Place) -> None:
        zooms = bool(event["altKey"] or event["ctrlKey"] or event["metaKey"])
        unit = 1.0 if event["deltaMode"] == 0 else LINE_PX
        self._gestures.wheeled(*place, unit * event["deltaX"], unit * event["deltaY"], zooms)

    def _watch_moves(self) -> None:
        wanted = self._hovers or self._start is not None
        self.moves.watched_events = ["mousemove"] if wanted else []
