"""Time the frames of a video, by part, while its objects are followed.

A table has a row for each frame of each series. Columns: `series`, `run` (the frame; 0 is the
prompt, on the first frame), `phase`, the parts `PARTS_MS` (see `timed_engine.split`), their sum
`total_ms`, `cpu_ms` (of all threads of this process), `rss_mb` (what this process holds after the
frame, whatever else is in it) and `state_mb` (what the video's state holds of that, without
features). `phase` is "first" for the prompt and for the frame that carries it, "filling" while
each frame has more memories than the one before, and "steady" after that, although pointers, of
which there are few bytes, go on growing to the sixteenth.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter_ns, process_time_ns
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from tqdm.auto import tqdm

from sam2lab.measure import machine
from sam2lab.measure._video_steps import open_ours, steps
from sam2lab.measure.child import Child, ChildError
from sam2lab.measure.engine_sources import arguments
from sam2lab.measure.fresh import Opening
from sam2lab.measure.rest import settle
from sam2lab.measure.timed_engine import TimedEngine, split
from sam2lab.runtime.arguments import whole
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.runtime.video.frames import Frames, VideoLike, open_frames
from sam2lab.runtime.video.predictor import VideoPredictor
from sam2lab.runtime.video.protocol import VideoEngine

PARTS_MS = (
    *("read_ms", "encode_ms", "condition_ms", "decode_ms", "remember_ms"),
    *("bank_ms", "restore_ms"),
)
COLUMNS = ["series", "run", "phase", *PARTS_MS, "total_ms", "cpu_ms", "rss_mb", "state_mb"]
MEMORY_COLUMNS = ["series", "run", "total_ms", "rss_mb", "peak_mb"]


@dataclass(frozen=True, eq=False)
class Following:
    """An engine, and how many objects it follows: each from a click on the first frame."""

    engine: Segmenter | VideoEngine
    objects: int = 1


def time_frames(
    series: Mapping[Any, Following | Segmenter | VideoEngine],
    video: VideoLike,
    frames: int | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Let every series follow the same video, frame by frame in turn.

    Every series does a frame before any does the next, in an order drawn anew for each frame, so
    that a load on the machine slows all of them; `latency_ratios` of the steady rows compares
    them. `frames` is how far to go, by default to the end. An interrupt returns what is finished.

    ```python
    table = time_frames({"1": nano, "5": Following(nano, objects=5)}, "video")
    latency_ratios(table[table["phase"] == "steady"])
    ```
    """
    opened = open_frames(video)
    count = len(opened) if frames is None else whole("frames", frames, 1, len(opened))
    if not series:
        raise ValueError(f"series is {series!r}; wanted at least one by its name")
    runs = {
        name: _Run(one if isinstance(one, Following) else Following(one), opened)
        for name, one in series.items()
    }
    rng, rows, interrupted = np.random.default_rng(seed), [], False
    with tqdm(total=(1 + count) * len(runs), desc="frames", leave=False) as bar:
        try:
            for run in range(1 + count):
                for name in rng.permutation(np.array(list(runs), object)):
                    settle()
                    rows.append({"series": name, "run": run, **runs[name].next()})
                    bar.update()
        except KeyboardInterrupt:
            interrupted = True
    for each in runs.values():
        each.frames.close()
    table = pd.DataFrame(rows, columns=COLUMNS)
    table.attrs = {
        "machine": machine.fingerprint(),
        "engines": {str(name): machine.engine_facts(one.engine) for name, one in runs.items()},
        "objects": {str(name): one.objects for name, one in runs.items()},
        "frame_size": "x".join(map(str, opened.size)),
        "seed": seed,
        "interrupted": interrupted,
    }
    return table


def summarise_frames(table: pd.DataFrame) -> pd.DataFrame:
    """The median time of each part, by series and phase, of a table of `time_frames`.

    Columns: `series`, `phase`, `frames`, the parts and `total_ms`, `frames_per_s`.
    """
    grouped = table.groupby(["series", "phase"], sort=False)
    medians = grouped[[*PARTS_MS, "total_ms"]].median()
    medians.insert(0, "frames", grouped.size())
    medians["frames_per_s"] = 1000 / medians["total_ms"]
    return medians.reset_index()


