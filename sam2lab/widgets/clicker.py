"""The clicker: a widget to segment photos by clicking."""

from __future__ import annotations

from collections.abc import Mapping

from ipywidgets import VBox
from traitlets import Instance, Tuple

from sam2lab.runtime.images import ImageLike
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.widgets.controller import Controller
from sam2lab.widgets.panels.controls import named
from sam2lab.widgets.session.answers import Answer
from sam2lab.widgets.session.packed import LazyMasks
from sam2lab.widgets.session.session import Session


class Clicker(VBox):
    """Segment a photo by clicking: a widget for JupyterLab, Notebook and Voilà.

    `segmenters` is one Segmenter, or several by name, to switch between and to compare.
    `image` is a picture (see `images.read`) or a list of them to choose from. `size` is the
    largest (height, width) of the canvas; the photo is fitted into it.

    Left click: this belongs to the object. Right click, or click with Shift: this does not.
    Drag: a box around it. A click on a point removes it. Zoom with the buttons, or with Control
    (Alt, Command) and the wheel after a first click; move the photo with that key and a drag.

    Keys, once the photo has the focus: arrows move a crosshair, with Shift far. Enter or Space
    clicks there; with Shift: this does not belong. E sets a corner of a box, Escape gives it up.

    `objects` and `prompts` (of the active object) are tuples, `masks` is a mapping from object
    id to (H, W) boolean arrays; all three can be observed. `session` does everything by call,
    and `session.save(...)`, `load(...)` and `export(...)` keep the work. `screen` holds the
    parts of the widget.

    ```python
    clicker = sam2lab.Clicker(sam2lab.open_segmenter("nano"), "cat.jpg")
    clicker
    clicker.masks[1].sum()
    clicker.observe(lambda change: print(change["new"]), "prompts")
    ```
    """

    objects = Tuple(help="All objects, including the active one.")
    prompts = Tuple(help="The prompts of the active object.")
    masks = Instance(LazyMasks, args=({},), help="The mask of each object that has one, by id.")

    def __init__(
        self,
        segmenters: Segmenter | Mapping[str, Segmenter],
        image: ImageLike | list[ImageLike] | None = None,
        *,
        size: tuple[int, int] = (540, 720),
    ) -> None:
        offered = image if isinstance(image, list) else [] if image is None else [image]
        self.session = Session(segmenters)
        self._controller = Controller(self.session, size, offered, self._publish)
        self.screen = self._controller.screen
        super().__init__([*self.screen.widgets, self._controller.near.widget])
        named(self, "clicker")
        self._controller.start()

    def wait(self) -> None:
        """Return when the photo is encoded and every click is answered.

        Users do not need this. A program that clicks and then reads `masks` waits in between.
        """
        self._controller.encoding.wait()

    def refresh(self) -> None:
        """Show everything as it is now; every change of the session does this by itself."""
        self._controller.refresh()

    def _publish(self, known: Mapping[int, Answer]) -> None:
        is_open = self.session.image is not None
        self.objects = self.session.objects if is_open else ()
        self.prompts = self.session.prompts if is_open else ()
        self.masks = LazyMasks({key: a.chosen_packed for key, a in known.items() if a.packed})
