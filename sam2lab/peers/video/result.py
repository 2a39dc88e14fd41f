"""Keep what the parts measured as JSON, and give it as a table of figures beside their goals."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sam2lab.measure import latency_summaries, machine, statistics
from sam2lab.measure.child import Line
from sam2lab.measure.statistics import Interval
from sam2lab.peers.markdown import table as markdown
from sam2lab.peers.video import parts
from sam2lab.peers.video.parts import OURS, PAIRS, UPSTREAM, Pair
from sam2lab.runtime.files import replacing

FORMAT, VERSION = "sam2lab-video-bench", 1
COLUMNS = ["part", "what", "value", "low", "high", "goal", "is_met", "note"]

Figure = dict[str, Any]
NOTHING = Interval(np.nan, np.nan, np.nan)


@dataclass(frozen=True, eq=False)
class VideoBench:
    """For each part that was measured its settings and machine, `about`, and its `lines`."""

    parts: dict[str, dict[str, Any]]

    @classmethod
    def load(cls, file: str | os.PathLike[str]) -> VideoBench:
        """Read what `save` wrote; nothing is measured where there is no file."""
        path = Path(file)
        if not path.exists():
            return cls({})
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            content = None
        if not isinstance(content, dict) or (content.get("format"), content.get("version")) != (
            FORMAT,
            VERSION,
        ):
            raise ValueError(f"{file} is no result of video-bench of this version; remove it")
        return cls(content["parts"])

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write everything as JSON, whole or not at all."""
        content = {"format": FORMAT, "version": VERSION, "parts": self.parts}
        with replacing(file) as beside:
            beside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def figures(self) -> pd.DataFrame:
        """A row for each figure: `part`, `what`, `value` with its 95 % interval `low` to `high`.

        `goal` is what `value` should reach, and `is_met` whether it does. `note` has the medians
        behind a ratio, or says why there is none.
        """
        rows = [
            {"part": part, **figure}
            for part in parts.PARTS
            if part in self.parts
            for figure in _figures(part, self.parts[part]["lines"])
        ]
        return pd.DataFrame(rows, columns=COLUMNS)

    def report(self) -> str:
        """The figures as a table in Markdown, and under which circumstances they came about."""
        figures = self.figures()
        shown = pd.DataFrame(
            {
                "part": figures["part"],
                "": figures["what"],
                "measured": [_with_interval(row) for row in figures.itertuples()],
                "goal": figures["goal"],
                "met": ["yes" if met else "no" for met in figures["is_met"]],
                "medians": figures["note"],
            }
        )
        lines = [_circumstances(name, part["about"]) for name, part in self.parts.items()]
        return "\n\n".join([markdown(shown), "\n".join(lines)]) + "\n"


def _figures(part: str, lines: Sequence[Line]) -> list[Figure]:
    if part in PAIRS:
        return [_ratio(PAIRS[part], lines)]
    if part == parts.NANO:
        return [_frames_a_second(lines)]
    return _memory(lines) if part == parts.MEMORY else _stream(lines)


def _times(lines: Sequence[Line]) -> pd.DataFrame:
    """The rounds as `time_in_turn` gives them, all of them steady."""
    rows = [
        {"series": name, "run": line["run"], "phase": "steady", "total_ms": ms}
        for line in lines
        if "times" in line
        for name, ms in line["times"].items()
    ]
    return pd.DataFrame(rows, columns=["series", "run", "phase", "total_ms"])


def _errors(lines: Sequence[Line]) -> list[str]:
    return [f"{line['contender']}: {line['error']}" for line in lines if "error" in line]


