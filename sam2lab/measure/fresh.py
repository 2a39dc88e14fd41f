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
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from sam2lab import settings
from sam2lab.measure import machine
from sam2lab.measure._fresh_steps import steps
from sam2lab.measure.child import Child, ChildError
from sam2lab.measure.workload import Workload
from sam2lab.runtime.arguments import whole
from sam2lab.runtime.bundle import BUNDLE_FILE
from sam2lab.runtime.engines.table import CHECKPOINT, row_of

Opening = str | os.PathLike[str] | Mapping[str, Any]
Step = dict[str, Any]

PHASES = ("import", "open", "encode", "decode")
COLD_STEPS = ("interpreter_ms", "import_ms", "open_ms", "first_encode_ms", "first_decode_ms")
COLD_COLUMNS = ["series", "start", *COLD_STEPS, "other_ms", "first_mask_ms"]
MEMORY_COLUMNS = ["series", "run", "phase", "peak_mb"]

# Memory that an allocator keeps for the next call counts too: the first call alone is too low.
CALLS_FOR_PEAK = 3


def cold_start(
    engines: Mapping[str, Opening],
    image: Any,
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
    with _Processes(engines, image, prompt) as processes, contextlib.suppress(KeyboardInterrupt):
        for start, name in tqdm(turns, desc="fresh processes", leave=False):
            rows.append({"series": name, "start": start, **_first_mask(processes, name)})
    return _with_machine(pd.DataFrame(rows, columns=COLD_COLUMNS))


def peak_memory(
    engines: Mapping[str, Opening],
    image: Any,
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
    with _Processes(engines, image, prompt) as processes, contextlib.suppress(KeyboardInterrupt):
        for run, name, phase in tqdm(turns, desc="peak memory", leave=False):
            use_features = phase == "decode"
            found = processes.run(name, phase, CALLS_FOR_PEAK, use_features)
            peak_mb = max(step["peak_mb"] for step in found)
            rows.append({"series": name, "run": run, "phase": phase, "peak_mb": peak_mb})
    return _with_machine(pd.DataFrame(rows, columns=MEMORY_COLUMNS))


def _first_mask(processes: _Processes, name: str) -> dict[str, float]:
    first, *later = processes.run(name, last="decode", calls=1)
    took = [first["since_start_ms"], *(step["ms"] for step in later)]
    total_ms = later[-1]["since_start_ms"]
    named = dict(zip(COLD_STEPS, took, strict=True))
    return named | {"other_ms": total_ms - sum(took), "first_mask_ms": total_ms}


class _Processes:
    """Starts the fresh processes, and holds the folder with what they read."""

    def __init__(
        self, engines: Mapping[str, Opening], image: Any, prompt: Mapping[str, Any] | None
    ) -> None:
        if not isinstance(engines, Mapping) or not engines:
            raise ValueError(
                f"engines is {engines!r}; wanted names with bundle folders or arguments of "
                'open_segmenter: {"onnx": "models/tiny"}'
            )
        self._openings = {name: _arguments(name, opening) for name, opening in engines.items()}
        asked = Workload.about(image, prompt)
        self._photo = asked.photo
        self._prompt = {k: np.asarray(v).tolist() for k, v in asked.prompt.items() if v is not None}
        self._scratch = tempfile.TemporaryDirectory(prefix="sam2lab-fresh-")

    def __enter__(self) -> _Processes:
        for name in self._openings:
            folder = self._folder(name)
            folder.mkdir()
            np.save(folder / "photo.npy", self._photo)
        return self

    def __exit__(self, *error: object) -> None:
        self._scratch.cleanup()

    def run(self, name: str, last: str, calls: int, use_features: bool = False) -> list[Step]:
        """Run one process as far as step `last`, and return its steps in order."""
        job = {
            "folder": str(self._folder(name)),
            "open": self._openings[name],
            "prompt": self._prompt,
            "modules": _modules(self._openings[name]),
            "last": last,
            "calls": calls,
            "use_features": use_features,
        }
        done: list[Step] = []
        start = perf_counter()
        try:
            with Child(steps) as child:
                child.tell(**job)
                while (told := child.hear()) is not None:
                    done.append(told | {"since_start_ms": 1000 * (perf_counter() - start)})
        except ChildError as error:
            after = done[-1]["step"] if done else "nothing"
            raise RuntimeError(f"{name}: the fresh process failed after {after}: {error}") from None
        return done

    def _folder(self, name: str) -> Path:
        # Names are the user's and may hold anything; places in a list are safe file names.
        return Path(self._scratch.name) / str(list(self._openings).index(name))


def _arguments(name: str, opening: Opening) -> dict[str, Any]:
    given: Any = {"model": opening} if isinstance(opening, str | os.PathLike) else opening
    is_mapping = isinstance(given, Mapping) and "model" in given
    exports_nothing = is_mapping and CHECKPOINT in row_of(str(given.get("engine", "onnx"))).reads
    # A size that was never exported would be exported by the first process, and timed.
    if not exports_nothing and not (is_mapping and (Path(given["model"]) / BUNDLE_FILE).is_file()):
        raise ValueError(
            f"engines[{name!r}] is {opening!r}; wanted a bundle's folder, or arguments of "
            'open_segmenter such as {"model": "models/tiny", "threads": 1} or {"model": "tiny", '
            '"engine": "torch"}. Export a size with: python -m sam2lab export tiny'
        )
    return {k: os.fspath(v) if isinstance(v, os.PathLike) else v for k, v in given.items()}


def _modules(arguments: Mapping[str, Any]) -> list[str]:
    """What an engine imports, so that opening it is timed without that."""
    return ["sam2lab", row_of(arguments.get("engine", "onnx")).module]


def _with_machine(table: pd.DataFrame) -> pd.DataFrame:
    table.attrs["machine"] = machine.fingerprint()
    return table
