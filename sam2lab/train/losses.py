"""How far predictions are from their targets."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sam2lab.train.batches import CELL

_AFFINITY_SHARPNESS = 8.0
# How many cells on each side of an outline count as near it.
_NEAR = 2
# The weight of the scores' order beside their values.
_ORDER = 0.5


def mask_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Dice plus balanced cross-entropy, one number a mask: (..., H, W) twice -> (...).

    A plain mean over pixels is small for empty masks, since most of a picture is not the object:
    training stays there for thousands of steps. Here the object's pixels together weigh as much
    as all others together.

    >>> perfect = torch.tensor([[[9.0, -9.0]]]), torch.tensor([[[1.0, 0.0]]])
    >>> empty = torch.tensor([[[-9.0, -9.0]]]), torch.tensor([[[1.0, 0.0]]])
    >>> bool(mask_loss(*perfect) < 0.01), bool(mask_loss(*empty) > 5)
    (True, True)
    """
    return balanced_cross_entropy(logits, targets) + dice_loss(logits, targets)


def balanced_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy with half of the weight on each side of the object's outline."""
    loss = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    inside = (loss * targets).sum((-2, -1)) / targets.sum((-2, -1)).clamp(min=1)
    outside = (loss * (1 - targets)).sum((-2, -1)) / (1 - targets).sum((-2, -1)).clamp(min=1)
    return (inside + outside) / 2


def outline_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy near the object's outline, (..., H, W) twice -> (...).

    What is ragged about a mask is a small share of its cells, and nearly nothing of the means
    over all cells. The logits of dimensions before H and W may be more than the targets': these
    are repeated.
    """
    loss = functional.binary_cross_entropy_with_logits(
        logits, targets.expand_as(logits), reduction="none"
    )
    side = 2 * _NEAR + 1
    high, low = (
        sign * functional.max_pool2d(sign * targets, side, stride=1, padding=_NEAR)
        for sign in (1, -1)
    )
    near = high - low
    return (loss * near).sum((-2, -1)) / near.sum((-2, -1)).clamp(min=1)


def dice_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """One minus the Dice coefficient of a soft mask and its target, whatever the object's size."""
    predicted = logits.sigmoid()
    both = (predicted * targets).sum((-2, -1))
    either = predicted.sum((-2, -1)) + targets.sum((-2, -1))
    return 1 - (2 * both + 1) / (either + 1)


def mask_iou(logits: Tensor, targets: Tensor) -> Tensor:
    """The IoU of thresholded logits and their targets, without gradient: (..., H, W) -> (...).

    Dimensions before H and W are broadcast.

    >>> mask_iou(torch.tensor([[[1.0, 1.0, -1.0]]]), torch.tensor([[[1.0, 0.0, 0.0]]]))
    tensor([0.5000])
    """
    predicted, wanted = logits.detach() > 0, targets > 0.5
    both = (predicted & wanted).sum((-2, -1))
    either = (predicted | wanted).sum((-2, -1))
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)


def user_ious(scores: Tensor, ious: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """IoU (K,) of the masks a user may get: best-scored candidate, best candidate, single mask."""
    chosen = scores[:, 1:].argmax(1, keepdim=True)
    return ious[:, 1:].gather(1, chosen)[:, 0], ious[:, 1:].max(1).values, ious[:, 0]


def prediction_loss(
    logits: Tensor, scores: Tensor, targets: Tensor, score_weight: float = 1.0
) -> tuple[Tensor, Tensor]:
    """The loss of a batch of predictions, and the IoU of each of their masks, (K, 4).

    logits are (K, 4, h, w), scores (K, 4) before their sigmoid, targets (K, h, w). The first
    mask is the single one and always learns. Only the best of the three candidates learns, so
    that they can come to mean different things (a part, the whole). All four scores learn.
    """
    targets = targets[:, None]
    losses = mask_loss(logits, targets.expand_as(logits)) + outline_loss(logits, targets)
    ious = mask_iou(logits, targets)
    of_masks = losses[:, 0].mean() + losses[:, 1:].min(1).values.mean()
    return of_masks + score_weight * score_loss(scores, ious), ious


def score_loss(scores: Tensor, ious: Tensor) -> Tensor:
    """How far scores before their sigmoid are from the IoUs of their masks, (K, 4) twice.

    They learn by cross-entropy, which is smallest at the mean IoU of a mask: an absolute
    difference would be smallest at the median, which is near zero for a candidate that is seldom
    best. Before the sigmoid, it pulls as hard on a score that is stuck at zero as on any other.
    The scores of the three candidates learn their order besides.
    """
    values = functional.binary_cross_entropy_with_logits(scores, ious)
    return values + _ORDER * order_loss(scores[:, 1:], ious[:, 1:]).mean()


def order_loss(scores: Tensor, ious: Tensor) -> Tensor:
    """Punish scores that put a worse mask before a better one: (K, N) twice -> (K,).

    Only their order decides which mask a user sees. Each pair counts by how much better the one
    is, with a logistic loss on how far it is ahead.
    """
    better = (ious[:, :, None] - ious[:, None]).clamp(min=0)
    ahead = scores[:, :, None] - scores[:, None]
    return (better * functional.softplus(-ahead)).sum((1, 2))


def affinity_loss(embeddings: Tensor, targets: Tensor, points: Tensor, labels: Tensor) -> Tensor:
    """Make the cell under a first click similar to its object's cells, and to no others.

    embeddings (B, C, h, w) of length one, targets (B, K, h, w), points (B, K, P, 2) in pixels,
    labels (B, K, P). Prompts that begin with a box have no part in it.
    """
    batch, prompts, height, width = targets.shape
    cells = (points[:, :, 0] / CELL).long()
    place = cells[..., 1].clamp(0, height - 1) * width + cells[..., 0].clamp(0, width - 1)
    flat = embeddings.flatten(2)
    clicked = flat.gather(2, place[:, None].expand(-1, flat.shape[1], -1))
    similar = torch.einsum("bck,bcp->bkp", clicked, flat).view(batch, prompts, height, width)
    loss = balanced_cross_entropy(_AFFINITY_SHARPNESS * (similar - 0.5), targets)
    on_object = (labels[:, :, 0] == 1).float()
    return (loss * on_object).sum() / on_object.sum().clamp(min=1)
