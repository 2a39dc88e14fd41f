"""Builds the C++ program for the tests, runs it, and asks sam2lab the same."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from sam2lab.runtime.masks import Mask
from sam2lab.runtime.segmenter import Prediction, Segmenter

# A sanitizer makes an opening of onnxruntime some times slower; more than this is a hang.
PATIENCE_S = 120


class Said(NamedTuple):
    """What a run of the program left: its exit code and what it printed."""

    code: int
    out: str
    error: str


@dataclass(frozen=True)
class Program:
    """The program, and the library that it runs with."""

    path: Path
    onnxruntime: Path

    def run(self, *arguments: object, environment: dict[str, str] | None = None) -> Said:
        """Run it with these arguments and nothing else."""
        done = subprocess.run(
            [self.path, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            env=environment,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def segment(self, model: Path, photo: Path, out: Path, *arguments: object) -> Said:
        """Run it with this library; threads that wait for one another cost most of the time."""
        named = ("--out", out, "--onnxruntime", self.onnxruntime, "--threads", 1)
        return self.run(model, photo, *arguments, *named)


class Prompt(NamedTuple):
    """A prompt in shares of the photo's width and height; points end with their label."""

    points: Sequence[tuple[float, float, int]] = ()
    box: tuple[float, float, float, float] | None = None

    def options(self, width: int, height: int) -> list[str]:
        """As options of the program."""
        given = []
        for x, y, label in self.points:
            given += ["--point", f"{x * width!r},{y * height!r}" + ("" if label else ",0")]
        if self.box is not None:
            x0, y0, x1, y1 = self.box
            given += ["--box", f"{x0 * width!r},{y0 * height!r},{x1 * width!r},{y1 * height!r}"]
        return given

    def answer(self, segmenter: Segmenter, photo: Path) -> Prediction:
        """What sam2lab answers."""
        height, width = segmenter.embed_images(photo)[0].image_size
        scale = np.array([width, height])
        points = [np.array(point[:2]) * scale for point in self.points]
        (prediction,) = segmenter.segment_images(
            photo,
            point_coordinates=np.array(points).reshape(-1, 2) if points else None,
            point_labels=[label for *_, label in self.points] if points else None,
            boxes=None if self.box is None else np.array(self.box) * np.tile(scale, 2),
        )
        return prediction


# A click, two clicks, a click with one beside it, a box, a box with a click beside it.
PROMPTS = {
    "click": Prompt([(0.4, 0.4, 1)]),
    "clicks": Prompt([(0.4, 0.4, 1), (0.55, 0.6, 1)]),
    "not there": Prompt([(0.4, 0.4, 1), (0.1, 0.1, 0)]),
    "box": Prompt(box=(0.7, 0.75, 0.2, 0.15)),
    "box and not there": Prompt([(0.3, 0.3, 0)], (0.2, 0.15, 0.7, 0.75)),
}


def mask_in(file: Path) -> Mask:
    """A mask that the program wrote."""
    with Image.open(file) as picture:
        assert picture.mode == "1"
        return np.asarray(picture)
