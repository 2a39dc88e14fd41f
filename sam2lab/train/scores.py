"""`fit_scores` teaches a trained model once more to score its masks; the masks stay as they are.

A score decides which of three candidates a user sees. During training it learns beside the masks,
of masks that still change, on parts of photos. Users show whole photos, and there a model of which
both are known ranks better. The head that makes scores reads one vector a prompt: so the vectors
of many prompts are computed once, and the head learns from them in seconds.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from sam2lab.reference import zoo
from sam2lab.train.batches import SampleDataset, Scenes
from sam2lab.train.losses import mask_iou, score_loss
from sam2lab.train.rounds import add_correction, shown_mask
from sam2lab.train.schedule import climb_and_fall
from sam2lab.train.trainable import TrainableModel

PROMPTS = 6
"""Prompts on each picture; each is asked a second time, with a correction."""

_BATCH, _EPOCHS, _PROMPTS_A_STEP, _WARM_UP = 4, 10, 256, 50
_RATE, _WEIGHT_DECAY = 5e-4, 0.05


def fit_scores(
    model: zoo.ZooModel, scenes: Scenes, pictures: int, side: int, seed: int = 0
) -> zoo.ZooModel:
    """Teach the scores of `model`, in place, on so many pictures `side` pixels square; return it.

    The scenes should be such as users show, and such as the masks were trained on: of other photos
    the masks are worse, and so lower scores are right.
    """
    head = model.module.sam_mask_decoder.iou_prediction_head
    try:
        # Sets `sigmoid_output` to False.
        trainable = TrainableModel(model).eval()
        with torch.no_grad():
            seen, ious = _answers(trainable, scenes, pictures, side)
        _learn(head, seen, ious, seed)
    finally:
        head.sigmoid_output = True
    return model


def _learn(head: nn.Module, seen: Tensor, ious: Tensor, seed: int) -> None:
    """Teach the head what to say, (N, 4), of each of N vectors that it sees."""
    generator = torch.Generator().manual_seed(seed)
    steps = max(1, _EPOCHS * len(seen) // _PROMPTS_A_STEP)
    optimizer = torch.optim.AdamW(head.parameters(), _RATE, weight_decay=_WEIGHT_DECAY)
    head.requires_grad_(True)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = _RATE * climb_and_fall(step, _WARM_UP, step / steps)
        drawn = torch.randint(len(seen), (_PROMPTS_A_STEP,), generator=generator)
        loss = score_loss(head(seen[drawn]), ious[drawn])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _answers(
    trainable: TrainableModel, scenes: Scenes, pictures: int, side: int
) -> tuple[Tensor, Tensor]:
    """What the head sees of prompts on the first pictures, (N, width), and true IoUs, (N, 4)."""
    seen: list[Tensor] = []
    ious: list[Tensor] = []
    head = trainable.sam.sam_mask_decoder.iou_prediction_head
    hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    samples = SampleDataset(scenes, side, PROMPTS, _BATCH, 0, -(-pictures // _BATCH))
    generator = torch.Generator().manual_seed(0)
    try:
        for images, *given in tqdm(
            DataLoader(samples, _BATCH, generator=torch.Generator()), "scores", unit="step"
        ):
            maps = trainable.encode(images).repeat(PROMPTS)
            targets, points, labels = (each.flatten(0, 1) for each in given)
            logits, scores = trainable.decode(maps, side, points, labels, None)
            ious.append(mask_iou(logits, targets[:, None]))
            shown = shown_mask(logits, scores, labels, first=True)
            points, labels = add_correction(shown[:, 0], targets, points, labels, generator)
            logits, _ = trainable.decode(maps, side, points, labels, shown)
            ious.append(mask_iou(logits, targets[:, None]))
    finally:
        hook.remove()
    return torch.cat(seen), torch.cat(ious)
