"""Prompts: bit for bit what the original feeds its prompt encoder, and clear refusals."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import sam2lab.reference  # noqa: F401  (makes sam2 importable)
from sam2lab.runtime.engines.protocol import ModelInfo, PromptBatch
from sam2lab.runtime.prompts import PromptError, encode

SQUARE = ModelInfo(name="test", size="nano", input_size=(512, 512), weights="random:0")
WIDE = ModelInfo(name="test", size="nano", input_size=(64, 128), weights="random:0")
PHOTO = (427, 640)
POINT: dict[str, Any] = {"point_coordinates": [[320, 120]], "point_labels": [1]}


class PromptsSeen(Exception):
    """Carries what reached the prompt encoder."""


def original(image_size: tuple[int, int], **prompts: Any) -> tuple[np.ndarray, ...]:
    """The arguments that `SAM2ImagePredictor.predict` gives a 512-pixel model's prompt encoder."""
    from sam2.sam2_image_predictor import SAM2ImagePredictor
    from sam2.utils.transforms import SAM2Transforms

    def prompt_encoder(points: Any, boxes: Any, masks: Any) -> None:
        assert boxes is None
        raise PromptsSeen(points, masks)

    predictor = SAM2ImagePredictor.__new__(SAM2ImagePredictor)
    predictor.model = SimpleNamespace(device=torch.device("cpu"), sam_prompt_encoder=prompt_encoder)
    predictor._transforms = SAM2Transforms(512, 0.0, disable_torch_jit=True)
    predictor._orig_hw = [image_size]
    predictor._is_image_set = True
    with pytest.raises(PromptsSeen) as seen:
        predictor.predict(**prompts)
    points, masks = seen.value.args
    return tuple(None if tensor is None else tensor.numpy() for tensor in (*(points or ()), masks))


def agree(image_size: tuple[int, int], **prompts: Any) -> None:
    names = {"point_coords": "point_coordinates", "box": "boxes"}
    ours = encode(
        image_size, SQUARE, **{names.get(name, name): value for name, value in prompts.items()}
    )
    coords, labels, masks = original(image_size, **prompts)
    np.testing.assert_array_equal(ours.point_coords, coords)
    np.testing.assert_array_equal(ours.point_labels, labels)
    if masks is None:
        assert ours.mask_input is None
    else:
        np.testing.assert_array_equal(ours.mask_input, masks)


def is_sound(batch: PromptBatch, info: ModelInfo) -> bool:
    """Check the promises of `encode` about its result."""
    objects, points, _ = batch.point_coords.shape
    arrays = [batch.point_coords, batch.point_labels]
    if batch.mask_input is not None:
        arrays.append(batch.mask_input)
    return (
        all(array.dtype == np.float32 and np.isfinite(array).all() for array in arrays)
        and batch.point_coords.shape == (objects, points, 2)
        and batch.point_labels.shape == (objects, points)
        and batch.objects == objects >= 1
        and (points > 0 or batch.mask_input is not None)
        and (
            batch.mask_input is None
            or batch.mask_input.shape in {(n, 1, *info.mask_size) for n in (1, objects)}
        )
    )


class TestEqualToTheOriginal:
    boxes = np.array([[10.5, 20, 300, 400], [0, 0, 640, 427]])
    points = np.array([[[31.7, 200], [5, 6]], [[600, 7], [333, 222.2]]])
    labels = np.array([[1, 0], [0, 1]])
    mask = np.random.default_rng(0).normal(size=(1, 128, 128))

    @pytest.mark.parametrize(
        "prompts",
        [
            {"point_coords": points[0], "point_labels": labels[0]},
            {"point_coords": points, "point_labels": labels},
            {"box": boxes[0]},
            {"box": boxes[:1]},
            {"box": boxes},
            {"point_coords": points[0], "point_labels": labels[0], "box": boxes[0]},
            {"point_coords": points, "point_labels": labels, "box": boxes},
            {"point_coords": points[0], "point_labels": labels[0], "mask_input": mask},
            {"box": boxes[0], "mask_input": mask[None]},
            {"box": boxes / 640, "normalize_coords": False},
            {"point_coords": [[3, 4]], "point_labels": [1]},
        ],
        ids=lambda prompts: "-".join(f"{name}{np.shape(p)}" for name, p in prompts.items()),
    )
    @pytest.mark.parametrize("photo", [PHOTO, (1, 50), (3000, 4000)])
    def test_the_prompt_encoder_gets_the_same_numbers(
        self, prompts: dict[str, Any], photo: tuple[int, int]
    ) -> None:
        if prompts.get("normalize_coords", True):
            extent = np.array(photo[::-1]) / (640, 427)
            prompts = {
                name: np.multiply(value, np.resize(extent, np.shape(value)[-1]))
                if name in ("point_coords", "box")
                else value
                for name, value in prompts.items()
            }
        agree(photo, **prompts)

    @settings(max_examples=60, deadline=None)
    @given(
        data=st.data(),
        height=st.integers(1, 5000),
        width=st.integers(1, 5000),
        objects=st.integers(1, 3),
        clicks=st.integers(1, 4),
        dtype=st.sampled_from(["f4", "f8", "f2"]),
    )
    def test_any_points_and_boxes_give_the_same_numbers(
        self, data: st.DataObject, height: int, width: int, objects: int, clicks: int, dtype: str
    ) -> None:
        rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
        corners = np.sort(rng.uniform(-0.4, 1.4, (objects, 2, 2)) * (width, height), axis=1)
        points = rng.uniform(-0.4, 1.4, (objects, clicks, 2)) * (width, height)
        agree(
            (height, width),
            point_coords=points.astype(dtype),
            point_labels=rng.integers(0, 2, (objects, clicks)),
            box=corners.reshape(objects, 4).astype(dtype),
        )


