"""`Trainer`: the training loop in plain PyTorch, seeded, and resumable at any step."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from sam2lab.reference import zoo
from sam2lab.reference.engine import checked_device
from sam2lab.runtime.arguments import path, whole
from sam2lab.runtime.files import check_place
from sam2lab.train.batches import SampleDataset, Scenes
from sam2lab.train.checkpoint import load_run, save_run
from sam2lab.train.geometry import draw_noise, draw_shapes
from sam2lab.train.loop import mean_row, run_to_end
from sam2lab.train.losses import affinity_loss, prediction_loss, user_ious
from sam2lab.train.rounds import add_correction, shown_mask
from sam2lab.train.schedule import Phase, Schedule
from sam2lab.train.scores import fit_scores
from sam2lab.train.trainable import FeatureMaps, TrainableModel
from sam2lab.train.validation import FIGURES, validate

CHECKPOINT, LOG = "checkpoint.pt", "log.csv"
# The column of the affinity loss, as the log in models/nano calls it.
AFFINITY = "likeness"

_GEOMETRY_PICTURES, _GEOMETRY_PROMPTS = 8, 6
_AVERAGE = 0.999
_VALIDATE_EVERY = 250
# The chance of another round: a prompt's first mask needs most practice.
_FURTHER_ROUND = 0.5


@dataclass(eq=False)
class Trainer:
    """One run: the model, its running average, and its step.

    It begins from nothing, or from `weights`: "auto", those that ship, or a file of nano's.
    The result is the average of the last thousand steps' weights, which predicts better than
    the weights of any single step.
    """

    scenes: Scenes
    schedule: Schedule
    folder: Path | None = None
    unseen: Scenes | None = None
    weights: str | os.PathLike[str] | None = None
    seed: int = 0
    device: str = "cpu"
    workers: int = 0
    step: int = field(default=0, init=False)
    log: list[dict[str, float]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.schedule, Schedule):
            raise ValueError(f"schedule is {self.schedule!r:.80}; wanted a Schedule, such as TOY")
        self.seed = whole("seed", self.seed, 0, 2**63 - 1)
        self.workers = whole("workers", self.workers, 0)
        checked_device(self.device)
        if self.folder is not None:
            self.folder = path("folder", self.folder)
            check_place("folder", self.folder)
        self.model = (
            zoo.untrained("nano", self.seed)
            if self.weights is None
            else zoo.load("nano", weights=self.weights)
        )
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            self.trainable = TrainableModel(self.model).to(self.device).train()
        self.average = {k: v.detach().clone() for k, v in self.trainable.state_dict().items()}
        groups = _groups(self.trainable, self.schedule.weight_decay)
        self.optimizer = torch.optim.AdamW(groups, lr=self.schedule.rate, betas=(0.9, 0.98))
        if self.folder is not None and (self.folder / CHECKPOINT).is_file():
            self._load(self.folder / CHECKPOINT)

    @property
    def steps(self) -> int:
        """All steps of the schedule."""
        return self.schedule.steps

    def run(self) -> None:
        """Train from the current step to the end of the schedule; Ctrl-C saves and stops."""
        run_to_end(self, "train", "iou")

    def fit_scores(self, scenes: Scenes) -> None:
        """Teach the average's scores once more, on scenes as users show them; save it."""
        pictures, side = self.schedule.score_pictures, self.schedule.phases[-1].side
        module = fit_scores(self.averaged(), scenes, pictures, side, self.seed).module
        for key, value in module.state_dict().items():
            self.average[f"sam.{key}"].copy_(value)
        self.save()

    def rows(self) -> Iterator[dict[str, float]]:
        """Do the steps that are left; yield the figures of each."""
        while self.step < self.steps:
            yield from self._phase_rows()

    def summary(self, rows: Sequence[dict[str, float]]) -> dict[str, float]:
        """The row of the log for the steps since the last one; now and then with unseen scenes."""
        return mean_row(rows, self.step) | {"side": rows[-1]["side"]} | self._validate()

    def averaged(self) -> zoo.ZooModel:
        """The model with the averaged weights, in evaluation mode, on the CPU."""
        own = {
            key.removeprefix("sam."): value.cpu()
            for key, value in self.average.items()
            if key.startswith("sam.")
        }
        module = zoo.build("nano")
        module.load_state_dict(own)
        return zoo.ZooModel(module, self.model.info)

    def save(self) -> None:
        """Write the checkpoint and the log, each beside its place first."""
        if self.folder is None:
            return
        state = {
            "begun_with": self._begun_with(),
            "step": self.step,
            "trainable": self.trainable.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "log": self.log,
        }
        save_run(self.folder / CHECKPOINT, self.folder / LOG, state, self.log)

    def _begun_with(self) -> dict[str, Any]:
        """List what a run must have in common with the run that it resumes."""
        weights = None if self.weights is None else self.model.info.weights
        return {
            "seed": self.seed,
            "weights": weights,
            "scenes of": self.scenes.contents,
            **asdict(self.schedule),
        }

    def _load(self, file: Path) -> None:
        state = load_run(file, self._begun_with(), self.device)
        self.trainable.load_state_dict(state["trainable"])
        self.average = state["average"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.log = state["step"], state["log"]

    def _validate(self) -> dict[str, float]:
        """The figures on unseen scenes, every 250 steps; NaN in between."""
        phase, _ = self.schedule.phase_at(self.step - 1)
        due = self.step % _VALIDATE_EVERY == 0 or self.step == self.schedule.steps
        if self.unseen is None or phase is None or not due:
            return dict.fromkeys(FIGURES, math.nan)
        return validate(self.averaged(), self.unseen, phase.side)

    def _phase_rows(self) -> Iterator[dict[str, float]]:
        """Take the remaining steps of the current phase; yield a row of figures for each."""
        phase, first = self.schedule.phase_at(self.step)
        if phase is None:
            while self.step < self.schedule.geometry_steps:
                yield self._update(*self._geometry_loss())
            return
        left = first + phase.steps - self.step
        loader = DataLoader(
            SampleDataset(self.scenes, phase.side, phase.prompts, phase.batch, self.step, left),
            phase.batch,
            num_workers=self.workers,
            prefetch_factor=4 if self.workers else None,
            # Without its own generator it would draw from torch's global one.
            generator=torch.Generator(),
        )
        for batch in loader:
            yield self._update(*self._picture_losses(phase, *(x.to(self.device) for x in batch)))

    def _geometry_loss(self) -> tuple[Tensor, dict[str, float]]:
        generator = torch.Generator().manual_seed(self.step)
        side, count = self.schedule.geometry_side, _GEOMETRY_PICTURES * _GEOMETRY_PROMPTS
        points, labels, targets = (x.to(self.device) for x in draw_shapes(generator, count, side))
        noise = draw_noise(generator, self.trainable, _GEOMETRY_PICTURES, side)
        maps = FeatureMaps(*(x.to(self.device) for x in noise)).repeat(_GEOMETRY_PROMPTS)
        logits, scores = self.trainable.decode(maps, side, points, labels, None)
        loss, ious = prediction_loss(logits, scores, targets, self.schedule.score_weight)
        return loss, {"side": 0, **_figures(scores, ious), AFFINITY: 0.0}

    def _picture_losses(
        self, phase: Phase, images: Tensor, targets: Tensor, points: Tensor, labels: Tensor
    ) -> tuple[Tensor, dict[str, float]]:
        generator = torch.Generator(self.device).manual_seed(self.step)
        maps = self.trainable.encode(images)
        affinity = affinity_loss(self.trainable.cell_embeddings(maps), targets, points, labels)
        targets, points, labels = (x.flatten(0, 1) for x in (targets, points, labels))
        maps = maps.repeat(phase.prompts)

        previous, total, rounds = None, affinity, 0
        while True:
            logits, scores = self.trainable.decode(maps, phase.side, points, labels, previous)
            loss, ious = prediction_loss(logits, scores, targets, self.schedule.score_weight)
            total, rounds = total + loss, rounds + 1
            if rounds == 1:
                figures = _figures(scores, ious)
            again = torch.rand((), generator=generator, device=self.device) < _FURTHER_ROUND
            if rounds == phase.rounds or not again:
                break
            previous = shown_mask(logits, scores, labels, first=rounds == 1)
            points, labels = add_correction(previous[:, 0], targets, points, labels, generator)
        return total / rounds, {"side": phase.side, **figures, AFFINITY: float(affinity.detach())}

    def _update(self, loss: Tensor, figures: dict[str, float]) -> dict[str, float]:
        rate = self.schedule.rate_at(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trainable.parameters(), 1.0)
        self.optimizer.step()
        keep = min(_AVERAGE, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for key, value in self.trainable.state_dict().items():
                if value.is_floating_point():
                    self.average[key].lerp_(value, 1 - keep)
        self.step += 1
        return {"step": self.step, "loss": float(loss.detach()), **figures, "rate": rate}


def _groups(model: TrainableModel, decay: float) -> list[dict[str, Any]]:
    """Parameters in two groups: weight decay is for matrices and kernels only."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _figures(scores: Tensor, ious: Tensor) -> dict[str, float]:
    names = "iou", "iou_best", "iou_lone"
    return {n: float(x.mean()) for n, x in zip(names, user_ious(scores, ious), strict=True)}
