"""The memory attention for embeddings of any shape.

Upstream's rotary attention keeps a table of rotations for h * w tokens, and makes another when
their number changes. It takes every embedding for a square: 4x16 for 8x8, and it fails at 5x8. So a
model for another input size gets copies of the layers with a table of the right shape. The copies
share the parameters, and two sizes of one model may run in two threads, which would replace each
other's table.
"""

from __future__ import annotations

import copy

from sam2.modeling.memory_attention import MemoryAttention
from sam2.modeling.sam.transformer import RoPEAttention
from torch import Tensor, nn


def for_embedding(attention: MemoryAttention, embed_size: tuple[int, int]) -> MemoryAttention:
    """The same memory attention for embeddings of (h, w): parameters shared, the given unchanged.

    >>> from sam2lab.reference import zoo
    >>> attention = zoo.load("nano", weights="random").module.memory_attention
    >>> wide = for_embedding(attention, (4, 16))
    >>> wide.layers[0].self_attn.freqs_cis.shape, attention.layers[0].self_attn.freqs_cis.shape
    (torch.Size([64, 64]), torch.Size([1024, 64]))
    """
    # One table for all layers: at 1024 pixels it has 4 MB.
    tables: dict[str, Tensor] = {}
    layers = []
    for layer in attention.layers:
        parts = {
            name: _turning(part, embed_size, tables) if isinstance(part, RoPEAttention) else part
            for name, part in layer._modules.items()
        }
        layers.append(_with_parts(layer, parts))
    return _with_parts(attention, {**attention._modules, "layers": nn.ModuleList(layers)})


def _turning(
    attention: RoPEAttention, embed_size: tuple[int, int], tables: dict[str, Tensor]
) -> RoPEAttention:
    height, width = embed_size
    of_embedding = copy.copy(attention)
    settings = str(sorted(attention.compute_cis.keywords.items()))
    if settings not in tables:
        table = attention.compute_cis(end_x=width, end_y=height)
        tables[settings] = table.to(attention.freqs_cis.device)
    of_embedding.freqs_cis = tables[settings]
    return of_embedding


def _with_parts(module: nn.Module, parts: dict[str, nn.Module | None]) -> nn.Module:
    # A shallow copy shares the table of sub-modules, which changes here.
    copied = copy.copy(module)
    copied._modules = parts
    return copied
