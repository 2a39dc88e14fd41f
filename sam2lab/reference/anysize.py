"""Hiera and its neck for every input size that is a multiple of 16.

Upstream takes multiples of 32. With an odd multiple of 16 (720 = 45 * 16) three things break. Each
is repaired so that for multiples of 32 the results are bit-identical to upstream's:

- The windowed position embedding does not tile. It is tiled once more and cropped.
- A pooling block miscounts the windows where one row or column is left over (at 688 = 43 * 16, not
  at 752 = 47 * 16). That row is alone in its window, no other token sees it, and pooling drops it.
  Here it is dropped one step earlier.
- The neck's top-down map (22 rows) doubles to 44 rows, one short of 45. Its last row is repeated.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from sam2.modeling.backbones.hieradet import Hiera, MultiScaleBlock
from sam2.modeling.backbones.image_encoder import FpnNeck
from torch import Tensor

from sam2lab.runtime.arguments import height_and_width

STEP = 16
SMALLEST = 64


def check_input_size(input_size: tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) as plain ints, or refuse it and name the nearest sizes that work.

    >>> check_input_size((720, 1280))
    (720, 1280)
    >>> check_input_size((700, 1280))
    Traceback (most recent call last):
        ...
    ValueError: input_size is (700, 1280), but height and width must be multiples of 16 and at \
least 64; the nearest that work are (688, 1280) and (704, 1280)
    """
    height, width = height_and_width("input_size", input_size)
    if all(side % STEP == 0 and side >= SMALLEST for side in (height, width)):
        return height, width
    below = tuple(max(SMALLEST, side // STEP * STEP) for side in (height, width))
    above = tuple(max(SMALLEST, -(-side // STEP) * STEP) for side in (height, width))
    nearest = f"nearest that works is {above}"
    if below != above:
        nearest = f"nearest that work are {below} and {above}"
    raise ValueError(
        f"input_size is {(height, width)}, but height and width must be multiples of {STEP} and "
        f"at least {SMALLEST}; the {nearest}"
    )


class AnySizeHiera(Hiera):
    """sam2's Hiera, for any multiple of 16."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for index in self.q_pool_blocks:
            self.blocks[index].register_forward_pre_hook(_drop_lone_edge)

    def _get_pos_embed(self, hw: tuple[int, int]) -> Tensor:
        height, width = hw
        window = self.pos_embed_window
        rows, columns = (-(-side // tile) for side, tile in zip(hw, window.shape[2:], strict=True))
        background = F.interpolate(self.pos_embed, size=(height, width), mode="bicubic")
        tiled = window.tile([1, 1, rows, columns])[:, :, :height, :width]
        return (background + tiled).permute(0, 2, 3, 1)


class AnySizeNeck(FpnNeck):
    """sam2's neck, for any multiple of 16, doubling without a resize operator."""

    def forward(self, xs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Take four maps (B, C, h, w), finest first; return features and their positions."""
        features = [conv(x) for conv, x in zip(reversed(self.convs), xs, strict=True)]
        for level in reversed(range(len(xs) - 1)):
            if level in self.fpn_top_down_levels:
                height, width = features[level].shape[2:]
                above = _double(features[level + 1].to(torch.float32), height, width)
                features[level] = features[level] + above
        return features, [self.position_encoding(x).to(x.dtype) for x in features]


def _double(x: Tensor, height: int, width: int) -> Tensor:
    """Nearest-neighbour upsampling by two, with the last row and column repeated if short."""
    batch, channels, h, w = x.shape
    doubled = x[:, :, :, None, :, None].expand(batch, channels, h, 2, w, 2)
    doubled = doubled.reshape(batch, channels, 2 * h, 2 * w)
    if height > 2 * h:
        doubled = torch.cat([doubled, doubled[:, :, -1:]], dim=2)
    if width > 2 * w:
        doubled = torch.cat([doubled, doubled[:, :, :, -1:]], dim=3)
    return doubled


def _drop_lone_edge(block: MultiScaleBlock, inputs: tuple[Tensor]) -> Tensor:
    """Before a pooling block: drop a last row or column that has a window to itself."""
    (x,) = inputs
    height, width = x.shape[1:3]
    if height % block.window_size == 1:
        x = x[:, :-1]
    if width % block.window_size == 1:
        x = x[:, :, :-1]
    return x
