"""Rewire the decoder for accelerators: one prompt a call, with empty slots that nothing sees."""

from __future__ import annotations

import torch
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn

from sam2lab.export.device.layout import join_heads, linear, scaled, sizes, split_heads, split_keys
from sam2lab.export.device.prompts import DeviceMasks, DevicePoints
from sam2lab.export.token_order import Size
from sam2lab.export.upscaling import layer_norm

# The score of an empty slot, where the first token has 0. Its weight is at most e^-30, 1e-13, and
# the range of the scores stays small enough for 8 bits and half precision.
ABSENT = -30.0


class DeviceDecoder(nn.Module):
    """One prompt on one photo → logits and predicted IoU of the four mask tokens.

    With (h, w) = (H/16, W/16) and P slots: `image_embed` (1, h, w, C), `high_res_feats_0`
    (1, 4h, 4w, C/8) and `high_res_feats_1` (1, 2h, 2w, C/4) are the encoder's. `point_coords`
    (1, P, 2) is (x, y) in pixels of the model's input, `point_labels` (1, P) is 1 and 0 for clicks,
    2 and 3 for a box's corners, -1 for an empty slot. `mask_input` (1, 1, 4h, 4w) counts where
    `has_mask_input` (1) is 1, not where it is 0.

    It returns `masks` (1, 3, 4h, 4w) and `iou_predictions` (1, 3) of the tokens 1 to 3, then
    `single_mask` (1, 1, 4h, 4w) and `single_iou` (1, 1) of token 0: those of
    `sam2lab.export.decoder.Decoder` for as many points as there are slots that are not empty.
    """

    def __init__(self, model: SAM2Base, input_size: Size) -> None:
        super().__init__()
        prompts, decoder = model.sam_prompt_encoder, model.sam_mask_decoder
        self.embed_size = input_size[0] // 16, input_size[1] // 16
        image_pe = prompts.get_dense_pe().flatten(2).transpose(1, 2)
        self.image_pe = nn.Buffer(image_pe.detach().contiguous())
        rows = [decoder.obj_score_token] if decoder.pred_obj_scores else []
        rows += [decoder.iou_token, decoder.mask_tokens]
        outputs = torch.cat([row.weight for row in rows]).detach()[None]
        self.output_tokens = nn.Buffer(outputs)
        self.points = DevicePoints(prompts, input_size, outputs.shape[1])
        self.masks = DeviceMasks(prompts)
        transformer = decoder.transformer
        self.layers = nn.ModuleList(map(DeviceLayer, transformer.layers))
        self.final_attn = DeviceAttention(transformer.final_attn_token_to_image)
        self.norm_final_attn = transformer.norm_final_attn
        # The heads read the token of IoU and those of the masks.
        self.read = slice(len(rows) - 2, outputs.shape[1])
        grow1, norm, self.act1, grow2, self.act2 = decoder.output_upscaling
        self.grow1, self.grow2, self.norm = Growing(grow1), Growing(grow2), layer_norm(norm)
        self.hypernetworks = decoder.output_hypernetworks_mlps
        self.iou_head = decoder.iou_prediction_head

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
        height, width = self.embed_size
        points, there = self.points(point_coords, point_labels)
        prompt = torch.cat([self.output_tokens, points], dim=1)
        image = image_embed + self.masks(mask_input, has_mask_input)
        image = image.reshape(1, height * width, -1)
        tokens = prompt
        for layer in self.layers:
            tokens, image = layer(tokens, image, prompt, self.image_pe, there)
        tokens, prompt = tokens[:, self.read], prompt[:, self.read]
        attended = self.final_attn(tokens + prompt, image + self.image_pe, image)
        tokens = self.norm_final_attn(tokens + attended)
        image = image.reshape(1, height, width, -1)
        image = self.act1(self.norm(self.grow1(image) + high_res_feats_1))
        image = self.act2(self.grow2(image) + high_res_feats_0)
        masks = self.draw(tokens, image.reshape(1, 16 * height * width, -1))
        scores = self.iou_head(tokens[:, :1]).reshape(1, -1)
        return masks[:, 1:], scores[:, 1:], masks[:, :1], scores[:, :1]

    def draw(self, tokens: Tensor, image: Tensor) -> Tensor:
        """The masks' tokens, after that of IoU, and pixels (1, N, C/8) → logits (1, 4, 4h, 4w)."""
        kernels = [head(tokens[:, i : i + 1]) for i, head in enumerate(self.hypernetworks, start=1)]
        masks = (image @ torch.cat(kernels, dim=1).permute(0, 2, 1)).permute(0, 2, 1)
        height, width = self.embed_size
        return masks.reshape(1, len(kernels), 4 * height, 4 * width)


