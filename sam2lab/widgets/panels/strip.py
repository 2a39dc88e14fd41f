"""Draws timelines as a strip of HTML: a ruler, then a row for each object.

Places are shares of its width, so that it is as wide as the page has room for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sam2lab.widgets.session.timeline import ABSENT, PRESENT, Timeline

Flags = npt.NDArray[np.bool_]


class Row(NamedTuple):
    """An object's timeline, its name, its colour as #rrggbb, and whether it is the active one."""

    timeline: Timeline
    name: str
    colour: str
    is_active: bool


def frame_at(place: float, count: int) -> int:
    """The frame at a place from 0 to 1 along the strip, or the nearest one outside.

    >>> frame_at(0.5, 10), frame_at(-3, 10), frame_at(1, 10)
    (5, 0, 9)
    """
    return min(max(int(place * count), 0), count - 1)


def markup(rows: Sequence[Row], frame: int, count: int) -> str:
    """Write the strip, with a handle and a line at the current frame.

    A row is in the object's colour where it is there, a thin line where it is absent, striped
    below where the model is unsure. A disc marks prompts, a diamond those that correct a frame
    which had been tracked.
    """
    lanes = "".join(_lane(row, count) for row in rows) or '<div class="sam2lab-lane"></div>'
    here = f'<i class="sam2lab-here" style="left:{_middle(frame, count)}"></i>'
    return f'<div class="sam2lab-lanes">{lanes}{here}</div>'


def words(timeline: Timeline) -> str:
    """What a screen reader says of an object's row."""
    counts = {
        "present": timeline.presence == PRESENT,
        "absent": timeline.presence == ABSENT,
        "unsure": timeline.unsure,
        "prompted": timeline.prompted,
        "corrected": timeline.corrected,
    }
    told = ", ".join(f"{name} on {int(flags.sum())}" for name, flags in counts.items())
    return f"of {len(timeline.presence)} frames {told}"


def _lane(row: Row, count: int) -> str:
    line, colour = row.timeline, row.colour
    parts = [
        *_spans("present", line.presence == PRESENT, count, f";background:{colour}"),
        *_spans("absent", line.presence == ABSENT, count),
        *_spans("unsure", line.unsure, count),
        *_signs("prompt", line.prompted & ~line.corrected, count),
        *_signs("correction", line.corrected, count),
    ]
    active = " sam2lab-is-active" if row.is_active else ""
    label = escape(f"{row.name}: {words(line)}")
    return (
        f'<div class="sam2lab-lane{active}" role="img" aria-label="{label}">{"".join(parts)}</div>'
    )


def _spans(name: str, flags: Flags, count: int, style: str = "") -> Iterator[str]:
    edges = np.flatnonzero(np.diff(np.pad(flags, 1).astype(np.int8)))
    for start, stop in edges.reshape(-1, 2).tolist():
        place = f"left:{start / count:.3%};width:{(stop - start) / count:.3%}"
        yield f'<i class="sam2lab-{name}" style="{place}{style}"></i>'


def _signs(name: str, flags: Flags, count: int) -> Iterator[str]:
    for frame in np.flatnonzero(flags).tolist():
        yield f'<i class="sam2lab-{name}" style="left:{_middle(frame, count)}"></i>'


def _middle(frame: int, count: int) -> str:
    return f"{(frame + 0.5) / count:.3%}"
