"""Builds upstream's `SAM2VideoPredictor` with the weights of a zoo model."""

from __future__ import annotations

import difflib
import inspect
from typing import Any

from sam2.modeling.sam2_base import SAM2Base
from sam2.sam2_video_predictor import SAM2VideoPredictor

from sam2lab.reference import zoo
from sam2lab.reference.zoo import ZooModel


def upstream_video_predictor(model: ZooModel, **settings: Any) -> SAM2VideoPredictor:
    """Upstream's own predictor for videos, to compare with: it shares the weights of `model`.

    It is built as `build_sam2_video_predictor` does, for the input size of `model`, which must be
    square. `settings` are those of its constructor. `fill_hole_area` is 0 unless it is given,
    because filling holes needs sam2's compiled extra.

    >>> model = zoo.load("nano", weights="random", input_size=(128, 128))
    >>> predictor = upstream_video_predictor(model, max_cond_frames_in_attn=4)
    >>> predictor.image_size, predictor.max_cond_frames_in_attn
    (128, 4)
    """
    height, width = model.info.input_size
    if height != width:
        raise ValueError(
            f"model has input_size {(height, width)}, but SAM2VideoPredictor takes only squares; "
            f"pass zoo.resize(model, {(height, height)})"
        )
    known = {
        name
        for kind in (SAM2Base, SAM2VideoPredictor)
        for name in inspect.signature(kind).parameters
    } - {"kwargs"}
    for name in settings.keys() - known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ValueError(f"{name} is no setting of SAM2VideoPredictor{hint}")

    config = zoo.config(model.info.size, model.info.version)
    config._target_ = "sam2.sam2_video_predictor.SAM2VideoPredictor"
    config.image_size = height
    config.binarize_mask_from_pts_for_mem_enc = True
    config.update(settings)
    predictor: SAM2VideoPredictor = zoo.build_from(config)
    predictor.load_state_dict(model.module.state_dict(), assign=True)
    return predictor
