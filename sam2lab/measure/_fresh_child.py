"""What a fresh process does, run by `fresh` as a script: import, open, encode, decode.

It is a user like any other, and comes in by `sam2lab.open_segmenter`. Nothing but the standard
library is imported before the clock starts. Each step is told to the parent as a line of JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any


def main() -> None:
    """Tell that Python is there, take the job from the parent, and do it."""
    # Whatever a library prints must not get between the lines for the parent.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(step: str, seconds: float = 0.0) -> None:
        line = {"step": step, "ms": 1000 * seconds, "peak_mb": peak_mb()}
        channel.write(json.dumps(line) + "\n")
        channel.flush()

    tell("interpreter")
    job = json.loads(sys.stdin.readline())
    sys.path[:] = job["path"]
    work(job, tell)


def work(job: dict[str, Any], tell: Callable[[str, float], None]) -> None:
    """Go as far as the job's last step, and tell the time that each step took alone."""
    last, folder = job["last"], Path(job["folder"])
    start = perf_counter()
    for name in job["modules"]:
        importlib.import_module(name)
    tell("import", perf_counter() - start)
    if last == "import":
        return

    import sam2lab

    start = perf_counter()
    engine = sam2lab.open_segmenter(**job["open"]).engine
    tell("open", perf_counter() - start)
    if last == "open":
        return

    import numpy as np

    from sam2lab.measure import workload
    from sam2lab.runtime import prompts
    from sam2lab.runtime.engines.protocol import Features

    photo = np.load(folder / "photo.npy")
    kept = [folder / f"{n}.npy" for n in ("image_embed", "high_res_feats_0", "high_res_feats_1")]
    # Features that another process left spare this one the encoder, whose peak would hide
    # the decoder's.
    if job["use_features"]:
        features = Features(*(np.load(file) for file in kept))
    else:
        for _ in range(job["calls"]):
            pixels = workload.prepare(photo, engine.info)
            start = perf_counter()
            features = engine.encode(pixels)
            tell("encode", perf_counter() - start)
    if last == "encode":
        arrays = (features.image_embed, features.high_res_feats_0, features.high_res_feats_1)
        for file, array in zip(kept, arrays, strict=True):
            np.save(file, array)
        return
    for _ in range(job["calls"]):
        asked = prompts.encode(photo.shape[:2], engine.info, **job["prompt"])
        start = perf_counter()
        decoded = engine.decode(features, asked)
        seconds = perf_counter() - start
        workload.finish(decoded, photo.shape[:2])
        tell("decode", seconds)


def peak_mb() -> float:
    """The most memory that this process has held so far, in 10^6 bytes."""
    if sys.platform == "linux":
        # Not getrusage: on Linux that begins with what the parent held when it forked.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 1e6
    import resource

    # In kilobytes on every system but macOS, which counts bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


if __name__ == "__main__":
    main()
