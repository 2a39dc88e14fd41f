"""An engine that takes as long as it is told, and answers at once otherwise."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from sam2lab.runtime.engines.protocol import Decoded, Features, Float32, ModelInfo, PromptBatch

PHOTO = np.zeros((16, 24, 3), np.uint8)


class SleepyEngine:
    """Sleeps in encode and decode; `before(n)` is called at the n-th encode, from 1 on."""

    def __init__(
        self,
        encode_ms: float = 0.0,
        decode_ms: float = 0.0,
        before: Callable[[int], None] = lambda n: None,
    ) -> None:
        self.info = ModelInfo("sleepy", "nano", (64, 64), "random:0")
        self.key = "sleepy"
        self.encode_ms, self.decode_ms, self.before = encode_ms, decode_ms, before
        self.encoded = 0
        self.asked: list[PromptBatch] = []

    def encode(self, pixels: Float32) -> Features:
        self.encoded += 1
        self.before(self.encoded)
        time.sleep(self.encode_ms / 1000)
        return Features(*(np.zeros((1, 8, n, n), np.float32) for n in (4, 16, 8)))

    def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
        self.asked.append(prompts)
        time.sleep(self.decode_ms / 1000)
        count = prompts.objects
        return Decoded(np.zeros((count, 4, 16, 16), np.float32), np.zeros((count, 4), np.float32))
