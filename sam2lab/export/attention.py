"""The attention of few tokens among themselves, as the decoder's graph has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Upstream's attention over (L, tokens, C), where a batch of 1 is broadcast, not repeated."""

    def __init__(self, attn: nn.Module) -> None:
        super().__init__()
        self.attn = attn
        self.split = attn.num_heads, attn.internal_dim // attn.num_heads

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        attn = self.attn
        q = Regroup.apply(attn.q_proj(q), (0, -1, *self.split)).transpose(1, 2)
        k = Regroup.apply(attn.k_proj(k), (0, -1, *self.split)).transpose(1, 2)
        v = Regroup.apply(attn.v_proj(v), (0, -1, *self.split)).transpose(1, 2)
        weights = torch.softmax((q * self.split[1] ** -0.5) @ k.transpose(-2, -1), dim=-1)
        x = Regroup.apply((weights @ v).transpose(1, 2), (0, -1, attn.internal_dim))
        return attn.out_proj(x)


class Regroup(torch.autograd.Function):
    """Reshape to sizes, of which 0 stands for "as it was" and -1 for "what is left".

    ONNX can say the first of a dimension and torch cannot: left to the exporter, each of these
    reshapes drags seven nodes along that find the sizes out at run time.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, sizes: Sequence[int]) -> Tensor:
        return x.reshape([size or x.shape[i] for i, size in enumerate(sizes)])

    @staticmethod
    def symbolic(g: Any, x: Any, sizes: Sequence[int]) -> Any:
        return g.op("Reshape", x, g.op("Constant", value_t=torch.tensor(sizes)))
