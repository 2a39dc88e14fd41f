"""The parts of the comparison: what each measures, against what, and its goal."""

from __future__ import annotations

from typing import NamedTuple

OURS, UPSTREAM, COMPILED = "sam2lab", "SAM2VideoPredictor", "SAM2VideoPredictor, compiled"
OPENVINO, EIGHT_BITS, FIVE = "OpenVINO bf16", "sam2lab w8a8", "sam2lab, five objects"
OBJECTS = 5


class Pair(NamedTuple):
    """A part that compares the time of a frame: `who` over `times` times that of `against`."""

    what: str
    who: str
    against: str
    goal: float
    times: int = 1


STEADY = "time of a frame in the steady state"
PAIRS = {
    "eager": Pair(STEADY, OURS, UPSTREAM, 0.65),
    "compiled": Pair(STEADY, OURS, COMPILED, 0.8),
    "openvino": Pair(STEADY, OPENVINO, OURS, 0.55),
    "w8a8": Pair(STEADY, EIGHT_BITS, OURS, 0.55),
    "objects": Pair("time of a frame with five objects", FIVE, OURS, 0.75, times=OBJECTS),
}
NANO, MEMORY, STREAM = "nano", "memory", "stream"
PARTS = (*PAIRS, NANO, MEMORY, STREAM)

FRAMES_A_SECOND = 8.0
PEAK_SHARE = 0.3
# What "flat" allows: memory that an allocator rounds up, and a machine that does other things.
GROWTH = 1.02
SLOWER = 1.2
