"""The last lesson: how good an answer is, when answers no longer change.

Until then scores learn from the answers of the moment, and mostly on parts of photos, where
another of the three candidates tends to be the best than on a whole photo. Here the one small
head that gives them learns alone, so that nothing else of the model changes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm.auto import tqdm

from sam2lab.reference import zoo
from sam2lab.train.lessons import Lessons, Scenes
from sam2lab.train.losses import overlap
from sam2lab.train.pupil import Pupil
from sam2lab.train.recipe import Phase

HEAD = "sam_mask_decoder.iou_prediction_head"

WHOLE = 2 / 3
"""The share of whole photos among the scenes to learn scores on."""

# After a few hundred steps the scores of what was seen get better and those of the unseen worse.
STEPS, BATCH, RATE, WARM_UP = 300, 256, 1e-3, 50


def teach_scores(
    model: zoo.ZooModel, scenes: Scenes, phase: Phase, first_step: int, seed: int
) -> None:
    """Train the head of the scores of `model`, in place.

    `phase` says on how many pictures (its steps times its batch), how large, with how many
    prompts; their numbers go on from `first_step`.
    """
    with torch.random.fork_rng():
        pupil = Pupil(model).eval()
    tokens, overlaps = _answers(pupil, scenes, phase, first_step)
    head = model.module.get_submodule(HEAD)
    optimizer = torch.optim.AdamW(head.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            torch.optim.lr_scheduler.LinearLR(optimizer, 1 / WARM_UP, total_iters=WARM_UP),
            torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS - WARM_UP),
        ],
        [WARM_UP],
    )
    generator = torch.Generator().manual_seed(seed)
    for _ in range(STEPS):
        chosen = torch.randint(len(tokens), (BATCH,), generator=generator)
        loss = functional.binary_cross_entropy_with_logits(head(tokens[chosen]), overlaps[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    # As it is served: the pupil's scores are logits.
    head.sigmoid_output = True


def _answers(pupil: Pupil, scenes: Scenes, phase: Phase, first_step: int) -> tuple[Tensor, Tensor]:
    """What the head is given, (N, width), and how good the masks are, (N, 4)."""
    tokens: list[Tensor] = []
    overlaps: list[Tensor] = []

    def listen(head: nn.Module, given: tuple[Tensor]) -> None:
        tokens.append(given[0])

    decoder = pupil.sam.sam_mask_decoder
    listening = decoder.iou_prediction_head.register_forward_pre_hook(listen)
    lessons = Lessons(scenes, phase.side, phase.prompts, phase.batch, first_step, phase.steps)
    for number in tqdm(range(len(lessons)), desc="scores", unit="picture"):
        image, targets, points, labels = map(torch.from_numpy, lessons[number])
        with torch.no_grad():
            levels = pupil.look(image[None]).repeat(phase.prompts)
            logits, _ = pupil.answer(levels, phase.side, points, labels, None)
        overlaps.append(overlap(logits, targets[:, None].expand_as(logits)))
    listening.remove()
    return torch.cat(tokens), torch.cat(overlaps)
