"""One run of `compare`: which peers take part, in which turns, and what is finished."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from sam2lab.measure import machine
from sam2lab.measure.child import Child, ChildError
from sam2lab.peers.comparison import Line
from sam2lab.peers.files import Files, size_mb
from sam2lab.peers.table import OURS, PeerRow


@dataclass
class Entry:
    """A peer in a run, with the place of its files and its state."""

    peer: PeerRow
    place: Path | None = None
    state: str = "ran"
    reason: str = ""

    @property
    def name(self) -> str:
        return self.peer.name

    @contextmanager
    def dropped_if_failing(self) -> Iterator[None]:
        """Drop a peer that fails inside, so that the others go on; raise if it is ours."""
        try:
            yield
        except ChildError as error:
            if self.name == OURS:
                raise ChildError(f"our own export failed: {error}") from None
            self.state, self.reason = "failed", str(error)

    def told(self) -> Line:
        """Return the entry's line in a `Comparison`."""
        return {
            "contender": self.name,
            "state": self.state,
            "reason": self.reason,
            "is_exact": self.peer.is_exact,
            "files_mb": None if self.place is None else round(size_mb(self.place), 1),
        }


@dataclass
class Plan:
    """The entries of a run, ours first, and how often each is measured."""

    files: Files
    threads: int
    rounds: int
    starts: int
    seed: int
    entries: list[Entry]

    # Prompts in one call, for peers that take several.
    MANY: ClassVar[int] = 64

    @property
    def running(self) -> list[Entry]:
        """The entries that have not dropped out."""
        return [entry for entry in self.entries if entry.state == "ran"]

    def start(self, entry: Entry, **further: Any) -> Child:
        """Start an entry's process with its files."""
        assert entry.place is not None, "made before anything is measured"
        return self.files.start(entry.peer, entry.place, **further)

    def turns(self, phase: str, count: int) -> Iterator[tuple[int, list[Entry]]]:
        """Number the rounds from 1 on, each with the entries in an order of its own."""
        for number in range(1, count + 1):
            here = self.running
            drawn = np.random.default_rng([self.seed, len(phase), number]).permutation(len(here))
            yield number, [here[i] for i in drawn]

    def about(self) -> Line:
        """Return all that two runs must share for one to go on with the other."""
        versions: dict[str, str] = {}
        for entry in self.running:
            versions |= entry.peer.versions
        return {
            **{name: self.files.model[name] for name in ("size", "version", "side")},
            "weights": self.files.weights,
            "photo": self.files.photo_digest,
            "threads": self.threads,
            "rounds": self.rounds,
            "starts": self.starts,
            "seed": self.seed,
            "many": self.MANY,
            "machine": machine.fingerprint(),
            "versions": dict(sorted(versions.items())),
            "files": {entry.name: entry.place.name for entry in self.running if entry.place},
        }
