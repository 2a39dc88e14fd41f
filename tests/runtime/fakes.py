"""An engine without a network: what it answers can be worked out by hand."""

from __future__ import annotations

import threading
import time

import numpy as np

from sam2lab.runtime.engines.protocol import Decoded, Features, Float32, ModelInfo, PromptBatch


class FakeEngine:
    """Paints a disc around each object's first prompt point, and counts its work.

    Token t's disc has radius 4 * (t + 1) low-resolution pixels and score (t + 1) / 10, so the
    best candidate is token 3. A `mask_input` is added to the logits. Each answer takes `pause_s`
    seconds longer than it must.
    """

    def __init__(self, input_size: tuple[int, int] = (64, 96), key: str = "fake") -> None:
        self.info = ModelInfo("fake", "nano", input_size, "random:0")
        self.key = key
        self.encoded: list[int] = []
        self.asked: list[PromptBatch] = []
        self.pause_s = 0.0
        self._lock = threading.Lock()

    def encode(self, pixels: Float32) -> Features:
        with self._lock:
            self.encoded.append(len(pixels))
        height, width = self.info.embed_size
        mean = pixels.mean(axis=(1, 2, 3), keepdims=True)
        return Features(
            np.broadcast_to(mean, (len(pixels), 8, height, width)).astype(np.float32),
            np.zeros((len(pixels), 1, 4 * height, 4 * width), np.float32),
            np.zeros((len(pixels), 2, 2 * height, 2 * width), np.float32),
        )

    def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
        with self._lock:
            self.asked.append(prompts)
        time.sleep(self.pause_s)
        height, width = self.info.mask_size
        rows, columns = np.mgrid[:height, :width].astype(np.float32) + 0.5
        logits = np.zeros((prompts.objects, 4, height, width), np.float32)
        for i in range(prompts.objects):
            x, y = prompts.point_coords[i, 0] / 4 if prompts.point_coords.size else (0, 0)
            distance = np.hypot(columns - x, rows - y)
            logits[i] = 4 * np.arange(1, 5)[:, None, None] - distance
        if prompts.mask_input is not None:
            logits += prompts.mask_input
        scores = np.tile(np.arange(1, 5, dtype=np.float32) / 10, (prompts.objects, 1))
        return Decoded(logits * 10, scores)


class Bolder(FakeEngine):
    """Answers with larger discs; fails on demand."""

    broken = False

    def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
        if self.broken:
            raise RuntimeError("the line is dead")
        logits, scores = super().decode(features, prompts)
        return Decoded(logits + 20, scores)
