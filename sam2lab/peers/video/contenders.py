"""Make the files of everything that is compared, and say how each is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sam2lab.export.onnx import export
from sam2lab.measure._video_steps import open_ours, steps
from sam2lab.measure.child import PATIENCE_S, Child
from sam2lab.measure.video_latency import clicks
from sam2lab.peers.files import Files
from sam2lab.peers.table import PEERS
from sam2lab.peers.video import parts
from sam2lab.peers.video.openers import open_compiled, open_upstream
from sam2lab.reference import zoo

# Upstream's compiled predictor tries many kernels for each product: 28 minutes to its first answer
# on two cores that others used too. A second time it finds most of them in torch's cache.
COMPILING_S = 3600.0


@dataclass(frozen=True)
class Contender:
    """One way to follow objects: what opens it in a process of its own, and for how many."""

    opener: Callable[..., Any]
    open: dict[str, Any]
    init: dict[str, Any] = field(default_factory=dict)
    objects: int = 1
    patience_s: float = PATIENCE_S

    @contextmanager
    def start(self, folder: str, size: tuple[int, int]) -> Iterator[Child]:
        """A process that has been prompted on the first of the frames in a folder."""
        with Child(steps, self.opener, patience_s=self.patience_s) as child:
            child.ask(
                open=self.open,
                init=self.init,
                folder=folder,
                clicks=clicks(size, self.objects),
            )
            yield child


class Contenders:
    """All contenders of one model, with the same weights; files are made when they are needed."""

    def __init__(self, folder: Path, size: str, weights: str, version: str, threads: int) -> None:
        # The files are those of `make bench-peers`, whose photo plays no part here.
        self._files = Files(folder, size, weights, version, np.zeros((8, 8, 3), np.uint8))
        self.weights = self._files.weights
        self._threads = threads

    def __getitem__(self, name: str) -> Contender:
        if name in (parts.UPSTREAM, parts.COMPILED):
            model = {key: self._files.model[key] for key in ("size", "version")}
            given = model | {"checkpoint": str(self._files.checkpoint), "threads": self._threads}
            if name == parts.COMPILED:
                return Contender(open_compiled, given, patience_s=COMPILING_S)
            return Contender(open_upstream, given)
        peer = PEERS[name if name in PEERS else parts.OURS]
        given = {"model": str(self._files.make(peer)), "threads": self._threads}
        options = getattr(peer.kind, "options", {})
        objects = parts.OBJECTS if name == parts.FIVE else 1
        return Contender(open_ours, given | options, {"keep": "window"}, objects)


def nano(threads: int) -> Contender:
    """The nano that ships, at its own size."""
    return Contender(open_ours, {"model": "nano", "threads": threads}, {"keep": "window"})


def small_nano(folder: Path, side: int, threads: int) -> dict[str, Any]:
    """Nano for frames of `side` x `side` pixels inside, as arguments of `open_segmenter`."""
    place = folder / f"nano-{side}"
    if not place.exists():
        export(zoo.load("nano", input_size=(side, side)), place)
    return {"model": str(place), "threads": threads}
