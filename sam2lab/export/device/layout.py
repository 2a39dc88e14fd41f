"""Moves of tensors with channels last, in at most four dimensions and without gathers.

Accelerators of phones take four dimensions at full speed, and some nothing else. Gathers are slow
there, and one compiler computes them wrong in 8 bits.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def sizes(x: Tensor) -> tuple[int, ...]:
    """The shape as plain numbers, also while torch traces, so that no graph computes it."""
    return tuple(map(int, x.shape))


def by_channels_first(call: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Call what wants (N, C, h, w), such as a convolution, on (N, h, w, C)."""
    return call(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def pool(x: Tensor) -> Tensor:
    """The largest of each two by two pixels of (1, h, w, C); an odd last row or column is lost."""
    return by_channels_first(lambda x: F.max_pool2d(x, 2, 2), x)


def to_windows(x: Tensor, side: int) -> Tensor:
    """(1, h, w, C), h and w being multiples of `side` → (windows, side, side, C)."""
    _, height, width, channels = sizes(x)
    x = x.reshape(height // side, side, width // side, side * channels)
    return x.permute(0, 2, 1, 3).reshape(-1, side, side, channels)


def padded_windows(x: Tensor, side: int) -> Tensor:
    """`to_windows` of a map (1, h, w, C), with zeros below and to the right that fill it up."""
    _, height, width, _ = sizes(x)
    right, below = -width % side, -height % side
    return to_windows(F.pad(x, (0, 0, 0, right, 0, below)) if right or below else x, side)


def from_windows(x: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `to_windows`: (windows, side, side, C) → (1, h, w, C)."""
    _, side, _, channels = sizes(x)
    x = x.reshape(height // side, width // side, side, side * channels)
    return x.permute(0, 2, 1, 3).reshape(1, height, width, channels)


def arranged(x: Tensor, side: int, height: int, width: int) -> Tensor:
    """A map (1, h, w, C), or its windows, as windows of `side` if these fill it, else as a map."""
    if sizes(x)[1:3] == (side, side):
        return x
    if sizes(x)[1:3] != (height, width):
        x = from_windows(x, height, width)
    fill = side and not height % side and not width % side
    return to_windows(x, side) if fill else x


def double(x: Tensor, height: int, width: int) -> Tensor:
    """Each pixel of (1, h, w, C) two by two times, and the last row and column once more if odd."""
    _, h, w, channels = sizes(x)
    x = torch.cat([x, x], dim=3).reshape(h, 1, 2 * w * channels)
    x = torch.cat([x, x], dim=1).reshape(1, 2 * h, 2 * w, channels)
    if height > 2 * h:
        x = torch.cat([x, x[:, -1:]], dim=1)
    return x if width == 2 * w else torch.cat([x, x[:, :, -1:]], dim=2)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(N, T, heads * width) → (N, heads, T, width)."""
    count, tokens, _ = sizes(x)
    if heads == 1:
        return x.reshape(count, 1, tokens, -1)
    return x.reshape(count, tokens, heads, -1).permute(0, 2, 1, 3)


def split_keys(x: Tensor, heads: int) -> Tensor:
    """(N, T, heads * width) → (N, heads, width, T), the second factor of the scores."""
    return split_heads(x, heads).transpose(2, 3)


def join_heads(x: Tensor) -> Tensor:
    """(N, heads, T, width) → (N, T, heads * width)."""
    count, _, tokens, _ = sizes(x)
    return x.permute(0, 2, 1, 3).reshape(count, tokens, -1)


def linear(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    """A linear layer with a copy of weights (outputs, inputs)."""
    made = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, dtype=weight.dtype)
    made.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        made.bias = nn.Parameter(bias.detach().clone())
    return made


def pixelwise(conv: nn.Module) -> nn.Linear:
    """A convolution of single pixels as a linear layer."""
    return linear(conv.weight.flatten(1), conv.bias)


def in_one(first: nn.Module, second: nn.Module) -> nn.Linear:
    """Two convolutions of single pixels, one after the other, as one linear layer."""
    a, b = (conv.weight.detach().flatten(1).double() for conv in (first, second))
    bias = b @ first.bias.detach().double() + second.bias.detach().double()
    dtype = first.weight.dtype
    return linear((b @ a).to(dtype), bias.to(dtype))


def scaled(layer: nn.Linear, width: int) -> nn.Linear:
    """The layer of an attention's queries, with the division by the root of `width` in it."""
    return linear(layer.weight * width**-0.5, layer.bias * width**-0.5)
