from __future__ import annotations

import torch

from sam2lab.train.batches import CELL
from sam2lab.train.geometry import draw_shapes

SIDE = 64


def test_a_box_must_give_its_rectangle_and_a_click_its_disc() -> None:
    points, labels, targets = draw_shapes(torch.Generator().manual_seed(0), 6, SIDE)
    for (first, second), kind, target in zip(points, labels.tolist(), targets, strict=True):
        for row in range(SIDE // CELL):
            for column in range(SIDE // CELL):
                x, y = (column + 0.5) * CELL, (row + 0.5) * CELL
                if kind == [2, 3]:
                    wanted = first[0] <= x <= second[0] and first[1] <= y <= second[1]
                else:
                    away = (x - first[0]) ** 2 + (y - first[1]) ** 2
                    wanted = away <= (SIDE / 6) ** 2
                assert target[row, column] == wanted


def test_half_are_boxes_and_half_are_clicks() -> None:
    _, labels, _ = draw_shapes(torch.Generator().manual_seed(0), 6, SIDE)
    assert labels.tolist() == [[2, 3]] * 3 + [[1, -1]] * 3
