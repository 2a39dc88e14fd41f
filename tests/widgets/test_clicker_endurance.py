"""Two thousand clicks make the clicker neither slower nor larger."""

from __future__ import annotations

import gc
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import psutil

from sam2lab.runtime.cache import MIB
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.widgets.clicker import Clicker
from sam2lab.widgets.session.answers import Answers
from sam2lab.widgets.testing import Robot
from tests.runtime.fakes import FakeEngine

CLICKS = 2000
ROUND = 500
COMPARED = 210


class Forgetful(FakeEngine):
    """Keeps no record of its questions, which would grow."""

    def decode(self, features, prompts):
        decoded = super().decode(features, prompts)
        self.asked.clear()
        return decoded


def robot() -> Robot:
    photo = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    clicker = Clicker(Segmenter(Forgetful((64, 96))), photo, size=(240, 320))
    # Answers are kept up to a bound, which is to be reached early here.
    clicker.session._engines.answers = Answers(max_bytes=MIB)
    clicker.wait()
    return Robot(clicker)


def click(clicked: Robot, number: int, rng: np.random.Generator) -> float:
    """Click once, and return the CPU seconds that it took."""
    # An object takes seven clicks and is then begun anew; all of them can be undone.
    if number % 7 == 0:
        clicked.press("clear")
    # The CPU time of this process: other work on the machine does not count.
    start = time.process_time()
    clicked.click(rng.integers(320), rng.integers(240), right=number % 7 > 3)
    return time.process_time() - start


def click_on() -> tuple[np.ndarray, list[int]]:
    """The memory held after each round of clicks, and then the seconds of an old and a new clicker.

    The two click in turn, (N, 2): how fast a shared processor is changes from second to second.
    """
    old, rng, process = robot(), np.random.default_rng(1), psutil.Process()
    held: list[int] = []
    for number in range(CLICKS):
        click(old, number, rng)
        if number % ROUND == ROUND - 1:
            gc.collect()
            held.append(process.memory_info().rss)
    new = robot()
    seconds = [[click(each, number, rng) for each in (old, new)] for number in range(COMPARED)]
    return np.array(seconds), held


def test_two_thousand_clicks_make_a_clicker_neither_slower_nor_larger() -> None:
    # In a process of its own, because other tests leave memory that may be freed at any time.
    with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
        seconds, held = fresh.submit(click_on).result()
    # The history grows, by a few hundred bytes a click. One mask that is held
    # unpacked, by mistake, would be 76,800.
    growth = (held[-1] - held[0]) / (CLICKS - ROUND)
    assert growth < 10_000, f"{growth:,.0f} bytes a click"
    # Work at each click that grows with the history would take several times as long.
    old, new = np.median(seconds, axis=0)
    assert old < 1.5 * new, f"{1000 * new:.1f} ms in a new clicker, {1000 * old:.1f} ms in the old"
