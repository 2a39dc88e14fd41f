"""Gives a prompt its next round: the last mask, and a click where that was wrong."""

from __future__ import annotations

import torch
from torch import Tensor

from sam2lab.train.batches import CELL, NOT_A_POINT


def shown_mask(logits: Tensor, scores: Tensor, labels: Tensor, first: bool) -> Tensor:
    """The logits of the mask that a user would see, as the next mask prompt, (K, 1, h, w).

    After one click that is the best-scored candidate, otherwise the single mask.
    """
    alone = ((labels != NOT_A_POINT).sum(1) == 1) & first
    best = scores[:, 1:].argmax(1) + 1
    chosen = torch.where(alone, best, torch.zeros_like(best))
    return logits.detach()[torch.arange(len(logits)), chosen][:, None]


def add_correction(
    logits: Tensor, targets: Tensor, points: Tensor, labels: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Add one click to each prompt, at random in what its mask (K, h, w) has wrong."""
    count, _, width = targets.shape
    wrong = ((logits > 0) != (targets > 0.5)).float().flatten(1)
    # A perfect mask is clicked anywhere on its object.
    weights = torch.where(wrong.any(1, keepdim=True), wrong, targets.flatten(1))
    cell = torch.multinomial(weights + 1e-9, 1, generator=generator)
    label = (targets.flatten(1).gather(1, cell) > 0.5).to(labels.dtype)
    within = torch.rand(count, 2, generator=generator, device=points.device)
    place = (torch.cat([cell % width, cell // width], 1) + within) * CELL
    return torch.cat([points, place[:, None]], 1), torch.cat([labels, label], 1)
