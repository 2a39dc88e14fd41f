"""Attention between few tokens and many pixels that projects the tokens and never the pixels.

For each head, the scores are q Wq (p Wk)ᵀ = (q Wq Wkᵀ) pᵀ and the result is A (p Wv) = (A p) Wv, so
both projections can be applied to the smaller side. With eight tokens and eight heads that is 64
rows of full width instead of 4,096 pixels, which halves the multiplications; with sixteen tokens it
breaks even. Only rounding differs. The keys' bias adds the same to all scores of a row, so softmax
ignores it. Each row of softmax's weights sums to one, so the values' bias is added unweighted.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sam2lab.export.attention import Heads, Regroup


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
