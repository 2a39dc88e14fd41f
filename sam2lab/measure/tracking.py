"""Follow the objects of labelled videos, and compare their masks with the truth, frame by frame.

A table has a row for each engine, prompt, video, way, object and labelled frame. Columns: `engine`,
`prompt` (see `following.PROMPTS`), `sequence` (the video), `way` ("memory", or one of the two
baselines "box again" and "held still"), `object`, `frame`, `j` and `f` (see `tracking_metrics`),
`score` (above 0 where the model says that the object is there, NaN for baselines), `area_px` (of
the true mask), and `is_counted`: DAVIS leaves out the frame of the prompt and the last one.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sam2lab.measure import following, machine
from sam2lab.measure.engine_sources import Source, prepared, trained
from sam2lab.measure.following import MEMORY, PROMPTS, WAYS, Followed
from sam2lab.measure.journal import Line
from sam2lab.measure.tasks import do_tasks
from sam2lab.measure.tracking_metrics import jaccard_and_boundary
from sam2lab.measure.videos import VOID, Appearance, LabelledVideo, appearances
from sam2lab.runtime.arguments import whole
from sam2lab.runtime.engines.protocol import Engine
from sam2lab.runtime.images import ImageError
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.runtime.video.kept_frames import FrameError
from sam2lab.runtime.video.protocol import VideoEngine

ABOUT = ("engine", "prompt", "sequence")
MEASURED = ("way", "object", "frame", "j", "f", "score", "area_px", "is_counted")
COLUMNS = [*ABOUT, *MEASURED]


def tracking_study(
    engines: Mapping[str, Segmenter | Engine | Source],
    videos: Iterable[LabelledVideo],
    prompts: str | Iterable[str] = "mask",
    baselines: bool = True,
    executor: Executor | None = None,
    in_flight: int = 64,
    keep_in: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Let every engine follow all objects of every video, from every kind of prompt.

    Videos are those of a `DavisFolder`, or `videos.Clip`s. An object is prompted in the first
    frame that shows it, by its true mask, by a click in its middle, or by its box. The `baselines`
    begin with the same first masks (see `following`).

    An engine is an open one or a source, as in `accuracy.evaluate`. Random weights are refused.
    A memory that was never trained is measured, with a warning; `attrs["engines"]` says for each
    engine whether its `memory` is trained. `attrs["skipped"]` are videos that could not be read.

    With an `executor` each video is a task for every engine and prompt; with `keep_in` each is in
    that file as soon as it is finished, and the same call goes on after an interrupt.

    ```python
    table = tracking_study({"tiny": "models/tiny"}, DavisFolder("DAVIS"), prompts=("mask", "box"))
    summarise_tracking(table)
    ```
    """
    kinds = [prompts] if isinstance(prompts, str) else list(prompts)
    if not kinds or not set(kinds) <= set(PROMPTS):
        raise ValueError(f"prompts is {prompts!r}; wanted some of: {', '.join(PROMPTS)}")
    in_flight = whole("in_flight", in_flight, least=1)
    bare = {
        name: one.engine if isinstance(one, Segmenter) else one
        for name, one in dict(engines).items()
    }
    asked = prepared(bare, elsewhere=executor is not None)
    listed = _different(videos)
    facts = {name: _facts(name, trained(name, one)) for name, one in asked.items()}
    for name in [name for name, told in facts.items() if told["memory"] == "untrained"]:
        warnings.warn(
            f"the memory of engines[{name!r}] was never trained, so its figures say nothing about "
            "SAM 2",
            stacklevel=2,
        )
    about = {
        "engines": facts,
        "prompts": kinds,
        "baselines": bool(baselines),
        "videos": {video.name: video.key for video in listed},
    }
    tasks = [
        _Task(name, one, video, kind, bool(baselines))
        for name, one in asked.items()
        for kind in kinds
        for video in listed
    ]
    lines, interrupted = do_tasks(
        ((task.key, task) for task in tasks),
        _follow,
        about,
        kind="video",
        total=len(tasks),
        executor=executor,
        in_flight=in_flight,
        keep_in=keep_in,
    )
    tables = [pd.DataFrame(line["rows"], columns=COLUMNS) for line in lines if line["rows"]]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS)
    skipped = [line["skipped"] for line in lines if line["skipped"]]
    table.attrs = {**about, "skipped": skipped, "interrupted": interrupted}
    return table


