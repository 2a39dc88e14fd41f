"""Ask one engine for every object of one photo, as papers on interactive segmentation do.

All objects of the photo are asked for in one call of the decoder.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sam2lab.runtime import prompts as prompting
from sam2lab.runtime.arguments import whole
from sam2lab.runtime.embedding import ImageEmbedding
from sam2lab.runtime.engines.protocol import Engine, Float32
from sam2lab.runtime.masks import Mask, bounding_box
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.scenes import clicks
from sam2lab.scenes.clicks import Click

KINDS = ("clicks", "random click", "box", "jittered box")

# Three masks of this many pixels are held at a time: a large photo may have a hundred objects.
PIXELS_AT_ONCE = 2**25


@dataclass(frozen=True)
class InteractiveProtocol:
    """The kinds of prompt for every object.

    The kind "clicks" goes on for `clicks` clicks. `seed` decides on random clicks and on jitter,
    which are the same for every engine, and for an object with any other kinds beside.
    """

    kinds: tuple[str, ...] = KINDS
    clicks: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.kinds or not set(self.kinds) <= set(KINDS):
            raise ValueError(f"kinds is {self.kinds!r}; wanted some of: {', '.join(KINDS)}")
        # JSON takes Python's own whole numbers, and not numpy's.
        object.__setattr__(self, "clicks", whole("clicks", self.clicks, least=1))
        object.__setattr__(self, "seed", whole("seed", self.seed, least=0))


class PromptedMasks(NamedTuple):
    """An engine's answer to one prompt.

    `clicks` is the number of clicks so far, 0 for a box. `masks` (C, H, W) and `scores` (C,)
    hold three candidates after a single click, and one mask after any clearer prompt. Points
    (P, 2) are (x, y) in pixels of the photo with labels (P,), `box` is (4,).
    """

    object: int
    kind: str
    clicks: int
    masks: npt.NDArray[np.bool_]
    scores: Float32
    points: Float32
    labels: Float32
    box: Float32 | None

    @property
    def best(self) -> Mask:
        """The mask (H, W) that the engine scores best."""
        return self.masks[int(np.argmax(self.scores))]


def prompt_objects(
    engine: Engine,
    photo: npt.NDArray[np.uint8],
    objects: Mapping[int, Mask],
    protocol: InteractiveProtocol,
    image: int = 0,
) -> Iterator[PromptedMasks]:
    """Encode a photo (H, W, 3) once, and ask for each of its objects with every kind of prompt.

    As upstream does it, a single click gets three candidates; a box, and every click after the
    first, gets a single mask. A correction hands over the low-resolution logits of the answer
    that it corrects. Where nothing is left to correct, the answer stays as it is. Random
    prompts depend on the photo's number `image`.
    """
    segmenter = Segmenter(engine)
    (embedding,) = segmenter.embed_images(photo, use_embeddings_cache=False)
    numbers = list(objects)
    at_once = max(1, PIXELS_AT_ONCE // (3 * photo.shape[0] * photo.shape[1]))
    for start in range(0, len(numbers), at_once):
        asked = {number: objects[number] for number in numbers[start : start + at_once]}
        prompter = _Prompter(segmenter, embedding, asked)
        for kind in protocol.kinds:
            if kind == "clicks":
                yield from _corrected(prompter, protocol.clicks)
                continue
            drawn = [
                (_generator(protocol.seed, image, number, kind), mask)
                for number, mask in asked.items()
            ]
            if kind == "random click":
                yield from prompter.click(kind, [[clicks.random_click(*pair)] for pair in drawn])
            elif kind == "box":
                yield from prompter.box(
                    kind, [np.array(bounding_box(mask), np.float32) for mask in asked.values()]
                )
            else:
                yield from prompter.box(kind, [clicks.jittered_box(*pair) for pair in drawn])


class _Prompter:
    """Asks for objects of one photo; `logits` are those of the latest answer to each of them."""

    def __init__(
        self, segmenter: Segmenter, embedding: ImageEmbedding, objects: Mapping[int, Mask]
    ) -> None:
        self.segmenter, self.embedding, self.objects = segmenter, embedding, objects
        self.logits: dict[int, Float32] = {}

    def box(self, kind: str, boxes: Sequence[Float32]) -> list[PromptedMasks]:
        """Give each object its box."""
        predictions = self._decode(list(self.objects), False, boxes=np.stack(boxes))
        return [
            PromptedMasks(number, kind, 0, *prediction, _NO_POINTS, _NO_LABELS, box)
            for (number, prediction), box in zip(predictions, boxes, strict=True)
        ]

    def click(
        self, kind: str, points: Sequence[Sequence[Click]], numbers: Sequence[int] | None = None
    ) -> list[PromptedMasks]:
        """Give these objects, by default all, their clicks, as many to each of them."""
        coordinates = np.array([[(c.x, c.y) for c in each] for each in points], np.float32)
        labels = np.array([[c.positive for c in each] for each in points], np.float32)
        chosen = list(self.objects) if numbers is None else list(numbers)
        count = coordinates.shape[1]
        logits = None if count == 1 else np.stack([self.logits[number] for number in chosen])
        predictions = self._decode(
            chosen,
            count == 1,
            point_coordinates=coordinates,
            point_labels=labels,
            mask_input=logits,
        )
        return [
            PromptedMasks(number, kind, count, *prediction, coordinates[i], labels[i], None)
            for i, (number, prediction) in enumerate(predictions)
        ]

    def _decode(
        self, numbers: Sequence[int], several: bool, **prompt: Any
    ) -> list[tuple[int, tuple[npt.NDArray[np.bool_], Float32]]]:
        """Masks and scores by object, from one call of the decoder."""
        size = self.embedding.image_size
        encoded = prompting.encode(size, self.segmenter.engine.info, **prompt)
        prediction = self.segmenter.answer(self.embedding, encoded, multi_mask_output=several)
        # A single object comes without an axis of its own.
        shape = (len(numbers), 3 if several else 1)
        masks = prediction.masks.reshape(*shape, *size)
        scores = prediction.scores.reshape(shape)
        logits = prediction.logits.reshape(*shape, *prediction.logits.shape[-2:])
        best = scores.argmax(axis=1)
        for i, number in enumerate(numbers):
            self.logits[number] = logits[i, best[i]][None]
        return [(number, (masks[i], scores[i])) for i, number in enumerate(numbers)]


def _corrected(prompter: _Prompter, count: int) -> Iterator[PromptedMasks]:
    """Click the centre of each object, then correct each answer, up to `count` clicks."""
    given = {number: [clicks.centre_click(truth)] for number, truth in prompter.objects.items()}
    latest = {answer.object: answer for answer in prompter.click("clicks", list(given.values()))}
    yield from latest.values()
    for so_far in range(2, count + 1):
        wrong = []
        for number in given:
            truth = prompter.objects[number]
            earlier = np.zeros_like(truth)
            for click in given[number]:
                earlier[click.y, click.x] = True
            further = clicks.correction_click(truth, latest[number].best, earlier)
            if further is not None:
                given[number].append(further)
                wrong.append(number)
        # An answer without a correction is right, or wrong in clicked pixels only: it is final.
        given = {number: given[number] for number in wrong}
        if wrong:
            answers = prompter.click("clicks", [given[number] for number in wrong], wrong)
            latest |= {answer.object: answer for answer in answers}
        yield from (answer._replace(clicks=so_far) for answer in latest.values())


def _generator(seed: int, *about: Any) -> np.random.Generator:
    """Random numbers that depend only on these, whatever else is drawn in this process."""
    return np.random.default_rng([seed, zlib.crc32(repr(about).encode())])


_NO_POINTS = np.empty((0, 2), np.float32)
_NO_LABELS = np.empty(0, np.float32)
