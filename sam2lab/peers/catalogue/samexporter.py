"""samexporter: two ONNX graphs; other tools follow their names of inputs and outputs."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from sam2lab.peers.job import Job
    from sam2lab.peers.models import Model


class Samexporter:
    """Its script as it stands, and its class `SegmentAnything2ONNX`."""

    name = "samexporter"
    needs = ("torch", "torchvision", "sam2", "samexporter", "cv2")
    get = (
        "pip install -e '.[torch,peers]', then pip install --no-deps samexporter (which pins an "
        "old torch that it can do without)"
    )
    distributions = ("samexporter", "onnxruntime", "torch", "onnx", "rf-sam-2")
    can: ClassVar = {
        "one mask instead of three": "no: fixed in its export_sam2.py",
        "other input sizes than 1024 x 1024": "no: fixed in its sources",
    }

    def make_files(self, job: Job) -> None:
        """Run its script down to its default opset, but give it a model that is built."""
        model = job.build_sam2()
        import sam2.build_sam

        sam2.build_sam.build_sam2 = lambda *_, **__: model
        sys.argv = [
            "export_sam2",
            *("--checkpoint", job.checkpoint),
            *("--output_encoder", f"{job.folder}/encoder.onnx"),
            *("--output_decoder", f"{job.folder}/decoder.onnx"),
            # One that it knows; the model was built above.
            *("--model_type", "sam2.1_hiera_tiny"),
        ]
        runpy.run_module("samexporter.export_sam2", run_name="__main__")

    def open(self, job: Job) -> Model:
        from sam2lab.peers.models import TwoGraphs

        def inputs(points: Any, labels: Any, mask: Any, has_mask: Any) -> dict[str, Any]:
            return {
                "point_coords": points,
                "point_labels": labels,
                "mask_input": mask,
                "has_mask_input": has_mask,
            }

        names = ("image_embed", "high_res_feats_0", "high_res_feats_1")
        return TwoGraphs(job, names, inputs, ("masks", "iou_predictions"))

    def first_mask(self, job: Job) -> Iterator[Any]:
        import numpy  # noqa: F401
        from samexporter.sam2_onnx import SegmentAnything2ONNX

        yield
        model = SegmentAnything2ONNX(f"{job.folder}/encoder.onnx", f"{job.folder}/decoder.onnx")
        yield
        for photo in job.photos():
            # OpenCV's order of colours.
            embedding = model.encode(photo[..., ::-1].copy())
        yield
        mark = {"type": "point", "data": job.click, "label": 1}
        yield model.predict_masks(embedding, [mark])[0, 0] > 0
