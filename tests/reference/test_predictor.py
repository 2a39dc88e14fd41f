"""`ImagePredictor` over the original must be `SAM2ImagePredictor`, mask for mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from sam2.sam2_image_predictor import SAM2ImagePredictor

from sam2lab.reference import zoo
from sam2lab.reference.engine import TorchEngine
from sam2lab.reference.predictor import SAM2ImagePredictor as OurSAM2ImagePredictor
from sam2lab.runtime.predictor import ImagePredictor

rng = np.random.default_rng(3)

# Pixels resized by Pillow (in float64) and by torch (in float32) differ in the last bit, and a
# model carries that into its logits in proportion to their spread.
TOLERANCE = 1e-5

Pair = tuple[SAM2ImagePredictor, ImagePredictor]


def smooth_photo(height: int, width: int) -> np.ndarray:
    """Blobs of colour under a little noise, so that logits vary as they do in a photo."""
    coarse = rng.random((max(height // 16, 2), max(width // 16, 2), 3))
    rows = np.linspace(0, len(coarse) - 1, height).astype(int)
    columns = np.linspace(0, coarse.shape[1] - 1, width).astype(int)
    noisy = coarse[rows][:, columns] + rng.normal(0, 0.05, (height, width, 3))
    return (noisy.clip(0, 1) * 255).astype(np.uint8)


@pytest.fixture(scope="module", params=["nano", "tiny"])
def pair(request: pytest.FixtureRequest) -> Pair:
    size, _, side = request.param.partition(" at ")
    model = zoo.load(size, weights="random", input_size=(int(side),) * 2 if side else None)
    original = SAM2ImagePredictor(model.module)
    side = model.info.input_size[0] // 16
    # Hard-coded for 1024 pixels upstream.
    original._bb_feat_sizes = [(4 * side, 4 * side), (2 * side, 2 * side), (side, side)]
    return original, ImagePredictor(TorchEngine(model))


def both(pair: Pair, verb: str, *args: object, **kwargs: object) -> list:
    return [getattr(predictor, verb)(*args, **kwargs) for predictor in pair]


def assert_same(pair: Pair, **prompt: object) -> None:
    """Masks, scores and logits agree; a pixel may flip only where rounding decides its sign."""
    theirs, ours = both(pair, "predict", **prompt)
    assert_close(theirs[1:], ours[1:])
    assert (ours[0].shape, ours[0].dtype) == (theirs[0].shape, theirs[0].dtype)
    flipped = ours[0] != theirs[0]
    if flipped.any():
        restored = pair[0].predict(**prompt, return_logits=True)[0]
        assert np.abs(restored[flipped]).max() <= TOLERANCE
        assert flipped.mean() < 1e-5


def assert_close(theirs: Sequence[np.ndarray], ours: Sequence[np.ndarray]) -> None:
    for expected, actual in zip(theirs, ours, strict=True):
        assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
        assert np.abs(actual - expected).max() <= TOLERANCE * max(1, expected.std())


PROMPTS = {
    "one point": {"point_coords": np.array([[40, 30]]), "point_labels": np.array([1])},
    "one negative point": {"point_coords": np.array([[40, 30]]), "point_labels": np.array([0])},
    "three points": {
        "point_coords": np.array([[40, 30], [10.5, 20.25], [90, 60]]),
        "point_labels": np.array([1, 0, 1]),
    },
    "box": {"box": np.array([12, 8, 70, 55])},
    "box and points": {
        "point_coords": np.array([[40, 30], [60, 20]]),
        "point_labels": np.array([1, 0]),
        "box": np.array([12, 8, 70, 55]),
    },
    "two objects by points": {
        "point_coords": np.array([[[40, 30]], [[80, 60]]]),
        "point_labels": np.array([[1], [1]]),
    },
    "three objects by boxes": {
        "box": np.array([[12, 8, 70, 55], [0, 0, 30, 30], [50.5, 10, 100, 70]]),
    },
    "objects by boxes and points": {
        "point_coords": np.array([[[40, 30]], [[20, 20]]]),
        "point_labels": np.array([[0], [1]]),
        "box": np.array([[12, 8, 70, 55], [0, 0, 30, 30]]),
    },
}


@pytest.fixture(scope="module")
def looking(pair: Pair) -> Pair:
    both(pair, "set_image", smooth_photo(72, 110))
    return pair


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
@pytest.mark.parametrize("multimask", [True, False], ids=["three masks", "single mask"])
def test_every_kind_of_prompt(looking: Pair, prompt: dict, multimask: bool) -> None:
    assert_same(looking, **prompt, multimask_output=multimask)


def test_logits_at_the_photos_size(looking: Pair) -> None:
    assert_close(*both(looking, "predict", **PROMPTS["one point"], return_logits=True))


def test_mask_input_with_points(looking: Pair) -> None:
    _, _, logits = looking[0].predict(**PROMPTS["one point"])
    assert_same(looking, **PROMPTS["three points"], mask_input=logits[:1], multimask_output=False)


def test_mask_input_alone(looking: Pair) -> None:
    _, _, logits = looking[0].predict(**PROMPTS["one point"])
    assert_same(looking, mask_input=logits[1:2])


def test_mask_input_for_several_objects(looking: Pair) -> None:
    prompt = PROMPTS["two objects by points"]
    _, _, logits = looking[0].predict(**prompt, multimask_output=False)
    assert_same(looking, **prompt, mask_input=logits)


def test_normalised_coordinates(looking: Pair) -> None:
    assert_same(
        looking,
        point_coords=np.array([[0.3, 0.6]]),
        point_labels=np.array([1]),
        normalize_coords=False,
    )


ODD_SIZES = [(1, 50), (50, 1), (20, 20), (300, 80), (700, 1100)]


@pytest.mark.parametrize(
    ("pair", "size"),
    [*(("nano", size) for size in ODD_SIZES), ("tiny", (1, 50))],
    indirect=["pair"],
)
def test_photos_of_odd_sizes(pair: Pair, size: tuple[int, int]) -> None:
    both(pair, "set_image", smooth_photo(*size))
    height, width = size
    assert_same(
        pair,
        point_coords=np.array([[width * 0.4, height * 0.3]]),
        point_labels=np.array([1]),
    )


# Small: what a batch can mix up does not depend on the pixels.
@pytest.mark.parametrize("pair", ["nano at 256", "tiny at 256"], indirect=True)
def test_a_batch_of_photos(pair: Pair) -> None:
    both(pair, "set_image_batch", [smooth_photo(60, 90), smooth_photo(80, 40)])
    points = [np.array([[[30, 20]], [[50, 40]]]), np.array([[20, 60]])]
    labels = [np.array([[1], [1]]), np.array([1])]
    theirs, ours = both(pair, "predict_batch", points, labels, multimask_output=True)
    for theirs_part, ours_part in zip(theirs[1:], ours[1:], strict=True):
        assert_close(theirs_part, ours_part)
    for expected, actual in zip(theirs[0], ours[0], strict=True):
        assert actual.shape == expected.shape
        # Logits near zero may fall on either side, as in `assert_same`.
        assert (actual != expected).mean() < 1e-5


def test_holes_and_sprinkles(monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy import ndimage

    def components(masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Stands in for sam2's compiled extra: 8-connected labels and their areas."""
        labelled = [ndimage.label(m, np.ones((3, 3)))[0] for m in masks[:, 0].numpy()]
        areas = [np.where(ids > 0, np.bincount(ids.ravel())[ids], 0) for ids in labelled]
        return torch.from_numpy(np.stack(labelled)[:, None]), torch.from_numpy(
            np.stack(areas)[:, None]
        )

    monkeypatch.setattr("sam2.utils.misc.get_connected_components", components)
    model = zoo.load("nano", weights="random")
    areas = {"max_hole_area": 40, "max_sprinkle_area": 30}
    original = SAM2ImagePredictor(model.module, **areas)
    original._bb_feat_sizes = [(128, 128), (64, 64), (32, 32)]
    pair = original, ImagePredictor(TorchEngine(model), **areas)
    both(pair, "set_image", smooth_photo(72, 110))
    assert_same(pair, **PROMPTS["one point"])


