"""Orders of tokens, against windows and poolings as torch and upstream take them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sam2.modeling.backbones.utils import window_partition

from sam2lab.export.token_order import Order, orders

ORDERS = [
    Order((6, 10)),
    Order((8, 12), window=4),
    Order((8, 12), window=4, poolings=1),
    Order((16, 24), window=8, poolings=2),
    Order((28, 42), window=14, poolings=1),
]


def map_of(order: Order, channels: int = 3) -> torch.Tensor:
    return torch.arange(2 * order.tokens * channels).reshape(2, *order.grid, channels)


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_what_was_arranged_is_restored(order: Order) -> None:
    x = map_of(order)
    assert torch.equal(order.restore(order.arrange(x)), x)


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_three_numpy_steps_turn_rows_into_the_map(order: Order) -> None:
    x = map_of(order)
    steps = order.map_steps(3)
    rows = order.arrange(x).numpy()
    found = rows.reshape(steps["shape"]).transpose(steps["axes"]).reshape(steps["map"])
    assert np.array_equal(found, x.numpy())


@pytest.mark.parametrize("order", ORDERS[1:], ids=str)
def test_windows_stand_one_after_the_other_as_upstream_cuts_them(order: Order) -> None:
    x = map_of(order, channels=1)
    rows = order.arrange(x).reshape(-1, order.window**2)
    windows = window_partition(x, order.window)[0].reshape(-1, order.window**2)
    assert torch.equal(rows.sort().values, windows.sort().values)


@pytest.mark.parametrize("order", [order for order in ORDERS if order.poolings], ids=str)
def test_the_quarters_of_a_window_hold_the_tokens_to_pool(order: Order) -> None:
    x = map_of(order)
    for _ in range(order.poolings):
        rows = order.arrange(x).reshape(-1, 4, (order.window // 2) ** 2, 3)
        x = F.max_pool2d(x.permute(0, 3, 1, 2).double(), 2).permute(0, 2, 3, 1).long()
        order = order.pooled()
        assert torch.equal(order.restore(rows.amax(1).reshape(-1, 3)), x)


def test_blocks_with_the_same_windows_move_nothing() -> None:
    """tiny at 1024: four blocks in the same windows, then windows that do not fill the map."""
    windows = [8, 8, 4, 4, 14, 0, 14, 0, 14, 0, 14, 7]
    pools = [index in (1, 3, 10) for index in range(12)]
    found = orders(windows, pools, (256, 256))
    assert found[:4] == [
        Order((256, 256), 8, 2),
        Order((256, 256), 8, 2),
        Order((128, 128), 4, 1),
        Order((128, 128), 4, 1),
    ]
    assert found[4:] == [Order((64, 64))] * 7 + [Order((32, 32))]


def test_windows_that_fill_the_map_again_get_their_order() -> None:
    """large: windows of 16 after windows of 4, with a look at the whole map between."""
    found = orders([8, 4, 16, 0, 16, 8], [False, True, False, False, True, False], (64, 64))
    assert [order.window for order in found] == [8, 4, 16, 16, 16, 8]
    assert [order.poolings for order in found] == [0, 1, 1, 1, 1, 0]


def test_a_map_that_windows_do_not_fill_stays_row_by_row() -> None:
    assert {order.window for order in orders([8, 4], [False, True], (180, 320))} == {0, 4}
    assert orders([8], [False], (45, 80)) == [Order((45, 80))]
