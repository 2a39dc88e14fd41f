"""Signs on the canvas for prompts; they differ in shape as well as in colour."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ipycanvas import Canvas

from sam2lab.widgets.canvas.viewport import Viewport

POSITIVE, NEGATIVE, BOX = "#0072b2", "#d55e00", "#ffffff"
RADIUS = 8.0
# The crosshair begins this far from its middle, so that the pixel under it stays in sight, and
# is thick up to the end of its arms.
GAP_PX, ARM_PX = 5.5, 22.0


@dataclass(frozen=True)
class Mark:
    """A sign at a place on the photo: x0, y0, and for a box the opposite corner too.

    A pending mark has no answer yet and is drawn pale.
    """

    kind: Literal["positive", "negative", "box", "corner", "crosshair"]
    x0: float
    y0: float
    x1: float = 0.0
    y1: float = 0.0
    is_pending: bool = False


def draw(layer: Canvas, view: Viewport, mark: Mark) -> None:
    """Draw a plus in a disc, a minus in a square, a box or a crosshair; zoom changes no size."""
    layer.global_alpha = 0.55 if mark.is_pending else 1.0
    x, y = view.to_canvas(mark.x0, mark.y0)
    if mark.kind == "box":
        _box(layer, x, y, *view.to_canvas(mark.x1, mark.y1))
    elif mark.kind == "corner":
        _box(layer, x - 6, y - 6, x + 6, y + 6)
    elif mark.kind == "crosshair":
        _crosshair(layer, view, x, y)
    elif mark.kind == "positive":
        _disc(layer, x, y)
    else:
        _square(layer, x, y)
    layer.global_alpha = 1.0


def _box(layer: Canvas, x0: float, y0: float, x1: float, y1: float) -> None:
    """Draw white dashes on a black line, which are visible on any photo."""
    left, top = min(x0, x1), min(y0, y1)
    width, height = abs(x1 - x0), abs(y1 - y0)
    layer.line_width = 2
    layer.stroke_style = "#000000"
    layer.stroke_rect(left, top, width, height)
    layer.stroke_style = BOX
    layer.set_line_dash([6, 4])
    layer.stroke_rect(left, top, width, height)
    layer.set_line_dash([])


def _crosshair(layer: Canvas, view: Viewport, x: float, y: float) -> None:
    """Draw hairlines from edge to edge and thick arms in the middle, white with a black edge."""
    height, width = view.size
    # On whole pixels, because half pixels would be grey.
    x, y = math.floor(x) + 0.5, math.floor(y) + 0.5
    gap = max(GAP_PX, round(view.scale / 2) + 2.5)
    arm = gap + ARM_PX
    for colour, wider in (("#000000", 2), ("#ffffff", 0)):
        layer.fill_style = colour
        for reach, thick in ((max(height, width), 1 + wider), (arm + wider / 2, 3 + wider)):
            long = reach - gap + wider / 2
            for start in (gap - wider / 2, -reach):
                layer.fill_rect(x + start, y - thick / 2, long, thick)
                layer.fill_rect(x - thick / 2, y + start, thick, long)


def _disc(layer: Canvas, x: float, y: float) -> None:
    layer.fill_style = "#ffffff"
    layer.fill_circle(x, y, RADIUS + 2)
    layer.fill_style = POSITIVE
    layer.fill_circle(x, y, RADIUS)
    layer.fill_style = "#ffffff"
    layer.fill_rect(x - 5, y - 1.25, 10, 2.5)
    layer.fill_rect(x - 1.25, y - 5, 2.5, 10)


def _square(layer: Canvas, x: float, y: float) -> None:
    # The same area as the disc.
    half = RADIUS * math.sqrt(math.pi) / 2
    layer.fill_style = "#ffffff"
    layer.fill_rect(x - half - 2, y - half - 2, 2 * half + 4)
    layer.fill_style = NEGATIVE
    layer.fill_rect(x - half, y - half, 2 * half)
    layer.fill_style = "#ffffff"
    layer.fill_rect(x - 5, y - 1.25, 10, 2.5)
