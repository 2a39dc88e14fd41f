"""Measure the parts: frames in turn, memory frame by frame, and a long stream."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

import numpy as np
from tqdm.auto import tqdm

from sam2lab.measure.child import Child, ChildError, Line
from sam2lab.measure.video_latency import clicks
from sam2lab.peers.video.contenders import Contender
from sam2lab.peers.video.openers import stream

Size = tuple[int, int]


def in_turn(
    contenders: Mapping[str, Contender], folder: str, size: Size, warm: int, rounds: int, seed: int
) -> list[Line]:
    """Let each contender do a frame in each round, in an order drawn anew.

    The first `warm` frames fill the memory and are not kept. A line for each round that is:
    `run` and `times`, ms by name. A contender that fails drops out: a line with its `error`.
    """
    rng = np.random.default_rng(seed)
    lines: list[Line] = []
    with ExitStack() as stack:
        children: dict[str, Child] = {}

        def dropped(name: str, error: ChildError) -> None:
            children.pop(name, None)
            lines.append({"contender": name, "error": str(error)})

        for name, one in tqdm(contenders.items(), desc="open", leave=False):
            try:
                children[name] = stack.enter_context(one.start(folder, size))
            except ChildError as error:
                dropped(name, error)
        for run in tqdm(range(warm + rounds), desc="frames in turn", leave=False):
            times = {}
            for name in rng.permutation(list(children)):
                try:
                    times[str(name)] = children[name].ask(do="frame")["total_ms"]
                except ChildError as error:
                    dropped(str(name), error)
            if run >= warm:
                lines.append({"run": run, "times": times})
    return lines


def alone(contender: Contender, folder: str, size: Size, frames: int) -> list[Line]:
    """A line for each frame of one contender: `run`, `total_ms`, `rss_mb`, `peak_mb`."""
    with contender.start(folder, size) as child:
        return [child.ask(do="frame") for _ in tqdm(range(frames), desc="frames", leave=False)]


def streamed(open_: Line, folder: str, size: Size, frames: int) -> list[Line]:
    """The same of a `VideoStream`."""
    with Child(stream) as child:
        child.ask(open=open_, folder=folder, clicks=clicks(size, 1))
        return [child.ask(do="frame") for _ in tqdm(range(frames), desc="stream", leave=False)]
