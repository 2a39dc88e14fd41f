"""Measure the parts that are asked for, and add them to those that were measured before."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sam2lab import settings
from sam2lab.measure import machine
from sam2lab.measure.child import Line
from sam2lab.measure.davis import shipped_videos
from sam2lab.measure.video_latency import write_to_and_fro
from sam2lab.peers.video import contenders, measuring
from sam2lab.peers.video.contenders import Contenders
from sam2lab.peers.video.parts import MEMORY, NANO, OURS, PAIRS, PARTS, STREAM, UPSTREAM
from sam2lab.peers.video.result import VideoBench
from sam2lab.runtime.arguments import whole
from sam2lab.runtime.video.frames import VideoLike

RESULT = "video.json"
# Frames until there are as many memories as there will be. Pointers go on growing to the sixteenth,
# but they are 1 % of what is looked at.
WARM = 8
# Nano at this size does a frame in milliseconds, so that thousands take a minute.
STREAM_SIDE = 128
# A stream repeats these frames.
STREAM_CLIP = 60


def video_bench(
    only: Iterable[str] = (),
    size: str = "tiny",
    rounds: int = 12,
    frames: int = 200,
    stream: int = 1000,
    threads: int | None = None,
    weights: str = "random",
    version: str = "2.1",
    video: VideoLike | None = None,
    folder: str | os.PathLike[str] | None = None,
    seed: int = 0,
) -> VideoBench:
    """Compare our memory with upstream's: same weights, clip, clicks and threads, by turns.

    `only` names some of `PARTS`; by default all are measured, which takes hours for tiny. Each
    frame is asked of all contenders in turn, `rounds` times in the steady state. `frames` is how
    long the processes whose memory is measured follow one object, `stream` is the length of the
    stream. Without `threads` all cores are used.

    `folder` keeps the exported files and video.json, in which every finished part replaces the
    part of that name; other parts stay.
    """
    wanted = list(only) or list(PARTS)
    if not set(wanted) <= set(PARTS):
        raise ValueError(f"only is {wanted}; wanted some of: {', '.join(PARTS)}")
    cores = int(machine.fingerprint()["usable_cores"])
    run = _Run(
        Path(settings.cache_folder() / "peers" if folder is None else folder),
        threads=cores if threads is None else whole("threads", threads, least=1),
        rounds=whole("rounds", rounds, least=1),
        seed=seed,
    )
    with tempfile.TemporaryDirectory(prefix="sam2lab-frames-") as clip:
        count = max(frames, WARM + rounds) + 1
        shown = shipped_videos()[0].frames if video is None else video
        run.show(clip, write_to_and_fro(shown, count, clip))
        pairs = [part for part in wanted if part in PAIRS]
        model = None
        if pairs or MEMORY in wanted:
            model = Contenders(run.folder, size, weights, version, run.threads)
        if model is not None and pairs:
            run.pairs(model, size, pairs)
        if NANO in wanted:
            lines = measuring.in_turn(
                {NANO: contenders.nano(run.threads)}, *run.clip, WARM, 4 * rounds, seed
            )
            run.keep(NANO, lines, model="nano", rounds=4 * rounds)
        if model is not None and MEMORY in wanted:
            told = {
                name: measuring.alone(model[name], *run.clip, frames) for name in (OURS, UPSTREAM)
            }
            lines = [{"series": name, **line} for name, found in told.items() for line in found]
            run.keep(MEMORY, lines, model=size, weights=model.weights, frames=frames)
        if STREAM in wanted:
            lines = measuring.streamed(
                contenders.small_nano(run.folder, STREAM_SIDE, run.threads), *run.clip, stream
            )
            run.keep(STREAM, lines, model=f"nano at {STREAM_SIDE}", frames=stream)
    return run.result


class _Run:
    """What all parts of a run share, and the result, which is saved after each part."""

    def __init__(self, folder: Path, threads: int, rounds: int, seed: int) -> None:
        self.folder, self.threads, self.rounds, self.seed = folder, threads, rounds, seed
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / RESULT
        self.result = VideoBench.load(self.file)

    def show(self, folder: str, size: tuple[int, int]) -> None:
        """Set the clip that is followed."""
        self.clip = folder, size

    def pairs(self, model: Contenders, size: str, names: Sequence[str]) -> None:
        """Measure all contenders of some pairs together, in the same rounds."""
        pairs = {name: PAIRS[name] for name in names}
        who = dict.fromkeys(each for pair in pairs.values() for each in (pair.against, pair.who))
        lines = measuring.in_turn(
            {name: model[name] for name in who}, *self.clip, WARM, self.rounds, self.seed
        )
        for name, pair in pairs.items():
            both = (pair.who, pair.against)
            self.keep(
                name,
                [_of(line, both) for line in lines if line.get("contender", both[0]) in both],
                model=size,
                weights=model.weights,
                rounds=self.rounds,
            )

    def keep(self, part: str, lines: list[Line], **about: Any) -> None:
        """Save a finished part."""
        date = datetime.now(UTC).isoformat(timespec="seconds")
        about |= {"threads": self.threads, "date": date, "machine": machine.fingerprint()}
        self.result.parts[part] = {"about": about, "lines": lines}
        self.result.save(self.file)


def _of(line: Line, names: Sequence[str]) -> Line:
    """A round's line without the times of others."""
    if "times" not in line:
        return line
    return {**line, "times": {name: ms for name, ms in line["times"].items() if name in names}}
