"""Import, open, encode and decode in a fresh process, which `fresh` starts.

It opens engines as users do, by `sam2lab.open_segmenter`. This file imports only the
standard library at its top, because `child` starts it before the clock of the import.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

Line = dict[str, Any]


def steps(asked: Iterator[Line]) -> Iterator[Line]:
    """Report that Python has started, take a job, go to its last step, and time each step."""
    yield _took("interpreter", 0.0)
    job = next(asked)
    last, folder = job["last"], Path(job["folder"])
    start = perf_counter()
    for name in job["modules"]:
        importlib.import_module(name)
    yield _took("import", perf_counter() - start)
    if last == "import":
        return

    import sam2lab

    start = perf_counter()
    engine = sam2lab.open_segmenter(**job["open"]).engine
    yield _took("open", perf_counter() - start)
    if last == "open":
        return

    import numpy as np

    from sam2lab.measure import workload
    from sam2lab.runtime import prompts
    from sam2lab.runtime.engines.protocol import FEATURES, Features

    photo = np.load(folder / "photo.npy")
    kept = [folder / f"{name}.npy" for name in FEATURES]
    # With features that another process left, this one does not encode: the encoder's peak
    # would hide the decoder's.
    if job["use_features"]:
        features = Features(*(np.load(file) for file in kept))
    else:
        for _ in range(job["calls"]):
            pixels = workload.prepare(photo, engine.info)
            start = perf_counter()
            features = engine.encode(pixels)
            yield _took("encode", perf_counter() - start)
    if last == "encode":
        for file, name in zip(kept, FEATURES, strict=True):
            np.save(file, getattr(features, name))
        return
    for _ in range(job["calls"]):
        prompt = prompts.encode(photo.shape[:2], engine.info, **job["prompt"])
        start = perf_counter()
        decoded = engine.decode(features, prompt)
        seconds = perf_counter() - start
        workload.finish(decoded, photo.shape[:2])
        yield _took("decode", seconds)


def _took(step: str, seconds: float) -> Line:
    return {"step": step, "ms": 1000 * seconds}
