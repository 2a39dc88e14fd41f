"""Where the photo lies on the canvas: arithmetic between two coordinate systems."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from sam2lab.runtime.masks import Box

# A photo pixel is never enlarged beyond this many canvas pixels, because it is easy to hit then.
LARGEST_PIXEL = 24.0

Place = tuple[float, float]
Pixel = tuple[int, int]


def canvas_size(image_size: tuple[int, int], limit: tuple[int, int]) -> tuple[int, int]:
    """Height and width of a canvas for a photo, both sizes (height, width), within `limit`.

    The canvas has the shape of the photo, but no side is shorter than half its limit, so that
    there is room to zoom into a panorama.

    >>> canvas_size((4000, 6000), (640, 960)), canvas_size((400, 6000), (640, 960))
    ((640, 960), (320, 960))
    """
    scale = _fit(image_size, limit)
    height, width = (
        min(most, max(round(scale * side), math.ceil(most / 2)))
        for side, most in zip(image_size, limit, strict=True)
    )
    return height, width


def middle(pixel: Pixel) -> Place:
    """The middle of a photo's pixel, both (x, y).

    >>> middle((3, 0))
    (3.5, 0.5)
    """
    return pixel[0] + 0.5, pixel[1] + 0.5


@dataclass(frozen=True)
class Viewport:
    """A photo of `image_size` seen on a canvas of `size`, both (height, width).

    Coordinates are (x, y) and continuous: pixel i reaches from i to i + 1, on the photo and on
    the canvas. `scale` is in canvas pixels per photo pixel; (`left`, `top`) is the place on the
    photo that lies in the top left corner of the canvas.

    >>> view = Viewport.fitted((200, 400), (100, 100))
    >>> view.scale, view.to_image(50, 50), view.to_canvas(0, 0)
    (0.25, (200.0, 100.0), (0.0, 25.0))
    >>> view.zoomed(2, 0, 50).to_image(0, 50)
    (0.0, 100.0)
    """

    image_size: tuple[int, int]
    size: tuple[int, int]
    scale: float
    left: float
    top: float

    @classmethod
    def fitted(cls, image_size: tuple[int, int], size: tuple[int, int]) -> Viewport:
        """Show the whole photo, centred."""
        return cls(image_size, size, _fit(image_size, size), 0.0, 0.0)._held_in()

    def to_image(self, x: float, y: float) -> Place:
        """Turn a place on the canvas into one on the photo, perhaps beside it."""
        return x / self.scale + self.left, y / self.scale + self.top

    def to_canvas(self, x: float, y: float) -> Place:
        """Turn a place on the photo into one on the canvas, perhaps beside it."""
        return (x - self.left) * self.scale, (y - self.top) * self.scale

    def pixel(self, x: float, y: float) -> Pixel:
        """Return the photo's pixel that is under, or nearest to, a place on the canvas."""
        height, width = self.image_size
        across, down = self.to_image(x, y)
        return _within(math.floor(across), width - 1), _within(math.floor(down), height - 1)

    def shows(self, x: float, y: float) -> bool:
        """Whether a place on the canvas shows the photo, not the margin around it."""
        height, width = self.image_size
        across, down = self.to_image(x, y)
        return 0 <= across < width and 0 <= down < height

    def box(self, x0: float, y0: float, x1: float, y1: float) -> Box:
        """Return the whole photo pixels between two corners on the canvas, given in any order.

        (x0, y0, x1, y1) with the ends outside: at least the one pixel that is nearest.
        """
        left, right = sorted((x0, x1))
        top, bottom = sorted((y0, y1))
        first, last = self.pixel(left, top), self.pixel(right, bottom)
        return *first, last[0] + 1, last[1] + 1

    @property
    def visible(self) -> Box:
        """The part of the photo that is shown: x0, y0, x1, y1 in whole pixels, the ends outside."""
        height, width = self.image_size
        right, bottom = self.to_image(self.size[1], self.size[0])
        return (
            _within(math.floor(self.left), width - 1),
            _within(math.floor(self.top), height - 1),
            max(1, _within(math.ceil(right), width)),
            max(1, _within(math.ceil(bottom), height)),
        )

    def zoomed(self, factor: float, x: float, y: float) -> Viewport:
        """Enlarge by `factor`, or reduce if below 1, around the place (x, y) on the canvas."""
        smallest = _fit(self.image_size, self.size)
        largest = max(4 * smallest, LARGEST_PIXEL)
        scale = min(max(self.scale * factor, smallest), largest)
        across, down = self.to_image(x, y)
        moved = replace(self, scale=scale, left=across - x / scale, top=down - y / scale)
        return moved._held_in()

    def panned(self, dx: float, dy: float) -> Viewport:
        """Move the photo by (dx, dy) canvas pixels, as far as there is more of it to show."""
        return replace(
            self, left=self.left - dx / self.scale, top=self.top - dy / self.scale
        )._held_in()

    def inside(self, x: float, y: float, margin: float) -> Place:
        """Return the place nearest to (x, y) at least `margin` away from the canvas' edge."""
        height, width = self.size
        return min(max(x, margin), width - margin), min(max(y, margin), height - margin)

    def revealing(self, x: float, y: float, margin: float) -> Viewport:
        """Move just enough to show a place on the photo at least `margin` from the edge."""
        across, down = self.to_canvas(x, y)
        seen_across, seen_down = self.inside(across, down, margin)
        return self.panned(seen_across - across, seen_down - down)

    def _held_in(self) -> Viewport:
        """Remove needless margins; a side of the photo shorter than the canvas is centred."""
        (height, width), (rows, columns) = self.image_size, self.size
        return replace(
            self,
            left=_settled(self.left, columns / self.scale, width),
            top=_settled(self.top, rows / self.scale, height),
        )


def _fit(image_size: tuple[int, int], size: tuple[int, int]) -> float:
    return min(side / length for side, length in zip(size, image_size, strict=True))


def _settled(start: float, seen: float, length: int) -> float:
    """Return the first pixel to show, of `length` pixels of which `seen` are shown at once."""
    # Rounding errors of a perfect fit are no margin.
    if seen >= length * (1 - 1e-9):
        return (length - seen) / 2 if seen > length * (1 + 1e-9) else 0.0
    return min(max(start, 0.0), length - seen)


def _within(value: int, most: int) -> int:
    return min(max(value, 0), most)
