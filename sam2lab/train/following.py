"""Follows objects through clips by sam2's own modules, with gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn import functional

from sam2lab.reference import zoo

# The ways to say in the first frame what to follow.
FIRST = ("mask", "box", "click")
_ABSENT_LOGIT = -1024.0


class Tracker:
    """Follows one object in each of B clips by sam2's own modules, with gradients."""

    def __init__(self, model: zoo.ZooModel, side: int) -> None:
        resized = zoo.resize(model, (side, side))
        self.module = resized.module
        self.side = side
        self._mean, self._std = (
            torch.tensor(each).view(3, 1, 1) for each in (model.info.mean, model.info.std)
        )

    def follow(
        self,
        images: Tensor,
        masks: Tensor,
        first: str,
        rng: Generator,
        teach: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Logits (B, T, side/4, side/4) and object scores (B, T) of clips.

        images (B, T, side, side, 3) uint8, masks (B, T, side, side); `first` is one of FIRST.
        With `teach`, memories say truly whether the object is there. Masks and pointers are those
        that a user gets: of the best-scored candidate, if the model's settings say so.
        """
        module = self.module
        # As in a video that is longer than pointers are kept: upstream divides a pointer's distance
        # by the video's length where that is shorter.
        frames = max(images.shape[1], module.max_obj_ptrs_in_encoder)
        outputs: dict[str, dict[int, dict[str, Any]]] = {
            "cond_frame_outputs": {},
            "non_cond_frame_outputs": {},
        }
        logits, scores = [], []
        there = masks.flatten(2).any(2).float()
        for frame, (feats, places, sizes) in enumerate(self._features(images)):
            if frame == 0:
                low, token, score = self._prompted(feats, sizes, masks[:, 0], first, rng)
            else:
                embed = module._prepare_memory_conditioned_features(
                    frame, False, feats[-1:], places[-1:], sizes[-1:], outputs, frames
                )
                many = module.multimask_output_for_tracking
                low, token, score = self._decode(embed, feats, sizes, many=many)
            is_there = there[:, frame, None] if teach or frame == 0 else (score > 0).float()
            logits.append(low[:, 0])
            scores.append(score[:, 0])
            pointer = is_there * module.obj_ptr_proj(token) + (1 - is_there) * module.no_obj_ptr
            shown = torch.where(is_there[:, :, None, None] > 0, low, _ABSENT_LOGIT)
            seen = functional.interpolate(shown, (self.side, self.side), mode="bilinear")
            memory, place = module._encode_new_memory(
                feats, sizes, seen, is_there * 20 - 10, frame == 0
            )
            kind = "cond_frame_outputs" if frame == 0 else "non_cond_frame_outputs"
            outputs[kind][frame] = {
                "maskmem_features": memory,
                "maskmem_pos_enc": place,
                "obj_ptr": pointer,
            }
        return torch.stack(logits, 1), torch.stack(scores, 1)

    def features(self, images: Tensor) -> Tensor:
        """Image embeddings (B * T, h * w, C) as the decoder gets them without any memory."""
        return torch.cat(
            [feats[-1] + self.module.no_mem_embed for feats, _, _ in self._features(images)], 1
        ).transpose(0, 1)

    def _features(self, images: Tensor) -> Iterator[tuple[list[Tensor], list[Tensor], list[Any]]]:
        module, (batch, frames) = self.module, images.shape[:2]
        pixels = images.flatten(0, 1).permute(0, 3, 1, 2).float() / 255
        with torch.no_grad():
            found = module.forward_image((pixels - self._mean) / self._std)
        for frame in range(frames):
            one = {
                key: [maps.view(batch, frames, *maps.shape[1:])[:, frame] for maps in found[key]]
                for key in ("backbone_fpn", "vision_pos_enc")
            }
            _, feats, places, sizes = module._prepare_backbone_features(one)
            yield feats, places, sizes

    def _plain(self, feats: list[Tensor], sizes: list[Any]) -> Tensor:
        embed = feats[-1] + self.module.no_mem_embed
        return embed.permute(1, 2, 0).view(embed.shape[1], -1, *sizes[-1])

    def _prompted(
        self, feats: list[Tensor], sizes: list[Any], masks: Tensor, first: str, rng: Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What `_decode` returns for the first frame; a mask (B, side, side) is its own answer."""
        embed = self._plain(feats, sizes)
        if first != "mask":
            prompt = _clicks(masks, rng) if first == "click" else _boxes(masks)
            return self._decode(embed, feats, sizes, prompt, many=first == "click")
        given = masks[:, None].float()
        # A mask is the only prompt for which upstream leaves `no_mem_embed` out.
        bare = embed - self.module.no_mem_embed.view(1, -1, 1, 1)
        dense = self.module.mask_downsample(given)
        _, token, score = self._decode(bare, feats, sizes, mask=dense)
        return functional.avg_pool2d(given * 20 - 10, 4), token, score

    def _decode(
        self,
        embed: Tensor,
        feats: list[Tensor],
        sizes: list[Any],
        points: tuple[Tensor, Tensor] | None = None,
        mask: Tensor | None = None,
        many: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A mask (B, 1, h, w), its token (B, C) and the object score (B, 1).

        With `many`, the mask is the best-scored of the three candidates.
        """
        module, batch = self.module, len(embed)
        high = [
            maps.permute(1, 2, 0).view(batch, -1, *size)
            for maps, size in zip(feats[:-1], sizes[:-1], strict=True)
        ]
        if points is None:
            points = torch.zeros(batch, 1, 2), -torch.ones(batch, 1, dtype=torch.int32)
        sparse, dense = module.sam_prompt_encoder(points=points, boxes=None, masks=mask)
        place = module.sam_prompt_encoder.get_dense_pe()
        masks, ious, tokens, score = module.sam_mask_decoder.predict_masks(
            embed, place, sparse, dense, False, high
        )
        best = 1 + ious[:, 1:].argmax(1) if many else torch.zeros(batch, dtype=torch.long)
        rows = torch.arange(batch)
        return masks[rows, best][:, None], tokens[rows, best], score


def _boxes(masks: Tensor) -> tuple[Tensor, Tensor]:
    corners = []
    for mask in masks:
        rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
        corners.append([[columns[0], rows[0]], [columns[-1] + 1, rows[-1] + 1]])
    labels = torch.tensor([[2, 3]] * len(masks), dtype=torch.int32)
    return torch.tensor(corners).float(), labels


def _clicks(masks: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
    """A click on the inner half of each object."""
    places = []
    for mask in masks.numpy():
        depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
        rows, columns = np.nonzero(depth >= depth.max() / 2)
        chosen = rng.integers(len(rows))
        places.append([[columns[chosen] + 0.5, rows[chosen] + 0.5]])
    return torch.tensor(places, dtype=torch.float32), torch.ones(len(masks), 1, dtype=torch.int32)
