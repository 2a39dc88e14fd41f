"""Collects what several objects look at into the arrays that an engine takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sam2lab.runtime.video.bank import Chosen
from sam2lab.runtime.video.protocol import Memories
from sam2lab.runtime.video.rounding import unpack
from sam2lab.runtime.video.state import ObjectState


def gather(objects: Sequence[tuple[ObjectState, Chosen]], longest_distance: int) -> Memories:
    """What L objects look at, which must be equally many memories and pointers for each."""
    each, (seen, pointed) = objects[0]
    like, channels = each.stored(seen[0][0]), len(each.stored(seen[0][0]).pointer)
    assert like.memory is not None
    memory = np.empty((len(objects), len(seen), *like.memory.shape), np.float32)
    pointers = np.empty((len(objects), len(pointed), channels), np.float32)
    for i, (each, chosen) in enumerate(objects):
        for j, (frame, _) in enumerate(chosen.memories):
            packed = each.stored(frame).memory
            assert packed is not None
            unpack(packed, out=memory[i, j])
        for j, (frame, _) in enumerate(chosen.pointers):
            pointers[i, j] = each.stored(frame).pointer
    ages = [[age for _, age in chosen.memories] for _, chosen in objects]
    distances = [[distance for _, distance in chosen.pointers] for _, chosen in objects]
    return Memories(
        memory,
        np.array(ages, np.int64),
        pointers,
        # In float32, as upstream divides.
        np.array(distances, np.float32) / np.float32(longest_distance),
    )
