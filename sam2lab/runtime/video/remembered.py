"""Shows what is remembered of an object, and what looking at it does to a frame.

Following does not need this: it is for people who want to see why a model answers as it does.
"""

from __future__ import annotations

import numpy as np

from sam2lab.runtime.engines.protocol import Features, Float32
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
    predictor: VideoPredictor,
    state: VideoState,
    obj_id: ObjectId,
    frame_idx: int,
    than: ObjectId | None = None,
) -> Float32:
    """How far looking at the memories moves the features of each cell (h, w) of a frame.

    The features are those that the decoder gets, with the memories and without any; the distance
    is Euclidean, over all channels. With another object `than`, the distance is from where its
    memories move them.
    """
    info = predictor.engine.info
    pixels = frame_pixels(state.frames[frame_idx], info.input_size, info.mean, info.std)
    features = predictor.engine.encode(pixels[None])
    ours = _conditioned(predictor, state, obj_id, frame_idx, features)
    theirs = features
    if than is not None:
        theirs = _conditioned(predictor, state, than, frame_idx, features)
    moved: Float32 = np.linalg.norm(ours.image_embed - theirs.image_embed, axis=1)[0]
    return moved


def _conditioned(
    predictor: VideoPredictor,
    state: VideoState,
    obj_id: ObjectId,
    frame_idx: int,
    features: Features,
) -> Features:
    """The features of a frame after looking at one object's memories."""
    chosen = looks_at(predictor, state, obj_id, frame_idx)
    longest = bank.longest_distance(predictor.settings, state.num_frames)
    memories = gather([(state.object(obj_id), chosen)], longest)
    return predictor.engine.condition(features, memories)
