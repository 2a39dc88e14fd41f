"""How long a click takes until the page shows its mask, and what takes it: `make bench`.

A mouse clicks on a photo in JupyterLab, in Chromium; nano answers. From `mouseup` to the first
frame with the mask's colour in a pixel, in milliseconds:

- event: from the browser to the clicker
- decode: prompts to masks of the photo's size
- encode: mask to PNG
- rest: all else in the kernel, until the drawing commands are handed over
- draw: from there through server and browser to the pixel

Each is the first click on an object, which costs most: three masks come back. Then the kernel is
put 150 ms away, and clicks are answered by it and in the browser. Nothing here is a test, and the
figures are worth nothing while the machine does anything else.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.clicking import ClickerPage
from tests.browser.conftest import PATIENCE_MS, new_context, one_cell, open_in_lab
from tests.browser.slow_line import SlowLine
from tests.conftest import REPOSITORY

CLICKS = 50
WARM_UP = 3
ROUND_TRIP_S = 0.15
RESULT = REPOSITORY / "build" / "bench" / "clicks.json"

CLICKER = """
import numpy as np
import sam2lab
from PIL import Image
from sam2lab import settings
from sam2lab.measure.machine import fingerprint
from sam2lab.widgets.session import Session

segmenter = sam2lab.open_segmenter("nano")
with Image.open(settings.data_folder() / "photos" / "coffee.jpg") as opened:
    photo = np.asarray(opened.convert("RGB").resize(({width}, {height})))
clicker = sam2lab.Clicker(segmenter, photo, size=({height}, {width}))
clicker
"""

# Clicks, each with a pixel that its mask will colour and its mark will not.
PLACES = """
rng = np.random.default_rng(0)
scout = Session(sam2lab.Segmenter(segmenter.engine), photo)
places = []
while len(places) < {count}:
    x, y = (int(rng.integers(40, side - 40)) for side in photo.shape[1::-1])
    rows, columns = np.nonzero(scout.preview(x, y))
    far = np.flatnonzero(np.hypot(columns - x, rows - y) > 24)
    if far.size:
        pick = rng.choice(far)
        places.append((x, y, int(columns[pick]), int(rows[pick])))
"""

STOPWATCH = """
import time
from functools import wraps
from ipycanvas.canvas import _CanvasManager
from sam2lab.widgets.canvas import painting
from sam2lab.widgets.canvas.pointer import Pointer

laps = {}

def timed(owner, name, before=lambda: None, after=lambda took: None):
    original = getattr(owner, name)

    @wraps(original)
    def measured(*args, **kwargs):
        before()
        start = time.perf_counter()
        try:
            return original(*args, **kwargs)
        finally:
            after(1000 * (time.perf_counter() - start))

    setattr(owner, name, measured)

def arrived():
    laps.clear()
    laps.update(arrived=1000 * time.time(), decode=0.0, encode=0.0)

def add(part):
    return lambda took: laps.update({part: laps.get(part, 0.0) + took})

def sent(_):
    laps.setdefault("sent", 1000 * time.time())
    # What was drawn after it is not what was waited for.
    laps.setdefault("upto", {part: laps.get(part, 0.0) for part in ("decode", "encode")})

