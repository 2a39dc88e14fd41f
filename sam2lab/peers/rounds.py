"""Measure encoding and decoding in rounds: every peer once in each, by turns.

What slows the machine slows all of them, and goes out of their ratios.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from tqdm.auto import tqdm

from sam2lab.measure.child import Child, ChildError
from sam2lab.measure.journal import Journal
from sam2lab.peers.comparison import Line
from sam2lab.peers.job import Job
from sam2lab.peers.plan import Entry, Plan
from sam2lab.peers.worker import work

# One prompt takes so little time that a single run would be noise.
DECODES = 5


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


def _answers(plan: Plan, entry: Entry, child: Child, reference: str) -> Line:
    features = str(plan.files.features(entry.peer))
    told = child.ask(do="answer", reference=reference, features=features)
    # Without an answer there is nothing whose time could be compared.
    if isinstance(told["iou"]["1 point"], str):
        raise ChildError(told["iou"]["1 point"])
    found = {"iou": told["iou"], "several": told["several"]}
    return {"phase": "answers", "contender": entry.name, **found}


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
    child = stack.enter_context(Child(work, entry.peer.kind, Job))
    child.tell(**plan.files.job(entry.peer, folder=str(entry.place), threads=plan.threads))
    child.ask(do="open")
    return child
