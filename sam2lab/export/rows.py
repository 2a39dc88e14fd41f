"""Build products on rows of tokens so that processors compute them fast.

- A core's data should stay in its cache: a product of 1024 rows runs a fifth faster than one of
  65536. So long ones are computed in bands, one after the other.
- Rows that are whole memory pages long are multiplied at 0.7 to 0.9 of the usual speed, because
  numbers that are read at once fall into the same few places of the cache. `beyond_pages` says how
  much longer to make them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Linear(nn.Module):
    """Rows (N, C) times weights given as (outputs, C), plus a bias if there is one.

    The bias is subtracted with the other sign. onnxruntime would join an addition with the product
    to Gemm, which first fills the result with the bias, on one core however many there are.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.weight = nn.Buffer(weight.t().contiguous())
        self.negative = None if bias is None else nn.Buffer(-bias)

    def forward(self, x: Tensor) -> Tensor:
        x = x @ self.weight
        return x if self.negative is None else x - self.negative


def linear(layer: nn.Linear | nn.Conv2d) -> Linear:
    """A linear layer, or a convolution of single pixels, on rows."""
    return Linear(layer.weight.detach().flatten(1), layer.bias.detach())


def in_one(first: nn.Linear | nn.Conv2d, second: nn.Linear | nn.Conv2d) -> Linear:
    """Two such layers, one after the other, as one."""
    a, b = (layer.weight.detach().flatten(1).double() for layer in (first, second))
    bias = b @ first.bias.detach().double() + second.bias.detach().double()
    return Linear((b @ a).to(first.weight.dtype), bias.to(first.weight.dtype))


def bands(length: int, size: int, limit: int) -> int:
    """How many equal bands to cut `length` items of `size` bytes into, so none exceeds `limit`.

    It is one band if no such number is near. Bands must be equal, because their size depends on the
    batch, which is free in the graph: a graph can only cut into equal parts then.

    >>> bands(1024, 64, 16), bands(10, 64, 16), bands(10, 640, 16), bands(23, 64, 16)
    (4, 5, 10, 1)
    """
    least = min(-(-size // limit), length)
    return next((count for count in range(least, 4 * least + 1) if length % count == 0), 1)


def attention(queries: Tensor, keys: Tensor, values: Tensor, repeated: int) -> Tensor:
    """(B, Q, C), (B, C, K) and (B, K, C) → (B, Q, C).

    The last keys may be `repeated` others, with values of 0. A division undoes the share of the
    weights that they take, which is half at most.
    """
    weights = torch.softmax(queries @ keys, dim=-1)
    attended = weights @ values
    if not repeated:
        return attended
    return attended / (1 - weights[:, :, -repeated:].sum(dim=-1, keepdim=True))


def in_bands(
    call: Callable[..., Tensor], tensors: tuple[Tensor, ...], count: int, dim: int = 0
) -> Tensor:
    """Call on `count` parts of the tensors, one after the other, and concatenate the results."""
    if count == 1:
        return call(*tensors)
    parts = zip(*(cut(tensor, count, dim) for tensor in tensors), strict=True)
    return torch.cat([call(*part) for part in parts], dim=dim)


def beyond_pages(length: int) -> int:
    """How many float32 numbers to add so that rows are no multiple of a memory page, 4096 bytes."""
    return 16 if length % 1024 == 0 else 0


def cut(tensor: Tensor, count: int, dim: int) -> tuple[Tensor, ...]:
    """Cut a tensor into equal parts."""
    return (tensor,) if count == 1 else Bands.apply(tensor, count, dim)


class Bands(torch.autograd.Function):
    """Split into parts of equal size.

    ONNX allows that the size of what is split is free, as the number of rows is. torch's exporter
    does not.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, count: int, dim: int) -> tuple[Tensor, ...]:
        return tuple(part.clone() for part in x.chunk(count, dim))

    @staticmethod
    def symbolic(g: Any, x: Any, count: int, dim: int) -> Any:
        return g.op("Split", x, axis_i=dim, num_outputs_i=count, outputs=count)
