"""How fast the page that segments is: `make bench-page`.

In headless Chromium, on one thread, from a server on this machine:

- ready: from opening the page to its first photo being encoded, on a profile without a cache
- click: from `mouseup` to the first frame with the mask in it, in milliseconds
- decode: the part of it that the decoder takes
- held: as click, with the button down for as long as a hand holds it; the page begins at once

A click is the first one on an object, which gives three masks, on a page that is at rest; what the
page shows under the mouse before a click is off, because a click would then find its answer
waiting. Nothing here is a test, and the figures are worth nothing while the machine does anything
else.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
from playwright.sync_api import Browser

from sam2lab import settings
from sam2lab.measure.machine import fingerprint
from sam2lab.opening import open_segmenter
from sam2lab.web import write_page
from tests.browser.page_user import PageUser, served, size_of
from tests.browser.test_page import Chromium
from tests.conftest import REPOSITORY

CLICKS = 60
HELD_MS = 80
WARM_UP = 5
REST_S = 0.15
OPENINGS = 5
PHOTO = "coffee.jpg"
RESULT = REPOSITORY / "build" / "bench" / "page.json"

# Notes when the mask canvas has something near the click after the button is released.
WATCH = """
([x, y]) => {
    const pen = document.getElementById("masks").getContext("2d");
    window.seen = new Promise(resolve => addEventListener("mouseup", ({timeStamp}) => {
        const look = () => {
            const {data} = pen.getImageData(x - 15, y - 15, 31, 31);
            if (new Uint32Array(data.buffer).some(pixel => pixel)) {
                resolve(performance.now() - timeStamp);
            } else requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
    }, {capture: true, once: true}));
}
"""


def test_page(browser: Browser, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    write_page(settings.nano_folder(), folder)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    with served(folder) as url:
        ready = [opened(browser, url) for _ in range(OPENINGS)]
        clicks = clicked(browser, url)[WARM_UP:]
        held = clicked(browser, url, HELD_MS)[WARM_UP:]
    goals = {
        "folder, MB": (size / 1e6, 20.0),
        "first photo ready, median s": (float(np.median(ready)), 3.0),
        "first photo ready, slowest s": (max(ready), 3.0),
        "click to pixel, median ms": (clicks.click_ms.median(), 60.0),
        "click to pixel, p95 ms": (clicks.click_ms.quantile(0.95), 120.0),
        "of it the decoder, median ms": (clicks.decode_ms.median(), None),
        f"held {HELD_MS} ms, median ms": (held.click_ms.median(), None),
    }
    print(f"\n\n{len(clicks)} clicks on {PHOTO}, {OPENINGS} openings")
    for name, (found, goal) in goals.items():
        aim = "" if goal is None else f"   goal {goal:g}"
        print(f"{name:30} {found:7.1f}{aim}")
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    facts = fingerprint(open_segmenter("nano").engine)
    browsed = {"browser": f"Chromium {browser.version}"}
    rows = {name: found for name, (found, _) in goals.items()}
    RESULT.write_text(json.dumps({"machine": {**dict(facts), **browsed}, "found": rows}, indent=2))


def opened(browser: Browser, url: str) -> float:
    """Open the page as for the first time; how many seconds until the photo can be clicked."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.goto(url)
    PageUser(Chromium(page)).wait_until_said("ready")
    since_opening = page.evaluate("performance.getEntriesByName('photo ready')[0].startTime")
    context.close()
    return since_opening / 1000


def clicked(browser: Browser, url: str, held_ms: float = 0) -> pd.DataFrame:
    """Times of first clicks on objects; those whose mask lies elsewhere are left out."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(url)
    user = PageUser(Chromium(page))
    user.wait_until_said("ready")
    page.locator("#preview").uncheck()
    rng = np.random.default_rng(0)
    width, height = size_of(PHOTO)
    rows = []
    for _ in range(WARM_UP + CLICKS):
        place = rng.integers(20, width - 20), rng.integers(20, height - 20)
        page.evaluate(WATCH, [int(side) for side in place])
        page.mouse.click(*user.on_page(*place, (width, height)), delay=held_ms)
        took = page.evaluate("Promise.race([window.seen, new Promise(r => setTimeout(r, 3000))])")
        user.wait_for_answer()
        decode = page.evaluate(
            "import(new URL('page/main.js', document.baseURI))"
            ".then(({app}) => app.answerOf(app.active).ms)"
        )
        rows.append({"click_ms": took, "decode_ms": decode})
        user.press("clear")
        time.sleep(REST_S)
    page.close()
    return pd.DataFrame(rows, dtype=float).dropna()
