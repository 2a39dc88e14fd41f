"""Attention between few tokens and many pixels, which projects the tokens and never the pixels.

Of a head's weights, scores are q Wq (p Wk)ᵀ = (q Wq Wkᵀ) pᵀ and what is taken up is A (p Wv) =
(A p) Wv: whichever side is smaller can bear both projections. With eight tokens and eight heads
that is 64 rows of full width against 4,096 pixels, half of the multiplications; with sixteen tokens
it breaks even. Only rounding differs. The keys' bias adds the same to all scores of a row, which
softmax ignores; each row of its weights sums to one, so that the values' bias passes unweighted.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sam2lab.export.attention import Regroup


class TokensToImage(nn.Module):
    """Tokens (L, T, C) ask pixels; keys and values (1 or L, N, C) → (L, T, C)."""

    def __init__(self, attn: nn.Module) -> None:
        super().__init__()
        self.q_proj, self.out_proj = attn.q_proj, attn.out_proj
        self.rows = Rows(attn)
        self.keys = nn.Buffer(_by_head(attn, attn.k_proj.weight) * self.rows.head_width**-0.5)
        self.values = nn.Buffer(_by_head(attn, attn.v_proj.weight).transpose(1, 2).contiguous())
        self.values_bias = nn.Buffer(attn.v_proj.bias.detach())

    def forward(self, tokens: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        rows = self.rows
        asked = rows.merge(rows.split(self.q_proj(tokens)) @ self.keys)
        seen = torch.softmax(asked @ keys.transpose(-2, -1), dim=-1) @ values
        return self.out_proj(rows.join(rows.unmerge(seen) @ self.values) + self.values_bias)


class ImageToTokens(nn.Module):
    """Pixels (1 or L, N, C), N being known, ask tokens; keys and values (L, T, C) → (L, N, C)."""

    def __init__(self, attn: nn.Module, pixels: int) -> None:
        super().__init__()
        self.pixels = pixels
        self.k_proj, self.v_proj = attn.k_proj, attn.v_proj
        self.rows = Rows(attn)
        scale = self.rows.head_width**-0.5
        self.queries = nn.Buffer(_by_head(attn, attn.q_proj.weight) * scale)
        self.queries_bias = nn.Buffer(_by_head(attn, attn.q_proj.bias) * scale)
        self.outputs = nn.Buffer(_by_head(attn, attn.out_proj.weight.transpose(0, 1)))
        # The weights of each head sum to one, so each may bring an equal part of the bias.
        self.outputs_bias = nn.Buffer(attn.out_proj.bias.detach() / attn.num_heads)

    def forward(self, pixels: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        rows = self.rows
        keys = rows.split(self.k_proj(keys))
        bias = Regroup.apply(keys @ self.queries_bias, (0, -1, 1))
        scores = rows.merge(keys @ self.queries) @ pixels.transpose(-2, -1) + bias
        weights = _softmax_of_tokens(Regroup.apply(scores, (0, rows.heads, -1, self.pixels)))
        values = rows.merge(rows.split(self.v_proj(values)) @ self.outputs) + self.outputs_bias
        return Regroup.apply(weights, (0, -1, self.pixels)).transpose(-2, -1) @ values


class Rows:
    """How tokens become rows, one for each token of each head, and come back."""

    def __init__(self, attn: nn.Module) -> None:
        self.heads = attn.num_heads
        self.head_width = attn.internal_dim // attn.num_heads
        self.width = attn.embedding_dim

    def split(self, x: Tensor) -> Tensor:
        """(L, T, heads * head_width) → (L, heads, T, head_width)."""
        return Regroup.apply(x, (0, -1, self.heads, self.head_width)).transpose(1, 2)

    def join(self, x: Tensor) -> Tensor:
        """(L, heads, T, head_width) → (L, T, heads * head_width)."""
        return Regroup.apply(x.transpose(1, 2), (0, -1, self.heads * self.head_width))

    def merge(self, x: Tensor) -> Tensor:
        """(L, heads, T, C) → (L, heads * T, C)."""
        return Regroup.apply(x, (0, -1, self.width))

    def unmerge(self, x: Tensor) -> Tensor:
        """(L, heads * T, C) → (L, heads, T, C)."""
        return Regroup.apply(x, (0, self.heads, -1, self.width))


def _softmax_of_tokens(scores: Tensor) -> Tensor:
    """(L, heads, T, N) → weights that sum to one over T.

    Written out, since onnxruntime's Softmax is made for long rows that lie in one piece: of a few
    tokens in four thousand places, the pieces are computed three times as fast.
    """
    weights = (scores - scores.amax(dim=2, keepdim=True)).exp()
    return weights / weights.sum(dim=2, keepdim=True)


def _by_head(attn: nn.Module, weight: Tensor) -> Tensor:
    """(heads * head_width, C) → (heads, head_width, C), a bias as if C were 1."""
    head_width = attn.internal_dim // attn.num_heads
    return weight.detach().reshape(attn.num_heads, head_width, -1)
