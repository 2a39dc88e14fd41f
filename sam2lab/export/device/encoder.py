"""Rewire the encoder, Hiera and its neck, for accelerators."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn

from sam2lab.export.device.layout import (
    arranged,
    by_channels_first,
    double,
    from_windows,
    in_one,
    join_heads,
    linear,
    padded_windows,
    pixelwise,
    pool,
    scaled,
    sizes,
    split_heads,
    split_keys,
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
        # What reads the end of each stage.
        self.heads = nn.ModuleList(
            [
                in_one(laterals[0], decoder.conv_s0),
                in_one(laterals[1], decoder.conv_s1),
                *map(pixelwise, laterals[2:]),
            ]
        )
        if model.directly_add_no_mem_embed:
            # Both are added to every pixel.
            with torch.no_grad():
                self.heads[2].bias += model.no_mem_embed.flatten()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = by_channels_first(self.patch_embed, image) + self.pos_embed
        _, height, width, _ = sizes(x)
        stages: list[Tensor] = []
        for index, block in enumerate(self.blocks):
            if block.window:
                # What attends everywhere takes tokens in any order, and all else looks at one.
                x = arranged(x, block.window, height, width)
            x = block(x)
            if block.pools:
                height, width = height // 2, width // 2
            if index in self.stage_ends:
                head = self.heads[len(stages)]
                stages.append(arranged(head(x), 0, height, width))
        fine, middle, embed, coarse = stages
        return fine, middle, embed + double(coarse, *sizes(embed)[1:3])


class DeviceBlock(nn.Module):
    """A block of the trunk on a map (1, h, w, C), or on the windows that it attends within."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        attn = block.attn
        self.window, self.pools, self.heads = block.window_size, bool(block.pool), attn.num_heads
        self.norm1, self.norm2 = block.norm1, block.norm2
        q, k, v = attn.qkv.weight.chunk(3)
        q_bias, _, v_bias = attn.qkv.bias.chunk(3)
        none = torch.zeros_like(v_bias)
        self.q = scaled(linear(q, q_bias), attn.dim_out // attn.num_heads)
        # Softmax ignores what all scores of a query have in common, so keys need no bias. Its
        # weights sum to one, so the values' bias is the same after it.
        self.k, self.v = linear(k, none), linear(v, none)
        self.proj = linear(attn.proj.weight, attn.proj.bias + attn.proj.weight @ v_bias)
        self.widen = block.proj if block.dim != block.dim_out else None
        self.fc1, self.fc2 = block.mlp.layers

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm1(x)
        if self.widen is not None:
            x = self.widen(normed)
            x = pool(x) if self.pools else x
        x = x + self.attend(normed)
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))

    def attend(self, x: Tensor) -> Tensor:
        """Attention, everywhere or within windows.

        Keys and values of tokens beyond the map are zeros, because they have no bias. What their
        queries find is cut off.
        """
        q, k, v = self.q(x), self.k(x), self.v(x)
        q = pool(q) if self.pools else q
        _, height, width, channels = sizes(q)
        # Windows have an even side, so that pooling before is pooling within them.
        side = self.window // 2 if self.pools else self.window
        moves = side and (height, width) != (side, side)
        if moves:
            k, v = padded_windows(k, self.window), padded_windows(v, self.window)
            q = padded_windows(q, side)
        shape, count = sizes(q), sizes(q)[0] if side else 1
        q, k, v = (each.reshape(count, -1, channels) for each in (q, k, v))
        scores = split_heads(q, self.heads) @ split_keys(k, self.heads)
        attended = torch.softmax(scores, dim=-1) @ split_heads(v, self.heads)
        attended = self.proj(join_heads(attended).reshape(shape))
        if not moves:
            return attended
        whole = from_windows(attended, -(-height // side) * side, -(-width // side) * side)
        return whole if sizes(whole)[1:3] == (height, width) else whole[:, :height, :width]
