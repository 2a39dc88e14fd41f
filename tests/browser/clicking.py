"""A clicker in a page, as a user sees, clicks and presses it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from playwright.sync_api import Locator, Page, expect

from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from tests.browser.conftest import NotebookPage

PATIENCE_S = 30.0

# `discs` answers with discs of 1, 2, 3 and 4 times this radius around the first prompt: one
# low-resolution pixel of a mask is five pixels of this photo, which is a multiple of it.
PREPARE = f"""
import sys
sys.path.insert(0, {str(REPOSITORY)!r})
import numpy as np
import sam2lab
from tests.runtime.fakes import FakeEngine

discs = sam2lab.Segmenter(FakeEngine((512, 512), key="discs"))
rows, columns = np.mgrid[:540, :720]
photo = np.stack([120 + rows // 8, 150 + columns // 12, 190 - rows // 8], -1).astype(np.uint8)
"""

SAME_PIXELS = """
canvas => {
    const {width, height} = canvas;
    const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
    const now = new Uint32Array(data.buffer);
    const before = window.clickerPixels ?? new Uint32Array(0);
    window.clickerPixels = now;
    return now.length === before.length && now.every((pixel, i) => pixel === before[i]);
}
"""


class ClickerPage:
    """The clicker that a page of JupyterLab or Voilà shows."""

    def __init__(self, lab: NotebookPage) -> None:
        self.lab = lab
        self.page: Page = lab.page
        self._devtools = self.page.context.new_cdp_session(self.page)
        self.canvas = self.page.locator("canvas.sam2lab-canvas")
        self.view = self.page.locator(".sam2lab-view")
        self.message = self.page.locator(".sam2lab-message")
        self.status = self.page.locator(".sam2lab-status")

    def show(self, code: str = "clicker = sam2lab.Clicker(discs, photo)") -> None:
        """Make a `clicker` and wait until its photo is there and it answers at once."""
        self.lab.run_code(f"{PREPARE}\n{code}\nclicker")
        self.wait_for_photo()
        self.canvas.scroll_into_view_if_needed()
        expect(self.find("progress")).to_be_hidden()

    def find(self, name: str) -> Locator:
        """A control by its name."""
        return self.page.locator(f".sam2lab-{name}")

    def tool(self, label: str) -> Locator:
        """One of the three buttons that say what a click means."""
        return self.page.locator(".sam2lab-toolbar .sam2lab-tool button", has_text=label)

    def ask(self, expression: str) -> Any:
        """The value of an expression in the kernel."""
        return self.lab.ask(expression)

    def prompts(self) -> list[tuple[Any, ...]]:
        """The active object's points as (x, y, positive) and its box as (x0, y0, x1, y1)."""
        return self.ask("[tuple(vars(prompt).values()) for prompt in clicker.prompts]")

    def on_page(self, x: float, y: float) -> tuple[float, float]:
        """Where on the page a pixel of the canvas is: as for any mouse, in whole pixels."""
        box, size = self.canvas.bounding_box(), self.size()
        assert box is not None
        across, down = (x + 0.5) * box["width"] / size[0], (y + 0.5) * box["height"] / size[1]
        return round(box["x"] + across - 0.5), round(box["y"] + down - 0.5)

    def size(self) -> tuple[int, int]:
        """Width and height of the canvas in its own pixels."""
        width, height = self.canvas.evaluate("canvas => [canvas.width, canvas.height]")
        return width, height

    def click(self, x: float, y: float, button: str = "left", key: str | None = None) -> None:
        """Click on a pixel of the canvas, perhaps with a key held; wait for the answer."""
        with self.changing(), self.holding(key):
            self.page.mouse.click(*self.on_page(x, y), button=button)

    def drag(self, start: tuple[float, float], end: tuple[float, float], **how: Any) -> None:
        """Press the button at one pixel of the canvas, release it at another; wait."""
        with self.changing(), self.holding(how.get("key")):
            self.page.mouse.move(*self.on_page(*start))
            self.page.mouse.down(button=how.get("button", "left"))
            # Moves are told only from here on, and only so often.
            self.page.wait_for_timeout(150)
            self.page.mouse.move(*self.on_page(*end), steps=8)
            self.page.mouse.up(button=how.get("button", "left"))

    def tap(self, x: float, y: float) -> None:
        """Touch a pixel of the canvas with a finger, and wait for the answer."""
        with self.changing():
            self.swipe([self.on_page(x, y)])

    def swipe(self, places: list[tuple[float, float]]) -> None:
        """Touch the first of these places on the page with a finger, and move it to the others."""
        for number, place in enumerate(places):
            self._touch("touchMove" if number else "touchStart", place)
            # Moves are told only so often.
            self.page.wait_for_timeout(50 if places[1:] else 0)
        self._touch("touchEnd")

    def _touch(self, kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y} for x, y in places]
        self._devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    @contextmanager
    def holding(self, key: str | None) -> Iterator[None]:
        """Hold a key meanwhile."""
        if key is not None:
            self.page.keyboard.down(key)
        try:
            yield
        finally:
            if key is not None:
                self.page.keyboard.up(key)

    def press(self, name: str) -> None:
        """Press a button, and wait until the canvas has changed."""
        with self.changing():
            self.find(name).click()

    def pixel(self, x: float, y: float) -> tuple[int, int, int]:
        """The colour that the canvas shows at a place."""
        red, green, blue, _ = self.canvas.evaluate(
            "(canvas, [x, y]) => Array.from(canvas.getContext('2d').getImageData(x, y, 1, 1).data)",
            [int(x), int(y)],
        )
        return red, green, blue

    def pixels_at(self, places: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
        """The colours that the canvas shows at these places."""
        return [self.pixel(x, y) for x, y in places]

    def wait_for_pixels(
        self, places: list[tuple[int, int]], wanted: list[tuple[int, int, int]]
    ) -> None:
        """Wait until the canvas shows these colours; the last look decides."""
        for _ in range(100):
            if self.pixels_at(places) == wanted:
                return
            self.page.wait_for_timeout(200)
        assert self.pixels_at(places) == wanted

    def wait_for_rest(self) -> None:
        """Wait until the canvas stays the same for a moment."""
        self.same_pixels()
        self.page.wait_for_timeout(200)
        while not self.same_pixels():
            self.page.wait_for_timeout(200)

    def wait_for_photo(self) -> None:
        """Wait until there is an opaque pixel in the middle."""
        self.page.wait_for_function(
            """() => {
                const canvas = document.querySelector("canvas.sam2lab-canvas");
                const [x, y] = [canvas?.width / 2, canvas?.height / 2];
                return canvas?.getContext("2d").getImageData(x, y, 1, 1).data[3] === 255;
            }"""
        )

    def changing(self) -> _Changing:
        """Wait at the end of a `with` until the canvas shows something else, and rests."""
        return _Changing(self)

    def same_pixels(self) -> bool:
        """Whether the canvas shows what it showed at the last time of asking."""
        return bool(self.canvas.evaluate(SAME_PIXELS))


class _Changing:
    def __init__(self, clicker: ClickerPage) -> None:
        self._clicker = clicker

    def __enter__(self) -> None:
        self._clicker.same_pixels()

    def __exit__(self, failed: object, *_: object) -> None:
        if failed is None:
            self._wait()

    def _wait(self) -> None:
        changed, give_up = False, time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up:
            still = self._clicker.same_pixels()
            if changed and still:
                return
            changed = changed or not still
            self._clicker.page.wait_for_timeout(50)
        self._clicker.lab.screenshot("clicker-waiting")
        raise AssertionError("the canvas does not change" if not changed else "it never rests")
