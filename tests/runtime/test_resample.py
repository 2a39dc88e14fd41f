"""The two resizings, as matrices: torch's own are read off by resizing an identity matrix."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sam2lab.runtime import resample

# A weight is a float32 near 1: what torch and numpy round apart in its last bits.
ROUNDING = 5e-7

sizes = st.integers(1, 300)


def torch_matrix(n_in: int, n_out: int, antialias: bool) -> np.ndarray:
    """(n_out, n_in) of the original."""
    identity = torch.eye(n_in)[None, None]
    # Two columns at least: torch goes wrong on antialiased outputs that are one pixel wide.
    identity = F.pad(identity, (0, 1))
    resized = F.interpolate(identity, (n_out, n_in + 1), mode="bilinear", antialias=antialias)
    return resized[0, 0, :, :n_in].numpy()


def matrix(bands: list[resample.Band], n_in: int, n_out: int) -> np.ndarray:
    made = np.zeros((n_out, n_in), np.float32)
    for target, source, weights in bands:
        made[target, source] += weights
    return made


@pytest.mark.parametrize("antialias", [False, True])
@settings(max_examples=100, deadline=None)
@given(n_in=sizes, n_out=sizes)
@example(256, 3000)
@example(480, 720)
@example(256, 20)
@example(640, 1280)
@example(1000, 720)
@example(427, 720)
def test_interpolation_and_antialiasing_weigh_as_torch_does(
    antialias: bool, n_in: int, n_out: int
) -> None:
    weigh = resample.antialiased if antialias else resample.interpolated
    made = matrix(resample.row_bands(weigh(n_in, n_out), n_in), n_in, n_out)
    wanted = torch_matrix(n_in, n_out, antialias)
    np.testing.assert_allclose(made, wanted, atol=ROUNDING)


@pytest.mark.parametrize(("n_in", "n_out"), [(7, 100), (100, 7), (1, 40), (40, 1), (33, 33)])
def test_columns_are_rows_turned(n_in: int, n_out: int) -> None:
    taps = resample.antialiased(n_in, n_out)
    turned = [band._replace(weights=band.weights.T) for band in resample.column_bands(taps, n_in)]
    np.testing.assert_array_equal(
        matrix(turned, n_in, n_out), matrix(resample.row_bands(taps, n_in), n_in, n_out)
    )


def test_a_product_in_pieces_is_the_product(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    left, right = rng.random((5, 7), np.float32), rng.random((7, 23), np.float32)
    monkeypatch.setattr(resample, "PRODUCT_LIMIT", 4 * left.size)
    out = resample.multiply(left, right, out=np.empty((5, 23), np.float32))
    # Sums of seven float32 products may be taken in another order.
    np.testing.assert_allclose(out, left.astype(float) @ right, rtol=1e-6)
