"""The clicker: a session, seen and touched."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

from ipywidgets import HTML, HBox, VBox
from traitlets import Instance, Tuple

from sam2lab.runtime.images import ImageLike
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.widgets import overlay
from sam2lab.widgets.answers import Answer
from sam2lab.widgets.candidates import Candidates
from sam2lab.widgets.controls import ACTIONS, Toolbar, button, named
from sam2lab.widgets.display_panel import DisplayPanel
from sam2lab.widgets.encoding import Encoding
from sam2lab.widgets.engine_panel import EnginePanel, status
from sam2lab.widgets.marks import Mark
from sam2lab.widgets.object_list import Entry, ObjectList
from sam2lab.widgets.objects import Box, Point
from sam2lab.widgets.packed import Mask, PackedMask
from sam2lab.widgets.painting import Paint
from sam2lab.widgets.photo_panel import PhotoPanel, Source
from sam2lab.widgets.session import Session
from sam2lab.widgets.stage import ZOOM_STEP, Stage
from sam2lab.widgets.style import stylesheet
from sam2lab.widgets.takeaway import take
from sam2lab.widgets.takeaway_panel import TakeawayPanel

PAN_STEP = 0.25
WELCOME = "Click on something. Right click, or Shift and click: not this. Drag: a box around it."


class Masks(Mapping[int, Mask]):
    """Masks (H, W) by object id, each unpacked when it is asked for."""

    def __init__(self, packed: Mapping[int, PackedMask]) -> None:
        self._packed = dict(packed)

    def __getitem__(self, object_id: int) -> Mask:
        return self._packed[object_id].unpack()

    def __iter__(self) -> Iterator[int]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)

    def __repr__(self) -> str:
        areas = ", ".join(f"{key}: {packed.area:,} px" for key, packed in self._packed.items())
        return f"Masks({areas})"


class Clicker(VBox):
    """Segment a photo by clicking: a widget for JupyterLab, Notebook and Voilà.

    `segmenters` is one Segmenter, or several by name, to switch between and to compare.
    `image` is a picture (see `images.read`) or a list of them to choose from. `size` is the
    largest (height, width) of the canvas; the photo is fitted into it.

    Left click: this belongs to the object. Right click, or with Shift: this does not. Drag:
    a box around it. A click on a point takes it away. Zoom with the buttons, or with Control
    (Alt, Command) and the wheel once the photo was clicked; move it with that key and a drag.

    `objects` and `prompts` (of the active object) are tuples, `masks` is a mapping from object
    id to (H, W) boolean arrays; all three can be `observe`d. `session` does by call whatever
    can be done by hand, and `session.save(...)` and `load(...)` keep the work.

    ```python
    clicker = sam2lab.Clicker(sam2lab.open_segmenter("nano"), "cat.jpg")
    clicker
    clicker.masks[1].sum()
    clicker.observe(lambda change: print(change["new"]), "prompts")
    ```
    """

    objects = Tuple(help="All objects, the active one among them.")
    prompts = Tuple(help="What was pointed at, of the active object.")
    masks = Instance(Masks, args=({},), help="The mask of each object that has one, by its id.")

    def __init__(
        self,
        segmenters: Segmenter | Mapping[str, Segmenter],
        image: ImageLike | list[ImageLike] | None = None,
        *,
        size: tuple[int, int] = (540, 720),
    ) -> None:
        if min(size) < 100:
            raise ValueError(f"size is {size}; wanted (height, width) of at least 100 each")
        offered = image if isinstance(image, list) else [] if image is None else [image]
        self.session = Session(segmenters)
        self._encoding = Encoding(self.session, self._refresh, self._fail)
        self._draw_ms: float | None = None
        self._preview: PackedMask | None = None
        self._compared: tuple[tuple[object, ...], overlay.Difference] | None = None
        self._open_photo = ""

        self._stage = Stage(size, self)
        self._toolbar = Toolbar(self._actions())
        self._candidates = Candidates(lambda index: self._do(lambda: self.session.choose(index)))
        self._list = ObjectList(self)
        self._display = DisplayPanel(self._refresh, self._use_hover)
        self._engine = EnginePanel(self.session.engines, self._encoding.use, self._encoding.compare)
        self._photo = PhotoPanel(offered, self._open)
        self._takeaway = TakeawayPanel(self._take)
        self._message = named(HTML(), "message")
        self._status = named(HTML(), "status")
        self._bar = named(HTML(), "bar")
        cancel = button("cancel", "Stop", "Do not wait for this any longer", self._stop, "stop")
        self._progress = named(HBox([self._bar, cancel]), "progress")
        self._toolbar.tool.observe(self._use_tool, "value")
        self._stage.layers.canvas.on_key_down(self._press_key)
        below = named(HBox([self._photo.widget, self._takeaway.widget]), "below")
        stage = named(
            VBox([self._stage.widget, self._progress, self._message, self._status, below]), "stage"
        )
        panels = (self._candidates, self._list, self._display, self._engine)
        side = named(VBox([panel.widget for panel in panels]), "side")
        body = named(HBox([stage, side]), "body")
        super().__init__([stylesheet(), self._toolbar.widget, body])
        named(self, "clicker")

        self.session.subscribe(self._on_change)
        if offered:
            self._open(offered[0])
        else:
            self._say("Choose a photo below.")
            self._refresh()

    def wait(self) -> None:
        """Return when the photo is encoded and every click is answered.

        By hand nobody needs this: answers come as soon as they can. A program that clicks,
        and then reads `masks`, waits in between.
        """
        self._encoding.wait()

    # What the stage tells.

    def pointed(self, x: int, y: int, opposite: bool, reach: float) -> None:
        """A click at a pixel: a point, or one fewer."""
        positive = (self.session.mode == "positive") != opposite

        def act() -> None:
            found = self.session.prompt_at(x, y, reach)
            if found is None:
                self.session.add_point(x, y, positive)
            else:
                self.session.remove_prompt(found)

        mark = overlay.mark_of(Point(x, y, positive))
        self._do(act, replace(mark, is_pending=True))

    def boxed(self, x0: int, y0: int, x1: int, y1: int) -> None:
        """A box was drawn."""
        mark = replace(overlay.mark_of(Box(x0, y0, x1, y1)), is_pending=True)
        self._do(lambda: self.session.add_box(x0, y0, x1, y1), mark)

    def hovered(self, x: int, y: int) -> None:
        """The pointer rests on a pixel: what would a click there find?"""
        if self._display.hover.value and self.session.is_encoded():
            self._encoding.attempt(
                lambda: self._set_preview(PackedMask.of(self.session.preview(x, y)))
            )

    def unhovered(self) -> None:
        """The pointer is elsewhere: nothing to preview."""
        self._set_preview(None)

    # What the list of objects asks for.

    def select(self, object_id: int) -> None:
        """Go on with an object."""
        self._do(lambda: self.session.select(object_id))

    def rename(self, object_id: int, name: str) -> None:
        """Call an object otherwise."""
        self._do(lambda: self.session.rename(object_id, name))

    def recolour(self, object_id: int, colour: str) -> None:
        """Show an object in another colour."""
        self._do(lambda: self.session.recolour(object_id, colour))

    def toggle(self, object_id: int) -> None:
        """Hide an object, or show it again."""
        hidden = self.session.state.item(object_id).hidden
        self._do(lambda: (self.session.show if hidden else self.session.hide)(object_id))

    def delete(self, object_id: int) -> None:
        """Remove an object."""
        self._do(lambda: self.session.delete(object_id))

    def _actions(self) -> dict[str, Callable[[], None]]:
        session, stage = self.session, self._stage
        return {
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

    def _press_key(self, key: str, shift: bool, ctrl: bool, meta: bool) -> None:
        """A key, while the canvas has the focus, from which ipycanvas lets none go on."""
        if key == "Tab":
            (self._toolbar.buttons["next"] if shift else self._list.rows[0].select).focus()
        elif key == "Escape":
            self._stage.draws_boxes = self._stage.draws_boxes
            self._stage.layers.canvas.blur()
        elif not (ctrl or meta):
            for action in ACTIONS:
                if key in action.keys:
                    self._actions()[action.name]()

    def _do(self, action: Callable[[], None], mark: Mark | None = None) -> None:
        self._say("")
        if self.session.image is None:
            self._fail("there is no photo yet: choose one below")
            return
        self._preview = None
        self._encoding.do(action, mark)
        # The photo takes the keys from here on, which JupyterLab would else take for its cells.
        if mark is not None:
            self._stage.layers.canvas.focus()

    def _use_tool(self, change: Any) -> None:
        tool = change["new"]
        self._stage.draws_boxes = tool == "box"
        if tool != "box":
            self.session.mode = tool

    def _use_hover(self, wanted: bool) -> None:
        self._stage.pointer.hovers = wanted
        self._set_preview(None)

    def _set_preview(self, preview: PackedMask | None) -> None:
        if preview is not self._preview:
            self._preview = preview
            self._draw(overlay.answers(self.session))

    def _open(self, image: Source, name: str | None = None) -> None:
        self._say(WELCOME)
        self._encoding.attempt(lambda: self.session.open_image(image, name))
        self._photo.show(self.session.image)

    def _take(self, form: str) -> None:
        def act() -> None:
            picture = self.session.image
            stem = Path(picture.name).stem if picture else ""
            self._takeaway.offer(take(self.session, form), stem)

        self._do(act)

    def _stop(self) -> None:
        self._encoding.stop()
        self._say("Stopped. A click tries again.")

    def _on_change(self, changes: frozenset[str]) -> None:
        if changes & {"image", "objects", "masks"}:
            self._takeaway.forget()
        if "image" in changes:
            self._encoding.restart()
        elif not self._encoding.is_acting:
            self._refresh()

    def _refresh(self) -> None:
        """Show everything as it is now: the canvas first, which is what people wait for."""
        session = self.session
        picture = session.image
        known: dict[int, Answer] = {}
        if picture is not None:
            if picture.key != self._open_photo:
                self._open_photo = picture.key
                self._stage.open(picture.key, session.photo)
                self._candidates.open(session.photo)
            known = overlay.answers(session)
            self._draw(known)
        self._show_progress()
        active = session.active if picture is not None else None
        if active is not None:
            self._candidates.show(known.get(active.id), active.colour)
            self._list.show([Entry(i, i.id == active.id, known.get(i.id)) for i in session.objects])
        self._photo.show(picture)
        self._engine.show(self._encoding.wanted, self._encoding.other)
        self._toolbar.enable(
            undo=session.can_undo,
            redo=session.can_redo,
            clear=bool(active and active.prompts),
            next=bool(active and active.prompts),
        )
        if not self._stage.draws_boxes:
            self._toolbar.tool.value = session.mode
        self._status.value = status(session.engine, session.timings, self._draw_ms)
        self.objects = session.objects if picture is not None else ()
        self.prompts = session.prompts if picture is not None else ()
        self.masks = Masks({key: a.chosen_packed for key, a in known.items() if a.packed})

    def _draw(self, known: dict[int, Answer]) -> None:
        session, inside = self.session, self._display.inside
        start = time.perf_counter()
        difference = self._difference(known)
        if self._preview is not None:
            active: overlay.Masks = ((self._preview, Paint(session.active.colour, 0.6 * inside)),)
        elif difference is not None:
            active = difference.masks(inside)
        else:
            active = overlay.active_object(session, known, inside)
        has_changed = self._stage.draw(
            overlay.other_objects(session, known, inside),
            active,
            overlay.marks(session) + self._encoding.pending,
        )
        if has_changed:
            self._draw_ms = 1000 * (time.perf_counter() - start)

    def _difference(self, known: dict[int, Answer]) -> overlay.Difference | None:
        """Computed once for each pair of answers."""
        session, other = self.session, self._encoding.other
        found = None
        if other is not None and session.active.id in known and session.is_encoded(other):
            key = (other, session.engine, session.prompts, session.active.choice, self._open_photo)
            if self._compared is None or self._compared[0] != key:
                self._compared = key, overlay.difference(session, other)
            found = self._compared[1]
        self._engine.describe(session.engine, other, found)
        return found

    def _show_progress(self) -> None:
        running = self._encoding.running
        self._progress.layout.display = "none" if running is None else "flex"
        if running is not None:
            waiting = len(self._encoding.pending)
            then = f"; {waiting} prompt{'s' * (waiting > 1)} will be answered then" * bool(waiting)
            self._bar.value = f"<div>{escape(running)} looks at the photo{then} …<div></div></div>"

    def _say(self, words: str) -> None:
        self._message.value = f'<div role="status">{escape(words)}</div>'

    def _fail(self, words: str) -> None:
        self._message.value = f'<div role="alert" class="sam2lab-error">⚠ {escape(words)}</div>'
