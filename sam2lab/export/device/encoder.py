"""Rewire the encoder, Hiera and its neck, for accelerators."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn

from sam2lab.export.device.layout import (
    by_channels_first,
    double,
    from_windows,
    in_one,
    join_heads,
    linear,
    pixelwise,
    pool,
    scaled,
    sizes,
    split_heads,
    split_keys,
    to_windows,
)
from sam2lab.export.token_order import Size


class DeviceEncoder(nn.Module):
    """`image` (1, H, W, 3), normalised RGB → `high_res_feats_0, high_res_feats_1, image_embed`.

    With (h, w) = (H/16, W/16) and the model's width C, the outputs are (1, 4h, 4w, C/8),
    (1, 2h, 2w, C/4) and (1, h, w, C): those of `sam2lab.export.encoder.Encoder` with channels last.
    """

    def __init__(self, model: SAM2Base, input_size: Size) -> None:
        super().__init__()
        trunk, neck = model.image_encoder.trunk, model.image_encoder.neck
        decoder = model.sam_mask_decoder
        if model.image_encoder.scalp != 1 or set(neck.fpn_top_down_levels) != {2, 3}:
            raise ValueError(
                f"the model's neck has scalp {model.image_encoder.scalp} and top-down levels "
                f"{neck.fpn_top_down_levels}; device graphs are made of models with 1 and [2, 3]"
            )
        self.patch_embed = trunk.patch_embed.proj
        grid = input_size[0] // 4, input_size[1] // 4
        self.pos_embed = nn.Buffer(trunk._get_pos_embed(grid).detach())
        self.blocks = nn.ModuleList(map(DeviceBlock, trunk.blocks))
        self.stage_ends = trunk.stage_ends
        laterals = [each.conv for each in list(neck.convs)[::-1]]
        self.conv_s0 = in_one(laterals[0], decoder.conv_s0)
        self.conv_s1 = in_one(laterals[1], decoder.conv_s1)
        self.lateral_2, self.lateral_3 = pixelwise(laterals[2]), pixelwise(laterals[3])
        if model.directly_add_no_mem_embed:
            # Both are added to every pixel.
            with torch.no_grad():
                self.lateral_2.bias += model.no_mem_embed.flatten()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = by_channels_first(self.patch_embed, image) + self.pos_embed
        stages = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.stage_ends:
                stages.append(x)
        coarse = double(self.lateral_3(stages[3]), *sizes(stages[2])[1:3])
        embed = self.lateral_2(stages[2]) + coarse
        return self.conv_s0(stages[0]), self.conv_s1(stages[1]), embed


class DeviceBlock(nn.Module):
    """A block of the trunk on a map (1, h, w, C)."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        attn = block.attn
        self.window, self.pools, self.heads = block.window_size, bool(block.pool), attn.num_heads
        self.norm1, self.norm2 = block.norm1, block.norm2
        q, k, v = map(linear, attn.qkv.weight.chunk(3), attn.qkv.bias.chunk(3))
        self.q, self.k, self.v = scaled(q, attn.dim_out // attn.num_heads), k, v
        self.proj = attn.proj
        self.widen = block.proj if block.dim != block.dim_out else None
        self.fc1, self.fc2 = block.mlp.layers

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm1(x)
        if self.widen is not None:
            x = self.widen(normed)
            x = pool(x) if self.pools else x
        attended = self.attend(normed)
        _, height, width, _ = sizes(x)
        if sizes(attended)[1:3] != (height, width):
            attended = attended[:, :height, :width]
        x = x + attended
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))

    def attend(self, x: Tensor) -> Tensor:
        """Attention, everywhere or within windows, whose tokens beyond the map are zeros."""
        _, height, width, _ = sizes(x)
        if self.window:
            beyond = -width % self.window, -height % self.window
            if any(beyond):
                x = F.pad(x, (0, 0, 0, beyond[0], 0, beyond[1]))
        # Windows have an even side, so that pooling before is pooling within them.
        q = pool(self.q(x)) if self.pools else self.q(x)
        _, height, width, _ = sizes(q)
        side = self.window // 2 if self.pools else self.window
        queries = split_heads(_tokens(q, side), self.heads)
        keys = split_keys(_tokens(self.k(x), self.window), self.heads)
        values = split_heads(_tokens(self.v(x), self.window), self.heads)
        attended = self.proj(join_heads(torch.softmax(queries @ keys, dim=-1) @ values))
        if side:
            return from_windows(attended, side, height, width)
        return attended.reshape(1, height, width, -1)


def _tokens(x: Tensor, window: int) -> Tensor:
    """(1, h, w, C) → (windows, tokens, C), or one window of the whole map if `window` is 0."""
    return to_windows(x, window) if window else x.reshape(1, -1, sizes(x)[-1])