class TestForms:
    def test_a_wide_model_scales_each_axis_by_its_own_size(self) -> None:
        batch = encode((100, 100), WIDE, point_coordinates=[[50, 25]], point_labels=[0])
        np.testing.assert_array_equal(batch.point_coords, [[[64, 16]]])

    @pytest.mark.parametrize("box", [(10, 20, 30, 40), (30, 40, 10, 20), (10, 40, 30, 20)])
    def test_a_reversed_box_is_put_right(self, box: tuple[int, ...]) -> None:
        batch = encode((64, 128), WIDE, boxes=box)
        np.testing.assert_array_equal(batch.point_coords, [[[10, 20], [30, 40]]])
        np.testing.assert_array_equal(batch.point_labels, [[2, 3]])

    @pytest.mark.parametrize("empty", [[], np.empty((0, 2)), None])
    def test_no_points_beside_a_box_are_no_points(self, empty: Any) -> None:
        labels = None if empty is None else []
        batch = encode(PHOTO, SQUARE, point_coordinates=empty, point_labels=labels, boxes=[0] * 4)
        assert batch.point_coords.shape == (1, 2, 2)

    @pytest.mark.parametrize("shape", [(16, 32), (1, 16, 32), (1, 1, 16, 32)])
    def test_a_mask_alone_is_a_prompt_without_points(self, shape: tuple[int, ...]) -> None:
        batch = encode(PHOTO, WIDE, mask_input=np.ones(shape))
        assert batch.point_coords.shape == (1, 0, 2)
        assert batch.mask_input is not None
        assert batch.mask_input.shape == (1, 1, 16, 32)

    def test_one_mask_may_serve_several_objects(self) -> None:
        batch = encode(PHOTO, WIDE, boxes=np.zeros((3, 4)), mask_input=np.ones((16, 32)))
        assert batch.objects == 3

    def test_true_and_false_are_labels(self) -> None:
        points = [[1, 2], [3, 4]]
        batch = encode(PHOTO, SQUARE, point_coordinates=points, point_labels=[True, False])
        np.testing.assert_array_equal(batch.point_labels, [[1, 0]])

    def test_what_was_passed_is_left_alone(self) -> None:
        box = np.array([[300, 200, 10, 20]], np.float32)
        encode(PHOTO, SQUARE, boxes=box)
        np.testing.assert_array_equal(box, [[300, 200, 10, 20]])


def clicks(coordinates: Any, labels: Any = 1) -> dict[str, Any]:
    return {"point_coordinates": coordinates, "point_labels": labels}


