"""Checks what is passed to a `VideoPredictor`, and words the refusals."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt

from sam2lab.runtime import prompts as prompting
from sam2lab.runtime.arguments import whole
from sam2lab.runtime.engines.protocol import Engine, ModelInfo, PromptBatch
from sam2lab.runtime.masks import Mask
from sam2lab.runtime.resample import shrink
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.runtime.video.protocol import VideoEngine, VideoSettings
from sam2lab.runtime.video.state import Prompt, VideoState


def with_memory(model: Segmenter | Engine) -> tuple[VideoEngine, VideoSettings]:
    """The engine and its settings; a `ValueError` where it has no memory."""
    engine = model.engine if isinstance(model, Segmenter) else model
    if not isinstance(engine, Engine):
        raise ValueError(
            f"model is {type(model).__name__}; wanted a Segmenter or an engine: see "
            "sam2lab.open_segmenter"
        )
    if not isinstance(engine, VideoEngine):
        raise ValueError(
            f"model runs on {type(engine).__name__}, which cannot follow objects; open it with "
            'another engine, as in open_segmenter("tiny", engine="onnx")'
        )
    settings = engine.video
    if settings is None:
        raise ValueError(
            f"model: the files of {engine.info.name} lack the memory that follows objects; export "
            "them anew"
        )
    return engine, settings


def identity(info: ModelInfo) -> tuple[str, tuple[int, int], str]:
    """What engines must share to look at each other's memories; their precision may differ."""
    return info.size, info.input_size, info.weights


def points_of_one(size_hw: tuple[int, int], info: ModelInfo, **given: Any) -> PromptBatch:
    """Encode the points and the box of one object, which go by upstream's names in errors."""
    spelling = prompting.Spelling("points", "labels", "box")
    prompts = prompting.encode(size_hw, info, spelling=spelling, **given)
    if prompts.objects != 1:
        raise ValueError(
            f"points, labels and box are for {prompts.objects} objects; wanted those of one, "
            "and a call for each object"
        )
    return prompts


def joined(old: Prompt | None, new: PromptBatch) -> PromptBatch:
    """The points of both, the older first; a mask has none."""
    if not isinstance(old, PromptBatch):
        return new
    return PromptBatch(
        np.concatenate([old.point_coords, new.point_coords], axis=1),
        np.concatenate([old.point_labels, new.point_labels], axis=1),
    )


def fitted_mask(mask: npt.ArrayLike, size_hw: tuple[int, int]) -> Mask:
    """A mask of the size of the model's input, in upstream's arithmetic."""
    given = prompting.as_array("mask", mask)
    if given.ndim != 2 or 0 in given.shape or given.dtype.kind not in "biuf":
        raise ValueError(
            f"mask is an array of shape {given.shape} and dtype {given.dtype}; wanted a mask "
            "(H, W) of one object, true or 1 on it"
        )
    is_on: Mask = given.astype(bool)
    if is_on.shape == size_hw:
        return is_on
    return shrink(is_on.astype(np.float32), size_hw) >= np.float32(0.5)


def check_state(state: VideoState, info: ModelInfo) -> None:
    """Refuse a state that a model cannot go on from."""
    if not isinstance(state, VideoState):
        raise ValueError(
            f"inference_state is {type(state).__name__}; wanted what init_state(video) returns"
        )
    if identity(state.info) != identity(info):
        raise ValueError(
            f"inference_state belongs to {', '.join(map(str, identity(state.info)))}; this "
            f"predictor runs {', '.join(map(str, identity(info)))}: call init_state anew"
        )


def check_frame(frame_idx: int, state: VideoState, info: ModelInfo) -> int:
    """The number of a frame of the video, in a state that the model can go on from."""
    check_state(state, info)
    last = inf if state.num_frames is None else state.num_frames - 1
    return whole("frame_idx", frame_idx, 0, last)
