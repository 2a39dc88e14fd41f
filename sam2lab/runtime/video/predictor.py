"""`VideoPredictor` takes and returns what SAM 2's own `SAM2VideoPredictor` does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from sam2lab.runtime import enlarge
from sam2lab.runtime import prompts as prompting
from sam2lab.runtime.arguments import number, whole
from sam2lab.runtime.engines.protocol import Engine, Float32, PromptBatch
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.runtime.video.checks import check_frame, check_state, fitted_mask, with_memory
from sam2lab.runtime.video.follower import Follower
from sam2lab.runtime.video.frames import VideoLike, open_frames
from sam2lab.runtime.video.read_ahead import read_ahead
from sam2lab.runtime.video.state import ObjectId, VideoState
from sam2lab.runtime.video.tracker import NO_OBJECT

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

    Where upstream (rf-sam-2 1.0.3) goes wrong, this differs:

    - A correction on a frame that was tracked stays, and every frame looks at it. Upstream's next
      propagation replaces it, or loses it if the frame had a prompt before.
      `add_all_frames_to_correct_as_cond=False`, which is upstream's default, does the same here.
    - An object whose prompts were all cleared has no masks until it is prompted again. Upstream
      raises at the next propagation of any object, and at a new prompt on a tracked frame.
    - Frames before all prompts can be tracked first. Upstream raises without autocast.
    - `clear_non_cond_mem_around_input=True` works. Upstream raises an `AttributeError`.
    - `fill_hole_area` needs no compiled extra. Upstream warns and fills nothing without it.
    - A prompt that is refused, or clearing an unknown object, leaves nothing behind. Upstream keeps
      an object without prompts, and raises at the next propagation.
    - Objects may be removed while a propagation goes on. Upstream raises.
    - An answer shows new prompts of other objects on that frame too, whether they correct or begin.
      Upstream shows only those of one kind.
    - A correction in a video of one frame is as good as any other. Upstream divides 0 by 0, and
      takes the object for absent.

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
        self.engine, self.settings = with_memory(model)
        self.fill_hole_area = number("fill_hole_area", fill_hole_area, 0)
        self.non_overlap_masks = non_overlap_masks
        self.add_all_frames_to_correct_as_cond = add_all_frames_to_correct_as_cond
        self._follower = Follower(
            self.engine,
            self.settings,
            fill_hole_area=self.fill_hole_area,
            corrections_hold=add_all_frames_to_correct_as_cond,
            clear_around=clear_non_cond_mem_around_input,
        )

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
        neither the latest nor any later frame in the direction of tracking looks at, so that memory
        stays flat: answers of one pass, and corrections of its latest frame, are the same bit for
        bit, but a correction of an earlier frame, or a pass in the other direction, no longer sees
        all that it would have seen.

        The other three arguments are upstream's; they change nothing, because frames are read when
        they are needed, and everything is in the CPU's memory.
        """
        if keep not in KEEP:
            raise ValueError(f"keep is {keep!r}; wanted one of {', '.join(map(repr, KEEP))}")
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
        frame_idx = self._frame(inference_state, frame_idx)
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
        if not clear_old_points and obj_id in inference_state.objects:
            old = inference_state.prompts(obj_id).get(frame_idx)
            if isinstance(old, PromptBatch):
                prompts = PromptBatch(
                    np.concatenate([old.point_coords, prompts.point_coords], axis=1),
                    np.concatenate([old.point_labels, prompts.point_labels], axis=1),
                )
        self._follower.click(inference_state, frame_idx, obj_id, prompts)
        return self._answer(inference_state, frame_idx)

    def add_new_mask(
        self, inference_state: VideoState, frame_idx: int, obj_id: ObjectId, mask: npt.ArrayLike
    ) -> FrameMasks:
        """Say where an object is on a frame by a mask (H, W), true on the object.

        A mask of another size than the frame's is stretched to it.
        """
        frame_idx = self._frame(inference_state, frame_idx)
        given = fitted_mask(mask, self.engine.info.input_size)
        self._follower.mask(inference_state, frame_idx, obj_id, given)
        return self._answer(inference_state, frame_idx)

    def propagate_in_video_preflight(self, inference_state: VideoState) -> None:
        """Make the memories of new prompts; propagation does this first."""
        check_state(inference_state, self.engine.info)
        self._follower.take_up(inference_state)
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
        check_state(inference_state, self.engine.info)
        num_frames = inference_state.num_frames
        if num_frames is None:
            raise ValueError(
                "inference_state is of a stream without an end, which is tracked frame by frame"
            )
        if start_frame_idx is not None:
            start_frame_idx = check_frame("start_frame_idx", start_frame_idx, inference_state)
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
        """Follow objects, all by default, to one frame; `propagate_in_video` does this for many."""
        frame_idx = self._frame(inference_state, frame_idx)
        asked = inference_state.obj_ids if obj_ids is None else obj_ids
        objects = [inference_state.object(obj_id) for obj_id in asked]
        self._follower.track(inference_state, frame_idx, objects, reverse)

    def frame_masks(
        self,
        inference_state: VideoState,
        frame_idx: int,
        obj_ids: Sequence[ObjectId] | None = None,
    ) -> Float32:
        """The newest masks (N, 1, H, W) on a frame as logits, -1024 where there is no answer."""
        asked = inference_state.obj_ids if obj_ids is None else obj_ids
        results = [inference_state.object(obj_id).latest(frame_idx) for obj_id in asked]
        nothing = np.full((1, 1, *self.engine.info.mask_size), NO_OBJECT, np.float32)
        logits = [nothing if result is None else result.logits for result in results]
        masks = enlarge.restore(np.concatenate([nothing[:0], *logits]), inference_state.size)
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
        frame_idx = self._frame(inference_state, frame_idx)
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
        check_state(inference_state, self.engine.info)
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
        bar = tqdm(total=len(order), desc="propagate in video", disable=not progress)
        with bar, closing(read_ahead(state.frames, order, self._follower.pixels)) as prepared:
            for frame_idx, pixels in prepared:
                followed = [obj_id for obj_id in followed if obj_id in state.objects]
                objects = [state.objects[obj_id] for obj_id in followed]
                self._follower.track(state, frame_idx, objects, reverse, pixels)
                bar.update()
                yield frame_idx, list(followed), self.frame_masks(state, frame_idx, followed)

    def _answer(self, state: VideoState, frame_idx: int) -> FrameMasks:
        return frame_idx, state.obj_ids, self.frame_masks(state, frame_idx)

    def _frame(self, state: VideoState, frame_idx: int) -> int:
        check_state(state, self.engine.info)
        return check_frame("frame_idx", frame_idx, state)


def _apart(masks: Float32) -> Float32:
    """Push all logits (N, 1, H, W) but each pixel's highest to -10 or below."""
    highest = masks.argmax(axis=0, keepdims=True) == np.arange(len(masks))[:, None, None, None]
    return np.where(highest, masks, np.minimum(masks, np.float32(-10)))
