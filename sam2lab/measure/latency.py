"""Time answers: engines are asked in turn, and each answer is a row of a table.

Rows stand in the order in which the runs were made. Columns: `series`, `run` (1 is the first
answer, 0 the opening), `phase`, `encode_ms`, `decode_ms`, `pre_ms` (photo and prompt to
arrays), `post_ms` (logits to masks), `total_ms`, `cpu_ms` (of all threads of this process), and
`rss_mb` (10^6 bytes that the process holds after the run, whatever else is in it). `phase` is
`open`, `first`, or `steady` for all the rest; `summarise_latency` finds in the data where the
warm-up really ends. `table.attrs` holds the `machine`, facts about the `engines`, the `seed`, and
whether the measurement was `interrupted`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns, process_time_ns
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from sam2lab import settings
from sam2lab.measure import machine
from sam2lab.measure.journal import Journal, Line, read_lines
from sam2lab.measure.rest import settle
from sam2lab.measure.workload import Timing, Workload, time_answer
from sam2lab.runtime.arguments import whole
from sam2lab.runtime.engines.protocol import Engine
from sam2lab.runtime.images import ImageLike

STAGES = ("encode_ms", "decode_ms", "pre_ms", "post_ms", "total_ms", "cpu_ms")
COLUMNS = ["series", "run", "phase", *STAGES, "rss_mb"]
# The first line of a file of runs.
HEADER = {"columns": COLUMNS}

Name = str | int


@dataclass(frozen=True, eq=False)
class Series:
    """An engine, and the workload that it is timed on again and again.

    A function that opens an engine may stand in its place: then its call is timed too. `ask`
    answers the workload and times it.
    """

    engine: Engine | Callable[[], Engine]
    workload: Workload
    ask: Callable[[Engine, Workload], Timing] = time_answer


def time_in_turn(
    series: Mapping[Any, Series],
    runs: int | None = None,
    seed: int = 0,
    save_to: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Ask every series once in each of `runs` rounds, in an order drawn anew for each round.

    So a load on the machine slows all of them. Each run waits until the threads of
    the one before are at rest. By default 1000 runs, or 20 under the ci budget.

    An interrupt returns the table of the runs that were finished. With `save_to`, a name in
    .jsonl, each run is in that file as soon as it is finished; `load_runs` reads it.
    """
    if not isinstance(series, Mapping) or not series:
        raise ValueError(f"series is {series!r}; wanted at least one named Series")
    for name, one in series.items():
        if not isinstance(one.engine, Engine) and not callable(one.engine):
            raise ValueError(
                f"engines[{name!r}] is {one.engine!r}; wanted an Engine, such as "
                "open_segmenter(...).engine, or a function that opens one"
            )
    runs = default_runs() if runs is None else whole("runs", runs, least=1)
    seed = whole("seed", seed, least=0)
    if save_to is not None and Path(save_to).suffix != ".jsonl":
        raise ValueError(
            f"save_to is {os.fspath(save_to)!r}; wanted a name that ends in .jsonl. For a CSV "
            "file, call to_csv of the table"
        )
    lines: list[Line] = []
    journal = None if save_to is None else Journal(save_to, HEADER, anew=True)

    def keep(line: Line) -> None:
        lines.append(line)
        if journal is not None:
            journal.add(line)

    with journal or contextlib.nullcontext():
        try:
            for line in _lines(series, runs, seed):
                keep(line)
        except KeyboardInterrupt:
            keep({"interrupted": True})
    return _table(lines)


def time_engines(
    engines: Mapping[Any, Engine | Callable[[], Engine]],
    image: ImageLike,
    prompt: Mapping[str, Any] | None = None,
    runs: int | None = None,
    seed: int = 0,
    save_to: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Ask several engines the same in turn, A B B A …; one engine alone is the same input N times.

    `image` is what `images.read` takes; `prompt` holds arguments of `prompts.encode`, such as
    `boxes`, in pixels of the photo, and is by default a click in the middle. `time_in_turn`
    explains the other arguments, and `latency_ratios` compares the engines.

    ```python
    table = time_engines({"torch": TorchEngine(model), "onnx": OnnxEngine(folder)}, "photo.jpg")
    ```
    """
    if not isinstance(engines, Mapping) or not engines:
        raise ValueError(
            f'engines is {engines!r}; wanted at least one by its name: {{"a": engine}}'
        )
    workload = Workload.about(image, prompt)
    return time_in_turn(
        {name: Series(engine, workload) for name, engine in engines.items()}, runs, seed, save_to
    )


def load_runs(file: str | os.PathLike[str]) -> pd.DataFrame:
    """Read the table of runs that `save_to` kept, all of it that a killed process had finished."""
    path = Path(file)
    if not path.is_file():
        raise ValueError(f"file is {str(path)!r}, which does not exist")
    header, *lines = read_lines(path)[0] or [{}]
    if header != HEADER:
        raise ValueError(f"{path} holds no runs that time_engines or a study kept; measure again")
    return _table(lines)


def default_runs() -> int:
    """The number of runs by default: 1000, as in the paper, or 20 under the ci budget."""
    return 20 if settings.budget() == "ci" else 1000


def _table(lines: list[Line]) -> pd.DataFrame:
    """The table of the lines that are runs, with all other lines in `attrs`; later ones count."""
    table = pd.DataFrame([line for line in lines if "series" in line], columns=COLUMNS)
    for line in lines:
        if "series" not in line:
            table.attrs |= line
    return table


def _lines(series: Mapping[Any, Series], runs: int, seed: int) -> Iterator[Line]:
    """Open the engines and ask them in turn; give a line for each run and each new fact."""
    yield {
        "machine": machine.fingerprint(),
        "seed": seed,
        "engines": {},
        "interrupted": False,
    }
    engines: dict[Any, Engine] = {}
    for name, one in series.items():
        if isinstance(one.engine, Engine):
            engines[name] = one.engine
            continue
        cpu_start, start = process_time_ns(), perf_counter_ns()
        engines[name] = one.engine()
        total_ms = (perf_counter_ns() - start) / 1e6
        cpu_ms = (process_time_ns() - cpu_start) / 1e6
        yield _row(name, 0, "open", {"total_ms": total_ms, "cpu_ms": cpu_ms})
    yield {"engines": {str(name): machine.engine_facts(one) for name, one in engines.items()}}
    rng, names = np.random.default_rng(seed), list(engines)
    with tqdm(total=runs * len(names), desc="runs", leave=False) as bar:
        for run in range(1, runs + 1):
            # The first round as given, so that a table shows the series in that order.
            for name in names if run == 1 else rng.permutation(np.array(names, object)):
                settle()
                timing = series[name].ask(engines[name], series[name].workload)
                yield _row(name, run, "first" if run == 1 else "steady", timing._asdict())
                bar.update()


def _row(name: Name, run: int, phase: str, times: Mapping[str, float]) -> dict[str, Any]:
    about = {"series": name, "run": run, "phase": phase}
    return about | {**times, "rss_mb": machine.resident_mb()}
