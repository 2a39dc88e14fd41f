"""What a process of one peer does on request: make its files, or encode and decode with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Line = dict[str, Any]


def work(asked: Iterator[Line], peer: Callable[[], Any], job: Callable[..., Any]) -> Iterator[Line]:
    """Take a job first, then do what each line asks."""
    worker = _Worker(peer(), job(**next(asked)))
    for line in asked:
        yield getattr(worker, line.pop("do"))(**line)


class _Worker:
    """What can be asked for, by name. Each returns the answer."""

    def __init__(self, peer: Any, job: Any) -> None:
        self.peer, self.job = peer, job

    def make(self) -> Line:
        self.peer.make_files(self.job)
        return {}

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
        """Answer so many clicks in one call, so many times."""
        from sam2lab.peers import agreement

        prompts = agreement.clicks(objects, self.photo.shape[:2])
        return self._timed(lambda: self.model.decode(self.features, prompts), times)

    def _timed(self, call: Callable[[], Any], times: int = 1) -> Line:
        """Return the median time; threads that wait by spinning have gone to sleep by then."""
        from statistics import median
        from time import perf_counter

        from sam2lab.measure.latency import settle

        seconds = []
        for _ in range(times):
            start = perf_counter()
            call()
            seconds.append(perf_counter() - start)
        settle()
        return {"ms": 1000 * median(seconds)}
