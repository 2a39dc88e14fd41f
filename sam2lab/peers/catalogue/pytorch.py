"""Meta's own PyTorch code, eager and compiled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from sam2lab.peers.job import Job
    from sam2lab.peers.models import Model


class PyTorch:
    """The original, by its `SAM2ImagePredictor`."""

    name = "PyTorch"
    needs = ("torch", "torchvision", "sam2")
    get = "pip install -e '.[torch]'"
    distributions = ("torch", "rf-sam-2")
    files = "checkpoint"
    can: ClassVar = {
        "one mask instead of three": "yes: multimask_output",
        "other input sizes than 1024 x 1024": "yes: image_size in sam2's configs",
        "video": "yes",
    }

    def make_files(self, job: Job) -> None:
        """Make nothing: it runs the checkpoint."""

    def build(self, job: Job) -> Any:
        return job.build_sam2()

    def open(self, job: Job) -> Model:
        job.prepare_sam2()
        import torch

        from sam2lab.peers.models import EngineModel
        from sam2lab.reference.engine import TorchEngine

        torch.set_num_threads(job.threads)
        return EngineModel(TorchEngine(self.build(job)))

    def first_mask(self, job: Job) -> Iterator[Any]:
        job.prepare_sam2()
        import numpy  # noqa: F401
        import torch  # noqa: F401
        from sam2.sam2_image_predictor import SAM2ImagePredictor

        yield
        predictor = SAM2ImagePredictor(self.build(job))
        yield
        yield from job.predict(predictor)


class Compiled(PyTorch):
    """The original after torch.compile."""

    name = "torch.compile"

    def build(self, job: Job) -> Any:
        """Compile the part that sam2's own `compile_image_encoder` compiles."""
        module = super().build(job)
        import torch

        forward = module.image_encoder.forward
        module.image_encoder.forward = torch.compile(forward, fullgraph=True, dynamic=False)
        return module
