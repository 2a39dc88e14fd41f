"""Attention that projects tokens only, against upstream's own in float64."""

from __future__ import annotations

import pytest
import torch
from sam2.modeling.sam.transformer import Attention
from torch import Tensor

from sam2lab.export.attention import ImageToTokens, TokensToImage

# Float64 rounds to 1e-16, and a few thousand roundings meet in a value of about 1.
CLOSE = 1e-12
WIDTH, HEADS = 32, 4


@pytest.fixture(scope="module")
def attn() -> Attention:
    """Biases drawn large, so that none could be left out or counted twice unseen."""
    torch.manual_seed(0)
    attn = Attention(WIDTH, HEADS, downsample_rate=2).double().eval()
    for name, parameter in attn.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    return attn


def draw(*shape: int) -> Tensor:
    return 3 * torch.randn(*shape, dtype=torch.float64)


@torch.no_grad()
@pytest.mark.parametrize("tokens", [1, 5, 17])
@pytest.mark.parametrize(("objects", "images"), [(1, 1), (3, 1), (3, 3)])
def test_tokens_see_in_the_image_what_upstreams_see(
    attn: Attention, tokens: int, objects: int, images: int
) -> None:
    q, k, v = draw(objects, tokens, WIDTH), draw(images, 35, WIDTH), draw(images, 35, WIDTH)
    wanted = attn(q, k.expand(objects, -1, -1), v.expand(objects, -1, -1))
    found = TokensToImage(attn)(q, k, v)
    torch.testing.assert_close(found, wanted, rtol=0, atol=CLOSE)


@torch.no_grad()
@pytest.mark.parametrize("tokens", [1, 5, 17])
@pytest.mark.parametrize(("objects", "images"), [(1, 1), (3, 1), (3, 3)])
def test_pixels_take_from_the_tokens_what_upstreams_take(
    attn: Attention, tokens: int, objects: int, images: int
) -> None:
    q, k, v = draw(images, 35, WIDTH), draw(objects, tokens, WIDTH), draw(objects, tokens, WIDTH)
    wanted = attn(q.expand(objects, -1, -1), k, v)
    found = ImageToTokens(attn, pixels=35)(q, k, v)
    torch.testing.assert_close(found, wanted, rtol=0, atol=CLOSE)


@torch.no_grad()
def test_scores_too_large_for_an_exponential_are_weighed_too(attn: Attention) -> None:
    """exp(710) is beyond float64: it must never be computed."""
    pixels, tokens = 1e3 * draw(1, 35, WIDTH), draw(2, 5, WIDTH)
    found = ImageToTokens(attn, pixels=35)(pixels, tokens, tokens)
    wanted = attn(pixels.expand(2, -1, -1), tokens, tokens)
    # Scores in the thousands have an absolute rounding of 1e-12, and so have their exponents.
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-9)
