"""Build the decoder's graph: prompts, the two-way transformer and the mask heads.

It is made of the model's own layers and weights, some in another layout; nothing is patched. Maps
are rows of pixels with channels last throughout, so each step is a product, an addition or a
LayerNormalization of what the step before left. Only the incoming features are transposed, once for
all prompts. An image is never repeated per prompt, because a batch of one broadcasts. Position
encodings are constants.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn

from sam2lab.export.attention import Attention, ImageToTokens, Regroup, TokensToImage
from sam2lab.export.token_order import Size
from sam2lab.export.upscaling import Upscaling


class Decoder(nn.Module):
    """Prompts for L objects → logits and predicted IoU of the four mask tokens, and objects.

    (h, w) is (H/16, W/16). The features have a batch of 1, one image for all objects, or of L, an
    image each; `image_embed` may have a batch of L beside finer maps with one of 1. `point_coords`
    (L, P, 2) is (x, y) in model-input pixels. `point_labels` (L, P) is 1 and 0 for clicks, 2 and 3
    for a box's corners, -1 for "not a point", as floats. `mask_input` (M, 1, 4h, 4w) counts where
    `has_mask_input` (N) is 1, not where it is 0; M and N are 1 or L. P may be 0, for a mask alone.

    It returns `masks` (L, 3, 4h, 4w) and `iou_predictions` (L, 3) of the tokens 1 to 3, then
    `single_mask` (L, 1, 4h, 4w) and `single_iou` (L, 1) of token 0, then `object_score_logits`
    (L, 1), above 0 where the object is there, and the `object_pointers` (L, 4, C) of the tokens 0
    to 3. Logits are not clamped: upstream enlarges first and clamps to ±32 afterwards, which a
    caller can do and not undo. Nor are they replaced where the object is not there.
    """

    def __init__(self, model: SAM2Base, input_size: Size) -> None:
        super().__init__()
        prompts, decoder = model.sam_prompt_encoder, model.sam_mask_decoder
        self.points = PointEmbedding(prompts, input_size)
        self.masks = MaskEmbedding(prompts)
        image_pe = prompts.get_dense_pe().flatten(2).transpose(1, 2)
        self.transformer = TwoWay(decoder, image_pe.detach().contiguous())
        self.heads = MaskHeads(decoder, (input_size[0] // 16, input_size[1] // 16))
        self.objects = ObjectHeads(model)

    def forward(
        self,
        image_embed: Tensor,
        high_res_feats_0: Tensor,
        high_res_feats_1: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
    ) -> tuple[Tensor, ...]:
        points = self.points(point_coords, point_labels)
        image = image_embed.flatten(2).transpose(1, 2) + self.masks(mask_input, has_mask_input)
        tokens, image = self.transformer(points, image)
        answers = self.heads(tokens, image, high_res_feats_0, high_res_feats_1)
        return *answers, *self.objects(tokens)


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
        # Upstream appends one padding point, but not if there is no point. The first point with
        # the label -1 serves as one: its slice is empty if there is no point.
        coords = torch.cat([coords, coords[:, :1]], dim=1)
        labels = torch.cat([labels, labels[:, :1] * 0 - 1], dim=1).unsqueeze(-1)
        angles = (2 * ((coords + 0.5) / self.image_size) - 1) @ self.frequencies
        angles = 2 * math.pi * angles
        position = torch.cat([angles.sin(), angles.cos()], dim=-1)
        # A product chooses a row of the table for each point: it is exact, and an unknown label
        # adds nothing.
        return (
            position * (labels != -1)
            + (labels == self.labels).to(self.by_label.dtype) @ self.by_label
        )


class MaskEmbedding(nn.Module):
    """Masks (M, 1, 4h, 4w), which count where `has_mask` (N) is 1 → (M or N, h * w, C)."""

    def __init__(self, prompts: nn.Module) -> None:
        super().__init__()
        *layers, last = prompts.mask_downscaling
        self.mask_downscaling = nn.Sequential(*layers)
        # The last row is what every pixel gets: it is read by a channel that is 1 everywhere.
        kernel = last.weight.detach().flatten(1).transpose(0, 1)
        self.mask = nn.Buffer(torch.cat([kernel, last.bias.detach()[None]]))
        no_mask = prompts.no_mask_embed.weight.detach()
        self.no_mask = nn.Buffer(torch.cat([torch.zeros_like(kernel), no_mask]))

    def forward(self, masks: Tensor, has_mask: Tensor) -> Tensor:
        # The shape (N) would broadcast against the width of the mask.
        has_mask = has_mask.reshape(-1, 1, 1)
        pixels = F.pad(self.mask_downscaling(masks).flatten(2), (0, 0, 0, 1), value=1.0)
        return pixels.transpose(1, 2) @ (has_mask * self.mask + (1 - has_mask) * self.no_mask)


class TwoWay(nn.Module):
    """The two-way transformer: points (L, P, C), image (1 or L, h * w, C) → tokens and image.

    Inside, the tokens (L, 6 + P, C) are objectness, IoU, four masks and the points. It returns
    them without the points, (L, 6, C), because the heads read no others; there are five where the
    model has no token for objectness. An image that came with a batch of 1 gets a batch of L as
    late as possible.
    """

    def __init__(self, decoder: nn.Module, image_pe: Tensor) -> None:
        super().__init__()
        transformer = decoder.transformer
        self.image_pe = nn.Buffer(image_pe)
        rows = [decoder.obj_score_token] if decoder.pred_obj_scores else []
        rows += [decoder.iou_token, decoder.mask_tokens]
        self.output_tokens = nn.Buffer(torch.cat([row.weight for row in rows]).detach()[None])
        self.returned = slice(len(rows) - 1 + decoder.num_mask_tokens)
        pixels = image_pe.shape[1]
        self.layers = nn.ModuleList(TwoWayLayer(layer, pixels) for layer in transformer.layers)
        self.final_attn = TokensToImage(transformer.final_attn_token_to_image)
        self.norm_final_attn = transformer.norm_final_attn

    def forward(self, points: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        outputs = self.output_tokens.repeat(points.shape[0], 1, 1)
        prompt = torch.cat([outputs, points], dim=1)
        tokens = prompt
        for layer in self.layers:
            tokens, image = layer(tokens, image, prompt, self.image_pe)
        tokens, prompt = tokens[:, self.returned], prompt[:, self.returned]
        attended = self.final_attn(tokens + prompt, image + self.image_pe, image)
        return self.norm_final_attn(tokens + attended), image


class TwoWayLayer(nn.Module):
    """Tokens attend to themselves, then to the image, then the image to them."""

    def __init__(self, layer: nn.Module, pixels: int) -> None:
        super().__init__()
        self.layer = layer
        self.self_attn = Attention(layer.self_attn)
        self.token_to_image = TokensToImage(layer.cross_attn_token_to_image)
        self.image_to_token = ImageToTokens(layer.cross_attn_image_to_token, pixels)

    def forward(
        self, tokens: Tensor, image: Tensor, prompt: Tensor, image_pe: Tensor
    ) -> tuple[Tensor, Tensor]:
        layer = self.layer
        if layer.skip_first_layer_pe:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            queries = tokens + prompt
            tokens = tokens + self.self_attn(queries, queries, tokens)
        tokens = layer.norm1(tokens)
        pixels = image + image_pe
        tokens = layer.norm2(tokens + self.token_to_image(tokens + prompt, pixels, image))
        tokens = layer.norm3(tokens + layer.mlp(tokens))
        image = layer.norm4(image + self.image_to_token(pixels, tokens + prompt, tokens))
        return tokens, image


class MaskHeads(nn.Module):
    """Tokens (L, 6, C) and image (L, h * w, C) → the decoder's four answers."""

    def __init__(self, decoder: nn.Module, embed_size: Size) -> None:
        super().__init__()
        self.mask_size = 4 * embed_size[0], 4 * embed_size[1]
        self.upscaling = Upscaling(decoder.output_upscaling, embed_size)
        self.hypernetworks = decoder.output_hypernetworks_mlps
        self.iou_head = decoder.iou_prediction_head
        # After objectness, if the model has it.
        self.iou = int(decoder.pred_obj_scores)

    def forward(
        self, tokens: Tensor, image: Tensor, high_res_feats_0: Tensor, high_res_feats_1: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        image = self.upscaling(image, high_res_feats_0, high_res_feats_1)
        first = self.iou + 1
        kernels = torch.stack(
            [head(tokens[:, first + i]) for i, head in enumerate(self.hypernetworks)], dim=1
        )
        scores = self.iou_head(tokens[:, self.iou])
        masks = kernels @ image.transpose(1, 2)
        masks = masks.reshape(-1, len(self.hypernetworks), *self.mask_size)
        return masks[:, 1:], scores[:, 1:], masks[:, :1], scores[:, :1]


class ObjectHeads(nn.Module):
    """Tokens (L, 6, C) → object scores (L, 1), pointers (L, 4, C) of the four mask tokens."""

    def __init__(self, model: SAM2Base) -> None:
        super().__init__()
        decoder = model.sam_mask_decoder
        self.score_head = decoder.pred_obj_score_head if decoder.pred_obj_scores else None
        first = int(decoder.pred_obj_scores) + 1
        self.masks = slice(first, first + decoder.num_mask_tokens)
        # Without this, upstream makes the pointer of token 0, whichever mask is chosen.
        self.own_tokens = decoder.use_multimask_token_for_obj_ptr
        self.pointer_head, self.width = model.obj_ptr_proj, model.hidden_dim
        self.is_soft, self.is_fixed = model.soft_no_obj_ptr, model.fixed_no_obj_ptr
        absent = getattr(model, "no_obj_ptr", None)
        self.absent = None if absent is None else nn.Buffer(absent.detach())

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        pointers = self.pointer_head(tokens[:, self.masks])
        if not self.own_tokens:
            pointers = pointers[:, :1].expand_as(pointers)
        if self.score_head is None:
            # Upstream's score of a model that never doubts.
            return tokens[:, 0, :1] * 0 + 10, pointers
        score = self.score_head(tokens[:, 0])
        if self.absent is not None:
            there = score.sigmoid() if self.is_soft else (score > 0).to(score.dtype)
            there = there.unsqueeze(-1)
            pointers = (there * pointers if self.is_fixed else pointers) + (1 - there) * self.absent
        # torch's exporter does not see how many tokens a slice of them has.
        return score, Regroup.apply(pointers, (0, self.masks.stop - self.masks.start, self.width))
