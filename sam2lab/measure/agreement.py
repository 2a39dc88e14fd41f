"""Say how far one engine's masks agree with another's, in four numbers that a bundle can keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sam2lab.measure.cases import draw_cases
from sam2lab.runtime.engines.protocol import Engine, Float32
from sam2lab.runtime.images import RGB
from sam2lab.runtime.masks import iou
from sam2lab.runtime.segmenter import Segmenter


@dataclass(frozen=True)
class Agreement:
    """How many masks of how many photos were compared, and the mean and the least of their IoU."""

    photos: int
    masks: int
    mean_iou: float
    least_iou: float


def agreement(reference: Engine, candidate: Engine, photos: Sequence[RGB]) -> Agreement:
    """Ask both engines for a prompt of each kind of `cases` on each photo, and compare the masks.

    Of the candidates, those that the reference scores best are compared, at the photo's size. Where
    a mask is refined, each engine refines its own.
    """
    a, b = Segmenter(reference), Segmenter(candidate)
    embedded = a.embed_images(list(photos)), b.embed_images(list(photos))
    found = []
    for case in draw_cases(photos):
        earlier: Sequence[Float32 | None] = (None, None)
        pair = tuple(zip((a, b), (each[case.image] for each in embedded), strict=True))
        if case.kind == "refine":
            first = [s.segment_images(embeddings=e, **case.first_click)[0] for s, e in pair]
            best = int(np.argmax(first[0].scores))
            earlier = [answer.logits[best : best + 1] for answer in first]
        answers = [
            segmenter.segment_images(embeddings=embedding, **case.prompt, mask_input=logits)[0]
            for (segmenter, embedding), logits in zip(pair, earlier, strict=True)
        ]
        best = int(np.argmax(answers[0].scores))
        found.append(iou(answers[0].masks[best], answers[1].masks[best]))
    return Agreement(
        len(photos), len(found), round(float(np.mean(found)), 6), round(float(min(found)), 6)
    )