def test_metas_example_runs_with_one_import_changed() -> None:
    """The calls of Meta's image_predictor_example notebook, in its order."""
    sam2_model = zoo.resize(zoo.load("tiny", weights="random"), (256, 256)).module
    image = smooth_photo(120, 180)

    predictor = OurSAM2ImagePredictor(sam2_model)
    predictor.set_image(image)
    assert predictor._features["image_embed"][-1].shape == (256, 16, 16)

    input_point, input_label = np.array([[50, 37]]), np.array([1])
    masks, scores, logits = predictor.predict(
        point_coords=input_point, point_labels=input_label, multimask_output=True
    )
    sorted_ind = np.argsort(scores)[::-1]
    masks, scores, logits = masks[sorted_ind], scores[sorted_ind], logits[sorted_ind]
    assert masks.shape == (3, 120, 180)

    input_point, input_label = np.array([[50, 37], [112, 62]]), np.array([1, 1])
    mask_input = logits[np.argmax(scores), :, :]
    masks, scores, _ = predictor.predict(
        point_coords=input_point,
        point_labels=input_label,
        mask_input=mask_input[None, :, :],
        multimask_output=False,
    )
    assert masks.shape == (1, 120, 180)

    input_box = np.array([42, 60, 70, 87])
    masks, scores, _ = predictor.predict(
        point_coords=None, point_labels=None, box=input_box[None, :], multimask_output=False
    )
    assert masks.shape == (1, 120, 180)
    masks, scores, logits = predictor.predict(
        point_coords=np.array([[57, 75]]),
        point_labels=np.array([0]),
        box=input_box,
        multimask_output=False,
    )

    input_boxes = np.array([[7, 60, 170, 87], [42, 60, 70, 87], [137, 55, 155, 80]])
    masks, scores, _ = predictor.predict(
        point_coords=None, point_labels=None, box=input_boxes, multimask_output=False
    )
    assert masks.shape == (3, 1, 120, 180)

    predictor.set_image_batch([image, smooth_photo(90, 60)])
    masks_batch, scores_batch, _ = predictor.predict_batch(
        None,
        None,
        box_batch=[input_boxes, np.array([[4, 17, 46, 43], [9, 27, 47, 60]])],
        multimask_output=False,
    )
    assert [m.shape for m in masks_batch] == [(3, 1, 120, 180), (2, 1, 90, 60)]
    pts_batch = [np.array([[[50, 37]], [[65, 60]]]), np.array([[[40, 30]], [[30, 40]]])]
    labels_batch = [np.array([[1], [1]]), np.array([[1], [1]])]
    masks_batch, scores_batch, _ = predictor.predict_batch(
        pts_batch, labels_batch, box_batch=None, multimask_output=True
    )
    best_masks = [
        masks[range(len(masks)), np.argmax(scores, axis=-1)]
        for masks, scores in zip(masks_batch, scores_batch, strict=True)
    ]
    assert [m.shape for m in best_masks] == [(2, 120, 180), (2, 90, 60)]
