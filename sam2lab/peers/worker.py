"""Do in a peer's own process what its parent asks for, from making files to a first mask.

This file imports only the standard library at its top, so that the way to the first mask pays
only for what the peer imports.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

Line = dict[str, Any]

STEPS = ("import", "open", "encode", "decode")


def work(asked: Iterator[Line], peer: Callable[[], Any], job: Callable[..., Any]) -> Iterator[Line]:
    """Take a job first, then call the method that each line names in `do`."""
    worker = _Worker(peer(), job(**next(asked)))
    for line in asked:
        yield getattr(worker, line.pop("do"))(**line)


class _Worker:
    """Methods that a line can name. Each returns the answer."""

    def __init__(self, peer: Any, job: Any) -> None:
        self.peer, self.job = peer, job

    def make(self) -> Line:
        self.peer.make_files(self.job)
        return {}

    def first_mask(self, last: str, out: str) -> Line:
        """Go as far as step `last` with the peer's own classes; a mask goes into the file `out`."""
        told: Line = {}
        way = self.peer.first_mask(self.job)
        start = perf_counter()
        for step in STEPS[: 1 + STEPS.index(last)]:
            before = perf_counter()
            mask = next(way)
            told[f"{step}_ms"] = 1000 * (perf_counter() - before)
        told["first_mask_ms"] = 1000 * (perf_counter() - start)
        told["uses_torch"] = "torch" in sys.modules
        if mask is not None:
            import numpy as np

            np.save(out, mask)
        return told

    def reference(self, out: str) -> Line:
        from sam2lab.peers import agreement

        agreement.write_reference(self.job, Path(out))
        return {}

    def open(self) -> Line:
        import numpy as np

        from sam2lab.measure import workload
        from sam2lab.peers.models import INFO

        self.photo = np.load(self.job.photo)
        self.pixels = workload.prepare(self.photo, INFO)
        self.model = self.peer.open(self.job)
        return {}

    def answer(self, reference: str, features: str) -> Line:
        """Encode, write the features, and compare the masks with the reference's."""
        import numpy as np

        from sam2lab.peers import agreement

        self.features = self.model.encode(self.pixels)
        np.savez(features, **vars(self.features))
        return {
            "iou": agreement.by_kind(self.model, self.features, self.photo, reference),
            "several": agreement.several_at_once(self.model, self.features),
        }

    def recall(self, features: str) -> Line:
        """Read features, so that this process does not hold the encoder's memory too."""
        import numpy as np

        from sam2lab.runtime.engines.protocol import Features

        with np.load(features) as arrays:
            self.features = Features(**arrays)
        return {}

    def encode(self) -> Line:
        return self._timed(lambda: self.model.encode(self.pixels))

    def decode(self, objects: int, times: int) -> Line:
        """Answer `objects` clicks in one call, `times` times."""
        from sam2lab.peers import agreement

        prompts = agreement.clicks(objects, self.photo)
        return self._timed(lambda: self.model.decode(self.features, prompts), times)

    def _timed(self, call: Callable[[], Any], times: int = 1) -> Line:
        """Return the median time, after threads that wait by spinning have gone to sleep."""
        from statistics import median

        from sam2lab.measure.rest import settle

        seconds = []
        for _ in range(times):
            start = perf_counter()
            call()
            seconds.append(perf_counter() - start)
        settle()
        return {"ms": 1000 * median(seconds)}
