"""Build a block of the encoder's trunk, Hiera, so that processors compute it fast.

It computes what upstream's block does, with less work and less memory moved:

- Queries, keys and values are three products, not one that is split. The queries' scaling is in
  their weights.
- Keys have no bias, because softmax ignores what is added to all scores of a query. Values have
  none: softmax's weights sum to one, so the values' bias goes into the bias of the projection after
  them, and so does the shortcut's. A pooled query gets its bias after the pooling.
- So a padded token's key and value are zeros. One row of zeros after a map's tokens serves for all
  padded tokens, which need not be projected.
- A block that attends within windows is computed some windows at a time. In other blocks the scores
  of the whole map, and everything after attention, are computed in bands; see `rows`.
- Rows of scores and of hidden neurons are made a little longer if they are whole memory pages.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2lab.export.rows import Linear, attention, bands, beyond_pages, cut, in_bands
from sam2lab.export.token_order import Order, Places, choose, in_windows

# The size of a band's largest tensor in float32. Smaller bands gain a few per cent on one core and
# nothing on two, and opening takes longer than that, because each band has nodes and repacked
# weights of its own.
BAND_BYTES = 12 * 2**20
SCORE_BYTES = 16 * 2**20


class HieraBlock(nn.Module):
    """A block of the trunk on rows of tokens (B * tokens, C), in the order `order`."""

    def __init__(self, block: nn.Module, order: Order) -> None:
        super().__init__()
        self.order = order
        self.pools = bool(block.pool)
        self.order_out = order.pooled() if self.pools else order
        self.window = block.window_size
        self.window_out = self.window // 2 if self.pools else self.window
        self.norm1, self.norm2 = block.norm1, block.norm2
        attn = block.attn
        self.dim_in = block.dim
        self.heads, self.dim = attn.num_heads, attn.dim_out
        self.width = attn.dim_out // attn.num_heads
        if self.window:
            # Attention is computed window by window, or for a whole map that windows need not fill.
            grid, grid_out = order.grid, self.order_out.grid
            if order.window:
                grid, grid_out = (self.window, self.window), (self.window_out, self.window_out)
            windows = -(-grid[0] // self.window), -(-grid[1] // self.window)
            self.key_places = in_windows(grid, windows, self.window, self.heads)
            self.query_places = in_windows(grid_out, windows, self.window_out, self.heads)
        q, k, v = attn.qkv.weight.detach().chunk(3)
        q_bias, _, v_bias = attn.qkv.bias.detach().chunk(3)
        scale = self.width**-0.5
        self.q = Linear(q * scale, None if self.pools else q_bias * scale)
        self.q_bias = nn.Buffer(q_bias * scale)
        self.k, self.v = Linear(k), Linear(v)
        bias = attn.proj.bias.detach() + attn.proj.weight.detach() @ v_bias
        self.widen = None
        if block.dim != block.dim_out:
            self.widen = Linear(block.proj.weight.detach())
            bias = bias + block.proj.bias.detach()
        self.proj = Linear(attn.proj.weight.detach(), bias)
        self.mlp = Mlp(block.mlp)

    def forward(self, x: Tensor) -> Tensor:
        if not (self.window and self.order.window):
            x, attended = self.attend(x)
            rows = self.order_out.tokens
            size = 4 * rows * self.mlp.hidden
            return in_bands(self.finish, (x, attended), bands(rows, size, BAND_BYTES))
        count = self.order.tokens // self.window**2
        size = 4 * max(self.order.tokens * self.dim, self.order_out.tokens * self.mlp.hidden)
        windows = x.reshape(-1, self.window**2 * self.dim_in)
        return in_bands(self.attend_and_finish, (windows,), bands(count, size, BAND_BYTES))

    def attend_and_finish(self, windows: Tensor) -> Tensor:
        """The whole block on windows (N, window * window * C), each of which is independent."""
        return self.finish(*self.attend(windows.reshape(-1, self.dim_in)))

    def attend(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The shortcut past attention, widened and pooled like attention itself, and attention."""
        normed = self.norm1(x)
        if self.widen is not None:
            x = self.pool(self.widen(normed))
        q = self.q(normed)
        if self.pools:
            q = self.pool(q) + self.q_bias
        if not self.window:
            return x, self.attend_everywhere(q, self.k(normed), self.v(normed))
        if self.key_places.min() < 0:
            normed = F.pad(normed.reshape(-1, self.order.tokens, self.dim_in), (0, 0, 0, 1))
            normed = normed.reshape(-1, self.dim_in)
        return x, self.attend_in_windows(q, self.k(normed), self.v(normed))

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """The rest of the block after attention, on rows that are independent of each other."""
        x = x + self.proj(attended)
        return x + self.mlp(self.norm2(x))

    def pool(self, x: Tensor) -> Tensor:
        """The largest of each two by two tokens."""
        channels = x.shape[-1]
        if self.order.window:
            left = (self.order.window // 2) ** 2
            return x.reshape(-1, 4, left * channels).amax(1).reshape(-1, channels)
        height, width = self.order_out.grid
        if self.order.grid != (2 * height, 2 * width):
            x = x.reshape(-1, *self.order.grid, channels)[:, : 2 * height, : 2 * width]
        x = x.reshape(-1, 2, 2 * width * channels).amax(1)
        return x.reshape(-1, 2, channels).amax(1)

    def attend_everywhere(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention over the whole map: one head after the other, one band of queries at a time."""
        tokens, queries = self.order.tokens, self.order_out.tokens
        q = q.reshape(-1, queries, self.dim)
        k = k.reshape(-1, tokens, self.dim).transpose(1, 2)
        v = v.reshape(-1, tokens, self.dim)
        repeated = beyond_pages(tokens)
        if repeated:
            k, v = torch.cat([k, k[:, :, :repeated]], dim=2), F.pad(v, (0, 0, 0, repeated))
        parts = cut(q, self.heads, 2), cut(k, self.heads, 1), cut(v, self.heads, 2)
        count = bands(queries, 4 * queries * tokens, SCORE_BYTES)
        heads = [
            in_bands(partial(attention, keys=k, values=v, repeated=repeated), (q,), count, dim=1)
            for q, k, v in zip(*parts, strict=True)
        ]
        return torch.cat(heads, dim=2).reshape(-1, self.dim)

    def attend_in_windows(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention within windows, which may reach beyond the map."""
        # The queries beyond the map may be any, because their results are dropped.
        q = self.part(q, self.query_places.clip(min=0), self.window_out)
        k, v = (self.part(x, self.key_places, self.window) for x in (k, v))
        x = torch.softmax(q @ k.transpose(1, 2), dim=-1) @ v
        inside = np.flatnonzero(self.query_places >= 0)
        back = inside[self.query_places[inside].argsort()]
        return choose(x, back, self.query_places.size, self.width).reshape(-1, self.dim)

    def part(self, x: Tensor, places: Places, window: int) -> Tensor:
        """Rows → (windows * heads, window * window, width). The row after a map's stands for -1."""
        count = int(places.max()) + 1
        if places.min() < 0:
            places, count = np.where(places < 0, count, places), count + self.heads
        return choose(x, places, count, self.width).reshape(-1, window**2, self.width)


class Mlp(nn.Module):
    """Upstream's two layers with a GELU between, on rows."""

    def __init__(self, mlp: nn.Module) -> None:
        super().__init__()
        first, second = mlp.layers
        # Added neurons are always 0.
        more = beyond_pages(first.out_features)
        self.hidden = first.out_features + more
        self.layers = nn.ModuleList(
            [
                Linear(
                    F.pad(first.weight.detach(), (0, 0, 0, more)),
                    F.pad(first.bias.detach(), (0, more)),
                ),
                Linear(F.pad(second.weight.detach(), (0, more)), second.bias.detach()),
            ]
        )
        self.act = mlp.act

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.layers
        return second(self.act(first(x)))
