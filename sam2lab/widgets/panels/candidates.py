"""The candidates of an answer as thumbnails side by side, each with its score."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
from ipywidgets import HTML, HBox, Image, VBox

from sam2lab.runtime.images import RGB
from sam2lab.widgets.canvas import painting
from sam2lab.widgets.canvas.painting import Paint
from sam2lab.widgets.canvas.viewport import Viewport
from sam2lab.widgets.panels.controls import button, named, section
from sam2lab.widgets.session.answers import Answer
from sam2lab.widgets.session.packed import PackedMask

SIZE = (72, 96)
COUNT = 3
NOTHING_TO_CHOOSE = (
    "A single click can mean a part, a thing or a group: it gets three answers to choose from. "
    "More clicks, or a box, leave one."
)


class Candidates:
    """Calls `choose` with the number of a candidate."""

    def __init__(self, choose: Callable[[int], None]) -> None:
        self._images = [Image(format="jpeg") for _ in range(COUNT)]
        self.buttons = [button(f"candidate-{i}", "", "", partial(choose, i)) for i in range(COUNT)]
        self._cards = [
            named(VBox([image, chooser]), "candidate")
            for image, chooser in zip(self._images, self.buttons, strict=True)
        ]
        self._note = named(HTML(NOTHING_TO_CHOOSE), "note")
        self._box = named(HBox(self._cards), "candidates")
        # The section is always as high as with thumbnails, so that a click moves nothing below.
        self.widget = named(section("Candidates", self._note, self._box), "candidates-section")
        self._small: tuple[npt.NDArray[np.uint8], Viewport] | None = None
        self._shown: tuple[PackedMask, ...] = ()
        self._colour = ""
        self.show(None, "")

    @property
    def is_shown(self) -> bool:
        """Whether there is something to choose from."""
        return bool(self._box.layout.display != "none")

    def open(self, photo: RGB) -> None:
        """Show another photo in the thumbnails; it is reduced once for all of them."""
        self._small = painting.small(photo, SIZE)
        self._shown = ()

    def show(self, answer: Answer | None, colour: str) -> None:
        """Show an answer's candidates if there are several."""
        packed = answer.packed if answer is not None and len(answer.packed) > 1 else ()
        self._note.layout.display = "none" if packed else ""
        self._box.layout.display = "flex" if packed else "none"
        if not packed or answer is None or self._small is None:
            return
        if packed != self._shown or colour != self._colour:
            for image, mask in zip(self._images, packed, strict=False):
                image.value = painting.thumbnail(*self._small, mask, Paint(colour, 0.6))
            self._shown, self._colour = packed, colour
        best = int(np.argmax(answer.scores))
        for i, score in enumerate(answer.scores[:COUNT]):
            chosen = i == answer.chosen
            chooser, card = self.buttons[i], self._cards[i]
            chooser.description = f"{'✓ ' if chosen else ''}{score:.2f}"
            chooser.tooltip = f"Candidate {i + 1} of {len(packed)}, predicted IoU {score:.3f}" + (
                ", the best-scored" if i == best else ""
            )
            (card.add_class if chosen else card.remove_class)("sam2lab-is-chosen")
            (chooser.add_class if chosen else chooser.remove_class)("sam2lab-chosen")
