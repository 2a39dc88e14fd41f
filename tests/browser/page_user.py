"""Uses the page that segments, in any browser that evaluates expressions and moves a mouse."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Protocol

import numpy as np
from PIL import Image

from sam2lab.opening import open_segmenter
from sam2lab.runtime.images import ImageLike
from sam2lab.widgets.session import Session
from tests.conftest import REPOSITORY

PATIENCE_S = 120.0
PHOTOS = REPOSITORY / "data" / "photos"

# Five kinds of prompts: (x, y, positive) and (x0, y0, x1, y1) in shares of the photo, and the
# number of a candidate to choose.
KINDS: dict[str, list[Any]] = {
    "a click": [(0.5, 0.45, True)],
    "clicks": [(0.5, 0.45, True), (0.4, 0.6, True), (0.1, 0.1, False)],
    "a box": [(0.25, 0.2, 0.75, 0.8)],
    "a box and not this": [(0.25, 0.2, 0.75, 0.8), (0.3, 0.3, False)],
    "a candidate, refined": [(0.45, 0.5, True), 1, (0.6, 0.55, True)],
}
# WebAssembly rounds otherwise than the processor's own instructions: a pixel whose logit is within
# 1e-5 or so of 0 may fall to either side. Of 24 masks, one had one such pixel.
PIXELS_OFF = 3


class Window(Protocol):
    """What a browser must be able to do."""

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page; a promise is waited for."""

    def mouse(self, places: list[tuple[float, float]], button: int = 0) -> None:
        """Press a button at the first place, move to the others, release it at the last."""


class PageUser:
    """Points at things on the page as a person does, and reads what came of it."""

    def __init__(self, window: Window) -> None:
        self.window = window

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page."""
        return self.window.evaluate(expression)

    def wait_for(self, expression: str) -> Any:
        """Wait until an expression is true; the page's policy forbids Playwright's own way."""
        give_up = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up:
            found = self.evaluate(expression)
            if found:
                return found
            time.sleep(0.05)
        raise TimeoutError(f"{expression} stayed false; the page says {self.said()!r}")

    def said(self) -> str:
        """What the page says of itself."""
        parts = "['alert', 'status', 'progress-text']"
        return str(
            self.evaluate(f"{parts}.map(id => document.getElementById(id).textContent).join(' | ')")
        )

    def wait_until_said(self, words: str) -> None:
        """Wait until the page says this of itself."""
        give_up = time.monotonic() + PATIENCE_S
        while words not in self.said():
            if time.monotonic() > give_up:
                raise TimeoutError(f"the page does not say {words!r} but {self.said()!r}")
            time.sleep(0.05)

    def press(self, button: str) -> None:
        """Press a button by its id."""
        self.evaluate(f"document.getElementById('{button}').click()")

    def open_example(self, name: str) -> None:
        """Open one of the photos that come with the page, and wait until it can be clicked."""
        # What it says of the photo before may be the same, and that photo goes a moment later.
        self.evaluate(
            "document.getElementById('status').textContent = '',"
            f"document.querySelector('.example[data-name=\"{name}\"]').click()"
        )
        self.wait_until_said(f"{name}, {' × '.join(map(str, size_of(name)))}: ready")

    def on_page(self, x: float, y: float, size: tuple[int, int]) -> tuple[float, float]:
        """Where a pixel of a photo of this (width, height) is in the window."""
        box = self.evaluate("document.getElementById('photo').getBoundingClientRect().toJSON()")
        return (
            box["x"] + (x + 0.5) * box["width"] / size[0],
            box["y"] + (y + 0.5) * box["height"] / size[1],
        )

    def click(self, x: int, y: int, size: tuple[int, int], button: int = 0) -> None:
        """Click on a pixel, and wait for the answer."""
        self.window.mouse([self.on_page(x, y, size)], button)
        self.wait_for_answer()

    def drag(self, start: tuple[int, int], end: tuple[int, int], size: tuple[int, int]) -> None:
        """Draw a box from a pixel to another, and wait for the answer."""
        self.window.mouse([self.on_page(*start, size), self.on_page(*end, size)])
        self.wait_for_answer()

    def wait_for_answer(self) -> None:
        """Wait until there is an answer to every object with prompts."""
        self.wait_for("document.getElementById('objects').getAttribute('aria-busy') !== 'true'")

    def point_out(self, kind: str, size: tuple[int, int]) -> None:
        """Give one of `KINDS` to the active object."""
        for each in pixels(kind, size):
            if isinstance(each, int):
                self.evaluate(f"document.querySelectorAll('.candidate')[{each}].click()")
                self.wait_for_answer()
            elif len(each) == 4:
                self.drag(each[:2], (each[2] - 1, each[3] - 1), size)
            else:
                self.click(*each[:2], size, button=0 if each[2] else 2)

    def prompts(self) -> list[Any]:
        """The active object's prompts."""
        return self.evaluate(
            "import(new URL('page/main.js', document.baseURI))"
            ".then(({app}) => app.active.prompts.map(Object.values))"
        )

    def check_photo(self, photo: Path) -> None:
        """Open an example, give it each of `KINDS`, and compare the masks with the package's."""
        size = size_of(photo.name)
        self.open_example(photo.name)
        for number, kind in enumerate(KINDS):
            if number:
                self.press("new")
            self.point_out(kind, size)
            given = [each for each in pixels(kind, size) if not isinstance(each, int)]
            assert self.prompts() == [list(each) for each in given]
        check_coco(self.coco(), expected(photo, list(KINDS), size))

    def coco(self) -> dict[str, Any]:
        """What the page would save as COCO JSON."""
        return self.evaluate(
            "Promise.all(['page/main.js', 'page/saving.js']"
            ".map(file => import(new URL(file, document.baseURI))))"
            ".then(async ([{app}, {cocoFile}]) => {"
            "  const file = cocoFile(app.state.photo, await app.asking.whole(app.state));"
            "  return JSON.parse(await file.blob.text());"
            "})"
        )


