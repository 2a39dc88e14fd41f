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

    def __init__(self, bundle: Bundle | str | os.PathLike[str], threads: int | None = None) -> None:
        super().__init__(bundle, threads)
        self.points = slots_of(self.bundle)

    def encode(self, pixels: Float32) -> Features:
        """Encode normalised RGB pixels (B, 3, H, W), one photo after the other."""
        self.info.check_pixels(pixels)
        photos = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
        each = [self._run("encoder", FEATURES, {"image": photo[None]}) for photo in photos]
        maps = (np.concatenate(arrays) for arrays in zip(*each, strict=True))
        return Features(*(array.transpose(0, 3, 1, 2) for array in maps))

    def decoder_inputs(self, features: Features, prompts: PromptBatch) -> dict[str, Float32]:
        """The arrays that the decoder's graph takes, by name: channels last, and empty slots."""
        return in_slots(self.bundle, super().decoder_inputs(features, prompts))


def slots_of(bundle: Bundle) -> int:
    """How many points a prompt for a bundle's decoder has room for."""
    (labels,) = (t for t in bundle.graphs["decoder"].inputs if t.name == "point_labels")
    return int(labels.shape[1])


def in_slots(bundle: Bundle, inputs: dict[str, Float32]) -> dict[str, Float32]:
    """A decoder's arrays as files for devices take them: channels last, and empty slots."""
    given = inputs | {
        name: np.ascontiguousarray(inputs[name].transpose(0, 2, 3, 1)) for name in FEATURES
    }
    labels, room = inputs["point_labels"], slots_of(bundle)
    points = labels.shape[1]
    if points > room:
        raise ValueError(
            f"prompts have {points} points, of which a box is two, but the files of "
            f"{bundle.folder} take {room}. Give fewer, or export with more: "
            f"python -m sam2lab export {bundle.info.size} --target {bundle.target} "
            f"--points {points}"
        )
    if (labels == EMPTY).any():
        raise ValueError(
            f"point_labels holds {EMPTY}, which is an empty slot in these files; wanted the "
            "labels of points that are there, and the engine fills the other slots"
        )
    slots = ((0, 0), (0, room - points))
    given["point_coords"] = np.pad(inputs["point_coords"], (*slots, (0, 0)))
    given["point_labels"] = np.pad(labels, slots, constant_values=EMPTY)
    return given
