"""Attention as both graphs write it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


def attend(q: Tensor, k: Tensor, v: Tensor, width: int) -> Tensor:
    """Scaled dot-product attention over (..., tokens, width)."""
    return torch.softmax((q * width**-0.5) @ k.transpose(-2, -1), dim=-1) @ v


class Attention(nn.Module):
    """Upstream's attention over (L, tokens, C), where a batch of 1 is broadcast, not repeated."""

    def __init__(self, attn: nn.Module) -> None:
        super().__init__()
        self.attn = attn
        self.split = attn.num_heads, attn.internal_dim // attn.num_heads

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        attn = self.attn
        q = Regroup.apply(attn.q_proj(q), self.split).transpose(1, 2)
        k = Regroup.apply(attn.k_proj(k), self.split).transpose(1, 2)
        v = Regroup.apply(attn.v_proj(v), self.split).transpose(1, 2)
        x = attend(q, k, v, self.split[1]).transpose(1, 2)
        return attn.out_proj(Regroup.apply(x, (attn.internal_dim,)))


class Regroup(torch.autograd.Function):
    """Reshape all but the first two dimensions.

    ONNX can say "as it was" of a dimension and torch cannot: left to the exporter, each of these
    reshapes drags seven nodes along that find the two sizes out at run time.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, sizes: Sequence[int]) -> Tensor:
        return x.reshape(*x.shape[:2], *sizes)

    @staticmethod
    def symbolic(g: Any, x: Any, sizes: Sequence[int]) -> Any:
        # 0 copies a size. The second could be 0 too, but torch's exporter wants a -1 beside it.
        return g.op("Reshape", x, g.op("Constant", value_t=torch.tensor([0, -1, *sizes])))
