"""Aids to point at the photo: a box that is begun, and a crosshair for keys."""

from __future__ import annotations

from dataclasses import dataclass

from sam2lab.widgets.canvas.marks import Mark
from sam2lab.widgets.canvas.viewport import Pixel, Place, Viewport, middle

# The crosshair keeps this far from the edge of the canvas where the photo goes on.
MARGIN_PX = 24.0


@dataclass
class Guides:
    """The box that is being drawn and the crosshair.

    `band` is a box under the mouse, `corner` the place on the photo where a box was begun.
    `crosshair` is the photo's pixel that keys point at, None while it is not shown; `pointed`
    is the pixel that was pointed at last.
    """

    band: Mark | None = None
    corner: Place | None = None
    crosshair: Pixel | None = None
    pointed: Pixel | None = None

    def cancel(self) -> bool:
        """Forget a box that was begun, and return whether there was one."""
        was_begun = self.corner is not None or self.band is not None
        self.corner = self.band = None
        return was_begun

    def aim(self, view: Viewport, across: int, down: int) -> Pixel:
        """Show the crosshair or move it by photo pixels, and return where it is.

        It appears where the photo was pointed at last, or near there if that is out of sight.
        """
        if self.crosshair is None:
            rows, columns = view.size
            self.crosshair = self.pointed or view.pixel(columns / 2, rows / 2)
            self.keep_in_sight(view)
        height, width = view.image_size
        x, y = self.crosshair
        x, y = min(max(x + across, 0), width - 1), min(max(y + down, 0), height - 1)
        self.crosshair = x, y
        return x, y

    def keep_in_sight(self, view: Viewport) -> None:
        """Move the crosshair back onto the canvas if it is outside."""
        if self.crosshair is not None:
            x, y = view.to_canvas(*middle(self.crosshair))
            height, width = view.size
            if not (0 <= x <= width and 0 <= y <= height):
                self.crosshair = view.pixel(*view.inside(x, y, MARGIN_PX))

    def hide_crosshair(self) -> bool:
        """Hide the crosshair, and return whether it was shown; it comes back to the same place."""
        was_shown = self.crosshair is not None
        self.pointed, self.crosshair = self.crosshair or self.pointed, None
        return was_shown

    def marks(self, view: Viewport) -> tuple[Mark, ...]:
        """The marks that show the box and the crosshair."""
        seen = [mark for mark in (self.band or self._begun(view),) if mark is not None]
        if self.crosshair is not None:
            seen.append(Mark("crosshair", *middle(self.crosshair)))
        return tuple(seen)

    def _begun(self, view: Viewport) -> Mark | None:
        if self.corner is None:
            return None
        start = view.to_canvas(*self.corner)
        if self.crosshair is None or self.crosshair == view.pixel(*start):
            return Mark("corner", *self.corner)
        return Mark("box", *view.box(*start, *view.to_canvas(*middle(self.crosshair))))
