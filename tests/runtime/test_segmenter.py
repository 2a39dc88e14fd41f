from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sam2lab.runtime.cache import EmbeddingCache
from sam2lab.runtime.segmenter import Segmenter
from tests.runtime.fakes import FakeEngine

rng = np.random.default_rng(0)


def photo(height: int = 64, width: int = 96) -> np.ndarray:
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_one_image_gives_a_list_of_one_prediction_at_the_photos_size() -> None:
    (prediction,) = Segmenter(FakeEngine()).segment_images(
        photo(50, 70), point_coordinates=[[20, 30]], point_labels=[1]
    )
    assert prediction.masks.shape == (3, 50, 70)
    assert prediction.masks.dtype == np.bool_
    assert prediction.scores.shape == (3,)
    assert prediction.logits.shape == (3, 16, 24)


def test_the_mask_lies_under_the_click() -> None:
    (prediction,) = Segmenter(FakeEngine()).segment_images(
        photo(), point_coordinates=[[80, 20]], point_labels=[1]
    )
    _, xs = np.nonzero(prediction.masks[0])
    # An 8-pixel disc at low resolution is wide; its middle is the click to within a pixel.
    assert abs(xs.max() + xs.min() - 2 * 80) <= 34
    assert prediction.masks[0][20, 80]
    assert not prediction.masks[0][60, 5]


def test_best_is_the_highest_scored_candidate() -> None:
    (prediction,) = Segmenter(FakeEngine()).segment_images(
        photo(), point_coordinates=[[48, 32]], point_labels=[1]
    )
    np.testing.assert_array_equal(prediction.best, prediction.masks[2])


def test_several_objects_have_a_first_axis() -> None:
    (prediction,) = Segmenter(FakeEngine()).segment_images(
        photo(),
        point_coordinates=[[[10, 10]], [[80, 50]]],
        point_labels=[[1], [1]],
        multi_mask_output=False,
    )
    assert prediction.masks.shape == (2, 1, 64, 96)
    assert prediction.best.shape == (2, 64, 96)


def test_low_resolution_logits_stay_within_32() -> None:
    (prediction,) = Segmenter(FakeEngine()).segment_images(
        photo(), point_coordinates=[[48, 32]], point_labels=[1], return_logits=True
    )
    assert np.abs(prediction.logits).max() == 32
    assert prediction.masks.dtype == np.float32
    assert np.abs(prediction.masks).max() > 32, "the clamp comes after restoring, as upstream"


def test_images_of_any_size_in_one_call() -> None:
    sizes = [(64, 96), (31, 17), (200, 100)]
    predictions = Segmenter(FakeEngine()).segment_images(
        [photo(*size) for size in sizes],
        point_coordinates=[np.array([[5, 5]])] * 3,
        point_labels=[np.array([1])] * 3,
    )
    assert [p.masks.shape[1:] for p in predictions] == sizes


@pytest.mark.parametrize("points", [[np.array([[5, 5]])], np.array([[5, 5]])])
def test_one_prompt_serves_every_image(points: object) -> None:
    predictions = Segmenter(FakeEngine()).segment_images(
        [photo(), photo()], point_coordinates=points, point_labels=[np.array([1])]
    )
    assert len(predictions) == 2


def test_each_image_may_have_another_kind_of_prompt() -> None:
    predictions = Segmenter(FakeEngine()).segment_images(
        [photo(), photo()],
        point_coordinates=[np.array([[5, 5]]), None],
        point_labels=[np.array([1]), None],
        boxes=[None, np.array([10, 10, 40, 40])],
    )
    assert len(predictions) == 2


def test_a_list_of_one_prompt_is_understood_for_a_single_image() -> None:
    segmenter = Segmenter(FakeEngine())
    image = photo()
    plain = segmenter.segment_images(
        image, point_coordinates=[[[5, 5]], [[9, 9]]], point_labels=[[1], [1]]
    )
    listed = segmenter.segment_images(
        image, point_coordinates=[np.array([[[5, 5]], [[9, 9]]])], point_labels=[[[1], [1]]]
    )
    np.testing.assert_array_equal(plain[0].masks, listed[0].masks)


def test_a_wrong_number_of_prompts_is_named() -> None:
    with pytest.raises(ValueError, match="boxes has 2 entries for 3 images"):
        Segmenter(FakeEngine()).segment_images(
            [photo()] * 3, boxes=[np.array([0, 0, 5, 5]), np.array([0, 0, 5, 5])]
        )


def test_equal_images_are_encoded_once_and_remembered() -> None:
    engine = FakeEngine()
    segmenter = Segmenter(engine)
    a, b = photo(), photo()
    first = segmenter.embed_images([a, b, a.copy()])
    again = segmenter.embed_images(b)
    assert sum(engine.encoded) == 2
    assert first[0] is first[2]
    assert again[0] is first[1]


def test_without_the_cache_nothing_is_read_or_kept() -> None:
    engine = FakeEngine()
    segmenter = Segmenter(engine)
    image = photo()
    for _ in range(2):
        segmenter.embed_images(image, use_embeddings_cache=False)
    assert sum(engine.encoded) == 2
    assert len(segmenter.embeddings_cache) == 0


