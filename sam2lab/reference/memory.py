"""Upstream's memory, on tensors: pointers to objects, attention over memories, making a memory.

Upstream's own modules compute. What is here stands in the middle of
`SAM2Base._prepare_memory_conditioned_features` and `SAM2Base._forward_sam_heads`, with the choice
of memories and of the mask left to the caller.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from sam2.modeling.memory_encoder import CXBlock
from sam2.modeling.sam2_base import SAM2Base
from sam2.modeling.sam2_utils import get_1d_sine_pe
from torch import Tensor

from sam2lab.runtime.video.protocol import VideoSettings


def settings(module: SAM2Base, is_random: bool = False) -> VideoSettings | None:
    """How a module uses its memory; None where it has no memory, or not of SAM 2's kind.

    All published models are of that kind. `is_random` says that all weights are random.
    """
    is_as_published = (
        module.num_maskmem > 0
        and module.directly_add_no_mem_embed
        and module.use_mask_input_as_output_without_sam
        and module.use_obj_ptrs_in_encoder
        and module.fixed_no_obj_ptr
        and not module.soft_no_obj_ptr
    )
    if not is_as_published:
        return None
    return VideoSettings(
        memory_channels=module.mem_dim,
        num_maskmem=module.num_maskmem,
        max_obj_ptrs_in_encoder=module.max_obj_ptrs_in_encoder,
        max_cond_frames_in_attn=module.max_cond_frames_in_attn,
        memory_temporal_stride_for_eval=module.memory_temporal_stride_for_eval,
        only_obj_ptrs_in_the_past_for_eval=module.only_obj_ptrs_in_the_past_for_eval,
        use_signed_tpos_enc_to_obj_ptrs=module.use_signed_tpos_enc_to_obj_ptrs,
        multimask_output_in_sam=module.multimask_output_in_sam,
        multimask_output_for_tracking=module.multimask_output_for_tracking,
        multimask_min_pt_num=module.multimask_min_pt_num,
        multimask_max_pt_num=module.multimask_max_pt_num,
        no_mem_embed=_numbers(module.no_mem_embed),
        no_obj_ptr=_numbers(module.no_obj_ptr),
        mask_downsample=_numbers(module.mask_downsample.weight),
        mask_downsample_bias=_numbers(module.mask_downsample.bias)[0],
        is_trained=not is_random and _has_trained_memory(module),
    )


def point_to_objects(module: SAM2Base, tokens: Tensor, object_scores: Tensor) -> Tensor:
    """Make pointers (L, 4, C) of the mask tokens (L, 4, C) and object scores (L, 1)."""
    is_there = (object_scores > 0).float()[:, None]
    return is_there * module.obj_ptr_proj(tokens) + (1 - is_there) * module.no_obj_ptr


def condition(
    module: SAM2Base,
    embed: Tensor,
    memory: Tensor,
    memory_age: Tensor,
    pointers: Tensor,
    pointer_time: Tensor,
) -> Tensor:
    """Let an image embedding (1, C, h, w) look at the memories of L objects: (L, C, h, w).

    The memories are those of `Memories`, as tensors.
    """
    objects = len(memory)
    channels, height, width = embed.shape[1:]
    place = _tokens_first(module.image_encoder.neck.position_encoding(embed))
    tokens, token_places = _memory_tokens(module, embed, memory, memory_age)
    pointer_tokens, pointer_places = _pointer_tokens(module, pointers, pointer_time)
    conditioned = module.memory_attention(
        curr=[_plain(module, embed).expand(-1, objects, -1)],
        curr_pos=[place.expand(-1, objects, -1)],
        memory=torch.cat([tokens, pointer_tokens], dim=1).transpose(0, 1),
        memory_pos=torch.cat([token_places, pointer_places], dim=1).transpose(0, 1),
        num_obj_ptr_tokens=pointer_tokens.shape[1],
    )
    return conditioned.permute(1, 2, 0).view(objects, channels, height, width)


def remember(
    module: SAM2Base, embed: Tensor, mask_logits: Tensor, object_scores: Tensor, binarize: bool
) -> Tensor:
    """Make memories (L, h*w, D) of mask logits (L, 1, 4h, 4w) on an embedding (1, C, h, w)."""
    height, width = embed.shape[2:]
    stride = module.backbone_stride
    masks = F.interpolate(
        mask_logits, size=(height * stride, width * stride), mode="bilinear", align_corners=False
    )
    # Upstream has settings for what the caller decides here.
    encoder = copy.copy(module)
    encoder.binarize_mask_from_pts_for_mem_enc = binarize
    encoder.non_overlap_masks_for_mem_enc = False
    memory, _ = encoder._encode_new_memory(
        current_vision_feats=[_plain(module, embed).expand(-1, len(masks), -1)],
        feat_sizes=[(height, width)],
        pred_masks_high_res=masks,
        object_score_logits=object_scores,
        is_mask_from_pts=binarize,
    )
    return memory.flatten(2).transpose(1, 2)


def _memory_tokens(
    module: SAM2Base, embed: Tensor, memory: Tensor, age: Tensor
) -> tuple[Tensor, Tensor]:
    """Memories and their positions in space and time, both (L, M*h*w, D)."""
    place = module.memory_encoder.position_encoding(embed).flatten(2).transpose(1, 2)
    time = module.maskmem_tpos_enc[age].flatten(2)[:, :, None]
    return memory.flatten(1, 2), (place[:, None] + time).flatten(1, 2)


def _pointer_tokens(module: SAM2Base, pointers: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
    """Pointers cut into pieces of a memory's width and their positions, both (L, P*C/D, D)."""
    objects, count, channels = pointers.shape
    width = module.mem_dim
    pieces = channels // width
    places = pointers.new_zeros(objects, count, width)
    if module.add_tpos_enc_to_obj_ptrs:
        sines = get_1d_sine_pe(time, dim=channels if module.proj_tpos_enc_in_obj_ptrs else width)
        places = module.obj_ptr_tpos_proj(sines)
    tokens = pointers.reshape(objects, count * pieces, width)
    return tokens, places.repeat_interleave(pieces, dim=1)


def _plain(module: SAM2Base, embed: Tensor) -> Tensor:
    """The embedding as (h*w, 1, C), without what `TorchEngine.encode` has added to it."""
    return _tokens_first(embed) - module.no_mem_embed


def _tokens_first(embed: Tensor) -> Tensor:
    return embed.flatten(2).permute(2, 0, 1)


def _has_trained_memory(module: SAM2Base) -> bool:
    """Whether the scales of the memory encoder's blocks have left where they start.

    Only training the memory moves them. They start at 1e-6, all alike, which no training leaves.
    """
    scales = [
        block.gamma
        for block in module.memory_encoder.modules()
        if isinstance(block, CXBlock) and block.gamma is not None
    ]
    return not scales or any(bool((scale != scale[0]).any()) for scale in scales)


def _numbers(tensor: Tensor) -> tuple[float, ...]:
    return tuple(tensor.detach().float().cpu().flatten().tolist())
