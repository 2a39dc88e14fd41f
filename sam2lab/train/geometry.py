"""The decoder's first lesson, before any picture: where a prompt is.

On noise instead of features, a box must give its rectangle and a click a disc around it. Two
minutes of this and the decoder knows what coordinates mean; without it, training on pictures
spends its first thousands of steps there, and the encoder learns nothing meanwhile.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sam2lab.train.lessons import BOX_CORNERS, CELL, NOT_A_POINT
from sam2lab.train.pupil import Levels, Pupil

_STRIDES = (16, 8, 4)


def draw_shapes(generator: torch.Generator, count: int, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Prompts and what they must give: points (K, 2, 2), labels (K, 2), targets (K, h, w).

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


def noise(generator: torch.Generator, pupil: Pupil, count: int, side: int) -> Levels:
    """Feature maps that say nothing, at the scale of those that do."""
    widths = [head.in_channels for head in pupil.affinity]
    return Levels(
        *(
            torch.randn(count, width, side // stride, side // stride, generator=generator) / 2
            for width, stride in zip(widths, _STRIDES, strict=True)
        )
    )