def memory_over_frames(
    engines: Mapping[str, Opening],
    video: VideoLike,
    frames: int = 200,
    objects: int = 1,
) -> pd.DataFrame:
    """Measure what a process holds that does nothing but follow objects, frame after frame.

    Each engine has a fresh process, and is given as in `fresh`. A shorter video is played to and
    fro. Columns: `series`, `run` (the frame), `total_ms`, `rss_mb` and `peak_mb`, the most so far,
    in 10^6 bytes.
    """
    frames = whole("frames", frames, least=1)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="sam2lab-frames-") as folder:
        size = write_to_and_fro(video, frames, folder)
        for name, opening in engines.items():
            job = {"open": arguments(name, opening), "init": {"keep": "window"}}
            with Child(steps, open_ours) as child:
                try:
                    child.ask(folder=folder, clicks=clicks(size, objects), **job)
                    for _ in tqdm(range(frames), desc=f"frames of {name}", leave=False):
                        rows.append({"series": name, **child.ask(do="frame")})
                except ChildError as error:
                    raise RuntimeError(f"{name}: the fresh process failed: {error}") from None
    table = pd.DataFrame(rows, columns=MEMORY_COLUMNS)
    table.attrs["machine"] = machine.fingerprint()
    return table


def clicks(size: tuple[int, int], objects: int, seed: int = 0) -> list[list[float]]:
    """A click (x, y) for each object on a frame of (height, width) `size`, the first in its middle.

    The clicks of fewer objects are the first of those of more.

    >>> clicks((40, 60), 1), len(clicks((40, 60), 3))
    ([[30.0, 20.0]], 3)
    """
    height, width = size
    drawn = np.random.default_rng(seed).uniform(0.1, 0.9, (objects, 2)) * (width, height)
    drawn[0] = width / 2, height / 2
    return drawn.tolist()


def write_to_and_fro(
    video: VideoLike, count: int, folder: str | os.PathLike[str]
) -> tuple[int, int]:
    """Write `count` frames as JPEG files, turning back at either end; returns (height, width).

    Only so does a clip of any length move on without a jump. Upstream takes only such folders.
    """
    opened, place = open_frames(video), Path(folder)
    files: dict[int, Path] = {}
    for number, frame in enumerate(islice(_to_and_fro(len(opened)), count)):
        file = place / f"{number:05d}.jpg"
        if frame in files:
            os.link(files[frame], file)
        else:
            Image.fromarray(opened[frame]).save(file, quality=95)
            files[frame] = file
    return opened.size


def _to_and_fro(length: int) -> Iterator[int]:
    """0, 1, …, length - 1, …, 1, 0, 1, …, without an end."""
    while True:
        yield from range(max(length - 1, 1))
        yield from range(length - 1, 0, -1)


class _Run:
    """One series on its way through a video."""

    def __init__(self, following: Following, video: Frames) -> None:
        self.engine = VideoPredictor(following.engine).engine
        self.objects = whole("objects", following.objects, least=1)
        self._timed = TimedEngine(self.engine)
        predictor = VideoPredictor(self._timed)
        self._filled = predictor.settings.num_maskmem
        self._state = predictor.init_state(video, keep="window")
        self.frames = self._through(predictor, video.size)
        self._run = 0

    def _through(self, predictor: VideoPredictor, size: tuple[int, int]) -> Any:
        """Prompt, then follow; stops once for the prompts, and once for each frame."""
        for number, click in enumerate(clicks(size, self.objects), start=1):
            predictor.add_new_points_or_box(self._state, 0, number, points=[click], labels=[1])
        yield
        yield from predictor.propagate_in_video(self._state, progress=False)

    def next(self) -> dict[str, Any]:
        """Go to the next stop, and time the way there."""
        self._timed.calls.clear()
        cpu_start, start = process_time_ns(), perf_counter_ns()
        next(self.frames)
        end, cpu_end = perf_counter_ns(), process_time_ns()
        # The first stop is the prompt; frame 0 carries it and is the second.
        frame = self._run - 1
        self._run += 1
        return {
            "phase": "first" if frame < 1 else "filling" if frame < self._filled else "steady",
            **split(start, self._timed.calls, end),
            "cpu_ms": (cpu_end - cpu_start) / 1e6,
            "rss_mb": machine.resident_mb(),
            "state_mb": self._state.nbytes / machine.MB,
        }
