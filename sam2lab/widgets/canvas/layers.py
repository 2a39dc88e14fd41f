"""The canvas in the browser: four layers, each sent only when something on it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ipycanvas import Canvas, MultiCanvas
from ipycanvas.canvas import COMMANDS
from traitlets import Unicode

from sam2lab.runtime.images import RGB
from sam2lab.widgets.canvas import marks, painting
from sam2lab.widgets.canvas.marks import Mark
from sam2lab.widgets.canvas.painting import Paint, Painted
from sam2lab.widgets.canvas.viewport import Viewport
from sam2lab.widgets.session.packed import PackedMask

PHOTO, OTHERS, ACTIVE, MARKS = range(4)
# Screen readers say this. The mouse never meets it: the style sheet lets events pass through.
NAME = "Photo to segment; arrow keys move a crosshair, Enter clicks there"

# Photo pixels larger than this, in canvas pixels, are shown as the squares they are.
SMOOTH_UP_TO = 4.0

Masks = tuple[tuple[PackedMask, Paint], ...]


@dataclass(frozen=True)
class Drawing:
    """All that the canvas shows. Photos are compared by `photo_key`, masks by identity."""

    view: Viewport
    photo_key: str
    photo: RGB = field(compare=False)
    others: Masks = ()
    active: Masks = ()
    marks: tuple[Mark, ...] = ()
    # While the photo moves, only the pixels that the browser has already are shown.
    is_moving: bool = False


class _NamedCanvas(MultiCanvas):
    """A canvas with a name for screen readers.

    The browser's side of a widget sets `tooltip` only beside an empty description, which no
    canvas has.
    """

    description = Unicode("").tag(sync=True)


class Layers:
    """Draws on `canvas` what has changed since the last time.

    Nothing is drawn before a browser says that it is ready. For each browser that comes later,
    after a reload of the page or in Voilà, everything is drawn anew: `redraw` is called.
    """

    def __init__(self, size: tuple[int, int], redraw: Callable[[], object]) -> None:
        self.canvas = _NamedCanvas(4, height=size[0], width=size[1], tooltip=NAME)
        self.canvas.add_class("sam2lab-canvas")
        # It is never displayed. It keeps the photo's pixels in the browser, so that zooming and
        # moving send nothing.
        self._stock = Canvas(height=1, width=1)
        self._stocked: tuple[str, float] | None = None
        self._seen: dict[int, object] = {}
        self._is_ready = False
        self._redraw = redraw
        self.canvas.on_client_ready(self._on_client_ready)

    def resize(self, size: tuple[int, int]) -> None:
        """Change height and width, which clears everything."""
        if size != (self.canvas.height, self.canvas.width):
            self.canvas.height, self.canvas.width = size
            self._seen.clear()

    def draw(self, drawing: Drawing) -> bool:
        """Bring the canvas to this state, and return whether anything has changed."""
        if not self._is_ready:
            return False
        before, view = dict(self._seen), drawing.view
        with held(self.canvas):
            if self._is_new(PHOTO, (view, drawing.photo_key, drawing.is_moving)):
                self._draw_photo(drawing)
            if self._is_new(OTHERS, (view, drawing.others)):
                self._draw_masks(OTHERS, view, drawing.others)
            if self._is_new(ACTIVE, (view, drawing.active)):
                self._draw_masks(ACTIVE, view, drawing.active)
            if self._is_new(MARKS, (view, drawing.marks)):
                self.canvas[MARKS].clear()
                for mark in drawing.marks:
                    marks.draw(self.canvas[MARKS], view, mark)
        return self._seen != before

    def _is_new(self, layer: int, content: object) -> bool:
        if self._seen.get(layer) == content:
            return False
        self._seen[layer] = content
        return True

    def _draw_photo(self, drawing: Drawing) -> None:
        view = drawing.view
        height, width = view.image_size
        whole = Viewport.fitted(view.image_size, view.size)
        resolution = min(1.0, whole.scale)
        if self._stocked != (drawing.photo_key, resolution):
            self._stock.height = max(1, round(height * resolution))
            self._stock.width = max(1, round(width * resolution))
            put(self._stock, Painted(painting.photo(drawing.photo, whole).data, 0, 0))
            self._stocked = drawing.photo_key, resolution
        layer = self.canvas[PHOTO]
        layer.clear()
        layer.image_smoothing_enabled = view.scale < SMOOTH_UP_TO
        corner = view.to_canvas(0, 0)
        layer.draw_image(self._stock, *corner, width * view.scale, height * view.scale)
        if view.scale > resolution and resolution < 1 and not drawing.is_moving:
            put(layer, painting.photo(drawing.photo, view))

    def _draw_masks(self, layer: int, view: Viewport, masks: Masks) -> None:
        self.canvas[layer].clear()
        for packed, paint in masks:
            painted = painting.mask(packed, view, paint)
            if painted is not None:
                put(self.canvas[layer], painted)

    def _on_client_ready(self) -> None:
        self._is_ready = True
        self._stocked = None
        self._seen.clear()
        self._redraw()


@contextmanager
def held(canvas: MultiCanvas) -> Iterator[None]:
    """Send everything that is drawn meanwhile in one message.

    This is `ipycanvas.hold_canvas` made safe: after an exception, that one would hold back
    everything that is drawn later, in any notebook cell.
    """
    manager = canvas._canvas_manager
    before = manager._caching
    # This makes every message name its canvas. ipycanvas omits what it told earlier clients, and
    # after one command without a canvas a page obeys no further ones.
    manager._current_canvas = None
    manager._caching = True
    try:
        yield
    finally:
        manager.flush()
        manager._caching = before


def put(layer: Canvas, painted: Painted) -> None:
    """Draw an encoded picture; ipycanvas' own `put_image_data` takes only arrays."""
    place = [painted.x, painted.y]
    if painted.scale != 1:
        layer.save()
        layer.translate(*place)
        layer.scale(painted.scale)
        place = [0, 0]
    layer._canvas_manager.send_draw_command(layer, COMMANDS["putImageData"], place, [painted.data])
    if painted.scale != 1:
        layer.restore()
