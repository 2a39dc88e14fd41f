"""Write a comparison as Markdown, for a terminal, a README or an issue."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import pandas as pd

from sam2lab.measure import machine
from sam2lab.peers.capability_table import capabilities
from sam2lab.peers.comparison import Comparison
from sam2lab.peers.table import OURS
from sam2lab.runtime.bundle import weights_in_words

TIMES = {
    "encode": "encode",
    "decode": "one prompt",
    "many": "each of 64 prompts",
    "first_mask": "import to first mask",
}


def report(comparison: Comparison) -> str:
    """Return the whole comparison in four tables and a few lines."""
    parts = [
        _heading(comparison),
        "Median milliseconds; in brackets the median of paired runs as a multiple of ours, with "
        "its 95 % interval.",
        table(_times(comparison)),
        "Memory is the peak of a fresh process that encodes. IoU with the masks of "
        "SAM2ImagePredictor is the least over all kinds of prompt; “own classes”: of the mask that "
        "the peer's own classes made of the photo.",
        table(_masses(comparison)),
        f"{OURS} as a share of each of the others (for one prompt of 64: of itself alone).",
        table(_shares(comparison)),
        "What each can do.",
        table(capabilities(comparison)),
        *_remarks(comparison),
    ]
    return "\n\n".join(parts) + "\n"


def table(frame: pd.DataFrame) -> str:
    """Write a DataFrame of text as a table in Markdown, without its index.

    >>> print(table(pd.DataFrame({"who": ["ours"], "ms": ["12"]})))
    | who | ms |
    |---|---|
    | ours | 12 |
    """
    rows = [[str(cell).replace("|", "\\|") for cell in row] for row in frame.to_numpy()]
    lines = [list(frame.columns), *rows]
    drawn = ["| " + " | ".join(cells) + " |" for cells in lines]
    return "\n".join([drawn[0], "|" + "---|" * len(frame.columns), *drawn[1:]])


def _heading(comparison: Comparison) -> str:
    about = comparison.about
    facts = machine.describe(about["machine"])
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return (
        f"{about['size']} {about['version']} at {about['side']} x {about['side']}, "
        f"{weights_in_words(about['weights'])}; threads: {about['threads']}; {about['rounds']} "
        f"rounds, {about['starts']} starts; {about['date']}, {facts}; {versions}."
    )


def _times(comparison: Comparison) -> pd.DataFrame:
    rows = []
    for _, row in comparison.summary().iterrows():
        cells = {"": row["contender"]}
        for stem, title in TIMES.items():
            cells[f"{title} (ms)"] = _time(row, stem) if row["state"] == "ran" else ""
        if row["state"] != "ran":
            cells[f"{TIMES['encode']} (ms)"] = f"{row['state']}: {row['reason']}"
        rows.append(cells)
    return pd.DataFrame(rows)


def _time(row: pd.Series, stem: str) -> str:
    value = row[f"{stem}_ms"]
    if pd.isna(value):
        return "one at a time" if stem == "many" else "–"
    text = f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
    ratio = _ratio(*(row[f"{stem}_{end}"] for end in ("ratio", "low", "high")))
    return f"{text} ({ratio})" if ratio else text


def _masses(comparison: Comparison) -> pd.DataFrame:
    rows = comparison.summary().query("state == 'ran'")
    return pd.DataFrame(
        {
            "": rows["contender"],
            "memory (MB)": rows["peak_mb"].map(_megabytes),
            "files (MB)": rows["files_mb"].map(_megabytes),
            "least IoU": rows["iou"].map(_share),
            "IoU, own classes": rows["own_iou"].map(_share),
        }
    )


def _shares(comparison: Comparison) -> pd.DataFrame:
    """Return our times as shares of theirs, the inverse of the ratios, as goals are written."""
    rows = comparison.summary().query("state == 'ran'")
    own = rows[rows["contender"] == OURS].iloc[0]
    alone = comparison.many_share().set_index("series").reindex(rows["contender"])
    cells = [
        {
            "": row["contender"],
            **{
                title: _ratio(*(1 / row[f"{stem}_{end}"] for end in ("ratio", "high", "low")))
                for stem, title in TIMES.items()
            },
            "memory": _number(own["peak_mb"] / row["peak_mb"]),
            "one of 64 / one alone": _ratio(*alone.loc[row["contender"]]),
        }
        for _, row in rows.iterrows()
    ]
    return pd.DataFrame(cells)


def _remarks(comparison: Comparison) -> Sequence[str]:
    rows = comparison.summary()
    wrong = rows[(rows["state"] == "ran") & rows["is_exact"] & (rows["iou"] < 0.99)]
    remarks = [
        f"- {row.contender} gives wrong masks: IoU {row.iou:.3f} with the original."
        for row in wrong.itertuples()
    ]
    remarks += [
        f"- {row.series}, {row.where}: {textwrap.shorten(row.error, 160, placeholder=' …')}"
        for row in comparison.troubles().itertuples()
    ]
    return ["\n".join(remarks)] if remarks else []


def _ratio(value: float, low: float, high: float) -> str:
    if pd.isna(value):
        return ""
    interval = "" if pd.isna(low) else f" [{_number(low)}, {_number(high)}]"
    return f"{_number(value)}{interval}"


def _megabytes(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:,.0f}"


def _number(value: float) -> str:
    if pd.isna(value):
        return ""
    return f"{value:.2f}" if value < 9.95 else f"{value:.1f}"


def _share(value: float) -> str:
    # Rounded down: 1 is for masks that are all the same.
    return "–" if pd.isna(value) else f"{int(value * 1e5) / 1e5:.5f}"
