"""What the controllers of photos and of videos have in common: clicks, objects, tools, keys."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from threading import RLock
from typing import Any

from sam2lab.widgets.base_screen import BaseScreen
from sam2lab.widgets.canvas import overlay
from sam2lab.widgets.canvas.crosshair import Crosshair
from sam2lab.widgets.canvas.marks import Mark
from sam2lab.widgets.canvas.stage import ZOOM_STEP
from sam2lab.widgets.panels.toolbar import Action
from sam2lab.widgets.session.base import BaseSession
from sam2lab.widgets.session.prompts import Box, Point

PAN_STEP = 0.25


class BaseController(ABC):
    """Turns what a user does into actions of the session.

    `actions` are those that have keys. It is a `canvas.stage.Pointing`, and does what
    `panels.object_list.ObjectActions` needs.
    """

    screen: BaseScreen

    def __init__(self, session: BaseSession[Any, Any], actions: Sequence[Action]) -> None:
        self._session = session
        self._actions = actions
        # Messages of the browser may come in another thread than cells, and both lead to showing
        # everything: one at a time.
        self._showing = RLock()

    def listen(self) -> None:
        """Take the keys of the canvas; `screen` must be there."""
        self._stage = self.screen.stage
        self._crosshair = Crosshair(self._stage, self.screen.say)
        self._stage.layers.canvas.on_key_down(self.press_key)

    @abstractmethod
    def _do(self, action: Callable[[], None], mark: Mark | None = None) -> None:
        """Act once the engine can answer; meanwhile `mark` shows where."""

    def _further(self) -> dict[str, Callable[[], None]]:
        """What the further actions do, by name."""
        return {}

    # The methods of `canvas.stage.Pointing`.

    def point(self, x: int, y: int, opposite: bool, reach: float) -> None:
        session = self._session
        positive = (session.mode == "positive") != opposite

        def act() -> None:
            found = session.prompt_at(x, y, reach)
            if found is None:
                session.add_point(x, y, positive)
            else:
                session.remove_prompt(found)

        self._do(act, overlay.mark_of(Point(x, y, positive), is_pending=True))
        self._take_keys()

    def draw_box(self, x0: int, y0: int, x1: int, y1: int) -> None:
        mark = overlay.mark_of(Box(x0, y0, x1, y1), is_pending=True)
        self._do(lambda: self._session.add_box(x0, y0, x1, y1), mark)
        self._take_keys()

    def preview(self, x: int, y: int) -> None:
        # A click that is the corner of a box finds nothing yet.
        boxes = self._stage.draws_boxes or self._stage.has_corner
        if self.screen.display.hover.value and not boxes:
            self._preview_at(x, y)

    @abstractmethod
    def _preview_at(self, x: int, y: int) -> None:
        """Preview a click on a pixel, unless an engine is busy."""

    @abstractmethod
    def end_preview(self) -> None: ...

    # The methods of `panels.object_list.ObjectActions`.

    def select(self, object_id: int) -> None:
        self._do_in_row(object_id, self._session.select)

    def rename(self, object_id: int, name: str) -> None:
        self._do(lambda: self._session.rename(object_id, name))

    def recolour(self, object_id: int, colour: str) -> None:
        self._do(lambda: self._session.recolour(object_id, colour))

    def toggle(self, object_id: int) -> None:
        hidden = self._session.state.item(object_id).hidden
        self._do(lambda: (self._session.show if hidden else self._session.hide)(object_id))

    def delete(self, object_id: int) -> None:
        self._do_in_row(object_id, self._session.delete)

    # What the other panels and keys call.

    def act(self, name: str) -> None:
        """Do one of the actions by its name."""
        session, stage = self._session, self._stage
        actions: dict[str, Callable[[], None]] = {
            "undo": lambda: self._do(session.undo),
            "redo": lambda: self._do(session.redo),
            "clear": lambda: self._do(session.clear),
            "next": lambda: self._do(session.commit),
            "zoom-in": lambda: stage.zoom(ZOOM_STEP),
            "zoom-out": lambda: stage.zoom(1 / ZOOM_STEP),
            "fit": stage.fit,
            "pan-left": lambda: stage.pan(-PAN_STEP, 0),
            "pan-right": lambda: stage.pan(PAN_STEP, 0),
            "pan-up": lambda: stage.pan(0, -PAN_STEP),
            "pan-down": lambda: stage.pan(0, PAN_STEP),
            **self._further(),
        }
        actions[name]()
        made = self.screen.toolbar.buttons.get(name)
        if made is not None and made.disabled:
            # A browser takes the focus from a button that becomes disabled and gives it to
            # nothing: a keyboard user would have to start anew.
            self._take_keys()

    def press_key(self, key: str, shift: bool, ctrl: bool, meta: bool) -> None:
        """Do what a key means while the canvas has the focus; ipycanvas passes none of them on."""
        screen, stage = self.screen, self._stage
        if key == "Tab":
            stage.hide_crosshair()
            (screen.toolbar.last if shift else screen.after_photo).focus()
        elif key == "Escape" and stage.cancel():
            screen.say("")
        elif key == "Escape":
            stage.hide_crosshair()
            stage.layers.canvas.blur()
        elif not (ctrl or meta or self._crosshair.press_key(key, shift)):
            for action in self._actions:
                if key in action.keys:
                    self.act(action.name)

    def use_tool(self, tool: str) -> None:
        """Let a click mean "positive", "negative" or "box"."""
        self._stage.draws_boxes = tool == "box"
        self._stage.cancel()
        if tool != "box":
            self._session.mode = "positive" if tool == "positive" else "negative"

    def use_hover(self, wanted: bool) -> None:
        """Preview under the pointer, or no longer."""
        self._stage.preview_moves(wanted)
        self.end_preview()

    def _do_in_row(self, object_id: int, action: Callable[[int], None]) -> None:
        """Act from an object's row; if the last row goes, the new last one gets the focus."""

        def act() -> None:
            session, rows = self._session, self.screen.objects.rows
            here = session.objects.index(session.state.item(object_id))
            action(object_id)
            left = len(session.objects)
            if here >= left:
                rows[left - 1].select.focus()

        self._do(act)

    def _take_keys(self) -> None:
        # The photo then gets the keys, which JupyterLab would use for its cells.
        self._stage.layers.canvas.focus()
