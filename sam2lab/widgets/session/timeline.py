"""An object's timeline: on which frames it is there, was pointed out, or is doubtful."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sam2lab.runtime.engines.protocol import Float32

NOT_TRACKED, ABSENT, PRESENT = -1, 0, 1
# The object score is a logit: within these, the model gives the object between 5 % and 95 % to be
# there. Nano followed the clip that ships from one click on each of its three objects: this marks
# 19 of the 42 frames on which less than half of mask and object is shared, and none of the other
# 75. At 3.5 it would be 23 and 6.
UNSURE_OBJECT_SCORE = 3.0
# Below this predicted IoU, the model expects less than half of mask and object to be shared.
UNSURE_IOU = 0.5


class FrameScores(NamedTuple):
    """What a timeline needs to know of an answer on one frame."""

    frame: int
    object_score: float
    iou: float
    prompted: bool
    corrected: bool


@dataclass(frozen=True, eq=False)
class Timeline:
    """One value for each of T frames, ready to be drawn as a strip.

    `presence` is NOT_TRACKED, ABSENT or PRESENT. `prompted` frames got their mask from prompts on
    them; `corrected` are those of them that had been tracked before. `unsure` are tracked frames
    whose object score is within ± `UNSURE_OBJECT_SCORE`, or whose predicted IoU is below
    `UNSURE_IOU` while the object is there. `object_scores` and `ious` are NaN where not tracked.
    """

    presence: npt.NDArray[np.int8]
    prompted: npt.NDArray[np.bool_]
    corrected: npt.NDArray[np.bool_]
    unsure: npt.NDArray[np.bool_]
    object_scores: Float32
    ious: Float32

    @classmethod
    def of(cls, count: int, answers: Iterable[FrameScores]) -> Timeline:
        """Make the timeline of a video of `count` frames.

        >>> there, gone = (9.0, 0.9, True, False), (-1.0, 0.1, False, False)
        >>> timeline = Timeline.of(4, [FrameScores(0, *there), FrameScores(2, *gone)])
        >>> timeline.presence.tolist(), timeline.unsure.tolist()
        ([1, -1, 0, -1], [False, False, True, False])
        """
        prompted, corrected = np.zeros(count, bool), np.zeros(count, bool)
        scores, ious = (np.full(count, np.nan, np.float32) for _ in range(2))
        for each in answers:
            scores[each.frame], ious[each.frame] = each.object_score, each.iou
            prompted[each.frame], corrected[each.frame] = each.prompted, each.corrected
        presence = np.where(np.isnan(scores), NOT_TRACKED, scores > 0).astype(np.int8)
        # Comparisons with NaN are false.
        doubtful = (presence == PRESENT) & (ious < UNSURE_IOU)
        unsure = (np.abs(scores) < UNSURE_OBJECT_SCORE) | doubtful
        return cls(presence, prompted, corrected, unsure, scores, ious)
