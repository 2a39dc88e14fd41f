"""Open what is compared, in a process of its own.

This file imports only the standard library at its top, because `child` reads it before anything
else is imported.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

Line = dict[str, Any]


def open_upstream(size: str, version: str, checkpoint: str, threads: int) -> Any:
    """Upstream's `SAM2VideoPredictor`, as it is."""
    import torch

    from sam2lab.reference import zoo
    from sam2lab.reference.video import upstream_video_predictor

    torch.set_num_threads(threads)
    return upstream_video_predictor(zoo.load(size, checkpoint, version))


def open_compiled(**arguments: Any) -> Any:
    """Upstream's predictor as `build_sam2_video_predictor(vos_optimized=True)` compiles it."""
    predictor = open_upstream(**arguments)
    import torch
    from sam2.sam2_video_predictor import SAM2VideoPredictorVOS

    predictor.__class__ = SAM2VideoPredictorVOS
    predictor.image_encoder.forward = torch.compile(
        predictor.image_encoder.forward, mode="max-autotune", fullgraph=True, dynamic=False
    )
    predictor._compile_all_components()
    return predictor


def stream(asked: Iterator[Line]) -> Iterator[Line]:
    """Feed a `VideoStream` with one frame for each line asked, from a folder that repeats."""
    job = next(asked)
    import numpy as np
    from PIL import Image

    import sam2lab
    from sam2lab.measure.machine import resident_mb
    from sam2lab.runtime.video.stream import VideoStream

    files = sorted(Path(job["folder"]).glob("*.jpg"))
    frames = [np.asarray(Image.open(file)) for file in files]
    there = VideoStream(sam2lab.open_segmenter(**job["open"]))
    _, _, state = there.prompt(frames[0], points=job["clicks"], labels=[1])
    yield {"rss_mb": resident_mb()}
    for run, _ in enumerate(asked, start=1):
        start = perf_counter()
        _, _, state = there.track(frames[run % len(frames)], state_dict=state)
        seconds = perf_counter() - start
        yield {"run": run, "total_ms": 1000 * seconds, "rss_mb": resident_mb()}
