"""Scores learn once more, and nothing else does."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
import torch

from sam2lab.reference import zoo
from sam2lab.reference.engine import TorchEngine
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.scenes.scene import Scene
from sam2lab.train.batches import draw_sample
from sam2lab.train.losses import mask_iou
from sam2lab.train.scores import fit_scores
from sam2lab.train.trainable import TrainableModel
from tests.train.squares import Squares

HEAD = "sam_mask_decoder.iou_prediction_head."


@pytest.fixture(scope="module")
def fitted() -> zoo.ZooModel:
    return fit_scores(zoo.load("nano"), Squares(), 48, 64)


def error_on_others(model: zoo.ZooModel) -> float:
    """How far scores are from the IoUs of clicks on squares that the model was not fitted to."""
    trainable, errors = TrainableModel(model).eval(), []
    for index in range(24):
        scene = Squares(1000).scene(index, (64, 64))
        sample = draw_sample(np.random.default_rng(index), scene, 4, "click", slots=1)
        points, labels, targets = map(
            torch.from_numpy, (sample.points, sample.labels, sample.targets)
        )
        with torch.no_grad():
            maps = trainable.encode(torch.from_numpy(sample.image)[None]).repeat(4)
            logits, scores = trainable.decode(maps, 64, points, labels, None)
        ious = mask_iou(logits, targets[:, None].expand_as(logits))
        errors.append(float((scores.sigmoid() - ious).abs().mean()))
    model.module.sam_mask_decoder.iou_prediction_head.sigmoid_output = True
    return float(np.mean(errors))


def test_only_the_head_of_scores_changes(fitted: zoo.ZooModel) -> None:
    before = zoo.load("nano").module.state_dict()
    changed = {k for k, v in fitted.module.state_dict().items() if not torch.equal(v, before[k])}
    assert changed
    assert all(name.startswith(HEAD) for name in changed)


def test_scores_of_pictures_that_were_not_seen_come_nearer_to_the_truth(
    fitted: zoo.ZooModel,
) -> None:
    before, after = error_on_others(zoo.load("nano")), error_on_others(fitted)
    assert after < 0.95 * before, (before, after)


def test_a_fitted_model_answers_with_the_same_masks_and_scores_from_0_to_1(
    fitted: zoo.ZooModel,
) -> None:
    photo = Squares().scene(3, (60, 80)).image
    before, after = (
        Segmenter(TorchEngine(zoo.resize(model, (64, 64)))).segment_images(
            photo, point_coordinates=[[30, 20]], point_labels=[1]
        )[0]
        for model in (zoo.load("nano"), fitted)
    )
    np.testing.assert_array_equal(after.masks, before.masks)
    assert after.scores.min() >= 0
    assert after.scores.max() <= 1
    assert (after.scores != before.scores).all()


def test_the_same_scenes_give_the_same_scores() -> None:
    first, second = (fit_scores(zoo.load("nano"), Squares(), 8, 64) for _ in range(2))
    for key, value in first.module.state_dict().items():
        assert torch.equal(value, second.module.state_dict()[key]), key


def test_an_interrupt_leaves_the_model_as_it_was() -> None:
    numbers = count()

    class Stops(Squares):
        def scene(self, index: int, size: tuple[int, int], first: str = "click") -> Scene:
            if next(numbers) == 5:
                raise KeyboardInterrupt
            return super().scene(index, size)

    model, before = zoo.load("nano"), zoo.load("nano").module.state_dict()
    with pytest.raises(KeyboardInterrupt):
        fit_scores(model, Stops(), 48, 64)
    for key, value in model.module.state_dict().items():
        assert torch.equal(value, before[key]), key
    head = model.module.sam_mask_decoder.iou_prediction_head
    assert head.sigmoid_output
    assert not head._forward_pre_hooks
