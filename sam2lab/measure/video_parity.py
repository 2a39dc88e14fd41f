"""Compare two predictors of videos that should be the same model, answer by answer.

A script is a list of steps, and a step is a verb of `SAM2VideoPredictor` with its arguments, so
that upstream's own predictor is asked the same as ours.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sam2lab.runtime.engines.protocol import Float32
from sam2lab.runtime.masks import iou

Step = tuple[str, Mapping[str, Any]]


class Answer(NamedTuple):
    """What a step gives for one frame: logits (N, 1, H, W) in the size of the video."""

    step: int
    verb: str
    frame: int
    obj_ids: list[Hashable]
    logits: Float32


def compare_videos(
    predictor_a: Any,
    predictor_b: Any,
    video: str | os.PathLike[str] | Any,
    steps: Sequence[Step],
) -> pd.DataFrame:
    """Do the same with two predictors: one row per answer and object.

    `video` is what the `init_state` of both takes. Columns: `step` (its number), `verb`, `frame`,
    `object`, `area_px` (of a's mask), `iou` and `max_logit_error`. Both go through the script side
    by side, so that no answer is kept.

    >>> steps = [
    ...     ("add_new_points_or_box", dict(frame_idx=0, obj_id=1, points=[[9, 9]], labels=[1])),
    ...     ("propagate_in_video", {}),
    ...     ("propagate_in_video", dict(reverse=True)),
    ... ]
    """
    return compare_answers(answers(predictor_a, video, steps), answers(predictor_b, video, steps))


def answers(predictor: Any, video: Any, steps: Sequence[Step]) -> Iterator[Answer]:
    """Go through a script, and give each answer as it comes."""
    # Upstream takes no Path.
    state = predictor.init_state(os.fspath(video) if isinstance(video, os.PathLike) else video)
    for number, (verb, arguments) in enumerate(steps):
        for frame, obj_ids, logits in _frames(getattr(predictor, verb)(state, **arguments)):
            yield Answer(number, verb, frame, list(obj_ids), np.array(logits, np.float32))


def compare_answers(a: Iterable[Answer], b: Iterable[Answer]) -> pd.DataFrame:
    """The table of `compare_videos`; a `ValueError` where not the same frames were answered."""
    rows = []
    for one, other in zip(a, b, strict=True):
        if one[:4] != other[:4] or one.logits.shape != other.logits.shape:
            raise ValueError(f"a answers {_described(one)}, b {_described(other)}")
        for obj_id, logits_a, logits_b in zip(one.obj_ids, one.logits, other.logits, strict=True):
            mask = logits_a[0] > 0
            rows.append(
                {
                    "step": one.step,
                    "verb": one.verb,
                    "frame": one.frame,
                    "object": obj_id,
                    "area_px": int(np.count_nonzero(mask)),
                    "iou": iou(mask, logits_b[0] > 0),
                    "max_logit_error": float(np.abs(logits_a - logits_b).max()),
                }
            )
    return pd.DataFrame(rows)


def _frames(returned: Any) -> Iterable[tuple[int, Iterable[Hashable], Any]]:
    """The answers in what a verb returns: those of a propagation, one, several, or none."""
    if returned is None:
        return ()
    if not isinstance(returned, tuple):
        return iter(returned)
    if len(returned) == 3:
        return (returned,)
    # `remove_object` returns the objects that are left, and the frames that change.
    obj_ids, changed = returned
    return ((frame, obj_ids, logits) for frame, logits in changed)


def _described(answer: Answer) -> str:
    return (
        f"{answer.verb} (step {answer.step}) with frame {answer.frame}, objects {answer.obj_ids}, "
        f"logits {answer.logits.shape}"
    )
