"""`SAM2ImagePredictor` under its own name, so that an existing notebook changes one import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sam2lab.reference.engine import TorchEngine
from sam2lab.runtime.predictor import ImagePredictor

if TYPE_CHECKING:
    import torch
    from sam2.modeling.sam2_base import SAM2Base


class SAM2ImagePredictor(ImagePredictor):
    """A drop-in for `sam2.sam2_image_predictor.SAM2ImagePredictor` that takes sam2's own model.

    Code changes one line, to `from sam2lab.reference.predictor import SAM2ImagePredictor`. To run
    it on exported files, use `sam2lab.ImagePredictor`.
    """

    def __init__(
        self,
        sam_model: SAM2Base,
        mask_threshold: float = 0.0,
        max_hole_area: float = 0.0,
        max_sprinkle_area: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            TorchEngine(sam_model, device=str(sam_model.device)),
            mask_threshold,
            max_hole_area,
            max_sprinkle_area,
        )
        self.model = sam_model

    @property
    def device(self) -> torch.device:
        """Where the model's weights are."""
        return self.model.device
