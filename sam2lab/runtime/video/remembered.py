"""Shows what is remembered of an object, and what looking at it does to a frame.

Following does not need this: it is for people who want to see why a model answers as it does.
"""

from __future__ import annotations

import numpy as np

from sam2lab.runtime.engines.protocol import Float32
from sam2lab.runtime.video import bank
from sam2lab.runtime.video.memories import gather
from sam2lab.runtime.video.predictor import VideoPredictor
from sam2lab.runtime.video.read_ahead import frame_pixels
from sam2lab.runtime.video.rounding import unpack
from sam2lab.runtime.video.state import ObjectId, VideoState


def looks_at(
    predictor: VideoPredictor,
    state: VideoState,
    obj_id: ObjectId,
    frame_idx: int,
    reverse: bool = False,
) -> bank.Chosen:
    """The memories and pointers that a frame looks at if the object is followed to it now."""
    each = state.object(obj_id)
    return bank.choose(
        frame_idx,
        each.conditioning,
        each.followed,
        predictor.settings,
        state.num_frames,
        reverse,
    )


def memory_map(state: VideoState, obj_id: ObjectId, frame_idx: int) -> Float32:
    """What is remembered of an object on a frame, (h, w, D): D numbers for each cell of the frame.

    A `ValueError` where nothing is: the frame was not tracked, or a window has forgotten it.
    """
    state.object(obj_id)
    result = state.result(obj_id, frame_idx)
    if result is None or result.memory is None:
        raise ValueError(
            f"frame_idx is {frame_idx}, of which object {obj_id!r} has no memory; propagate "
            "through that frame first, in a state with keep='all'"
        )
    return unpack(result.memory).reshape(*state.info.embed_size, -1)


def changed_by_memory(
    predictor: VideoPredictor, state: VideoState, obj_id: ObjectId, frame_idx: int
) -> Float32:
    """How far looking at the memories moves the features of each cell (h, w) of a frame.

    The features are those that the decoder gets, with the memories and without any; the distance
    is Euclidean, over all channels.
    """
    engine, info = predictor.engine, predictor.engine.info
    chosen = looks_at(predictor, state, obj_id, frame_idx)
    longest = bank.longest_distance(predictor.settings, state.num_frames)
    memories = gather([(state.object(obj_id), chosen)], longest)
    pixels = frame_pixels(state.frames[frame_idx], info.input_size, info.mean, info.std)
    features = engine.encode(pixels[None])
    conditioned = engine.condition(features, memories)
    moved: Float32 = np.linalg.norm(conditioned.image_embed - features.image_embed, axis=1)[0]
    return moved
