"""Answers to prompts: computed on demand and cached, never part of the state."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from sam2lab.runtime import prompts as prompting
from sam2lab.runtime.cache import MIB
from sam2lab.runtime.embedding import ImageEmbedding
from sam2lab.runtime.engines.protocol import Float32
from sam2lab.runtime.lru import BoundedMap
from sam2lab.runtime.masks import Mask
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.widgets.session.packed import PackedMask
from sam2lab.widgets.session.prompts import Box, Point, Prompt


@dataclass(frozen=True, eq=False)
class Answer:
    """An engine's answer to the prompts of one object: C candidates.

    A single click gets three candidates, a box or several prompts get one, negative clicks
    alone get none. `packed` are their masks, `scores` (C,) their predicted IoU, `logits`
    (C, 4h, 4w) their low-resolution logits. `chosen` is the number of the one that counts.
    """

    size: tuple[int, int]
    packed: tuple[PackedMask, ...]
    scores: Float32
    logits: Float32
    chosen: int
    decode_ms: float

    @classmethod
    def nothing(cls, size: tuple[int, int]) -> Answer:
        """The answer to no prompt, or to negative clicks alone: no candidate."""
        none = np.zeros((0, 0, 0), np.float32)
        return cls(size, (), np.zeros(0, np.float32), none, 0, 0.0)

    @property
    def masks(self) -> list[Mask]:
        """The candidates' masks, each (H, W)."""
        return [packed.unpack() for packed in self.packed]

    @property
    def chosen_packed(self) -> PackedMask:
        """The chosen mask in its packed form."""
        return self.packed[self.chosen] if self.packed else PackedMask.of(np.zeros(self.size, bool))

    @property
    def mask(self) -> Mask:
        """The chosen mask (H, W), empty if there is no candidate."""
        return self.chosen_packed.unpack()

    @property
    def score(self) -> float | None:
        """The chosen candidate's predicted IoU, None if there is no candidate."""
        return float(self.scores[self.chosen]) if self.packed else None

    @property
    def area(self) -> int:
        """The number of pixels in the chosen mask."""
        return self.chosen_packed.area

    @property
    def nbytes(self) -> int:
        """Bytes held, with an allowance for the objects around the arrays."""
        return 1024 + self.logits.nbytes + sum(packed.bits.nbytes for packed in self.packed)


@dataclass(frozen=True, eq=False)
class Disagreement:
    """Where two engines differ: the pixels (H, W) that only one of them says, and their IoU.

    The IoU of two empty masks is 1.
    """

    only_a: Mask
    only_b: Mask
    iou: float


class Answers:
    """Computes answers and keeps the latest ones.

    Prompts are answered in a chain: the first alone, then the first two with the logits of
    that answer as `mask_input`, and so on, as if each had just been added. The answer
    therefore depends on the prompts alone, not on undone or removed ones.
    """

    def __init__(self, max_bytes: int = 256 * MIB) -> None:
        self.kept: BoundedMap[tuple[object, ...], Answer] = BoundedMap(2**20, max_bytes)

    def get(
        self,
        engine: str,
        segmenter: Segmenter,
        embedding: ImageEmbedding,
        prompts: tuple[Prompt, ...],
        choice: int | None,
    ) -> tuple[Answer, bool]:
        """Return the answer of the engine of this name, and whether it was in the cache."""

        def key(count: int) -> tuple[object, ...]:
            # The candidates of the first prompt do not depend on which one is chosen.
            first = choice if count > 1 else None
            return engine, embedding.key, first, prompts[:count]

        known, answer = 0, Answer.nothing(embedding.image_size)
        for count in range(len(prompts), 0, -1):
            found = self.kept.get(key(count))
            if found is not None:
                known, answer = count, _choosing(found, choice if count == 1 else None)
                break
        was_kept = known == len(prompts)
        self.kept.count(hits=was_kept, misses=not was_kept)
        for count in range(known + 1, len(prompts) + 1):
            answer = decode(segmenter, embedding, prompts[:count], answer)
            self.kept.put(key(count), answer)
            answer = _choosing(answer, choice if count == 1 else None)
        return answer, was_kept


def decode(
    segmenter: Segmenter,
    embedding: ImageEmbedding,
    prompts: tuple[Prompt, ...],
    before: Answer,
) -> Answer:
    """Answer `prompts`, given the answer to all of them except the last.

    Negative clicks alone get no candidate, a single positive click gets three. A box, which is
    not ambiguous, and several prompts get one, as the authors of SAM 2 recommend.
    """
    points = [prompt for prompt in prompts if isinstance(prompt, Point)]
    boxes = [prompt for prompt in prompts if isinstance(prompt, Box)]
    if not boxes and not any(point.positive for point in points):
        return Answer.nothing(embedding.image_size)
    start = time.perf_counter()
    encoded = prompting.encode(
        embedding.image_size,
        segmenter.engine.info,
        point_coordinates=[(point.x, point.y) for point in points],
        point_labels=[int(point.positive) for point in points],
        boxes=[(b.x0, b.y0, b.x1, b.y1) for b in boxes] or None,
        mask_input=before.logits[before.chosen][None] if before.packed else None,
    )
    multi = len(prompts) == 1 and not boxes
    prediction = segmenter.answer(embedding, encoded, multi_mask_output=multi)
    elapsed = 1000 * (time.perf_counter() - start)
    return Answer(
        size=embedding.image_size,
        packed=tuple(PackedMask.of(mask.astype(bool, copy=False)) for mask in prediction.masks),
        scores=prediction.scores,
        logits=prediction.logits,
        chosen=int(np.argmax(prediction.scores)),
        decode_ms=elapsed,
    )


def _choosing(answer: Answer, choice: int | None) -> Answer:
    """Choose a candidate of an answer by number, if it has that many."""
    if choice is None or choice >= len(answer.packed):
        return answer
    return replace(answer, chosen=choice)
