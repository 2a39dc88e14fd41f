"""What follows when somebody touches the clicker's screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sam2lab.widgets.canvas import overlay
from sam2lab.widgets.canvas.marks import Mark
from sam2lab.widgets.canvas.stage import ZOOM_STEP
from sam2lab.widgets.formats.takeaway import take
from sam2lab.widgets.panels.controls import ACTIONS
from sam2lab.widgets.panels.photo import Source
from sam2lab.widgets.session.objects import Box, Point
from sam2lab.widgets.session.packed import PackedMask

if TYPE_CHECKING:
    from sam2lab.widgets.clicker import Clicker
    from sam2lab.widgets.encoding import Encoding
    from sam2lab.widgets.screen import Screen

PAN_STEP = 0.25
WELCOME = (
    "Click on something. Right click, or Shift and click: not this. Drag: a box around it. "
    "Or: arrow keys."
)


class Touched:
    """The clicker's `screen.Doing`: every touch becomes an action of its session."""

    def __init__(self, clicker: Clicker) -> None:
        self._clicker = clicker
        self._session = clicker.session

    def pointed(self, x: int, y: int, opposite: bool, reach: float) -> None:
        session = self._session
        positive = (session.mode == "positive") != opposite

        def act() -> None:
            found = session.prompt_at(x, y, reach)
            if found is None:
                session.add_point(x, y, positive)
            else:
                session.remove_prompt(found)

        self._do(act, replace(overlay.mark_of(Point(x, y, positive)), is_pending=True))
        self._take_keys()

    def boxed(self, x0: int, y0: int, x1: int, y1: int) -> None:
        mark = replace(overlay.mark_of(Box(x0, y0, x1, y1)), is_pending=True)
        self._do(lambda: self._session.add_box(x0, y0, x1, y1), mark)
        self._take_keys()

    def hovered(self, x: int, y: int) -> None:
        def look() -> None:
            self._clicker._set_preview(PackedMask.of(self._session.preview(x, y)))

        stage = self._screen.stage
        # A click that is a corner of a box finds nothing yet.
        wanted = self._screen.display.hover.value and not (stage.draws_boxes or stage.has_corner)
        if wanted and self._session.is_encoded():
            self._encoding.attempt(look)

    def unhovered(self) -> None:
        self._clicker._set_preview(None)

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

    def act(self, name: str) -> None:
        session, stage = self._session, self._screen.stage
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
        }
        actions[name]()
        if self._screen.toolbar.buttons[name].disabled:
            # A browser takes the focus from a button that has nothing more to do, and gives
            # it to nobody: whoever works by keyboard would have to start anew.
            self._take_keys()

    def key(self, key: str, shift: bool, ctrl: bool, meta: bool) -> None:
        """A key, while the canvas has the focus, from which ipycanvas lets none go on."""
        screen = self._screen
        if key == "Tab":
            screen.stage.hide_crosshair()
            (screen.toolbar.last if shift else screen.after_photo).focus()
        elif key == "Escape" and screen.stage.cancel():
            screen.say("")
        elif key == "Escape":
            screen.stage.hide_crosshair()
            screen.stage.layers.canvas.blur()
        elif not (ctrl or meta or screen.crosshair.hears(key, shift)):
            for action in ACTIONS:
                if key in action.keys:
                    self.act(action.name)

    def choose(self, index: int) -> None:
        self._do(lambda: self._session.choose(index))

    def use_tool(self, tool: str) -> None:
        self._screen.stage.draws_boxes = tool == "box"
        if tool != "box":
            self._session.mode = "positive" if tool == "positive" else "negative"

    def use_hover(self, wanted: bool) -> None:
        self._screen.stage.previews = wanted
        self.unhovered()

    def use_engine(self, name: str) -> None:
        self._encoding.use(name)

    def compare(self, name: str | None) -> None:
        self._encoding.compare(name)

    def refresh(self) -> None:
        self._clicker.refresh()

    def open(self, image: Source, name: str | None = None) -> None:
        self._screen.say(WELCOME)
        self._encoding.attempt(lambda: self._session.open_image(image, name))
        self._screen.photo.show(self._session.image)

    def take(self, form: str) -> None:
        def act() -> None:
            files = take(self._session, form)
            picture = self._session.image
            self._screen.takeaway.offer(files, Path(picture.name).stem if picture else "")

        self._do(act)

    def stop(self) -> None:
        self._encoding.stop()
        self._screen.say("Stopped. A click tries again.")
        # The button that was pressed is gone.
        self._take_keys()

    @property
    def _screen(self) -> Screen:
        return self._clicker._screen

    @property
    def _encoding(self) -> Encoding:
        return self._clicker._encoding

    def _do(self, action: Callable[[], None], mark: Mark | None = None) -> None:
        self._clicker._do(action, mark)

    def _do_in_row(self, object_id: int, action: Callable[[int], None]) -> None:
        """Act from an object's row; should the row go, the last one that stays has the focus."""

        def act() -> None:
            session, rows = self._session, self._screen.list.rows
            here = session.objects.index(session.state.item(object_id))
            action(object_id)
            left = len(session.objects)
            if here >= left:
                rows[left - 1].select.focus()

        self._do(act)

    def _take_keys(self) -> None:
        # The photo takes the keys from here on, which JupyterLab would else take for its cells.
        self._screen.stage.layers.canvas.focus()
