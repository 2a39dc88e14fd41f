"""Start every peer in fresh processes: the way to the first mask, and the peak of memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from sam2lab.measure.child import Child, ChildError
from sam2lab.measure.journal import Journal
from sam2lab.peers.comparison import Line
from sam2lab.peers.first_mask import first_mask
from sam2lab.peers.job import Job
from sam2lab.peers.plan import Entry, Plan
from sam2lab.runtime.masks import iou

# A peer that takes longer than this to begin, as a compiler does, begins only once.
SLOW_START_MS = 20_000
# Memory that an allocator keeps for the next call counts too: the first call alone is too low.
ENCODES_FOR_PEAK = 3
PEAKS = 1


def start(plan: Plan, journal: Journal) -> None:
    """Go from import to the first mask, then encode for the peak of memory, in turns."""
    with np.load(plan.files.reference()) as kept:
        wanted = kept["first mask"]
    phases = [("start", plan.starts, 1, "decode"), ("peak", PEAKS, ENCODES_FOR_PEAK, "encode")]
    total = sum(count for _, count, *_ in phases) * len(plan.running)
    with tqdm(total=total, desc="fresh processes", leave=False) as bar:
        for phase, count, encodes, last in phases:
            slow: set[str] = set()
            for number, order in plan.turns(phase, count):
                for entry in order:
                    bar.update()
                    about = {"phase": phase, "round": number, "contender": entry.name}
                    done = journal.lines(**about)
                    if not done and entry.name not in slow:
                        done = [about | _fresh(plan, entry, encodes, last, wanted)]
                        journal.add(done[0])
                    if done and done[0].get("first_mask_ms", 0) > SLOW_START_MS:
                        slow.add(entry.name)


def _fresh(
    plan: Plan, entry: Entry, encodes: int, last: str, wanted: npt.NDArray[np.bool_]
) -> Line:
    """Run one fresh process; a peer's own classes may fail where its files do well."""
    job = plan.files.job(entry.peer, folder=str(entry.place), encodes=encodes)
    try:
        with Child(first_mask, entry.peer.kind, Job) as child:
            told = child.ask(job=job, last=last)
    except ChildError as error:
        return {"error": str(error)}
    if "mask" in told:
        told["iou"] = iou(_unpacked(told.pop("mask"), wanted.shape), wanted)
    return told


def _unpacked(mask: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    packed = np.frombuffer(bytes.fromhex(mask), np.uint8)
    return np.unpackbits(packed, count=int(np.prod(shape))).reshape(shape).astype(bool)