class DeviceLayer(nn.Module):
    """Tokens attend to themselves, then to the image, then the image to them."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.skips_prompt = layer.skip_first_layer_pe
        self.self_attn = DeviceAttention(layer.self_attn)
        self.token_to_image = DeviceAttention(layer.cross_attn_token_to_image)
        self.image_to_token = DeviceAttention(layer.cross_attn_image_to_token)
        self.norm1, self.norm2 = layer.norm1, layer.norm2
        self.norm3, self.norm4 = layer.norm3, layer.norm4
        self.mlp = layer.mlp

    def forward(
        self, tokens: Tensor, image: Tensor, prompt: Tensor, image_pe: Tensor, there: Tensor
    ) -> tuple[Tensor, Tensor]:
        if self.skips_prompt:
            tokens = self.self_attn(tokens, tokens, tokens, there)
        else:
            queries = tokens + prompt
            tokens = tokens + self.self_attn(queries, queries, tokens, there)
        tokens = self.norm1(tokens)
        pixels = image + image_pe
        tokens = self.norm2(tokens + self.token_to_image(tokens + prompt, pixels, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        attended = self.image_to_token(pixels, tokens + prompt, tokens, there)
        return tokens, self.norm4(image + attended)


class DeviceAttention(nn.Module):
    """Upstream's attention for a batch of 1. Keys that are not there are given no weight.

    Scores are relative to the first key's, which is always there: softmax ignores what all scores
    of a query have in common. So an empty slot's score is far below the largest, whatever the
    model's weights are.
    """

    def __init__(self, attn: nn.Module) -> None:
        super().__init__()
        self.heads = attn.num_heads
        self.q_proj = scaled(attn.q_proj, attn.internal_dim // attn.num_heads)
        self.k_proj, self.v_proj, self.out_proj = attn.k_proj, attn.v_proj, attn.out_proj

    def forward(self, q: Tensor, k: Tensor, v: Tensor, there: Tensor | None = None) -> Tensor:
        queries, values = (
            split_heads(project(x), self.heads)
            for project, x in ((self.q_proj, q), (self.v_proj, v))
        )
        k = self.k_proj(k)
        if there is not None:
            k = (k - k[:, :1]) * there.reshape(1, -1, 1)
        scores = queries @ split_keys(k, self.heads)
        if there is not None:
            scores = scores + (1 - there.reshape(1, 1, 1, -1)) * ABSENT
        return self.out_proj(join_heads(torch.softmax(scores, dim=-1) @ values))


class Growing(nn.Module):
    """`ConvTranspose2d` of kernel and stride 2 as a linear layer: (1, h, w, C) → (1, 2h, 2w, D)."""

    def __init__(self, conv: nn.ConvTranspose2d) -> None:
        super().__init__()
        self.channels = conv.out_channels
        # (C, D, rows, columns) → (rows * columns * D, C).
        weight = conv.weight.permute(2, 3, 1, 0).reshape(-1, conv.in_channels)
        self.pixels = linear(weight, conv.bias.repeat(4))

    def forward(self, x: Tensor) -> Tensor:
        _, height, width, _ = sizes(x)
        x = self.pixels(x).reshape(height, width, 2, 2 * self.channels)
        return x.permute(0, 2, 1, 3).reshape(1, 2 * height, 2 * width, self.channels)