timed(Pointer, "_release", before=arrived)
timed(sam2lab.Segmenter, "answer", after=add("decode"))
timed(painting, "mask", after=add("encode"))
timed(_CanvasManager, "flush", after=sent)
"""

WATCH = """
(canvas, [x, y]) => {
    const context = canvas.getContext("2d");
    const look = () => context.getImageData(x, y, 1, 1).data.join();
    const before = look();
    let released;
    window.addEventListener("mouseup", event => { released = event.timeStamp; },
        {capture: true, once: true});
    window.clickSeen = new Promise(resolve => {
        const check = () => {
            if (look() === before) return requestAnimationFrame(check);
            const seen = performance.now(), epoch = Date.now() - seen;
            resolve({released: epoch + released, seen: epoch + seen});
        };
        requestAnimationFrame(check);
    });
}
"""


@pytest.mark.parametrize(("width", "height"), [(1024, 768), (1920, 1080)])
def test_clicks(browser: Browser, jupyter: Any, width: int, height: int) -> None:
    clicker = open_clicker(browser, jupyter, width, height)
    answer_in(clicker, "kernel")
    clicker.lab.screenshot(f"bench-{width}x{height}")
    places = clicker.ask("places")
    clicks = pd.DataFrame([measure(clicker, *place) for place in places])[WARM_UP:]
    facts = clicker.ask("fingerprint(segmenter.engine)")
    clicker.page.context.close()
    tell(f"{width}x{height}", clicks, facts)


@pytest.mark.parametrize("answers", ["kernel", "browser"])
def test_clicks_on_a_slow_line(browser: Browser, jupyter: Any, answers: str) -> None:
    line = SlowLine(jupyter.port)
    line.delay_s = ROUND_TRIP_S / 2
    try:
        clicker = open_clicker(browser, replace(jupyter, port=line.port), 720, 540)
        places = clicker.ask("places")
        start = time.perf_counter()
        answer_in(clicker, answers)
        if answers == "browser":
            expect(clicker.status).to_contain_text("answers in the browser")
            print(
                f"\nThe browser can answer {time.perf_counter() - start:.1f} s after it is asked to"
            )
        clicks = pd.DataFrame([{"total": measure(clicker, *place)["total"]} for place in places])[
            WARM_UP:
        ]
        clicker.lab.screenshot(f"bench-far-{answers}")
        facts = clicker.ask("fingerprint(segmenter.engine)")
        clicker.page.context.close()
        tell(f"{1000 * ROUND_TRIP_S:.0f} ms away, answers in the {answers}", clicks, facts)
    finally:
        line.close()


def open_clicker(browser: Browser, jupyter: Any, width: int, height: int) -> ClickerPage:
    """A clicker whose canvas has this size, on a page with room for it."""
    name = f"clicks-{width}x{height}.ipynb"
    one_cell(jupyter.root / name)
    context = new_context(browser)
    page = context.new_page()
    page.set_viewport_size({"width": width + 800, "height": height + 500})
    clicker = ClickerPage(open_in_lab(page, jupyter, name))
    clicker.lab.run_code(CLICKER.format(width=width, height=height))
    clicker.wait_for_photo()
    expect(clicker.find("progress")).to_be_hidden(timeout=PATIENCE_MS)
    for code in (PLACES.format(count=CLICKS + WARM_UP), STOPWATCH):
        clicker.ask(f"exec({code!r}, globals())")
    clicker.canvas.scroll_into_view_if_needed()
    assert clicker.size() == (width, height)
    return clicker


def answer_in(clicker: ClickerPage, place: str) -> None:
    """Let clicks be answered in the "kernel" or in the "browser"."""
    clicker.find("answers").locator("select").select_option(f"in the {place}")


def measure(clicker: ClickerPage, x: int, y: int, *probe: int) -> dict[str, Any]:
    """One click's times, and everything as it was before."""
    clicker.canvas.evaluate(WATCH, list(probe))
    clicker.page.mouse.click(*clicker.on_page(x, y))
    page = clicker.page.evaluate("window.clickSeen")
    kernel = clicker.ask("laps")
    parts = {
        "event": kernel["arrived"] - page["released"],
        **kernel["upto"],
        "rest": kernel["sent"] - kernel["arrived"] - sum(kernel["upto"].values()),
        "draw": page["seen"] - kernel["sent"],
    }
    with clicker.changing():
        clicker.ask("clicker.session.clear()")
    total = page["seen"] - page["released"]
    return {**parts, "total": total, "above decode": total - parts["decode"]}


def tell(size: str, clicks: pd.DataFrame, facts: dict[str, Any]) -> None:
    """Print the distribution, and keep every click in a file."""
    table = clicks.quantile([0.5, 0.95]).T.set_axis(["median", "p95"], axis=1)
    table["share %"] = 100 * clicks.mean() / clicks["total"].mean()
    print(f"\n{size}, {len(clicks)} clicks, milliseconds\n{table.round(1).to_string()}")
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    kept = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
    kept[size] = {"facts": facts, "clicks": clicks.round(2).to_dict("records")}
    RESULT.write_text(json.dumps(kept, indent=1))
    print(f"Every click: {RESULT.relative_to(REPOSITORY)}")
