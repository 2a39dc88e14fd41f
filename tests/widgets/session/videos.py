"""Sessions on a small clip of coloured squares, with an engine that follows colours."""

from __future__ import annotations

from threading import Event

import numpy as np

from sam2lab.runtime.engines.protocol import Features, Float32, PromptBatch
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.runtime.video.protocol import DecodedObjects, Memories
from sam2lab.widgets.session import VideoSession
from tests.runtime.video.fake import FakeVideoEngine, centre, clip

FRAMES = 7
# The first square is away on one frame.
CLIP = clip(FRAMES, hidden=range(3, 4))
# Where the squares are on the first frame.
RED, GREEN = centre(0, 0), centre(0, 1)


class Fragile(FakeVideoEngine):
    """Fails in the method of this name, once `good` further calls of it have gone well.

    It answers only while its `gate` is open.
    """

    breaks_in = ""
    good = 0

    def __init__(self) -> None:
        super().__init__()
        self.gate = Event()
        self.gate.set()

    def encode(self, pixels: Float32) -> Features:
        self._break("encode")
        return super().encode(pixels)

    def decode_objects(self, features: Features, prompts: PromptBatch) -> DecodedObjects:
        self._break("decode_objects")
        self.gate.wait(10)
        return super().decode_objects(features, prompts)

    def condition(self, features: Features, memories: Memories) -> Features:
        self._break("condition")
        return super().condition(features, memories)

    def _break(self, method: str) -> None:
        if self.breaks_in == method:
            if not self.good:
                raise RuntimeError("the line is dead")
            self.good -= 1


class Bold(FakeVideoEngine):
    """Answers with larger masks."""

    def decode_objects(self, features: Features, prompts: PromptBatch) -> DecodedObjects:
        decoded = super().decode_objects(features, prompts)
        return decoded._replace(logits=decoded.logits + 1)


def opened(fragile: Fragile | None = None) -> VideoSession:
    """A session with two engines, the first of which may fail."""
    first = Fragile() if fragile is None else fragile
    return VideoSession({"plain": Segmenter(first), "bold": Segmenter(Bold())}, CLIP)


def two_objects(fragile: Fragile | None = None) -> VideoSession:
    """The same with a click on each square on the first frame, not followed yet."""
    session = opened(fragile)
    session.add_point(*RED)
    session.commit("red")
    session.add_point(*GREEN)
    return session


def results(session: VideoSession) -> dict[tuple[int, int], tuple[object, ...]]:
    """Everything that the current engine holds, by object and frame."""
    state = session.state.followed_by(session.engine).state
    found = {}
    for object_id, each in state.objects.items() if state else ():
        for frame in range(state.num_frames):
            result = each.latest(frame)
            if result is not None:
                numbers = (result.object_score, result.iou, result.is_prompted)
                arrays = (result.logits, result.pointer, result.memory)
                there = [array is not None and array.tobytes() for array in arrays]
                passed = [frame in frames for frames in (each.conditioning, each.pending)]
                tracked = each.tracked.get(frame)
                found[object_id, frame] = (*numbers, *there, *passed, tracked)
    return found


def masks(session: VideoSession) -> dict[tuple[int, int], bytes]:
    """All masks of the current engine with their scores, by object and frame."""
    found = {}
    for item in session.objects:
        for frame in range(FRAMES):
            answer = session.answer(item.id, frame)
            if answer is not None:
                scores = np.float32([answer.object_score, answer.iou, answer.prompted])
                found[item.id, frame] = answer.mask.tobytes() + scores.tobytes()
    return found
