from __future__ import annotations

import numpy as np
import pytest
import torch

from sam2lab.train.losses import (
    balanced_cross_entropy,
    dice_loss,
    mask_iou,
    mask_loss,
    order_loss,
    outline_loss,
    prediction_loss,
)


def test_mask_iou_is_intersection_over_union() -> None:
    rng = np.random.default_rng(0)
    logits, target = rng.normal(size=(5, 8, 9)), rng.random((5, 8, 9))
    found = mask_iou(torch.from_numpy(logits), torch.from_numpy(target)).numpy()
    for value, guess, truth in zip(found, logits > 0, target > 0.5, strict=True):
        assert value == pytest.approx((guess & truth).sum() / (guess | truth).sum())


def test_two_empty_masks_agree() -> None:
    assert mask_iou(-torch.ones(2, 2), torch.zeros(2, 2)) == 1


def test_an_empty_answer_costs_as_much_for_a_small_object_as_for_a_large_one() -> None:
    """A mean over pixels would make it cheap, and training would stay there."""
    small, large = torch.zeros(40, 40), torch.zeros(40, 40)
    small[:2, :2] = 1
    large[:30, :30] = 1
    empty = torch.full((40, 40), -6.0)
    assert mask_loss(empty, small) == pytest.approx(float(mask_loss(empty, large)), rel=0.05)


def test_balance_gives_both_sides_the_same_weight() -> None:
    target = torch.zeros(10, 10)
    target[0, :3] = 1
    missed, spilled = torch.full((10, 10), -20.0), torch.full((10, 10), 20.0)
    loss = balanced_cross_entropy(torch.stack([missed, spilled]), target.expand(2, 10, 10))
    assert loss.tolist() == pytest.approx([10, 10], rel=1e-4)


def test_only_cells_near_the_outline_count_for_it() -> None:
    target = torch.zeros(20, 20)
    target[:, :10] = 1
    right = (target[None] - 0.5) * 40
    far, near = right.clone(), right.clone()
    far[:, :, [0, 19]] *= -1
    near[:, :, 10] *= -1
    losses = [float(outline_loss(each, target[None])) for each in (right, far, near)]
    # One of the four columns that are within two cells of the outline is wrong by 20.
    assert losses == pytest.approx([0, 0, 20 / 4], abs=1e-4)


def test_the_outline_of_a_soft_target_is_learnt_as_soft() -> None:
    """The best logit of a cell that the object covers by 30 % is that of 0.3."""
    target = torch.zeros(1, 8, 8)
    target[..., :4], target[..., 4] = 1, 0.3
    logits = torch.special.logit(target.clamp(1e-6, 1 - 1e-6)).requires_grad_()
    outline_loss(logits, target).sum().backward()
    assert logits.grad.abs().max() < 1e-5


def test_order_counts_each_pair_by_how_much_better_one_is() -> None:
    rng = np.random.default_rng(1)
    scores, ious = rng.normal(size=(4, 3)), rng.random((4, 3))
    found = order_loss(torch.from_numpy(scores), torch.from_numpy(ious)).numpy()
    for value, score, iou in zip(found, scores, ious, strict=True):
        pairs = [(i, j) for i in range(3) for j in range(3) if iou[i] > iou[j]]
        expected = sum((iou[i] - iou[j]) * np.log1p(np.exp(score[j] - score[i])) for i, j in pairs)
        assert value == pytest.approx(expected)


def test_dice_of_a_perfect_answer_is_nothing() -> None:
    target = (torch.rand(6, 6) > 0.5).float()
    assert dice_loss((target - 0.5) * 200, target) == pytest.approx(0, abs=1e-5)


def test_only_the_best_of_three_candidates_learns() -> None:
    target = torch.zeros(1, 8, 8)
    target[:, :4] = 1
    logits = torch.randn(1, 4, 8, 8)
    logits[:, 2] = target * 4 - 2
    logits.requires_grad_()
    loss, _ = prediction_loss(logits, torch.full((1, 4), 0.5), target)
    loss.backward()
    moved = logits.grad.abs().sum((0, 2, 3)) > 0
    assert moved.tolist() == [True, False, True, False]


def test_all_scores_learn_how_good_their_masks_are() -> None:
    target = torch.zeros(1, 4, 4)
    target[:, :2] = 1
    scores = torch.full((1, 4), 2.0, requires_grad=True)
    logits = torch.stack([target[0], -target[0], target[0] - 0.5, torch.ones(4, 4)])[None]
    loss, ious = prediction_loss(logits - 0.25, scores, target)
    loss.backward()
    assert torch.equal(scores.grad.sign(), (scores.detach().sigmoid() - ious).sign())


def test_a_score_that_is_stuck_at_zero_is_still_pulled_up() -> None:
    target = torch.ones(1, 4, 4)
    scores = torch.full((1, 4), -40.0, requires_grad=True)
    loss, ious = prediction_loss(torch.ones(1, 4, 4, 4), scores, target)
    loss.backward()
    assert ious.min() == 1
    # One stuck score is pulled as hard as one that knows nothing, and twice as hard: it is further.
    unsure = torch.zeros(1, 4, requires_grad=True)
    prediction_loss(torch.ones(1, 4, 4, 4), unsure, target)[0].backward()
    torch.testing.assert_close(scores.grad, 2 * unsure.grad)
    assert (unsure.grad < 0).all()
