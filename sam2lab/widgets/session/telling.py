"""Tells a predictor which prompts there are now, from what it was told before."""

from __future__ import annotations

from collections.abc import Mapping

from sam2lab.runtime.video.frames import Frames
from sam2lab.runtime.video.predictor import VideoPredictor
from sam2lab.runtime.video.state import FrameResult, VideoState
from sam2lab.widgets.session.followed import Earlier, Followed, Key
from sam2lab.widgets.session.prompts import Box, Point, Prompt

Prompts = Mapping[Key, tuple[Prompt, ...]]


def tell(
    predictor: VideoPredictor, frames: Frames, followed: Followed, wanted: Prompts
) -> Followed:
    """Tell what differs between `followed.told` and `wanted`; `followed` stays as it is.

    As on photos, prompts on one frame are told one after the other, each refining the mask
    before, so that the answer does not depend on undone or removed ones.
    """
    state = predictor.init_state(frames) if followed.state is None else followed.state.copy()
    objects = {object_id for object_id, _ in wanted}
    for gone in set(state.obj_ids) - objects:
        predictor.remove_object(state, gone, need_output=False)
    waited = late(followed)
    told = {
        key: prompts
        for key, prompts in followed.told.items()
        if key[0] in objects and key not in waited
    }
    corrected = {key: each for key, each in followed.corrected.items() if key[0] in objects}
    for key in sorted(told.keys() | wanted.keys()):
        before, after = told.get(key, ()), wanted.get(key, ())
        if before == after:
            continue
        if not before and (found := _found(state, key)):
            corrected[key] = found
        if not before or after[: len(before)] != before:
            _put_back(state, key, corrected.get(key, Earlier()))
            before = ()
        _refine(predictor, state, key, before, after)
        if not after:
            corrected.pop(key, None)
    for object_id in set(state.obj_ids):
        if not any(_is_prompted(state, key) for key in wanted if key[0] == object_id):
            # Negative clicks alone are left, which point nothing out.
            predictor.remove_object(state, object_id, need_output=False)
    return Followed(state, dict(wanted), corrected)


def late(followed: Followed) -> set[Key]:
    """Frames with negative clicks alone, which waited, and which a propagation has passed since."""
    found = {key: result(followed.state, key) for key in followed.told}
    return {key for key, each in found.items() if each is not None and not each.is_prompted}


def result(state: VideoState | None, key: Key) -> FrameResult | None:
    """What a state holds about an object on a frame."""
    return None if state is None else state.result(*key)


def _found(state: VideoState, key: Key) -> Earlier | None:
    """What is on a frame that prompts are about to correct, None where nothing is."""
    found = state.result(*key)
    if found is None:
        return None
    return Earlier(found, state.tracked(key[0]).get(key[1], False))


def _put_back(state: VideoState, key: Key, earlier: Earlier) -> None:
    """Make a frame what it was before its prompts."""
    object_id, frame = key
    if object_id in state.objects:
        state.objects[object_id].put_back(frame, earlier.result, earlier.reverse)


def _refine(
    predictor: VideoPredictor,
    state: VideoState,
    key: Key,
    before: tuple[Prompt, ...],
    after: tuple[Prompt, ...],
) -> None:
    """Tell the prompts of one frame that come after `before`, one after the other."""
    object_id, frame = key
    for count in range(len(before) + 1, len(after) + 1):
        points = [each for each in after[:count] if isinstance(each, Point)]
        boxes = [each for each in after[:count] if isinstance(each, Box)]
        points_out = boxes or any(point.positive for point in points)
        # As on photos, negative clicks alone wait for a positive one; but they correct a mask.
        if not points_out and result(state, key) is None:
            continue
        predictor.add_new_points_or_box(
            state,
            frame,
            object_id,
            points=[(point.x, point.y) for point in points] or None,
            labels=[int(point.positive) for point in points] or None,
            box=(boxes[0].x0, boxes[0].y0, boxes[0].x1, boxes[0].y1) if boxes else None,
        )


def _is_prompted(state: VideoState, key: Key) -> bool:
    found = result(state, key)
    return found is not None and found.is_prompted
