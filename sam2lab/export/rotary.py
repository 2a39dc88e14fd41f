"""Turn queries and keys by their places (rotary position encoding) in real numbers.

Upstream takes each two neighbouring channels for a complex number and multiplies it with one of the
token's place. Here even and odd channels are two halves, which is a matter of the order of the
weights' rows, and a turn is four products of real tensors, which round as upstream's do. A score is
a sum over channels, so their order does not matter as long as queries and keys have the same.
"""

from __future__ import annotations

from typing import Any

import torch
from sam2.modeling.sam.transformer import RoPEAttention
from torch import Tensor, nn

from sam2lab.export.token_order import Size


class Grid(nn.Module):
    """A constant table (h * w, C), in which a channel depends on the row alone or the column alone.

    The file holds the rows and the columns: a runtime that folds constants adds them once, when it
    opens the graph. One of the two is 0, so the sum is exact.
    """

    def __init__(self, table: Tensor, grid: Size) -> None:
        super().__init__()
        table = table.detach().reshape(*grid, -1)
        columns, rows = table[:1], table[:, :1]
        same_in_row = (table == rows).all(dim=1).all(dim=0)
        rows, columns = rows * same_in_row, columns * ~same_in_row
        if not torch.equal(rows + columns, table):
            raise ValueError("table has a channel that depends on both the row and the column")
        self.shape = (grid[0] * grid[1], table.shape[2])
        self.rows, self.columns = nn.Buffer(rows.contiguous()), nn.Buffer(columns.contiguous())

    def forward(self) -> Tensor:
        return _Sum.apply(self.rows, self.columns).reshape(self.shape)


class _Sum(torch.autograd.Function):
    """An addition that torch's exporter does not carry out."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        return a + b

    @staticmethod
    def symbolic(g: Any, a: Any, b: Any) -> Any:
        return g.op("Sum", a, b)


class Turn(nn.Module):
    """Turns the even and the odd channels of tokens, both (…, h * w, C/2) → (…, h * w, C).

    `columns` does the same to channels that come first, (L, C/2, M, h * w) → (L, C, M, h * w).
    """

    def __init__(self, attn: RoPEAttention, grid: Size) -> None:
        super().__init__()
        # Upstream's own function of its settings: the numbers are the same to the last bit.
        turns = attn.compute_cis(end_x=grid[1], end_y=grid[0])
        self.cos, self.sin = Grid(turns.real, grid), Grid(turns.imag, grid)

    def forward(self, even: Tensor, odd: Tensor) -> Tensor:
        return _turned(even, odd, self.cos(), self.sin(), dim=-1)

    def columns(self, even: Tensor, odd: Tensor) -> Tensor:
        cos, sin = (each().t().unsqueeze(1) for each in (self.cos, self.sin))
        return _turned(even, odd, cos, sin, dim=1)


def _turned(even: Tensor, odd: Tensor, cos: Tensor, sin: Tensor, dim: int) -> Tensor:
    return torch.cat([even * cos - odd * sin, even * sin + odd * cos], dim=dim)
