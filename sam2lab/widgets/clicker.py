"""The clicker: a session, seen and touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ipywidgets import VBox
from traitlets import Instance, Tuple

from sam2lab.runtime.arguments import height_and_width
from sam2lab.runtime.images import ImageLike
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.widgets.canvas import overlay
from sam2lab.widgets.canvas.marks import Mark
from sam2lab.widgets.controller import Touched
from sam2lab.widgets.encoding import Encoding
from sam2lab.widgets.panels.controls import named
from sam2lab.widgets.screen import Screen
from sam2lab.widgets.session.answers import Answer
from sam2lab.widgets.session.packed import LazyMasks, PackedMask
from sam2lab.widgets.session.session import EngineFailed, Session


class Clicker(VBox):
    """Segment a photo by clicking: a widget for JupyterLab, Notebook and Voilà.

    `segmenters` is one Segmenter, or several by name, to switch between and to compare.
    `image` is a picture (see `images.read`) or a list of them to choose from. `size` is the
    largest (height, width) of the canvas; the photo is fitted into it.

    Left click: this belongs to the object. Right click, or with Shift: this does not. Drag:
    a box around it. A click on a point takes it away. Zoom with the buttons, or with Control
    (Alt, Command) and the wheel once the photo was clicked; move it with that key and a drag.

    By keys, once the photo has the focus: arrows, with Shift far, move a crosshair. Enter or
    Space clicks there, with Shift: this does not belong. E is a corner of a box, Escape none.

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
        size = height_and_width("size", size)
        if min(size) < 100:
            raise ValueError(f"size is {size}; wanted (height, width) of at least 100 each")
        offered = image if isinstance(image, list) else [] if image is None else [image]
        self.session = Session(segmenters)
        self._preview: PackedMask | None = None
        touched = Touched(self)
        self._screen = Screen(size, self.session.engines, offered, touched)
        self._stage = self._screen.stage
        self._encoding = Encoding(self.session, self.refresh, self._screen.fail)
        self._stage.layers.canvas.on_key_down(touched.key)
        super().__init__(self._screen.widgets)
        named(self, "clicker")
        self.session.subscribe(self._on_change)
        self._screen.say("Choose a photo below.")
        self.refresh()
        if offered:
            touched.open(offered[0])

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