def test_images_go_to_the_encoder_in_bounded_batches() -> None:
    engine = FakeEngine()
    Segmenter(engine, max_batch_size=2).embed_images([photo() for _ in range(5)])
    assert engine.encoded == [2, 2, 1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_batch_size", 0),
        ("max_batch_size", 2.5),
        ("max_batch_size", None),
        ("max_hole_area", -1),
        ("max_sprinkle_area", float("nan")),
        ("max_sprinkle_area", "8"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^{name} is .*; wanted a "):
        Segmenter(FakeEngine(), **{name: value})


@pytest.mark.parametrize("value", [None, "0.5", [0.0], float("nan"), float("inf")])
def test_a_threshold_that_is_no_number_is_refused_by_name(value: object) -> None:
    with pytest.raises(ValueError, match=r"^mask_threshold is .*; wanted a number$"):
        Segmenter(FakeEngine()).segment_images(photo(), boxes=[0, 0, 5, 5], mask_threshold=value)


def test_embeddings_replace_images() -> None:
    engine = FakeEngine()
    segmenter = Segmenter(engine)
    embeddings = segmenter.embed_images([photo(), photo(10, 20)])
    predictions = segmenter.segment_images(embeddings=embeddings, boxes=[[1, 1, 8, 8]])
    assert [p.masks.shape[1:] for p in predictions] == [(64, 96), (10, 20)]
    assert sum(engine.encoded) == 2


def test_embeddings_of_another_model_are_refused() -> None:
    embeddings = Segmenter(FakeEngine(key="one")).embed_images(photo())
    with pytest.raises(ValueError, match="made by one, this Segmenter runs two"):
        Segmenter(FakeEngine(key="two")).segment_images(embeddings=embeddings, boxes=[0, 0, 5, 5])


def test_one_cache_serves_two_models_without_mixing_them() -> None:
    shared = EmbeddingCache()
    one, two = FakeEngine(key="one"), FakeEngine(key="two")
    image = photo()
    Segmenter(one, embeddings_cache=shared).embed_images(image)
    Segmenter(two, embeddings_cache=shared).embed_images(image)
    assert (one.encoded, two.encoded) == ([1], [1])


@pytest.mark.parametrize("given", [{}, {"images": photo(), "embeddings": []}])
def test_exactly_one_of_images_and_embeddings(given: dict) -> None:
    with pytest.raises(ValueError, match="images and embeddings"):
        Segmenter(FakeEngine()).segment_images(**given, boxes=[0, 0, 5, 5])


@pytest.mark.parametrize("argument", ["images", "embeddings"])
def test_an_empty_list_is_refused(argument: str) -> None:
    with pytest.raises(ValueError, match=f"{argument} is an empty list"):
        Segmenter(FakeEngine()).segment_images(**{argument: []}, boxes=[0, 0, 5, 5])


def test_all_prompts_are_checked_before_any_is_answered() -> None:
    engine = FakeEngine()
    with pytest.raises(ValueError, match="boxes"):
        Segmenter(engine).segment_images(
            [photo(), photo()], boxes=[np.array([0, 0, 5, 5]), np.array([0, 0, np.nan, 5])]
        )
    assert engine.asked == []


def test_clicks_refine_the_largest_earlier_prompt() -> None:
    engine = FakeEngine()
    segmenter = Segmenter(engine)
    image = photo()
    clicks = [[48, 32], [60, 32], [70, 40]]
    for count in (1, 2, 3):
        (prediction,) = segmenter.segment_images(
            image,
            point_coordinates=clicks[:count],
            point_labels=[1] * count,
            load_from_mask_input_cache=True,
            save_to_mask_input_cache=True,
        )
        last = prediction
        if count == 2:
            second = prediction.logits[np.argmax(prediction.scores)]
    assert engine.asked[0].mask_input is None
    np.testing.assert_array_equal(engine.asked[2].mask_input[0, 0], second)
    assert last.masks.any()


def test_a_given_mask_input_is_not_overruled_by_the_cache() -> None:
    engine = FakeEngine()
    segmenter = Segmenter(engine)
    image = photo()
    segmenter.segment_images(
        image, point_coordinates=[[5, 5]], point_labels=[1], save_to_mask_input_cache=True
    )
    own = np.full((1, 16, 24), 3, np.float32)
    segmenter.segment_images(
        image,
        point_coordinates=[[5, 5], [9, 9]],
        point_labels=[1, 1],
        mask_input=own,
        load_from_mask_input_cache=True,
    )
    np.testing.assert_array_equal(engine.asked[-1].mask_input[0], own)


def test_small_islands_and_holes_go_when_asked() -> None:
    engine = FakeEngine()
    speck = np.full((1, 16, 24), 0, np.float32)
    speck[0, 15, 23] = 1000
    kept = Segmenter(engine).segment_images(
        photo(), point_coordinates=[[10, 10]], point_labels=[1], mask_input=speck
    )[0]
    cleaned = Segmenter(engine, max_sprinkle_area=2).segment_images(
        photo(), point_coordinates=[[10, 10]], point_labels=[1], mask_input=speck
    )[0]
    assert kept.masks[0][63, 95]
    assert not cleaned.masks[0][63, 95]


def test_something_that_is_no_engine_is_refused() -> None:
    with pytest.raises(ValueError, match="engine is str"):
        Segmenter("nano")  # type: ignore[arg-type]


def test_threads_share_one_segmenter() -> None:
    segmenter = Segmenter(FakeEngine())
    pictures = [photo() for _ in range(4)]

    def ask(i: int) -> np.ndarray:
        (prediction,) = segmenter.segment_images(
            pictures[i % 4], point_coordinates=[[i % 90, i % 60]], point_labels=[1]
        )
        return prediction.masks

    alone = [ask(i) for i in range(32)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(ask, range(32)))
    for expected, actual in zip(alone, together, strict=True):
        np.testing.assert_array_equal(actual, expected)
