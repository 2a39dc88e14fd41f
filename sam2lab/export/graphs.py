"""The two modules that become ONNX graphs: SAM 2's own layers, wired for export.

They hold the model's own submodules, so nothing is copied and nothing is patched. What differs
from upstream's wiring is what a graph should not carry: sizes are Python integers, so that the
batch is all a reshape has to find out; positional encodings are constants; the neck's nearest
upsampling is a broadcast addition; and an image is never repeated per prompt, because a batch of
one broadcasts. Every block is a module of its own, which gives its tensors stable names
(`/blocks.3/Add_1_output_0` leaves block 3 of the encoder).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn

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
        x = _attend(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), width)
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
        if grid != (2 * height, 2 * width):
            odd = (0, 2 * width - grid[1], 0, 2 * height - grid[0])
            fine, coarse = F.pad(fine, odd), F.pad(coarse, odd, mode="replicate")
        fine = fine.reshape(-1, self.width, height, 2, width, 2)
        fine = fine + coarse.reshape(-1, self.width, height, 1, width, 1)
        return _crop(fine.reshape(-1, self.width, 2 * height, 2 * width), grid, dim=2)


class Decoder(nn.Module):
    """Prompts for L objects → logits and predicted IoU of the four mask tokens.

    With (h, w) = (H/16, W/16): the features have a batch of 1, one image for all objects, or of
    L, an image each. `point_coords` (L, P, 2) is (x, y) in model-input pixels. `point_labels`
    (L, P) is 1 and 0 for clicks, 2 and 3 for a box's corners, -1 for "not a point", as floats.
    `mask_input` (M, 1, 4h, 4w) counts where `has_mask_input` (N) is 1, not where it is 0; M and N
    are 1 or L. P may be 0, for a mask alone.

    Returned are `masks` (L, 3, 4h, 4w) and `iou_predictions` (L, 3) of the tokens 1 to 3, then
    `single_mask` (L, 1, 4h, 4w) and `single_iou` (L, 1) of token 0. Logits are not clamped:
    upstream enlarges first and clamps to ±32 afterwards, which a caller can do and not undo.
    """

    def __init__(self, model: SAM2Base, input_size: Size) -> None:
        super().__init__()
        prompts, decoder = model.sam_prompt_encoder, model.sam_mask_decoder
        self.points = PointEmbedding(prompts, input_size)
        self.masks = MaskEmbedding(prompts)
        image_pe = prompts.get_dense_pe().flatten(2).transpose(1, 2)
        self.transformer = TwoWay(decoder, image_pe.detach().contiguous())
        self.heads = MaskHeads(decoder, (input_size[0] // 16, input_size[1] // 16))

    def forward(
        self,
        image_embed: Tensor,
        high_res_feats_0: Tensor,
        high_res_feats_1: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        points = self.points(point_coords, point_labels)
        image = image_embed + self.masks(mask_input, has_mask_input)
        tokens, image = self.transformer(points, image)
        return self.heads(tokens, image, high_res_feats_0, high_res_feats_1)


class PointEmbedding(nn.Module):
    """Points (L, P, 2) and labels (L, P) → (L, P + 1, C), or (L, 0, C) where P is 0."""

    def __init__(self, prompts: nn.Module, input_size: Size) -> None:
        super().__init__()
        height, width = input_size
        self.image_size = nn.Buffer(torch.tensor([width, height], dtype=torch.float32))
        self.frequencies = nn.Buffer(prompts.pe_layer.positional_encoding_gaussian_matrix)
        rows = [prompts.not_a_point_embed, *prompts.point_embeddings]
        self.by_label = nn.Buffer(torch.cat([row.weight for row in rows]).detach())
        self.labels = nn.Buffer(torch.arange(len(rows), dtype=torch.float32) - 1)

    def forward(self, coords: Tensor, labels: Tensor) -> Tensor:
        # Upstream appends one padding point, and none where there is no point to pad. Its stand-in
        # is the first point with another label: the slice is empty where there is none.
        coords = torch.cat([coords, coords[:, :1]], dim=1)
        labels = torch.cat([labels, labels[:, :1] * 0 - 1], dim=1).unsqueeze(-1)
        angles = (2 * ((coords + 0.5) / self.image_size) - 1) @ self.frequencies
        angles = 2 * math.pi * angles
        position = torch.cat([angles.sin(), angles.cos()], dim=-1)
        # One row of the table per point, by a product: exact, and an unknown label adds nothing.
        return position * (labels != -1) + (labels == self.labels).float() @ self.by_label


class MaskEmbedding(nn.Module):
    """Masks (M, 1, 4h, 4w), which count where `has_mask` (N) is 1 → (M or N, C, h, w)."""

    def __init__(self, prompts: nn.Module) -> None:
        super().__init__()
        self.mask_downscaling = prompts.mask_downscaling
        self.no_mask = nn.Buffer(prompts.no_mask_embed.weight.detach().reshape(1, -1, 1, 1))

    def forward(self, masks: Tensor, has_mask: Tensor) -> Tensor:
        # Not left as (N): with L = 2 that would broadcast against the width of the mask.
        has_mask = has_mask.reshape(-1, 1, 1, 1)
        return has_mask * self.mask_downscaling(masks) + (1 - has_mask) * self.no_mask


class TwoWay(nn.Module):
    """The two-way transformer: points (L, P, C), image (1 or L, C, h, w) → tokens and image.

    The tokens (L, 6 + P, C) are objectness, IoU, four masks and the points; the image (L, h * w,
    C) is the last thing to get a batch of L where it came with 1.
    """

    def __init__(self, decoder: nn.Module, image_pe: Tensor) -> None:
        super().__init__()
        transformer = decoder.transformer
        self.image_pe = nn.Buffer(image_pe)
        self.pixels, self.width = image_pe.shape[1:]
        rows = [decoder.obj_score_token] if decoder.pred_obj_scores else []
        rows += [decoder.iou_token, decoder.mask_tokens]
        self.output_tokens = nn.Buffer(torch.cat([row.weight for row in rows]).detach()[None])
        self.layers = nn.ModuleList(TwoWayLayer(layer) for layer in transformer.layers)
        self.final_attn = Attention(transformer.final_attn_token_to_image)
        self.norm_final_attn = transformer.norm_final_attn

    def forward(self, points: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        outputs = self.output_tokens.repeat(points.shape[0], 1, 1)
        prompt = torch.cat([outputs, points], dim=1)
        tokens, image = prompt, image.reshape(-1, self.width, self.pixels).transpose(1, 2)
        for layer in self.layers:
            tokens, image = layer(tokens, image, prompt, self.image_pe)
        attended = self.final_attn(tokens + prompt, image + self.image_pe, image)
        return self.norm_final_attn(tokens + attended), image


class TwoWayLayer(nn.Module):
    """Tokens attend to themselves, then to the image, then the image to them."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.self_attn = Attention(layer.self_attn)
        self.token_to_image = Attention(layer.cross_attn_token_to_image)
        self.image_to_token = Attention(layer.cross_attn_image_to_token)

    def forward(
        self, tokens: Tensor, image: Tensor, prompt: Tensor, image_pe: Tensor
    ) -> tuple[Tensor, Tensor]:
        layer = self.layer
        if layer.skip_first_layer_pe:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            asking = tokens + prompt
            tokens = tokens + self.self_attn(asking, asking, tokens)
        tokens = layer.norm1(tokens)
        pixels = image + image_pe
        tokens = layer.norm2(tokens + self.token_to_image(tokens + prompt, pixels, image))
        tokens = layer.norm3(tokens + layer.mlp(tokens))
        image = layer.norm4(image + self.image_to_token(pixels, tokens + prompt, tokens))
        return tokens, image


