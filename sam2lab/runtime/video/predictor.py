"""`VideoPredictor` takes and returns what SAM 2's own `SAM2VideoPredictor` does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from sam2lab.runtime import enlarge
from sam2lab.runtime import prompts as prompting
from sam2lab.runtime.arguments import number, whole
from sam2lab.runtime.engines.protocol import Engine, Features, Float32, PromptBatch
from sam2lab.runtime.masks import Mask
from sam2lab.runtime.resample import shrink
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.runtime.video import bank
from sam2lab.runtime.video.memories import gather
from sam2lab.runtime.video.protocol import Memories, VideoEngine, VideoSettings
from sam2lab.runtime.video.state import (
    FrameResult,
    ObjectId,
    ObjectState,
    Pending,
    Prompt,
    VideoState,
)
from sam2lab.runtime.video.tracker import NO_OBJECT, Tracker

if TYPE_CHECKING:
    from sam2lab.runtime.video.frames import VideoLike

# The number of the frame, the objects, and their masks (N, 1, H, W) as logits.
FrameMasks = tuple[int, list[ObjectId], Float32]

KEEP = ("all", "window")

UPSTREAM = prompting.Spelling("points", "labels", "box")


class VideoPredictor:
    """Prompt objects on any frame, then follow them through the video.

    `model` is a Segmenter or an engine that has a memory. Verbs, arguments and results are those of
    `SAM2VideoPredictor`, with float32 arrays instead of tensors, so code written for it runs on any
    engine.

    `fill_hole_area` fills holes of at most so many low-resolution pixels; `non_overlap_masks`
    gives each pixel to one object at most; `clear_non_cond_mem_around_input` forgets what was
    remembered near a correction. These are upstream's, and so are their defaults.

    What differs, because upstream is wrong there:

    | | upstream | here |
    |---|---|---|
    | a correction on a frame that was tracked | the next propagation replaces it; on a frame that \
had a prompt it is lost | it stays, and every frame looks at it. \
`add_all_frames_to_correct_as_cond=False` does as upstream does by default |
    | `clear_non_cond_mem_around_input=True` | raises an `AttributeError` | works |
    | an object whose prompts were all cleared | propagation raises for all objects, and so does a \
new prompt on a tracked frame | it has no masks until it is prompted again |
    | prompts only on later frames | propagation raises without autocast | works |
    | `fill_hole_area` without compiled extras | warns and fills nothing | fills |
    | a prompt that is refused | may leave an object that blocks every propagation | changes \
nothing |
    | objects that are removed while a propagation goes on | raises | it goes on without them |
    | two objects prompted on one frame, one for the first time and one as a correction | the \
