"""One small adapter for each contender: pixels in, features out; features and prompts in, logits.

Each runs its files as its own inference class does, with `threads` where that can be told.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime

from sam2lab.peers import original
from sam2lab.runtime.engines.protocol import Engine, Features, Float32, ModelInfo, PromptBatch

# The one input size that all peers know.
SIDE = 1024
# How photos and prompts are prepared for everybody.
INFO = ModelInfo("peer", "peer", (SIDE, SIDE), "random:0")


class Running(Protocol):
    """A contender that is ready to be asked."""

    def encode(self, pixels: Float32) -> Features:
        """Encode normalised pixels (1, 3, H, W) in RGB order."""
        ...

    def decode(self, features: Features, prompts: PromptBatch) -> Float32:
        """Three candidates' logits (L, 3, h, w) for each of L prompts."""
        ...


def start(engine: str, folder: Path, job: dict[str, Any], threads: int) -> Running:
    """Open the files in `folder`, or the original by its `job` (see `making.make`)."""
    if engine in ("torch", "compiled"):
        return _torch(job, threads, compiled=engine == "compiled")
    if engine.startswith("openvino"):
        from sam2lab.runtime.engines.openvino import OpenVinoEngine

        precision: Any = "f32" if engine.endswith("f32") else "preferred"
        return _Engine(OpenVinoEngine(folder, precision, threads))
    if engine == "onnx":
        from sam2lab.runtime.engines.onnx import OnnxEngine

        return _Engine(OnnxEngine(folder, threads=threads))
    return GRAPHS[engine](folder, threads)


class _Engine:
    """Anything that speaks our own protocol."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def encode(self, pixels: Float32) -> Features:
        return self.engine.encode(pixels)

    def decode(self, features: Features, prompts: PromptBatch) -> Float32:
        return self.engine.decode(features, prompts).logits[:, 1:]


def _torch(job: dict[str, Any], threads: int, compiled: bool) -> _Engine:
    original.enter()
    import torch

    from sam2lab.reference.engine import TorchEngine

    torch.set_num_threads(threads)
    module = original.build(job["config"], job["checkpoint"], job["side"])
    if compiled:
        # The part that sam2's own `compile_image_encoder` compiles.
        forward = module.image_encoder.forward
        module.image_encoder.forward = torch.compile(forward, fullgraph=True, dynamic=False)
    return _Engine(TorchEngine(module))


class _Graphs:
    """Two graphs in onnxruntime, with `ENCODED` naming the encoder's outputs as Features do."""

    ENCODED: tuple[str, str, str]

    def __init__(self, folder: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.encoder, self.decoder = (
            onnxruntime.InferenceSession(
                str(folder / f"{graph}.onnx"), options, providers=["CPUExecutionProvider"]
            )
            for graph in ("encoder", "decoder")
        )

    def encode(self, pixels: Float32) -> Features:
        return Features(*self.encoder.run(self.ENCODED, {"image": pixels}))

    def inputs(self, features: Features) -> dict[str, Any]:
        """The features under the names by which both graphs call them."""
        arrays = (features.image_embed, features.high_res_feats_0, features.high_res_feats_1)
        return dict(zip(self.ENCODED, arrays, strict=True))


class _Samexporter(_Graphs):
    ENCODED = ("image_embed", "high_res_feats_0", "high_res_feats_1")

    def decode(self, features: Features, prompts: PromptBatch) -> Float32:
        mask, has_mask = _mask(prompts)
        logits, _ = self.decoder.run(
            ("masks", "iou_predictions"),
            {
                **self.inputs(features),
                "point_coords": prompts.point_coords,
                "point_labels": prompts.point_labels,
                "mask_input": mask,
                "has_mask_input": has_mask,
            },
        )
        return np.asarray(logits)


class _Onnxruntime(_Graphs):
    ENCODED = ("image_embeddings", "image_features_0", "image_features_1")

    def decode(self, features: Features, prompts: PromptBatch) -> Float32:
        mask, has_mask = _mask(prompts)
        _, _, logits = self.decoder.run(
            ("masks", "iou_predictions", "low_res_masks"),
            {
                **self.inputs(features),
                "point_coords": prompts.point_coords,
                "point_labels": prompts.point_labels.astype(np.int32),
                "input_masks": np.repeat(mask, prompts.objects // len(mask), axis=0),
                "has_input_masks": has_mask,
                # Its graph also enlarges masks, which is not counted for the others either.
                "original_image_size": np.array(mask.shape[2:], np.int32),
            },
        )
        return np.asarray(logits)


class _Sam2Onnx:
    """Its own session, which takes session options."""

    def __init__(self, folder: Path, threads: int) -> None:
        from sam2_onnx import Sam2OnnxSession

        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = threads
        self.session = Sam2OnnxSession(model_dir=folder, session_options=options)

    def encode(self, pixels: Float32) -> Features:
        said = self.session.encode(pixels)
        return Features(said["image_embed"], said["high_res_feat_0"], said["high_res_feat_1"])

    def decode(self, features: Features, prompts: PromptBatch) -> Float32:
        mask, has_mask = _mask(prompts)
        logits, _ = self.session.decode(
            image_embed=features.image_embed,
            high_res_feat_0=features.high_res_feats_0,
            high_res_feat_1=features.high_res_feats_1,
            point_coords=prompts.point_coords,
            point_labels=prompts.point_labels.astype(np.int64),
            mask_input=mask,
            has_mask_input=has_mask[:, None],
        )
        return np.asarray(logits)


def _mask(prompts: PromptBatch) -> tuple[Float32, Float32]:
    """The mask (M, 1, h, w) that each of them always takes, and whether it counts (1,)."""
    given = prompts.mask_input
    blank = np.zeros((1, 1, SIDE // 4, SIDE // 4), np.float32)
    return blank if given is None else given, np.array([given is not None], np.float32)


GRAPHS: dict[str, Any] = {
    "samexporter": _Samexporter,
    "onnxruntime": _Onnxruntime,
    "sam2-onnx": _Sam2Onnx,
}
