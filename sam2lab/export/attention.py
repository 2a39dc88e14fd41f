"""The decoder's attention: among tokens, and between few tokens and many pixels.

Attention between tokens and pixels projects the tokens and never the pixels. For each head, the
scores are q Wq (p Wk)ᵀ = (q Wq Wkᵀ) pᵀ and the result is A (p Wv) = (A p) Wv, so both projections
can be applied to the smaller side. With eight tokens and eight heads that is 64 rows of full width
instead of 4,096 pixels, which halves the multiplications; with sixteen tokens it breaks even. Only
rounding differs. The keys' bias adds the same to all scores of a row, so softmax ignores it. Each
row of softmax's weights sums to one, so the values' bias is added unweighted.
"""

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


class TokensToImage(nn.Module):
    """Tokens (L, T, C) attend to pixels, whose keys and values are (1 or L, N, C) → (L, T, C)."""

    def __init__(self, attn: nn.Module) -> None:
        super().__init__()
        self.q_proj, self.out_proj = attn.q_proj, attn.out_proj
        self.heads = heads = Heads(attn)
        self.keys = nn.Buffer(heads.split_weight(attn.k_proj.weight) * heads.width**-0.5)
        values = heads.split_weight(attn.v_proj.weight).transpose(1, 2)
        self.values = nn.Buffer(values.contiguous())
        self.values_bias = nn.Buffer(attn.v_proj.bias.detach())

    def forward(self, tokens: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        heads = self.heads
        queries = heads.stack(heads.split(self.q_proj(tokens)) @ self.keys)
        attended = torch.softmax(queries @ keys.transpose(-2, -1), dim=-1) @ values
        return self.out_proj(heads.join(heads.unstack(attended) @ self.values) + self.values_bias)


class ImageToTokens(nn.Module):
    """Pixels (1 or L, N, C) attend to tokens, whose keys and values are (L, T, C) → (L, N, C).

    N is known when the graph is made.
    """

    def __init__(self, attn: nn.Module, pixels: int) -> None:
        super().__init__()
        self.pixels = pixels
        self.k_proj, self.v_proj = attn.k_proj, attn.v_proj
        self.heads = heads = Heads(attn)
        scale = heads.width**-0.5
        self.queries = nn.Buffer(heads.split_weight(attn.q_proj.weight) * scale)
        self.queries_bias = nn.Buffer(heads.split_weight(attn.q_proj.bias) * scale)
        self.outputs = nn.Buffer(heads.split_weight(attn.out_proj.weight.transpose(0, 1)))
        # The weights of each head sum to one, so each head can add an equal part of the bias.
        self.outputs_bias = nn.Buffer(attn.out_proj.bias.detach() / heads.count)

    def forward(self, pixels: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        heads = self.heads
        keys = heads.split(self.k_proj(keys))
        bias = Regroup.apply(keys @ self.queries_bias, (0, -1, 1))
        scores = heads.stack(keys @ self.queries) @ pixels.transpose(-2, -1) + bias
        weights = _softmax_of_tokens(Regroup.apply(scores, (0, heads.count, -1, self.pixels)))
        values = heads.stack(heads.split(self.v_proj(values)) @ self.outputs) + self.outputs_bias
        return Regroup.apply(weights, (0, -1, self.pixels)).transpose(-2, -1) @ values


def _softmax_of_tokens(scores: Tensor) -> Tensor:
    """(L, heads, T, N) → weights that sum to one over T.

    It is written out, because onnxruntime's Softmax is made for long rows that lie in one piece:
    for a few tokens in four thousand places, the separate operators are three times as fast.
    """
    weights = (scores - scores.amax(dim=2, keepdim=True)).exp()
    return weights / weights.sum(dim=2, keepdim=True)


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
