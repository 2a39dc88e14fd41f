"""A process that makes one contender's files, or runs it on request: a script for `process`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from time import perf_counter
from typing import Any


def main() -> None:
    """Answer lines until there are no more."""
    # Whatever a library prints must not get between the lines for the parent.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    work: Any = None
    for line in sys.stdin:
        asked = json.loads(line)
        if work is None:
            sys.path[:] = asked["path"]
            work = _Work()
        try:
            answer = getattr(work, asked["do"])(asked)
        except Exception as error:
            first = (str(error).splitlines() or [""])[0]
            answer = {"error": f"{type(error).__name__}: {first}"}
        channel.write(json.dumps(answer) + "\n")
        channel.flush()


class _Work:
    """What can be asked for, by name; each takes the line and returns the answer."""

    def make(self, asked: dict[str, Any]) -> dict[str, Any]:
        from sam2lab.peers import making

        start = perf_counter()
        making.make(asked["files"], asked["job"], Path(asked["folder"]))
        return {"seconds": perf_counter() - start}

    def reference(self, asked: dict[str, Any]) -> dict[str, Any]:
        from sam2lab.peers import answers

        answers.reference(asked["job"], Path(asked["photo"]), Path(asked["out"]))
        return {}

    def open(self, asked: dict[str, Any]) -> dict[str, Any]:
        import numpy as np

        from sam2lab.measure import workload
        from sam2lab.peers import running

        self.photo = np.load(asked["photo"])
        self.pixels = workload.prepare(self.photo, running.INFO)
        folder = Path(asked["folder"])
        self.running = running.start(asked["engine"], folder, asked["job"], asked["threads"])
        return {}

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Encode, keep the features, answer the reference's cases: IoU by kind of prompt."""
        from sam2lab.peers import answers

        self.features = self.running.encode(self.pixels)
        answers.keep(self.features, Path(asked["features"]))
        return {
            "iou": answers.agreement(self.running, self.features, self.photo, asked["reference"]),
            "several": answers.several(self.running, self.features),
        }

    def recall(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Take features that were kept, so that the encoder's memory is not held too."""
        from sam2lab.peers import answers

        self.features = answers.kept(Path(asked["features"]))
        return {}

    def encode(self, asked: dict[str, Any]) -> dict[str, Any]:
        start = perf_counter()
        self.features = self.running.encode(self.pixels)
        return self._at_rest([perf_counter() - start])

    def decode(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Answer so many clicks in one call, so many times."""
        from sam2lab.peers import answers

        prompts = answers.clicks(asked["objects"], self.photo.shape[:2])
        seconds = []
        for _ in range(asked["times"]):
            start = perf_counter()
            self.running.decode(self.features, prompts)
            seconds.append(perf_counter() - start)
        return self._at_rest(seconds)

    def _at_rest(self, seconds: list[float]) -> dict[str, Any]:
        """The median time; told when threads that wait by spinning have gone to sleep."""
        from statistics import median

        from sam2lab.measure.latency import settle

        settle()
        return {"ms": 1000 * median(seconds)}


if __name__ == "__main__":
    main()
