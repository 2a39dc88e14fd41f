"""Build the encoder's graph: Hiera and its neck.

It is made of the model's own layers and weights, and leaves out what a graph need not carry. Sizes
are Python integers, so that a reshape finds out only the batch at run time. Position encodings are
constants. The neck's nearest upsampling is a broadcast addition. Two linear layers in a row are
one. Each block is a module of its own, which gives its tensors stable names: the last tensor of
`/blocks.3/` is the output of block 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn

from sam2lab.export.hiera import HieraBlock
from sam2lab.export.rows import in_one
from sam2lab.export.token_order import Order, Size, orders

# The first stage whose map goes through the neck. Finer ones go to the decoder's convolutions.
_COARSE = 2


class Encoder(nn.Module):
    """`image` (B, 3, H, W), normalised RGB → `high_res_feats_0, high_res_feats_1, image_embed`.

    With (h, w) = (H/16, W/16) and the model's width C, the outputs are (B, C/8, 4h, 4w),
    (B, C/4, 2h, 2w) and (B, C, h, w). They include the decoder's 1x1 projections and the embedding
    that stands for "no memory".
    """

    def __init__(self, model: SAM2Base, input_size: Size) -> None:
        super().__init__()
        trunk, neck = model.image_encoder.trunk, model.image_encoder.neck
        self.grid = input_size[0] // 4, input_size[1] // 4
        self.patch_embed = trunk.patch_embed
        self.pos_embed = nn.Buffer(trunk._get_pos_embed(self.grid).detach())
        self.stage_ends = trunk.stage_ends
        blocks = list(trunk.blocks)
        windows, pools = [b.window_size for b in blocks], [bool(b.pool) for b in blocks]
        chosen = orders(windows, pools, self.grid)
        self.blocks = nn.ModuleList(map(HieraBlock, blocks, chosen))
        laterals = list(neck.convs)[::-1]
        decoder = model.sam_mask_decoder
        self.conv_s0 = in_one(laterals[0].conv, decoder.conv_s0)
        self.conv_s1 = in_one(laterals[1].conv, decoder.conv_s1)
        grids = [self.blocks[end].order_out.grid for end in self.stage_ends]
        self.neck = Neck(neck, grids)
        self.embed_level = len(grids) - 1 - model.image_encoder.scalp
        self.no_mem_embed = model.no_mem_embed if model.directly_add_no_mem_embed else None

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        order: Order = self.blocks[0].order
        x = order.arrange(self.patch_embed(image) + self.pos_embed)
        stages = []
        for index, block in enumerate(self.blocks):
            if block.order != order:
                x = block.order.arrange(order.restore(x))
            x, order = block(x), block.order_out
            if index in self.stage_ends:
                stages.append((x, order))
        fine = [
            _map(conv(x), order)
            for conv, (x, order) in zip((self.conv_s0, self.conv_s1), stages, strict=False)
        ]
        embed = self.neck([_map(*stage) for stage in stages[_COARSE:]])[self.embed_level - _COARSE]
        if self.no_mem_embed is not None:
            embed = embed + self.no_mem_embed.reshape(1, -1, 1, 1)
        return fine[0], fine[1], embed

    def map_steps(self) -> dict[str, dict[str, list[int]]]:
        """For each block, the steps that turn its output into a map, see `Order.map_steps`."""
        return {
            f"blocks.{index}": block.order_out.map_steps(block.dim)
            for index, block in enumerate(self.blocks)
        }


class Neck(nn.Module):
    """The coarse stages' maps (B, C_i, h_i, w_i), finest first → as many levels of one width.

    `grids` are the maps' sizes for all stages.
    """

    def __init__(self, neck: nn.Module, grids: Sequence[Size]) -> None:
        super().__init__()
        if min(neck.fpn_top_down_levels, default=_COARSE) < _COARSE:
            raise ValueError(
                f"the model's neck has top-down levels {neck.fpn_top_down_levels}, but the export "
                f"takes levels below {_COARSE} as they come from their stage"
            )
        # The names are upstream's numbers of the stages.
        laterals = list(neck.convs)[::-1]
        self.laterals = nn.ModuleDict(
            {str(level): laterals[level] for level in range(_COARSE, len(grids))}
        )
        self.grids = grids
        self.width = neck.d_model
        self.top_down_levels = neck.fpn_top_down_levels

    def forward(self, stages: Sequence[Tensor]) -> list[Tensor]:
        levels: list[Tensor] = []
        for level in reversed(range(_COARSE, len(self.grids))):
            x = self.laterals[str(level)](stages[level - _COARSE])
            if levels and level in self.top_down_levels:
                x = self.add_upsampled(x, levels[0], self.grids[level])
            levels.insert(0, x)
        return levels

    def add_upsampled(self, fine: Tensor, coarse: Tensor, grid: Size) -> Tensor:
        """Add each pixel of `coarse` to two by two pixels of `fine` (B, C, h, w).

        If h or w is odd, the last row or column of `coarse` is added to three of `fine`.
        """
        height, width = -(-grid[0] // 2), -(-grid[1] // 2)
        odd = grid != (2 * height, 2 * width)
        if odd:
            missing = 0, 2 * width - grid[1], 0, 2 * height - grid[0]
            fine, coarse = F.pad(fine, missing), F.pad(coarse, missing, mode="replicate")
        fine = fine.reshape(-1, 2, width, 2) + coarse.reshape(-1, 1, width, 1)
        fine = fine.reshape(-1, self.width, 2 * height, 2 * width)
        return fine[:, :, : grid[0], : grid[1]] if odd else fine


def _map(rows: Tensor, order: Order) -> Tensor:
    """Rows of tokens → (B, C, h, w)."""
    return order.restore(rows).permute(0, 3, 1, 2)
