"""Measure every peer in one run, by turns, so that a load on the machine slows all of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from sam2lab import settings
from sam2lab.measure import machine
from sam2lab.measure.journal import Journal
from sam2lab.peers.comparison import Comparison
from sam2lab.peers.files import Files
from sam2lab.peers.phases import decode, encode, start
from sam2lab.peers.plan import Entry, Plan
from sam2lab.peers.table import chosen
from sam2lab.runtime import images
from sam2lab.runtime.arguments import whole
from sam2lab.runtime.images import ImageLike

JOURNAL, RESULT = "peers.journal", "peers.json"


def compare(
    size: str = "tiny",
    contenders: Sequence[str] | None = None,
    threads: int | None = None,
    rounds: int | None = None,
    starts: int | None = None,
    photo: ImageLike | None = None,
    weights: str | os.PathLike[str] = "random",
    version: str = "2.1",
    folder: str | os.PathLike[str] | None = None,
    seed: int = 0,
) -> Comparison:
    """Measure our export and its peers with the same weights, photo and threads.

    Photos are 1024 x 1024 pixels inside for every `size`: all peers know only this one.
    `contenders` are names in `PEERS`, ours among them in any case. In each of `rounds` every
    peer encodes once, in an order drawn anew, and in as many more it answers one prompt and 64;
    in each of `starts` it begins in a fresh process. Without `threads` all cores are used.

    The result also tells which peers are missing or failed, and why. `folder` keeps the exported
    files, the result as peers.json, and the finished part of an interrupted run, with which the
    same call goes on.
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
    entries = [Entry(peer) for peer in chosen(contenders)]
    folder = settings.cache_folder() / "peers" if folder is None else Path(folder)
    # Last, since it loads the weights and writes a checkpoint.
    files = Files(folder, size, weights, version, images.read(photo))
    return _run(Plan(files, seed=seed, entries=entries, **counts), folder)


def _run(plan: Plan, folder: Path) -> Comparison:
    for entry in plan.entries:
        if entry.peer.missing is not None:
            entry.state, entry.reason = "missing", entry.peer.missing
    ours = plan.entries[0]
    if ours.state == "missing":
        raise ModuleNotFoundError(f"peers are compared with our export: {ours.reason}")
    for entry in (bar := tqdm(plan.running, desc="export", leave=False)):
        bar.set_postfix_str(entry.name)
        with entry.dropped_if_failing():
            entry.place = plan.files.make(entry.peer)
    about = plan.about()
    file = folder / JOURNAL
    with _journal(file, about) as journal:
        encode(plan, journal)
        decode(plan, journal)
        start(plan, journal)
        lines = journal.lines()
    about["date"] = datetime.now(UTC).isoformat(timespec="seconds")
    comparison = Comparison(about, [entry.told() for entry in plan.entries], lines)
    comparison.save(folder / RESULT)
    file.unlink()
    return comparison


def _journal(file: Path, about: dict[str, Any]) -> Journal:
    try:
        return Journal(file, about)
    except ValueError:
        # The journal of another run, with other settings.
        return Journal(file, about, anew=True)
