"""Follow objects through a folder of frames in a fresh process, one frame for each line asked.

This file imports only the standard library at its top, because `child` reads it before anything
else, and what follows may be another package than ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

Line = dict[str, Any]


def open_ours(**arguments: Any) -> Any:
    """A `VideoPredictor` of what these arguments of `open_segmenter` open."""
    import sam2lab
    from sam2lab.runtime.video.predictor import VideoPredictor

    return VideoPredictor(sam2lab.open_segmenter(**arguments))


def steps(asked: Iterator[Line], opener: Callable[..., Any]) -> Iterator[Line]:
    """Take a job, then do a frame for each further line.

    The job has the arguments of `opener` in `open`, which returns an object with the verbs of
    `SAM2VideoPredictor`; further arguments of its `init_state` in `init`; the `folder` of the
    frames; and for each object one of the `clicks` (x, y) in pixels of the frame.
    """
    job = next(asked)
    predictor = opener(**job["open"])
    from sam2lab.measure.machine import resident_mb
    from sam2lab.measure.rest import settle

    state = predictor.init_state(job["folder"], **job["init"])
    for number, click in enumerate(job["clicks"], start=1):
        predictor.add_new_points_or_box(
            state, frame_idx=0, obj_id=number, points=[click], labels=[1]
        )
    frames = predictor.propagate_in_video(state)
    yield {"rss_mb": resident_mb()}
    for _ in asked:
        settle()
        start = perf_counter()
        frame, *_ = next(frames)
        seconds = perf_counter() - start
        yield {"run": frame, "total_ms": 1000 * seconds, "rss_mb": resident_mb()}
