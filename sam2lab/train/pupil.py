"""SAM 2's own modules, called as training needs them: many prompts, four masks, gradients."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sam2lab.reference import zoo

_AFFINITY_WIDTH = 32


@dataclass(frozen=True, eq=False)
class Levels:
    """The three feature maps of a batch of pictures: strides 16, 8 and 4."""

    embed: Tensor
    middle: Tensor
    fine: Tensor

    def repeat(self, times: int) -> Levels:
        """Each picture's maps for each of its prompts."""
        return Levels(
            *(x.repeat_interleave(times, 0) for x in (self.embed, self.middle, self.fine))
        )


class Pupil(nn.Module):
    """A model of the zoo, trainable, and the small head that only training needs."""

    def __init__(self, model: zoo.ZooModel) -> None:
        super().__init__()
        self.sam = model.module
        self._model = model
        self._sized: dict[int, nn.Module] = {}
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

    def look(self, images: Tensor) -> Levels:
        """Encode uint8 pictures (B, 3, side, side)."""
        pixels = (images.float() / 255 - self.mean) / self.deviation
        fine, middle, embed = self.sam.forward_image(pixels)["backbone_fpn"]
        return Levels(embed + self.sam.no_mem_embed.view(1, -1, 1, 1), middle, fine)

    def answer(
        self, levels: Levels, side: int, points: Tensor, labels: Tensor, previous: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """All four masks of every prompt, (K, 4, side / 4, side / 4), and their scores, (K, 4).

        Both are logits: a score's sigmoid is the overlap that is expected of its mask. `levels`
        has one entry a prompt. `previous` are logits of an earlier answer, (K, 1, side / 4,
        side / 4), handed back as a mask prompt.
        """
        encoder = self._prompt_encoder(side)
        sparse, dense = encoder(points=(points, labels), boxes=None, masks=previous)
        masks, scores, _, _ = self.sam.sam_mask_decoder.predict_masks(
            image_embeddings=levels.embed,
            image_pe=encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            repeat_image=False,
            high_res_features=[levels.fine, levels.middle],
        )
        return masks, scores

    def likeness(self, levels: Levels) -> Tensor:
        """An embedding of every cell at stride 4, (B, width, h, w), of length one.

        Cells of one object are asked to be alike (see `likeness_loss`): a short way from the
        loss to the encoder, which otherwise hears of it through the whole decoder.
        """
        coarse, middle, fine = (
            head(x)
            for head, x in zip(
                self.affinity, (levels.embed, levels.middle, levels.fine), strict=True
            )
        )
        size = fine.shape[-2:]
        summed = fine + sum(
            functional.interpolate(x, size, mode="bilinear", align_corners=False)
            for x in (coarse, middle)
        )
        return functional.normalize(summed, dim=1)

    def _prompt_encoder(self, side: int) -> nn.Module:
        if side not in self._sized:
            # Not registered as a sub-module: its parameters are those of self.sam.
            self._sized[side] = zoo.resize(self._model, (side, side)).module.sam_prompt_encoder
        return self._sized[side]
