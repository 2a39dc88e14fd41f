from __future__ import annotations

import numpy as np
import pytest

from sam2lab.runtime.predictor import ImagePredictor
from sam2lab.runtime.segmenter import Segmenter
from tests.runtime.fakes import FakeEngine

photo = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)


def predictor() -> ImagePredictor:
    return ImagePredictor(FakeEngine())


def test_predict_returns_float_masks_scores_and_logits() -> None:
    ready = predictor()
    ready.set_image(photo)
    masks, scores, logits = ready.predict([[20, 30]], [1])
    assert (masks.shape, masks.dtype) == ((3, 50, 70), np.float32)
    assert set(np.unique(masks)) == {0.0, 1.0}
    assert (scores.shape, logits.shape) == ((3,), (3, 16, 24))


def test_predict_before_an_image_names_the_remedy() -> None:
    with pytest.raises(RuntimeError, match=r"\.set_image\(\.\.\.\)"):
        predictor().predict([[20, 30]], [1])


def test_a_reset_predictor_forgets_its_image() -> None:
    ready = predictor()
    ready.set_image(photo)
    ready.reset_predictor()
    with pytest.raises(RuntimeError, match="set_image"):
        ready.predict([[20, 30]], [1])


def test_a_failed_set_image_leaves_no_stale_image() -> None:
    ready = predictor()
    ready.set_image(photo)
    with pytest.raises(ValueError, match="image"):
        ready.set_image(np.zeros((0, 5, 3), np.uint8))
    with pytest.raises(RuntimeError, match="set_image"):
        ready.predict([[20, 30]], [1])


def test_predict_batch_answers_each_image() -> None:
    ready = predictor()
    ready.set_image_batch([photo, photo[:20]])
    masks, _, _ = ready.predict_batch(
        [np.array([[5, 5]]), None], [np.array([1]), None], [None, np.array([1, 1, 9, 9])]
    )
    assert [m.shape for m in masks] == [(3, 50, 70), (3, 20, 70)]


def test_predict_batch_wants_a_batch() -> None:
    ready = predictor()
    ready.set_image(photo)
    with pytest.raises(RuntimeError, match=r"set_image_batch\(\)"):
        ready.predict_batch([np.array([[5, 5]])], [np.array([1])])


def test_predict_batch_counts_its_prompts() -> None:
    ready = predictor()
    ready.set_image_batch([photo, photo])
    with pytest.raises(ValueError, match="box_batch is"):
        ready.predict_batch(box_batch=[np.array([1, 1, 9, 9])])


@pytest.mark.parametrize(
    ("argument", "given"),
    [
        ("point_coords", {"point_coords": [[np.nan, 1]], "point_labels": [1]}),
        ("point_labels", {"point_coords": [[1, 1]], "point_labels": [7]}),
        ("box", {"box": [1, 2, 3]}),
        ("mask_input", {"mask_input": np.zeros((1, 5, 5), np.float32)}),
    ],
)
def test_bad_prompts_are_named_as_the_caller_knows_them(argument: str, given: dict) -> None:
    ready = predictor()
    ready.set_image(photo)
    with pytest.raises(ValueError, match=rf"\b{argument}\b"):
        ready.predict(**given)


def test_normalised_coordinates_mean_the_same_place() -> None:
    ready = predictor()
    ready.set_image(photo)
    pixels, _, _ = ready.predict([[35, 25]], [1])
    shares, _, _ = ready.predict([[0.5, 0.5]], [1], normalize_coords=False)
    np.testing.assert_array_equal(pixels, shares)


def test_a_segmenter_lends_its_cache() -> None:
    engine = FakeEngine()
    segmenter = Segmenter(engine)
    segmenter.embed_images(photo)
    ImagePredictor(segmenter).set_image(photo)
    assert sum(engine.encoded) == 1


def test_the_image_embedding_can_be_read() -> None:
    ready = predictor()
    ready.set_image(photo)
    assert ready.get_image_embedding().shape == (1, 8, 4, 6)
