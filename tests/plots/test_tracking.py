"""Figures of following show every engine and way, and bars as long as the times they tell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sam2lab import plots
from sam2lab.plots.tracking import PARTS as COLOURS
from sam2lab.plots.tracking import WAYS

ENGINES, PROMPTS, FRAMES = ("a", "b"), ("mask", "click"), 6

TABLE = pd.DataFrame(
    {
        "engine": engine,
        "prompt": prompt,
        "sequence": "clip",
        "way": way,
        "object": number,
        "frame": frame,
        "j": 0.9 - 0.1 * number - 0.01 * frame,
        "f": 0.8 - 0.1 * number - 0.01 * frame,
    }
    for engine in ENGINES
    for prompt in PROMPTS
    for way in WAYS
    for number in (1, 2)
    for frame in range(FRAMES)
)
PARTS = pd.DataFrame(
    {"series": name, "phase": phase, "frames": 3, **dict.fromkeys(COLOURS, ms)}
    | {"total_ms": ms * len(COLOURS)}
    for name, ms in (("a", 10.0), ("b", 20.0))
    for phase in ("first", "filling", "steady")
)
MEMORY = pd.DataFrame(
    {"series": name, "run": run, "rss_mb": 100.0 + grows * run}
    for name, grows in (("flat", 0), ("grows", 5))
    for run in range(20)
)


def test_each_prompt_has_a_panel_with_a_line_for_each_engine_and_way() -> None:
    panels = plots.j_over_frames(TABLE).axes
    assert [axes.get_title().split()[0] for axes in panels] == list(PROMPTS)
    for axes in panels:
        assert len(axes.lines) == len(ENGINES) * len(WAYS)
        for line in axes.lines:
            # The mean of two objects in each frame.
            np.testing.assert_allclose(line.get_ydata(), 0.75 - 0.01 * np.arange(FRAMES))


def test_boundaries_are_drawn_where_they_are_asked_for() -> None:
    axes = plots.j_over_frames(TABLE, "f").axes[0]
    assert axes.lines[0].get_ydata()[0] == pytest.approx(0.65)
    assert axes.get_ylabel().startswith("mean F")


def test_bars_of_a_frame_are_as_long_as_its_time() -> None:
    (axes,) = plots.frame_parts(PARTS).axes
    shown = PARTS[PARTS["phase"] != "filling"]
    assert len(axes.get_yticklabels()) == len(shown)
    ends = np.array([[bar.get_x() + bar.get_width() for bar in bars] for bars in axes.containers])
    np.testing.assert_allclose(ends.max(axis=0), shown["total_ms"])


def test_memory_begins_at_zero_so_that_growth_is_not_magnified() -> None:
    (axes,) = plots.memory_over_frames(MEMORY).axes
    assert axes.get_ylim()[0] == 0
    assert len(axes.lines) == 2
