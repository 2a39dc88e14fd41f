"""The photo on its canvas: fitted, zoomed, moved, pointed at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from ipywidgets import Box

from sam2lab.runtime.arguments import height_and_width
from sam2lab.runtime.images import RGB
from sam2lab.widgets.canvas.guides import MARGIN_PX, Guides
from sam2lab.widgets.canvas.layers import Drawing, Layers, Masks
from sam2lab.widgets.canvas.marks import Mark
from sam2lab.widgets.canvas.pointer import Pointer
from sam2lab.widgets.canvas.viewport import Pixel, Place, Viewport, canvas_size, middle
from sam2lab.widgets.deferred import Latest

ZOOM_STEP = 1.5
# Turning the wheel by this much doubles the size.
WHEEL_DOUBLES_PX = 300.0
# A click this near to a sign, in canvas pixels, removes its prompt.
REACH_PX = 10.0
# Movements that come closer together than this have piled up: only the last counts.
PILED_UP_S = 0.01
# The photo is drawn sharp once the wheel has been still for this long.
SETTLED_S = 0.15


class Pointing(Protocol):
    """The methods that the stage calls when a user points; all in pixels of the photo."""

    def point(self, x: int, y: int, opposite: bool, reach: float) -> None:
        """Add a point, or remove a prompt within `reach`; `opposite` reverses its sign."""

    def draw_box(self, x0: int, y0: int, x1: int, y1: int) -> None:
        """Add a box, x0 < x1 and y0 < y1, the ends outside."""

    def preview(self, x: int, y: int) -> None:
        """Preview a click on a pixel."""

    def end_preview(self) -> None:
        """Preview nothing any more."""


class Stage:
    """Shows one photo at a time on `widget`, with masks and marks over it.

    `limit` is the largest (height, width) of the canvas in its own pixels. While `draws_boxes`,
    two clicks are the corners of a box. `on_shown` is called after each change of what is shown or
    of where clicks would go.
    """

    def __init__(self, limit: tuple[int, int], pointing: Pointing) -> None:
        self._limit = height_and_width("size", limit)
        if min(self._limit) < 100:
            raise ValueError(f"size is {self._limit}; wanted (height, width) of at least 100 each")
        self._pointing = pointing
        self.layers = Layers(self._limit, self._show)
        self.widget = Box([self.layers.canvas]).add_class("sam2lab-view")
        self.pointer = Pointer(self.widget, self)
        self.draws_boxes = False
        self.on_shown: Callable[[], None] = lambda: None
        self._drawing: Drawing | None = None
        self._guides = Guides()
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
    def corner(self) -> Place | None:
        """The place on the photo that is the first corner of a box, if that is set."""
        return self._guides.corner

    @property
    def has_corner(self) -> bool:
        """Whether the first corner of a box is set."""
        return self.corner is not None

    def preview_moves(self, wanted: bool) -> None:
        """Call `Pointing.preview` at every movement of the pointer, or no longer."""
        self._previews = wanted
        self._watch()

    def cancel(self) -> bool:
        """Give up a box that was begun, and return whether there was one."""
        was_begun = self._guides.cancel()
        self.pointer.cancel()
        self._show()
        return was_begun

    @property
    def crosshair(self) -> Pixel | None:
        """The photo's pixel under the crosshair, None while that is not shown."""
        return self._guides.crosshair

    def aim(self, across: int = 0, down: int = 0) -> bool:
        """Show the crosshair or move it by photo pixels; return whether there is a photo."""
        if self._drawing is None:
            return False
        pixel = self._guides.aim(self.view, across, down)
        self._watch()
        self._look(lambda view: view.revealing(*middle(pixel), MARGIN_PX))
        self._preview(pixel)
        return True

    def hide_crosshair(self) -> None:
        """Hide the crosshair; the next key shows it in the same place."""
        if self._guides.hide_crosshair():
            self._watch()
            self._show()

    def open(self, key: str, photo: RGB) -> None:
        """Show another photo, fitted, with nothing over it."""
        image_size = photo.shape[0], photo.shape[1]
        size = canvas_size(image_size, self._limit)
        self.layers.resize(size)
        self.pointer.size = size
        self.pointer.cancel()
        self._guides = Guides()
        self._watch()
        self._drawing = Drawing(Viewport.fitted(image_size, size), key, photo)

    def turn_to(self, key: str, photo: RGB) -> None:
        """Show another photo of the same size in the same place, as the next frame of a video."""
        if self._drawing is None or self._drawing.view.image_size != photo.shape[:2]:
            self.open(key, photo)
        else:
            self._drawing = replace(self._drawing, photo_key=key, photo=photo)

    def draw(self, others: Masks, active: Masks, marks: tuple[Mark, ...]) -> bool:
        """Show these over the photo, and return whether anything has changed."""
        if self._drawing is None:
            return False
        self._drawing = replace(self._drawing, others=others, active=active, marks=marks)
        return self._show()

    def zoom(self, factor: float) -> None:
        """Enlarge by `factor` around the crosshair, or around the middle of the canvas."""
        here = self.crosshair

        def zoomed(view: Viewport) -> Viewport:
            height, width = view.size
            place = view.to_canvas(*middle(here)) if here else (width / 2, height / 2)
            return view.zoomed(factor, *place)

        self._look(zoomed)

    def pan(self, across: float, down: float) -> None:
        """Look further to the right and down, by these shares of the canvas."""
        self._look(lambda view: view.panned(-across * view.size[1], -down * view.size[0]))

    def fit(self) -> None:
        """Show the whole photo."""
        self._look(lambda view: Viewport.fitted(view.image_size, view.size))

    # The methods of `pointer.Gestures`, which keys call too.

    def clicked(self, x: float, y: float, opposite: bool) -> None:
        if not self.view.shows(x, y):
            return
        if self.draws_boxes or self.has_corner:
            self.cornered(x, y)
        else:
            self._guides.pointed = pixel = self.view.pixel(x, y)
            self._pointing.point(*pixel, opposite, REACH_PX / self.view.scale)

    def cornered(self, x: float, y: float) -> None:
        """Set one corner of a box, or the opposite one."""
        if self._guides.corner is None:
            self._guides.corner = self.view.to_image(x, y)
            self.left()
            self._show()
        else:
            self.dragged(self.view.to_canvas(*self._guides.corner), (x, y))

    def dragging(self, start: Place, end: Place) -> None:
        self._guides.band = Mark("box", *self.view.box(*start, *end))
        self._show()

    def dragged(self, start: Place, end: Place) -> None:
        self._guides.corner = None
        # The box stays on the canvas until there is an answer or an error.
        self.dragging(start, end)
        self._guides.band = None
        self._pointing.draw_box(*self.view.box(*start, *end))

    def panned(self, dx: float, dy: float, done: bool) -> None:
        self._look(lambda view: view.panned(dx, dy), is_moving=not done)

    def wheeled(self, x: float, y: float, dx: float, dy: float, zooms: bool) -> None:
        if zooms:
            view = self.view.zoomed(2 ** (-dy / WHEEL_DOUBLES_PX), x, y)
        else:
            view = self.view.panned(-dx, -dy)
        if view != self.view:
            self._look(lambda _: view, is_moving=True)
            self._sharpen.call(lambda: self._look(lambda view: view))

    def hovered(self, x: float, y: float) -> None:
        self.hide_crosshair()
        if self.view.shows(x, y):
            self._preview(self.view.pixel(x, y))
        else:
            self.left()

    def left(self) -> None:
        self._hover.cancel()
        self._pointing.end_preview()

    def _preview(self, pixel: Pixel) -> None:
        self._hover.call(lambda: self._pointing.preview(*pixel))

    def _watch(self) -> None:
        """Let the browser report movements while one would change something."""
        self.pointer.watch_hovering(self._previews or self.crosshair is not None)

    def _look(self, change: Callable[[Viewport], Viewport], is_moving: bool = False) -> None:
        if self._drawing is not None:
            view = change(self.view)
            self._drawing = replace(self._drawing, view=view, is_moving=is_moving)
            self._guides.keep_in_sight(view)
            self._show()

    def _show(self) -> bool:
        if self._drawing is None:
            return False
        seen = self._drawing.marks + self._guides.marks(self.view)
        is_new = self.layers.draw(replace(self._drawing, marks=seen))
        self.on_shown()
        return is_new
