"""Measure the phases of a run: encode and decode in rounds, then start in fresh processes.

Every peer has its turn once in each round, so that a load on the machine slows all of them and
cancels in their ratios.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import numpy as np
from tqdm.auto import tqdm

from sam2lab.measure.child import Child, ChildError
from sam2lab.measure.journal import Journal
from sam2lab.peers.comparison import Line
from sam2lab.peers.plan import Entry, Plan
from sam2lab.runtime.masks import Mask, iou

# One prompt takes so little time that a single run would be noise.
DECODES = 5
# A peer that takes longer than this to begin, as a compiler does, begins only once.
SLOW_START_MS = 20_000
# Memory that an allocator keeps for the next call counts too: the first call alone is too low.
ENCODES_FOR_PEAK = 3
PEAKS = 1


def encode(plan: Plan, journal: Journal) -> None:
    """Compare each peer's masks with the original's, then encode in rounds."""
    reference = str(plan.files.reference())
    answered = {line["contender"] for line in journal.lines(phase="answers")}
    finished = len(journal.lines(phase="encode")) == plan.rounds
    if finished and all(entry.name in answered for entry in plan.running):
        return
    with ExitStack() as stack:
        children: dict[str, Child] = {}
        for entry in tqdm(plan.running, desc="open and compare masks", leave=False):
            with entry.dropped_if_failing():
                child = children[entry.name] = _opened(plan, entry, stack)
                if entry.name not in answered:
                    journal.add(_answers(plan, entry, child, reference))
                # Twice in all before the first round, so that it is like the others.
                child.ask(do="encode")

        def measure(entry: Entry) -> Line:
            return {"encode_ms": children[entry.name].ask(do="encode")["ms"]}

        _rounds(plan, journal, "encode", measure)


def decode(plan: Plan, journal: Journal) -> None:
    """Answer one prompt, and many in one call where a peer takes several, in rounds.

    The processes are new ones, which hold no encoder's memory: many prompts take gigabytes.
    """
    if len(journal.lines(phase="decode")) == plan.rounds:
        return
    several = {
        line["contender"]
        for line in journal.lines(phase="answers")
        if not isinstance(line["several"], str)
    }
    with ExitStack() as stack:
        children: dict[str, Child] = {}

        def measure(entry: Entry) -> Line:
            child = children[entry.name]
            times = {"decode_ms": child.ask(do="decode", objects=1, times=DECODES)["ms"]}
            if entry.name in several:
                many = child.ask(do="decode", objects=plan.MANY, times=1)["ms"]
                times["many_ms"] = many / plan.MANY
            return times

        for entry in tqdm(plan.running, desc="open again", leave=False):
            with entry.dropped_if_failing():
                child = children[entry.name] = _opened(plan, entry, stack)
                child.ask(do="recall", features=str(plan.files.features(entry.peer)))
                measure(entry)
        _rounds(plan, journal, "decode", measure)


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


def _answers(plan: Plan, entry: Entry, child: Child, reference: str) -> Line:
    features = str(plan.files.features(entry.peer))
    told = child.ask(do="answer", reference=reference, features=features)
    # A peer that answers no click has no time to compare.
    if isinstance(told["iou"]["1 point"], str):
        raise ChildError(told["iou"]["1 point"])
    about = {"phase": "answers", "contender": entry.name}
    return about | {"iou": told["iou"], "several": told["several"]}


def _rounds(plan: Plan, journal: Journal, phase: str, measure: Callable[[Entry], Line]) -> None:
    """Measure the rounds of a phase that are not finished yet."""
    finished = len(journal.lines(phase=phase))
    turns = list(plan.turns(phase, plan.rounds))[finished:]
    with tqdm(total=len(turns) * len(plan.running), desc=phase, leave=False) as bar:
        for number, order in turns:
            times: dict[str, Line] = {}
            for entry in order:
                if entry.state == "ran":
                    with entry.dropped_if_failing():
                        times[entry.name] = measure(entry)
                bar.update()
            journal.add({"phase": phase, "round": number, "times": times})


def _opened(plan: Plan, entry: Entry, stack: ExitStack) -> Child:
    child = stack.enter_context(plan.start(entry, threads=plan.threads))
    child.ask(do="open")
    return child


def _fresh(plan: Plan, entry: Entry, encodes: int, last: str, wanted: Mask) -> Line:
    """Run one fresh process; a peer's own classes may fail where its files do well."""
    file = plan.files.folder / "first-mask.npy"
    try:
        with plan.start(entry, encodes=encodes) as child:
            told = child.ask(do="first_mask", last=last, out=str(file))
    except ChildError as error:
        return {"error": str(error)}
    return told | {"iou": iou(np.load(file), wanted)} if last == "decode" else told
