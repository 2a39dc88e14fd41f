"""sam2-onnx: an exporter and a runtime, for Python 3.12 and later."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from sam2lab.peers.job import Job
    from sam2lab.peers.models import Model


class Sam2Onnx:
    """Its export functions, its `Sam2OnnxSession` and its `OnnxImagePredictor`."""

    name = "sam2-onnx"
    needs = ("torch", "torchvision", "sam2", "sam2_onnx")
    get = "in Python 3.12 or later: pip install -e '.[torch,peers]'"
    distributions = ("sam2-onnx", "onnxruntime", "torch", "onnx", "rf-sam-2")
    can: ClassVar = {
        "one mask instead of three": "no: ignored by its predictor",
        "other input sizes than 1024 x 1024": "yes: image_size in sam2's configs",
        "an 8-bit export of SAM 2": "yes: --quantize, dynamic",
    }

    def make_files(self, job: Job) -> None:
        model = job.build_sam2()
        import torch
        from sam2_onnx import export_onnx

        folder = Path(job.folder)
        with torch.no_grad():
            export_onnx.export_encoder(model, folder / "encoder.onnx", job.side)
            export_onnx.export_decoder(model, folder / "decoder.onnx", job.side)
        about = export_onnx.extract_metadata(model).to_dict()
        (folder / "metadata.json").write_text(json.dumps(about), encoding="utf-8")

    def open(self, job: Job) -> Model:
        import numpy as np
        import onnxruntime
        from sam2_onnx import Sam2OnnxSession

        from sam2lab.peers.models import mask_of
        from sam2lab.runtime.engines.protocol import Features, Float32, PromptBatch

        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = job.threads
        session = Sam2OnnxSession(model_dir=Path(job.folder), session_options=options)

        class Sam2OnnxModel:
            def encode(self, pixels: Float32) -> Features:
                told = session.encode(pixels)
                return Features(
                    told["image_embed"], told["high_res_feat_0"], told["high_res_feat_1"]
                )

            def decode(self, features: Features, prompts: PromptBatch) -> Float32:
                mask, has_mask = mask_of(prompts)
                logits, _ = session.decode(
                    image_embed=features.image_embed,
                    high_res_feat_0=features.high_res_feats_0,
                    high_res_feat_1=features.high_res_feats_1,
                    point_coords=prompts.point_coords,
                    point_labels=prompts.point_labels.astype(np.int64),
                    mask_input=mask,
                    has_mask_input=has_mask[:, None],
                )
                return np.asarray(logits)

        return Sam2OnnxModel()

    def first_mask(self, job: Job) -> Iterator[Any]:
        import numpy  # noqa: F401
        from sam2_onnx import OnnxImagePredictor, Sam2OnnxSession

        yield
        predictor = OnnxImagePredictor(Sam2OnnxSession(model_dir=job.folder))
        yield
        yield from job.predict(predictor)
