"""SAM 2's own modules, called as training needs them: many prompts, four masks, gradients."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sam2lab.reference import zoo

_AFFINITY_WIDTH = 32


class FeatureMaps(NamedTuple):
    """The three feature maps of a batch of pictures: strides 16, 8 and 4."""

    stride_16: Tensor
    stride_8: Tensor
    stride_4: Tensor

    def repeat(self, times: int) -> FeatureMaps:
        """Repeat each picture's maps for each of its prompts."""
        return FeatureMaps(*(maps.repeat_interleave(times, 0) for maps in self))


class TrainableModel(nn.Module):
    """A model of the zoo with gradients, and a small head that only training needs."""

    def __init__(self, model: zoo.ZooModel) -> None:
        super().__init__()
        self.sam = model.module
        self._model = model
        self._prompt_encoders: dict[int, nn.Module] = {}
        decoder = self.sam.sam_mask_decoder
        widths = (
            decoder.transformer_dim,
            decoder.conv_s1.out_channels,
            decoder.conv_s0.out_channels,
        )
        self.affinity = nn.ModuleList(nn.Conv2d(width, _AFFINITY_WIDTH, 1) for width in widths)
        # A loss on probabilities has no gradient left where a sigmoid is saturated.
        decoder.iou_prediction_head.sigmoid_output = False
        self.register_buffer("mean", torch.tensor(model.info.mean).view(3, 1, 1), persistent=False)
        self.register_buffer(
            "deviation", torch.tensor(model.info.std).view(3, 1, 1), persistent=False
        )

    def encode(self, images: Tensor) -> FeatureMaps:
        """Encode uint8 pictures (B, 3, side, side)."""
        pixels = (images.float() / 255 - self.mean) / self.deviation
        fine, middle, coarse = self.sam.forward_image(pixels)["backbone_fpn"]
        return FeatureMaps(coarse + self.sam.no_mem_embed.view(1, -1, 1, 1), middle, fine)

    def decode(
        self, maps: FeatureMaps, side: int, points: Tensor, labels: Tensor, previous: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Predict all four masks of every prompt, (K, 4, side / 4, side / 4), and scores (K, 4).

        Both are logits: a score's sigmoid is the IoU that is expected of its mask. `maps` has
        one entry a prompt. `previous` (K, 1, side / 4, side / 4) are logits of an earlier
        prediction, given as a mask prompt.
        """
        encoder = self._prompt_encoder(side)
        sparse, dense = encoder(points=(points, labels), boxes=None, masks=previous)
        masks, scores, _, _ = self.sam.sam_mask_decoder.predict_masks(
            image_embeddings=maps.stride_16,
            image_pe=encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            repeat_image=False,
            high_res_features=[maps.stride_4, maps.stride_8],
        )
        return masks, scores

    def cell_embeddings(self, maps: FeatureMaps) -> Tensor:
        """Embed every cell at stride 4, (B, width, h, w), as a vector of length one.

        `losses.affinity_loss` makes the cells of one object alike: a short way from the loss to
        the encoder, whose gradients otherwise all come through the decoder.
        """
        coarse, middle, fine = (head(x) for head, x in zip(self.affinity, maps, strict=True))
        size = fine.shape[-2:]
        summed = fine + sum(
            functional.interpolate(x, size, mode="bilinear", align_corners=False)
            for x in (coarse, middle)
        )
        return functional.normalize(summed, dim=1)

    def _prompt_encoder(self, side: int) -> nn.Module:
        if side not in self._prompt_encoders:
            resized = zoo.resize(self._model, (side, side)).module
            # In a dictionary, so it is no sub-module: its parameters are those of self.sam.
            self._prompt_encoders[side] = resized.sam_prompt_encoder
        return self._prompt_encoders[side]
