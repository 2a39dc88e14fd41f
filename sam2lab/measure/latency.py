"""How long an answer takes: one runner, and what it is usually asked to run.

A table has a row for each run, in the order in which they were made. Columns: `series`, `run`
(1 is the first question, 0 the opening), `phase`, `encode_ms`, `decode_ms`, `pre_ms` (photo and
prompt to arrays), `post_ms` (logits to masks), `total_ms`, `cpu_ms` (of all threads of this
process), and `rss_mb` (10^6 bytes that the process holds after the run, whatever else is in it).
`phase` is what is known beforehand: `open`, `first`, and `steady` for all the rest; where the
warm-up really ends is found in the data, by `summarise_latency`. `table.attrs` holds the machine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter, perf_counter_ns, process_time, process_time_ns, sleep
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from sam2lab import settings
from sam2lab.measure import machine, workload
from sam2lab.measure.table_files import Recorder
from sam2lab.measure.workload import Timing, Workload
from sam2lab.runtime.arguments import whole
from sam2lab.runtime.engines.protocol import Engine

STAGES = ("encode_ms", "decode_ms", "pre_ms", "post_ms", "total_ms", "cpu_ms")
COLUMNS = ["series", "run", "phase", *STAGES, "rss_mb"]

Opened = Engine | Callable[[], Engine]
Name = str | int


@dataclass(frozen=True, eq=False)
class Series:
    """An engine and what it is asked, again and again.

    Instead of an engine it may hold a function that opens one, whose call is then timed too.
    `ask` is the way from question to masks.
    """

    engine: Opened
    question: Workload
    ask: Callable[[Engine, Workload], Timing] = workload.ask


def time_in_turn(
    series: Mapping[Any, Series],
    runs: int | None = None,
    seed: int = 0,
    save_to: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Ask every series once in each of `runs` rounds, in an order drawn anew for each round.

    So whatever the machine does meanwhile happens to all of them. Before each run it is waited
    until the threads of the one before are at rest. 1000 runs, or 20 under the ci budget.

    An interrupt returns the table of the runs that were finished, with `attrs["interrupted"]`.
    With `save_to`, a name in .csv, the table is kept there every few seconds and at the end; see
    `load_table`.
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
    about = {"machine": machine.fingerprint(), "engines": {}, "seed": seed, "interrupted": False}
    recorder = Recorder(COLUMNS, about, save_to)
    rng = np.random.default_rng(seed)
    try:
        engines = {name: _opened(recorder, name, one) for name, one in series.items()}
        names = list(engines)
        with tqdm(total=runs * len(names), desc="runs", leave=False) as bar:
            for run in range(1, runs + 1):
                # The first round as given, so that a table shows the series in that order.
                for name in names if run == 1 else rng.permutation(np.array(names, object)):
                    settle()
                    timing = series[name].ask(engines[name], series[name].question)
                    phase = "first" if run == 1 else "steady"
                    recorder.add(_row(name, run, phase, timing._asdict()))
                    bar.update()
    except KeyboardInterrupt:
        recorder.about["interrupted"] = True
    finally:
        table = recorder.finish()
    return table


def time_engines(
    engines: Mapping[Any, Opened],
    image: Any,
    prompt: Mapping[str, Any] | None = None,
    runs: int | None = None,
    seed: int = 0,
    save_to: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Ask several engines the same in turn, A B B A …; one engine alone is the same input N times.

    `image` is what `images.read` takes; `prompt` holds arguments of `prompts.encode`, such as
    `boxes`, in pixels of the photo, and is by default a click in the middle. For the ratios see
    `latency_ratios`; for the other arguments see `time_in_turn`.

    ```python
    table = time_engines({"torch": TorchEngine(model), "onnx": OnnxEngine(folder)}, "photo.jpg")
    ```
    """
    if not isinstance(engines, Mapping) or not engines:
        raise ValueError(
            f'engines is {engines!r}; wanted at least one by its name: {{"a": engine}}'
        )
    question = Workload.about(image, prompt)
    return time_in_turn(
        {name: Series(engine, question) for name, engine in engines.items()}, runs, seed, save_to
    )


def settle() -> None:
    """Wait until this process is at rest, a quarter of a second at most.

    Thread pools spin for a while after their work, in the hope of more: those of one engine
    would take the processor from the next one that is asked.
    """
    give_up = perf_counter() + 0.25
    at_rest = False
    while not at_rest and perf_counter() < give_up:
        cpu_start, start = process_time(), perf_counter()
        sleep(0.01)
        at_rest = process_time() - cpu_start < 0.2 * (perf_counter() - start)


def default_runs() -> int:
    """A thousand, as the paper had them; 20 under the ci budget."""
    return 20 if settings.budget() == "ci" else 1000


def _opened(recorder: Recorder, name: Name, one: Series) -> Engine:
    if isinstance(one.engine, Engine):
        engine = one.engine
    else:
        cpu_start, start = process_time_ns(), perf_counter_ns()
        engine = one.engine()
        total_ms = (perf_counter_ns() - start) / 1e6
        cpu_ms = (process_time_ns() - cpu_start) / 1e6
        recorder.add(_row(name, 0, "open", {"total_ms": total_ms, "cpu_ms": cpu_ms}))
    recorder.about["engines"][str(name)] = machine.engine_facts(engine)
    return engine


def _row(name: Name, run: int, phase: str, times: Mapping[str, float]) -> dict[str, Any]:
    return {
        "series": name,
        "run": run,
        "phase": phase,
        **times,
        "rss_mb": machine.resident_mb(),
    }
