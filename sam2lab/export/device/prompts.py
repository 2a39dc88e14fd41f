"""Rewire the prompts' embeddings for accelerators: a fixed number of point slots, some empty."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2lab.export.device.layout import by_channels_first, linear, pixelwise, sizes
from sam2lab.export.token_order import Size
from sam2lab.export.upscaling import layer_norm


class DevicePoints(nn.Module):
    """Points (1, P, 2) and labels (1, P) → (1, P + 1, C), and which tokens are there (1, T).

    Tokens are the `outputs` that are always there, then the points, and last upstream's padding
    point, which is there if any other point is. A slot of label -1 is empty; what stands in it must
    not be looked at. All here stays float in every 8-bit recipe, because sines of coordinates need
    every digit.
    """

    def __init__(self, prompts: nn.Module, input_size: Size, outputs: int) -> None:
        super().__init__()
        frequencies = prompts.pe_layer.positional_encoding_gaussian_matrix
        height, width = input_size
        self.scale = nn.Buffer(2 / torch.tensor([width, height], dtype=frequencies.dtype))
        self.frequencies = linear(2 * math.pi * frequencies.t())
        rows = torch.cat([e.weight for e in (prompts.not_a_point_embed, *prompts.point_embeddings)])
        self.by_label = linear(rows.t())
        self.labels = nn.Buffer(torch.arange(len(rows), dtype=rows.dtype) - 1)
        self.always = nn.Buffer(torch.ones(1, outputs, dtype=rows.dtype))

    def forward(self, coords: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        there = 1 - F.relu(-labels)
        there = torch.cat([self.always, there, there.amax(dim=1, keepdim=True)], dim=1)
        # The padding point's own coordinates do not count.
        coords = torch.cat([coords, coords[:, :1]], dim=1)
        labels = torch.cat([labels, labels[:, :1] * 0 - 1], dim=1).reshape(1, -1, 1)
        angles = self.frequencies((coords + 0.5) * self.scale - 1)
        position = torch.cat([angles.sin(), angles.cos()], dim=-1) * (1 - F.relu(-labels))
        # 1 where a label is that of a row and 0 elsewhere, without comparing.
        chosen = F.relu(1 - (labels - self.labels).abs())
        return position + self.by_label(chosen), there


class DeviceMasks(nn.Module):
    """A mask (1, 1, 4h, 4w), which counts where `has_mask` (1) is 1 → (1, h, w, C)."""

    def __init__(self, prompts: nn.Module) -> None:
        super().__init__()
        self.conv1, norm1, self.act1, self.conv2, norm2, self.act2, last = prompts.mask_downscaling
        self.norm1, self.norm2, self.last = layer_norm(norm1), layer_norm(norm2), pixelwise(last)
        self.no_mask = nn.Buffer(prompts.no_mask_embed.weight.detach().reshape(1, 1, 1, -1))

    def forward(self, mask: Tensor, has_mask: Tensor) -> Tensor:
        # One channel: first or last is the same.
        x = mask.reshape(1, *sizes(mask)[2:], 1)
        x = self.act1(self.norm1(by_channels_first(self.conv1, x)))
        x = self.act2(self.norm2(by_channels_first(self.conv2, x)))
        return (self.last(x) - self.no_mask) * has_mask.reshape(1, 1, 1, 1) + self.no_mask
