"""The protocol of engines that have a memory, which is what following objects needs.

An engine of images encodes a frame and decodes prompts. An engine of videos does three things more:
its decoder also says whether the object is there and points to it, `remember` makes a memory of a
mask, and `condition` lets a frame look at memories before it is decoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from sam2lab.runtime.engines.protocol import Engine, Features, Float32, PromptBatch


@dataclass(frozen=True)
class VideoSettings:
    """How a model uses its memory; what has upstream's name is upstream's setting.

    `memory_channels` is D, the width of a memory. `no_mem_embed` (C) is what `encode` has added to
    `image_embed`, zeros where it adds nothing. `no_obj_ptr` (C) is the pointer of an object that
    is not there. `mask_downsample` is a 4x4 kernel, row by row, and its bias, which make a mask
    prompt of a mask in full size. `is_trained` is false where the memory has random weights, so
    that following means nothing although masks of images do.
    """

    memory_channels: int
    num_maskmem: int
    max_obj_ptrs_in_encoder: int
    max_cond_frames_in_attn: int
    memory_temporal_stride_for_eval: int
    only_obj_ptrs_in_the_past_for_eval: bool
    use_signed_tpos_enc_to_obj_ptrs: bool
    multimask_output_in_sam: bool
    multimask_output_for_tracking: bool
    multimask_min_pt_num: int
    multimask_max_pt_num: int
    no_mem_embed: tuple[float, ...]
    no_obj_ptr: tuple[float, ...]
    mask_downsample: tuple[float, ...]
    mask_downsample_bias: float
    is_trained: bool


class DecodedObjects(NamedTuple):
    """What `Decoded` holds for L objects, and what their memory needs.

    `logits` (L, 4, 4h, 4w) and `scores` (L, 4) are those of `Decoded`. `object_scores` (L, 1) are
    above 0 where the object is there. `pointers` (L, 4, C) has one pointer for each mask token;
    for an object that is not there, all four are `no_obj_ptr`.
    """

    logits: Float32
    scores: Float32
    object_scores: Float32
    pointers: Float32


@dataclass(frozen=True, eq=False)
class Memories:
    """What L objects remember, M memories and P pointers each, in upstream's order.

    `memory` (L, M, h*w, D), with M from 1 on. `memory_age` (L, M) is the row of upstream's
    `maskmem_tpos_enc`: 0 for the frame before, `num_maskmem - 1` for a prompted one.
    `object_pointers` (L, P, C) may have P = 0; `pointer_time` (L, P) is their distance in frames,
    divided by the largest one there can be.
    """

    memory: Float32
    memory_age: npt.NDArray[np.int64]
    object_pointers: Float32
    pointer_time: Float32


@runtime_checkable
class VideoEngine(Engine, Protocol):
    """An engine that can follow objects; `video` is None where its files lack the memory."""

    @property
    def video(self) -> VideoSettings | None:
        """How this model uses its memory, None where it has none."""
        ...

    def decode_objects(self, features: Features, prompts: PromptBatch) -> DecodedObjects:
        """Answer L prompts, as `decode` does, with object scores and pointers.

        `features` are of one image; after `condition` their `image_embed` may have a batch of L
        beside finer maps with a batch of 1.
        """
        ...

    def condition(self, features: Features, memories: Memories) -> Features:
        """Let one frame's features look at the memories of L objects.

        `image_embed` of the result is (L, C, h, w); the finer maps are those of `features`.
        """
        ...

    def remember(
        self, features: Features, mask_logits: Float32, object_scores: Float32, binarize: bool
    ) -> Float32:
        """Make the memories (L, h*w, D) of masks on one frame.

        `mask_logits` are (L, 1, 4h, 4w), `object_scores` (L, 1). With `binarize` a mask counts as
        certain, as upstream takes those that were prompted.
        """
        ...