def _ratio(pair: Pair, lines: Sequence[Line]) -> Figure:
    over = pair.against if pair.times == 1 else f"{pair.times} x {pair.against}"
    what = f"{pair.what}: {pair.who} / {over}"
    table, errors = _times(lines), _errors(lines)
    if errors or set(table["series"]) != {pair.who, pair.against}:
        return _figure(what, NOTHING, f"≤ {pair.goal}", False, *errors)
    found = latency_summaries.latency_ratios(table, pair.against).iloc[0]
    ends = (found["ratio"], found["ratio_low"], found["ratio_high"])
    value = Interval(*(float(end) / pair.times for end in ends))
    medians = table.groupby("series", sort=False)["total_ms"].median()
    note = ", ".join(f"{name} {medians[name]:,.0f} ms" for name in (pair.who, pair.against))
    note += f"; {found['rounds']} rounds"
    return _figure(what, value, f"≤ {pair.goal}", value.value <= pair.goal, note)


def _frames_a_second(lines: Sequence[Line]) -> Figure:
    what, goal = "frames a second: nano, one object", parts.FRAMES_A_SECOND
    times, errors = _times(lines)["total_ms"].to_numpy(), _errors(lines)
    if errors or not len(times):
        return _figure(what, NOTHING, f"≥ {goal}", False, *errors)
    median = statistics.median_interval(times)
    value = Interval(*(1000 / end for end in (median.value, median.high, median.low)))
    note = f"{median.value:,.0f} ms; {len(times)} frames"
    return _figure(what, value, f"≥ {goal}", value.value >= goal, note)


def _memory(lines: Sequence[Line]) -> list[Figure]:
    table = pd.DataFrame(lines)
    peaks = table.groupby("series")["peak_mb"].max()
    frames = int(table["run"].max()) + 1
    share = peaks[OURS] / peaks[UPSTREAM]
    note = ", ".join(f"{name} {peaks[name]:,.0f} MB" for name in (OURS, UPSTREAM))
    held = table[table["series"] == OURS].set_index("run")["rss_mb"]
    early = frames // 5
    growth = held.iloc[-1] / held[early]
    return [
        _figure(
            f"peak memory after {frames} frames: {OURS} / {UPSTREAM}",
            _exactly(share),
            f"≤ {parts.PEAK_SHARE}",
            share <= parts.PEAK_SHARE,
            note,
        ),
        _figure(
            f"memory of {OURS} in frame {frames - 1} / in frame {early}",
            _exactly(growth),
            f"≤ {parts.GROWTH}",
            growth <= parts.GROWTH,
            f"{held.iloc[-1]:,.0f} MB, {held[early]:,.0f} MB",
        ),
    ]


def _stream(lines: Sequence[Line]) -> list[Figure]:
    table = pd.DataFrame(lines)
    tenth = max(len(table) // 10, 1)
    # The first tenth fills the memory.
    start, end = table[tenth : 2 * tenth], table[-tenth:]
    growth = end["rss_mb"].median() / start["rss_mb"].median()
    slower = end["total_ms"].median() / start["total_ms"].median()
    said = f"last tenth / second tenth of a stream of {len(table):,} frames"
    return [
        _figure(
            f"memory, {said}",
            _exactly(growth),
            f"≤ {parts.GROWTH}",
            growth <= parts.GROWTH,
            f"{end['rss_mb'].median():,.0f} MB, {start['rss_mb'].median():,.0f} MB",
        ),
        _figure(
            f"median time, {said}",
            _exactly(slower),
            f"≤ {parts.SLOWER}",
            slower <= parts.SLOWER,
            f"{end['total_ms'].median():,.1f} ms, {start['total_ms'].median():,.1f} ms",
        ),
    ]


def _exactly(value: float) -> Interval:
    return Interval(float(value), np.nan, np.nan)


def _figure(what: str, value: Interval, goal: str, is_met: bool, *notes: str) -> Figure:
    return {
        "what": what,
        **value._asdict(),
        "goal": goal,
        "is_met": bool(is_met),
        "note": "; ".join(notes),
    }


def _with_interval(row: Any) -> str:
    if np.isnan(row.value):
        return "–"
    interval = "" if np.isnan(row.low) else f" [{row.low:.2f}, {row.high:.2f}]"
    return f"{row.value:.2f}{interval}"


def _circumstances(name: str, about: Line) -> str:
    told = ", ".join(f"{key} {value}" for key, value in about.items() if key != "machine")
    return f"- {name}: {told}; {machine.describe(about['machine'])}"
