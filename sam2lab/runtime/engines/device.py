"""`DeviceEngine` feeds graphs for devices: channels last, one prompt of a fixed number of slots."""

from __future__ import annotations

import os

import numpy as np

from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.engines.bundle_engine import BundleEngine
from sam2lab.runtime.engines.protocol import FEATURES, Features, Float32, PromptBatch

# The label of a slot that holds no point.
EMPTY = -1


class DeviceEngine(BundleEngine):
    """Photos and prompts one after the other, for a bundle whose graphs have fixed shapes.

    `points` are the slots of a prompt, of which a box takes two.
    """

    # The files answer one prompt a call.
    pixels_at_once = 1
    # What such files are exported for.
    target: str

    def __init__(self, bundle: Bundle | str | os.PathLike[str], threads: int | None = None) -> None:
        super().__init__(bundle, threads)
        (labels,) = (t for t in self.bundle.graphs["decoder"].inputs if t.name == "point_labels")
        self.points = int(labels.shape[1])

    def encode(self, pixels: Float32) -> Features:
        """Encode normalised RGB pixels (B, 3, H, W), one photo after the other."""
        self.info.check_pixels(pixels)
        photos = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
        each = [self._run("encoder", FEATURES, {"image": photo[None]}) for photo in photos]
        maps = (np.concatenate(arrays) for arrays in zip(*each, strict=True))
        return Features(*(array.transpose(0, 3, 1, 2) for array in maps))

    def decoder_inputs(self, features: Features, prompts: PromptBatch) -> dict[str, Float32]:
        """The arrays that the decoder's graph takes, by name: channels last, and empty slots."""
        inputs = super().decoder_inputs(features, prompts)
        for name in FEATURES:
            inputs[name] = np.ascontiguousarray(inputs[name].transpose(0, 2, 3, 1))
        points = prompts.point_labels.shape[1]
        if points > self.points:
            raise ValueError(
                f"prompts have {points} points, of which a box is two, but the files of "
                f"{self.bundle.folder} take {self.points}. Give fewer, or export with more: "
                f"python -m sam2lab export {self.info.size} --target {self.target} "
                f"--points {points}"
            )
        if (prompts.point_labels == EMPTY).any():
            raise ValueError(
                f"point_labels holds {EMPTY}, which is an empty slot in these files; wanted the "
                "labels of points that are there, and the engine fills the other slots"
            )
        slots = ((0, 0), (0, self.points - points))
        inputs["point_coords"] = np.pad(prompts.point_coords, (*slots, (0, 0)))
        inputs["point_labels"] = np.pad(prompts.point_labels, slots, constant_values=EMPTY)
        return inputs