def size_of(name: str) -> tuple[int, int]:
    """Width and height of a photo in data/photos."""
    with Image.open(PHOTOS / name) as photo:
        return photo.size


def pixels(kind: str, size: tuple[int, int]) -> list[Any]:
    """One of `KINDS` in pixels of a photo of this (width, height)."""
    width, height = size

    def scaled(prompt: Any) -> Any:
        if isinstance(prompt, int):
            return prompt
        if len(prompt) == 3:
            return round(prompt[0] * width), round(prompt[1] * height), prompt[2]
        return tuple(
            round(share * side) for share, side in zip(prompt, (width, height) * 2, strict=True)
        )

    return [scaled(prompt) for prompt in KINDS[kind]]


def expected(photo: ImageLike, kinds: list[str], size: tuple[int, int]) -> Session:
    """A session of the package, with an object for each of these kinds of prompts."""
    session = Session(open_segmenter("nano"), photo)
    for number, kind in enumerate(kinds):
        if number:
            session.commit()
        for each in pixels(kind, size):
            if isinstance(each, int):
                session.choose(each)
            elif len(each) == 4:
                session.add_box(*each)
            else:
                session.add_point(*each)
    return session


def check_coco(found: dict[str, Any], session: Session) -> None:
    """Compare what the page saves with what the package does."""
    (content,) = session.export("coco_rle").values()
    wanted = json.loads(content)
    assert len(found["annotations"]) == len(wanted["annotations"])
    for mine, theirs in zip(found["annotations"], wanted["annotations"], strict=True):
        ours, others = _mask(mine), _mask(theirs)
        assert theirs["area"] > 0
        assert np.count_nonzero(ours != others) <= PIXELS_OFF
        # The mask's own figures must be exact; pycocotools says what they are.
        assert mine["area"] == int(ours.sum())
        assert mine["bbox"] == _box(ours)
        assert abs(mine.pop("score") - theirs.pop("score")) < 1e-4
        for key in ("segmentation", "area", "bbox"):
            mine.pop(key), theirs.pop(key)
    assert found == wanted


def _mask(annotation: dict[str, Any]) -> np.ndarray:
    from pycocotools import mask as coco

    return coco.decode(annotation["segmentation"]).astype(bool)


def _box(mask: np.ndarray) -> list[int]:
    from sam2lab.runtime.masks import bounding_box

    x0, y0, x1, y1 = bounding_box(mask)
    return [x0, y0, x1 - x0, y1 - y0]


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder as a plain static server does, and give its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
