"""What is asked of an answer, and how far it is from it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

# Scores are easier than masks, and come first where they weigh as much: on noise, the decoder then
# does not turn within the toy's steps.
_SCORES = 0.1


def mask_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Dice plus balanced cross-entropy, one number a mask: (..., H, W) twice -> (...).

    A plain mean over pixels is smallest for empty masks, since most of a picture is not the
    object: training sits there for thousands of steps. Here the object's pixels weigh as much
    together as all the others.

    >>> perfect = torch.tensor([[[9.0, -9.0]]]), torch.tensor([[[1.0, 0.0]]])
    >>> empty = torch.tensor([[[-9.0, -9.0]]]), torch.tensor([[[1.0, 0.0]]])
    >>> bool(mask_loss(*perfect) < 0.01), bool(mask_loss(*empty) > 5)
    (True, True)
    """
    return balanced_cross_entropy(logits, targets) + dice(logits, targets)


def balanced_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy with half of the weight on each side of the object's outline."""
    loss = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    inside = (loss * targets).sum((-2, -1)) / targets.sum((-2, -1)).clamp(min=1)
    outside = (loss * (1 - targets)).sum((-2, -1)) / (1 - targets).sum((-2, -1)).clamp(min=1)
    return (inside + outside) / 2


def dice(logits: Tensor, targets: Tensor) -> Tensor:
    """One minus the overlap of a soft mask and its target; small objects count as large ones."""
    guessed = logits.sigmoid()
    both = (guessed * targets).sum((-2, -1))
    either = guessed.sum((-2, -1)) + targets.sum((-2, -1))
    return 1 - (2 * both + 1) / (either + 1)


def overlap(logits: Tensor, targets: Tensor) -> Tensor:
    """The Jaccard index of the masks that the logits mean: (..., H, W) twice -> (...).

    >>> overlap(torch.tensor([[[1.0, 1.0, -1.0]]]), torch.tensor([[[1.0, 0.0, 0.0]]]))
    tensor([0.5000])
    """
    guessed, wanted = logits.detach() > 0, targets > 0.5
    both = (guessed & wanted).sum((-2, -1))
    either = (guessed | wanted).sum((-2, -1))
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)


def answer_loss(logits: Tensor, scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The loss of a batch of answers, and the overlap of each of their masks, (K, 4).

    logits are (K, 4, h, w), scores (K, 4) before their sigmoid, targets (K, h, w). The first
    mask is the lone one and always learns; of the three candidates only the best does, so that
    they may come to mean different things (a part, the whole). All four learn to say how good
    they are: cross-entropy is smallest at the mean of the overlaps (an absolute difference at
    their median, which is near zero for a candidate that is seldom best), and pulls as hard on
    a score that is stuck at zero as on any other.
    """
    wanted = targets[:, None].expand_as(logits)
    losses = mask_loss(logits, wanted)
    overlaps = overlap(logits, wanted)
    honest = _SCORES * functional.binary_cross_entropy_with_logits(scores, overlaps)
    return losses[:, 0].mean() + losses[:, 1:].min(1).values.mean() + honest, overlaps
