"""Build the graph of the memory encoder, which makes a memory of a frame and an object's mask.

A mask is enlarged by two products with constant matrices, which every runtime has, instead of a
resize, whose rules differ. Where upstream normalises channels, the convolution before it has its
outputs centred already, because the mean over channels is linear. The fuser's blocks have channels
last, except for their convolution.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn

from sam2lab.export.rows import Linear, linear
from sam2lab.export.token_order import Size
from sam2lab.export.upscaling import layer_norm


class MemoryEncoder(nn.Module):
    """Frame and masks of L objects → `memory` (L, h * w, D).

    With (h, w) = (H/16, W/16): `image_embed` (1 or L, C, h, w) as the encoder gives it;
    `mask_logits` (L, 1, 4h, 4w); `object_score_logits` (L, 1), where an object is there if it is
    above 0; `binarize` (1 or L), 1 where a mask counts as certain and 0 where it does not.
    """

    def __init__(self, model: SAM2Base, input_size: Size) -> None:
        super().__init__()
        encoder = model.memory_encoder
        self.grid = input_size[0] // 16, input_size[1] // 16
        self.taller = nn.Buffer(_enlarging(4 * self.grid[0]))
        self.wider = nn.Buffer(_enlarging(4 * self.grid[1]).t().contiguous())
        self.scale = model.sigmoid_scale_for_mem_enc
        self.bias = model.sigmoid_bias_for_mem_enc
        *downsampling, last = encoder.mask_downsampler.encoder
        self.downsampling = nn.ModuleList(
            CentredConv(conv, norm, act)
            for conv, norm, act in zip(*(downsampling[i::3] for i in range(3)), strict=True)
        )
        self.mask = linear(last)
        weight, bias = encoder.pix_feat_proj.weight.detach().flatten(1), encoder.pix_feat_proj.bias
        if model.directly_add_no_mem_embed:
            # The embedding has it, and a memory is made without it.
            bias = bias - weight @ model.no_mem_embed.flatten()
        self.frame = Linear(weight, bias.detach())
        projection = encoder.fuser.proj
        self.fuser_in = None if isinstance(projection, nn.Identity) else linear(projection)
        self.blocks = nn.ModuleList(FuserBlock(block, self.grid) for block in encoder.fuser.layers)
        out = encoder.out_proj
        self.out = None if isinstance(out, nn.Identity) else linear(out)
        absent = model.no_obj_embed_spatial
        self.absent = None if absent is None else nn.Buffer(absent.detach())

    def forward(
        self,
        image_embed: Tensor,
        mask_logits: Tensor,
        object_score_logits: Tensor,
        binarize: Tensor,
    ) -> Tensor:
        mask = self.taller @ mask_logits @ self.wider
        certain = binarize.reshape(-1, 1, 1, 1)
        seen = certain * (mask > 0).to(mask.dtype) + (1 - certain) * torch.sigmoid(mask)
        seen = seen * self.scale + self.bias
        for step in self.downsampling:
            seen = step(seen)
        x = self.frame(_channels_last(image_embed)) + self.mask(_channels_last(seen))
        if self.fuser_in is not None:
            x = self.fuser_in(x)
        for block in self.blocks:
            x = block(x)
        if self.out is not None:
            x = self.out(x)
        if self.absent is None:
            return x
        return x + (object_score_logits <= 0).to(x.dtype).unsqueeze(-1) * self.absent


class CentredConv(nn.Module):
    """A convolution, upstream's `LayerNorm2d` and an activation on maps (L, C, h, w)."""

    def __init__(self, conv: nn.Conv2d, norm: nn.Module, act: nn.Module) -> None:
        super().__init__()
        self.stride, self.padding = conv.stride, conv.padding
        weight, bias = conv.weight.detach(), conv.bias.detach()
        self.weight = nn.Buffer(weight - weight.mean(dim=0))
        self.bias = nn.Buffer(bias - bias.mean())
        self.epsilon = norm.eps
        self.gain = nn.Buffer(norm.weight.detach().reshape(-1, 1, 1))
        self.shift = nn.Buffer(norm.bias.detach().reshape(-1, 1, 1))
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.weight, self.bias, self.stride, self.padding)
        spread = torch.sqrt((x * x).mean(dim=1, keepdim=True) + self.epsilon)
        return self.act(x / spread * self.gain + self.shift)


class FuserBlock(nn.Module):
    """Upstream's ConvNeXt block on rows (L, h * w, C)."""

    def __init__(self, block: nn.Module, grid: Size) -> None:
        super().__init__()
        self.dwconv, self.act = block.dwconv, block.act
        self.map = (-1, block.dwconv.in_channels, *grid)
        self.norm = layer_norm(block.norm)
        self.widen = linear(block.pwconv1)
        weight, bias = block.pwconv2.weight.detach(), block.pwconv2.bias.detach()
        if block.gamma is not None:
            gamma = block.gamma.detach()
            weight, bias = weight * gamma.unsqueeze(1), bias * gamma
        self.narrow = Linear(weight, bias)

    def forward(self, x: Tensor) -> Tensor:
        y = _channels_last(self.dwconv(x.transpose(1, 2).reshape(self.map)))
        return x + self.narrow(self.act(self.widen(self.norm(y))))


def _enlarging(length: int) -> Tensor:
    """A matrix (4 * length, length) that enlarges as `F.interpolate(mode="bilinear")` does."""
    eye = torch.eye(length).reshape(1, 1, length, length)
    return F.interpolate(eye, size=(4 * length, length), mode="bilinear")[0, 0]


def _channels_last(feature: Tensor) -> Tensor:
    """(L, C, h, w) → (L, h * w, C)."""
    return feature.flatten(2).transpose(1, 2)
