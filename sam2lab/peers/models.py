"""Models that `Peer.open` returns: pixels in, features out; features and prompts in, logits out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import onnxruntime

from sam2lab.peers.job import Job
from sam2lab.runtime.engines.protocol import Engine, Features, Float32, ModelInfo, PromptBatch

# The one input size that all peers know.
SIDE = 1024
# Photos and prompts are prepared for this model, the same for all peers.
INFO = ModelInfo("peer", "peer", (SIDE, SIDE), "random:0")


class Model(Protocol):
    """A peer's model, open."""

    def encode(self, pixels: Float32) -> Features:
        """Encode normalised pixels (1, 3, H, W) in RGB order."""
        ...

    def decode(self, features: Features, prompts: PromptBatch) -> Float32:
        """Return three candidates' logits (L, 3, h, w) for each of L prompts."""
        ...


class EngineModel:
    """A model served by an engine of ours."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def encode(self, pixels: Float32) -> Features:
        return self.engine.encode(pixels)

    def decode(self, features: Features, prompts: PromptBatch) -> Float32:
        return self.engine.decode(features, prompts).logits[:, 1:]


class TwoGraphs:
    """`encoder.onnx` and `decoder.onnx` of a job's folder, on ONNX Runtime.

    `features` are the names that both graphs give to the fields of `Features`, in order.
    `inputs(points, labels, mask, has_mask)` returns the decoder's other inputs by name, see
    `mask_of`. `outputs` are the decoder's, the logits first.
    """

    def __init__(
        self,
        job: Job,
        features: tuple[str, str, str],
        inputs: Callable[[Any, Any, Any, Any], dict[str, Any]],
        outputs: tuple[str, ...],
    ) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = job.threads
        self._encoder, self._decoder = (
            onnxruntime.InferenceSession(
                f"{job.folder}/{graph}.onnx", options, providers=["CPUExecutionProvider"]
            )
            for graph in ("encoder", "decoder")
        )
        self._features, self._inputs, self._outputs = features, inputs, outputs

    def encode(self, pixels: Float32) -> Features:
        return Features(*self._encoder.run(self._features, {"image": pixels}))

    def decode(self, features: Features, prompts: PromptBatch) -> Float32:
        arrays = (features.image_embed, features.high_res_feats_0, features.high_res_feats_1)
        told = self._inputs(prompts.point_coords, prompts.point_labels, *mask_of(prompts))
        logits, *_ = self._decoder.run(
            self._outputs, dict(zip(self._features, arrays, strict=True)) | told
        )
        return np.asarray(logits)


def mask_of(prompts: PromptBatch) -> tuple[Float32, Float32]:
    """Return the mask (M, 1, h, w) of a prompt, or zeros, and 1 if it counts, else 0 (1,)."""
    given = prompts.mask_input
    blank = np.zeros((1, 1, SIDE // 4, SIDE // 4), np.float32)
    return blank if given is None else given, np.array([given is not None], np.float32)
