"""The device encoder computes what upstream's does, in float64, where only wiring can differ."""

from __future__ import annotations

import pytest
import torch
from sam2.modeling.backbones.hieradet import MultiScaleBlock
from torch import nn

from sam2lab.export.device.encoder import DeviceBlock, DeviceEncoder
from sam2lab.export.device.layout import double
from sam2lab.reference.anysize import _double
from tests.exporting import double_precision

# name: grid, width in, width out, heads, window, pools
BLOCKS = {
    "in windows": ((16, 24), 16, 16, 2, 4, False),
    "pooled in windows": ((16, 24), 16, 32, 2, 8, True),
    "padded, an odd map": ((45, 13), 16, 16, 2, 14, False),
    "padded and pooled, an odd map": ((45, 13), 16, 32, 4, 14, True),
    "the whole map": ((9, 12), 16, 16, 4, 0, False),
    "the whole map, widened": ((9, 12), 16, 32, 4, 0, False),
}
# float64 keeps 16 digits; sums of some hundred terms lose three of them, and 48 blocks two more.
CLOSE = 1e-10


@pytest.mark.parametrize(
    ("grid", "dim", "dim_out", "heads", "window", "pools"), BLOCKS.values(), ids=BLOCKS
)
@torch.no_grad()
def test_a_block_is_upstreams(
    grid: tuple[int, int], dim: int, dim_out: int, heads: int, window: int, pools: bool
) -> None:
    torch.manual_seed(0)
    stride = (2, 2) if pools else None
    block = MultiScaleBlock(dim, dim_out, heads, q_stride=stride, window_size=window)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.5)
    block = block.double().eval()
    x = torch.randn(1, *grid, dim, dtype=torch.float64)
    torch.testing.assert_close(DeviceBlock(block)(x), block(x), rtol=CLOSE, atol=CLOSE)


@pytest.mark.parametrize(
    ("size", "input_size"),
    [
        ("nano", (208, 336)),
        # The shape of 720x1280 is 45 by 80 pixels of 16; this is 45 by 5, with the same odd edge.
        ("nano", (720, 80)),
        # 17 * 16 leaves a row alone in its window.
        ("tiny", (272, 64)),
        pytest.param("small", (64, 80), marks=pytest.mark.slow),
        pytest.param("base_plus", (80, 64), marks=pytest.mark.slow),
        pytest.param("large", (64, 64), marks=pytest.mark.slow),
    ],
)
@torch.no_grad()
def test_the_encoder_is_the_original(size: str, input_size: tuple[int, int]) -> None:
    module = double_precision(size, input_size)
    pixels = torch.randn(1, 3, *input_size, dtype=torch.float64)
    backbone = module.forward_image(pixels)
    fine, middle, embed = backbone["backbone_fpn"][:3]
    wanted = fine, middle, embed + module.no_mem_embed.reshape(1, -1, 1, 1)
    found = DeviceEncoder(module, input_size).eval()(pixels.permute(0, 2, 3, 1))
    # Upstream's neck rounds the coarse map, of about 1, to float32.
    for ours, theirs, close in zip(found, wanted, (CLOSE, CLOSE, 1e-6), strict=True):
        torch.testing.assert_close(ours.permute(0, 3, 1, 2), theirs, rtol=0, atol=close)


def test_an_odd_map_is_doubled_as_the_original_does() -> None:
    x = torch.randn(1, 3, 4, 2)
    wanted = _double(x.permute(0, 3, 1, 2), 7, 9).permute(0, 2, 3, 1)
    assert torch.equal(double(x, 7, 9), wanted)