answer for one shows the other as absent | both are shown |
    | a correction in a video of one frame | NaN | works |

    ```python
    predictor = VideoPredictor(sam2lab.open_segmenter("tiny"))
    state = predictor.init_state("frames/")
    predictor.add_new_points_or_box(state, 0, obj_id=1, points=[[210, 350]], labels=[1])
    for frame_idx, obj_ids, masks in predictor.propagate_in_video(state):
        found = masks[:, 0] > 0
    ```
    """

    def __init__(
        self,
        model: Segmenter | Engine,
        *,
        fill_hole_area: float = 0,
        non_overlap_masks: bool = False,
        clear_non_cond_mem_around_input: bool = False,
        add_all_frames_to_correct_as_cond: bool = True,
    ) -> None:
        self.engine, self.settings = _with_memory(model)
        self.fill_hole_area = number("fill_hole_area", fill_hole_area, 0)
        self.non_overlap_masks = non_overlap_masks
        self.clear_non_cond_mem_around_input = clear_non_cond_mem_around_input
        self.add_all_frames_to_correct_as_cond = add_all_frames_to_correct_as_cond
        self._tracker = Tracker(self.engine, self.settings, self.fill_hole_area)

    def init_state(
        self,
        video_path: VideoLike,
        offload_video_to_cpu: bool = False,
        offload_state_to_cpu: bool = False,
        async_loading_frames: bool = False,
        keep: str = "all",
    ) -> VideoState:
        """Open a video: a folder of pictures, a file, or pictures in a list; see `open_frames`.

        `keep="all"` keeps every answer and memory, as upstream does. `keep="window"` forgets what
        no later frame in the direction of tracking looks at, so that memory stays flat: answers of
        one pass are the same bit for bit, but a correction in the middle, or a pass in the other
        direction, no longer sees all that it would have seen.

        The other three arguments are upstream's; they change nothing, because frames are read when
        they are needed, and everything is in the CPU's memory.
        """
        if keep not in KEEP:
            raise ValueError(f"keep is {keep!r}; wanted one of {', '.join(map(repr, KEEP))}")
        from sam2lab.runtime.video.frames import open_frames

        frames = open_frames(video_path)
        return VideoState(
            frames, self.engine.info, size=frames.size, num_frames=len(frames), keep=keep
        )

    def add_new_points_or_box(
        self,
        inference_state: VideoState,
        frame_idx: int,
        obj_id: ObjectId,
        points: npt.ArrayLike | None = None,
        labels: npt.ArrayLike | None = None,
        clear_old_points: bool = True,
        normalize_coords: bool = True,
        box: npt.ArrayLike | None = None,
    ) -> FrameMasks:
        """Prompt an object, new or known, on a frame, and answer with all objects' masks there.

        Points (P, 2) are (x, y) in pixels of the frame, or shares of it with
        `normalize_coords=False`; labels (P,) are 1 on the object and 0 beside it; box (4,) is
        x0, y0, x1, y1. With `clear_old_points=False` points are added to those that the frame has.
        On a frame that was tracked, the points correct what was found.
        """
        frame_idx = self._check(inference_state, frame_idx)
        if box is not None and not clear_old_points:
            raise ValueError(
                "clear_old_points is False; a box comes before any points, so it replaces what was "
                "there: pass clear_old_points=True, and all points with the box"
            )
        prompts = prompting.encode(
            inference_state.size,
            self.engine.info,
            point_coordinates=points,
            point_labels=labels,
            boxes=box,
            normalize_coords=normalize_coords,
            spelling=UPSTREAM,
        )
        if prompts.objects != 1:
            raise ValueError(
                f"points, labels and box are for {prompts.objects} objects; wanted those of one, "
                "and a call for each object"
            )
        each = inference_state.objects.get(obj_id, ObjectState())
        old = each.prompts.get(frame_idx)
        if not clear_old_points and isinstance(old, PromptBatch):
            prompts = PromptBatch(
                np.concatenate([old.point_coords, prompts.point_coords], axis=1),
                np.concatenate([old.point_labels, prompts.point_labels], axis=1),
            )
        features = self._features(inference_state, frame_idx)
        memories = None
        if not each.is_initial(frame_idx):
            reverse = each.tracked[frame_idx]
            chosen = self._choose(inference_state, each, frame_idx, reverse)
            memories = self._gather(inference_state, [(each, chosen)])
        latest = each.latest(frame_idx)
        previous = None if latest is None else latest.logits
        result = self._tracker.from_points(features, prompts, memories, previous)
        return self._prompted(inference_state, frame_idx, obj_id, prompts, result)

    def add_new_mask(
        self, inference_state: VideoState, frame_idx: int, obj_id: ObjectId, mask: npt.ArrayLike
    ) -> FrameMasks:
        """Say where an object is on a frame by a mask (H, W), true on the object.

        A mask of another size than the frame's is stretched to it.
        """
        frame_idx = self._check(inference_state, frame_idx)
        given = _fitted(mask, self.engine.info.input_size)
        result = self._tracker.from_mask(self._features(inference_state, frame_idx), given)
        return self._prompted(inference_state, frame_idx, obj_id, given, result)

    def propagate_in_video_preflight(self, inference_state: VideoState) -> None:
        """Make the memories of new prompts; propagation does this first."""
        self._check(inference_state, 0)
        for each in inference_state.objects.values():
            for frame_idx, (result, _) in list(each.pending.items()):
                if result.memory is None:
                    features = self._features(inference_state, frame_idx)
                    (result,) = self._tracker.remember(features, [result], binarize=True)
                each.take_up(frame_idx, result)
                self._clear_around(each, frame_idx)
        if not any(each.conditioning for each in inference_state.objects.values()):
            raise RuntimeError(
                "No object has a prompt; call add_new_points_or_box(...) or add_new_mask(...) "
                "first."
            )

    def propagate_in_video(
        self,
        inference_state: VideoState,
        start_frame_idx: int | None = None,
        max_frame_num_to_track: int | None = None,
        reverse: bool = False,
        *,
        progress: bool = True,
    ) -> Iterator[FrameMasks]:
        """Follow all objects, and yield every frame with their masks (N, 1, H, W) as logits.

        From the first prompted frame to the last of the video, or from `start_frame_idx`, over
        `max_frame_num_to_track` frames more, in `reverse` to the first. It may be stopped at any
        time, by leaving the loop or by an interrupt, and goes on from there later: all frames that
        were yielded are kept.
        """
        num_frames = inference_state.num_frames
        if num_frames is None:
            raise ValueError(
                "inference_state is of a stream without an end, which is tracked frame by frame"
            )
        if start_frame_idx is not None:
            start_frame_idx = self._check(inference_state, start_frame_idx, "start_frame_idx")
        steps = num_frames
        if max_frame_num_to_track is not None:
            steps = whole("max_frame_num_to_track", max_frame_num_to_track, 0)
        return self._propagate(inference_state, start_frame_idx, steps, reverse, progress)

    def track_frame(
        self,
        inference_state: VideoState,
        frame_idx: int,
        obj_ids: Sequence[ObjectId] | None = None,
        reverse: bool = False,
    ) -> None:
        """Follow objects, all by default, to one frame; `propagate_in_video` does this for many.

        Objects that look at equally many memories and pointers are answered together.
        """
        asked = inference_state.objects
        if obj_ids is not None:
            asked = {obj_id: inference_state.object(obj_id) for obj_id in obj_ids}
        groups: dict[tuple[int, int], list[tuple[ObjectState, bank.Chosen]]] = defaultdict(list)
        for each in asked.values():
            if each.conditioning and frame_idx not in each.conditioning:
                chosen = self._choose(inference_state, each, frame_idx, reverse)
                groups[len(chosen.memories), len(chosen.pointers)].append((each, chosen))
        for together in groups.values():
            features = self._features(inference_state, frame_idx)
            memories = self._gather(inference_state, together)
            results = self._tracker.follow(features, memories)
            for (each, _), result in zip(together, results, strict=True):
                each.followed[frame_idx] = result
        for each in asked.values():
            if each.conditioning:
                each.tracked[frame_idx] = reverse
            if frame_idx in each.conditioning:
                self._clear_around(each, frame_idx)
            if inference_state.keep == "window":
                each.forget(self._is_needed(inference_state, frame_idx, reverse))

    def frame_masks(
        self,
        inference_state: VideoState,
        frame_idx: int,
        obj_ids: Sequence[ObjectId] | None = None,
    ) -> Float32:
        """The newest masks (N, 1, H, W) on a frame as logits, -1024 where there is no answer."""
        asked = inference_state.obj_ids if obj_ids is None else obj_ids
        masks = np.full((len(asked), 1, *inference_state.size), NO_OBJECT, np.float32)
        for i, obj_id in enumerate(asked):
            result = inference_state.object(obj_id).latest(frame_idx)
            if result is not None:
                masks[i] = enlarge.restore(result.logits[0], inference_state.size)
        return _apart(masks) if self.non_overlap_masks else masks

    def clear_all_prompts_in_frame(
        self,
        inference_state: VideoState,
        frame_idx: int,
        obj_id: ObjectId,
        need_output: bool = True,
    ) -> FrameMasks | None:
        """Remove an object's prompt on a frame, and answer with the masks that remain there.

        What was found there stays until the frame is tracked again.
        """
        frame_idx = self._check(inference_state, frame_idx)
        inference_state.object(obj_id).clear(frame_idx)
        return self._answer(inference_state, frame_idx) if need_output else None

    def remove_object(
        self,
        inference_state: VideoState,
        obj_id: ObjectId,
        strict: bool = False,
        need_output: bool = True,
    ) -> tuple[list[ObjectId], list[tuple[int, Float32]]]:
        """Remove an object; return those that remain, and their masks where it was prompted.

        With `strict` an unknown object raises a `ValueError`.
        """
        if obj_id not in inference_state.objects and not strict:
            return inference_state.obj_ids, []
        frames = inference_state.object(obj_id).prompts
        del inference_state.objects[obj_id]
        updated = []
        if need_output and inference_state.objects:
            updated = [(each, self.frame_masks(inference_state, each)) for each in sorted(frames)]
        return inference_state.obj_ids, updated

    def reset_state(self, inference_state: VideoState) -> None:
        """Remove all objects, with their prompts and masks."""
        self._check(inference_state, 0)
        inference_state.objects.clear()

    def _propagate(
        self,
        state: VideoState,
        start: int | None,
        steps: int,
        reverse: bool,
        progress: bool,
    ) -> Iterator[FrameMasks]:
        self.propagate_in_video_preflight(state)
        if start is None:
            start = min(
                min(each.conditioning) for each in state.objects.values() if each.conditioning
            )
        assert state.num_frames is not None
        if reverse:
            # As upstream: frame 0 has nothing before it, so it is not even yielded.
            order = range(start, max(start - steps, 0) - 1, -1) if start > 0 else range(0)
        else:
            order = range(start, min(start + steps, state.num_frames - 1) + 1)
        followed = state.obj_ids
        for frame_idx in tqdm(order, desc="propagate in video", disable=not progress):
            followed = [obj_id for obj_id in followed if obj_id in state.objects]
            self.track_frame(state, frame_idx, followed, reverse)
            yield frame_idx, list(followed), self.frame_masks(state, frame_idx, followed)

    def _prompted(
        self,
        state: VideoState,
        frame_idx: int,
        obj_id: ObjectId,
        prompt: Prompt,
        result: FrameResult,
    ) -> FrameMasks:
        """Keep an answer to a prompt until a propagation takes it up."""
        each = state.objects.setdefault(obj_id, ObjectState())
        is_conditioning = each.is_initial(frame_idx) or self.add_all_frames_to_correct_as_cond
        each.pending[frame_idx] = Pending(result, is_conditioning)
        each.prompts[frame_idx] = prompt
        return self._answer(state, frame_idx)

    def _answer(self, state: VideoState, frame_idx: int) -> FrameMasks:
        return frame_idx, state.obj_ids, self.frame_masks(state, frame_idx)

    def _features(self, state: VideoState, frame_idx: int) -> Features:
        """A frame's features, encoded once for all that is asked about it."""
        key = self.engine.key, frame_idx
        features = state.features.get(key)
        state.features.count(hits=features is not None, misses=features is None)
        if features is None:
            from sam2lab.runtime.video.read_ahead import frame_pixels

            info = self.engine.info
            look = (info.input_size, info.mean, info.std)
            features = self.engine.encode(frame_pixels(state.frames[frame_idx], *look)[None])
            state.features.put(key, features)
        return features

    def _choose(
        self, state: VideoState, each: ObjectState, frame_idx: int, reverse: bool
    ) -> bank.Chosen:
        chosen = bank.choose(
            frame_idx, each.conditioning, each.followed, self.settings, state.num_frames, reverse
        )
        # A window may have forgotten a memory whose pointer it still has.
        there = [one for one in chosen.memories if each.stored(one[0]).memory is not None]
        return chosen._replace(memories=there)

    def _gather(
        self, state: VideoState, together: list[tuple[ObjectState, bank.Chosen]]
    ) -> Memories:
        return gather(together, bank.longest_distance(self.settings, state.num_frames))

    def _is_needed(
        self, state: VideoState, done: int, reverse: bool
    ) -> Callable[[int], bank.Needed]:
        return lambda frame: bank.needed(frame, done, self.settings, state.num_frames, reverse)

    def _clear_around(self, each: ObjectState, frame_idx: int) -> None:
        """What upstream means to do with `clear_non_cond_mem_around_input`."""
        if self.clear_non_cond_mem_around_input:
            reach = self.settings.memory_temporal_stride_for_eval * self.settings.num_maskmem
            for near in range(frame_idx - reach, frame_idx + reach + 1):
                each.followed.pop(near, None)

    def _check(self, state: VideoState, frame_idx: int, name: str = "frame_idx") -> int:
        """A frame of a video that this model can follow."""
        if not isinstance(state, VideoState):
            raise ValueError(
                f"inference_state is {type(state).__name__}; wanted what init_state(video) returns"
            )
        info = self.engine.info
        if (state.info.size, state.info.input_size) != (info.size, info.input_size):
            raise ValueError(
                f"inference_state belongs to {state.info.name} with input {state.info.input_size}, "
                f"this predictor runs {info.name} with {info.input_size}; call init_state anew"
            )
        last = np.inf if state.num_frames is None else state.num_frames - 1
        return whole(name, frame_idx, 0, last)


def _with_memory(model: Segmenter | Engine) -> tuple[VideoEngine, VideoSettings]:
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


def _fitted(mask: npt.ArrayLike, size_hw: tuple[int, int]) -> Mask:
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


def _apart(masks: Float32) -> Float32:
    """Push all logits (N, 1, H, W) but each pixel's highest to -10 or below."""
    highest = masks.argmax(axis=0, keepdims=True) == np.arange(len(masks))[:, None, None, None]
    return np.where(highest, masks, np.minimum(masks, np.float32(-10)))
