"""Measure what only a fresh process can show: the time to the first mask, and peak memory.

An engine is given as a bundle's folder, or as the arguments of `sam2lab.open_segmenter`:
`{"model": "tiny", "engine": "torch", "weights": "random"}`. Every figure comes from a process
of its own. The operating system's file cache is warm after the first of them, as it is when a
program is started twice.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from sam2lab import settings
from sam2lab.measure import machine
from sam2lab.measure._fresh_steps import steps
from sam2lab.measure.child import Child, ChildError, Line
from sam2lab.measure.engine_sources import arguments
from sam2lab.measure.workload import Workload
from sam2lab.runtime.arguments import whole
from sam2lab.runtime.bundle import BUNDLE_FILE
from sam2lab.runtime.engines.table import CHECKPOINT, row_of
from sam2lab.runtime.images import ImageLike

Opening = str | os.PathLike[str] | Mapping[str, Any]

PHASES = ("import", "open", "encode", "decode")
COLD_STEPS = ("interpreter_ms", "import_ms", "open_ms", "first_encode_ms", "first_decode_ms")
COLD_COLUMNS = ["series", "start", *COLD_STEPS, "other_ms", "first_mask_ms"]
MEMORY_COLUMNS = ["series", "run", "phase", "peak_mb"]

# Memory that an allocator keeps for the next call counts too: the first call alone is too low.
CALLS_FOR_PEAK = 3


def cold_start(
    engines: Mapping[str, Opening],
    image: ImageLike,
    prompt: Mapping[str, Any] | None = None,
    starts: int | None = None,
) -> pd.DataFrame:
    """Time the way from nothing to the first mask, `starts` times for each engine, in turn.

    Columns: `series`, `start`, `interpreter_ms` (Python itself, as the parent sees it),
    `import_ms`, `open_ms`, `first_encode_ms`, `first_decode_ms`, `other_ms` (loading and
    preparing the photo, prompts, masks), and their sum `first_mask_ms`. `image` is what
    `images.read` takes, `prompt` holds arguments of `prompts.encode` such as
    `point_coordinates` (x, y) in pixels, by default a click in the middle. An interrupt
    returns the starts that were finished.
    """
    if starts is None:
        starts = 3 if settings.budget() == "ci" else 10
    starts = whole("starts", starts, least=1)
    rows = []
    turns = [(start, name) for start in range(starts) for name in engines]
    with _jobs(engines, image, prompt) as jobs, contextlib.suppress(KeyboardInterrupt):
        for start, name in tqdm(turns, desc="fresh processes", leave=False):
            rows.append({"series": name, "start": start, **_first_mask(name, jobs[name])})
    return _with_machine(pd.DataFrame(rows, columns=COLD_COLUMNS))


def peak_memory(
    engines: Mapping[str, Opening],
    image: ImageLike,
    prompt: Mapping[str, Any] | None = None,
    repeats: int = 3,
) -> pd.DataFrame:
    """Measure the most resident memory of processes that do one thing each.

    Columns: `series`, `run`, `phase` and `peak_mb`, in 10^6 bytes. The phases: `import` loads
    the libraries; `open` also the model; `encode` then prepares and encodes the photo three
    times; `decode` instead takes ready features from a file and answers the prompt three times.
    So each phase holds what was there before it, but `decode` nothing of the encoder's work.
    Arguments as in `cold_start`.
    """
    repeats = whole("repeats", repeats, least=1)
    rows = []
    # In this order, since `decode` takes the features that `encode` leaves.
    turns = [(run, name, phase) for run in range(repeats) for name in engines for phase in PHASES]
    with _jobs(engines, image, prompt) as jobs, contextlib.suppress(KeyboardInterrupt):
        for run, name, phase in tqdm(turns, desc="peak memory", leave=False):
            use_features = phase == "decode"
            found = _run(name, jobs[name], phase, CALLS_FOR_PEAK, use_features)
            peak_mb = max(step["peak_mb"] for step in found)
            rows.append({"series": name, "run": run, "phase": phase, "peak_mb": peak_mb})
    return _with_machine(pd.DataFrame(rows, columns=MEMORY_COLUMNS))


def _first_mask(name: str, job: Line) -> dict[str, float]:
    first, *later = _run(name, job, last="decode", calls=1)
    took = [first["since_start_ms"], *(step["ms"] for step in later)]
    total_ms = later[-1]["since_start_ms"]
    named = dict(zip(COLD_STEPS, took, strict=True))
    return named | {"other_ms": total_ms - sum(took), "first_mask_ms": total_ms}


@contextlib.contextmanager
def _jobs(
    engines: Mapping[str, Opening], image: ImageLike, prompt: Mapping[str, Any] | None
) -> Iterator[dict[str, Line]]:
    """Give each engine's processes their job, with a folder that lasts as long as the context."""
    if not isinstance(engines, Mapping) or not engines:
        raise ValueError(
            f"engines is {engines!r}; wanted names with bundle folders or arguments of "
            'open_segmenter: {"onnx": "models/tiny"}'
        )
    openings = {name: _exported(name, opening) for name, opening in engines.items()}
    asked = Workload.about(image, prompt)
    with tempfile.TemporaryDirectory(prefix="sam2lab-fresh-") as scratch:
        jobs = {}
        # Names are the user's and may hold anything; numbers are safe file names.
        for number, (name, opening) in enumerate(openings.items()):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            np.save(folder / "photo.npy", asked.photo)
            jobs[name] = {
                "folder": str(folder),
                "open": opening,
                "prompt": {
                    k: np.asarray(v).tolist() for k, v in asked.prompt.items() if v is not None
                },
                # Imported first, so that opening the engine is timed without that.
                "modules": ["sam2lab", row_of(opening.get("engine", "onnx")).module],
            }
        yield jobs


def _run(name: str, job: Line, last: str, calls: int, use_features: bool = False) -> list[Line]:
    """Run one process as far as step `last`, and return its steps in order."""
    done: list[Line] = []
    start = perf_counter()
    try:
        with Child(steps) as child:
            child.tell(**job, last=last, calls=calls, use_features=use_features)
            while (told := child.hear()) is not None:
                done.append(told | {"since_start_ms": 1000 * (perf_counter() - start)})
    except ChildError as error:
        after = done[-1]["step"] if done else "nothing"
        raise RuntimeError(f"{name}: the fresh process failed after {after}: {error}") from None
    return done


def _exported(name: str, opening: Opening) -> dict[str, Any]:
    """Return the arguments of `open_segmenter`, or raise a `ValueError` if it would export."""
    given = arguments(name, opening)
    reads_checkpoint = CHECKPOINT in row_of(str(given.get("engine", "onnx"))).reads
    # The first process would export such a size, and the time of that would count.
    if not reads_checkpoint and not (Path(given["model"]) / BUNDLE_FILE).is_file():
        raise ValueError(
            f'engines[{name!r}] is {opening!r}; wanted a bundle\'s folder, as "model" or alone. '
            "Export a size with: python -m sam2lab export tiny"
        )
    return given


def _with_machine(table: pd.DataFrame) -> pd.DataFrame:
    table.attrs["machine"] = machine.fingerprint()
    return table
