"""Measures how well a memory follows, on clips that it never trains on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sam2lab.reference import zoo
from sam2lab.scenes.moving import EXAM_PACE, MovingScenes
from sam2lab.train.following import FIRST, Tracker


@torch.no_grad()  # type: ignore[untyped-decorator]
def examine(
    model: zoo.ZooModel, scenes: MovingScenes, side: int, frames: int, clips: int = 48
) -> dict[str, list[float]]:
    """Mean J of each frame of unseen clips, for each way to begin and two baselines.

    A frame whose object is not there counts 1 where no mask is shown, else 0. `presence` is the
    share of clips whose frame is rightly called with or without its object.
    """
    tracker = Tracker(model, side)
    found: dict[str, list[Tensor]] = {}
    for start in range(0, clips, 8):
        images, masks = _clips(scenes, range(start, min(start + 8, clips)), frames, side, False)
        there = masks.flatten(2).any(2)
        for first in FIRST:
            logits, scores = tracker.follow(images, masks, first, np.random.default_rng(start))
            found.setdefault(first, []).append(_j(logits, masks, scores))
            right = ((scores > 0) == there).float()
            found.setdefault(f"presence, {first}", []).append(right)
        still = masks[:, :1].float().expand(-1, frames, -1, -1) * 20 - 10
        found.setdefault("first mask held still", []).append(_j(still, masks))
        found.setdefault("re-prompted by its last box", []).append(
            _j(tracker.reprompt(images, masks), masks)
        )
    return {name: torch.cat(rows).mean(0).tolist() for name, rows in found.items()}


@torch.no_grad()  # type: ignore[untyped-decorator]
def presence(
    model: zoo.ZooModel, scenes: MovingScenes, side: int, frames: int, clips: int = 48
) -> dict[str, tuple[float, float]]:
    """How often unseen clips' frames with the object are called so, and those without it.

    The clips are those in which the object is out of sight for a while; for each way to begin.
    The first frames are not counted.
    """
    tracker = Tracker(model, side)
    called: dict[str, list[Tensor]] = {first: [] for first in FIRST}
    truth = []
    for start in range(0, clips, 8):
        images, masks = _clips(scenes, range(start, min(start + 8, clips)), frames, side, True)
        truth.append(masks.flatten(2).any(2)[:, 1:])
        for first in FIRST:
            _, scores = tracker.follow(images, masks, first, np.random.default_rng(start))
            called[first].append(scores[:, 1:] > 0)
    there = torch.cat(truth)
    right = {first: torch.cat(rows) == there for first, rows in called.items()}
    return {
        first: (float(rows[there].float().mean()), float(rows[~there].float().mean()))
        for first, rows in right.items()
    }


def _clips(
    scenes: MovingScenes, numbers: Sequence[int], frames: int, side: int, hides: bool
) -> tuple[Tensor, Tensor]:
    drawn = [scenes.clip(number, frames, side, EXAM_PACE, hides) for number in numbers]
    images, masks = (torch.from_numpy(np.stack(each)) for each in zip(*drawn, strict=True))
    return images, masks


def _j(logits: Tensor, masks: Tensor, scores: Tensor | None = None) -> Tensor:
    shown = functional.interpolate(logits, masks.shape[-2:], mode="bilinear") > 0
    if scores is not None:
        shown &= (scores > 0)[:, :, None, None]
    both = (shown & masks).flatten(2).sum(2)
    either = (shown | masks).flatten(2).sum(2)
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)
