"""Self-attention of the decoder's tokens, and how its graph splits tokens into heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Upstream's attention over (L, tokens, C), in fewer nodes. A batch of 1 is broadcast."""

    def __init__(self, attn: nn.Module) -> None:
        super().__init__()
        self.attn = attn
        self.heads = Heads(attn)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        attn, heads = self.attn, self.heads
        q = heads.split(attn.q_proj(q))
        k = heads.split(attn.k_proj(k))
        v = heads.split(attn.v_proj(v))
        weights = torch.softmax((q * heads.width**-0.5) @ k.transpose(-2, -1), dim=-1)
        return attn.out_proj(heads.join(weights @ v))


class Heads:
    """Splits tokens into the heads of an attention module, and joins them again.

    `width` is that of one head, C that of a token.
    """

    def __init__(self, attn: nn.Module) -> None:
        self.count = attn.num_heads
        self.width = attn.internal_dim // attn.num_heads
        self.token_width = attn.embedding_dim

    def split(self, x: Tensor) -> Tensor:
        """(L, T, heads * width) → (L, heads, T, width)."""
        return Regroup.apply(x, (0, -1, self.count, self.width)).transpose(1, 2)

    def join(self, x: Tensor) -> Tensor:
        """(L, heads, T, width) → (L, T, heads * width)."""
        return Regroup.apply(x.transpose(1, 2), (0, -1, self.count * self.width))

    def stack(self, x: Tensor) -> Tensor:
        """(L, heads, T, C) → (L, heads * T, C)."""
        return Regroup.apply(x, (0, -1, self.token_width))

    def unstack(self, x: Tensor) -> Tensor:
        """(L, heads * T, C) → (L, heads, T, C)."""
        return Regroup.apply(x, (0, self.count, -1, self.token_width))

    def split_weight(self, weight: Tensor) -> Tensor:
        """(heads * width, C) → (heads, width, C); a bias as if C were 1."""
        return weight.detach().reshape(self.count, self.width, -1)


class Regroup(torch.autograd.Function):
    """Reshape to sizes, where 0 means that a dimension stays, and -1 what is left.

    ONNX has such a 0 and torch has not: without it, torch's exporter adds seven nodes to each of
    these reshapes, which compute the sizes at run time.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, sizes: Sequence[int]) -> Tensor:
        return x.reshape([size or x.shape[i] for i, size in enumerate(sizes)])

    @staticmethod
    def symbolic(g: Any, x: Any, sizes: Sequence[int]) -> Any:
        return g.op("Reshape", x, g.op("Constant", value_t=torch.tensor(sizes)))
