"""Where a click lands: for any photo, canvas, zoom and place."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2lab.widgets.canvas.viewport import Viewport, canvas_size

LARGE, ICON, PORTRAIT, PANORAMA = (4000, 6000), (20, 20), (1600, 900), (400, 6000)
PHOTOS = [LARGE, ICON, PORTRAIT, PANORAMA, (1, 1), (3, 1000)]
LIMIT = (540, 720)

sizes = st.sampled_from(PHOTOS) | st.tuples(st.integers(1, 7000), st.integers(1, 7000))
share = st.floats(0, 1)
moves = st.lists(
    st.tuples(st.floats(0.2, 5), share, share, st.floats(-900, 900), st.floats(-900, 900)),
    max_size=6,
)


@st.composite
def views(draw: st.DrawFn) -> Viewport:
    size = draw(sizes)
    view = Viewport.fitted(size, canvas_size(size, LIMIT))
    for factor, x, y, dx, dy in draw(moves):
        view = view.zoomed(factor, x * view.size[1], y * view.size[0]).panned(dx, dy)
    return view


@given(views(), share, share)
def test_the_middle_of_a_pixel_on_the_canvas_is_that_pixel(
    view: Viewport, across: float, down: float
) -> None:
    height, width = view.image_size
    pixel = min(int(across * width), width - 1), min(int(down * height), height - 1)
    place = view.to_canvas(pixel[0] + 0.5, pixel[1] + 0.5)
    assert view.pixel(*place) == pixel


@given(views(), share, share)
def test_canvas_to_image_to_canvas_is_the_same_place(
    view: Viewport, across: float, down: float
) -> None:
    place = across * view.size[1], down * view.size[0]
    # A millionth of a pixel: all that floating point loses at coordinates of thousands.
    assert view.to_canvas(*view.to_image(*place)) == pytest.approx(place, abs=1e-6)


@given(views(), share, share)
def test_the_pixel_of_a_place_is_seen_at_that_place(
    view: Viewport, across: float, down: float
) -> None:
    place = across * view.size[1], down * view.size[0]
    if not view.shows(*place):
        return
    x, y = view.pixel(*place)
    left, top = view.to_canvas(x, y)
    assert left - 1e-6 <= place[0] <= left + view.scale + 1e-6
    assert top - 1e-6 <= place[1] <= top + view.scale + 1e-6


@given(views())
def test_there_is_no_margin_where_there_is_more_to_see(view: Viewport) -> None:
    for start, length, seen in zip((view.top, view.left), view.image_size, view.size, strict=True):
        if length * view.scale >= seen:
            assert -1e-6 <= start <= length - seen / view.scale + 1e-6
        else:
            assert start == pytest.approx((length - seen / view.scale) / 2)


@given(views(), st.floats(1, 4), share, share)
def test_zooming_in_keeps_the_place_under_the_pointer(
    view: Viewport, factor: float, across: float, down: float
) -> None:
    place = across * view.size[1], down * view.size[0]
    closer = view.zoomed(factor, *place)
    if any(
        length * each.scale < seen
        for each in (view, closer)
        for length, seen in zip(view.image_size, view.size, strict=True)
    ):
        return  # a side with room to spare is centred instead
    # In photo pixels; the view's left and top are of this size and rounded alike.
    assert closer.to_image(*place) == pytest.approx(view.to_image(*place), abs=1e-6)


@pytest.mark.parametrize("size", PHOTOS)
def test_a_photo_is_shown_whole_and_as_large_as_it_fits(size: tuple[int, int]) -> None:
    height, width = canvas_size(size, LIMIT)
    assert height <= LIMIT[0]
    assert width <= LIMIT[1]
    view = Viewport.fitted(size, (height, width))
    assert view.visible == (0, 0, size[1], size[0])
    assert min(height / (size[0] * view.scale), width / (size[1] * view.scale)) == pytest.approx(1)


def test_zooming_out_ends_at_the_whole_photo() -> None:
    whole = Viewport.fitted(LARGE, (480, 720))
    assert whole.zoomed(7, 100, 100) != whole
    assert whole.zoomed(7, 100, 100).zoomed(1e-6, 700, 10) == whole


@pytest.mark.parametrize("size", [LARGE, ICON])
def test_zooming_in_ends_where_a_pixel_is_easily_hit(size: tuple[int, int]) -> None:
    view = Viewport.fitted(size, canvas_size(size, LIMIT)).zoomed(1e9, 0, 0)
    assert 16 <= view.scale <= 200


@given(views(), share, share, share, share)
def test_a_box_holds_whole_pixels_of_the_photo_whatever_its_direction(
    view: Viewport, ax: float, ay: float, bx: float, by: float
) -> None:
    height, width = view.size
    a, b = (ax * width, ay * height), (bx * width, by * height)
    x0, y0, x1, y1 = view.box(*a, *b)
    assert (x0, y0, x1, y1) == view.box(*b, *a) == view.box(a[0], b[1], b[0], a[1])
    assert 0 <= x0 < x1 <= view.image_size[1]
    assert 0 <= y0 < y1 <= view.image_size[0]
    for place in (a, b):
        x, y = view.pixel(*place)
        assert x0 <= x < x1
        assert y0 <= y < y1


@given(views())
def test_all_that_is_visible_is_on_the_canvas(view: Viewport) -> None:
    x0, y0, x1, y1 = view.visible
    right, bottom = view.to_canvas(x1, y1)
    left, top = view.to_canvas(x0, y0)
    assert left > -view.scale - 1e-6
    assert top > -view.scale - 1e-6
    assert right < view.size[1] + view.scale + 1e-6
    assert bottom < view.size[0] + view.scale + 1e-6
    assert math.prod((x1 - x0, y1 - y0)) > 0
