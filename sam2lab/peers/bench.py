"""`compare`: everybody in one run, in turn, so that whatever the machine does happens to all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from sam2lab import settings
from sam2lab.measure import machine
from sam2lab.measure.journal import Journal
from sam2lab.peers import answers
from sam2lab.peers.comparison import Comparison, Line
from sam2lab.peers.contenders import OURS, Contender, chosen
from sam2lab.peers.process import Child, ChildError
from sam2lab.peers.workshop import PACKAGE, Workshop, size_mb
from sam2lab.runtime import images
from sam2lab.runtime.arguments import whole
from sam2lab.runtime.masks import iou

MANY = 64
# One prompt takes so little that one time would be noise.
DECODES = 5
# Whoever takes longer than this to begin, as a compiler does, begins once only.
SLOW_START_MS = 20_000
# Memory that an allocator keeps for the next call counts too: the first call alone is too low.
ENCODES_FOR_PEAK = 3
PEAKS = 1

JOURNAL, RESULT = "peers.journal", "peers.json"


def compare(
    size: str = "tiny",
    contenders: Sequence[str] | None = None,
    threads: int | None = None,
    rounds: int | None = None,
    starts: int | None = None,
    photo: Any = None,
    weights: str | os.PathLike[str] = "random",
    version: str = "2.1",
    folder: str | os.PathLike[str] | None = None,
    seed: int = 0,
) -> Comparison:
    """Measure our export and its peers with the same weights, photo and threads.

    Photos are 1024 x 1024 pixels inside, whatever the `size`: no other is known to all peers.
    `contenders` are some of `contenders.NAMES`, ours among them in any case. In each of `rounds`
    everybody encodes once, in an order drawn anew, and in as many more answers one prompt and
    64; in each of `starts` everybody begins in a fresh process. Without `threads` all cores.

    Who is missing or fails is told in the result. All is kept in `folder`: what was exported, the
    result as peers.json, and what is finished of a run that is interrupted; the same call goes on.
    """
    small = settings.budget() == "ci"
    photo = settings.data_folder() / "photos" / "cat.jpg" if photo is None else photo
    counts = {
        name: usual if value is None else whole(name, value, least=1)
        for name, value, usual in (
            ("threads", threads, int(machine.fingerprint()["usable_cores"])),
            ("rounds", rounds, 2 if small else 7),
            ("starts", starts, 1 if small else 4),
        )
    }
    entries = [_Entry(contender) for contender in chosen(contenders)]
    folder = settings.cache_folder() / "peers" if folder is None else Path(folder)
    # Last, since it loads the weights and writes a checkpoint.
    workshop = Workshop(folder, size, weights, version, images.read(photo))
    return _run(_Plan(workshop, seed=seed, entries=entries, **counts))


@dataclass
class _Entry:
    """A contender, and what became of it."""

    contender: Contender
    place: Path | None = None
    state: str = "ran"
    reason: str = ""

    @property
    def name(self) -> str:
        return self.contender.name

    def out(self, state: str, reason: str) -> None:
        self.state, self.reason = state, reason


@dataclass
class _Plan:
    workshop: Workshop
    threads: int
    rounds: int
    starts: int
    seed: int
    entries: list[_Entry]

    @property
    def running(self) -> list[_Entry]:
        """Who has not dropped out."""
        return [entry for entry in self.entries if entry.state == "ran"]

    def turns(self, phase: str, count: int) -> Iterator[tuple[int, list[_Entry]]]:
        """Rounds from 1 on, each with everybody in an order of its own."""
        for number in range(1, count + 1):
            here = self.running
            drawn = np.random.default_rng([self.seed, len(phase), number]).permutation(len(here))
            yield number, [here[i] for i in drawn]


def _run(plan: _Plan) -> Comparison:
    for entry in plan.entries:
        missing = entry.contender.missing()
        if missing is not None:
            entry.out("missing", missing)
    ours = plan.entries[0]
    if ours.state == "missing":
        raise ModuleNotFoundError(f"peers are compared with our export: {ours.reason}")
    for entry in (bar := tqdm(plan.running, desc="export", leave=False)):
        bar.set_postfix_str(entry.contender.files)
        with _dropping(entry):
            entry.place = plan.workshop.make(entry.contender)
    about = {
        "size": plan.workshop.job["size"],
        "version": plan.workshop.job["version"],
        "weights": plan.workshop.weights,
        "side": plan.workshop.job["side"],
        "photo": plan.workshop.photo_digest,
        "threads": plan.threads,
        "rounds": plan.rounds,
        "starts": plan.starts,
        "seed": plan.seed,
        "many": MANY,
        "machine": machine.fingerprint(),
        "versions": _versions(plan),
        "files": {entry.name: entry.place.name for entry in plan.running if entry.place},
    }
    file = plan.workshop.folder.parent / JOURNAL
    with _journal(file, about) as journal:
        _encode(plan, journal)
        _decode(plan, journal)
        _begin(plan, journal)
        lines = [*journal.done, *journal.added]
    about["date"] = datetime.now(UTC).isoformat(timespec="seconds")
    comparison = Comparison(about, [_told(entry) for entry in plan.entries], lines)
    comparison.save(file.with_name(RESULT))
    file.unlink()
    return comparison


class _Notes(Journal):
    """A journal that also knows what was added since it was opened."""

    def __init__(self, file: Path, about: Line) -> None:
        self.added: list[Line] = []
        super().__init__(file, about)
        self.added.clear()

    def add(self, line: Line) -> None:
        super().add(line)
        self.added.append(line)

    def have(self, **wanted: Any) -> list[Line]:
        """The lines that say so."""
        lines = [*self.done, *self.added]
        return [line for line in lines if wanted.items() <= line.items()]


def _journal(file: Path, about: Line) -> _Notes:
    try:
        return _Notes(file, about)
    except ValueError:
        # Of another run, which nobody took up again.
        file.unlink()
        return _Notes(file, about)


@contextmanager
def _dropping(entry: _Entry) -> Iterator[None]:
    """Whoever fails inside is out, and the others go on; but not without ours."""
    try:
        yield
    except ChildError as error:
        if entry.name == OURS:
            raise ChildError(f"our own export failed: {error}") from None
        entry.out("failed", str(error))


def _encode(plan: _Plan, journal: _Notes) -> None:
    """Everybody's answers to the original's prompts, then rounds of encoding, in turn."""
    reference = str(plan.workshop.reference())
    finished = len(journal.have(phase="encode"))
    answered = {line["contender"]: line for line in journal.have(phase="answers")}
    if finished == plan.rounds and all(entry.name in answered for entry in plan.running):
        return
    with ExitStack() as stack:
        children: dict[str, Child] = {}
        for entry in tqdm(plan.running, desc="open and compare masks", leave=False):
            with _dropping(entry):
                child = children[entry.name] = _opened(plan, entry, stack)
                if entry.name not in answered:
                    features = str(plan.workshop.features(entry.contender))
                    told = child.ask(do="answer", reference=reference, features=features)
                    # Without an answer there is nothing whose time could be compared.
                    if isinstance(told["iou"]["1 point"], str):
                        raise ChildError(told["iou"]["1 point"])
                    journal.add({"phase": "answers", "contender": entry.name, **told})
                # Twice in all before the first round, so that it is like the others.
                child.ask(do="encode")

        def encode(entry: _Entry) -> Line:
            return {"encode_ms": children[entry.name].ask(do="encode")["ms"]}

        _rounds(plan, journal, "encode", encode)


def _decode(plan: _Plan, journal: _Notes) -> None:
    """Rounds of one prompt, and of many for whoever takes several in a call, in turn.

    By other processes than before, which hold no encoder's memory: many prompts take gigabytes.
    """
    if len(journal.have(phase="decode")) == plan.rounds:
        return
    several = {
        line["contender"]
        for line in journal.have(phase="answers")
        if not isinstance(line["several"], str)
    }
    with ExitStack() as stack:
        children: dict[str, Child] = {}

        def decode(entry: _Entry) -> Line:
            child = children[entry.name]
            times = {"decode_ms": child.ask(do="decode", objects=1, times=DECODES)["ms"]}
            if entry.name in several:
                many = child.ask(do="decode", objects=MANY, times=1)["ms"]
                times["many_ms"] = many / MANY
            return times

        for entry in tqdm(plan.running, desc="open again", leave=False):
            with _dropping(entry):
                child = children[entry.name] = _opened(plan, entry, stack)
                child.ask(do="recall", features=str(plan.workshop.features(entry.contender)))
                decode(entry)
        _rounds(plan, journal, "decode", decode)


def _rounds(plan: _Plan, journal: _Notes, phase: str, measure: Callable[[_Entry], Line]) -> None:
    """The rounds of a phase that are not finished yet."""
    finished = len(journal.have(phase=phase))
    turns = list(plan.turns(phase, plan.rounds))[finished:]
    with tqdm(total=len(turns) * len(plan.running), desc=phase, leave=False) as bar:
        for number, order in turns:
            times: dict[str, Line] = {}
            for entry in order:
                if entry.state == "ran":
                    with _dropping(entry):
                        times[entry.name] = measure(entry)
                bar.update()
            journal.add({"phase": phase, "round": number, "times": times})


def _begin(plan: _Plan, journal: _Notes) -> None:
    """Fresh processes: from import to the first mask, then the peak of memory while encoding."""
    with np.load(plan.workshop.reference()) as kept:
        wanted = kept["first mask"]
    phases = [("start", plan.starts, 1, "decode"), ("peak", PEAKS, ENCODES_FOR_PEAK, "encode")]
    total = sum(count for _, count, *_ in phases) * len(plan.running)
    with tqdm(total=total, desc="fresh processes", leave=False) as bar:
        for phase, count, encodes, last in phases:
            slow: set[str] = set()
            for number, order in plan.turns(phase, count):
                for entry in order:
                    bar.update()
                    done = journal.have(phase=phase, round=number, contender=entry.name)
                    if not done and entry.name not in slow:
                        # Its own classes may fail where its files do well: those stay measured.
                        try:
                            told = _fresh(plan, entry, encodes, last)
                        except ChildError as error:
                            told = {"error": str(error)}
                        if "mask" in told:
                            told["iou"] = _agreement(told.pop("mask"), wanted)
                        line = {"phase": phase, "round": number, "contender": entry.name, **told}
                        journal.add(line)
                        done = [line]
                    if done and done[0].get("first_mask_ms", np.inf) > SLOW_START_MS:
                        slow.add(entry.name)


def _fresh(plan: _Plan, entry: _Entry, encodes: int, last: str) -> Line:
    with Child("_first_mask.py") as child:
        return child.ask(
            **plan.workshop.job,
            engine=entry.contender.engine,
            folder=str(entry.place),
            home=str(PACKAGE),
            photo=str(plan.workshop.photo),
            click=answers.middle(np.load(plan.workshop.photo)).tolist(),
            encodes=encodes,
            last=last,
        )


def _agreement(mask: str, wanted: npt.NDArray[np.bool_]) -> float:
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(mask), np.uint8), count=wanted.size)
    return iou(bits.reshape(wanted.shape).astype(bool), wanted)


def _opened(plan: _Plan, entry: _Entry, stack: ExitStack) -> Child:
    child = stack.enter_context(Child("_child.py"))
    child.ask(
        do="open",
        engine=entry.contender.engine,
        folder=str(entry.place),
        job=plan.workshop.job,
        photo=str(plan.workshop.photo),
        threads=plan.threads,
    )
    return child


def _told(entry: _Entry) -> Line:
    place = entry.place
    return {
        "contender": entry.name,
        "state": entry.state,
        "reason": entry.reason,
        "is_exact": entry.contender.is_exact,
        "files_mb": None if place is None else round(size_mb(place), 1),
    }


def _versions(plan: _Plan) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in plan.running:
        found |= entry.contender.versions()
    return dict(sorted(found.items()))
