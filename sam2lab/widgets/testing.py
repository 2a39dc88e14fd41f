"""A robot that uses the clicker through the messages that a browser would send.

It serves tests, measurements, and notebooks that run without a user.
"""

from __future__ import annotations

import itertools
from typing import Any

from sam2lab.widgets.canvas.pointer import LEFT, RIGHT
from sam2lab.widgets.canvas.viewport import Place
from sam2lab.widgets.clicker import Clicker

# The robot's page shows the canvas at this share of its size, as a narrow page would.
SHOWN_AT = 0.8
_clock = itertools.count(1)


class Robot:
    """Clicks on pixels of the photo; every action returns when it was answered.

    ```python
    robot = Robot(clicker)
    robot.click(120, 84)
    robot.click(10, 10, right=True)
    robot.drag((30, 20), (200, 180))
    robot.press("undo")
    ```
    """

    def __init__(self, clicker: Clicker) -> None:
        self.clicker = clicker
        self._stage = clicker.screen.stage
        send(self._stage.layers.canvas, {"event": "client_ready"})

    def click(self, x: float, y: float, *, right: bool = False, shift: bool = False) -> None:
        """Click in the middle of a pixel."""
        self.drag((x, y), (x, y), right=right, shift=shift)

    def drag(
        self, start: Place, end: Place, *, right: bool = False, shift: bool = False, **held: bool
    ) -> None:
        """Press on one pixel, move, and release on another; `held` are keys such as `alt`."""
        keys = {f"{name}Key": value for name, value in held.items()}
        about = {"button": RIGHT if right else LEFT, "shiftKey": shift, **keys}
        pointer = self._stage.pointer
        self._tell(pointer.presses, "mousedown", start, **about)
        if end != start:
            for part in (0.5, 1.0):
                place = tuple(a + part * (b - a) for a, b in zip(start, end, strict=True))
                self._tell(pointer.moves, "mousemove", place, buttons=1, **about)
        self._tell(pointer.presses, "mouseup", end, **about)
        self.clicker.wait()

    def hover(self, x: float, y: float) -> None:
        """Move to a pixel without a button pressed."""
        self._tell(self._stage.pointer.moves, "mousemove", (x, y))

    def leave(self) -> None:
        """Move off the canvas."""
        self._tell(self._stage.pointer.presses, "mouseleave", (0, 0))

    def wheel(self, x: float, y: float, delta: float, **held: bool) -> None:
        """Turn the wheel over a pixel, away from the user where `delta` is negative."""
        keys = {f"{name}Key": value for name, value in held.items()}
        self._tell(
            self._stage.pointer.wheel, "wheel", (x, y), deltaX=0, deltaY=delta, deltaMode=0, **keys
        )

    def press(self, name: str) -> None:
        """Press a button of the toolbar."""
        send(self.clicker.screen.toolbar.buttons[name], {"event": "click"})
        self.clicker.wait()

    def key(self, key: str, shift: bool = False) -> None:
        """Press a key while the photo has the focus."""
        about = {"shift_key": shift, "ctrl_key": False, "meta_key": False}
        send(self._stage.layers.canvas, {"event": "key_down", "key": key, **about})
        self.clicker.wait()

    def _tell(self, event: Any, kind: str, place: Any, **about: Any) -> None:
        """Send a message of ipyevents about the middle of a pixel of the photo."""
        view = self._stage.view
        x, y = view.to_canvas(place[0] + 0.5, place[1] + 0.5)
        height, width = view.size
        # Any corner would do. Half a pixel less, because browsers name a pixel by its upper left
        # corner.
        left, top = 37.5, 211.25
        usual = dict.fromkeys(("altKey", "ctrlKey", "metaKey", "shiftKey"), False)
        rectangle = {
            "boundingRectLeft": left,
            "boundingRectTop": top,
            "boundingRectWidth": SHOWN_AT * width,
            "boundingRectHeight": SHOWN_AT * height,
            "clientX": left + SHOWN_AT * x - 0.5,
            "clientY": top + SHOWN_AT * y - 0.5,
        }
        said = {"type": kind, "event": kind, "timeStamp": next(_clock), "button": 0, "buttons": 0}
        send(event, {**said, **usual, **rectangle, **about})


def send(widget: Any, content: dict[str, Any]) -> None:
    """Deliver a message to a widget as if its view in a browser had sent it."""
    data = {"method": "custom", "content": content}
    message = {"content": {"comm_id": widget.comm.comm_id, "data": data}, "buffers": []}
    widget.comm.handle_msg(message)
