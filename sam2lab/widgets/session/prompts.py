"""Prompts, as a user draws them: clicks and boxes in pixels of what is shown."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """A click at (x, y) in pixels of the photo: on the object (positive) or beside it."""

    x: float
    y: float
    positive: bool = True

    def distance(self, x: float, y: float) -> float:
        """The distance to (x, y) in pixels."""
        return math.hypot(self.x - x, self.y - y)


@dataclass(frozen=True)
class Box:
    """Two corners in pixels of the photo, x0 < x1 and y0 < y1."""

    x0: float
    y0: float
    x1: float
    y1: float

    def distance(self, x: float, y: float) -> float:
        """The distance from the nearest corner to (x, y) in pixels."""
        across = min(abs(self.x0 - x), abs(self.x1 - x))
        down = min(abs(self.y0 - y), abs(self.y1 - y))
        return math.hypot(across, down)


Prompt = Point | Box


def nearest(prompts: tuple[Prompt, ...], x: float, y: float, radius: float) -> int | None:
    """Find the prompt within `radius` of (x, y) and return its index.

    Points come before corners of boxes, then the nearest prompt, then the latest one, which is
    drawn on top.

    >>> prompts = (Box(0, 0, 9, 9), Point(3, 4), Point(8, 8), Point(3, 4))
    >>> nearest(prompts, 4, 4, 2), nearest(prompts, 0, 1, 2), nearest(prompts, 20, 20, 2)
    (3, 0, None)
    """
    near = [
        (isinstance(prompt, Box), prompt.distance(x, y), -index)
        for index, prompt in enumerate(prompts)
        if prompt.distance(x, y) <= radius
    ]
    return -min(near)[2] if near else None


def point_on(size: tuple[int, int], x: float, y: float, positive: bool) -> Point:
    """Make a point on a photo of `size` (height, width), or raise a `ValueError`.

    >>> point_on((480, 640), 3, 4, True)
    Point(x=3.0, y=4.0, positive=True)
    """
    height, width = size
    x, y = float(x), float(y)
    # In this form it refuses NaN too.
    if not (0 <= x <= width and 0 <= y <= height):
        raise ValueError(
            f"x, y is ({x:g}, {y:g}), beside the photo; wanted x from 0 to {width} and y from 0 "
            f"to {height}: click on the photo"
        )
    return Point(x, y, bool(positive))


def box_on(size: tuple[int, int], x0: float, y0: float, x1: float, y1: float) -> Box:
    """Make a box, drawn in any direction, and cut it to a photo of `size` (height, width).

    >>> box_on((480, 640), 700, 90, 30, 20)
    Box(x0=30.0, y0=20.0, x1=640.0, y1=90.0)
    """
    height, width = size
    corners = tuple(float(value) for value in (x0, y0, x1, y1))
    if not all(math.isfinite(value) for value in corners):
        raise ValueError(f"the box is {corners}; wanted four finite numbers")
    left, right = sorted(min(max(value, 0.0), float(width)) for value in corners[::2])
    top, bottom = sorted(min(max(value, 0.0), float(height)) for value in corners[1::2])
    if right - left < 1 or bottom - top < 1:
        raise ValueError(
            f"the box is {right - left:g} x {bottom - top:g} pixels of the photo; wanted at "
            "least 1 x 1: drag further, or click for a point"
        )
    return Box(left, top, right, bottom)
