"""Build the decoder's upscaling with channels last, as plain matrix products.

A transposed convolution with kernel and stride 2 turns each pixel into four that no other pixel
affects. That is a product with a matrix to four times as many channels, which then have to be put
in place. As one product for the upper two and one for the lower two, rows come out in their place
and nothing is moved. With channels last, the norm over channels is LayerNormalization itself.
"""

from __future__ import annotations

from torch import Tensor, nn

from sam2lab.export.token_order import Size


class TransposedConv(nn.Module):
    """`ConvTranspose2d` of kernel and stride 2: (L, h * w, C) → (L, 4 * h * w, D), row by row.

    It leaves the bias out, so that `Upscaling` can add it together with a map.
    """

    def __init__(self, conv: nn.ConvTranspose2d, size: Size) -> None:
        super().__init__()
        self.size = size
        self.narrow, self.wide = conv.out_channels, conv.in_channels
        # (C, D, rows, columns) → a matrix (C, columns * D) for each row.
        weight = conv.weight.detach().permute(2, 0, 3, 1)
        self.weight = nn.Buffer(weight.reshape(1, 2, self.wide, 2 * self.narrow).contiguous())

    def forward(self, x: Tensor) -> Tensor:
        height, width = self.size
        x = x.reshape(-1, 1, width, self.wide) @ self.weight
        return x.reshape(-1, 4 * height * width, self.narrow)


class Upscaling(nn.Module):
    """Image (L, h * w, C) and features (I, C/4, 2h, 2w), (I, C/8, 4h, 4w) → (L, 16 * h * w, C/8).

    If I is 1, the features are transposed once for all L.
    """

    def __init__(self, upscaling: nn.Sequential, size: Size) -> None:
        super().__init__()
        grow1, norm, self.act1, grow2, self.act2 = upscaling
        self.grow1 = TransposedConv(grow1, size)
        self.norm = layer_norm(norm)
        self.grow2 = TransposedConv(grow2, (2 * size[0], 2 * size[1]))
        self.bias1 = nn.Buffer(grow1.bias.detach().reshape(1, -1, 1))
        self.bias2 = nn.Buffer(grow2.bias.detach().reshape(1, -1, 1))

    def forward(self, image: Tensor, fine: Tensor, middle: Tensor) -> Tensor:
        image = self.act1(self.norm(self.grow1(image) + _channels_last(middle, self.bias1)))
        return self.act2(self.grow2(image) + _channels_last(fine, self.bias2))


def layer_norm(norm: nn.Module) -> nn.LayerNorm:
    """Upstream's `LayerNorm2d` for channels that come last."""
    made = nn.LayerNorm(len(norm.weight), norm.eps)
    made.weight, made.bias = norm.weight, norm.bias
    return made


def _channels_last(feature: Tensor, bias: Tensor) -> Tensor:
    """(I, C, h, w) plus a bias (1, C, 1) → (I, h * w, C)."""
    return (feature.flatten(2) + bias).transpose(1, 2)
