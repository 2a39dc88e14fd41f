"""The geometry warm-up: the decoder learns where a prompt is, before it sees any picture.

On noise instead of features, a box must give its rectangle and a click a disc around it. Two
minutes of this teach the decoder what coordinates mean. Without it, training on pictures spends
its first thousands of steps on that, and the encoder learns nothing meanwhile.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sam2lab.train.batches import BOX_CORNERS, CELL, NOT_A_POINT
from sam2lab.train.trainable import FeatureMaps, TrainableModel

_STRIDES = (16, 8, 4)


def draw_shapes(generator: torch.Generator, count: int, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Draw prompts and their masks: points (K, 2, 2), labels (K, 2), targets (K, h, w).

    The first half are boxes, the others single clicks.
    """
    grid = (torch.arange(side // CELL) + 0.5) * CELL
    x, y = grid[None, None, :], grid[None, :, None]
    boxes = count // 2

    corners = torch.rand(boxes, 2, 2, generator=generator).sort(1).values * side
    low, high = corners[:, 0, :, None, None], corners[:, 1, :, None, None]
    rectangles = (x >= low[:, 0]) & (x <= high[:, 0]) & (y >= low[:, 1]) & (y <= high[:, 1])

    centres = torch.rand(count - boxes, 2, generator=generator) * side
    away = (x - centres[:, 0, None, None]) ** 2 + (y - centres[:, 1, None, None]) ** 2
    discs = away <= (side / 6) ** 2

    clicks = torch.stack([centres, torch.zeros_like(centres)], 1)
    labels = torch.tensor([BOX_CORNERS] * boxes + [(1, NOT_A_POINT)] * (count - boxes))
    targets = torch.cat([rectangles, discs]).float()
    return torch.cat([corners, clicks]), labels.int(), targets


def draw_noise(
    generator: torch.Generator, model: TrainableModel, count: int, side: int
) -> FeatureMaps:
    """Draw feature maps of noise, as large in value as those of pictures."""
    widths = [head.in_channels for head in model.affinity]
    return FeatureMaps(
        *(
            torch.randn(count, width, side // stride, side // stride, generator=generator) / 2
            for width, stride in zip(widths, _STRIDES, strict=True)
        )
    )