class TestRefusals:
    @pytest.mark.parametrize(
        ("prompts", "words"),
        [
            ({}, "no prompt"),
            (clicks([], []), "no prompt"),
            (clicks(np.empty((0, 2)), []), "no prompt"),
            (clicks([[1, 2]], None), "point_labels is missing"),
            (clicks(None, [1]), "point_coordinates is missing"),
            (clicks([1, 2], [1]), r"point_coordinates has shape \(2,\).*\[\[x, y\]\]"),
            (clicks([[1, 2, 3]], [1]), r"point_coordinates has shape \(1, 3\)"),
            (clicks(5, [1]), r"point_coordinates has shape \(\)"),
            (clicks([[1, 2], [3]], [1, 1]), "point_coordinates makes no array.*equal length"),
            (clicks([[1, np.nan]], [1]), "point_coordinates holds NaN"),
            (clicks([[np.inf, 2]], [1]), "point_coordinates holds .*infinity"),
            (clicks([["1", "2"]], [1]), "point_coordinates is of dtype <U1"),
            (clicks([[1j, 2]], [1]), "point_coordinates is of dtype complex128"),
            (clicks([[None, 2]], [1]), "point_coordinates is of dtype object"),
            (clicks([[10**400, 2]], [1]), "point_coordinates is of dtype object"),
            (clicks([[961, 2]], [1]), r"point_coordinates .*\(961, 2\).*640 x 427"),
            (clicks([[2, -214]], [1]), r"point_coordinates .*-213.5 to 640.5"),
            (clicks([[1, 2]], 1), r"point_labels has shape \(\); wanted \(1,\)"),
            (clicks([[1, 2]], [1, 0]), r"point_labels has shape \(2,\); wanted \(1,\)"),
            (clicks([[[1, 2]], [[3, 4]]], [1, 0]), r"point_labels .*wanted \(2, 1\)"),
            (clicks([[1, 2]], [2]), r"point_labels holds 2.0.*boxes="),
            (clicks([[1, 2]], [-1]), "point_labels holds -1.0.*no padding"),
            (clicks([[1, 2]], [0.5]), "point_labels holds 0.5"),
            ({"boxes": [1, 2, 3]}, r"boxes has shape \(3,\)"),
            ({"boxes": [[1, 2], [3, 4]]}, r"boxes has shape \(2, 2\)"),
            ({"boxes": []}, "boxes is empty"),
            ({"boxes": np.empty((0, 4))}, "boxes is empty"),
            ({"boxes": [0, 0, 2000, 10]}, r"boxes holds the point \(2000, 10\)"),
            ({"boxes": [0, 0, 1e300, 10]}, r"boxes holds the point \(1e\+300, 10\)"),
            ({"boxes": np.zeros((2, 4)), **POINT}, "boxes is for 2 objects"),
            ({"boxes": [0] * 4, **clicks(np.ones((2, 1, 2)), np.ones((2, 1)))}, "1 objects"),
            ({"mask_input": np.ones((16, 32), bool)}, "mask_input is of dtype bool.*logits"),
            ({"mask_input": np.ones((16, 32), int)}, "mask_input is of dtype int64"),
            ({"mask_input": np.ones((256, 256))}, r"mask_input .*\(256, 256\); .*16 x 32"),
            ({"mask_input": np.ones((3, 16, 32))}, "mask_input .*scores.argmax"),
            ({"mask_input": np.ones((2, 3, 16, 32))}, r"mask_input .*\(L, 1, 16, 32\)"),
            ({"mask_input": np.ones((0, 1, 16, 32))}, r"mask_input .*\(L, 1, 16, 32\)"),
            ({"mask_input": np.full((16, 32), np.nan)}, "mask_input holds NaN"),
            ({"mask_input": np.full((16, 32), 1e300)}, "mask_input holds .*infinity"),
            ({"mask_input": 3.0}, r"mask_input has shape \(\)"),
            ({"mask_input": np.ones((2, 1, 16, 32)), **POINT}, "mask_input is for 2 objects"),
        ],
    )
    def test_the_message_names_the_argument_and_the_way_out(
        self, prompts: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(PromptError, match=words):
            encode(PHOTO, WIDE, **prompts)

    @pytest.mark.parametrize("x", [-0.51, 1.51])
    def test_shares_of_the_photo_end_half_its_size_outside(self, x: float) -> None:
        encode(PHOTO, WIDE, **clicks([[x - np.sign(x) / 50, 0.5]], [1]), normalize_coords=False)
        with pytest.raises(PromptError, match="normalize_coords=True"):
            encode(PHOTO, WIDE, **clicks([[x, 0.5]], [1]), normalize_coords=False)


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text(max_size=3)
    | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=12,
) | hnp.arrays(
    dtype=st.one_of(hnp.scalar_dtypes(), st.sampled_from(["O"])),
    shape=hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
)


def numbers(*shapes: tuple[int, ...]) -> st.SearchStrategy[Any]:
    """Arrays of these shapes: mostly in the photo, some beside it, some far out or no number."""
    return st.sampled_from(shapes).flatmap(
        lambda shape: (
            hnp.arrays(
                st.sampled_from(["f8", "f4", "i8", "u1"]).map(np.dtype),
                shape,
                elements=st.integers(0, 100),
            )
            | hnp.arrays(np.float64, shape, elements=st.floats(-400, 1000) | st.just(np.nan))
        )
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    point_coordinates=st.none() | junk | numbers((1, 2), (3, 2), (2, 3, 2), (0, 2), (2,)),
    point_labels=st.none()
    | junk
    | hnp.arrays(np.int64, st.sampled_from([(1,), (3,), (2, 3), (0,)]), elements=st.integers(0, 1)),
    boxes=st.none() | junk | numbers((4,), (1, 4), (2, 4), (0, 4)),
    mask_input=st.none()
    | junk
    | st.sampled_from([(16, 32), (1, 16, 32), (1, 1, 16, 32), (2, 1, 16, 32), (4, 4)]).map(np.ones),
    normalize_coords=st.booleans(),
)
def test_anything_else_is_encoded_or_refused(**prompts: Any) -> None:
    try:
        batch = encode(PHOTO, WIDE, **prompts)
    except PromptError as refusal:
        names = ("point_coordinates", "point_labels", "boxes", "mask_input")
        assert any(name in str(refusal) for name in names)  # noqa: PT017
    else:
        assert is_sound(batch, WIDE)
