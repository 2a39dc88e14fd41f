"""Upscaling by products, against upstream's own layers in float64."""

from __future__ import annotations

import pytest
import torch
from sam2.modeling.sam2_utils import LayerNorm2d
from torch import Tensor, nn

from sam2lab.export.upscaling import TransposedConv, Upscaling, layer_norm

# Float64 rounds to 1e-16, and a few hundred roundings meet in a value of about 1.
CLOSE = 1e-12
WIDTH = 32


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def rows(maps: Tensor) -> Tensor:
    """(L, C, h, w) → (L, h * w, C)."""
    return maps.flatten(2).transpose(1, 2)


@pytest.fixture(scope="module")
def layers() -> nn.Sequential:
    """As upstream's MaskDecoder makes them, with a norm that does not leave things as they are."""
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.ConvTranspose2d(WIDTH, WIDTH // 4, kernel_size=2, stride=2),
        LayerNorm2d(WIDTH // 4),
        nn.GELU(),
        nn.ConvTranspose2d(WIDTH // 4, WIDTH // 8, kernel_size=2, stride=2),
        nn.GELU(),
    )
    nn.init.normal_(layers[1].weight)
    nn.init.normal_(layers[1].bias)
    return layers.double()


@torch.no_grad()
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (45, 80)])
def test_a_transposed_convolution_is_a_product_in_place(size: tuple[int, int]) -> None:
    conv = nn.ConvTranspose2d(6, 4, kernel_size=2, stride=2, bias=False).double()
    maps = draw(2, 6, *size)
    found = TransposedConv(conv, size)(rows(maps))
    torch.testing.assert_close(found, rows(conv(maps)), rtol=0, atol=CLOSE)


@torch.no_grad()
def test_channels_are_normalised_where_they_come_last(layers: nn.Sequential) -> None:
    maps = draw(2, WIDTH // 4, 3, 5)
    found = layer_norm(layers[1])(rows(maps))
    torch.testing.assert_close(found, rows(layers[1](maps)), rtol=0, atol=CLOSE)


@torch.no_grad()
@pytest.mark.parametrize(("objects", "images"), [(1, 1), (3, 1), (3, 3)])
def test_maps_are_enlarged_as_upstream_enlarges_them(
    layers: nn.Sequential, objects: int, images: int
) -> None:
    height, width = 3, 5
    image = draw(objects, WIDTH, height, width)
    middle = draw(images, WIDTH // 4, 2 * height, 2 * width)
    fine = draw(images, WIDTH // 8, 4 * height, 4 * width)
    grow1, norm, act1, grow2, act2 = layers
    wanted = act2(grow2(act1(norm(grow1(image) + middle))) + fine)
    found = Upscaling(layers, (height, width))(rows(image), fine, middle)
    torch.testing.assert_close(found, rows(wanted), rtol=0, atol=CLOSE)
