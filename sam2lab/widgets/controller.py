"""Turns what a user does into actions of the session, and shows the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sam2lab.runtime.images import ImageLike
from sam2lab.widgets.canvas import overlay
from sam2lab.widgets.canvas.crosshair import Crosshair
from sam2lab.widgets.canvas.marks import Mark
from sam2lab.widgets.canvas.stage import ZOOM_STEP, Stage
from sam2lab.widgets.encoding import Encoding
from sam2lab.widgets.formats.table import FORMATS
from sam2lab.widgets.panels.candidates import Candidates
from sam2lab.widgets.panels.display import DisplayPanel
from sam2lab.widgets.panels.engine import EnginePanel
from sam2lab.widgets.panels.object_list import ObjectList
from sam2lab.widgets.panels.photo import PhotoPanel, Source
from sam2lab.widgets.panels.progress import Progress
from sam2lab.widgets.panels.take_away import TakeAwayPanel
from sam2lab.widgets.panels.toolbar import ACTIONS, Toolbar
from sam2lab.widgets.screen import Screen
from sam2lab.widgets.session.answers import Answer
from sam2lab.widgets.session.engines import EngineFailed
from sam2lab.widgets.session.packed import PackedMask
from sam2lab.widgets.session.prompts import Box, Point
from sam2lab.widgets.session.session import Session

PAN_STEP = 0.25
WELCOME = (
    "Click on something. Right click, or Shift and click: not this. Drag: a box around it. "
    "Or: arrow keys."
)


class Controller:
    """Stands between the session and the `screen`, whose parts call its methods.

    After it has shown everything, it calls `publish` with the known answers by object id.
    """

    def __init__(
        self,
        session: Session,
        size: tuple[int, int],
        offered: Sequence[ImageLike],
        publish: Callable[[Mapping[int, Answer]], None],
    ) -> None:
        self._session = session
        self._offered = offered
        self._publish = publish
        self._preview: PackedMask | None = None
        self.encoding = Encoding(session, self.refresh, lambda words: self.screen.fail(words))
        self.screen = Screen(
            stage=Stage(size, self),
            toolbar=Toolbar(self.act, self.use_tool),
            candidates=Candidates(self.choose),
            objects=ObjectList(self),
            display=DisplayPanel(self.refresh, self.use_hover),
            engine=EnginePanel(session.engines, self.encoding.use, self.encoding.compare),
            photo=PhotoPanel(offered, self.open),
            take_away=TakeAwayPanel(self.export, FORMATS.values()),
            progress=Progress(self.stop),
        )
        self._stage = self.screen.stage
        self._crosshair = Crosshair(self._stage, self.screen.say)
        self._stage.layers.canvas.on_key_down(self.press_key)
        session.subscribe(self._on_change)

    def start(self) -> None:
        """Show everything for the first time, and open the first photo."""
        self.screen.say("Choose a photo below.")
        self.refresh()
        if self._offered:
            self.open(self._offered[0])

    def refresh(self) -> None:
        """Show everything as it is now."""
        known = self._known()
        self.screen.show(self._session, self.encoding, known, self._preview)
        self._publish(known)

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
        if self.screen.display.hover.value and not boxes and self._session.is_encoded():
            self.encoding.attempt(
                lambda: self._show_preview(PackedMask.of(self._session.preview(x, y)))
            )

    def end_preview(self) -> None:
        self._show_preview(None)

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
        """Do one of the toolbar's `ACTIONS`."""
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
        }
        actions[name]()
        if self.screen.toolbar.buttons[name].disabled:
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
            for action in ACTIONS:
                if key in action.keys:
                    self.act(action.name)

    def choose(self, index: int) -> None:
        """Choose a candidate."""
        self._do(lambda: self._session.choose(index))

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

    def open(self, image: Source, name: str | None = None) -> None:
        """Open a photo; `name` is for one that has no file name."""
        self.screen.say(WELCOME)
        self.encoding.attempt(lambda: self._session.open_image(image, name))
        self.screen.photo.show(self._session.image)

    def export(self, format: str) -> None:
        """Make the files of a take-away format and offer them."""

        def act() -> None:
            files, picture = self._session.export(format), self._session.image
            self.screen.take_away.offer(files, Path(picture.name).stem if picture else "")

        self._do(act)

    def stop(self) -> None:
        """Do not wait for the encoder any longer."""
        self.encoding.stop()
        self.screen.say("Stopped. A click tries again.")
        # The button that was pressed is gone.
        self._take_keys()

    def _do(self, action: Callable[[], None], mark: Mark | None = None) -> None:
        """Act once the engine can answer; meanwhile `mark` shows where."""
        self.screen.say("")
        if self._session.image is None:
            self.screen.fail("there is no photo yet: choose one below")
            return
        self._preview = None
        self.encoding.do(action, mark)

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

    def _show_preview(self, preview: PackedMask | None) -> None:
        if preview is not self._preview:
            self._preview = preview
            self.screen.draw(self._session, self.encoding, self._known(), preview)

    def _known(self) -> dict[int, Answer]:
        try:
            return overlay.answers(self._session)
        except EngineFailed as error:
            self.screen.fail(str(error))
            return {}

    def _on_change(self, changes: frozenset[str]) -> None:
        if changes & {"image", "objects", "masks"}:
            self.screen.take_away.forget()
        if "image" in changes:
            self.encoding.restart()
        elif not self.encoding.is_acting:
            self.refresh()
