"""`Follower` answers for the objects of a video's state, frame by frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sam2lab.runtime.engines.protocol import Features, Float32, PromptBatch
from sam2lab.runtime.masks import Mask
from sam2lab.runtime.video import bank
from sam2lab.runtime.video.kept_frames import Frame
from sam2lab.runtime.video.memories import gather
from sam2lab.runtime.video.protocol import Memories, VideoEngine, VideoSettings
from sam2lab.runtime.video.read_ahead import frame_pixels
from sam2lab.runtime.video.state import (
    FrameResult,
    ObjectId,
    ObjectState,
    Pending,
    Prompt,
    VideoState,
)
from sam2lab.runtime.video.tracker import Tracker

# An object, and what its frame looks at.
Looking = tuple[ObjectState, bank.Chosen]


class Follower:
    """Chooses what each answer looks at, and keeps it where later frames find it.

    With `corrections_hold` a correction on a tracked frame is one of the frames that every other
    looks at, and no propagation replaces it. With `clear_around` memories near a prompt are
    forgotten. What is passed in has been checked.
    """

    def __init__(
        self,
        engine: VideoEngine,
        settings: VideoSettings,
        *,
        fill_hole_area: float,
        corrections_hold: bool,
        clear_around: bool,
    ) -> None:
        self.engine = engine
        self.settings = settings
        self.corrections_hold = corrections_hold
        self.clear_around = clear_around
        self._tracker = Tracker(engine, settings, fill_hole_area)

    def pixels(self, frame: Frame) -> Float32:
        """Prepare a frame for the encoder."""
        info = self.engine.info
        return frame_pixels(frame, info.input_size, info.mean, info.std)

    def click(
        self, state: VideoState, frame_idx: int, obj_id: ObjectId, prompts: PromptBatch
    ) -> None:
        """Answer points and a box; on a tracked frame they correct what was found there."""
        each = state.objects.get(obj_id, ObjectState())
        features = self._features(state, frame_idx)
        memories = None
        if not each.is_initial(frame_idx):
            chosen = self._choose(state, each, frame_idx, each.tracked[frame_idx])
            memories = self._gather(state, [(each, chosen)])
        latest = each.latest(frame_idx)
        previous = None if latest is None else latest.logits
        result = self._tracker.from_points(features, prompts, memories, previous)
        self._keep(state, frame_idx, obj_id, prompts, result)

    def mask(self, state: VideoState, frame_idx: int, obj_id: ObjectId, mask: Mask) -> None:
        """Take a mask of the size of the model's input as the answer."""
        result = self._tracker.from_mask(self._features(state, frame_idx), mask)
        self._keep(state, frame_idx, obj_id, mask, result)

    def take_up(self, state: VideoState) -> None:
        """Make the memories of new prompts, so that other frames may look at them."""
        for each in state.objects.values():
            for frame_idx, (result, _) in list(each.pending.items()):
                features = self._features(state, frame_idx)
                (remembered,) = self._tracker.remember(features, [result], binarize=True)
                each.take_up(frame_idx, remembered)
                self._clear_around(each, frame_idx)

    def track(
        self,
        state: VideoState,
        frame_idx: int,
        objects: Iterable[ObjectState],
        reverse: bool,
        pixels: Float32 | None = None,
    ) -> None:
        """Follow objects to a frame; those without any prompt that can be looked at stay behind.

        Objects that look at equally many memories and pointers are answered together. `pixels`
        are those of the frame, if they were prepared before.
        """
        followed = [each for each in objects if each.conditioning]
        groups: dict[tuple[int, int], list[Looking]] = defaultdict(list)
        for each in followed:
            if frame_idx not in each.conditioning:
                chosen = self._choose(state, each, frame_idx, reverse)
                groups[len(chosen.memories), len(chosen.pointers)].append((each, chosen))
        for together in groups.values():
            features = self._features(state, frame_idx, pixels)
            results = self._tracker.follow(features, self._gather(state, together))
            for (each, _), result in zip(together, results, strict=True):
                each.followed[frame_idx] = result
        # What this frame looked at stays, because it may be corrected next.
        before = frame_idx + 1 if reverse else frame_idx - 1
        for each in followed:
            each.tracked[frame_idx] = reverse
            if frame_idx in each.conditioning:
                self._clear_around(each, frame_idx)
            if state.keep == "window":
                each.forget(
                    lambda frame: bank.needed(
                        frame, before, self.settings, state.num_frames, reverse
                    )
                )

    def _keep(
        self,
        state: VideoState,
        frame_idx: int,
        obj_id: ObjectId,
        prompt: Prompt,
        result: FrameResult,
    ) -> None:
        """Keep an answer to a prompt until a propagation takes it up."""
        each = state.objects.setdefault(obj_id, ObjectState())
        is_conditioning = self.corrections_hold or each.is_initial(frame_idx)
        each.pending[frame_idx] = Pending(result, is_conditioning)
        each.prompts[frame_idx] = prompt

    def _features(
        self, state: VideoState, frame_idx: int, pixels: Float32 | None = None
    ) -> Features:
        """A frame's features, encoded once for all that is asked about it."""
        key = self.engine.key, frame_idx
        features = state.features.get(key)
        state.features.count(hits=features is not None, misses=features is None)
        if features is None:
            if pixels is None:
                pixels = self.pixels(state.frames[frame_idx])
            features = self.engine.encode(pixels[None])
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

    def _gather(self, state: VideoState, together: list[Looking]) -> Memories:
        return gather(together, bank.longest_distance(self.settings, state.num_frames))

    def _clear_around(self, each: ObjectState, frame_idx: int) -> None:
        """What upstream means to do with `clear_non_cond_mem_around_input`."""
        if self.clear_around:
            reach = self.settings.memory_temporal_stride_for_eval * self.settings.num_maskmem
            for near in range(frame_idx - reach, frame_idx + reach + 1):
                each.followed.pop(near, None)
