"""Painted pictures show the right pixels once a browser decodes them."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from sam2lab.widgets.canvas import painting
from sam2lab.widgets.canvas.painting import Paint, Painted
from sam2lab.widgets.canvas.viewport import Viewport, canvas_size
from sam2lab.widgets.session.packed import PackedMask

ORANGE = Paint("#e69f00", 0.5)


def disc(height: int, width: int, x: float, y: float, radius: float) -> npt.NDArray[np.bool_]:
    rows, columns = np.ogrid[:height, :width]
    return (columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 < radius**2


def on_canvas(painted: Painted | None, view: Viewport) -> npt.NDArray[np.uint8]:
    """The RGBA pixels of the whole canvas, with the picture in its place."""
    canvas = np.zeros((*view.size, 4), np.uint8)
    if painted is not None:
        picture = np.asarray(Image.open(io.BytesIO(painted.data)).convert("RGBA"))
        x, y = int(painted.x), int(painted.y)
        canvas[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    return canvas


def under_each_canvas_pixel(mask: npt.NDArray[np.bool_], view: Viewport) -> npt.NDArray[np.bool_]:
    """The same by brute force: ask the viewport about each canvas pixel."""
    return np.array(
        [
            [
                view.shows(x + 0.5, y + 0.5) and mask[view.pixel(x + 0.5, y + 0.5)[::-1]]
                for x in range(view.size[1])
            ]
            for y in range(view.size[0])
        ]
    )


@pytest.mark.parametrize("zoom", [1, 2.5, 11])
@pytest.mark.parametrize("size", [(90, 60), (7, 9), (50, 400)])
def test_a_mask_is_painted_exactly_where_its_pixels_are_seen(
    size: tuple[int, int], zoom: float
) -> None:
    view = Viewport.fitted(size, canvas_size(size, (100, 140))).zoomed(zoom, 40, 30)
    mask = disc(*size, size[1] / 2, size[0] / 2, 0.4 * min(size))
    shown = on_canvas(painting.mask(PackedMask.of(mask), view, ORANGE), view)
    np.testing.assert_array_equal(shown[..., 3] > 0, under_each_canvas_pixel(mask, view))


def test_a_sampled_mask_lies_in_memory_row_by_row() -> None:
    # Column by column, outlining and encoding a mask of a large canvas take four times as long.
    view = Viewport.fitted((90, 60), (180, 120))
    seen = painting.sample(PackedMask.of(disc(90, 60, 30, 45, 20)), view)
    assert seen is not None
    assert seen[0].flags.c_contiguous


def test_the_inside_is_as_opaque_as_asked_and_the_outline_opaque() -> None:
    view = Viewport.fitted((100, 100), (100, 100))
    packed = PackedMask.of(disc(100, 100, 50, 50, 30))
    shown = on_canvas(painting.mask(packed, view, ORANGE), view)
    assert shown[50, 50].tolist() == [230, 159, 0, 128]
    assert shown[50, 21].tolist() == [230, 159, 0, 255]
    assert shown[50, 50 - 30 + painting.OUTLINE_PX, 3] == 128
    hollow = on_canvas(painting.mask(packed, view, Paint("#e69f00", 0)), view)
    assert hollow[50, 50, 3] == 0
    assert hollow[50, 21, 3] == 255


@pytest.mark.parametrize("zoom", [1, 4, 16])
def test_the_outline_is_as_wide_at_any_zoom(zoom: float) -> None:
    view = Viewport.fitted((400, 400), (400, 400)).zoomed(zoom, 200, 200)
    mask = np.zeros((400, 400), bool)
    mask[:, 200:] = True
    painted = painting.mask(PackedMask.of(mask), view, Paint("#e69f00", 0))
    row = on_canvas(painted, view)[200, :, 3]
    assert np.flatnonzero(row).tolist() == [200, 201]


def test_a_mask_out_of_sight_is_not_sent() -> None:
    view = Viewport.fitted((400, 400), (100, 100)).zoomed(8, 0, 0)
    assert painting.mask(PackedMask.of(disc(400, 400, 380, 380, 10)), view, ORANGE) is None
    assert painting.mask(PackedMask.of(np.zeros((400, 400), bool)), view, ORANGE) is None


def test_a_mask_costs_no_more_than_its_box_and_two_bits_a_pixel() -> None:
    size = (1080, 1920)
    view = Viewport.fitted(size, size)
    painted = painting.mask(PackedMask.of(disc(*size, 300, 300, 60)), view, ORANGE)
    assert painted is not None
    with Image.open(io.BytesIO(painted.data)) as picture:
        assert max(picture.size) <= 120 + 2 * painting.OUTLINE_PX
    # The bit depth stands at a fixed place of every PNG.
    assert painted.data[24] == 2
    assert len(painted.data) < 2000


@pytest.mark.parametrize("zoom", [1, 3, 8])
def test_only_the_visible_pixels_of_a_large_photo_are_sent(zoom: float) -> None:
    rgb = np.zeros((3000, 4000, 3), np.uint8)
    view = Viewport.fitted((3000, 4000), (300, 400)).zoomed(zoom, 100, 100)
    painted = painting.photo(rgb, view)
    with Image.open(io.BytesIO(painted.data)) as picture:
        # A pixel that is seen in part is sent whole.
        assert picture.width <= 400 + 2
        assert picture.height <= 300 + 2


@pytest.mark.parametrize("zoom", [1, 2, 6])
def test_the_photo_lies_where_its_pixels_belong(zoom: float) -> None:
    # Left dark, right light: the edge must be seen where the viewport says.
    rgb = np.zeros((600, 800, 3), np.uint8)
    rgb[:, 400:] = 255
    view = Viewport.fitted((600, 800), (300, 400)).zoomed(zoom, 190, 150)
    painted = painting.photo(rgb, view)
    with Image.open(io.BytesIO(painted.data)) as picture:
        light = np.asarray(picture.convert("L"))[picture.height // 2] > 127
    edge = painted.x + painted.scale * int(np.argmax(light))
    # Shrinking and JPEG move an edge by less than a pixel of the canvas.
    assert edge == pytest.approx(view.to_canvas(400, 0)[0], abs=1.01)


def test_an_icon_keeps_its_colours_exactly() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    painted = painting.photo(rgb, Viewport.fitted((20, 20), (400, 400)))
    with Image.open(io.BytesIO(painted.data)) as picture:
        np.testing.assert_array_equal(np.asarray(picture), rgb)
    assert painted.scale == 20


def test_a_photo_of_more_than_eight_bits_is_shown_with_eight() -> None:
    rgb = np.full((4, 5, 3), 0.5, np.float32)
    painted = painting.photo(rgb, Viewport.fitted((4, 5), (40, 50)))
    with Image.open(io.BytesIO(painted.data)) as picture:
        assert picture.getpixel((2, 2)) == (128, 128, 128)


@pytest.mark.parametrize("size", [(20, 20), (3000, 40), (40, 3000), (600, 800)])
def test_a_thumbnail_has_the_mask_where_it_is_and_the_photo_elsewhere(
    size: tuple[int, int],
) -> None:
    rgb = np.full((*size, 3), 200, np.uint8)
    mask = np.zeros(size, bool)
    mask[: size[0] // 2] = True
    small, view = painting.small(rgb, (72, 96))
    data = painting.thumbnail(small, view, PackedMask.of(mask), Paint("#0072b2", 1.0))
    shown = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert shown.shape[0] <= 72
    assert shown.shape[1] <= 96
    middle = shown.shape[1] // 2
    # JPEG: a few steps of colour.
    if shown.shape[0] >= 16:
        assert abs(shown[2, middle] - (0, 0x72, 0xB2)).max() < 12
        assert abs(shown[-3, middle] - 200).max() < 12
