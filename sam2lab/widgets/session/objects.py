"""Prompts, objects, and the state that they make up; all of it is immutable."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

# Colours that eyes with and without colour vision deficiencies tell apart: Okabe and Ito's palette
# without black, then colours of Paul Tol's schemes, each the one furthest from all before it.
PALETTE = (
    "#e69f00",
    "#56b4e9",
    "#009e73",
    "#f0e442",
    "#0072b2",
    "#d55e00",
    "#cc79a7",
    "#332288",
    "#882255",
    "#ffaabb",
    "#99ddff",
    "#117733",
    "#999933",
)


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
# An object's id, its prompts and its choice: with the engine, they decide its mask.
Question = tuple[int, tuple[Prompt, ...], int | None]


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


@dataclass(frozen=True)
class Item:
    """One object: its prompts, its name, and how it is shown.

    `choice` is the number of the candidate that the user chose among the answers to the first
    prompt; None means the best-scored one.
    """

    id: int
    name: str
    colour: str
    hidden: bool = False
    prompts: tuple[Prompt, ...] = ()
    choice: int | None = None

    @property
    def question(self) -> Question:
        """All that this object's mask depends on, except the engine."""
        return self.id, self.prompts, self.choice

    def prompted(self, prompts: tuple[Prompt, ...]) -> Item:
        """Replace the prompts; the choice is kept while the first prompt stays the same."""
        stands = prompts[:1] == self.prompts[:1]
        return replace(self, prompts=prompts, choice=self.choice if stands else None)


@dataclass(frozen=True)
class State:
    """All objects on one photo at one moment.

    One object is `active`: it takes the next prompt. No other object is without prompts.

    >>> state = State.fresh().with_prompts((Point(3, 4),)).committed()
    >>> [(item.name, len(item.prompts)) for item in state.objects], state.active
    ([('object 1', 1), ('object 2', 0)], 2)
    """

    objects: tuple[Item, ...]
    active: int
    next_id: int

    @classmethod
    def fresh(cls) -> State:
        """The state of a new photo: one empty object."""
        return State((), 0, 1).begun()

    def item(self, object_id: int | None = None) -> Item:
        """The object with this id, or the active one."""
        wanted = self.active if object_id is None else object_id
        for item in self.objects:
            if item.id == wanted:
                return item
        known = ", ".join(f"{item.id} ({item.name})" for item in self.objects)
        raise ValueError(f"object_id is {object_id!r}; wanted one of {known}")

    def changed(self, item: Item) -> State:
        """Replace the object that has the id of `item`."""
        return replace(self, objects=tuple(item if o.id == item.id else o for o in self.objects))

    def with_prompts(self, prompts: tuple[Prompt, ...]) -> State:
        """Replace the active object's prompts."""
        return self.changed(self.item().prompted(prompts))

    def begun(self) -> State:
        """Append a new, empty, active object and drop any other empty one."""
        kept = tuple(item for item in self.objects if item.prompts)
        used = [item.colour for item in kept]
        colour = min(PALETTE, key=used.count)
        item = Item(self.next_id, f"object {self.next_id}", colour)
        return State((*kept, item), item.id, self.next_id + 1)

    def committed(self, name: str | None = None) -> State:
        """Finish the active object, perhaps under a name, and begin the next one."""
        if not self.item().prompts:
            raise ValueError("there is nothing to commit yet: click on an object or draw a box")
        named = self if name is None else self.renamed(self.active, name)
        return named.begun()

    def selected(self, object_id: int) -> State:
        """Make another object active; the previous one is dropped if it is empty."""
        wanted = self.item(object_id).id
        kept = tuple(item for item in self.objects if item.prompts or item.id == wanted)
        return replace(self, objects=kept, active=wanted)

    def renamed(self, object_id: int, name: str) -> State:
        """Rename an object; runs of spaces and line ends become single spaces."""
        tidy = " ".join(str(name).split())
        if not tidy:
            raise ValueError("name is empty; wanted at least one letter")
        return self.changed(replace(self.item(object_id), name=tidy))

    def recoloured(self, object_id: int, colour: str) -> State:
        """Give an object another colour, as #rrggbb."""
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", str(colour)):
            raise ValueError(f"colour is {colour!r}; wanted #rrggbb, such as {PALETTE[0]}")
        return self.changed(replace(self.item(object_id), colour=colour.lower()))

    def hid(self, object_id: int, hidden: bool) -> State:
        """Hide an object, or show it again."""
        return self.changed(replace(self.item(object_id), hidden=hidden))

    def deleted(self, object_id: int) -> State:
        """Remove an object; if it was active, a new, empty one becomes active."""
        gone = self.item(object_id)
        left = replace(self, objects=tuple(item for item in self.objects if item is not gone))
        return left.begun() if gone.id == self.active else left
