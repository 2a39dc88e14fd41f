"""Our own export: on ONNX Runtime, in 8 bits, on OpenVINO, and on LiteRT."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from sam2lab.peers.job import Job
    from sam2lab.peers.models import Model


class Ours:
    """Our export in float on ONNX Runtime: other times are given as multiples of its times."""

    name = "sam2lab"
    needs: tuple[str, ...] = ("torch", "torchvision", "sam2")
    get = "pip install -e '.[torch]'"
    distributions: tuple[str, ...] = ("onnxruntime", "torch", "onnx", "onnxslim", "rf-sam-2")
    is_exact = True
    can: ClassVar = {
        "one mask instead of three": "yes: multimask_output",
        "other input sizes than 1024 x 1024": "yes: input_size",
        "photos that are not squashed to a square": "yes: input_size=(720, 1280)",
        "an 8-bit export of SAM 2": "yes: precision='w8a8', calibrated",
        "video": "yes: VideoPredictor",
    }
    # Further arguments of `open_segmenter`, beside the folder.
    options: ClassVar[dict[str, Any]] = {}

    def make_files(self, job: Job) -> None:
        from sam2lab.export.onnx import export
        from sam2lab.reference import zoo

        square = (job.side, job.side)
        export(zoo.load(job.size, job.checkpoint, job.version, square), job.folder)

    def open(self, job: Job) -> Model:
        from sam2lab.peers.models import EngineModel
        from sam2lab.runtime.engines.table import open_by_name

        return EngineModel(open_by_name(model=job.folder, threads=job.threads, **self.options))

    def first_mask(self, job: Job) -> Iterator[Any]:
        import sam2lab

        yield
        segmenter = sam2lab.open_segmenter(job.folder, **self.options)
        yield
        for photo in job.photos():
            (embedding,) = segmenter.embed_images(photo, use_embeddings_cache=False)
        yield
        (answer,) = segmenter.segment_images(
            embeddings=embedding, point_coordinates=[job.click], point_labels=[1]
        )
        yield answer.best


class EightBits(Ours):
    """Our export in 8 bits."""

    name = "sam2lab w8a8"
    made_from = "sam2lab"
    is_exact = False

    def make_files(self, job: Job) -> None:
        from sam2lab.quantize.qdq import quantize

        quantize(job.source, job.folder)


class OpenVino(Ours):
    """Our files on OpenVINO, which encodes in bfloat16 where the processor can."""

    name = "OpenVINO bf16"
    files = "sam2lab"
    needs: tuple[str, ...] = (*Ours.needs, "openvino")
    get = "pip install -e '.[openvino]'"
    distributions: tuple[str, ...] = ("openvino", *Ours.distributions)
    is_exact = False
    can: ClassVar = Ours.can | {"an 8-bit export of SAM 2": "no"}
    options: ClassVar = {"engine": "openvino"}


class OpenVinoF32(OpenVino):
    """Our files on OpenVINO, which multiplies in float32."""

    name = "OpenVINO f32"
    is_exact = True
    options: ClassVar = OpenVino.options | {"encoder_precision": "f32"}


class LiteRt(Ours):
    """Our files for phones, on LiteRT."""

    name = "LiteRT"
    needs: tuple[str, ...] = (*Ours.needs, "ai_edge_litert", "ai_edge_quantizer")
    get = "pip install -e '.[torch,litert]'"
    distributions: tuple[str, ...] = ("ai-edge-litert", "ai-edge-quantizer", *Ours.distributions)
    can: ClassVar = Ours.can | {"video": "no"}
    options: ClassVar[dict[str, Any]] = {"engine": "litert"}
    precision = "float"

    def make_files(self, job: Job) -> None:
        from sam2lab.export import export
        from sam2lab.reference import zoo

        model = zoo.load(job.size, job.checkpoint, job.version, (job.side, job.side))
        export(model, job.folder, precision=self.precision, target="litert")


class LiteRtEightBits(LiteRt):
    """Our files for phones in 8 bits, on LiteRT."""

    name = "LiteRT w8a8"
    is_exact = False
    precision = "w8a8"
