"""The strip shows each frame of each object at its place."""

from __future__ import annotations

import re

from sam2lab.widgets.panels.strip import Row, frame_at, markup, words
from sam2lab.widgets.session.timeline import FrameScores, Timeline

SURE, GONE, UNSURE = (9.0, 0.9), (-9.0, 0.9), (0.5, 0.9)
LINE = Timeline.of(
    8,
    [
        FrameScores(0, *SURE, True, False),
        FrameScores(1, *SURE, False, False),
        FrameScores(2, *GONE, False, False),
        FrameScores(3, *UNSURE, False, False),
        FrameScores(5, *SURE, True, True),
    ],
)


def parts(html: str) -> set[tuple[str, float, float]]:
    """The name, left end and width of every part, in frames; signs have no width."""
    found = re.findall(
        r'class="sam2lab-([a-z]+)" style="left:([0-9.]+)%(?:;width:([0-9.]+)%)?', html
    )
    return {(name, 8 * float(x) / 100, 8 * float(w or 0) / 100) for name, x, w in found}


def test_a_row_shows_where_its_object_is_and_the_signs_of_its_prompts() -> None:
    html = markup([Row(LINE, "cat", "#e69f00", True)], frame=7, count=8)
    assert parts(html) == {
        ("present", 0, 2),
        ("absent", 2, 1),
        ("present", 3, 1),
        ("unsure", 3, 1),
        ("present", 5, 1),
        ("prompt", 0.5, 0),
        ("correction", 5.5, 0),
        ("here", 7.5, 0),
    }
    assert html.count("background:#e69f00") == 3
    assert html.count("is-active") == 1


def test_screen_readers_hear_what_the_row_shows() -> None:
    assert words(LINE) == (
        "of 8 frames present on 4, absent on 1, unsure on 1, prompted on 2, corrected on 1"
    )
    html = markup([Row(LINE, '<b> "cat"', "#e69f00", False)], frame=0, count=8)
    assert 'aria-label="&lt;b&gt; &quot;cat&quot;: of 8' in html


def test_a_press_finds_the_frame_whose_middle_is_drawn_there() -> None:
    for count in (1, 7, 40, 1000):
        assert [frame_at((frame + 0.5) / count, count) for frame in range(count)] == [*range(count)]
