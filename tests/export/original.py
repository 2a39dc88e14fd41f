"""The original's own calls, in SAM2ImagePredictor's order: what a graph is measured by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

Arrays = tuple[np.ndarray, ...]


@torch.no_grad()
def encode(module: Any, pixels: np.ndarray) -> Arrays:
    """Pixels (B, 3, H, W) → high_res_feats_0, high_res_feats_1, image_embed."""
    backbone = module.forward_image(torch.from_numpy(pixels))
    _, flat, _, sizes = module._prepare_backbone_features(backbone)
    if module.directly_add_no_mem_embed:
        flat[-1] = flat[-1] + module.no_mem_embed
    maps = (
        level.permute(1, 2, 0).reshape(len(pixels), -1, *size)
        for level, size in zip(flat, sizes, strict=True)
    )
    return tuple(level.numpy() for level in maps)


@torch.no_grad()
def decode(
    module: Any,
    features: Sequence[np.ndarray],
    coords: np.ndarray,
    labels: np.ndarray,
    mask: np.ndarray | None = None,
) -> Arrays:
    """Features in `encode`'s order, of one image or one each → logits and scores of all tokens."""
    fine, middle, embed = map(torch.from_numpy, features)
    points = None
    if coords.shape[1]:
        points = (torch.from_numpy(coords), torch.from_numpy(labels))
    sparse, dense = module.sam_prompt_encoder(points=points, boxes=None, masks=_optional(mask))
    logits, scores, _, _ = module.sam_mask_decoder.predict_masks(
        image_embeddings=embed,
        image_pe=module.sam_prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        repeat_image=len(sparse) > len(embed),
        high_res_features=[fine, middle],
    )
    return logits.numpy(), scores.numpy()


def _optional(array: np.ndarray | None) -> Tensor | None:
    return None if array is None else torch.from_numpy(array)
