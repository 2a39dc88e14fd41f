"""Chooses and cleans masks among the decoder's answers, as upstream does."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sam2lab.runtime.engines.protocol import Decoded, Float32
from sam2lab.runtime.masks import Masks

# `build_sam2` switches this rule on with these two figures for every single-mask answer.
STABILITY_DELTA = 0.05
STABILITY_THRESHOLD = 0.98

# How far beyond the threshold upstream pushes a filled hole or a removed sprinkle.
CLEANED_MARGIN = 10.0


def choose(decoded: Decoded, multi_mask_output: bool) -> Decoded:
    """Pick what upstream answers from the four tokens: three candidates, or the one mask.

    With `multi_mask_output` the result is a view of tokens 1 to 3. Otherwise it is token 0
    where that mask is stable (moving the threshold by 0.05 either way changes at most 2 % of
    its area), and the candidate with the best score where it is not.

    >>> steep = np.full((1, 4, 8, 8), 20, np.float32)
    >>> scores = np.array([[0.5, 0.1, 0.9, 0.3]], np.float32)
    >>> choose(Decoded(steep, scores), multi_mask_output=False).scores
    array([[0.5]], dtype=float32)
    >>> choose(Decoded(0 * steep, scores), multi_mask_output=False).scores
    array([[0.9]], dtype=float32)
    """
    logits, scores = decoded
    if multi_mask_output:
        return Decoded(logits[:, 1:], scores[:, 1:])
    token = np.where(_is_stable(logits[:, 0]), 0, 1 + np.argmax(scores[:, 1:], axis=1))
    objects = np.arange(len(token))
    return Decoded(logits[objects, token][:, None], scores[objects, token][:, None])


def clean(
    logits: Float32, mask_threshold: float, max_hole_area: float, max_sprinkle_area: float
) -> Float32:
    """Fill small holes and remove small sprinkles in low-resolution logits (..., h, w).

    Areas are in pixels of these logits, neighbours touch by side or corner. A component of at
    most that area is set 10 beyond the threshold. Sprinkles are looked for in the logits as
    they came, so filling a hole never saves one. With both areas 0 the input comes back as is.

    >>> logits = np.full((1, 5, 5), 3, np.float32)
    >>> logits[0, 2, 2] = -3
    >>> float(clean(logits, 0.0, max_hole_area=1, max_sprinkle_area=0)[0, 2, 2])
    10.0
    """
    cleaned = logits
    if max_hole_area > 0:
        holes = small_components(logits <= float(mask_threshold), max_hole_area)
        cleaned = np.where(holes, np.float32(mask_threshold + CLEANED_MARGIN), cleaned)
    if max_sprinkle_area > 0:
        sprinkles = small_components(logits > float(mask_threshold), max_sprinkle_area)
        cleaned = np.where(sprinkles, np.float32(mask_threshold - CLEANED_MARGIN), cleaned)
    return cleaned


def small_components(mask: Masks, max_area: float) -> Masks:
    """True on the 8-connected components of each mask (..., h, w) of at most `max_area` pixels."""
    from scipy import ndimage  # slow to import, and most predictions are never cleaned

    within_one_mask = np.zeros((3, 3, 3), bool)
    within_one_mask[1] = True
    labels, _ = ndimage.label(mask.reshape(-1, *mask.shape[-2:]), structure=within_one_mask)
    small = np.bincount(labels.ravel()) <= max_area
    small[0] = False  # what is not in the mask
    return small[labels].reshape(mask.shape)


def apart(logits: Float32) -> Float32:
    """Push all logits (N, 1, H, W) but each pixel's highest to -10 or below."""
    highest = logits.argmax(axis=0, keepdims=True) == np.arange(len(logits))[:, None, None, None]
    return np.where(highest, logits, np.minimum(logits, np.float32(-10)))


def _is_stable(logits: Float32) -> npt.NDArray[np.bool_]:
    """Upstream's stability rule for masks (L, h, w), in its float32 arithmetic."""
    delta = np.float32(STABILITY_DELTA)
    inner = np.count_nonzero(logits > delta, axis=(1, 2)).astype(np.float32)
    outer = np.count_nonzero(logits > -delta, axis=(1, 2)).astype(np.float32)
    # An empty mask counts as stable; there inner is 0 too, so only the divisor needs care.
    stability = np.where(outer > 0, inner / np.maximum(outer, 1), np.float32(1))
    return stability >= np.float32(STABILITY_THRESHOLD)
