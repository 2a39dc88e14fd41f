"""The encoder's graph: Hiera and its neck, wired for export.

Built of the model's own layers: nothing is copied and nothing is patched. What differs from
upstream's wiring is what a graph should not carry. Sizes are Python integers, so that the batch is
all a reshape has to find out; position encodings are constants; the neck's nearest upsampling is a
broadcast addition. Each block is a module of its own, which gives its tensors stable names:
`/blocks.3/Add_1_output_0` leaves block 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn

from sam2lab.export.attention import attend

Size = tuple[int, int]


class Encoder(nn.Module):
    """`image` (B, 3, H, W), normalised RGB → `high_res_feats_0, high_res_feats_1, image_embed`.

    With (h, w) = (H/16, W/16) and C the model's width the outputs are (B, C/8, 4h, 4w),
    (B, C/4, 2h, 2w) and (B, C, h, w). The decoder's 1x1 projections and the embedding that
    stands for "no memory" are already applied.
    """

    def __init__(self, model: SAM2Base, input_size: Size) -> None:
        super().__init__()
        trunk = model.image_encoder.trunk
        grid = input_size[0] // 4, input_size[1] // 4
        self.patch_embed = trunk.patch_embed
        self.pos_embed = nn.Buffer(trunk._get_pos_embed(grid).detach())
        self.blocks = nn.ModuleList()
        self.stage_ends = trunk.stage_ends
        stage_grids = []
        for index, block in enumerate(trunk.blocks):
            self.blocks.append(HieraBlock(block, grid))
            grid = self.blocks[-1].grid_out
            if index in self.stage_ends:
                stage_grids.append(grid)
        self.neck = Neck(model.image_encoder.neck, stage_grids)
        self.embed_level = len(stage_grids) - 1 - model.image_encoder.scalp
        self.conv_s0 = model.sam_mask_decoder.conv_s0
        self.conv_s1 = model.sam_mask_decoder.conv_s1
        self.no_mem_embed = model.no_mem_embed if model.directly_add_no_mem_embed else None

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.patch_embed(image) + self.pos_embed
        stages = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.stage_ends:
                stages.append(x.permute(0, 3, 1, 2))
        levels = self.neck(stages)
        embed = levels[self.embed_level]
        if self.no_mem_embed is not None:
            embed = embed + self.no_mem_embed.reshape(1, -1, 1, 1)
        return self.conv_s0(levels[0]), self.conv_s1(levels[1]), embed


class HieraBlock(nn.Module):
    """One block of the trunk on tokens (B, h, w, C) of the known grid (h, w)."""

    def __init__(self, block: nn.Module, grid: Size) -> None:
        super().__init__()
        self.block = block
        self.grid = grid
        self.step = 2 if block.pool else 1
        self.grid_out = grid[0] // self.step, grid[1] // self.step

    def forward(self, x: Tensor) -> Tensor:
        block, window = self.block, self.block.window_size
        normed = block.norm1(x)
        shortcut = _pool(block.proj(normed), block.pool) if block.dim != block.dim_out else x
        if window:
            windows = _partition(normed, self.grid, window, block.dim)
            windows = self.attention(windows, (window, window))
            rows, columns = (-(-side // window) for side in self.grid)
            attended = _unpartition(
                windows, (rows, columns), self.grid_out, window // self.step, block.dim_out
            )
        else:
            attended = self.attention(normed, self.grid)
        x = shortcut + attended
        return x + block.mlp(block.norm2(x))

    def attention(self, x: Tensor, size: Size) -> Tensor:
        """Self-attention within each map (h, w) of a batch (N, h, w, C); queries are pooled."""
        attn = self.block.attn
        heads, width = attn.num_heads, attn.dim_out // attn.num_heads
        size_out = size[0] // self.step, size[1] // self.step
        q, k, v = attn.qkv(x).split(attn.dim_out, dim=-1)
        q = _pool(q, attn.q_pool).reshape(-1, size_out[0] * size_out[1], heads, width)
        k = k.reshape(-1, size[0] * size[1], heads, width)
        v = v.reshape(-1, size[0] * size[1], heads, width)
        x = attend(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), width)
        return attn.proj(x.transpose(1, 2).reshape(-1, *size_out, attn.dim_out))


class Neck(nn.Module):
    """The stages' maps (B, C_i, h_i, w_i), finest first → as many levels of one width."""

    def __init__(self, neck: nn.Module, grids: Sequence[Size]) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(list(neck.convs)[::-1])
        self.grids = grids
        self.width = neck.d_model
        self.top_down_levels = neck.fpn_top_down_levels

    def forward(self, stages: Sequence[Tensor]) -> list[Tensor]:
        levels: list[Tensor] = []
        for level in reversed(range(len(stages))):
            x = self.laterals[level](stages[level])
            if levels and level in self.top_down_levels:
                x = self.add_upsampled(x, levels[0], self.grids[level])
            levels.insert(0, x)
        return levels

    def add_upsampled(self, fine: Tensor, coarse: Tensor, grid: Size) -> Tensor:
        """Add to each two by two pixels of `fine` (B, C, h, w) one of `coarse`.

        Where h or w is odd, the last row or column of `coarse` serves for three.
        """
        height, width = -(-grid[0] // 2), -(-grid[1] // 2)
        odd = grid != (2 * height, 2 * width)
        if odd:
            missing = 0, 2 * width - grid[1], 0, 2 * height - grid[0]
            fine, coarse = F.pad(fine, missing), F.pad(coarse, missing, mode="replicate")
        fine = fine.reshape(-1, self.width, height, 2, width, 2)
        fine = fine + coarse.reshape(-1, self.width, height, 1, width, 1)
        fine = fine.reshape(-1, self.width, 2 * height, 2 * width)
        return _crop(fine, grid, dim=2) if odd else fine


def _pool(x: Tensor, layer: nn.Module | None) -> Tensor:
    """Max pooling of channels-last maps (N, h, w, C), where there is a layer for it."""
    return x if layer is None else layer(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def _partition(x: Tensor, grid: Size, window: int, channels: int) -> Tensor:
    """(B, h, w, C) → windows (B * n, window, window, C), padded with zeros where they stand out."""
    rows, columns = -(-grid[0] // window), -(-grid[1] // window)
    below, right = rows * window - grid[0], columns * window - grid[1]
    if below or right:
        x = F.pad(x, (0, 0, 0, right, 0, below))
    x = x.reshape(-1, rows, window, columns, window, channels).transpose(2, 3)
    return x.reshape(-1, window, window, channels)


def _unpartition(x: Tensor, windows: Size, grid: Size, window: int, channels: int) -> Tensor:
    """`windows` rows and columns of windows (B * n, window, window, C) → (B, h, w, C)."""
    rows, columns = windows
    x = x.reshape(-1, rows, columns, window, window, channels).transpose(2, 3)
    x = x.reshape(-1, rows * window, columns * window, channels)
    return _crop(x, grid, dim=1) if grid != (rows * window, columns * window) else x


def _crop(x: Tensor, grid: Size, dim: int) -> Tensor:
    """Keep the first rows and columns, dimensions `dim` and `dim + 1`."""
    return x.narrow(dim, 0, grid[0]).narrow(dim + 1, 0, grid[1])
