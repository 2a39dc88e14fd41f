"""Find what the time depends on: each study varies one thing and keeps all else the same.

A study is a table of `time_in_turn`, whose `series` is the value that varies. All values are
timed in turn, so that a slow minute of the machine does not look like an effect. Further
arguments (`runs`, `seed`, `save_to`) go to `time_in_turn`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from sam2lab.measure.latency import Series, time_in_turn
from sam2lab.measure.machine import fingerprint
from sam2lab.measure.workload import Workload, sending_file
from sam2lab.runtime.arguments import whole
from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.engines.onnx import OnnxEngine
from sam2lab.runtime.engines.protocol import Engine
from sam2lab.runtime.images import ImageLike

POINTS = (1, 2, 4, 8, 16)
PROMPTS_PER_CALL = (1, 2, 4, 8, 16, 32, 64)


def images(
    engine: Engine,
    photos: Mapping[str, ImageLike],
    prompt: Mapping[str, Any] | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Different photos, by name; without a prompt a click in the middle of each."""
    return time_in_turn(
        {name: Series(engine, Workload.about(photo, prompt)) for name, photo in photos.items()},
        **options,
    )


def points(
    engine: Engine, image: ImageLike, counts: Sequence[int] = POINTS, **options: Any
) -> pd.DataFrame:
    """One object with more and more clicks."""
    return time_in_turn(
        {n: Series(engine, Workload.with_points(image, points=n)) for n in _counts(counts)},
        **options,
    )


def prompts_per_call(
    engine: Engine, image: ImageLike, counts: Sequence[int] = PROMPTS_PER_CALL, **options: Any
) -> pd.DataFrame:
    """More and more objects on one image in a single call of the decoder, a click for each."""
    return time_in_turn(
        {
            n: Series(engine, Workload.with_points(image, points=1, objects=n))
            for n in _counts(counts)
        },
        **options,
    )


def threads(
    bundle: Bundle | str | os.PathLike[str],
    image: ImageLike,
    counts: Sequence[int] | None = None,
    **options: Any,
) -> pd.DataFrame:
    """The same bundle with 1, 2, … threads for an operator, by default up to all usable cores."""
    if counts is None:
        counts = range(1, int(fingerprint()["usable_cores"]) + 1)
    opened = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
    workload = Workload.about(image)
    return time_in_turn(
        {n: Series(partial(OnnxEngine, opened, threads=n), workload) for n in _counts(counts)},
        **options,
    )


def input_sizes(engines: Iterable[Engine], image: ImageLike, **options: Any) -> pd.DataFrame:
    """Engines of one model at different input sizes; the series is `height x width`."""
    workload = Workload.about(image)
    named: dict[str, Series] = {}
    for engine in engines:
        height, width = engine.info.input_size
        name = f"{height} x {width}"
        if name in named:
            raise ValueError(f"engines has two of {name}; wanted one for each input size")
        named[name] = Series(engine, workload)
    return time_in_turn(named, **options)


def local_and_remote(
    engine: Engine,
    remotes: Mapping[str, Engine],
    photo_file: str | os.PathLike[str],
    prompt: Mapping[str, Any] | None = None,
    **options: Any,
) -> pd.DataFrame:
    """An engine here, and `RemoteEngine`s that get the photo's file and send masks back.

    The server unpacks the JPEG or PNG each time, which is not counted here: the photo that
    `engine` gets has been read before.
    """
    file = Path(photo_file).read_bytes()
    workload = Workload.about(file, prompt)
    series = {"local": Series(engine, workload)}
    series |= {
        name: Series(remote, workload, sending_file(file)) for name, remote in remotes.items()
    }
    return time_in_turn(series, **options)


def _counts(counts: Iterable[int]) -> list[int]:
    listed = [whole("counts", count, least=1) for count in counts]
    if not listed or len(set(listed)) < len(listed):
        raise ValueError(f"counts is {listed}; wanted different numbers from 1 on")
    return listed
