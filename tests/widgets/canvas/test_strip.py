"""The strip shows each frame of each object at its place."""

from __future__ import annotations

import numpy as np

from sam2lab.widgets.canvas.strip import GAP_PX, ROW_PX, Row, column_of, frame_at, height_of, paint
from sam2lab.widgets.session.timeline import FrameScores, Timeline

ORANGE = [230, 159, 0, 255]


def test_rows_have_the_objects_colour_where_it_is_there() -> None:
    there, gone = (9.0, 0.9, False, False), (-9.0, 0.9, False, False)
    line = Timeline.of(4, [FrameScores(0, *there), FrameScores(1, *gone), FrameScores(2, *there)])
    strip = paint([Row(line, "#e69f00", False)], frame=3, count=4, width=80)
    assert strip.shape == (height_of(1), 80, 4)
    top = strip[GAP_PX + 1]
    assert (top[:20] == ORANGE).all()
    assert (top[20:40, 3] == 0).all()
    assert (top[40:60] == ORANGE).all()
    assert (top[60:68, 3] == 0).all()
    # A thin line where it is absent.
    assert (strip[GAP_PX + ROW_PX // 2, 20:40, 3] == 255).all()


def test_signs_stand_on_their_frames_and_the_line_hides_none() -> None:
    first, fixed = (9.0, 0.9, True, False), (9.0, 0.9, True, True)
    line = Timeline.of(4, [FrameScores(0, *first), FrameScores(2, *fixed)])
    plain = Timeline.of(
        4, [FrameScores(0, 9, 0.9, False, False), FrameScores(2, 9, 0.9, False, False)]
    )
    signs, without = (
        paint([Row(each, "#e69f00", False)], frame=2, count=4, width=80) for each in (line, plain)
    )
    differs = (signs != without).any(axis=(0, 2))
    centres = {column_of(frame, 4, 80) for frame in (0, 2)}
    assert all(differs[centre - 3] and differs[centre + 3] for centre in centres)
    assert all(min(abs(x - centre) for centre in centres) < 8 for x in np.flatnonzero(differs))


def test_a_click_finds_the_frame_whose_middle_is_drawn_there() -> None:
    for count in (1, 7, 40, 1000):
        for frame in range(0, count, max(count // 20, 1)):
            assert abs(frame_at(column_of(frame, count, 720), count, 720) - frame) <= count // 720
    assert (frame_at(-5, 7, 720), frame_at(900, 7, 720)) == (0, 6)
