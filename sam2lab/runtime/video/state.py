"""`VideoState` is everything that is known about one video: prompts, answers, and memories."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

from sam2lab.runtime.engines.protocol import Features, Float32, ModelInfo, PromptBatch
from sam2lab.runtime.lru import BoundedMap
from sam2lab.runtime.masks import Mask
from sam2lab.runtime.video.bank import Needed
from sam2lab.runtime.video.frames import Frames
from sam2lab.runtime.video.rounding import BFloat16

# Objects are named by whatever their caller likes, numbers mostly.
ObjectId = Hashable
# Points and a box in pixels of the model's input, or a mask of the size of that input.
Prompt = PromptBatch | Mask

# Features of four frames at 1024x1024, or of 32 of nano's at 512x512: enough for clicks that go
# back and forth between a few frames.
KEPT_FEATURES = 32
FEATURES_BYTES = 64 * 2**20


@dataclass(frozen=True, eq=False)
class FrameResult:
    """One object on one frame.

    `logits` are (1, 1, 4h, 4w), `object_score` is above 0 where the object is there, `iou` is the
    model's own estimate. `is_prompted` is true where the answer was made from a prompt on this
    frame. `pointer` (C,) and `memory` (h*w, D, rounded and packed) are what other frames look at;
    the memory is None until the first propagation after a prompt.
    """

    logits: Float32
    object_score: float
    iou: float
    is_prompted: bool
    pointer: Float32
    memory: BFloat16 | None = None

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays."""
        memory = 0 if self.memory is None else self.memory.nbytes
        return self.logits.nbytes + self.pointer.nbytes + memory


class Pending(NamedTuple):
    """An answer to a prompt that no propagation has taken up yet.

    With `is_conditioning` every frame may look at it, and no propagation replaces it.
    """

    result: FrameResult
    is_conditioning: bool


@dataclass
class ObjectState:
    """One object's prompts and answers, by frame.

    `conditioning` are answers to prompts, in the order in which they were taken up; `followed` are
    all others. A frame is in one of them. `tracked` says of each frame that a propagation has
    passed whether it went in reverse.
    """

    prompts: dict[int, Prompt] = field(default_factory=dict)
    pending: dict[int, Pending] = field(default_factory=dict)
    conditioning: dict[int, FrameResult] = field(default_factory=dict)
    followed: dict[int, FrameResult] = field(default_factory=dict)
    tracked: dict[int, bool] = field(default_factory=dict)

    def copy(self) -> ObjectState:
        """The same prompts and answers in containers of its own."""
        return ObjectState(**{name: dict(frames) for name, frames in vars(self).items()})

    def latest(self, frame_idx: int) -> FrameResult | None:
        """The newest answer on a frame, or None."""
        if frame_idx in self.pending:
            return self.pending[frame_idx].result
        return self.conditioning.get(frame_idx) or self.followed.get(frame_idx)

    def stored(self, frame_idx: int) -> FrameResult:
        """The answer that other frames may look at."""
        found = self.conditioning.get(frame_idx)
        return self.followed[frame_idx] if found is None else found

    def is_initial(self, frame_idx: int) -> bool:
        """Whether a prompt on this frame is answered without looking at any other frame."""
        return frame_idx not in self.tracked or not self.conditioning

    def take_up(self, frame_idx: int, result: FrameResult) -> None:
        """Let other frames look at a pending answer, whose memory has been made."""
        # In this order, so that nothing is lost if an interrupt comes between two steps.
        if self.pending[frame_idx].is_conditioning:
            self.conditioning[frame_idx] = result
            self.followed.pop(frame_idx, None)
        elif frame_idx not in self.conditioning:
            self.followed[frame_idx] = result
        del self.pending[frame_idx]

    def clear(self, frame_idx: int) -> None:
        """Remove the prompt on a frame; its answer stays, as if the frame had been followed."""
        self.prompts.pop(frame_idx, None)
        self.pending.pop(frame_idx, None)
        found = self.conditioning.pop(frame_idx, None)
        if found is not None:
            self.tracked.pop(frame_idx, None)
        else:
            found = self.followed.get(frame_idx)
        if found is not None:
            self.followed[frame_idx] = replace(found, is_prompted=False)

    def put_back(self, frame_idx: int, earlier: FrameResult | None, reverse: bool = False) -> None:
        """Remove the prompt on a frame with its answer, as if there had been none.

        `earlier` was found there before the prompt, by a propagation in that direction.
        """
        self.clear(frame_idx)
        self.followed.pop(frame_idx, None)
        self.tracked.pop(frame_idx, None)
        if earlier is not None:
            self.followed[frame_idx] = earlier
            self.tracked[frame_idx] = reverse

    def forget(self, needed: Callable[[int], Needed]) -> None:
        """Let go of what is not needed of each followed frame; with its pointer all of it goes."""
        for frame_idx, result in list(self.followed.items()):
            memory, pointer = needed(frame_idx)
            if not (memory or pointer):
                del self.followed[frame_idx]
                self.tracked.pop(frame_idx, None)
            elif not memory and result.memory is not None:
                self.followed[frame_idx] = replace(result, memory=None)


class VideoState:
    """A video with its objects; made by `VideoPredictor.init_state`, changed by its verbs.

    `size` is the frames' (height, width), `num_frames` is None for a stream without an end. `info`
    describes the model that the memories belong to.
    """

    def __init__(
        self,
        frames: Frames,
        info: ModelInfo,
        *,
        num_frames: int | None,
        keep: str = "all",
    ) -> None:
        self.frames = frames
        self.info = info
        self.size = frames.size
        self.num_frames = num_frames
        self.keep = keep
        self.objects: dict[ObjectId, ObjectState] = {}
        self.features: BoundedMap[tuple[str, int], Features] = BoundedMap(
            KEPT_FEATURES, FEATURES_BYTES
        )

    @property
    def obj_ids(self) -> list[ObjectId]:
        """The objects, in the order in which they came."""
        return list(self.objects)

    @property
    def nbytes(self) -> int:
        """Bytes of all answers and memories; features of frames are not counted."""
        return sum(
            result.nbytes
            for each in self.objects.values()
            for results in (each.conditioning, each.followed)
            for result in results.values()
        ) + sum(
            pending.result.nbytes
            for each in self.objects.values()
            for pending in each.pending.values()
        )

    def result(self, obj_id: ObjectId, frame_idx: int) -> FrameResult | None:
        """The newest answer for an object on a frame, or None where there is none."""
        each = self.objects.get(obj_id)
        return None if each is None else each.latest(frame_idx)

    def prompts(self, obj_id: ObjectId) -> Mapping[int, Prompt]:
        """An object's prompts by frame."""
        return MappingProxyType(self.object(obj_id).prompts)

    def tracked(self, obj_id: ObjectId) -> Mapping[int, bool]:
        """The frames that a propagation has passed, and whether it went in reverse."""
        return MappingProxyType(self.object(obj_id).tracked)

    def object(self, obj_id: ObjectId) -> ObjectState:
        """The object of this name; a `ValueError` where there is none."""
        if obj_id not in self.objects:
            raise ValueError(f"obj_id is {obj_id!r}; wanted one of the objects, {self.obj_ids}")
        return self.objects[obj_id]

    def copy(self) -> VideoState:
        """The same state, to go back to later; arrays, frames and features are shared."""
        other = VideoState(self.frames, self.info, num_frames=self.num_frames, keep=self.keep)
        other.objects = {obj_id: each.copy() for obj_id, each in self.objects.items()}
        other.features = self.features
        return other
