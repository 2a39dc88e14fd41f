"""`LiteRtEngine` runs a bundle of .tflite files, as phones do, with LiteRT."""

from __future__ import annotations

import os
from collections.abc import Sequence
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sam2lab.runtime import cores
from sam2lab.runtime.bundle import GRAPHS, Bundle
from sam2lab.runtime.engines.bundle_engine import Inputs, check_threads
from sam2lab.runtime.engines.device import DeviceEngine
from sam2lab.runtime.requirements import MissingExtra, missing


class _Opened(NamedTuple):
    run: Any
    # An interpreter's tensors belong to one call at a time.
    lock: Any


class LiteRtEngine(DeviceEngine):
    """Run the graphs of a bundle for phones, for photos, on the CPU, by LiteRT and XNNPACK.

    Such a file takes one photo, and one prompt with a fixed number of slots for points: `points`,
    of which a box takes two. Several photos and objects are asked for one after the other. Features
    have channels last in memory, as these files want them. `threads` are those of one operator, by
    default all cores of the process.

    One engine may be used from several threads at once; they are answered in turn.

    ```python
    engine = LiteRtEngine("models/nano-litert-w8a8")
    print(engine.points)
    ```
    """

    def __init__(self, bundle: Bundle | str | os.PathLike[str], threads: int | None = None) -> None:
        if missing(["ai_edge_litert"]):
            raise MissingExtra("LiteRtEngine", ["ai_edge_litert"])
        super().__init__(bundle, threads)
        self.open_graphs(GRAPHS)

    @property
    def key(self) -> str:
        """The graphs' bytes, run by LiteRT."""
        return f"litert:{self.bundle.key}"

    def _open(self, graph: str) -> _Opened:
        from ai_edge_litert.interpreter import Interpreter

        path = str(self.bundle.path(graph))
        interpreter = Interpreter(path, num_threads=self.threads or cores.usable())
        return _Opened(interpreter.get_signature_runner(), Lock())

    def _compute(
        self, opened: _Opened, outputs: Sequence[str], inputs: Inputs
    ) -> list[npt.NDArray[np.float32]]:
        with opened.lock:
            answer = opened.run(**inputs)
        return [answer[name] for name in outputs]


def check_options(threads: int | None = None) -> None:
    """Refuse options that `open_engine` would refuse for any bundle."""
    check_threads(threads)


open_engine = LiteRtEngine
