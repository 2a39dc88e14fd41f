"""Say how far one engine's masks agree with another's, in four numbers that a bundle can keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sam2lab.measure.parity import paired_answers
from sam2lab.runtime.engines.protocol import Engine
from sam2lab.runtime.images import RGB
from sam2lab.runtime.masks import iou


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
    found = []
    for _, wanted, given in paired_answers(reference, candidate, list(photos)):
        best = int(np.argmax(wanted.scores))
        found.append(iou(wanted.masks[best], given.masks[best]))
    return Agreement(
        len(photos), len(found), round(float(np.mean(found)), 6), round(float(min(found)), 6)
    )
