"""Clicks fall on the object, whatever its form, and where upstream would click."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sam2.modeling.sam2_utils import sample_box_points, sample_one_point_from_error_center
from scipy import ndimage

from sam2lab.runtime.masks import Mask, bounding_box
from sam2lab.scenes import clicks

SIZES = st.tuples(st.integers(1, 30), st.integers(1, 30))
ANY_MASK = arrays.arrays(bool, SIZES)
MASKS = ANY_MASK.filter(np.any)
PAIRS = SIZES.flatmap(lambda size: st.tuples(arrays.arrays(bool, size), arrays.arrays(bool, size)))
SEEDS = st.integers(0, 2**32)


def blobs(seed: int, size: tuple[int, int] = (60, 80)) -> Mask:
    """Rounded forms such as objects have."""
    noise = np.random.default_rng(seed).normal(size=size)
    return ndimage.gaussian_filter(noise, 5) > 0.02


@given(MASKS, SEEDS)
def test_a_click_lies_on_the_object(mask: Mask, seed: int) -> None:
    for click in (
        clicks.centre_click(mask),
        clicks.random_click(np.random.default_rng(seed), mask),
    ):
        assert mask[click.y, click.x]
        assert click.positive


@given(MASKS)
def test_no_other_pixel_is_further_inside_the_object(mask: Mask) -> None:
    outside = np.argwhere(~np.pad(mask, 1)) - 1

    def depth(y: int, x: int) -> float:
        return float(((outside - (y, x)) ** 2).sum(axis=1).min())

    centre = clicks.centre_click(mask)
    assert depth(centre.y, centre.x) == max(depth(y, x) for y, x in np.argwhere(mask))


def test_every_pixel_is_as_likely_to_be_clicked() -> None:
    mask = np.zeros((6, 6), bool)
    mask[1:3, 1:3] = mask[5, 5] = True
    rng = np.random.default_rng(0)
    found = [clicks.random_click(rng, mask)[:2] for _ in range(5000)]
    counts = np.array([found.count((x, y)) for y, x in np.argwhere(mask)])
    # Binomial, p = 1/5: a standard deviation is 28, so 4 of them are 113.
    assert np.abs(counts - 1000).max() < 113


@given(PAIRS)
def test_a_correction_lies_on_a_mistake_and_says_which(pair: tuple[Mask, Mask]) -> None:
    truth, answer = pair
    click = clicks.correction_click(truth, answer)
    if click is None:
        assert (truth == answer).all()
    else:
        assert truth[click.y, click.x] == click.positive
        assert answer[click.y, click.x] != click.positive


@pytest.mark.parametrize("seed", range(12))
def test_a_correction_is_where_upstream_clicks(seed: int) -> None:
    truth, answer = blobs(seed), blobs(seed + 100)
    points, labels = sample_one_point_from_error_center(
        torch.from_numpy(truth)[None, None], torch.from_numpy(answer)[None, None]
    )
    click = clicks.correction_click(truth, answer)
    assert click is not None
    assert [click.x, click.y] == points[0, 0].tolist()
    assert click.positive == bool(labels[0, 0])


def test_a_negative_click_wins_between_equal_mistakes_as_upstream() -> None:
    truth, answer = np.zeros((2, 9, 20), bool)
    truth[2:7, 2:7] = answer[2:7, 12:17] = True
    _, labels = sample_one_point_from_error_center(
        torch.from_numpy(truth)[None, None], torch.from_numpy(answer)[None, None]
    )
    assert clicks.correction_click(truth, answer) == (14, 4, False)
    assert not labels.any()


@given(PAIRS)
def test_no_pixel_is_clicked_twice_and_every_mistake_is_found(pair: tuple[Mask, Mask]) -> None:
    truth, answer = pair
    earlier = np.zeros_like(truth)
    while (click := clicks.correction_click(truth, answer, earlier)) is not None:
        assert not earlier[click.y, click.x]
        earlier[click.y, click.x] = True
    assert (earlier == (truth ^ answer)).all()


@given(MASKS, SEEDS)
def test_a_jittered_box_is_off_by_a_tenth_at_most_and_within_the_photo(
    mask: Mask, seed: int
) -> None:
    tight = np.array(bounding_box(mask))
    loose = clicks.jittered_box(np.random.default_rng(seed), mask)
    extent = np.tile(tight[2:] - tight[:2], 2)
    # A float32 of up to 30 is exact to 2e-6.
    assert (np.abs(loose - tight) <= 0.1 * extent + 1e-5).all()
    assert (loose >= 0).all()
    assert (loose <= np.tile(mask.shape[::-1], 2)).all()
    assert (loose[:2] < loose[2:]).all()


def test_a_large_box_is_off_by_twenty_pixels_at_most() -> None:
    mask = np.zeros((800, 800), bool)
    mask[100:700, 100:700] = True
    rng = np.random.default_rng(0)
    off = np.abs(
        [clicks.jittered_box(rng, mask) - np.array(bounding_box(mask)) for _ in range(200)]
    )
    assert 19 < off.max() <= 20


def test_a_jittered_box_is_distributed_as_upstreams() -> None:
    mask = np.zeros((300, 400), bool)
    mask[80:200, 100:300] = True
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    upstream, _ = sample_box_points(torch.from_numpy(mask)[None, None].repeat(2000, 1, 1, 1))
    theirs = upstream.reshape(-1, 4).numpy()
    ours = np.array([clicks.jittered_box(rng, mask) for _ in range(2000)])
    # Upstream's right and lower sides are the last pixel, ours lie a pixel further, as COCO's do.
    theirs += [0, 0, 1, 1]
    quantiles = [np.quantile(boxes, np.linspace(0, 1, 11), axis=0) for boxes in (ours, theirs)]
    # Sides vary over up to 40 px: a quantile of 2,000 has a standard error of at most 0.5 px.
    np.testing.assert_allclose(*quantiles, atol=1.5)


@pytest.mark.parametrize(
    "sampler",
    [
        clicks.centre_click,
        lambda mask: clicks.random_click(np.random.default_rng(0), mask),
        lambda mask: clicks.jittered_box(np.random.default_rng(0), mask),
    ],
)
@pytest.mark.parametrize(
    "mask", [np.zeros((4, 4), bool), np.ones((4, 4), np.uint8), np.ones((1, 4, 4), bool)]
)
def test_a_mask_that_is_no_object_is_refused(sampler: Callable[[Mask], object], mask: Mask) -> None:
    with pytest.raises(ValueError, match=r"mask is .* wanted a boolean \(H, W\) with at least"):
        sampler(mask)
