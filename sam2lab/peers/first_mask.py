"""Time a peer's way from nothing to a mask: what a fresh process does for `starts`.

Nothing but the standard library is imported before the clock starts, and afterwards only what
the peer imports. Threads and all else are as the peer's own classes have them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

STEPS = ("import", "open", "encode", "decode")


def first_mask(
    asked: Iterator[dict[str, Any]], peer: Callable[[], Any], job: Callable[..., Any]
) -> Iterator[dict[str, Any]]:
    """Take a job, go as far as step `last`, and say how long each step took and what came out."""
    line = next(asked)
    told: dict[str, Any] = {}
    way = peer().first_mask(job(**line["job"]))
    start = perf_counter()
    for step in STEPS[: 1 + STEPS.index(line["last"])]:
        before = perf_counter()
        mask = next(way)
        told[f"{step}_ms"] = 1000 * (perf_counter() - before)
    told["first_mask_ms"] = 1000 * (perf_counter() - start)
    told["uses_torch"] = "torch" in sys.modules
    if mask is not None:
        import numpy as np

        told["mask"] = np.packbits(mask).tobytes().hex()
    yield told
