"""The clicker: a session, seen and touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from ipywidgets import VBox
from traitlets import Instance, Tuple

from sam2lab.runtime.images import ImageLike
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.widgets import overlay
from sam2lab.widgets.answers import Answer
from sam2lab.widgets.controls import ACTIONS, named
from sam2lab.widgets.encoding import Encoding
from sam2lab.widgets.lazy_masks import LazyMasks
from sam2lab.widgets.marks import Mark
from sam2lab.widgets.objects import Box, Point
from sam2lab.widgets.packed import PackedMask
from sam2lab.widgets.photo_panel import Source
from sam2lab.widgets.screen import Screen
from sam2lab.widgets.session import EngineFailed, Session
from sam2lab.widgets.stage import ZOOM_STEP
from sam2lab.widgets.takeaway import take

PAN_STEP = 0.25
WELCOME = "Click on something. Right click, or Shift and click: not this. Drag: a box around it."


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
    masks = Instance(LazyMasks, args=({},), help="The mask of each object that has one, by id.")

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
        self._preview: PackedMask | None = None
        touched = _Touched(self)
        self._screen = Screen(size, self.session.engines, offered, touched)
        self._stage = self._screen.stage
        self._encoding = Encoding(self.session, self.refresh, self._screen.fail)
        self._stage.layers.canvas.on_key_down(touched.key)
        super().__init__(self._screen.widgets)
        named(self, "clicker")
        self.session.subscribe(self._on_change)
        if offered:
            touched.open(offered[0])
        else:
            self._screen.say("Choose a photo below.")
            self.refresh()

    def wait(self) -> None:
        """Return when the photo is encoded and every click is answered.

        By hand nobody needs this: answers come as soon as they can. A program that clicks,
        and then reads `masks`, waits in between.
        """
        self._encoding.wait()

    def refresh(self) -> None:
        """Show everything as it is now; happens by itself after every change."""
        session, known = self.session, self._known()
        self._screen.show(session, self._encoding, known, self._preview)
        self.objects = session.objects if session.image is not None else ()
        self.prompts = session.prompts if session.image is not None else ()
        self.masks = LazyMasks({key: a.chosen_packed for key, a in known.items() if a.packed})

    def _do(self, action: Callable[[], None], mark: Mark | None = None) -> None:
        """Act as soon as there can be an answer; `mark` shows where meanwhile."""
        self._screen.say("")
        if self.session.image is None:
            self._screen.fail("there is no photo yet: choose one below")
            return
        self._preview = None
        self._encoding.do(action, mark)

    def _set_preview(self, preview: PackedMask | None) -> None:
        if preview is not self._preview:
            self._preview = preview
            self._screen.draw(self.session, self._encoding, self._known(), preview)

    def _known(self) -> dict[int, Answer]:
        try:
            return overlay.answers(self.session)
        except EngineFailed as error:
            self._screen.fail(str(error))
            return {}

    def _on_change(self, changes: frozenset[str]) -> None:
        if changes & {"image", "objects", "masks"}:
            self._screen.takeaway.forget()
        if "image" in changes:
            self._encoding.restart()
        elif not self._encoding.is_acting:
            self.refresh()


class _Touched:
    """What follows when somebody touches the screen: see `screen.Doing`."""

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

        if self._screen.display.hover.value and self._session.is_encoded():
            self._encoding.attempt(look)

    def unhovered(self) -> None:
        self._clicker._set_preview(None)

    def select(self, object_id: int) -> None:
        self._do(lambda: self._session.select(object_id))

    def rename(self, object_id: int, name: str) -> None:
        self._do(lambda: self._session.rename(object_id, name))

    def recolour(self, object_id: int, colour: str) -> None:
        self._do(lambda: self._session.recolour(object_id, colour))

    def toggle(self, object_id: int) -> None:
        hidden = self._session.state.item(object_id).hidden
        self._do(lambda: (self._session.show if hidden else self._session.hide)(object_id))

    def delete(self, object_id: int) -> None:
        self._do(lambda: self._session.delete(object_id))

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

    def key(self, key: str, shift: bool, ctrl: bool, meta: bool) -> None:
        """A key, while the canvas has the focus, from which ipycanvas lets none go on."""
        screen = self._screen
        if key == "Tab":
            (screen.toolbar.buttons["next"] if shift else screen.list.rows[0].select).focus()
        elif key == "Escape":
            screen.stage.cancel()
            screen.stage.layers.canvas.blur()
        elif not (ctrl or meta):
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
        self._screen.stage.pointer.hovers = wanted
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

    @property
    def _screen(self) -> Screen:
        return self._clicker._screen

    @property
    def _encoding(self) -> Encoding:
        return self._clicker._encoding

    def _do(self, action: Callable[[], None], mark: Mark | None = None) -> None:
        self._clicker._do(action, mark)

    def _take_keys(self) -> None:
        # The photo takes the keys from here on, which JupyterLab would else take for its cells.
        self._screen.stage.layers.canvas.focus()
