"""The training loop: plain PyTorch, seeded, and restartable at any point."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from sam2lab.reference import zoo
from sam2lab.reference.engine import checked_device
from sam2lab.runtime.arguments import path, whole
from sam2lab.runtime.files import check_place, replacing
from sam2lab.train.geometry import draw_shapes, noise
from sam2lab.train.lessons import CELL, Lessons, Scenes
from sam2lab.train.losses import answer_loss, balanced_cross_entropy
from sam2lab.train.probe import FIGURES, probe
from sam2lab.train.pupil import Levels, Pupil
from sam2lab.train.recipe import Phase, Recipe

CHECKPOINT, LOG = "checkpoint.pt", "log.csv"

_GEOMETRY_PICTURES, _GEOMETRY_PROMPTS = 8, 6
_AVERAGE = 0.999
_SAVE_EVERY_S = 180.0
_LIKENESS_SHARPNESS = 8.0
_LOG_EVERY = 25
_PROBE_EVERY = 250
# Answered once, twice or more: a prompt's first answer is worth most practice.
_FURTHER_ROUND = 0.5


@dataclass(eq=False)
class Trainer:
    """One run: the model, its running average, and how far it has come.

    The average of the last thousand steps' weights is what is used in the end: it answers
    better than any single step's.
    """

    scenes: Scenes
    recipe: Recipe
    folder: Path | None = None
    unseen: Scenes | None = None
    seed: int = 0
    device: str = "cpu"
    workers: int = 0
    step: int = field(default=0, init=False)
    log: list[dict[str, float]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.recipe, Recipe):
            raise ValueError(f"recipe is {self.recipe!r:.80}; wanted a Recipe, such as TOY")
        self.seed = whole("seed", self.seed, 0, 2**63 - 1)
        self.workers = whole("workers", self.workers, 0)
        checked_device(self.device)
        if self.folder is not None:
            self.folder = path("folder", self.folder)
            check_place("folder", self.folder)
        self.model = zoo.untrained("nano", self.seed)
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            self.pupil = Pupil(self.model).to(self.device).train()
        self.average = {k: v.detach().clone() for k, v in self.pupil.state_dict().items()}
        self.optimizer = torch.optim.AdamW(
            _groups(self.pupil, self.recipe.weight_decay), lr=self.recipe.rate, betas=(0.9, 0.98)
        )
        if self.folder is not None and (self.folder / CHECKPOINT).is_file():
            self._load(self.folder / CHECKPOINT)

    def run(self) -> None:
        """Train to the end of the recipe, from wherever it stands; Ctrl-C saves and stops."""
        saved = time.monotonic()
        bar = tqdm(total=self.recipe.steps, initial=self.step, desc="train", unit="step")
        recent: list[dict[str, float]] = []
        began = time.perf_counter()
        try:
            while self.step < self.recipe.steps:
                for row in self._phase_rows():
                    now = time.perf_counter()
                    recent.append(row | {"seconds": now - began})
                    began = now
                    bar.update()
                    if self.step % _LOG_EVERY == 0 or self.step == self.recipe.steps:
                        self.log.append(_mean(recent) | self._probe())
                        bar.set_postfix(
                            loss=f"{self.log[-1]['loss']:.2f}", iou=f"{self.log[-1]['iou']:.2f}"
                        )
                        recent.clear()
                    if time.monotonic() - saved > _SAVE_EVERY_S:
                        self.save()
                        saved = time.monotonic()
        finally:
            bar.close()
            self.save()

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
        """Write the checkpoint and the log, beside their places first."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        state = {
            "begun_with": self._begun_with(),
            "step": self.step,
            "pupil": self.pupil.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "log": self.log,
        }
        with replacing(self.folder / CHECKPOINT) as beside:
            torch.save(state, beside)
        if self.log:
            text = io.StringIO()
            writer = csv.DictWriter(text, list(self.log[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(
                {k: "" if math.isnan(v) else f"{v:.6g}" for k, v in row.items()} for row in self.log
            )
            with replacing(self.folder / LOG) as beside:
                beside.write_text(text.getvalue())

    def _begun_with(self) -> dict[str, Any]:
        """What makes a run this one and no other."""
        return {"seed": self.seed, "scenes of": self.scenes.contents, **asdict(self.recipe)}

    def _load(self, file: Path) -> None:
        try:
            state = torch.load(file, map_location=self.device, weights_only=True)
            begun_with = state.get("begun_with", {})
        except OSError:
            raise
        # What a damaged file makes the reader raise is not bounded.
        except Exception:
            raise ValueError(
                f"folder: {file} is damaged, or not the checkpoint of a run; delete it to begin "
                "anew, or give another folder"
            ) from None
        asked = self._begun_with()
        others = [name for name in asked if begun_with.get(name, "unknown") != asked[name]]
        if others:
            there, here = (
                ", ".join(f"{name} {values.get(name, 'unknown')}" for name in others)
                for values in (begun_with, asked)
            )
            raise ValueError(
                f"folder is {str(self.folder)!r}, where a run was begun with {there}; asked for "
                f"is {here}. Ask for what it was begun with to go on, or give another folder to "
                "begin anew"
            )
        self.pupil.load_state_dict(state["pupil"])
        self.average = state["average"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.log = state["step"], state["log"]

    def _probe(self) -> dict[str, float]:
        """The figures on unseen scenes, every so often; empty cells in between."""
        phase, _ = self.recipe.phase_at(self.step - 1)
        due = self.step % _PROBE_EVERY == 0 or self.step == self.recipe.steps
        if self.unseen is None or phase is None or not due:
            return dict.fromkeys(FIGURES, math.nan)
        return probe(self.averaged(), self.unseen, phase.side)

    def _phase_rows(self) -> Iterator[dict[str, float]]:
        """Take the steps of the phase that is on, one row of figures for each."""
        phase, first = self.recipe.phase_at(self.step)
        if phase is None:
            while self.step < self.recipe.geometry_steps:
                yield self._update(*self._geometry())
            return
        left = first + phase.steps - self.step
        lessons = Lessons(self.scenes, phase.side, phase.prompts, phase.batch, self.step, left)
        loader = DataLoader(
            lessons,
            phase.batch,
            num_workers=self.workers,
            prefetch_factor=4 if self.workers else None,
            # Else it would draw a number from everybody's.
            generator=torch.Generator(),
        )
        for batch in loader:
            yield self._update(*self._lesson(phase, *(x.to(self.device) for x in batch)))

    def _geometry(self) -> tuple[Tensor, dict[str, float]]:
        generator = torch.Generator().manual_seed(self.step)
        side, count = self.recipe.geometry_side, _GEOMETRY_PICTURES * _GEOMETRY_PROMPTS
        points, labels, targets = (x.to(self.device) for x in draw_shapes(generator, count, side))
        levels = noise(generator, self.pupil, _GEOMETRY_PICTURES, side)
        levels = Levels(*(x.to(self.device) for x in (levels.embed, levels.middle, levels.fine)))
        logits, scores = self.pupil.answer(
            levels.repeat(_GEOMETRY_PROMPTS), side, points, labels, None
        )
        loss, overlaps = answer_loss(logits, scores, targets)
        return loss, {"side": 0, **_figures(scores, overlaps), "likeness": 0.0}

    def _lesson(
        self, phase: Phase, images: Tensor, targets: Tensor, points: Tensor, labels: Tensor
    ) -> tuple[Tensor, dict[str, float]]:
        generator = torch.Generator(self.device).manual_seed(self.step)
        look = self.pupil.look(images)
        likeness = _likeness_loss(self.pupil.likeness(look), targets, points, labels)
        targets, points, labels = (x.flatten(0, 1) for x in (targets, points, labels))
        levels = look.repeat(phase.prompts)

        previous, total, rounds = None, likeness, 0
        while True:
            logits, scores = self.pupil.answer(levels, phase.side, points, labels, previous)
            loss, overlaps = answer_loss(logits, scores, targets)
            total, rounds = total + loss, rounds + 1
            if rounds == 1:
                figures = _figures(scores, overlaps)
            again = torch.rand((), generator=generator, device=self.device) < _FURTHER_ROUND
            if rounds == phase.rounds or not again:
                break
            previous = _handed_back(logits, scores, labels, first=rounds == 1)
            points, labels = _corrected(previous[:, 0], targets, points, labels, generator)
        return total / rounds, {"side": phase.side, **figures, "likeness": float(likeness.detach())}

    def _update(self, loss: Tensor, figures: dict[str, float]) -> dict[str, float]:
        rate = self.recipe.rate_at(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.pupil.parameters(), 1.0)
        self.optimizer.step()
        keep = min(_AVERAGE, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for key, value in self.pupil.state_dict().items():
                if value.is_floating_point():
                    self.average[key].lerp_(value, 1 - keep)
        self.step += 1
        return {
            "step": self.step,
            "loss": float(loss.detach()),
            **figures,
            "rate": rate,
        }


def _groups(pupil: Pupil, decay: float) -> list[dict[str, Any]]:
    """Weight decay on matrices and kernels only."""
    parameters = [p for p in pupil.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _figures(scores: Tensor, overlaps: Tensor) -> dict[str, float]:
    """What a user would get: the lone mask, the best-scored candidate, the best there was."""
    scores = scores.detach()
    chosen = overlaps[:, 1:].gather(1, scores[:, 1:].argmax(1, keepdim=True))
    return {
        "iou": float(chosen.mean()),
        "iou_best": float(overlaps[:, 1:].max(1).values.mean()),
        "iou_lone": float(overlaps[:, 0].mean()),
    }


def _handed_back(logits: Tensor, scores: Tensor, labels: Tensor, first: bool) -> Tensor:
    """The logits of the mask that a user would see, as the next mask prompt, (K, 1, h, w).

    After one click that is the best-scored candidate, otherwise the lone mask.
    """
    alone = ((labels != -1).sum(1) == 1) & first
    best = scores[:, 1:].argmax(1) + 1
    chosen = torch.where(alone, best, torch.zeros_like(best))
    return logits.detach()[torch.arange(len(logits)), chosen][:, None]


def _corrected(
    logits: Tensor, targets: Tensor, points: Tensor, labels: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """One more click for each prompt, somewhere in what its answer has wrong."""
    count, _, width = targets.shape
    wrong = ((logits > 0) != (targets > 0.5)).float().flatten(1)
    # A perfect answer is clicked anywhere on its object.
    weights = torch.where(wrong.any(1, keepdim=True), wrong, targets.flatten(1))
    cell = torch.multinomial(weights + 1e-9, 1, generator=generator)
    label = (targets.flatten(1).gather(1, cell) > 0.5).to(labels.dtype)
    within = torch.rand(count, 2, generator=generator, device=points.device)
    place = (torch.cat([cell % width, cell // width], 1) + within) * CELL
    return torch.cat([points, place[:, None]], 1), torch.cat([labels, label], 1)


def _likeness_loss(likeness: Tensor, targets: Tensor, points: Tensor, labels: Tensor) -> Tensor:
    """The cell under a click should be like the cells of its object and unlike all others.

    likeness (B, C, h, w), targets (B, K, h, w), points (B, K, P, 2), labels (B, K, P).
    """
    batch, prompts, height, width = targets.shape
    cells = (points[:, :, 0] / CELL).long()
    place = cells[..., 1].clamp(0, height - 1) * width + cells[..., 0].clamp(0, width - 1)
    flat = likeness.flatten(2)
    clicked = flat.gather(2, place[:, None].expand(-1, flat.shape[1], -1))
    similar = torch.einsum("bck,bcp->bkp", clicked, flat).view(batch, prompts, height, width)
    loss = balanced_cross_entropy(_LIKENESS_SHARPNESS * (similar - 0.5), targets)
    on_object = (labels[:, :, 0] == 1).float()
    return (loss * on_object).sum() / on_object.sum().clamp(min=1)


def _mean(rows: list[dict[str, float]]) -> dict[str, float]:
    """Figures of several steps as one row: their means, but the last step's number and side."""
    mean = {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]}
    return mean | {"step": rows[-1]["step"], "side": rows[-1]["side"]}
