"""`Remembering` answers as another engine does, and computes no answer a second time."""

from __future__ import annotations

from typing import Any

from sam2lab.runtime.embedding import content_key
from sam2lab.runtime.engines.protocol import (
    Decoded,
    Engine,
    Features,
    Float32,
    ModelInfo,
    PromptBatch,
)


class Remembering:
    """An engine that others are compared with, one after the other, by the same questions.

    `known` has its answers, which a later one for the same model may be given.
    """

    def __init__(self, engine: Engine, known: dict[Any, Any] | None = None) -> None:
        self._engine = engine
        self._known = {} if known is None else known

    @property
    def info(self) -> ModelInfo:
        """The engine's model."""
        return self._engine.info

    @property
    def key(self) -> str:
        """The engine's."""
        return self._engine.key

    def encode(self, pixels: Float32) -> Features:
        """The engine's features."""
        key = _key(pixels)
        if key not in self._known:
            self._known[key] = self._engine.encode(pixels)
        found: Features = self._known[key]
        return found

    def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
        """The engine's answer."""
        key = _key(features.image_embed, *vars(prompts).values())
        if key not in self._known:
            self._known[key] = self._engine.decode(features, prompts)
        found: Decoded = self._known[key]
        return found


def _key(*arrays: Float32 | None) -> tuple[str | None, ...]:
    return tuple(None if array is None else content_key(array) for array in arrays)
