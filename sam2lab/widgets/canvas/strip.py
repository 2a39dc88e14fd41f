"""Paints timelines as a strip: a row for each object, a column for each frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sam2lab.widgets.canvas.painting import rgb_of
from sam2lab.widgets.session.timeline import ABSENT, PRESENT, Timeline

# RGBA.
Pixels = npt.NDArray[np.uint8]

ROW_PX, GAP_PX = 14, 3
# Where the object is absent there is a thin line, where it was not tracked nothing.
ABSENT_PX = 2
# The lower part of an unsure frame is in stripes of this width.
UNSURE_PX, STRIPE_PX = 5, 2
GREY, BLACK, WHITE = (128, 128, 128, 255), (0, 0, 0, 255), (255, 255, 255, 255)
ACTIVE_PX = 3


class Row(NamedTuple):
    """An object's timeline, its colour as #rrggbb, and whether it is the active one."""

    timeline: Timeline
    colour: str
    is_active: bool


def height_of(rows: int) -> int:
    """How high a strip with so many rows is."""
    return max(rows, 1) * (ROW_PX + GAP_PX) + GAP_PX


def column_of(frame: int, count: int, width: int) -> int:
    """The middle column of a frame in a strip.

    >>> column_of(0, 10, 100), frame_at(5, 10, 100)
    (5, 0)
    """
    return int((frame + 0.5) * width / count)


def frame_at(x: float, count: int, width: int) -> int:
    """The frame under a column."""
    return min(max(int(x * count / width), 0), count - 1)


def paint(rows: Sequence[Row], frame: int, count: int, width: int) -> Pixels:
    """The strip (H, width, 4), with a line at the current frame.

    A row is in the object's colour where it is there, striped below where the model is unsure. A
    disc marks prompts, a diamond those that correct a frame which had been tracked.
    """
    strip = np.zeros((height_of(len(rows)), width, 4), np.uint8)
    frames = (np.arange(width) * count // width).clip(max=count - 1)
    for number, row in enumerate(rows):
        _paint_row(_lane(strip, number), row, frames)
        if row.is_active:
            _lane(strip, number)[:, :ACTIVE_PX] = BLACK
    here = column_of(frame, count, width)
    for edge, colour in ((2, WHITE), (1, BLACK)):
        strip[:, max(here - edge, 0) : here + edge] = colour
    # Signs come last, so that the line hides none.
    for number, row in enumerate(rows):
        for prompted in np.flatnonzero(row.timeline.prompted).tolist():
            is_diamond = bool(row.timeline.corrected[prompted])
            _paint_sign(_lane(strip, number), column_of(prompted, count, width), is_diamond)
    return strip


def _lane(strip: Pixels, number: int) -> Pixels:
    top = GAP_PX + number * (ROW_PX + GAP_PX)
    return strip[top : top + ROW_PX]


def _paint_row(strip: Pixels, row: Row, frames: npt.NDArray[np.int64]) -> None:
    line, colour = row.timeline, (*rgb_of(row.colour), 255)
    presence = line.presence[frames]
    strip[:, presence == PRESENT] = colour
    middle = (ROW_PX - ABSENT_PX) // 2
    strip[middle : middle + ABSENT_PX, presence == ABSENT] = GREY
    stripes = np.arange(len(frames)) // STRIPE_PX % 2 == 0
    doubtful = line.unsure[frames] & (presence == PRESENT)
    strip[-UNSURE_PX:, doubtful & stripes] = WHITE
    strip[-UNSURE_PX:, doubtful & ~stripes] = BLACK


def _paint_sign(strip: Pixels, x: int, is_diamond: bool) -> None:
    rows, columns = np.mgrid[: strip.shape[0], : strip.shape[1]]
    down, across = np.abs(rows - (ROW_PX - 1) / 2), np.abs(columns - x)
    distance = down + across if is_diamond else np.hypot(down, across)
    radius = 6.5 if is_diamond else 5.5
    strip[distance <= radius] = BLACK
    strip[distance <= radius - 2] = WHITE
