"""Time the parts of a frame: an engine that notes when each of its methods was at work."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, NamedTuple, TypeVar

from sam2lab.runtime.engines.protocol import Decoded, Features, Float32, ModelInfo, PromptBatch
from sam2lab.runtime.video.protocol import DecodedObjects, Memories, VideoEngine, VideoSettings

T = TypeVar("T")

PARTS = ("encode", "condition", "decode", "remember")


class Call(NamedTuple):
    """One call: the part that it belongs to, and its begin and end in ns."""

    part: str
    start: int
    end: int


class TimedEngine:
    """Does what an engine does, and notes each of its calls in `calls`."""

    def __init__(self, engine: VideoEngine) -> None:
        self.engine = engine
        self.calls: list[Call] = []

    @property
    def info(self) -> ModelInfo:
        return self.engine.info

    @property
    def key(self) -> str:
        return self.engine.key

    @property
    def video(self) -> VideoSettings | None:
        return self.engine.video

    def encode(self, pixels: Float32) -> Features:
        return self._noted("encode", self.engine.encode, pixels)

    def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
        return self._noted("decode", self.engine.decode, features, prompts)

    def decode_objects(self, features: Features, prompts: PromptBatch) -> DecodedObjects:
        return self._noted("decode", self.engine.decode_objects, features, prompts)

    def condition(self, features: Features, memories: Memories) -> Features:
        return self._noted("condition", self.engine.condition, features, memories)

    def remember(
        self, features: Features, mask_logits: Float32, object_scores: Float32, binarize: bool
    ) -> Float32:
        return self._noted(
            "remember", self.engine.remember, features, mask_logits, object_scores, binarize
        )

    def _noted(self, part: str, method: Callable[..., T], *given: Any) -> T:
        start = perf_counter_ns()
        result = method(*given)
        self.calls.append(Call(part, start, perf_counter_ns()))
        return result


def split(start: int, calls: list[Call], end: int) -> dict[str, float]:
    """Split the time of a frame, from `start` to `end` in ns, into its parts in ms.

    `read_ms` is what passes until the engine begins: the wait for the frame, or for what is left
    of reading it, since a thread reads ahead. `restore_ms` comes after the engine's last call:
    masks of the video's size. `bank_ms` is between its calls: choosing memories and joining them.

    >>> calls = [Call("encode", 2_000_000, 5_000_000), Call("decode", 6_000_000, 7_000_000)]
    >>> parts = split(0, calls, 9_000_000)
    >>> parts["read_ms"], parts["encode_ms"], parts["bank_ms"], parts["restore_ms"]
    (2.0, 3.0, 1.0, 2.0)
    """
    spent = dict.fromkeys(PARTS, 0)
    for call in calls:
        spent[call.part] += call.end - call.start
    begun, finished = (calls[0].start, calls[-1].end) if calls else (start, start)
    spent |= {
        "read": begun - start,
        "bank": finished - begun - sum(spent.values()),
        "restore": end - finished,
        "total": end - start,
    }
    return {f"{part}_ms": ns / 1e6 for part, ns in spent.items()}
