"""`VideoPredictor` takes and returns what SAM 2's own `SAM2VideoPredictor` does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from sam2lab.runtime import enlarge, postprocess
from sam2lab.runtime.arguments import number, whole
from sam2lab.runtime.engines.protocol import Engine, Float32
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.runtime.video import checks
from sam2lab.runtime.video.follower import Follower
from sam2lab.runtime.video.frames import VideoLike, open_frames
from sam2lab.runtime.video.read_ahead import read_ahead
from sam2lab.runtime.video.state import ObjectId, VideoState
from sam2lab.runtime.video.tracker import NO_OBJECT

# The number of the frame, the objects, and their masks (N, 1, H, W) as logits.
FrameMasks = tuple[int, list[ObjectId], Float32]


class VideoPredictor:
    """Prompt objects on any frame, then follow them through the video.

    `model` is a Segmenter or an engine with a memory. Verbs, arguments and results are those of
    `SAM2VideoPredictor`, with float32 arrays for tensors, so code for it runs on any engine.

    `fill_hole_area` fills holes of at most so many low-resolution pixels; `non_overlap_masks`
    gives each pixel of an answer to one object at most; `clear_non_cond_mem_around_input` forgets
    what was remembered near a correction. These are upstream's, and so are their defaults.

    Where upstream goes wrong, this differs: a correction on a tracked frame stays, for one, unless
    `add_all_frames_to_correct_as_cond=False`, upstream's default. `docs/video.md` lists them all.

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
        self.engine, self.settings = checks.with_memory(model)
        self.non_overlap_masks = non_overlap_masks
        self._follower = Follower(
            self.engine,
            self.settings,
            fill_hole_area=number("fill_hole_area", fill_hole_area, 0),
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

        `keep="all"` keeps every answer and memory, as upstream does. `keep="window"` keeps what the
        latest frame and those after it look at, so that memory stays flat: one pass, and
        corrections of its latest frame, give the same answers bit for bit; a correction of an
        earlier frame, or a pass in the other direction, looks at less than it would have.

        The other three arguments are upstream's; they change nothing, because frames are read when
        they are needed, and everything is in the CPU's memory.
        """
        if keep not in ("all", "window"):
            raise ValueError(f"keep is {keep!r}; wanted one of 'all', 'window'")
        frames = open_frames(video_path)
        return VideoState(frames, self.engine.info, num_frames=len(frames), keep=keep)

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
        frame_idx = checks.check_frame(frame_idx, inference_state, self.engine.info)
        if box is not None and not clear_old_points:
            raise ValueError(
                "clear_old_points is False; a box comes before any points, so it replaces what was "
                "there: pass clear_old_points=True, and all points with the box"
            )
        prompts = checks.points_of_one(
            inference_state.size,
            self.engine.info,
            point_coordinates=points,
            point_labels=labels,
            boxes=box,
            normalize_coords=normalize_coords,
        )
        if not clear_old_points and obj_id in inference_state.objects:
            prompts = checks.joined(inference_state.prompts(obj_id).get(frame_idx), prompts)
        self._follower.click(inference_state, frame_idx, obj_id, prompts)
        return self._answer(inference_state, frame_idx)

    def add_new_mask(
        self, inference_state: VideoState, frame_idx: int, obj_id: ObjectId, mask: npt.ArrayLike
    ) -> FrameMasks:
        """Say where an object is on a frame by a mask (H, W), true on the object.

        A mask of another size than the frame's is stretched to it.
        """
        frame_idx = checks.check_frame(frame_idx, inference_state, self.engine.info)
        given = checks.fitted_mask(mask, self.engine.info.input_size)
        self._follower.mask(inference_state, frame_idx, obj_id, given)
        return self._answer(inference_state, frame_idx)

    def propagate_in_video_preflight(self, inference_state: VideoState) -> None:
        """Make the memories of new prompts; propagation does this first."""
        checks.check_state(inference_state, self.engine.info)
        self._follower.take_up(inference_state)
        if not any(each.conditioning for each in inference_state.objects.values()):
            raise RuntimeError(
                "No object has a prompt; call add_new_points_or_box(...) or add_new_mask(...) first"
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
        checks.check_state(inference_state, self.engine.info)
        num_frames = inference_state.num_frames
        if num_frames is None:
            raise ValueError(
                "inference_state is of a stream without an end, which is tracked frame by frame"
            )
        if start_frame_idx is not None:
            start_frame_idx = whole("start_frame_idx", start_frame_idx, 0, num_frames - 1)
        most = num_frames if max_frame_num_to_track is None else max_frame_num_to_track
        steps = whole("max_frame_num_to_track", most, 0)
        return self._propagate(inference_state, start_frame_idx, steps, reverse, progress)

    def track_frame(self, inference_state: VideoState, frame_idx: int) -> None:
        """Follow all objects on to one frame; `propagate_in_video` does this for many."""
        frame_idx = checks.check_frame(frame_idx, inference_state, self.engine.info)
        objects = inference_state.objects.values()
        self._follower.track(inference_state, frame_idx, objects, reverse=False)

    def frame_masks(
        self, inference_state: VideoState, frame_idx: int, obj_ids: Sequence[ObjectId] | None = None
    ) -> Float32:
        """The newest masks (N, 1, H, W) on a frame as logits, -1024 where there is no answer."""
        asked = inference_state.obj_ids if obj_ids is None else obj_ids
        results = [inference_state.object(obj_id).latest(frame_idx) for obj_id in asked]
        nothing = np.full((1, 1, *self.engine.info.mask_size), NO_OBJECT, np.float32)
        logits = [nothing if result is None else result.logits for result in results]
        masks = enlarge.restore(np.concatenate([nothing[:0], *logits]), inference_state.size)
        return postprocess.apart(masks) if self.non_overlap_masks else masks

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
        frame_idx = checks.check_frame(frame_idx, inference_state, self.engine.info)
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
        frames = sorted(inference_state.object(obj_id).prompts)
        del inference_state.objects[obj_id]
        shown = frames if need_output and inference_state.objects else []
        return inference_state.obj_ids, [(f, self.frame_masks(inference_state, f)) for f in shown]

    def reset_state(self, inference_state: VideoState) -> None:
        """Remove all objects, with their prompts and masks."""
        checks.check_state(inference_state, self.engine.info)
        inference_state.objects.clear()

    def _propagate(
        self, state: VideoState, start: int | None, steps: int, reverse: bool, progress: bool
    ) -> Iterator[FrameMasks]:
        self.propagate_in_video_preflight(state)
        if start is None:
            start = min(frame for each in state.objects.values() for frame in each.conditioning)
        if reverse:
            # As upstream: frame 0 has nothing before it, so it is not even yielded.
            order = range(start, max(start - steps, 0) - 1, -1) if start > 0 else range(0)
        else:
            order = range(start, min(start + steps, len(state.frames) - 1) + 1)
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
