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
from sam2lab.runtime.engines.bundle_engine import BundleEngine, Inputs, check_threads
from sam2lab.runtime.engines.protocol import FEATURES, Features, Float32, PromptBatch
from sam2lab.runtime.requirements import MissingExtra, missing

# The label of a slot that holds no point.
EMPTY = -1


class _Opened(NamedTuple):
    run: Any
    # An interpreter's tensors belong to one call at a time.
    lock: Any


class LiteRtEngine(BundleEngine):
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

    # The files answer one prompt a call.
    pixels_at_once = 1

    def __init__(self, bundle: Bundle | str | os.PathLike[str], threads: int | None = None) -> None:
        if missing(["ai_edge_litert"]):
            raise MissingExtra("LiteRtEngine", ["ai_edge_litert"])
        super().__init__(bundle, threads)
        (labels,) = (t for t in self.bundle.graphs["decoder"].inputs if t.name == "point_labels")
        self.points = int(labels.shape[1])
        self.open_graphs(GRAPHS)

    @property
    def key(self) -> str:
        """The graphs' bytes, run by LiteRT."""
        return f"litert:{self.bundle.key}"

    def encode(self, pixels: Float32) -> Features:
        """Encode normalised RGB pixels (B, 3, H, W), one photo after the other."""
        self.info.check_pixels(pixels)
        photos = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
        each = [self._run("encoder", FEATURES, {"image": photo[None]}) for photo in photos]
        maps = (np.concatenate(arrays) for arrays in zip(*each, strict=True))
        return Features(*(array.transpose(0, 3, 1, 2) for array in maps))

    def decoder_inputs(self, features: Features, prompts: PromptBatch) -> dict[str, Float32]:
        """The arrays that the decoder's graph takes, by name: channels last, and empty slots."""
        inputs = super().decoder_inputs(features, prompts)
        for name in FEATURES:
            inputs[name] = np.ascontiguousarray(inputs[name].transpose(0, 2, 3, 1))
        points = prompts.point_labels.shape[1]
        if points > self.points:
            raise ValueError(
                f"prompts have {points} points, of which a box is two, but the files of "
                f"{self.bundle.folder} take {self.points}. Give fewer, or export with more: "
                f"python -m sam2lab export {self.info.size} --target litert --points {points}"
            )
        if (prompts.point_labels == EMPTY).any():
            raise ValueError(
                f"point_labels holds {EMPTY}, which is an empty slot in these files; wanted the "
                "labels of points that are there, and the engine fills the other slots"
            )
        slots = ((0, 0), (0, self.points - points))
        inputs["point_coords"] = np.pad(prompts.point_coords, (*slots, (0, 0)))
        inputs["point_labels"] = np.pad(prompts.point_labels, slots, constant_values=EMPTY)
        return inputs

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
