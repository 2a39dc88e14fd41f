"""The page's JavaScript computes what its twins in sam2lab.runtime do, at awkward sizes too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page
from pycocotools import mask as coco

import sam2lab.web
from sam2lab.runtime import images, resample, rle
from sam2lab.runtime.engines.protocol import IMAGENET_MEAN, IMAGENET_STD
from sam2lab.runtime.enlarge import restore, restore_masks
from sam2lab.runtime.postprocess import clean
from tests.browser.page_user import served

# (height, width): down, up, both, one pixel, and smaller than the logits.
SIZES = [(37, 23), (300, 451), (128, 200), (1, 1), (1, 700), (513, 31)]


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """A page that may load the modules."""
    folder = Path(sam2lab.web.__file__).parent
    page = browser.new_page()
    page.set_default_timeout(60_000)
    with served(folder) as url:
        page.goto(f"{url}page/index.html")
        yield page
    page.close()


def called(page: Page, module: str, expression: str, **given: Any) -> Any:
    """The value of an expression about a module of `model/`, with arrays as lists."""
    script = (
        f"([module, given]) => {{ const {{{', '.join(given)}}} = JSON.parse(given);"
        f" return import(`/model/${{module}}.js`).then(it => JSON.stringify({expression},"
        " (_, value) => ArrayBuffer.isView(value) ? [...value] : value)); }"
    )
    arrays = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in given.items()}
    # As text: Playwright takes a second for 100,000 numbers.
    return json.loads(page.evaluate(script, [module, json.dumps(arrays)]))


@pytest.mark.parametrize("kind", ["interpolated", "antialiased"])
def test_taps_are_those_of_torch(page: Page, kind: str) -> None:
    for n_in, n_out in [(128, 451), (451, 512), (4000, 512), (7, 7), (1, 5), (31, 513)]:
        found = called(page, "resample", f"it.{kind}(a, b)", a=n_in, b=n_out)
        wanted = getattr(resample, kind)(n_in, n_out)
        assert found["first"] == wanted.first.tolist()
        weights = np.reshape(found["weights"], wanted.weights.shape)
        # The last digit of a sum that numpy takes in pairs.
        np.testing.assert_allclose(weights, wanted.weights, atol=2e-7)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_photos_become_the_same_pixels(page: Page, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (*size, 3), np.uint8)
    rgba = np.dstack([photo, np.full(size, 255, np.uint8)])
    expression = (
        "it.preprocess({width, height, rows: (a, b) => rgba.slice(4 * width * a, 4 * width * b)},"
        " [64, 96], mean, std)"
    )
    given = {"rgba": rgba.ravel(), "height": size[0], "width": size[1]}
    look = {"mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD)}
    found = called(page, "pixels", expression, **given, **look)
    wanted = images.preprocess(photo, (64, 96), IMAGENET_MEAN, IMAGENET_STD)
    # Sums of float32, in another order.
    np.testing.assert_allclose(np.reshape(found, wanted.shape), wanted, atol=1e-5)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_logits_become_the_same_masks(page: Page, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(-1, 3, (32, 48)).astype(np.float32)
    logits[:5], logits[:, 40:] = -4, -4
    expression = "it.restoreMask(Float32Array.from(logits), [32, 48], size)"
    found = called(page, "enlarge", expression, logits=logits.ravel(), size=list(size))
    mask = np.zeros(size, bool)
    part = np.reshape(found["bits"], (found["height"], found["width"]))
    rows = slice(found["y"], found["y"] + found["height"])
    mask[rows, found["x"] : found["x"] + found["width"]] = part
    # Rounding may move a pixel only where its value is 0 but for rounding.
    unclear = np.abs(restore(logits, size)) < 1e-5
    assert ((mask == restore_masks(logits, size, 0.0)) | unclear).all()


def test_holes_and_specks_are_mended_alike(page: Page) -> None:
    rng = np.random.default_rng(3)
    for spread in (0.5, 1.5):
        logits = rng.normal(0, 1, (40, 56)).astype(np.float32)
        logits = (logits + spread * np.sin(np.arange(56) / 4)).astype(np.float32)
        expression = "it.clean(Float32Array.from(logits), [40, 56], 6)"
        found = called(page, "clean", expression, logits=logits.ravel())
        wanted = clean(logits[None], 0.0, max_hole_area=6, max_sprinkle_area=6)[0]
        assert (np.abs(wanted) == 10).any()
        assert np.reshape(found, (40, 56)).tolist() == wanted.tolist()


@pytest.mark.parametrize("size", [*SIZES, (640, 480)], ids=str)
def test_run_lengths_are_those_of_pycocotools(page: Page, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    for mask in (
        rng.random(size) < 0.5,
        np.kron(rng.random((4, 5)) < 0.5, np.ones((160, 160)))[: size[0], : size[1]] > 0,
        np.ones(size, bool),
        np.zeros(size, bool),
    ):
        expression = "((counts) => [counts, it.packed(counts), it.boundingBox(mask)])"
        part = {"x": 0, "y": 0, "width": size[1], "height": size[0]}
        part["bits"] = mask.ravel().astype(int).tolist()
        found = called(
            page, "rle", f"{expression}(it.encode(mask, size))", mask=part, size=list(size)
        )
        counts, packed, box = found
        wanted = coco.encode(np.asfortranarray(mask, np.uint8))
        assert counts == rle.encode(mask).counts.tolist()
        assert packed == wanted["counts"].decode()
        assert box == coco.toBbox(wanted).astype(int).tolist()
