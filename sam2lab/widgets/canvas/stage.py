"""The photo on its canvas: fitted, zoomed, moved, pointed at."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from ipywidgets import Box

from sam2lab.runtime.images import RGB
from sam2lab.widgets.canvas.guides import MARGIN_PX, Guides
from sam2lab.widgets.canvas.layers import Drawing, Layers
from sam2lab.widgets.canvas.marks import Mark
from sam2lab.widgets.canvas.painting import Paint
from sam2lab.widgets.canvas.pointer import Pointer
from sam2lab.widgets.canvas.viewport import Pixel, Place, Viewport, canvas_size, middle
from sam2lab.widgets.deferred import Latest
from sam2lab.widgets.panels.controls import named
from sam2lab.widgets.session.packed import PackedMask

ZOOM_STEP = 1.5
# Turning the wheel by this much doubles the size.
WHEEL_DOUBLES_PX = 300.0
# How near to a sign, in canvas pixels, a click takes it away.
REACH_PX = 10.0
# Movements that come this close together have piled up: only the last counts.
PILED_UP_S = 0.01
# After so long without a turn of the wheel the photo is made sharp.
SETTLED_S = 0.15


class Pointing(Protocol):
    """Who is told what was pointed at, in pixels of the photo."""

    def pointed(self, x: int, y: int, opposite: bool, reach: float) -> None:
        """At a pixel; signs within `reach` photo pixels may be meant."""

    def boxed(self, x0: int, y0: int, x1: int, y1: int) -> None:
        """At a box, x0 < x1 and y0 < y1, the ends outside."""

    def hovered(self, x: int, y: int) -> None:
        """The pointer rests on a pixel."""

    def unhovered(self) -> None:
        """The pointer is elsewhere."""


class Stage:
    """One photo at a time on `widget`, with masks and marks over it, within `limit`.

    `limit` is the largest (height, width) of the canvas, in its pixels.
    """

    def __init__(self, limit: tuple[int, int], pointing: Pointing) -> None:
        self._limit = limit
        self._pointing = pointing
        self.layers = Layers(limit, self._show)
        named(self.layers.canvas, "canvas")
        self.widget = named(Box([self.layers.canvas]), "view")
        self.pointer = Pointer(self.widget, self, limit)
        self._drawing: Drawing | None = None
        self._guides = Guides()
        self._draws_boxes = False
        self._previews = False
        self._hover = Latest(PILED_UP_S)
        self._sharpen = Latest(SETTLED_S)

    @property
    def view(self) -> Viewport:
        """How the photo lies on the canvas now."""
        if self._drawing is None:
            raise ValueError("no photo is shown yet")
        return self._drawing.view

    @property
    def draws_boxes(self) -> bool:
        """Whether two clicks are the corners of a box."""
        return self._draws_boxes

    @draws_boxes.setter
    def draws_boxes(self, wanted: bool) -> None:
        self._draws_boxes = wanted
        self.cancel()

    @property
    def previews(self) -> bool:
        """Whether `Pointing.hovered` is told of every movement."""
        return self._previews

    @previews.setter
    def previews(self, wanted: bool) -> None:
        self._previews = wanted
        self._watch()

    @property
    def has_corner(self) -> bool:
        """Whether a box was begun by its first corner."""
        return self._guides.corner is not None

    def cancel(self) -> bool:
        """Forget a box that was begun, and say whether there was one."""
        was_begun = self._guides.cancel()
        self.pointer.cancel()
        self._show()
        return was_begun

    @property
    def crosshair(self) -> Pixel | None:
        """The photo's pixel that keys point at; None while no crosshair is shown."""
        return self._guides.crosshair

    def aim(self, across: int = 0, down: int = 0) -> bool:
        """Show the crosshair, or move it by so many photo pixels; say whether there is one."""
        if self._drawing is None:
            return False
        pixel = self._guides.aim(self.view, across, down)
        self._watch()
        self._look(self.view.revealing(*middle(pixel), MARGIN_PX))
        self._preview(pixel)
        return True

    def hide_crosshair(self) -> None:
        """Show it no longer; the next key brings it back."""
        if self._guides.hide_crosshair():
            self._watch()
            self._show()

    def open(self, key: str, photo: RGB) -> None:
        """Another photo, fitted, with nothing over it."""
        size = canvas_size((photo.shape[0], photo.shape[1]), self._limit)
        self.layers.resize(size)
        self.pointer.size = size
        self.pointer.cancel()
        self._guides = Guides()
        self._watch()
        view = Viewport.fitted((photo.shape[0], photo.shape[1]), size)
        self._drawing = Drawing(view, key, photo)

    def draw(
        self,
        others: tuple[tuple[PackedMask, Paint], ...],
        active: tuple[tuple[PackedMask, Paint], ...],
        marks: tuple[Mark, ...],
    ) -> bool:
        """Show these over the photo, and say whether anything had changed."""
        if self._drawing is None:
            return False
        self._drawing = replace(self._drawing, others=others, active=active, marks=marks)
        return self._show()

    def zoom(self, factor: float) -> None:
        """Larger by `factor` around the crosshair, or the middle."""
        if self._drawing is not None:
            height, width = self.view.size
            here = self.crosshair
            place = self.view.to_canvas(*middle(here)) if here else (width / 2, height / 2)
            self._look(self.view.zoomed(factor, *place))

    def pan(self, across: float, down: float) -> None:
        """See more to the right and below, in parts of what is seen."""
        if self._drawing is not None:
            height, width = self.view.size
            self._look(self.view.panned(-across * width, -down * height))

    def fit(self) -> None:
        """The whole photo."""
        if self._drawing is not None:
            self._look(Viewport.fitted(self.view.image_size, self.view.size))

    # What the pointer does, and the keys in its place.

    def clicked(self, x: float, y: float, opposite: bool) -> None:
        if self._drawing is None or not self.view.shows(x, y):
            return
        if self._draws_boxes or self.has_corner:
            self.cornered(x, y)
        else:
            self._guides.pointed = pixel = self.view.pixel(x, y)
            self._pointing.pointed(*pixel, opposite, REACH_PX / self.view.scale)

    def cornered(self, x: float, y: float) -> None:
        """One corner of a box, or the one opposite to it."""
        if self._guides.corner is None:
            self._guides.corner = self.view.to_image(x, y)
            self.left()
            self._show()
        else:
            self.dragged(self.view.to_canvas(*self._guides.corner), (x, y))

    def dragging(self, start: Place, end: Place) -> None:
        if self._drawing is not None:
            x0, y0, x1, y1 = self.view.box(*start, *end)
            self._guides.band = Mark("box", x0, y0, x1, y1)
            self._show()

    def dragged(self, start: Place, end: Place) -> None:
        if self._drawing is None:
            return
        self._guides.corner = None
        # Shown until there is an answer, or words why there is none.
        self.dragging(start, end)
        self._guides.band = None
        self._pointing.boxed(*self.view.box(*start, *end))

    def panned(self, dx: float, dy: float, done: bool) -> None:
        if self._drawing is not None:
            self._look(self.view.panned(dx, dy), is_moving=not done)

    def wheeled(self, x: float, y: float, dx: float, dy: float, zooms: bool) -> None:
        if self._drawing is None:
            return
        if zooms:
            view = self.view.zoomed(2 ** (-dy / WHEEL_DOUBLES_PX), x, y)
        else:
            view = self.view.panned(-dx, -dy)
        if view != self.view:
            self._look(view, is_moving=True)
            self._sharpen.call(lambda: self._look(self.view))

    def hovered(self, x: float, y: float) -> None:
        if self._drawing is None:
            return
        self.hide_crosshair()
        if self.view.shows(x, y):
            self._preview(self.view.pixel(x, y))
        else:
            self.left()

    def left(self) -> None:
        self._hover.cancel()
        self._pointing.unhovered()

    def _preview(self, pixel: Pixel) -> None:
        self._hover.call(lambda: self._pointing.hovered(*pixel))

    def _watch(self) -> None:
        """Be told of the mouse's movements while they would change something."""
        self.pointer.hovers = self._previews or self.crosshair is not None

    def _look(self, view: Viewport, is_moving: bool = False) -> None:
        if self._drawing is not None:
            self._drawing = replace(self._drawing, view=view, is_moving=is_moving)
            self._guides.keep_in_sight(view)
            self._show()

    def _show(self) -> bool:
        if self._drawing is None:
            return False
        seen = self._drawing.marks + self._guides.marks(self.view)
        return self.layers.draw(replace(self._drawing, marks=seen))
