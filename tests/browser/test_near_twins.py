"""The modules in web/near compute what their twins in Python do."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from sam2lab.runtime.enlarge import restore_masks
from sam2lab.web import joined
from sam2lab.widgets.canvas import painting
from sam2lab.widgets.canvas.painting import Paint
from sam2lab.widgets.canvas.viewport import Viewport
from sam2lab.widgets.session.packed import PackedMask
from sam2lab.widgets.session.prompts import Box, Point, nearest

MODULES = ("viewport", "placing", "picture", "halves")
PHOTO, CANVAS = (90, 140), (100, 120)
FITTED = Viewport.fitted(PHOTO, CANVAS)
VIEWS = [
    FITTED,
    FITTED.zoomed(1.7, 20, 30),
    FITTED.zoomed(9, 50, 60).panned(-13.5, 4.25),
    Viewport.fitted((1000, 700), CANVAS),
]
RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """A page that has the modules as `twins`."""
    page = browser.new_page()
    page.evaluate(
        """async text => {
            const blob = new Blob([text], {type: "text/javascript"});
            window.twins = await import(URL.createObjectURL(blob));
        }""",
        joined(*(f"near/{name}.js" for name in MODULES)),
    )
    yield page
    page.close()


def plain(view: Viewport) -> dict[str, Any]:
    """A view as the browser is told it."""
    size = {"photo": view.image_size, "canvas": view.size}
    return {**size, "scale": view.scale, "left": view.left, "top": view.top}


@pytest.mark.parametrize("view", VIEWS)
def test_places_lie_on_the_same_pixels(page: Page, view: Viewport) -> None:
    places = (RANDOM.random((50, 2)) * (140, 120) - 10).tolist()
    pairs = list(zip(places, places[::-1], strict=True))
    found = page.evaluate(
        """([view, pairs]) => pairs.map(([a, b]) => [
            twins.shows(view, a), twins.pixelAt(view, a),
            Object.values(twins.boxBetween(view, a, b)),
            twins.toImage(view, a), twins.toCanvas(view, a),
        ])""",
        [plain(view), pairs],
    )
    wanted = [
        [view.shows(*a), view.pixel(*a), view.box(*a, *b), view.to_image(*a), view.to_canvas(*a)]
        for a, b in pairs
    ]
    assert [each[:3] for each in found] == [[x[0], *map(list, x[1:3])] for x in wanted]
    np.testing.assert_allclose(
        [each[3:] for each in found], [each[3:] for each in wanted], rtol=1e-12, atol=1e-9
    )


def test_a_click_hits_the_same_prompt(page: Page) -> None:
    for _ in range(40):
        spots = RANDOM.integers(0, 12, (6, 2)).tolist()
        prompts = (*(Point(x, y) for x, y in spots[:4]), Box(*spots[4], 20, 20))
        (x, y), reach = spots[5], float(RANDOM.integers(1, 6))
        left = page.evaluate(
            "([prompts, point, reach]) => twins.withPoint(prompts, point, reach)",
            [[vars(prompt) for prompt in prompts], {"x": x, "y": y, "positive": False}, reach],
        )
        hit = nearest(prompts, x, y, reach)
        kept = [vars(prompt) for number, prompt in enumerate(prompts) if number != hit]
        assert left == (kept if hit is not None else [*kept, vars(Point(x, y, False))])


@pytest.mark.parametrize("view", VIEWS)
def test_masks_are_painted_alike(page: Page, view: Viewport) -> None:
    # Blobs of some size, and some of them at the edge.
    coarse = RANDOM.standard_normal((5, 6)).repeat(4, axis=0).repeat(4, axis=1)
    logits = (coarse + 0.4 * RANDOM.standard_normal((20, 24))).astype(np.float32)
    found = page.evaluate(
        """([logits, view, paint]) => {
            const found = twins.painted(new Float32Array(logits), [20, 24], view, paint);
            return {...found, rgba: btoa(String.fromCharCode(...found.rgba))};
        }""",
        [logits.ravel().tolist(), plain(view), {"colour": "#e69f00", "opacity": 0.5}],
    )
    seen = np.zeros((*view.size, 4), np.uint8)
    rows, columns = found["y"] + found["height"], found["x"] + found["width"]
    rgba = np.frombuffer(base64.b64decode(found["rgba"]), np.uint8)
    seen[found["y"] : rows, found["x"] : columns] = rgba.reshape(found["height"], -1, 4)

    mask = restore_masks(logits, view.image_size, 0.0)
    painted = painting.mask(PackedMask.of(mask), view, Paint("#e69f00", 0.5))
    assert painted is not None
    wanted = np.zeros_like(seen)
    with Image.open(io.BytesIO(painted.data)) as opened:
        part = np.asarray(opened.convert("RGBA"))
    x, y = int(painted.x), int(painted.y)
    wanted[y : y + part.shape[0], x : x + part.shape[1]] = part
    visible = wanted[..., 3] > 0
    assert visible.any()
    np.testing.assert_array_equal(seen[..., 3], wanted[..., 3])
    np.testing.assert_array_equal(seen[visible], wanted[visible])


def test_a_mask_out_of_sight_is_not_painted(page: Page) -> None:
    nothing = "twins.painted(new Float32Array(480).fill(-1), [20, 24], view, {colour: '#000000'})"
    assert page.evaluate(f"view => {nothing}", plain(FITTED)) is None


def test_halves_are_read_as_numpy_reads_them(page: Page) -> None:
    bits = np.arange(0, 2**16, 7, dtype=np.uint16)
    wanted = bits.view(np.float16).astype(float)
    # Infinities and what is no number never come: features are finite.
    bits, wanted = bits[np.isfinite(wanted)], wanted[np.isfinite(wanted)]
    found = page.evaluate("bits => Array.from(twins.floats(new Uint16Array(bits)))", bits.tolist())
    np.testing.assert_array_equal(found, wanted)
