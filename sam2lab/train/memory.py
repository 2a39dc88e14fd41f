"""`MemoryTrainer` teaches a model to follow objects, without changing its answers on images.

The image encoder and everything that makes masks are frozen. What learns is the attention over
memories, the memory encoder, the object pointers and the head that says whether the object is
there. A memory that was never trained gets the starting values of `memory_start`, and its first
clips are stills that get faster, because a still teaches to look at the same place. One that was
trained goes on.

To tell that an object is gone has to be seen often: in every other clip it is out of sight for a
while, and the loss of the object score is a plain cross-entropy over all frames. In every other
step memories say truly whether the object was there, in the rest what the model believed.

No clip is shown twice. nano knew 480 clips by heart in the end: there its object score told frames
with the object from others in 92 % of the pairs, and in 79 % in other clips of the same photos.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from sam2lab.reference import zoo
from sam2lab.reference.memory import settings
from sam2lab.scenes.moving import MovingScenes
from sam2lab.train.checkpoint import load_run, save_run
from sam2lab.train.following import FIRST, Tracker
from sam2lab.train.loop import mean_row, run_to_end
from sam2lab.train.losses import mask_iou, mask_loss
from sam2lab.train.memory_start import begin
from sam2lab.train.schedule import climb_and_fall

CHECKPOINT, MEMORY_LOG = "memory.pt", "memory_log.csv"
# What learns, by the beginning of its name.
PARTS = (
    "memory_attention",
    "memory_encoder",
    "maskmem_tpos_enc",
    "obj_ptr_proj",
    "obj_ptr_tpos_proj",
    "no_obj_ptr",
    "no_obj_embed_spatial",
    "mask_downsample",
    "sam_mask_decoder.pred_obj_score_head",
)

_SCORE_WEIGHT = 1.0
_WARM_UP = 50
# With less of it than this share of the first frame's, an object is called neither there nor gone.
_LEAST_REST = 0.1


class MemoryPhase(NamedTuple):
    """Steps that are alike: `batch` clips of `frames` frames, `side` pixels square.

    `pace` is that of the clips at the end of the phase; the one before it ended where it begins.
    """

    side: int
    frames: int
    batch: int
    steps: int
    pace: float

    @property
    def cost(self) -> float:
        """The cost of all steps: the pixels of their frames."""
        return float(self.side**2 * self.frames * self.batch * self.steps)


MEMORY_TOY = (MemoryPhase(64, 3, 4, 40, 0.3),)
MEMORY_FULL = (
    MemoryPhase(128, 3, 8, 400, 0.3),
    MemoryPhase(256, 4, 4, 300, 0.4),
    MemoryPhase(256, 8, 2, 250, 0.4),
    MemoryPhase(256, 16, 1, 120, 0.4),
    MemoryPhase(512, 6, 1, 120, 0.5),
)


class Place(NamedTuple):
    """Where a step is: its phase, the pace of its clips, and the share of all cost before it."""

    phase: MemoryPhase
    pace: float
    done: float


@dataclass(frozen=True)
class ClipDataset(Dataset[tuple[Tensor, Tensor]]):
    """The clips of one phase's steps, from step `first` on; in every other one the object hides.

    Each has a number of its own in the whole run, in which no step has more clips than `most`.
    """

    scenes: MovingScenes
    places: Sequence[Place]
    first: int
    most: int

    def __len__(self) -> int:
        return len(self.places) * self.places[0].phase.batch

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        into, row = divmod(number, self.places[0].phase.batch)
        phase, pace, _ = self.places[into]
        step = self.first + into
        hides = pace > 0 and (step + row) % 2 == 0
        index = step * self.most + row
        clip = self.scenes.clip(index, phase.frames, phase.side, pace, hides)
        return torch.tensor(clip.images), torch.tensor(clip.masks)


@dataclass(eq=False)
class MemoryTrainer:
    """One run: the model whose memory learns, and its step; resumable at any step.

    `workers` are processes that draw clips, which takes a tenth to a half of the time of learning
    from them; with 0 both take turns.
    """

    model: zoo.ZooModel
    scenes: MovingScenes
    phases: Sequence[MemoryPhase] = MEMORY_FULL
    folder: Path | None = None
    rate: float = 5e-4
    workers: int = 0
    step: int = field(default=0, init=False)
    log: list[dict[str, float]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        module = self.model.module
        # As SAM2VideoPredictor is built.
        module.binarize_mask_from_pts_for_mem_enc = True
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(name.startswith(PARTS))
        self._learning = {n: p for n, p in module.named_parameters() if p.requires_grad}
        self._optimizer = torch.optim.AdamW(
            self._learning.values(), lr=self.rate, weight_decay=0.01, betas=(0.9, 0.98)
        )
        known = settings(module)
        goes_on = known is not None and known.is_trained
        self._first_pace = self.phases[0].pace if goes_on else 0.0
        if self.folder is not None and (self.folder / CHECKPOINT).is_file():
            self._load(self.folder / CHECKPOINT)
        elif not goes_on:
            begin(self.model, self.scenes)

    @property
    def steps(self) -> int:
        """The steps of all phases."""
        return sum(phase.steps for phase in self.phases)

    def run(self) -> zoo.ZooModel:
        """Train from the current step to the end; Ctrl-C saves and stops."""
        run_to_end(self, "train memory", "j")
        return self.model

    def rows(self) -> Iterator[dict[str, float]]:
        """Do the steps that are left; yield the figures of each."""
        while self.step < self.steps:
            left = [self._place(step) for step in range(self.step, self.steps)]
            phase = left[0].phase
            places = [place for place in left if place.phase is phase]
            most = max(phase.batch for phase in self.phases)
            loader = DataLoader(
                ClipDataset(self.scenes, places, self.step, most),
                phase.batch,
                num_workers=self.workers,
                # Without its own generator it would draw from torch's global one.
                generator=torch.Generator(),
            )
            for place, (images, masks) in zip(places, loader, strict=True):
                yield self._update(place, images, masks)

    def summary(self, rows: Sequence[dict[str, float]]) -> dict[str, float]:
        """The row of the log for the steps since the last one."""
        return mean_row(rows, self.step)

    def save(self) -> None:
        """Write the checkpoint and the log, each beside its place first."""
        if self.folder is None:
            return
        state = {
            "begun_with": self._begun_with(),
            "step": self.step,
            "weights": {name: value.detach() for name, value in self._learning.items()},
            "optimizer": self._optimizer.state_dict(),
            "log": self.log,
        }
        save_run(self.folder / CHECKPOINT, self.folder / MEMORY_LOG, state, self.log)

    def _begun_with(self) -> dict[str, Any]:
        """List what a run must have in common with the run that it resumes."""
        return {
            "seed": self.scenes.mixture.seed,
            "scenes of": self.scenes.contents,
            "weights": self.model.info.weights,
            "rate": self.rate,
            "phases": [tuple(phase) for phase in self.phases],
        }

    def _load(self, file: Path) -> None:
        state = load_run(file, self._begun_with())
        with torch.no_grad():
            for name, value in self._learning.items():
                value.copy_(state["weights"][name])
        self._optimizer.load_state_dict(state["optimizer"])
        self.step, self.log = state["step"], state["log"]

    def _update(self, place: Place, images: Tensor, masks: Tensor) -> dict[str, float]:
        phase, pace, done = place
        rng = np.random.default_rng([self.step, 1])
        for axis in (2, 3):
            if rng.random() < 0.5:
                images, masks = images.flip(axis), masks.flip(axis)
        tracker = Tracker(self.model, phase.side)
        first = FIRST[self.step % len(FIRST)]
        logits, scores = tracker.follow(images, masks, first, rng, teach=self.step % 2 == 0)
        targets = functional.avg_pool2d(masks.float(), 4)[:, 1:]
        areas = masks.flatten(2).sum(2)
        there = (areas > 0).float()
        losses, seen = mask_loss(logits[:, 1:], targets), there[:, 1:]
        loss = (losses * seen).sum() / seen.sum().clamp(min=1)
        is_clear = (areas == 0) | (areas >= _LEAST_REST * areas[:, :1])
        of_scores = functional.binary_cross_entropy_with_logits(scores[is_clear], there[is_clear])
        loss = loss + _SCORE_WEIGHT * of_scores
        rate = self.rate * climb_and_fall(self.step, _WARM_UP, done)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._learning.values(), 1.0)
        self._optimizer.step()
        self.step += 1
        j = mask_iou(logits[:, 1:], targets)
        right = ((scores[:, 1:] > 0) == (seen > 0)).float()
        return {
            "side": phase.side,
            "frames": phase.frames,
            "pace": pace,
            "loss": float(loss.detach()),
            "j": float((j * seen).sum() / seen.sum().clamp(min=1)),
            "presence": float(right.mean()),
            "absent": float(1 - seen.mean()),
            "rate": rate,
        }

    def _place(self, step: int) -> Place:
        first, done, pace = 0, 0.0, self._first_pace
        total = sum(phase.cost for phase in self.phases)
        for phase in self.phases:
            into = (step - first) / phase.steps
            if into < 1:
                here = pace + (phase.pace - pace) * min(1.0, 1.25 * into)
                return Place(phase, here, (done + phase.cost * into) / total)
            first, done, pace = first + phase.steps, done + phase.cost, phase.pace
        raise ValueError(f"step is {step}, but the run ends at {first}")
