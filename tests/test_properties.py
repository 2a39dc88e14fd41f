"""Whatever a person passes, they get a result of the right shape or a ValueError that helps."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sam2lab.runtime.predictor import ImagePredictor
from sam2lab.runtime.segmenter import Prediction, Segmenter
from tests.runtime.fakes import FakeEngine

ARGUMENTS = ("point_coordinates", "point_labels", "boxes", "mask_input", "images", "prompt")

photo = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
segmenter = Segmenter(FakeEngine(input_size=(64, 64)))
predictor = ImagePredictor(segmenter)
predictor.set_image(photo)

numbers = st.one_of(
    st.integers(-100, 200),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0, 1, 30, 59.5, -1, 2, True, None, "1", 1e300, 10**30, 1j]),
)
nested = st.recursive(numbers, lambda inner: st.lists(inner, max_size=4), max_leaves=12)
arrays = hnp.arrays(
    dtype=st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_, object]),
    shape=hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
)
plausible_points = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 3), st.just(2)),
    elements=st.floats(-20, 80, width=32),
)
anything = st.one_of(st.none(), nested, arrays)


def check(prediction: Prediction, candidates: int) -> None:
    objects = prediction.masks.shape[:-3]
    assert prediction.masks.shape == (*objects, candidates, 40, 60)
    assert prediction.scores.shape == (*objects, candidates)
    assert prediction.logits.shape == (*objects, candidates, 16, 16)
    assert np.isfinite(prediction.logits).all()


def explains(error: ValueError, names: tuple[str, ...]) -> None:
    assert any(re.search(rf"\b{name}", str(error)) for name in names), error


@settings(max_examples=300, deadline=None)
@given(
    points=st.one_of(anything, plausible_points),
    labels=anything,
    boxes=anything,
    mask=anything,
    multi=st.booleans(),
)
def test_segment_images_answers_or_explains(
    points: Any, labels: Any, boxes: Any, mask: Any, multi: bool
) -> None:
    try:
        (prediction,) = segmenter.segment_images(
            photo,
            point_coordinates=points,
            point_labels=labels,
            boxes=boxes,
            mask_input=mask,
            multi_mask_output=multi,
        )
    except ValueError as error:
        explains(error, ARGUMENTS)
    else:
        check(prediction, 3 if multi else 1)


@settings(max_examples=200, deadline=None)
@given(points=plausible_points, data=st.data(), multi=st.booleans())
def test_sensible_points_always_get_an_answer(
    points: np.ndarray, data: st.DataObject, multi: bool
) -> None:
    inside = np.clip(points, [-20, -15], [75, 55])
    labels = data.draw(
        st.lists(st.sampled_from([0, 1]), min_size=len(points), max_size=len(points))
    )
    (prediction,) = segmenter.segment_images(
        photo, point_coordinates=inside, point_labels=labels, multi_mask_output=multi
    )
    check(prediction, 3 if multi else 1)


@settings(max_examples=200, deadline=None)
@given(points=anything, labels=anything, box=anything, mask=anything, pixels=st.booleans())
def test_predict_answers_or_explains(
    points: Any, labels: Any, box: Any, mask: Any, pixels: bool
) -> None:
    try:
        masks, scores, logits = predictor.predict(
            points, labels, box, mask, normalize_coords=pixels
        )
    except ValueError as error:
        explains(error, ("point_coords", "point_labels", "box", "mask_input", "prompt"))
    else:
        check(Prediction(masks, scores, logits), 3)


@settings(max_examples=150, deadline=None)
@given(image=st.one_of(anything, st.binary(max_size=40), st.text(max_size=8)))
def test_embed_images_answers_or_explains(image: Any) -> None:
    try:
        embeddings = segmenter.embed_images(image, use_embeddings_cache=False)
    except ValueError as error:
        explains(error, ("image",))
    else:
        assert all(np.isfinite(e.features.image_embed).all() for e in embeddings)
