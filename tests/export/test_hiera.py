"""The graph's blocks compute what upstream's do, in float64, where only wiring can differ."""

from __future__ import annotations

import pytest
import torch
from sam2.modeling.backbones.hieradet import MultiScaleBlock
from torch import nn

import sam2lab.export.hiera as hiera
from sam2lab.export.hiera import HieraBlock
from sam2lab.export.token_order import Order

# name: grid, width in, width out, heads, window, pools, order's window, order's poolings
KINDS = {
    "one head in windows": ((16, 24), 16, 16, 1, 8, False, 8, 2),
    "heads in windows": ((16, 24), 16, 16, 2, 4, False, 4, 0),
    "pooled in windows": ((16, 24), 16, 32, 2, 8, True, 8, 2),
    "padded": ((18, 20), 16, 16, 2, 7, False, 0, 0),
    "padded, an odd map": ((45, 13), 16, 16, 2, 14, False, 0, 0),
    "padded and pooled": ((20, 16), 16, 32, 4, 14, True, 0, 0),
    "padded and pooled, an odd map": ((45, 13), 16, 32, 4, 14, True, 0, 0),
    "the whole map": ((9, 12), 16, 16, 4, 0, False, 0, 0),
    "the whole map, rows of pages": ((32, 32), 16, 16, 4, 0, False, 0, 0),
    "the whole map, window by window": ((8, 12), 16, 16, 4, 0, False, 4, 1),
}


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def kind(request: pytest.FixtureRequest) -> tuple[nn.Module, Order]:
    grid, dim, dim_out, heads, window, pools, side, poolings = request.param
    torch.manual_seed(0)
    stride = (2, 2) if pools else None
    block = MultiScaleBlock(dim, dim_out, heads, q_stride=stride, window_size=window)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.5)
    return block.double().eval(), Order(grid, side, poolings)


def both(block: nn.Module, order: Order) -> tuple[torch.Tensor, torch.Tensor]:
    """Maps of two images that leave the block as the graph has it, and upstream's."""
    x = torch.randn(2, *order.grid, block.dim, dtype=torch.float64)
    ours = HieraBlock(block, order)
    with torch.no_grad():
        return ours.order_out.restore(ours(order.arrange(x))), block(x)


def test_a_block_is_upstreams(kind: tuple[nn.Module, Order]) -> None:
    found, wanted = both(*kind)
    # float64 keeps 16 digits; sums of some hundred terms lose three of them.
    torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-11)


def test_a_block_in_bands_is_upstreams(
    kind: tuple[nn.Module, Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hiera, "BAND_BYTES", 10_000)
    monkeypatch.setattr(hiera, "SCORE_BYTES", 10_000)
    found, wanted = both(*kind)
    torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-11)
