"""The mended backbone: upstream's for multiples of 32, and right in between."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from sam2lab.reference import zoo
from sam2lab.reference.anysize import AnySizeHiera, AnySizeNeck, check_input_size

# After sam2lab.reference, which makes sam2 importable beside a CPU-only torch.
from sam2.modeling.backbones.hieradet import Hiera  # isort: skip
from sam2.modeling.backbones.image_encoder import FpnNeck  # isort: skip
from sam2.modeling.backbones.utils import window_partition  # isort: skip


@pytest.fixture(scope="module")
def nano() -> zoo.ZooModel:
    return zoo.load("nano", weights="random")


def pixels(height: int, width: int) -> torch.Tensor:
    return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [(64, 64), (128, 128), (512, 768), (96, 320), (544, 64)])
def test_multiples_of_32_are_bit_identical_to_upstream(nano, size):
    encoder = nano.module.image_encoder
    with torch.no_grad():
        mine = encoder(pixels(*size))
        try:
            encoder.trunk.__class__, encoder.neck.__class__ = Hiera, FpnNeck
            theirs = encoder(pixels(*size))
        finally:
            encoder.trunk.__class__, encoder.neck.__class__ = AnySizeHiera, AnySizeNeck
    for name in ("backbone_fpn", "vision_pos_enc"):
        for actual, expected in zip(mine[name], theirs[name], strict=True):
            assert torch.equal(actual, expected), name


@pytest.mark.parametrize("size", [(720, 1280), (80, 64), (112, 272), (272, 528), (1040, 80)])
def test_odd_multiples_of_16_give_features_of_the_right_shape(nano, size):
    height, width = size
    with torch.no_grad():
        out = nano.module.image_encoder(pixels(height, width))
    shapes = [tuple(level.shape[2:]) for level in out["backbone_fpn"]]
    assert shapes == [(height // s, width // s) for s in (4, 8, 16)]
    assert [tuple(level.shape[2:]) for level in out["vision_pos_enc"]] == shapes
    assert all(level.isfinite().all() for level in out["backbone_fpn"])


@pytest.mark.parametrize("size", ["tiny", "large"])
def test_sizes_with_windows_of_14_and_16_take_a_lone_row(size):
    # 240 = 15 * 16 and 272 = 17 * 16: one row more than a window of 14 or 16.
    trunk = zoo.build(size).image_encoder.trunk
    with torch.no_grad():
        maps = trunk(pixels(240, 272))
    assert [tuple(level.shape[2:]) for level in maps] == [(60, 68), (30, 34), (15, 17), (7, 8)]


def test_the_window_embedding_repeats_every_window_up_to_the_edge(nano):
    trunk = nano.module.image_encoder.trunk
    with torch.no_grad():
        embedding = trunk._get_pos_embed((180, 44))
        background = F.interpolate(trunk.pos_embed, size=(180, 44), mode="bicubic")
    window = trunk.pos_embed_window
    for row, column in [(0, 0), (7, 9), (176, 3), (179, 43)]:
        expected = background[0, :, row, column] + window[0, :, row % 8, column % 8]
        assert torch.equal(embedding[0, row, column], expected)


def test_the_top_down_map_is_doubled_and_its_last_row_repeated(nano):
    neck = nano.module.image_encoder.neck
    draw = torch.Generator().manual_seed(0)
    channels = (32, 64, 128, 256)
    sizes = ((20, 36), (10, 18), (5, 9), (2, 4))
    maps = [torch.randn(1, c, *s, generator=draw) for c, s in zip(channels, sizes, strict=True)]
    with torch.no_grad():
        out, _ = neck(maps)
        deep = neck.convs[0](maps[3])
        lateral = neck.convs[1](maps[2])
    for row in range(5):
        for column in range(9):
            expected = (
                lateral[0, :, row, column] + deep[0, :, min(row // 2, 1), min(column // 2, 3)]
            )
            # One addition each, in another memory layout: the same rounding.
            assert torch.equal(out[2][0, :, row, column], expected)


def test_a_pooling_block_treats_a_lone_row_as_a_window_of_its_own(nano):
    """Against windows taken by hand: a map of 17x20 in windows of 16, of which 8x10 remain."""
    trunk = nano.module.image_encoder.trunk
    block = trunk.blocks[trunk.q_pool_blocks[-1]]
    assert block.window_size == 16
    x = torch.randn(1, 17, 20, block.dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        actual = block(x)

        normed = block.norm1(x)
        shortcut = block.pool(block.proj(normed).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        windows, padded = window_partition(normed, 16)
        assert padded == (32, 32)
        pooled = block.attn(windows)
        whole = pooled.view(2, 2, 8, 8, -1).permute(0, 2, 1, 3, 4).reshape(1, 16, 16, -1)
        expected = shortcut + whole[:, :8, :10]
        expected = expected + block.mlp(block.norm2(expected))
    # The products of a matrix multiplication may be summed in another order: single precision.
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [(64, 64), (720, 1280), (1024, 1024)])
def test_sizes_that_work_pass(size):
    assert check_input_size(size) == size


@pytest.mark.parametrize(
    ("size", "nearest"),
    [
        ((700, 1280), ["(688, 1280)", "(704, 1280)"]),
        ((1080, 1920), ["(1072, 1920)", "(1088, 1920)"]),
        ((32, 1024), ["(64, 1024)"]),
        ((-16, 100), ["(64, 96)", "(64, 112)"]),
    ],
)
def test_other_sizes_are_refused_with_the_nearest_that_work(size, nearest):
    with pytest.raises(ValueError, match="input_size") as error:
        check_input_size(size)
    for words in nearest:
        assert words in str(error.value)


@pytest.mark.parametrize("size", [1024, (1024,), (64, 64, 3), (64.0, 64), ("64", "64"), None])
def test_what_is_no_size_is_refused(size):
    with pytest.raises(ValueError, match=r"input_size .* wanted \(height, width\)"):
        check_input_size(size)