class _Task(NamedTuple):
    """One engine with one prompt on one video."""

    engine: str
    source: Engine | bytes
    video: LabelledVideo
    prompt: str
    baselines: bool

    @property
    def key(self) -> str:
        return "/".join((self.engine, self.prompt, self.video.name))


def _follow(task: _Task) -> Line:
    """Do a task, in this process or in a worker."""
    engine = trained(task.engine, task.source)
    named = dict(zip(ABOUT, (task.engine, task.prompt, task.video.name), strict=True))
    try:
        rows = list(_rows(engine, task))
    except (FrameError, ImageError, OSError) as error:
        return {"rows": {}, "skipped": {**named, "reason": str(error)}}
    columns = {name: [row[name] for row in rows] for name in MEASURED}
    return {
        "rows": {**{name: [is_] * len(rows) for name, is_ in named.items()}, **columns},
        "skipped": None,
    }


def _rows(engine: Engine, task: _Task) -> Iterator[dict[str, Any]]:
    truth = appearances(task.video)
    # The baselines begin with the masks that the model made of the prompts.
    first: dict[int, Appearance] = {}
    for way in WAYS if task.baselines else [MEMORY]:
        for followed in _ways(way, engine, task, first):
            if way == MEMORY:
                first |= {
                    number: Appearance(followed.frame, mask)
                    for number, mask in followed.masks.items()
                    if truth[number].frame == followed.frame
                }
            for row in _compare(followed, task.video, truth):
                yield {"way": way, **row}


def _ways(
    way: str, engine: Engine, task: _Task, first: dict[int, Appearance]
) -> Iterator[Followed]:
    if way == MEMORY:
        assert isinstance(engine, VideoEngine)
        return following.with_memory(engine, task.video, task.prompt)
    if way == following.BOX_AGAIN:
        return following.box_again(engine, task.video, first)
    return following.held_still(task.video, first)


def _compare(
    followed: Followed, video: LabelledVideo, truth: Mapping[int, Appearance]
) -> Iterator[dict[str, Any]]:
    """Compare the masks of a frame with its labels, from each object's prompt on."""
    frame = followed.frame
    if frame not in video.annotated:
        return
    labels = video.labels(frame)
    void = labels == VOID
    for number, appearance in truth.items():
        if frame < appearance.frame:
            continue
        answer = followed.masks.get(number, np.zeros_like(void))
        if answer.shape != labels.shape:
            raise ImageError(
                f"labels of frame {frame} of {video.name} have shape {labels.shape}, and the "
                f"frame {answer.shape}; wanted the same"
            )
        true_mask = labels == number
        figures = jaccard_and_boundary(true_mask, answer, void if void.any() else None)
        yield {
            "object": number,
            "frame": frame,
            "j": figures.j,
            "f": figures.f,
            "score": followed.scores.get(number, np.nan),
            "area_px": int(np.count_nonzero(true_mask)),
            "is_counted": appearance.frame < frame < video.annotated[-1],
        }


def _different(videos: Iterable[LabelledVideo]) -> list[LabelledVideo]:
    listed = list(videos)
    names = [video.name for video in listed]
    twice = sorted({name for name in names if names.count(name) > 1})
    if not listed or twice:
        what = f"two videos named {twice[0]!r}" if twice else "no videos"
        raise ValueError(f"videos has {what}; wanted at least one, each with a name of its own")
    return listed


def _facts(name: str, engine: Engine) -> dict[str, Any]:
    """Facts about an engine and its memory; a `ValueError` where it has none."""
    video = engine.video if isinstance(engine, VideoEngine) else None
    if video is None:
        raise ValueError(
            f"engines[{name!r}] has no memory, so it cannot follow objects; export the model "
            "again with this version: python -m sam2lab export"
        )
    return machine.engine_facts(engine) | {"memory": "trained" if video.is_trained else "untrained"}
