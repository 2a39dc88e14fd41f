"""Build the graph of the memory attention, in which a frame looks at what objects remember.

It computes what upstream's layers do, with less work and less memory moved:

- Objects are a batch. A frame that comes with a batch of 1 is broadcast, so that all that happens
  before it first looks at a memory is done once for all objects.
- Softmax's weights sum to one, so both projections of the values are one, and their bias passes
  through. Where memories are narrower than a frame, the weights sum the memories themselves, D
  wide, and the projection is applied to the few sums.
- Positions are added to the memories once for all layers, and all layers share one table of turns.
- Scores are computed in bands of queries, so that they need not all be held at once. For each band
  a runtime packs the keys anew, so bands are as large as memory allows: with tiny and seven
  memories this graph takes 0.84 of its time with 64 MB for 16.
- The keys of memories are made as columns, as the product with the queries wants them.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn

from sam2lab.export.attention import Regroup
from sam2lab.export.rotary import Grid, Turn
from sam2lab.export.rows import Linear, attention, bands, beyond_pages, in_bands, in_one, linear
from sam2lab.export.token_order import Size

SCORE_BYTES = 64 * 2**20
# The number of bands is planned for as many memories.
USUAL_MEMORIES = 7


class MemoryAttention(nn.Module):
    """A frame and what L objects remember → the frame as each object's decoder should see it.

    With (h, w) = (H/16, W/16), the model's width C and the memories' width D: `image_embed`
    (1 or L, C, h, w) as the encoder gives it, with "no memory" added; `memory` (L, M, h * w, D);
    `memory_age` (L, M), the row of upstream's temporal encoding; `object_pointers` (L, P, C) and
    `pointer_time` (L, P), their distance as a share of the largest. P may be 0. It returns
    `conditioned_embed` (L, C, h, w).
    """

    def __init__(self, model: SAM2Base, input_size: Size) -> None:
        super().__init__()
        self.grid = grid = input_size[0] // 16, input_size[1] // 16
        self.width, self.memory_width = model.hidden_dim, model.mem_dim
        attention = model.memory_attention
        start = 0.1 * _positions(model.image_encoder.neck.position_encoding, self.width, grid)
        if model.directly_add_no_mem_embed:
            start = start - model.no_mem_embed
        self.start = Grid(start, grid)
        encoding = model.memory_encoder.position_encoding
        self.places = Grid(_positions(encoding, self.memory_width, grid), grid)
        self.ages = nn.Buffer(model.maskmem_tpos_enc.detach().reshape(-1, self.memory_width))
        self.time = PointerTime(model)
        self.turn = Turn(attention.layers[0].self_attn, grid)
        self.layers = nn.ModuleList(MemoryLayer(layer, grid) for layer in attention.layers)
        self.norm = attention.norm

    def forward(
        self,
        image_embed: Tensor,
        memory: Tensor,
        memory_age: Tensor,
        object_pointers: Tensor,
        pointer_time: Tensor,
    ) -> Tensor:
        narrow = self.memory_width
        x = image_embed.flatten(2).transpose(1, 2) + self.start()
        age = F.embedding(memory_age, self.ages).unsqueeze(2)
        keys = memory + (self.places() + age)
        # A pointer is as wide as several memories, and becomes as many.
        pointers = Regroup.apply(object_pointers, (0, -1, self.width // narrow, narrow))
        pointer_keys = pointers + self.time(pointer_time).unsqueeze(2)
        columns = [
            Regroup.apply(each, (0, -1, narrow)).transpose(1, 2) for each in (keys, pointer_keys)
        ]
        values = torch.cat(
            [Regroup.apply(each, (0, -1, narrow)) for each in (memory, object_pointers)], dim=1
        )
        for layer in self.layers:
            x = layer(x, *columns, values, self.turn)
        return self.norm(x).transpose(1, 2).reshape(-1, self.width, *self.grid)


class PointerTime(nn.Module):
    """Times (L, P) → what is added to pointers as keys (L, P, D): 0 in models without it."""

    def __init__(self, model: SAM2Base) -> None:
        super().__init__()
        projection = model.obj_ptr_tpos_proj
        projected = isinstance(projection, nn.Linear)
        half = (projection.in_features if projected else model.mem_dim) // 2
        steps = torch.arange(half, dtype=torch.float32)
        self.periods = nn.Buffer(10000 ** (2 * (steps // 2) / half))
        weight = projection.weight.detach() if projected else torch.eye(2 * half)
        bias = projection.bias.detach() if projected else None
        if not model.add_tpos_enc_to_obj_ptrs:
            weight, bias = torch.zeros_like(weight), None
        self.projection = Linear(weight, bias)

    def forward(self, time: Tensor) -> Tensor:
        angles = time.unsqueeze(-1) / self.periods
        return self.projection(torch.cat([angles.sin(), angles.cos()], dim=-1))


class MemoryLayer(nn.Module):
    """A frame's tokens (1 or L, h * w, C) attend to themselves, then to memories → (L, h * w, C).

    `keys` (L, D, M * h * w) and `pointer_keys` (L, D, K) have their positions, `values`
    (L, M * h * w + K, D) have none.
    """

    def __init__(self, layer: nn.Module, grid: Size) -> None:
        super().__init__()
        self.tokens = grid[0] * grid[1]
        self.norm1, self.norm2, self.norm3 = layer.norm1, layer.norm2, layer.norm3
        own, cross = layer.self_attn, layer.cross_attn_image
        self.width = own.internal_dim
        self.own_queries = Halves(own.q_proj, own.internal_dim**-0.5)
        self.own_keys = Halves(own.k_proj)
        self.own_values = in_one(own.v_proj, own.out_proj)
        self.own_bands = bands(self.tokens, 4 * self.tokens**2, SCORE_BYTES)
        self.queries = Halves(cross.q_proj, cross.internal_dim**-0.5)
        self.keys = HalvesOfColumns(cross.k_proj)
        self.values = in_one(cross.v_proj, cross.out_proj)
        self.bands = bands(self.tokens, 4 * self.tokens**2 * USUAL_MEMORIES, SCORE_BYTES)
        self.linear1 = linear(layer.linear1)
        self.activation = layer.activation
        self.linear2 = linear(layer.linear2)

    def forward(
        self, x: Tensor, keys: Tensor, pointer_keys: Tensor, values: Tensor, turn: Turn
    ) -> Tensor:
        x = x + self.attend_to_itself(self.norm1(x), turn)
        queries = turn(*self.queries(self.norm2(x)))
        keys = self.turned_keys(keys, pointer_keys, turn)
        attend = partial(attention, keys=keys, values=values, repeated=0)
        x = x + self.values(in_bands(attend, (queries,), self.bands, dim=1))
        return x + self.linear2(self.activation(self.linear1(self.norm3(x))))

    def attend_to_itself(self, x: Tensor, turn: Turn) -> Tensor:
        queries = turn(*self.own_queries(x))
        keys = turn(*self.own_keys(x)).transpose(1, 2)
        values = self.own_values(x)
        repeated = beyond_pages(self.tokens)
        if repeated:
            keys = torch.cat([keys, keys[:, :, :repeated]], dim=2)
            values = F.pad(values, (0, 0, 0, repeated))
        attend = partial(attention, keys=keys, values=values, repeated=repeated)
        return in_bands(attend, (queries,), self.own_bands, dim=1)

    def turned_keys(self, keys: Tensor, pointer_keys: Tensor, turn: Turn) -> Tensor:
        """Memories turned by their places, and pointers, which have none: (L, C, M * h * w + K)."""
        places = (0, self.width // 2, -1, self.tokens)
        turned = turn.columns(*(Regroup.apply(half, places) for half in self.keys(keys)))
        pointers = torch.cat(self.keys(pointer_keys), dim=1)
        return torch.cat([Regroup.apply(turned, (0, self.width, -1)), pointers], dim=2)


class Halves(nn.Module):
    """A linear layer on rows (…, C), times `scale`, as its even outputs and its odd ones."""

    def __init__(self, linear: nn.Linear, scale: float = 1.0) -> None:
        super().__init__()
        weight, bias = linear.weight.detach() * scale, linear.bias.detach() * scale
        self.even = Linear(weight[0::2], bias[0::2])
        self.odd = Linear(weight[1::2], bias[1::2])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.even(x), self.odd(x)


class HalvesOfColumns(nn.Module):
    """A linear layer on columns (L, D, N), as its even outputs and its odd ones."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight, negative = linear.weight.detach(), -linear.bias.detach().unsqueeze(1)
        self.even, self.odd = nn.Buffer(weight[0::2]), nn.Buffer(weight[1::2])
        self.negative_even, self.negative_odd = nn.Buffer(negative[0::2]), nn.Buffer(negative[1::2])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.even @ x - self.negative_even, self.odd @ x - self.negative_odd


def _positions(encoding: nn.Module, channels: int, grid: Size) -> Tensor:
    """Upstream's sines of rows and columns: (h, w, C)."""
    return encoding(torch.zeros(1, channels, *grid))[0].permute(1, 2, 0)
