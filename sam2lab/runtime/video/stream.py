"""`VideoStream` follows objects through images that come one by one and never end."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sam2lab.runtime import images
from sam2lab.runtime.engines.protocol import Engine, Features
from sam2lab.runtime.images import ImageLike
from sam2lab.runtime.lru import BoundedMap
from sam2lab.runtime.masks import Masks
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.runtime.video.kept_frames import Frame, FrameError
from sam2lab.runtime.video.predictor import VideoPredictor
from sam2lab.runtime.video.state import VideoState


class LatestFrame:
    """The frames of a stream, of which only the latest is there."""

    name, fps = "stream", None

    def __init__(self, number: int, frame: Frame) -> None:
        self.number, self.frame = number, frame
        self.size: tuple[int, int] = frame.shape[:2]

    def __len__(self) -> int:
        return self.number + 1

    def __getitem__(self, index: int) -> Frame:
        if index != self.number:
            raise IndexError(f"frame {index} of the stream is gone; {self.number} is the latest")
        return self.frame


@dataclass(frozen=True, eq=False)
class StreamState:
    """What is known of a stream after one of its images; no call changes it.

    `video` has the objects, with their answers on the latest frames: see `VideoState.result`.
    """

    video: VideoState
    latest: LatestFrame
    # The number of the next object that gets no name; those of removed objects are not used again.
    next_id: int = 0

    @property
    def frame_idx(self) -> int:
        """The number of the latest frame, from 0."""
        return self.latest.number


# Masks (N, H, W), the ids of their objects (N,), and the state to hand to the next call.
StreamMasks = tuple[Masks, npt.NDArray[Any], StreamState]


class VideoStream:
    """Follow objects through a camera's images, as Roboflow's SAM 2 stream does.

    `model` and `options` are those of `VideoPredictor`. Masks are the same, bit for bit, as those
    of a `VideoPredictor` that propagates through the same frames, if these are 16 or more: of a
    stream nobody knows the length, on which the age of what is remembered depends in shorter
    videos. Memory stays flat over any number of frames; each prompt adds to what is remembered.

    One VideoStream may serve many streams, each with a state of its own.

    ```python
    stream = VideoStream(sam2lab.open_segmenter("tiny"))
    camera = live_frames("/dev/video0")
    masks, object_ids, state = stream.prompt(next(camera), bboxes=[(120, 80, 300, 260)])
    for image in camera:
        masks, object_ids, state = stream.track(image, state)
    ```
    """

    def __init__(self, model: Segmenter | Engine, **options: Any) -> None:
        self.predictor = VideoPredictor(model, **options)
        self._state: StreamState | None = None

    def prompt(
        self,
        image: ImageLike,
        bboxes: npt.ArrayLike | Sequence[npt.ArrayLike] | None = None,
        state_dict: StreamState | None = None,
        clear_old_points: bool = True,
        normalize_coords: bool = True,
        frame_idx: int = 0,
        *,
        points: npt.ArrayLike | None = None,
        labels: npt.ArrayLike | None = None,
        mask: npt.ArrayLike | None = None,
        object_ids: Hashable | Sequence[Hashable] = None,
    ) -> StreamMasks:
        """Say where objects are on an image; answer with the masks of all objects.

        Each of `bboxes`, as x0, y0, x1, y1, is an object; `points` (P, 2) with `labels` (P,),
        perhaps with one box, are one, and so is a `mask` (H, W). New objects are numbered on from
        0, unless `object_ids` says how they are called; the id of a known object corrects it.

        An image equal to the latest one is the same frame, so that it can be prompted several
        times. Another one is the next frame, to which known objects are followed first. Without
        `state_dict` the stream begins anew; with `clear_old_points=False` it goes on from the last
        call, and points add to those that their object has on this frame. `frame_idx` is Roboflow's
        and changes nothing: a stream counts its images itself.
        """
        before = self._state if state_dict is None and not clear_old_points else state_dict
        frame = self._read(image, before)
        if before is None:
            after = self._begun(frame)
        elif np.array_equal(frame, before.latest.frame):
            after = replace(before, video=before.video.copy())
        else:
            after = self._followed(before, frame)
        boxes: list[Any] = [None] if bboxes is None else _rows(bboxes)
        ids = _ids(object_ids, len(boxes), after)
        if len(boxes) > 1 and points is not None:
            raise ValueError(
                f"points are given with {len(boxes)} bboxes; wanted the points of one object: call "
                "prompt for each object, with the same image and clear_old_points=False"
            )
        if mask is not None:
            if bboxes is not None or points is not None:
                raise ValueError("mask is given with bboxes or points; wanted one of them")
            self.predictor.add_new_mask(after.video, after.frame_idx, ids[0], mask)
            return self._answer(after)
        for object_id, box in zip(ids, boxes, strict=True):
            self.predictor.add_new_points_or_box(
                after.video,
                after.frame_idx,
                object_id,
                points=points,
                labels=labels,
                clear_old_points=clear_old_points or box is not None,
                normalize_coords=normalize_coords,
                box=box,
            )
        return self._answer(after)

    def track(self, image: ImageLike, state_dict: StreamState | None = None) -> StreamMasks:
        """Follow all objects to the next image; without `state_dict`, from the last call on."""
        before = self._last(state_dict)
        return self._answer(self._followed(before, self._read(image, before)))

    def remove_object(
        self, object_id: Hashable, state_dict: StreamState | None = None, strict: bool = False
    ) -> StreamMasks:
        """Remove an object and what is remembered of it; answer with the masks of the others.

        These stay as they are, and are followed on as if the object had not been there. Its number
        is not given to another one. With `strict` an unknown object raises a `ValueError`. When
        all are removed, `track` finds nothing, and `prompt(image, ..., state_dict)` goes on.
        """
        before = self._last(state_dict)
        video = before.video.copy()
        self.predictor.remove_object(video, object_id, strict, need_output=False)
        return self._answer(replace(before, video=video, next_id=_next_id(before)))

    def _last(self, state_dict: StreamState | None) -> StreamState:
        last = self._state if state_dict is None else state_dict
        if last is None:
            raise RuntimeError("no object has been prompted yet; call prompt(image, ...) first")
        return _checked(last)

    def _answer(self, after: StreamState) -> StreamMasks:
        self._state = after
        logits = self.predictor.frame_masks(after.video, after.frame_idx)
        return logits[:, 0] > 0, np.array(after.video.obj_ids), after

    def _read(self, image: ImageLike, before: StreamState | None) -> Frame:
        frame = images.eight_bit(images.read(image))
        if before is not None and frame.shape[:2] != _checked(before).latest.size:
            (height, width), (tall, wide) = frame.shape[:2], before.latest.size
            raise FrameError(
                f"image is {width}x{height} pixels, those before {wide}x{tall}; resize it, or "
                "begin a stream anew with prompt(image, ...)"
            )
        return frame

    def _begun(self, frame: Frame) -> StreamState:
        latest = LatestFrame(0, frame)
        info = self.predictor.engine.info
        video = VideoState(latest, info, num_frames=None, keep="window")
        video.features = _of_one_frame()
        return StreamState(video, latest)

    def _followed(self, before: StreamState, frame: Frame) -> StreamState:
        """The next frame, with all objects followed to it."""
        video = before.video.copy()
        if video.objects:
            # Prompts on the frame before are taken up while its features are still there.
            self.predictor.propagate_in_video_preflight(video)
        latest = LatestFrame(before.frame_idx + 1, frame)
        video.frames, video.features = latest, _of_one_frame()
        self.predictor.track_frame(video, latest.number)
        return replace(before, video=video, latest=latest)


def _checked(state: StreamState) -> StreamState:
    if not isinstance(state, StreamState):
        raise ValueError(
            f"state_dict is {type(state).__name__}; wanted what prompt or track returned"
        )
    return state


def _of_one_frame() -> BoundedMap[tuple[str, int], Features]:
    return BoundedMap(1, sys.maxsize)


def _rows(bboxes: npt.ArrayLike | Sequence[npt.ArrayLike]) -> list[npt.ArrayLike]:
    """One box, or each of several."""
    boxes = np.asarray(bboxes, np.float64)
    if boxes.ndim not in (1, 2) or boxes.shape[-1] != 4:
        raise ValueError(
            f"bboxes has shape {boxes.shape}; wanted (4,) or (L, 4), each x0, y0, x1, y1"
        )
    return list(np.atleast_2d(boxes))


def _next_id(state: StreamState) -> int:
    taken = (each for each in state.video.obj_ids if isinstance(each, int))
    return max([state.next_id, *(number + 1 for number in taken)])


def _ids(given: Any, count: int, state: StreamState) -> list[Hashable]:
    """The ids of `count` objects that are prompted: those given, or the next numbers."""
    if given is None:
        first = _next_id(state)
        return list(range(first, first + count))
    is_one = isinstance(given, str) or not isinstance(given, Sequence | np.ndarray)
    ids = [given] if is_one else list(given)
    ids = [each.item() if isinstance(each, np.generic) else each for each in ids]
    if len(ids) != count or len(set(ids)) < count:
        raise ValueError(f"object_ids is {given!r}; wanted one id for each of {count} objects")
    return ids
