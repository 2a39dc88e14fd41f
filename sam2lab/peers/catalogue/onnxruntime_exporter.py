"""The exporter that ships in onnxruntime.transformers, with and without its optimiser."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from sam2lab.peers.job import Job
    from sam2lab.peers.models import Model


class OnnxruntimeExporter:
    """Its functions as its `convert_to_onnx` calls them, and its `SAM2ImageOnnxPredictor`."""

    name = "onnxruntime's exporter"
    needs = ("torch", "torchvision", "sam2")
    get = "pip install -e '.[torch]'"
    distributions = ("onnxruntime", "torch", "onnx", "rf-sam-2")
    can: ClassVar = {
        "one mask instead of three": "yes: by a second file",
        "other input sizes than 1024 x 1024": "no: fixed in its sources",
    }

    def make_files(self, job: Job) -> None:
        model = job.build_sam2()
        import torch

        _find_modules()
        # They were written for a torch that exported by tracing when not told otherwise.
        torch.onnx.export = functools.partial(torch.onnx.export, dynamo=False)
        from image_decoder import export_decoder_onnx
        from image_encoder import export_image_encoder_onnx

        with torch.no_grad():
            export_image_encoder_onnx(model, f"{job.folder}/encoder.onnx")
            export_decoder_onnx(model, f"{job.folder}/decoder.onnx", multimask_output=True)

    def open(self, job: Job) -> Model:
        import numpy as np

        from sam2lab.peers.models import TwoGraphs

        def inputs(points: Any, labels: Any, mask: Any, has_mask: Any) -> dict[str, Any]:
            return {
                "point_coords": points,
                "point_labels": labels.astype(np.int32),
                "input_masks": np.repeat(mask, len(points) // len(mask), axis=0),
                "has_input_masks": has_mask,
                # Its graph also enlarges masks, which is not counted for the others either.
                "original_image_size": np.array(mask.shape[2:], np.int32),
            }

        names = ("image_embeddings", "image_features_0", "image_features_1")
        outputs = ("low_res_masks", "iou_predictions", "masks")
        return TwoGraphs(job, names, inputs, outputs)

    def first_mask(self, job: Job) -> Iterator[Any]:
        job.prepare_sam2()
        import numpy  # noqa: F401

        _find_modules()
        from sam2_image_onnx_predictor import SAM2ImageOnnxPredictor

        yield
        decoder = f"{job.folder}/decoder.onnx"
        predictor = SAM2ImageOnnxPredictor(
            job.build_sam2(),
            f"{job.folder}/encoder.onnx",
            # Also where it wants a file that answers with a single mask: those are as large.
            decoder,
            decoder,
            provider="CPUExecutionProvider",
            device="cpu",
        )
        yield
        yield from job.predict(predictor)


class Optimized(OnnxruntimeExporter):
    """The same graphs after its optimiser, as `convert_to_onnx --optimize` calls it."""

    name = "onnxruntime's --optimize"
    made_from = "onnxruntime's exporter"

    def make_files(self, job: Job) -> None:
        from onnxruntime.transformers.optimizer import optimize_model

        for graph in ("encoder.onnx", "decoder.onnx"):
            optimized = optimize_model(f"{job.source}/{graph}", model_type="sam2", opt_level=1)
            optimized.save_model_to_file(f"{job.folder}/{graph}")


def _find_modules() -> None:
    """Let its modules be imported: they import each other by bare names."""
    import onnxruntime

    sys.path.insert(0, str(Path(onnxruntime.__file__).parent / "transformers" / "models" / "sam2"))