class Attention(nn.Module):
    """Upstream's attention over (L, tokens, C), where a batch of 1 is broadcast, not repeated."""

    def __init__(self, attn: nn.Module) -> None:
        super().__init__()
        self.attn = attn
        self.split = attn.num_heads, attn.internal_dim // attn.num_heads

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        attn = self.attn
        q = Regroup.apply(attn.q_proj(q), self.split).transpose(1, 2)
        k = Regroup.apply(attn.k_proj(k), self.split).transpose(1, 2)
        v = Regroup.apply(attn.v_proj(v), self.split).transpose(1, 2)
        x = _attend(q, k, v, self.split[1]).transpose(1, 2)
        return attn.out_proj(Regroup.apply(x, (attn.internal_dim,)))


class Regroup(torch.autograd.Function):
    """Reshape all but the first two dimensions.

    ONNX can say "as it was" of a dimension and torch cannot: left to the exporter, each of these
    reshapes drags seven nodes along that find the two sizes out at run time.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, sizes: Sequence[int]) -> Tensor:
        return x.reshape(*x.shape[:2], *sizes)

    @staticmethod
    def symbolic(g: Any, x: Any, sizes: Sequence[int]) -> Any:
        return g.op("Reshape", x, g.op("Constant", value_t=torch.tensor([0, -1, *sizes])))


class MaskHeads(nn.Module):
    """Tokens (L, 6 + P, C) and image (L, h * w, C) → the decoder's four outputs."""

    def __init__(self, decoder: nn.Module, embed_size: Size) -> None:
        super().__init__()
        self.embed_size = embed_size
        self.width = decoder.transformer_dim
        self.iou_token = 1 if decoder.pred_obj_scores else 0
        self.upscaling = decoder.output_upscaling
        self.hypernetworks = decoder.output_hypernetworks_mlps
        self.iou_head = decoder.iou_prediction_head

    def forward(
        self, tokens: Tensor, image: Tensor, high_res_feats_0: Tensor, high_res_feats_1: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        height, width = self.embed_size
        grow1, norm, act1, grow2, act2 = self.upscaling
        image = image.transpose(1, 2).reshape(-1, self.width, height, width)
        image = act1(norm(grow1(image) + high_res_feats_1))
        image = act2(grow2(image) + high_res_feats_0)
        image = image.reshape(-1, self.width // 8, 16 * height * width)
        kernels = torch.stack(
            [head(tokens[:, self.iou_token + 1 + i]) for i, head in enumerate(self.hypernetworks)],
            dim=1,
        )
        scores = self.iou_head(tokens[:, self.iou_token])
        masks = (kernels @ image).reshape(-1, len(self.hypernetworks), 4 * height, 4 * width)
        return masks[:, 1:], scores[:, 1:], masks[:, :1], scores[:, :1]


def _attend(q: Tensor, k: Tensor, v: Tensor, width: int) -> Tensor:
    """Scaled dot-product attention over (..., tokens, width)."""
    return torch.softmax((q * width**-0.5) @ k.transpose(-2, -1), dim=-1) @ v


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
