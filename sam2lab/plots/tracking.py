"""Draw how well objects are followed, what a frame's time is spent on, and memory over frames."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sam2lab.plots import style

# How a way of following is drawn; the baselines are thinner.
WAYS: dict[str, tuple[Any, float]] = {
    "memory": ("-", 2.0),
    "box again": ("--", 1.2),
    "held still": (":", 1.2),
}

PARTS = {
    "read_ms": ("wait for the frame", style.GREY),
    "encode_ms": ("encode", style.BLUE),
    "condition_ms": ("look at memories", style.ORANGE),
    "decode_ms": ("decode", style.GREEN),
    "remember_ms": ("remember", style.PURPLE),
    "bank_ms": ("choose memories", style.YELLOW),
    "restore_ms": ("masks in full size", style.SKY),
}


def j_over_frames(table: pd.DataFrame, column: str = "j") -> Figure:
    """The mean over objects in each frame, by engine and way, of `measure.tracking_study`.

    Each kind of prompt has a panel. `column` is "j" or "f".
    """
    prompts = list(table["prompt"].unique())
    engines = list(table["engine"].unique())
    figure = style.Picture(1.5 + 4 * len(prompts), 4)
    panels = figure.subplots(1, len(prompts), sharey=True, squeeze=False)[0]
    for axes, prompt in zip(panels, prompts, strict=True):
        asked = table[table["prompt"] == prompt]
        for (engine, way), rows in asked.groupby(["engine", "way"], sort=False):
            line, width = WAYS[str(way)]
            means = rows.groupby("frame")[column].mean()
            axes.plot(
                means.index,
                means,
                linestyle=line,
                linewidth=width,
                color=style.colour(engines.index(engine)),
            )
        objects = asked.groupby(["sequence", "object"]).ngroups
        axes.set_title(f"{prompt} in the first frame ({objects:,} objects)")
        axes.set_xlabel("frame")
        axes.set_ylim(-0.02, 1.02)
        axes.locator_params("x", integer=True)
        style.plain(axes, values="y")
    panels[0].set_ylabel(f"mean {column.upper()} of the objects in a frame")
    handles = [Line2D([], [], color=style.colour(i), label=name) for i, name in enumerate(engines)]
    handles += [
        Line2D([], [], color=style.BLACK, linestyle=line, linewidth=width, label=way)
        for way, (line, width) in WAYS.items()
        if way in set(table["way"])
    ]
    figure.explain(4, handles=handles)
    return figure


def frame_parts(summary: pd.DataFrame) -> Figure:
    """Bars of the median time of each part of a frame, of `video_latency.summarise_frames`.

    Each series has a bar for its first frame, and one for its steady state.
    """
    shown = summary[summary["phase"].isin(["first", "steady"])]
    figure = style.Picture(8, 1.7 + 0.45 * len(shown))
    axes = figure.add_subplot()
    names = [f"{row.series}, {row.phase} (frames: {row.frames})" for row in shown.itertuples()]
    ends = style.stack(axes, shown, PARTS, names)
    for place, (end, total) in enumerate(zip(ends, shown["total_ms"], strict=True)):
        style.write_beside(axes, f"{total:,.4g}", (end, place), (6, 0))
    axes.margins(x=0.12)
    axes.set_xlabel("median time of a frame (ms), by part")
    axes.set_ylabel("series, phase")
    axes.set_title("What is a frame's time spent on?")
    figure.explain(4)
    return figure


def memory_over_frames(table: pd.DataFrame) -> Figure:
    """What each process holds after each frame, of `video_latency.memory_over_frames`."""
    figure = style.Picture(7, 4)
    axes = figure.add_subplot()
    for number, (name, rows) in enumerate(table.groupby("series", sort=False)):
        axes.plot(rows["run"], rows["rss_mb"], color=style.colour(number), label=str(name))
    axes.set_ylim(bottom=0)
    axes.set(xlabel="frame", ylabel="memory that the process holds (MB)")
    axes.set_title("Does memory grow with the video?")
    style.plain_numbers(axes, "y")
    figure.explain(4)
    return figure
